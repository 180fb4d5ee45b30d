//! Several processes on one world: here each is a journal of its own on the same tables.

mod common;

use std::collections::BTreeMap;

use common::Server;
use gundo_journal::suite::{Probe, entity, stream};
use gundo_journal::{Journal, Registration};
use gundo_journal_postgres::open;
use gundo_types::{EntityId, NodeId};
use gundo_wire::journal::{Batch, NameChange, Outcome};

/// What one process remembers of a stream is wrong when another has written to it: only what conflicts fails, and nothing lands twice.
#[test]
fn another_process_fences_what_it_overtakes_and_nothing_else() {
    let server = Server::start();
    let settings = server.settings();
    let (one, two) = (open(settings.clone()).expect("a world"), open(settings).expect("the same world"));
    let (mut a, mut b) = (Probe::join(&one, 1), Probe::join(&two, 2));
    let ids: Vec<EntityId> = (1..=20).map(entity).collect();
    for id in &ids {
        assert_eq!(a.append(vec![stream(*id, 1, 0, 1)]), Outcome::Done);
    }
    // The first process does not hear of these.
    for id in &ids[..5] {
        assert_eq!(b.append(vec![stream(*id, 1, 1, 1)]), Outcome::Done);
    }
    let batches = ids.iter().map(|id| a.batch(vec![stream(*id, 1, 1, 1)])).collect();
    let outcomes = a.append_all(batches);
    assert!(outcomes[..5].iter().all(|outcome| *outcome == Outcome::Conflict), "{outcomes:?}");
    assert!(outcomes[5..].iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    assert!(one.stats().moved > 0);
    // A fence of the other at a seq that was never used.
    let mut fence = stream(ids[9], 1, 2, 1);
    fence.events[0].event_type = gundo_wire::journal::EventType::Fenced;
    assert_eq!(b.append(vec![fence]), Outcome::Done);
    assert_eq!(a.append(vec![stream(ids[9], 1, 2, 1)]), Outcome::Conflict);
    // A row that another process has deleted.
    two.leave(a.incarnation).expect("writable");
    assert_eq!(a.append(vec![stream(ids[15], 1, 2, 1)]), Outcome::Conflict);
    assert_eq!(
        one.register(NodeId(1), a.incarnation).expect("writable"),
        Registration::Passed { newest: b.incarnation }
    );
    // A generation that another process has begun.
    let begun = two.begin_generation(5).expect("it begins");
    let mut c = Probe::join(&one, 3);
    c.generation = 0;
    assert_eq!(c.append(vec![stream(ids[16], 1, 2, 1)]), Outcome::Generation(begun));
    c.generation = begun;
    assert_eq!(c.append(vec![stream(ids[16], 2, 2, 1)]), Outcome::Done);
}

/// An entity goes from process to process, and comes back to one that remembers an earlier end of its stream.
#[test]
fn a_stream_that_comes_back_goes_on_at_once() {
    let server = Server::start();
    let settings = server.settings();
    let journals: Vec<_> = (0..3).map(|_| open(settings.clone()).expect("the world")).collect();
    let mut probes: Vec<Probe> =
        (1..).zip(&journals).map(|(node, journal)| Probe::join(journal, node)).collect();
    let (e, other) = (entity(1), entity(2));
    for turn in 0..30_u64 {
        let probe = &mut probes[turn as usize % 3];
        let streams = vec![stream(e, turn + 1, 2 * turn, 2), stream(other, turn + 1, turn, 1)];
        assert_eq!(probe.append(streams), Outcome::Done, "turn {turn}");
    }
    // What was already on its way when the entity left fails, and what follows on the newest end lands in the same group.
    let [a, b, _] = &mut probes[..] else { unreachable!("three") };
    assert_eq!(b.append(vec![stream(e, 31, 60, 1)]), Outcome::Done);
    let late = a.batch(vec![stream(e, 32, 56, 1)]);
    let good = a.batch(vec![stream(e, 33, 61, 1)]);
    assert_eq!(a.append_all(vec![late, good]), [Outcome::Conflict, Outcome::Done]);
    // A process hears of a new generation before its journal has written anything in it.
    let begun = journals[1].begin_generation(5).expect("it begins");
    a.generation = begun;
    assert_eq!(a.append(vec![stream(e, 34, 62, 1)]), Outcome::Done);
}

/// Three processes write to the same few streams at once, two at a time, in both orders, and take the same names.
#[test]
fn processes_that_race_for_everything_keep_streams_whole_and_names_single() {
    const ROUNDS: u64 = 120;
    let server = Server::start();
    let settings = server.settings();
    let journals: Vec<_> = (0..3).map(|_| open(settings.clone()).expect("the world")).collect();
    let landed: Vec<BTreeMap<EntityId, u64>> = std::thread::scope(|scope| {
        // They join one after another: each looks for a free number.
        let probes: Vec<Probe> =
            (1..).zip(&journals).map(|(node, journal)| Probe::join(journal, node)).collect();
        let start = |mut probe: Probe| scope.spawn(move || race(&mut probe, ROUNDS));
        let threads: Vec<_> = probes.into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut probe = Probe::join(&journals[0], 9);
    for id in 1..=4 {
        let e = entity(id);
        let events = probe.load(e).events.len() as u64;
        let sum: u64 = landed.iter().map(|landed| landed.get(&e).copied().unwrap_or(0)).sum();
        assert_eq!(events, sum, "{e}: every event that landed is there, and no other");
    }
    let total: u64 = landed.iter().flat_map(BTreeMap::values).sum();
    // Each name is taken by the first that lands with it.
    assert!(total >= ROUNDS / 2, "somebody gets through: {landed:?}");
    let stats: Vec<_> = journals.iter().map(gundo_journal_postgres::PostgresJournal::stats).collect();
    assert!(stats.iter().all(|stats| stats.rejected + stats.unknown == 0), "{stats:?}");
}

fn race(probe: &mut Probe, rounds: u64) -> BTreeMap<EntityId, u64> {
    let mut landed = BTreeMap::new();
    for round in 0..rounds {
        let (first, second) = (entity(1 + round % 4), entity(1 + (round * 3 + 1) % 4));
        let (load, mut streams) = (round + 1, Vec::new());
        for e in [first, second] {
            if streams.iter().all(|s: &gundo_wire::journal::StreamAppend| s.entity != e) {
                let last = probe.load(e).last_seq();
                streams.push(stream(e, load, last, 1 + round % 2));
            }
        }
        let name = NameChange { space: "\0any".into(), name: format!("n{}", round / 2), owner: Some(first) };
        let batch = Batch { names: vec![name], ..probe.batch(streams.clone()) };
        match probe.append_all(vec![batch]).remove(0) {
            Outcome::Done => {
                for s in streams {
                    *landed.entry(s.entity).or_default() += s.events.len() as u64;
                }
            }
            Outcome::Conflict | Outcome::Taken => {}
            other => panic!("{other:?}"),
        }
    }
    landed
}
