//! The kit as a client: what a server must do, one conversation for each rule of `docs/protocol.md`.
//!
//! The conversations are in the modules, by section of the page. Each uses new players, so that they can run side by side and on
//! a world in use. `visit` has what they share.

mod entering;
mod limits;
mod playing;
mod seeing;
mod visit;

use crate::report::{Case, Report};

/// A server under test.
#[derive(Clone, Debug)]
pub struct World {
    /// Its address, `ws://host:port/path`.
    pub url: String,
    /// Payload of a command that succeeds for every new player, also when it is repeated. Without it, rules about commands are
    /// skipped.
    pub command: Option<Vec<u8>>,
    /// What the names of new players begin with; some letters follow.
    pub names: String,
}

/// All rules for servers, in the order of the page.
pub fn cases() -> Vec<Case<World>> {
    [entering::cases(), playing::cases(), seeing::cases(), limits::cases()].into_iter().flatten().collect()
}

/// Tries every rule whose name contains `only` on a server, `jobs` at a time.
pub fn check(world: &World, only: &str, jobs: usize) -> Report {
    Report::of(&cases(), world, only, jobs)
}
