//! Why a journal could not do what it was asked: internals for operators, never for clients.

use std::error::Error;

use gundo_types::{EntityId, Kind, NodeId};

/// Why an operation failed: an error of the storage, or [`QueueFault`](crate::queue::QueueFault).
pub type Why = Box<dyn Error + Send + Sync>;

/// What was tried and failed; its source says why.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The journal cannot be opened.
    #[error("the journal cannot be opened")]
    Open {
        /// Why, and what to do.
        source: Why,
    },
    /// [`Journal::register`](crate::Journal::register).
    #[error("the journal cannot register incarnation {incarnation} of {node}")]
    Register {
        /// The node.
        node: NodeId,
        /// The incarnation.
        incarnation: u64,
        /// Why.
        source: Why,
    },
    /// [`Journal::leave`](crate::Journal::leave). The row may still be there.
    #[error("the journal cannot delete the row of incarnation {incarnation}")]
    Leave {
        /// The incarnation.
        incarnation: u64,
        /// Why.
        source: Why,
    },
    /// [`Journal::is_member`](crate::Journal::is_member).
    #[error("the journal cannot read the row of incarnation {incarnation}")]
    IsMember {
        /// The incarnation.
        incarnation: u64,
        /// Why.
        source: Why,
    },
    /// [`Journal::generation`](crate::Journal::generation).
    #[error("the journal cannot read its generation")]
    Generation {
        /// Why.
        source: Why,
    },
    /// [`Journal::begin_generation`](crate::Journal::begin_generation). The new one may have begun.
    #[error("the journal cannot begin a generation")]
    BeginGeneration {
        /// Why.
        source: Why,
    },
    /// [`Journal::meta`](crate::Journal::meta).
    #[error("the journal cannot read its note {key:?}")]
    Meta {
        /// The key.
        key: String,
        /// Why.
        source: Why,
    },
    /// [`Journal::set_meta`](crate::Journal::set_meta) or [`Journal::settle`](crate::Journal::settle).
    #[error("the journal cannot write its note {key:?}")]
    SetMeta {
        /// The key.
        key: String,
        /// Why.
        source: Why,
    },
    /// [`Journal::name`](crate::Journal::name).
    #[error("the journal cannot read the name {name:?} in {space:?}")]
    Name {
        /// Its namespace.
        space: String,
        /// The name.
        name: String,
        /// Why.
        source: Why,
    },
    /// [`Journal::streams`](crate::Journal::streams).
    #[error("the journal cannot list its streams")]
    Streams {
        /// Why.
        source: Why,
    },
    /// [`Journal::stream`](crate::Journal::stream).
    #[error("the journal cannot read the events of {entity}")]
    Stream {
        /// The entity.
        entity: EntityId,
        /// Why.
        source: Why,
    },
    /// [`Handle::load`](crate::Handle::load).
    #[error("the journal cannot load {entity}")]
    Load {
        /// The entity.
        entity: EntityId,
        /// Why.
        source: Why,
    },
    /// [`Handle::list`](crate::Handle::list).
    #[error("the journal cannot list entities of kind {}", kind.0)]
    List {
        /// The kind.
        kind: Kind,
        /// Why.
        source: Why,
    },
    /// [`Handle::wakes`](crate::Handle::wakes).
    #[error("the journal cannot read which entities have something to do")]
    Wakes {
        /// Why.
        source: Why,
    },
    /// [`Journal::prune`](crate::Journal::prune). Part of it may be done.
    #[error("the journal cannot prune")]
    Prune {
        /// Why.
        source: Why,
    },
}

impl Fault {
    /// See [`chain`].
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and every cause behind it as one line, for a log.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueFault;

    #[test]
    fn a_chain_says_what_was_tried_and_every_cause() {
        let inner = Fault::Prune { source: QueueFault::Closed.into() };
        let fault = Fault::Meta { key: "seed".into(), source: inner.into() };
        let expected =
            "the journal cannot read its note \"seed\": the journal cannot prune: the journal is closed";
        assert_eq!(fault.chain(), expected);
        assert_eq!(fault.to_string(), "the journal cannot read its note \"seed\"");
    }
}
