//! Properties of whole clusters under random work and storage faults: nothing is lost, doubled or seen too early, and
//! one seed gives one trace.

mod support;

use std::collections::BTreeMap;

use gundo_types::{ChunkId, Point};
use gundo_wire::Message;
use gundo_wire::journal::Cause;
use proptest::prelude::*;
use support::cluster::{Cluster, Fault};
use support::game::{self, PlayerCommand};

#[derive(Clone, Debug)]
enum Step {
    Take { client: usize, chunk: usize, take: i32, also: bool },
    Walk { client: usize, dx: i32, dy: i32 },
    Jump { client: usize, dx: i32 },
    Panic { client: usize, how: u32 },
    Cut { client: usize },
    Lag { client: usize, lagging: bool },
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
        2 => (client, any::<bool>()).prop_map(|(client, lagging)| Step::Lag { client, lagging }),
        3 => (0..4u8).prop_map(Step::Fault),
        1 => prop_oneof![Just(0), 2..9u64].prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Stuck),
        6 => (1..400u64).prop_map(Step::Run),
    ]
}

/// Plays the steps on three nodes with four players, then lets everything come to rest.
fn play(seed: u64, steps: &[Step]) -> Cluster {
    let mut cluster = Cluster::new(3, seed);
    for (i, name) in ["ann", "bob", "cat", "dan"].into_iter().enumerate() {
        cluster.connect(name, i as u16 % 3 + 1);
    }
    cluster.run_ms(600);
    let chunks: Vec<ChunkId> = ChunkId::default().around(1).collect();
    for step in steps {
        let live = |c: &Cluster, client: usize| c.clients[client].session.is_live();
        match *step {
            Step::Take { client, chunk, take, also } => {
                let also = if also { chunks[(chunk + 4) % 9].to_u64() } else { 0 };
                let chunk = chunks[chunk].to_u64();
                cluster.command(client, &PlayerCommand { chunk, take, also, ..Default::default() });
            }
            Step::Walk { client, dx, dy } if live(&cluster, client) => {
                let at = cluster.clients[client].body.at;
                let body = gundo_types::Body {
                    at: Point::new(at.x + dx / 200, at.y + dy / 200),
                    ..Default::default()
                };
                cluster.clients[client].body = body;
                cluster.move_to(client, body);
            }
            Step::Walk { .. } => {}
            Step::Jump { client, dx } => {
                cluster.command(client, &PlayerCommand { jump: dx, ..Default::default() });
            }
            Step::Panic { client, how } => {
                cluster.command(client, &PlayerCommand { panic: how, ..Default::default() });
            }
            Step::Cut { client } => cluster.cut(client),
            Step::Lag { client, lagging } => cluster.lag(client, lagging),
            Step::Fault(0) => cluster.faults.push_back(Fault::Rejected),
            Step::Fault(1) => cluster.faults.push_back(Fault::UnknownLanded),
            Step::Fault(2) => cluster.faults.push_back(Fault::UnknownLost),
            Step::Fault(_) => cluster.faults.push_back(Fault::QueueFull),
            Step::Lose(every) => cluster.lose_every = every,
            Step::Stuck(stuck) => cluster.stuck = stuck,
            Step::Run(ms) => cluster.run_ms(ms),
        }
    }
    cluster.faults.clear();
    (cluster.stuck, cluster.lose_every) = (false, 0);
    for client in 0..cluster.clients.len() {
        cluster.lag(client, false);
    }
    cluster
}

fn check(cluster: &mut Cluster) {
    let live = |c: &Cluster| c.clients.iter().all(|c| c.session.is_live());
    assert!(cluster.run_until(40_000, live), "every client is back");
    assert!(
        cluster.run_until(20_000, Cluster::is_settled),
        "every command is answered, every entity at rest"
    );
    cluster.check_pebbles();
    cluster.check_pictures();
    for client in 0..cluster.clients.len() {
        check_answers(cluster, client);
    }
}

/// Each success stands in the journal exactly once, with the answer the client got; a refusal does not.
fn check_answers(cluster: &Cluster, client: usize) {
    let mut recorded: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (seq, event) in cluster.store.stream(cluster.player(client), 0, usize::MAX) {
        let cause = Cause::decode(event.cause.as_ref()).expect("a cause");
        if cause.seq > 0 {
            let twice = recorded.insert(cause.seq, cause.reply.to_vec());
            assert!(twice.is_none(), "command {} took effect twice, the second time at {seq}", cause.seq);
        }
    }
    let answers = &cluster.clients[client].answers;
    for answer in answers {
        // In these runs a session is never renewed, so the client's count is the session's.
        match (&answer.result, recorded.remove(&answer.id.0)) {
            (Ok(reply), Some(kept)) => assert_eq!(reply.as_ref(), kept, "another answer than was recorded"),
            (Ok(_), None) => panic!("command {} was answered with success and is not there", answer.id.0),
            (Err(refusal), Some(_)) => {
                panic!("command {} was refused ({}) and took effect", answer.id.0, refusal.code)
            }
            (Err(_), None) => {}
        }
    }
    assert_eq!(recorded, BTreeMap::new(), "effects of commands that were never answered");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut cluster = play(seed, &steps);
        check(&mut cluster);
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
        let mut cluster = play(seed, &steps);
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
        // Others on Ann's node look at Bob in both tiers all the while: it needs no keyframe for her sake.
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
    // Another number of nodes, other homes: the same world.
    let mut cluster = Cluster::with_store(2, 6, cluster.store, world_ms + 3_600_000);
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
    // Everything in memory and on its way is gone: only the journal stays.
    let world_ms = cluster.world().0;
    let mut cluster = Cluster::with_store(3, 10, cluster.store, world_ms);
    let ann = cluster.connect_with("", 3, token);
    cluster.run_ms(800);
    let own = game::PlayerState::decode(cluster.clients[ann].own.as_ref()).expect("own state");
    assert!(own.bag >= done, "{} acknowledged, {} there", done, own.bag);
    cluster.check_pebbles();
}
