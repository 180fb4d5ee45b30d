//! Finds a smaller run that fails in the same way: fewer faults, players, nodes, and less time.

use std::sync::Arc;

use gundo_types::Planted;

use crate::game::Game;
use crate::plan::{Dial, Overrides, Plan};
use crate::run::{Failure, Report, run};

/// Looks for a smaller plan that fails as `report` did (same kind, same guarantee), with at most `tries` runs. Calls
/// `watch` with every smaller failure. Returns the smallest, or the report itself.
pub fn shrink(
    report: Report,
    game: &Arc<dyn Game>,
    planted: Option<Planted>,
    tries: u32,
    watch: &mut dyn FnMut(&Report),
) -> Report {
    let Some(failure) = report.failure.clone() else { return report };
    let mut best = report;
    let mut left = tries;
    loop {
        let found = candidates(&best).into_iter().find_map(|overrides| {
            left = left.checked_sub(1)?;
            let plan = Plan::new(best.plan.seed, &overrides);
            let tried = run(&plan, game, planted, None);
            tried.failure.as_ref().is_some_and(|f| alike(f, &failure)).then_some(tried)
        });
        match found {
            Some(smaller) => {
                watch(&smaller);
                best = smaller;
            }
            None => return best,
        }
    }
}

fn alike(a: &Failure, b: &Failure) -> bool {
    (a.kind, a.guarantee) == (b.kind, b.guarantee)
}

/// A plan as the command line would give it.
fn overrides(plan: &Plan) -> Overrides {
    Overrides {
        profile: plan.profile,
        nodes: Some(plan.nodes),
        clients: Some(plan.clients),
        dials: Some(plan.dials.iter().map(|(dial, at)| (*dial, Some(*at))).collect()),
        fault_ms: Some(plan.fault_ms),
    }
}

/// Smaller plans, the smallest first.
fn candidates(report: &Report) -> Vec<Overrides> {
    let plan = &report.plan;
    let same = overrides(plan);
    let mut list = Vec::new();
    let dials: Vec<Dial> = plan.dials.keys().copied().collect();
    let without = |gone: &[Dial]| {
        let kept = plan.dials.iter().filter(|(dial, _)| !gone.contains(dial));
        Overrides { dials: Some(kept.map(|(dial, at)| (*dial, Some(*at))).collect()), ..same.clone() }
    };
    if dials.len() > 3 {
        let (first, second) = dials.split_at(dials.len() / 2);
        list.extend([without(first), without(second)]);
    }
    for clients in [plan.clients / 4, plan.clients / 2, plan.clients - 1] {
        if (1..plan.clients).contains(&clients) {
            list.push(Overrides { clients: Some(clients), ..same.clone() });
        }
    }
    list.extend(dials.iter().map(|dial| without(&[*dial])));
    for nodes in [1, plan.nodes / 2, plan.nodes - 1] {
        if (1..plan.nodes).contains(&nodes) {
            list.push(Overrides { nodes: Some(nodes), ..same.clone() });
        }
    }
    // A failure before the healing needs no more time than that. In whole seconds, like the command line.
    let at_ms = report.failure.as_ref().map_or(0, |f| f.at_ms);
    for ms in [plan.fault_ms / 4, plan.fault_ms / 2, at_ms + 1] {
        let fault_ms = ms.next_multiple_of(1_000);
        if (1_000..plan.fault_ms).contains(&fault_ms) {
            list.push(Overrides { fault_ms: Some(fault_ms), ..same.clone() });
        }
    }
    list
}
