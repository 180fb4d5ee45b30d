//! The journal as the nodes see it: the real rules of [`Store`], behind a driver that takes its time, fails, and does not
//! always know the outcome of a batch.

use std::collections::VecDeque;

use gundo_bots::Chance;
use gundo_journal::{Replica, Store};
use gundo_rig::{Disk, Ended, GroupFault};
use gundo_wire::journal::Batch;

use crate::judge::{Judge, Verdict, Violation};
use crate::world::Key;

/// The longest time that a batch of a dead process stays in flight, µs, beyond one second.
const LATE_US_MAX: u64 = 50_000_000;
/// Most batches in one group.
const GROUP_MAX: usize = 256;

pub(crate) struct Storage {
    pub(crate) disk: Disk<Key>,
    /// Batches of dead processes, and when they arrive.
    late: Vec<(u64, (Key, Batch))>,
    /// The faults of the next groups.
    pub(crate) faults: VecDeque<GroupFault>,
    pub(crate) full_until: u64,
    pub(crate) slow_until: u64,
    /// No commit happens before this time.
    pub(crate) stalled_until: u64,
    pub(crate) unreadable_until: u64,
    /// What a replica has that is to take the journal's place.
    pub(crate) replica: Option<Replica>,
    /// A commit is in progress.
    pub(crate) busy: bool,
    chance: Chance,
    pub(crate) groups: u64,
}

impl Storage {
    pub(crate) fn new(store: Store, seed: u64) -> Self {
        Self {
            disk: Disk::new(store),
            late: Vec::new(),
            faults: VecDeque::new(),
            full_until: 0,
            slow_until: 0,
            stalled_until: 0,
            unreadable_until: 0,
            replica: None,
            busy: false,
            chance: Chance::new(seed ^ 0x0d15c),
            groups: 0,
        }
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

    /// The disk, if it can be read.
    pub(crate) fn readable(&self, now: u64) -> Result<&Disk<Key>, String> {
        if now < self.unreadable_until { Err("the disk cannot be read".to_owned()) } else { Ok(&self.disk) }
    }

    /// Commits the waiting batches as one group; the judge sees what lands.
    pub(crate) fn commit(&mut self, now: u64, judge: &mut Judge, ended: &mut Vec<Ended<Key>>) -> Verdict {
        if now < self.stalled_until {
            return Ok(());
        }
        let mut group = self.disk.next_group(GROUP_MAX);
        if group.is_empty() {
            return Ok(());
        }
        self.groups += 1;
        let fault = if now < self.full_until { Some(GroupFault::Rejected) } else { self.faults.pop_front() };
        if fault == Some(GroupFault::QueueFull) {
            ended.extend(self.disk.refuse_last(&mut group));
        }
        let (verdict, outcomes) = self.commit_group(group, fault, judge);
        ended.extend(outcomes);
        verdict
    }

    /// The judge sees what lands of a group.
    fn commit_group(
        &mut self,
        group: Vec<(Key, Batch)>,
        fault: Option<GroupFault>,
        judge: &mut Judge,
    ) -> (Verdict, Vec<Ended<Key>>) {
        let copies: Vec<_> = group.iter().map(|(_, batch)| batch.clone()).collect();
        let ended = self.disk.commit(group, fault);
        let mut landed = copies.iter().zip(&ended).filter(|(_, ended)| ended.landed);
        let verdict = landed.try_for_each(|(batch, _)| judge.landed(batch));
        (verdict, ended)
    }

    /// The process dies. Some batches in its queue may still land, and nobody hears of it. The rest stay in flight for a
    /// long time, and arrive when other nodes have taken over. Returns when, if there are any.
    pub(crate) fn crash(
        &mut self,
        now: u64,
        dies: &dyn Fn(&Key) -> bool,
        judge: &mut Judge,
    ) -> Result<Option<u64>, Violation> {
        let mut dying = self.disk.take_from(dies);
        let lands = self.chance.below(dying.len() as u64 + 1) as usize;
        let late = dying.split_off(lands);
        self.commit_group(dying, None, judge).0?;
        if late.is_empty() {
            return Ok(None);
        }
        let due = now + 1_000_000 + self.chance.below(LATE_US_MAX);
        self.late.extend(late.into_iter().map(|late| (due, late)));
        Ok(Some(due))
    }

    /// A late batch arrives.
    pub(crate) fn arrive(&mut self, now: u64) {
        let late = std::mem::take(&mut self.late);
        let (due, late): (Vec<_>, Vec<_>) = late.into_iter().partition(|(due, _)| *due <= now);
        self.late = late;
        due.into_iter().for_each(|(_, (key, batch))| self.disk.push(key, batch));
    }
}
