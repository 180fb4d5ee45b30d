//! Game code that fails: what happens to the entity it failed at, and to commands that take nodes down.
//!
//! A panic costs one command. It may have left the entity's state half changed, so the entity reloads as soon as nothing of it
//! is in flight. An entity whose code panics too often is **suspended**: it keeps its place and its look, repeats its earlier
//! answers, and refuses everything else. The suspension ends after a while, or when the entity is next loaded.
//!
//! Code that hangs or aborts takes its node down. Those outside see which entity's code the node was running, and tell all nodes
//! ([`Input::Blamed`](crate::io::Input::Blamed)). After the second node that was lost over it (the fourth, if these were commands)
//! an entity is not loaded any more: not even the rule that reads its state runs. It refuses everything until an operator pardons it.

use gundo_types::{EntityId, Planted};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::phase::Phase;
use super::queue::Work;
use super::room::Host;
use super::trouble::{Trouble, blamed, suspended};
use super::tx::Lock;
use crate::core::Timer;
use crate::game::{BLAME_LIMIT, Refusal, game_error};
use crate::io::{BLAMED_MAX, Output};
use crate::peer::ToEdge;

/// How long an entity stays suspended, ms of node time: long enough that a lasting fault does not fill the logs,
/// short enough that a player may wait for it.
const SUSPENDED_MS: u64 = 300_000;
/// How long a suspended player stays in the world, ms of node time: the person can read why it does nothing.
const LOBBY_AFTER_MS: u64 = 10_000;

impl Entity {
    /// Game code panicked, or could not apply its own event. `doing`: in which rule, for operators.
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

    /// Takes no more work, and reloads the state as soon as nothing is in flight.
    fn reload(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.phase(), Phase::Live | Phase::Freezing) {
            return;
        }
        self.life.settle();
        // A transaction that is still preparing depends on that state: it begins again with its command.
        if let Some(Lock::Coordinating(tx)) = &self.lock {
            let tx = *tx;
            self.lock = None;
            if let Some(command) = cx.abort(tx) {
                self.queue.put_back(Work::Command(command));
            }
        }
        self.load_if_settled(cx);
    }

    /// Reloads a settling entity once nothing of it is in flight.
    pub(super) fn load_if_settled(&mut self, cx: &mut Cx<'_>) {
        if self.life.is(Phase::Settling) && self.pending.is_empty() && self.lock.is_none() {
            self.start_load(cx);
        }
    }

    fn suspend(&mut self, cx: &mut Cx<'_>) {
        assert!(!self.trouble.is_suspended(), "{}: it is not suspended yet", self.id);
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

    /// It is suspended and reloaded: refuses the work that waits.
    pub(super) fn refuse_suspended(&mut self, cx: &mut Cx<'_>) {
        assert!(self.life.is(Phase::Suspended) && self.trouble.is_suspended());
        for work in self.queue.take_all() {
            self.turn_away(cx, work);
        }
        assert!(self.queue.is_empty(), "{}: nothing waits at a suspended entity", self.id);
    }

    /// Refuses work at a suspended entity, but repeats the answer to a command that was answered before.
    pub(super) fn turn_away(&mut self, cx: &mut Cx<'_>, work: Work) {
        match work {
            Work::Command(command) => self.decide(cx, command),
            other => self.refuse_work(cx, &other, suspended(self.player.is_some())),
        }
    }

    /// The client has had its notice long enough, or the suspension is over. True: the player goes to the lobby.
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

impl Entity {
    /// Whether too many nodes were lost over it.
    pub(super) fn is_blamed(&self, cx: &Cx<'_>) -> bool {
        let points = cx.desk.blamed.get(&self.id).copied().unwrap_or(0);
        points >= BLAME_LIMIT && !cx.core.planted(Planted::BlamedLoads)
    }

    /// What a broken entity answers.
    pub(super) fn why_broken(&self, cx: &Cx<'_>) -> Refusal {
        if self.is_blamed(cx) { blamed(self.player.is_some()) } else { game_error() }
    }

    /// More nodes were lost over it, or it was pardoned.
    fn on_blamed(&mut self, cx: &mut Cx<'_>) {
        match (self.is_blamed(cx), self.life.is(Phase::Broken)) {
            (true, false) => self.reload(cx),
            (false, true) => self.start_load(cx),
            _ => {}
        }
    }
}

impl Host {
    /// Nodes were lost while they ran code of `id`: its points so far; 0: an operator pardons it.
    pub(crate) fn on_blamed(&mut self, rooms: &mut Rooms<'_>, id: EntityId, points: u8) {
        if points == 0 {
            self.desk.blamed.remove(&id);
        } else if self.desk.blamed.len() < BLAMED_MAX || self.desk.blamed.contains_key(&id) {
            self.desk.blamed.insert(id, points);
        }
        self.each(rooms, [id], |entity, cx| entity.on_blamed(cx));
    }

    pub(super) fn on_suspended(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        if self.with(rooms, id, |entity, cx| entity.on_suspended(cx)) == Some(true) {
            self.rest_suspended(rooms);
        }
    }

    /// Takes suspended players whose grace time is over out of the world. Their last recorded place stays: a suspended entity
    /// records nothing.
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
