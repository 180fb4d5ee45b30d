//! How far a run has come: what a caller is shown about once a second.

use std::time::Duration;

/// The phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Bots enter the world.
    Connecting = 0,
    /// All are in; nothing is measured yet.
    Settling = 1,
    /// The measured window.
    Measuring = 2,
    /// No bot asks for anything more; answers may still arrive.
    Draining = 3,
    /// All bots log out.
    Leaving = 4,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The current phase.
    pub phase: Phase,
    /// Whether the phase has just begun; otherwise about a second has passed.
    pub begun: bool,
    /// Since the run began.
    pub elapsed: Duration,
    /// Bots in the world.
    pub live: usize,
    /// Commands answered since the run began.
    pub answered: u64,
    /// Entity updates received in the window.
    pub updates: u64,
    /// Bytes received in the window.
    pub bytes: u64,
    /// Connections lost and restored since the run began.
    pub reconnects: u64,
}
