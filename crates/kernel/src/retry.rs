//! How a node tries again: the wait doubles with each failure in a row, up to a limit, and half of it is random. So those who
//! failed together do not come back together, and what is overloaded gets room. The source of the method is "Exponential Backoff
//! And Jitter" (AWS Architecture Blog, 2015), there called equal jitter. Only values; [`Core::retry_ms`](crate::core::Core::retry_ms)
//! draws the wait and counts it.

/// Waits between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// The longest wait after the first failure, ms.
    pub(crate) first_ms: u32,
    /// The longest wait of all, ms.
    pub(crate) most_ms: u32,
}

/// The journal could not read, list, or tell how an append ended.
pub(crate) const JOURNAL: Retry = Retry { first_ms: 200, most_ms: 4_000 };
/// Another node wrote to the stream. A removed node must not keep the journal busy until it learns that it was removed.
pub(crate) const CONFLICT: Retry = Retry { first_ms: 20, most_ms: 640 };
/// A participant of a transaction is busy: at first about the time in which a group of commits lands.
pub(crate) const BUSY: Retry = Retry { first_ms: 40, most_ms: 160 };

/// A message to another entity is not answered: it may be away, locked, or without room.
pub(crate) const MAIL: Retry = Retry { first_ms: 500, most_ms: 4_000 };

/// An operator's order is not settled: its entity may be away, locked, or without room.
pub(crate) const ORDER: Retry = Retry { first_ms: 400, most_ms: 3_200 };

/// A timer has rung, and what it asked for is not durable yet: somebody may be busy, or the journal.
pub(crate) const TIMER: Retry = Retry { first_ms: 500, most_ms: 8_000 };

/// The game's code could not read an entity's state: it may have failed by chance, or a repaired version may come.
pub(crate) const BROKEN: Retry = Retry { first_ms: 1_000, most_ms: 60_000 };

impl Retry {
    /// The longest wait after so many failures in a row before this one.
    pub(crate) fn longest_ms(self, failures: u8) -> u32 {
        assert!((1..=self.most_ms).contains(&self.first_ms), "a wait has a beginning and an end");
        let doubled = u64::from(self.first_ms) << failures.min(32);
        doubled.min(self.most_ms.into()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let retry = Retry { first_ms: 200, most_ms: 4_000 };
        let waits: Vec<_> = [0, 1, 2, 4, 5, 255].into_iter().map(|n| retry.longest_ms(n)).collect();
        assert_eq!(waits, [200, 400, 800, 3_200, 4_000, 4_000]);
    }
}
