//! The links between nodes: when a message arrives, and what goes wrong with links.
//!
//! A link keeps its order; pictures may have a lane of their own (`lanes`). It loses frames for a while (`frames`), and whatever is in flight when it is reset (`reset`, `scatter`, `forget`).
//! Often it stalls first, so that much is in flight. Both ends learn of a reset, often at different times. Until then they send into the
//! void, or on the next connection, which may be there before they have learned that the last one broke.

use gundo_kernel::{Label, Peer};
use gundo_types::NodeId;

use super::{Flight, Key, PEER_US, World};
use crate::plan::Dial;

/// How soon a node learns that a link of its was reset, µs; and how late if the link is half open.
const LEARNS_US: u64 = 50_000;
const LEARNS_LATE_US: u64 = 1_500_000;
/// How soon messages to the same node may be lost for good again, µs.
const LOST_AGAIN_US: u64 = 900_000;
/// How long a message of the old connection may wander, µs: mostly, and if the old connection is read late.
const WANDERS_US: [u64; 4] = [400_000, 400_000, 400_000, 5_000_000];
/// Longest time for which a link stalls before it is reset, µs.
const STALLS_US: u64 = 500_000;

impl World {
    /// The lane of a message: pictures may have one of their own. They do not say then which message was the last before them: that
    /// one may come later.
    pub(super) fn lane(&self, message: &Peer, label: &mut Label) -> usize {
        let is_picture = matches!(message, Peer::Frames { .. } | Peer::Sent { .. });
        if !is_picture || !self.plan.dials.contains_key(&Dial::Lanes) {
            return 0;
        }
        label.after = 0;
        1
    }

    /// When a message on a link arrives; `None`: it is lost.
    pub(super) fn link(&mut self, from: Key, to: Key, lane: usize, may_be_lost: bool) -> Option<u64> {
        let slow = if self.faulty { self.plan.dials.get(&Dial::Delay).copied().unwrap_or(0) } else { 0 };
        let mut takes = PEER_US + self.net.below(300);
        if slow > 0 && self.net.below(4) == 0 {
            takes += self.net.below(u64::from(slow) * 1_000);
        }
        let apart = if self.faulty { self.plan.dials.get(&Dial::Lanes).copied().unwrap_or(0) } else { 0 };
        if apart > 0 && self.net.below(16) == 0 {
            takes += self.net.below(u64::from(apart) * 1_000);
        }
        let link = self.links.entry((from, to)).or_default();
        if self.now < link.dead_until || may_be_lost && self.now < link.lossy_until {
            return None;
        }
        // Messages of one lane arrive in the order in which they were sent, unless the link is reset.
        let last_at = &mut link.last_at[lane];
        *last_at = (self.now + takes).max(link.held_until).max(*last_at);
        Some(*last_at)
    }

    /// A link between two nodes, or one direction of it, delays or loses its messages for a while.
    pub(super) fn cut_links(&mut self, dial: Dial) -> bool {
        let second = 1_000_000;
        let (a, b) = (self.some_node(), self.some_node());
        if a == b || !self.nodes.contains_key(&a) {
            return false;
        }
        let longest = if dial == Dial::Frames { 2 } else { 4 };
        let until = self.now + 100_000 + self.wrong.below(longest * second);
        let ways = if dial == Dial::Partition { vec![(a, b), (b, a)] } else { vec![(a, b)] };
        for way in ways {
            let link = self.links.entry(way).or_default();
            let end = if dial == Dial::Frames { &mut link.lossy_until } else { &mut link.held_until };
            *end = until.max(*end);
        }
        if dial != Dial::Frames {
            [a, b].into_iter().for_each(|key| self.excuse(key.node, until));
        }
        self.tell_fault(a, || {
            format!("{dial} between n{} and n{} until {} ms", a.node, b.node, until / 1_000)
        });
        true
    }

    /// A link between two nodes is reset: at once, or after it has stalled for a moment.
    pub(super) fn reset_link(&mut self, dial: Dial) -> bool {
        let (a, b) = (self.some_node(), self.some_node());
        if a == b || !self.nodes.contains_key(&a) || !self.nodes.contains_key(&b) {
            return false;
        }
        let stalls = if self.wrong.below(2) == 0 { 0 } else { self.wrong.below(STALLS_US) };
        if stalls == 0 {
            self.reset_now(dial, a, b);
            return true;
        }
        let until = self.now + stalls;
        for (from, to) in [(a, b), (b, a)] {
            let link = self.links.entry((from, to)).or_default();
            link.held_until = link.held_until.max(until + 1);
            self.excuse(to.node, until);
        }
        self.queue.push(until, Flight::Reset { dial, a, b });
        true
    }

    /// A link is reset now, if both nodes still run.
    pub(super) fn reset_now(&mut self, dial: Dial, a: Key, b: Key) {
        if !self.faulty || !self.nodes.contains_key(&a) || !self.nodes.contains_key(&b) {
            return;
        }
        let between = |x: Key, y: Key| x == a && y == b || x == b && y == a;
        let is = |flight: &Flight| matches!(flight, Flight::Peer { to, from, .. } if between(*to, *from));
        let mut lost = 0;
        for (at, flight) in self.queue.take(is) {
            let fate = if dial == Dial::Scatter { self.wrong.below(3) } else { 0 };
            if fate == 0 {
                lost += 1;
                continue;
            }
            if let (2, Flight::Peer { to, from, label, message }) = (fate, &flight) {
                let longest = WANDERS_US[self.wrong.below(4) as usize];
                let again = at + self.wrong.below(longest);
                let copy = Flight::Peer { to: *to, from: *from, label: *label, message: message.clone() };
                self.queue.push(again, copy);
            }
            self.queue.push(at, flight);
        }
        for (from, to) in [(a, b), (b, a)] {
            let latest = if self.wrong.below(8) == 0 { LEARNS_LATE_US } else { LEARNS_US };
            let learns = 1 + self.wrong.below(latest);
            let dead = if self.wrong.below(2) == 0 { learns } else { self.wrong.below(learns) };
            let link = self.links.entry((from, to)).or_default();
            // The new connection has its own order. It does not reach further than the last one.
            (link.last_at, link.dead_until) = ([0; 2], self.now + dead);
            self.excuse(to.node, self.now + learns);
            let incarnation = self.nodes[&to].incarnation;
            self.fly(learns, Flight::LinkBroken { node: from, peer: NodeId(to.node), incarnation });
        }
        if dial == Dial::Forget {
            // One of them knows, before or after the reset or instead of it.
            let (node, peer, after) = (a, NodeId(b.node), self.wrong.below(2 * LEARNS_US));
            self.fly(after, Flight::LinkLost { node, peer });
            // And sometimes again, before the link may be reset again.
            if self.wrong.below(2) == 0 {
                let again = after + 1 + self.wrong.below(LOST_AGAIN_US);
                self.fly(again, Flight::LinkLost { node, peer });
            }
        }
        self.tell_fault(a, || {
            format!("{dial} of the link between n{} and n{}: {lost} messages are lost", a.node, b.node)
        });
    }
}
