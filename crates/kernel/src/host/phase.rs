//! What an entity is doing: one phase at a time. Each transition is one function that asserts where it may start.
//!
//! The phase is private to this file. A transition from any other phase is a bug of the kernel and stops it.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | any but gone | loading | it asks the journal for its state |
//! | loading | live, broken, suspended | the load ended |
//! | live, freezing | settling | its state may be wrong; the work in flight ends first |
//! | live, settling, freezing, fencing | fencing | an append's outcome is unknown |
//! | live | freezing | a handoff begins |
//! | freezing | frozen | it has been offered to another node |
//! | freezing, frozen | live | the handoff failed |
//! | any but gone | gone | it is not real here any more |

/// What an entity is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A load is in flight, or will be after a wait.
    Loading,
    /// It takes work.
    Live,
    /// It takes no work until its appends, and the transaction it takes part in, have ended; then it reloads.
    Settling,
    /// An append's outcome is unknown: a fence at this seq decides.
    Fencing {
        /// Seq of the last event that is certainly durable.
        after: u64,
    },
    /// Its journal cannot be read: it refuses everything.
    Broken,
    /// Its code has panicked too often: it refuses everything that it has not already answered.
    Suspended,
    /// It is to be handed to another node: it takes no work and finishes what it has begun.
    Freezing,
    /// It is offered to another node: nothing changes it until the home has decided who owns it.
    Frozen,
    /// It is not real here any more. Its host forgets it as soon as the current call returns.
    Gone,
}

#[cfg(feature = "planted")]
impl Phase {
    /// Its name in the table of coverage.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Live => "live",
            Self::Settling => "settling",
            Self::Fencing { .. } => "fencing",
            Self::Broken => "broken",
            Self::Suspended => "suspended",
            Self::Freezing => "freezing",
            Self::Frozen => "frozen",
            Self::Gone => "absent",
        }
    }
}

/// The phase of one entity.
#[derive(Debug)]
pub(crate) struct Life(Phase);

impl Life {
    /// The phase of an entity that is to be loaded.
    pub(super) fn new() -> Self {
        Self(Phase::Loading)
    }

    /// The phase of an entity that another node handed over with its state.
    pub(super) fn arrived() -> Self {
        Self(Phase::Live)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.0
    }

    pub(crate) fn is(&self, phase: Phase) -> bool {
        self.0 == phase
    }

    /// Whether its state may be shown: there is no doubt about what is durable.
    pub(super) fn shows(&self) -> bool {
        matches!(self.0, Phase::Live | Phase::Freezing | Phase::Frozen)
    }

    /// The seq after which it writes a fence, if its state is in doubt.
    pub(super) fn fence(&self) -> Option<u64> {
        if let Phase::Fencing { after } = self.0 { Some(after) } else { None }
    }

    pub(super) fn load(&mut self) {
        assert!(self.0 != Phase::Gone, "an unloaded entity does not load");
        self.0 = Phase::Loading;
    }

    pub(super) fn loaded(&mut self) {
        self.step(Phase::Live, |from| from == Phase::Loading);
    }

    pub(super) fn break_down(&mut self) {
        self.step(Phase::Broken, |from| from == Phase::Loading);
    }

    pub(super) fn suspend(&mut self) {
        self.step(Phase::Suspended, |from| from == Phase::Loading);
    }

    /// Its state may be wrong: it reloads once nothing of it is in flight.
    pub(super) fn settle(&mut self) {
        self.step(Phase::Settling, |from| matches!(from, Phase::Live | Phase::Freezing | Phase::Settling));
    }

    pub(super) fn begin_fence(&mut self, after: u64) {
        self.step(Phase::Fencing { after }, |from| {
            matches!(from, Phase::Live | Phase::Settling | Phase::Freezing | Phase::Fencing { .. })
        });
    }

    pub(super) fn freeze(&mut self) {
        self.step(Phase::Freezing, |from| from == Phase::Live);
    }

    pub(super) fn offer(&mut self) {
        self.step(Phase::Frozen, |from| from == Phase::Freezing);
    }

    pub(super) fn thaw(&mut self) {
        self.step(Phase::Live, |from| matches!(from, Phase::Freezing | Phase::Frozen));
    }

    pub(super) fn leave(&mut self) {
        self.step(Phase::Gone, |from| from != Phase::Gone);
    }

    fn step(&mut self, to: Phase, may: impl Fn(Phase) -> bool) {
        assert!(may(self.0), "an entity cannot go from {:?} to {to:?}", self.0);
        self.0 = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Phase; 9] = [
        Phase::Loading,
        Phase::Live,
        Phase::Settling,
        Phase::Fencing { after: 3 },
        Phase::Broken,
        Phase::Suspended,
        Phase::Freezing,
        Phase::Frozen,
        Phase::Gone,
    ];

    /// The phases from which `change` is allowed, by their index in `ALL`.
    fn starts(change: fn(&mut Life)) -> Vec<usize> {
        let goes = |i: &usize| std::panic::catch_unwind(|| change(&mut Life(ALL[*i]))).is_ok();
        (0..ALL.len()).filter(goes).collect()
    }

    #[test]
    fn each_change_starts_where_the_table_says() {
        assert_eq!(starts(Life::load), [0, 1, 2, 3, 4, 5, 6, 7]);
        for change in [Life::loaded, Life::break_down, Life::suspend] {
            assert_eq!(starts(change), [0]);
        }
        assert_eq!(starts(Life::settle), [1, 2, 6]);
        assert_eq!(starts(|life| life.begin_fence(7)), [1, 2, 3, 6]);
        assert_eq!(starts(Life::freeze), [1]);
        assert_eq!(starts(Life::offer), [6]);
        assert_eq!(starts(Life::thaw), [6, 7]);
        assert_eq!(starts(Life::leave), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn only_a_state_that_is_certain_is_shown() {
        let shown: Vec<_> = ALL.into_iter().filter(|phase| Life(*phase).shows()).collect();
        assert_eq!(shown, [Phase::Live, Phase::Freezing, Phase::Frozen]);
        assert_eq!(Life(Phase::Fencing { after: 3 }).fence(), Some(3));
        assert_eq!(Life(Phase::Live).fence(), None);
    }
}
