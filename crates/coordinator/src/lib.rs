//! Who belongs to a world: the rules of membership, the trait of a coordinator, one for a single process, and the suite that
//! every coordinator passes.
//!
//! The coordinator has the only word on membership: **views**, each with the next epoch, and a **lease** for each member.
//! Safety does not rest on it but on the journal: a member's row there is deleted before the member leaves the view, and a row
//! that was deleted never comes back.
//!
//! Start with [`Coordinator`]. The rules are [`operation`]s, machines without I/O: each says what it needs next of a small
//! [store](StoreRequest) and of the [rows](RowRequest) in the journal, and takes the answer. So one set of rules serves every
//! store, and the simulator can lose any answer. [`LocalCoordinator`] runs them on a [`MemoryStore`]; [`suite`] says in tests
//! what each promise means.
//!
//! Not here: I/O, threads, clocks, what a node does with a view.

mod local;
pub mod operation;
mod record;
mod rows;
mod store;
pub mod suite;

use gundo_kernel::{Member, View};
use gundo_types::{Epoch, NodeId};

pub use local::{LocalCoordinator, LocalSettings};
pub use record::{Record, RecordError};
pub use rows::{RowAnswer, RowReply, RowRequest, Rows};
pub use store::{MemoryStore, StoreAnswer, StoreRequest, Version};

/// A call that was not answered after this time has failed, ms: a member that renews every second has two more tries within its
/// lease.
pub const ANSWER_MS: u64 = 2_000;

/// Most members of a view, and nodes that are joining: a full mesh is far smaller, and the record stays below 100 KB.
pub const MEMBERS_MAX: usize = 1_024;

/// Takes the answer to a call. Called once, on any thread, or inside the call: it must not block and must not panic.
pub type Reply<T> = Box<dyn FnOnce(Result<T, CallError>) + Send>;

/// Hears of views. Called on any thread, one call at a time: it must not block and must not panic.
pub type ViewSink = Box<dyn Fn(View) + Send + Sync>;

/// The keeper of membership.
///
/// No call blocks, and each is answered within [`ANSWER_MS`]. A call without a good answer may be done half or whole: the same
/// call, by anyone, goes on from there. No caller needs to clean up after another that died.
pub trait Coordinator: Send + Sync {
    /// Brings nodes in, all in one view, each as a new incarnation under a lease. Earlier incarnations of these nodes are
    /// removed: first their rows, then from the view. The members come back in the order of the candidates.
    ///
    /// A node may start when this was answered well, and never else: what joined without its caller's knowledge has no process,
    /// and goes when its lease is over.
    fn join(&self, candidates: Vec<Candidate>, reply: Reply<Vec<Member>>);

    /// Renews the lease of an incarnation, after a look at its row. False: it was removed, and must stop at once.
    ///
    /// The coordinator counts a lease from when it hears of the renewal, the member from when it sent it: so the member's ends
    /// first.
    fn renew(&self, incarnation: u64, reply: Reply<bool>);

    /// Removes a member if the view is still that of `epoch`: first its row, then from the view. False: nothing has changed, for
    /// the view is another one, it is no member, or it is the last; then the caller waits for the next view.
    fn remove(&self, epoch: Epoch, incarnation: u64, reply: Reply<bool>);

    /// An incarnation that has given everything away, or that never started, leaves; also the last.
    fn leave(&self, incarnation: u64, reply: Reply<()>);

    /// A member is to be emptied: see [`Member::draining`]. False: it is no member.
    fn drain(&self, incarnation: u64, reply: Reply<bool>);

    /// The present view.
    fn view(&self, reply: Reply<View>);

    /// Hears of the present view, and of each one after it: every epoch once, in order. What reaches the sink is in force
    /// already. Ends when the [`Watch`] is dropped; a view that is under way may still come.
    fn watch(&self, sink: ViewSink) -> Watch;
}

/// A node that wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// See [`Member::host`].
    pub host: String,
    /// See [`Member::port`].
    pub port: u16,
}

/// Why a call has no good answer. None of them says that nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The store or the journal said nothing within [`ANSWER_MS`]; what was asked last may still take effect. Call again.
    #[error("no answer within {ANSWER_MS} ms")]
    Unanswered,
    /// The store or the journal could not do what it was asked, or more calls wait than may. Call again later.
    #[error("{what}")]
    Failed {
        /// What was tried and why it failed.
        what: String,
    },
    /// Others changed the membership again and again between two steps. Call again later.
    #[error("the membership changes too fast")]
    Contended,
    /// A join only: another join of the node began meanwhile, or this one took longer than a lease. The rows it made are
    /// deleted.
    #[error("the node joins elsewhere, or its join took too long")]
    Superseded,
    /// A join only: [`MEMBERS_MAX`] nodes belong or join already. Nothing has changed.
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
