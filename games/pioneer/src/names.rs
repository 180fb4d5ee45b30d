//! Which names and sayings Pioneer accepts: Unicode's rules, with the game's lengths.

use gundo::Refusal;
use gundo::names::{Name, NameRules, accept_text};

use crate::refusals::No;

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

/// The unique names of a name that was accepted once.
pub(crate) fn keys(name: &str) -> Vec<String> {
    RULES.accept(name).map(|name| name.keys().map(str::to_owned).collect()).unwrap_or_default()
}

/// What the name that somebody typed looks like, in lower case: no two players share it.
///
/// # Errors
/// Nobody can have this name.
pub(crate) fn key(typed: &str) -> Result<String, No> {
    let name = RULES.accept(typed).map_err(|_| No::NobodyCalled)?;
    name.keys().next().map(str::to_owned).ok_or(No::NobodyCalled)
}

/// The words of a letter in what somebody typed; none, if it is blank.
///
/// # Errors
/// `bad_text`, or `letter_long`.
pub(crate) fn accept_letter(typed: &str, characters_max: usize, bytes_max: usize) -> Result<String, Refusal> {
    if typed.trim().is_empty() {
        return Ok(String::new());
    }
    let text = accept_text(typed, characters_max).map_err(|why| Refusal::new("bad_text", why.to_string()))?;
    if text.len() > bytes_max { Err(No::LetterLong.into()) } else { Ok(text) }
}
