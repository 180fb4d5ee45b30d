//! The journal as a trait, an implementation in memory, and the conformance suite that every implementation passes.
//!
//! A node opens one [`Handle`] and reaches the journal only through it; outcomes come back through its [`Sink`]. Start with
//! [`Journal`]. Every journal with a real storage shares three parts: [`queue`] keeps what waits and forms groups, [`group`]
//! decides which batch of a group lands, [`commit`] says how each batch ended. [`Store`] is the whole journal as one plain value,
//! for simulation; the tests in [`suite`] define each promise; [`verify`] checks a whole journal.
//!
//! Not here: files, databases, threads. World time is handed in.

pub mod commit;
mod fault;
pub mod find;
pub mod group;
mod memory;
mod memory_first;
pub mod queue;
pub mod stats;
pub mod suite;
pub mod unplayed;
pub mod verify;

use std::ops::RangeInclusive;

use gundo_types::{EntityId, Figure, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, Loaded, Outcome, Wake, WakesAsked};

pub use fault::{Fault, Why, chain};
pub use group::NameRow;
pub use memory::{MemoryJournal, Replica, Store};
pub use memory_first::MemoryFirst;

/// How long an event stays readable after the snapshot that makes it unnecessary for loads, ms of world time.
pub const KEEP_MS: u64 = 3_600_000;

/// What comes back to a node.
#[derive(Debug)]
pub enum Completion {
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
        /// Echo of the request.
        load: u64,
        /// The entity, or why it could not be read.
        result: Result<Loaded, Fault>,
    },
    /// A list ended.
    Listed {
        /// The kind.
        kind: Kind,
        /// Echo of the request.
        list: u64,
        /// The ids, or why they could not be read.
        result: Result<Vec<u64>, Fault>,
    },
    /// A read of wakes ended.
    Woken {
        /// Echo of the request.
        list: u64,
        /// The wakes, or why they could not be read.
        result: Result<Vec<Wake>, Fault>,
    },
}

/// Receives a handle's completions. Called on the journal's threads (or inside the call that asked): it must not block, and must not
/// call the handle.
pub type Sink = Box<dyn Fn(Completion) + Send + Sync>;

/// A journal that nodes can open handles to.
///
/// Every method except [`handle`](Self::handle) may block on the storage: they are for starting, stopping, monitoring and tools, not
/// for a logic thread.
pub trait Journal: Send + Sync {
    /// Registers an incarnation of `node`: a row in `members`. The coordinator chose its number. An incarnation that is not above
    /// every earlier one is refused, unless its row is there: so a deleted row never comes back, however late a repeated request
    /// arrives.
    ///
    /// # Errors
    /// The storage cannot be written; the row may be there.
    fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault>;

    /// Deletes the row of an incarnation: from now on the journal accepts nothing from it.
    ///
    /// # Errors
    /// The storage cannot be written; the row may still be there.
    fn leave(&self, incarnation: u64) -> Result<(), Fault>;

    /// Whether the row of an incarnation is there. A node asks about its own row every second and stops when it was deleted.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn is_member(&self, incarnation: u64) -> Result<bool, Fault>;

    /// The present **generation**. It changes when the storage goes on from an earlier state: it was restored from a copy, or a
    /// replica took its place that lacks what was committed last. Every batch names the generation it was decided in, and ends as
    /// [`Outcome::Generation`] in any other one; every load says which one it has read. A node that meets a later generation
    /// loads all its entities again, and raises an alarm for those whose newest events are gone.
    ///
    /// 0 is the first generation. A later one has a higher number than every earlier one, also than one that is lost: usually
    /// the wall clock when it began, ms since 1970. Nodes ask about once per second.
    ///
    /// A storage that fails over by itself computes the number, so that nobody can forget to change it. PostgreSQL begins a new
    /// *timeline* with each promotion and each restore: the generation is the row (0 at first) shifted left by 20 bits plus the
    /// timeline id minus 1, both as of the transaction that appends or loads. A promotion that
    /// lost nothing changes it too: entities load again, and nothing is missing. Copies of one backup that are restored apart
    /// from each other may count the same timelines, so a restore also changes the row ([`begin_generation`]).
    ///
    /// [`begin_generation`]: Self::begin_generation
    ///
    /// # Errors
    /// The storage cannot be read.
    fn generation(&self) -> Result<u64, Fault>;

    /// Begins the next generation, durable on return, and returns its number: `wall_ms`, or one more than the present one if
    /// that is higher; of a storage that computes the number, that is the row. Call it after the storage was put back to an earlier state, before nodes append to it.
    ///
    /// # Errors
    /// The storage cannot be written; the generation may have begun.
    fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault>;

    /// Opens the handle of an incarnation. Does not block. Dropping it drops what still waits in its queue, as a crash would.
    fn handle(&self, node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle>;

    /// The note under `key` about the world: its game, its seed and the like.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn meta(&self, key: &str) -> Result<Option<String>, Fault>;

    /// Stores the note `value` under `key`, durable on return.
    ///
    /// # Errors
    /// The storage cannot be written.
    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault>;

    /// Stores the note `value` under `key` if there is none, durable on return, and returns the one that is there then: of several
    /// processes that settle one at once, all get the same.
    ///
    /// By default it reads and then writes, which is right where only one process writes.
    ///
    /// # Errors
    /// The storage cannot be read or written; the note may be there.
    fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
        match self.meta(key)? {
            Some(found) => Ok(found),
            None => self.set_meta(key, value).map(|()| value.to_owned()),
        }
    }

    /// Raises the number noted under `key` to `value` if it is lower or not there, durable on return, and returns the one that is there
    /// then: of several processes that raise one at once, the highest stays. What is no number counts as none.
    ///
    /// By default it reads and then writes, which is right where only one process writes.
    ///
    /// # Errors
    /// The storage cannot be read or written; the note may be raised.
    fn raise(&self, key: &str, value: u64) -> Result<u64, Fault> {
        match self.meta(key)?.and_then(|found| found.parse().ok()) {
            Some(found) if found >= value => Ok(found),
            _ => self.set_meta(key, &value.to_string()).map(|()| value),
        }
    }

    /// The newest row of a name; `None` if it never had an owner.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault>;

    /// Up to `max` streams in entity order, those after `after`. For tools.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault>;

    /// Up to `max` events of a stream with a seq above `after`, ascending; what was pruned is not there. For tools: an
    /// entity is read with [`Handle::load`].
    ///
    /// # Errors
    /// The storage cannot be read.
    fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault>;

    /// Deletes now, as of world time `now`, everything that pruning may delete (see [`group::prune_line`]). A real journal
    /// also does it by itself, in slices.
    ///
    /// # Errors
    /// The storage cannot be written; part of it may be done.
    fn prune(&self, now: WorldTime) -> Result<Pruned, Fault>;

    /// Removes streams whole, with their events, snapshots and names, as if they had never begun: each of those whose newest event still
    /// is the given one, so that nobody has appended since it was read. Durable on return. Returns how many: what is told after an
    /// unknown outcome may be less.
    ///
    /// A node that has such an entity in memory meets a conflict at its next append, and loads it again. So remove only what nothing
    /// else tells of.
    ///
    /// # Errors
    /// The storage cannot be written; some may be removed.
    fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault>;

    /// From now on events of these types are committed without waiting for the disk, where nothing else is in their group. A journal
    /// that knows no difference ignores it.
    fn set_memory_first(&self, _types: MemoryFirst) {}

    /// A world time that no event in the journal is later than, and that is at most a second later than the newest. `None`: there is no
    /// event, or the storage does not know.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn newest_at(&self) -> Result<Option<WorldTime>, Fault> {
        Ok(None)
    }

    /// How much room the storage has left. Ask about once per second. A storage that does not know has enough.
    fn room(&self) -> Room {
        Room::default()
    }

    /// What it counts, for operators. Cheap, and does not wait for the storage. Ask about once per second.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

/// The answer to [`Journal::register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The row is there.
    Registered,
    /// The row is not there and never will be: a later incarnation was registered, or this one has left.
    Passed {
        /// The newest incarnation that was ever registered.
        newest: u64,
    },
}

/// One incarnation's way to the journal. Bounded; never blocks.
pub trait Handle: Send {
    /// Hands over a batch. The outcome comes through the sink, in order for batches of one stream. Only when the handle's queue is
    /// full is the outcome `Rejected` at once, ahead of those of earlier batches.
    ///
    /// After any outcome but `Done`, batches that touch a stream of the failed one end as `Conflict` until they name a higher
    /// [`load`](gundo_wire::journal::StreamAppend::load). A batch with only `Fenced` events is exempt: the seqs alone decide
    /// whether it lands.
    ///
    /// A batch of another generation ends as `Generation`, also one that waited when the generation began.
    ///
    /// # Panics
    /// The batch has no stream, a stream twice, a stream without events, or is another incarnation's: a bug of the caller.
    fn append(&mut self, batch: Batch);

    /// Reads an entity, seeing every append whose outcome was given before.
    fn load(&mut self, entity: EntityId, load: u64);

    /// Reads which entities of `kind` have an event: the lowest `max` ids in `ids`, ascending. It sees every append whose outcome
    /// was given before. Its cost grows with what it finds, not with their events.
    fn list(&mut self, kind: Kind, ids: RangeInclusive<u64>, max: usize, list: u64);

    /// Reads which entities have something to do, by the appends that said so
    /// ([`StreamAppend::wake`](gundo_wire::journal::StreamAppend::wake)): those that are due, by time, and those of one time in an
    /// order of the journal's own. A reader that goes on after the last of them sees each once. It sees every append whose outcome was
    /// given before. Its cost grows with what it finds.
    fn wakes(&mut self, asked: WakesAsked, list: u64);
}

/// How much room a storage has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Free bytes; `None`: unknown.
    pub free_bytes: Option<u64>,
    /// So little that nodes should take nothing new: operators should make room; there is still enough for appends in flight.
    pub is_low: bool,
    /// The storage is not there any more, though it takes writes: what happened, and what to do. Nothing more is acknowledged.
    pub gone: Option<String>,
    /// Part of what is stored cannot be read: what was found first, and what to do. The rest goes on.
    pub damage: Option<String>,
    /// Bytes of its file, without its log; `None`: it has none, or it is elsewhere.
    pub file_bytes: Option<u64>,
    /// Bytes of the file of its log.
    pub log_bytes: Option<u64>,
    /// Its log is much longer than usual, because it cannot be moved into the file: why, and what to do.
    pub log_long: Option<String>,
}

/// A stream at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub entity: EntityId,
    /// Seq of the oldest event that is still there: 1 if nothing was pruned.
    pub first: u64,
    /// Seq of the newest event.
    pub last: u64,
    /// Seq of the event the newest snapshot ends in.
    pub snapshot: Option<u64>,
}

/// What a pruning deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events.
    pub events: u64,
    /// Snapshots.
    pub snapshots: u64,
}
