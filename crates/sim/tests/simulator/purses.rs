//! A small game with money in it, and with mistakes in its rules that can be asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use gundo_bots::{Behaviour, Wishes};
use gundo_kernel::game::{Context, Decision, Entity, Refusal, Rules};
use gundo_sim::{Facts, Flows, Game, Goods, Holdings};
use gundo_types::{Body, EntityId, Kind, Point, WorldTime};
use gundo_wire::DecodeError;
use prost::Message;

/// What is wrong with the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    /// Every fifth coin becomes two in the chest.
    Doubles,
    /// The purse pays less than the chest gets.
    Shortchanges,
    /// More fits into a chest than should.
    Overfills,
    /// More fits into a chest than should, and of twenty coins one becomes two.
    Both,
    /// Nobody has thought of a fourth coin.
    Panics,
    /// A wish now and then spoils the purse it is for, and panics.
    Clumsy,
    /// Everybody insists on such wishes.
    Stubborn,
    /// The players have had enough after a while.
    Mad,
    /// The players play otherwise each time.
    Fickle,
}

/// Coins that everybody begins with.
const BEGINNING: u32 = 6;
const CHEST_MAX: u32 = 15;
/// Whoever wishes for so many finds out that nobody has tried it.
const UNTRIED: u32 = 99;

/// Command, event, reply and snapshot of both kinds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Coins {
    #[prost(uint32, tag = "1")]
    pub(crate) n: u32,
}

struct Purse {
    coins: u32,
}

impl Entity for Purse {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "purse";
    type World = Wrong;
    type Command = Coins;
    type Event = Coins;
    type Live = ();

    fn new(_: u64, _: &Wrong) -> Self {
        Self { coins: BEGINNING }
    }

    fn restore(_: u64, _: &Wrong, snapshot: &[u8]) -> Result<Self, DecodeError> {
        Coins::decode(snapshot).map(|coins| Self { coins: coins.n })
    }

    fn snapshot(&self) -> Vec<u8> {
        Coins { n: self.coins }.encode_to_vec()
    }

    fn create(&self, name: &str, cx: &mut Context<'_, Wrong>) -> Result<Decision<Self>, Refusal> {
        Ok(Decision::new().event(&Coins { n: 0 }).take_name("purse", name, cx.id))
    }

    fn decide(&self, wish: Coins, cx: &mut Context<'_, Wrong>) -> Result<Decision<Self>, Refusal> {
        if *cx.world == Wrong::Panics {
            assert_ne!(self.coins, BEGINNING - 3, "a fourth coin");
        }
        if wish.n == UNTRIED {
            return Ok(Decision::new().event(&wish));
        }
        if wish.n == 0 || wish.n > self.coins {
            return Err(Refusal::new("poor", "You do not have that much."));
        }
        let body = cx.body.ok_or(Refusal::new("nowhere", "You are nowhere."))?;
        Ok(Decision::new().ask::<Chest>(body.chunk().to_u64(), &wish))
    }

    fn conclude(
        &self,
        wish: Coins,
        _: &[Bytes],
        cx: &mut Context<'_, Wrong>,
    ) -> Result<Decision<Self>, Refusal> {
        let n = if *cx.world == Wrong::Shortchanges { wish.n - 1 } else { wish.n };
        Ok(Decision::new().event(&Coins { n }).reply(&Coins { n: self.coins - n }))
    }

    fn apply(&mut self, paid: &Coins) {
        if paid.n == UNTRIED {
            self.coins = 0;
            panic!("nobody has tried this");
        }
        self.coins -= paid.n.min(self.coins);
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn private(&self) -> Vec<u8> {
        self.snapshot()
    }

    fn spawn(&self, _: &mut Context<'_, Wrong>) -> Body {
        Body { at: Point::new(29_000, 29_000), ..Body::default() }
    }

    fn speed_max(&self, _: &Wrong) -> u32 {
        3_000
    }
}

struct Chest {
    coins: u32,
    /// Whenever so many are in it, there is one more; 0: never.
    doubles_at: u32,
}

impl Entity for Chest {
    const KIND: Kind = Kind(2);
    const NAME: &'static str = "chest";
    type World = Wrong;
    type Command = Coins;
    type Event = Coins;
    type Live = ();

    fn new(_: u64, wrong: &Wrong) -> Self {
        Self { coins: 0, doubles_at: doubles_at(*wrong) }
    }

    fn restore(_: u64, wrong: &Wrong, snapshot: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { coins: Coins::decode(snapshot)?.n, doubles_at: doubles_at(*wrong) })
    }

    fn snapshot(&self) -> Vec<u8> {
        Coins { n: self.coins }.encode_to_vec()
    }

    fn decide(&self, wish: Coins, cx: &mut Context<'_, Wrong>) -> Result<Decision<Self>, Refusal> {
        let overfills = matches!(cx.world, Wrong::Overfills | Wrong::Both);
        if self.coins + wish.n > CHEST_MAX && !overfills {
            return Err(Refusal::new("full", "The chest is full."));
        }
        Ok(Decision::new().event(&wish))
    }

    fn apply(&mut self, got: &Coins) {
        self.coins += got.n;
        if self.doubles_at > 0 && self.coins.is_multiple_of(self.doubles_at) {
            self.coins += 1;
        }
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(self.snapshot())
    }

    /// A chest that is full is nobody else's business.
    fn may_watch(&self, _: EntityId) -> bool {
        self.coins < CHEST_MAX
    }
}

fn doubles_at(wrong: Wrong) -> u32 {
    match wrong {
        Wrong::Doubles => 5,
        Wrong::Both => 20,
        _ => 0,
    }
}

struct Payer {
    wrong: Wrong,
    /// Turns it lets pass.
    rests: u32,
    turns: u32,
}

impl Behaviour for Payer {
    fn step(&mut self, wishes: &mut Wishes) {
        self.turns += 1;
        assert!(self.turns < 30 || self.wrong != Wrong::Mad, "enough");
        if self.turns > self.rests && wishes.open < 2 {
            let untried = match self.wrong {
                Wrong::Clumsy => self.turns % 16 == 5 && self.turns < 50,
                Wrong::Stubborn => (5..40).contains(&self.turns) && !self.turns.is_multiple_of(2),
                _ => false,
            };
            let n = if untried { UNTRIED } else { 1 };
            wishes.command(0, Coins { n }.encode_to_vec());
        }
    }
}

/// Fickle minds that were ever made: each rests longer than the one before.
static FICKLE: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Purses(pub(crate) Wrong);

const COIN: Goods = Goods(7);

impl Game for Purses {
    fn name(&self) -> &'static str {
        "purses"
    }

    fn rules(&self, _: u64) -> Arc<Rules> {
        let world = Arc::new(self.0);
        Arc::new(Rules::new::<Purse>("purses", &world).land::<Chest>(&world))
    }

    fn mind(&self, _: usize) -> Box<dyn Behaviour> {
        let rests = if self.0 == Wrong::Fickle { FICKLE.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Box::new(Payer { wrong: self.0, rests, turns: 0 })
    }

    fn flows(&self, _: u64, entity: EntityId, _: &[u8], event: &[u8], flows: &mut Flows) {
        let n = Coins::decode(event).expect("an event of ours").n.into();
        if entity.kind == Purse::KIND { flows.give(COIN, n) } else { flows.take(COIN, n) }
    }

    fn holdings(&self, _: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        holdings.add(COIN, Coins::decode(snapshot).expect("a snapshot of ours").n.into());
    }

    fn panics(&self) -> bool {
        matches!(self.0, Wrong::Clumsy | Wrong::Stubborn)
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        for (id, state) in facts.states(Chest::KIND) {
            let coins = Coins::decode(state).map_err(|e| e.to_string())?.n;
            if coins > CHEST_MAX {
                return Err(format!("{coins} coins are in chest {:x}", id.id));
            }
        }
        Ok(())
    }
}
