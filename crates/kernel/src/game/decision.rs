//! What a rule decides: it is done, or others are asked first.

use std::any::Any;
use std::marker::PhantomData;

use bytes::Bytes;
use gundo_types::{Body, EntityId};
use gundo_wire::journal::NameChange;

use super::context::{Context, RawContext};
use super::entity::{Asked, Player};
use super::kinds::Typed;
use super::payload::Payload;
use super::refusal::{Refusal, game_error};
use super::state::State;

/// What happens, once all of it is durable: events, and what others hear of them. Built by chaining.
pub struct Done<E> {
    raw: RawDone,
    kind: PhantomData<fn(E)>,
}

/// [`Done`] in bytes, as the engine handles it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawDone {
    /// Encoded events in order.
    pub events: Vec<Bytes>,
    /// Encoded reply to the player, or answer to who asked.
    pub reply: Bytes,
    /// Unique names taken and released.
    pub names: Vec<NameChange>,
    /// What everybody near sees once, after the events are durable.
    pub signals: Vec<Bytes>,
    /// What single players hear, after the events are durable.
    pub tells: Vec<Tell>,
    /// A new body, visible once the events are durable.
    pub body: Option<Body>,
}

/// A message for one player's client.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    /// Who hears it.
    pub player: EntityId,
    /// The encoded message.
    pub message: Bytes,
}

impl<E: State> Default for Done<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: State> Done<E> {
    /// Nothing happens, and it is a success. The engine remembers the answer all the same.
    pub fn new() -> Self {
        Self { raw: RawDone::default(), kind: PhantomData }
    }

    /// Adds an event.
    pub fn event(mut self, event: &E::Event) -> Self {
        self.raw.events.push(event.to_bytes());
        self
    }

    /// Takes `name` in `space` for `owner`; the engine refuses the command with `name_taken` if somebody else has it.
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
    pub fn signal(mut self, signal: &E::Signal) -> Self {
        self.raw.signals.push(signal.to_bytes());
        self
    }

    /// Sends `message` to the client of `player` alone, wherever that is, after the events are durable. It may be lost: a player who
    /// is not connected never hears it. At most 16 per decision.
    pub fn tell(mut self, player: EntityId, message: &impl Payload) -> Self {
        self.raw.tells.push(Tell { player, message: message.to_bytes() });
        self
    }

    /// What the player's client hears. Without it, the reply is empty.
    pub fn reply(mut self, reply: &E::Reply) -> Self
    where
        E: Player,
    {
        self.raw.reply = reply.to_bytes();
        self
    }

    /// Puts the player's body elsewhere.
    pub fn body(mut self, body: Body) -> Self
    where
        E: Player,
    {
        self.raw.body = Some(body);
        self
    }

    pub(super) fn into_raw(self) -> RawDone {
        self.raw
    }

    pub(super) fn into_answer(mut self, answer: &E::Answer) -> RawDone {
        self.raw.reply = answer.to_bytes();
        self.raw
    }
}

/// What a player decides about a command: [`Done`], or an [`Ask`] with what follows from the answers.
///
/// A decision that asks has nothing else in it: what happens to the player is decided when the answers are there.
pub struct Decision<E> {
    raw: RawDecision,
    kind: PhantomData<fn(E)>,
}

impl<E: State> From<Done<E>> for Decision<E> {
    fn from(done: Done<E>) -> Self {
        Self { raw: RawDecision::Done(done.raw), kind: PhantomData }
    }
}

impl<E: State> Decision<E> {
    pub(super) fn into_raw(self) -> RawDecision {
        self.raw
    }
}

/// [`Decision`] in bytes, as the engine handles it.
pub enum RawDecision {
    /// It is done.
    Done(RawDone),
    /// Others are asked.
    Ask(RawAsk),
}

/// A transaction that a decision asks for.
pub struct RawAsk {
    /// Who is asked what: 1 to 16 parts, each of another entity.
    pub parts: Vec<Part>,
    /// What follows from the answers.
    pub then: Box<dyn Conclude>,
}

/// An ask of another entity, as part of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Who is asked.
    pub entity: EntityId,
    /// The encoded ask.
    pub ask: Bytes,
    /// Whether it must exist.
    pub exists: Exists,
}

/// What is expected of an entity that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exists {
    /// It has events, or its kind says that asking creates. Otherwise the ask is refused with `no_such_entity`.
    #[default]
    Yes,
    /// It has none. Otherwise the ask is refused with `already_exists`.
    No,
}

/// What follows from the answers of everybody who was asked.
pub trait Conclude: Send {
    /// The asking entity's own part. `entity` is the one whose decision asked.
    ///
    /// # Errors
    /// The game's refusal, or `game_error` if an answer cannot be read.
    fn conclude(
        &self,
        entity: &dyn Any,
        answers: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal>;
}

/// Begins a transaction: asks other entities, and says with [`then`](Asking::then) what follows from their answers. Everything takes
/// effect together or not at all, whatever crashes meanwhile.
///
/// At most 16 entities, each once. A player cannot be asked. While it is being asked, an entity answers nobody else; asks for the same
/// entity wait or are tried again, for at most 3 s: then the command is refused with `busy`.
#[derive(Debug)]
pub struct Ask;

impl Ask {
    /// Asks the entity `id` of kind `T`, which must exist: otherwise the command is refused with `no_such_entity`. For land, `id` is its
    /// chunk.
    pub fn of<T: Asked>(id: impl Into<u64>, ask: &T::Ask) -> Asking<One<T>> {
        Asking { parts: vec![part::<T>(id.into(), ask, Exists::Yes)], answers: PhantomData }
    }

    /// Asks the entity `id` of kind `T`, which must not exist: its first events create it. Otherwise the command is refused with
    /// `already_exists`.
    pub fn create<T: Asked>(id: impl Into<u64>, ask: &T::Ask) -> Asking<One<T>> {
        Asking { parts: vec![part::<T>(id.into(), ask, Exists::No)], answers: PhantomData }
    }

    /// Asks several entities of one kind the same. Their answers come in this order.
    pub fn each<T: Asked>(ids: impl IntoIterator<Item = impl Into<u64>>, ask: &T::Ask) -> Asking<Many<T>> {
        let parts = ids.into_iter().map(|id| part::<T>(id.into(), ask, Exists::Yes)).collect();
        Asking { parts, answers: PhantomData }
    }
}

fn part<T: Asked>(id: u64, ask: &T::Ask, exists: Exists) -> Part {
    Part { entity: EntityId::new(T::KIND, id), ask: ask.to_bytes(), exists }
}

/// A transaction that is being put together. It does nothing before [`then`](Self::then).
#[must_use = "an ask without `then` asks nobody"]
pub struct Asking<A> {
    parts: Vec<Part>,
    answers: PhantomData<fn(A)>,
}

impl<A: Answers> Asking<A> {
    /// Asks another entity besides. The closure of [`then`](Self::then) gets the answers as a pair.
    pub fn and<T: Asked>(mut self, id: impl Into<u64>, ask: &T::Ask) -> Asking<Both<A, One<T>>> {
        self.parts.push(part::<T>(id.into(), ask, Exists::Yes));
        Asking { parts: self.parts, answers: PhantomData }
    }

    /// Creates another entity besides, as [`Ask::create`].
    pub fn and_create<T: Asked>(mut self, id: impl Into<u64>, ask: &T::Ask) -> Asking<Both<A, One<T>>> {
        self.parts.push(part::<T>(id.into(), ask, Exists::No));
        Asking { parts: self.parts, answers: PhantomData }
    }

    /// What follows from the answers: what happens to the asking entity itself, or a refusal, and then nothing happens to anybody.
    ///
    /// The closure gets the entity as it is then, the answers, and a context. It may run again, like `decide`.
    pub fn then<E: State>(
        self,
        conclude: impl Fn(&E, A::Out, &mut Context<'_, E>) -> Result<Done<E>, Refusal> + Send + 'static,
    ) -> Decision<E> {
        let then: Conclusion<E, A, _> = Conclusion { conclude, kinds: PhantomData };
        let raw = RawDecision::Ask(RawAsk { parts: self.parts, then: Box::new(then) });
        Decision { raw, kind: PhantomData }
    }
}

/// The answers to a set of asks, by type.
pub trait Answers: 'static {
    /// What the closure gets.
    type Out;
    /// Reads them, in the order of the asks. `None`: one is not such an answer.
    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Self::Out>;
}

/// One entity's answer.
pub struct One<T>(PhantomData<fn(T)>);
/// The answers of several entities of one kind: all that are left.
pub struct Many<T>(PhantomData<fn(T)>);
/// Those of both.
pub struct Both<A, B>(PhantomData<fn(A, B)>);

impl<T: Asked> Answers for One<T> {
    type Out = T::Answer;

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<T::Answer> {
        T::Answer::from_bytes(answers.next()?).ok().flatten()
    }
}

impl<T: Asked> Answers for Many<T> {
    type Out = Vec<T::Answer>;

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Vec<T::Answer>> {
        answers.map(|answer| T::Answer::from_bytes(answer).ok().flatten()).collect()
    }
}

impl<A: Answers, B: Answers> Answers for Both<A, B> {
    type Out = (A::Out, B::Out);

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Self::Out> {
        Some((A::read(answers)?, B::read(answers)?))
    }
}

struct Conclusion<E, A, F> {
    conclude: F,
    kinds: PhantomData<fn(E, A)>,
}

impl<E, A, F> Conclude for Conclusion<E, A, F>
where
    E: State,
    A: Answers,
    F: Fn(&E, A::Out, &mut Context<'_, E>) -> Result<Done<E>, Refusal> + Send,
{
    fn conclude(
        &self,
        entity: &dyn Any,
        answers: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal> {
        let entity: &Typed<E> = entity.downcast_ref().expect("an entity concludes what it has asked itself");
        let mut rest = answers.iter();
        let answers = A::read(&mut rest).filter(|_| rest.next().is_none()).ok_or_else(game_error)?;
        (self.conclude)(&entity.state, answers, &mut entity.context(cx)).map(Done::into_raw)
    }
}
