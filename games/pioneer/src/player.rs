//! Players: what they own, how they look, and what they can do.
//!
//! A command that also changes the land is a transaction: the player asks the chunks concerned and decides on their answers.

use gundo::{
    Actor, Answered, Ask, Asked, Body, ChunkId, Context, Decision, Done, Entity, Pace, Point, Refusal, State,
    Stored, WorldTime,
};

use crate::catalogue::{COLOURS, CRAFT_COUNT_MAX, plan, recipe, stacks, takes};
use crate::estate::may_demolish;
use crate::friends::Circle;
use crate::geometry::{ISLAND, Rect};
use crate::guild::Belonging;
use crate::inventory::{Inventory, with_ids};
use crate::island::{Biome, Island};
use crate::land::{BODY_RADIUS_MM, GATHER_REACH_MM, Land, chunks_for, is_barred, place};
use crate::names;
use crate::refusals::No;
use crate::schema::{
    Born, Build, Building, BuildingPaid, BuildingReturned, ChunkRef, CoatPainted, Craft, Crafted, Demolish,
    Gather, Gathered, HandChanged, Hold, Item, ItemsCrafted, ItemsGathered, LandPublic, LandReply, LandWalls,
    Naming, Paint, PlayerAnswer, PlayerOrderAnswer, PlayerPrivate, PlayerPublic, PlayerReply, PlayerState,
    PlayerTold, Raise, Raised, Raze, Razed, Said, Say, Stack, Take, Trade, Whisper, Whispered, land_command,
    naming_timer::Timer, player_ask::Ask as Wish, player_command::Command, player_event::Event,
    player_hears::Message, player_order::Order, player_signal::Signal,
};

/// Top walking speed, mm/s.
pub const SPEED_MAX_MM: u32 = 5_000;
/// How far the middle of a building may be, mm.
pub const BUILD_REACH_MM: u32 = 8_000;
/// Longest single step, mm. The engine bounds speed; this bounds the cost of checking a step.
const STEP_MAX_MM: u64 = 100_000;
/// Half the longest building, mm: a building can bar a path only if its middle is this close.
const HALF_BUILDING_MM: i32 = 3_000;
/// Steps in which the ground under a building is checked, mm.
const GROUND_STEP_MM: usize = 500;
/// How often somebody may say or whisper something: those nearby read all of it.
const TALK: Pace = Pace::new("talk", 3, 2_000);
/// How often somebody may ask others to be friends, and the like.
const PEOPLE: Pace = Pace::new("people", 8, 8_000);
/// How often somebody may do something in a trade: the other one sees all of it.
const TRADE: Pace = Pace::new("trade", 12, 4_000);
/// How often somebody may send a letter.
const MAIL: Pace = Pace::new("mail", 10, 20_000);
/// How often somebody may do something about guilds.
const GUILD: Pace = Pace::new("guild", 8, 8_000);
/// How often somebody may use a guild's chest: 64 members together stay below what one entity can do.
const CHEST: Pace = Pace::new("chest", 8, 8_000);
/// How often somebody may do something about an estate: much of it asks many chunks.
const ESTATE: Pace = Pace::new("estate", 6, 6_000);
/// Namespace of players' names.
pub(crate) const NAMES: &str = "player";

/// A player.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 1, name = "player", player, world = Island, durable = PlayerState, event = Event, signal = Signal)]
#[state(command = Command, reply = PlayerReply, public = PlayerPublic, private = PlayerPrivate, tell = PlayerTold)]
#[state(ask = Wish, answer = PlayerAnswer, message = Message, timer = Timer, order = Order, order_answer = PlayerOrderAnswer)]
pub struct Player {
    /// Empty before the first event.
    pub(crate) name: String,
    colour: u32,
    holds: i32,
    pub(crate) items: Inventory,
    whispers: u64,
    pub(crate) circle: Circle,
    /// With what it has offered, which is not among the items.
    pub(crate) trade: Option<Trade>,
    /// Letters find it by its name.
    pub(crate) listed: bool,
    pub(crate) belonging: Belonging,
    /// With the names that it keeps.
    pub(crate) naming: Naming,
    /// Its estates, the oldest first.
    pub(crate) deeds: Vec<u64>,
}

impl Player {
    fn gather(&self, gather: Gather, body: &Body, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        let chunk = chunk_within(gather.chunk, body, GATHER_REACH_MM)?;
        let owned = [Item::Axe, Item::Pickaxe].into_iter().filter(|tool| self.items.count(*tool) > 0);
        let (tools, key) = (owned.map(i32::from).collect(), self.key(&[chunk], cx));
        let take = Take { thing: gather.thing, tools, key };
        let land = Ask::of::<Land>(chunk, &land_command::Command::Take(take));
        Ok(land.then(move |me: &Self, answer, cx| {
            Ok(me.listed(cx.id.id, move |me: &Self| me.gathered(&gather, &answer))?)
        }))
    }

    fn gathered(&self, gather: &Gather, answer: &LandReply) -> Result<Done<Self>, No> {
        let gained = answer.gained.ok_or(No::Unclear)?;
        if !self.has_room(&[], &[gained]) {
            return Err(No::InventoryFull);
        }
        let (chunk, thing) = (gather.chunk, gather.thing);
        Ok(Done::new()
            .event(&Event::Gathered(ItemsGathered { chunk, thing, gained: Some(gained) }))
            .signal(&Signal::Gathered(Gathered { chunk, thing, gained: Some(gained) }))
            .reply(&PlayerReply { gained: vec![gained], ..PlayerReply::default() }))
    }

    fn build(&self, build: Build, body: &Body, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, No> {
        let costs = plan(build.what()).ok_or(No::Unclear)?.costs;
        let middle = Point::new(build.x, build.y);
        if !body.at.within(middle, BUILD_REACH_MM) {
            return Err(No::TooFar);
        }
        // It is near a body, so it is far from the limits of i32.
        let middle = Body { at: middle, ..Body::default() }.rounded().at;
        let ground = Rect::plan(build.what(), middle, build.rotation).ok_or(No::Unclear)?;
        let spent = stacks(costs, 1);
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems);
        }
        if !holds_building(cx.world, &ground) {
            return Err(No::BadGround);
        }
        let solid = ground.grown(BODY_RADIUS_MM);
        let mut near = cx.near(ISLAND, middle, BUILD_REACH_MM).into_iter();
        let in_the_way = |body: Option<Body>| body.is_some_and(|body| solid.contains(body.at));
        if in_the_way(Some(*body)) || near.any(|other| other.id.kind == Self::KIND && in_the_way(other.body))
        {
            return Err(No::SomeoneThere);
        }
        if cx.world.is_on_way(&ground) {
            return Err(No::OnWay);
        }
        let entity = if build.what() == Building::Stall { cx.random() } else { 0 };
        let Build { what, rotation, .. } = build;
        let chunks = chunks_for(build.what(), middle, rotation);
        let (Point { x, y }, key) = (middle, self.key(&chunks, cx));
        let raise = Raise { what, x, y, rotation, entity, key };
        let land = Ask::each::<Land>(chunks, &land_command::Command::Raise(raise));
        Ok(land.then(move |me: &Self, answers, cx| {
            let (answer, spent) = (*first(&answers)?, spent.clone());
            let built = move |me: &Self| me.built((what, entity), middle, &spent, &answer);
            let is_stall = entity != 0;
            Ok(if is_stall { me.opens_stall((entity, middle), cx.id.id, built) } else { built(me)?.into() })
        }))
    }

    fn built(
        &self,
        (what, entity): (i32, u64),
        middle: Point,
        spent: &[Stack],
        answer: &LandReply,
    ) -> Result<Done<Self>, No> {
        if !self.items.can_spend(spent) {
            return Err(No::MissingItems);
        }
        let (chunk, Point { x, y }) = (ChunkId::of(ISLAND, middle), middle);
        let chunk = Some(ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() });
        let spent = spent.to_vec();
        Ok(Done::new()
            .event(&Event::Paid(BuildingPaid { what, x, y, spent: spent.clone() }))
            .signal(&Signal::Raised(Raised { what, x, y }))
            .reply(&PlayerReply { spent, chunk, thing: answer.index, entity, ..PlayerReply::default() }))
    }

    fn demolish(
        &self,
        demolish: &Demolish,
        body: &Body,
        cx: &Context<'_, Self>,
    ) -> Result<Decision<Self>, No> {
        let chunk = chunk_within(demolish.chunk, body, BUILD_REACH_MM)?;
        let land: LandPublic = cx.look::<Land>(chunk).ok_or(No::NothingThere)?;
        let thing = demolish.thing;
        let built = land.buildings.iter().find(|b| b.index == thing).ok_or(No::NothingThere)?;
        let middle = place(chunk, built);
        let chunks = chunks_for(built.what(), middle, built.rotation);
        let key = self.key(&chunks, cx);
        if built.owner != cx.id.id && !may_demolish(land.terms.as_ref(), built, key.as_ref()) {
            return Err(No::NotOwner);
        }
        if !body.at.within(middle, BUILD_REACH_MM) {
            return Err(No::TooFar);
        }
        let raze = land_command::Command::Raze(Raze { x: middle.x, y: middle.y, key });
        let land = Ask::each::<Land>(chunks, &raze);
        Ok(land.then(move |me: &Self, answers, _| {
            let answer = *first(&answers)?;
            let (stall, demolished) = (answer.entity, move |me: &Self| me.demolished(thing, &answer));
            Ok(if stall == 0 { demolished(me)?.into() } else { Self::closes_stall(stall, demolished) })
        }))
    }

    fn demolished(&self, thing: u32, answer: &LandReply) -> Result<Done<Self>, No> {
        // The picture may have been a tick old: it is the same building only if the index is the same.
        if answer.index != thing {
            return Err(No::NothingThere);
        }
        let gained = stacks(plan(answer.what()).ok_or(No::Unclear)?.returns, 1);
        if !self.has_room(&[], &gained) {
            return Err(No::InventoryFull);
        }
        let LandReply { what, x, y, .. } = *answer;
        Ok(Done::new()
            .event(&Event::Returned(BuildingReturned { what, x, y, gained: gained.clone() }))
            .signal(&Signal::Razed(Razed { what, x, y }))
            .reply(&PlayerReply { gained, ..PlayerReply::default() }))
    }

    fn craft(&self, craft: &Craft, cx: &mut Context<'_, Self>) -> Result<Done<Self>, No> {
        let made = recipe(craft.recipe).ok_or(No::Unclear)?;
        if !(1..=CRAFT_COUNT_MAX).contains(&craft.count) {
            return Err(No::Unclear);
        }
        let takes = takes(made, cx.world.gifts_reach_all());
        let (spent, gained) = (stacks(takes, craft.count), stacks(made.gives, craft.count));
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems);
        }
        if !self.has_room(&spent, &gained) {
            return Err(No::InventoryFull);
        }
        let gained = with_ids(&gained, || cx.random());
        let Craft { recipe, count } = *craft;
        let fact = ItemsCrafted { recipe, count, spent: spent.clone(), gained: gained.clone() };
        Ok(Done::new()
            .event(&Event::Crafted(fact))
            .signal(&Signal::Crafted(Crafted { recipe }))
            .reply(&PlayerReply { gained, spent, ..PlayerReply::default() }))
    }

    fn say(say: &Say) -> Result<Done<Self>, Refusal> {
        let text = names::accept_saying(&say.text)?;
        Ok(Done::new().signal(&Signal::Said(Said { text })))
    }

    /// The event makes it happen once, and only if it lasts: so does what the other player hears.
    fn whisper(&self, whisper: &Whisper, cx: &Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        let text = names::accept_saying(&whisper.text)?;
        let (to, number) = (whisper.to, self.whispers + 1);
        let told = PlayerTold { from: cx.id.id, text: text.clone(), number, ..PlayerTold::default() };
        Ok(Done::new().event(&Event::Whispered(Whispered { to, text, number })).tell::<Self>(to, &told))
    }

    fn hold(&self, hold: Hold) -> Result<Done<Self>, No> {
        if hold.item != i32::from(Item::None) && self.items.count(hold.item()) == 0 {
            return Err(No::NotYours);
        }
        Ok(Done::new().event(&Event::Hand(HandChanged { item: hold.item })))
    }

    fn paint(&self, paint: Paint) -> Result<Done<Self>, No> {
        let spent = Stack { item: Item::Dye.into(), count: 1, ..Stack::default() };
        if paint.colour >= COLOURS {
            return Err(No::Unclear);
        }
        if !self.items.can_spend(&[spent]) {
            return Err(No::MissingItems);
        }
        let fact = CoatPainted { colour: paint.colour, spent: Some(spent) };
        let reply = PlayerReply { spent: vec![spent], ..PlayerReply::default() };
        Ok(Done::new().event(&Event::Painted(fact)).reply(&reply))
    }

    /// Whether `gained` fits into the bag once `spent` is removed. What it has offered in a trade keeps its slots, so that it can
    /// come back.
    pub(crate) fn has_room(&self, spent: &[Stack], gained: &[Stack]) -> bool {
        let offered = self.trade.iter().flat_map(|trade| &trade.mine);
        let gained: Vec<Stack> = gained.iter().chain(offered).copied().collect();
        self.items.can_exchange(spent, &gained)
    }

    pub(crate) fn exchange(&mut self, spent: &[Stack], gained: &[Stack]) {
        self.items.spend(spent);
        self.items.gain(gained);
        if self.items.count(Item::try_from(self.holds).unwrap_or(Item::None)) == 0 {
            self.holds = Item::None.into();
        }
    }
}

/// The answer of the chunk that has the thing or lists the building: it is asked first.
fn first(answers: &[LandReply]) -> Result<&LandReply, No> {
    answers.first().ok_or(No::Unclear)
}

/// The chunk that a client names, if any of it is within `reach_mm`: a command must not load land far away.
fn chunk_within(chunk: Option<ChunkRef>, body: &Body, reach_mm: u32) -> Result<ChunkId, No> {
    let ChunkRef { cx, cy } = chunk.ok_or(No::Unclear)?;
    let number = |v: i32| i16::try_from(v).map_err(|_| No::TooFar);
    let chunk = ChunkId { island: ISLAND, x: number(cx)?, y: number(cy)? };
    let near = body.island == ISLAND && Rect::chunk(chunk).distance(body.at) <= reach_mm.into();
    if near { Ok(chunk) } else { Err(No::TooFar) }
}

/// Whether all of `ground` is dry and level enough.
fn holds_building(island: &Island, ground: &Rect) -> bool {
    let ticks = |from: i32, to: i32| (from..to).step_by(GROUND_STEP_MM).chain([to]);
    ticks(ground.min.y, ground.max.y)
        .all(|y| ticks(ground.min.x, ground.max.x).all(|x| island.biome(Point::new(x, y)).is_walkable()))
}

impl Stored for Player {
    fn load(_id: u64, _world: &Island, mut state: PlayerState) -> Self {
        let (circle, belonging) = (Circle::load(&state), Belonging::load(&mut state));
        let PlayerState { name, colour, holds, items, whispers, trade, listed, naming, deeds, .. } = state;
        let (items, naming) = (Inventory::from_totals(&items), naming.unwrap_or_default());
        Self { name, colour, holds, items, whispers, circle, trade, listed, belonging, naming, deeds }
    }

    fn save(&self) -> PlayerState {
        let Self { name, colour, holds, items, whispers, circle, trade, listed, belonging, naming, deeds } =
            self.clone();
        let ([friends, asks_me, asked, blocked], items) = (circle.lists(), items.totals());
        let mine =
            PlayerState { name, colour, holds, items, whispers, trade, listed, ..PlayerState::default() };
        let Belonging { guild, invitations } = belonging;
        let naming = naming.saved();
        PlayerState { friends, asks_me, asked, blocked, guild, invitations, naming, deeds, ..mine }
    }
}

impl gundo::Player for Player {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        let name = names::accept(name)?;
        let colour = (cx.random() % u64::from(COLOURS)) as u32;
        let born = Event::Born(Born { name: name.shown.clone(), colour });
        Ok(Done::new().event(&born).take_names(NAMES, name.keys(), cx.id))
    }

    fn pace(command: &Command) -> Option<Pace> {
        match command {
            Command::Say(_) | Command::Whisper(_) => Some(TALK),
            Command::Befriend(_)
            | Command::Unfriend(_)
            | Command::Block(_)
            | Command::Unblock(_)
            | Command::Rename(_) => Some(PEOPLE),
            Command::BeginTrade(_) | Command::Offer(_) | Command::Confirm(_) | Command::LeaveTrade(_) => {
                Some(TRADE)
            }
            Command::SendLetter(_) => Some(MAIL),
            Command::PutInChest(_) | Command::TakeFromChest(_) => Some(CHEST),
            Command::FoundGuild(_)
            | Command::InviteToGuild(_)
            | Command::AcceptGuild(_)
            | Command::DeclineGuild(_)
            | Command::LeaveGuild(_)
            | Command::RemoveFromGuild(_)
            | Command::SetGuildRole(_)
            | Command::DissolveGuild(_)
            | Command::RenameGuild(_) => Some(GUILD),
            Command::ClaimLand(_)
            | Command::ReleaseLand(_)
            | Command::SetRights(_)
            | Command::AttendEstate(_)
            | Command::AbandonEstate(_) => Some(ESTATE),
            _ => None,
        }
    }

    fn decide(&self, command: Command, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let body = cx.here()?;
        let done = match command {
            Command::Gather(gather) => return Ok(self.gather(gather, &body, cx)?),
            Command::Build(build) => return Ok(self.build(build, &body, cx)?),
            Command::Demolish(demolish) => return Ok(self.demolish(&demolish, &body, cx)?),
            Command::Give(give) => return Ok(self.give(give, cx)?),
            Command::Befriend(befriend) => return Ok(self.befriend(befriend.with, cx)?),
            Command::Unfriend(unfriend) => return Ok(self.unfriend(unfriend.with, cx)?),
            Command::Block(block) => return Ok(self.block(block.whom, cx)?),
            Command::BeginTrade(begin) => return Ok(self.begin_trade(begin.with, cx)?),
            Command::Offer(offer) => return Ok(self.offer(offer, cx)?),
            Command::Confirm(confirm) => return Ok(self.confirm(confirm, cx)?),
            Command::LeaveTrade(leave) => return Ok(self.leave_trade(leave, cx)?),
            guild @ (Command::FoundGuild(_)
            | Command::InviteToGuild(_)
            | Command::AcceptGuild(_)
            | Command::DeclineGuild(_)
            | Command::LeaveGuild(_)
            | Command::RemoveFromGuild(_)
            | Command::SetGuildRole(_)
            | Command::PutInChest(_)
            | Command::TakeFromChest(_)
            | Command::DissolveGuild(_)
            | Command::RenameGuild(_)) => return self.in_guild(guild, cx),
            Command::Rename(rename) => return self.rename(&rename, cx),
            estate @ (Command::ClaimLand(_)
            | Command::ReleaseLand(_)
            | Command::SetRights(_)
            | Command::AttendEstate(_)
            | Command::AbandonEstate(_)) => return self.of_estates(estate, &body, cx),
            Command::Unblock(unblock) => self.unblock(unblock.whom),
            Command::Craft(craft) => self.craft(&craft, cx),
            Command::Say(say) => return Ok(Self::say(&say)?.into()),
            Command::Whisper(whisper) => return Ok(self.whisper(&whisper, cx)?.into()),
            Command::Hold(hold) => self.hold(hold),
            Command::Paint(paint) => self.paint(paint),
            command => return self.trades_with_absent(command, cx),
        };
        Ok(done?.into())
    }

    fn private(&self) -> PlayerPrivate {
        let Self { name, colour, holds, items, circle, trade, belonging, naming, .. } = self;
        let [friends, asks_me, asked, blocked] = circle.lists();
        let (slots, name, trade) = (items.slots(), name.clone(), trade.clone());
        let (colour, holds) = (*colour, *holds);
        let Belonging { guild, invitations } = belonging.clone();
        let mine = PlayerPrivate { slots, name, colour, holds, trade, ..PlayerPrivate::default() };
        let (old_names, renamed_at) = (naming.old_names(), naming.changed_at);
        let deeds = self.deeds.clone();
        let mine = PlayerPrivate { old_names, renamed_at, deeds, ..mine };
        PlayerPrivate { friends, asks_me, asked, blocked, guild, invitations, ..mine }
    }

    fn spawn(&self, cx: &mut Context<'_, Self>) -> Body {
        Body { island: ISLAND, at: cx.world.arrival(cx.id.id), heading: 32, speed: 0 }
    }

    fn speed_max(&self, _world: &Island) -> u32 {
        SPEED_MAX_MM
    }

    fn walk(&self, from: &Body, to: &Body, cx: &mut Context<'_, Self>) -> Result<(), Refusal> {
        if from.island != ISLAND || to.island != ISLAND || from.at.distance(to.at) > STEP_MAX_MM {
            return Err(No::TooFar.into());
        }
        match cx.world.obstacle(from.at, to.at) {
            Some(Biome::Cliff) => return Err(No::Cliff.into()),
            Some(_) => return Err(No::Water.into()),
            None => {}
        }
        for chunk in Rect::around(from.at, to.at).grown(HALF_BUILDING_MM + BODY_RADIUS_MM).chunks() {
            let walls: Option<LandWalls> = cx.look_as::<Land, _>(chunk);
            if walls.is_some_and(|walls| is_barred(chunk, &walls.buildings, from.at, to.at)) {
                return Err(No::Wall.into());
            }
        }
        Ok(())
    }
}

/// What one player does for another one's transaction.
impl Asked for Player {
    fn answer(&self, wish: Wish, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        match wish {
            Wish::Receive(receive) => self.answer_receive(receive, by, cx),
            Wish::Befriend(_) => self.answer_befriend(by, cx),
            Wish::Forget(forget) => self.answer_forget(forget.blocks, by, cx),
            Wish::Trade(trade) => self.answer_trade(trade.trade, by, cx),
            Wish::SeeOffer(offer) => self.answer_see_offer(offer, by, cx),
            Wish::Confirm(confirm) => self.answer_confirm(&confirm, by, cx),
            Wish::EndTrade(end) => self.answer_end_trade(end.trade, by, cx),
            Wish::Letter(ask) => self.answer_letter(by.id.id, &ask.called),
            Wish::GuildInvite(ask) => self.answer_guild_invite(ask, by, cx),
            Wish::GuildEnd(ask) => self.answer_guild_end(ask, by, cx),
            Wish::GuildRole(ask) => self.answer_guild_role(ask, by, cx),
            Wish::EstateLapse(_) => self.answer_lapse(by.id.id, cx),
        }
    }
}

impl Entity for Player {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Born(born) => {
                self.name.clone_from(&born.name);
                self.colour = born.colour;
            }
            Event::Gathered(fact) => self.exchange(&[], fact.gained.as_slice()),
            Event::Crafted(fact) => self.exchange(&fact.spent, &fact.gained),
            Event::Paid(fact) => self.exchange(&fact.spent, &[]),
            Event::Returned(fact) => self.exchange(&[], &fact.gained),
            Event::Given(fact) => {
                fact.to.iter().for_each(|_| self.exchange(fact.each.as_slice(), &[]));
            }
            Event::Received(fact) => self.exchange(&[], fact.gained.as_slice()),
            Event::Compensated(fact) => self.exchange(&[], fact.gained.as_slice()),
            Event::Hand(fact) => self.holds = fact.item,
            Event::Whispered(fact) => self.whispers = fact.number,
            Event::FriendAsked(fact) => self.circle.on_asked(fact),
            Event::FriendMade(fact) => self.circle.on_made(fact),
            Event::FriendEnded(fact) => self.circle.on_ended(fact),
            Event::Blocked(fact) => {
                self.circle.on_blocked(fact);
                self.belonging.on_blocked(fact.who.as_ref());
            }
            Event::Unblocked(fact) => self.circle.on_unblocked(fact),
            Event::TradeBegun(fact) => self.trade.clone_from(&fact.trade),
            Event::TradeChanged(fact) => self.on_trade_changed(fact),
            Event::TradeConfirmed(fact) => {
                self.trade.iter_mut().for_each(|trade| trade.on_confirmed(fact));
            }
            Event::TradeDone(fact) => {
                self.trade = None;
                self.exchange(&[], &fact.gained);
                self.on_deeds_traded(&fact.deeds_spent, &fact.deeds_gained);
            }
            Event::TradeLeft(fact) => {
                self.trade = None;
                self.exchange(&[], &fact.returned);
            }
            Event::LetterSent(fact) => self.exchange(&fact.stacks, &[]),
            Event::LetterEmptied(fact) => self.exchange(&[], &fact.gained),
            Event::StallFilled(fact) => self.exchange(&fact.spent, &[]),
            Event::StallEmptied(fact) => self.exchange(&[], &fact.gained),
            Event::Bought(fact) => self.exchange(&fact.spent, &fact.gained),
            Event::Listed(_) => self.listed = true,
            Event::GuildEntered(_)
            | Event::GuildExited(_)
            | Event::GuildInvitationCame(_)
            | Event::GuildInvitationEnded(_)
            | Event::GuildRoleChanged(_)
            | Event::ChestServed(_) => self.on_guild(event),
            Event::NameChanged(_) | Event::NameFreed(_) | Event::PersonRenamed(_) | Event::GuildNamed(_) => {
                self.on_name(event)
            }
            Event::LandClaimed(_) | Event::DeedLost(_) => self.on_estate(event),
            Event::Painted(fact) => {
                self.colour = fact.colour;
                self.exchange(fact.spent.as_slice(), &[]);
            }
        }
    }

    fn public(&self, _at: WorldTime) -> Option<PlayerPublic> {
        let Self { name, colour, holds, belonging, .. } = self;
        let (name, guild) = (name.clone(), belonging.tag());
        (!name.is_empty()).then_some(PlayerPublic { name, colour: *colour, holds: *holds, guild })
    }
}
