//! Whether the journal's files are still those that were opened: a directory that was deleted or replaced under a running server
//! takes every write without an error, and keeps none.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::open::JournalFile;

/// The files as they were when the journal was opened: device and number of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Vec<(PathBuf, (u64, u64))>);

/// A file is not there any more, or is another one.
#[derive(Debug)]
pub(crate) struct Gone(PathBuf);

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was deleted or replaced while the server runs: nothing more is saved. Stop the server, bring the data directory \
             back or restore a backup, and start it again",
            self.0.display()
        )
    }
}

impl Presence {
    /// Notes the files of an open journal. A journal on a file layer of its own has none to look for.
    pub(crate) fn of(file: &JournalFile) -> Self {
        if file.layer.is_some() {
            return Self::default();
        }
        let paths = [file.path.clone(), file.log()];
        Self(paths.into_iter().filter_map(|path| Some((path.clone(), identity(&path)?))).collect())
    }

    /// # Errors
    /// The first file that is gone.
    pub(crate) fn check(&self) -> Result<(), Gone> {
        let gone = self.0.iter().find(|(path, noted)| identity(path) != Some(*noted));
        gone.map_or(Ok(()), |(path, _)| Err(Gone(path.clone())))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::stat(path).ok()?;
    Some((stat.st_dev, stat.st_ino))
}
