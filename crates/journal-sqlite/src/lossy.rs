//! A disk in memory that forgets what was not synced, as a file layer for SQLite: power cuts at any single write.
//!
//! [`Disk`] is the plain state and its rules; [`vfs`] makes SQLite use it. A power cut is [`Disk::die_at`] (from that write or
//! sync on everything fails, as if time had stopped) and then [`Disk::power_cut`], which keeps what was synced, and of the rest a
//! random set of sectors.

mod vfs;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Bytes that survive or are lost together: disks promise no more.
const SECTOR: usize = 512;

/// A disk. A sync makes a file's content durable, the first sync also its existence; deleting is durable at once.
pub(crate) struct Disk {
    /// Name of the file layer.
    pub(crate) layer: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Writes, truncations and syncs so far.
    operations: u64,
    syncs: u64,
    die_at: Option<u64>,
    fail_sync: Option<u64>,
    random: u8,
    temporary: u32,
}

#[derive(Default)]
struct File {
    now: Vec<u8>,
    synced: Option<Vec<u8>>,
    /// In order, since the last sync.
    unsynced: Vec<Change>,
    locks: Locks,
    /// Addresses of shared-memory regions. Never freed: a test is short.
    regions: Vec<usize>,
    slots: [Slot; 8],
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Default)]
struct Locks {
    shared: u32,
    is_reserved: bool,
    is_exclusive: bool,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    shared: u32,
    is_exclusive: bool,
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Truncate(size) => content.resize(*size, 0),
            Change::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

/// The operation did not happen.
struct Failed;

impl Disk {
    /// An empty disk, known to SQLite as `layer` for the rest of the process.
    pub(crate) fn new(layer: &'static str) -> &'static Self {
        let disk = Box::leak(Box::new(Self { layer, state: Mutex::default() }));
        vfs::register(disk);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// Writes, truncations and syncs so far.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Syncs so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Every operation from this number on fails.
    pub(crate) fn die_at(&self, operation: u64) {
        self.state().die_at = Some(operation);
    }

    /// The sync with this number fails, once, and makes nothing durable.
    pub(crate) fn fail_sync(&self, sync: u64) {
        self.state().fail_sync = Some(sync);
    }

    /// Empties the disk. No file may be open.
    pub(crate) fn forget_everything(&self) {
        self.state().files.clear();
    }

    /// The power was cut and is back: what was synced is there, and of the rest the sectors that `survives` keeps.
    pub(crate) fn power_cut(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.state();
        for file in state.files.values_mut() {
            let existed = file.synced.is_some();
            let mut content = file.synced.clone().unwrap_or_default();
            let mut any = false;
            for change in file.unsynced.drain(..) {
                if survives() {
                    change.apply(&mut content);
                    any = true;
                }
            }
            let left = (existed || any).then_some(content);
            *file = File { now: left.clone().unwrap_or_default(), synced: left, ..File::default() };
        }
        state.files.retain(|_, file| file.synced.is_some());
        (state.die_at, state.fail_sync) = (None, None);
    }
}

impl State {
    fn begin(&mut self) -> Result<(), Failed> {
        self.operations += 1;
        self.alive()
    }

    fn alive(&self) -> Result<(), Failed> {
        if self.die_at.is_some_and(|at| self.operations >= at) { Err(Failed) } else { Ok(()) }
    }

    fn write(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<(), Failed> {
        self.begin()?;
        let file = self.files.entry(name.to_owned()).or_default();
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (sector, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            let change = Change::Write(at, sector.to_vec());
            change.apply(&mut file.now);
            file.unsynced.push(change);
            at += sector.len();
            rest = after;
        }
        Ok(())
    }

    fn truncate(&mut self, name: &str, size: usize) -> Result<(), Failed> {
        self.begin()?;
        let file = self.files.entry(name.to_owned()).or_default();
        let change = Change::Truncate(size);
        change.apply(&mut file.now);
        file.unsynced.push(change);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> Result<(), Failed> {
        self.begin()?;
        self.syncs += 1;
        if self.fail_sync == Some(self.syncs) {
            return Err(Failed);
        }
        let file = self.files.entry(name.to_owned()).or_default();
        file.unsynced.clear();
        file.synced = Some(file.now.clone());
        Ok(())
    }
}
