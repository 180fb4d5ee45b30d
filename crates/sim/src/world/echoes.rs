//! Profile `echoes`: members say again what was said before, to whom it was said or to anybody, in whatever state that one is now.
//!
//! Such a message is real, with names and numbers of this very world, and fits nothing. What it makes of the world is not judged:
//! members trust each other. Only one thing is: no node may break down on it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use gundo_bots::Chance;
use gundo_kernel::{Label, Peer};

use super::{Flight, Key, World};
use crate::people::chance;
use crate::plan::{Dial, Profile};

/// Messages of each sort that are kept.
const KEPT: usize = 24;
/// Mean time between two echoes, ms.
const EVERY_MS: u64 = 4;
/// Messages of which the first is taken that no node has had in such a state.
const TRIES: usize = 12;
/// Of so many messages to or about players, one is to or about another.
const OTHERS_IN: u64 = 3;
/// Of so many echoes, one goes to a random node rather than to whom it was said.
const ASTRAY_IN: u64 = 4;

/// What was said, and will be again.
pub(super) struct Echoes {
    said: BTreeMap<u64, Vec<(Key, Key, Peer)>>,
    chance: Chance,
}

impl Echoes {
    pub(super) fn new(seed: u64) -> Self {
        Self { said: BTreeMap::new(), chance: chance(seed, 5) }
    }

    fn keep(&mut self, from: Key, to: Key, message: &Peer) {
        let said = self.said.entry(sort(message)).or_default();
        let place = if said.len() < KEPT { said.len() } else { self.chance.below(4 * KEPT as u64) as usize };
        // A full list takes one in four, so that it has young ones and old ones.
        if place < KEPT {
            said.truncate(KEPT);
            let kept = (from, to, message.clone());
            if place == said.len() { said.push(kept) } else { said[place] = kept }
        }
    }

    /// One of the messages: of a sort that is as likely as any other.
    fn some(&mut self) -> Option<(Key, Key, Peer)> {
        let sorts = self.said.len() as u64;
        let sort = (sorts > 0).then(|| self.chance.below(sorts))?;
        let said = self.said.values().nth(sort as usize)?;
        Some(said[self.chance.below(said.len() as u64) as usize].clone())
    }
}

/// What kind of message it is: the same number for each of that kind.
fn sort(message: &Peer) -> u64 {
    let mut hasher = DefaultHasher::new();
    discriminant(message).hash(&mut hasher);
    match message {
        Peer::Home { message, .. } => discriminant(message).hash(&mut hasher),
        Peer::ToPlayer { message, .. } => discriminant(message).hash(&mut hasher),
        Peer::ToEdge { message, .. } => discriminant(message).hash(&mut hasher),
        Peer::Handoff { message, .. } => discriminant(message).hash(&mut hasher),
        Peer::Transaction { message, .. } => discriminant(message).hash(&mut hasher),
        _ => {}
    }
    hasher.finish()
}

impl World {
    /// Whether members say again what was said before.
    pub(crate) fn echoes(&self) -> bool {
        self.plan.profile == Profile::Echoes
    }

    /// Keeps the last label of each link, to write another one like it, and messages to be said again.
    pub(super) fn note_said(&mut self, from: Key, to: Key, label: Label, message: &Peer) {
        if self.echoes() {
            self.echoes.keep(from, to, message);
        } else if !self.plan.dials.contains_key(&Dial::Forged) {
            return;
        }
        self.links.entry((from, to)).or_default().label = label;
    }

    /// Something that was said, as it could be said now: to whom it was said, or to another node, or about another.
    fn some_echo(&mut self) -> Option<(Key, Key, Peer)> {
        let (from, to, mut message) = self.echoes.some()?;
        let chance = &mut self.echoes.chance;
        let astray = chance.below(ASTRAY_IN) == 0;
        let mut node = if astray { 1 + chance.below(u64::from(self.plan.nodes)) as u16 } else { to.node };
        let of_another = chance.below(OTHERS_IN) == 0;
        let other = &self.people[chance.below(self.people.len() as u64) as usize];
        let client = other.current.filter(|_| of_another).map(|client| &self.clients[client]);
        let session = client.and_then(|client| Some((client.session.player()?, client.conn?)));
        // With the view of now, so that it is heard.
        match (&mut message, session) {
            (Peer::Home { epoch, .. }, _) => *epoch = self.coordinator.view.epoch,
            (Peer::ToEdge { conn, player, .. }, Some((its, (edge, to)))) => {
                (*conn, *player, node) = (to, its, edge.node);
            }
            (Peer::ToPlayer { player: about, .. } | Peer::Handoff { entity: about, .. }, Some((its, _))) => {
                *about = its;
            }
            _ => {}
        }
        Some((self.key(from.node), self.key(node), message))
    }

    /// Somebody says something again.
    pub(super) fn echo(&mut self) {
        if !self.faulty {
            return;
        }
        let wait_us = self.echoes.chance.below(2 * EVERY_MS * 1_000);
        self.fly(wait_us, Flight::Echo);
        let (had, mut echo) = (self.covered(), None);
        for _ in 0..TRIES {
            echo = self.some_echo();
            if echo.as_ref().is_some_and(|(_, to, message)| self.is_new(&had, *to, message)) {
                break;
            }
        }
        let Some((from, to, message)) = echo else { return };
        let Some(link) = self.links.get(&(from, to)).filter(|link| link.label.from > 0) else { return };
        // Without a number it is taken whatever else is on its way.
        let label = Label { number: 0, after: 0, ..link.label };
        self.fly(1, Flight::Peer { to, from, label, message });
    }
}
