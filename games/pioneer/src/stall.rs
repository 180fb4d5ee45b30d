//! Market stalls: an owner puts things up for a price in other things, and anybody next to the stall buys, whether the owner is there
//! or away.
//!
//! A stall is a building, which the land lists, and an entity of its own with what is in it. What is on offer and what was earned is in
//! the stall (escrow), and nowhere else; every move is one transaction of the stall and one player. So a sale waits for nobody but the
//! two, and the owner's node may be down.
//!
//! **Why nobody pays what it has not seen.** An offer has a number, which no other offer of this stall ever gets, and a version, which
//! goes up with each change of its price. A purchase names both.
//!
//! | first | then | what happens |
//! | --- | --- | --- |
//! | the owner changes the price | B buys what it saw | `offer_changed` |
//! | the owner withdraws the offer | B buys | `no_offer` |
//! | others buy some | B buys | it gets what it wants, at the same price, if so many are left |
//! | others buy the last | B buys | `sold_out`; nobody gets a part of what it asked for |
//! | B buys | the owner withdraws as many as it saw | `sold_out`; it looks again |
//! | the owner takes the stall down | B buys | `no_stall`. It must be empty before |
//! | B buys, and its client repeats that | | the engine repeats the answer |
//!
//! Limits: [`OFFERS_MAX`], [`PROCEEDS_MAX`]. What the stall has earned is for all to see.

use gundo::{Actor, Answered, Asked, Context, Done, Entity, Point, State, Stored, WorldTime};

use crate::catalogue::is_unique;
use crate::geometry::ISLAND;
use crate::island::Island;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Buy, Item, News, Offered, PlayerTold, PutUp, Reprice, Repriced, Sold, Stack, StallAnswer, StallClosed,
    StallPublic, StallState, TakeProceeds, Withdraw, Withdrawn, stall_ask::Ask, stall_event::Event,
};

/// Offers of one stall, sold-out ones too. A new one takes the place of the oldest that is sold out.
pub const OFFERS_MAX: usize = 12;
/// Most of one item that a stall keeps for its owner: beyond that it does not sell.
pub const PROCEEDS_MAX: u32 = 1_000;
/// How far from the middle of a stall one may stand, mm.
pub const STALL_REACH_MM: u32 = 4_000;

/// A stall. Its id is in the land's list of buildings.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 61, name = "stall", world = Island, durable = StallState, event = Event, public = StallPublic)]
#[state(ask = Ask, answer = StallAnswer)]
pub struct Stall {
    /// All of it is for everybody to see. No owner: it was taken down.
    seen: StallPublic,
    /// The highest number of an offer so far.
    numbers: u32,
}

impl Stall {
    fn offer(&self, number: u32) -> Result<&Offered, No> {
        // A sold-out offer may have made room for another one.
        let gone = if number <= self.numbers { No::NoOffer } else { No::Unclear };
        self.seen.offers.iter().find(|offer| offer.number == number).ok_or(gone)
    }

    fn earned(&self, item: Item) -> u32 {
        self.seen.proceeds.iter().filter(|stack| stack.item() == item).map(|stack| stack.count).sum()
    }

    fn put_up(&self, ask: PutUp) -> Answered<Self> {
        let (lot, price) = (ask.lot.ok_or(No::Unclear)?, ask.price.ok_or(No::Unclear)?);
        let goods = times(lot, ask.lots).ok_or(No::Unclear)?;
        let is_full = self.seen.offers.len() >= OFFERS_MAX && self.seen.offers.iter().all(|o| o.left > 0);
        let number = self.numbers.checked_add(1).filter(|_| !is_full).ok_or(No::StallFull)?;
        let (lot, price, version, left) = (Some(lot), Some(price), 1, ask.lots);
        let put_up = Event::PutUp(Offered { number, version, lot, price, left });
        Ok((Done::new().event(&put_up), StallAnswer { goods: Some(goods), price: None }))
    }

    fn reprice(&self, ask: Reprice) -> Answered<Self> {
        let offer = self.offer(ask.offer)?;
        let version = offer.version.checked_add(1).ok_or(No::Unclear)?;
        if same_item(offer.lot, ask.price) {
            return Err(No::SamePrice.into());
        }
        let repriced = Event::Repriced(Repriced { offer: ask.offer, price: ask.price, version });
        Ok((Done::new().event(&repriced), StallAnswer::default()))
    }

    fn withdraw(&self, ask: Withdraw) -> Answered<Self> {
        let offer = self.offer(ask.offer)?;
        if ask.lots > offer.left || (ask.lots == 0 && offer.left > 0) {
            return Err(No::SoldOut.into());
        }
        let goods = offer.lot.and_then(|lot| times(lot, ask.lots)).filter(|goods| goods.count > 0);
        let withdrawn = Event::Withdrawn(Withdrawn { offer: ask.offer, lots: ask.lots, goods });
        Ok((Done::new().event(&withdrawn), StallAnswer { goods, price: None }))
    }

    fn sell(&self, ask: Buy, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let offer = self.offer(ask.offer)?;
        if offer.version != ask.version {
            return Err(No::OfferChanged.into());
        }
        if ask.lots == 0 || ask.lots > offer.left {
            return Err(No::SoldOut.into());
        }
        let total = |each: Option<Stack>| each.and_then(|each| times(each, ask.lots));
        let goods = total(offer.lot).ok_or(No::Unclear)?;
        let price = total(offer.price).ok_or(No::MissingItems)?;
        // An offer from before things had ids.
        if !is_price(price) {
            return Err(No::PriceUnique.into());
        }
        if self.earned(price.item()).saturating_add(price.count) > PROCEEDS_MAX {
            return Err(No::StallRich.into());
        }
        let lots = if cx.world.planted(Mistake::SoldTwice) { 0 } else { ask.lots };
        let sold = Some(goods).filter(|_| lots > 0);
        let fact = Sold { offer: ask.offer, lots, goods: sold, price: Some(price), to: by.id.id };
        let buyer = by.seen::<Player>().map(|public| public.name).unwrap_or_default();
        let (news, gift) = (News::Sold.into(), Some(goods));
        let told = PlayerTold { from: by.id.id, name: buyer, news, gift, ..PlayerTold::default() };
        let owner = self.seen.owner.as_ref().map_or(0, |owner| owner.id);
        let done = Done::new().event(&Event::Sold(fact)).tell::<Player>(owner, &told);
        Ok((done, StallAnswer { goods: Some(goods), price: Some(price) }))
    }

    fn pay_out(&self, ask: TakeProceeds) -> Answered<Self> {
        let stack = ask.stack.filter(|stack| stack.count > 0).ok_or(No::Unclear)?;
        if self.earned(stack.item()) < stack.count {
            return Err(No::NotEarned.into());
        }
        let answer = StallAnswer { goods: Some(stack), price: None };
        Ok((Done::new().event(&Event::ProceedsTaken(stack)), answer))
    }

    fn close(&self) -> Answered<Self> {
        if !self.seen.proceeds.is_empty() || self.seen.offers.iter().any(|offer| offer.left > 0) {
            return Err(No::StallNotEmpty.into());
        }
        Ok((Done::new().event(&Event::Closed(StallClosed {})), StallAnswer::default()))
    }

    /// The only change of an offer's lots: it ends when its owner takes back the last.
    fn on_fewer(&mut self, number: u32, lots: u32, by_owner: bool) {
        let offer = self.seen.offers.iter_mut().find(|offer| offer.number == number);
        let Some(offer) = offer else { return };
        offer.left = offer.left.saturating_sub(lots);
        if by_owner && offer.left == 0 {
            self.seen.offers.retain(|offer| offer.number != number);
        }
    }

    fn on_earned(&mut self, price: Stack) {
        match self.seen.proceeds.iter_mut().find(|stack| stack.item == price.item) {
            Some(stack) => stack.count = stack.count.saturating_add(price.count),
            None => self.seen.proceeds.push(price),
        }
    }

    fn on_put_up(&mut self, offer: &Offered) {
        if self.seen.offers.len() >= OFFERS_MAX
            && let Some(at) = self.seen.offers.iter().position(|offer| offer.left == 0)
        {
            self.seen.offers.remove(at);
        }
        self.numbers = offer.number;
        self.seen.offers.push(*offer);
    }
}

/// So many of these. `None`: nobody has so much.
pub(crate) fn times(each: Stack, lots: u32) -> Option<Stack> {
    Some(Stack { count: each.count.checked_mul(lots)?, ..each })
}

/// Whether it can be a price: goods that are counted. What is unique would have to be named by the buyer, and the stall keeps sums.
pub(crate) fn is_price(price: Stack) -> bool {
    price.id == 0 && !price.first_id && !is_unique(price.item())
}

pub(crate) fn same_item(one: Option<Stack>, other: Option<Stack>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.item == other.item)
}

impl Stored for Stall {
    fn load(_id: u64, _world: &Island, state: StallState) -> Self {
        Self { seen: state.seen.unwrap_or_default(), numbers: state.numbers }
    }

    fn save(&self) -> StallState {
        StallState { seen: Some(self.seen.clone()), numbers: self.numbers }
    }
}

impl Asked for Stall {
    fn answer(&self, ask: Ask, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        if let Ask::Open(seen) = ask {
            return Ok((Done::new().event(&Event::Opened(seen)), StallAnswer::default()));
        }
        let owner = self.seen.owner.as_ref().ok_or(No::NoStall)?.id;
        let middle = Point::new(self.seen.x, self.seen.y);
        let is_near = by.body.is_some_and(|b| b.island == ISLAND && b.at.within(middle, STALL_REACH_MM));
        // Who takes it down needs no more than the reach of those who build.
        if !is_near && !cx.world.gifts_reach_all() && !matches!(ask, Ask::Close(_)) {
            return Err(No::TooFar.into());
        }
        let is_owner = owner == by.id.id && by.id.kind == Player::KIND;
        match ask {
            Ask::Buy(_) if is_owner => Err(No::Yourself.into()),
            Ask::Buy(buy) => self.sell(buy, by, cx),
            _ if !is_owner => Err(No::NotOwner.into()),
            Ask::Open(_) => Err(No::Unclear.into()),
            Ask::Close(_) => self.close(),
            Ask::PutUp(ask) => self.put_up(ask),
            Ask::Reprice(ask) => self.reprice(ask),
            Ask::Withdraw(ask) => self.withdraw(ask),
            Ask::TakeProceeds(ask) => self.pay_out(ask),
        }
    }
}

impl Entity for Stall {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Opened(seen) => self.seen = seen.clone(),
            Event::Closed(_) => self.seen = StallPublic::default(),
            Event::PutUp(offer) => self.on_put_up(offer),
            Event::Repriced(fact) => {
                for offer in self.seen.offers.iter_mut().filter(|offer| offer.number == fact.offer) {
                    (offer.price, offer.version) = (fact.price, fact.version);
                }
            }
            Event::Withdrawn(fact) => self.on_fewer(fact.offer, fact.lots, true),
            Event::Sold(fact) => {
                self.on_fewer(fact.offer, fact.lots, false);
                fact.price.iter().for_each(|price| self.on_earned(*price));
            }
            Event::ProceedsTaken(taken) => {
                for stack in self.seen.proceeds.iter_mut().filter(|stack| stack.item == taken.item) {
                    stack.count = stack.count.saturating_sub(taken.count);
                }
                self.seen.proceeds.retain(|stack| stack.count > 0);
            }
        }
    }

    fn public(&self, _at: WorldTime) -> Option<StallPublic> {
        self.seen.owner.is_some().then(|| self.seen.clone())
    }
}
