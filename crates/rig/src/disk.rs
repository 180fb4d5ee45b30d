//! The journal's driver in front of a [`Store`]: which batches wait to be committed, and how each batch of a group ends.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use gundo_journal::Store;
use gundo_kernel::{Input, Member};
use gundo_types::{EntityId, Kind};
use gundo_wire::journal::{Batch, Outcome, WakesAsked};

use crate::member;

/// A fault of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupFault {
    /// The storage refuses to write it.
    Rejected,
    /// The queue was full when its last batch arrived: see [`Disk::refuse_last`].
    QueueFull,
    /// A key of one of its batches, the one in the middle, is there already although the newest seq says otherwise: that batch
    /// conflicts, and the others are committed one by one.
    Collides,
    /// The outcome is unknown; it landed.
    UnknownLanded,
    /// The outcome is unknown; it did not land.
    UnknownLost,
}

/// The end of a batch.
#[derive(Debug, PartialEq)]
pub struct Ended<W> {
    /// The node that appended it.
    pub who: W,
    /// [`Batch::id`].
    pub batch: u64,
    /// The outcome that its node hears.
    pub outcome: Outcome,
    /// Whether it is in the journal.
    pub landed: bool,
}

impl<W> Ended<W> {
    /// The input that tells its node the outcome.
    pub fn into_input(self) -> Input {
        Input::Appended { batch: self.batch, outcome: self.outcome }
    }
}

/// A journal, and the batches that wait for it. `W` is a harness's name for a node that appends.
///
/// Nothing here takes time: the harness decides when a group is committed, and when its nodes hear of it.
#[derive(Debug, Default)]
pub struct Disk<W> {
    /// The journal.
    pub store: Store,
    waiting: VecDeque<(W, Batch)>,
}

impl<W: Copy> Disk<W> {
    /// A disk with this journal on it.
    pub fn new(store: Store) -> Self {
        Self { store, waiting: VecDeque::new() }
    }

    /// Registers the next incarnation of a node. Returns its entry in a view.
    pub fn join(&mut self, node: u16) -> Member {
        member(node, self.store.join())
    }

    /// Queues a batch.
    pub fn push(&mut self, who: W, batch: Batch) {
        self.waiting.push_back((who, batch));
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the batches that have waited longest, at most `max`, to commit them as one group.
    pub fn next_group(&mut self, max: usize) -> Vec<(W, Batch)> {
        self.waiting.drain(..max.min(self.waiting.len())).collect()
    }

    /// Takes the batches of dead nodes.
    pub fn take_from(&mut self, gone: impl Fn(&W) -> bool) -> Vec<(W, Batch)> {
        let (taken, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(who, _)| gone(who));
        self.waiting = waiting;
        Vec::from(taken)
    }

    /// The last batch of a group found the queue full: it alone is rejected, and its node hears of that before the batches
    /// ahead of it have ended. `None`: the group is empty.
    pub fn refuse_last(&mut self, group: &mut Vec<(W, Batch)>) -> Option<Ended<W>> {
        let (who, last) = group.pop()?;
        let (batch, outcome) = (last.id, Outcome::Rejected("the queue is full".into()));
        self.store.fail_group(vec![last], &outcome, false);
        Some(Ended { who, batch, outcome, landed: false })
    }

    /// Commits a group. Returns how each of its batches ended, in order. A full queue has no further effect on it.
    pub fn commit(&mut self, group: Vec<(W, Batch)>, fault: Option<GroupFault>) -> Vec<Ended<W>> {
        let ids: Vec<_> = group.iter().map(|(who, batch)| (*who, batch.id)).collect();
        let batches: Vec<_> = group.into_iter().map(|(_, batch)| batch).collect();
        let (outcomes, lands_as) = match fault {
            Some(GroupFault::Collides) => (self.collide(batches), Some(Outcome::Done)),
            None | Some(GroupFault::QueueFull) => (self.store.commit_group(batches), Some(Outcome::Done)),
            Some(GroupFault::Rejected) => {
                (self.store.fail_group(batches, &Outcome::Rejected("the disk is full".into()), false), None)
            }
            Some(GroupFault::UnknownLanded) => {
                (self.store.fail_group(batches, &Outcome::Unknown, true), Some(Outcome::Unknown))
            }
            Some(GroupFault::UnknownLost) => (self.store.fail_group(batches, &Outcome::Unknown, false), None),
        };
        let end = |((who, batch), outcome): ((W, u64), Outcome)| {
            let landed = lands_as.as_ref() == Some(&outcome);
            Ended { who, batch, outcome, landed }
        };
        ids.into_iter().zip(outcomes).map(end).collect()
    }

    fn collide(&mut self, batches: Vec<Batch>) -> Vec<Outcome> {
        let middle = batches.len() / 2;
        let one = |(at, batch): (usize, Batch)| match at == middle {
            true => self.store.fail_group(vec![batch], &Outcome::Conflict, false),
            false => self.store.commit_group(vec![batch]),
        };
        batches.into_iter().enumerate().flat_map(one).collect()
    }

    /// The input for a load that succeeds now.
    pub fn load(&self, entity: EntityId, load: u64) -> Input {
        Input::Loaded { entity, load, result: Ok(self.store.load(entity)) }
    }

    /// What a node hears of a list that succeeds now.
    pub fn list(&self, kind: Kind, ids: RangeInclusive<u64>, max: usize, list: u64) -> Input {
        Input::Listed { kind, list, result: Ok(self.store.list(kind, ids, max)) }
    }

    /// What a node hears of a read of wakes that succeeds now.
    pub fn wakes(&self, asked: WakesAsked, list: u64) -> Input {
        Input::Woken { list, result: Ok(self.store.wakes(asked)) }
    }
}

#[cfg(test)]
mod tests {
    use gundo_journal::suite;
    use gundo_types::NodeId;

    use super::*;

    /// A disk on which node 1 has appended one event to each of `streams` streams, in one batch each.
    fn filled(streams: u64) -> Disk<NodeId> {
        let (mut disk, node) = (Disk::new(Store::new()), NodeId(1));
        let incarnation = disk.store.join();
        for n in 1..=streams {
            let streams = vec![suite::stream(suite::entity(n), 1, 0, 1)];
            let (prepared_by, names) = (Vec::new(), Vec::new());
            disk.push(node, Batch { id: n, node, incarnation, generation: 0, prepared_by, streams, names });
        }
        disk
    }

    fn last_seqs(disk: &Disk<NodeId>) -> Vec<u64> {
        disk.store.streams(None, usize::MAX).into_iter().map(|stream| stream.entity.id).collect()
    }

    #[test]
    fn what_waited_longest_is_committed_first() {
        let mut disk = filled(3);
        let group = disk.next_group(2);
        let ended = disk.commit(group, None);
        assert_eq!(ended.iter().map(|e| (e.batch, e.landed)).collect::<Vec<_>>(), [(1, true), (2, true)]);
        assert!(!disk.is_idle());
        assert_eq!(disk.take_from(|who| *who == NodeId(1)).len(), 1);
        assert!(disk.is_idle());
        assert_eq!(last_seqs(&disk), [1, 2]);
    }

    #[test]
    fn a_full_queue_refuses_one_batch_only() {
        let mut disk = filled(2);
        let mut group = disk.next_group(usize::MAX);
        let refused = disk.refuse_last(&mut group).expect("two wait");
        assert!(matches!((refused.batch, refused.outcome), (2, Outcome::Rejected(_))));
        let ended = disk.commit(group, Some(GroupFault::QueueFull));
        assert!(ended[0].landed && ended[0].outcome == Outcome::Done);
        assert_eq!(last_seqs(&disk), [1]);
    }

    #[test]
    fn a_fault_says_what_the_node_hears_and_what_lands() {
        for (fault, outcome, landed) in [
            (GroupFault::Rejected, Outcome::Rejected("the disk is full".into()), false),
            (GroupFault::Collides, Outcome::Conflict, false),
            (GroupFault::UnknownLanded, Outcome::Unknown, true),
            (GroupFault::UnknownLost, Outcome::Unknown, false),
        ] {
            let mut disk = filled(1);
            let group = disk.next_group(usize::MAX);
            let ended = disk.commit(group, Some(fault));
            assert_eq!(ended, [Ended { who: NodeId(1), batch: 1, outcome, landed }]);
            assert_eq!(last_seqs(&disk).len(), usize::from(landed), "{fault:?}");
        }
    }
}
