//! The numbers a worker counts for all its bots.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// Longest duration that is distinguished, µs.
const LONGEST_US: u64 = 600_000_000;

/// Durations in µs, exact to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3).expect("3 digits and a fixed range are valid")
}

/// The numbers of one worker. Those of the window count only while [`measuring`](Self::measuring).
pub(crate) struct Tally {
    pub(crate) measuring: bool,
    // ---- whole run ----
    pub(crate) playable: Histogram<u64>,
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) refused_by_game: u64,
    pub(crate) refused_otherwise: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) repeats: u64,
    pub(crate) reconnects: u64,
    pub(crate) corrections: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) deeds: BTreeMap<&'static str, u64>,
    // ---- window ----
    pub(crate) command: Histogram<u64>,
    pub(crate) shown: Histogram<u64>,
    pub(crate) gap: Histogram<u64>,
    pub(crate) gaps_long: u64,
    pub(crate) window_answered: u64,
    pub(crate) moves: u64,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) frames: u64,
    pub(crate) updates: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            measuring: false,
            playable: histogram(),
            asked: 0,
            answered: 0,
            refused_by_game: 0,
            refused_otherwise: 0,
            lost: 0,
            doubled: 0,
            repeats: 0,
            reconnects: 0,
            corrections: 0,
            errors: BTreeMap::new(),
            deeds: BTreeMap::new(),
            command: histogram(),
            shown: histogram(),
            gap: histogram(),
            gaps_long: 0,
            window_answered: 0,
            moves: 0,
            bytes: 0,
            messages: 0,
            frames: 0,
            updates: 0,
        }
    }

    pub(crate) fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_insert(0) += 1;
    }

    /// Adds another worker's numbers.
    pub(crate) fn merge(&mut self, other: &Tally) {
        let pairs = [
            (&mut self.playable, &other.playable),
            (&mut self.command, &other.command),
            (&mut self.shown, &other.shown),
            (&mut self.gap, &other.gap),
        ];
        for (mine, theirs) in pairs {
            mine.add(theirs).expect("both have the same range");
        }
        let pairs = [
            (&mut self.asked, other.asked),
            (&mut self.answered, other.answered),
            (&mut self.refused_by_game, other.refused_by_game),
            (&mut self.refused_otherwise, other.refused_otherwise),
            (&mut self.lost, other.lost),
            (&mut self.doubled, other.doubled),
            (&mut self.repeats, other.repeats),
            (&mut self.reconnects, other.reconnects),
            (&mut self.corrections, other.corrections),
            (&mut self.gaps_long, other.gaps_long),
            (&mut self.window_answered, other.window_answered),
            (&mut self.moves, other.moves),
            (&mut self.bytes, other.bytes),
            (&mut self.messages, other.messages),
            (&mut self.frames, other.frames),
            (&mut self.updates, other.updates),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
        for (code, n) in &other.errors {
            *self.errors.entry(code.clone()).or_insert(0) += n;
        }
        for (deed, n) in &other.deeds {
            *self.deeds.entry(deed).or_insert(0) += n;
        }
    }
}

/// Records a duration; one beyond the range counts as the largest.
pub(crate) fn record(histogram: &mut Histogram<u64>, us: u64) {
    histogram.saturating_record(us.min(LONGEST_US));
}
