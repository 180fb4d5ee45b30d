//! Work an entity takes, in order: sessions to adopt, commands of its player, parts of others' transactions.

use bytes::Bytes;
use gundo_types::{Body, EntityId, Planted, Time};
use gundo_wire::journal::{Cause, EventType};

use crate::Node;
use crate::append::{Effect, Entry, Record, place};
use crate::game::{Actor, RawDecision, Refusal};
use crate::host::{Phase, context, game_error, guard};
use crate::isolation::{gave_up, suspended};
use crate::peer::{Age, Key, Line, Peer, Prepared, ToEdge, TxId, TxMessage};
use crate::player::Known;

/// How often a command is decided again after conflicts before it is refused.
const TRIES_MAX: u8 = 8;

/// One piece of work. Kept until its effects are durable, so that it can be done again.
#[derive(Clone, Debug)]
pub(crate) enum Work {
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
    /// Whether it is refused when too much waits already. A command of the player's own may be one said again that took effect
    /// long ago: it is not refused before it is looked at. Its edge lets no more than `commands_unanswered_max` of them in.
    pub(crate) fn is_bounded(&self) -> bool {
        !matches!(self, Self::Command(_))
    }

    /// When it came. What needs no append waits for none.
    pub(crate) fn since(&self) -> Time {
        match self {
            Self::Open { since, .. } | Self::Command(Command { since, .. }) => *since,
            Self::Resume { .. } | Self::Prepare(_) => Time::default(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) line: Line,
    pub(crate) seq: u64,
    pub(crate) payload: Bytes,
    /// It may have taken nodes down: it is answered if it has taken effect, and not decided any more.
    pub(crate) question: bool,
    pub(crate) since: Time,
    pub(crate) tries: u8,
    /// Nodes that were lost while they had a part of it to decide.
    pub(crate) losses: u8,
    /// Age of its first transaction, if it took one: it grows older with every retry.
    pub(crate) age: Option<Age>,
}

#[derive(Clone, Debug)]
pub(crate) struct Prepare {
    pub(crate) tx: TxId,
    pub(crate) age: Age,
    pub(crate) command: Bytes,
    pub(crate) actor: Actor,
}

impl Node {
    /// Gives work to a real entity; refuses it when too much waits.
    pub(crate) fn submit(&mut self, id: EntityId, work: Work) {
        let max = self.core.world().limits.waiting_per_entity_max;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.needed = self.core.now.time;
        if real.phase == Phase::Broken {
            return self.refuse_work(id, &work, game_error());
        }
        if real.phase == Phase::Suspended {
            return self.turn_away(id, work);
        }
        // An edge that hears nothing asks again: one question is enough.
        if let Work::Resume { line, .. } = &work {
            real.waiting.retain(|w| !matches!(w, Work::Resume { line: l, .. } if l == line));
        }
        // Not a piece of work is done before those that came earlier, so a full queue refuses the newest.
        let full = work.is_bounded() && real.waiting.len() >= max;
        if full && !self.core.planted(Planted::UnboundedWaiting) {
            let busy = Refusal::new("busy", "Too much is going on here. Try again in a moment.");
            return self.refuse_work(id, &work, busy);
        }
        real.waiting.push_back(work);
        self.run(id);
    }

    /// Takes up waiting work as far as possible.
    pub(crate) fn run(&mut self, id: EntityId) {
        loop {
            let Some(real) = self.hosts.reals.get_mut(&id) else { return };
            if !real.takes_work() {
                return self.freeze(id);
            }
            match real.waiting.pop_front() {
                Some(Work::Open { line, key, name, since }) => self.open_session(id, line, key, name, since),
                Some(Work::Resume { line, adoption, body }) => self.resume_session(id, line, adoption, body),
                Some(Work::Command(command)) => self.decide(id, command),
                Some(Work::Prepare(prepare)) => self.prepare(id, prepare),
                None => return,
            }
        }
    }

    pub(crate) fn decide(&mut self, id: EntityId, command: Command) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        if player.line != Some(command.line) && !self.core.planted(Planted::OldLineObeyed) {
            return self.turn_line_away(id, command.line, Some(Work::Command(command)));
        }
        let window = self.core.settings.world.limits.answers_kept;
        let blind = command.tries > 0 && self.core.planted(Planted::UnknownRetried);
        match player.known(command.seq, gundo_wire::fingerprint(&command.payload), window) {
            Known::Answer(result) if !self.core.planted(Planted::NoDedupe) && !blind => {
                let effects = vec![Effect::Reply { line: command.line, seq: command.seq, result }];
                return self.emit(id, Some(Work::Command(command)), effects);
            }
            _ => {}
        }
        player.last_seq = player.last_seq.max(command.seq);
        if command.tries > TRIES_MAX {
            let busy = Refusal::new("busy", "Too many want the same thing. Try again in a moment.");
            return self.refuse(id, command, busy);
        }
        if real.phase == Phase::Suspended && !self.core.planted(Planted::SuspendedDecides) {
            return self.refuse(id, command, suspended(true));
        }
        if command.question {
            return self.refuse(id, command, gave_up());
        }
        let state = real.state.as_ref().expect("a live entity has a state");
        let mut cx = context(&mut self.core, &self.interest, (id, real.body, real.last_at), None);
        let decided = guard(|| state.decide(&command.payload, &mut cx));
        let decided = self.judge(id, "decide", decided);
        // Its transaction would lock others meanwhile.
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(id, &work, true) {
            return;
        }
        let Work::Command(command) = work else { return };
        match decided {
            Err(refusal) => self.refuse(id, command, refusal),
            Ok(decision) if !decision.parts.is_empty() => self.begin(id, command, decision.parts),
            Ok(decision) => self.record_command(id, command, decision, None),
        }
    }

    /// Flattens what guarded game code said; a panic has its consequences for the entity.
    pub(crate) fn judge<T>(
        &mut self,
        id: EntityId,
        doing: &'static str,
        result: Result<Result<T, Refusal>, Refusal>,
    ) -> Result<T, Refusal> {
        if result.is_err() {
            self.on_game_panic(id, doing);
        }
        result.and_then(|r| r)
    }

    /// Makes a command's decision durable. `tx`: together with the parts of others.
    pub(crate) fn record_command(
        &mut self,
        id: EntityId,
        command: Command,
        decision: RawDecision,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let max = self.core.world().limits.public_bytes_max;
        if decision.reply.len() > max || decision.events.iter().any(|e| e.len() > max) {
            if let Some((tx, _)) = tx {
                self.abort(tx, false);
            }
            return self.refuse(id, command, game_error());
        }
        // Every success leaves a record, also one that changes nothing: it is what makes a repeat harmless.
        let mut events: Vec<_> = decision.events.into_iter().map(|e| (EventType::Game, e)).collect();
        if events.is_empty() {
            events.push((EventType::Answered, Bytes::new()));
        }
        let player = self.hosts.reals.get(&id).and_then(|r| r.player.as_ref());
        let cause = Cause {
            session: player.map_or(0, |p| p.session.known.session),
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
        if self.core.planted(Planted::EarlyReply) {
            self.release(id, effects.pop().into_iter().collect());
        }
        let entry = Entry { work: Some(Work::Command(command)), effects };
        self.record(id, Record { events, cause, names: decision.names, tx, entry });
    }

    /// A command's refusal: without effect, and held behind what it rests on.
    pub(crate) fn refuse(&mut self, id: EntityId, command: Command, refusal: Refusal) {
        let window = self.core.settings.world.limits.answers_kept;
        if let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) {
            player.remember_refusal(command.seq, &command.payload, &refusal, window);
        }
        let effects = vec![Effect::Reply { line: command.line, seq: command.seq, result: Err(refusal) }];
        if self.core.planted(Planted::EarlyRefusal) {
            return self.release(id, effects);
        }
        self.emit(id, Some(Work::Command(command)), effects);
    }

    /// Refuses work that was not even begun.
    pub(crate) fn refuse_work(&mut self, id: EntityId, work: &Work, refusal: Refusal) {
        match work {
            Work::Open { line, .. } | Work::Resume { line, .. } => {
                self.core.send_edge(line.edge, line.conn, id, ToEdge::OpenRefused(refusal));
            }
            Work::Command(c) => {
                self.core.counters.commands_refused += 1;
                let reply = ToEdge::Reply { seq: c.seq, result: Err(refusal) };
                self.core.send_edge(c.line.edge, c.line.conn, id, reply);
            }
            Work::Prepare(p) => {
                let message = TxMessage::Refused(refusal);
                self.core.send(p.tx.node, Peer::Transaction { tx: p.tx, entity: id, message });
            }
        }
    }

    /// A broken entity refuses whatever waits.
    pub(crate) fn refuse_all(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        for work in std::mem::take(&mut real.waiting) {
            match &work {
                // It was in an append: nobody can say that it had no effect. Its client asks again later.
                Work::Command(c) if c.tries > 0 => {
                    self.core.send_edge(c.line.edge, c.line.conn, id, ToEdge::NotHere);
                }
                _ => self.refuse_work(id, &work, game_error()),
            }
        }
    }
}
