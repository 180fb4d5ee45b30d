//! What a stop could not save, in words for operators.

use std::fmt;

use gundo_kernel::Counters;

/// Why a stop could not save everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The journal has taken nothing for this long, s.
    Stuck {
        /// How long.
        s: u64,
    },
    /// It takes what it is given, and needed more than this, s.
    Slow {
        /// How long it had.
        s: u64,
    },
    /// It has refused to write.
    Refused,
    /// Somebody wanted an end at once.
    Told,
}

/// What a stop could not save. Nothing of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaved {
    /// Why.
    pub why: Why,
    /// Players in the world: where they were last. A client offers its own word on that when it comes back.
    pub places: u64,
    /// Entities with changes that nobody was told of, or that were being read.
    pub entities: u64,
    /// The journal's files are gone: what happened.
    pub gone: Option<String>,
}

impl Unsaved {
    pub(crate) fn new(why: Why, nodes: impl Iterator<Item = Counters>, gone: Option<String>) -> Self {
        let none = Self { why, places: 0, entities: 0, gone };
        nodes.fold(none, |all, node| Self {
            places: all.places + node.places_unsaved,
            entities: all.entities + node.unsettled,
            ..all
        })
    }

    /// Whether there is anything that is not saved.
    pub(crate) fn is_something(&self) -> bool {
        self.places > 0 || self.entities > 0 || self.gone.is_some()
    }
}

impl fmt::Display for Unsaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Stuck { s } => {
                write!(f, "the world has ended, but the journal has taken nothing for {s} s")?
            }
            Why::Slow { s } => {
                write!(f, "the world has ended, but {s} s were not enough to save everything")?
            }
            Why::Refused => write!(f, "the world has ended, but the journal has refused to write")?,
            Why::Told => write!(f, "the world has ended at once, as it was told")?,
        }
        let player = match self.places {
            0 => None,
            1 => Some("where 1 player was last".to_owned()),
            n => Some(format!("where {n} players were last")),
        };
        let entity = match self.entities {
            0 => None,
            1 => Some("unfinished work of 1 entity".to_owned()),
            n => Some(format!("unfinished work of {n} entities")),
        };
        let all: Vec<String> = player.into_iter().chain(entity).collect();
        if !all.is_empty() {
            write!(f, "; not saved: {}", all.join(", and "))?;
        }
        match &self.gone {
            None => write!(f, "; what players were told is saved"),
            Some(gone) => write!(f, "; {gone}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsaved(why: Why, all: &[(u64, u64)], gone: Option<&str>) -> Unsaved {
        let node = |(places_unsaved, unsettled): &(u64, u64)| Counters {
            places_unsaved: *places_unsaved,
            unsettled: *unsettled,
            ..Counters::default()
        };
        Unsaved::new(why, all.iter().map(node), gone.map(str::to_owned))
    }

    #[test]
    fn the_last_line_says_what_is_not_saved() {
        let line = |why, all: &[(u64, u64)], gone| unsaved(why, all, gone).to_string();
        assert_eq!(
            line(Why::Stuck { s: 3 }, &[(1, 0), (2, 4)], None),
            "the world has ended, but the journal has taken nothing for 3 s; not saved: where 3 players were last, and unfinished work of 4 \
             entities; what players were told is saved"
        );
        assert!(line(Why::Refused, &[(1, 0)], None).contains("where 1 player was last; what"));
        assert!(line(Why::Slow { s: 20 }, &[(0, 1)], None).contains("unfinished work of 1 entity"));
        let gone = line(Why::Refused, &[(0, 0)], Some("a was deleted"));
        assert!(gone.ends_with("refused to write; a was deleted"), "{gone}");
        assert!(!unsaved(Why::Refused, &[(0, 0)], None).is_something());
        assert!(unsaved(Why::Refused, &[], Some("a")).is_something());
    }
}
