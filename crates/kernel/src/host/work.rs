//! Work an entity takes, in order: sessions to adopt, commands of its player, parts of others' transactions.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, Planted, Time};
use gundo_wire::journal::{Cause, EventType};

use super::Cx;
use super::append::{Effect, Entry, Record, place};
use super::entity::Entity;
use super::isolation::{gave_up, suspended};
use super::phase::Phase;
use super::player::Known;
use super::rules::{context, game_error, guard};
use crate::game::{Actor, RawDecision, Refusal};
use crate::peer::{Age, Key, Line, Peer, Prepared, ToEdge, TxId, TxMessage};

/// How often a command is decided again after conflicts before it is refused.
const TRIES_MAX: u8 = 8;

/// One piece of work. Kept until its effects are durable, so that it can be done again.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Adopt a session into a line.
    Open { line: Line, key: Key, name: String, since: Time },
    /// Let a session go on in a line whose player was lost with another node.
    Resume { line: Line, adoption: u64, body: Body },
    /// A command of the player.
    Command(Command),
    /// A part of a transaction.
    Prepare(Prepare),
}

impl Work {
    pub(super) fn command(line: Line, seq: u64, payload: Bytes, question: bool, since: Time) -> Self {
        Self::Command(Command { line, seq, payload, since, question, tries: 0, losses: 0, age: None })
    }

    /// Whether it is refused when too much waits already. A repeated command of the player's own may have taken effect long
    /// ago: it is looked at before it is refused. Its edge lets no more than `commands_unanswered_max` of them in.
    pub(super) fn is_bounded(&self) -> bool {
        !matches!(self, Self::Command(_))
    }

    /// When it came. What needs no append waits for none.
    pub(super) fn since(&self) -> Time {
        match self {
            Self::Open { since, .. } | Self::Command(Command { since, .. }) => *since,
            Self::Resume { .. } | Self::Prepare(_) => Time::default(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) line: Line,
    pub(super) seq: u64,
    pub(super) payload: Bytes,
    /// It may have taken nodes down: it is answered if it has taken effect, and not decided any more.
    pub(super) question: bool,
    pub(super) since: Time,
    pub(super) tries: u8,
    /// Nodes that were lost while they had a part of it to decide.
    pub(super) losses: u8,
    /// Age of its first transaction, if it took one: it grows older with every retry.
    pub(super) age: Option<Age>,
}

#[derive(Clone, Debug)]
pub(super) struct Prepare {
    pub(super) tx: TxId,
    pub(super) age: Age,
    pub(super) command: Bytes,
    pub(super) actor: Actor,
}

/// Work that waits at an entity, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Work>,
    /// The first of them waits for room in the journal.
    pub(super) held: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Pieces of work that count against the limit.
    pub(super) fn bounded(&self) -> usize {
        self.waiting.iter().filter(|work| work.is_bounded()).count()
    }

    /// Since when the first of them waits for room in the journal.
    pub(super) fn held_since(&self) -> Option<Time> {
        self.waiting.front().filter(|_| self.held).map(Work::since)
    }

    /// Puts work back that was begun: it goes before all that waits.
    pub(super) fn put_back(&mut self, work: Work) {
        self.waiting.push_front(work);
    }

    pub(super) fn take_all(&mut self) -> VecDeque<Work> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes the parts of transactions out.
    pub(super) fn take_prepares(&mut self) -> Vec<Prepare> {
        let mut prepares = Vec::new();
        let mut rest = VecDeque::with_capacity(self.waiting.len());
        for work in self.waiting.drain(..) {
            match work {
                Work::Prepare(prepare) => prepares.push(prepare),
                other => rest.push_back(other),
            }
        }
        self.waiting = rest;
        prepares
    }

    /// Forgets the part of a transaction that has ended.
    pub(super) fn forget_prepare(&mut self, tx: TxId) {
        self.waiting.retain(|w| !matches!(w, Work::Prepare(p) if p.tx == tx));
    }
}

impl Entity {
    /// Takes work; refuses it when too much waits.
    pub(super) fn submit(&mut self, cx: &mut Cx<'_>, work: Work) {
        let max = cx.core.world().limits.waiting_per_entity_max;
        self.needed = cx.core.now.time;
        match self.phase() {
            Phase::Broken => return self.refuse_work(cx, &work, game_error()),
            Phase::Suspended => return self.turn_away(cx, work),
            _ => {}
        }
        // An edge that hears nothing asks again: one question is enough.
        if let Work::Resume { line, .. } = &work {
            self.queue.waiting.retain(|w| !matches!(w, Work::Resume { line: l, .. } if l == line));
        }
        // No piece of work is done before those that came earlier, so a full queue refuses the newest.
        let full = work.is_bounded() && self.queue.waiting.len() >= max;
        if full && !cx.core.planted(Planted::UnboundedWaiting) {
            let busy = Refusal::new("busy", "Too much is going on here. Try again in a moment.");
            return self.refuse_work(cx, &work, busy);
        }
        self.queue.waiting.push_back(work);
        self.run(cx);
    }

    /// Takes up waiting work as far as possible.
    pub(super) fn run(&mut self, cx: &mut Cx<'_>) {
        loop {
            if !self.takes_work() {
                return self.freeze(cx);
            }
            match self.queue.waiting.pop_front() {
                Some(Work::Open { line, key, name, since }) => self.open_session(cx, line, key, name, since),
                Some(Work::Resume { line, adoption, body }) => self.resume_session(cx, line, adoption, body),
                Some(Work::Command(command)) => self.decide(cx, command),
                Some(Work::Prepare(prepare)) => self.prepare(cx, prepare),
                None => return,
            }
        }
    }

    pub(super) fn decide(&mut self, cx: &mut Cx<'_>, command: Command) {
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
        let mut rules = context(cx.core, &cx.crowd.interest, self.place(), None);
        let decided = guard(|| self.durable.state().decide(&command.payload, &mut rules));
        let decided = self.judge(cx, "decide", decided);
        // Its transaction would lock others meanwhile.
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(cx, &work, true) {
            return;
        }
        let Work::Command(command) = work else { return };
        match decided {
            Err(refusal) => self.refuse(cx, command, refusal),
            Ok(decision) if !decision.parts.is_empty() => self.begin(cx, command, decision.parts),
            Ok(decision) => self.record_command(cx, command, decision, None),
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

    /// Flattens what guarded game code said; a panic has its consequences for the entity.
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
        decision: RawDecision,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let max = cx.core.world().limits.public_bytes_max;
        if decision.reply.len() > max || decision.events.iter().any(|e| e.len() > max) {
            if let Some((tx, _)) = tx {
                cx.abort(tx);
            }
            return self.refuse(cx, command, game_error());
        }
        // Every success leaves a record, also one that changes nothing: it is what makes a repeat harmless.
        let mut events: Vec<_> = decision.events.into_iter().map(|e| (EventType::Game, e)).collect();
        if events.is_empty() {
            events.push((EventType::Answered, Bytes::new()));
        }
        let cause = Cause {
            session: self.player.as_ref().map_or(0, |p| p.session.known.session),
            seq: command.seq,
            fingerprint: gundo_wire::fingerprint(&command.payload),
            reply: decision.reply.clone(),
            // Where the decision puts the body, or else where it stands.
            place: decision.body.map(place),
        };
        let mut effects: Vec<_> = decision.signals.into_iter().map(Effect::Signal).collect();
        effects.extend(decision.body.map(Effect::Body));
        let (line, seq) = (command.line, command.seq);
        effects.push(Effect::Reply { line, seq, result: Ok(decision.reply) });
        if cx.core.planted(Planted::EarlyReply) {
            self.release(cx, effects.pop().into_iter().collect());
        }
        let entry = Entry { work: Some(Work::Command(command)), effects };
        self.record(cx, Record { events, cause, names: decision.names, tx, entry });
    }

    /// A command's refusal: without effect, and held behind what it rests on.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, command: Command, refusal: Refusal) {
        let window = cx.core.world().limits.answers_kept;
        if let Some(player) = &mut self.player {
            player.remember_refusal(command.seq, &command.payload, &refusal, window);
        }
        let effects = vec![Effect::Reply { line: command.line, seq: command.seq, result: Err(refusal) }];
        if cx.core.planted(Planted::EarlyRefusal) {
            return self.release(cx, effects);
        }
        self.emit(cx, Some(Work::Command(command)), effects);
    }

    /// Refuses work that was not even begun.
    pub(super) fn refuse_work(&self, cx: &mut Cx<'_>, work: &Work, refusal: Refusal) {
        match work {
            Work::Open { line, .. } | Work::Resume { line, .. } => {
                cx.core.send_edge(line.edge, line.conn, self.id, ToEdge::OpenRefused(refusal));
            }
            Work::Command(c) => {
                cx.core.counters.commands_refused += 1;
                let reply = ToEdge::Reply { seq: c.seq, result: Err(refusal) };
                cx.core.send_edge(c.line.edge, c.line.conn, self.id, reply);
            }
            Work::Prepare(p) => {
                let message = TxMessage::Refused(refusal);
                cx.core.send(p.tx.node, Peer::Transaction { tx: p.tx, entity: self.id, message });
            }
        }
    }

    /// A broken entity refuses everything that waits.
    pub(super) fn refuse_all(&mut self, cx: &mut Cx<'_>) {
        for work in self.queue.take_all() {
            match &work {
                // It was in an append, so it may have had an effect. Its client asks again later.
                Work::Command(c) if c.tries > 0 => {
                    cx.core.send_edge(c.line.edge, c.line.conn, self.id, ToEdge::NotHere);
                }
                _ => self.refuse_work(cx, &work, game_error()),
            }
        }
    }
}
