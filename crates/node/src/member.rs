//! A node's way to those who decide about it: what its kernel asks goes to the coordinator, the answer goes into its inbox, and
//! that it has nothing left goes to the supervisor. Nothing waits.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use gundo_coordinator::{Coordinator, Watch};
use gundo_edge::Urgency;
use gundo_kernel::{Input, Renewal};
use gundo_types::{Epoch, NodeId, Time};

use crate::inbox::Inbox;
use crate::supervisor::Signal;

/// A node as a member. Its supervisor and its logic thread have one each.
#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) supervisor: Sender<Signal>,
    pub(crate) inbox: Arc<Inbox>,
    /// Node and incarnation.
    pub(crate) me: (NodeId, u64),
}

impl Membership {
    /// From now on the node learns of every view, the present one first.
    pub(crate) fn watch(&self) -> Watch {
        let inbox = Arc::clone(&self.inbox);
        self.coordinator.watch(Box::new(move |view| inbox.give(Input::View(view), Urgency::Now)))
    }

    /// Renews its lease.
    pub(crate) fn renew(&self, sent: Time) {
        let (inbox, (node, incarnation)) = (Arc::clone(&self.inbox), self.me);
        let reply = move |renewed| {
            let renewal = match renewed {
                Ok(true) => Renewal::Renewed,
                Ok(false) => Renewal::Removed,
                Err(error) => {
                    tracing::warn!(%error, node = node.0, "a node cannot renew its lease");
                    Renewal::Failed
                }
            };
            inbox.give(Input::Renewed { sent, renewal }, Urgency::Now);
        };
        self.coordinator.renew(incarnation, Box::new(reply));
    }

    /// Proposes the removal of a member that it cannot reach.
    pub(crate) fn propose_removal(&self, epoch: Epoch, suspect: NodeId, incarnation: u64) {
        tracing::warn!(node = self.me.0.0, suspect = suspect.0, "a node cannot be reached");
        let reply = move |removed| match removed {
            Ok(true) => tracing::warn!(node = suspect.0, "the node was removed; the others take over"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, node = suspect.0, "the node cannot be removed; it is tried again");
            }
        };
        self.coordinator.remove(epoch, incarnation, Box::new(reply));
    }

    /// Others have a newer view: asks for the present one.
    pub(crate) fn look(&self) {
        let inbox = Arc::clone(&self.inbox);
        let reply = move |view| {
            // Without an answer it asks again within a second.
            if let Ok(view) = view {
                inbox.give(Input::View(view), Urgency::Now);
            }
        };
        self.coordinator.view(Box::new(reply));
    }
    /// It has saved everything, or given everything away.
    pub(crate) fn stopped(&self) {
        let (node, incarnation) = self.me;
        // A world that has ended needs no news.
        let _ = self.supervisor.send(Signal::Stopped { node, incarnation });
    }
}
