//! What a link sends: the messages that the other side has not acknowledged yet.

use std::collections::VecDeque;

use crate::peer::Peer;

/// One direction of a link, at its sender. Plain values.
#[derive(Default)]
pub(super) struct Outbound {
    /// Number of the last message that must arrive.
    last: u64,
    /// Those that may not have arrived, in order: the newest has the number `last`.
    kept: VecDeque<Peer>,
    bytes: usize,
    /// How many of them, the oldest first, have been sent again since the last loss; `None`: none has to be.
    again: Option<usize>,
}

impl Outbound {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a message the next number, and keeps a copy, of this weight. False: there is no room.
    pub(super) fn keep(&mut self, message: &Peer, weight: usize, bytes_max: usize) -> bool {
        // One message always has room, however large.
        if self.bytes + weight > bytes_max && !self.kept.is_empty() {
            return false;
        }
        self.last += 1;
        self.bytes += weight;
        self.kept.push_back(message.clone());
        true
    }

    /// All messages up to this number have arrived.
    pub(super) fn on_received(&mut self, number: u64) {
        // A peer that has received what was never sent is wrong.
        if number > self.last {
            return;
        }
        let oldest = self.last - self.kept.len() as u64 + 1;
        let arrived = number.saturating_sub(oldest - 1) as usize;
        for message in self.kept.drain(..arrived) {
            self.bytes -= message.weight();
        }
        self.again = self.again.map(|sent| sent.saturating_sub(arrived));
        if self.kept.is_empty() && self.kept.capacity() > KEPT_SPARE {
            self.kept = VecDeque::new();
        }
    }

    /// Everything that is kept is to be sent again. False: there is nothing.
    pub(super) fn again(&mut self) -> bool {
        self.again = (!self.kept.is_empty()).then_some(0);
        self.again.is_some()
    }

    /// The next message to be sent again.
    pub(super) fn next_again(&mut self) -> Option<(u64, Peer)> {
        let at = self.again?;
        let Some(message) = self.kept.get(at) else {
            self.again = None;
            return None;
        };
        self.again = Some(at + 1);
        Some((self.last - (self.kept.len() - 1 - at) as u64, message.clone()))
    }

    pub(super) fn check(&self, bytes_max: usize) {
        let bytes: usize = self.kept.iter().map(Peer::weight).sum();
        assert_eq!(bytes, self.bytes, "kept bytes are miscounted");
        assert!(bytes <= bytes_max || self.kept.len() == 1, "{bytes} bytes are kept for a peer");
        assert!(self.kept.len() as u64 <= self.last, "what is kept has numbers");
    }
}

/// Messages for which an idle link keeps room.
const KEPT_SPARE: usize = 1_024;
