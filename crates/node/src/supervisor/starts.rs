//! Nodes that will start: when, and the progress of each start.
//!
//! A start puts the node's inbox where its peers find it, joins, and then starts its thread and opens its edge. The inbox
//! comes first because members talk to a node as soon as a view names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_coordinator::{ANSWER_MS, CallError, Candidate};
use gundo_kernel::Member;
use gundo_types::NodeId;

use super::{Signal, Supervisor};
use crate::control::{Answer, Asker, Refused};
use crate::inbox::Inbox;
use crate::nodes::{NODES_MAX, WorldFault};
use crate::slot::Slot;

/// A node that ended by itself starts again after this time …
const RESTART_MIN: Duration = Duration::from_secs(1);
/// … and after twice as long each time, up to this limit. A life longer than the limit resets the time.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// How long the first nodes wait for an answer to a join: a little longer than the coordinator may take.
const ANSWER_PATIENCE: Duration = Duration::from_millis(ANSWER_MS + 500);
/// How long the first nodes of a process try to join a journal on a slow disk.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Starts {
    /// Every node that runs or has run.
    known: BTreeSet<NodeId>,
    /// When each node last started, and how long it had waited before that after a crash.
    lives: BTreeMap<NodeId, Life>,
    /// Nodes that start later.
    due: BTreeMap<NodeId, Instant>,
    under_way: BTreeMap<NodeId, Start>,
}

#[derive(Clone, Copy, Default)]
struct Life {
    began: Option<Instant>,
    waited: Duration,
}

/// A start in progress: the node joins.
struct Start {
    /// The operator that asked for it; `None`: a restart.
    asker: Option<Asker>,
    inbox: Arc<Inbox>,
}

impl Starts {
    /// Every node that runs or has run, in order.
    pub(super) fn known(&self) -> impl Iterator<Item = NodeId> {
        self.known.iter().copied()
    }

    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.known.contains(&node)
    }

    pub(super) fn is_under_way(&self, node: NodeId) -> bool {
        self.under_way.contains_key(&node)
    }

    /// Whether it will start by itself, now or later.
    pub(super) fn is_planned(&self, node: NodeId) -> bool {
        self.due.contains_key(&node) || self.is_under_way(node)
    }

    /// A node ended by itself: plans its restart.
    pub(super) fn restart(&mut self, node: NodeId, now: Instant) {
        let life = self.lives.entry(node).or_default();
        let lived = life.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        life.waited = if lived > RESTART_MAX { RESTART_MIN } else { longer(life.waited) };
        self.due.insert(node, now + life.waited);
    }

    /// Plans a start for the supervisor's next look around.
    pub(super) fn start_now(&mut self, node: NodeId) {
        self.forget(node);
        self.due.insert(node, Instant::now());
    }

    /// Forgets the node's earlier lives and any planned restart.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.due.remove(&node);
        self.lives.entry(node).or_default().waited = Duration::ZERO;
    }
}

/// The next wait after one of `waited`.
fn longer(waited: Duration) -> Duration {
    (waited * 2).clamp(RESTART_MIN, RESTART_MAX)
}

impl Supervisor {
    /// Starts the first `count` nodes of a new process. Waits for the coordinator.
    pub(crate) fn start(&mut self, nodes: impl Iterator<Item = NodeId>) -> Result<(), WorldFault> {
        let ready: Vec<(Candidate, Arc<Inbox>)> =
            nodes.map(|node| (self.candidate(node), Arc::default())).collect();
        for (candidate, inbox) in &ready {
            self.ground.mesh.join(candidate.node, inbox);
        }
        self.is_welcome()?;
        let members = self.join_first(ready.iter().map(|(candidate, _)| candidate.clone()).collect())?;
        for (member, (_, inbox)) in members.into_iter().zip(ready) {
            self.start_slot(member, inbox)?;
        }
        Ok(())
    }

    /// In a cluster: members that run say whether they would take this process' node. Better now than when it is half in.
    fn is_welcome(&self) -> Result<(), WorldFault> {
        let Some(cluster) = self.base.as_cluster() else { return Ok(()) };
        let (tx, rx) = std::sync::mpsc::channel();
        self.coordinator.view(Box::new(move |view| drop(tx.send(view))));
        let view = rx.recv_timeout(ANSWER_PATIENCE).unwrap_or(Err(CallError::Unanswered))?;
        // The member of the same number at this address was this process in an earlier life.
        let earlier = |m: &Member| m.node == cluster.node && m.site.fabric == self.ground.site.fabric;
        // One with the same number must not be pushed out, so it is asked first.
        let mut members: Vec<_> = view.members.iter().filter(|m| !earlier(m)).collect();
        members.sort_by_key(|m| m.node != cluster.node);
        for member in members {
            match cluster.links.ask(member) {
                Some(Ok(())) => return Ok(()),
                Some(Err(why)) => {
                    let (by, at) = (member.node.0, member.site.fabric.clone());
                    return Err(WorldFault::NotTaken { by, at, why });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn candidate(&self, node: NodeId) -> Candidate {
        Candidate { node, address: self.ground.advertise.of(node), site: self.ground.site.clone() }
    }

    fn join_first(&self, candidates: Vec<Candidate>) -> Result<Vec<Member>, WorldFault> {
        let give_up = Instant::now() + JOIN_PATIENCE;
        loop {
            let (tx, rx) = std::sync::mpsc::channel();
            self.coordinator.join(candidates.clone(), Box::new(move |joined| drop(tx.send(joined))));
            match rx.recv_timeout(ANSWER_PATIENCE).unwrap_or(Err(CallError::Unanswered)) {
                Err(CallError::Unanswered) if Instant::now() < give_up => {
                    tracing::warn!("the journal is slow to let the nodes join");
                }
                joined => return Ok(joined?),
            }
        }
    }

    fn start_slot(&mut self, member: Member, inbox: Arc<Inbox>) -> Result<(), WorldFault> {
        let (node, incarnation) = (member.node, member.incarnation);
        let slot = Slot::start(&self.ground, &self.base, member, inbox).inspect_err(|_| {
            // If this fails as well, its lease runs out.
            self.coordinator.leave(incarnation, Box::new(drop));
        })?;
        self.running.insert(slot);
        self.starts.known.insert(node);
        self.starts.lives.entry(node).or_default().began = Some(Instant::now());
        Ok(())
    }

    /// Starts a node for an operator: the lowest number that neither runs nor is starting.
    pub(super) fn add(&mut self, asker: Asker) {
        let is_free = |node: &NodeId| self.running.get(*node).is_none() && !self.starts.is_under_way(*node);
        match (1..=NODES_MAX).map(NodeId).find(is_free) {
            Some(node) => self.begin_start(node, Some(asker)),
            None => {
                let text = format!("a process runs {NODES_MAX} nodes at most");
                asker.refuse(Refused::new("too_many_nodes", text));
            }
        }
    }

    pub(super) fn start_what_is_due(&mut self) {
        let now = Instant::now();
        // A node that was lost over an entity starts again once that is durable.
        let may = self.ground.blames.is_written();
        let is_due = |at: &Instant| *at <= now && may;
        let due: Vec<_> =
            self.starts.due.iter().filter(|(_, at)| is_due(at)).map(|(node, _)| *node).collect();
        due.into_iter().for_each(|node| self.begin_start(node, None));
    }

    /// Has a node join.
    fn begin_start(&mut self, node: NodeId, asker: Option<Asker>) {
        self.starts.due.remove(&node);
        let inbox = Arc::default();
        self.ground.mesh.join(node, &inbox);
        let tx = self.ground.tx.clone();
        let reply = move |joined: Result<Vec<Member>, CallError>| {
            let joined = joined.map(|mut members| members.remove(0));
            // A world that has ended drops the news.
            let _ = tx.send(Signal::Joined { node, joined });
        };
        self.starts.under_way.insert(node, Start { asker, inbox });
        self.coordinator.join(vec![self.candidate(node)], Box::new(reply));
    }

    pub(super) fn on_joined(&mut self, node: NodeId, joined: Result<Member, CallError>) {
        let Some(Start { asker, inbox }) = self.starts.under_way.remove(&node) else {
            unreachable!("a start that joins waits for this");
        };
        let joined = joined.map_err(WorldFault::from);
        match joined.and_then(|member| self.start_slot(member, Arc::clone(&inbox))) {
            Ok(()) => match asker {
                Some(asker) => {
                    self.starts.forget(node);
                    asker.answer(Answer::Node(node));
                }
                None => tracing::info!(node = node.0, "the node starts again"),
            },
            Err(fault) => {
                self.ground.mesh.leave(node, &inbox);
                self.on_start_failed(node, asker, &fault);
            }
        }
    }

    /// Refuses an operator's request; tries a restart again later.
    fn on_start_failed(&mut self, node: NodeId, asker: Option<Asker>, fault: &dyn std::error::Error) {
        if let Some(asker) = asker {
            return asker.refuse(Refused::new("storage", gundo_journal::chain(fault)));
        }
        tracing::error!(fault = %gundo_journal::chain(fault), node = node.0, "cannot restart the node; trying again later");
        let life = self.starts.lives.entry(node).or_default();
        life.waited = longer(life.waited);
        self.starts.due.insert(node, Instant::now() + life.waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(2);

    #[test]
    fn a_node_that_keeps_ending_waits_longer_each_time() {
        let mut starts = Starts::default();
        let mut now = Instant::now();
        let mut wait = |starts: &mut Starts, lived: Duration| {
            starts.lives.entry(ME).or_default().began = Some(now);
            now += lived;
            starts.restart(ME, now);
            starts.due[&ME].saturating_duration_since(now).as_secs()
        };
        let short = Duration::from_secs(5);
        let waits: Vec<_> = (0..8).map(|_| wait(&mut starts, short)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait(&mut starts, RESTART_MAX + short), 1, "it had lived for long");
        assert_eq!(wait(&mut starts, short), 2);
        starts.forget(ME);
        assert!(!starts.is_planned(ME));
        assert_eq!(wait(&mut starts, short), 1, "an operator started it");
    }
}
