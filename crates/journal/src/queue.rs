//! What waits to be committed: a bounded queue per node, served round-robin, from which the writer takes groups.
//!
//! [`Queues`] is all of it as a plain value: no locks, no threads, no clock. [`SharedQueues`] puts it between the threads of nodes
//! and those of a journal, and provides a [`Handle`](crate::Handle). Start with [`Queues::push`] and
//! [`Queues::take_group`].
//!
//! Not here: which batch of a group lands ([`group`](crate::group)) and how a group ends ([`commit`](crate::commit)).

mod loads;
mod outlet;
mod shared;

use std::collections::{BTreeMap, VecDeque};

use gundo_types::EntityId;
use gundo_wire::journal::{Batch, Outcome, StreamAppend};

pub use loads::{ListRequest, LoadRequest, ReadRequest, WakesRequest};
pub use shared::{Replies, Reply, SharedQueues, Work};

/// How much may wait, and how large a group is. The defaults suit production.
#[derive(Clone, Debug)]
pub struct QueueLimits {
    /// Batches waiting in one node's queue (default 8,192). Further ones are `Rejected` at once.
    pub batches_max: usize,
    /// Bytes waiting in one node's queue (default 32 MiB). Further batches are `Rejected` at once. An empty queue takes a batch of
    /// any size: it would never fit otherwise.
    pub bytes_max: usize,
    /// Loads and lists of one node that wait (default 65,536). Further ones end with a fault at once.
    pub loads_max: usize,
    /// Batches in one group (default 1,024): the rest waits for the next group, so that a flood does not make everybody wait for
    /// one long commit.
    pub group_batches_max: usize,
    /// Bytes in one group (default 4 MiB), give or take one batch.
    pub group_bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            batches_max: 8_192,
            bytes_max: 32 << 20,
            loads_max: 65_536,
            group_batches_max: 1_024,
            group_bytes_max: 4 << 20,
        }
    }
}

/// Why something was not queued, or was queued and not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueFault {
    /// The journal takes nothing more.
    #[error("the journal is closed")]
    Closed,
    /// See [`QueueLimits::loads_max`].
    #[error("too many loads wait already")]
    LoadsFull,
}

/// One node's queue. A number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId(u64);

/// The queues of all nodes.
#[derive(Debug)]
pub struct Queues {
    queues: BTreeMap<QueueId, Queue>,
    limits: QueueLimits,
    next_id: u64,
    /// The queue that the last batch came from.
    served: QueueId,
    /// Set when the queues are closed: the reason.
    closed: Option<String>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    batches: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Item {
    Batch(Batch),
    /// The queue was full and refused batches here: later batches on these streams must not land. Each stream with the newest load
    /// that a refused batch was decided on.
    Refused(u64, BTreeMap<(u64, EntityId), u64>),
}

/// Batches that are committed together.
#[derive(Debug, Default)]
pub struct Group {
    /// In the order in which they are judged.
    pub batches: Vec<Batch>,
    /// Where each batch waited.
    pub from: Vec<QueueId>,
    /// Streams to bar before the group is judged: see [`Committer::bar`](crate::commit::Committer::bar).
    pub refused: Vec<RefusedStream>,
    /// Batches that still wait, beyond this group.
    pub waiting: usize,
}

/// A stream of batches that a full queue refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedStream {
    /// The sender.
    pub incarnation: u64,
    /// The incarnation whose load it was.
    pub loaded_by: u64,
    /// The stream.
    pub entity: EntityId,
    /// The newest load that a refused batch was decided on.
    pub load: u64,
}

impl Queues {
    /// No queue yet.
    pub fn new(limits: QueueLimits) -> Self {
        Self { queues: BTreeMap::new(), limits, next_id: 0, served: QueueId(0), closed: None }
    }

    /// Adds an empty queue.
    pub fn add(&mut self) -> QueueId {
        let id = QueueId(self.next_id);
        self.next_id += 1;
        self.queues.insert(id, Queue::default());
        id
    }

    /// Removes a queue. Returns the batches that waited in it; their outcomes are not wanted any more.
    pub fn remove(&mut self, id: QueueId) -> Vec<Batch> {
        self.queues.remove(&id).map(Queue::into_batches).unwrap_or_default()
    }

    /// Queues a batch.
    ///
    /// # Errors
    /// The outcome, at once: the queue is full or the journal is closed. If the queue is full, later batches on the same streams
    /// were decided on a state that will never exist. The queue remembers that and reports it with a group ([`Group::refused`]).
    ///
    /// # Panics
    /// There is no queue `id`: it was removed.
    pub fn push(&mut self, id: QueueId, batch: Batch) -> Result<(), Outcome> {
        if let Some(why) = &self.closed {
            return Err(Outcome::Rejected(why.clone()));
        }
        let queue = self.queues.get_mut(&id).expect("a queue is there until it is removed");
        let bytes = batch_bytes(&batch);
        let is_full = queue.batches >= self.limits.batches_max
            || (queue.batches > 0 && queue.bytes + bytes > self.limits.bytes_max);
        if is_full {
            queue.refuse(&batch);
            return Err(Outcome::Rejected("the queue to the journal is full".to_owned()));
        }
        queue.batches += 1;
        queue.bytes += bytes;
        queue.items.push_back(Item::Batch(batch));
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.items.is_empty())
    }

    /// Takes the next group: one batch from each queue, round-robin, beginning after the queue that gave the last batch, until
    /// nothing waits or the group is full.
    pub fn take_group(&mut self) -> Group {
        let mut group = Group::default();
        let (mut bytes, mut contributed) = (0, Vec::new());
        let mut round = self.round();
        while let Some(id) = round.pop_front() {
            if group.batches.len() >= self.limits.group_batches_max || bytes >= self.limits.group_bytes_max {
                break;
            }
            let queue = self.queues.get_mut(&id).expect("it was listed");
            let has_contributed = contributed.contains(&id);
            if let Some((batch, size)) = queue.pop(has_contributed, &mut group.refused) {
                bytes += size;
                group.batches.push(batch);
                group.from.push(id);
                if !has_contributed {
                    contributed.push(id);
                }
                self.served = id;
                round.push_back(id);
            }
        }
        group.waiting = self.queues.values().map(|queue| queue.batches).sum();
        group
    }

    /// Closes all queues, for the reason `why`. Returns the batches that waited, which must be refused as well: the queue and the
    /// [`Batch::id`] of each.
    pub fn close(&mut self, why: &str) -> Vec<(QueueId, u64)> {
        self.closed = Some(why.to_owned());
        let mut waited = Vec::new();
        for (id, queue) in &mut self.queues {
            waited.extend(std::mem::take(queue).into_batches().into_iter().map(|batch| (*id, batch.id)));
        }
        waited
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Every queue once, beginning after the one that was served last.
    fn round(&self) -> VecDeque<QueueId> {
        let ids = || self.queues.keys().copied();
        let later = ids().filter(|id| *id > self.served);
        later.chain(ids().filter(|id| *id <= self.served)).collect()
    }
}

impl Queue {
    /// Remembers that `batch` was refused here.
    fn refuse(&mut self, batch: &Batch) {
        if !matches!(self.items.back(), Some(Item::Refused(..))) {
            self.items.push_back(Item::Refused(batch.incarnation, BTreeMap::new()));
        }
        if let Some(Item::Refused(_, streams)) = self.items.back_mut() {
            for (loaded_by, stream) in batch.loads() {
                let load = streams.entry((loaded_by, stream.entity)).or_default();
                *load = stream.load.max(*load);
            }
        }
    }

    /// The next batch and its size. Streams are barred before a group is judged, so a group that already has a batch of this queue
    /// takes none that came after a refusal.
    fn pop(&mut self, has_contributed: bool, refused: &mut Vec<RefusedStream>) -> Option<(Batch, usize)> {
        loop {
            if has_contributed && matches!(self.items.front()?, Item::Refused(..)) {
                return None;
            }
            match self.items.pop_front()? {
                Item::Refused(incarnation, streams) => {
                    let barred =
                        |((loaded_by, entity), load)| RefusedStream { incarnation, loaded_by, entity, load };
                    refused.extend(streams.into_iter().map(barred));
                }
                Item::Batch(batch) => {
                    let bytes = batch_bytes(&batch);
                    self.batches -= 1;
                    self.bytes -= bytes;
                    return Some((batch, bytes));
                }
            }
        }
    }

    fn into_batches(self) -> Vec<Batch> {
        let batch = |item| match item {
            Item::Batch(batch) => Some(batch),
            Item::Refused(..) => None,
        };
        self.items.into_iter().filter_map(batch).collect()
    }
}

/// Bytes that a batch takes in a storage, approximately.
pub fn batch_bytes(batch: &Batch) -> usize {
    /// What a row costs besides its content.
    const ROW: usize = 32;
    let stream = |s: &StreamAppend| {
        let events: usize = s.events.iter().map(|e| ROW + e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, |snapshot| ROW + snapshot.len())
    };
    let names: usize = batch.names.iter().map(|n| ROW + n.space.len() + n.name.len()).sum();
    ROW + names + batch.streams.iter().map(stream).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use gundo_types::NodeId;

    use super::*;
    use crate::suite::{entity, stream};

    fn batch(incarnation: u64, id: u64) -> Batch {
        let streams = vec![stream(entity(incarnation), id, id, 1)];
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id, node: NodeId(1), incarnation, generation: 0, prepared_by, streams, names }
    }

    /// The incarnation and id of each batch in the next group, and the loads that are barred before it.
    fn take(queues: &mut Queues) -> (Vec<(u64, u64)>, Vec<u64>) {
        let group = queues.take_group();
        let ids = group.batches.iter().map(|batch| (batch.incarnation, batch.id)).collect();
        (ids, group.refused.iter().map(|refused| refused.load).collect())
    }

    fn queues(limits: QueueLimits, count: usize) -> (Queues, Vec<QueueId>) {
        let mut queues = Queues::new(limits);
        let ids = (0..count).map(|_| queues.add()).collect();
        (queues, ids)
    }

    #[test]
    fn queues_are_served_round_robin_and_a_flood_waits_for_the_next_group() {
        let (mut queues, nodes) = queues(QueueLimits { group_batches_max: 5, ..QueueLimits::default() }, 3);
        for id in 1..=6 {
            queues.push(nodes[0], batch(0, id)).expect("room");
        }
        for (node, id) in [(1, 1), (2, 1), (2, 2)] {
            queues.push(nodes[node], batch(node as u64, id)).expect("room");
        }
        assert_eq!(take(&mut queues).0, [(1, 1), (2, 1), (0, 1), (2, 2), (0, 2)]);
        queues.push(nodes[1], batch(1, 2)).expect("room");
        assert_eq!(take(&mut queues).0, [(1, 2), (0, 3), (0, 4), (0, 5), (0, 6)]);
        queues.push(nodes[1], batch(1, 3)).expect("room");
        queues.push(nodes[2], batch(2, 3)).expect("room");
        assert_eq!(queues.remove(nodes[1]).len(), 1);
        assert_eq!(take(&mut queues).0, [(2, 3)]);
        assert!(queues.is_empty() && take(&mut queues).0.is_empty());
    }

    #[test]
    fn a_group_ends_when_it_has_bytes_enough() {
        let size = batch_bytes(&batch(0, 1));
        let (mut queues, nodes) =
            queues(QueueLimits { group_bytes_max: size + 1, ..QueueLimits::default() }, 1);
        for id in 1..=3 {
            queues.push(nodes[0], batch(0, id)).expect("room");
        }
        let group = queues.take_group();
        assert_eq!((group.batches.len(), group.from, group.waiting), (2, vec![nodes[0]; 2], 1));
    }

    #[test]
    fn what_a_full_queue_refused_bars_only_what_came_later() {
        let (mut queues, nodes) = queues(QueueLimits { batches_max: 2, ..QueueLimits::default() }, 1);
        queues.push(nodes[0], batch(1, 1)).expect("room");
        queues.push(nodes[0], batch(1, 2)).expect("room");
        for id in [4, 3] {
            assert!(matches!(queues.push(nodes[0], batch(1, id)), Err(Outcome::Rejected(_))));
        }
        assert_eq!(take(&mut queues), (vec![(1, 1), (1, 2)], vec![]), "these were decided before");
        queues.push(nodes[0], batch(1, 5)).expect("room");
        assert_eq!(take(&mut queues), (vec![(1, 5)], vec![4]), "and this one is judged behind the bar");
    }

    #[test]
    fn an_empty_queue_takes_a_batch_of_any_size() {
        let (mut queues, nodes) = queues(QueueLimits { bytes_max: 1, ..QueueLimits::default() }, 1);
        queues.push(nodes[0], batch(1, 1)).expect("an empty queue takes any size");
        assert!(queues.push(nodes[0], batch(1, 2)).is_err());
    }

    #[test]
    fn closed_queues_give_back_what_waits_and_refuse_the_rest() {
        let (mut queues, nodes) = queues(QueueLimits::default(), 2);
        queues.push(nodes[0], batch(1, 7)).expect("room");
        queues.push(nodes[1], batch(2, 8)).expect("room");
        assert_eq!(queues.close("enough"), [(nodes[0], 7), (nodes[1], 8)]);
        assert!(queues.is_empty() && queues.is_closed());
        assert_eq!(queues.push(nodes[0], batch(1, 9)), Err(Outcome::Rejected("enough".into())));
        assert!(take(&mut queues).0.is_empty());
    }
}
