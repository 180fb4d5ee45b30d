//! The motion part of a frame as rows: one for each entity, where protobuf has a column for each number.
//!
//! A node encodes many small frames ten times per second: [`put_motion`] writes one straight into bytes, the same bytes that
//! a [`Frame`] with these columns gives. What clients read is the [`Frame`].

use gundo_types::{Body, CHUNK_MM, ChunkId, MOTION_UNIT_MM, NodeId, Point};

use super::{Frame, motion_units};

/// The highest position in motion units: the far side of a chunk.
const UNITS_MAX: u32 = (CHUNK_MM / MOTION_UNIT_MM) as u32;

/// Where one entity is, in the units of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its short name within (publisher, chunk).
    pub slot: u32,
    /// Motion units from the chunk's corner, east.
    pub x: u16,
    /// Motion units from the chunk's corner, south.
    pub y: u16,
    /// As in [`Body`].
    pub heading: u8,
    /// As in [`Body`].
    pub speed: u8,
}

impl Row {
    /// The row of the entity in `slot` with this body.
    #[inline]
    pub fn new(slot: u32, body: &Body) -> Self {
        let (x, y) = motion_units(body);
        Self { slot, x: x as u16, y: y as u16, heading: body.heading, speed: body.speed }
    }

    /// A row from the wire: values out of range are clamped.
    pub(super) fn cut(slot: u32, [x, y, heading, speed]: [u32; 4]) -> Self {
        let units = |v: u32| v.min(UNITS_MAX) as u16;
        Self { slot, x: units(x), y: units(y), heading: (heading & 127) as u8, speed: (speed & 127) as u8 }
    }

    /// The body, absolute on the island.
    #[inline]
    pub fn body(&self, chunk: ChunkId) -> Body {
        let corner = chunk.corner();
        let from = |base: i32, v: u16| base.saturating_add(i32::from(v) * MOTION_UNIT_MM);
        Body {
            island: chunk.island,
            at: Point::new(from(corner.x, self.x), from(corner.y, self.y)),
            heading: self.heading & 127,
            speed: self.speed & 127,
        }
    }
}

impl Frame {
    /// The motion part as rows, in slot order. Short columns end it early.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let columns = self.x.iter().zip(&self.y).zip(self.heading.iter().zip(&self.speed));
        let mut slot = 0u32;
        self.slot.iter().zip(columns).map(move |(step, ((x, y), (heading, speed)))| {
            slot = slot.wrapping_add(*step);
            Row::cut(slot, [*x, *y, *heading, *speed])
        })
    }
}

/// Appends a `ServerMessage` with one frame, which has these rows as its motion part and no roster part. `rows` are in slot
/// order.
pub fn put_motion(out: &mut Vec<u8>, publisher: NodeId, chunk: ChunkId, tick: u32, rows: &[Row]) {
    let mut head = Head::default();
    head.number(0x08, u32::from(publisher.0));
    head.number(0x10, u32::from(chunk.island));
    head.number(0x18, zigzag(chunk.x));
    head.number(0x20, zigzag(chunk.y));
    head.number(0x28, tick);
    let sizes = column_sizes(rows);
    // Keys take a byte, that of the last column two.
    let keys = if rows.is_empty() { 0 } else { sizes.len() + 1 };
    let columns: usize = sizes.iter().filter(|s| **s != 0).map(|s| size_of(*s) + *s as usize).sum();
    let frame = head.len + keys + columns;
    out.reserve(frame + 6);
    out.push(0x0a);
    put_varint(out, frame as u32);
    out.extend_from_slice(&head.bytes[..head.len]);
    if rows.is_empty() {
        return;
    }
    let mut last = 0;
    out.push(0x62);
    put_column(out, sizes[0], rows, |row| row.slot - std::mem::replace(&mut last, row.slot));
    out.push(0x6a);
    put_column(out, sizes[1], rows, |row| u32::from(row.x));
    out.push(0x72);
    put_column(out, sizes[2], rows, |row| u32::from(row.y));
    out.push(0x7a);
    put_column(out, sizes[3], rows, |row| u32::from(row.heading));
    out.push(0x82);
    out.push(0x01);
    put_column(out, sizes[4], rows, |row| u32::from(row.speed));
}

/// The frame's numbers before its columns.
#[derive(Default)]
struct Head {
    /// Five numbers, each with a key and at most five bytes.
    bytes: [u8; 30],
    len: usize,
}

impl Head {
    #[inline]
    fn number(&mut self, key: u8, mut number: u32) {
        if number == 0 {
            return;
        }
        self.bytes[self.len] = key;
        self.len += 1;
        while number > 0x7f {
            self.bytes[self.len] = number as u8 | 0x80;
            self.len += 1;
            number >>= 7;
        }
        self.bytes[self.len] = number as u8;
        self.len += 1;
    }
}

/// Bytes of each column's numbers: slots, x, y, heading, speed.
fn column_sizes(rows: &[Row]) -> [u32; 5] {
    let small = |n: u32| 1 + u32::from(n > 0x7f);
    let mut last = 0;
    let mut sizes = [0; 5];
    for row in rows {
        debug_assert!(u32::from(row.x).max(u32::from(row.y)) < 1 << 14, "beyond the chunk: {row:?}");
        sizes[0] += size_of(row.slot - last) as u32;
        sizes[1] += small(u32::from(row.x));
        sizes[2] += small(u32::from(row.y));
        sizes[3] += small(u32::from(row.heading));
        sizes[4] += small(u32::from(row.speed));
        last = row.slot;
    }
    sizes
}

#[inline]
fn put_column(out: &mut Vec<u8>, size: u32, rows: &[Row], mut number: impl FnMut(&Row) -> u32) {
    put_varint(out, size);
    for row in rows {
        put_varint(out, number(row));
    }
}

/// Seven bits in a byte, the lowest first.
#[inline]
fn put_varint(out: &mut Vec<u8>, mut number: u32) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
fn size_of(number: u32) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// `sint32` of protobuf: small numbers are short, whatever their sign.
fn zigzag(n: i16) -> u32 {
    let n = i32::from(n);
    ((n << 1) ^ (n >> 31)) as u32
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::ServerMessage;
    use super::*;

    /// The message as protobuf's own code encodes it.
    fn by_columns(publisher: NodeId, chunk: ChunkId, tick: u32, rows: &[Row]) -> Frame {
        let mut frame = Frame {
            publisher: u32::from(publisher.0),
            island: u32::from(chunk.island),
            cx: i32::from(chunk.x),
            cy: i32::from(chunk.y),
            tick,
            ..Frame::default()
        };
        let mut last = 0;
        for row in rows {
            frame.slot.push(row.slot - last);
            frame.x.push(u32::from(row.x));
            frame.y.push(u32::from(row.y));
            frame.heading.push(u32::from(row.heading));
            frame.speed.push(u32::from(row.speed));
            last = row.slot;
        }
        frame
    }

    fn check(publisher: u16, chunk: ChunkId, tick: u32, rows: &[Row]) {
        let frame = by_columns(NodeId(publisher), chunk, tick, rows);
        let mut out = vec![7];
        put_motion(&mut out, NodeId(publisher), chunk, tick, rows);
        let message = ServerMessage { frames: vec![frame], ..ServerMessage::default() };
        assert_eq!(out[1..], message.encode_to_vec(), "{chunk:?} tick {tick} {rows:?}");
        let read: Vec<Row> = message.frames[0].rows().collect();
        let cut = |r: &Row| Row { heading: r.heading & 127, speed: r.speed & 127, ..*r };
        assert_eq!(read, rows.iter().map(cut).collect::<Vec<_>>());
    }

    #[test]
    fn the_bytes_are_protobuf_s_own() {
        let corners = [i16::MIN, -65, -64, -1, 0, 1, 63, 64, i16::MAX];
        for (n, x) in corners.into_iter().enumerate() {
            let chunk = ChunkId { island: n as u16 * 8_000, x, y: corners[corners.len() - 1 - n] };
            check(n as u16 * 8_191, chunk, u32::MAX >> (3 * n), &[]);
        }
        let steps = [0, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, 0xfff_ffff, 0x1000_0000];
        let mut last = 0;
        let rows = steps.map(|step| {
            last += step;
            Row { slot: last, ..Row::default() }
        });
        check(1, ChunkId::default(), 0, &rows);
        let mut chance = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = |n: u64| {
            chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (chance >> 33) % n
        };
        for count in (0..40).chain([127, 128, 333, 5_000]) {
            let mut slot = 0;
            let mut row = || {
                slot += below(3) as u32 + if below(20) == 0 { below(100_000) as u32 } else { 1 };
                Row {
                    slot,
                    x: below(3_000) as u16,
                    y: if below(2) == 0 { below(200) as u16 } else { below(3_001) as u16 },
                    heading: below(256) as u8,
                    speed: below(2) as u8 * below(256) as u8,
                }
            };
            let rows: Vec<Row> = (0..count).map(|_| row()).collect();
            check(3, ChunkId { island: 0, x: -2, y: 5 }, 10_000, &rows);
        }
    }

    #[test]
    fn numbers_out_of_range_are_cut() {
        let frame = Frame {
            slot: vec![u32::MAX, 3],
            x: vec![3_001, 5],
            y: vec![u32::MAX, 6],
            heading: vec![128, 129],
            speed: vec![300, 7],
            ..Frame::default()
        };
        let rows: Vec<Row> = frame.rows().collect();
        assert_eq!(rows[0], Row { slot: u32::MAX, x: 3_000, y: 3_000, heading: 0, speed: 44 });
        assert_eq!(rows[1], Row { slot: 2, x: 5, y: 6, heading: 1, speed: 7 });
    }
}
