//! Names and sayings of people, by Unicode's own rules.
//!
//! [`NameRules::accept`] makes a [`Name`] of what somebody typed: the form to show, and the keys that no other name may have.
//! [`accept_text`] does the same for what people say. Both never look further into a text than their limits allow.
//!
//! Sources: NFKC of [UAX #15](https://www.unicode.org/reports/tr15/), grapheme clusters of
//! [UAX #29](https://www.unicode.org/reports/tr29/), and of [UTS #39](https://www.unicode.org/reports/tr39/) the General Security
//! Profile (which letters a name may have), the level *Highly Restrictive* (which scripts may meet in it) and the skeleton (which
//! names look alike). PRECIS ([RFC 8266](https://www.rfc-editor.org/rfc/rfc8266)) is not used: its classes are those of
//! Unicode 6.3 in the library there is, and the profile of UTS #39 is the narrower one.

mod name;
mod text;

pub use name::{BadName, Name, NameRules};
pub use text::{BadText, accept_text};

/// Most combining marks on one letter or sign: Thai, Hindi and Vietnamese need up to three.
pub const MARKS_MAX: usize = 3;

/// Whether nothing is drawn for `c`: Unicode's property `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), and the
/// braille pattern without dots. An ignorable code point stays one in all later versions of Unicode.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `c` is a combining mark.
pub(crate) fn is_mark(c: char) -> bool {
    use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// Whether a letter or sign of `text` has more than [`MARKS_MAX`] combining marks.
pub(crate) fn is_overloaded(text: &str) -> bool {
    let mut marks = 0;
    text.chars().any(|c| {
        marks = if is_mark(c) && !is_ignorable(c) { marks + 1 } else { 0 };
        marks > MARKS_MAX
    })
}
