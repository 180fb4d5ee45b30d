//! What every room of the kernel shares: settings, the current time, randomness, outputs, timers.

use std::collections::{BTreeSet, VecDeque};

use gundo_types::{ChunkId, ConnId, EntityId, Kind, NodeId, Now, Planted, Time, WorldTime};
use gundo_wire::Message;
use gundo_wire::client::ServerMessage;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::clock::WorldClock;
use crate::game::{Refusal, game_error};
use crate::io::{Counters, NodeSettings, Output, SendClass, View, WorldSettings};
use crate::peer::{HomeMessage, Label, Peer, ToEdge, TxId};
use crate::retry::Retry;

/// Between two rounds of housekeeping, ms.
pub(crate) const SECOND_MS: u64 = 1_000;

/// Something due at a time. Timers are never cancelled: the handler checks whether there is still something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A tick begins: time passes in the world, publishers encode.
    Tick,
    /// The edge passes frames to clients.
    Flush,
    /// Entities that have something to do: the next page of them.
    Wakes,
    /// Housekeeping, once per second.
    Second,
    /// The node goes on with its announcements.
    Announce,
    /// An open home goes on to tell of its chunks.
    OpenHome,
    /// The node sends heartbeats.
    Beat,
    /// The confirm time of a broken link is over.
    Confirm(NodeId),
    /// The grace time of a player without a connection is over.
    Grace(EntityId),
    /// Retry a failed load.
    LoadRetry(EntityId),
    /// Retry a failed list of the entities that have their place in a chunk.
    ListRetry(Kind, ChunkId),
    /// Retry a fence that could not be written.
    FenceRetry(EntityId),
    /// A locked participant has waited long for its coordinator.
    Lock(EntityId),
    /// Work has waited long for room in the journal.
    Held(EntityId),
    /// A transaction backs off, or has taken too long.
    Transaction(TxId),
    /// The edge may resend a command that nodes were lost over.
    PassOn(ConnId),
    /// A suspended player has had its notice long enough, or a suspension is over.
    Suspended(EntityId),
    /// A handoff has waited long for an answer.
    Handoff(EntityId),
    /// An entity has waited for answers to its messages.
    Mail(EntityId),
    /// An operator's order has waited for its end.
    Order(u64),
}

pub(crate) struct Core {
    pub(crate) settings: NodeSettings,
    pub(crate) now: Now,
    pub(crate) clock: WorldClock,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) outputs: VecDeque<Output>,
    /// Messages of the node to itself, handled before the next input.
    pub(crate) local: VecDeque<Peer>,
    pub(crate) view: View,
    pub(crate) counters: Counters,
    pub(crate) timers: BTreeSet<(Time, Timer)>,
    pub(crate) stopping: bool,
    /// Members whose messages this node had no room for: the links to them are reset.
    pub(crate) lost: Vec<NodeId>,
    /// This node writes fields that this version does not know ([`Node::act_newer`](crate::Node::act_newer)).
    pub(crate) acts_newer: bool,
    /// The generation of the journal, once it has said so.
    pub(crate) generation: Option<u64>,
    last_batch: u64,
    last_load: u64,
}

impl Core {
    pub(crate) fn new(settings: NodeSettings) -> Self {
        Self {
            rng: ChaCha8Rng::from_seed(settings.seed),
            now: Now::default(),
            clock: WorldClock::default(),
            outputs: VecDeque::new(),
            local: VecDeque::new(),
            view: View::default(),
            counters: Counters::default(),
            timers: BTreeSet::new(),
            stopping: false,
            lost: Vec::new(),
            acts_newer: false,
            generation: None,
            last_batch: 0,
            // Load numbers grow across incarnations too, so that the journal's record of failed loads never applies to a new one.
            last_load: settings.incarnation << 32,
            settings,
        }
    }

    /// The time of an input. Node time that steps back stands still.
    pub(crate) fn set_now(&mut self, now: Now) {
        let time = now.time.max(self.now.time);
        let planted = cfg!(feature = "planted").then_some(self.settings.planted).flatten();
        let world = self.clock.at(Now { time, ..now }, |mistake| planted == Some(mistake));
        self.now = Now { time, world };
    }

    /// Whether this node's world time is too far from that of the others for it to take players.
    pub(crate) fn is_off(&self) -> bool {
        self.clock.is_off() && !self.planted(Planted::OffClockUnnoticed)
    }

    pub(crate) fn me(&self) -> NodeId {
        self.settings.node
    }

    pub(crate) fn world(&self) -> &WorldSettings {
        &self.settings.world
    }

    /// Whether this mistake is planted; always false without the feature.
    pub(crate) fn planted(&self, mistake: Planted) -> bool {
        cfg!(feature = "planted") && self.settings.planted == Some(mistake)
    }

    /// Counts a stale message: its entity was unloaded, or its transaction has ended.
    pub(crate) fn note_stale(&mut self) {
        self.counters.stale += 1;
    }

    /// Counts a message that came too early and was dropped. Its sender repeats it.
    pub(crate) fn note_early(&mut self) {
        self.counters.early += 1;
    }

    /// Counts what a walk over a long list looks at.
    pub(crate) fn note_walk(&mut self, entries: usize) {
        self.counters.walked += entries as u64;
    }

    /// There is no room for a member's message, which must not be lost: the link is to be reset.
    pub(crate) fn lose(&mut self, from: NodeId) {
        if !self.lost.contains(&from) {
            self.lost.push(from);
        }
    }

    /// Counts an impossible message: its sender has a bug.
    pub(crate) fn note_nonsense(&mut self) {
        self.counters.nonsense += 1;
    }

    /// A rule asked for something the engine cannot do. The log says why, and in development so does the refusal. Returns it.
    pub(crate) fn game_fault(&mut self, entity: EntityId, rule: &'static str, why: String) -> Refusal {
        self.counters.game_faults += 1;
        let mut refusal = game_error();
        if self.settings.explains {
            refusal.text = format!("{} `{rule}` of {entity}: {why}", refusal.text).into();
        }
        self.outputs.push_back(Output::GameFault { entity, rule, why });
        refusal
    }

    /// Home of a chunk in the present view.
    pub(crate) fn home_of_chunk(&self, chunk: ChunkId) -> Option<NodeId> {
        self.view.home_of_chunk(chunk, self.world().tract_chunks)
    }

    /// Home of an entity in the present view.
    pub(crate) fn home_of(&self, entity: EntityId) -> Option<NodeId> {
        self.view.home_of(entity, self.settings.rules.chunk_of(entity), self.world().tract_chunks)
    }

    /// The incarnation of a member of the present view.
    pub(crate) fn incarnation_of(&self, node: NodeId) -> Option<u64> {
        self.view.members.iter().find(|m| m.node == node).map(|m| m.incarnation)
    }

    /// The tick that world time is in.
    pub(crate) fn tick(&self) -> u32 {
        (self.now.world.0 / u64::from(self.world().tick_ms)) as u32
    }

    /// Whether the present view drains this node, and another member can take what it has.
    pub(crate) fn is_draining(&self) -> bool {
        let me = self.me();
        let drains = self.view.members.iter().any(|m| m.node == me && m.draining);
        drains && self.view.members.iter().any(|m| !m.draining)
    }

    /// A random number from `range`, to spread waits.
    pub(crate) fn spread(&mut self, range: std::ops::RangeInclusive<u32>) -> u32 {
        assert!(range.start() <= range.end(), "a wait has a range");
        let width = u64::from(range.end() - range.start()) + 1;
        range.start() + (self.rng.next_u64() % width) as u32
    }

    /// How long to wait before the next try, ms, after so many failures in a row before this one: between half and all of
    /// the longest wait.
    pub(crate) fn retry_ms(&mut self, retry: Retry, failures: u8) -> u64 {
        self.counters.retries += 1;
        let longest_ms = retry.longest_ms(failures);
        if self.planted(Planted::RetryAtOnce) {
            return 0;
        }
        self.spread(longest_ms / 2..=longest_ms).into()
    }

    pub(crate) fn next_batch(&mut self) -> u64 {
        assert!(self.last_batch < u64::MAX, "batch numbers do not run out");
        self.last_batch += 1;
        self.last_batch
    }

    /// Number of a load, or of a list.
    pub(crate) fn next_load(&mut self) -> u64 {
        self.last_load += 1;
        assert!(self.last_load as u32 != 0, "load numbers stay within their incarnation");
        self.last_load
    }

    pub(crate) fn after_ms(&mut self, ms: u64, timer: Timer) {
        self.timers.insert((self.now.time.plus_ms(ms), timer));
    }

    /// Sets a timer for a time. It fires at once if that is past.
    pub(crate) fn at(&mut self, at: Time, timer: Timer) {
        self.timers.insert((at.max(self.now.time), timer));
    }

    /// Goes on with this after other input: what is long is done in pieces.
    pub(crate) fn soon(&mut self, timer: Timer) {
        self.at(Time(self.now.time.0 + 1), timer);
    }

    /// Whether a message is of an epoch that this node has not reached yet.
    pub(crate) fn is_ahead(&self, message: &Peer) -> bool {
        matches!(message, Peer::Home { epoch, .. } if *epoch > self.view.epoch)
    }

    /// Ticks are aligned on world time, so that all nodes tick together.
    pub(crate) fn schedule_tick(&mut self) {
        let tick_us = u64::from(self.world().tick_ms) * 1_000;
        let into_us = (self.now.world.0 * 1_000) % tick_us;
        assert!(into_us < tick_us, "the next tick is within a tick");
        self.at(Time(self.now.time.0 + tick_us - into_us), Timer::Tick);
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Peer) {
        if to == self.me() {
            self.local.push_back(message);
        } else {
            // The link labels it when it leaves.
            self.outputs.push_back(Output::Peer { to, label: Label::default(), message });
        }
    }

    pub(crate) fn send_home(&mut self, to: NodeId, message: HomeMessage) {
        assert!(!self.view.members.is_empty(), "there are no homes before the first view");
        let epoch = self.view.epoch;
        self.send(to, Peer::Home { epoch, message });
    }

    pub(crate) fn send_edge(&mut self, edge: NodeId, conn: ConnId, player: EntityId, message: ToEdge) {
        self.send(edge, Peer::ToEdge { conn, player, message });
    }

    /// Queues one message for a client.
    pub(crate) fn send_client(&mut self, conn: ConnId, message: &ServerMessage, class: SendClass) {
        let bytes = message.encode_to_vec();
        assert!(!bytes.is_empty(), "no message encodes to nothing");
        let parts = vec![bytes.into()];
        self.outputs.push_back(Output::Send { conn, parts, class });
    }

    /// World time for an event of an entity whose last event happened at `last`.
    pub(crate) fn world_time_from(&self, last: WorldTime) -> WorldTime {
        if self.planted(Planted::TimeRunsBack) {
            return self.now.world;
        }
        self.now.world.max(last)
    }
}
