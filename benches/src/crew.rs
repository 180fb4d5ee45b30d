//! A load on request: bots in a process of their own, controlled line by line, which report how each of them fared.
//!
//! The child reads orders from its stdin: `mark` (answered with `windows JSON`), `go JSON` (a [`Going`]), `live` (answered
//! with `live N`). When its stdin ends, it waits for all answers, logs out and prints `report JSON`. [`Crew`] is the other
//! end.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::time::{Duration, Instant};

use clap::Args;
use gundo_bots::{Address, Behaviour, BotWindow, BotsConfig, Correction, Fleet, Welcome, Wishes};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::game::{Note, Noted};
use crate::load::{Scene, mind};
use crate::proc::Process;
use crate::serve::say;
use crate::stage::look_on;

/// Steps per second of bots that play. Like the game's page, a little more often than once per tick, so that each tick has
/// a move.
const STEPS_PER_SECOND: u32 = 12;
/// Steps between two notes of one bot: one per second.
const NOTE_EVERY: u64 = STEPS_PER_SECOND as u64;
/// How long all bots may take to enter the world, and to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// The settings of a crew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CrewPlan {
    pub(crate) urls: Vec<String>,
    pub(crate) count: usize,
    pub(crate) scene: Scene,
    /// Whether they note something every second.
    pub(crate) notes: bool,
}

#[derive(Args)]
pub(crate) struct CrewArgs {
    /// A plan as JSON.
    #[arg(long)]
    plan: String,
}

/// Where bots should go: round-robin, bot 0 to the first edge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Going {
    /// Their numbers; `None`: all.
    pub(crate) bots: Option<BTreeSet<usize>>,
    pub(crate) urls: Vec<String>,
    /// They log out and come in again.
    pub(crate) through_the_door: bool,
}

/// The child: executes the orders on its stdin.
pub(crate) fn crew(args: &CrewArgs) -> Result<(), Failure> {
    let plan: CrewPlan = serde_json::from_str(&args.plan)?;
    let edges = plan.urls.iter().map(|url| url.parse()).collect::<Result<Vec<Address>, _>>()?;
    let mut config = BotsConfig::new(plan.count, edges);
    (config.settle_seconds, config.drain_seconds, config.connect_seconds) = (0.0, 30.0, 300.0);
    (config.spread, config.watch_others) = (false, true);
    if plan.notes {
        config.steps_per_second = STEPS_PER_SECOND;
    }
    let make = |index| -> Box<dyn Behaviour> {
        let inner = mind(plan.scene, index, plan.count);
        if plan.notes {
            Box::new(Noting { inner, steps: index as u64, books: Books::default() })
        } else {
            inner
        }
    };
    let played = gundo_bots::play(&config, &make, follow)?;
    played.value?;
    say(&format!("report {}", serde_json::to_string(&played.report)?))?;
    Ok(())
}

fn follow(fleet: &Fleet<'_>) -> Result<(), String> {
    let failed = |e: std::io::Error| e.to_string();
    say(&format!("playing {}", fleet.live())).map_err(failed)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(failed)?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "mark" => {
                let windows = serde_json::to_string(&fleet.mark()).map_err(|e| e.to_string())?;
                say(&format!("windows {windows}")).map_err(failed)?;
            }
            "live" => say(&format!("live {}", fleet.live())).map_err(failed)?,
            "go" => {
                let going: Going = serde_json::from_str(rest).map_err(|e| e.to_string())?;
                let edges: Result<Vec<Address>, _> = going.urls.iter().map(|url| url.parse()).collect();
                fleet.spread(going.bots, &edges.map_err(|e| e.to_string())?, going.through_the_door);
            }
            _ => return Err(format!("the crew does not know {line:?}")),
        }
    }
    Ok(())
}

/// Notes something every second, and keeps count: every success is one note.
struct Noting {
    inner: Box<dyn Behaviour>,
    steps: u64,
    books: Books,
}

#[derive(Default)]
struct Books {
    succeeded: u64,
    notes: u64,
}

impl Behaviour for Noting {
    fn name(&mut self, suggestion: &str) -> String {
        self.inner.name(suggestion)
    }

    fn handle_welcome(&mut self, welcome: &Welcome) {
        self.inner.handle_welcome(welcome);
    }

    fn handle_own(&mut self, own: &gundo::Bytes) {
        self.books.notes = Noted::decode(own.as_ref()).map_or(0, |noted| noted.count);
    }

    fn handle_answer(&mut self, _: u64, result: &Result<gundo::Bytes, gundo_bots::Refusal>) {
        self.books.succeeded += u64::from(result.is_ok());
    }

    fn handle_correction(&mut self, correction: &Correction) {
        self.inner.handle_correction(correction);
    }

    fn step(&mut self, wishes: &mut Wishes) {
        self.inner.step(wishes);
        self.steps += 1;
        if self.steps.is_multiple_of(NOTE_EVERY) {
            wishes.command(
                0,
                Note { text: self.steps.to_le_bytes().to_vec(), ..Note::default() }.encode_to_vec(),
            );
        }
    }

    /// With more notes than successes, some commands took effect twice; with fewer, acknowledged notes are gone.
    fn doubled(&self) -> u64 {
        self.books.notes.abs_diff(self.books.succeeded)
    }
}

/// A crew in a process of its own.
pub(crate) struct Crew {
    process: Process,
    count: usize,
}

/// The part of a crew's report about its commands.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CrewReport {
    pub(crate) commands: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) refused_otherwise: u64,
}

impl Crew {
    /// Starts it; returns when all are in the world.
    pub(crate) fn start(plan: &CrewPlan) -> Result<Self, Failure> {
        let mut process = Process::start(&["crew".into(), "--plan".into(), serde_json::to_string(plan)?])?;
        let live: usize = process.expect("playing ")?.parse()?;
        if live < plan.count {
            return Err(format!("only {live} of {} bots are in the world", plan.count).into());
        }
        Ok(Self { process, count: plan.count })
    }

    /// CPU time so far, seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        self.process.cpu_seconds()
    }

    /// How each bot fared since the last mark.
    pub(crate) fn mark(&mut self) -> Result<Vec<BotWindow>, Failure> {
        self.process.tell("mark")?;
        Ok(serde_json::from_str(&self.process.expect("windows ")?)?)
    }

    /// Sends bots to edges.
    pub(crate) fn go(&mut self, going: &Going) -> Result<(), Failure> {
        self.process.tell(&format!("go {}", serde_json::to_string(going)?))
    }

    /// Waits until all bots are in the world again, and until every bot that wants to walk does.
    pub(crate) fn wait_until_whole(&mut self, walk: bool) -> Result<(), Failure> {
        /// Long enough that every playing bot has taken some steps.
        const LOOK: Duration = Duration::from_millis(500);
        let begun = Instant::now();
        loop {
            self.mark()?;
            look_on(LOOK);
            let windows = self.mark()?;
            let well = |w: &BotWindow| w.live && w.losses.is_empty() && (!walk || w.own_moves > 1);
            let ill = windows.iter().filter(|w| !well(w)).count();
            if windows.len() == self.count && ill == 0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let one = windows.iter().find(|w| !well(w));
                return Err(format!("{ill} bots did not recover in {PATIENCE:?}, such as {one:?}").into());
            }
        }
    }

    /// Lets it wait for all answers and log out.
    pub(crate) fn finish(mut self) -> Result<CrewReport, Failure> {
        self.process.end_input();
        let report = serde_json::from_str(&self.process.expect("report ")?)?;
        self.process.finish()?;
        Ok(report)
    }
}
