//! What tools read: the same journal as nodes have it, and every damage that could be there has its words.

mod common;

use bytes::Bytes;
use common::Server;
use gundo_journal::find::Among;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal::{Fault, Journal, NameRow};
use gundo_journal_postgres::{OpenError, PostgresReader, PostgresSettings, open};
use gundo_wire::Message;
use gundo_wire::journal::{NameChange, Outcome, Snapshot};

fn read(settings: &PostgresSettings) -> PostgresReader {
    PostgresReader::open(settings.clone()).expect("it is there")
}

fn refused(settings: &PostgresSettings) -> (Box<OpenError>, String) {
    let Err(fault) = PostgresReader::open(settings.clone()) else { panic!("it opens") };
    let line = fault.chain();
    let Fault::Open { source } = fault else { panic!("{line}") };
    (source.downcast().expect("an error of opening"), line)
}

/// A world with three streams, one of them with a snapshot, and a name.
fn fill(journal: &dyn Journal) {
    let mut node = Probe::join(journal, 1);
    for id in 1..=3 {
        assert_eq!(node.append(vec![stream(entity(id), 1, 0, 4)]), Outcome::Done);
    }
    let mut with_snapshot = stream(entity(3), 1, 4, 2);
    with_snapshot.snapshot = Some(Bytes::from(Snapshot::default().encode_to_vec()));
    assert_eq!(node.append(vec![with_snapshot]), Outcome::Done);
    let name = NameChange { space: "s".into(), name: "n".into(), owner: Some(entity(1)) };
    assert_eq!(node.append_names(stream(entity(1), 1, 4, 1), vec![name]), Outcome::Done);
}

#[test]
fn a_tool_reads_beside_nodes_and_makes_nothing() {
    let server = Server::start();
    let settings = server.settings();
    let (why, line) = refused(&settings);
    assert!(matches!(*why, OpenError::NoJournal { .. }) && line.contains("no journal"), "{line}");
    let schemas = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{}'", settings.schema);
    assert_eq!(server.sql(&schemas), "0", "a tool makes no schema");

    let journal = open(settings.clone()).expect("a world");
    fill(&journal);
    let mut reader = read(&settings);
    let report = reader.verify().expect("readable");
    assert!(report.is_sound(), "{report}");
    let counts = (report.streams, report.events, report.snapshots, report.names);
    assert_eq!(counts, (3, 15, 1, 1));
    assert_eq!(reader.streams(None, 10).expect("readable"), journal.streams(None, 10).expect("readable"));
    let events = reader.stream(entity(3), 1, 3).expect("readable");
    assert_eq!(events, journal.stream(entity(3), 1, 3).expect("readable"));
    assert_eq!(events.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(reader.meta("created_ms").expect("readable"), Some(journal.created_ms().to_string()));
    assert!(reader.place().contains(&settings.schema));

    // Commits wait for a standby that is not there; a tool does not.
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql("SELECT pg_reload_conf()");
    assert!(read(&settings).verify().expect("readable").is_sound());
    server.sql("ALTER SYSTEM RESET synchronous_standby_names");
    server.sql("SELECT pg_reload_conf()");

    let meta =
        |format: &str| format!("UPDATE {}.meta SET value = '{format}' WHERE key = 'format'", settings.schema);
    server.sql(&meta("99"));
    assert!(matches!(*refused(&settings).0, OpenError::Newer { found: 99, .. }));
}

#[test]
fn every_damage_has_its_words() {
    let server = Server::start();
    let settings = server.settings();
    fill(&open(settings.clone()).expect("a world"));
    let mut reader = read(&settings);
    let schema = &settings.schema;
    for (damage, repair, words) in [
        (
            "DELETE FROM events WHERE id = 1 AND seq = 3",
            "INSERT INTO events SELECT part, kind, id, 3, at, type, cause, payload FROM events WHERE id = 1 AND seq = 4",
            "event 4 follows 2",
        ),
        (
            "DELETE FROM events WHERE id = 2 AND seq = 1",
            "INSERT INTO events SELECT part, kind, id, 1, at, type, cause, payload FROM events WHERE id = 2 AND seq = 2",
            "begins with event 2, without a snapshot",
        ),
        (
            "UPDATE streams SET last = 9 WHERE id = 2",
            "UPDATE streams SET last = 4 WHERE id = 2",
            "newest event is 9 by its row, and 4 is there",
        ),
        (
            "UPDATE streams SET id = 77 WHERE id = 2",
            "UPDATE streams SET id = 2 WHERE id = 77",
            "newest event is none by its row, and 4 is there",
        ),
        (
            "UPDATE streams SET snapshot = 2 WHERE id = 1",
            "UPDATE streams SET snapshot = NULL WHERE id = 1",
            "the snapshot at 2 is missing",
        ),
        (
            "UPDATE snapshots SET payload = '\\xff'",
            "UPDATE snapshots SET payload = ''",
            "the snapshot at 6 cannot be read",
        ),
        (
            "UPDATE events SET cause = '\\xff' WHERE id = 2 AND seq = 2",
            "UPDATE events SET cause = '' WHERE id = 2 AND seq = 2",
            "the cause of event 2 cannot be read",
        ),
        (
            "UPDATE events SET type = 999 WHERE id = 2 AND seq = 2",
            "UPDATE events SET type = 1 WHERE id = 2 AND seq = 2",
            "unknown type 999",
        ),
        (
            "INSERT INTO events SELECT 0, kind, id, seq, at, type, cause, '\\x55' FROM events WHERE id = 2 AND seq = 2",
            "DELETE FROM events WHERE part = 0",
            "event 2 is there twice, and differs",
        ),
        ("UPDATE names SET id = NULL", "UPDATE names SET id = 1", "is not whole"),
        (
            "UPDATE meta SET key = 'x' WHERE key = 'created_ms'",
            "UPDATE meta SET key = 'created_ms' WHERE key = 'x'",
            "when the world began",
        ),
    ] {
        server.sql(&format!("SET search_path = {schema}; {damage}"));
        let report = reader.verify().expect("readable");
        assert!(report.problems.iter().any(|problem| problem.contains(words)), "{damage}: {report}");
        server.sql(&format!("SET search_path = {schema}; {repair}"));
        let report = reader.verify().expect("readable");
        assert!(report.is_sound(), "after {repair}: {report}");
    }
    // What a sweep that was cut short leaves is no damage.
    server.sql(&format!(
        "SET search_path = {schema}; INSERT INTO events SELECT 0, kind, id, seq, at, type, cause, payload FROM events"
    ));
    let report = reader.verify().expect("readable");
    assert!(report.is_sound() && report.events == 15, "{report}");
}

/// What tools look for, slice by slice, beside nodes that write.
#[test]
fn a_tool_finds_bytes_and_reads_what_was() {
    let server = Server::start();
    let settings = server.settings();
    let journal = open(settings.clone()).expect("a world");
    fill(&journal);
    let mut node = Probe::join(&journal, 2);
    for (id, words) in [(5, "an axe"), (u64::MAX, "no tool")] {
        let mut marked = stream(entity(id), 1, 0, 3);
        marked.events[1].payload = Bytes::from(format!("here is {words}"));
        let snapshot = Snapshot { state: Bytes::from(format!("{words} in the bag")), ..Snapshot::default() };
        marked.snapshot = Some(snapshot.encode_to_vec().into());
        assert_eq!(node.append(vec![marked]), Outcome::Done);
    }
    let mut reader = read(&settings);
    for among in [Among::Events, Among::Snapshots] {
        for max in [1, 2, 3, 1_000] {
            let (mut after, mut found, mut slices) = (None, Vec::new(), 0);
            loop {
                let slice = reader.find(among, b"an axe", after, max).expect("readable");
                (found, after, slices) = ([found, slice.found].concat(), slice.next, slices + 1);
                if after.is_none() {
                    break;
                }
                // Some more come meanwhile.
                if slices < 4 {
                    node.append(vec![stream(entity(1_000 + slices + max as u64 * 100), 1, 0, 1)]);
                }
            }
            let seq = if among == Among::Events { 2 } else { 3 };
            assert_eq!(found, [(entity(5), seq)], "{among:?}, {max} at a time");
            assert!(slices >= if max == 1 { 3 } else { 1 }, "{slices} slices of {max}");
        }
    }
    assert_eq!(
        reader.find(Among::Events, b"no tool", None, 10_000).expect("readable").found,
        [(entity(u64::MAX), 2)]
    );
    let loaded = reader.load(entity(3)).expect("readable");
    assert_eq!((loaded.snapshot.map(|(seq, _)| seq), loaded.events.len()), (Some(6), 0));
    assert_eq!(reader.load(entity(77)).expect("readable").events, []);
    assert_eq!(reader.snapshot(entity(3), 7).expect("readable").snapshot.map(|(seq, _)| seq), Some(6));
    assert_eq!(reader.snapshot(entity(3), u64::MAX).expect("readable").snapshot.map(|(seq, _)| seq), Some(6));
    assert_eq!(reader.snapshot(entity(3), 6).expect("readable").snapshot, None);
    let owner = |name: Option<NameRow>| name.and_then(|row| row.owner);
    assert_eq!(owner(reader.name("s", "n").expect("readable")), Some(entity(1)));
    assert_eq!(owner(reader.name("s", "m").expect("readable")), None);
}

/// Set `GUNDO_TEST_EVENTS=1000000` to measure what a search costs.
#[test]
fn a_search_goes_through_all_events_in_slices() {
    let events = std::env::var("GUNDO_TEST_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000u64);
    let server = Server::start();
    let settings = server.settings();
    let journal = open(settings.clone()).expect("a world");
    let mut node = Probe::join(&journal, 1);
    for id in 1..=events / 500 {
        assert_eq!(node.append(vec![stream(entity(id), 1, 0, 500)]), Outcome::Done);
    }
    let mut last = stream(entity(u64::MAX), 1, 0, 1);
    last.events[0].payload = Bytes::from_static(b"here is an axe");
    assert_eq!(node.append(vec![last]), Outcome::Done);
    let mut reader = read(&settings);
    let (began, mut after, mut found) = (std::time::Instant::now(), None, Vec::new());
    loop {
        let slice = reader.find(Among::Events, b"an axe", after, 5_000).expect("readable");
        (found, after) = ([found, slice.found].concat(), slice.next);
        if after.is_none() {
            break;
        }
    }
    println!("{events} events: {:?}", began.elapsed());
    assert_eq!(found, [(entity(u64::MAX), 1)]);
}
