//! Which names and sayings Pioneer accepts: Unicode's rules, with the game's lengths.

use gundo::Refusal;
use gundo::names::{Name, NameRules, accept_text};

/// Fewest letters and digits of a name.
pub const NAME_CHARS_MIN: usize = RULES.characters_min;
/// Longest name, characters.
pub const NAME_CHARS_MAX: usize = RULES.characters_max;
/// Longest saying, characters.
pub const SAY_CHARS_MAX: usize = 200;

const RULES: NameRules = NameRules { characters_min: 2, characters_max: 16 };

/// The rules of names, for those who choose one.
pub(crate) fn sentence() -> String {
    RULES.sentence()
}

/// The name in what somebody typed.
///
/// # Errors
/// `bad_name`; the text says what is wrong with it.
pub(crate) fn accept(typed: &str) -> Result<Name, Refusal> {
    RULES.accept(typed).map_err(|why| Refusal::new("bad_name", why.to_string()))
}

/// The saying in what somebody typed.
///
/// # Errors
/// `bad_text`; the text says what is wrong with it.
pub(crate) fn accept_saying(typed: &str) -> Result<String, Refusal> {
    accept_text(typed, SAY_CHARS_MAX).map_err(|why| Refusal::new("bad_text", why.to_string()))
}
