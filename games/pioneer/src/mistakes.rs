//! Mistakes in the rules, made on purpose: the proof that the simulator finds such mistakes (`tests/mistakes.rs`).
//!
//! They are compiled in only with the feature `planted`; no world has them.

/// A mistake in the rules of what players do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Who leaves a trade gets back twice what it had offered.
    EscrowTwice,
    /// A confirmation counts whichever version of the offers it names.
    OldVersionBelieved,
    /// Who ends a friendship does not end it for the other one.
    OneSidedFriends,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EscrowTwice, Self::OldVersionBelieved, Self::OneSidedFriends];
}
