//! Timers in the simulator: with every fault, and with each planted bug.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_sim::{Dial, Game, Overrides, Plan, run};
use gundo_types::Planted;

use crate::savings::Savings;

const SEEDS: u64 = 40;

/// Three nodes and six players, for a while; the seed chooses the faults.
fn shape(fault_ms: u64) -> Overrides {
    Overrides { nodes: Some(3), clients: Some(6), fault_ms: Some(fault_ms), ..Overrides::default() }
}

#[test]
fn timers_ring_once_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let every =
        Overrides { dials: Some(Dial::ALL.map(|dial| (dial, None)).into_iter().collect()), ..shape(8_000) };
    let mut rung = 0;
    for seed in 1..=6 {
        for shape in [&every, &shape(15_000)] {
            let plan = Plan::new(seed, shape);
            let report = run(&plan, &game, None, None);
            assert_eq!(report.failure, None, "{plan}");
            rung += report.counts.timers;
        }
    }
    assert!(rung > 300, "{rung} timers");
}

#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let deaths = BTreeMap::from([(Dial::NodeCrash, Some(20)), (Dial::Crash, Some(20))]);
    let deaths = Overrides { dials: Some(deaths), ..shape(15_000) };
    let all = [
        Planted::TimerTwice,
        Planted::TimerEarly,
        Planted::TimerLost,
        Planted::TimerPruned,
        Planted::TimerCancelIgnored,
        Planted::NobodyWoken,
    ];
    for planted in all {
        let played = |seed, planted| run(&Plan::new(seed, &deaths), &game, planted, None).failure;
        let finds = |seed| {
            let failure = played(seed, Some(planted))?;
            assert_eq!(played(seed, None), None, "seed {seed} fails without a bug");
            Some(failure)
        };
        let found = (1..=SEEDS).find_map(|seed| finds(seed).map(|failure| (seed, failure)));
        let Some((seed, failure)) = found else { panic!("{} is not found", planted.name()) };
        eprintln!("{} is found by seed {seed}: {failure}", planted.name());
    }
}
