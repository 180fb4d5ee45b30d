//! What rules may look at.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, Point, WorldTime};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::payload::Payload;
use super::refusal::Refusal;
use super::state::{Role, State};

/// Who asks another entity, as others saw it when the ask was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// The entity whose decision asks.
    pub id: EntityId,
    /// Its public part, encoded.
    pub public: Bytes,
    /// Its body.
    pub body: Option<Body>,
}

impl Actor {
    /// Where it stands.
    ///
    /// # Errors
    /// `nowhere`: it has no body.
    pub fn here(&self) -> Result<Body, Refusal> {
        self.body.ok_or_else(nowhere)
    }

    /// Its public part. `None`: it is of another kind, or shows nothing.
    pub fn seen<T: State>(&self) -> Option<T::Public> {
        seen::<T>(self.id, &self.public)
    }
}

/// Another entity as it is seen from here: real or ghost, a tick old at most while the cluster is well.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Which entity.
    pub id: EntityId,
    /// Its public part, encoded.
    pub public: Bytes,
    /// Its body; land has none.
    pub body: Option<Body>,
}

impl Neighbour {
    /// Its public part. `None`: it is of another kind, or shows nothing.
    pub fn seen<T: State>(&self) -> Option<T::Public> {
        seen::<T>(self.id, &self.public)
    }
}

fn seen<T: State>(id: EntityId, public: &[u8]) -> Option<T::Public> {
    if id.kind == T::KIND { T::Public::from_bytes(public).ok().flatten() } else { None }
}

fn nowhere() -> Refusal {
    Refusal::new("nowhere", "You are not in the world yet. Try again in a moment.")
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
    /// The public part of `id`, if it is in the picture. `chunk` is where to look.
    fn look(&self, chunk: ChunkId, id: EntityId) -> Option<Bytes>;
}

/// Public parts of entities that are elsewhere, fetched for one decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reads {
    /// What has been fetched. `None`: it shows nothing, or nobody created it.
    pub fetched: Vec<(EntityId, Option<Bytes>)>,
    /// What the decision asked for besides.
    pub wanted: Vec<EntityId>,
}

/// What a rule may look at, in bytes.
pub struct RawContext<'a> {
    /// World time.
    pub now: WorldTime,
    /// The deciding entity.
    pub id: EntityId,
    /// Its body, if it has one.
    pub body: Option<Body>,
    /// The local picture.
    pub surroundings: &'a dyn Surroundings,
    /// What was fetched from elsewhere; `None` where nothing can be.
    pub reads: Option<&'a mut Reads>,
    /// Seeded random numbers.
    pub rng: &'a mut ChaCha8Rng,
}

/// What a rule may look at.
pub struct Context<'a, E: State> {
    /// World time. Never earlier than the entity's last event.
    pub now: WorldTime,
    /// The game's shared data.
    pub world: &'a E::World,
    /// The deciding entity.
    pub id: EntityId,
    /// Its body, if it has one.
    pub body: Option<Body>,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) reads: Option<&'a mut Reads>,
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl<E: State> Context<'_, E> {
    /// Where the entity stands.
    ///
    /// # Errors
    /// `nowhere`: it has no body.
    pub fn here(&self) -> Result<Body, Refusal> {
        self.body.ok_or_else(nowhere)
    }

    /// Everything else with a body within `radius_mm` of `point` on `island`, in id order: see [`Surroundings::near`].
    pub fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        self.surroundings.near(island, point, radius_mm)
    }

    /// The public part of land (by its chunk) or of a placed entity, if it is in the local picture. It may be a tick old: a decision
    /// that must not be wrong about it asks.
    pub fn look<T: State>(&self, id: impl Into<u64>) -> Option<T::Public> {
        let bytes = self.look_at(EntityId::new(T::KIND, id.into()), T::ROLE)?;
        T::Public::from_bytes(&bytes).ok().flatten()
    }

    /// As [`look`](Self::look), in another message: for a part of a large public part.
    pub fn look_as<T: State, M: Payload>(&self, id: impl Into<u64>) -> Option<M> {
        let bytes = self.look_at(EntityId::new(T::KIND, id.into()), T::ROLE)?;
        M::from_bytes(&bytes).ok().flatten()
    }

    fn look_at(&self, id: EntityId, role: Role) -> Option<Bytes> {
        self.surroundings.look(role.chunk_of(id)?, id)
    }

    /// The public part of any entity but a player, wherever it is: `None` if it shows nothing or nobody created it. The engine fetches
    /// what is not here and decides again, so return the error with `?`. It is a moment old: a decision that must not be wrong about it
    /// asks. Only [`Player::decide`](super::Player::decide) can read, at most 8 entities.
    ///
    /// # Errors
    /// It is being fetched; or nothing can be fetched here.
    pub fn read<T: State>(&mut self, id: impl Into<u64>) -> Result<Option<T::Public>, Refusal> {
        let id = EntityId::new(T::KIND, id.into());
        let Some(reads) = &mut self.reads else {
            return Err(Refusal::new("game_error", "Only a player's decide can read what is elsewhere."));
        };
        match reads.fetched.iter().find(|(read, _)| *read == id) {
            Some((_, public)) => Ok(public.as_ref().and_then(|b| T::Public::from_bytes(b).ok().flatten())),
            None => {
                if !reads.wanted.contains(&id) {
                    reads.wanted.push(id);
                }
                Err(Refusal::new("busy", "That takes a moment. Try again."))
            }
        }
    }

    /// 64 random bits. The event records everything that depends on them.
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
    /// Its public part.
    pub public: Bytes,
}

/// What a tick leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ticked {
    /// Creatures that are seen until the next tick.
    pub children: Vec<Child>,
    /// What the entity asks itself.
    pub asks: Vec<Bytes>,
}

/// What volatile behaviour may look at, and where it shows its children.
pub struct TickContext<'a, E: State> {
    /// World time.
    pub now: WorldTime,
    /// Length of a tick, ms.
    pub tick_ms: u32,
    /// The game's shared data.
    pub world: &'a E::World,
    /// The entity that ticks.
    pub id: EntityId,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) ticked: &'a mut Ticked,
}

impl<E: State> TickContext<'_, E> {
    /// As [`Context::near`].
    pub fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        self.surroundings.near(island, point, radius_mm)
    }

    /// 64 random bits.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Shows the child `index` of kind `kind` with this body and public part until the next tick. It may stand in another
    /// chunk than its parent. Parents of two kinds have children of different kinds. Children of placed entities are told apart on
    /// islands below 256 only.
    pub fn child(&mut self, kind: Kind, index: u8, body: Body, public: &impl Payload) {
        self.ticked.children.push(Child { kind, index, body, public: public.to_bytes() });
    }

    /// Asks the ticking entity itself, so that what a creature does lasts: a wolf takes a sheep. The entity answers it like any other
    /// ask, with itself as the actor; nobody hears the answer. A refusal is the end of it. It may be lost when the node crashes before
    /// it is durable. At most 4 per tick; the rest is dropped and counted.
    pub fn ask_self(&mut self, ask: &E::Ask) {
        self.ticked.asks.push(ask.to_bytes());
    }
}
