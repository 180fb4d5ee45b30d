//! Appends in flight: each entity's record of its own, and the list of all. Plain values.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, EntityId, NodeId};
use gundo_wire::journal::{Cause, EventType, NameChange, Place};

use super::queue::{Command, Letter, Ordering, Work};
use crate::game::{RawDone, Refusal, Tell};
use crate::peer::{Line, Opened, OrderEnd, Prepared, Resumed, TxId, TxMessage, WatchRefused};

/// Something others notice. It is delayed until everything it depends on is durable.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Reply {
        line: Line,
        seq: u64,
        result: Result<Bytes, Refusal>,
    },
    Opened {
        line: Line,
        before: Option<Line>,
        opened: Box<Opened>,
    },
    OpenRefused {
        line: Line,
        refusal: Refusal,
    },
    Resumed {
        line: Line,
        resumed: Box<Resumed>,
    },
    Superseded {
        line: Line,
    },
    Transaction {
        tx: TxId,
        message: TxMessage,
    },
    Signal(Bytes),
    Body(Body),
    Tell(Tell),
    /// It has taken a message.
    Took {
        letter: Letter,
    },
    /// An order has ended.
    Ordered {
        ordering: Box<Ordering>,
        end: OrderEnd,
    },
    /// The entity has judged its watchers.
    Watched(Judgement),
    Left,
}

impl Effect {
    /// What a decision shows and tells, taken out of it.
    pub(super) fn of(done: &mut RawDone) -> Vec<Self> {
        let signals = std::mem::take(&mut done.signals).into_iter().map(Self::Signal);
        let tells = std::mem::take(&mut done.tells).into_iter().map(Self::Tell);
        signals.chain(done.body.map(Self::Body)).chain(tells).collect()
    }
}

/// Which players may not watch an entity.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// The edges whose registrations were judged, and the registrations' numbers.
    pub(super) asked: Vec<(NodeId, u64)>,
    pub(super) refused: BTreeMap<EntityId, WatchRefused>,
}

/// A piece of work and its effects, delayed until an append lands.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) work: Option<Work>,
    pub(super) effects: Vec<Effect>,
}

impl Entry {
    /// If it adopts a session: the connection that had it before.
    pub(super) fn adopts(&self) -> Option<Option<Line>> {
        self.effects.iter().find_map(|e| match e {
            Effect::Opened { before, .. } => Some(*before),
            _ => None,
        })
    }
}

/// An entity's record of an append in flight.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) batch: u64,
    /// Seq of the event before its first.
    pub(super) after: u64,
    /// Seq of its last event.
    pub(super) last: u64,
    /// Its own work first, then the answers given meanwhile.
    pub(super) entries: Vec<Entry>,
    /// How it looks once that has landed.
    pub(super) public: Option<Bytes>,
    pub(super) own: Option<Bytes>,
    pub(super) joint: Option<Joint>,
}

/// A transaction whose append it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Joint {
    /// Coordinated by the entity.
    Coordinated(TxId),
    /// Appended by the entity, for its coordinator.
    Concluded(TxId),
}

impl Pending {
    /// Commands whose effects are in it.
    pub(super) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.entries.iter().filter_map(|e| match &e.work {
            Some(Work::Command(command)) => Some(command),
            _ => None,
        })
    }

    /// A transaction has ended that an answer in here is for: the answer is not wanted any more.
    pub(super) fn forget_prepare(&mut self, tx: TxId) {
        let is_its = |entry: &Entry| matches!(&entry.work, Some(Work::Prepare(prepare)) if prepare.tx == tx);
        self.entries.retain(|entry| !is_its(entry));
    }

    /// The connections that are mentioned in here, because they had or wanted the session.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        let before = |effect: &Effect| match effect {
            Effect::Opened { before, .. } => *before,
            _ => None,
        };
        let entries = self.entries.iter();
        entries.flat_map(move |e| {
            let wanted = e.work.as_ref().and_then(Work::wants_line);
            wanted.into_iter().chain(e.effects.iter().filter_map(before))
        })
    }

    /// A connection has closed. If an adoption in flight replaced it, it does not come back when that fails; and what it asked for
    /// is not done again.
    pub(super) fn forget_line(&mut self, line: Line) {
        for entry in &mut self.entries {
            let wants = entry.work.as_ref().and_then(Work::wants_line) == Some(line);
            // An adoption in flight is not done again for a connection that has closed since: see `give_up_from`.
            if wants && entry.adopts().is_none() {
                entry.work = None;
            }
        }
        for effect in self.entries.iter_mut().flat_map(|e| &mut e.effects) {
            if let Effect::Opened { before, .. } = effect {
                *before = before.filter(|b| *b != line);
            }
        }
    }
}

/// Something to make durable.
#[derive(Default)]
pub(super) struct Record {
    pub(super) events: Vec<(EventType, Bytes)>,
    /// For the last of the events.
    pub(super) cause: Cause,
    pub(super) names: Vec<NameChange>,
    /// The transaction that it is of, and the parts of others.
    pub(super) joint: Option<(Joint, Vec<Prepared>)>,
    pub(super) entry: Entry,
}

/// Why an append was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Events of the entity.
    Events,
    /// It settles a doubt of the load with this number.
    Fence { load: u64 },
}

/// Appends in flight, and their entities.
#[derive(Default)]
pub(super) struct Appends {
    sent: BTreeMap<u64, (EntityId, Why)>,
}

impl Appends {
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn is_of(&self, batch: u64, id: EntityId) -> bool {
        self.sent.get(&batch).is_some_and(|(owner, why)| *owner == id && *why == Why::Events)
    }

    /// An append has ended. `None`: its entity was unloaded meanwhile.
    pub(super) fn end(&mut self, batch: u64) -> Option<(EntityId, Why)> {
        self.sent.remove(&batch)
    }

    /// Whose append that is, and whether it is a fence.
    #[cfg(feature = "planted")]
    pub(super) fn of(&self, batch: u64) -> Option<(EntityId, bool)> {
        let (id, why) = self.sent.get(&batch)?;
        Some((*id, matches!(why, Why::Fence { .. })))
    }

    pub(super) fn forget(&mut self, batch: u64) {
        self.sent.remove(&batch);
    }

    pub(super) fn begin(&mut self, batch: u64, id: EntityId, why: Why) {
        let before = self.sent.insert(batch, (id, why));
        assert!(before.is_none(), "each batch has its own number");
    }
}

/// A body as the journal stores it.
pub(super) fn place(body: Body) -> Place {
    Place { island: u32::from(body.island), x: body.at.x, y: body.at.y, heading: u32::from(body.heading) }
}
