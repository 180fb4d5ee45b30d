//! When somebody who looks for leases that are over may remove their members: not right after an outage, in which nobody could
//! renew.

use gundo_types::Time;

/// What a caller of [`Expire`](crate::operation::Expire) on a shared store remembers. A plain value; time is handed in.
///
/// A caller that has not reached the store for half a lease cannot know whether others did. When it reaches it again, it waits for
/// one lease: everybody who lives has renewed by then. Only its own calls count, so it may wait although others did renew; they
/// remove who is dead meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    lease_ms: u64,
    /// When the store last did something it was asked for.
    reached: Time,
    /// Until then nobody is removed.
    until: Time,
}

impl Patience {
    /// The patience of a caller that has reached the store at `now` for the first time.
    pub fn new(lease_ms: u64, now: Time) -> Self {
        Self { lease_ms, reached: now, until: now }
    }

    /// The store has done something.
    pub fn on_success(&mut self, now: Time) {
        if self.is_outage(now) {
            self.until = now.plus_ms(self.lease_ms);
        }
        self.reached = self.reached.max(now);
    }

    /// Whether members whose lease is over may be removed.
    pub fn may_expire(&self, now: Time) -> bool {
        now >= self.until && !self.is_outage(now)
    }

    fn is_outage(&self, now: Time) -> bool {
        now.since(self.reached) > self.lease_ms * 1_000 / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_outage_it_waits_for_a_lease() {
        let at = |ms: u64| Time(ms * 1_000);
        let mut patience = Patience::new(5_000, at(1_000));
        patience.on_success(at(3_000));
        assert!(patience.may_expire(at(5_500)), "two tries may fail");
        assert!(!patience.may_expire(at(5_501)), "it cannot know whether others renew");
        patience.on_success(at(9_000));
        assert!(!patience.may_expire(at(9_001)));
        [11_000, 13_000].into_iter().for_each(|ms| patience.on_success(at(ms)));
        assert!(!patience.may_expire(at(13_999)));
        assert!(patience.may_expire(at(14_000)), "every living node has renewed");
    }
}
