//! How many new players come from one address.
//!
//! Each house (an IPv4 address, or 64 bits of an IPv6 address) has a bucket, and each site (48 bits of an IPv6 address) has one of
//! four times the size. A hello that makes no player is given back.

use std::collections::BTreeMap;

use gundo_types::{Limits, Origin, Prefix, Time};

/// Prefixes that are counted at a time. Beyond, all others are counted as one site.
const PREFIXES_MAX: usize = 65_536;
/// What a site may do, in houses.
const HOUSES_PER_SITE: u64 = 4;
const HOUR_US: u64 = 3_600 * 1_000_000;

/// New players by where they come from.
#[derive(Default)]
pub(super) struct Newcomers {
    /// When nothing of a bucket will be used any more.
    used: BTreeMap<Prefix, Time>,
    /// The same for all those that have no bucket.
    others: Time,
}

impl Newcomers {
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }

    pub(super) const fn most() -> usize {
        PREFIXES_MAX
    }

    /// Counts a new player.
    ///
    /// # Errors
    /// There are too many. How long the next one must wait, ms.
    pub(super) fn take(&mut self, from: Origin, limits: &Limits, now: Time) -> Result<(), u64> {
        let wait = Self::buckets(from, limits).map(|(prefix, step_us, all_us)| {
            let then = Self::then(self.rests(prefix), step_us, now);
            then.since(now).saturating_sub(all_us)
        });
        let wait_us = wait.max().unwrap_or(0);
        if wait_us > 0 {
            return Err(wait_us.div_ceil(1_000));
        }
        for (prefix, step_us, _) in Self::buckets(from, limits) {
            let then = Self::then(self.rests(prefix), step_us, now);
            match self.used.contains_key(&prefix) || self.used.len() < PREFIXES_MAX {
                true => drop(self.used.insert(prefix, then)),
                false => self.others = then,
            }
        }
        assert!(self.used.len() <= PREFIXES_MAX, "prefixes are bounded");
        Ok(())
    }

    /// A hello that was counted has made no player.
    pub(super) fn give_back(&mut self, from: Origin, limits: &Limits) {
        for (prefix, step_us, _) in Self::buckets(from, limits) {
            if let Some(rests) = self.used.get_mut(&prefix) {
                rests.0 = rests.0.saturating_sub(step_us);
            }
        }
    }

    /// Forgets the buckets of which nothing is used.
    pub(super) fn rest(&mut self, now: Time) {
        self.used.retain(|_, rests| *rests > now);
    }

    /// The buckets of an address: which, the time of one player, and the time of all, µs.
    fn buckets(from: Origin, limits: &Limits) -> impl Iterator<Item = (Prefix, u64, u64)> + use<> {
        let (most, per_hour) =
            (u64::from(limits.newcomers_at_once_max), u64::from(limits.newcomers_per_hour_max));
        let bucket = move |prefix: Prefix, houses: u64| {
            let step_us = HOUR_US / per_hour.saturating_mul(houses).clamp(1, HOUR_US);
            (prefix, step_us, step_us.saturating_mul(most.saturating_mul(houses)))
        };
        let house = (most > 0).then(|| bucket(from.house(), 1));
        let site = from.site().filter(|_| most > 0).map(|site| bucket(site, HOUSES_PER_SITE));
        house.into_iter().chain(site)
    }

    fn rests(&self, prefix: Prefix) -> Time {
        let known = self.used.get(&prefix).copied();
        known.unwrap_or(if self.used.len() < PREFIXES_MAX { Time(0) } else { self.others })
    }

    fn then(rests: Time, step_us: u64, now: Time) -> Time {
        Time(rests.max(now).0.saturating_add(step_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(newcomers_at_once_max: u32, newcomers_per_hour_max: u32) -> Limits {
        Limits { newcomers_at_once_max, newcomers_per_hour_max, ..Limits::default() }
    }

    fn taken(newcomers: &mut Newcomers, from: Origin, limits: &Limits, at_s: u64, tries: usize) -> usize {
        let now = Time(at_s * 1_000_000);
        (0..tries).filter(|_| newcomers.take(from, limits, now).is_ok()).count()
    }

    #[test]
    fn so_many_at_once_and_per_hour_from_one_address() {
        let (mut all, limits) = (Newcomers::default(), limits(5, 60));
        let (ann, bob) = (Origin::v4(7), Origin::v4(8));
        assert_eq!(taken(&mut all, ann, &limits, 100, 99), 5);
        assert_eq!(all.take(ann, &limits, Time(100_000_000)), Err(60_000));
        assert_eq!(taken(&mut all, bob, &limits, 100, 99), 5, "a neighbour is another house");
        assert_eq!(taken(&mut all, ann, &limits, 159, 99), 0);
        assert_eq!(taken(&mut all, ann, &limits, 160, 99), 1);
        all.give_back(ann, &limits);
        assert_eq!(taken(&mut all, ann, &limits, 160, 99), 1, "that one made no player");
        all.rest(Time(1_000_000_000));
        assert_eq!((all.len(), taken(&mut all, ann, &limits, 1_000, 99)), (0, 5));
        assert_eq!(taken(&mut all, Origin::v4(9), &self::limits(0, 0), 1, 99), 99, "0: any number");
    }

    #[test]
    fn a_site_has_four_houses() {
        let (mut all, limits) = (Newcomers::default(), limits(5, 60));
        let from = |house: u128| Origin::v6(1 << 120 | house << 64 | 1);
        let sum: usize = (0..100).map(|house| taken(&mut all, from(house), &limits, 100, 99)).sum();
        assert_eq!(sum, 20);
        assert_eq!(taken(&mut all, Origin::v6(2 << 120 | 1), &limits, 100, 99), 5);
    }

    #[test]
    fn who_has_no_bucket_shares_one() {
        let (mut all, limits) = (Newcomers::default(), limits(1, 60));
        let from = Origin::v4;
        let crowd = (0..PREFIXES_MAX as u32).filter(|n| all.take(from(*n), &limits, Time(1)).is_ok()).count();
        assert_eq!((crowd, all.len()), (PREFIXES_MAX, PREFIXES_MAX));
        assert_eq!(taken(&mut all, from(1 << 20), &limits, 1, 99), 1);
        assert_eq!(taken(&mut all, from(1 << 21), &limits, 1, 99), 0);
        all.rest(Time(61_000_000));
        assert_eq!(taken(&mut all, from(1 << 21), &limits, 61, 99), 1);
    }
}
