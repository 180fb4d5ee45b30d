//! `scale`: how cost grows. It measures what a node sends to its peers and to its clients, for given numbers of nodes and
//! players.
//!
//! It runs real kernels in one thread on a virtual clock: no sockets, no faults, no client's picture, a fixed delay on
//! every link, the journal's rules in memory. It counts only what leaves a kernel, so the same seed gives the same table.
//!
//! * [`measure`]: one [`Case`]. [`table`]: the results as text and Markdown, [`plot`] as SVG.
//!
//! Start reading at [`measure`]; `command` runs a matrix of cases, `cluster` has the loop, `traffic` the counters.

mod cluster;
mod command;
mod plot;
mod table;
mod traffic;

use std::fmt;
use std::time::Duration;

use gundo_types::{CHUNK_MM, Point};
use rustix::time::{ClockId, clock_gettime};

use cluster::Cluster;
pub(crate) use command::{ScaleArgs, scale};
pub(crate) use traffic::Traffic;

/// Most nodes of one case: a cell has about 64.
pub(crate) const NODES_MAX: u16 = 256;
/// Most players of one case.
pub(crate) const PLAYERS_MAX: usize = 100_000;

/// Where the players are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Shape {
    /// In an area that grows with their number: each sees about ten others.
    Spread,
    /// All in one chunk.
    Crowd,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spread => "spread",
            Self::Crowd => "crowd",
        })
    }
}

/// A cluster to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) players: usize,
    /// Players come in by all nodes, round-robin.
    pub(crate) nodes: u16,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} players, {} nodes", self.shape, self.players, self.nodes)
    }
}

/// The schedule of a case, ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Players come in, evenly spread, and stand still until all are there. It lasts as long as places stay in memory
    /// (`place_every_ms`), so that afterwards places become durable just as evenly.
    pub(crate) arrival_ms: u64,
    /// They walk, and nothing is counted yet: chunks that players left are published for five more seconds.
    pub(crate) warm_up_ms: u64,
    /// The part that is counted.
    pub(crate) counted_ms: u64,
}

impl Schedule {
    pub(crate) fn counting(counted_ms: u64) -> Self {
        Self { arrival_ms: 30_000, warm_up_ms: 6_000, counted_ms }
    }
}

/// The results of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) counted_ms: u64,
    /// What each node sent in the counted part.
    pub(crate) nodes: Vec<Traffic>,
}

impl Measured {
    /// Per node and second: the mean of `what` over the nodes, and its maximum.
    pub(crate) fn rates(&self, what: impl Fn(&Traffic) -> u64) -> (f64, f64) {
        let rate = |count: u64| count as f64 * 1_000.0 / self.counted_ms as f64;
        let counts: Vec<u64> = self.nodes.iter().map(what).collect();
        let mean = rate(counts.iter().sum()) / counts.len() as f64;
        (mean, rate(counts.into_iter().max().unwrap_or(0)))
    }
}

/// Measures one case. Also returns the CPU time, of kernels and the loop around them, of the counted part; nothing else in
/// the result differs from run to run.
///
/// # Errors
/// Not all players came into the world and walked as they wanted, so the counts would mean nothing.
pub(crate) fn measure(case: Case, schedule: Schedule, seed: u64) -> Result<(Measured, Duration), String> {
    let mut cluster = Cluster::new(case, schedule, seed);
    cluster.run_until((schedule.arrival_ms + schedule.warm_up_ms) * 1_000);
    cluster.start_counting();
    let begin = cpu_time();
    cluster.run_until((schedule.arrival_ms + schedule.warm_up_ms + schedule.counted_ms) * 1_000);
    let cpu = cpu_time().saturating_sub(begin);
    cluster.check().map_err(|text| format!("{case}: {text}"))?;
    Ok((Measured { case, counted_ms: schedule.counted_ms, nodes: cluster.counted() }, cpu))
}

/// CPU time of this thread: it stops while other threads have the processor.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The rectangle in which players walk.
fn area(case: Case) -> (Point, Point) {
    /// Chunks in sight: a square of 7 by 7.
    const SIGHT_CHUNKS: f64 = 49.0;
    /// Others that each player sees in it.
    const VISIBLE: f64 = 10.0;
    /// The crowd stays this far from its chunk's border, mm.
    const MARGIN_MM: i32 = 1_000;
    match case.shape {
        Shape::Spread => {
            let chunks = (case.players as f64 * SIGHT_CHUNKS / VISIBLE).sqrt();
            let half = (chunks * f64::from(CHUNK_MM) / 2.0) as i32;
            (Point::new(-half, -half), Point::new(half, half))
        }
        Shape::Crowd => {
            let far = CHUNK_MM - MARGIN_MM;
            (Point::new(MARGIN_MM, MARGIN_MM), Point::new(far, far))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(shape: Shape, seed: u64) -> Measured {
        let schedule = Schedule { arrival_ms: 500, warm_up_ms: 1_500, counted_ms: 2_000 };
        measure(Case { shape, players: 20, nodes: 3 }, schedule, seed).expect("all walk").0
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let measured = small(Shape::Spread, 7);
        assert_eq!(measured, small(Shape::Spread, 7));
        assert_ne!(measured, small(Shape::Spread, 8));
        assert!(measured.nodes.iter().all(|node| node.peer_messages() > 0), "{measured:?}");
        assert!(measured.nodes.iter().all(|node| node.client_messages > 0), "{measured:?}");
    }

    #[test]
    fn clients_in_a_crowd_get_more_bytes() {
        let bytes = |shape| small(shape, 7).rates(|node| node.client_bytes).0;
        let (crowd, spread) = (bytes(Shape::Crowd), bytes(Shape::Spread));
        assert!(crowd > spread, "{crowd} and {spread}");
    }

    /// In a crowd the numbers follow from the world's settings. Each node has a bundle for every other node each tick and a
    /// reminder each second; each player gets a message each tick with everybody's motion in it.
    #[test]
    fn a_crowd_costs_what_can_be_reckoned() {
        let crowd = small(Shape::Crowd, 7);
        let (mean, max) = crowd.rates(|node| node.bundles);
        assert_eq!((mean, max), (20.0, 20.0));
        // To each of two peers, each second: the numbers it sent last, and four heartbeats.
        assert_eq!(crowd.rates(|node| node.reminders), (10.0, 10.0));
        assert_eq!(crowd.rates(|node| node.interest), (0.0, 0.0), "nobody leaves the chunk");
        let messages: u64 = crowd.nodes.iter().map(|node| node.client_messages).sum();
        assert_eq!(messages, 20 * 10 * 2);
    }

    #[test]
    fn rates_are_per_node_and_second() {
        let node = |client_messages| Traffic { client_messages, ..Traffic::default() };
        let case = Case { shape: Shape::Crowd, players: 1, nodes: 2 };
        let measured = Measured { case, counted_ms: 2_000, nodes: vec![node(10), node(30)] };
        assert_eq!(measured.rates(|node| node.client_messages), (10.0, 15.0));
    }
}
