//! The head of a kind: its types and its role. `#[derive(State)]` writes it.

use gundo_types::{ChunkId, EntityId, Kind};
use gundo_wire::Message;

use super::payload::{Payload, Schema};

/// What a kind is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A player: it has a client and a body, and lives near what it sees.
    Player,
    /// Land: one entity for each chunk, with the chunk as its id.
    Land,
    /// It stands in a chunk for all to see; its id carries the chunk.
    Placed,
    /// It has no place: a guild, a board. It lives at the home of its id.
    Home,
}

/// Placed entities of one kind that one chunk has room for.
pub const PLACED_MAX: usize = 256;

/// What names an entity of a kind that the type says: its number, its chunk (for land), or its id.
pub trait Key {
    /// The number of the entity, which is of kind `T`.
    ///
    /// # Panics
    /// It is the id of an entity of another kind, or a chunk although the kind is no land: a mistake in the rules.
    fn number<T: State>(self) -> u64;
}

impl Key for u64 {
    fn number<T: State>(self) -> u64 {
        self
    }
}

impl Key for ChunkId {
    fn number<T: State>(self) -> u64 {
        let name = T::NAME;
        assert!(T::ROLE == Role::Land, "a chunk names its land, and {name} is none: use `EntityId::placed`");
        self.to_u64()
    }
}

impl Key for EntityId {
    fn number<T: State>(self) -> u64 {
        assert!(self.kind == T::KIND, "{self} is no {}: that is kind {}", T::NAME, T::KIND.0);
        self.id
    }
}

impl Role {
    /// The chunk that the entity `id` of a kind with this role belongs to, if it belongs to one.
    pub fn chunk_of(self, id: EntityId) -> Option<ChunkId> {
        match self {
            Self::Land => Some(ChunkId::from_u64(id.id)),
            Self::Placed => Some(id.chunk_of_placed()),
            Self::Player | Self::Home => None,
        }
    }
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
    /// Whether an ask or a message creates one that does not exist yet. Always true for land.
    const ASKING_CREATES: bool;
    /// The game's shared, immutable data: maps, recipes, balance. One type for all kinds of a game.
    type World: Send + Sync + 'static;
    /// The durable state as a message. The engine encodes and decodes it, and keeps fields that a newer version wrote.
    type Durable: Message + Default + Clone;
    /// What can happen to it.
    type Event: Payload;
    /// What others see of it.
    type Public: Payload;
    /// What everybody near sees once, and nothing records.
    type Signal: Payload;
    /// What other entities ask of it.
    type Ask: Payload;
    /// What other entities send it: see [`Receives`](super::Receives).
    type Message: Payload;
    /// What its timers are: see [`Timed`](super::Timed).
    type Timer: Payload;
    /// What operators can order: see [`Ordered`](super::Ordered).
    type Order: Payload;
    /// Its answer to operators.
    type OrderAnswer: Payload;
    /// Its answer to other entities.
    type Answer: Payload;
    /// What a player's client can send.
    type Command: Payload;
    /// The reply to a player's client after a successful command.
    type Reply: Payload;
    /// What only a player's own client sees.
    type Private: Payload;
    /// What decisions of any entity can tell a player's client: see [`Done::tell`](super::Done::tell).
    type Tell: Payload;
    /// Its volatile part: exists only while somebody looks, and is never saved.
    type Live: Default + Send + 'static;

    /// The entity with this durable state; before its first event that is the default.
    fn from_durable(id: u64, world: &Self::World, durable: Self::Durable) -> Self;
    /// Its durable state.
    fn to_durable(&self) -> Self::Durable;
    /// Adds to the schema what clients must know of its messages.
    fn describe(schema: &mut Schema);
}

/// An entity whose durable state is a message of another type, because the entity also has derived data, such as an index: say
/// `durable = …` in `#[state]`.
pub trait Stored: State {
    /// The entity `id` with this durable state; before its first event that is the default.
    fn load(id: u64, world: &Self::World, durable: Self::Durable) -> Self;
    /// Its durable state.
    fn save(&self) -> Self::Durable;
}
