//! A node's access to the coordinator and the supervisor. The kernel's requests go to the coordinator and the answers to
//! its inbox; the supervisor hears when the node has nothing left. Nothing here blocks.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use gundo_coordinator::{Coordinator, RowAnswer, RowRequest, Rows, Watch};
use gundo_edge::Urgency;
use gundo_kernel::{Input, Renewal, View};
use gundo_types::{Epoch, NodeId, Time};

use crate::base::Links;
use crate::inbox::Inbox;
use crate::supervisor::Signal;

/// A node as a member. Its supervisor and its logic thread each have one.
#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    /// The journal's rows, which the node asks itself when the coordinator does not renew.
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) supervisor: Sender<Signal>,
    pub(crate) inbox: Arc<Inbox>,
    /// What connects it to other processes, if there are any.
    pub(crate) links: Option<Arc<dyn Links>>,
    /// Through these it gets its views then (`views`).
    pub(crate) views: Option<Sender<View>>,
    /// Node and incarnation.
    pub(crate) me: (NodeId, u64),
}

impl Membership {
    /// From now on the node receives every view, starting with the current one.
    pub(crate) fn watch(&self) -> Watch {
        let taker = self.clone();
        self.coordinator.watch(Box::new(move |view| taker.take(view)))
    }

    /// A view has come. The links hear of it first, so that they know each peer that the node may talk to.
    fn take(&self, view: View) {
        if let Some(links) = &self.links {
            links.set_view(&view);
        }
        match &self.views {
            // The thread lives as long as this sender.
            Some(views) => drop(views.send(view)),
            None => self.inbox.give(Input::View(view), Urgency::Now),
        }
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

    /// Asks the journal whether the node's row is there. A journal that cannot answer says nothing.
    pub(crate) fn ask_row(&self, sent: Time) {
        let (inbox, (_, incarnation)) = (Arc::clone(&self.inbox), self.me);
        let reply = move |answer| {
            if let Ok(RowAnswer::Stands(stands)) = answer {
                inbox.give(Input::Row { sent, stands }, Urgency::Now);
            }
        };
        self.rows.ask(RowRequest::Stands { incarnation }, Box::new(reply));
    }

    /// Proposes the removal of a member that it cannot reach.
    pub(crate) fn propose_removal(&self, epoch: Epoch, suspect: NodeId, incarnation: u64) {
        tracing::warn!(node = self.me.0.0, suspect = suspect.0, "a node is unreachable");
        let reply = move |removed| match removed {
            Ok(true) => tracing::warn!(node = suspect.0, "the node was removed; the others take over"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, node = suspect.0, "cannot remove the node; trying again");
            }
        };
        self.coordinator.remove(epoch, incarnation, Box::new(reply));
    }

    /// Others have a newer view: asks for the current one.
    pub(crate) fn look(&self) {
        let taker = self.clone();
        let reply = move |view| {
            // Without an answer the node asks again within a second.
            if let Ok(view) = view {
                taker.take(view);
            }
        };
        self.coordinator.view(Box::new(reply));
    }

    /// The node has saved everything, or handed everything over.
    pub(crate) fn stopped(&self) {
        let (node, incarnation) = self.me;
        // A world that has ended drops the news.
        let _ = self.supervisor.send(Signal::Stopped { node, incarnation });
    }
}
