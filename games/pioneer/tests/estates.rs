//! Estates: claiming, rights, selling, lapsing; and that nobody is fenced in.

mod support;

use gundo::{ChunkId, EntityId, Point, Refusal, State};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AbandonEstate, AcceptGuild, AskSell, AttendEstate, Befriend, BeginTrade, Building, ClaimLand, Confirm,
    EstatePublic, FoundGuild, FreeChunk, InviteToGuild, Item, Key, LeaveGuild, LeaveTrade, Level, News,
    Offer, Person, PlayerReply, PlayerTold, ReleaseLand, ReturnLetter, Right, Rights, SetRights, Terms,
    Unfriend, estate_ask, land_command, land_event,
};
use pioneer::{
    CLAIM_CHUNKS_MAX, COMMONS_MM, DEEDS_MAX, DOOR_MM, ESTATE_CHUNKS_MAX, ESTATE_LIFE_MS, ESTATE_WARNING_MS,
    Estate, Land, Mailbox, Player, WAY_MM,
};
use support::{Town, chunk_ref, no, stack};

type Answer = Result<PlayerReply, Refusal>;

const DAY_MS: u64 = 24 * 3_600_000;

/// Waits first, so that no pace says no; then what was set for now happens.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    let answer = town.wish(who, command);
    town.ring();
    answer
}

/// The middle of a chunk.
fn middle(chunk: ChunkId) -> Point {
    let corner = chunk.corner();
    Point::new(corner.x + 15_000, corner.y + 15_000)
}

/// A block of chunks near the village that nobody is kept from, the first in its corner.
fn block(town: &Town, wide: i16, high: i16) -> Vec<ChunkId> {
    let at = |from: ChunkId| {
        (0..high).flat_map(move |y| (0..wide).map(move |x| ChunkId { x: from.x + x, y: from.y + y, ..from }))
    };
    let is_free = |chunk: ChunkId| {
        let ground = middle(chunk);
        let holds =
            |dx: i32, dy: i32| town.island.biome(Point::new(ground.x + dx, ground.y + dy)).is_walkable();
        !town.island.is_commons(chunk) && (-4..=4).all(|k| holds(k * 1_000, 0) && holds(0, k * 1_000))
    };
    let around = ChunkId::of(0, town.island.village()).around(16);
    let found = around.into_iter().find(|from| at(*from).all(is_free)).expect("land to claim");
    at(found).collect()
}

/// Somebody with planks for so many chunks.
fn rich(town: &mut Town, name: &str, chunks: u32) -> EntityId {
    let who = town.settle(name).expect("a good name");
    pay(town, who, chunks);
    who
}

fn pay(town: &mut Town, who: EntityId, chunks: u32) {
    town.give(who, Item::Plank, 2 * chunks);
}

fn claim_for(town: &mut Town, who: EntityId, estate: u64, chunks: &[ChunkId]) -> Answer {
    if let Some(first) = chunks.first() {
        town.stand(who, middle(*first));
    }
    let chunks = chunks.iter().map(|chunk| chunk_ref(*chunk)).collect();
    wish(town, who, Command::ClaimLand(ClaimLand { estate, chunks }))
}

fn claim(town: &mut Town, who: EntityId, chunks: &[ChunkId]) -> u64 {
    claim_for(town, who, 0, chunks).expect("free land").entity
}

fn release(town: &mut Town, who: EntityId, estate: u64, chunks: &[ChunkId]) -> Answer {
    let chunks = chunks.iter().map(|chunk| chunk_ref(*chunk)).collect();
    wish(town, who, Command::ReleaseLand(ReleaseLand { estate, chunks }))
}

fn set(
    town: &mut Town,
    who: EntityId,
    estate: u64,
    [gather, build, demolish]: [Level; 3],
    guild: u64,
) -> Answer {
    let (gather, build, demolish) = (gather.into(), build.into(), demolish.into());
    let rights = Some(Rights { gather, build, demolish, guild, ..Rights::default() });
    wish(town, who, Command::SetRights(SetRights { estate, rights }))
}

fn seen(town: &mut Town, estate: u64) -> EstatePublic {
    town.public::<Estate>(estate).expect("an estate with land")
}

fn owner(town: &mut Town, estate: u64) -> u64 {
    town.public::<Estate>(estate).and_then(|estate| estate.owner).map_or(0, |owner| owner.id)
}

fn terms(town: &mut Town, chunk: ChunkId) -> Option<Terms> {
    town.land(chunk).terms
}

/// Estate, land and players agree; returns how much land the estate has.
fn agree(town: &mut Town, estate: u64, around: &[ChunkId]) -> usize {
    let state = town.state::<Estate>(estate);
    for chunk in around {
        let plot = state.plots.iter().find(|plot| plot.chunk == chunk.to_u64());
        let mine = terms(town, *chunk).filter(|terms| terms.estate == estate);
        assert_eq!(plot.map(|plot| plot.told), mine.map(|terms| terms.version), "{chunk:?}");
    }
    state.plots.len()
}

fn news(town: &mut Town, who: EntityId) -> Vec<News> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.iter().map(PlayerTold::news).collect()
}

fn befriend(town: &mut Town, one: EntityId, other: EntityId) {
    wish(town, one, Command::Befriend(Befriend { with: other.id })).expect("asks");
    wish(town, other, Command::Befriend(Befriend { with: one.id })).expect("accepts");
}

/// Something that grows in one of these chunks, where somebody stands next to it.
fn something(town: &mut Town, who: EntityId, chunks: &[ChunkId]) -> (ChunkId, u32) {
    let island = town.island;
    let things = |chunk: ChunkId| island.nature(chunk).into_iter().map(move |thing| (chunk, thing));
    let (chunk, thing) = chunks.iter().copied().flat_map(things).next().expect("something grows there");
    town.stand(who, Point::new(thing.at.x + 900, thing.at.y));
    (chunk, thing.index.into())
}

/// Builds a fire near the middle of a chunk, where nothing is in the way.
fn fire(town: &mut Town, who: EntityId, chunk: ChunkId) -> Answer {
    town.give(who, Item::Wood, 3);
    town.give(who, Item::Stone, 3);
    let mut last = None;
    for (x, y) in (-4..=4).flat_map(|x| (-4..=4).map(move |y| (x * 2_500, y * 2_500))) {
        let at = Point::new(middle(chunk).x + x, middle(chunk).y + y);
        town.stand(who, Point::new(at.x, at.y + 3_000));
        let answer = town.build(who, Building::Campfire, at, 0);
        match answer {
            Err(ref no) if ["not_free", "bad_ground", "someone_there"].contains(&&*no.code) => {
                last = Some(answer)
            }
            answer => return answer,
        }
    }
    last.expect("it tried")
}

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

/// Ada with an estate, and Bob next to her, in a trade.
fn dealing(chunks: usize) -> (Town, EntityId, EntityId, u64, Vec<ChunkId>) {
    let mut town = Town::new();
    let land = block(&town, 6, 6);
    let ada = rich(&mut town, "Ada", 36);
    let bob = rich(&mut town, "Bob", 30);
    let estate = claim(&mut town, ada, &land[..chunks.min(12)]);
    for at in (12..chunks).step_by(12) {
        claim_for(&mut town, ada, estate, &land[at..at + 12]).expect("beside it");
    }
    let at = town.island.village();
    [ada, bob].into_iter().for_each(|who| town.stand(who, at));
    wish(&mut town, ada, Command::BeginTrade(BeginTrade { with: bob.id })).expect("next to each other");
    (town, ada, bob, estate, land)
}

fn offer(town: &mut Town, who: EntityId, planks: u32, deeds: &[u64]) -> Answer {
    let trade = town.own(who).trade.map_or(1, |trade| trade.id);
    let stacks = if planks == 0 { vec![] } else { vec![stack(Item::Plank, planks)] };
    wish(town, who, Command::Offer(Offer { trade, stacks, deeds: deeds.to_vec() }))
}

fn confirm(town: &mut Town, who: EntityId) -> Answer {
    let trade = town.own(who).trade.expect("in a trade");
    wish(town, who, Command::Confirm(Confirm { trade: trade.id, version: trade.version }))
}

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
    let _ = (Key::default(), Player::KIND);
}

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
