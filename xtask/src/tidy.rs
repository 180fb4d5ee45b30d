//! `cargo xtask tidy`: the rules of this repository that no compiler checks.
//!
//! Each rule is a function from the files it reads to a list of [`Problem`]s, with tests that break it. `text` checks the
//! files, `edges` the graph of our own crates, `rooms` that of the kernel's files, `packages` the packages of others that
//! we use.

mod edges;
mod packages;
mod rooms;
mod text;

use std::fmt;
use std::path::Path;

use crate::shell::{self, Done};

/// Where a rule is broken, and how to fix it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Path from the top, perhaps with `:line`.
    place: String,
    /// What is wrong and what would be right.
    what: String,
}

impl Problem {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the whole tree and lists every problem.
pub(crate) fn run() -> Done {
    let root = shell::root();
    let ours = edges::read(&shell::metadata(&["--no-deps"])?)?;
    let theirs = packages::read(&shell::metadata(&["--filter-platform", &shell::host()?])?)?;
    let architecture = read(&root.join("ARCHITECTURE.md"))?;
    let deny = read(&root.join("deny.toml"))?;

    let mut problems = text::check(root)?;
    problems.extend(edges::check(&ours));
    problems.extend(edges::check_named(&ours, &architecture));
    let (files, routers) = rooms::read_kernel(root)?;
    problems.extend(routers);
    problems.extend(rooms::check(&files));
    problems.extend(packages::check(&theirs, &packages::Policy::of(&deny)));
    problems.sort();
    if problems.is_empty() {
        println!("tidy: {} crates of ours, {} of others, all in order", ours.len(), theirs.len());
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    Err(format!("{} places are not tidy", problems.len()))
}

fn read(path: &Path) -> Done<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
