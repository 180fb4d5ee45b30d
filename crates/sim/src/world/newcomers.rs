//! Who comes: the players of the plan, and newcomers. When all has healed and the others stand still, somebody new comes to each node
//! that takes players. A node that had too much to do must have room for it again.

use gundo_bots::Wishes;
use gundo_types::Body;

use super::{Flight, World};
use crate::people::{Absence, Person};
use crate::plan::Dial;

/// So many come at most.
const NEWCOMERS_MAX: usize = 9;
/// They come within this time, µs.
const ARRIVE_US: u64 = 2_000_000;

impl World {
    /// A player, who arrives within `arrives_in` µs, at one node only or at any.
    pub(super) fn add_person(&mut self, index: usize, arrives_in: u64, only: Option<u16>) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.life.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&self.life.next_u64().to_le_bytes());
        let seed = self.life.next_u64();
        let mut mind = self.game.mind(index);
        // Some first want another player's name.
        let wished = if index % 5 == 4 { index - 1 } else { index };
        let name = mind.name(&format!("sim{wished}"));
        self.people.push(Person {
            name,
            names_tried: 0,
            role: self.plan.role(index),
            only,
            nonce,
            id: None,
            mind,
            wishes: Wishes::at(Body::default(), seed),
            current: None,
            wants_in: true,
            tokens: Vec::new(),
            last_step: 0,
            goal: None,
            absence: Absence::default(),
        });
        let at = self.life.below(arrives_in + 1);
        self.fly(at, Flight::Arrive(index));
        let step_us = 1_000_000 / u64::from(self.plan.steps_per_second);
        let first = self.life.below(step_us);
        self.fly(first, Flight::Step(index));
    }

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
