//! What a world in one process is made of.

use std::net::SocketAddr;
use std::path::PathBuf;

use gundo_kernel::WorldSettings;

/// A world in one process: nodes, ports, settings. The journal and the game are handed over beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct SoloSettings {
    /// Nodes, 1 to 64 (default 3): each one logic thread.
    pub nodes: u16,
    /// Where node 1 listens (default 127.0.0.1:7600); node k listens on the port plus k−1. Port 0: each on any free port.
    pub listen: SocketAddr,
    /// Seed of a new world; `None`: by chance. An old world keeps its own; another one given is refused.
    pub seed: Option<u64>,
    /// Threads for I/O (default: one per core, at most 8).
    pub io_threads: usize,
    /// A request with it may look at the nodes, end, drain and start them, from this machine, at `/admin`; `None` (default): none may.
    pub admin_token: Option<String>,
    /// Where a file is written for each panic and each node that hangs; `None` (default): nothing is.
    pub black_box: Option<PathBuf>,
    /// Whether a player hears why a rule could not do what it wanted, beside `game_error` (default: while the world listens on
    /// loopback only, that is, in development).
    pub explains: Option<bool>,
    /// A node whose logic thread does not come back from what it does for so long is ended as by a crash, ms (default 1,000;
    /// from 200).
    pub watchdog_ms: u64,
    /// Settings of the world, equal on all nodes.
    pub world: WorldSettings,
}

impl Default for SoloSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            nodes: 3,
            listen: SocketAddr::from(([127, 0, 0, 1], 7600)),
            seed: None,
            io_threads: cores.min(8),
            admin_token: None,
            black_box: None,
            explains: None,
            watchdog_ms: 1_000,
            world: WorldSettings::default(),
        }
    }
}

/// What a game is told about the world it is to run in.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldInfo {
    /// Seed of the world: the same for as long as it lives.
    pub seed: u64,
    /// Wall clock at its creation, ms since 1970: world time 0.
    pub created_ms: u64,
    /// Settings of the world.
    pub settings: WorldSettings,
}
