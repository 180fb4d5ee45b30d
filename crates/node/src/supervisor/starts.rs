//! Nodes that will start: when, where, and the progress of each start.
//!
//! A start binds the node's port, puts its inbox where its peers find it, joins, and then starts its thread and opens the
//! door. The inbox comes first because members talk to a node as soon as a view names it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_coordinator::{ANSWER_MS, CallError, Candidate};
use gundo_edge::{Bound, Edge, EdgeFault};
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
/// How long the port of a node that ended may take to be free.
const PORT_PATIENCE: Duration = Duration::from_secs(2);
/// How long the first nodes wait for an answer to a join: a little longer than the coordinator may take.
const ANSWER_PATIENCE: Duration = Duration::from_millis(ANSWER_MS + 500);
/// How long the first nodes of a process try to join a journal on a slow disk.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Starts {
    /// Where each node listens, including those that do not run.
    addresses: BTreeMap<NodeId, SocketAddr>,
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

/// A start in progress.
struct Start {
    /// The operator that asked for it; `None`: a restart.
    asker: Option<Asker>,
    phase: Phase,
}

enum Phase {
    /// Its earlier life may still use the port; that door closes when its task has ended.
    Binding {
        give_up: Instant,
    },
    Joining {
        door: Bound,
        inbox: Arc<Inbox>,
    },
}

impl Starts {
    /// Every node that runs or has run, in order, and where it listens.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> {
        self.addresses.iter().map(|(node, address)| (*node, *address))
    }

    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.addresses.contains_key(&node)
    }

    pub(super) fn is_under_way(&self, node: NodeId) -> bool {
        self.under_way.contains_key(&node)
    }

    /// Whether it will start by itself, now or later.
    pub(super) fn is_planned(&self, node: NodeId) -> bool {
        self.due.contains_key(&node) || self.is_under_way(node)
    }

    pub(super) fn wait_for_ports(&self) -> bool {
        self.under_way.values().any(|start| matches!(start.phase, Phase::Binding { .. }))
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

    /// The address for a node: its last one, or one next to the others.
    fn address_of(&self, node: NodeId) -> SocketAddr {
        if let Some(address) = self.addresses.get(&node) {
            return *address;
        }
        let (first, mut address) = self.addresses.iter().next().map_or_else(
            || (NodeId(1), SocketAddr::from(([127, 0, 0, 1], 0))),
            |(n, address)| (*n, *address),
        );
        let apart = i32::from(node.0) - i32::from(first.0);
        let port = u16::try_from(i32::from(address.port()) + apart).unwrap_or(0);
        let in_line = |(n, a): (&NodeId, &SocketAddr)| {
            i32::from(a.port()) - i32::from(n.0) == i32::from(address.port()) - i32::from(first.0)
        };
        // Ports that the system chose do not form a sequence.
        let lined_up = self.addresses.iter().all(in_line) && self.addresses.len() > 1;
        address.set_port(if lined_up { port } else { 0 });
        address
    }
}

/// The next wait after one of `waited`.
fn longer(waited: Duration) -> Duration {
    (waited * 2).clamp(RESTART_MIN, RESTART_MAX)
}

impl Supervisor {
    /// Starts the nodes of a new process, node 1 behind the first of `doors`. Waits for the coordinator.
    pub(crate) fn start(&mut self, doors: Vec<Bound>) -> Result<(), WorldFault> {
        let ready = |(n, door): (u16, Bound)| (candidate(NodeId(n), &door), door, Arc::default());
        let ready: Vec<(Candidate, Bound, Arc<Inbox>)> = (1..).zip(doors).map(ready).collect();
        for (candidate, _, inbox) in &ready {
            self.ground.mesh.join(candidate.node, inbox);
        }
        let members = self.join_first(ready.iter().map(|(candidate, ..)| candidate.clone()).collect())?;
        for (member, (_, door, inbox)) in members.into_iter().zip(ready) {
            self.start_slot(member, door, inbox)?;
        }
        Ok(())
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

    fn start_slot(&mut self, member: Member, door: Bound, inbox: Arc<Inbox>) -> Result<(), WorldFault> {
        let (node, incarnation, address) = (member.node, member.incarnation, door.address());
        let services = (&self.coordinator, self.solo.rows());
        let slot = Slot::start(&self.ground, services, member, door, inbox).inspect_err(|_| {
            // If this fails as well, its lease runs out.
            self.coordinator.leave(incarnation, Box::new(drop));
        })?;
        self.running.insert(slot);
        self.starts.addresses.insert(node, address);
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
        let binds =
            |(node, start): (&NodeId, &Start)| matches!(start.phase, Phase::Binding { .. }).then_some(*node);
        let binding: Vec<_> = self.starts.under_way.iter().filter_map(binds).collect();
        binding.into_iter().for_each(|node| self.bind(node));
    }

    fn begin_start(&mut self, node: NodeId, asker: Option<Asker>) {
        self.starts.due.remove(&node);
        let phase = Phase::Binding { give_up: Instant::now() + PORT_PATIENCE };
        self.starts.under_way.insert(node, Start { asker, phase });
        self.bind(node);
    }

    /// Tries to bind the port of a node that will start. If that works, has the node join.
    fn bind(&mut self, node: NodeId) {
        let Some(Start { asker, phase: Phase::Binding { give_up } }) = self.starts.under_way.remove(&node)
        else {
            unreachable!("only a start that binds is bound");
        };
        let bound = {
            let _inside = self.ground.runtime.enter();
            Edge::bind(self.starts.address_of(node))
        };
        let phase = match bound {
            Err(EdgeFault::InUse { .. }) if Instant::now() < give_up => Phase::Binding { give_up },
            Err(fault) => return self.on_start_failed(node, asker, "port", &fault),
            Ok(door) => {
                let inbox = Arc::default();
                self.ground.mesh.join(node, &inbox);
                let (tx, candidate) = (self.ground.tx.clone(), candidate(node, &door));
                let reply = move |joined: Result<Vec<Member>, CallError>| {
                    let joined = joined.map(|mut members| members.remove(0));
                    // A world that has ended drops the news.
                    let _ = tx.send(Signal::Joined { node, joined });
                };
                self.coordinator.join(vec![candidate], Box::new(reply));
                Phase::Joining { door, inbox }
            }
        };
        self.starts.under_way.insert(node, Start { asker, phase });
    }

    pub(super) fn on_joined(&mut self, node: NodeId, joined: Result<Member, CallError>) {
        let Some(Start { asker, phase: Phase::Joining { door, inbox } }) =
            self.starts.under_way.remove(&node)
        else {
            unreachable!("a start that joins waits for this");
        };
        let joined = joined.map_err(WorldFault::from);
        match joined.and_then(|member| self.start_slot(member, door, Arc::clone(&inbox))) {
            Ok(()) => match asker {
                Some(asker) => {
                    self.starts.forget(node);
                    asker.answer(Answer::Node(node));
                }
                None => tracing::info!(node = node.0, "the node starts again"),
            },
            Err(fault) => {
                self.ground.mesh.leave(node, &inbox);
                self.on_start_failed(node, asker, "storage", &fault);
            }
        }
    }

    /// Refuses an operator's request with `code`; tries a restart again later.
    fn on_start_failed(
        &mut self,
        node: NodeId,
        asker: Option<Asker>,
        code: &'static str,
        fault: &dyn std::error::Error,
    ) {
        if let Some(asker) = asker {
            return asker.refuse(Refused::new(code, gundo_journal::chain(fault)));
        }
        tracing::error!(fault = %gundo_journal::chain(fault), node = node.0, "cannot restart the node; trying again later");
        let life = self.starts.lives.entry(node).or_default();
        life.waited = longer(life.waited);
        self.starts.due.insert(node, Instant::now() + life.waited);
    }
}

fn candidate(node: NodeId, door: &Bound) -> Candidate {
    Candidate { node, host: String::new(), port: door.address().port() }
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

    #[test]
    fn a_node_listens_where_it_did_or_beside_the_others() {
        let mut starts = Starts::default();
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(starts.address_of(NodeId(1)), at(0));
        starts.addresses.extend([(NodeId(1), at(7_600)), (NodeId(3), at(7_602))]);
        assert_eq!(starts.address_of(NodeId(3)), at(7_602));
        assert_eq!(starts.address_of(NodeId(5)), at(7_604));
        starts.addresses.insert(NodeId(4), at(50_000));
        assert_eq!(starts.address_of(NodeId(5)), at(0), "ports that the system chose");
    }
}
