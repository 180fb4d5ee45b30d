//! The node as one deterministic state machine.
//!
//! Plain data: no I/O, no clock, no threads, no async, no global state, no unseeded chance.
//!
//! One contract: [`Node::handle`] one input, drain [`Node::poll_output`] until it is `None`, ask
//! [`Node::poll_timeout`] when to call again at the latest, wait. Start reading at [`Node`].

pub mod game;
mod io;
mod peer;

pub use io::{Counters, Gauges, Input, Member, NodeSettings, Output, Parts, SendClass, View, WorldSettings};
pub use peer::Peer;

use gundo_types::{Now, Time};

/// A node of the cluster.
pub struct Node {}

impl Node {
    /// A node that waits for its first view.
    pub fn new(settings: NodeSettings) -> Self {
        let _ = settings;
        Self {}
    }

    /// Takes one input. Bounded work, never blocks.
    pub fn handle(&mut self, now: Now, input: Input) {
        let _ = (now, input);
    }

    /// The next thing to do; call until `None` after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Timeout`] is due at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Counters and gauges as of now.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
