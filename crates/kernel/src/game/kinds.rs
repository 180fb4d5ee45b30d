//! A game's kinds as the engine has them: behind bytes, by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, WorldTime};
use gundo_wire::{DecodeError, Message};

use super::context::{Child, Context, RawContext, TickContext};
use super::entity::{Decision, Entity, RawDecision};
use super::refusal::Refusal;

/// An entity behind bytes, as the engine keeps it.
pub trait AnyEntity: Send {
    /// See [`Entity::decide`].
    ///
    /// # Errors
    /// The game's refusal, or `bad_command` if the bytes are not a command of this kind.
    fn decide(&self, command: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal>;
    /// See [`Entity::conclude`].
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn conclude(
        &self,
        command: &[u8],
        replies: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDecision, Refusal>;
    /// See [`Entity::create`].
    ///
    /// # Errors
    /// The game's refusal.
    fn create(&self, name: &str, cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal>;
    /// See [`Entity::apply`].
    ///
    /// # Errors
    /// The bytes are not an event of this kind.
    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError>;
    /// See [`Entity::public`].
    fn public(&self, at: WorldTime) -> Option<Bytes>;
    /// See [`Entity::next_change`].
    fn next_change(&self, at: WorldTime) -> Option<WorldTime>;
    /// See [`Entity::place`].
    fn place(&self) -> Option<Body>;
    /// See [`Entity::private`].
    fn private(&self) -> Bytes;
    /// See [`Entity::snapshot`].
    fn snapshot(&self) -> Bytes;
    /// See [`Entity::spawn`].
    fn spawn(&self, cx: &mut RawContext<'_>) -> Body;
    /// See [`Entity::speed_max`].
    fn speed_max(&self) -> u32;
    /// See [`Entity::walk`].
    ///
    /// # Errors
    /// The game's refusal.
    fn walk(&self, from: &Body, to: &Body, cx: &mut RawContext<'_>) -> Result<(), Refusal>;
    /// See [`Entity::tick`].
    fn tick(&mut self, tick_ms: u32, cx: &mut RawContext<'_>, children: &mut Vec<Child>);
    /// Forgets the volatile part.
    fn sleep(&mut self);
}

/// What the entities of a kind are in the world: it decides where they live and who sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A player: it walks, and lives on one node after the other.
    Player,
    /// The state of a chunk: one for each. It lives at its chunk's home, and everybody who sees the chunk sees it.
    Land,
    /// A thing that stands in a chunk: see [`Rules::placed`]. It lives at its chunk's home.
    Placed,
    /// Something without a place: it lives at the home of its id, and nobody sees it.
    Home,
}

impl Role {
    /// The chunk that the entity `id` of a kind with this role belongs to for ever, if it does to any.
    pub fn chunk_of(self, id: EntityId) -> Option<ChunkId> {
        match self {
            Self::Land => Some(ChunkId::from_u64(id.id)),
            Self::Placed => Some(id.chunk_of_placed()),
            Self::Player | Self::Home => None,
        }
    }
}

/// One kind of entity, as the engine knows it.
pub trait AnyKind: Send + Sync {
    /// Its name for people.
    fn name(&self) -> &'static str;
    /// What its entities are in the world.
    fn role(&self) -> Role;
    /// The entity before its first event.
    fn create(&self, id: u64) -> Box<dyn AnyEntity>;
    /// The entity as of a snapshot.
    ///
    /// # Errors
    /// The bytes are not a snapshot of this kind.
    fn restore(&self, id: u64, snapshot: &[u8]) -> Result<Box<dyn AnyEntity>, DecodeError>;
    /// An event as a person can read it.
    ///
    /// # Errors
    /// The bytes are not an event of this kind.
    fn describe_event(&self, payload: &[u8]) -> Result<String, DecodeError>;
}

/// A game: its kinds, which of them are players and land, and its shared data.
pub struct Rules {
    name: &'static str,
    kinds: BTreeMap<Kind, Box<dyn AnyKind>>,
    player: Kind,
    land: Option<Kind>,
    welcome: Bytes,
}

impl Rules {
    /// A game called `name` on `world` whose players are `P`. `P` must implement the *players only* methods.
    pub fn new<P: Entity>(name: &'static str, world: &Arc<P::World>) -> Self {
        let mut rules =
            Self { name, kinds: BTreeMap::new(), player: P::KIND, land: None, welcome: Bytes::new() };
        rules.add::<P>(world, Role::Player);
        rules
    }

    /// Declares `L` as the land: one entity for each chunk, with id [`ChunkId::to_u64`](gundo_types::ChunkId::to_u64).
    pub fn land<L: Entity>(mut self, world: &Arc<L::World>) -> Self {
        self.land = Some(L::KIND);
        self.add::<L>(world, Role::Land);
        self
    }

    /// Declares a kind whose entities stand in a chunk, such as stalls, camps and moored ships. Their ids are
    /// [`EntityId::placed`], and [`Entity::place`] says where in that chunk each stands.
    pub fn placed<E: Entity>(mut self, world: &Arc<E::World>) -> Self {
        self.add::<E>(world, Role::Placed);
        self
    }

    /// Declares a kind without a place: each lives at the home of its id.
    pub fn kind<E: Entity>(mut self, world: &Arc<E::World>) -> Self {
        self.add::<E>(world, Role::Home);
        self
    }

    /// What every client is told about the world when it is welcomed.
    pub fn welcome(mut self, description: &impl Message) -> Self {
        self.welcome = description.encode_to_vec().into();
        self
    }

    fn add<E: Entity>(&mut self, world: &Arc<E::World>, role: Role) {
        assert!(E::KIND.0 != 0, "kind 0 is not used");
        let kind = TypedKind::<E> { role, world: Arc::clone(world) };
        let before = self.kinds.insert(E::KIND, Box::new(kind));
        assert!(before.is_none(), "two kinds with number {}", E::KIND.0);
    }

    /// The game's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The kind of players.
    pub fn player_kind(&self) -> Kind {
        self.player
    }

    /// The kind of land, if the game has land.
    pub fn land_kind(&self) -> Option<Kind> {
        self.land
    }

    /// The description for clients.
    pub fn welcome_bytes(&self) -> Bytes {
        self.welcome.clone()
    }

    /// The kind with number `kind`.
    pub fn kind_of(&self, kind: Kind) -> Option<&dyn AnyKind> {
        self.kinds.get(&kind).map(Box::as_ref)
    }

    /// The chunk that `id` belongs to for ever: that of land, and of what has a place.
    pub fn chunk_of(&self, id: EntityId) -> Option<ChunkId> {
        self.kind_of(id.kind)?.role().chunk_of(id)
    }

    /// Every kind, by number.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, &dyn AnyKind)> {
        self.kinds.iter().map(|(k, v)| (*k, v.as_ref()))
    }
}

struct TypedKind<E: Entity> {
    role: Role,
    world: Arc<E::World>,
}

impl<E: Entity> AnyKind for TypedKind<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn role(&self) -> Role {
        self.role
    }

    fn create(&self, id: u64) -> Box<dyn AnyEntity> {
        let state = E::new(id, &self.world);
        Box::new(Typed { state, live: E::Live::default(), world: Arc::clone(&self.world) })
    }

    fn restore(&self, id: u64, snapshot: &[u8]) -> Result<Box<dyn AnyEntity>, DecodeError> {
        let state = E::restore(id, &self.world, snapshot)?;
        Ok(Box::new(Typed { state, live: E::Live::default(), world: Arc::clone(&self.world) }))
    }

    fn describe_event(&self, payload: &[u8]) -> Result<String, DecodeError> {
        Ok(format!("{:?}", E::Event::decode(payload)?))
    }
}

struct Typed<E: Entity> {
    state: E,
    live: E::Live,
    world: Arc<E::World>,
}

impl<E: Entity> Typed<E> {
    fn context<'a>(world: &'a E::World, cx: &'a mut RawContext<'_>) -> Context<'a, E::World> {
        let RawContext { now, id, body, actor, surroundings, rng } = cx;
        Context { now: *now, world, id: *id, body: *body, actor: *actor, surroundings: *surroundings, rng }
    }

    fn command(bytes: &[u8]) -> Result<E::Command, Refusal> {
        E::Command::decode(bytes)
            .map_err(|_| Refusal::new("bad_command", "The game did not understand that."))
    }
}

impl<E: Entity> AnyEntity for Typed<E> {
    fn decide(&self, command: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal> {
        let command = Self::command(command)?;
        self.state.decide(command, &mut Self::context(&self.world, cx)).map(Decision::into_raw)
    }

    fn conclude(
        &self,
        command: &[u8],
        replies: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDecision, Refusal> {
        let command = Self::command(command)?;
        self.state.conclude(command, replies, &mut Self::context(&self.world, cx)).map(Decision::into_raw)
    }

    fn create(&self, name: &str, cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal> {
        self.state.create(name, &mut Self::context(&self.world, cx)).map(Decision::into_raw)
    }

    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError> {
        self.state.apply(&E::Event::decode(event)?);
        Ok(())
    }

    fn public(&self, at: WorldTime) -> Option<Bytes> {
        self.state.public(at).map(Bytes::from)
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        self.state.next_change(at)
    }

    fn place(&self) -> Option<Body> {
        self.state.place()
    }

    fn private(&self) -> Bytes {
        self.state.private().into()
    }

    fn snapshot(&self) -> Bytes {
        self.state.snapshot().into()
    }

    fn spawn(&self, cx: &mut RawContext<'_>) -> Body {
        self.state.spawn(&mut Self::context(&self.world, cx))
    }

    fn speed_max(&self) -> u32 {
        self.state.speed_max(&self.world)
    }

    fn walk(&self, from: &Body, to: &Body, cx: &mut RawContext<'_>) -> Result<(), Refusal> {
        self.state.walk(from, to, &mut Self::context(&self.world, cx))
    }

    fn tick(&mut self, tick_ms: u32, cx: &mut RawContext<'_>, children: &mut Vec<Child>) {
        let world = self.world.as_ref();
        let RawContext { now, id, surroundings, rng, .. } = cx;
        let mut tick =
            TickContext { now: *now, tick_ms, world, id: *id, surroundings: *surroundings, rng, children };
        self.state.tick(&mut self.live, &mut tick);
    }

    fn sleep(&mut self) {
        self.live = E::Live::default();
    }
}
