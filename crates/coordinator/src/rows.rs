//! The boundary to the journal: the rows of incarnations in its table `members`, asked without waiting.

use gundo_types::NodeId;

/// A request about the row of an incarnation. Each may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowRequest {
    /// Creates the row. An incarnation that is not above every earlier one is passed over, unless its row is there.
    Register {
        /// The node.
        node: NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// Deletes the row: from now on the journal accepts nothing of the incarnation.
    Delete {
        /// The incarnation.
        incarnation: u64,
    },
    /// Asks whether the row is there.
    Stands {
        /// The incarnation.
        incarnation: u64,
    },
}

/// An answer of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAnswer {
    /// To [`RowRequest::Register`]: the row is there.
    Registered,
    /// To [`RowRequest::Register`]: the row is not there and never will be.
    Passed {
        /// The newest incarnation that was ever registered.
        newest: u64,
    },
    /// To [`RowRequest::Delete`]: the row is not there.
    Deleted,
    /// To [`RowRequest::Stands`].
    Stands(bool),
}

/// Takes the journal's answer, or what was tried and why it failed. It may never be called.
pub type RowReply = Box<dyn FnOnce(Result<RowAnswer, String>) + Send>;

/// The rows of a journal.
pub trait Rows: Send + Sync {
    /// Sends a request. Does not block: the reply is called when the journal has answered, on any thread, or inside this call.
    fn ask(&self, request: RowRequest, reply: RowReply);
}
