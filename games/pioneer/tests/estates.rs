//! Estates: claiming, releasing, and who may do what on their land.

mod support;

use gundo::{ChunkId, EntityId, Point};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AbandonEstate, AcceptGuild, AskSell, AttendEstate, Building, ClaimLand, FoundGuild, FreeChunk,
    InviteToGuild, Item, LeaveGuild, Level, Person, Right, Rights, SetRights, Terms, Unfriend, estate_ask,
    land_command, land_event,
};
use pioneer::{CLAIM_CHUNKS_MAX, COMMONS_MM, DEEDS_MAX, ESTATE_CHUNKS_MAX, Estate, Land};
use support::estates::{
    agree, befriend, block, claim, claim_for, fire, middle, owner, release, rich, seen, set, something,
    terms, wish,
};
use support::{Town, chunk_ref, no, stack};

#[test]
fn claimed_land_is_known_to_estate_owner_and_land() {
    let mut town = Town::new();
    let land = block(&town, 3, 2);
    let ada = rich(&mut town, "Ada", 7);
    let reply = claim_for(&mut town, ada, 0, &land[..4]).expect("free land");
    assert_eq!(reply.spent, [stack(Item::Plank, 8)]);
    assert_eq!(town.count(ada, Item::Plank), 6);
    let estate = reply.entity;
    assert_eq!(town.own(ada).deeds, [estate]);
    assert_eq!(agree(&mut town, estate, &land), 4);
    let shown = seen(&mut town, estate);
    assert_eq!((shown.owner.map(|who| who.name), shown.settling), (Some("Ada".to_owned()), false));
    assert_eq!(terms(&mut town, land[0]).expect("claimed").owner.map(|who| who.name), Some("Ada".to_owned()));
    claim_for(&mut town, ada, estate, &land[4..6]).expect("beside it");
    assert_eq!(agree(&mut town, estate, &land), 6);
    assert_eq!(town.own(ada).deeds, [estate], "it is the same estate");
    release(&mut town, ada, estate, &land[3..6]).expect("hers");
    assert_eq!(agree(&mut town, estate, &land), 3);
    release(&mut town, ada, estate, &land[..3]).expect("all that is left");
    assert_eq!((agree(&mut town, estate, &land), town.own(ada).deeds), (0, vec![]));
    assert!(land.iter().all(|chunk| terms(&mut town, *chunk).is_none()));
    // Free for others.
    let bob = rich(&mut town, "Bob", 1);
    let other = claim(&mut town, bob, &land[..1]);
    assert_eq!(agree(&mut town, other, &land), 1);
}

#[test]
fn what_cannot_be_claimed() {
    let mut town = Town::new();
    let land = block(&town, 4, 4);
    let [ada, bob] = ["Ada", "Bob"].map(|name| rich(&mut town, name, 30));
    let village = ChunkId::of(0, town.island.village());
    assert_eq!(no(claim_for(&mut town, ada, 0, &[village])), "commons");
    assert_eq!(no(claim_for(&mut town, ada, 0, &land[..13])), "claim_large");
    assert_eq!(no(claim_for(&mut town, ada, 0, &[])), "unclear");
    assert_eq!(no(claim_for(&mut town, ada, 0, &[land[0], land[0]])), "unclear");
    assert_eq!(no(claim_for(&mut town, ada, 0, &[land[0], land[2]])), "not_connected");
    assert_eq!(
        no(claim_for(&mut town, ada, 0, &[land[0], land[5]])),
        "not_connected",
        "corners do not count"
    );
    assert_eq!(no(claim_for(&mut town, ada, 7, &land[..1])), "no_deed");
    let far = ClaimLand { estate: 0, chunks: vec![chunk_ref(land[5])] };
    assert_eq!(no(wish(&mut town, ada, Command::ClaimLand(far))), "too_far");
    let odd = ClaimLand { estate: 0, chunks: vec![pioneer::schema::ChunkRef { cx: 1 << 20, cy: 0 }] };
    assert_eq!(no(wish(&mut town, ada, Command::ClaimLand(odd))), "unclear");
    let sea = ChunkId { island: 0, x: 0, y: 0 };
    assert_eq!(no(claim_for(&mut town, ada, 0, &[sea])), "no_footing");
    let poor = town.settle("Cyd").expect("a good name");
    assert_eq!(no(claim_for(&mut town, poor, 0, &land[..1])), "missing_items");
    // Another one's building; one's own is no hindrance.
    fire(&mut town, bob, land[0]).expect("nobody's land");
    assert_eq!(no(claim_for(&mut town, ada, 0, &land[..2])), "others_building");
    let estate = claim(&mut town, bob, &land[..1]);
    assert_eq!(no(claim_for(&mut town, ada, 0, &land[..1])), "claimed");
    assert_eq!(no(claim_for(&mut town, bob, 0, &land[..1])), "claimed");
    assert_eq!(no(claim_for(&mut town, bob, estate, &land[..1])), "claimed");
    assert_eq!(no(claim_for(&mut town, bob, estate, &land[2..3])), "not_connected");
    assert_eq!(no(claim_for(&mut town, ada, estate, &land[1..2])), "no_deed");
    for k in 1..DEEDS_MAX {
        claim(&mut town, bob, &land[k..=k]);
    }
    assert_eq!(no(claim_for(&mut town, bob, 0, &land[7..8])), "deeds_full");
    assert_eq!((town.own(ada).deeds, town.count(ada, Item::Plank)), (vec![], 60), "nothing was paid");
}

#[test]
fn no_land_near_the_village_is_claimed() {
    let town = Town::new();
    let village = town.island.village();
    for chunk in ChunkId::of(0, village).around(5) {
        let corner = chunk.corner();
        let near = Point::new(
            village.x.clamp(corner.x, corner.x + 30_000),
            village.y.clamp(corner.y, corner.y + 30_000),
        );
        assert_eq!(town.island.is_commons(chunk), near.distance(village) < COMMONS_MM.into(), "{chunk:?}");
    }
}

#[test]
fn an_estate_grows_by_claims_up_to_its_limit_and_steps_reach_all_of_it() {
    let mut town = Town::new();
    let land = block(&town, 6, 7);
    let ada = rich(&mut town, "Ada", 40);
    let estate = claim(&mut town, ada, &land[..CLAIM_CHUNKS_MAX]);
    for at in [12, 24] {
        claim_for(&mut town, ada, estate, &land[at..at + 12]).expect("beside it");
    }
    assert_eq!(agree(&mut town, estate, &land), ESTATE_CHUNKS_MAX);
    assert_eq!(no(claim_for(&mut town, ada, estate, &land[36..37])), "estate_full");
    // Rights reach the land in steps.
    let rights = Rights { gather: Level::Everybody.into(), ..Rights::default() };
    town.pass_ms(10_000);
    let ask = Command::SetRights(SetRights { estate, rights: Some(rights) });
    town.wish(ada, ask).expect("hers");
    assert!(seen(&mut town, estate).settling);
    assert_eq!(agree(&mut town, estate, &land), 36, "they agree that none has heard of it");
    assert_eq!(town.ring(), 4, "three steps, and one that finds nothing to do");
    assert!(!seen(&mut town, estate).settling);
    assert_eq!(agree(&mut town, estate, &land), 36);
    let heard =
        |town: &mut Town, chunk: ChunkId| terms(town, chunk).expect("claimed").rights.expect("set").gather();
    assert!(land[..36].iter().all(|chunk| heard(&mut town, *chunk) == Level::Everybody));
    // So does its end.
    town.pass_ms(10_000);
    town.wish(ada, Command::AbandonEstate(AbandonEstate { estate })).expect("hers");
    assert_eq!((town.own(ada).deeds, owner(&mut town, estate)), (vec![], 0));
    let bob = rich(&mut town, "Bob", 1);
    town.stand(bob, middle(land[0]));
    let bobs = ClaimLand { estate: 0, chunks: vec![chunk_ref(land[0])] };
    assert_eq!(no(town.wish(bob, Command::ClaimLand(bobs))), "claimed", "until it is free");
    assert_eq!(town.ring(), 4);
    assert!(land.iter().all(|chunk| terms(&mut town, *chunk).is_none()));
    assert_eq!(town.public::<Estate>(estate), None);
    claim(&mut town, bob, &land[..1]);
}

#[test]
fn released_land_leaves_the_rest_side_by_side() {
    let mut town = Town::new();
    let land = block(&town, 3, 1);
    let [ada, bob] = ["Ada", "Bob"].map(|name| rich(&mut town, name, 3));
    let estate = claim(&mut town, ada, &land);
    assert_eq!(no(release(&mut town, ada, estate, &land[1..2])), "not_connected");
    assert_eq!(no(release(&mut town, bob, estate, &land[..1])), "no_deed");
    let other = ChunkId { y: land[0].y + 1, ..land[0] };
    assert_eq!(no(release(&mut town, ada, estate, &[land[0], other])), "not_in_estate");
    assert_eq!(no(release(&mut town, ada, estate, &[])), "unclear");
    assert_eq!(no(wish(&mut town, bob, Command::AbandonEstate(AbandonEstate { estate }))), "no_deed");
    assert_eq!(no(wish(&mut town, bob, Command::AttendEstate(AttendEstate { estate }))), "no_deed");
    assert_eq!(no(set(&mut town, bob, estate, [Level::Owner; 3], 0)), "no_deed");
    assert_eq!(agree(&mut town, estate, &land), 3);
}

#[test]
fn who_may_do_what_on_somebody_elses_land() {
    let mut town = Town::new();
    let land = block(&town, 3, 3);
    let ada = rich(&mut town, "Ada", 9);
    town.give(ada, Item::Plank, 4);
    let [bob, cyd, dan] = ["Bob", "Cyd", "Dan"].map(|name| town.settle(name).expect("a good name"));
    befriend(&mut town, ada, bob);
    wish(&mut town, ada, Command::FoundGuild(FoundGuild { name: "Foxes".to_owned() })).expect("planks");
    let guild = town.own(ada).guild.expect("founded").id;
    wish(&mut town, ada, Command::InviteToGuild(InviteToGuild { guild, whom: cyd.id })).expect("leads it");
    wish(&mut town, cyd, Command::AcceptGuild(AcceptGuild { guild })).expect("is invited");
    let estate = claim(&mut town, ada, &land);
    let mut tries = |level: Level| {
        set(&mut town, ada, estate, [level; 3], guild).expect("hers");
        [ada, bob, cyd, dan].map(|who| {
            let (chunk, thing) = something(&mut town, who, &land);
            town.pass_ms(3_600_000);
            let gathered = town.gather(who, chunk, thing);
            assert_eq!(gathered.is_ok(), fire(&mut town, who, land[4]).is_ok());
            gathered.err().map_or_else(|| "ok".to_owned(), |no| no.code.into_owned())
        })
    };
    let not = "their_land";
    assert_eq!(tries(Level::Owner), ["ok", not, not, not]);
    assert_eq!(tries(Level::Friends), ["ok", "ok", not, not]);
    assert_eq!(tries(Level::Guild), ["ok", "ok", "ok", not]);
    assert_eq!(tries(Level::Everybody), ["ok", "ok", "ok", "ok"]);
    // Its events say by which right.
    let (chunk, _) = something(&mut town, ada, &land);
    let rights: Vec<Right> = town
        .events::<Land>(chunk)
        .iter()
        .filter_map(
            |event| if let land_event::Event::Taken(taken) = event { Some(taken.right()) } else { None },
        )
        .collect();
    assert_eq!(rights[..3], [Right::Deed, Right::Deed, Right::Friend]);
    // A friendship ends, and so does the right; leaving the guild likewise.
    set(&mut town, ada, estate, [Level::Guild; 3], guild).expect("hers");
    wish(&mut town, bob, Command::Unfriend(Unfriend { with: ada.id })).expect("friends");
    wish(&mut town, cyd, Command::LeaveGuild(LeaveGuild { guild })).expect("a member");
    for who in [bob, cyd] {
        let (chunk, thing) = something(&mut town, who, &land);
        town.pass_ms(3_600_000);
        assert_eq!(no(town.gather(who, chunk, thing)), "their_land");
    }
    // One's own guild, and levels that there are.
    assert_eq!(no(set(&mut town, ada, estate, [Level::Guild; 3], guild + 1)), "no_guild");
    let odd = Rights { build: 9, ..Rights::default() };
    let odd = Command::SetRights(SetRights { estate, rights: Some(odd) });
    assert_eq!(no(wish(&mut town, ada, odd)), "unclear");
}

#[test]
fn buildings_on_an_estate_are_taken_down_by_their_builders_and_by_right() {
    let mut town = Town::new();
    let land = block(&town, 2, 1);
    let ada = rich(&mut town, "Ada", 2);
    let bob = town.settle("Bob").expect("a good name");
    let estate = claim(&mut town, ada, &land);
    set(&mut town, ada, estate, [Level::Owner, Level::Everybody, Level::Owner], 0).expect("hers");
    let mut fires = [0; 3].map(|_| fire(&mut town, bob, land[0]).expect("open to all").thing);
    set(&mut town, ada, estate, [Level::Owner; 3], 0).expect("hers");
    let at = |town: &mut Town, thing: u32| {
        let built =
            town.land(land[0]).buildings.into_iter().find(|built| built.index == thing).expect("there");
        let corner = land[0].corner();
        Point::new(corner.x + built.x as i32 * 10, corner.y + built.y as i32 * 10 + 2_000)
    };
    for (who, thing) in [(bob, fires[0]), (ada, fires[1])] {
        let place = at(&mut town, thing);
        town.stand(who, place);
        town.demolish(who, land[0], thing).expect("the builder, and the owner of the land");
    }
    let cyd = town.settle("Cyd").expect("a good name");
    let place = at(&mut town, fires[2]);
    town.stand(cyd, place);
    assert_eq!(no(town.demolish(cyd, land[0], fires[2])), "not_owner");
    // On nobody's land only the builder.
    release(&mut town, ada, estate, &land).expect("hers");
    town.stand(ada, place);
    assert_eq!(no(town.demolish(ada, land[0], fires[2])), "not_owner");
    fires.sort_unstable();
    // What the engine would let a wrong rule ask.
    let raze = land_command::Command::Free(FreeChunk { estate: 5 });
    town.ask_land(ada, land[0], &raze).expect("it never refuses");
}

#[test]
fn a_building_that_reaches_onto_an_estate_needs_its_right() {
    let mut town = Town::new();
    let land = block(&town, 2, 1);
    let ada = rich(&mut town, "Ada", 1);
    let bob = town.settle("Bob").expect("a good name");
    claim(&mut town, ada, &land[..1]);
    let border = land[1].corner();
    let mut codes = Vec::new();
    for k in 0..14 {
        for (dx, key) in [(0, "across"), (1_500, "beside")] {
            town.give(bob, Item::Wood, 3);
            town.give(bob, Item::Stone, 3);
            let at = Point::new(border.x + dx, border.y + 1_000 + k * 2_000);
            town.stand(bob, Point::new(at.x + 4_000, at.y));
            let code = town
                .build(bob, Building::Campfire, at, 0)
                .map_or_else(|no| no.code.into_owned(), |_| "ok".to_owned());
            codes.push((key, code));
        }
    }
    assert!(codes.iter().all(|(key, code)| *key != "across" || code != "ok"), "{codes:?}");
    assert!(codes.contains(&("across", "their_land".to_owned())), "{codes:?}");
    assert!(codes.contains(&("beside", "ok".to_owned())), "{codes:?}");
}

#[test]
fn estates_and_land_believe_only_whom_they_should() {
    let mut town = Town::new();
    let land = block(&town, 2, 1);
    let [ada, bob] = ["Ada", "Bob"].map(|name| rich(&mut town, name, 2));
    let estate = claim(&mut town, ada, &land[..1]);
    // Another one's words about the rights change nothing; a claim is for who asks.
    let person = |who: EntityId| Some(Person { id: who.id, name: String::new() });
    let mine = Terms { estate, owner: person(bob), version: 9, ..Terms::default() };
    town.ask_land(bob, land[0], &land_command::Command::Tell(mine.clone())).expect("it never refuses");
    let claim = pioneer::schema::ClaimChunk { terms: Some(mine) };
    assert_eq!(no(town.ask_land(ada, land[1], &land_command::Command::Claim(claim))), "unclear");
    let village = ChunkId::of(0, town.island.village());
    let terms = Some(Terms { estate: 1, owner: person(ada), ..Terms::default() });
    let claim = pioneer::schema::ClaimChunk { terms };
    assert_eq!(no(town.ask_land(ada, village, &land_command::Command::Claim(claim))), "commons");
    // A sale is between the two who are in it, and one of them owns the estate.
    let cyd = town.settle("Cyd").expect("a good name");
    let mut sale = |by: EntityId, parties: &[EntityId]| {
        let parties = parties.iter().filter_map(|who| person(*who)).collect();
        town.ask::<Estate>(by, estate, &estate_ask::Ask::Sell(AskSell { parties })).map(|_| ())
    };
    assert_eq!(no(sale(cyd, &[ada, bob])), "unclear");
    assert_eq!(no(sale(ada, &[ada])), "unclear");
    assert_eq!(no(sale(ada, &[ada, ada])), "no_deed");
    assert_eq!(no(sale(bob, &[bob, cyd])), "no_deed");
    sale(bob, &[ada, bob]).expect("who confirms last asks");
}
