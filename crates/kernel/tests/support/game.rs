//! A game small enough to hold in one's head: land has pebbles that grow back, players pick them up and put them down.
//!
//! Pebbles are conserved but for the event `Grown`, so that a ledger can be kept beside the system.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use gundo_kernel::game::{Context, Decision, Entity, Refusal, Rules, TickContext};
use gundo_types::{Body, ChunkId, EntityId, Kind, Point, WorldTime};
use gundo_wire::{DecodeError, Message};

use super::board::{Board, BoardWish};

pub const PLAYER: Kind = Kind(1);
pub const LAND: Kind = Kind(2);
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
    #[prost(message, optional, tag = "20")]
    pub board: Option<BoardWish>,
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
        DEADLY.set(DEADLY.get() || c.panic == 3);
        if c.panic == 4 {
            return Ok(Decision::new().event(&PlayerEvent { name: UGLY.into(), ..Default::default() }));
        }
        if c.panic == 2 {
            return Ok(Decision::new().event(&PlayerEvent { panic: true, ..Default::default() }));
        }
        if let Some(wish) = c.board {
            let alone = wish.board == 0;
            return Ok(if alone { wish.tell() } else { Decision::new().ask::<Board>(wish.board, &wish) });
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
        let mut decision = Decision::new().ask::<Land>(c.chunk, &LandCommand { take: c.take });
        if c.also != 0 {
            decision = decision.ask::<Land>(c.also, &LandCommand { take: 1 });
        }
        Ok(decision)
    }

    fn conclude(
        &self,
        _: PlayerCommand,
        replies: &[Bytes],
        _: &mut Context<'_, ()>,
    ) -> Result<Decision<Self>, Refusal> {
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

#[derive(Clone, PartialEq, Message)]
pub struct LandCommand {
    #[prost(sint32, tag = "1")]
    pub take: i32,
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

    fn may_watch(&self, _: EntityId) -> bool {
        true
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

pub fn rules() -> Rules {
    let world = Arc::new(());
    Rules::new::<Player>("pebbles", &world).land::<Land>(&world).kind::<Board>(&world)
}

pub fn land(chunk: ChunkId) -> EntityId {
    EntityId::new(LAND, chunk.to_u64())
}
