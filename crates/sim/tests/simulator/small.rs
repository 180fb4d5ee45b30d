//! What the tests with small games share: shapes of worlds, and how a planted bug is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_sim::{Dial, Failure, Game, Overrides, Plan, Report, run};
use gundo_types::Planted;

const SEEDS: u64 = 40;

/// Three nodes and six players, for a while; the seed chooses the faults.
fn shape(fault_ms: u64) -> Overrides {
    Overrides { nodes: Some(3), clients: Some(6), fault_ms: Some(fault_ms), ..Overrides::default() }
}

/// Plays with every fault, and with those that the seed chooses: nothing fails. Returns the sum of what `counts` counts.
pub(crate) fn holds(game: &Arc<dyn Game>, counts: impl Fn(&Report) -> u64) -> u64 {
    let every =
        Overrides { dials: Some(Dial::ALL.map(|dial| (dial, None)).into_iter().collect()), ..shape(8_000) };
    let mut sum = 0;
    for seed in 1..=6 {
        for shape in [&every, &shape(15_000)] {
            let plan = Plan::new(seed, shape);
            let report = run(&plan, game, None, None);
            assert_eq!(report.failure, None, "{plan}");
            sum += counts(&report);
        }
    }
    sum
}

/// Each bug is found by one of the seeds.
pub(crate) fn finds(game: &Arc<dyn Game>, all: &[Planted]) {
    finds_with(game, all, BTreeMap::from([(Dial::NodeCrash, Some(20)), (Dial::Crash, Some(20))]));
}

/// The same with other faults.
pub(crate) fn finds_with(game: &Arc<dyn Game>, all: &[Planted], deaths: BTreeMap<Dial, Option<u32>>) {
    let deaths = Overrides { dials: Some(deaths), ..shape(15_000) };
    for planted in all {
        first_of(*planted, SEEDS, |seed, planted| {
            run(&Plan::new(seed, &deaths), game, planted, None).failure
        });
    }
}

/// The bug is found by one of the seeds, which does not fail without it.
pub(crate) fn first_of(
    planted: Planted,
    seeds: u64,
    played: impl Fn(u64, Option<Planted>) -> Option<Failure>,
) {
    let finds = |seed| {
        let failure = played(seed, Some(planted))?;
        assert_eq!(played(seed, None), None, "seed {seed} fails without a bug");
        Some(failure)
    };
    let found = (1..=seeds).find_map(|seed| finds(seed).map(|failure| (seed, failure)));
    let Some((seed, failure)) = found else { panic!("{} is not found", planted.name()) };
    eprintln!("{} is found by seed {seed}: {failure}", planted.name());
}
