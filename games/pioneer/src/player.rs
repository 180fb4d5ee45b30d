//! Players: what one owns and looks like, and what one can wish for.
//!
//! Whatever changes the land too is a transaction: the player asks the chunks concerned and concludes with their answers.

use gundo::{
    Body, Bytes, ChunkId, Context, Decision, DecodeError, Entity, EntityId, Kept, Kind, Message, Point,
    Refusal, WorldTime,
};

use crate::catalogue::{COLOURS, CRAFT_COUNT_MAX, plan, recipe, stacks};
use crate::geometry::{ISLAND, Rect};
use crate::inventory::Inventory;
use crate::island::{Biome, Island};
use crate::land::{BODY_RADIUS_MM, GATHER_REACH_MM, Land, chunks_for, is_barred, place};
use crate::names;
use crate::refusals::No;
use crate::schema::{
    Born, Build, BuildingPaid, BuildingReturned, ChunkRef, CoatPainted, Craft, Crafted, Demolish, Gather,
    Gathered, HandChanged, Hold, Item, ItemsCrafted, ItemsGathered, LandCommand, LandPublic, LandReply,
    LandWalls, Paint, PlayerCommand, PlayerEvent, PlayerPrivate, PlayerPublic, PlayerReply, PlayerSignal,
    PlayerState, Raise, Raised, Raze, Razed, Said, Say, Stack, Take, land_command, player_command,
    player_event, player_signal,
};

/// Top walking speed, mm/s.
pub const SPEED_MAX_MM: u32 = 5_000;
/// How far the middle of a building may be, mm.
pub const BUILD_REACH_MM: u32 = 8_000;
/// No single step is longer, mm. The engine bounds speed; this bounds what looking at a step costs.
const STEP_MAX_MM: u64 = 100_000;
/// Half the longest building: a building can bar a way only if its middle is this close.
const HALF_BUILDING_MM: i32 = 3_000;
/// Ground under buildings is looked at in steps of this, mm.
const GROUND_STEP_MM: usize = 500;
/// Namespace of players' names.
const NAMES: &str = "player";

/// A player.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Player {
    /// Empty before the first event.
    name: String,
    colour: u32,
    holds: i32,
    items: Inventory,
    /// What a newer version remembers besides.
    later: Kept<PlayerState>,
}

impl Player {
    fn decide_gather(&self, gather: &Gather, body: &Body) -> Result<Decision<Self>, No> {
        let chunk = chunk_within(gather.chunk, body, GATHER_REACH_MM)?;
        let owned = [Item::Axe, Item::Pickaxe].into_iter().filter(|tool| self.items.count(*tool) > 0);
        let take = Take { thing: gather.thing, tools: owned.map(i32::from).collect() };
        Ok(ask(Decision::new(), chunk, land_command::Command::Take(take)))
    }

    fn conclude_gather(&self, gather: &Gather, answer: &LandReply) -> Result<Decision<Self>, No> {
        let gained = answer.gained.ok_or(No::Unclear)?;
        if !self.items.can_exchange(&[], &[gained]) {
            return Err(No::InventoryFull);
        }
        let (chunk, thing) = (gather.chunk, gather.thing);
        let fact = ItemsGathered { chunk, thing, gained: Some(gained) };
        let signal = Gathered { chunk, thing, gained: Some(gained) };
        Ok(Decision::new()
            .event(&event(player_event::Event::Gathered(fact)))
            .signal(&self::signal(player_signal::Signal::Gathered(signal)))
            .reply(&PlayerReply { gained: vec![gained], ..PlayerReply::default() }))
    }

    fn decide_build(
        &self,
        build: &Build,
        body: &Body,
        cx: &Context<'_, Island>,
    ) -> Result<Decision<Self>, No> {
        let costs = plan(build.what()).ok_or(No::Unclear)?.costs;
        let middle = Point::new(build.x, build.y);
        if !body.at.within(middle, BUILD_REACH_MM) {
            return Err(No::TooFar);
        }
        // Near a body, so far from the ends of i32.
        let middle = Body { at: middle, ..Body::default() }.rounded().at;
        let ground = Rect::plan(build.what(), middle, build.rotation).ok_or(No::Unclear)?;
        if !self.items.can_spend(&stacks(costs, 1)) {
            return Err(No::MissingItems);
        }
        if !holds_building(cx.world, &ground) {
            return Err(No::BadGround);
        }
        let solid = ground.grown(BODY_RADIUS_MM);
        let stands_there = |id: EntityId, body: Option<Body>| {
            id.kind == Self::KIND && body.is_some_and(|body| solid.contains(body.at))
        };
        let mut near = cx.near(ISLAND, middle, BUILD_REACH_MM).into_iter();
        if solid.contains(body.at) || near.any(|other| stands_there(other.id, other.body)) {
            return Err(No::SomeoneThere);
        }
        let raise = Raise { what: build.what, x: middle.x, y: middle.y, rotation: build.rotation };
        let chunks = chunks_for(middle, &ground);
        Ok(chunks.into_iter().fold(Decision::new(), |d, c| ask(d, c, land_command::Command::Raise(raise))))
    }

    fn conclude_build(&self, build: &Build, answer: &LandReply) -> Result<Decision<Self>, No> {
        let spent = stacks(plan(build.what()).ok_or(No::Unclear)?.costs, 1);
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems);
        }
        let middle = Body { at: Point::new(build.x, build.y), ..Body::default() }.rounded().at;
        let chunk = ChunkId::of(ISLAND, middle);
        let (what, Point { x, y }) = (build.what, middle);
        let chunk = Some(ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() });
        let fact = BuildingPaid { what, x, y, spent: spent.clone() };
        Ok(Decision::new()
            .event(&event(player_event::Event::Paid(fact)))
            .signal(&signal(player_signal::Signal::Raised(Raised { what, x, y })))
            .reply(&PlayerReply { spent, chunk, thing: answer.index, ..PlayerReply::default() }))
    }

    fn decide_demolish(
        &self,
        demolish: &Demolish,
        body: &Body,
        cx: &Context<'_, Island>,
    ) -> Result<Decision<Self>, No> {
        let chunk = chunk_within(demolish.chunk, body, BUILD_REACH_MM)?;
        let public = cx.look(chunk, land_of(chunk)).ok_or(No::NothingThere)?;
        let land = LandPublic::decode(public).map_err(|_| No::NothingThere)?;
        let built = land.buildings.iter().find(|b| b.index == demolish.thing).ok_or(No::NothingThere)?;
        if built.owner != cx.id.id {
            return Err(No::NotOwner);
        }
        let middle = place(chunk, built);
        if !body.at.within(middle, BUILD_REACH_MM) {
            return Err(No::TooFar);
        }
        let ground = Rect::plan(built.what(), middle, built.rotation).ok_or(No::Unclear)?;
        let raze = Raze { x: middle.x, y: middle.y };
        let chunks = chunks_for(middle, &ground);
        Ok(chunks.into_iter().fold(Decision::new(), |d, c| ask(d, c, land_command::Command::Raze(raze))))
    }

    fn conclude_demolish(&self, demolish: &Demolish, answer: &LandReply) -> Result<Decision<Self>, No> {
        // What was looked at may have been a tick old: it is the same building only if the index is.
        if answer.index != demolish.thing {
            return Err(No::NothingThere);
        }
        let gained = stacks(plan(answer.what()).ok_or(No::Unclear)?.returns, 1);
        if !self.items.can_exchange(&[], &gained) {
            return Err(No::InventoryFull);
        }
        let LandReply { what, x, y, .. } = *answer;
        let fact = BuildingReturned { what, x, y, gained: gained.clone() };
        Ok(Decision::new()
            .event(&event(player_event::Event::Returned(fact)))
            .signal(&signal(player_signal::Signal::Razed(Razed { what, x, y })))
            .reply(&PlayerReply { gained, ..PlayerReply::default() }))
    }

    fn decide_craft(&self, craft: &Craft) -> Result<Decision<Self>, No> {
        let made = recipe(craft.recipe).ok_or(No::Unclear)?;
        if !(1..=CRAFT_COUNT_MAX).contains(&craft.count) {
            return Err(No::Unclear);
        }
        let (spent, gained) = (stacks(made.takes, craft.count), stacks(made.gives, craft.count));
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems);
        }
        if !self.items.can_exchange(&spent, &gained) {
            return Err(No::InventoryFull);
        }
        let Craft { recipe, count } = *craft;
        let fact = ItemsCrafted { recipe, count, spent: spent.clone(), gained: gained.clone() };
        Ok(Decision::new()
            .event(&event(player_event::Event::Crafted(fact)))
            .signal(&signal(player_signal::Signal::Crafted(Crafted { recipe })))
            .reply(&PlayerReply { gained, spent, ..PlayerReply::default() }))
    }

    fn decide_say(&self, say: &Say) -> Result<Decision<Self>, No> {
        let text = names::accept_text(&say.text)?.to_owned();
        let said = signal(player_signal::Signal::Said(Said { text }));
        Ok(Decision::new().signal(&said).reply(&PlayerReply::default()))
    }

    fn decide_hold(&self, hold: &Hold) -> Result<Decision<Self>, No> {
        if hold.item != i32::from(Item::None) && self.items.count(hold.item()) == 0 {
            return Err(No::NotYours);
        }
        let fact = HandChanged { item: hold.item };
        Ok(Decision::new().event(&event(player_event::Event::Hand(fact))).reply(&PlayerReply::default()))
    }

    fn decide_paint(&self, paint: &Paint) -> Result<Decision<Self>, No> {
        let spent = Stack { item: Item::Dye.into(), count: 1 };
        if paint.colour >= COLOURS {
            return Err(No::Unclear);
        }
        if !self.items.can_spend(&[spent]) {
            return Err(No::MissingItems);
        }
        let fact = CoatPainted { colour: paint.colour, spent: Some(spent) };
        Ok(Decision::new()
            .event(&event(player_event::Event::Painted(fact)))
            .reply(&PlayerReply { spent: vec![spent], ..PlayerReply::default() }))
    }

    fn exchange(&mut self, spent: &[Stack], gained: &[Stack]) {
        self.items.spend(spent);
        self.items.gain(gained);
        if self.items.count(Item::try_from(self.holds).unwrap_or(Item::None)) == 0 {
            self.holds = Item::None.into();
        }
    }
}

fn event(event: player_event::Event) -> PlayerEvent {
    PlayerEvent { event: Some(event) }
}

fn signal(signal: player_signal::Signal) -> PlayerSignal {
    PlayerSignal { signal: Some(signal) }
}

fn ask(decision: Decision<Player>, chunk: ChunkId, command: land_command::Command) -> Decision<Player> {
    decision.ask::<Land>(chunk.to_u64(), &LandCommand { command: Some(command) })
}

fn land_of(chunk: ChunkId) -> EntityId {
    EntityId::new(Land::KIND, chunk.to_u64())
}

/// The chunk a client speaks of, if any of it is within `reach_mm`: no land far away is woken by a wish.
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

impl Entity for Player {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "player";
    type World = Island;
    type Command = PlayerCommand;
    type Event = PlayerEvent;
    type Live = ();

    fn new(_id: u64, _world: &Island) -> Self {
        Self::default()
    }

    fn restore(_id: u64, _world: &Island, snapshot: &[u8]) -> Result<Self, DecodeError> {
        let kept = Kept::<PlayerState>::decode(snapshot.to_vec())?;
        let later = kept.with(PlayerState::default());
        let PlayerState { name, colour, holds, items } = kept.known;
        Ok(Self { name, colour, holds, items: Inventory::from_totals(&items), later })
    }

    fn snapshot(&self) -> Vec<u8> {
        let Self { name, colour, holds, items, later } = self.clone();
        later.with(PlayerState { name, colour, holds, items: items.totals() }).encode().to_vec()
    }

    fn create(&self, name: &str, cx: &mut Context<'_, Island>) -> Result<Decision<Self>, Refusal> {
        let name = names::accept(name)?;
        let colour = (cx.random() % u64::from(COLOURS)) as u32;
        let born = Born { name: name.into(), colour };
        Ok(Decision::new().event(&event(player_event::Event::Born(born))).take_name(
            NAMES,
            &names::comparable(name),
            cx.id,
        ))
    }

    fn decide(
        &self,
        command: PlayerCommand,
        cx: &mut Context<'_, Island>,
    ) -> Result<Decision<Self>, Refusal> {
        use player_command::Command;
        // Nobody asks players for a part of their transaction.
        let (None, Some(body)) = (cx.actor, cx.body) else { return Err(No::Unclear.into()) };
        let decision = match command.command.ok_or(No::Unclear)? {
            Command::Gather(gather) => self.decide_gather(&gather, &body),
            Command::Build(build) => self.decide_build(&build, &body, cx),
            Command::Demolish(demolish) => self.decide_demolish(&demolish, &body, cx),
            Command::Craft(craft) => self.decide_craft(&craft),
            Command::Say(say) => self.decide_say(&say),
            Command::Hold(hold) => self.decide_hold(&hold),
            Command::Paint(paint) => self.decide_paint(&paint),
        };
        Ok(decision?)
    }

    fn conclude(
        &self,
        command: PlayerCommand,
        replies: &[Bytes],
        _cx: &mut Context<'_, Island>,
    ) -> Result<Decision<Self>, Refusal> {
        use player_command::Command;
        // The first chunk asked is the one that has the thing or lists the building.
        let first = replies.first().ok_or(No::Unclear)?;
        let answer = LandReply::decode(first.clone()).map_err(|_| No::Unclear)?;
        let decision = match command.command.ok_or(No::Unclear)? {
            Command::Gather(gather) => self.conclude_gather(&gather, &answer),
            Command::Build(build) => self.conclude_build(&build, &answer),
            Command::Demolish(demolish) => self.conclude_demolish(&demolish, &answer),
            Command::Craft(_) | Command::Say(_) | Command::Hold(_) | Command::Paint(_) => Err(No::Unclear),
        };
        Ok(decision?)
    }

    fn apply(&mut self, event: &PlayerEvent) {
        use player_event::Event;
        let slice = |stack: &Option<Stack>| stack.iter().copied().collect::<Vec<_>>();
        match &event.event {
            Some(Event::Born(born)) => {
                self.name.clone_from(&born.name);
                self.colour = born.colour;
            }
            Some(Event::Gathered(fact)) => self.exchange(&[], &slice(&fact.gained)),
            Some(Event::Crafted(fact)) => self.exchange(&fact.spent, &fact.gained),
            Some(Event::Paid(fact)) => self.exchange(&fact.spent, &[]),
            Some(Event::Returned(fact)) => self.exchange(&[], &fact.gained),
            Some(Event::Hand(fact)) => self.holds = fact.item,
            Some(Event::Painted(fact)) => {
                self.colour = fact.colour;
                self.exchange(&slice(&fact.spent), &[]);
            }
            None => {}
        }
    }

    fn public(&self, _at: WorldTime) -> Option<Vec<u8>> {
        let Self { name, colour, holds, .. } = self;
        (!name.is_empty())
            .then(|| PlayerPublic { name: name.clone(), colour: *colour, holds: *holds }.encode_to_vec())
    }

    fn private(&self) -> Vec<u8> {
        let Self { name, colour, holds, items, .. } = self;
        PlayerPrivate { slots: items.slots(), name: name.clone(), colour: *colour, holds: *holds }
            .encode_to_vec()
    }

    fn spawn(&self, cx: &mut Context<'_, Island>) -> Body {
        Body { island: ISLAND, at: cx.world.arrival(cx.id.id), heading: 32, speed: 0 }
    }

    fn speed_max(&self, _world: &Island) -> u32 {
        SPEED_MAX_MM
    }

    fn walk(&self, from: &Body, to: &Body, cx: &mut Context<'_, Island>) -> Result<(), Refusal> {
        if from.island != ISLAND || to.island != ISLAND || from.at.distance(to.at) > STEP_MAX_MM {
            return Err(No::TooFar.into());
        }
        match cx.world.obstacle(from.at, to.at) {
            Some(Biome::Cliff) => return Err(No::Cliff.into()),
            Some(_) => return Err(No::Water.into()),
            None => {}
        }
        for chunk in Rect::around(from.at, to.at).grown(HALF_BUILDING_MM + BODY_RADIUS_MM).chunks() {
            let Some(public) = cx.look(chunk, land_of(chunk)) else { continue };
            let walls = LandWalls::decode(public).unwrap_or_default();
            if is_barred(chunk, &walls.buildings, from.at, to.at) {
                return Err(No::Wall.into());
            }
        }
        Ok(())
    }
}
