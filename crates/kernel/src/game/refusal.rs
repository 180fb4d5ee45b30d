//! A polite no.

use std::borrow::Cow;

/// A polite no: the command had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, snake_case; clients and tests depend on it.
    pub code: Cow<'static, str>,
    /// One friendly sentence for the player.
    pub text: Cow<'static, str>,
    /// When the same may be tried again, ms; 0: it does not depend on time, or nobody knows.
    pub retry_ms: u32,
}

impl Refusal {
    /// A refusal with a stable `code` and a friendly `text`.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), text: text.into(), retry_ms: 0 }
    }

    /// The same, with the time after which it may be tried again.
    pub fn retry_ms(self, retry_ms: u32) -> Self {
        Self { retry_ms, ..self }
    }
}

pub(crate) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}
