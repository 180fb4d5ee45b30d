//! The restart of all nodes, one after another: drained, started again, up; then the next.

use std::collections::VecDeque;

use gundo_types::NodeId;

use super::Supervisor;
use crate::control::{Asker, Refused};
use crate::slot::Stage;

/// Nodes still to restart, starting with the current one. Empty: no rollout is under way.
#[derive(Default)]
pub(super) struct Rollout(VecDeque<NodeId>);

impl Rollout {
    pub(super) fn is_under_way(&self) -> bool {
        !self.0.is_empty()
    }

    /// The node that is restarting now.
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
    /// Starts a rollout. The asker gets an answer when the first node is draining.
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

    /// Restarts one node. In a cluster that is the whole process.
    pub(super) fn begin_renewal(&mut self, node: NodeId, asker: Asker) {
        if self.rollout.is_under_way() {
            return asker.refuse(Refused::rollout());
        }
        if self.base.as_cluster().is_some() {
            if self.drain(node, Some(asker)) {
                self.renews = true;
                self.begins_to_leave();
            }
        } else if self.drain(node, Some(asker)) {
            self.rollout.0.push_back(node);
        }
    }

    /// The first node.
    fn may_roll_out(&self) -> Result<NodeId, Refused> {
        if self.rollout.is_under_way() {
            return Err(Refused::rollout());
        }
        if let Some((node, slot)) = self.running.iter().find(|(_, slot)| slot.stage() != Stage::Running) {
            let doing = if slot.stage() == Stage::Paused { "paused" } else { "draining" };
            let text = format!("node {} is {doing}: a rollout needs every node up", node.0);
            return Err(Refused::new("not_whole", text));
        }
        let mut nodes = self.running.iter().map(|(node, _)| node);
        match (nodes.next(), nodes.next()) {
            (Some(first), Some(_)) => Ok(first),
            _ => {
                let text = "a world of one node cannot restart without a pause: add one first";
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
        if slot.stage() != Stage::Running || !slot.link.is_ready() {
            return;
        }
        self.rollout.0.pop_front();
        self.starts.forget(node);
        tracing::info!(node = node.0, "the node has been restarted");
        if let Some(next) = self.rollout.at_work()
            && !self.drain(next, None)
        {
            self.end_rollout(next);
        }
    }

    /// The node is paused, or the last one that runs: an operator interfered. Another rollout restarts the others.
    pub(super) fn end_rollout(&mut self, node: NodeId) {
        tracing::warn!(node = node.0, "the node cannot be drained: the rollout ends here");
        self.rollout.end();
    }

    /// The current node of the rollout has ended: starts it again.
    pub(super) fn renew(&mut self, node: NodeId) {
        if self.rollout.at_work() == Some(node) {
            self.starts.start_now(node);
        }
    }
}
