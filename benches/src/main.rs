//! The benchmarks: each runs a load on a real server, and measures in the same run the limit that the machine sets.
//!
//! There are three processes: the server under test (`serve`: the engine with a flat world and players only), the load
//! (`bots`), and this one, which starts them, reads their CPU time from `/proc` and writes the table. The limits (`limit`,
//! raw SQLite) are separate programs, too. `scale` alone needs none of that: it counts what kernels send, in one thread.
//! Start reading at `crowd`; `stage` has what all benchmarks share.

mod books;
mod chaos;
mod cluster;
mod cluster_cost;
mod crew;
mod crowd;
mod failover;
mod game;
mod journal;
mod journal_postgres;
mod limit;
mod load;
mod names;
mod proc;
mod scale;
mod serve;
mod session;
mod sheet;
mod sink;
mod soak;
mod spread;
mod stage;
mod transactions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: gundo_cli::Allocator = gundo_cli::Allocator;

/// Measures the engine against the best the machine can do.
#[derive(Parser)]
#[command(name = "gundo-bench")]
struct Args {
    #[command(subcommand)]
    bench: Bench,
    /// Small numbers and short windows: shows that everything works, measures little.
    #[arg(long, global = true)]
    quick: bool,
    /// Directory for the JSON files.
    #[arg(long, global = true, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Bench {
    /// N clients in one chunk, all moving, all in sight of each other.
    Crowd,
    /// 1,000 clients in groups of 50 that see only each other.
    Groups,
    /// N clients in an area that grows with N, about 10 visible to each.
    Spread,
    /// Durable commands per second against raw SQLite.
    Journal,
    /// Durable batches per second on PostgreSQL against raw inserts.
    JournalPostgres,
    /// Transactions between players and with a board, against plain durable commands.
    Transactions,
    /// Starting and using a journal with ten million unique names.
    Names,
    /// Memory per idle session, connects per second, start to playable, CPU of an idle world.
    Session,
    /// All of the above.
    All,
    /// What players notice when nodes crash, hang, are drained and restarted.
    Failover(failover::FailoverArgs),
    /// The same on a cluster of processes: etcd, PostgreSQL, gRPC.
    Cluster(cluster::ClusterArgs),
    /// What a player costs in CPU and memory on 1, 2 and 4 processes.
    ClusterCost,
    /// What nodes send as nodes and players grow: a table and a plot.
    Scale(scale::ScaleArgs),
    /// Pioneer, played for a long time while nodes come and go; then the ledger is checked.
    Soak(soak::SoakArgs),
    /// Pioneer on a real cluster whose machines, networks and disks fail; then its books are closed from the database.
    Chaos(chaos::ChaosArgs),
    /// Pioneer as a program of its own: the nodes of the above.
    #[command(hide = true, disable_help_flag = true)]
    Pioneer(chaos::PioneerArgs),
    /// The benchmarks' game as a program of its own.
    #[command(hide = true, disable_help_flag = true)]
    Game(cluster::GameArgs),
    /// A process of the benchmarks: a cluster under test.
    #[command(hide = true)]
    ServeCluster(cluster::ServeArgs),
    /// A process of the benchmarks: the server under test.
    #[command(hide = true)]
    Serve(serve::ServeArgs),
    /// A process of the benchmarks: the least program that writes as much.
    #[command(hide = true)]
    Limit(limit::LimitArgs),
    /// A process of the benchmarks: reads what the limit writes.
    #[command(hide = true)]
    Sink(sink::SinkArgs),
    /// A process of the benchmarks: the load.
    #[command(hide = true)]
    Bots(load::LoadArgs),
    /// A process of the benchmarks: a load on request.
    #[command(hide = true)]
    Crew(crew::CrewArgs),
}

/// Why a benchmark failed, for the person who runs it.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args = Args::parse();
    let stage = stage::Stage { quick: args.quick, out: args.out };
    let done = match args.bench {
        Bench::Crowd => crowd::crowd(&stage),
        Bench::Groups => crowd::groups(&stage),
        Bench::Spread => spread::spread(&stage),
        Bench::Journal => journal::journal(&stage),
        Bench::JournalPostgres => journal_postgres::journal_postgres(&stage),
        Bench::Transactions => transactions::transactions(&stage),
        Bench::Names => names::names(&stage),
        Bench::Session => session::session(&stage),
        Bench::All => all(&stage),
        Bench::Failover(args) => failover::failover(&stage, &args),
        Bench::Cluster(args) => cluster::cluster(&stage, &args),
        Bench::ClusterCost => cluster_cost::cluster_cost(&stage),
        Bench::Game(args) => cluster::run_game(&args),
        Bench::ServeCluster(args) => cluster::serve(&args),
        Bench::Scale(args) => scale::scale(&stage, args),
        Bench::Soak(args) => soak::soak(&args),
        Bench::Chaos(args) => chaos::chaos(&args),
        Bench::Pioneer(args) => chaos::run_pioneer(&args),
        Bench::Serve(args) => serve::serve(&args),
        Bench::Limit(args) => limit::limit(&args),
        Bench::Sink(args) => sink::sink(&args),
        Bench::Bots(args) => load::load(&args),
        Bench::Crew(args) => crew::crew(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let causes = std::iter::successors(failure.source(), |cause| cause.source());
            let line = causes.fold(failure.to_string(), |line, cause| format!("{line}: {cause}"));
            eprintln!("gundo-bench: {line}");
            ExitCode::FAILURE
        }
    }
}

fn all(stage: &stage::Stage) -> Result<(), Failure> {
    crowd::crowd(stage)?;
    crowd::groups(stage)?;
    spread::spread(stage)?;
    journal::journal(stage)?;
    transactions::transactions(stage)?;
    names::names(stage)?;
    session::session(stage)
}
