//! A game as a whole: its kinds and its shared data.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::Kind;

use super::entity::Entity;
use super::kinds::{AnyKind, TypedKind};
use super::payload::{Payload, Schema};
use super::state::Role;

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
}

impl Rules {
    /// A game called `name`, with the data that all its kinds share: `()`, a value, or an `Arc` of one.
    pub fn new<W: Send + Sync + 'static>(name: &'static str, world: impl Into<Arc<W>>) -> Self {
        Self {
            name,
            world: world.into(),
            world_type: type_name::<W>(),
            kinds: BTreeMap::new(),
            player: None,
            land: None,
            welcome: Bytes::new(),
            schema: None,
        }
    }

    /// Adds a kind of entity. A game has one kind of players, and at most one of land.
    ///
    /// # Panics
    /// The number or name of the kind, or the role of players or land, is taken; its number is 0; or its `world = …` is not this
    /// game's. All of that shows when the program starts.
    pub fn with<E: Entity>(mut self) -> Self {
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

    /// What every client hears about the world when it is welcomed.
    pub fn welcome(mut self, description: &impl Payload) -> Self {
        self.welcome = description.to_bytes();
        self
    }

    /// The `.proto` of the game's messages, for a game that writes them in one: what its command `schema` prints. Without it the engine
    /// writes one from the types with `#[message]`.
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
