//! The invariants of a cluster at rest.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_kernel::Node;
use gundo_kernel::game::Payload;
use gundo_types::{Body, ChunkId, EntityId, NodeId};
use gundo_wire::Message;

use super::super::game;
use super::Cluster;

impl Cluster {
    /// Every client's picture equals what the owners show in its sight (except creatures, which move on), within two
    /// seconds without input.
    pub fn check_pictures(&mut self) {
        let mut found = self.compare_pictures();
        for _ in 0..40 {
            if found.is_ok() {
                return;
            }
            self.run_ms(50);
            found = self.compare_pictures();
        }
        found.expect("pictures converge");
    }

    fn compare_pictures(&self) -> Result<(), String> {
        let mut shown: BTreeMap<EntityId, (ChunkId, Bytes, Option<Body>)> = BTreeMap::new();
        for node in self.nodes.values() {
            for real in node.reals() {
                if let Some((chunk, public, body)) = real.shown {
                    let before = shown.insert(real.id, (chunk, public.clone(), body));
                    assert!(before.is_none(), "{} is shown by two nodes", real.id);
                }
            }
        }
        for client in self.clients.iter().filter(|c| c.ended.is_none() && c.session.is_live()) {
            let name = &client.name;
            let me = client.session.player().expect("a live session has a player");
            let center = shown.get(&me).ok_or(format!("{name} is not shown"))?.0;
            // The sight follows with a little slack: this part of it is always seen.
            let sure = |c: &ChunkId| c.steps_to(center).is_some_and(|s| s <= 2);
            let seen: BTreeMap<_, _> =
                client.picture.entities().filter(|(id, _)| id.kind != game::BEETLE).collect();
            for (id, (chunk, public, body)) in shown.iter().filter(|(_, (c, ..))| sure(c)) {
                let s = seen.get(id).ok_or(format!("{name} does not see {id} in {chunk:?}"))?;
                if s.public != *public || s.body != *body {
                    return Err(format!("{name} sees {id} as {:?}, it is {body:?}", s.body));
                }
            }
            if let Some(id) = seen.keys().find(|id| !shown.contains_key(id)) {
                return Err(format!("{name} sees {id}, which is not there"));
            }
            let own = game_state::<game::Player>(&self.disk.store.load(me)).0;
            if client.own != own.encode_to_vec() {
                return Err(format!("{name} believes to have {:?}, it is {own:?}", client.own));
            }
        }
        Ok(())
    }

    /// Pebbles in bags and on land, from the journal alone: none is lost or duplicated, apart from those that grew.
    pub fn check_pebbles(&self) {
        let (mut bags, mut missing, mut grown) = (0i64, 0i64, 0i64);
        for stream in self.disk.store.streams(None, usize::MAX) {
            let loaded = self.disk.store.load(stream.entity);
            if stream.entity.kind == game::PLAYER {
                bags += i64::from(game_state::<game::Player>(&loaded).0.bag);
            } else if stream.entity.kind == game::LAND {
                let land = game_state::<game::Land>(&loaded);
                missing += i64::from(land.0.missing);
                grown += i64::from(land.0.grown);
            }
        }
        assert_eq!(bags, missing + grown, "pebbles in bags, and pebbles missing from land and grown back");
    }

    /// Whether no work is in flight anywhere.
    pub fn is_settled(&self) -> bool {
        self.nodes.values().all(|n| n.reals().all(|r| r.settled))
            && self.clients.iter().all(|c| c.ended.is_some() || c.session.commands_open() == 0)
    }

    /// Nodes on which a player is real.
    pub fn owners(&self, player: EntityId) -> Vec<NodeId> {
        let has = |node: &Node| node.reals().any(|r| r.id == player);
        self.nodes.iter().filter(|(_, node)| has(node)).map(|(id, _)| *id).collect()
    }

    /// A chunk far from where players enter, and its home, which is none of `others` and also home of the chunks around it.
    pub fn far_place(&self, others: &[NodeId]) -> Option<(ChunkId, NodeId)> {
        let node = self.nodes.values().next()?;
        let home = |chunk: ChunkId| node.home(game::land(chunk)).expect("members");
        let chunks = (1..40).map(|tract| ChunkId { island: 0, x: 4 * tract + 2, y: 0 });
        chunks.map(|chunk| (chunk, home(chunk))).find(|(chunk, node)| {
            chunk.around(1).filter(|c| home(*c) == *node).count() >= 5 && !others.contains(node)
        })
    }

    pub fn chunk_where_home_is(&self, node: u16) -> ChunkId {
        let near = ChunkId::default().around(2);
        let at = |c: &ChunkId| {
            self.nodes.values().next().and_then(|n| n.home(game::land(*c))) == Some(NodeId(node))
        };
        near.into_iter().find(at).unwrap_or_default()
    }
}

/// An entity's state by replay.
pub fn game_state<E: gundo_kernel::game::Entity<World = ()>>(loaded: &gundo_wire::journal::Loaded) -> E {
    let mut state = match &loaded.snapshot {
        None => E::from_durable(0, &(), E::Durable::default()),
        Some((_, payload)) => {
            let snapshot = gundo_wire::journal::Snapshot::decode(payload.as_ref()).expect("a snapshot");
            E::from_durable(0, &(), E::Durable::decode(snapshot.state.as_ref()).expect("a state"))
        }
    };
    for (_, record) in &loaded.events {
        if record.event_type == gundo_wire::journal::EventType::Game {
            state.apply(&E::Event::from_bytes(&record.payload).expect("an event").expect("of this version"));
        }
    }
    state
}
