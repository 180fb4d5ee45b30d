//! Nodes, journal, network and clients on one virtual clock. One seed gives one trace.

mod checks;
mod clients;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gundo_client::{
    Address, Event as ClientEvent, Light, Output as ClientOutput, Picture, PictureEvent, Session,
    SessionSettings,
};
use gundo_journal::Store;
use gundo_kernel::{Gauges, Input, Member, Node, NodeSettings, Output, Peer, SendClass, View, WorldSettings};
use gundo_types::{
    Body, ChunkId, ConnId, EntityId, Epoch, Limits, NodeId, Now, Planted, Point, Time, WorldTime,
};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, ServerMessage};
use gundo_wire::journal::{Batch, Outcome};

use super::game;
pub use checks::game_state;

/// Something on its way.
enum Flight {
    Peer {
        to: NodeId,
        from: NodeId,
        incarnation: u64,
        message: Peer,
    },
    ToNode {
        node: NodeId,
        conn: ConnId,
        message: ClientMessage,
    },
    ToClient {
        client: usize,
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Closed {
        client: usize,
        conn: ConnId,
    },
    Gone {
        node: NodeId,
        conn: ConnId,
    },
    Opened {
        client: usize,
        conn: ConnId,
    },
    Commit,
    Completed {
        node: NodeId,
        batch: u64,
        outcome: Outcome,
    },
    Loaded {
        node: NodeId,
        entity: EntityId,
        load: u64,
    },
    NodeTimer(NodeId),
    ClientTimer(usize),
    /// A node dies of a [`Strike`].
    Dies(NodeId),
}

/// What happens to the first message that a test picks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost, and nothing else.
    Lost,
    /// Its sender dies, and it is lost.
    SenderDies,
    /// It arrives, and its sender dies.
    SentByTheDead,
    /// Its receiver dies before it comes.
    ReceiverDies,
}

/// Whether this message, from a node to another, is the one.
pub type Pick = Box<dyn Fn(NodeId, NodeId, &Peer) -> bool>;

/// A message that a test picks out, by sender, receiver and what it says.
pub struct Strike {
    pub at: Pick,
    pub fate: Fate,
    /// Who died, once it has happened; without a death the sender.
    pub struck: Option<NodeId>,
}

/// What the journal does with the next groups.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Refuses a group.
    Rejected,
    /// Says Unknown; the group landed.
    UnknownLanded,
    /// Says Unknown; the group did not land.
    UnknownLost,
    /// The queue was full when the last batch came: it alone is rejected, before those ahead of it have ended.
    QueueFull,
}

pub struct Client {
    pub name: String,
    pub session: Session,
    pub picture: Picture,
    /// Notices who is told to have left the world.
    light: Light,
    /// Them.
    pub seen_leaving: Vec<EntityId>,
    pub conn: Option<(NodeId, ConnId)>,
    pub body: Body,
    pub answers: Vec<gundo_client::Answer>,
    pub refused: Vec<String>,
    pub own: Bytes,
    pub signals: Vec<(EntityId, Bytes)>,
    pub ended: Option<String>,
    pub corrections: Vec<String>,
    pub notices: Vec<String>,
    pub welcomes: u32,
    /// Fingerprints of the commands it sent, by seq.
    pub sent: BTreeMap<u64, u64>,
    /// The first answer to each seq: a reply, or a refusal's code.
    pub heard: BTreeMap<u64, Result<Bytes, String>>,
}

pub struct Cluster {
    pub now: u64,
    pub nodes: BTreeMap<NodeId, Node>,
    settings: Arc<WorldSettings>,
    pub store: Store,
    pub clients: Vec<Client>,
    pub faults: VecDeque<Fault>,
    /// The journal stands still.
    pub stuck: bool,
    /// Every group is rejected: the disk is full.
    pub full: bool,
    /// An entity whose first event cannot be read.
    pub spoilt: Option<EntityId>,
    /// Nothing can be read from the journal.
    pub unreadable: bool,
    /// Frames between nodes that are lost: every n-th (0: none).
    pub lose_every: u64,
    pub strike: Option<Strike>,
    /// Links on which messages take this much longer, µs.
    pub slow_links: BTreeMap<(NodeId, NodeId), u64>,
    /// Newest tick told of each chunk, by whom and to whom.
    ticks: BTreeMap<(NodeId, NodeId, ChunkId), u32>,
    /// Nodes whose world clock is ahead, and by how much, ms.
    pub clocks: BTreeMap<NodeId, u64>,
    /// Whether every input goes into `trace`: it takes most of the time.
    pub traced: bool,
    pub trace: u64,
    pub stopped: Vec<NodeId>,
    /// Nodes that a rule took down, in order.
    pub killed: Vec<u16>,
    /// A token put aside.
    pub kept: Bytes,
    /// Nonces by the names of those who were first to use them.
    pub nonces: BTreeMap<String, [u8; 16]>,
    view: View,
    flights: BTreeMap<(u64, u64), Flight>,
    count: u64,
    waiting: Vec<Batch>,
    commit_due: bool,
    next_conn: u64,
    node_timers: BTreeMap<NodeId, u64>,
    world_offset: u64,
    frames: u64,
    rng: u64,
}

/// Milliseconds a peer message, a client message, a commit take.
const PEER_US: u64 = 300;
const CLIENT_US: u64 = 2_000;
const COMMIT_US: u64 = 3_000;
const LOAD_US: u64 = 500;

thread_local! {
    /// The mistake in the nodes and journals of all clusters that a test makes.
    pub static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

impl Cluster {
    pub fn new(count: u16, seed: u64) -> Self {
        Self::with_store(count, seed, Store::new(), 1_000_000)
    }

    /// A cluster on what an earlier one has left.
    pub fn with_store(count: u16, seed: u64, store: Store, world_ms: u64) -> Self {
        Self::make(count, seed, store, world_ms, 0)
    }

    /// A cluster in which players follow their surroundings.
    pub fn following(count: u16, seed: u64, follow_after_ms: u64) -> Self {
        Self::make(count, seed, Store::new(), 1_000_000, follow_after_ms)
    }

    fn make(count: u16, seed: u64, mut store: Store, world_ms: u64, follow_after_ms: u64) -> Self {
        store.plant(PLANTED.get());
        // Small, so that it is reached.
        let limits = Limits { waiting_per_entity_max: 3, ..Limits::default() };
        let world = Arc::new(WorldSettings {
            grace_ms: 2_000,
            snapshot_every: 7,
            // Small too.
            appends_waiting_max: 16,
            follow_after_ms,
            limits,
            ..WorldSettings::default()
        });
        let mut nodes = BTreeMap::new();
        let mut members = Vec::new();
        for n in 1..=count {
            let (node, member) = start(n, &mut store, &world, seed);
            nodes.insert(NodeId(n), node);
            members.push(member);
        }
        let mut cluster = Self {
            now: 0,
            nodes,
            settings: world,
            store,
            clients: Vec::new(),
            faults: VecDeque::new(),
            stuck: false,
            full: false,
            spoilt: None,
            unreadable: false,
            lose_every: 0,
            strike: None,
            slow_links: BTreeMap::new(),
            clocks: BTreeMap::new(),
            ticks: BTreeMap::new(),
            traced: false,
            trace: 0,
            stopped: Vec::new(),
            killed: Vec::new(),
            kept: Bytes::new(),
            nonces: BTreeMap::new(),
            view: View { epoch: Epoch(0), members },
            flights: BTreeMap::new(),
            count: 0,
            waiting: Vec::new(),
            commit_due: false,
            next_conn: 0,
            node_timers: BTreeMap::new(),
            world_offset: world_ms,
            frames: 0,
            rng: seed | 1,
        };
        cluster.next_view();
        cluster
    }

    /// A node dies: what is under way to it, from it and in its hands is gone; its clients notice.
    pub fn die(&mut self, n: u16) {
        self.lose(n);
        for client in 0..self.clients.len() {
            if self.clients[client].conn.is_some_and(|(node, _)| node == NodeId(n)) {
                self.vanish(client);
            }
        }
        self.flights.retain(|_, flight| !matches!(flight, Flight::Gone { node, .. } if *node == NodeId(n)));
    }

    /// The node's own rules took it down; its clients notice, and look for another edge.
    fn die_of_a_rule(&mut self, node: NodeId) {
        self.lose(node.0);
        self.killed.push(node.0);
        for client in 0..self.clients.len() {
            if self.clients[client].conn.is_some_and(|(n, _)| n == node) {
                self.cut(client);
            }
        }
    }

    fn lose(&mut self, n: u16) {
        let dead = NodeId(n);
        self.nodes.remove(&dead).expect("the node is there");
        self.node_timers.remove(&dead);
        self.waiting.retain(|batch| batch.node != dead);
        self.flights.retain(|_, flight| match flight {
            Flight::Peer { to, from, .. } => ![*to, *from].contains(&dead),
            Flight::ToNode { node, .. } | Flight::Gone { node, .. } => *node != dead,
            Flight::Completed { node, .. } | Flight::Loaded { node, .. } => *node != dead,
            Flight::NodeTimer(node) => *node != dead,
            _ => true,
        });
    }

    /// The others are sure that the node is dead: its row is deleted, and then it is no member any more.
    pub fn bury(&mut self, n: u16) {
        let at = self.view.members.iter().position(|m| m.node == NodeId(n)).expect("a member");
        self.store.leave(self.view.members.remove(at).incarnation);
        self.next_view();
    }

    /// The node starts again, as another incarnation.
    pub fn rise(&mut self, n: u16) {
        let (node, member) = start(n, &mut self.store, &self.settings, self.now | 1);
        self.nodes.insert(NodeId(n), node);
        self.view.members.push(member);
        self.view.members.sort_by_key(|m| m.node);
        self.next_view();
    }

    /// Drivers find the disk nearly full, or with room again.
    pub fn disk(&mut self, storage_full: bool) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Gauges(Gauges { storage_full, ..Gauges::default() }));
        }
    }

    /// Creatures stand still.
    pub fn hold(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Hold(true));
        }
    }

    /// A driver finds its thread so busy, for so many seconds.
    pub fn load(&mut self, node: u16, load_permille: u32, seconds: u32) {
        for _ in 0..seconds {
            self.input(NodeId(node), Input::Gauges(Gauges { load_permille, ..Gauges::default() }));
        }
    }

    /// The same members in a new epoch: homes forget all, and everything is announced anew.
    pub fn next_view(&mut self) {
        self.view.epoch.0 += 1;
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::View(self.view.clone()));
        }
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
        while let Some(((at, n), _)) = self.flights.first_key_value() {
            let key = (*at, *n);
            if key.0 > end {
                break;
            }
            let flight = self.flights.remove(&key).expect("just seen");
            self.now = key.0;
            self.land(flight);
        }
        self.now = end;
    }

    /// Runs until `done` or for `ms` at most; whether it was done.
    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..ms / 10 {
            if done(self) {
                return true;
            }
            self.run_ms(10);
        }
        done(self)
    }

    fn fly(&mut self, in_us: u64, flight: Flight) {
        self.count += 1;
        self.flights.insert((self.now + in_us, self.count), flight);
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Peer { to, from, incarnation, message } => {
                self.input(to, Input::Peer { from, incarnation, message });
            }
            Flight::ToNode { node, conn, message } => self.input(node, Input::Client { conn, message }),
            Flight::ToClient { client, conn, bytes } => self.on_client_bytes(client, conn, &bytes),
            Flight::Opened { client, conn } => {
                if self.clients[client].conn.map(|(_, c)| c) == Some(conn) {
                    let now = Time(self.now);
                    self.clients[client].session.handle_open(now);
                    self.drain_client(client);
                }
            }
            Flight::Closed { client, conn } => {
                if self.clients[client].conn.map(|(_, c)| c) == Some(conn) {
                    let (node, conn) = self.clients[client].conn.take().expect("just seen");
                    self.input(node, Input::Gone { conn });
                    let now = Time(self.now);
                    self.clients[client].session.handle_gone(now);
                    self.drain_client(client);
                }
            }
            Flight::Gone { node, conn } => self.input(node, Input::Gone { conn }),
            Flight::Commit => self.commit(),
            Flight::Completed { node, batch, outcome } => {
                self.input(node, Input::Appended { batch, outcome })
            }
            Flight::Loaded { node, entity, load } => {
                let mut loaded = self.store.load(entity);
                if self.spoilt == Some(entity) {
                    (loaded.snapshot, loaded.events) = (None, loaded.events.split_off(1));
                }
                let result = if self.unreadable { Err("the disk cannot be read".into()) } else { Ok(loaded) };
                self.input(node, Input::Loaded { entity, load, result });
            }
            Flight::NodeTimer(node) => {
                if self.node_timers.get(&node).is_some_and(|at| *at <= self.now) {
                    self.node_timers.remove(&node);
                    self.input(node, Input::Timeout);
                }
            }
            Flight::Dies(node) => self.die_and_come_back(node.0),
            Flight::ClientTimer(client) => {
                let now = Time(self.now);
                let c = &self.clients[client];
                if c.ended.is_none() && c.session.poll_timeout().is_some_and(|at| at <= now) {
                    self.clients[client].session.handle_timeout(now);
                    self.drain_client(client);
                }
            }
        }
    }

    fn commit(&mut self) {
        self.commit_due = false;
        if self.stuck {
            return self.schedule_commit();
        }
        let batches = std::mem::take(&mut self.waiting);
        self.commit_group(batches);
    }

    /// The first batch that waits is committed alone.
    pub fn commit_one(&mut self) {
        let batch = self.waiting.remove(0);
        self.commit_group(vec![batch]);
    }

    fn commit_group(&mut self, mut batches: Vec<Batch>) {
        if self.full {
            self.faults.push_front(Fault::Rejected);
        }
        if matches!(self.faults.front(), Some(Fault::QueueFull)) {
            self.faults.pop_front();
            let last = batches.pop().expect("a commit has batches");
            let (node, batch, outcome) = (last.node, last.id, Outcome::Rejected("full".into()));
            self.store.fail_group(vec![last], &outcome, false);
            self.fly(50, Flight::Completed { node, batch, outcome });
        }
        let ids: Vec<_> = batches.iter().map(|b| (b.node, b.id)).collect();
        let outcomes = match self.faults.pop_front() {
            None | Some(Fault::QueueFull) => self.store.commit_group(batches),
            Some(Fault::Rejected) => self.store.fail_group(batches, &Outcome::Rejected("full".into()), false),
            Some(Fault::UnknownLanded) => self.store.fail_group(batches, &Outcome::Unknown, true),
            Some(Fault::UnknownLost) => self.store.fail_group(batches, &Outcome::Unknown, false),
        };
        for ((node, batch), outcome) in ids.into_iter().zip(outcomes) {
            self.fly(100, Flight::Completed { node, batch, outcome });
        }
    }

    fn schedule_commit(&mut self) {
        if !self.commit_due {
            self.commit_due = true;
            self.fly(COMMIT_US, Flight::Commit);
        }
    }

    fn input(&mut self, node: NodeId, input: Input) {
        let ahead = self.clocks.get(&node).copied().unwrap_or(0);
        let now = Now { time: Time(self.now), world: WorldTime(self.world().0 + ahead) };
        if self.traced {
            let text = format!("{} {node} {input:?}", self.now);
            self.trace = self.trace.rotate_left(5) ^ gundo_wire::fingerprint(text.as_bytes());
        }
        let Some(kernel) = self.nodes.get_mut(&node) else { return };
        // With each timer, about: a check is a walk over all there is.
        let checks = matches!(input, Input::Timeout) && PLANTED.get().is_none();
        kernel.handle(now, input);
        if game::DEADLY.take() {
            return self.die_of_a_rule(node);
        }
        if checks {
            kernel.check();
        }
        let mut outputs = Vec::new();
        while let Some(output) = kernel.poll_output() {
            outputs.push(output);
        }
        if let Some(at) = kernel.poll_timeout()
            && self.node_timers.get(&node).is_none_or(|t| at.0 < *t)
        {
            self.node_timers.insert(node, at.0);
            self.fly(at.0.saturating_sub(self.now), Flight::NodeTimer(node));
        }
        for output in outputs {
            self.output(node, output);
        }
    }

    fn output(&mut self, node: NodeId, output: Output) {
        match output {
            Output::Send { conn, parts, class } => {
                if let Some(client) = self.client_of(conn) {
                    let bytes = parts.concat();
                    assert!(class == SendClass::Frames || !bytes.is_empty(), "an empty message");
                    self.fly(CLIENT_US, Flight::ToClient { client, conn, bytes });
                }
            }
            Output::Close { conn, closing } => {
                if let Some(client) = self.client_of(conn) {
                    if closing.is_some() {
                        let bytes = ServerMessage { closing, ..Default::default() }.encode_to_vec();
                        self.fly(CLIENT_US, Flight::ToClient { client, conn, bytes });
                    }
                    self.fly(CLIENT_US + 1, Flight::Closed { client, conn });
                }
            }
            Output::Peer { to, message } => {
                if let Peer::Frames { frames, .. } = &message {
                    // What is told of a chunk is put in order by its ticks.
                    for frame in frames {
                        let before = self.ticks.insert((node, to, frame.chunk), frame.tick);
                        assert!(before.is_none_or(|b| b < frame.tick), "two frames of one tick: {frame:?}");
                    }
                    self.frames += 1;
                    if self.lose_every > 0 && self.frames.is_multiple_of(self.lose_every) {
                        return;
                    }
                }
                let late = self.slow_links.get(&(node, to)).copied().unwrap_or(0);
                if let Some(strike) = &mut self.strike
                    && strike.struck.is_none()
                    && (strike.at)(node, to, &message)
                {
                    let fate = strike.fate;
                    let (dies, after) = match fate {
                        Fate::Lost => (None, 0),
                        Fate::SenderDies => (Some(node), 0),
                        Fate::SentByTheDead => (Some(node), PEER_US + late + 1),
                        Fate::ReceiverDies => (Some(to), 0),
                    };
                    strike.struck = Some(dies.unwrap_or(node));
                    dies.into_iter().for_each(|dead| self.fly(after, Flight::Dies(dead)));
                    if fate != Fate::SentByTheDead {
                        return;
                    }
                }
                let incarnation = self.nodes[&node].incarnation();
                self.fly(PEER_US + late, Flight::Peer { to, from: node, incarnation, message });
            }
            Output::Append(batch) => {
                self.waiting.push(batch);
                self.schedule_commit();
            }
            Output::Load { entity, load } => self.fly(LOAD_US, Flight::Loaded { node, entity, load }),
            // Nobody answers: the coordinator is down, and the script says who belongs.
            Output::Renew { .. } | Output::Remove { .. } | Output::ViewWanted => {}
            Output::Fenced => drop(self.nodes.remove(&node)),
            Output::Panicked { .. } => {}
            Output::Stopped => {
                // Who is still there would be cut off, and not read what it was told last.
                let here = |c: &Client| c.conn.is_some_and(|(n, _)| n == node);
                let drained = self.view.members.iter().any(|m| m.node == node && m.draining);
                assert!(
                    !drained || !self.clients.iter().any(here),
                    "a client is still at the emptied {node:?}"
                );
                self.stopped.push(node);
            }
        }
    }

    fn client_of(&self, conn: ConnId) -> Option<usize> {
        self.clients.iter().position(|c| c.conn.is_some_and(|(_, k)| k == conn))
    }

    pub fn stop(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Stop);
        }
    }
}

/// A node that is about to start, and what the others know of it.
fn start(n: u16, store: &mut Store, world: &Arc<WorldSettings>, seed: u64) -> (Node, Member) {
    new_node(n, store.join(), world, seed)
}

/// The same as this incarnation.
pub fn new_node(n: u16, incarnation: u64, world: &Arc<WorldSettings>, seed: u64) -> (Node, Member) {
    let node = NodeId(n);
    let mut bytes = [n as u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let settings = NodeSettings {
        node,
        incarnation,
        seed: bytes,
        world: world.clone(),
        rules: Arc::new(game::rules()),
        planted: PLANTED.get(),
    };
    (
        Node::new(settings),
        Member { node, incarnation, host: format!("n{n}"), port: 1, weight: 1, draining: false },
    )
}
