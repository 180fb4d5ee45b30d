//! How often motion is published at each level of overload, to near, middle and far viewers.

mod support;

use gundo_types::{Body, NodeId, Point};
use support::cluster::Cluster;
use support::game::PlayerCommand;

/// Ticks of a measurement: a multiple of every period.
const TICKS: u64 = 120;

/// Motion frames of one node at `level` while Ann walks for [`TICKS`] and Bob stands `chunks_away`.
fn frames(level: u32, chunks_away: i32) -> u64 {
    let mut cluster = Cluster::new(1, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 1));
    cluster.run_ms(600);
    // A chunk whose slow tiers are due in odd ticks: a dilated node publishes those in the next.
    cluster.command(ann, &PlayerCommand { jump: 30_000, ..Default::default() });
    cluster.command(bob, &PlayerCommand { jump: 30_000 * (1 + chunks_away), ..Default::default() });
    cluster.hold();
    cluster.run_ms(10_000);
    cluster.load(1, 1_000, level);
    cluster.run_ms(1_000);
    let told = |cluster: &Cluster| cluster.nodes[&NodeId(1)].counters().frames;
    let before = told(&cluster);
    for step in 0..TICKS as i32 {
        let at = Point::new(45_000 + 100 * (step % 2), 15_000);
        cluster.move_to(ann, Body { at, speed: 10, ..Body::default() });
        cluster.run_ms(100);
    }
    assert_eq!(cluster.nodes[&NodeId(1)].counters().overload_level, u64::from(level));
    assert_eq!(cluster.clients[ann].corrections, ["moved"], "by the jump: she walks as fast as ever");
    told(&cluster) - before
}

#[test]
fn what_is_far_is_told_less_often_first_then_what_is_farther_then_everything() {
    // Ann sees herself in the near tier in each row; that alone is a frame in each tick, or in every second one.
    let near = [0, 1, 2, 3, 4].map(|level| frames(level, 0));
    assert_eq!(near, [TICKS, TICKS, TICKS, TICKS / 2, TICKS / 2]);
    let middle = [0, 1, 2, 3, 4].map(|level| frames(level, 2));
    assert_eq!(
        middle,
        [
            TICKS + TICKS / 3,
            TICKS + TICKS / 3,
            TICKS + TICKS / 6,
            TICKS / 2 + TICKS / 6,
            TICKS / 2 + TICKS / 6
        ]
    );
    let far = [0, 1, 2, 3, 4].map(|level| frames(level, 3));
    assert_eq!(
        far,
        [
            TICKS + TICKS / 10,
            TICKS + TICKS / 20,
            TICKS + TICKS / 20,
            TICKS / 2 + TICKS / 20,
            TICKS / 2 + TICKS / 20
        ]
    );
}
