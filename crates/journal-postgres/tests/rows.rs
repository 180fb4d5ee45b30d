//! Members learn whether they belong, and in which generation the journal is, while commits wait for standbys that are away: the world
//! goes on, and nobody is taken for lost.

mod common;

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::Instant;

use common::{PATIENCE, Server};
use gundo_journal::suite::{Probe, entity, join, stream};
use gundo_journal::{Journal, MemoryFirst};
use gundo_journal_postgres::{PostgresJournal, open};
use gundo_wire::journal::{EventType, Outcome};

/// Has a commit wait for a standby that there is not, and lets it end when all is looked at. `look` may ask whether it still waits.
fn while_nobody_confirms(server: &Server, journal: &PostgresJournal, look: impl FnOnce(&dyn Fn())) {
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql("SELECT pg_reload_conf()");
    thread::scope(|scope| {
        let (tx, noted) = channel();
        scope.spawn(move || drop(tx.send(journal.set_meta("note", "1"))));
        let until = Instant::now() + PATIENCE;
        while server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "0" {
            assert!(Instant::now() < until, "nothing waits for the standby");
        }
        look(&|| assert!(matches!(noted.try_recv(), Err(TryRecvError::Empty)), "the commit still waits"));
        server.sql("ALTER SYSTEM RESET synchronous_standby_names");
        server.sql("SELECT pg_reload_conf()");
        noted.recv_timeout(PATIENCE).expect("it ends").expect("it is written");
    });
}

#[test]
fn who_belongs_is_answered_while_commits_wait() {
    let server = Server::start();
    let mut settings = server.settings();
    // A commit waits for as long as the test wants.
    settings.answer_timeout_ms = PATIENCE.as_millis() as u64;
    let journal = open(settings).expect("a new world");
    let incarnation = join(&journal, 1);
    while_nobody_confirms(&server, &journal, |still_waits| {
        assert!(journal.is_member(incarnation).expect("readable"));
        assert!(!journal.is_member(incarnation + 1).expect("readable"));
        journal.generation().expect("readable");
        still_waits();

        // Also by a new connection.
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'gundo' AND wait_event IS DISTINCT FROM 'SyncRep'",
        );
        assert!(journal.is_member(incarnation).expect("readable"));
        still_waits();
    });
}

/// No standby confirms anything: what must be flushed waits, and events for which memory is enough at first do not.
#[test]
fn what_is_in_memory_first_waits_for_no_standby() {
    let server = Server::start();
    let mut settings = server.settings();
    settings.answer_timeout_ms = PATIENCE.as_millis() as u64;
    let journal = open(settings).expect("a new world");
    let id = entity(1);
    journal.set_memory_first(MemoryFirst::new([(id.kind, 3)]));
    let mut probe = Probe::join(&journal, 1);
    let light = |after| {
        let mut append = stream(id, 1, after, 1);
        append.events[0].event_type = EventType::Game;
        append.events[0].payload = vec![3 << 3 | 2, 0].into();
        append
    };
    assert_eq!(probe.append(vec![light(0)]), Outcome::Done);
    while_nobody_confirms(&server, &journal, |still_waits| {
        for after in 1..5 {
            assert_eq!(probe.append(vec![light(after)]), Outcome::Done);
        }
        still_waits();
    });
    assert_eq!(journal.stats().common.groups_memory_first, 5);
    let mut heavy = light(5);
    heavy.events[0].payload = vec![4 << 3 | 2, 0].into();
    assert_eq!(probe.append(vec![heavy]), Outcome::Done);
    assert_eq!(journal.stats().common.groups_memory_first, 5, "the setting is the transaction's alone");
}
