//! The inbox of a logic thread: one bounded list of inputs, filled by I/O threads, peers and the journal.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_edge::Urgency;
use gundo_kernel::{Input, Peer, ToPlayer};
use gundo_types::NodeId;

/// Inputs that may wait before the edge stops reading from its clients.
pub(crate) const INPUTS_MAX: usize = 65_536;
/// Messages of one peer that may wait before its frames are dropped.
const PEER_FRAMES_MAX: usize = 1_024;
/// Messages of one peer that may wait before the node behind this inbox counts as lost.
const PEER_MAX: usize = 262_144;
/// How long moves and frames wait to be batched before the logic thread handles them. Bodies that walk across nodes should
/// reach the next tick, and a wake-up for each message would cost more than the message.
const LINGER: Duration = Duration::from_millis(10);

/// A node's inbox.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    len: AtomicUsize,
    /// The incarnation behind it; 0: none has joined yet.
    incarnation: AtomicU64,
}

#[derive(Default)]
struct State {
    inputs: Vec<Input>,
    /// How many messages of each sender are waiting.
    peers: Vec<(NodeId, usize)>,
    urgent: bool,
    sleep: Sleep,
    closed: bool,
}

/// How the logic thread sleeps, and so what wakes it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sleep {
    /// It is awake.
    #[default]
    Awake,
    /// It looks again soon: only urgent inputs wake it.
    Short,
    /// It was idle: any input wakes it.
    Long,
}

/// What happened to a peer's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    /// Frames dropped.
    pub(crate) dropped: usize,
    /// The node accepts nothing any more.
    pub(crate) lost: bool,
}

impl Inbox {
    /// The node behind it has joined.
    pub(crate) fn belongs_to(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Release);
    }

    /// The incarnation behind it, once it has joined.
    pub(crate) fn incarnation(&self) -> Option<u64> {
        Some(self.incarnation.load(Ordering::Acquire)).filter(|incarnation| *incarnation > 0)
    }

    /// Adds inputs, in order.
    pub(crate) fn give_all(&self, inputs: &mut Vec<Input>, urgency: Urgency) {
        let mut state = self.state();
        state.inputs.append(inputs);
        state.urgent |= urgency == Urgency::Now;
        self.filled(state);
    }

    /// Adds an input.
    pub(crate) fn give(&self, input: Input, urgency: Urgency) {
        let mut state = self.state();
        state.inputs.push(input);
        state.urgent |= urgency == Urgency::Now;
        self.filled(state);
    }

    /// Adds a peer's messages, in order. When too many wait, it first drops frames; beyond the limit it drops all of them.
    pub(crate) fn give_peer(&self, from: NodeId, incarnation: u64, messages: &mut Vec<Peer>) -> Handed {
        let mut handed = Handed::default();
        let mut state = self.state();
        if state.closed {
            messages.clear();
            return handed;
        }
        let mut waiting = state.peers.iter().find(|(peer, _)| *peer == from).map_or(0, |(_, n)| *n);
        let before = waiting;
        for message in messages.drain(..) {
            if waiting >= PEER_MAX {
                handed.lost = true;
                continue;
            }
            let frames = matches!(message, Peer::Frames { .. });
            if frames && waiting >= PEER_FRAMES_MAX {
                handed.dropped += 1;
                continue;
            }
            let moving = matches!(message, Peer::ToPlayer { message: ToPlayer::Move { .. }, .. });
            state.urgent |= !frames && !moving;
            state.inputs.push(Input::Peer { from, incarnation, message });
            waiting += 1;
        }
        match state.peers.iter_mut().find(|(peer, _)| *peer == from) {
            Some((_, n)) => *n = waiting,
            None => state.peers.push((from, waiting)),
        }
        if waiting > before {
            self.filled(state);
        }
        handed
    }

    /// The number of waiting inputs.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether the inbox is full.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= INPUTS_MAX
    }

    /// Ends the logic thread after it has handled what it has.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Moves everything that waits into `inputs` (empty). Sleeps until there is something worth waking for, or until
    /// `deadline`. `busy`: there were inputs the last time. False: the inbox is closed.
    pub(crate) fn take(&self, inputs: &mut Vec<Input>, deadline: Instant, busy: bool) -> bool {
        let mut state = self.state();
        let sleep = if busy { Sleep::Short } else { Sleep::Long };
        let until = if busy { deadline.min(Instant::now() + LINGER) } else { deadline };
        while !state.closed && !state.urgent && (busy || state.inputs.is_empty()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.sleep = sleep;
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.sleep = Sleep::Awake;
        }
        std::mem::swap(&mut state.inputs, inputs);
        state.peers.iter_mut().for_each(|(_, n)| *n = 0);
        state.urgent = false;
        self.len.store(0, Ordering::Relaxed);
        !state.closed
    }

    fn filled(&self, mut state: MutexGuard<'_, State>) {
        self.len.store(state.inputs.len(), Ordering::Relaxed);
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Short => state.urgent,
            Sleep::Long => true,
        };
        if wake {
            // Wake it once: an input that comes before the thread has woken need not wake it again.
            state.sleep = Sleep::Awake;
            drop(state);
            self.filled.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gundo_types::ConnId;

    use super::*;

    fn gone(conn: u64) -> Input {
        Input::Gone { conn: ConnId(conn) }
    }

    #[test]
    fn urgent_inputs_wake_and_others_wait_for_company() {
        let inbox = Arc::new(Inbox::default());
        let mut inputs = Vec::new();
        let far = Instant::now() + Duration::from_secs(600);
        let other = Arc::clone(&inbox);
        let giver = std::thread::spawn(move || other.give(gone(1), Urgency::Now));
        assert!(inbox.take(&mut inputs, far, true));
        giver.join().expect("it gives");
        inputs.clear();
        inbox.give(gone(2), Urgency::Tick);
        inbox.give(gone(3), Urgency::Tick);
        let began = Instant::now();
        assert!(inbox.take(&mut inputs, far, true));
        assert!(began.elapsed() >= LINGER && inputs.len() == 2, "they waited for company");
        inputs.clear();
        inbox.give(gone(4), Urgency::Tick);
        assert!(inbox.take(&mut inputs, far, false), "nothing was going on: any input is looked at");
        inputs.clear();
        assert!(inbox.take(&mut inputs, Instant::now(), false) && inputs.is_empty(), "the deadline");
        inbox.close();
        assert!(!inbox.take(&mut inputs, far, false));
    }

    #[test]
    fn a_peers_frames_are_dropped_first_and_never_its_messages() {
        let inbox = Inbox::default();
        let frames = |n| (0..n).map(|_| Peer::Frames { number: 1, frames: Vec::new() }).collect::<Vec<_>>();
        let asked = || Peer::KeyframeWanted(gundo_types::ChunkId::default());
        assert_eq!(inbox.give_peer(NodeId(2), 7, &mut frames(PEER_FRAMES_MAX)), Handed::default());
        let mut more = frames(3);
        more.push(asked());
        assert_eq!(inbox.give_peer(NodeId(2), 7, &mut more), Handed { dropped: 3, lost: false });
        assert_eq!(inbox.len(), PEER_FRAMES_MAX + 1);
        assert_eq!(
            inbox.give_peer(NodeId(3), 8, &mut frames(1)).dropped,
            0,
            "another peer has its own count"
        );
        let mut flood = (0..PEER_MAX).map(|_| asked()).collect();
        assert!(inbox.give_peer(NodeId(2), 7, &mut flood).lost);
        let mut inputs = Vec::new();
        assert!(inbox.take(&mut inputs, Instant::now(), false));
        assert_eq!(inbox.give_peer(NodeId(2), 7, &mut frames(1)), Handed::default(), "taken is taken");
    }
}
