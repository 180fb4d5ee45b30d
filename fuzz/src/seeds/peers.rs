//! Messages between nodes: the golden messages of `wire`, and the same messages about the world of the target.

use std::path::Path;

use bytes::Bytes;
use gundo_types::ChunkId;
use gundo_wire::Message;
use gundo_wire::client::ServerMessage;
use gundo_wire::peer::peer_message::Arrow;
use gundo_wire::peer::{self, Alive, EntityId, PeerMessage, home, transaction};
use pioneer::schema::{Item, LandReply, Stack};

use super::Seeds;
use crate::mutate::join;
use crate::peers::{Known, THEN_COMMAND};

/// The player of the golden messages.
const PLAYER: [u8; 8] = 0x0123_4567_89ab_cdef_u64.to_le_bytes();

/// Every message, and its other form if it has two.
pub fn peer_messages() -> Seeds {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wire/tests/golden/peer");
    let read = |name: &'static str| {
        let path = golden.join(format!("{name}.bin"));
        (name, std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    let names = peer::ARROWS.iter().map(|about| about.name);
    names
        .chain(["Open.nonce", "Reply.refusal", "Watched.unseen", "Heard.after", "Heard.numbered"])
        .map(read)
        .collect()
}

/// The same messages about Ada and her chunk, after a command of hers: each alone, and all in a row.
pub fn peer_acts() -> Seeds {
    let known = crate::peers::known();
    let beat = Arrow::Alive(Alive { renews: true, ..Default::default() });
    let beat = PeerMessage { incarnation: 2, epoch: 1, arrow: Some(beat), ..Default::default() };
    let command = [vec![THEN_COMMAND], beat.encode_to_vec()].concat();
    let act = |bytes: Vec<u8>| [vec![0], about(known, &bytes).encode_to_vec()].concat();
    let acts: Vec<_> = peer_messages().into_iter().map(|(name, bytes)| (name, act(bytes))).collect();
    let all: Vec<_> = std::iter::once(&command).chain(acts.iter().map(|(_, act)| act)).cloned().collect();
    let alone = acts.into_iter().map(|(name, act)| (name, join(&[command.clone(), act])));
    alone.chain([("everything", join(&all))]).collect()
}

/// A golden message with Ada as its player, about the chunk she is in. A transaction is that of her command.
fn about(known: Known, golden: &[u8]) -> PeerMessage {
    let mut bytes = golden.to_vec();
    for at in 0..bytes.len().saturating_sub(7) {
        if bytes[at..at + 8] == PLAYER {
            bytes[at..at + 8].copy_from_slice(&known.player.id.to_le_bytes());
        }
    }
    let mut message = PeerMessage::decode(bytes.as_slice()).expect("a golden message");
    let here = known.here;
    let chunk = Some(here.into());
    match message.arrow.as_mut().expect("an arrow of ours") {
        Arrow::Frames(said) => said.frames.iter_mut().for_each(|frame| {
            frame.chunk = chunk;
            for part in [&mut frame.roster, &mut frame.near, &mut frame.middle, &mut frame.far] {
                *part = frame_at(here, part);
            }
        }),
        Arrow::Sent(said) => said.rosters.iter_mut().for_each(|last| last.chunk = chunk),
        Arrow::KeyframeWanted(said) => said.chunk = chunk,
        Arrow::Home(said) => match &mut said.arrow {
            Some(home::Arrow::Subscribe(said)) => said.looks.iter_mut().for_each(|look| look.chunk = chunk),
            Some(home::Arrow::Publish(said)) => said.chunk = chunk,
            Some(home::Arrow::Subscribers(said)) => said.chunk = chunk,
            Some(home::Arrow::Watch(said)) => said.entity = Some(known.near_land.into()),
            Some(home::Arrow::Watched(said)) => said.entity = Some(known.far_land.into()),
            _ => {}
        },
        // The other node speaks for its own connections only.
        Arrow::ToPlayer(said) => said.line.iter_mut().for_each(|line| line.edge = 2),
        Arrow::Transaction(said) => {
            // Requests to the other node, and to this one.
            let answers = matches!(
                said.arrow,
                Some(
                    transaction::Arrow::Prepared(_)
                        | transaction::Arrow::PrepareRefused(_)
                        | transaction::Arrow::Busy(_)
                        | transaction::Arrow::Concluded(_)
                )
            );
            let land: EntityId = if answers { known.far_land } else { known.near_land }.into();
            said.entity = Some(land);
            if answers {
                said.tx = Some(peer::TxId { node: 1, count: 1, incarnation: 1 });
            }
            if let Some(transaction::Arrow::Prepared(prepared)) = &mut said.arrow
                && let Some(stream) = &mut prepared.stream
            {
                (stream.entity, stream.after, prepared.incarnation) = (Some(land), 0, 2);
                let gained = Some(Stack { item: Item::Wood.into(), count: 1, ..Stack::default() });
                prepared.reply = LandReply { gained, ..Default::default() }.encode_to_vec().into();
                prepared.names.clear();
            }
        }
        _ => {}
    }
    message
}

fn frame_at(chunk: ChunkId, part: &[u8]) -> Bytes {
    let mut message = ServerMessage::decode(part).expect("a golden frame");
    for frame in &mut message.frames {
        (frame.cx, frame.cy) = (chunk.x.into(), chunk.y.into());
    }
    message.encode_to_vec().into()
}
