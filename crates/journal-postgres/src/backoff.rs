//! How a connection tries again: the wait doubles with each failure in a row, up to a limit, and half of it is random. The method is
//! the one of the kernel (equal jitter).

use std::time::Duration;

const FIRST_MS: u64 = 20;
const MOST_MS: u64 = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = (FIRST_MS << self.failures.min(16)).min(MOST_MS);
        self.failures = self.failures.saturating_add(1);
        // Without chance everybody comes back together, which is slow and not wrong.
        let chance = getrandom::u64().unwrap_or_default();
        Duration::from_millis(longest / 2 + chance % (longest / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::default();
        for longest in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            let wait = backoff.next().as_millis();
            assert!((longest / 2..=longest).contains(&wait), "{wait} of {longest}");
        }
        backoff.reset();
        assert!(backoff.next().as_millis() <= 20);
    }
}
