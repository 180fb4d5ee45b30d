//! Game code that fails: what becomes of the entity it failed at, and of commands that take nodes down.
//!
//! A panic costs one command. Nobody knows what the code had done to the entity's state, so the entity is reloaded as soon as
//! nothing of it is in flight. An entity whose code panics again and again is **suspended**: it keeps its place, shows what it
//! showed last, answers what it has answered before, and refuses everything else. After a while, or where it is loaded next,
//! it is tried again.

use gundo_types::{EntityId, Planted};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::phase::Phase;
use super::queue::Work;
use super::room::Host;
use super::trouble::{Trouble, suspended};
use super::tx::Lock;
use crate::core::Timer;
use crate::io::Output;
use crate::peer::ToEdge;

/// How long an entity stays suspended, ms of node time: long enough that a fault which comes back does not fill the logs,
/// short enough that a player may wait for it.
const SUSPENDED_MS: u64 = 300_000;
/// How long a suspended player stays in the world, so that the person can read why it will not, ms of node time.
const LOBBY_AFTER_MS: u64 = 10_000;

impl Entity {
    /// Game code panicked, or could not apply its own event. `doing`: the rule that did, for operators.
    pub(super) fn on_game_panic(&mut self, cx: &mut Cx<'_>, doing: &'static str) {
        cx.core.counters.game_panics += 1;
        let suspended = self.trouble.is_one_too_many(cx.core.now.time);
        cx.core.outputs.push_back(Output::Panicked { entity: self.id, doing, suspended });
        if suspended {
            self.suspend(cx);
        }
        if !cx.core.planted(Planted::PanicNotReloaded) {
            self.reload(cx);
        }
    }

    /// Takes no more work and reloads the state as soon as nothing is in flight.
    fn reload(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.phase(), Phase::Live | Phase::Freezing) {
            return;
        }
        self.life.settle();
        // A transaction that is still being prepared rests on that state: it begins again with its command.
        if let Some(Lock::Coordinating(tx)) = &self.lock {
            let tx = *tx;
            self.lock = None;
            if let Some(command) = cx.abort(tx) {
                self.queue.put_back(Work::Command(command));
            }
        }
        self.load_if_settled(cx);
    }

    /// Reloads an entity that settles once nothing of it is in flight.
    pub(super) fn load_if_settled(&mut self, cx: &mut Cx<'_>) {
        if self.life.is(Phase::Settling) && self.pending.is_empty() && self.lock.is_none() {
            self.start_load(cx);
        }
    }

    fn suspend(&mut self, cx: &mut Cx<'_>) {
        assert!(!self.trouble.is_suspended(), "{}: it is suspended once", self.id);
        self.trouble.until = Some(cx.core.now.time.plus_ms(SUSPENDED_MS));
        cx.desk.suspended.insert(self.id);
        cx.core.counters.suspensions += 1;
        cx.core.after_ms(SUSPENDED_MS, Timer::Suspended(self.id));
        if self.player.is_some() {
            cx.core.after_ms(LOBBY_AFTER_MS, Timer::Suspended(self.id));
        }
        if let Some(line) = self.line() {
            self.tell_edge(cx, line, ToEdge::Notice(suspended(true)));
        }
    }

    /// It is suspended, and its state is the journal's again: what waits is refused.
    pub(super) fn refuse_suspended(&mut self, cx: &mut Cx<'_>) {
        assert!(self.life.is(Phase::Suspended) && self.trouble.is_suspended());
        for work in self.queue.take_all() {
            self.turn_away(cx, work);
        }
        assert!(self.queue.is_empty(), "{}: nothing waits at a suspended entity", self.id);
    }

    /// Refuses work at a suspended entity; a command that has been answered before is answered as before.
    pub(super) fn turn_away(&mut self, cx: &mut Cx<'_>, work: Work) {
        match work {
            Work::Command(command) => self.decide(cx, command),
            other => self.refuse_work(cx, &other, suspended(self.player.is_some())),
        }
    }

    /// The client has been told for long enough, or the suspension is over. True: the player goes to the lobby.
    fn on_suspended(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(until) = self.trouble.until else { return false };
        if until > cx.core.now.time {
            self.send_to_lobby(cx);
            return true;
        }
        self.trouble = Trouble::default();
        cx.desk.suspended.remove(&self.id);
        if self.life.is(Phase::Suspended) {
            self.start_load(cx);
        }
        false
    }

    /// A suspended player leaves the world like one whose grace time is over.
    fn send_to_lobby(&mut self, cx: &mut Cx<'_>) {
        let Some(player) = &mut self.player else { return };
        if let Some(line) = player.line.take() {
            player.leave_now(cx.core.now.time);
            self.tell_edge(cx, line, ToEdge::Ended(suspended(true)));
        }
    }
}

impl Host {
    pub(super) fn on_suspended(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        if self.with(rooms, id, |entity, cx| entity.on_suspended(cx)) == Some(true) {
            self.rest_suspended(rooms);
        }
    }

    /// Suspended players whose grace time is over leave the world. Their place stays as it was recorded last: of a suspended
    /// entity nothing is recorded.
    pub(super) fn rest_suspended(&mut self, rooms: &mut Rooms<'_>) {
        let now = rooms.core.now.time;
        let suspended: Vec<_> = self.desk.suspended.iter().copied().collect();
        self.each(rooms, suspended, |entity, cx| {
            let due = entity.player.as_ref().is_some_and(|p| p.is_due_to_leave(now));
            if due && entity.life.is(Phase::Suspended) {
                entity.leave_world(cx);
            }
        });
    }
}
