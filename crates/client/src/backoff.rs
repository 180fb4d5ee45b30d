//! When to try again: growing waits with chance in them, so that clients of a killed edge do not return in step.

/// Waits between attempts to connect.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    attempt: u32,
    chance: u64,
}

impl Backoff {
    pub(crate) fn new(min_ms: u64, max_ms: u64, seed: u64) -> Self {
        Self { min_ms: min_ms.max(1), max_ms: max_ms.max(min_ms.max(1)), attempt: 0, chance: seed }
    }

    /// The connection works: the next loss is met quickly again.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next wait: the first anywhere up to the minimum (a lost edge is usually alone, so try another at once),
    /// later ones between half and the whole of a doubling limit.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let limit = self.min_ms.saturating_mul(1 << self.attempt.min(20)).min(self.max_ms);
        let first = self.attempt == 0;
        self.attempt += 1;
        if first { self.below(limit + 1) } else { limit / 2 + self.below(limit - limit / 2 + 1) }
    }

    /// Chance in `0..n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): tiny, and good enough to spread clients in time.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_differ_between_clients() {
        let waits = |seed| {
            let mut b = Backoff::new(200, 10_000, seed);
            (0..12).map(|_| b.next_ms()).collect::<Vec<_>>()
        };
        let (a, b) = (waits(1), waits(2));
        assert_ne!(a, b);
        assert!(a[0] <= 200);
        assert!((200..=400).contains(&a[1]) && (400..=800).contains(&a[2]));
        assert!(a.iter().all(|w| *w <= 10_000) && a[11] >= 5_000);
    }
}
