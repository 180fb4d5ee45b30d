//! The fabric of a process: its listener, its threads, and what the node of the process sends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_fabric::{Fabric, Labelled, Sink};
use gundo_kernel::{Label, Peer};
use gundo_types::{Figure, NodeId};
use tokio::runtime::{Builder, Runtime};

use crate::accept::listen;
use crate::counters::{Counters, FabricCounts};
use crate::dial;
use crate::fault::{DialFault, FabricFault};
use crate::figures::figures;
use crate::hello::Lane;
use crate::links::{Links, PeerAddress, PeerState, PeerStatus};
use crate::settings::{FabricLimits, Identity, Settings};
use crate::tls::Tls;

/// The same complaint is logged once in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Complaints that are remembered.
const COMPLAINTS_MAX: usize = 256;
/// How long the end waits for what the threads are doing.
const END: Duration = Duration::from_millis(500);

/// What all connections of a process share.
pub(crate) struct Shared {
    pub(crate) me: Arc<Identity>,
    pub(crate) limits: FabricLimits,
    pub(crate) tls: Option<Tls>,
    pub(crate) counters: Arc<Counters>,
    links: Mutex<Option<Arc<Links>>>,
    complaints: Mutex<HashMap<String, Instant>>,
}

impl Shared {
    /// The links of the incarnation that has joined, if one has.
    pub(crate) fn links(&self) -> Option<Arc<Links>> {
        self.current().clone()
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Links>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells operators, unless they were told the same lately.
    pub(crate) fn complain(&self, text: &str) {
        let mut told = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < COMPLAIN_EVERY);
        if told.len() >= COMPLAINTS_MAX || told.insert(text.to_owned(), Instant::now()).is_some() {
            return;
        }
        tracing::warn!(node = self.me.node.0, "{text}");
    }
}

/// The fabric of a process: one node, reached by its peers at one address. Dropping it ends all of its connections.
pub struct GrpcFabric {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// There until the end.
    runtime: Option<Runtime>,
}

impl GrpcFabric {
    /// Listens. Until the node has joined, peers are refused with `not_joined`.
    ///
    /// # Errors
    /// The address is not free, or the certificates are not usable.
    pub fn start(settings: Settings) -> Result<Self, FabricFault> {
        let Settings { identity, listen: address, tls, threads, limits } = settings;
        let tls = tls.map(|files| Tls::load(identity.node, files)).transpose()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("gundo-fabric")
            .enable_io()
            .enable_time()
            .build()
            .map_err(FabricFault::Threads)?;
        let fault = |source| FabricFault::Listen { address, source };
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let shared = Arc::new(Shared {
            me: Arc::new(identity),
            limits,
            tls,
            counters: Arc::default(),
            links: Mutex::default(),
            complaints: Mutex::default(),
        });
        runtime.spawn(listen(Arc::clone(&shared), listener));
        if shared.tls.is_some() {
            runtime.spawn(reload(Arc::clone(&shared)));
        }
        Ok(Self { shared, address, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node has joined as this incarnation: what comes for it goes to `sink`. An earlier incarnation's links end.
    pub fn join(&self, incarnation: u64, sink: Arc<dyn Sink>) -> GrpcHandle {
        let shared = &self.shared;
        let ground = (shared.limits.clone(), Arc::clone(&shared.counters));
        let links = Arc::new(Links::new(Arc::clone(&shared.me), incarnation, sink, ground));
        if let Some(before) = shared.current().replace(Arc::clone(&links)) {
            before.end();
        }
        GrpcHandle { shared: Arc::clone(shared), links, version: 0, peers: Vec::new(), dropped: 0 }
    }

    /// A new view: links begin to the incarnations in it. Give each view, in their order; the node itself may be among them.
    pub fn set_peers(&self, view: &[PeerAddress]) {
        let Some(links) = self.shared.links() else { return };
        let runtime = self.runtime().handle().clone();
        let shared = Arc::clone(&self.shared);
        links.set_peers(view, &move |links, peer, address| {
            runtime.spawn(dial::keep(Arc::clone(&shared), links, peer, address)).abort_handle()
        });
    }

    /// Asks the node at an address whether it would take this one: before this one joins. Waits for the answer, a few seconds at most.
    ///
    /// # Errors
    /// It would not, or cannot be reached.
    pub fn ask(&self, node: NodeId, address: &str) -> Result<(), DialFault> {
        self.runtime().block_on(dial::ask(&self.shared, node, address))
    }

    /// How the links are doing.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.links().map(|links| links.statuses()).unwrap_or_default()
    }

    /// What it has counted.
    pub fn counts(&self) -> FabricCounts {
        self.shared.counters.read()
    }

    /// Both, for operators.
    pub fn figures(&self) -> Vec<Figure> {
        figures(&self.counts(), &self.peers())
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the end")
    }
}

impl Drop for GrpcFabric {
    fn drop(&mut self) {
        if let Some(links) = self.shared.current().take() {
            links.end();
        }
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped inside another runtime, where nobody may wait.
            match tokio::runtime::Handle::try_current() {
                Ok(_) => runtime.shutdown_background(),
                Err(_) => runtime.shutdown_timeout(END),
            }
        }
    }
}

/// Looks at the certificates from time to time.
async fn reload(shared: Arc<Shared>) {
    let Some(tls) = &shared.tls else { return };
    loop {
        // Files tell nobody that they have changed.
        tokio::time::sleep(shared.limits.reload_every).await;
        tls.look();
    }
}

/// One incarnation's access to its peers. Dropping it ends its links.
pub struct GrpcHandle {
    shared: Arc<Shared>,
    links: Arc<Links>,
    version: u64,
    peers: Vec<(Arc<PeerState>, [Vec<Labelled>; 2])>,
    dropped: u64,
}

impl GrpcHandle {
    fn look_around(&mut self, version: u64) {
        self.version = version;
        let mut before = std::mem::take(&mut self.peers);
        for peer in self.links.peers() {
            let same = before.iter_mut().find(|(there, _)| Arc::ptr_eq(there, &peer));
            let waiting = same.map(|(_, waiting)| std::mem::take(waiting)).unwrap_or_default();
            self.peers.push((peer, waiting));
        }
    }
}

impl Fabric for GrpcHandle {
    fn push(&mut self, to: NodeId, mut label: Label, message: Peer) {
        let version = self.links.version();
        if version != self.version {
            self.look_around(version);
        }
        let Some((_, waiting)) = self.peers.iter_mut().find(|(peer, _)| peer.node == to) else { return };
        let lane = match message {
            Peer::Frames { .. } | Peer::Sent { .. } => Lane::Frames,
            _ => Lane::Messages,
        };
        if lane == Lane::Frames {
            // It may arrive before what was sent before it. Nothing is missing then: what breaks the other lane is reported.
            label.after = 0;
        }
        waiting[lane.at()].push((label, message));
    }

    fn flush(&mut self) {
        for (peer, waiting) in &mut self.peers {
            for lane in Lane::ALL {
                let messages = &mut waiting[lane.at()];
                if messages.is_empty() {
                    continue;
                }
                let queued = peer.queue(lane).add(messages);
                self.dropped += queued.dropped;
                if queued.full {
                    self.links.overflowed(peer);
                }
            }
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Drop for GrpcHandle {
    fn drop(&mut self) {
        self.links.end();
        let mut current = self.shared.current();
        if current.as_ref().is_some_and(|links| Arc::ptr_eq(links, &self.links)) {
            *current = None;
        }
    }
}
