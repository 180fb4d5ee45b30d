//! The chunks of this home that somebody looks at, and the lists of entities that have their place in them. Plain values; what
//! happens to them is in `observe`.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, Kind};

/// The open chunks and the lists in flight.
#[derive(Default)]
pub(super) struct Places {
    /// For each open chunk: whether it has been listed since the last view, or is being listed.
    open: BTreeMap<ChunkId, bool>,
    /// Lists in flight.
    asked: BTreeMap<u64, (Kind, ChunkId)>,
    /// Lists that have failed in a row.
    failed: BTreeMap<(Kind, ChunkId), u8>,
}

impl Places {
    pub(super) fn is_open(&self, chunk: ChunkId) -> bool {
        self.open.contains_key(&chunk)
    }

    /// Somebody looks at the chunk. Returns whether it was closed, and whether it must be listed.
    pub(super) fn begin(&mut self, chunk: ChunkId) -> (bool, bool) {
        let before = self.open.insert(chunk, true);
        (before.is_none(), before != Some(true))
    }

    /// Nobody looks at it any more, or another node is its home. Returns whether it was open.
    pub(super) fn end(&mut self, chunk: ChunkId) -> bool {
        self.asked.retain(|_, (_, of)| *of != chunk);
        self.failed.retain(|(_, of), _| *of != chunk);
        self.open.remove(&chunk).is_some()
    }

    /// A new view: all lists may be stale.
    pub(super) fn doubt_all(&mut self) -> Vec<ChunkId> {
        self.asked.clear();
        self.open.values_mut().for_each(|listed| *listed = false);
        self.open.keys().copied().collect()
    }

    /// A list with this number asks for the entities of `kind` in the chunk.
    pub(super) fn ask(&mut self, list: u64, kind: Kind, chunk: ChunkId) {
        assert!(!self.is_asked(kind, chunk), "{chunk:?} is listed once at a time");
        self.asked.insert(list, (kind, chunk));
    }

    /// A list has ended. `None`: nothing waits for it any more.
    pub(super) fn answer(&mut self, list: u64) -> Option<(Kind, ChunkId)> {
        self.asked.remove(&list)
    }

    /// A list has failed. Returns how many had before it, in a row.
    pub(super) fn fail(&mut self, kind: Kind, chunk: ChunkId) -> u8 {
        let failures = self.failed.entry((kind, chunk)).or_default();
        let before = *failures;
        *failures = before.saturating_add(1);
        before
    }

    pub(super) fn succeed(&mut self, kind: Kind, chunk: ChunkId) {
        self.failed.remove(&(kind, chunk));
    }

    /// Whether to retry a failed list. After a new view the chunk is listed again when the home opens.
    pub(super) fn wants_again(&self, kind: Kind, chunk: ChunkId) -> bool {
        self.open.get(&chunk) == Some(&true) && !self.is_asked(kind, chunk)
    }

    fn is_asked(&self, kind: Kind, chunk: ChunkId) -> bool {
        self.asked.values().any(|asked| *asked == (kind, chunk))
    }

    /// `is_observed`: whether somebody looks at a chunk that lives here.
    pub(super) fn check(&self, is_observed: impl Fn(ChunkId) -> bool) {
        assert!(self.open.keys().all(|chunk| is_observed(*chunk)), "somebody looks at each open chunk");
        assert!(self.asked.values().all(|(_, chunk)| self.is_open(*chunk)), "only open chunks are listed");
    }
}
