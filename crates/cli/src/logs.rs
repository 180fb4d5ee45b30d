//! Logs go to stderr, written by a thread of their own. A pipe that nobody reads, or a slow disk behind it, delays that thread
//! and nothing else: lines that find no room are dropped, and the next line that is written says how many.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Bytes of lines that may wait for the writing thread; a line that would exceed them is dropped.
const WAITING_MAX_BYTES: usize = 1 << 20;
/// How long the end of the program waits for lines that still wait.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The log of this process, once it is started.
static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the log; `RUST_LOG` selects lines by level and target: `info,gundo_node=debug`.
pub(crate) fn start() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|words| words.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let log = match Log::spawn(io::stderr) {
        Ok(log) => LOG.get_or_init(|| log).clone(),
        Err(error) => return eprintln!("error: there is no thread for the log: {error}"),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(log).log_internal_errors(false);
    let lines = lines.with_ansi(io::stderr().is_terminal());
    // A program that has set up its own logs keeps them.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// Waits until everything logged so far is written, but no longer than [`FLUSH_PATIENCE`].
pub(crate) fn flush() {
    if let Some(log) = LOG.get() {
        log.flush();
    }
}

enum Post {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// A handle to the writing thread. The layer writes each line in one piece.
#[derive(Clone)]
struct Log {
    posts: Sender<Post>,
    room: Arc<Room>,
}

#[derive(Default)]
struct Room {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Log {
    fn spawn<W: Write>(to: impl FnOnce() -> W + Send + 'static) -> io::Result<Self> {
        let (posts, lines) = channel();
        let room = Arc::new(Room::default());
        let theirs = Arc::clone(&room);
        Builder::new().name("gundo-log".into()).spawn(move || write_all(&lines, &theirs, to()))?;
        Ok(Self { posts, room })
    }

    fn flush(&self) {
        let (done, written) = channel();
        if self.posts.send(Post::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_PATIENCE);
        }
    }
}

/// Writes lines as they come. If the reader is gone they are dropped silently: the world runs on, and still stops when told to.
fn write_all(posts: &Receiver<Post>, room: &Room, mut to: impl Write) {
    for post in posts {
        match post {
            Post::Line(line) => {
                let _ = to.write_all(&line);
                room.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                let dropped = room.dropped.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    let _ =
                        writeln!(to, "{dropped} log lines were dropped: stderr did not take them in time");
                }
            }
            Post::Flush(done) => {
                // The caller has lost patience.
                let _ = done.send(());
            }
        }
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let waiting = self.room.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        let fits = waiting + line.len() <= WAITING_MAX_BYTES;
        if !fits || self.posts.send(Post::Line(line.to_vec())).is_err() {
            self.room.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.room.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// A reader that takes a piece whenever the test says so.
    struct Slow {
        go: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.written.lock().expect("no test panics with it").extend_from_slice(piece);
            Ok(piece.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_blocks_nobody_and_hears_what_was_dropped() {
        let (tx, go) = sync_channel(0);
        let written = Arc::new(Mutex::default());
        let slow = Slow { go, written: Arc::clone(&written) };
        let mut log = Log::spawn(|| slow).expect("a thread");
        let line = [b'x'; 1 << 10];
        for _ in 0..2_000 {
            log.write_all(&line).expect("it takes every line");
        }
        let waiting = log.room.waiting_bytes.load(Ordering::Relaxed);
        assert_eq!(waiting, WAITING_MAX_BYTES, "it keeps so much, whatever comes");
        drop(tx);
        log.flush();
        let written = written.lock().expect("no test panics with it");
        let text = String::from_utf8_lossy(&written);
        assert!(text.contains("976 log lines were dropped"), "{} bytes", text.len());
        assert_eq!(log.room.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
