//! The program of the last release, for a cluster in which two releases live together.
//!
//! It is built from the last tag of git, or without tags from the commit before this one, in a work tree of its own below `target`.
//! That takes minutes, so it is done only when somebody asks for it, and once for each commit.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Done, capture, command, root, run};

/// The program, where the test run looks for it too.
pub(crate) const PROGRAM: &str = "target/previous/pioneer";
/// Its sources: a work tree of git.
const SOURCES: &str = "target/previous/source";
/// The commit that the program was built from.
const COMMIT: &str = "target/previous/commit";
/// The word of the command line.
const WORD: &str = "--previous";

/// The words for the chaos: `--previous` without a file is completed by one that is built now.
pub(crate) fn complete(words: &[String]) -> Done<Vec<String>> {
    let mut all = words.to_vec();
    if let Some(at) = gap(words) {
        all.insert(at, build()?.display().to_string());
    }
    Ok(all)
}

/// Where a file is missing behind `--previous`.
fn gap(words: &[String]) -> Option<usize> {
    let at = words.iter().position(|word| word == WORD)? + 1;
    words.get(at).is_none_or(|next| next.starts_with("--")).then_some(at)
}

/// Builds the program, unless it is there.
fn build() -> Done<PathBuf> {
    let (commit, what) = release()?;
    let (program, sources) = (root().join(PROGRAM), root().join(SOURCES));
    if program.exists() && fs::read_to_string(root().join(COMMIT)).is_ok_and(|noted| noted.trim() == commit) {
        println!("the last release ({what}) is built already: {PROGRAM}");
        return Ok(program);
    }
    println!("building the last release, {what}, in {SOURCES}: this takes minutes, once");
    check_out(&sources, &commit)?;
    let mut cargo = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.current_dir(&sources).args([
        "build",
        "--profile",
        "dist",
        "-p",
        "pioneer",
        "--features",
        "cluster",
    ]);
    run(cargo.arg("--target-dir").arg(root().join("target/previous/build")))?;
    let written = fs::copy(root().join("target/previous/build/dist/pioneer"), &program)
        .and_then(|_| fs::write(root().join(COMMIT), &commit));
    written.map_err(|error| format!("cannot write {PROGRAM}: {error}"))?;
    Ok(program)
}

/// The commit of the last release, and what it is called.
fn release() -> Done<(String, String)> {
    let git = |words: &[&str]| {
        let text = capture(command("git").args(words))?;
        Ok::<_, String>(String::from_utf8_lossy(&text).trim().to_owned())
    };
    // The newest tag before this commit.
    let tags = git(&["tag", "--merged", "HEAD^", "--sort=-creatordate"])?;
    match tags.lines().next() {
        Some(tag) => Ok((git(&["rev-list", "-n", "1", tag])?, format!("tag {tag}"))),
        None => {
            let commit = git(&["rev-parse", "HEAD^"])?;
            let what = format!("commit {}, for there is no tag", commit.chars().take(8).collect::<String>());
            Ok((commit, what))
        }
    }
}

fn check_out(sources: &Path, commit: &str) -> Done {
    if sources.join("Cargo.toml").exists() {
        return run(command("git").arg("-C").arg(sources).args(["checkout", "--quiet", "--detach", commit]));
    }
    // One that somebody has deleted by hand is known to git still.
    run(command("git").args(["worktree", "prune"]))?;
    run(command("git").args(["worktree", "add", "--quiet", "--detach"]).arg(sources).arg(commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_file_is_completed() {
        let gap = |words: &[&str]| gap(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(gap(&["--minutes", "3", "--previous"]), Some(3));
        assert_eq!(gap(&["--previous", "--minutes", "3"]), Some(1));
        assert_eq!(gap(&["--previous", "target/previous/pioneer"]), None);
        assert_eq!(gap(&["--minutes", "3"]), None);
    }
}
