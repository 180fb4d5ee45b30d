//! The two clocks of a kernel: node time from the monotonic clock, world time from the wall clock, slewed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gundo_types::{Now, Time, WorldTime};

/// World time runs at most this much too fast or too slow to follow the wall clock, parts per million: more than any crystal
/// is wrong, and little beside what the kernel may add.
const SLEW_PPM_MAX: i64 = 1_000;
/// An error is corrected within about this time, s.
const SLEW_OVER_S: i64 = 100;
/// A lead over the wall clock that a start began with is worked off by this much per second, µs …
const LEAD_US_PER_S: i64 = 500;
/// … if it is no longer than this: beyond, the wall clock is wrong, and whoever corrects it corrects that too. µs
const LEAD_US_MAX: i64 = 60_000_000;
/// Beyond this error the wall clock was set, or the machine slept: world time goes on as before. µs
const STEP_US: i64 = 1_000_000;

/// The wall clock: by default the machine's.
#[derive(Clone)]
pub struct Wall(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Wall {
    /// A clock for tests: it says how many µs have passed since 1970.
    pub fn new(now_us: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_us))
    }

    /// What it says, µs since 1970.
    pub fn us(&self) -> i64 {
        (self.0)()
    }

    /// In ms.
    pub(crate) fn ms(&self) -> u64 {
        (self.us() / 1_000).max(0) as u64
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self::new(wall_us)
    }
}

impl std::fmt::Debug for Wall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wall")
    }
}

/// Both clocks of a process, shared by all its nodes.
pub(crate) struct Clock {
    started: Instant,
    wall: Wall,
    state: Mutex<State>,
    /// The latest world time that a node of this process has shown, ms: within a second.
    shown_ms: AtomicU64,
}

#[derive(Clone, Copy)]
struct State {
    rate: Rate,
    /// World time 0 by the wall clock, µs since 1970. It moves when the wall clock is set.
    began_us: i64,
    /// By how much world time is still ahead of the wall clock because it began where it may have been before, µs.
    lead_us: i64,
}

/// World time as a linear function of node time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// At this node time, µs …
    time_us: u64,
    /// … it was this world time, µs …
    world_us: i64,
    /// … and world time runs this much faster than node time.
    ppm: i64,
}

impl Clock {
    /// Clocks of a world that began at `created_ms` of the wall clock. When it last ran it was `known` at least: world time never goes
    /// back. Nor does it go forward by more than `forward_max_ms` because the wall clock says so: then it goes on from where it was.
    pub(crate) fn new(wall: Wall, created_ms: u64, known: WorldTime, forward_max_ms: u64) -> Self {
        let (rate, began_us, start) = beginning(wall.us(), created_ms, known, forward_max_ms);
        let mut lead_us = 0;
        match start {
            Start::Usual => {}
            Start::Behind { by_us } if by_us <= LEAD_US_MAX => lead_us = by_us,
            Start::Behind { .. } => tracing::warn!(
                "the wall clock is behind the time of this world; world time goes on from where it was"
            ),
            Start::Ahead { by_ms } => tracing::error!(
                hours = by_ms / 3_600_000,
                forward_max_ms,
                "the wall clock says that more time has passed since this world last ran than `clock_forward_max_ms` allows: world time \
                 goes on from where it was. If the clock is right, start once with a higher `clock_forward_max_ms`"
            ),
        }
        Self {
            started: Instant::now(),
            wall,
            state: Mutex::new(State { rate, began_us, lead_us }),
            shown_ms: AtomicU64::new(0),
        }
    }

    /// Both clocks now.
    pub(crate) fn now(&self) -> Now {
        let rate = self.state().rate;
        let time_us = self.started.elapsed().as_micros() as u64;
        Now { time: Time(time_us), world: rate.shown(time_us) }
    }

    /// The instant of node time `time`.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.started + Duration::from_micros(time.0)
    }

    /// A node of this process shows this world time.
    pub(crate) fn show(&self, world: WorldTime) {
        self.shown_ms.fetch_max(world.0, Ordering::Relaxed);
    }

    /// The latest world time that the nodes of this process have shown, to the second.
    pub(crate) fn shown(&self) -> WorldTime {
        WorldTime(self.shown_ms.load(Ordering::Relaxed))
    }

    /// Follows the wall clock: call about once per second.
    pub(crate) fn adjust(&self) {
        let time_us = self.started.elapsed().as_micros() as u64;
        let mut state = self.state();
        let part_us = state.lead_us.min(LEAD_US_PER_S);
        (state.lead_us, state.began_us) = (state.lead_us - part_us, state.began_us.saturating_add(part_us));
        let (rate, step_us) = state.rate.adjusted(time_us, self.wall.us().saturating_sub(state.began_us));
        (state.rate, state.began_us) = (rate, state.began_us.saturating_add(step_us));
        drop(state);
        if step_us != 0 {
            let seconds = step_us / 1_000_000;
            tracing::warn!(
                seconds,
                "the wall clock was set, or the machine slept; world time goes on as before"
            );
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the wall clock says at the start of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Usual,
    /// An earlier time than the world had.
    Behind {
        by_us: i64,
    },
    /// A time that is too much later.
    Ahead {
        by_ms: u64,
    },
}

/// World time at the start of a process, and when it was 0 by the wall clock, µs since 1970.
fn beginning(wall_us: i64, created_ms: u64, known: WorldTime, forward_max_ms: u64) -> (Rate, i64, Start) {
    let created_us = i64::try_from(created_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    let known_us = known.min(WorldTime::MAX).0 as i64 * 1_000;
    let says_us = wall_us.saturating_sub(created_us).clamp(0, WorldTime::MAX.0 as i64 * 1_000);
    let by_ms = (says_us.saturating_sub(known_us) / 1_000).max(0) as u64;
    let (world_us, start) = match () {
        // A world that has no time yet has nothing to compare with.
        () if known_us > 0 && by_ms > forward_max_ms => (known_us, Start::Ahead { by_ms }),
        () if known_us > says_us => (known_us, Start::Behind { by_us: known_us - says_us }),
        () => (says_us, Start::Usual),
    };
    (Rate { time_us: 0, world_us, ppm: 0 }, wall_us.saturating_sub(world_us), start)
}

impl Rate {
    fn at(self, time_us: u64) -> i64 {
        let passed = time_us.saturating_sub(self.time_us) as i64;
        self.world_us + passed + passed * self.ppm / 1_000_000
    }

    fn shown(self, time_us: u64) -> WorldTime {
        WorldTime((self.at(time_us).max(0) as u64 / 1_000).min(WorldTime::MAX.0))
    }

    /// The function from here on, when the wall clock says that world time should be `target_us`; and by how much the wall
    /// clock was set, µs.
    fn adjusted(self, time_us: u64, target_us: i64) -> (Self, i64) {
        let world_us = self.at(time_us);
        let error = target_us.saturating_sub(world_us);
        if error.saturating_abs() > STEP_US {
            return (Self { time_us, world_us, ppm: 0 }, error);
        }
        (Self { time_us, world_us, ppm: (error / SLEW_OVER_S).clamp(-SLEW_PPM_MAX, SLEW_PPM_MAX) }, 0)
    }
}

/// The wall clock, µs since 1970.
fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// The wall clock, ms since 1970.
pub(crate) fn wall_ms() -> u64 {
    (wall_us() / 1_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    #[test]
    fn small_errors_are_worked_off_and_never_by_running_back() {
        for error in [-400_000i64, -3_000, 3_000, 400_000] {
            let mut rate = Rate { time_us: 0, world_us: 1_000_000, ppm: 0 };
            for s in 1..=1_200u64 {
                let (t, last) = (s * 1_000_000, rate.at((s - 1) * 1_000_000));
                assert!((999_000..=1_001_000).contains(&(rate.at(t) - last)), "by a thousandth, {error}");
                let (next, step) = rate.adjusted(t, 1_000_000 + t as i64 + error);
                assert_eq!(step, 0);
                rate = next;
            }
            let left = 1_000_000 + 1_200_000_000 + error - rate.at(1_200_000_000);
            assert!(left.abs() < 2_000, "{error}: {left} µs left after twenty minutes");
        }
    }

    #[test]
    fn a_clock_that_is_set_changes_nothing() {
        for step in [-HOUR_US, -2_000_000, 2_000_000, HOUR_US, i64::MAX / 2, i64::MIN / 2] {
            let (rate, began) = (Rate { time_us: 0, world_us: HOUR_US, ppm: 0 }, 0);
            let wall = |t: i64| HOUR_US + t + step;
            let (rate, moved) = rate.adjusted(1_000_000, wall(1_000_000) - began);
            assert_eq!(
                (moved, rate.at(1_000_000), rate.at(2_000_000)),
                (step, HOUR_US + 1_000_000, HOUR_US + 2_000_000)
            );
            let (rate, moved) = rate.adjusted(2_000_000, wall(2_000_000) - began - moved);
            assert_eq!((moved, rate.ppm), (0, 0), "it follows from there");
        }
    }

    /// Far more than any test goes forward.
    const FORWARD_MAX_MS: u64 = u64::MAX;

    #[test]
    fn a_world_made_with_a_wrong_clock_goes_on() {
        let wall = 1_700_000_000_000_000;
        let begins = |created_ms, known| {
            let (rate, began, _) = beginning(wall, created_ms, WorldTime(known), FORWARD_MAX_MS);
            // The next look finds nothing to correct, and a second later it is a second later.
            assert_eq!(
                rate.adjusted(1_000_000, wall + 1_000_000 - began),
                (Rate { time_us: 1_000_000, world_us: rate.world_us + 1_000_000, ..rate }, 0)
            );
            assert_eq!(
                rate.shown(2_000_000).0,
                rate.shown(0).0 + if rate.shown(0) == WorldTime::MAX { 0 } else { 2_000 }
            );
            rate.shown(0).0
        };
        let right = wall as u64 / 1_000 - 60_000;
        assert_eq!(begins(right, 0), 60_000);
        assert_eq!(begins(right, 50_000), 60_000);
        assert_eq!(begins(right, 90_000), 90_000, "the wall clock was set back since");
        assert_eq!(begins(right + 10_000_000, 0), 0, "made in the future");
        assert_eq!(begins(u64::MAX, 70_000), 70_000);
        assert_eq!(begins(0, 0), wall as u64 / 1_000, "made in 1970");
        assert_eq!(begins(0, u64::MAX), WorldTime::MAX.0);
    }

    #[test]
    fn a_restart_never_goes_back_and_goes_forward_by_a_bound_only() {
        const HOUR_MS: u64 = 3_600_000;
        let wall = 1_700_000_000_000_000;
        let created_ms = wall as u64 / 1_000 - 1_000 * HOUR_MS;
        for (off_ms, forward_max_ms, wanted_ms, start) in [
            (0, HOUR_MS, 1_000 * HOUR_MS, Start::Usual),
            (HOUR_MS as i64, HOUR_MS, 1_001 * HOUR_MS, Start::Usual),
            (-(HOUR_MS as i64), HOUR_MS, 1_000 * HOUR_MS, Start::Behind { by_us: HOUR_MS as i64 * 1_000 }),
            (
                -(9_000 * HOUR_MS as i64),
                HOUR_MS,
                1_000 * HOUR_MS,
                Start::Behind { by_us: 1_000 * HOUR_MS as i64 * 1_000 },
            ),
            (HOUR_MS as i64 + 1, HOUR_MS, 1_000 * HOUR_MS, Start::Ahead { by_ms: HOUR_MS + 1 }),
            (HOUR_MS as i64 + 1, 2 * HOUR_MS, 1_001 * HOUR_MS + 1, Start::Usual),
        ] {
            let now_us = wall + off_ms * 1_000;
            let (rate, began_us, found) =
                beginning(now_us, created_ms, WorldTime(1_000 * HOUR_MS), forward_max_ms);
            assert_eq!((rate.shown(0).0, found), (wanted_ms, start), "{off_ms}");
            assert_eq!(rate.adjusted(1_000_000, now_us + 1_000_000 - began_us).1, 0, "it runs on from there");
        }
        let (rate, _, start) = beginning(wall, created_ms, WorldTime(0), 1);
        assert_eq!(
            (rate.shown(0).0, start),
            (1_000 * HOUR_MS, Start::Usual),
            "there is nothing to compare with"
        );
    }
}
