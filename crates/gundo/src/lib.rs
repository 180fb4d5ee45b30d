//! Gundo: a server engine for seamless, persistent worlds. This is what a game is written against.
//!
//! A game says which kinds of entities there are, what they decide, and how an event changes them. The engine keeps every event
//! durable, spreads the world over nodes, and shows each player what is near. A game is a few kinds in [`Rules`] and a short
//! `main`: `App` of the crate `gundo-cli` makes a command of them, with server, bots and tools.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use gundo::prelude::*;
//! use gundo_cli::App;
//!
//! /// What a player's client can send, and what then happens.
//! #[message(by = 1)]
//! struct Count {
//!     by: u32,
//! }
//!
//! /// A player, with all that is stored of one.
//! #[message(total = 1)]
//! #[derive(State)]
//! #[state(kind = 1, name = "counter", player, event = Count, command = Count, private = Counter)]
//! struct Counter {
//!     total: u64,
//! }
//!
//! impl Player for Counter {
//!     fn create(&self, _name: &str, _cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
//!         Ok(Done::new())
//!     }
//!
//!     fn spawn(&self, _cx: &mut Context<'_, Self>) -> Body {
//!         Body { at: Point::new(15_000, 15_000), ..Body::default() }
//!     }
//!
//!     fn speed_max(&self, _world: &()) -> u32 {
//!         5_000
//!     }
//!
//!     // Decides, and changes nothing. Nobody hears of the event before it is in the journal.
//!     fn decide(&self, count: Count, _cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         if count.by > 10 {
//!             return Err(Refusal::new("too_much", "Nobody counts that fast."));
//!         }
//!         Ok(Done::new().event(&count).into())
//!     }
//!
//!     fn private(&self) -> Counter {
//!         self.clone()
//!     }
//! }
//!
//! impl Entity for Counter {
//!     // The only place where the state changes: live, and when the engine replays the journal.
//!     fn apply(&mut self, count: &Count) {
//!         self.total += u64::from(count.by);
//!     }
//!
//!     fn public(&self, _at: WorldTime) -> Option<Counter> {
//!         Some(self.clone())
//!     }
//! }
//!
//! fn rules() -> Rules {
//!     Rules::new("counting", ()).with::<Counter>()
//! }
//!
//! fn main() -> ExitCode {
//!     App::new("counting", |_| rules()).run()
//! }
//! ```
//!
//! `cargo run --release` then runs a world of three nodes at <http://127.0.0.1:7600>, `-- bots 100` fills it, and `-- --help` shows
//! the rest.
//!
//! # Where to read on
//! * The guide `docs/first-game.md` in the repository: a game with land, transactions, tests and a server, line by line.
//!   `cargo xtask new ../my-game` makes a crate of your own from it.
//! * [`message`] and [`State`](derive@State), the two macros: messages, and the head of a kind.
//! * [`Entity`], and what else a kind can be: [`Player`], [`Asked`], [`Receives`], [`Timed`], [`Ordered`], [`Placed`], [`Ticking`], [`Stored`].
//! * [`Done`], [`Decision`] and [`Ask`]: what rules return. [`Context`]: what they may look at. [`Refusal`]: a polite no.
//! * [`Rules`]: a game as a whole. `gundo_cli::App`: the command; `gundo_cli::Config`: everything that can be configured.
//! * [`traps`]: mistakes that the types catch, with what the compiler says.
//! * [`testing`]: a `Town` runs rules in a test without a server. With the feature `testing`, a `TestWorld` is a whole world with real
//!   nodes and sockets.
//! * [`bots`]: what bots do in your game.
//! * `gundo::sim`, with the feature `sim`: whole worlds where everything goes wrong, from one seed. The guide `docs/simulator.md`
//!   in the repository shows how to add a game.
//!
//! Not here: the command line, and anything that runs a world but for tests.

pub mod testing;
pub mod traps;

pub use bytes::Bytes;
pub use gundo_bots as bots;
pub use gundo_kernel::WorldSettings;
pub use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Asking, Context, Decision, Done, Entity, Key, Neighbour, Never, Ordered,
    PLACED_MAX, Pace, Payload, Placed, Player, Receives, Refusal, Role, Rules, State, Stored, TickContext,
    Ticking, Timed, message,
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

/// Names and sayings of people, by Unicode's own rules.
pub use gundo_names as names;

/// Everything that rules are written with: `use gundo::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Actor, Answered, Ask, Asked, Body, ChunkId, Context, Decision, Done, Entity, EntityId, Kind,
        Neighbour, Ordered, Pace, Placed, Player, Point, Receives, Refusal, Rules, State, Stored,
        TickContext, Ticking, Timed, WorldTime, message, names::NameRules,
    };
}
