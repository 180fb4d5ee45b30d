//! Free space on the disk: the journal refuses writes while there is still enough to read, checkpoint and stop, and tells nodes
//! long before that.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_journal::Room;

use crate::Settings;
use crate::damage::Damage;
use crate::log::LogSize;
use crate::open::JournalFile;
use crate::presence::Presence;

/// Checks the disk at most this often, unless much was written since.
const EVERY: Duration = Duration::from_millis(250);
/// Bytes written since the last check that cause another one: well below any sensible margin.
const AFTER_BYTES: u64 = 4 << 20;

/// Returns the free bytes on the disk of a directory; `None`: unknown. By default the operating system is asked.
#[derive(Clone)]
pub struct DiskProbe(Arc<Probe>);

type Probe = dyn Fn(&Path) -> Option<u64> + Send + Sync;

impl DiskProbe {
    /// A custom probe, for tests.
    pub fn new(probe: impl Fn(&Path) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(probe))
    }
}

impl Default for DiskProbe {
    fn default() -> Self {
        let free = |dir: &Path| {
            let disk = rustix::fs::statvfs(dir).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        };
        Self::new(free)
    }
}

impl fmt::Debug for DiskProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskProbe")
    }
}

/// The writer's check of the disk: the last defence.
pub(crate) struct Space {
    dir: PathBuf,
    probe: DiskProbe,
    free_min: u64,
    files: Presence,
    log: LogSize,
    gone: Option<String>,
    asked: Option<Instant>,
    written: u64,
    free: u64,
}

impl Space {
    pub(crate) fn new(dir: PathBuf, files: Presence, log: LogSize, settings: &Settings) -> Self {
        let (probe, free_min) = (settings.disk_probe.clone(), settings.disk_free_min);
        Self { dir, probe, free_min, files, log, gone: None, asked: None, written: 0, free: u64::MAX }
    }

    /// Free bytes on the disk at the last check; `u64::MAX` before the first.
    pub(crate) fn free(&self) -> u64 {
        self.free
    }

    /// The journal's log.
    pub(crate) fn log(&self) -> LogSize {
        self.log.clone()
    }

    /// Whether `bytes` more may be written; otherwise the reason, for operators.
    pub(crate) fn admit(&mut self, bytes: u64) -> Result<(), String> {
        self.written += bytes;
        if self.asked.is_none_or(|asked| asked.elapsed() > EVERY) || self.written > AFTER_BYTES {
            self.ask();
        }
        if let Some(gone) = &self.gone {
            return Err(gone.clone());
        }
        if self.log.is_full(bytes) {
            return Err(self.log.words());
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
        // If the free space is unknown, the disk itself has to refuse.
        self.free = (self.probe.0)(&self.dir).unwrap_or(u64::MAX);
        self.gone = self.files.check().err().map(|gone| gone.to_string());
    }
}

/// The check of the disk for nodes: low, and enough again only with a quarter more.
pub(crate) struct Watch {
    dir: PathBuf,
    /// The journal's file, if it is one of the operating system.
    file: Option<PathBuf>,
    files: Presence,
    log: LogSize,
    damage: Damage,
    probe: DiskProbe,
    low: u64,
    is_low: bool,
}

impl Watch {
    pub(crate) fn new(file: &JournalFile, log: LogSize, damage: Damage, settings: &Settings) -> Self {
        Self {
            dir: file.dir.clone(),
            file: file.layer.is_none().then(|| file.path.clone()),
            files: Presence::of(file),
            log,
            damage,
            probe: settings.disk_probe.clone(),
            low: settings.disk_free_low.max(settings.disk_free_min),
            is_low: false,
        }
    }

    pub(crate) fn look(&mut self) -> Room {
        let free_bytes = (self.probe.0)(&self.dir);
        let enough = if self.is_low { self.low.saturating_add(self.low / 4) } else { self.low };
        self.is_low = free_bytes.is_some_and(|free| free < enough);
        let gone = self.files.check().err().map(|gone| gone.to_string());
        let bytes = |path: &Path| std::fs::metadata(path).ok().map(|found| found.len());
        Room {
            free_bytes,
            is_low: self.is_low || self.log.is_nearly_full(),
            gone,
            damage: self.damage.found(),
            file_bytes: self.file.as_deref().and_then(bytes),
            log_bytes: self.file.as_ref().and_then(|_| bytes(self.log.path())),
            log_long: self.log.is_long().then(|| self.log.words()),
        }
    }
}
