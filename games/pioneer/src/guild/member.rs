//! The player's side of a guild: which one it is in, with which role, and who has invited it.

use gundo::{Actor, Answered, Ask, Context, Decision, Done, EntityId, Refusal};

use super::{Guild, INVITATIONS_MAX, cut, whole};
use crate::catalogue::stacks;
use crate::friends::name_of;
use crate::inventory::shown;
use crate::island::Island;
use crate::mistakes::Mistake;
use crate::names;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskAccept, AskDecline, AskDissolve, AskFound, AskGuildEnd, AskGuildInvite, AskGuildRole, AskInvite,
    AskLeave, AskPut, AskRemove, AskSetRole, AskTake, ChestServed, FoundGuild, GuildAnswer, GuildEntered,
    GuildExited, GuildInvitationCame, GuildInvitationEnded, GuildRole, GuildRoleChanged, Invitation, Item,
    Membership, News, Person, PlayerAnswer, PlayerReply, PlayerState, PlayerTold, SetGuildRole, Stack,
    guild_ask, player_ask::Ask as Wish, player_command::Command, player_event::Event,
};

/// The guild of a player, and the guilds that have invited it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Belonging {
    pub(crate) guild: Option<Membership>,
    /// The oldest first.
    pub(crate) invitations: Vec<Invitation>,
}

impl Belonging {
    pub(crate) fn load(state: &mut PlayerState) -> Self {
        Self { guild: state.guild.take(), invitations: std::mem::take(&mut state.invitations) }
    }

    /// The name of its guild; empty: it is in none.
    pub(crate) fn tag(&self) -> String {
        self.guild.as_ref().map(|guild| guild.name.clone()).unwrap_or_default()
    }

    /// The guild, if it is the one that the command means.
    pub(super) fn of(&self, guild: u64) -> Result<&Membership, No> {
        self.guild.as_ref().filter(|mine| mine.id == guild).ok_or(No::NoGuild)
    }

    fn invitation(&self, guild: u64) -> Option<&Invitation> {
        self.invitations.iter().find(|invitation| invitation.guild == guild)
    }

    fn forget(&mut self, guild: u64) {
        self.invitations.retain(|invitation| invitation.guild != guild);
    }

    /// Whether it is in this guild or invited into it.
    pub(crate) fn knows(&self, guild: u64) -> bool {
        self.of(guild).is_ok() || self.invitation(guild).is_some()
    }

    pub(crate) fn on_named(&mut self, guild: u64, name: &str) {
        self.guild
            .iter_mut()
            .filter(|mine| mine.id == guild)
            .for_each(|mine| name.clone_into(&mut mine.name));
        let invitations = self.invitations.iter_mut().filter(|invitation| invitation.guild == guild);
        invitations.for_each(|invitation| name.clone_into(&mut invitation.name));
    }

    /// What somebody has asked for whom the player has now blocked is gone, too.
    pub(crate) fn on_blocked(&mut self, who: Option<&Person>) {
        self.invitations
            .retain(|invitation| invitation.from.as_ref().map(|from| from.id) != who.map(|w| w.id));
    }
}

/// What a guild costs.
pub(crate) fn price(world: &Island) -> Vec<Stack> {
    // In simulated worlds hardly anybody comes to have planks.
    if world.gifts_reach_all() { stacks(&[(Item::Wood, 1)], 1) } else { stacks(&[(Item::Plank, 4)], 1) }
}

impl Player {
    /// A command about guilds.
    pub(crate) fn in_guild(
        &self,
        command: Command,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let decided = match command {
            Command::FoundGuild(found) => return self.found_guild(&found, cx),
            Command::InviteToGuild(invite) => self.invite(invite.guild, invite.whom, cx.id),
            Command::AcceptGuild(accept) => self.accept_guild(accept.guild),
            Command::DeclineGuild(decline) => self.decline_guild(decline.guild),
            Command::LeaveGuild(leave) => self.leave_guild(leave.guild, cx),
            Command::RemoveFromGuild(remove) => self.remove_from_guild(remove.guild, remove.whom, cx),
            Command::SetGuildRole(set) => self.set_guild_role(set, cx),
            Command::PutInChest(put) => self.put_in_chest(put.guild, put.stack, cx),
            Command::TakeFromChest(take) => self.take_from_chest(take.guild, take.stack),
            Command::DissolveGuild(dissolve) => self.dissolve_guild(dissolve.guild),
            Command::RenameGuild(rename) => return self.rename_guild(&rename),
            _ => Err(No::Unclear),
        };
        Ok(decided?)
    }

    // ---- in and out ----------------------------------------------------------------------------------------------

    fn found_guild(&self, found: &FoundGuild, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if self.belonging.guild.is_some() {
            return Err(No::InGuild.into());
        }
        let name = names::accept(&found.name)?;
        let spent = price(cx.world);
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems.into());
        }
        let (id, shown) = (cx.random(), name.shown.clone());
        let name_keys = name.keys().map(str::to_owned).collect();
        let ask = guild_ask::Ask::Found(AskFound { name: name.shown, name_keys });
        Ok(Ask::of::<Guild>(id, &ask).then(move |me: &Self, _: GuildAnswer, _| {
            if !me.items.can_spend(&spent) {
                return Err(No::MissingItems.into());
            }
            let guild = Membership { id, name: shown.clone(), role: GuildRole::Leader.into() };
            let entered = GuildEntered { guild: Some(guild), spent: spent.clone() };
            let reply = PlayerReply { spent: spent.clone(), ..PlayerReply::default() };
            Ok(Done::new().event(&Event::GuildEntered(entered)).reply(&reply))
        }))
    }

    fn invite(&self, guild: u64, whom: u64, id: EntityId) -> Result<Decision<Self>, No> {
        let name = self.belonging.of(guild)?.name.clone();
        if whom == id.id {
            return Err(No::Yourself);
        }
        if self.circle.has_blocked(whom) {
            return Err(No::YouBlocked);
        }
        let from = Some(Person { id: id.id, name: cut(self.name.clone()) });
        let invitation = Some(Invitation { guild, name, from });
        let wish = Wish::GuildInvite(AskGuildInvite { invitation });
        // The guild comes last: everybody waits for it, so it is locked for one round only.
        Ok(Ask::of::<Self>(whom, &wish).then(move |_: &Self, answer: PlayerAnswer, _| {
            let who = Some(Person { id: whom, name: answer.name });
            let wish = guild_ask::Ask::Invite(AskInvite { who });
            Ok(Ask::of::<Guild>(guild, &wish).then(|_: &Self, _: GuildAnswer, _| Ok(Done::new())))
        }))
    }

    pub(crate) fn answer_guild_invite(
        &self,
        ask: AskGuildInvite,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let invitation = ask.invitation.ok_or(No::Unclear)?;
        if self.belonging.guild.is_some() {
            return Err(No::TheirGuild.into());
        }
        if self.belonging.invitation(invitation.guild).is_some() {
            return Err(No::AlreadyInvited.into());
        }
        // Before the block is looked at: who is blocked gets the same answer as everybody else.
        if self.belonging.invitations.len() >= INVITATIONS_MAX {
            return Err(No::TheirInvitationsFull.into());
        }
        if self.circle.has_blocked(by.id.id) {
            return Ok((Done::new(), self.answer_named()));
        }
        let told = told(by, News::GuildInvited, &invitation.name);
        let came = Event::GuildInvitationCame(GuildInvitationCame { invitation: Some(invitation) });
        Ok((Done::new().event(&came).tell::<Self>(cx.id, &told), self.answer_named()))
    }

    fn accept_guild(&self, guild: u64) -> Result<Decision<Self>, No> {
        if self.belonging.guild.is_some() {
            return Err(No::InGuild);
        }
        self.belonging.invitation(guild).ok_or(No::NoInvitation)?;
        let wish = guild_ask::Ask::Accept(AskAccept {});
        Ok(Ask::of::<Guild>(guild, &wish).then(move |_: &Self, answer: GuildAnswer, _| {
            let joined = Membership { id: guild, name: answer.name, role: GuildRole::Member.into() };
            let entered = GuildEntered { guild: Some(joined), spent: Vec::new() };
            Ok(Done::new().event(&Event::GuildEntered(entered)))
        }))
    }

    fn decline_guild(&self, guild: u64) -> Result<Decision<Self>, No> {
        self.belonging.invitation(guild).ok_or(No::NoInvitation)?;
        let wish = guild_ask::Ask::Decline(AskDecline {});
        Ok(Ask::of::<Guild>(guild, &wish).then(move |_: &Self, _: GuildAnswer, _| {
            Ok(Done::new().event(&Event::GuildInvitationEnded(GuildInvitationEnded { guild })))
        }))
    }

    fn leave_guild(&self, guild: u64, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        self.belonging.of(guild)?;
        if cx.world.planted(Mistake::OneSidedMember) {
            return Ok(exits(guild).into());
        }
        let wish = guild_ask::Ask::Leave(AskLeave {});
        Ok(Ask::of::<Guild>(guild, &wish).then(move |_: &Self, _: GuildAnswer, _| Ok(exits(guild))))
    }

    fn remove_from_guild(&self, guild: u64, whom: u64, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        self.belonging.of(guild)?;
        if whom == cx.id.id {
            return Err(No::Yourself);
        }
        let end = Wish::GuildEnd(AskGuildEnd { guild, dissolved: false });
        let ask = Ask::of::<Guild>(guild, &guild_ask::Ask::Remove(AskRemove { whom }));
        Ok(ask.and::<Self>(whom, &end).then(|_: &Self, _: (GuildAnswer, PlayerAnswer), _| Ok(Done::new())))
    }

    /// It never refuses: the guild has decided.
    pub(crate) fn answer_guild_end(
        &self,
        ask: AskGuildEnd,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let AskGuildEnd { guild, dissolved } = ask;
        let done = if let Ok(mine) = self.belonging.of(guild) {
            let news = if dissolved { News::GuildDissolved } else { News::GuildRemoved };
            exits(guild).tell::<Self>(cx.id, &told(by, news, &mine.name))
        } else if self.belonging.invitation(guild).is_some() {
            Done::new().event(&Event::GuildInvitationEnded(GuildInvitationEnded { guild }))
        } else {
            Done::new()
        };
        Ok((done, PlayerAnswer::default()))
    }

    fn dissolve_guild(&self, guild: u64) -> Result<Decision<Self>, No> {
        self.belonging.of(guild)?;
        let wish = guild_ask::Ask::Dissolve(AskDissolve {});
        Ok(Ask::of::<Guild>(guild, &wish).then(move |_: &Self, answer: GuildAnswer, _| {
            if answer.others.is_empty() {
                return Ok(Decision::from(exits(guild)));
            }
            let end = Wish::GuildEnd(AskGuildEnd { guild, dissolved: true });
            let others = Ask::each::<Self>(answer.others, &end);
            Ok(others.then(move |_: &Self, _: Vec<PlayerAnswer>, _| Ok(exits(guild))))
        }))
    }

    fn set_guild_role(&self, set: SetGuildRole, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        let SetGuildRole { guild, whom, role } = set;
        self.belonging.of(guild)?;
        if whom == cx.id.id {
            return Err(No::Yourself);
        }
        let known = GuildRole::try_from(role).ok().filter(|role| *role != GuildRole::None);
        let hands_over = known.ok_or(No::Unclear)? == GuildRole::Leader;
        let ask = Ask::of::<Guild>(guild, &guild_ask::Ask::SetRole(AskSetRole { whom, role }));
        let ask = ask.and::<Self>(whom, &Wish::GuildRole(AskGuildRole { guild, role }));
        Ok(ask.then(move |_: &Self, _: (GuildAnswer, PlayerAnswer), _| {
            let officer = Event::GuildRoleChanged(GuildRoleChanged { role: GuildRole::Officer.into() });
            Ok(if hands_over { Done::new().event(&officer) } else { Done::new() })
        }))
    }

    pub(crate) fn answer_guild_role(
        &self,
        ask: AskGuildRole,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let mine = self.belonging.of(ask.guild).map_err(|_| No::NotMember)?;
        let told = told(by, News::GuildRole, &mine.name);
        let changed = Event::GuildRoleChanged(GuildRoleChanged { role: ask.role });
        Ok((Done::new().event(&changed).tell::<Self>(cx.id, &told), PlayerAnswer::default()))
    }

    // ---- the chest -----------------------------------------------------------------------------------------------

    fn put_in_chest(
        &self,
        guild: u64,
        stack: Option<Stack>,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, No> {
        let stack = whole(stack)?;
        self.belonging.of(guild)?;
        let stack = self.items.named_one(stack, || cx.random())?;
        if !self.items.can_spend(&[stack]) {
            return Err(No::MissingItems);
        }
        let wish = guild_ask::Ask::Put(AskPut { stack: Some(shown(stack)) });
        Ok(Ask::of::<Guild>(guild, &wish).then(move |me: &Self, _: GuildAnswer, _| {
            if !me.items.can_spend(&[stack]) {
                return Err(No::MissingItems.into());
            }
            let served = ChestServed { guild, took: false, stack: Some(stack) };
            let reply = PlayerReply { spent: vec![stack], ..PlayerReply::default() };
            Ok(Done::new().event(&Event::ChestServed(served)).reply(&reply))
        }))
    }

    fn take_from_chest(&self, guild: u64, stack: Option<Stack>) -> Result<Decision<Self>, No> {
        let stack = whole(stack)?;
        self.belonging.of(guild)?;
        let wish = guild_ask::Ask::Take(AskTake { stack: Some(stack) });
        Ok(Ask::of::<Guild>(guild, &wish).then(move |me: &Self, answer: GuildAnswer, cx| {
            // The guild says which of several unique things it is. One of an earlier version says nothing.
            let stack = answer.stack.unwrap_or(stack);
            if !me.has_room(&[], &[stack]) {
                return Err(No::InventoryFull.into());
            }
            let served = Event::ChestServed(ChestServed { guild, took: true, stack: Some(stack) });
            let twice = cx.world.planted(Mistake::ChestTakenTwice);
            let done = if twice { Done::new().event(&served) } else { Done::new() };
            let reply = PlayerReply { gained: vec![stack], ..PlayerReply::default() };
            Ok(done.event(&served).reply(&reply))
        }))
    }

    /// An event about guilds.
    pub(crate) fn on_guild(&mut self, event: &Event) {
        let belonging = &mut self.belonging;
        match event {
            Event::GuildEntered(fact) => {
                belonging.guild.clone_from(&fact.guild);
                fact.guild.iter().for_each(|guild| belonging.forget(guild.id));
                self.exchange(&fact.spent, &[]);
            }
            Event::GuildExited(_) => belonging.guild = None,
            Event::GuildInvitationCame(fact) => belonging.invitations.extend(fact.invitation.clone()),
            Event::GuildInvitationEnded(fact) => belonging.forget(fact.guild),
            Event::GuildRoleChanged(fact) => {
                belonging.guild.iter_mut().for_each(|guild| guild.role = fact.role);
            }
            Event::ChestServed(fact) if fact.took => self.exchange(&[], fact.stack.as_slice()),
            Event::ChestServed(fact) => self.exchange(fact.stack.as_slice(), &[]),
            _ => {}
        }
    }
}

fn exits(guild: u64) -> Done<Player> {
    Done::new().event(&Event::GuildExited(GuildExited { guild }))
}

fn told(by: &Actor, news: News, guild: &str) -> PlayerTold {
    let (from, name, guild) = (by.id.id, name_of(by), guild.to_owned());
    PlayerTold { from, name, news: news.into(), guild, ..PlayerTold::default() }
}
