//! The overload ladder: what a busy node slows down first. Players notice the first steps least.
//!
//! | level | what slows down |
//! | --- | --- |
//! | 0 | nothing |
//! | 1 | motion of the far tier comes half as often |
//! | 2 | and that of the middle tier |
//! | 3 | and time is dilated: every second tick publishes nothing, and creatures live half as fast |
//! | 4 | and no new player is admitted |
//!
//! Durable work never slows down: commands are decided, world time and its tick numbers go on, and so do the moves of players.
//! The driver says once per second how busy it was. The level rises with every busy second and falls only after several seconds
//! at ease, because the relief that brought the ease must not end at once.

use crate::core::Core;
use crate::io::Gauges;

/// The highest level.
const LEVEL_MAX: u8 = 4;
/// Share of a second in which the logic thread worked, ‰: from here on the node is busy…
const BUSY_PERMILLE: u32 = 900;
/// …and up to here it is at ease.
const EASE_PERMILLE: u32 = 600;
/// Waiting inputs from which the node is busy: a logic thread works them off in about a tenth of a second.
const BUSY_INBOX: u32 = 8_192;
/// Waiting inputs up to which the node is at ease.
const EASE_INBOX: u32 = 1_024;
/// Seconds at ease before it goes down a level.
const EASE_SECONDS: u8 = 5;

/// A node's position on the ladder.
#[derive(Default)]
pub(crate) struct Overload {
    level: u8,
    /// Consecutive seconds at ease.
    at_ease: u8,
}

impl Overload {
    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// Whether the node admits no new players.
    pub(crate) fn is_closed(&self) -> bool {
        self.level >= 4
    }

    /// Whether this tick publishes nothing. The next tick publishes what happened in both.
    pub(crate) fn skips(&self, tick: u32) -> bool {
        self.is_dilated() && tick % 2 == 1
    }

    /// Ticks from one that publishes to the next.
    pub(crate) fn ticks_told(&self) -> u32 {
        if self.is_dilated() { 2 } else { 1 }
    }

    fn is_dilated(&self) -> bool {
        self.level >= 3
    }

    /// Ticks between motion frames in each tier.
    pub(crate) fn tier_ticks(&self, [near, middle, far]: [u32; 3]) -> [u32; 3] {
        let slower = |ticks: u32, from: u8| if self.level >= from { ticks.saturating_mul(2) } else { ticks };
        [near, slower(middle, 2), slower(far, 1)]
    }

    /// A second has passed, and the driver says how it was.
    pub(crate) fn on_gauges(&mut self, core: &mut Core, gauges: Gauges) {
        let (busy, at_ease) = judge(core, gauges);
        self.on_second(busy, at_ease);
        core.counters.overload_seconds[usize::from(self.level)] += 1;
    }

    fn on_second(&mut self, busy: bool, at_ease: bool) {
        self.at_ease = if at_ease { self.at_ease + 1 } else { 0 };
        if busy {
            self.level = (self.level + 1).min(LEVEL_MAX);
        } else if self.at_ease >= EASE_SECONDS {
            self.at_ease = 0;
            self.level = self.level.saturating_sub(1);
        }
        assert!(self.level <= LEVEL_MAX, "the level has a maximum");
        assert!(self.at_ease < EASE_SECONDS, "ease is counted up to the next step");
    }
}

/// Whether a second was too much, and whether it was at ease.
fn judge(core: &Core, gauges: Gauges) -> (bool, bool) {
    let tick_us = core.world().tick_ms * 1_000;
    let Gauges { tick_us: longest_us, inbox, load_permille, .. } = gauges;
    // One long tick may be a pause of the machine: that second is neither at ease nor, for that alone, busy.
    let busy = load_permille >= BUSY_PERMILLE || inbox >= BUSY_INBOX;
    let at_ease = load_permille <= EASE_PERMILLE && inbox <= EASE_INBOX && longest_us <= tick_us;
    (busy, at_ease)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(seconds: &str) -> Vec<u8> {
        let mut overload = Overload::default();
        let second = |c: char| {
            overload.on_second(c == 'b', c == 'e');
            overload.level()
        };
        seconds.chars().map(second).collect()
    }

    #[test]
    fn up_with_every_busy_second_and_down_slowly() {
        assert_eq!(levels("bbbbbb"), [1, 2, 3, 4, 4, 4]);
        assert_eq!(levels("bbeeeeeeeeee"), [1, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0]);
        assert_eq!(levels("beeee.eeeee"), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], "ease must be consecutive");
        assert_eq!(levels("beeeeb"), [1, 1, 1, 1, 1, 2]);
        assert_eq!(levels("eeeeeeb...."), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], "between the limits it stays");
    }

    #[test]
    fn each_level_adds_to_what_is_slower() {
        let mut overload = Overload::default();
        let mut seen = Vec::new();
        for _ in 0..=LEVEL_MAX {
            seen.push((overload.tier_ticks([1, 3, 10]), overload.ticks_told(), overload.is_closed()));
            overload.on_second(true, false);
        }
        let expected = [
            ([1, 3, 10], 1, false),
            ([1, 3, 20], 1, false),
            ([1, 6, 20], 1, false),
            ([1, 6, 20], 2, false),
            ([1, 6, 20], 2, true),
        ];
        assert_eq!(seen, expected);
    }
}
