//! Two clocks, both handed in as numbers: node time orders what a kernel does, world time dates what
//! happens in the world.

use std::ops::{Add, Sub};

/// Microseconds since the node started. Never runs backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// This time plus `ms` milliseconds.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0 + ms * 1_000)
    }

    /// Microseconds since `earlier`, 0 if it lies ahead.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since the world began. Dates events, growth and cool-downs; safety does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WorldTime(pub u64);

impl WorldTime {
    /// The latest time that any clock shows: 285,000 years. Its microseconds fit into 64 bits, and every client's numbers are
    /// exact up to here.
    pub const MAX: Self = Self((1 << 53) - 1);
}

impl Add<u64> for WorldTime {
    type Output = WorldTime;
    fn add(self, ms: u64) -> WorldTime {
        WorldTime(self.0.saturating_add(ms))
    }
}

impl Sub for WorldTime {
    type Output = u64;
    /// Milliseconds since `earlier`, 0 if it lies ahead.
    fn sub(self, earlier: WorldTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Both clocks, as a driver hands them in with every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Node time.
    pub time: Time,
    /// World time.
    pub world: WorldTime,
}
