//! Who looks after the nodes of a process: starts and ends them, brings them the coordinator's word, renews those that ended by
//! themselves, and does what operators ask.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gundo_edge::{Bound, Edge, EdgeFault};
use gundo_kernel::{Input, Renewal};
use gundo_types::{Epoch, NodeId, Time};

use crate::control::{Answer, NodeState, NodeStatus, Refused, Request, WorldStatus};
use crate::coordinator::{Coordinator, LocalCoordinator};
use crate::driver::Ending;
use crate::indicators::{MachineGauges, NodeGauges};
use crate::machine::Machine;
use crate::nodes::{NODES_MAX, WorldFault};
use crate::slot::{Ground, Slot};

/// How often the supervisor looks around.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How often it looks at the clock and the machine.
const LOOK_AT_MACHINE: Duration = Duration::from_secs(1);
/// How long nodes may take to save everything at a stop: a journal on a slow disk needs a while. Beyond, the world ends without,
/// as after a crash: what was acknowledged is safe.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// A node that ended by itself starts again after this time …
const RESTART_MIN: Duration = Duration::from_secs(1);
/// … and after twice as long each time, up to this, unless it lived for as long.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// How long the port of a node that ended may take to be free.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

/// What the supervisor hears.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Save everything and end.
    Stop,
    /// End at once, as a crash would.
    Kill,
    /// A node asks for something.
    Asked { node: NodeId, incarnation: u64, what: Asked },
    /// A logic thread has ended.
    Ended { node: NodeId, incarnation: u64, ending: Ending },
    /// A logic thread does not come back from what it does.
    Stuck { node: NodeId, incarnation: u64, ms: u64 },
    /// An operator asks for something.
    Control(Request, Sender<Result<Answer, Refused>>),
}

/// What a node asks for, or tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Renew {
        sent: Time,
    },
    Remove {
        epoch: Epoch,
        node: NodeId,
        incarnation: u64,
    },
    View,
    /// It has saved everything, or given everything away.
    Stopped,
}

/// A node that ended by itself.
struct Restart {
    at: Instant,
    wait: Duration,
}

/// The nodes of a process.
pub(crate) struct Supervisor {
    ground: Ground,
    machine: MachineGauges,
    gauges: NodeGauges,
    coordinator: LocalCoordinator,
    /// The view the nodes know.
    epoch: Epoch,
    slots: BTreeMap<NodeId, Slot>,
    /// Where each node listens, also those that do not run.
    addresses: BTreeMap<NodeId, SocketAddr>,
    started: BTreeMap<NodeId, Instant>,
    restarts: BTreeMap<NodeId, Restart>,
    /// Nodes to be renewed, the one at work first.
    rollout: VecDeque<NodeId>,
    /// Logic threads of nodes that were ended.
    ended: Vec<JoinHandle<()>>,
}

impl Supervisor {
    pub(crate) fn new(ground: Ground) -> Self {
        let lease = Duration::from_millis(ground.world.membership_ms());
        Self {
            machine: MachineGauges::new(&ground.recorders),
            gauges: NodeGauges::new(&ground.recorders),
            coordinator: LocalCoordinator::new(Arc::clone(&ground.journal), lease),
            ground,
            epoch: Epoch(0),
            slots: BTreeMap::new(),
            addresses: BTreeMap::new(),
            started: BTreeMap::new(),
            restarts: BTreeMap::new(),
            rollout: VecDeque::new(),
            ended: Vec::new(),
        }
    }

    /// Starts the nodes of a new process, node 1 behind the first of `bounds`.
    pub(crate) fn start(&mut self, bounds: Vec<Bound>) -> Result<(), WorldFault> {
        for (n, bound) in (1..).zip(bounds) {
            self.start_node(NodeId(n), bound)?;
        }
        self.spread_view();
        Ok(())
    }

    fn start_node(&mut self, node: NodeId, bound: Bound) -> Result<(), WorldFault> {
        let address = bound.address();
        let member = self.coordinator.join(node, "", address.port())?;
        let incarnation = member.incarnation;
        let slot = match Slot::start(&self.ground, member, bound) {
            Ok(slot) => slot,
            Err(fault) => {
                self.coordinator.leave(incarnation)?;
                return Err(fault);
            }
        };
        self.slots.insert(node, slot);
        self.addresses.insert(node, address);
        self.started.insert(node, Instant::now());
        Ok(())
    }

    /// Looks after the nodes until somebody ends the world.
    pub(crate) fn run(mut self, rx: &Receiver<Signal>) -> Result<(), WorldFault> {
        let mut next = Instant::now();
        let mut machine = Instant::now();
        let polite = loop {
            match rx.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stop) => break true,
                Ok(Signal::Kill) | Err(RecvTimeoutError::Disconnected) => break false,
                Ok(Signal::Asked { node, incarnation, what }) => self.asked(node, incarnation, what),
                Ok(Signal::Ended { node, incarnation, ending }) => self.on_ended(node, incarnation, ending),
                Ok(Signal::Stuck { node, incarnation, ms }) => self.on_stuck(node, incarnation, ms),
                Ok(Signal::Control(request, tx)) => {
                    // Who asked may have gone.
                    let _ = tx.send(self.control(request));
                }
                Err(RecvTimeoutError::Timeout) => {
                    next = Instant::now() + LOOK_AROUND;
                    self.look_around();
                    if machine <= next {
                        machine = next + LOOK_AT_MACHINE;
                        self.look_at_machine();
                    }
                }
            }
            self.spread_view();
        };
        let saved = if polite { self.stop_nodes(rx) } else { Ok(()) };
        self.end(polite && saved.is_ok());
        saved
    }

    /// Every node learns of a new view.
    fn spread_view(&mut self) {
        let Ok(view) = self.coordinator.view() else { return };
        if view.epoch != self.epoch {
            self.epoch = view.epoch;
            self.gauges.publish(&view);
            self.slots.values().for_each(|slot| slot.give(Input::View(view.clone())));
        }
    }

    fn asked(&mut self, node: NodeId, incarnation: u64, what: Asked) {
        let Some(slot) = self.slots.get(&node).filter(|s| s.member.incarnation == incarnation) else {
            return;
        };
        match what {
            Asked::Renew { sent } => {
                let renewal = match self.coordinator.renew(incarnation) {
                    Ok(true) => Renewal::Renewed,
                    Ok(false) => Renewal::Removed,
                    Err(fault) => {
                        tracing::warn!(%fault, node = node.0, "a node cannot renew its lease");
                        Renewal::Failed
                    }
                };
                slot.give(Input::Renewed { sent, renewal });
            }
            Asked::Remove { epoch, node, incarnation } => match self.coordinator.remove(epoch, incarnation) {
                Ok(true) => tracing::warn!(node = node.0, "the node was removed; the others take over"),
                Ok(false) => {}
                Err(fault) => {
                    tracing::warn!(%fault, node = node.0, "the node cannot be removed; it is tried again")
                }
            },
            Asked::View => {
                if let Ok(view) = self.coordinator.view() {
                    slot.give(Input::View(view));
                }
            }
            Asked::Stopped => self.on_drained(node),
        }
    }

    /// A node has given everything away.
    fn on_drained(&mut self, node: NodeId) {
        let Some(slot) = self.slots.remove(&node) else { return };
        if let Err(fault) = self.coordinator.leave(slot.member.incarnation) {
            tracing::warn!(%fault, node = node.0, "a row could not be deleted; the others remove it");
        }
        self.spread_view();
        tracing::info!(node = node.0, "the node is empty and ends");
        self.ended.push(slot.kill(&self.ground.mesh));
        self.renew(node);
    }

    /// The node whose turn it is in a rollout has ended: it starts again.
    fn renew(&mut self, node: NodeId) {
        if self.rollout.front() == Some(&node) {
            let wait = Duration::ZERO;
            self.restarts.insert(node, Restart { at: Instant::now(), wait });
        }
    }

    /// A logic thread has ended by itself.
    fn on_ended(&mut self, node: NodeId, incarnation: u64, ending: Ending) {
        if self.slots.get(&node).is_none_or(|s| s.member.incarnation != incarnation) {
            return;
        }
        match ending {
            Ending::Told => return,
            Ending::Fenced => {
                tracing::warn!(node = node.0, "the node was removed from the view: it starts anew")
            }
            Ending::Panicked(what) => {
                tracing::error!(
                    node = node.0,
                    what,
                    "the node ended by a bug in the engine. Nothing acknowledged is lost; please report it"
                );
            }
        }
        self.lose(node);
    }

    /// A logic thread does not come back: it is left behind, and what it does has no effect any more.
    fn on_stuck(&mut self, node: NodeId, incarnation: u64, ms: u64) {
        if self.slots.get(&node).is_none_or(|s| s.member.incarnation != incarnation) {
            return;
        }
        tracing::error!(node = node.0, ms, "the node hangs in what it does; it is ended as by a crash");
        self.lose(node);
    }

    /// Ends a node as a crash would. It is started again by and by.
    pub(crate) fn lose(&mut self, node: NodeId) {
        let Some(slot) = self.slots.remove(&node) else { return };
        self.ended.push(slot.kill(&self.ground.mesh));
        let lived = self.started.get(&node).map_or(Duration::ZERO, Instant::elapsed);
        let before = self.restarts.get(&node).map_or(Duration::ZERO, |r| r.wait);
        let wait =
            if lived > RESTART_MAX { RESTART_MIN } else { (before * 2).clamp(RESTART_MIN, RESTART_MAX) };
        self.restarts.insert(node, Restart { at: Instant::now() + wait, wait });
    }

    fn look_around(&mut self) {
        // The process may have stood still: nobody's lease runs out by that.
        if let Err(fault) = self.coordinator.pass(LOOK_AROUND) {
            tracing::warn!(%fault, "a node whose lease is over cannot be removed; it is tried again");
        }
        self.ended.retain(|thread| !thread.is_finished());
        let now = Instant::now();
        let due =
            |(node, r): (&NodeId, &Restart)| (r.at <= now && !self.slots.contains_key(node)).then_some(*node);
        let due: Vec<_> = self.restarts.iter().filter_map(due).collect();
        for node in due {
            self.restart(node);
        }
        self.go_on_rolling();
    }

    fn restart(&mut self, node: NodeId) {
        let started = self.bind(node).and_then(|bound| self.start_node(node, bound));
        let wait = self.restarts.get(&node).map_or(RESTART_MIN, |r| r.wait);
        match started {
            Ok(()) => {
                // How long it waited is remembered for the next time.
                let far = Instant::now() + RESTART_MAX;
                self.restarts.insert(node, Restart { at: far, wait });
                tracing::info!(node = node.0, "the node starts again");
            }
            Err(fault) => {
                tracing::error!(%fault, node = node.0, "the node cannot start again; it is tried later");
                let wait = (wait * 2).clamp(RESTART_MIN, RESTART_MAX);
                self.restarts.insert(node, Restart { at: Instant::now() + wait, wait });
            }
        }
    }

    /// The door of a node that starts again: its old port.
    fn bind(&self, node: NodeId) -> Result<Bound, WorldFault> {
        let address = self.addresses.get(&node).copied().unwrap_or_else(|| self.address_of(node));
        let _inside = self.ground.runtime.enter();
        let give_up = Instant::now() + PORT_PATIENCE;
        loop {
            match Edge::bind(address) {
                // The door that was there before closes when its task has ended.
                Err(EdgeFault::InUse { .. }) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                bound => return Ok(bound?),
            }
        }
    }

    /// Where a node that never ran listens: beside the others.
    fn address_of(&self, node: NodeId) -> SocketAddr {
        let (first, mut address) = self.addresses.iter().next().map_or_else(
            || (NodeId(1), SocketAddr::from(([127, 0, 0, 1], 0))),
            |(n, address)| (*n, *address),
        );
        let apart = i32::from(node.0) - i32::from(first.0);
        let port = u16::try_from(i32::from(address.port()) + apart).unwrap_or(0);
        let in_line = |(n, a): (&NodeId, &SocketAddr)| {
            i32::from(a.port()) - i32::from(n.0) == i32::from(address.port()) - i32::from(first.0)
        };
        // Ports that the system chose are not in line.
        let lined_up = self.addresses.iter().all(in_line) && self.addresses.len() > 1;
        address.set_port(if lined_up { port } else { 0 });
        address
    }

    // ---- operators -------------------------------------------------------------------------------------

    fn control(&mut self, request: Request) -> Result<Answer, Refused> {
        match request {
            Request::Nodes => Ok(Answer::World(self.status())),
            Request::Kill(node) => {
                self.running(node)?;
                self.not_the_last(node)?;
                if let Some(slot) = self.slots.remove(&node) {
                    self.ended.push(slot.kill(&self.ground.mesh));
                }
                tracing::warn!(node = node.0, "the node was killed by an operator");
                self.restarts.remove(&node);
                self.renew(node);
                Ok(Answer::Node(node))
            }
            Request::Pause(node) => {
                let slot = self.running(node)?;
                if slot.paused {
                    return Err(Refused::new("paused", format!("node {} is paused already", node.0)));
                }
                if slot.draining {
                    return Err(draining(node));
                }
                slot.paused = true;
                slot.link.pause(true);
                Ok(Answer::Node(node))
            }
            Request::Resume(node) => {
                let slot = self.running(node)?;
                if !slot.paused {
                    return Err(Refused::new("not_paused", format!("node {} is not paused", node.0)));
                }
                slot.paused = false;
                slot.link.pause(false);
                Ok(Answer::Node(node))
            }
            Request::Drain(node) => {
                if !self.rollout.is_empty() {
                    return Err(rollout());
                }
                self.drain(node)
            }
            Request::Add => self.add(),
            Request::Rollout => self.roll_out(),
        }
    }

    fn running(&mut self, node: NodeId) -> Result<&mut Slot, Refused> {
        let known = self.addresses.contains_key(&node);
        self.slots.get_mut(&node).ok_or_else(|| match known {
            true => Refused::new("node_down", format!("node {} does not run", node.0)),
            false => Refused::new("unknown_node", format!("there is no node {}", node.0)),
        })
    }

    /// Somebody else must be able to take over.
    fn not_the_last(&self, node: NodeId) -> Result<(), Refused> {
        let able = |(n, slot): (&NodeId, &Slot)| {
            *n != node && !slot.paused && !slot.draining && slot.link.is_ready()
        };
        if self.slots.iter().any(able) {
            return Ok(());
        }
        let text = format!("no other node could take over from node {}: add one first", node.0);
        Err(Refused::new("last_node", text))
    }

    fn drain(&mut self, node: NodeId) -> Result<Answer, Refused> {
        let slot = self.running(node)?;
        if slot.draining {
            return Err(draining(node));
        }
        if slot.paused {
            return Err(Refused::new("paused", format!("node {} is paused: resume it first", node.0)));
        }
        let incarnation = slot.member.incarnation;
        self.not_the_last(node)?;
        self.coordinator.drain(incarnation).map_err(storage)?;
        self.running(node)?.draining = true;
        Ok(Answer::Node(node))
    }

    fn add(&mut self) -> Result<Answer, Refused> {
        let free = (1..=NODES_MAX).map(NodeId).find(|n| !self.slots.contains_key(n));
        let node = free.ok_or_else(|| {
            Refused::new("too_many_nodes", format!("a process runs {NODES_MAX} nodes at most"))
        })?;
        let bound = self.bind(node).map_err(|fault| Refused::new("port", fault.to_string()))?;
        self.start_node(node, bound).map_err(storage)?;
        self.restarts.remove(&node);
        Ok(Answer::Node(node))
    }

    fn roll_out(&mut self) -> Result<Answer, Refused> {
        if !self.rollout.is_empty() {
            return Err(rollout());
        }
        if let Some((node, slot)) = self.slots.iter().find(|(_, s)| s.paused || s.draining) {
            let doing = if slot.paused { "paused" } else { "draining" };
            let text = format!("node {} is {doing}: a rollout begins with a whole world", node.0);
            return Err(Refused::new("not_whole", text));
        }
        if self.slots.len() < 2 {
            let text = "a world of one node cannot be renewed without a pause: add one first";
            return Err(Refused::new("last_node", text));
        }
        self.rollout = self.slots.keys().copied().collect();
        let first = self.rollout.front().copied().expect("there are two");
        self.drain(first).inspect_err(|_| self.rollout.clear())
    }

    /// The node at work in a rollout: drained, started again, up; then the next.
    fn go_on_rolling(&mut self) {
        let Some(node) = self.rollout.front().copied() else { return };
        let Some(slot) = self.slots.get(&node) else { return self.renew_if_lost(node) };
        if slot.draining || !slot.link.is_ready() {
            return;
        }
        self.rollout.pop_front();
        self.restarts.remove(&node);
        tracing::info!(node = node.0, "the node is renewed");
        if let Some(next) = self.rollout.front().copied()
            && let Err(refused) = self.drain(next)
        {
            // Paused, or the last that runs: somebody interferes. The others are renewed when the rollout is asked for again.
            tracing::warn!(node = next.0, %refused, "the rollout ends here");
            self.rollout.clear();
        }
    }

    fn renew_if_lost(&mut self, node: NodeId) {
        if !self.restarts.contains_key(&node) {
            self.renew(node);
        }
    }

    fn status(&self) -> WorldStatus {
        let view = self.coordinator.view().unwrap_or_default();
        let node = |(node, address): (&NodeId, &SocketAddr)| {
            let slot = self.slots.get(node);
            let state = match slot {
                Some(slot) if slot.paused => NodeState::Paused,
                Some(slot) if slot.draining => NodeState::Draining,
                Some(slot) if slot.link.is_ready() => NodeState::Up,
                Some(_) => NodeState::Starting,
                None if self.restarts.contains_key(node) => NodeState::Restarting,
                None => NodeState::Down,
            };
            let counters = slot.map(|slot| slot.link.counters()).unwrap_or_default();
            let incarnation = slot.map_or(0, |slot| slot.member.incarnation);
            NodeStatus {
                node: *node,
                incarnation,
                address: *address,
                state,
                member: view.members.iter().any(|m| m.node == *node),
                sessions: counters.sessions,
                reals: counters.reals,
                ghosts: counters.ghosts,
                chunks: counters.chunks,
            }
        };
        WorldStatus {
            epoch: view.epoch.0,
            nodes: self.addresses.iter().map(node).collect(),
            rollout: self.rollout.iter().copied().collect(),
        }
    }

    // ---- the machine, the end --------------------------------------------------------------------------

    fn look_at_machine(&self) {
        self.ground.clock.adjust();
        self.machine.publish(&Machine::read());
        self.ground.recorders.upkeep();
        self.ground.disk.publish(self.ground.journal.room());
    }

    /// Has every node save everything and tell its clients. Nodes go on answering each other until all have saved.
    fn stop_nodes(&mut self, rx: &Receiver<Signal>) -> Result<(), WorldFault> {
        let deadline = Instant::now() + STOP_PATIENCE;
        for slot in self.slots.values() {
            slot.link.pause(false);
            slot.give(Input::Stop);
        }
        let mut running: Vec<_> = self.slots.keys().copied().collect();
        while !running.is_empty() {
            match rx.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Signal::Asked { node, what: Asked::Stopped, .. }) => running.retain(|n| *n != node),
                Ok(Signal::Asked { node, incarnation, what }) => self.asked(node, incarnation, what),
                // What it held the others have, or the journal.
                Ok(Signal::Ended { node, .. } | Signal::Stuck { node, .. }) => running.retain(|n| *n != node),
                Ok(Signal::Control(_, tx)) => {
                    let _ = tx.send(Err(Refused::new("stopped", "this world is stopping")));
                }
                Ok(Signal::Stop) => {}
                Ok(Signal::Kill) | Err(_) => return Err(WorldFault::StopTimeout),
            }
            self.spread_view();
        }
        Ok(())
    }

    /// Ends all nodes. `polite`: clients are told, and the rows are deleted.
    fn end(self, polite: bool) {
        let Self { ground, slots, coordinator, .. } = self;
        let mut rows = Vec::new();
        let mut threads = Vec::new();
        if polite {
            ground.runtime.block_on(async {
                for slot in slots.values() {
                    slot.edge.stop().await;
                }
            });
        }
        for slot in slots.into_values() {
            rows.push(slot.member.incarnation);
            threads.push(slot.kill(&ground.mesh));
        }
        // A thread that is stuck in the game's code never ends: it is left behind, and with it what it holds.
        let give_up = Instant::now() + PORT_PATIENCE;
        while threads.iter().any(|t| !t.is_finished()) && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(1));
        }
        if polite {
            for incarnation in rows {
                if let Err(fault) = coordinator.leave(incarnation) {
                    tracing::warn!(%fault, "a row stays in the journal's members; it does no harm");
                }
            }
        }
        ground.runtime.shutdown_background();
    }
}

fn draining(node: NodeId) -> Refused {
    Refused::new("draining", format!("node {} is being drained", node.0))
}

fn rollout() -> Refused {
    Refused::new("rollout", "a rollout is under way: wait for its end")
}

fn storage(fault: impl std::fmt::Display) -> Refused {
    Refused::new("storage", fault.to_string())
}
