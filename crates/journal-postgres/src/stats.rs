//! Counters of the journal, cheap to keep and cheap to read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gundo_wire::journal::Outcome;

/// What a journal did since it was opened. Numbers only grow, except for the gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups judged.
    pub groups: u64,
    /// Batches judged.
    pub batches: u64,
    /// Events that became durable.
    pub events: u64,
    /// Batches that ended as `Conflict`.
    pub conflicts: u64,
    /// Batches that ended as `Taken`.
    pub taken: u64,
    /// Batches that ended as `Rejected`, including those that a full queue refused.
    pub rejected: u64,
    /// Batches that ended as `Unknown`.
    pub unknown: u64,
    /// Batches that ended as `Generation`.
    pub outdated: u64,
    /// Batches that still waited after the last group was taken (gauge).
    pub waiting: u64,
    /// Sum of the time from taking a group to its outcomes, µs.
    pub commit_us_sum: u64,
    /// Groups by that time: bucket `i` counts those that took less than 2^i µs and at least half of that; the last bucket all
    /// longer ones.
    pub commit_us_buckets: [u64; 24],
    /// Groups that were planned again because another process was faster.
    pub moved: u64,
    /// Groups that were sent again after a deadlock or a lock that took too long.
    pub repeated: u64,
    /// Groups whose connection was lost, and whose outcome was then found out.
    pub settled: u64,
    /// Loads and lists answered.
    pub loads: u64,
    /// Sum of the time from taking one to its answer, µs.
    pub load_us_sum: u64,
    /// Events pruned.
    pub pruned_events: u64,
    /// Partitions dropped.
    pub dropped_parts: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    batches: AtomicU64,
    events: AtomicU64,
    conflicts: AtomicU64,
    taken: AtomicU64,
    rejected: AtomicU64,
    unknown: AtomicU64,
    outdated: AtomicU64,
    waiting: AtomicU64,
    commit_us_sum: AtomicU64,
    commit_us_buckets: [AtomicU64; 24],
    pub(crate) moved: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) settled: AtomicU64,
    loads: AtomicU64,
    load_us_sum: AtomicU64,
    pub(crate) pruned_events: AtomicU64,
    pub(crate) dropped_parts: AtomicU64,
    /// The last group was refused because the server has no room.
    pub(crate) is_full: AtomicBool,
}

fn us(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Counters {
    pub(crate) fn on_group(&self, outcomes: &[Outcome], events: u64, waiting: usize, took: Duration) {
        self.groups.fetch_add(1, Relaxed);
        self.batches.fetch_add(outcomes.len() as u64, Relaxed);
        self.waiting.store(waiting as u64, Relaxed);
        self.events.fetch_add(events, Relaxed);
        self.commit_us_sum.fetch_add(us(took), Relaxed);
        let bucket = (u64::BITS - us(took).leading_zeros()) as usize;
        self.commit_us_buckets[bucket.min(23)].fetch_add(1, Relaxed);
        for outcome in outcomes {
            match outcome {
                Outcome::Done => continue,
                Outcome::Conflict => &self.conflicts,
                Outcome::Taken => &self.taken,
                Outcome::Rejected(_) => &self.rejected,
                Outcome::Unknown => &self.unknown,
                Outcome::Generation(_) => &self.outdated,
            }
            .fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn on_load(&self, took: Duration) {
        self.loads.fetch_add(1, Relaxed);
        self.load_us_sum.fetch_add(us(took), Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        let mut commit_us_buckets = [0; 24];
        for (to, from) in commit_us_buckets.iter_mut().zip(&self.commit_us_buckets) {
            *to = from.load(Relaxed);
        }
        Stats {
            groups: self.groups.load(Relaxed),
            batches: self.batches.load(Relaxed),
            events: self.events.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            taken: self.taken.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            outdated: self.outdated.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            commit_us_sum: self.commit_us_sum.load(Relaxed),
            commit_us_buckets,
            moved: self.moved.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
            settled: self.settled.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_us_sum: self.load_us_sum.load(Relaxed),
            pruned_events: self.pruned_events.load(Relaxed),
            dropped_parts: self.dropped_parts.load(Relaxed),
        }
    }
}
