//! Every chore of this repository, as `cargo xtask NAME`.
//!
//! It is compiled before every test run, so it stays small: the standard library and a JSON parser for the output of `cargo
//! metadata`. Start at [`main`]; each chore is a module.

// A command line writes to standard output.
#![allow(clippy::print_stdout)]

mod bench;
mod conformance;
mod debian;
mod deny;
mod e2e;
mod previous;
mod shell;
mod sim;
mod steps;
mod template;
mod tidy;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test [--only STEP[,STEP…]]   every test with its set-up; STEP is one of
                               tidy, fmt, clippy, unit, doc, docs, template, web, clients,
                               e2e, fuzz, sim, chaos
  new PATH                     a crate of your own, made from the game of the guide docs/first-game.md
  tidy                         the rules of the house that no compiler checks
  sim [ARG…]                   whole clusters with every fault, from seeds; ARGs: `sim --help`
                               (--seed S, --seeds N, --minutes M, --mutants, …)
  bench NAME [ARG…]            a benchmark against its limit (no NAME: lists them)
  soak [ARG…]                  a world played for long while nodes come and go, then its books (--minutes M, --bots N)
  chaos [ARG…]                 a real cluster whose machines, networks and disks fail by a seed, then its books
                               (--seed S, --minutes M, --bots N; as root everything can fail)
  web                          rebuild the bundles that binaries embed: Pioneer's page, and the SDK
  deny                         cargo-deny: licences, advisories, duplicates, sources

Exit codes: 0 good, 1 something failed, 2 not understood.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => return usage("name a chore"),
    };
    let done = match command {
        "test" => match steps::chosen(rest) {
            Ok(steps) => steps::test(&steps),
            Err(why) => return usage(&why),
        },
        "new" => template::new(rest),
        "bench" => bench::run_named(rest),
        "soak" => bench::soak(rest),
        "chaos" => bench::chaos(rest),
        // Its exit code tells crash, safety and liveness failures apart.
        "sim" => return sim::pass_on(rest),
        "tidy" | "web" | "deny" if !rest.is_empty() => {
            return usage(&format!("`{command}` takes no further arguments"));
        }
        "tidy" => tidy::run(),
        "web" => web::build(),
        "deny" => deny::run_checks(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => return usage(&format!("there is no chore `{other}`")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {command}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn usage(why: &str) -> ExitCode {
    eprint!("xtask: {why}\n\n{HELP}");
    ExitCode::from(2)
}
