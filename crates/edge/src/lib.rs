//! The door of a node: HTTP and WebSocket on one side, the node's inbox on the other.
//!
//! An edge serves the game's page, `/ws`, `/healthz` and `/metrics`. It decodes and checks every byte of a client before
//! the node sees it (size, rate, first message, silence), and keeps one bounded send queue for each client. It knows
//! nothing of the game, of entities or of players: what it cannot rebuild from a new connection it does not keep.
//!
//! Start with [`Edge::bind`]; what the edge needs of its node is [`NodeLink`]; what a node hands to its clients is a
//! batch of [`Delivery`]. Inside, `conn` is one client, `out` its send queue, `flush` the tasks that write.

mod bucket;
mod conn;
mod door;
mod flush;
mod indicators;
mod link;
mod out;
mod page;
mod reason;
mod sweep;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_types::{ConnId, Limits, NodeId};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

pub use link::{Delivery, NodeLink, Urgency};
pub use metrics::Recorder;
pub use reason::Reason;

/// What makes one edge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeSettings {
    /// The node behind it.
    pub node: NodeId,
    /// Limits on clients.
    pub limits: Limits,
    /// How long a connection may stay without its first Hello, ms (default 10,000). Beyond: closed with `hello_timeout`.
    pub hello_ms: u64,
    /// How long a client may be silent, ms (default 60,000). Beyond: closed with `idle`. A living client answers pings.
    pub idle_ms: u64,
    /// Time between two WebSocket pings to a client, ms (default 20,000). They keep quiet clients and the boxes between alive
    /// and measure the round trip.
    pub ping_ms: u64,
    /// How long a closed client gets to read why, ms (default 2,000). Beyond: the connection is cut.
    pub close_ms: u64,
    /// HTTP connections (before an upgrade) at one time (default 4,096). Beyond: they wait to be accepted.
    pub http_max: usize,
}

impl EdgeSettings {
    /// The defaults for `node` with the world's `limits`.
    pub fn new(node: NodeId, limits: Limits) -> Self {
        Self {
            node,
            limits,
            hello_ms: 10_000,
            idle_ms: 60_000,
            ping_ms: 20_000,
            close_ms: 2_000,
            http_max: 4_096,
        }
    }
}

/// An edge could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EdgeFault {
    /// Somebody else listens there.
    #[error("{address} is in use by another program: stop it, or choose another address")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An edge that listens but does not answer yet: its port is known before its node runs.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A running edge. Cheap to clone: all clones are the same edge.
#[derive(Clone)]
pub struct Edge {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl Edge {
    /// Listens on `address`; port 0 chooses a free one. Call within a tokio runtime.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub fn bind(address: SocketAddr) -> Result<Bound, EdgeFault> {
        // A launch is thousands of connections at once: the system's own limit is the bound.
        const BACKLOG: u32 = 4_096;
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Connections of an earlier process in TIME_WAIT must not keep the port from a restart.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            Ok(Bound { listener, address })
        };
        listen().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => EdgeFault::InUse { address },
            _ => EdgeFault::Listen { address, source },
        })
    }

    /// Opens the door: from now on clients are served for the node behind `link`. Indicators go to `recorder`. Call within a
    /// tokio runtime.
    pub fn start(
        bound: Bound,
        settings: EdgeSettings,
        link: Arc<dyn NodeLink>,
        recorder: Arc<dyn Recorder + Send + Sync>,
    ) -> Self {
        let indicators = indicators::Indicators::new(recorder, settings.node);
        let shared = Arc::new(Shared {
            settings,
            link,
            indicators,
            started: Instant::now(),
            conns: Mutex::default(),
            next_conn: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            flushing: flush::Dirty::default(),
        });
        let (stop, stopped) = watch::channel(false);
        for _ in 0..flush::FLUSHERS {
            tokio::spawn(flush::run(Arc::clone(&shared), stopped.clone()));
        }
        tokio::spawn(sweep::run(Arc::clone(&shared), stopped.clone()));
        tokio::spawn(door::run(bound.listener, Arc::clone(&shared), stopped));
        Self { shared, stop }
    }

    /// Takes everything in `batch`, in order, and leaves it empty. Never blocks on a client.
    pub fn deliver(&self, batch: &mut Vec<Delivery>) {
        flush::deliver(&self.shared, batch);
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Takes no new clients, closes everyone with `stopping`, and returns when all are gone or have had their time to read it.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let conns: Vec<_> = locked(&self.shared.conns).values().cloned().collect();
        for conn in conns {
            conn.close(Reason::Stopping);
        }
        let patience = Duration::from_millis(self.shared.settings.close_ms) + Duration::from_millis(500);
        let gone = async {
            while self.connections() > 0 {
                // Connections end one by one without a word to us; the whole wait is bounded below.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(patience, gone).await;
        for conn in locked(&self.shared.conns).values() {
            conn.cut();
        }
    }
}

/// What all parts of one edge share.
struct Shared {
    settings: EdgeSettings,
    link: Arc<dyn NodeLink>,
    indicators: indicators::Indicators,
    started: Instant,
    conns: Mutex<HashMap<ConnId, Arc<conn::Conn>>>,
    next_conn: AtomicU64,
    open: AtomicUsize,
    flushing: flush::Dirty,
}

impl Shared {
    /// Milliseconds since the edge started.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// The lock, whoever panicked with it before: no state here is left half changed by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
