//! What a journal knows of the time of its newest event.

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
