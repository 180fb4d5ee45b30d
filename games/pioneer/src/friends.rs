//! Friends: who knows whom, who has asked whom, and who hears nothing of whom.
//!
//! A friendship and an open request are in the lists of both players, and one transaction changes both, wherever the two are: with
//! somebody who is not in the world too. Two who ask each other are friends, so to accept is to ask.
//!
//! **Blocking does not tell.** A request to somebody who has blocked the player is answered as any other, stays with the player as an
//! open request, and arrives nowhere. Gifts meet full bags, trades somebody who cannot just now. So "I have asked" may stand on one
//! side alone; "I was asked" and a friendship never do.
//!
//! Limits: [`FRIENDS_MAX`], [`REQUESTS_MAX`], [`BLOCKED_MAX`]. Who has reached one is told so; nothing is dropped for it.

use std::collections::BTreeMap;

use gundo::{Actor, Answered, Ask, Context, Decision, Done};

use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskBefriend, AskForget, FriendAsked, FriendEnded, FriendMade, News, Person, PlayerAnswer, PlayerBlocked,
    PlayerState, PlayerTold, PlayerUnblocked, player_ask::Ask as Wish, player_event::Event,
};

/// Friends of one player. The client gets all lists whenever its bag changes: they are short.
pub const FRIENDS_MAX: usize = 50;
/// Open requests that a player has made, and as many that it has got.
pub const REQUESTS_MAX: usize = 16;
/// Players whom one player blocks.
pub const BLOCKED_MAX: usize = 50;

/// Names by id. Who changes its name tells those in whose lists it is (`renaming`), but for those who block it.
pub(crate) type People = BTreeMap<u64, String>;

/// The people of one player.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Circle {
    pub(crate) friends: People,
    /// Who has asked this player.
    pub(crate) asks_me: People,
    /// Whom this player has asked.
    pub(crate) asked: People,
    pub(crate) blocked: People,
}

impl Circle {
    pub(crate) fn load(state: &PlayerState) -> Self {
        let PlayerState { friends, asks_me, asked, blocked, .. } = state;
        let [friends, asks_me, asked, blocked] = [friends, asks_me, asked, blocked]
            .map(|list| list.iter().map(|person| (person.id, person.name.clone())).collect::<People>());
        Self { friends, asks_me, asked, blocked }
    }

    /// Friends, who asks, who is asked, who is blocked.
    pub(crate) fn lists(&self) -> [Vec<Person>; 4] {
        let Self { friends, asks_me, asked, blocked } = self;
        [friends, asks_me, asked, blocked]
            .map(|list| list.iter().map(|(id, name)| Person { id: *id, name: name.clone() }).collect())
    }

    pub(crate) fn has_blocked(&self, id: u64) -> bool {
        self.blocked.contains_key(&id)
    }

    pub(crate) fn is_friend(&self, id: u64) -> bool {
        self.friends.contains_key(&id)
    }

    /// All with whom there is a friendship or a request.
    pub(crate) fn connected(&self) -> impl Iterator<Item = u64> {
        [&self.friends, &self.asks_me, &self.asked].into_iter().flat_map(|list| list.keys().copied())
    }

    /// Whether one of its lists has another name for this player.
    pub(crate) fn calls_otherwise(&self, id: u64, name: &str) -> bool {
        let lists = [&self.friends, &self.asks_me, &self.asked, &self.blocked];
        lists.iter().any(|list| list.get(&id).is_some_and(|known| known != name))
    }

    pub(crate) fn on_renamed(&mut self, who: Option<&Person>) {
        let Some(Person { id, name }) = who else { return };
        for list in [&mut self.friends, &mut self.asks_me, &mut self.asked, &mut self.blocked] {
            list.entry(*id).and_modify(|known| known.clone_from(name));
        }
    }

    /// Whether there is anything between the two that can end.
    fn knows(&self, id: u64) -> bool {
        [&self.friends, &self.asks_me, &self.asked].iter().any(|list| list.contains_key(&id))
    }

    fn end(&mut self, id: u64) {
        for list in [&mut self.friends, &mut self.asks_me, &mut self.asked] {
            list.remove(&id);
        }
    }

    pub(crate) fn on_asked(&mut self, fact: &FriendAsked) {
        let list = if fact.by_me { &mut self.asked } else { &mut self.asks_me };
        enlist(list, fact.who.as_ref());
    }

    pub(crate) fn on_made(&mut self, fact: &FriendMade) {
        fact.with.iter().for_each(|with| self.end(with.id));
        enlist(&mut self.friends, fact.with.as_ref());
    }

    pub(crate) fn on_ended(&mut self, fact: &FriendEnded) {
        let mine = self.asked.get(&fact.with).filter(|_| fact.quietly).cloned();
        self.end(fact.with);
        mine.map(|name| self.asked.insert(fact.with, name));
    }

    pub(crate) fn on_blocked(&mut self, fact: &PlayerBlocked) {
        fact.who.iter().for_each(|who| self.end(who.id));
        enlist(&mut self.blocked, fact.who.as_ref());
    }

    pub(crate) fn on_unblocked(&mut self, fact: &PlayerUnblocked) {
        self.blocked.remove(&fact.who);
    }
}

fn enlist(list: &mut People, person: Option<&Person>) {
    person.map(|person| list.insert(person.id, person.name.clone()));
}

impl Player {
    /// Asks somebody to be friends, or accepts: see the top of the file.
    pub(crate) fn befriend(&self, with: u64, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        let circle = &self.circle;
        if with == cx.id.id {
            return Err(No::Yourself);
        }
        if circle.has_blocked(with) {
            return Err(No::YouBlocked);
        }
        if circle.friends.contains_key(&with) {
            return Err(No::AlreadyFriends);
        }
        if circle.asked.contains_key(&with) {
            return Err(No::AlreadyAsked);
        }
        if circle.friends.len() >= FRIENDS_MAX {
            return Err(No::FriendsFull);
        }
        let ask = Ask::of::<Self>(with, &Wish::Befriend(AskBefriend {}));
        Ok(ask.then(move |me: &Self, answer: PlayerAnswer, cx| {
            let person = Some(Person { id: with, name: answer.name });
            if answer.both {
                let made = Event::FriendMade(FriendMade { with: person });
                return Ok(Done::new().event(&made).tell::<Self>(with, &me.news(cx.id, News::FriendMade)));
            }
            if me.circle.asked.len() >= REQUESTS_MAX {
                return Err(No::RequestsFull.into());
            }
            Ok(Done::new().event(&Event::FriendAsked(FriendAsked { who: person, by_me: true })))
        }))
    }

    pub(crate) fn answer_befriend(&self, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let (circle, id) = (&self.circle, by.id.id);
        let who = Some(Person { id, name: name_of(by) });
        if circle.asked.contains_key(&id) {
            if circle.friends.len() >= FRIENDS_MAX {
                return Err(No::TheirFriendsFull.into());
            }
            let made = Event::FriendMade(FriendMade { with: who });
            return Ok((Done::new().event(&made), PlayerAnswer { both: true, ..self.answer_named() }));
        }
        // Before the block is looked at: who is blocked gets the same answer as everybody else.
        if circle.asks_me.len() >= REQUESTS_MAX {
            return Err(No::TheirRequestsFull.into());
        }
        if circle.has_blocked(id) {
            return Ok((Done::new(), self.answer_named()));
        }
        let told = PlayerTold { from: id, name: name_of(by), ..told(News::FriendAsked) };
        let asked = Event::FriendAsked(FriendAsked { who, by_me: false });
        Ok((Done::new().event(&asked).tell::<Self>(cx.id, &told), self.answer_named()))
    }

    /// Ends a friendship, declines a request, or withdraws one.
    pub(crate) fn unfriend(&self, with: u64, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        if !self.circle.knows(with) {
            return Err(No::NotFriends);
        }
        let ended = Event::FriendEnded(FriendEnded { with, quietly: false });
        if cx.world.planted(Mistake::OneSidedFriends) {
            return Ok(Done::new().event(&ended).into());
        }
        let ask = Ask::of::<Self>(with, &Wish::Forget(AskForget { blocks: false }));
        Ok(ask.then(move |_: &Self, _: PlayerAnswer, _| Ok(Done::new().event(&ended))))
    }

    /// Ends everything between the two, a trade too.
    pub(crate) fn block(&self, whom: u64, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        if whom == cx.id.id {
            return Err(No::Yourself);
        }
        if self.circle.has_blocked(whom) {
            return Err(No::AlreadyBlocked);
        }
        if self.circle.blocked.len() >= BLOCKED_MAX {
            return Err(No::BlockedFull);
        }
        let ask = Ask::of::<Self>(whom, &Wish::Forget(AskForget { blocks: true }));
        Ok(ask.then(move |me: &Self, answer: PlayerAnswer, cx| {
            let who = Some(Person { id: whom, name: answer.name });
            let done = Done::new().event(&Event::Blocked(PlayerBlocked { who }));
            Ok(me.leaves_trade_with(whom, done, cx))
        }))
    }

    pub(crate) fn unblock(&self, who: u64) -> Result<Done<Self>, No> {
        if !self.circle.has_blocked(who) {
            return Err(No::NotBlocked);
        }
        Ok(Done::new().event(&Event::Unblocked(PlayerUnblocked { who })))
    }

    /// The other one ends what there is between the two, or blocks this player. It never refuses: nobody is held as a friend.
    pub(crate) fn answer_forget(&self, blocks: bool, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let with = by.id.id;
        let mut done = Done::new();
        if self.circle.knows(with) {
            done = done.event(&Event::FriendEnded(FriendEnded { with, quietly: blocks }));
        }
        if blocks {
            done = self.leaves_trade_with(with, done, cx);
        }
        Ok((done, self.answer_named()))
    }

    pub(crate) fn answer_named(&self) -> PlayerAnswer {
        PlayerAnswer { name: self.name.clone(), ..PlayerAnswer::default() }
    }

    /// News that this player makes for another one.
    pub(crate) fn news(&self, id: gundo::EntityId, news: News) -> PlayerTold {
        PlayerTold { from: id.id, name: self.name.clone(), ..told(news) }
    }
}

fn told(news: News) -> PlayerTold {
    PlayerTold { news: news.into(), ..Default::default() }
}

/// What an asking player is called.
pub(crate) fn name_of(by: &Actor) -> String {
    by.seen::<Player>().map(|public| public.name).unwrap_or_default()
}
