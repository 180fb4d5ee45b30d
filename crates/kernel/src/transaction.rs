//! Transactions over entities: two phases, one append as the only commit point.
//!
//! The coordinator is the player whose command it is. States of a [`Tx`]: preparing (each part has been asked) → appending
//! (all have answered, the append is sent; it may no longer abort) → gone; or preparing → backing off (somebody was busy)
//! → preparing with a new id and the old age. A participant is locked from its decision to the end it is told, or to the
//! fence it writes when it hears nothing. Nobody waits in a lock queue, so there is no deadlock; the oldest gets through
//! because whoever was Busy to it prepares for no younger one for a while.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Time};
use gundo_wire::journal::{Cause, EventRecord, EventType, StreamAppend};
use rand_core::Rng;

use crate::Node;
use crate::append::Effect;
use crate::core::Timer;
use crate::game::{Part, Refusal};
use crate::host::{Phase, context, game_error, guard};
use crate::isolation::{LOSSES_MAX, gave_up};
use crate::peer::{Age, Peer, Prepared, ToEdge, TxId, TxMessage};
use crate::work::{Command, Prepare, Work};

/// Parts of one transaction. Beyond: the command is refused with `game_error`.
const PARTS_MAX: usize = 16;
/// How long a command tries to get its parts prepared before it is refused with `busy`, ms.
const PREPARING_MS: u64 = 3_000;
/// Shortest and longest back-off after Busy, ms: about the time in which a group of commits lands.
const BACKOFF_MS: std::ops::RangeInclusive<u64> = 5..=40;
/// How long a participant keeps its word to an older transaction, ms.
const PROMISE_MS: u64 = 500;
/// How long a locked participant waits for the end before it writes a fence, ms. Longer than any append takes while its
/// coordinator lives.
const LOCK_MS: u64 = 10_000;

/// A transaction coordinated here.
pub(crate) struct Tx {
    age: Age,
    entity: EntityId,
    command: Command,
    parts: Vec<TxPart>,
    phase: TxPhase,
    /// When the command is refused at the latest.
    until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TxPhase {
    Preparing,
    BackingOff,
    Appending,
}

struct TxPart {
    part: Part,
    node: Option<NodeId>,
    prepared: Option<Prepared>,
}

/// Why an entity takes no work.
#[derive(Debug)]
pub(crate) enum Lock {
    /// It coordinates.
    Coordinating(TxId),
    /// It takes part.
    Participant { tx: TxId, events: Vec<EventRecord>, signals: Vec<Bytes>, body: Option<Body> },
}

/// A participant's word to an older transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    age: Age,
    until: Time,
}

impl Node {
    // ---- the coordinator -------------------------------------------------------------------------------

    /// Begins the transaction a command asks for. The entity takes no other command until the append is sent.
    pub(crate) fn begin(&mut self, id: EntityId, command: Command, parts: Vec<Part>) {
        let player_kind = self.core.settings.rules.player_kind();
        let mut names: Vec<_> = parts.iter().map(|p| p.entity).collect();
        names.sort_unstable();
        names.dedup();
        let rules = &self.core.settings.rules;
        let land = rules.land_kind();
        // A number that is no chunk's would make a second land in the chunk its lower bits name.
        let no_chunk = |e: &EntityId| Some(e.kind) == land && ChunkId::from_u64(e.id).to_u64() != e.id;
        let unknown = |e: &EntityId| rules.kind_of(e.kind).is_none() || e.kind == player_kind || no_chunk(e);
        if names.len() != parts.len() || parts.len() > PARTS_MAX || names.iter().any(unknown) {
            return self.refuse(id, command, game_error());
        }
        self.hosts.last_tx += 1;
        let tx = TxId { node: self.core.me(), count: self.hosts.last_tx };
        let age = command.age.unwrap_or(Age(self.core.now.world.0, tx.node, tx.count));
        let command = Command { age: Some(age), ..command };
        let part = |part| TxPart { part, node: None, prepared: None };
        let parts = parts.into_iter().map(part).collect();
        let until = self.core.now.time.plus_ms(PREPARING_MS);
        let entry = Tx { age, entity: id, command, parts, phase: TxPhase::Preparing, until };
        self.hosts.txs.insert(tx, entry);
        self.core.after_ms(PREPARING_MS, Timer::Transaction(tx));
        self.ask_parts(tx);
    }

    fn ask_parts(&mut self, tx: TxId) {
        let Some(entry) = self.hosts.txs.get(&tx) else { return };
        let Some(real) = self.hosts.reals.get_mut(&entry.entity) else { return };
        real.lock = Some(Lock::Coordinating(tx));
        let actor = crate::game::Actor {
            id: real.id,
            public: self.publisher.public_of(real.id).or_else(|| real.public.clone()).unwrap_or_default(),
            body: real.body,
        };
        let (age, count) = (entry.age, entry.parts.len());
        for i in 0..count {
            let part = self.hosts.txs[&tx].parts[i].part.clone();
            let node = self.home_of(part.entity);
            let entry = self.hosts.txs.get_mut(&tx).expect("just looked up");
            entry.parts[i].node = node;
            let message = TxMessage::Prepare { age, command: part.command, actor: actor.clone() };
            if let Some(node) = node {
                self.core.send(node, Peer::Transaction { tx, entity: part.entity, message });
            }
        }
    }

    /// A participant's word.
    pub(crate) fn on_participant(&mut self, from: NodeId, tx: TxId, entity: EntityId, message: TxMessage) {
        let Some(entry) = self.hosts.txs.get_mut(&tx).filter(|t| t.phase == TxPhase::Preparing) else {
            // Too late: it must not stay locked.
            if matches!(message, TxMessage::Prepared(_)) && !self.hosts.txs.contains_key(&tx) {
                let message = TxMessage::Abort { reload: false };
                self.core.send(from, Peer::Transaction { tx, entity, message });
            }
            return;
        };
        match message {
            TxMessage::Prepared(prepared) => {
                let part = entry.parts.iter_mut().find(|p| p.part.entity == entity);
                if let Some(part) = part {
                    part.prepared = Some(*prepared);
                }
                if entry.parts.iter().all(|p| p.prepared.is_some()) {
                    self.conclude(tx);
                }
            }
            TxMessage::Refused(refusal) => {
                let (id, command) = (entry.entity, entry.command.clone());
                self.abort(tx, false);
                self.unlock(id);
                self.refuse(id, command, refusal);
                self.run(id);
            }
            TxMessage::Busy => self.back_off(tx),
            _ => {}
        }
    }

    fn back_off(&mut self, tx: TxId) {
        let Some(entry) = self.hosts.txs.get_mut(&tx) else { return };
        entry.phase = TxPhase::BackingOff;
        let spread = BACKOFF_MS.end() - BACKOFF_MS.start() + 1;
        let wait = BACKOFF_MS.start() + self.core.rng.next_u64() % spread;
        self.core.after_ms(wait, Timer::Transaction(tx));
        self.tell_parts(tx, &TxMessage::Abort { reload: false });
    }

    /// Nodes are gone. Transactions that asked them ask others; entities they have locked find out how it ended: nothing of
    /// theirs lands any more.
    pub(crate) fn lose_partners(&mut self, gone: &[NodeId]) {
        let asked = |t: &Tx| {
            let there = |p: &TxPart| p.node.is_some_and(|n| gone.contains(&n));
            t.phase == TxPhase::Preparing && t.parts.iter().any(there)
        };
        let asking: Vec<_> = self.hosts.txs.iter().filter(|(_, t)| asked(t)).map(|(tx, _)| *tx).collect();
        asking.into_iter().for_each(|tx| self.lose_part(tx, gone));
        let now = self.core.now.time;
        let mut locked = Vec::new();
        for real in self.hosts.reals.values_mut() {
            if let Some(Lock::Participant { tx, .. }) = &real.lock
                && gone.contains(&tx.node)
            {
                real.locked_until = now;
                locked.push(real.id);
            }
        }
        locked.into_iter().for_each(|id| self.on_lock_timer(id));
    }

    /// A node is gone that a part was asked of: another is asked, unless nodes are lost over this part.
    fn lose_part(&mut self, tx: TxId, gone: &[NodeId]) {
        let Some(entry) = self.hosts.txs.get_mut(&tx) else { return };
        let undecided = |p: &TxPart| p.prepared.is_none() && p.node.is_some_and(|n| gone.contains(&n));
        entry.command.losses += u8::from(entry.parts.iter().any(undecided));
        let (id, command) = (entry.entity, entry.command.clone());
        if command.losses < LOSSES_MAX || self.core.planted(Planted::PoisonDecidedAgain) {
            // The next home of the part may be this very node: somebody else must know then.
            let doubted = ToEdge::Doubted { seq: command.seq };
            self.core.send_edge(command.line.edge, command.line.conn, id, doubted);
            return self.back_off(tx);
        }
        self.abort(tx, false);
        self.unlock(id);
        self.refuse(id, command, gave_up());
        self.run(id);
    }

    fn conclude(&mut self, tx: TxId) {
        let Some(entry) = self.hosts.txs.get_mut(&tx) else { return };
        let (id, command) = (entry.entity, entry.command.clone());
        entry.phase = TxPhase::Appending;
        let parts: Vec<_> = entry.parts.iter().filter_map(|p| p.prepared.clone()).collect();
        let replies: Vec<_> = parts.iter().map(|p| p.reply.clone()).collect();
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.lock = None;
        let state = real.state.as_ref().expect("a live entity has a state");
        let mut cx = context(&mut self.core, &self.interest, (id, real.body, real.last_at), None);
        let decided = guard(|| state.conclude(&command.payload, &replies, &mut cx));
        let decided = self.judge(id, "conclude", decided);
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(id, &work, true) {
            self.abort(tx, false);
            return self.run(id);
        }
        let Work::Command(command) = work else { return };
        match decided {
            Ok(decision) => self.record_command(id, command, decision, Some((tx, parts))),
            Err(refusal) => {
                self.abort(tx, false);
                self.refuse(id, command, refusal);
            }
        }
        self.run(id);
    }

    /// A back-off is over, or the patience is.
    pub(crate) fn on_tx_timer(&mut self, tx: TxId) {
        let Some(entry) = self.hosts.txs.get(&tx) else { return };
        if entry.phase == TxPhase::Appending && !self.core.planted(Planted::AbortAfterAppend) {
            return;
        }
        if self.core.now.time >= entry.until {
            let (id, command) = (entry.entity, entry.command.clone());
            self.abort(tx, false);
            self.unlock(id);
            let busy = Refusal::new("busy", "Somebody else is busy with that. Try again in a moment.");
            self.refuse(id, command, busy);
            return self.run(id);
        }
        if entry.phase == TxPhase::BackingOff {
            let mut entry = self.hosts.txs.remove(&tx).expect("just looked up");
            self.hosts.last_tx += 1;
            let next = TxId { node: tx.node, count: self.hosts.last_tx };
            entry.phase = TxPhase::Preparing;
            entry.parts.iter_mut().for_each(|p| p.prepared = None);
            self.core.timers.insert((entry.until, Timer::Transaction(next)));
            self.hosts.txs.insert(next, entry);
            self.ask_parts(next);
        }
    }

    fn unlock(&mut self, id: EntityId) {
        if let Some(real) = self.hosts.reals.get_mut(&id) {
            real.lock = None;
        }
    }

    /// The append landed.
    pub(crate) fn commit(&mut self, tx: TxId) {
        self.end_tx(tx, TxMessage::Commit);
    }

    /// Gives a transaction up; returns its command.
    pub(crate) fn abort(&mut self, tx: TxId, reload: bool) -> Option<Command> {
        let command = self.hosts.txs.get(&tx).map(|t| t.command.clone());
        self.end_tx(tx, TxMessage::Abort { reload });
        command
    }

    pub(crate) fn end_tx(&mut self, tx: TxId, message: TxMessage) {
        self.tell_parts(tx, &message);
        self.hosts.txs.remove(&tx);
    }

    fn tell_parts(&mut self, tx: TxId, message: &TxMessage) {
        let Some(entry) = self.hosts.txs.get(&tx) else { return };
        let commits = matches!(message, TxMessage::Commit);
        for (i, part) in entry.parts.iter().enumerate() {
            if let Some(node) = part.node {
                let (entity, mut message) = (part.part.entity, message.clone());
                if commits && i > 0 && self.core.planted(Planted::HalfCommit) {
                    message = TxMessage::Abort { reload: false };
                }
                self.core.send(node, Peer::Transaction { tx, entity, message });
            }
        }
    }

    // ---- the participant -------------------------------------------------------------------------------

    /// The coordinator's word.
    pub(crate) fn on_coordinator(&mut self, from: NodeId, tx: TxId, entity: EntityId, message: TxMessage) {
        match message {
            TxMessage::Prepare { age, command, actor } => {
                let at_home = self.home_of(entity) == Some(self.core.me());
                if at_home {
                    self.need_at_home(entity);
                }
                // It lives elsewhere, or who had it before has not let it go yet.
                if !at_home || !self.hosts.reals.contains_key(&entity) {
                    let message = TxMessage::Busy;
                    return self.core.send(from, Peer::Transaction { tx, entity, message });
                }
                self.ask(entity, Prepare { tx, age, command, actor });
            }
            TxMessage::Commit => self.on_commit(tx, entity),
            TxMessage::Abort { reload } => self.on_abort(tx, entity, reload),
            TxMessage::Fence => {
                if let Some(after) = self.release_lock(tx, entity) {
                    self.fence(entity, after);
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, id: EntityId, prepare: Prepare) {
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let promised = real.promise.filter(|p| p.until > now && p.age < prepare.age);
        if real.lock.is_some() || promised.is_some() {
            return self.say_busy(id, &prepare);
        }
        self.submit(id, Work::Prepare(prepare));
    }

    fn say_busy(&mut self, id: EntityId, prepare: &Prepare) {
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let keeps = real.promise.is_some_and(|p| p.until > now && p.age <= prepare.age);
        if !keeps {
            real.promise = Some(Promise { age: prepare.age, until: now.plus_ms(PROMISE_MS) });
        }
        let (tx, message) = (prepare.tx, TxMessage::Busy);
        self.core.send(tx.node, Peer::Transaction { tx, entity: id, message });
    }

    /// Decides a part and locks the entity, or refuses.
    pub(crate) fn prepare(&mut self, id: EntityId, prepare: Prepare) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if real.promise.is_some_and(|p| p.age == prepare.age) {
            real.promise = None;
        }
        let state = real.state.as_ref().expect("a live entity has a state");
        let place = (id, real.body, real.last_at);
        let mut cx = context(&mut self.core, &self.interest, place, Some(&prepare.actor));
        let decided = guard(|| state.decide(&prepare.command, &mut cx));
        let tx = prepare.tx;
        let decision = match self.judge(id, "decide", decided) {
            Ok(d) if d.parts.is_empty() => d,
            other => {
                let refusal = other.err().unwrap_or_else(game_error);
                let effects = vec![Effect::Transaction { tx, message: TxMessage::Refused(refusal) }];
                return self.emit(id, Some(Work::Prepare(prepare)), effects);
            }
        };
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let at = self.core.world_time_from(real.last_at);
        let mut events = decision.events;
        let mut event_type = EventType::Game;
        if events.is_empty() {
            // It takes part all the same: its stream must not have moved when the append lands.
            (events, event_type) = (vec![Bytes::new()], EventType::Answered);
        }
        let record = |payload| EventRecord { at, cause: Bytes::new(), event_type, payload };
        let events: Vec<_> = events.into_iter().map(record).collect();
        let Ok(snapshot) = self.snapshot_after(id, &events) else {
            self.on_game_panic(id, "snapshot");
            let effects = vec![Effect::Transaction { tx, message: TxMessage::Refused(game_error()) }];
            return self.emit(id, Some(Work::Prepare(prepare)), effects);
        };
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let stream =
            StreamAppend { entity: id, load: real.load, after: real.seq, events: events.clone(), snapshot };
        real.lock = Some(Lock::Participant { tx, events, signals: decision.signals, body: decision.body });
        real.locked_until = self.core.now.time.plus_ms(LOCK_MS);
        self.core.after_ms(LOCK_MS, Timer::Lock(id));
        let incarnation = self.core.settings.incarnation;
        let prepared = Prepared { stream, names: decision.names, reply: decision.reply, incarnation };
        let effects = vec![Effect::Transaction { tx, message: TxMessage::Prepared(Box::new(prepared)) }];
        self.emit(id, Some(Work::Prepare(prepare)), effects);
        self.busy_to_the_rest(id);
    }

    /// The snapshot that goes with a participant's events, when one is due: of a copy, for the state itself changes
    /// only when the append has landed.
    fn snapshot_after(&self, id: EntityId, events: &[EventRecord]) -> Result<Option<Bytes>, Refusal> {
        let rules = self.core.settings.rules.clone();
        let every = self.core.world().snapshot_every;
        let Some(real) = self.hosts.reals.get(&id) else { return Ok(None) };
        if real.seq + events.len() as u64 - real.snapshot_seq < every {
            return Ok(None);
        }
        let (Some(state), Some(kind)) = (&real.state, rules.kind_of(id.kind)) else { return Ok(None) };
        guard(|| {
            let mut copy = kind.restore(id.id, &state.snapshot()).ok()?;
            let misses = self.core.planted(Planted::StaleSnapshot);
            for event in events.iter().filter(|e| e.event_type == EventType::Game && !misses) {
                copy.apply(&event.payload).ok()?;
            }
            let at = events.last().map_or(real.last_at, |e| e.at);
            Some(real.snapshot_of(copy.snapshot(), at))
        })
    }

    /// Other prepares that wait behind a new lock must not: their coordinators back off.
    pub(crate) fn busy_to_the_rest(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let (prepares, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut real.waiting).into_iter().partition(|w| matches!(w, Work::Prepare(_)));
        real.waiting = rest.into();
        for work in prepares {
            if let Work::Prepare(prepare) = work {
                self.say_busy(id, &prepare);
            }
        }
    }

    fn on_commit(&mut self, tx: TxId, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if !matches!(&real.lock, Some(Lock::Participant { tx: t, .. }) if *t == tx) {
            return;
        }
        let Some(Lock::Participant { events, signals, body, .. }) = real.lock.take() else { return };
        if real.phase == Phase::Settling {
            // Its state is not to be built on; what has landed is in the journal.
            return self.start_load(id);
        }
        let due =
            real.seq + events.len() as u64 - real.snapshot_seq >= self.core.settings.world.snapshot_every;
        let applied = guard(|| {
            for event in &events {
                real.apply(event.event_type, &event.payload, &Cause::default())?;
                real.last_at = real.last_at.max(event.at);
            }
            Ok::<_, gundo_wire::DecodeError>(())
        });
        if !matches!(applied, Ok(Ok(()))) {
            return self.on_game_panic(id, "apply");
        }
        if due {
            real.snapshot_seq = real.seq;
        }
        self.refresh(id);
        for signal in signals {
            self.publisher.signal(id, signal);
        }
        if let Some(body) = body {
            self.put_body(id, body);
        }
        self.run(id);
    }

    fn on_abort(&mut self, tx: TxId, id: EntityId, reload: bool) {
        if let Some(real) = self.hosts.reals.get_mut(&id) {
            real.waiting.retain(|w| !matches!(w, Work::Prepare(p) if p.tx == tx));
        }
        if self.release_lock(tx, id).is_some() {
            let settles = self.hosts.reals.get(&id).is_some_and(|r| r.phase == Phase::Settling);
            if reload || settles { self.start_load(id) } else { self.run(id) }
        }
    }

    /// Ends a participant's lock; the seq of its last event if there was one.
    fn release_lock(&mut self, tx: TxId, id: EntityId) -> Option<u64> {
        let real = self.hosts.reals.get_mut(&id)?;
        let locked = matches!(&real.lock, Some(Lock::Participant { tx: t, .. }) if *t == tx);
        let locked = locked && !self.core.planted(Planted::LockKept);
        locked.then(|| {
            real.lock = None;
            real.seq
        })
    }

    /// A participant has waited long: unless it is a newer lock, it finds out by itself.
    pub(crate) fn on_lock_timer(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(Lock::Participant { tx, .. }) = &real.lock else { return };
        let tx = *tx;
        if real.locked_until > self.core.now.time || !matches!(real.phase, Phase::Live | Phase::Settling) {
            return;
        }
        if let Some(after) = self.release_lock(tx, id) {
            self.fence(id, after);
        }
    }
}
