//! What goes into a kernel and what comes out: the whole contract with the drivers.

mod gauges;
mod seen;

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{
    Admission, ConnId, EdgeAddress, EntityId, Epoch, Kind, Limits, NodeId, Origin, Planted, Site, Time,
};
use gundo_wire::client::{ClientMessage, Closing};
use gundo_wire::journal::{Batch, Loaded, Outcome, Wake, WakesAsked};
use gundo_wire::peer::WHOLE_BYTES_MAX;

pub use self::gauges::Gauges;
pub use self::seen::{RealState, Size};
use crate::peer::{Label, Order, OrderEnd, Peer, WorldSecret};

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
    /// Where clients find its edge.
    pub address: EdgeAddress,
    /// Where it runs.
    pub site: Site,
    /// Its share of the homes, relative to the others: 1..=16, default 1.
    pub weight: u8,
    /// It drains: it is home of nothing, takes nothing new, and gives away what it owns.
    pub draining: bool,
}

/// Something that happened to a node.
#[derive(Debug)]
pub enum Input {
    /// A new membership view. The node does nothing before the first.
    View(View),
    /// Where the client of a new connection comes from, before its first message. Without it new players from there are not counted.
    From {
        /// The connection.
        conn: ConnId,
        /// Its address.
        from: Origin,
    },
    /// A client's message, decoded and within the limits of size and rate.
    Client {
        /// The connection it came by.
        conn: ConnId,
        /// The message.
        message: ClientMessage,
    },
    /// A client's connection has closed, also after [`Output::Close`]. The node sends nothing more to it.
    Gone {
        /// The connection.
        conn: ConnId,
    },
    /// The connection's send queue was full and the driver dropped frames: send no more until `Drained`.
    Lagging {
        /// The connection.
        conn: ConnId,
    },
    /// The send queue of a lagging connection is empty again: send keyframes.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A peer's message.
    Peer {
        /// The sender.
        from: NodeId,
        /// As the sender gave it with the message. The node ignores an incarnation that was removed.
        label: Label,
        /// The message.
        message: Peer,
    },
    /// The connection to a peer broke: most likely the peer has crashed. Whatever was in flight may be lost; what must arrive is
    /// sent again at once. Drop it, or send it by the next connection.
    LinkBroken {
        /// The peer.
        peer: NodeId,
        /// Its incarnation: a report about an earlier one says nothing about the present one.
        incarnation: u64,
    },
    /// Messages to a peer that must arrive are lost for good, whatever connections come: the driver had no room for them, or
    /// could not write them.
    LinkLost {
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
    /// The journal has answered [`Output::AskRow`]. Without an answer nothing is given.
    Row {
        /// As in [`Output::AskRow`].
        sent: Time,
        /// Whether the node's row is in `members`.
        stands: bool,
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
        /// `Err`: the journal could not be read now (text for operators); the kernel retries.
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
    /// A read of wakes ended.
    Woken {
        /// Which one, as in [`Output::Wakes`].
        list: u64,
        /// `Err`: as for a load.
        result: Result<Vec<Wake>, String>,
    },
    /// While its node ran code of this entity it was lost, by a hang or an abort. Tell every node, and a new one before its first
    /// view. At
    /// [`BLAME_LIMIT`](crate::game::BLAME_LIMIT) points the entity is not loaded any more.
    Blamed {
        /// The entity.
        entity: EntityId,
        /// Its points of blame so far ([`Rule::blame`](crate::game::Rule::blame)); 0: an operator pardons it, and it is loaded
        /// again.
        points: u8,
    },
    /// An operator gives an entity an order through this node. While one with this number is under way, give no other.
    Order {
        /// The entity.
        entity: EntityId,
        /// The order. Its node does not matter.
        order: Box<Order>,
    },
    /// Time has passed: give this when [`poll_timeout`](crate::Node::poll_timeout) is due.
    Timeout,
    /// The driver's own gauges, for the x-ray view and the overload ladder: give them about once per second.
    Gauges(Gauges),
    /// Creatures stand still, or move again: for checkers, which compare pictures at rest.
    Hold(bool),
    /// Save everything, say goodbye to every client, then give [`Output::Stopped`].
    Stop,
}

/// Entities that nodes were lost over: a node remembers so many. Further ones are not counted.
pub const BLAMED_MAX: usize = 1_024;

/// How a renewal of a node's lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is renewed and counts from when the renewal was sent.
    Renewed,
    /// The node was removed: it has no row in `members` any more.
    Removed,
    /// The coordinator (or the journal) could not do it, or did not answer in time.
    Failed,
}

/// Something the driver is to do.
#[derive(Debug)]
pub enum Output {
    /// Lay `parts` end to end as one WebSocket message. Each part is a [`ServerMessage`](gundo_wire::client::ServerMessage) or
    /// several in a row.
    Send {
        /// The connection.
        conn: ConnId,
        /// Encoded, in order. Shared: many connections get the same bytes.
        parts: Parts,
        /// Whether it may be dropped.
        class: SendClass,
    },
    /// Close the connection after everything queued for it.
    Close {
        /// The connection.
        conn: ConnId,
        /// The reason: the last message to the client, class [`SendClass::Kept`]. `None`: the client said Bye.
        closing: Option<Closing>,
    },
    /// A message for a peer (never for the node itself).
    Peer {
        /// The receiver.
        to: NodeId,
        /// Give it to the receiver with the message.
        label: Label,
        /// The message.
        message: Peer,
    },
    /// Append to the journal; answer with [`Input::Appended`].
    Append(Batch),
    /// Load from the journal. The load must see every append that was answered before; answer with [`Input::Loaded`].
    Load {
        /// The entity.
        entity: EntityId,
        /// Echo it.
        load: u64,
    },
    /// List the entities of a kind that are in the journal, as consistently as a load; answer with [`Input::Listed`].
    List {
        /// The kind.
        kind: Kind,
        /// Ids among which to look.
        ids: RangeInclusive<u64>,
        /// How many ids at most: the lowest ones.
        max: usize,
        /// Echo it.
        list: u64,
    },
    /// Read which entities have something to do, as consistently as a load; answer with [`Input::Woken`].
    Wakes {
        /// Which.
        asked: WakesAsked,
        /// Echo it.
        list: u64,
    },
    /// Renew this node's lease with the coordinator, and look for its row in `members`; answer with [`Input::Renewed`]. A call that
    /// is never answered counts as failed.
    Renew {
        /// Echo it: the lease counts from here.
        sent: Time,
    },
    /// The coordinator does not renew: ask the journal itself for this node's row in `members`; answer with [`Input::Row`].
    AskRow {
        /// Echo it.
        sent: Time,
    },
    /// Have the coordinator remove a member, if the view is still this one: first its row in `members`, then from the view.
    Remove {
        /// Epoch of the view that the decision is based on.
        epoch: Epoch,
        /// The member.
        node: NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// Others have a newer view: ask the coordinator for the present one; answer with [`Input::View`].
    ViewWanted,
    /// This node is no member any more: end the process as after a crash. No output follows.
    Fenced,
    /// Game code panicked or returned something impossible, and the kernel has dealt with it: log it for operators.
    Panicked {
        /// At which entity.
        entity: EntityId,
        /// In which rule: `decide`, `apply`, `tick` and so on. `place`: it puts the entity outside its chunk.
        doing: &'static str,
        /// That was one panic too many: the entity is suspended from now.
        suspended: bool,
    },
    /// A rule asked for something the engine cannot do, and the kernel refused the command with `game_error`: log it for the
    /// game's author.
    GameFault {
        /// At which entity.
        entity: EntityId,
        /// Which rule.
        rule: &'static str,
        /// What is wrong, and how to fix it.
        why: String,
    },
    /// The journal has gone back to an earlier state, and lacks events that were durable: answers and others' pictures may have
    /// told of them. An alarm, for operators. There may be several about one generation; none names an entity again.
    TailsLost {
        /// The generation of the journal that has begun.
        generation: u64,
        /// The entities, 1,000 at most.
        lost: Vec<TailLost>,
        /// Entities beyond that.
        more: u64,
    },
    /// An operator's order has ended: tell the operator.
    Ordered {
        /// The request's number.
        request: u64,
        /// How.
        end: OrderEnd,
    },
    /// The driver may end. After [`Input::Stop`] everything is saved that the journal took (see [`Counters::places_unsaved`]); after a drain nothing is left, and the node takes no more
    /// input.
    Stopped,
}

/// A stream that ends earlier than it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLost {
    /// The entity.
    pub entity: EntityId,
    /// Seq of the newest event that was durable.
    pub known: u64,
    /// Seq of the newest of those that are still there.
    pub found: u64,
}

/// The parts of one message.
pub type Parts = Vec<Bytes>;

/// Whether a message may be dropped when the client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendClass {
    /// Frames: dropped when the send queue is full; then [`Input::Lagging`].
    Frames,
    /// Keyframes after [`Input::Drained`], and everything else that must arrive in order but does not count as a reply.
    Kept,
    /// A reply: counts against `replies_waiting_max`.
    Reply,
}

/// Settings that are equal on all nodes of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSettings {
    /// Length of a tick, ms (default 100).
    pub tick_ms: u32,
    /// How long after the start of a tick the edge passes frames to clients, ms (default 15): peers' frames of the same tick
    /// arrive meanwhile.
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
    /// How often a walking player's place becomes durable at most, ms (default 30,000).
    pub place_every_ms: u64,
    /// How long a player is kept that never did anything and is not in the world, ms of world time (default 86,400,000: a day). Then
    /// it is removed, and its name is free. 0: for ever.
    pub unplayed_ms: u64,
    /// How long an at-home entity that nobody needs stays loaded, ms (default 10,000).
    pub idle_ms: u64,
    /// How long a node goes on after the coordinator or the journal last confirmed that it belongs, ms (default 5,000), unless
    /// both are down for all.
    pub lease_ms: u64,
    /// How long after a link broke the peer counts as unreachable, ms (default 300), if the link has no history; otherwise that decides.
    pub confirm_broken_ms: u64,
    /// The same for a peer that is silent, ms (default 2,000; heartbeats come every 250).
    pub confirm_silent_ms: u64,
    /// Appends that a node may have in flight to the journal (default 1,024). At the limit new appends wait.
    pub appends_waiting_max: usize,
    /// Bytes that a node may have in flight to the journal (default 8 MiB). At the limit new appends wait.
    pub append_bytes_waiting_max: usize,
    /// How old an unanswered append must be for the journal to count as slow, ms (default 2,000). While it is slow, new appends
    /// wait.
    pub append_slow_ms: u64,
    /// How long a command waits for room in the journal before it is refused with `storage_busy`, ms (default 5,000).
    pub append_wait_ms: u64,
    /// How long another node must have been home of a player's surroundings before the player is handed to that node, ms
    /// (default 3,000; checked once per second). 0: the player stays where its session began.
    pub follow_after_ms: u64,
    /// Bytes that a node keeps for another one until that has acknowledged them (default 32 MiB). Beyond that it drops them, and
    /// both begin again: everything soft between the two is announced again.
    pub link_bytes_max: usize,
    /// Bytes of one message to another node (default 256 KiB). A longer one comes in pieces of this size.
    pub piece_bytes_max: usize,
    /// Who may come in as a new player (default: everybody). Nodes may differ: it is changed node by node.
    pub newcomers: Admission,
    /// Limits on clients.
    pub limits: Limits,
}

impl WorldSettings {
    /// Bytes of a message that travels in pieces. They are kept until they have arrived: beyond this there would never be room.
    pub fn whole_bytes_max(&self) -> usize {
        WHOLE_BYTES_MAX.min(self.link_bytes_max / 2)
    }

    /// How long a coordinator keeps a member that does not renew, ms: a quarter longer than the member itself goes on, because
    /// its last renewal may have taken a while to arrive.
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
            unplayed_ms: 86_400_000,
            idle_ms: 10_000,
            lease_ms: 5_000,
            confirm_broken_ms: 300,
            confirm_silent_ms: 2_000,
            appends_waiting_max: 1_024,
            append_bytes_waiting_max: 8 << 20,
            append_slow_ms: 2_000,
            append_wait_ms: 5_000,
            follow_after_ms: 3_000,
            link_bytes_max: 32 << 20,
            piece_bytes_max: 256 << 10,
            newcomers: Admission::Open,
            limits: Limits::default(),
        }
    }
}

/// Settings of one node.
#[derive(Clone)]
pub struct NodeSettings {
    /// Its number.
    pub node: NodeId,
    /// Its incarnation: the id of its row in `members`.
    pub incarnation: u64,
    /// Seed of all its randomness.
    pub seed: [u8; 32],
    /// The world's secret, equal on all nodes: resume tokens depend on it.
    pub secret: WorldSecret,
    /// The world's settings.
    pub world: Arc<WorldSettings>,
    /// The game.
    pub rules: Arc<crate::game::Rules>,
    /// Whether a `game_error` refusal tells the player what the rule did wrong: in development.
    pub explains: bool,
    /// A deliberate mistake, for the simulator; ignored without the feature `planted`.
    pub planted: Option<Planted>,
}

/// Counters and gauges of a kernel, for the driver's indicators. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands answered with success.
    pub commands_done: u64,
    /// Commands refused.
    pub commands_refused: u64,
    /// Commands refused because their player gave too many of that kind.
    pub refused_too_often: u64,
    /// Signals dropped because there were too many in their chunk at once.
    pub signals_dropped: u64,
    /// Appends sent to the journal.
    pub appends: u64,
    /// Appends with any outcome but Done.
    pub appends_failed: u64,
    /// New generations of the journal that this node has met.
    pub journal_generations: u64,
    /// Entities whose newest durable events were gone in a new generation.
    pub tails_lost: u64,
    /// Appends in flight (gauge).
    pub appends_waiting: u64,
    /// 1 while the journal is slow, that is, while new appends wait (gauge).
    pub journal_slow: u64,
    /// 1 while the disk is nearly full (gauge).
    pub storage_full: u64,
    /// Players whose commands wait for the journal (gauge).
    pub held: u64,
    /// Of a node that stops: players in the world, whose last place is not durable yet (gauge).
    pub places_unsaved: u64,
    /// Of a node that stops: entities with work or appends in flight, or that are being read (gauge).
    pub unsettled: u64,
    /// Commands and hellos refused with `storage_busy`.
    pub refused_storage_busy: u64,
    /// Commands and hellos refused with `storage_full`.
    pub refused_storage_full: u64,
    /// New players refused because too many come from their address.
    pub refused_too_many_new: u64,
    /// New players refused because the node was too busy.
    pub refused_busy_world: u64,
    /// Hellos refused for a token that this world has not made, or for naming another world: from memory.
    pub refused_unknown_world: u64,
    /// Hellos of new players refused because they have no good invitation, or nobody may be new.
    pub refused_not_invited: u64,
    /// Hellos with tokens of an earlier version that were to come back, because there were too many of them.
    pub refused_old_token: u64,
    /// Hellos refused because the node's world time was more than a second off.
    pub refused_clock_off: u64,
    /// World time as of the last input, ms (gauge).
    pub world_ms: u64,
    /// By how much the node's world time differs from that of the other members, ms (gauge).
    pub clock_off_ms: u64,
    /// Its level on the overload ladder: 0 (none) to 4 (gauge).
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
    /// Stale messages: of an old view, of an entity that was unloaded, of a transaction that has ended.
    pub stale: u64,
    /// Failed loads, lists, fences, appends and transactions that are tried again.
    pub retries: u64,
    /// Messages that came too early and were dropped: their senders repeat them.
    pub early: u64,
    /// Entries that walks over long lists have looked at: of entities, chunks and work. It grows with what changes.
    pub walked: u64,
    /// Panics of game code.
    pub game_panics: u64,
    /// Times that a rule asked for something the engine cannot do: [`Output::GameFault`].
    pub game_faults: u64,
    /// Times that a rule put an entity with a place outside its chunk, so that nobody sees it.
    pub misplaced: u64,
    /// Entities that were suspended because their code panicked too often.
    pub suspensions: u64,
    /// Entities that are not loaded because nodes were lost over them (gauge).
    pub blamed: u64,
    /// Entities that are suspended now (gauge).
    pub suspended: u64,
    /// Messages refused because they are impossible.
    pub nonsense: u64,
    /// Entities whose journal could not be read.
    pub broken: u64,
    /// Messages of other nodes that were not taken: they had been taken before, or earlier ones are missing.
    pub links_repeated: u64,
    /// Times that a link to another node was reset: messages were lost for good, and everything was announced again.
    pub link_resets: u64,
    /// Messages to other nodes that were not sent because they are too large to travel, even in pieces.
    pub too_large: u64,
    /// Bytes kept for other nodes until those have acknowledged them (gauge).
    pub link_bytes: u64,
    /// Fences written.
    pub fences: u64,
    /// Players handed to another node.
    pub handoffs: u64,
    /// Players whose handoff to another node failed: they stayed.
    pub handoffs_failed: u64,
    /// Players that are being handed over now, from here or to here (gauge).
    pub handing_over: u64,
    /// Entities that clients of this edge watch (gauge).
    pub watches: u64,
    /// Entities at home here that are watched, from this node or others (gauge).
    pub watched: u64,
    /// Messages to single players that decisions made here contain.
    pub tells: u64,
    /// Messages to single players that were dropped here: the player is offline or being located, or its client reads too slowly.
    pub tells_lost: u64,
    /// Messages of other entities that entities here have taken.
    pub mail_taken: u64,
    /// Operators' orders that entities have decided, refusals included.
    pub orders_taken: u64,
    /// Messages between entities that were given up: nobody took them in time, or the rules of the receiver failed.
    pub mail_lost: u64,
    /// Timers whose rules have run.
    pub timers_rung: u64,
    /// Timers that are over without effect because their rules failed, or the journal refused what they decided.
    pub timers_lost: u64,
}
