//! A polite no.

use std::borrow::Cow;

/// A polite no: the command had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, snake_case; clients and tests depend on it.
    pub code: Cow<'static, str>,
    /// One friendly sentence for the player.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a stable `code` and a friendly `text`.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}

pub(crate) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}
