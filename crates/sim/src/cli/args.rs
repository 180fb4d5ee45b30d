//! The grammar of the command line.

use std::collections::BTreeMap;

use clap::{Args, Parser, Subcommand};
use gundo_types::Planted;

use crate::plan::{CLIENTS_MAX, Dial, NODES_MAX, Overrides, Profile};

/// Run whole clusters from seeds, inject every fault, and check that nothing is lost.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) runs: Runs,
    #[command(subcommand)]
    pub(super) what: Option<What>,
}

#[derive(Subcommand)]
pub(super) enum What {
    /// Plant one bug after another, and check that the checkers find each.
    Mutants(Mutants),
    /// Make one mistake in the game's rules after another, and check that the checkers find each.
    Mistakes(Mistakes),
}

#[derive(Args)]
pub(super) struct Runs {
    /// Run only this seed, and print its plan.
    #[arg(long, value_name = "S", value_parser = seed, conflicts_with_all = ["seeds", "minutes"])]
    pub(super) seed: Option<u64>,
    /// Run this many seeds (default 20).
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) seeds: Option<u64>,
    /// Run seeds for this long.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) minutes: Option<u64>,
    /// Begin with this seed.
    #[arg(long, value_name = "S", value_parser = seed, default_value = "1")]
    pub(super) from: u64,
    #[command(flatten)]
    pub(super) shape: Shape,
    /// Run this many seeds at the same time, each on its own thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) jobs: u64,
    /// Run each seed twice and compare.
    #[arg(long)]
    pub(super) twice: bool,
    /// Do not look for a smaller run with the same failure.
    #[arg(long)]
    pub(super) no_shrink: bool,
    /// Continue after a failure.
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Print which states have had which messages, and which have not. Needs a program with the feature `planted`.
    #[arg(long)]
    pub(super) coverage: bool,
    /// Print how full the lists were that have a limit.
    #[arg(long)]
    pub(super) sizes: bool,
    /// Plant this bug. `mutants --list` prints the names.
    #[arg(long, value_name = "NAME", value_parser = planted)]
    pub(super) plant: Option<Planted>,
    /// Make this mistake in the game's rules. `mistakes --list` prints the names.
    #[arg(long, value_name = "NAME")]
    pub(super) mistake: Option<String>,
    #[command(flatten)]
    pub(super) story: StoryArgs,
}

#[derive(Args, Clone)]
pub(super) struct Shape {
    /// How large the worlds are.
    #[arg(long, value_name = "SIZE", value_enum, default_value_t)]
    pub(super) profile: Profile,
    /// Nodes, 1 to 64, instead of the seed's choice.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    pub(super) nodes: Option<u16>,
    /// Players, 1 to 5,000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CLIENTS_MAX as u64))]
    pub(super) clients: Option<u64>,
    /// Only these faults: `crash,unknown-lost`, with positions `crash=3,delay=200` (times per minute; ms for delay and
    /// clocks), or `none`.
    #[arg(long, value_name = "LIST", value_parser = dials)]
    pub(super) faults: Option<DialList>,
    /// Length of the faulty part, seconds (default 60, of large worlds 10); 30 s of healing follow.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) fault_seconds: Option<u64>,
}

impl Shape {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            profile: self.profile,
            nodes: self.nodes,
            clients: self.clients.map(|n| n as usize),
            dials: self.faults.clone().map(|list| list.0),
            fault_ms: self.fault_seconds.map(|s| s * 1_000),
        }
    }
}

#[derive(Args, Clone)]
pub(super) struct StoryArgs {
    /// Print what happens, line by line. Needs --seed.
    #[arg(long, requires = "seed")]
    pub(super) story: bool,
    /// Only lines about this entity (its id, hexadecimal, as the story writes it). May be given several times.
    #[arg(long, value_name = "ID", requires = "story", value_parser = id)]
    pub(super) entity: Vec<u64>,
    /// Only lines about this node.
    #[arg(long, value_name = "N", requires = "story")]
    pub(super) node: Vec<u16>,
    /// Only lines about this player (its number, from 0) and its sessions.
    #[arg(long, value_name = "N", requires = "story")]
    pub(super) player: Vec<usize>,
    /// Only lines from this time on, ms.
    #[arg(long, value_name = "MS", requires = "story", default_value_t = 0)]
    pub(super) from_ms: u64,
    /// Only lines up to this time, ms.
    #[arg(long, value_name = "MS", requires = "story", default_value_t = 0)]
    pub(super) to_ms: u64,
    /// Also frames, moves, pings and timers.
    #[arg(long, requires = "story")]
    pub(super) everything: bool,
}

#[derive(Args)]
pub(super) struct Mutants {
    /// Only these bugs [default: all].
    #[arg(value_name = "NAME", value_parser = planted)]
    pub(super) names: Vec<Planted>,
    #[command(flatten)]
    pub(super) hunt: Hunt,
}

#[derive(Args)]
pub(super) struct Mistakes {
    /// Only these mistakes [default: all].
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) hunt: Hunt,
}

#[derive(Args)]
pub(super) struct Hunt {
    /// Seeds to try for each of them.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) seeds: u64,
    /// Begin with this seed.
    #[arg(long, value_name = "S", value_parser = seed, default_value = "1")]
    pub(super) from: u64,
    /// Run this many seeds at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) jobs: u64,
    #[command(flatten)]
    pub(super) shape: Shape,
    /// List what there is to find.
    #[arg(long)]
    pub(super) list: bool,
}

/// The highest position of a dial: 166 times per second, 10 s, or one per cent in millionths.
pub(super) const DIAL_MAX: u32 = 10_000;

#[derive(Clone)]
pub(super) struct DialList(pub(super) BTreeMap<Dial, Option<u32>>);

pub(super) fn seed(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a seed is a number from 0 to 2^64 - 1, decimal or 0x…".to_owned())
}

pub(super) const NOT_PLANTED: &str =
    "this program was built without the feature `planted`: it has no bugs to plant";

pub(super) fn planted(text: &str) -> Result<Planted, String> {
    if !cfg!(feature = "planted") {
        return Err(NOT_PLANTED.to_owned());
    }
    Planted::parse(text).ok_or_else(|| "there is no such bug; `mutants --list` names them".to_owned())
}

pub(super) fn id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "an id is hexadecimal, as the story writes it: 3f".to_owned())
}

pub(super) fn dials(text: &str) -> Result<DialList, String> {
    let mut list = BTreeMap::new();
    for word in text.split(',').filter(|w| !w.is_empty() && *w != "none") {
        let (name, number) = match word.split_once('=') {
            Some((name, number)) => {
                let parsed = number.parse().ok().filter(|number| *number <= DIAL_MAX);
                (
                    name,
                    Some(parsed.ok_or_else(|| format!("`{number}` is not a number from 0 to {DIAL_MAX}"))?),
                )
            }
            None => (word, None),
        };
        let dial = Dial::parse(name).ok_or_else(|| {
            let names: Vec<_> = Dial::ALL.iter().map(|d| d.name()).collect();
            format!("there is no fault `{name}`; there are {}", names.join(", "))
        })?;
        list.insert(dial, number);
    }
    Ok(DialList(list))
}
