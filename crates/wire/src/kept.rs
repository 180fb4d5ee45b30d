//! Messages that different versions read, change and write back: each version keeps the fields it does not know.
//!
//! While nodes are updated one by one, an older node reads what a newer one has written, and rewrites it: a snapshot that replaces
//! the newer one's. Generated decoders drop fields they do not know; a dropped field would be lost permanently once the events
//! behind the snapshot are pruned. A [`Kept`] keeps them.

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, skip_field};
use prost::{DecodeError, Message};

/// A message with the fields that this version does not know. They are written back unchanged, behind the known ones.
///
/// Only fields of the message itself are kept, not those of messages inside it: make those `Kept`, too, or bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept<M> {
    /// The fields that this version knows.
    pub known: M,
    unknown: Bytes,
}

impl<M> From<M> for Kept<M> {
    fn from(known: M) -> Self {
        Self { known, unknown: Bytes::new() }
    }
}

impl<M: Message + Default> Kept<M> {
    /// Reads a message.
    ///
    /// # Errors
    /// The bytes are not a message of this type.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let bytes = bytes.into();
        Ok(Self { known: M::decode(bytes.clone())?, unknown: unknown_fields::<M>(bytes)? })
    }

    /// Its bytes: those of the known part, then the unknown fields.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.known.encoded_len() + self.unknown.len());
        self.known.encode_raw(&mut bytes);
        bytes.extend_from_slice(&self.unknown);
        bytes.into()
    }

    /// The unknown fields of this message with another known part: a new value of the same thing.
    pub fn with(&self, known: M) -> Self {
        Self { known, unknown: self.unknown.clone() }
    }

    /// The unknown fields, unchanged.
    pub fn unknown(&self) -> &Bytes {
        &self.unknown
    }

    /// Adds the number `value` as field `tag`, as a later version that knows such a field would: for tests. Does nothing if the
    /// field is there.
    ///
    /// # Panics
    /// The field is known.
    pub fn add_unknown(&mut self, tag: u32, value: u64) {
        assert!(!knows::<M>(tag), "field {tag} is known");
        let mut field = Vec::new();
        prost::encoding::uint64::encode(tag, &value, &mut field);
        if !self.unknown.windows(field.len()).any(|bytes| bytes == field) {
            self.unknown = [&self.unknown[..], &field].concat().into();
        }
    }
}

/// The fields of a message that are unknown to `M`.
fn unknown_fields<M: Message + Default>(bytes: Bytes) -> Result<Bytes, DecodeError> {
    let mut rest = bytes.clone();
    let mut unknown = Vec::new();
    while rest.has_remaining() {
        let begin = bytes.len() - rest.remaining();
        let (tag, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
        if !knows::<M>(tag) {
            unknown.extend_from_slice(&bytes[begin..bytes.len() - rest.remaining()]);
        }
    }
    Ok(unknown.into())
}

/// Whether `M` has a field `tag`. A decoder skips an unknown field of any type; a known field has one type, so it cannot be both
/// four and eight bytes long.
fn knows<M: Message + Default>(tag: u32) -> bool {
    let refuses = |wire_type, zeros: &[u8]| {
        let mut field = Vec::with_capacity(16);
        encode_key(tag, wire_type, &mut field);
        field.extend_from_slice(zeros);
        M::decode(field.as_slice()).is_err()
    };
    refuses(WireType::ThirtyTwoBit, &[0; 4]) || refuses(WireType::SixtyFourBit, &[0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{ClientMessage, Enter, Frame, ServerMessage};
    use crate::journal::{Place, Session, Snapshot};

    /// Every number up to 100 that `M` knows.
    fn known<M: Message + Default>() -> Vec<u32> {
        (1..=100).filter(|tag| knows::<M>(*tag)).collect()
    }

    #[test]
    fn the_known_fields_are_those_of_the_schema() {
        assert_eq!(known::<Snapshot>(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(known::<Session>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(known::<ClientMessage>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(known::<Enter>(), (1..=11).collect::<Vec<_>>(), "fixed64 among them");
        assert_eq!(known::<Frame>(), (1..=16).collect::<Vec<_>>(), "packed columns among them");
        assert!(known::<ServerMessage>().starts_with(&[1, 2, 3]));
    }

    #[test]
    fn what_is_not_known_comes_back_as_it_came() {
        let session = Session { session: 1, adoption: 7, ..Default::default() };
        let mut newer = session.encode_to_vec();
        for (tag, text) in [(19, "first"), (600, ""), (19, "again")] {
            prost::encoding::string::encode(tag, &text.to_owned(), &mut newer);
        }
        prost::encoding::fixed64::encode(11, &u64::MAX, &mut newer);
        prost::encoding::fixed32::encode(12, &0, &mut newer);
        prost::encoding::uint64::encode(13, &300, &mut newer);
        let kept = Kept::<Session>::decode(newer.clone()).expect("a session");
        assert_eq!(kept.known, session);
        assert_eq!(kept.encode(), newer, "the known ones come first already");
        // Another value of it, written by code that does not know the field.
        let next = kept.with(Session { adoption: 8, ..session });
        let read = Kept::<Session>::decode(next.encode()).expect("a session");
        assert_eq!((read.known.adoption, read.unknown()), (8, kept.unknown()));
    }

    #[test]
    fn what_is_added_is_added_once_and_survives() {
        let mut place = Kept::from(Place { x: 3, ..Default::default() });
        place.add_unknown(1_000, 5);
        place.add_unknown(1_000, 5);
        let read = Kept::<Place>::decode(place.encode()).expect("a place");
        assert_eq!(read, place);
        assert_eq!(read.unknown().len(), 3);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        for bytes in [&[0xff][..], &[0x0a, 5, 1], &[0], &[0x0b]] {
            assert!(Kept::<Session>::decode(bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }
}
