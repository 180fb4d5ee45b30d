//! The nodes that run, and the threads of those that have ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use gundo_kernel::Input;
use gundo_types::NodeId;

use crate::mesh::Mesh;
use crate::slot::{Slot, Stage};

pub(super) struct Running {
    slots: BTreeMap<NodeId, Slot>,
    /// Logic threads of nodes that have ended.
    ended: Vec<JoinHandle<()>>,
    mesh: Arc<Mesh>,
}

impl Running {
    pub(super) fn new(mesh: Arc<Mesh>) -> Self {
        Self { slots: BTreeMap::new(), ended: Vec::new(), mesh }
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let before = self.slots.insert(slot.member.node, slot);
        assert!(before.is_none(), "a node that runs is not started");
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&Slot> {
        self.slots.get(&node)
    }

    pub(super) fn get_mut(&mut self, node: NodeId) -> Option<&mut Slot> {
        self.slots.get_mut(&node)
    }

    /// A node, if this incarnation still runs.
    pub(super) fn life(&mut self, node: NodeId, incarnation: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&node).filter(|slot| slot.member.incarnation == incarnation)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Slot)> {
        self.slots.iter().map(|(node, slot)| (*node, slot))
    }

    /// Gives every node an input.
    pub(super) fn give_all(&self, input: impl Fn() -> Input) {
        self.slots.values().for_each(|slot| slot.give(input()));
    }

    /// Whether another node could take over from this one.
    pub(super) fn can_spare(&self, node: NodeId) -> bool {
        let able = |(n, slot): (&NodeId, &Slot)| {
            *n != node && slot.stage() == Stage::Running && slot.link.is_ready()
        };
        self.slots.iter().any(able)
    }

    /// Ends a node as a crash would.
    pub(super) fn end(&mut self, node: NodeId) {
        if let Some(slot) = self.slots.remove(&node) {
            self.ended.push(slot.kill(&self.mesh));
        }
    }

    /// Forgets threads that have finished.
    pub(super) fn reap(&mut self) {
        self.ended.retain(|thread| !thread.is_finished());
    }

    pub(super) fn into_slots(self) -> impl Iterator<Item = Slot> {
        self.slots.into_values()
    }
}
