//! `cargo xtask bench NAME`: builds for release and runs the benchmark crate.
//!
//! The benchmarks themselves, and their aims, are in `benches/`.

use crate::shell::{Done, cargo, run};

/// Passes `words` to the benchmark program; without any it lists the benchmarks.
pub(crate) fn run_named(words: &[String]) -> Done {
    let words = if words.is_empty() { &["--help".to_owned()] } else { words };
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--"]).args(words))
}

/// Runs the chaos with these words.
pub(crate) fn chaos(words: &[String]) -> Done {
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--", "chaos"]).args(words))
}

/// Runs the soak with these words.
pub(crate) fn soak(words: &[String]) -> Done {
    run(cargo().args(["run", "--profile", "dist", "--quiet", "-p", "gundo-bench", "--", "soak"]).args(words))
}
