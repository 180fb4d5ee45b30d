//! The plan of a run: how large the world is, who plays in it and how, and which faults happen.

mod profile;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gundo_bots::Chance;
use gundo_kernel::WorldSettings;

pub use self::profile::Profile;

/// A fault, or a strain on the world. Each is a dial: its position is the number of times per simulated minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dial {
    /// Messages between nodes are delayed: the position is the longest delay, ms.
    Delay,
    /// A link between two nodes blocks for a while, both ways, and then delivers everything it kept.
    Partition,
    /// The same in one direction only.
    OneWay,
    /// Frames between nodes are lost for a while, as if a slow peer's queue were full.
    Frames,
    /// A link between two nodes is reset: whatever is in flight on it is lost, and what is sent until both know.
    Reset,
    /// A link between two nodes is reset: of what is in flight on it some is lost, and some arrives twice.
    Scatter,
    /// A node's driver has lost messages to another node for good: their link begins again.
    Forget,
    /// A node freezes for a while.
    Pause,
    /// The whole process dies, and another starts on its journal.
    Crash,
    /// One node dies; the others take over, and it starts again.
    NodeCrash,
    /// A node is drained; when it is empty it ends, and starts again.
    Drain,
    /// The process is presumed dead but works on for a moment, while another starts on its journal.
    Zombie,
    /// A new view with the same members, which nodes learn of at different times.
    Views,
    /// The coordinator answers nobody for a while: no leases, no new members, no takeovers.
    Coordinator,
    /// The coordinator takes calls and answers none for a while.
    Hang,
    /// The coordinator restarts or loses its leader: it answers nobody for a while, its leases run on, its watches break.
    Leader,
    /// Some nodes do not reach the coordinator for a while: their calls fail, or are never answered.
    Apart,
    /// The coordinator answers late for a while.
    Lazy,
    /// Two nodes do not reach each other for long, in one direction or both; all others reach both.
    Cut,
    /// This percentage of calls to the coordinator stops between two of their steps, or their answer is lost.
    HalfDone,
    /// Nodes' clocks run at different rates, and their world clocks are off: the position is the largest error, ms. Two
    /// nodes may differ by a second.
    Clocks,
    /// A node's machine has its clock set: by up to an hour, either way.
    Steps,
    /// The world clocks of the nodes' machines run at different rates: the position is the largest error, millionths.
    Drift,
    /// Turns of nodes take time: the position is how long on a usual machine, %.
    Work,
    /// A node's machine is very slow for a while.
    Busy,
    /// All connections of one edge break.
    Edge,
    /// A client's connection breaks, and the client or the edge learns of it late.
    Vanish,
    /// A player logs in at another edge while its old connection is still alive.
    Elsewhere,
    /// A player logs out, and comes back.
    Leave,
    /// Half of all players log out at once, and come back at once.
    Wave,
    /// A client resends an old command.
    Resend,
    /// A client's messages overtake each other.
    Reorder,
    /// A client sends messages that no real client would.
    Garbage,
    /// A node speaks for a player or a connection of other nodes.
    Forged,
    /// A client reads slowly for a while.
    Lag,
    /// The journal commits slowly for a while.
    Slow,
    /// The journal refuses a group.
    Reject,
    /// The journal refuses everything for a while: the disk is full.
    Full,
    /// The journal's queue is full: it refuses one batch ahead of those before it.
    Queue,
    /// A key of one append of a group is there already: that one fails, and the others are written one by one.
    Collide,
    /// Each node's way to the journal has a length of its own: the position is the longest, ms.
    Uneven,
    /// The outcome of a group is unknown; it has landed.
    UnknownLanded,
    /// The outcome of a group is unknown; it has not landed.
    UnknownLost,
    /// Nobody can read the journal for a while.
    Unreadable,
    /// The journal is pruned.
    Prune,
    /// The journal fails over to a replica that has everything.
    Failover,
    /// The journal fails over to a replica that lacks what was committed last.
    TailLost,
    /// The journal answers no append for a while.
    Stall,
    /// The journal's disk is nearly full for a while, and the nodes learn of it.
    Low,
    /// Versions are mixed: this percentage of node incarnations is of the next version, which stores more fields than this
    /// one knows.
    Mixed,
    /// A node has too much to do for a while.
    Overload,
    /// A rule of an entity hangs, on whichever node runs it, until another does or everything heals.
    Poison,
    /// A rule of an entity panics once or twice.
    Panics,
    /// Frames and reports of them travel by a connection of their own, as between processes: the position is by how much they may
    /// overtake other messages or be overtaken, ms.
    Lanes,
    /// Everything in flight travels as bytes: on unless it is 0.
    Bytes,
    /// An operator gives an entity an order, and repeats it.
    Orders,
    /// This percentage of players cheats: about place, speed, counts and numbers.
    Cheats,
}

impl Dial {
    /// Every dial.
    pub const ALL: [Self; 57] = [
        Self::Delay,
        Self::Partition,
        Self::OneWay,
        Self::Frames,
        Self::Pause,
        Self::Crash,
        Self::NodeCrash,
        Self::Zombie,
        Self::Views,
        Self::Coordinator,
        Self::Clocks,
        Self::Edge,
        Self::Vanish,
        Self::Elsewhere,
        Self::Leave,
        Self::Wave,
        Self::Resend,
        Self::Reorder,
        Self::Garbage,
        Self::Lag,
        Self::Slow,
        Self::Reject,
        Self::Full,
        Self::Queue,
        Self::UnknownLanded,
        Self::UnknownLost,
        Self::Unreadable,
        Self::Prune,
        Self::Stall,
        Self::Low,
        Self::Mixed,
        Self::Overload,
        Self::Drain,
        Self::HalfDone,
        Self::Poison,
        Self::Panics,
        Self::Bytes,
        Self::Reset,
        Self::Scatter,
        Self::Forget,
        Self::Hang,
        Self::Apart,
        Self::Lazy,
        Self::Cut,
        Self::Steps,
        Self::Cheats,
        Self::Failover,
        Self::TailLost,
        Self::Leader,
        Self::Collide,
        Self::Uneven,
        Self::Drift,
        Self::Work,
        Self::Busy,
        Self::Forged,
        Self::Lanes,
        Self::Orders,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Frames => "frames",
            Self::Lanes => "lanes",
            Self::Reset => "reset",
            Self::Scatter => "scatter",
            Self::Forget => "forget",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::NodeCrash => "node-crash",
            Self::Drain => "drain",
            Self::Zombie => "zombie",
            Self::Views => "views",
            Self::Coordinator => "coordinator",
            Self::HalfDone => "half-done",
            Self::Hang => "hang",
            Self::Apart => "apart",
            Self::Lazy => "lazy",
            Self::Cut => "cut",
            Self::Clocks => "clocks",
            Self::Steps => "steps",
            Self::Drift => "drift",
            Self::Work => "work",
            Self::Busy => "busy",
            Self::Edge => "edge",
            Self::Vanish => "vanish",
            Self::Elsewhere => "elsewhere",
            Self::Leave => "leave",
            Self::Wave => "wave",
            Self::Resend => "resend",
            Self::Reorder => "reorder",
            Self::Garbage => "garbage",
            Self::Forged => "forged",
            Self::Lag => "lag",
            Self::Slow => "slow",
            Self::Reject => "reject",
            Self::Full => "full",
            Self::Queue => "queue",
            Self::UnknownLanded => "unknown-landed",
            Self::UnknownLost => "unknown-lost",
            Self::Unreadable => "unreadable",
            Self::Prune => "prune",
            Self::Leader => "leader",
            Self::Collide => "collide",
            Self::Uneven => "uneven",
            Self::Failover => "failover",
            Self::TailLost => "tail-lost",
            Self::Stall => "stall",
            Self::Low => "low",
            Self::Mixed => "mixed",
            Self::Overload => "overload",
            Self::Poison => "poison",
            Self::Panics => "panics",
            Self::Bytes => "bytes",
            Self::Orders => "orders",
            Self::Cheats => "cheats",
        }
    }

    /// The dial called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dial| dial.name() == name)
    }

    /// Its position when a seed turns it on and the command line gives none: times per minute, ms, or %.
    pub fn usual(self) -> u32 {
        match self {
            Self::Delay | Self::Mixed | Self::Uneven | Self::Lanes => 50,
            Self::Clocks => 250,
            Self::Drift => 200,
            Self::Work => 100,
            Self::Busy => 4,
            Self::HalfDone => 30,
            Self::Crash | Self::Zombie | Self::Wave | Self::Stall => 2,
            Self::Hang | Self::Apart | Self::Lazy | Self::Cut | Self::Leader => 2,
            Self::Steps
            | Self::Partition
            | Self::OneWay
            | Self::Pause
            | Self::Full
            | Self::Slow
            | Self::Edge => 4,
            Self::NodeCrash | Self::Drain | Self::Coordinator | Self::Low | Self::Overload => 4,
            Self::Poison | Self::Failover | Self::TailLost => 2,
            Self::Panics => 10,
            Self::Frames | Self::Reset | Self::Scatter | Self::Forget => 20,
            Self::Views | Self::Prune | Self::Unreadable => 6,
            Self::Vanish | Self::Elsewhere | Self::Leave | Self::Lag | Self::Garbage | Self::Cheats => 20,
            Self::Reject | Self::Queue | Self::Collide | Self::UnknownLanded | Self::UnknownLost => 20,
            Self::Forged => 20,
            Self::Resend | Self::Reorder | Self::Orders => 60,
            Self::Bytes => 1,
        }
    }

    /// Whether it is a state of the whole run rather than something that happens from time to time.
    pub fn is_state(self) -> bool {
        matches!(
            self,
            Self::Delay
                | Self::Clocks
                | Self::Mixed
                | Self::HalfDone
                | Self::Bytes
                | Self::Cheats
                | Self::Uneven
                | Self::Drift
                | Self::Work
                | Self::Lanes
        )
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The position of each dial; dials that are missing are off.
pub type Dials = BTreeMap<Dial, u32>;

/// How a player spends its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows the game's mind.
    Plays,
    /// Goes to the place of the crowd, and plays there.
    Crowd,
    /// Walks far and straight, across many borders.
    Travels,
}

/// The plan of one run: everything that a seed chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed of all random choices.
    pub seed: u64,
    /// How large the world may be.
    pub profile: Profile,
    /// Nodes: 1 to 64.
    pub nodes: u16,
    /// Players: 1 to 5,000.
    pub clients: usize,
    /// The faults.
    pub dials: Dials,
    /// Length of the faulty part, ms of world time.
    pub fault_ms: u64,
    /// Time in which everything must recover afterwards, ms.
    pub heal_ms: u64,
    /// The world's settings.
    pub world: WorldSettings,
    /// Of ten players, how many are in the crowd.
    pub crowd: u32,
    /// Of ten players, how many travel.
    pub travellers: u32,
    /// Time over which the players arrive, ms.
    pub arrival_ms: u64,
    /// Steps of each mind per second.
    pub steps_per_second: u32,
    /// Inputs of kernels after which the run counts as hanging.
    pub inputs_max: u64,
}

/// What the command line (or a smaller run that shows the same failure) chooses instead of the seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// How large the worlds are.
    pub profile: Profile,
    /// Nodes.
    pub nodes: Option<u16>,
    /// Players.
    pub clients: Option<usize>,
    /// The only dials that may be on. A number sets the position.
    pub dials: Option<BTreeMap<Dial, Option<u32>>>,
    /// Length of the faulty part, ms.
    pub fault_ms: Option<u64>,
}

/// Most nodes of a run.
pub const NODES_MAX: u16 = 64;
/// Most players of a run.
pub const CLIENTS_MAX: usize = 5_000;
/// Of ten seeds, in this many everything travels as bytes.
const BYTES_OFTEN: u64 = 8;
/// Default length of the faulty part, ms.
pub const FAULT_MS: u64 = 60_000;
/// Time to heal, ms.
pub const HEAL_MS: u64 = 30_000;
/// Inputs of kernels that no run needs: ten times as many as the busiest seeds take.
pub const INPUTS_MAX: u64 = 30_000_000;

impl Plan {
    /// The choices of `seed`. Each has its own random sequence, so that overriding one does not change the others.
    pub fn new(seed: u64, overrides: &Overrides) -> Self {
        let topology = &mut Chance::new(seed ^ 0x70_90);
        // Few nodes and few players find most bugs; many find the rest.
        let nodes = [1, 2, 3, 3, 3, 4, 5, 5, 7, 9][topology.below(10) as usize];
        let clients = match topology.below(10) {
            0..=4 => 2 + topology.below(14),
            5..=8 => 10 + topology.below(50),
            _ => 60 + topology.below(141),
        };
        let tuning = &mut Chance::new(seed ^ 0x7e_41);
        let mut world = WorldSettings {
            snapshot_every: [3, 10, 50, 300][tuning.below(4) as usize],
            grace_ms: [500, 3_000, 10_000][tuning.below(3) as usize],
            idle_ms: [300, 2_000, 10_000][tuning.below(3) as usize],
            place_every_ms: [1_000, 10_000, 30_000][tuning.below(3) as usize],
            flush_after_ms: [5, 15, 40][tuning.below(3) as usize],
            tract_chunks: [1, 2, 4][tuning.below(3) as usize],
            ..WorldSettings::default()
        };
        // No dial makes the journal refuse for as long as half of this, so whoever is in the world is recorded.
        world.unplayed_ms = [24_000, 60_000, 0][(Chance::new(seed ^ 0x09_1a).below(3)) as usize];
        world.sight_chunks = [[1, 2, 3], [1, 1, 2], [0, 1, 2]][tuning.below(3) as usize];
        if tuning.below(3) == 0 {
            world.limits.waiting_per_entity_max = 1;
        }
        if tuning.below(3) == 0 {
            world.appends_waiting_max = 1 + tuning.below(8) as usize;
        }
        world.follow_after_ms = [1, 500, 3_000, 0][tuning.below(4) as usize];
        if tuning.below(3) == 0 {
            world.piece_bytes_max = 512;
        }
        let work = &mut Chance::new(seed ^ 0x30_77);
        let crowd = [0, 0, 3, 10][work.below(4) as usize];
        let travellers = [0, 2, 5][work.below(3) as usize];
        let arrival_ms = [50, 2_000, 10_000][work.below(3) as usize];
        let dials = dials_of(seed, overrides);
        let plan = Self {
            seed,
            profile: overrides.profile,
            nodes,
            clients: clients as usize,
            dials,
            fault_ms: FAULT_MS,
            heal_ms: HEAL_MS,
            world,
            crowd,
            travellers,
            arrival_ms,
            steps_per_second: 10,
            inputs_max: INPUTS_MAX,
        };
        plan.of_size(overrides)
    }

    /// The dials in the form of the command line: `crash=2,delay=50`, or `none`.
    pub fn dials_text(&self) -> String {
        if self.dials.is_empty() {
            return "none".to_owned();
        }
        let texts: BTreeSet<_> = self.dials.iter().map(|(dial, at)| format!("{dial}={at}")).collect();
        texts.into_iter().collect::<Vec<_>>().join(",")
    }

    /// The role of player `index`.
    pub fn role(&self, index: usize) -> Role {
        let tenth = (index as u32).wrapping_mul(7).wrapping_add(self.seed as u32 % 10) % 10;
        if tenth < self.crowd {
            Role::Crowd
        } else if tenth < self.crowd + self.travellers {
            Role::Travels
        } else {
            Role::Plays
        }
    }
}

/// Which faults happen with this seed, and how often.
fn dials_of(seed: u64, overrides: &Overrides) -> Dials {
    let mut dials = Dials::new();
    let wrong = &mut Chance::new(seed ^ 0xfa_17);
    // Swarm testing: some seeds turn almost everything on, some almost nothing.
    let often = [1, 3, 5, 8][wrong.below(4) as usize];
    for dial in Dial::ALL {
        let (on, strength) = match dial {
            // It breaks nothing, so it is on in most seeds and takes no part in the swarm's choices.
            Dial::Bytes => (Chance::new(seed ^ 0xb1_7e).below(10) < BYTES_OFTEN, 2),
            _ => (wrong.below(10) < often, 1 + wrong.below(4)),
        };
        let often = if dial.is_state() { 1 } else { overrides.profile.often() };
        let mut stands = often * (u64::from(dial.usual()) * strength / 2).max(1) as u32;
        match overrides.dials.as_ref().map(|only| only.get(&dial)) {
            Some(None) => continue,
            Some(Some(Some(asked))) => stands = *asked,
            // Named without a number: on, whatever the seed chose.
            Some(Some(None)) => {}
            None if on => {}
            None => continue,
        }
        if stands > 0 {
            dials.insert(dial, stands);
        }
    }
    if overrides.dials.is_none() {
        keep_few(seed, &mut dials);
    }
    dials
}

/// Of so many seeds, one has very few faults.
const FEW_IN: u64 = 4;
/// That many at most.
const FEW_MAX: u64 = 3;

/// One seed in four has one to three dials, whatever the swarm chose. What nodes make of one fault can be judged strictly when
/// nothing else excuses them.
fn keep_few(seed: u64, dials: &mut Dials) {
    let few = &mut Chance::new(seed ^ 0xfe_33);
    if few.below(FEW_IN) != 0 {
        return;
    }
    dials.retain(|dial, _| *dial == Dial::Bytes);
    for _ in 0..=few.below(FEW_MAX) {
        let dial = Dial::ALL[few.below(Dial::ALL.len() as u64) as usize];
        if dial != Dial::Bytes {
            dials.insert(dial, dial.usual() * (2 + few.below(3) as u32) / 2);
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, clients, dials) = (self.nodes, self.clients, self.dials_text());
        write!(
            f,
            "seed {}: {nodes} nodes, {clients} players, {} s, faults {dials}",
            self.seed,
            self.fault_ms / 1_000
        )
    }
}
