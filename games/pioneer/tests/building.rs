//! Building, demolishing, and walking past what was built, told as short stories.

mod support;

use gundo::{ChunkId, EntityId, Point};
use pioneer::schema::{Building, Item, Raze, Stage, land_command};
use pioneer::{Biome, LOTS_MAX, Land, SIZE_MM};
use support::{Town, no, stack};

/// Ada with plenty of everything, and where four chunks meet near the village, cleared by hand of nothing: a free spot.
fn ada_the_builder() -> (Town, EntityId) {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    supply(&mut town, ada);
    (town, ada)
}

fn supply(town: &mut Town, who: EntityId) {
    for (item, count) in [(Item::Plank, 80), (Item::Stone, 40), (Item::Rope, 20), (Item::Wood, 40)] {
        town.give(who, item, count);
    }
}

/// A corner of four chunks in the village clearing, if the clearing has one.
fn crossroads(town: &Town) -> Point {
    let village = town.island.village();
    let round = |v: i32| (v + 15_000).div_euclid(30_000) * 30_000;
    Point::new(round(village.x), round(village.y))
}

fn beside(p: Point) -> Point {
    Point::new(p.x, p.y - 4_000)
}

#[test]
fn a_hut_across_chunks_holds_everywhere() {
    let (mut town, ada) = ada_the_builder();
    let middle = crossroads(&town);
    town.stand(ada, beside(middle));
    let reply = town.build(ada, Building::Hut, middle, 0).expect("free meadow");
    assert_eq!(reply.spent, [stack(Item::Plank, 10), stack(Item::Stone, 6), stack(Item::Rope, 4)]);
    assert_eq!(town.count(ada, Item::Plank), 70);
    let lists = ChunkId::of(0, middle);
    assert_eq!(reply.chunk, Some(support::chunk_ref(lists)));
    for (dx, dy) in [(0, 0), (-1, 0), (0, -1), (-1, -1)] {
        let chunk = ChunkId { island: 0, x: lists.x + dx, y: lists.y + dy };
        assert_eq!(town.events::<Land>(chunk).len(), 1, "{chunk:?} took part");
        assert_eq!(town.land(chunk).buildings.len(), usize::from(chunk == lists), "listed once");
    }
    // A campfire whose own chunk only holds a corner of the hut.
    let corner = Point::new(middle.x - 3_000, middle.y - 2_600);
    assert_eq!(no(town.build(ada, Building::Campfire, corner, 0)), "not_free");
    let clear = Point::new(middle.x - 3_700, middle.y - 3_100);
    town.build(ada, Building::Campfire, clear, 0).expect("beside the hut");
    assert_eq!(town.land(ChunkId::of(0, clear)).buildings.len(), 1);
}

#[test]
fn only_the_owner_demolishes_and_gets_a_part_back() {
    let (mut town, ada) = ada_the_builder();
    let bob = town.settle("Bob").expect("a good name");
    let middle = crossroads(&town);
    town.stand(ada, beside(middle));
    town.stand(bob, beside(middle));
    let index = town.build(ada, Building::Hut, middle, 1).expect("free meadow").thing;
    let chunk = ChunkId::of(0, middle);
    assert_eq!(no(town.demolish(bob, chunk, index)), "not_owner");
    assert_eq!(no(town.demolish(ada, chunk, index + 1)), "nothing_there");
    town.stand(ada, Point::new(middle.x, middle.y + 8_001));
    assert_eq!(no(town.demolish(ada, chunk, index)), "too_far");
    town.stand(ada, beside(middle));
    let reply = town.demolish(ada, chunk, index).expect("her own");
    assert_eq!(reply.gained, [stack(Item::Plank, 5), stack(Item::Stone, 3), stack(Item::Rope, 2)]);
    assert_eq!(no(town.demolish(ada, chunk, index)), "nothing_there");
    supply(&mut town, bob);
    let again = town.build(bob, Building::Hut, middle, 0).expect("the ground is free in every chunk");
    assert_ne!(again.thing, index, "an index is never used twice");
}

#[test]
fn the_land_itself_knows_the_owner() {
    // A player decides on a picture that may be a tick old: somebody else's building may stand there by now.
    let (mut town, ada) = ada_the_builder();
    let bob = town.settle("Bob").expect("a good name");
    let middle = crossroads(&town);
    town.stand(ada, beside(middle));
    town.build(ada, Building::Hut, middle, 1).expect("free meadow");
    let chunk = ChunkId::of(0, middle);
    let raze = |x: i32| land_command::Command::Raze(Raze { x, y: middle.y, key: None });
    assert_eq!(no(town.ask_land(bob, chunk, &raze(middle.x))), "not_owner");
    assert_eq!(no(town.ask_land(ada, chunk, &raze(middle.x + 10))), "nothing_there");
    town.ask_land(ada, chunk, &raze(middle.x)).expect("her own");
}

#[test]
fn demolishing_with_full_bags_is_refused() {
    let (mut town, ada) = ada_the_builder();
    let middle = crossroads(&town);
    town.stand(ada, beside(middle));
    let index = town.build(ada, Building::Fence, middle, 0).expect("free meadow").thing;
    let chunk = ChunkId::of(0, middle);
    // All planks in full stacks, and every other slot taken: the plank that comes back finds no place.
    town.give(ada, Item::Plank, 2);
    let free = 12 - town.own(ada).slots.len() as u32;
    town.give(ada, Item::Berry, 20 * free);
    assert_eq!(no(town.demolish(ada, chunk, index)), "inventory_full");
    assert_eq!(town.land(chunk).buildings.len(), 1, "the fence stands");
}

#[test]
fn fences_meet_at_corners_and_bar_the_way() {
    let (mut town, ada) = ada_the_builder();
    let village = town.island.village();
    let v = Point::new(village.x + 8_000, village.y + 8_000);
    town.stand(ada, Point::new(v.x, v.y + 1_000));
    // A pen of four fences, 3 m each, around (v.x, v.y - 2,500).
    let (top, bottom) = (v.y - 4_000, v.y - 1_000);
    for (x, y, rotation) in
        [(v.x, top, 0), (v.x, bottom, 0), (v.x - 1_500, v.y - 2_500, 1), (v.x + 1_500, v.y - 2_500, 3)]
    {
        town.build(ada, Building::Fence, Point::new(x, y), rotation).expect("corners may meet");
    }
    let inside = Point::new(v.x, v.y - 2_500);
    assert_eq!(no(town.walk(ada, inside)), "wall");
    assert_eq!(no(town.walk(ada, Point::new(v.x, v.y - 6_000))), "wall", "not through either");
    assert_eq!(no(town.walk(ada, Point::new(v.x + 1_500, bottom - 10))), "wall", "nor through the corner");
    town.walk(ada, Point::new(v.x + 5_000, v.y)).expect("along the fence");
    town.walk(ada, Point::new(v.x + 5_000, v.y - 6_000)).expect("around it");
}

#[test]
fn whoever_is_inside_may_leave() {
    let (mut town, ada) = ada_the_builder();
    let middle = crossroads(&town);
    town.stand(ada, beside(middle));
    town.build(ada, Building::Hut, middle, 0).expect("free meadow");
    town.stand(ada, middle);
    town.walk(ada, beside(middle)).expect("out of the hut");
    assert_eq!(no(town.walk(ada, middle)), "wall");
}

#[test]
fn bad_ground_people_and_reach() {
    let (mut town, ada) = ada_the_builder();
    let bob = town.settle("Bob").expect("a good name");
    let v = town.island.village();
    let spot = Point::new(v.x + 4_000, v.y);
    town.stand(bob, Point::new(v.x + 4_800, v.y));
    assert_eq!(no(town.build(ada, Building::Campfire, spot, 0)), "someone_there");
    assert_eq!(no(town.build(ada, Building::Campfire, v, 0)), "someone_there", "not on oneself");
    assert_eq!(no(town.build(ada, Building::Campfire, Point::new(v.x + 8_001, v.y), 0)), "too_far");
    let far = Point::new(i32::MIN, i32::MAX);
    assert_eq!(no(town.build(ada, Building::Campfire, far, 0)), "too_far");
    assert_eq!(no(town.build(ada, Building::Campfire, spot, 4)), "unclear");
    assert_eq!(no(town.build(ada, Building::None, spot, 0)), "unclear");
    assert_eq!(no(town.build(bob, Building::Campfire, v, 0)), "missing_items");
    // At the shore: half of the hut would stand in water.
    let shore = shore(&town);
    town.stand(ada, Point::new(shore.x - 6_000, shore.y));
    assert_eq!(no(town.build(ada, Building::Hut, shore, 0)), "bad_ground");
}

/// A place on the beach with water just east of it.
fn shore(town: &Town) -> Point {
    let v = town.island.village();
    let dry = |x: &i32| town.island.biome(Point::new(*x, v.y)).is_walkable();
    let x = (v.x..SIZE_MM).step_by(100).take_while(dry).last().expect("the village is dry");
    Point::new(x / 20 * 20 - 20, v.y)
}

#[test]
fn things_are_in_the_way_until_they_are_gathered() {
    let (mut town, ada) = ada_the_builder();
    town.give(ada, Item::Axe, 1);
    let around = ChunkId::of(0, town.island.village()).around(10);
    let bushes = around.flat_map(|chunk| town.island.nature(chunk));
    // A thing with nothing else within 4 m, away from its chunk's sides, on grass.
    let all: Vec<_> = bushes.collect();
    let lonely = |at: Point| all.iter().filter(|thing| thing.at.within(at, 4_000)).count() == 1;
    let grass = |at: Point| town.island.biome(at) == Biome::Grass;
    let flax = pioneer::schema::What::Flax;
    let thing = all.iter().find(|t| t.what == flax && lonely(t.at) && grass(t.at)).expect("flax in a meadow");
    let (chunk, index) = (ChunkId::of(0, thing.at), u32::from(thing.index));
    town.stand(ada, Point::new(thing.at.x + 2_000, thing.at.y));
    assert_eq!(no(town.build(ada, Building::Campfire, thing.at, 0)), "not_free");
    town.gather(ada, chunk, index).expect("flax");
    let fire = town.build(ada, Building::Campfire, thing.at, 0).expect("bare ground").thing;
    let listed =
        |town: &mut Town| town.land(chunk).things.iter().find(|t| t.index == index).map(|t| t.stage());
    assert_eq!(listed(&mut town), None, "covered");
    assert_eq!(no(town.gather(ada, chunk, index)), "nothing_there");
    town.now = town.now + 10_000_000;
    assert_eq!(town.land_changes(chunk), None, "nothing grows under a fire");
    town.demolish(ada, chunk, fire).expect("her own");
    assert_eq!(listed(&mut town), Some(Stage::Bare), "it starts anew");
    town.now = town.land_changes(chunk).expect("it grows");
    assert_eq!(listed(&mut town), Some(Stage::Growing));
}

#[test]
fn a_chunk_holds_only_so_many_buildings() {
    let (mut town, ada) = ada_the_builder();
    let v = town.island.village();
    // Between the ways to the north and to the east.
    let chunk = ChunkId::of(0, Point::new(v.x + 8_000, v.y - 8_000));
    let corner = chunk.corner();
    let mut built = 0;
    let mut last = Ok(Default::default());
    // Fences in rows 500 mm apart, in the part of a chunk at the village that lies in the clearing.
    for k in 0..200 {
        let at = Point::new(v.x + 2_820 + k % 5 * 3_000, v.y - 17_000 + k / 5 * 500);
        let inside = (corner.x + 2_000..corner.x + 28_000).contains(&at.x) && at.y > corner.y + 1_500;
        if !inside || at.y > (corner.y + 28_000).min(v.y - 1_700) {
            continue;
        }
        town.stand(ada, Point::new(at.x, at.y + 5_000));
        supply_planks(&mut town, ada);
        last = town.build(ada, Building::Fence, at, 0);
        if last.is_err() {
            break;
        }
        built += 1;
    }
    assert_eq!((built, no(last)), (LOTS_MAX, "land_full".to_owned()));
    let public = town.land(chunk);
    assert!(gundo::Message::encoded_len(&public) < 8 * 1024, "well within the engine's limit");
}

fn supply_planks(town: &mut Town, who: EntityId) {
    if town.count(who, Item::Plank) < 2 {
        town.give(who, Item::Plank, 20);
    }
}
