//! Space: fixed-point millimetres on an island's plane, cut into square chunks of 30 m.

/// Side of a chunk in millimetres.
pub const CHUNK_MM: i32 = 30_000;
/// Positions on the wire are rounded down to this many millimetres, counted from the chunk's corner.
pub const MOTION_UNIT_MM: i32 = 10;
/// Headings in a full turn: 0 looks along +x, and they grow towards +y.
pub const HEADINGS: u8 = 128;

/// A point on an island's plane, in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Point {
    /// East, mm.
    pub x: i32,
    /// South, mm (the canvas convention: y grows downwards).
    pub y: i32,
}

impl Point {
    /// The point (`x`, `y`), both in millimetres.
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }

    /// Square of the distance to `other`, in mm².
    pub fn distance_squared(self, other: Point) -> u64 {
        let dx = i64::from(self.x) - i64::from(other.x);
        let dy = i64::from(self.y) - i64::from(other.y);
        // Each term is at most 2^64 - 2^33 + 1; saturate rather than wrap at the far corners.
        dx.unsigned_abs().pow(2).saturating_add(dy.unsigned_abs().pow(2))
    }

    /// Distance to `other` in mm, rounded down.
    pub fn distance(self, other: Point) -> u64 {
        self.distance_squared(other).isqrt()
    }

    /// Whether `other` is at most `radius_mm` away.
    pub fn within(self, other: Point, radius_mm: u32) -> bool {
        self.distance_squared(other) <= u64::from(radius_mm).pow(2)
    }
}

/// Where an entity is and how it moves. Volatile: it is not part of the durable state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Body {
    /// The island.
    pub island: u16,
    /// Position on the island, mm.
    pub at: Point,
    /// Where it looks: 0..[`HEADINGS`] of a full turn.
    pub heading: u8,
    /// How fast it moves, in 0.1 m/s, 0..=127.
    pub speed: u8,
}

impl Body {
    /// The chunk the body stands in.
    pub fn chunk(&self) -> ChunkId {
        ChunkId::of(self.island, self.at)
    }

    /// The body as others see it: position rounded to [`MOTION_UNIT_MM`].
    pub fn rounded(mut self) -> Self {
        self.at.x -= self.at.x.rem_euclid(MOTION_UNIT_MM);
        self.at.y -= self.at.y.rem_euclid(MOTION_UNIT_MM);
        self
    }
}

/// A 30 m square of an island.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChunkId {
    /// The island.
    pub island: u16,
    /// Column: `x mm / 30,000`, rounded towards minus infinity.
    pub x: i16,
    /// Row: `y mm / 30,000`, rounded towards minus infinity.
    pub y: i16,
}

impl ChunkId {
    /// The chunk of `island` that contains `point`. Points beyond ±983 km fall in the outermost chunk.
    pub fn of(island: u16, point: Point) -> Self {
        let cut = |v: i32| v.div_euclid(CHUNK_MM).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        Self { island, x: cut(point.x), y: cut(point.y) }
    }

    /// The corner with the smallest coordinates, mm.
    pub fn corner(self) -> Point {
        Point::new(i32::from(self.x) * CHUNK_MM, i32::from(self.y) * CHUNK_MM)
    }

    /// A dense form: the id of the chunk's land entity.
    pub fn to_u64(self) -> u64 {
        u64::from(self.island) << 32 | u64::from(self.x as u16) << 16 | u64::from(self.y as u16)
    }

    /// The inverse of [`to_u64`](Self::to_u64); bits above 48 are ignored.
    pub fn from_u64(id: u64) -> Self {
        Self { island: (id >> 32) as u16, x: (id >> 16) as u16 as i16, y: id as u16 as i16 }
    }

    /// Whether the body stands in the chunk. Unlike [`of`](Self::of), points beyond the outermost chunks are in no chunk.
    pub fn has(self, body: &Body) -> bool {
        let (corner, inside) = (self.corner(), 0..CHUNK_MM);
        let from = |v: i32, corner: i32| v.saturating_sub(corner);
        body.island == self.island
            && inside.contains(&from(body.at.x, corner.x))
            && inside.contains(&from(body.at.y, corner.y))
    }

    /// Chunks between the two in the larger of the two directions; `None` on another island.
    pub fn steps_to(self, other: ChunkId) -> Option<u32> {
        (self.island == other.island).then(|| {
            let dx = i32::from(self.x).abs_diff(i32::from(other.x));
            dx.max(i32::from(self.y).abs_diff(i32::from(other.y)))
        })
    }

    /// The square of chunks at most `steps` away, itself included, in row order.
    pub fn around(self, steps: u32) -> impl Iterator<Item = ChunkId> {
        let s = steps.min(64) as i32;
        (-s..=s).flat_map(move |dy| (-s..=s).map(move |dx| (dx, dy))).filter_map(move |(dx, dy)| {
            let x = i16::try_from(i32::from(self.x) + dx).ok()?;
            let y = i16::try_from(i32::from(self.y) + dy).ok()?;
            Some(ChunkId { island: self.island, x, y })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cut_the_plane_without_gaps() {
        assert_eq!(ChunkId::of(0, Point::new(-1, 29_999)), ChunkId { island: 0, x: -1, y: 0 });
        assert_eq!(ChunkId::of(3, Point::new(30_000, -30_001)), ChunkId { island: 3, x: 1, y: -2 });
        let c = ChunkId { island: 7, x: -5, y: 12 };
        assert_eq!(ChunkId::from_u64(c.to_u64()), c);
        assert_eq!(ChunkId::of(7, c.corner()), c);
        assert_eq!(c.around(1).count(), 9);
    }

    #[test]
    fn a_chunk_has_what_stands_in_it() {
        let c = ChunkId { island: 7, x: -5, y: 12 };
        let body = |island, dx, dy| {
            let at = Point::new(c.corner().x + dx, c.corner().y + dy);
            Body { island, at, ..Body::default() }
        };
        assert!(c.has(&body(7, 0, 0)) && c.has(&body(7, CHUNK_MM - 1, CHUNK_MM - 1)));
        let out = [body(6, 0, 0), body(7, -1, 0), body(7, 0, -1), body(7, CHUNK_MM, 0), body(7, 0, CHUNK_MM)];
        assert!(!out.iter().any(|body| c.has(body)));
        let beyond = Body { at: Point::new(i32::MAX, 0), ..Body::default() };
        assert!(!beyond.chunk().has(&beyond), "it counts for the outermost chunk, but is not in it");
    }

    #[test]
    fn far_corners_do_not_overflow() {
        let a = Point::new(i32::MIN, i32::MIN);
        let b = Point::new(i32::MAX, i32::MAX);
        assert!(a.distance(b) > 4_000_000_000);
        assert!(!a.within(b, u32::MAX));
        let c = ChunkId::of(0, a);
        assert_eq!(c.corner().x, i32::from(i16::MIN) * CHUNK_MM);
    }
}
