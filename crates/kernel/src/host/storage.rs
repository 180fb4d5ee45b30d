//! Whether the journal takes new appends now, and which entities wait for it.
//!
//! Appends in flight are bounded in number, in bytes and in age. At a limit, new work waits at the head of its entity's queue
//! for at most `append_wait_ms` and is then refused. It was never sent, so it has had no effect. Appends that were sent always
//! wait for their outcome. While the disk is nearly full, work that would add to the world is refused at once. Refusals by the
//! game, answers to repeats, moves and frames need no append and go on.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{EntityId, Time};
use gundo_wire::journal::{Batch, StreamAppend};

use crate::core::Core;
use crate::io::WorldSettings;

/// What is in flight to the journal, and what waits until there is room.
#[derive(Default)]
pub(super) struct Storage {
    /// Appends without an outcome: when each was sent, and its bytes. The first is the oldest.
    sent: BTreeMap<u64, (Time, usize)>,
    bytes: usize,
    /// Entities whose first piece of work waits for room, in order of arrival. Some may be unloaded.
    held: BTreeMap<u64, EntityId>,
    /// The place of each in that order.
    places: BTreeMap<EntityId, u64>,
    last_place: u64,
    /// Players that leave when there is room to record their place.
    leaving: BTreeSet<EntityId>,
    /// The driver says that the disk is nearly full.
    full: bool,
}

/// Whether new appends may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Open,
    /// Too much has been in flight, or for too long.
    Busy,
    /// The disk is nearly full: only appends that keep present players in the world.
    Full,
}

impl Storage {
    /// Appends in flight.
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
        self.let_go(id);
        self.last_place += 1;
        self.held.insert(self.last_place, id);
        self.places.insert(id, self.last_place);
    }

    /// It waits no more.
    pub(super) fn let_go(&mut self, id: EntityId) {
        if let Some(place) = self.places.remove(&id) {
            self.held.remove(&place);
        }
    }

    /// Entities that wait for room, some of which may be unloaded.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn all_held(&self) -> impl Iterator<Item = EntityId> {
        self.held.values().copied()
    }

    pub(super) fn next_held(&mut self) -> Option<EntityId> {
        let (_, id) = self.held.pop_first()?;
        self.places.remove(&id);
        Some(id)
    }

    pub(super) fn next_leaving(&mut self) -> Option<EntityId> {
        self.leaving.pop_first()
    }

    /// Lets a player leave when there is room to record its place.
    pub(super) fn leave_later(&mut self, id: EntityId) {
        self.leaving.insert(id);
    }

    pub(super) fn begin(&mut self, batch: &Batch, now: Time) {
        let bytes = bytes_of(batch);
        let before = self.sent.insert(batch.id, (now, bytes));
        assert!(before.is_none(), "a batch is sent once");
        self.bytes += bytes;
    }

    /// An append has ended, with whatever outcome.
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
        assert_eq!(self.held.len(), self.places.len(), "each entity waits once");
    }
}

/// Approximate bytes that the journal writes for a batch.
fn bytes_of(batch: &Batch) -> usize {
    let stream = |s: &StreamAppend| {
        let events: usize = s.events.iter().map(|e| e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, bytes::Bytes::len)
    };
    batch.streams.iter().map(stream).sum()
}
