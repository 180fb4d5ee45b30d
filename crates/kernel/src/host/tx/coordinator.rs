//! The coordinator of a transaction: the entity whose command asked others for their parts.

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Planted};

use super::{Answer, Lock, Round, Then, Tx, TxPart, TxPhase, Want};
use crate::core::Timer;
use crate::game::{Actor, Conclude, Part, READS_MAX, RawAsk, RawDecision, Refusal, Rule, guard};
use crate::host::desk::{Cx, Rooms, context};
use crate::host::entity::Entity;
use crate::host::queue::{Command, Work};
use crate::host::room::Host;
use crate::host::tails::generation_of;
use crate::host::trouble::gave_up;
use crate::host::vicinity::Vicinity;
use crate::peer::{Age, LOSSES_MAX, Peer, Prepared, ToEdge, TxId, TxMessage};

/// How long a command tries to get its parts prepared before it is refused with `busy`, ms.
const PREPARING_MS: u64 = 3_000;

impl Entity {
    /// Begins the transaction a command asks for. The entity takes no other command until the append is sent.
    pub(in crate::host) fn begin(&mut self, cx: &mut Cx<'_>, command: Command, ask: RawAsk) {
        if let Some(why) = self.why_not(cx, (0, &[]), &ask) {
            let refusal = cx.core.game_fault(self.id, "decide", why);
            return self.refuse(cx, command, refusal);
        }
        let part = |part: Part| (part.entity, Want::Prepare(part));
        let parts = ask.parts.into_iter().map(part).collect();
        self.start(cx, command, parts, Then::Conclude(Round { from: 0, then: Some(ask.then) }));
    }

    /// Why it cannot ask this, if so. `before`: who was asked in how many earlier rounds.
    fn why_not(&self, cx: &Cx<'_>, before: (usize, &[EntityId]), ask: &RawAsk) -> Option<String> {
        let most = cx.core.world().limits.public_bytes_max;
        cx.core.settings.rules.cannot_ask(self.id, before, &ask.parts).or_else(|| {
            let large = ask.parts.iter().map(|part| part.ask.len()).find(|bytes| *bytes > most)?;
            Some(format!("an ask of it has {large} bytes: {most} at most"))
        })
    }

    /// Fetches the public parts that the decision about a command wants to see. The entity then decides the command again.
    pub(in crate::host) fn fetch(&mut self, cx: &mut Cx<'_>, mut command: Command) {
        let wanted = std::mem::take(&mut command.reads.wanted);
        let before = command.reads.fetched.len();
        if let Some(why) = cx.core.settings.rules.cannot_read(&wanted, before) {
            let refusal = cx.core.game_fault(self.id, "decide", why);
            return self.refuse(cx, command, refusal);
        }
        let parts = wanted.into_iter().map(|entity| (entity, Want::Read)).collect();
        self.start(cx, command, parts, Then::Decide);
    }

    fn start(&mut self, cx: &mut Cx<'_>, command: Command, parts: Vec<(EntityId, Want)>, then: Then) {
        assert!(!parts.is_empty() && self.lock.is_none(), "{}: only an unlocked entity asks others", self.id);
        let tx = cx.desk.txs.next_id(cx.core);
        // What a timer asks for is as old as the timer, however often it rings: so nobody keeps it waiting for ever.
        let since = command.due().map_or(cx.core.now.world.0, |due| due.0.min(cx.core.now.world.0));
        let age = command.age.unwrap_or(Age(since, tx.node, tx.count));
        let until = command.ask_until.unwrap_or_else(|| cx.core.now.time.plus_ms(PREPARING_MS));
        let command = Command { age: Some(age), ..command };
        // Nobody waits here for a younger one.
        if self.queue.let_older_pass(&command, age) {
            return;
        }
        let player = cx.core.settings.rules.player_kind();
        let parts = parts.into_iter().map(|(entity, want)| TxPart::new(entity, want, player)).collect();
        let phase = TxPhase::Preparing;
        let entry =
            Tx { age, entity: self.id, command, parts, then, more: Vec::new(), phase, until, busy: 0 };
        cx.desk.txs.running.insert(tx, entry);
        cx.core.at(until, Timer::Transaction(tx));
        self.ask_parts(cx, tx);
    }

    fn ask_parts(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        assert!(!matches!(self.lock, Some(Lock::Participant { .. })), "a participant asks nobody");
        assert!(entry.phase == TxPhase::Preparing && entry.entity == self.id);
        self.lock = Some(Lock::Coordinating(tx));
        let actor = Actor {
            id: self.id,
            public: cx.crowd.publisher.public_of(self.id).or_else(|| self.public.clone()).unwrap_or_default(),
            body: self.body,
        };
        let from = entry.round().map_or(0, |round| round.from);
        for part in &mut entry.parts[from..] {
            let entity = part.entity;
            let home = cx.core.home_of(entity);
            part.node = home.filter(|_| !part.roams);
            let message = match &part.want {
                Want::Prepare(part) => TxMessage::Prepare {
                    age: entry.age,
                    ask: part.ask.clone(),
                    exists: part.exists,
                    actor: actor.clone(),
                },
                Want::Read => TxMessage::Read,
            };
            if let Some(node) = home {
                cx.core.send(node, Peer::Transaction { tx, entity, message });
            }
        }
    }

    /// An older transaction asks it: gives its own up, so that neither waits for the other. False: it coordinates none, or an
    /// older one.
    pub(super) fn gives_way(&mut self, cx: &mut Cx<'_>, older: Age) -> bool {
        let Some(Lock::Coordinating(tx)) = &self.lock else { return false };
        let tx = *tx;
        let own = cx.desk.txs.running.get(&tx).map(|entry| (entry.age, entry.until));
        let Some((_, until)) = own.filter(|(age, _)| older < *age) else { return false };
        self.lock = None;
        if let Some(command) = cx.abort(tx) {
            // It has no more time for that than before.
            self.queue.put_back(Work::Command(Command { ask_until: Some(until), ..command }));
        }
        true
    }

    /// Gives its transaction up and refuses the command.
    fn refuse_tx(&mut self, cx: &mut Cx<'_>, tx: TxId, refusal: Refusal) {
        self.lock = None;
        if let Some(command) = cx.abort(tx) {
            self.refuse(cx, command, refusal);
        }
        self.run(cx);
    }

    /// All parts have answered.
    fn on_answered(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        assert!(self.lock.as_ref().is_some_and(|lock| matches!(lock, Lock::Coordinating(t) if *t == tx)));
        self.lock = None;
        match entry.round().and_then(|round| Some((round.from, round.then.take()?))) {
            Some((from, then)) => self.conclude(cx, tx, from, then),
            None => self.decide_again(cx, tx),
        }
    }

    /// All that a decision wanted to see has arrived: decides the command again. Nothing is locked, so nobody needs the outcome.
    fn decide_again(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.remove(&tx) else { return };
        let mut command = entry.command;
        for part in entry.parts {
            if let Some(Answer::Seen(public)) = part.answer {
                command.reads.fetched.push((part.entity, public));
            }
        }
        assert!(command.reads.fetched.len() <= READS_MAX, "{}: what is fetched is bounded", self.id);
        self.decide(cx, command);
        self.run(cx);
    }

    /// All parts have prepared: the game concludes. It asks on, or everything goes into one append. `from`: the first part of the
    /// round.
    fn conclude(&mut self, cx: &mut Cx<'_>, tx: TxId, from: usize, then: Box<dyn Conclude>) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        let command = entry.command.clone();
        entry.phase = TxPhase::Appending;
        let prepared = |p: &TxPart| match &p.answer {
            Some(Answer::Prepared(prepared)) => Some(prepared.clone()),
            _ => None,
        };
        let parts: Vec<Prepared> = entry.parts.iter().filter_map(prepared).collect();
        assert_eq!(parts.len(), entry.parts.len(), "all parts have prepared");
        let answers: Vec<Bytes> = parts[from..].iter().map(|p| p.reply.clone()).collect();
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, self.place(), None);
        let decided =
            guard(self.id, Rule::Then, || then.conclude(self.durable.state().as_any(), &answers, &mut rules));
        let decided = self.judge(cx, "then", decided);
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(cx, &work, true) {
            cx.abort(tx);
            return self.run(cx);
        }
        let Work::Command(command) = work else { return };
        match decided {
            Ok(RawDecision::Done(decision)) => {
                if cx.core.planted(Planted::CommitEarly) {
                    cx.desk.txs.tell_parts(cx.core, tx, &TxMessage::Commit);
                }
                self.record_command(cx, command, decision, Some((tx, parts)));
            }
            Ok(RawDecision::Ask(ask)) => return self.ask_on(cx, tx, then, ask),
            Err(refusal) => {
                cx.abort(tx);
                self.refuse(cx, command, refusal);
            }
        }
        self.run(cx);
    }

    /// A conclusion (`then`) asks others in the same transaction. Those who have answered stay locked.
    fn ask_on(&mut self, cx: &mut Cx<'_>, tx: TxId, then: Box<dyn Conclude>, ask: RawAsk) {
        let Some(entry) = cx.desk.txs.running.get(&tx) else { return };
        let asked: Vec<EntityId> = entry.parts.iter().map(|part| part.entity).collect();
        if let Some(why) = self.why_not(cx, (1 + entry.more.len(), &asked), &ask) {
            let refusal = cx.core.game_fault(self.id, "then", why);
            return self.refuse_tx(cx, tx, refusal);
        }
        let player = cx.core.settings.rules.player_kind();
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        if let Some(round) = entry.round() {
            // The transaction may begin again.
            round.then = Some(then);
        }
        entry.more.push(Round { from: asked.len(), then: Some(ask.then) });
        let part = |part: Part| TxPart::new(part.entity, Want::Prepare(part), player);
        entry.parts.extend(ask.parts.into_iter().map(part));
        entry.phase = TxPhase::Preparing;
        self.ask_parts(cx, tx);
    }

    /// The node that was asked for a part was lost: asks the part's new home, unless too many nodes were lost over this part.
    /// Unless it `died`: then only the question or its answer was lost.
    ///
    /// Nobody knows where a player is that has not answered: it may have been on a node that died. After a view without deaths its
    /// home may be another one, which does not know of the question.
    fn lose_part(&mut self, cx: &mut Cx<'_>, tx: TxId, gone: &[NodeId], died: bool) {
        if !died || gone.is_empty() {
            return cx.desk.txs.back_off(cx.core, tx);
        }
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        let undecided = |p: &TxPart| p.answer.is_none() && Tx::may_be_at(p, gone);
        entry.command.losses += u8::from(entry.parts.iter().any(undecided));
        if entry.command.losses < LOSSES_MAX || cx.core.planted(Planted::PoisonDecidedAgain) {
            // The part's next home may be this very node: the edge must count the loss.
            let (line, seq) = (entry.command.line, entry.command.seq);
            if entry.command.origin.is_none() {
                self.tell_edge(cx, line, ToEdge::Doubted { seq });
            }
            return cx.desk.txs.back_off(cx.core, tx);
        }
        self.refuse_tx(cx, tx, gave_up());
    }

    /// A back-off is over: asks the parts again, with a new id and the old age.
    fn try_again(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(mut entry) = cx.desk.txs.running.remove(&tx) else { return };
        assert!(entry.phase == TxPhase::BackingOff, "only after a back-off it tries again");
        let next = cx.desk.txs.next_id(cx.core);
        assert!(next > tx, "a retry is a transaction of its own");
        entry.phase = TxPhase::Preparing;
        cx.core.at(entry.until, Timer::Transaction(next));
        cx.desk.txs.running.insert(next, entry);
        self.ask_parts(cx, next);
    }
}

impl Host {
    /// A participant's message.
    pub(crate) fn on_participant(
        &mut self,
        rooms: &mut Rooms<'_>,
        from: NodeId,
        tx: TxId,
        entity: EntityId,
        message: TxMessage,
    ) {
        let preparing = |t: &&mut Tx| t.phase == TxPhase::Preparing;
        let Some(entry) = self.desk.txs.running.get_mut(&tx).filter(preparing) else {
            // Too late: the participant must not stay locked, unless the append has been sent.
            rooms.core.note_stale();
            let appending = self.desk.txs.running.get(&tx).is_some_and(|t| t.phase == TxPhase::Appending);
            if matches!(message, TxMessage::Prepared(_)) && !appending {
                let message = TxMessage::Abort { reload: false };
                rooms.core.send(from, Peer::Transaction { tx, entity, message });
            }
            return;
        };
        // Only the node that was asked may answer, and only for the entity it was asked about. For a player its home was asked, and
        // its owner answers, or the node that did not find it.
        let part = entry.parts.iter_mut().find(|p| p.entity == entity && Tx::may_be_at(p, &[from]));
        let fits = |part: &&mut TxPart| match (&message, &part.want) {
            (TxMessage::Prepared(p), Want::Prepare(_)) => {
                p.stream.entity == entity && !p.stream.events.is_empty()
            }
            (TxMessage::Seen { .. }, Want::Read) => true,
            (TxMessage::Prepared(_) | TxMessage::Seen { .. }, _) => false,
            _ => true,
        };
        let Some(part) = part.filter(fits) else { return rooms.core.note_nonsense() };
        let coordinator = entry.entity;
        if let TxMessage::Prepared(prepared) = &message
            && prepared.stream.events.first().map_or(0, |event| generation_of(&event.cause))
                != rooms.core.generation.unwrap_or(0)
            && !rooms.core.planted(Planted::EntitiesNotReloaded)
        {
            // One of the two nodes does not know yet that the journal has gone back.
            return self.desk.txs.back_off(rooms.core, tx);
        }
        match message {
            TxMessage::Prepared(prepared) => {
                (part.node, part.answer) = (Some(from), Some(Answer::Prepared(*prepared)));
            }
            TxMessage::Seen { public } => part.answer = Some(Answer::Seen(public)),
            TxMessage::Refused(refusal) => {
                return self.tell(rooms, coordinator, |entity, cx| entity.refuse_tx(cx, tx, refusal));
            }
            TxMessage::Busy => return self.desk.txs.back_off(rooms.core, tx),
            _ => return rooms.core.note_nonsense(),
        }
        if entry.parts.iter().all(|p| p.answer.is_some()) {
            self.tell(rooms, coordinator, |entity, cx| entity.on_answered(cx, tx));
        }
    }

    /// A back-off is over, or the deadline has passed.
    pub(in crate::host) fn on_tx_timer(&mut self, rooms: &mut Rooms<'_>, tx: TxId) {
        let Some(entry) = self.desk.txs.running.get(&tx) else { return };
        if entry.phase == TxPhase::Appending && !rooms.core.planted(Planted::AbortAfterAppend) {
            return;
        }
        let coordinator = entry.entity;
        if rooms.core.now.time >= entry.until {
            let busy = Refusal::new("busy", "Somebody else is busy with that. Try again in a moment.");
            self.tell(rooms, coordinator, |entity, cx| entity.refuse_tx(cx, tx, busy));
        } else if entry.phase == TxPhase::BackingOff {
            self.tell(rooms, coordinator, |entity, cx| entity.try_again(cx, tx));
        }
    }

    /// Nodes were lost. Transactions that asked them ask others. Entities that they have locked find out the outcome: no append
    /// of those nodes lands any more. Or, unless they `died`, messages to or from them were lost.
    pub(in crate::host) fn lose_partners(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId], died: bool) {
        let asked = |t: &Tx| {
            let there = |p: &TxPart| Tx::may_be_at(p, gone);
            t.phase == TxPhase::Preparing && t.parts.iter().any(there)
        };
        let asking = self.desk.txs.running.iter().filter(|(_, t)| asked(t)).map(|(tx, t)| (*tx, t.entity));
        for (tx, coordinator) in asking.collect::<Vec<_>>() {
            self.tell(rooms, coordinator, |entity, cx| entity.lose_part(cx, tx, gone, died));
        }
        if gone.is_empty() {
            return;
        }
        let is_locked =
            |e: &Entity| matches!(&e.lock, Some(Lock::Participant { tx, .. }) if gone.contains(&tx.node));
        let locked = self.those(rooms.core, |_, entity| is_locked(entity));
        self.each(rooms, locked, |entity, cx| {
            entity.locked_until = cx.core.now.time;
            entity.on_lock_timer(cx);
        });
    }
}
