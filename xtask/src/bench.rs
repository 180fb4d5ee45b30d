//! `cargo xtask bench NAME`: builds for release and runs the benchmark crate.
//!
//! The benchmarks themselves, and their aims, are in `benches/`.

use std::path::Path;

use crate::debian;
use crate::previous::{self, PROGRAM as PREVIOUS};
use crate::shell::{Done, cargo, run};

/// Passes `words` to the benchmark program; without any it lists the benchmarks.
pub(crate) fn run_named(words: &[String]) -> Done {
    let words = if words.is_empty() { &["--help".to_owned()] } else { words };
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--"]).args(words))
}

/// Runs the chaos with these words. `--previous` without a file has the last release's program built.
pub(crate) fn chaos(words: &[String]) -> Done {
    let words = previous::complete(words)?;
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--", "chaos"]).args(words))
}

/// Runs the soak with these words.
pub(crate) fn soak(words: &[String]) -> Done {
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--", "soak"]).args(words))
}

/// It names another one.
const PREVIOUS_VAR: &str = "GUNDO_PREVIOUS";

/// The part of the chaos that every test run plays: half a minute of faults from a fixed seed, on the build that the tests have made.
/// With the last release's program the nodes change between the two.
pub(crate) fn check_chaos() -> Done {
    debian::ensure_protoc()?;
    debian::install_servers()?;
    let mut words = ["chaos", "--minutes", "0.5", "--bots", "24", "--seed", "98"].map(String::from).to_vec();
    let named = std::env::var(PREVIOUS_VAR).ok();
    let previous = named.or_else(|| Path::new(PREVIOUS).exists().then(|| PREVIOUS.to_owned()));
    match previous {
        Some(previous) => words.extend(["--previous".to_owned(), previous]),
        None => println!(
            "no program of the last release ({PREVIOUS}, or {PREVIOUS_VAR}): its nodes are played by the simulator only (`mixed`)"
        ),
    }
    run(cargo().args(["run", "--quiet", "-p", "gundo-bench", "--"]).args(words))
}
