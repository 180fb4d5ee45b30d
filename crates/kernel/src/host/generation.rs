//! The journal has gone back to an earlier state: a new **generation** of it has begun.
//!
//! What the entities here have in memory may never have happened. Whatever they had in flight is given up (nothing of the
//! generation before lands any more), they load again, and do their work on what they find. Streams that end before what this
//! node knew to be durable are named in an alarm: others may have been told of those events. A player whose session is lost with
//! them keeps its connection: the session is recorded again. One that had not begun yet is sent away.

use gundo_types::{EntityId, Planted};
use gundo_wire::Kept;
use gundo_wire::journal::{Loaded, Session};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::phase::Phase;
use super::queue::Work;
use super::room::Host;
use super::session::unbegun;
use super::tails::Known;
use super::tx::Lock;
use crate::io::Output;
use crate::peer::ToEdge;

impl Host {
    /// The journal says which generation it is in.
    pub(super) fn on_generation(&mut self, rooms: &mut Rooms<'_>, generation: u64) {
        if rooms.core.generation.is_some_and(|before| generation <= before) {
            return;
        }
        let is_first = rooms.core.generation.replace(generation).is_none();
        rooms.core.counters.journal_generations += u64::from(!is_first);
        if rooms.core.planted(Planted::EntitiesNotReloaded) {
            return;
        }
        // Not those that have come from a node that has known longer.
        let outdated = self.those(rooms.core, |_, entity| entity.durable.generation != generation);
        for id in &outdated {
            self.desk.tails.doubt(*id, self.entities[id].known());
        }
        let entities = &self.entities;
        self.desk.tails.doubt_left(|id| entities.contains_key(&id));
        self.each(rooms, outdated, |entity, cx| entity.on_generation(cx));
        self.desk.tails.look(rooms.core);
    }

    /// A load has ended. False: it was one of an entity that is not here, to see where its stream ends.
    pub(super) fn takes_load(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        load: u64,
        result: &Result<Loaded, String>,
    ) -> bool {
        if let Ok(loaded) = result {
            self.on_generation(rooms, loaded.generation);
        }
        if !self.desk.tails.end_look(id, load) {
            return true;
        }
        match result {
            Ok(loaded) if Some(loaded.generation) == rooms.core.generation => {
                self.desk.tails.compare(id, loaded);
                self.desk.tails.look(rooms.core);
                self.raise_alarm(rooms, self.desk.tails.is_sure());
            }
            _ => self.desk.tails.look_later(id),
        }
        false
    }

    /// Says what is lost, if it is `time` for that.
    pub(super) fn raise_alarm(&mut self, rooms: &mut Rooms<'_>, time: bool) {
        if !time {
            return;
        }
        let lost = self.desk.tails.take_lost();
        if let Some((lost, more)) = lost.filter(|_| !rooms.core.planted(Planted::TailNotNamed)) {
            rooms.core.counters.tails_lost += lost.len() as u64 + more;
            let generation = rooms.core.generation.unwrap_or(0);
            rooms.core.outputs.push_back(Output::TailsLost { generation, lost, more });
        }
    }

    /// Once per second: loads that failed are tried again, and what is known to be lost is said.
    pub(super) fn rest_tails(&mut self, rooms: &mut Rooms<'_>) {
        self.desk.tails.look(rooms.core);
        self.raise_alarm(rooms, true);
    }
}

impl Entity {
    /// The newest event of it that is durable.
    pub(super) fn known(&self) -> Known {
        Known { seq: self.durable.known, generation: self.durable.generation }
    }

    /// Whether its state is of an earlier generation of the journal than the present one.
    pub(super) fn is_outdated(&self, cx: &Cx<'_>) -> bool {
        cx.core.generation.is_some_and(|present| present != self.durable.generation)
            && !cx.core.planted(Planted::EntitiesNotReloaded)
    }

    /// A generation has begun: gives up what is in flight, and loads again.
    fn on_generation(&mut self, cx: &mut Cx<'_>) {
        match self.phase() {
            // Its load says what it is, or is stale.
            Phase::Loading | Phase::Broken | Phase::Gone => return,
            // Another node may own it already. If not, it loads when that is certain.
            Phase::Frozen => return,
            Phase::Live | Phase::Settling | Phase::Freezing | Phase::Fencing { .. } | Phase::Suspended => {}
        }
        self.conflicts = 0;
        match self.pending.front() {
            Some(first) => self.on_outdated(cx, first.batch),
            None => {
                // Its part has landed before, or never will: either way the load says so.
                if let Some(Lock::Coordinating(tx)) = self.lock.take()
                    && let Some(command) = cx.abort(tx)
                {
                    self.queue.put_back(Work::Command(command));
                }
                self.start_load(cx);
            }
        }
    }

    /// It cannot go on with its state, which is of an earlier generation; nothing of it is in flight.
    pub(super) fn load_again(&mut self, cx: &mut Cx<'_>) {
        cx.desk.tails.doubt(self.id, self.known());
        self.start_load(cx);
    }

    /// Its stream has lost its end, and with that perhaps its session: `before` is the one it had.
    pub(super) fn mend_session(&mut self, cx: &mut Cx<'_>, before: Kept<Session>) {
        let Some(player) = &mut self.player else { return };
        let (has, had) = (player.session.known.adoption, before.known.adoption);
        if has >= had || !self.life.is(Phase::Live) {
            return;
        }
        if has == 0 {
            // It had not come into the world yet.
            let line = player.line.take();
            player.leave_now(cx.core.now.time);
            self.leave_world(cx);
            if let Some(line) = line {
                self.tell_edge(cx, line, ToEdge::Ended(unbegun()));
            }
            return;
        }
        // Or its client's key would not be valid any more.
        self.record_session(cx, &before);
    }
}
