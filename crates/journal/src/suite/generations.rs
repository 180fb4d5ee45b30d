//! Generations of a journal.

use crate::Journal;

/// Also when the wall clock was set back.
pub fn generations_only_grow(journal: &dyn Journal) {
    let mut last = journal.generation().expect("readable");
    assert_eq!(last, 0, "the first one");
    for wall_ms in [5_000, 5_000, 17, 9_000] {
        let begun = journal.begin_generation(wall_ms).expect("it begins");
        assert!(begun > last && begun >= wall_ms, "{begun} after {last}, at {wall_ms}");
        assert_eq!(journal.generation().expect("readable"), begun);
        last = begun;
    }
}
