//! `chaos`: a real cluster, node processes on etcd and PostgreSQL, with bots that play in it, while machines, networks and disks fail by a
//! seeded schedule; then everything heals, everybody must play, and the books are closed from the database.
//!
//! Each node is in a network namespace of its own, and the engines' disks are small file systems in memory. That needs root; without it
//! the nodes are on loopback, and networks, disks and clocks do not fail: the report says so. `deeds` has what is done, `machines` the cluster,
//! `network` and `forward` the ways between the nodes, `books` the ledger.
//!
//! In the end all of this must hold. No player was locked out. Every command was answered once. The journal is sound, and a replay,
//! event by event, shows that the world has exactly what was made in it. Every bot's own record agrees with the journal. No node has met
//! a fault of the engine. The result is one JSON document; the exit code is 1 if anything does not hold.

mod deeds;
mod disks;
mod forward;
mod machines;
mod network;
mod processes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use deeds::Deed;
use gundo_bots::{BotWindow, BotsConfig, Chance, Fleet, Played, Report};
use gundo_cli::App;
use gundo_journal_postgres::PostgresReader;
use machines::Machines;
use network::Network;
use pioneer::Minds;
use serde::Serialize;

use crate::Failure;
use crate::books::{self, Books};
use crate::serve::say;

/// Nodes of the cluster.
const NODES: u16 = 3;
/// Nothing may be pruned, or the books could not be closed: events stay for an hour.
const MINUTES_MAX: f64 = 55.0;
/// Between two faults everything is whole for so long at least, and this much longer at most, ms.
const REST_MS: (u64, u64) = (2_000, 5_000);
/// One fault in so many has another one of a different kind inside it.
const DOUBLE_ONE_IN: u64 = 3;
/// How long all bots may take to be back once the cluster is whole again.
const BACK: Duration = Duration::from_secs(60);
/// How long everybody must play at the end.
const PLAY: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);
/// Violations listed; beyond that, only their number.
const TOLD_MAX: usize = 50;

#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// For how long things fail, minutes: 55 at most
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Bots in the world
    #[arg(long, default_value_t = 60)]
    bots: usize,
    /// Seed of the world, and of what fails, when, and for how long
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Program of another release of Pioneer: nodes change between it and this one
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Keep the directory of the cluster, with all logs, and make it there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Pioneer, as the processes of the nodes run it.
#[derive(Args)]
pub(crate) struct PioneerArgs {
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// What happened, and what players noticed of it.
#[derive(Serialize)]
struct Event {
    at_s: f64,
    deed: String,
    held_s: f64,
    /// Bots whose own body stood still although it wanted to walk: the longest time, median and worst, ms.
    gap_ms_p50: f64,
    gap_ms_max: f64,
    /// Links between nodes that were down in the middle of it.
    links_down: u32,
    /// Connections lost.
    losses: usize,
    /// Bots in the world afterwards.
    live: usize,
}

/// The final report.
#[derive(Serialize)]
struct Outcome {
    minutes: f64,
    bots: usize,
    seed: u64,
    /// Why networks, disks and clocks did not fail; nothing: they did.
    left_out: Option<String>,
    events: Vec<Event>,
    /// From the whole cluster to the return of the last bot, seconds.
    back_seconds: f64,
    /// Ends of node processes that nobody here has caused.
    ends: Vec<String>,
    /// Black boxes of logic threads that hung: the machine may be too busy.
    stuck: usize,
    books: usize,
    streams: usize,
    journal_events: u64,
    effects: u64,
    violations: Vec<String>,
    violations_untold: usize,
    report: Report,
}

#[derive(Default)]
struct Aftermath {
    events: Vec<Event>,
    back_seconds: f64,
    violations: Vec<String>,
}

/// Runs Pioneer's command line.
pub(crate) fn run_pioneer(args: &PioneerArgs) -> Result<(), Failure> {
    let words = std::iter::once(OsString::from("pioneer")).chain(args.words.iter().cloned());
    let code = App::new("pioneer", |world| pioneer::rules(world.seed)).prefix(&["pioneer"]).run_from(words);
    if code == std::process::ExitCode::SUCCESS { Ok(()) } else { Err("the command failed".into()) }
}

/// A cluster in which everything fails.
pub(crate) fn chaos(args: &ChaosArgs) -> Result<(), Failure> {
    if !(0.0..=MINUTES_MAX).contains(&args.minutes) {
        return Err(format!("--minutes is {MINUTES_MAX} at most: events stay for an hour").into());
    }
    let temporary = tempfile::tempdir()?;
    let dir = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    // PostgreSQL runs as another user.
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let dir = dir.canonicalize()?;
    let (network, left_out) = match Network::make(NODES) {
        Ok(network) => (Some(network), None),
        Err(why) => (None, Some(format!("networks, disks and clocks do not fail here: {why}"))),
    };
    left_out.iter().for_each(|why| tell(why));
    // Small enough to be an island of the simulator's game, which knows the value of its events.
    let world_seed = args.seed % 4;
    let mut machines = Machines::start(&dir, NODES, world_seed, network)?;
    machines.previous = args.previous.as_ref().map(|file| file.canonicalize()).transpose()?;
    tell("the cluster is whole");
    let edges = machines.nodes.iter().map(|node| format!("ws://{}", node.clients).parse());
    let mut config = BotsConfig::new(args.bots, edges.collect::<Result<_, _>>()?);
    (config.settle_seconds, config.drain_seconds) = (1.0, 60.0);
    // Half of them never rest: they gather, craft and build all the time.
    let calm = Minds::default();
    let busy = calm.without_rest();
    let mind = |index: usize| if index.is_multiple_of(2) { busy.mind() } else { calm.mind() };
    let played = gundo_bots::play(&config, &mind, |fleet| make_chaos(args, &mut machines, fleet))?;
    processes::end(&mut machines.nodes)?;
    let outcome = close_the_books(args, &machines, world_seed, played, left_out)?;
    say(&serde_json::to_string_pretty(&outcome)?)?;
    match outcome.violations.len() + outcome.violations_untold {
        0 => Ok(()),
        n => Err(format!("{n} violations; --seed {}", args.seed).into()),
    }
}

/// Tells the person who runs it.
fn tell(what: &str) {
    eprintln!("chaos: {what}");
}

fn make_chaos(args: &ChaosArgs, machines: &mut Machines, fleet: &Fleet<'_>) -> Aftermath {
    let mut aftermath = Aftermath::default();
    // Times count from here on.
    drop(fleet.mark());
    if let Err(failure) = strike(args, machines, fleet, &mut aftermath) {
        aftermath.violations.push(format!("the cluster cannot be looked after: {failure}"));
        return aftermath;
    }
    if let Err(failure) = recover(args, machines, fleet, &mut aftermath) {
        aftermath.violations.push(failure.to_string());
    }
    aftermath
}

fn strike(
    args: &ChaosArgs,
    machines: &mut Machines,
    fleet: &Fleet<'_>,
    aftermath: &mut Aftermath,
) -> Result<(), Failure> {
    let mut chance = Chance::new(args.seed);
    let begun = Instant::now();
    let ends = begun + Duration::from_secs_f64(args.minutes * 60.0);
    while Instant::now() < ends {
        let (deed, time) = Deed::choose(&mut chance, NODES);
        let (second, inner) = Deed::choose(&mut chance, NODES);
        let is_double = chance.below(DOUBLE_ONE_IN) == 0 && deed.goes_with(second);
        let rest = Duration::from_millis(REST_MS.0 + chance.below(REST_MS.1));
        if !deed.is_possible(machines) {
            continue;
        }
        let at = Instant::now();
        let deed = deed.begin(machines)?;
        let mut words = deed.to_string();
        machines.pass(time / 2)?;
        if is_double && second.is_possible(machines) {
            let second = second.begin(machines)?;
            words += &format!(" and {second}");
            machines.pass(inner.min(time))?;
            second.end(machines)?;
        }
        let links_down = machines.links_down();
        machines.pass(time / 2)?;
        deed.end(machines)?;
        let held = at.elapsed();
        machines.pass(rest)?;
        let event = Event { links_down, ..noticed(&fleet.mark(), words, at - begun, held) };
        tell(&format!(
            "{:>6.1} s  {:<60} {:>5.1} s  gap {:>6.0} ms, worst {:>6.0}; {} links down, {} connections lost, {} bots live",
            event.at_s,
            event.deed,
            event.held_s,
            event.gap_ms_p50,
            event.gap_ms_max,
            event.links_down,
            event.losses,
            event.live
        ));
        aftermath.events.push(event);
    }
    Ok(())
}

fn noticed(windows: &[BotWindow], deed: String, at: Duration, held: Duration) -> Event {
    let mut gaps: Vec<f64> = windows.iter().map(|window| window.gap_ms).collect();
    gaps.sort_by(f64::total_cmp);
    Event {
        at_s: at.as_secs_f64(),
        deed,
        held_s: held.as_secs_f64(),
        gap_ms_p50: gaps.get(gaps.len() / 2).copied().unwrap_or_default(),
        gap_ms_max: gaps.last().copied().unwrap_or_default(),
        links_down: 0,
        losses: windows.iter().map(|window| window.losses.len()).sum(),
        live: windows.iter().filter(|window| window.live).count(),
    }
}

/// Everything is whole again: everybody must come back, and play.
fn recover(
    args: &ChaosArgs,
    machines: &mut Machines,
    fleet: &Fleet<'_>,
    aftermath: &mut Aftermath,
) -> Result<(), Failure> {
    machines.wait_whole()?;
    let whole = Instant::now();
    while fleet.live() < args.bots && whole.elapsed() < BACK {
        machines.pass(LOOK)?;
    }
    aftermath.back_seconds = whole.elapsed().as_secs_f64();
    drop(fleet.mark());
    machines.pass(PLAY)?;
    let windows = fleet.mark();
    let left_out = args.bots - windows.iter().filter(|window| window.live).count().min(args.bots);
    if left_out > 0 {
        aftermath
            .violations
            .push(format!("{left_out} bots are not back {BACK:?} after the cluster was whole"));
    }
    for window in windows.iter().filter(|w| w.live && (w.own_moves == 0 || w.asked > 0 && w.answered == 0)) {
        let BotWindow { bot, player, edge_after, own_moves, asked, answered, .. } = window;
        aftermath.violations.push(format!(
            "bot {bot} (player {player:x} at node {edge_after}) does not play {PLAY:?} later: {own_moves} moves seen, {asked} commands, \
             {answered} answers"
        ));
    }
    Ok(())
}

fn close_the_books(
    args: &ChaosArgs,
    machines: &Machines,
    seed: u64,
    played: Played<Aftermath>,
    left_out: Option<String>,
) -> Result<Outcome, Failure> {
    let Played { report, value, minds } = played;
    let Aftermath { events, back_seconds, mut violations } = value;
    let count = |of: &str| machines.nodes.iter().map(|node| node.boxes(of)).sum::<usize>();
    let checks = [
        (report.lost, "commands were never answered"),
        (report.commands - report.answered.min(report.commands), "commands have no answer"),
        (report.doubled, "bots saw other bags than their records say"),
        (count("-panic") as u64, "threads of the engine panicked"),
        (count("-game") as u64, "rules panicked"),
        (count("-lost") as u64, "times something durable was gone"),
    ];
    violations.extend(checks.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    let mut reader = PostgresReader::open(machines.journal())?;
    let sound = reader.verify()?;
    violations.extend(sound.problems.iter().map(|problem| format!("the journal: {problem}")));
    let mut next = |after| -> Result<_, Failure> {
        let Some(stream) = reader.streams(after, 1)?.into_iter().next() else { return Ok(None) };
        Ok(Some((stream.entity, reader.stream(stream.entity, 0, usize::MAX)?)))
    };
    let closed = books::close(seed, &mut next, &minds, &mut violations)?;
    let Books { books, streams, events: journal_events, effects } = closed;
    let violations_untold = violations.len().saturating_sub(TOLD_MAX);
    violations.truncate(TOLD_MAX);
    Ok(Outcome {
        minutes: args.minutes,
        bots: args.bots,
        seed: args.seed,
        left_out,
        events,
        back_seconds,
        ends: machines.nodes.iter().flat_map(|node| node.ends.clone()).collect(),
        stuck: count("-stuck"),
        books,
        streams,
        journal_events,
        effects,
        violations,
        violations_untold,
        report,
    })
}
