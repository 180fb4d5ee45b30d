//! A game small enough to hold in one's head: land has pebbles that grow back, players pick them up and put them down.
//!
//! Pebbles are conserved but for the event `Grown`, so that a ledger can be kept beside the system.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use gundo_kernel::game::{Context, Decision, Entity, Refusal, Rules, TickContext};
use gundo_types::{Body, ChunkId, EntityId, Kind, Point, WorldTime};
use gundo_wire::{DecodeError, Message};

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
/// Whoever wants so many makes the land's rules panic.
pub const PANICS: i32 = 777;
/// Whoever wants so many takes the land's node down.
pub const KILLS: i32 = 666;

/// Who is called so cannot be looked at.
const UGLY: &str = "ugly";

thread_local! {
    /// A rule has done what no node survives: it never returned, say.
    pub static DEADLY: Cell<bool> = const { Cell::new(false) };
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
    /// 1: panic in decide, 2: in apply; 3: decide takes the node down; 4: whoever looks at it panics from now on.
    #[prost(uint32, tag = "5")]
    pub panic: u32,
    /// A second chunk to take one pebble from in the same transaction.
    #[prost(uint64, tag = "6")]
    pub also: u64,
    /// Jump this far east, mm.
    #[prost(sint32, tag = "7")]
    pub jump: i32,
    /// What a stall is asked to do, and which.
    #[prost(message, optional, tag = "8")]
    pub stall: Option<StallCommand>,
    #[prost(uint64, tag = "9")]
    pub whose: u64,
    /// Ask what is near within so many mm: `whose`, of this kind.
    #[prost(uint32, tag = "10")]
    pub near_mm: u32,
    #[prost(uint32, tag = "11")]
    pub whose_kind: u32,
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

pub struct Player(pub PlayerState);

impl Entity for Player {
    const KIND: Kind = PLAYER;
    const NAME: &'static str = "player";
    type World = ();
    type Command = PlayerCommand;
    type Event = PlayerEvent;
    type Live = ();

    fn new(_: u64, _: &()) -> Self {
        Self(PlayerState::default())
    }

    fn restore(_: u64, _: &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        PlayerState::decode(snapshot).map(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn create(&self, name: &str, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        if name.is_empty() {
            return Err(Refusal::new("bad_name", "Say your name."));
        }
        let event = PlayerEvent { name: name.into(), ..Default::default() };
        Ok(Decision::new().event(&event).take_name("player", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, ()>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn decide(&self, c: PlayerCommand, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        assert!(c.panic != 1, "a planted panic in decide");
        if let Some(stall) = &c.stall {
            return Ok(Decision::new().ask::<Stall>(c.whose, stall));
        }
        if c.near_mm > 0 {
            return self.ask_what_is_near(&c, cx);
        }
        DEADLY.set(DEADLY.get() || c.panic == 3);
        if c.panic == 4 {
            return Ok(Decision::new().event(&PlayerEvent { name: UGLY.into(), ..Default::default() }));
        }
        if c.panic == 2 {
            return Ok(Decision::new().event(&PlayerEvent { panic: true, ..Default::default() }));
        }
        if !c.say.is_empty() {
            return Ok(Decision::new().signal(&Said { text: c.say }));
        }
        if !c.rename.is_empty() {
            if c.rename == self.0.name {
                return Err(Refusal::new("same_name", "That is your name already."));
            }
            let event = PlayerEvent { name: c.rename.clone(), ..Default::default() };
            let taken = Decision::new().event(&event).take_name("player", &c.rename, cx.id);
            return Ok(taken.release_name("player", &self.0.name));
        }
        if c.jump != 0 {
            let mut body = cx.body.unwrap_or_default();
            body.at.x += c.jump;
            return Ok(Decision::new().body(body));
        }
        if self.0.bag as i32 + c.take < 0 {
            return Err(Refusal::new("not_enough", "You have not that many."));
        }
        if c.take == 0 {
            return Err(Refusal::new("nothing", "Nothing to do."));
        }
        let mut decision = Decision::new().ask::<Land>(c.chunk, &LandCommand { take: c.take, near_mm: 0 });
        if c.also != 0 {
            decision = decision.ask::<Land>(c.also, &LandCommand { take: 1, near_mm: 0 });
        }
        Ok(decision)
    }

    fn conclude(
        &self,
        c: PlayerCommand,
        replies: &[Bytes],
        _: &mut Context<'_, ()>,
    ) -> Result<Decision<Self>, Refusal> {
        if c.near_mm > 0 || c.stall.is_some() {
            let near = replies.first().map(|r| Near::decode(r.as_ref()).expect("it says what is near"));
            return Ok(Decision::new().reply(&near.unwrap_or_default()));
        }
        let gained: i32 = replies.iter().map(|r| LandReply::decode(r.as_ref()).map_or(0, |r| r.taken)).sum();
        if self.0.bag as i32 + gained > BAG_MAX as i32 {
            return Err(Refusal::new("bag_full", "Your bag is full."));
        }
        let reply = LandReply { taken: self.0.bag as i32 + gained };
        Ok(Decision::new().event(&PlayerEvent { gained, ..Default::default() }).reply(&reply))
    }

    fn apply(&mut self, event: &PlayerEvent) {
        if event.panic {
            // What it leaves behind is not to be built on.
            self.0.bag += 1_000;
            panic!("a planted panic in apply");
        }
        self.0.bag = self.0.bag.saturating_add_signed(event.gained);
        if !event.name.is_empty() {
            self.0.name.clone_from(&event.name);
        }
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        assert_ne!(self.0.name, UGLY, "a planted panic in public");
        Some(self.0.encode_to_vec())
    }

    fn private(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn speed_max(&self, (): &()) -> u32 {
        5_000
    }

    fn walk(&self, _: &Body, to: &Body, _: &mut Context<'_, ()>) -> Result<(), Refusal> {
        let wall = to.at.y < 0;
        if wall { Err(Refusal::new("wall", "There is a wall.")) } else { Ok(()) }
    }
}

impl Player {
    fn ask_what_is_near(&self, c: &PlayerCommand, cx: &Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let near_mm = c.near_mm;
        Ok(match Kind(c.whose_kind as u16) {
            LAND => Decision::new().ask::<Land>(c.whose, &LandCommand { near_mm, ..Default::default() }),
            STALL => Decision::new().ask::<Stall>(c.whose, &StallCommand { near_mm, ..Default::default() }),
            LEDGER => Decision::new().ask::<Ledger>(c.whose, &StallCommand { near_mm, ..Default::default() }),
            _ => Decision::new().reply(&near(cx, cx.body.unwrap_or_default(), near_mm)),
        })
    }
}

/// Everything near, but for beetles, which crawl.
#[derive(Clone, PartialEq, Message)]
pub struct Near {
    #[prost(string, repeated, tag = "1")]
    pub ids: Vec<String>,
}

fn near(cx: &Context<'_, ()>, around: Body, near_mm: u32) -> Near {
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
}

#[derive(Clone, PartialEq, Message)]
pub struct LandEvent {
    #[prost(sint32, tag = "1")]
    pub taken: i32,
    #[prost(uint64, tag = "2")]
    pub at: u64,
    /// Pebbles that had grown back by then.
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
    /// All that ever grew back.
    #[prost(uint32, tag = "3")]
    pub grown: u32,
}

pub struct Land(pub LandState);

impl Land {
    fn grown(&self, at: WorldTime) -> u32 {
        let grown = at.0.saturating_sub(self.0.since) / GROWS_MS;
        (grown as u32).min(self.0.missing.max(0) as u32)
    }

    pub fn pebbles(&self, at: WorldTime) -> u32 {
        STOCK.saturating_add_signed(-self.0.missing) + self.grown(at)
    }
}

impl Entity for Land {
    const KIND: Kind = LAND;
    const NAME: &'static str = "land";
    type World = ();
    type Command = LandCommand;
    type Event = LandEvent;
    type Live = u32;

    fn new(_: u64, (): &()) -> Self {
        Self(LandState::default())
    }

    fn restore(_: u64, (): &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        LandState::decode(snapshot).map(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn decide(&self, c: LandCommand, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        assert!(cx.actor.is_some_and(|a| a.body.is_some()), "a part comes with its actor");
        assert!(c.take != PANICS, "a planted panic of the land");
        DEADLY.set(DEADLY.get() || c.take == KILLS);
        if c.near_mm > 0 {
            let chunk = ChunkId::from_u64(cx.id.id);
            return Ok(Decision::new().reply(&near(cx, middle(chunk), c.near_mm)));
        }
        if c.take > self.pebbles(cx.now) as i32 {
            return Err(Refusal::new("gone", "Nothing is left here."));
        }
        let event = LandEvent { taken: c.take, at: cx.now.0, grown: self.grown(cx.now) };
        Ok(Decision::new().event(&event).reply(&LandReply { taken: c.take }))
    }

    fn apply(&mut self, e: &LandEvent) {
        let full = self.0.missing <= 0;
        self.0.missing += e.taken - e.grown as i32;
        self.0.grown += e.grown;
        self.0.since = if full { e.at } else { self.0.since + u64::from(e.grown) * GROWS_MS };
    }

    fn public(&self, at: WorldTime) -> Option<Vec<u8>> {
        Some(vec![self.pebbles(at) as u8])
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let grown = u64::from(self.grown(at));
        let more = (grown as i64) < i64::from(self.0.missing);
        more.then(|| WorldTime(self.0.since + (grown + 1) * GROWS_MS))
    }

    fn tick(&self, steps: &mut u32, cx: &mut TickContext<'_, ()>) {
        let chunk = ChunkId::from_u64(cx.id.id);
        if (chunk.x + chunk.y) % 3 == 0 {
            *steps += 1;
            let corner = chunk.corner();
            // It crawls over its chunk's border and back.
            let x = corner.x + 28_000 + (*steps % 40) as i32 * 100;
            let body =
                Body { island: chunk.island, at: Point::new(x, corner.y + 5_000), heading: 0, speed: 10 };
            cx.child(BEETLE, 0, body, &Said { text: "beetle".into() });
        }
    }
}

/// What a stall can be asked, and what happens to it.
#[derive(Clone, PartialEq, Message)]
pub struct StallCommand {
    /// Stand so far from the chunk's corner, mm: within the chunk, if the player knows what it does.
    #[prost(sint32, tag = "1")]
    pub x: i32,
    /// Have this on the sign.
    #[prost(string, tag = "2")]
    pub sign: String,
    /// Be gone.
    #[prost(bool, tag = "3")]
    pub close: bool,
    /// Say what is near within so many mm.
    #[prost(uint32, tag = "4")]
    pub near_mm: u32,
    /// Go where the decision says: it may not.
    #[prost(bool, tag = "5")]
    pub walk: bool,
}

/// A thing with a place: it stands in its chunk, also before anybody has set it up.
pub struct Stall {
    id: u64,
    pub state: StallCommand,
}

impl Entity for Stall {
    const KIND: Kind = STALL;
    const NAME: &'static str = "stall";
    type World = ();
    type Command = StallCommand;
    type Event = StallCommand;
    type Live = ();

    fn new(id: u64, (): &()) -> Self {
        Self { id, state: StallCommand::default() }
    }

    fn restore(id: u64, (): &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { id, state: StallCommand::decode(snapshot)? })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.encode_to_vec()
    }

    fn decide(&self, c: StallCommand, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        if c.near_mm > 0 {
            return Ok(Decision::new().reply(&near(cx, cx.body.unwrap_or_default(), c.near_mm)));
        }
        if c.walk {
            return Ok(Decision::new().event(&c).body(middle(cx.id.chunk_of_placed())));
        }
        if c.sign.is_empty() && !c.close {
            return Err(Refusal::new("nothing", "Nothing to do."));
        }
        Ok(Decision::new().event(&c))
    }

    fn apply(&mut self, event: &StallCommand) {
        self.state.clone_from(event);
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(self.state.sign.clone().into_bytes())
    }

    fn place(&self) -> Option<Body> {
        let chunk = EntityId::new(STALL, self.id).chunk_of_placed();
        let at = Point::new(chunk.corner().x + self.state.x, chunk.corner().y + 100);
        (!self.state.close).then_some(Body { island: chunk.island, at, heading: 3, speed: 9 })
    }
}

/// Something without a place.
pub struct Ledger;

impl Entity for Ledger {
    const KIND: Kind = LEDGER;
    const NAME: &'static str = "ledger";
    type World = ();
    type Command = StallCommand;
    type Event = StallCommand;
    type Live = ();

    fn new(_: u64, (): &()) -> Self {
        Self
    }

    fn restore(_: u64, (): &(), _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decide(&self, c: StallCommand, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        Ok(Decision::new().reply(&near(cx, middle(ChunkId::default()), c.near_mm)))
    }

    fn apply(&mut self, _: &StallCommand) {}

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        None
    }
}

fn middle(chunk: ChunkId) -> Body {
    let corner = chunk.corner();
    let at = Point::new(corner.x + 15_000, corner.y + 15_000);
    Body { island: chunk.island, at, ..Body::default() }
}

pub fn rules() -> Rules {
    let world = Arc::new(());
    let rules = Rules::new::<Player>("pebbles", &world).land::<Land>(&world);
    rules.placed::<Stall>(&world).kind::<Ledger>(&world)
}

/// The stall with this number in a chunk.
pub fn stall(chunk: ChunkId, number: u16) -> EntityId {
    EntityId::placed(STALL, chunk, number)
}

pub fn land(chunk: ChunkId) -> EntityId {
    EntityId::new(LAND, chunk.to_u64())
}
