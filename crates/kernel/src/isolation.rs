//! Game code that fails: what becomes of the entity it failed at, and of commands that take nodes down.
//!
//! A panic costs one command. Nobody knows what the code had done to the entity's state, so the state is loaded anew as
//! soon as nothing of the entity is on its way. An entity whose code panics again and again is **suspended**: it keeps its
//! place, shows what it showed last, answers what it has answered before, and refuses everything else. After a while, or
//! where it is loaded next, it is tried again.

use std::collections::VecDeque;

use gundo_types::{EntityId, Planted, Time};

use crate::Node;
use crate::core::Timer;
use crate::game::Refusal;
use crate::host::Phase;
use crate::io::Output;
use crate::peer::ToEdge;
use crate::transaction::Lock;
use crate::work::Work;

/// So many panics of an entity's code …
const PANICS_MAX: usize = 5;
/// … within this time suspend it, ms of node time.
const PANICS_WITHIN_MS: u64 = 60_000;
/// How long an entity stays suspended, ms of node time: long enough that a fault which comes back does not fill the logs,
/// short enough that a player may wait for it.
const SUSPENDED_MS: u64 = 300_000;
/// How long a suspended player stays in the world, so that the person can read why it will not, ms of node time.
const LOBBY_AFTER_MS: u64 = 10_000;
/// A command that was under the hands of so many nodes when they were lost is not decided any more.
pub(crate) const LOSSES_MAX: u8 = 2;

/// The panics of an entity, and what they have led to.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    panics: VecDeque<Time>,
    /// It is suspended until then.
    until: Option<Time>,
}

impl Trouble {
    /// Whether the entity is suspended, or will be as soon as it has settled.
    pub(crate) fn is_suspended(&self) -> bool {
        self.until.is_some()
    }

    /// Notes a panic. True: that is one too many.
    fn is_one_too_many(&mut self, now: Time) -> bool {
        self.panics.retain(|at| now.since(*at) < PANICS_WITHIN_MS * 1_000);
        self.panics.push_back(now);
        self.panics.len() >= PANICS_MAX && !self.is_suspended()
    }
}

/// What a suspended entity says to whatever it is asked.
pub(crate) fn suspended(is_player: bool) -> Refusal {
    let text = if is_player {
        "Your player keeps running into a fault of the game and rests for a few minutes. Nothing of yours is lost."
    } else {
        "Something keeps going wrong here, so this place rests for a few minutes. Nothing was changed."
    };
    Refusal::new("suspended", text)
}

/// What becomes of a command that nodes were lost over.
pub(crate) fn gave_up() -> Refusal {
    Refusal::new("gave_up", "That went wrong twice, so it was given up. Nothing was changed.")
}

impl Node {
    /// Game code panicked at an entity, or could not apply its own event. `doing`: the rule that did, for operators.
    pub(crate) fn on_game_panic(&mut self, id: EntityId, doing: &'static str) {
        let now = self.core.now.time;
        self.core.counters.game_panics += 1;
        let real = self.hosts.reals.get_mut(&id);
        let suspended = real.is_some_and(|r| r.trouble.is_one_too_many(now));
        self.core.outputs.push_back(Output::Panicked { entity: id, doing, suspended });
        if suspended {
            self.suspend(id);
        }
        if !self.core.planted(Planted::PanicNotReloaded) {
            self.reload(id);
        }
    }

    /// Takes no more work and loads the state anew as soon as nothing is on its way.
    fn reload(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if !matches!(real.phase, Phase::Live | Phase::Freezing) {
            return;
        }
        real.phase = Phase::Settling;
        // A transaction that is still being prepared rests on that state: it is begun anew with its command.
        if let Some(Lock::Coordinating(tx)) = &real.lock {
            let tx = *tx;
            real.lock = None;
            let command = self.abort(tx, false).map(Work::Command);
            if let Some(real) = self.hosts.reals.get_mut(&id) {
                command.into_iter().for_each(|c| real.waiting.push_front(c));
            }
        }
        if self.hosts.reals.get(&id).is_some_and(|r| r.pending.is_empty() && r.lock.is_none()) {
            self.start_load(id);
        }
    }

    fn suspend(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.trouble.until = Some(self.core.now.time.plus_ms(SUSPENDED_MS));
        self.hosts.suspended.insert(id);
        self.core.counters.suspensions += 1;
        self.core.after_ms(SUSPENDED_MS, Timer::Suspended(id));
        if let Some(player) = &real.player {
            self.core.after_ms(LOBBY_AFTER_MS, Timer::Suspended(id));
            if let Some(line) = player.line {
                self.core.send_edge(line.edge, line.conn, id, ToEdge::Notice(suspended(true)));
            }
        }
    }

    /// It is suspended, and its state is the journal's again: what waits is refused.
    pub(crate) fn refuse_suspended(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        for work in std::mem::take(&mut real.waiting) {
            self.turn_away(id, work);
        }
    }

    /// Refuses work at a suspended entity; a command that has been answered before is answered as before.
    pub(crate) fn turn_away(&mut self, id: EntityId, work: Work) {
        match work {
            Work::Command(command) => self.decide(id, command),
            other => {
                let is_player = id.kind == self.core.settings.rules.player_kind();
                self.refuse_work(id, &other, suspended(is_player));
            }
        }
    }

    /// The client has been told for long enough, or the suspension is over.
    pub(crate) fn on_suspended(&mut self, id: EntityId) {
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(until) = real.trouble.until else { return };
        if until > now {
            return self.send_to_lobby(id);
        }
        real.trouble = Trouble::default();
        self.hosts.suspended.remove(&id);
        if real.phase == Phase::Suspended {
            self.start_load(id);
        }
    }

    /// A suspended player leaves the world like one whose grace time is over.
    fn send_to_lobby(&mut self, id: EntityId) {
        let now = self.core.now.time;
        let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) else { return };
        if let Some(line) = player.line.take() {
            player.leave_now(now);
            self.core.send_edge(line.edge, line.conn, id, ToEdge::Ended(suspended(true)));
        }
        self.rest_suspended();
    }

    /// Suspended players whose grace time is over leave the world. Their place stays as it was recorded last: of a suspended
    /// entity nothing is recorded.
    pub(crate) fn rest_suspended(&mut self) {
        let now = self.core.now.time;
        let gone = |id: &EntityId| {
            let real = self.hosts.reals.get(id).filter(|r| r.phase == Phase::Suspended);
            real.and_then(|r| r.player.as_ref()).is_some_and(|p| p.is_due_to_leave(now))
        };
        let gone: Vec<_> = self.hosts.suspended.iter().copied().filter(gone).collect();
        gone.into_iter().for_each(|id| self.leave_world(id));
    }
}
