//! `failover`: what players notice when a node crashes, hangs, is drained or restarted under them.
//!
//! The world has three nodes in one process and the bots are in another. This process causes the events and asks every bot
//! what it noticed. Each repetition begins with a complete world: all nodes up, all bots in it, and each bot's player real
//! on another node than the bot's edge, so that the effects of losing a node and losing an edge can be told apart. Start
//! reading at [`failover`]; `trial` is one world and its events, `findings` the results.

mod findings;
mod trial;

use clap::{Args, ValueEnum};

use crate::Failure;
use crate::sheet::Sheet;
use crate::stage::Stage;
use findings::{Aims, Findings, Spread, codes, losses};
use trial::Trial;

#[derive(Args)]
pub(crate) struct FailoverArgs {
    /// Bots in the world
    #[arg(long, default_value_t = 300)]
    bots: usize,
    /// Repetitions of each event; a rolling update counts once for each node it restarts
    #[arg(long, default_value_t = 50)]
    repetitions: usize,
    /// Players on the node that is lost in `loss`
    #[arg(long, default_value_t = 10_000)]
    reals: usize,
    /// Only these events
    #[arg(long, value_delimiter = ',')]
    only: Vec<Event>,
}

/// An event in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Event {
    /// A node crashes that owns some players and is the edge of others.
    Crash,
    /// A node crashes that only owns players: no client is connected there.
    World,
    /// A node hangs.
    Hang,
    /// A node is drained.
    Drain,
    /// No fault: players walk, and become real on other nodes.
    Walk,
    /// Every node is restarted, one after another.
    Rollout,
    /// A node with many players crashes.
    Loss,
    /// No fault: players walk. It measures what a node without clients looks at, once when players become real where their
    /// surroundings are, and once when they stay where they were.
    View,
}

/// The table of everything players notice.
pub(crate) fn failover(stage: &Stage, args: &FailoverArgs) -> Result<(), Failure> {
    let mut sheet = Sheet::new("failover", stage.quick);
    let bots = if stage.quick { args.bots.min(30) } else { args.bots };
    let repetitions = if stage.quick { args.repetitions.min(3) } else { args.repetitions };
    let wanted = |event: &Event| args.only.is_empty() || args.only.contains(event);
    for event in Event::value_variants().iter().copied().filter(wanted) {
        match event {
            Event::Loss => loss(stage, &mut sheet, if stage.quick { 300 } else { args.reals })?,
            Event::View => views(stage, &mut sheet, bots)?,
            _ => measure(stage, &mut sheet, event, bots, repetitions, false)?,
        }
    }
    sheet.finish(&stage.out)
}

/// Repeats an event, in one process or (`cluster`) in a process for each node.
pub(crate) fn measure(
    stage: &Stage,
    sheet: &mut Sheet,
    event: Event,
    bots: usize,
    repetitions: usize,
    cluster: bool,
) -> Result<(), Failure> {
    let mut trial =
        if cluster { Trial::start_cluster(stage, event, bots)? } else { Trial::start(stage, event, bots)? };
    let mut seen = Vec::new();
    let rounds = if event == Event::Rollout { repetitions.div_ceil(trial.nodes()) } else { repetitions };
    for round in 0..rounds {
        seen.extend(trial.repeat(round)?);
    }
    let tallied = trial.finish()?;
    let findings = Findings::new(&seen, &tallied, rounds, if cluster { Aims::CLUSTER } else { Aims::SOLO });
    match event {
        Event::Crash => findings.crash(sheet)?,
        Event::World => findings.world_crash(sheet, "world node crashed, separate roles")?,
        Event::Hang => findings.hang(sheet)?,
        Event::Drain => findings.drain(sheet)?,
        Event::Walk => findings.walk(sheet, repetitions)?,
        Event::Rollout => findings.rollout(sheet)?,
        Event::Loss | Event::View => unreachable!("measured elsewhere"),
    }
    let word = event.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    sheet.at_most(format!("{word}: commands lost"), tallied.lost as f64, 0.0);
    sheet.at_most(format!("{word}: commands doubled, or acknowledged and gone"), tallied.doubled as f64, 0.0);
    Ok(())
}

/// A node with many players crashes: how long until each player is real again?
fn loss(stage: &Stage, sheet: &mut Sheet, players: usize) -> Result<(), Failure> {
    let repetitions = if stage.quick { 1 } else { 5 };
    let mut trial = Trial::start(stage, Event::Loss, players)?;
    let mut seen = Vec::new();
    for round in 0..repetitions {
        seen.extend(trial.repeat(round)?);
    }
    let tallied = trial.finish()?;
    let hit: Vec<_> = seen.iter().filter(|s| s.window.holder == s.victim).collect();
    // Clients that another edge delayed for too long came in by the lost node itself.
    let elsewhere: Vec<_> = hit.iter().filter(|s| s.window.edge != s.victim).copied().collect();
    let again = Spread::of(hit.iter().map(|s| s.window.real_again_ms.unwrap_or(f64::INFINITY)).collect());
    let reals = hit.len() as f64 / repetitions as f64;
    sheet.row(&[
        ("event", "a node with many players lost".into()),
        ("repetitions", repetitions.into()),
        ("reals", reals.into()),
        ("real_again_p50_ms", again.p50.into()),
        ("real_again_p99_ms", again.p99.into()),
        ("real_again_max_ms", again.max.into()),
        ("at_its_own_edge", (hit.len() - elsewhere.len()).into()),
        ("disconnects", losses(&elsewhere).into()),
        ("disconnect_codes", codes(&elsewhere).into()),
        ("others_cores", tallied.others.into()),
    ])?;
    sheet.at_least("players real on the node that was lost", reals, players as f64);
    sheet.at_most("many lost: disconnects of other edges' clients", losses(&elsewhere), 0.0);
    sheet.at_most(format!("all of {players} real again, ms, longest"), again.max, 3_000.0);
    Ok(())
}

/// How much a node looks at for the players that are real on it, with and without following.
fn views(stage: &Stage, sheet: &mut Sheet, bots: usize) -> Result<(), Failure> {
    let mut per_player = Vec::new();
    for (name, follows) in [("players stay where they were", false), ("players follow", true)] {
        let mut trial = Trial::start_with(stage, Event::View, bots, follows)?;
        trial.repeat(0)?;
        let view = trial.last_nodes_view()?;
        let tallied = trial.finish()?;
        let per = |count: u64| count as f64 / view.players.max(1) as f64;
        let chunks = per(view.chunks);
        sheet.row(&[
            ("event", name.into()),
            ("players", view.players.into()),
            ("chunks", view.chunks.into()),
            ("chunks_per_player", chunks.into()),
            ("ghosts_per_player", per(view.ghosts).into()),
            ("others_cores", tallied.others.into()),
        ])?;
        per_player.push(chunks);
    }
    sheet.at_most(
        "chunks subscribed per player, following, of those without",
        per_player[1] / per_player[0],
        1.0,
    );
    Ok(())
}
