//! Everything that can be wrong with a data directory or its disk gives an error that says what to do, and loses nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gundo_journal::queue::QueueLimits;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal::{Fault, Journal, Registration};
use gundo_journal_sqlite::{DiskProbe, JOURNAL_FILE, OpenError, Reader, Settings, Synchronous, open, verify};
use gundo_types::{NodeId, WorldTime};
use gundo_wire::journal::{NameChange, Outcome};
use rusqlite::Connection;
use tempfile::tempdir;

fn quick() -> Settings {
    Settings { synchronous: Synchronous::Off, ..Settings::default() }
}

fn refused(dir: &Path) -> OpenError {
    match open(dir, quick()) {
        Ok(_) => panic!("{} was opened", dir.display()),
        Err(why) => why,
    }
}

/// A closed journal with some events.
fn written(dir: &Path) {
    let journal = open(dir, quick()).expect("a new journal");
    let mut a = Probe::join(&journal, 1);
    for id in 1..=40 {
        assert_eq!(a.append(vec![stream(entity(id), 1, 0, 20)]), Outcome::Done);
    }
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = tempdir().expect("a directory");
    let (created, incarnation) = {
        let journal = open(dir.path(), quick()).expect("a new journal");
        let mut a = Probe::join(&journal, 1);
        let owner = Some(entity(1));
        let take = NameChange { space: "player".into(), name: "ann".into(), owner };
        assert_eq!(a.append_names(stream(entity(1), 1, 0, 3), vec![take]), Outcome::Done);
        journal.set_meta("game", "pioneer").expect("writable");
        (journal.created_ms(), a.incarnation)
    };
    let journal = open(dir.path(), quick()).expect("it is there");
    assert_eq!(journal.created_ms(), created);
    assert_eq!(journal.meta("game").expect("readable").as_deref(), Some("pioneer"));
    assert_eq!(journal.name("player", "ann").expect("readable").map(|row| row.owner), Some(Some(entity(1))));
    assert!(!journal.is_member(incarnation).expect("readable"), "its process is gone");
    let late = journal.register(NodeId(1), incarnation).expect("writable");
    assert_eq!(late, Registration::Passed { newest: incarnation }, "a row never comes back");
    let mut a = Probe::join(&journal, 1);
    assert!(a.incarnation > incarnation);
    assert_eq!(a.seqs(entity(1)), (0, vec![1, 2, 3]));
    let mut stale = Probe::open(&journal, 1, incarnation);
    assert_eq!(stale.append(vec![stream(entity(1), 1, 3, 1)]), Outcome::Conflict);
    assert_eq!(a.append(vec![stream(entity(1), 1, 3, 1)]), Outcome::Done);
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let dir = tempdir().expect("a directory");
    let journal = open(dir.path(), quick()).expect("a new journal");
    let why = refused(dir.path());
    assert!(matches!(why, OpenError::DataDirLocked { .. }), "{why:?}");
    let text = why.to_string();
    assert!(text.contains(&dir.path().display().to_string()) && text.contains("--data"), "{text}");
    assert!(verify(dir.path()).expect("tools may look all the same").is_sound());
    drop(journal);
    open(dir.path(), quick()).expect("it is free again");
}

#[test]
fn foreign_files_are_left_alone() {
    let dir = tempdir().expect("a directory");
    let file = dir.path().join(JOURNAL_FILE);
    let text = "Dear diary, this is not a database, however long it may be.".repeat(40);
    fs::write(&file, &text).expect("writable");
    let why = refused(dir.path());
    assert!(matches!(why, OpenError::NotAJournal { .. }), "{why:?}");
    assert_eq!(fs::read_to_string(&file).expect("readable"), text);

    fs::remove_file(&file).expect("removable");
    Connection::open(&file).expect("opens").execute_batch("CREATE TABLE songs (title)").expect("writable");
    let before = fs::read(&file).expect("readable");
    let why = refused(dir.path());
    assert!(matches!(why, OpenError::NotAJournal { .. }), "{why:?}");
    assert!(why.to_string().contains("another program"), "{why}");
    assert_eq!(fs::read(&file).expect("readable"), before);
}

#[test]
fn a_newer_format_is_not_touched() {
    let dir = tempdir().expect("a directory");
    written(dir.path());
    let conn = Connection::open(dir.path().join(JOURNAL_FILE)).expect("opens");
    conn.execute("UPDATE meta SET value = '2' WHERE key = 'format'", []).expect("writable");
    drop(conn);
    assert!(matches!(refused(dir.path()), OpenError::Newer { found: 2, known: 1, .. }));
    assert!(matches!(verify(dir.path()), Err(OpenError::Newer { .. })));
}

#[test]
fn damage_is_told() {
    let dir = tempdir().expect("a directory");
    written(dir.path());
    let file = dir.path().join(JOURNAL_FILE);
    let good = fs::read(&file).expect("readable");
    // Cut off in the middle.
    fs::write(&file, &good[..good.len() / 2]).expect("writable");
    let why = refused(dir.path());
    assert!(matches!(why, OpenError::Corrupt { .. }), "{why:?}");
    assert!(why.to_string().contains("backup"), "{why}");
    // A table gone.
    fs::write(&file, &good).expect("writable");
    Connection::open(&file).expect("opens").execute_batch("DROP TABLE members").expect("writable");
    assert!(matches!(refused(dir.path()), OpenError::Corrupt { .. }));
    // An event gone: it opens, a load says so, the look-over finds it.
    fs::write(&file, &good).expect("writable");
    let conn = Connection::open(&file).expect("opens");
    conn.execute("DELETE FROM events WHERE id = 7 AND seq = 5", []).expect("writable");
    conn.execute("UPDATE events SET cause = x'ff' WHERE id = 8 AND seq = 5", []).expect("writable");
    conn.execute("INSERT INTO snapshots VALUES (7, 9, 99, x'')", []).expect("writable");
    conn.execute("INSERT INTO names VALUES ('p', 'ann', 1, 7, NULL)", []).expect("writable");
    drop(conn);
    let reader = Reader::open(dir.path()).expect("opens");
    let why = reader.load(entity(7)).expect_err("a gap").chain();
    assert!(why.contains("event 5 is missing"), "{why}");
    let report = verify(dir.path()).expect("readable");
    assert_eq!((report.streams, report.events), (40, 799));
    for part in
        ["7/7: event 6 follows 4", "7/8: the cause of event 5", "7/9: the snapshot at 99 ends", "\"ann\""]
    {
        assert!(report.problems.iter().any(|problem| problem.contains(part)), "{part}: {report}");
    }
}

#[test]
fn a_fault_says_what_was_tried_and_why() {
    let dir = tempdir().expect("a directory");
    written(dir.path());
    let journal = open(dir.path(), quick()).expect("it is sound so far");
    let conn = Connection::open(dir.path().join(JOURNAL_FILE)).expect("opens");
    for table in ["events", "snapshots", "names", "members", "meta"] {
        conn.execute(&format!("ALTER TABLE {table} RENAME TO its_{table}"), []).expect("writable");
    }
    let e = entity(7);
    let faults = [
        journal.register(NodeId(1), 1).expect_err("no table"),
        journal.leave(1).expect_err("no table"),
        journal.is_member(1).expect_err("no table"),
        journal.meta("game").expect_err("no table"),
        journal.set_meta("game", "chess").expect_err("no table"),
        journal.name("player", "ann").expect_err("no table"),
        journal.streams(None, 9).expect_err("no table"),
        journal.stream(e, 0, 9).expect_err("no table"),
        journal.prune(WorldTime(0)).expect_err("no table"),
    ];
    let tried = faults.each_ref().map(|fault| match fault {
        Fault::Register { node: NodeId(1), .. } => "register",
        Fault::Leave { incarnation: 1, .. } => "leave",
        Fault::IsMember { incarnation: 1, .. } => "is_member",
        Fault::Meta { key, .. } if key == "game" => "meta",
        Fault::SetMeta { key, .. } if key == "game" => "set_meta",
        Fault::Name { space, name, .. } if space == "player" && name == "ann" => "name",
        Fault::Streams { .. } => "streams",
        Fault::Stream { entity, .. } if *entity == e => "stream",
        Fault::Prune { .. } => "prune",
        other => panic!("{other:?}"),
    });
    assert_eq!(
        tried,
        ["register", "leave", "is_member", "meta", "set_meta", "name", "streams", "stream", "prune"]
    );
    for fault in &faults {
        assert!(fault.chain().contains("no such table"), "{}", fault.chain());
        assert!(!fault.to_string().contains("table"), "the source says why: {fault}");
    }
}

#[test]
fn a_directory_without_a_journal_is_no_world() {
    let dir = tempdir().expect("a directory");
    let why = verify(dir.path()).expect_err("nothing there");
    assert!(matches!(why, OpenError::Missing { .. }), "{why:?}");
    assert!(!dir.path().join(JOURNAL_FILE).exists(), "looking makes no file");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writable");
    assert!(matches!(refused(&file.join("below")), OpenError::CreateDir { .. }));
}

#[test]
fn a_nearly_full_disk_refuses_before_it_is_full() {
    let dir = tempdir().expect("a directory");
    written(dir.path());
    let settings = Settings { disk_free_min: u64::MAX, ..quick() };
    let journal = open(dir.path(), settings).expect("reading goes on");
    let mut a = Probe::join(&journal, 1);
    let outcome = a.append(vec![stream(entity(1), 1, 20, 1)]);
    assert!(matches!(&outcome, Outcome::Rejected(why) if why.contains("nearly full")), "{outcome:?}");
    assert_eq!(a.append(vec![stream(entity(1), 1, 21, 1)]).clone(), outcome);
    assert_eq!(a.seqs(entity(1)).1.len(), 20);
    assert_eq!(journal.stats().rejected, 2);
}

#[test]
fn a_disk_that_runs_low_is_told_of_while_it_still_takes_everything() {
    let dir = tempdir().expect("a directory");
    let free = Arc::new(AtomicU64::new(1_000));
    let asked = Arc::clone(&free);
    let disk_probe = DiskProbe::new(move |_| Some(asked.load(Ordering::Relaxed)).filter(|free| *free > 0));
    let settings = Settings { disk_free_low: 400, disk_free_min: 0, disk_probe, ..quick() };
    let journal = open(dir.path(), settings).expect("a new journal");
    let mut a = Probe::join(&journal, 1);
    let looked = [(400, false), (399, true), (499, true), (500, false), (401, false), (1, true), (0, false)];
    for (i, (bytes, is_low)) in looked.into_iter().enumerate() {
        free.store(bytes, Ordering::Relaxed);
        let free_bytes = Some(bytes).filter(|bytes| *bytes > 0);
        let room = journal.room();
        assert_eq!((room.free_bytes, room.is_low), (free_bytes, is_low), "{bytes} bytes free");
        let landed = a.append(vec![stream(entity(1), 1, i as u64, 1)]);
        assert_eq!(landed, Outcome::Done, "appends still land");
    }
}

#[test]
fn room_is_low_before_the_last_defence_refuses() {
    let dir = tempdir().expect("a directory");
    let disk_probe = DiskProbe::new(|_| Some(100));
    let settings = Settings { disk_free_low: 50, disk_free_min: 101, disk_probe, ..quick() };
    let journal = open(dir.path(), settings).expect("reading goes on");
    assert!(journal.room().is_low, "never less than what is kept");
    let mut a = Probe::join(&journal, 1);
    assert!(matches!(a.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Rejected(_)));
}

#[test]
fn a_full_file_rejects_the_group_and_keeps_what_is_there() {
    let dir = tempdir().expect("a directory");
    let settings = Settings { file_bytes_max: Some(256 << 10), ..quick() };
    let journal = open(dir.path(), settings).expect("a new journal");
    let mut a = Probe::join(&journal, 1);
    let mut landed = 0;
    let refused = loop {
        match a.append(vec![stream(entity(1), 1, landed, 50)]) {
            Outcome::Done => landed += 50,
            other => break other,
        }
    };
    assert!(matches!(&refused, Outcome::Rejected(why) if why.contains("full")), "{refused:?}");
    assert!(landed > 500, "it took {landed} events");
    assert_eq!(a.append(vec![stream(entity(1), 1, landed, 1)]), Outcome::Conflict, "decided on what is not");
    assert_eq!(a.seqs(entity(1)), (0, (1..=landed).collect()));
    assert!(journal.prune(WorldTime(0)).is_ok());
}

#[test]
fn a_full_queue_rejects_at_once_and_bars_what_follows() {
    let dir = tempdir().expect("a directory");
    let queue = QueueLimits { batches_max: 0, ..QueueLimits::default() };
    let settings = Settings { queue, ..quick() };
    let journal = open(dir.path(), settings).expect("a new journal");
    let mut a = Probe::join(&journal, 1);
    let outcome = a.append(vec![stream(entity(1), 1, 0, 1)]);
    assert!(matches!(&outcome, Outcome::Rejected(why) if why.contains("queue")), "{outcome:?}");
    assert_eq!(journal.stats().rejected, 1);
    drop(a);
    let mut late = Probe::join(&journal, 2);
    drop(journal);
    let outcome = late.append(vec![stream(entity(1), 1, 0, 1)]);
    assert!(matches!(&outcome, Outcome::Rejected(why) if why.contains("closed")), "{outcome:?}");
}
