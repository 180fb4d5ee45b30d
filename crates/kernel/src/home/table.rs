//! The interest table of a home: which nodes publish a chunk, and which subscribe to it.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{ChunkId, NodeId};

use crate::core::Core;
use crate::peer::HomeMessage;

#[derive(Default)]
pub(super) struct Table {
    chunks: BTreeMap<ChunkId, Entry>,
}

#[derive(Default)]
struct Entry {
    publishers: BTreeSet<NodeId>,
    /// Tiers as bits: never 0.
    subscribers: BTreeMap<NodeId, u8>,
}

impl Table {
    pub(super) fn is_observed(&self, chunk: ChunkId) -> bool {
        self.chunks.get(&chunk).is_some_and(|c| !c.subscribers.is_empty())
    }

    pub(super) fn chunks(&self) -> Vec<ChunkId> {
        self.chunks.keys().copied().collect()
    }

    /// What a member announced. Nobody is told yet.
    pub(super) fn note(&mut self, from: NodeId, subscribes: Vec<(ChunkId, u8)>, publishes: Vec<ChunkId>) {
        for (chunk, tiers) in subscribes.into_iter().filter(|(_, tiers)| *tiers != 0) {
            self.chunks.entry(chunk).or_default().subscribers.insert(from, tiers);
        }
        for chunk in publishes {
            self.chunks.entry(chunk).or_default().publishers.insert(from);
        }
    }

    pub(super) fn subscribe(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, tiers: u8) {
        let entry = self.chunks.entry(chunk).or_default();
        let before =
            if tiers == 0 { entry.subscribers.remove(&from) } else { entry.subscribers.insert(from, tiers) };
        assert!(before != Some(0), "a subscriber has a tier");
        if before.unwrap_or(0) != tiers {
            self.tell_publishers(core, chunk, None);
        }
        self.forget_if_empty(chunk);
    }

    pub(super) fn publish(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, on: bool) {
        let entry = self.chunks.entry(chunk).or_default();
        if on {
            entry.publishers.insert(from);
            self.tell_publishers(core, chunk, Some(from));
        } else {
            entry.publishers.remove(&from);
            self.forget_if_empty(chunk);
        }
    }

    /// Tells the publishers of `chunk` who subscribes. `only`: this one.
    pub(super) fn tell_publishers(&self, core: &mut Core, chunk: ChunkId, only: Option<NodeId>) {
        let Some(entry) = self.chunks.get(&chunk) else { return };
        let list: Vec<_> = entry.subscribers.iter().map(|(n, t)| (*n, *t)).collect();
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
            assert!(entry.subscribers.values().all(|tiers| *tiers != 0), "a subscriber has a tier");
        }
    }
}
