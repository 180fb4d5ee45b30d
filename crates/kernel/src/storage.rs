//! Whether the journal takes something new now, and who waits for it.
//!
//! Appends on their way are bounded in number, in bytes and in age. Beyond, what would be appended next waits at the head of its
//! player's queue, at most `append_wait_ms`; then it is refused. It has not been sent: the refusal is without effect. What has
//! been sent is not touched: its outcome says how it ended. While the disk is nearly full what would add to the world is refused
//! at once. Refusals by the game, answers to repeats, moves and frames need no append and go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::{EntityId, Planted, Time};
use gundo_wire::journal::Batch;

use crate::Node;
use crate::core::Timer;
use crate::game::Refusal;
use crate::io::{Output, WorldSettings};
use crate::work::Work;

/// What is on its way to the journal, and who waits until there is room.
#[derive(Default)]
pub(crate) struct Storage {
    /// Appends without an outcome: when each was sent, and its bytes. The first is the oldest.
    sent: BTreeMap<u64, (Time, usize)>,
    bytes: usize,
    /// Players whose first piece of work waits for room, in the order in which they came. Some may be gone.
    held: VecDeque<EntityId>,
    /// Players that leave when there is room for the place where they stand.
    leaving: BTreeSet<EntityId>,
    /// The driver says that the disk is nearly full.
    full: bool,
}

/// Whether something new may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Open,
    /// Too much is on its way, or for too long.
    Busy,
    /// The disk is nearly full: only what keeps those who are there in the world.
    Full,
}

impl Storage {
    /// Appends whose outcome is awaited.
    pub(crate) fn waiting(&self) -> usize {
        self.sent.len()
    }

    /// Whether the journal is behind: too much is on its way, or for too long.
    pub(crate) fn is_slow(&self, now: Time, world: &WorldSettings) -> bool {
        let late = |(at, _): &(Time, usize)| now.since(*at) >= world.append_slow_ms * 1_000;
        self.sent.len() >= world.appends_waiting_max
            || self.bytes >= world.append_bytes_waiting_max
            || self.sent.values().next().is_some_and(late)
    }

    pub(crate) fn leave_later(&mut self, id: EntityId) {
        self.leaving.insert(id);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }
}

impl Node {
    pub(crate) fn room(&self) -> Room {
        if self.storage.is_slow(self.core.now.time, self.core.world()) {
            Room::Busy
        } else if self.storage.full {
            Room::Full
        } else {
            Room::Open
        }
    }

    /// Sends a batch to the journal.
    pub(crate) fn append(&mut self, batch: Batch) {
        let bytes = bytes_of(&batch);
        self.storage.sent.insert(batch.id, (self.core.now.time, bytes));
        self.storage.bytes += bytes;
        self.core.outputs.push_back(Output::Append(batch));
    }

    /// An append has ended, in whichever way.
    pub(crate) fn on_append_ended(&mut self, batch: u64) {
        if let Some((_, bytes)) = self.storage.sent.remove(&batch) {
            self.storage.bytes -= bytes;
        }
    }

    /// The driver has looked at the disk.
    pub(crate) fn set_storage_full(&mut self, full: bool) {
        if std::mem::replace(&mut self.storage.full, full) && !full {
            self.let_in();
        }
    }

    /// Keeps work that would be appended, and has not been, until there is room, or refuses it; false: it may be appended now.
    /// `grows`: it adds to the world, rather than keeping somebody in it.
    pub(crate) fn hold_back(&mut self, id: EntityId, work: &Work, grows: bool) -> bool {
        let until = work.since().plus_ms(self.core.world().append_wait_ms);
        let Some(real) = self.hosts.reals.get_mut(&id) else { return false };
        match self.storage.is_slow(self.core.now.time, &self.core.settings.world) {
            true if until > self.core.now.time || self.core.planted(Planted::WaitsForEver) => {
                if self.core.planted(Planted::BusyThoughSent) {
                    real.sent_commands().for_each(|c| {
                        let reply = crate::peer::ToEdge::Reply { seq: c.seq, result: Err(storage_busy()) };
                        self.core.send_edge(c.line.edge, c.line.conn, id, reply);
                    });
                }
                real.waiting.push_front(work.clone());
                real.held = true;
                self.storage.held.push_back(id);
                if !self.core.planted(Planted::WaitsForEver) {
                    self.core.timers.insert((until, Timer::Held(id)));
                }
            }
            true => {
                self.core.counters.refused_storage_busy += 1;
                self.refuse_work(id, work, storage_busy());
            }
            false if self.storage.full && grows => {
                self.core.counters.refused_storage_full += 1;
                let text = "The world has no room to save more just now. Try again later.";
                self.refuse_work(id, work, Refusal::new("storage_full", text));
            }
            false => return false,
        }
        true
    }

    /// What was held back takes its turn while there is room.
    pub(crate) fn let_in(&mut self) {
        for _ in 0..self.storage.held.len() {
            if self.room() == Room::Busy {
                return;
            }
            let Some(id) = self.storage.held.pop_front() else { return };
            if let Some(real) = self.hosts.reals.get_mut(&id)
                && std::mem::take(&mut real.held)
            {
                self.run(id);
            }
        }
        while self.room() != Room::Busy
            && let Some(id) = self.storage.leaving.pop_first()
        {
            // Unless it has come back.
            self.on_grace(id);
        }
    }

    /// The first piece of work that waits at `id` has waited long enough: whatever has is refused.
    pub(crate) fn on_held_timer(&mut self, id: EntityId) {
        if let Some(real) = self.hosts.reals.get_mut(&id).filter(|r| r.held) {
            real.held = false;
            self.storage.held.retain(|held| *held != id);
            self.run(id);
        }
    }
}

fn storage_busy() -> Refusal {
    Refusal::new("storage_busy", "The world is slow to save just now. Try again in a moment.")
}

/// Bytes of a batch that the journal has to write, about.
fn bytes_of(batch: &Batch) -> usize {
    let stream = |s: &gundo_wire::journal::StreamAppend| {
        let events: usize = s.events.iter().map(|e| e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, bytes::Bytes::len)
    };
    batch.streams.iter().map(stream).sum()
}
