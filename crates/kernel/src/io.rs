//! What goes into a kernel and what comes out: the whole contract with the drivers.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, Kind, Limits, NodeId, Planted, Term, Time};
use gundo_wire::client::{ClientMessage, Closing};
use gundo_wire::journal::{Batch, Loaded, Outcome};

use crate::peer::Peer;

/// A membership view: who belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct View {
    /// Grows by one with every change.
    pub epoch: Epoch,
    /// In node order.
    pub members: Vec<Member>,
}

/// A member of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Its incarnation: the id of its row in `members`.
    pub incarnation: u64,
    /// Host of its edge as clients reach it; empty: the host they came by.
    pub host: String,
    /// Port of its edge.
    pub port: u16,
    /// Share of the homes it takes, relative to the others: 1..=16, default 1.
    pub weight: u8,
    /// It is being emptied: it is home of nothing, takes nothing new, and gives away what it has.
    pub draining: bool,
}

/// Something that happened to a node.
#[derive(Debug)]
pub enum Input {
    /// A new membership view. Nothing is done before the first.
    View(View),
    /// A client's message, decoded and within the limits of size and rate.
    Client {
        /// The connection it came by.
        conn: ConnId,
        /// The message.
        message: ClientMessage,
    },
    /// A client's connection is gone, also one that was closed by [`Output::Close`]. Nothing is sent to it any more.
    Gone {
        /// The connection.
        conn: ConnId,
    },
    /// The connection's send queue was full: frames were dropped and shall stop.
    Lagging {
        /// The connection.
        conn: ConnId,
    },
    /// The send queue of a lagging connection is empty again: keyframes, please.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A peer's message.
    Peer {
        /// The sender.
        from: NodeId,
        /// Its incarnation: what a removed one still says is not heard.
        incarnation: u64,
        /// The message.
        message: Peer,
    },
    /// The link to a peer was reset: it has crashed, most likely.
    LinkBroken {
        /// The peer.
        peer: NodeId,
    },
    /// A renewal of the lease ended.
    Renewed {
        /// As in [`Output::Renew`].
        sent: Time,
        /// How.
        renewal: Renewal,
    },
    /// An append ended.
    Appended {
        /// [`Batch::id`].
        batch: u64,
        /// How.
        outcome: Outcome,
    },
    /// A load ended.
    Loaded {
        /// The entity.
        entity: EntityId,
        /// Which load, as in [`Output::Load`].
        load: u64,
        /// `Err`: the journal could not be read now (text for operators); the kernel tries again.
        result: Result<Loaded, String>,
    },
    /// A list ended.
    Listed {
        /// The kind.
        kind: Kind,
        /// Which list, as in [`Output::List`].
        list: u64,
        /// The ids, ascending. `Err`: as for a load.
        result: Result<Vec<u64>, String>,
    },
    /// Time has passed: give this when [`poll_timeout`](crate::Node::poll_timeout) is due.
    Timeout,
    /// What the driver knows of itself, for clients that watch: give it about once per second.
    Gauges(Gauges),
    /// Creatures stand still, or move again: for checkers, which compare pictures at rest.
    Hold(bool),
    /// Save everything, tell every client, then [`Output::Stopped`].
    Stop,
}

/// How a renewal of a node's lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease runs anew from when the renewal was sent.
    Renewed,
    /// The node was removed: its row in `members` is gone.
    Removed,
    /// The coordinator (or the journal) could not be asked.
    Failed,
}

/// The driver's own indicators, shown in the x-ray view, and what the kernel must know of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Longest handling of a tick in the last second, µs.
    pub tick_us: u32,
    /// Inputs waiting.
    pub inbox: u32,
    /// The journal's disk is nearly full: what would add to the world is refused with `storage_full`.
    pub storage_full: bool,
    /// Share of the last second in which the logic thread worked, ‰.
    pub load_permille: u32,
}

/// Something a node wants done.
#[derive(Debug)]
pub enum Output {
    /// Lay `parts` end to end as one WebSocket message. Each part is a [`ServerMessage`](gundo_wire::client::ServerMessage) or
    /// several in a row.
    Send {
        /// The connection.
        conn: ConnId,
        /// Encoded, in order. Shared: the same bytes go to many.
        parts: Parts,
        /// Whether it may be dropped.
        class: SendClass,
    },
    /// Close the connection after everything queued for it.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why: the last message to the client, class [`SendClass::Kept`]. `None`: the client said Bye.
        closing: Option<Closing>,
    },
    /// A message for a peer (never for the node itself).
    Peer {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Peer,
    },
    /// Append to the journal; answer with [`Input::Appended`].
    Append(Batch),
    /// Load from the journal, seeing every append that was answered before; answer with [`Input::Loaded`].
    Load {
        /// The entity.
        entity: EntityId,
        /// Echo it.
        load: u64,
    },
    /// Ask the journal which entities of a kind there are, seeing what a load would; answer with [`Input::Listed`].
    List {
        /// The kind.
        kind: Kind,
        /// Ids among which to look.
        ids: RangeInclusive<u64>,
        /// How many ids are wanted at most: the lowest.
        max: usize,
        /// Echo it.
        list: u64,
    },
    /// Renew this node's lease with the coordinator, and look for its row in `members`; answer with [`Input::Renewed`].
    Renew {
        /// Echo it: the lease counts from here.
        sent: Time,
    },
    /// Have the coordinator remove a member, if its view is still this one: first its row in `members`, then from the view.
    Remove {
        /// The view it was decided on.
        epoch: Epoch,
        /// The member.
        node: NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// Others have a newer view: ask the coordinator for the present one; answer with [`Input::View`].
    ViewWanted,
    /// This node does not belong any more: end as after a crash. It says nothing more.
    Fenced,
    /// Game code panicked, or said what cannot be, and the kernel has dealt with it: something to write down for operators.
    Panicked {
        /// At which entity.
        entity: EntityId,
        /// Which rule: `decide`, `apply`, `tick` and so on. `place`: it puts the entity outside its chunk.
        doing: &'static str,
        /// That was one panic too many: the entity is suspended from now on.
        suspended: bool,
    },
    /// A rule did what the engine cannot do, and the command was refused with `game_error`: something to write down for whoever writes
    /// the game.
    GameFault {
        /// At which entity.
        entity: EntityId,
        /// Which rule.
        rule: &'static str,
        /// What was wrong, and what to do.
        why: String,
    },
    /// The driver may end: after [`Input::Stop`] everything is saved; a node that a view empties has nothing left,
    /// and takes nothing more.
    Stopped,
}

/// The parts of one message.
pub type Parts = Vec<Bytes>;

/// Whether a message may be dropped when the client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendClass {
    /// Frames: dropped when the send queue is full; then [`Input::Lagging`].
    Frames,
    /// Keyframes after [`Input::Drained`] and everything else that must arrive in order, but is not counted as a reply.
    Kept,
    /// A reply: counted against `replies_waiting_max`.
    Reply,
}

/// What is equal on all nodes of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSettings {
    /// Length of a tick, ms (default 100).
    pub tick_ms: u32,
    /// How long after a tick's begin frames are handed to clients, ms: peers' frames of the same tick arrive meanwhile
    /// (default 15).
    pub flush_after_ms: u32,
    /// Sight of a session: tiers by distance in chunks (default 1, 2, 3: 90, 150 and 210 m squares).
    pub sight_chunks: [u32; 3],
    /// Ticks between motion frames in each tier (default 1, 3, 10).
    pub tier_ticks: [u32; 3],
    /// Side of a tract, chunks (default 4): chunks placed together.
    pub tract_chunks: u16,
    /// How long a player stays in the world without a connection, ms (default 30,000).
    pub grace_ms: u64,
    /// Events between snapshots of an entity (default 300).
    pub snapshot_every: u64,
    /// A walking player's place is made durable at most this often, ms (default 30,000).
    pub place_every_ms: u64,
    /// How long an at-home entity stays loaded when nobody needs it, ms (default 10,000).
    pub idle_ms: u64,
    /// How long a node that cannot renew its membership goes on, ms (default 5,000), unless the coordinator is what is down.
    pub lease_ms: u64,
    /// A peer whose link was reset counts as unreachable after this time, ms (default 300).
    pub confirm_broken_ms: u64,
    /// A peer that says nothing counts as unreachable after this time, ms (default 2,000; heartbeats come every 250).
    pub confirm_silent_ms: u64,
    /// Appends a node may have on their way to the journal (default 1,024). Beyond, what would be appended next waits.
    pub appends_waiting_max: usize,
    /// Bytes a node may have on their way to the journal (default 8 MiB). Beyond, what would be appended next waits.
    pub append_bytes_waiting_max: usize,
    /// An append without an answer for this long means that the journal is slow, ms (default 2,000): what would be appended next
    /// waits.
    pub append_slow_ms: u64,
    /// How long a command waits for the journal before it is refused with `storage_busy`, ms (default 5,000).
    pub append_wait_ms: u64,
    /// How long a player's surroundings must have had another home than its node before it is handed to that one, ms
    /// (default 3,000; looked at once per second). 0: it stays where its session began.
    pub follow_after_ms: u64,
    /// Limits on clients.
    pub limits: Limits,
}

impl WorldSettings {
    /// How long a coordinator keeps a member that does not renew, ms: a quarter longer than the member itself goes on, for its
    /// last renewal may have been under way for a while.
    pub const fn membership_ms(&self) -> u64 {
        self.lease_ms + self.lease_ms / 4
    }
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            tick_ms: 100,
            flush_after_ms: 15,
            sight_chunks: [1, 2, 3],
            tier_ticks: [1, 3, 10],
            tract_chunks: 4,
            grace_ms: 30_000,
            snapshot_every: 300,
            place_every_ms: 30_000,
            idle_ms: 10_000,
            lease_ms: 5_000,
            confirm_broken_ms: 300,
            confirm_silent_ms: 2_000,
            appends_waiting_max: 1_024,
            append_bytes_waiting_max: 8 << 20,
            append_slow_ms: 2_000,
            append_wait_ms: 5_000,
            follow_after_ms: 3_000,
            limits: Limits::default(),
        }
    }
}

/// What makes one node itself.
#[derive(Clone)]
pub struct NodeSettings {
    /// Its number.
    pub node: NodeId,
    /// Its incarnation: the id of its row in `members`.
    pub incarnation: u64,
    /// Seed of all its chance. From the operating system in production: resume tokens hang on it.
    pub seed: [u8; 32],
    /// The world's settings.
    pub world: Arc<WorldSettings>,
    /// The game.
    pub rules: Arc<crate::game::Rules>,
    /// Whether a player hears why a rule could not do what it wanted (`game_error`): in development.
    pub explains: bool,
    /// A mistake on purpose, for the simulator; without the feature `planted` it is ignored.
    pub planted: Option<Planted>,
}

/// An entity that is real on a node, as checkers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RealState<'a> {
    /// Which.
    pub id: EntityId,
    /// Its term.
    pub term: Term,
    /// It is offered to another node, and takes no work until it is known whose it is.
    pub frozen: bool,
    /// Seq of its last event, durable or not.
    pub seq: u64,
    /// Whether nothing of it is in flight: no append, no lock, no waiting work.
    pub settled: bool,
    /// Sessions and parts of others' commands that wait: `waiting_per_entity_max` at most.
    pub waiting: usize,
    /// How long the oldest work has been waiting that the journal has no room for, ms: less than `append_wait_ms`.
    pub held_ms: u64,
    /// Chunk, public part and body as shown to others; `None`: it is not shown.
    pub shown: Option<(ChunkId, &'a Bytes, Option<Body>)>,
}

/// Counters and gauges of a kernel, for the driver's indicators. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands answered with success.
    pub commands_done: u64,
    /// Commands refused.
    pub commands_refused: u64,
    /// Appends sent to the journal.
    pub appends: u64,
    /// Appends that ended otherwise than Done.
    pub appends_failed: u64,
    /// Appends whose outcome is awaited (gauge).
    pub appends_waiting: u64,
    /// 1 while the journal is slow, that is, what would be appended next waits (gauge).
    pub journal_slow: u64,
    /// 1 while the disk is nearly full (gauge).
    pub storage_full: u64,
    /// Players whose commands wait for the journal (gauge).
    pub held: u64,
    /// Commands and hellos refused with `storage_busy`.
    pub refused_storage_busy: u64,
    /// Commands and hellos refused with `storage_full`.
    pub refused_storage_full: u64,
    /// New players sent away because too much was going on.
    pub refused_busy_world: u64,
    /// How far down the ladder of overload it is: 0 (not at all) to 4 (gauge).
    pub overload_level: u64,
    /// Seconds at each level.
    pub overload_seconds: [u64; 5],
    /// Entities real here (gauge).
    pub reals: u64,
    /// Entities seen here and real elsewhere (gauge).
    pub ghosts: u64,
    /// Sessions at this edge (gauge).
    pub sessions: u64,
    /// Chunks subscribed (gauge).
    pub chunks: u64,
    /// Moves accepted.
    pub moves: u64,
    /// Moves corrected.
    pub corrections: u64,
    /// Frames encoded.
    pub frames: u64,
    /// Entity updates delivered to clients (motion entries × receivers).
    pub updates: u64,
    /// Keyframes sent to clients.
    pub keyframes: u64,
    /// Messages of something that is past: of an old view, of an entity that has left, of a transaction that has ended.
    pub stale: u64,
    /// Messages that came before their time and were dropped: their senders repeat them.
    pub early: u64,
    /// Panics of game code.
    pub game_panics: u64,
    /// What rules wanted and the engine could not do: [`Output::GameFault`].
    pub game_faults: u64,
    /// Times that an entity with a place was put outside its chunk, and so is not shown.
    pub misplaced: u64,
    /// Times that more entities of a kind had their place in a chunk than are listed: the others are not shown.
    pub lists_cut: u64,
    /// Entities that were suspended because their code panicked again and again.
    pub suspensions: u64,
    /// Entities that are suspended now (gauge).
    pub suspended: u64,
    /// Messages refused because they say what cannot be.
    pub nonsense: u64,
    /// Entities whose journal could not be read.
    pub broken: u64,
    /// Fences written.
    pub fences: u64,
    /// Players handed to another node.
    pub handoffs: u64,
    /// Players that should have been handed to another node and stayed.
    pub handoffs_failed: u64,
    /// Players that are being handed over now, from here or to here (gauge).
    pub handing_over: u64,
}
