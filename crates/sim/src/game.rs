//! What the simulator needs to know about a game.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use gundo_bots::{Behaviour, Stroll};
use gundo_kernel::game::Rules;
use gundo_types::{Body, EntityId, Kind, Point};
use gundo_wire::journal::EventRecord;

/// A game for the simulator: its rules, its players' minds, and its own invariants besides the engine's guarantees.
pub trait Game: Send + Sync {
    /// A word for it, for `--help`.
    fn name(&self) -> &'static str;

    /// The rules for a world of `seed`. Every run calls this: cache what is costly to make.
    fn rules(&self, seed: u64) -> Arc<Rules>;

    /// The rules for a world of thousands of players, who should not all arrive in one place. By default the same rules.
    fn rules_for_many(&self, seed: u64) -> Arc<Rules> {
        self.rules(seed)
    }

    /// The mind of player `index`. The simulator makes some players travel or gather in a crowd; this mind decides
    /// everything else they do.
    fn mind(&self, index: usize) -> Box<dyn Behaviour> {
        /// A brisk walk that most games allow, mm/s.
        const SPEED_MM_S: u32 = 2_000;
        Box::new(Stroll::new(index as u64, SPEED_MM_S))
    }

    /// What an event does to the goods of the world, in the order in which events reach the journal. A game without this
    /// method has no goods, and nothing of it is checked for conservation.
    ///
    /// `seed`: the world's. `before`: the entity's snapshot before the event.
    fn flows(&self, seed: u64, entity: EntityId, before: &[u8], event: &[u8], flows: &mut Flows) {
        let _ = (seed, entity, before, event, flows);
    }

    /// What an entity has, given its durable state, encoded. Anything it has before its
    /// first event came into the world with it.
    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let _ = (entity, snapshot, holdings);
    }

    /// Whether a player can be at this place: no, if it is in a wall, in water, or whatever the rule `walk` bars wherever one comes from.
    ///
    /// The simulator checks it of every place at which a player is shown. (It also checks that nobody is faster than the rule
    /// `speed_max` allows. A game whose decisions put players elsewhere cannot be checked for that yet.)
    fn may_stand(&self, seed: u64, at: Point) -> bool {
        let _ = (seed, at);
        true
    }

    /// A command that every player can give at any time, of each kind: once everything has healed, every player must succeed with it.
    /// `None`: the game has nothing of this kind. `body`: where the player stands. `own`: its private state.
    fn errand(&self, seed: u64, errand: Errand, body: &Body, own: &Bytes) -> Option<Bytes> {
        let _ = (seed, errand, body, own);
        None
    }

    /// The entity besides the player that a command asks; `None`: none, or many. To compare how often those who ask it succeed.
    fn asked_by(&self, command: &[u8]) -> Option<EntityId> {
        let _ = command;
        None
    }

    /// Whether a success of this command leaves no record, because it only shows something. By default none.
    fn only_shows(&self, command: &[u8]) -> bool {
        let _ = command;
        false
    }

    /// The letter that a game event of `from` sends with `Done::tell`; `None`: it sends none.
    fn letter_in(&self, from: EntityId, event: &[u8]) -> Option<Letter> {
        let _ = (from, event);
        None
    }

    /// The letter in a message that player `to` got; `None`: it is not one that an event of another sends.
    fn letter_of(&self, to: EntityId, message: &[u8]) -> Option<Letter> {
        let _ = (to, message);
        None
    }

    /// An order that an operator may give this entity, as the game's bytes; `None`: none. `chance`: any number.
    fn order(&self, entity: EntityId, chance: u64) -> Option<Bytes> {
        let _ = (entity, chance);
        None
    }

    /// What a player's refusal says of another entity's public part: it must be durable by then. `None`: nothing.
    fn seen_in(&self, code: &str, text: &str) -> Option<(EntityId, Bytes)> {
        let _ = (code, text);
        None
    }

    /// Whether rules may panic. They should not, so by default a panic ends the run. A game that exists to show how the
    /// engine handles panics returns true.
    fn panics(&self) -> bool {
        false
    }

    /// Mistakes in the game's own rules, for `mistakes`: the proof that [`check`](Self::check), [`flows`](Self::flows) and the bots find
    /// such mistakes. A name in kebab case, and what is wrong. By default none.
    fn mistakes(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The game with one of its mistakes. `None`: it has none of this name, or the program was built without mistakes.
    fn with_mistake(&self, name: &str) -> Option<Arc<dyn Game>> {
        let _ = name;
        None
    }

    /// The game's own invariants. The simulator calls this when the world is at rest, and again when all players are gone,
    /// with the durable state of every entity. (It need not check for panics of rules: they end the run.)
    ///
    /// # Errors
    /// The broken invariant, for people.
    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let _ = facts;
        Ok(())
    }
}

/// A kind of command that every player can give at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// It concerns the player alone, and leaves an event.
    Own,
    /// It asks land or another entity with a place nearby. A refusal of the game's own is good enough.
    Around,
    /// It says something to those nearby.
    Say,
    /// It tells another player something.
    Tell(EntityId),
}

/// What one entity tells a player with an event: it reaches the player once at most, and never before its event is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who sends it.
    pub from: EntityId,
    /// Who gets it.
    pub to: EntityId,
    /// Its number among the sender's.
    pub number: u64,
    /// A fingerprint of the words.
    pub words: u64,
}

/// A class of goods: an item, a currency. The number is the game's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Goods(pub u32);

/// Amounts by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings(pub(crate) BTreeMap<Goods, i64>);

impl Holdings {
    /// Adds `amount` of `goods`.
    pub fn add(&mut self, goods: Goods, amount: i64) {
        let total = self.0.entry(goods).or_insert(0);
        *total += amount;
        if *total == 0 {
            self.0.remove(&goods);
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self, sign: i64) {
        other.0.iter().for_each(|(goods, amount)| self.add(*goods, sign * amount));
    }
}

/// The effect of one event on goods.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// Into or out of this entity.
    pub(crate) own: Holdings,
    /// From or to other entities, in the same append.
    pub(crate) moved: Holdings,
    /// Into or out of the world.
    pub(crate) made: Holdings,
}

impl Flows {
    /// The entity has `amount` more, out of nothing: it grew, it was crafted, it was found.
    pub fn create(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, amount as i64);
        self.made.add(goods, amount as i64);
    }

    /// The entity has `amount` less, and so has the world: it was eaten, built in, used up.
    pub fn destroy(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, -(amount as i64));
        self.made.add(goods, -(amount as i64));
    }

    /// The entity has `amount` less, and other participants of the same transaction have it.
    pub fn give(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, -(amount as i64));
        self.moved.add(goods, -(amount as i64));
    }

    /// The entity has `amount` more, from other participants of the same transaction.
    pub fn take(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, amount as i64);
        self.moved.add(goods, amount as i64);
    }
}

/// The durable state of the world, as the journal's events produce it.
pub struct Facts<'a> {
    pub(crate) states: Vec<(EntityId, bytes::Bytes)>,
    pub(crate) stream: &'a dyn Fn(EntityId) -> Vec<(u64, EventRecord)>,
    pub(crate) names: &'a dyn Fn(&str) -> Vec<(String, EntityId)>,
}

impl Facts<'_> {
    /// Every entity of `kind` with its state's snapshot, in id order.
    pub fn states(&self, kind: Kind) -> impl Iterator<Item = (EntityId, &[u8])> {
        self.states.iter().filter(move |(id, _)| id.kind == kind).map(|(id, state)| (*id, state.as_ref()))
    }

    /// The events of an entity that were not pruned, with their seqs.
    pub fn events(&self, entity: EntityId) -> Vec<(u64, EventRecord)> {
        (self.stream)(entity)
    }

    /// The unique names of a namespace, each with its owner.
    pub fn names(&self, space: &str) -> Vec<(String, EntityId)> {
        (self.names)(space)
    }
}
