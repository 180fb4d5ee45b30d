//! The journal as the nodes see it: the real rules of [`Store`], and a driver in front of it that takes its time, fails, and
//! does not always know what became of a batch.

use std::collections::VecDeque;

use gundo_bots::Chance;
use gundo_journal::Store;
use gundo_wire::journal::{Batch, Outcome};

use crate::judge::{Judge, Verdict, Violation};
use crate::world::Key;

/// What becomes of the next group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupFault {
    Rejected,
    /// The last batch alone is rejected, and before the others have ended.
    QueueFull,
    UnknownLanded,
    UnknownLost,
}

/// How a batch ended, and for whom.
pub(crate) struct Ended {
    pub(crate) node: Key,
    pub(crate) batch: u64,
    pub(crate) outcome: Outcome,
}

/// The longest that a batch is under way, µs, after a second.
const LATE_US_MAX: u64 = 50_000_000;
/// Most batches in one group.
const GROUP_MAX: usize = 256;

pub(crate) struct Storage {
    pub(crate) store: Store,
    waiting: VecDeque<(Key, Batch)>,
    /// Batches of processes that have died, and when they arrive.
    late: Vec<(u64, (Key, Batch))>,
    /// What becomes of the next groups.
    pub(crate) faults: VecDeque<GroupFault>,
    pub(crate) full_until: u64,
    pub(crate) slow_until: u64,
    /// Nothing is committed before.
    pub(crate) stalled_until: u64,
    pub(crate) unreadable_until: u64,
    /// A commit is under way.
    pub(crate) busy: bool,
    chance: Chance,
    pub(crate) groups: u64,
}

impl Storage {
    pub(crate) fn new(store: Store, seed: u64) -> Self {
        Self {
            store,
            waiting: VecDeque::new(),
            late: Vec::new(),
            faults: VecDeque::new(),
            full_until: 0,
            slow_until: 0,
            stalled_until: 0,
            unreadable_until: 0,
            busy: false,
            chance: Chance::new(seed ^ 0x0d15c),
            groups: 0,
        }
    }

    pub(crate) fn push(&mut self, node: Key, batch: Batch) {
        self.waiting.push_back((node, batch));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long the next commit takes, µs.
    pub(crate) fn commit_us(&mut self, now: u64) -> u64 {
        let usual = 500 + self.chance.below(4_000);
        let slow = if now < self.slow_until { 20_000 + self.chance.below(1_500_000) } else { 0 };
        usual + slow + self.stalled_until.saturating_sub(now)
    }

    /// How long a load takes, µs.
    pub(crate) fn load_us(&mut self, now: u64) -> u64 {
        let usual = 200 + self.chance.below(1_000);
        if now < self.slow_until { usual + self.chance.below(500_000) } else { usual }
    }

    /// Commits what waits as one group; the judge sees what lands.
    pub(crate) fn commit(&mut self, now: u64, judge: &mut Judge, ended: &mut Vec<Ended>) -> Verdict {
        if now < self.stalled_until {
            return Ok(());
        }
        let mut group: Vec<_> = (0..GROUP_MAX).map_while(|_| self.waiting.pop_front()).collect();
        if group.is_empty() {
            return Ok(());
        }
        self.groups += 1;
        let fault = if now < self.full_until { Some(GroupFault::Rejected) } else { self.faults.pop_front() };
        if fault == Some(GroupFault::QueueFull) {
            let (node, last) = group.pop().expect("a group has batches");
            let (batch, outcome) = (last.id, Outcome::Rejected("the queue is full".into()));
            self.store.fail_group(vec![last], &outcome, false);
            ended.push(Ended { node, batch, outcome });
        }
        let ids: Vec<_> = group.iter().map(|(node, batch)| (*node, batch.id)).collect();
        let batches: Vec<_> = group.into_iter().map(|(_, batch)| batch).collect();
        let copies = batches.clone();
        let (outcomes, landed) = match fault {
            None | Some(GroupFault::QueueFull) => (self.store.commit_group(batches), Outcome::Done),
            Some(GroupFault::Rejected) => {
                let full = Outcome::Rejected("the disk is full".into());
                (self.store.fail_group(batches, &full, false), Outcome::Done)
            }
            Some(GroupFault::UnknownLanded) => {
                (self.store.fail_group(batches, &Outcome::Unknown, true), Outcome::Unknown)
            }
            Some(GroupFault::UnknownLost) => {
                (self.store.fail_group(batches, &Outcome::Unknown, false), Outcome::Done)
            }
        };
        let mut verdict = Ok(());
        for (batch, outcome) in copies.iter().zip(&outcomes) {
            if *outcome == landed && verdict.is_ok() {
                verdict = judge.landed(batch);
            }
        }
        ended.extend(ids.into_iter().zip(outcomes).map(|((node, batch), outcome)| Ended {
            node,
            batch,
            outcome,
        }));
        verdict
    }

    /// The process dies: of what waits in its queue some may still land, and nobody hears of it. The rest is under way
    /// for long, and arrives when others have taken over. Returns when, if at all.
    pub(crate) fn crash(
        &mut self,
        now: u64,
        dies: &dyn Fn(&Key) -> bool,
        judge: &mut Judge,
    ) -> Result<Option<u64>, Violation> {
        let all = std::mem::take(&mut self.waiting);
        let (mut dying, mut others): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(key, _)| dies(key));
        std::mem::swap(&mut self.waiting, &mut others);
        let lands = self.chance.below(dying.len() as u64 + 1) as usize;
        let late = dying.split_off(lands);
        let batches: Vec<_> = dying.into_iter().map(|(_, batch)| batch).collect();
        let copies = batches.clone();
        let outcomes = self.store.commit_group(batches);
        for (batch, outcome) in copies.iter().zip(&outcomes) {
            if *outcome == Outcome::Done {
                judge.landed(batch)?;
            }
        }
        if late.is_empty() {
            return Ok(None);
        }
        let due = now + 1_000_000 + self.chance.below(LATE_US_MAX);
        self.late.extend(late.into_iter().map(|late| (due, late)));
        Ok(Some(due))
    }

    /// What was under way for long arrives.
    pub(crate) fn arrive(&mut self, now: u64) {
        let late = std::mem::take(&mut self.late);
        let (due, late): (Vec<_>, Vec<_>) = late.into_iter().partition(|(due, _)| *due <= now);
        self.late = late;
        self.waiting.extend(due.into_iter().map(|(_, late)| late));
    }
}
