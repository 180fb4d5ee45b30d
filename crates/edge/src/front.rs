//! The front of a process: its one listener, with the page, health, metrics, the operators' routes, and the WebSocket of every node.
//! Operators may have a second listener of their own.
//!
//! `/ws/2` is the edge of node 2, and `/ws` is that of any node that takes clients. Each [`Edge`](crate::Edge) registers here
//! when it starts and unregisters when it ends, so the page and its origin stay the same whichever nodes run. Start at
//! [`Front::bind`]; `door` has the listener and the routes, `access` says who may come in.

mod access;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use gundo_tls::{OperatorTls, Role, ServerTls};
use gundo_types::{Figure, NodeId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::door::Porch;
use crate::files::{Files, Places};
use crate::listener::{Listen, Listener};
use crate::page::Page;
use crate::secure::{Certificates, Handshakes};
use crate::{EdgeFault, Shared, door};
pub use access::{Access, BadNetwork, Caller, Network};

/// Who a request's client is by its certificate, as an extension of the request: one of the world's authority, which the handshake has
/// checked. `None`: it has shown none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified(pub Option<Role>);

/// Makes all metrics of the process, in Prometheus' text format.
pub type Metrics = Box<dyn Fn() -> String + Send + Sync>;

/// The settings of a front.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// What browsers get.
    pub page: Arc<Page>,
    /// HTTP connections (before an upgrade, TLS handshakes too) at one time (default 4,096, or an eighth of the files if that is less).
    /// Beyond: new ones wait to be accepted.
    pub http_max: usize,
    /// The files that the process may open (default: any number). They bound the connections of players. Beyond: a WebSocket is closed
    /// with `full`, or gets a 503.
    pub files: Files,
    /// Who may come in (default: pages of the world itself and of this machine, and what is no page).
    pub access: Access,
    /// The certificate for players; `None` (default): they come without TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// The certificates for operators, at their own address; `None` (default): it has no TLS.
    pub operator_tls: Option<Arc<OperatorTls>>,
    /// Time between two looks at the certificate's files, ms (default 5,000).
    pub tls_look_ms: u64,
    /// How long a client may take for its TLS handshake, ms (default 10,000). Beyond: closed. How many may be in theirs at one time is
    /// `http_max`.
    pub handshake_ms: u64,
}

impl FrontSettings {
    /// The defaults, with the game's `page`.
    pub fn new(page: Arc<Page>) -> Self {
        Self {
            page,
            http_max: 4_096,
            files: Files::unlimited(),
            access: Access::default(),
            tls: None,
            operator_tls: None,
            tls_look_ms: 5_000,
            handshake_ms: 10_000,
        }
    }
}

/// A front that listens but does not answer yet, so that its port is known before any node runs.
pub struct Bound {
    listener: Listener,
    place: Listen,
}

impl Bound {
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
}

/// A running front. Dropping it closes its port; WebSocket connections belong to their edges and stay.
pub struct Front {
    hall: Arc<Hall>,
    stop: watch::Sender<bool>,
    accepting: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Front {
    /// Listens on `address`; port 0 picks a free one. Call within a tokio runtime.
    ///
    /// # Errors
    /// The address is in use, or does not belong to this machine.
    pub fn bind(address: SocketAddr) -> Result<Bound, EdgeFault> {
        Self::bind_at(&Listen::Address(address))
    }

    /// Listens at a place. A Unix socket is for programs of its user and its group; its file goes with the front. What connects to it is
    /// a proxy, and believed what it says of its clients. Call within a tokio runtime.
    ///
    /// # Errors
    /// Another program listens there, or the place cannot be had.
    pub fn bind_at(place: &Listen) -> Result<Bound, EdgeFault> {
        let (listener, place) = Listener::bind(place)?;
        Ok(Bound { listener, place })
    }

    /// Opens the front: from now on it serves the page, `metrics`, and `routes`, whose requests carry the [`Caller`] as an
    /// extension. With `private` it serves metrics and routes there instead, and health at both. Clients are refused until an
    /// edge registers. Call within a tokio runtime.
    pub fn start(
        bound: Bound,
        private: Option<Bound>,
        settings: FrontSettings,
        metrics: Metrics,
        routes: Router,
    ) -> Self {
        let places = Places::new(settings.files, settings.http_max);
        let started = AtomicBool::new(false);
        let hall = Arc::new(Hall { settings, metrics, doors: Arc::default(), places, started });
        let (stop, stopped) = watch::channel(false);
        let operators = door::operators(&hall, routes);
        let (open, bare, shut) = match private {
            Some(private) => (door::players(&hall), Router::new(), Some((private, operators))),
            None => (door::players(&hall).merge(operators.clone()), operators, None),
        };
        let patience = Duration::from_millis(hall.settings.handshake_ms);
        let tls = hall.settings.tls.clone().map(Certificates::Players);
        let operator_tls = hall.settings.operator_tls.clone().map(Certificates::Operators);
        let shake = |tls: &Certificates| Arc::new(Handshakes::new(tls.clone(), patience));
        let handshakes = tls.as_ref().map(shake);
        let shut_handshakes = operator_tls.as_ref().map(shake);
        let open = Porch { listener: bound.listener, routes: open, bare, handshakes, is_private: false };
        let mut accepting = vec![tokio::spawn(door::run(open, Arc::clone(&hall), stopped.clone()))];
        for tls in tls.into_iter().chain(operator_tls) {
            let every = Duration::from_millis(hall.settings.tls_look_ms);
            accepting.push(tokio::spawn(door::watch_files(tls, every, stopped.clone())));
        }
        if let Some((private, routes)) = shut {
            let (listener, bare) = (private.listener, routes.clone());
            let shut = Porch { listener, routes, bare, handshakes: shut_handshakes, is_private: true };
            accepting.push(tokio::spawn(door::run(shut, Arc::clone(&hall), stopped)));
        }
        Self { hall, stop, accepting: Mutex::new(accepting) }
    }

    /// Accepts nobody any more. When this returns, the port is free; WebSocket connections stay.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let accepting = std::mem::take(&mut *self.accepting.lock().unwrap_or_else(PoisonError::into_inner));
        for accepting in accepting {
            // It ends at once; if it panicked, its listener is closed as well.
            let _ = accepting.await;
        }
    }

    /// What it counts: call it about once per second.
    pub fn figures(&self) -> Box<dyn Fn() -> Vec<Figure> + Send> {
        let places = Arc::clone(&self.hall.places);
        Box::new(move || places.figures())
    }

    pub(crate) fn doors(&self) -> &Arc<Doors> {
        &self.hall.doors
    }
}

/// What the routes of a front share.
pub(crate) struct Hall {
    pub(crate) settings: FrontSettings,
    pub(crate) metrics: Metrics,
    pub(crate) doors: Arc<Doors>,
    /// The WebSockets of all nodes.
    pub(crate) places: Arc<Places>,
    /// Clients could play at some time.
    pub(crate) started: AtomicBool,
}

/// The edges of the nodes that run in this process.
#[derive(Default)]
pub(crate) struct Doors(RwLock<BTreeMap<NodeId, Arc<Shared>>>);

impl Doors {
    /// Adds an edge, in place of one of an earlier incarnation.
    pub(crate) fn open(&self, edge: &Arc<Shared>) {
        self.write(|doors| drop(doors.insert(edge.settings.node, Arc::clone(edge))));
    }

    /// Removes an edge, unless another incarnation has taken its place.
    pub(crate) fn close(&self, edge: &Arc<Shared>) {
        self.write(|doors| {
            let node = edge.settings.node;
            if doors.get(&node).is_some_and(|there| Arc::ptr_eq(there, edge)) {
                doors.remove(&node);
            }
        });
    }

    /// The edge of a node.
    pub(crate) fn of(&self, node: NodeId) -> Option<Arc<Shared>> {
        self.read(|doors| doors.get(&node).cloned())
    }

    /// The edge for a client that names no node: the one with the fewest clients, of those that take clients. If there is none, one
    /// that drains, or one that is not ready: it tells the client when to come again.
    pub(crate) fn any(&self) -> Option<Arc<Shared>> {
        let rank = |edge: &&Arc<Shared>| (edge.link.health().is_err(), !edge.is_offered(), edge.count());
        self.read(|doors| doors.values().min_by_key(rank).cloned())
    }

    /// Whether clients can play.
    ///
    /// # Errors
    /// Why not, node by node.
    pub(crate) fn health(&self) -> Result<(), String> {
        let ill: Option<Vec<String>> = self.read(|doors| {
            let why = |(node, edge): (&NodeId, &Arc<Shared>)| {
                edge.link.health().err().map(|why| format!("node {}: {why}\n", node.0))
            };
            doors.iter().map(why).collect()
        });
        match ill {
            None => Ok(()),
            Some(none) if none.is_empty() => Err("no node runs\n".to_owned()),
            Some(ill) => Err(ill.concat()),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<NodeId, Arc<Shared>>) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Arc<Shared>>)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
