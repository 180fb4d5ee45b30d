//! The checks at rest: live states, and the journal from its beginning.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_journal::Store;
use gundo_kernel::game::Role;
use gundo_types::{Body, ChunkId, EntityId, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, Loaded, Snapshot};

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};
use super::replica::Replica;
use crate::game::{Facts, Holdings};

impl Judge {
    /// What everybody should see of an entity at world time `at`; `None`: nothing, or there is no replica.
    pub(crate) fn public(&self, id: EntityId, at: WorldTime) -> Option<Bytes> {
        self.replicas.get(&id)?.state.public(at)
    }

    /// Everything with a place that somebody should see at world time `at` who looks there, and where it stands.
    pub(crate) fn standing(&self, at: WorldTime) -> impl Iterator<Item = (EntityId, ChunkId, Body)> {
        let placed = |id: &EntityId| self.rules.kind_of(id.kind).is_some_and(|k| k.role() == Role::Placed);
        let begun = self.replicas.iter().filter(move |(id, replica)| placed(id) && replica.begun);
        begun.filter_map(move |(id, replica)| {
            let (chunk, body) = (id.chunk_of_placed(), replica.state.place()?);
            replica.state.public(at)?;
            let body = Body { heading: body.heading & 127, speed: 0, ..body.rounded() };
            chunk.has(&body).then_some((*id, chunk, body))
        })
    }

    /// Whether there is a replica of an entity: there is none of creatures and of land that nobody has touched.
    pub(crate) fn knows(&self, id: EntityId) -> bool {
        self.replicas.contains_key(&id)
    }

    pub(crate) fn private(&self, id: EntityId) -> Option<Bytes> {
        Some(self.replicas.get(&id)?.state.private())
    }

    /// The seq and state of a settled real must be those that the journal's events produce.
    pub(crate) fn compare_live(&self, id: EntityId, seq: u64, state: &Bytes) -> Verdict {
        let name = self.name(id);
        let (known, expected) = match self.replicas.get(&id) {
            Some(replica) => (replica.seq, replica.snapshot.clone()),
            None => match self.rules.kind_of(id.kind) {
                Some(kind) => (0, kind.create(id.id).snapshot()),
                None => {
                    return violated(Guarantee::G3, format!("{name} is of a kind the game does not have"));
                }
            },
        };
        if seq != known {
            return violated(Guarantee::G3, format!("{name} is at {seq}, the journal at {known}"));
        }
        if *state != expected {
            return violated(
                Guarantee::G3,
                format!("{name}: the live state is not what the journal's events make"),
            );
        }
        Ok(())
    }

    /// Checks everything that the journal alone shows.
    pub(crate) fn check_journal(&self, store: &Store) -> Verdict {
        let mut streams = BTreeMap::new();
        for stream in store.streams(None, usize::MAX) {
            streams.insert(stream.entity, stream);
        }
        for (id, replica) in &self.replicas {
            let name = self.name(*id);
            let Some(stream) = streams.remove(id) else {
                return violated(Guarantee::G1, format!("{name} is not in the journal"));
            };
            if stream.last != replica.seq {
                let text = format!("{name}: the journal ends at {}, {} has landed", stream.last, replica.seq);
                return violated(Guarantee::G1, text);
            }
            for (expected, (seq, _)) in (stream.first..).zip(store.stream(*id, 0, usize::MAX)) {
                if seq != expected {
                    let text = format!("{name}: event {seq} is in the journal in place of {expected}");
                    return violated(Guarantee::G2, text);
                }
            }
            if stream.first > 1 && stream.snapshot.is_none() {
                return violated(Guarantee::G1, format!("{name}: pruned without a snapshot"));
            }
            self.compare_load(*id, replica, &store.load(*id))?;
        }
        if let Some(id) = streams.keys().next() {
            return violated(Guarantee::G2, format!("{} has events that never landed", self.name(*id)));
        }
        for ((player, seq), said) in &self.told {
            let effect = self.replicas.get(player).and_then(|r| r.effects.get(seq));
            if effect.is_none_or(|e| e.fingerprint != *said) && !self.may_be_gone(*player, *seq, *said) {
                let text = format!("{}: command {seq}, answered with success, is gone", self.name(*player));
                return violated(Guarantee::G1, text);
            }
        }
        let mut held = Holdings::default();
        self.replicas.values().for_each(|r| held.add_all(&r.holdings, 1));
        if held != self.made {
            let text = format!("the world holds {:?}; {:?} was made", held.0, self.made.0);
            return violated(Guarantee::G4, text);
        }
        let states = self.replicas.iter().map(|(id, r)| (*id, r.snapshot.clone())).collect();
        let stream = |id| store.stream(id, 0, usize::MAX);
        let names = |space: &str| store.names(space).map(|(name, owner)| (name.to_owned(), owner)).collect();
        let facts = Facts { states, stream: &stream, names: &names };
        self.game.check(&facts).or_else(|text| violated(Guarantee::Game, text))
    }

    /// A load must produce the same state as all events since the beginning.
    fn compare_load(&self, id: EntityId, replica: &Replica, loaded: &Loaded) -> Verdict {
        let name = self.name(id);
        let kind = self.rules.kind_of(id.kind).expect("it has been applied");
        let mut state = match &loaded.snapshot {
            None => kind.create(id.id),
            Some((seq, bytes)) => {
                let state = Snapshot::decode(bytes.as_ref()).and_then(|s| kind.restore(id.id, &s.state));
                match state {
                    Ok(state) => state,
                    Err(_) => {
                        return violated(
                            Guarantee::G3,
                            format!("{name}: the snapshot at {seq} does not decode"),
                        );
                    }
                }
            }
        };
        for (_, event) in loaded.events.iter().filter(|(_, e)| e.event_type == EventType::Game) {
            if state.apply(event.payload.as_ref()).is_err() {
                return violated(Guarantee::G3, format!("{name}: an event does not decode"));
            }
        }
        if state.snapshot() != replica.snapshot {
            return violated(Guarantee::G3, format!("{name}: a load and all events give different states"));
        }
        Ok(())
    }
}
