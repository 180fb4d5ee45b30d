//! The fabric between the nodes of one process: messages travel as values, once per turn of the logic thread and peer.
//!
//! It behaves as a network would: messages to a node that does not run are lost, and a node that ends breaks its links,
//! which its peers notice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use gundo_edge::Urgency;
use gundo_kernel::{Input, Label, Peer};
use gundo_types::NodeId;

use crate::inbox::Inbox;

/// The running nodes, with the inbox of each.
#[derive(Default)]
pub(crate) struct Mesh {
    nodes: RwLock<BTreeMap<NodeId, Arc<Inbox>>>,
    /// Grows with every change.
    version: AtomicU64,
}

impl Mesh {
    /// Adds a running node.
    pub(crate) fn join(&self, node: NodeId, inbox: &Arc<Inbox>) {
        self.write(|nodes| drop(nodes.insert(node, Arc::clone(inbox))));
    }

    /// Removes a node: its links to all others break.
    pub(crate) fn leave(&self, node: NodeId, inbox: &Arc<Inbox>) {
        self.write(|nodes| {
            if nodes.get(&node).is_some_and(|there| Arc::ptr_eq(there, inbox)) {
                nodes.remove(&node);
                // One that has not joined has no links.
                let Some(incarnation) = inbox.incarnation() else { return };
                for other in nodes.values() {
                    other.give(Input::LinkBroken { peer: node, incarnation }, Urgency::Now);
                }
            }
        });
    }

    fn write(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Arc<Inbox>>)) {
        change(&mut self.nodes.write().unwrap_or_else(PoisonError::into_inner));
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// A message and its label.
type Labelled = (Label, Peer);

/// One node's access to its peers.
pub(crate) struct Fabric {
    me: NodeId,
    mesh: Arc<Mesh>,
    version: u64,
    peers: Vec<(NodeId, Arc<Inbox>, Vec<Labelled>)>,
    /// Frames dropped because a peer did not keep up.
    pub(crate) dropped: u64,
}

impl Fabric {
    pub(crate) fn new(me: NodeId, mesh: Arc<Mesh>) -> Self {
        Self { me, mesh, version: 0, peers: Vec::new(), dropped: 0 }
    }

    /// Queues a message for a peer. Messages to a node that does not run are lost.
    pub(crate) fn push(&mut self, to: NodeId, label: Label, message: Peer) {
        let version = self.mesh.version.load(Ordering::Acquire);
        if version != self.version {
            self.look_around(version);
        }
        if let Some((_, _, waiting)) = self.peers.iter_mut().find(|(node, ..)| *node == to) {
            waiting.push((label, message));
        }
    }

    fn look_around(&mut self, version: u64) {
        self.version = version;
        let mut before = std::mem::take(&mut self.peers);
        let nodes = self.mesh.nodes.read().unwrap_or_else(PoisonError::into_inner);
        for (node, inbox) in nodes.iter().filter(|(node, _)| **node != self.me) {
            let same = before.iter_mut().find(|(_, there, _)| Arc::ptr_eq(there, inbox));
            let waiting = same.map(|(_, _, waiting)| std::mem::take(waiting)).unwrap_or_default();
            self.peers.push((*node, Arc::clone(inbox), waiting));
        }
    }

    /// Delivers everything queued.
    pub(crate) fn flush(&mut self) {
        for (_, inbox, waiting) in self.peers.iter_mut().filter(|(_, _, waiting)| !waiting.is_empty()) {
            self.dropped += inbox.give_peer(self.me, waiting) as u64;
        }
    }
}
