//! What must hold whatever players do: replay equals live, nothing is gained that was not given, and regrowth does
//! not care who looks.

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gundo::{ChunkId, EntityId, Point, State};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AcceptGuild, BeginTrade, Build, Confirm, Craft, Demolish, DissolveGuild, FoundGuild, Gather, Give,
    GuildRole, Hold, InviteToGuild, ItemsCrafted, LeaveGuild, LeaveTrade, Offer, Paint, PutInChest,
    RemoveFromGuild, SetGuildRole, Stack, TakeFromChest, land_event, player_event,
};
use pioneer::{Guild, Land, Player};
use proptest::prelude::*;
use support::{Town, chunk_ref};

/// What one of three players does next. Numbers are wishes: many make no sense, and are refused.
#[derive(Clone, Debug)]
enum Step {
    Walk {
        who: u8,
        dx: i32,
        dy: i32,
    },
    /// The `pick`-th thing or building in reach.
    Gather {
        who: u8,
        pick: usize,
    },
    Build {
        who: u8,
        what: i32,
        dx: i32,
        dy: i32,
        rotation: u32,
    },
    Demolish {
        who: u8,
        pick: usize,
    },
    Craft {
        who: u8,
        recipe: u32,
        count: u32,
    },
    Hold {
        who: u8,
        item: i32,
    },
    Paint {
        who: u8,
        colour: u32,
    },
    /// Gives to the next one, or does something in a trade with it.
    Deal {
        who: u8,
        what: u8,
        item: i32,
        count: u32,
    },
    /// Something about guilds, with the next one if it takes two.
    Guild {
        who: u8,
        what: u8,
        item: i32,
        count: u32,
    },
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3_u8;
    let near = -6_000..6_000_i32;
    prop_oneof![
        2 => (who.clone(), -15_000..15_000_i32, -15_000..15_000_i32).prop_map(|(who, dx, dy)| Step::Walk { who, dx, dy }),
        6 => (who.clone(), 0..8_usize).prop_map(|(who, pick)| Step::Gather { who, pick }),
        3 => (who.clone(), 0..5_i32, near.clone(), near, 0..5_u32)
            .prop_map(|(who, what, dx, dy, rotation)| Step::Build { who, what, dx, dy, rotation }),
        2 => (who.clone(), 0..4_usize).prop_map(|(who, pick)| Step::Demolish { who, pick }),
        3 => (who.clone(), 0..7_u32, 0..4_u32).prop_map(|(who, recipe, count)| Step::Craft { who, recipe, count }),
        1 => (who.clone(), 0..11_i32).prop_map(|(who, item)| Step::Hold { who, item }),
        1 => (who.clone(), 0..14_u32).prop_map(|(who, colour)| Step::Paint { who, colour }),
        8 => (who.clone(), 0..8_u8, 0..5_i32, 0..4_u32)
            .prop_map(|(who, what, item, count)| Step::Deal { who, what, item, count }),
        8 => (who, 0..16_u8, 0..6_i32, 0..4_u32)
            .prop_map(|(who, what, item, count)| Step::Guild { who, what, item, count }),
        1 => (0..400_000_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// Where most things grow within reach of a few steps, near the village.
static START: LazyLock<Point> = LazyLock::new(|| {
    let island = Town::new().island;
    let around = ChunkId::of(0, island.village()).around(4);
    let things: Vec<_> = around.flat_map(|chunk| island.nature(chunk)).collect();
    let crowd = |at: Point| things.iter().filter(|t| t.at.within(at, 12_000)).count();
    things.iter().max_by_key(|t| crowd(t.at)).expect("things near the village").at
});

/// Three players in the woods near the village.
fn settle() -> (Town, Vec<EntityId>) {
    let mut town = Town::new();
    let start = *START;
    let names = ["Ada", "Bob", "Eve"];
    let join = |name: &str| {
        let player = town.settle(name).expect("a good name");
        town.stand(player, start);
        player
    };
    let players = names.into_iter().map(join).collect();
    (town, players)
}

fn play(town: &mut Town, players: &[EntityId], step: &Step) {
    let shift = |p: Point, dx: i32, dy: i32| Point::new(p.x + dx, p.y + dy);
    let done = match *step {
        Step::Walk { who, dx, dy } => {
            let id = players[usize::from(who)];
            let to = shift(town.body(id).at, dx, dy);
            town.walk(id, to).err()
        }
        Step::Gather { who, pick } => {
            let id = players[usize::from(who)];
            let (chunk, thing) = pick_thing(town, id, pick);
            let gather = Gather { chunk: Some(chunk_ref(chunk)), thing };
            town.wish(id, Command::Gather(gather)).err()
        }
        Step::Build { who, what, dx, dy, rotation } => {
            let id = players[usize::from(who)];
            let Point { x, y } = shift(town.body(id).at, dx, dy);
            town.wish(id, Command::Build(Build { what, x, y, rotation })).err()
        }
        Step::Demolish { who, pick } => {
            let id = players[usize::from(who)];
            let (chunk, thing) = pick_building(town, id, pick);
            let demolish = Demolish { chunk: Some(chunk_ref(chunk)), thing };
            town.wish(id, Command::Demolish(demolish)).err()
        }
        Step::Craft { who, recipe, count } => {
            town.wish(players[usize::from(who)], Command::Craft(Craft { recipe, count })).err()
        }
        Step::Hold { who, item } => town.wish(players[usize::from(who)], Command::Hold(Hold { item })).err(),
        Step::Paint { who, colour } => {
            town.wish(players[usize::from(who)], Command::Paint(Paint { colour })).err()
        }
        Step::Deal { who, what, item, count } => {
            let [id, next] = [who, who + 1].map(|who| players[usize::from(who) % players.len()]);
            town.pass_ms(2_000);
            let trade = town.own(id).trade.unwrap_or_default();
            let stack = Stack { item, count, ..Stack::default() };
            town.wish(
                id,
                match what {
                    0 => Command::Give(Give { to: vec![next.id], each: Some(stack) }),
                    1 => Command::LeaveTrade(LeaveTrade { trade: trade.id, alone: count == 0 }),
                    2 => Command::BeginTrade(BeginTrade { with: next.id }),
                    3..=5 => Command::Confirm(Confirm { trade: trade.id, version: trade.version }),
                    _ => Command::Offer(Offer { trade: trade.id, stacks: vec![stack], deeds: Vec::new() }),
                },
            )
            .err()
        }
        Step::Guild { who, what, item, count } => {
            let [id, next] = [who, who + 1].map(|who| players[usize::from(who) % players.len()]);
            let command = guild_command(town, (id, next), what, Stack { item, count, ..Stack::default() });
            town.wish(id, command).err()
        }
        Step::Wait { ms } => {
            town.now = town.now + ms;
            None
        }
    };
    if let Some(refusal) = done {
        let known =
            refusal.code == "name_taken" || pioneer::No::ALL.iter().any(|no| no.code() == refusal.code);
        assert!(known, "{refusal:?}");
    }
}

fn guild_command(town: &mut Town, (id, next): (EntityId, EntityId), what: u8, stack: Stack) -> Command {
    town.pass_ms(2_000);
    let own = town.own(id);
    let (guild, whom) = (own.guild.map_or(0, |guild| guild.id), next.id);
    let invited = own.invitations.first().map_or(0, |invitation| invitation.guild);
    match what {
        0..=2 => {
            // Nobody gathers planks for long enough.
            if guild == 0 && own.slots.len() + 7 < pioneer::SLOTS_MAX as usize {
                let gained =
                    vec![Stack { item: pioneer::schema::Item::Plank.into(), count: 4, ..Stack::default() }];
                let made = ItemsCrafted { gained, ..ItemsCrafted::default() };
                town.happen::<Player>(id, &player_event::Event::Crafted(made));
            }
            let name = if stack.count == 0 { "Foxes" } else { "Wolves" };
            Command::FoundGuild(FoundGuild { name: name.to_owned() })
        }
        3..=4 => Command::InviteToGuild(InviteToGuild { guild, whom }),
        5..=6 => Command::AcceptGuild(AcceptGuild { guild: invited }),
        7 => Command::LeaveGuild(LeaveGuild { guild }),
        8 => Command::DissolveGuild(DissolveGuild { guild }),
        9 => Command::RemoveFromGuild(RemoveFromGuild { guild, whom }),
        10 => Command::SetGuildRole(SetGuildRole { guild, whom, role: GuildRole::Officer.into() }),
        11..=13 => Command::PutInChest(PutInChest { guild, stack: Some(stack) }),
        _ => Command::TakeFromChest(TakeFromChest { guild, stack: Some(stack) }),
    }
}

fn pick_thing(town: &Town, id: EntityId, pick: usize) -> (ChunkId, u32) {
    let at = town.body(id).at;
    let around = ChunkId::of(0, at).around(1);
    let mut things: Vec<_> = around.flat_map(|chunk| town.island.nature(chunk)).collect();
    things.sort_by_key(|thing| thing.at.distance(at));
    things.get(pick).map_or((ChunkId::of(0, at), 0), |t| (ChunkId::of(0, t.at), t.index.into()))
}

fn pick_building(town: &mut Town, id: EntityId, pick: usize) -> (ChunkId, u32) {
    let here = ChunkId::of(0, town.body(id).at);
    let list = |chunk: ChunkId| town.land(chunk).buildings.into_iter().map(move |b| (chunk, b.index));
    let all: Vec<_> = here.around(1).flat_map(list).collect();
    all.get(pick).copied().unwrap_or((here, 256))
}

fn signed(sums: &mut BTreeMap<i32, i64>, stacks: &[Stack], sign: i64) {
    for stack in stacks {
        *sums.entry(stack.item).or_default() += sign * i64::from(stack.count);
    }
}

/// What the land gave, by item, from its events alone.
fn given_by_land(town: &Town) -> BTreeMap<i32, i64> {
    let mut sums = BTreeMap::new();
    let kinds: BTreeMap<i32, i32> =
        pioneer::describe(town.island).things.iter().map(|info| (info.what, info.gives)).collect();
    for id in town.everybody().into_iter().filter(|id| id.kind == Land::KIND) {
        let nature = town.island.nature(ChunkId::from_u64(id.id));
        for event in town.events::<Land>(id) {
            if let land_event::Event::Taken(taken) = event {
                let what = nature.iter().find(|t| u32::from(t.index) == taken.thing).expect("it grows").what;
                signed(
                    &mut sums,
                    &[Stack { item: kinds[&what.into()], count: taken.amount, ..Stack::default() }],
                    1,
                );
            }
        }
    }
    sums
}

/// What the players gathered, and what they own beyond that, by item, from their events alone.
fn gained_by_players(town: &Town, players: &[EntityId]) -> (BTreeMap<i32, i64>, BTreeMap<i32, i64>) {
    let (mut gathered, mut made) = (BTreeMap::new(), BTreeMap::new());
    for event in players.iter().flat_map(|id| town.events::<Player>(*id)) {
        match event {
            player_event::Event::Gathered(fact) => signed(&mut gathered, fact.gained.as_slice(), 1),
            player_event::Event::Crafted(fact) => {
                signed(&mut made, &fact.gained, 1);
                signed(&mut made, &fact.spent, -1);
            }
            player_event::Event::Paid(fact) => signed(&mut made, &fact.spent, -1),
            player_event::Event::Returned(fact) => signed(&mut made, &fact.gained, 1),
            player_event::Event::Painted(fact) => signed(&mut made, fact.spent.as_slice(), -1),
            player_event::Event::Given(fact) => signed(&mut made, fact.each.as_slice(), -1),
            player_event::Event::Received(fact) => signed(&mut made, fact.gained.as_slice(), 1),
            player_event::Event::TradeDone(fact) => {
                signed(&mut made, &fact.gained, 1);
                signed(&mut made, &fact.spent, -1);
            }
            player_event::Event::GuildEntered(fact) => signed(&mut made, &fact.spent, -1),
            player_event::Event::ChestServed(fact) => {
                signed(&mut made, fact.stack.as_slice(), if fact.took { 1 } else { -1 });
            }
            // What is offered is still one's own.
            _ => {}
        }
    }
    (gathered, made)
}

fn check_conservation(town: &mut Town, players: &[EntityId]) {
    let (gathered, made) = gained_by_players(town, players);
    assert_eq!(gathered, given_by_land(town), "players gained what the land gave");
    let mut owned = BTreeMap::new();
    for id in players {
        let own = town.own(*id);
        assert!(own.slots.len() <= pioneer::SLOTS_MAX as usize);
        signed(&mut owned, &own.slots, 1);
        signed(&mut owned, &own.trade.unwrap_or_default().mine, 1);
    }
    // What players have put into chests and nobody has taken is there.
    let mut chests = BTreeMap::new();
    for id in town.everybody().into_iter().filter(|id| id.kind == Guild::KIND) {
        signed(&mut chests, &town.state::<Guild>(id).chest, 1);
    }
    let mut served = BTreeMap::new();
    for event in players.iter().flat_map(|id| town.events::<Player>(*id)) {
        if let player_event::Event::ChestServed(fact) = event {
            signed(&mut served, fact.stack.as_slice(), if fact.took { -1 } else { 1 });
        }
    }
    served.retain(|_, count| *count != 0);
    assert_eq!(chests, served, "chests have what players put and did not take");
    let mut expected = gathered;
    for (item, count) in made {
        *expected.entry(item).or_default() += count;
    }
    expected.retain(|_, count| *count != 0);
    assert_eq!(owned, expected, "players own what their events say");
}

/// Buildings never share ground, whichever chunk lists them.
fn check_free_ground(town: &mut Town) {
    let infos = pioneer::describe(town.island).buildings;
    let mut plans: Vec<(Point, Point)> = Vec::new();
    for id in town.everybody().into_iter().filter(|id| id.kind == Land::KIND) {
        let chunk = ChunkId::from_u64(id.id);
        for b in town.land(chunk).buildings {
            let info = infos.iter().find(|info| info.building == b.what).expect("a building");
            let turned = b.rotation % 2 == 1;
            let (w, d) = if turned { (info.depth_mm, info.width_mm) } else { (info.width_mm, info.depth_mm) };
            let corner = chunk.corner();
            let (x, y) = (corner.x + b.x as i32 * 10, corner.y + b.y as i32 * 10);
            let (w, d) = (w as i32 / 2, d as i32 / 2);
            plans.push((Point::new(x - w, y - d), Point::new(x + w, y + d)));
        }
    }
    for (i, (a, b)) in plans.iter().enumerate() {
        for (c, d) in &plans[..i] {
            assert!(b.x <= c.x || d.x <= a.x || b.y <= c.y || d.y <= a.y, "two buildings share ground");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_players_do(steps in prop::collection::vec(step(), 1..120)) {
        let (mut town, players) = settle();
        for step in &steps {
            play(&mut town, &players, step);
        }
        town.check();
        check_conservation(&mut town, &players);
        check_free_ground(&mut town);
    }

    #[test]
    fn regrowth_does_not_care_who_looks(
        steps in prop::collection::vec(step(), 1..60),
        looks in prop::collection::vec(0..100_000_u64, 0..12),
    ) {
        let (mut seen, players) = settle();
        let (mut alone, same) = settle();
        prop_assert_eq!(&players, &same);
        for step in &steps {
            play(&mut seen, &players, step);
            play(&mut alone, &players, step);
        }
        // One town is looked at again and again, and at every change it announces; the other only at the end.
        let end = seen.now + 2_000_000;
        let chunks: Vec<_> = ChunkId::of(0, seen.body(players[0]).at).around(2).collect();
        for chunk in &chunks {
            let mut now = seen.now;
            let mut times: Vec<_> = looks.iter().map(|ms| { now = now + *ms; now }).collect();
            let begin = seen.now;
            while let Some(next) = seen.land_changes(*chunk) {
                prop_assert!(next > seen.now, "changes lie ahead");
                let before = seen.land(*chunk);
                seen.now = gundo::WorldTime(next.0 - 1);
                prop_assert_eq!(&seen.land(*chunk), &before, "nothing changes before it is due");
                seen.now = next;
                prop_assert_ne!(&seen.land(*chunk), &before, "what is due happens");
            }
            times.push(end);
            for time in times {
                (seen.now, alone.now) = (time, time);
                seen.land(*chunk);
            }
            prop_assert_eq!(seen.land(*chunk), alone.land(*chunk));
            (seen.now, alone.now) = (begin, begin);
        }
    }
}
