//! Kernels, their links, the journal and walking players, on one virtual clock.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use gundo_bots::{Behaviour, Chance, Stroll, Wishes};
use gundo_journal::Store;
use gundo_kernel::{Input, Label, Node, Output, Peer, View, WorldSettings};
use gundo_rig::{Clock, Disk, Queue, Seat, seed_of, settings};
use gundo_types::{Body, ConnId, EntityId, Epoch, Kind, NodeId, Point};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Hello, Move, PROTOCOL, ServerMessage};
use gundo_wire::journal::WakesAsked;

use super::traffic::Traffic;
use super::{Case, Schedule, area};
use crate::game;

/// How fast players walk, mm/s.
const SPEED_MM_S: u32 = 2_000;
/// Delay of a message from one node to another, µs: two machines in one data centre. Anything below `flush_after_ms` gives
/// the same counts.
const LINK_US: u64 = 500;
/// Time of a commit of the journal, µs.
const COMMIT_US: u64 = 2_000;
/// Time of a load from it, µs.
const LOAD_US: u64 = 500;
/// Interval between two steps of a player, µs.
const STEP_US: u64 = 100_000;
/// World time at which every run begins, ms.
const WORLD_MS: u64 = 1_000_000;

/// Something in flight, or due. Nodes and players by index.
enum Flight {
    Peer {
        to: usize,
        from: NodeId,
        label: Label,
        message: Peer,
    },
    /// Commits the batch that has waited longest.
    Commit,
    Loaded {
        node: usize,
        entity: EntityId,
        load: u64,
    },
    Woken {
        node: usize,
        asked: WakesAsked,
        list: u64,
    },
    Listed {
        node: usize,
        kind: Kind,
        ids: RangeInclusive<u64>,
        max: usize,
        list: u64,
    },
    Timer(usize),
    Hello(usize),
    Step(usize),
}

struct Host {
    seat: Seat,
    traffic: Traffic,
}

struct Player {
    node: usize,
    mind: Stroll,
    wishes: Wishes,
    seq: u32,
    welcome: bool,
}

pub(super) struct Cluster {
    now: u64,
    flights: Queue<Flight>,
    nodes: Vec<Host>,
    disk: Disk<usize>,
    players: Vec<Player>,
    counting: bool,
    /// Connections that nodes closed: none, if all is well.
    closed: usize,
    life: Chance,
}

impl Cluster {
    pub(super) fn new(case: Case, schedule: Schedule, seed: u64) -> Self {
        let mut cluster = Self {
            now: 0,
            flights: Queue::new(),
            nodes: Vec::new(),
            disk: Disk::new(Store::new()),
            players: Vec::new(),
            counting: false,
            closed: 0,
            life: chance(seed, 1),
        };
        cluster.add_nodes(case.nodes, seed);
        cluster.add_players(case, schedule, seed);
        cluster
    }

    /// All nodes learn of the one view at once.
    fn add_nodes(&mut self, count: u16, seed: u64) {
        let (world, rules) = (Arc::new(WorldSettings::default()), Arc::new(game::rules()));
        let mut seeds = chance(seed, 2);
        let members: Vec<_> = (1..=count).map(|n| self.disk.join(n)).collect();
        for member in &members {
            let settings = settings(member, seed_of(seeds.next_u64()), &world, &rules);
            let seat = Seat::new(Node::new(settings), Clock::right(WORLD_MS));
            self.nodes.push(Host { seat, traffic: Traffic::default() });
        }
        for node in 0..self.nodes.len() {
            self.input(node, Input::View(View { epoch: Epoch(1), members: members.clone() }));
        }
    }

    /// Players are born anywhere in the area, and come in by one node after another.
    fn add_players(&mut self, case: Case, schedule: Schedule, seed: u64) {
        let (min, max) = area(case);
        let mut births = chance(seed, 3);
        let mut within = |from: i32, to: i32| from + births.below((to - from) as u64) as i32;
        for index in 0..case.players {
            let at = Point::new(within(min.x, max.x), within(min.y, max.y));
            let own_seed = self.life.next_u64();
            self.players.push(Player {
                node: index % usize::from(case.nodes),
                mind: Stroll::new(own_seed, SPEED_MM_S).within(min, max),
                wishes: Wishes::at(Body { at, ..Body::default() }, own_seed),
                seq: 0,
                welcome: false,
            });
            let hello_us = schedule.arrival_ms * 1_000 * index as u64 / case.players as u64;
            self.fly(hello_us, Flight::Hello(index));
            // The last one in needs a moment before it can have walked anywhere.
            let step_us = schedule.arrival_ms * 1_000 + STEP_US + self.life.below(STEP_US);
            self.fly(step_us, Flight::Step(index));
        }
    }

    /// Runs until `until`, µs.
    pub(super) fn run_until(&mut self, until: u64) {
        while let Some((at, flight)) = self.flights.pop_until(until) {
            self.now = self.now.max(at);
            self.land(flight);
        }
        self.now = until;
    }

    fn fly(&mut self, at: u64, flight: Flight) {
        self.flights.push(at, flight);
    }

    /// Counts everything sent from now on.
    pub(super) fn start_counting(&mut self) {
        self.counting = true;
    }

    /// What each node sent.
    pub(super) fn counted(&self) -> Vec<Traffic> {
        self.nodes.iter().map(|host| host.traffic).collect()
    }

    /// Whether all players are in the world and went where they wanted.
    pub(super) fn check(&self) -> Result<(), String> {
        let missing = self.players.iter().filter(|player| !player.welcome).count();
        if missing > 0 || self.closed > 0 {
            return Err(format!("{missing} players did not get in, {} were sent away", self.closed));
        }
        let corrected: u64 = self.nodes.iter().map(|host| host.seat.counters().corrections).sum();
        if corrected > 0 {
            return Err(format!("{corrected} moves were not accepted"));
        }
        Ok(())
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Peer { to, from, label, message } => {
                self.input(to, Input::Peer { from, label, message });
            }
            Flight::Commit => {
                let group = self.disk.next_group(1);
                for ended in self.disk.commit(group, None) {
                    self.input(ended.who, ended.into_input());
                }
            }
            Flight::Loaded { node, entity, load } => {
                let input = self.disk.load(entity, load);
                self.input(node, input);
            }
            Flight::Woken { node, asked, list } => {
                let input = self.disk.wakes(asked, list);
                self.input(node, input);
            }
            Flight::Listed { node, kind, ids, max, list } => {
                let input = self.disk.list(kind, ids, max, list);
                self.input(node, input);
            }
            Flight::Timer(node) => {
                if self.nodes[node].seat.is_woken(self.now) {
                    self.input(node, Input::Timeout);
                }
            }
            Flight::Hello(player) => self.hello(player),
            Flight::Step(player) => self.step(player),
        }
    }

    fn hello(&mut self, player: usize) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.life.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&self.life.next_u64().to_le_bytes());
        let hello = Hello {
            protocol: PROTOCOL,
            name: game::name_at(self.players[player].wishes.body.at, ""),
            nonce: Bytes::copy_from_slice(&nonce),
            ..Hello::default()
        };
        self.say(player, ClientMessage { hello: Some(hello), ..ClientMessage::default() });
    }

    fn step(&mut self, index: usize) {
        self.fly(self.now + STEP_US, Flight::Step(index));
        let player = &mut self.players[index];
        if !player.welcome {
            return;
        }
        player.mind.step(&mut player.wishes);
        let Some(body) = player.wishes.take().0 else { return };
        player.wishes.body = body;
        player.seq += 1;
        let wish = Move {
            seq: player.seq,
            x: body.at.x,
            y: body.at.y,
            heading: body.heading.into(),
            speed: body.speed.into(),
            ..Move::default()
        };
        self.say(index, ClientMessage { r#move: Some(wish), ..ClientMessage::default() });
    }

    fn say(&mut self, player: usize, message: ClientMessage) {
        let conn = ConnId(player as u64 + 1);
        self.input(self.players[player].node, Input::Client { conn, message });
    }

    fn input(&mut self, node: usize, input: Input) {
        let step = self.nodes[node].seat.take(self.now, input);
        for output in step.outputs {
            self.output(node, output);
        }
        if let Some(at) = step.wake {
            self.fly(at, Flight::Timer(node));
        }
    }

    fn output(&mut self, node: usize, output: Output) {
        let Host { traffic, .. } = &mut self.nodes[node];
        match output {
            Output::Peer { to, label, message } => {
                if self.counting {
                    traffic.count_peer(&label, &message);
                }
                let (to, from) = (usize::from(to.0) - 1, NodeId(node as u16 + 1));
                let flight = Flight::Peer { to, from, label, message };
                self.fly(self.now + LINK_US, flight);
            }
            Output::Send { conn, parts, .. } => {
                if self.counting {
                    traffic.count_client(&parts);
                }
                let player = &mut self.players[conn.0 as usize - 1];
                if !player.welcome {
                    player.welcome = is_welcome(&parts);
                }
            }
            Output::Append(batch) => {
                traffic.appends += u64::from(self.counting);
                self.disk.push(node, batch);
                self.fly(self.now + COMMIT_US, Flight::Commit);
            }
            Output::Load { entity, load } => {
                self.fly(self.now + LOAD_US, Flight::Loaded { node, entity, load });
            }
            Output::List { kind, ids, max, list } => {
                self.fly(self.now + LOAD_US, Flight::Listed { node, kind, ids, max, list });
            }
            Output::Wakes { asked, list } => {
                self.fly(self.now + LOAD_US, Flight::Woken { node, asked, list });
            }
            Output::Close { .. } => self.closed += 1,
            // All nodes stay, and there is no coordinator.
            Output::Renew { .. } | Output::AskRow { .. } | Output::Remove { .. } | Output::ViewWanted => {}
            Output::Panicked { .. }
            | Output::GameFault { .. }
            | Output::TailsLost { .. }
            | Output::Fenced
            | Output::Stopped
            | Output::Ordered { .. } => {}
        }
    }
}

/// Random numbers for one purpose: drawing for one purpose does not change another.
fn chance(seed: u64, purpose: u64) -> Chance {
    let mut chance = Chance::new(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Chance::new(chance.next_u64())
}

fn is_welcome(parts: &[Bytes]) -> bool {
    ServerMessage::decode(parts.concat().as_slice()).is_ok_and(|message| message.welcome.is_some())
}
