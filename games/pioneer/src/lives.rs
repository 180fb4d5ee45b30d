//! What Pioneer tells the journal's tools: the lives of its tools, from hand to hand, and its players as people read them.
//!
//! An event that moves goods names a unique thing on both sides: the one who loses it and the one who gets it. A new event that moves
//! goods gets a line here, in [`player_steps`] or beside it.

use gundo::{EntityId, Message, Payload, State};
use gundo_cli::{Lives, Mention, Step, Thing};

use crate::catalogue::item_infos;
use crate::guild::Guild;
use crate::mailbox::Mailbox;
use crate::names;
use crate::player::{NAMES, Player};
use crate::schema::{
    GuildState, Item, MailboxState, Person, PlayerState, Stack, StallState, guild_event, mailbox_event,
    player_event, stall_event,
};
use crate::stall::Stall;

/// Pioneer's words for `journal item` and `journal player`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tales;

impl Lives for Tales {
    fn name(&self, entity: EntityId, state: &[u8]) -> Option<String> {
        let name = match entity.kind {
            Player::KIND => PlayerState::decode(state).ok()?.name,
            Guild::KIND => GuildState::decode(state).ok()?.name,
            _ => return None,
        };
        Some(name).filter(|name| !name.is_empty())
    }

    fn keys(&self, typed: &str) -> Vec<(&'static str, String)> {
        names::key(typed).map(|key| (NAMES, key)).into_iter().collect()
    }

    fn describe(&self, entity: EntityId, state: &[u8]) -> Vec<String> {
        if entity.kind != Player::KIND {
            return Vec::new();
        }
        PlayerState::decode(state).map_or_else(|_| vec!["(not readable)".to_owned()], |state| player(&state))
    }

    fn things(&self, entity: EntityId, state: &[u8]) -> Vec<Thing> {
        let mut things = Vec::new();
        let mut add = |stacks: &[Stack], place: &str| {
            let unique = stacks.iter().filter(|stack| stack.id != 0);
            things.extend(unique.map(|stack| Thing {
                id: stack.id,
                what: item_name(stack.item),
                place: place.to_owned(),
            }));
        };
        match entity.kind {
            Player::KIND => {
                let state = PlayerState::decode(state).unwrap_or_default();
                add(&state.items, "in the bag");
                add(&state.trade.unwrap_or_default().mine, "in an open trade");
            }
            Mailbox::KIND => {
                for letter in MailboxState::decode(state).unwrap_or_default().letters {
                    add(&letter.stacks, &format!("in letter {}", letter.number));
                }
            }
            Guild::KIND => add(&GuildState::decode(state).unwrap_or_default().chest, "in the chest"),
            Stall::KIND => {
                let offers = StallState::decode(state).unwrap_or_default().seen.unwrap_or_default().offers;
                for offer in offers.into_iter().filter(|offer| offer.left > 0) {
                    add(offer.lot.as_slice(), &format!("offer {}", offer.number));
                }
            }
            _ => {}
        }
        things
    }

    fn mentions(&self, entity: EntityId, event: &[u8]) -> Vec<Mention> {
        let mut told = Told(Vec::new());
        match entity.kind {
            Player::KIND => player_steps(player_event::Event::from_bytes(event).ok().flatten(), &mut told),
            Mailbox::KIND => mailbox_steps(mailbox_event::Event::from_bytes(event).ok().flatten(), &mut told),
            Guild::KIND => guild_steps(guild_event::Event::from_bytes(event).ok().flatten(), &mut told),
            Stall::KIND => stall_steps(stall_event::Event::from_bytes(event).ok().flatten(), &mut told),
            _ => {}
        }
        told.0
    }
}

/// What an event tells of unique things.
struct Told(Vec<Mention>);

impl Told {
    fn add(&mut self, stacks: &[Stack], step: Step, words: &str, other: Option<EntityId>) {
        for stack in stacks.iter().filter(|stack| stack.id != 0) {
            let what = item_name(stack.item);
            // It is older than its id.
            let words =
                if stack.first_id { format!("the {what} gets its id; {words}") } else { words.to_owned() };
            self.0.push(Mention { id: stack.id, step, words, other });
        }
    }

    fn goes(&mut self, stacks: &[Stack], words: &str, other: Option<EntityId>) {
        self.add(stacks, Step::Goes, words, other);
    }

    fn comes(&mut self, stacks: &[Stack], words: &str, other: Option<EntityId>) {
        self.add(stacks, Step::Comes, words, other);
    }
}

fn a_player(id: u64) -> Option<EntityId> {
    (id != 0).then(|| EntityId::new(Player::KIND, id))
}

fn person(who: Option<&Person>) -> Option<EntityId> {
    who.and_then(|who| a_player(who.id))
}

fn player_steps(event: Option<player_event::Event>, told: &mut Told) {
    use player_event::Event;
    let stall = |id: u64| Some(EntityId::new(Stall::KIND, id));
    match event {
        Some(Event::Crafted(fact)) => {
            for stack in &fact.gained {
                let words = format!("made it: {}", item_name(stack.item));
                told.add(&[*stack], Step::Made, &words, None);
            }
        }
        Some(Event::Compensated(fact)) => {
            let words = format!("got it from those who run the world: {}", fact.reason);
            told.add(fact.gained.as_slice(), Step::Made, &words, None);
        }
        Some(Event::Given(fact)) => {
            let to = fact.to.first().copied().and_then(a_player);
            told.goes(fact.each.as_slice(), "gave it to", to);
        }
        Some(Event::Received(fact)) => {
            told.comes(fact.gained.as_slice(), "got it as a gift of", a_player(fact.from));
        }
        Some(Event::TradeChanged(fact)) if fact.mine => {
            told.add(&fact.stacks, Step::Stays, "offered it in a trade", None);
        }
        Some(Event::TradeDone(fact)) => {
            told.goes(&fact.spent, "traded it to", a_player(fact.with));
            told.comes(&fact.gained, "got it in a trade with", a_player(fact.with));
        }
        Some(Event::TradeLeft(fact)) => {
            told.add(&fact.returned, Step::Stays, "took it back, as the trade ended", None);
        }
        Some(Event::LetterSent(fact)) => {
            let words = if fact.back {
                "put it into a letter, which came back at once, to"
            } else {
                "put it into a letter to"
            };
            told.goes(&fact.stacks, words, person(fact.to.as_ref()));
        }
        Some(Event::LetterEmptied(fact)) => {
            told.comes(&fact.gained, "took it out of a letter of", person(fact.from.as_ref()));
        }
        Some(Event::StallFilled(fact)) => told.goes(&fact.spent, "put it up at", stall(fact.stall)),
        Some(Event::StallEmptied(fact)) => told.comes(&fact.gained, "took it back from", stall(fact.stall)),
        Some(Event::Bought(fact)) => told.comes(&fact.gained, "bought it at", stall(fact.stall)),
        Some(Event::ChestServed(fact)) => {
            let (stack, guild) = (fact.stack.as_slice(), Some(EntityId::new(Guild::KIND, fact.guild)));
            if fact.took {
                told.comes(stack, "took it out of the chest of", guild);
            } else {
                told.goes(stack, "put it into the chest of", guild);
            }
        }
        _ => {}
    }
}

fn mailbox_steps(event: Option<mailbox_event::Event>, told: &mut Told) {
    use mailbox_event::Event;
    match event {
        Some(Event::Came(letter)) => {
            let number = letter.number;
            let (words, who) = if letter.back {
                (format!("letter {number} brings it back, which was to"), person(letter.to.as_ref()))
            } else {
                (format!("letter {number} brings it, of"), person(letter.from.as_ref()))
            };
            told.comes(&letter.stacks, &words, who);
        }
        Some(Event::Taken(fact)) => {
            told.goes(&fact.stacks, &format!("taken out of letter {}", fact.letter), None);
        }
        Some(Event::Gone(fact)) => {
            told.goes(&fact.stacks, &format!("letter {} goes back with it", fact.letter), None);
        }
        _ => {}
    }
}

fn guild_steps(event: Option<guild_event::Event>, told: &mut Told) {
    let Some(guild_event::Event::ChestChanged(fact)) = event else { return };
    let (stack, who) = (fact.stack.as_slice(), person(fact.who.as_ref()));
    if fact.took {
        told.goes(stack, "taken out of the chest by", who);
    } else {
        told.comes(stack, "put into the chest by", who);
    }
}

fn stall_steps(event: Option<stall_event::Event>, told: &mut Told) {
    use stall_event::Event;
    match event {
        Some(Event::PutUp(offer)) => {
            let price = offer.price.map(|price| amount(&price)).unwrap_or_default();
            told.comes(offer.lot.as_slice(), &format!("on offer for {price}"), None);
        }
        Some(Event::Withdrawn(fact)) => told.goes(fact.goods.as_slice(), "withdrawn by its owner", None),
        Some(Event::Sold(fact)) => told.goes(fact.goods.as_slice(), "sold to", a_player(fact.to)),
        _ => {}
    }
}

fn player(state: &PlayerState) -> Vec<String> {
    let all = |stacks: &[Stack]| {
        let list: Vec<String> = stacks.iter().map(amount).collect();
        if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
    };
    let people = |list: &[Person]| {
        let names: Vec<String> = list.iter().map(|who| format!("{} ({:x})", who.name, who.id)).collect();
        names.join(", ")
    };
    let mut lines = vec![format!("bag: {}", all(&state.items))];
    if state.holds != i32::from(Item::None) {
        lines.push(format!("in the hand: {}", item_name(state.holds)));
    }
    lines.push(format!("coat: colour {}", state.colour));
    if let Some(trade) = &state.trade {
        let with = trade.with.iter().cloned().collect::<Vec<_>>();
        lines.push(format!(
            "in a trade with {}: offers {}, for {}",
            people(&with),
            all(&trade.mine),
            all(&trade.theirs)
        ));
    }
    if let Some(guild) = &state.guild {
        let role = guild.role().as_str_name().trim_start_matches("GUILD_ROLE_").to_lowercase();
        lines.push(format!("guild: {} ({:x}), {role}", guild.name, guild.id));
    }
    let lists = [
        ("friends", &state.friends),
        ("asks it to be friends", &state.asks_me),
        ("asked to be friends", &state.asked),
        ("blocked", &state.blocked),
    ];
    for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        lines.push(format!("{what}: {}", people(list)));
    }
    lines
}

/// `20 wood`, or a unique thing with its id: `axe #3f2a07c5119e8d40`.
fn amount(stack: &Stack) -> String {
    let name = item_name(stack.item);
    if stack.id == 0 { format!("{} {name}", stack.count) } else { format!("{name} #{:016x}", stack.id) }
}

fn item_name(item: i32) -> String {
    let known = item_infos().into_iter().find(|info| info.item == item);
    known.map_or_else(|| format!("item {item}"), |info| info.name)
}
