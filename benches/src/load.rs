//! The load as a process of its own: bots that follow a plan. It prints a line for each phase, and the report as its last
//! line.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Args;
use gundo::{CHUNK_MM, Point};
use gundo_bots::{
    Behaviour, BotsConfig, Chance, Circle, Correction, Idle, Phase, Progress, Stroll, Welcome, Wishes,
};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::game::{Note, Noted, name_at};
use crate::serve::say;

/// Chunks between the middles of two groups: far out of each other's sight (3 chunks) and of each other's tract.
const GROUP_STEP_CHUNKS: i32 = 16;
/// Chunks in sight: a square of 7 by 7.
const SIGHT_CHUNKS: f64 = 49.0;
/// Others visible to each bot that is spread.
const VISIBLE: f64 = 10.0;
/// Walking speed, mm/s.
const SPEED_MM_S: u32 = 2_000;
/// Radius of the circles that bots walk in crowds and groups, mm.
const RADIUS_MM: i32 = 2_500;

/// Where the bots stand and how they behave.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Scene {
    /// All in one chunk, walking in circles.
    Crowd,
    /// Groups of this size, each in its own chunk, walking in circles.
    Groups(usize),
    /// Walking about in an area where each bot sees about ten others.
    Spread,
    /// Like `Spread`, but standing still.
    Idle,
    /// Each stands in its own chunk, with this many commands in flight at any time.
    Hammer(usize),
    /// The same, and each command is a transaction with others.
    Trade { width: usize, whom: Whom },
}

/// Who takes part in a transaction beside the player whose command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Whom {
    /// The other one of a pair, who asks the same.
    Partner,
    /// Any other player.
    Anybody,
    /// The first player, who asks nobody.
    Celebrity,
    /// The other fifteen of a group. Only its first player asks.
    Party,
    /// The board.
    Board,
}

/// Players of a group whose first asks all others.
const PARTY: usize = 16;

/// The plan of the load process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Edges, round-robin.
    pub(crate) urls: Vec<String>,
    pub(crate) count: usize,
    pub(crate) settle_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) scene: Scene,
}

#[derive(Args)]
pub(crate) struct LoadArgs {
    /// A plan as JSON.
    #[arg(long)]
    plan: String,
}

pub(crate) fn load(args: &LoadArgs) -> Result<(), Failure> {
    let plan: Plan = serde_json::from_str(&args.plan)?;
    let edges = plan.urls.iter().map(|url| url.parse()).collect::<Result<Vec<_>, _>>()?;
    let mut config = BotsConfig::new(plan.count, edges);
    config.seconds = plan.seconds;
    config.settle_seconds = plan.settle_seconds;
    let scene = plan.scene;
    let count = plan.count;
    let mut failed = None;
    let mut watch = |p: &Progress| {
        if p.begun {
            failed = say(&format!("phase {:?}", p.phase)).err().or(failed.take());
            if p.phase == Phase::Measuring && p.live < count {
                eprintln!("gundo-bench: only {} of {count} bots are in the world", p.live);
            }
        }
    };
    let report = gundo_bots::run(&config, &|index| mind(scene, index, count), &mut watch)?;
    if let Some(e) = failed {
        return Err(e.into());
    }
    let mut report = serde_json::to_value(&report)?;
    report["slowest_of_median"] = slowest_of_median().into();
    say(&format!("report {report}"))?;
    Ok(())
}

pub(crate) fn mind(scene: Scene, index: usize, count: usize) -> Box<dyn Behaviour> {
    let mut chance = Chance::new(0x5eed ^ index as u64);
    let mut within = |from: i32, to: i32| from + chance.below((to - from) as u64) as i32;
    match scene {
        Scene::Crowd | Scene::Groups(_) => {
            let size = if let Scene::Groups(size) = scene { size } else { count };
            let group = (index / size) as i32;
            // A square of groups around the origin.
            let side = (count.div_ceil(size) as f64).sqrt().ceil() as i32;
            let corner = |n: i32| (n - side / 2) * GROUP_STEP_CHUNKS * CHUNK_MM;
            // The circle begins at its western end and stays within the chunk.
            let west = corner(group % side) + within(500, CHUNK_MM - 2 * RADIUS_MM - 500);
            let middle = corner(group / side) + within(RADIUS_MM + 500, CHUNK_MM - RADIUS_MM - 500);
            at(Point::new(west, middle), Circle::new(RADIUS_MM as u32, SPEED_MM_S))
        }
        Scene::Spread => {
            let (min, max) = area(count);
            let from = Point::new(within(min.x, max.x), within(min.y, max.y));
            at(from, Stroll::new(index as u64, SPEED_MM_S).within(min, max))
        }
        Scene::Idle => {
            let (min, max) = area(count);
            at(Point::new(within(min.x, max.x), within(min.y, max.y)), Idle)
        }
        Scene::Hammer(width) => at(apart(index, count), Hammer::new(width, index)),
        Scene::Trade { width, whom } => {
            let asks = match whom {
                Whom::Celebrity => index > 0,
                Whom::Party => index.is_multiple_of(PARTY),
                Whom::Partner | Whom::Anybody | Whom::Board => true,
            };
            let hammer = Hammer::new(if asks { width } else { 0 }, index);
            at(apart(index, count), Hammer { with: Some((whom, count)), ..hammer })
        }
    }
}

/// A place out of everybody's sight.
fn apart(index: usize, count: usize) -> Point {
    let side = (count as f64).sqrt().ceil() as i32;
    let place = |n: i32| n * 8 * CHUNK_MM;
    Point::new(place(index as i32 % side), place(index as i32 / side))
}

/// The square in which each of `count` bots sees about [`VISIBLE`] others.
fn area(count: usize) -> (Point, Point) {
    let chunks = (count as f64 * SIGHT_CHUNKS / VISIBLE).sqrt();
    let half = (chunks * f64::from(CHUNK_MM) / 2.0).max(1_000.0) as i32;
    (Point::new(-half, -half), Point::new(half, half))
}

fn at(at: Point, inner: impl Behaviour + 'static) -> Box<dyn Behaviour> {
    Box::new(Placed { at, inner })
}

/// A behaviour whose player is born at a given place.
struct Placed<B> {
    at: Point,
    inner: B,
}

impl<B: Behaviour> Behaviour for Placed<B> {
    fn name(&mut self, suggestion: &str) -> String {
        name_at(self.at, suggestion)
    }

    fn handle_welcome(&mut self, welcome: &Welcome) {
        self.inner.handle_welcome(welcome);
    }

    fn handle_own(&mut self, own: &gundo::Bytes) {
        self.inner.handle_own(own);
    }

    fn handle_answer(&mut self, tag: u64, result: &Result<gundo::Bytes, gundo_bots::Refusal>) {
        self.inner.handle_answer(tag, result);
    }

    fn handle_correction(&mut self, correction: &Correction) {
        self.inner.handle_correction(correction);
    }

    fn step(&mut self, wishes: &mut Wishes) {
        self.inner.step(wishes);
    }

    fn is_eager(&self) -> bool {
        self.inner.is_eager()
    }

    fn doubled(&self) -> u64 {
        self.inner.doubled()
    }
}

/// Keeps a number of commands in flight, and counts whether each took effect once.
struct Hammer {
    width: usize,
    sent: u64,
    succeeded: u64,
    notes: u64,
    index: usize,
    /// With whom it shares its notes, of how many players.
    with: Option<(Whom, usize)>,
}

/// The players of the bots that are in the world, and how many commands of each have succeeded.
static PLAYERS: Mutex<BTreeMap<usize, (u64, u64)>> = Mutex::new(BTreeMap::new());

fn players() -> MutexGuard<'static, BTreeMap<usize, (u64, u64)>> {
    PLAYERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Successes of the slowest bot that asks, as a share of the median; `None`: nobody asked.
fn slowest_of_median() -> Option<f64> {
    let mut all: Vec<u64> = players().values().map(|(_, done)| *done).filter(|done| *done > 0).collect();
    all.sort_unstable();
    Some(*all.first()? as f64 / all[all.len() / 2] as f64)
}

/// Makes every note of every bot different.
static NOTES: AtomicU64 = AtomicU64::new(0);

impl Hammer {
    fn new(width: usize, index: usize) -> Self {
        Self { width, sent: 0, succeeded: 0, notes: 0, index, with: None }
    }

    /// With whom its next note is shared. `None`: those are not in the world yet.
    fn to(&self, chance: &mut Chance) -> Option<Vec<u64>> {
        let Some((whom, count)) = self.with else { return Some(Vec::new()) };
        let there = players();
        let id = |index: usize| there.get(&index).map(|(id, _)| *id);
        match whom {
            Whom::Board => Some(Vec::new()),
            Whom::Partner => Some(vec![id(self.index ^ 1)?]),
            Whom::Celebrity => Some(vec![id(0)?]),
            Whom::Party => (self.index + 1..self.index + PARTY).map(id).collect(),
            Whom::Anybody => {
                let step = 1 + chance.below(count as u64 - 1) as usize;
                Some(vec![id((self.index + step) % count)?])
            }
        }
    }
}

impl Behaviour for Hammer {
    fn handle_welcome(&mut self, welcome: &Welcome) {
        let id = welcome.player.as_ref().map_or(0, |player| player.id);
        players().insert(self.index, (id, 0));
    }

    /// Transactions that are in each other's way are refused after three seconds: the table says how many.
    fn is_own_refusal(&self, code: &str) -> bool {
        code == "busy" && self.with.is_some()
    }

    fn step(&mut self, wishes: &mut Wishes) {
        let board = matches!(self.with, Some((Whom::Board, _)));
        for _ in wishes.open..self.width {
            let Some(to) = self.to(&mut wishes.chance) else { return };
            self.sent += 1;
            let n = NOTES.fetch_add(1, Ordering::Relaxed);
            // As long as an ordinary event: an item, a place, a time.
            let text = [n.to_le_bytes(), self.sent.to_le_bytes()].concat();
            wishes.command(0, Note { text, to, board }.encode_to_vec());
        }
    }

    fn handle_answer(&mut self, _: u64, result: &Result<gundo::Bytes, gundo_bots::Refusal>) {
        if let Ok(reply) = result {
            self.succeeded += 1;
            if self.with.is_some() {
                players().entry(self.index).or_default().1 += 1;
            }
            self.notes = self.notes.max(Noted::decode(reply.as_ref()).map_or(0, |r| r.count));
        }
    }

    fn is_eager(&self) -> bool {
        true
    }

    /// Every success stands for one note: with more notes than successes, some commands took effect twice.
    fn doubled(&self) -> u64 {
        self.notes.saturating_sub(self.succeeded)
    }
}
