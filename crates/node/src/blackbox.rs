//! The black box: a file for each panic and each logic thread that hangs, with all that is known at that moment.
//!
//! Panics of logic threads are caught by a hook with their words and call stack; the thread itself, or the watchdog, adds the
//! rest as a [`Report`]. A thread of its own turns reports into files: symbols of a call stack take a while to look up.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use gundo_kernel::{Counters, game};
use gundo_types::{EntityId, NodeId};

use crate::clock::wall_ms;
use crate::driver::Link;
use crate::ring;

/// Of one entity, a panic is written down at most this often.
const EVERY: Duration = Duration::from_secs(60);
/// Entities whose last panic is remembered; beyond, all are forgotten.
const ENTITIES_MAX: usize = 1_024;
/// Files kept: when there are more, the oldest go.
const FILES_MAX: usize = 50;
/// How long the end of a world waits for its last reports.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
/// Panics of one thread that wait to be reported: the first are worth most.
const CAUGHT_MAX: usize = 4;

/// A panic as the hook caught it.
#[derive(Debug)]
pub(crate) struct Caught {
    /// What it said, and where.
    pub(crate) words: String,
    stack: Backtrace,
}

thread_local! {
    /// Whether this is a logic thread.
    static LOGIC: Cell<bool> = const { Cell::new(false) };
    /// Its panics that were not reported yet.
    static CAUGHT: RefCell<Vec<Caught>> = const { RefCell::new(Vec::new()) };
}

/// From now on this thread's panics are caught for reports.
pub(crate) fn watch_this_thread() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LOGIC.get() {
                catch(info);
            }
            // Those of game code are told by the node in its own words.
            if !(LOGIC.get() && game::is_running()) {
                before(info);
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

/// Why a report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Game code panicked at an entity.
    Game { entity: EntityId, doing: &'static str, suspended: bool },
    /// A logic thread panicked.
    Logic,
    /// A logic thread hangs.
    Stuck { ms: u64 },
}

impl Reason {
    fn name(self) -> String {
        match self {
            Self::Game { entity, .. } => format!("game-{}-{:x}", entity.kind.0, entity.id),
            Self::Logic => "panic".to_owned(),
            Self::Stuck { .. } => "stuck".to_owned(),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Game { entity, doing, suspended } => {
                let then = if suspended { "; once too often: it is suspended" } else { "" };
                format!("the game's `{doing}` panicked at entity {entity}{then}")
            }
            Self::Logic => "the logic thread panicked: a bug of the engine; the node ends".to_owned(),
            Self::Stuck { ms } => format!(
                "the logic thread has not come back for {ms} ms from what it does (the last line below that says \
                 `in`); the node ends"
            ),
        }
    }
}

/// What is written down.
struct Report {
    reason: Reason,
    node: NodeId,
    incarnation: u64,
    epoch: u64,
    wall_ms: u64,
    caught: Option<Caught>,
    counters: Counters,
    events: Vec<[u64; 3]>,
}

enum Post {
    Report(Box<Report>),
    /// Everything before has been written.
    Flush(Sender<()>),
}

/// Where reports go.
pub(crate) struct BlackBox {
    /// `None`: nowhere.
    tx: Option<Mutex<Sender<Post>>>,
    told: Mutex<BTreeMap<EntityId, Instant>>,
}

impl BlackBox {
    /// Writes into `dir`, which is made when it is needed, for its owner only. `None`: nothing is written.
    pub(crate) fn open(dir: Option<PathBuf>) -> std::io::Result<Self> {
        let mut tx = None;
        if let Some(dir) = dir {
            let (sender, posts) = channel();
            // It ends with the last node, and one that hangs never ends: nobody waits for it.
            Builder::new().name("gundo-blackbox".into()).spawn(move || keep(&dir, &posts))?;
            tx = Some(Mutex::new(sender));
        }
        Ok(Self { tx, told: Mutex::default() })
    }

    /// Waits until everything reported so far has been written, but not for ever.
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
        if self.tx.is_none() {
            return;
        }
        if let Reason::Game { entity, suspended, .. } = reason
            && !self.is_due(entity)
            && !suspended
        {
            return;
        }
        let (node, incarnation) = link.me;
        let epoch = link.epoch.load(Ordering::Relaxed);
        let (wall_ms, events) = (wall_ms(), link.ring.read());
        let report = Report { reason, node, incarnation, epoch, wall_ms, caught, counters, events };
        self.post(Post::Report(Box::new(report)));
    }

    fn is_due(&self, entity: EntityId) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&entity).is_some_and(|at| at.elapsed() < EVERY) {
            return false;
        }
        if told.len() >= ENTITIES_MAX {
            told.clear();
        }
        told.insert(entity, Instant::now());
        true
    }
}

/// Writes reports until nobody can make any.
fn keep(dir: &Path, posts: &Receiver<Post>) {
    for post in posts {
        let report = match post {
            Post::Report(report) => report,
            Post::Flush(done) => {
                // Who asked has lost patience.
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
    }
}

/// So that two reports of a millisecond have two names.
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
    // In order of time for as long as anybody lives.
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
    let Report { reason, node, incarnation, epoch, wall_ms, caught, counters, events } = report;
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
    if let Some(Caught { words, stack }) = caught {
        let _ = write!(text, "\n== panic\n{words}\n\n== call stack\n{stack}\n");
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

/// What a logic thread says when it is over by a panic.
pub(crate) fn report_end(black_box: &Arc<BlackBox>, link: &Link) {
    black_box.report(link, Reason::Logic, take_caught(), link.counters());
}
