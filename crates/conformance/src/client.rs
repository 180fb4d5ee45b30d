//! The kit as a server: what a client must do, one conversation for each rule of `docs/protocol.md`.
//!
//! The conversations are in the modules, by section of the page. A client under test keeps the contract of `stage`.

mod commands;
mod connection;
mod frames;
mod greeting;
mod messages;

use crate::report::{Case, Report};

/// A client under test: its command, and the arguments before `URL NAME`.
pub type Command = Vec<String>;

/// All rules for clients, in the order of the page.
pub fn cases() -> Vec<Case<Command>> {
    [messages::cases(), greeting::cases(), commands::cases(), frames::cases(), connection::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Tries every rule whose name contains `only` on a client, `jobs` at a time.
pub fn check(command: &Command, only: &str, jobs: usize) -> Report {
    Report::of(&cases(), command, only, jobs)
}
