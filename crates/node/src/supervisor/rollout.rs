//! The renewal of all nodes, one after another: drained, started again, up; then the next.

use std::collections::VecDeque;

use gundo_types::NodeId;

use super::Supervisor;
use crate::control::{Asker, Refused};
use crate::slot::Stage;

/// Nodes that are still to be renewed, the one at work first. Empty: no rollout is under way.
#[derive(Default)]
pub(super) struct Rollout(VecDeque<NodeId>);

impl Rollout {
    pub(super) fn is_under_way(&self) -> bool {
        !self.0.is_empty()
    }

    /// The node at work.
    pub(super) fn at_work(&self) -> Option<NodeId> {
        self.0.front().copied()
    }

    pub(super) fn left(&self) -> Vec<NodeId> {
        self.0.iter().copied().collect()
    }

    pub(super) fn end(&mut self) {
        self.0.clear();
    }
}

impl Supervisor {
    /// Begins a rollout. The asker hears when its first node is being drained.
    pub(super) fn roll_out(&mut self, asker: Asker) {
        match self.may_roll_out() {
            Ok(first) => {
                self.rollout.0 = self.running.iter().map(|(node, _)| node).collect();
                if !self.drain(first, Some(asker)) {
                    self.rollout.end();
                }
            }
            Err(refused) => asker.refuse(refused),
        }
    }

    /// The node to begin with.
    fn may_roll_out(&self) -> Result<NodeId, Refused> {
        if self.rollout.is_under_way() {
            return Err(Refused::rollout());
        }
        if let Some((node, slot)) = self.running.iter().find(|(_, slot)| slot.stage != Stage::Running) {
            let doing = if slot.stage == Stage::Paused { "paused" } else { "draining" };
            let text = format!("node {} is {doing}: a rollout begins with a whole world", node.0);
            return Err(Refused::new("not_whole", text));
        }
        let mut nodes = self.running.iter().map(|(node, _)| node);
        match (nodes.next(), nodes.next()) {
            (Some(first), Some(_)) => Ok(first),
            _ => {
                let text = "a world of one node cannot be renewed without a pause: add one first";
                Err(Refused::new("last_node", text))
            }
        }
    }

    pub(super) fn go_on_rolling(&mut self) {
        let Some(node) = self.rollout.at_work() else { return };
        let Some(slot) = self.running.get(node) else {
            if !self.starts.is_planned(node) {
                self.renew(node);
            }
            return;
        };
        if slot.stage != Stage::Running || !slot.link.is_ready() {
            return;
        }
        self.rollout.0.pop_front();
        self.starts.forget(node);
        tracing::info!(node = node.0, "the node is renewed");
        if let Some(next) = self.rollout.at_work()
            && !self.drain(next, None)
        {
            self.end_rollout(next);
        }
    }

    /// Paused, or the last that runs: somebody interferes. The others are renewed when the rollout is asked for again.
    pub(super) fn end_rollout(&mut self, node: NodeId) {
        tracing::warn!(node = node.0, "the node cannot be drained: the rollout ends here");
        self.rollout.end();
    }

    /// The node at work has ended: it starts again.
    pub(super) fn renew(&mut self, node: NodeId) {
        if self.rollout.at_work() == Some(node) {
            self.starts.start_now(node);
        }
    }
}
