//! Nodes, journal, network and clients on one virtual clock. One seed gives one trace.
//!
//! This file has the cluster as a value, and its clock. Start with [`Cluster::new`] and `run_ms`.

mod checks;
mod clients;
mod journal;
mod network;
mod nodes;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gundo_client::{Light, Picture, Session};
use gundo_journal::{Replica, Store};
use gundo_kernel::{Member, Node, NodeSettings, OrderEnd, Peer, TailLost, View, WorldSettings};
use gundo_rig::{Clock, Disk, Queue, Seat, settings};
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, Limits, NodeId, Planted, WorldTime};

use super::game;
pub use checks::game_state;
pub use gundo_rig::GroupFault as Fault;
use network::Flight;

/// Each of these stories fails with the mistake that it is about.
#[cfg(feature = "planted")]
pub fn each_is_seen(stories: &[(Planted, fn())]) {
    for (planted, story) in stories {
        PLANTED.set(Some(*planted));
        assert!(std::panic::catch_unwind(story).is_err(), "nothing is seen of {}", planted.name());
    }
}

/// What happens to the first message that a test picks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost; nothing else happens.
    Lost,
    /// Its sender dies, and it is lost.
    SenderDies,
    /// It arrives, and its sender dies.
    SentByTheDead,
    /// Its receiver dies before it arrives.
    ReceiverDies,
}

/// Whether this message, from one node to another, is the one.
pub type Pick = Box<dyn Fn(NodeId, NodeId, &Peer) -> bool>;

/// A message that a test picks out by sender, receiver and contents.
pub struct Strike {
    pub at: Pick,
    pub fate: Fate,
    /// The node that died, once it has happened; without a death, the sender.
    pub struck: Option<NodeId>,
}

pub struct Client {
    pub name: String,
    pub session: Session,
    pub picture: Picture,
    /// Notices which entities the frames say have left the world.
    light: Light,
    /// Those entities.
    pub seen_leaving: Vec<EntityId>,
    pub conn: Option<(NodeId, ConnId)>,
    pub body: Body,
    pub answers: Vec<gundo_client::Answer>,
    pub refused: Vec<String>,
    pub own: Bytes,
    pub signals: Vec<(EntityId, Bytes)>,
    /// Everything it got about the entities it watches, in order: a public part, or the code of a refusal.
    pub watched: Vec<(EntityId, Result<Option<Bytes>, String>)>,
    /// Messages to this player alone.
    pub told: Vec<Bytes>,
    pub ended: Option<String>,
    pub corrections: Vec<String>,
    pub notices: Vec<String>,
    pub welcomes: u32,
    /// The recovery code of the newest welcome.
    pub recovery: String,
    /// Fingerprints of the commands it sent, by seq.
    pub sent: BTreeMap<u64, u64>,
    /// The first answer to each seq: a reply, or a refusal's code.
    pub heard: BTreeMap<u64, Result<Bytes, String>>,
}

pub struct Cluster {
    pub now: u64,
    pub nodes: BTreeMap<NodeId, Seat>,
    settings: Arc<WorldSettings>,
    /// The journal, and what waits for it.
    pub disk: Disk<NodeId>,
    pub clients: Vec<Client>,
    pub faults: VecDeque<Fault>,
    /// The journal hangs.
    pub stuck: bool,
    /// Every group is rejected: the disk is full.
    pub full: bool,
    /// An entity whose first event cannot be read.
    pub spoilt: Option<EntityId>,
    /// The journal cannot be read.
    pub unreadable: bool,
    /// Entities that nodes have asked the journal for.
    pub loads: usize,
    /// Every n-th bundle of frames between nodes is lost (0: none).
    pub lose_every: u64,
    pub strike: Option<Strike>,
    /// Keyframes of chunks that nodes have sent to each other.
    pub keyframes: usize,
    /// Messages between nodes that were lost with a connection.
    pub cut_off: usize,
    /// The largest message between nodes so far, in bytes. It is measured only if it is there.
    pub largest: Option<usize>,
    /// Links on which messages take this much longer, µs.
    pub slow_links: BTreeMap<(NodeId, NodeId), u64>,
    /// Newest tick published of each chunk, by publisher and subscriber.
    ticks: BTreeMap<(NodeId, NodeId, ChunkId), u32>,
    /// Nodes whose world clock is ahead, and by how much, ms.
    pub clocks: BTreeMap<NodeId, u64>,
    /// Whether every input goes into `trace`: that takes most of a run's time.
    pub traced: bool,
    pub trace: u64,
    pub stopped: Vec<NodeId>,
    /// Nodes that a rule took down, in order.
    pub killed: Vec<u16>,
    /// What a replica of the journal has.
    pub replica: Option<Replica>,
    /// What nodes have found lost from the journal, in order.
    pub alarms: Vec<(NodeId, TailLost)>,
    /// What nodes have told operators about the orders of requests.
    pub orders: Vec<(NodeId, u64, OrderEnd)>,
    /// Clients whose messages arrive at this time at the earliest.
    pub stalled: BTreeMap<usize, u64>,
    /// A token that the script has kept, and the sealed place beside it.
    pub kept: (Bytes, Bytes),
    /// Nonces by the names of the players who first used them.
    pub nonces: BTreeMap<String, [u8; 16]>,
    pub view: View,
    flights: Queue<Flight>,
    commit_due: bool,
    next_conn: u64,
    world_offset: u64,
    frames: u64,
    rng: u64,
}

thread_local! {
    /// The planted mistake in the nodes and journals of all clusters that a test makes.
    pub static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

impl Cluster {
    pub fn new(count: u16, seed: u64) -> Self {
        Self::with_store(count, seed, Store::new(), 1_000_000)
    }

    /// A cluster on the journal of an earlier one.
    pub fn with_store(count: u16, seed: u64, store: Store, world_ms: u64) -> Self {
        Self::make(count, seed, store, world_ms, |_| {})
    }

    /// A cluster in which players follow their surroundings.
    pub fn following(count: u16, seed: u64, follow_after_ms: u64) -> Self {
        Self::tuned(count, seed, |world| world.follow_after_ms = follow_after_ms)
    }

    /// A cluster with settings of a test's own.
    pub fn tuned(count: u16, seed: u64, tune: impl FnOnce(&mut WorldSettings)) -> Self {
        Self::make(count, seed, Store::new(), 1_000_000, tune)
    }

    /// Both.
    pub fn with_tuned_store(
        count: u16,
        seed: u64,
        store: Store,
        world_ms: u64,
        tune: impl FnOnce(&mut WorldSettings),
    ) -> Self {
        Self::make(count, seed, store, world_ms, tune)
    }

    fn make(
        count: u16,
        seed: u64,
        mut store: Store,
        world_ms: u64,
        tune: impl FnOnce(&mut WorldSettings),
    ) -> Self {
        store.plant(PLANTED.get());
        // Small, so that tests reach it.
        let limits = Limits { waiting_per_entity_max: 3, watchers_max: 4, ..Limits::default() };
        let mut world = WorldSettings {
            grace_ms: 2_000,
            snapshot_every: 7,
            // Small too.
            appends_waiting_max: 16,
            follow_after_ms: 0,
            limits,
            ..WorldSettings::default()
        };
        tune(&mut world);
        let world = Arc::new(world);
        let mut disk = Disk::new(store);
        let members: Vec<_> = (1..=count).map(|n| disk.join(n)).collect();
        let seat = |m: &Member| Seat::new(new_node(m, &world, seed), Clock::right(world_ms));
        let nodes = members.iter().map(|m| (m.node, seat(m))).collect();
        let mut cluster = Self {
            now: 0,
            nodes,
            settings: world,
            disk,
            clients: Vec::new(),
            faults: VecDeque::new(),
            stuck: false,
            full: false,
            spoilt: None,
            unreadable: false,
            loads: 0,
            lose_every: 0,
            strike: None,
            keyframes: 0,
            cut_off: 0,
            largest: None,
            slow_links: BTreeMap::new(),
            clocks: BTreeMap::new(),
            ticks: BTreeMap::new(),
            traced: false,
            trace: 0,
            stopped: Vec::new(),
            killed: Vec::new(),
            replica: None,
            alarms: Vec::new(),
            orders: Vec::new(),
            stalled: BTreeMap::new(),
            kept: Default::default(),
            nonces: BTreeMap::new(),
            view: View { epoch: Epoch(0), members },
            flights: Queue::new(),
            commit_due: false,
            next_conn: 0,
            world_offset: world_ms,
            frames: 0,
            rng: seed | 1,
        };
        cluster.next_view();
        cluster
    }

    pub fn world(&self) -> WorldTime {
        WorldTime(self.world_offset + self.now / 1_000)
    }

    /// A number below `below`, from the cluster's seed (xorshift, Marsaglia 2003).
    pub fn chance(&mut self, below: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng >> 11) % below.max(1)
    }

    // ---- time ------------------------------------------------------------------------------------------

    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while let Some((at, flight)) = self.flights.pop_until(end) {
            self.now = at;
            self.land(flight);
        }
        self.now = end;
    }

    /// Runs until `done` or for at most `ms`; returns whether it was done.
    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..ms / 10 {
            if done(self) {
                return true;
            }
            self.run_ms(10);
        }
        done(self)
    }
}

/// The kernel of this member.
pub fn new_node(member: &Member, world: &Arc<WorldSettings>, seed: u64) -> Node {
    let mut bytes = [member.node.0 as u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let settings = settings(member, bytes, world, &Arc::new(game::rules()));
    Node::new(NodeSettings { planted: PLANTED.get(), ..settings })
}
