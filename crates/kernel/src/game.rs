//! What a game tells the engine: kinds of entities, and the rules each follows.
//!
//! A game implements [`Entity`] for each of its kinds and hands them over in [`Rules`]. The engine keeps each
//! entity behind [`AnyEntity`], which speaks bytes. No storage, no placement here.
//!
//! A kind's [`Role`] says what its entities are in the world. **Players** walk, and change their node. **Land** is the state of a
//! chunk, one for each. What is **placed** stands in a chunk for ever: its id names the chunk, its durable state says where in it
//! ([`Entity::place`]), and it begins with its first event. Land and what is placed live at the home of their chunk, are loaded
//! when somebody looks there, and are published like players, to everybody near. **Home** kinds have no place: each lives at the
//! home of its id, and nobody sees it. What each of them sees is [near](Surroundings::near) it, and the same however many nodes
//! there are.

mod context;
mod entity;
mod kinds;
mod refusal;

pub use context::{Actor, Child, Context, NEAR_CHUNKS, Neighbour, RawContext, Surroundings, TickContext};
pub use entity::{Decision, Entity, Part, RawDecision};
pub use kinds::{AnyEntity, AnyKind, Role, Rules};
pub use refusal::{Refusal, is_running};
pub(crate) use refusal::{game_error, guard};
