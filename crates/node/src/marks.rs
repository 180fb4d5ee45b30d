//! Which rule each logic thread runs, written where it can be read after the thread has hung, and after the process has died.
//!
//! A mark is two words of a file that is mapped into memory, so setting one costs two stores. The system writes the page to the
//! file even if the process aborts. (If the machine loses power, it may not: then nobody is blamed.) Code that aborts (a stack
//! overflow, a panic in a panic, an allocation that fails) raises SIGABRT in its thread; a handler notes that in the thread's mark.
//! So a process that is killed from outside blames nobody, whatever it was running.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use gundo_kernel::game::{Rule, Witness};
use gundo_types::{EntityId, Kind};
use memmap2::{MmapOptions, MmapRaw};

/// Threads that can be marked at the same time: more than a process runs nodes, since a thread that hangs keeps its mark.
const MARKS: usize = 128;
/// A cache line each.
const MARK_BYTES: usize = 64;
/// In a mark: its thread has aborted.
const ABORTED: u64 = 1 << 63;
/// The system's number of the signal of an abort.
const SIGABRT: i32 = 6;

thread_local! {
    /// The second word of this thread's mark. A signal handler reads it, so it needs no initialisation and no destructor.
    static MINE: Cell<*const AtomicU64> = const { Cell::new(std::ptr::null()) };
}

/// The marks of a process.
#[derive(Debug)]
pub(crate) struct Marks {
    map: MmapRaw,
    /// Keeps the file.
    _file: Option<File>,
}

impl Marks {
    /// Opens the marks in `file`; `None`: in memory only. Also returns what aborted in the last process.
    pub(crate) fn open(file: Option<&Path>) -> io::Result<(Self, Vec<(EntityId, Rule)>)> {
        let len = MARKS * MARK_BYTES;
        let (map, file) = match file {
            None => (MmapOptions::new().len(len).map_anon()?.into(), None),
            Some(path) => {
                let file =
                    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
                file.set_len(len as u64)?;
                (MmapOptions::new().len(len).map_raw(&file)?, Some(file))
            }
        };
        let marks = Self { map, _file: file };
        let aborted = |mark: &Mark<'_>| mark.0[1].load(Ordering::Acquire) & ABORTED != 0;
        let found = (0..MARKS).map(|at| marks.mark(at)).filter(aborted).filter_map(|m| m.get()).collect();
        (0..MARKS).for_each(|at| marks.mark(at).clear());
        Ok((marks, found))
    }

    /// What the thread of this incarnation runs now.
    pub(crate) fn of(&self, incarnation: u64) -> Option<(EntityId, Rule)> {
        self.mark(place(incarnation)).get()
    }

    fn mark(&self, at: usize) -> Mark<'_> {
        assert!(at < MARKS, "a mark is within the map");
        // SAFETY: the map is page-aligned, at least MARKS * MARK_BYTES long, and lives as long as `self`. Everybody who touches
        // it does so through these atomic words.
        let words = unsafe {
            let start = self.map.as_mut_ptr().add(at * MARK_BYTES).cast::<u64>();
            [AtomicU64::from_ptr(start), AtomicU64::from_ptr(start.add(1))]
        };
        Mark(words)
    }
}

/// Incarnations that live at the same time have places of their own.
fn place(incarnation: u64) -> usize {
    (incarnation % MARKS as u64) as usize
}

/// One thread's mark: an id, then its kind and a rule. The second word is 0 between rules.
struct Mark<'a>([&'a AtomicU64; 2]);

impl Mark<'_> {
    fn set(&self, entity: EntityId, rule: Rule) {
        self.0[0].store(entity.id, Ordering::Relaxed);
        self.0[1].store(u64::from(entity.kind.0) << 8 | rule as u64, Ordering::Release);
    }

    fn clear(&self) {
        self.0[1].store(0, Ordering::Release);
    }

    fn get(&self) -> Option<(EntityId, Rule)> {
        let word = self.0[1].load(Ordering::Acquire);
        let rule = Rule::ALL.into_iter().find(|rule| *rule as u64 == word & 0xff)?;
        Some((EntityId::new(Kind((word >> 8 & 0xffff) as u16), self.0[0].load(Ordering::Relaxed)), rule))
    }
}

/// Marks what the thread of one incarnation runs.
pub(crate) struct Marker {
    marks: Arc<Marks>,
    incarnation: u64,
}

impl Marker {
    /// Marks for this thread from now on.
    pub(crate) fn new(marks: Arc<Marks>, incarnation: u64) -> Self {
        note_aborts();
        MINE.set(marks.mark(place(incarnation)).0[1]);
        Self { marks, incarnation }
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        MINE.set(std::ptr::null());
    }
}

/// From now on an abort is noted in its thread's mark.
fn note_aborts() {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        let note = || {
            let mine = MINE.get();
            if !mine.is_null() {
                // SAFETY: the thread's marker keeps the map while this is not null.
                unsafe { (*mine).fetch_or(ABORTED, Ordering::Release) };
            }
        };
        // SAFETY: the handler only loads a thread-local and stores an atomic. After it the process aborts as it would have.
        if let Err(error) = unsafe { signal_hook_registry::register(SIGABRT, note) } {
            tracing::warn!(%error, "aborts of game code will not be traced to an entity");
        }
    });
}

impl Witness for Marker {
    fn begins(&self, entity: EntityId, rule: Rule) {
        self.marks.mark(place(self.incarnation)).set(entity, rule);
    }

    fn ends(&self) {
        self.marks.mark(place(self.incarnation)).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: EntityId = EntityId::new(Kind(7), u64::MAX - 3);

    /// As in a thread that aborts.
    fn abort(marks: &Marks, incarnation: u64) {
        marks.mark(place(incarnation)).0[1].fetch_or(ABORTED, Ordering::Release);
    }

    #[test]
    fn what_aborted_is_found_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("running");
        let (marks, found) = Marks::open(Some(&path)).expect("it opens");
        assert_eq!(found, []);
        let marks = Arc::new(marks);
        let marker = |incarnation| Marker::new(Arc::clone(&marks), incarnation);
        let (a, b, c) = (marker(300), marker(301), marker(302));
        a.begins(ANN, Rule::Snapshot);
        b.begins(ANN, Rule::Walk);
        b.ends();
        c.begins(ANN, Rule::Tick);
        assert_eq!((marks.of(300), marks.of(301)), (Some((ANN, Rule::Snapshot)), None));
        // The one between two rules has no entity; the third was running when the process ended, and did nothing wrong.
        abort(&marks, 300);
        abort(&marks, 301);
        drop((a, b, c, marks));
        let (marks, found) = Marks::open(Some(&path)).expect("it opens");
        assert_eq!(found, [(ANN, Rule::Snapshot)]);
        drop(marks);
        let (_, found) = Marks::open(Some(&path)).expect("it opens");
        assert_eq!(found, []);
    }

    #[test]
    fn nonsense_in_the_file_blames_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("running");
        std::fs::write(&path, [0xff; 100]).expect("writable");
        let (_, found) = Marks::open(Some(&path)).expect("it opens");
        assert_eq!(found, []);
    }
}
