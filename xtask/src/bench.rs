//! `cargo xtask bench NAME`: builds for release and runs the benchmark crate.
//!
//! The benchmarks themselves, and what they are held against, are in `benches/`.

use crate::shell::{Done, cargo, run};

/// Hands `words` to the benchmark program.
pub(crate) fn run_named(words: &[String]) -> Done {
    // The server under test is a program of its own: build it beside the bench, so that it is this tree's.
    run(cargo().args(["build", "--release", "-p", "pioneer", "-p", "gundo-bench"]))?;
    run(cargo().args(["run", "--release", "--quiet", "-p", "gundo-bench", "--"]).args(words))
}
