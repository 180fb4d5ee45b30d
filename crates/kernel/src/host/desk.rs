//! What the entities of a host share, and what each of their methods may reach.

use std::collections::BTreeSet;

use gundo_types::{Body, EntityId, WorldTime};
use gundo_wire::journal::Batch;

use super::leaving::Departures;
use super::pending::Appends;
use super::places::Places;
use super::queue::Command;
use super::storage::{Room, Storage};
use super::tx::Transactions;
use crate::core::Core;
use crate::crowd::Crowd;
use crate::game::{RawContext, Reads, Surroundings};
use crate::home::Home;
use crate::io::Output;
use crate::peer::{TxId, TxMessage};

/// Lists of who waits for what.
#[derive(Default)]
pub(super) struct Desk {
    /// Appends in flight, and whose they are.
    pub(super) appends: Appends,
    /// Whether the journal takes something new, and who waits for it.
    pub(super) storage: Storage,
    /// Transactions coordinated here.
    pub(super) txs: Transactions,
    /// Players that are to be real on another node.
    pub(super) departures: Departures,
    /// Public parts that change by time alone, and when.
    pub(super) changes: BTreeSet<(WorldTime, EntityId)>,
    /// Chunks that somebody looks at, and lists of what belongs there.
    pub(super) places: Places,
    /// What ticks: it is here, and somebody looks at its chunk.
    pub(super) awake: BTreeSet<EntityId>,
    /// It does not tick now.
    pub(super) hold: bool,
    /// Something that lives elsewhere in the present view has work in flight here.
    pub(super) leaving_homes: bool,
    /// Entities whose code has panicked too often.
    pub(super) suspended: BTreeSet<EntityId>,
    /// Players among the entities.
    pub(super) players: usize,
}

/// The rooms that a host reaches: those below it.
pub(crate) struct Rooms<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) crowd: &'a mut Crowd,
    pub(crate) home: &'a Home,
}

/// What an entity's methods may reach.
pub(super) struct Cx<'a> {
    pub(super) core: &'a mut Core,
    pub(super) crowd: &'a mut Crowd,
    pub(super) desk: &'a mut Desk,
}

impl Cx<'_> {
    pub(super) fn room(&self) -> Room {
        self.desk.storage.room(self.core)
    }

    /// Sends a batch to the journal.
    pub(super) fn append(&mut self, batch: Batch) {
        self.desk.storage.begin(&batch, self.core.now.time);
        self.core.outputs.push_back(Output::Append(batch));
    }

    /// Ends a transaction that is coordinated here: its participants are told how. Returns its command.
    pub(super) fn end_tx(&mut self, tx: TxId, message: &TxMessage) -> Option<Command> {
        self.desk.txs.end(self.core, tx, message)
    }

    /// Gives a transaction up before its append was sent; returns its command.
    pub(super) fn abort(&mut self, tx: TxId) -> Option<Command> {
        self.end_tx(tx, &TxMessage::Abort { reload: false })
    }
}

/// What a rule may look at. `real` is the deciding entity's id, body and last event's time; `reads` what was fetched for it, where
/// something can be.
pub(super) fn context<'a>(
    core: &'a mut Core,
    surroundings: &'a dyn Surroundings,
    real: (EntityId, Option<Body>, WorldTime),
    reads: Option<&'a mut Reads>,
) -> RawContext<'a> {
    let now = core.world_time_from(real.2);
    RawContext { now, id: real.0, body: real.1, surroundings, reads, rng: &mut core.rng }
}
