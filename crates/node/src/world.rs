//! A world from start to graceful stop.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use gundo_edge::{Bound, Edge, EdgeFault, EdgeSettings, NodeLink, Urgency};
use gundo_journal::{Fault, Journal};
use gundo_kernel::game::Rules;
use gundo_kernel::{Input, Member, Node, NodeSettings, View, WorldSettings};
use gundo_types::{Epoch, NodeId};
use tokio::runtime::Runtime;

use crate::clock::{Clock, wall_ms};
use crate::driver::{Driver, Link};
use crate::fabric::{Fabric, Lost};
use crate::inbox::Inbox;
use crate::indicators::{MachineGauges, Recorders};
use crate::machine::Machine;
use crate::settings::{SoloSettings, WorldInfo};

/// How often the world looks at its clock, its machine and its members' rows.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How long nodes may take to save everything at a stop: a journal on a slow disk needs a while. Beyond, the world ends without,
/// as after a crash: what was acknowledged is safe.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Nodes in one process.
const NODES_MAX: u16 = 64;

/// Why a world did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorldFault {
    /// The settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// The data belongs to another game.
    #[error(
        "this data directory holds a world of the game {found:?}, not of {expected:?}: choose another with --data"
    )]
    OtherGame {
        /// The game of the journal.
        found: String,
        /// The game that was started.
        expected: String,
    },
    /// A seed was given for a world that has another.
    #[error(
        "this world was made with seed {found}: leave the seed away, or choose another data directory for a new world"
    )]
    OtherSeed {
        /// The world's seed.
        found: u64,
    },
    /// An edge could not be opened.
    #[error(transparent)]
    Edge(#[from] EdgeFault),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] Fault),
    /// The operating system gives no threads, no random numbers or the like.
    #[error("cannot start: {0}")]
    System(String),
    /// A node's logic thread panicked: a bug.
    #[error("node {} ended by a bug in the engine: {what}. Nothing acknowledged is lost; please report it", node.0)]
    Panicked {
        /// The node.
        node: NodeId,
        /// What the panic said.
        what: String,
    },
    /// A node takes no messages any more.
    #[error("node {} does not answer the others any more", node.0)]
    Stuck {
        /// The node.
        node: NodeId,
    },
    /// A node's row in the journal is gone: somebody else took its place.
    #[error("node {} was removed from the journal's members by another process", node.0)]
    Removed {
        /// The node.
        node: NodeId,
    },
    /// At a stop, not everything could be saved in time.
    #[error("the world did not stop in time; nothing acknowledged is lost")]
    StopTimeout,
}

/// A world that runs in this process. Dropping it ends it as a crash would; [`stop`](Self::stop) is the polite way.
pub struct RunningWorld {
    edges: Vec<SocketAddr>,
    info: WorldInfo,
    stopper: Stopper,
    /// Taken by whoever waits for the end.
    supervisor: Option<JoinHandle<Result<(), WorldFault>>>,
}

/// Stops a world from anywhere.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Signal>);

impl Stopper {
    /// Begins a graceful stop; [`RunningWorld::wait`] says when it is done.
    pub fn stop(&self) {
        // A world that has ended needs no stop.
        let _ = self.0.send(Signal::Stop);
    }
}

#[derive(Debug)]
enum Signal {
    Stop,
    /// End at once, as a crash would.
    Kill,
    /// A node has saved everything.
    Stopped,
    /// A logic thread has ended by itself.
    Failed(WorldFault),
}

impl RunningWorld {
    /// Starts a world on `journal`: `rules` makes the game for the world that is found or begun there.
    ///
    /// # Errors
    /// The settings, the journal, the ports or the system do not allow it.
    pub fn start(
        settings: &SoloSettings,
        journal: Arc<dyn Journal>,
        rules: impl FnOnce(&WorldInfo) -> Rules,
    ) -> Result<Self, WorldFault> {
        check(settings)?;
        let info = settle(settings, journal.as_ref())?;
        let rules = Arc::new(rules(&info));
        let game = settle_key(journal.as_ref(), "game", rules.name().to_owned())?;
        if game != rules.name() {
            return Err(WorldFault::OtherGame { found: game, expected: rules.name().to_owned() });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.io_threads)
            .thread_name("gundo-io")
            .enable_all()
            .build()
            .map_err(system)?;
        raise_open_files();
        let bounds = {
            let _inside = runtime.enter();
            bind(settings)?
        };
        let edges = bounds.iter().map(Bound::address).collect();
        let (tx, rx) = channel();
        let world =
            Assembly { settings, info: &info, journal: &journal, rules: &rules, runtime: &runtime, tx: &tx };
        let nodes = world.start_nodes(bounds)?;
        let parts = Parts { runtime, nodes, journal };
        let supervisor =
            Builder::new().name("gundo-world".into()).spawn(move || parts.supervise(&rx)).map_err(system)?;
        Ok(Self { edges, info, stopper: Stopper(tx), supervisor: Some(supervisor) })
    }

    /// Where each node's edge listens, in node order.
    pub fn edges(&self) -> &[SocketAddr] {
        &self.edges
    }

    /// What the world is.
    pub fn info(&self) -> &WorldInfo {
        &self.info
    }

    /// A handle to stop it with.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops it: everything is saved, clients are told, the journal is closed.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn stop(self) -> Result<(), WorldFault> {
        self.stopper.stop();
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Why it ended, if nobody stopped it or the stop did not save everything.
    pub fn wait(mut self) -> Result<(), WorldFault> {
        self.join()
    }

    fn join(&mut self) -> Result<(), WorldFault> {
        let Some(supervisor) = self.supervisor.take() else { return Ok(()) };
        supervisor.join().unwrap_or_else(|_| Err(WorldFault::System("a bug in the driver".into())))
    }
}

impl Drop for RunningWorld {
    fn drop(&mut self) {
        // A world that has ended takes no signals, and has told how it ended.
        let _ = self.stopper.0.send(Signal::Kill);
        let _ = self.join();
    }
}

fn check(settings: &SoloSettings) -> Result<(), WorldFault> {
    let bad = |what: String| Err(WorldFault::Settings(what));
    if !(1..=NODES_MAX).contains(&settings.nodes) {
        return bad(format!("a process runs 1 to {NODES_MAX} nodes, not {}", settings.nodes));
    }
    let port = settings.listen.port();
    if port != 0 && port.checked_add(settings.nodes - 1).is_none() {
        return bad(format!("{} nodes do not fit above port {port}", settings.nodes));
    }
    let WorldSettings { tick_ms, sight_chunks: [near, middle, far], tier_ticks, tract_chunks, .. } =
        settings.world;
    if !(10..=10_000).contains(&tick_ms) {
        return bad(format!("tick_ms is 10 to 10,000, not {tick_ms}"));
    }
    if near > middle || middle > far || far > 16 {
        return bad("sight_chunks are three growing numbers up to 16".into());
    }
    if tier_ticks.contains(&0) || tract_chunks == 0 || settings.io_threads == 0 {
        return bad("tier_ticks, tract_chunks and io_threads are at least 1".into());
    }
    Ok(())
}

/// What the journal notes under `key`; if nothing yet, `value`, from now on.
fn settle_key(journal: &dyn Journal, key: &str, value: String) -> Result<String, Fault> {
    match journal.meta(key)? {
        Some(found) => Ok(found),
        None => journal.set_meta(key, &value).map(|()| value),
    }
}

/// What the journal says about the world; what it does not say yet is settled now, for ever.
fn settle(settings: &SoloSettings, journal: &dyn Journal) -> Result<WorldInfo, WorldFault> {
    let number = |key: &str, value: u64| {
        let found = settle_key(journal, key, value.to_string())?;
        found.parse::<u64>().map_err(|e| Fault::new(&format!("reading {key} of the world ({found:?})"), e))
    };
    let chance = getrandom::u64().map_err(system)?;
    // 32 bits are easy to read aloud and more islands than anyone will see.
    let seed = number("seed", settings.seed.unwrap_or(chance >> 32))?;
    if settings.seed.is_some_and(|wanted| wanted != seed) {
        return Err(WorldFault::OtherSeed { found: seed });
    }
    let created_ms = number("created_ms", wall_ms())?;
    Ok(WorldInfo { seed, created_ms, settings: settings.world.clone() })
}

fn bind(settings: &SoloSettings) -> Result<Vec<Bound>, EdgeFault> {
    let address = |k: u16| {
        let mut address = settings.listen;
        if address.port() != 0 {
            address.set_port(address.port() + k);
        }
        address
    };
    (0..settings.nodes).map(|k| Edge::bind(address(k))).collect()
}

/// Each client is an open file, and the usual limit is 1,024.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // A refusal changes nothing: clients beyond the limit wait at the door.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

fn system(error: impl std::fmt::Display) -> WorldFault {
    WorldFault::System(error.to_string())
}

/// What nodes are made from.
struct Assembly<'a> {
    settings: &'a SoloSettings,
    info: &'a WorldInfo,
    journal: &'a Arc<dyn Journal>,
    rules: &'a Arc<Rules>,
    runtime: &'a Runtime,
    tx: &'a Sender<Signal>,
}

impl Assembly<'_> {
    fn start_nodes(&self, bounds: Vec<Bound>) -> Result<Nodes, WorldFault> {
        let recorders = Recorders::new().map_err(system)?;
        let clock = Arc::new(Clock::new(self.info.created_ms));
        let world = Arc::new(self.settings.world.clone());
        let ids: Vec<NodeId> = (1..=self.settings.nodes).map(NodeId).collect();
        let members = ids.iter().zip(&bounds).map(|(node, bound)| {
            let incarnation = self.journal.join(*node)?;
            Ok(Member {
                node: *node,
                incarnation,
                host: String::new(),
                port: bound.address().port(),
                weight: 1,
                draining: false,
            })
        });
        let members = members.collect::<Result<Vec<_>, Fault>>()?;
        let inboxes: Vec<_> = ids.iter().map(|node| (*node, Arc::new(Inbox::default()))).collect();
        let view = View { epoch: Epoch(1), members: members.clone() };
        let mut nodes = Nodes {
            machine: MachineGauges::new(&recorders),
            recorders: recorders.clone(),
            clock: Arc::clone(&clock),
            members,
            inboxes: inboxes.iter().map(|(_, inbox)| Arc::clone(inbox)).collect(),
            edges: Vec::new(),
            threads: Vec::new(),
        };
        for ((member, bound), (_, inbox)) in nodes.members.iter().zip(bounds).zip(&inboxes) {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(system)?;
            inbox.give(Input::View(view.clone()), Urgency::Now);
            let link = Arc::new(Link::new(Arc::clone(inbox), recorders.clone(), Arc::clone(&clock)));
            let settings = NodeSettings {
                node: member.node,
                incarnation: member.incarnation,
                seed,
                world: Arc::clone(&world),
                rules: Arc::clone(self.rules),
                planted: None,
            };
            let edge = {
                let _inside = self.runtime.enter();
                let mut settings = EdgeSettings::new(member.node, world.limits);
                settings.io_threads = (self.settings.io_threads / usize::from(self.settings.nodes)).max(1);
                Edge::start(bound, settings, Arc::clone(&link) as Arc<dyn NodeLink>, recorders.recorder())?
            };
            nodes.edges.push(edge.clone());
            let fabric = Fabric::new(member.node, &inboxes);
            let line = self.journal.line(member.node, member.incarnation, link.sink());
            let me = member.node;
            let driver = move || Driver::new(me, Node::new(settings), link, edge, fabric, line);
            nodes.threads.push(spawn_logic(me, driver, self.tx.clone())?);
        }
        Ok(nodes)
    }
}

/// Starts a logic thread. How it ends goes to the supervisor.
fn spawn_logic(
    me: NodeId,
    driver: impl FnOnce() -> Driver + Send + 'static,
    tx: Sender<Signal>,
) -> Result<JoinHandle<()>, WorldFault> {
    let run = move || {
        let tell = |signal| drop(tx.send(signal));
        // The driver is made and lost inside: nothing of it is looked at after a panic.
        let ended = catch_unwind(AssertUnwindSafe(|| driver().run(|| tell(Signal::Stopped))));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(Lost(node))) => tell(Signal::Failed(WorldFault::Stuck { node })),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let what =
                    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
                tell(Signal::Failed(WorldFault::Panicked { node: me, what: what.to_owned() }));
            }
        }
    };
    Builder::new().name(format!("gundo-{me}")).spawn(run).map_err(system)
}

/// The nodes of a world, seen from above.
struct Nodes {
    machine: MachineGauges,
    recorders: Recorders,
    clock: Arc<Clock>,
    members: Vec<Member>,
    inboxes: Vec<Arc<Inbox>>,
    edges: Vec<Edge>,
    threads: Vec<JoinHandle<()>>,
}

/// How a world is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
}

/// What the supervisor holds and takes apart in the end.
struct Parts {
    runtime: Runtime,
    nodes: Nodes,
    journal: Arc<dyn Journal>,
}

impl Parts {
    fn supervise(self, rx: &Receiver<Signal>) -> Result<(), WorldFault> {
        let polite = match self.watch(rx) {
            Ok(End::Stop) => self.stop_nodes(rx).map(|()| true),
            Ok(End::Kill) => Ok(false),
            Err(fault) => Err(fault),
        };
        let Self { runtime, nodes, journal } = self;
        nodes.inboxes.iter().for_each(|inbox| inbox.close());
        if let Ok(true) = polite {
            runtime.block_on(async {
                for edge in &nodes.edges {
                    edge.stop().await;
                }
            });
        }
        // After a failure a thread may never end: it is left behind, and with it what it holds.
        if polite.is_ok() {
            nodes.threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        if let Ok(true) = polite {
            for member in &nodes.members {
                journal.leave(member.incarnation)?;
            }
        }
        drop(nodes.edges);
        runtime.shutdown_background();
        polite.map(drop)
    }

    /// Looks after the running world until somebody ends it.
    fn watch(&self, rx: &Receiver<Signal>) -> Result<End, WorldFault> {
        let mut next = Instant::now();
        loop {
            match rx.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stop) => return Ok(End::Stop),
                Ok(Signal::Kill) | Err(RecvTimeoutError::Disconnected) => return Ok(End::Kill),
                Ok(Signal::Stopped) => {}
                Ok(Signal::Failed(fault)) => return Err(fault),
                Err(RecvTimeoutError::Timeout) => {
                    next = Instant::now() + LOOK_AROUND;
                    self.look_around()?;
                }
            }
        }
    }

    fn look_around(&self) -> Result<(), WorldFault> {
        let nodes = &self.nodes;
        nodes.clock.adjust();
        nodes.machine.publish(&Machine::read());
        nodes.recorders.upkeep();
        for member in &nodes.members {
            match self.journal.is_member(member.incarnation) {
                Ok(true) => {}
                Ok(false) => return Err(WorldFault::Removed { node: member.node }),
                // The storage has a bad moment; appends will tell.
                Err(fault) => tracing::warn!(%fault, node = member.node.0, "cannot read the row of a member"),
            }
        }
        Ok(())
    }

    /// Has every node save everything and tell its clients.
    fn stop_nodes(&self, rx: &Receiver<Signal>) -> Result<(), WorldFault> {
        let deadline = Instant::now() + STOP_PATIENCE;
        for inbox in &self.nodes.inboxes {
            inbox.give(Input::Stop, Urgency::Now);
        }
        // Nodes go on answering each other until all have saved.
        let mut running = self.nodes.inboxes.len();
        while running > 0 {
            match rx.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stopped) => running -= 1,
                Ok(Signal::Stop) => {}
                Ok(Signal::Kill) => return Err(WorldFault::StopTimeout),
                Ok(Signal::Failed(fault)) => return Err(fault),
                Err(_) => return Err(WorldFault::StopTimeout),
            }
        }
        Ok(())
    }
}
