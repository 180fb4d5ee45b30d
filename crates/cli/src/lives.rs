//! What a game tells the journal's tools: who is called what, which unique things there are, and what an event says of them. The engine
//! knows none of this: to it events and states are bytes.

use gundo_types::EntityId;

/// A game's words for the lives of its players and of its unique things, for `journal item` and `journal player`. A game without unique
/// things leaves the methods about them as they are.
///
/// Everything here must read what every version of the game has written, and must not panic on bytes that it cannot read.
pub trait Lives {
    /// What people call an entity, given its durable state. `None`: it has no name.
    fn name(&self, entity: EntityId, state: &[u8]) -> Option<String>;

    /// Where a player whose name somebody typed is in the table of unique names: namespaces and keys, to be tried in this order.
    fn keys(&self, typed: &str) -> Vec<(&'static str, String)>;

    /// A durable state in lines that people can read.
    fn describe(&self, entity: EntityId, state: &[u8]) -> Vec<String>;

    /// The unique things in a durable state.
    fn things(&self, entity: EntityId, state: &[u8]) -> Vec<Thing> {
        let _ = (entity, state);
        Vec::new()
    }

    /// What an event of `entity` says of unique things.
    fn mentions(&self, entity: EntityId, event: &[u8]) -> Vec<Mention> {
        let _ = (entity, event);
        Vec::new()
    }

    /// Bytes that are in every event and every state that has the thing `id`: the journal is searched for them. By default the id as a
    /// `fixed64` field of a message.
    fn trace(&self, id: u64) -> Vec<u8> {
        id.to_le_bytes().to_vec()
    }
}

/// A unique thing, where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its id.
    pub id: u64,
    /// What it is: `axe`.
    pub what: String,
    /// Where in the entity: `in the bag`.
    pub place: String,
}

/// What an event says of a unique thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Its id.
    pub id: u64,
    /// What the event does.
    pub step: Step,
    /// What happened, for people, without the name of the entity: `gave it to`.
    pub words: String,
    /// Whose name follows the words.
    pub other: Option<EntityId>,
}

/// What an event does to a thing. Of two events of one moment the lower comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It begins.
    Made,
    /// It stays with the entity, in another place.
    Stays,
    /// It leaves the entity.
    Goes,
    /// It comes to the entity.
    Comes,
    /// It ends.
    Ends,
}
