//! Runs: the same seed gives the same run, sound rules hold, and each bug causes the right failure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gundo_sim::{Dial, FailureKind, Filter, Game, Guarantee, Overrides, Plan, Report, run, shrink};
use gundo_types::Planted;

use crate::purses::{Purses, Wrong};

fn game(wrong: Wrong) -> Arc<dyn Game> {
    Arc::new(Purses(wrong))
}

/// Two nodes and four players, for a few seconds; the seed chooses the faults.
fn short() -> Overrides {
    Overrides { nodes: Some(2), clients: Some(4), fault_ms: Some(8_000), ..Overrides::default() }
}

/// The same without faults, so that only the rules can be wrong.
fn calm() -> Overrides {
    Overrides { dials: Some(BTreeMap::new()), ..short() }
}

fn every_dial() -> Overrides {
    Overrides { dials: Some(Dial::ALL.map(|dial| (dial, None)).into_iter().collect()), ..short() }
}

/// A run with every line of its story that `filter` lets through.
fn told(plan: &Plan, filter: Filter) -> (Report, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let listen = move |line: &str| heard.lock().expect("one thread").push(line.to_owned());
    let report = run(plan, &game(Wrong::Nothing), None, Some((filter, Box::new(listen))));
    let lines = std::mem::take(&mut *lines.lock().expect("one thread"));
    (report, lines)
}

fn everything() -> Filter {
    Filter { everything: true, ..Filter::default() }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let plan = Plan::new(3, &every_dial());
    let (first, story) = told(&plan, everything());
    let (second, again) = told(&plan, everything());
    assert!(story.len() > 1_000, "{} lines", story.len());
    assert_eq!(story, again);
    assert_eq!(first, second);
    // A listener changes nothing.
    assert_eq!(run(&plan, &game(Wrong::Nothing), None, None), first);

    let (other, other_story) = told(&Plan::new(4, &every_dial()), everything());
    assert_ne!(other.digest, first.digest);
    assert_ne!(other_story, story);
}

#[test]
fn sound_rules_hold_while_everything_goes_wrong() {
    let (mut effects, mut faults) = (0, 0);
    for seed in 1..=3 {
        let plan = Plan::new(seed, &every_dial());
        let report = run(&plan, &game(Wrong::Nothing), None, None);
        assert_eq!(report.failure, None, "{plan}");
        effects += report.counts.effects;
        faults += report.counts.faults.values().sum::<u64>();
    }
    assert!(effects > 20 && faults > 50, "{effects} effects, {faults} faults");
}

/// What stands in a chunk is seen there, whatever becomes of its nodes.
#[test]
fn things_with_a_place_hold_while_everything_goes_wrong() {
    let dials = BTreeMap::from([(Dial::NodeCrash, Some(20)), (Dial::Crash, Some(20))]);
    let deaths = Overrides {
        nodes: Some(3),
        clients: Some(6),
        dials: Some(dials),
        fault_ms: Some(15_000),
        ..Overrides::default()
    };
    for seed in 1..=3 {
        for shape in [&every_dial(), &deaths] {
            let plan = Plan::new(seed, shape);
            let report = run(&plan, &game(Wrong::Tills), None, None);
            assert_eq!(report.failure, None, "{plan}");
        }
    }
}

/// Everything that travels as bytes arrives unchanged.
#[test]
fn a_run_as_bytes_is_the_same_run() {
    for seed in 1..=3 {
        let plan = Plan::new(seed, &every_dial());
        let mut values = plan.clone();
        assert_eq!(values.dials.remove(&Dial::Bytes), Some(1));
        let (as_bytes, as_values) =
            (run(&plan, &game(Wrong::Nothing), None, None), run(&values, &game(Wrong::Nothing), None, None));
        assert_eq!(as_bytes.failure, None, "{plan}");
        assert_eq!((as_bytes.digest, as_bytes.counts), (as_values.digest, as_values.counts), "{plan}");
    }
}

/// The dial has its own random sequence: it does not move the other dials.
#[test]
fn most_seeds_play_with_bytes() {
    let on =
        (0..1_000).filter(|seed| Plan::new(*seed, &Overrides::default()).dials.contains_key(&Dial::Bytes));
    assert!((700..900).contains(&on.count()));
}

/// G9: a player on another node's edge keeps its connection, whatever happens to the player's node.
#[test]
fn a_node_that_dies_closes_nobody_elses_connection() {
    let dials = BTreeMap::from([(Dial::NodeCrash, Some(20))]);
    let shape = Overrides {
        nodes: Some(3),
        clients: Some(8),
        dials: Some(dials),
        fault_ms: Some(20_000),
        ..Overrides::default()
    };
    let mut died = 0;
    for seed in 1..=4 {
        let report = run(&Plan::new(seed, &shape), &game(Wrong::Nothing), None, None);
        assert_eq!(report.failure, None, "seed {seed}");
        assert_eq!(report.counts.closings, BTreeMap::new(), "seed {seed}");
        died += report.counts.faults.get(&Dial::NodeCrash).copied().unwrap_or(0);
    }
    assert!(died >= 8, "{died} nodes died");
}

#[test]
fn each_mistake_in_the_rules_is_the_failure_it_should_be() {
    let cases = [
        (Wrong::Doubles, Guarantee::G4),
        (Wrong::Shortchanges, Guarantee::G6),
        (Wrong::Overfills, Guarantee::Game),
        (Wrong::Panics, Guarantee::Game),
        (Wrong::Astray, Guarantee::Game),
    ];
    for (wrong, guarantee) in cases {
        let report = run(&Plan::new(1, &calm()), &game(wrong), None, None);
        let failure = report.failure.expect("the rules are wrong");
        let found = (failure.kind, failure.guarantee);
        assert_eq!(found, (FailureKind::Safety, Some(guarantee)), "{wrong:?}: {failure}");
    }
}

#[test]
fn a_mind_that_panics_is_a_crash() {
    let report = run(&Plan::new(1, &calm()), &game(Wrong::Mad), None, None);
    let failure = report.failure.expect("nobody plays on");
    assert_eq!((failure.kind, failure.guarantee), (FailureKind::Crash, None));
    assert!(failure.to_string().contains("crash failure at") && failure.text.contains("enough"), "{failure}");
}

#[test]
fn a_world_that_has_no_time_to_heal_is_a_liveness_failure() {
    let plan = Plan { heal_ms: 0, ..Plan::new(1, &Overrides { dials: only(Dial::Crash, 60), ..short() }) };
    let report = run(&plan, &game(Wrong::Nothing), None, None);
    let failure = report.failure.expect("nobody can be back at once");
    assert_eq!((failure.kind, failure.guarantee), (FailureKind::Liveness, Some(Guarantee::G10)), "{failure}");
}

#[test]
fn a_run_that_does_not_end_is_a_liveness_failure() {
    let plan = Plan::new(1, &calm());
    let inputs = run(&plan, &game(Wrong::Nothing), None, None).counts.inputs;
    let report = run(&Plan { inputs_max: inputs / 3, ..plan }, &game(Wrong::Nothing), None, None);
    let failure = report.failure.expect("a third of it is not enough");
    assert_eq!((failure.kind, failure.guarantee), (FailureKind::Liveness, Some(Guarantee::G10)), "{failure}");
    assert!(failure.text.ends_with("it spins"), "{failure}");
    // Not a moment later: a kernel that spins may do so within a moment.
    assert_eq!(report.counts.inputs, inputs / 3 + 1);
}

#[test]
fn the_story_is_told_of_what_was_asked_for() {
    let plan = Plan::new(3, &every_dial());
    let (_, usual) = told(&plan, Filter::default());
    let (_, all) = told(&plan, everything());
    assert!(usual.len() * 3 < all.len() * 2, "{} of {}", usual.len(), all.len());
    assert!(usual.iter().all(|line| all.contains(line)));

    let (_, node) = told(&plan, Filter { nodes: vec![2], ..Filter::default() });
    assert!(!node.is_empty() && node.len() < usual.len());
    assert!(node.iter().all(|line| line.contains("n2") && usual.contains(line)), "{node:#?}");

    let (_, player) = told(&plan, Filter { players: vec![1], ..Filter::default() });
    assert!(player.iter().any(|line| line.contains("hello, sim1 ")), "{player:#?}");
    assert!(!player.iter().any(|line| line.contains("hello, sim2 ")), "{player:#?}");
    assert!(player.iter().all(|line| usual.contains(line)));

    let (_, minute) = told(&plan, Filter { from_ms: 2_000, to_ms: 3_000, ..Filter::default() });
    let seconds = |line: &String| line.trim_start().split(' ').next().and_then(|s| s.parse::<f64>().ok());
    assert!(!minute.is_empty());
    assert!(
        minute.iter().all(|line| seconds(line).is_some_and(|s| (2.0..=3.001).contains(&s))),
        "{minute:#?}"
    );

    // An entity as the story names it: `purse 3f`.
    let name = usual.iter().find_map(|line| line.split("purse ").nth(1)).expect("somebody's purse");
    let id = name.split(|c: char| !c.is_ascii_hexdigit()).next().expect("an id");
    let filter =
        Filter { entities: vec![u64::from_str_radix(id, 16).expect("hexadecimal")], ..Filter::default() };
    let (_, entity) = told(&plan, filter);
    assert!(entity.iter().any(|line| line.contains(id)) && entity.len() < usual.len());
}

#[test]
fn a_smaller_run_fails_alike() {
    let report = run(&Plan::new(7, &every_dial()), &game(Wrong::Doubles), None, None);
    let mut found = Vec::new();
    let smallest =
        shrink(report.clone(), &game(Wrong::Doubles), None, 25, &mut |r| found.push(r.plan.clone()));
    assert_eq!(found.last(), Some(&smallest.plan));
    assert_eq!(broken(&smallest), Some(Guarantee::G4));
    let (small, large) = (&smallest.plan, &report.plan);
    assert!(small.nodes <= large.nodes && small.clients <= large.clients && small.fault_ms <= large.fault_ms);
    assert!(small.dials.iter().all(|(dial, at)| large.dials.get(dial) == Some(at)));
    assert!(small.dials.len() < large.dials.len(), "no fault is to blame: {small}");
    assert_eq!(small.fault_ms % 1_000, 0, "the command line says seconds");
    // It did what it reports.
    assert_eq!(run(small, &game(Wrong::Doubles), None, None), smallest);
}

#[test]
fn a_smaller_run_that_fails_otherwise_is_none() {
    let plan = |clients| Plan::new(7, &Overrides { clients: Some(clients), ..calm() });
    let both = game(Wrong::Both);
    let report = run(&plan(4), &both, None, None);
    assert_eq!(broken(&report), Some(Guarantee::G4));
    assert_eq!(broken(&run(&plan(3), &both, None, None)), Some(Guarantee::Game));
    let smallest = shrink(report, &both, None, 25, &mut |_| {});
    assert_eq!((broken(&smallest), smallest.plan.clients), (Some(Guarantee::G4), 4));
}

fn broken(report: &Report) -> Option<Guarantee> {
    report.failure.as_ref().and_then(|failure| failure.guarantee)
}

#[test]
fn a_bug_in_the_engine_is_seen_in_any_game() {
    let cases = [(Planted::EarlyReply, Guarantee::G7), (Planted::PlayerStays, Guarantee::G12)];
    for (planted, guarantee) in cases {
        let report = run(&Plan::new(1, &calm()), &game(Wrong::Nothing), Some(planted), None);
        assert_eq!(broken(&report), Some(guarantee), "{}", planted.name());
    }
}

/// Nothing builds on the state a panic leaves behind, and an entity that panics too often decides nothing more.
#[test]
fn rules_that_panic_cost_no_more_than_they_must() {
    let plan = Plan::new(1, &calm());
    let report = run(&plan, &game(Wrong::Clumsy), None, None);
    assert_eq!(report.failure, None, "{plan}");
    let report = run(&plan, &game(Wrong::Clumsy), Some(Planted::PanicNotReloaded), None);
    // The purse's state reaches its player or is compared with the journal, whichever comes first.
    let seen = matches!(broken(&report), Some(Guarantee::G3 | Guarantee::G7));
    assert!(seen, "{:?}", report.failure);

    // A suspended player keeps its place, even after all have left.
    let report = run(&plan, &game(Wrong::Stubborn), None, None);
    assert_eq!(broken(&report), Some(Guarantee::G12), "{:?}", report.failure);
    let report = run(&plan, &game(Wrong::Stubborn), Some(Planted::SuspendedDecides), None);
    let seen = matches!(broken(&report), Some(Guarantee::G3 | Guarantee::G9));
    assert!(seen, "{:?}", report.failure);
}

fn only(dial: Dial, stands: u32) -> Option<BTreeMap<Dial, Option<u32>>> {
    Some([(dial, Some(stands))].into_iter().collect())
}
