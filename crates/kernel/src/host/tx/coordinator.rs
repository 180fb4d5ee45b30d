//! The coordinator of a transaction: the entity whose command asked others for their parts.

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Planted};

use super::{Lock, PARTS_MAX, Tx, TxPart, TxPhase, is_no_participant};
use crate::core::Timer;
use crate::game::{Actor, Part, Refusal, game_error, guard};
use crate::host::desk::{Cx, Rooms, context};
use crate::host::entity::Entity;
use crate::host::queue::{Command, Work};
use crate::host::room::Host;
use crate::host::trouble::gave_up;
use crate::host::vicinity::Vicinity;
use crate::peer::{Age, LOSSES_MAX, Peer, Prepared, ToEdge, TxId, TxMessage};

/// How long a command tries to get its parts prepared before it is refused with `busy`, ms.
const PREPARING_MS: u64 = 3_000;

impl Entity {
    /// Begins the transaction a command asks for. The entity takes no other command until the append is sent.
    pub(in crate::host) fn begin(&mut self, cx: &mut Cx<'_>, command: Command, parts: Vec<Part>) {
        let mut names: Vec<_> = parts.iter().map(|p| p.entity).collect();
        names.sort_unstable();
        names.dedup();
        let impossible = names.iter().any(|e| is_no_participant(cx.core, *e));
        if names.len() != parts.len() || parts.len() > PARTS_MAX || impossible {
            return self.refuse(cx, command, game_error());
        }
        assert!(!parts.is_empty() && self.lock.is_none(), "{}: it asks others while it is free", self.id);
        let tx = cx.desk.txs.next_id(cx.core);
        let age = command.age.unwrap_or(Age(cx.core.now.world.0, tx.node, tx.count));
        let command = Command { age: Some(age), ..command };
        let part = |part| TxPart { part, node: None, prepared: None };
        let parts = parts.into_iter().map(part).collect();
        let until = cx.core.now.time.plus_ms(PREPARING_MS);
        let entry = Tx { age, entity: self.id, command, parts, phase: TxPhase::Preparing, until };
        cx.desk.txs.running.insert(tx, entry);
        cx.core.after_ms(PREPARING_MS, Timer::Transaction(tx));
        self.ask_parts(cx, tx);
    }

    fn ask_parts(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        assert!(!matches!(self.lock, Some(Lock::Participant { .. })), "who takes part asks nobody");
        assert!(entry.phase == TxPhase::Preparing && entry.entity == self.id);
        self.lock = Some(Lock::Coordinating(tx));
        let actor = Actor {
            id: self.id,
            public: cx.crowd.publisher.public_of(self.id).or_else(|| self.public.clone()).unwrap_or_default(),
            body: self.body,
        };
        for part in &mut entry.parts {
            let Part { entity, command } = part.part.clone();
            part.node = cx.core.home_of(entity);
            let message = TxMessage::Prepare { age: entry.age, command, actor: actor.clone() };
            if let Some(node) = part.node {
                cx.core.send(node, Peer::Transaction { tx, entity, message });
            }
        }
    }

    /// Gives its transaction up and refuses the command.
    fn refuse_tx(&mut self, cx: &mut Cx<'_>, tx: TxId, refusal: Refusal) {
        self.lock = None;
        if let Some(command) = cx.abort(tx) {
            self.refuse(cx, command, refusal);
        }
        self.run(cx);
    }

    /// All parts have prepared: the game concludes, and everything goes into one append.
    fn conclude(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        assert!(self.lock.as_ref().is_some_and(|lock| matches!(lock, Lock::Coordinating(t) if *t == tx)));
        let command = entry.command.clone();
        entry.phase = TxPhase::Appending;
        let parts: Vec<Prepared> = entry.parts.iter().filter_map(|p| p.prepared.clone()).collect();
        assert_eq!(parts.len(), entry.parts.len(), "all parts have prepared");
        let replies: Vec<Bytes> = parts.iter().map(|p| p.reply.clone()).collect();
        self.lock = None;
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, self.place(), None);
        let decided = guard(|| self.durable.state().conclude(&command.payload, &replies, &mut rules));
        let decided = self.judge(cx, "conclude", decided);
        let work = Work::Command(command);
        if decided.is_ok() && self.hold_back(cx, &work, true) {
            cx.abort(tx);
            return self.run(cx);
        }
        let Work::Command(command) = work else { return };
        match decided {
            Ok(decision) => self.record_command(cx, command, decision, Some((tx, parts))),
            Err(refusal) => {
                cx.abort(tx);
                self.refuse(cx, command, refusal);
            }
        }
        self.run(cx);
    }

    /// A node is gone that a part was asked of: another is asked, unless nodes are lost over this part.
    fn lose_part(&mut self, cx: &mut Cx<'_>, tx: TxId, gone: &[NodeId]) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        let undecided = |p: &TxPart| p.prepared.is_none() && p.node.is_some_and(|n| gone.contains(&n));
        entry.command.losses += u8::from(entry.parts.iter().any(undecided));
        if entry.command.losses < LOSSES_MAX || cx.core.planted(Planted::PoisonDecidedAgain) {
            // The next home of the part may be this very node: the edge must know then.
            let (line, seq) = (entry.command.line, entry.command.seq);
            self.tell_edge(cx, line, ToEdge::Doubted { seq });
            return cx.desk.txs.back_off(cx.core, tx);
        }
        self.refuse_tx(cx, tx, gave_up());
    }

    /// A back-off is over: the parts are asked again, under a new id and with the old age.
    fn try_again(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(mut entry) = cx.desk.txs.running.remove(&tx) else { return };
        assert!(entry.phase == TxPhase::BackingOff, "who has backed off tries again");
        let next = cx.desk.txs.next_id(cx.core);
        assert!(next > tx, "a retry is a transaction of its own");
        entry.phase = TxPhase::Preparing;
        cx.core.at(entry.until, Timer::Transaction(next));
        cx.desk.txs.running.insert(next, entry);
        self.ask_parts(cx, next);
    }
}

impl Host {
    /// A participant's word.
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
            // Too late: it must not stay locked.
            rooms.core.note_stale();
            if matches!(message, TxMessage::Prepared(_)) && !self.desk.txs.running.contains_key(&tx) {
                let message = TxMessage::Abort { reload: false };
                rooms.core.send(from, Peer::Transaction { tx, entity, message });
            }
            return;
        };
        // Only the node that was asked may answer, and only for the entity that it was asked for.
        let part = entry.parts.iter_mut().find(|p| p.part.entity == entity && p.node == Some(from));
        let fits = match &message {
            TxMessage::Prepared(p) => p.stream.entity == entity && !p.stream.events.is_empty(),
            _ => true,
        };
        let Some(part) = part.filter(|_| fits) else { return rooms.core.note_nonsense() };
        let coordinator = entry.entity;
        match message {
            TxMessage::Prepared(prepared) => {
                part.prepared = Some(*prepared);
                if entry.parts.iter().all(|p| p.prepared.is_some()) {
                    self.tell(rooms, coordinator, |entity, cx| entity.conclude(cx, tx));
                }
            }
            TxMessage::Refused(refusal) => {
                self.tell(rooms, coordinator, |entity, cx| entity.refuse_tx(cx, tx, refusal));
            }
            TxMessage::Busy => self.desk.txs.back_off(rooms.core, tx),
            _ => rooms.core.note_nonsense(),
        }
    }

    /// A back-off is over, or the patience is.
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

    /// Nodes are gone. Transactions that asked them ask others; entities they have locked find out how it ended: nothing of
    /// theirs lands any more.
    pub(in crate::host) fn lose_partners(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        let asked = |t: &Tx| {
            let there = |p: &TxPart| p.node.is_some_and(|n| gone.contains(&n));
            t.phase == TxPhase::Preparing && t.parts.iter().any(there)
        };
        let asking = self.desk.txs.running.iter().filter(|(_, t)| asked(t)).map(|(tx, t)| (*tx, t.entity));
        for (tx, coordinator) in asking.collect::<Vec<_>>() {
            self.tell(rooms, coordinator, |entity, cx| entity.lose_part(cx, tx, gone));
        }
        let locked =
            |e: &Entity| matches!(&e.lock, Some(Lock::Participant { tx, .. }) if gone.contains(&tx.node));
        let locked = self.those(locked);
        self.each(rooms, locked, |entity, cx| {
            entity.locked_until = cx.core.now.time;
            entity.on_lock_timer(cx);
        });
    }
}
