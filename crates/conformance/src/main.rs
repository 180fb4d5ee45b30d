//! The conformance kit as a command: a verdict for each rule of the client protocol. Exit code 0: all are kept.

// A command line writes to standard output.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use gundo_conformance::server::World;
use gundo_conformance::{Report, client, server};

const HELP: &str = "\
Usage: gundo-conformance client [--only WORD] [--jobs N] -- COMMAND [ARG…]
       gundo-conformance server [--only WORD] [--jobs N] [--command HEX] [--names PREFIX] URL
       gundo-conformance list

client   plays server to a client, which it starts as COMMAND ARG… URL NAME for each rule; what that program
         must do is written in crates/conformance/src/stage.rs
server   plays client to the server at URL, such as ws://127.0.0.1:7600/ws
list     prints the rules

  --only WORD      only the rules whose name contains WORD
  --jobs N         so many rules at a time (default 8)
  --command HEX    payload of a command that succeeds for every new player; without it, rules about commands are skipped
  --names PREFIX   what the names of new players begin with (default Kit)

Exit codes: 0 all rules are kept, 1 some are broken, 2 not understood.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(Some(report)) => {
            println!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(why) => {
            eprint!("gundo-conformance: {why}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[String]) -> Result<Option<Report>, String> {
    let mut options = Options { only: String::new(), jobs: 8, command: None, names: "Kit".to_owned() };
    let Some((side, rest)) = words.split_first() else { return Err("client or server?".to_owned()) };
    let mut rest = rest.iter();
    let mut plain = Vec::new();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().cloned().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--only" => options.only = value()?,
            "--jobs" => options.jobs = value()?.parse().map_err(|_| "--jobs takes a number".to_owned())?,
            "--command" => options.command = Some(bytes(&value()?)?),
            "--names" => options.names = value()?,
            "--" => {
                plain.extend(rest.by_ref().cloned());
            }
            option if option.starts_with("--") => return Err(format!("there is no option `{option}`")),
            _ => plain.push(word.clone()),
        }
    }
    match (side.as_str(), plain.as_slice()) {
        ("client", [_, ..]) => Ok(Some(client::check(&plain, &options.only, options.jobs))),
        ("server", [url]) => {
            let world = World { url: url.clone(), command: options.command, names: options.names };
            Ok(Some(server::check(&world, &options.only, options.jobs)))
        }
        ("list", []) => {
            client::cases().iter().for_each(|case| println!("client/{}: {}", case.name, case.rule));
            server::cases().iter().for_each(|case| println!("server/{}: {}", case.name, case.rule));
            Ok(None)
        }
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(None)
        }
        _ => Err("which side, and what is under test?".to_owned()),
    }
}

struct Options {
    only: String,
    jobs: usize,
    command: Option<Vec<u8>>,
    names: String,
}

fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(pair).collect();
    bytes.ok_or_else(|| format!("`{digits}` are not pairs of hexadecimal digits"))
}
