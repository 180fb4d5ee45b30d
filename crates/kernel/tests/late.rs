//! A walker's line stalls: what docs/protocol.md promises ("Moves that come late"), in seconds and millimetres.
//!
//! Everything is on a virtual clock. A player of this game walks 5,000 mm/s at most.

mod support;

use gundo_types::{Body, Point};
use support::cluster::Cluster;

/// What anybody may walk.
const MM_PER_S: i32 = 5_000;
/// A way that everybody saves up: one second's.
const SAVED_MM: i32 = MM_PER_S;
/// A step of a walk: 330 mm to each of east and south, 467 mm, in 100 ms.
const STEP_MM: i32 = 330;
/// A correction and the next move pass each other for so long, ms: the round trip of these clients, and a tick.
const ROUND_TRIP_MS: u64 = 200;

/// Ann walks, and Bob sees her, from another node.
struct Walk {
    cluster: Cluster,
    ann: usize,
    bob: usize,
}

impl Walk {
    fn begin() -> Self {
        let mut cluster = Cluster::new(3, 1);
        let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
        cluster.run_ms(3_000);
        Self { cluster, ann, bob }
    }

    /// From now on what she says arrives only after so long, all at once.
    fn stall(&mut self, ms: u64) {
        let until = self.cluster.now + ms * 1_000;
        self.cluster.stalled.insert(self.ann, until);
    }

    fn claims(&self) -> Point {
        self.cluster.clients[self.ann].body.at
    }

    /// Where the server has her, as Bob sees it: to within the unit of positions in frames.
    fn is_seen(&self) -> Point {
        let ann = self.cluster.player(self.ann);
        let seen = self.cluster.clients[self.bob].picture.entity(ann).expect("in sight");
        seen.body.expect("players have bodies").at
    }

    fn corrections(&self) -> usize {
        self.cluster.clients[self.ann].corrections.len()
    }

    /// How far she is from where the server has her, mm.
    fn lost_mm(&self) -> u64 {
        self.claims().distance(self.is_seen())
    }

    /// She stands still, and says so: nothing of an earlier silence is left.
    fn settle(&mut self) {
        for _ in 0..30 {
            self.leap(0);
            self.cluster.run_ms(200);
        }
        self.leap(0);
    }

    /// One move to the east of where she stands, of this length.
    fn leap(&mut self, mm: i32) {
        let from = self.cluster.clients[self.ann].body;
        let body = Body { at: Point::new(from.at.x + mm, from.at.y), ..from };
        self.cluster.clients[self.ann].body = body;
        self.cluster.move_to(self.ann, body);
    }
}

/// Half a unit of positions in frames, in both directions.
const ROUNDED_MM: u64 = 15;

/// A stall of 1 s and one of 3 s cost a walker nothing: every late move counts, and nobody is corrected.
#[test]
fn a_stall_of_1_s_and_of_3_s_costs_0_mm() {
    for stall_ms in [1_000, 3_000] {
        let mut walk = Walk::begin();
        let start = walk.claims();
        walk.cluster.stroll(walk.ann, 10);
        walk.stall(stall_ms);
        walk.cluster.stroll(walk.ann, stall_ms as i32 / 100);
        // The others have seen nothing of it until then.
        walk.cluster.run_ms(300);
        let steps = 10 + stall_ms as i32 / 100;
        let goal = Point::new(start.x + steps * STEP_MM, start.y + steps * STEP_MM);
        assert_eq!(walk.claims(), goal, "{stall_ms} ms: she goes where she wants");
        assert!(walk.lost_mm() <= ROUNDED_MM, "{stall_ms} ms: {} mm are lost", walk.lost_mm());
        assert_eq!(walk.corrections(), 0, "{stall_ms} ms");
        // And on, at the same pace.
        walk.cluster.stroll(walk.ann, 20);
        walk.cluster.run_ms(300);
        assert!(walk.lost_mm() <= ROUNDED_MM && walk.corrections() == 0, "{stall_ms} ms, and on");
    }
}

/// The credit of a silence is its own way and a second's, and no more; beyond 4 s it does not grow.
#[test]
fn the_credit_is_the_way_of_the_silence_and_of_a_second() {
    for (stall_ms, credit_ms) in [(0, 1_000), (1_000, 2_000), (3_000, 4_000), (4_000, 5_000), (6_000, 5_000)]
    {
        let most = credit_ms * MM_PER_S / 1_000;
        // What a silence is measured with: the last word before it, the next one behind it.
        for (mm, passes) in [(most - 50, true), (most + MM_PER_S / 4, false)] {
            let mut walk = Walk::begin();
            walk.settle();
            if stall_ms > 0 {
                walk.stall(stall_ms);
            }
            walk.leap(mm);
            walk.cluster.run_ms(stall_ms + 500);
            let corrected = usize::from(!passes);
            assert_eq!(walk.corrections(), corrected, "{stall_ms} ms of silence, {mm} mm of at most {most}");
            assert!(walk.lost_mm() <= ROUNDED_MM, "she knows where she is");
            // Nothing is left of it.
            if passes && stall_ms > 0 {
                walk.leap(SAVED_MM + MM_PER_S / 2);
                walk.cluster.run_ms(300);
                assert_eq!(walk.corrections(), 1, "{stall_ms} ms: it counts once");
            }
        }
    }
}

/// After 8 s on the way she has gone further than anybody may save up. She hears so once, whatever else was under way: at most one
/// correction per round trip.
#[test]
fn too_long_a_stall_brings_one_correction_per_round_trip() {
    let mut walk = Walk::begin();
    walk.cluster.stroll(walk.ann, 10);
    walk.stall(8_000);
    walk.cluster.stroll(walk.ann, 80);
    walk.cluster.run_ms(ROUND_TRIP_MS + 300);
    assert_eq!(walk.corrections(), 1, "eighty moves were late");
    assert!(walk.lost_mm() <= ROUNDED_MM, "and she stands where the server has her");
    // She walks into it again and again: one correction for each of her mistakes, and one round trip between two at least.
    for again in 1..=5 {
        walk.leap(3 * SAVED_MM);
        for _ in 0..10 {
            walk.leap(STEP_MM);
        }
        walk.cluster.run_ms(ROUND_TRIP_MS);
        assert!(walk.corrections() <= 1 + again, "{} after {again} mistakes", walk.corrections());
    }
    walk.cluster.run_ms(1_000);
    assert!(walk.lost_mm() <= ROUNDED_MM);
    walk.cluster.check_pictures();
}
