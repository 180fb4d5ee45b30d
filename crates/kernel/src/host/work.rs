//! How an entity takes work, in order: what it decides, and what it refuses. The work itself is in `queue`.

use bytes::Bytes;
use gundo_types::Planted;
use gundo_wire::journal::{Cause, EventType};

use super::desk::{Cx, context};
use super::entity::Entity;
use super::mail::cannot_send;
use super::pending::{Effect, Entry, Joint, Record, place};
use super::phase::Phase;
use super::player::Known;
use super::queue::{Command, Origin, Prepare, Resume, Work};
use super::ringing::cannot_plan;
use super::showing::only_shows;
use super::telling::cannot_tell;
use super::timers::End;
use super::trouble::{gave_up, other_suspended, suspended};
use super::vicinity::Vicinity;
use crate::core::Core;
use crate::game::{RawDecision, RawDone, Refusal, Rule, guard};
use crate::peer::{OrderEnd, Peer, Prepared, ToEdge, TxId, TxMessage};

/// How often a command is decided again after conflicts before it is refused.
const TRIES_MAX: u8 = 8;
/// All that one decision gives (reply, events, signals, names) may have this many times `public_bytes_max` bytes: 1 MiB by default.
const DECISION_PARTS_MAX: usize = 64;

impl Entity {
    /// Takes work; refuses it when too much waits.
    pub(super) fn submit(&mut self, cx: &mut Cx<'_>, work: Work) {
        let max = cx.core.world().limits.waiting_per_entity_max;
        self.needed = cx.core.now.time;
        match self.phase() {
            Phase::Broken => {
                let why = self.why_broken(cx);
                return self.refuse_work(cx, &work, why);
            }
            Phase::Suspended => return self.turn_away(cx, work),
            _ => {}
        }
        // An edge without an answer asks again: one request is enough.
        if let Work::Resume(resume) = &work {
            self.queue.forget_resume(resume.line);
        }
        // Work is done in order of arrival, so a full queue refuses the newest.
        let full = work.is_bounded() && self.queue.len() >= max;
        if full && !cx.core.planted(Planted::UnboundedWaiting) {
            let busy = Refusal::new("busy", "Too much is going on here. Try again in a moment.");
            return self.refuse_work(cx, &work, busy);
        }
        self.queue.push(work);
        self.run(cx);
    }

    /// Does waiting work as far as possible.
    pub(super) fn run(&mut self, cx: &mut Cx<'_>) {
        loop {
            if !self.takes_work() {
                return self.freeze(cx);
            }
            match self.queue.pop() {
                Some(open @ Work::Open { .. }) => self.open_session(cx, open),
                Some(Work::Resume(resume)) => self.resume_session(cx, resume),
                Some(Work::Command(command)) => self.decide(cx, command),
                Some(Work::Prepare(prepare)) => self.prepare(cx, prepare),
                Some(Work::Read(tx)) => self.show_to(cx, tx),
                Some(Work::Own(ask)) => self.ask_itself(cx, &ask),
                Some(Work::Delivered) => self.record_delivered(cx),
                None => {
                    assert!(self.queue.is_empty() && self.lock.is_none());
                    return;
                }
            }
        }
    }

    pub(super) fn decide(&mut self, cx: &mut Cx<'_>, command: Command) {
        assert!(self.lock.is_none(), "{}: a locked entity decides nothing", self.id);
        match command.origin.as_deref() {
            Some(Origin::Letter(_)) => return self.take(cx, command),
            Some(Origin::Timer(due)) => {
                let due = *due;
                return self.on_timer(cx, command, due);
            }
            Some(Origin::Order(_)) => return self.take_order(cx, command),
            None => {}
        }
        let Some(player) = &mut self.player else { return cx.core.note_nonsense() };
        if player.line != Some(command.line) && !cx.core.planted(Planted::OldLineObeyed) {
            return self.turn_line_away(cx, command.line, Some(Work::Command(command)));
        }
        let window = cx.core.world().limits.answers_kept;
        let blind = command.tries > 0 && cx.core.planted(Planted::UnknownRetried);
        match player.known(command.seq, gundo_wire::fingerprint(&command.payload), window) {
            Known::Answer(result) if !cx.core.planted(Planted::NoDedupe) && !blind => {
                let effects = vec![Effect::Reply { line: command.line, seq: command.seq, result }];
                return self.emit(cx, Some(Work::Command(command)), effects);
            }
            _ => {}
        }
        player.last_seq = player.last_seq.max(command.seq);
        if let Some(refusal) = self.refuses(cx, &command) {
            return self.refuse(cx, command, refusal);
        }
        let mut command = command;
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let place = self.place();
        let usual = cx.core.settings.rules.usual_pace();
        let mut rules = context(cx.core, &eyes, place, Some(&mut command.reads));
        if !std::mem::replace(&mut command.counted, true) {
            rules.paces = self.player.as_mut().map(|player| (&mut player.paces, usual));
        }
        let decided =
            guard(self.id, Rule::Decide, || self.durable.state().decide(&command.payload, &mut rules));
        let decided = self.judge(cx, "decide", decided);
        if !command.reads.wanted.is_empty() && matches!(self.phase(), Phase::Live | Phase::Freezing) {
            return self.fetch(cx, command);
        }
        let decided = match decided {
            Ok(RawDecision::Done(done)) if only_shows(&done) => return self.show_only(cx, command, done),
            decided => decided,
        };
        // Otherwise its transaction would lock others while it waits.
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(cx, &work, true) {
            return;
        }
        let Work::Command(command) = work else { return };
        match decided {
            Err(refusal) => self.refuse(cx, command, refusal),
            Ok(RawDecision::Ask(ask)) => self.begin(cx, command, ask),
            Ok(RawDecision::Done(done)) => self.record_command(cx, command, done, None),
        }
    }

    /// Why the engine refuses a command before the game sees it.
    fn refuses(&self, cx: &Cx<'_>, command: &Command) -> Option<Refusal> {
        if command.tries > TRIES_MAX {
            return Some(Refusal::new("busy", "Too many want the same thing. Try again in a moment."));
        }
        if self.life.is(Phase::Suspended) && !cx.core.planted(Planted::SuspendedDecides) {
            return Some(suspended(true));
        }
        command.question.then(gave_up)
    }

    /// Flattens the result of guarded game code; a panic has its consequences for the entity.
    pub(super) fn judge<T>(
        &mut self,
        cx: &mut Cx<'_>,
        doing: &'static str,
        result: Result<Result<T, Refusal>, Refusal>,
    ) -> Result<T, Refusal> {
        if result.is_err() {
            self.on_game_panic(cx, doing);
        }
        result.and_then(|r| r)
    }

    /// Makes a command's decision durable. `tx`: together with the parts of others.
    pub(super) fn record_command(
        &mut self,
        cx: &mut Cx<'_>,
        command: Command,
        mut decision: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        if let Err(refusal) = self.check_sizes(cx, "decide", &decision) {
            if let Some((tx, _)) = tx {
                cx.abort(tx);
            }
            return self.refuse(cx, command, refusal);
        }
        match command.origin.as_deref() {
            Some(Origin::Letter(letter)) => {
                let letter = *letter;
                return self.record_letter(cx, letter, command, decision, tx);
            }
            Some(Origin::Timer(due)) => {
                let rang = (*due, End::Rang);
                return self.record_timer(cx, command, rang, decision, tx);
            }
            Some(Origin::Order(_)) => return self.record_order(cx, command, decision, tx),
            None => {}
        }
        // Every success that changes or tells anything leaves a record, also without an event: the record makes a repeat harmless.
        let events = self.events_or_answered(cx.core, &mut decision);
        let cause = Cause {
            session: self.player.as_ref().map_or(0, |p| p.session.known.session),
            seq: command.seq,
            fingerprint: gundo_wire::fingerprint(&command.payload),
            reply: decision.reply.clone(),
            // Where the decision puts the body, or else its present place.
            place: decision.body.map(place),
            ..Cause::default()
        };
        let mut effects = Effect::of(&mut decision);
        if cx.core.planted(Planted::TellsEarly) {
            let tells = effects.extract_if(.., |effect| matches!(effect, Effect::Tell(_))).collect();
            self.release(cx, tells);
        }
        let (line, seq) = (command.line, command.seq);
        effects.push(Effect::Reply { line, seq, result: Ok(decision.reply) });
        if cx.core.planted(Planted::EarlyReply) {
            self.release(cx, effects.pop().into_iter().collect());
        }
        let entry = Entry { work: Some(Work::Command(command)), effects };
        let joint = tx.map(|(tx, parts)| (Joint::Coordinated(tx), parts));
        self.record(cx, Record { events, cause, names: decision.names, joint, entry });
    }

    /// What a decision leaves in the journal, taken out of it: events of the game, messages, timers. `rung`: the timer that it is about.
    pub(super) fn events_of(
        &self,
        core: &Core,
        done: &mut RawDone,
        rung: Option<&[u8]>,
    ) -> Vec<(EventType, Bytes)> {
        let game = std::mem::take(&mut done.events).into_iter().map(|event| (EventType::Game, event));
        let sent = self.sent_events(core, std::mem::take(&mut done.sends));
        let timers = self.timer_events(core, std::mem::take(&mut done.timers), rung);
        game.chain(sent).chain(timers).collect()
    }

    /// The same; a decision without events gets one all the same.
    pub(super) fn events_or_answered(&self, core: &Core, done: &mut RawDone) -> Vec<(EventType, Bytes)> {
        let mut events = self.events_of(core, done, None);
        if events.is_empty() {
            events.push((EventType::Answered, Bytes::new()));
        }
        events
    }

    /// Refuses a decision that is too large to travel.
    pub(super) fn check_sizes(
        &self,
        cx: &mut Cx<'_>,
        rule: &'static str,
        done: &RawDone,
    ) -> Result<(), Refusal> {
        let max = cx.core.world().limits.public_bytes_max;
        let parts = [
            ("reply", std::slice::from_ref(&done.reply)),
            ("event", &done.events),
            ("signal", &done.signals),
        ];
        for (what, all) in parts {
            if let Some(large) = all.iter().find(|bytes| bytes.len() > max) {
                let why = format!("its {what} has {} bytes: {max} at most", large.len());
                return Err(cx.core.game_fault(self.id, rule, why));
            }
        }
        let names: usize = done.names.iter().map(|change| change.space.len() + change.name.len()).sum();
        let all = names + parts.iter().flat_map(|(_, all)| *all).map(Bytes::len).sum::<usize>();
        if all > max.saturating_mul(DECISION_PARTS_MAX) {
            let why = format!("it has {all} bytes: {DECISION_PARTS_MAX} times {max} at most");
            return Err(cx.core.game_fault(self.id, rule, why));
        }
        if !self.has_room_for(done.sends.len()) {
            return Err(Refusal::new("busy", "Too much is on its way from here. Try again in a moment."));
        }
        let cannot = cannot_tell(cx.core, &done.tells)
            .or_else(|| cannot_send(cx.core, &done.sends))
            .or_else(|| cannot_plan(&done.timers));
        if let Some(why) = cannot {
            return Err(cx.core.game_fault(self.id, rule, why));
        }
        if !self.has_room_for_timers(&done.timers) {
            return Err(Refusal::new("too_many_timers", "Too much is planned there already."));
        }
        Ok(())
    }

    /// Refuses a command, without effect. The refusal is delayed until everything it depends on is durable.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, command: Command, refusal: Refusal) {
        match command.origin.as_deref() {
            Some(Origin::Letter(_)) => return self.refuse_letter(cx, &command, &refusal),
            Some(Origin::Timer(due)) => return self.refuse_timer(cx, &command, *due, &refusal),
            Some(Origin::Order(_)) => return self.refuse_order(cx, command, refusal),
            None => {}
        }
        let window = cx.core.world().limits.answers_kept;
        cx.core.counters.refused_too_often += u64::from(refusal.code == "too_often");
        if let Some(player) = &mut self.player {
            player.remember(command.seq, &command.payload, Err(refusal.clone()), window);
        }
        let effects = vec![Effect::Reply { line: command.line, seq: command.seq, result: Err(refusal) }];
        if cx.core.planted(Planted::EarlyRefusal) {
            return self.release(cx, effects);
        }
        self.emit(cx, Some(Work::Command(command)), effects);
    }

    /// Refuses work that was not begun.
    pub(super) fn refuse_work(&self, cx: &mut Cx<'_>, work: &Work, refusal: Refusal) {
        match work {
            Work::Open { line, .. } | Work::Resume(Resume { line, .. }) => {
                cx.core.send_edge(line.edge, line.conn, self.id, ToEdge::OpenRefused(refusal));
            }
            Work::Command(c) if c.origin.is_some() => {
                if let Some(ordering) = c.ordering() {
                    self.say_ordered(cx, ordering, OrderEnd::Unsettled(refusal));
                }
            }
            Work::Command(c) => {
                cx.core.counters.commands_refused += 1;
                let reply = ToEdge::Reply { seq: c.seq, result: Err(refusal) };
                cx.core.send_edge(c.line.edge, c.line.conn, self.id, reply);
            }
            Work::Prepare(Prepare { tx, .. }) | Work::Read(tx) => {
                let rests = self.player.is_some() && refusal.code == suspended(true).code;
                let message = TxMessage::Refused(if rests { other_suspended() } else { refusal });
                cx.core.send(tx.node, Peer::Transaction { tx: *tx, entity: self.id, message });
            }
            Work::Own(_) => cx.core.counters.commands_refused += 1,
            Work::Delivered => {}
        }
    }

    /// Refuses all waiting work of a broken entity.
    pub(super) fn refuse_all(&mut self, cx: &mut Cx<'_>) {
        let why = self.why_broken(cx);
        for work in self.queue.take_all() {
            match &work {
                // It was in an append, so it may have had an effect. Its client repeats it later.
                Work::Command(c) if c.tries > 0 && c.origin.is_none() => {
                    cx.core.send_edge(c.line.edge, c.line.conn, self.id, ToEdge::NotHere);
                }
                _ => self.refuse_work(cx, &work, why.clone()),
            }
        }
    }
}
