//! What a fabric counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a fabric has counted since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct FabricCounts {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> FabricCounts {
                FabricCounts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Parcels sent: one for each lane, peer and turn, unless a turn has much for a peer.
    parcels_out,
    /// Messages sent.
    messages_out,
    /// Their bytes.
    bytes_out,
    /// Messages that came.
    messages_in,
    /// Their bytes.
    bytes_in,
    /// Frames that the node's own inbox had no room for.
    frames_dropped_in,
    /// Links that came up.
    links_up,
    /// Links that broke, of those that were up.
    links_broken,
    /// Links that broke because what must arrive had no room.
    links_full,
    /// Messages that were too large to be sent.
    too_large,
    /// Connections that were closed because what came by them was no message.
    malformed,
    /// Handshakes that this node refused.
    refused,
    /// Handshakes that a peer refused.
    refused_by_peer,
    /// Attempts to reach a peer that failed otherwise.
    dials_failed,
    /// Attempts to reach a peer that failed because one of the two does not trust the other's certificate.
    untrusted,
    /// Connections that were closed at once because too many are in their handshakes.
    crowded,
}

/// Counts one.
pub(crate) fn one(counter: &AtomicU64) {
    add(counter, 1);
}

/// Counts several.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
