//! `cargo xtask sim`: the reference game in the simulator.

use std::process::{Command, ExitCode};

use crate::shell::{Done, cargo, run};

/// Seeds that every test run plays.
const SEEDS: &str = "60";
/// Seeds that every test run plays twice, to check that they run the same way.
const TWICE: &str = "3";
/// Seeds in which members say anything in any state.
const ECHOES: &str = "40";
/// Planted bugs that every test run looks for: one for each checker that finds its bug within a few seeds.
const MUTANTS: [&str; 6] =
    ["no-dedupe", "early-reply", "leavers-write", "keyframe-lost", "two-holders", "tail-lost"];

fn program(features: &str, words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", "sim", "-p", "pioneer", "--features", features]);
    command.args(["--bin", "pioneer-sim", "--"]).args(words);
    command
}

/// Runs the simulator with these words and passes its exit code on. `--mutants` stands for the subcommand `mutants`.
pub(crate) fn pass_on(words: &[String]) -> ExitCode {
    let words: Vec<&str> =
        words.iter().map(|w| if w == "--mutants" { "mutants" } else { w.as_str() }).collect();
    let status = program("planted", &words).status();
    match status.map(|status| status.code()) {
        Ok(Some(code)) => ExitCode::from(code as u8),
        Ok(None) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask sim: cannot start cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The part of the simulator that every test run plays.
pub(crate) fn check() -> Done {
    run(&mut program("planted", &["--seeds", SEEDS, "--jobs", "2"]))?;
    run(&mut program("planted", &["--seeds", TWICE, "--from", "5", "--twice"]))?;
    run(&mut program("planted", &["--seeds", ECHOES, "--jobs", "2", "--profile", "echoes"]))?;
    let mutants: Vec<&str> = ["mutants", "--seeds", "40", "--jobs", "2"].into_iter().chain(MUTANTS).collect();
    run(&mut program("planted", &mutants))?;
    run(&mut program("planted", &["mistakes", "--seeds", "40", "--jobs", "2"]))
}
