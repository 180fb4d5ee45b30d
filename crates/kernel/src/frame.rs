//! Frames between nodes: a publisher encodes its news of a chunk once per tick, and all receivers share the bytes.
//!
//! A subscriber's [`ChunkFrame`] is a reference and the tiers it wants. The bytes of many frames lie in one block of memory.

use std::ops::Deref;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gundo_types::{Body, ChunkId, EntityId, NodeId, Term};
use gundo_wire::Message;
use gundo_wire::client::{Enter, Frame, Row, ServerMessage, motion_units, put_motion};

/// Size of a block that frames share. A frame that waits in a client's send queue keeps its block alive, so blocks are small;
/// more than about fifty frames in one block gain nothing.
const BLOCK_BYTES: usize = 2_048;

/// The tiers of a set (bits), nearest first.
pub(crate) fn tiers_in(set: u8) -> impl Iterator<Item = usize> {
    (0..3).filter(move |tier| set >> tier & 1 == 1)
}

/// One publisher's news of one chunk in one tick, for one subscriber.
#[derive(Clone, Debug)]
pub struct ChunkFrame {
    news: Arc<News>,
    /// Tiers (bits) whose motion the subscriber gets.
    tiers: u8,
}

/// A publisher's news of one chunk in one tick: the same for all its subscribers.
#[derive(Debug)]
pub struct News {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its tick.
    pub tick: u32,
    /// The roster part, for every tier.
    pub roster: Option<Encoded>,
    /// The motion part of each tier that is due and subscribed.
    motion: [Option<Motion>; 3],
}

/// A frame and its bytes: a `ServerMessage` with just this frame.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Decoded.
    pub frame: Arc<Frame>,
    /// Encoded, as clients get it.
    pub bytes: Bytes,
}

/// The motion part of a frame, and the bytes of a `ServerMessage` with just that.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Decoded, in slot order.
    pub rows: Arc<[Row]>,
    /// Encoded, as clients get it.
    pub bytes: Bytes,
}

impl ChunkFrame {
    /// A frame with these parts, of which the subscriber gets all.
    pub fn new(chunk: ChunkId, tick: u32, roster: Option<Encoded>, motion: [Option<Motion>; 3]) -> Self {
        let news = News { chunk, tick, roster, motion };
        let tiers = news.tiers();
        Self { news: Arc::new(news), tiers }
    }

    /// The same frame for a subscriber that wants these tiers (bits). `None`: it has nothing for such a subscriber.
    pub(crate) fn for_tiers(&self, tiers: u8) -> Option<Self> {
        let tiers = self.tiers & tiers;
        (tiers != 0 || self.roster.is_some()).then(|| Self { news: Arc::clone(&self.news), tiers })
    }

    /// Tiers (bits) that it has a motion part of.
    pub(crate) fn tiers(&self) -> u8 {
        self.tiers
    }

    /// Its motion parts: tier and part, nearest first.
    pub fn motion(&self) -> impl Iterator<Item = (usize, &Motion)> {
        self.motion_in(self.tiers)
    }

    /// Its motion parts of these tiers (bits): tier and part, nearest first.
    #[inline]
    pub(crate) fn motion_in(&self, tiers: u8) -> impl Iterator<Item = (usize, &Motion)> {
        tiers_in(self.tiers & tiers).filter_map(|tier| Some((tier, self.news.motion[tier].as_ref()?)))
    }
}

impl Deref for ChunkFrame {
    type Target = News;

    #[inline]
    fn deref(&self) -> &News {
        &self.news
    }
}

impl News {
    fn tiers(&self) -> u8 {
        self.motion.iter().enumerate().fold(0, |tiers, (t, part)| tiers | u8::from(part.is_some()) << t)
    }
}

impl Motion {
    /// A motion part as it came over a link: `bytes` contain just this frame.
    pub fn new(frame: &Frame, bytes: Bytes) -> Self {
        Self { rows: frame.rows().collect(), bytes }
    }
}

/// Encodes frames, into blocks that they share.
#[derive(Default)]
pub(crate) struct Pen {
    block: BytesMut,
    scratch: Vec<u8>,
}

impl Pen {
    /// A frame with a roster part, encoded as a message of its own: messages laid end to end are one message with all their
    /// frames.
    pub(crate) fn roster(&mut self, frame: Frame) -> Encoded {
        let mut message = ServerMessage { frames: vec![frame], ..Default::default() };
        self.scratch.clear();
        message.encode(&mut self.scratch).expect("a vector takes everything");
        let frame = message.frames.pop().expect("one frame was put in");
        Encoded { frame: Arc::new(frame), bytes: self.split() }
    }

    /// A frame with a motion part.
    pub(crate) fn motion(&mut self, publisher: NodeId, chunk: ChunkId, tick: u32, rows: &[Row]) -> Motion {
        self.scratch.clear();
        put_motion(&mut self.scratch, publisher, chunk, tick, rows);
        Motion { rows: rows.into(), bytes: self.split() }
    }

    fn split(&mut self) -> Bytes {
        let bytes = &self.scratch;
        if self.block.capacity() < bytes.len() {
            self.block = BytesMut::with_capacity(bytes.len().max(BLOCK_BYTES));
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }
}

/// A frame without parts.
pub(crate) fn blank_frame(publisher: NodeId, chunk: ChunkId, tick: u32) -> Frame {
    Frame {
        publisher: u32::from(publisher.0),
        island: u32::from(chunk.island),
        cx: i32::from(chunk.x),
        cy: i32::from(chunk.y),
        tick,
        ..Default::default()
    }
}

/// A roster entry.
pub(crate) fn enter(slot: u32, entity: EntityId, term: Term, public: Bytes, body: Option<Body>) -> Enter {
    let (x, y) = body.as_ref().map_or((0, 0), motion_units);
    Enter {
        slot,
        kind: u32::from(entity.kind.0),
        id: entity.id,
        epoch: term.epoch,
        count: term.count,
        public,
        has_body: body.is_some(),
        x,
        y,
        heading: body.map_or(0, |b| u32::from(b.heading)),
        speed: body.map_or(0, |b| u32::from(b.speed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: ChunkId = ChunkId { island: 1, x: -3, y: 4 };

    fn decoded(bytes: &Bytes) -> Frame {
        let message = ServerMessage::decode(bytes.as_ref()).expect("a message");
        assert_eq!(message.frames.len(), 1);
        message.frames.into_iter().next().expect("just counted")
    }

    #[test]
    fn bytes_hold_what_is_beside_them() {
        let mut pen = Pen::default();
        let row = |slot| Row { slot, x: 2_000, y: 3, heading: 100, speed: 20 };
        let mut made = Vec::new();
        // Small ones share blocks, a large one has its own.
        for count in [1, 2, 3, 1_000, 1, 40, 60, 80, 100, 1] {
            let rows: Vec<Row> = (0..count).map(row).collect();
            made.push((rows.clone(), pen.motion(NodeId(7), CHUNK, 99, &rows)));
            let roster = pen.roster(Frame { roster: count, ..blank_frame(NodeId(7), CHUNK, 99) });
            assert_eq!(decoded(&roster.bytes), *roster.frame);
        }
        for (rows, motion) in made {
            let frame = decoded(&motion.bytes);
            assert_eq!((frame.publisher, frame.chunk(), frame.tick), (7, Some(CHUNK), 99));
            assert_eq!((frame.rows().collect::<Vec<_>>(), &rows[..]), (rows.clone(), &*motion.rows));
            assert_eq!(Motion::new(&frame, motion.bytes).rows, motion.rows);
        }
    }

    #[test]
    fn a_subscriber_gets_the_tiers_it_wants() {
        let mut pen = Pen::default();
        let motion = pen.motion(NodeId(7), CHUNK, 99, &[]);
        let roster = pen.roster(blank_frame(NodeId(7), CHUNK, 99));
        let tiers = |frame: &ChunkFrame| frame.motion().map(|(tier, _)| tier).collect::<Vec<_>>();
        let frame = ChunkFrame::new(CHUNK, 99, None, [Some(motion.clone()), None, Some(motion.clone())]);
        assert_eq!((frame.chunk, frame.tick, tiers(&frame)), (CHUNK, 99, vec![0, 2]));
        assert_eq!(frame.for_tiers(0b110).as_ref().map(tiers), Some(vec![2]));
        assert!(frame.for_tiers(0b010).is_none(), "there is nothing for it");
        let frame = ChunkFrame::new(CHUNK, 99, Some(roster), [Some(motion), None, None]);
        assert_eq!(frame.for_tiers(0).as_ref().map(tiers), Some(vec![]), "the roster is for all");
    }
}
