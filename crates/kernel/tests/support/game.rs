//! A game small enough to keep in one's head: land has pebbles that grow back, players pick them up and put them down.
//!
//! Pebbles are conserved except for the event `Grown`, so that a checker can keep a ledger beside the system.

use std::cell::Cell;

use gundo_kernel::game::{
    self, Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Pace, Placed, Refusal, Rules, State,
    Stored, TickContext, Ticking,
};
use gundo_types::{Body, ChunkId, EntityId, Kind, Point, WorldTime};
use gundo_wire::Message;

use super::bell::{Bell, BellWish, Tower};
use super::board::{Board, BoardWish};
use super::gift::{Gift, GiftWish};
use super::vault::{Vault, VaultWish};

pub const PLAYER: Kind = Kind(1);
pub const LAND: Kind = Kind(2);
pub const STALL: Kind = Kind(3);
pub const LEDGER: Kind = Kind(4);
pub const BEETLE: Kind = Kind(100);
/// Pebbles of untouched land.
pub const STOCK: u32 = 20;
/// One taken pebble grows back in this time.
pub const GROWS_MS: u64 = 5_000;
pub const BAG_MAX: u32 = 50;
/// A command that wants this many makes the land's rules panic.
pub const PANICS: i32 = 777;
/// A command that wants this many takes the land's node down.
pub const KILLS: i32 = 666;

/// `public` panics for a player with this name.
const UGLY: &str = "ugly";

/// With this an ask of land to itself makes it ask a tower.
const CHIMES: i32 = 555;

thread_local! {
    /// A rule has done something that no node survives, such as never returning.
    pub static DEADLY: Cell<bool> = const { Cell::new(false) };
    /// Land asks the tower 9 in its ticks.
    pub static CHIMING: Cell<bool> = const { Cell::new(false) };
    /// Beetles eat pebbles.
    pub static HUNGRY: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, PartialEq, Message)]
pub struct PlayerCommand {
    /// Chunk to take from or put to, `ChunkId::to_u64`.
    #[prost(uint64, tag = "1")]
    pub chunk: u64,
    /// Take this many (positive) or put (negative).
    #[prost(sint32, tag = "2")]
    pub take: i32,
    #[prost(string, tag = "3")]
    pub say: String,
    #[prost(string, tag = "4")]
    pub rename: String,
    /// 1: panic in decide, 2: in apply; 3: decide takes the node down; 4: its rule `public` panics from now on.
    #[prost(uint32, tag = "5")]
    pub panic: u32,
    /// A second chunk to take one pebble from in the same transaction.
    #[prost(uint64, tag = "6")]
    pub also: u64,
    /// Jump this far east, mm.
    #[prost(sint32, tag = "7")]
    pub jump: i32,
    /// What to ask of the stall `whose`.
    #[prost(message, optional, tag = "8")]
    pub stall: Option<StallCommand>,
    #[prost(uint64, tag = "9")]
    pub whose: u64,
    /// Ask the entity `whose`, of kind `whose_kind`, what is near within so many mm.
    #[prost(uint32, tag = "10")]
    pub near_mm: u32,
    #[prost(uint32, tag = "11")]
    pub whose_kind: u32,
    /// Say it, without an event.
    #[prost(string, tag = "12")]
    pub show: String,
    #[prost(message, optional, tag = "20")]
    pub board: Option<BoardWish>,
    #[prost(message, optional, tag = "21")]
    pub vault: Option<VaultWish>,
    #[prost(message, optional, tag = "22")]
    pub gift: Option<GiftWish>,
    #[prost(message, optional, tag = "23")]
    pub bell: Option<BellWish>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PlayerEvent {
    #[prost(sint32, tag = "1")]
    pub gained: i32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(bool, tag = "3")]
    pub panic: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct PlayerState {
    #[prost(uint32, tag = "1")]
    pub bag: u32,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Said {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "player", player, durable = PlayerState, event = PlayerEvent)]
#[state(command = PlayerCommand, reply = LandReply, public = PlayerState, private = PlayerState, signal = Said, tell = Said)]
#[state(ask = Gift, answer = Gift, message = Gift, timer = Bell, order = Gift, order_answer = LandReply)]
pub struct Player(pub PlayerState);

impl Stored for Player {
    fn load(_: u64, (): &(), state: PlayerState) -> Self {
        Self(state)
    }

    fn save(&self) -> PlayerState {
        self.0.clone()
    }
}

impl Player {
    fn conclude(&self, gained: i32) -> Result<Done<Self>, Refusal> {
        if self.0.bag as i32 + gained > BAG_MAX as i32 {
            return Err(Refusal::new("bag_full", "Your bag is full."));
        }
        let reply = LandReply { taken: self.0.bag as i32 + gained, near: None };
        Ok(Done::new().event(&PlayerEvent { gained, ..Default::default() }).reply(&reply))
    }
}

impl game::Player for Player {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        if name.is_empty() {
            return Err(Refusal::new("bad_name", "Say your name."));
        }
        let event = PlayerEvent { name: name.into(), ..Default::default() };
        Ok(Done::new().event(&event).take_name("player", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn pace(c: &PlayerCommand) -> Option<Pace> {
        c.show.starts_with("paced").then_some(Pace::new("say", 3, 2_000))
    }

    fn decide(&self, c: PlayerCommand, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        assert!(c.panic != 1, "a planted panic in decide");
        if let Some(stall) = &c.stall {
            return Ok(Ask::of::<Stall>(c.whose, stall).then(|_: &Self, near, _| Ok(heard(&near))));
        }
        if c.near_mm > 0 {
            return self.ask_what_is_near(&c, cx);
        }
        DEADLY.set(DEADLY.get() || c.panic == 3);
        if c.panic == 4 {
            return Ok(Done::new().event(&PlayerEvent { name: UGLY.into(), ..Default::default() }).into());
        }
        if c.panic == 2 {
            return Ok(Done::new().event(&PlayerEvent { panic: true, ..Default::default() }).into());
        }
        if let Some(wish) = &c.gift {
            return wish.decide(self);
        }
        if let Some(wish) = c.bell {
            return Ok(wish.decide(cx));
        }
        if let Some(wish) = c.vault {
            return wish.decide(cx);
        }
        if let Some(wish) = c.board {
            if wish.board == 0 {
                return Ok(wish.tell().into());
            }
            return Ok(Ask::of::<Board>(wish.board, &wish).then(|_: &Self, (), _| Ok(Done::new())));
        }
        if !c.say.is_empty() {
            // The event makes it last.
            return Ok(Done::new().event(&PlayerEvent::default()).signal(&Said { text: c.say }).into());
        }
        if !c.show.is_empty() {
            return Ok(Done::new().signal(&Said { text: c.show }).into());
        }
        if !c.rename.is_empty() {
            if c.rename == self.0.name {
                return Err(Refusal::new("same_name", "That is your name already."));
            }
            let event = PlayerEvent { name: c.rename.clone(), ..Default::default() };
            let taken = Done::new().event(&event).take_name("player", &c.rename, cx.id);
            return Ok(taken.release_name("player", &self.0.name).into());
        }
        if c.jump != 0 {
            let mut body = cx.body.unwrap_or_default();
            body.at.x += c.jump;
            return Ok(Done::new().body(body).into());
        }
        if self.0.bag as i32 + c.take < 0 {
            return Err(Refusal::new("not_enough", "You have not that many."));
        }
        if c.take == 0 {
            return Err(Refusal::new("nothing", "Nothing to do."));
        }
        let land = Ask::of::<Land>(c.chunk, &LandCommand { take: c.take, near_mm: 0 });
        if c.also == 0 {
            return Ok(land.then(|me: &Self, got, _| me.conclude(got.taken)));
        }
        let both = land.and::<Land>(c.also, &LandCommand { take: 1, near_mm: 0 });
        Ok(both.then(|me: &Self, (got, more), _| me.conclude(got.taken + more.taken)))
    }

    fn private(&self) -> PlayerState {
        self.0.clone()
    }

    fn speed_max(&self, (): &()) -> u32 {
        5_000
    }

    fn walk(&self, _: &Body, to: &Body, _: &mut Context<'_, Self>) -> Result<(), Refusal> {
        let wall = to.at.y < 0;
        if wall { Err(Refusal::new("wall", "There is a wall.")) } else { Ok(()) }
    }
}

impl Entity for Player {
    fn apply(&mut self, event: &PlayerEvent) {
        if event.panic {
            // The state after this panic is wrong: nothing may build on it.
            self.0.bag += 1_000;
            panic!("a planted panic in apply");
        }
        self.0.bag = self.0.bag.saturating_add_signed(event.gained);
        if !event.name.is_empty() {
            self.0.name.clone_from(&event.name);
        }
    }

    fn public(&self, _: WorldTime) -> Option<PlayerState> {
        assert_ne!(self.0.name, UGLY, "a planted panic in public");
        Some(self.0.clone())
    }
}

impl Player {
    fn ask_what_is_near(&self, c: &PlayerCommand, cx: &Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let (near_mm, whose) = (c.near_mm, c.whose);
        Ok(match Kind(c.whose_kind as u16) {
            LAND => {
                let ask = LandCommand { near_mm, ..Default::default() };
                Ask::of::<Land>(whose, &ask)
                    .then(|_: &Self, answer, _| Ok(heard(&answer.near.unwrap_or_default())))
            }
            STALL => {
                let ask = StallCommand { near_mm, ..Default::default() };
                Ask::of::<Stall>(whose, &ask).then(|_: &Self, near, _| Ok(heard(&near)))
            }
            LEDGER => {
                let ask = StallCommand { near_mm, ..Default::default() };
                Ask::of::<Ledger>(whose, &ask).then(|_: &Self, near, _| Ok(heard(&near)))
            }
            _ => heard(&near(cx, cx.body.unwrap_or_default(), near_mm)).into(),
        })
    }
}

/// The reply with what is near.
fn heard(near: &Near) -> Done<Player> {
    Done::new().reply(&LandReply { taken: 0, near: Some(near.clone()) })
}

/// Everything near except beetles, which crawl.
#[derive(Clone, PartialEq, Message)]
pub struct Near {
    #[prost(string, repeated, tag = "1")]
    pub ids: Vec<String>,
}

fn near<E: State>(cx: &Context<'_, E>, around: Body, near_mm: u32) -> Near {
    let near = cx.near(around.island, around.at, near_mm).into_iter().filter(|n| n.id.kind != BEETLE);
    Near { ids: near.map(|n| n.id.to_string()).collect() }
}

#[derive(Clone, PartialEq, Message)]
pub struct LandCommand {
    #[prost(sint32, tag = "1")]
    pub take: i32,
    /// Say what is near within so many mm of the middle.
    #[prost(uint32, tag = "2")]
    pub near_mm: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LandReply {
    #[prost(sint32, tag = "1")]
    pub taken: i32,
    #[prost(message, optional, tag = "2")]
    pub near: Option<Near>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LandEvent {
    #[prost(sint32, tag = "1")]
    pub taken: i32,
    #[prost(uint64, tag = "2")]
    pub at: u64,
    /// Pebbles that had grown back at that time.
    #[prost(uint32, tag = "3")]
    pub grown: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LandState {
    /// Pebbles missing from the stock (negative: heaped up).
    #[prost(sint32, tag = "1")]
    pub missing: i32,
    /// Since when the next pebble grows.
    #[prost(uint64, tag = "2")]
    pub since: u64,
    /// Total of pebbles that ever grew back.
    #[prost(uint32, tag = "3")]
    pub grown: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Pebbles {
    /// Number of visible pebbles.
    #[prost(uint32, tag = "1")]
    pub n: u32,
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 2, name = "land", land, durable = LandState, event = LandEvent)]
#[state(ask = LandCommand, answer = LandReply, public = Pebbles, live = u32, timer = Bell)]
pub struct Land(pub LandState);

impl Stored for Land {
    fn load(_: u64, (): &(), state: LandState) -> Self {
        Self(state)
    }

    fn save(&self) -> LandState {
        self.0.clone()
    }
}

impl Land {
    fn grown(&self, at: WorldTime) -> u32 {
        let grown = at.0.saturating_sub(self.0.since) / GROWS_MS;
        (grown as u32).min(self.0.missing.max(0) as u32)
    }

    pub fn pebbles(&self, at: WorldTime) -> u32 {
        STOCK.saturating_add_signed(-self.0.missing) + self.grown(at)
    }
}

impl Asked for Land {
    fn answer(
        &self,
        c: LandCommand,
        by: &Actor,
        cx: &mut Context<'_, Self>,
    ) -> Result<(Done<Self>, LandReply), Refusal> {
        assert!(by.body.is_some() || by.id == cx.id, "a part comes with its actor");
        assert!(c.take != PANICS, "a planted panic of the land");
        DEADLY.set(DEADLY.get() || c.take == KILLS);
        if c.take == CHIMES {
            // What a tick wants of others goes by a timer that is due at once.
            return Ok((
                Done::new().timer(&Bell { whom: 9, ..Bell::default() }, cx.now),
                LandReply::default(),
            ));
        }
        if c.near_mm > 0 {
            let chunk = ChunkId::from_u64(cx.id.id);
            let near = Some(near(cx, middle(chunk), c.near_mm));
            return Ok((Done::new(), LandReply { taken: 0, near }));
        }
        if c.take > self.pebbles(cx.now) as i32 {
            return Err(Refusal::new("gone", "Nothing is left here."));
        }
        let event = LandEvent { taken: c.take, at: cx.now.0, grown: self.grown(cx.now) };
        Ok((Done::new().event(&event), LandReply { taken: c.take, near: None }))
    }
}

impl Entity for Land {
    fn apply(&mut self, e: &LandEvent) {
        let full = self.0.missing <= 0;
        self.0.missing += e.taken - e.grown as i32;
        self.0.grown += e.grown;
        self.0.since = if full { e.at } else { self.0.since + u64::from(e.grown) * GROWS_MS };
    }

    fn public(&self, at: WorldTime) -> Option<Pebbles> {
        Some(Pebbles { n: self.pebbles(at) })
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let grown = u64::from(self.grown(at));
        let more = (grown as i64) < i64::from(self.0.missing);
        more.then(|| WorldTime(self.0.since + (grown + 1) * GROWS_MS))
    }
}

impl Ticking for Land {
    fn tick(&self, steps: &mut u32, cx: &mut TickContext<'_, Self>) {
        let chunk = ChunkId::from_u64(cx.id.id);
        if (chunk.x + chunk.y) % 3 == 0 {
            *steps += 1;
            let corner = chunk.corner();
            // It crawls over its chunk's border and back.
            let x = corner.x + 28_000 + (*steps % 40) as i32 * 100;
            let body =
                Body { island: chunk.island, at: Point::new(x, corner.y + 5_000), heading: 0, speed: 10 };
            if HUNGRY.get() && (*steps).is_multiple_of(5) {
                cx.ask_self(&LandCommand { take: 1, near_mm: 0 });
            }
            if CHIMING.get() && (*steps).is_multiple_of(5) {
                cx.ask_self(&LandCommand { take: CHIMES, near_mm: 0 });
            }
            cx.child(BEETLE, 0, body, &Said { text: "beetle".into() });
        }
    }
}

/// A stall's ask and its event.
#[derive(Clone, PartialEq, Message)]
pub struct StallCommand {
    /// Stand this far from the chunk's corner, mm: within the chunk, unless the player makes a mistake.
    #[prost(sint32, tag = "1")]
    pub x: i32,
    /// The text on the sign.
    #[prost(string, tag = "2")]
    pub sign: String,
    /// Close: then nobody sees the stall any more.
    #[prost(bool, tag = "3")]
    pub close: bool,
    /// Say what is near within so many mm.
    #[prost(uint32, tag = "4")]
    pub near_mm: u32,
}

/// A placed entity: its state has a place in its chunk even before anybody has set it up.
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 3, name = "stall", placed, durable = StallCommand, event = StallCommand)]
#[state(public = Sign, ask = StallCommand, answer = Near, asking_creates)]
pub struct Stall {
    id: u64,
    pub state: StallCommand,
}

/// What others see of a stall.
#[derive(Clone, PartialEq, Message)]
pub struct Sign {
    #[prost(string, tag = "1")]
    pub text: String,
}

impl Stored for Stall {
    fn load(id: u64, (): &(), state: StallCommand) -> Self {
        Self { id, state }
    }

    fn save(&self) -> StallCommand {
        self.state.clone()
    }
}

impl Asked for Stall {
    fn answer(&self, c: StallCommand, _: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        if c.near_mm > 0 {
            return Ok((Done::new(), near(cx, cx.body.unwrap_or_default(), c.near_mm)));
        }
        if c.sign.is_empty() && !c.close {
            return Err(Refusal::new("nothing", "Nothing to do."));
        }
        Ok((Done::new().event(&c), Near::default()))
    }
}

impl Entity for Stall {
    fn apply(&mut self, event: &StallCommand) {
        self.state.clone_from(event);
    }

    fn public(&self, _: WorldTime) -> Option<Sign> {
        Some(Sign { text: self.state.sign.clone() })
    }
}

impl Placed for Stall {
    fn place(&self) -> Option<Body> {
        let chunk = EntityId::new(STALL, self.id).chunk_of_placed();
        let at = Point::new(chunk.corner().x + self.state.x, chunk.corner().y + 100);
        (!self.state.close).then_some(Body { island: chunk.island, at, heading: 3, speed: 9 })
    }
}

/// A kind without a place.
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 4, name = "ledger", durable = (), event = StallCommand, public = ())]
#[state(ask = StallCommand, answer = Near, asking_creates)]
pub struct Ledger;

impl Stored for Ledger {
    fn load(_: u64, (): &(), (): ()) -> Self {
        Self
    }

    fn save(&self) {}
}

impl Asked for Ledger {
    fn answer(&self, c: StallCommand, _: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new(), near(cx, middle(ChunkId::default()), c.near_mm)))
    }
}

impl Entity for Ledger {
    fn apply(&mut self, _: &StallCommand) {}

    fn public(&self, _: WorldTime) -> Option<()> {
        None
    }
}

fn middle(chunk: ChunkId) -> Body {
    let corner = chunk.corner();
    let at = Point::new(corner.x + 15_000, corner.y + 15_000);
    Body { island: chunk.island, at, ..Body::default() }
}

pub fn rules() -> Rules {
    let rules = Rules::new("pebbles", ()).with::<Player>().with::<Land>();
    rules.with::<Stall>().with::<Ledger>().with::<Board>().with::<Vault>().with::<Tower>()
}

/// The stall with this number in a chunk.
pub fn stall(chunk: ChunkId, number: u8) -> EntityId {
    EntityId::placed(STALL, chunk, number)
}

pub fn land(chunk: ChunkId) -> EntityId {
    EntityId::new(LAND, chunk.to_u64())
}
