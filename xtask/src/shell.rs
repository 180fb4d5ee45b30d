//! Runs other programs, and finds out about the machine.
//!
//! A chore succeeds or fails with one sentence for the person at the terminal. Nothing else handles these errors, so they
//! are plain strings.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The result of a chore.
pub(crate) type Done<T = ()> = Result<T, String>;

/// The top of the working tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the work tree")
}

/// A command at the top of the working tree.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that started us.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
}

/// Runs `command` with our terminal; on failure names the command.
pub(crate) fn run(command: &mut Command) -> Done {
    println!("$ {}", written(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", written(command))),
        Err(error) => Err(format!("cannot start `{}`: {error}", written(command))),
    }
}

/// Runs `command` and returns its output.
pub(crate) fn capture(command: &mut Command) -> Done<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", written(command)))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("`{}` ended with {}", written(command), output.status))
    }
}

/// Whether `program ARGS` runs and succeeds, without output.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    let quiet =
        command(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// The output of `cargo metadata` with these arguments.
pub(crate) fn metadata(args: &[&str]) -> Done<Value> {
    let printed = capture(cargo().args(["metadata", "--format-version", "1"]).args(args))?;
    serde_json::from_slice(&printed).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

/// Cargo's target directory.
pub(crate) fn target_dir() -> Done<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or("cargo metadata names no target directory".into())
}

/// The target triple of this machine.
pub(crate) fn host() -> Done<String> {
    let printed = capture(command("rustc").arg("-vV"))?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("rustc does not say its host".into())
}

fn written(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
