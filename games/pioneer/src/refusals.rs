//! Every refusal of the game in one place: its stable code and its friendly sentence.

use gundo::Refusal;

/// Why the game says no. `Refusal::from(No::TooFar)` is what the player gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// The command is empty or has numbers that mean nothing here.
    Unclear,
    /// A thing or a place is out of reach.
    TooFar,
    /// There is no such thing (any more).
    NothingThere,
    /// The thing is there, but nothing has grown yet.
    NothingGrown,
    /// The inventory has no room for the gain.
    InventoryFull,
    /// A recipe, building or dye needs more than the player has.
    MissingItems,
    /// The receiver of a gift has no room for it.
    NoRoom,
    /// A gift to oneself.
    Yourself,
    /// The item is not in the inventory.
    NotYours,
    /// They are friends already.
    AlreadyFriends,
    /// The request is there already.
    AlreadyAsked,
    /// There is no friendship and no request to end.
    NotFriends,
    /// The player has as many friends as one can have.
    FriendsFull,
    /// The other one has as many friends as one can have.
    TheirFriendsFull,
    /// The player has as many open requests as one can have.
    RequestsFull,
    /// The other one has as many open requests as one can have.
    TheirRequestsFull,
    /// The player is blocked already.
    AlreadyBlocked,
    /// The player to unblock is not blocked.
    NotBlocked,
    /// The player has blocked as many as one can.
    BlockedFull,
    /// The player has blocked the other one itself.
    YouBlocked,
    /// The player is in a trade.
    Trading,
    /// The other one is in a trade, or has blocked the player: the answer does not tell which.
    NotNow,
    /// The player is in no trade, or in another one than the command says.
    NoTrade,
    /// The other one has left the trade alone.
    TradeOver,
    /// The confirmation is for another version of the offers.
    TradeChanged,
    /// This version is confirmed already.
    AlreadyConfirmed,
    /// Both offers are empty.
    NothingOffered,
    /// The player is in a guild already.
    InGuild,
    /// The other one is in a guild already.
    TheirGuild,
    /// The player is in no guild, or in another one than the command says.
    NoGuild,
    /// The other one is neither a member of the guild nor invited.
    NotMember,
    /// The player's role in the guild does not allow it.
    NoRight,
    /// The member has that role already.
    SameRole,
    /// The player is invited into that guild already.
    AlreadyInvited,
    /// There is no invitation into that guild (any more).
    NoInvitation,
    /// The guild has as many open invitations as it can have.
    InvitationsFull,
    /// The other one has as many open invitations as one can have.
    TheirInvitationsFull,
    /// The guild has as many members as it can have.
    GuildFull,
    /// The guild was dissolved.
    GuildGone,
    /// The leader of a guild with other members wants to leave.
    HandOverFirst,
    /// The guild has more members than one transaction can change.
    TooManyMembers,
    /// A guild whose chest is not empty is to be dissolved.
    ChestNotEmpty,
    /// The chest has no room for it.
    ChestFull,
    /// The chest does not have so much of it.
    NotInChest,
    /// Water or cliff under a building.
    BadGround,
    /// Another building or something that grows is in the way of a building.
    NotFree,
    /// A player stands where the building would be.
    SomeoneThere,
    /// A chunk has as many buildings as it can have.
    LandFull,
    /// The building is another player's.
    NotOwner,
    /// Walking: water.
    Water,
    /// Walking: a cliff.
    Cliff,
    /// Walking: a building.
    Wall,
    /// The letter has more bytes than a letter can have.
    LetterLong,
    /// The letter has neither words nor goods.
    LetterEmpty,
    /// The letter names nobody, or more than one.
    OneReceiver,
    /// No player is found by this name.
    NobodyCalled,
    /// The player's own mailbox has no room for the letter that would come back.
    MailboxFull,
    /// The sender's mailbox has no room for the letter that would go back.
    TheirMailboxFull,
    /// There is no such letter (any more).
    NoLetter,
    /// The letter has nothing in it (any more).
    NothingInside,
    /// The letter to delete has something in it.
    SomethingInside,
    /// The letter to return has come back already.
    CameBack,
    /// There is no such stall (any more).
    NoStall,
    /// The stall to take down has goods in it.
    StallNotEmpty,
    /// The stall has as many offers as it can have.
    StallFull,
    /// The price is in the goods that are sold.
    SamePrice,
    /// The offer was withdrawn.
    NoOffer,
    /// The price is another one by now.
    OfferChanged,
    /// Fewer lots are left than the command says, or none.
    SoldOut,
    /// The stall has no room for what would be paid.
    StallRich,
    /// The stall has not earned so much.
    NotEarned,
}

impl No {
    /// All of them, in order.
    pub const ALL: [No; 71] = [
        No::Unclear,
        No::TooFar,
        No::NothingThere,
        No::NothingGrown,
        No::InventoryFull,
        No::MissingItems,
        No::NoRoom,
        No::Yourself,
        No::NotYours,
        No::AlreadyFriends,
        No::AlreadyAsked,
        No::NotFriends,
        No::FriendsFull,
        No::TheirFriendsFull,
        No::RequestsFull,
        No::TheirRequestsFull,
        No::AlreadyBlocked,
        No::NotBlocked,
        No::BlockedFull,
        No::YouBlocked,
        No::Trading,
        No::NotNow,
        No::NoTrade,
        No::TradeOver,
        No::TradeChanged,
        No::AlreadyConfirmed,
        No::NothingOffered,
        No::InGuild,
        No::TheirGuild,
        No::NoGuild,
        No::NotMember,
        No::NoRight,
        No::SameRole,
        No::AlreadyInvited,
        No::NoInvitation,
        No::InvitationsFull,
        No::TheirInvitationsFull,
        No::GuildFull,
        No::GuildGone,
        No::HandOverFirst,
        No::TooManyMembers,
        No::ChestNotEmpty,
        No::ChestFull,
        No::NotInChest,
        No::BadGround,
        No::NotFree,
        No::SomeoneThere,
        No::LandFull,
        No::NotOwner,
        No::Water,
        No::Cliff,
        No::Wall,
        No::LetterLong,
        No::LetterEmpty,
        No::OneReceiver,
        No::NobodyCalled,
        No::MailboxFull,
        No::TheirMailboxFull,
        No::NoLetter,
        No::NothingInside,
        No::SomethingInside,
        No::CameBack,
        No::NoStall,
        No::StallNotEmpty,
        No::StallFull,
        No::SamePrice,
        No::NoOffer,
        No::OfferChanged,
        No::SoldOut,
        No::StallRich,
        No::NotEarned,
    ];

    /// Stable; clients and tests depend on it.
    pub const fn code(self) -> &'static str {
        self.parts().0
    }

    /// One friendly sentence for the player.
    pub const fn text(self) -> &'static str {
        self.parts().1
    }

    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            No::Unclear => ("unclear", "That makes no sense on this island."),
            No::TooFar => ("too_far", "That is out of reach. Step closer."),
            No::NothingThere => ("nothing_there", "There is nothing like that here any more."),
            No::NothingGrown => ("nothing_grown", "Nothing to gather yet. Come back when it has grown."),
            No::InventoryFull => ("inventory_full", "Your bags are full. Craft or build something first."),
            No::MissingItems => ("missing_items", "You do not have everything that takes."),
            No::NoRoom => ("no_room", "Their bags are full."),
            No::Yourself => ("yourself", "You have that already."),
            No::NotYours => ("not_yours", "You do not have that."),
            No::AlreadyFriends => ("already_friends", "You are friends already."),
            No::AlreadyAsked => ("already_asked", "You have asked already. They have not answered yet."),
            No::NotFriends => ("not_friends", "There is nothing between you to end."),
            No::FriendsFull => ("friends_full", "You have as many friends as one can have."),
            No::TheirFriendsFull => ("their_friends_full", "They have as many friends as one can have."),
            No::RequestsFull => {
                ("requests_full", "You have asked many who have not answered. Withdraw a request first.")
            }
            No::TheirRequestsFull => {
                ("their_requests_full", "Many have asked them and wait for an answer. Try again later.")
            }
            No::AlreadyBlocked => ("already_blocked", "You have blocked them already."),
            No::NotBlocked => ("not_blocked", "You have not blocked them."),
            No::BlockedFull => ("blocked_full", "You have blocked as many as one can."),
            No::YouBlocked => ("you_blocked", "You have blocked them. Unblock them first."),
            No::Trading => ("trading", "You are in a trade. Leave it first."),
            No::NotNow => ("not_now", "They cannot trade just now."),
            No::NoTrade => ("no_trade", "That trade is over."),
            No::TradeOver => {
                ("trade_over", "They are not in this trade any more. Leave it, and your things come back.")
            }
            No::TradeChanged => ("trade_changed", "The offers have changed. Look again."),
            No::AlreadyConfirmed => ("already_confirmed", "You have confirmed already. They have not yet."),
            No::NothingOffered => ("nothing_offered", "Nobody offers anything yet."),
            No::BadGround => ("bad_ground", "The ground does not hold here. Build on dry, level land."),
            No::NotFree => ("not_free", "Something is in the way. Find a free spot or clear it first."),
            No::SomeoneThere => ("someone_there", "Somebody stands there. Wait until they have moved on."),
            No::LandFull => ("land_full", "This piece of land is full of buildings."),
            No::NotOwner => ("not_owner", "That belongs to somebody else."),
            No::Water => ("water", "You cannot swim."),
            No::Cliff => ("cliff", "Too steep to climb."),
            No::Wall => ("wall", "A building bars the way."),
            _ => self.parts_of_guilds(),
        }
    }

    const fn parts_of_guilds(self) -> (&'static str, &'static str) {
        match self {
            No::InGuild => ("in_guild", "You are in a guild already. Leave it first."),
            No::TheirGuild => ("their_guild", "They are in a guild already."),
            No::NoGuild => ("no_guild", "You are not in that guild."),
            No::NotMember => ("not_member", "They are not in your guild."),
            No::NoRight => ("no_right", "Your role in the guild does not allow that."),
            No::SameRole => ("same_role", "They have that role already."),
            No::AlreadyInvited => {
                ("already_invited", "They are invited already. They have not answered yet.")
            }
            No::NoInvitation => ("no_invitation", "There is no such invitation any more."),
            No::InvitationsFull => (
                "invitations_full",
                "The guild has invited many who have not answered. Withdraw an invitation first.",
            ),
            No::TheirInvitationsFull => {
                ("their_invitations_full", "Many guilds have invited them. Try again later.")
            }
            No::GuildFull => ("guild_full", "The guild has as many members as it can have."),
            No::GuildGone => ("guild_gone", "That guild was dissolved."),
            No::HandOverFirst => ("hand_over_first", "You lead the guild. Hand it over before you leave."),
            No::TooManyMembers => {
                ("too_many_members", "The guild is too large to dissolve at once. Let some members go first.")
            }
            No::ChestNotEmpty => ("chest_not_empty", "The chest is not empty. Take everything out first."),
            No::ChestFull => ("chest_full", "The chest has no room for that."),
            No::NotInChest => ("not_in_chest", "There is not that much in the chest."),
            _ => self.parts_of_market(),
        }
    }

    const fn parts_of_market(self) -> (&'static str, &'static str) {
        match self {
            No::LetterLong => ("letter_long", "That letter is too long. Write a shorter one."),
            No::LetterEmpty => ("letter_empty", "Write something, or put something in."),
            No::OneReceiver => ("one_receiver", "A letter goes to one person."),
            No::NobodyCalled => (
                "nobody_called",
                "Nobody here is called that. People can be found once they have gathered something.",
            ),
            No::MailboxFull => ("mailbox_full", "Your mailbox is full. Delete or return some letters first."),
            No::TheirMailboxFull => ("their_mailbox_full", "Their mailbox is full. Try again later."),
            No::NoLetter => ("no_letter", "That letter is not there any more."),
            No::NothingInside => ("nothing_inside", "There is nothing in that letter."),
            No::SomethingInside => {
                ("something_inside", "There is something in that letter. Take it or send it back first.")
            }
            No::CameBack => ("came_back", "That letter is your own. It has come back already."),
            No::NoStall => ("no_stall", "That stall is not there any more."),
            No::StallNotEmpty => ("stall_not_empty", "There is something in the stall. Take it out first."),
            No::StallFull => ("stall_full", "The stall has no room for another offer."),
            No::SamePrice => ("same_price", "Sell things for something else."),
            No::NoOffer => ("no_offer", "That is not offered any more."),
            No::OfferChanged => ("offer_changed", "The price has changed. Look again."),
            No::SoldOut => ("sold_out", "That is sold out, or fewer are left than you want."),
            No::StallRich => {
                ("stall_rich", "The stall can take no more of that before its owner has come by.")
            }
            No::NotEarned => ("not_earned", "The stall has not earned that."),
            _ => ("unclear", "That makes no sense on this island."),
        }
    }
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
