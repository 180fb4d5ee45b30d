//! Frames: they travel as the bytes that clients get, unchanged.

use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{CHUNK_MM, ChunkId, HEADINGS, MOTION_UNIT_MM};
use gundo_wire::Message;
use gundo_wire::client::{Frame, ServerMessage};
use gundo_wire::peer::{self as wire, MESSAGE_BYTES_MAX, Malformed, needed, node};

use super::is;
use crate::frame::{ChunkFrame, Encoded, Motion};

/// Bytes of a bundle, unless one frame alone is larger: a quarter of a message's limit, so that later messages do not wait
/// long.
const BUNDLE_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 4;
/// Bytes of a chunk frame beside its parts, at most.
const HEAD_BYTES_MAX: usize = 64;

/// Cuts the frames of a tick into bundles of bounded size, in their order: of so many bytes, and never more than a quarter of a
/// message's limit.
pub(crate) fn bundles(frames: Vec<ChunkFrame>, bytes_max: usize) -> Vec<Vec<ChunkFrame>> {
    let bytes_max = bytes_max.min(BUNDLE_BYTES_MAX);
    let (mut bundles, mut bundle, mut bytes) = (Vec::new(), Vec::new(), 0);
    for frame in frames {
        let roster = frame.roster.as_ref().map_or(0, |part| part.bytes.len());
        let motion: usize = frame.motion().map(|(_, part)| part.bytes.len()).sum();
        let more = roster + motion + HEAD_BYTES_MAX;
        if bytes + more > bytes_max && !bundle.is_empty() {
            bundles.push(std::mem::take(&mut bundle));
            bytes = 0;
        }
        bundle.push(frame);
        bytes += more;
    }
    bundles.push(bundle);
    bundles
}

impl From<&ChunkFrame> for wire::ChunkFrame {
    fn from(frame: &ChunkFrame) -> Self {
        let roster = frame.roster.as_ref().map(|part| part.bytes.clone()).unwrap_or_default();
        let mut motion = [Bytes::new(), Bytes::new(), Bytes::new()];
        for (tier, part) in frame.motion() {
            motion[tier] = part.bytes.clone();
        }
        let [near, middle, far] = motion;
        Self { chunk: is(frame.chunk), roster, near, middle, far }
    }
}

impl TryFrom<wire::ChunkFrame> for ChunkFrame {
    type Error = Malformed;

    fn try_from(said: wire::ChunkFrame) -> Result<Self, Malformed> {
        let chunk = needed(said.chunk, "a chunk")?;
        let roster = read(said.roster, chunk)?;
        let motion = [read(said.near, chunk)?, read(said.middle, chunk)?, read(said.far, chunk)?];
        let mut ticks = roster.iter().chain(motion.iter().flatten()).map(|part| part.frame.tick);
        let tick = ticks.next().ok_or(Malformed::Missing("a frame"))?;
        if ticks.any(|other| other != tick) {
            return Err(Malformed::OutOfRange("a frame's tick"));
        }
        // Clients trust everything a server sends, and this node would pass on a roster in a motion part unseen.
        if motion.iter().flatten().any(|part| has_roster(&part.frame)) {
            return Err(Malformed::OutOfRange("a roster in a motion part"));
        }
        let motion = motion.map(|part| part.map(|part| Motion::new(&part.frame, part.bytes)));
        Ok(Self::new(chunk, tick, roster, motion))
    }
}

/// Whether a frame has roster entries or signals.
fn has_roster(frame: &Frame) -> bool {
    let empty = frame.enter.is_empty() && frame.change.is_empty() && frame.leave.is_empty();
    frame.keyframe || !empty || !frame.signal.is_empty()
}

/// One part: nothing, or one frame of `chunk`.
fn read(bytes: Bytes, chunk: ChunkId) -> Result<Option<Encoded>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    // The bytes go to clients as they are. The decoded frame is a copy: a picture that keeps an entity's look must not keep the
    // whole bundle alive.
    let mut message = ServerMessage::decode(&bytes[..])?;
    let frame = message.frames.pop().ok_or(Malformed::Missing("a frame"))?;
    // Clients trust everything a server sends.
    if message != ServerMessage::default() {
        return Err(Malformed::OutOfRange("what is said beside a frame"));
    }
    check(&frame, chunk)?;
    Ok(Some(Encoded { frame: Arc::new(frame), bytes }))
}

/// Checks that every number of a frame is in range.
fn check(frame: &Frame, chunk: ChunkId) -> Result<(), Malformed> {
    let in_range = |fits: bool, what| if fits { Ok(()) } else { Err(Malformed::OutOfRange(what)) };
    in_range(frame.chunk() == Some(chunk), "a frame's chunk")?;
    node(frame.publisher)?;
    for enter in &frame.enter {
        in_range((1..=u32::from(u16::MAX)).contains(&enter.kind), "a kind")?;
        check_body(enter.x, enter.y, enter.heading, enter.speed)?;
    }
    for leave in frame.leave.iter().filter_map(|leave| leave.to.as_ref()) {
        in_range(leave.id().is_some(), "a chunk")?;
    }
    let columns = [&frame.x, &frame.y, &frame.heading, &frame.speed];
    in_range(columns.iter().all(|column| column.len() == frame.slot.len()), "a column's length")?;
    let last_slot = frame.slot.iter().try_fold(0, |slot: u32, step| slot.checked_add(*step));
    in_range(last_slot.is_some(), "a slot")?;
    let motion = frame.x.iter().zip(&frame.y).zip(frame.heading.iter().zip(&frame.speed));
    motion.into_iter().try_for_each(|((x, y), (heading, speed))| check_body(*x, *y, *heading, *speed))
}

/// Checks that a body is within its chunk.
fn check_body(x: u32, y: u32, heading: u32, speed: u32) -> Result<(), Malformed> {
    const UNITS: u32 = (CHUNK_MM / MOTION_UNIT_MM) as u32;
    let fits = x < UNITS && y < UNITS && heading < u32::from(HEADINGS) && speed < 128;
    if fits { Ok(()) } else { Err(Malformed::OutOfRange("a body in a frame")) }
}

#[cfg(test)]
mod tests {
    use gundo_wire::client::{Chunk, Closing, Enter, Leave};

    use super::*;
    use crate::{Label, Peer};

    fn chunk_frame(x: i16, bytes: usize) -> ChunkFrame {
        let frame = Arc::new(Frame::default());
        let part = Some(Encoded { frame, bytes: vec![7; bytes].into() });
        let chunk = ChunkId { island: 0, x, y: 0 };
        ChunkFrame::new(chunk, 1, part, Default::default())
    }

    #[test]
    fn bundles_are_bounded_and_keep_their_order() {
        let few = bundles(vec![chunk_frame(1, 100), chunk_frame(2, 100)], usize::MAX);
        assert_eq!(few.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
        let frames: Vec<_> = (0..50).map(|x| chunk_frame(x, 20_000)).collect();
        let many = bundles(frames, usize::MAX);
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [13, 13, 13, 11]);
        assert!(many.concat().iter().map(|frame| frame.chunk.x).eq(0..50));
        let most = u64::MAX;
        let full = Label { from: most, to: most, resets: u32::MAX, number: 0, after: most, received: most };
        for frames in many {
            let bytes = Peer::Frames { number: u64::MAX, frames }.encode(&full).expect("a bundle");
            assert!(bytes.len() < BUNDLE_BYTES_MAX + HEAD_BYTES_MAX, "{}", bytes.len());
        }
    }

    #[test]
    fn a_frame_that_is_larger_goes_alone() {
        let sizes = [100, BUNDLE_BYTES_MAX, 100];
        let three =
            bundles(sizes.into_iter().zip(0..).map(|(bytes, x)| chunk_frame(x, bytes)).collect(), usize::MAX);
        assert_eq!(three.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        // A frame beyond the limit of a message cannot be sent at all.
        let frames = vec![chunk_frame(0, MESSAGE_BYTES_MAX)];
        let error = Peer::Frames { number: 1, frames }.encode(&Label::default()).expect_err("too large");
        assert_eq!((error.name, error.bytes_max), ("Frames", MESSAGE_BYTES_MAX));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let chunk = ChunkId { island: 1, x: -2, y: 3 };
        let frame = Frame { publisher: 2, island: 1, cx: -2, cy: 3, tick: 7, ..Default::default() };
        let sent = |frame: &Frame| {
            let message = ServerMessage { frames: vec![frame.clone()], ..Default::default() };
            read(message.encode_to_vec().into(), chunk).map(|part| part.map(|part| (*part.frame).clone()))
        };
        let out = |what| Err(Malformed::OutOfRange(what));
        assert_eq!(sent(&frame), Ok(Some(frame.clone())));
        assert_eq!(sent(&Frame { cx: -1, ..frame.clone() }), out("a frame's chunk"));
        assert_eq!(sent(&Frame { publisher: 1 << 16, ..frame.clone() }), out("a node"));
        let column = vec![0];
        let motion = Frame {
            slot: vec![5],
            x: column.clone(),
            y: column.clone(),
            heading: column.clone(),
            speed: column.clone(),
            ..frame.clone()
        };
        assert_eq!(sent(&motion), Ok(Some(motion.clone())));
        assert_eq!(sent(&Frame { speed: vec![], ..motion.clone() }), out("a column's length"));
        assert_eq!(sent(&Frame { x: vec![3_000], ..motion.clone() }), out("a body in a frame"));
        assert_eq!(sent(&Frame { heading: vec![128], ..motion.clone() }), out("a body in a frame"));
        let enter = Enter { slot: 1, kind: 1 << 16, ..Default::default() };
        assert_eq!(sent(&Frame { enter: vec![enter], ..frame.clone() }), out("a kind"));
        let to = Some(Chunk { island: 1 << 16, x: 0, y: 0 });
        assert_eq!(sent(&Frame { leave: vec![Leave { slot: 1, to }], ..frame.clone() }), out("a chunk"));
        let two = ServerMessage { frames: vec![frame.clone(), frame.clone()], ..Default::default() };
        let closing =
            ServerMessage { frames: vec![frame], closing: Some(Closing::default()), ..Default::default() };
        for more in [two, closing] {
            let error = read(more.encode_to_vec().into(), chunk).expect_err("more than a frame");
            assert_eq!(error, Malformed::OutOfRange("what is said beside a frame"));
        }
    }
}
