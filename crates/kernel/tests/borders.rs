//! Walking from chunk to chunk.

mod support;

use gundo_types::{Body, Point};
use support::cluster::Cluster;
use support::game::PlayerCommand;

/// Ann comes into a chunk in which nobody was before; its home, often another node, has to be asked first who looks there.
/// Every step is seen with the next tick all the same.
#[test]
fn a_step_into_another_chunk_is_seen_with_the_next_tick() {
    const CHUNK: i32 = 30_000;
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    // Just behind a border.
    let mut x = CHUNK - 100;
    cluster.command(ann, &PlayerCommand { jump: x - 15_000, ..Default::default() });
    for _ in 0..12 {
        // To the middle between two ticks.
        cluster.run_ms(3_000 - (cluster.world().0 + 50) % 100);
        let step = Body { at: Point::new(x + 200, 15_000), speed: 10, ..Body::default() };
        cluster.move_to(ann, step);
        // The tick, and a little for the way.
        cluster.run_ms(85);
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
