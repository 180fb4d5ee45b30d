//! The browser's side: Node.js, npm and Chromium where needed, the checks of `clients/web`, its bundle.
//!
//! Playing needs none of them: the bundle is committed and embedded in the binary.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Done, answers, may_apt_install, run};

const NODE_MAJOR_MIN: u32 = 18;
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Checks types, unit tests, and that the bundle matches its sources.
pub(crate) fn check() -> Done {
    ensure_node()?;
    install()?;
    run(npm().args(["run", "check"]))
}

/// Rebuilds the bundle.
pub(crate) fn build() -> Done {
    ensure_node()?;
    install()?;
    run(npm().args(["run", "build"]))
}

/// A command in `clients/web`.
pub(crate) fn in_web(program: &str) -> Command {
    let mut command = shell::command(program);
    command.current_dir(dir());
    command
}

/// Finds Node.js and npm, or installs them where allowed.
pub(crate) fn ensure_node() -> Done {
    let mut missing = Vec::new();
    if node_major().is_none() {
        missing.push("nodejs");
    }
    if !answers("npm", &["--version"]) {
        missing.push("npm");
    }
    apt_install(&missing)?;
    match node_major() {
        Some(major) if major >= NODE_MAJOR_MIN => Ok(()),
        Some(major) => Err(format!("Node.js {major} is too old: {NODE_MAJOR_MIN} or newer is needed")),
        None => Err("Node.js is installed but does not run".into()),
    }
}

/// The path of a Chromium, which is installed where allowed.
pub(crate) fn ensure_browser() -> Done<String> {
    if let Ok(named) = std::env::var("CHROMIUM") {
        let found = path_of(&named).filter(|_| answers(&named, &["--version"]));
        return found.ok_or_else(|| format!("CHROMIUM names `{named}`, which does not run"));
    }
    if let Some(found) = browser() {
        return Ok(found);
    }
    apt_install(&["chromium"])?;
    browser().ok_or("Chromium is installed but does not run".into())
}

/// Installs nginx where allowed: tests play through it. Elsewhere they play through a proxy of their own only.
pub(crate) fn install_proxy() -> Done {
    if answers("nginx", &["-v"]) || !may_apt_install() {
        return Ok(());
    }
    apt_install(&["nginx-light"])
}

/// Installs the packages of `clients/web`, exactly as locked. Skips that if they are there and the lock is not newer.
pub(crate) fn install() -> Done {
    let changed = |path: &str| dir().join(path).metadata().and_then(|data| data.modified()).ok();
    let lock = changed("package-lock.json").ok_or("clients/web/package-lock.json is missing")?;
    if changed("node_modules/.package-lock.json").is_some_and(|installed| installed >= lock) {
        return Ok(());
    }
    run(npm().args(["ci", "--no-audit", "--no-fund"]))
}

fn dir() -> PathBuf {
    shell::root().join("clients/web")
}

fn npm() -> Command {
    in_web("npm")
}

fn browser() -> Option<String> {
    BROWSERS.iter().find(|name| answers(name, &["--version"])).and_then(|name| path_of(name))
}

/// The path of a program: a browser driver wants a path, not a name.
fn path_of(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())?;
    found.into_os_string().into_string().ok()
}

fn node_major() -> Option<u32> {
    let printed = shell::command("node").arg("--version").output().ok()?.stdout;
    major(&String::from_utf8_lossy(&printed))
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs packages of Debian where that is allowed.
pub(crate) fn apt_install(packages: &[&str]) -> Done {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !may_apt_install() {
        return Err(format!(
            "missing: {list}. Install it and run again (on Debian as root this is done for you)"
        ));
    }
    println!("installing {list}");
    let apt =
        |args: &[&str]| run(shell::command("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[install.as_slice(), packages].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_read() {
        assert_eq!(major("v18.19.0\n"), Some(18));
        assert_eq!(major("command not found"), None);
        assert_eq!(major(""), None);
    }
}
