//! Land that many ask at once: its own node appends their transactions, one on top of the other.

mod support;

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use gundo_kernel::{Peer, TxMessage};
use gundo_types::{ChunkId, NodeId};
use support::cluster::{Cluster, Fate, Fault, Strike};
use support::game;

/// The land that the tests ask lives here.
const HOME: u16 = 2;
/// One that is never lost, and nobody's edge.
const WITNESS: u16 = 5;

fn land_of(cluster: &Cluster, home: u16) -> ChunkId {
    let node = cluster.nodes.values().next().expect("a node");
    let is_there = |chunk: &ChunkId| node.home(game::land(*chunk)) == Some(NodeId(home));
    ChunkId::default().around(40).find(is_there).expect("it is home of some land")
}

/// Six players on three nodes, two of them where the land is, and the land, loaded.
fn gathered(seed: u64) -> (Cluster, ChunkId) {
    let mut cluster = Cluster::new(WITNESS, seed);
    for n in 0..6 {
        cluster.connect(&format!("p{n}"), 1 + n % 3);
    }
    cluster.run_ms(600);
    let chunk = land_of(&cluster, HOME);
    cluster.take(0, chunk, 1);
    cluster.run_ms(500);
    (cluster, chunk)
}

fn is(message: &Peer, what: fn(&TxMessage) -> bool) -> bool {
    matches!(message, Peer::Transaction { message, .. } if what(message))
}

fn wants_to_append(message: &Peer) -> bool {
    is(message, |m| matches!(m, TxMessage::Prepared(prepared) if prepared.appends))
}

fn concludes(message: &Peer) -> bool {
    is(message, |m| matches!(m, TxMessage::Conclude(_)))
}

fn has_concluded(message: &Peer) -> bool {
    is(message, |m| matches!(m, TxMessage::Concluded(_)))
}

#[test]
fn its_node_appends_one_on_top_of_the_other() {
    let (mut cluster, chunk) = gathered(1);
    let (said, heard) = channel();
    let look = move |_, _, message: &Peer| {
        let step = i32::from(concludes(message)) - i32::from(has_concluded(message));
        said.send(step).expect("the test is listening");
        false
    };
    cluster.strike = Some(Strike { at: Box::new(look), fate: Fate::Lost, struck: None });
    for _ in 0..3 {
        (0..6).for_each(|client| cluster.take(client, chunk, 1));
        cluster.run_ms(500);
    }
    for client in 0..6 {
        let answers = &cluster.clients[client].answers;
        assert!(answers.len() >= 3 && answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    }
    // How many were given to the node and had not ended.
    let (mut now, mut most) = (0, 0);
    for step in heard.try_iter() {
        now += step;
        most = now.max(most);
    }
    assert!(now == 0 && most >= 2, "{now} under way, {most} at most");
    cluster.check_pebbles();
}

/// Nobody hears of anything before it has landed: not the success that waits, nor a refusal because of what waits.
#[test]
fn nothing_is_said_before_it_has_landed() {
    let (mut cluster, chunk) = gathered(1);
    // The last one's bag has no room for that many more.
    for home in [3, 4] {
        let other = land_of(&cluster, home);
        cluster.take(5, other, game::STOCK as i32);
        cluster.run_ms(500);
    }
    let before: Vec<_> = cluster.clients.iter().map(|client| client.answers.len()).collect();
    let news = |cluster: &Cluster| -> Vec<_> {
        cluster.clients.iter().zip(&before).map(|(client, before)| client.answers.len() - before).collect()
    };
    cluster.stuck = true;
    for client in [0, 1, 2, 5] {
        let take = if client == 5 { (game::BAG_MAX - 2 * game::STOCK) as i32 + 1 } else { 1 };
        cluster.take(client, chunk, take);
        cluster.run_ms(20);
    }
    assert_eq!(news(&cluster), [0; 6]);
    // The first lands, and the others are given to the land's node.
    cluster.commit_one();
    cluster.run_ms(100);
    assert_eq!(news(&cluster), [1, 0, 0, 0, 0, 0]);
    cluster.stuck = false;
    cluster.run_ms(600);
    assert_eq!(news(&cluster), [1, 1, 1, 0, 0, 1]);
    assert!(cluster.clients[5].answers.last().is_some_and(|answer| answer.result.is_err()));
    cluster.check_pebbles();
}

/// What the land's node could not append is decided again, at once.
#[test]
fn what_it_cannot_append_is_decided_again() {
    let (mut cluster, chunk) = gathered(1);
    cluster.stuck = true;
    for client in [0, 1, 2, 3] {
        cluster.take(client, chunk, 1);
        cluster.run_ms(20);
    }
    // The first lands, the second is given to the land's node and does not land, and the others build on it.
    cluster.commit_one();
    let slow = (NodeId(1), NodeId(HOME));
    cluster.slow_links.insert(slow, 100);
    cluster.run_ms(20);
    cluster.faults.push_back(Fault::Rejected);
    cluster.commit_one();
    cluster.run_ms(20);
    cluster.stuck = false;
    cluster.slow_links.clear();
    cluster.run_ms(1_500);
    let answers: Vec<_> = (0..4).map(|client| cluster.clients[client].answers.len()).collect();
    assert_eq!(answers, [2, 1, 1, 1]);
    cluster.check_pebbles();
}

/// An arrow: its name, and which messages it is.
type Arrow = (&'static str, fn(&Peer) -> bool);

const ARROWS: [Arrow; 3] =
    [("prepared", wants_to_append), ("conclude", concludes), ("concluded", has_concluded)];

/// At each arrow a message is lost with its link, or a node dies: everything takes effect in both or in neither, once, and
/// everybody goes on.
#[test]
fn a_node_or_a_message_lost_at_each_arrow() {
    let mut struck = BTreeSet::new();
    for (name, at) in ARROWS {
        for fate in [Fate::Lost, Fate::SenderDies, Fate::SentByTheDead, Fate::ReceiverDies] {
            for seed in 1..=2 {
                if one_strike(at, fate, seed, &format!("{name}, {fate:?}, seed {seed}")) {
                    struck.insert(name);
                }
            }
        }
    }
    assert_eq!(struck.len(), ARROWS.len(), "an arrow never happened");
}

fn one_strike(at: fn(&Peer) -> bool, fate: Fate, seed: u64, what: &str) -> bool {
    let (mut cluster, chunk) = gathered(seed);
    let (picked, receivers) = channel();
    let pick = move |from, to, message: &Peer| {
        let is_it = at(message) && from != to;
        if is_it {
            picked.send(to).expect("the test is listening");
        }
        is_it
    };
    cluster.strike = Some(Strike { at: Box::new(pick), fate, struck: None });
    for _ in 0..3 {
        (0..6).for_each(|client| cluster.take(client, chunk, 1));
        cluster.run_ms(50);
    }
    cluster.run_ms(300);
    let Some(dead) = cluster.strike.take().and_then(|strike| strike.struck) else { return false };
    if fate == Fate::Lost {
        // Nothing that must arrive is lost alone.
        let to = receivers.try_recv().expect("it was picked");
        cluster.lose_link(dead, to);
        cluster.lose_link(to, dead);
    } else {
        cluster.run_ms(500);
        cluster.bury(dead.0);
    }
    cluster.run_ms(3_500);
    assert!(cluster.run_until(30_000, Cluster::is_settled), "{what}: it does not settle");
    cluster.check_pebbles();
    for client in (0..6).filter(|n| fate == Fate::Lost || NodeId(1 + n % 3) != dead) {
        let client = usize::from(client);
        let answers = cluster.clients[client].answers.len();
        assert!(answers >= 3, "{what}: {answers} answers for {client}");
        cluster.take(client, chunk, 1);
        cluster.run_ms(1_500);
        let more = &cluster.clients[client].answers;
        assert!(more.len() > answers, "{what}: {client} does not go on");
    }
    true
}

/// Many parts were answered behind one append, and it fails: no more of them wait again than may wait. The youngest hear *Busy*, and ask
/// again.
#[test]
fn parts_given_up_keep_to_the_limit() {
    // As the test cluster has it.
    const WAITING_MAX: usize = 3;
    let (mut cluster, chunk) = gathered(1);
    cluster.stuck = true;
    for client in [0, 1, 2] {
        cluster.take(client, chunk, 1);
        cluster.run_ms(20);
    }
    // The first lands, and the land's node appends the others. Behind those it refuses what is too much.
    cluster.commit_one();
    cluster.run_ms(100);
    for client in [3, 4, 5, 0] {
        cluster.take(client, chunk, game::STOCK as i32 + 1);
        cluster.run_ms(20);
    }
    let waiting = |cluster: &Cluster| {
        let home = &cluster.nodes[&NodeId(HOME)];
        home.reals().find(|real| real.id == game::land(chunk)).map_or(0, |real| real.waiting)
    };
    assert_eq!(waiting(&cluster), 0, "all have an answer that waits for the journal");
    cluster.faults.push_back(Fault::Rejected);
    cluster.stuck = false;
    let mut most = 0;
    for _ in 0..200 {
        cluster.run_ms(1);
        most = most.max(waiting(&cluster));
    }
    assert_eq!(most, WAITING_MAX, "they wait again, as many as may");
    assert!(cluster.run_until(10_000, Cluster::is_settled), "it does not settle");
    for client in [0, 3, 4, 5] {
        let last = cluster.clients[client].answers.last();
        assert!(
            last.is_some_and(|answer| answer.result.is_err()),
            "{client} wanted too much, and hears that"
        );
    }
    cluster.check_pebbles();
}

/// Each of these stories fails with the mistake that it is about.
#[cfg(feature = "planted")]
#[test]
fn mistakes_are_seen() {
    use gundo_types::Planted;
    support::cluster::each_is_seen(&[
        (Planted::ConcludedEarly, nothing_is_said_before_it_has_landed),
        (Planted::RefusesOnTop, nothing_is_said_before_it_has_landed),
        (Planted::AppenderForgotten, a_node_or_a_message_lost_at_each_arrow),
    ]);
}
