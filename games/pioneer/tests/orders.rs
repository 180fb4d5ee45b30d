//! What operators order players.

mod support;

use pioneer::schema::{
    BeginTrade, Confirm, Item, News, Offer, PlayerState, player_command::Command, player_event::Event,
};
use pioneer::{Player, SLOTS_MAX};
use support::{Town, no, stack};

#[test]
fn a_compensation_comes_with_its_reason() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    town.give(ada, Item::Wood, 3);
    let words = town.order::<Player>(ada, "give 5 wood sorry for the outage").expect("she has room");
    assert_eq!((&*words, town.count(ada, Item::Wood)), ("Ada has 8 wood now", 8));
    let heard = town.heard::<Player>(ada).pop().expect("she is told");
    assert_eq!((heard.news(), &*heard.text), (News::Compensated, "sorry for the outage"));
    assert_eq!(heard.gift, Some(stack(Item::Wood, 5)));
    let event = town.events::<Player>(ada).pop();
    assert!(matches!(event, Some(Event::Compensated(fact)) if fact.reason == "sorry for the outage"));
    // Axes do not stack, and the bag is full.
    town.give(ada, Item::Axe, SLOTS_MAX - 1);
    assert_eq!(no(town.order::<Player>(ada, "give 1 axe a prize")), "no_room");
    town.check();
}

#[test]
fn what_makes_no_sense_is_not_read() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    let long = format!("give 1 wood {}", "x".repeat(201));
    for words in [
        "",
        "help",
        "take 5 wood because",
        "give",
        "give five wood because",
        "give 0 wood because",
        "give 1001 wood because",
        "give 5 gold because",
        "give 5 wood",
        &long,
        "end-trade now",
        "end-trade alone now",
    ] {
        let refusal = town.order::<Player>(ada, words).expect_err(words);
        assert_eq!(refusal.code, "bad_order", "{words}");
    }
    assert_eq!(no(town.order::<Player>(ada, "end-trade")), "no_trade");
}

/// Ada and Bob trade; Ada has offered two planks.
fn trading() -> (Town, [gundo::EntityId; 2]) {
    let mut town = Town::new();
    let both = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    let [ada, bob] = both;
    town.give(ada, Item::Plank, 3);
    town.wish(ada, Command::BeginTrade(BeginTrade { with: bob.id })).expect("he is near");
    let trade = town.state::<Player>(ada).trade.expect("it has begun").id;
    let stacks = vec![stack(Item::Plank, 2)];
    town.wish(ada, Command::Offer(Offer { trade, stacks, deeds: Vec::new() })).expect("she has them");
    town.wish(bob, Command::Confirm(Confirm { trade, version: 1 })).expect("it is the newest");
    assert_eq!(town.count(ada, Item::Plank), 1);
    both.iter().for_each(|who| drop(town.heard::<Player>(*who)));
    (town, both)
}

#[test]
fn a_stuck_trade_ends_for_both() {
    let (mut town, [ada, bob]) = trading();
    let words = town.order::<Player>(bob, "end-trade").expect("they trade");
    assert_eq!(words, "the trade of Bob and Ada is over");
    let over = |state: PlayerState| state.trade.is_none();
    assert!([ada, bob].iter().all(|who| over(town.state::<Player>(*who))));
    assert_eq!(town.count(ada, Item::Plank), 3);
    for who in [ada, bob] {
        let news: Vec<_> = town.heard::<Player>(who).iter().map(|told| told.news()).collect();
        assert_eq!(news, [News::TradeEnded]);
    }
}

#[test]
fn a_stuck_trade_ends_for_one_alone() {
    let (mut town, [ada, bob]) = trading();
    let words = town.order::<Player>(ada, "end-trade alone").expect("they trade");
    assert_eq!(words, "the trade of Ada and Bob is over; Ada has back 2 plank");
    assert_eq!(town.count(ada, Item::Plank), 3);
    assert!(town.state::<Player>(bob).trade.is_some());
    // He can leave by himself, as after any trade that is over.
    assert_eq!(
        town.order::<Player>(bob, "end-trade").expect("his is still there"),
        "the trade of Bob and Ada is over"
    );
}
