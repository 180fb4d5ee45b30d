//! A part whose own node appends: for entities that many ask at once.
//!
//! A transaction locks its parts from their decisions to the end of the append. At an entity that everybody asks, this would be one
//! commit of the journal after another. So, if others wait there, the entity's node makes the append: it keeps its part, receives
//! those of the others (*Conclude*), appends all, and goes on deciding at once, on top of what is not durable yet. Its appends end
//! in order, so each lands only if those before it did. It tells the coordinator how the append ended (*Concluded*), which then
//! goes on as if its own journal had said so.
//!
//! The coordinator learns what is not durable yet, so it refuses nothing because of it: it asks again, plainly, and then the
//! answer waits as long as it must. This is the "last agent" of two-phase commit (Gray 1978; Samaras and others 1995).

use std::collections::BTreeSet;

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Planted};
use gundo_wire::journal::{NameChange, Outcome, StreamAppend};

use super::{Answer, Deed, Elsewhere, Lock, Transactions, Tx, TxPart, Want};
use crate::game::{Conclude, PARTS_MAX, RawDone, Role};
use crate::host::desk::{Cx, Rooms};
use crate::host::entity::Entity;
use crate::host::pending::{Effect, Entry, Joint, Record, Why};
use crate::host::phase::Phase;
use crate::host::queue::Prepare;
use crate::host::room::Host;
use crate::host::storage::Room;
use crate::host::tails::generation_of;
use crate::peer::{Peer, Prepared, TxId, TxMessage};

/// Appends in flight of one entity at which it takes no more transactions on top.
const ON_TOP_MAX: usize = 64;
/// Bytes that the coordinator sends at most to the node that appends. Beyond, it appends itself.
const CONCLUDE_BYTES_MAX: usize = 256 << 10;

// ---- the part ------------------------------------------------------------------------------------------------------

impl Entity {
    /// Whether its node is to append this transaction: others wait here, or are on their way to the journal.
    pub(super) fn appends(&self, cx: &Cx<'_>, prepare: &Prepare) -> bool {
        let hot = !self.pending.is_empty() || self.queue.has_prepares();
        let can = self.role != Role::Player && self.pending.len() < ON_TOP_MAX && cx.room() == Room::Open;
        prepare.alone && hot && can
    }

    /// It has decided, keeps its part, and says so at once, although earlier events may not be durable: it appends them first.
    pub(super) fn prepare_here(&mut self, cx: &mut Cx<'_>, prepare: &Prepare, done: RawDone) {
        let (tx, entity) = (prepare.tx, self.id);
        let (load, after) = (self.load, self.durable.seq);
        let stream = StreamAppend { entity, load, after, events: Vec::new(), snapshot: None, wake: None };
        let incarnation = cx.core.settings.incarnation;
        let prepared =
            Prepared { stream, names: Vec::new(), reply: done.reply.clone(), incarnation, appends: true };
        self.lock_for(cx, prepare, Deed::Here(Box::new(done)));
        let message = TxMessage::Prepared(Box::new(prepared));
        cx.core.send(tx.node, Peer::Transaction { tx, entity, message });
    }

    /// All others have decided: appends everything. False: it cannot, and nothing will be appended.
    fn on_conclude(&mut self, cx: &mut Cx<'_>, tx: TxId, parts: Vec<Prepared>) -> bool {
        let is_its = |lock: &mut Lock| matches!(lock, Lock::Participant { tx: t, deed: Deed::Here(_), .. } if *t == tx);
        let Some(Lock::Participant { deed: Deed::Here(mut done), .. }) = self.lock.take_if(is_its) else {
            return false;
        };
        if !matches!(self.phase(), Phase::Live | Phase::Freezing) || !self.can_append_with(&parts) {
            self.load_if_settled(cx);
            self.run(cx);
            return false;
        }
        let events = self.events_or_answered(cx.core, &mut done);
        let entry = Entry { work: None, effects: Effect::of(&mut done) };
        if cx.core.planted(Planted::ConcludedEarly) {
            self.say_concluded(cx, tx, Outcome::Done);
        }
        let joint = Some((Joint::Concluded(tx), parts));
        self.record(cx, Record { events, names: done.names, joint, entry, ..Record::default() });
        self.run(cx);
        true
    }

    /// Whether these parts of others are of the same generation of the journal, and can be in one append.
    fn can_append_with(&self, parts: &[Prepared]) -> bool {
        let mut streams = BTreeSet::from([self.id]);
        (1..=PARTS_MAX).contains(&parts.len())
            && parts.iter().all(|part| {
                let generation = part.stream.events.first().map(|event| generation_of(&event.cause));
                generation == Some(self.durable.generation) && streams.insert(part.stream.entity)
            })
    }

    pub(in crate::host) fn say_concluded(&self, cx: &mut Cx<'_>, tx: TxId, outcome: Outcome) {
        let message = TxMessage::Concluded(outcome);
        cx.core.send(tx.node, Peer::Transaction { tx, entity: self.id, message });
    }

    // ---- the coordinator -----------------------------------------------------------------------------------------------

    /// Whether it can let another node append for it: nothing of it is in flight, and no snapshot is due.
    pub(super) fn can_leave_the_append(&self, cx: &Cx<'_>) -> bool {
        self.pending.is_empty() && !self.durable.snapshot_is_due(0, cx.core.world().snapshot_every)
    }

    /// Gives what it has decided, and what others have, to the node that appends. Returns the number under which the outcome comes.
    pub(in crate::host) fn conclude_elsewhere(
        &mut self,
        cx: &mut Cx<'_>,
        (tx, entity, node): (TxId, EntityId, NodeId),
        streams: Vec<StreamAppend>,
        mut names: Vec<NameChange>,
        prepared_by: Vec<u64>,
    ) -> u64 {
        let batch = cx.core.next_batch();
        cx.desk.appends.begin(batch, self.id, Why::Events);
        let mine = std::iter::once(cx.core.settings.incarnation);
        let part = |(stream, incarnation)| Prepared {
            stream,
            // In one append, so it does not matter whose they are.
            names: std::mem::take(&mut names),
            reply: Bytes::new(),
            incarnation,
            appends: false,
        };
        let parts = streams.into_iter().zip(mine.chain(prepared_by)).map(part);
        let parts = parts.filter(|part| part.stream.entity != entity).collect();
        if let Some(entry) = cx.desk.txs.running.get_mut(&tx) {
            entry.elsewhere = Some(Elsewhere { node, batch });
        }
        // Its next event is that node's to append.
        self.lock = Some(Lock::Elsewhere(tx));
        cx.core.send(node, Peer::Transaction { tx, entity, message: TxMessage::Conclude(parts) });
        batch
    }

    /// A transaction whose part would append cannot go on like that: begins it again at once, and appends itself.
    pub(super) fn again_plainly(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        let Some(entry) = cx.desk.txs.running.get_mut(&tx) else { return };
        entry.plain = true;
        cx.desk.txs.give_up_parts(cx.core, tx);
        self.try_again(cx, tx);
    }

    /// The same for one that was about to conclude with `then`.
    pub(super) fn conclude_again(&mut self, cx: &mut Cx<'_>, tx: TxId, then: Box<dyn Conclude>) {
        if let Some(round) = cx.desk.txs.running.get_mut(&tx).and_then(Tx::round) {
            round.then = Some(then);
        }
        self.again_plainly(cx, tx);
    }

    /// The node that appends has said how that ended.
    pub(in crate::host) fn has_concluded(&mut self, tx: TxId) -> bool {
        self.lock.take_if(|lock| matches!(lock, Lock::Elsewhere(t) if *t == tx)).is_some()
    }
}

impl Transactions {
    /// The part whose node appends, if there is one, and that node.
    pub(in crate::host) fn appender_of(&self, tx: TxId) -> Option<(TxId, EntityId, NodeId)> {
        let part = self.running.get(&tx)?.parts.iter().find(|part| part.appends())?;
        Some((tx, part.entity, part.node?))
    }
}

impl Tx {
    /// Whether a part's node appends, and so what the part said may not be durable yet.
    pub(super) fn is_on_top(&self) -> bool {
        self.parts.iter().any(TxPart::appends)
    }

    /// Whether the part that is asked may append: nobody else is asked.
    pub(super) fn asks_alone(&self) -> bool {
        let one =
            matches!(self.parts.as_slice(), [part] if !part.roams && matches!(part.want, Want::Prepare(_)));
        one && self.more.is_empty() && !self.plain
    }

    /// Whether what the coordinator has decided can travel to the node that appends.
    pub(super) fn can_travel(&self, decision: &RawDone) -> bool {
        let bytes = |answer: &Option<Answer>| match answer {
            Some(Answer::Prepared(prepared)) => prepared.weight(),
            _ => 0,
        };
        let own = decision.events.iter().chain([&decision.reply]).map(Bytes::len).sum::<usize>();
        own + self.parts.iter().map(|part| bytes(&part.answer)).sum::<usize>() <= CONCLUDE_BYTES_MAX
    }

    fn batch_at(&self, nodes: &[NodeId]) -> Option<u64> {
        self.elsewhere.filter(|there| nodes.contains(&there.node)).map(|there| there.batch)
    }
}

impl Host {
    /// Everything is decided, and the entity's node appends it.
    pub(super) fn conclude_here(
        &mut self,
        rooms: &mut Rooms<'_>,
        tx: TxId,
        entity: EntityId,
        parts: Vec<Prepared>,
    ) {
        if self.with(rooms, entity, |e, cx| e.on_conclude(cx, tx, parts)) == Some(true) {
            return;
        }
        rooms.core.note_stale();
        if !rooms.core.planted(Planted::ConcludeUnanswered) {
            let message = TxMessage::Concluded(Outcome::Conflict);
            rooms.core.send(tx.node, Peer::Transaction { tx, entity, message });
        }
    }

    /// The node that appends says how that ended.
    pub(super) fn on_concluded(&mut self, rooms: &mut Rooms<'_>, from: NodeId, tx: TxId, outcome: Outcome) {
        match self.desk.txs.running.get(&tx).and_then(|entry| entry.batch_at(&[from])) {
            Some(batch) => self.handle_appended(rooms, batch, outcome),
            None => rooms.core.note_stale(),
        }
    }

    /// Nodes that append for transactions coordinated here were lost, or messages of theirs: how the appends ended is unknown.
    pub(super) fn lose_appenders(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        if rooms.core.planted(Planted::AppenderForgotten) {
            return;
        }
        let lost: Vec<_> = self.desk.txs.running.values().filter_map(|entry| entry.batch_at(gone)).collect();
        for batch in lost {
            self.handle_appended(rooms, batch, Outcome::Unknown);
        }
    }
}
