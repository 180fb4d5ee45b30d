//! The island of seed 1 is the same for ever, ways over it are what they look like, and creatures keep their place.

mod support;

use gundo::{ChunkId, Message, Point};
use pioneer::{Biome, Island, Land, RABBIT, SHEEP, SIZE_MM};
use support::{Town, no};

/// FNV-1a over the ground and what grows around the village.
fn fingerprint(island: &Island) -> u64 {
    let mut bytes = island.terrain().encode_to_vec();
    bytes.extend(island.village().x.to_le_bytes());
    bytes.extend(island.village().y.to_le_bytes());
    for chunk in ChunkId::of(0, island.village()).around(8) {
        for thing in island.nature(chunk) {
            bytes.extend([thing.index, thing.what as u8, thing.look]);
            bytes.extend(thing.at.x.to_le_bytes());
            bytes.extend(thing.at.y.to_le_bytes());
        }
    }
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_island_of_seed_1_never_changes() {
    // Worlds keep only their seed: another island here would grow trees through the players' huts.
    assert_eq!(fingerprint(&Island::generate(1)), GOLDEN, "{:#x}", fingerprint(&Island::generate(1)));
    assert_ne!(fingerprint(&Island::generate(2)), GOLDEN);
}

const GOLDEN: u64 = 0x156c_eb95_2312_a251;

#[test]
fn the_description_is_small() {
    let size = pioneer::describe(&Island::generate(1)).encoded_len();
    assert!(size < 48 * 1024, "{size} bytes in every Welcome");
}

#[test]
fn nobody_walks_into_water_or_up_a_cliff() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    let find = |town: &Town, biome: Biome| {
        let island = town.island;
        let grid = (0..SIZE_MM).step_by(5_000);
        let all = grid.flat_map(|y| (0..SIZE_MM).step_by(5_000).map(move |x| Point::new(x, y)));
        let edge =
            |p: &Point| island.biome(*p) == biome && island.biome(Point::new(p.x, p.y - 5_000)).is_walkable();
        all.into_iter().find(edge).expect("the island has some")
    };
    for (biome, code) in [(Biome::Water, "water"), (Biome::Cliff, "cliff")] {
        let p = find(&town, biome);
        let dry = Point::new(p.x, p.y - 5_000);
        town.stand(ada, dry);
        assert_eq!(no(town.walk(ada, p)), code);
        assert_eq!(town.body(ada).at, dry);
        // Across: what lies on the way counts, not only where it ends.
        let across = Point::new(p.x, p.y + 200_000);
        assert_eq!(no(town.walk(ada, across)), "too_far");
    }
    let v = town.island.village();
    town.stand(ada, v);
    town.walk(ada, Point::new(v.x + 400, v.y - 300)).expect("over the meadow");
    let here = town.body(ada).at;
    town.walk(ada, here).expect("standing still");
    assert_eq!(no(town.walk(ada, Point::new(i32::MAX, i32::MIN))), "too_far");
}

#[test]
fn a_pond_between_two_shores_is_not_jumped() {
    let island = Island::generate(1);
    let wet = |p: Point| island.biome(p) == Biome::Water;
    let row = |y: i32| (300_000..SIZE_MM - 300_000).step_by(1_000).map(move |x| Point::new(x, y));
    // A stretch of water in a row of the inner island, and dry ground left and right of it.
    let shores = (300_000..SIZE_MM - 300_000).step_by(7_000).find_map(|y| {
        let left = row(y).zip(row(y).skip(1)).find(|(a, b)| !wet(*a) && wet(*b))?.0;
        let right = row(y).skip_while(|p| p.x <= left.x).find(|p| !wet(*p))?;
        (right.x - left.x < 90_000).then_some((left, right))
    });
    let (left, right) = shores.expect("the island has a lake");
    assert_eq!(island.obstacle(left, right), Some(Biome::Water));
    assert_eq!(island.obstacle(right, left), Some(Biome::Water));
}

/// Some chunks with creatures near the village.
fn pastures(town: &mut Town) -> Vec<ChunkId> {
    let around = ChunkId::of(0, town.island.village()).around(8);
    let chunks: Vec<_> = around.filter(|chunk| !town.tick::<Land>(*chunk).is_empty()).take(6).collect();
    assert!(!chunks.is_empty(), "no creature near the village");
    chunks
}

#[test]
fn creatures_stay_near_and_on_dry_ground() {
    let mut town = Town::new();
    for chunk in pastures(&mut town) {
        let first = town.tick::<Land>(chunk);
        let mut moved = false;
        for _ in 0..600 {
            town.now = town.now + 100;
            for (child, begin) in town.tick::<Land>(chunk).iter().zip(&first) {
                assert!(child.kind == RABBIT || child.kind == SHEEP);
                assert!(town.island.biome(child.body.at).is_walkable(), "a swimmer in {chunk:?}");
                assert!(child.body.at.distance(begin.body.at) < 25_000, "strayed");
                moved |= child.body.at != begin.body.at;
            }
        }
        assert!(moved, "creatures wander");
    }
}

#[test]
fn creatures_flee() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    for chunk in pastures(&mut town) {
        let scared = town.tick::<Land>(chunk)[0].body.at;
        town.stand(ada, Point::new(scared.x - 1_000, scared.y));
        let before = town.body(ada).at.distance(scared);
        for _ in 0..15 {
            town.now = town.now + 100;
            town.tick::<Land>(chunk);
        }
        let after = town.body(ada).at.distance(town.tick::<Land>(chunk)[0].body.at);
        assert!(after > before + 1_000, "{after} mm after the fright, {before} before");
    }
}
