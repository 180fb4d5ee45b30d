//! The two clocks of a kernel: node time from the monotonic clock, world time from the wall clock, slewed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gundo_types::{Now, Time, WorldTime};

/// World time runs at most this much too fast or too slow to follow the wall clock, parts per million: nobody notices a
/// tenth.
const SLEW_PPM_MAX: i64 = 100_000;
/// An error is corrected within about this time, s.
const SLEW_OVER_S: i64 = 10;
/// Beyond this error the wall clock was set or the machine slept, and world time jumps ahead. It never jumps back. µs.
const JUMP_US: i64 = 1_000_000;

/// Both clocks of a process, shared by all its nodes.
pub(crate) struct Clock {
    started: Instant,
    created_us: i64,
    world: Mutex<Rate>,
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
    /// Clocks of a world that began at `created_ms` of the wall clock.
    pub(crate) fn new(created_ms: u64) -> Self {
        let created_us = created_ms as i64 * 1_000;
        let world_us = wall_us() - created_us;
        if world_us < 0 {
            tracing::warn!(
                "the wall clock is earlier than the creation of this world; world time waits for it"
            );
        }
        let world = Rate { time_us: 0, world_us: world_us.max(0), ppm: 0 };
        Self { started: Instant::now(), created_us, world: Mutex::new(world) }
    }

    /// Both clocks now.
    pub(crate) fn now(&self) -> Now {
        let rate = *self.rate();
        let time_us = self.started.elapsed().as_micros() as u64;
        let world_ms = rate.at(time_us) / 1_000;
        Now { time: Time(time_us), world: WorldTime(world_ms as u64) }
    }

    /// The instant of node time `time`.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.started + Duration::from_micros(time.0)
    }

    /// Follows the wall clock: call about once per second.
    pub(crate) fn adjust(&self) {
        let time_us = self.started.elapsed().as_micros() as u64;
        let mut rate = self.rate();
        let adjusted = rate.adjusted(time_us, wall_us() - self.created_us);
        if adjusted.world_us - rate.at(time_us) > JUMP_US {
            tracing::warn!("the wall clock jumped ahead; world time follows");
        }
        *rate = adjusted;
    }

    fn rate(&self) -> std::sync::MutexGuard<'_, Rate> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    fn at(self, time_us: u64) -> i64 {
        let passed = time_us.saturating_sub(self.time_us) as i64;
        self.world_us + passed + passed * self.ppm / 1_000_000
    }

    /// The function from here on, when the wall clock says that world time should be `target_us`.
    fn adjusted(self, time_us: u64, target_us: i64) -> Self {
        let world_us = self.at(time_us);
        let error = target_us - world_us;
        if error > JUMP_US {
            return Self { time_us, world_us: target_us, ppm: 0 };
        }
        Self { time_us, world_us, ppm: (error / SLEW_OVER_S).clamp(-SLEW_PPM_MAX, SLEW_PPM_MAX) }
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

    #[test]
    fn small_errors_are_worked_off_and_never_by_running_back() {
        for error in [-400_000i64, -3_000, 3_000, 400_000] {
            let mut rate = Rate { time_us: 0, world_us: 1_000_000, ppm: 0 };
            let mut last = 0;
            for s in 1..=60u64 {
                let t = s * 1_000_000;
                assert!(rate.at(t) > last, "forward, {error}");
                last = rate.at(t);
                rate = rate.adjusted(t, 1_000_000 + t as i64 + error);
            }
            let left = 1_000_000 + 60_000_000 + error - rate.at(60_000_000);
            assert!(left.abs() < 2_000, "{error}: {left} µs left after a minute");
        }
    }

    #[test]
    fn a_clock_set_ahead_is_followed_at_once_and_one_set_back_is_awaited() {
        let rate = Rate { time_us: 0, world_us: 0, ppm: 0 };
        assert_eq!(rate.adjusted(1_000_000, 3_600_000_000).at(1_000_000), 3_600_000_000);
        let back = rate.adjusted(10_000_000, -3_600_000_000);
        assert_eq!(back.at(10_000_000), 10_000_000);
        assert_eq!(back.at(11_000_000), 10_900_000, "a tenth slower");
    }
}
