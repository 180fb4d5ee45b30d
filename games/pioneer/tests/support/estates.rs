//! Words for what players do with estates.

use super::{Town, chunk_ref, stack};
use gundo::{ChunkId, EntityId, Point, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    Befriend, BeginTrade, Building, ClaimLand, Confirm, EstatePublic, Item, Level, News, Offer, PlayerReply,
    PlayerTold, ReleaseLand, Rights, SetRights, Terms,
};
use pioneer::{Estate, Player};

pub(crate) type Answer = Result<PlayerReply, Refusal>;
pub(crate) const DAY_MS: u64 = 24 * 3_600_000;

/// Waits first, so that no pace says no; then what was set for now happens.
pub(crate) fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    let answer = town.wish(who, command);
    town.ring();
    answer
}

/// The middle of a chunk.
pub(crate) fn middle(chunk: ChunkId) -> Point {
    let corner = chunk.corner();
    Point::new(corner.x + 15_000, corner.y + 15_000)
}

/// A block of chunks near the village that nobody is kept from, the first in its corner.
pub(crate) fn block(town: &Town, wide: i16, high: i16) -> Vec<ChunkId> {
    let at = |from: ChunkId| {
        (0..high).flat_map(move |y| (0..wide).map(move |x| ChunkId { x: from.x + x, y: from.y + y, ..from }))
    };
    let is_free = |chunk: ChunkId| {
        let ground = middle(chunk);
        let holds =
            |dx: i32, dy: i32| town.island.biome(Point::new(ground.x + dx, ground.y + dy)).is_walkable();
        !town.island.is_commons(chunk) && (-4..=4).all(|k| holds(k * 1_000, 0) && holds(0, k * 1_000))
    };
    let around = ChunkId::of(0, town.island.village()).around(16);
    let found = around.into_iter().find(|from| at(*from).all(is_free)).expect("land to claim");
    at(found).collect()
}

/// Somebody with planks for so many chunks.
pub(crate) fn rich(town: &mut Town, name: &str, chunks: u32) -> EntityId {
    let who = town.settle(name).expect("a good name");
    pay(town, who, chunks);
    who
}

pub(crate) fn pay(town: &mut Town, who: EntityId, chunks: u32) {
    town.give(who, Item::Plank, 2 * chunks);
}

pub(crate) fn claim_for(town: &mut Town, who: EntityId, estate: u64, chunks: &[ChunkId]) -> Answer {
    if let Some(first) = chunks.first() {
        town.stand(who, middle(*first));
    }
    let chunks = chunks.iter().map(|chunk| chunk_ref(*chunk)).collect();
    wish(town, who, Command::ClaimLand(ClaimLand { estate, chunks }))
}

pub(crate) fn claim(town: &mut Town, who: EntityId, chunks: &[ChunkId]) -> u64 {
    claim_for(town, who, 0, chunks).expect("free land").entity
}

pub(crate) fn release(town: &mut Town, who: EntityId, estate: u64, chunks: &[ChunkId]) -> Answer {
    let chunks = chunks.iter().map(|chunk| chunk_ref(*chunk)).collect();
    wish(town, who, Command::ReleaseLand(ReleaseLand { estate, chunks }))
}

pub(crate) fn set(
    town: &mut Town,
    who: EntityId,
    estate: u64,
    [gather, build, demolish]: [Level; 3],
    guild: u64,
) -> Answer {
    let (gather, build, demolish) = (gather.into(), build.into(), demolish.into());
    let rights = Some(Rights { gather, build, demolish, guild, ..Rights::default() });
    wish(town, who, Command::SetRights(SetRights { estate, rights }))
}

pub(crate) fn seen(town: &mut Town, estate: u64) -> EstatePublic {
    town.public::<Estate>(estate).expect("an estate with land")
}

pub(crate) fn owner(town: &mut Town, estate: u64) -> u64 {
    town.public::<Estate>(estate).and_then(|estate| estate.owner).map_or(0, |owner| owner.id)
}

pub(crate) fn terms(town: &mut Town, chunk: ChunkId) -> Option<Terms> {
    town.land(chunk).terms
}

/// Estate, land and players agree; returns how much land the estate has.
pub(crate) fn agree(town: &mut Town, estate: u64, around: &[ChunkId]) -> usize {
    let state = town.state::<Estate>(estate);
    for chunk in around {
        let plot = state.plots.iter().find(|plot| plot.chunk == chunk.to_u64());
        let mine = terms(town, *chunk).filter(|terms| terms.estate == estate);
        assert_eq!(plot.map(|plot| plot.told), mine.map(|terms| terms.version), "{chunk:?}");
    }
    state.plots.len()
}

pub(crate) fn news(town: &mut Town, who: EntityId) -> Vec<News> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.iter().map(PlayerTold::news).collect()
}

pub(crate) fn befriend(town: &mut Town, one: EntityId, other: EntityId) {
    wish(town, one, Command::Befriend(Befriend { with: other.id })).expect("asks");
    wish(town, other, Command::Befriend(Befriend { with: one.id })).expect("accepts");
}

/// Something that grows in one of these chunks, where somebody stands next to it.
pub(crate) fn something(town: &mut Town, who: EntityId, chunks: &[ChunkId]) -> (ChunkId, u32) {
    let island = town.island;
    let things = |chunk: ChunkId| island.nature(chunk).into_iter().map(move |thing| (chunk, thing));
    let (chunk, thing) = chunks.iter().copied().flat_map(things).next().expect("something grows there");
    town.stand(who, Point::new(thing.at.x + 900, thing.at.y));
    (chunk, thing.index.into())
}

/// Builds a fire near the middle of a chunk, where nothing is in the way.
pub(crate) fn fire(town: &mut Town, who: EntityId, chunk: ChunkId) -> Answer {
    town.give(who, Item::Wood, 3);
    town.give(who, Item::Stone, 3);
    let mut last = None;
    for (x, y) in (-4..=4).flat_map(|x| (-4..=4).map(move |y| (x * 2_500, y * 2_500))) {
        let at = Point::new(middle(chunk).x + x, middle(chunk).y + y);
        town.stand(who, Point::new(at.x, at.y + 3_000));
        let answer = town.build(who, Building::Campfire, at, 0);
        match answer {
            Err(ref no) if ["not_free", "bad_ground", "someone_there"].contains(&&*no.code) => {
                last = Some(answer)
            }
            answer => return answer,
        }
    }
    last.expect("it tried")
}

/// Ada with an estate, and Bob next to her, in a trade.
pub(crate) fn dealing(chunks: usize) -> (Town, EntityId, EntityId, u64, Vec<ChunkId>) {
    let mut town = Town::new();
    let land = block(&town, 6, 6);
    let ada = rich(&mut town, "Ada", 36);
    let bob = rich(&mut town, "Bob", 30);
    let estate = claim(&mut town, ada, &land[..chunks.min(12)]);
    for at in (12..chunks).step_by(12) {
        claim_for(&mut town, ada, estate, &land[at..at + 12]).expect("beside it");
    }
    let at = town.island.village();
    [ada, bob].into_iter().for_each(|who| town.stand(who, at));
    wish(&mut town, ada, Command::BeginTrade(BeginTrade { with: bob.id })).expect("next to each other");
    (town, ada, bob, estate, land)
}

pub(crate) fn offer(town: &mut Town, who: EntityId, planks: u32, deeds: &[u64]) -> Answer {
    let trade = town.own(who).trade.map_or(1, |trade| trade.id);
    let stacks = if planks == 0 { vec![] } else { vec![stack(Item::Plank, planks)] };
    wish(town, who, Command::Offer(Offer { trade, stacks, deeds: deeds.to_vec() }))
}

pub(crate) fn confirm(town: &mut Town, who: EntityId) -> Answer {
    let trade = town.own(who).trade.expect("in a trade");
    wish(town, who, Command::Confirm(Confirm { trade: trade.id, version: trade.version }))
}
