//! What every journal counts. What only one of them has, it keeps beside this.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gundo_types::Figure;
use gundo_wire::journal::Outcome;

/// Buckets of commit times: see [`Stats::commit_us_buckets`].
const BUCKETS: usize = 24;
/// The first bucket that is published: shorter commits are in it too. 2^8 µs is a quarter of a millisecond.
const BUCKET_FIRST: usize = 8;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a journal did since it was opened. Numbers only grow, except for the gauges.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Groups by the time from taking one to its outcomes: bucket `i` counts those that took less than 2^i µs and at least half
            /// of that; the last bucket all longer ones.
            pub commit_us_buckets: [u64; BUCKETS],
        }

        /// The counters behind [`Stats`], cheap to keep and cheap to read.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)*
            commit_us_buckets: [AtomicU64; BUCKETS],
        }

        impl Counters {
            /// Reads them.
            pub fn read(&self) -> Stats {
                let mut commit_us_buckets = [0; BUCKETS];
                for (to, from) in commit_us_buckets.iter_mut().zip(&self.commit_us_buckets) {
                    *to = from.load(Relaxed);
                }
                Stats { $($name: self.$name.load(Relaxed),)* commit_us_buckets }
            }
        }
    };
}

counters! {
    /// Groups judged.
    groups,
    /// Of them those that were committed without waiting for the disk: see [`MemoryFirst`](crate::MemoryFirst).
    groups_memory_first,
    /// Batches judged.
    batches,
    /// Events that became durable.
    events,
    /// Batches that ended as `Done`.
    done,
    /// Batches that ended as `Conflict`.
    conflicts,
    /// Batches that ended as `Taken`.
    taken,
    /// Batches that ended as `Rejected`, including those that a full queue refused.
    rejected,
    /// Batches that ended as `Unknown`.
    unknown,
    /// Batches that ended as `Generation`.
    outdated,
    /// Batches in the last group (gauge).
    last_group,
    /// Batches that still waited after the last group was taken (gauge).
    waiting,
    /// Sum of the time from taking a group to its outcomes, µs.
    commit_us_sum,
    /// Loads and lists answered.
    loads,
    /// Sum of the time from taking one to its answer, µs.
    load_us_sum,
    /// Events pruned.
    pruned_events,
}

fn us(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Counters {
    /// A group was committed without waiting for the disk.
    pub fn on_memory_first(&self) {
        self.groups_memory_first.fetch_add(1, Relaxed);
    }

    /// A group has its outcomes.
    pub fn on_group(&self, outcomes: &[Outcome], events: u64, waiting: usize, took: Duration) {
        self.groups.fetch_add(1, Relaxed);
        self.batches.fetch_add(outcomes.len() as u64, Relaxed);
        self.last_group.store(outcomes.len() as u64, Relaxed);
        self.waiting.store(waiting as u64, Relaxed);
        self.events.fetch_add(events, Relaxed);
        self.commit_us_sum.fetch_add(us(took), Relaxed);
        let bucket = (u64::BITS - us(took).leading_zeros()) as usize;
        self.commit_us_buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
        for outcome in outcomes {
            match outcome {
                Outcome::Done => &self.done,
                Outcome::Conflict => &self.conflicts,
                Outcome::Taken => &self.taken,
                Outcome::Rejected(_) => &self.rejected,
                Outcome::Unknown => &self.unknown,
                Outcome::Generation(_) => &self.outdated,
            }
            .fetch_add(1, Relaxed);
        }
    }

    /// A load or a list was answered.
    pub fn on_load(&self, took: Duration) {
        self.loads.fetch_add(1, Relaxed);
        self.load_us_sum.fetch_add(us(took), Relaxed);
    }

    /// Events were pruned.
    pub fn on_pruned(&self, events: u64) {
        self.pruned_events.fetch_add(events, Relaxed);
    }
}

impl Stats {
    /// The figures for operators.
    pub fn figures(&self) -> Vec<Figure> {
        let seconds = |us: u64| us as f64 / 1e6;
        let ends = "Batches judged by the journal, by outcome";
        let end = |outcome: &str, n: u64| {
            Figure::total("gundo_journal_batches_total", ends, n).of("outcome", outcome)
        };
        let commits = "Groups whose outcomes came within so many seconds";
        let bucket = |le: String, n: u64| {
            Figure::total("gundo_journal_commit_seconds_bucket", commits, n).of("le", le)
        };
        let mut figures = vec![
            end("done", self.done),
            end("conflict", self.conflicts),
            end("taken", self.taken),
            end("rejected", self.rejected),
            end("unknown", self.unknown),
            end("generation", self.outdated),
            Figure::total("gundo_journal_events_total", "Events that became durable", self.events),
            Figure::now("gundo_journal_waiting", "Batches that wait for the journal", self.waiting as f64),
            Figure::total("gundo_journal_commit_seconds_count", "Groups judged", self.groups),
            Figure::now(
                "gundo_journal_commit_seconds_sum",
                "Time from taking groups to their outcomes",
                seconds(self.commit_us_sum),
            ),
            Figure::total("gundo_journal_loads_total", "Loads and lists answered", self.loads),
            Figure::now(
                "gundo_journal_load_seconds_sum",
                "Time from taking loads to their answers",
                seconds(self.load_us_sum),
            ),
            Figure::total("gundo_journal_pruned_events_total", "Events pruned", self.pruned_events),
        ];
        let mut below = 0;
        for (at, n) in self.commit_us_buckets.iter().enumerate() {
            below += n;
            if (BUCKET_FIRST..BUCKETS - 1).contains(&at) {
                figures.push(bucket(seconds(1 << at).to_string(), below));
            }
        }
        figures.push(bucket("+Inf".to_owned(), below));
        figures
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Measure;

    use super::*;

    #[test]
    fn figures_are_cumulative_and_count_every_outcome_once() {
        let counters = Counters::default();
        let outcomes = [Outcome::Done, Outcome::Done, Outcome::Conflict, Outcome::Unknown];
        counters.on_group(&outcomes, 5, 3, Duration::from_micros(100));
        counters.on_group(&outcomes[..1], 1, 0, Duration::from_millis(3));
        counters.on_group(&outcomes[..1], 1, 0, Duration::from_secs(60));
        let stats = counters.read();
        assert_eq!((stats.groups, stats.batches, stats.events, stats.last_group), (3, 6, 7, 1));
        let figures = stats.figures();
        let value = |name: &str, label: &str| {
            let found = figures.iter().find(|f| f.name == name && f.labels.iter().all(|(_, v)| v == label));
            found.unwrap_or_else(|| panic!("no {name} {label}")).measure
        };
        assert_eq!(value("gundo_journal_batches_total", "done"), Measure::Total(4));
        assert_eq!(value("gundo_journal_batches_total", "conflict"), Measure::Total(1));
        assert_eq!(value("gundo_journal_batches_total", "unknown"), Measure::Total(1));
        let below = |le: &str| value("gundo_journal_commit_seconds_bucket", le);
        assert_eq!(below("0.000256"), Measure::Total(1));
        assert_eq!(below("0.002048"), Measure::Total(1));
        assert_eq!(below("0.004096"), Measure::Total(2));
        assert_eq!(below("+Inf"), Measure::Total(3));
    }
}
