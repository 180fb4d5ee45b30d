//! Transactions over entities: two phases, one append as the only commit point.
//!
//! The coordinator is the player whose command it is; see `coordinator`. States of a [`Tx`]: preparing (it has asked each
//! part; when all have answered it may ask on) → appending (the append is sent; it may no longer abort) → removed; or preparing
//! → backing off (a participant was busy) → preparing with a new id and the old age. A participant is locked from its decision
//! until it receives the outcome, or until it writes a fence because it receives none; see `participant`. A prepare waits at a locked
//! entity. A younger transaction may wait for an older one as long as it takes. An older one that would wait for a younger one has
//! that give up and begin again later ("wound-wait": Rosenkrantz, Stearns, Lewis 1978). So nobody waits in a circle, and the oldest
//! gets through.
//!
//! At an entity that many ask at once, its node makes the append; see `appender`.
//!
//! A part that roams, a player, is asked through its home, which passes the question on to the owner or loads the player. The
//! answer comes from the owner, and from then on the coordinator speaks with that node.

mod aborted;
mod appender;
mod coordinator;
mod participant;

pub(super) use aborted::Aborted;

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, EntityId, Kind, NodeId, Planted, Time};
use gundo_wire::journal::EventRecord;

use super::queue::Command;
use crate::core::{Core, Timer};
use crate::game::{Conclude, PARTS_MAX, Part, RawDone, Tell};
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
        age: Age,
        /// Its coordinator has heard that an older one waits.
        wounded: bool,
        deed: Deed,
    },
    /// It has coordinated, and another node appends.
    Elsewhere(TxId),
}

/// What a participant has decided.
#[derive(Debug)]
pub(super) enum Deed {
    /// The coordinator's node appends it.
    There { events: Vec<EventRecord>, signals: Vec<Bytes>, body: Option<Body>, tells: Vec<Tell> },
    /// This node appends it.
    Here(Box<RawDone>),
}

/// A transaction coordinated here.
struct Tx {
    age: Age,
    entity: EntityId,
    command: Command,
    /// Of all rounds, in order.
    parts: Vec<TxPart>,
    then: Then,
    /// The rounds after the first: it has asked on.
    more: Vec<Round>,
    phase: TxPhase,
    /// Deadline: then the command is refused.
    until: Time,
    /// How often it has backed off.
    busy: u8,
    /// No part's node may append it.
    plain: bool,
    /// A part's node appends it.
    elsewhere: Option<Elsewhere>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TxPhase {
    Preparing,
    BackingOff,
    Appending,
}

/// The next step once all parts have answered.
enum Then {
    /// The asking entity concludes. It asks on, or everything goes into one append.
    Conclude(Round),
    /// The asking entity decides its command again, with what was fetched for it.
    Decide,
}

/// Parts that are asked at once.
struct Round {
    /// Index of the first of them.
    from: usize,
    /// `None` while it runs.
    then: Option<Box<dyn Conclude>>,
}

struct TxPart {
    entity: EntityId,
    want: Want,
    /// It is a player: its home is asked, and any node may answer.
    roams: bool,
    /// The node that was asked; of a part that roams, the one that has answered.
    node: Option<NodeId>,
    answer: Option<Answer>,
}

impl TxPart {
    /// A part that is to be asked. `player`: the kind of players.
    fn new(entity: EntityId, want: Want, player: Kind) -> Self {
        Self { entity, want, roams: entity.kind == player, node: None, answer: None }
    }

    /// Whether its node wants to append.
    fn appends(&self) -> bool {
        matches!(&self.answer, Some(Answer::Prepared(prepared)) if prepared.appends)
    }
}

/// Where the append of a transaction is made, if not at its coordinator.
#[derive(Clone, Copy, Debug)]
struct Elsewhere {
    node: NodeId,
    /// The coordinator's number for it.
    batch: u64,
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
    /// What timers have asked for and nobody has answered yet: each of these will need an append.
    pub(super) fn timers_running(&self) -> usize {
        let asks = |tx: &&Tx| tx.phase == TxPhase::Preparing && tx.command.due().is_some();
        self.running.values().filter(asks).count()
    }

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

    /// A participant was busy or lost: gives up all parts, and asks those of the first round again after a while.
    fn back_off(&mut self, core: &mut Core, tx: TxId) {
        let Some(entry) = self.running.get_mut(&tx) else { return };
        assert!(entry.phase == TxPhase::Preparing, "only a preparing transaction backs off");
        let wait_ms = core.retry_ms(retry::BUSY, entry.busy);
        entry.busy = entry.busy.saturating_add(1);
        core.after_ms(wait_ms, Timer::Transaction(tx));
        self.give_up_parts(core, tx);
    }

    /// Gives up all parts. The next try begins with those of the first round.
    fn give_up_parts(&mut self, core: &mut Core, tx: TxId) {
        let Some(entry) = self.running.get_mut(&tx) else { return };
        entry.phase = TxPhase::BackingOff;
        entry.parts.iter_mut().for_each(|p| p.answer = None);
        if !core.planted(Planted::RetryUnaborted) {
            self.tell_parts(core, tx, &TxMessage::Abort { reload: false });
        }
        if let Some(entry) = self.running.get_mut(&tx) {
            entry.forget_rounds();
        }
    }

    /// Ends a transaction and tells its participants the outcome. Returns its command.
    pub(super) fn end(&mut self, core: &mut Core, tx: TxId, message: &TxMessage) -> Option<Command> {
        self.tell_parts(core, tx, message);
        self.running.remove(&tx).map(|tx| tx.command)
    }

    /// Tells the participants. One that roams and has not answered is told when its answer comes.
    fn tell_parts(&self, core: &mut Core, tx: TxId, message: &TxMessage) {
        let Some(entry) = self.running.get(&tx) else { return };
        for part in &entry.parts {
            // A part whose node appends hears nothing of it: it knows first.
            let knows = matches!(message, TxMessage::Commit) && entry.elsewhere.is_some() && part.appends();
            if let (Some(node), Want::Prepare(_), false) = (part.node, &part.want, knows) {
                let (entity, message) = (part.entity, message.clone());
                core.send(node, Peer::Transaction { tx, entity, message });
            }
        }
    }
}

impl Tx {
    /// The present round, if it ends with a conclusion.
    fn round(&mut self) -> Option<&mut Round> {
        match (self.more.last_mut(), &mut self.then) {
            (Some(round), _) | (None, Then::Conclude(round)) => Some(round),
            (None, Then::Decide) => None,
        }
    }

    /// It begins again with the first round.
    fn forget_rounds(&mut self) {
        if let Some(second) = self.more.first() {
            self.parts.truncate(second.from);
        }
        self.more.clear();
    }

    /// Whether a part is, or may be, at one of these nodes.
    fn may_be_at(part: &TxPart, nodes: &[NodeId]) -> bool {
        part.node.map_or(part.roams, |node| nodes.contains(&node))
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
