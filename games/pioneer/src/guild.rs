//! Guilds: a name, up to [`MEMBERS_MAX`] members with roles, and a chest that they share.
//!
//! A guild is an entity of its own, without a place. It has the list of members, and each member has the guild (`guild/member.rs`).
//! Every step is one transaction of all whom it changes, so the two always agree, and nobody is in two guilds.
//!
//! **Who may do what:**
//!
//! | | leader | officer | member |
//! | --- | --- | --- | --- |
//! | put things into the chest | yes | yes | yes |
//! | take things out | yes | yes | no |
//! | invite, withdraw an invitation | yes | yes | no |
//! | remove somebody | anybody | members | no |
//! | make somebody an officer or a member, hand the guild over | yes | no | no |
//! | leave | when alone | yes | yes |
//! | dissolve the guild, change its name | yes | no | no |
//!
//! **The end.** A guild is dissolved by its leader, or when its last member leaves. Its chest must be empty then: the leader takes
//! everything first, so that nothing is lost and nobody's bag overflows. All members leave in the same transaction, which asks 16
//! entities at most: the guild and [`DISSOLVED_MAX`] others. A larger guild lets some go first. The name is kept for the cool-down, as a
//! name that was changed is (`kept`), and free for other guilds after it. Open
//! invitations stay with those who were invited, who find `guild_gone` and decline them.
//!
//! **Invitations** reach players who are away. A block does not tell: an invitation by somebody whom the player has blocked is
//! answered as any other, and arrives nowhere. So "invited" may stand in the guild alone. The other way round it does so only after
//! the guild's end.
//!
//! **The chest** serves one member after another: those who come at once wait in line at the guild, the oldest first, and the engine
//! keeps places for as many as a guild has members. With the pace of the chest (`player.rs`) nobody waits long enough to hear
//! `busy`. Its log has the last [`LOG_MAX`] entries.
//!
//! A player who is suspended cannot be removed and cannot hand over: everything that would change it is refused with `suspended`.

mod member;
mod renaming;

use gundo::{Actor, Answered, Asked, Context, Done, Entity, EntityId, State, Stored, WorldTime};

use crate::friends::name_of;
use crate::inventory::{Inventory, shown};
use crate::island::Island;
use crate::kept::due;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskFound, AskSetRole, ChestChanged, ChestEntry, GuildAnswer, GuildDissolved, GuildFounded, GuildInvited,
    GuildJoined, GuildLeft, GuildPublic, GuildRole, GuildRoleSet, GuildState, GuildUninvited, Item, Member,
    Naming, News, Person, PlayerTold, Stack, guild_ask::Ask as Wish, guild_event::Event,
    guild_hears::Message, naming_timer::Timer,
};

pub(crate) use member::{Belonging, price};

/// Members of one guild: as many prepares as can wait at one entity.
pub const MEMBERS_MAX: usize = 64;
/// Open invitations of one guild.
pub const INVITED_MAX: usize = 32;
/// Open invitations of one player.
pub const INVITATIONS_MAX: usize = 8;
/// Slots of the chest.
pub const CHEST_SLOTS_MAX: u32 = 24;
/// Entries of the chest's log.
pub const LOG_MAX: usize = 50;
/// Members besides the leader with whom a guild can be dissolved: one transaction asks 16 entities, the guild is one.
pub const DISSOLVED_MAX: usize = 15;
/// Bytes of a person's name in a guild's lists; longer ones are cut, so that a full guild can be shown (`public_bytes_max`). A name
/// of 16 letters has 64 bytes at most, unless most of its letters have marks.
const NAME_BYTES_MAX: usize = 64;
/// Namespace of guilds' names.
pub(crate) const NAMES: &str = "guild";

/// A guild.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 40, name = "guild", world = Island, durable = GuildState, event = Event, public = GuildPublic)]
#[state(ask = Wish, answer = GuildAnswer, asking_creates, message = Message, timer = Timer)]
pub struct Guild {
    /// Empty before the first event.
    name: String,
    /// With the keys of its name, and the names that it keeps.
    naming: Naming,
    /// In the order in which they came. One of them is the leader, until the guild is dissolved.
    members: Vec<Member>,
    invited: Vec<GuildInvited>,
    chest: Inventory,
    log: Vec<ChestEntry>,
    founded_at: u64,
    dissolved: bool,
}

/// What a role may allow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right {
    Put,
    Take,
    Invite,
    /// Somebody with this role.
    Remove(GuildRole),
    Govern,
}

impl GuildRole {
    /// The table at the top of the file.
    pub(crate) fn may(self, right: Right) -> bool {
        match right {
            Right::Put => self >= Self::Member,
            Right::Take | Right::Invite => self >= Self::Officer,
            Right::Remove(Self::Member) => self >= Self::Officer,
            Right::Remove(_) | Right::Govern => self == Self::Leader,
        }
    }
}

impl Guild {
    fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id() == id)
    }

    /// The role of the asking player, if it allows this.
    fn allows(&self, by: &Actor, right: Right) -> Result<GuildRole, No> {
        let role = self.member(by.id.id).ok_or(No::NoGuild)?.role();
        if role.may(right) { Ok(role) } else { Err(No::NoRight) }
    }

    fn is_invited(&self, id: u64) -> bool {
        self.invited.iter().any(|invited| invited.id() == id)
    }

    // ---- members -------------------------------------------------------------------------------------------------

    /// An attempt that failed may have left a fence in the stream of this id. So it is the name that says whether the guild exists, and
    /// not the engine (`asking_creates`).
    fn found(&self, ask: AskFound, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        if !self.name.is_empty() {
            return Err(No::Unclear.into());
        }
        let AskFound { name, name_keys } = ask;
        let founded =
            GuildFounded { name, name_keys: name_keys.clone(), leader: Some(person(by)), at: cx.now.0 };
        let done = Done::new().event(&Event::Founded(founded));
        Ok((done.take_names(NAMES, name_keys.iter().map(String::as_str), cx.id), GuildAnswer::default()))
    }

    fn invite(&self, who: Option<Person>, by: &Actor) -> Answered<Self> {
        let Person { id, name } = who.ok_or(No::Unclear)?;
        self.allows(by, Right::Invite)?;
        if self.member(id).is_some() {
            return Err(No::TheirGuild.into());
        }
        if self.is_invited(id) {
            return Err(No::AlreadyInvited.into());
        }
        if self.members.len() >= MEMBERS_MAX {
            return Err(No::GuildFull.into());
        }
        if self.invited.len() >= INVITED_MAX {
            return Err(No::InvitationsFull.into());
        }
        let who = Some(Person { id, name: cut(name) });
        happens(&Event::Invited(GuildInvited { who, by: by.id.id }))
    }

    fn accept(&self, by: &Actor) -> Answered<Self> {
        if self.dissolved {
            return Err(No::GuildGone.into());
        }
        let invited = self.invited.iter().find(|invited| invited.id() == by.id.id);
        let invited = invited.ok_or(No::NoInvitation)?;
        if self.members.len() >= MEMBERS_MAX {
            return Err(No::GuildFull.into());
        }
        let told = PlayerTold {
            from: by.id.id,
            name: name_of(by),
            news: News::GuildJoined.into(),
            guild: self.name.clone(),
            ..PlayerTold::default()
        };
        let joined = Event::Joined(GuildJoined { who: Some(person(by)) });
        let done = Done::new().event(&joined).tell::<Player>(invited.by, &told);
        Ok((done, GuildAnswer { name: self.name.clone(), ..GuildAnswer::default() }))
    }

    /// It never refuses: nobody has to keep an invitation.
    fn decline(&self, by: &Actor) -> Answered<Self> {
        if self.is_invited(by.id.id) {
            return happens(&Event::Uninvited(GuildUninvited { who: by.id.id }));
        }
        Ok((Done::new(), GuildAnswer::default()))
    }

    fn leave(&self, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let member = self.member(by.id.id).ok_or(No::NoGuild)?;
        if self.members.len() == 1 {
            return self.dissolve(by, cx);
        }
        if member.role() == GuildRole::Leader {
            return Err(No::HandOverFirst.into());
        }
        happens(&Event::Left(GuildLeft { who: by.id.id, by: by.id.id }))
    }

    fn remove(&self, whom: u64, by: &Actor) -> Answered<Self> {
        if let Some(member) = self.member(whom) {
            self.allows(by, Right::Remove(member.role()))?;
            return happens(&Event::Left(GuildLeft { who: whom, by: by.id.id }));
        }
        self.allows(by, Right::Invite)?;
        if !self.is_invited(whom) {
            return Err(No::NotMember.into());
        }
        happens(&Event::Uninvited(GuildUninvited { who: whom }))
    }

    fn set_role(&self, ask: AskSetRole, by: &Actor) -> Answered<Self> {
        self.allows(by, Right::Govern)?;
        let AskSetRole { whom, role } = ask;
        if self.member(whom).ok_or(No::NotMember)?.role == role {
            return Err(No::SameRole.into());
        }
        happens(&Event::RoleSet(GuildRoleSet { who: whom, role }))
    }

    fn dissolve(&self, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        if self.dissolved {
            return Err(No::GuildGone.into());
        }
        self.allows(by, Right::Govern)?;
        if !self.chest.is_empty() {
            return Err(No::ChestNotEmpty.into());
        }
        let others: Vec<u64> = self.members.iter().map(Member::id).filter(|id| *id != by.id.id).collect();
        if others.len() > DISSOLVED_MAX {
            return Err(No::TooManyMembers.into());
        }
        let kept = self.naming.keep(&self.name, cx.now, cx.world);
        let (number, until) = (kept.number, WorldTime(kept.until));
        let dissolved = Event::Dissolved(GuildDissolved { by: by.id.id, kept: Some(kept) });
        let done = Done::new().event(&dissolved).timer(&due(number), until);
        Ok((done, GuildAnswer { others, ..GuildAnswer::default() }))
    }

    // ---- the chest -----------------------------------------------------------------------------------------------

    fn put(&self, stack: Option<Stack>, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let (stack, role) = (whole(stack)?, self.allows(by, Right::Put)?);
        if !self.chest.fits(&[], &[stack], CHEST_SLOTS_MAX) {
            return Err(No::ChestFull.into());
        }
        happens(&changes(by, role, false, stack, cx.now))
    }

    fn take(&self, stack: Option<Stack>, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        let right = if cx.world.planted(Mistake::TakenWithoutRight) { Right::Put } else { Right::Take };
        let (stack, role) = (whole(stack)?, self.allows(by, right)?);
        let not_here = |no| if matches!(no, No::NotYours | No::MissingItems) { No::NotInChest } else { no };
        let stack = self.chest.named_one(stack, || cx.random()).map_err(not_here)?;
        if !self.chest.can_spend(&[stack]) {
            return Err(No::NotInChest.into());
        }
        let done = Done::new().event(&changes(by, role, true, stack, cx.now));
        Ok((done, GuildAnswer { stack: Some(shown(stack)), ..GuildAnswer::default() }))
    }

    // ---- what happened -------------------------------------------------------------------------------------------

    fn on_role_set(&mut self, fact: &GuildRoleSet) {
        for member in &mut self.members {
            if member.id() == fact.who {
                member.role = fact.role;
            } else if fact.role() == GuildRole::Leader && member.role() == GuildRole::Leader {
                member.role = GuildRole::Officer.into();
            }
        }
    }

    fn on_chest_changed(&mut self, fact: &ChestChanged) {
        let stacks = fact.stack.as_slice();
        if fact.took {
            self.chest.spend(stacks);
        } else {
            self.chest.gain(stacks);
        }
        let ChestChanged { who, took, stack, at, .. } = fact.clone();
        let stack = stack.map(shown);
        self.log.push(ChestEntry { at, who, took, stack });
        self.log.drain(..self.log.len().saturating_sub(LOG_MAX));
    }

    fn on_uninvited(&mut self, who: u64) {
        self.invited.retain(|invited| invited.id() != who);
    }
}

impl Member {
    pub(crate) fn id(&self) -> u64 {
        self.who.as_ref().map_or(0, |who| who.id)
    }
}

impl GuildInvited {
    pub(crate) fn id(&self) -> u64 {
        self.who.as_ref().map_or(0, |who| who.id)
    }
}

/// A stack of something.
fn whole(stack: Option<Stack>) -> Result<Stack, No> {
    stack.filter(|stack| stack.count > 0 && stack.item() != Item::None).ok_or(No::Unclear)
}

fn person(by: &Actor) -> Person {
    Person { id: by.id.id, name: cut(name_of(by)) }
}

/// See [`NAME_BYTES_MAX`].
fn cut(mut name: String) -> String {
    let fits = |at: &usize| *at <= NAME_BYTES_MAX;
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(fits).last().unwrap_or(0);
    name.truncate(end);
    name
}

fn changes(by: &Actor, role: GuildRole, took: bool, stack: Stack, now: WorldTime) -> Event {
    let (who, role, stack) = (Some(person(by)), role.into(), Some(stack));
    Event::ChestChanged(ChestChanged { who, role, took, stack, at: now.0 })
}

/// This, and an answer that says no more.
fn happens(event: &Event) -> Answered<Guild> {
    Ok((Done::new().event(event), GuildAnswer::default()))
}

impl Stored for Guild {
    fn load(_id: u64, _world: &Island, state: GuildState) -> Self {
        let GuildState { name, name_keys, members, invited, chest, log, founded_at, dissolved, naming } =
            state;
        let chest = Inventory::from_totals(&chest);
        // Earlier versions kept no names of those that were dissolved.
        let earlier = || Naming { keys: if dissolved { Vec::new() } else { name_keys }, ..Naming::default() };
        let naming = naming.unwrap_or_else(earlier);
        Self { name, naming, members, invited, chest, log, founded_at, dissolved }
    }

    fn save(&self) -> GuildState {
        let Self { name, naming, members, invited, chest, log, founded_at, dissolved } = self.clone();
        let (chest, name_keys, naming) = (chest.totals(), naming.keys.clone(), naming.saved());
        GuildState { name, name_keys, members, invited, chest, log, founded_at, dissolved, naming }
    }
}

impl Asked for Guild {
    fn answer(&self, wish: Wish, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        match wish {
            Wish::Found(ask) => self.found(ask, by, cx),
            Wish::Invite(ask) => self.invite(ask.who, by),
            Wish::Accept(_) => self.accept(by),
            Wish::Decline(_) => self.decline(by),
            Wish::Leave(_) => self.leave(by, cx),
            Wish::Remove(ask) => self.remove(ask.whom, by),
            Wish::SetRole(ask) => self.set_role(ask, by),
            Wish::Put(ask) => self.put(ask.stack, by, cx),
            Wish::Take(ask) => self.take(ask.stack, by, cx),
            Wish::Dissolve(_) => self.dissolve(by, cx),
            Wish::Rename(ask) => self.rename(&ask, by, cx),
        }
    }
}

impl Entity for Guild {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Founded(fact) => {
                self.name.clone_from(&fact.name);
                self.naming.keys.clone_from(&fact.name_keys);
                self.members.push(Member { who: fact.leader.clone(), role: GuildRole::Leader.into() });
                self.founded_at = fact.at;
            }
            Event::Invited(fact) => self.invited.push(fact.clone()),
            Event::Uninvited(fact) => self.on_uninvited(fact.who),
            Event::Joined(fact) => {
                self.on_uninvited(fact.who.as_ref().map_or(0, |who| who.id));
                self.members.push(Member { who: fact.who.clone(), role: GuildRole::Member.into() });
            }
            Event::Left(fact) => self.members.retain(|member| member.id() != fact.who),
            Event::RoleSet(fact) => self.on_role_set(fact),
            Event::ChestChanged(fact) => self.on_chest_changed(fact),
            Event::NameChanged(fact) => {
                self.naming.on_changed(fact);
                self.name.clone_from(&fact.name);
            }
            Event::NameFreed(fact) => self.naming.on_freed(fact.number),
            Event::PersonRenamed(fact) => self.on_person_renamed(fact.who.as_ref()),
            Event::Dissolved(fact) => {
                self.dissolved = true;
                self.naming.keys.clear();
                fact.kept.iter().for_each(|kept| self.naming.on_kept(kept));
                self.members.clear();
                self.invited.clear();
            }
        }
    }

    fn public(&self, _at: WorldTime) -> Option<GuildPublic> {
        let invited = self.invited.iter().filter_map(|invited| invited.who.clone()).collect();
        (!self.members.is_empty()).then(|| GuildPublic {
            name: self.name.clone(),
            members: self.members.clone(),
            invited,
            chest: self.chest.slots(),
            log: self.log.clone(),
            founded_at: self.founded_at,
        })
    }

    /// Its members alone.
    fn may_watch(&self, who: EntityId) -> bool {
        who.kind == Player::KIND && self.member(who.id).is_some()
    }
}
