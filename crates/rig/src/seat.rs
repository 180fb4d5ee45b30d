//! A kernel with its clock and its timer.

use std::ops::Deref;

use gundo_kernel::{Input, Node, Output};
use gundo_types::{Now, Time, WorldTime};

/// The clocks of a node: what they show when the harness' clock is at so many µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// When the node's own clock began to run, µs.
    pub began: u64,
    /// How fast it runs, millionths of the harness' clock.
    pub rate: u64,
    /// World time when the harness' clock began, ms.
    pub world_ms: u64,
    /// How far the node's world clock is ahead, ms.
    pub ahead_ms: i64,
}

impl Clock {
    /// A clock that is right: it runs with the harness' clock, whose first moment is world time `world_ms`.
    pub fn right(world_ms: u64) -> Self {
        Self { began: 0, rate: 1_000_000, world_ms, ahead_ms: 0 }
    }

    /// What the clocks show at `now`, µs.
    pub fn at(&self, now: u64) -> Now {
        let ran = u128::from(now - self.began) * u128::from(self.rate) / 1_000_000;
        let world = (self.world_ms + now / 1_000).saturating_add_signed(self.ahead_ms);
        Now { time: Time(ran as u64), world: WorldTime(world) }
    }

    /// The first moment, µs, at which the node's own clock shows `time`.
    pub fn when(&self, time: Time) -> u64 {
        self.began + (u128::from(time.0) * 1_000_000).div_ceil(u128::from(self.rate)) as u64
    }
}

/// What follows from an input.
#[derive(Debug)]
pub struct Step {
    /// What the node wants done, in order.
    pub outputs: Vec<Output>,
    /// When a timer of the node must land that is not in flight yet, µs.
    pub wake: Option<u64>,
}

/// A node that a harness drives: a kernel, its clock, and the timer that is in flight for it.
///
/// * [`take`](Self::take) one input; do what its [`Step`] says.
/// * When a timer lands, ask [`is_woken`](Self::is_woken): if so, give [`Input::Timeout`].
///
/// Everything else about the kernel can be looked at through the seat, and not changed.
pub struct Seat {
    kernel: Node,
    /// What its clocks show.
    pub clock: Clock,
    /// When the earliest timer in flight lands.
    timer: Option<u64>,
}

impl Seat {
    /// A kernel that has taken no input yet.
    pub fn new(kernel: Node, clock: Clock) -> Self {
        Self { kernel, clock, timer: None }
    }

    /// Handles one input at `now`, µs, and drains what follows.
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

    /// A timer lands: whether the node is to be woken. One that was set later, or for what was done before, is not for it.
    pub fn is_woken(&mut self, now: u64) -> bool {
        self.timer.take_if(|at| *at <= now).is_some()
    }

    /// Asserts what must hold in the kernel between two inputs. Costs a walk over all it has.
    ///
    /// # Panics
    /// See [`Node::check`].
    pub fn check(&mut self) {
        self.kernel.check();
    }

    /// The kernel is of the next version from now on: see [`Node::act_newer`].
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
            let clock = Clock { began: 300, rate, world_ms: 0, ahead_ms: 0 };
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
    }
}
