//! Checks a journal from outside: replays every stream by the game's rules, and accounts for every event's goods.
//!
//! The simulator's judge keeps such records during a run and knows each append. Here only the journal of a real world is
//! known, after the fact. The invariants are the same: no gaps in seqs, no command takes effect twice, every event does to
//! the goods what it declares, and the entities together have exactly what was created.

use std::collections::{BTreeMap, BTreeSet};

use gundo_kernel::game::Rules;
use gundo_types::EntityId;
use gundo_wire::Message;
use gundo_wire::journal::{Cause, EventRecord, EventType};

use crate::game::{Flows, Game, Goods, Holdings};
use crate::judge::{Guarantee, Violation, violated};

/// The ledger of a world, stream by stream.
pub struct Audit<'a> {
    seed: u64,
    game: &'a dyn Game,
    rules: std::sync::Arc<Rules>,
    made: Holdings,
    /// What moved within the world: it must sum to nothing.
    moved: Holdings,
    held: BTreeMap<EntityId, Holdings>,
    events: u64,
    effects: u64,
}

impl<'a> Audit<'a> {
    /// An empty ledger of a world of `seed`.
    pub fn new(seed: u64, game: &'a dyn Game) -> Self {
        Self {
            seed,
            game,
            rules: game.rules(seed),
            made: Holdings::default(),
            moved: Holdings::default(),
            held: BTreeMap::new(),
            events: 0,
            effects: 0,
        }
    }

    /// Adds a stream, from its first event: it must not be pruned.
    ///
    /// # Errors
    /// The guarantee it violates.
    pub fn take(&mut self, entity: EntityId, events: &[(u64, EventRecord)]) -> Result<(), Violation> {
        let Some(kind) = self.rules.kind_of(entity.kind) else {
            return violated(Guarantee::G3, format!("{entity} is of a kind the game does not have"));
        };
        let mut state = kind.create(entity.id);
        let mut snapshot = state.snapshot();
        let mut holdings = Holdings::default();
        // What an entity starts with came into the world with it.
        self.game.holdings(entity, &snapshot, &mut holdings);
        self.made.add_all(&holdings, 1);
        let mut commands = BTreeSet::new();
        for (expected, (seq, event)) in (1..).zip(events) {
            if *seq != expected {
                return violated(
                    Guarantee::G2,
                    format!("{entity}: event {seq} is in the place of {expected}"),
                );
            }
            let Ok(cause) = Cause::decode(event.cause.as_ref()) else {
                return violated(
                    Guarantee::G3,
                    format!("{entity}: the cause of event {seq} does not decode"),
                );
            };
            if cause.seq > 0 {
                self.effects += 1;
                if !commands.insert(cause.seq) {
                    let text =
                        format!("{entity}: command {} took effect twice, again in event {seq}", cause.seq);
                    return violated(Guarantee::G5, text);
                }
            }
            self.events += 1;
            if event.event_type != EventType::Game {
                continue;
            }
            if state.apply(event.payload.as_ref()).is_err() {
                return violated(Guarantee::G3, format!("{entity}: event {seq} does not decode"));
            }
            let mut flows = Flows::default();
            self.game.flows(self.seed, entity, &snapshot, event.payload.as_ref(), &mut flows);
            snapshot = state.snapshot();
            holdings.add_all(&flows.own, 1);
            let mut after = Holdings::default();
            self.game.holdings(entity, &snapshot, &mut after);
            if after != holdings {
                let text =
                    format!("{entity} holds {:?} after event {seq}; by its word {:?}", after.0, holdings.0);
                return violated(Guarantee::G4, text);
            }
            if let Some((goods, amount)) = after.0.iter().find(|(_, amount)| **amount < 0) {
                return violated(Guarantee::G4, format!("{entity} has {amount} of {goods:?}"));
            }
            self.moved.add_all(&flows.moved, 1);
            self.made.add_all(&flows.made, 1);
        }
        self.held.insert(entity, holdings);
        Ok(())
    }

    /// Closes the ledger: the world must have exactly what was created.
    ///
    /// # Errors
    /// It has more or less, or more was given than taken.
    pub fn close(&self) -> Result<(), Violation> {
        if self.moved != Holdings::default() {
            return violated(Guarantee::G6, format!("{:?} was taken and never given", self.moved.0));
        }
        let mut held = Holdings::default();
        self.held.values().for_each(|h| held.add_all(h, 1));
        if held != self.made {
            return violated(
                Guarantee::G4,
                format!("the world holds {:?}; {:?} was made", held.0, self.made.0),
            );
        }
        Ok(())
    }

    /// The goods of `entity`; `None`: there is no such stream.
    pub fn holdings(&self, entity: EntityId) -> Option<impl Iterator<Item = (Goods, i64)>> {
        Some(self.held.get(&entity)?.0.iter().map(|(goods, amount)| (*goods, *amount)))
    }

    /// Counts of streams, of events, and of commands that took effect.
    pub fn counts(&self) -> (usize, u64, u64) {
        (self.held.len(), self.events, self.effects)
    }
}
