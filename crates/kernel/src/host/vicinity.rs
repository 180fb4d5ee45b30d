//! What one entity sees of its surroundings: the same on any number of nodes.
//!
//! The node's picture has more: everything that any session here looks at. So the entity sees only what its node would see for
//! this entity alone, which is the same on every node. What that is: [`Surroundings::near`].

use bytes::Bytes;
use gundo_types::{ChunkId, EntityId, Point};

use crate::crowd::Interest;
use crate::game::{NEAR_CHUNKS, Neighbour, Surroundings};

/// The surroundings of one entity.
pub(super) struct Vicinity<'a> {
    picture: &'a Interest,
    who: EntityId,
    /// The chunk at the centre of what it sees; `None`: it sees nothing.
    center: Option<ChunkId>,
}

impl<'a> Vicinity<'a> {
    pub(super) fn of(picture: &'a Interest, who: EntityId, center: Option<ChunkId>) -> Self {
        Self { picture, who, center }
    }

    fn sees(&self, neighbour: &Neighbour) -> bool {
        let chunk = neighbour.body.map(|body| body.chunk());
        let steps = self.center.zip(chunk).and_then(|(center, chunk)| center.steps_to(chunk));
        neighbour.id != self.who && steps.is_some_and(|steps| steps <= NEAR_CHUNKS)
    }
}

impl Surroundings for Vicinity<'_> {
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        if self.center.is_none_or(|center| center.island != island) {
            return Vec::new();
        }
        let mut near = self.picture.near(island, point, radius_mm);
        near.retain(|neighbour| self.sees(neighbour));
        near
    }

    fn look(&self, chunk: ChunkId, id: EntityId) -> Option<Bytes> {
        self.picture.look(chunk, id)
    }
}
