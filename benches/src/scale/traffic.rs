//! What one node sends, in messages and bytes.
//!
//! For clients it counts the bytes that the kernel encodes, in the frames of the WebSocket protocol; for peers, the
//! messages of `peer.proto`. It does not count a transport's headers for peers.

use bytes::Bytes;
use gundo_kernel::{Label, Peer};
use gundo_wire::Message;

/// The traffic of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// To peers: a publisher's frames of one tick for one subscriber, in one message.
    pub(crate) bundles: u64,
    /// Frames of single chunks in those bundles.
    pub(crate) chunk_frames: u64,
    /// To peers: the numbers of what was published last, once per second.
    pub(crate) reminders: u64,
    /// To and from homes of chunks: which node looks where, which node publishes where.
    pub(crate) interest: u64,
    /// To peers: everything else.
    pub(crate) others: u64,
    /// Bytes to peers.
    pub(crate) peer_bytes: u64,
    /// WebSocket messages to clients.
    pub(crate) client_messages: u64,
    /// Bytes of those, with their headers.
    pub(crate) client_bytes: u64,
    /// Appends to the journal.
    pub(crate) appends: u64,
}

impl Traffic {
    /// Messages to peers.
    pub(crate) fn peer_messages(&self) -> u64 {
        self.bundles + self.reminders + self.interest + self.others
    }

    /// Counts a message to a peer, with its bytes on the wire.
    pub(super) fn count_peer(&mut self, label: &Label, message: &Peer) {
        let sent = message.to_message(label);
        self.peer_bytes += sent.encoded_len() as u64;
        if let Peer::Frames { frames, .. } = message {
            self.chunk_frames += frames.len() as u64;
        }
        let counter = match sent.about().map_or("", |arrow| arrow.name) {
            "Frames" => &mut self.bundles,
            "Sent" | "Alive" | "Heard" => &mut self.reminders,
            "Subscribe" | "Publish" | "Subscribers" => &mut self.interest,
            _ => &mut self.others,
        };
        *counter += 1;
    }

    /// Counts `parts`, concatenated, as one WebSocket message.
    pub(super) fn count_client(&mut self, parts: &[Bytes]) {
        let payload: usize = parts.iter().map(Bytes::len).sum();
        // RFC 6455, section 5.2: unmasked, in one frame.
        let header = match payload {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        self.client_messages += 1;
        self.client_bytes += (header + payload) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gundo_kernel::{ChunkFrame, Encoded, Motion};
    use gundo_types::ChunkId;

    use super::*;

    #[test]
    fn a_bundle_weighs_its_frames_and_little_more() {
        let bytes = Bytes::from(vec![1; 1_000]);
        let roster = Encoded { frame: Arc::default(), bytes: bytes.clone() };
        let motion = Some(Motion { rows: [].into(), bytes });
        let motion = [motion.clone(), None, motion];
        let chunk = |x| ChunkId { island: 0, x, y: 3 };
        let frame = |x| ChunkFrame::new(chunk(x), 10_000, Some(roster.clone()), motion.clone());
        let mut traffic = Traffic::default();
        let bundle = Peer::Frames { number: 5, frames: vec![frame(1), frame(2)] };
        traffic.count_peer(&Label { from: 1, ..Label::default() }, &bundle);
        assert_eq!((traffic.bundles, traffic.chunk_frames, traffic.peer_messages()), (1, 2, 1));
        assert!((6_000..6_060).contains(&traffic.peer_bytes), "{}", traffic.peer_bytes);
    }

    #[test]
    fn a_client_s_message_has_the_header_of_its_length() {
        for (payload, header) in [(125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10)] {
            let mut traffic = Traffic::default();
            traffic.count_client(&[vec![0; 100].into(), vec![0; payload - 100].into()]);
            assert_eq!(traffic.client_bytes, (payload + header) as u64);
            assert_eq!(traffic.client_messages, 1);
        }
    }
}
