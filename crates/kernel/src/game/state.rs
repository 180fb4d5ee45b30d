//! The head of a kind: what it is made of, and which traits it has. `#[derive(State)]` writes it.

use gundo_types::{Body, Kind};
use gundo_wire::Message;

use super::context::{Actor, Context, TickContext};
use super::decision::{Decision, Done};
use super::entity::{Asked, Placed, Player, Ticking};
use super::payload::{Payload, Schema};
use super::refusal::Refusal;

/// What a kind is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A player: it has a client and a body, and lives near what it sees.
    Player,
    /// Land: one entity for each chunk, with the chunk as its id.
    Land,
    /// It stands in a chunk for all to see; its id carries the chunk.
    Placed,
    /// It stands nowhere: a guild, a board. It lives at the home of its id.
    Home,
}

/// The head of a kind of entity. Derive it: [`State`](derive@crate::game::State) lists the words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which kind of entity it is",
    note = "write `#[derive(gundo::State)] #[state(kind = 1, name = \"…\", event = …)]` above it"
)]
pub trait State: Sized + Send + 'static {
    /// The number of this kind: from 1, never changed once a world exists.
    const KIND: Kind;
    /// Its name for people and tools: `player`, `stall`.
    const NAME: &'static str;
    /// What it is to the engine.
    const ROLE: Role;
    /// Whether asking one that nobody created creates it. Always true for land.
    const ASKING_CREATES: bool;
    /// The game's shared, immutable data: maps, recipes, balance. One type for all kinds of a game.
    type World: Send + Sync + 'static;
    /// The durable state as a message. The engine encodes and decodes it, and keeps fields that a newer version wrote.
    type Durable: Message + Default + Clone;
    /// What can happen to it.
    type Event: Payload;
    /// What others see of it.
    type Public: Payload;
    /// What everybody near sees once, and nobody remembers.
    type Signal: Payload;
    /// What other entities ask of it.
    type Ask: Payload;
    /// What it answers them.
    type Answer: Payload;
    /// What a player's client can send.
    type Command: Payload;
    /// What a player's client hears of a command that succeeded.
    type Reply: Payload;
    /// What only a player's own client sees.
    type Private: Payload;
    /// Its volatile part: exists only while somebody looks, and is never saved.
    type Live: Default + Send + 'static;

    /// The entity with this durable state; before its first event that is the default.
    fn load(id: u64, world: &Self::World, durable: Self::Durable) -> Self;
    /// Its durable state.
    fn save(&self) -> Self::Durable;
    /// The rules it has.
    fn methods() -> Methods<Self>;
    /// Adds what clients must know of its messages.
    fn describe(schema: &mut Schema);
}

/// An entity whose durable state is another message than itself, because it keeps something that is made from it, such as an
/// index: say `durable = …` in `#[state]`.
pub trait Stored: State {
    /// The entity `id` with this durable state; before its first event that is the default.
    fn load(id: u64, world: &Self::World, durable: Self::Durable) -> Self;
    /// Its durable state.
    fn save(&self) -> Self::Durable;
}

/// The optional rules of a kind, as functions. `#[derive(State)]` fills it, so a trait that `#[state]` promises and nobody
/// implements is a compile error.
pub struct Methods<E: State> {
    pub(super) answer: Option<AnswerFn<E>>,
    pub(super) player: Option<PlayerMethods<E>>,
    pub(super) tick: Option<TickFn<E>>,
    pub(super) place: Option<fn(&E) -> Option<Body>>,
}

type AnswerFn<E> = fn(
    &E,
    <E as State>::Ask,
    &Actor,
    &mut Context<'_, E>,
) -> Result<(Done<E>, <E as State>::Answer), Refusal>;
type DecideFn<E> = fn(&E, <E as State>::Command, &mut Context<'_, E>) -> Result<Decision<E>, Refusal>;
type TickFn<E> = fn(&E, &mut <E as State>::Live, &mut TickContext<'_, E>);

pub(super) struct PlayerMethods<E: State> {
    pub(super) create: fn(&E, &str, &mut Context<'_, E>) -> Result<Done<E>, Refusal>,
    pub(super) spawn: fn(&E, &mut Context<'_, E>) -> Body,
    pub(super) speed_max: fn(&E, &E::World) -> u32,
    pub(super) decide: DecideFn<E>,
    pub(super) private: fn(&E) -> E::Private,
    pub(super) walk: fn(&E, &Body, &Body, &mut Context<'_, E>) -> Result<(), Refusal>,
}

impl<E: State> Default for Methods<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: State> Methods<E> {
    /// No rules but those that every entity has.
    pub fn new() -> Self {
        Self { answer: None, player: None, tick: None, place: None }
    }

    /// Others can ask it.
    pub fn asked(mut self) -> Self
    where
        E: Asked,
    {
        self.answer = Some(E::answer);
        self
    }

    /// It is a player.
    pub fn player(mut self) -> Self
    where
        E: Player,
    {
        self.player = Some(PlayerMethods {
            create: E::create,
            spawn: E::spawn,
            speed_max: E::speed_max,
            decide: E::decide,
            private: E::private,
            walk: E::walk,
        });
        self
    }

    /// It ticks while somebody looks.
    pub fn ticking(mut self) -> Self
    where
        E: Ticking,
    {
        self.tick = Some(E::tick);
        self
    }

    /// It stands in a chunk.
    pub fn placed(mut self) -> Self
    where
        E: Placed,
    {
        self.place = Some(E::place);
        self
    }
}
