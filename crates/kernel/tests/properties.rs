//! Properties of whole clusters under random work and storage faults: nothing is lost, duplicated or seen too early, and
//! one seed gives one trace.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{ChunkId, EntityId, Point};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Command};
use gundo_wire::journal::Cause;
use proptest::prelude::*;
use support::cluster::{Cluster, Fault};
use support::game::{self, PlayerCommand};

#[derive(Clone, Debug)]
enum Step {
    Take {
        client: usize,
        chunk: usize,
        take: i32,
        also: bool,
    },
    Walk {
        client: usize,
        dx: i32,
        dy: i32,
    },
    Jump {
        client: usize,
        dx: i32,
    },
    Panic {
        client: usize,
        how: u32,
    },
    Cut {
        client: usize,
    },
    /// Logs in at another node with the same token, or repeats the first hello; the old connection lives on.
    Elsewhere {
        client: usize,
        node: u16,
    },
    Leave {
        client: usize,
    },
    Rename {
        client: usize,
        name: usize,
    },
    /// More commands than may be unanswered, from a client that ignores the limit.
    Flood {
        client: usize,
    },
    Lag {
        client: usize,
        lagging: bool,
    },
    Fault(u8),
    Lose(u64),
    Stuck(bool),
    Run(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..4usize;
    prop_oneof![
        8 => (client.clone(), 0..9usize, -3..6i32, any::<bool>())
            .prop_map(|(client, chunk, take, also)| Step::Take { client, chunk, take, also }),
        4 => (client.clone(), -40_000..40_000i32, -40_000..40_000i32)
            .prop_map(|(client, dx, dy)| Step::Walk { client, dx, dy }),
        1 => (client.clone(), -90_000..90_000i32).prop_map(|(client, dx)| Step::Jump { client, dx }),
        1 => (client.clone(), 1..3u32).prop_map(|(client, how)| Step::Panic { client, how }),
        2 => client.clone().prop_map(|client| Step::Cut { client }),
        2 => (client.clone(), 1..4u16).prop_map(|(client, node)| Step::Elsewhere { client, node }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        2 => (client.clone(), 0..3usize).prop_map(|(client, name)| Step::Rename { client, name }),
        1 => client.clone().prop_map(|client| Step::Flood { client }),
        2 => (client, any::<bool>()).prop_map(|(client, lagging)| Step::Lag { client, lagging }),
        3 => (0..4u8).prop_map(Step::Fault),
        1 => prop_oneof![Just(0), 2..9u64].prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Stuck),
        6 => (1..400u64).prop_map(Step::Run),
    ]
}

/// A cluster, the clients that each player has had, and those of them that broke the rules.
struct Play {
    cluster: Cluster,
    players: Vec<Vec<usize>>,
    nonces: Vec<[u8; 16]>,
    unruly: Vec<usize>,
}

impl Play {
    fn live(&self, player: usize) -> Option<usize> {
        let clients = self.players[player].iter().copied();
        clients.rev().find(|c| self.cluster.clients[*c].session.is_live())
    }

    fn elsewhere(&mut self, player: usize, node: u16, token: Bytes) {
        let nonce = self.nonces[player];
        self.players[player].push(self.cluster.connect_as(NAMES[player], node, token, nonce));
    }

    /// A player's entity, if any of its clients was ever welcomed.
    fn entity(&self, player: usize) -> Option<EntityId> {
        self.players[player].iter().find_map(|c| self.cluster.clients[*c].session.player())
    }

    /// Brings every player back in by some client; those that cannot come in any more give up.
    fn gather(&mut self) {
        // The client that came last may have disconnected again, but it still supersedes the one before it.
        self.cluster.run_ms(1_000);
        let back = |c: &Cluster| c.clients.iter().all(|c| c.session.is_live() || c.session.is_ended());
        self.cluster.run_until(25_000, back);
        for (player, name) in NAMES.iter().enumerate() {
            let tokens = |c: &usize| self.cluster.clients[*c].session.token().clone();
            let tokens: Vec<_> = self.players[player].iter().rev().map(tokens).collect();
            for token in tokens {
                if self.live(player).is_none() {
                    self.elsewhere(player, 1, token);
                    self.cluster.run_ms(3_000);
                }
            }
            assert!(self.live(player).is_some(), "{name} is back");
        }
        for client in 0..self.cluster.clients.len() {
            if !self.cluster.clients[client].session.is_live() {
                self.cluster.leave(client);
            }
        }
    }
}

const NAMES: [&str; 4] = ["ann", "bob", "cat", "dan"];

/// Plays the steps on three nodes with four players; then all faults are over.
fn play(seed: u64, steps: &[Step], traced: bool) -> Play {
    let mut cluster = Cluster::following(3, seed, [0, 1, 500][seed as usize % 3]);
    cluster.traced = traced;
    for (i, name) in NAMES.into_iter().enumerate() {
        cluster.connect(name, i as u16 % 3 + 1);
    }
    // Every fourth play begins before all players are in, or even before the first hello.
    cluster.run_ms(if seed.is_multiple_of(4) { seed / 4 % 12 } else { 600 });
    let players = (0..NAMES.len()).map(|c| vec![c]).collect();
    let nonces = NAMES.iter().map(|name| cluster.nonces[*name]).collect();
    let mut play = Play { cluster, players, nonces, unruly: Vec::new() };
    for step in steps {
        play.step(step);
    }
    let cluster = &mut play.cluster;
    cluster.faults.clear();
    (cluster.stuck, cluster.lose_every) = (false, 0);
    for client in 0..cluster.clients.len() {
        cluster.lag(client, false);
    }
    play
}

impl Play {
    fn step(&mut self, step: &Step) {
        let chunks: Vec<ChunkId> = ChunkId::default().around(1).collect();
        let client = |player: usize| *self.players[player].last().expect("every player has a client");
        let cluster = &mut self.cluster;
        let command = |cluster: &mut Cluster, player: usize, command: PlayerCommand| {
            if !cluster.clients[client(player)].session.is_ended() {
                cluster.command(client(player), &command);
            }
        };
        match *step {
            Step::Take { client, chunk, take, also } => {
                let also = if also { chunks[(chunk + 4) % 9].to_u64() } else { 0 };
                let chunk = chunks[chunk].to_u64();
                command(cluster, client, PlayerCommand { chunk, take, also, ..Default::default() });
            }
            Step::Walk { client: player, dx, dy } => {
                let client = client(player);
                if cluster.clients[client].session.is_live() {
                    let at = cluster.clients[client].body.at;
                    let body = gundo_types::Body {
                        at: Point::new(at.x + dx / 200, at.y + dy / 200),
                        ..Default::default()
                    };
                    cluster.clients[client].body = body;
                    cluster.move_to(client, body);
                }
            }
            Step::Jump { client, dx } => {
                command(cluster, client, PlayerCommand { jump: dx, ..Default::default() });
            }
            Step::Panic { client, how } => {
                command(cluster, client, PlayerCommand { panic: how, ..Default::default() });
            }
            Step::Rename { client, name } => {
                let rename = ["eve", "fay", "gus"][name].into();
                command(cluster, client, PlayerCommand { rename, ..Default::default() });
            }
            Step::Flood { client: player } => {
                let say = PlayerCommand { say: "flood".into(), ..Default::default() }.encode_to_vec();
                let first = cluster.clients[client(player)].sent.keys().last().map_or(1, |seq| seq + 1);
                let flood = (0..80).map(|i| Command {
                    seq: first + i % 50,
                    payload: say.clone().into(),
                    ..Default::default()
                });
                let message = ClientMessage { commands: flood.collect(), ..Default::default() };
                cluster.say_raw(client(player), message);
                let client = client(player);
                self.unruly.push(client);
            }
            Step::Cut { client: player } => cluster.cut(client(player)),
            Step::Leave { client: player } => cluster.leave(client(player)),
            Step::Elsewhere { client: player, node } => {
                let token = cluster.clients[client(player)].session.token().clone();
                self.elsewhere(player, node, token);
            }
            Step::Lag { client: player, lagging } => cluster.lag(client(player), lagging),
            Step::Fault(0) => cluster.faults.push_back(Fault::Rejected),
            Step::Fault(1) => cluster.faults.push_back(Fault::UnknownLanded),
            Step::Fault(2) => cluster.faults.push_back(Fault::UnknownLost),
            Step::Fault(_) => cluster.faults.push_back(Fault::QueueFull),
            Step::Lose(every) => cluster.lose_every = every,
            Step::Stuck(stuck) => cluster.stuck = stuck,
            Step::Run(ms) => cluster.run_ms(ms),
        }
    }

    fn check(&mut self) {
        self.gather();
        assert!(
            self.cluster.run_until(20_000, Cluster::is_settled),
            "every command is answered, every entity at rest"
        );
        for clients in &self.players {
            let live = clients.iter().filter(|c| self.cluster.clients[**c].session.is_live());
            assert_eq!(live.count(), 1, "a player has one session");
        }
        self.cluster.check_pebbles();
        self.cluster.check_pictures();
        self.check_answers();
        self.check_names();
        // All players leave: nothing stays behind.
        for client in 0..self.cluster.clients.len() {
            self.cluster.leave(client);
        }
        self.cluster.run_ms(17_000);
        // Suspended entities stay loaded until the suspension is over.
        if self.cluster.nodes.values().any(|node| node.counters().suspensions > 0) {
            self.cluster.run_ms(300_000);
        }
        for node in self.cluster.nodes.values() {
            let left: Vec<_> = node.reals().map(|r| r.id).collect();
            let counters = node.counters();
            assert_eq!(left, [], "entities nobody needs");
            assert_eq!((counters.sessions, counters.chunks, counters.appends_waiting), (0, 0, 0));
        }
    }

    /// Each success is in the journal exactly once, with the answer that the client got; a refusal is not.
    fn check_answers(&self) {
        for (player, clients) in self.players.iter().enumerate() {
            let mut recorded: BTreeMap<u64, Cause> = BTreeMap::new();
            let Some(entity) = self.entity(player) else { continue };
            for (seq, event) in self.cluster.disk.store.stream(entity, 0, usize::MAX) {
                let cause = Cause::decode(event.cause.as_ref()).expect("a cause");
                if cause.seq > 0 {
                    let number = cause.seq;
                    let twice = recorded.insert(number, cause);
                    assert!(twice.is_none(), "command {number} took effect twice, the second time at {seq}");
                }
            }
            let mut heard = BTreeSet::new();
            for client in clients.iter().rev() {
                let c = &self.cluster.clients[*client];
                for (seq, result) in &c.heard {
                    let own = |r: &&Cause| c.sent.get(seq) == Some(&r.fingerprint);
                    match (result, recorded.get(seq).filter(own)) {
                        (Ok(reply), Some(kept)) => {
                            assert_eq!(*reply, kept.reply, "another answer than was recorded");
                            heard.insert(*seq);
                        }
                        (Ok(_), None) if self.unruly.contains(client) => {}
                        (Ok(_), None) => panic!("command {seq} was answered with success and is not there"),
                        // Another client may have sent the same number and command, and received its success.
                        (Err(code), Some(_)) if !heard.contains(seq) && !self.unruly.contains(client) => {
                            panic!("command {seq} was refused ({code}) and took effect")
                        }
                        (Err(_), _) => {}
                    }
                }
            }
            // A client that was superseded or has left gets no answers to commands in flight.
            let one = clients.len() == 1 && !self.unruly.contains(&clients[0]);
            if one && self.cluster.clients[clients[0]].session.is_live() {
                let untold: Vec<_> = recorded.keys().filter(|seq| !heard.contains(seq)).collect();
                assert!(untold.is_empty(), "effects of commands that were never answered: {untold:?}");
            }
        }
    }

    /// Two players never have the same name, and a repeated hello has created no second player.
    fn check_names(&self) {
        let name = |entity| {
            let loaded = self.cluster.disk.store.load(entity);
            support::cluster::game_state::<game::Player>(&loaded).0.name
        };
        let made = self.cluster.disk.store.streams(None, usize::MAX);
        let made: Vec<_> = made.iter().map(|s| s.entity).filter(|e| e.kind == game::PLAYER).collect();
        assert!(made.len() <= self.players.len(), "{made:?}");
        // A player that was never created may have a fence.
        let names: Vec<_> = made.into_iter().map(name).filter(|n| !n.is_empty()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

/// A hundred cases take some seconds; set `PROPTEST_CASES` for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 100 };
    ProptestConfig { cases, max_shrink_iters: 2_000, failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_or_doubled(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        play(seed, &steps, false).check();
    }

    #[test]
    fn a_stop_in_the_middle_loses_nothing(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..30)) {
        let mut play = play(seed, &steps, false);
        play.cluster.stop();
        play.cluster.run_ms(8_000);
        assert_eq!(play.cluster.stopped.len(), 3, "every node stops");
        play.cluster.check_pebbles();
        play.check_answers();
        play.check_names();
    }
}

#[test]
fn one_seed_gives_one_trace() {
    let steps: Vec<_> = (0..40)
        .map(|i| match i % 4 {
            0 => Step::Take { client: i % 4, chunk: i % 9, take: 2, also: i % 3 == 0 },
            1 => Step::Walk { client: i % 4, dx: 30_000, dy: -20_000 },
            2 => Step::Cut { client: (i / 2) % 4 },
            _ => Step::Run(70),
        })
        .collect();
    let trace = |seed| {
        let mut cluster = play(seed, &steps, true).cluster;
        cluster.run_ms(2_000);
        cluster.trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn a_change_of_tier_loses_no_motion() {
    // Bob makes one step and stands still; within the same few ticks Ann's sight moves, so that she sees him in another
    // tier. Whichever frame of which tier the step falls into, she must learn of it.
    for (offset, way) in (0..24).flat_map(|o| [(o, 30_000), (o, -30_000)]) {
        let mut cluster = Cluster::new(3, 3);
        let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
        // Others on Ann's node look at Bob in both tiers all the time, so her node needs no keyframe for her.
        let (cat, _dan) = (cluster.connect("cat", 1), cluster.connect("dan", 1));
        cluster.run_ms(600);
        for far in [bob, cat] {
            cluster.command(far, &PlayerCommand { jump: 60_000, ..Default::default() });
        }
        cluster.run_ms(3_000 + offset * 30);
        let mut body = cluster.clients[bob].body;
        body.at.x += 500;
        cluster.move_to(bob, body);
        cluster.run_ms(offset % 5 * 25);
        cluster.command(ann, &PlayerCommand { jump: way, ..Default::default() });
        cluster.run_ms(2_500);
        cluster.check_pictures();
    }
}

#[test]
fn two_changes_of_tier_lose_no_motion() {
    // Bob's step has been published to the near and middle tiers when Ann, who was far, passes through both.
    for phase in [0, 3, 6, 9] {
        let mut cluster = Cluster::new(3, 3);
        let names = ["ann", "bob", "cat", "dan", "eve"];
        let [ann, bob, cat, dan, _] =
            names.map(|name| cluster.connect(name, if name == "bob" { 2 } else { 1 }));
        cluster.run_ms(600);
        for (who, jump) in [(bob, 90_000), (cat, 90_000), (dan, 30_000)] {
            cluster.command(who, &PlayerCommand { jump, ..Default::default() });
        }
        cluster.run_ms(3_000 + phase * 100);
        let mut body = cluster.clients[bob].body;
        body.at.x += 500;
        cluster.move_to(bob, body);
        cluster.run_ms(350);
        for _ in 0..2 {
            cluster.command(ann, &PlayerCommand { jump: 30_000, ..Default::default() });
            cluster.run_ms(50);
        }
        cluster.run_ms(2_500);
        cluster.check_pictures();
    }
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let mut cluster = Cluster::new(3, 5);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    cluster.take(ann, ChunkId::default(), 9);
    assert!(cluster.run_until(2_000, Cluster::is_settled));
    cluster.walk(ann, Point::new(40_000, 22_000));
    let token = cluster.clients[ann].session.token().clone();
    cluster.stop();
    cluster.run_ms(500);
    assert_eq!(cluster.stopped.len(), 3);
    let world_ms = cluster.world().0;
    // Another number of nodes and other homes, but the same world.
    let mut cluster = Cluster::with_store(2, 6, cluster.disk.store, world_ms + 3_600_000);
    let ann = cluster.connect_with("ignored", 2, token);
    cluster.run_ms(800);
    let own = game::PlayerState::decode(cluster.clients[ann].own.as_ref()).expect("own state");
    assert_eq!((own.name.as_str(), own.bag), ("ann", 9));
    assert_eq!(cluster.clients[ann].body.at, Point::new(40_000, 22_000));
    cluster.check_pictures();
    cluster.check_pebbles();
}

#[test]
fn a_crash_keeps_every_acknowledged_command() {
    let mut cluster = Cluster::new(3, 9);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let token = cluster.clients[ann].session.token().clone();
    for _ in 0..10 {
        cluster.take(ann, ChunkId::default(), 1);
        cluster.run_ms(7);
    }
    let done = cluster.clients[ann].answers.iter().filter(|a| a.result.is_ok()).count() as u32;
    assert!(done > 2, "some were acknowledged, some were under way");
    // Everything in memory and in flight is lost: only the journal stays.
    let world_ms = cluster.world().0;
    let mut cluster = Cluster::with_store(3, 10, cluster.disk.store, world_ms);
    let ann = cluster.connect_with("", 3, token);
    cluster.run_ms(800);
    let own = game::PlayerState::decode(cluster.clients[ann].own.as_ref()).expect("own state");
    assert!(own.bag >= done, "{} acknowledged, {} there", done, own.bag);
    // Where a command put the body is as durable as the command.
    cluster.command(ann, &PlayerCommand { jump: 45_000, ..Default::default() });
    cluster.run_ms(100);
    let token = cluster.clients[ann].session.token().clone();
    let world_ms = cluster.world().0;
    let mut cluster = Cluster::with_store(3, 11, cluster.disk.store, world_ms);
    let ann = cluster.connect_with("", 2, token);
    cluster.run_ms(800);
    assert_eq!(cluster.clients[ann].body.at, Point::new(60_000, 15_000));
    cluster.check_pebbles();
}
