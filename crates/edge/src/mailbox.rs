//! The mailbox of an I/O thread: what other threads put in, and how they wake it.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gundo_types::{ConnId, Origin};
use mio::Waker;

use crate::files::Slot;
use crate::line::Line;
use crate::link::Delivery;
use crate::reason::Reason;

/// A connection that has been upgraded.
pub(crate) struct Arrival {
    pub(crate) id: ConnId,
    pub(crate) line: Line,
    /// Its slot among the files of the process.
    pub(crate) slot: Slot,
    /// Where the client comes from, if that counts.
    pub(crate) from: Option<Origin>,
    /// Bytes that the client sent right behind its upgrade.
    pub(crate) early: Vec<u8>,
    /// The reason it cannot stay; the thread only sends it that.
    pub(crate) refused: Option<Reason>,
}

/// The content of a mailbox. One turn of the thread bounds it: a turn takes everything out, and messages that clients do
/// not read wait in their send queues, which have limits.
#[derive(Default)]
pub(crate) struct Mail {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Close all connections with this reason.
    pub(crate) close_all: Option<Reason>,
    /// Cut all connections.
    pub(crate) cut_all: bool,
    /// The thread ends.
    pub(crate) ended: bool,
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
            && self.deliveries.is_empty()
            && self.close_all.is_none()
            && !self.cut_all
            && !self.ended
    }
}

/// What the thread is doing, and so how to wake it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Working: it looks into its mailbox before it waits.
    #[default]
    Working,
    /// Resting: it ignores its sockets.
    Resting,
    /// Waiting for its sockets.
    Polling,
}

#[derive(Default)]
struct State {
    mail: Mail,
    place: Place,
    /// The thread has ended: new mail is dropped, sockets included.
    closed: bool,
}

/// A mailbox of one I/O thread.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    rested: Condvar,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { state: Mutex::default(), rested: Condvar::new(), waker }
    }

    /// Puts something in and wakes the thread if needed.
    pub(crate) fn post(&self, put: impl FnOnce(&mut Mail)) {
        let mut state = self.state();
        if state.closed {
            return put(&mut Mail::default());
        }
        put(&mut state.mail);
        // Wake it once: a post before the thread has woken need not wake it again.
        let place = std::mem::take(&mut state.place);
        drop(state);
        match place {
            Place::Working => {}
            Place::Resting => self.rested.notify_one(),
            Place::Polling => self.wake(),
        }
    }

    /// Takes everything out. The thread is working from now on.
    pub(crate) fn take(&self) -> Mail {
        let mut state = self.state();
        state.place = Place::Working;
        state.closed = state.mail.ended;
        std::mem::take(&mut state.mail)
    }

    /// Whether the thread may wait for its sockets: the mailbox is empty, and the next post wakes it.
    pub(crate) fn may_poll(&self) -> bool {
        let mut state = self.state();
        let empty = state.mail.is_empty();
        state.place = if empty { Place::Polling } else { Place::Working };
        empty
    }

    /// Waits for `rest`, or until the next post.
    pub(crate) fn rest(&self, rest: Duration) {
        let mut state = self.state();
        if state.mail.is_empty() {
            state.place = Place::Resting;
            // A spurious wake-up only starts the next turn a little early.
            state = self.rested.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
            state.place = Place::Working;
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake()
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::error!(%error, "cannot wake an I/O thread");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
