//! A token bucket: a rate per second on average, and twice that in a burst.

/// Allows `per_second` units on average and bursts of twice that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    /// Micro-units left, at most two seconds' worth.
    left: u64,
    at_us: u64,
}

impl Bucket {
    /// A full bucket at time `now_us`.
    pub(crate) fn new(per_second: u64, now_us: u64) -> Self {
        Self { per_second, left: per_second * 2_000_000, at_us: now_us }
    }

    /// Takes `units`; false if there are not that many.
    pub(crate) fn take(&mut self, units: u64, now_us: u64) -> bool {
        let passed_us = now_us.saturating_sub(self.at_us).min(2_000_000);
        self.at_us = self.at_us.max(now_us);
        self.left = (self.left + passed_us * self.per_second).min(self.per_second * 2_000_000);
        match self.left.checked_sub(units.saturating_mul(1_000_000)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_and_burst_are_bounded() {
        let mut bucket = Bucket::new(10, 0);
        let burst = (0..100).filter(|_| bucket.take(1, 0)).count();
        assert_eq!(burst, 20, "twice the rate at once");
        assert!(!bucket.take(1, 99_999));
        assert!(bucket.take(1, 100_000), "one more after a tenth of a second");
        let sustained = (1..=1_000u64).filter(|i| bucket.take(1, 100_000 + i * 10_000)).count();
        assert_eq!(sustained, 100, "ten per second over ten seconds");
        assert!(!bucket.take(u64::MAX, u64::MAX), "no overflow");
    }
}
