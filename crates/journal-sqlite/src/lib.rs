//! The journal in a SQLite file, for a world in one process. Nothing to install, nothing to administer.
//!
//! ```text
//! handle of node 1 ──► bounded queue ─┐             ┌─ reader threads ◄── loads
//! handle of node 2 ──► bounded queue ─┼─► writer ──►│ DIR/journal.sqlite (WAL, synchronous FULL)
//! handle of node 3 ──► bounded queue ─┘   thread    └─ DIR/gundo.lock: one process at a time
//! ```
//! The writer commits everything that waits as one transaction, with one sync of the disk. Then it gives the outcomes, and only
//! then does it checkpoint and prune. Queues, groups, and the rules for what lands and how it ends are in [`gundo_journal`]; files,
//! SQL and threads are here.
//!
//! Start with [`open`]. Tools that only read, also beside a running server, use [`Reader`] and [`verify()`]. [`raw`]
//! measures what SQLite itself can do on a disk.
//!
//! Not here: what events mean, and any clock except the one that decides what is old enough to prune.

mod backup;
mod damage;
mod find;
mod journal;
mod load;
mod log;
mod open;
mod presence;
mod prune;
pub mod raw;
mod read;
mod remove;
mod schema;
mod space;
mod stats;
mod verify;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod lossy;
#[cfg(test)]
mod model_tests;

use gundo_journal::KEEP_MS;
use gundo_journal::queue::QueueLimits;

pub use backup::{BackedUp, BackupError, backup, restore};
pub use gundo_journal::verify::Report;
pub use journal::SqliteJournal;
pub use open::{OpenError, accept_loss, open};
pub use read::Reader;
pub use space::DiskProbe;
pub use stats::Stats;
pub use verify::verify;

/// Name of the journal's file in the data directory.
pub const JOURNAL_FILE: &str = "journal.sqlite";
/// Name of the file whose lock says that a process uses the data directory.
pub const LOCK_FILE: &str = "gundo.lock";

/// When SQLite waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// An append is on the disk before it is `Done` (default).
    #[default]
    Full,
    /// Never: a power cut loses acknowledged appends; a killed process does not. For tests and benches only.
    Off,
}

/// How a journal works. The defaults suit production.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When SQLite waits for the disk.
    pub synchronous: Synchronous,
    /// What may wait, and how much is written in one transaction.
    pub queue: QueueLimits,
    /// Threads that serve loads (default 2).
    pub readers: usize,
    /// Pages in the write-ahead log at which the writer moves them into the file (default 4,000, i.e. 16 MiB), after the
    /// outcomes of a group were given.
    pub checkpoint_pages: u32,
    /// How long events stay after the snapshot that makes them unnecessary, ms of world time (default an hour).
    pub keep_ms: u64,
    /// Pause between two pruning sweeps, ms (default 10 minutes).
    pub prune_every_ms: u64,
    /// Free bytes on the disk below which [`room`](gundo_journal::Journal::room) is low (default 256 MiB), so that nodes send
    /// nothing new; with a quarter more there is enough again. Never less than `disk_free_min`.
    pub disk_free_low: u64,
    /// Free bytes on the disk below which every append is `Rejected`, before the disk is full (default 64 MiB).
    pub disk_free_min: u64,
    /// How to find out the free bytes.
    pub disk_probe: DiskProbe,
    /// Bytes the file may grow to (default: only the disk limits it). Beyond: `Rejected`.
    pub file_bytes_max: Option<u64>,
    /// Bytes the write-ahead log may grow to while somebody reads the journal for long (default 4 GiB). From a quarter on
    /// [`room`](gundo_journal::Journal::room) says so, at three quarters it is low, beyond: `Rejected`. A group more may come.
    pub log_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            queue: QueueLimits::default(),
            readers: 2,
            checkpoint_pages: 4_000,
            keep_ms: KEEP_MS,
            prune_every_ms: 600_000,
            disk_free_low: 256 << 20,
            disk_free_min: 64 << 20,
            disk_probe: DiskProbe::default(),
            file_bytes_max: None,
            log_bytes_max: 4 << 30,
        }
    }
}
