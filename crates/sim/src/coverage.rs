//! Which message every machine of a node has had in which state, over a run of many seeds; and which pairs cannot happen.
//!
//! The kernel notes the pairs (`gundo_kernel::coverage`, with the feature `planted`). This file has the pairs that cannot happen, each
//! with a reason; a run in which one happens fails. What is left and was not reached is a hole.

#[cfg(feature = "planted")]
pub(crate) use noted::{impossible, text};

/// The pairs of a run.
#[cfg(feature = "planted")]
pub type Coverage = gundo_kernel::coverage::Coverage;

/// Without the feature `planted` nothing is noted.
#[cfg(not(feature = "planted"))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {}

#[cfg(not(feature = "planted"))]
#[allow(clippy::needless_pass_by_ref_mut, reason = "the real one changes")]
impl Coverage {
    pub(crate) fn merge(&mut self, _: &Self) {}
}

#[cfg(not(feature = "planted"))]
pub(crate) fn impossible(_: &Coverage) -> Option<String> {
    None
}

#[cfg(feature = "planted")]
mod noted {
    use gundo_kernel::coverage::{MACHINES, Machine};

    use super::Coverage;

    /// Pairs that cannot happen: machine, states, messages (`*`: all of them), and why.
    const IMPOSSIBLE: &[(&str, &[&str], &[&str], &str)] = &[
        ("entity", &["absent", "arriving"], APPENDS, "what is unloaded gives up its appends"),
        ("entity", &["arriving", "freezing", "frozen"], &["watch"], "nobody watches a player"),
        ("entity", &["loading"], APPENDS, "it loads once nothing of it is in flight"),
        ("entity", &["fencing"], APPENDS, "in doubt it gives up what is in flight, and asks with a fence"),
        ("entity", &["broken", "suspended", "frozen"], APPENDS, "nothing of it is in flight"),
        (
            "session",
            &["none", "closed", "greeting", "opening"],
            &["located"],
            "it does not look for its player",
        ),
        ("session", &["greeting"], ADOPTED, "no player has adopted it, and none was asked for anything else"),
        ("session", &["locating", "opening"], PLAYED, "before the welcome it passes on nothing"),
        (
            "home",
            &["open"],
            &["announce"],
            "a member announces in a new view or after a reset, which close the home",
        ),
        ("member", &["no view"], &["alive"], "what others say before the first view waits for it"),
        ("member", &["no view"], CONFIRMATIONS, "it asks for none before its first view"),
        ("link", &["stranger"], NUMBERS, "nobody reads a stranger's numbers"),
        ("participant", &["locked"], &["prepare"], "a transaction asks each participant once"),
        ("participant", &["locked"], &["read"], "a transaction prepares or reads"),
        ("coordinator", &["appending"], &["prepared", "seen", "refused"], "all have answered"),
    ];
    const APPENDS: &[&str] =
        &["append done", "append conflict", "append taken", "append rejected", "append unknown"];
    const PLAYED: &[&str] = &["resumed", "reply", "correction", "doubted"];
    const ADOPTED: &[&str] = &[
        "resumed",
        "moved to",
        "reply",
        "own",
        "center",
        "correction",
        "superseded",
        "doubted",
        "notice",
        "ended",
        "told",
        "seal",
    ];
    const CONFIRMATIONS: &[&str] = &["renewed", "removed", "renewal failed", "row stands", "row missing"];
    const NUMBERS: &[&str] =
        &["known", "gap", "unnumbered after a gap", "of an earlier life", "before a reset", "after a reset"];

    /// Messages that come only if the game's rules want them: a game that never does has no holes there.
    const WANTED_BY_RULES: &[(&str, &str)] = &[
        ("entity", "deliver"),
        ("session", "told"),
        ("directory", "tell"),
        ("participant", "read"),
        ("coordinator", "seen"),
    ];

    /// The messages of a machine that the game's rules never wanted.
    fn unwanted(coverage: &Coverage, machine: &Machine) -> Vec<&'static str> {
        let came = |word: &str| {
            pairs(coverage).any(|(m, _, i, reached)| reached && m.name == machine.name && i == word)
        };
        let words = WANTED_BY_RULES.iter().filter(|(name, word)| *name == machine.name && !came(word));
        words.map(|(_, word)| *word).collect()
    }

    /// Why this pair cannot happen, if it cannot.
    fn reason(machine: &Machine, state: &str, message: &str) -> Option<&'static str> {
        let has = |list: &[&str], word: &str| list.contains(&"*") || list.contains(&word);
        let row = IMPOSSIBLE.iter().find(|(name, states, messages, _)| {
            *name == machine.name && has(states, state) && has(messages, message)
        });
        row.map(|(.., why)| *why)
    }

    /// All pairs: the machine, the state, the message, and whether it was reached.
    fn pairs(
        coverage: &Coverage,
    ) -> impl Iterator<Item = (&'static Machine, &'static str, &'static str, bool)> {
        MACHINES.iter().enumerate().flat_map(move |(m, machine)| {
            machine.states.iter().enumerate().flat_map(move |(s, state)| {
                let messages = machine.messages.iter().enumerate();
                messages.map(move |(i, message)| (machine, *state, *message, coverage.has(m, s, i)))
            })
        })
    }

    /// A pair that has happened although it cannot.
    pub(crate) fn impossible(coverage: &Coverage) -> Option<String> {
        pairs(coverage).filter(|(.., reached)| *reached).find_map(|(machine, state, message, _)| {
            let why = reason(machine, state, message)?;
            Some(format!("{} {state}: {message} (which cannot happen: {why})", machine.name))
        })
    }

    /// The table for people: how many of the pairs that can happen were reached, and the holes.
    pub(crate) fn text(coverage: &Coverage) -> String {
        let mut lines = vec!["pairs of a state and a message that have happened:".to_owned()];
        let (mut all_reached, mut all_can) = (0, 0);
        for machine in &MACHINES {
            let of_it = || pairs(coverage).filter(|(m, ..)| m.name == machine.name);
            let unwanted = unwanted(coverage, machine);
            let can: Vec<_> =
                of_it().filter(|(m, s, i, _)| reason(m, s, i).is_none() && !unwanted.contains(i)).collect();
            let reached = can.iter().filter(|(.., reached)| *reached).count();
            (all_reached, all_can) = (all_reached + reached, all_can + can.len());
            let total = of_it().count();
            lines.push(format!(
                "  {:12} {reached} of {} that can happen ({total} in all)",
                machine.name,
                can.len()
            ));
            if !unwanted.is_empty() {
                lines.push(format!("    the game's rules never cause {}", unwanted.join(", ")));
            }
            for state in machine.states {
                let holes = can.iter().filter(|(_, s, _, reached)| s == state && !reached);
                let holes: Vec<_> = holes.map(|(_, _, message, _)| *message).collect();
                if !holes.is_empty() {
                    lines.push(format!("    {state}: never {}", holes.join(", ")));
                }
            }
        }
        lines.push(format!(
            "{all_reached} of {all_can} pairs ({:.1} %)",
            100.0 * f64::from(all_reached as u32) / f64::from(all_can as u32)
        ));
        lines.join("\n")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_cannot_happen_is_in_the_table() {
            for (name, states, messages, why) in IMPOSSIBLE {
                let machine = MACHINES.iter().find(|m| m.name == *name).expect(name);
                let known = |list: &[&str], word: &&str| *word == "*" || list.contains(word);
                assert!(states.iter().all(|s| known(machine.states, s)), "{name}: {states:?}");
                assert!(messages.iter().all(|m| known(machine.messages, m)), "{name}: {messages:?}");
                assert!(!why.is_empty());
            }
        }

        #[test]
        fn an_empty_table_has_only_holes() {
            let text = text(&Coverage::default());
            assert!(text.contains("session      0 of ") && text.contains("greeting: never hello"), "{text}");
            assert_eq!(impossible(&Coverage::default()), None);
        }
    }
}
