//! Rules for files: what may be at the top, how a file opens, how long it may be, what it must not contain.

use std::path::{Path, PathBuf};

use super::{Problem, read};
use crate::shell::Done;

/// Everything that may be at the top of the tree. Folders with a slash.
const TOP: &[&str] = &[
    ".cargo/",
    ".ci/",
    ".config/",
    ".git",
    ".git/",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches/",
    "clients/",
    "clippy.toml",
    "crates/",
    "deny.toml",
    "deploy/",
    "docs/",
    "fuzz/",
    "games/",
    "rustfmt.toml",
    "xtask/",
];

/// Made by tools, and excluded from the repository by `.gitignore`.
const IGNORED: &[&str] = &["target", "node_modules", ".git", "data", "artifacts"];

/// Made by tools, and kept in the repository: nobody reads them, so no rule applies.
const GENERATED: &[&str] = &[
    "clients/web/dist/",
    "clients/web/page/src/gen/",
    "crates/wire/src/generated/",
    "games/pioneer/src/generated/",
    "clients/web/sdk/src/gen/",
    "clients/web/package-lock.json",
    "Cargo.lock",
];

const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// The limit for functions, in every `clippy.toml`: clippy uses only the one nearest to a crate.
const FUNCTION_LINES: &str = "too-many-lines-threshold = 70";

/// Files that people write.
const WRITTEN: &[&str] =
    &["rs", "md", "toml", "proto", "ts", "mjs", "js", "py", "css", "html", "json", "sh", "yml", "yaml"];

/// Marks of unfinished work. Split here so that this file passes its own rule.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK:")];

/// The calls that put a thread or a task to sleep.
const CALLS_SLEEP: &[&str] = &[concat!("::", "sleep("), concat!("(", "sleep("), concat!("= ", "sleep(")];

/// How far above a sleep its reason may be, lines.
const REASON_LINES: usize = 3;

/// Crates without I/O, clocks, threads, async and hash order.
const PURE: &[&str] =
    &["crates/types/src/", "crates/wire/src/", "crates/kernel/src/", "crates/coordinator/src/"];

/// Names that must not occur there. `crates/kernel/clippy.toml` bans the same by type; this also sees a module's name.
const IMPURE: &[&str] = &[
    concat!("std::", "time"),
    concat!("std::", "thread"),
    concat!("std::", "net"),
    concat!("std::", "fs"),
    concat!("std::", "env"),
    concat!("std::", "process"),
    concat!("to", "kio"),
    concat!("async ", "fn"),
    concat!("Hash", "Map"),
    concat!("Hash", "Set"),
    concat!("Ref", "Cell"),
    concat!("static ", "mut "),
];

/// Every broken rule under `root`.
pub(crate) fn check(root: &Path) -> Done<Vec<Problem>> {
    let mut problems = check_top(&names(root)?);
    let mut files = Vec::new();
    walk(root, &mut files)?;
    for path in files {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let is_written = path.extension().is_some_and(|ending| WRITTEN.iter().any(|known| ending == *known));
        if is_written && !GENERATED.iter().any(|generated| name.starts_with(generated)) {
            problems.extend(check_file(&name, &read(&path)?));
        }
    }
    Ok(problems)
}

fn check_top(names: &[String]) -> Vec<Problem> {
    let known = |name: &str| TOP.contains(&name) || IGNORED.contains(&name.trim_end_matches('/'));
    let strays = names.iter().filter(|name| !known(name));
    strays.map(|name| Problem::new(name, "does not belong at the top (xtask/src/tidy/text.rs)")).collect()
}

fn check_file(name: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let is_rust = name.ends_with(".rs");
    if is_rust && !text.starts_with("//!") {
        problems.push(Problem::new(name, "opens without `//!`: say what this room is for"));
    }
    if lines.len() > LINES_MAX && !LONG.iter().any(|(long, _)| *long == name) && !name.ends_with(".json") {
        let what = format!("{} lines, {LINES_MAX} at most: look for the second room inside", lines.len());
        problems.push(Problem::new(name, what));
    }
    if name.ends_with("clippy.toml") && !lines.contains(&FUNCTION_LINES) {
        problems.push(Problem::new(name, format!("does not say `{FUNCTION_LINES}`")));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push(Problem::new(name, "does not end with a newline"));
    }
    for (index, line) in lines.iter().enumerate() {
        let before = &lines[index.saturating_sub(REASON_LINES)..index];
        for what in check_line(name, line, before) {
            problems.push(Problem::new(format!("{name}:{}", index + 1), what));
        }
    }
    if is_rust && PURE.iter().any(|room| name.starts_with(room)) {
        problems.extend(check_pure(name, &lines));
    }
    if name.ends_with("/Cargo.toml") {
        problems.extend(check_manifest(name, &lines));
    }
    problems
}

fn check_line(name: &str, line: &str, before: &[&str]) -> Vec<String> {
    let mut whats = Vec::new();
    if line.ends_with([' ', '\t', '\r']) {
        whats.push("trailing whitespace".to_owned());
    }
    for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
        whats.push(format!("`{mark}`: finish it, or leave it out"));
    }
    if name.ends_with(".rs") {
        let code = line.trim_start();
        let is_comment = code.starts_with("//");
        let has_reason =
            line.contains("// ") || before.iter().any(|line| line.trim_start().starts_with("// "));
        if !is_comment && CALLS_SLEEP.iter().any(|call| line.contains(call)) && !has_reason {
            whats.push("a sleep needs its reason in a comment: most hide a race".to_owned());
        }
        if code.starts_with("#[ignore") {
            whats.push("an ignored test tests nothing".to_owned());
        }
    }
    whats
}

fn check_pure(name: &str, lines: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for banned in IMPURE.iter().filter(|banned| line.contains(**banned)) {
            let what = format!("`{banned}` in a pure room: see ARCHITECTURE.md, determinism");
            problems.push(Problem::new(format!("{name}:{}", index + 1), what));
        }
    }
    problems
}

/// Versions are only in the workspace's table; lints are the workspace's.
fn check_manifest(name: &str, lines: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut section = "";
    for (index, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']', ' ']);
            continue;
        }
        let is_dependency = section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#');
        if is_dependency && !line.contains("workspace = true") {
            let what = "name the dependency in the workspace's table and inherit it (`workspace = true`)";
            problems.push(Problem::new(format!("{name}:{}", index + 1), what));
        }
    }
    if !lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]) {
        problems.push(Problem::new(name, "does not take the workspace's lints"));
    }
    problems
}

fn names(folder: &Path) -> Done<Vec<String>> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let slash = if entry.file_type().map_err(told)?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Done {
    for name in names(folder)? {
        match name.strip_suffix('/') {
            Some(name) if IGNORED.contains(&name) => {}
            Some(name) => walk(&folder.join(name), files)?,
            None => files.push(folder.join(name)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, text: &str) -> usize {
        check_file(name, text).len()
    }

    #[test]
    fn strays_at_the_top_are_problems() {
        let top = |names: &[&str]| {
            check_top(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).len()
        };
        assert_eq!(top(&["README.md", "crates/", "target/"]), 0);
        assert_eq!(top(&["notes.txt"]), 1);
        assert_eq!(top(&["crates"]), 1, "a file that is called like a folder");
    }

    #[test]
    fn rust_opens_with_its_purpose() {
        assert_eq!(count("a.rs", "//! A room.\n"), 0);
        assert_eq!(count("a.rs", "use std::fmt;\n"), 1);
        assert_eq!(count("a.md", "text\n"), 0);
    }

    #[test]
    fn long_files_are_problems() {
        let long = format!("//! A room.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(count("a.rs", &long), 1);
        assert_eq!(count("a.rs", &long[..long.len() - 1]), 0);
    }

    #[test]
    fn every_clippy_toml_limits_functions() {
        assert_eq!(count("crates/a/clippy.toml", &format!("{FUNCTION_LINES}\n")), 0);
        assert_eq!(count("crates/a/clippy.toml", "too-many-lines-threshold = 100\n"), 1);
    }

    #[test]
    fn loose_ends_are_problems() {
        assert_eq!(count("a.md", "text \n"), 1);
        assert_eq!(count("a.md", "text"), 1);
        assert_eq!(count("a.md", &format!("{}: more\n", UNFINISHED[0])), 1);
        assert_eq!(count("a.rs", &format!("//! A room.\n#[{}]\n", "ignore")), 1);
    }

    #[test]
    fn a_sleep_needs_a_reason() {
        let call = format!("thread::{}(second);", "sleep");
        assert_eq!(count("a.rs", &format!("//! A room.\n{call}\n{call}\n")), 2);
        assert_eq!(count("a.rs", &format!("//! A room.\n\n{call}\n")), 1);
        assert_eq!(count("a.rs", &format!("//! A room.\n// The lease must run out.\n{call}\n")), 0);
    }

    #[test]
    fn pure_rooms_stay_pure() {
        for banned in IMPURE {
            let text = format!("//! A room.\nuse {banned};\n");
            assert_eq!(count("crates/kernel/src/a.rs", &text), 1, "{banned}");
            assert_eq!(count("crates/node/src/a.rs", &text), 0, "{banned}");
        }
    }

    #[test]
    fn manifests_inherit() {
        let good =
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\nb.workspace = true\n";
        assert_eq!(count("crates/a/Cargo.toml", good), 0);
        assert_eq!(count("crates/a/Cargo.toml", &good.replace("b.workspace = true", "b = \"1\"")), 1);
        assert_eq!(count("crates/a/Cargo.toml", &good.replace("[lints]\nworkspace = true\n", "")), 1);
    }
}
