//! A game as a whole: its kinds and its shared data.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{ChunkId, EntityId, Kind};
use gundo_wire::client::Names;

use super::decision::{Exists, Part};
use super::kinds::{AnyKind, TypedKind};
use super::methods::Registered;
use super::pace::Pace;
use super::payload::{Payload, Schema};
use super::state::{PLACED_MAX, Role};

/// Entities that one transaction may ask. With more, the command is refused with `game_error`.
pub(crate) const PARTS_MAX: usize = 16;
/// Rounds of asks in one transaction. With more, the command is refused with `game_error`.
const ROUNDS_MAX: usize = 3;
/// Entities whose public parts may be fetched for one command. With more, it is refused with `game_error`.
pub(crate) const READS_MAX: usize = 8;

fn no_kind(entity: EntityId) -> String {
    format!("the game has no kind {}: add it with `Rules::with`", entity.kind.0)
}

/// Why an id names no place, if so: no chunk, or no number in its chunk.
fn no_place(kind: &dyn AnyKind, entity: EntityId) -> Option<String> {
    match kind.role() {
        Role::Land if ChunkId::from_u64(entity.id).to_u64() != entity.id => {
            Some(format!("land has its chunk as its id, and {:x} is no chunk", entity.id))
        }
        Role::Placed if usize::from(entity.number_of_placed()) >= PLACED_MAX => {
            let number = entity.number_of_placed();
            Some(format!("{entity} has the number {number} in its chunk, and these are 0 to 255"))
        }
        _ => None,
    }
}

/// A game: its kinds and its shared data.
pub struct Rules {
    name: &'static str,
    world: Arc<dyn Any + Send + Sync>,
    world_type: &'static str,
    kinds: BTreeMap<Kind, Box<dyn AnyKind>>,
    player: Option<Kind>,
    land: Option<Kind>,
    welcome: Bytes,
    schema: Option<&'static str>,
    names: Option<Names>,
    memory_first: Vec<(Kind, u32)>,
    pace: Pace,
}

impl Rules {
    /// A game called `name`, with the data that all its kinds share; `()` if there is none.
    pub fn new<W: Send + Sync + 'static>(name: &'static str, world: W) -> Self {
        Self::shared(name, Arc::new(world))
    }

    /// As [`new`](Self::new), with data that other code shares.
    pub fn shared<W: Send + Sync + 'static>(name: &'static str, world: Arc<W>) -> Self {
        Self {
            name,
            world,
            world_type: type_name::<W>(),
            kinds: BTreeMap::new(),
            player: None,
            land: None,
            welcome: Bytes::new(),
            schema: None,
            names: None,
            pace: Pace::USUAL,
            memory_first: Vec::new(),
        }
    }

    /// Adds a kind of entity. A game has one kind of players, and at most one of land.
    ///
    /// # Panics
    /// The number or name of the kind, or the role of players or land, is taken; its number is 0; or its `world = …` is not this
    /// game's. Each of these mistakes shows when the program starts.
    pub fn with<E: Registered>(mut self) -> Self {
        let name = E::NAME;
        assert!(E::KIND.0 != 0, "kind `{name}`: kinds are numbered from 1");
        let Ok(world) = Arc::clone(&self.world).downcast::<E::World>() else {
            let (its, ours) = (type_name::<E::World>(), self.world_type);
            panic!(
                "kind `{name}` says `world = {its}`, but the rules of `{}` are made with {ours}",
                self.name
            );
        };
        if let Some(other) = self.kinds.values().find(|kind| kind.name() == name) {
            panic!("two kinds are called `{}`", other.name());
        }
        let slot = match E::ROLE {
            Role::Player => Some(&mut self.player),
            Role::Land => Some(&mut self.land),
            Role::Placed | Role::Home => None,
        };
        if let Some(slot) = slot {
            assert!(slot.is_none(), "kind `{name}`: another kind has the role {:?} already", E::ROLE);
            *slot = Some(E::KIND);
        }
        let before = self.kinds.insert(E::KIND, Box::new(TypedKind::<E> { world }));
        assert!(before.is_none(), "kind `{name}`: another kind has the number {} already", E::KIND.0);
        self
    }

    /// The description of the world that every client gets with its welcome.
    pub fn welcome(mut self, description: &impl Payload) -> Self {
        self.welcome = description.to_bytes();
        self
    }

    /// Tells clients the rules of names before anybody chooses one: from how many letters and digits to how many characters, and all
    /// rules in one sentence for people. What a name must be is up to the player's `create`; see `NameRules` of the facade.
    pub fn names(mut self, characters_min: usize, characters_max: usize, text: impl Into<String>) -> Self {
        let characters = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (characters_min, characters_max) = (characters(characters_min), characters(characters_max));
        self.names = Some(Names { characters_min, characters_max, text: text.into() });
        self
    }

    /// Sets how often a player may give commands for which [`Player::pace`](super::Player::pace) says nothing: `count` at once and per
    /// `per_ms` ms, all of them together. (Default: [`Pace::USUAL`].)
    pub fn pace(mut self, count: u32, per_ms: u32) -> Self {
        self.pace = Pace::new("", count, per_ms);
        self
    }

    /// Says that memory is enough at first for events of kind `E` with these numbers, as in its event's `oneof`: a decision that makes
    /// only such events does not wait for the disk. (Default: everything is flushed before anybody hears of it.)
    ///
    /// When the machine, or the server of the journal, goes down without warning, the last moment of such events may be gone (up to
    /// 0.6 s in PostgreSQL; in SQLite until the next event that is flushed), although players have seen them, with the answers to their
    /// commands. Nothing that was flushed later survives without them. The end of the program alone loses nothing. So it is for what
    /// nobody minds having once more, and never for what is given, paid or built. Sessions, names and places are flushed always.
    pub fn memory_first<E: Registered>(mut self, numbers: impl IntoIterator<Item = u32>) -> Self {
        self.memory_first.extend(numbers.into_iter().map(|number| (E::KIND, number)));
        self
    }

    /// The events for which memory is enough at first: kinds, and numbers in their `oneof`.
    pub fn events_in_memory_first(&self) -> &[(Kind, u32)] {
        &self.memory_first
    }

    /// Sets the `.proto` of the game's messages, for a game that defines them in one: its command `schema` prints it. Without it
    /// the engine writes one from the types with `#[message]`.
    pub fn schema(mut self, text: &'static str) -> Self {
        self.schema = Some(text);
        self
    }

    /// The `.proto` of the game's messages, for clients.
    pub fn schema_text(&self) -> String {
        if let Some(text) = self.schema {
            return text.to_owned();
        }
        let mut schema = Schema::default();
        for kind in self.kinds.values() {
            kind.describe(&mut schema);
        }
        schema.text(self.name)
    }

    /// The game's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The kind of players.
    ///
    /// # Panics
    /// The game has none.
    pub fn player_kind(&self) -> Kind {
        let name = self.name;
        self.player.unwrap_or_else(|| {
            panic!("the game `{name}` has no players: give one kind `#[state(player, …)]`")
        })
    }

    /// The kind of land, if the game has land.
    pub fn land_kind(&self) -> Option<Kind> {
        self.land
    }

    /// Why `by` cannot ask these parts in one transaction, if so. `before`: who was asked in its `rounds` earlier rounds.
    pub fn cannot_ask(
        &self,
        by: EntityId,
        (rounds, before): (usize, &[EntityId]),
        parts: &[Part],
    ) -> Option<String> {
        if parts.is_empty() {
            return Some("an ask has no part".to_owned());
        }
        if rounds >= ROUNDS_MAX {
            return Some(format!("it asks on more than {} times", ROUNDS_MAX - 1));
        }
        let asked = before.iter().copied();
        let mut entities: Vec<_> = asked.chain(parts.iter().map(|part| part.entity)).collect();
        if entities.len() > PARTS_MAX {
            let count = entities.len();
            return Some(format!("{count} entities are asked in one transaction: {PARTS_MAX} at most"));
        }
        if entities.contains(&by) {
            return Some(format!("{by} asks itself"));
        }
        entities.sort_unstable();
        if let Some(pair) = entities.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("{} is asked twice in one transaction", pair[0]));
        }
        parts.iter().find_map(|part| match part.exists {
            Exists::No if Some(part.entity.kind) == self.player => {
                Some("a player comes into the world by itself: no ask creates one".to_owned())
            }
            _ => self.cannot_answer(part.entity),
        })
    }

    /// Why an entity cannot take part in others' transactions, if so.
    pub fn cannot_answer(&self, entity: EntityId) -> Option<String> {
        let Some(kind) = self.kind_of(entity.kind) else { return Some(no_kind(entity)) };
        if !kind.is_asked() {
            return Some(format!("nobody can ask a {}: its `#[state]` has no `ask`", kind.name()));
        }
        no_place(kind, entity)
    }

    /// Why an entity cannot take messages of others, if so.
    pub fn cannot_take(&self, entity: EntityId) -> Option<String> {
        let Some(kind) = self.kind_of(entity.kind) else { return Some(no_kind(entity)) };
        if !kind.receives() {
            return Some(format!(
                "nobody can send a {} messages: its `#[state]` has no `message`",
                kind.name()
            ));
        }
        no_place(kind, entity)
    }

    /// Why an operator cannot give an entity orders, if so.
    pub fn cannot_be_ordered(&self, entity: EntityId) -> Option<String> {
        let Some(kind) = self.kind_of(entity.kind) else { return Some(no_kind(entity)) };
        if !kind.takes_orders() {
            return Some(format!("nobody can give a {} orders: its `#[state]` has no `order`", kind.name()));
        }
        no_place(kind, entity)
    }

    /// Why a decision that has read `before` public parts cannot read these too, if so.
    pub fn cannot_read(&self, wanted: &[EntityId], before: usize) -> Option<String> {
        let count = before + wanted.len();
        if count > READS_MAX {
            return Some(format!("{count} entities are read for one command: {READS_MAX} at most"));
        }
        wanted.iter().find_map(|entity| match self.kind_of(entity.kind) {
            None => Some(no_kind(*entity)),
            Some(kind) if kind.role() == Role::Player => {
                Some("a player cannot be read: only what is near sees it".to_owned())
            }
            Some(kind) => no_place(kind, *entity),
        })
    }

    /// The description for clients.
    pub fn welcome_bytes(&self) -> Bytes {
        self.welcome.clone()
    }

    /// The pace of commands that have none of their own.
    pub(crate) fn usual_pace(&self) -> Pace {
        self.pace
    }

    /// What clients are told about names.
    pub(crate) fn names_told(&self) -> Option<Names> {
        self.names.clone()
    }

    /// The kind with number `kind`.
    pub fn kind_of(&self, kind: Kind) -> Option<&dyn AnyKind> {
        self.kinds.get(&kind).map(Box::as_ref)
    }

    /// The chunk that `id` belongs to: that of land, and of a placed entity.
    pub fn chunk_of(&self, id: EntityId) -> Option<ChunkId> {
        self.kind_of(id.kind)?.role().chunk_of(id)
    }

    /// Every kind, by number.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, &dyn AnyKind)> {
        self.kinds.iter().map(|(k, v)| (*k, v.as_ref()))
    }
}
