//! The seam between an edge and its node.

use gundo_kernel::{Input, Parts, SendClass};
use gundo_types::ConnId;
use gundo_wire::client::Closing;

/// Whether the node should look at an input now or when its next tick is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At the next tick: moves, and notes about send queues.
    Tick,
    /// Now: somebody waits for the answer.
    Now,
}

/// The node behind an edge. Called on the I/O threads: nothing here may block.
pub trait NodeLink: Send + Sync + 'static {
    /// Puts inputs in the node's inbox, in order, and leaves the list empty. `urgency` is that of the most urgent.
    fn give(&self, inputs: &mut Vec<Input>, urgency: Urgency);

    /// Whether the inbox is at its limit. The edge stops reading from its clients until it is not.
    fn is_full(&self) -> bool;

    /// Whether the node is ready for clients.
    ///
    /// # Errors
    /// Why it is not, in words for operators.
    fn health(&self) -> Result<(), String>;

    /// All indicators of the process in Prometheus' text format.
    fn indicators(&self) -> String;
}

/// Something for one client, as part of a batch.
#[derive(Debug)]
pub enum Delivery {
    /// One message: `parts` end to end.
    Send {
        /// The connection; unknown ones are ignored.
        conn: ConnId,
        /// Encoded server messages.
        parts: Parts,
        /// Whether it may be dropped.
        class: SendClass,
    },
    /// Close the connection after everything queued for it.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why: the last message to the client. Its code goes into the close frame. `None`: the client said Bye.
        closing: Option<Closing>,
    },
    /// The node is about to handle [`Input::Drained`] of this connection: what it sends from here on fits together again, and
    /// frames are no longer dropped.
    Resume {
        /// The connection.
        conn: ConnId,
    },
}

impl Delivery {
    /// Whom it is for.
    pub(crate) fn conn(&self) -> ConnId {
        match self {
            Self::Send { conn, .. } | Self::Close { conn, .. } | Self::Resume { conn } => *conn,
        }
    }
}
