//! Newcomers: when all has healed and the others stand still, somebody new comes to each node that takes players. A node that had too
//! much to do must have room for it again.

use super::World;
use crate::plan::Dial;

/// So many come at most.
const NEWCOMERS_MAX: usize = 9;
/// They come within this time, µs.
const ARRIVE_US: u64 = 2_000_000;

impl World {
    /// If nodes were overloaded, somebody new comes to each.
    pub(crate) fn newcomers(&mut self) {
        if ![Dial::Overload, Dial::Busy].iter().any(|dial| self.plan.dials.contains_key(dial)) {
            return;
        }
        let ready = self.nodes.iter().filter(|(key, node)| {
            key.generation == self.generation && self.is_member(node) && node.kernel.is_ready()
        });
        let nodes: Vec<u16> = ready.map(|(key, _)| key.node).take(NEWCOMERS_MAX).collect();
        for node in nodes {
            self.add_person(self.people.len(), ARRIVE_US, Some(node));
        }
    }
}
