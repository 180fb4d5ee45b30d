//! The kit as a client: what a server must do, one conversation for each rule of `docs/protocol.md`.

use crate::report::{Case, Report};

/// A server under test.
#[derive(Clone, Debug)]
pub struct World {
    /// Its address, `ws://host:port/path`.
    pub url: String,
    /// Payload of a command that succeeds for every new player.
    pub command: Option<Vec<u8>>,
    /// What the names of new players begin with.
    pub names: String,
}

/// All rules for servers, in the order of the page.
pub fn cases() -> Vec<Case<World>> {
    Vec::new()
}

/// Tries every rule whose name contains `only` on a server, `jobs` at a time.
pub fn check(world: &World, only: &str, jobs: usize) -> Report {
    Report::of(&cases(), world, only, jobs)
}
