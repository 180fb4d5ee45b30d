//! Nobody is fenced in: the ways from the village to the sea and the ground before doors stay free.

mod support;

use gundo::{ChunkId, EntityId, Point};

use pioneer::schema::{Building, Item};
use pioneer::{DOOR_MM, Land, WAY_MM};
use support::estates::block;
use support::{Town, no};

#[test]
fn newcomers_appear_on_the_ways_and_nobody_builds_there() {
    let mut town = Town::new();
    let village = town.island.village();
    for id in 0..300 {
        let Point { x, y } = town.island.arrival(id);
        let away = (x - village.x).abs().min((y - village.y).abs());
        assert!(away < WAY_MM - pioneer::BODY_RADIUS_MM, "{away} mm from the middle of a way");
    }
    let ada = town.settle("Ada").expect("a good name");
    for (item, count) in [(Item::Wood, 40), (Item::Stone, 40), (Item::Plank, 20)] {
        town.give(ada, item, count);
    }
    // A fire has 1.4 m.
    for (dx, dy) in
        [(8_000, 0), (0, 8_000), (-8_000, WAY_MM + 690), (WAY_MM + 690, -8_000), (-8_000, -WAY_MM - 690)]
    {
        let at = Point::new(village.x + dx, village.y + dy);
        town.stand(ada, Point::new(at.x + 3_000, at.y + 3_000));
        assert_eq!(no(town.build(ada, Building::Campfire, at, 0)), "on_way", "{dx} {dy}");
    }
    let beside = Point::new(village.x + WAY_MM + 700, village.y + WAY_MM + 700);
    town.stand(ada, Point::new(beside.x + 3_000, beside.y + 3_000));
    town.build(ada, Building::Campfire, beside, 0).expect("beside the ways");
}

#[test]
fn nobody_builds_before_anothers_door() {
    // By rotation: where the door is, and ground that is free although it is as near.
    let half = [(3_000, 2_400), (2_400, 3_000)];
    for (rotation, (dx, to_south), free) in [
        (0, (0, true), (2_200, true)),
        (1, (-1_080, true), (1_200, true)),
        (2, (0, false), (0, true)),
        (3, (1_080, true), (-1_200, true)),
    ] {
        let mut town = Town::new();
        let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
        for who in [ada, bob] {
            for (item, count) in [(Item::Plank, 30), (Item::Stone, 20), (Item::Rope, 4), (Item::Wood, 20)] {
                town.give(who, item, count);
            }
        }
        // Where four chunks meet would be best; beside the ways there is room enough.
        let village = town.island.village();
        let hut = Point::new(village.x / 20 * 20 - 8_000, village.y / 20 * 20 - 8_000);
        town.stand(ada, Point::new(hut.x - 5_000, hut.y));
        town.build(ada, Building::Hut, hut, rotation).expect("a meadow");
        let depth = half[rotation as usize % 2].1;
        let before = |(dx, south): (i32, bool), away: i32| {
            let dy = depth + 700 + away;
            Point::new(hut.x + dx, if south { hut.y + dy } else { hut.y - dy })
        };
        let mut fire = |who: EntityId, at: Point| {
            town.stand(who, Point::new(at.x - 4_000, at.y));
            town.build(who, Building::Campfire, at, 0)
                .map_or_else(|no| no.code.into_owned(), |_| "ok".to_owned())
        };
        assert_eq!(fire(bob, before((dx, to_south), 300)), "before_door", "rotation {rotation}");
        assert_eq!(fire(bob, before((dx, to_south), DOOR_MM - 10)), "before_door", "rotation {rotation}");
        assert_eq!(fire(bob, before((dx, to_south), DOOR_MM)), "ok", "rotation {rotation}: far enough");
        assert_eq!(fire(bob, before(free, 10)), "ok", "rotation {rotation}: beside the door");
        assert_eq!(fire(ada, before((dx, to_south), 300)), "ok", "rotation {rotation}: her own door");
    }
}

#[test]
fn a_door_that_opens_into_the_next_chunk_is_known_there() {
    let mut town = Town::new();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    for who in [ada, bob] {
        for (item, count) in [(Item::Plank, 30), (Item::Stone, 20), (Item::Rope, 4), (Item::Wood, 20)] {
            town.give(who, item, count);
        }
    }
    // The hut ends 1 m north of a border: further than what grows keeps away, and its door opens across it.
    let land = block(&town, 2, 3);
    let south = ChunkId { y: land[0].y + 1, ..land[0] };
    let mut built = None;
    for k in 0..10 {
        let hut = Point::new(land[0].corner().x + 4_000 + k * 2_200, south.corner().y - 3_400);
        town.stand(ada, Point::new(hut.x, hut.y - 4_000));
        if let Ok(reply) = town.build(ada, Building::Hut, hut, 0) {
            built = Some((hut, reply.thing));
            break;
        }
    }
    let (hut, thing) = built.expect("room for a hut");
    let at = Point::new(hut.x, south.corner().y + 710);
    town.stand(bob, Point::new(at.x, at.y + 4_000));
    let code = no(town.build(bob, Building::Campfire, at, 0));
    assert!(["before_door", "not_free"].contains(&&*code), "{code}");
    assert_eq!(town.events::<Land>(south).len(), 1, "the land before the door knows the hut");
    town.stand(ada, Point::new(hut.x, hut.y - 4_000));
    town.demolish(ada, land[0], thing).expect("hers");
    assert_eq!(town.events::<Land>(south).len(), 2);
}
