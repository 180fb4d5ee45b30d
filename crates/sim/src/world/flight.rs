//! Everything in flight or due in a world.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bytes::Bytes;
use gundo_kernel::{Counters, Input, Label, Peer, Renewal, View};
use gundo_rig::Seat;
use gundo_types::{ConnId, EntityId, Kind, NodeId, Time};
use gundo_wire::client::ClientMessage;
use gundo_wire::journal::WakesAsked;

use super::clocks::Watch;
use super::coordinator::Asked;
use super::members::Cut;
use super::turns::Machine;
use crate::plan::Dial;

/// One incarnation of a node, in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) generation: u32,
    pub(crate) node: u16,
    pub(crate) life: u16,
}

/// Something in flight, or due.
pub(crate) enum Flight {
    Peer {
        to: Key,
        from: Key,
        label: Label,
        message: Peer,
    },
    ToNode {
        node: Key,
        conn: ConnId,
        message: ClientMessage,
    },
    ToClient {
        client: usize,
        conn: ConnId,
        parts: Vec<Bytes>,
    },
    Opened {
        client: usize,
        conn: ConnId,
    },
    /// The client learns that its connection is gone.
    Broken {
        client: usize,
        conn: ConnId,
    },
    /// The edge learns that a connection is gone.
    Gone {
        node: Key,
        conn: ConnId,
    },
    Commit,
    Completed {
        node: Key,
        batch: u64,
        outcome: gundo_wire::journal::Outcome,
    },
    Loaded {
        node: Key,
        entity: EntityId,
        load: u64,
    },
    Woken {
        node: Key,
        asked: WakesAsked,
        list: u64,
    },
    Listed {
        node: Key,
        kind: Kind,
        ids: RangeInclusive<u64>,
        max: usize,
        list: u64,
    },
    NodeTimer(Key),
    ClientTimer(usize),
    /// A view reaches a node.
    View {
        node: Key,
        view: View,
    },
    /// A paused node runs again.
    Resume(Key),
    /// A node that was busy takes its next input.
    Turn(Key),
    /// Drivers tell their nodes how busy they are.
    Measure,
    /// An operator repeats the order of this request.
    OrderAgain(u64),
    /// A client that read slowly has read everything.
    Drained(usize),
    /// An append of a dead process arrives after all.
    Late,
    /// A peer learns that its link to a dead node is reset.
    LinkBroken {
        node: Key,
        peer: NodeId,
        incarnation: u64,
    },
    /// A link that has stalled is reset.
    Reset {
        dial: Dial,
        a: Key,
        b: Key,
    },
    /// A node's driver has lost messages to a peer for good.
    LinkLost {
        node: Key,
        peer: NodeId,
    },
    /// A node's request reaches the coordinator.
    Asked {
        node: Key,
        what: Asked,
    },
    /// The outcome of a renewal.
    Renewed {
        node: Key,
        sent: Time,
        renewal: Renewal,
    },
    /// The journal's word about a node's row.
    Row {
        node: Key,
        sent: Time,
        stands: bool,
    },
    /// A cut between two nodes ends.
    CutEnds(Cut),
    /// The lease of an incarnation ends, unless it was renewed.
    LeaseEnds(u64),
    /// A node that was removed ends.
    Fenced(Key),
    /// A draining node is empty.
    Emptied(Key),
    /// A node that died starts again.
    NodeStarts(Key),
    /// A process that was presumed dead finds out.
    ZombieEnds(u32),
    Boot,
    Step(usize),
    /// A player logs in, for the first time or again.
    Arrive(usize),
    /// A player leaves for good.
    Quits(usize),
    Fault(Dial),
    /// Somebody says something again.
    Echo,
    /// The journal commits again.
    StallEnds(Stall),
    /// The disk has room again.
    RoomAgain,
    /// A node watches the coordinator again.
    WatchesAgain(u16),
    /// A replica takes the journal's place.
    FailsOver,
    /// A node hears which generation the journal is in.
    Generation(Key),
    /// A node's overload ends.
    Ease(Key),
}

/// The counts of all nodes when the journal began to stall.
#[derive(Clone, Copy)]
pub(crate) struct Stall {
    pub(super) began: u64,
    pub(super) walks: u64,
    pub(super) walked: u64,
    pub(super) updates: u64,
}

pub(crate) struct SimNode {
    pub(crate) kernel: Seat,
    pub(super) incarnation: u64,
    pub(super) paused: bool,
    /// Inputs that wait for their turn, and when they came, µs.
    pub(super) inbox: VecDeque<(u64, Input)>,
    pub(super) completed_at: u64,
    /// Inputs until its invariants are checked.
    pub(super) check_in: u64,
    pub(super) machine: Machine,
    pub(super) watch: Watch,
    /// It is of the next version.
    pub(super) newer: bool,
}

impl SimNode {
    pub(super) fn new(kernel: Seat, incarnation: u64) -> Self {
        Self {
            kernel,
            incarnation,
            paused: false,
            inbox: VecDeque::new(),
            completed_at: 0,
            check_in: 0,
            machine: Machine::default(),
            watch: Watch::default(),
            newer: false,
        }
    }

    /// What comes now has to wait: for the node's present turn to end, or behind what waits already.
    pub(super) fn is_busy(&self, now: u64) -> bool {
        self.paused || self.machine.works(now) || !self.inbox.is_empty()
    }

    /// Asserts the node's invariants now and then. A check walks over everything the node has, so the more that is, the rarer it
    /// comes: it costs about as much as it would for a small node.
    pub(super) fn check_sometimes(&mut self) {
        if self.check_in > 0 {
            self.check_in -= 1;
            return;
        }
        self.kernel.check();
        let Counters { reals, ghosts, chunks, watches, watched, .. } = self.kernel.counters();
        let things = reals + ghosts + chunks + watches + watched;
        self.check_in = super::CHECK_EVERY.max(things / super::CHECKED_PER_INPUT);
    }
}

/// One direction of a link.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    /// When the last message arrives, in each lane.
    pub(super) last_at: [u64; 2],
    /// Nothing arrives before.
    pub(super) held_until: u64,
    /// Until then frames are lost.
    pub(super) lossy_until: u64,
    /// Until then everything is lost: the sender has not learned of a reset.
    pub(super) dead_until: u64,
    /// Of the last message, if messages are forged.
    pub(super) label: Label,
}
