//! The rules of one kind of entity, and what they decide.

use std::marker::PhantomData;

use bytes::Bytes;
use gundo_types::{Body, EntityId, Kind, WorldTime};
use gundo_wire::journal::NameChange;
use gundo_wire::{DecodeError, Message};

use super::context::{Context, TickContext};
use super::refusal::Refusal;

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
    /// While nodes are updated one by one, an older one reads what a newer one wrote and writes it again: keep the fields you do not know
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

    /// Whether the player `who` may watch the entity by its id, wherever it is, and so see [`public`](Self::public). Asked when it
    /// begins to, and again after each durable change. Players are never watched. Default: nobody may.
    fn may_watch(&self, who: EntityId) -> bool {
        let _ = who;
        false
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

    /// Players only: top speed in mm/s. The engine corrects a player that moves faster.
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
    /// What single players are told, after the events are durable: 16 at most.
    pub tells: Vec<Tell>,
}

/// A message for one player.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    /// Who is told.
    pub player: EntityId,
    /// The encoded message.
    pub message: Bytes,
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

    /// Tells `player`, and nobody else, after the events are durable; it may be anywhere in the world. The message may be lost: what
    /// must not be is part of an event.
    pub fn tell(mut self, player: EntityId, message: &impl Message) -> Self {
        self.raw.tells.push(Tell { player, message: message.encode_to_vec().into() });
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
