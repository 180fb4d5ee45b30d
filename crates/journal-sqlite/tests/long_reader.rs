//! Somebody reads the journal for long: meanwhile its log cannot be moved into the file. The log is bounded all the same, operators hear
//! of it, and when the reader is gone everything goes on by itself.

use std::path::Path;

use gundo_journal::Journal;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal_sqlite::{JOURNAL_FILE, Settings, open};
use gundo_wire::journal::Outcome;
use rusqlite::Connection;

const LOG_BYTES_MAX: u64 = 2 << 20;
/// What one group may come to, in pages.
const GROUP_BYTES_MAX: u64 = 512 << 10;

/// As a backup, `sqlite3` or another tool: reads as of this moment until it is dropped.
fn read_for_long(dir: &Path) -> Connection {
    let conn = Connection::open(dir.join(JOURNAL_FILE)).expect("it can be opened");
    conn.execute_batch("BEGIN").expect("a transaction");
    conn.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).expect("readable");
    conn
}

fn log_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(format!("{JOURNAL_FILE}-wal"))).expect("there is a log").len()
}

fn settings() -> Settings {
    Settings { log_bytes_max: LOG_BYTES_MAX, checkpoint_pages: 50, ..Settings::default() }
}

#[test]
fn the_log_is_bounded_while_somebody_reads_and_shrinks_when_they_have_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = open(dir.path(), settings()).expect("a new journal");
    let mut node = Probe::join(&journal, 1);
    assert_eq!(node.append(vec![stream(entity(1), 1, 0, 50)]), Outcome::Done);
    let reader = read_for_long(dir.path());
    let (mut last, mut warned, mut low) = (50, None, None);
    let refused = loop {
        match node.append(vec![stream(entity(1), 1, last, 100)]) {
            Outcome::Done => last += 100,
            other => break other,
        }
        assert!(log_bytes(dir.path()) < 8 * LOG_BYTES_MAX, "it grows without a bound");
        let room = journal.room();
        assert_eq!(room.log_bytes, Some(log_bytes(dir.path())));
        warned = warned.or(room.log_long.as_ref().map(|_| log_bytes(dir.path())));
        low = low.or(room.is_low.then(|| log_bytes(dir.path())));
    };
    let Outcome::Rejected(why) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("journal.sqlite-wal") && why.contains("reads the journal"), "{why}");
    let (warned, low) = (warned.expect("operators are warned"), low.expect("nodes take nothing new"));
    assert!(warned < low && low < log_bytes(dir.path()), "in this order: {warned} {low}");
    assert!(log_bytes(dir.path()) <= LOG_BYTES_MAX + GROUP_BYTES_MAX, "{}", log_bytes(dir.path()));
    let room = journal.room();
    assert!(room.is_low && room.file_bytes.is_some_and(|bytes| bytes > 0), "{room:?}");

    drop(reader);
    // Nobody writes, and nothing tells when the journal has noticed.
    while journal.room().is_low {
        std::thread::yield_now();
    }
    assert_eq!(journal.room().log_long, None);
    let mut node = Probe::join(&journal, 2);
    assert_eq!(node.append(vec![stream(entity(1), 2, last, 1)]), Outcome::Done, "it goes on");
    for after in 0..20 {
        assert_eq!(node.append(vec![stream(entity(2), 2, after * 100, 100)]), Outcome::Done);
    }
    assert!(!journal.room().is_low, "the log is used again from its beginning");
    assert!(log_bytes(dir.path()) <= LOG_BYTES_MAX + GROUP_BYTES_MAX);
}

/// A reader that has not ended when the journal is opened, or a log that a killed process has left, counts as well.
#[test]
fn a_log_that_was_there_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let reader = {
        let journal = open(dir.path(), settings()).expect("a new journal");
        let mut node = Probe::join(&journal, 1);
        assert_eq!(node.append(vec![stream(entity(1), 1, 0, 50)]), Outcome::Done);
        let reader = read_for_long(dir.path());
        let mut last = 50;
        while log_bytes(dir.path()) < LOG_BYTES_MAX / 2 {
            assert_eq!(node.append(vec![stream(entity(1), 1, last, 100)]), Outcome::Done);
            last += 100;
        }
        reader
    };
    let journal = open(dir.path(), settings()).expect("it opens beside the reader");
    assert!(journal.room().log_long.is_some(), "{:?}", journal.room());
    drop(reader);
    while journal.room().log_long.is_some() {
        std::thread::yield_now();
    }
}
