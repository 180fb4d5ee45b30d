//! Frames that have arrived and wait for the next flush: one list for all chunks, in which the frames of a chunk form a chain.
//!
//! A chunk keeps only the ends of its chain (eight bytes), not a list of its own: there are many chunks, and most get no frame
//! between two flushes.

use super::slab::{Handle, NONE};
use crate::frame::ChunkFrame;

/// All waiting frames, each with a link to the next one of the same chunk.
#[derive(Default)]
pub(super) struct Arrivals(Vec<(ChunkFrame, Handle)>);

/// The frames of one chunk, in order of arrival.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    first: Handle,
    last: Handle,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Chain {
    pub(super) fn is_empty(self) -> bool {
        self.first == NONE
    }
}

impl Arrivals {
    /// Appends a frame to its chunk's chain.
    pub(super) fn push(&mut self, chain: &mut Chain, frame: ChunkFrame) {
        let at = self.0.len() as Handle;
        assert!(at != NONE, "as many frames as there are handles");
        self.0.push((frame, NONE));
        if chain.is_empty() {
            chain.first = at;
        } else {
            self.0[chain.last as usize].1 = at;
        }
        chain.last = at;
    }

    /// The frames of a chunk.
    #[inline]
    pub(super) fn iter(&self, chain: Chain) -> impl Iterator<Item = &ChunkFrame> {
        let place = |at: Handle| self.0.get(at as usize);
        std::iter::successors(place(chain.first), move |(_, next)| place(*next)).map(|(frame, _)| frame)
    }

    /// Removes all frames. They were passed on, or their chunks were forgotten: no chain leads here any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::ChunkId;

    use super::*;

    #[test]
    fn each_chunk_has_its_frames_in_order() {
        let (mut arrivals, mut chains) = (Arrivals::default(), [Chain::default(); 3]);
        for (tick, at) in [(1, 0), (2, 2), (3, 0), (4, 2), (5, 2)] {
            let frame = ChunkFrame::new(ChunkId::default(), tick, None, Default::default());
            arrivals.push(&mut chains[at], frame);
        }
        let ticks = |chain: Chain| arrivals.iter(chain).map(|frame| frame.tick).collect::<Vec<_>>();
        assert_eq!(chains.map(ticks), [vec![1, 3], vec![], vec![2, 4, 5]]);
        assert_eq!(chains.map(Chain::is_empty), [false, true, false]);
    }
}
