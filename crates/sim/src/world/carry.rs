//! Turns everything in flight into bytes, if the plan says so: encoded where it is sent, decoded where it arrives. So the
//! run loses whatever a codec loses.
//!
//! Messages from nodes to clients are bytes in every run.

use bytes::Bytes;
use gundo_kernel::{HandoffMessage, Label, Peer, TxMessage};
use gundo_wire::client::ClientMessage;
use gundo_wire::journal::{Answer, Batch, Place, Session, Snapshot, SnapshotParts};
use gundo_wire::{DecodeError, Kept, Message};

use super::versions::with_later_fields;
use super::{Key, World};
use crate::judge::{Guarantee, violated};
use crate::plan::Dial;

/// Of so many bundles of frames one travels as bytes: they are alike, and most of what nodes say to each other.
const FRAMES_OFTEN: u64 = 4;
/// Bytes of a piece of a message beside its contents, at most.
const HEAD_BYTES_MAX: usize = 128;

impl World {
    fn as_bytes(&self) -> bool {
        self.plan.dials.contains_key(&Dial::Bytes)
    }

    /// A message of a node, and its label, as they arrive at another.
    pub(super) fn carry_peer(&mut self, from: Key, label: Label, mut message: Peer) -> Option<(Label, Peer)> {
        let is_one_of_many =
            matches!(message, Peer::Frames { .. }) && !self.counts.peer_messages.is_multiple_of(FRAMES_OFTEN);
        if !self.as_bytes() || is_one_of_many {
            return Some((label, message));
        }
        if let Some(snapshot) = snapshot_in(&mut message) {
            *snapshot = self.carry_snapshot(snapshot);
        }
        let newer = self.nodes.get(&from).is_some_and(|node| node.newer);
        let bytes = match message.encode(&label) {
            Ok(bytes) if newer => with_later_fields(bytes, self.counts.peer_messages),
            Ok(bytes) => bytes,
            Err(error) => {
                self.rule(violated(Guarantee::G12, format!("n{} cannot send: {error}", from.node)));
                return None;
            }
        };
        let most = self.plan.world.piece_bytes_max + HEAD_BYTES_MAX;
        if message.must_arrive() && bytes.len() > most {
            let text =
                format!("n{} sends a message of {} bytes, {most} is the limit", from.node, bytes.len());
            self.rule(violated(Guarantee::G12, text));
        }
        match Peer::decode(bytes) {
            Ok((carried, message)) if carried == label => Some((label, message)),
            other => {
                let text = format!("n{} sent a message that arrives as {other:?}", from.node);
                self.rule(violated(Guarantee::G9, text));
                None
            }
        }
    }

    /// A client's message as it arrives at an edge.
    pub(super) fn carry_client(&mut self, message: ClientMessage) -> ClientMessage {
        if !self.as_bytes() {
            return message;
        }
        let mut bytes = Bytes::from(message.encode_to_vec());
        // Some clients are newer too.
        if self.plan.dials.contains_key(&Dial::Mixed) {
            bytes = with_later_fields(bytes, self.counts.inputs);
        }
        ClientMessage::decode(bytes).unwrap_or_else(|error| {
            self.rule(violated(Guarantee::G9, format!("a client's message does not arrive: {error}")));
            ClientMessage::default()
        })
    }

    /// A batch as it arrives at the journal.
    pub(super) fn carry_batch(&mut self, mut batch: Batch) -> Batch {
        if !self.as_bytes() {
            return batch;
        }
        for snapshot in batch.streams.iter_mut().filter_map(|stream| stream.snapshot.as_mut()) {
            *snapshot = self.carry_snapshot(snapshot);
        }
        let carried = batch.encode().map_err(Into::into).and_then(Batch::decode);
        carried.unwrap_or_else(|error| {
            let text = format!("append {} of {} does not arrive: {error}", batch.id, batch.node);
            self.rule(violated(Guarantee::G9, text));
            batch
        })
    }

    /// A snapshot after somebody has read it and written it back.
    fn carry_snapshot(&mut self, bytes: &Bytes) -> Bytes {
        read_and_write(bytes).unwrap_or_else(|error| {
            self.rule(violated(Guarantee::G9, format!("what is sent as a snapshot is none: {error}")));
            bytes.clone()
        })
    }
}

fn snapshot_in(message: &mut Peer) -> Option<&mut Bytes> {
    match message {
        Peer::Handoff { message: HandoffMessage::Image(image), .. } => Some(&mut image.snapshot),
        Peer::Transaction { message: TxMessage::Prepared(prepared), .. } => prepared.stream.snapshot.as_mut(),
        _ => None,
    }
}

/// Decodes and encodes a snapshot: unknown fields must be kept unchanged.
fn read_and_write(bytes: &Bytes) -> Result<Bytes, DecodeError> {
    Snapshot::decode(bytes.clone())?;
    let read = Kept::<SnapshotParts>::decode(bytes.clone())?;
    let SnapshotParts { answers, session, place, .. } = read.known.clone();
    let answers = answers.into_iter().map(again::<Answer>).collect::<Result<_, _>>()?;
    let (session, place) = (session.map(again::<Session>), place.map(again::<Place>));
    let (session, place) = (session.transpose()?, place.transpose()?);
    let parts = SnapshotParts { answers, session, place, ..read.known.clone() };
    Ok(read.with(parts).encode())
}

fn again<M: Message + Default>(bytes: Bytes) -> Result<Bytes, DecodeError> {
    Ok(Kept::<M>::decode(bytes)?.encode())
}
