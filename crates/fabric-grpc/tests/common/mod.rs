//! Nodes of one world on loopback, a proxy between them, and what they hear.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod rude;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gundo_fabric::suite::Site;
use gundo_fabric::{Fabric, Labelled, Sink};
use gundo_fabric_grpc::{FabricLimits, GrpcFabric, Identity, PeerAddress, Settings, certs};
use gundo_kernel::{Input, Peer, WorldSettings};
use gundo_types::NodeId;

/// Nothing that works needs so long.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Bytes of frames that a node's inbox has room for.
pub(crate) const INBOX_BYTES_MAX: usize = 1 << 20;

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "it never happens: {what}");
        // It looks again, until the end of all patience.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An inbox that a test empties.
#[derive(Default)]
pub(crate) struct Heard {
    inputs: Mutex<(Vec<Input>, usize)>,
    pub(crate) full: AtomicBool,
}

impl Heard {
    pub(crate) fn take(&self) -> Vec<Input> {
        std::mem::take(&mut *self.inputs.lock().unwrap_or_else(PoisonError::into_inner)).0
    }
}

impl Sink for Heard {
    fn give_peer(&self, from: NodeId, messages: &mut Vec<Labelled>) -> usize {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for (label, message) in messages.drain(..) {
            if matches!(message, Peer::Frames { .. }) {
                if inputs.1 + message.weight() > INBOX_BYTES_MAX {
                    dropped += 1;
                    continue;
                }
                inputs.1 += message.weight();
            }
            inputs.0.push(Input::Peer { from, label, message });
        }
        dropped
    }

    fn broken(&self, peer: NodeId, incarnation: u64) {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.0.push(Input::LinkBroken { peer, incarnation });
    }

    fn lost(&self, peer: NodeId) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).0.push(Input::LinkLost { peer });
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }
}

pub(crate) fn identity(node: u16) -> Identity {
    Identity::new("a-world", 0, "pioneer", &WorldSettings::default(), NodeId(node))
}

/// Short times, small queues: tests of limits need not fill megabytes.
pub(crate) fn limits() -> FabricLimits {
    FabricLimits {
        frames_bytes_max: 1 << 20,
        keep_alive_every: Duration::from_millis(200),
        keep_alive_timeout: Duration::from_millis(1_000),
        redial: (Duration::from_millis(5), Duration::from_millis(50)),
        reload_every: Duration::from_millis(20),
        ..FabricLimits::default()
    }
}

pub(crate) fn settings(node: u16, certificates: Option<&Path>) -> Settings {
    let mut settings = Settings::new(identity(node), SocketAddr::from(([127, 0, 0, 1], 0)));
    settings.limits = limits();
    settings.threads = 1;
    settings.tls = certificates.map(|directory| certs::files_of(directory, NodeId(node)));
    settings
}

/// A process with its node.
pub(crate) struct Process {
    pub(crate) fabric: GrpcFabric,
    pub(crate) heard: Arc<Heard>,
    pub(crate) incarnation: u64,
}

impl Process {
    pub(crate) fn start(settings: Settings, incarnation: u64) -> (Self, Box<dyn Fabric>) {
        let fabric = GrpcFabric::start(settings).expect("it listens");
        let heard = Arc::new(Heard::default());
        let handle = fabric.join(incarnation, Arc::clone(&heard) as Arc<dyn Sink>);
        (Self { fabric, heard, incarnation }, Box::new(handle))
    }

    pub(crate) fn at(&self, node: u16, address: SocketAddr) -> PeerAddress {
        PeerAddress { node: NodeId(node), incarnation: self.incarnation, address: address.to_string() }
    }

    /// The state of its link to a node.
    pub(crate) fn is_up(&self, node: u16) -> bool {
        self.fabric.peers().iter().any(|peer| peer.node == NodeId(node) && peer.up)
    }

    pub(crate) fn trouble(&self, node: u16) -> String {
        let all = self.fabric.peers();
        all.iter().find(|peer| peer.node == NodeId(node)).and_then(|p| p.trouble.clone()).unwrap_or_default()
    }
}

/// Nodes 1 and 2 with these settings, and what they send with. Node 2 dials node 1, at the address that `way` gives.
pub(crate) fn pair(
    (one, two): (Settings, Settings),
    way: impl FnOnce(SocketAddr) -> SocketAddr,
) -> ([Process; 2], [Box<dyn Fabric>; 2]) {
    let (one, of_one) = Process::start(one, 11);
    let (two, of_two) = Process::start(two, 12);
    let view = [one.at(1, way(one.fabric.address())), two.at(2, two.fabric.address())];
    one.fabric.set_peers(&view);
    two.fabric.set_peers(&view);
    ([one, two], [of_one, of_two])
}

/// The nodes of a world on loopback. Each reaches each other one by a proxy for the two.
#[derive(Default)]
pub(crate) struct Loopback {
    nodes: BTreeMap<NodeId, Process>,
    /// From whom to whom.
    proxies: BTreeMap<(NodeId, NodeId), Proxy>,
    /// Certificates, if there is TLS.
    pub(crate) certificates: Option<tempfile::TempDir>,
}

impl Loopback {
    pub(crate) fn with_tls() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(certs::make_authority(directory.path()).expect("it is made"));
        for node in 1..=3 {
            certs::make_node(directory.path(), NodeId(node), 30).expect("it is made");
        }
        Self { certificates: Some(directory), ..Self::default() }
    }
}

impl Site for Loopback {
    fn start(&mut self, node: NodeId, incarnation: u64) -> Box<dyn Fabric> {
        let certificates = self.certificates.as_ref().map(tempfile::TempDir::path);
        let (process, handle) = Process::start(settings(node.0, certificates), incarnation);
        self.proxies.retain(|(_, to), _| *to != node);
        self.nodes.insert(node, process);
        handle
    }

    fn end(&mut self, node: NodeId, fabric: Box<dyn Fabric>) {
        let process = self.nodes.remove(&node).expect("it runs");
        // As a crash would: everything at once.
        drop(process.fabric);
        drop(fabric);
    }

    fn take(&mut self, node: NodeId) -> Vec<Input> {
        self.nodes[&node].heard.take()
    }

    fn set_view(&mut self, members: &[(NodeId, u64)]) {
        let there: Vec<_> = members.iter().filter(|(node, _)| self.nodes.contains_key(node)).collect();
        for (from, process) in &self.nodes {
            let mut view = Vec::new();
            for (to, _) in &there {
                let peer = &self.nodes[to];
                let proxy =
                    self.proxies.entry((*from, *to)).or_insert_with(|| Proxy::start(peer.fabric.address()));
                view.push(peer.at(to.0, proxy.address));
            }
            process.fabric.set_peers(&view);
        }
        until("all links are up", || {
            self.nodes.values().all(|process| {
                let peers = process.fabric.peers();
                let up = peers.iter().filter(|peer| peer.up).count();
                up == there.len() - 1
            })
        });
    }

    fn cut(&mut self, one: NodeId, other: NodeId) -> bool {
        // One of the two ways is not in use: the higher incarnation dials.
        for way in [(one, other), (other, one)] {
            self.proxies[&way].cut();
        }
        true
    }

    fn frames_bytes_max(&self) -> usize {
        // The sender's queue, the sockets and windows of a connection with a proxy, and the inbox.
        limits().frames_bytes_max + INBOX_BYTES_MAX + (16 << 20)
    }
}

/// Forwards connections until it is told not to.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    /// Nothing is forwarded, and nothing is closed.
    black: AtomicBool,
    ended: AtomicBool,
    pairs: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(ProxyState::default());
        let its = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if its.ended.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                its.pairs.lock().unwrap_or_else(PoisonError::into_inner).push((copy(&client), copy(&server)));
                let ways = [(copy(&client), copy(&server)), (server, client)];
                for (from, to) in ways {
                    let its = Arc::clone(&its);
                    std::thread::spawn(move || forward(&its, from, to));
                }
            }
        });
        Self { address, state }
    }

    /// Closes all connections. New ones are forwarded.
    pub(crate) fn cut(&self) {
        for (one, other) in self.pairs() {
            let _ = (one.shutdown(Shutdown::Both), other.shutdown(Shutdown::Both));
        }
    }

    /// Closes one side only: the other learns nothing.
    pub(crate) fn cut_half(&self) {
        self.state.black.store(true, Ordering::Release);
        for (_, server) in self.pairs() {
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Takes everything and forwards nothing, or forwards again (new connections).
    pub(crate) fn black_hole(&self, black: bool) {
        self.state.black.store(black, Ordering::Release);
        if !black {
            self.cut();
        }
    }

    fn pairs(&self) -> Vec<(TcpStream, TcpStream)> {
        std::mem::take(&mut *self.state.pairs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(state: &ProxyState, mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if state.black.load(Ordering::Acquire) {
            continue;
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // A hole does not tell.
    if !state.black.load(Ordering::Acquire) {
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    }
}
