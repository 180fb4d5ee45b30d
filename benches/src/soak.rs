//! `soak`: a real world of Pioneer, with bots that play in it, in which nodes are killed, drained, added, paused and
//! resumed all the time; then the ledger is checked.
//!
//! In the end all of this must hold. No player was locked out. Every command was answered once. The journal is sound, and a
//! replay, event by event, shows that the world has exactly what was made in it. Every bot's own record, kept from the
//! answers it got, agrees with what its player has according to the journal. The result is one JSON document; the exit code
//! is 1 if anything does not hold.

mod mischief;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use gundo_bots::{BotsConfig, Fleet, Played, Report};
use gundo_journal_sqlite::{Reader, Settings};
use gundo_node::{Control, LocalNodes, SoloSettings};
use mischief::Mischief;
use pioneer::Minds;
use serde::Serialize;

use crate::Failure;
use crate::books::{self, Books};
use crate::serve::say;
use crate::stage::look_on;

/// Nodes of the complete world.
const NODES: u16 = 3;
/// How long all bots may take to be back once the world is complete again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to check whether they are back: nothing wakes us.
const POLL: Duration = Duration::from_millis(50);
/// Violations listed; beyond that, only their number.
const TOLD_MAX: usize = 50;

#[derive(Args)]
pub(crate) struct SoakArgs {
    /// For how long nodes are disturbed, seconds
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Bots in the world
    #[arg(long, default_value_t = 200)]
    bots: usize,
    /// Seed of what happens to which node, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longest time between two disturbances, seconds
    #[arg(long, default_value_t = 5.0)]
    every: f64,
    /// Bots that never rest
    #[arg(long)]
    busy: bool,
}

/// The final report.
#[derive(Serialize)]
struct Outcome {
    minutes: f64,
    bots: usize,
    seed: u64,
    /// Disturbances by kind.
    done: BTreeMap<&'static str, u64>,
    /// Disturbances that the world refused, by code.
    refused: BTreeMap<String, u64>,
    /// Bots that were not in the world once it was complete again.
    left_out: usize,
    /// From the complete world to the return of the last bot, seconds.
    back_seconds: f64,
    /// Departures of other players that bots saw, all bots together: none left.
    seen_leaving: usize,
    /// Bots whose records prove something and were compared with the journal.
    books: usize,
    streams: usize,
    events: u64,
    effects: u64,
    violations: Vec<String>,
    violations_untold: usize,
    report: Report,
}

/// The state after the disturbances.
struct Aftermath {
    mischief: Mischief,
    left_out: usize,
    back_seconds: f64,
    seen_leaving: usize,
    violations: Vec<String>,
}

/// A world whose nodes come and go.
pub(crate) fn soak(args: &SoakArgs) -> Result<(), Failure> {
    let panics = count_panics();
    let dir = tempfile::tempdir()?;
    // Small enough to be an island of the simulator's game, which knows the value of its events.
    let world_seed = args.seed % 4;
    let nodes = start(dir.path(), world_seed)?;
    let edges = (1..=NODES).map(|node| format!("ws://{}/ws/{node}", nodes.address()).parse());
    let mut config = BotsConfig::new(args.bots, edges.collect::<Result<_, _>>()?);
    (config.settle_seconds, config.drain_seconds, config.watch_others) = (1.0, 60.0, true);
    let minds = if args.busy { Minds::busy() } else { Minds::default() };
    let control = nodes.control();
    let played = gundo_bots::play(&config, &|_| minds.mind(), |fleet| make_mischief(args, &control, fleet))?;
    nodes.stop()?;
    let outcome = close_the_books(args, dir.path(), world_seed, played, panics.load(Ordering::Relaxed))?;
    say(&serde_json::to_string_pretty(&outcome)?)?;
    match outcome.violations.len() + outcome.violations_untold {
        0 => Ok(()),
        n => Err(format!("{n} violations; --seed {}", args.seed).into()),
    }
}

fn start(data: &Path, seed: u64) -> Result<LocalNodes, Failure> {
    let journal = Arc::new(gundo_journal_sqlite::open(data, Settings::default())?);
    let settings = SoloSettings {
        nodes: NODES,
        listen: ([127, 0, 0, 1], 0).into(),
        seed: Some(seed),
        ..SoloSettings::default()
    };
    Ok(LocalNodes::start(&settings, journal, |world| pioneer::rules(world.seed))?)
}

/// The supervisor restarts a node whose thread panics, and the world goes on; here each panic counts.
fn count_panics() -> Arc<AtomicUsize> {
    let panics = Arc::new(AtomicUsize::new(0));
    let (counted, before) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    panics
}

fn make_mischief(args: &SoakArgs, control: &Control, fleet: &Fleet<'_>) -> Aftermath {
    let mut violations = Vec::new();
    // Times count from here on.
    drop(fleet.mark());
    let mut mischief = Mischief::new(control.clone(), args.seed, NODES, args.every);
    let ends = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    while Instant::now() < ends && violations.is_empty() {
        look_on(mischief.pause());
        violations.extend(mischief.strike().err());
    }
    violations.extend(mischief.mend().err());
    let whole = Instant::now();
    while fleet.live() < args.bots && whole.elapsed() < PATIENCE {
        look_on(POLL);
    }
    let back_seconds = whole.elapsed().as_secs_f64();
    let windows = fleet.mark();
    let left_out = windows.iter().filter(|w| !w.live).count() + args.bots.saturating_sub(windows.len());
    let seen: Vec<_> =
        windows.iter().flat_map(|w| w.seen_leaving.iter().map(move |seen| (w, seen))).collect();
    let seen_leaving = seen.len();
    if left_out > 0 {
        violations.push(format!("{left_out} bots are not back {PATIENCE:?} after the world was complete"));
    }
    if seen_leaving > 0 {
        violations.push(format!("players were seen leaving {seen_leaving} times, and none left"));
        violations.extend(seen.iter().map(|(window, seen)| {
            let (player, by, publisher, at_ms) = (seen.player, window.player, seen.publisher, seen.at_ms);
            let before = mischief.before(at_ms);
            format!("at {at_ms:.0} ms node {publisher} showed {by:x} that {player:x} left; {before}")
        }));
    }
    Aftermath { mischief, left_out, back_seconds, seen_leaving, violations }
}

fn close_the_books(
    args: &SoakArgs,
    data: &Path,
    seed: u64,
    played: Played<Aftermath>,
    panics: usize,
) -> Result<Outcome, Failure> {
    let Played { report, value, minds } = played;
    let Aftermath { mischief, left_out, back_seconds, seen_leaving, mut violations } = value;
    let checks = [
        (report.lost, "commands were never answered"),
        (report.commands - report.answered.min(report.commands), "commands have no answer"),
        (report.doubled, "bots saw other bags than their records say"),
        (panics as u64, "threads panicked"),
    ];
    violations.extend(checks.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    let sound = gundo_journal_sqlite::verify(data)?;
    violations.extend(sound.problems.iter().map(|problem| format!("the journal: {problem}")));
    let reader = Reader::open(data)?;
    let mut next = |after| -> Result<_, Failure> {
        let Some(stream) = reader.streams(after, 1)?.into_iter().next() else { return Ok(None) };
        Ok(Some((stream.entity, reader.stream(stream.entity, 0, usize::MAX)?)))
    };
    let Books { books, streams, events, effects } = books::close(seed, &mut next, &minds, &mut violations)?;
    let violations_untold = violations.len().saturating_sub(TOLD_MAX);
    violations.truncate(TOLD_MAX);
    Ok(Outcome {
        minutes: args.minutes,
        bots: args.bots,
        seed: args.seed,
        done: mischief.done(),
        refused: mischief.refused,
        left_out,
        back_seconds,
        seen_leaving,
        books,
        streams,
        events,
        effects,
        violations,
        violations_untold,
        report,
    })
}
