//! Messages that are too long for one piece: cut where they leave, put together where they arrive.
//!
//! All pieces must arrive, also those of frames: so the link numbers them and sends them again, and they come in a row.

use bytes::{Bytes, BytesMut};
use gundo_wire::peer::WHOLE_BYTES_MAX;

use crate::peer::Peer;

/// The pieces of a message, in order. `None`: it is larger than `whole_bytes_max`, and cannot travel.
pub(super) fn cut(message: &Peer, piece_bytes: usize, whole_bytes_max: usize) -> Option<Vec<Peer>> {
    let (mut bytes, piece_bytes) = (message.encode_whole(), piece_bytes.max(1));
    if bytes.len() > whole_bytes_max {
        return None;
    }
    let count = bytes.len().div_ceil(piece_bytes);
    let piece = |at: usize| {
        let bytes = bytes.split_to(piece_bytes.min(bytes.len()));
        Peer::Piece { bytes, left: (count - 1 - at) as u32 }
    };
    Some((0..count).map(piece).collect())
}

/// What has come of a message in pieces.
#[derive(Default)]
pub(super) struct Assembly {
    bytes: BytesMut,
    /// How many pieces are left; 0: none has come.
    left: u32,
}

/// A piece that does not follow the one before, or is one too many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced;

impl Assembly {
    /// Whether a message is half there.
    pub(super) fn is_open(&self) -> bool {
        self.left > 0
    }

    /// Takes the next piece. Returns the bytes of the whole message with its last one.
    pub(super) fn take(&mut self, piece: &Bytes, left: u32) -> Result<Option<Bytes>, Misplaced> {
        let follows = !self.is_open() || left == self.left - 1;
        if !follows || piece.is_empty() || self.bytes.len() + piece.len() > WHOLE_BYTES_MAX {
            *self = Self::default();
            return Err(Misplaced);
        }
        self.bytes.extend_from_slice(piece);
        self.left = left;
        Ok((left == 0).then(|| std::mem::take(&mut self.bytes).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::{ChunkId, ConnId, EntityId, Epoch, Kind};

    use super::*;
    use crate::peer::ToEdge;

    fn long(bytes: usize) -> Peer {
        let message = ToEdge::Own(vec![7; bytes].into());
        Peer::ToEdge { conn: ConnId(1), player: EntityId::new(Kind(1), 1), message }
    }

    fn put_together(pieces: Vec<Peer>) -> Result<Option<Bytes>, Misplaced> {
        let mut assembly = Assembly::default();
        let mut last = Ok(None);
        for piece in pieces {
            let Peer::Piece { bytes, left } = piece else { panic!("a piece") };
            assert!(bytes.len() <= 1_000 && matches!(last, Ok(None)));
            last = assembly.take(&bytes, left);
        }
        assert!(!assembly.is_open() && assembly.bytes.is_empty());
        last
    }

    #[test]
    fn pieces_are_the_message() {
        for bytes in [1, 900, 1_000, 1_001, 20_000] {
            let pieces = cut(&long(bytes), 1_000, WHOLE_BYTES_MAX).expect("it fits");
            assert_eq!(pieces.len(), long(bytes).encode_whole().len().div_ceil(1_000));
            let whole = put_together(pieces).expect("they follow each other").expect("all are there");
            let message = Peer::decode_whole(whole).expect("a message");
            assert_eq!(format!("{message:?}"), format!("{:?}", long(bytes)));
        }
        assert!(cut(&long(5_000), 1_000, 5_000).is_none(), "too large");
    }

    #[test]
    fn what_is_out_of_place_is_an_error() {
        let pieces = cut(&long(5_000), 1_000, WHOLE_BYTES_MAX).expect("it fits");
        let mut gap = pieces.clone();
        gap.remove(2);
        gap.truncate(3);
        assert_eq!(put_together(gap), Err(Misplaced));
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(&Bytes::new(), 3), Err(Misplaced), "nothing is no piece");
        let much = Bytes::from(vec![0; WHOLE_BYTES_MAX]);
        assert_eq!(assembly.take(&much, 1), Ok(None));
        assert_eq!(assembly.take(&much.slice(..1), 0), Err(Misplaced), "the buffer is bounded");
        assert!(!assembly.is_open() && assembly.bytes.is_empty());
    }

    /// What may be lost may be long too: the report of all rosters that a node has sent.
    #[test]
    fn whatever_may_be_cut_is_understood_in_pieces() {
        let rosters = (0..500).map(|x| (ChunkId { island: 0, x, y: 0 }, 7)).collect();
        let sent = Peer::Sent { number: 3, rosters };
        assert!(sent.may_be_cut());
        let pieces = cut(&sent, 1_000, WHOLE_BYTES_MAX).expect("it fits");
        assert!(pieces.len() > 1);
        let whole = put_together(pieces).expect("they follow each other").expect("all are there");
        let message = Peer::decode_whole(whole).expect("a message");
        assert_eq!(format!("{message:?}"), format!("{sent:?}"));
        assert!(!Peer::Stale { epoch: Epoch(1) }.may_be_cut(), "a node that is no member must understand it");
    }

    #[test]
    fn only_what_is_long_comes_in_pieces() {
        let inner = Peer::Piece { bytes: Bytes::from_static(b"x"), left: 0 };
        for message in [inner, Peer::Heard { again: true }] {
            assert!(Peer::decode_whole(message.encode_whole()).is_err(), "{message:?}");
        }
        assert!(Peer::decode_whole(Bytes::from_static(&[0xff; 9])).is_err());
    }
}
