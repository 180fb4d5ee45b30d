//! What grows on the island: where (by the seed alone), and how fast it grows again.
//!
//! Nothing here is stored. [`Island::nature`] always gives the same list; the state of the [`land`](crate::land) records what
//! was taken from it.

use gundo::{ChunkId, Point};

use crate::island::{Biome, CLEARING_MM, Island};
use crate::noise::{ONE, hash, perlin};
use crate::schema::{Item, ThingInfo, What};

/// Most things in a chunk.
pub const THINGS_MAX: usize = 32;
/// Largest [`ThingInfo::radius_mm`]: buildings ask every chunk within this distance.
pub(crate) const RADIUS_MAX_MM: i32 = 900;

/// A chunk is cut into squares of 5 m, each with room for one thing.
const PLOT_MM: i32 = 5_000;
/// Plots per row of a chunk.
const PLOTS: i32 = gundo::CHUNK_MM / PLOT_MM;
/// A thing keeps this distance from its plot's sides, so things stand at least 1.6 m apart.
const MARGIN_MM: i32 = 800;

/// Something that grows: tree, rock or bush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Its plot: permanent within its chunk.
    pub index: u8,
    /// What it is.
    pub what: What,
    /// Its middle, mm, a whole motion unit.
    pub at: Point,
    /// Random bits for its look.
    pub look: u8,
}

/// How a thing grows and what it gives.
pub(crate) struct Growth {
    pub(crate) what: What,
    pub(crate) name: &'static str,
    pub(crate) gives: Item,
    pub(crate) amount_max: u32,
    pub(crate) unit_ms: u64,
    pub(crate) tool: Item,
    pub(crate) radius_mm: i32,
}

const GROWTHS: [Growth; 6] = [
    tree(What::Pine, "pine", 4, 700),
    tree(What::Oak, "oak", 6, 900),
    tree(What::Palm, "palm", 2, 600),
    Growth {
        what: What::Rock,
        name: "rock",
        gives: Item::Stone,
        amount_max: 4,
        unit_ms: 150_000,
        tool: Item::Pickaxe,
        radius_mm: 900,
    },
    bush(What::BerryBush, "berry bush", Item::Berry, 3),
    bush(What::Flax, "flax", Item::Fibre, 2),
];

const fn tree(what: What, name: &'static str, amount_max: u32, radius_mm: i32) -> Growth {
    Growth { what, name, gives: Item::Wood, amount_max, unit_ms: 90_000, tool: Item::Axe, radius_mm }
}

const fn bush(what: What, name: &'static str, gives: Item, amount_max: u32) -> Growth {
    Growth { what, name, gives, amount_max, unit_ms: 45_000, tool: Item::None, radius_mm: 500 }
}

impl Growth {
    /// How `what` grows. Every thing the island has is in the table.
    pub(crate) fn of(what: What) -> &'static Growth {
        GROWTHS.iter().find(|growth| growth.what == what).unwrap_or(&GROWTHS[0])
    }

    /// Units grown at `at`, when there were `left` at `since`.
    pub(crate) fn grown(&self, left: u32, since: u64, at: u64) -> u32 {
        let new = at.saturating_sub(since) / self.unit_ms;
        left.saturating_add(u32::try_from(new).unwrap_or(u32::MAX)).min(self.amount_max)
    }

    /// When `units` will have grown, when there were `left` at `since`.
    pub(crate) fn grown_at(&self, left: u32, since: u64, units: u32) -> u64 {
        since.saturating_add(u64::from(units.saturating_sub(left)) * self.unit_ms)
    }

    /// What somebody with `tools` gets from `grown` units.
    pub(crate) fn share(&self, grown: u32, tools: &[i32]) -> u32 {
        let whole = self.tool == Item::None || tools.contains(&self.tool.into());
        if whole { grown } else { grown.div_ceil(2) }
    }
}

/// The things, for clients.
pub(crate) fn thing_infos() -> Vec<ThingInfo> {
    let info = |growth: &Growth| ThingInfo {
        what: growth.what.into(),
        name: growth.name.into(),
        gives: growth.gives.into(),
        amount_max: growth.amount_max,
        unit_ms: growth.unit_ms,
        tool: growth.tool.into(),
        radius_mm: growth.radius_mm as u32,
    };
    GROWTHS.iter().map(info).collect()
}

impl Island {
    /// What grows in `chunk`, by index.
    pub fn nature(&self, chunk: ChunkId) -> Vec<Nature> {
        let plots = (0..PLOTS * PLOTS).filter_map(|plot| self.plot(chunk, plot));
        plots.take(THINGS_MAX).collect()
    }

    fn plot(&self, chunk: ChunkId, plot: i32) -> Option<Nature> {
        let corner = chunk.corner();
        let (x, y) = (corner.x + plot % PLOTS * PLOT_MM, corner.y + plot / PLOTS * PLOT_MM);
        let bits = hash(self.seed(), 0x9107, x / PLOT_MM, y / PLOT_MM);
        let room = (PLOT_MM - 2 * MARGIN_MM) / gundo::MOTION_UNIT_MM;
        let jitter = |bits: u64| MARGIN_MM + (bits & 0xffff) as i32 % room * gundo::MOTION_UNIT_MM;
        let at = Point::new(x + jitter(bits), y + jitter(bits >> 16));
        if at.within(self.village(), CLEARING_MM) {
            return None;
        }
        let what = self.grows(at, (bits >> 32) as u32 % 1_000)?;
        Some(Nature { index: plot as u8, what, at, look: (bits >> 56) as u8 })
    }

    /// What grows at `at`, if anything, from a random number in 0..1,000. Bushes grow in patches.
    fn grows(&self, at: Point, throw: u32) -> Option<What> {
        let patch = |salt: u64| perlin(self.seed() ^ salt, at.x, at.y, 70_000) > ONE * 35 / 100;
        let table: &[(What, u32)] = match self.biome(at) {
            Biome::Forest => &[(What::Pine, 560), (What::Oak, 160), (What::BerryBush, 40), (What::Rock, 10)],
            Biome::Grass if patch(1) => &[(What::Flax, 260), (What::Oak, 20)],
            Biome::Grass if patch(2) => &[(What::BerryBush, 200), (What::Oak, 40)],
            Biome::Grass => &[(What::Oak, 22), (What::Rock, 10), (What::BerryBush, 8), (What::Flax, 10)],
            Biome::Rock => &[(What::Rock, 230), (What::Pine, 60)],
            Biome::Beach => &[(What::Palm, 55), (What::Rock, 20)],
            Biome::Water | Biome::Cliff => &[],
        };
        let mut below = 0;
        table.iter().find_map(|(what, share)| {
            below += share;
            (throw < below).then_some(*what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_stand_apart_on_dry_ground_in_their_chunk() {
        let island = Island::generate(1);
        let mut all: Vec<Nature> = Vec::new();
        for chunk in ChunkId::of(0, island.village()).around(6) {
            let here = island.nature(chunk);
            assert!(here.len() <= THINGS_MAX);
            assert!(here.windows(2).all(|pair| pair[0].index < pair[1].index));
            for thing in here {
                assert_eq!(ChunkId::of(0, thing.at), chunk);
                assert!(island.biome(thing.at).is_walkable());
                assert_eq!((thing.at.x % 10, thing.at.y % 10), (0, 0));
                all.push(thing);
            }
        }
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a.at.distance(b.at) >= 1_600), "{a:?} has no room");
        }
        assert!(all.iter().all(|thing| !thing.at.within(island.village(), CLEARING_MM)));
        for growth in &GROWTHS {
            assert!(growth.radius_mm <= RADIUS_MAX_MM);
        }
    }

    #[test]
    fn everything_a_hut_needs_grows_near_the_village() {
        for seed in 0..12 {
            let island = Island::generate(seed);
            let near = ChunkId::of(0, island.village()).around(8);
            let things: Vec<_> = near.flat_map(|chunk| island.nature(chunk)).collect();
            for item in [Item::Wood, Item::Stone, Item::Fibre, Item::Berry] {
                let units: u32 = things
                    .iter()
                    .map(|thing| Growth::of(thing.what))
                    .filter(|growth| growth.gives == item)
                    .map(|growth| growth.amount_max)
                    .sum();
                assert!(units >= 40, "seed {seed}: {units} of {item:?} within 250 m");
            }
        }
    }

    #[test]
    fn growth_is_a_function_of_time() {
        let pine = Growth::of(What::Pine);
        assert_eq!(pine.grown(0, 1_000, 0), 0);
        assert_eq!(pine.grown(0, 1_000, 1_000 + pine.unit_ms - 1), 0);
        assert_eq!(pine.grown(0, 1_000, 1_000 + pine.unit_ms), 1);
        assert_eq!(pine.grown(2, 1_000, u64::MAX), 4);
        assert_eq!(pine.grown_at(1, 1_000, 4), 1_000 + 3 * pine.unit_ms);
        assert_eq!((pine.share(3, &[]), pine.share(3, &[Item::Axe.into()])), (2, 3));
    }
}
