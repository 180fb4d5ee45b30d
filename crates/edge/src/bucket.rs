//! A token bucket with debt: a rate per second on average, twice that in a burst, and a wait for what was taken beyond.

/// Seconds of the rate that may be owed: a client that takes more is not too quick but a flood.
const DEBT_S: i64 = 8;

/// Allows `per_second` units on average and bursts of twice that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: i64,
    /// Micro-units left, at most two seconds' worth; below 0 they are owed.
    left: i64,
    at_us: u64,
}

impl Bucket {
    /// A full bucket at time `now_us`.
    pub(crate) fn new(per_second: u64, now_us: u64) -> Self {
        let per_second =
            i64::try_from(per_second).unwrap_or(i64::MAX).clamp(1, i64::MAX / 1_000_000 / (4 * DEBT_S));
        Self { per_second, left: per_second * 2_000_000, at_us: now_us }
    }

    /// Takes `units`. Returns for how long nothing more may be taken, µs; `None`: more is owed then than may be.
    pub(crate) fn take(&mut self, units: u64, now_us: u64) -> Option<u64> {
        let most = self.per_second * 2_000_000;
        let passed_us = i64::try_from(now_us.saturating_sub(self.at_us)).unwrap_or(i64::MAX);
        self.at_us = self.at_us.max(now_us);
        self.left = self.left.saturating_add(passed_us.saturating_mul(self.per_second)).min(most);
        let taken = i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let left = self.left.saturating_sub(taken);
        if left < -self.per_second * DEBT_S * 1_000_000 {
            return None;
        }
        self.left = left;
        Some((-left).max(0).unsigned_abs().div_ceil(self.per_second.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_and_burst_are_bounded() {
        let mut bucket = Bucket::new(10, 0);
        let burst = (0..100).filter(|_| bucket.take(1, 0) == Some(0)).count();
        assert_eq!(burst, 20, "twice the rate at once");
        assert_eq!(bucket.take(1, 0), None, "eighty are owed");
        assert_eq!(bucket.take(1, 100_000), Some(8_000_000), "one more after a tenth of a second");
        assert_eq!(bucket.take(0, 8_100_000), Some(0), "paid");
        let mut now = 8_100_000;
        for _ in 0..1_000 {
            now += bucket.take(1, now).expect("whoever waits owes little");
        }
        assert!((100_000_000..=108_200_000).contains(&now), "ten per second on average: {now}");
        assert_eq!(bucket.take(u64::MAX, u64::MAX), None, "no overflow");
        assert_eq!(Bucket::new(u64::MAX, 0).take(u64::MAX, 0), None);
    }
}
