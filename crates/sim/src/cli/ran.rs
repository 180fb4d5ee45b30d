//! The results of runs: one by one, and the total as one line.

use std::collections::BTreeMap;

use super::speed::Took;
use crate::coverage::Coverage;
use crate::plan::Dial;
use crate::run::{FailureKind, Report};

/// Exit code: wrong usage.
pub(super) const USAGE: u8 = 2;
/// Exit code: something other than a run's failure went wrong.
pub(super) const OTHER: u8 = 1;
/// A run, and the digest of its repetition, if one was requested.
pub(super) struct Ran {
    pub(super) report: Report,
    pub(super) again: Option<u64>,
}

impl Ran {
    pub(super) fn is_two_ways(&self) -> bool {
        self.again.is_some_and(|digest| digest != self.report.digest)
    }

    /// Its exit code; `None`: every check held.
    pub(super) fn code(&self) -> Option<u8> {
        match &self.report.failure {
            _ if self.is_two_ways() => Some(OTHER),
            None => None,
            Some(failure) => Some(match failure.kind {
                FailureKind::Crash => 3,
                FailureKind::Safety => 4,
                FailureKind::Liveness => 5,
            }),
        }
    }
}

#[derive(Default)]
pub(super) struct Total {
    pub(super) seeds: u64,
    pub(super) failed: u64,
    pub(super) simulated_ms: u64,
    pub(super) faults: BTreeMap<Dial, u64>,
    pub(super) closings: BTreeMap<String, u64>,
    pub(super) refusals: BTreeMap<String, u64>,
    pub(super) effects: u64,
    pub(super) answers: u64,
    pub(super) shown: u64,
    pub(super) inputs: u64,
    pub(super) coverage: Coverage,
    /// Players times simulated time, ms.
    pub(super) player_ms: u64,
    /// Of all runs, in the order of the seeds.
    pub(super) digest: u64,
    pub(super) letters: u64,
    pub(super) sizes: BTreeMap<&'static str, (usize, usize)>,
}

impl Total {
    pub(super) fn add(&mut self, ran: &Ran) {
        let report = &ran.report;
        self.seeds += 1;
        self.failed += u64::from(ran.code().is_some());
        self.simulated_ms += report.simulated_ms;
        for (dial, count) in &report.counts.faults {
            *self.faults.entry(*dial).or_insert(0) += count;
        }
        for (code, count) in &report.counts.closings {
            *self.closings.entry(code.clone()).or_insert(0) += count;
        }
        for (code, count) in &report.counts.refusals {
            *self.refusals.entry(code.clone()).or_insert(0) += count;
        }
        self.effects += report.counts.effects;
        self.answers += report.counts.answers;
        self.shown += report.counts.shown;
        self.inputs += report.counts.inputs;
        self.coverage.merge(&report.coverage);
        let times = 1 + u64::from(ran.again.is_some());
        self.player_ms += times * report.simulated_ms * report.plan.clients as u64;
        self.digest = self.digest.rotate_left(23).wrapping_mul(0x0000_0100_0000_01b3) ^ report.digest;
        self.letters += report.counts.letters;
        for (what, mark) in &report.counts.sizes {
            let highest = self.sizes.entry(what).or_default();
            *highest = (*highest).max(*mark);
        }
    }

    pub(super) fn hours(&self) -> f64 {
        self.simulated_ms as f64 / 3_600_000.0
    }

    pub(super) fn text(&self, took: Took) -> String {
        let seconds = took.wall_s;
        let faults: Vec<_> = self.faults.iter().map(|(dial, n)| format!("{dial} {n}")).collect();
        let closings: Vec<_> = self.closings.iter().map(|(code, n)| format!("{code} {n}")).collect();
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let refusals = refusals.into_iter().map(|(code, n)| format!("{code} {n}")).collect();
        let listed = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        format!(
            "{} seeds, {} failed; {:.2} h simulated in {seconds:.1} s ({:.0} times as fast); {}; digest {:016x}; {} inputs, \
             {} effects, {} answers, {} shown states and {} letters checked; faults: {}; connections closed: {}; refusals: {}",
            self.seeds,
            self.failed,
            self.hours(),
            self.simulated_ms as f64 / 1_000.0 / seconds,
            took.speed(self.player_ms),
            self.digest,
            self.inputs,
            self.effects,
            self.answers,
            self.shown,
            self.letters,
            listed(faults),
            listed(closings),
            listed(refusals)
        )
    }
}
