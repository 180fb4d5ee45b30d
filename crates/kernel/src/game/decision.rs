//! What a rule decides: it is done, or it asks others first.

use std::any::Any;
use std::marker::PhantomData;

use bytes::Bytes;
use gundo_types::{Body, EntityId, WorldTime};
use gundo_wire::journal::NameChange;

use super::context::RawContext;
use super::payload::Payload;
use super::refusal::Refusal;
use super::state::{Key, State};

/// What happens, once all of it is durable: events, and the news of them for others. Built by chaining.
pub struct Done<E> {
    pub(super) raw: RawDone,
    kind: PhantomData<fn(E)>,
}

/// [`Done`] in bytes, as the engine handles it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawDone {
    /// Encoded events in order.
    pub events: Vec<Bytes>,
    /// Encoded reply to the player, or answer to the asking entity.
    pub reply: Bytes,
    /// Unique names taken and released.
    pub names: Vec<NameChange>,
    /// Signals that everybody near sees once, after the events are durable.
    pub signals: Vec<Bytes>,
    /// Messages to single players, sent after the events are durable.
    pub tells: Vec<Tell>,
    /// Messages to other entities, owed from the same append on.
    pub sends: Vec<Sending>,
    /// Timers of the entity itself that are set or cancelled in the same append.
    pub timers: Vec<Timing>,
    /// A new body, visible once the events are durable.
    pub body: Option<Body>,
}

/// A message for one player's client.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    /// The player who gets it.
    pub player: EntityId,
    /// The encoded message.
    pub message: Bytes,
}

/// A message to another entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// The receiver.
    pub to: EntityId,
    /// The encoded message.
    pub message: Bytes,
}

/// A timer that a decision sets or cancels.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The encoded timer.
    pub timer: Bytes,
    /// When it is due; `None`: never, it is cancelled.
    pub at: Option<WorldTime>,
}

impl<E: State> Default for Done<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: State> Done<E> {
    /// Nothing happens, and it is a success. A decision without events, names, body, timers and messages leaves no row in the
    /// journal: a crash of the player's node may forget that it was answered, and a client that sends it again then has it decided
    /// once more. Add an event to what must not happen twice.
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

    /// Takes all of `names` in `space` for `owner`: the keys of one name, say (`gundo::names::Name::keys`).
    pub fn take_names<'a>(
        self,
        space: &str,
        names: impl IntoIterator<Item = &'a str>,
        owner: EntityId,
    ) -> Self {
        names.into_iter().fold(self, |done, name| done.take_name(space, name, owner))
    }

    /// Releases `name` in `space`.
    pub fn release_name(mut self, space: &str, name: &str) -> Self {
        self.raw.names.push(NameChange { space: space.into(), name: name.into(), owner: None });
        self
    }

    /// Shows `signal` once to everybody who sees the entity, after the events are durable.
    pub fn signal(mut self, signal: &E::Signal) -> Self {
        self.raw.signals.push(signal.to_bytes());
        self
    }

    /// Sends `message` to the client of `player` alone, wherever that is, after the events are durable. It may be lost: a player
    /// who is not connected never gets it. `P` is the player's kind, which declares the type with `tell = …`. At most 16 per
    /// decision.
    ///
    /// # Panics
    /// `player` is the id of an entity of another kind: a mistake in the rules.
    pub fn tell<P: State>(mut self, player: impl Key, message: &P::Tell) -> Self {
        let player = EntityId::new(P::KIND, player.number::<P>());
        self.raw.tells.push(Tell { player, message: message.to_bytes() });
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

/// What a player decides about a command: [`Done`], or an [`Ask`](super::Ask) with a conclusion.
///
/// A decision that asks contains nothing else: the conclusion decides what happens to the player, when the answers are there.
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
    pub(super) fn asks(ask: RawAsk) -> Self {
        Self { raw: RawDecision::Ask(ask), kind: PhantomData }
    }

    pub(super) fn into_raw(self) -> RawDecision {
        self.raw
    }
}

/// [`Decision`] in bytes, as the engine handles it.
pub enum RawDecision {
    /// It is done.
    Done(RawDone),
    /// Others are asked first.
    Ask(RawAsk),
}

/// A transaction that a decision asks for.
pub struct RawAsk {
    /// The asks: 1 to 16 parts, each of a different entity.
    pub parts: Vec<Part>,
    /// The conclusion from the answers.
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

/// Whether an asked entity must exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exists {
    /// It has events, or its kind says that asking creates. Otherwise the ask is refused with `no_such_entity`.
    #[default]
    Yes,
    /// It has none, or it is of a placed kind and has no place (a closed stall). Otherwise the ask is refused with
    /// `already_exists`.
    No,
}

impl Exists {
    /// Why an ask does not reach the rules, if so. `exists`: whether the entity has events; `stands`: whether it has a place, if its
    /// kind is placed.
    pub fn refusal(self, exists: bool, stands: bool, asking_creates: bool) -> Option<Refusal> {
        match self {
            Self::Yes if !exists && !asking_creates => {
                Some(Refusal::new("no_such_entity", "That does not exist."))
            }
            Self::No if exists && stands => Some(Refusal::new("already_exists", "That exists already.")),
            Self::Yes | Self::No => None,
        }
    }
}

/// The conclusion from the answers of all asked entities.
pub trait Conclude: Send {
    /// Decides the asking entity's own part, or asks on in the same transaction. `entity` is the one whose decision asked;
    /// `answers` are those to its last asks.
    ///
    /// # Errors
    /// The game's refusal, or `game_error` if an answer cannot be read.
    fn conclude(
        &self,
        entity: &dyn Any,
        answers: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDecision, Refusal>;
}
