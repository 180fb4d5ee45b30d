//! Transactions over entities: two phases, one append as the only commit point.
//!
//! The coordinator is the player whose command it is; see `coordinator`. States of a [`Tx`]: preparing (it has asked each
//! part) → appending (all have answered, the append is sent; it may no longer abort) → removed; or preparing → backing off
//! (a participant was busy) → preparing with a new id and the old age. A participant is locked from its decision until it
//! receives the outcome, or until it writes a fence because it receives none; see `participant`. Nothing waits in a lock queue,
//! so there is no deadlock. The oldest gets through because a participant that said Busy to it prepares for no younger one for
//! a while.

mod aborted;
mod coordinator;
mod participant;

pub(super) use aborted::Aborted;

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, EntityId, NodeId, Time};
use gundo_wire::journal::EventRecord;

use super::queue::Command;
use crate::core::{Core, Timer};
use crate::game::{Conclude, PARTS_MAX, Part, Tell};
use crate::peer::{Age, Peer, Prepared, TxId, TxMessage};
use crate::retry;

/// Why an entity takes no work.
#[derive(Debug)]
pub(super) enum Lock {
    /// It coordinates.
    Coordinating(TxId),
    /// It takes part.
    Participant {
        tx: TxId,
        events: Vec<EventRecord>,
        signals: Vec<Bytes>,
        body: Option<Body>,
        tells: Vec<Tell>,
    },
}

/// A participant's promise to an older transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    age: Age,
    until: Time,
}

/// A transaction coordinated here.
struct Tx {
    age: Age,
    entity: EntityId,
    command: Command,
    parts: Vec<TxPart>,
    then: Then,
    phase: TxPhase,
    /// Deadline: then the command is refused.
    until: Time,
    /// How often it has backed off.
    busy: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TxPhase {
    Preparing,
    BackingOff,
    Appending,
}

/// The next step once all parts have answered.
enum Then {
    /// The asking entity concludes, and everything goes into one append.
    Conclude(Box<dyn Conclude>),
    /// The asking entity decides its command again, with what was fetched for it.
    Decide,
}

struct TxPart {
    entity: EntityId,
    want: Want,
    node: Option<NodeId>,
    answer: Option<Answer>,
}

/// What a part is asked to do.
enum Want {
    /// To decide, and to stay locked until the end.
    Prepare(Part),
    /// To show its public part. Nothing is locked.
    Read,
}

enum Answer {
    Prepared(Prepared),
    Seen(Option<Bytes>),
}

/// Transactions coordinated here.
#[derive(Default)]
pub(super) struct Transactions {
    running: BTreeMap<TxId, Tx>,
    last: u64,
}

impl Transactions {
    /// Whether `entity` coordinates this transaction.
    pub(super) fn is_of(&self, tx: TxId, entity: EntityId) -> bool {
        self.running.get(&tx).is_some_and(|t| t.entity == entity)
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        for (id, tx) in &self.running {
            assert!(here(&tx.entity), "{id:?}: its coordinator is here");
            assert!(id.count <= self.last, "{id:?}: it was numbered here");
            assert!((1..=PARTS_MAX).contains(&tx.parts.len()), "{id:?}: its parts are bounded");
            let all = tx.parts.iter().all(|p| p.answer.is_some());
            assert_eq!(all, tx.phase == TxPhase::Appending, "{id:?}: it is appended once all have prepared");
        }
    }

    fn next_id(&mut self, core: &Core) -> TxId {
        assert!(self.last < u64::MAX, "transaction numbers do not run out");
        self.last += 1;
        TxId { node: core.me(), incarnation: core.settings.incarnation, count: self.last }
    }

    /// A participant was busy or lost: gives up all parts, and asks them again after a while.
    fn back_off(&mut self, core: &mut Core, tx: TxId) {
        let Some(entry) = self.running.get_mut(&tx) else { return };
        assert!(entry.phase == TxPhase::Preparing, "only a preparing transaction backs off");
        entry.phase = TxPhase::BackingOff;
        entry.parts.iter_mut().for_each(|p| p.answer = None);
        let wait_ms = core.retry_ms(retry::BUSY, entry.busy);
        entry.busy = entry.busy.saturating_add(1);
        core.after_ms(wait_ms, Timer::Transaction(tx));
        self.tell_parts(core, tx, &TxMessage::Abort { reload: false });
    }

    /// Ends a transaction and tells its participants the outcome. Returns its command.
    pub(super) fn end(&mut self, core: &mut Core, tx: TxId, message: &TxMessage) -> Option<Command> {
        self.tell_parts(core, tx, message);
        self.running.remove(&tx).map(|tx| tx.command)
    }

    fn tell_parts(&self, core: &mut Core, tx: TxId, message: &TxMessage) {
        let Some(entry) = self.running.get(&tx) else { return };
        for part in &entry.parts {
            if let (Some(node), Want::Prepare(_)) = (part.node, &part.want) {
                let (entity, message) = (part.entity, message.clone());
                core.send(node, Peer::Transaction { tx, entity, message });
            }
        }
    }
}

#[cfg(feature = "planted")]
impl Lock {
    /// What a participant that has it is doing for this transaction, as the table of coverage names it.
    pub(super) fn doing(&self, tx: TxId) -> &'static str {
        match self {
            Self::Participant { tx: its, .. } if *its == tx => "locked",
            _ => "locked for another",
        }
    }
}

#[cfg(feature = "planted")]
impl Transactions {
    /// What a transaction is doing, as the table of coverage names it.
    pub(super) fn doing(&self, tx: TxId) -> &'static str {
        match self.running.get(&tx).map(|tx| tx.phase) {
            None => "unknown",
            Some(TxPhase::Preparing) => "preparing",
            Some(TxPhase::BackingOff) => "backing off",
            Some(TxPhase::Appending) => "appending",
        }
    }
}
