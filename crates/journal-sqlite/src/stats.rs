//! What this journal counts beyond what every journal does.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gundo_journal::stats;
use gundo_types::Figure;

/// What a journal did since it was opened. Numbers only grow, except for the gauge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What every journal counts.
    pub common: stats::Stats,
    /// Checkpoints: how often the log was moved into the file.
    pub checkpoints: u64,
    /// Sum of their time, µs.
    pub checkpoint_us_sum: u64,
    /// Free bytes on the disk at the last check (gauge; `u64::MAX`: unknown).
    pub disk_free: u64,
}

impl Deref for Stats {
    type Target = stats::Stats;

    fn deref(&self) -> &stats::Stats {
        &self.common
    }
}

impl Stats {
    /// The figures for operators. The free space has a metric of its own.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = self.common.figures();
        let (name, text) = ("gundo_journal_checkpoint_seconds_sum", "Time of checkpoints");
        figures.extend([
            Figure::total(
                "gundo_journal_checkpoints_total",
                "Times the log was moved into the file",
                self.checkpoints,
            ),
            Figure::now(name, text, self.checkpoint_us_sum as f64 / 1e6),
        ]);
        figures
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) common: stats::Counters,
    checkpoints: AtomicU64,
    checkpoint_us_sum: AtomicU64,
    disk_free: AtomicU64,
}

impl Counters {
    pub(crate) fn on_checkpoint(&self, took: Duration) {
        self.checkpoints.fetch_add(1, Relaxed);
        self.checkpoint_us_sum.fetch_add(took.as_micros() as u64, Relaxed);
    }

    pub(crate) fn on_disk_free(&self, bytes: u64) {
        self.disk_free.store(bytes, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            common: self.common.read(),
            checkpoints: self.checkpoints.load(Relaxed),
            checkpoint_us_sum: self.checkpoint_us_sum.load(Relaxed),
            disk_free: self.disk_free.load(Relaxed),
        }
    }
}
