//! The simulator as a command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use gundo_types::Planted;

use crate::game::Game;
use crate::plan::{CLIENTS_MAX, Dial, FAULT_MS, NODES_MAX, Overrides, Plan};
use crate::run::{FailureKind, Report, run};
use crate::shrink::shrink;
use crate::story::Filter;

/// Runs the simulator with the words of this process' command line, and returns the process' exit code: 0 every check held, 1
/// something else went wrong, 2 wrong usage, 3 a crash, 4 a safety failure, 5 a liveness failure.
///
/// `command` is how a person starts it (`cargo xtask sim`): it is said in the line that reproduces a failure.
pub fn main(command: &str, game: Arc<dyn Game>) -> ExitCode {
    main_from(command, game, std::env::args_os())
}

/// As [`main`], with other words (the program's name first).
pub fn main_from<T: Into<OsString> + Clone>(
    command: &str,
    game: Arc<dyn Game>,
    words: impl IntoIterator<Item = T>,
) -> ExitCode {
    let name: &'static str = Box::leak(command.to_owned().into_boxed_str());
    let matches = Cli::command().name(name).bin_name(name).try_get_matches_from(words);
    let cli = match matches.and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) => {
            // If not even this can be shown, the exit code is all there is.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let shell = Shell { command: name, game };
    match &cli.what {
        None => shell.runs(&cli.runs),
        Some(What::Mutants(args)) => shell.mutants(args),
    }
}

/// Runs whole clusters from seeds, lets everything go wrong, and checks that nothing is lost.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    runs: Runs,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Plants one bug after another, and sees whether the checkers find each.
    Mutants(Mutants),
}

#[derive(Args)]
struct Runs {
    /// Run this seed only, and say what it was.
    #[arg(long, value_name = "S", value_parser = seed, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// Run this many seeds (default 20).
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Run seeds for this long.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// The first seed.
    #[arg(long, value_name = "S", value_parser = seed, default_value = "1")]
    from: u64,
    #[command(flatten)]
    shape: Shape,
    /// Runs at the same time; each has a thread of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Run each seed twice and compare.
    #[arg(long)]
    twice: bool,
    /// Do not look for a smaller run that fails alike.
    #[arg(long)]
    no_shrink: bool,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// Plant this bug. The names: `mutants --list`.
    #[arg(long, value_name = "NAME", value_parser = planted)]
    plant: Option<Planted>,
    #[command(flatten)]
    story: StoryArgs,
}

#[derive(Args, Clone)]
struct Shape {
    /// Nodes, 1 to 9, instead of what the seed chooses.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: Option<u16>,
    /// Players, 1 to 200.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CLIENTS_MAX as u64))]
    clients: Option<u64>,
    /// Only these faults: `crash,unknown-lost`, with numbers `crash=3,delay=200` (times per minute; ms for delay and clocks), or `none`.
    #[arg(long, value_name = "LIST", value_parser = dials)]
    faults: Option<DialList>,
    /// Seconds in which things go wrong (default 60); 30 s of healing follow.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    fault_seconds: Option<u64>,
}

impl Shape {
    fn overrides(&self) -> Overrides {
        Overrides {
            nodes: self.nodes,
            clients: self.clients.map(|n| n as usize),
            dials: self.faults.clone().map(|list| list.0),
            fault_ms: self.fault_seconds.map(|s| s * 1_000),
        }
    }
}

#[derive(Args, Clone)]
struct StoryArgs {
    /// Tell what happens, line by line. With --seed.
    #[arg(long, requires = "seed")]
    story: bool,
    /// Only lines about this entity (its id, hexadecimal, as the story writes it). Several times: any of them.
    #[arg(long, value_name = "ID", requires = "story", value_parser = |s: &str| u64::from_str_radix(s, 16))]
    entity: Vec<u64>,
    /// Only lines about this node.
    #[arg(long, value_name = "N", requires = "story")]
    node: Vec<u16>,
    /// Only lines about this player (its number, from 0) and its sessions.
    #[arg(long, value_name = "N", requires = "story")]
    player: Vec<usize>,
    /// Only lines from this moment on, ms.
    #[arg(long, value_name = "MS", requires = "story", default_value_t = 0)]
    from_ms: u64,
    /// Only lines up to this moment, ms.
    #[arg(long, value_name = "MS", requires = "story", default_value_t = 0)]
    to_ms: u64,
    /// Frames, moves and timers too.
    #[arg(long, requires = "story")]
    everything: bool,
}

#[derive(Args)]
struct Mutants {
    /// Only these. Without: all.
    #[arg(value_name = "NAME", value_parser = planted)]
    names: Vec<Planted>,
    /// Seeds each is given to be found.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", value_parser = seed, default_value = "1")]
    from: u64,
    /// Runs at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    #[command(flatten)]
    shape: Shape,
    /// Say what there is to plant.
    #[arg(long)]
    list: bool,
}

#[derive(Clone)]
struct DialList(BTreeMap<Dial, Option<u32>>);

fn seed(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a seed is a number from 0 to 2^64 - 1, decimal or 0x…".to_owned())
}

fn planted(text: &str) -> Result<Planted, String> {
    if !cfg!(feature = "planted") {
        return Err("this program was built without the feature `planted`: it has no bugs to plant".to_owned());
    }
    Planted::parse(text).ok_or_else(|| "there is no such bug; `mutants --list` names them".to_owned())
}

fn dials(text: &str) -> Result<DialList, String> {
    let mut list = BTreeMap::new();
    for word in text.split(',').filter(|w| !w.is_empty() && *w != "none") {
        let (name, number) = match word.split_once('=') {
            Some((name, number)) => {
                let number = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
                (name, Some(number))
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

struct Shell {
    command: &'static str,
    game: Arc<dyn Game>,
}

/// Tries at making a failing run smaller.
const SHRINK_TRIES: u32 = 60;

impl Shell {
    /// The command that runs a plan again.
    fn again(&self, plan: &Plan, plant: Option<Planted>) -> String {
        let usual = Plan::new(plan.seed, &Overrides::default());
        let mut words = vec![self.command.to_owned(), format!("--seed {}", plan.seed)];
        if plan.nodes != usual.nodes {
            words.push(format!("--nodes {}", plan.nodes));
        }
        if plan.clients != usual.clients {
            words.push(format!("--clients {}", plan.clients));
        }
        if plan.dials != usual.dials {
            words.push(format!("--faults {}", plan.dials_text()));
        }
        if plan.fault_ms != FAULT_MS {
            words.push(format!("--fault-seconds {}", plan.fault_ms.div_ceil(1_000)));
        }
        if let Some(planted) = plant {
            words.push(format!("--plant {}", planted.name()));
        }
        words.join(" ")
    }

    fn runs(&self, args: &Runs) -> ExitCode {
        quiet_panics();
        if let Some(seed) = args.seed {
            return self.one(args, seed);
        }
        let deadline = args.minutes.map(|m| Instant::now() + Duration::from_secs(60 * m));
        let count = args.seeds.unwrap_or(if deadline.is_some() { u64::MAX } else { 20 });
        let mut total = Total::default();
        let mut worst = None;
        let shape = args.shape.overrides();
        let job = |seed| {
            let plan = Plan::new(seed, &shape);
            let report = run(&plan, &self.game, args.plant, None);
            if args.twice && report.failure.is_none() {
                let again = run(&plan, &self.game, args.plant, None);
                assert_eq!(again.digest, report.digest, "seed {seed} ran in two ways");
            }
            report
        };
        let begin = Instant::now();
        let live = std::io::stderr().is_terminal();
        each_seed(args.from, count, args.jobs, &job, &mut |report| {
            total.add(&report);
            if live {
                eprint!("\r{} seeds, {} failed, {:.1} h simulated ", total.seeds, total.failed, total.hours());
            }
            if report.failure.is_some() {
                self.complain(&report, args);
                let kind = report.failure.as_ref().map(|f| f.kind);
                worst = worst.or(kind);
            }
            let go_on = report.failure.is_none() || args.keep_going;
            go_on && deadline.is_none_or(|end| Instant::now() < end)
        });
        if live {
            eprintln!();
        }
        say(&total.text(begin.elapsed()));
        exit_code(worst)
    }

    fn one(&self, args: &Runs, seed: u64) -> ExitCode {
        let plan = Plan::new(seed, &args.shape.overrides());
        say(&format!("{}\n{plan}", self.again(&plan, args.plant)));
        let begin = Instant::now();
        let story = &args.story;
        let listener = story.story.then(|| {
            let filter = Filter {
                entities: story.entity.clone(),
                nodes: story.node.clone(),
                players: story.player.clone(),
                from_ms: story.from_ms,
                to_ms: story.to_ms,
                everything: story.everything,
            };
            (filter, Box::new(|line: &str| say(line)) as Box<dyn FnMut(&str) + Send>)
        });
        let report = run(&plan, &self.game, args.plant, listener);
        if args.twice {
            let again = run(&plan, &self.game, args.plant, None);
            assert_eq!(again.digest, report.digest, "seed {seed} ran in two ways");
        }
        let mut total = Total::default();
        total.add(&report);
        say(&format!("digest {:016x}", report.digest));
        say(&total.text(begin.elapsed()));
        if report.failure.is_some() {
            self.complain(&report, args);
        }
        exit_code(report.failure.map(|f| f.kind))
    }

    /// Says what failed; the first and the last line are the command that shows it.
    fn complain(&self, report: &Report, args: &Runs) {
        let Some(failure) = &report.failure else { return };
        say(&format!("\n{}", self.again(&report.plan, args.plant)));
        say(&format!("{}\n{failure}", report.plan));
        let mut smallest = report.clone();
        if !args.no_shrink && !args.story.story {
            say("looking for a smaller run that fails alike…");
            smallest = shrink(report.clone(), &self.game, args.plant, SHRINK_TRIES, &mut |smaller| {
                say(&format!("  {}", smaller.plan));
            });
            if let Some(failure) = &smallest.failure {
                say(&failure.to_string());
            }
        }
        say(&self.again(&smallest.plan, args.plant));
    }

    fn mutants(&self, args: &Mutants) -> ExitCode {
        if args.list {
            Planted::ALL.iter().for_each(|p| say(&format!("{:28} {}", p.name(), p.about())));
            return ExitCode::SUCCESS;
        }
        if !cfg!(feature = "planted") {
            eprintln!("error: this program was built without the feature `planted`: it has no bugs to plant");
            return ExitCode::from(2);
        }
        quiet_panics();
        let names = if args.names.is_empty() { Planted::ALL.to_vec() } else { args.names.clone() };
        let shape = args.shape.overrides();
        let mut missed = Vec::new();
        for mutant in &names {
            let job = |seed| run(&Plan::new(seed, &shape), &self.game, Some(*mutant), None);
            let (mut tried, mut caught) = (0, None);
            each_seed(args.from, args.seeds, args.jobs, &job, &mut |report| {
                tried += 1;
                caught = report.failure.is_some().then_some(report);
                caught.is_none()
            });
            match &caught {
                Some(report) => {
                    let failure = report.failure.as_ref().map(ToString::to_string).unwrap_or_default();
                    say(&format!("caught  {:28} by seed {} ({tried} tried): {failure}", mutant.name(), report.plan.seed));
                }
                None => {
                    say(&format!("MISSED  {:28} by {tried} seeds", mutant.name()));
                    missed.push(mutant.name());
                }
            }
        }
        say(&format!("{} of {} caught", names.len() - missed.len(), names.len()));
        if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs seeds on `jobs` threads and hands each report over in the order of the seeds, until `take` says stop.
fn each_seed(
    from: u64,
    count: u64,
    jobs: u64,
    job: &(dyn Fn(u64) -> Report + Sync),
    take: &mut dyn FnMut(Report) -> bool,
) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (send, receive) = mpsc::sync_channel(jobs as usize);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (send, next, stop) = (send.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || send.send((index, job(from.wrapping_add(index)))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let (mut early, mut due) = (BTreeMap::new(), 0);
        for (index, report) in receive {
            early.insert(index, report);
            while let Some(report) = early.remove(&due) {
                due += 1;
                if !stop.load(Ordering::Relaxed) && !take(report) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    });
}

#[derive(Default)]
struct Total {
    seeds: u64,
    failed: u64,
    simulated_ms: u64,
    faults: BTreeMap<Dial, u64>,
    effects: u64,
    answers: u64,
    shown: u64,
    inputs: u64,
}

impl Total {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failed += u64::from(report.failure.is_some());
        self.simulated_ms += report.simulated_ms;
        for (dial, count) in &report.counts.faults {
            *self.faults.entry(*dial).or_insert(0) += count;
        }
        self.effects += report.counts.effects;
        self.answers += report.counts.answers;
        self.shown += report.counts.shown;
        self.inputs += report.counts.inputs;
    }

    fn hours(&self) -> f64 {
        self.simulated_ms as f64 / 3_600_000.0
    }

    fn text(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        let faults: Vec<_> = self.faults.iter().map(|(dial, n)| format!("{dial} {n}")).collect();
        format!(
            "{} seeds, {} failed; {:.2} h simulated in {seconds:.1} s ({:.0} times as fast); {} inputs, {} effects, \
             {} answers and {} shown states checked; faults: {}",
            self.seeds,
            self.failed,
            self.hours(),
            self.simulated_ms as f64 / 1_000.0 / seconds,
            self.inputs,
            self.effects,
            self.answers,
            self.shown,
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
        )
    }
}

fn exit_code(worst: Option<FailureKind>) -> ExitCode {
    match worst {
        None => ExitCode::SUCCESS,
        Some(FailureKind::Crash) => ExitCode::from(3),
        Some(FailureKind::Safety) => ExitCode::from(4),
        Some(FailureKind::Liveness) => ExitCode::from(5),
    }
}

/// A panic is a failure of the run, which is told in one line, or one of the game's that the kernel catches.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
        }
    }));
}

fn say(text: &str) {
    // Whoever does not listen any more still gets the exit code.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
