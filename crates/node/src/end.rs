//! Waits for threads that may hang in a call of the journal or of the disk.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread that uses the journal or the disk may take this long to end. Then it is abandoned, with what it owns: the thread that
/// waits for it must not hang too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Interval between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until a thread has ended, for this long at most.
pub(crate) fn wait_for(thread: JoinHandle<()>, patience: Duration) {
    let give_up = Instant::now() + patience;
    while !thread.is_finished() && Instant::now() < give_up {
        // A join has no limit of its own.
        std::thread::sleep(LOOK);
    }
    if thread.is_finished() {
        // A panic there was reported when it happened.
        drop(thread.join());
    } else {
        tracing::warn!(
            thread = thread.thread().name(),
            "a thread hangs in the journal or on the disk, and is abandoned"
        );
    }
}
