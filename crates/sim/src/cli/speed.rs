//! How fast runs are: simulated player-seconds per second of a core.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Measures from its making.
pub(super) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

/// What runs took, seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) wall_s: f64,
    /// On all cores together. It does not depend on what else the machine does.
    pub(super) cpu_s: f64,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    pub(super) fn took(&self) -> Took {
        let cpu_s = cpu().saturating_sub(self.cpu).as_secs_f64();
        Took { wall_s: self.wall.elapsed().as_secs_f64(), cpu_s }
    }
}

impl Took {
    /// In words. `player_ms`: players times simulated time.
    pub(super) fn speed(&self, player_ms: u64) -> String {
        let player_s = player_ms as f64 / 1_000.0;
        let per_core = player_s / self.cpu_s.max(0.001);
        format!("{player_s:.0} player-seconds in {:.1} s of a core: {per_core:.0} per second", self.cpu_s)
    }
}

/// What this process has used of all cores.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_in_player_seconds_of_a_core() {
        let took = Took { wall_s: 10.0, cpu_s: 20.0 };
        assert_eq!(took.speed(8_000_000), "8000 player-seconds in 20.0 s of a core: 400 per second");
    }
}
