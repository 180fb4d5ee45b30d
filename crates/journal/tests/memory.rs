//! The journal in memory keeps every promise of the suite, and [`Store`] does so without the trait around it.

use gundo_journal::suite::{entity, stream};
use gundo_journal::{MemoryJournal, Store};
use gundo_types::NodeId;
use gundo_wire::journal::{Batch, NameChange, Outcome, StreamAppend};

gundo_journal::conformance!(MemoryJournal::new());

fn batch(id: u64, incarnation: u64, streams: Vec<StreamAppend>) -> Batch {
    let (prepared_by, names) = (Vec::new(), Vec::new());
    Batch { id, node: NodeId(1), incarnation, generation: 0, prepared_by, streams, names }
}

#[test]
fn a_group_is_judged_in_order() {
    let mut store = Store::new();
    let me = store.join();
    let (x, y) = (entity(1), entity(2));
    let outcomes = store.commit_group(vec![
        batch(1, me, vec![stream(x, 1, 0, 1)]),
        batch(2, me, vec![stream(x, 1, 1, 1), stream(y, 1, 0, 2)]),
        batch(3, me, vec![stream(y, 1, 1, 1)]),
        batch(4, me, vec![stream(x, 1, 2, 1)]),
    ]);
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Conflict, Outcome::Done]);
}

#[test]
fn a_fault_fails_what_depends_on_it_and_leaves_no_trace_unless_it_landed() {
    for landed in [false, true] {
        let mut store = Store::new();
        let me = store.join();
        let x = entity(1);
        let take = NameChange { space: "p".into(), name: "ann".into(), owner: Some(x) };
        let first = Batch { names: vec![take.clone()], ..batch(1, me, vec![stream(x, 1, 0, 1)]) };
        let owner = Some(entity(2));
        let late = Batch {
            names: vec![NameChange { owner, ..take }],
            ..batch(2, me, vec![stream(entity(2), 1, 0, 1)])
        };
        let outcomes = store.fail_group(vec![first, late], &Outcome::Unknown, landed);
        // The name was taken by a batch that may not land: that is no reason to answer "taken".
        assert_eq!(outcomes, [Outcome::Unknown, Outcome::Conflict]);
        assert_eq!(store.load(x).events.len(), usize::from(landed));
        assert_eq!(store.name("p", "ann").is_some(), landed);
        let next = batch(3, me, vec![stream(x, 1, u64::from(landed), 1)]);
        assert_eq!(store.commit_group(vec![next]), [Outcome::Conflict], "decided on what is not known");
        let again = batch(4, me, vec![stream(x, 2, u64::from(landed), 1)]);
        assert_eq!(store.commit_group(vec![again]), [Outcome::Done]);
    }
}

#[test]
#[should_panic(expected = "twice")]
fn a_malformed_batch_is_a_bug() {
    let mut store = Store::new();
    let me = store.join();
    store.commit_group(vec![batch(1, me, vec![stream(entity(1), 1, 0, 1), stream(entity(1), 1, 1, 1)])]);
}

#[test]
fn a_generation_is_numbered_by_the_wall_clock() {
    let mut store = Store::new();
    assert_eq!([5_000, 5_000, 17, 9_000].map(|ms| store.begin_generation(ms)), [5_000, 5_001, 5_002, 9_000]);
}
