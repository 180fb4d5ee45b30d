//! `cargo xtask sim`: the reference game in the simulator.

use std::process::{Command, ExitCode};

use crate::shell::{Done, cargo, run};

/// Seeds that every test run plays.
const SEEDS: &str = "60";
/// Seeds that are played twice, to see that they run alike.
const TWICE: &str = "3";
/// Planted bugs that every test run looks for: one for each checker that a few seeds convince.
const MUTANTS: [&str; 6] =
    ["no-dedupe", "early-reply", "leavers-write", "keyframe-lost", "two-holders", "tail-lost"];

fn program(features: &str, words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", "sim", "-p", "pioneer", "--features", features]);
    command.args(["--bin", "pioneer-sim", "--"]).args(words);
    command
}

/// Runs the simulator with these words and passes its exit code on. `--mutants` is `mutants`, as one would ask for it.
pub(crate) fn pass_on(words: &[String]) -> ExitCode {
    let words: Vec<&str> =
        words.iter().map(|w| if w == "--mutants" { "mutants" } else { w.as_str() }).collect();
    let status = program("planted", &words).status();
    match status.map(|status| status.code()) {
        Ok(Some(code)) => ExitCode::from(code as u8),
        Ok(None) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask sim: cargo could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The part of the simulator that every test run plays.
pub(crate) fn check() -> Done {
    run(&mut program("planted", &["--seeds", SEEDS, "--jobs", "2"]))?;
    run(&mut program("planted", &["--seeds", TWICE, "--from", "5", "--twice"]))?;
    let mutants: Vec<&str> = ["mutants", "--seeds", "40", "--jobs", "2"].into_iter().chain(MUTANTS).collect();
    run(&mut program("planted", &mutants))
}
