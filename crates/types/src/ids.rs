//! Identities. All are plain numbers that order and hash cheaply and mean one thing each.

use std::fmt;
use std::ops::RangeInclusive;

use crate::ChunkId;

/// A node of the cluster (a process part with one kernel). Unique among the members of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// An entity's type: chosen by the game, one number per Rust type. 0 is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Kind(pub u16);

/// One entity of the world, permanently: the id is never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntityId {
    /// Its type.
    pub kind: Kind,
    /// Unique within the kind. Land: [`ChunkId::to_u64`]. A kind with a place: [`EntityId::placed`].
    pub id: u64,
}

/// Bits of the number that tells the placed entities of a chunk apart. The chunk takes the other 48.
const NUMBER_BITS: u32 = u16::BITS;

impl EntityId {
    /// The entity `id` of kind `kind`.
    pub const fn new(kind: Kind, id: u64) -> Self {
        Self { kind, id }
    }

    /// The entity with number `number` in `chunk`, of a kind whose entities have a place. It belongs to that chunk permanently.
    /// A chunk has room for 256 of a kind.
    pub fn placed(kind: Kind, chunk: ChunkId, number: u8) -> Self {
        Self::new(kind, chunk.to_u64() << NUMBER_BITS | u64::from(number))
    }

    /// The chunk of a [`placed`](Self::placed) entity.
    pub fn chunk_of_placed(self) -> ChunkId {
        ChunkId::from_u64(self.id >> NUMBER_BITS)
    }

    /// The number of a [`placed`](Self::placed) entity. Ids that strangers send may have a number above 255; no entity has.
    pub const fn number_of_placed(self) -> u16 {
        self.id as u16
    }

    /// The ids that [`placed`](Self::placed) entities of one kind in `chunk` can have.
    pub fn placed_in(chunk: ChunkId) -> RangeInclusive<u64> {
        let first = chunk.to_u64() << NUMBER_BITS;
        first..=first | u64::from(u8::MAX)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.kind.0, self.id)
    }
}

/// The number of a membership view. Grows by one with every change of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// The right to own an entity: the higher term is the newer grant, the lower one is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term {
    /// Epoch in which the home granted it.
    pub epoch: u64,
    /// Count of grants of that home within the epoch, from 1.
    pub count: u32,
}

/// One client connection at one node. Never used again, also not by a later incarnation of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_placed_entity_names_its_chunk_and_its_number() {
        let edges = [i16::MIN, -1, 0, 1, i16::MAX];
        let chunks = edges.iter().flat_map(|x| edges.map(|y| (*x, y)));
        let chunks = chunks.flat_map(|(x, y)| [0, 1, u16::MAX].map(|island| ChunkId { island, x, y }));
        let mut seen = std::collections::BTreeSet::new();
        for chunk in chunks {
            let ids = EntityId::placed_in(chunk);
            for number in [0, 1, 0x80, u8::MAX] {
                let placed = EntityId::placed(Kind(9), chunk, number);
                assert_eq!((placed.chunk_of_placed(), placed.number_of_placed()), (chunk, number.into()));
                assert!(ids.contains(&placed.id) && seen.insert(placed), "{placed} is one entity's own");
            }
            assert_eq!(ids.end() - ids.start(), u64::from(u8::MAX));
        }
        // Every number that a client may send names a chunk, and a number that may be none.
        let any = EntityId::new(Kind(9), u64::MAX);
        assert_eq!((any.chunk_of_placed().island, any.number_of_placed()), (u16::MAX, u16::MAX));
    }
}
