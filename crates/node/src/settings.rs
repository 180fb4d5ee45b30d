//! The settings of a world in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gundo_edge::{Access, KeyFiles, Listen, OperatorFiles, Page};
use gundo_kernel::WorldSettings;

use crate::advertise::Advertise;
use crate::clock::Wall;

/// A world in one process: nodes, address, settings. The journal and the game are passed separately.
#[derive(Clone, Debug)]
pub struct SoloSettings {
    /// Nodes, 1 to 64 (default 3): each one logic thread.
    pub nodes: u16,
    /// Where the process listens (default 127.0.0.1:7600), for browsers and for the clients of all its nodes: node 2 is at `/ws/2`, and
    /// `/ws` is any node. Port 0: any free port.
    pub listen: SocketAddr,
    /// A Unix socket to listen on instead, for a proxy on this machine (default: none). Operators need `admin_listen` then.
    pub socket: Option<PathBuf>,
    /// What clients are told of where the nodes are (default: the address they came by, and each node's path).
    pub advertise: Advertise,
    /// Where metrics and the operators' requests are served; `None` (default): where the process listens, the requests of operators
    /// from programs on this machine only.
    pub admin_listen: Option<SocketAddr>,
    /// Certificates of the world's own authority at that address; `None` (default): it has no TLS, and operators need the token.
    pub admin_tls: Option<OperatorFiles>,
    /// Who may come in.
    pub access: Access,
    /// The certificate for players; `None` (default): they come without TLS.
    pub tls: Option<KeyFiles>,
    /// Seed of a new world; `None`: random. An existing world keeps its own, and refuses to start with another.
    pub seed: Option<u64>,
    /// Threads for I/O (default: one per core, at most 8).
    pub io_threads: usize,
    /// Open files that are not for players but for operators, the journal, links to other nodes and the process itself (default 256, or
    /// half of those that the process may open). Beyond the others: newcomers are told that there is no room.
    pub files_reserved: usize,
    /// Requests with this token may list, end, drain and start nodes at `/admin`; `None` (default): no request may.
    pub admin_token: Option<String>,
    /// Directory for black boxes, one file for each panic and each node that hangs; `None` (default): none are written.
    pub black_box: Option<PathBuf>,
    /// File that says, after an abort of the process, which entity's code caused it: see [`Control::pardon`]; `None` (default):
    /// aborts are not traced. One process at a time.
    ///
    /// [`Control::pardon`]: crate::Control::pardon
    pub running: Option<PathBuf>,
    /// Whether a player hears why a rule could not do what it wanted, beside `game_error` (default: while the world listens on
    /// loopback only and was told of no proxy, that is, in development).
    pub explains: Option<bool>,
    /// A node whose logic thread stays in one turn for this long ends as after a crash, ms (default 1,000; at least 200).
    pub watchdog_ms: u64,
    /// By how much world time may go forward at a start because the wall clock says so, ms (default 604,800,000: 7 days). Beyond it goes on
    /// from where it was, and the log reports an error.
    pub clock_forward_max_ms: u64,
    /// The wall clock (default: the machine's).
    pub wall: Wall,
    /// What browsers get; `None` (default): a page that says which game and world this is.
    pub page: Option<Arc<Page>>,
    /// Settings of the world, equal on all nodes.
    pub world: WorldSettings,
}

impl Default for SoloSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            nodes: 3,
            listen: SocketAddr::from(([127, 0, 0, 1], 7600)),
            socket: None,
            advertise: Advertise::default(),
            admin_listen: None,
            admin_tls: None,
            access: Access::default(),
            tls: None,
            seed: None,
            io_threads: cores.min(8),
            files_reserved: 256,
            admin_token: None,
            black_box: None,
            running: None,
            explains: None,
            watchdog_ms: 1_000,
            clock_forward_max_ms: 7 * 24 * 3_600_000,
            wall: Wall::default(),
            page: None,
            world: WorldSettings::default(),
        }
    }
}

impl SoloSettings {
    /// Where the process listens.
    pub(crate) fn place(&self) -> Listen {
        self.socket.clone().map_or(Listen::Address(self.listen), Listen::Socket)
    }
}

/// The description of a world, for the game that runs in it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldInfo {
    /// Seed of the world: it never changes.
    pub seed: u64,
    /// Wall clock at its creation, ms since 1970: world time 0.
    pub created_ms: u64,
    /// Settings of the world.
    pub settings: WorldSettings,
}
