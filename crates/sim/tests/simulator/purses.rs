//! A small game with money in it, whose rules can be given bugs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gundo_bots::{Behaviour, Wishes};
use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Placed, Player, Refusal, Rules, State,
    Stored,
};
use gundo_sim::{Facts, Flows, Game, Goods, Holdings};
use gundo_types::{Body, CHUNK_MM, EntityId, Point, WorldTime};
use prost::Message;

/// The bug in the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    /// Nothing, and every other coin goes into a till, which stands in the chunk.
    Tills,
    /// Tills move on with each coin, and nobody has thought of the end of the chunk.
    Astray,
    /// Every fifth coin becomes two in the chest.
    Doubles,
    /// The purse pays less than the chest gets.
    Shortchanges,
    /// More fits into a chest than should.
    Overfills,
    /// More fits into a chest than should, and one of twenty coins becomes two.
    Both,
    /// Nobody thought of a fourth coin.
    Panics,
    /// Some commands corrupt the purse they are for, and panic.
    Clumsy,
    /// All players insist on such commands.
    Stubborn,
    /// After a while the players' minds panic.
    Mad,
    /// The players play differently each time.
    Fickle,
}

/// Coins that every player starts with.
const BEGINNING: u32 = 6;
const CHEST_MAX: u32 = 15;
/// A command for this many coins finds the untested case.
const UNTRIED: u32 = 99;

/// Command, event, reply and snapshot of both kinds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Coins {
    #[prost(uint32, tag = "1")]
    pub(crate) n: u32,
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "purse", player, world = Wrong, durable = Coins, event = Coins)]
#[state(command = Coins, reply = Coins, public = (), private = Coins)]
struct Purse {
    coins: u32,
}

/// What is stored of a purse is how much was spent.
impl Stored for Purse {
    fn load(_: u64, _: &Wrong, spent: Coins) -> Self {
        Self { coins: BEGINNING - spent.n }
    }

    fn save(&self) -> Coins {
        Coins { n: BEGINNING - self.coins }
    }
}

impl Player for Purse {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Coins { n: 0 }).take_name("purse", name, cx.id))
    }

    fn decide(&self, wish: Coins, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if *cx.world == Wrong::Panics {
            assert_ne!(self.coins, BEGINNING - 3, "a fourth coin");
        }
        if wish.n == UNTRIED {
            return Ok(Done::new().event(&wish).into());
        }
        if wish.n == 0 || wish.n > self.coins {
            return Err(Refusal::new("poor", "You do not have that much."));
        }
        let body = cx.here()?;
        let pay = move |me: &Self, (), cx: &mut Context<'_, Self>| {
            let n = if *cx.world == Wrong::Shortchanges { wish.n - 1 } else { wish.n };
            Ok(Done::new().event(&Coins { n }).reply(&Coins { n: me.coins - n }))
        };
        if cx.world.has_tills() && self.coins.is_multiple_of(2) {
            let till = EntityId::placed(Till::KIND, body.chunk(), (cx.id.id % 3) as u8);
            return Ok(Ask::of::<Till>(till, &wish).then(pay));
        }
        Ok(Ask::of::<Chest>(body.chunk(), &wish).then(pay))
    }

    fn private(&self) -> Coins {
        Coins { n: self.coins }
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(29_000, 29_000), ..Body::default() }
    }

    fn speed_max(&self, _: &Wrong) -> u32 {
        3_000
    }
}

impl Entity for Purse {
    fn apply(&mut self, paid: &Coins) {
        if paid.n == UNTRIED {
            self.coins = 0;
            panic!("nobody has tried this");
        }
        self.coins -= paid.n.min(self.coins);
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        Some(())
    }
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 2, name = "chest", land, world = Wrong, durable = Coins, event = Coins)]
#[state(ask = Coins, public = Coins)]
struct Chest {
    coins: u32,
    /// Whenever this many are in it, one more appears; 0: never.
    doubles_at: u32,
}

impl Stored for Chest {
    fn load(_: u64, wrong: &Wrong, coins: Coins) -> Self {
        Self { coins: coins.n, doubles_at: doubles_at(*wrong) }
    }

    fn save(&self) -> Coins {
        Coins { n: self.coins }
    }
}

impl Asked for Chest {
    fn answer(
        &self,
        wish: Coins,
        _: &Actor,
        cx: &mut Context<'_, Self>,
    ) -> Result<(Done<Self>, ()), Refusal> {
        let overfills = matches!(cx.world, Wrong::Overfills | Wrong::Both);
        if self.coins + wish.n > CHEST_MAX && !overfills {
            return Err(Refusal::new("full", "The chest is full."));
        }
        Ok((Done::new().event(&wish), ()))
    }
}

impl Entity for Chest {
    fn apply(&mut self, got: &Coins) {
        self.coins += got.n;
        if self.doubles_at > 0 && self.coins.is_multiple_of(self.doubles_at) {
            self.coins += 1;
        }
    }

    fn public(&self, _: WorldTime) -> Option<Coins> {
        Some(self.save())
    }

    /// A chest that is full is nobody else's business.
    fn may_watch(&self, _: EntityId) -> bool {
        self.coins < CHEST_MAX
    }
}

/// Where coins are kept, too. It stands in a chunk, and moves on a little with each coin.
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 3, name = "till", placed, world = Wrong, durable = Coins, event = Coins)]
#[state(ask = Coins, public = Coins, asking_creates)]
struct Till {
    id: EntityId,
    coins: u32,
    step_mm: i32,
}

impl Stored for Till {
    fn load(id: u64, wrong: &Wrong, coins: Coins) -> Self {
        let step_mm = if *wrong == Wrong::Astray { CHUNK_MM } else { 100 };
        Self { id: EntityId::new(Self::KIND, id), coins: coins.n, step_mm }
    }

    fn save(&self) -> Coins {
        Coins { n: self.coins }
    }
}

impl Asked for Till {
    fn answer(&self, wish: Coins, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&wish), ()))
    }
}

impl Entity for Till {
    fn apply(&mut self, got: &Coins) {
        self.coins += got.n;
    }

    fn public(&self, _: WorldTime) -> Option<Coins> {
        Some(self.save())
    }
}

impl Placed for Till {
    fn place(&self) -> Option<Body> {
        let chunk = self.id.chunk_of_placed();
        let number = i32::from(self.id.number_of_placed());
        let (x, y) = (self.coins as i32 * self.step_mm, number * 1_000);
        let at = Point::new(chunk.corner().x + x, chunk.corner().y + y);
        Some(Body { island: chunk.island, at, ..Body::default() })
    }
}

impl Wrong {
    fn has_tills(self) -> bool {
        matches!(self, Self::Tills | Self::Astray)
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
    /// Turns to skip.
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

/// Fickle minds made so far: each rests longer than the one before.
static FICKLE: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Purses(pub(crate) Wrong);

const COIN: Goods = Goods(7);

impl Game for Purses {
    fn name(&self) -> &'static str {
        "purses"
    }

    fn rules(&self, _: u64) -> Arc<Rules> {
        Arc::new(Rules::new("purses", self.0).with::<Purse>().with::<Chest>().with::<Till>())
    }

    fn mind(&self, _: usize) -> Box<dyn Behaviour> {
        let rests = if self.0 == Wrong::Fickle { FICKLE.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Box::new(Payer { wrong: self.0, rests, turns: 0 })
    }

    fn flows(&self, _: u64, entity: EntityId, _: &[u8], event: &[u8], flows: &mut Flows) {
        let n = Coins::decode(event).expect("an event of ours").n.into();
        if entity.kind == Purse::KIND { flows.give(COIN, n) } else { flows.take(COIN, n) }
    }

    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let n = Coins::decode(snapshot).expect("a snapshot of ours").n;
        let coins = if entity.kind == Purse::KIND { BEGINNING - n } else { n };
        holdings.add(COIN, coins.into());
    }

    fn panics(&self) -> bool {
        matches!(self.0, Wrong::Clumsy | Wrong::Stubborn)
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let tills = facts.states(Till::KIND).count();
        if self.0.has_tills() != (tills > 0) {
            return Err(format!("{tills} tills have coins in them"));
        }
        for (id, state) in facts.states(Chest::KIND) {
            let coins = Coins::decode(state).map_err(|e| e.to_string())?.n;
            if coins > CHEST_MAX {
                return Err(format!("{coins} coins are in chest {:x}", id.id));
            }
        }
        Ok(())
    }
}
