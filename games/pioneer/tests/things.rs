//! Unique things: an axe keeps its id whoever has it, goes where its id is named, and is nowhere twice.

mod support;

use std::collections::BTreeMap;

use gundo::{EntityId, Point, Refusal, State};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AcceptGuild, BeginTrade, Building, Buy, Confirm, FoundGuild, Give, Hold, InviteToGuild, Item, Letter,
    LetterSent, Offer, PlayerReply, PutInChest, PutUp, Reprice, ReturnLetter, SendLetter, Stack,
    TakeFromChest, TakeFromLetter, Withdraw, player_event,
};
use pioneer::{Guild, Mailbox, Player, Stall};
use support::{Town, no, stack};

/// The recipe of axes.
const AXE: u32 = 3;

type Answer = Result<PlayerReply, Refusal>;

/// Waits first, so that no pace says no.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, command)
}

/// Ada and Bob next to each other.
fn two() -> (Town, EntityId, EntityId) {
    let mut town = Town::new();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    (town, ada, bob)
}

/// Crafts `count` axes. Returns them, the lowest id first.
fn craft(town: &mut Town, who: EntityId, count: u32) -> Vec<Stack> {
    for (item, each) in [(Item::Wood, 1), (Item::Stone, 2), (Item::Rope, 1)] {
        town.give(who, item, each * count);
    }
    let mut made = town.craft(who, AXE, count).expect("it has what that takes").gained;
    assert_eq!(made.len(), count as usize, "each is a thing of its own");
    assert!(made.iter().all(|axe| axe.item() == Item::Axe && axe.count == 1 && axe.id != 0));
    made.sort_by_key(|axe| axe.id);
    made
}

/// The axes in a bag, the lowest id first.
fn axes(town: &mut Town, who: EntityId) -> Vec<Stack> {
    town.own(who).slots.into_iter().filter(|slot| slot.item() == Item::Axe).collect()
}

fn give(town: &mut Town, from: EntityId, to: &[EntityId], each: Stack) -> Answer {
    let to = to.iter().map(|who| who.id).collect();
    wish(town, from, Command::Give(Give { to, each: Some(each) }))
}

fn send(town: &mut Town, who: EntityId, to: EntityId, stacks: &[Stack]) -> Answer {
    let (to, stacks) = (vec![to.id], stacks.to_vec());
    wish(town, who, Command::SendLetter(SendLetter { to, stacks, ..SendLetter::default() }))
}

fn take(town: &mut Town, who: EntityId, letter: u32) -> Answer {
    wish(town, who, Command::TakeFromLetter(TakeFromLetter { letter }))
}

fn letters(town: &mut Town, who: EntityId) -> Vec<Letter> {
    town.public::<Mailbox>(who.id).unwrap_or_default().letters
}

fn begin(town: &mut Town, ada: EntityId, bob: EntityId) -> u64 {
    wish(town, ada, Command::BeginTrade(BeginTrade { with: bob.id })).expect("next to each other");
    town.own(ada).trade.expect("it began").id
}

fn offer(town: &mut Town, who: EntityId, trade: u64, stacks: &[Stack]) -> Answer {
    wish(town, who, Command::Offer(Offer { trade, stacks: stacks.to_vec(), deeds: Vec::new() }))
}

fn some_axe(count: u32) -> Stack {
    stack(Item::Axe, count)
}

#[test]
fn a_thing_keeps_its_id_in_gift_letter_and_trade() {
    let (mut town, ada, bob) = two();
    let made = craft(&mut town, ada, 3);
    assert_eq!(axes(&mut town, ada), made);
    // The one that is named goes, not the first.
    assert_eq!(give(&mut town, ada, &[bob], made[1]).expect("near").spent, [made[1]]);
    assert_eq!((axes(&mut town, ada), axes(&mut town, bob)), (vec![made[0], made[2]], vec![made[1]]));
    // A letter there, which comes back.
    send(&mut town, bob, ada, &[made[1]]).expect("it has it");
    assert_eq!(letters(&mut town, ada)[0].stacks, [made[1]]);
    wish(&mut town, ada, Command::ReturnLetter(ReturnLetter { letter: 1 })).expect("back to Bob");
    assert_eq!(take(&mut town, bob, 1).expect("it came back").gained, [made[1]]);
    // A trade of one axe for another.
    let trade = begin(&mut town, ada, bob);
    offer(&mut town, ada, trade, &[made[2]]).expect("has it");
    offer(&mut town, bob, trade, &[made[1]]).expect("has it");
    assert_eq!(town.own(ada).trade.expect("open").theirs, [made[1]]);
    for who in [ada, bob] {
        wish(&mut town, who, Command::Confirm(Confirm { trade, version: 2 })).expect("as seen");
    }
    assert_eq!((axes(&mut town, ada), axes(&mut town, bob)), (vec![made[0], made[1]], vec![made[2]]));
    town.check();
}

#[test]
fn a_thing_keeps_its_id_in_chest_and_stall() {
    let (mut town, ada, bob) = two();
    let made = craft(&mut town, ada, 2);
    town.give(ada, Item::Plank, 8);
    wish(&mut town, ada, Command::FoundGuild(FoundGuild { name: "Foxes".into() })).expect("it pays");
    let guild = town.own(ada).guild.expect("its own").id;
    let chest = |town: &mut Town| town.public::<Guild>(guild).expect("a guild").chest;
    let put = |stack| Command::PutInChest(PutInChest { guild, stack: Some(stack) });
    let out = |stack| Command::TakeFromChest(TakeFromChest { guild, stack: Some(stack) });
    wish(&mut town, ada, put(made[1])).expect("has it");
    wish(&mut town, ada, put(made[0])).expect("has it");
    assert_eq!(chest(&mut town), made);
    assert_eq!(no(wish(&mut town, ada, put(made[0]))), "not_yours");
    assert_eq!(no(wish(&mut town, ada, out(some_axe(2)))), "one_by_one");
    assert_eq!(no(wish(&mut town, ada, out(Stack { id: 5, ..some_axe(1) }))), "not_in_chest");
    assert_eq!(wish(&mut town, ada, out(made[1])).expect("this one").gained, [made[1]]);
    // Who names none gets the first, and learns which one.
    assert_eq!(wish(&mut town, ada, out(some_axe(1))).expect("any").gained, [made[0]]);
    assert_eq!(chest(&mut town), []);
    assert_eq!(no(wish(&mut town, ada, out(some_axe(1)))), "not_in_chest");
    let log = town.public::<Guild>(guild).expect("a guild").log;
    assert_eq!(
        log.iter().filter_map(|entry| entry.stack).collect::<Vec<_>>(),
        [made[1], made[0], made[1], made[0]]
    );

    let at = support::free_spot(&town);
    [ada, bob].into_iter().for_each(|who| town.stand(who, Point::new(at.x, at.y - 2_000)));
    let stall = town.build(ada, Building::Stall, at, 0).expect("a free spot").entity;
    let wood = Some(stack(Item::Wood, 1));
    let put_up = |lot, price, lots| Command::PutUp(PutUp { stall, lot: Some(lot), price, lots });
    assert_eq!(no(wish(&mut town, ada, put_up(some_axe(1), wood, 2))), "one_by_one");
    assert_eq!(no(wish(&mut town, ada, put_up(Stack { count: 2, ..made[0] }, wood, 1))), "one_by_one");
    town.give(ada, Item::Wood, 1);
    assert_eq!(no(wish(&mut town, ada, put_up(stack(Item::Wood, 1), Some(some_axe(1)), 1))), "price_unique");
    for axe in [made[1], some_axe(1)] {
        wish(&mut town, ada, put_up(axe, wood, 1)).expect("has it");
    }
    let axe_for = Command::Reprice(Reprice { stall, offer: 1, price: Some(stack(Item::Pickaxe, 1)) });
    assert_eq!(no(wish(&mut town, ada, axe_for)), "price_unique");
    let offers = town.public::<Stall>(stall).expect("it stands").offers;
    assert_eq!(offers.iter().filter_map(|offer| offer.lot).collect::<Vec<_>>(), [made[1], made[0]]);
    town.give(bob, Item::Wood, 1);
    let buy = Command::Buy(Buy { stall, offer: 1, version: 1, lots: 1 });
    assert_eq!(wish(&mut town, bob, buy).expect("it pays").gained, [made[1]]);
    let back = Command::Withdraw(Withdraw { stall, offer: 2, lots: 1 });
    assert_eq!(wish(&mut town, ada, back).expect("its own").gained, [made[0]]);
    town.check();
}

#[test]
fn what_names_no_thing_of_ones_own_is_refused() {
    let (mut town, ada, bob) = two();
    let cyd = town.settle("Cyd").expect("a good name");
    let made = craft(&mut town, ada, 2);
    let his = craft(&mut town, bob, 1)[0];
    town.give(ada, Item::Wood, 2);
    let trade = begin(&mut town, ada, bob);
    let wood_with_id = Stack { id: 7, ..stack(Item::Wood, 1) };
    for (stacks, code) in [
        (vec![his], "not_yours"),
        (vec![Stack { id: made[0].id ^ 1, ..made[0] }], "not_yours"),
        (vec![Stack { item: Item::Pickaxe.into(), ..made[0] }], "not_yours"),
        (vec![made[0], made[0]], "unclear"),
        (vec![Stack { count: 2, ..made[0] }], "unclear"),
        (vec![Stack { count: 0, ..made[0] }], "unclear"),
        (vec![wood_with_id], "unclear"),
        (vec![some_axe(3)], "missing_items"),
        (vec![made[0], some_axe(2)], "missing_items"),
        // Only the engine's own events say so.
        (vec![Stack { id: 9, first_id: true, ..some_axe(1) }], "not_yours"),
    ] {
        assert_eq!(no(offer(&mut town, ada, trade, &stacks)), code, "{stacks:?}");
        assert_eq!(no(send(&mut town, ada, bob, &stacks)), code, "{stacks:?}");
    }
    assert_eq!(no(give(&mut town, ada, &[bob], his)), "not_yours");
    assert_eq!(no(give(&mut town, ada, &[bob, cyd], made[0])), "one_by_one");
    assert_eq!(no(give(&mut town, ada, &[bob, cyd], some_axe(1))), "one_by_one");
    assert_eq!(no(give(&mut town, ada, &[bob], some_axe(2))), "one_by_one");
    // What is offered cannot go another way too.
    offer(&mut town, ada, trade, &[made[0]]).expect("has it");
    assert_eq!(no(send(&mut town, ada, bob, &[made[0]])), "not_yours");
    assert_eq!(no(give(&mut town, ada, &[bob], made[0])), "not_yours");
    // But it can be offered again, and with the other one.
    offer(&mut town, ada, trade, &[made[1], made[0]]).expect("has both");
    assert_eq!(axes(&mut town, ada), []);
    offer(&mut town, ada, trade, &[]).expect("all comes back");
    assert_eq!(axes(&mut town, ada), made);
    town.check();
}

#[test]
fn who_names_none_gives_the_one_with_the_lowest_id() {
    let (mut town, ada, bob) = two();
    let made = craft(&mut town, ada, 4);
    assert_eq!(give(&mut town, ada, &[bob], some_axe(1)).expect("near").spent, [made[0]]);
    assert_eq!(send(&mut town, ada, bob, &[some_axe(2)]).expect("has them").spent, [made[1], made[2]]);
    let trade = begin(&mut town, ada, bob);
    offer(&mut town, ada, trade, &[some_axe(1)]).expect("has it");
    assert_eq!(town.own(ada).trade.expect("open").mine, [made[3]]);
    wish(&mut town, ada, Command::Hold(Hold { item: Item::Axe.into() })).expect_err("none is left");
    town.check();
}

#[test]
fn tools_from_before_there_were_ids_are_not_lost_and_get_theirs_when_they_move() {
    let (mut town, ada, bob) = two();
    // As an old journal has it: events with counts, in a bag, in a letter and in a chest.
    town.give(ada, Item::Axe, 3);
    town.give(ada, Item::Plank, 4);
    let letter = Letter { number: 1, stacks: vec![some_axe(2)], ..Letter::default() };
    town.happen::<Mailbox>(bob.id, &pioneer::schema::mailbox_event::Event::Came(letter));
    wish(&mut town, ada, Command::FoundGuild(FoundGuild { name: "Foxes".into() })).expect("it pays");
    let guild = town.own(ada).guild.expect("its own").id;
    let put = pioneer::schema::ChestChanged { stack: Some(some_axe(1)), ..Default::default() };
    town.happen::<Guild>(guild, &pioneer::schema::guild_event::Event::ChestChanged(put));
    assert_eq!(axes(&mut town, ada), [some_axe(1); 3], "in three slots");
    wish(&mut town, ada, Command::Hold(Hold { item: Item::Axe.into() })).expect("it has one");
    // Out of the letter they come as they are.
    assert_eq!(take(&mut town, bob, 1).expect("there").gained, [some_axe(2)]);

    let gift = give(&mut town, ada, &[bob], some_axe(1)).expect("near").spent[0];
    assert!(gift.id != 0);
    let known = axes(&mut town, bob).into_iter().find(|axe| axe.id != 0).expect("it has got an id");
    assert_eq!(known.id, gift.id);
    let out = Command::TakeFromChest(TakeFromChest { guild, stack: Some(some_axe(1)) });
    let out = wish(&mut town, ada, out).expect("one is there").gained[0];
    assert!(out.id != 0 && out.id != gift.id && !out.first_id);
    // Those with an id go first; then two from before.
    let sent = send(&mut town, ada, bob, &[some_axe(3)]).expect("has three").spent;
    assert_eq!(sent[0], out);
    let ids: BTreeMap<u64, Stack> = sent.iter().map(|axe| (axe.id, *axe)).collect();
    assert_eq!((ids.len(), ids.contains_key(&0)), (3, false));
    assert_eq!(axes(&mut town, ada), []);
    let inside = letters(&mut town, bob).pop().expect("it came").stacks;
    assert!(inside.iter().all(|axe| !axe.first_id), "only the event that gave the id says so: {inside:?}");
    let event = town.events::<Player>(ada.id).pop().expect("it sent");
    let player_event::Event::LetterSent(LetterSent { stacks, .. }) = event else { panic!("{event:?}") };
    assert_eq!(stacks.iter().filter(|axe| axe.first_id).count(), 2);
    take(&mut town, bob, 2).expect("there");
    assert_eq!(axes(&mut town, bob).len(), 6, "two from the old letter, a gift and three: none is lost");
    town.check();
}

#[test]
fn members_see_which_axe_is_in_the_chest() {
    let (mut town, ada, bob) = two();
    let made = craft(&mut town, bob, 1);
    town.give(ada, Item::Plank, 4);
    wish(&mut town, ada, Command::FoundGuild(FoundGuild { name: "Foxes".into() })).expect("it pays");
    let guild = town.own(ada).guild.expect("its own").id;
    wish(&mut town, ada, Command::InviteToGuild(InviteToGuild { guild, whom: bob.id })).expect("invited");
    wish(&mut town, bob, Command::AcceptGuild(AcceptGuild { guild })).expect("joined");
    wish(&mut town, bob, Command::PutInChest(PutInChest { guild, stack: Some(some_axe(1)) }))
        .expect("has it");
    let seen = town.public::<Guild>(guild).expect("a guild");
    assert_eq!((seen.chest[0].id, Player::KIND), (made[0].id, bob.kind));
    town.check();
}
