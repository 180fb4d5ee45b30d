//! What the journal's tools say of an axe: from hand to hand, letter, trade, chest and stall, and where it is now.

mod support;

use gundo::{Entity, EntityId, Message, Payload, Point, State};
use gundo_cli::{Lives, Step};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    BeginTrade, Building, Buy, Confirm, FoundGuild, Give, Item, Offer, PlayerReply, PutInChest, PutUp,
    ReturnLetter, SendLetter, Stack, TakeFromChest, TakeFromLetter, Withdraw,
};
use pioneer::{Guild, Mailbox, Player, Stall, Tales};
use support::{Town, stack};

fn wish(town: &mut Town, who: EntityId, command: Command) -> PlayerReply {
    town.pass_ms(10_000);
    town.wish(who, command).expect("it may")
}

/// The events of an entity, as the journal has them.
fn events<E: Entity>(town: &Town, id: u64) -> Vec<Vec<u8>> {
    town.events::<E>(id).iter().map(|event| event.to_bytes().to_vec()).collect()
}

/// What each event says of the thing `id`, and where it is by that.
fn life(town: &Town, entity: EntityId, id: u64) -> (Vec<String>, bool) {
    let events = match entity.kind {
        Player::KIND => events::<Player>(town, entity.id),
        Mailbox::KIND => events::<Mailbox>(town, entity.id),
        Guild::KIND => events::<Guild>(town, entity.id),
        Stall::KIND => events::<Stall>(town, entity.id),
        _ => Vec::new(),
    };
    let (mut words, mut here) = (Vec::new(), false);
    for event in events {
        let mentions = Tales.mentions(entity, &event);
        let has_trace = event.windows(8).any(|bytes| bytes == Tales.trace(id));
        for mention in mentions.into_iter().filter(|mention| mention.id == id) {
            assert!(has_trace, "the search would miss {mention:?}");
            here = match mention.step {
                Step::Made | Step::Comes => {
                    !std::mem::replace(&mut here, true) || panic!("twice: {mention:?}")
                }
                Step::Goes | Step::Ends => {
                    assert!(here, "from nowhere: {mention:?}");
                    false
                }
                Step::Stays => here,
            };
            words.push(mention.words);
        }
    }
    (words, here)
}

/// The durable state of an entity.
fn state(town: &mut Town, entity: EntityId) -> Vec<u8> {
    match entity.kind {
        Player::KIND => town.state::<Player>(entity.id).encode_to_vec(),
        Mailbox::KIND => town.state::<Mailbox>(entity.id).encode_to_vec(),
        Guild::KIND => town.state::<Guild>(entity.id).encode_to_vec(),
        Stall::KIND => town.state::<Stall>(entity.id).encode_to_vec(),
        _ => Vec::new(),
    }
}

#[test]
fn every_move_of_an_axe_is_told_on_both_sides() {
    let mut town = Town::new();
    let [ada, bob] = ["Ada", "Bob"].map(|name| town.settle(name).expect("a good name"));
    for (item, count) in [(Item::Wood, 3), (Item::Stone, 2), (Item::Rope, 1), (Item::Plank, 8)] {
        town.give(ada, item, count);
    }
    let axe = wish(&mut town, ada, Command::Craft(pioneer::schema::Craft { recipe: 3, count: 1 })).gained[0];
    let wood = stack(Item::Wood, 1);
    wish(&mut town, ada, Command::Give(Give { to: vec![bob.id], each: Some(axe) }));
    let letter = SendLetter { to: vec![ada.id], stacks: vec![axe], ..SendLetter::default() };
    wish(&mut town, bob, Command::SendLetter(letter));
    wish(&mut town, ada, Command::ReturnLetter(ReturnLetter { letter: 1 }));
    wish(&mut town, bob, Command::TakeFromLetter(TakeFromLetter { letter: 1 }));
    wish(&mut town, ada, Command::BeginTrade(BeginTrade { with: bob.id }));
    let trade = town.own(ada).trade.expect("it began").id;
    wish(&mut town, bob, Command::Offer(Offer { trade, stacks: vec![axe], deeds: Vec::new() }));
    wish(&mut town, ada, Command::Offer(Offer { trade, stacks: vec![wood], deeds: Vec::new() }));
    for who in [ada, bob] {
        wish(&mut town, who, Command::Confirm(Confirm { trade, version: 2 }));
    }
    wish(&mut town, ada, Command::FoundGuild(FoundGuild { name: "Foxes".into() }));
    let guild = town.own(ada).guild.expect("its own").id;
    wish(&mut town, ada, Command::PutInChest(PutInChest { guild, stack: Some(axe) }));
    wish(&mut town, ada, Command::TakeFromChest(TakeFromChest { guild, stack: Some(axe) }));
    let at = support::free_spot(&town);
    [ada, bob].into_iter().for_each(|who| town.stand(who, Point::new(at.x, at.y - 2_000)));
    let stall = town.build(ada, Building::Stall, at, 0).expect("a free spot").entity;
    let put_up = PutUp { stall, lot: Some(axe), price: Some(wood), lots: 1 };
    wish(&mut town, ada, Command::PutUp(put_up));
    wish(&mut town, ada, Command::Withdraw(Withdraw { stall, offer: 1, lots: 1 }));
    wish(&mut town, ada, Command::PutUp(put_up));
    wish(&mut town, bob, Command::Buy(Buy { stall, offer: 2, version: 1, lots: 1 }));

    let boxes = [ada, bob].map(|who| EntityId::new(Mailbox::KIND, who.id));
    let others = [EntityId::new(Guild::KIND, guild), EntityId::new(Stall::KIND, stall)];
    let all: Vec<EntityId> = [ada, bob].into_iter().chain(boxes).chain(others).collect();
    for entity in &all {
        let (words, here) = life(&town, *entity, axe.id);
        let state = state(&mut town, *entity);
        let has: Vec<_> =
            Tales.things(*entity, &state).into_iter().filter(|thing| thing.id == axe.id).collect();
        assert!(!words.is_empty(), "{entity} has had it");
        assert_eq!((here, has.len()), (*entity == bob, usize::from(*entity == bob)), "{entity}: {words:?}");
    }
    let (words, _) = life(&town, ada, axe.id);
    assert_eq!(
        words,
        [
            "made it: axe",
            "gave it to",
            "got it in a trade with",
            "put it into the chest of",
            "took it out of the chest of",
            "put it up at",
            "took it back from",
            "put it up at",
        ]
    );
    let (words, _) = life(&town, others[1], axe.id);
    assert_eq!(words, ["on offer for 1 wood", "withdrawn by its owner", "on offer for 1 wood", "sold to"]);
}

#[test]
fn a_player_reads_well() {
    let mut town = Town::new();
    let ada = town.settle("Ada").expect("a good name");
    town.give(ada, Item::Wood, 20);
    let axe = Stack { id: 0x3f2a_07c5_119e_8d40, ..stack(Item::Axe, 1) };
    let made = pioneer::schema::ItemsCrafted { gained: vec![axe], ..Default::default() };
    town.happen::<Player>(ada, &pioneer::schema::player_event::Event::Crafted(made));
    let state = town.state::<Player>(ada).encode_to_vec();
    assert_eq!(Tales.name(ada, &state).as_deref(), Some("Ada"));
    assert_eq!(Tales.describe(ada, &state)[0], "bag: 20 wood, axe #3f2a07c5119e8d40");
    // The key that the game takes, in any script.
    assert_eq!(Tales.keys("ADA"), Tales.keys("ada"));
    assert_eq!(Tales.keys("สมชาย").len(), 1);
    assert_eq!(Tales.keys("\u{202e}"), []);
    // Whatever is in the journal.
    for bytes in [&b""[..], b"\xff\xff\xff", &[0x0a; 40]] {
        for kind in [Player::KIND, Mailbox::KIND, Guild::KIND, Stall::KIND] {
            let id = EntityId::new(kind, 1);
            let _ = (Tales.name(id, bytes), Tales.describe(id, bytes), Tales.things(id, bytes));
            let _ = Tales.mentions(id, bytes);
        }
    }
}
