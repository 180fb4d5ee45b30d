//! One entity that everybody asks, in the simulator: with every fault, and with each planted bug.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_sim::{Dial, Game, Overrides, Plan, run};
use gundo_types::Planted;

use crate::board::Asking;
use crate::small::{first_of, holds};

/// Faults that hit an append that a node makes for others.
fn plan(seed: u64) -> Plan {
    let dials = [
        (Dial::NodeCrash, Some(20)),
        (Dial::Slow, Some(20)),
        (Dial::Reject, Some(30)),
        (Dial::UnknownLost, Some(20)),
        (Dial::UnknownLanded, Some(20)),
        (Dial::Forget, Some(20)),
    ];
    let shape = Overrides {
        nodes: Some(3),
        clients: Some(12),
        dials: Some(BTreeMap::from(dials)),
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
    let all = [
        Planted::RefusesOnTop,
        Planted::AppenderForgotten,
        Planted::ConcludeUnanswered,
        Planted::ConcludedEarly,
    ];
    for planted in all {
        first_of(planted, 60, |seed, planted| run(&plan(seed), &game, planted, None).failure);
    }
}

#[test]
fn old_words_about_connections_are_found() {
    let game: Arc<dyn Game> = Arc::new(Asking);
    let dials = [
        (Dial::Forget, Some(240)),
        (Dial::Drain, Some(20)),
        (Dial::Elsewhere, Some(60)),
        (Dial::Delay, Some(200)),
    ];
    let shape = Overrides {
        nodes: Some(4),
        clients: Some(16),
        dials: Some(BTreeMap::from(dials)),
        fault_ms: Some(15_000),
        ..Overrides::default()
    };
    let plan = |seed| {
        let mut plan = Plan::new(seed, &shape);
        (plan.travellers, plan.crowd) = (10, 0);
        (plan.world.follow_after_ms, plan.world.tract_chunks, plan.world.grace_ms) = (1, 1, 500);
        plan
    };
    first_of(Planted::OldGoneBelieved, 60, |seed, planted| run(&plan(seed), &game, planted, None).failure);
}
