//! Whole worlds in tests: real nodes, real sockets on a free port, a real journal in a directory that is deleted with
//! the world.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gundo_journal::Journal;
use gundo_journal_sqlite::{Settings as JournalSettings, Synchronous};
pub use gundo_node::{Control, NodeState, NodeStatus, Page, Refused, WorldStatus};
use gundo_node::{LocalNodes, SoloSettings, WorldFault, WorldInfo};
use tempfile::TempDir;

use crate::{Rules, WorldSettings};

/// The admin token of every world in a test.
pub const ADMIN_TOKEN: &str = "for tests only";

/// A world in a test. Dropping it ends it as a crash would.
pub struct TestWorld {
    nodes: Option<LocalNodes>,
    dir: Arc<TempDir>,
}

/// What a test may change about its world.
#[derive(Clone, Debug)]
pub struct TestSettings {
    /// Nodes (default 3).
    pub nodes: u16,
    /// Seed of the world (default 1).
    pub seed: u64,
    /// Settings of the world.
    pub world: WorldSettings,
    /// Whether the journal waits for the disk (default false: a test's directory does not outlive the machine).
    pub synchronous: bool,
    /// How long a node's logic thread may hang before the node is ended, ms (default 60,000: the machine may be busy).
    pub watchdog_ms: u64,
    /// Whether panics are written to the directory `blackbox` beside the journal (default false).
    pub black_box: bool,
    /// The page for browsers (default: one that says which game and world this is).
    pub page: Option<Arc<Page>>,
}

impl Default for TestSettings {
    fn default() -> Self {
        Self {
            nodes: 3,
            seed: 1,
            world: WorldSettings::default(),
            synchronous: false,
            watchdog_ms: 60_000,
            black_box: false,
            page: None,
        }
    }
}

impl TestWorld {
    /// Starts a world of `rules` on a free port and fresh data.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(settings: &TestSettings, rules: impl FnOnce(&WorldInfo) -> Rules) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory for the world's data"));
        Self::start_in(dir, settings, rules)
    }

    /// Ends the world as a crash would and starts it again on the same data, on another port.
    ///
    /// # Panics
    /// It does not start.
    pub fn crash_and_restart(
        mut self,
        settings: &TestSettings,
        rules: impl FnOnce(&WorldInfo) -> Rules,
    ) -> Self {
        drop(self.nodes.take());
        Self::start_in(Arc::clone(&self.dir), settings, rules)
    }

    fn start_in(dir: Arc<TempDir>, settings: &TestSettings, rules: impl FnOnce(&WorldInfo) -> Rules) -> Self {
        let synchronous = if settings.synchronous { Synchronous::Full } else { Synchronous::Off };
        let journal = JournalSettings { synchronous, ..JournalSettings::default() };
        let journal =
            gundo_journal_sqlite::open(dir.path(), journal).expect("a journal in a fresh directory");
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let solo = SoloSettings {
            nodes: settings.nodes,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: Some(settings.seed),
            admin_token: Some(ADMIN_TOKEN.to_owned()),
            world: settings.world.clone(),
            watchdog_ms: settings.watchdog_ms,
            page: settings.page.clone(),
            black_box: settings.black_box.then(|| dir.path().join("blackbox")),
            ..SoloSettings::default()
        };
        let nodes = LocalNodes::start(&solo, journal, rules).expect("a world on a free port");
        Self { nodes: Some(nodes), dir }
    }

    /// Where it listens: its page, its metrics, its operators' requests, and all its nodes.
    ///
    /// # Panics
    /// It has been stopped.
    pub fn address(&self) -> SocketAddr {
        self.nodes.as_ref().expect("it runs").address()
    }

    /// The address of node `node` (from 1) for clients.
    ///
    /// # Panics
    /// It has been stopped.
    pub fn url(&self, node: u16) -> String {
        format!("ws://{}/ws/{node}", self.address())
    }

    /// A handle to its nodes.
    ///
    /// # Panics
    /// It has been stopped.
    pub fn control(&self) -> Control {
        self.nodes.as_ref().expect("it runs").control()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    /// Stops it gracefully.
    ///
    /// # Errors
    /// Not everything could be saved.
    pub fn stop(mut self) -> Result<(), WorldFault> {
        self.nodes.take().map_or(Ok(()), LocalNodes::stop)
    }
}
