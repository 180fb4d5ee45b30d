//! The simulator as a command. `args` has its grammar, `hunt` two of its subcommands, `ran` the results of runs, `speed` how long they took.

mod args;
mod hunt;
mod ran;
mod speed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use clap::{CommandFactory, FromArgMatches};

use self::args::{Cli, Runs, What};
use self::ran::{Ran, Total, USAGE};
use self::speed::Stopwatch;
use crate::game::Game;
use crate::plan::{Overrides, Plan, Profile};
use crate::run::run;
use crate::shrink::shrink;
use crate::story::{Filter, Listener};

/// Runs the simulator with this process' command line, and returns the process' exit code: 0 every check held, 1 something
/// else went wrong, 2 wrong usage, 3 a crash, 4 a safety failure, 5 a liveness failure.
///
/// `command` is what a person types to start it (`cargo xtask sim`): the line that reproduces a failure begins with it.
pub fn main(command: &str, game: Arc<dyn Game>) -> ExitCode {
    main_from(command, game, std::env::args_os())
}

/// Like [`main`], with other words (the program's name first).
pub fn main_from<T: Into<OsString> + Clone>(
    command: &str,
    game: Arc<dyn Game>,
    words: impl IntoIterator<Item = T>,
) -> ExitCode {
    ExitCode::from(start(command, game, words, Voice::Process))
}

/// Like [`main_from`], for tests: returns the exit code and everything that was printed.
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
    let game = match &cli.runs.mistake {
        None => game,
        Some(name) => match game.with_mistake(name) {
            Some(wrong) => wrong,
            None => {
                voice.complain(&format!(
                    "error: no rule can make the mistake `{name}` here; `mistakes --list` names them, and they need the feature `planted`"
                ));
                return USAGE;
            }
        },
    };
    let shell = Shell { command: command.to_owned(), game, voice };
    match &cli.what {
        None => shell.runs(&cli.runs),
        Some(What::Mutants(args)) => shell.mutants(args),
        Some(What::Mistakes(args)) => shell.mistakes(args),
    }
}

/// The error of a command line, without the page of help that clap adds.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let paragraphs =
        text.split("\n\n").take_while(|p| !p.starts_with("Usage:") && !p.starts_with("For more"));
    let lines: Vec<_> = paragraphs.flat_map(str::lines).map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("{} (--help tells more)", lines.join(" "))
}

/// Where the output goes.
#[derive(Clone)]
enum Voice {
    /// To stdout and stderr of this process.
    Process,
    /// To a test.
    Kept(Arc<Mutex<String>>),
}

impl Voice {
    fn say(&self, text: &str) {
        match self {
            // A caller that no longer reads the output still gets the exit code.
            Self::Process => drop(writeln!(std::io::stdout().lock(), "{text}")),
            Self::Kept(told) => {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.push_str(text);
                told.push('\n');
            }
        }
    }

    /// Prints an error of the command line.
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

struct Shell {
    command: String,
    game: Arc<dyn Game>,
    voice: Voice,
}

/// Attempts to find a smaller failing run.
const SHRINK_TRIES: u32 = 60;

impl Shell {
    /// The command that repeats a run of this plan.
    fn again(&self, plan: &Plan, args: &Runs) -> String {
        let usual = Plan::new(plan.seed, &Overrides { profile: plan.profile, ..Overrides::default() });
        let mut words = vec![self.command.clone(), format!("--seed {}", plan.seed)];
        if plan.profile != Profile::default() {
            words.push(format!("--profile {}", plan.profile));
        }
        if plan.nodes != usual.nodes {
            words.push(format!("--nodes {}", plan.nodes));
        }
        if plan.clients != usual.clients {
            words.push(format!("--clients {}", plan.clients));
        }
        if plan.dials != usual.dials {
            words.push(format!("--faults {}", plan.dials_text()));
        }
        if plan.fault_ms != usual.fault_ms {
            words.push(format!("--fault-seconds {}", plan.fault_ms.div_ceil(1_000)));
        }
        if let Some(planted) = args.plant {
            words.push(format!("--plant {}", planted.name()));
        }
        if let Some(mistake) = &args.mistake {
            words.push(format!("--mistake {mistake}"));
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
        if args.coverage && !cfg!(feature = "planted") {
            self.voice
                .complain("error: this program was built without the feature `planted`: it notes no states");
            return USAGE;
        }
        if let Some(seed) = args.seed {
            return self.one(args, seed);
        }
        let deadline = args.minutes.map(|m| Instant::now() + Duration::from_secs(60 * m));
        let count = args.seeds.unwrap_or(if deadline.is_some() { u64::MAX } else { 20 });
        let mut total = Total::default();
        // For the first failure: its exit code, and the command of its smallest run.
        let mut first = None;
        let shape = args.shape.overrides();
        let job = |seed| self.ran(&Plan::new(seed, &shape), args, None);
        let begin = Stopwatch::start();
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
        self.voice.say(&total.text(begin.took()));
        self.tell_coverage(args, &total);
        self.say_sizes(args, &total);
        let Some((code, command)) = first else { return 0 };
        self.voice.say(&command);
        code
    }

    /// Prints the table of states and messages, if it is asked for.
    fn tell_coverage(&self, args: &Runs, total: &Total) {
        #[cfg(feature = "planted")]
        if args.coverage {
            self.voice.say(&crate::coverage::text(&total.coverage));
        }
        #[cfg(not(feature = "planted"))]
        let _ = (args, total);
    }

    fn say_sizes(&self, args: &Runs, total: &Total) {
        for (what, (used, most)) in total.sizes.iter().filter(|_| args.sizes) {
            self.voice.say(&format!("{what}: {used} of {most}"));
        }
    }

    fn one(&self, args: &Runs, seed: u64) -> u8 {
        let plan = Plan::new(seed, &args.shape.overrides());
        self.voice.say(&format!("{}\n{plan}", self.again(&plan, args)));
        let begin = Stopwatch::start();
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
        self.voice.say(&total.text(begin.took()));
        self.tell_coverage(args, &total);
        self.say_sizes(args, &total);
        let Some(code) = ran.code() else { return 0 };
        let command = self.explain(&ran, args);
        self.voice.say(&command);
        code
    }

    /// Prints what is wrong with a run and looks for a smaller one that fails in the same way; returns the command of the
    /// smallest.
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

    /// A panic is a failure of the run, reported in one line, or a panic of the game's rules, which the kernel catches.
    /// Tests handle panics in their own way.
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

/// Runs seeds on `jobs` threads and passes each result to `take` in the order of the seeds, until it returns false.
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
