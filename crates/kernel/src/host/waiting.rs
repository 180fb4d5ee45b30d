//! Work that waits until the journal has room, and then goes on or is refused. Whether there is room: `storage`.

use gundo_types::{Planted, Time};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::queue::Work;
use super::room::Host;
use super::storage::Room;
use crate::core::Timer;
use crate::game::Refusal;
use crate::io::Gauges;
use crate::peer::ToEdge;

impl Entity {
    /// If the journal has no room for work that needs an append, keeps the work until it has, or refuses it. False: it may be
    /// appended now. `grows`: it adds to the world, rather than keeping somebody in it.
    pub(super) fn hold_back(&mut self, cx: &mut Cx<'_>, work: &Work, grows: bool) -> bool {
        if work.comes_again() && cx.room() != Room::Open {
            self.refuse_work(cx, work, storage_busy());
            return true;
        }
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
        self.queue.hold(work.clone());
        cx.desk.storage.hold(self.id);
        if !cx.core.planted(Planted::WaitsForEver) {
            cx.core.at(until, Timer::Held(self.id));
        }
    }

    /// It could not be loaded, and will be tried again: refuses the work that has waited for long enough, so that each gets an answer.
    /// Parts of transactions wait no longer at all, because others are locked meanwhile. A command that was in an append waits on: it
    /// may have taken effect.
    pub(super) fn answer_late(&mut self, cx: &mut Cx<'_>) {
        if cx.core.planted(Planted::WaitsForEver) {
            return;
        }
        let (now, wait_ms) = (cx.core.now.time, cx.core.world().append_wait_ms);
        for work in self.queue.take_if(|work| match work {
            Work::Open { since, .. } => since.plus_ms(wait_ms) <= now,
            Work::Command(c) => c.tries == 0 && c.since.plus_ms(wait_ms) <= now,
            Work::Prepare(_) | Work::Read(_) => true,
            Work::Resume(_) | Work::Own(_) | Work::Delivered => false,
        }) {
            cx.core.counters.refused_storage_busy += 1;
            match work {
                Work::Prepare(prepare) => self.say_busy(cx, prepare.tx),
                work => self.refuse_work(cx, &work, storage_busy()),
            }
        }
    }

    /// Its first piece of work has waited long enough: tries it again, and refuses it if there is still no room.
    pub(super) fn on_held_timer(&mut self, cx: &mut Cx<'_>) {
        if self.queue.release() {
            cx.desk.storage.let_go(self.id);
            self.run(cx);
        }
    }
}

impl Host {
    /// The driver has looked at the journal.
    pub(crate) fn on_gauges(&mut self, rooms: &mut Rooms<'_>, gauges: Gauges) {
        if let Some(generation) = gauges.generation {
            self.on_generation(rooms, generation);
        }
        if self.desk.storage.set_full(gauges.storage_full) {
            self.let_in(rooms);
        }
    }

    /// Lets work that waits for the journal go on while there is room.
    pub(super) fn let_in(&mut self, rooms: &mut Rooms<'_>) {
        for _ in 0..self.desk.storage.held() {
            if self.desk.storage.room(rooms.core) == Room::Busy {
                return;
            }
            let Some(id) = self.desk.storage.next_held() else { return };
            self.with(rooms, id, |entity, cx| {
                if entity.queue.release() {
                    entity.run(cx);
                }
            });
        }
        while self.desk.storage.room(rooms.core) != Room::Busy
            && let Some(id) = self.desk.storage.next_leaving()
        {
            // Unless it has come back.
            self.with(rooms, id, |entity, cx| entity.on_grace(cx));
        }
    }
}

fn storage_busy() -> Refusal {
    Refusal::new("storage_busy", "The world is slow to save just now. Try again in a moment.")
}
