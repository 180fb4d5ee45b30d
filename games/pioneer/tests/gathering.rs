//! Gathering, crafting and carrying, told as short stories.

mod support;

use gundo::{ChunkId, EntityId, Point};
use pioneer::schema::player_command::Command;
use pioneer::schema::{Hold, Item, Paint, Say, Stack, Stage, What, Whisper, player_event, player_signal};
use pioneer::{Land, Nature, Player};
use support::{Town, no, stack};

/// The nearest `what` to the village, and a player called Ada beside it.
fn ada_at(what: What) -> (Town, EntityId, ChunkId, Nature) {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    let village = town.island.village();
    let around = ChunkId::of(0, village).around(12);
    let things = around.flat_map(|chunk| town.island.nature(chunk)).filter(|thing| thing.what == what);
    let thing = things.min_by_key(|thing| thing.at.distance(village)).expect("it grows near the village");
    town.stand(ada, Point::new(thing.at.x + 900, thing.at.y));
    (town, ada, ChunkId::of(0, thing.at), thing)
}

fn stage(town: &mut Town, chunk: ChunkId, thing: Nature) -> Stage {
    let land = town.land(chunk);
    land.things.iter().find(|t| t.index == u32::from(thing.index)).expect("it is listed").stage()
}

#[test]
fn a_tree_falls_for_everybody_and_grows_again_exactly() {
    let (mut town, ada, chunk, pine) = ada_at(What::Pine);
    let index = u32::from(pine.index);
    assert_eq!(stage(&mut town, chunk, pine), Stage::Full);
    let reply = town.gather(ada, chunk, index).expect("the tree is full");
    assert_eq!(reply.gained, [stack(Item::Wood, 2)], "bare hands get half");
    assert_eq!(stage(&mut town, chunk, pine), Stage::Growing);
    town.gather(ada, chunk, index).expect("half of what is left, rounded up");
    town.gather(ada, chunk, index).expect("the last one");
    assert_eq!(town.count(ada, Item::Wood), 4, "all the tree had");
    assert_eq!(stage(&mut town, chunk, pine), Stage::Bare);
    assert_eq!(no(town.gather(ada, chunk, index)), "nothing_grown");

    let felled = town.now;
    assert_eq!(town.land_changes(chunk), Some(felled + 90_000));
    town.now = felled + 89_999;
    assert_eq!(stage(&mut town, chunk, pine), Stage::Bare);
    assert_eq!(no(town.gather(ada, chunk, index)), "nothing_grown");
    town.now = felled + 90_000;
    assert_eq!(stage(&mut town, chunk, pine), Stage::Growing);
    assert_eq!(town.land_changes(chunk), Some(felled + 360_000));
    town.now = felled + 360_000;
    assert_eq!(stage(&mut town, chunk, pine), Stage::Full);
    assert_eq!(town.land_changes(chunk), None);
    town.give(ada, Item::Axe, 1);
    assert_eq!(town.gather(ada, chunk, index).expect("full again").gained, [stack(Item::Wood, 4)]);
}

#[test]
fn others_see_who_gathered_what() {
    let (mut town, ada, chunk, bush) = ada_at(What::Flax);
    town.gather(ada, chunk, bush.index.into()).expect("flax");
    let (who, signal) = town.signals::<Player>().pop().expect("a signal");
    let player_signal::Signal::Gathered(gathered) = signal else { panic!("{signal:?}") };
    assert_eq!((who, gathered.thing, gathered.gained), (ada, bush.index.into(), Some(stack(Item::Fibre, 2))));
}

#[test]
fn what_is_far_away_or_not_there_is_refused() {
    let (mut town, ada, chunk, pine) = ada_at(What::Pine);
    let index = u32::from(pine.index);
    town.stand(ada, Point::new(pine.at.x + 3_000, pine.at.y));
    assert!(town.gather(ada, chunk, index).is_ok(), "just within reach");
    town.stand(ada, Point::new(pine.at.x + 3_001, pine.at.y));
    assert_eq!(no(town.gather(ada, chunk, index)), "too_far");
    let elsewhere = ChunkId { x: chunk.x + 2, ..chunk };
    assert_eq!(no(town.gather(ada, elsewhere, 0)), "too_far");
    town.stand(ada, pine.at);
    assert_eq!(no(town.gather(ada, chunk, 77)), "nothing_there");
    assert_eq!(no(town.gather(ada, chunk, u32::MAX)), "nothing_there");
}

#[test]
fn a_full_inventory_refuses_and_nothing_happens() {
    let (mut town, ada, chunk, pine) = ada_at(What::Pine);
    town.give(ada, Item::Stone, 11 * 20);
    town.give(ada, Item::Wood, 19);
    assert_eq!(no(town.gather(ada, chunk, pine.index.into())), "inventory_full");
    assert_eq!(stage(&mut town, chunk, pine), Stage::Full, "the tree stands");
    assert_eq!(town.count(ada, Item::Wood), 19);
    assert!(town.events::<Land>(chunk).is_empty());
    let before = town.own(ada);
    assert_eq!(no(town.craft(ada, 1, 0)), "unclear");
    assert_eq!(no(town.craft(ada, 1, 10)), "missing_items");
    assert_eq!(no(town.craft(ada, 1, 9)), "inventory_full", "one wood stays, so planks find no slot");
    assert_eq!(town.own(ada), before);
}

#[test]
fn recipes_take_and_give() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    for (item, count) in [(Item::Wood, 5), (Item::Stone, 2), (Item::Fibre, 3), (Item::Berry, 4)] {
        town.give(ada, item, count);
    }
    town.craft(ada, 1, 2).expect("planks");
    town.craft(ada, 2, 1).expect("rope");
    let axe = town.craft(ada, 3, 1).expect("an axe").gained[0];
    assert_eq!(axe, Stack { id: axe.id, ..stack(Item::Axe, 1) });
    town.craft(ada, 5, 1).expect("dye");
    let own = town.own(ada);
    assert_eq!(own.slots, [stack(Item::Plank, 4), axe, stack(Item::Dye, 1)]);
    for (recipe, count, code) in
        [(0, 1, "unclear"), (6, 1, "unclear"), (1, 21, "unclear"), (1, 1, "missing_items")]
    {
        assert_eq!(no(town.craft(ada, recipe, count)), code);
    }
}

#[test]
fn hands_and_coats() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    let seen = |town: &mut Town| town.public::<Player>(ada).expect("players are seen");
    let hold = |item: Item| Command::Hold(Hold { item: item.into() });
    assert_eq!(no(town.wish(ada, hold(Item::Dye))), "not_yours");
    assert_eq!(no(town.wish(ada, Command::Hold(Hold { item: 99 }))), "not_yours");
    assert_eq!(no(town.wish(ada, Command::Paint(Paint { colour: 3 }))), "missing_items");
    town.give(ada, Item::Dye, 1);
    town.wish(ada, hold(Item::Dye)).expect("she has it");
    assert_eq!(seen(&mut town).holds(), Item::Dye);
    assert_eq!(no(town.wish(ada, Command::Paint(Paint { colour: 12 }))), "unclear");
    town.wish(ada, Command::Paint(Paint { colour: 3 })).expect("she has dye");
    let after = seen(&mut town);
    assert_eq!((after.colour, after.holds()), (3, Item::None), "the dye is used up");
}

#[test]
fn names_are_unique_whatever_their_case() {
    let mut town = Town::new();
    town.settle(" Ada L ").expect("a good name");
    assert_eq!(no(town.settle("ada l")), "name_taken");
    assert_eq!(no(town.settle("a")), "bad_name");
    town.settle("Bo-b").expect("another name");
}

#[test]
fn what_is_said_is_seen_once_and_kept_nowhere() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    let events = town.events::<Player>(ada).len();
    town.wish(ada, Command::Say(Say { text: " hello ".into() })).expect("plain text");
    let (_, signal) = town.signals::<Player>().pop().expect("a signal");
    let player_signal::Signal::Said(said) = signal else { panic!("{signal:?}") };
    assert_eq!((said.text.as_str(), town.events::<Player>(ada).len()), ("hello", events));
    assert_eq!(no(town.wish(ada, Command::Say(Say { text: "a\u{1b}[2J".into() }))), "bad_text");
}

#[test]
fn whispers_are_counted_and_kept() {
    let mut town = Town::new();
    let (ada, bo) = (town.settle("Ada").expect("a good name"), town.settle("Bob").expect("a good name"));
    let whisper = |text: &str| Command::Whisper(Whisper { to: bo.id, text: text.into() });
    town.wish(ada, whisper(" hello ")).expect("plain text");
    assert_eq!(no(town.wish(ada, whisper("a\u{1b}[2J"))), "bad_text");
    town.wish(ada, whisper("again")).expect("plain text");
    let said = town.events::<Player>(ada).into_iter().filter_map(|event| match event {
        player_event::Event::Whispered(said) => Some((said.number, said.to, said.text)),
        _ => None,
    });
    let expected = [(1, bo.id, "hello".to_owned()), (2, bo.id, "again".to_owned())];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}
