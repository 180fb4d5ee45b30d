//! Pruning by partitions: what is dead goes with its partition, what lives in it is carried on, and nobody notices.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use common::Server;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal::{Journal, KEEP_MS};
use gundo_journal_postgres::{PostgresSettings, open};
use gundo_types::{EntityId, WorldTime};
use gundo_wire::journal::Outcome;

/// Appends ten events that end in a snapshot.
fn ten(probe: &mut Probe, e: EntityId, after: u64) {
    let mut ten = stream(e, 1, after, 10);
    ten.snapshot = Some(Bytes::from(format!("as of {}", after + 10)));
    assert_eq!(probe.append(vec![ten]), Outcome::Done);
}

#[test]
fn partitions_are_dropped_and_what_lives_is_carried_on() {
    let server = Server::start();
    // Each sweep begins a partition.
    let settings = PostgresSettings { part_ms: 0, ..server.settings() };
    let schema = settings.schema.clone();
    let journal = open(settings.clone()).expect("a world");
    let parts = || {
        server.sql(&format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{schema}.events'::regclass"))
    };
    let mut a = Probe::join(&journal, 1);
    let (busy, idle) = (entity(1), entity(2));
    assert_eq!(a.append(vec![stream(idle, 1, 0, 3)]), Outcome::Done);
    let sweep = |at| journal.sweep(WorldTime(at)).expect("it sweeps");
    let mut after = 0;
    for _ in 0..6 {
        for _ in 0..10 {
            ten(&mut a, busy, after);
            after += 10;
        }
        assert_eq!(sweep(0), gundo_journal::Pruned::default(), "the world is too young");
    }
    assert_eq!(parts(), "8", "six old ones, a new one, and the one that stays");
    let before = (a.load(busy), a.load(idle));
    let pruned = sweep(10 * KEEP_MS);
    // The last hundred are in a partition of which an eighth lives: it goes too.
    assert_eq!((pruned.events, pruned.snapshots), (589, 58));
    assert_eq!(parts(), "2", "the new one, and the one that stays");
    assert_eq!(journal.stats().dropped_parts, 7);
    assert_eq!((a.load(busy), a.load(idle)), before);
    assert_eq!(journal.stream(busy, 0, 1).expect("readable")[0].0, 590);
    assert_eq!(
        journal.stream(idle, 0, 9).expect("readable").len(),
        3,
        "an entity that idles keeps everything"
    );
    // It goes on, also where its last events were carried to another partition.
    assert_eq!(a.append(vec![stream(idle, 1, 3, 1), stream(busy, 1, 600, 1)]), Outcome::Done);
    assert_eq!(a.seqs(idle), (0, vec![1, 2, 3, 4]));
    ten(&mut a, busy, 601);
    ten(&mut a, busy, 611);
    // Nothing of the idle entity is dead; what is dead of the other lies in the partition that stays.
    assert_eq!(sweep(10 * KEEP_MS).events, 11, "590 to 600; the partition after that is half alive");
    assert_eq!(journal.stream(busy, 0, 1).expect("readable")[0].0, 601);
    let all = journal.prune(WorldTime(10 * KEEP_MS)).expect("it prunes");
    assert_eq!((all.events, all.snapshots), (10, 0));
    assert_eq!(journal.stream(busy, 0, 1).expect("readable")[0].0, 611);
    assert_eq!((a.seqs(busy), a.seqs(idle)), ((621, vec![]), (0, vec![1, 2, 3, 4])));
}

#[test]
fn a_sweep_that_was_cut_short_is_finished_by_the_next() {
    let server = Server::start();
    for detached in ["", "events", "snapshots"] {
        cut_short(&server, detached);
    }
}

fn cut_short(server: &Server, detached: &str) {
    let settings = PostgresSettings { part_ms: 0, ..server.settings() };
    let schema = settings.schema.clone();
    let journal = open(settings).expect("a world");
    let mut a = Probe::join(&journal, 1);
    for n in 0..10 {
        ten(&mut a, entity(1), n * 10);
    }
    journal.sweep(WorldTime(0)).expect("it sweeps");
    let before = a.load(entity(1));
    // As if it had ended after the copies: everything is there twice, one table has lost its partition already.
    server.sql(&format!("INSERT INTO {schema}.events_0 SELECT 0, kind, id, seq, at, type, cause, payload FROM {schema}.events_1"));
    server.sql(&format!(
        "INSERT INTO {schema}.snapshots_0 SELECT 0, kind, id, seq, at, payload FROM {schema}.snapshots_1"
    ));
    assert_eq!(a.load(entity(1)), before);
    assert_eq!(journal.stream(entity(1), 0, 1_000).expect("readable").len(), 100);
    if !detached.is_empty() {
        server.sql(&format!("ALTER TABLE {schema}.{detached} DETACH PARTITION {schema}.{detached}_1"));
    }
    assert_eq!(a.load(entity(1)), before);
    journal.prune(WorldTime(10 * KEEP_MS)).expect("it prunes");
    assert_eq!(a.load(entity(1)), before);
    assert_eq!(journal.stream(entity(1), 0, 1_000).expect("readable").len(), 11);
}

#[test]
fn appends_and_loads_go_on_while_partitions_come_and_go() {
    let server = Server::start();
    let settings = PostgresSettings { part_ms: 0, parts_max: 3, ..server.settings() };
    let journal = open(settings).expect("a world");
    let stop = AtomicBool::new(false);
    let mut node = common::Busy::join(&journal, 1, &[entity(1), entity(2), entity(3)]);
    let mut probe = Probe::join(&journal, 2);
    assert_eq!(probe.append(vec![stream(entity(9), 1, 0, 5)]), Outcome::Done);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            node.write(&stop);
            node.verify();
        });
        for _ in 0..8 {
            journal.sweep(WorldTime(10 * KEEP_MS)).expect("it sweeps");
            assert_eq!(probe.seqs(entity(9)), (0, vec![1, 2, 3, 4, 5]));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(journal.stats().dropped_parts >= 5);
    assert_eq!(node.ends.keys().copied().collect::<Vec<_>>(), ["done"], "{:?}", node.ends);
}
