//! The coordinator: who belongs, under a lease; and the way of its word to the nodes.

use std::collections::BTreeMap;

use gundo_kernel::{Member, Renewal, View};
use gundo_types::{Epoch, NodeId, Planted, Time};

use super::{Flight, Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::plan::Dial;
use crate::story::About;

/// What a node asks of the coordinator.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Renew { sent: Time },
    Remove { epoch: Epoch, node: NodeId, incarnation: u64 },
    View,
}

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(super) view: View,
    /// It answers nobody until then, µs.
    pub(super) down_until: u64,
    /// When each member last renewed, µs.
    renewed: BTreeMap<u64, u64>,
    /// Incarnations that were removed and go on, and since when, µs.
    removed: BTreeMap<u64, u64>,
}

/// A question and its answer take up to so long, each, µs.
const WAY_US: u64 = 5_000;
/// A removed node stops within this time, µs: it renews every second, and may stand still for a while first.
const STOPS_US: u64 = 6_000_000;

impl World {
    /// A node's question is on its way.
    pub(super) fn ask(&mut self, node: Key, what: Asked) {
        let after = 1 + self.net.below(WAY_US);
        self.fly(after, Flight::Asked { node, what });
    }

    pub(super) fn asked(&mut self, node: Key, what: Asked) {
        let Some(incarnation) = self.nodes.get(&node).map(|n| n.incarnation) else { return };
        let down = self.now < self.coordinator.down_until;
        let back = 1 + self.net.below(WAY_US);
        match what {
            Asked::Renew { sent } => {
                let renewal = if down {
                    Renewal::Failed
                } else if self.storage.store.is_member(incarnation) {
                    self.coordinator.renewed.insert(incarnation, self.now);
                    Renewal::Renewed
                } else {
                    Renewal::Removed
                };
                self.fly(back, Flight::Renewed { node, sent, renewal });
            }
            Asked::Remove { epoch, node, incarnation } if !down && epoch == self.coordinator.view.epoch => {
                self.remove(node, incarnation);
            }
            Asked::View if !down && node.generation == self.generation => {
                let late = self.faulty && self.plan.dials.contains_key(&Dial::Views);
                let after = back + if late { self.wrong.below(1_500_000) } else { 0 };
                let view = self.coordinator.view.clone();
                self.fly(after, Flight::View { node, view });
            }
            Asked::Remove { .. } | Asked::View => {}
        }
    }

    /// Its row goes first: from then on nothing of it lands.
    pub(super) fn remove(&mut self, node: NodeId, incarnation: u64) {
        let mut members = self.coordinator.view.members.clone();
        let count = members.len();
        members.retain(|m| (m.node, m.incarnation) != (node, incarnation));
        // Somebody was faster; or nobody would be left.
        if members.len() == count || members.is_empty() {
            return;
        }
        if self.planted != Some(Planted::TakeoverUnfenced) {
            self.storage.store.leave(incarnation);
        }
        self.judge.leave(incarnation);
        if self.nodes.values().any(|n| n.incarnation == incarnation) {
            self.coordinator.removed.insert(incarnation, self.now);
        }
        let about = About::node(node.0);
        self.story.tell(self.now, about, || format!("{node} is taken from the view"));
        self.set_members(members);
    }

    /// Whether a node belongs, as far as the coordinator knows.
    pub(crate) fn is_member(&self, node: &super::SimNode) -> bool {
        self.coordinator.view.members.iter().any(|m| m.incarnation == node.incarnation)
    }

    /// A node that is to be emptied and is not yet.
    pub(crate) fn draining(&self) -> Option<NodeId> {
        self.coordinator.view.members.iter().find(|m| m.draining).map(|m| m.node)
    }

    /// No node shows for long what was, after others have taken over.
    pub(crate) fn check_removed(&mut self) -> Verdict {
        let alive: BTreeMap<_, _> = self.nodes.iter().map(|(key, n)| (n.incarnation, key.node)).collect();
        self.coordinator.removed.retain(|incarnation, _| alive.contains_key(incarnation));
        // While the coordinator is down nobody is told; then the lease counts.
        let since = |at: u64| at.max(self.coordinator.down_until);
        let late = |(_, at): &(&u64, &u64)| self.now > since(**at) + STOPS_US;
        match self.coordinator.removed.iter().find(late) {
            None => Ok(()),
            Some((incarnation, at)) => {
                let node = alive.get(incarnation).copied().unwrap_or_default();
                let text = format!("n{node} was removed at {} ms and goes on", at / 1_000);
                violated(Guarantee::G10, text)
            }
        }
    }

    pub(super) fn add_member(&mut self, member: Member) {
        let mut members = self.coordinator.view.members.clone();
        members.retain(|m| m.node != member.node);
        members.push(member);
        members.sort_by_key(|m| m.node);
        self.set_members(members);
    }

    fn lease_us(&self) -> u64 {
        self.settings.membership_ms() * 1_000
    }

    /// A member that has not renewed for the time of its lease is removed.
    pub(super) fn lease_ends(&mut self, incarnation: u64) {
        let Some(node) = self.coordinator.view.members.iter().find(|m| m.incarnation == incarnation) else {
            return;
        };
        let node = node.node;
        let lease_us = self.lease_us();
        let renewed = self.coordinator.renewed.get(&incarnation).copied().unwrap_or(0);
        if self.now < renewed + lease_us {
            return self.fly(renewed + lease_us - self.now, Flight::LeaseEnds(incarnation));
        }
        self.remove(node, incarnation);
        self.fly(lease_us, Flight::LeaseEnds(incarnation));
    }

    /// The next view. Every node learns of it in its own time.
    pub(super) fn set_members(&mut self, members: Vec<Member>) {
        let lease_us = self.lease_us();
        for member in &members {
            if !self.coordinator.renewed.contains_key(&member.incarnation) {
                self.coordinator.renewed.insert(member.incarnation, self.now);
                self.fly(lease_us, Flight::LeaseEnds(member.incarnation));
            }
        }
        self.coordinator.renewed.retain(|i, _| members.iter().any(|m| m.incarnation == *i));
        self.coordinator.view = View { epoch: Epoch(self.coordinator.view.epoch.0 + 1), members };
        let late = self.faulty && self.plan.dials.contains_key(&Dial::Views);
        for n in 1..=self.plan.nodes {
            let after = if late { self.wrong.below(1_500_000) } else { 0 };
            let (node, view) = (self.key(n), self.coordinator.view.clone());
            self.fly(after, Flight::View { node, view });
        }
    }
}
