//! What was read from files, and is read again when they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use crate::FileFault;

/// How a file looked: its number, size and time of change.
type Stamp = Option<(u64, u64, SystemTime)>;

/// Reads everything.
type Load<T> = Box<dyn Fn() -> Result<T, FileFault> + Send + Sync>;

/// Something that was read from files, as of now.
pub struct Watched<T> {
    files: Vec<PathBuf>,
    load: Load<T>,
    now: RwLock<(T, Vec<Stamp>)>,
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Look {
    /// They are as they were at the last look.
    Same,
    /// They have changed, and were read.
    Changed,
    /// They have changed and are not usable: what was read earlier stays. This is said once for each change.
    Unusable(FileFault),
}

impl<T: Clone> Watched<T> {
    /// Reads `files` with `load`.
    ///
    /// # Errors
    /// What `load` says.
    pub fn load(
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<T, FileFault> + Send + Sync + 'static,
    ) -> Result<Self, FileFault> {
        // Before the contents: a file that changes meanwhile is read again.
        let stamps = stamps(&files);
        let now = RwLock::new((load()?, stamps));
        Ok(Self { files, load: Box::new(load), now })
    }

    /// What was read last.
    pub fn now(&self) -> T {
        self.now.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Reads the files again if they have changed. Files that are not usable change nothing.
    pub fn look(&self) -> Look {
        let found = stamps(&self.files);
        if found == self.now.read().unwrap_or_else(PoisonError::into_inner).1 {
            return Look::Same;
        }
        let loaded = (self.load)();
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.1 = found;
        match loaded {
            Ok(loaded) => {
                now.0 = loaded;
                Look::Changed
            }
            Err(fault) => Look::Unusable(fault),
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.len(), found.modified().ok()?))
    };
    files.iter().map(stamp).collect()
}
