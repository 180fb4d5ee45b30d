//! World time on this node. The driver hands in what the machine's clock says; this file makes of it a time that never steps, and
//! that follows the other members.
//!
//! * *A step of the machine's clock is no step of world time.* It is measured against node time, and left out, either way.
//! * *Nodes compare.* Each heartbeat carries its sender's world time. A node that differs from the median of the members (of two:
//!   from the older) runs up to 0.9 % faster or slower until it agrees. With the 0.1 % by which a driver follows its machine's
//!   clock that is one per cent at most.
//! * *A node that joins* takes over the time of those that are there before anything happens in its world: only then its time may
//!   step, also back.
//! * *More than a second off*: the node takes no players. The caller asks [`WorldClock::is_off`].

use gundo_types::{Now, Planted, Time, WorldTime};

/// Slewing, in millionths of the time that passes.
const SLEW_PPM: u64 = 9_000;
/// The machine's clock may differ from node time by this much per input, plus a fifth: beyond that it was set. µs
const JITTER_US: u64 = 50_000;
/// Differences up to this one are left as they are: a message between nodes takes its time too. µs
const CLOSE_US: i64 = 100_000;
/// A node that is further off takes no players, µs.
const OFF_US: i64 = 1_000_000;
/// It takes them again when it is no further off than this, µs.
const NEAR_US: i64 = 800_000;

/// World time as a function of what the driver hands in.
#[derive(Default)]
pub(crate) struct WorldClock {
    /// The newest input: what the machine's clocks said. Before the first one: nothing.
    last: Option<Now>,
    /// World time then, µs.
    world_us: u64,
    /// What is still to be worked off: positive, if this clock is behind. µs
    debt_us: i64,
    /// Node time from which on the next slew counts.
    slewed: Time,
    /// The difference to the other members: positive, if this clock is behind. µs
    error_us: i64,
    off: bool,
}

impl WorldClock {
    /// World time at an input. `planted`: the mistakes of this file that are planted.
    pub(crate) fn at(&mut self, now: Now, planted: impl Fn(Planted) -> bool) -> WorldTime {
        let Some(before) = self.last.replace(now) else {
            (self.world_us, self.slewed) = (now.world.min(WorldTime::MAX).0 * 1_000, now.time);
            return self.shown();
        };
        let (passed_us, before_us) = (now.time.since(before.time), self.world_us);
        let ran = (i128::from(now.world.0) - i128::from(before.world.0)) * 1_000;
        let steps = (ran - i128::from(passed_us)).unsigned_abs() > u128::from(passed_us / 5 + JITTER_US);
        if steps && planted(Planted::ClockJumps) {
            self.world_us = self.world_us.max(now.world.min(WorldTime::MAX).0 * 1_000);
        } else {
            let runs_us = if steps { i128::from(passed_us) } else { ran };
            let runs_us = if planted(Planted::ClockRunsBack) { runs_us } else { runs_us.max(0) };
            self.world_us = self.world_us.saturating_add_signed(i64::try_from(runs_us).unwrap_or(i64::MAX));
        }
        self.slew(now.time, if planted(Planted::SlewsAtOnce) { u64::MAX } else { SLEW_PPM });
        self.world_us = self.world_us.min(WorldTime::MAX.0 * 1_000);
        if !planted(Planted::ClockRunsBack) {
            // The machine's clock may stand still for a moment, and slewing must not run it back.
            self.world_us = self.world_us.max(before_us);
        }
        self.shown()
    }

    fn shown(&self) -> WorldTime {
        WorldTime(self.world_us / 1_000)
    }

    /// Works off a part of the debt. It never runs backwards: it takes less than what has passed.
    fn slew(&mut self, now: Time, slew_ppm: u64) {
        let most = now.since(self.slewed).saturating_mul(slew_ppm) / 1_000_000;
        if most == 0 {
            return;
        }
        self.slewed = now;
        let part = self.debt_us.clamp(-(most as i64), most as i64);
        self.debt_us -= part;
        self.world_us = self.world_us.saturating_add_signed(part);
    }

    /// The other members' clocks differ from this one by `error_us`: positive, if this one is behind.
    pub(crate) fn compare(&mut self, error_us: i64) {
        self.error_us = error_us;
        let far = error_us.saturating_abs();
        self.debt_us = error_us.signum() * (far - CLOSE_US).max(0);
        self.off = far > if self.off { NEAR_US } else { OFF_US };
    }

    /// Takes over the other members' time, if it differs by more than slewing can do soon. Returns the new time if so.
    pub(crate) fn adopt(&mut self, error_us: i64) -> Option<WorldTime> {
        self.compare(error_us);
        if !self.off {
            return None;
        }
        self.world_us = self.world_us.saturating_add_signed(error_us).min(WorldTime::MAX.0 * 1_000);
        self.compare(0);
        Some(self.shown())
    }

    /// Whether it is more than a second off.
    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// How far it is off, ms.
    pub(crate) fn off_ms(&self) -> u64 {
        self.error_us.unsigned_abs() / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn now(ms: u64, world_ms: i64) -> Now {
        Now { time: Time(ms * 1_000), world: WorldTime(world_ms.max(0) as u64) }
    }

    fn none(_: Planted) -> bool {
        false
    }

    #[test]
    fn a_step_of_the_machine_is_no_step_of_the_world() {
        for step in [-HOUR_MS, -2_000, 2_000, HOUR_MS, 1 << 60] {
            let mut clock = WorldClock::default();
            let mut ahead = 10 * HOUR_MS;
            let mut last = clock.at(now(0, ahead), none);
            for turn in 1..10_000_u64 {
                if turn == 5_000 {
                    ahead = ahead.saturating_add(step);
                }
                let world = clock.at(now(turn * 10, ahead.saturating_add(turn as i64 * 10)), none);
                assert!(world.0 - last.0 <= 11, "it runs as before: {step}");
                last = world;
            }
            let ran = last.0 - 10 * HOUR_MS as u64;
            assert!((99_900..=100_000).contains(&ran), "{ran} ms after a step by {step}");
        }
    }

    #[test]
    fn a_difference_is_worked_off_by_a_hundredth_at_most() {
        for error in [-3_000_000_i64, 3_000_000] {
            let mut clock = WorldClock::default();
            let start = clock.at(now(0, HOUR_MS), none).0 as i64 * 1_000;
            let (mut last, mut left) = (start, error);
            for ms in (250..400_000).step_by(250) {
                clock.compare(left);
                let world = clock.at(now(ms, HOUR_MS + ms as i64), none).0 as i64 * 1_000;
                assert!((247_000..=253_000).contains(&(world - last)), "{} µs in 250 ms", world - last);
                last = world;
                left = start + ms as i64 * 1_000 + error - world;
            }
            assert!(left.abs() <= CLOSE_US + 1_000, "{left} µs are left of {error}");
            assert!(!clock.is_off());
        }
    }

    #[test]
    fn a_small_step_back_lets_time_stand_still() {
        for runs_back in [false, true] {
            let mut clock = WorldClock::default();
            let planted = |mistake| runs_back && mistake == Planted::ClockRunsBack;
            clock.at(now(0, HOUR_MS), planted);
            let before = clock.at(now(100, HOUR_MS + 100), planted);
            let after = clock.at(now(110, HOUR_MS + 80), planted);
            assert_eq!(after < before, runs_back);
            assert_eq!(after.0, before.0 - if runs_back { 20 } else { 0 });
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_off_until_it_is_near() {
        let mut clock = WorldClock::default();
        clock.at(now(0, HOUR_MS), none);
        let off: Vec<_> = [900_000, 1_100_000, -900_000, -790_000, 900_000]
            .map(|error| {
                clock.compare(error);
                clock.is_off()
            })
            .into();
        assert_eq!(off, [false, true, true, false, false]);
    }

    #[test]
    fn one_that_joins_takes_over_the_time_of_the_others() {
        for error in [-HOUR_MS, HOUR_MS, i64::MAX / 2_000] {
            let mut clock = WorldClock::default();
            clock.at(now(0, 2 * HOUR_MS), none);
            let world = clock.adopt(error * 1_000).expect("it is far off");
            assert_eq!(world.0, ((2 * HOUR_MS).saturating_add(error) as u64).min(WorldTime::MAX.0));
            assert!(!clock.is_off());
        }
        let mut clock = WorldClock::default();
        clock.at(now(0, 2 * HOUR_MS), none);
        assert_eq!(clock.adopt(500_000), None, "that is worked off");
    }
}
