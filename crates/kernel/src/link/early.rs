//! Messages of views that this node has not reached yet.

use std::collections::VecDeque;

use gundo_types::NodeId;

use crate::peer::Peer;

/// Bytes of messages that wait for their view. What comes then is not taken: it is sent again.
pub(super) const EARLY_BYTES_MAX: usize = 32 << 20;

/// Messages that wait for their view, with their senders and those's incarnations.
#[derive(Default)]
pub(crate) struct Early {
    waiting: VecDeque<(NodeId, u64, Peer)>,
    bytes: usize,
}

impl Early {
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= EARLY_BYTES_MAX
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, from: NodeId, incarnation: u64, message: Peer) {
        self.bytes += message.weight();
        self.waiting.push_back((from, incarnation, message));
    }

    /// A new view has come.
    pub(crate) fn take(&mut self) -> VecDeque<(NodeId, u64, Peer)> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Messages between the two were lost: what came before says nothing any more.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.waiting.retain(|(from, ..)| *from != node);
        self.bytes = self.waiting.iter().map(|(_, _, message)| message.weight()).sum();
    }
}
