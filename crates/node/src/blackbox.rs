//! The black box: a file for each panic and each logic thread that hangs, with everything known at that moment.
//!
//! A hook catches panics of logic threads with their message and call stack. The thread itself, or the watchdog, adds the
//! rest as a [`Report`]. A separate thread turns reports into files, because resolving the symbols of a call stack takes a
//! while.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use gundo_kernel::{Counters, TailLost, game};
use gundo_types::{EntityId, NodeId};

use crate::clock::wall_ms;
use crate::driver::Link;
use crate::ring;

/// At most one panic per entity is reported in this time …
const EVERY: Duration = Duration::from_secs(60);
/// … and at most one of all entities in this time: when many fail alike, the first are enough. (A suspension is always
/// reported.)
const EVERY_ANY: Duration = Duration::from_secs(1);
/// Reports that may wait to be written; beyond that they are skipped. One is 1 MiB.
const WAITING_MAX: usize = 8;
/// Entities whose last panic is remembered; beyond that all are forgotten.
const ENTITIES_MAX: usize = 1_024;
/// Files kept: when there are more, the oldest are deleted.
const FILES_MAX: usize = 50;
/// How long the end of a world waits for its last reports.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
/// Panics of one thread that may wait to be reported: the first are worth most.
const CAUGHT_MAX: usize = 4;

/// A panic that the hook caught.
#[derive(Debug)]
pub(crate) struct Caught {
    /// Its message and place.
    pub(crate) words: String,
    stack: Backtrace,
}

thread_local! {
    /// Whether this is a logic thread.
    static LOGIC: Cell<bool> = const { Cell::new(false) };
    /// Its panics that are not reported yet.
    static CAUGHT: RefCell<Vec<Caught>> = const { RefCell::new(Vec::new()) };
}

/// From now on the hook catches this thread's panics for reports.
pub(crate) fn watch_this_thread() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !LOGIC.get() {
                return before(info);
            }
            catch(info);
            // The node itself reports panics of game code. The hook before this one may write to a stderr that nobody reads.
            if !game::is_running() {
                tracing::error!("{info}");
            }
        }));
    });
    LOGIC.set(true);
}

fn catch(info: &PanicHookInfo<'_>) {
    let words = info.to_string();
    let stack = Backtrace::force_capture();
    CAUGHT.with_borrow_mut(|caught| {
        if caught.len() < CAUGHT_MAX {
            caught.push(Caught { words, stack });
        }
    });
}

/// This thread's newest panic since the last call.
pub(crate) fn take_caught() -> Option<Caught> {
    CAUGHT.with_borrow_mut(|caught| {
        let newest = caught.pop();
        caught.clear();
        newest
    })
}

/// The reason for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Game code panicked at an entity.
    Game { entity: EntityId, doing: &'static str, suspended: bool },
    /// A logic thread panicked.
    Logic,
    /// A logic thread hangs.
    Stuck { ms: u64 },
    /// The journal has lost events of this many entities, in a new generation.
    Lost { generation: u64, entities: u64 },
}

impl Reason {
    fn name(self) -> String {
        match self {
            Self::Game { entity, .. } => format!("game-{}-{:x}", entity.kind.0, entity.id),
            Self::Logic => "panic".to_owned(),
            Self::Stuck { .. } => "stuck".to_owned(),
            Self::Lost { .. } => "lost".to_owned(),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Game { entity, doing, suspended } => {
                let then = if suspended { "; the entity is suspended" } else { "" };
                format!("the game's `{doing}` panicked at entity {entity}{then}")
            }
            Self::Logic => "the logic thread panicked: a bug of the engine; the node ends".to_owned(),
            Self::Stuck { ms } => format!(
                "the logic thread has not come back for {ms} ms (it hangs on the last input below, the last line \
                 with `in`); the node ends"
            ),
            Self::Lost { generation, entities } => format!(
                "the journal has gone back to an earlier state (generation {generation}), and events of {entities} \
                 entities are lost that were durable"
            ),
        }
    }
}

/// The content of a black box.
struct Report {
    reason: Reason,
    node: NodeId,
    incarnation: u64,
    epoch: u64,
    wall_ms: u64,
    caught: Option<Caught>,
    lost: Vec<TailLost>,
    counters: Counters,
    events: Vec<[u64; 3]>,
    /// Operators' last orders.
    orders: Vec<String>,
    /// Reports skipped since the last one.
    left_out: u64,
}

enum Post {
    Report(Box<Report>),
    /// Answer when everything before has been written.
    Flush(Sender<()>),
}

/// The queue of reports.
pub(crate) struct BlackBox {
    /// `None`: nowhere.
    tx: Option<Mutex<Sender<Post>>>,
    told: Mutex<Told>,
    /// Reports waiting to be written.
    waiting: Arc<AtomicUsize>,
}

/// What was reported, to limit the rate.
#[derive(Default)]
struct Told {
    /// When the last panic of each entity was reported.
    of: BTreeMap<EntityId, Instant>,
    last: Option<Instant>,
    left_out: u64,
}

impl Told {
    /// Whether to report a panic at `entity`.
    fn is_due(&mut self, entity: EntityId, suspended: bool, now: Instant) -> bool {
        let since = |at: &Instant| now.saturating_duration_since(*at);
        let again = self.of.get(&entity).is_some_and(|at| since(at) < EVERY);
        let soon = self.last.as_ref().is_some_and(|at| since(at) < EVERY_ANY);
        if !suspended && (again || soon) {
            self.left_out += 1;
            return false;
        }
        if self.of.len() >= ENTITIES_MAX {
            self.of.clear();
        }
        self.of.insert(entity, now);
        self.last = Some(now);
        true
    }
}

impl BlackBox {
    /// Writes into `dir`, which it creates when needed, for its owner only. `None`: writes nothing.
    pub(crate) fn open(dir: Option<PathBuf>) -> std::io::Result<Self> {
        let (mut tx, waiting) = (None, Arc::new(AtomicUsize::new(0)));
        if let Some(dir) = dir {
            let (sender, posts) = channel();
            // It ends with the last node. A node that hangs never ends, so nobody joins this thread.
            Builder::new().name("gundo-blackbox".into()).spawn({
                let waiting = Arc::clone(&waiting);
                move || keep(&dir, &posts, &waiting)
            })?;
            tx = Some(Mutex::new(sender));
        }
        Ok(Self { tx, told: Mutex::default(), waiting })
    }

    /// Waits until everything reported so far has been written, but no longer than [`FLUSH_PATIENCE`].
    pub(crate) fn flush(&self) {
        let (done, written) = channel();
        if self.post(Post::Flush(done)) {
            let _ = written.recv_timeout(FLUSH_PATIENCE);
        }
    }

    fn post(&self, post: Post) -> bool {
        let tx = self.tx.as_ref().map(|tx| tx.lock().unwrap_or_else(PoisonError::into_inner));
        tx.is_some_and(|tx| tx.send(post).is_ok())
    }

    /// Reports what happened on the node behind `link`. Returns at once.
    pub(crate) fn report(&self, link: &Link, reason: Reason, caught: Option<Caught>, counters: Counters) {
        self.tell(link, reason, (caught, Vec::new()), counters);
    }

    /// Reports what the journal has lost: the entities, and how many beyond those.
    pub(crate) fn report_lost(
        &self,
        link: &Link,
        generation: u64,
        (lost, more): (Vec<TailLost>, u64),
        counters: Counters,
    ) {
        let reason = Reason::Lost { generation, entities: lost.len() as u64 + more };
        self.tell(link, reason, (None, lost), counters);
    }

    fn tell(
        &self,
        link: &Link,
        reason: Reason,
        (caught, lost): (Option<Caught>, Vec<TailLost>),
        counters: Counters,
    ) {
        if self.tx.is_none() {
            return;
        }
        let Some(left_out) = self.admit(reason) else { return };
        let (node, incarnation) = link.me;
        let epoch = link.epoch.load(Ordering::Relaxed);
        let (wall_ms, events, orders) = (wall_ms(), link.ring.read(), link.orders.last());
        let report = Report {
            reason,
            node,
            incarnation,
            epoch,
            wall_ms,
            caught,
            lost,
            counters,
            events,
            orders,
            left_out,
        };
        self.post(Post::Report(Box::new(report)));
    }

    /// Decides whether to report; if so, returns how many reports before it were skipped.
    fn admit(&self, reason: Reason) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Reason::Game { entity, suspended, .. } = reason
            && !told.is_due(entity, suspended, Instant::now())
        {
            return None;
        }
        if self.waiting.load(Ordering::Relaxed) >= WAITING_MAX {
            told.left_out += 1;
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some(std::mem::take(&mut told.left_out))
    }
}

/// Writes reports until all senders are gone.
fn keep(dir: &Path, posts: &Receiver<Post>, waiting: &AtomicUsize) {
    for post in posts {
        let report = match post {
            Post::Report(report) => report,
            Post::Flush(done) => {
                // The caller has lost patience.
                let _ = done.send(());
                continue;
            }
        };
        let text = text(&report);
        match write(dir, &report, &text) {
            Ok(file) => {
                tracing::warn!(node = report.node.0, file = %file.display(), "a black box was written");
            }
            Err(error) => tracing::warn!(%error, dir = %dir.display(), "a black box cannot be written"),
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Distinguishes reports of the same millisecond.
static COUNT: AtomicU64 = AtomicU64::new(0);

fn write(dir: &Path, report: &Report, text: &str) -> std::io::Result<PathBuf> {
    let mut make = fs::DirBuilder::new();
    make.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
    make.create(dir)?;
    let mut files: Vec<_> = fs::read_dir(dir)?.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "txt"));
    files.sort();
    let over = (files.len() + 1).saturating_sub(FILES_MAX);
    for file in files.iter().take(over) {
        fs::remove_file(file)?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Thirteen digits keep the names in order of time for centuries.
    let name = format!("{:013}-{count:03}-{}-{}.txt", report.wall_ms, report.node, report.reason.name());
    let file = dir.join(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let new = file.with_extension("new");
    let mut written = options.open(&new)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&new, &file)?;
    Ok(file)
}

fn text(report: &Report) -> String {
    let Report {
        reason,
        node,
        incarnation,
        epoch,
        wall_ms,
        caught,
        lost,
        counters,
        events,
        orders,
        left_out,
    } = report;
    let mut text = String::new();
    let _ = write!(
        text,
        "what         {}\nwhen         {} s after 1970 (UTC)\nnode         {node}, incarnation {incarnation}, \
         epoch {epoch}\nprogram      gundo {}, commit {}\nbuilt        {}, for {}\n",
        reason.text(),
        *wall_ms as f64 / 1_000.0,
        env!("CARGO_PKG_VERSION"),
        env!("GUNDO_COMMIT"),
        env!("GUNDO_RUSTC"),
        env!("GUNDO_TARGET"),
    );
    if *left_out > 0 {
        let _ = writeln!(
            text,
            "left out     {left_out} panics since the last black box: too many, or of the same entities"
        );
    }
    if let Some(Caught { words, stack }) = caught {
        let _ = write!(text, "\n== panic\n{words}\n\n== call stack\n{stack}\n");
    }
    if !lost.is_empty() {
        let _ =
            write!(text, "\n== lost: entity (kind/id), newest event that was durable, newest that is left\n");
    }
    for TailLost { entity, known, found } in lost {
        let _ = writeln!(text, "{entity} {known} {found}");
    }
    if !orders.is_empty() {
        let _ = write!(text, "\n== operators' orders, the newest last\n{}\n", orders.join("\n"));
    }
    let _ = write!(text, "\n== counters\n{counters:#?}\n");
    let _ = write!(
        text,
        "\n== events, the newest last: seconds since the process started, what, of which entity (kind/id) or #number, \
         (bytes or how many)\n"
    );
    ring::write(events, &mut text);
    text
}

/// Reports a logic thread that ended by a panic.
pub(crate) fn report_end(black_box: &Arc<BlackBox>, link: &Link) {
    black_box.report(link, Reason::Logic, take_caught(), link.counters());
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    fn report(wall_ms: u64) -> Report {
        Report {
            reason: Reason::Logic,
            node: NodeId(2),
            incarnation: 1,
            epoch: 1,
            wall_ms,
            caught: None,
            lost: vec![TailLost { entity: EntityId::new(Kind(3), 0x1f), known: 12, found: 10 }],
            counters: Counters::default(),
            events: Vec::new(),
            orders: vec!["ada orders".to_owned()],
            left_out: 3,
        }
    }

    #[test]
    fn the_newest_files_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let boxes = dir.path().join("blackbox");
        let all = FILES_MAX as u64 + 7;
        for wall_ms in 1..=all {
            let report = report(wall_ms);
            write(&boxes, &report, &text(&report)).expect("it is written");
        }
        let files = fs::read_dir(&boxes).expect("it is there").map(|e| e.expect("a file").file_name());
        let mut files: Vec<_> = files.map(|name| name.into_string().expect("a name of ours")).collect();
        files.sort();
        assert_eq!(files.len(), FILES_MAX);
        assert!(files[0].starts_with("0000000000008-"), "{}", files[0]);
        let newest = fs::read_to_string(boxes.join(&files[FILES_MAX - 1])).expect("it is there");
        assert!(newest.contains("\nleft out     3 panics"), "{newest}");
        assert!(newest.contains(" 12 10\n") && newest.contains("\nada orders\n"), "{newest}");
    }

    #[test]
    fn many_that_fail_alike_are_told_of_once_a_second() {
        let (mut told, start) = (Told::default(), Instant::now());
        let mut due = |id: u64, suspended, ms| {
            told.is_due(EntityId::new(Kind(1), id), suspended, start + Duration::from_millis(ms))
        };
        assert!(due(1, false, 0));
        assert!(!due(1, false, 1), "of one entity: again");
        assert!(!due(2, false, 999), "of all: too soon");
        assert!(due(1, true, 999), "suspended: always");
        assert!(due(2, false, 1_999));
        assert!(!due(1, false, 60_000));
        assert!(due(1, false, 60_999), "a minute later it is due again");
        assert_eq!(told.left_out, 3);
    }

    #[test]
    fn a_disk_that_hangs_does_not_gather_reports() {
        let black_box = BlackBox::open(None).expect("nothing is opened");
        // Nothing writes them.
        let admitted = (0..WAITING_MAX + 5).filter(|_| black_box.admit(Reason::Logic).is_some());
        assert_eq!(admitted.count(), WAITING_MAX);
        black_box.waiting.store(0, Ordering::Relaxed);
        assert_eq!(black_box.admit(Reason::Logic), Some(5));
        assert_eq!(black_box.admit(Reason::Logic), Some(0));
    }
}
