//! The journal of the cluster's nodes: commits in groups, loads, and faults of both.

use std::ops::RangeInclusive;

use gundo_kernel::Input;
use gundo_types::{EntityId, Kind, NodeId};
use gundo_wire::journal::{Batch, WakesAsked};

use super::network::{COMMIT_US, Flight};
use super::{Cluster, Fault};

impl Cluster {
    pub(super) fn commit(&mut self) {
        self.commit_due = false;
        if self.stuck {
            return self.schedule_commit();
        }
        let group = self.disk.next_group(usize::MAX);
        self.commit_group(group);
    }

    /// Commits the first waiting batch alone.
    pub fn commit_one(&mut self) {
        let group = self.disk.next_group(1);
        self.commit_group(group);
    }

    fn commit_group(&mut self, mut group: Vec<(NodeId, Batch)>) {
        if self.full {
            self.faults.push_front(Fault::Rejected);
        }
        if matches!(self.faults.front(), Some(Fault::QueueFull)) {
            self.faults.pop_front();
            let refused = self.disk.refuse_last(&mut group).expect("a commit has batches");
            self.fly(50, Flight::Completed(refused));
        }
        for ended in self.disk.commit(group, self.faults.pop_front()) {
            self.fly(100, Flight::Completed(ended));
        }
    }

    pub(super) fn schedule_commit(&mut self) {
        if !self.commit_due {
            self.commit_due = true;
            self.fly(COMMIT_US, Flight::Commit);
        }
    }

    pub(super) fn load_entity(&mut self, node: NodeId, entity: EntityId, load: u64) {
        let mut loaded = self.disk.store.load(entity);
        if self.spoilt == Some(entity) {
            (loaded.snapshot, loaded.events) = (None, loaded.events.split_off(1));
        }
        let result = if self.unreadable { Err("the disk cannot be read".into()) } else { Ok(loaded) };
        self.input(node, Input::Loaded { entity, load, result });
    }

    pub(super) fn read_wakes(&mut self, node: NodeId, asked: WakesAsked, list: u64) {
        let input = match self.unreadable {
            true => Input::Woken { list, result: Err("the disk cannot be read".into()) },
            false => self.disk.wakes(asked, list),
        };
        self.input(node, input);
    }

    pub(super) fn list_entities(
        &mut self,
        node: NodeId,
        kind: Kind,
        ids: RangeInclusive<u64>,
        max: usize,
        list: u64,
    ) {
        let input = match self.unreadable {
            true => Input::Listed { kind, list, result: Err("the disk cannot be read".into()) },
            false => self.disk.list(kind, ids, max, list),
        };
        self.input(node, input);
    }
}
