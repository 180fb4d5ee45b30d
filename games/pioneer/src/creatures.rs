//! Creatures: rabbits and sheep that graze, wander and flee. Volatile: they live while somebody looks at their chunk.
//!
//! A [`Herd`] is the live part of one chunk's land. The seed decides where its creatures begin; what they do then is random.
//! They stay on dry ground and near the chunk they belong to.

use gundo::{Body, ChunkId, Kind, Point, State, TickContext};

use crate::geometry::ISLAND;
use crate::island::{Biome, Island};
use crate::land::Land;
use crate::noise::hash;
use crate::player::Player;
use crate::schema::{CreaturePublic, Mood, Species};

/// Kind of rabbits, as clients see them.
pub const RABBIT: Kind = Kind(100);
/// Kind of sheep, as clients see them.
pub const SHEEP: Kind = Kind(101);

/// Most creatures of a chunk.
const HERD_MAX: usize = 4;
/// How far from its beginning a creature wanders before it turns back, mm.
const RANGE_MM: u32 = 14_000;
/// Creatures flee from players closer than this, mm.
const SHY_MM: u32 = 5_000;
/// How often a herd looks around, ticks: often enough to look shy, at a tenth of the cost of looking in every tick.
const LOOK_TICKS: u32 = 4;
/// How long a fright lasts, ms.
const FRIGHT_MS: u64 = 2_500;

/// The creatures of one chunk.
#[derive(Default)]
pub struct Herd {
    /// Whether the creatures have come out.
    awake: bool,
    creatures: Vec<Creature>,
    ticks: u32,
}

struct Creature {
    species: Species,
    look: u8,
    /// Where it belongs.
    home: Point,
    at: Point,
    heading: u8,
    mood: Mood,
    /// World time, ms, of its next choice.
    until: u64,
}

impl Creature {
    fn kind(&self) -> Kind {
        if self.species == Species::Sheep { SHEEP } else { RABBIT }
    }

    /// In 0.1 m/s.
    fn speed(&self) -> u8 {
        match (self.mood, self.species) {
            (Mood::Calm, _) => 0,
            (Mood::Wanders, Species::Rabbit) => 12,
            (Mood::Wanders, _) => 7,
            (Mood::Flees, Species::Rabbit) => 52,
            (Mood::Flees, _) => 34,
        }
    }

    fn body(&self) -> Body {
        Body { island: ISLAND, at: self.at, heading: self.heading, speed: self.speed() }
    }

    /// Chooses what to do next, now that the time of the last choice is over.
    fn think(&mut self, now: u64, chance: u64) {
        let stray = !self.at.within(self.home, RANGE_MM);
        let restless = chance & 0xff < 110;
        self.mood = if stray || restless { Mood::Wanders } else { Mood::Calm };
        if stray {
            self.heading = heading(self.at, self.home);
        } else if restless {
            self.heading = (chance >> 8) as u8 % gundo::HEADINGS;
        }
        self.until = now + 900 + (chance >> 16) % 2_600;
    }

    fn flee(&mut self, from: Point, now: u64, chance: u64) {
        // Away, but not all in the same direction.
        let away = i32::from(heading(from, self.at)) + (chance % 17) as i32 - 8;
        self.heading = away.rem_euclid(gundo::HEADINGS.into()) as u8;
        self.mood = Mood::Flees;
        self.until = now + FRIGHT_MS;
    }

    /// Walks for one tick; at an obstacle it turns instead.
    fn walk(&mut self, land: &Land, island: &Island, tick_ms: u32, chance: u64) {
        let way = i64::from(self.speed()) * i64::from(tick_ms) / 10;
        if way == 0 {
            return;
        }
        let (dx, dy) = direction(self.heading);
        let step = |v: i32, d: i64| v + (d * way / 1_024) as i32;
        let next = Point::new(step(self.at.x, dx), step(self.at.y, dy));
        if island.biome(next).is_walkable() && !land.bars(self.at, next) {
            self.at = next;
        } else {
            let turn = if chance & 1 == 0 { 24 } else { gundo::HEADINGS - 24 };
            self.heading = (self.heading + turn) % gundo::HEADINGS;
        }
    }
}

impl Herd {
    /// One tick: look around sometimes, think, walk, be seen.
    pub(crate) fn tick(&mut self, chunk: ChunkId, land: &Land, cx: &mut TickContext<'_, Land>) {
        if !self.awake {
            self.awake = true;
            self.creatures = beginnings(chunk, cx.world);
        }
        if self.creatures.is_empty() {
            return;
        }
        if self.ticks.is_multiple_of(LOOK_TICKS) {
            self.look_around(chunk, cx);
        }
        self.ticks = self.ticks.wrapping_add(1);
        for (index, creature) in (0..).zip(&mut self.creatures) {
            let chance = cx.random();
            if cx.now.0 >= creature.until {
                creature.think(cx.now.0, chance);
            }
            creature.walk(land, cx.world, cx.tick_ms, chance >> 48);
            let public = CreaturePublic {
                species: creature.species.into(),
                mood: creature.mood.into(),
                look: creature.look.into(),
            };
            cx.child(creature.kind(), index, creature.body(), &public);
        }
    }

    fn look_around(&mut self, chunk: ChunkId, cx: &mut TickContext<'_, Land>) {
        let middle = chunk.corner();
        let middle = Point::new(middle.x + gundo::CHUNK_MM / 2, middle.y + gundo::CHUNK_MM / 2);
        // Half a chunk's diagonal, how far they stray beyond, and how far they see.
        let reach = gundo::CHUNK_MM as u32 * 3 / 4 + RANGE_MM + SHY_MM;
        let players: Vec<Point> = cx
            .near(ISLAND, middle, reach)
            .into_iter()
            .filter(|other| other.id.kind == Player::KIND)
            .filter_map(|other| other.body.map(|body| body.at))
            .collect();
        for creature in &mut self.creatures {
            let nearest = players.iter().min_by_key(|p| p.distance_squared(creature.at));
            if let Some(p) = nearest.filter(|p| p.within(creature.at, SHY_MM)) {
                let chance = cx.random();
                creature.flee(*p, cx.now.0, chance);
            }
        }
    }
}

/// The creatures of `chunk` where they come out: by the seed alone.
fn beginnings(chunk: ChunkId, island: &Island) -> Vec<Creature> {
    let bits = hash(island.seed(), 0xbea5, chunk.x.into(), chunk.y.into());
    let corner = chunk.corner();
    let middle = Point::new(corner.x + gundo::CHUNK_MM / 2, corner.y + gundo::CHUNK_MM / 2);
    let (species, count) = match (island.biome(middle), bits % 100) {
        (Biome::Grass, 0..12) => (Species::Sheep, 2 + (bits >> 8) % 3),
        (Biome::Grass, 12..34) | (Biome::Forest, 0..18) => (Species::Rabbit, 1 + (bits >> 8) % 3),
        _ => return Vec::new(),
    };
    let begin = |k: u64| {
        let bits = hash(island.seed() ^ bits, k, 0, 0);
        let span = |bits: u64| (bits % 24_000) as i32 + 3_000;
        let at = Point::new(corner.x + span(bits & 0xffff_ffff), corner.y + span(bits >> 32));
        let (heading, look) = ((bits >> 24) as u8 % gundo::HEADINGS, (bits >> 40) as u8);
        let calm = Creature { species, look, home: at, at, heading, mood: Mood::Calm, until: 0 };
        island.biome(at).is_walkable().then_some(calm)
    };
    (0..count).filter_map(begin).take(HERD_MAX).collect()
}

/// 1,024 times the sine of k/128 of a full turn, for the first quarter.
const SINES: [i64; 33] = [
    0, 50, 100, 150, 200, 249, 297, 345, 392, 438, 483, 526, 569, 610, 650, 688, 724, 759, 792, 822, 851,
    878, 903, 926, 946, 964, 980, 993, 1004, 1013, 1019, 1023, 1024,
];

/// 1,024 times the direction of a heading.
fn direction(heading: u8) -> (i64, i64) {
    let sine = |k: u8| {
        let k = usize::from(k % 128);
        match k {
            0..=32 => SINES[k],
            33..=64 => SINES[64 - k],
            65..=96 => -SINES[k - 64],
            _ => -SINES[128 - k],
        }
    };
    (sine(heading + 32), sine(heading))
}

/// The heading from `from` towards `to`.
fn heading(from: Point, to: Point) -> u8 {
    let (dx, dy) = (i64::from(to.x) - i64::from(from.x), i64::from(to.y) - i64::from(from.y));
    let along = |h: &u8| {
        let (x, y) = direction(*h);
        x * dx + y * dy
    };
    (0..gundo::HEADINGS).max_by_key(along).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::LandState;

    #[test]
    fn headings_and_directions_agree() {
        let origin = Point::default();
        for h in 0..gundo::HEADINGS {
            let (x, y) = direction(h);
            assert!((x * x + y * y - 1_024 * 1_024).abs() < 3_000, "{h}");
            assert_eq!(heading(origin, Point::new(x as i32 * 50, y as i32 * 50)), h);
        }
        assert_eq!(heading(origin, Point::new(9, 0)), 0, "east");
        assert_eq!(heading(origin, Point::new(0, 9)), 32, "south");
    }

    #[test]
    fn at_the_water_a_creature_turns() {
        let island = Island::generate(1);
        let dry = |x: i32| Point::new(x, island.village().y);
        let last_dry = |x: &i32| island.biome(dry(*x)).is_walkable();
        let shore =
            (island.village().x..).step_by(100).take_while(last_dry).last().expect("the village is dry");
        let at = dry(shore);
        let land = Land::from_durable(ChunkId::of(ISLAND, at).to_u64(), &island, LandState::default());
        let (species, mood, until) = (Species::Rabbit, Mood::Flees, u64::MAX);
        let mut rabbit = Creature { species, look: 0, home: at, at, heading: 0, mood, until };
        for chance in 0..50 {
            rabbit.walk(&land, &island, 100, chance / 3);
            assert!(island.biome(rabbit.at).is_walkable(), "it swims after {chance} ticks");
        }
        assert_ne!((rabbit.at, rabbit.heading), (at, 0));
    }

    #[test]
    fn some_chunks_have_creatures_and_most_have_none() {
        let island = Island::generate(1);
        let around: Vec<_> = ChunkId::of(0, island.village()).around(10).collect();
        let herds: Vec<_> =
            around.iter().map(|c| beginnings(*c, &island)).filter(|h| !h.is_empty()).collect();
        assert!((10..around.len() / 2).contains(&herds.len()), "{} herds", herds.len());
        assert!(herds.iter().flatten().all(|c| island.biome(c.at).is_walkable()));
    }
}
