//! What rules may look at.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, Point, WorldTime};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::pace::{Pace, Paces};
use super::payload::Payload;
use super::refusal::Refusal;
use super::state::{Key, Role, State};

/// The entity that asks another, as others saw it when it sent the ask.
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

/// Another entity as this node sees it: real or ghost, at most a tick old while the cluster is healthy.
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
/// How far around its own chunk an entity sees with [near](Surroundings::near), in chunks.
pub const NEAR_CHUNKS: u32 = 1;

/// The local picture of the world, reals and ghosts alike.
pub trait Surroundings {
    /// Everything else with a body within `radius_mm` of `point` on `island`, in id order. The entity that asks is not in it.
    ///
    /// What it sees does not depend on the number of nodes. It sees its own chunk and the eight around it, and nothing beyond
    /// ([`NEAR_CHUNKS`]): a circle with a chunk's length (30 m) as radius around a point in its chunk is always within them.
    ///
    /// * **A player**: the chunks around the one its sight is centred on, which it leaves by no more than 3 m. Nothing before it
    ///   has entered the world.
    /// * **Land and placed entities**: the chunks around their own, while somebody looks at that. Nothing otherwise.
    /// * **Entities without a place**: nothing.
    ///
    /// It is a picture: it may be up to two ticks behind, and may be incomplete for as long when the entity has just begun to see.
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour>;
    /// The public part of `id`, if it is in the picture. `chunk` is where to look.
    fn look(&self, chunk: ChunkId, id: EntityId) -> Option<Bytes>;
}

/// Public parts of entities on other nodes, fetched for one decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reads {
    /// What has been fetched. `None`: it shows nothing, or it has not been created.
    pub fetched: Vec<(EntityId, Option<Bytes>)>,
    /// What the decision also asked for.
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
    /// What was fetched from other nodes; `None`: this rule cannot fetch.
    pub reads: Option<&'a mut Reads>,
    /// What the player has used up of its paces, and the pace of commands that have none; `None`: this decision is not counted.
    pub(crate) paces: Option<(&'a mut Paces, Pace)>,
    /// Seeded random numbers.
    pub rng: &'a mut ChaCha8Rng,
}

impl<'a> RawContext<'a> {
    /// What a rule may look at. `real`: the deciding entity and its body; `reads`: what was fetched for it, in rules that can fetch.
    pub fn new(
        now: WorldTime,
        real: (EntityId, Option<Body>),
        surroundings: &'a dyn Surroundings,
        reads: Option<&'a mut Reads>,
        rng: &'a mut ChaCha8Rng,
    ) -> Self {
        Self { now, id: real.0, body: real.1, surroundings, reads, paces: None, rng }
    }
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

    /// The public part of land (by its chunk) or of a placed entity, if it is in the local picture. It may be a tick old: a
    /// decision that must not be wrong about it asks the entity.
    pub fn look<T: State>(&self, id: impl Key) -> Option<T::Public> {
        let bytes = self.look_at(EntityId::new(T::KIND, id.number::<T>()), T::ROLE)?;
        T::Public::from_bytes(&bytes).ok().flatten()
    }

    /// As [`look`](Self::look), but decoded as another message: to read only a part of a large public part.
    pub fn look_as<T: State, M: Payload>(&self, id: impl Key) -> Option<M> {
        let bytes = self.look_at(EntityId::new(T::KIND, id.number::<T>()), T::ROLE)?;
        M::from_bytes(&bytes).ok().flatten()
    }

    fn look_at(&self, id: EntityId, role: Role) -> Option<Bytes> {
        self.surroundings.look(role.chunk_of(id)?, id)
    }

    /// The public part of any entity but a player, wherever it is: `None` if it shows nothing or has not been created. The engine
    /// fetches what is not here and decides again, so return the error with `?`. It is a moment old: a decision that must not be
    /// wrong about it asks the entity. Only [`Player::decide`](super::Player::decide) can read, at most 8 entities.
    ///
    /// # Errors
    /// The engine must fetch it first.
    ///
    /// # Panics
    /// This rule is not a player's `decide`: a mistake in the rules.
    pub fn read<T: State>(&mut self, id: impl Key) -> Result<Option<T::Public>, Refusal> {
        let id = EntityId::new(T::KIND, id.number::<T>());
        let Some(reads) = &mut self.reads else {
            panic!("only a player's `decide` can read what is elsewhere: ask it, or read it there");
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

/// A volatile child of an entity, as others see it until the next tick.
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

/// The result of a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ticked {
    /// Creatures that others see until the next tick.
    pub children: Vec<Child>,
    /// Asks of the entity to itself.
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
    /// chunk than its parent. Give the children of two kinds of parents different kinds. The children of placed entities have
    /// unique ids only on islands below 256.
    pub fn child(&mut self, kind: Kind, index: u8, body: Body, public: &impl Payload) {
        self.ticked.children.push(Child { kind, index, body, public: public.to_bytes() });
    }

    /// Asks the ticking entity itself, so that what a creature does lasts: a wolf takes a sheep. The entity answers it like any
    /// other ask, with itself as the actor; nobody gets the answer. After a refusal nothing more happens. A crash loses it if it
    /// is not durable yet. At most 4 per tick; further ones are dropped and counted.
    pub fn ask_self(&mut self, ask: &E::Ask) {
        self.ticked.asks.push(ask.to_bytes());
    }
}
