//! Tests of a game: [`Town`] runs the rules alone, without a server; `TestWorld` (feature `testing`) runs whole worlds.
//!
//! Test most rules in a [`Town`]: players join, commands run as the engine would run them, time passes when the test says so, and
//! all randomness comes from a seed.

mod town;
#[cfg(feature = "testing")]
mod world;

pub use town::Town;
#[cfg(feature = "testing")]
pub use world::{
    ADMIN_TOKEN, Control, NodeState, NodeStatus, Page, Refused, TestSettings, TestWorld, WorldStatus,
};
