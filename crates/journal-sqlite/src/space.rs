//! The room left on the disk: writes are refused while there is still enough of it to go on reading, checkpointing and stopping.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Asks the disk at most this often, unless much was written since.
const EVERY: Duration = Duration::from_millis(250);
/// Written since the last answer, with which it is asked again: well below any sensible margin.
const AFTER_BYTES: u64 = 4 << 20;

pub(crate) struct Space {
    dir: PathBuf,
    free_min: u64,
    asked: Option<Instant>,
    written: u64,
    free: u64,
}

impl Space {
    pub(crate) fn new(dir: PathBuf, free_min: u64) -> Self {
        Self { dir, free_min, asked: None, written: 0, free: u64::MAX }
    }

    /// Bytes free on the disk when it was last asked; `u64::MAX` before.
    pub(crate) fn free(&self) -> u64 {
        self.free
    }

    /// Whether `bytes` more may be written; else the reason, for operators.
    pub(crate) fn admit(&mut self, bytes: u64) -> Result<(), String> {
        self.written += bytes;
        if self.asked.is_none_or(|asked| asked.elapsed() > EVERY) || self.written > AFTER_BYTES {
            self.ask();
        }
        if self.free.saturating_sub(self.written) >= self.free_min {
            return Ok(());
        }
        let (dir, mib) = (self.dir.display(), |bytes: u64| bytes >> 20);
        Err(format!(
            "the disk of {dir} is nearly full: {} MiB free, {} kept",
            mib(self.free),
            mib(self.free_min)
        ))
    }

    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        self.written = 0;
        // A disk that does not say is left to refuse by itself.
        self.free = rustix::fs::statvfs(&self.dir)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    }
}
