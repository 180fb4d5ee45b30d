//! What decisions and volatile behaviour may look at.

use bytes::Bytes;
use gundo_types::{Body, EntityId, Kind, Point, WorldTime};
use gundo_wire::Message;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// Who caused a command, as others saw it when it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// The entity whose decision asked for this part.
    pub id: EntityId,
    /// Its public state.
    pub public: Bytes,
    /// Its body.
    pub body: Option<Body>,
}

/// Another entity as it is seen from here: real or ghost, a tick old at most while the cluster is well.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Which entity.
    pub id: EntityId,
    /// Its public state.
    pub public: Bytes,
    /// Its body; land has none.
    pub body: Option<Body>,
}

/// How far around its own chunk an entity sees what is [near](Surroundings::near), in chunks.
pub const NEAR_CHUNKS: u32 = 1;

/// The local picture of the world, reals and ghosts alike.
pub trait Surroundings {
    /// Everything else with a body within `radius_mm` of `point` on `island`, in id order. The entity that asks is not in it.
    ///
    /// What it sees does not depend on how many nodes there are. It sees the nine chunks around its own, and nothing beyond
    /// ([`NEAR_CHUNKS`]): a radius of a chunk's length (30 m) around a point in its chunk is all within them.
    ///
    /// * **A player**: the chunks around the one its sight is centred on, which it leaves by no more than 3 m. Nothing before it
    ///   stands in the world.
    /// * **Land, and what has a place**: the chunks around its own, while somebody looks at that. Nothing otherwise.
    /// * **What has no place**: nothing.
    ///
    /// It is a picture: what others do is in it up to two ticks later, and so is all of it when the entity has just begun to see.
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour>;
    /// The public state of `id`, if it is in the picture. `chunk` is where to look.
    fn look(&self, chunk: gundo_types::ChunkId, id: EntityId) -> Option<Bytes>;
}

/// What a decision may look at, in bytes.
pub struct RawContext<'a> {
    /// World time.
    pub now: WorldTime,
    /// The deciding entity.
    pub id: EntityId,
    /// Its body, if it has one.
    pub body: Option<Body>,
    /// Who asked, for a part of another entity's transaction.
    pub actor: Option<&'a Actor>,
    /// The local picture.
    pub surroundings: &'a dyn Surroundings,
    /// Seeded chance.
    pub rng: &'a mut ChaCha8Rng,
}

/// What a decision may look at.
pub struct Context<'a, W> {
    /// World time. Never earlier than the entity's last event.
    pub now: WorldTime,
    /// The game's shared data.
    pub world: &'a W,
    /// The deciding entity.
    pub id: EntityId,
    /// Its body, if it has one.
    pub body: Option<Body>,
    /// Who asked, for a part of another entity's transaction; `None` for a player's own command.
    pub actor: Option<&'a Actor>,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl<W> Context<'_, W> {
    /// Everything else with a body within `radius_mm` of `point` on `island`, in id order: see [`Surroundings::near`].
    pub fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        self.surroundings.near(island, point, radius_mm)
    }

    /// The public state of the land entity (or any other) `id` in `chunk`, if it is in the local picture.
    pub fn look(&self, chunk: gundo_types::ChunkId, id: EntityId) -> Option<Bytes> {
        self.surroundings.look(chunk, id)
    }

    /// 64 random bits. Record in the event what hangs on them.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

/// A volatile child of an entity, as it is to be seen until the next tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind: any number the game does not use for an [`Entity`](super::Entity).
    pub kind: Kind,
    /// Which child of its parent.
    pub index: u8,
    /// Its body.
    pub body: Body,
    /// Its public state.
    pub public: Bytes,
}

/// What volatile behaviour may look at, and where it shows its children.
pub struct TickContext<'a, W> {
    /// World time.
    pub now: WorldTime,
    /// Length of a tick, ms.
    pub tick_ms: u32,
    /// The game's shared data.
    pub world: &'a W,
    /// The entity that ticks.
    pub id: EntityId,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) children: &'a mut Vec<Child>,
}

impl<W> TickContext<'_, W> {
    /// As [`Context::near`].
    pub fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        self.surroundings.near(island, point, radius_mm)
    }

    /// 64 random bits.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Shows the child `index` of kind `kind` with this body and public state until the next tick. It may stand in another
    /// chunk than its parent. Parents of two kinds have children of different kinds. Children of what has a place are told apart on
    /// islands below 256 only.
    pub fn child(&mut self, kind: Kind, index: u8, body: Body, public: &impl Message) {
        let public = public.encode_to_vec().into();
        self.children.push(Child { kind, index, body, public });
    }
}
