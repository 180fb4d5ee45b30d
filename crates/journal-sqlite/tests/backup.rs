//! Backups, copies made by hand, and files that go away under a running server: nothing is lost without a word.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gundo_journal::Journal;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal_sqlite::{
    BackupError, JOURNAL_FILE, OpenError, Reader, Settings, SqliteJournal, Synchronous, accept_loss, backup,
    open, restore, verify,
};
use gundo_wire::journal::Outcome;
use tempfile::tempdir;

fn opened(dir: &Path) -> SqliteJournal {
    open(dir, Settings { synchronous: Synchronous::Off, ..Settings::default() }).expect("a data directory")
}

fn append(probe: &mut Probe, id: u64, after: u64) -> Outcome {
    probe.append(vec![stream(entity(id), 1, after, 1)])
}

fn last(dir: &Path, id: u64) -> u64 {
    let reader = Reader::open(dir).expect("a journal");
    reader.load(entity(id)).expect("readable").events.last().map_or(0, |(seq, _)| *seq)
}

fn copy_files(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs::copy(from.join(name), to.join(name)).expect("copied");
    }
}

#[test]
fn a_backup_has_all_that_was_acknowledged_before_it_while_others_write_on() {
    let (data, place) = (tempdir().expect("a directory"), tempdir().expect("a directory"));
    let target = place.path().join("monday");
    let journal = opened(data.path());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (journal, stop) = (&journal, &stop);
        let writer = scope.spawn(move || {
            let mut probe = Probe::join(journal, 1);
            let mut seq = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(append(&mut probe, 1, seq), Outcome::Done);
                seq += 1;
            }
            seq
        });
        let mut probe = Probe::join(journal, 2);
        for after in 0..50 {
            assert_eq!(append(&mut probe, 2, after), Outcome::Done);
        }
        let made = backup(data.path(), &target);
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().expect("it wrote");
        assert!(made.expect("a backup").bytes > 0);
        assert!(written > 0);
    });
    let report = verify(&target).expect("readable");
    assert!(report.is_sound(), "{report}");
    assert_eq!(last(&target, 2), 50);
    assert_eq!(fs::read_dir(&target).expect("there").count(), 1, "one file and nothing else");
    assert_eq!(fs::read_dir(place.path()).expect("there").count(), 1, "nothing is left beside it");
    let why = backup(data.path(), &target).expect_err("it is there");
    assert!(matches!(why, BackupError::Exists { .. }), "{why:?}");
}

#[test]
fn a_restored_journal_is_that_of_the_backup_and_the_other_is_kept() {
    let (data, place) = (tempdir().expect("a directory"), tempdir().expect("a directory"));
    let target = place.path().join("monday");
    {
        let journal = opened(data.path());
        let mut probe = Probe::join(&journal, 1);
        assert_eq!(append(&mut probe, 1, 0), Outcome::Done);
        backup(data.path(), &target).expect("a backup");
        assert_eq!(append(&mut probe, 1, 1), Outcome::Done);
        let busy = restore(&target, data.path(), true).expect_err("a server runs");
        assert!(matches!(busy, BackupError::Open(OpenError::DataDirLocked { .. })), "{busy:?}");
    }
    let why = restore(&target, data.path(), false).expect_err("there is a journal");
    assert!(matches!(why, BackupError::Occupied { .. }) && why.to_string().contains("--replace"), "{why}");
    assert_eq!(last(data.path(), 1), 2);
    let restored = restore(&target, data.path(), true).expect("restored");
    assert_eq!(last(data.path(), 1), 1);
    let generation = |dir: &Path| Reader::open(dir).expect("a journal").generation().expect("readable");
    assert!(generation(data.path()) > generation(&target), "it went back: nodes are told");
    let aside = data.path().join(format!("replaced-{}", restored.at_ms));
    assert_eq!(last(&aside, 1), 2, "the journal of before is kept");
    let journal = opened(data.path());
    let mut probe = Probe::join(&journal, 1);
    assert_eq!(append(&mut probe, 1, 1), Outcome::Done, "the world goes on");
}

#[test]
fn a_backup_of_what_a_killed_server_left_has_its_log_and_leaves_it() {
    let (data, left, place) =
        (tempdir().expect("a directory"), tempdir().expect("a directory"), tempdir().expect("a directory"));
    let journal = opened(data.path());
    let mut probe = Probe::join(&journal, 1);
    assert_eq!(append(&mut probe, 1, 0), Outcome::Done);
    let log = format!("{JOURNAL_FILE}-wal");
    copy_files(data.path(), left.path(), &[JOURNAL_FILE, &log]);
    backup(left.path(), place.path().join("b")).expect("a backup");
    assert_eq!(last(&place.path().join("b"), 1), 1);
    assert!(left.path().join(&log).exists(), "tools leave the log where it is");
    assert!(verify(left.path()).expect("readable").is_sound());
    assert!(left.path().join(&log).exists(), "also the check");
    assert_eq!(last(left.path(), 1), 1);
    drop(opened(left.path()));
    assert_eq!(last(left.path(), 1), 1);
}

#[test]
fn a_copy_without_its_log_is_no_world_and_no_sound_journal() {
    let (data, copy) = (tempdir().expect("a directory"), tempdir().expect("a directory"));
    let journal = opened(data.path());
    // Also in the first moment of a new world.
    copy_files(data.path(), copy.path(), &[JOURNAL_FILE]);
    let why = verify(copy.path()).expect_err("its log is missing");
    assert!(matches!(why, OpenError::LogMissing { .. }), "{why:?}");

    let mut probe = Probe::join(&journal, 1);
    assert_eq!(append(&mut probe, 1, 0), Outcome::Done);
    copy_files(data.path(), copy.path(), &[JOURNAL_FILE]);
    for _ in 0..2 {
        let why = open(copy.path(), Settings::default()).err().expect("its log is missing");
        assert!(
            matches!(why, OpenError::LogMissing { .. }) && why.to_string().contains("accept-loss"),
            "{why}"
        );
        let why = verify(copy.path()).expect_err("its log is missing");
        assert!(matches!(why, OpenError::LogMissing { .. }), "{why:?}");
    }
    assert!(accept_loss(copy.path()).expect("it can be opened"));
    assert_ne!(Reader::open(copy.path()).expect("a journal").generation().expect("readable"), 0);
    assert!(!accept_loss(copy.path()).expect("it can be opened"), "there is nothing more to accept");
    assert_eq!(last(copy.path(), 1), 0, "what was in the log is lost");
    drop(opened(copy.path()));

    // A closed journal is complete without a log.
    drop(probe);
    drop(journal);
    copy_files(data.path(), copy.path(), &[JOURNAL_FILE]);
    assert!(verify(copy.path()).expect("readable").is_sound());
    assert_eq!(last(copy.path(), 1), 1);
}

#[test]
fn nothing_is_acknowledged_once_the_files_are_gone() {
    for (victim, stays) in
        [(JOURNAL_FILE.to_owned(), false), (format!("{JOURNAL_FILE}-wal"), false), ("other".into(), true)]
    {
        let data = tempdir().expect("a directory");
        let journal = opened(data.path());
        fs::write(data.path().join("other"), "x").expect("written");
        let mut probe = Probe::join(&journal, 1);
        assert_eq!(append(&mut probe, 1, 0), Outcome::Done);
        assert_eq!(journal.room().gone, None);
        fs::remove_file(data.path().join(&victim)).expect("it was there");
        // Somebody puts another one there.
        fs::write(data.path().join(&victim), "not the one").expect("written");
        assert_eq!(journal.room().gone.is_none(), stays, "{victim}");
        // The writer looks four times a second: until then an append may land in the deleted file.
        let mut seq = 1;
        let refused = loop {
            match append(&mut probe, 1, seq) {
                Outcome::Done if stays && seq > 100 => break None,
                Outcome::Done if seq > 1_000_000 => panic!("{victim}: acknowledged for ever"),
                Outcome::Done => seq += 1,
                Outcome::Rejected(why) => break Some(why),
                other => panic!("{victim}: {other:?}"),
            }
        };
        assert_eq!(refused.is_none(), stays, "{victim}");
        if let Some(why) = refused {
            assert!(why.contains(&victim) && why.contains("nothing more is saved"), "{why}");
        }
    }
}

/// Overwrites the page of the file that has `needle`.
fn zero_page(file: &Path, needle: &[u8]) {
    let mut bytes = fs::read(file).expect("readable");
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("it is in the file");
    let page = at / 4_096 * 4_096;
    bytes[page..page + 4_096].fill(0);
    fs::write(file, bytes).expect("writable");
}

#[test]
fn a_damaged_page_is_named_and_the_rest_of_the_world_goes_on() {
    let data = tempdir().expect("a directory");
    {
        let journal = opened(data.path());
        let mut probe = Probe::join(&journal, 1);
        for id in 1..=300 {
            assert_eq!(probe.append(vec![stream(entity(id), 1, 0, 20)]), Outcome::Done);
        }
    }
    assert_eq!(last(data.path(), 150), 20);
    let needle = fs::read(data.path().join(JOURNAL_FILE)).expect("readable");
    // A page in the middle of the file: a leaf with events.
    let page = needle.len() / 4_096 / 2 * 4_096;
    zero_page(&data.path().join(JOURNAL_FILE), &needle[page + 4_000..page + 4_096]);

    let journal = opened(data.path());
    let damage = loop {
        match journal.room().damage {
            Some(damage) => break damage,
            None => thread::yield_now(),
        }
    };
    assert!(damage.contains(JOURNAL_FILE) && damage.contains("restore a backup"), "{damage}");
    let reader = Reader::open(data.path()).expect("a journal");
    let readable =
        (1..=300).filter(|id| reader.load(entity(*id)).is_ok_and(|l| l.events.len() == 20)).count();
    assert!((200..300).contains(&readable), "{readable} of 300 can be read");
    let mut probe = Probe::join(&journal, 1);
    let intact = |id: &u64| reader.load(entity(*id)).is_ok();
    // In one group: the batch that meets the page must not fail the others.
    let damaged: Vec<u64> = (1..=300).filter(|id| !intact(id)).collect();
    let pairs = damaged.iter().zip((1..=300).filter(intact));
    let mut refused = 0;
    for (bad, good) in pairs.take(20) {
        let batches = [*bad, good].map(|id| probe.batch(vec![stream(entity(id), 2, 20, 1)]));
        let outcomes = probe.append_all(batches.into());
        refused += usize::from(matches!(outcomes[0], Outcome::Rejected(_) | Outcome::Conflict));
        assert_eq!(outcomes[1], Outcome::Done, "others play on");
    }
    assert!(refused > 0, "nobody met the page");
    assert!(!verify(data.path()).expect("readable").is_sound());
    let copied = backup(data.path(), data.path().join("copy")).expect_err("a damaged copy is no backup");
    assert!(matches!(copied, BackupError::Damaged { .. }), "{copied}");
}
