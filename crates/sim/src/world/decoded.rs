//! What nodes send to clients, decoded once: most of it are frames that many clients get.

use std::sync::Arc;

use bytes::Bytes;
use gundo_wire::Message;
use gundo_wire::client::ServerMessage;

/// A part of a message to a client.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) message: Arc<ServerMessage>,
    /// It is frames and nothing else.
    pub(super) is_frames: bool,
}

/// Parts decoded recently, by address: one that comes later takes the place of one before it.
#[derive(Default)]
pub(super) struct Decoded {
    kept: Vec<Option<(Bytes, Part)>>,
}

impl Decoded {
    /// Parts kept at a time: a power of two.
    const MAX: usize = 1 << Self::BITS;
    const BITS: u32 = 12;

    /// `None`: it is no server message.
    pub(super) fn get(&mut self, bytes: &Bytes) -> Option<Part> {
        if self.kept.is_empty() {
            self.kept.resize(Self::MAX, None);
        }
        let place = &mut self.kept[place(bytes)];
        // The bytes are kept too, so that nothing else can come to be at that address.
        if let Some((kept, part)) = place
            && (kept.as_ptr(), kept.len()) == (bytes.as_ptr(), bytes.len())
        {
            return Some(part.clone());
        }
        let message = ServerMessage::decode(bytes.as_ref()).ok()?;
        let part = Part { is_frames: is_frames(&message), message: Arc::new(message) };
        *place = Some((bytes.clone(), part.clone()));
        Some(part)
    }
}

/// Where a part is kept.
fn place(bytes: &Bytes) -> usize {
    let mixed = (bytes.as_ptr() as u64 ^ (bytes.len() as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - Decoded::BITS)) as usize
}

/// Whether a message is a frame and nothing else.
fn is_frames(message: &ServerMessage) -> bool {
    message.frames.len() == 1
        && message.welcome.is_none()
        && message.replies.is_empty()
        && message.own.is_none()
        && message.correction.is_none()
        && message.pong.is_none()
        && message.closing.is_none()
        && message.forget.is_empty()
        && message.stats.is_none()
        && message.refused.is_none()
        && message.edges.is_none()
        && message.resync.is_none()
        && message.watched.is_empty()
        && message.told.is_empty()
}

#[cfg(test)]
mod tests {
    use gundo_wire::client::Frame;

    use super::*;

    #[test]
    fn the_same_bytes_are_decoded_once_and_others_on_their_own() {
        let mut decoded = Decoded::default();
        let bytes = |tick| {
            let frames = vec![Frame { tick, ..Default::default() }];
            Bytes::from(ServerMessage { frames, ..Default::default() }.encode_to_vec())
        };
        let all: Vec<_> = (1..20_000).map(bytes).collect();
        for (part, tick) in all.iter().zip(1..) {
            let (first, again) =
                (decoded.get(part).expect("a message"), decoded.get(part).expect("a message"));
            assert!(Arc::ptr_eq(&first.message, &again.message) && first.is_frames);
            assert_eq!(first.message.frames[0].tick, tick);
        }
        assert_eq!(decoded.get(&all[0]).expect("a message").message.frames[0].tick, 1);
        assert!(decoded.get(&Bytes::from_static(&[0xff; 3])).is_none());
    }
}
