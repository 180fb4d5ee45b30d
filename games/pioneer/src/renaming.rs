//! A player changes its name: what it takes and keeps, when it gives the old name up, and who hears of it.
//!
//! **One append** takes the unique names of the new name and keeps the old ones; of two who want the same name, the journal gives it to
//! one, and the other one hears `name_taken`. A player that letters find by its name is listed at the new name's address in the same
//! transaction. The old address stays for as long as the old name is kept.
//!
//! **Who sees it when.** Those in sight see it at once, with the player. Friends, and those with a request between them, have names in
//! their lists: they get a message after commit, as the guild does, [`HEAR_AT_ONCE`](crate::kept::HEAR_AT_ONCE) in a decision. A timer
//! sends the next ones, in the tick after. So all of them know it within about a second; players who are away take it too. A
//! message that cannot be taken for an hour is given up, and the list then has the old name until the next rename. What was written
//! keeps the name with which it was written: letters, a chest's log, the sign of a stall, and the lists of those who block the player.
//!
//! | when a node dies | then |
//! | --- | --- |
//! | before the append | nothing has happened; the client sends its command again |
//! | after it | the command gets its recorded answer; the journal owes the timers, and those owe the messages |
//! | when the old name is over | the timer rings again until one append has released it |

use gundo::{Ask, Context, Decision, Done, EntityId, Receives, Refusal, State, Timed, WorldTime};

use crate::addresses::{Address, address_of};
use crate::guild::Guild;
use crate::kept::{AGAIN_MS, due, next_to_hear, tells};
use crate::mistakes::Mistake;
use crate::names;
use crate::player::{NAMES, Player};
use crate::schema::{
    AddressEntry, GuildNamed, NameChanged, NameFreed, NewName, News, Person, PersonRenamed, PlayerTold,
    Register, Rename, guild_hears, naming_timer::Timer, player_event::Event, player_hears::Message,
};

impl Player {
    pub(crate) fn rename(&self, rename: &Rename, cx: &Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let name = names::accept(&rename.name)?;
        let fact = self.naming.change(&self.name, name, (cx.now, cx.world))?;
        let listed = |keys: &[String]| keys.first().cloned();
        let key = listed(&fact.keys).filter(|_| self.listed);
        match key.filter(|key| Some(key) != listed(&self.naming.keys_of(&self.name)).as_ref()) {
            None => Ok(self.renamed(&fact, cx).into()),
            Some(key) => {
                let id = address_of(&key);
                let entry = Some(AddressEntry { key, player: cx.id.id });
                let ask = Ask::of::<Address>(id, &Register { entry, gone: false });
                Ok(ask.then(move |me: &Self, (), cx| Ok(me.renamed(&fact, cx))))
            }
        }
    }

    fn renamed(&self, fact: &NameChanged, cx: &Context<'_, Self>) -> Done<Self> {
        let keys = fact.keys.iter().map(String::as_str);
        let done = Done::new().event(&Event::NameChanged(fact.clone())).take_names(NAMES, keys, cx.id);
        let mut done = done.timer(&tells(0), cx.now);
        for number in self.naming.taken_back(fact) {
            done = done.no_timer(&due(number));
        }
        if let Some(kept) = &fact.kept {
            done = done.timer(&due(kept.number), WorldTime(kept.until));
            if cx.world.planted(Mistake::NameFreedEarly) {
                done = kept.keys.iter().fold(done, |done, key| done.release_name(NAMES, key));
            }
        }
        match &self.belonging.guild {
            Some(guild) => {
                let news = NewName { name: fact.name.clone(), was: self.name.clone() };
                done.send::<Guild>(guild.id, &guild_hears::Message::MemberRenamed(news))
            }
            None => done,
        }
    }

    /// Whether it is called so, or keeps that name.
    pub(crate) fn is_called(&self, key: &str) -> bool {
        self.naming.all_keys(&self.name).iter().any(|mine| mine == key)
    }

    /// The time of an old name is over.
    fn frees(&self, number: u32, cx: &Context<'_, Self>) -> Decision<Self> {
        // It has gone back to it.
        let Some(kept) = self.naming.kept(number) else { return Done::new().into() };
        let freed = self.naming.freed(kept);
        let stays = cx.world.planted(Mistake::OldNameKept);
        let free = move |freed: &[String]| {
            let done = Done::new().event(&Event::NameFreed(NameFreed { number }));
            let released = freed.iter().filter(|_| !stays);
            released.fold(done, |done, key| done.release_name(NAMES, key))
        };
        let address = kept.keys.first().filter(|key| self.listed && freed.contains(key)).cloned();
        let Some(key) = address else { return free(&freed).into() };
        let id = address_of(&key);
        let entry = Some(AddressEntry { key, player: cx.id.id });
        let ask = Ask::of::<Address>(id, &Register { entry, gone: true });
        ask.then(move |_: &Self, (), _| Ok(free(&freed)))
    }

    /// The next ones hear the new name.
    fn tells_name(&self, after: u64, cx: &Context<'_, Self>) -> Done<Self> {
        let (next, follows) = next_to_hear(self.circle.connected(), after);
        let was = self.naming.kept.last().map(|kept| kept.name.clone()).unwrap_or_default();
        let news = Message::Renamed(NewName { name: self.name.clone(), was });
        let last = next.last().copied();
        let done = next.into_iter().fold(Done::new(), |done, id| done.send::<Self>(id, &news));
        match last.filter(|_| follows) {
            Some(last) => done.timer(&tells(last), cx.now),
            None => done,
        }
    }

    fn hears_of_person(&self, news: NewName, from: u64, me: EntityId) -> Done<Self> {
        let NewName { name, was } = news;
        if !self.circle.calls_otherwise(from, &name) {
            return Done::new();
        }
        let who = Some(Person { id: from, name: name.clone() });
        let done = Done::new().event(&Event::PersonRenamed(PersonRenamed { who }));
        if !self.circle.is_friend(from) {
            return done;
        }
        let news = News::Renamed.into();
        done.tell::<Self>(me, &PlayerTold { from, name, text: was, news, ..PlayerTold::default() })
    }

    fn hears_of_guild(&self, news: NewName, guild: u64, me: EntityId) -> Done<Self> {
        let NewName { name, was } = news;
        if !self.belonging.knows(guild) {
            return Done::new();
        }
        let done = Done::new().event(&Event::GuildNamed(GuildNamed { guild, name: name.clone() }));
        if self.belonging.guild.as_ref().is_none_or(|mine| mine.id != guild) {
            return done;
        }
        let news = News::GuildRenamed.into();
        done.tell::<Self>(me, &PlayerTold { guild: name, text: was, news, ..PlayerTold::default() })
    }

    /// An event about names.
    pub(crate) fn on_name(&mut self, event: &Event) {
        match event {
            Event::NameChanged(fact) => {
                self.naming.on_changed(fact);
                self.name.clone_from(&fact.name);
            }
            Event::NameFreed(fact) => self.naming.on_freed(fact.number),
            Event::PersonRenamed(fact) => self.circle.on_renamed(fact.who.as_ref()),
            Event::GuildNamed(fact) => self.belonging.on_named(fact.guild, &fact.name),
            _ => {}
        }
    }
}

impl Receives for Player {
    fn take(
        &self,
        message: Message,
        from: EntityId,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let done = match message {
            Message::Renamed(news) if from.kind == Self::KIND => self.hears_of_person(news, from.id, cx.id),
            Message::GuildRenamed(news) if from.kind == Guild::KIND => {
                self.hears_of_guild(news, from.id, cx.id)
            }
            _ => Done::new(),
        };
        Ok(done.into())
    }
}

impl Timed for Player {
    fn on_timer(
        &self,
        timer: Timer,
        _: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        Ok(match timer {
            Timer::KeptNameDue(old) => self.frees(old.number, cx),
            Timer::NewNameDue(due) => self.tells_name(due.after, cx).into(),
        })
    }

    /// The address could not be asked: the name is kept a little longer.
    fn on_timer_refused(
        &self,
        timer: Timer,
        _: WorldTime,
        _: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        match timer {
            Timer::KeptNameDue(_) => Done::new().timer(&timer, cx.now + AGAIN_MS),
            Timer::NewNameDue(_) => Done::new(),
        }
    }
}
