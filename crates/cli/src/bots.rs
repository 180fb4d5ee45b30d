//! Bots: fill a world with players of this game, and report what they measured.

use std::io::{self, IsTerminal};

use gundo_bots::{Behaviour, BotsConfig, Phase, Progress, Trust};

use crate::app::{Failure, say};
use crate::cli::BotsArgs;
use crate::logs;

/// Runs the bots. False: something was lost, doubled or refused that should not have been.
pub(crate) fn run(
    args: &BotsArgs,
    mind: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
) -> Result<bool, Failure> {
    logs::start();
    let mut config = BotsConfig::new(args.count, args.url.clone());
    config.seconds = args.seconds;
    config.trust = args.authority.clone().map_or(Trust::System, Trust::Authority);
    config.connects_per_second = args.connects_per_second;
    let live = io::stderr().is_terminal();
    let report = gundo_bots::run(&config, mind, &mut |progress| show(progress, args.count, live))?;
    if live {
        eprintln!();
    }
    say(&report.to_string());
    if let Some(file) = &args.json {
        std::fs::write(file, report.to_json())
            .map_err(|e| format!("cannot write the report to {}: {e}", file.display()))?;
    }
    Ok(report.is_clean())
}

/// The progress line; in a log file, only at the start of a phase.
fn show(progress: &Progress, count: usize, live: bool) {
    let seconds = progress.elapsed.as_secs_f64();
    let phase = match progress.phase {
        Phase::Connecting => "connecting",
        Phase::Settling => "settling",
        Phase::Measuring => "playing",
        Phase::Draining => "waiting for answers",
        Phase::Leaving => "leaving",
    };
    let line = format!(
        "{seconds:6.1} s  {phase}: {} of {count} in the world, {} answers, {} updates, {} MB, {} reconnects",
        progress.live,
        progress.answered,
        progress.updates,
        progress.bytes / 1_000_000,
        progress.reconnects
    );
    match live {
        true => eprint!("\r{line}\x1b[K"),
        false if progress.begun => eprintln!("{line}"),
        false => {}
    }
}
