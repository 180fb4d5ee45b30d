//! A server that is killed, stopped, made read-only or replaced by its standby, while nodes append.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Busy, PATIENCE, Server};
use gundo_engines::postgres::Postgres;
use gundo_journal::Journal;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal_postgres::{PostgresJournal, PostgresSettings, open};
use gundo_wire::journal::Outcome;

/// Two nodes write on five entities each while `meanwhile` does something to the server; then everything acknowledged must be
/// there. Returns how batches ended.
fn under_load(
    journal: &PostgresJournal,
    meanwhile: impl FnOnce(),
) -> Vec<std::collections::BTreeMap<&'static str, u64>> {
    let stop = AtomicBool::new(false);
    let mut nodes: Vec<Busy> = (1..=2_u16)
        .map(|node| {
            let entities: Vec<_> = (0..5).map(|n| entity(u64::from(node) * 100 + n)).collect();
            Busy::join(journal, node, &entities)
        })
        .collect();
    nodes.iter_mut().for_each(|node| node.write_some(50));
    std::thread::scope(|scope| {
        for node in &mut nodes {
            scope.spawn(|| node.write(&stop));
        }
        meanwhile();
        stop.store(true, Ordering::Relaxed);
    });
    for node in &mut nodes {
        node.write_some(50);
        node.verify();
    }
    nodes.into_iter().map(|node| node.ends).collect()
}

/// Waits until more events have landed.
fn wait_for_events(journal: &PostgresJournal, more: u64) {
    let (enough, until) = (journal.stats().events + more, Instant::now() + PATIENCE);
    while journal.stats().events < enough {
        assert!(Instant::now() < until, "nothing lands: {:?}", journal.stats());
        // Polls, up to a limit; how much has landed meanwhile does not matter.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_acknowledged_survives_kills_and_what_was_under_way_is_settled() {
    let mut server = Server::start();
    let journal = open(PostgresSettings { settle_ms: 60_000, outage_ms: 60_000, ..server.settings() })
        .expect("a world");
    let ends = under_load(&journal, || {
        // Not every kill meets a group under way.
        for kills in 0..60 {
            wait_for_events(&journal, 100);
            server.postgres.kill();
            server.postgres.restart().expect("it starts again");
            if kills >= 4 && journal.stats().settled > 0 {
                break;
            }
        }
        wait_for_events(&journal, 100);
    });
    for ends in &ends {
        assert_eq!(
            ends.keys().copied().collect::<Vec<_>>(),
            ["done"],
            "every outcome was found out: {ends:?}"
        );
    }
    assert!(journal.stats().settled > 0, "no kill met a group under way");
}

#[test]
fn a_server_that_only_reads_rejects_and_takes_writes_again() {
    let server = Server::start();
    let journal = server.journal();
    let mut node = Probe::join(&journal, 1);
    assert_eq!(node.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Done);
    let read_only = |on: &str| {
        server.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {on}"));
        server.sql("SELECT pg_reload_conf()");
    };
    read_only("on");
    let (mut load, until) = (1, Instant::now() + PATIENCE);
    let mut last = 1;
    // The server reads its settings when it gets to it.
    let why = loop {
        load += 1;
        match node.append(vec![stream(entity(1), load, last, 1)]) {
            Outcome::Rejected(why) => break why,
            Outcome::Done => last += 1,
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < until, "it still takes writes");
    };
    assert!(why.contains("read-only"), "{why}");
    read_only("off");
    loop {
        load += 1;
        match node.append(vec![stream(entity(1), load, last, 1)]) {
            Outcome::Done => break,
            Outcome::Rejected(_) => assert!(Instant::now() < until, "it takes no writes"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(node.seqs(entity(1)).1.len() as u64, last + 1);
}

#[test]
fn a_server_that_is_away_rejects_what_was_not_sent() {
    let mut server = Server::start();
    let settings = PostgresSettings { outage_ms: 100, settle_ms: 100, ..server.settings() };
    let journal = open(settings).expect("a world");
    let mut node = Probe::join(&journal, 1);
    assert_eq!(node.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Done);
    server.postgres.stop();
    let outcomes = [2, 3].map(|load| node.append(vec![stream(entity(1), load, 1, 1)]));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Rejected(_))), "{outcomes:?}");
    assert!(journal.is_member(node.incarnation).is_err());
    server.postgres.restart().expect("it starts again");
    // The journal connects again after a pause.
    let again =
        std::iter::repeat_with(|| journal.is_member(node.incarnation)).take(100_000).find_map(Result::ok);
    assert_eq!(again, Some(true));
    assert_eq!(node.append(vec![stream(entity(1), 4, 1, 1)]), Outcome::Done);
}

/// The hung server has the statement; what it does with it when it wakes up nobody knows here.
#[test]
fn a_server_that_hangs_leaves_an_outcome_unknown() {
    let mut server = Server::start();
    let settings = PostgresSettings {
        // A second one would ask first, and send nothing.
        writers: 1,
        connect_timeout_ms: 300,
        statement_timeout_ms: 300,
        answer_timeout_ms: 100,
        settle_ms: 300,
        outage_ms: 300,
        ..server.settings()
    };
    let journal = open(settings).expect("a world");
    let mut node = Probe::join(&journal, 1);
    assert_eq!(node.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Done);
    server.postgres.signal(19).expect("it runs");
    assert_eq!(node.append(vec![stream(entity(1), 1, 1, 1)]), Outcome::Unknown);
    server.postgres.signal(18).expect("it hangs");
    let until = Instant::now() + PATIENCE;
    let mut fence = stream(entity(1), 1, 1, 1);
    fence.events[0].event_type = gundo_wire::journal::EventType::Fenced;
    // Either the fence is there then, or the batch.
    while !matches!(node.append(vec![fence.clone()]), Outcome::Done | Outcome::Conflict) {
        assert!(Instant::now() < until, "the server woke up");
    }
    assert_eq!(node.seqs(entity(1)).1, [1, 2]);
}

#[test]
fn a_promoted_standby_goes_on_in_a_new_generation_and_nothing_is_lost() {
    let mut server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = PostgresSettings { settle_ms: 60_000, outage_ms: 60_000, ..server.settings() };
    let standby = server.postgres.standby(dir.path()).expect("a standby");
    settings.server = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user={} dbname=postgres",
        server.postgres.port(),
        standby.port(),
        Postgres::USER
    );
    let journal = open(settings).expect("a world");
    let before = journal.generation().expect("readable");
    let ends = under_load(&journal, || {
        wait_for_events(&journal, 100);
        server.postgres.kill();
        standby.promote().expect("it is a standby");
        wait_for_events(&journal, 100);
    });
    let after = journal.generation().expect("readable");
    assert_eq!((before, after), (0, 1), "a promotion begins a generation");
    assert!(ends.iter().all(|ends| ends.contains_key("generation")), "{ends:?}");
    let mut other = Probe::join(&journal, 3);
    assert_eq!(other.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Done);
    assert_eq!(other.load(entity(1)).generation, after);
}

/// Commits wait, and nothing is answered that only the primary has. What waits does not pile up on the server.
#[test]
fn without_its_standby_nothing_is_answered_and_nothing_piles_up() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut standby = server.postgres.standby(dir.path()).expect("a standby");
    let settings = PostgresSettings {
        writers: 1,
        connect_timeout_ms: 600,
        statement_timeout_ms: 300,
        answer_timeout_ms: 100,
        settle_ms: 300,
        outage_ms: 300,
        ..server.settings()
    };
    let journal = open(settings.clone()).expect("a world");
    let mut node = Probe::join(&journal, 1);
    assert_eq!(node.append(vec![stream(entity(1), 1, 0, 1)]), Outcome::Done);
    standby.stop();
    assert_eq!(node.append(vec![stream(entity(1), 1, 1, 1)]), Outcome::Unknown);
    let Err(fault) = open(settings) else { panic!("it opens without a standby") };
    assert!(fault.chain().contains("synchronous_standby_names"), "{}", fault.chain());
    for load in 2..8 {
        let outcome = node.append(vec![stream(entity(2), load, 0, 1)]);
        assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    }
    let sessions = server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gundo'");
    let sessions: usize = sessions.parse().expect("a number");
    assert!(sessions <= 8, "{sessions} sessions");
    standby.restart().expect("it starts again");
    let until = Instant::now() + PATIENCE;
    let mut load = 8;
    while node.append(vec![stream(entity(2), load, 0, 1)]) != Outcome::Done {
        assert!(Instant::now() < until, "the standby is back");
        load += 1;
    }
    assert_eq!(node.seqs(entity(1)).1, [1, 2], "the commit that waited");
}
