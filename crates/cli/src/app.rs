//! A game as a command.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use gundo_bots::{Behaviour, Stroll};
use gundo_kernel::game::Rules;
use gundo_node::{Page, WorldInfo};

use crate::cli::{Cli, Command};
use crate::lives::Lives;
use crate::{bots, journal, logs, nodes, schema, serve};

type RulesOf = Box<dyn Fn(&WorldInfo) -> Rules>;
type MindOf = Box<dyn Fn(usize) -> Box<dyn Behaviour> + Sync>;

/// The error of a command: shown as one line with its causes.
pub(crate) type Failure = Box<dyn Error>;

/// A game as a command: its server, its bots, its tools.
///
/// ```no_run
/// # use gundo_kernel::game::Rules;
/// # use gundo_cli::App;
/// # fn rules(seed: u64) -> Rules { unimplemented!() }
/// fn main() -> std::process::ExitCode {
///     App::new("pioneer", |world| rules(world.seed)).run()
/// }
/// ```
pub struct App {
    name: &'static str,
    about: Option<&'static str>,
    rules: RulesOf,
    mind: MindOf,
    page: Option<Arc<Page>>,
    lives: Option<Box<dyn Lives>>,
    /// Words of the program before its commands.
    prefix: &'static [&'static str],
    #[cfg(feature = "sim")]
    simulated: Option<(&'static str, Arc<dyn gundo_sim::Game>)>,
}

impl App {
    /// The game `name` (a short word). `rules` makes the game for a world; most games need only its
    /// [`seed`](WorldInfo::seed).
    pub fn new(name: &'static str, rules: impl Fn(&WorldInfo) -> Rules + 'static) -> Self {
        /// A brisk walk that most games allow, mm/s.
        const SPEED_MM_S: u32 = 2_000;
        let mind = |index: usize| Box::new(Stroll::new(index as u64, SPEED_MM_S)) as Box<dyn Behaviour>;
        Self {
            name,
            about: None,
            rules: Box::new(rules),
            mind: Box::new(mind),
            page: None,
            lives: None,
            prefix: &[],
            #[cfg(feature = "sim")]
            simulated: None,
        }
    }

    /// The words with which the program reaches these commands, if it has others too: `tools game nodes` has the prefix `["game"]`. By
    /// default there are none.
    pub fn prefix(mut self, words: &'static [&'static str]) -> Self {
        self.prefix = words;
        self
    }

    /// One sentence for `--help`.
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = Some(about);
        self
    }

    /// The behaviour of this game's bots: `mind(i)` makes the mind of bot `i`. By default they stroll about.
    pub fn bots(mut self, mind: impl Fn(usize) -> Box<dyn Behaviour> + Sync + 'static) -> Self {
        self.mind = Box::new(mind);
        self
    }

    /// The game's page, which every node serves: its files by path. `index.html` is served at `/`; the client SDK is at `/gundo.js`
    /// without being among them. With `--page DIR` the server serves a directory instead, and without either a page that says how to
    /// make one.
    ///
    /// ```no_run
    /// # let app: gundo_cli::App = unimplemented!();
    /// # macro_rules! include_bytes { ($path:literal) => { b"" } }
    /// app.page(&[
    ///     ("index.html", include_bytes!("../page/index.html")),
    ///     ("game.js", include_bytes!("../page/game.js")),
    /// ])
    /// # ;
    /// ```
    ///
    /// # Panics
    /// As [`Page::embedded`].
    pub fn page(mut self, files: &[(&'static str, &'static [u8])]) -> Self {
        self.page = Some(Arc::new(Page::embedded(files)));
        self
    }

    /// The game's words for `journal item` and `journal player`. Without them these commands say that there are none.
    pub fn lives(mut self, lives: impl Lives + 'static) -> Self {
        self.lives = Some(Box::new(lives));
        self
    }

    /// Adds the subcommand `sim`: the simulator, with what it needs to know about this game. `command` is what a person
    /// types to start it (`cargo run --profile sim --features sim -- sim`); a failure prints it with the options that
    /// reproduce the run. Needs the feature `sim`. The exit codes are those of [`sim::main`](gundo_sim::main).
    #[cfg(feature = "sim")]
    pub fn simulated(mut self, command: &'static str, game: impl gundo_sim::Game + 'static) -> Self {
        self.simulated = Some((command, Arc::new(game)));
        self
    }

    /// Executes the command line, and returns the process' exit code: 0 success, 1 failure, 2 wrong usage.
    pub fn run(self) -> ExitCode {
        self.run_from(std::env::args_os())
    }

    /// As [`run`](Self::run), with the words of the command line (the program's name first).
    pub fn run_from<T: Into<OsString> + Clone>(self, words: impl IntoIterator<Item = T>) -> ExitCode {
        let mut command = Cli::command().name(self.name);
        if let Some(about) = self.about {
            command = command.about(about);
        }
        let cli = match command.try_get_matches_from_mut(words).and_then(|m| Cli::from_arg_matches(&m)) {
            Ok(cli) => cli,
            Err(error) => {
                // If even this cannot be printed, only the exit code remains.
                let _ = error.print();
                return ExitCode::from(error.exit_code() as u8);
            }
        };
        let done = match &cli.command {
            None => serve::serve(self.name, &cli.serve, self.page, &*self.rules),
            #[cfg(feature = "cluster")]
            Some(Command::Node(args)) => crate::cluster::run(self.name, args, self.page, &*self.rules),
            #[cfg(feature = "cluster")]
            Some(Command::Cluster(command)) => crate::cluster::cluster(command, self.prefix),
            Some(Command::Bots(args)) => bots::run(args, &*self.mind),
            #[cfg(feature = "cluster")]
            Some(Command::Certs(args)) => crate::certs::run(args),
            Some(Command::Schema) => schema::run(&*self.rules),
            Some(Command::Nodes(command)) => nodes::run(command),
            Some(Command::Backup { to, data }) => journal::backup(&data.data, to),
            Some(Command::Restore { from, replace, data }) => journal::restore(from, &data.data, *replace),
            Some(Command::Journal(command)) => journal::run(command, &*self.rules, self.lives.as_deref()),
            #[cfg(feature = "sim")]
            Some(Command::Sim { words }) => {
                let Some((command, game)) = self.simulated else {
                    eprintln!("error: this game has no description for the simulator (`App::simulated`)");
                    return ExitCode::from(2);
                };
                let program = OsString::from(command);
                return gundo_sim::main_from(command, game, std::iter::once(&program).chain(words));
            }
        };
        logs::flush();
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                complain(error.as_ref());
                ExitCode::FAILURE
            }
        }
    }
}

/// Prints one line: the error, and every cause that adds something.
fn complain(error: &dyn Error) {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    eprintln!("error: {}", line.replace('\n', " "));
}

/// Writes to stdout. False: the reader is gone.
pub(crate) fn say(text: &str) -> bool {
    writeln!(io::stdout().lock(), "{text}").is_ok()
}
