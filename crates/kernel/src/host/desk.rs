//! What the entities of a host share, and what their methods may reach.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{Body, EntityId, WorldTime};
use gundo_wire::journal::Batch;

use super::leaving::Departures;
use super::pending::Appends;
use super::places::Places;
use super::queue::Command;
use super::storage::{Room, Storage};
use super::tails::Tails;
use super::tx::{Aborted, Transactions};
use super::underway::Operator;
use super::watchers::Watchers;
use crate::core::Core;
use crate::crowd::Crowd;
use crate::game::{RawContext, Reads, Surroundings};
use crate::home::Home;
use crate::io::Output;
use crate::peer::{TxId, TxMessage};

/// Lists that the entities share.
#[derive(Default)]
pub(super) struct Desk {
    /// Appends in flight, and their entities.
    pub(super) appends: Appends,
    /// Whether the journal takes new appends, and which entities wait for it.
    pub(super) storage: Storage,
    /// What is known to be durable of entities that are not here, and what the journal has lost.
    pub(super) tails: Tails,
    /// Transactions coordinated here.
    pub(super) txs: Transactions,
    /// Transactions of others that have ended before their prepares came.
    pub(super) aborted: Aborted,
    /// Players that are to be real on another node.
    pub(super) departures: Departures,
    /// Entities whose public part changes with time alone, and when it does.
    pub(super) changes: BTreeSet<(WorldTime, EntityId)>,
    /// Entities with timers, and when each looks at them.
    pub(super) alarms: BTreeSet<(WorldTime, EntityId)>,
    /// Chunks that somebody looks at, and lists of the entities there.
    pub(super) places: Places,
    /// Entities that tick: they are here, and somebody looks at their chunk.
    pub(super) awake: BTreeSet<EntityId>,
    /// They do not tick now.
    pub(super) hold: bool,
    /// Entities whose home in the present view is another node.
    pub(super) leaving_homes: BTreeSet<EntityId>,
    /// Those of them that still had work in flight here.
    pub(super) busy_homes: BTreeSet<EntityId>,
    /// Entities that take no work here: their journal cannot be read, or their code fails.
    pub(super) idle: BTreeSet<EntityId>,
    /// Entities whose code has panicked too often.
    pub(super) suspended: BTreeSet<EntityId>,
    /// Entities that nodes were lost over, and how many.
    pub(super) blamed: BTreeMap<EntityId, u8>,
    /// Players among the entities.
    pub(super) players: usize,
    /// The watchers of entities at home here.
    pub(super) watchers: Watchers,
    /// Orders that operators give through this node.
    pub(super) operator: Operator,
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

    /// Ends a transaction that is coordinated here and tells its participants the outcome. Returns its command.
    pub(super) fn end_tx(&mut self, tx: TxId, message: &TxMessage) -> Option<Command> {
        self.desk.txs.end(self.core, tx, message)
    }

    /// Gives a transaction up before its append was sent; returns its command.
    pub(super) fn abort(&mut self, tx: TxId) -> Option<Command> {
        self.end_tx(tx, &TxMessage::Abort { reload: false })
    }
}

/// What a rule may look at. `real`: the deciding entity's id, its body and the time of its last event; `reads`: what was fetched
/// for it, in rules that can fetch.
pub(super) fn context<'a>(
    core: &'a mut Core,
    surroundings: &'a dyn Surroundings,
    real: (EntityId, Option<Body>, WorldTime),
    reads: Option<&'a mut Reads>,
) -> RawContext<'a> {
    let now = core.world_time_from(real.2);
    RawContext::new(now, (real.0, real.1), surroundings, reads, &mut core.rng)
}
