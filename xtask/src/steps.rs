//! `cargo xtask test`: every check of this repository in one go, each a step that passes or fails.
//!
//! A step that lacks a tool installs it where it may, and fails where it may not; no step is skipped silently. All steps
//! run even if one fails, so one run shows everything.

use std::time::Instant;

use crate::shell::{self, Done, answers, cargo, run};
use crate::{bench, conformance, debian, e2e, sim, template, tidy, web};

/// One part of the test run.
pub(crate) struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Done,
}

const STEPS: &[Step] = &[
    Step { name: "tidy", what: "rules of the house", run: tidy::run },
    Step { name: "fmt", what: "rustfmt", run: fmt },
    Step { name: "clippy", what: "lints", run: clippy },
    Step { name: "unit", what: "unit and integration tests", run: unit },
    Step { name: "doc", what: "examples in the documentation", run: doc },
    Step { name: "docs", what: "documentation builds without a warning", run: docs },
    Step { name: "template", what: "a new game is made, and its tests pass", run: template::check },
    Step { name: "web", what: "TypeScript SDK and page: types, tests, bundle", run: web::check },
    Step { name: "clients", what: "every rule of the protocol, with three clients", run: conformance::check },
    Step { name: "e2e", what: "two browsers on different nodes", run: e2e::run_all },
    Step { name: "fuzz", what: "bounded fuzzing of the decoders", run: fuzz },
    Step { name: "sim", what: "whole clusters with every fault, from fixed seeds", run: sim::check },
    Step {
        name: "chaos",
        what: "a real cluster that fails for half a minute, then its books",
        run: bench::check_chaos,
    },
];

/// The steps named on the command line, in their usual order; all if none is named.
pub(crate) fn chosen(words: &[String]) -> Done<Vec<&'static Step>> {
    let names: Vec<&str> = match words {
        [] => return Ok(STEPS.iter().collect()),
        [flag, names] if flag == "--only" => names.split(',').collect(),
        [flag] if flag.starts_with("--only=") => flag["--only=".len()..].split(',').collect(),
        _ => return Err("`test` takes only --only STEP[,STEP…]".into()),
    };
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("there is no step `{unknown}`"));
    }
    Ok(STEPS.iter().filter(|step| names.contains(&step.name)).collect())
}

/// Runs the steps and ends with one line of counts.
pub(crate) fn test(steps: &[&'static Step]) -> Done {
    let mut results = Vec::new();
    for step in steps {
        println!("\n==> {}: {}", step.name, step.what);
        let begin = Instant::now();
        let result = (step.run)();
        if let Err(why) = &result {
            println!("{}: FAILED: {why}", step.name);
        }
        results.push((step, result, begin.elapsed()));
    }

    println!("\nSteps of this run:");
    for (step, result, took) in &results {
        let (word, why) = match result {
            Ok(()) => ("passed", String::new()),
            Err(why) => ("FAILED", format!("  {}", why.lines().next().unwrap_or_default())),
        };
        println!("  {:<7} {word} {:>6.1} s{why}", step.name, took.as_secs_f64());
    }
    let failed = results.iter().filter(|(_, result, _)| result.is_err()).count();
    println!("\n{} passed, {failed} failed", results.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} steps failed", results.len())) }
}

fn fmt() -> Done {
    component("rustfmt", "fmt")?;
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Done {
    component("clippy", "clippy")?;
    debian::ensure_protoc()?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn unit() -> Done {
    debian::ensure_protoc()?;
    debian::install_servers()?;
    conformance::install_python()?;
    if answers("cargo", &["nextest", "--version"]) {
        run(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))
    } else {
        println!("cargo-nextest is not installed; the same tests run with cargo test");
        run(cargo().args(["test", "--workspace", "--tests", "--no-fail-fast"]))
    }
}

fn doc() -> Done {
    debian::ensure_protoc()?;
    run(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]))
}

fn docs() -> Done {
    debian::ensure_protoc()?;
    run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The test bodies of `unit`, with more inputs. The seed is fixed: one answer for one tree.
fn fuzz() -> Done {
    run(cargo().args(["test", "-p", "gundo-fuzz", "--test", "bounded"]).env("GUNDO_FUZZ_RUNS", "100000"))
}

/// A part of the Rust toolchain that may be missing in a minimal installation.
fn component(name: &str, subcommand: &str) -> Done {
    if answers("cargo", &[subcommand, "--version"]) {
        return Ok(());
    }
    println!("{name} is not installed: asking rustup for it");
    run(shell::command("rustup").args(["component", "add", name])).map_err(|why| {
        format!("{name} is missing and could not be added ({why}); install the Rust component `{name}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Done<Vec<&'static str>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(chosen(&words)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(names(&[]).map(|all| all.len()), Ok(STEPS.len()));
        assert_eq!(names(&["--only", "web,tidy"]), Ok(vec!["tidy", "web"]));
        assert_eq!(names(&["--only=fuzz"]), Ok(vec!["fuzz"]));
        assert!(names(&["--only", "wbe"]).is_err());
        assert!(names(&["web"]).is_err());
    }
}
