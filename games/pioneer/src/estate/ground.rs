//! The land's side of estates: which one a chunk belongs to, and who may do what there. And what nobody may build anywhere, so that
//! nobody is fenced in.
//!
//! * **The commons.** Chunks within [`COMMONS_MM`] of the village belong to nobody, for ever.
//! * **The ways.** Four ways of twice [`WAY_MM`] lead from the middle of the village to the sea: north, south, east and west. Nothing is
//!   built on them (`on_way`). Newcomers appear on them, within 30 m of the middle. So whatever is built around the village, a way
//!   leads out of it; only where water or a cliff lies across one, one goes around that first.
//! * **Doors.** A hut has a door on its south side (rotation 0: in the middle; 1 and 3: west and east of it), or on its north side
//!   (rotation 2). Others may not build on the [`DOOR_MM`] before it (`before_door`).

use gundo::{Actor, Answered, ChunkId, Context, Done, EntityId, Point, State};

use super::Estate;
use crate::geometry::{ISLAND, Rect};
use crate::island::Island;
use crate::land::Land;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Building, Built, ChunkFreed, EstateNote, Key, LandReply, Level, Right, Rights, Terms, land_event::Event,
};

/// Chunks that come so close to the middle of the village cannot be claimed, mm.
pub const COMMONS_MM: u32 = 60_000;
/// Half the width of a way, mm.
pub const WAY_MM: i32 = 1_500;
/// How far before a door others may not build, mm.
pub const DOOR_MM: i32 = 2_000;
/// Half the width of that, mm.
const DOOR_HALF_MM: i32 = 700;
/// How far from the middle the door of a hut is that is turned by a quarter, mm.
const DOOR_ASIDE_MM: i32 = 1_080;
/// Steps in which the ground of a chunk is looked at, mm.
const FOOTING_STEP_MM: usize = 5_000;

impl Island {
    /// Chunks that come so close to the middle of the village cannot be claimed, mm. In simulated worlds hardly anybody walks far.
    pub(crate) fn commons_mm(&self) -> u32 {
        if self.gifts_reach_all() { 10_000 } else { COMMONS_MM }
    }

    /// Whether a chunk is for everybody, for ever.
    pub fn is_commons(&self, chunk: ChunkId) -> bool {
        chunk.island != ISLAND || Rect::chunk(chunk).distance(self.village()) < self.commons_mm().into()
    }

    /// Whether some of this ground is on a way from the village to the sea.
    pub(crate) fn is_on_way(&self, ground: &Rect) -> bool {
        let Point { x, y } = self.village();
        let across = |from: i32, to: i32, way: i32| from < way + WAY_MM && to > way - WAY_MM;
        across(ground.min.x, ground.max.x, x) || across(ground.min.y, ground.max.y, y)
    }

    /// Whether somebody can stand anywhere in a chunk.
    pub(crate) fn has_footing(&self, chunk: ChunkId) -> bool {
        let Rect { min, max } = Rect::chunk(chunk);
        let steps = |from: i32, to: i32| (from..to).step_by(FOOTING_STEP_MM);
        steps(min.y, max.y).any(|y| steps(min.x, max.x).any(|x| self.biome(Point::new(x, y)).is_walkable()))
    }
}

impl Rect {
    /// The ground before the door of a building with this middle, if it has one.
    pub(crate) fn before_door(what: Building, middle: Point, rotation: u32) -> Option<Self> {
        if what != Building::Hut {
            return None;
        }
        let hut = Self::plan(what, middle, rotation)?;
        let aside = [0, -DOOR_ASIDE_MM, 0, DOOR_ASIDE_MM].get(rotation as usize).copied()?;
        let x = middle.x.saturating_add(aside);
        let (from, to) = if rotation == 2 {
            (hut.min.y.saturating_sub(DOOR_MM), hut.min.y)
        } else {
            (hut.max.y, hut.max.y.saturating_add(DOOR_MM))
        };
        let min = Point::new(x.saturating_sub(DOOR_HALF_MM), from);
        Some(Self { min, max: Point::new(x.saturating_add(DOOR_HALF_MM), to) })
    }
}

/// What somebody wants to do on land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Gather,
    Build,
    Demolish,
}

impl Rights {
    pub(crate) fn level(&self, act: Act) -> Level {
        match act {
            Act::Gather => self.gather(),
            Act::Build => self.build(),
            Act::Demolish => self.demolish(),
        }
    }
}

impl Terms {
    /// The right that a key gives; `None`: none.
    pub(crate) fn right(&self, act: Act, key: Option<&Key>) -> Option<Right> {
        let rights = self.rights.as_ref()?;
        let level = rights.level(act);
        let owner = self.owner.as_ref().map_or(0, |owner| owner.id);
        let guild = rights.guild;
        if key.is_some_and(|key| key.deeds.contains(&self.estate)) {
            Some(Right::Deed)
        } else if level >= Level::Friends && key.is_some_and(|key| key.friends.contains(&owner)) {
            Some(Right::Friend)
        } else if level >= Level::Guild && guild != 0 && key.is_some_and(|key| key.guild == guild) {
            Some(Right::Guild)
        } else {
            (level == Level::Everybody).then_some(Right::Everybody)
        }
    }
}

/// Whether a picture of the land says that a key is enough to take down what another one has built there. The land decides.
pub(crate) fn may_demolish(terms: Option<&Terms>, built: &Built, key: Option<&Key>) -> bool {
    built.what() != Building::Stall && terms.is_some_and(|terms| terms.right(Act::Demolish, key).is_some())
}

impl Land {
    /// By which right somebody may do this here.
    pub(crate) fn right(&self, act: Act, key: Option<&Key>, world: &Island) -> Result<Right, No> {
        let Some(terms) = &self.terms else { return Ok(Right::None) };
        let right = terms.right(act, key);
        if act == Act::Build && world.planted(Mistake::BuiltWithoutRight) {
            return Ok(right.unwrap_or(Right::None));
        }
        right.ok_or(No::TheirLand)
    }

    /// Whether the estate hears of what somebody does by this right: not of strangers', and not too often.
    pub(crate) fn attends(&self, right: Right, cx: &Context<'_, Self>) -> bool {
        let counts = matches!(right, Right::Deed | Right::Friend | Right::Guild);
        let is_time = self.attended_at == 0 || cx.now.0 >= self.attended_at + cx.world.attended_every_ms();
        counts && is_time
    }

    /// `done`, and the estate hears that it is not forgotten.
    pub(crate) fn attended(&self, attends: bool, done: Done<Self>, cx: &Context<'_, Self>) -> Done<Self> {
        let Some(terms) = self.terms.as_ref().filter(|_| attends) else { return done };
        done.send::<Estate>(terms.estate, &EstateNote { at: cx.now.0 })
    }

    /// The estate of the asking player gets this chunk.
    pub(crate) fn claim(&self, terms: Option<Terms>, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let terms = terms.filter(|terms| terms.owner.as_ref().is_some_and(|owner| owner.id == by.id.id));
        let terms = terms.filter(|_| by.id.kind == Player::KIND).ok_or(No::Unclear)?;
        if self.terms.is_some() && !cx.world.planted(Mistake::TwoOwners) {
            return Err(No::Claimed.into());
        }
        if cx.world.is_commons(self.chunk) {
            return Err(No::Commons.into());
        }
        if self.has_building_of_others(by.id.id) {
            return Err(No::OthersBuilding.into());
        }
        Ok((Done::new().event(&Event::Terms(terms)), LandReply::default()))
    }

    /// It never refuses: the estate has decided.
    pub(crate) fn free(&self, estate: u64) -> Answered<Self> {
        let is_its = self.terms.as_ref().is_some_and(|terms| terms.estate == estate);
        let freed = Event::Freed(ChunkFreed {});
        Ok((if is_its { Done::new().event(&freed) } else { Done::new() }, LandReply::default()))
    }

    /// It never refuses: the estate has decided.
    pub(crate) fn hear(&self, terms: Terms, by: &Actor) -> Answered<Self> {
        let is_its = self.terms.as_ref().is_some_and(|mine| mine.estate == terms.estate);
        let is_newer = self.terms.as_ref().is_some_and(|mine| mine.version < terms.version);
        let counts = is_its && is_newer && by.id == EntityId::new(Estate::KIND, terms.estate);
        let event = Event::Terms(terms);
        Ok((if counts { Done::new().event(&event) } else { Done::new() }, LandReply::default()))
    }
}
