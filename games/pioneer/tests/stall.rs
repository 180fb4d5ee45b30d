//! Stalls: one sells while its owner is away, at the price that the buyer has seen, and nothing is sold twice.

mod support;

use gundo::{ChunkId, EntityId, Point, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    Building, Buy, Item, News, PlayerReply, PlayerTold, PutUp, Reprice, Stack, StallPublic, TakeProceeds,
    Withdraw,
};
use pioneer::{OFFERS_MAX, PROCEEDS_MAX, Player, SLOTS_MAX, STALL_REACH_MM, Stall};
use support::{Town, no, stack};

type Answer = Result<PlayerReply, Refusal>;

/// Ada with a stall and things, Bob next to it with stone.
struct Market {
    town: Town,
    ada: EntityId,
    bob: EntityId,
    stall: u64,
    /// The chunk that lists the stall, and its number there.
    built: (ChunkId, u32),
    at: Point,
}

fn wood(count: u32) -> Stack {
    stack(Item::Wood, count)
}

fn stone(count: u32) -> Stack {
    stack(Item::Stone, count)
}

impl Market {
    fn new() -> Self {
        let mut town = Town::new();
        let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
        town.give(ada, Item::Plank, 4);
        town.give(ada, Item::Wood, 60);
        town.give(bob, Item::Stone, 60);
        let at = support::free_spot(&town);
        let beside = Point::new(at.x, at.y - 2_000);
        [ada, bob].into_iter().for_each(|who| town.stand(who, beside));
        let reply = town.build(ada, Building::Stall, at, 0).expect("a free spot");
        assert_eq!(reply.spent, [stack(Item::Plank, 4)]);
        let built = (ChunkId::of(0, at), reply.thing);
        Self { town, ada, bob, stall: reply.entity, built, at }
    }

    fn wish(&mut self, who: EntityId, command: Command) -> Answer {
        self.town.pass_ms(10_000);
        self.town.wish(who, command)
    }

    fn put_up(&mut self, who: EntityId, lot: Stack, price: Stack, lots: u32) -> Answer {
        let put_up = PutUp { stall: self.stall, lot: Some(lot), price: Some(price), lots };
        self.wish(who, Command::PutUp(put_up))
    }

    fn buy(&mut self, who: EntityId, offer: u32, version: u32, lots: u32) -> Answer {
        self.wish(who, Command::Buy(Buy { stall: self.stall, offer, version, lots }))
    }

    fn reprice(&mut self, who: EntityId, offer: u32, price: Stack) -> Answer {
        self.wish(who, Command::Reprice(Reprice { stall: self.stall, offer, price: Some(price) }))
    }

    fn withdraw(&mut self, who: EntityId, offer: u32, lots: u32) -> Answer {
        self.wish(who, Command::Withdraw(Withdraw { stall: self.stall, offer, lots }))
    }

    fn take(&mut self, who: EntityId, stack: Stack) -> Answer {
        self.wish(who, Command::TakeProceeds(TakeProceeds { stall: self.stall, stack: Some(stack) }))
    }

    fn seen(&mut self) -> StallPublic {
        self.town.public::<Stall>(self.stall).expect("it is there")
    }

    /// Number, version and lots of its offers.
    fn offers(&mut self) -> Vec<(u32, u32, u32)> {
        self.seen().offers.iter().map(|offer| (offer.number, offer.version, offer.left)).collect()
    }

    /// Wood and stone in the bag.
    fn bag(&mut self, who: EntityId) -> [u32; 2] {
        [Item::Wood, Item::Stone].map(|item| self.town.count(who, item))
    }
}

#[test]
fn it_sells_while_its_owner_is_away() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    assert_eq!(m.put_up(ada, wood(5), stone(2), 4).expect("has it").spent, [wood(20)]);
    assert_eq!(m.bag(ada), [40, 0], "it is out of her bag");
    // She is far away.
    m.town.stand(ada, Point::new(m.at.x + 60_000, m.at.y));
    let reply = m.buy(bob, 1, 1, 3).expect("three lots");
    assert_eq!((reply.gained, reply.spent), (vec![wood(15)], vec![stone(6)]));
    assert_eq!((m.bag(bob), m.offers()), ([15, 54], vec![(1, 1, 1)]));
    let heard: Vec<PlayerTold> = m.town.heard::<Player>(ada);
    let heard: Vec<_> = heard.iter().map(|told| (told.news(), told.name.as_str(), told.gift)).collect();
    assert_eq!(heard, [(News::Sold, "Bob", Some(wood(15)))]);
    assert_eq!(no(m.buy(bob, 1, 1, 2)), "sold_out");
    m.buy(bob, 1, 1, 1).expect("the last");
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "sold_out");
    assert_eq!(m.seen().proceeds, [stone(8)]);
    assert_eq!(no(m.take(ada, stone(8))), "too_far");
    m.town.stand(ada, m.at);
    assert_eq!(no(m.take(ada, stone(9))), "not_earned");
    m.take(ada, stone(3)).expect("some of it");
    m.take(ada, stone(5)).expect("the rest");
    assert_eq!(no(m.take(ada, stone(1))), "not_earned");
    assert_eq!((m.bag(ada), m.bag(bob)), ([40, 8], [20, 52]));
    assert_eq!(m.seen().proceeds, []);
}

#[test]
fn nobody_pays_what_it_has_not_seen() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    m.put_up(ada, wood(5), stone(2), 4).expect("has it");
    m.reprice(ada, 1, stone(20)).expect("her own");
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "offer_changed");
    assert_eq!(no(m.buy(bob, 1, 3, 1)), "offer_changed");
    assert_eq!(m.offers(), [(1, 2, 4)]);
    m.buy(bob, 1, 2, 1).expect("what is there now");
    assert_eq!(m.bag(bob), [5, 40]);
    m.withdraw(ada, 1, 3).expect("what is left");
    assert_eq!((m.offers(), m.bag(ada)), (vec![], [55, 0]));
    assert_eq!(no(m.buy(bob, 1, 2, 1)), "no_offer");
    assert_eq!(no(m.withdraw(ada, 1, 1)), "no_offer");
    assert_eq!(no(m.reprice(ada, 1, stone(1))), "no_offer");
    // Another offer is another number.
    m.put_up(ada, wood(1), stone(1), 1).expect("has it");
    assert_eq!(m.offers(), [(2, 1, 1)]);
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "no_offer");
}

#[test]
fn an_owner_takes_back_what_nobody_has_bought() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    m.put_up(ada, wood(5), stone(2), 4).expect("has it");
    m.buy(bob, 1, 1, 1).expect("one");
    assert_eq!(no(m.withdraw(ada, 1, 4)), "sold_out");
    assert_eq!(no(m.withdraw(ada, 1, 0)), "sold_out");
    assert_eq!(m.withdraw(ada, 1, 1).expect("one").gained, [wood(5)]);
    assert_eq!(m.offers(), [(1, 1, 2)]);
    m.town.give(ada, Item::Wood, 15);
    m.town.give(ada, Item::Axe, SLOTS_MAX - 3);
    assert_eq!(no(m.withdraw(ada, 1, 2)), "inventory_full");
    assert_eq!((m.offers(), m.bag(ada)), (vec![(1, 1, 2)], [60, 0]), "nothing has moved");
    // What is sold out goes without anything.
    m.buy(bob, 1, 1, 2).expect("the rest");
    assert_eq!(m.offers(), [(1, 1, 0)]);
    assert_eq!(m.withdraw(ada, 1, 0).expect("the sign").gained, []);
    assert_eq!(m.offers(), []);
}

#[test]
fn only_its_owner_runs_it_and_only_others_buy() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    m.put_up(ada, wood(5), stone(2), 4).expect("has it");
    assert_eq!(no(m.buy(ada, 1, 1, 1)), "yourself");
    for answer in [
        m.put_up(bob, stone(1), wood(1), 1),
        m.reprice(bob, 1, stone(1)),
        m.withdraw(bob, 1, 1),
        m.take(bob, stone(1)),
    ] {
        assert_eq!(no(answer), "not_owner");
    }
    m.town.stand(bob, Point::new(m.at.x + STALL_REACH_MM as i32 + 1, m.at.y));
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "too_far");
    m.town.stand(bob, Point::new(m.at.x + STALL_REACH_MM as i32, m.at.y));
    m.buy(bob, 1, 1, 1).expect("next to it");
}

#[test]
fn who_cannot_pay_or_carry_buys_nothing() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    m.put_up(ada, wood(5), stone(31), 4).expect("has it");
    assert_eq!(no(m.buy(bob, 1, 1, 2)), "missing_items");
    m.put_up(ada, wood(1), stone(1), 1).expect("has it");
    m.town.give(bob, Item::Axe, SLOTS_MAX - 3);
    assert_eq!(no(m.buy(bob, 2, 1, 1)), "inventory_full");
    // The price makes room: it was the last in its slot.
    m.town.give(ada, Item::Rope, 1);
    m.put_up(ada, stack(Item::Rope, 1), stone(20), 1).expect("has it");
    m.buy(bob, 3, 1, 1).expect("one slot for another");
    assert_eq!(m.bag(bob), [0, 40]);
}

#[test]
fn a_stall_has_limits() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    for _ in 0..OFFERS_MAX {
        m.put_up(ada, wood(1), stone(1), 1).expect("room");
    }
    assert_eq!(no(m.put_up(ada, wood(1), stone(1), 1)), "stall_full");
    m.buy(bob, 3, 1, 1).expect("there");
    m.put_up(ada, wood(1), stone(1), 1).expect("in the place of the one that is sold out");
    let numbers: Vec<u32> = m.offers().iter().map(|offer| offer.0).collect();
    assert_eq!(numbers, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(no(m.buy(bob, 3, 1, 1)), "no_offer");
    // It keeps so much for its owner, and no more.
    m.withdraw(ada, 1, 1).expect("hers");
    m.put_up(ada, wood(1), stone(100), 12).expect("has it");
    for _ in 0..9 {
        m.town.give(bob, Item::Stone, 100);
        m.buy(bob, 14, 1, 1).expect("it keeps that");
    }
    assert_eq!(m.seen().proceeds, [stone(901)]);
    assert_eq!(PROCEEDS_MAX, 1_000);
    m.town.give(bob, Item::Stone, 100);
    assert_eq!(no(m.buy(bob, 14, 1, 1)), "stall_rich");
    m.take(ada, stone(100)).expect("hers");
    m.buy(bob, 14, 1, 1).expect("it has room again");
}

#[test]
fn only_an_empty_stall_is_taken_down() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    let (chunk, thing) = m.built;
    m.put_up(ada, wood(5), stone(2), 1).expect("has it");
    assert_eq!(no(m.town.demolish(ada, chunk, thing)), "stall_not_empty");
    m.buy(bob, 1, 1, 1).expect("one");
    assert_eq!(no(m.town.demolish(ada, chunk, thing)), "stall_not_empty");
    m.take(ada, stone(2)).expect("hers");
    assert_eq!(no(m.town.demolish(bob, chunk, thing)), "not_owner");
    let reply = m.town.demolish(ada, chunk, thing).expect("nothing in it");
    assert_eq!(reply.gained, [stack(Item::Plank, 2)]);
    assert_eq!(m.town.public::<Stall>(m.stall), None);
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "no_stall");
    assert_eq!(no(m.put_up(ada, wood(1), stone(1), 1)), "no_stall");
    assert!(m.town.land(chunk).buildings.is_empty());
    // Another one has another id.
    m.town.give(ada, Item::Plank, 4);
    let at = m.at;
    let other = m.town.build(ada, Building::Stall, at, 0).expect("the same spot");
    assert_ne!(other.entity, m.stall);
    assert_eq!(m.town.land(chunk).buildings[0].entity, other.entity);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut m = Market::new();
    let (ada, bob) = (m.ada, m.bob);
    let nothing = stack(Item::None, 1);
    for (lot, price, lots, code) in [
        (wood(0), stone(1), 1, "unclear"),
        (wood(1), stone(0), 1, "unclear"),
        (wood(1), nothing, 1, "unclear"),
        (nothing, stone(1), 1, "unclear"),
        (Stack { item: 4_711, count: 1, ..Stack::default() }, stone(1), 1, "unclear"),
        (wood(1), Stack { item: -1, count: 1, ..Stack::default() }, 1, "unclear"),
        (wood(1), stone(1), 0, "unclear"),
        (wood(u32::MAX), stone(1), 2, "unclear"),
        (wood(1), wood(2), 1, "same_price"),
        (wood(61), stone(1), 1, "missing_items"),
        (wood(31), stone(1), 2, "missing_items"),
        (wood(1), stone(1), u32::MAX, "missing_items"),
    ] {
        assert_eq!(no(m.put_up(ada, lot, price, lots)), code, "{lots} of {lot:?} for {price:?}");
    }
    m.put_up(ada, wood(1), stone(1 << 31), 4).expect("whatever she hopes for");
    assert_eq!(no(m.buy(bob, 1, 1, 4)), "missing_items");
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "stall_rich");
    assert_eq!(no(m.buy(bob, 1, 1, 0)), "unclear");
    assert_eq!(no(m.buy(bob, 1, 1, u32::MAX)), "sold_out");
    assert_eq!(no(m.buy(bob, 7, 1, 1)), "unclear");
    assert_eq!(no(m.reprice(ada, 1, wood(1))), "same_price");
    assert_eq!(no(m.reprice(ada, 1, stone(0))), "unclear");
    assert_eq!(no(m.take(ada, stone(0))), "unclear");
    m.stall ^= 1;
    assert_eq!(no(m.buy(bob, 1, 1, 1)), "no_such_entity");
}
