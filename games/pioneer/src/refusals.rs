//! Every refusal of the game in one place: what it means, its stable code and its friendly sentence.

use gundo::Refusal;

macro_rules! refusals {
    ($($(#[$about:meta])* $no:ident $code:literal $text:literal)*) => {
        /// Why the game says no. `Refusal::from(No::TooFar)` is what the player gets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum No {
            $($(#[$about])* $no,)*
        }

        impl No {
            /// All of them, in order.
            pub const ALL: &[No] = &[$(No::$no,)*];

            /// Stable; clients and tests depend on it.
            pub const fn code(self) -> &'static str {
                match self { $(No::$no => $code,)* }
            }

            /// One friendly sentence for the player.
            pub const fn text(self) -> &'static str {
                match self { $(No::$no => $text,)* }
            }
        }
    };
}

refusals! {
    /// The command is empty or has numbers that mean nothing here.
    Unclear "unclear" "That makes no sense on this island."
    /// A thing or a place is out of reach.
    TooFar "too_far" "That is out of reach. Step closer."
    /// There is no such thing (any more).
    NothingThere "nothing_there" "There is nothing like that here any more."
    /// The thing is there, but nothing has grown yet.
    NothingGrown "nothing_grown" "Nothing to gather yet. Come back when it has grown."
    /// The inventory has no room for the gain.
    InventoryFull "inventory_full" "Your bags are full. Craft or build something first."
    /// A recipe, building or dye needs more than the player has.
    MissingItems "missing_items" "You do not have everything that takes."
    /// The receiver of a gift has no room for it.
    NoRoom "no_room" "Their bags are full."
    /// A gift to oneself.
    Yourself "yourself" "You have that already."
    /// The item is not in the inventory.
    NotYours "not_yours" "You do not have that."
    /// They are friends already.
    AlreadyFriends "already_friends" "You are friends already."
    /// The request is there already.
    AlreadyAsked "already_asked" "You have asked already. They have not answered yet."
    /// Several unique things in one stack where one can be, or one for several players.
    OneByOne "one_by_one" "Each of these is a thing of its own. One at a time."
    /// A unique thing as a price.
    PriceUnique "price_unique" "A price is in goods that are counted, such as wood."
    /// There is no friendship and no request to end.
    NotFriends "not_friends" "There is nothing between you to end."
    /// The player has as many friends as one can have.
    FriendsFull "friends_full" "You have as many friends as one can have."
    /// The other one has as many friends as one can have.
    TheirFriendsFull "their_friends_full" "They have as many friends as one can have."
    /// The player has as many open requests as one can have.
    RequestsFull "requests_full" "You have asked many who have not answered. Withdraw a request first."
    /// The other one has as many open requests as one can have.
    TheirRequestsFull "their_requests_full" "Many have asked them and wait for an answer. Try again later."
    /// The player is blocked already.
    AlreadyBlocked "already_blocked" "You have blocked them already."
    /// The player to unblock is not blocked.
    NotBlocked "not_blocked" "You have not blocked them."
    /// The player has blocked as many as one can.
    BlockedFull "blocked_full" "You have blocked as many as one can."
    /// The player has blocked the other one itself.
    YouBlocked "you_blocked" "You have blocked them. Unblock them first."
    /// The player is in a trade.
    Trading "trading" "You are in a trade. Leave it first."
    /// The other one is in a trade, or has blocked the player: the answer does not tell which.
    NotNow "not_now" "They cannot trade just now."
    /// The player is in no trade, or in another one than the command says.
    NoTrade "no_trade" "That trade is over."
    /// The other one has left the trade alone.
    TradeOver "trade_over" "They are not in this trade any more. Leave it, and your things come back."
    /// The confirmation is for another version of the offers.
    TradeChanged "trade_changed" "The offers have changed. Look again."
    /// This version is confirmed already.
    AlreadyConfirmed "already_confirmed" "You have confirmed already. They have not yet."
    /// Both offers are empty.
    NothingOffered "nothing_offered" "Nobody offers anything yet."
    /// The player is in a guild already.
    InGuild "in_guild" "You are in a guild already. Leave it first."
    /// The other one is in a guild already.
    TheirGuild "their_guild" "They are in a guild already."
    /// The player is in no guild, or in another one than the command says.
    NoGuild "no_guild" "You are not in that guild."
    /// The other one is neither a member of the guild nor invited.
    NotMember "not_member" "They are not in your guild."
    /// The player's role in the guild does not allow it.
    NoRight "no_right" "Your role in the guild does not allow that."
    /// The member has that role already.
    SameRole "same_role" "They have that role already."
    /// The player is invited into that guild already.
    AlreadyInvited "already_invited" "They are invited already. They have not answered yet."
    /// There is no invitation into that guild (any more).
    NoInvitation "no_invitation" "There is no such invitation any more."
    /// The guild has as many open invitations as it can have.
    InvitationsFull "invitations_full"
        "The guild has invited many who have not answered. Withdraw an invitation first."
    /// The other one has as many open invitations as one can have.
    TheirInvitationsFull "their_invitations_full" "Many guilds have invited them. Try again later."
    /// The guild has as many members as it can have.
    GuildFull "guild_full" "The guild has as many members as it can have."
    /// The guild was dissolved.
    GuildGone "guild_gone" "That guild was dissolved."
    /// The leader of a guild with other members wants to leave.
    HandOverFirst "hand_over_first" "You lead the guild. Hand it over before you leave."
    /// The guild has more members than one transaction can change.
    TooManyMembers "too_many_members" "The guild is too large to dissolve at once. Let some members go first."
    /// A guild whose chest is not empty is to be dissolved.
    ChestNotEmpty "chest_not_empty" "The chest is not empty. Take everything out first."
    /// The chest has no room for it.
    ChestFull "chest_full" "The chest has no room for that."
    /// The chest does not have so much of it.
    NotInChest "not_in_chest" "There is not that much in the chest."
    /// The new name is the present one.
    SameName "same_name" "That is the name already."
    /// The name was changed less than the pace ago.
    RenamedLately "renamed_lately" "That name is still new. It can be changed again in some days."
    /// More chunks than one claim or release can have.
    ClaimLarge "claim_large" "That is too much land at once."
    /// The chunks do not lie side by side, or those that are left would not.
    NotConnected "not_connected" "The land of an estate lies side by side."
    /// Land at the village.
    Commons "commons" "The land around the village belongs to everybody."
    /// Nobody can stand in that chunk.
    NoFooting "no_footing" "Nobody can stand there."
    /// The chunk belongs to an estate already.
    Claimed "claimed" "That land belongs to somebody already."
    /// Another player's building stands there.
    OthersBuilding "others_building" "Somebody has built there."
    /// The estate has as many chunks as it can have.
    EstateFull "estate_full" "An estate cannot be larger."
    /// The player has as many estates as one can have.
    DeedsFull "deeds_full" "You have as many estates as one can have."
    /// The other one has as many estates as one can have.
    TheirDeedsFull "their_deeds_full" "They have as many estates as one can have."
    /// The player does not own that estate (any more).
    NoDeed "no_deed" "That estate is not yours."
    /// The chunk to release is not part of the estate.
    NotInEstate "not_in_estate" "That land is not part of your estate."
    /// The player offers the estate in a trade.
    DeedOffered "deed_offered" "You offer that estate in a trade. Take it back first."
    /// Others have rights on the estate that is to be sold.
    EstateOpen "estate_open" "Others may do things on that estate. Close it before you sell it."
    /// Some land of the estate that is to be sold has not heard of its new rights yet.
    EstateSettling "estate_settling" "That estate has just changed. Try again in a moment."
    /// The land belongs to somebody who does not allow that.
    TheirLand "their_land" "This land belongs to somebody who does not allow that."
    /// The ground is on a way from the village to the sea.
    OnWay "on_way" "This way stays free: newcomers walk here."
    /// The ground is before the door of another one's hut.
    BeforeDoor "before_door" "That would stand before somebody's door."
    /// The letter has no sender that could get it back.
    NoSender "no_sender" "Nobody has sent that."
    /// Water or cliff under a building.
    BadGround "bad_ground" "The ground does not hold here. Build on dry, level land."
    /// Another building or something that grows is in the way of a building.
    NotFree "not_free" "Something is in the way. Find a free spot or clear it first."
    /// A player stands where the building would be.
    SomeoneThere "someone_there" "Somebody stands there. Wait until they have moved on."
    /// A chunk has as many buildings as it can have.
    LandFull "land_full" "This piece of land is full of buildings."
    /// The building is another player's.
    NotOwner "not_owner" "That belongs to somebody else."
    /// Walking: water.
    Water "water" "You cannot swim."
    /// Walking: a cliff.
    Cliff "cliff" "Too steep to climb."
    /// Walking: a building.
    Wall "wall" "A building bars the way."
    /// The letter has more bytes than a letter can have.
    LetterLong "letter_long" "That letter is too long. Write a shorter one."
    /// The letter has neither words nor goods.
    LetterEmpty "letter_empty" "Write something, or put something in."
    /// The letter names nobody, or more than one.
    OneReceiver "one_receiver" "A letter goes to one person."
    /// No player is found by this name.
    NobodyCalled "nobody_called"
        "Nobody here is called that. People can be found once they have gathered something."
    /// The player's own mailbox has no room for the letter that would come back.
    MailboxFull "mailbox_full" "Your mailbox is full. Delete or return some letters first."
    /// The sender's mailbox has no room for the letter that would go back.
    TheirMailboxFull "their_mailbox_full" "Their mailbox is full. Try again later."
    /// There is no such letter (any more).
    NoLetter "no_letter" "That letter is not there any more."
    /// The letter has nothing in it (any more).
    NothingInside "nothing_inside" "There is nothing in that letter."
    /// The letter to delete has something in it.
    SomethingInside "something_inside" "There is something in that letter. Take it or send it back first."
    /// The letter to return has come back already.
    CameBack "came_back" "That letter is your own. It has come back already."
    /// There is no such stall (any more).
    NoStall "no_stall" "That stall is not there any more."
    /// The stall to take down has goods in it.
    StallNotEmpty "stall_not_empty" "There is something in the stall. Take it out first."
    /// The stall has as many offers as it can have.
    StallFull "stall_full" "The stall has no room for another offer."
    /// The price is in the goods that are sold.
    SamePrice "same_price" "Sell things for something else."
    /// The offer was withdrawn.
    NoOffer "no_offer" "That is not offered any more."
    /// The price is another one by now.
    OfferChanged "offer_changed" "The price has changed. Look again."
    /// Fewer lots are left than the command says, or none.
    SoldOut "sold_out" "That is sold out, or fewer are left than you want."
    /// The stall has no room for what would be paid.
    StallRich "stall_rich" "The stall can take no more of that before its owner has come by."
    /// The stall has not earned so much.
    NotEarned "not_earned" "The stall has not earned that."
}

impl From<No> for Refusal {
    fn from(no: No) -> Self {
        Refusal::new(no.code(), no.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_snake_case() {
        let mut codes: Vec<_> = No::ALL.iter().map(|no| no.code()).collect();
        assert!(codes.iter().all(|c| c.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), No::ALL.len());
    }
}
