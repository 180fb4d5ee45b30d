//! What this journal counts beyond what every journal does.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use gundo_journal::stats;
use gundo_types::Figure;

/// What a journal did since it was opened. Numbers only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What every journal counts.
    pub common: stats::Stats,
    /// Groups that were planned again because another process was faster.
    pub moved: u64,
    /// Groups that were sent again after a deadlock or a lock that took too long.
    pub repeated: u64,
    /// Groups whose connection was lost, and whose outcome was then found out.
    pub settled: u64,
    /// Partitions dropped.
    pub dropped_parts: u64,
    /// Connections that were lost.
    pub lost: u64,
    /// Connections that cannot be made now (gauge).
    pub down: u64,
}

impl Deref for Stats {
    type Target = stats::Stats;

    fn deref(&self) -> &stats::Stats {
        &self.common
    }
}

impl Stats {
    /// The figures for operators.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = self.common.figures();
        let again = |why: &str, n: u64| {
            Figure::total("gundo_postgres_again_total", "Groups that went to PostgreSQL more than once", n)
                .of("why", why)
        };
        figures.extend([
            again("moved", self.moved),
            again("locked", self.repeated),
            again("lost", self.settled),
            Figure::total(
                "gundo_postgres_dropped_partitions_total",
                "Partitions dropped",
                self.dropped_parts,
            ),
            Figure::total("gundo_postgres_lost_total", "Connections to PostgreSQL that were lost", self.lost),
            Figure::now(
                "gundo_postgres_down",
                "Connections to PostgreSQL that cannot be made now",
                self.down as f64,
            ),
        ]);
        figures
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) common: stats::Counters,
    pub(crate) moved: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) settled: AtomicU64,
    pub(crate) dropped_parts: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) down: AtomicU64,
    /// The last group was refused because the server has no room.
    pub(crate) is_full: AtomicBool,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            common: self.common.read(),
            moved: self.moved.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
            settled: self.settled.load(Relaxed),
            dropped_parts: self.dropped_parts.load(Relaxed),
            lost: self.lost.load(Relaxed),
            down: self.down.load(Relaxed),
        }
    }
}
