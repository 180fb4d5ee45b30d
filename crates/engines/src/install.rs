//! Finds programs, and installs Debian's packages of those that are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::EngineError;

/// The path of `program`: in one of `folders`, in `PATH`, or where Debian's `package` puts it. A missing package is installed if
/// this is Debian and we are root; else the error names the line to type.
///
/// # Errors
/// The program is missing and cannot be installed.
pub fn program(program: &str, folders: &[&str], package: &str) -> Result<PathBuf, EngineError> {
    if let Some(found) = find(program, folders) {
        return Ok(found);
    }
    let missing = || EngineError::Missing { program: program.to_owned(), package: package.to_owned() };
    if !may_install() {
        return Err(missing());
    }
    apt(&["update", "--quiet"])?;
    apt(&["install", "--yes", "--quiet", "--no-install-recommends", package])?;
    find(program, folders).ok_or_else(missing)
}

fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn may_install() -> bool {
    is_root() && Path::new("/etc/debian_version").exists()
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    // The standard library does not say who we are; the owner of our process does.
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// Runs apt-get. It waits for other installations, so callers need no lock.
fn apt(args: &[&str]) -> Result<(), EngineError> {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(args);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let what = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EngineError::Failed { program: format!("apt-get {}", args.join(" ")), what })
}
