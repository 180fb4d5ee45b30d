//! Who may come into a world as a new player.

/// Who may come in as a new player. People who have a player always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Everybody.
    #[default]
    Open,
    /// Somebody with an invitation of the operator; others are refused with `invitation_needed`.
    Invited,
    /// Nobody: refused with `no_newcomers`.
    Closed,
}

impl Admission {
    /// Its number in messages to clients (`ServerMessage.newcomers`).
    pub const fn number(self) -> u32 {
        match self {
            Self::Open => 0,
            Self::Invited => 1,
            Self::Closed => 2,
        }
    }
}
