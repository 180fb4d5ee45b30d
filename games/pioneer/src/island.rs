//! The island: two fields of bytes grown from a seed, and what they mean for walking and building.
//!
//! [`Island::generate`] makes it, [`Island::biome`] reads it; `proto/pioneer.proto` tells clients how to read the same
//! bytes. Only whole numbers: every machine grows the same island. What stands on it is in [`nature`](crate::nature).

use gundo::Point;

use crate::mistakes::Mistake;
use crate::noise::{ONE, hash, layers, smooth};
use crate::schema::Terrain;

/// Side of a terrain cell, mm: half a chunk.
pub const CELL_MM: i32 = 15_000;
/// Corners per row and rows of the grid.
pub const CORNERS: usize = 141;
/// Side of the mapped square, mm: 70 chunks. Beyond it there is only sea.
pub const SIZE_MM: i32 = CELL_MM * (CORNERS as i32 - 1);
/// Radius of the clearing at the village, mm.
pub const CLEARING_MM: u32 = 24_000;
/// New players arrive within this distance of the village's middle, mm.
pub const ARRIVAL_MM: u32 = 30_000;
/// They do so on the ways from the village to the sea, at most this far from the middle of one, mm.
const ARRIVAL_ASIDE_MM: u32 = 1_000;

/// How long a letter stays in a mailbox, ms of world time: 7 days.
pub const LETTER_LIFE_MS: u64 = 7 * 24 * 3_600_000;
/// How long it does so in a simulated world, ms.
const LETTER_LIFE_SIMULATED_MS: u64 = 12_000;
/// A player, or a guild, changes its name once in this time, ms of world time: 7 days.
pub const RENAME_EVERY_MS: u64 = 7 * 24 * 3_600_000;
/// How often it does so in a simulated world, ms.
const RENAME_EVERY_SIMULATED_MS: u64 = 4_000;
/// How long an old name is kept before others may take it, ms of world time: 14 days.
pub const NAME_KEPT_MS: u64 = 14 * 24 * 3_600_000;
/// How long it is kept in a simulated world, ms.
const NAME_KEPT_SIMULATED_MS: u64 = 6_000;

/// Heights below are water.
const SEA: u8 = 64;
/// Heights from [`SEA`] to below this are beach.
const BEACH: u8 = 76;
/// Heights from here on are rock.
const ROCK: u8 = 168;
/// Heights from here on are cliff.
const CLIFF: u8 = 214;
/// Wood from here on is forest.
const FOREST: u8 = 128;

/// Steps in which a path is checked, mm: finer than anything the 15 m grid can hide.
const STEP_MM: u64 = 500;

/// What the ground is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Biome {
    /// Sea or lake.
    Water,
    /// Sand.
    Beach,
    /// Meadow.
    Grass,
    /// Trees close together.
    Forest,
    /// Stony hills.
    Rock,
    /// Too steep for anybody.
    Cliff,
}

impl Biome {
    /// Whether somebody can stand there.
    pub fn is_walkable(self) -> bool {
        !matches!(self, Biome::Water | Biome::Cliff)
    }
}

/// The unchanging shape of the world.
pub struct Island {
    seed: u64,
    height: Vec<u8>,
    wood: Vec<u8>,
    village: Point,
    /// Players arrive at most this far from the village, mm.
    arrival_mm: u32,
    /// For simulated worlds: gifts reach everybody.
    gifts_reach_all: bool,
    mistake: Option<Mistake>,
}

impl Island {
    /// Grows the island of `seed`.
    pub fn generate(seed: u64) -> Self {
        let corners = || (0..CORNERS * CORNERS).map(|i| at_corner(i % CORNERS, i / CORNERS));
        let height: Vec<u8> = corners().map(|p| height_at(seed, p)).collect();
        let wood = corners().zip(&height).map(|(p, h)| wood_at(seed, p, *h)).collect();
        let start = Point::default();
        let mut island = Self {
            seed,
            height,
            wood,
            village: start,
            arrival_mm: ARRIVAL_MM,
            gifts_reach_all: false,
            mistake: None,
        };
        island.village = village(&island);
        island.clear_village();
        island
    }

    /// The seed that everything grew from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The middle of the village clearing.
    pub fn village(&self) -> Point {
        self.village
    }

    /// The ground at `p`.
    pub fn biome(&self, p: Point) -> Biome {
        let Some((i, j, fx, fy)) = cell_of(p) else { return Biome::Water };
        let height = bilinear(&self.height, i, j, fx, fy);
        if height < SEA {
            Biome::Water
        } else if height < BEACH {
            Biome::Beach
        } else if height >= CLIFF {
            Biome::Cliff
        } else if height >= ROCK {
            Biome::Rock
        } else if bilinear(&self.wood, i, j, fx, fy) >= FOREST {
            Biome::Forest
        } else {
            Biome::Grass
        }
    }

    /// The first obstacle on the straight path from `from` to `to`, if any: water or cliff. `from` itself is not checked.
    /// The caller bounds the path's length; this checks it every half metre.
    pub fn obstacle(&self, from: Point, to: Point) -> Option<Biome> {
        let steps = from.distance(to).div_ceil(STEP_MM).max(1) as i64;
        let between =
            |a: i32, b: i32, k: i64| (i64::from(a) + (i64::from(b) - i64::from(a)) * k / steps) as i32;
        (1..=steps)
            .map(|k| self.biome(Point::new(between(from.x, to.x, k), between(from.y, to.y, k))))
            .find(|biome| !biome.is_walkable())
    }

    /// The fields, for clients.
    pub fn terrain(&self) -> Terrain {
        Terrain {
            cell_mm: CELL_MM as u32,
            corners: CORNERS as u32,
            height: self.height.clone(),
            wood: self.wood.clone(),
            sea_height: SEA.into(),
            beach_height: BEACH.into(),
            rock_height: ROCK.into(),
            cliff_height: CLIFF.into(),
            forest_wood: FOREST.into(),
        }
    }

    /// Where the player `id` arrives: on dry ground on one of the ways that meet in the village, each at a place of their own.
    pub fn arrival(&self, id: u64) -> Point {
        // Nobody builds on the ways, so nobody arrives where others have fenced in.
        let is_near = self.arrival_mm == ARRIVAL_MM;
        let aside_mm = if is_near { ARRIVAL_ASIDE_MM } else { self.arrival_mm };
        let offset = |bits: u64, reach_mm: u32| (bits % u64::from(2 * reach_mm + 1)) as i32 - reach_mm as i32;
        (0..64)
            .map(|attempt| {
                let bits = hash(self.seed ^ id, 0xa771, attempt, 0);
                let (along, aside) =
                    (offset(bits >> 32, self.arrival_mm), offset(bits & 0xffff_ffff, aside_mm));
                let (dx, dy) = if bits >> 63 == 0 { (along, aside) } else { (aside, along) };
                Point::new(self.village.x + dx, self.village.y + dy)
            })
            .find(|p| {
                let ground = self.biome(*p);
                // Who arrives far away has the land around to itself.
                let reached = !is_near || self.is_reachable(*p);
                p.within(self.village, self.arrival_mm) && ground.is_walkable() && reached
            })
            .unwrap_or(self.village)
    }

    /// The same island with players that arrive all over it: for worlds of thousands.
    #[must_use]
    pub fn with_arrivals_everywhere(self) -> Self {
        Self { arrival_mm: SIZE_MM as u32 / 2, ..self }
    }

    /// The same island on which gifts, trades and stalls reach everybody, near or not, letters are soon old, and estates lapse soon: for simulated worlds, where hardly anybody stands close to
    /// anybody else.
    #[must_use]
    pub fn with_gifts_to_everywhere(self) -> Self {
        Self { gifts_reach_all: true, ..self }
    }

    /// The same island with a mistake in its rules.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn with_mistake(self, mistake: Mistake) -> Self {
        Self { mistake: Some(mistake), ..self }
    }

    /// Whether this mistake is in the rules; always false without the feature.
    pub(crate) fn planted(&self, mistake: Mistake) -> bool {
        cfg!(feature = "planted") && self.mistake == Some(mistake)
    }

    /// How long a letter stays in a mailbox, ms of world time: in simulated worlds so short that many go back.
    pub fn letter_life_ms(&self) -> u64 {
        if self.gifts_reach_all { LETTER_LIFE_SIMULATED_MS } else { LETTER_LIFE_MS }
    }

    /// How often somebody may change its name, ms of world time.
    pub fn rename_every_ms(&self) -> u64 {
        if self.gifts_reach_all { RENAME_EVERY_SIMULATED_MS } else { RENAME_EVERY_MS }
    }

    /// How long an old name is kept, ms of world time: in simulated worlds so short that many are released.
    pub fn name_kept_ms(&self) -> u64 {
        if self.gifts_reach_all { NAME_KEPT_SIMULATED_MS } else { NAME_KEPT_MS }
    }

    /// Whether gifts reach everybody.
    pub fn gifts_reach_all(&self) -> bool {
        self.gifts_reach_all
    }

    /// Whether one can walk there from the village without a turn.
    fn is_reachable(&self, p: Point) -> bool {
        self.obstacle(self.village, p).is_none()
    }

    /// Fells the forest at the village, softly towards its rim.
    fn clear_village(&mut self) {
        for index in 0..self.wood.len() {
            let away = at_corner(index % CORNERS, index / CORNERS).distance(self.village) as i64;
            let keep = smooth(away, i64::from(CLEARING_MM), i64::from(CLEARING_MM) + 45_000);
            self.wood[index] = ((i64::from(self.wood[index]) * keep) >> 16) as u8;
        }
    }
}

/// The place of a corner.
fn at_corner(i: usize, j: usize) -> Point {
    Point::new(i as i32 * CELL_MM, j as i32 * CELL_MM)
}

/// Cell and offset of `p`; `None` outside the grid.
fn cell_of(p: Point) -> Option<(usize, usize, i64, i64)> {
    let inside =
        |v: i32| (0..SIZE_MM).contains(&v).then_some(((v / CELL_MM) as usize, i64::from(v % CELL_MM)));
    let ((i, fx), (j, fy)) = (inside(p.x)?, inside(p.y)?);
    Some((i, j, fx, fy))
}

fn bilinear(field: &[u8], i: usize, j: usize, fx: i64, fy: i64) -> u8 {
    let c = i64::from(CELL_MM);
    let f = |di: usize, dj: usize| i64::from(field[(j + dj) * CORNERS + i + di]);
    let sum =
        f(0, 0) * (c - fx) * (c - fy) + f(1, 0) * fx * (c - fy) + f(0, 1) * (c - fx) * fy + f(1, 1) * fx * fy;
    (sum / (c * c)) as u8
}

// The figures below were tuned by looking at the islands of many seeds (examples/preview.rs draws them).

/// A broad dome with a ragged coast, lakes, gentle hills and a few mountain ridges.
fn height_at(seed: u64, p: Point) -> u8 {
    let noise =
        |salt: u64, wave_m: i32, octaves| layers(hash(seed, salt, 0, 0), p.x, p.y, wave_m * 1_000, octaves);
    // The dome, bent so that it is no circle.
    let bent = |v: i32, salt| i64::from(v - SIZE_MM / 2) + noise(salt, 620, 3) * 210_000 / ONE;
    let (x, y) = (bent(p.x, 1), bent(p.y, 2));
    const RADIUS: i64 = 870_000;
    let dome = ONE - ((x * x + y * y) / RADIUS * ONE / RADIUS).min(3 * ONE);
    let slope = if dome < 0 { dome * 2 } else { dome };
    let mut land = slope * 6 / 10 + noise(3, 460, 5) * 45 / 100;
    // Nothing but sea at the rim of the map.
    let rim = i64::from(p.x.min(p.y).min(SIZE_MM - p.x).min(SIZE_MM - p.y));
    land -= ONE - smooth(rim, 0, 180_000);
    // Lakes inland, bays at the coast.
    land -= smooth(noise(4, 330, 2), ONE * 33 / 100, ONE * 75 / 100) * 8 / 10;
    let inland = smooth(land, ONE / 12, ONE / 3);
    let hills = noise(5, 240, 3) * 14 * inland / ONE;
    let region = smooth(noise(6, 760, 2) + dome / 3, ONE * 16 / 100, ONE * 62 / 100);
    let ridge = (ONE - noise(7, 420, 4).abs() * 5 / 2).max(0);
    let mountains = (region * inland / ONE) * (ridge * 118 / ONE + 24);
    // Steep from the sea floor to the meadows, gentle above.
    let rise = land.min(ONE / 4) * 120 + (land - ONE / 4).max(0) * 50;
    let height = i64::from(SEA) + (rise + hills + mountains) / ONE;
    height.clamp(0, 255) as u8
}

/// Patches of forest, none on sand and bare rock.
fn wood_at(seed: u64, p: Point, height: u8) -> u8 {
    let noise =
        |salt: u64, wave_m: i32, octaves| layers(hash(seed, salt, 0, 0), p.x, p.y, wave_m * 1_000, octaves);
    let patch = noise(11, 260, 3) + noise(12, 90, 2) / 4 + ONE / 14;
    let low = smooth(i64::from(height), i64::from(BEACH), i64::from(BEACH) + 12);
    let high = ONE - smooth(i64::from(height), i64::from(ROCK) - 14, i64::from(ROCK) + 10);
    let wood = i64::from(FOREST) + patch * 300 / ONE;
    (wood.clamp(0, 255) * low / ONE * high / ONE) as u8
}

/// The meadow for the village: grass all around, the beach not far, on the largest land one can walk.
fn village(island: &Island) -> Point {
    let mainland = mainland(island);
    let score = |index: usize| {
        let p = at_corner(index % CORNERS, index / CORNERS);
        let ring = |radius: i32, wanted: Biome| {
            let around = |k: usize| {
                const EIGHT: [(i32, i32); 8] =
                    [(10, 0), (7, 7), (0, 10), (-7, 7), (-10, 0), (-7, -7), (0, -10), (7, -7)];
                let (dx, dy) = EIGHT[k];
                island.biome(Point::new(p.x + dx * radius / 10, p.y + dy * radius / 10)) == wanted
            };
            (0..8).filter(|k| around(*k)).count() as i64
        };
        let meadow =
            4 * ring(12_000, Biome::Grass) + 4 * ring(25_000, Biome::Grass) + 2 * ring(45_000, Biome::Grass);
        let shore = ring(80_000, Biome::Beach).min(2) * 5 + ring(130_000, Biome::Water).min(3) * 4;
        let woods = ring(80_000, Biome::Forest).min(3) * 5 + ring(140_000, Biome::Rock).min(1) * 5;
        // A little towards the south, where the pictures are sunny.
        meadow + shore + woods + i64::from(p.y / 300_000)
    };
    let best = mainland
        .into_iter()
        .filter(|index| island.biome(at_corner(index % CORNERS, index / CORNERS)) == Biome::Grass)
        .max_by_key(|index| (score(*index), std::cmp::Reverse(*index)));
    // An island without a single meadow does not come out of the figures above; its middle is as good as any place.
    best.map_or(Point::new(SIZE_MM / 2, SIZE_MM / 2), |index| at_corner(index % CORNERS, index / CORNERS))
}

/// The corners of the largest connected land, ascending.
fn mainland(island: &Island) -> Vec<usize> {
    let mut seen = vec![false; CORNERS * CORNERS];
    let mut largest = Vec::new();
    for start in 0..seen.len() {
        let region = flood(island, start, &mut seen);
        if region.len() > largest.len() {
            largest = region;
        }
    }
    largest.sort_unstable();
    largest
}

/// The walkable corners connected with `start` that were not visited yet.
fn flood(island: &Island, start: usize, seen: &mut [bool]) -> Vec<usize> {
    let open = |index: usize| (SEA..CLIFF).contains(&island.height[index]);
    let mut region = Vec::new();
    let mut border = vec![start];
    while let Some(index) = border.pop() {
        if seen[index] || !open(index) {
            continue;
        }
        seen[index] = true;
        region.push(index);
        let (i, j) = (index % CORNERS, index / CORNERS);
        if i > 0 {
            border.push(index - 1);
        }
        if i + 1 < CORNERS {
            border.push(index + 1);
        }
        if j > 0 {
            border.push(index - CORNERS);
        }
        if j + 1 < CORNERS {
            border.push(index + CORNERS);
        }
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_an_island_worth_living_on() {
        for seed in 0..12 {
            let island = Island::generate(seed);
            let land = mainland(&island);
            let all = CORNERS * CORNERS;
            assert!(land.len() * 100 / all > 30, "seed {seed}: {} % land", land.len() * 100 / all);
            let walkable = island.height.iter().filter(|h| (SEA..CLIFF).contains(*h)).count();
            assert!(land.len() * 100 / walkable >= 85, "seed {seed}: islets");
            assert!((0..CORNERS).all(|k| island.height[k] < SEA && island.height[k * CORNERS] < SEA));
            let share = |biome| {
                let there = |i: &usize| island.biome(at_corner(i % CORNERS, i / CORNERS)) == biome;
                land.iter().filter(|i| there(i)).count() * 100 / land.len()
            };
            assert!(share(Biome::Beach) >= 3, "seed {seed}: beach {}", share(Biome::Beach));
            assert!(share(Biome::Grass) >= 20, "seed {seed}: grass {}", share(Biome::Grass));
            assert!(share(Biome::Forest) >= 12, "seed {seed}: forest {}", share(Biome::Forest));
            assert!(share(Biome::Rock) >= 2, "seed {seed}: rock {}", share(Biome::Rock));
            assert!(land.contains(&index_of(island.village)), "seed {seed}: the village is cut off");
        }
    }

    #[test]
    fn arrivals_are_near_each_other_and_on_dry_ground() {
        for seed in 0..6 {
            let island = Island::generate(seed);
            let places: std::collections::BTreeSet<_> = (0..200).map(|id| island.arrival(id)).collect();
            assert!(places.len() > 190, "players arrive on top of each other");
            assert!(places.iter().all(|p| p.within(island.village, ARRIVAL_MM)));
            assert!(places.iter().all(|p| island.biome(*p).is_walkable()));
        }
    }

    #[test]
    fn thousands_arrive_all_over_the_island() {
        let island = Island::generate(1).with_arrivals_everywhere();
        let places: Vec<_> = (0..1_000).map(|id| island.arrival(id)).collect();
        assert!(places.iter().all(|p| island.biome(*p).is_walkable()));
        let chunks: std::collections::BTreeSet<_> =
            places.iter().map(|p| (p.x / 30_000, p.y / 30_000)).collect();
        assert!(chunks.len() > 500, "{} chunks", chunks.len());
    }

    #[test]
    fn the_world_ends_in_water() {
        let island = Island::generate(3);
        for p in [(-1, 5), (5, -1), (SIZE_MM, 5), (5, SIZE_MM), (i32::MIN, i32::MIN), (i32::MAX, i32::MAX)] {
            assert_eq!(island.biome(Point::new(p.0, p.1)), Biome::Water);
        }
        let village = island.village();
        assert_eq!(island.obstacle(village, village), None);
        assert_eq!(island.obstacle(village, Point::new(village.x, -1)), Some(Biome::Water));
    }

    fn index_of(p: Point) -> usize {
        (p.y / CELL_MM) as usize * CORNERS + (p.x / CELL_MM) as usize
    }
}
