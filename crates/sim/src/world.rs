//! Nodes, network, journal and players on one virtual clock, in one thread.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gundo_bots::{Chance, Wishes};
use gundo_client::{
    Address, Event as ClientEvent, Output as ClientOutput, Picture, PictureEvent, Session, SessionSettings,
};
use gundo_journal::Store;
use gundo_kernel::game::Rules;
use gundo_kernel::{Input, Member, Node, NodeSettings, Output, Peer, SendClass, View};
use gundo_types::{Body, ConnId, EntityId, Epoch, NodeId, Now, Planted, Point, Time, WorldTime};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, ServerMessage};

use crate::game::Game;
use crate::judge::{Guarantee, Judge, Verdict, Violation, violated};
use crate::people::{Client, Person, chance};
use crate::plan::{Dial, Plan};
use crate::queue::Queue;
use crate::storage::{Ended, Storage};
use crate::story::{About, Story, brief, entity_of, is_fine, roster, short};

/// A node of one life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) generation: u32,
    pub(crate) node: u16,
}

/// Something on its way, or due.
pub(crate) enum Flight {
    Peer {
        to: Key,
        from: NodeId,
        message: Peer,
    },
    ToNode {
        node: Key,
        conn: ConnId,
        message: ClientMessage,
    },
    ToClient {
        client: usize,
        conn: ConnId,
        parts: Vec<Bytes>,
    },
    Opened {
        client: usize,
        conn: ConnId,
    },
    /// The client learns that its connection is gone.
    Broken {
        client: usize,
        conn: ConnId,
    },
    /// The edge learns that a connection is gone.
    Gone {
        node: Key,
        conn: ConnId,
    },
    Commit,
    Completed {
        node: Key,
        batch: u64,
        outcome: gundo_wire::journal::Outcome,
    },
    Loaded {
        node: Key,
        entity: EntityId,
        load: u64,
    },
    NodeTimer(Key),
    ClientTimer(usize),
    /// A view reaches a node.
    View {
        node: Key,
        view: View,
    },
    /// A paused node goes on.
    Resume(Key),
    /// A client that read slowly has read everything.
    Drained(usize),
    /// A process that was taken for dead finds out.
    ZombieEnds(u32),
    Boot,
    Step(usize),
    /// A player comes (back) in.
    Arrive(usize),
    Fault(Dial),
}

pub(crate) struct SimNode {
    pub(crate) kernel: Node,
    incarnation: u64,
    /// When its clock began, and how fast it runs, millionths.
    began: u64,
    rate: u64,
    world_offset_ms: i64,
    timer: Option<u64>,
    paused: bool,
    inbox: VecDeque<Input>,
    completed_at: u64,
}

impl SimNode {
    fn local(&self, now: u64) -> Time {
        Time(((now - self.began) as u128 * u128::from(self.rate) / 1_000_000) as u64)
    }

    /// The moment at which its clock has reached `local`.
    fn global(&self, local: Time) -> u64 {
        self.began + (u128::from(local.0) * 1_000_000).div_ceil(u128::from(self.rate)) as u64
    }
}

#[derive(Clone, Copy, Default)]
struct Link {
    last_at: u64,
    held_until: u64,
    lossy_until: u64,
}

/// What was counted in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Faults that happened, by kind.
    pub faults: BTreeMap<Dial, u64>,
    /// Inputs that kernels handled.
    pub inputs: u64,
    /// Messages between nodes.
    pub peer_messages: u64,
    /// Messages to clients.
    pub client_messages: u64,
    /// Bytes to clients.
    pub client_bytes: u64,
    /// Commands that took effect.
    pub effects: u64,
    /// Answers checked.
    pub answers: u64,
    /// States shown to clients and checked.
    pub shown: u64,
    /// Refusals heard, by code.
    pub refusals: BTreeMap<String, u64>,
}

/// The world of one run.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) plan: Plan,
    game: Arc<dyn Game>,
    pub(crate) rules: Arc<Rules>,
    settings: Arc<gundo_kernel::WorldSettings>,
    planted: Option<Planted>,
    pub(crate) queue: Queue<Flight>,
    pub(crate) nodes: BTreeMap<Key, SimNode>,
    pub(crate) generation: u32,
    /// A process is on its way.
    booting: bool,
    epoch: u64,
    links: BTreeMap<(Key, Key), Link>,
    pub(crate) storage: Storage,
    pub(crate) people: Vec<Person>,
    pub(crate) clients: Vec<Client>,
    conns: HashMap<ConnId, usize>,
    /// Connections that edges have lost: nothing comes by them any more.
    gone: HashSet<ConnId>,
    /// Commands that came in by each connection that was welcomed, and were not answered.
    open: HashMap<ConnId, BTreeSet<u64>>,
    next_conn: u64,
    hostiles: u64,
    pub(crate) judge: Judge,
    pub(crate) story: Story,
    pub(crate) counts: Counts,
    pub(crate) violation: Option<Violation>,
    /// Things go wrong.
    pub(crate) faulty: bool,
    /// Minds take their steps.
    pub(crate) playing: bool,
    /// Everybody leaves for good.
    closing: bool,
    crowd_at: Option<Point>,
    speed: u32,
    net: Chance,
    pub(crate) wrong: Chance,
    life: Chance,
    scratch: Vec<u8>,
    decoded: Decoded,
}

/// World time at which every run begins, ms.
const WORLD_MS: u64 = 1_000_000;
/// A message between nodes takes this long at least, µs.
const PEER_US: u64 = 100;
/// How fast anybody walks at most, mm/s.
const SPEED_MAX: u32 = 5_000;

impl World {
    pub(crate) fn new(plan: Plan, game: Arc<dyn Game>, planted: Option<Planted>, story: Story) -> Self {
        let seed = plan.seed;
        let rules = game.rules(seed);
        let mut store = Store::new();
        store.plant(planted);
        let player = rules.kind_of(rules.player_kind()).expect("a game has players").create(1);
        let mut world = Self {
            now: 0,
            settings: Arc::new(plan.world.clone()),
            planted,
            queue: Queue::new(),
            nodes: BTreeMap::new(),
            generation: 0,
            booting: false,
            epoch: 0,
            links: BTreeMap::new(),
            storage: Storage::new(store, seed),
            people: Vec::new(),
            clients: Vec::new(),
            conns: HashMap::new(),
            gone: HashSet::new(),
            open: HashMap::new(),
            next_conn: 0,
            hostiles: 0,
            judge: Judge::new(seed, Arc::clone(&game), Arc::clone(&rules)),
            story,
            counts: Counts::default(),
            violation: None,
            faulty: true,
            playing: true,
            closing: false,
            crowd_at: None,
            speed: player.speed_max().clamp(1, SPEED_MAX),
            net: chance(seed, 1),
            wrong: chance(seed, 2),
            life: chance(seed, 3),
            scratch: Vec::new(),
            decoded: Decoded::default(),
            plan,
            game,
            rules,
        };
        world.boot();
        for index in 0..world.plan.clients {
            world.add_person(index);
        }
        for dial in world.plan.dials.keys().copied().filter(|d| !d.is_state()).collect::<Vec<_>>() {
            world.schedule_fault(dial);
        }
        world
    }

    pub(crate) fn world_time(&self) -> WorldTime {
        WorldTime(WORLD_MS + self.now / 1_000)
    }

    fn add_person(&mut self, index: usize) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.life.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&self.life.next_u64().to_le_bytes());
        let seed = self.life.next_u64();
        let mut mind = self.game.mind(index);
        // Some want the name of somebody else first.
        let wished = if index % 5 == 4 { index - 1 } else { index };
        let name = mind.name(&format!("sim{wished}"));
        self.people.push(Person {
            name,
            names_tried: 0,
            role: self.plan.role(index),
            nonce,
            id: None,
            mind,
            wishes: Wishes::at(Body::default(), seed),
            current: None,
            wants_in: true,
            tokens: Vec::new(),
            last_step: 0,
            goal: None,
        });
        let at = self.life.below(self.plan.arrival_ms * 1_000 + 1);
        self.fly(at, Flight::Arrive(index));
        let step_us = 1_000_000 / u64::from(self.plan.steps_per_second);
        let first = self.life.below(step_us);
        self.fly(first, Flight::Step(index));
    }

    // ---- time ------------------------------------------------------------------------------------------

    pub(crate) fn fly(&mut self, in_us: u64, flight: Flight) {
        self.queue.push(self.now + in_us, flight);
    }

    /// Runs until `until` (µs), or until something is violated or the run hangs.
    pub(crate) fn run_until(&mut self, until: u64) {
        while self.violation.is_none() && self.counts.inputs <= self.plan.inputs_max {
            let Some((at, flight)) = self.queue.pop_until(until) else { break };
            self.now = self.now.max(at);
            self.land(flight);
        }
        self.now = self.now.max(until);
    }

    pub(crate) fn rule(&mut self, verdict: Verdict) {
        if let Err(violation) = verdict
            && self.violation.is_none()
        {
            self.violation = Some(violation);
        }
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Peer { to, from, message } => self.input(to, Input::Peer { from, message }),
            Flight::ToNode { node, conn, message } => {
                if !self.gone.contains(&conn) {
                    self.input(node, Input::Client { conn, message });
                }
            }
            Flight::ToClient { client, conn, parts } => self.on_client_bytes(client, conn, &parts),
            Flight::Opened { client, conn } => self.on_opened(client, conn),
            Flight::Broken { client, conn } => self.on_broken(client, conn),
            Flight::Gone { node, conn } => {
                self.conns.remove(&conn);
                // An edge tells its node once.
                if self.gone.insert(conn) {
                    self.input(node, Input::Gone { conn });
                }
            }
            Flight::Commit => self.commit(),
            Flight::Completed { node, batch, outcome } => {
                self.input(node, Input::Appended { batch, outcome })
            }
            Flight::Loaded { node, entity, load } => {
                let broken = self.now < self.storage.unreadable_until;
                let result = if broken {
                    Err("the disk cannot be read".to_owned())
                } else {
                    Ok(self.storage.store.load(entity))
                };
                self.input(node, Input::Loaded { entity, load, result });
            }
            Flight::NodeTimer(key) => {
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&key)
                    && node.timer.is_some_and(|at| at <= now)
                {
                    node.timer = None;
                    self.input(key, Input::Timeout);
                }
            }
            Flight::ClientTimer(client) => self.on_client_timer(client),
            Flight::View { node, view } => self.input(node, Input::View(view)),
            Flight::Resume(key) => self.resume(key),
            Flight::Drained(client) => self.drained(client),
            Flight::ZombieEnds(generation) => self.end_generation(generation),
            Flight::Boot => self.boot(),
            Flight::Step(person) => self.step(person),
            Flight::Arrive(person) => self.arrive(person),
            Flight::Fault(dial) => self.fault(dial),
        }
    }

    // ---- nodes -----------------------------------------------------------------------------------------

    /// A process starts on the journal; whoever ran before has left.
    fn boot(&mut self) {
        if self.generation > 0 {
            let gone: Vec<_> = self.nodes.values().map(|n| n.incarnation).collect();
            for incarnation in gone {
                self.storage.store.leave(incarnation);
                self.judge.leave(incarnation);
            }
        }
        self.booting = false;
        self.generation += 1;
        let generation = self.generation;
        self.epoch += 1;
        let clocks = u64::from(self.plan.dials.get(&Dial::Clocks).copied().unwrap_or(0));
        let mut members = Vec::new();
        for n in 1..=self.plan.nodes {
            let incarnation = self.storage.store.join();
            self.judge.join(incarnation);
            members.push(Member { node: NodeId(n), incarnation, host: format!("n{n}"), port: 1, weight: 1 });
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&self.net.next_u64().to_le_bytes());
            let settings = NodeSettings {
                node: NodeId(n),
                incarnation,
                seed,
                world: Arc::clone(&self.settings),
                rules: Arc::clone(&self.rules),
                planted: self.planted,
            };
            let (rate, offset) = if clocks == 0 {
                (1_000_000, 0)
            } else {
                // A tenth faster or slower: far worse than any crystal.
                let offset = self.net.below(2 * clocks + 1) as i64 - clocks as i64;
                (900_000 + self.net.below(200_001), offset)
            };
            let node = SimNode {
                kernel: Node::new(settings),
                incarnation,
                began: self.now,
                rate,
                world_offset_ms: offset,
                timer: None,
                paused: false,
                inbox: VecDeque::new(),
                completed_at: 0,
            };
            self.nodes.insert(Key { generation, node: n }, node);
        }
        let text = format!("a process starts: nodes 1 to {}", self.plan.nodes);
        self.story.tell(self.now, About::default(), || text);
        self.spread_view(members);
    }

    fn members(&self) -> Vec<Member> {
        let of = |(key, node): (&Key, &SimNode)| Member {
            node: NodeId(key.node),
            incarnation: node.incarnation,
            host: format!("n{}", key.node),
            port: 1,
            weight: 1,
        };
        self.nodes.iter().filter(|(key, _)| key.generation == self.generation).map(of).collect()
    }

    /// Every node learns of a view, each in its own time.
    fn spread_view(&mut self, members: Vec<Member>) {
        let view = View { epoch: Epoch(self.epoch), members };
        let late = self.faulty && self.plan.dials.contains_key(&Dial::Views);
        for n in 1..=self.plan.nodes {
            let after = if late { self.wrong.below(1_500_000) } else { 0 };
            let node = Key { generation: self.generation, node: n };
            self.fly(after, Flight::View { node, view: view.clone() });
        }
    }

    pub(crate) fn input(&mut self, key: Key, input: Input) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.paused {
            node.inbox.push_back(input);
            return;
        }
        self.tell_input(key, &input);
        let came_by = match &input {
            Input::Client { conn, message } if !message.commands.is_empty() => {
                if let Some(open) = self.open.get_mut(conn) {
                    open.extend(message.commands.iter().map(|c| c.seq));
                }
                Some(*conn)
            }
            Input::Gone { conn } => {
                self.open.remove(conn);
                None
            }
            _ => None,
        };
        let node = self.nodes.get_mut(&key).expect("just seen");
        let world = (WORLD_MS + self.now / 1_000).saturating_add_signed(node.world_offset_ms);
        let now = Now { time: node.local(self.now), world: WorldTime(world) };
        self.counts.inputs += 1;
        node.kernel.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| node.kernel.poll_output()).collect();
        if let Some(local) = node.kernel.poll_timeout() {
            let at = node.global(local).max(self.now);
            if node.timer.is_none_or(|t| at < t) {
                node.timer = Some(at);
                self.queue.push(at, Flight::NodeTimer(key));
            }
        }
        for output in outputs {
            self.output(key, output);
        }
        let open = came_by.and_then(|conn| self.open.get(&conn)).map_or(0, BTreeSet::len);
        let most = self.settings.limits.commands_unanswered_max;
        if open > most {
            let text =
                format!("n{} let {open} commands of one connection in, {most} are the limit", key.node);
            self.rule(violated(Guarantee::G12, text));
        }
    }

    fn tell_input(&mut self, key: Key, input: &Input) {
        let (now, n) = (self.now, key.node);
        let word = |a: u64, b: u64| a << 56 ^ b;
        let mark = match input {
            Input::View(view) => word(1, view.epoch.0),
            Input::Client { conn, message } => word(2, conn.0) ^ message.encoded_len() as u64,
            Input::Gone { conn } => word(3, conn.0),
            Input::Lagging { conn } => word(4, conn.0),
            Input::Drained { conn } => word(5, conn.0),
            Input::Peer { from, message } => word(6, u64::from(from.0)) ^ u64::from(is_fine(message)),
            Input::Appended { batch, .. } => word(7, *batch),
            Input::Loaded { entity, load, .. } => word(8, *load) ^ entity.id,
            Input::Timeout => word(9, 0),
            Input::Gauges(_) | Input::Hold(_) | Input::Stop => word(10, 0),
        };
        self.story.mix(now ^ u64::from(n) << 48);
        self.story.mix(mark);
        if self.story.tell.is_none() {
            return;
        }
        let mut about = About::node(n);
        let text = match input {
            Input::View(view) => format!("n{n} learns of epoch {}", view.epoch.0),
            Input::Client { conn, message } => {
                about.player = self.conns.get(conn).map(|c| self.clients[*c].person);
                about.fine = message.hello.is_none() && message.commands.is_empty() && message.bye.is_none();
                about.entity = about.player.and_then(|p| self.people[p].id);
                format!("n{n} hears on connection {}: {}", conn.0, tell_client(message))
            }
            Input::Gone { conn } => format!("n{n} loses connection {}", conn.0),
            Input::Lagging { conn } => format!("n{n}: the client of connection {} is slow", conn.0),
            Input::Drained { conn } => format!("n{n}: the client of connection {} has caught up", conn.0),
            Input::Peer { from, message } => {
                about.nodes[1] = Some(from.0);
                about.entity = entity_of(message);
                about.fine = is_fine(message);
                format!("n{n} hears from {from}: {}", brief(message))
            }
            Input::Appended { batch, outcome } => format!("n{n}: append {batch} ended: {outcome:?}"),
            Input::Loaded { entity, load, result } => {
                about.entity = Some(*entity);
                let what = match result {
                    Ok(l) => {
                        format!("snapshot {:?}, {} events", l.snapshot.as_ref().map(|s| s.0), l.events.len())
                    }
                    Err(error) => error.clone(),
                };
                format!("n{n}: load {} of {} gives {what}", load & 0xffff_ffff, self.judge.name(*entity))
            }
            Input::Timeout => {
                about.fine = true;
                format!("n{n} wakes")
            }
            other => format!("n{n}: {}", short(other)),
        };
        self.story.tell(now, about, || text);
    }

    fn output(&mut self, key: Key, output: Output) {
        match output {
            Output::Send { conn, parts, class } => self.send_client(key, conn, parts, class),
            Output::Close { conn } => {
                let text = format!("n{} closes connection {}", key.node, conn.0);
                self.story.tell(self.now, About::node(key.node), || text);
                self.open.remove(&conn);
                self.fly(PEER_US, Flight::Gone { node: key, conn });
                if let Some(client) = self.conns.get(&conn).copied() {
                    let at = self.down(client);
                    self.queue.push(at + 1, Flight::Broken { client, conn });
                }
            }
            Output::Peer { to, message } => {
                let to = Key { node: to.0, ..key };
                self.counts.peer_messages += 1;
                let at = self.link(key, to, matches!(message, Peer::Frames { .. }));
                if let Some(at) = at {
                    self.queue.push(at, Flight::Peer { to, from: NodeId(key.node), message });
                }
            }
            Output::Append(batch) => {
                self.tell_append(key, &batch);
                self.storage.push(key, batch);
                self.schedule_commit();
            }
            Output::Load { entity, load } => {
                let after = self.storage.load_us(self.now);
                self.fly(after, Flight::Loaded { node: key, entity, load });
            }
            Output::Stopped => {}
        }
    }

    fn tell_append(&mut self, key: Key, batch: &gundo_wire::journal::Batch) {
        if self.story.tell.is_none() {
            return;
        }
        let mut about = About::node(key.node);
        about.entity = batch.streams.first().map(|s| s.entity);
        let streams: Vec<_> = batch
            .streams
            .iter()
            .map(|s| {
                let events: Vec<_> = s.events.iter().map(|e| format!("{:?}", e.event_type)).collect();
                let kept = if s.snapshot.is_some() { ", snapshot" } else { "" };
                format!("{} after {} [{}{kept}]", self.judge.name(s.entity), s.after, events.join(" "))
            })
            .collect();
        let text = format!("n{} appends {}: {}", key.node, batch.id, streams.join("; "));
        self.story.tell(self.now, about, || text);
    }

    /// When a message on a link arrives; `None`: it is lost.
    fn link(&mut self, from: Key, to: Key, may_be_lost: bool) -> Option<u64> {
        let slow = if self.faulty { self.plan.dials.get(&Dial::Delay).copied().unwrap_or(0) } else { 0 };
        let mut takes = PEER_US + self.net.below(300);
        if slow > 0 && self.net.below(4) == 0 {
            takes += self.net.below(u64::from(slow) * 1_000);
        }
        let link = self.links.entry((from, to)).or_default();
        if may_be_lost && self.now < link.lossy_until {
            return None;
        }
        // Messages between two nodes arrive in the order in which they were sent.
        link.last_at = (self.now + takes).max(link.held_until).max(link.last_at);
        Some(link.last_at)
    }

    fn schedule_commit(&mut self) {
        if !self.storage.busy {
            self.storage.busy = true;
            let after = self.storage.commit_us(self.now);
            self.fly(after, Flight::Commit);
        }
    }

    fn commit(&mut self) {
        self.storage.busy = false;
        let mut ended = Vec::new();
        let verdict = self.storage.commit(self.now, &mut self.judge, &mut ended);
        self.rule(verdict);
        for Ended { node, batch, outcome } in ended {
            let after = 50 + self.net.below(200);
            let Some(sim) = self.nodes.get_mut(&node) else { continue };
            // Outcomes reach a node in order; that of a full queue goes ahead by itself.
            sim.completed_at = (self.now + after).max(sim.completed_at);
            let at = sim.completed_at;
            self.queue.push(at, Flight::Completed { node, batch, outcome });
        }
        if !self.storage.is_idle() {
            self.schedule_commit();
        }
    }

    // ---- what goes wrong with nodes --------------------------------------------------------------------

    fn some_node(&mut self) -> Key {
        let node = 1 + self.wrong.below(u64::from(self.plan.nodes)) as u16;
        Key { generation: self.generation, node }
    }

    fn schedule_fault(&mut self, dial: Dial) {
        let Some(rate) = self.plan.dials.get(&dial) else { return };
        let mean = 60_000_000 / u64::from(*rate).max(1);
        // Between nothing and twice the mean, most often about the mean.
        let after = (self.wrong.below(mean) + self.wrong.below(mean)).max(1);
        self.fly(after, Flight::Fault(dial));
    }

    fn fault(&mut self, dial: Dial) {
        // The kernel mends lost frames by itself: they are lost until everybody stands still.
        if !(self.faulty || dial == Dial::Frames && self.playing) {
            return;
        }
        self.schedule_fault(dial);
        if self.cause(dial) {
            *self.counts.faults.entry(dial).or_insert(0) += 1;
        }
    }

    /// Lets it happen; false if there is nothing it could happen to.
    fn cause(&mut self, dial: Dial) -> bool {
        let second = 1_000_000;
        match dial {
            Dial::Delay | Dial::Clocks => return false,
            Dial::Partition | Dial::OneWay | Dial::Frames => {
                let (a, b) = (self.some_node(), self.some_node());
                if a == b || !self.nodes.contains_key(&a) {
                    return false;
                }
                let longest = if dial == Dial::Frames { 2 } else { 4 };
                let until = self.now + 100_000 + self.wrong.below(longest * second);
                let ways = if dial == Dial::Partition { vec![(a, b), (b, a)] } else { vec![(a, b)] };
                for way in ways {
                    let link = self.links.entry(way).or_default();
                    let end = if dial == Dial::Frames { &mut link.lossy_until } else { &mut link.held_until };
                    *end = until.max(*end);
                }
                self.tell_fault(a, || {
                    format!("{dial} between n{} and n{} until {} ms", a.node, b.node, until / 1_000)
                });
            }
            Dial::Pause => {
                let key = self.some_node();
                let Some(node) = self.nodes.get_mut(&key).filter(|n| !n.paused) else { return false };
                node.paused = true;
                let after = 20_000 + self.wrong.below(3 * second);
                self.fly(after, Flight::Resume(key));
                self.tell_fault(key, || format!("n{} stands still for {} ms", key.node, after / 1_000));
            }
            Dial::Crash | Dial::Zombie => return self.crash(dial == Dial::Zombie),
            Dial::Views => {
                let members = self.members();
                if members.is_empty() {
                    return false;
                }
                self.epoch += 1;
                self.spread_view(members);
            }
            Dial::Edge => {
                let key = self.some_node();
                let lost: Vec<_> = self.conns.iter().map(|(conn, client)| (*conn, *client)).collect();
                let mut lost: Vec<_> = lost
                    .into_iter()
                    .filter(|(conn, c)| self.clients[*c].conn == Some((key, *conn)))
                    .collect();
                lost.sort_unstable();
                for (conn, client) in lost {
                    self.cut(client, key, conn, 0, 300_000);
                }
                self.tell_fault(key, || format!("all connections of n{} break", key.node));
            }
            Dial::Vanish | Dial::Elsewhere | Dial::Leave | Dial::Resend | Dial::Lag => {
                let person = self.wrong.below(self.people.len() as u64) as usize;
                return self.disturb(dial, person);
            }
            // The choice is made where the message is sent.
            Dial::Reorder => return self.reorder(),
            Dial::Wave => {
                let back = self.wrong.below(5 * second);
                for person in 0..self.people.len() {
                    if self.wrong.below(2) == 0 {
                        self.leave(person);
                        self.fly(1 + back, Flight::Arrive(person));
                    }
                }
            }
            Dial::Garbage => return self.hostile(),
            Dial::Slow => self.storage.slow_until = self.now + 100_000 + self.wrong.below(5 * second),
            Dial::Full => self.storage.full_until = self.now + 50_000 + self.wrong.below(3 * second),
            Dial::Unreadable => {
                self.storage.unreadable_until = self.now + 50_000 + self.wrong.below(2 * second)
            }
            Dial::Reject => self.storage.faults.push_back(crate::storage::GroupFault::Rejected),
            Dial::Queue => self.storage.faults.push_back(crate::storage::GroupFault::QueueFull),
            Dial::UnknownLanded => self.storage.faults.push_back(crate::storage::GroupFault::UnknownLanded),
            Dial::UnknownLost => self.storage.faults.push_back(crate::storage::GroupFault::UnknownLost),
            Dial::Prune => {
                // As if an hour had passed: what may go by then goes.
                let later = WorldTime(self.world_time().0 + gundo_journal::KEEP_MS);
                self.storage.store.prune(later);
            }
        }
        if !matches!(dial, Dial::Partition | Dial::OneWay | Dial::Frames | Dial::Pause | Dial::Edge) {
            self.story.tell(self.now, About::default(), || format!("fault: {dial}"));
        }
        true
    }

    fn tell_fault(&mut self, key: Key, text: impl FnOnce() -> String) {
        self.story.tell(self.now, About::node(key.node), || format!("fault: {}", text()));
    }

    fn resume(&mut self, key: Key) {
        let Some(node) = self.nodes.get_mut(&key).filter(|n| n.paused) else { return };
        node.paused = false;
        let inbox = std::mem::take(&mut node.inbox);
        self.story.tell(self.now, About::node(key.node), || format!("n{} goes on", key.node));
        for input in inbox {
            self.input(key, input);
        }
        // A timer that fell due meanwhile was taken from the queue.
        self.input(key, Input::Timeout);
    }

    /// The whole process dies. As a zombie it lives on for a moment, and does not know.
    fn crash(&mut self, zombie: bool) -> bool {
        let generation = self.generation;
        if !self.nodes.contains_key(&Key { generation, node: 1 }) || self.booting {
            return false;
        }
        let text = if zombie { "the process is taken for dead" } else { "the process dies" };
        self.story.tell(self.now, About::default(), || format!("fault: {text}"));
        let boots_in = 100_000 + self.wrong.below(2_000_000);
        if zombie {
            // Its rows are deleted when the next one starts; it looks for them once per second.
            let ends_in = boots_in + 1 + self.wrong.below(1_000_000);
            self.fly(ends_in, Flight::ZombieEnds(generation));
        } else {
            let verdict = self.storage.crash(generation, &mut self.judge);
            self.rule(verdict);
            self.leave_journal(generation);
            self.end_generation(generation);
        }
        self.booting = true;
        self.fly(boots_in, Flight::Boot);
        true
    }

    fn leave_journal(&mut self, generation: u32) {
        let of = |(key, node): (&Key, &SimNode)| (key.generation == generation).then_some(node.incarnation);
        for incarnation in self.nodes.iter().filter_map(of).collect::<Vec<_>>() {
            self.storage.store.leave(incarnation);
            self.judge.leave(incarnation);
        }
    }

    fn end_generation(&mut self, generation: u32) {
        let verdict = self.storage.crash(generation, &mut self.judge);
        self.rule(verdict);
        self.nodes.retain(|key, _| key.generation != generation);
        self.links.retain(|(from, _), _| from.generation != generation);
        for client in 0..self.clients.len() {
            if let Some((key, conn)) = self.clients[client].conn
                && key.generation == generation
            {
                let after = self.wrong.below(500_000);
                self.fly(after, Flight::Broken { client, conn });
            }
        }
    }

    /// Everything is well again.
    pub(crate) fn heal(&mut self) {
        self.faulty = false;
        self.storage.faults.clear();
        (self.storage.full_until, self.storage.slow_until, self.storage.unreadable_until) = (0, 0, 0);
        self.links.values_mut().for_each(|link| link.held_until = 0);
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.resume(key);
        }
        for client in 0..self.clients.len() {
            self.drained(client);
        }
        for person in 0..self.people.len() {
            self.fly(1, Flight::Arrive(person));
        }
        self.story.tell(self.now, About::default(), || "everything heals".to_owned());
    }

    /// Creatures stand still.
    pub(crate) fn hold(&mut self) {
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(key, Input::Hold(true));
        }
    }

    // ---- players ---------------------------------------------------------------------------------------

    /// A player comes (back) into the world.
    fn arrive(&mut self, person: usize) {
        if self.people[person].current.is_some() || self.closing {
            return;
        }
        self.people[person].wants_in = true;
        self.open_client(person);
    }

    fn open_client(&mut self, person: usize) {
        let node = 1 + self.life.below(u64::from(self.plan.nodes)) as u16;
        let edges = (0..self.plan.nodes).map(|i| (node - 1 + i) % self.plan.nodes + 1);
        let edges = edges.map(|n| Address { host: format!("n{n}"), port: 1, path: "/ws".into() }).collect();
        let who = &mut self.people[person];
        let mut settings = SessionSettings::new(edges, who.name.clone());
        settings.nonce = Some(who.nonce);
        settings.token = who.tokens.last().cloned().unwrap_or_default();
        settings.seed = self.life.next_u64();
        // Impatient, so that what cannot be noticed otherwise is noticed within the run.
        (settings.ping_every_ms, settings.silence_ms, settings.hello_wait_ms) = (2_000, 6_000, 4_000);
        settings.backoff_ms_max = 2_000;
        let token_used = settings.token.clone();
        let client = self.clients.len();
        self.clients.push(Client {
            person,
            session: Session::new(settings),
            picture: Picture::new(),
            conn: None,
            own: Bytes::new(),
            tags: VecDeque::new(),
            said: VecDeque::new(),
            distance_us: 500 + self.life.below(30_000),
            up_at: 0,
            down_at: 0,
            lagging: false,
            timer: None,
            token_used,
        });
        self.people[person].current = Some(client);
        let now = Time(self.now);
        self.clients[client].session.start(now);
        self.drain_client(client);
    }

    fn leave(&mut self, person: usize) {
        self.people[person].wants_in = false;
        if let Some(client) = self.people[person].current.take() {
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }

    /// Everybody goes.
    pub(crate) fn leave_all(&mut self) {
        self.closing = true;
        for person in 0..self.people.len() {
            self.leave(person);
        }
    }

    fn disturb(&mut self, dial: Dial, person: usize) -> bool {
        let Some(client) = self.people[person].current else { return false };
        let live = self.clients[client].session.is_live();
        let Some((key, conn)) = self.clients[client].conn else { return false };
        match dial {
            Dial::Vanish => {
                // Either side may learn of it late, or both at once.
                let (to_client, to_node) = match self.wrong.below(3) {
                    0 => (0, 0),
                    1 => (0, 8_000_000),
                    _ => (20_000_000, 0),
                };
                self.cut(client, key, conn, to_client, to_node);
            }
            Dial::Elsewhere => {
                if self.people[person].tokens.is_empty() {
                    return false;
                }
                self.people[person].current = None;
                self.open_client(person);
            }
            Dial::Leave => {
                self.leave(person);
                let back = 1 + self.wrong.below(12_000_000);
                self.fly(back, Flight::Arrive(person));
            }
            Dial::Resend => {
                let said = self.clients[client].said.len() as u64;
                if !live || said == 0 {
                    return false;
                }
                let at = self.wrong.below(said) as usize;
                let command = self.clients[client].said[at].clone();
                self.judge.disordered(conn);
                self.say(client, ClientMessage { commands: vec![command], ..Default::default() });
            }
            Dial::Lag => {
                if !live || self.clients[client].lagging {
                    return false;
                }
                self.clients[client].lagging = true;
                self.input(key, Input::Lagging { conn });
                let after = 50_000 + self.wrong.below(4_000_000);
                self.fly(after, Flight::Drained(client));
            }
            _ => return false,
        }
        self.story.tell(self.now, About::player(person), || format!("fault: {dial} of player {person}"));
        true
    }

    fn drained(&mut self, client: usize) {
        if std::mem::take(&mut self.clients[client].lagging)
            && let Some((key, conn)) = self.clients[client].conn
        {
            self.input(key, Input::Drained { conn });
        }
    }

    /// A message with commands is overtaken by those after it.
    fn reorder(&mut self) -> bool {
        let person = self.wrong.below(self.people.len() as u64) as usize;
        let Some(client) = self.people[person].current else { return false };
        let c = &self.clients[client];
        let (Some((node, conn)), true) = (c.conn, c.session.is_live()) else { return false };
        let mut commands: Vec<_> = c.said.iter().rev().take(3).cloned().collect();
        if commands.len() < 2 {
            return false;
        }
        // The newest first, in one message, long before or after it comes in order.
        let late = self.wrong.below(400_000);
        commands.sort_by_key(|c| std::cmp::Reverse(c.seq));
        commands.iter().for_each(|c| self.judge.said(conn, c.seq, &c.payload));
        self.judge.disordered(conn);
        let message = ClientMessage { commands, ..Default::default() };
        self.fly(late, Flight::ToNode { node, conn, message });
        true
    }

    /// A connection breaks; each side learns of it within the given time, µs.
    fn cut(&mut self, client: usize, node: Key, conn: ConnId, to_client: u64, to_node: u64) {
        let client_in = self.wrong.below(to_client + 1);
        let node_in = self.wrong.below(to_node + 1);
        // Nothing passes any more.
        self.conns.remove(&conn);
        self.fly(client_in, Flight::Broken { client, conn });
        self.fly(node_in, Flight::Gone { node, conn });
    }

    /// Somebody who speaks the protocol badly, or too well.
    fn hostile(&mut self) -> bool {
        use gundo_wire::client::{Bye, Command, Hello, Move, PROTOCOL, Ping};
        let node = self.some_node();
        self.next_conn += 1;
        self.hostiles += 1;
        let conn = ConnId(self.next_conn);
        self.judge.hostile(conn);
        let mut bytes = |n: usize| -> Vec<u8> { (0..n).map(|_| self.wrong.next_u64() as u8).collect() };
        let (nonce, token, payload) = (bytes(16), bytes(24), bytes(60));
        let name = format!("evil{}", self.hostiles);
        let hello = |name: &str, token: &[u8], nonce: &[u8]| {
            let (token, nonce) = (token.to_vec().into(), nonce.to_vec().into());
            let hello = Hello { protocol: PROTOCOL, name: name.into(), token, nonce, ..Default::default() };
            ClientMessage { hello: Some(hello), ..Default::default() }
        };
        let command = |seq: u64, payload: &[u8]| Command { seq, payload: payload.to_vec().into() };
        let mut at = self.now;
        let say = |world: &mut Self, at: &mut u64, message: ClientMessage| {
            *at += world.wrong.below(200_000);
            world.queue.push(*at, Flight::ToNode { node, conn, message });
        };
        match self.wrong.below(4) {
            0 => say(self, &mut at, ClientMessage { bye: Some(Bye {}), ..Default::default() }),
            1 => say(self, &mut at, hello("", &token, &nonce)),
            2 => say(self, &mut at, hello(&name, &[], &nonce[..5])),
            _ => say(self, &mut at, hello(&name, &[], &nonce)),
        }
        for _ in 0..self.wrong.below(12) {
            let far = self.wrong.next_u64() as i32;
            let seq = [0, 1, 2, 3, 1 << 40, u64::MAX - 1, u64::MAX][self.wrong.below(7) as usize];
            let message = match self.wrong.below(6) {
                0 => ClientMessage { commands: vec![command(seq, &payload)], ..Default::default() },
                1 => ClientMessage { commands: vec![command(seq, &[0; 20_000])], ..Default::default() },
                2 => {
                    let flood = (1..100).map(|i| command(i % 60, &payload[..(i % 7) as usize]));
                    ClientMessage { commands: flood.collect(), ..Default::default() }
                }
                3 => {
                    let wish = Move { seq: far as u32, x: far, y: -far, heading: far as u32, speed: 9_999 };
                    ClientMessage { r#move: Some(wish), ..Default::default() }
                }
                4 => ClientMessage { ping: Some(Ping { stamp: u64::MAX }), ..Default::default() },
                _ => hello(&name, &token, &nonce),
            };
            say(self, &mut at, message);
        }
        let stays = self.wrong.below(3_000_000);
        self.queue.push(at + stays, Flight::Gone { node, conn });
        true
    }

    fn step(&mut self, person: usize) {
        let step_us = 1_000_000 / u64::from(self.plan.steps_per_second);
        self.fly(step_us, Flight::Step(person));
        let Some(client) = self.people[person].current.filter(|_| self.playing) else { return };
        if !self.clients[client].session.is_live() {
            return;
        }
        let open = self.clients[client].session.commands_open();
        let (crowd, speed, now) = (self.crowd_at, self.speed, self.now);
        let who = &mut self.people[person];
        who.wishes.now = Time(now);
        who.wishes.step_ms = ((now - who.last_step) / 1_000).min(250) as u32;
        who.last_step = now;
        let (walk, commands) = who.think(open, crowd, speed);
        for (tag, payload) in commands {
            if let Ok(id) = self.clients[client].session.command(Time(now), payload) {
                self.clients[client].tags.push_back((id, tag));
            }
        }
        if let Some(body) = walk
            && self.clients[client].session.walk(body).is_some()
        {
            self.people[person].wishes.body = body;
        }
        self.drain_client(client);
    }

    // ---- clients ---------------------------------------------------------------------------------------

    /// When the next message to a client arrives.
    fn down(&mut self, client: usize) -> u64 {
        let jitter = self.net.below(3_000);
        let c = &mut self.clients[client];
        c.down_at = (self.now + c.distance_us + jitter).max(c.down_at);
        c.down_at
    }

    fn say(&mut self, client: usize, message: ClientMessage) {
        let jitter = self.net.below(3_000);
        let c = &mut self.clients[client];
        let Some((node, conn)) = c.conn else { return };
        for command in &message.commands {
            self.judge.said(conn, command.seq, &command.payload);
            c.remember(command);
        }
        c.up_at = (self.now + c.distance_us + jitter).max(c.up_at);
        let at = c.up_at;
        // A connection that broke takes nothing any more.
        if self.conns.contains_key(&conn) {
            self.queue.push(at, Flight::ToNode { node, conn, message });
        }
    }

    fn send_client(&mut self, key: Key, conn: ConnId, parts: Vec<Bytes>, class: SendClass) {
        self.counts.client_messages += 1;
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        self.counts.client_bytes += bytes as u64;
        self.story.mix(conn.0 << 32 ^ bytes as u64);
        if class != SendClass::Frames {
            self.scratch.clear();
            parts.iter().for_each(|part| self.scratch.extend_from_slice(part));
            let Ok(message) = ServerMessage::decode(self.scratch.as_slice()) else {
                let text = format!("n{} sends something that is not a server message", key.node);
                return self.rule(violated(Guarantee::G9, text));
            };
            if self.story.tell.is_some() {
                let mut about = About::node(key.node);
                about.player = self.conns.get(&conn).map(|c| self.clients[*c].person);
                about.fine = message.pong.is_some();
                let text = format!("n{} says on connection {}: {}", key.node, conn.0, tell_server(&message));
                self.story.tell(self.now, about, || text);
            }
            if message.welcome.is_some() {
                self.open.insert(conn, BTreeSet::new());
            }
            if let Some(open) = self.open.get_mut(&conn) {
                open.retain(|seq| message.replies.iter().all(|reply| reply.seq != *seq));
            }
            let verdict = self.judge.sent(conn, &message);
            self.rule(verdict);
        }
        let Some(client) = self.conns.get(&conn).copied() else { return };
        if class == SendClass::Frames && self.clients[client].lagging {
            return;
        }
        let at = self.down(client);
        self.queue.push(at, Flight::ToClient { client, conn, parts });
    }

    fn drain_client(&mut self, client: usize) {
        while let Some(output) = self.clients[client].session.poll_output() {
            match output {
                ClientOutput::Connect(address) => {
                    let node = address.host.trim_start_matches('n').parse().unwrap_or(1);
                    self.next_conn += 1;
                    let conn = ConnId(self.next_conn);
                    let key = Key { generation: self.generation, node };
                    let c = &mut self.clients[client];
                    (c.conn, c.lagging) = (Some((key, conn)), false);
                    self.conns.insert(conn, client);
                    let takes = 2 * self.clients[client].distance_us;
                    self.fly(takes, Flight::Opened { client, conn });
                }
                ClientOutput::Send(message) => self.say(client, message),
                ClientOutput::Disconnect => self.hang_up(client),
                ClientOutput::Event(event) => self.on_client_event(client, event),
            }
        }
        if let Some(at) = self.clients[client].session.poll_timeout()
            && self.clients[client].timer.is_none_or(|t| at.0 < t)
        {
            self.clients[client].timer = Some(at.0);
            self.queue.push(at.0.max(self.now), Flight::ClientTimer(client));
        }
    }

    fn hang_up(&mut self, client: usize) {
        if let Some((node, conn)) = self.clients[client].conn.take() {
            // After what was said before.
            let at = self.clients[client].up_at.max(self.now) + 1;
            self.queue.push(at, Flight::Gone { node, conn });
        }
    }

    fn is_conn(&self, client: usize, conn: ConnId) -> bool {
        self.clients[client].conn.is_some_and(|(_, c)| c == conn)
    }

    fn on_opened(&mut self, client: usize, conn: ConnId) {
        if !self.is_conn(client, conn) {
            return;
        }
        let there = self.clients[client].conn.is_some_and(|(key, _)| self.nodes.contains_key(&key));
        let now = Time(self.now);
        if there && self.conns.contains_key(&conn) {
            self.clients[client].session.handle_open(now);
        } else {
            self.clients[client].conn = None;
            self.conns.remove(&conn);
            self.clients[client].session.handle_gone(now);
        }
        self.drain_client(client);
    }

    fn on_broken(&mut self, client: usize, conn: ConnId) {
        if !self.is_conn(client, conn) {
            return;
        }
        self.clients[client].conn = None;
        self.conns.remove(&conn);
        self.clients[client].session.handle_gone(Time(self.now));
        self.drain_client(client);
    }

    fn on_client_timer(&mut self, client: usize) {
        let now = Time(self.now);
        let c = &mut self.clients[client];
        if c.timer.is_some_and(|at| at <= now.0) {
            c.timer = None;
            if c.session.poll_timeout().is_some_and(|at| at <= now) {
                c.session.handle_timeout(now);
            }
            self.drain_client(client);
        }
    }

    fn on_client_bytes(&mut self, client: usize, conn: ConnId, parts: &[Bytes]) {
        if !self.is_conn(client, conn) {
            return;
        }
        let mut events = Vec::new();
        let at = self.world_time();
        // Most parts are frames that many clients get: each is decoded once.
        let mut rest = ServerMessage::default();
        for part in parts {
            let Some(message) = self.decoded.get(part) else {
                return self
                    .rule(violated(Guarantee::G9, "a client got something that is not a server message"));
            };
            self.clients[client].picture.handle_message(&message, &mut events);
            for frame in message.frames.iter().filter(|f| f.roster > 0 || f.keyframe) {
                let about = About { fine: true, ..About::player(self.clients[client].person) };
                let text = || format!("connection {} is told: {}", conn.0, roster(frame));
                self.story.tell(self.now, about, text);
            }
            if !is_frame(&message) {
                // Laid end to end: what is repeated adds up.
                if rest.merge(part.as_ref()).is_err() {
                    return self.rule(violated(
                        Guarantee::G9,
                        "a client got something that is not a server message",
                    ));
                }
            }
        }
        let c = &mut self.clients[client];
        let mut verdict = Ok(());
        for event in events {
            if let PictureEvent::Left(id) = event {
                let about = About { fine: true, entity: Some(id), ..About::player(c.person) };
                self.story
                    .tell(self.now, about, || format!("connection {} sees {:x} no more", conn.0, id.id));
            }
            if let PictureEvent::Entered(id) | PictureEvent::Changed(id) = event
                && let Some(seen) = c.picture.entity(id)
                && verdict.is_ok()
            {
                verdict = self.judge.seen(id, &seen.public, at);
            }
        }
        c.session.handle_message(Time(self.now), rest);
        self.rule(verdict);
        self.drain_client(client);
    }

    fn on_client_event(&mut self, client: usize, event: ClientEvent) {
        let person = self.clients[client].person;
        let current = self.people[person].current == Some(client);
        match event {
            ClientEvent::Welcomed(welcome) => {
                self.clients[client].own = welcome.own.clone();
                let who = &mut self.people[person];
                who.id = self.clients[client].session.player();
                who.tokens.push(welcome.token.clone());
                let at = Point::new(welcome.x, welcome.y);
                self.crowd_at.get_or_insert(at);
                if current {
                    let who = &mut self.people[person];
                    who.wishes.body = Body {
                        island: welcome.island as u16,
                        at,
                        heading: (welcome.heading & 127) as u8,
                        speed: 0,
                    };
                    who.last_step = self.now;
                    who.mind.handle_welcome(&welcome);
                    who.mind.handle_own(&welcome.own);
                }
            }
            ClientEvent::Answered(answer) => {
                let tags = &mut self.clients[client].tags;
                let at = tags.iter().position(|(id, _)| *id == answer.id);
                let tag = at.and_then(|at| tags.remove(at)).map_or(0, |(_, tag)| tag);
                if let Err(refusal) = &answer.result {
                    *self.counts.refusals.entry(refusal.code.clone()).or_insert(0) += 1;
                }
                if current {
                    self.people[person].mind.handle_answer(tag, &answer.result);
                }
            }
            ClientEvent::Own(own) => {
                if current {
                    self.people[person].mind.handle_own(&own);
                }
                self.clients[client].own = own;
            }
            ClientEvent::Corrected(correction) => {
                if current {
                    let who = &mut self.people[person];
                    who.wishes.body.at = Point::new(correction.x, correction.y);
                    who.goal = None;
                    who.mind.handle_correction(&correction);
                }
            }
            ClientEvent::Refused(refusal) => self.on_refused(client, &refusal.code),
            ClientEvent::Ended(closing) => {
                let why = closing.map_or_else(|| "left".to_owned(), |c| c.code);
                self.story.tell(self.now, About::player(person), || {
                    format!("player {person}'s session ends: {why}")
                });
                self.hang_up(client);
                if current {
                    self.people[person].current = None;
                    if self.people[person].wants_in {
                        let after = 100_000 + self.life.below(1_000_000);
                        self.fly(after, Flight::Arrive(person));
                    }
                }
            }
            ClientEvent::Lost { .. } | ClientEvent::RoundTrip(_) | ClientEvent::Stats(_) => {}
        }
    }

    /// A hello was refused for good: with the newest key the player must be let in; older ones may have ended.
    fn on_refused(&mut self, client: usize, code: &str) {
        let person = self.clients[client].person;
        let name = self.people[person].name.clone();
        *self.counts.refusals.entry(format!("hello: {code}")).or_insert(0) += 1;
        self.story
            .tell(self.now, About::player(person), || format!("player {person}'s hello is refused: {code}"));
        if code == "name_taken" && self.people[person].tokens.is_empty() {
            /// Names tried before it counts as locked out: two want each name at most.
            const NAMES_MAX: u32 = 3;
            let who = &mut self.people[person];
            who.names_tried += 1;
            if who.names_tried <= NAMES_MAX {
                who.name = who.mind.name(&format!("sim{person}x{}", who.names_tried));
                let (name, nonce, now) = (who.name.clone(), who.nonce, Time(self.now));
                self.clients[client].session.introduce(now, name, nonce);
                return self.drain_client(client);
            }
        }
        let used = self.clients[client].token_used.clone();
        let newest = self.clients[client].session.token().clone();
        let who = &mut self.people[person];
        who.tokens.retain(|token| *token != used && *token != newest);
        let locked_out = code != "bad_token" || who.tokens.is_empty();
        if self.people[person].current == Some(client) {
            self.people[person].current = None;
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
            if locked_out {
                return self.rule(violated(Guarantee::G10, format!("{name} is locked out: {code}")));
            }
            let after = 50_000 + self.life.below(500_000);
            self.fly(after, Flight::Arrive(person));
        } else {
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }
}

/// Whether a message is one frame and nothing else.
fn is_frame(message: &ServerMessage) -> bool {
    message.frames.len() == 1
        && message.welcome.is_none()
        && message.replies.is_empty()
        && message.own.is_none()
        && message.correction.is_none()
        && message.pong.is_none()
        && message.closing.is_none()
        && message.forget.is_empty()
        && message.stats.is_none()
        && message.refused.is_none()
        && message.edges.is_none()
        && message.resync.is_none()
}

/// Parts that were decoded a moment ago, by where they lie.
#[derive(Default)]
struct Decoded {
    messages: HashMap<(usize, usize), (Bytes, Arc<ServerMessage>)>,
}

impl Decoded {
    /// Parts kept at the same time.
    const MAX: usize = 4_096;

    fn get(&mut self, part: &Bytes) -> Option<Arc<ServerMessage>> {
        let key = (part.as_ptr() as usize, part.len());
        if let Some((_, message)) = self.messages.get(&key) {
            return Some(Arc::clone(message));
        }
        let message = Arc::new(ServerMessage::decode(part.as_ref()).ok()?);
        if self.messages.len() >= Self::MAX {
            self.messages.clear();
        }
        // With the bytes, so that nothing else can come to lie there.
        self.messages.insert(key, (part.clone(), Arc::clone(&message)));
        Some(message)
    }
}

fn tell_client(message: &ClientMessage) -> String {
    let mut words = Vec::new();
    if let Some(hello) = &message.hello {
        words.push(format!("hello, {} ({} bytes of token)", hello.name, hello.token.len()));
    }
    words.extend(message.commands.iter().map(|c| format!("command {} ({} bytes)", c.seq, c.payload.len())));
    if let Some(wish) = &message.r#move {
        words.push(format!("move {} to {}, {}", wish.seq, wish.x, wish.y));
    }
    if message.ping.is_some() {
        words.push("ping".to_owned());
    }
    if message.bye.is_some() {
        words.push("bye".to_owned());
    }
    words.join("; ")
}

fn tell_server(message: &ServerMessage) -> String {
    let mut words = Vec::new();
    if let Some(w) = &message.welcome {
        words.push(format!(
            "welcome at {}, {} (adoption {}, next command {})",
            w.x, w.y, w.adoption, w.next_seq
        ));
    }
    for reply in &message.replies {
        match &reply.refusal {
            None => words.push(format!("command {} done", reply.seq)),
            Some(refusal) => words.push(format!("command {} refused: {}", reply.seq, refusal.code)),
        }
    }
    if message.own.is_some() {
        words.push("own state".to_owned());
    }
    if let Some(c) = &message.correction {
        words.push(format!("you are at {}, {}: {}", c.x, c.y, c.code));
    }
    if let Some(c) = &message.closing {
        words.push(format!("closing: {}", c.code));
    }
    if let Some(r) = &message.refused {
        words.push(format!("hello refused: {}", r.code));
    }
    if !message.forget.is_empty() {
        let chunks: Vec<_> = message.forget.iter().map(|c| format!("{}/{}", c.x, c.y)).collect();
        words.push(format!("forget {}", chunks.join(" ")));
    }
    if message.resync.is_some() {
        words.push("resync".to_owned());
    }
    if message.pong.is_some() {
        words.push("pong".to_owned());
    }
    words.join("; ")
}
