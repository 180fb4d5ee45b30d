//! The messages between the coordinator and the participants of a transaction.

use bytes::Bytes;
use gundo_types::NodeId;
use gundo_wire::journal::{NameChange, Outcome, StreamAppend};

use crate::game::{Actor, Exists, Refusal};

/// A transaction: the node that coordinates it and its count there. No two transactions have the same id, also when a node comes
/// back with a new incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxId {
    /// The coordinator.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its incarnation's count.
    pub count: u64,
}

/// How old a transaction is: world time of its first try, then node and count. Smaller is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub u64, pub NodeId, pub u64);

/// Messages between the coordinator and the participants of a transaction.
#[derive(Clone, Debug)]
pub enum TxMessage {
    /// To a participant: decide this, then take no other work and append nothing.
    Prepare {
        /// The transaction's age.
        age: Age,
        /// The game's ask.
        ask: Bytes,
        /// Whether it must exist.
        exists: Exists,
        /// Who asks.
        actor: Actor,
        /// Nobody else is asked now, and the coordinator has no append in flight: the participant's node may append.
        alone: bool,
    },
    /// To an entity: show your public part. Nothing is locked.
    Read,
    /// Its public part as of its last durable event.
    Seen {
        /// `None`: it shows nothing, or it has not been created.
        public: Option<Bytes>,
    },
    /// Its decision.
    Prepared(Box<Prepared>),
    /// It refuses.
    Refused(Refusal),
    /// To the participant whose node appends: what all others have decided, the coordinator first.
    Conclude(Vec<Prepared>),
    /// How that append ended.
    Concluded(Outcome),
    /// It is locked by another transaction, or promised to an older one.
    Busy,
    /// The append landed.
    Commit,
    /// The append did not land, or was never sent. `reload`: it was sent and failed.
    Abort {
        /// Reload the entity.
        reload: bool,
    },
    /// The append's outcome is unknown: find out.
    Fence,
}

impl TxId {
    /// The id, if a node in this incarnation has given it. A node of an earlier version does not say its incarnation.
    pub(crate) fn of(self, node: NodeId, incarnation: Option<u64>) -> Option<Self> {
        let incarnation = incarnation?;
        let is_its = self.node == node && (self.incarnation == incarnation || self.incarnation == 0);
        is_its.then_some(Self { incarnation, ..self })
    }
}

impl TxMessage {
    /// Whether a participant sends it to the coordinator.
    pub(crate) fn is_an_answer(&self) -> bool {
        let is_answer = matches!(self, Self::Prepared(_) | Self::Seen { .. } | Self::Refused(_) | Self::Busy);
        is_answer || matches!(self, Self::Concluded(_))
    }
}

/// A participant's decision.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its events, for the coordinator to append.
    pub stream: StreamAppend,
    /// Names it takes and releases.
    pub names: Vec<NameChange>,
    /// What it answers.
    pub reply: Bytes,
    /// Incarnation of its node.
    pub incarnation: u64,
    /// Its node appends: it wants the parts of the others, and its own stream has no events here.
    pub appends: bool,
}
