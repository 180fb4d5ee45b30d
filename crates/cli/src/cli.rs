//! The command line every game gets.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gundo_client::Address;

use crate::config::{DATA_DEFAULT, Flags};

/// Without a command, run the server: a whole world in one process.
#[derive(Debug, Parser)]
#[command(
    about = "A world to play in, and the tools around it.",
    long_about = "Without a command this is the server: a whole world of several nodes in one process, with its page, its \
                  journal and its metrics. Everything is stored in the data directory; Ctrl-C saves and stops.",
    after_help = "Settings come from a TOML file (--config), then the environment (GUNDO_NODES=5, GUNDO_WORLD__TICK_MS=50), \
                  then flags; later ones win. RUST_LOG=debug shows more.\n\
                  Exit codes: 0 success, 1 failure, 2 wrong usage.",
    args_conflicts_with_subcommands = true,
    version
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "GUNDO_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fill a world with bots and measure how it performs
    Bots(BotsArgs),
    #[command(flatten)]
    Nodes(NodesCommand),
    /// Run one node of a world that runs in many processes
    #[cfg(feature = "cluster")]
    Node(ServeArgs),
    /// Run a whole cluster on this machine: etcd, PostgreSQL and a process for each node
    #[cfg(feature = "cluster")]
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Make the certificates by which the nodes of a cluster know each other
    #[cfg(feature = "cluster")]
    Certs(crate::certs::CertsArgs),
    /// Print the messages of this game, for clients: a .proto file
    Schema,
    /// Copy the whole world, also while its server runs
    Backup {
        /// A new directory for the copy
        #[arg(value_name = "TO")]
        to: PathBuf,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Put a backup back, where no server runs
    Restore {
        /// Directory of the backup
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Keep the journal that is there in a directory beside it, and take its place
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Inspect the journal of a world
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Run whole clusters of this game from seeds, with every fault, and check that nothing is lost
    #[cfg(feature = "sim")]
    #[command(disable_help_flag = true)]
    Sim {
        /// See `sim --help`
        #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
}

/// The operators' commands for a running world.
#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Show the nodes of a running world
    Nodes {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// End a node of a running world as a crash would: no goodbye; the others take over
    Kill {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Freeze a node, as if its machine hung
    Pause {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Unfreeze a paused node
    Resume {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Empty a node while everybody plays on, then end it
    Drain {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        /// Do not wait until it is empty
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Start one more node: it gets the lowest number that is free
    Add {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// List the entities whose code took nodes down, or have one of them loaded again
    Pardon {
        /// The entity, as the list and the log show it
        #[arg(value_name = "KIND/ID", value_parser = entity)]
        entity: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Make invitations, for a world with `newcomers = "invited"`: each is good for one new player
    Invite {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        count: u16,
        /// For how long, days of the world; 0: for ever
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(..=3_650))]
        days: u16,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Give an entity an order, such as a compensation to a player, and wait for the answer
    Order(OrderArgs),
    /// Restart every node, one after another, while everybody plays on
    Rollout {
        /// Do not wait until all are restarted
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// An order.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// The kind of the entity: its name or its number
    #[arg(value_name = "KIND")]
    pub(crate) kind: String,
    /// The id of the entity, in hexadecimal digits
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The order: `help` shows what can be ordered
    #[arg(value_name = "WORDS", required = true)]
    pub(crate) words: Vec<String>,
    /// Repeat an order whose end nobody has told: the number of its request. It happens once
    #[arg(long, value_name = "NUMBER")]
    pub(crate) request: Option<String>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// A cluster on this machine.
#[cfg(feature = "cluster")]
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Start it, and keep it running until Ctrl-C or `down`
    Up(UpArgs),
    /// End it: everything is saved
    Down {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Start one more node
    Add {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Kill the process of a node (SIGKILL)
    Kill {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Stop the process of a node (SIGSTOP), as if its machine hung
    Pause {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Let the process of a paused node go on (SIGCONT)
    Resume {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Show the nodes
    Status {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Empty a node while everybody plays on, then end its process
    Drain {
        /// Number of the node
        #[arg(value_name = "NODE")]
        node: u16,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Restart every process, one after another, while everybody plays on
    Rollout {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Give any other operators' command to a node that answers: `cluster operate nodes --json`, `cluster operate pardon`
    Operate {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The command
        #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
}

/// Which cluster.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Directory of the cluster
    #[arg(long, value_name = "DIR", default_value = "cluster")]
    pub(crate) dir: PathBuf,
}

/// How to start a cluster.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// How many nodes, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) nodes: u16,
    /// Members of etcd: 1, 3 or 5
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) etcd_members: usize,
    /// The port of the first node for clients; the other nodes' follow. Operators' ports are 100 higher, those between nodes 200
    #[arg(long, value_name = "PORT", default_value_t = 7600)]
    pub(crate) port: u16,
    /// Seed of a new world; an old one keeps its own [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Encrypt and authenticate the connections between nodes
    #[arg(long)]
    pub(crate) tls: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BotsArgs {
    /// How many bots
    #[arg(value_name = "N")]
    pub(crate) count: usize,
    /// The address of the world; may be given several times. The bots learn those of its nodes from it
    #[arg(long, value_name = "ws://HOST:PORT/PATH", default_value = "ws://127.0.0.1:7600")]
    pub(crate) url: Vec<Address>,
    /// File of the authority that signed the world's certificate, for wss:// [default: those that this machine trusts]
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
    /// How long they play once all are in the world, seconds
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// New connections per second [default: as fast as the server answers them]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) connects_per_second: Option<f64>,
}

/// Which running world, and the right to act on it.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Where the running world listens
    #[arg(long, value_name = "http[s]://HOST:PORT", default_value = "http://127.0.0.1:7600")]
    pub(crate) url: Address,
    /// Directory of the world's data: its file admin.token gives the right to act (or GUNDO_ADMIN_TOKEN in the environment)
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT, env = "GUNDO_DATA")]
    pub(crate) data: PathBuf,
    /// Your certificate, for https://: it gives the right to act instead of the token
    #[arg(long, value_name = "FILE", requires_all = ["key", "authority"])]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of your certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// File of the world's authority, for https://
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Check that every stream is complete; works beside a running server
    Verify {
        #[command(flatten)]
        journal: JournalArgs,
    },
    /// Go on without a log that is lost for good: what was saved last is lost too
    AcceptLoss {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Begin a new generation, after the journal was put back to an earlier state by hand (`restore` does it by itself); the server is stopped
    NewGeneration {
        #[command(flatten)]
        journal: JournalArgs,
    },
    /// Tell the life of a unique thing: its maker, its owners, and its place now; works beside a running server
    Item {
        /// Its id, hexadecimal, as the game and `journal player` show it
        #[arg(value_name = "ID", value_parser = item)]
        id: u64,
        #[command(flatten)]
        journal: JournalArgs,
    },
    /// Show a player as it is, or as it was; works beside a running server
    Player {
        /// Its name, or its id in hexadecimal
        #[arg(value_name = "NAME")]
        name: String,
        /// When: world time as the tools print it ("day 3 04:05:06"), or the wall clock in UTC ("2026-11-30 13:05") [default: now]
        #[arg(long, value_name = "TIME", value_parser = crate::journal::time::parse)]
        at: Option<crate::journal::time::Typed>,
        #[command(flatten)]
        journal: JournalArgs,
    },
    /// Show what happened to one entity
    Stream {
        /// Kind of the entity: its name or number
        #[arg(value_name = "KIND")]
        kind: String,
        /// Its id: decimal, or hexadecimal with 0x or with a letter in it
        #[arg(value_name = "ID", value_parser = id)]
        id: u64,
        #[command(flatten)]
        journal: JournalArgs,
    },
}

/// Which journal.
#[derive(Debug, Args)]
pub(crate) struct JournalArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Configuration of a server or node, whose journal it is instead: in PostgreSQL if it has a section [cluster]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Directory of the world's data
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT, env = "GUNDO_DATA")]
    pub(crate) data: PathBuf,
}

/// An entity as lists and logs show it: its kind, and its id in hexadecimal.
fn entity(text: &str) -> Result<String, String> {
    let why = || "an entity is its kind and its id in hexadecimal, such as 2/1f".to_owned();
    gundo_node::parse_entity(text).map(|_| text.to_owned()).ok_or_else(why)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("0.1 to 86400 seconds".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number per second".to_owned())?;
    if rate > 0.0 && rate.is_finite() { Ok(rate) } else { Err("more than 0 per second".to_owned()) }
}

fn item(text: &str) -> Result<u64, String> {
    let digits = text.trim_start_matches('#').trim_start_matches("0x");
    u64::from_str_radix(digits, 16)
        .map_err(|_| "an id of a thing is hexadecimal, such as 3f2a07c5119e8d40".to_owned())
}

fn id(text: &str) -> Result<u64, String> {
    let hex =
        text.strip_prefix("0x").or_else(|| text.bytes().any(|b| b.is_ascii_alphabetic()).then_some(text));
    let parsed = hex.map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.map_err(|_| "an id is a number: decimal (31), or hexadecimal (0x1f, 1f)".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_has_the_page_and_the_schema() {
        let help = Cli::command().render_long_help().to_string();
        for words in ["--page <DIR>", "schema ", "a .proto file"] {
            assert!(help.contains(words), "{words} is not in {help}");
        }
    }

    #[test]
    fn ids_are_decimal_or_hexadecimal() {
        assert_eq!(id("31"), Ok(31));
        assert_eq!(id("0x1f"), Ok(31));
        assert_eq!(id("1F"), Ok(31));
        assert_eq!(id("0x31"), Ok(49));
        assert!(id("").is_err() && id("-1").is_err() && id("zz").is_err());
    }

    #[test]
    #[cfg(feature = "sim")]
    fn the_simulator_gets_its_words_as_they_are() {
        for words in [&["--seeds", "3", "--no-shrink"][..], &["mutants", "--help"], &["--help"], &[]] {
            let all = ["game", "sim"].iter().chain(words);
            match Cli::try_parse_from(all).expect("it is not ours to judge").command {
                Some(Command::Sim { words: passed }) => assert_eq!(passed, words),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn server_flags_and_commands_do_not_mix() {
        assert!(Cli::try_parse_from(["game", "--nodes", "2", "--data", "d"]).is_ok());
        assert!(Cli::try_parse_from(["game", "bots", "5", "--url", "ws://[::1]:80"]).is_ok());
        assert!(Cli::try_parse_from(["game", "--page", "d", "--nodes", "2"]).is_ok());
        assert!(Cli::try_parse_from(["game", "schema", "--page", "d"]).is_err());
        assert!(Cli::try_parse_from(["game", "--nodes", "2", "bots", "5"]).is_err());
        assert!(Cli::try_parse_from(["game", "bots", "5", "--seconds", "-1"]).is_err());
        assert!(Cli::try_parse_from(["game", "bots"]).is_err());
    }
}
