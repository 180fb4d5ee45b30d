//! What bots of a played world do with each other: they meet, become friends, give, trade, keep stalls and buy at them, write letters
//! and share a chest. They look before they ask: at their bags, at what stands around them, and at what they watch by its id (their
//! mailbox, their guild, the stall before them). So the game refuses little of it.

use gundo::bots::Wishes;
use gundo::{EntityId, Payload, Point, State};

use super::sight::ground;
use super::{Goal, Pioneer, SPEED_MM_S, command, reference};
use crate::catalogue::{COLOURS, SLOTS_MAX, plan, recipe, stacks};
use crate::friends::FRIENDS_MAX;
use crate::gifts::GIVE_REACH_MM;
use crate::guild::{CHEST_SLOTS_MAX, Guild};
use crate::inventory::Inventory;
use crate::island::Island;
use crate::land::GATHER_REACH_MM;
use crate::mailbox::Mailbox;
use crate::player::BUILD_REACH_MM;
use crate::schema::{
    AcceptGuild, Befriend, BeginTrade, Build, Building, Buy, ChunkRef, Confirm, Craft, DeleteLetter,
    Demolish, FoundGuild, Gather, Give, GuildPublic, GuildRole, Hold, InviteToGuild, Item, LeaveTrade,
    Letter, Membership, Offer, Offered, Paint, PlayerReply, PutInChest, PutUp, SendLetter, Stack,
    StallPublic, TakeFromChest, TakeFromLetter, TakeProceeds, Trade, player_command::Command,
};
use crate::stall::{STALL_REACH_MM, Stall};

/// Tags of deeds begin here.
const TAGS: u64 = 1 << 40;
/// How far it goes to meet somebody or to a stall, mm.
const FAR_MM: u64 = 45_000;
/// It gathers one of so many that are nearest.
const CHOICE: usize = 4;
/// How close it goes to people and to stalls, mm: they may take a step meanwhile.
const NEXT_TO_MM: u64 = GIVE_REACH_MM as u64 / 2;
/// How long it goes after somebody who walks, or waits for what it watches, µs.
const PATIENCE_US: u64 = 8_000_000;
/// How long it stays in a trade that does not come to an end, µs.
const TRADE_US: u64 = 10_000_000;
/// Recipes, the first one more often: planks.
const RECIPES: [u32; 7] = [1, 1, 1, 2, 3, 4, 5];
/// What people trade in.
const GOODS: [Item; 5] = [Item::Wood, Item::Berry, Item::Stone, Item::Fibre, Item::Plank];
/// Planks that a stall costs, and a guild.
const PLANKS: u32 = 4;

/// Where one stands before a stall.
fn front(stall: Point) -> Point {
    Point::new(stall.x, stall.y + 1_500)
}

/// A command that was sent, and what its success means.
pub(super) enum Deed {
    Gather(gundo::ChunkId, u32),
    Build(Building, Point),
    Give(u64, Stack),
    Confirm(u64),
    Counts(&'static str),
    Other,
}

/// What a bot knows of others.
#[derive(Default)]
pub(super) struct Social {
    pub(super) id: u64,
    pub(super) sight: super::sight::Sight,
    letters: Vec<Letter>,
    guild: Option<GuildPublic>,
    /// What it watches besides its mailbox.
    watched_guild: u64,
    watches_mail: bool,
    /// The stall before which it stands, since when (µs), and how it looks.
    stall: Option<(u64, u64, Option<StallPublic>)>,
    trade_since: Option<u64>,
    /// The last stall at which it was.
    visited: u64,
    built: Vec<(ChunkRef, u32, Point)>,
    has_stall: bool,
    tags: u64,
    open: std::collections::BTreeMap<u64, Deed>,
    pub(super) done: std::collections::BTreeMap<&'static str, u64>,
}

impl Social {
    pub(super) fn is_before_stall(&self) -> bool {
        self.stall.is_some()
    }
}

impl Pioneer {
    // ---- what it hears -------------------------------------------------------------------------------------------

    pub(super) fn deed(&mut self, wishes: &mut Wishes, deed: Deed, wish: Command) {
        self.social.tags += 1;
        let tag = TAGS + self.social.tags;
        self.social.open.insert(tag, deed);
        command(wishes, tag, wish);
    }

    /// The answer to a deed; `None`: it was refused.
    pub(super) fn on_deed(&mut self, tag: u64, reply: Option<&PlayerReply>) {
        let Some(deed) = self.social.open.remove(&tag) else { return };
        if let Deed::Gather(chunk, thing) = deed {
            self.social.sight.is_bare(chunk, thing);
        }
        let Some(reply) = reply else { return };
        let word = match deed {
            Deed::Build(Building::Stall, at) => {
                self.social.has_stall = true;
                self.goal = Some(Goal::Stall { stall: reply.entity, at: front(at) });
                "stalls built"
            }
            Deed::Build(_, at) => {
                self.social.built.extend(reply.chunk.map(|chunk| (chunk, reply.thing, at)));
                return;
            }
            Deed::Give(to, each) => {
                self.ledger(|ledger| ledger.changes(to, &[each], &[]));
                "gifts"
            }
            // The first one to confirm gets no goods in its answer.
            Deed::Confirm(_) if reply.gained.is_empty() && reply.spent.is_empty() => return,
            Deed::Confirm(with) => {
                self.ledger(|ledger| ledger.changes(with, &reply.spent, &reply.gained));
                "trades"
            }
            Deed::Counts(word) => word,
            Deed::Gather(..) | Deed::Other => return,
        };
        *self.social.done.entry(word).or_insert(0) += 1;
    }

    pub(super) fn on_watched(&mut self, entity: EntityId, public: Option<&gundo::Bytes>) {
        let social = &mut self.social;
        if entity.kind == Mailbox::KIND {
            let seen = public.and_then(|b| crate::schema::MailboxPublic::from_bytes(b).ok().flatten());
            social.letters = seen.unwrap_or_default().letters;
        } else if entity.kind == Guild::KIND {
            social.guild = public.and_then(|b| GuildPublic::from_bytes(b).ok().flatten());
        } else if let Some((_, _, seen)) = social.stall.as_mut().filter(|(id, ..)| *id == entity.id) {
            *seen = public.and_then(|b| StallPublic::from_bytes(b).ok().flatten());
        }
    }

    fn bag(&self) -> Inventory {
        Inventory::from_totals(&self.own.slots)
    }

    /// One of something that it has.
    fn one_of_mine(&self, wishes: &mut Wishes) -> Option<Stack> {
        let goods: Vec<Stack> =
            self.bag().totals().into_iter().filter(|s| GOODS.contains(&s.item())).collect();
        let pick = wishes.chance.below(goods.len().max(1) as u64) as usize;
        goods.get(pick).map(|stack| Stack { count: 1, ..*stack })
    }

    // ---- one step ------------------------------------------------------------------------------------------------

    /// What it does with others before it walks on. True: it stays where it is.
    pub(super) fn step_with_others(&mut self, wishes: &mut Wishes) -> bool {
        self.watch_what_matters(wishes);
        if let Some(trade) = self.own.trade.clone() {
            self.in_trade(&trade, wishes);
            return true;
        }
        self.social.trade_since = None;
        if self.social.stall.is_some() {
            self.before_stall(wishes);
            return true;
        }
        if wishes.open == 0 && wishes.chance.below(8) == 0 {
            self.small_deed(wishes);
        }
        false
    }

    fn watch_what_matters(&mut self, wishes: &mut Wishes) {
        if !std::mem::replace(&mut self.social.watches_mail, true) {
            wishes.watch(EntityId::new(Mailbox::KIND, self.social.id));
        }
        let guild = self.own.guild.as_ref().map_or(0, |guild| guild.id);
        if guild != self.social.watched_guild {
            let before = std::mem::replace(&mut self.social.watched_guild, guild);
            self.social.guild = None;
            if before != 0 {
                wishes.unwatch(EntityId::new(Guild::KIND, before));
            }
            if guild != 0 {
                wishes.watch(EntityId::new(Guild::KIND, guild));
            }
        }
    }

    /// Something that needs no way.
    fn small_deed(&mut self, wishes: &mut Wishes) {
        if let Some(asking) = self.own.asks_me.first().filter(|_| self.own.friends.len() < FRIENDS_MAX) {
            let wish = Command::Befriend(Befriend { with: asking.id });
            return self.deed(wishes, Deed::Counts("friendships"), wish);
        }
        if let (None, Some(invitation)) = (&self.own.guild, self.own.invitations.first()) {
            let wish = Command::AcceptGuild(AcceptGuild { guild: invitation.guild });
            return self.deed(wishes, Deed::Counts("guilds joined"), wish);
        }
        let bag = self.bag();
        let fits = |letter: &&Letter| bag.fits(&[], &letter.stacks, SLOTS_MAX);
        if let Some(letter) = self.social.letters.iter().find(fits) {
            let number = letter.number;
            let (deed, wish) = if letter.stacks.is_empty() {
                (Deed::Other, Command::DeleteLetter(DeleteLetter { letter: number }))
            } else {
                (Deed::Counts("letters emptied"), Command::TakeFromLetter(TakeFromLetter { letter: number }))
            };
            // What it shows next comes a moment later.
            self.social.letters.retain(|letter| letter.number != number);
            return self.deed(wishes, deed, wish);
        }
        match wishes.chance.below(16) {
            0 => self.wish_to_write(wishes),
            1..=6 => self.wish_of_own_guild(wishes),
            _ => {}
        }
    }

    /// To a friend, or to somebody in sight.
    fn wish_to_write(&mut self, wishes: &mut Wishes) {
        let friends: Vec<u64> = self.own.friends.iter().map(|friend| friend.id).collect();
        let seen = self.social.sight.people.iter().map(|(id, ..)| *id);
        let all: Vec<u64> = friends.into_iter().chain(seen).filter(|id| self.is_bot(*id)).collect();
        let pick = wishes.chance.below(all.len().max(1) as u64) as usize;
        let Some((to, stack)) = all.get(pick).copied().zip(self.one_of_mine(wishes)) else { return };
        let (text, name) = ("For you.".to_owned(), String::new());
        let wish = Command::SendLetter(SendLetter { to: vec![to], name, text, stacks: vec![stack] });
        self.deed(wishes, Deed::Counts("letters sent"), wish);
    }

    fn wish_of_own_guild(&mut self, wishes: &mut Wishes) {
        let Some(mine) = self.own.guild.clone() else {
            // Who has no stall builds one first.
            let pays =
                self.bag().can_spend(&self.world.as_ref().map_or(Vec::new(), |w| w.guild_price.clone()));
            if pays && (self.social.has_stall || wishes.chance.below(3) == 0) {
                let name = self.name_of_guild(wishes);
                self.deed(wishes, Deed::Counts("guilds founded"), Command::FoundGuild(FoundGuild { name }));
            }
            return;
        };
        let Some(seen) = self.social.guild.clone() else { return };
        let chest = Inventory::from_totals(&seen.chest);
        let governs = mine.role() >= GuildRole::Officer;
        match wishes.chance.below(5) {
            0 | 1 => {
                let stack = self.one_of_mine(wishes);
                let Some(stack) = stack.filter(|s| chest.fits(&[], &[*s], CHEST_SLOTS_MAX)) else { return };
                let wish = Command::PutInChest(PutInChest { guild: mine.id, stack: Some(stack) });
                self.deed(wishes, Deed::Counts("chest put"), wish);
            }
            2 | 3 if governs => {
                let Some(stack) = seen.chest.first().map(|stack| Stack { count: 1, ..*stack }) else {
                    return;
                };
                if self.bag().fits(&[], &[stack], SLOTS_MAX) {
                    let wish = Command::TakeFromChest(TakeFromChest { guild: mine.id, stack: Some(stack) });
                    self.deed(wishes, Deed::Counts("chest taken"), wish);
                }
            }
            4 if governs => self.wish_to_invite(&mine, &seen, wishes),
            _ => {}
        }
    }

    fn wish_to_invite(&mut self, mine: &Membership, seen: &GuildPublic, wishes: &mut Wishes) {
        let is_new = |id: u64| !seen.invited.iter().any(|person| person.id == id);
        let people = self.social.sight.people.iter();
        let free = people.filter(|(_, _, in_guild)| !in_guild).map(|(id, ..)| *id);
        let Some(whom) = free.into_iter().find(|id| is_new(*id) && self.is_bot(*id)) else { return };
        let wish = Command::InviteToGuild(InviteToGuild { guild: mine.id, whom });
        self.deed(wishes, Deed::Other, wish);
    }

    // ---- trades --------------------------------------------------------------------------------------------------

    /// It stands still, offers one thing, and confirms once both have offered.
    fn in_trade(&mut self, trade: &Trade, wishes: &mut Wishes) {
        if wishes.open > 0 {
            return;
        }
        let since = *self.social.trade_since.get_or_insert(wishes.now.0);
        let waited = wishes.now.0.saturating_sub(since);
        let with = trade.with.as_ref().map_or(0, |with| with.id);
        if waited > TRADE_US {
            let leave = LeaveTrade { trade: trade.id, alone: waited > 2 * TRADE_US };
            return self.deed(wishes, Deed::Other, Command::LeaveTrade(leave));
        }
        if trade.mine.is_empty() {
            let Some(stack) = self.one_of_mine(wishes) else { return };
            let offer = Offer { trade: trade.id, stacks: vec![stack], deeds: Vec::new() };
            return self.deed(wishes, Deed::Other, Command::Offer(offer));
        }
        let fits = self.bag().fits(&[], &trade.theirs, SLOTS_MAX);
        if !trade.theirs.is_empty() && !trade.confirmed && fits {
            let confirm = Confirm { trade: trade.id, version: trade.version };
            self.deed(wishes, Deed::Confirm(with), Command::Confirm(confirm));
        }
    }

    // ---- stalls --------------------------------------------------------------------------------------------------

    fn before_stall(&mut self, wishes: &mut Wishes) {
        let Some((id, since, seen)) = &self.social.stall else { return };
        let (id, late) = (*id, wishes.now.0.saturating_sub(*since) > PATIENCE_US);
        if wishes.open > 0 || seen.is_none() && !late {
            return;
        }
        let seen = seen.clone();
        if let Some(seen) = seen.clone() {
            if self.is_mine(&seen) {
                self.at_own_stall(id, &seen, wishes)
            } else {
                self.buys(id, &seen, wishes)
            }
        }
        // One offer after another.
        let fills = seen.as_ref().is_some_and(|seen| seen.offers.len() < 2 && self.is_mine(seen));
        if fills && !late {
            return;
        }
        wishes.unwatch(EntityId::new(Stall::KIND, id));
        self.social.stall = None;
        self.social.visited = id;
    }

    fn is_mine(&self, seen: &StallPublic) -> bool {
        seen.owner.as_ref().is_some_and(|owner| owner.id == self.social.id)
    }

    fn at_own_stall(&mut self, stall: u64, seen: &StallPublic, wishes: &mut Wishes) {
        let bag = self.bag();
        if let Some(stack) = seen.proceeds.first().filter(|stack| bag.fits(&[], &[**stack], SLOTS_MAX)) {
            let wish = Command::TakeProceeds(TakeProceeds { stall, stack: Some(*stack) });
            return self.deed(wishes, Deed::Counts("proceeds taken"), wish);
        }
        let open = seen.offers.iter().filter(|offer| offer.left > 0).count();
        let Some(lot) = self.one_of_mine(wishes).filter(|_| open < 4) else { return };
        // Everybody has wood.
        let price = if lot.item() == Item::Wood { Item::Berry } else { Item::Wood };
        let price = Some(Stack { item: price.into(), count: 1, ..Stack::default() });
        let lots = bag.count(lot.item()).min(2);
        let wish = Command::PutUp(PutUp { stall, lot: Some(lot), price, lots });
        self.deed(wishes, Deed::Counts("put up"), wish);
    }

    fn buys(&mut self, stall: u64, seen: &StallPublic, wishes: &mut Wishes) {
        let bag = self.bag();
        let suits = |offer: &&Offered| {
            let (lot, price) = (offer.lot.unwrap_or_default(), offer.price.unwrap_or_default());
            offer.left > 0 && bag.can_spend(&[price]) && bag.fits(&[price], &[lot], SLOTS_MAX)
        };
        let Some(offer) = seen.offers.iter().find(suits) else { return };
        let wish = Command::Buy(Buy { stall, offer: offer.number, version: offer.version, lots: 1 });
        self.deed(wishes, Deed::Counts("bought"), wish);
    }

    // ---- ways ----------------------------------------------------------------------------------------------------

    /// Somebody to meet, a stall, or something that it sees has grown.
    pub(super) fn choose_with_others(&self, island: &Island, wishes: &mut Wishes) -> Option<Goal> {
        let (from, sight) = (wishes.body.at, &self.social.sight);
        let is_open = |to: Point| {
            from.distance(to) < FAR_MM && island.obstacle(from, to).is_none() && sight.is_open(from, to)
        };
        let until = wishes.now.0 + PATIENCE_US;
        let goal = match wishes.chance.below(9) {
            0 | 1 => {
                let near = sight.people.iter().filter(|(id, at, _)| self.is_bot(*id) && is_open(*at));
                let near: Vec<_> = near.collect();
                let pick = wishes.chance.below(near.len().max(1) as u64) as usize;
                near.get(pick).map(|(who, ..)| Goal::Meet { who: *who, until })
            }
            2..=4 => {
                let stalls = sight
                    .stalls
                    .iter()
                    .filter(|(id, at, _)| *id != self.social.visited && is_open(front(*at)));
                let stalls: Vec<_> = stalls.collect();
                let pick = wishes.chance.below(stalls.len().max(1) as u64) as usize;
                stalls.get(pick).map(|(stall, at, _)| Goal::Stall { stall: *stall, at: front(*at) })
            }
            _ => None,
        };
        if goal.is_some() {
            return goal;
        }
        // One of the nearest: not everybody wants the same.
        let mut grown: Vec<_> = sight.grown.iter().filter(|(_, _, at)| is_open(*at)).collect();
        grown.sort_by_key(|(_, _, at)| from.distance_squared(*at));
        let pick = wishes.chance.below(grown.len().clamp(1, CHOICE) as u64) as usize;
        let (chunk, thing, at) = **grown.get(pick)?;
        Some(Goal::Gather { chunk, thing, at })
    }

    /// Walks towards its goal. True: it is there, or gives it up.
    pub(super) fn goes_to(&self, island: &Island, goal: Goal, wishes: &mut Wishes) -> bool {
        let (at, close) = match goal {
            Goal::Gather { at, .. } => (at, super::CLOSE_MM),
            Goal::Walk { at } => (at, 0),
            Goal::Stall { at, .. } => (at, NEXT_TO_MM / 2),
            Goal::Meet { who, until } => match self.social.sight.where_is(who) {
                Some(at) if wishes.now.0 < until && island.obstacle(wishes.body.at, at).is_none() => {
                    (at, NEXT_TO_MM)
                }
                _ => return true,
            },
        };
        wishes.body.at.distance(at) <= close || wishes.walk_towards(at, SPEED_MM_S)
    }

    /// It is where it wanted to be.
    pub(super) fn arrives(&mut self, goal: Goal, wishes: &mut Wishes) {
        match goal {
            Goal::Gather { chunk, thing, at } if wishes.body.at.within(at, GATHER_REACH_MM) => {
                let still = self.social.sight.grown.iter().any(|(c, t, _)| (*c, *t) == (chunk, thing));
                if still {
                    let gather = Gather { chunk: Some(reference(chunk)), thing };
                    self.deed(wishes, Deed::Gather(chunk, thing), Command::Gather(gather));
                }
            }
            Goal::Meet { who, .. } => self.meets(who, wishes),
            Goal::Stall { stall, at } => {
                let there = self.social.sight.stalls.iter().find(|(id, ..)| *id == stall);
                let middle = there.map_or(at, |(_, at, _)| *at);
                if wishes.body.at.within(middle, STALL_REACH_MM) {
                    wishes.watch(EntityId::new(Stall::KIND, stall));
                    self.social.stall = Some((stall, wishes.now.0, None));
                }
            }
            Goal::Gather { .. } | Goal::Walk { .. } => {}
        }
    }

    fn meets(&mut self, who: u64, wishes: &mut Wishes) {
        let next_to = |at: Point| wishes.body.at.distance(at) <= NEXT_TO_MM;
        if wishes.open > 0 || !self.social.sight.where_is(who).is_some_and(next_to) {
            return;
        }
        let known = [&self.own.friends, &self.own.asked].into_iter().flatten().any(|p| p.id == who);
        if !known && self.own.friends.len() < FRIENDS_MAX && wishes.chance.below(2) == 0 {
            let accepts = self.own.asks_me.iter().any(|person| person.id == who);
            let deed = if accepts { Deed::Counts("friendships") } else { Deed::Other };
            return self.deed(wishes, deed, Command::Befriend(Befriend { with: who }));
        }
        let Some(each) = self.one_of_mine(wishes) else { return };
        if wishes.chance.below(3) == 0 {
            let give = Give { to: vec![who], each: Some(each) };
            self.deed(wishes, Deed::Give(who, each), Command::Give(give));
        } else {
            self.deed(wishes, Deed::Other, Command::BeginTrade(BeginTrade { with: who }));
        }
    }

    /// Busy bots do something at each other step, wherever they are.
    pub(super) fn wish_where_it_stands(&mut self, island: &Island, wishes: &mut Wishes) {
        let (from, bag) = (wishes.body.at, self.bag());
        match wishes.chance.below(8) {
            0..=3 => {
                let mut grown = self.social.sight.grown.iter();
                let near = grown.find(|(_, _, at)| from.within(*at, GATHER_REACH_MM - 500));
                let Some((chunk, thing, at)) = near.copied() else { return };
                self.arrives(Goal::Gather { chunk, thing, at }, wishes);
                // Not twice before the answer.
                self.social.sight.is_bare(chunk, thing);
            }
            4 => {
                let mut items = [Item::Wood, Item::Berry, Item::Axe].into_iter();
                let item = items.find(|item| bag.count(*item) > 0 && self.own.holds() != *item);
                let item = item.unwrap_or(Item::None).into();
                self.deed(wishes, Deed::Other, Command::Hold(Hold { item }));
            }
            5 if bag.count(Item::Dye) > 0 => {
                let colour = wishes.chance.below(u64::from(COLOURS)) as u32;
                self.deed(wishes, Deed::Other, Command::Paint(Paint { colour }));
            }
            _ => self.idle_wish(island, wishes),
        }
    }

    // ---- work ----------------------------------------------------------------------------------------------------

    /// Makes something that it can pay.
    pub(super) fn wish_to_craft(&mut self, wishes: &mut Wishes) {
        let bag = self.bag();
        // Stalls and guilds are of planks.
        let some = bag.count(Item::Plank) >= PLANKS;
        let number =
            if some { RECIPES[wishes.chance.below(RECIPES.len() as u64) as usize] } else { RECIPES[0] };
        let Some(made) = recipe(number) else { return };
        let (takes, gives) = (stacks(made.takes, 1), stacks(made.gives, 1));
        if bag.can_spend(&takes) && bag.fits(&takes, &gives, SLOTS_MAX) {
            self.deed(wishes, Deed::Other, Command::Craft(Craft { recipe: number, count: 1 }));
        }
    }

    pub(super) fn wants_stall(&self) -> bool {
        self.looks && !self.social.has_stall && self.bag().count(Item::Plank) >= PLANKS
    }

    /// Builds something that it can pay where there is room: a stall, if it has none.
    pub(super) fn wish_to_build(&mut self, island: &Island, wishes: &mut Wishes) {
        let others = [Building::Campfire, Building::Fence, Building::Hut];
        let what = match wishes.chance.below(3) as usize {
            _ if self.wants_stall() => Building::Stall,
            other => others[other],
        };
        let costs = plan(what).map(|plan| stacks(plan.costs, 1)).unwrap_or_default();
        if !self.bag().can_spend(&costs) {
            return;
        }
        for _ in 0..6 {
            let mut near = |v: i32| v + wishes.chance.below(9_000) as i32 - 4_500;
            let at = Point::new(near(wishes.body.at.x), near(wishes.body.at.y));
            let fits = |ground| self.social.sight.has_room(island, &ground, wishes.body.at);
            if wishes.body.at.within(at, BUILD_REACH_MM) && ground(what, at).is_some_and(fits) {
                let build = Build { what: what.into(), x: at.x, y: at.y, rotation: 0 };
                return self.deed(wishes, Deed::Build(what, at), Command::Build(build));
            }
        }
    }

    /// Takes down something of its own that is near.
    pub(super) fn wish_to_demolish(&mut self, wishes: &mut Wishes) {
        let from = wishes.body.at;
        let at = self.social.built.iter().position(|(_, _, at)| from.within(*at, BUILD_REACH_MM - 1_000));
        let Some((chunk, thing, _)) = at.map(|at| self.social.built.swap_remove(at)) else { return };
        let demolish = Demolish { chunk: Some(chunk), thing };
        self.deed(wishes, Deed::Other, Command::Demolish(demolish));
    }
}
