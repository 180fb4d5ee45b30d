//! Which batches go together while others are under way: the writers' connections work at the same time, and no two of them have
//! batches of one stream. So an event never lands without those before it, and outcomes of a stream come in order.
//!
//! A plain value, without threads. A batch waits while a batch of one of its streams is under way or waits in front of it; others
//! overtake it.

use std::collections::{HashSet, VecDeque};

use gundo_journal::queue::{QueueLimits, RefusedStream, batch_bytes};
use gundo_types::EntityId;
use gundo_wire::journal::Batch;

/// Batches that wait for a connection. `R`: the way to give a batch its outcome.
pub(crate) struct Backlog<R> {
    items: VecDeque<Item<R>>,
    batches: usize,
    busy: HashSet<EntityId>,
    limits: QueueLimits,
}

enum Item<R> {
    /// Comes before the batches that were queued after the refused ones.
    Refused(RefusedStream),
    Batch(Batch, R),
}

/// What one connection commits next.
pub(crate) struct Taken<R> {
    pub(crate) refused: Vec<RefusedStream>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) replies: Vec<R>,
}

impl<R> Backlog<R> {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { items: VecDeque::new(), batches: 0, busy: HashSet::new(), limits }
    }

    /// Adds a group as the queues gave it.
    pub(crate) fn push(
        &mut self,
        refused: Vec<RefusedStream>,
        batches: Vec<Batch>,
        replies: impl Iterator<Item = R>,
    ) {
        self.items.extend(refused.into_iter().map(Item::Refused));
        self.batches += batches.len();
        self.items.extend(batches.into_iter().zip(replies).map(|(batch, reply)| Item::Batch(batch, reply)));
    }

    /// Batches that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.batches
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it holds enough for a group already: more stays in the queues, which are bounded.
    pub(crate) fn is_full(&self) -> bool {
        self.batches >= self.limits.group_batches_max.max(1)
    }

    /// Takes everything that can go now, in order, up to the limits of a group. Its streams are busy until they are released.
    pub(crate) fn take(&mut self) -> Option<Taken<R>> {
        let mut taken = Taken { refused: Vec::new(), batches: Vec::new(), replies: Vec::new() };
        let (mut mine, mut blocked, mut bytes) = (HashSet::new(), HashSet::new(), 0);
        let mut kept = VecDeque::new();
        let is_full = |taken: &Taken<R>, bytes: usize| {
            taken.batches.len() >= self.limits.group_batches_max.max(1)
                || bytes >= self.limits.group_bytes_max.max(1)
        };
        while !is_full(&taken, bytes) {
            let Some(item) = self.items.pop_front() else { break };
            let waits = |entity: &EntityId| self.busy.contains(entity) || blocked.contains(entity);
            match item {
                // It is told before the batches of the group are judged, so it cannot go with those in front of it.
                Item::Refused(stream) if waits(&stream.entity) || mine.contains(&stream.entity) => {
                    blocked.insert(stream.entity);
                    kept.push_back(Item::Refused(stream));
                }
                Item::Refused(stream) => taken.refused.push(stream),
                Item::Batch(batch, reply) => {
                    let entities = || batch.streams.iter().map(|s| s.entity);
                    if entities().any(|entity| waits(&entity)) {
                        blocked.extend(entities());
                        kept.push_back(Item::Batch(batch, reply));
                    } else {
                        mine.extend(entities());
                        bytes += batch_bytes(&batch);
                        taken.batches.push(batch);
                        taken.replies.push(reply);
                    }
                }
            }
        }
        kept.append(&mut self.items);
        self.items = kept;
        self.batches -= taken.batches.len();
        self.busy.extend(mine);
        (!taken.batches.is_empty() || !taken.refused.is_empty()).then_some(taken)
    }

    /// What was taken has ended.
    pub(crate) fn release(&mut self, batches: &[Batch]) {
        for stream in batches.iter().flat_map(|batch| &batch.streams) {
            self.busy.remove(&stream.entity);
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo_journal::suite::{entity, stream};
    use gundo_types::NodeId;

    use super::*;

    fn batch(id: u64, entities: &[u64]) -> Batch {
        let streams = entities.iter().map(|e| stream(entity(*e), 1, 0, 1)).collect();
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id, node: NodeId(1), incarnation: 1, generation: 0, prepared_by, streams, names }
    }

    fn push(backlog: &mut Backlog<u64>, batches: &[(u64, &[u64])]) {
        let batches: Vec<Batch> = batches.iter().map(|(id, entities)| batch(*id, entities)).collect();
        let replies: Vec<u64> = batches.iter().map(|batch| batch.id).collect();
        backlog.push(Vec::new(), batches, replies.into_iter());
    }

    fn ids(taken: &Option<Taken<u64>>) -> Vec<u64> {
        let taken = taken.as_ref();
        let ids: Vec<u64> = taken.iter().flat_map(|t| &t.batches).map(|batch| batch.id).collect();
        assert_eq!(ids, taken.map_or(&[][..], |t| &t.replies), "each has its own reply");
        ids
    }

    #[test]
    fn a_stream_is_with_one_connection_at_a_time() {
        let mut backlog = Backlog::new(QueueLimits::default());
        push(&mut backlog, &[(1, &[1]), (2, &[2]), (3, &[1])]);
        let first = backlog.take();
        assert_eq!(ids(&first), [1, 2, 3], "batches of one stream go together, in order");
        // 4 waits for stream 1, and 5 for 4, although its own other stream is free; 6 overtakes them.
        push(&mut backlog, &[(4, &[1, 3]), (5, &[3]), (6, &[4])]);
        let second = backlog.take();
        assert_eq!(ids(&second), [6]);
        assert!(backlog.take().is_none());
        backlog.release(&first.expect("taken").batches);
        let third = backlog.take();
        assert_eq!(ids(&third), [4, 5]);
        assert!(backlog.is_empty() && backlog.waiting() == 0);
    }

    #[test]
    fn what_was_refused_is_told_between_the_batches_before_and_after_it() {
        let mut backlog = Backlog::new(QueueLimits::default());
        push(&mut backlog, &[(1, &[1])]);
        let refused = RefusedStream { incarnation: 1, loaded_by: 1, entity: entity(1), load: 1 };
        backlog.push(vec![refused], vec![batch(2, &[1]), batch(3, &[2])], [2, 3].into_iter());
        let first = backlog.take();
        assert_eq!(ids(&first), [1, 3]);
        assert!(first.as_ref().is_some_and(|t| t.refused.is_empty()) && backlog.take().is_none());
        backlog.release(&first.expect("taken").batches);
        let second = backlog.take();
        assert_eq!((ids(&second), second.map(|t| t.refused.len())), (vec![2], Some(1)));
    }

    #[test]
    fn a_group_has_a_limit() {
        let limits = QueueLimits { group_batches_max: 2, ..QueueLimits::default() };
        let mut backlog = Backlog::new(limits);
        push(&mut backlog, &[(1, &[1]), (2, &[2]), (3, &[3])]);
        assert!(backlog.is_full());
        assert_eq!(ids(&backlog.take()), [1, 2]);
        assert!(!backlog.is_full());
        assert_eq!(ids(&backlog.take()), [3]);
    }
}
