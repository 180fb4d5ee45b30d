//! The log (SQLite's WAL) of a running journal: how long it is, when it is moved into the file, and what happens if that fails.
//!
//! The log cannot be used again from its beginning while somebody reads the journal as of an earlier moment: a backup, a check of the
//! file, or any program that has it open. Nobody can end a reader in another process, so the log has a bound.
//!
//! | the log has | then |
//! | --- | --- |
//! | a quarter of `log_bytes_max` | operators are told; the journal's own check of the file ends |
//! | three quarters | nodes take nothing new, as when the disk is nearly full |
//! | all of it | the writer refuses everything |
//!
//! When the reader is gone the next try moves the log, at most a second later, and all goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::open::JournalFile;
use crate::stats::Counters;

/// Bytes of a page in the log, with its head.
const PAGE_BYTES: u64 = 4_096 + 24;
/// A log that could not be moved is tried again after so long, or when it has grown by a quarter of what makes a move due.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the log is. All clones are the same log.
#[derive(Clone, Debug)]
pub(crate) struct LogSize {
    /// Pages that are not known to be in the file.
    pages: Arc<AtomicU32>,
    bytes_max: u64,
    path: PathBuf,
}

impl LogSize {
    pub(crate) fn new(file: &JournalFile, bytes_max: u64) -> Self {
        Self { pages: Arc::default(), bytes_max, path: file.log() }
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        u64::from(self.pages()) * PAGE_BYTES
    }

    /// Whether operators should know.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes() >= self.bytes_max / 4
    }

    /// Whether nodes should take nothing new.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.bytes() >= self.bytes_max / 4 * 3
    }

    /// Whether `more` bytes would exceed the bound.
    pub(crate) fn is_full(&self, more: u64) -> bool {
        self.bytes().saturating_add(more) > self.bytes_max
    }

    /// What is the matter with it, and what to do.
    pub(crate) fn words(&self) -> String {
        let mib = |bytes: u64| bytes >> 20;
        format!(
            "the log {} has {} MiB and cannot be moved into the file, because somebody reads the journal: end a backup, `sqlite3` or another \
             program that has it open. At {} MiB commands are refused, at {} MiB everything is",
            self.path.display(),
            mib(self.bytes()),
            mib(self.bytes_max / 4 * 3),
            mib(self.bytes_max),
        )
    }
}

/// The log as its writer handles it.
pub(crate) struct Log {
    size: LogSize,
    /// Pages that make a move due.
    due_pages: u32,
    /// When the last move was tried that did not move everything, and how long the log was then.
    tried: Option<(Instant, u32)>,
}

impl Log {
    /// Makes SQLite report the size of the log after each commit. What an earlier process has left in it counts.
    pub(crate) fn watch(conn: &mut Connection, size: LogSize, due_pages: u32) -> rusqlite::Result<Self> {
        let told = Arc::clone(&size.pages);
        let hook = move |_: &mut Wal, count: std::ffi::c_int| {
            told.store(count.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        };
        conn.wal_hook(Some(hook))?;
        let mut log = Self { size, due_pages, tried: None };
        log.store(conn, "PASSIVE")?;
        Ok(log)
    }

    /// When the writer should look at the log though nobody writes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.tried.map(|(at, _)| at + AGAIN)
    }

    /// Moves the log into the file if that is due.
    pub(crate) fn tend(&mut self, conn: &Connection, counters: &Counters) {
        let pages = self.size.pages();
        let is_due = match self.tried {
            None => pages >= self.due_pages,
            Some((at, before)) => at.elapsed() >= AGAIN || pages >= before.saturating_add(self.due_pages / 4),
        };
        if is_due {
            self.checkpoint(conn, "PASSIVE", counters);
        }
    }

    /// Moves it.
    pub(crate) fn checkpoint(&mut self, conn: &Connection, mode: &str, counters: &Counters) {
        let began = Instant::now();
        match self.store(conn, mode) {
            Ok(()) => counters.on_checkpoint(began.elapsed()),
            Err(why) => {
                self.tried = Some((began, self.size.pages()));
                tracing::warn!(%why, "cannot move the journal's log into its file now");
            }
        }
    }

    fn store(&mut self, conn: &Connection, mode: &str) -> rusqlite::Result<()> {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let (pages, moved) = conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], row)?;
        let pages = u32::try_from(pages.max(0)).unwrap_or(u32::MAX);
        if i64::from(pages) > moved {
            self.size.pages.store(pages, Ordering::Relaxed);
            // A short log that is not moved yet is as usual.
            self.tried = (pages >= self.due_pages || self.size.is_long()).then(|| (Instant::now(), pages));
        } else {
            self.size.pages.store(0, Ordering::Relaxed);
            self.tried = None;
        }
        Ok(())
    }
}
