//! The operators' requests. Each is refused, or answered when it is done; long work continues after the answer.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use gundo_coordinator::CallError;
use gundo_kernel::Input;
use gundo_types::{EntityId, NodeId};

use super::{Signal, Supervisor};
use crate::control::{Answer, Asker, NodeState, NodeStatus, Refused, Request, WorldStatus};
use crate::orders::Way;
use crate::slot::{Slot, Stage};

/// Invitations made by one request.
const INVITATIONS_MAX: u16 = 1_000;
const DAY_MS: u64 = 86_400_000;

impl Supervisor {
    pub(super) fn control(&mut self, request: Request, asker: Asker) {
        let Some(asker) = self.ask_elsewhere(request, asker) else { return };
        let done = match request {
            Request::Nodes | Request::Here => Ok(Answer::World(self.status())),
            Request::Kill(node) => self.kill(node),
            Request::Pause(node) => self.pause(node),
            Request::Resume(node) => self.resume(node),
            Request::Drain(_) if self.rollout.is_under_way() => Err(Refused::rollout()),
            Request::Drain(node) => {
                self.drain(node, Some(asker));
                return;
            }
            Request::Renew(node) => return self.begin_renewal(node, asker),
            Request::Add => return self.add(asker),
            Request::Rollout => return self.roll_out(asker),
            Request::Blamed => Ok(Answer::Blamed(self.ground.blames.list())),
            Request::Pardon(entity) => self.pardon(entity),
            Request::Invite(count, days) => self.invite(count, days),
        };
        match done {
            Ok(answer) => asker.answer(answer),
            Err(refused) => asker.refuse(refused),
        }
    }

    /// A node that can send an order.
    pub(super) fn show_way(&self, asker: &Sender<Way>) {
        let ready = |(_, slot): &(NodeId, &Slot)| slot.stage() == Stage::Running && slot.link.is_ready();
        if let Some((_, slot)) = self.running.iter().find(ready) {
            let (link, rules) = (Arc::clone(&slot.link), Arc::clone(&self.ground.rules));
            // The caller may be gone.
            let _ = asker.send(Way { link, rules });
        }
    }

    fn kill(&mut self, node: NodeId) -> Result<Answer, Refused> {
        self.slot(node)?;
        self.not_the_last(node)?;
        self.running.end(node);
        tracing::warn!(node = node.0, "the node was killed by an operator");
        self.starts.forget(node);
        self.renew(node);
        Ok(Answer::Node(node))
    }

    fn pardon(&self, entity: EntityId) -> Result<Answer, Refused> {
        if !self.ground.blames.pardon(entity) {
            return Err(Refused::new("not_blamed", format!("no node was lost over {entity}")));
        }
        tracing::warn!(%entity, "the entity was pardoned by an operator");
        self.running.give_all(|| Input::Blamed { entity, points: 0 });
        Ok(Answer::Pardoned)
    }

    /// Each invitation has the id of a player that there is not yet: 63 bits by chance, as nonces make them.
    fn invite(&self, count: u16, days: u16) -> Result<Answer, Refused> {
        if !(1..=INVITATIONS_MAX).contains(&count) {
            let text = format!("1 to {INVITATIONS_MAX} invitations at a time, not {count}");
            return Err(Refused::new("bad_count", text));
        }
        let today = self.ground.clock.now().world.0 / DAY_MS;
        let until = if days == 0 { 0 } else { today + 1 + u64::from(days) };
        let until = u16::try_from(until).unwrap_or(u16::MAX);
        let kind = self.ground.rules.player_kind();
        let one = |_| {
            let id = getrandom::u64().map_err(|error| Refused::new("no_chance", error.to_string()))?;
            Ok(self.ground.secret.invitation(EntityId::new(kind, id & (u64::MAX >> 1)), until))
        };
        let all: Result<Vec<String>, Refused> = (0..count).map(one).collect();
        tracing::info!(count, days, "an operator has made invitations");
        all.map(Answer::Invitations)
    }

    fn pause(&mut self, node: NodeId) -> Result<Answer, Refused> {
        let slot = self.slot(node)?;
        match slot.stage() {
            Stage::Paused => Err(Refused::new("paused", format!("node {} is paused already", node.0))),
            Stage::Draining | Stage::Leaving => Err(Refused::draining(node)),
            Stage::Running => {
                slot.turn_to(Stage::Paused);
                slot.link.pause(true);
                Ok(Answer::Node(node))
            }
        }
    }

    fn resume(&mut self, node: NodeId) -> Result<Answer, Refused> {
        let slot = self.slot(node)?;
        if slot.stage() != Stage::Paused {
            return Err(Refused::new("not_paused", format!("node {} is not paused", node.0)));
        }
        slot.turn_to(Stage::Running);
        slot.link.pause(false);
        Ok(Answer::Node(node))
    }

    /// Asks the coordinator to drain a node; its answer comes as a signal. False: the request was refused, and the asker,
    /// if there is one, was told.
    pub(super) fn drain(&mut self, node: NodeId, asker: Option<Asker>) -> bool {
        match self.may_drain(node) {
            Ok(incarnation) => {
                let tx = self.ground.tx.clone();
                // A world that has ended drops the news.
                let reply =
                    move |drained| drop(tx.send(Signal::Drained { node, incarnation, drained, asker }));
                self.coordinator.drain(incarnation, Box::new(reply));
                true
            }
            Err(refused) => {
                tracing::info!(node = node.0, %refused, "the node is not drained");
                asker.into_iter().for_each(|asker| asker.refuse(refused.clone()));
                false
            }
        }
    }

    /// The incarnation to drain.
    fn may_drain(&mut self, node: NodeId) -> Result<u64, Refused> {
        let stage = self.slot(node)?.stage();
        match stage {
            Stage::Draining | Stage::Leaving => return Err(Refused::draining(node)),
            Stage::Paused => {
                return Err(Refused::new("paused", format!("node {} is paused: resume it first", node.0)));
            }
            Stage::Running => {}
        }
        self.not_the_last(node)?;
        let slot = self.slot(node)?;
        slot.turn_to(Stage::Draining);
        Ok(slot.member.incarnation)
    }

    pub(super) fn on_drained(
        &mut self,
        node: NodeId,
        incarnation: u64,
        drained: Result<bool, CallError>,
        asker: Option<Asker>,
    ) {
        let rolls = self.rollout.at_work() == Some(node);
        let refused = match drained {
            Ok(true) => None,
            // It was removed. It will find out, end and start again, which restarts it as well.
            Ok(false) if rolls => None,
            Ok(false) => Some(Refused::new("node_down", format!("node {} was removed just now", node.0))),
            Err(error) => Some(Refused::new("storage", error.to_string())),
        };
        if refused.is_some() {
            if let Some(slot) = self.running.life(node, incarnation)
                && slot.stage() == Stage::Draining
            {
                slot.turn_to(Stage::Running);
            }
            if rolls {
                self.end_rollout(node);
            }
        }
        if let Some(asker) = asker {
            match refused {
                None => asker.answer(Answer::Node(node)),
                Some(refused) => asker.refuse(refused),
            }
        }
    }

    fn slot(&mut self, node: NodeId) -> Result<&mut Slot, Refused> {
        let knows = self.starts.knows(node);
        self.running.get_mut(node).ok_or_else(|| match knows {
            true => Refused::new("node_down", format!("node {} does not run", node.0)),
            false => Refused::new("unknown_node", format!("there is no node {}", node.0)),
        })
    }

    fn not_the_last(&self, node: NodeId) -> Result<(), Refused> {
        let elsewhere = || self.view.members.iter().any(|m| m.node != node && !m.draining);
        let can_spare = match self.base.as_cluster() {
            Some(_) => elsewhere(),
            None => self.running.can_spare(node),
        };
        if can_spare {
            return Ok(());
        }
        let text = format!("no other node could take over from node {}: add one first", node.0);
        Err(Refused::new("last_node", text))
    }

    pub(super) fn status(&self) -> WorldStatus {
        let node = |node: NodeId| {
            let slot = self.running.get(node);
            let state = match slot.map(|slot| (slot.stage(), slot.link.is_ready())) {
                Some((Stage::Paused, _)) => NodeState::Paused,
                Some((Stage::Draining | Stage::Leaving, _)) => NodeState::Draining,
                Some((Stage::Running, true)) => NodeState::Up,
                Some((Stage::Running, false)) => NodeState::Starting,
                None if self.starts.is_planned(node) => NodeState::Restarting,
                None => NodeState::Down,
            };
            let counters = slot.map(|slot| slot.link.counters()).unwrap_or_default();
            NodeStatus {
                node,
                incarnation: slot.map_or(0, |slot| slot.member.incarnation),
                address: format!("{}/ws/{}", self.ground.address, node.0),
                state,
                member: self.view.members.iter().any(|m| m.node == node),
                sessions: counters.sessions,
                reals: counters.reals,
                ghosts: counters.ghosts,
                chunks: counters.chunks,
            }
        };
        WorldStatus {
            epoch: self.view.epoch.0,
            nodes: self.starts.known().map(node).collect(),
            rollout: self.rollout.left(),
        }
    }
}
