//! The interest table of a home: which nodes publish a chunk, and which subscribe to it.
//!
//! A node subscribes for its sessions and players, who look; or only for its entities with a place nearby ([`PLACES`]). Both get
//! frames, but only looks keep land and placed entities loaded: otherwise each chunk would wake the next.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, NodeId};

use crate::core::Core;
use crate::peer::{HomeMessage, PLACES};

#[derive(Default)]
pub(super) struct Table {
    chunks: BTreeMap<ChunkId, Entry>,
}

/// In node order, without spare capacity: mostly one or two of each, and there are many chunks.
#[derive(Default)]
struct Entry {
    publishers: Vec<NodeId>,
    /// Tiers as bits, and [`PLACES`]: never 0.
    subscribers: Vec<(NodeId, u8)>,
}

impl Entry {
    fn publish(&mut self, node: NodeId) {
        if let Err(at) = self.publishers.binary_search(&node) {
            self.publishers.reserve_exact(1);
            self.publishers.insert(at, node);
        }
    }

    /// The node wants these tiers from now on; 0: none any more. Returns what it wanted before.
    fn subscribe(&mut self, node: NodeId, tiers: u8) -> u8 {
        match (self.subscribers.binary_search_by_key(&node, |(n, _)| *n), tiers) {
            (Ok(at), 0) => self.subscribers.remove(at).1,
            (Ok(at), _) => std::mem::replace(&mut self.subscribers[at].1, tiers),
            (Err(_), 0) => 0,
            (Err(at), _) => {
                self.subscribers.reserve_exact(1);
                self.subscribers.insert(at, (node, tiers));
                0
            }
        }
    }

    /// The subscribers and their tiers, as publishers get them.
    fn told(&self) -> Vec<(NodeId, u8)> {
        self.subscribers.iter().map(|(node, wanted)| (*node, told(*wanted))).collect()
    }
}

/// A subscriber's tiers, as publishers get them: entities with a place see as players do, in the nearest tier.
fn told(wanted: u8) -> u8 {
    wanted & !PLACES | u8::from(wanted & PLACES != 0)
}

impl Table {
    /// Whether somebody looks at the chunk.
    pub(super) fn is_observed(&self, chunk: ChunkId) -> bool {
        let looks = |(_, wanted): &(NodeId, u8)| wanted & !PLACES != 0;
        self.chunks.get(&chunk).is_some_and(|c| c.subscribers.iter().any(looks))
    }

    /// Forgets some chunks. Returns whether any are left: clearing many away takes long.
    pub(super) fn forget_some(&mut self, most: usize) -> bool {
        for _ in 0..most {
            if self.chunks.pop_first().is_none() {
                return false;
            }
        }
        !self.chunks.is_empty()
    }

    /// The larger of two tables.
    pub(super) fn or_larger(self, other: Self) -> Self {
        if other.chunks.len() > self.chunks.len() { other } else { self }
    }

    pub(super) fn chunks(&self) -> Vec<ChunkId> {
        self.chunks.keys().copied().collect()
    }

    /// Records what a member announced. Publishers do not hear of it yet.
    pub(super) fn note(&mut self, from: NodeId, subscribes: Vec<(ChunkId, u8)>, publishes: Vec<ChunkId>) {
        for (chunk, tiers) in subscribes.into_iter().filter(|(_, tiers)| *tiers != 0) {
            self.chunks.entry(chunk).or_default().subscribe(from, tiers);
        }
        for chunk in publishes {
            self.chunks.entry(chunk).or_default().publish(from);
        }
    }

    /// Forgets what a node wants and publishes.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.chunks.retain(|_, entry| {
            entry.publishers.retain(|other| *other != node);
            entry.subscribers.retain(|(other, _)| *other != node);
            !(entry.publishers.is_empty() && entry.subscribers.is_empty())
        });
    }

    pub(super) fn subscribe(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, tiers: u8) {
        let before = self.chunks.entry(chunk).or_default().subscribe(from, tiers);
        if told(before) != told(tiers) {
            self.tell_publishers(core, chunk, None);
        }
        self.forget_if_empty(chunk);
    }

    pub(super) fn publish(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, on: bool) {
        let entry = self.chunks.entry(chunk).or_default();
        if on {
            entry.publish(from);
            self.tell_publishers(core, chunk, Some(from));
        } else {
            entry.publishers.retain(|node| *node != from);
            self.forget_if_empty(chunk);
        }
    }

    /// Tells the publishers of `chunk` which nodes subscribe. `only`: tells just this one.
    pub(super) fn tell_publishers(&self, core: &mut Core, chunk: ChunkId, only: Option<NodeId>) {
        let Some(entry) = self.chunks.get(&chunk) else { return };
        let list = entry.told();
        for to in entry.publishers.iter().filter(|n| only.is_none_or(|o| o == **n)) {
            core.send_home(*to, HomeMessage::Subscribers { chunk, list: list.clone() });
        }
    }

    fn forget_if_empty(&mut self, chunk: ChunkId) {
        if self.chunks.get(&chunk).is_some_and(|c| c.publishers.is_empty() && c.subscribers.is_empty()) {
            self.chunks.remove(&chunk);
        }
    }

    pub(super) fn check(&self) {
        for (chunk, entry) in &self.chunks {
            assert!(!(entry.publishers.is_empty() && entry.subscribers.is_empty()), "{chunk:?} is empty");
            assert!(entry.publishers.is_sorted_by(|a, b| a < b), "publishers out of order");
            assert!(entry.subscribers.is_sorted_by(|a, b| a.0 < b.0), "subscribers out of order");
            assert!(entry.subscribers.iter().all(|(_, tiers)| *tiers != 0), "a subscriber has a tier");
        }
    }
}
