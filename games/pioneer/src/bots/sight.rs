//! What a bot sees around it: people, what can be gathered, what is built.

use gundo::bots::Picture;
use gundo::{ChunkId, Payload, Point, State};

use crate::geometry::{ISLAND, Rect};
use crate::island::Island;
use crate::land::{BODY_RADIUS_MM, Land, place};
use crate::nature::RADIUS_MAX_MM;
use crate::player::Player;
use crate::schema::{Building, LandPublic, PlayerPublic, Stage};

/// It looks at what grows and is built once in so many steps.
const LOOKS: u32 = 12;
/// Steps in which the ground under a building is looked at, mm.
const GROUND_STEP_MM: usize = 500;

#[derive(Default)]
pub(super) struct Sight {
    /// Id, place, and whether it shows a guild.
    pub(super) people: Vec<(u64, Point, bool)>,
    /// What has something to gather.
    pub(super) grown: Vec<(ChunkId, u32, Point)>,
    /// Stalls: id, middle, owner.
    pub(super) stalls: Vec<(u64, Point, u64)>,
    built: Vec<Rect>,
    looks: u32,
}

impl Sight {
    pub(super) fn look(&mut self, picture: &Picture, me: u64) {
        self.people.clear();
        for (id, seen) in picture.entities().filter(|(id, _)| id.kind == Player::KIND && id.id != me) {
            let Some(body) = seen.body else { continue };
            let public = PlayerPublic::from_bytes(&seen.public).ok().flatten().unwrap_or_default();
            self.people.push((id.id, body.at, !public.guild.is_empty()));
        }
        self.looks += 1;
        if self.looks % LOOKS == 1 {
            self.look_at_land(picture);
        }
    }

    fn look_at_land(&mut self, picture: &Picture) {
        self.grown.clear();
        self.stalls.clear();
        self.built.clear();
        for (id, seen) in picture.entities().filter(|(id, _)| id.kind == Land::KIND) {
            let chunk = ChunkId::from_u64(id.id);
            let Some(land) = LandPublic::from_bytes(&seen.public).ok().flatten() else { continue };
            for thing in land.things.iter().filter(|thing| thing.stage() != Stage::Bare) {
                let unit = |units: u32| units as i32 * gundo::MOTION_UNIT_MM;
                let corner = chunk.corner();
                let at = Point::new(corner.x + unit(thing.x), corner.y + unit(thing.y));
                self.grown.push((chunk, thing.index, at));
            }
            for built in &land.buildings {
                let at = place(chunk, built);
                self.built.extend(Rect::plan(built.what(), at, built.rotation));
                if built.entity != 0 {
                    self.stalls.push((built.entity, at, built.owner));
                }
            }
        }
    }

    /// Something was gathered: nothing is left, or nothing was there.
    pub(super) fn is_bare(&mut self, chunk: ChunkId, thing: u32) {
        self.grown.retain(|(of, index, _)| (*of, *index) != (chunk, thing));
    }

    pub(super) fn where_is(&self, who: u64) -> Option<Point> {
        self.people.iter().find(|(id, ..)| *id == who).map(|(_, at, _)| *at)
    }

    /// Whether no building bars the straight path.
    pub(super) fn is_open(&self, from: Point, to: Point) -> bool {
        let solid = self.built.iter().map(|plan| plan.grown(BODY_RADIUS_MM));
        !solid.into_iter().any(|solid| !solid.contains(from) && solid.crosses(from, to))
    }

    /// Whether the ground holds a building and nothing is in its way, as far as one sees. `me`: where the own body is.
    pub(super) fn has_room(&self, island: &Island, ground: &Rect, me: Point) -> bool {
        let ticks = |from: i32, to: i32| (from..to).step_by(GROUND_STEP_MM).chain([to]);
        let dry = ticks(ground.min.y, ground.max.y)
            .all(|y| ticks(ground.min.x, ground.max.x).all(|x| island.biome(Point::new(x, y)).is_walkable()));
        let near = ground.grown(RADIUS_MAX_MM);
        let mut nature = near.chunks().into_iter().flat_map(|chunk| island.nature(chunk));
        // People walk on meanwhile.
        let solid = ground.grown(4 * BODY_RADIUS_MM);
        let people = self.people.iter().map(|(_, at, _)| *at).chain([me]);
        dry && !nature.any(|thing| near.contains(thing.at))
            && !self.built.iter().any(|built| built.overlaps(ground))
            && !people.into_iter().any(|at| solid.contains(at))
    }
}

/// The ground plan of a building around a place.
pub(super) fn ground(what: Building, at: Point) -> Option<Rect> {
    let middle = gundo::Body { at, island: ISLAND, ..gundo::Body::default() }.rounded().at;
    Rect::plan(what, middle, 0)
}
