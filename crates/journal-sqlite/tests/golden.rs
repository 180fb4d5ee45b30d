//! This version opens a journal of an earlier version, checks it, reads it and continues to write it.

use std::fs;
use std::path::Path;

use gundo_journal::Journal;
use gundo_journal::suite::{Probe, stream};
use gundo_journal_sqlite::{JOURNAL_FILE, Report, Settings, open, verify};
use gundo_types::{Kind, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{Cause, EventType, Outcome, Session, Snapshot, StreamAppend};

fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(JOURNAL_FILE);
    fs::copy(golden, dir.path().join(JOURNAL_FILE)).expect("the earlier journal is there");
    dir
}

#[test]
fn an_earlier_journal_is_sound_and_says_what_it_said() {
    let dir = copy();
    let report = verify(dir.path()).expect("it opens");
    let counted = Report { streams: 9, events: 29, snapshots: 3, names: 3, ..Report::default() };
    assert_eq!(report, counted);
    let journal = open(dir.path(), Settings::default()).expect("it opens for writing");
    assert_eq!(journal.created_ms(), 1_795_291_116_300);
    assert_eq!(journal.meta("game").expect("readable").as_deref(), Some("pioneer"));
    assert_eq!(journal.meta("seed").expect("readable").as_deref(), Some("7"));
    let owner = journal.name("player", "bot8mjqn0").expect("readable").and_then(|row| row.owner);
    assert_eq!(owner.map(|e| (e.kind, e.id)), Some((Kind(1), 1_274_956_913_649_301_870)));
}

#[test]
fn every_stream_of_an_earlier_journal_is_read_and_goes_on() {
    let dir = copy();
    let journal = open(dir.path(), Settings::default()).expect("it opens");
    let mut node = Probe::join(&journal, 1);
    let (mut players, mut answers) = (0, 0);
    for summary in journal.streams(None, 99).expect("readable") {
        let id = summary.entity;
        let (mut session, mut last) = (None, 0);
        for (seq, event) in journal.stream(id, 0, 99).expect("readable") {
            last = seq;
            let cause = Cause::decode(event.cause.as_ref()).expect("a cause");
            answers += u32::from(cause.seq > 0);
            if event.event_type == EventType::Session {
                let began = Session::decode(event.payload.as_ref()).expect("a session");
                assert_eq!((began.session, began.adoption, began.token.len()), (1, 1, 32));
                session = Some(began);
            }
        }
        let loaded = node.load(id);
        assert_eq!(loaded.events.last().map_or(summary.snapshot, |(seq, _)| Some(*seq)), Some(last), "{id}");
        if let Some((_, payload)) = &loaded.snapshot {
            let snapshot = Snapshot::decode(payload.as_ref()).expect("a snapshot");
            assert!(!snapshot.state.is_empty() && snapshot.at > 0, "{id}");
            assert_eq!(snapshot.session, session, "{id}");
            assert!(!snapshot.answers.is_empty() && snapshot.place.is_some(), "{id}");
            players += 1;
        }
        assert_eq!(node.append(vec![stream(id, 1, last, 1)]), Outcome::Done, "{id} goes on");
    }
    assert_eq!((players, answers > 0), (3, true));
    drop(node);
    drop(journal);
    let events = verify(dir.path()).map(|report| report.events).expect("it opens again");
    assert_eq!(events, 29 + 9);
}

/// An earlier version of the format had no wakes.
#[test]
fn an_earlier_journal_goes_on_with_wakes() {
    let dir = copy();
    let has_wakes = || {
        let conn = rusqlite::Connection::open(dir.path().join(JOURNAL_FILE)).expect("a file of SQLite");
        let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'wakes'";
        conn.query_row(tables, [], |row| row.get::<_, u32>(0)).expect("readable") == 1
    };
    assert!(!has_wakes(), "the file is older than that");
    for more in [0, 1] {
        let journal = open(dir.path(), Settings::default()).expect("it opens");
        let summary = journal.streams(None, 1).expect("readable").remove(0);
        let mut node = Probe::join(&journal, 1);
        let append =
            StreamAppend { wake: Some(WorldTime(7 + more)), ..stream(summary.entity, 1, summary.last, 1) };
        assert_eq!(node.append(vec![append]), Outcome::Done);
        assert_eq!(node.wakes(None, 9, 9), [(WorldTime(7 + more), summary.entity)]);
    }
    assert!(has_wakes());
}
