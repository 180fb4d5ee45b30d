//! What a bot does: the seam between the load generator and a game, and the behaviours every game has.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_client::Picture;
use gundo_types::{Body, EntityId, HEADINGS, Point, Time};
use gundo_wire::client::{Correction, Refusal, Welcome};

/// Seeded random numbers: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A separate sequence for each `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64() % n.max(1)
    }
}

/// What a behaviour sees at a step, and where it puts its wishes.
#[derive(Debug)]
pub struct Wishes {
    /// Time since the run began.
    pub now: Time,
    /// Time since this bot's last step, ms: it limits how far the bot may walk. At most 250, however late the step is.
    pub step_ms: u32,
    /// Where the bot stands: its last move, or where the server corrected it to.
    pub body: Body,
    /// Unanswered commands of this bot.
    pub open: usize,
    /// Seeded random numbers.
    pub chance: Chance,
    pub(crate) walk: Option<Body>,
    pub(crate) commands: Vec<(u64, Bytes)>,
    pub(crate) watches: Vec<(EntityId, bool)>,
}

impl Wishes {
    /// A bot that stands at `body`, for tests of a behaviour without a server: call [`Behaviour::step`], then
    /// [`take`](Self::take).
    pub fn at(body: Body, seed: u64) -> Self {
        Self { body, ..Self::new(Chance::new(seed)) }
    }

    /// The wishes since the last call: where to walk, and commands with their tags.
    pub fn take(&mut self) -> (Option<Body>, Vec<(u64, Bytes)>) {
        (self.walk.take(), std::mem::take(&mut self.commands))
    }

    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            now: Time(0),
            step_ms: 100,
            body: Body::default(),
            open: 0,
            chance,
            walk: None,
            commands: Vec::new(),
            watches: Vec::new(),
        }
    }

    /// Asks for the body to be at `body`.
    pub fn walk(&mut self, body: Body) {
        self.walk = Some(body);
    }

    /// Walks straight towards `to` at `speed_mm_s`, as far as one step goes. Returns whether it gets there.
    pub fn walk_towards(&mut self, to: Point, speed_mm_s: u32) -> bool {
        let reach = u64::from(speed_mm_s) * u64::from(self.step_ms) / 1_000;
        let (dx, dy) =
            (i64::from(to.x) - i64::from(self.body.at.x), i64::from(to.y) - i64::from(self.body.at.y));
        let distance = self.body.at.distance(to);
        let there = distance <= reach;
        let at = if there {
            to
        } else {
            let part = |d: i64| (d * reach as i64 / distance as i64) as i32;
            Point::new(self.body.at.x + part(dx), self.body.at.y + part(dy))
        };
        if at != self.body.at {
            let heading = heading_of(dx, dy);
            let speed = (speed_mm_s / 100).min(127) as u8;
            self.walk(Body { at, heading, speed, ..self.body });
        }
        there
    }

    /// Sends a command; its answer comes to [`Behaviour::handle_answer`] with the same `tag`.
    pub fn command(&mut self, tag: u64, payload: impl Into<Bytes>) {
        self.commands.push((tag, payload.into()));
    }

    /// Watches an entity by its id: [`Behaviour::handle_watched`] shows how it looks, now and after each change. At most 16 at a time.
    pub fn watch(&mut self, entity: EntityId) {
        self.watches.push((entity, true));
    }

    /// Watches an entity no more.
    pub fn unwatch(&mut self, entity: EntityId) {
        self.watches.push((entity, false));
    }
}

/// The heading of the direction (`dx`, `dy`).
fn heading_of(dx: i64, dy: i64) -> u8 {
    let turn = (dy as f64).atan2(dx as f64) / std::f64::consts::TAU;
    (turn * f64::from(HEADINGS)).rem_euclid(f64::from(HEADINGS)) as u8 % HEADINGS
}

/// The mind of one bot. A game writes its own; [`Idle`], [`Circle`] and [`Stroll`] work with every game.
pub trait Behaviour: Send {
    /// The name for its hello. `suggestion` is unique in this run; after a refusal the bot asks again with another one.
    fn name(&mut self, suggestion: &str) -> String {
        suggestion.to_owned()
    }

    /// It is in the world, for the first time or again.
    fn handle_welcome(&mut self, welcome: &Welcome) {
        let _ = welcome;
    }

    /// Its private state after the last durable event.
    fn handle_own(&mut self, own: &Bytes) {
        let _ = own;
    }

    /// The answer to the command sent with `tag`.
    fn handle_answer(&mut self, tag: u64, result: &Result<Bytes, Refusal>) {
        let _ = (tag, result);
    }

    /// The server put its body elsewhere.
    fn handle_correction(&mut self, correction: &Correction) {
        let _ = correction;
    }

    /// Whether it looks around: before each step [`handle_sight`](Self::handle_sight) shows it everything in sight. (Default: it does
    /// not, which costs a load generator far less.)
    fn looks(&self) -> bool {
        false
    }

    /// What its client sees, before each step of a mind that [`looks`](Self::looks).
    fn handle_sight(&mut self, sight: &Picture) {
        let _ = sight;
    }

    /// How an entity that it watches looks now. `None`: it shows nothing, or may not be watched (any more).
    fn handle_watched(&mut self, entity: EntityId, public: Option<&Bytes>) {
        let _ = (entity, public);
    }

    /// Called about `steps_per_second` times per second while the bot is in the world.
    fn step(&mut self, wishes: &mut Wishes);

    /// Whether it steps again as soon as an answer arrives, not only at its next turn: for measuring throughput.
    fn is_eager(&self) -> bool {
        false
    }

    /// Whether `code` is one of the game's own refusals, which a player may well get. Every other refusal fails the run.
    fn is_own_refusal(&self, code: &str) -> bool {
        let _ = code;
        false
    }

    /// Its own record of what it owns, by class of goods: what it had at its first Welcome, plus what later answers said it
    /// gained and spent. `None`: it keeps no record, or an answer was one it cannot read. To compare with the journal.
    fn books(&self) -> Option<BTreeMap<u32, i64>> {
        None
    }

    /// What it has done, and how often, for the report.
    fn deeds(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }

    /// How many of its commands took effect twice, as far as its private state shows.
    fn doubled(&self) -> u64 {
        0
    }
}

/// Stands still and sends no commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle;

impl Behaviour for Idle {
    fn step(&mut self, _: &mut Wishes) {}
}

/// Walks in a circle through the place where it came into the world, and never stops.
#[derive(Clone, Debug)]
pub struct Circle {
    radius_mm: u32,
    speed_mm_s: u32,
    centre: Option<Point>,
    turned: f64,
}

impl Circle {
    /// A circle of `radius_mm` at `speed_mm_s`.
    pub fn new(radius_mm: u32, speed_mm_s: u32) -> Self {
        Self { radius_mm, speed_mm_s, centre: None, turned: 0.0 }
    }
}

impl Behaviour for Circle {
    fn step(&mut self, wishes: &mut Wishes) {
        let at = wishes.body.at;
        // It begins at the circle's western end.
        let centre = *self.centre.get_or_insert(Point::new(at.x + self.radius_mm as i32, at.y));
        self.turned +=
            f64::from(self.speed_mm_s) * f64::from(wishes.step_ms) / 1_000.0 / f64::from(self.radius_mm);
        let radius = f64::from(self.radius_mm);
        let to = Point::new(
            centre.x - (self.turned.cos() * radius) as i32,
            centre.y - (self.turned.sin() * radius) as i32,
        );
        wishes.walk_towards(to, self.speed_mm_s);
    }

    fn handle_correction(&mut self, _: &Correction) {
        self.centre = None;
        self.turned = 0.0;
    }
}

/// Walks about without end: straight for a while, then in another direction. Turns around where the server stops it.
#[derive(Clone, Debug)]
pub struct Stroll {
    chance: Chance,
    speed_mm_s: u32,
    area: Option<(Point, Point)>,
    to: Option<Point>,
}

impl Stroll {
    /// A separate walk for each `seed`, at `speed_mm_s`.
    pub fn new(seed: u64, speed_mm_s: u32) -> Self {
        Self { chance: Chance::new(seed ^ 0x57_0110), speed_mm_s, area: None, to: None }
    }

    /// Stays within the rectangle from `min` to `max`.
    pub fn within(mut self, min: Point, max: Point) -> Self {
        self.area = Some((min, max));
        self
    }

    fn next_goal(&mut self, from: Point) -> Point {
        let mut pick = |v: i32| v + self.chance.below(40_000) as i32 - 20_000;
        let goal = Point::new(pick(from.x), pick(from.y));
        match self.area {
            Some((min, max)) => Point::new(goal.x.clamp(min.x, max.x), goal.y.clamp(min.y, max.y)),
            None => goal,
        }
    }
}

impl Behaviour for Stroll {
    fn step(&mut self, wishes: &mut Wishes) {
        let to = match self.to {
            Some(to) if to != wishes.body.at => to,
            _ => self.next_goal(wishes.body.at),
        };
        let there = wishes.walk_towards(to, self.speed_mm_s);
        self.to = (!there).then_some(to);
    }

    fn handle_correction(&mut self, _: &Correction) {
        self.to = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_no_longer_than_the_speed_allows_and_looks_ahead() {
        let mut w = Wishes::new(Chance::new(1));
        assert!(!w.walk_towards(Point::new(0, 9_000), 2_000));
        let body = w.walk.expect("it walks");
        assert_eq!((body.at, body.heading, body.speed), (Point::new(0, 200), 32, 20));
        w.body = body;
        assert!(w.walk_towards(Point::new(-50, 200), 2_000));
        assert_eq!(w.walk.map(|b| (b.at.x, b.heading)), Some((-50, 64)));
    }

    #[test]
    fn walkers_never_stand_still_and_keep_their_speed() {
        let area = (Point::new(-1_000, -1_000), Point::new(60_000, 60_000));
        let minds: [Box<dyn Behaviour>; 2] =
            [Box::new(Circle::new(2_000, 2_000)), Box::new(Stroll::new(7, 2_000).within(area.0, area.1))];
        for mut mind in minds {
            let mut w = Wishes::new(Chance::new(1));
            let mut still = 0;
            for _ in 0..2_000 {
                mind.step(&mut w);
                match w.walk.take() {
                    Some(body) => {
                        assert!(w.body.at.distance(body.at) <= 200);
                        w.body = body;
                    }
                    None => still += 1,
                }
            }
            assert!(still < 20, "{still} steps without a move");
        }
    }
}
