//! How large the worlds of a run may be.

use std::fmt;

use gundo_bots::Chance;

use super::{Overrides, Plan};

/// How large the worlds of a run are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// 1 to 9 nodes and 2 to 200 players, a minute of faults.
    #[default]
    Usual,
    /// As usual, and members say again what was said before, in any state. All that counts is that no node breaks down.
    Echoes,
    /// 10 to 64 nodes and 500 to 5,000 players all over the land, ten seconds with the faults of a minute.
    Large,
}

impl Profile {
    /// Faults come so many times as often as in the usual worlds: as many of them in less time.
    pub(super) fn often(self) -> u32 {
        match self {
            Self::Usual | Self::Echoes => 1,
            Self::Large => 6,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "usual",
            Self::Echoes => "echoes",
            Self::Large => "large",
        })
    }
}

/// Length of the faulty part of a large world, ms.
pub(super) const LARGE_FAULT_MS: u64 = 10_000;

impl Plan {
    /// The same, as large as its profile and the command line want it.
    pub(super) fn of_size(mut self, overrides: &Overrides) -> Self {
        if self.profile == Profile::Large {
            self.enlarge();
        }
        self.nodes = overrides.nodes.unwrap_or(self.nodes);
        self.clients = overrides.clients.unwrap_or(self.clients);
        self.fault_ms = overrides.fault_ms.unwrap_or(self.fault_ms);
        self
    }

    /// What a seed chooses in another way for a large world.
    fn enlarge(&mut self) {
        let size = &mut Chance::new(self.seed ^ 0x1a_46);
        self.nodes = [10, 16, 24, 40, 64][size.below(5) as usize];
        self.clients = [500, 1_000, 2_000, 3_000, 5_000][size.below(5) as usize];
        self.fault_ms = LARGE_FAULT_MS;
        self.arrival_ms = 5_000;
        self.steps_per_second = 5;
        // Thousands in one place would see each other: that is a benchmark of its own.
        self.crowd = 0;
        self.travellers = [0, 0, 2][size.below(3) as usize];
        self.world.sight_chunks = [[0, 1, 1], [1, 1, 1], [1, 1, 2]][size.below(3) as usize];
        // A bottleneck of a few appends at a time is for few players.
        self.world.appends_waiting_max = 1_024;
    }
}
