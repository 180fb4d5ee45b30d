//! The journal as the cluster's nodes have it: commits in groups, loads, and what goes wrong with both.

use gundo_kernel::Input;
use gundo_types::{EntityId, NodeId};
use gundo_wire::journal::{Batch, Outcome};

use super::Cluster;
use super::network::{COMMIT_US, Flight};

/// What the journal does with the next groups.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Refuses a group.
    Rejected,
    /// Says Unknown; the group landed.
    UnknownLanded,
    /// Says Unknown; the group did not land.
    UnknownLost,
    /// The queue was full when the last batch came: it alone is rejected, before those ahead of it have ended.
    QueueFull,
}

impl Cluster {
    pub(super) fn commit(&mut self) {
        self.commit_due = false;
        if self.stuck {
            return self.schedule_commit();
        }
        let batches = std::mem::take(&mut self.waiting);
        self.commit_group(batches);
    }

    /// The first batch that waits is committed alone.
    pub fn commit_one(&mut self) {
        let batch = self.waiting.remove(0);
        self.commit_group(vec![batch]);
    }

    fn commit_group(&mut self, mut batches: Vec<Batch>) {
        if self.full {
            self.faults.push_front(Fault::Rejected);
        }
        if matches!(self.faults.front(), Some(Fault::QueueFull)) {
            self.faults.pop_front();
            let last = batches.pop().expect("a commit has batches");
            let (node, batch, outcome) = (last.node, last.id, Outcome::Rejected("full".into()));
            self.store.fail_group(vec![last], &outcome, false);
            self.fly(50, Flight::Completed { node, batch, outcome });
        }
        let ids: Vec<_> = batches.iter().map(|b| (b.node, b.id)).collect();
        let outcomes = match self.faults.pop_front() {
            None | Some(Fault::QueueFull) => self.store.commit_group(batches),
            Some(Fault::Rejected) => self.store.fail_group(batches, &Outcome::Rejected("full".into()), false),
            Some(Fault::UnknownLanded) => self.store.fail_group(batches, &Outcome::Unknown, true),
            Some(Fault::UnknownLost) => self.store.fail_group(batches, &Outcome::Unknown, false),
        };
        for ((node, batch), outcome) in ids.into_iter().zip(outcomes) {
            self.fly(100, Flight::Completed { node, batch, outcome });
        }
    }

    pub(super) fn schedule_commit(&mut self) {
        if !self.commit_due {
            self.commit_due = true;
            self.fly(COMMIT_US, Flight::Commit);
        }
    }

    pub(super) fn load_entity(&mut self, node: NodeId, entity: EntityId, load: u64) {
        let mut loaded = self.store.load(entity);
        if self.spoilt == Some(entity) {
            (loaded.snapshot, loaded.events) = (None, loaded.events.split_off(1));
        }
        let result = if self.unreadable { Err("the disk cannot be read".into()) } else { Ok(loaded) };
        self.input(node, Input::Loaded { entity, load, result });
    }
}
