//! A bound on hellos that only the journal can judge.

use gundo_types::Time;

/// Hellos with a token of an earlier version: a node passes on so many per second on average, and so many at once. They are judged
/// by the player's stream, which the journal must read; those of this version are judged here.
const OLD_TOKENS: (u64, u64) = (10, 40);

/// How many hellos with old tokens may be passed on now: a bucket.
#[derive(Default)]
pub(super) struct OldTokens {
    used: u64,
    counted: Time,
}

impl OldTokens {
    pub(super) fn take(&mut self, now: Time) -> bool {
        let (per_second, most) = OLD_TOKENS;
        let every_us = 1_000_000 / per_second;
        let freed = now.since(self.counted) / every_us;
        self.used = self.used.saturating_sub(freed);
        self.counted = if self.used == 0 { now } else { Time(self.counted.0 + freed * every_us) };
        let takes = self.used < most;
        self.used += u64::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_so_many_per_second() {
        let mut tokens = OldTokens::default();
        let mut taken = |at_ms: u64, tries: u64| {
            let now = Time(5_000_000 + at_ms * 1_000);
            (0..tries).filter(|_| tokens.take(now)).count()
        };
        assert_eq!(taken(0, 1_000), 40);
        assert_eq!(taken(50, 1_000), 0);
        assert_eq!(taken(100, 1_000), 1);
        // Whenever somebody asks: a flood does not hold the time up.
        assert_eq!((101..1_101).map(|ms| taken(ms, 3)).sum::<usize>(), 10);
        assert_eq!(taken(60_000, 1_000), 40);
    }
}
