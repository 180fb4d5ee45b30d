//! What people say: plain, visible, short.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{is_ignorable, is_overloaded};

/// Most bytes of a character on average: emoji with families and skin tones have up to 35.
const BYTES_PER_CHARACTER: usize = 36;

/// Why a text is not accepted. `Display` is a sentence for the person who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadText {
    /// There is nothing to see.
    Empty,
    /// More characters than allowed.
    Long(usize),
    /// A control character, or one that reorders the text around it.
    Character(char),
    /// Too many marks on one letter.
    Marks,
}

impl std::fmt::Display for BadText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadText::Empty => f.write_str("There is nothing to read."),
            BadText::Long(max) => write!(f, "A text has at most {max} characters."),
            BadText::Character(c) => write!(f, "A text has no control characters (U+{:04X}).", u32::from(*c)),
            BadText::Marks => f.write_str("A letter has at most three marks."),
        }
    }
}

impl std::error::Error for BadText {}

/// `typed` composed (NFC) and without blanks around it, if it has 1 to `characters_max` characters (grapheme clusters), of which at
/// least one is visible.
///
/// # Errors
/// It has control characters (a line break too) or those that reorder the text around them; a letter has more than
/// [`MARKS_MAX`](crate::MARKS_MAX) marks; or it is empty or too long.
pub fn accept_text(typed: &str, characters_max: usize) -> Result<String, BadText> {
    if typed.len() > characters_max.saturating_mul(BYTES_PER_CHARACTER) {
        return Err(BadText::Long(characters_max));
    }
    let text: String = typed.trim().nfc().collect();
    let breaks = |c: &char| {
        let reorders = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || reorders
    };
    if let Some(bad) = text.chars().find(breaks) {
        return Err(BadText::Character(bad));
    }
    if text.chars().all(|c| c.is_whitespace() || is_ignorable(c)) {
        return Err(BadText::Empty);
    }
    if text.graphemes(true).count() > characters_max {
        return Err(BadText::Long(characters_max));
    }
    if is_overloaded(&text) {
        return Err(BadText::Marks);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sayings_are_plain_visible_and_short() {
        assert_eq!(accept_text(" hi, 안녕! 🙂 ", 200).as_deref(), Ok("hi, 안녕! 🙂"));
        assert_eq!(accept_text("e\u{301}t", 2).as_deref(), Ok("ét"));
        let family = "👨‍👩‍👧‍👦".repeat(200);
        assert_eq!(accept_text(&family, 200).as_deref(), Ok(&*family));
        for (bad, why) in [
            ("", BadText::Empty),
            ("   ", BadText::Empty),
            ("\u{3164}\u{2800} \u{200b}", BadText::Empty),
            ("a\nb", BadText::Character('\n')),
            ("a\u{7}", BadText::Character('\u{7}')),
            ("a\u{2028}b", BadText::Character('\u{2028}')),
            ("\u{202e}abc", BadText::Character('\u{202e}')),
            (&"x".repeat(201), BadText::Long(200)),
            (&"x".repeat(1_000_000), BadText::Long(200)),
            ("a\u{301}\u{302}\u{303}\u{304}\u{305}", BadText::Marks),
        ] {
            assert_eq!(accept_text(bad, 200), Err(why), "{bad:?}");
        }
    }
}
