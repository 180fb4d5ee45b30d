//! Identities. All are plain numbers that order and hash cheaply and mean one thing each.

use std::fmt;

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
    /// Unique within the kind. Land: [`ChunkId::to_u64`](crate::ChunkId::to_u64).
    pub id: u64,
}

impl EntityId {
    /// The entity `id` of kind `kind`.
    pub const fn new(kind: Kind, id: u64) -> Self {
        Self { kind, id }
    }
}

impl From<EntityId> for u64 {
    fn from(entity: EntityId) -> Self {
        entity.id
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

/// One client connection at one node. Never used again while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnId(pub u64);
