//! Estates change hands in a trade, and are free when nobody attends them.

mod support;

use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AbandonEstate, AttendEstate, Confirm, Item, LeaveTrade, Level, News, Offer, ReturnLetter, Rights,
    SetRights,
};
use pioneer::{DEEDS_MAX, ESTATE_LIFE_MS, ESTATE_WARNING_MS, Estate, Land, Mailbox};
use support::estates::DAY_MS;
use support::estates::{
    agree, befriend, block, claim, claim_for, confirm, dealing, fire, news, offer, owner, release, rich,
    seen, set, something, terms, wish,
};
use support::{Town, no};

#[test]
fn a_deed_is_sold_in_a_trade_whatever_the_size() {
    let (mut town, ada, bob, estate, land) = dealing(36);
    offer(&mut town, ada, 0, &[estate]).expect("closed");
    assert_eq!(town.own(bob).trade.expect("trading").their_deeds, [estate]);
    offer(&mut town, bob, 20, &[]).expect("has planks");
    confirm(&mut town, bob).expect("the first");
    let before: Vec<usize> = land.iter().map(|chunk| town.events::<Land>(*chunk).len()).collect();
    let trade = town.own(ada).trade.expect("in a trade");
    town.pass_ms(10_000);
    let second = Confirm { trade: trade.id, version: trade.version };
    town.wish(ada, Command::Confirm(second)).expect("the second");
    let after: Vec<usize> = land.iter().map(|chunk| town.events::<Land>(*chunk).len()).collect();
    assert_eq!(before, after, "the sale asks no land");
    assert_eq!((town.own(ada).deeds, town.own(bob).deeds), (vec![], vec![estate]));
    assert_eq!(owner(&mut town, estate), bob.id);
    // At once, before the land has heard of anything.
    for (who, code) in [(ada, "their_land"), (bob, "ok")] {
        let (chunk, thing) = something(&mut town, who, &land);
        let answer =
            town.gather(who, chunk, thing).map_or_else(|no| no.code.into_owned(), |_| "ok".to_owned());
        assert_eq!(answer, code);
    }
    assert_eq!(no(set(&mut town, ada, estate, [Level::Owner; 3], 0)), "no_deed");
    town.ring();
    assert_eq!(agree(&mut town, estate, &land), 36);
    assert_eq!(terms(&mut town, land[35]).expect("claimed").owner.map(|who| who.id), Some(bob.id));
}

#[test]
fn what_is_offered_does_not_change() {
    let (mut town, ada, bob, estate, land) = dealing(12);
    assert_eq!(no(offer(&mut town, bob, 0, &[estate])), "no_deed");
    assert_eq!(no(offer(&mut town, ada, 0, &[estate, estate])), "unclear");
    set(&mut town, ada, estate, [Level::Owner, Level::Friends, Level::Owner], 0).expect("hers");
    assert_eq!(no(offer(&mut town, ada, 0, &[estate])), "estate_open");
    town.pass_ms(10_000);
    let closed = Command::SetRights(SetRights { estate, rights: Some(Rights::default()) });
    town.wish(ada, closed).expect("hers");
    let trade = town.own(ada).trade.expect("trading").id;
    let deeds = Command::Offer(Offer { trade, stacks: vec![], deeds: vec![estate] });
    assert_eq!(no(town.wish(ada, deeds)), "estate_settling", "its land has not heard of it");
    town.ring();
    offer(&mut town, ada, 0, &[estate]).expect("closed");
    assert_eq!(no(set(&mut town, ada, estate, [Level::Everybody; 3], 0)), "deed_offered");
    assert_eq!(no(release(&mut town, ada, estate, &land[..1])), "deed_offered");
    assert_eq!(no(claim_for(&mut town, ada, estate, &land[12..13])), "deed_offered");
    assert_eq!(no(wish(&mut town, ada, Command::AbandonEstate(AbandonEstate { estate }))), "deed_offered");
    assert_eq!(no(wish(&mut town, ada, Command::AttendEstate(AttendEstate { estate }))), "deed_offered");
    // A change withdraws confirmations; who leaves keeps it.
    let at = town.body(bob).at;
    town.stand(ada, at);
    confirm(&mut town, bob).expect("what he saw");
    offer(&mut town, ada, 1, &[]).expect("has planks");
    assert!(!town.own(bob).trade.expect("trading").confirmed);
    offer(&mut town, ada, 0, &[estate]).expect("again");
    wish(&mut town, ada, Command::LeaveTrade(LeaveTrade { trade, alone: false })).expect("leaves");
    assert_eq!(town.own(ada).deeds, [estate]);
    set(&mut town, ada, estate, [Level::Everybody; 3], 0).expect("not offered any more");
}

#[test]
fn nobody_gets_more_deeds_than_one_can_have() {
    for seller_confirms_last in [true, false] {
        let (mut town, ada, bob, estate, land) = dealing(12);
        for k in 0..DEEDS_MAX {
            claim(&mut town, bob, &land[20 + k..=20 + k]);
        }
        let at = town.body(ada).at;
        town.stand(bob, at);
        offer(&mut town, ada, 0, &[estate]).expect("closed");
        let order = if seller_confirms_last { [bob, ada] } else { [ada, bob] };
        confirm(&mut town, order[0]).expect("the first");
        let code = no(confirm(&mut town, order[1]));
        assert_eq!(code, if seller_confirms_last { "their_deeds_full" } else { "deeds_full" });
        // One for one fits.
        let deed = town.own(bob).deeds[0];
        offer(&mut town, bob, 0, &[deed]).expect("closed");
        confirm(&mut town, ada).expect("the first");
        confirm(&mut town, bob).expect("the second");
        assert_eq!((town.own(ada).deeds, town.own(bob).deeds.len()), (vec![deed], DEEDS_MAX));
        assert_eq!((owner(&mut town, estate), owner(&mut town, deed)), (bob.id, ada.id));
    }
}

#[test]
fn an_estate_that_nobody_attends_is_free_after_a_warning() {
    let mut town = Town::new();
    let land = block(&town, 3, 3);
    let ada = rich(&mut town, "Ada", 12);
    let built = fire(&mut town, ada, land[0]).expect("nobody's land").thing;
    let estate = claim(&mut town, ada, &land);
    let claimed = town.now;
    news(&mut town, ada);
    town.now = claimed + (ESTATE_LIFE_MS - ESTATE_WARNING_MS - 1);
    assert_eq!(town.ring(), 0);
    town.pass_ms(1);
    assert_eq!(town.ring(), 1);
    assert_eq!(news(&mut town, ada), [News::Letter, News::EstateIdle]);
    let letters = town.public::<Mailbox>(ada.id).expect("she has mail").letters;
    assert_eq!(letters[0].from.as_ref().map(|from| from.name.as_str()), Some("The island"));
    let back = Command::ReturnLetter(ReturnLetter { letter: 1 });
    assert_eq!(no(town.wish(ada, back)), "no_sender");
    town.now = claimed + (ESTATE_LIFE_MS - 1);
    town.ring();
    assert_eq!((owner(&mut town, estate), town.own(ada).deeds), (ada.id, vec![estate]));
    town.pass_ms(1);
    town.ring();
    assert_eq!((town.public::<Estate>(estate), town.own(ada).deeds), (None, vec![]));
    assert!(land.iter().all(|chunk| terms(&mut town, *chunk).is_none()));
    assert_eq!(news(&mut town, ada), [News::EstateLapsed]);
    // What is built stays hers.
    assert!(town.land(land[0]).buildings.iter().any(|one| one.index == built && one.owner == ada.id));
    let bob = rich(&mut town, "Bob", 3);
    assert_eq!(no(claim_for(&mut town, bob, 0, &land[..1])), "others_building");
    claim(&mut town, bob, &land[1..2]);
}

#[test]
fn who_attends_an_estate_keeps_it() {
    let mut town = Town::new();
    let land = block(&town, 3, 3);
    let ada = rich(&mut town, "Ada", 12);
    let [bob, cyd] = ["Bob", "Cyd"].map(|name| town.settle(name).expect("a good name"));
    befriend(&mut town, ada, bob);
    let estate = claim(&mut town, ada, &land);
    set(&mut town, ada, estate, [Level::Everybody, Level::Owner, Level::Owner], 0).expect("hers");
    let attended = |town: &mut Town| {
        town.deliver();
        seen(town, estate).attended_at
    };
    // Strangers do not count; a friend does, once a day.
    let before = attended(&mut town);
    for (who, counts) in [(cyd, false), (bob, true), (bob, false)] {
        let was = attended(&mut town);
        town.pass_ms(3_600_000);
        let (chunk, thing) = something(&mut town, who, &land);
        town.gather(who, chunk, thing).expect("open to all");
        assert_eq!(attended(&mut town) > was, counts);
    }
    assert!(attended(&mut town) > before);
    // Warned, and then there after all.
    town.pass_ms(ESTATE_LIFE_MS - DAY_MS);
    town.ring();
    assert!(seen(&mut town, estate).warned_at > 0);
    wish(&mut town, ada, Command::AttendEstate(AttendEstate { estate })).expect("hers");
    assert_eq!(seen(&mut town, estate).warned_at, 0);
    town.pass_ms(ESTATE_LIFE_MS - ESTATE_WARNING_MS - DAY_MS);
    town.ring();
    assert_eq!(town.own(ada).deeds, [estate]);
}

#[test]
fn after_a_long_stop_there_is_still_a_week() {
    let mut town = Town::new();
    let land = block(&town, 1, 1);
    let ada = rich(&mut town, "Ada", 1);
    let estate = claim(&mut town, ada, &land);
    town.pass_ms(10 * ESTATE_LIFE_MS);
    town.ring();
    assert_eq!(owner(&mut town, estate), ada.id);
    town.pass_ms(ESTATE_WARNING_MS - 1);
    town.ring();
    assert_eq!(owner(&mut town, estate), ada.id);
    town.pass_ms(1);
    town.ring();
    assert_eq!(owner(&mut town, estate), 0);
}

#[test]
fn a_deed_on_the_table_lapses_and_is_not_sold() {
    let (mut town, ada, bob, estate, _) = dealing(12);
    offer(&mut town, ada, 0, &[estate]).expect("closed");
    offer(&mut town, bob, 5, &[]).expect("has planks");
    confirm(&mut town, bob).expect("the first");
    town.pass_ms(ESTATE_LIFE_MS);
    town.ring();
    town.pass_ms(ESTATE_WARNING_MS);
    town.ring();
    assert_eq!((owner(&mut town, estate), town.own(ada).deeds), (0, vec![]));
    assert_eq!(no(confirm(&mut town, ada)), "no_deed");
    let planks = town.count(bob, Item::Plank);
    offer(&mut town, ada, 1, &[]).expect("something else");
    offer(&mut town, bob, 0, &[]).expect("nothing");
    confirm(&mut town, ada).expect("the first");
    confirm(&mut town, bob).expect("the second");
    assert_eq!((town.own(bob).deeds, town.count(bob, Item::Plank)), (vec![], planks + 5 + 1));
}

#[test]
fn a_sale_counts_as_attending() {
    let (mut town, ada, bob, estate, _) = dealing(12);
    town.pass_ms(ESTATE_LIFE_MS - ESTATE_WARNING_MS - DAY_MS);
    offer(&mut town, ada, 0, &[estate]).expect("closed");
    confirm(&mut town, ada).expect("the first");
    confirm(&mut town, bob).expect("the second");
    let sold = seen(&mut town, estate);
    assert_eq!((sold.owner.map(|owner| owner.id), sold.warned_at), (Some(bob.id), 0));
    town.pass_ms(ESTATE_LIFE_MS - ESTATE_WARNING_MS - DAY_MS);
    town.ring();
    assert_eq!(seen(&mut town, estate).warned_at, 0);
}
