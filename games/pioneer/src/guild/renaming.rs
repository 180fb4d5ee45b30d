//! A guild changes its name: its leader wants it, the guild takes the new name's unique names and keeps the old ones for the cool-down.
//!
//! Members have the name of their guild with them, for all to see, and those invited have it in their invitations. They get it by a
//! message after commit, a few in each tick, wherever they are: see `renaming`, where players do the same. Until then a member shows
//! the old name, which nobody else can have.

use gundo::{
    Actor, Answered, Ask, Context, Decision, Done, EntityId, Receives, Refusal, State, Timed, WorldTime,
};

use super::{Guild, NAMES, Right, cut};
use crate::kept::{due, next_to_hear, tells};
use crate::mistakes::Mistake;
use crate::names;
use crate::player::Player;
use crate::schema::{
    AskRename, GuildAnswer, NameFreed, NewName, Person, PersonRenamed, RenameGuild, guild_ask,
    guild_event::Event, guild_hears::Message, naming_timer::Timer, player_hears,
};

impl Player {
    pub(crate) fn rename_guild(&self, rename: &RenameGuild) -> Result<Decision<Self>, Refusal> {
        self.belonging.of(rename.guild)?;
        let ask = guild_ask::Ask::Rename(AskRename { name: rename.name.clone() });
        let ask = Ask::of::<Guild>(rename.guild, &ask);
        Ok(ask.then(|_: &Self, _: GuildAnswer, _| Ok(Done::new())))
    }
}

impl Guild {
    pub(super) fn rename(&self, ask: &AskRename, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        self.allows(by, Right::Govern)?;
        let name = names::accept(&ask.name)?;
        let fact = self.naming.change(&self.name, name, (cx.now, cx.world))?;
        let keys = fact.keys.iter().map(String::as_str);
        let done = Done::new().event(&Event::NameChanged(fact.clone())).take_names(NAMES, keys, cx.id);
        let mut done = done.timer(&tells(0), cx.now);
        for number in self.naming.taken_back(&fact) {
            done = done.no_timer(&due(number));
        }
        if let Some(kept) = &fact.kept {
            done = done.timer(&due(kept.number), WorldTime(kept.until));
        }
        Ok((done, GuildAnswer::default()))
    }

    /// The next ones hear the new name.
    fn tells_name(&self, after: u64, cx: &Context<'_, Self>) -> Done<Self> {
        let members = self.members.iter().map(crate::schema::Member::id);
        let people = members.chain(self.invited.iter().map(crate::schema::GuildInvited::id));
        let (next, follows) = next_to_hear(people, after);
        let was = self.naming.kept.last().map(|kept| kept.name.clone()).unwrap_or_default();
        let news = player_hears::Message::GuildRenamed(NewName { name: self.name.clone(), was });
        let last = next.last().copied();
        let done = next.into_iter().fold(Done::new(), |done, id| done.send::<Player>(id, &news));
        match last.filter(|_| follows) {
            Some(last) => done.timer(&tells(last), cx.now),
            None => done,
        }
    }

    fn frees(&self, number: u32, cx: &Context<'_, Self>) -> Done<Self> {
        let Some(kept) = self.naming.kept(number) else { return Done::new() };
        let done = Done::new().event(&Event::NameFreed(NameFreed { number }));
        let stays = cx.world.planted(Mistake::OldNameKept);
        let freed = self.naming.freed(kept).into_iter().filter(|_| !stays);
        freed.fold(done, |done, key| done.release_name(NAMES, &key))
    }

    pub(super) fn on_person_renamed(&mut self, who: Option<&Person>) {
        let Some(Person { id, name }) = who else { return };
        let members = self.members.iter_mut().filter_map(|member| member.who.as_mut());
        let invited = self.invited.iter_mut().filter_map(|invited| invited.who.as_mut());
        members.chain(invited).filter(|person| person.id == *id).for_each(|p| p.name.clone_from(name));
    }
}

impl Receives for Guild {
    /// Who has left by now is not in its lists.
    fn take(
        &self,
        message: Message,
        from: EntityId,
        _: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let Message::MemberRenamed(NewName { name, .. }) = message;
        let known = from.kind == Player::KIND && (self.member(from.id).is_some() || self.is_invited(from.id));
        let who = Some(Person { id: from.id, name: cut(name) });
        let renamed = Event::PersonRenamed(PersonRenamed { who });
        Ok(if known { Done::new().event(&renamed) } else { Done::new() }.into())
    }
}

impl Timed for Guild {
    fn on_timer(
        &self,
        timer: Timer,
        _: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        Ok(match timer {
            Timer::KeptNameDue(old) => self.frees(old.number, cx),
            Timer::NewNameDue(due) => self.tells_name(due.after, cx),
        }
        .into())
    }
}
