//! One entity that everybody asks, in the simulator: with every fault, and with each planted bug.

use std::sync::Arc;

use gundo_sim::{Dial, Game, Overrides, Plan, run};
use gundo_types::Planted;

use crate::board::Asking;
use crate::small::{first_of, holds};

/// Nodes die while they append for others.
const DEATHS: [(Dial, Option<u32>); 6] = [
    (Dial::NodeCrash, Some(20)),
    (Dial::Slow, Some(20)),
    (Dial::Reject, Some(30)),
    (Dial::UnknownLost, Some(20)),
    (Dial::UnknownLanded, Some(20)),
    (Dial::Forget, Some(20)),
];
/// What a coordinator has decided comes late, when the append before it has failed. Nobody dies, so nothing else frees the coordinator.
const REFUSALS: [(Dial, Option<u32>); 3] =
    [(Dial::Delay, Some(300)), (Dial::Reject, Some(120)), (Dial::UnknownLost, Some(60))];

/// Twelve players who ask one board on three nodes.
fn plan(seed: u64, dials: &[(Dial, Option<u32>)]) -> Plan {
    let shape = Overrides {
        nodes: Some(3),
        clients: Some(12),
        dials: Some(dials.iter().copied().collect()),
        fault_ms: Some(15_000),
        ..Overrides::default()
    };
    let mut plan = Plan::new(seed, &shape);
    // A coordinator whose snapshot is due appends itself.
    plan.world.snapshot_every = 50;
    plan.world.limits.waiting_per_entity_max = 16;
    plan
}

#[test]
fn a_hot_board_holds_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Asking);
    let effects = holds(&game, |report| report.counts.effects);
    assert!(effects > 300, "{effects} effects");
}

#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Asking);
    let all: [(Planted, &[_]); 4] = [
        (Planted::RefusesOnTop, &DEATHS),
        (Planted::AppenderForgotten, &DEATHS),
        (Planted::ConcludedEarly, &DEATHS),
        (Planted::ConcludeUnanswered, &REFUSALS),
    ];
    for (planted, dials) in all {
        first_of(planted, 100, |seed, planted| run(&plan(seed, dials), &game, planted, None).failure);
    }
}
