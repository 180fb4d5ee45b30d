//! Placed entities: who sees them, where they are real, and what they see.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_journal::Store;
use gundo_types::{Body, CHUNK_MM, ChunkId, EntityId, NodeId, Point, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{Batch, EventRecord, EventType, StreamAppend};
use support::cluster::Cluster;
use support::game::{self, LAND, LEDGER, PLAYER, PlayerCommand, STALL, StallCommand};

/// Where players enter.
const SQUARE: ChunkId = ChunkId { island: 0, x: 0, y: 0 };

fn ask(cluster: &mut Cluster, client: usize, stall: EntityId, command: StallCommand) {
    let command = PlayerCommand { stall: Some(command), whose: stall.id, ..Default::default() };
    cluster.command(client, &command);
}

fn set_up(cluster: &mut Cluster, client: usize, stall: EntityId, x: i32, sign: &str) {
    ask(cluster, client, stall, StallCommand { x, sign: sign.into(), ..Default::default() });
}

/// The sign of a stall as a client sees it, and the stall's distance east of its chunk's corner.
fn seen(cluster: &Cluster, client: usize, stall: EntityId) -> Option<(String, i32)> {
    let seen = cluster.clients[client].picture.entity(stall)?;
    let body = seen.body.expect("a stall has a body");
    assert_eq!((body.heading, body.speed), (3, 0), "it stands still");
    assert_eq!(body.chunk(), stall.chunk_of_placed());
    let sign = game::Sign::decode(seen.public.as_ref()).expect("a sign is text").text;
    Some((sign, body.at.x - body.chunk().corner().x))
}

fn sees(sign: &str, x: i32) -> Option<(String, i32)> {
    Some((sign.to_owned(), x))
}

/// Three nodes: the home of the square, and a player at each of the two others. Returns the home too.
fn two_strangers() -> (Cluster, [usize; 2], u16) {
    let mut cluster = Cluster::new(3, 1);
    let home = home_of_square(&cluster);
    let mut others = (1..=3).filter(|node| *node != home);
    let pair = ["ann", "bob"].map(|name| cluster.connect(name, others.next().expect("two others")));
    cluster.run_ms(600);
    (cluster, pair, home)
}

fn home_of_square(cluster: &Cluster) -> u16 {
    let node = cluster.nodes.values().next().expect("a node");
    node.home(game::land(SQUARE)).expect("members").0
}

#[test]
fn everybody_near_sees_it_wherever_they_are_connected() {
    let (mut cluster, pair, home) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(500);
    assert_eq!(cluster.owners(stall), [NodeId(home)], "it lives where its land lives");
    assert_eq!(cluster.owners(game::land(SQUARE)), [NodeId(home)]);
    for client in pair {
        assert_eq!(seen(&cluster, client, stall), sees("bread", 4_000));
    }
    let late = cluster.connect("cat", home);
    cluster.run_ms(600);
    assert_eq!(seen(&cluster, late, stall), sees("bread", 4_000));
    cluster.check_pictures();
}

#[test]
fn nothing_of_it_is_seen_before_it_is_durable() {
    let (mut cluster, pair, _) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    let mut before = None;
    for (x, sign) in [(4_000, "bread"), (9_000, "fish")] {
        cluster.stuck = true;
        set_up(&mut cluster, pair[0], stall, x, sign);
        for _ in 0..50 {
            cluster.run_ms(10);
            pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), before));
        }
        cluster.stuck = false;
        before = sees(sign, x);
        // Its sign comes with the next tick, its body with the motion of its tier.
        cluster.run_ms(400);
        pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), before));
    }
    ask(&mut cluster, pair[1], stall, StallCommand { close: true, ..Default::default() });
    cluster.run_ms(400);
    pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), None, "it is gone"));
    cluster.check_pictures();
}

/// Without an event the entity does not exist, whatever its state says.
#[test]
fn what_was_only_asked_about_is_not_there() {
    let (mut cluster, pair, _) = two_strangers();
    let stall = game::stall(SQUARE, 9);
    ask(&mut cluster, pair[0], stall, StallCommand::default());
    cluster.run_ms(500);
    let answer = cluster.clients[pair[0]].answers.last().expect("an answer");
    assert_eq!(answer.result.as_ref().err().map(|r| r.code.as_str()), Some("nothing"));
    assert_eq!(cluster.owners(stall).len(), 1, "it was loaded for the question");
    assert_eq!(seen(&cluster, pair[0], stall), None);
    cluster.run_ms(12_000);
    assert_eq!(cluster.owners(stall), [], "and nobody needs it any more");
}

#[test]
fn after_a_restart_the_journal_says_what_stands_there() {
    let (mut cluster, pair, _) = two_strangers();
    let far = ChunkId { island: 0, x: -3, y: 3 };
    let stalls = [game::stall(SQUARE, 0), game::stall(SQUARE, u8::MAX), game::stall(far, 3)];
    for (x, stall) in (1_000..).step_by(1_000).zip(stalls) {
        set_up(&mut cluster, pair[0], stall, x, "bread");
    }
    let unseen = game::stall(ChunkId { island: 0, x: 5, y: 0 }, 3);
    set_up(&mut cluster, pair[0], unseen, 4_000, "bread");
    cluster.run_ms(500);
    let mut again = Cluster::with_store(3, 2, std::mem::take(&mut cluster.disk.store), cluster.world().0);
    let pair = [again.connect("cat", 1), again.connect("dan", 2)];
    again.run_ms(1_000);
    for client in pair {
        for (x, stall) in (1_000..).step_by(1_000).zip(stalls) {
            assert_eq!(seen(&again, client, stall), sees("bread", x), "{stall}");
        }
        assert_eq!(seen(&again, client, unseen), None);
    }
    assert_eq!(again.owners(unseen), [], "nobody looks there");
    again.check_pictures();
    // A player goes there while the journal cannot be read.
    again.unreadable = true;
    again.command(pair[0], &PlayerCommand { jump: 3 * CHUNK_MM, ..Default::default() });
    again.run_ms(1_000);
    assert_eq!(seen(&again, pair[0], unseen), None);
    again.unreadable = false;
    again.run_ms(1_000);
    assert_eq!(seen(&again, pair[0], unseen), sees("bread", 4_000));
    again.check_pictures();
}

#[test]
fn it_follows_its_land_in_a_takeover() {
    let (mut cluster, pair, home) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(500);
    cluster.die(home);
    cluster.bury(home);
    assert!(cluster.run_until(5_000, |c| pair.iter().all(|p| seen(c, *p, stall).is_some())), "it is back");
    assert_ne!(cluster.owners(stall), [NodeId(home)]);
    assert_eq!(cluster.owners(stall), cluster.owners(game::land(SQUARE)));
    // It moves back when the node comes back.
    cluster.rise(home);
    cluster.run_ms(2_000);
    assert_eq!(cluster.owners(stall), [NodeId(home)]);
    assert_eq!(cluster.owners(game::land(SQUARE)), [NodeId(home)]);
    pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), sees("bread", 4_000)));
    cluster.check_pictures();
}

#[test]
fn it_follows_its_land_off_a_node_that_is_emptied() {
    let (mut cluster, pair, home) = two_strangers();
    let (stall, late) = (game::stall(SQUARE, 7), game::stall(SQUARE, 8));
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(500);
    // A stall is being set up at that moment.
    cluster.stuck = true;
    set_up(&mut cluster, pair[1], late, 5_000, "fish");
    cluster.run_ms(50);
    cluster.drain(home, true);
    cluster.run_ms(300);
    cluster.stuck = false;
    cluster.run_ms(2_000);
    assert!(cluster.stopped.contains(&NodeId(home)), "it is empty");
    for (stall, expected) in [(stall, sees("bread", 4_000)), (late, sees("fish", 5_000))] {
        assert_ne!(cluster.owners(stall), [NodeId(home)]);
        assert_eq!(cluster.owners(stall), cluster.owners(game::land(SQUARE)));
        pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), expected));
    }
    cluster.check_pictures();
}

/// The new home listed it while the old one still had it, and the next view came before the message that the old one released it.
#[test]
fn a_new_view_asks_again_what_stands_there() {
    let (mut cluster, pair, home) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(500);
    cluster.stuck = true;
    set_up(&mut cluster, pair[1], stall, 5_000, "fish");
    cluster.run_ms(50);
    cluster.drain(home, true);
    cluster.run_ms(300);
    let next = NodeId(home_of_square(&cluster));
    assert_eq!(cluster.owners(stall), [NodeId(home)], "its transaction has not ended");
    cluster.slow_links.insert((NodeId(home), next), 200_000);
    cluster.stuck = false;
    assert!(cluster.run_until(2_000, |c| c.owners(stall).is_empty()), "the word is in flight");
    cluster.bury(home);
    cluster.run_ms(1_000);
    assert_eq!(cluster.owners(stall), [next]);
    pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), sees("fish", 5_000)));
    cluster.check_pictures();
}

/// A new view in which no home changes: entities created since the first list stay.
#[test]
fn a_new_view_changes_nothing() {
    let (mut cluster, pair, home) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(500);
    cluster.next_view();
    for _ in 0..30 {
        cluster.run_ms(10);
        assert_eq!(cluster.owners(stall), [NodeId(home)]);
        pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), sees("bread", 4_000)));
    }
    cluster.check_pictures();
}

#[test]
fn it_rests_when_nobody_looks() {
    let (mut cluster, pair, _) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, pair[0], stall, 4_000, "bread");
    cluster.run_ms(20_000);
    assert_eq!(cluster.owners(stall).len(), 1, "somebody looks");
    pair.iter().for_each(|client| cluster.leave(*client));
    cluster.run_ms(13_000);
    for node in cluster.nodes.values() {
        assert_eq!(node.reals().count(), 0);
        assert_eq!((node.counters().chunks, node.counters().ghosts), (0, 0));
    }
}

/// What a chunk's home sees around it stays asleep: otherwise each chunk would wake the next.
#[test]
fn only_what_somebody_looks_at_is_loaded() {
    let mut cluster = Cluster::new(3, 1);
    cluster.connect("ann", 1);
    cluster.run_ms(3_000);
    let reals = cluster.nodes.values().flat_map(|node| node.reals().map(|r| r.id.kind));
    assert_eq!(reals.filter(|kind| *kind == LAND).count(), 49, "seven by seven chunks");
}

#[test]
fn outside_its_chunk_nobody_sees_it_and_operators_are_told() {
    let (mut cluster, pair, home) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    let misplaced = |cluster: &Cluster| {
        let counters = cluster.nodes[&NodeId(home)].counters();
        (counters.misplaced, counters.game_panics, counters.suspended)
    };
    for (x, expected, told) in
        [(4_000, true, 0), (CHUNK_MM, false, 1), (-1, false, 1), (CHUNK_MM - 10, true, 1), (-1, false, 2)]
    {
        set_up(&mut cluster, pair[0], stall, x, "bread");
        cluster.run_ms(2_500);
        let expected = if expected { sees("bread", x) } else { None };
        pair.iter().for_each(|client| assert_eq!(seen(&cluster, *client, stall), expected, "at {x}"));
        assert_eq!(misplaced(&cluster), (told, 0, 0), "at {x}");
    }
    cluster.check_pictures();
}

/// A chunk has room for 256 of a kind, and shows them all, also when most are closed.
#[test]
fn a_chunk_shows_all_of_a_kind() {
    let mut store = Store::new();
    let incarnation = store.join();
    for number in 0..=255 {
        let payload = StallCommand { sign: "bread".into(), close: number % 8 > 0, ..Default::default() };
        let payload = payload.encode_to_vec().into();
        let (at, cause) = (WorldTime(1), Bytes::new());
        let events = vec![EventRecord { at, cause, event_type: EventType::Game, payload }];
        let entity = game::stall(SQUARE, number);
        let streams = vec![StreamAppend { entity, load: 1, after: 0, events, snapshot: None, wake: None }];
        let (prepared_by, names) = (Vec::new(), Vec::new());
        let id = u64::from(number);
        let node = NodeId(1);
        store.commit_group(vec![Batch { id, node, incarnation, generation: 0, prepared_by, streams, names }]);
    }
    let mut cluster = Cluster::with_store(3, 1, store, 1_000_000);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(1_500);
    let stalls = cluster.clients[ann].picture.entities().filter(|(id, _)| id.kind == STALL);
    let numbers: Vec<_> = stalls.map(|(id, _)| id.number_of_placed()).collect();
    assert_eq!(numbers, (0..256).step_by(8).collect::<Vec<_>>());
}

// ---- what is near --------------------------------------------------------------------------------------

/// What each of several entities sees near: never itself, others once, and the same on any number of nodes.
#[test]
fn what_is_near_does_not_depend_on_the_number_of_nodes() {
    let expected = [
        ("stall", vec!["ann", "bob", "next stall"]),
        ("land", vec!["ann", "bob", "next stall", "stall"]),
        ("player", vec!["bob", "next stall", "stall"]),
        ("ledger", vec![]),
        // 150 m away: it sees its own surroundings.
        ("far stall", vec!["dan"]),
        // Nobody looks there.
        ("unseen land", vec![]),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().collect();
    for (nodes, ann) in [(1, 1), (3, 1), (3, 2), (3, 3)] {
        assert_eq!(what_is_near(nodes, ann), expected, "{nodes} nodes, ann at node {ann}");
    }
}

fn what_is_near(nodes: u16, ann: u16) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut cluster = Cluster::new(nodes, 1);
    let at = |shift: u16| (ann - 1 + shift) % nodes + 1;
    let people = [("ann", 0), ("bob", 1), ("dan", 2)].map(|(n, shift)| (n, cluster.connect(n, at(shift))));
    let [ann, _, dan] = people.map(|(_, client)| client);
    cluster.run_ms(600);
    let far = ChunkId { island: 0, x: 5, y: 0 };
    cluster.command(dan, &PlayerCommand { jump: 5 * CHUNK_MM, ..Default::default() });
    let stalls = [
        ("stall", game::stall(SQUARE, 7), 20_000),
        ("next stall", game::stall(ChunkId { x: 1, ..SQUARE }, 0), 1_000),
        // In sight of ann, but not near.
        ("third stall", game::stall(ChunkId { x: 2, ..SQUARE }, 0), 1_000),
        ("far stall", game::stall(far, 7), 20_000),
    ];
    for (_, stall, x) in stalls {
        set_up(&mut cluster, ann, stall, x, "bread");
    }
    cluster.run_ms(1_000);
    let players = people.map(|(name, client)| (cluster.player(client).to_string(), name));
    let names = stalls.map(|(name, stall, _)| (stall.to_string(), name));
    let names: BTreeMap<_, _> = players.into_iter().chain(names).collect();
    let asked = [
        ("stall", stalls[0].1),
        ("land", game::land(SQUARE)),
        ("player", EntityId::new(PLAYER, 0)),
        ("ledger", EntityId::new(LEDGER, 5)),
        ("far stall", stalls[3].1),
        ("unseen land", game::land(ChunkId { y: 40, ..SQUARE })),
    ];
    let mut near = BTreeMap::new();
    for (name, id) in asked {
        let (near_mm, whose, whose_kind) = (100_000, id.id, u32::from(id.kind.0));
        cluster.command(ann, &PlayerCommand { near_mm, whose, whose_kind, ..Default::default() });
        cluster.run_ms(300);
        let answer = cluster.clients[ann].answers.last().expect("an answer").result.as_ref();
        let ids = said_near(answer.expect("it is told"));
        let mut named: Vec<_> = ids.iter().map(|id| *names.get(id).expect("it has a name")).collect();
        named.sort_unstable();
        near.insert(name, named);
    }
    near
}

/// Nobody looks from the home of the square, but it sees each step all the same.
#[test]
fn who_walks_is_near_where_it_is_now() {
    let (mut cluster, [ann, bob], _) = two_strangers();
    let stall = game::stall(SQUARE, 7);
    set_up(&mut cluster, ann, stall, 15_000, "bread");
    cluster.run_ms(500);
    let people = [ann, bob].map(|client| cluster.player(client).to_string());
    for (y, expected) in [(4_500, true), (6_000, false), (4_500, true), (6_000, false)] {
        cluster.walk(bob, Point::new(15_000, y));
        let ask = PlayerCommand { near_mm: 5_000, whose: stall.id, whose_kind: 3, ..Default::default() };
        cluster.command(ann, &ask);
        cluster.run_ms(100);
        let answer = cluster.clients[ann].answers.last().expect("an answer").result.as_ref();
        let ids = said_near(answer.expect("it is told"));
        assert_eq!(ids.contains(&people[1]), expected, "at {y}");
        assert!(!ids.contains(&people[0]));
    }
}

/// During a handoff both nodes show the player: it is near only once.
#[test]
fn who_changes_its_node_is_near_once() {
    let mut cluster = Cluster::following(3, 1, 1_000);
    let [ann, bob] = ["ann", "bob"].map(|name| cluster.connect(name, 1));
    cluster.run_ms(600);
    let (far, new) = cluster.far_place(&[NodeId(1)]).expect("other nodes have land");
    for one in [ann, bob] {
        let jump = far.corner().x + 15_000 - 15_000;
        cluster.command(one, &PlayerCommand { jump, ..Default::default() });
    }
    let place = Point::new(far.corner().x + 15_000, 15_000);
    let stall = game::stall(Body { at: place, ..Body::default() }.chunk(), 7);
    set_up(&mut cluster, ann, stall, 14_000, "bread");
    cluster.run_ms(500);
    let both = [ann, bob].map(|client| cluster.player(client).to_string());
    let mut handed_over = false;
    for _ in 0..200 {
        let ask = PlayerCommand { near_mm: 30_000, whose: stall.id, whose_kind: 3, ..Default::default() };
        let before = cluster.clients[ann].answers.len();
        cluster.command(ann, &ask);
        cluster.run_ms(25);
        handed_over |= cluster.owners(cluster.player(bob)) == [new];
        for answer in &cluster.clients[ann].answers[before..] {
            let near = answer.result.as_ref().expect("it is told");
            let mut ids = said_near(near);
            ids.sort_unstable();
            let mut expected = both.clone();
            expected.sort_unstable();
            assert_eq!(ids, expected);
        }
    }
    assert!(handed_over);
}

/// The entities near, according to an answer.
fn said_near(answer: &Bytes) -> Vec<String> {
    let reply = game::LandReply::decode(answer.as_ref()).expect("an answer");
    reply.near.expect("it says what is near").ids
}
