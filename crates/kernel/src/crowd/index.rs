//! Where the record of a chunk lies: a small open-addressed table, for look-ups only.
//!
//! It is never iterated, so its order does not matter; code that visits all chunks in order sorts handles by [`rank`]. Linear
//! probing with deletion by shifting back (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R), at most
//! three quarters full. The hash needs no secret: chunks are where bodies stand, and no attacker can choose thousands of those.

use gundo_types::ChunkId;

use super::slab::{Handle, NONE};

/// Cells of the smallest non-empty table.
const CELLS_MIN: usize = 16;

#[derive(Clone, Copy)]
struct Cell {
    chunk: ChunkId,
    /// [`NONE`]: the cell is free.
    at: Handle,
}

#[derive(Default)]
pub(crate) struct ChunkIndex {
    /// Their number is zero or a power of two.
    cells: Vec<Cell>,
    len: usize,
}

impl ChunkIndex {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, chunk: ChunkId) -> Option<Handle> {
        if self.cells.is_empty() {
            return None;
        }
        let cell = self.cells[self.find(chunk)];
        (cell.at != NONE).then_some(cell.at)
    }

    /// The chunk must not have a record yet.
    pub(crate) fn insert(&mut self, chunk: ChunkId, at: Handle) {
        if self.cells.len() * 3 < (self.len + 1) * 4 {
            self.grow();
        }
        let index = self.find(chunk);
        assert!(self.cells[index].at == NONE && at != NONE, "{chunk:?} has a record already");
        self.cells[index] = Cell { chunk, at };
        self.len += 1;
    }

    /// Forgets the chunk, which must have a record.
    pub(crate) fn remove(&mut self, chunk: ChunkId) -> Handle {
        let mut hole = self.find(chunk);
        let removed = self.cells[hole].at;
        assert!(removed != NONE, "{chunk:?} has no record");
        let mask = self.cells.len() - 1;
        let mut next = (hole + 1) & mask;
        // A later entry moves into the hole, unless the hole is before the cell where its search begins.
        while self.cells[next].at != NONE {
            let begin = self.begin(self.cells[next].chunk);
            if next.wrapping_sub(begin) & mask >= next.wrapping_sub(hole) & mask {
                self.cells[hole] = self.cells[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.cells[hole].at = NONE;
        self.len -= 1;
        removed
    }

    /// The cell of the chunk, or the free one where it would be.
    fn find(&self, chunk: ChunkId) -> usize {
        let mask = self.cells.len() - 1;
        let mut index = self.begin(chunk);
        loop {
            let cell = &self.cells[index];
            if cell.at == NONE || cell.chunk == chunk {
                return index;
            }
            index = (index + 1) & mask;
        }
    }

    /// Where the search for the chunk begins. Fibonacci hashing (Knuth, volume 3, section 6.4): the high bits of a product.
    #[inline]
    fn begin(&self, chunk: ChunkId) -> usize {
        let product = chunk.to_u64().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (product >> (64 - self.cells.len().trailing_zeros())) as usize
    }

    fn grow(&mut self) {
        let free = Cell { chunk: ChunkId::default(), at: NONE };
        let cells = (self.cells.len() * 2).max(CELLS_MIN);
        let before = std::mem::replace(&mut self.cells, vec![free; cells]);
        for cell in before.into_iter().filter(|cell| cell.at != NONE) {
            let index = self.find(cell.chunk);
            self.cells[index] = cell;
        }
    }
}

/// A number with the order of chunks.
#[inline]
pub(crate) fn rank(chunk: ChunkId) -> u64 {
    let grown = |v: i16| u64::from(v as u16 ^ 0x8000);
    u64::from(chunk.island) << 32 | grown(chunk.x) << 16 | grown(chunk.y)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_finds_what_a_map_finds() {
        let (mut index, mut map) = (ChunkIndex::default(), BTreeMap::new());
        let mut chance = 7u64;
        for step in 0..40_000u32 {
            chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // The table grows for a while, then shrinks. The chunks lie close together, as in a world.
            let (x, y) = ((chance >> 33) % 40, (chance >> 45) % 40);
            let chunk = ChunkId { island: (chance >> 60) as u16 & 1, x: x as i16 - 20, y: y as i16 - 20 };
            let keep = if step < 20_000 { 6 } else { 2 };
            assert_eq!(index.get(chunk), map.get(&chunk).copied());
            match map.contains_key(&chunk) {
                false if (chance >> 57) % 8 < keep => {
                    index.insert(chunk, step);
                    map.insert(chunk, step);
                }
                true if (chance >> 57) % 8 >= keep => {
                    assert_eq!(Some(index.remove(chunk)), map.remove(&chunk));
                }
                _ => {}
            }
            assert_eq!(index.len(), map.len());
        }
        assert!(map.iter().all(|(chunk, at)| index.get(*chunk) == Some(*at)));
    }

    #[test]
    fn ranks_are_in_the_order_of_chunks() {
        let edges = [i16::MIN, -2, -1, 0, 1, i16::MAX];
        let mut chunks: Vec<_> = edges
            .iter()
            .flat_map(|x| edges.map(|y| (*x, y)))
            .flat_map(|(x, y)| [0, 1, u16::MAX].map(|island| ChunkId { island, x, y }))
            .collect();
        chunks.sort_by_key(|chunk| rank(*chunk));
        assert!(chunks.is_sorted());
    }
}
