//! Walking from chunk to chunk.

mod support;

use gundo_kernel::Peer;
use gundo_types::{Body, NodeId, Point};
use support::cluster::{Cluster, Fate, Strike};
use support::game::PlayerCommand;

/// Ann enters a chunk where nobody was before. Her node must first ask its home, often another node, who looks there.
/// Every step is seen with the next tick all the same.
#[test]
fn a_step_into_another_chunk_is_seen_with_the_next_tick() {
    step_over_borders(50);
}

/// The answer of the home comes after the tick, but before edges have flushed that tick.
#[test]
fn and_so_is_one_right_before_it() {
    step_over_borders(3);
}

/// Ann sends each step `before_ms` before a tick.
fn step_over_borders(before_ms: u64) {
    const CHUNK: i32 = 30_000;
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    // Just behind a border.
    let mut x = CHUNK - 100;
    cluster.command(ann, &PlayerCommand { jump: x - 15_000, ..Default::default() });
    for _ in 0..12 {
        cluster.run_ms(3_000 - (cluster.world().0 + before_ms) % 100);
        let step = Body { at: Point::new(x + 200, 15_000), speed: 10, ..Body::default() };
        cluster.move_to(ann, step);
        // The tick, and a little for the network.
        cluster.run_ms(before_ms + 35);
        let me = cluster.player(ann);
        let seen = cluster.clients[ann].picture.entity(me).and_then(|e| e.body);
        assert_eq!(
            seen.map(|b| b.at),
            Some(step.at),
            "by herself, {} ms into a tick",
            cluster.world().0 % 100
        );
        cluster.command(ann, &PlayerCommand { jump: CHUNK - 200, ..Default::default() });
        x += CHUNK;
    }
}

/// A bundle with news of one chunk is lost, of twenty-five that somebody stands in: only that chunk's keyframe is sent again.
#[test]
fn one_lost_bundle_costs_the_keyframes_of_what_was_in_it() {
    const CHUNK: i32 = 30_000;
    let mut cluster = Cluster::new(2, 1);
    let bob = cluster.connect("bob", 2);
    let crowd: Vec<_> = (0..25).map(|n| cluster.connect(&format!("ann{n}"), 1)).collect();
    cluster.run_ms(1_000);
    for (client, n) in crowd.iter().zip(0..) {
        let to = Point::new((n % 5 - 2) * CHUNK + 15_000, (n / 5 - 2) * CHUNK + 15_000);
        cluster.clients[*client].body.at = to;
        let body = cluster.clients[*client].body;
        // One chunk in each jump, as far as the game allows.
        cluster.command(*client, &PlayerCommand { jump: to.x - 15_000, ..Default::default() });
        cluster.move_to(*client, body);
    }
    cluster.hold();
    cluster.run_ms(3_000);
    cluster.check_pictures();
    let shown: std::collections::BTreeSet<_> =
        cluster.nodes[&NodeId(1)].reals().filter_map(|real| real.shown.map(|(chunk, ..)| chunk)).collect();
    assert!(shown.len() >= 5, "they stand in {} chunks", shown.len());
    let is_bundle = |from, to, message: &Peer| {
        from == NodeId(1) && to == NodeId(2) && matches!(message, Peer::Frames { .. })
    };
    cluster.strike = Some(Strike { at: Box::new(is_bundle), fate: Fate::Lost, struck: None });
    let before = cluster.keyframes;
    for step in 0..30 {
        let mut body = cluster.clients[crowd[0]].body;
        body.at.x += if step % 2 == 0 { 100 } else { -100 };
        cluster.move_to(crowd[0], body);
        cluster.run_ms(100);
    }
    let lost = cluster.strike.as_ref().is_some_and(|strike| strike.struck.is_some());
    assert!(lost && cluster.clients[bob].session.is_live());
    let sent = cluster.keyframes - before;
    assert!((1..=2).contains(&sent), "{sent} keyframes for one lost bundle");
    cluster.check_pictures();
}

/// Two players walk into the land of another node and are handed over: neither disappears for a moment, nor stands still.
#[test]
fn who_is_handed_over_stays_in_sight() {
    let mut cluster = Cluster::following(3, 1, 1_000);
    let pair = [cluster.connect("ann", 1), cluster.connect("bob", 1)];
    cluster.run_ms(600);
    let at_home = |cluster: &Cluster| {
        let node = &cluster.nodes[&NodeId(1)];
        pair.iter().all(|client| node.holds(cluster.player(*client)))
    };
    let (far, new) = cluster.far_place(&[NodeId(1)]).expect("other nodes have land");
    for one in pair {
        cluster.command(one, &PlayerCommand { jump: far.corner().x, ..Default::default() });
    }
    cluster.run_ms(500);
    assert!(at_home(&cluster));
    // The old owner hears that it is not the owner any more before the new one hears that it is.
    for node in (1..=3).map(NodeId).filter(|node| *node != new) {
        cluster.slow_links.insert((node, new), 130_000);
    }
    let mut handed_over = false;
    for ms in 0..5_000 {
        cluster.run_ms(1);
        handed_over |= !at_home(&cluster);
        for one in pair {
            for other in pair {
                let id = cluster.player(other);
                assert!(
                    cluster.clients[one].picture.entity(id).is_some(),
                    "client {one} does not see {other} after {ms} ms"
                );
            }
        }
    }
    assert!(handed_over);
}
