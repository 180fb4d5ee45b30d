//! Whether the journal takes something new now, and who waits for it.
//!
//! Appends in flight are bounded in number, in bytes and in age. Beyond, what would be appended next waits at the head of its
//! entity's queue, at most `append_wait_ms`; then it is refused. It was never sent, so the refusal has no effect. What was sent
//! is not touched: its outcome says how it ended. While the disk is nearly full, what would add to the world is refused at once.
//! Refusals by the game, answers to repeats, moves and frames need no append and go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::{EntityId, Planted, Time};
use gundo_wire::journal::{Batch, StreamAppend};

use super::entity::Entity;
use super::work::Work;
use super::{Cx, Host, Rooms, Timer};
use crate::core::Core;
use crate::game::Refusal;
use crate::io::{Output, WorldSettings};
use crate::peer::ToEdge;

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

    pub(super) fn leave_later(&mut self, id: EntityId) {
        self.leaving.insert(id);
    }

    fn begin(&mut self, batch: &Batch, now: Time) {
        let bytes = bytes_of(batch);
        self.sent.insert(batch.id, (now, bytes));
        self.bytes += bytes;
    }

    /// An append has ended, in whichever way.
    pub(super) fn on_ended(&mut self, batch: u64) {
        if let Some((_, bytes)) = self.sent.remove(&batch) {
            assert!(self.bytes >= bytes, "bytes in flight are those of appends in flight");
            self.bytes -= bytes;
        }
    }

    pub(super) fn check(&self) {
        let bytes: usize = self.sent.values().map(|(_, bytes)| bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes in flight are those of appends in flight");
    }
}

impl Cx<'_> {
    pub(super) fn room(&self) -> Room {
        self.desk.storage.room(self.core)
    }

    /// Sends a batch to the journal.
    pub(super) fn append(&mut self, batch: Batch) {
        self.desk.storage.begin(&batch, self.core.now.time);
        self.core.outputs.push_back(Output::Append(batch));
    }
}

impl Entity {
    /// Keeps work that would be appended, and has not been, until there is room, or refuses it; false: it may be appended now.
    /// `grows`: it adds to the world, rather than keeping somebody in it.
    pub(super) fn hold_back(&mut self, cx: &mut Cx<'_>, work: &Work, grows: bool) -> bool {
        let (now, until) = (cx.core.now.time, work.since().plus_ms(cx.core.world().append_wait_ms));
        match cx.room() {
            Room::Busy if until > now || cx.core.planted(Planted::WaitsForEver) => {
                self.wait_for_room(cx, work, until);
            }
            Room::Busy => {
                cx.core.counters.refused_storage_busy += 1;
                self.refuse_work(cx, work, storage_busy());
            }
            Room::Full if grows => {
                cx.core.counters.refused_storage_full += 1;
                let text = "The world has no room to save more just now. Try again later.";
                self.refuse_work(cx, work, Refusal::new("storage_full", text));
            }
            Room::Full | Room::Open => return false,
        }
        true
    }

    fn wait_for_room(&mut self, cx: &mut Cx<'_>, work: &Work, until: Time) {
        if cx.core.planted(Planted::BusyThoughSent) {
            for command in self.pending.iter().flat_map(|p| p.commands()) {
                let reply = ToEdge::Reply { seq: command.seq, result: Err(storage_busy()) };
                self.tell_edge(cx, command.line, reply);
            }
        }
        self.queue.put_back(work.clone());
        self.queue.held = true;
        cx.desk.storage.held.push_back(self.id);
        if !cx.core.planted(Planted::WaitsForEver) {
            cx.core.timers.insert((until, Timer::Held(self.id)));
        }
    }

    /// Its first piece of work has waited long enough: it is tried, and refused if there is still no room.
    pub(super) fn on_held_timer(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.queue.held) {
            let id = self.id;
            cx.desk.storage.held.retain(|held| *held != id);
            self.run(cx);
        }
    }
}

impl Host {
    /// The driver has looked at the disk.
    pub(crate) fn set_storage_full(&mut self, rooms: &mut Rooms<'_>, full: bool) {
        if std::mem::replace(&mut self.desk.storage.full, full) && !full {
            self.let_in(rooms);
        }
    }

    /// What waits for the journal goes on while there is room.
    pub(super) fn let_in(&mut self, rooms: &mut Rooms<'_>) {
        for _ in 0..self.desk.storage.held.len() {
            if self.desk.storage.room(rooms.core) == Room::Busy {
                return;
            }
            let Some(id) = self.desk.storage.held.pop_front() else { return };
            self.with(rooms, id, |entity, cx| {
                if std::mem::take(&mut entity.queue.held) {
                    entity.run(cx);
                }
            });
        }
        while self.desk.storage.room(rooms.core) != Room::Busy
            && let Some(id) = self.desk.storage.leaving.pop_first()
        {
            // Unless it has come back.
            self.with(rooms, id, |entity, cx| entity.on_grace(cx));
        }
    }
}

fn storage_busy() -> Refusal {
    Refusal::new("storage_busy", "The world is slow to save just now. Try again in a moment.")
}

/// Bytes of a batch that the journal has to write, about.
fn bytes_of(batch: &Batch) -> usize {
    let stream = |s: &StreamAppend| {
        let events: usize = s.events.iter().map(|e| e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, bytes::Bytes::len)
    };
    batch.streams.iter().map(stream).sum()
}
