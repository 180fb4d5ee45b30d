//! Which names and sayings are acceptable.
//!
//! A name is trimmed, then has 3 to 16 characters: letters and digits of any script (at least one letter), and
//! inside `-`, `_` and single spaces. Two names are the same if their lower-case forms are ([`comparable`]); letters that
//! merely look alike are different letters.

use crate::refusals::No;

/// Shortest name, characters.
pub const NAME_CHARS_MIN: usize = 3;
/// Longest name, characters.
pub const NAME_CHARS_MAX: usize = 16;
/// Longest saying, characters.
pub const SAY_CHARS_MAX: usize = 200;

/// `name` as it will be shown.
///
/// # Errors
/// [`No::BadName`] if it breaks the rule above.
pub(crate) fn accept(name: &str) -> Result<&str, No> {
    let name = name.trim();
    // Counting stops early, because a name may be as long as a message.
    let count = name.chars().take(NAME_CHARS_MAX + 1).count();
    let joint = |c: char| matches!(c, ' ' | '-' | '_');
    let good = (NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&count)
        && name.chars().all(|c| c.is_alphanumeric() || joint(c))
        && name.chars().any(char::is_alphabetic)
        && !name.starts_with(joint)
        && !name.ends_with(joint)
        && !name.contains("  ");
    if good { Ok(name) } else { Err(No::BadName) }
}

/// The form in which names are compared: lower case.
pub(crate) fn comparable(name: &str) -> String {
    name.to_lowercase()
}

/// `text` without blanks around it.
///
/// # Errors
/// [`No::BadText`] if nothing is left, it is longer than [`SAY_CHARS_MAX`], or it contains control characters or
/// those that reorder the text around them.
pub(crate) fn accept_text(text: &str) -> Result<&str, No> {
    let text = text.trim();
    let reorders =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let count = text.chars().take(SAY_CHARS_MAX + 1).count();
    let good = (1..=SAY_CHARS_MAX).contains(&count) && !text.chars().any(|c| c.is_control() || reorders(c));
    if good { Ok(text) } else { Err(No::BadText) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_are_welcome_and_odd_ones_are_not() {
        for good in ["Ada", "  Ada  ", "홍길동", "Jean-Luc", "Old Tom 2", "a_b", "ÄÖÜ", "1234567890abcdef"]
        {
            assert!(accept(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "  a  ",
            "123",
            "a  b",
            "-ab",
            "ab_",
            "a\tb",
            "a\u{0}b",
            "a\u{202e}b",
            "<b>x",
            "1234567890abcdefg",
        ] {
            assert_eq!(accept(bad), Err(No::BadName), "{bad:?}");
        }
        assert_eq!(comparable("ÄDA"), comparable("äda"));
    }

    #[test]
    fn sayings_are_plain_and_short() {
        assert_eq!(accept_text(" hi, 안녕! 🙂 "), Ok("hi, 안녕! 🙂"));
        assert!(accept_text(&"x".repeat(200)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{7}", "\u{202e}abc", &"x".repeat(201)] {
            assert_eq!(accept_text(bad), Err(No::BadText), "{bad:?}");
        }
    }
}
