//! Nodes, network, journal and players on one virtual clock, in one thread.
//!
//! This file has the clock, the nodes, the links and the journal; `clients` the players, `comings` those who come and who leave for
//! good, `watches` what they watch besides what is in sight, `letters` what they tell each other, `errands` what everybody
//! must succeed at, `orders` what operators order, `fair` whether some succeed less, `places` where they may be, `cheats` those who cheat; `coordinator` the
//! membership, `members` what keeps members apart, `links` the links between nodes, `heard` what nodes have heard, `turns` how long
//! they work, `clocks` their machines' clocks; `poison` rules that fail, `forged` messages that a node has no right to send, `echoes` messages that fit nothing, `stores` those of
//! the journal, `wrong` the other faults; `landing` what happens when something arrives, `carry` the encoding of everything in flight, `versions` what newer nodes add to it, `decoded` what clients get,
//! `flight` its types, `tell` the story.

mod bounded;
mod carry;
mod cheats;
mod clients;
mod clocks;
mod comings;
mod coordinator;
mod covered;
mod decoded;
mod echoes;
mod errands;
mod failover;
mod fair;
mod flight;
mod forged;
mod heard;
mod landing;
mod leader;
mod letters;
mod links;
mod members;
mod orders;
mod places;
mod poison;
mod stores;
mod tell;
mod turns;
mod versions;
mod watches;
mod wrong;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gundo_bots::Chance;
use gundo_client::PictureEvent;
use gundo_journal::Store;
use gundo_kernel::game::Rules;
use gundo_kernel::{Input, Member, Node, NodeSettings, Output, Peer};
use gundo_rig::{Ended, Queue, Seat, seed_of};
use gundo_types::{ConnId, EntityId, NodeId, Planted, Point, WorldTime};
use gundo_wire::journal::{Batch, EventType, StreamAppend};

use crate::coverage::Coverage;
use crate::game::Game;
use crate::judge::{Guarantee, Judge, Verdict, Violation, violated};
use crate::people::{Client, Person, chance};
use crate::plan::{Dial, Plan, Profile};
use crate::storage::Storage;
use crate::story::{About, Story};
use coordinator::{Asked, Coordinator};
use decoded::Decoded;
use flight::Link;
pub(crate) use flight::{Flight, Key, SimNode, Stall};
use poison::Poison;

/// The counts of a run.
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
    /// Letters that reached their players.
    pub letters: u64,
    /// Messages that entities have taken from others.
    pub mail: u64,
    /// Timers of entities that have rung.
    pub timers: u64,
    /// Operators' orders that entities have taken.
    pub orders: u64,
    /// Of each list with a limit: how full it was, and its limit then.
    pub sizes: BTreeMap<&'static str, (usize, usize)>,
    /// Refusals received, by code.
    pub refusals: BTreeMap<String, u64>,
    /// Connections that nodes closed, by code.
    pub closings: BTreeMap<String, u64>,
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
    /// The number of each node's incarnation in this process; missing: the first.
    lives: BTreeMap<u16, u16>,
    pub(crate) generation: u32,
    /// A process is starting.
    booting: bool,
    pub(crate) coordinator: Coordinator,
    leader: leader::Leader,
    troubles: members::Troubles,
    places: places::Places,
    /// What the machines of nodes that have ended have had.
    coverage: Coverage,
    heard: heard::Heard,
    echoes: echoes::Echoes,
    errands: Vec<errands::Errand>,
    fair: fair::Fair,
    orders: orders::Orders,
    /// Entities whose locks are void, and since when.
    abandoned: BTreeMap<(Key, EntityId), u64>,
    links: BTreeMap<(Key, Key), Link>,
    pub(crate) storage: Storage,
    pub(crate) people: Vec<Person>,
    /// Who is in the world, or was.
    by_id: HashMap<EntityId, usize>,
    pub(crate) clients: Vec<Client>,
    conns: HashMap<ConnId, usize>,
    /// Connections that edges have lost: nothing arrives on them any more.
    gone: HashSet<ConnId>,
    /// Unanswered commands of each welcomed connection.
    open: HashMap<ConnId, BTreeSet<u64>>,
    next_conn: u64,
    hostiles: u64,
    /// Entities that nodes have suspended.
    suspended: BTreeSet<(Key, EntityId)>,
    poison: Poison,
    /// What a rule wanted first that cannot be.
    game_fault: Option<String>,
    /// The journal's disk is nearly full.
    disk_is_low: bool,
    pub(crate) judge: Judge,
    pub(crate) story: Story,
    pub(crate) counts: Counts,
    pub(crate) violation: Option<Violation>,
    /// Moves that reached the node that owns their player while the journal stalled, and how many of those were decided.
    walks: u64,
    walked: u64,
    /// Until this time something else may keep players from walking.
    unsteady_until: u64,
    /// What each node had retried at the last look.
    retries: BTreeMap<Key, u64>,
    /// Motion updates by nodes that have ended.
    updates_ended: u64,
    /// Faults happen.
    pub(crate) faulty: bool,
    /// Minds take their steps.
    pub(crate) playing: bool,
    /// When the last of them stops.
    pub(crate) ends_at: u64,
    /// All players log out for good.
    closing: bool,
    crowd_at: Option<Point>,
    speed: u32,
    net: Chance,
    pub(crate) wrong: Chance,
    life: Chance,
    watching: Chance,
    scratch: Vec<u8>,
    decoded: Decoded,
    /// Kept for its room.
    events: Vec<PictureEvent>,
}

/// World time at which every run begins, ms.
const WORLD_MS: u64 = 1_000_000;
/// Shortest time of a message between nodes, µs.
const PEER_US: u64 = 100;
/// How long an edge may take to close a connection, µs.
const CLOSING_US: u64 = 30_000;
/// Wait before a start that the coordinator did not answer is tried again, µs.
const START_AGAIN_US: u64 = 1_000_000;
/// Seconds at ease after which no node is overloaded.
const EASE_SECONDS: u64 = 20;
/// Highest speed of any walker, mm/s.
const SPEED_MAX: u32 = 5_000;

/// Inputs of a node between two checks of its invariants, at least.
const CHECK_EVERY: u64 = 17;
/// Things that a check of a node walks over, per input since the check before.
const CHECKED_PER_INPUT: u64 = 2;

impl World {
    pub(crate) fn new(plan: Plan, game: Arc<dyn Game>, planted: Option<Planted>, story: Story) -> Self {
        let seed = plan.seed;
        let rules = match plan.profile {
            Profile::Usual | Profile::Echoes => game.rules(seed),
            Profile::Large => game.rules_for_many(seed),
        };
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
            lives: BTreeMap::new(),
            booting: false,
            coordinator: Coordinator::default(),
            leader: leader::Leader::default(),
            troubles: members::Troubles::default(),
            places: places::Places::default(),
            coverage: Coverage::default(),
            heard: heard::Heard::default(),
            echoes: echoes::Echoes::new(seed),
            errands: Vec::new(),
            fair: fair::Fair::default(),
            orders: orders::Orders::default(),
            abandoned: BTreeMap::new(),
            links: BTreeMap::new(),
            storage: Storage::new(store, seed),
            people: Vec::new(),
            by_id: HashMap::new(),
            clients: Vec::new(),
            conns: HashMap::new(),
            gone: HashSet::new(),
            open: HashMap::new(),
            next_conn: 0,
            hostiles: 0,
            suspended: BTreeSet::new(),
            poison: Poison::new(),
            game_fault: None,
            disk_is_low: false,
            judge: Judge::new(seed, Arc::clone(&game), Arc::clone(&rules)),
            story,
            counts: Counts::default(),
            violation: None,
            walks: 0,
            walked: 0,
            unsteady_until: 0,
            retries: BTreeMap::new(),
            updates_ended: 0,
            faulty: true,
            playing: true,
            ends_at: u64::MAX,
            closing: false,
            crowd_at: None,
            speed: player.speed_max().clamp(1, SPEED_MAX),
            net: chance(seed, 1),
            wrong: chance(seed, 2),
            life: chance(seed, 3),
            watching: chance(seed, 4),
            scratch: Vec::new(),
            decoded: Decoded::default(),
            events: Vec::new(),
            plan,
            game,
            rules,
        };
        world.begin();
        world
    }

    /// The first node starts, the first players come, faults are due.
    fn begin(&mut self) {
        if self.plan.dials.contains_key(&Dial::TailLost) {
            self.judge.keep_history();
        }
        self.boot();
        for index in 0..self.plan.clients {
            self.add_person(index);
        }
        for dial in self.plan.dials.keys().copied().filter(|d| !d.is_state()).collect::<Vec<_>>() {
            self.schedule_fault(dial);
        }
        if self.turns_take_time() {
            self.fly(0, Flight::Measure);
        }
        if self.echoes() {
            self.fly(0, Flight::Echo);
        }
    }

    pub(crate) fn world_time(&self) -> WorldTime {
        WorldTime(WORLD_MS + self.now / 1_000)
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
            && !self.echoes()
        {
            self.violation = Some(violation);
        }
    }

    // ---- nodes -----------------------------------------------------------------------------------------

    fn link_broken(&mut self, node: Key, peer: NodeId, incarnation: u64) {
        self.input(node, Input::LinkBroken { peer, incarnation });
    }

    /// A process starts on the journal; the one before has left.
    fn boot(&mut self) {
        if self.generation > 0 {
            let members = self.coordinator.view.members.iter().map(|m| m.incarnation);
            let gone: Vec<_> = self.nodes.values().map(|n| n.incarnation).chain(members).collect();
            gone.into_iter().for_each(|incarnation| self.leave_journal(incarnation));
        }
        let Some(members) = self.join(1..=self.plan.nodes) else {
            return self.fly(START_AGAIN_US, Flight::Boot);
        };
        self.booting = false;
        self.troubles.set_clocks_right();
        self.generation += 1;
        self.lives.clear();
        members.iter().for_each(|member| self.start_node(member));
        let text = format!("a process starts: nodes 1 to {}", self.plan.nodes);
        self.story.tell(self.now, About::default(), || text);
        self.spread_views();
    }

    /// The current incarnation of a node.
    pub(crate) fn key(&self, node: u16) -> Key {
        Key { generation: self.generation, node, life: self.lives.get(&node).copied().unwrap_or(0) }
    }

    pub(crate) fn start_node(&mut self, member: &Member) {
        let incarnation = member.incarnation;
        let seed = seed_of(self.net.next_u64());
        let settings = NodeSettings {
            planted: self.planted,
            ..gundo_rig::settings(member, seed, &self.settings, &self.rules)
        };
        let clock = self.clock(member.node.0);
        let mut kernel = Seat::new(Node::new(settings), clock);
        let newer = u64::from(self.plan.dials.get(&Dial::Mixed).copied().unwrap_or(0));
        let newer = newer > 0 && self.wrong.below(100) < newer;
        if newer {
            kernel.act_newer();
        }
        let machine = self.machine(member.node.0);
        let node = SimNode { newer, machine, ..SimNode::new(kernel, incarnation) };
        let key = self.key(member.node.0);
        self.nodes.insert(key, node);
        self.heard.begins(key, self.now);
        self.poison.blames().into_iter().for_each(|blame| self.input(key, blame));
    }

    pub(crate) fn input(&mut self, key: Key, input: Input) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.is_busy(self.now) {
            return self.wait_for_turn(key, input);
        }
        self.turn(key, input);
    }

    /// A node takes an input.
    fn turn(&mut self, key: Key, input: Input) {
        if self.nodes.get(&key).is_none_or(|node| node.kernel.is_over()) {
            return;
        }
        self.tell_input(key, &input);
        self.hears(key, &input);
        let walks = self.walks_at(key, &input);
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
        let before = walks.then(|| node.kernel.counters());
        self.counts.inputs += 1;
        node.watch.took_at = self.now;
        let (mut units, is_timer) = (turns::units_of_input(&input), matches!(input, Input::Timeout));
        let step = node.kernel.take(self.now, input);
        if self.poison.has_hung() {
            return self.hang(key);
        }
        // A planted bug is for the checkers of guarantees to find.
        if self.planted.is_none() {
            node.check_sometimes();
        }
        if let Some(before) = before {
            let after = node.kernel.counters();
            self.walks += 1;
            self.walked += u64::from(after.moves + after.corrections > before.moves + before.corrections);
        }
        if let Some(at) = step.wake {
            self.queue.push(at, Flight::NodeTimer(key));
        }
        for output in step.outputs {
            units += turns::units_of(&output);
            self.output(key, output);
        }
        self.on_turn_done(key, units, is_timer);
        let open = came_by.and_then(|conn| self.open.get(&conn)).map_or(0, BTreeSet::len);
        let most = self.settings.limits.commands_unanswered_max;
        if open > most {
            let text =
                format!("n{} accepted {open} commands of one connection, {most} are the limit", key.node);
            self.rule(violated(Guarantee::G12, text));
        }
    }

    /// Whether this is a move of a player that is real on this very node, where other players see it.
    fn walks_at(&self, key: Key, input: &Input) -> bool {
        let Input::Client { conn, message } = input else { return false };
        let stalls = self.now < self.storage.stalled_until && message.r#move.is_some();
        let client = stalls.then(|| self.conns.get(conn)).flatten().map(|c| &self.clients[*c]);
        let player = client.filter(|c| !c.lagging).and_then(|c| c.session.player());
        player.is_some_and(|id| self.nodes[&key].kernel.holds(id))
    }

    fn output(&mut self, key: Key, output: Output) {
        match output {
            Output::Send { conn, parts, class } => self.send_client(key, conn, parts, class),
            Output::Close { conn, closing } => {
                if let Some(closing) = closing {
                    self.send_closing(key, conn, closing);
                }
                let text = format!("n{} closes connection {}", key.node, conn.0);
                self.story.tell(self.now, About::node(key.node), || text);
                self.open.remove(&conn);
                // Its edge first sends what is queued.
                let after = PEER_US + self.net.below(CLOSING_US);
                self.fly(after, Flight::Gone { node: key, conn });
                if let Some(client) = self.conns.get(&conn).copied() {
                    let at = self.down(client);
                    self.queue.push(at + 1, Flight::Broken { client, conn });
                }
            }
            Output::Peer { to, mut label, message } => {
                let to = if key.generation == self.generation {
                    self.key(to.0)
                } else {
                    Key { node: to.0, ..key }
                };
                self.counts.peer_messages += 1;
                let verdict = self.check_said(key, &message);
                self.rule(verdict);
                self.note_said(key, to, label, &message);
                self.judge.on_the_way(&message);
                let lane = self.lane(&message, &mut label);
                let at = self.link(key, to, lane, matches!(message, Peer::Frames { .. }));
                if let Some(at) = at
                    && let Some((label, message)) = self.carry_peer(key, label, message)
                {
                    self.queue.push(at, Flight::Peer { to, from: key, label, message });
                }
            }
            Output::Append(batch) => {
                self.tell_append(key, &batch);
                self.check_suspended(key, &batch);
                let batch = self.carry_batch(batch);
                self.storage.disk.push(key, batch);
                self.schedule_commit();
            }
            Output::Load { entity, load } => {
                let after = self.storage.load_us(self.now) + self.uneven_us(key);
                self.fly(after, Flight::Loaded { node: key, entity, load });
            }
            Output::List { kind, ids, max, list } => {
                let after = self.storage.load_us(self.now);
                self.fly(after, Flight::Listed { node: key, kind, ids, max, list });
            }
            Output::Wakes { asked, list } => {
                let after = self.storage.load_us(self.now);
                self.fly(after, Flight::Woken { node: key, asked, list });
            }
            Output::Renew { sent } => self.ask(key, Asked::Renew { sent }),
            Output::AskRow { sent } => self.ask(key, Asked::Row { sent }),
            Output::Remove { epoch, incarnation, .. } => self.ask(key, Asked::Remove { epoch, incarnation }),
            Output::ViewWanted => self.ask(key, Asked::View),
            Output::Fenced => self.fly(0, Flight::Fenced(key)),
            Output::Panicked { entity, suspended: true, .. } => drop(self.suspended.insert((key, entity))),
            Output::Stopped => self.fly(0, Flight::Emptied(key)),
            Output::Panicked { .. } => {}
            Output::Ordered { request, end } => self.on_ordered(key, request, &end),
            Output::TailsLost { lost, more, .. } => self.on_tails_lost(key, &lost, more),
            Output::GameFault { entity, rule, why } => {
                let name = self.judge.name(entity);
                self.game_fault.get_or_insert_with(|| format!("`{rule}` of {name}: {why}"));
            }
        }
    }

    /// A suspended entity decides nothing. (No run lasts as long as a suspension.)
    fn check_suspended(&mut self, key: Key, batch: &Batch) {
        let decides = |s: &&StreamAppend| s.events.iter().any(|e| e.event_type != EventType::Fenced);
        let suspended = |s: &&StreamAppend| self.suspended.contains(&(key, s.entity));
        if let Some(stream) = batch.streams.iter().filter(decides).find(suspended) {
            let name = self.judge.name(stream.entity);
            let text = format!("{name} is suspended on n{} and decides", key.node);
            self.rule(violated(Guarantee::G9, text));
        }
    }

    /// What a rule wanted first that cannot be.
    pub(crate) fn game_fault(&self) -> Option<&str> {
        self.game_fault.as_deref()
    }

    /// Whether the game's rules may panic.
    pub(crate) fn game_panics(&self) -> bool {
        self.game.panics() || self.plan.dials.contains_key(&Dial::Panics)
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
        for Ended { who: node, batch, outcome, .. } in ended {
            let after = 50 + self.net.below(200) + self.uneven_us(node);
            let Some(sim) = self.nodes.get_mut(&node) else { continue };
            // Outcomes reach a node in order; only that of a full queue overtakes the others.
            sim.completed_at = (self.now + after).max(sim.completed_at);
            let at = sim.completed_at;
            self.queue.push(at, Flight::Completed { node, batch, outcome });
        }
        if !self.storage.disk.is_idle() {
            self.schedule_commit();
        }
    }
}
