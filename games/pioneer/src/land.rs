//! Land: what grows and what is built in one chunk.
//!
//! Its state is only what differs from the seed. Regrowth is a function of world time: no event, no tick. Players ask land
//! as part of their transactions; a building asks every chunk under or near it, one of which lists it.

use std::collections::BTreeMap;

use gundo::{
    Actor, Asked, ChunkId, Context, Done, Entity, Point, Refusal, State, Stored, TickContext, Ticking,
    WorldTime,
};

use crate::creatures::Herd;
use crate::estate::Act;
use crate::geometry::{ISLAND, Rect};
use crate::island::Island;
use crate::nature::{Growth, Nature, RADIUS_MAX_MM};
use crate::refusals::No;
use crate::schema::{
    Building, BuildingRaised, BuildingRazed, Built, LandPublic, LandReply, LandState, Raise, Raze, Regrowth,
    Right, Stack, Stage, Take, Taken, Terms, Thing, land_command::Command, land_event::Event,
};

/// How far away a thing may be to gather it, mm.
pub const GATHER_REACH_MM: u32 = 3_000;
/// Most buildings one chunk lists or lies near.
pub const LOTS_MAX: usize = 64;
/// Solid buildings are this much larger, on every side, for bodies that walk, mm.
pub const BODY_RADIUS_MM: i32 = 250;
/// Index of the first building: lower ones are the things that grow.
const FIRST_INDEX: u32 = 256;

/// The land of one chunk.
#[derive(State)]
#[state(kind = 2, name = "land", land, world = Island, durable = LandState, event = Event, public = LandPublic)]
#[state(ask = Command, answer = LandReply, live = Herd)]
pub struct Land {
    pub(crate) chunk: ChunkId,
    /// The things that grow, by index; from the seed.
    nature: Vec<Nature>,
    /// Things that somebody has taken from, by index: units left, and since when they grow again.
    regrowths: BTreeMap<u32, (u32, u64)>,
    /// The buildings, in the order in which they were built.
    lots: Vec<Lot>,
    next_index: u32,
    /// The estate that it belongs to.
    pub(crate) terms: Option<Terms>,
    /// When its estate last heard of it; 0: never.
    pub(crate) attended_at: u64,
}

/// A building that this chunk lists (`index` is not 0), or that stands so near that nothing may be built there.
struct Lot {
    built: BuildingRaised,
    plan: Rect,
    /// The ground before its door.
    door: Option<Rect>,
}

impl Lot {
    /// Things whose middle is here are under the building.
    fn covers(&self, thing: &Nature) -> bool {
        self.plan.grown(Growth::of(thing.what).radius_mm).contains(thing.at)
    }

    fn is_at(&self, x: i32, y: i32) -> bool {
        (self.built.x, self.built.y) == (x, y)
    }
}

/// The chunks a building asks: the one that lists it first, then all others under or near it, or before its door. None if there is no
/// such building.
pub(crate) fn chunks_for(what: Building, middle: Point, rotation: u32) -> Vec<ChunkId> {
    let Some(plan) = Rect::plan(what, middle, rotation) else { return Vec::new() };
    let first = ChunkId::of(ISLAND, middle);
    let mut chunks = plan.grown(RADIUS_MAX_MM).chunks();
    let before_door = Rect::before_door(what, middle, rotation).map(|door| door.chunks());
    chunks.extend(before_door.into_iter().flatten());
    chunks.sort_unstable();
    chunks.dedup();
    chunks.retain(|chunk| *chunk != first);
    chunks.insert(0, first);
    chunks
}

/// Whether one of `buildings`, listed by `chunk`, bars the straight path. A body inside one may leave it.
pub(crate) fn is_barred(chunk: ChunkId, buildings: &[Built], from: Point, to: Point) -> bool {
    buildings.iter().any(|built| {
        let plan = Rect::plan(built.what(), place(chunk, built), built.rotation);
        plan.is_some_and(|plan| bars(&plan, from, to))
    })
}

/// The middle of a building that `chunk` lists.
pub(crate) fn place(chunk: ChunkId, built: &Built) -> Point {
    let corner = chunk.corner();
    let mm = |units: u32| i32::try_from(units).unwrap_or(0).saturating_mul(gundo::MOTION_UNIT_MM);
    Point::new(corner.x.saturating_add(mm(built.x)), corner.y.saturating_add(mm(built.y)))
}

fn bars(plan: &Rect, from: Point, to: Point) -> bool {
    let solid = plan.grown(BODY_RADIUS_MM);
    !solid.contains(from) && solid.crosses(from, to)
}

impl Land {
    fn thing(&self, index: u32) -> Option<&Nature> {
        let thing = self.nature.iter().find(|thing| u32::from(thing.index) == index)?;
        (!self.is_covered(thing)).then_some(thing)
    }

    fn is_covered(&self, thing: &Nature) -> bool {
        self.lots.iter().any(|lot| lot.covers(thing))
    }

    /// Units on `thing` at `at`.
    fn grown(&self, thing: &Nature, at: u64) -> u32 {
        let growth = Growth::of(thing.what);
        match self.regrowths.get(&thing.index.into()) {
            Some((left, since)) => growth.grown(*left, *since, at),
            None => growth.amount_max,
        }
    }

    fn stage(&self, thing: &Nature, at: u64) -> Stage {
        match self.grown(thing, at) {
            0 => Stage::Bare,
            units if units < Growth::of(thing.what).amount_max => Stage::Growing,
            _ => Stage::Full,
        }
    }

    /// Whether a building here bars a path.
    pub(crate) fn bars(&self, from: Point, to: Point) -> bool {
        self.lots.iter().any(|lot| bars(&lot.plan, from, to))
    }

    fn decide_take(
        &self,
        take: &Take,
        actor: &Actor,
        cx: &Context<'_, Self>,
    ) -> Result<(Done<Self>, LandReply), No> {
        let at = cx.now;
        let thing = self.thing(take.thing).ok_or(No::NothingThere)?;
        let body = actor.body.ok_or(No::Unclear)?;
        if body.island != ISLAND || !body.at.within(thing.at, GATHER_REACH_MM) {
            return Err(No::TooFar);
        }
        let right = self.right(Act::Gather, take.key.as_ref(), cx.world)?;
        let growth = Growth::of(thing.what);
        let grown = self.grown(thing, at.0);
        let amount = growth.share(grown, &take.tools);
        if amount == 0 {
            return Err(No::NothingGrown);
        }
        let (right, attends) = (right.into(), self.attends(right, cx));
        let taken = Taken { thing: take.thing, grown, amount, at: at.0, by: actor.id.id, right, attends };
        let gained = Some(Stack { item: growth.gives.into(), count: amount, ..Stack::default() });
        let done = self.attended(attends, Done::new().event(&Event::Taken(taken)), cx);
        Ok((done, LandReply { gained, ..LandReply::default() }))
    }

    fn decide_raise(
        &self,
        raise: &Raise,
        actor: &Actor,
        cx: &Context<'_, Self>,
    ) -> Result<(Done<Self>, LandReply), No> {
        let at = cx.now;
        let middle = Point::new(raise.x, raise.y);
        let plan = Rect::plan(raise.what(), middle, raise.rotation).ok_or(No::Unclear)?;
        if !chunks_for(raise.what(), middle, raise.rotation).contains(&self.chunk) {
            return Err(No::Unclear);
        }
        if self.lots.len() >= LOTS_MAX {
            return Err(No::LandFull);
        }
        let in_the_way = |thing: &Nature| {
            plan.grown(Growth::of(thing.what).radius_mm).contains(thing.at)
                && !self.is_covered(thing)
                && self.grown(thing, at.0) > 0
        };
        if self.lots.iter().any(|lot| lot.plan.overlaps(&plan)) || self.nature.iter().any(in_the_way) {
            return Err(No::NotFree);
        }
        let bars_door =
            |lot: &Lot| lot.built.owner != actor.id.id && lot.door.is_some_and(|door| door.overlaps(&plan));
        if self.lots.iter().any(bars_door) {
            return Err(No::BeforeDoor);
        }
        let is_here = plan.overlaps(&Rect::chunk(self.chunk));
        let right = if is_here { self.right(Act::Build, raise.key.as_ref(), cx.world)? } else { Right::None };
        let attends = self.attends(right, cx);
        let lists = ChunkId::of(ISLAND, middle) == self.chunk;
        let index = if lists { self.next_index } else { 0 };
        let raised = BuildingRaised {
            what: raise.what,
            x: raise.x,
            y: raise.y,
            rotation: raise.rotation,
            owner: actor.id.id,
            index,
            entity: if lists { raise.entity } else { 0 },
            right: right.into(),
            attends_at: if attends { at.0 } else { 0 },
        };
        let done = self.attended(attends, Done::new().event(&Event::Raised(raised)), cx);
        Ok((done, LandReply { index, ..LandReply::default() }))
    }

    fn decide_raze(
        &self,
        raze: &Raze,
        actor: &Actor,
        cx: &Context<'_, Self>,
    ) -> Result<(Done<Self>, LandReply), No> {
        let at = cx.now;
        let lists = ChunkId::of(ISLAND, Point::new(raze.x, raze.y)) == self.chunk;
        let Some(lot) = self.lots.iter().find(|lot| lot.is_at(raze.x, raze.y)) else {
            // Chunks before the door of a hut from before there were estates know nothing of it.
            return if lists { Err(No::NothingThere) } else { Ok((Done::new(), LandReply::default())) };
        };
        let right = self.right_to_raze(&lot.built, &lot.plan, (raze, actor), cx)?;
        let attends = self.attends(right, cx);
        let by = actor.id.id;
        let razed = BuildingRazed { x: raze.x, y: raze.y, at: at.0, right: right.into(), attends, by };
        let reply = LandReply {
            what: lot.built.what,
            index: lot.built.index,
            x: raze.x,
            y: raze.y,
            entity: lot.built.entity,
            ..LandReply::default()
        };
        Ok((self.attended(attends, Done::new().event(&Event::Razed(razed)), cx), reply))
    }

    /// Who has built it may take it down, and who may take down on all land under it; a stall only its owner.
    fn right_to_raze(
        &self,
        built: &BuildingRaised,
        plan: &Rect,
        (raze, actor): (&Raze, &Actor),
        cx: &Context<'_, Self>,
    ) -> Result<Right, No> {
        if built.owner == actor.id.id {
            return Ok(Right::Builder);
        }
        if !plan.overlaps(&Rect::chunk(self.chunk)) {
            return Ok(Right::None);
        }
        if self.terms.is_none() || built.what() == Building::Stall {
            return Err(No::NotOwner);
        }
        self.right(Act::Demolish, raze.key.as_ref(), cx.world)
    }

    pub(crate) fn has_building_of_others(&self, player: u64) -> bool {
        let here = Rect::chunk(self.chunk);
        self.lots.iter().any(|lot| lot.built.owner != player && lot.plan.overlaps(&here))
    }

    fn raise(&mut self, built: &BuildingRaised) {
        let middle = Point::new(built.x, built.y);
        if let Some(plan) = Rect::plan(built.what(), middle, built.rotation) {
            let door = Rect::before_door(built.what(), middle, built.rotation);
            self.lots.push(Lot { built: *built, plan, door });
        }
        self.next_index = self.next_index.max(built.index.saturating_add(1));
    }

    /// Removes the building. What it covered starts to grow again from nothing.
    fn raze(&mut self, razed: &BuildingRazed) {
        let covered = |land: &Self, thing: &Nature| land.is_covered(thing);
        let before: Vec<_> = self.nature.iter().filter(|thing| covered(self, thing)).copied().collect();
        self.lots.retain(|lot| !lot.is_at(razed.x, razed.y));
        for thing in before {
            if !self.is_covered(&thing) {
                self.regrowths.insert(thing.index.into(), (0, razed.at));
            }
        }
    }

    /// As clients see `at`, a place in this chunk: motion units from its corner.
    fn units(&self, at: Point) -> (u32, u32) {
        let corner = self.chunk.corner();
        let units = |v: i32, corner: i32| ((v - corner) / gundo::MOTION_UNIT_MM) as u32;
        (units(at.x, corner.x), units(at.y, corner.y))
    }

    fn show_thing(&self, thing: &Nature, at: u64) -> Thing {
        let (x, y) = self.units(thing.at);
        let stage = self.stage(thing, at);
        let growth = Growth::of(thing.what);
        let full_at = match self.regrowths.get(&thing.index.into()) {
            Some((left, since)) if stage != Stage::Full => growth.grown_at(*left, *since, growth.amount_max),
            _ => 0,
        };
        let (what, stage) = (thing.what.into(), stage.into());
        Thing { index: thing.index.into(), what, x, y, stage, full_at, look: thing.look.into() }
    }

    fn show_building(&self, built: &BuildingRaised) -> Built {
        let (x, y) = self.units(Point::new(built.x, built.y));
        let BuildingRaised { what, rotation, owner, index, entity, .. } = *built;
        Built { index, what, x, y, rotation, owner, entity }
    }
}

impl Stored for Land {
    fn load(id: u64, world: &Island, state: LandState) -> Self {
        let chunk = ChunkId::from_u64(id);
        let nature = if chunk.island == ISLAND { world.nature(chunk) } else { Vec::new() };
        let regrowths = state.regrowths.iter().map(|r| (r.thing, (r.left, r.since))).collect();
        let next_index = state.next_index.max(FIRST_INDEX);
        let LandState { terms, attended_at, .. } = state;
        let mut land = Self { chunk, nature, regrowths, lots: Vec::new(), next_index, terms, attended_at };
        state.buildings.iter().for_each(|built| land.raise(built));
        land
    }

    fn save(&self) -> LandState {
        let regrowth = |(thing, (left, since)): (&u32, &(u32, u64))| Regrowth {
            thing: *thing,
            left: *left,
            since: *since,
        };
        LandState {
            next_index: self.next_index,
            buildings: self.lots.iter().map(|lot| lot.built).collect(),
            regrowths: self.regrowths.iter().map(regrowth).collect(),
            terms: self.terms.clone(),
            attended_at: self.attended_at,
        }
    }
}

impl Asked for Land {
    fn answer(
        &self,
        ask: Command,
        by: &Actor,
        cx: &mut Context<'_, Self>,
    ) -> Result<(Done<Self>, LandReply), Refusal> {
        let answer = match ask {
            Command::Take(take) => self.decide_take(&take, by, cx),
            Command::Raise(raise) => self.decide_raise(&raise, by, cx),
            Command::Raze(raze) => self.decide_raze(&raze, by, cx),
            Command::Claim(claim) => return self.claim(claim.terms, by, cx),
            Command::Free(free) => return self.free(free.estate),
            Command::Tell(terms) => return self.hear(terms, by),
        };
        Ok(answer?)
    }
}

impl Entity for Land {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Taken(taken) => {
                let left = taken.grown.saturating_sub(taken.amount);
                self.regrowths.insert(taken.thing, (left, taken.at));
                self.attended_at = if taken.attends { taken.at } else { self.attended_at };
            }
            Event::Raised(built) => {
                self.attended_at = self.attended_at.max(built.attends_at);
                self.raise(built);
            }
            Event::Razed(razed) => {
                self.attended_at = if razed.attends { razed.at } else { self.attended_at };
                self.raze(razed);
            }
            Event::Terms(terms) => self.terms = Some(terms.clone()),
            Event::Freed(_) => (self.terms, self.attended_at) = (None, 0),
        }
    }

    fn public(&self, at: WorldTime) -> Option<LandPublic> {
        let free = self.nature.iter().filter(|thing| !self.is_covered(thing));
        let listed = self.lots.iter().filter(|lot| lot.built.index != 0);
        let public = LandPublic {
            things: free.map(|thing| self.show_thing(thing, at.0)).collect(),
            buildings: listed.map(|lot| self.show_building(&lot.built)).collect(),
            terms: self.terms.clone(),
        };
        let is_empty = public.things.is_empty() && public.buildings.is_empty() && public.terms.is_none();
        (!is_empty).then_some(public)
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let change = |(index, (left, since)): (&u32, &(u32, u64))| {
            let thing = self.thing(*index)?;
            let growth = Growth::of(thing.what);
            let units = match self.stage(thing, at.0) {
                Stage::Bare => 1,
                Stage::Growing => growth.amount_max,
                Stage::Full => return None,
            };
            Some(WorldTime(growth.grown_at(*left, *since, units)))
        };
        self.regrowths.iter().filter_map(change).min()
    }
}

impl Ticking for Land {
    fn tick(&self, herd: &mut Herd, cx: &mut TickContext<'_, Self>) {
        herd.tick(self.chunk, self, cx);
    }
}

impl std::fmt::Debug for Land {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<Building> = self.lots.iter().map(|lot| lot.built.what()).collect();
        write!(f, "Land({:?}, {} regrowing, {kinds:?})", self.chunk, self.regrowths.len())
    }
}
