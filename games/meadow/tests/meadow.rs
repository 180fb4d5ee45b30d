//! The meadow is played in a town of its tests.

use gundo::EntityId;
use gundo::prelude::*;
use gundo::testing::Town;
use meadow::{ARMS_MAX, FLOWERS_MAX, Flower, Gardener, Meadow, REACH_MM, RIPE_MS, Wish};

/// A town with Ada, who stands in its first chunk.
fn ada() -> (Town, EntityId, ChunkId) {
    let mut town = Town::new(meadow::rules());
    let ada = town.join("Ada").expect("a good name");
    let chunk = town.body(ada).chunk();
    (town, ada, chunk)
}

fn flowers(town: &mut Town, chunk: ChunkId) -> Vec<Flower> {
    town.public::<Meadow>(chunk).expect("meadows are seen").flowers
}

#[test]
fn a_flower_is_planted_ripens_and_is_picked() {
    let (mut town, ada, chunk) = ada();
    town.command::<Gardener>(ada, &Wish::Plant).expect("room for one");
    assert_eq!(town.command::<Gardener>(ada, &Wish::Pick).unwrap_err().code, "nothing_ripe", "too early");
    let ripe = town.now + RIPE_MS;
    assert_eq!(town.next_change::<Meadow>(chunk), Some(ripe));
    town.pass_ms(RIPE_MS - 1);
    assert!(!flowers(&mut town, chunk)[0].ripe);
    town.pass_ms(1);
    assert!(flowers(&mut town, chunk)[0].ripe);
    assert_eq!(town.next_change::<Meadow>(chunk), None);

    let here = town.body(ada).at;
    town.stand(ada, Point::new(here.x + REACH_MM as i32 + 1, here.y));
    assert_eq!(town.command::<Gardener>(ada, &Wish::Pick).unwrap_err().code, "nothing_ripe", "too far");
    town.stand(ada, Point::new(here.x + REACH_MM as i32, here.y));
    town.command::<Gardener>(ada, &Wish::Pick).expect("in reach");
    assert_eq!((town.private::<Gardener>(ada).flowers, flowers(&mut town, chunk).len()), (1, 0));
}

#[test]
fn full_arms_and_full_meadows_refuse() {
    let (mut town, ada, chunk) = ada();
    for _ in 0..FLOWERS_MAX {
        town.command::<Gardener>(ada, &Wish::Plant).expect("room");
    }
    assert_eq!(town.command::<Gardener>(ada, &Wish::Plant).unwrap_err().code, "full");
    town.pass_ms(RIPE_MS);
    for _ in 0..ARMS_MAX {
        town.command::<Gardener>(ada, &Wish::Pick).expect("free arms");
    }
    assert_eq!(town.command::<Gardener>(ada, &Wish::Pick).unwrap_err().code, "arms_full");
    assert_eq!(town.state::<Gardener>(ada).flowers, ARMS_MAX);
    assert_eq!(flowers(&mut town, chunk).len(), FLOWERS_MAX - ARMS_MAX as usize);
}

#[test]
fn names_are_unique_whatever_their_case() {
    let (mut town, ..) = ada();
    assert_eq!(town.join("ADA").unwrap_err().code, "name_taken");
    assert_eq!(town.join("A!").unwrap_err().code, "bad_name");
    town.join("Bob").expect("another name");
}
