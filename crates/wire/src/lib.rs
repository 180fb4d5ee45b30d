//! Protobuf schemas and codecs: what crosses a socket, what the journal stores, and what the coordinator stores.
//!
//! [`client`] is the protocol between clients and edges, [`peer`] the one between nodes, [`journal`] the records and batches of
//! the journal, [`coordinator`] the record of the members, [`fabric`] what is said on a connection between nodes. Decoders are total: any bytes give a value or an error, never a panic.
//! No behaviour lives here.

pub mod client;
pub mod coordinator;
pub mod fabric;
pub mod journal;
mod kept;
pub mod peer;

pub use kept::Kept;
pub use prost::{DecodeError, Message};

/// FNV-1a, 64 bit (Fowler, Noll, Vo 1991): the fingerprint of a command, stable across versions and machines.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #[test]
    fn fingerprint_matches_the_published_vectors() {
        assert_eq!(super::fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
