//! The nodes of one world that run in this process, from start to graceful stop. In solo these are all nodes of the world.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use gundo_coordinator::CallError;
use gundo_edge::{EdgeFault, Listen, Page};
use gundo_journal::{Fault, Journal, MemoryFirst};
use gundo_kernel::game::Rules;
use gundo_kernel::{WorldSecret, WorldSettings};
use gundo_types::{NodeId, WorldTime};

use crate::base::{Base, Place};
use crate::blackbox::{BlackBox, Reason};
use crate::blame::Blames;
use crate::bound::{Bound, NoteFault, known_time};
use crate::clock::Clock;
use crate::control::Control;
use crate::entrance::{Entrance, is_development};
use crate::indicators::Recorders;
use crate::marks::Marks;
use crate::mesh::Mesh;
use crate::settings::{SoloSettings, WorldInfo};
use crate::slot::Ground;
use crate::storage::DiskGauge;
use crate::supervisor::{Signal, Supervisor};
use crate::unsaved::Unsaved;
use crate::watchdog::{Stuck, Watchdog};

/// Nodes in one process.
pub(crate) const NODES_MAX: u16 = 64;

/// Why a world did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorldFault {
    /// The settings are invalid.
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
    /// The given seed is not that of the existing world.
    #[error(
        "this world was made with seed {found}: start it without --seed, or choose another directory with --data for a new world"
    )]
    OtherSeed {
        /// The world's seed.
        found: u64,
    },
    /// The process cannot listen, or an edge could not open.
    #[error(transparent)]
    Edge(#[from] EdgeFault),
    /// The journal's notes about the world are invalid.
    #[error(
        "the journal notes {found:?} as the world's {key}, which is not a number: restore a backup of the data directory"
    )]
    Note {
        /// The key of the note.
        key: &'static str,
        /// The note.
        found: String,
        /// Why.
        source: std::num::ParseIntError,
    },
    /// The journal's note of the world's secret is invalid.
    #[error("the journal's note of the world's secret is damaged: restore a backup of the data directory")]
    Secret,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] Fault),
    /// The coordinator of a cluster cannot be used.
    #[error("{0}")]
    Coordinator(String),
    /// A member that runs would not take this node.
    #[error("node {by} at {at} does not take this node: {why}")]
    NotTaken {
        /// The member.
        by: u16,
        /// Its address.
        at: String,
        /// What it says.
        why: String,
    },
    /// The nodes could not join.
    #[error("the nodes cannot join: {0}")]
    Join(#[from] CallError),
    /// The operating system refuses threads, random numbers or the like.
    #[error("cannot start: {0}")]
    System(String),
    /// The stop could not save everything.
    #[error("{0}")]
    Unsaved(Unsaved),
}

/// This process' nodes of one world. Dropping them ends them as a crash would; [`stop`](Self::stop) ends them gracefully.
pub struct LocalNodes {
    place: Listen,
    info: WorldInfo,
    stopper: Stopper,
    /// The thread that waits for the end takes it.
    supervisor: Option<JoinHandle<Result<After, WorldFault>>>,
}

/// What comes after the end of a process' nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Over,
    /// An operator wants the process to start again, from the program's file as it is now.
    Again,
}

/// A handle that stops a process' nodes.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Signal>);

impl Stopper {
    /// Starts a graceful stop; [`LocalNodes::wait`] returns when it is done. In a cluster the node first hands everything to the others.
    pub fn stop(&self) {
        // Nodes that have ended need no stop.
        let _ = self.0.send(Signal::Stop);
    }

    /// The same, but the node hands nothing over: for the end of a whole cluster.
    pub fn save(&self) {
        let _ = self.0.send(Signal::Save);
    }
}

impl LocalNodes {
    /// Starts nodes on `journal`. `rules` makes the game for the world in it, or for the new one.
    ///
    /// # Errors
    /// The settings, the journal, the address or the system do not allow it.
    pub fn start(
        settings: &SoloSettings,
        journal: Arc<dyn Journal>,
        rules: impl FnOnce(&WorldInfo) -> Rules,
    ) -> Result<Self, WorldFault> {
        Self::start_on(settings, journal, rules, None)
    }

    /// Starts one node of a world that runs in many processes. `place` makes the node's place for the name of the game; of the
    /// settings, `nodes` does not count.
    ///
    /// # Errors
    /// As [`start`](Self::start); the coordinator cannot be used, or a member does not take the node.
    pub fn start_in_cluster(
        settings: &SoloSettings,
        journal: Arc<dyn Journal>,
        rules: impl FnOnce(&WorldInfo) -> Rules,
        place: Place,
    ) -> Result<Self, WorldFault> {
        Self::start_on(settings, journal, rules, Some(place))
    }

    fn start_on(
        settings: &SoloSettings,
        journal: Arc<dyn Journal>,
        rules: impl FnOnce(&WorldInfo) -> Rules,
        place: Option<Place>,
    ) -> Result<Self, WorldFault> {
        check(settings)?;
        let info = settle(settings, journal.as_ref())?;
        let known = known_time(journal.as_ref())?;
        let rules = Arc::new(rules(&info));
        journal.set_memory_first(MemoryFirst::new(rules.events_in_memory_first().iter().copied()));
        let secret = settle_secret(journal.as_ref())?;
        let game = journal.settle("game", rules.name())?;
        if game != rules.name() {
            return Err(WorldFault::OtherGame { found: game, expected: rules.name().to_owned() });
        }
        let runtime = io_runtime(settings).map_err(system)?;
        let entrance = Entrance::bind(settings, &runtime)?;
        let (place_of_front, players_max) = (entrance.place().clone(), entrance.players_max());
        let nodes: Vec<NodeId> = match &place {
            Some(place) => vec![place.node],
            None => (1..=settings.nodes).map(NodeId).collect(),
        };
        let site = place.as_ref().map(|place| place.site.clone()).unwrap_or_default();
        let base = match place {
            Some(place) => Base::cluster(&journal, place)?,
            None => Base::solo(&journal, info.settings.membership_ms())?,
        };
        let forward_max_ms = settings.clock_forward_max_ms;
        let clock = Arc::new(Clock::new(settings.wall.clone(), info.created_ms, known, forward_max_ms));
        let bound = begin_bound(journal.as_ref(), &base, &clock, known)?;
        let (tx, rx) = channel();
        let control = Control(tx.clone());
        let recorders = Recorders::new().map_err(system)?;
        let black_box = Arc::new(BlackBox::open(settings.black_box.clone()).map_err(system)?);
        let (marks, aborted) = Marks::open(settings.running.as_deref()).map_err(system)?;
        let blames =
            Arc::new(Blames::open(&journal, &aborted, base.as_cluster().map(|cluster| cluster.node))?);
        let placeholder = || Arc::new(Page::placeholder(rules.name(), &info.seed.to_string()));
        let page = settings.page.clone().unwrap_or_else(placeholder);
        let ground = Ground {
            front: entrance.open(settings, &runtime, page, recorders.clone(), control),
            address: place_of_front.to_string(),
            advertise: settings.advertise.clone(),
            site,
            world: Arc::new(bounded(&info.settings, players_max)),
            secret,
            io_threads: (settings.io_threads / nodes.len()).max(1),
            rules,
            journal,
            runtime,
            clock,
            disk: Arc::new(DiskGauge::new(&recorders)),
            recorders,
            mesh: Arc::new(Mesh::default()),
            tx: tx.clone(),
            watchdog: watch(settings.watchdog_ms, Arc::clone(&black_box), tx.clone())?,
            black_box: Arc::clone(&black_box),
            marks: Arc::new(marks),
            blames,
            explains: settings.explains.unwrap_or_else(|| is_development(settings)),
        };
        let mut supervisor = Supervisor::new(ground, base, bound)?;
        if let Err(fault) = supervisor.start(nodes.into_iter()) {
            supervisor.end(false);
            return Err(fault);
        }
        let reports = black_box;
        let run = move || {
            let ended = supervisor.run(&rx);
            reports.flush();
            ended
        };
        let supervisor = Builder::new().name("gundo-supervisor".into()).spawn(run).map_err(system)?;
        Ok(Self { place: place_of_front, info, stopper: Stopper(tx), supervisor: Some(supervisor) })
    }

    /// Where it listens.
    pub fn place(&self) -> &Listen {
        &self.place
    }

    /// The address it listens on.
    ///
    /// # Panics
    /// It listens on a Unix socket.
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Listen::Address(address) => *address,
            Listen::Socket(path) => panic!("{} is no address", path.display()),
        }
    }

    /// The description of the world.
    pub fn info(&self) -> &WorldInfo {
        &self.info
    }

    /// A handle to the nodes.
    pub fn control(&self) -> Control {
        Control(self.stopper.0.clone())
    }

    /// A handle that stops the nodes.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops the nodes: saves everything, tells clients, closes the journal.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn stop(self) -> Result<(), WorldFault> {
        self.stopper.stop();
        self.wait().map(drop)
    }

    /// Waits until the nodes have ended.
    ///
    /// # Errors
    /// The reason they ended, if nobody stopped them or the stop did not save everything.
    pub fn wait(mut self) -> Result<After, WorldFault> {
        self.join()
    }

    fn join(&mut self) -> Result<After, WorldFault> {
        let Some(supervisor) = self.supervisor.take() else { return Ok(After::Over) };
        supervisor.join().unwrap_or_else(|_| Err(WorldFault::System("a bug in the driver".into())))
    }
}

impl Drop for LocalNodes {
    fn drop(&mut self) {
        // Nodes that have ended take no signals, and have reported how they ended.
        let _ = self.stopper.0.send(Signal::Kill);
        let _ = self.join();
    }
}

/// The settings of a node that has files for so many players: it holds no more places.
fn bounded(settings: &WorldSettings, players_max: usize) -> WorldSettings {
    let mut settings = settings.clone();
    settings.limits.connections_max = settings.limits.connections_max.min(players_max);
    settings
}

/// The bound of world time before anything runs.
fn begin_bound(
    journal: &dyn Journal,
    base: &Base,
    clock: &Clock,
    known: WorldTime,
) -> Result<Bound, WorldFault> {
    // Among others the clock of this machine has no say: the node takes over theirs.
    let from = if base.as_cluster().is_some() { known } else { clock.now().world };
    Ok(Bound::begin(journal, from)?)
}

/// Writes a black box for a node that hangs, then has the supervisor end it.
fn watch(limit_ms: u64, black_box: Arc<BlackBox>, tx: Sender<Signal>) -> Result<Watchdog, WorldFault> {
    let on_stuck = move |Stuck { link, ms }: Stuck| {
        let (node, incarnation) = link.me;
        black_box.report(&link, Reason::Stuck { ms }, None, link.counters());
        // A world that has ended drops the news.
        let _ = tx.send(Signal::Stuck { node, incarnation, ms });
    };
    Watchdog::start(limit_ms, on_stuck).map_err(system)
}

fn check(settings: &SoloSettings) -> Result<(), WorldFault> {
    let bad = |what: String| Err(WorldFault::Settings(what));
    if !(1..=NODES_MAX).contains(&settings.nodes) {
        return bad(format!("a process runs 1 to {NODES_MAX} nodes, not {}", settings.nodes));
    }
    let WorldSettings { tick_ms, sight_chunks: [near, middle, far], tier_ticks, tract_chunks, .. } =
        settings.world;
    if !(10..=10_000).contains(&tick_ms) {
        return bad(format!("tick_ms is 10 to 10,000, not {tick_ms}"));
    }
    let piece_bytes_max = settings.world.piece_bytes_max;
    if !(1_024..=512 * 1_024).contains(&piece_bytes_max) {
        return bad(format!("piece_bytes_max is 1,024 to 524,288, not {piece_bytes_max}"));
    }
    if near > middle || middle > far || far > 16 {
        return bad("sight_chunks are three growing numbers up to 16".into());
    }
    if tier_ticks.contains(&0) || tract_chunks == 0 || settings.io_threads == 0 {
        return bad("tier_ticks, tract_chunks and io_threads are at least 1".into());
    }
    if settings.socket.is_some() && settings.tls.is_some() {
        return bad("a Unix socket is for a proxy, which has the certificate: leave `tls` out, or listen on an address".into());
    }
    if settings.admin_tls.is_some() && settings.admin_listen.is_none() {
        return bad("admin_tls needs admin_listen: the address for operators".into());
    }
    if settings.watchdog_ms < 200 {
        return bad(format!("watchdog_ms is at least 200, not {}", settings.watchdog_ms));
    }
    Ok(())
}

/// The world that the journal describes; a missing note is settled now, permanently.
fn settle(settings: &SoloSettings, journal: &dyn Journal) -> Result<WorldInfo, WorldFault> {
    let number = |key: &'static str, value: u64| {
        let found = journal.settle(key, &value.to_string())?;
        found.parse::<u64>().map_err(|source| WorldFault::Note { key, found, source })
    };
    let chance = getrandom::u64().map_err(system)?;
    // 32 bits are easy to read aloud, and make more islands than anyone will see.
    let seed = number("seed", settings.seed.unwrap_or(chance >> 32))?;
    if settings.seed.is_some_and(|wanted| wanted != seed) {
        return Err(WorldFault::OtherSeed { found: seed });
    }
    let created_ms = number("created_ms", settings.wall.ms())?;
    Ok(WorldInfo { seed, created_ms, settings: settings.world.clone() })
}

/// The id of the world in the journal, as hexadecimal digits: the one that clients are told. A new world gets one.
///
/// # Errors
/// The journal fails, or its note is damaged.
pub fn settle_world_id(journal: &dyn Journal) -> Result<String, WorldFault> {
    Ok(hex(&settle_secret(journal)?.world_id()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The world's secret, as 64 hexadecimal digits in the journal: a backup has it too, so a world that was restored knows its players.
fn settle_secret(journal: &dyn Journal) -> Result<WorldSecret, WorldFault> {
    const KEY: &str = "secret";
    let mut drawn = [0; 32];
    getrandom::fill(&mut drawn).map_err(system)?;
    let found = journal.settle(KEY, &hex(&drawn))?;
    read_secret(&found).ok_or(WorldFault::Secret)
}

fn read_secret(text: &str) -> Option<WorldSecret> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(WorldSecret::new(bytes))
}

impl From<NoteFault> for WorldFault {
    fn from(fault: NoteFault) -> Self {
        match fault {
            NoteFault::Journal(fault) => Self::Journal(fault),
            NoteFault::Number { key, found, source } => Self::Note { key, found, source },
        }
    }
}

/// The threads that accept and speak HTTP.
fn io_runtime(settings: &SoloSettings) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(settings.io_threads).thread_name("gundo-io").enable_all().build()
}

pub(crate) fn system(error: impl std::fmt::Display) -> WorldFault {
    WorldFault::System(error.to_string())
}

#[cfg(test)]
mod tests {
    use gundo_journal::MemoryJournal;

    use super::*;

    #[test]
    fn a_world_keeps_its_secret() {
        let (one, other) = (MemoryJournal::new(), MemoryJournal::new());
        let secret = settle_secret(&one).expect("it is drawn");
        assert_eq!(settle_secret(&one).expect("it is there"), secret);
        assert_ne!(settle_secret(&other).expect("it is drawn"), secret);
        for damaged in ["", "00", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            one.set_meta("secret", damaged).expect("in memory");
            assert!(matches!(settle_secret(&one), Err(WorldFault::Secret)), "{damaged}");
        }
    }
}
