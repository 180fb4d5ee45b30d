//! The fabric between the nodes of one process: messages travel as values, once per turn of the logic thread and peer.
//!
//! It behaves as a network would: messages to a node that does not run are lost, and a node that ends breaks its links,
//! which its peers notice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use gundo_edge::Urgency;
use gundo_fabric::{Fabric, Labelled};
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

/// One node's access to its peers in the process.
pub(crate) struct MeshFabric {
    me: NodeId,
    mesh: Arc<Mesh>,
    version: u64,
    peers: Vec<(NodeId, Arc<Inbox>, Vec<Labelled>)>,
    dropped: u64,
}

impl MeshFabric {
    pub(crate) fn new(me: NodeId, mesh: Arc<Mesh>) -> Self {
        Self { me, mesh, version: 0, peers: Vec::new(), dropped: 0 }
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
}

impl Fabric for MeshFabric {
    fn push(&mut self, to: NodeId, label: Label, message: Peer) {
        let version = self.mesh.version.load(Ordering::Acquire);
        if version != self.version {
            self.look_around(version);
        }
        if let Some((_, _, waiting)) = self.peers.iter_mut().find(|(node, ..)| *node == to) {
            waiting.push((label, message));
        }
    }

    fn flush(&mut self) {
        for (_, inbox, waiting) in self.peers.iter_mut().filter(|(_, _, waiting)| !waiting.is_empty()) {
            self.dropped += inbox.give_peer(self.me, waiting) as u64;
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use gundo_fabric::suite::Site;

    use super::*;
    use crate::inbox::PEER_FRAMES_BYTES_MAX;

    /// The nodes of one process.
    #[derive(Default)]
    struct Process {
        mesh: Arc<Mesh>,
        inboxes: BTreeMap<NodeId, Arc<Inbox>>,
    }

    impl Site for Process {
        fn start(&mut self, node: NodeId, incarnation: u64) -> Box<dyn Fabric> {
            let inbox = Arc::new(Inbox::default());
            inbox.belongs_to(incarnation);
            self.mesh.join(node, &inbox);
            self.inboxes.insert(node, inbox);
            Box::new(MeshFabric::new(node, Arc::clone(&self.mesh)))
        }

        fn end(&mut self, node: NodeId, _: Box<dyn Fabric>) {
            self.mesh.leave(node, &self.inboxes.remove(&node).expect("it runs"));
        }

        fn take(&mut self, node: NodeId) -> Vec<Input> {
            let mut inputs = Vec::new();
            self.inboxes[&node].take(&mut inputs, Instant::now(), false);
            inputs
        }

        fn set_view(&mut self, _: &[(NodeId, u64)]) {}

        fn cut(&mut self, _: NodeId, _: NodeId) -> bool {
            false
        }

        fn frames_bytes_max(&self) -> usize {
            PEER_FRAMES_BYTES_MAX
        }
    }

    gundo_fabric::conformance!(Process::default());
}
