//! What all benchmarks share: a server in a fresh directory, a load on it, the CPU that both used in the measured window,
//! and the limit to compare with.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::Failure;
use crate::load::{Plan, Scene};
use crate::proc::{Process, machine_seconds};

/// The settings of a benchmark run.
pub(crate) struct Stage {
    pub(crate) quick: bool,
    pub(crate) out: PathBuf,
}

/// A server under test.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) dir: TempDir,
}

/// The results of a load on a server in its window.
pub(crate) struct Run {
    /// The bots' report.
    pub(crate) report: Value,
    /// Server CPU in the window, seconds.
    pub(crate) server_cpu: f64,
    /// CPU of the bots' process in the window, seconds.
    pub(crate) bots_cpu: f64,
    /// CPU of everything else on the machine in the window, cores. If it is more than a little, the numbers mean little.
    pub(crate) others: f64,
    /// Memory of the server after the window, bytes, if it is one process.
    pub(crate) rss: u64,
}

/// What the limit needed for the same traffic.
pub(crate) struct Limit {
    /// CPU of the limit per second, cores.
    pub(crate) cores: f64,
    /// Messages it got through, per second.
    pub(crate) messages_per_second: f64,
}

impl Run {
    pub(crate) fn number(&self, path: &str) -> f64 {
        self.report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.number("/window_seconds")
    }

    /// Server CPU per second: cores in use.
    pub(crate) fn cores(&self) -> f64 {
        self.server_cpu / self.seconds()
    }

    /// The bots' errors, as text; empty when all is well.
    pub(crate) fn errors(&self) -> String {
        match self.report.pointer("/errors") {
            Some(Value::Object(errors)) => {
                errors.iter().map(|(code, n)| format!("{code}: {n}")).collect::<Vec<_>>().join(", ")
            }
            _ => String::new(),
        }
    }

    /// Whether a command was lost, doubled, or refused by the engine.
    pub(crate) fn has_lost_commands(&self) -> bool {
        ["/lost", "/doubled", "/refused_otherwise"].iter().any(|p| self.number(p) != 0.0)
    }

    /// A benchmark whose bots did not get in or lost commands measured something else.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = self.has_lost_commands();
        if wrong || self.number("/live") != self.number("/count") {
            let text = serde_json::to_string_pretty(&self.report)?;
            return Err(format!("the run was not clean; its numbers would mean nothing: {text}").into());
        }
        Ok(())
    }
}

impl Stage {
    /// Length of a measured window, seconds.
    pub(crate) fn seconds(&self) -> f64 {
        if self.quick { 2.0 } else { 10.0 }
    }

    /// Wait before it, seconds: caches, congestion windows and snapshots reach their normal state.
    pub(crate) fn settle(&self) -> f64 {
        if self.quick { 1.0 } else { 4.0 }
    }

    pub(crate) fn server(&self, nodes: u16) -> Result<Server, Failure> {
        self.server_with(nodes, &[])
    }

    /// A server with additional arguments.
    pub(crate) fn server_with(&self, nodes: u16, words: &[&str]) -> Result<Server, Failure> {
        let dir = tempfile::tempdir()?;
        let data = dir.path().display().to_string();
        let nodes = nodes.to_string();
        let args = ["serve", "--nodes", &nodes, "--data", &data];
        let args: Vec<_> = args.iter().chain(words).map(|word| (*word).to_owned()).collect();
        let mut process = Process::start(&args)?;
        let url = process.expect("ready ")?;
        Ok(Server { process, url, dir })
    }

    /// A cluster of processes, as a server.
    pub(crate) fn cluster(&self, nodes: u16) -> Result<Server, Failure> {
        let dir = tempfile::tempdir()?;
        let args =
            ["serve-cluster", "--nodes", &nodes.to_string(), "--data", &dir.path().display().to_string()];
        let mut process = Process::start(&args.map(str::to_owned))?;
        let url = process.expect("ready ")?;
        Ok(Server { process, url, dir })
    }

    /// Puts `count` bots on `server` and measures one window.
    pub(crate) fn run(&self, server: &Server, count: usize, scene: Scene) -> Result<Run, Failure> {
        let urls = vec![server.url.clone()];
        let mut run = self.run_on(urls, count, scene, &|| server.process.cpu_seconds())?;
        run.rss = server.process.rss_bytes()?;
        Ok(run)
    }

    /// The same on a server whose CPU time `cpu_seconds` reads.
    pub(crate) fn run_on(
        &self,
        urls: Vec<String>,
        count: usize,
        scene: Scene,
        cpu_seconds: &dyn Fn() -> Result<f64, Failure>,
    ) -> Result<Run, Failure> {
        let plan = Plan { urls, count, settle_seconds: self.settle(), seconds: self.seconds(), scene };
        let args = ["bots".to_owned(), "--plan".to_owned(), serde_json::to_string(&plan)?];
        let mut bots = Process::start(&args)?;
        bots.expect("phase Measuring")?;
        let (server_before, bots_before) = (cpu_seconds()?, bots.cpu_seconds()?);
        let machine_before = machine_seconds()?;
        bots.expect("phase Draining")?;
        let (server_after, bots_after) = (cpu_seconds()?, bots.cpu_seconds()?);
        let machine = machine_seconds()? - machine_before;
        let report = serde_json::from_str(&bots.expect("report ")?)?;
        bots.finish()?;
        let (server_cpu, bots_cpu) = (server_after - server_before, bots_after - bots_before);
        let others = (machine - server_cpu - bots_cpu).max(0.0) / self.seconds();
        Ok(Run { report, server_cpu, bots_cpu, others, rss: 0 })
    }

    /// Measures the limit for the traffic of `run`: as many messages of the same mean size to as many sockets.
    pub(crate) fn limit(&self, run: &Run, reads: bool) -> Result<Limit, Failure> {
        let clients = run.number("/live") as usize;
        let bytes = (run.number("/bytes") / run.number("/messages")).round() as usize;
        let hz = run.number("/messages") / run.seconds() / clients as f64;
        let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let reads = |flag: &str| if reads { format!(" {flag}") } else { String::new() };
        let mut limit = Process::start(&words(&format!(
            "limit --clients {clients} --bytes {bytes} --hz {hz}{}",
            reads("--reads")
        )))?;
        let url = limit.expect("ready ")?;
        let (settle, seconds) = (self.settle(), self.seconds());
        let mut sink = Process::start(&words(&format!(
            "sink --url {url} --clients {clients} --settle-seconds {settle} --seconds {seconds}{}",
            reads("--moves")
        )))?;
        sink.expect("phase Measuring")?;
        let before = limit.cpu_seconds()?;
        sink.expect("phase Draining")?;
        let after = limit.cpu_seconds()?;
        let messages: f64 = sink.expect("messages ")?.parse()?;
        sink.finish()?;
        Ok(Limit { cores: (after - before) / seconds, messages_per_second: messages / seconds })
    }
}

/// Waits while the world, and its disturbances, go on.
pub(crate) fn look_on(time: Duration) {
    // Other processes and the world's own threads are observed: none of them wakes us.
    std::thread::sleep(time);
}

/// The median; of an even number of values the upper one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
