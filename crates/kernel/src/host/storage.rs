//! Whether the journal takes something new now, and who waits for it.
//!
//! Appends in flight are bounded in number, in bytes and in age. Beyond, what would be appended next waits at the head of its
//! entity's queue, at most `append_wait_ms`; then it is refused. It was never sent, so the refusal has no effect. What was sent
//! is not touched: its outcome says how it ended. While the disk is nearly full, what would add to the world is refused at once.
//! Refusals by the game, answers to repeats, moves and frames need no append and go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::{EntityId, Time};
use gundo_wire::journal::{Batch, StreamAppend};

use crate::core::Core;
use crate::io::WorldSettings;

/// What is in flight to the journal, and who waits until there is room.
#[derive(Default)]
pub(super) struct Storage {
    /// Appends without an outcome: when each was sent, and its bytes. The first is the oldest.
    sent: BTreeMap<u64, (Time, usize)>,
    bytes: usize,
    /// Entities whose first piece of work waits for room, in the order in which they came. Some may be gone.
    held: VecDeque<EntityId>,
    /// Players that leave when there is room for the place where they stand.
    leaving: BTreeSet<EntityId>,
    /// The driver says that the disk is nearly full.
    full: bool,
}

/// Whether something new may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Open,
    /// Too much is in flight, or for too long.
    Busy,
    /// The disk is nearly full: only what keeps those who are there in the world.
    Full,
}

impl Storage {
    /// Appends whose outcome is awaited.
    pub(super) fn waiting(&self) -> usize {
        self.sent.len()
    }

    /// Whether the journal is behind: too much is in flight, or for too long.
    pub(super) fn is_slow(&self, now: Time, world: &WorldSettings) -> bool {
        let late = |(at, _): &(Time, usize)| now.since(*at) >= world.append_slow_ms * 1_000;
        self.sent.len() >= world.appends_waiting_max
            || self.bytes >= world.append_bytes_waiting_max
            || self.sent.values().next().is_some_and(late)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn room(&self, core: &Core) -> Room {
        if self.is_slow(core.now.time, core.world()) {
            Room::Busy
        } else if self.full {
            Room::Full
        } else {
            Room::Open
        }
    }

    /// The driver has looked at the disk. True: there is room again.
    pub(super) fn set_full(&mut self, full: bool) -> bool {
        std::mem::replace(&mut self.full, full) && !full
    }

    /// An entity's first piece of work waits for room.
    pub(super) fn hold(&mut self, id: EntityId) {
        self.held.push_back(id);
    }

    /// It does not wait any more.
    pub(super) fn let_go(&mut self, id: EntityId) {
        self.held.retain(|held| *held != id);
    }

    /// Entities that wait for room, some of which may be gone.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn next_held(&mut self) -> Option<EntityId> {
        self.held.pop_front()
    }

    pub(super) fn next_leaving(&mut self) -> Option<EntityId> {
        self.leaving.pop_first()
    }

    /// A player leaves when there is room for the place where it stands.
    pub(super) fn leave_later(&mut self, id: EntityId) {
        self.leaving.insert(id);
    }

    pub(super) fn begin(&mut self, batch: &Batch, now: Time) {
        let bytes = bytes_of(batch);
        let before = self.sent.insert(batch.id, (now, bytes));
        assert!(before.is_none(), "a batch is sent once");
        self.bytes += bytes;
    }

    /// An append has ended, in whichever way.
    pub(super) fn on_ended(&mut self, batch: u64) {
        if let Some((_, bytes)) = self.sent.remove(&batch) {
            assert!(self.bytes >= bytes, "bytes in flight are those of appends in flight");
            self.bytes -= bytes;
        }
        assert!(!self.sent.is_empty() || self.bytes == 0, "without appends no bytes are in flight");
    }

    pub(super) fn check(&self) {
        let bytes: usize = self.sent.values().map(|(_, bytes)| bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes in flight are those of appends in flight");
    }
}

/// Bytes of a batch that the journal has to write, about.
fn bytes_of(batch: &Batch) -> usize {
    let stream = |s: &StreamAppend| {
        let events: usize = s.events.iter().map(|e| e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, bytes::Bytes::len)
    };
    batch.streams.iter().map(stream).sum()
}
