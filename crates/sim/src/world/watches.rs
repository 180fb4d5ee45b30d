//! What players watch besides what is in sight: entities that were there at some time, land far away, and what cannot be watched.
//!
//! At rest each is shown as its owner has it, or was refused, and nodes watch nothing that no client watches.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{ChunkId, EntityId, Kind};
use gundo_wire::client::Refusal;

use super::{Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::story::About;

/// Of so many steps of a mind, its player watches something else in one.
const STEPS: u64 = 25;
/// A player that watches so much ceases to watch something: more than a server lets it, so that the limit is reached.
const WATCHES_MAX: usize = 18;
/// Land that is watched is this far from the middle at most, chunks.
const REACH: u64 = 12;

impl World {
    /// Now and then a player begins or ceases to watch something.
    pub(super) fn watch_something(&mut self, client: usize) {
        if self.watching.below(STEPS) != 0 {
            return;
        }
        let entity = if self.clients[client].session.watched().count() < WATCHES_MAX {
            self.something()
        } else {
            let index = self.watching.below(WATCHES_MAX as u64) as usize;
            self.clients[client].session.watched().nth(index)
        };
        let Some(entity) = entity else { return };
        let c = &mut self.clients[client];
        let begins = !c.session.watched().any(|watched| watched == entity);
        if begins {
            c.session.watch(entity);
        } else {
            c.session.unwatch(entity);
            c.watched.remove(&entity);
        }
        let (about, word) = (About::player(c.person), if begins { "watches" } else { "watches no more" });
        self.story.tell(self.now, about, || format!("it {word}: {entity}"));
    }

    fn something(&mut self) -> Option<EntityId> {
        let known = self.judge.known();
        let index = self.watching.below(known.max(1) as u64) as usize;
        let mut along = || self.watching.below(2 * REACH + 1) as i16 - REACH as i16;
        let chunk = ChunkId { island: 0, x: along(), y: along() };
        match self.watching.below(8) {
            0 => Some(EntityId::new(Kind(1 + self.watching.below(60) as u16), self.watching.next_u64())),
            1..=3 => Some(EntityId::new(self.rules.land_kind()?, chunk.to_u64())),
            _ => self.judge.nth_known(index),
        }
    }

    /// A client is shown what it watches, or refused.
    pub(super) fn on_watched(
        &mut self,
        client: usize,
        entity: EntityId,
        public: Option<Bytes>,
        refusal: Option<Refusal>,
    ) {
        if let Some(refusal) = refusal {
            *self.counts.refusals.entry(format!("watch: {}", refusal.code)).or_insert(0) += 1;
            self.clients[client].watched.remove(&entity);
            self.on_errand_refused(client, entity, &refusal.code);
            return;
        }
        if let Some(public) = &public {
            let at = self.world_time();
            let verdict = self.judge.seen(entity, public, at);
            self.rule(verdict);
        }
        self.clients[client].watched.insert(entity, public);
    }

    /// Whether every client was shown what it watches as the owner has it now.
    pub(crate) fn check_watched(&self) -> Verdict {
        let reals = self.nodes.values().flat_map(|node| node.kernel.reals());
        let reals: BTreeMap<_, _> = reals.map(|real| (real.id, real.public)).collect();
        for client in self.clients.iter().filter(|c| c.session.is_live()) {
            for entity in client.session.watched() {
                let (who, what) = (&self.people[client.person].name, self.judge.name(entity));
                let text = match (client.watched.get(&entity), reals.get(&entity)) {
                    (None, _) => format!("{who} watches {what} and is shown nothing"),
                    (_, None) => format!("{who} watches {what}, which is nowhere"),
                    (Some(shown), Some(public)) if shown.as_ref() != *public => {
                        format!("{who} watches {what} and is shown another state than the last")
                    }
                    _ => continue,
                };
                return violated(Guarantee::G8, text);
            }
        }
        self.check_watches_held()
    }

    /// Whether each node holds exactly the watches of its clients: what it holds beyond them is room that they lack.
    fn check_watches_held(&self) -> Verdict {
        let mut wanted: BTreeMap<Key, BTreeSet<EntityId>> = BTreeMap::new();
        for client in self.clients.iter().filter(|c| c.session.is_live()) {
            if let Some((key, _)) = client.conn {
                wanted.entry(key).or_default().extend(client.session.watched());
            }
        }
        for (key, node) in &self.nodes {
            let (holds, wants) = (node.kernel.counters().watches, wanted.get(key).map_or(0, BTreeSet::len));
            if holds != wants as u64 {
                let text = format!("n{} watches {holds} entities, its clients {wants}", key.node);
                return violated(Guarantee::G10, text);
            }
        }
        Ok(())
    }
}
