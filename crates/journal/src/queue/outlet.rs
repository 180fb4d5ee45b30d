//! The way back to a node: its sink, for as long as its handle is open.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{Completion, Sink};

/// What a handle and the journal's threads share.
pub(super) struct Outlet {
    sink: Sink,
    open: AtomicBool,
    loads_waiting: AtomicUsize,
}

impl Outlet {
    pub(super) fn new(sink: Sink) -> Arc<Self> {
        Arc::new(Self { sink, open: AtomicBool::new(true), loads_waiting: AtomicUsize::new(0) })
    }

    /// Gives a completion to the node, if its handle is still open. A node whose sink panics loses its handle, not the journal.
    pub(super) fn complete(&self, completion: Completion) {
        if self.is_open() && catch_unwind(AssertUnwindSafe(|| (self.sink)(completion))).is_err() {
            self.close();
            tracing::error!("a node's sink panicked; its handle to the journal is closed");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Counts one more waiting load; `false`: there are already `max`.
    pub(super) fn begin_load(&self, max: usize) -> bool {
        let has_room = self.loads_waiting.fetch_add(1, Ordering::Relaxed) < max;
        if !has_room {
            self.end_load();
        }
        has_room
    }

    /// A load waits no longer.
    pub(super) fn end_load(&self) {
        self.loads_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
