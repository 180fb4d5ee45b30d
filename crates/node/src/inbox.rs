//! The inbox of a logic thread: one bounded list of inputs, filled by I/O threads, peers and the journal.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_edge::Urgency;
use gundo_fabric::{Labelled, Sink};
use gundo_kernel::{Input, Peer, ToPlayer};
use gundo_types::NodeId;

/// Inputs that may wait before the edge stops reading from its clients.
pub(crate) const INPUTS_MAX: usize = 65_536;
/// Bytes of one peer's frames that may wait; more frames are dropped. Whatever else it sends is bounded by its own kernel: a
/// message that must arrive and waits here is not acknowledged yet (`WorldSettings::link_bytes_max`), and heartbeats are few.
pub(crate) const PEER_FRAMES_BYTES_MAX: usize = 8 << 20;
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
    /// How many bytes of each sender's frames are waiting.
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

    /// Adds a peer's messages, in order. Returns how many frames it dropped because too many wait.
    pub(crate) fn give_peer(&self, from: NodeId, messages: &mut Vec<Labelled>) -> usize {
        let mut state = self.state();
        if state.closed || messages.is_empty() {
            messages.clear();
            return 0;
        }
        let mut waiting = state.peers.iter().find(|(peer, _)| *peer == from).map_or(0, |(_, n)| *n);
        let (before, mut dropped) = (state.inputs.len(), 0);
        for (label, message) in messages.drain(..) {
            let frames = matches!(message, Peer::Frames { .. });
            if frames {
                let bytes = message.weight();
                if waiting + bytes > PEER_FRAMES_BYTES_MAX {
                    dropped += 1;
                    continue;
                }
                waiting += bytes;
            }
            let moving = matches!(message, Peer::ToPlayer { message: ToPlayer::Move { .. }, .. });
            state.urgent |= !frames && !moving;
            state.inputs.push(Input::Peer { from, label, message });
        }
        match state.peers.iter_mut().find(|(peer, _)| *peer == from) {
            Some((_, n)) => *n = waiting,
            None => state.peers.push((from, waiting)),
        }
        if state.inputs.len() > before {
            self.filled(state);
        }
        dropped
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

/// What comes from other processes.
impl Sink for Inbox {
    fn give_peer(&self, from: NodeId, messages: &mut Vec<Labelled>) -> usize {
        Self::give_peer(self, from, messages)
    }

    fn broken(&self, peer: NodeId, incarnation: u64) {
        self.give(Input::LinkBroken { peer, incarnation }, Urgency::Now);
    }

    fn lost(&self, peer: NodeId) {
        self.give(Input::LinkLost { peer }, Urgency::Now);
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gundo_kernel::{ChunkFrame, Label};
    use gundo_types::{ChunkId, ConnId};

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
        let began = Instant::now();
        inbox.give(gone(2), Urgency::Tick);
        inbox.give(gone(3), Urgency::Tick);
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
    fn too_many_frames_of_a_peer_are_dropped_and_nothing_else() {
        let inbox = Inbox::default();
        let frames = |count: usize| {
            let chunk = ChunkFrame::new(ChunkId::default(), 1, None, Default::default());
            let bundle = Peer::Frames { number: 1, frames: vec![chunk; 1_000] };
            vec![(Label::default(), bundle); count]
        };
        let fits = PEER_FRAMES_BYTES_MAX / frames(1)[0].1.weight();
        let asked = || (Label::default(), Peer::KeyframeWanted(ChunkId::default()));
        assert_eq!(inbox.give_peer(NodeId(2), &mut frames(fits)), 0);
        let mut more = frames(3);
        more.push(asked());
        assert_eq!(inbox.give_peer(NodeId(2), &mut more), 3);
        assert_eq!(inbox.len(), fits + 1);
        assert_eq!(inbox.give_peer(NodeId(3), &mut frames(1)), 0, "another peer has its own count");
        let mut flood = (0..300_000).map(|_| asked()).collect();
        assert_eq!(inbox.give_peer(NodeId(2), &mut flood), 0);
        assert_eq!(inbox.len(), fits + 2 + 300_000, "what must arrive is never dropped");
        let mut inputs = Vec::new();
        assert!(inbox.take(&mut inputs, Instant::now(), false));
        assert_eq!(inbox.give_peer(NodeId(2), &mut frames(1)), 0, "taken is taken");
    }
}
