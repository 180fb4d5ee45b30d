//! The results of a benchmark: rows for people on the screen, everything as JSON beside the build.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Failure;
use crate::serve::say;

/// An aim and whether it was met.
#[derive(Clone, Debug, Serialize)]
struct Aim {
    name: String,
    value: f64,
    aim: String,
    met: bool,
}

/// The machine it was measured on.
#[derive(Clone, Debug, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    memory_gib: f64,
}

/// The result of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sheet {
    bench: &'static str,
    quick: bool,
    machine: Machine,
    rows: Vec<Map<String, Value>>,
    aims: Vec<Aim>,
}

impl Sheet {
    pub(crate) fn new(bench: &'static str, quick: bool) -> Self {
        Self { bench, quick, machine: Machine::here(), rows: Vec::new(), aims: Vec::new() }
    }

    /// Adds a row that is shown elsewhere.
    pub(crate) fn add(&mut self, cells: &[(&str, Value)]) {
        self.rows.push(cells.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
    }

    /// Adds a row and shows it at once: benchmarks take minutes.
    pub(crate) fn row(&mut self, cells: &[(&str, Value)]) -> Result<(), Failure> {
        let mut line = format!("{:8}", self.bench);
        for (name, value) in cells {
            let shown = match value {
                Value::Number(n) if n.is_f64() => short(n.as_f64().unwrap_or_default()),
                Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            write!(line, "  {name} {shown}")?;
        }
        say(&line)?;
        self.add(cells);
        Ok(())
    }

    /// Adds an aim: `value` must be at most `limit`.
    pub(crate) fn at_most(&mut self, name: impl Into<String>, value: f64, limit: f64) {
        self.aim(name.into(), value, format!("at most {}", short(limit)), value <= limit);
    }

    /// Adds an aim: `value` must be at least `limit`.
    pub(crate) fn at_least(&mut self, name: impl Into<String>, value: f64, limit: f64) {
        self.aim(name.into(), value, format!("at least {}", short(limit)), value >= limit);
    }

    fn aim(&mut self, name: String, value: f64, aim: String, met: bool) {
        self.aims.push(Aim { name, value, aim, met });
    }

    /// Shows the aims and writes the file.
    pub(crate) fn finish(self, out: &Path) -> Result<(), Failure> {
        for aim in &self.aims {
            let met = if aim.met { "met" } else { "MISSED" };
            say(&format!(
                "{:8}  {:6} {}: {} (aim: {})",
                self.bench,
                met,
                aim.name,
                short(aim.value),
                aim.aim
            ))?;
        }
        std::fs::create_dir_all(out)?;
        let file = out.join(format!("{}.json", self.bench));
        std::fs::write(&file, serde_json::to_string_pretty(&self)? + "\n")?;
        say(&format!("{:8}  written to {}", self.bench, file.display()))?;
        Ok(())
    }
}

impl Machine {
    fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: String, name: &str| {
            let line = text.lines().find(|l| l.starts_with(name)).map(str::to_owned);
            line.and_then(|l| l.split_once(':').map(|(_, v)| v.trim().to_owned())).unwrap_or_default()
        };
        let kib: f64 =
            field(read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
        Self {
            cpu: field(read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_gib: (kib / 1024.0 / 102.4).round() / 10.0,
        }
    }
}

/// Three significant digits.
fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 1_000.0 => format!("{v:.0}"),
        a if a >= 100.0 => format!("{v:.1}"),
        a if a >= 10.0 => format!("{v:.2}"),
        a if a >= 0.1 || a == 0.0 => format!("{v:.3}"),
        _ => format!("{v:.5}"),
    }
}
