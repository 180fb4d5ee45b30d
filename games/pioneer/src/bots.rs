//! What Pioneer's bots do: wander, gather, craft, build and demolish, chat; and what they do together: give, befriend, trade, write,
//! keep stalls and buy at them, share a guild's chest, claim and sell land.
//!
//! A bot computes the island from its seed, as every client does, looks around, and asks for what it can see is possible (`social`).
//! It keeps books of what it gained and spent, and at the end its bags must agree with them. The first [`LOOK_MAX`] of a run look
//! around; looking costs a load generator too much for thousands, so the others gather by guess and meet nobody.
//!
//! In the simulator bots look for mistakes: they ask for what is refused, too, on purpose ([`Minds::together`]).

mod estate;
mod guild;
mod ledger;
mod market;
mod naming;
mod sight;
mod social;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gundo::bots::{Behaviour, Wishes};
use gundo::{Bytes, ChunkId, EntityId, Message, Point, State};

use self::ledger::Ledger;
use self::social::Social;
use crate::catalogue::COLOURS;
use crate::gifts::GIVE_PLAYERS_MAX;
use crate::island::Island;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Befriend, BeginTrade, Block, Build, Building, ChunkRef, Confirm, Craft, Demolish, Gather, Give, Hold,
    Item, LeaveTrade, Offer, Paint, PlayerCommand, PlayerPrivate, PlayerReply, Say, Stack, Unblock, Unfriend,
    World, player_command,
};

/// Walking speed, mm/s: below the top speed, so that a delayed step is not too fast.
const SPEED_MM_S: u32 = 3_500;
/// How close a bot goes to what it gathers, mm.
const CLOSE_MM: u64 = 2_000;
/// Bots of a run that look around.
const LOOK_MAX: usize = 256;
/// Players whom a bot that does things together with others remembers.
const MET_MAX: usize = 12;
/// A bot that looks around looks at what is built once in so many steps.
const SIGHTS: u32 = 32;
/// Recipes that it tries, those of tools last; the game refuses those that it cannot pay.
const RECIPES: [u32; 5] = [1, 2, 5, 3, 4];
/// With so many tools a bot makes no more: they would fill its bag.
const TOOLS_MAX: usize = 3;
const SAYINGS: [&str; 6] = [
    "Hello!",
    "Lovely weather today.",
    "Have you seen any flax?",
    "Mind the cliffs.",
    "I need more wood.",
    "군도",
];

/// Makes the minds of a run's bots. They share one island.
#[derive(Clone, Default)]
pub struct Minds {
    busy: bool,
    together: bool,
    islands: Arc<Mutex<BTreeMap<u64, Arc<Island>>>>,
    ledger: Arc<Mutex<Ledger>>,
    looking: Arc<AtomicUsize>,
}

impl Minds {
    /// Minds that never rest, and send a command every other step: to find mistakes rather than to look alive.
    pub fn busy() -> Self {
        Self { busy: true, ..Self::default() }
    }

    /// Minds of the same run that never rest.
    pub fn without_rest(&self) -> Self {
        Self { busy: true, ..self.clone() }
    }

    /// Busy minds that also give to all whom they have seen, wherever those are now, befriend them and trade with them. Nobody's books
    /// agree then.
    pub fn together() -> Self {
        Self { together: true, ..Self::busy() }
    }

    /// The mind of one bot.
    pub fn mind(&self) -> Box<dyn Behaviour> {
        let looks = self.together || self.looking.fetch_add(1, Ordering::Relaxed) < LOOK_MAX;
        Box::new(Pioneer { minds: self.clone(), looks, ..Pioneer::default() })
    }

    fn island(&self, seed: u64) -> Arc<Island> {
        let mut islands = self.islands.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(islands.entry(seed).or_insert_with(|| Arc::new(Island::generate(seed))))
    }
}

/// Where a bot is going, and why.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Gather { chunk: ChunkId, thing: u32, at: Point },
    Walk { at: Point },
    Meet { who: u64, until: u64 },
    Stall { stall: u64, at: Point },
}

/// What a command was, to match its answer.
const GATHER: u64 = 1;
const BUILD: u64 = 2;
const DEMOLISH: u64 = 3;
const OTHER: u64 = 4;
/// Unanswered commands of a busy bot at most.
const BUSY_OPEN_MAX: usize = 20;

/// Amounts by item; differences may be negative.
type Amounts = BTreeMap<i32, i64>;

#[derive(Default)]
struct Pioneer {
    minds: Minds,
    /// Whether it looks around.
    looks: bool,
    social: Social,
    island: Option<Arc<Island>>,
    goal: Option<Goal>,
    /// Steps to rest before the next goal.
    rest: u64,
    /// The buildings that this bot built.
    built: Vec<(ChunkRef, u32)>,
    /// Bags at the first welcome.
    began: Option<Amounts>,
    /// What it gained and spent since, according to the replies.
    booked: Amounts,
    /// The bags in the last message about them.
    bags: Amounts,
    /// Players that it has seen, the newest last.
    met: Vec<u64>,
    /// What it was last told about itself.
    own: PlayerPrivate,
    /// The description of the world, but for its terrain.
    world: Option<World>,
    /// Commands without an answer: with any, the books prove nothing.
    unsure: bool,
    /// The name it first asked for.
    called: String,
    /// The highest number of a letter that it knows to have come.
    letters: u32,
    /// Stalls that it has built or seen, the newest last.
    stalls: Vec<u64>,
    sights: u32,
}

impl Behaviour for Pioneer {
    fn name(&mut self, suggestion: &str) -> String {
        suggestion.clone_into(&mut self.called);
        suggestion.to_owned()
    }

    fn handle_welcome(&mut self, welcome: &gundo::bots::Welcome) {
        self.social.id = welcome.player.as_ref().map_or(0, |player| player.id);
        let id = self.social.id;
        self.ledger(|ledger| ledger.comes(id));
        if self.island.is_none() {
            let world = World::decode(welcome.world.as_ref()).unwrap_or_default();
            self.island = Some(self.minds.island(world.seed));
            self.world = Some(World { terrain: None, ..world });
        }
        self.goal = None;
    }

    fn handle_own(&mut self, own: &Bytes) {
        let Ok(own) = PlayerPrivate::decode(own.as_ref()) else { return };
        self.bags.clear();
        book(&mut self.bags, &own.slots, 1);
        // What it has offered is still its own.
        own.trade.iter().for_each(|trade| book(&mut self.bags, &trade.mine, 1));
        self.began.get_or_insert_with(|| self.bags.clone());
        self.own = own;
    }

    fn handle_answer(&mut self, tag: u64, result: &Result<Bytes, gundo::bots::Refusal>) {
        self.notes_letter(tag, result.as_ref().err().map(|refusal| &*refusal.code));
        let Ok(reply) = result else { return self.on_deed(tag, None) };
        let Ok(reply) = PlayerReply::decode(reply.as_ref()) else {
            self.unsure = true;
            return;
        };
        book(&mut self.booked, &reply.gained, 1);
        book(&mut self.booked, &reply.spent, -1);
        self.on_deed(tag, Some(&reply));
        if tag == BUILD
            && let Some(chunk) = reply.chunk
        {
            self.built.push((chunk, reply.thing));
            self.stalls.extend(Some(reply.entity).filter(|stall| *stall != 0));
        }
    }

    fn handle_correction(&mut self, _: &gundo::bots::Correction) {
        self.goal = None;
    }

    fn looks(&self) -> bool {
        self.looks
    }

    fn handle_watched(&mut self, entity: EntityId, public: Option<&Bytes>) {
        self.on_watched(entity, public);
    }

    fn handle_sight(&mut self, sight: &gundo::bots::Picture) {
        if !self.minds.together {
            return self.social.sight.look(sight, self.social.id);
        }
        let players = sight.entities().filter(|(id, _)| id.kind == Player::KIND).map(|(id, _)| id.id);
        let new: Vec<u64> = players.filter(|id| !self.met.contains(id)).collect();
        self.met.extend(new);
        self.met.drain(..self.met.len().saturating_sub(MET_MAX));
        self.sights += 1;
        if self.sights.is_multiple_of(SIGHTS) {
            self.notes_stalls(sight);
        }
    }

    fn step(&mut self, wishes: &mut Wishes) {
        if self.looks && !self.minds.together && self.step_with_others(wishes) {
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        let Some(island) = self.island.clone() else { return };
        if self.minds.busy && wishes.open < BUSY_OPEN_MAX && wishes.chance.below(2) == 0 {
            self.wish_at_once(&island, wishes);
        }
        if self.minds.together && wishes.open < BUSY_OPEN_MAX && !self.met.is_empty() {
            match wishes.chance.below(19) {
                0..=2 => self.wish_to_give(wishes),
                3 => self.wish_of_friends(wishes),
                4..=6 => self.wish_of_trade(wishes),
                7..=9 => self.wish_of_mail(wishes),
                10..=12 => self.wish_at_stalls(wishes),
                13..=15 => self.wish_of_guild(wishes),
                16 => self.wish_of_name(wishes),
                17..=18 => self.wish_of_estates(wishes),
                _ => {}
            }
        }
        let goal = match self.goal {
            Some(goal) => goal,
            None => {
                let seen = if self.meets_others() { self.choose_with_others(&island, wishes) } else { None };
                // What has not grown is not worth the way.
                let goal = seen.unwrap_or_else(|| choose(&island, wishes, !self.meets_others()));
                self.goal = Some(goal);
                goal
            }
        };
        if !self.goes_to(&island, goal, wishes) {
            return;
        }
        self.goal = None;
        if self.meets_others() {
            self.arrives(goal, wishes);
            if self.social.is_before_stall() {
                return;
            }
        } else if let Goal::Gather { chunk, thing, .. } = goal {
            let gather = Gather { chunk: Some(reference(chunk)), thing };
            command(wishes, GATHER, player_command::Command::Gather(gather));
        }
        self.idle_wish(&island, wishes);
        self.rest = if self.minds.busy { 0 } else { wishes.chance.below(15) };
    }

    fn is_own_refusal(&self, code: &str) -> bool {
        // Of a guild's name.
        code == "name_taken" || No::ALL.iter().any(|no| no.code() == code)
    }

    fn books(&self) -> Option<BTreeMap<u32, i64>> {
        let expected = self.expected()?;
        Some(expected.into_iter().map(|(item, n)| (item as u32, n)).collect())
    }

    fn deeds(&self) -> BTreeMap<&'static str, u64> {
        self.social.done.clone()
    }

    fn doubled(&self) -> u64 {
        self.expected().map_or(0, |expected| u64::from(expected != self.bags))
    }
}

impl Pioneer {
    /// Whether it looks before it asks, and deals with others.
    fn meets_others(&self) -> bool {
        self.looks && !self.minds.together
    }

    fn ledger<T>(&self, does: impl FnOnce(&mut Ledger) -> T) -> T {
        does(&mut self.minds.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_bot(&self, player: u64) -> bool {
        self.ledger(|ledger| ledger.is_bot(player))
    }

    /// What must be in the bags according to its books, if they prove anything.
    fn expected(&self) -> Option<Amounts> {
        if self.unsure {
            return None;
        }
        let mut expected = self.began.clone()?;
        let got = self.ledger(|ledger| ledger.got(self.social.id));
        for (item, n) in self.booked.iter().chain(&got) {
            *expected.entry(*item).or_insert(0) += n;
        }
        expected.retain(|_, n| *n != 0);
        Some(expected)
    }

    /// Gives something to one to three of those whom it has seen.
    fn wish_to_give(&self, wishes: &mut Wishes) {
        let count = 1 + wishes.chance.below(GIVE_PLAYERS_MAX as u64) as usize;
        let from = wishes.chance.below(self.met.len() as u64) as usize;
        let to = self.met.iter().cycle().skip(from).take(count.min(self.met.len())).copied().collect();
        if let Some(tool) = self.own.slots.iter().find(|slot| slot.id != 0 && wishes.chance.below(2) == 0) {
            let to = vec![self.somebody(wishes)];
            return command(wishes, OTHER, player_command::Command::Give(Give { to, each: Some(*tool) }));
        }
        let item = [Item::Wood, Item::Berry, Item::Stone, Item::Fibre][wishes.chance.below(4) as usize];
        let count = 1 + wishes.chance.below(2) as u32;
        let each = Some(Stack { item: item.into(), count, ..Stack::default() });
        command(wishes, OTHER, player_command::Command::Give(Give { to, each }));
    }

    /// One of those whom it has seen.
    fn somebody(&self, wishes: &mut Wishes) -> u64 {
        self.met[wishes.chance.below(self.met.len() as u64) as usize]
    }

    fn wish_of_friends(&self, wishes: &mut Wishes) {
        use player_command::Command;
        let with = self.somebody(wishes);
        let asking = self.own.asks_me.first().map_or(with, |person| person.id);
        // Blocks are rare: they end everything else.
        let wish = match wishes.chance.below(24) {
            0..=6 => Command::Befriend(Befriend { with }),
            7..=14 => Command::Befriend(Befriend { with: asking }),
            15..=16 => Command::Unfriend(Unfriend { with }),
            17..=19 => Command::Unfriend(Unfriend { with: self.own.friends.first().map_or(with, |f| f.id) }),
            20 => Command::Block(Block { whom: with }),
            _ => Command::Unblock(Unblock { whom: self.own.blocked.first().map_or(with, |b| b.id) }),
        };
        command(wishes, OTHER, wish);
    }

    /// What it knows of its trade may be old by now: then the game refuses a confirmation.
    fn wish_of_trade(&self, wishes: &mut Wishes) {
        use player_command::Command;
        let Some(trade) = &self.own.trade else {
            let with = self.somebody(wishes);
            return command(wishes, OTHER, Command::BeginTrade(BeginTrade { with }));
        };
        let nothing = trade.mine.is_empty() && trade.theirs.is_empty() && trade.my_deeds.is_empty();
        let nothing = nothing && trade.their_deeds.is_empty();
        let wish = match if nothing { 0 } else { wishes.chance.below(16) } {
            0..=5 => {
                let slots = &self.own.slots;
                let pick = wishes.chance.below(slots.len().max(1) as u64) as usize;
                let count = 1 + wishes.chance.below(2) as u32;
                let stacks = slots.get(pick).map(|slot| Stack { count: count.min(slot.count), ..*slot });
                let stacks = stacks.into_iter().collect();
                // It may be open for others: then the game refuses.
                let deeds = self.own.deeds.iter().copied().take(wishes.chance.below(2) as usize).collect();
                Command::Offer(Offer { trade: trade.id, stacks, deeds })
            }
            6..=14 => Command::Confirm(Confirm { trade: trade.id, version: trade.version }),
            _ => Command::LeaveTrade(LeaveTrade { trade: trade.id, alone: wishes.chance.below(4) == 0 }),
        };
        command(wishes, OTHER, wish);
    }

    /// Something to do right where it stands, whatever it was about to do.
    fn wish_at_once(&mut self, island: &Island, wishes: &mut Wishes) {
        use player_command::Command;
        if !self.minds.together {
            return self.wish_where_it_stands(island, wishes);
        }
        let chunk = wishes.body.chunk();
        let nature = island.nature(chunk);
        match wishes.chance.below(8) {
            0..=3 if !nature.is_empty() => {
                let pick = wishes.chance.below(nature.len() as u64) as usize;
                let near = nature.iter().min_by_key(|n| wishes.body.at.distance_squared(n.at));
                let thing = near.filter(|_| !pick.is_multiple_of(4)).unwrap_or(&nature[pick]).index.into();
                command(wishes, GATHER, Command::Gather(Gather { chunk: Some(reference(chunk)), thing }));
            }
            4 => {
                let item = [Item::None, Item::Wood, Item::Berry, Item::Axe][wishes.chance.below(4) as usize];
                command(wishes, OTHER, Command::Hold(Hold { item: item.into() }));
            }
            5 => {
                let colour = wishes.chance.below(u64::from(COLOURS)) as u32;
                command(wishes, OTHER, Command::Paint(Paint { colour }));
            }
            _ => self.idle_wish(island, wishes),
        }
    }

    /// What else a bot does at the end of a walk.
    fn idle_wish(&mut self, island: &Island, wishes: &mut Wishes) {
        use player_command::Command;
        if !self.minds.together {
            if self.wants_stall() {
                return self.wish_to_build(island, wishes);
            }
            return match wishes.chance.below(12) {
                0 => {
                    let text = SAYINGS[wishes.chance.below(SAYINGS.len() as u64) as usize].to_owned();
                    command(wishes, OTHER, Command::Say(Say { text }));
                }
                1..=6 => self.wish_to_craft(wishes),
                7..=10 => self.wish_to_build(island, wishes),
                _ => self.wish_to_demolish(wishes),
            };
        }
        match wishes.chance.below(12) {
            0 | 1 => {
                let text = SAYINGS[wishes.chance.below(SAYINGS.len() as u64) as usize].to_owned();
                command(wishes, OTHER, Command::Say(Say { text }));
            }
            2 | 3 => {
                let has_tools = self.own.slots.iter().filter(|slot| slot.id != 0).count() >= TOOLS_MAX;
                let recipes = if has_tools { &RECIPES[..3] } else { &RECIPES };
                let recipe = recipes[wishes.chance.below(recipes.len() as u64) as usize];
                command(wishes, OTHER, Command::Craft(Craft { recipe, count: 1 }));
            }
            4 | 5 => {
                let what =
                    [Building::Campfire, Building::Fence, Building::Hut][wishes.chance.below(3) as usize];
                let mut near = |v: i32| v + wishes.chance.below(10_000) as i32 - 5_000;
                let (x, y) = (near(wishes.body.at.x), near(wishes.body.at.y));
                let rotation = wishes.chance.below(4) as u32;
                command(wishes, BUILD, Command::Build(Build { what: what.into(), x, y, rotation }));
            }
            6 => {
                // It may be too far away by now: the game then refuses, which is fine.
                if let Some((chunk, thing)) = self.built.pop() {
                    command(wishes, DEMOLISH, Command::Demolish(Demolish { chunk: Some(chunk), thing }));
                }
            }
            7 => self.wish_of_mail(wishes),
            8 => self.wish_of_guild(wishes),
            9 => self.wish_of_estates(wishes),
            _ => {}
        }
    }
}

/// Something near to gather if it `gathers`, or a place to go; the way there is free of water and cliffs.
fn choose(island: &Island, wishes: &mut Wishes, gathers: bool) -> Goal {
    let from = wishes.body.at;
    let here = wishes.body.chunk();
    let mut shift = || wishes.chance.below(3) as i16 - 1;
    let chunk = ChunkId { x: here.x.saturating_add(shift()), y: here.y.saturating_add(shift()), ..here };
    let nature = island.nature(chunk);
    if gathers && !nature.is_empty() && wishes.chance.below(4) > 0 {
        // The nearest of a few: not everybody wants the same, and nobody walks far for a berry.
        let picks = (0..4).map(|_| &nature[wishes.chance.below(nature.len() as u64) as usize]);
        let free = picks.filter(|pick| island.obstacle(from, pick.at).is_none());
        if let Some(pick) = free.min_by_key(|pick| from.distance_squared(pick.at)) {
            return Goal::Gather { chunk, thing: pick.index.into(), at: pick.at };
        }
    }
    let mut near = |v: i32| v + wishes.chance.below(50_000) as i32 - 25_000;
    let away = (0..8).map(|_| Point::new(near(from.x), near(from.y)));
    let free = away.into_iter().find(|to| island.obstacle(from, *to).is_none());
    Goal::Walk { at: free.unwrap_or_else(|| island.village()) }
}

fn command(wishes: &mut Wishes, tag: u64, command: player_command::Command) {
    wishes.command(tag, PlayerCommand { command: Some(command) }.encode_to_vec());
}

fn reference(chunk: ChunkId) -> ChunkRef {
    ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() }
}

fn book(amounts: &mut Amounts, stacks: &[Stack], sign: i64) {
    for stack in stacks {
        let amount = amounts.entry(stack.item).or_insert(0);
        *amount += sign * i64::from(stack.count);
        if *amount == 0 {
            amounts.remove(&stack.item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(count: u32) -> Bytes {
        let slots = if count == 0 { vec![] } else { vec![Stack { item: 1, count, ..Stack::default() }] };
        PlayerPrivate { slots, ..PlayerPrivate::default() }.encode_to_vec().into()
    }

    fn gained(count: u32) -> Result<Bytes, gundo::bots::Refusal> {
        let gained = vec![Stack { item: 1, count, ..Stack::default() }];
        Ok(PlayerReply { gained, ..PlayerReply::default() }.encode_to_vec().into())
    }

    #[test]
    fn the_books_tell_an_effect_that_came_twice() {
        for (bags, doubled) in [(5, 0), (8, 1), (2, 1)] {
            let mut bot = Pioneer::default();
            bot.handle_own(&private(2));
            bot.handle_answer(GATHER, &gained(3));
            bot.handle_own(&private(bags));
            assert_eq!(bot.doubled(), doubled, "{bags} in the bags");
            assert_eq!(
                bot.books(),
                Some(BTreeMap::from([(1, 5)])),
                "what they say does not depend on the bags"
            );
        }
    }

    #[test]
    fn a_bot_finds_its_way_about_the_island_and_plays() {
        let island = Island::generate(1);
        // It does not look around: it gathers by guess.
        let mut bot = Pioneer::default();
        let welcome = gundo::bots::Welcome {
            world: crate::describe(&island).encode_to_vec().into(),
            ..Default::default()
        };
        bot.handle_welcome(&welcome);
        let slots = [Item::Wood, Item::Stone, Item::Plank].map(|item| Stack {
            item: item.into(),
            count: 20,
            ..Stack::default()
        });
        let own = PlayerPrivate { slots: slots.into(), ..PlayerPrivate::default() };
        bot.handle_own(&own.encode_to_vec().into());
        let mut wishes = Wishes::at(gundo::Body { at: island.village(), ..Default::default() }, 7);
        let mut said = std::collections::HashSet::new();
        let mut walked = 0;
        for _ in 0..20_000 {
            bot.step(&mut wishes);
            let (walk, commands) = wishes.take();
            if let Some(body) = walk {
                assert!(island.obstacle(wishes.body.at, body.at).is_none(), "into water or a cliff");
                walked += wishes.body.at.distance(body.at);
                wishes.body = body;
            }
            for (_, payload) in commands {
                let command = PlayerCommand::decode(payload).expect("a command").command.expect("not empty");
                said.insert(std::mem::discriminant(&command));
            }
        }
        assert!(walked > 1_000_000, "{walked} mm");
        // Demolishing needs answers, and nothing here gives any.
        assert_eq!(said.len(), 4, "gather, say, craft and build");
    }
}
