//! The chunks of this home that somebody looks at, and the lists of entities that have their place in them. Plain values; what
//! happens to them is in `observe`.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{ChunkId, Kind};

/// The open chunks and the lists in flight.
#[derive(Default)]
pub(super) struct Places {
    /// For each open chunk: whether it has been listed since the last view, or is being listed.
    open: BTreeMap<ChunkId, bool>,
    /// Lists in flight, and the same by what they list.
    asked: BTreeMap<u64, (Kind, ChunkId)>,
    /// Lists that have failed in a row.
    failed: BTreeMap<(ChunkId, Kind), u8>,
    lists: BTreeMap<(ChunkId, Kind), u64>,
    /// Open chunks whose home in the present view is another node: they are closed some at a time.
    leaving: BTreeSet<ChunkId>,
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
        self.leaving.remove(&chunk);
        let all = (chunk, Kind(0))..=(chunk, Kind(u16::MAX));
        while let Some((of, list)) = self.lists.range(all.clone()).next().map(|(of, list)| (*of, *list)) {
            self.lists.remove(&of);
            self.asked.remove(&list);
        }
        while let Some(of) = self.failed.range(all.clone()).next().map(|(of, _)| *of) {
            self.failed.remove(&of);
        }
        self.open.remove(&chunk).is_some()
    }

    /// A new view: all lists may be stale, and chunks may have another home.
    /// Returns those that have.
    pub(super) fn doubt_all(&mut self, stays: impl Fn(ChunkId) -> bool) -> Vec<ChunkId> {
        self.asked.clear();
        self.lists.clear();
        self.open.values_mut().for_each(|listed| *listed = false);
        let leaving: Vec<_> = self.open.keys().copied().filter(|chunk| !stays(*chunk)).collect();
        self.leaving = leaving.iter().copied().collect();
        leaving
    }

    /// The next chunk to close because its home is another node.
    pub(super) fn next_leaving(&self) -> Option<ChunkId> {
        self.leaving.first().copied()
    }

    /// A list with this number asks for the entities of `kind` in the chunk.
    pub(super) fn ask(&mut self, list: u64, kind: Kind, chunk: ChunkId) {
        assert!(!self.is_asked(kind, chunk), "{chunk:?} is listed once at a time");
        self.asked.insert(list, (kind, chunk));
        self.lists.insert((chunk, kind), list);
    }

    /// A list has ended. `None`: nothing waits for it any more.
    pub(super) fn answer(&mut self, list: u64) -> Option<(Kind, ChunkId)> {
        let (kind, chunk) = self.asked.remove(&list)?;
        self.lists.remove(&(chunk, kind));
        Some((kind, chunk))
    }

    /// A list has failed. Returns how many had before it, in a row.
    pub(super) fn fail(&mut self, kind: Kind, chunk: ChunkId) -> u8 {
        let failures = self.failed.entry((chunk, kind)).or_default();
        let before = *failures;
        *failures = before.saturating_add(1);
        before
    }

    pub(super) fn succeed(&mut self, kind: Kind, chunk: ChunkId) {
        self.failed.remove(&(chunk, kind));
    }

    /// Whether to retry a failed list. After a new view the chunk is listed again when the home opens.
    pub(super) fn wants_again(&self, kind: Kind, chunk: ChunkId) -> bool {
        self.open.get(&chunk) == Some(&true) && !self.is_asked(kind, chunk)
    }

    fn is_asked(&self, kind: Kind, chunk: ChunkId) -> bool {
        self.lists.contains_key(&(chunk, kind))
    }

    /// `is_observed`: whether somebody looks at a chunk that lives here.
    pub(super) fn check(&self, is_observed: impl Fn(ChunkId) -> bool) {
        let belongs = |chunk: &ChunkId| is_observed(*chunk) || self.leaving.contains(chunk);
        assert!(self.open.keys().all(belongs), "somebody looks at each open chunk");
        assert!(self.leaving.iter().all(|chunk| self.is_open(*chunk)), "only open chunks are closed");
        assert!(self.asked.values().all(|(_, chunk)| self.is_open(*chunk)), "only open chunks are listed");
        let both =
            self.asked.iter().all(|(list, (kind, chunk))| self.lists.get(&(*chunk, *kind)) == Some(list));
        assert!(both && self.asked.len() == self.lists.len(), "a list in flight is known by what it lists");
    }
}
