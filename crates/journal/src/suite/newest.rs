//! What a journal knows of the time of its newest event, and of the bound that world time has not passed.

use gundo_types::WorldTime;
use gundo_wire::journal::Outcome;

use super::{Probe, entity, stream};
use crate::Journal;

/// A journal that knows the time of its newest event knows it to the second, also when the events do not come in order. `None` from one
/// that does not.
pub fn the_newest_time_is_known(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let at = |id, after, at| {
        let mut append = stream(entity(id), 1, after, 1);
        append.events[0].at = WorldTime(at);
        vec![append]
    };
    let mut newest = 0;
    for (after, time) in [5_000, 5_300, 3_000, 6_100, 90_000, 90_999, 89_000].into_iter().enumerate() {
        assert_eq!(a.append(at(990, after as u64, time)), Outcome::Done);
        newest = newest.max(time);
        let Some(known) = journal.newest_at().expect("readable") else { return };
        assert!((newest..newest + 1_000).contains(&known.0), "{known:?} after {newest}");
    }
    assert_eq!(a.append(at(990, 99, 500_000)), Outcome::Conflict);
    let known = journal.newest_at().expect("readable").expect("it knew before");
    assert!(known.0 < newest + 1_000, "what did not land does not count: {known:?}");
}

/// Who raises a note finds the highest number that anybody has raised it to, also when several do it at once.
pub fn a_raised_note_never_falls(journal: &dyn Journal) {
    let raise = |value| journal.raise("bound", value).expect("writable");
    let noted = || journal.meta("bound").expect("readable");
    assert_eq!(noted(), None);
    assert_eq!((raise(9), raise(10), raise(9)), (9, 10, 10), "by number, not by letters");
    assert_eq!(noted().as_deref(), Some("10"));
    journal.set_meta("bound", "later").expect("writable");
    assert_eq!((raise(8), noted().as_deref()), (8, Some("8")), "what is no number counts as none");
    assert_eq!(raise(u64::MAX - 1), u64::MAX - 1);
    journal.set_meta("bound", "8").expect("writable");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                let mut before = 0;
                for step in 1..=10 {
                    let value = step * 100 + thread;
                    let found = journal.raise("bound", value).expect("writable");
                    assert!(found >= value.max(before), "{found} after {before}, raised to {value}");
                    before = found;
                }
            });
        }
    });
    assert_eq!(noted().as_deref(), Some("1003"));
}
