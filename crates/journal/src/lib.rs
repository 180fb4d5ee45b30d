//! The journal as a trait, an in-memory implementation, and the conformance suite both it and real ones pass.
//!
//! A node opens one [`Line`] and speaks only through it; outcomes come back through its [`Sink`]. Start with
//! [`Journal`].

use gundo_types::{EntityId, NodeId};
use gundo_wire::journal::{Batch, Loaded, Outcome};

/// What comes back to a node.
#[derive(Debug)]
pub enum Completion {
    /// An append ended.
    Appended {
        /// [`Batch::id`].
        batch: u64,
        /// How.
        outcome: Outcome,
    },
    /// A load ended.
    Loaded {
        /// The entity.
        entity: EntityId,
        /// Echo of the request.
        load: u64,
        /// The entity, or why it could not be read.
        result: Result<Loaded, Fault>,
    },
}

/// Where a line's completions go. Called on the journal's threads: must not block.
pub type Sink = Box<dyn Fn(Completion) + Send + Sync>;

/// A journal that nodes can open lines to.
pub trait Journal: Send + Sync {
    /// Registers a new incarnation of `node` (a row in `members`) and returns its id, greater than every earlier one.
    ///
    /// # Errors
    /// The storage cannot be written.
    fn join(&self, node: NodeId) -> Result<u64, Fault>;

    /// Deletes the row of an incarnation: from now on nothing of it is accepted.
    ///
    /// # Errors
    /// The storage cannot be written; the row may still be there.
    fn leave(&self, incarnation: u64) -> Result<(), Fault>;

    /// Opens the line of an incarnation. Dropping it drops what still waits in its queue, as a crash would.
    fn line(&self, node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Line>;
}

/// One incarnation's way to the journal. Bounded; never blocks.
pub trait Line: Send {
    /// Hands over a batch. The outcome comes through the sink, for batches of one stream in order. When the line's queue is
    /// full the outcome is `Rejected` at once.
    fn append(&mut self, batch: Batch);

    /// Reads an entity, seeing every append whose outcome was given before.
    fn load(&mut self, entity: EntityId, load: u64);
}

/// Why the journal could not do what it was asked: internals for operators, never for clients.
#[derive(Debug, thiserror::Error)]
#[error("journal: {what}")]
pub struct Fault {
    /// What was tried and why it failed.
    pub what: String,
}
