//! What the simulator must know of a game.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_bots::{Behaviour, Stroll};
use gundo_kernel::game::Rules;
use gundo_types::{EntityId, Kind};
use gundo_wire::journal::EventRecord;

/// A game as the simulator plays it: its rules, its players' minds, and what must hold in it besides the engine's guarantees.
pub trait Game: Send + Sync {
    /// A word for it: `--help` says it.
    fn name(&self) -> &'static str;

    /// The rules for a world of `seed`. Called for every run: keep what is costly to make.
    fn rules(&self, seed: u64) -> Arc<Rules>;

    /// The mind of player `index`. The simulator makes some players travel or gather in a crowd; what they do besides is this
    /// mind's.
    fn mind(&self, index: usize) -> Box<dyn Behaviour> {
        /// A brisk walk, mm/s: most games allow it.
        const SPEED_MM_S: u32 = 2_000;
        Box::new(Stroll::new(index as u64, SPEED_MM_S))
    }

    /// What an event does to the goods of the world, in the order in which events reach the journal. A game that leaves this
    /// out has no goods, and nothing of it is conserved.
    ///
    /// `seed`: the world's. `before`: the entity's snapshot before the event.
    fn flows(&self, seed: u64, entity: EntityId, before: &[u8], event: &[u8], flows: &mut Flows) {
        let _ = (seed, entity, before, event, flows);
    }

    /// What an entity has, by its state's [`snapshot`](gundo_kernel::game::Entity::snapshot). What it has before its first event
    /// came into the world with it.
    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let _ = (entity, snapshot, holdings);
    }

    /// Whether rules may panic. They should not, so by default one that does ends the run; a game that is there to show what the
    /// engine makes of it says true.
    fn panics(&self) -> bool {
        false
    }

    /// The game's own invariants. Called when the world is at rest, and again when everybody has left, with the durable state of
    /// every entity. (Rules that panic need none: they end the run.)
    ///
    /// # Errors
    /// What does not hold, for people.
    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let _ = facts;
        Ok(())
    }
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

/// What one event does to goods.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// Into or out of this entity.
    pub(crate) own: Holdings,
    /// From or to other entities by the same append.
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

    /// The entity has `amount` less, and others who take part in the same transaction have it.
    pub fn give(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, -(amount as i64));
        self.moved.add(goods, -(amount as i64));
    }

    /// The entity has `amount` more, from others who take part in the same transaction.
    pub fn take(&mut self, goods: Goods, amount: u64) {
        self.own.add(goods, amount as i64);
        self.moved.add(goods, amount as i64);
    }
}

/// The durable state of the world, as the journal's events give it.
pub struct Facts<'a> {
    pub(crate) states: Vec<(EntityId, bytes::Bytes)>,
    pub(crate) stream: &'a dyn Fn(EntityId) -> Vec<(u64, EventRecord)>,
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
}
