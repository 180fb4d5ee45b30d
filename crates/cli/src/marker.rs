//! The marker of a data directory: a file that says which world lives there. It tells a directory that has lost its journal, or
//! has another world's, from one in which a new world may begin.

use std::path::Path;

use gundo_journal_sqlite::JOURNAL_FILE;

use crate::app::Failure;

/// The file: the world's id as hexadecimal digits.
const MARKER: &str = "world.id";

/// Whether a server may start in `data`: `Ok(true)`, a new world may begin there. `expected`: the id of the world that must be there.
///
/// # Errors
/// There should be a world, and there is none; the text says what to do.
pub(crate) fn check(data: &Path, expected: Option<&str>) -> Result<bool, Failure> {
    let journal = data.join(JOURNAL_FILE);
    if std::fs::metadata(&journal).is_ok_and(|file| file.len() > 0) {
        return Ok(false);
    }
    let (dir, journal) = (data.display(), journal.display());
    if let Some(expected) = expected {
        return Err(format!(
            "the configuration expects the world {expected} in {dir}, and there is none ({journal} is missing or empty): give the right \
             directory with --data, restore a backup with `restore`, or take `world_id` out of the configuration to begin a new world"
        )
        .into());
    }
    match read(data)? {
        None => Ok(true),
        Some(id) => Err(format!(
            "{dir} is the home of the world {id}, and its journal {journal} is missing or empty: restore a backup with `restore`, or delete \
             {MARKER} there to begin a new world"
        )
        .into()),
    }
}

/// Notes that the world `id` lives in `data`.
///
/// # Errors
/// Another world should live there, or another is expected, or the file cannot be written.
pub(crate) fn settle(data: &Path, id: &str, expected: Option<&str>) -> Result<(), Failure> {
    let dir = data.display();
    if let Some(expected) = expected.filter(|expected| !expected.eq_ignore_ascii_case(id)) {
        return Err(format!(
            "the configuration expects the world {expected} in {dir}, and there is the world {id}: give the right directory with --data, or \
             the right `world_id`"
        )
        .into());
    }
    match read(data)? {
        Some(noted) if noted == id => Ok(()),
        Some(noted) => Err(format!(
            "{dir} is the home of the world {noted}, and its journal is of the world {id}: put the right journal back, or delete {MARKER} \
             there if this one is meant"
        )
        .into()),
        None => {
            let file = data.join(MARKER);
            std::fs::write(&file, format!("{id}\n"))
                .map_err(|error| format!("cannot write {}: {error}", file.display()).into())
        }
    }
}

fn read(data: &Path) -> Result<Option<String>, Failure> {
    let file = data.join(MARKER);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", file.display()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T>(result: Result<T, Failure>) -> String {
        result.err().map(|why| why.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_directory_that_has_lost_its_world_begins_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, journal) = (dir.path(), dir.path().join(JOURNAL_FILE));
        assert!(check(data, None).expect("an empty directory"), "a first run");
        assert!(check(&data.join("new"), None).expect("no directory at all"), "a first run");
        assert!(text(check(data, Some("aa"))).contains("expects the world aa"));
        settle(data, "aa", None).expect("noted");
        settle(data, "aa", Some("AA")).expect("the same");
        for lost in [None, Some("")] {
            if let Some(lost) = lost {
                std::fs::write(&journal, lost).expect("written");
            }
            let why = text(check(data, None));
            assert!(why.contains("world aa") && why.contains("restore") && why.contains(MARKER), "{why}");
        }
        std::fs::write(&journal, "x").expect("written");
        assert!(!check(data, None).expect("there is a journal"));
        assert!(text(settle(data, "bb", None)).contains("its journal is of the world bb"));
        assert!(text(settle(data, "aa", Some("bb"))).contains("expects the world bb"));
    }
}
