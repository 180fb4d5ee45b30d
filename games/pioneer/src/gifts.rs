//! Gifts: players give items to players next to them. All who are named get their part, or nobody does.

use gundo::{Actor, Answered, Ask, Body, Context, Decision, Done};

use crate::catalogue::is_unique;
use crate::friends::name_of;
use crate::inventory::shown;
use crate::island::Island;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Give, Given, Item, News, PlayerAnswer, PlayerReply, PlayerTold, Receive, Received, Stack,
    player_ask::Ask as Wish, player_event::Event,
};

/// How far apart the bodies may be, mm.
pub const GIVE_REACH_MM: u32 = 4_000;
/// Players who get something in one command.
pub const GIVE_PLAYERS_MAX: usize = 3;

impl Player {
    pub(crate) fn give(&self, give: Give, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, No> {
        let Give { mut to, each } = give;
        let each = each.filter(|stack| stack.count > 0 && stack.item() != Item::None).ok_or(No::Unclear)?;
        let twice = to.iter().enumerate().any(|(at, id)| to[..at].contains(id));
        if to.is_empty() || to.len() > GIVE_PLAYERS_MAX || twice {
            return Err(No::Unclear);
        }
        if to.contains(&cx.id.id) {
            return Err(No::Yourself);
        }
        if to.iter().any(|id| self.circle.has_blocked(*id)) {
            return Err(No::YouBlocked);
        }
        if is_unique(each.item()) && to.len() > 1 {
            return Err(No::OneByOne);
        }
        let each = self.items.named_one(each, || cx.random())?;
        self.spends(each, to.len())?;
        let wish = Wish::Receive(Receive { stack: Some(shown(each)) });
        // Mostly there is one. If the first refuses, no other has to wait for nothing.
        let others = to.split_off(1);
        let first = to[0];
        Ok(Ask::of::<Self>(first, &wish).then(move |me: &Self, _: PlayerAnswer, cx| {
            if others.is_empty() {
                let copies = cx.world.planted(Mistake::UniqueCopied);
                let each = if copies { me.items.another(each) } else { each };
                return Ok(me.given(vec![first], each)?.into());
            }
            let to: Vec<u64> = std::iter::once(first).chain(others.iter().copied()).collect();
            let rest = Ask::each::<Self>(others.iter().copied(), &wish);
            Ok(rest.then(move |me: &Self, _: Vec<PlayerAnswer>, _| Ok(me.given(to.clone(), each)?)))
        }))
    }

    /// What it spends on so many receivers.
    fn spends(&self, each: Stack, receivers: usize) -> Result<Stack, No> {
        let count = each.count.checked_mul(receivers as u32).ok_or(No::MissingItems)?;
        let spent = Stack { count, ..each };
        if self.items.can_spend(&[spent]) { Ok(spent) } else { Err(No::MissingItems) }
    }

    fn given(&self, to: Vec<u64>, each: Stack) -> Result<Done<Self>, No> {
        let spent = self.spends(each, to.len())?;
        let reply = PlayerReply { spent: vec![spent], ..PlayerReply::default() };
        Ok(Done::new().event(&Event::Given(Given { to, each: Some(each) })).reply(&reply))
    }

    pub(crate) fn answer_receive(
        &self,
        receive: Receive,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let gained = receive.stack.ok_or(No::Unclear)?;
        if !is_next_to(cx.world, by.body, cx.body) {
            return Err(No::TooFar.into());
        }
        // Who is blocked finds full bags: a block does not tell.
        if self.circle.has_blocked(by.id.id) || !self.has_room(&[], &[gained]) {
            return Err(No::NoRoom.into());
        }
        let received = Received { from: by.id.id, gained: Some(gained) };
        let (from, name, gift) = (by.id.id, name_of(by), Some(gained));
        let told = PlayerTold { from, name, gift, news: News::Gift.into(), ..PlayerTold::default() };
        let done = Done::new().event(&Event::Received(received)).tell::<Self>(cx.id, &told);
        Ok((done, PlayerAnswer::default()))
    }
}

/// Whether gifts and trades reach from one to the other. Somebody who is not in the world has no body.
pub(crate) fn is_next_to(island: &Island, from: Option<Body>, to: Option<Body>) -> bool {
    let near = |(from, to): (Body, Body)| from.island == to.island && from.at.within(to.at, GIVE_REACH_MM);
    island.gifts_reach_all() || from.zip(to).is_some_and(near)
}
