//! What a game tells the engine: kinds of entities, and the rules each follows.
//!
//! A game implements [`Entity`] for each of its kinds and hands them over in [`Rules`]. The engine keeps each
//! entity behind [`AnyEntity`], which speaks bytes. No storage, no placement here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, EntityId, Kind, Point, WorldTime};
use gundo_wire::journal::NameChange;
use gundo_wire::{DecodeError, Message};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

thread_local! {
    /// For panic hooks only; nothing is decided by it.
    static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread runs game code at this moment: for a panic hook, which can so tell the game's panics, which the kernel
/// catches, from its own.
pub fn is_running() -> bool {
    RUNNING.get()
}

/// Runs game code; a panic in it is a refusal.
pub(crate) fn guard<T>(game: impl FnOnce() -> T) -> Result<T, Refusal> {
    RUNNING.set(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(game)).map_err(|_| game_error());
    RUNNING.set(false);
    done
}

pub(crate) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}

/// A polite no: the command had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, snake_case; clients and tests depend on it.
    pub code: Cow<'static, str>,
    /// One friendly sentence for the player.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a stable `code` and a friendly `text`.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}

/// A stateful thing of the world, kept as a line of events.
///
/// The engine calls [`decide`](Self::decide) with a command, writes the events it returns to the journal and
/// gives each to [`apply`](Self::apply), which is the only place where the state changes. The same `apply`
/// rebuilds the entity after a restart, so live state and journal agree by construction.
pub trait Entity: Sized + Send + 'static {
    /// The number of this kind: from 1, never changed once a world exists.
    const KIND: Kind;
    /// Its name for people: `player`, `land`. Used by tools.
    const NAME: &'static str;
    /// The game's shared, immutable data: maps, recipes, balance.
    type World: Send + Sync + 'static;
    /// What it can be asked to do.
    type Command: Message + Default;
    /// What can happen to it.
    type Event: Message + Default + std::fmt::Debug;
    /// Volatile part: lives only while somebody looks, is never saved.
    type Live: Default + Send + 'static;

    /// The entity before its first event.
    fn new(id: u64, world: &Self::World) -> Self;

    /// The inverse of [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// The bytes are not a snapshot of this kind.
    fn restore(id: u64, world: &Self::World, snapshot: &[u8]) -> Result<Self, DecodeError>;

    /// The whole durable state as bytes.
    ///
    /// While nodes are updated one by one, an older one reads what a newer one wrote and writes it anew: keep what is not known
    /// ([`Kept`](gundo_wire::Kept)), or it is lost. An event that is not known is applied as nothing: decide a new one only when
    /// every node knows how to apply it, that is, one version later.
    fn snapshot(&self) -> Vec<u8>;

    /// Chooses what a command does: events, a reply, or parts for other entities. Changes nothing.
    ///
    /// It may run again for the same command (after a conflict), so chance must be recorded in the event.
    ///
    /// # Errors
    /// A refusal; the command then has no effect.
    fn decide(
        &self,
        command: Self::Command,
        cx: &mut Context<'_, Self::World>,
    ) -> Result<Decision<Self>, Refusal>;

    /// Called instead of finishing when [`decide`](Self::decide) asked other entities for their parts: `replies[i]` is what
    /// the `i`-th of them answered. The events returned here and theirs take effect together or not at all.
    ///
    /// # Errors
    /// A refusal; nothing has any effect then.
    fn conclude(
        &self,
        command: Self::Command,
        replies: &[Bytes],
        cx: &mut Context<'_, Self::World>,
    ) -> Result<Decision<Self>, Refusal> {
        let _ = (command, replies, cx);
        Ok(Decision::new())
    }

    /// Changes the state by one event. Total: no clock, no chance, no refusal.
    fn apply(&mut self, event: &Self::Event);

    /// What others see at world time `at`; `None` if there is nothing to see.
    fn public(&self, at: WorldTime) -> Option<Vec<u8>>;

    /// When [`public`](Self::public) changes next by time alone, strictly after `at`; `None`: never.
    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let _ = at;
        None
    }

    /// What only the entity's own player sees: inventory and the like.
    fn private(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Players only: the first decision of a new player who asks for `name`.
    ///
    /// # Errors
    /// The name is not acceptable. A name somebody else has is refused by the engine with `name_taken`.
    fn create(&self, name: &str, cx: &mut Context<'_, Self::World>) -> Result<Decision<Self>, Refusal> {
        let _ = (name, cx);
        Ok(Decision::new())
    }

    /// Players only: where the body stands when no earlier place is known. Asked before the events of
    /// [`create`](Self::create) are applied; a decision that sets [`Decision::body`] goes first.
    fn spawn(&self, cx: &mut Context<'_, Self::World>) -> Body {
        let _ = cx;
        Body::default()
    }

    /// Players only: top speed in mm/s. The engine corrects whoever moves faster.
    fn speed_max(&self, world: &Self::World) -> u32 {
        let _ = world;
        0
    }

    /// Players only: whether the body may go straight from `from` to `to`. Speed has been checked.
    ///
    /// # Errors
    /// The way is barred; the client is corrected with the refusal's code.
    fn walk(&self, from: &Body, to: &Body, cx: &mut Context<'_, Self::World>) -> Result<(), Refusal> {
        let _ = (from, to, cx);
        Ok(())
    }

    /// Volatile behaviour, once per tick while somebody looks at where it lives. Call [`TickContext::child`] for each
    /// creature that is to be seen until the next tick.
    fn tick(&self, live: &mut Self::Live, cx: &mut TickContext<'_, Self::World>) {
        let _ = (live, cx);
    }
}

/// What an entity decided. Built by chaining: `Decision::new().event(&e).reply(&r)`.
pub struct Decision<E> {
    raw: RawDecision,
    kind: PhantomData<fn(E)>,
}

/// A decision in bytes, as the engine handles it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawDecision {
    /// Encoded events in order.
    pub events: Vec<Bytes>,
    /// Encoded reply to the player.
    pub reply: Bytes,
    /// What other entities are asked to do in the same transaction.
    pub parts: Vec<Part>,
    /// Unique names taken and released.
    pub names: Vec<NameChange>,
    /// Occurrences shown to everybody near once, after the events are durable.
    pub signals: Vec<Bytes>,
    /// A new body, visible once the events are durable.
    pub body: Option<Body>,
}

/// A command for another entity, as part of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Who is asked.
    pub entity: EntityId,
    /// The encoded command.
    pub command: Bytes,
}

impl<E: Entity> Default for Decision<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity> Decision<E> {
    /// A decision that does nothing and replies with nothing.
    pub fn new() -> Self {
        Self { raw: RawDecision::default(), kind: PhantomData }
    }

    /// Adds an event.
    pub fn event(mut self, event: &E::Event) -> Self {
        self.raw.events.push(event.encode_to_vec().into());
        self
    }

    /// Sets the reply.
    pub fn reply(mut self, reply: &impl Message) -> Self {
        self.raw.reply = reply.encode_to_vec().into();
        self
    }

    /// Asks the entity `id` of kind `T` to do `command` in the same transaction. [`Entity::conclude`] is called with its reply.
    /// What this decision holds besides parts is ignored then: `conclude` decides.
    pub fn ask<T: Entity>(mut self, id: u64, command: &T::Command) -> Self {
        let entity = EntityId::new(T::KIND, id);
        self.raw.parts.push(Part { entity, command: command.encode_to_vec().into() });
        self
    }

    /// Takes `name` in `space` for `owner`; the command is refused with `name_taken` if somebody else has it.
    pub fn take_name(mut self, space: &str, name: &str, owner: EntityId) -> Self {
        self.raw.names.push(NameChange { space: space.into(), name: name.into(), owner: Some(owner) });
        self
    }

    /// Gives `name` in `space` back.
    pub fn release_name(mut self, space: &str, name: &str) -> Self {
        self.raw.names.push(NameChange { space: space.into(), name: name.into(), owner: None });
        self
    }

    /// Shows `signal` once to everybody who sees the entity, after the events are durable.
    pub fn signal(mut self, signal: &impl Message) -> Self {
        self.raw.signals.push(signal.encode_to_vec().into());
        self
    }

    /// Puts the entity's body elsewhere.
    pub fn body(mut self, body: Body) -> Self {
        self.raw.body = Some(body);
        self
    }

    /// The decision in bytes.
    pub fn into_raw(self) -> RawDecision {
        self.raw
    }
}

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

/// The local picture of the world, reals and ghosts alike.
pub trait Surroundings {
    /// Everything with a body within `radius_mm` of `point` on `island`, in id order.
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
    surroundings: &'a dyn Surroundings,
    rng: &'a mut ChaCha8Rng,
}

impl<W> Context<'_, W> {
    /// Everything with a body within `radius_mm` of `point` on `island`, in id order.
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
    /// Its kind: any number the game does not use for an [`Entity`].
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
    surroundings: &'a dyn Surroundings,
    rng: &'a mut ChaCha8Rng,
    children: &'a mut Vec<Child>,
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
    /// chunk than its parent.
    pub fn child(&mut self, kind: Kind, index: u8, body: Body, public: &impl Message) {
        let public = public.encode_to_vec().into();
        self.children.push(Child { kind, index, body, public });
    }
}

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

/// One kind of entity, as the engine knows it.
pub trait AnyKind: Send + Sync {
    /// Its name for people.
    fn name(&self) -> &'static str;
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
        rules.add::<P>(world);
        rules
    }

    /// Declares `L` as the land: one entity for each chunk, with id [`ChunkId::to_u64`](gundo_types::ChunkId::to_u64).
    pub fn land<L: Entity>(mut self, world: &Arc<L::World>) -> Self {
        self.land = Some(L::KIND);
        self.add::<L>(world);
        self
    }

    /// Declares another kind, placed at its home.
    pub fn kind<E: Entity>(mut self, world: &Arc<E::World>) -> Self {
        self.add::<E>(world);
        self
    }

    /// What every client is told about the world when it is welcomed.
    pub fn welcome(mut self, description: &impl Message) -> Self {
        self.welcome = description.encode_to_vec().into();
        self
    }

    fn add<E: Entity>(&mut self, world: &Arc<E::World>) {
        assert!(E::KIND.0 != 0, "kind 0 is not used");
        let kind = TypedKind::<E> { world: Arc::clone(world) };
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

    /// Every kind, by number.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, &dyn AnyKind)> {
        self.kinds.iter().map(|(k, v)| (*k, v.as_ref()))
    }
}

struct TypedKind<E: Entity> {
    world: Arc<E::World>,
}

impl<E: Entity> AnyKind for TypedKind<E> {
    fn name(&self) -> &'static str {
        E::NAME
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
