//! Mail: what is in a letter is in one place, also while people are away, and comes back if it cannot stay.

mod support;

use gundo::{EntityId, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AddressEntry, Block, DeleteLetter, Item, Letter, News, PlayerReply, PlayerTold, ReadLetter, Register,
    ReturnLetter, SendLetter, Stack, TakeFromLetter,
};
use pioneer::{
    Address, LETTER_BYTES_MAX, LETTER_CHARS_MAX, LETTER_LIFE_MS, LETTER_STACKS_MAX, LETTERS_MAX,
    LETTERS_OF_ONE_MAX, Mailbox, Player, SLOTS_MAX,
};
use support::{Town, no, stack};

type Answer = Result<PlayerReply, Refusal>;

/// Waits first, so that no pace says no.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, command)
}

fn send(town: &mut Town, who: EntityId, to: EntityId, text: &str, stacks: &[Stack]) -> Answer {
    let letter =
        SendLetter { to: vec![to.id], text: text.into(), stacks: stacks.to_vec(), ..SendLetter::default() };
    wish(town, who, Command::SendLetter(letter))
}

fn send_to(town: &mut Town, who: EntityId, name: &str) -> Answer {
    let letter = SendLetter { name: name.into(), text: "Hello!".into(), ..SendLetter::default() };
    wish(town, who, Command::SendLetter(letter))
}

fn read(town: &mut Town, who: EntityId, letter: u32) -> Answer {
    wish(town, who, Command::ReadLetter(ReadLetter { letter }))
}

fn take(town: &mut Town, who: EntityId, letter: u32) -> Answer {
    wish(town, who, Command::TakeFromLetter(TakeFromLetter { letter }))
}

fn delete(town: &mut Town, who: EntityId, letter: u32) -> Answer {
    wish(town, who, Command::DeleteLetter(DeleteLetter { letter }))
}

fn give_back(town: &mut Town, who: EntityId, letter: u32) -> Answer {
    wish(town, who, Command::ReturnLetter(ReturnLetter { letter }))
}

fn letters(town: &mut Town, who: EntityId) -> Vec<Letter> {
    town.public::<Mailbox>(who.id).unwrap_or_default().letters
}

/// The numbers of its letters.
fn numbers(town: &mut Town, who: EntityId) -> Vec<u32> {
    letters(town, who).iter().map(|letter| letter.number).collect()
}

fn news(town: &mut Town, who: EntityId) -> Vec<(News, String)> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.into_iter().map(|told| (told.news(), told.name)).collect()
}

fn wood(count: u32) -> Stack {
    stack(Item::Wood, count)
}

/// Ada with wood, and Bob.
fn two() -> (Town, EntityId, EntityId) {
    let mut town = Town::new();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    town.give(ada, Item::Wood, 30);
    (town, ada, bob)
}

/// Fills a mailbox with letters of many.
fn fill(town: &mut Town, whose: EntityId) {
    let there = letters(town, whose).len();
    for k in there..LETTERS_MAX {
        let guest = town.settle(&format!("Guest {k} {}", whose.id)).expect("a good name");
        send(town, guest, whose, "Hello!", &[]).expect("there is room");
    }
}

#[test]
fn a_letter_comes_is_read_emptied_once_and_deleted() {
    let (mut town, ada, bob) = two();
    let reply = send(&mut town, ada, bob, " For your roof. ", &[wood(10)]).expect("has it");
    assert_eq!(reply.spent, [wood(10)]);
    assert_eq!(town.count(ada, Item::Wood), 20, "it is out of her bag");
    assert_eq!(news(&mut town, bob), [(News::Letter, "Ada".to_owned())]);
    let seen = letters(&mut town, bob).remove(0);
    let whose =
        |person: Option<pioneer::schema::Person>| person.map(|person| person.name).unwrap_or_default();
    assert_eq!((whose(seen.from), whose(seen.to)), ("Ada".to_owned(), "Bob".to_owned()));
    assert_eq!((seen.text.as_str(), seen.read, seen.back, seen.stacks), ("", false, false, vec![wood(10)]));
    assert_eq!(read(&mut town, bob, 1).expect("it is there").text, "For your roof.");
    assert!(letters(&mut town, bob)[0].read);
    assert_eq!(read(&mut town, bob, 1).expect("again").text, "For your roof.");
    assert_eq!(no(delete(&mut town, bob, 1)), "something_inside");
    assert_eq!(take(&mut town, bob, 1).expect("has room").gained, [wood(10)]);
    assert_eq!(no(take(&mut town, bob, 1)), "nothing_inside");
    assert_eq!(town.count(bob, Item::Wood), 10);
    delete(&mut town, bob, 1).expect("empty");
    for answer in [read, take, delete, give_back].map(|act| act(&mut town, bob, 1)) {
        assert_eq!(no(answer), "no_letter");
    }
    assert!(letters(&mut town, bob).is_empty());
    assert_eq!(letters(&mut town, ada), []);
}

#[test]
fn a_full_bag_takes_nothing_out_of_a_letter() {
    let (mut town, ada, bob) = two();
    town.give(ada, Item::Stone, 1);
    send(&mut town, ada, bob, "", &[wood(1), stack(Item::Stone, 1)]).expect("has it");
    town.give(bob, Item::Axe, SLOTS_MAX - 1);
    assert_eq!(no(take(&mut town, bob, 1)), "inventory_full");
    assert_eq!([Item::Wood, Item::Stone].map(|item| town.count(bob, item)), [0, 0]);
    assert_eq!(letters(&mut town, bob)[0].stacks.len(), 2, "nothing has moved");
}

#[test]
fn a_letter_goes_back_once_with_all_that_is_in_it() {
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    give_back(&mut town, bob, 1).expect("her mailbox has room");
    assert_eq!(no(take(&mut town, bob, 1)), "no_letter");
    assert_eq!(news(&mut town, ada), [(News::LetterBack, "Bob".to_owned())]);
    let back = letters(&mut town, ada).remove(0);
    assert_eq!((back.back, back.until, back.stacks), (true, 0, vec![wood(10)]));
    assert_eq!(no(give_back(&mut town, ada, 1)), "came_back");
    assert_eq!(take(&mut town, ada, 1).expect("her own").gained, [wood(10)]);
    assert_eq!([ada, bob].map(|who| town.count(who, Item::Wood)), [30, 0]);
    // What was taken out does not go back.
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    take(&mut town, bob, 2).expect("has room");
    give_back(&mut town, bob, 2).expect("empty");
    assert_eq!(no(take(&mut town, ada, 2)), "nothing_inside");
    assert_eq!([ada, bob].map(|who| town.count(who, Item::Wood)), [20, 10]);
}

#[test]
fn a_full_mailbox_and_a_block_look_alike() {
    for blocked in [false, true] {
        let (mut town, ada, bob) = two();
        if blocked {
            wish(&mut town, bob, Command::Block(Block { whom: ada.id })).expect("blocks");
        } else {
            fill(&mut town, bob);
        }
        let before = numbers(&mut town, bob);
        news(&mut town, bob);
        let reply = send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("as any other");
        assert_eq!(reply.spent, [wood(10)]);
        assert_eq!((numbers(&mut town, bob), news(&mut town, bob)), (before, vec![]));
        assert_eq!(news(&mut town, ada), [(News::LetterBack, "Bob".to_owned())]);
        assert_eq!(town.count(ada, Item::Wood), 20);
        take(&mut town, ada, 1).expect("her own");
        assert_eq!(town.count(ada, Item::Wood), 30);
        // Her own has no room for it either: nothing happens.
        fill(&mut town, ada);
        assert_eq!(no(send(&mut town, ada, bob, "For you.", &[wood(10)])), "mailbox_full");
        assert_eq!(town.count(ada, Item::Wood), 30);
    }
}

#[test]
fn nobody_fills_another_ones_mailbox() {
    let (mut town, ada, bob) = two();
    for _ in 0..LETTERS_OF_ONE_MAX {
        send(&mut town, ada, bob, "Hello!", &[]).expect("there is room");
    }
    send(&mut town, ada, bob, "Hello!", &[]).expect("comes back");
    assert_eq!((letters(&mut town, bob).len(), letters(&mut town, ada).len()), (LETTERS_OF_ONE_MAX, 1));
    let cyd = town.settle("Cyd").expect("a good name");
    send(&mut town, cyd, bob, "Hello!", &[]).expect("there is room");
    assert_eq!(letters(&mut town, bob).len(), LETTERS_OF_ONE_MAX + 1);
}

#[test]
fn what_goes_back_needs_room_there() {
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    fill(&mut town, ada);
    assert_eq!(no(give_back(&mut town, bob, 1)), "their_mailbox_full");
    assert_eq!(letters(&mut town, bob)[0].stacks, [wood(10)], "it is still here");
    delete(&mut town, ada, 1).expect("empty");
    give_back(&mut town, bob, 1).expect("there is room");
    assert_eq!((letters(&mut town, bob).len(), letters(&mut town, ada).len()), (0, LETTERS_MAX));
}

#[test]
fn a_letter_that_nobody_empties_goes_back_when_its_time_is_over() {
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    send(&mut town, ada, bob, "Hello!", &[]).expect("there is room");
    send(&mut town, ada, bob, "And this.", &[wood(5)]).expect("has it");
    take(&mut town, bob, 3).expect("has room");
    let until = letters(&mut town, bob)[0].until;
    town.now = gundo::WorldTime(until - 1);
    assert_eq!(town.ring(), 0, "not early");
    news(&mut town, ada);
    town.pass_ms(LETTER_LIFE_MS);
    assert_eq!(town.ring(), 3);
    assert_eq!((numbers(&mut town, bob), numbers(&mut town, ada)), (vec![], vec![1]));
    assert_eq!(news(&mut town, ada), [(News::LetterBack, "Bob".to_owned())]);
    let back = letters(&mut town, ada).remove(0);
    assert_eq!((back.back, back.until, back.stacks), (true, 0, vec![wood(10)]));
    // What has come back stays.
    town.pass_ms(10 * LETTER_LIFE_MS);
    assert_eq!(town.ring(), 0);
    take(&mut town, ada, 1).expect("her own");
    assert_eq!([ada, bob].map(|who| town.count(who, Item::Wood)), [25, 5]);
}

#[test]
fn a_letter_that_finds_no_room_when_it_goes_back_stays_a_day() {
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    town.pass_ms(LETTER_LIFE_MS - 1_000_000);
    fill(&mut town, ada);
    town.now = gundo::WorldTime(letters(&mut town, bob)[0].until);
    assert_eq!(town.ring(), 1);
    let kept = letters(&mut town, bob).remove(0);
    assert_eq!((kept.until, kept.stacks), (town.now.0 + 24 * 3_600_000, vec![wood(10)]));
    delete(&mut town, ada, 1).expect("empty");
    assert_eq!(town.ring(), 0);
    town.now = gundo::WorldTime(kept.until);
    assert_eq!(town.ring(), 1);
    assert_eq!(letters(&mut town, bob), []);
    assert_eq!(letters(&mut town, ada).last().map(|letter| letter.stacks.clone()), Some(vec![wood(10)]));
}

#[test]
fn a_letter_that_is_gone_has_no_time_any_more() {
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    send(&mut town, ada, bob, "Hello!", &[]).expect("there is room");
    give_back(&mut town, bob, 1).expect("her mailbox has room");
    delete(&mut town, bob, 2).expect("empty");
    town.pass_ms(2 * LETTER_LIFE_MS);
    assert_eq!(town.ring(), 0);
    assert_eq!(letters(&mut town, ada)[0].stacks, [wood(10)]);
}

#[test]
fn names_find_who_has_gathered() {
    let (mut town, ada, bob) = two();
    assert_eq!(no(send_to(&mut town, ada, "Bob")), "nobody_called");
    let (at, chunk, thing) = support::something_to_gather(&town);
    town.stand(bob, at);
    town.gather(bob, chunk, thing).expect("it has grown");
    send_to(&mut town, ada, " bOB ").expect("looks the same");
    assert_eq!(numbers(&mut town, bob), [1]);
    assert_eq!(no(send_to(&mut town, bob, "Bob")), "yourself");
    for name in ["Bobby", "!?", "", &"b".repeat(2_000)] {
        let code = if name.is_empty() { "one_receiver" } else { "nobody_called" };
        assert_eq!(no(send_to(&mut town, ada, name)), code, "{name}");
    }
    // Nobody can list another one, or the same name twice.
    let entry = |player: EntityId| Register {
        entry: Some(AddressEntry { key: "bob".into(), player: player.id }),
        gone: false,
    };
    let address = *town.everybody().iter().find(|id| id.kind.0 == 62).expect("Bob's");
    let before = town.state::<Address>(address);
    assert_eq!(before.entries.len(), 1);
    assert_eq!(town.ask::<Address>(ada, address, &entry(bob)), Ok(()));
    town.gather(bob, chunk, thing).ok();
    assert_eq!(town.state::<Address>(address), before);
}

#[test]
fn only_its_owner_opens_a_mailbox() {
    use pioneer::schema::mailbox_ask::Ask;
    let (mut town, ada, bob) = two();
    send(&mut town, ada, bob, "For you.", &[wood(10)]).expect("has it");
    for ask in [
        Ask::Read(ReadLetter { letter: 1 }),
        Ask::Take(TakeFromLetter { letter: 1 }),
        Ask::Delete(DeleteLetter { letter: 1 }),
        Ask::SendBack(ReturnLetter { letter: 1 }),
    ] {
        assert_eq!(no(town.ask::<Mailbox>(ada, bob.id, &ask)), "not_owner");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (mut town, ada, bob) = two();
    assert_eq!(no(send(&mut town, ada, ada, "Hello!", &[])), "yourself");
    assert_eq!(no(send(&mut town, ada, EntityId::new(ada.kind, 4_711), "Hello!", &[])), "no_such_entity");
    assert_eq!(no(send(&mut town, ada, bob, " ", &[])), "letter_empty");
    for to in [vec![], vec![bob.id, bob.id], (1..1_000).collect()] {
        let letter = SendLetter { to, text: "Hello!".into(), ..SendLetter::default() };
        assert_eq!(no(wish(&mut town, ada, Command::SendLetter(letter))), "one_receiver");
    }
    let both = SendLetter { to: vec![bob.id], name: "Bob".into(), text: "Hello!".into(), stacks: vec![] };
    assert_eq!(no(wish(&mut town, ada, Command::SendLetter(both))), "one_receiver");
    let long = ["a".repeat(LETTER_CHARS_MAX + 1), "one\u{7}two".to_owned()];
    for text in long {
        assert_eq!(no(send(&mut town, ada, bob, &text, &[])), "bad_text");
    }
    let heavy = "😀".repeat(LETTER_BYTES_MAX / 4 + 1);
    let code = if heavy.chars().count() > LETTER_CHARS_MAX { "bad_text" } else { "letter_long" };
    assert_eq!(no(send(&mut town, ada, bob, &heavy, &[])), code);
    let family = "👨‍👩‍👧‍👦".repeat(60);
    assert_eq!(no(send(&mut town, ada, bob, &family, &[])), "letter_long");
    let many: Vec<Stack> =
        (1..=LETTER_STACKS_MAX as i32 + 1).map(|item| Stack { item, count: 1, ..Stack::default() }).collect();
    for (stacks, code) in [
        (vec![wood(0)], "unclear"),
        (vec![stack(Item::None, 1)], "unclear"),
        (vec![Stack { item: 4_711, count: 1, ..Stack::default() }], "unclear"),
        (vec![wood(1), wood(1)], "unclear"),
        (many, "unclear"),
        (vec![wood(31)], "missing_items"),
        (vec![wood(u32::MAX)], "missing_items"),
    ] {
        assert_eq!(no(send(&mut town, ada, bob, "For you.", &stacks)), code, "{stacks:?}");
    }
    wish(&mut town, ada, Command::Block(Block { whom: bob.id })).expect("blocks");
    assert_eq!(no(send(&mut town, ada, bob, "Hello!", &[])), "you_blocked");
    for act in [read, take, delete, give_back] {
        assert_eq!(no(act(&mut town, bob, 1)), "no_letter");
    }
    assert_eq!((town.count(ada, Item::Wood), letters(&mut town, bob)), (30, vec![]));
}
