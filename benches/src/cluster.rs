//! `cluster`: the failover table on real processes: etcd, PostgreSQL, and one process per node, as `cluster up` starts them.
//!
//! A crash is a SIGKILL and a hang a SIGSTOP. What was killed starts again by itself, a second later. The child `serve-cluster`
//! takes the same orders as `serve` and passes them to the cluster's own commands.

use std::ffi::OsString;
use std::io::BufRead;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use gundo_cli::App;

use crate::failover::{self, Event};
use crate::serve::say;
use crate::sheet::Sheet;
use crate::stage::{Stage, look_on};
use crate::{Failure, game};

/// How long a cluster may take to start: it may have to install its engines first.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Args)]
pub(crate) struct ClusterArgs {
    /// Bots in the world
    #[arg(long, default_value_t = 300)]
    bots: usize,
    /// Repetitions of each event; a rolling update counts once for each node it restarts
    #[arg(long, default_value_t = 12)]
    repetitions: usize,
    /// Only these events: crash, hang, drain, rollout
    #[arg(long, value_delimiter = ',')]
    only: Vec<Event>,
}

/// The benchmarks' game: its server and its tools.
#[derive(Args)]
pub(crate) struct GameArgs {
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[arg(long)]
    nodes: u16,
    #[arg(long)]
    data: PathBuf,
}

/// The table of what players notice.
pub(crate) fn cluster(stage: &Stage, args: &ClusterArgs) -> Result<(), Failure> {
    let mut sheet = Sheet::new("cluster", stage.quick);
    let bots = if stage.quick { args.bots.min(30) } else { args.bots };
    let repetitions = if stage.quick { args.repetitions.min(3) } else { args.repetitions };
    let wanted = |event: &Event| args.only.is_empty() || args.only.contains(event);
    let all = [Event::Crash, Event::Hang, Event::Drain, Event::Rollout];
    for event in all.into_iter().filter(wanted) {
        failover::measure(stage, &mut sheet, event, bots, repetitions, true)?;
    }
    sheet.finish(&stage.out)
}

/// Runs the command line of the benchmarks' game.
pub(crate) fn run_game(args: &GameArgs) -> Result<(), Failure> {
    let words = std::iter::once(OsString::from("game")).chain(args.words.iter().cloned());
    let code = App::new("bench", |_| game::rules()).prefix(&["game"]).run_from(words);
    if code == std::process::ExitCode::SUCCESS { Ok(()) } else { Err("the command failed".into()) }
}

/// A running cluster, ended with its value.
struct Running<'a> {
    up: Child,
    dir: &'a Path,
}

impl Running<'_> {
    fn game(&self, words: &[&str]) -> Result<Result<String, String>, Failure> {
        let (what, more) = words.split_first().ok_or("no command")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["game", "cluster", what, "--dir"]).arg(self.dir).args(more);
        let output = command.output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
    }

    /// The nodes, as one line of JSON. While a process restarts, its operators' port may be silent.
    fn nodes(&self) -> Result<String, Failure> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.game(&["operate", "nodes", "--json"])? {
                Ok(text) => return Ok(text.replace('\n', " ")),
                Err(why) if Instant::now() > give_up => return Err(why.into()),
                Err(_) => look_on(LOOK_EVERY),
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = Command::new("kill").arg(self.up.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.up.wait();
    }
}

/// Runs a cluster and takes orders, as `serve` does.
pub(crate) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    // PostgreSQL runs as another user.
    let mut mode = std::fs::metadata(&args.data)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&args.data, mode)?;
    let port = free_ports(args.nodes)?;
    let (nodes, ports) = (args.nodes.to_string(), port.to_string());
    let up = Command::new(std::env::current_exe()?)
        .args(["game", "cluster", "up", "--nodes", &nodes, "--port", &ports, "--dir"])
        .arg(&args.data)
        .stdout(Stdio::null())
        .spawn()?;
    let running = Running { up, dir: &args.data };
    let give_up = Instant::now() + PATIENCE;
    while running.nodes()?.matches("\"up\"").count() < usize::from(args.nodes) {
        if Instant::now() > give_up {
            return Err("the cluster does not start".into());
        }
        look_on(LOOK_EVERY);
    }
    say(&format!("ready ws://127.0.0.1:{port}"))?;
    let mut drained = false;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "nodes" => {
                say(&format!("nodes {}", running.nodes()?))?;
                continue;
            }
            "drain" => {
                drained = true;
                answer(running.game(&["operate", "drain", words[1], "--no-wait"])?)?;
            }
            "rollout" => answer(running.game(&["operate", "rollout", "--no-wait"])?)?,
            // What failed starts by itself.
            "add" if !drained => say("done")?,
            "add" => {
                drained = false;
                answer(running.game(&["add"])?)?;
            }
            _ => answer(running.game(&words)?)?,
        }
    }
    Ok(())
}

fn answer(done: Result<String, String>) -> std::io::Result<()> {
    match done {
        Ok(_) => say("done"),
        Err(why) => say(&format!("refused {}", why.replace('\n', " "))),
    }
}

/// The processes of a cluster's nodes, in their order.
pub(crate) fn node_processes(dir: &Path, nodes: u16) -> Result<Vec<u32>, Failure> {
    let file = |node: u16| dir.join(format!("node-{node}/pid"));
    let number = |node| Ok(std::fs::read_to_string(file(node))?.trim().parse()?);
    (1..=nodes).map(number).collect()
}

fn free_ports(nodes: u16) -> Result<u16, Failure> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let all_free =
        |first: &u16| (0..=nodes).flat_map(|n| [first + n, first + n + 100, first + n + 200]).all(free);
    (20_000..30_000).step_by(300).find(all_free).ok_or_else(|| "no free ports".into())
}
