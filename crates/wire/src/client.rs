//! The client protocol: generated messages, and their bridge to the house's own types.

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/gundo.client.v1.rs"));
}

pub use generated::*;
use gundo_types::{Body, CHUNK_MM, ChunkId, MOTION_UNIT_MM, Point};

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
    /// The chunk the frame speaks of, or `None` if a coordinate is out of range.
    pub fn chunk(&self) -> Option<ChunkId> {
        chunk(self.island, self.cx, self.cy)
    }

    /// The motion part as (slot, body), in slot order. Short columns end it early.
    pub fn motion(&self) -> impl Iterator<Item = (u32, Body)> + '_ {
        let corner = self.chunk().unwrap_or_default();
        let columns = self.x.iter().zip(&self.y).zip(self.heading.iter().zip(&self.speed));
        let mut slot = 0u32;
        self.slot.iter().zip(columns).map(move |(step, ((x, y), (heading, speed)))| {
            slot = slot.wrapping_add(*step);
            (slot, body_in(corner, *x, *y, *heading, *speed))
        })
    }
}

impl Enter {
    /// The body, absolute on the island; `None` for entities without one.
    pub fn body(&self, chunk: ChunkId) -> Option<Body> {
        self.has_body.then(|| body_in(chunk, self.x, self.y, self.heading, self.speed))
    }
}

fn chunk(island: u32, x: i32, y: i32) -> Option<ChunkId> {
    Some(ChunkId { island: island.try_into().ok()?, x: x.try_into().ok()?, y: y.try_into().ok()? })
}

fn body_in(chunk: ChunkId, x: u32, y: u32, heading: u32, speed: u32) -> Body {
    let corner = chunk.corner();
    let from = |base: i32, v: u32| base.saturating_add((v.min(3_000) as i32) * MOTION_UNIT_MM);
    Body {
        island: chunk.island,
        at: Point::new(from(corner.x, x), from(corner.y, y)),
        heading: (heading & 127) as u8,
        speed: (speed & 127) as u8,
    }
}

/// Position of `body` in motion units from the corner of its own chunk.
pub fn motion_units(body: &Body) -> (u32, u32) {
    let cut = |v: i32| (v.rem_euclid(CHUNK_MM) / MOTION_UNIT_MM) as u32;
    (cut(body.at.x), cut(body.at.y))
}

#[cfg(test)]
mod tests {
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
