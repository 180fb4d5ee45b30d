//! The keys of a world in etcd, and the numbers of its leases.
//!
//! | key | value |
//! | --- | --- |
//! | `PREFIX/world` | id of the world that the prefix belongs to |
//! | `PREFIX/cells/CELL/members` | the record of the cell: members, and joins that have begun |
//! | `PREFIX/cells/CELL/leases/INCARNATION` | empty; there as long as the incarnation has a lease |

use sha2::{Digest, Sha256};

/// The keys of one cell of a world.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Whose prefix it is.
    pub(crate) world: String,
    /// The record.
    pub(crate) members: String,
    /// What the keys of all leases begin with.
    pub(crate) leases: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str, cell: u32) -> Self {
        Self {
            world: format!("{prefix}/world"),
            members: format!("{prefix}/cells/{cell}/members"),
            leases: format!("{prefix}/cells/{cell}/leases/"),
        }
    }

    /// The key that an incarnation has with its lease.
    pub(crate) fn lease(&self, incarnation: u64) -> String {
        format!("{}{incarnation}", self.leases)
    }

    /// The incarnation of such a key.
    pub(crate) fn incarnation(&self, key: &[u8]) -> Option<u64> {
        let number = key.strip_prefix(self.leases.as_bytes())?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// The id of its lease. All users of an etcd share the ids, so it is a digest of the key: everybody who knows the incarnation can
    /// renew its lease, and two that grant it at once grant the same one.
    pub(crate) fn lease_id(&self, incarnation: u64) -> i64 {
        let digest = Sha256::digest(self.lease(incarnation));
        let first = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        // Positive, as etcd wants it; 0 would mean "choose one".
        ((first >> 1) as i64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_cells_and_incarnations_differ() {
        let (a, b) = (Keys::new("/gundo/w", 1), Keys::new("/gundo/w", 11));
        assert_eq!(a.lease(5), "/gundo/w/cells/1/leases/5");
        assert_eq!(a.incarnation(b"/gundo/w/cells/1/leases/18446744073709551615"), Some(u64::MAX));
        assert_eq!(a.incarnation(b.lease(5).as_bytes()), None);
        assert_eq!(a.incarnation(b"/gundo/w/cells/1/leases/x"), None);
        let ids = [a.lease_id(1), a.lease_id(2), b.lease_id(1)];
        assert!(ids.iter().all(|id| *id > 0) && ids[0] != ids[1] && ids[0] != ids[2]);
        assert_eq!(Keys::new("/gundo/w", 1).lease_id(1), ids[0], "the same for everybody");
    }
}
