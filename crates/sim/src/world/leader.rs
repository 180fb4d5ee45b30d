//! The coordinator restarts, or loses its leader: for a while it answers nobody, and what it had answered is lost on the way. Its
//! leases run on meanwhile, its watches are broken, and its state is kept.

use std::collections::BTreeSet;

use gundo_coordinator::Patience;
use gundo_kernel::Input;
use gundo_types::Time;

use super::{Flight, Key, World};
use crate::story::About;

/// The longest time that it answers nobody, µs: longer than two leases.
const SILENT_US: u64 = 12_000_000;
/// A node reaches it again within this time after that, µs.
const WATCHES_US: u64 = 2_000_000;

/// What is left of such an outage.
#[derive(Default)]
pub(super) struct Leader {
    /// It answers nobody until then, µs.
    pub(super) silent_until: u64,
    /// Nodes that do not reach it yet.
    broken: BTreeSet<u16>,
    /// Of those who look whose lease is over.
    patience: Option<Patience>,
}

impl Leader {
    /// Somebody has renewed.
    pub(super) fn on_success(&mut self, now: Time, lease_ms: u64) {
        self.patience.get_or_insert(Patience::new(lease_ms, now)).on_success(now);
    }

    /// Whether members whose lease is over may be removed.
    pub(super) fn may_expire(&self, now: Time) -> bool {
        self.patience.is_none_or(|patience| patience.may_expire(now))
    }

    pub(super) fn watches(&self, node: u16) -> bool {
        !self.broken.contains(&node)
    }
}

impl World {
    /// The outage begins.
    pub(super) fn lose_leader(&mut self) -> bool {
        if self.booting || self.coordinator_is_down() {
            return false;
        }
        let until = self.now + 300_000 + self.wrong.below(SILENT_US);
        self.leader.silent_until = until;
        self.disturb_calm(until);
        let is_answer = |flight: &Flight| matches!(flight, Flight::Renewed { .. } | Flight::View { .. });
        let lost = self.queue.take(is_answer).len();
        for node in 1..=self.plan.nodes {
            self.leader.broken.insert(node);
            let after = until - self.now + self.wrong.below(WATCHES_US);
            self.fly(after, Flight::WatchesAgain(node));
        }
        let text = || {
            let until_ms = until / 1_000;
            format!("fault: the coordinator loses its leader until {until_ms} ms, and {lost} answers")
        };
        self.story.tell(self.now, About::default(), text);
        true
    }

    /// A node watches the coordinator again, and hears the present view.
    pub(super) fn watches_again(&mut self, node: u16) {
        if self.coordinator_is_down() {
            return self.fly(WATCHES_US, Flight::WatchesAgain(node));
        }
        if self.leader.broken.remove(&node) && !self.coordinator.view.members.is_empty() {
            let (key, view): (Key, _) = (self.key(node), self.coordinator.view.clone());
            self.input(key, Input::View(view));
            // Others may not have reached it yet.
            self.expire();
        }
    }
}
