//! The SQLite journal keeps every promise of the suite.

use gundo_journal_sqlite::{Settings, SqliteJournal, Synchronous, open};
use tempfile::TempDir;

fn fresh() -> (SqliteJournal, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = Settings { synchronous: Synchronous::Off, ..Settings::default() };
    (open(dir.path(), settings).expect("a new journal"), dir)
}

gundo_journal::conformance!(fresh());
