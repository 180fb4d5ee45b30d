//! A small game with timers in it: savers lay coins aside for a while, in their own purse or in a box. A timer gives them back, whether
//! anybody is there or not, unless a saver takes them back before.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gundo_bots::{Behaviour, Wishes};
use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Ordered, Player, Receives, Refusal, Rules,
    State, Stored, Timed,
};
use gundo_sim::{Flows, Game, Goods, Holdings};
use gundo_types::{Body, EntityId, Point, WorldTime};
use prost::Message;

/// Coins that every saver starts with.
const BEGINNING: i32 = 40;
/// Lots that one has aside at once.
const LOTS_MAX: usize = 6;
/// Boxes, by number from 1.
const BOXES: u64 = 5;

const LAY: u32 = 1;
const BACK: u32 = 2;
const INTO_BOX: u32 = 3;

/// Everything that is said, asked, recorded and set: a lot of coins.
#[derive(Clone, Copy, PartialEq, Message)]
struct Lot {
    /// One of the constants above.
    #[prost(uint32, tag = "1")]
    what: u32,
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(sint32, tag = "3")]
    n: i32,
    /// For how long, or in which box.
    #[prost(uint64, tag = "4")]
    ms: u64,
    #[prost(uint64, tag = "5")]
    whose: u64,
}

/// The lots that somebody has aside, by number.
#[derive(Clone, PartialEq, Message)]
struct Aside {
    /// More coins than at the beginning, or less.
    #[prost(sint32, tag = "1")]
    more: i32,
    #[prost(btree_map = "uint32, sint32", tag = "2")]
    lots: BTreeMap<u32, i32>,
    #[prost(uint32, tag = "3")]
    last: u32,
}

impl Aside {
    fn apply(&mut self, lot: &Lot) {
        match lot.what {
            LAY => {
                self.more -= lot.n;
                self.last = lot.number;
                self.lots.insert(lot.number, lot.n);
            }
            // Whoever has a lot back twice has coins that nobody has made.
            BACK => {
                self.lots.remove(&lot.number);
                self.more += lot.n;
            }
            _ => self.more += lot.n,
        }
    }

    fn all(&self) -> i32 {
        self.more + self.lots.values().sum::<i32>()
    }
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "saver", player, durable = Aside, event = Lot, command = Lot)]
#[state(reply = (), public = (), private = Aside, message = Lot, ask = Lot, timer = Lot, order = Lot, order_answer = Lot)]
struct Saver(Aside);

impl Stored for Saver {
    fn load(_: u64, (): &(), aside: Aside) -> Self {
        Self(aside)
    }

    fn save(&self) -> Aside {
        self.0.clone()
    }
}

impl Player for Saver {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Lot::default()).take_name("saver", name, cx.id))
    }

    fn decide(&self, wish: Lot, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if wish.what == BACK {
            let Some((number, n)) = self.0.lots.iter().next() else {
                return Err(Refusal::new("nothing", "There is nothing."));
            };
            let lot = Lot { what: BACK, number: *number, n: *n, ..Lot::default() };
            return Ok(Done::new().event(&lot).no_timer(&lot).into());
        }
        if self.0.lots.len() >= LOTS_MAX || wish.n < 1 || wish.n > BEGINNING + self.0.more {
            return Err(Refusal::new("enough", "That is enough."));
        }
        if wish.what == INTO_BOX {
            let lot = Lot { whose: cx.id.id, ..wish };
            let paid = move |_: &Self, (), _: &mut Context<'_, Self>| {
                Ok(Done::new().event(&Lot { what: INTO_BOX, n: -wish.n, ..Lot::default() }))
            };
            return Ok(Ask::of::<Chest>(1 + u64::from(wish.number) % BOXES, &lot).then(paid));
        }
        let lot = Lot { what: LAY, number: self.0.last + 1, n: wish.n, ..Lot::default() };
        let back = Lot { what: BACK, ..lot };
        Ok(Done::new().event(&lot).timer(&back, cx.now + wish.ms).into())
    }

    fn private(&self) -> Aside {
        self.0.clone()
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(29_000, 29_000), ..Body::default() }
    }

    fn speed_max(&self, (): &()) -> u32 {
        3_000
    }
}

impl Timed for Saver {
    fn on_timer(&self, lot: Lot, _: WorldTime, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().event(&lot).into())
    }
}

impl Asked for Saver {
    fn answer(&self, lot: Lot, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&lot), ()))
    }
}

impl Receives for Saver {
    fn take(&self, lot: Lot, _: EntityId, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().event(&lot).into())
    }
}

/// An operator gives coins out of nothing, or has some laid into a box; but only while an even number of lots is aside.
impl Ordered for Saver {
    fn read_order(words: &str) -> Result<Lot, String> {
        Err(format!("nobody types here: {words}"))
    }

    fn order(&self, lot: Lot, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if self.0.lots.len() % 2 == 1 {
            return Err(Refusal::new("odd", "That would be odd."));
        }
        let answer = Lot { n: self.0.all(), ..lot };
        if lot.what == INTO_BOX {
            if lot.n > BEGINNING + self.0.more {
                return Err(Refusal::new("enough", "That is enough."));
            }
            let paid = move |_: &Self, (), _: &mut Context<'_, Self>| {
                let event = Lot { what: INTO_BOX, n: -lot.n, ..Lot::default() };
                Ok(Done::new().event(&event).answer_order(&answer))
            };
            let laid = Lot { whose: cx.id.id, ..lot };
            return Ok(Ask::of::<Chest>(1 + u64::from(lot.number) % BOXES, &laid).then(paid));
        }
        Ok(Done::new().event(&Lot { n: lot.n, ms: 1, ..Lot::default() }).answer_order(&answer).into())
    }
}

impl Entity for Saver {
    fn apply(&mut self, lot: &Lot) {
        self.0.apply(lot);
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        Some(())
    }
}

/// It gives every other lot back by a message, and the others in a transaction.
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 2, name = "chest", durable = Aside, event = Lot, ask = Lot, public = ())]
#[state(timer = Lot, asking_creates)]
struct Chest(Aside);

impl Stored for Chest {
    fn load(_: u64, (): &(), aside: Aside) -> Self {
        Self(aside)
    }

    fn save(&self) -> Aside {
        self.0.clone()
    }
}

impl Asked for Chest {
    fn answer(&self, lot: Lot, _: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        let laid = Lot { what: LAY, number: self.0.last + 1, ..lot };
        // The same timer twice: only the second time counts.
        let done = Done::new().event(&laid).timer(&laid, cx.now + 100);
        Ok((done.timer(&laid, cx.now + lot.ms), ()))
    }
}

impl Timed for Chest {
    fn on_timer(&self, lot: Lot, _: WorldTime, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let gone = Lot { what: BACK, ms: 1, ..lot };
        let coins = Lot { n: lot.n, ms: u64::from(lot.number % 2), ..Lot::default() };
        if lot.number.is_multiple_of(2) {
            let then = move |_: &Self, (), _: &mut Context<'_, Self>| Ok(Done::new().event(&gone));
            return Ok(Ask::of::<Saver>(lot.whose, &coins).then(then));
        }
        Ok(Done::new().event(&gone).send::<Saver>(lot.whose, &coins).into())
    }
}

impl Entity for Chest {
    fn apply(&mut self, lot: &Lot) {
        self.0.apply(lot);
        // It owns nothing but what is aside.
        self.0.more = 0;
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        None
    }
}

struct Thrift {
    turns: u32,
    index: u32,
}

impl Behaviour for Thrift {
    fn step(&mut self, wishes: &mut Wishes) {
        self.turns += 1;
        if !self.turns.is_multiple_of(3) || wishes.open >= 2 {
            return;
        }
        let turn = self.turns / 3 + self.index;
        let ms = [1, 150, 2_500, 6_000, 11_000][turn as usize % 5];
        let what = [LAY, INTO_BOX, LAY, INTO_BOX, BACK, INTO_BOX, BACK][turn as usize % 7];
        wishes.command(0, Lot { what, n: 1, ms, number: turn, whose: 0 }.encode_to_vec());
    }
}

pub(crate) struct Savings;

const COIN: Goods = Goods(9);

impl Game for Savings {
    fn name(&self) -> &'static str {
        "savings"
    }

    fn rules(&self, _: u64) -> Arc<Rules> {
        Arc::new(Rules::new("savings", ()).with::<Saver>().with::<Chest>())
    }

    fn mind(&self, index: usize) -> Box<dyn Behaviour> {
        Box::new(Thrift { turns: 0, index: index as u32 })
    }

    fn order(&self, entity: EntityId, chance: u64) -> Option<Bytes> {
        let what = if chance.is_multiple_of(3) { INTO_BOX } else { 0 };
        let lot = Lot { what, number: (chance >> 8) as u32, n: 1, ms: 1 + chance % 5_000, whose: 0 };
        (entity.kind == Saver::KIND).then(|| lot.encode_to_vec().into())
    }

    /// Coins that a message brings are in nobody's purse meanwhile: they leave the world with one event and come back with another.
    fn flows(&self, _: u64, entity: EntityId, _: &[u8], event: &[u8], flows: &mut Flows) {
        let lot = Lot::decode(event).expect("an event of ours");
        let n = lot.n.unsigned_abs().into();
        let by_message = lot.number % 2 == 1;
        match (entity.kind, lot.what) {
            (Chest::KIND, LAY) => flows.take(COIN, n),
            (Chest::KIND, _) if by_message => flows.destroy(COIN, n),
            (Chest::KIND, _) => flows.give(COIN, n),
            (_, INTO_BOX) => flows.give(COIN, n),
            (_, LAY | BACK) => {}
            _ if lot.ms == 1 => flows.create(COIN, n),
            _ => flows.take(COIN, n),
        }
    }

    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let aside = Aside::decode(snapshot).expect("a snapshot of ours");
        let own = if entity.kind == Saver::KIND { BEGINNING } else { 0 };
        holdings.add(COIN, (own + aside.all()).into());
    }
}
