//! Load for a Gundo world: many full clients, each with its own connection, on very few cores.
//!
//! [`run`] starts the bots, lets a game's [`Behaviour`] drive each of them, measures, and returns a [`Report`]. A bot is
//! exact where a player would notice (its commands and their answers, its own body in the frames) and only counts the rest:
//! see [`gundo_client::Light`]. Start reading at [`run`]; `fleet` has the loop, `bot` one client.
//!
//! ```no_run
//! use gundo_bots::{BotsConfig, Stroll, run};
//!
//! let config = BotsConfig::new(500, vec!["ws://127.0.0.1:7600".parse().expect("an address")]);
//! let report = run(&config, &|index| Box::new(Stroll::new(index as u64, 2_000)), &mut |_| {}).expect("the world answers");
//! eprintln!("{report}");
//! assert!(report.is_clean());
//! ```

mod behaviour;
mod bot;
mod fleet;
mod progress;
mod report;
mod socket;
mod tally;
mod window;

use std::net::ToSocketAddrs;

pub use behaviour::{Behaviour, Chance, Circle, Idle, Stroll, Wishes};
pub use fleet::{Fleet, Played};
pub use gundo_client::{Address, BadAddress, Picture, Seen, Trust};
use gundo_tls::FileFault;
pub use gundo_wire::client::{Correction, Refusal, Welcome};
pub use progress::{Phase, Progress};
pub use report::{Latency, Report};
pub use socket::{Broken, Incoming, Socket};
pub use window::{BotWindow, Loss, SeenLeaving};

/// How many bots, where, how long.
#[derive(Clone, Debug)]
pub struct BotsConfig {
    /// How many bots.
    pub count: usize,
    /// Edges; bot `i` starts at edge `i` modulo their number. With [`spread`](Self::spread) the list of the first edge
    /// completes this one.
    pub urls: Vec<Address>,
    /// Learn the list of edges from the first one and spread the bots over all of them (default true).
    pub spread: bool,
    /// Length of the measured window once all bots are in the world, seconds (default 10).
    pub seconds: f64,
    /// Wait between the last welcome and the window, seconds (default 1).
    pub settle_seconds: f64,
    /// How long all bots may take to enter the world, seconds (default 60). The run continues with those that are in. It ends early
    /// if none is in after 10 seconds.
    pub connect_seconds: f64,
    /// How long answers may take after the window, seconds (default 10). Commands unanswered then are lost.
    pub drain_seconds: f64,
    /// Connections started per second; `None`: as fast as the server answers them.
    pub connects_per_second: Option<f64>,
    /// Connections that may be opening at the same time (default 128).
    pub connecting_max: usize,
    /// Steps of each behaviour per second, which is also the highest rate of moves (default 10).
    pub steps_per_second: u32,
    /// Worker threads (default 1, which carries 5,000 bots as measured).
    pub threads: usize,
    /// Notice other players who leave the world: [`BotWindow::seen_leaving`] (default false: it costs a little).
    pub watch_others: bool,
    /// Which servers are trusted over TLS (default: those that this machine trusts).
    pub trust: Trust,
    /// A bot's name is this, a word for the run, and the bot's number.
    pub name_prefix: String,
    /// Seed of all random choices, names included. Two runs against one world need two seeds.
    pub seed: u64,
}

impl BotsConfig {
    /// `count` bots at `urls`, with a seed from the clock and defaults for everything else.
    pub fn new(count: usize, urls: Vec<Address>) -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            count,
            urls,
            spread: true,
            seconds: 10.0,
            settle_seconds: 1.0,
            connect_seconds: 60.0,
            drain_seconds: 10.0,
            connects_per_second: None,
            connecting_max: 128,
            steps_per_second: 10,
            threads: 1,
            watch_others: false,
            trust: Trust::System,
            name_prefix: "bot".to_owned(),
            seed: clock.map_or(1, |d| d.as_nanos() as u64),
        }
    }
}

/// Why the bots could not run at all.
#[derive(Debug, thiserror::Error)]
pub enum BotsError {
    /// No address was given.
    #[error("no address of a world was given")]
    NoAddress,
    /// A host cannot be resolved.
    #[error("the host of {address} is not known")]
    Unknown {
        /// Which.
        address: Address,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody could be trusted over TLS.
    #[error(transparent)]
    Trust(#[from] FileFault),
    /// The operating system provides no event queue.
    #[error("the operating system gives no event queue")]
    Poll(#[source] std::io::Error),
    /// Not a single bot got in.
    #[error("no bot got into the world at {address}; is a server running there? ({seen})")]
    Nobody {
        /// The address that was tried.
        address: Address,
        /// The errors and their counts, for people.
        seen: String,
    },
}

/// Runs the bots: connects, lets them play, measures, waits for the answers, logs out.
///
/// `behaviour(i)` makes the mind of bot `i`. The run calls `watch` at every change of [`Phase`] and about once per second.
///
/// # Errors
/// See [`BotsError`]. A run that has started ends with a [`Report`], however badly it went.
pub fn run(
    config: &BotsConfig,
    behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
    watch: &mut dyn FnMut(&Progress),
) -> Result<Report, BotsError> {
    prepare(config)?;
    let report = fleet::run(config, behaviour, watch)?;
    somebody(config, &report)?;
    Ok(report)
}

/// Like [`run`], but the caller decides how long the bots play. When all are in the world, it calls `conduct` with a handle
/// to the fleet. For benchmarks that do something to the world and look at the effect on every client.
///
/// # Errors
/// See [`BotsError`].
pub fn play<T>(
    config: &BotsConfig,
    behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
    conduct: impl FnOnce(&Fleet<'_>) -> T,
) -> Result<Played<T>, BotsError> {
    prepare(config)?;
    let played = fleet::play(config, behaviour, conduct)?;
    somebody(config, &played.report)?;
    Ok(played)
}

fn prepare(config: &BotsConfig) -> Result<(), BotsError> {
    config.urls.first().ok_or(BotsError::NoAddress)?;
    for address in &config.urls {
        let known = address.authority().to_socket_addrs();
        known.map_err(|source| BotsError::Unknown { address: address.clone(), source })?;
    }
    raise_open_files(config.count);
    Ok(())
}

fn somebody(config: &BotsConfig, report: &Report) -> Result<(), BotsError> {
    if report.live > 0 || config.count == 0 {
        return Ok(());
    }
    let seen = report.errors.iter().map(|(code, n)| format!("{code}: {n}")).collect::<Vec<_>>().join(", ");
    Err(BotsError::Nobody { address: config.urls[0].clone(), seen })
}

/// Each bot is an open file, and the usual limit is 1,024. Raises the limit as far as the hard limit allows. Bots beyond
/// that fail to connect, which the report counts as an error.
pub fn raise_open_files(wanted: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted as u64 + 256;
    if limit.current.is_some_and(|now| now < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |max| max.min(wanted)));
        // A refusal changes nothing: the run continues within the limit there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
    }
}
