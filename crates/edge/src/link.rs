//! The seam between an edge and its node.

use gundo_kernel::{Input, Parts, SendClass};
use gundo_types::ConnId;
use gundo_wire::client::Closing;

/// Whether the node should handle an input now or at its next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At the next tick: moves, and notes about send queues.
    Tick,
    /// Now: a client waits for the answer.
    Now,
}

/// The node behind an edge. The I/O threads call it: nothing here may block.
pub trait NodeLink: Send + Sync + 'static {
    /// Puts inputs in the node's inbox, in order, and leaves the list empty. `urgency` is that of the most urgent one.
    fn give(&self, inputs: &mut Vec<Input>, urgency: Urgency);

    /// Whether the inbox is full. While it is, the edge does not read from its clients.
    fn is_full(&self) -> bool;

    /// Whether the node is ready for clients. Asked for each client that names no node.
    ///
    /// # Errors
    /// Why it is not, in words for operators.
    fn health(&self) -> Result<(), String>;
}

/// Something for one client, as part of a batch.
#[derive(Debug)]
pub enum Delivery {
    /// One message: the concatenated `parts`.
    Send {
        /// The connection; the edge ignores numbers it does not know.
        conn: ConnId,
        /// Encoded server messages.
        parts: Parts,
        /// Whether the edge may drop it.
        class: SendClass,
    },
    /// Close the connection after everything queued for it.
    Close {
        /// The connection.
        conn: ConnId,
        /// The reason: the last message to the client. Its code also goes into the close frame. `None`: the client said
        /// Bye.
        closing: Option<Closing>,
    },
    /// The node is about to handle [`Input::Drained`] of this connection. From here on its frames follow each other without
    /// a gap, and the edge stops dropping them.
    Resume {
        /// The connection.
        conn: ConnId,
    },
}

impl Delivery {
    /// The connection it is for.
    pub(crate) fn conn(&self) -> ConnId {
        match self {
            Self::Send { conn, .. } | Self::Close { conn, .. } | Self::Resume { conn } => *conn,
        }
    }
}
