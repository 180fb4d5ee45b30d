//! The server under test: the engine as a game's binary runs it, with the benchmarks' game. Its stdin controls it; it ends
//! when stdin ends.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use gundo::NodeId;
use gundo_journal_sqlite::Settings;
use gundo_node::{AdminWorld, Control, LocalNodes, Refused, SoloSettings};
use serde::{Deserialize, Serialize};

use crate::{Failure, game};

/// Messages per second a client may send here: the journal's benchmark sends one for each answer.
const MESSAGES_PER_SECOND_MAX: u32 = 1_000_000;

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[arg(long)]
    nodes: u16,
    #[arg(long)]
    data: PathBuf,
    /// Players stay on the node that first owned them, wherever their surroundings are.
    #[arg(long)]
    settled: bool,
}

/// The server's answer about its journal to `stats`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct JournalStats {
    pub(crate) groups: u64,
    pub(crate) events: u64,
}

/// Runs a world on any free port. Prints `ready URL` when it listens, then answers each line of its stdin: `stats`,
/// `nodes`, `add`, `rollout`, and `kill N`, `pause N`, `resume N`, `drain N`, whose answer is `done` or `refused CODE`.
pub(crate) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let journal = Arc::new(gundo_journal_sqlite::open(&args.data, Settings::default())?);
    let mut settings =
        SoloSettings { nodes: args.nodes, listen: ([127, 0, 0, 1], 0).into(), ..SoloSettings::default() };
    settings.world.limits.client_messages_per_second_max = MESSAGES_PER_SECOND_MAX;
    if args.settled {
        settings.world.follow_after_ms = 0;
    }
    let nodes = LocalNodes::start(&settings, journal.clone(), |_| game::rules())?;
    say(&format!("ready ws://{}", nodes.address()))?;
    let control = nodes.control();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "stats" {
            let stats = journal.stats();
            let stats = JournalStats { groups: stats.groups, events: stats.events };
            say(&format!("stats {}", serde_json::to_string(&stats)?))?;
        } else if line == "nodes" {
            say(&format!("nodes {}", serde_json::to_string(&AdminWorld::from(control.nodes()?))?))?;
        } else {
            match act(&control, &line) {
                Ok(()) => say("done")?,
                Err(refused) => say(&format!("refused {}", refused.code))?,
            }
        }
    }
    nodes.stop()?;
    Ok(())
}

fn act(control: &Control, line: &str) -> Result<(), Refused> {
    let (word, node) = line.split_once(' ').unwrap_or((line, "0"));
    // Something that is not a number names no node.
    let node = NodeId(node.parse().unwrap_or(0));
    match word {
        "add" => control.add().map(drop),
        "rollout" => control.rollout(),
        "kill" => control.kill(node),
        "pause" => control.pause(node),
        "resume" => control.resume(node),
        "drain" => control.drain(node),
        other => unreachable!("this program does not ask for {other}"),
    }
}

/// Prints one line for the process that waits for it.
pub(crate) fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
