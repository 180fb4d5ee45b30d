//! Names: what is accepted, what is shown, and which two are the same.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::{
    GeneralSecurityProfile as _, RestrictionLevel, RestrictionLevelDetection as _, skeleton,
};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{is_mark, is_overloaded};

/// Longest input that is looked at, bytes.
const BYTES_MAX: usize = 512;

/// The rules of names. [`NameRules::default`]: 2 to 16 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRules {
    /// Fewest letters and digits, without their marks: 2 by default, so that 이수 and 李雷 are names.
    pub characters_min: usize,
    /// Most characters, as people count them (grapheme clusters): 16 by default.
    pub characters_max: usize,
}

impl Default for NameRules {
    fn default() -> Self {
        Self { characters_min: 2, characters_max: 16 }
    }
}

/// A name that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name as it is shown: composed, in the usual width of its letters, with single spaces.
    pub shown: String,
    keys: Vec<String>,
}

impl Name {
    /// The keys of the name, one or two. Two names of which one key is the same differ in nothing that people see, or in upper and
    /// lower case only. Take all of them as unique names of the player.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}

/// Why a name is not accepted. `Display` is a sentence for the person who chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadName {
    /// Too few characters.
    Short(usize),
    /// Too many characters.
    Long(usize),
    /// A character that names do not have: a symbol, an invisible letter, a letter of a dead script.
    Character(char),
    /// Not a single letter.
    NoLetter,
    /// A joint (space, hyphen, apostrophe, underscore, dot) at the beginning, at the end or beside another.
    Joint,
    /// Scripts that no language writes together, such as Latin and Cyrillic.
    Scripts,
    /// Too many marks on one letter.
    Marks,
}

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadName::Short(min) => write!(f, "A name has at least {min} characters."),
            BadName::Long(max) => write!(f, "A name has at most {max} characters."),
            BadName::Character(c) if c.is_control() || crate::is_ignorable(*c) => {
                write!(f, "A name has no invisible characters (U+{:04X}).", u32::from(*c))
            }
            BadName::Character(c) => {
                write!(f, "A name has letters and digits; \u{201c}{c}\u{201d} is neither.")
            }
            BadName::NoLetter => f.write_str("A name has at least one letter."),
            BadName::Joint => f.write_str("Spaces, - ' _ and . stand between letters, one at a time."),
            BadName::Scripts => {
                f.write_str("A name mixes no letters of scripts that are not written together.")
            }
            BadName::Marks => f.write_str("A letter of a name has at most three marks."),
        }
    }
}

impl std::error::Error for BadName {}

impl NameRules {
    /// The rules in one sentence, to be shown before somebody chooses a name.
    pub fn sentence(&self) -> String {
        format!(
            "A name has {} to {} characters: letters and digits of one language, at least one letter; between them single spaces, \
             - ' _ and . are fine.",
            self.characters_min, self.characters_max
        )
    }

    /// The name in `typed`. Spaces around it go, several in a row become one; zero-width joiners go; letters of odd width and
    /// ligatures become the usual ones, and a letter with its marks becomes one (NFKC).
    ///
    /// # Errors
    /// `typed` breaks the rules.
    pub fn accept(&self, typed: &str) -> Result<Name, BadName> {
        if typed.len() > BYTES_MAX {
            return Err(BadName::Long(self.characters_max));
        }
        // The joiners only choose the shape of a letter beside them, so two names could differ in nothing else.
        let written: String = typed.nfkc().filter(|c| !matches!(c, '\u{200c}' | '\u{200d}')).collect();
        let words: Vec<&str> = written.split_whitespace().collect();
        let shown: String = words.join(" ").nfc().map(|c| if c == '\u{2019}' { '\'' } else { c }).collect();

        let is_odd =
            |c: &char| !is_joint(*c) && !(c.identifier_allowed() && (c.is_alphanumeric() || is_mark(*c)));
        if let Some(odd) = shown.chars().find(is_odd) {
            return Err(BadName::Character(odd));
        }
        // Several letters of Hindi are one character on the screen: at least the letters count.
        if shown.chars().filter(|c| !is_mark(*c)).count() < self.characters_min {
            return Err(BadName::Short(self.characters_min));
        }
        if shown.graphemes(true).count() > self.characters_max {
            return Err(BadName::Long(self.characters_max));
        }
        if !shown.chars().any(char::is_alphabetic) {
            return Err(BadName::NoLetter);
        }
        if shown.split(is_joint).any(|part| !part.starts_with(char::is_alphanumeric)) {
            return Err(BadName::Joint);
        }
        // A joint belongs to no script.
        let letters = shown.replace(is_joint, "");
        if !letters.as_str().check_restriction_level(RestrictionLevel::HighlyRestrictive) {
            return Err(BadName::Scripts);
        }
        if is_overloaded(&shown) {
            return Err(BadName::Marks);
        }
        let keys = keys(&shown);
        Ok(Name { shown, keys })
    }
}

fn is_joint(c: char) -> bool {
    matches!(c, ' ' | '-' | '\'' | '_' | '.' | '\u{b7}')
}

/// What the name looks like in lower case, and what it looks like as it is written: "Iris" in lower case is "iris", and as it is
/// written it looks like "lris".
fn keys(shown: &str) -> Vec<String> {
    let looks = |text: &str| skeleton(text).collect::<String>().to_lowercase();
    let mut keys = vec![looks(&shown.to_lowercase()), looks(shown)];
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(typed: &str) -> Result<String, BadName> {
        NameRules::default().accept(typed).map(|name| name.shown)
    }

    fn are_same(one: &str, other: &str) -> bool {
        let keys = |typed: &str| {
            NameRules::default().accept(typed).unwrap_or_else(|why| panic!("{typed}: {why}")).keys
        };
        keys(one).iter().any(|key| keys(other).contains(key))
    }

    #[test]
    fn people_of_every_language_have_names() {
        for good in [
            "Ada",
            "Jo",
            "홍길동",
            "이수",
            "李雷",
            "山田太郎",
            "やまだ",
            "Jean-Luc",
            "O'Brien",
            "Old Tom 2",
            "a_b",
            "ÄÖÜ",
            "Straße",
            "Nguyễn",
            "प्रिया",
            "क्षत्रिय",
            "स्त्री",
            "สมชาย",
            "ปัญญา",
            "עידו",
            "محمد",
            "Иван",
            "তাসনিম",
            "அருண்",
            "ñandú",
            "1234567890abcdef",
            "J.R",
            "Gal·la",
            "Müller",
            "ሰላም",
            "გიორგი",
            "Οδυσσεύς",
        ] {
            assert_eq!(accept(good).as_deref(), Ok(good), "{good}");
        }
    }

    #[test]
    fn a_name_is_shown_in_its_usual_form() {
        for (typed, shown) in [
            ("  Ada   L ", "Ada L"),
            ("Nguye\u{302}\u{303}n", "Nguyễn"),
            ("O\u{2019}Brien", "O'Brien"),
            ("Ａｄｍｉｎ", "Admin"),
            ("ﬁona", "fiona"),
            ("علی\u{200c}رضا", "علیرضا"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
        ] {
            assert_eq!(accept(typed).as_deref(), Ok(shown), "{typed}");
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (bad, why) in [
            ("", BadName::Short(2)),
            ("a", BadName::Short(2)),
            ("  a  ", BadName::Short(2)),
            ("e\u{301}", BadName::Short(2)),
            ("1234567890abcdefg", BadName::Long(16)),
            (&"x".repeat(100_000), BadName::Long(16)),
            ("1234", BadName::NoLetter),
            ("\u{3164}", BadName::Character('\u{1160}')),
            ("ab\u{3164}", BadName::Character('\u{1160}')),
            ("a\u{200b}b", BadName::Character('\u{200b}')),
            ("a\u{ad}b", BadName::Character('\u{ad}')),
            ("a\u{202e}b", BadName::Character('\u{202e}')),
            ("a\u{fe0f}b", BadName::Character('\u{fe0f}')),
            ("a\u{0}b", BadName::Character('\u{0}')),
            ("<b>x", BadName::Character('<')),
            ("🙂ab", BadName::Character('🙂')),
            ("ᎠᎡ", BadName::Character('Ꭰ')),
            ("-ab", BadName::Joint),
            ("ab_", BadName::Joint),
            ("a--b", BadName::Joint),
            ("O' Brien", BadName::Joint),
            ("\u{301}ab", BadName::Joint),
            ("\u{410}dmin", BadName::Scripts),
            ("αdmin", BadName::Scripts),
            ("a\u{301}\u{301}\u{301}\u{301}\u{301}b", BadName::Marks),
        ] {
            assert_eq!(accept(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn names_that_look_alike_are_the_same() {
        for (one, other) in [
            ("Ada", "ADA"),
            ("Admin", "admın"),
            ("Admin", "Ａｄｍｉｎ"),
            ("Admin", "𝐀dmin"),
            ("Iris", "lris"),
            ("Paul", "PauI"),
            ("rnaria", "maria"),
            ("Copa", "Сора"),
            ("O'Brien", "O\u{2019}Brien"),
            ("Bob0", "BobO"),
            ("Straße", "STRAßE"),
        ] {
            assert!(are_same(one, other), "{one} {other}");
        }
        for (one, other) in
            [("Ada", "Eda"), ("Ali", "All"), ("Jan", "Jane"), ("Jose", "José"), ("이수", "이순")]
        {
            assert!(!are_same(one, other), "{one} {other}");
        }
    }
}
