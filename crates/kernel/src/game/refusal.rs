//! A polite no, and how a panic of game code becomes one.

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

thread_local! {
    /// For panic hooks only; no decision depends on it.
    static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread is running game code: a panic hook uses it to tell the game's panics, which the kernel catches, from the
/// kernel's own.
pub fn is_running() -> bool {
    RUNNING.get()
}

/// Runs game code; a panic in it becomes a refusal.
pub(crate) fn guard<T>(game: impl FnOnce() -> T) -> Result<T, Refusal> {
    RUNNING.set(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(game)).map_err(|_| game_error());
    RUNNING.set(false);
    done
}

pub(crate) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}
