//! The guarantees by name, and violations.

use std::fmt;

/// A guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Durable: every acknowledged success is in the journal.
    G1,
    /// Single writer: streams have no gaps, and a node that has left writes nothing.
    G2,
    /// Replay produces the live state.
    G3,
    /// Goods are conserved.
    G4,
    /// A command takes effect at most once, and its answer stays the same.
    G5,
    /// A transaction takes effect in all its entities or in none.
    G6,
    /// Durable before visible.
    G7,
    /// Pictures converge.
    G8,
    /// No shared fate: nothing a client or a peer sends takes a node down.
    G9,
    /// Progress once the faults have healed.
    G10,
    /// One live session per player.
    G11,
    /// Queues, tables, frames and waits are bounded, and empty when nobody needs them.
    G12,
    /// The game's own invariants.
    Game,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::G1 => "G1 durable",
            Self::G2 => "G2 single writer",
            Self::G3 => "G3 replay = live",
            Self::G4 => "G4 conserved",
            Self::G5 => "G5 once",
            Self::G6 => "G6 atomic",
            Self::G7 => "G7 durable before visible",
            Self::G8 => "G8 pictures converge",
            Self::G9 => "G9 no shared fate",
            Self::G10 => "G10 progress",
            Self::G11 => "G11 one session",
            Self::G12 => "G12 bounded",
            Self::Game => "the game's own",
        };
        f.write_str(text)
    }
}

/// A broken guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The guarantee.
    pub guarantee: Guarantee,
    /// What the checker saw, for people.
    pub text: String,
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn violated<T>(guarantee: Guarantee, text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { guarantee, text: text.into() })
}
