//! What the rules need of a store: one versioned record with compare-and-set, and leases.
//!
//! It is this small so that a replicated store needs few calls of its own per request. With etcd (`gundo_coordinator_etcd`):
//!
//! | request | etcd |
//! | --- | --- |
//! | [`Read`](StoreRequest::Read) | a linearizable range of the record's key; the version is its `mod_revision` |
//! | [`Swap`](StoreRequest::Swap) | a transaction: if `mod_revision` is the expected one (0: no key), put |
//! | [`Grant`](StoreRequest::Grant) | a lease whose id follows from the number (one that is there is kept alive), and a key `leases/NUMBER` under it |
//! | [`Renew`](StoreRequest::Renew) | one keep-alive of the lease, and a look for the key |
//! | [`Leases`](StoreRequest::Leases) | a range of the keys `leases/` |
//!
//! Views come from a watch on the record's key. Here are the values and a store in memory; time is handed in.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::Time;

/// The version of the record in a store: it grows with every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A request to the store. Each takes effect at once and as a whole, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// Reads the record.
    Read,
    /// Replaces the record, if its version is still the expected one.
    Swap {
        /// The version to replace; `None`: there is no record yet.
        expected: Option<Version>,
        /// The new record.
        value: Bytes,
    },
    /// Grants an incarnation a lease, in place of the one it may have.
    Grant {
        /// The incarnation.
        lease: u64,
        /// The lease ends by itself after this time, ms.
        ms: u64,
    },
    /// Renews the lease of an incarnation for as long as it was granted, if it has not ended.
    Renew {
        /// The incarnation.
        lease: u64,
    },
    /// Lists the leases that have not ended.
    Leases,
}

/// An answer of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAnswer {
    /// To [`StoreRequest::Read`]: the record, if there is one.
    Record(Option<(Version, Bytes)>),
    /// To [`StoreRequest::Swap`]: done; the version of the new record.
    Swapped(Version),
    /// To [`StoreRequest::Swap`]: the record has another version. Nothing has changed.
    Conflict,
    /// To [`StoreRequest::Grant`].
    Granted,
    /// To [`StoreRequest::Renew`]: whether the lease was there.
    Renewed(bool),
    /// To [`StoreRequest::Leases`]: their incarnations, ascending.
    Leases(Vec<u64>),
}

/// A store in memory, as a plain value.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    now: Time,
    record: Option<(Version, Bytes)>,
    leases: BTreeMap<u64, Lease>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    ms: u64,
    until: Time,
}

impl MemoryStore {
    /// A store without a record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does a request.
    pub fn ask(&mut self, request: StoreRequest) -> StoreAnswer {
        match request {
            StoreRequest::Read => StoreAnswer::Record(self.record.clone()),
            StoreRequest::Swap { expected, value } => {
                let version = self.record.as_ref().map(|(version, _)| *version);
                if version != expected {
                    return StoreAnswer::Conflict;
                }
                let next = Version(version.map_or(1, |version| version.0 + 1));
                self.record = Some((next, value));
                StoreAnswer::Swapped(next)
            }
            StoreRequest::Grant { lease, ms } => {
                self.leases.insert(lease, Lease { ms, until: self.now.plus_ms(ms) });
                StoreAnswer::Granted
            }
            StoreRequest::Renew { lease } => {
                let renewed = self.leases.get_mut(&lease);
                let was_there = renewed.is_some();
                if let Some(lease) = renewed {
                    lease.until = self.now.plus_ms(lease.ms);
                }
                StoreAnswer::Renewed(was_there)
            }
            StoreRequest::Leases => StoreAnswer::Leases(self.leases.keys().copied().collect()),
        }
    }

    /// Sets the time to `now`: leases that were not renewed end. A lease of 5 s is over when 5 s have passed.
    ///
    /// # Panics
    /// Time runs backwards.
    pub fn advance(&mut self, now: Time) {
        assert!(now >= self.now, "time does not run backwards");
        self.now = now;
        self.leases.retain(|_, lease| now < lease.until);
    }

    /// When the lease of an incarnation ends unless it is renewed; `None`: it has no lease.
    pub fn lease_until(&self, lease: u64) -> Option<Time> {
        self.leases.get(&lease).map(|lease| lease.until)
    }

    /// The record, if there is one.
    pub fn record(&self) -> Option<&Bytes> {
        self.record.as_ref().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn of_two_swaps_on_one_version_one_wins() {
        let mut store = MemoryStore::new();
        let swap = |expected, value: &'static str| StoreRequest::Swap { expected, value: value.into() };
        assert_eq!(store.ask(StoreRequest::Read), StoreAnswer::Record(None));
        assert_eq!(store.ask(swap(Some(Version(1)), "a")), StoreAnswer::Conflict, "there is no record yet");
        assert_eq!(store.ask(swap(None, "a")), StoreAnswer::Swapped(Version(1)));
        assert_eq!(store.ask(swap(None, "b")), StoreAnswer::Conflict);
        assert_eq!(store.ask(swap(Some(Version(1)), "b")), StoreAnswer::Swapped(Version(2)));
        assert_eq!(store.ask(swap(Some(Version(1)), "c")), StoreAnswer::Conflict);
        assert_eq!(store.ask(StoreRequest::Read), StoreAnswer::Record(Some((Version(2), "b".into()))));
    }

    #[test]
    fn a_lease_ends_by_itself_and_is_not_renewed_then() {
        let mut store = MemoryStore::new();
        for lease in [1, 2] {
            assert_eq!(store.ask(StoreRequest::Grant { lease, ms: 5_000 }), StoreAnswer::Granted);
        }
        store.advance(Time(3 * SECOND));
        assert_eq!(store.ask(StoreRequest::Renew { lease: 1 }), StoreAnswer::Renewed(true));
        store.advance(Time(5 * SECOND - 1));
        assert_eq!(store.ask(StoreRequest::Leases), StoreAnswer::Leases(vec![1, 2]));
        store.advance(Time(5 * SECOND));
        assert_eq!(store.ask(StoreRequest::Leases), StoreAnswer::Leases(vec![1]));
        assert_eq!(store.lease_until(1), Some(Time(8 * SECOND)));
        assert_eq!(store.ask(StoreRequest::Renew { lease: 2 }), StoreAnswer::Renewed(false));
        assert_eq!(store.lease_until(2), None);
    }
}
