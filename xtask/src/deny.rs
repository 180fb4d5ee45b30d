//! `cargo xtask deny`: cargo-deny over `deny.toml`.
//!
//! `tidy` checks licences, sources and duplicates on every test run, from the same `deny.toml`. Only cargo-deny knows the
//! advisories, which it downloads, so it is a chore of its own.

use crate::shell::{Done, answers, cargo, run};

/// Runs cargo-deny if it is installed, and says how to get it otherwise.
pub(crate) fn run_checks() -> Done {
    if !answers("cargo", &["deny", "--version"]) {
        return Err("cargo-deny is not installed; get it with `cargo install --locked cargo-deny`".into());
    }
    run(cargo().args(["deny", "check"]))
}
