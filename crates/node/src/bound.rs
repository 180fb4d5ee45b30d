//! A world time in the journal that the world has not reached yet. A start begins there or later, so world time never goes back,
//! although a kill of all nodes leaves nobody the time to note anything; and it goes forward by [`AHEAD_MS`] at most.
//!
//! The bound is what the *nodes* show, not what this machine's clock says: a process that joins with a wrong clock takes over the time
//! of the others, and must not carry its own into the journal. It is only ever raised, because all processes of a world raise the same
//! one; when the only process of a world ends in peace, it notes the time as it is.

use gundo_journal::{Fault, Journal};
use gundo_types::WorldTime;

/// The bound is this far ahead when it is raised: how far a start may go forward. ms
pub(crate) const AHEAD_MS: u64 = 10_000;
/// It is raised when less than this is left, ms.
const LEFT_MS: u64 = 6_000;
/// The key of the bound in the journal: ms.
const KEY: &str = "world_bound_ms";
/// The key of a world time that the world had: builds before this one note only that, every 10 s.
const NOTED: &str = "world_ms";

/// What the journal's notes say of the world's time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoteFault {
    #[error(transparent)]
    Journal(#[from] Fault),
    #[error("the note {key} is no number")]
    Number { key: &'static str, found: String, source: std::num::ParseIntError },
}

/// A world time at or after every one that the world has shown: the bound, or the newest event's, if that is later. Without both 0.
pub(crate) fn known_time(journal: &dyn Journal) -> Result<WorldTime, NoteFault> {
    let mut known = journal.newest_at()?.unwrap_or_default();
    for key in [NOTED, KEY] {
        let Some(found) = journal.meta(key)? else { continue };
        let ms = found.parse().map_err(|source| NoteFault::Number { key, found, source })?;
        known = known.max(WorldTime(ms));
    }
    Ok(known)
}

/// The bound of a process that runs.
pub(crate) struct Bound {
    /// What the journal has, as far as this process knows; other processes may have raised it meanwhile.
    noted: WorldTime,
}

impl Bound {
    /// Before anything runs: from `from` on the world has room.
    pub(crate) fn begin(journal: &dyn Journal, from: WorldTime) -> Result<Self, Fault> {
        Ok(Self { noted: raise(journal, from)? })
    }

    /// The nodes show `shown`. Call about once per second.
    pub(crate) fn look(&mut self, journal: &dyn Journal, shown: WorldTime) {
        if self.noted.0.saturating_sub(shown.0) >= LEFT_MS {
            return;
        }
        match raise(journal, shown) {
            Ok(noted) => self.noted = noted,
            // Nothing is durable meanwhile, and the next look tries again.
            Err(fault) => tracing::debug!(%fault, "cannot note how late it is in the world"),
        }
    }
}

/// The only process of a world ends in peace: it was `world`, and nobody has seen a later time.
pub(crate) fn settle(journal: &dyn Journal, world: WorldTime) {
    for key in [NOTED, KEY] {
        if let Err(fault) = journal.set_meta(key, &world.0.to_string()) {
            tracing::debug!(%fault, "cannot note the world time");
        }
    }
}

fn raise(journal: &dyn Journal, from: WorldTime) -> Result<WorldTime, Fault> {
    journal.raise(KEY, from.0.saturating_add(AHEAD_MS)).map(WorldTime)
}

#[cfg(test)]
mod tests {
    use gundo_journal::MemoryJournal;

    use super::*;

    #[test]
    fn a_start_begins_at_or_after_everything_that_was_shown_and_not_much_later() {
        let journal = MemoryJournal::new();
        let known = || known_time(&journal).expect("in memory").0;
        assert_eq!(known(), 0);
        let mut began = 5_000;
        for life in 0..3 {
            let mut bound = Bound::begin(&journal, WorldTime(began)).expect("in memory");
            for second in 0..60 {
                // The worst of a second: the next look is just about to happen.
                let shown = began + second * 1_000 + 999;
                assert!(known() >= shown, "{} after {shown} was shown", known());
                assert!(known() <= shown + AHEAD_MS + 1_000, "{} is far ahead of {shown}", known());
                bound.look(&journal, WorldTime(shown + 1));
            }
            // Killed: nothing is noted.
            assert!(known() <= began + 60_000 + AHEAD_MS, "life {life}");
            began = known();
        }
        settle(&journal, WorldTime(began + 7));
        assert_eq!(known(), began + 7, "in peace it goes on where it was");
    }

    #[test]
    fn two_processes_raise_one_bound() {
        let journal = MemoryJournal::new();
        let mut late = Bound::begin(&journal, WorldTime(50_000)).expect("in memory");
        let mut early = Bound::begin(&journal, WorldTime(0)).expect("in memory");
        early.look(&journal, WorldTime(49_000));
        assert_eq!(known_time(&journal).expect("in memory").0, 60_000, "the earlier one lowers nothing");
        late.look(&journal, WorldTime(58_000));
        assert_eq!(known_time(&journal).expect("in memory").0, 68_000);
    }

    #[test]
    fn the_note_of_an_older_build_counts() {
        let journal = MemoryJournal::new();
        journal.set_meta(NOTED, "77").expect("in memory");
        assert_eq!(known_time(&journal).expect("in memory").0, 77);
        journal.set_meta(KEY, "soon").expect("in memory");
        assert!(matches!(known_time(&journal), Err(NoteFault::Number { key: KEY, .. })));
    }
}
