//! Gundo: a server engine for seamless, persistent worlds. This is what a game is written against.
//!
//! A game says what its things are, what they can be asked to do, and what happens then; the engine keeps every fact durable,
//! spreads the world over nodes, and shows each player what is near. A game is a few [`Entity`] kinds handed over as
//! [`Rules`], and one line of `main`: `App` of the crate `gundo-cli` gives it the server, the bots and the tools as a command.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use gundo::prost::Message;
//! use gundo::{Body, Context, DecodeError, Decision, Entity, Kind, Point, Refusal, Rules, WorldTime};
//! use gundo_cli::App;
//!
//! /// What players of this game can do: count.
//! #[derive(Clone, PartialEq, Message)]
//! struct Count {
//!     #[prost(uint64, tag = "1")]
//!     by: u64,
//! }
//!
//! struct Counter {
//!     total: u64,
//! }
//!
//! impl Entity for Counter {
//!     const KIND: Kind = Kind(1);
//!     const NAME: &'static str = "counter";
//!     type World = ();
//!     type Command = Count;
//!     type Event = Count;
//!     type Live = ();
//!
//!     fn new(_: u64, _: &()) -> Self {
//!         Self { total: 0 }
//!     }
//!
//!     fn restore(_: u64, _: &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
//!         Count::decode(snapshot).map(|count| Self { total: count.by })
//!     }
//!
//!     fn snapshot(&self) -> Vec<u8> {
//!         Count { by: self.total }.encode_to_vec()
//!     }
//!
//!     // Chooses, changes nothing. The event is in the journal before anybody hears of it.
//!     fn decide(&self, command: Count, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
//!         if command.by > 10 {
//!             return Err(Refusal::new("too_much", "Nobody counts that fast."));
//!         }
//!         Ok(Decision::new().event(&command))
//!     }
//!
//!     // The only place where it changes: live, and after every restart.
//!     fn apply(&mut self, event: &Count) {
//!         self.total += event.by;
//!     }
//!
//!     fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
//!         Some(self.snapshot())
//!     }
//!
//!     fn spawn(&self, _: &mut Context<'_, ()>) -> Body {
//!         Body { at: Point::new(15_000, 15_000), ..Body::default() }
//!     }
//!
//!     fn speed_max(&self, _: &()) -> u32 {
//!         5_000
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     App::new("counting", |_| Rules::new::<Counter>("counting", &Arc::new(()))).run()
//! }
//! ```
//!
//! `cargo run --release` then starts a world of three nodes at <http://127.0.0.1:7600>, `-- bots 100` fills it, and
//! `-- journal stream counter 1f` shows what happened to one counter.
//!
//! # Where to read on
//! * [`Entity`]: the rules of one kind. [`Decision`], [`Context`] and [`Refusal`] are what `decide` works with.
//! * [`Rules`]: a game as a whole.
//! * `gundo_cli::App`: the command; `gundo_cli::Config`: everything that can be configured, by file, environment and flags.
//! * [`bots`]: what bots do in your game.
//! * [`testing`](https://docs.rs/gundo): with the feature `testing`, whole worlds inside tests.
//! * [`sim`](https://docs.rs/gundo): with the feature `sim`, whole worlds where everything goes wrong, from one seed.
//!
//! Not here: the command line, and anything that runs a world but for tests.

pub mod testing;

pub use bytes::Bytes;
pub use gundo_bots as bots;
pub use gundo_kernel::WorldSettings;
pub use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Asking, Context, Decision, Done, Entity, Neighbour, Never, Payload, Placed,
    Player, Refusal, Role, Rules, State, Stored, TickContext, Ticking, message,
};
#[doc(hidden)]
pub use gundo_kernel::game::{Describe, Described, Methods, Probe, Registered, Schema, Undescribed};
pub use gundo_node::WorldInfo;
#[cfg(feature = "sim")]
pub use gundo_sim as sim;
pub use gundo_types::{
    Body, CHUNK_MM, ChunkId, EntityId, HEADINGS, Kind, MOTION_UNIT_MM, NodeId, Point, WorldTime,
};
pub use gundo_wire::{DecodeError, Message};
pub use prost;

/// Everything that rules are written with: `use gundo::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Actor, Answered, Ask, Asked, Body, ChunkId, Context, Decision, Done, Entity, EntityId, Neighbour,
        Placed, Player, Point, Refusal, Rules, State, Stored, TickContext, Ticking, WorldTime, message,
    };
}
