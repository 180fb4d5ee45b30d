//! What waits for one peer in one lane, bounded in bytes: filled by the logic thread, emptied by the connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gundo_fabric::Labelled;

use crate::codec::{PARCEL_BYTES, PARCEL_MESSAGES_MAX};
use crate::hello::Lane;

/// A queue. Its bytes are the messages' weights: never less than they have on a connection.
pub(crate) struct Queue {
    lane: Lane,
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(usize, Labelled)>,
    bytes: usize,
    /// There is a connection, the one with this number.
    open: Option<u64>,
    /// The connection's task, if it waits for messages.
    task: Option<Waker>,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    /// Frames dropped because too many wait.
    pub(crate) dropped: u64,
    /// What must arrive has no room. Nothing waits any more.
    pub(crate) full: bool,
}

impl Queue {
    pub(crate) fn new(lane: Lane, bytes_max: usize) -> Self {
        Self { lane, bytes_max, state: Mutex::default() }
    }

    /// Adds messages, and leaves the list empty. Without a connection only what must arrive waits for the next one.
    pub(crate) fn add(&self, messages: &mut Vec<Labelled>) -> Queued {
        let (mut state, mut queued) = (self.state(), Queued::default());
        let is_open = state.open.is_some();
        for labelled in messages.drain(..) {
            if !is_open && !labelled.1.must_arrive() {
                continue;
            }
            let weight = labelled.1.weight();
            state.bytes += weight;
            state.waiting.push_back((weight, labelled));
        }
        match self.lane {
            Lane::Frames => {
                // The oldest first: a picture wants the newest.
                while state.bytes > self.bytes_max {
                    let Some((weight, _)) = state.waiting.pop_front() else { break };
                    state.bytes -= weight;
                    queued.dropped += 1;
                }
            }
            Lane::Messages if state.bytes > self.bytes_max => {
                state.clear();
                queued.full = true;
            }
            Lane::Messages => {}
        }
        let wakes = is_open && !state.waiting.is_empty();
        let task = if wakes { state.task.take() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        queued
    }

    /// From now on it is emptied by the connection with this number.
    pub(crate) fn open(&self, connection: u64) {
        let mut state = self.state();
        state.open = Some(connection);
        if let Some(task) = state.task.take() {
            task.wake();
        }
    }

    /// The connection is gone, and what waits is not to be sent any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.clear();
        state.open = None;
        if let Some(task) = state.task.take() {
            task.wake();
        }
    }

    /// The next messages for a connection: those of a parcel. Waits while there are none, and before the connection is open.
    pub(crate) fn poll(&self, connection: u64, context: &Context<'_>) -> Poll<Vec<Labelled>> {
        let mut state = self.state();
        if state.open != Some(connection) || state.waiting.is_empty() {
            // A connection that is over is dropped by those who closed it: it needs no wake-up.
            state.task = Some(context.waker().clone());
            return Poll::Pending;
        }
        let (mut parcel, mut bytes) = (Vec::with_capacity(state.waiting.len().min(64)), 0);
        while let Some((weight, _)) = state.waiting.front() {
            let fits = bytes + weight <= PARCEL_BYTES && parcel.len() < PARCEL_MESSAGES_MAX;
            if !fits && !parcel.is_empty() {
                break;
            }
            let (weight, labelled) = state.waiting.pop_front().expect("it is the front");
            bytes += weight;
            parcel.push(labelled);
        }
        state.bytes -= bytes;
        Poll::Ready(parcel)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use gundo_fabric::suite::{frames, must};

    use super::*;

    fn taken(queue: &Queue, connection: u64) -> Vec<u64> {
        let mut all = Vec::new();
        while let Poll::Ready(parcel) = queue.poll(connection, &Context::from_waker(Waker::noop())) {
            all.extend(parcel.iter().map(|(label, message)| match message {
                gundo_kernel::Peer::Frames { number, .. } => *number,
                _ => label.number,
            }));
        }
        all
    }

    #[test]
    fn without_a_connection_only_what_must_arrive_waits() {
        let queue = Queue::new(Lane::Messages, 1 << 20);
        let heard = (gundo_kernel::Label::default(), gundo_kernel::Peer::Heard { again: false });
        assert_eq!(queue.add(&mut vec![must(1, 2, 1), heard, must(1, 2, 2)]), Queued::default());
        assert_eq!(taken(&queue, 7), [0; 0], "it is not open");
        queue.open(7);
        assert_eq!(taken(&queue, 6), [0; 0], "another connection gets nothing");
        assert_eq!(taken(&queue, 7), [1, 2]);
        queue.add(&mut vec![must(1, 2, 3)]);
        queue.close();
        queue.open(8);
        assert_eq!((taken(&queue, 8), queue.bytes()), (vec![], 0), "the kernel sends it again");
    }

    #[test]
    fn the_oldest_frames_go_first() {
        let queue = Queue::new(Lane::Frames, 10_000);
        queue.open(1);
        let mut sent: Vec<_> = (1..=20).map(|number| frames(1, 2, number, 1_000)).collect();
        let queued = queue.add(&mut sent);
        assert!(queued.dropped > 10 && !queued.full, "{queued:?}");
        assert!(queue.bytes() <= 10_000);
        assert!(taken(&queue, 1).into_iter().eq(queued.dropped + 1..=20));
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn what_must_arrive_is_not_dropped_in_part() {
        let queue = Queue::new(Lane::Messages, 10_000);
        queue.open(1);
        let mut sent: Vec<_> = (1..=1_000).map(|number| must(1, 2, number)).collect();
        assert_eq!(queue.add(&mut sent), Queued { dropped: 0, full: true });
        assert_eq!((taken(&queue, 1), queue.bytes()), (vec![], 0));
    }

    #[test]
    fn parcels_are_bounded() {
        let queue = Queue::new(Lane::Messages, 64 << 20);
        queue.open(1);
        queue.add(&mut (1..=10_000).map(|number| must(1, 2, number)).collect());
        let mut parcels = Vec::new();
        while let Poll::Ready(parcel) = queue.poll(1, &Context::from_waker(Waker::noop())) {
            let bytes: usize = parcel.iter().map(|(_, message)| message.weight()).sum();
            assert!(bytes <= PARCEL_BYTES && parcel.len() <= PARCEL_MESSAGES_MAX);
            parcels.push(parcel.len());
        }
        assert_eq!(parcels.iter().sum::<usize>(), 10_000);
    }
}
