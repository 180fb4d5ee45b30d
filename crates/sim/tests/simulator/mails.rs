//! Messages between entities in the simulator: with every fault, and with each planted bug.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_sim::{Dial, Game, Overrides, Plan, run};
use gundo_types::Planted;

use crate::post::Mails;

/// Three nodes and six players, for a while; the seed chooses the faults.
fn shape(fault_ms: u64) -> Overrides {
    Overrides { nodes: Some(3), clients: Some(6), fault_ms: Some(fault_ms), ..Overrides::default() }
}

#[test]
fn messages_hold_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Mails);
    let every =
        Overrides { dials: Some(Dial::ALL.map(|dial| (dial, None)).into_iter().collect()), ..shape(8_000) };
    let mut taken = 0;
    for seed in 1..=6 {
        for shape in [&every, &shape(15_000)] {
            let plan = Plan::new(seed, shape);
            let report = run(&plan, &game, None, None);
            assert_eq!(report.failure, None, "{plan}");
            taken += report.counts.mail;
        }
    }
    assert!(taken > 300, "{taken} messages");
}

/// Each bug is found by one of the seeds. (That homes load whom nobody needs is found with `timers`: here somebody always
/// comes back.)
#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Mails);
    let deaths = BTreeMap::from([(Dial::NodeCrash, Some(20)), (Dial::Crash, Some(20))]);
    let deaths = Overrides { dials: Some(deaths), ..shape(15_000) };
    for planted in [Planted::MailEarly, Planted::MailTwice, Planted::OwedForgotten, Planted::OwedPruned] {
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

const SEEDS: u64 = 40;
