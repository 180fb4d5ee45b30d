//! The way between the nodes of one process: messages travel as values, once per turn of the logic thread and peer.

use std::sync::Arc;

use gundo_kernel::Peer;
use gundo_types::NodeId;

use crate::inbox::Inbox;

/// One node's way to its peers.
pub(crate) struct Fabric {
    me: NodeId,
    peers: Vec<(NodeId, Arc<Inbox>, Vec<Peer>)>,
    /// Frames dropped because a peer did not keep up.
    pub(crate) dropped: u64,
}

/// A peer that takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost(pub(crate) NodeId);

impl Fabric {
    pub(crate) fn new(me: NodeId, inboxes: &[(NodeId, Arc<Inbox>)]) -> Self {
        let others = inboxes.iter().filter(|(node, _)| *node != me);
        let peers = others.map(|(node, inbox)| (*node, Arc::clone(inbox), Vec::new())).collect();
        Self { me, peers, dropped: 0 }
    }

    /// Takes a message for a peer. Messages for nodes nobody knows are dropped, as on a network.
    pub(crate) fn push(&mut self, to: NodeId, message: Peer) {
        if let Some((_, _, waiting)) = self.peers.iter_mut().find(|(node, ..)| *node == to) {
            waiting.push(message);
        }
    }

    /// Hands everything over.
    ///
    /// # Errors
    /// A peer does not take its messages any more.
    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        for (node, inbox, waiting) in self.peers.iter_mut().filter(|(_, _, waiting)| !waiting.is_empty()) {
            let handed = inbox.give_peer(self.me, waiting);
            self.dropped += handed.dropped as u64;
            if handed.lost {
                return Err(Lost(*node));
            }
        }
        Ok(())
    }
}
