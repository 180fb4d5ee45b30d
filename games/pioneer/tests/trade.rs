//! Trade: what is offered is nowhere else, and moves on both confirmations of one version or not at all.

mod support;

use gundo::{EntityId, Point, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    BeginTrade, Block, Confirm, Craft, Give, Item, LeaveTrade, News, Offer, PlayerReply, PlayerTold, Stack,
    Trade,
};
use pioneer::{GIVE_REACH_MM, OFFER_STACKS_MAX, Player, SLOTS_MAX};
use support::{Town, no, stack};

type Answer = Result<PlayerReply, Refusal>;

/// Ada with wood and Bob with stone, next to each other.
fn market() -> (Town, EntityId, EntityId) {
    let mut town = Town::new();
    let at = town.island.village();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    [ada, bob].into_iter().for_each(|who| town.stand(who, at));
    town.give(ada, Item::Wood, 30);
    town.give(bob, Item::Stone, 30);
    (town, ada, bob)
}

fn begin(town: &mut Town, who: EntityId, with: EntityId) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, Command::BeginTrade(BeginTrade { with: with.id }))
}

fn trade(town: &mut Town, who: EntityId) -> Trade {
    town.own(who).trade.expect("in a trade")
}

fn offer(town: &mut Town, who: EntityId, stacks: &[Stack]) -> Answer {
    town.pass_ms(10_000);
    let id = town.own(who).trade.map_or(1, |trade| trade.id);
    town.wish(who, Command::Offer(Offer { trade: id, stacks: stacks.to_vec(), deeds: Vec::new() }))
}

fn confirm(town: &mut Town, who: EntityId) -> Answer {
    let Trade { id, version, .. } = trade(town, who);
    confirm_version(town, who, id, version)
}

fn confirm_version(town: &mut Town, who: EntityId, id: u64, version: u64) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, Command::Confirm(Confirm { trade: id, version }))
}

fn leave(town: &mut Town, who: EntityId, id: u64, alone: bool) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, Command::LeaveTrade(LeaveTrade { trade: id, alone }))
}

fn news(town: &mut Town, who: EntityId) -> Vec<News> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.iter().map(PlayerTold::news).collect()
}

/// Wood and stone in the bag.
fn bag(town: &mut Town, who: EntityId) -> [u32; 2] {
    [Item::Wood, Item::Stone].map(|item| town.count(who, item))
}

fn wood(count: u32) -> Stack {
    stack(Item::Wood, count)
}

fn stone(count: u32) -> Stack {
    stack(Item::Stone, count)
}

#[test]
fn both_confirm_the_same_and_both_get_it() {
    let (mut town, ada, bob) = market();
    begin(&mut town, ada, bob).expect("next to each other");
    assert_eq!(news(&mut town, bob), [News::TradeBegun]);
    offer(&mut town, ada, &[wood(10)]).expect("has it");
    assert_eq!(bag(&mut town, ada), [20, 0], "it is out of her bag");
    offer(&mut town, bob, &[stone(4)]).expect("has it");
    for (who, mine, theirs) in [(ada, wood(10), stone(4)), (bob, stone(4), wood(10))] {
        let seen = trade(&mut town, who);
        assert_eq!((seen.mine, seen.theirs, seen.version), (vec![mine], vec![theirs], 2));
    }
    confirm(&mut town, ada).expect("the first");
    assert!(trade(&mut town, bob).they_confirmed && trade(&mut town, ada).confirmed);
    assert_eq!(no(confirm(&mut town, ada)), "already_confirmed");
    let Trade { id, version, .. } = trade(&mut town, bob);
    let reply = confirm(&mut town, bob).expect("the second");
    assert_eq!((reply.spent, reply.gained), (vec![stone(4)], vec![wood(10)]));
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[20, 4], [10, 26]]);
    assert_eq!([town.own(ada).trade, town.own(bob).trade], [None, None]);
    assert_eq!(news(&mut town, ada), [News::TradeDone]);
    // A confirmation that comes again finds nothing.
    for who in [ada, bob] {
        assert_eq!(no(confirm_version(&mut town, who, id, version)), "no_trade");
        assert_eq!(no(leave(&mut town, who, id, true)), "no_trade");
    }
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[20, 4], [10, 26]]);
    town.check();
}

#[test]
fn a_change_withdraws_both_confirmations() {
    let (mut town, ada, bob) = market();
    begin(&mut town, ada, bob).expect("next to each other");
    offer(&mut town, ada, &[wood(10)]).expect("has it");
    offer(&mut town, bob, &[stone(4)]).expect("has it");
    let old = trade(&mut town, bob);
    confirm(&mut town, bob).expect("the first");
    offer(&mut town, ada, &[wood(1)]).expect("takes nine back");
    assert_eq!(bag(&mut town, ada), [29, 0]);
    for who in [ada, bob] {
        let now = trade(&mut town, who);
        assert!(!now.confirmed && !now.they_confirmed, "{now:?}");
    }
    confirm(&mut town, ada).expect("her own change");
    assert_eq!(no(confirm_version(&mut town, bob, old.id, old.version)), "trade_changed");
    assert_eq!(no(confirm_version(&mut town, bob, old.id, u64::MAX)), "trade_changed");
    assert_eq!(no(confirm_version(&mut town, bob, old.id ^ 1, old.version)), "no_trade");
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[29, 0], [0, 26]]);
    confirm(&mut town, bob).expect("what is there now");
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[29, 4], [1, 26]]);
}

#[test]
fn what_is_offered_is_nowhere_else() {
    let (mut town, ada, bob) = market();
    begin(&mut town, ada, bob).expect("next to each other");
    offer(&mut town, ada, &[wood(29)]).expect("has it");
    assert_eq!(no(offer(&mut town, ada, &[wood(31)])), "missing_items");
    assert_eq!(no(town.wish(ada, Command::Craft(Craft { recipe: 1, count: 1 }))), "missing_items");
    let each = Some(wood(2));
    assert_eq!(no(town.wish(ada, Command::Give(Give { to: vec![bob.id], each }))), "missing_items");
    offer(&mut town, ada, &[wood(30)]).expect("the whole of it, offered or not");
    assert_eq!(bag(&mut town, ada), [0, 0]);
    offer(&mut town, ada, &[]).expect("and back");
    assert_eq!(bag(&mut town, ada), [30, 0]);
}

#[test]
fn whoever_leaves_both_have_their_things_back() {
    for alone in [false, true] {
        let (mut town, ada, bob) = market();
        begin(&mut town, ada, bob).expect("next to each other");
        let id = trade(&mut town, ada).id;
        offer(&mut town, ada, &[wood(10)]).expect("has it");
        offer(&mut town, bob, &[stone(4)]).expect("has it");
        confirm(&mut town, bob).expect("the first");
        news(&mut town, bob);
        // However far away they are now.
        let at = town.island.village();
        town.stand(ada, Point::new(at.x + 2 * GIVE_REACH_MM as i32, at.y));
        assert_eq!(no(confirm(&mut town, ada)), "too_far");
        assert_eq!(no(offer(&mut town, ada, &[])), "too_far");
        leave(&mut town, ada, id, alone).expect("leaves");
        assert_eq!((town.own(ada).trade, bag(&mut town, ada)), (None, [30, 0]));
        assert_eq!(no(leave(&mut town, ada, id, alone)), "no_trade");
        town.stand(ada, at);
        if alone {
            assert_eq!(news(&mut town, bob), []);
            assert_eq!(no(offer(&mut town, bob, &[stone(5)])), "trade_over");
            // Even if she is in another trade with him: he has confirmed the old one.
            assert_eq!(no(begin(&mut town, ada, bob)), "not_now");
            assert_eq!(bag(&mut town, bob), [0, 26]);
            leave(&mut town, bob, id, false).expect("leaves");
        } else {
            assert_eq!(news(&mut town, bob), [News::TradeLeft]);
        }
        assert_eq!((town.own(bob).trade, bag(&mut town, bob)), (None, [0, 30]));
        assert_eq!(news(&mut town, ada), [], "she has left before him");
        begin(&mut town, bob, ada).expect("and once more");
        town.check();
    }
}

#[test]
fn a_confirmation_never_meets_one_who_has_left() {
    let (mut town, ada, bob) = market();
    begin(&mut town, ada, bob).expect("next to each other");
    offer(&mut town, ada, &[wood(10)]).expect("has it");
    confirm(&mut town, ada).expect("the first");
    let Trade { id, .. } = trade(&mut town, ada);
    leave(&mut town, ada, id, true).expect("leaves");
    assert_eq!(no(confirm(&mut town, bob)), "trade_over");
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[30, 0], [0, 30]]);
    // She trades with somebody else meanwhile.
    let cyd = town.settle("Cyd").expect("a good name");
    let at = town.body(ada).at;
    town.stand(cyd, at);
    begin(&mut town, ada, cyd).expect("she is in none");
    offer(&mut town, ada, &[wood(10)]).expect("has it");
    assert_eq!(no(confirm(&mut town, bob)), "trade_over");
    leave(&mut town, bob, id, false).expect("leaves");
    assert_eq!(trade(&mut town, ada).mine, [wood(10)], "her other trade goes on");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (mut town, ada, bob) = market();
    assert_eq!(no(offer(&mut town, ada, &[wood(1)])), "no_trade");
    assert_eq!(no(confirm_version(&mut town, ada, 0, 0)), "no_trade");
    assert_eq!(no(leave(&mut town, ada, 0, false)), "no_trade");
    assert_eq!(no(begin(&mut town, ada, ada)), "yourself");
    assert_eq!(no(begin(&mut town, ada, EntityId::new(ada.kind, 4_711))), "no_such_entity");
    let at = town.island.village();
    town.stand(bob, Point::new(at.x + GIVE_REACH_MM as i32 + 1, at.y));
    assert_eq!(no(begin(&mut town, ada, bob)), "too_far");
    town.stand(bob, at);
    begin(&mut town, ada, bob).expect("next to each other");
    assert_eq!(no(begin(&mut town, ada, bob)), "trading");
    assert_eq!(no(begin(&mut town, bob, ada)), "trading");
    let cyd = town.settle("Cyd").expect("a good name");
    town.stand(cyd, at);
    assert_eq!(no(begin(&mut town, cyd, ada)), "not_now");
    assert_eq!(no(confirm(&mut town, ada)), "nothing_offered");
    let many: Vec<Stack> =
        (1..=OFFER_STACKS_MAX as i32 + 1).map(|item| Stack { item, count: 1, ..Stack::default() }).collect();
    for (stacks, code) in [
        (vec![wood(0)], "unclear"),
        (vec![stack(Item::None, 1)], "unclear"),
        (vec![Stack { item: -1, count: 1, ..Stack::default() }], "unclear"),
        (vec![Stack { item: 4_711, count: 1, ..Stack::default() }], "unclear"),
        (vec![wood(1), wood(1)], "unclear"),
        (many, "unclear"),
        (vec![wood(31)], "missing_items"),
        (vec![wood(u32::MAX)], "missing_items"),
        (vec![wood(1), stone(1)], "missing_items"),
    ] {
        assert_eq!(no(offer(&mut town, ada, &stacks)), code, "{stacks:?}");
    }
    assert_eq!(bag(&mut town, ada), [30, 0]);
}

#[test]
fn bags_do_not_overflow_and_offers_keep_their_slots() {
    let (mut town, ada, bob) = market();
    begin(&mut town, ada, bob).expect("next to each other");
    offer(&mut town, ada, &[wood(30)]).expect("has it");
    // Her 30 wood are two slots, offered or not.
    town.give(ada, Item::Axe, SLOTS_MAX - 2);
    town.give(bob, Item::Berry, 1);
    let each = Some(stack(Item::Berry, 1));
    assert_eq!(no(town.wish(bob, Command::Give(Give { to: vec![ada.id], each }))), "no_room");
    // Three kinds for two slots.
    town.give(bob, Item::Rope, 1);
    let three = [stone(1), stack(Item::Berry, 1), stack(Item::Rope, 1)];
    offer(&mut town, bob, &three).expect("has it");
    confirm(&mut town, ada).expect("the first");
    assert_eq!(no(confirm(&mut town, bob)), "no_room");
    offer(&mut town, bob, &three).expect("withdraws the confirmations");
    confirm(&mut town, bob).expect("the first");
    assert_eq!(no(confirm(&mut town, ada)), "inventory_full");
    offer(&mut town, bob, &three[..2]).expect("has it");
    confirm(&mut town, bob).expect("the first");
    confirm(&mut town, ada).expect("two slots for two");
    assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[0, 1], [30, 29]]);
}

#[test]
fn a_block_ends_the_trade() {
    for by_partner in [false, true] {
        let (mut town, ada, bob) = market();
        begin(&mut town, ada, bob).expect("next to each other");
        offer(&mut town, ada, &[wood(30)]).expect("has it");
        offer(&mut town, bob, &[stone(30)]).expect("has it");
        let (who, whom) = if by_partner { (bob, ada) } else { (ada, bob) };
        town.wish(who, Command::Block(Block { whom: whom.id })).expect("blocks");
        assert_eq!([bag(&mut town, ada), bag(&mut town, bob)], [[30, 0], [0, 30]]);
        assert_eq!([town.own(ada).trade, town.own(bob).trade], [None, None]);
    }
}

#[test]
fn what_is_in_the_hand_and_offered_is_not_in_the_hand() {
    let (mut town, ada, bob) = market();
    town.give(ada, Item::Axe, 1);
    town.wish(ada, Command::Hold(pioneer::schema::Hold { item: Item::Axe.into() })).expect("has it");
    begin(&mut town, ada, bob).expect("next to each other");
    offer(&mut town, ada, &[stack(Item::Axe, 1)]).expect("has it");
    assert_eq!(town.own(ada).holds(), Item::None);
}
