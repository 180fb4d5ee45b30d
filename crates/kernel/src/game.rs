//! What a game tells the engine: kinds of entities, and the rules each follows.
//!
//! A game implements [`Entity`] for each of its kinds and hands them over in [`Rules`]. The engine keeps each
//! entity behind [`AnyEntity`], which speaks bytes. No storage, no placement here.

mod context;
mod entity;
mod kinds;
mod refusal;

pub use context::{Actor, Child, Context, Neighbour, RawContext, Surroundings, TickContext};
pub use entity::{Decision, Entity, Part, RawDecision, Tell};
pub use kinds::{AnyEntity, AnyKind, Rules};
pub use refusal::{Refusal, is_running};
pub(crate) use refusal::{game_error, guard};
