//! Whatever players do by mail and at a stall: nothing is lost, nothing is doubled, and every refusal is one of the game's.

mod support;

use std::collections::BTreeMap;

use gundo::{EntityId, Point};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    Building, Buy, DeleteLetter, Item, PutUp, ReadLetter, Reprice, ReturnLetter, SendLetter, Stack,
    TakeFromLetter, TakeProceeds, Withdraw,
};
use pioneer::{LETTER_LIFE_MS, Mailbox, SLOTS_MAX, Stall};
use proptest::prelude::*;
use support::Town;

/// What one of three players does next, with numbers that mean something different for each. Many make no sense, and are refused.
#[derive(Clone, Debug)]
struct Step {
    who: usize,
    what: u8,
    item: i32,
    count: u32,
    number: u32,
    lots: u32,
}

fn step() -> impl Strategy<Value = Step> {
    (0..3_usize, 0..13_u8, 0..3_i32, 0..25_u32, 1..6_u32, 0..4_u32)
        .prop_map(|(who, what, item, count, number, lots)| Step { who, what, item, count, number, lots })
}

/// Three players with wood and stone, the first with a stall next to all of them.
fn settle() -> (Town, Vec<EntityId>, u64) {
    let mut town = Town::new();
    let players: Vec<EntityId> =
        ["Ada", "Bob", "Eve"].into_iter().map(|name| town.settle(name).expect("a good name")).collect();
    let at = support::free_spot(&town);
    for who in &players {
        town.stand(*who, Point::new(at.x, at.y - 2_000));
        town.give(*who, Item::Wood, 100);
        town.give(*who, Item::Stone, 100);
    }
    town.give(players[0], Item::Plank, 4);
    let stall = town.build(players[0], Building::Stall, at, 0).expect("a free spot").entity;
    (town, players, stall)
}

fn play(town: &mut Town, players: &[EntityId], stall: u64, step: &Step) {
    let Step { who, what, item, count, number, lots } = *step;
    let (stack, price) = (
        Some(Stack { item, count, ..Stack::default() }),
        Some(Stack { item: item % 2 + 1, count: count % 5, ..Stack::default() }),
    );
    let (letter, offer) = (number, number);
    town.pass_ms(10_000);
    if what == 12 {
        town.pass_ms(LETTER_LIFE_MS / 2);
        town.ring();
        return;
    }
    let command = match what {
        0..=2 => Command::SendLetter(SendLetter {
            to: vec![players[(who + 1 + what as usize % 2) % 3].id],
            text: "For you.".into(),
            stacks: stack.into_iter().collect(),
            ..SendLetter::default()
        }),
        3 => Command::TakeFromLetter(TakeFromLetter { letter }),
        4 => Command::ReturnLetter(ReturnLetter { letter }),
        5 => Command::DeleteLetter(DeleteLetter { letter }),
        6 => Command::ReadLetter(ReadLetter { letter }),
        7 => Command::PutUp(PutUp { stall, lot: stack, price, lots }),
        8 => Command::Buy(Buy { stall, offer, version: 1 + count % 2, lots }),
        9 => Command::Reprice(Reprice { stall, offer, price }),
        10 => Command::Withdraw(Withdraw { stall, offer, lots }),
        _ => Command::TakeProceeds(TakeProceeds { stall, stack }),
    };
    if let Err(refusal) = town.wish(players[who], command) {
        assert!(pioneer::No::ALL.iter().any(|no| no.code() == refusal.code), "{refusal:?}");
    }
}

/// All that players, letters and the stall have, by item.
fn goods(town: &mut Town, players: &[EntityId], stall: u64) -> BTreeMap<i32, u32> {
    let mut all: Vec<Stack> = Vec::new();
    for who in players {
        let own = town.own(*who);
        assert!(own.slots.len() <= SLOTS_MAX as usize);
        all.extend(own.slots);
        all.extend(town.state::<Mailbox>(who.id).letters.into_iter().flat_map(|letter| letter.stacks));
    }
    let seen = town.public::<Stall>(stall).expect("it is there");
    all.extend(seen.proceeds);
    all.extend(
        seen.offers.iter().filter_map(|o| o.lot.map(|lot| Stack { count: lot.count * o.left, ..lot })),
    );
    let mut sums = BTreeMap::new();
    for stack in all {
        *sums.entry(stack.item).or_default() += stack.count;
    }
    sums.retain(|_, count| *count > 0);
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_players_do_by_mail_and_at_a_stall(steps in prop::collection::vec(step(), 1..120)) {
        let (mut town, players, stall) = settle();
        let before = goods(&mut town, &players, stall);
        prop_assert_eq!(&before, &BTreeMap::from([(1, 300), (2, 300)]));
        for step in &steps {
            play(&mut town, &players, stall, step);
            prop_assert_eq!(&goods(&mut town, &players, stall), &before, "after {:?}", step);
        }
        town.check();
    }
}
