//! The edges that have registered to watch entities at home here, for their clients, and the last state that each got. Plain
//! values.
//!
//! A registration is soft state: an edge repeats it, and one that is not repeated is forgotten. A new view forgets all. When a
//! watched entity is shown: `watching`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Time};

use super::pending::Judgement;
use crate::core::Core;
use crate::peer::{HomeMessage, WATCH_EVERY_MS, WatchRefused, WatchedState};

/// After so many periods without a repeat a registration is forgotten: its edge was lost, or nobody there watches any more.
const PERIODS_MAX: u64 = 3;

/// All registrations here.
#[derive(Default)]
pub(super) struct Watchers {
    entities: BTreeMap<EntityId, Watched>,
    /// Those whose watchers get news at the next tick.
    marked: BTreeSet<EntityId>,
    /// Number of the last state that was sent.
    last: u64,
}

/// An entity that is watched. It may not be here yet.
#[derive(Default)]
struct Watched {
    /// Never empty.
    nodes: BTreeMap<NodeId, Registration>,
    /// The newest state that was sent, and its number; 0: none was.
    number: u64,
    public: Option<Bytes>,
}

/// What one edge has registered.
struct Registration {
    number: u64,
    /// Never empty.
    players: BTreeSet<EntityId>,
    at: Time,
    /// It waits for an answer, whether anything has changed or not.
    owed: bool,
}

impl Watchers {
    pub(super) fn len(&self) -> usize {
        self.entities.len()
    }

    pub(super) fn has(&self, entity: EntityId) -> bool {
        self.entities.contains_key(&entity)
    }

    /// All watched entities, in id order.
    pub(super) fn entities(&self) -> impl Iterator<Item = EntityId> {
        self.entities.keys().copied()
    }

    /// Whether an edge waits for an answer.
    pub(super) fn is_owed(&self, entity: EntityId) -> bool {
        let owed = |watched: &Watched| watched.nodes.values().any(|registration| registration.owed);
        self.entities.get(&entity).is_some_and(owed)
    }

    /// The registrations of an entity, by number, and their players.
    pub(super) fn of(&self, entity: EntityId) -> impl Iterator<Item = (NodeId, u64, &BTreeSet<EntityId>)> {
        let nodes = self.entities.get(&entity).into_iter().flat_map(|watched| &watched.nodes);
        nodes.map(|(node, registration)| (*node, registration.number, &registration.players))
    }

    /// The entities whose watchers get news at this tick.
    pub(super) fn take_marked(&mut self) -> BTreeSet<EntityId> {
        std::mem::take(&mut self.marked)
    }

    /// The entity's look, or who may watch it, may have changed.
    pub(super) fn mark(&mut self, entity: EntityId) {
        if self.has(entity) {
            self.marked.insert(entity);
        }
    }

    fn forget(&mut self, entity: EntityId) {
        self.entities.remove(&entity);
        self.marked.remove(&entity);
    }

    pub(super) fn forget_node(&mut self, entity: EntityId, node: NodeId) {
        let Some(watched) = self.entities.get_mut(&entity) else { return };
        watched.nodes.remove(&node);
        if watched.nodes.is_empty() {
            self.forget(entity);
        }
    }

    /// Takes a registration; returns the players for whom there is no room.
    pub(super) fn register(
        &mut self,
        (from, number): (NodeId, u64),
        entity: EntityId,
        players: Vec<EntityId>,
        seen: u64,
        (at, most): (Time, usize),
    ) -> Vec<EntityId> {
        let watched = self.entities.entry(entity).or_default();
        let before = watched.nodes.remove(&from);
        let knows = |player: &EntityId| before.as_ref().is_some_and(|b| b.players.contains(player));
        let others: usize = watched.nodes.values().map(|r| r.players.len()).sum();
        let (mut kept, mut new): (Vec<_>, Vec<_>) = players.into_iter().partition(knows);
        let room = most.saturating_sub(others + kept.len());
        let beyond = new.split_off(room.min(new.len()));
        let news = !new.is_empty() || seen != watched.number || watched.number == 0;
        let owed = news || before.is_some_and(|b| b.owed);
        kept.extend(new);
        let players: BTreeSet<_> = kept.into_iter().collect();
        if !players.is_empty() {
            watched.nodes.insert(from, Registration { number, players, at, owed });
        } else if watched.nodes.is_empty() {
            self.forget(entity);
        }
        beyond
    }

    /// Tells the edges of a judgement how the entity looks and which players it refuses.
    pub(super) fn tell(
        &mut self,
        core: &mut Core,
        entity: EntityId,
        public: Option<Bytes>,
        judgement: &Judgement,
    ) {
        let Some(watched) = self.entities.get_mut(&entity) else { return };
        let changed = watched.number == 0 || watched.public != public;
        if changed {
            self.last += 1;
            (watched.number, watched.public) = (self.last, public);
        }
        let state = WatchedState { number: watched.number, public: watched.public.clone() };
        for (node, asked) in &judgement.asked {
            let Some(registration) = watched.nodes.get_mut(node) else { continue };
            let refused = registration.refuse(&judgement.refused);
            if changed || registration.owed || !refused.is_empty() {
                // A later registration gets a judgement of its own.
                registration.owed &= registration.number != *asked;
                let (asked, state) = (*asked, Some(state.clone()));
                core.send_home(*node, HomeMessage::Watched { entity, asked, refused, state });
            }
        }
        watched.nodes.retain(|_, registration| !registration.players.is_empty());
        if watched.nodes.is_empty() {
            self.forget(entity);
        }
    }

    /// Refuses all players that wait for an answer; `all`: and all others.
    pub(super) fn refuse(&mut self, core: &mut Core, entity: EntityId, why: WatchRefused, all: bool) {
        let Some(watched) = self.entities.get_mut(&entity) else { return };
        for (node, registration) in watched.nodes.iter_mut().filter(|(_, r)| all || r.owed) {
            let players = std::mem::take(&mut registration.players);
            let refused = players.into_iter().map(|player| (player, why)).collect();
            let asked = registration.number;
            core.send_home(*node, HomeMessage::Watched { entity, asked, refused, state: None });
        }
        watched.nodes.retain(|_, registration| !registration.players.is_empty());
        if watched.nodes.is_empty() {
            self.forget(entity);
        }
    }

    /// Forgets registrations that were not repeated.
    pub(super) fn expire(&mut self, now: Time) {
        let fresh = |r: &Registration| now.since(r.at) < PERIODS_MAX * WATCH_EVERY_MS * 1_000;
        for watched in self.entities.values_mut() {
            watched.nodes.retain(|_, registration| fresh(registration));
        }
        self.entities.retain(|_, watched| !watched.nodes.is_empty());
        self.marked.retain(|entity| self.entities.contains_key(entity));
    }

    /// Of the entity that most players watch: how many do.
    pub(super) fn most(&self) -> usize {
        let players = |watched: &Watched| watched.nodes.values().map(|r| r.players.len()).sum();
        self.entities.values().map(players).max().unwrap_or(0)
    }

    /// Asserts the invariants between two inputs.
    pub(super) fn check(&self, core: &Core) {
        for (entity, watched) in &self.entities {
            let counts = watched.nodes.values().map(|r| r.players.len());
            assert!(
                !watched.nodes.is_empty() && counts.clone().all(|n| n > 0),
                "{entity}: somebody watches it"
            );
            let bounded = counts.sum::<usize>() <= core.world().limits.watchers_max;
            assert!(bounded, "{entity}: its watchers are bounded");
            assert!(watched.number <= self.last, "{entity}: its state is numbered here");
            assert_eq!(core.home_of(*entity), Some(core.me()), "{entity}: it is watched at its home");
        }
        assert!(self.marked.iter().all(|entity| self.has(*entity)), "only watched entities are marked");
    }
}

impl Registration {
    /// Removes the refused players, and returns them.
    fn refuse(&mut self, refused: &BTreeMap<EntityId, WatchRefused>) -> Vec<(EntityId, WatchRefused)> {
        let here = refused.iter().filter(|(player, _)| self.players.contains(player));
        let here: Vec<_> = here.map(|(player, why)| (*player, *why)).collect();
        for (player, _) in &here {
            self.players.remove(player);
        }
        here
    }
}
