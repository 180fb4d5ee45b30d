//! Ground plans of buildings: rectangles, the chunks they touch, and paths that cross them. Whole millimetres.

use gundo::{ChunkId, Point};

use crate::catalogue;
use crate::schema::Building;

/// The island of this game.
pub(crate) const ISLAND: u16 = 0;

/// An upright rectangle, mm. `min` is inside, `max` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) min: Point,
    pub(crate) max: Point,
}

impl Rect {
    /// The ground plan of `what` around `middle`; `None` if there is no such building or rotation.
    pub(crate) fn plan(what: Building, middle: Point, rotation: u32) -> Option<Self> {
        let plan = catalogue::plan(what)?;
        let (width, depth) = match rotation {
            0 | 2 => (plan.width_mm, plan.depth_mm),
            1 | 3 => (plan.depth_mm, plan.width_mm),
            _ => return None,
        };
        let min = Point::new(middle.x.saturating_sub(width / 2), middle.y.saturating_sub(depth / 2));
        let max = Point::new(middle.x.saturating_add(width / 2), middle.y.saturating_add(depth / 2));
        Some(Self { min, max })
    }

    /// The area of a chunk.
    pub(crate) fn chunk(chunk: ChunkId) -> Self {
        let min = chunk.corner();
        Self { min, max: Point::new(min.x + gundo::CHUNK_MM, min.y + gundo::CHUNK_MM) }
    }

    /// The smallest rectangle around a straight path.
    pub(crate) fn around(from: Point, to: Point) -> Self {
        let max = Point::new(from.x.max(to.x).saturating_add(1), from.y.max(to.y).saturating_add(1));
        Self { min: Point::new(from.x.min(to.x), from.y.min(to.y)), max }
    }

    /// The rectangle, larger by `by_mm` on every side.
    pub(crate) fn grown(self, by_mm: i32) -> Self {
        Self {
            min: Point::new(self.min.x.saturating_sub(by_mm), self.min.y.saturating_sub(by_mm)),
            max: Point::new(self.max.x.saturating_add(by_mm), self.max.y.saturating_add(by_mm)),
        }
    }

    pub(crate) fn contains(&self, p: Point) -> bool {
        (self.min.x..self.max.x).contains(&p.x) && (self.min.y..self.max.y).contains(&p.y)
    }

    /// Whether they share ground; touching sides do not.
    pub(crate) fn overlaps(&self, other: &Rect) -> bool {
        let apart = self.max.x <= other.min.x
            || other.max.x <= self.min.x
            || self.max.y <= other.min.y
            || other.max.y <= self.min.y;
        !apart
    }

    /// Whether the straight path from `from` to `to` leads into or through the inside.
    pub(crate) fn crosses(&self, from: Point, to: Point) -> bool {
        if !self.overlaps(&Rect::around(from, to)) {
            return false;
        }
        // The boxes overlap: they miss each other only if all corners lie on one side of the line.
        let side = |x: i32, y: i32| {
            let (dx, dy) = (i128::from(to.x) - i128::from(from.x), i128::from(to.y) - i128::from(from.y));
            dx * (i128::from(y) - i128::from(from.y)) - dy * (i128::from(x) - i128::from(from.x))
        };
        let corners = [
            side(self.min.x, self.min.y),
            side(self.max.x, self.min.y),
            side(self.min.x, self.max.y),
            side(self.max.x, self.max.y),
        ];
        from == to || (corners.iter().any(|s| *s > 0) && corners.iter().any(|s| *s < 0))
    }

    /// The chunks that share ground with it, in row order. For rectangles of a few chunks.
    pub(crate) fn chunks(&self) -> Vec<ChunkId> {
        let first = ChunkId::of(ISLAND, self.min);
        let last = ChunkId::of(ISLAND, Point::new(self.max.x - 1, self.max.y - 1));
        (first.y..=last.y)
            .flat_map(|y| (first.x..=last.x).map(move |x| ChunkId { island: ISLAND, x, y }))
            .collect()
    }

    /// Distance from `p` to its nearest point, mm; 0 inside.
    pub(crate) fn distance(&self, p: Point) -> u64 {
        p.distance(Point::new(p.x.clamp(self.min.x, self.max.x), p.y.clamp(self.min.y, self.max.y)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Rect = Rect { min: Point::new(0, 0), max: Point::new(100, 50) };

    #[test]
    fn ways_into_through_and_past() {
        let crosses = |ax, ay, bx, by| BOX.crosses(Point::new(ax, ay), Point::new(bx, by));
        assert!(crosses(-10, 25, 110, 25), "through");
        assert!(crosses(-10, 25, 50, 25), "into");
        assert!(crosses(-10, 10, 20, -5), "over a corner");
        assert!(!crosses(-10, 10, 5, -20), "past a corner");
        assert!(!crosses(-10, -1, 110, -1), "along a side");
        assert!(!crosses(-10, 50, 110, 50), "on the far side");
        assert!(crosses(50, 25, 50, 25), "standing inside");
        assert!(!crosses(i32::MIN, i32::MIN, i32::MIN, i32::MAX), "far away");
        assert!(crosses(i32::MIN, i32::MIN, i32::MAX, i32::MAX), "along the diagonal of everything");
    }

    #[test]
    fn chunks_under_a_hut_on_a_corner() {
        let hut = Rect::plan(Building::Hut, Point::new(30_000, 60_000), 1).expect("there are huts");
        let chunks: Vec<_> = hut.chunks().iter().map(|c| (c.x, c.y)).collect();
        assert_eq!(chunks, [(0, 1), (1, 1), (0, 2), (1, 2)]);
        assert_eq!(Rect::chunk(hut.chunks()[0]).distance(Point::new(33_000, 31_000)), 3_000);
        let flush = Rect { min: Point::new(0, 0), max: Point::new(30_000, 30_000) };
        assert_eq!(flush.chunks().len(), 1, "touching is not sharing");
    }
}
