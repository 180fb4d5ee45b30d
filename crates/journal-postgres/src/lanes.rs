//! The writers' threads: each takes what can go, commits it, and gives the outcomes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_journal::commit::Committer;
use gundo_journal::queue::{QueueLimits, Reply, SharedQueues, Work};
use gundo_wire::journal::Outcome;

use crate::backlog::{Backlog, Taken};
use crate::stats::Counters;
use crate::writer::Writer;

/// Wakes the writer that waits for work: streams are free again.
pub(crate) struct Wake;

/// Without work a writer looks up about once an hour.
const LONG: Duration = Duration::from_secs(3_600);

/// What the writers share.
pub(crate) struct Lanes {
    pub(crate) queues: Arc<SharedQueues<Wake>>,
    /// Held by the one writer that waits for work.
    turn: Mutex<()>,
    backlog: Mutex<Backlog<Reply>>,
    released: Condvar,
    counters: Arc<Counters>,
}

impl Lanes {
    pub(crate) fn new(limits: &QueueLimits, counters: &Arc<Counters>) -> Self {
        Self {
            queues: SharedQueues::new(limits.clone()),
            turn: Mutex::new(()),
            backlog: Mutex::new(Backlog::new(limits.clone())),
            released: Condvar::new(),
            counters: Arc::clone(counters),
        }
    }

    /// What a writer's thread runs, until the journal closes.
    pub(crate) fn run(&self, writer: &mut Writer, committer: &mut Committer) {
        while let Some(taken) = self.take() {
            let panicked = self.commit(taken, writer, committer);
            if panicked {
                // A bug: after it the writer's memory cannot be trusted.
                tracing::error!("a writer of the journal panicked; the journal takes nothing more");
                self.queues.close("a writer of the journal has ended");
                return;
            }
        }
    }

    fn commit(&self, taken: Taken<Reply>, writer: &mut Writer, committer: &mut Committer) -> bool {
        let Taken { refused, batches, replies } = taken;
        committer.bar(&refused);
        let began = Instant::now();
        let committed = catch_unwind(AssertUnwindSafe(|| match batches.is_empty() {
            true => Vec::new(),
            false => committer.commit(&batches, writer),
        }));
        let panicked = committed.is_err();
        let outcomes = committed.unwrap_or_else(|_| vec![Outcome::Unknown; batches.len()]);
        let landed = batches.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Done);
        let events: usize = landed.flat_map(|(batch, _)| &batch.streams).map(|s| s.events.len()).sum();
        // Outcomes first: those of the next batches of these streams come later.
        for (reply, outcome) in replies.into_iter().zip(outcomes.iter().cloned()) {
            reply.give(outcome);
        }
        let mut backlog = self.backlog();
        backlog.release(&batches);
        let (waiting, blocks) = (backlog.waiting(), !backlog.is_empty());
        drop(backlog);
        self.released.notify_one();
        if blocks {
            // A journal that stops does not wait for calls, but for the condition above.
            let _ = self.queues.call(Wake);
        }
        if !batches.is_empty() {
            self.counters.common.on_group(&outcomes, events as u64, waiting, began.elapsed());
        }
        panicked
    }

    /// Waits for something that can go; `None`: no more will come.
    fn take(&self) -> Option<Taken<Reply>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Instant::now();
        loop {
            let is_full = self.backlog().is_full();
            let stops = !is_full && self.pull(due);
            let mut backlog = self.backlog();
            if let Some(taken) = backlog.take() {
                return Some(taken);
            }
            if stops && backlog.is_empty() {
                return None;
            }
            if is_full || stops {
                // What waits depends on what is under way.
                drop(self.released.wait(backlog));
                due = Instant::now();
            } else {
                due = Instant::now() + LONG;
            }
        }
    }

    /// Moves what waits in the queues into the backlog; waits for it until `due`. Whether the journal stops.
    fn pull(&self, due: Instant) -> bool {
        match self.queues.next(due) {
            Work::Do(_, group, replies) => {
                self.backlog().push(group.refused, group.batches, replies.split());
                false
            }
            Work::Due => false,
            Work::Stop => true,
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog<Reply>> {
        // Nothing panics while it is locked.
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
