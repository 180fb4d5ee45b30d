//! A town without an engine: the rules in one thread, every transaction as the engine would run it.
//!
//! Commands go through the same byte interface ([`gundo::AnyEntity`]) the engine uses. Every event is kept, so that a test
//! can replay an entity from nothing or from a snapshot and compare.

#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gundo::{
    Actor, AnyEntity, Body, Bytes, Child, ChunkId, EntityId, Message, Neighbour, Point, RawContext,
    RawDecision, Refusal, Rules, Surroundings, WorldTime,
};
use pioneer::schema::{
    Build, Building, ChunkRef, Craft, Demolish, Gather, Item, ItemsGathered, LandCommand, LandPublic,
    PlayerCommand, PlayerEvent, PlayerPrivate, PlayerReply, Stack, land_command, player_command,
    player_event,
};
use pioneer::{Island, Land, Player};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SEED: u64 = 1;

// Grown once: it never changes.
static ISLAND: LazyLock<Island> = LazyLock::new(|| Island::generate(SEED));
static RULES: LazyLock<Rules> = LazyLock::new(|| pioneer::rules(SEED));

pub(crate) struct Town {
    pub(crate) island: &'static Island,
    pub(crate) now: WorldTime,
    pub(crate) signals: Vec<(EntityId, Bytes)>,
    rules: &'static Rules,
    rng: ChaCha8Rng,
    entities: BTreeMap<EntityId, Box<dyn AnyEntity>>,
    events: BTreeMap<EntityId, Vec<Bytes>>,
    bodies: BTreeMap<EntityId, Body>,
    names: BTreeMap<String, EntityId>,
}

/// What entities see while one decides.
struct Picture {
    bodies: BTreeMap<EntityId, Body>,
    publics: BTreeMap<EntityId, Bytes>,
}

impl Surroundings for Picture {
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        let close = |body: &Body| body.island == island && body.at.within(point, radius_mm);
        let neighbour = |(id, body): (&EntityId, &Body)| Neighbour {
            id: *id,
            public: self.publics.get(id).cloned().unwrap_or_default(),
            body: Some(*body),
        };
        self.bodies.iter().filter(|(_, body)| close(body)).map(neighbour).collect()
    }

    fn look(&self, _chunk: ChunkId, id: EntityId) -> Option<Bytes> {
        self.publics.get(&id).cloned()
    }
}

impl Town {
    pub(crate) fn new() -> Self {
        Self {
            island: &ISLAND,
            now: WorldTime(1_000_000),
            signals: Vec::new(),
            rules: &RULES,
            rng: ChaCha8Rng::seed_from_u64(7),
            entities: BTreeMap::new(),
            events: BTreeMap::new(),
            bodies: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// A new player called `name`, standing in the middle of the village.
    pub(crate) fn join(&mut self, id: u64, name: &str) -> Result<EntityId, Refusal> {
        let id = EntityId::new(<Player as gundo::Entity>::KIND, id);
        let decision = self.with(id, None, |entity, cx| entity.create(name, cx))?;
        for change in &decision.names {
            let owner = *self.names.entry(change.name.clone()).or_insert(id);
            if owner != id {
                return Err(Refusal::new("name_taken", "Somebody else has that name."));
            }
        }
        self.land_all(vec![(id, decision)]);
        self.stand(id, self.island.village());
        Ok(id)
    }

    pub(crate) fn stand(&mut self, id: EntityId, at: Point) {
        self.bodies.insert(id, Body { at, ..Body::default() });
    }

    pub(crate) fn body(&self, id: EntityId) -> Body {
        self.bodies[&id]
    }

    /// Gives items as if gathered.
    pub(crate) fn give(&mut self, id: EntityId, item: Item, count: u32) {
        let gained = Some(stack(item, count));
        let fact = ItemsGathered { gained, ..ItemsGathered::default() };
        let event = PlayerEvent { event: Some(player_event::Event::Gathered(fact)) };
        let decision = RawDecision { events: vec![event.encode_to_vec().into()], ..RawDecision::default() };
        self.land_all(vec![(id, decision)]);
    }

    /// A player's command, as the engine runs it: alone, or with its parts in one transaction.
    pub(crate) fn command(
        &mut self,
        id: EntityId,
        command: player_command::Command,
    ) -> Result<PlayerReply, Refusal> {
        let bytes = PlayerCommand { command: Some(command) }.encode_to_vec();
        let first = self.with(id, None, |entity, cx| entity.decide(&bytes, cx))?;
        if first.parts.is_empty() {
            let reply = PlayerReply::decode(first.reply.clone()).expect("a reply");
            self.land_all(vec![(id, first)]);
            return Ok(reply);
        }
        let now = self.now;
        let public = self.entity(id).public(now).unwrap_or_default();
        let actor = Actor { id, public, body: self.bodies.get(&id).copied() };
        let mut all = Vec::new();
        for part in &first.parts {
            let decision =
                self.with(part.entity, Some(&actor), |entity, cx| entity.decide(&part.command, cx))?;
            all.push((part.entity, decision));
        }
        let replies: Vec<Bytes> = all.iter().map(|(_, decision)| decision.reply.clone()).collect();
        let last = self.with(id, None, |entity, cx| entity.conclude(&bytes, &replies, cx))?;
        let reply = PlayerReply::decode(last.reply.clone()).expect("a reply");
        all.push((id, last));
        self.land_all(all);
        Ok(reply)
    }

    /// What the land of `chunk` says to a player's part of a transaction. Nothing comes of it.
    pub(crate) fn ask(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        command: land_command::Command,
    ) -> Result<RawDecision, Refusal> {
        let actor = Actor { id, public: Bytes::new(), body: self.bodies.get(&id).copied() };
        let bytes = LandCommand { command: Some(command) }.encode_to_vec();
        self.with(land(chunk), Some(&actor), |entity, cx| entity.decide(&bytes, cx))
    }

    pub(crate) fn gather(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        thing: u32,
    ) -> Result<PlayerReply, Refusal> {
        self.command(id, player_command::Command::Gather(Gather { chunk: Some(chunk_ref(chunk)), thing }))
    }

    pub(crate) fn build(
        &mut self,
        id: EntityId,
        what: Building,
        at: Point,
        rotation: u32,
    ) -> Result<PlayerReply, Refusal> {
        let build = Build { what: what.into(), x: at.x, y: at.y, rotation };
        self.command(id, player_command::Command::Build(build))
    }

    pub(crate) fn demolish(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        thing: u32,
    ) -> Result<PlayerReply, Refusal> {
        self.command(id, player_command::Command::Demolish(Demolish { chunk: Some(chunk_ref(chunk)), thing }))
    }

    pub(crate) fn craft(&mut self, id: EntityId, recipe: u32, count: u32) -> Result<PlayerReply, Refusal> {
        self.command(id, player_command::Command::Craft(Craft { recipe, count }))
    }

    /// Walks there if the way is free.
    pub(crate) fn walk(&mut self, id: EntityId, to: Point) -> Result<(), Refusal> {
        let (from, to) = (self.bodies[&id], Body { at: to, ..Body::default() });
        self.with(id, None, |entity, cx| entity.walk(&from, &to, cx))?;
        self.bodies.insert(id, to);
        Ok(())
    }

    /// One tick of a chunk's creatures.
    pub(crate) fn tick(&mut self, chunk: ChunkId) -> Vec<Child> {
        let id = land(chunk);
        self.entity(id);
        let mut entity = self.entities.remove(&id).expect("just there");
        // Creatures look at bodies only.
        let picture = Picture { bodies: self.bodies.clone(), publics: BTreeMap::new() };
        let mut children = Vec::new();
        let (now, body, actor) = (self.now, None, None);
        let mut cx = RawContext { now, id, body, actor, surroundings: &picture, rng: &mut self.rng };
        entity.tick(100, &mut cx, &mut children);
        self.entities.insert(id, entity);
        children
    }

    pub(crate) fn land(&mut self, chunk: ChunkId) -> LandPublic {
        let now = self.now;
        let public = self.entity(land(chunk)).public(now).unwrap_or_default();
        LandPublic::decode(public).expect("the public part of land")
    }

    pub(crate) fn next_change(&mut self, chunk: ChunkId) -> Option<WorldTime> {
        let now = self.now;
        self.entity(land(chunk)).next_change(now)
    }

    pub(crate) fn own(&mut self, id: EntityId) -> PlayerPrivate {
        PlayerPrivate::decode(self.entity(id).private()).expect("the private part of a player")
    }

    /// How much of `item` the player has.
    pub(crate) fn count(&mut self, id: EntityId, item: Item) -> u32 {
        self.own(id).slots.iter().filter(|slot| slot.item() == item).map(|slot| slot.count).sum()
    }

    pub(crate) fn events_of(&self, id: EntityId) -> &[Bytes] {
        self.events.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn everybody(&self) -> Vec<EntityId> {
        self.entities.keys().copied().collect()
    }

    /// The entity as it is live.
    pub(crate) fn entity(&mut self, id: EntityId) -> &mut dyn AnyEntity {
        let rules = self.rules;
        self.entities
            .entry(id)
            .or_insert_with(|| rules.kind_of(id.kind).expect("a kind").create(id.id))
            .as_mut()
    }

    /// The entity from its events after the first `snapshot_after`, on the snapshot taken there.
    pub(crate) fn replay(&self, id: EntityId, snapshot_after: usize) -> Box<dyn AnyEntity> {
        let kind = self.rules.kind_of(id.kind).expect("a kind");
        let mut entity = kind.create(id.id);
        for (done, event) in self.events_of(id).iter().enumerate() {
            if done == snapshot_after {
                entity = kind.restore(id.id, &entity.snapshot()).expect("its own snapshot");
            }
            entity.apply(event).expect("its own event");
        }
        entity
    }

    /// Runs one decision of `id`.
    fn with<T>(
        &mut self,
        id: EntityId,
        actor: Option<&Actor>,
        decide: impl FnOnce(&dyn AnyEntity, &mut RawContext<'_>) -> T,
    ) -> T {
        self.entity(id);
        let picture = self.picture();
        let body = self.bodies.get(&id).copied();
        let mut cx =
            RawContext { now: self.now, id, body, actor, surroundings: &picture, rng: &mut self.rng };
        decide(self.entities[&id].as_ref(), &mut cx)
    }

    fn picture(&self) -> Picture {
        let public = |id: EntityId| Some((id, self.entities[&id].public(self.now)?));
        let publics = self.entities.keys().filter_map(|id| public(*id)).collect();
        Picture { bodies: self.bodies.clone(), publics }
    }

    fn land_all(&mut self, decisions: Vec<(EntityId, RawDecision)>) {
        for (id, decision) in decisions {
            for event in decision.events {
                self.entity(id).apply(&event).expect("an event just decided");
                self.events.entry(id).or_default().push(event);
            }
            self.signals.extend(decision.signals.into_iter().map(|signal| (id, signal)));
        }
    }
}

pub(crate) fn land(chunk: ChunkId) -> EntityId {
    EntityId::new(<Land as gundo::Entity>::KIND, chunk.to_u64())
}

pub(crate) fn chunk_ref(chunk: ChunkId) -> ChunkRef {
    ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() }
}

pub(crate) fn stack(item: Item, count: u32) -> Stack {
    Stack { item: item.into(), count }
}

/// The code of a refusal.
pub(crate) fn no<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.expect_err("a refusal").code.into_owned()
}
