//! Timers that ring: an entity has asked to decide something at a world time.
//!
//! | step | who | what |
//! | --- | --- | --- |
//! | 1 | entity | its append lands: the timer is set, and the journal knows when the entity has something to do |
//! | 2 | home | loads the entity when the timer is due, if nobody else has: see `waking` |
//! | 3 | host | in each tick: has entities whose timers are due look at them, a few at a time |
//! | 4 | entity | its rule `on_timer` decides; one append has the note that the timer is over, and what follows |
//!
//! A timer that is not over rings again after a while: a crash, a refused append, a busy partner and a lost lock are all the same. So
//! a timer that is under way need not be kept by anything but the journal. What is durable is in `timers`.

use bytes::Bytes;
use gundo_types::{EntityId, Planted, WorldTime};
use gundo_wire::journal::{Cause, EventType, NEVER};

use super::desk::{Cx, Rooms, context};
use super::entity::Entity;
use super::mail::passes;
use super::pending::{Effect, Entry, Joint, Record, place};
use super::phase::Phase;
use super::queue::{Command, Work};
use super::room::Host;
use super::storage::Room;
use super::timers::{End, TIMERS_MAX, Timers, over};
use super::vicinity::Vicinity;
use crate::core::Core;
use crate::game::{RawDecision, RawDone, Refusal, Rule, Timing, guard};
use crate::io::Output;
use crate::peer::{Prepared, TxId};
use crate::retry;

/// Timers in one decision. With more, it is refused with `game_error`.
const TIMINGS_MAX: usize = 16;
/// Bytes of a timer. With more, the decision is refused with `game_error`.
const TIMER_BYTES_MAX: usize = 64;
/// Timers that a node has ring in one tick. The others follow in the next ones, those first that were due first.
const RINGS_MAX: usize = 32;
/// While so many entities wait for their timers to ring, a node wakes no others.
const WAITING_MAX: usize = 256;
/// So often a timer rings whose rules fail; then it is over without effect.
const FAILS_MAX: u8 = 3;
/// While it cannot decide, an entity looks at its timers this often, ms of world time.
const RESTS_MS: u64 = 500;
/// An entity whose timer is due within this time stays loaded, ms of world time.
const SOON_MS: u64 = 1_000;

/// So much too early a timer rings with the planted mistake, ms.
const EARLY_MS: u64 = 3_000;

/// Why the engine cannot set a decision's timers, if it cannot.
pub(super) fn cannot_plan(timings: &[Timing]) -> Option<String> {
    if timings.len() > TIMINGS_MAX {
        return Some(format!("it sets or cancels {} timers: {TIMINGS_MAX} at most", timings.len()));
    }
    timings.iter().find_map(|timing| match timing.timer.len() {
        bytes if bytes > TIMER_BYTES_MAX => {
            Some(format!("a timer of it has {bytes} bytes: {TIMER_BYTES_MAX} at most"))
        }
        _ if timing.at.is_some_and(|at| at > WorldTime::MAX) => {
            Some("a timer of it is due later than any clock shows".to_owned())
        }
        _ => None,
    })
}

// ---- what is set ---------------------------------------------------------------------------------------

impl Entity {
    fn planned(&self, timings: &[Timing], rung: Option<&[u8]>) -> (Timers, Vec<(EventType, Bytes)>) {
        self.durable.timers.as_deref().cloned().unwrap_or_default().plan(timings, rung)
    }

    /// The events that set and cancel these timers. `rung`: the timer that the decision is about.
    pub(super) fn timer_events(
        &self,
        core: &Core,
        mut timings: Vec<Timing>,
        rung: Option<&[u8]>,
    ) -> Vec<(EventType, Bytes)> {
        if core.planted(Planted::TimerCancelIgnored) {
            timings.retain(|timing| timing.at.is_some());
        }
        if timings.is_empty() { Vec::new() } else { self.planned(&timings, rung).1 }
    }

    /// Whether it may have these timers too.
    pub(super) fn has_room_for_timers(&self, timings: &[Timing]) -> bool {
        timings.is_empty() || self.planned(timings, None).0.len() <= TIMERS_MAX
    }

    /// Whether a timer is due within so many ms.
    pub(super) fn rings_within(&self, core: &Core, ms: u64) -> bool {
        let first = self.durable.timers.as_ref().map_or(NEVER, |timers| timers.wake());
        first <= core.now.world + ms
    }

    /// Whether it stays loaded because it owes messages, or a timer of it is about to ring. A node that goes does not wait for that:
    /// another one loads it.
    pub(super) fn stays(&self, core: &Core) -> bool {
        (self.owes() || self.rings_within(core, SOON_MS)) && !core.stopping && !core.is_draining()
    }

    /// A planted mistake.
    pub(super) fn forget_timers(&mut self, core: &Core) {
        if core.planted(Planted::TimerLost) {
            self.durable.timers = None;
        }
    }

    // ---- when it rings ---------------------------------------------------------------------------------

    /// Its timers, or its phase, have changed: the desk's list says when it next looks at them.
    pub(super) fn list_alarm(&mut self, cx: &mut Cx<'_>) {
        let Some(timers) = self.durable.timers.as_deref().filter(|_| self.life.is(Phase::Live)) else {
            return self.unlist_alarm(cx);
        };
        let alarm = self.alarm.get_or_insert_default();
        alarm.forget_old(timers);
        let next = Some(alarm.next(timers));
        if alarm.listed != next {
            if let Some(before) = std::mem::replace(&mut alarm.listed, next) {
                cx.desk.alarms.remove(&(before, self.id));
            }
            cx.desk.alarms.extend(next.map(|next| (next, self.id)));
        }
    }

    /// Takes it off the list. What it remembers of tries stays while it has timers.
    pub(super) fn unlist_alarm(&mut self, cx: &mut Cx<'_>) {
        let Some(alarm) = &mut self.alarm else { return };
        if let Some(before) = alarm.listed.take() {
            cx.desk.alarms.remove(&(before, self.id));
        }
        self.alarm.take_if(|_| self.durable.timers.is_none());
    }

    /// The list says that a timer is due: has it ring, or rests for a while if it cannot decide now.
    fn look_at_timers(&mut self, cx: &mut Cx<'_>) {
        let early = if cx.core.planted(Planted::TimerEarly) { EARLY_MS } else { 0 };
        let now = cx.core.world_time_from(self.durable.last_at);
        let Some(alarm) = &mut self.alarm else { return };
        alarm.listed = None;
        let Some(timers) = self.durable.timers.as_deref().filter(|_| self.life.is(Phase::Live)) else {
            return;
        };
        let waits = self.lock.is_some() || self.queue.has_timer() || cx.core.stopping;
        if waits {
            alarm.rests_until = now + RESTS_MS;
            return self.list_alarm(cx);
        }
        if let Some((timer, due)) = alarm.ringing(timers, now + early) {
            let tried = alarm.tried(&timer, due);
            tried.again = now + cx.core.retry_ms(retry::TIMER, tried.failures);
            tried.failures = tried.failures.saturating_add(1);
            let work = Command::timer(timer, due, cx.core.now.time);
            match tried.end {
                Some(end) => self.end_timer(cx, work, due, end),
                None => self.submit(cx, Work::Command(work)),
            }
        }
        self.list_alarm(cx);
    }

    /// Decides what a timer does, if it is still set.
    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>, command: Command, due: WorldTime) {
        let timers = self.durable.timers.as_deref();
        let is_set = timers.and_then(|timers| timers.due(&command.payload)) == Some(due);
        if !is_set || !self.life.is(Phase::Live) || cx.room() != Room::Open {
            return cx.core.note_early();
        }
        let (timer, body) = (command.payload.clone(), self.body.filter(|_| self.is_in_the_world()));
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, (self.id, body, self.durable.last_at), None);
        let decided = guard(self.id, Rule::Timer, || self.durable.state().on_timer(&timer, due, &mut rules));
        match self.judge(cx, "on_timer", decided) {
            Err(refusal) => self.refuse(cx, command, refusal),
            Ok(RawDecision::Ask(ask)) => self.begin(cx, command, ask),
            Ok(RawDecision::Done(done)) => self.record_command(cx, command, done, None),
        }
    }

    /// What a timer asked for was refused: for a while, and then it rings again; or for good, and its rule says what follows.
    pub(super) fn refuse_timer(
        &mut self,
        cx: &mut Cx<'_>,
        command: &Command,
        due: WorldTime,
        refusal: &Refusal,
    ) {
        if passes(refusal) {
            return;
        }
        if refusal.code == "game_error" {
            return self.fail_timer(&command.payload, due);
        }
        if !self.life.is(Phase::Live) || cx.room() != Room::Open {
            return;
        }
        let (timer, body) = (command.payload.clone(), self.body.filter(|_| self.is_in_the_world()));
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, (self.id, body, self.durable.last_at), None);
        let state = || self.durable.state().on_timer_refused(&timer, due, refusal, &mut rules);
        let decided = guard(self.id, Rule::Timer, state);
        let decided = self.judge(cx, "on_timer_refused", decided);
        let checked = decided.and_then(|done| self.check_sizes(cx, "on_timer_refused", &done).map(|()| done));
        match checked {
            Ok(done) => self.record_timer(cx, command.clone(), (due, End::Refused), done, None),
            Err(refusal) if passes(&refusal) => {}
            Err(_) => self.fail_timer(&command.payload, due),
        }
    }

    /// Its rules failed over a timer. After some tries it is over without effect.
    fn fail_timer(&mut self, timer: &Bytes, due: WorldTime) {
        let tried = self.alarm.get_or_insert_default().tried(timer, due);
        tried.fails = tried.fails.saturating_add(1);
        if tried.fails >= FAILS_MAX {
            tried.end = Some(End::GivenUp);
        }
    }

    /// The journal has refused, for good, what a timer decided: it is over without effect when it rings next.
    pub(super) fn note_refused_append(&mut self, work: &Work, refusal: &Refusal) {
        if let Work::Command(command) = work
            && let Some(due) = command.due()
            && !passes(refusal)
        {
            self.alarm.get_or_insert_default().tried(&command.payload, due).end = Some(End::Refused);
        }
    }

    /// Ends a timer without effect.
    fn end_timer(&mut self, cx: &mut Cx<'_>, command: Command, due: WorldTime, end: End) {
        cx.core.counters.timers_lost += 1;
        let why = match end {
            End::GivenUp => format!("a timer for {} is over without effect: its rules fail", due.0),
            _ => format!("a timer for {} is over without effect: the journal refuses what it decides", due.0),
        };
        cx.core.outputs.push_back(Output::GameFault { entity: self.id, rule: "on_timer", why });
        self.record_timer(cx, command, (due, end), RawDone::default(), None);
    }

    /// Makes what follows from a timer durable, with the note that it is over.
    pub(super) fn record_timer(
        &mut self,
        cx: &mut Cx<'_>,
        command: Command,
        (due, end): (WorldTime, End),
        done: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let timer = command.payload.clone();
        cx.core.counters.timers_rung += u64::from(end == End::Rang);
        let note = (EventType::TimerOver, over(timer, due, end));
        self.record_noted(cx, note, command, done, tx, None);
    }

    /// Makes durable what follows from something that no client waits for: a message, a timer. `note` says what that was.
    pub(super) fn record_noted(
        &mut self,
        cx: &mut Cx<'_>,
        note: (EventType, Bytes),
        command: Command,
        mut done: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
        then: Option<Effect>,
    ) {
        let rung = command.due().map(|_| command.payload.as_ref());
        let mut events = vec![note];
        events.extend(self.events_of(cx.core, &mut done, rung));
        self.planted_twice(cx, &command, &mut events);
        let mut effects = Effect::of(&mut done);
        effects.extend(then);
        let cause = Cause { place: done.body.map(place), ..Cause::default() };
        let entry = Entry { work: Some(Work::Command(command)), effects };
        let joint = tx.map(|(tx, parts)| (Joint::Coordinated(tx), parts));
        self.record(cx, Record { events, cause, names: done.names, joint, entry });
    }

    /// A planted mistake: when a timer rings for the first time, nothing says that it is over.
    fn planted_twice(&self, cx: &Cx<'_>, command: &Command, events: &mut Vec<(EventType, Bytes)>) {
        let tried = self.alarm.as_ref().and_then(|alarm| alarm.tries.get(&command.payload));
        let first = tried.is_some_and(|tried| tried.failures == 1);
        if cx.core.planted(Planted::TimerTwice) && command.due().is_some() && first && events.len() > 1 {
            events.remove(0);
        }
    }
}

impl Host {
    /// Whether it is still busy with what was woken: one of these is being loaded, or too many timers wait to ring.
    pub(crate) fn is_waking(&self, core: &Core, woken: &[EntityId]) -> bool {
        let due = self.desk.alarms.iter().take_while(|(at, _)| *at <= core.now.world);
        due.take(WAITING_MAX).count() == WAITING_MAX
            || woken.iter().any(|id| self.phase_of(*id) == Some(Phase::Loading))
    }

    /// In each tick: entities look at their timers that are due.
    pub(super) fn ring_due(&mut self, rooms: &mut Rooms<'_>) {
        let early = if rooms.core.planted(Planted::TimerEarly) { EARLY_MS } else { 0 };
        let now = rooms.core.now.world + early;
        if self.desk.alarms.first().is_none_or(|(at, _)| *at > now) {
            return;
        }
        // While the journal takes nothing more they keep their places: those that wait longest come first when it does. What timers
        // ask others for keeps its room until it has ended, so that those who need nobody do not always come before it.
        let places = rooms.core.world().appends_waiting_max;
        let taken = self.desk.storage.waiting() + self.desk.txs.timers_running();
        for _ in 0..RINGS_MAX.min(places.saturating_sub(taken)) {
            if self.desk.storage.room(rooms.core) != Room::Open {
                return;
            }
            let due = self.desk.alarms.first().copied().filter(|(at, _)| *at <= now);
            let Some((_, id)) = due else { return };
            self.desk.alarms.pop_first();
            self.with(rooms, id, |entity, cx| entity.look_at_timers(cx));
        }
    }
}
