//! Who belongs to a world: the rules of membership, the trait of a coordinator, one coordinator for a single process, and the
//! suite that every coordinator passes.
//!
//! The coordinator alone decides on membership: it publishes **views**, each with the next epoch, and keeps a **lease** for each
//! member. Safety does not depend on it but on the journal: a member's row there is deleted before the member leaves the view,
//! and a deleted row never comes back.
//!
//! Start with [`Coordinator`]. The rules are [`operation`]s, state machines without I/O: each asks a small [store](StoreRequest)
//! and the [rows](RowRequest) in the journal for one thing at a time, and takes the answer. So one set of rules serves every
//! store, and the simulator can lose any answer. [`LocalCoordinator`] runs them on a [`MemoryStore`]; the tests in [`suite`]
//! define each promise.
//!
//! Not here: I/O, threads, clocks, what a node does with a view.

mod local;
pub mod operation;
mod patience;
mod record;
mod rows;
mod store;
pub mod suite;

use gundo_kernel::{Member, View};
use gundo_types::{EdgeAddress, Epoch, Figure, NodeId, Site};

pub use local::{LocalCoordinator, LocalSettings};
pub use patience::Patience;
pub use record::{Record, RecordError};
pub use rows::{RowAnswer, RowReply, RowRequest, Rows};
pub use store::{MemoryStore, StoreAnswer, StoreRequest, Version};

/// A call without an answer after this time has failed, ms: a member that renews every second has two more tries within its lease.
pub const ANSWER_MS: u64 = 2_000;

/// Limit on members of a view plus joining nodes: a full mesh is far smaller, and the record stays below 100 KB.
pub const MEMBERS_MAX: usize = 1_024;

/// Takes the answer to a call. Called once, on any thread, or inside the call: it must not block and must not panic.
pub type Reply<T> = Box<dyn FnOnce(Result<T, CallError>) + Send>;

/// Receives views. Called on any thread, one call at a time: it must not block and must not panic.
pub type ViewSink = Box<dyn Fn(View) + Send + Sync>;

/// Decides who belongs.
///
/// No call blocks, and each is answered within [`ANSWER_MS`]. A call that failed may have been done partly or completely: the same
/// call, by anyone, continues from there. No caller needs to clean up after another that died.
pub trait Coordinator: Send + Sync {
    /// Adds nodes, all in one view, each as a new incarnation with a lease. Earlier incarnations of these nodes are removed: first
    /// their rows, then from the view. The reply has the members in the order of the candidates.
    ///
    /// A node may start only after a successful answer: an incarnation that joined without its caller's knowledge has no process,
    /// and expires with its lease.
    fn join(&self, candidates: Vec<Candidate>, reply: Reply<Vec<Member>>);

    /// Renews the lease of an incarnation and checks its row. False: it was removed, and must stop at once. The lease is renewed
    /// also if the journal does not answer and the call fails: nobody is removed because the journal hangs.
    ///
    /// The coordinator counts a lease from when it receives the renewal, the member from when it sent it: so the member's lease
    /// ends first.
    fn renew(&self, incarnation: u64, reply: Reply<bool>);

    /// Removes a member if the view is still that of `epoch`: first its row, then from the view. False: nothing has changed,
    /// because the view is another one, or the incarnation is not a member, or it is the last; then the caller waits for the next
    /// view.
    fn remove(&self, epoch: Epoch, incarnation: u64, reply: Reply<bool>);

    /// An incarnation that has given everything away, or that never started, leaves; the last member may leave too.
    fn leave(&self, incarnation: u64, reply: Reply<()>);

    /// Marks a member as draining: see [`Member::draining`]. False: it is not a member.
    fn drain(&self, incarnation: u64, reply: Reply<bool>);

    /// The present view.
    fn view(&self, reply: Reply<View>);

    /// Sends the present view and each later one to the sink: every epoch once, in order. A view is in force before it reaches the
    /// sink, and reaches it before the call that made the view is answered. Views that a shared store has forgotten while it was out
    /// of reach, or that it does not bring in time, are left out: epochs still only grow. Ends when the [`Watch`] is dropped; a view in flight may still arrive.
    fn watch(&self, sink: ViewSink) -> Watch;

    /// What it counts, for operators. Cheap; asked about once per second.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

/// A node that wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// See [`Member::address`].
    pub address: EdgeAddress,
    /// See [`Member::site`].
    pub site: Site,
}

/// Why a call failed. Unless it says so, something may have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The store or the journal did not answer within [`ANSWER_MS`]; the last request may still take effect. Call again.
    #[error("no answer within {ANSWER_MS} ms")]
    Unanswered,
    /// The store or the journal could not do the request, or too many calls are waiting. Call again later.
    #[error("{what}")]
    Failed {
        /// What was tried and why it failed.
        what: String,
    },
    /// Others kept changing the membership between two steps. Call again later.
    #[error("the membership changes too fast")]
    Contended,
    /// A join only: another join of the node began meanwhile, or this one took longer than a lease. Its rows are deleted.
    #[error("the node joins elsewhere, or its join took too long")]
    Superseded,
    /// A join only: [`MEMBERS_MAX`] nodes already belong or are joining. Nothing has changed.
    #[error("the world has {MEMBERS_MAX} nodes already")]
    Full,
}

/// A watch on views: see [`Coordinator::watch`]. Dropping it ends it.
pub struct Watch(Option<Box<dyn FnOnce() + Send>>);

impl Watch {
    /// A watch that ends by calling `end`.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
