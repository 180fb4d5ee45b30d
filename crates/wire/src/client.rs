//! The client protocol: generated messages, and conversions from and to our own types.

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!("generated/client.rs");
}

mod motion;

pub use generated::*;
use gundo_types::{Body, CHUNK_MM, ChunkId, MOTION_UNIT_MM};
pub use motion::{Row, put_motion};

/// The version a client names in its Hello.
pub const PROTOCOL: u32 = 1;

impl From<gundo_types::EntityId> for EntityId {
    fn from(e: gundo_types::EntityId) -> Self {
        Self { kind: u32::from(e.kind.0), id: e.id }
    }
}

impl From<ChunkId> for Chunk {
    fn from(c: ChunkId) -> Self {
        Self { island: u32::from(c.island), x: i32::from(c.x), y: i32::from(c.y) }
    }
}

impl Chunk {
    /// The chunk, or `None` if a coordinate is out of range.
    pub fn id(&self) -> Option<ChunkId> {
        chunk(self.island, self.x, self.y)
    }
}

impl Frame {
    /// The chunk that the frame is about, or `None` if a coordinate is out of range.
    pub fn chunk(&self) -> Option<ChunkId> {
        chunk(self.island, self.cx, self.cy)
    }

    /// The motion part as (slot, body), in slot order. Short columns end it early.
    pub fn motion(&self) -> impl Iterator<Item = (u32, Body)> + '_ {
        let chunk = self.chunk().unwrap_or_default();
        self.rows().map(move |row| (row.slot, row.body(chunk)))
    }
}

impl Enter {
    /// The body, absolute on the island; `None` for entities without one.
    pub fn body(&self, chunk: ChunkId) -> Option<Body> {
        let numbers = [self.x, self.y, self.heading, self.speed];
        self.has_body.then(|| Row::cut(self.slot, numbers).body(chunk))
    }
}

fn chunk(island: u32, x: i32, y: i32) -> Option<ChunkId> {
    Some(ChunkId { island: island.try_into().ok()?, x: x.try_into().ok()?, y: y.try_into().ok()? })
}

/// Position of `body` in motion units from the corner of its own chunk.
pub fn motion_units(body: &Body) -> (u32, u32) {
    let cut = |v: i32| (v.rem_euclid(CHUNK_MM) / MOTION_UNIT_MM) as u32;
    (cut(body.at.x), cut(body.at.y))
}

#[cfg(test)]
mod tests {
    use gundo_types::Point;

    use super::*;

    #[test]
    fn positions_survive_the_wire_rounded() {
        let body = Body { island: 2, at: Point::new(-45_123, 61_999), heading: 127, speed: 40 };
        let (x, y) = motion_units(&body);
        let chunk = body.chunk();
        let frame = Frame {
            island: 2,
            cx: i32::from(chunk.x),
            cy: i32::from(chunk.y),
            slot: vec![9],
            x: vec![x],
            y: vec![y],
            heading: vec![127],
            speed: vec![40],
            ..Default::default()
        };
        assert_eq!(frame.motion().collect::<Vec<_>>(), [(9, body.rounded())]);
    }
}
