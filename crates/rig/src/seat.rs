//! A kernel with its clock and its timer.

use std::ops::Deref;

use gundo_kernel::{Input, Node, Output};
use gundo_types::{Now, Time, WorldTime};

/// The clocks of a node, as a function of the harness's clock in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// When the node's own clock started, µs.
    pub began: u64,
    /// How fast it runs, in millionths of the harness's clock.
    pub rate: u64,
    /// How fast its world clock runs, in millionths of the harness's clock.
    pub world_rate: u64,
    /// World time when the harness's clock started, ms.
    pub world_ms: u64,
    /// How far the node's world clock is ahead, ms.
    pub ahead_ms: i64,
}

impl Clock {
    /// A correct clock: it runs with the harness's clock, which started at world time `world_ms`.
    pub fn right(world_ms: u64) -> Self {
        Self { began: 0, rate: 1_000_000, world_rate: 1_000_000, world_ms, ahead_ms: 0 }
    }

    /// The clocks' time at `now`, µs.
    pub fn at(&self, now: u64) -> Now {
        let ran = u128::from(now - self.began) * u128::from(self.rate) / 1_000_000;
        let world_ran = u128::from(now) * u128::from(self.world_rate) / 1_000_000_000;
        let world = (self.world_ms + world_ran as u64).saturating_add_signed(self.ahead_ms);
        Now { time: Time(ran as u64), world: WorldTime(world) }
    }

    /// The first moment, µs, at which the node's own clock shows `time`.
    pub fn when(&self, time: Time) -> u64 {
        self.began + (u128::from(time.0) * 1_000_000).div_ceil(u128::from(self.rate)) as u64
    }
}

/// The result of an input.
#[derive(Debug)]
pub struct Step {
    /// The node's outputs, in order.
    pub outputs: Vec<Output>,
    /// When to deliver a timer that is not in flight yet, µs.
    pub wake: Option<u64>,
}

/// A node that a harness drives: a kernel, its clock, and the timer in flight for it.
///
/// * [`take`](Self::take) one input, then execute its [`Step`].
/// * When a timer lands, ask [`is_woken`](Self::is_woken); if so, give the node [`Input::Timeout`].
///
/// Through the seat a harness can read everything else of the kernel, and change nothing.
pub struct Seat {
    kernel: Node,
    /// Its clocks.
    pub clock: Clock,
    /// When the earliest timer in flight lands.
    timer: Option<u64>,
}

impl Seat {
    /// A kernel that has not handled any input yet.
    pub fn new(kernel: Node, clock: Clock) -> Self {
        Self { kernel, clock, timer: None }
    }

    /// Handles one input at `now`, µs, and drains the outputs.
    ///
    /// # Panics
    /// See [`Node::handle`].
    pub fn take(&mut self, now: u64, input: Input) -> Step {
        self.kernel.handle(self.clock.at(now), input);
        let outputs = std::iter::from_fn(|| self.kernel.poll_output()).collect();
        let due = self.kernel.poll_timeout().map(|time| self.clock.when(time).max(now));
        let wake = due.filter(|at| self.timer.is_none_or(|timer| *at < timer));
        self.timer = wake.or(self.timer);
        Step { outputs, wake }
    }

    /// A timer lands: whether it wakes the node. A timer that the node no longer needs does not.
    pub fn is_woken(&mut self, now: u64) -> bool {
        self.timer.take_if(|at| *at <= now).is_some()
    }

    /// Asserts the kernel's invariants between two inputs. It walks over everything the kernel has.
    ///
    /// # Panics
    /// See [`Node::check`].
    pub fn check(&mut self) {
        self.kernel.check();
    }

    /// From now on the kernel acts as the next version: see [`Node::act_newer`].
    pub fn act_newer(&mut self) {
        self.kernel.act_newer();
    }
}

impl Deref for Seat {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_clock_shows_the_harness_clock() {
        let clock = Clock::right(70_000);
        assert_eq!(clock.at(1_234_567), Now { time: Time(1_234_567), world: WorldTime(71_234) });
        assert_eq!(clock.when(Time(1_234_567)), 1_234_567);
    }

    #[test]
    fn a_timer_lands_as_soon_as_it_is_due_and_no_sooner() {
        for rate in [900_000, 999_999, 1_000_001, 1_100_000] {
            let clock = Clock { began: 300, rate, ..Clock::right(0) };
            for time in (1..2_000_000).step_by(99_991).map(Time) {
                let due = clock.when(time);
                assert!(clock.at(due).time >= time && clock.at(due - 1).time < time, "{rate}, {time:?}");
            }
        }
    }

    #[test]
    fn a_world_clock_may_be_ahead_or_behind() {
        let world = |ahead_ms| Clock { ahead_ms, ..Clock::right(1_000) }.at(5_000).world;
        assert_eq!((world(7), world(-7), world(-9_000)), (WorldTime(1_012), WorldTime(998), WorldTime(0)));
        let fast = Clock { world_rate: 1_010_000, ..Clock::right(1_000) };
        assert_eq!(
            (fast.at(5_000).world, fast.at(100_000_000).world),
            (WorldTime(1_005), WorldTime(102_000))
        );
    }
}
