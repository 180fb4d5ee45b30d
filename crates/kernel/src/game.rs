//! What a game gives the engine: kinds of entities, and the rules of each.
//!
//! A game derives [`State`] for each of its kinds, implements [`Entity`] and the other traits of the kind ([`Player`], [`Asked`],
//! [`Receives`], [`Timed`], [`Ordered`], [`Ticking`], [`Placed`]), and passes them to the engine in [`Rules`]. The engine keeps each entity behind [`AnyEntity`], which
//! deals in bytes. No storage, no placement here.
//!
//! A kind's [`Role`] says what its entities are in the world. **Players** walk, and move from node to node. **Land** is the state
//! of a chunk, one for each. A **placed** entity stands in a chunk: its id names the chunk, its durable state says where in it
//! ([`Placed::place`]), and it exists from its first event. Land and placed entities live at the home of their chunk, are loaded
//! when somebody looks there, and are published like players, to everybody near. **Home** kinds have no place: each lives at the
//! home of its id, and nobody sees it. Each entity sees what is [near](Surroundings::near) it, and sees the same on any number of
//! nodes.

mod ask;
mod context;
mod decision;
mod entity;
mod kinds;
mod methods;
mod ordered;
mod pace;
mod payload;
mod refusal;
mod rules;
mod running;
mod state;
mod timed;

pub use ask::{Answers, Ask, Asking, Both, Fixed, Many, One};
pub use bytes::Bytes;
pub use context::{
    Actor, Child, Context, NEAR_CHUNKS, Neighbour, RawContext, Reads, Surroundings, TickContext, Ticked,
};
pub use decision::{
    Conclude, Decision, Done, Exists, Part, RawAsk, RawDecision, RawDone, Sending, Tell, Timing,
};
pub use entity::{Answered, Asked, Entity, Placed, Player, Receives, Ticking};
pub use gundo_macros::{Payload, State, message};
pub use gundo_types::Kind;
pub use gundo_wire::DecodeError;
pub use kinds::{AnyEntity, AnyKind};
pub use methods::{Methods, Registered};
pub use ordered::Ordered;
pub use pace::{Pace, Paces};
pub use payload::{Describe, Described, Never, Payload, Probe, Schema, Undescribed};
pub use prost;
pub use refusal::Refusal;
pub(crate) use refusal::game_error;
pub use rules::Rules;
pub(crate) use rules::{PARTS_MAX, READS_MAX};
pub(crate) use running::guard;
pub use running::{BLAME_LIMIT, Rule, Witness, is_running, set_witness};
pub use state::{Key, PLACED_MAX, Role, State, Stored};
pub use timed::Timed;
