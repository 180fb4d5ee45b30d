//! The chunks of this home that somebody looks at, and the lists of what has its place in them. Plain values; what happens to
//! them is in `observe`.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, Kind};

/// All of them.
#[derive(Default)]
pub(super) struct Places {
    /// Whether each has been listed since the last view, or is being listed.
    open: BTreeMap<ChunkId, bool>,
    /// Lists in flight.
    asked: BTreeMap<u64, (Kind, ChunkId)>,
}

impl Places {
    pub(super) fn is_open(&self, chunk: ChunkId) -> bool {
        self.open.contains_key(&chunk)
    }

    /// Somebody looks at the chunk. Whether it was not open, and whether it is to be listed.
    pub(super) fn begin(&mut self, chunk: ChunkId) -> (bool, bool) {
        let before = self.open.insert(chunk, true);
        (before.is_none(), before != Some(true))
    }

    /// Nobody looks at it any more, or it lives elsewhere. Whether it was open.
    pub(super) fn end(&mut self, chunk: ChunkId) -> bool {
        self.asked.retain(|_, (_, of)| *of != chunk);
        self.open.remove(&chunk).is_some()
    }

    /// A new view: what was listed may be old.
    pub(super) fn doubt_all(&mut self) -> Vec<ChunkId> {
        self.asked.clear();
        self.open.values_mut().for_each(|listed| *listed = false);
        self.open.keys().copied().collect()
    }

    /// What has its place in a chunk is asked for, by a list with this number.
    pub(super) fn ask(&mut self, list: u64, kind: Kind, chunk: ChunkId) {
        assert!(!self.is_asked(kind, chunk), "{chunk:?} is listed once at a time");
        self.asked.insert(list, (kind, chunk));
    }

    /// A list has ended. `None`: nobody waits for it any more.
    pub(super) fn answer(&mut self, list: u64) -> Option<(Kind, ChunkId)> {
        self.asked.remove(&list)
    }

    /// Whether a list that failed is to be tried again. After a new view it is asked for when the home opens.
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
