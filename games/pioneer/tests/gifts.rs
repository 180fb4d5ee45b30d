//! Giving things to players next to one.

mod support;

use gundo::{EntityId, Point, Refusal};
use pioneer::schema::{Give, Item, PlayerReply, Stack, player_command::Command};
use pioneer::{GIVE_PLAYERS_MAX, GIVE_REACH_MM, SLOTS_MAX};
use support::{Town, no, stack};

fn give(town: &mut Town, from: EntityId, to: &[u64], each: Option<Stack>) -> Result<PlayerReply, Refusal> {
    town.wish(from, Command::Give(Give { to: to.to_vec(), each }))
}

#[test]
fn all_get_it_or_nobody() {
    let mut town = Town::new();
    let names = ["Ada", "Bob", "Cyd"];
    let [ada, bob, cyd] = names.map(|name| town.settle(name).expect("a good name"));
    let at = town.island.village();
    [ada, bob, cyd].into_iter().for_each(|who| town.stand(who, at));
    town.give(ada, Item::Plank, 10);
    let planks = |count| Some(stack(Item::Plank, count));
    let reply = give(&mut town, ada, &[bob.id, cyd.id], planks(3)).expect("both are near");
    assert_eq!(reply.spent, [stack(Item::Plank, 6)]);
    assert_eq!([ada, bob, cyd].map(|who| town.count(who, Item::Plank)), [4, 3, 3]);
    // One of two is a step too far away.
    town.stand(cyd, Point::new(at.x + GIVE_REACH_MM as i32 + 1, at.y));
    assert_eq!(no(give(&mut town, ada, &[bob.id, cyd.id], planks(1))), "too_far");
    town.stand(cyd, Point::new(at.x + GIVE_REACH_MM as i32, at.y));
    // One of two has no room.
    town.give(cyd, Item::Axe, SLOTS_MAX - 1);
    assert_eq!(no(give(&mut town, ada, &[bob.id, cyd.id], Some(stack(Item::Stone, 1)))), "missing_items");
    town.give(ada, Item::Stone, 2);
    assert_eq!(no(give(&mut town, ada, &[bob.id, cyd.id], Some(stack(Item::Stone, 1)))), "no_room");
    assert_eq!([ada, bob, cyd].map(|who| town.count(who, Item::Plank)), [4, 3, 3]);
    assert_eq!([ada, bob, cyd].map(|who| town.count(who, Item::Stone)), [2, 0, 0]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut town = Town::new();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    town.give(ada, Item::Wood, 3);
    let wood = |count| Some(stack(Item::Wood, count));
    let many: Vec<_> = (1..=GIVE_PLAYERS_MAX as u64 + 1).collect();
    for (to, each, code) in [
        (vec![ada.id], wood(1), "yourself"),
        (vec![bob.id, ada.id], wood(1), "yourself"),
        (vec![bob.id, bob.id], wood(1), "unclear"),
        (vec![], wood(1), "unclear"),
        (many, wood(1), "unclear"),
        (vec![bob.id], None, "unclear"),
        (vec![bob.id], wood(0), "unclear"),
        (vec![bob.id], Some(stack(Item::None, 1)), "unclear"),
        (vec![bob.id], wood(4), "missing_items"),
        (vec![bob.id], wood(u32::MAX), "missing_items"),
        (vec![bob.id, 4_711], wood(u32::MAX), "missing_items"),
        (vec![4_711], wood(1), "no_such_entity"),
    ] {
        assert_eq!(no(give(&mut town, ada, &to, each)), code, "{to:?}, {each:?}");
    }
    assert_eq!(town.count(ada, Item::Wood), 3);
}
