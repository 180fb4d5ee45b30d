//! The server under test: the engine as a game's binary runs it, with the benchmarks' game. Ends when its input ends.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use gundo_journal_sqlite::Settings;
use gundo_node::{RunningWorld, SoloSettings};
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
}

/// What the server says about its journal when asked for `stats`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct JournalStats {
    pub(crate) groups: u64,
    pub(crate) events: u64,
}

/// Runs a world on any free ports: says `ready URL` when it listens, then answers each line `stats` until the input ends.
pub(crate) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let journal = Arc::new(gundo_journal_sqlite::open(&args.data, Settings::default())?);
    let mut settings =
        SoloSettings { nodes: args.nodes, listen: ([127, 0, 0, 1], 0).into(), ..SoloSettings::default() };
    settings.world.limits.client_messages_per_second_max = MESSAGES_PER_SECOND_MAX;
    let world = RunningWorld::start(&settings, journal.clone(), |_| game::rules())?;
    say(&format!("ready ws://{}", world.edges()[0]))?;
    for line in std::io::stdin().lock().lines() {
        if line? == "stats" {
            let stats = journal.stats();
            let stats = JournalStats { groups: stats.groups, events: stats.events };
            say(&format!("stats {}", serde_json::to_string(&stats)?))?;
        }
    }
    world.stop()?;
    Ok(())
}

/// One line to the process that waits for it.
pub(crate) fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
