//! What the journal stores (generated records) and what nodes ask of it (batches, outcomes, loads).
//!
//! A [`Batch`] is the unit of an append: all of it lands or none of it.

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!("generated/journal.rs");
}

use bytes::Bytes;
pub use generated::*;
use gundo_types::{EntityId, NodeId, WorldTime};

/// A [`Snapshot`] whose inner messages stay encoded: the same on the wire. For code that writes a snapshot based on one that a
/// newer version wrote.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SnapshotParts {
    /// See [`Snapshot::state`].
    #[prost(bytes = "bytes", tag = "1")]
    pub state: Bytes,
    /// Encoded [`Answer`]s.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub answers: Vec<Bytes>,
    /// Encoded [`Session`].
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub session: Option<Bytes>,
    /// Encoded [`Place`].
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub place: Option<Bytes>,
    /// See [`Snapshot::at`].
    #[prost(uint64, tag = "5")]
    pub at: u64,
    /// See [`Snapshot::generation`].
    #[prost(uint64, tag = "6")]
    pub generation: u64,
    /// See [`Snapshot::generation_after`].
    #[prost(uint64, tag = "7")]
    pub generation_after: u64,
    /// See [`Snapshot::known`].
    #[prost(uint64, tag = "8")]
    pub known: u64,
    /// Encoded [`Post`].
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub post: Option<Bytes>,
    /// Encoded [`Timers`].
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub timers: Option<Bytes>,
    /// Encoded [`Orders`].
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub orders: Option<Bytes>,
}

/// `events.type`: which part of the system reads the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventType {
    /// The game's own event.
    Game = 0,
    /// No effect: written to settle whether an append of unknown outcome landed.
    Fenced = 1,
    /// Payload [`Session`]: a session began, or a new connection adopted it.
    Session = 2,
    /// No effect: records the answer to a command that changed nothing durable.
    Answered = 3,
    /// No effect: its cause records where the player's body was.
    Placed = 4,
    /// Payload [`Sent`]: the entity owes a message to another.
    Sent = 5,
    /// Payload [`Taken`]: the entity has taken a message of another, with the events that follow.
    Taken = 6,
    /// Payload [`Delivered`]: messages that it does not owe any more.
    Delivered = 7,
    /// Payload [`TimerSet`]: the entity's rule is to run at a world time.
    TimerSet = 8,
    /// Payload [`TimerOver`]: a timer has rung, with the events that follow; or it was cancelled.
    TimerOver = 9,
    /// Payload [`OrderTaken`]: the entity has taken an operator's order, with the events that follow.
    Ordered = 10,
}

impl EventType {
    /// The type with number `n`.
    pub fn from_u8(n: u8) -> Option<Self> {
        const ALL: [EventType; 11] = [
            EventType::Game,
            EventType::Fenced,
            EventType::Session,
            EventType::Answered,
            EventType::Placed,
            EventType::Sent,
            EventType::Taken,
            EventType::Delivered,
            EventType::TimerSet,
            EventType::TimerOver,
            EventType::Ordered,
        ];
        ALL.get(usize::from(n)).copied()
    }
}

/// One event as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// World time at which it happened.
    pub at: WorldTime,
    /// Encoded [`Cause`]; empty if there is none.
    pub cause: Bytes,
    /// Which part of the system reads the payload.
    pub event_type: EventType,
    /// The event.
    pub payload: Bytes,
}

/// The part of a batch that concerns one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream.
    pub entity: EntityId,
    /// Which load of the entity (per node, growing) the events were decided on.
    pub load: u64,
    /// Seq of the event just before the first of these; 0: the stream begins here.
    pub after: u64,
    /// At least one. They get the seqs `after + 1`, `after + 2`, …
    pub events: Vec<EventRecord>,
    /// Encoded [`Snapshot`] of the state after the last of the events.
    pub snapshot: Option<Bytes>,
    /// From this world time on the entity has something to do even if nobody needs it: see [`Wake`]. [`NEVER`]: it has nothing to do
    /// any more. `None`: as before.
    pub wake: Option<WorldTime>,
}

/// As a [`StreamAppend::wake`]: nothing waits for the entity.
pub const NEVER: WorldTime = WorldTime(i64::MAX as u64);

/// An entity that has something to do: from when on, and which one. The journal keeps one for each such entity, changed by the append
/// that says so.
pub type Wake = (WorldTime, EntityId);

/// Which wakes to read: those after `after`, in the journal's order, that are due at `until`; `max` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakesAsked {
    /// The last one that was read before; `None`: from the first on.
    pub after: Option<Wake>,
    /// World time.
    pub until: WorldTime,
    /// How many.
    pub max: usize,
}

/// A change to the table of unique names, in the same append as its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// Namespace, such as `player`.
    pub space: String,
    /// The name in its comparable form.
    pub name: String,
    /// The new owner; `None` releases the name.
    pub owner: Option<EntityId>,
}

/// A unit of appending: all or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Chosen by the node, echoed with the outcome.
    pub id: u64,
    /// The node that sends it.
    pub node: NodeId,
    /// Incarnation of the sender. Its row in `members` must be there.
    pub incarnation: u64,
    /// Generation of the journal that it was decided in. It must be the present one.
    pub generation: u64,
    /// Incarnations that prepared parts of the batch. Their rows must be there too.
    pub prepared_by: Vec<u64>,
    /// At least one; each stream at most once.
    pub streams: Vec<StreamAppend>,
    /// Names taken and released. A taken name that has another owner fails the batch as `Taken`.
    pub names: Vec<NameChange>,
}

impl Batch {
    /// Each stream, and the incarnation that loaded and decided it: the sender's own comes first, and then those that others
    /// prepared. Load numbers are counted by each incarnation for itself.
    pub fn loads(&self) -> impl Iterator<Item = (u64, &StreamAppend)> {
        let by = std::iter::once(self.incarnation).chain(self.prepared_by.iter().copied());
        by.chain(std::iter::repeat(self.incarnation)).zip(&self.streams)
    }
}

/// How an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is durable.
    Done,
    /// Nothing landed: other events are at these seqs, a predecessor is missing, an earlier batch of one of the streams failed,
    /// or a member has no row any more.
    Conflict,
    /// Nothing landed: a name has another owner.
    Taken,
    /// Nothing landed: the storage refuses to write (full, read-only). The text is for operators.
    Rejected(String),
    /// It may have landed, or may still land.
    Unknown,
    /// Nothing landed, and nothing will: the journal is in this generation, and the batch is of another one.
    Generation(u64),
}

/// An entity as read from the journal: newest snapshot, then every event after it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Seq and payload of the newest snapshot.
    pub snapshot: Option<(u64, Bytes)>,
    /// Events after it, gap-free and ascending.
    pub events: Vec<(u64, EventRecord)>,
    /// The generation of the journal that it was read from.
    pub generation: u64,
}

impl Loaded {
    /// Seq of its newest event; 0: it has none.
    pub fn last_seq(&self) -> u64 {
        let newest = self.events.last().map(|(seq, _)| *seq);
        newest.or(self.snapshot.as_ref().map(|(seq, _)| *seq)).unwrap_or(0)
    }
}
