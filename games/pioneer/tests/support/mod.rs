//! Pioneer in a town of its tests: its rules in one thread, and words for what its players do.

#![allow(dead_code)] // each test file uses its part

pub(crate) mod estates;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use gundo::{ChunkId, EntityId, Point, Refusal, Rules, WorldTime};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    Build, Building, ChunkRef, Craft, Demolish, Gather, Item, ItemsGathered, LandPublic, LandReply,
    PlayerPrivate, PlayerReply, Stack, land_command, player_event,
};
use pioneer::{Island, Land, Player};

const SEED: u64 = 1;

// Grown once: it never changes.
static ISLAND: LazyLock<Island> = LazyLock::new(|| Island::generate(SEED));
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(pioneer::rules(SEED)));

pub(crate) struct Town {
    pub(crate) island: &'static Island,
    town: gundo::testing::Town,
}

impl Deref for Town {
    type Target = gundo::testing::Town;

    fn deref(&self) -> &Self::Target {
        &self.town
    }
}

impl DerefMut for Town {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.town
    }
}

impl Town {
    pub(crate) fn new() -> Self {
        Self { island: &ISLAND, town: gundo::testing::Town::new(Arc::clone(&RULES)) }
    }

    /// A new player called `name`, standing in the middle of the village.
    pub(crate) fn settle(&mut self, name: &str) -> Result<EntityId, Refusal> {
        let id = self.join(name)?;
        self.town.stand(id, self.island.village());
        Ok(id)
    }

    /// Gives items as if gathered.
    pub(crate) fn give(&mut self, id: EntityId, item: Item, count: u32) {
        let gained = Some(stack(item, count));
        let fact = ItemsGathered { gained, ..ItemsGathered::default() };
        self.happen::<Player>(id, &player_event::Event::Gathered(fact));
    }

    pub(crate) fn wish(&mut self, id: EntityId, command: Command) -> Result<PlayerReply, Refusal> {
        self.command::<Player>(id, &command)
    }

    /// What the land of `chunk` answers to a player's part of a transaction. Nothing comes of it.
    pub(crate) fn ask_land(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        ask: &land_command::Command,
    ) -> Result<LandReply, Refusal> {
        self.ask::<Land>(id, chunk, ask)
    }

    pub(crate) fn gather(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        thing: u32,
    ) -> Result<PlayerReply, Refusal> {
        self.wish(id, Command::Gather(Gather { chunk: Some(chunk_ref(chunk)), thing }))
    }

    pub(crate) fn build(
        &mut self,
        id: EntityId,
        what: Building,
        at: Point,
        rotation: u32,
    ) -> Result<PlayerReply, Refusal> {
        self.wish(id, Command::Build(Build { what: what.into(), x: at.x, y: at.y, rotation }))
    }

    pub(crate) fn demolish(
        &mut self,
        id: EntityId,
        chunk: ChunkId,
        thing: u32,
    ) -> Result<PlayerReply, Refusal> {
        self.wish(id, Command::Demolish(Demolish { chunk: Some(chunk_ref(chunk)), thing }))
    }

    pub(crate) fn craft(&mut self, id: EntityId, recipe: u32, count: u32) -> Result<PlayerReply, Refusal> {
        self.wish(id, Command::Craft(Craft { recipe, count }))
    }

    pub(crate) fn land(&mut self, chunk: ChunkId) -> LandPublic {
        self.public::<Land>(chunk).unwrap_or_default()
    }

    pub(crate) fn land_changes(&mut self, chunk: ChunkId) -> Option<WorldTime> {
        self.next_change::<Land>(chunk)
    }

    pub(crate) fn own(&mut self, id: EntityId) -> PlayerPrivate {
        self.private::<Player>(id)
    }

    /// How much of `item` the player has.
    pub(crate) fn count(&mut self, id: EntityId, item: Item) -> u32 {
        self.own(id).slots.iter().filter(|slot| slot.item() == item).map(|slot| slot.count).sum()
    }
}

/// Something that has grown near the village: where to stand, its chunk and its number.
pub(crate) fn something_to_gather(town: &Town) -> (Point, ChunkId, u32) {
    let village = town.island.village();
    let things = ChunkId::of(0, village).around(4).flat_map(|chunk| town.island.nature(chunk));
    let thing = things.min_by_key(|thing| thing.at.distance(village)).expect("it grows near the village");
    (Point::new(thing.at.x + 900, thing.at.y), ChunkId::of(0, thing.at), thing.index.into())
}

/// Where nothing grows and the ground holds.
pub(crate) fn free_spot(town: &Town) -> Point {
    let village = town.island.village();
    let spots =
        (-8..8).flat_map(|x| (-8..8).map(move |y| Point::new(village.x + x * 2_500, village.y + y * 2_500)));
    let grows = |p: Point| {
        let mut things = ChunkId::of(0, p).around(1).flat_map(|chunk| town.island.nature(chunk));
        things.any(|thing| thing.at.within(p, 5_000))
    };
    let mut free = spots.filter(|p| !grows(*p));
    free.find(|p| town.island.biome(*p).is_walkable()).expect("a clearing")
}

pub(crate) fn chunk_ref(chunk: ChunkId) -> ChunkRef {
    ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() }
}

pub(crate) fn stack(item: Item, count: u32) -> Stack {
    Stack { item: item.into(), count, ..Stack::default() }
}

/// The code of a refusal.
pub(crate) fn no<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.expect_err("a refusal").code.into_owned()
}
