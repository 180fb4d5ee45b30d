//! The door of a node: HTTP and WebSocket on one side, the node's inbox on the other.
//!
//! An edge serves the game's page, `/ws`, `/healthz` and `/metrics`. It decodes and checks every byte of a client before
//! the node sees it (size, rate, first message, silence), and keeps one bounded send queue for each client. It knows
//! nothing of the game, of entities or of players: what it cannot rebuild from a new connection it does not keep.
//!
//! Start with [`Edge::bind`]; what the edge needs of its node is [`NodeLink`]; what a node hands to its clients is a
//! batch of [`Delivery`]. Inside, `door` is HTTP on tokio up to the upgrade; from there on a socket belongs to an I/O thread
//! (`io`), which is reached by its `mailbox`. `conn` is one client, `out` its send queue.

mod bucket;
mod conn;
mod door;
mod indicators;
mod io;
mod link;
mod mailbox;
mod out;
mod page;
mod reason;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use gundo_types::{ConnId, Limits, NodeId};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use crate::mailbox::{Mail, Mailbox};
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
    /// Threads that look after the clients' sockets (default 1).
    pub io_threads: usize,
    /// Connections one of them gets before the next one gets any (default 2,000): together they cost fewer wake-ups than
    /// apart. A crowd of so many, all in sight of each other, takes about 40 % of a core.
    pub thread_fill: usize,
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
            io_threads: 1,
            thread_fill: 2_000,
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
        source: std::io::Error,
    },
    /// The system gives no threads, or no way to look after sockets.
    #[error("cannot start an I/O thread")]
    System(#[source] std::io::Error),
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

/// Who makes an HTTP request: an extension of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub SocketAddr);

/// A running edge. Cheap to clone: all clones are the same edge.
#[derive(Clone)]
pub struct Edge {
    handle: Arc<Handle>,
}

/// What all clones of an edge hold; the edge ends with the last.
struct Handle {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.post_all(|mail| mail.ended = true);
    }
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
        listen().map_err(|source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => EdgeFault::InUse { address },
            _ => EdgeFault::Listen { address, source },
        })
    }

    /// Opens the door: from now on clients are served for the node behind `link`. Indicators go to `recorder`. `routes` are
    /// served beside the edge's own; their requests carry the [`Caller`] as an extension. Call within a tokio runtime.
    ///
    /// # Errors
    /// The system gives no more threads or files.
    pub fn start(
        bound: Bound,
        settings: EdgeSettings,
        link: Arc<dyn NodeLink>,
        recorder: Arc<dyn Recorder + Send + Sync>,
        routes: axum::Router,
    ) -> Result<Self, EdgeFault> {
        let indicators = indicators::Indicators::new(recorder, settings.node);
        let threads = settings.io_threads.max(1);
        let grounds: Vec<_> =
            (0..threads).map(|_| io::Ground::new()).collect::<Result<_, _>>().map_err(EdgeFault::System)?;
        let shared = Arc::new(Shared {
            settings,
            link,
            indicators,
            started: Instant::now(),
            next_conn: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            threads: grounds.iter().map(|ground| IoThread::new(Arc::clone(&ground.mailbox))).collect(),
        });
        let (stop, stopped) = watch::channel(false);
        // From here on, whatever goes wrong, the threads that run end with the handle.
        let edge = Self { handle: Arc::new(Handle { shared: Arc::clone(&shared), stop }) };
        for (index, ground) in grounds.into_iter().enumerate() {
            let thread = io::Thread::new(index, ground, Arc::clone(&shared));
            let name = format!("gundo-io-{}", settings.node);
            Builder::new().name(name).spawn(move || thread.run()).map_err(EdgeFault::System)?;
        }
        tokio::spawn(door::run(bound.listener, shared, routes, stopped));
        Ok(edge)
    }

    /// Takes everything in `batch`, in order, and leaves it empty. Never blocks on a client.
    pub fn deliver(&self, batch: &mut Vec<Delivery>) {
        match &self.handle.shared.threads[..] {
            _ if batch.is_empty() => {}
            [only] => only.mailbox.post(|mail| mail.deliveries.append(batch)),
            threads => {
                let mut shares: Vec<Vec<_>> = threads.iter().map(|_| Vec::new()).collect();
                for delivery in batch.drain(..) {
                    shares[self.handle.shared.thread_of(delivery.conn())].push(delivery);
                }
                for (thread, mut share) in threads.iter().zip(shares).filter(|(_, s)| !s.is_empty()) {
                    thread.mailbox.post(|mail| mail.deliveries.append(&mut share));
                }
            }
        }
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.handle.shared.open.load(Ordering::Relaxed)
    }

    /// Ends as a crash would: the port is closed and every connection cut, without a word.
    pub fn kill(&self) {
        self.handle.stop.send_replace(true);
        self.handle.shared.post_all(|mail| (mail.cut_all, mail.ended) = (true, true));
    }

    /// Takes no new clients, closes everyone with `stopping`, and returns when all are gone or have had their time to read it.
    pub async fn stop(&self) {
        let shared = &self.handle.shared;
        self.handle.stop.send_replace(true);
        shared.post_all(|mail| mail.close_all = Some(Reason::Stopping));
        let patience = Duration::from_millis(shared.settings.close_ms) + Duration::from_millis(500);
        let gone = async {
            while self.connections() > 0 {
                // Connections end one by one without a word to us; the whole wait is bounded below.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(patience, gone).await;
        shared.post_all(|mail| mail.cut_all = true);
    }
}

/// What all parts of one edge share.
struct Shared {
    settings: EdgeSettings,
    link: Arc<dyn NodeLink>,
    indicators: indicators::Indicators,
    started: Instant,
    next_conn: AtomicU64,
    open: AtomicUsize,
    threads: Vec<IoThread>,
}

/// An I/O thread as others see it.
struct IoThread {
    mailbox: Arc<Mailbox>,
    /// Connections it looks after.
    open: AtomicUsize,
    /// Bytes that wait there.
    queued: AtomicUsize,
}

impl IoThread {
    fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox, open: AtomicUsize::new(0), queued: AtomicUsize::new(0) }
    }
}

impl Shared {
    /// Microseconds since the edge started.
    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// A new connection: its number, and how many there are besides.
    fn enter(&self) -> (ConnId, usize) {
        let open = |thread: &usize| self.threads[*thread].open.load(Ordering::Relaxed);
        let all = 0..self.threads.len();
        let thread = all
            .clone()
            .find(|t| open(t) < self.settings.thread_fill)
            .or_else(|| all.min_by_key(open))
            .unwrap_or(0);
        self.threads[thread].open.fetch_add(1, Ordering::Relaxed);
        let count = self.next_conn.fetch_add(1, Ordering::Relaxed);
        let id = ConnId(count * self.threads.len() as u64 + thread as u64);
        (id, self.open.fetch_add(1, Ordering::Relaxed))
    }

    /// A connection of a thread is no more.
    fn leave(&self, thread: usize) {
        self.threads[thread].open.fetch_sub(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Which thread looks after a connection.
    fn thread_of(&self, conn: ConnId) -> usize {
        conn.0 as usize % self.threads.len()
    }

    fn post_all(&self, put: impl Fn(&mut Mail)) {
        self.threads.iter().for_each(|thread| thread.mailbox.post(&put));
    }

    /// So many bytes wait at a thread's connections; the first thread tells it on.
    fn queued(&self, thread: usize, bytes: usize) {
        self.threads[thread].queued.store(bytes, Ordering::Relaxed);
        if thread == 0 {
            let queued = self.threads.iter().map(|t| t.queued.load(Ordering::Relaxed)).sum();
            self.indicators.publish(self.open.load(Ordering::Relaxed), queued);
        }
    }
}
