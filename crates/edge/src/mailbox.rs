//! The way to an I/O thread: what others leave there for it, and how it is woken.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gundo_types::ConnId;
use mio::Waker;

use crate::link::Delivery;
use crate::reason::Reason;

/// A connection that has been upgraded.
pub(crate) struct Arrival {
    pub(crate) id: ConnId,
    pub(crate) stream: std::net::TcpStream,
    /// Bytes the client sent right behind its upgrade.
    pub(crate) early: Vec<u8>,
    /// It is only told why it cannot stay.
    pub(crate) refused: Option<Reason>,
}

/// What lies in a mailbox. Bounded by what can come in one turn of the thread: a turn takes everything, and what clients do
/// not read waits in their send queues, which have limits.
#[derive(Default)]
pub(crate) struct Mail {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Close everyone with this reason.
    pub(crate) close_all: Option<Reason>,
    /// Cut everyone off.
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

/// Where the thread is: who must wake it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// At work: it looks into its mailbox before it waits.
    #[default]
    Working,
    /// It rests, whatever the sockets do.
    Resting,
    /// It waits for the sockets.
    Polling,
}

#[derive(Default)]
struct State {
    mail: Mail,
    place: Place,
    /// The thread has ended: what comes is dropped, sockets with it.
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

    /// Puts something in.
    pub(crate) fn post(&self, put: impl FnOnce(&mut Mail)) {
        let mut state = self.state();
        if state.closed {
            return put(&mut Mail::default());
        }
        put(&mut state.mail);
        // Once: whoever comes before the thread has woken need not call it again.
        let place = std::mem::take(&mut state.place);
        drop(state);
        match place {
            Place::Working => {}
            Place::Resting => self.rested.notify_one(),
            Place::Polling => self.wake(),
        }
    }

    /// Takes everything out: the thread works now.
    pub(crate) fn take(&self) -> Mail {
        let mut state = self.state();
        state.place = Place::Working;
        state.closed = state.mail.ended;
        std::mem::take(&mut state.mail)
    }

    /// Whether the thread may wait for its sockets: nothing lies here, and what comes wakes it.
    pub(crate) fn may_poll(&self) -> bool {
        let mut state = self.state();
        let empty = state.mail.is_empty();
        state.place = if empty { Place::Polling } else { Place::Working };
        empty
    }

    /// Waits for `rest`, or until something comes.
    pub(crate) fn rest(&self, rest: Duration) {
        let mut state = self.state();
        if state.mail.is_empty() {
            state.place = Place::Resting;
            // Woken for nothing, it only works a little early.
            state = self.rested.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
            state.place = Place::Working;
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake()
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::error!(%error, "an I/O thread cannot be woken");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
