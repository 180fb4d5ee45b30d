//! What one node sends, in messages and bytes.
//!
//! Clients get bytes as the kernel encodes them, in the frames of the WebSocket protocol. Peers in one process get values:
//! what those would weigh is reckoned as protobuf, field by field as [`Peer`] has them. Frames, nearly all of it, are in
//! there as the bytes that they are already. No transport's headers are counted for peers.

use bytes::Bytes;
use gundo_kernel::{ChunkFrame, HandoffMessage, HomeMessage, Line, Peer, ToEdge, ToPlayer};
use gundo_types::{Body, ChunkId, EntityId, Term};
use gundo_wire::Message;
use gundo_wire::client;

/// What one node sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// To peers: a publisher's frames of one tick for one subscriber, in one message.
    pub(crate) bundles: u64,
    /// Frames of one chunk in those.
    pub(crate) chunk_frames: u64,
    /// To peers: what was published last, once per second.
    pub(crate) reminders: u64,
    /// To and from homes of chunks: who looks where, who publishes where.
    pub(crate) interest: u64,
    /// To peers: all else.
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

    pub(super) fn count_peer(&mut self, message: &Peer) {
        self.peer_bytes += size_of_peer(message) as u64;
        let counter = match message {
            Peer::Frames { frames, .. } => {
                self.chunk_frames += frames.len() as u64;
                &mut self.bundles
            }
            Peer::Sent { .. } | Peer::Alive { .. } => &mut self.reminders,
            Peer::Home {
                message:
                    HomeMessage::Subscribe(_) | HomeMessage::Publish { .. } | HomeMessage::Subscribers { .. },
                ..
            } => &mut self.interest,
            _ => &mut self.others,
        };
        *counter += 1;
    }

    /// `parts` are laid end to end as one WebSocket message.
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

// Below, sizes as protobuf has them: fields have numbers up to 15, zeros and what is empty are left out.

fn size_of_peer(message: &Peer) -> usize {
    block(match message {
        Peer::Home { epoch, message } => number(epoch.0) + block(size_of_home(message)),
        Peer::Frames { number: count, frames } => {
            number(*count) + frames.iter().map(|frame| block(size_of_frame(frame))).sum::<usize>()
        }
        Peer::Sent { number: count, rosters } => {
            let size = |(at, roster): &(ChunkId, u32)| block(chunk(*at) + number(u64::from(*roster)));
            number(*count) + rosters.iter().map(size).sum::<usize>()
        }
        Peer::Alive { epoch, unreachable, .. } => number(epoch.0) + 1 + unreachable.len(),
        Peer::Stale { epoch } => number(epoch.0),
        Peer::KeyframeWanted(at) => chunk(*at),
        Peer::ToPlayer { player, line, message } => {
            let Line { edge, conn } = line;
            let line = block(number(u64::from(edge.0)) + number(conn.0));
            entity(*player) + line + block(size_of_to_player(message))
        }
        Peer::ToEdge { conn, player, message } => {
            number(conn.0) + entity(*player) + block(size_of_to_edge(message))
        }
        Peer::Handoff { entity: id, term: t, message } => {
            entity(*id) + term(*t) + block(size_of_handoff(message))
        }
        Peer::Transaction { .. } => unreachable!("walkers ask for nothing that others take part in"),
    })
}

fn size_of_home(message: &HomeMessage) -> usize {
    let looks = |list: &[(ChunkId, u8)]| -> usize {
        list.iter().map(|(at, tiers)| block(chunk(*at) + number(u64::from(*tiers)))).sum()
    };
    block(match message {
        HomeMessage::Announce { holds, subscribes, publishes, .. } => {
            let held: usize = holds.iter().map(|(id, t)| block(entity(*id) + term(*t))).sum();
            held + looks(subscribes) + publishes.iter().map(|at| chunk(*at)).sum::<usize>()
        }
        HomeMessage::Locate { entity: id, not } => {
            entity(*id) + not.map_or(0, |(node, t)| number(u64::from(node.0)) + term(t))
        }
        HomeMessage::Located { entity: id, holder, term: t } => {
            entity(*id) + number(u64::from(holder.0)) + term(*t)
        }
        HomeMessage::Granted { entity: id, term: t }
        | HomeMessage::Confirmed { entity: id, term: t }
        | HomeMessage::Released { entity: id, term: t }
        | HomeMessage::ClaimRefused { entity: id, from: t }
        | HomeMessage::Keep { entity: id, term: t } => entity(*id) + term(*t),
        HomeMessage::Disputed { entity: id, term: t, from } => entity(*id) + term(*t) + from.map_or(0, term),
        HomeMessage::Claim { entity: id, from: (node, t) } => {
            entity(*id) + number(u64::from(node.0)) + term(*t)
        }
        HomeMessage::Claimed { entity: id, from, term: t }
        | HomeMessage::Kept { entity: id, from, term: t } => entity(*id) + term(*from) + term(*t),
        HomeMessage::HandedOver { entity: id, from, to } => {
            let to = to.map_or(0, |(node, t)| number(u64::from(node.0)) + term(t));
            entity(*id) + term(*from) + to
        }
        HomeMessage::Subscribe(list) => looks(list),
        HomeMessage::Publish { chunk: at, on } => chunk(*at) + number(u64::from(*on)),
        HomeMessage::Subscribers { chunk: at, list } => {
            let node = |(node, tiers): &(gundo_types::NodeId, u8)| {
                block(number(u64::from(node.0)) + number(u64::from(*tiers)))
            };
            chunk(*at) + list.iter().map(node).sum::<usize>()
        }
    })
}

fn size_of_handoff(message: &HandoffMessage) -> usize {
    let HandoffMessage::Image(image) = message else { return 0 };
    let refusals = image.refusals.iter().map(|(seq, print, refusal)| {
        block(number(*seq) + number(*print) + text(&refusal.code) + text(&refusal.text))
    });
    let numbers = [image.seq, image.snapshot_seq, image.last_at.0, image.last_seq, image.credit_mm];
    let times =
        [image.rested_us, image.placed_us, image.grace_left_ms.unwrap_or(0), image.players_max as u64];
    block(image.snapshot.len())
        + numbers.into_iter().chain(times).map(number).sum::<usize>()
        + image.body.as_ref().map_or(0, body)
        + image.center.map_or(0, chunk)
        + image.line.map_or(0, |line| block(number(u64::from(line.edge.0)) + number(line.conn.0)))
        + refusals.sum::<usize>()
}

fn size_of_frame(frame: &ChunkFrame) -> usize {
    let encoded = frame.roster.iter().chain(frame.motion.iter().flatten());
    chunk(frame.chunk) + number(u64::from(frame.tick)) + encoded.map(|e| block(e.bytes.len())).sum::<usize>()
}

fn size_of_to_player(message: &ToPlayer) -> usize {
    block(match message {
        ToPlayer::Open { key, name } => block(key.secret().len()) + text(name),
        ToPlayer::Resume { adoption, body: at } => number(*adoption) + body(at),
        ToPlayer::Command { seq, payload, .. } => number(*seq) + block(payload.len()),
        ToPlayer::Move { seq, body: at } => number(u64::from(*seq)) + body(at),
        ToPlayer::Gone { leave } => number(u64::from(*leave)),
    })
}

fn size_of_to_edge(message: &ToEdge) -> usize {
    block(match message {
        ToEdge::Opened(opened) => {
            let numbers = number(opened.next_seq) + number(opened.adoption);
            block(opened.token.len())
                + numbers
                + body(&opened.body)
                + chunk(opened.center)
                + block(opened.own.len())
        }
        ToEdge::Resumed(resumed) => body(&resumed.body) + chunk(resumed.center) + block(resumed.own.len()),
        ToEdge::OpenRefused(refusal) | ToEdge::Notice(refusal) | ToEdge::Ended(refusal) => {
            text(&refusal.code) + text(&refusal.text)
        }
        ToEdge::Doubted { seq } => number(*seq),
        ToEdge::MovedTo { holder, term: t } => number(u64::from(holder.0)) + term(*t),
        ToEdge::NotHere | ToEdge::Superseded => 0,
        ToEdge::Reply { seq, result } => {
            let result = result.as_ref();
            number(*seq)
                + result.map_or_else(|r| block(text(&r.code) + text(&r.text)), |reply| block(reply.len()))
        }
        ToEdge::Own(own) => block(own.len()),
        ToEdge::Center(at) => chunk(*at),
        ToEdge::Correction { seq, body: at, code } => number(u64::from(*seq)) + body(at) + text(code),
    })
}

/// A message, or bytes, in a field: with key and length.
fn block(size: usize) -> usize {
    1 + varint(size as u64) + size
}

fn number(n: u64) -> usize {
    if n == 0 { 0 } else { 1 + varint(n) }
}

fn text(text: &str) -> usize {
    if text.is_empty() { 0 } else { block(text.len()) }
}

fn chunk(at: ChunkId) -> usize {
    block(client::Chunk::from(at).encoded_len())
}

fn entity(id: EntityId) -> usize {
    block(client::EntityId::from(id).encoded_len())
}

fn term(term: Term) -> usize {
    number(term.epoch) + number(u64::from(term.count))
}

fn body(body: &Body) -> usize {
    let Body { island, at, heading, speed } = *body;
    let like = client::Move {
        seq: u32::from(island),
        x: at.x,
        y: at.y,
        heading: heading.into(),
        speed: speed.into(),
    };
    block(like.encoded_len())
}

/// Seven bits in a byte.
fn varint(n: u64) -> usize {
    (64 - (n | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_blocks_are_as_long_as_protobuf_makes_them() {
        for n in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            assert_eq!(number(n), client::Ping { stamp: n }.encoded_len(), "{n}");
        }
        for bytes in [1, 127, 128, 70_000] {
            let own = client::Own { payload: vec![7; bytes].into() };
            assert_eq!(block(bytes), own.encoded_len(), "{bytes}");
        }
    }

    #[test]
    fn a_bundle_weighs_its_frames_and_little_more() {
        let bytes = Bytes::from(vec![1; 1_000]);
        let encoded = gundo_kernel::Encoded { frame: std::sync::Arc::default(), bytes };
        let motion = [Some(encoded.clone()), None, Some(encoded.clone())];
        let frame = |x| ChunkFrame {
            chunk: ChunkId { island: 0, x, y: 3 },
            tick: 10_000,
            roster: Some(encoded.clone()),
            motion: motion.clone(),
        };
        let mut traffic = Traffic::default();
        traffic.count_peer(&Peer::Frames { number: 5, frames: vec![frame(1), frame(2)] });
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
