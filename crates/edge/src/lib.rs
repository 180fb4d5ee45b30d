//! The way into a process: HTTP and WebSocket on one side, the nodes' inboxes on the other.
//!
//! A process has one [`Front`]: it listens, and serves the game's [`Page`], `/healthz`, `/metrics` and the WebSockets. Each node
//! has one [`Edge`] behind it: `/ws/2` is that of node 2, and `/ws` that of any node which takes clients. An edge decodes
//! and checks every byte of a client before the node sees it (size, rate, first message, silence), and keeps one bounded
//! send queue for each client. It knows nothing of the game, of entities or of players, and keeps nothing that it could not
//! rebuild from a new connection.
//!
//! Start with [`Front::bind`], then [`Edge::start`]. The edge needs a [`NodeLink`] to its node; the node passes messages to
//! clients as a batch of [`Delivery`]. Inside, `front` knows the edges, and `door` is HTTP on tokio up to the upgrade, `secure` what TLS is there, `files` how many connections there may be. From there
//! on an I/O thread (`io`) owns the socket; other threads reach it through its `mailbox`. `conn` is one client, `out` its
//! send queue.

mod bucket;
mod conn;
mod door;
mod files;
mod front;
mod indicators;
mod io;
mod line;
mod link;
mod listener;
mod mailbox;
mod out;
mod page;
mod reason;
mod secure;
mod stream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use gundo_tls::FileFault;
use gundo_types::{ConnId, Limits, NodeId};

use crate::front::Doors;
use crate::mailbox::{Mail, Mailbox};
pub use files::Files;
pub use front::{Access, BadNetwork, Bound, Caller, Certified, Front, FrontSettings, Metrics, Network};
pub use gundo_tls::{KeyFiles, OperatorFiles, OperatorTls, Role, ServerTls};
pub use link::{Delivery, NodeLink, Urgency};
pub use listener::Listen;

pub use metrics::Recorder;
pub use page::Page;
pub use reason::Reason;

/// The settings of one edge.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// The node behind it.
    pub node: NodeId,
    /// That node's incarnation: the numbers of connections begin with it, so that none comes twice.
    pub incarnation: u64,
    /// Limits on clients.
    pub limits: Limits,
    /// Connections beyond `connections_max` that may say hello (default 1,000): the node has places for some of them, because it holds
    /// those of players who lost their connections. Beyond: closed with `full`.
    pub greeting_max: usize,
    /// How long a connection may stay without its first Hello, ms (default 10,000). Beyond: closed with `hello_timeout`.
    pub hello_ms: u64,
    /// How long a client may be silent, ms (default 60,000). Beyond: closed with `idle`. A living client answers pings.
    pub idle_ms: u64,
    /// Time between two WebSocket pings to a client, ms (default 20,000). They keep quiet connections open through NATs and
    /// proxies, and measure the round trip.
    pub ping_ms: u64,
    /// How long a client has to read its `Closing`, ms (default 2,000). Beyond: the edge cuts the connection.
    pub close_ms: u64,
    /// Threads for the clients' sockets (default 1).
    pub io_threads: usize,
    /// Connections that fill one thread before the next one gets any (default 2,000): together they cost fewer wake-ups
    /// than apart. A crowd of that size, all in sight of each other, takes about 40 % of a core.
    pub thread_fill: usize,
}

impl EdgeSettings {
    /// The defaults for `node`, in this incarnation, with the world's `limits`.
    pub fn new(node: NodeId, incarnation: u64, limits: Limits) -> Self {
        Self {
            node,
            incarnation,
            limits,
            greeting_max: 1_000,
            hello_ms: 10_000,
            idle_ms: 60_000,
            ping_ms: 20_000,
            close_ms: 2_000,
            io_threads: 1,
            thread_fill: 2_000,
        }
    }
}

/// Why a front or an edge could not open.
#[derive(Debug, thiserror::Error)]
pub enum EdgeFault {
    /// Another program listens there.
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
    /// The Unix socket cannot be listened on.
    #[error("cannot listen on unix:{}: {source}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate is not usable.
    #[error(transparent)]
    Certificate(#[from] FileFault),
    /// The system provides no more threads, or no way to poll sockets.
    #[error("cannot start an I/O thread")]
    System(#[source] std::io::Error),
}

/// A running edge. Cheap to clone: all clones are the same edge.
#[derive(Clone)]
pub struct Edge {
    handle: Arc<Handle>,
}

/// What all clones of an edge share. Dropping the last one ends the edge.
struct Handle {
    shared: Arc<Shared>,
    doors: Arc<Doors>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.doors.close(&self.shared);
        self.shared.post_all(|mail| mail.ended = true);
    }
}

impl Edge {
    /// Opens the edge behind `front`: from now on it serves clients for the node behind `link`, and records metrics in
    /// `recorder`.
    ///
    /// # Errors
    /// The system provides no more threads or files.
    pub fn start(
        front: &Front,
        settings: EdgeSettings,
        link: Arc<dyn NodeLink>,
        recorder: Arc<dyn Recorder + Send + Sync>,
    ) -> Result<Self, EdgeFault> {
        let node = settings.node;
        let indicators = indicators::Indicators::new(recorder, node);
        let threads = settings.io_threads.max(1);
        let grounds: Vec<_> =
            (0..threads).map(|_| io::Ground::new()).collect::<Result<_, _>>().map_err(EdgeFault::System)?;
        let shared = Arc::new(Shared {
            settings,
            link,
            indicators,
            started: Instant::now(),
            next_conn: AtomicU64::new(1),
            offered: AtomicBool::new(true),
            open: AtomicUsize::new(0),
            threads: grounds.iter().map(|ground| IoThread::new(Arc::clone(&ground.mailbox))).collect(),
        });
        // From here on, even on an error, the threads that run end with the handle.
        let edge = Self {
            handle: Arc::new(Handle { shared: Arc::clone(&shared), doors: Arc::clone(front.doors()) }),
        };
        for (index, ground) in grounds.into_iter().enumerate() {
            let thread = io::Thread::new(index, ground, Arc::clone(&shared));
            let name = format!("gundo-io-{node}");
            Builder::new().name(name).spawn(move || thread.run()).map_err(EdgeFault::System)?;
        }
        front.doors().open(&shared);
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

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.handle.shared.count()
    }

    /// Whether clients that name no node may be sent here (at first yes). Those that name this node come in either way.
    pub fn offer(&self, offered: bool) {
        self.handle.shared.offered.store(offered, Ordering::Relaxed);
    }

    /// Ends as in a crash: takes no more clients and cuts every connection, without a `Closing`.
    pub fn kill(&self) {
        self.handle.doors.close(&self.handle.shared);
        self.handle.shared.post_all(|mail| (mail.cut_all, mail.ended) = (true, true));
    }

    /// Takes no more clients, closes all connections with `stopping`, and returns when all are closed or have had their
    /// time to read it.
    pub async fn stop(&self) {
        let shared = &self.handle.shared;
        self.handle.doors.close(shared);
        shared.post_all(|mail| mail.close_all = Some(Reason::Stopping));
        let patience = Duration::from_millis(shared.settings.close_ms) + Duration::from_millis(500);
        let gone = async {
            while self.connections() > 0 {
                // Nothing signals the end of a single connection, so poll the count; the whole wait is bounded below.
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
    /// See [`Edge::offer`].
    offered: AtomicBool,
    open: AtomicUsize,
    threads: Vec<IoThread>,
}

/// An I/O thread as other threads see it.
struct IoThread {
    mailbox: Arc<Mailbox>,
    /// Connections it owns.
    open: AtomicUsize,
    /// Bytes queued there.
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

    /// The number of open connections.
    fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn is_offered(&self) -> bool {
        self.offered.load(Ordering::Relaxed)
    }

    /// Registers a new connection: returns its number, and how many others are open.
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
        let id = ConnId(self.first_conn() + count * self.threads.len() as u64 + thread as u64);
        (id, self.open.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes a connection of a thread from the counts.
    fn leave(&self, thread: usize) {
        self.threads[thread].open.fetch_sub(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Where the numbers of this incarnation's connections begin: there is room for four billion.
    fn first_conn(&self) -> u64 {
        self.settings.incarnation << 32
    }

    /// The thread that owns a connection.
    fn thread_of(&self, conn: ConnId) -> usize {
        conn.0.wrapping_sub(self.first_conn()) as usize % self.threads.len()
    }

    fn post_all(&self, put: impl Fn(&mut Mail)) {
        self.threads.iter().for_each(|thread| thread.mailbox.post(&put));
    }

    /// Records how many bytes are queued on a thread; the first thread publishes the sum.
    fn queued(&self, thread: usize, bytes: usize) {
        self.threads[thread].queued.store(bytes, Ordering::Relaxed);
        if thread == 0 {
            let queued = self.threads.iter().map(|t| t.queued.load(Ordering::Relaxed)).sum();
            self.indicators.publish(self.count(), queued);
        }
    }
}
