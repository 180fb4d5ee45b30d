//! The line: how long an answer takes, and so how long to wait for one.
//!
//! A slow line and a dead edge look alike until the round trip is known. Until then the time that the connection took to open says
//! at least as much: it is one round trip or several.

/// No line is so slow that an answer is waited for longer, ms: twice the slowest round trip that can be played with.
const ANSWER_MS_MAX: u64 = 8_000;
/// A round trip from which the line is slow, and one from which it is not any more, ms.
const SLOW_MS: (u64, u64) = (1_000, 700);
/// Round trips that opening a connection takes at most: TCP, TLS, the upgrade, and one that is lost.
const OPENING_TRIPS: u64 = 5;

/// What is known of the line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// The round trip, ms: that of the slowest answer, sinking slowly.
    trip_ms: u64,
    /// A pong has told it.
    is_measured: bool,
    is_slow: bool,
    /// Attempts to open a connection that took too long, since one opened.
    overdue: u32,
}

impl Line {
    /// A connection has opened after `ms`.
    pub(super) fn on_opened(&mut self, ms: u64) {
        self.overdue = 0;
        if !self.is_measured {
            self.trip_ms = ms;
        }
    }

    /// An attempt took too long.
    pub(super) fn on_overdue(&mut self) {
        self.overdue = (self.overdue + 1).min(16);
    }

    /// A pong came after `ms`. Returns whether the line is slow, if that has changed.
    pub(super) fn on_pong(&mut self, ms: u64) -> Option<bool> {
        self.trip_ms = match self.is_measured {
            true if ms < self.trip_ms => self.trip_ms - (self.trip_ms - ms).div_ceil(8),
            _ => ms,
        };
        self.is_measured = true;
        let (from, to) = SLOW_MS;
        let slow = self.trip_ms >= if self.is_slow { to } else { from };
        (std::mem::replace(&mut self.is_slow, slow) != slow).then_some(slow)
    }

    /// How long the answer to a ping may take, ms: `least_ms` on a quick line.
    pub(super) fn answer_ms(&self, least_ms: u64) -> u64 {
        (2 * self.trip_ms).min(ANSWER_MS_MAX).max(least_ms)
    }

    /// How long a connection may take to open, ms. `rounds`: over all edges, that have failed. With one edge alone there is no other
    /// to try meanwhile.
    pub(super) fn opening_ms(&self, quick_ms: u64, most_ms: u64, edges: usize, rounds: u32) -> u64 {
        let (first_ms, times) = match edges {
            1 => (most_ms / 2, self.overdue),
            _ if self.is_measured => (quick_ms.max(OPENING_TRIPS * self.trip_ms), rounds),
            _ => (quick_ms, self.overdue.max(rounds)),
        };
        first_ms.saturating_mul(1 << times.min(16)).min(most_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_answer_counts_and_is_forgotten_slowly() {
        let mut line = Line::default();
        assert_eq!(line.answer_ms(1_000), 1_000);
        line.on_opened(4_400);
        assert_eq!(line.answer_ms(1_000), 8_000);
        assert_eq!(line.on_pong(2_200), Some(true));
        assert_eq!(line.answer_ms(1_000), 4_400, "a pong says more than the opening");
        line.on_opened(9_000);
        assert_eq!((line.on_pong(1_200), line.on_pong(2_400)), (None, None));
        assert_eq!(line.answer_ms(1_000), 4_800);
        let quick = (0..100).find(|_| line.on_pong(50) == Some(false)).expect("it is quick again");
        assert!((5..20).contains(&quick), "{quick}");
        (0..100).for_each(|_| assert_eq!(line.on_pong(50), None));
        assert_eq!((line.trip_ms, line.answer_ms(1_000)), (50, 1_000));
    }

    #[test]
    fn nobody_waits_long_for_one_edge_while_there_are_others() {
        let mut line = Line::default();
        let opening = |line: &Line, edges, rounds| line.opening_ms(2_000, 20_000, edges, rounds);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(opening(&line, 3, 0));
            line.on_overdue();
        }
        assert_eq!(waits, [2_000, 4_000, 8_000, 16_000, 20_000], "perhaps it is the line");
        line.on_opened(30);
        line.on_pong(10);
        line.on_overdue();
        assert_eq!([0, 1, 9].map(|rounds| opening(&line, 3, rounds)), [2_000, 4_000, 20_000], "it is not");
        line.on_pong(3_900);
        assert_eq!(opening(&line, 3, 0), 19_500);
        assert_eq!(opening(&Line::default(), 1, 0), 10_000);
    }
}
