//! What a node announces after a new view, or to one home after messages between the two were lost: to each home its part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::{ChunkId, EntityId, NodeId, Term};

use crate::core::Core;
use crate::peer::{HomeMessage, PART_ENTRIES_MAX};

/// The announcement to one home.
#[derive(Default)]
struct Announcement {
    holds: Vec<(EntityId, Term)>,
    subscribes: Vec<(ChunkId, u8)>,
    publishes: Vec<ChunkId>,
}

/// What this node has to announce to homes, in order. With many entries it takes several turns.
#[derive(Default)]
pub(super) struct Announcer {
    jobs: VecDeque<Job>,
}

/// What is announced since a new view, or since a link was reset.
struct Job {
    to: BTreeSet<NodeId>,
    /// The last first.
    holds: Vec<(EntityId, Term)>,
    subscribes: Vec<(ChunkId, u8)>,
    publishes: Vec<ChunkId>,
}

impl Announcer {
    /// Announces all this to `to`, instead of what they have not been told yet.
    pub(super) fn begin(
        &mut self,
        to: BTreeSet<NodeId>,
        mut holds: Vec<(EntityId, Term)>,
        mut subscribes: Vec<(ChunkId, u8)>,
        mut publishes: Vec<ChunkId>,
    ) {
        for job in &mut self.jobs {
            job.to.retain(|node| !to.contains(node));
        }
        self.jobs.retain(|job| !job.to.is_empty());
        holds.reverse();
        subscribes.reverse();
        publishes.reverse();
        self.jobs.push_back(Job { to, holds, subscribes, publishes });
    }

    /// Says the next entries, about so many. Returns whether anything is left.
    pub(super) fn say_some(&mut self, core: &mut Core, entries: usize) -> bool {
        if let Some(job) = self.jobs.front_mut()
            && job.say_some(core, entries)
        {
            self.jobs.pop_front();
        }
        !self.jobs.is_empty()
    }
}

impl Job {
    /// Returns whether all is said. A member gets an announcement even if it is empty: a home opens when all members have announced.
    fn say_some(&mut self, core: &mut Core, entries: usize) -> bool {
        let each = entries / 3;
        let (holds, subscribes) = (take(&mut self.holds, each), take(&mut self.subscribes, each));
        let publishes = take(&mut self.publishes, each);
        let ends = self.holds.is_empty() && self.subscribes.is_empty() && self.publishes.is_empty();
        let mut homes: BTreeMap<NodeId, Announcement> =
            self.to.iter().map(|node| (*node, Announcement::default())).collect();
        for held in holds {
            if let Some(home) = core.home_of(held.0).and_then(|home| homes.get_mut(&home)) {
                home.holds.push(held);
            }
        }
        for subscribed in subscribes {
            if let Some(home) = core.home_of_chunk(subscribed.0).and_then(|home| homes.get_mut(&home)) {
                home.subscribes.push(subscribed);
            }
        }
        for chunk in publishes {
            if let Some(home) = core.home_of_chunk(chunk).and_then(|home| homes.get_mut(&home)) {
                home.publishes.push(chunk);
            }
        }
        for (node, announcement) in homes {
            announcement.parts(ends).into_iter().for_each(|part| core.send_home(node, part));
        }
        ends
    }
}

/// The next entries of a list whose last come first.
fn take<T>(list: &mut Vec<T>, most: usize) -> Vec<T> {
    let mut next = list.split_off(list.len().saturating_sub(most));
    next.reverse();
    next
}

impl Announcement {
    /// The messages that say it, in order. `ends`: nothing follows.
    fn parts(self, ends: bool) -> Vec<HomeMessage> {
        let Self { holds, subscribes, publishes } = self;
        let count = [holds.len(), subscribes.len(), publishes.len()].into_iter().max().unwrap_or(0);
        let each = PART_ENTRIES_MAX / 3;
        let part = |at: usize| HomeMessage::Announce {
            holds: piece(&holds, at, each),
            subscribes: piece(&subscribes, at, each),
            publishes: piece(&publishes, at, each),
            last: ends && at + each >= count,
        };
        let count_max = if ends { count.max(1) } else { count };
        (0..count_max).step_by(each).map(part).collect()
    }
}

/// The entries of a list from `at` on, `most` of them.
fn piece<T: Copy>(list: &[T], at: usize, most: usize) -> Vec<T> {
    list.iter().skip(at).take(most).copied().collect()
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    #[test]
    fn a_long_announcement_comes_in_parts_that_say_all() {
        let chunk = |x: i16| ChunkId { island: 1, x, y: -7 };
        let said = |holds: u64, looks: i16, chunks: i16| {
            let term = Term { epoch: 3, count: 9 };
            let announcement = Announcement {
                holds: (0..holds).map(|id| (EntityId::new(Kind(1), id), term)).collect(),
                subscribes: (0..looks).map(|x| (chunk(x), 1)).collect(),
                publishes: (0..chunks).map(chunk).collect(),
            };
            let (mut counts, mut lasts) = ((0, 0, 0), Vec::new());
            for part in announcement.parts(true) {
                let HomeMessage::Announce { holds, subscribes, publishes, last } = part else { panic!() };
                assert!(holds.len() + subscribes.len() + publishes.len() <= PART_ENTRIES_MAX);
                counts.0 += holds.len() as u64;
                counts.1 += subscribes.len() as i16;
                counts.2 += publishes.len() as i16;
                lasts.push(last);
            }
            assert_eq!(counts, (holds, looks, chunks));
            assert_eq!(lasts.pop(), Some(true), "the home opens with the last part");
            assert!(lasts.iter().all(|last| !last), "and not before");
            lasts.len() + 1
        };
        assert_eq!(said(0, 0, 0), 1, "a home opens when all have announced, even nothing");
        assert_eq!(said(333, 333, 333), 1);
        assert_eq!(said(334, 1, 0), 2);
        assert_eq!(said(20_000, 30_000, 10_000), 91);
    }
}
