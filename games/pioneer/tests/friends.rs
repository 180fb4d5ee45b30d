//! Friends: both lists change together, and a block does not tell.

mod support;

use gundo::{EntityId, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    Befriend, BeginTrade, Block, Give, Item, News, Person, PlayerReply, PlayerTold, Unblock, Unfriend,
};
use pioneer::{BLOCKED_MAX, FRIENDS_MAX, Player, REQUESTS_MAX};
use support::{Town, no, stack};

type Answer = Result<PlayerReply, Refusal>;

/// Waits first, so that no pace says no.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, command)
}

fn befriend(town: &mut Town, who: EntityId, with: EntityId) -> Answer {
    wish(town, who, Command::Befriend(Befriend { with: with.id }))
}

fn unfriend(town: &mut Town, who: EntityId, with: EntityId) -> Answer {
    wish(town, who, Command::Unfriend(Unfriend { with: with.id }))
}

fn block(town: &mut Town, who: EntityId, whom: EntityId) -> Answer {
    wish(town, who, Command::Block(Block { whom: whom.id }))
}

/// Friends, who asks, who is asked, who is blocked.
fn lists(town: &mut Town, who: EntityId) -> [Vec<String>; 4] {
    let own = town.own(who);
    let names = |people: Vec<Person>| people.into_iter().map(|person| person.name).collect();
    [own.friends, own.asks_me, own.asked, own.blocked].map(names)
}

fn list(names: [&str; 4]) -> [Vec<String>; 4] {
    names.map(|name| name.split_whitespace().map(str::to_owned).collect())
}

fn news(town: &mut Town, who: EntityId) -> Vec<(News, String)> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.into_iter().map(|told| (told.news(), told.name)).collect()
}

fn three(town: &mut Town) -> [EntityId; 3] {
    ["Ada", "Bob", "Cyd"].map(|name| town.settle(name).expect("a good name"))
}

#[test]
fn they_ask_accept_decline_withdraw_and_part() {
    let mut town = Town::new();
    let [ada, bob, _] = three(&mut town);
    befriend(&mut town, ada, bob).expect("asks");
    assert_eq!(lists(&mut town, ada), list(["", "", "Bob", ""]));
    assert_eq!(lists(&mut town, bob), list(["", "Ada", "", ""]));
    assert_eq!(news(&mut town, bob), [(News::FriendAsked, "Ada".to_owned())]);
    assert_eq!(no(befriend(&mut town, ada, bob)), "already_asked");

    befriend(&mut town, bob, ada).expect("accepts");
    for (who, friend) in [(ada, "Bob"), (bob, "Ada")] {
        assert_eq!(lists(&mut town, who), list([friend, "", "", ""]));
        assert_eq!(no(befriend(&mut town, who, if who == ada { bob } else { ada })), "already_friends");
    }
    assert_eq!(news(&mut town, ada), [(News::FriendMade, "Bob".to_owned())]);

    unfriend(&mut town, ada, bob).expect("parts");
    assert_eq!(no(unfriend(&mut town, ada, bob)), "not_friends");
    assert_eq!(no(unfriend(&mut town, bob, ada)), "not_friends");
    for (who, by) in [(ada, "withdraws"), (bob, "declines")] {
        befriend(&mut town, ada, bob).expect("asks again");
        unfriend(&mut town, who, if who == ada { bob } else { ada }).expect(by);
        assert_eq!([lists(&mut town, ada), lists(&mut town, bob)], [list([""; 4]), list([""; 4])], "{by}");
    }
}

#[test]
fn a_block_ends_everything_and_does_not_tell() {
    let mut town = Town::new();
    let [ada, bob, _] = three(&mut town);
    befriend(&mut town, ada, bob).expect("asks");
    befriend(&mut town, bob, ada).expect("accepts");
    block(&mut town, bob, ada).expect("blocks");
    assert_eq!(lists(&mut town, ada), list([""; 4]));
    assert_eq!(lists(&mut town, bob), list(["", "", "", "Ada"]));
    assert_eq!(no(block(&mut town, bob, ada)), "already_blocked");
    news(&mut town, bob);

    // As if it had arrived.
    assert_eq!(befriend(&mut town, ada, bob), Ok(PlayerReply::default()));
    assert_eq!(lists(&mut town, ada), list(["", "", "Bob", ""]));
    assert_eq!(lists(&mut town, bob), list(["", "", "", "Ada"]));
    assert_eq!(news(&mut town, bob), []);
    town.give(ada, Item::Wood, 2);
    let each = Some(stack(Item::Wood, 1));
    assert_eq!(no(wish(&mut town, ada, Command::Give(Give { to: vec![bob.id], each }))), "no_room");
    assert_eq!(no(wish(&mut town, ada, Command::BeginTrade(BeginTrade { with: bob.id }))), "not_now");
    // Bob knows whom he has blocked.
    assert_eq!(no(befriend(&mut town, bob, ada)), "you_blocked");
    assert_eq!(no(wish(&mut town, bob, Command::BeginTrade(BeginTrade { with: ada.id }))), "you_blocked");
    town.give(bob, Item::Wood, 1);
    assert_eq!(no(wish(&mut town, bob, Command::Give(Give { to: vec![ada.id], each }))), "you_blocked");

    // Later they meet in the middle: Ada's request still stands on her side.
    wish(&mut town, bob, Command::Unblock(Unblock { whom: ada.id })).expect("unblocks");
    assert_eq!(no(wish(&mut town, bob, Command::Unblock(Unblock { whom: ada.id }))), "not_blocked");
    befriend(&mut town, bob, ada).expect("both have asked now");
    assert_eq!(lists(&mut town, ada), list(["Bob", "", "", ""]));
    assert_eq!(lists(&mut town, bob), list(["Ada", "", "", ""]));
}

#[test]
fn who_has_asked_does_not_notice_a_block() {
    let mut town = Town::new();
    let [ada, bob, _] = three(&mut town);
    befriend(&mut town, ada, bob).expect("asks");
    block(&mut town, bob, ada).expect("blocks");
    assert_eq!(lists(&mut town, ada), list(["", "", "Bob", ""]));
    assert_eq!(lists(&mut town, bob), list(["", "", "", "Ada"]));
    unfriend(&mut town, ada, bob).expect("withdraws");
    assert_eq!(lists(&mut town, ada), list([""; 4]));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut town = Town::new();
    let [ada, bob, _] = three(&mut town);
    let nobody = EntityId::new(ada.kind, 4_711);
    assert_eq!(no(befriend(&mut town, ada, ada)), "yourself");
    assert_eq!(no(block(&mut town, ada, ada)), "yourself");
    assert_eq!(no(unfriend(&mut town, ada, ada)), "not_friends");
    assert_eq!(no(unfriend(&mut town, ada, bob)), "not_friends");
    assert_eq!(no(befriend(&mut town, ada, nobody)), "no_such_entity");
    assert_eq!(no(block(&mut town, ada, nobody)), "no_such_entity");
    assert_eq!(lists(&mut town, ada), list([""; 4]));
}

#[test]
fn lists_have_limits_on_both_sides() {
    let mut town = Town::new();
    let [ada, bob, cyd] = three(&mut town);
    let crowd: Vec<EntityId> = (0..FRIENDS_MAX.max(BLOCKED_MAX))
        .map(|k| town.settle(&format!("Guest {k}")).expect("a good name"))
        .collect();
    for guest in &crowd[..REQUESTS_MAX] {
        befriend(&mut town, ada, *guest).expect("asks");
    }
    assert_eq!(no(befriend(&mut town, ada, bob)), "requests_full");
    for guest in &crowd[..REQUESTS_MAX] {
        befriend(&mut town, *guest, bob).expect("asks");
    }
    assert_eq!(no(befriend(&mut town, cyd, bob)), "their_requests_full");
    block(&mut town, bob, cyd).expect("blocks");
    assert_eq!(no(befriend(&mut town, cyd, bob)), "their_requests_full", "a block does not tell");

    for guest in &crowd[..FRIENDS_MAX] {
        if !town.own(bob).asks_me.iter().any(|person| person.id == guest.id) {
            befriend(&mut town, *guest, bob).expect("asks");
        }
        befriend(&mut town, bob, *guest).expect("accepts");
    }
    assert_eq!(town.own(bob).friends.len(), FRIENDS_MAX);
    assert_eq!(no(befriend(&mut town, bob, ada)), "friends_full");
    befriend(&mut town, ada, crowd[0]).expect_err("asked already");
    unfriend(&mut town, ada, crowd[0]).expect("withdraws");
    befriend(&mut town, ada, bob).expect("asks");
    assert_eq!(no(befriend(&mut town, bob, ada)), "friends_full");

    for guest in &crowd[..BLOCKED_MAX] {
        block(&mut town, cyd, *guest).expect("blocks");
    }
    assert_eq!(no(block(&mut town, cyd, ada)), "blocked_full");
    town.check();
}

#[test]
fn a_full_list_of_the_one_who_asked_first_is_told_to_the_one_who_accepts() {
    let mut town = Town::new();
    let [ada, bob, _] = three(&mut town);
    befriend(&mut town, ada, bob).expect("asks");
    for k in 0..FRIENDS_MAX {
        let guest = town.settle(&format!("Guest {k}")).expect("a good name");
        befriend(&mut town, guest, ada).expect("asks");
        befriend(&mut town, ada, guest).expect("accepts");
    }
    assert_eq!(no(befriend(&mut town, bob, ada)), "their_friends_full");
    assert_eq!(lists(&mut town, bob)[1], ["Ada"]);
}
