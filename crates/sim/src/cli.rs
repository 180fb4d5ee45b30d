//! The simulator as a command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use gundo_types::Planted;

use crate::game::Game;
use crate::plan::{CLIENTS_MAX, Dial, FAULT_MS, NODES_MAX, Overrides, Plan};
use crate::run::{FailureKind, Report, run};
use crate::shrink::shrink;
use crate::story::{Filter, Listener};

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
    ExitCode::from(start(command, game, words, Voice::Process))
}

/// As [`main_from`], for tests: returns the exit code and everything that was said.
pub fn main_told<T: Into<OsString> + Clone>(
    command: &str,
    game: Arc<dyn Game>,
    words: impl IntoIterator<Item = T>,
) -> (u8, String) {
    let told = Arc::new(Mutex::new(String::new()));
    let code = start(command, game, words, Voice::Kept(Arc::clone(&told)));
    let text = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    (code, text)
}

fn start<T: Into<OsString> + Clone>(
    command: &str,
    game: Arc<dyn Game>,
    words: impl IntoIterator<Item = T>,
    voice: Voice,
) -> u8 {
    let about = format!(
        "Runs whole clusters of {} from seeds, lets everything go wrong, and checks that nothing is lost.",
        game.name()
    );
    let words_of = Cli::command().bin_name(command).about(about);
    let cli = match words_of.try_get_matches_from(words).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            voice.complain(&one_line(&error));
            return USAGE;
        }
        Err(help) => {
            voice.say(help.render().to_string().trim_end());
            return 0;
        }
    };
    let shell = Shell { command: command.to_owned(), game, voice };
    match &cli.what {
        None => shell.runs(&cli.runs),
        Some(What::Mutants(args)) => shell.mutants(args),
    }
}

/// What is wrong with the command line, without the page of help that usually comes with it.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let paragraphs =
        text.split("\n\n").take_while(|p| !p.starts_with("Usage:") && !p.starts_with("For more"));
    let lines: Vec<_> = paragraphs.flat_map(str::lines).map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("{} (--help tells more)", lines.join(" "))
}

/// Who hears what is said.
#[derive(Clone)]
enum Voice {
    /// Whoever started this process.
    Process,
    /// A test.
    Kept(Arc<Mutex<String>>),
}

impl Voice {
    fn say(&self, text: &str) {
        match self {
            // Whoever does not listen any more still gets the exit code.
            Self::Process => drop(writeln!(std::io::stdout().lock(), "{text}")),
            Self::Kept(told) => {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.push_str(text);
                told.push('\n');
            }
        }
    }

    /// Says what is wrong with the command line.
    fn complain(&self, text: &str) {
        match self {
            Self::Process => drop(writeln!(std::io::stderr().lock(), "{text}")),
            Self::Kept(_) => self.say(text),
        }
    }

    fn is_process(&self) -> bool {
        matches!(self, Self::Process)
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
    #[arg(long, value_name = "ID", requires = "story", value_parser = id)]
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

/// The farthest a dial can be turned: 100 times per second, or 6 s.
const DIAL_MAX: u32 = 6_000;

#[derive(Clone)]
struct DialList(BTreeMap<Dial, Option<u32>>);

fn seed(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a seed is a number from 0 to 2^64 - 1, decimal or 0x…".to_owned())
}

const NOT_PLANTED: &str = "this program was built without the feature `planted`: it has no bugs to plant";

fn planted(text: &str) -> Result<Planted, String> {
    if !cfg!(feature = "planted") {
        return Err(NOT_PLANTED.to_owned());
    }
    Planted::parse(text).ok_or_else(|| "there is no such bug; `mutants --list` names them".to_owned())
}

fn id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "an id is hexadecimal, as the story writes it: 3f".to_owned())
}

fn dials(text: &str) -> Result<DialList, String> {
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

struct Shell {
    command: String,
    game: Arc<dyn Game>,
    voice: Voice,
}

/// Exit code: wrong usage.
const USAGE: u8 = 2;
/// Exit code: something else than a failure of a run went wrong.
const OTHER: u8 = 1;
/// Tries at making a failing run smaller.
const SHRINK_TRIES: u32 = 60;

/// A run, and the digest of a second one of the same plan, if it was asked for.
struct Ran {
    report: Report,
    again: Option<u64>,
}

impl Ran {
    fn is_two_ways(&self) -> bool {
        self.again.is_some_and(|digest| digest != self.report.digest)
    }

    /// The exit code it deserves; `None`: it is well.
    fn code(&self) -> Option<u8> {
        match &self.report.failure {
            _ if self.is_two_ways() => Some(OTHER),
            None => None,
            Some(failure) => Some(match failure.kind {
                FailureKind::Crash => 3,
                FailureKind::Safety => 4,
                FailureKind::Liveness => 5,
            }),
        }
    }
}

impl Shell {
    /// The command that runs a plan again.
    fn again(&self, plan: &Plan, args: &Runs) -> String {
        let usual = Plan::new(plan.seed, &Overrides::default());
        let mut words = vec![self.command.clone(), format!("--seed {}", plan.seed)];
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
        if let Some(planted) = args.plant {
            words.push(format!("--plant {}", planted.name()));
        }
        if args.twice {
            words.push("--twice".to_owned());
        }
        words.join(" ")
    }

    fn ran(&self, plan: &Plan, args: &Runs, listener: Option<Listener>) -> Ran {
        let report = run(plan, &self.game, args.plant, listener);
        let again = args.twice.then(|| run(plan, &self.game, args.plant, None).digest);
        Ran { report, again }
    }

    fn runs(&self, args: &Runs) -> u8 {
        self.quiet_panics(args.seed.is_some());
        if let Some(seed) = args.seed {
            return self.one(args, seed);
        }
        let deadline = args.minutes.map(|m| Instant::now() + Duration::from_secs(60 * m));
        let count = args.seeds.unwrap_or(if deadline.is_some() { u64::MAX } else { 20 });
        let mut total = Total::default();
        // Of the first that failed: its exit code, and the command that shows it at its smallest.
        let mut first = None;
        let shape = args.shape.overrides();
        let job = |seed| self.ran(&Plan::new(seed, &shape), args, None);
        let begin = Instant::now();
        let live = self.voice.is_process() && std::io::stderr().is_terminal();
        each_seed(args.from, count, args.jobs, &job, &mut |ran| {
            total.add(&ran);
            if live {
                eprint!(
                    "\r{} seeds, {} failed, {:.1} h simulated ",
                    total.seeds,
                    total.failed,
                    total.hours()
                );
            }
            let code = ran.code();
            if let Some(code) = code {
                self.voice.say(&format!("{}\n{}", self.again(&ran.report.plan, args), ran.report.plan));
                let command = self.explain(&ran, args);
                if args.keep_going {
                    self.voice.say(&format!("{command}\n"));
                }
                first.get_or_insert((code, command));
            }
            (code.is_none() || args.keep_going) && deadline.is_none_or(|end| Instant::now() < end)
        });
        if live {
            eprintln!();
        }
        self.voice.say(&total.text(begin.elapsed()));
        let Some((code, command)) = first else { return 0 };
        self.voice.say(&command);
        code
    }

    fn one(&self, args: &Runs, seed: u64) -> u8 {
        let plan = Plan::new(seed, &args.shape.overrides());
        self.voice.say(&format!("{}\n{plan}", self.again(&plan, args)));
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
            let voice = self.voice.clone();
            (filter, Box::new(move |line: &str| voice.say(line)) as Box<dyn FnMut(&str) + Send>)
        });
        let ran = self.ran(&plan, args, listener);
        let mut total = Total::default();
        total.add(&ran);
        self.voice.say(&format!("digest {:016x}", ran.report.digest));
        self.voice.say(&total.text(begin.elapsed()));
        let Some(code) = ran.code() else { return 0 };
        let command = self.explain(&ran, args);
        self.voice.say(&command);
        code
    }

    /// Says what is wrong with a run and looks for a smaller one that fails alike; returns the command that shows that one.
    fn explain(&self, ran: &Ran, args: &Runs) -> String {
        let report = &ran.report;
        if let Some(digest) = ran.again.filter(|_| ran.is_two_ways()) {
            self.voice
                .say(&format!("it ran in two ways: digest {:016x}, and then {digest:016x}", report.digest));
            return self.again(&report.plan, args);
        }
        let Some(failure) = &report.failure else { return self.again(&report.plan, args) };
        self.voice.say(&failure.to_string());
        if args.no_shrink || args.story.story {
            return self.again(&report.plan, args);
        }
        self.voice.say("looking for a smaller run that fails alike…");
        let smallest = shrink(report.clone(), &self.game, args.plant, SHRINK_TRIES, &mut |smaller| {
            self.voice.say(&format!("  {}", smaller.plan));
        });
        if let Some(failure) = smallest.failure.as_ref().filter(|_| smallest.plan != report.plan) {
            self.voice.say(&failure.to_string());
        }
        self.again(&smallest.plan, args)
    }

    fn mutants(&self, args: &Mutants) -> u8 {
        if args.list {
            Planted::ALL.iter().for_each(|p| self.voice.say(&format!("{:28} {}", p.name(), p.about())));
            return 0;
        }
        if !cfg!(feature = "planted") {
            self.voice.complain(&format!("error: {NOT_PLANTED}"));
            return USAGE;
        }
        self.quiet_panics(false);
        // Of a game whose rules do not panic or hang, no run can see what would become of it.
        let shows = |p: &Planted| self.game.panics() || !p.needs_faulty_rules();
        let all = || Planted::ALL.iter().copied().filter(shows).collect();
        let names: Vec<_> = if args.names.is_empty() { all() } else { args.names.clone() };
        let shape = args.shape.overrides();
        let mut missed = Vec::new();
        for mutant in &names {
            // A seed that fails without the mistake as well says nothing of it.
            let job = |seed| {
                let played = |planted| run(&Plan::new(seed, &shape), &self.game, planted, None);
                let report = played(Some(*mutant));
                let sound = report.failure.is_none() || played(None).failure.is_none();
                (report, sound)
            };
            let (mut tried, mut caught) = (0, None);
            each_seed(args.from, args.seeds, args.jobs, &job, &mut |(report, sound)| {
                tried += 1;
                if !sound {
                    self.voice.say(&format!(
                        "seed {} fails without any mistake: it does not count",
                        report.plan.seed
                    ));
                    return true;
                }
                caught = report.failure.is_some().then_some(report);
                caught.is_none()
            });
            match &caught {
                Some(report) => {
                    let (name, seed) = (mutant.name(), report.plan.seed);
                    let failure = report.failure.as_ref().map(ToString::to_string).unwrap_or_default();
                    self.voice.say(&format!("caught  {name:28} by seed {seed} ({tried} tried): {failure}"));
                }
                None => {
                    self.voice.say(&format!("MISSED  {:28} by {tried} seeds", mutant.name()));
                    missed.push(mutant.name());
                }
            }
        }
        self.voice.say(&format!("{} of {} caught", names.len() - missed.len(), names.len()));
        if missed.is_empty() { 0 } else { OTHER }
    }

    /// A panic is a failure of the run, which is told in one line, or one of the game's that the kernel catches. Tests have their
    /// own way with panics.
    fn quiet_panics(&self, loud: bool) {
        if !self.voice.is_process() {
            return;
        }
        std::panic::set_hook(Box::new(move |info| {
            if loud && std::env::var_os("RUST_BACKTRACE").is_some() {
                eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            }
        }));
    }
}

/// Runs seeds on `jobs` threads and hands each result over in the order of the seeds, until `take` says stop.
fn each_seed<T: Send>(
    from: u64,
    count: u64,
    jobs: u64,
    job: &(dyn Fn(u64) -> T + Sync),
    take: &mut dyn FnMut(T) -> bool,
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
        for (index, result) in receive {
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                due += 1;
                if !stop.load(Ordering::Relaxed) && !take(result) {
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
    closings: BTreeMap<String, u64>,
    effects: u64,
    answers: u64,
    shown: u64,
    inputs: u64,
}

impl Total {
    fn add(&mut self, ran: &Ran) {
        let report = &ran.report;
        self.seeds += 1;
        self.failed += u64::from(ran.code().is_some());
        self.simulated_ms += report.simulated_ms;
        for (dial, count) in &report.counts.faults {
            *self.faults.entry(*dial).or_insert(0) += count;
        }
        for (code, count) in &report.counts.closings {
            *self.closings.entry(code.clone()).or_insert(0) += count;
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
        let closings: Vec<_> = self.closings.iter().map(|(code, n)| format!("{code} {n}")).collect();
        let listed = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        format!(
            "{} seeds, {} failed; {:.2} h simulated in {seconds:.1} s ({:.0} times as fast); {} inputs, {} effects, \
             {} answers and {} shown states checked; faults: {}; connections closed: {}",
            self.seeds,
            self.failed,
            self.hours(),
            self.simulated_ms as f64 / 1_000.0 / seconds,
            self.inputs,
            self.effects,
            self.answers,
            self.shown,
            listed(faults),
            listed(closings)
        )
    }
}
