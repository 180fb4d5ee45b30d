//! Pioneer in the simulator: its goods, where they come from and where they go.

mod estates;
mod guilds;
mod things;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use gundo::bots::Behaviour;
use gundo::sim::{Errand, EventRecord, EventType, Facts, Flows, Game, Goods, Holdings, Letter};
use gundo::{Body, Bytes, ChunkId, EntityId, Message, Payload, Point, Rules, State};

use crate::geometry::ISLAND;
use crate::nature::Growth;
use crate::schema::{
    ChunkRef, Gather, Hold, LandState, Person, PlayerCommand, PlayerState, PlayerTold, Say, Stack, Whisper,
    land_event, mailbox_event, player_command, player_event, stall_event,
};
use crate::{Guild, Island, Land, Mailbox, Minds, Mistake, Player, Stall};

mod market;
mod naming;
mod orders;

/// Number of islands that runs share: making one takes longer than playing a minute on it.
const ISLANDS: u64 = 4;
/// Goods below this number are items, those from here to [`THINGS`] buildings.
const BUILDINGS: u32 = 1_000;
/// Goods from here on are unique things: each id is one, by its hash.
const THINGS: u32 = 1 << 31;

/// An island, and the rules for it.
type World = (Arc<Island>, Arc<Rules>);

/// Pioneer, as the simulator plays it.
pub struct Simulated {
    minds: Minds,
    /// By island, and whether players arrive all over it.
    worlds: Mutex<BTreeMap<(u64, bool), World>>,
    #[cfg(feature = "planted")]
    mistake: Option<Mistake>,
}

impl Default for Simulated {
    fn default() -> Self {
        Self {
            minds: Minds::together(),
            worlds: Mutex::default(),
            #[cfg(feature = "planted")]
            mistake: None,
        }
    }
}

impl Simulated {
    fn world(&self, seed: u64, for_many: bool) -> World {
        let mut worlds = self.worlds.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let island = Island::generate(seed % ISLANDS).with_gifts_to_everywhere();
            #[cfg(feature = "planted")]
            let island = match self.mistake {
                Some(mistake) => island.with_mistake(mistake),
                None => island,
            };
            let island = Arc::new(if for_many { island.with_arrivals_everywhere() } else { island });
            let rules = Arc::new(crate::rules_of(&island));
            (island, rules)
        };
        worlds.entry((seed % ISLANDS, for_many)).or_insert_with(make).clone()
    }
}

impl Game for Simulated {
    fn name(&self) -> &'static str {
        "pioneer"
    }

    fn rules(&self, seed: u64) -> Arc<Rules> {
        self.world(seed, false).1
    }

    fn rules_for_many(&self, seed: u64) -> Arc<Rules> {
        self.world(seed, true).1
    }

    fn mind(&self, _: usize) -> Box<dyn Behaviour> {
        self.minds.mind()
    }

    fn flows(&self, seed: u64, entity: EntityId, before: &[u8], event: &[u8], flows: &mut Flows) {
        if entity.kind == Player::KIND {
            player_flows(player_event::Event::from_bytes(event).ok().flatten(), flows);
        } else if entity.kind == Mailbox::KIND {
            market::mailbox_flows(mailbox_event::Event::from_bytes(event).ok().flatten(), flows);
        } else if entity.kind == Stall::KIND {
            market::stall_flows(stall_event::Event::from_bytes(event).ok().flatten(), flows);
        } else if entity.kind == Land::KIND {
            let event = land_event::Event::from_bytes(event).ok().flatten();
            land_flows(&self.world(seed, false).0, ChunkId::from_u64(entity.id), before, event, flows);
        } else if entity.kind == Guild::KIND {
            guilds::flows(event, flows);
        }
    }

    fn order(&self, entity: EntityId, chance: u64) -> Option<Bytes> {
        (entity.kind == Player::KIND).then(|| orders::order(chance).into())
    }

    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        if entity.kind == Player::KIND {
            let state = PlayerState::decode(snapshot).unwrap_or_default();
            let offered = state.trade.unwrap_or_default().mine;
            for stack in state.items.iter().chain(&offered) {
                hold(holdings, stack);
            }
        } else if entity.kind == Mailbox::KIND {
            market::mailbox_holdings(snapshot, holdings);
        } else if entity.kind == Stall::KIND {
            market::stall_holdings(snapshot, holdings);
        } else if entity.kind == Land::KIND {
            for built in LandState::decode(snapshot).unwrap_or_default().buildings {
                if built.index > 0 {
                    holdings.add(building(built.what), 1);
                }
            }
        } else if entity.kind == Guild::KIND {
            guilds::holdings(snapshot, holdings);
        }
    }

    fn may_stand(&self, seed: u64, at: Point) -> bool {
        self.world(seed, false).0.obstacle(at, at).is_none()
    }

    fn errand(&self, seed: u64, errand: Errand, body: &Body, _: &Bytes) -> Option<Bytes> {
        use player_command::Command;
        let command = match errand {
            Errand::Own => Command::Hold(Hold::default()),
            Errand::Say => Command::Say(Say { text: "Here I am.".to_owned() }),
            Errand::Tell(player) => Command::Whisper(Whisper { to: player.id, text: "You too?".to_owned() }),
            // What is near may not have grown, or there is nothing: the land says so.
            Errand::Around => {
                let chunk = body.chunk();
                let nature = self.world(seed, false).0.nature(chunk);
                let near = nature.iter().min_by_key(|n| body.at.distance_squared(n.at));
                let thing = near.map_or(0, |n| u32::from(n.index));
                let chunk = Some(ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() });
                Command::Gather(Gather { chunk, thing })
            }
        };
        Some(PlayerCommand { command: Some(command) }.encode_to_vec().into())
    }

    fn asked_by(&self, command: &[u8]) -> Option<EntityId> {
        use player_command::Command;
        let chunk = match PlayerCommand::decode(command).ok()?.command? {
            Command::Gather(gather) => gather.chunk?,
            Command::Demolish(demolish) => demolish.chunk?,
            Command::Buy(buy) => return Some(EntityId::new(Stall::KIND, buy.stall)),
            _ => return None,
        };
        let (x, y) = (i16::try_from(chunk.cx).ok()?, i16::try_from(chunk.cy).ok()?);
        Some(EntityId::new(Land::KIND, ChunkId { island: ISLAND, x, y }.to_u64()))
    }

    fn only_shows(&self, command: &[u8]) -> bool {
        let command = PlayerCommand::decode(command).ok().and_then(|c| c.command);
        matches!(command, Some(player_command::Command::Say(_)))
    }

    fn letter_in(&self, from: EntityId, event: &[u8]) -> Option<Letter> {
        let event = (from.kind == Player::KIND).then(|| player_event::Event::from_bytes(event).ok())??;
        let Some(player_event::Event::Whispered(whispered)) = event else { return None };
        let to = EntityId::new(Player::KIND, whispered.to);
        Some(Letter { from, to, number: whispered.number, words: fingerprint(whispered.text.as_bytes()) })
    }

    fn letter_of(&self, to: EntityId, message: &[u8]) -> Option<Letter> {
        let told = PlayerTold::decode(message).ok().filter(|told| told.number > 0)?;
        let from = EntityId::new(Player::KIND, told.from);
        Some(Letter { from, to, number: told.number, words: fingerprint(told.text.as_bytes()) })
    }

    fn mistakes(&self) -> &'static [(&'static str, &'static str)] {
        &Mistake::WORDS
    }

    #[cfg(feature = "planted")]
    fn with_mistake(&self, name: &str) -> Option<Arc<dyn Game>> {
        Some(Arc::new(Self { mistake: Some(Mistake::parse(name)?), ..Self::default() }))
    }

    /// Names are unique and in the table of names, two players agree on what is between them, trades exchange what was confirmed, guilds and their members agree,
    /// estates, their owners and their land do, no two buildings share an index in a chunk, and each unique thing is in one place.
    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        let mut players = BTreeMap::new();
        for (id, state) in facts.states(Player::KIND) {
            let state = PlayerState::decode(state).map_err(|e| e.to_string())?;
            let name = state.name.to_lowercase();
            if !name.is_empty() && !names.insert(name.clone()) {
                return Err(format!("{name} is the name of two players, one of them {:x}", id.id));
            }
            players.insert(id.id, state);
            for (seq, event) in facts.events(id) {
                let confirmed = exchange_was_confirmed(&event);
                confirmed.map_err(|why| format!("{id}, event {seq}: {why}"))?;
            }
        }
        players.iter().try_for_each(|(id, me)| agrees_with_others(*id, me, &players))?;
        market::check(facts)?;
        naming::check_players(facts, &players)?;
        guilds::check(facts, &players)?;
        things::check(facts)?;
        estates::check(facts, &players)?;
        for (id, state) in facts.states(Land::KIND) {
            let mut indices = BTreeSet::new();
            for built in LandState::decode(state).map_err(|e| e.to_string())?.buildings {
                if built.index > 0 && !indices.insert(built.index) {
                    return Err(format!("land {:x} has two buildings {}", id.id, built.index));
                }
            }
        }
        Ok(())
    }
}

/// Friends are friends of each other; who was asked was asked by somebody; two in one trade see the same.
fn agrees_with_others(id: u64, me: &PlayerState, players: &BTreeMap<u64, PlayerState>) -> Result<(), String> {
    let has = |list: &[Person], id: u64| list.iter().any(|person| person.id == id);
    for friend in &me.friends {
        if !players.get(&friend.id).is_some_and(|other| has(&other.friends, id)) {
            return Err(format!("{id:x} is a friend of {:x}, which is none of it", friend.id));
        }
    }
    for asking in &me.asks_me {
        if !players.get(&asking.id).is_some_and(|other| has(&other.asked, id)) {
            return Err(format!("{id:x} was asked to be a friend of {:x}, which has not asked", asking.id));
        }
    }
    let Some(trade) = &me.trade else { return Ok(()) };
    let with = trade.with.as_ref().map_or(0, |with| with.id);
    // Who left alone is in none, or in another one.
    let other = players.get(&with).and_then(|other| other.trade.as_ref());
    let Some(other) = other.filter(|other| other.id == trade.id) else { return Ok(()) };
    let same = (&trade.mine, &trade.theirs, trade.version, trade.confirmed, trade.they_confirmed)
        == (&other.theirs, &other.mine, other.version, other.they_confirmed, other.confirmed);
    if same { Ok(()) } else { Err(format!("{id:x} and {with:x} see their trade differently")) }
}

/// An exchange is of the version that the confirmations named.
fn exchange_was_confirmed(event: &EventRecord) -> Result<(), String> {
    let game = event.event_type == EventType::Game;
    let event = game.then(|| player_event::Event::from_bytes(&event.payload).ok()).flatten().flatten();
    let Some(player_event::Event::TradeDone(done)) = event else { return Ok(()) };
    if done.version == done.confirmed {
        return Ok(());
    }
    Err(format!("an exchange of version {} after a confirmation of version {}", done.version, done.confirmed))
}

/// FNV-1a.
fn fingerprint(bytes: &[u8]) -> u64 {
    let next = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, next)
}

/// What a stack is: so many of an item, and, if it is unique, this thing. So each id is conserved, and not only their number.
fn goods(stack: &Stack) -> impl Iterator<Item = (Goods, u64)> {
    let thing = (stack.id != 0).then(|| (Goods(THINGS | (fingerprint(&stack.id.to_le_bytes()) as u32)), 1));
    std::iter::once((Goods(stack.item as u32), u64::from(stack.count))).chain(thing)
}

fn create(flows: &mut Flows, stacks: &[Stack]) {
    stacks.iter().flat_map(goods).for_each(|(goods, n)| flows.create(goods, n));
}

fn destroy(flows: &mut Flows, stacks: &[Stack]) {
    stacks.iter().flat_map(goods).for_each(|(goods, n)| flows.destroy(goods, n));
}

/// Into another entity. What gets its first id now was only counted before.
fn give(flows: &mut Flows, stacks: &[Stack]) {
    let named_now = stacks.iter().filter(|stack| stack.first_id);
    named_now.flat_map(|stack| goods(stack).skip(1)).for_each(|(goods, n)| flows.create(goods, n));
    stacks.iter().flat_map(goods).for_each(|(goods, n)| flows.give(goods, n));
}

fn take(flows: &mut Flows, stacks: &[Stack]) {
    stacks.iter().flat_map(goods).for_each(|(goods, n)| flows.take(goods, n));
}

fn hold(holdings: &mut Holdings, stack: &Stack) {
    goods(stack).for_each(|(goods, n)| holdings.add(goods, n as i64));
}

fn building(what: i32) -> Goods {
    Goods(BUILDINGS + what as u32)
}

fn player_flows(event: Option<player_event::Event>, flows: &mut Flows) {
    use player_event::Event;
    match event {
        // The land gives what was gathered.
        Some(Event::Gathered(gathered)) => {
            take(flows, gathered.gained.as_slice());
        }
        Some(Event::Crafted(crafted)) => {
            destroy(flows, &crafted.spent);
            create(flows, &crafted.gained);
        }
        // The payment becomes a building, which the land gets.
        Some(Event::Paid(paid)) => {
            destroy(flows, &paid.spent);
            flows.create(building(paid.what), 1);
            flows.give(building(paid.what), 1);
        }
        Some(Event::Returned(returned)) => {
            flows.take(building(returned.what), 1);
            flows.destroy(building(returned.what), 1);
            create(flows, &returned.gained);
        }
        Some(Event::Painted(painted)) => {
            destroy(flows, painted.spent.as_slice());
        }
        Some(Event::Given(given)) => {
            for _ in &given.to {
                give(flows, given.each.as_slice());
            }
        }
        // An operator gives it, out of nothing.
        Some(Event::Compensated(fact)) => {
            create(flows, fact.gained.as_slice());
        }
        Some(Event::Received(received)) => {
            take(flows, received.gained.as_slice());
        }
        // What was offered is still its own, until it is exchanged.
        Some(Event::TradeDone(done)) => {
            give(flows, &done.spent);
            take(flows, &done.gained);
        }
        Some(
            Event::TradeBegun(_) | Event::TradeChanged(_) | Event::TradeConfirmed(_) | Event::TradeLeft(_),
        ) => {}
        Some(Event::FriendAsked(_) | Event::FriendMade(_) | Event::FriendEnded(_)) => {}
        Some(Event::Blocked(_) | Event::Unblocked(_)) => {}
        Some(Event::LetterSent(sent)) => give(flows, &sent.stacks),
        Some(Event::LetterEmptied(emptied)) => take(flows, &emptied.gained),
        Some(Event::StallFilled(filled)) => give(flows, &filled.spent),
        Some(Event::StallEmptied(emptied)) => take(flows, &emptied.gained),
        Some(Event::Bought(bought)) => {
            give(flows, &bought.spent);
            take(flows, &bought.gained);
        }
        Some(Event::GuildEntered(entered)) => destroy(flows, &entered.spent),
        Some(Event::LandClaimed(claimed)) => destroy(flows, &claimed.spent),
        Some(Event::DeedLost(_)) => {}
        Some(Event::ChestServed(served)) => guilds::served(&served, flows),
        Some(Event::GuildExited(_) | Event::GuildRoleChanged(_)) => {}
        Some(Event::GuildInvitationCame(_) | Event::GuildInvitationEnded(_)) => {}
        Some(Event::NameChanged(_) | Event::NameFreed(_)) => {}
        Some(Event::PersonRenamed(_) | Event::GuildNamed(_)) => {}
        Some(Event::Born(_) | Event::Hand(_) | Event::Whispered(_) | Event::Listed(_)) | None => {}
    }
}

fn land_flows(
    island: &Island,
    chunk: ChunkId,
    before: &[u8],
    event: Option<land_event::Event>,
    flows: &mut Flows,
) {
    use land_event::Event;
    match event {
        Some(Event::Taken(taken)) => {
            let nature = island.nature(chunk);
            let Some(thing) = nature.iter().find(|n| u32::from(n.index) == taken.thing) else { return };
            let goods = Goods(Growth::of(thing.what).gives as u32);
            flows.create(goods, taken.amount.into());
            flows.give(goods, taken.amount.into());
        }
        Some(Event::Raised(raised)) if raised.index > 0 => flows.take(building(raised.what), 1),
        Some(Event::Razed(razed)) => {
            let buildings = LandState::decode(before).unwrap_or_default().buildings;
            let gone = buildings.iter().find(|b| (b.x, b.y) == (razed.x, razed.y) && b.index > 0);
            gone.iter().for_each(|b| flows.give(building(b.what), 1));
        }
        Some(Event::Raised(_) | Event::Terms(_) | Event::Freed(_)) | None => {}
    }
}
