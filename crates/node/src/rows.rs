//! The rows of incarnations in the journal, read and written on threads of their own: a slow journal blocks no other
//! thread.
//!
//! Reads have their own thread, so that members renew their leases while a write waits for the disk. The queues are
//! bounded. The coordinator gives up a call long before the limit is reached, so beyond it a request fails at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

use gundo_coordinator::{RowAnswer, RowReply, RowRequest, Rows};
use gundo_journal::{Fault, Journal, Registration};

use crate::end;

/// Requests that may wait for one of the two threads: more than all nodes of a process send during a lease.
const WAITING_MAX: usize = 1_024;

/// The queues of the threads. They may outlive the threads; then nothing is answered.
pub(crate) struct JournalRows {
    reads: SyncSender<Job>,
    writes: SyncSender<Job>,
}

/// The threads. Dropping this ends them after their current request; waiting requests are dropped. A thread that hangs in the
/// journal is abandoned.
pub(crate) struct RowThreads {
    rows: Arc<JournalRows>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

enum Job {
    Ask(RowRequest, RowReply),
    /// Check whether to end.
    Wake,
}

impl RowThreads {
    pub(crate) fn start(journal: &Arc<dyn Journal>) -> std::io::Result<Self> {
        let ((reads, to_read), (writes, to_write)) = (sync_channel(WAITING_MAX), sync_channel(WAITING_MAX));
        let rows = Arc::new(JournalRows { reads, writes });
        let mut threads = Self { rows, ended: Arc::default(), threads: Vec::new() };
        for (name, jobs) in [("gundo-row-reads", to_read), ("gundo-row-writes", to_write)] {
            let (journal, ended) = (Arc::clone(journal), Arc::clone(&threads.ended));
            let serve = move || serve(journal.as_ref(), &jobs, &ended);
            threads.threads.push(Builder::new().name(name.into()).spawn(serve)?);
        }
        Ok(threads)
    }

    pub(crate) fn rows(&self) -> Arc<JournalRows> {
        Arc::clone(&self.rows)
    }
}

impl Drop for RowThreads {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for jobs in [&self.rows.reads, &self.rows.writes] {
            // A full queue wakes its thread as well.
            let _ = jobs.try_send(Job::Wake);
        }
        self.threads.drain(..).for_each(|thread| end::wait_for(thread, end::PATIENCE));
    }
}

impl Rows for JournalRows {
    fn ask(&self, request: RowRequest, reply: RowReply) {
        let jobs = match request {
            RowRequest::Stands { .. } => &self.reads,
            RowRequest::Register { .. } | RowRequest::Delete { .. } => &self.writes,
        };
        // A world that has ended answers nothing.
        if let Err(TrySendError::Full(Job::Ask(_, reply))) = jobs.try_send(Job::Ask(request, reply)) {
            reply(Err(format!("{WAITING_MAX} requests wait for the journal already")));
        }
    }
}

fn serve(journal: &dyn Journal, jobs: &Receiver<Job>, ended: &AtomicBool) {
    while let Ok(job) = jobs.recv() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        if let Job::Ask(request, reply) = job {
            reply(answer(journal, request).map_err(|fault| fault.to_string()));
        }
    }
}

fn answer(journal: &dyn Journal, request: RowRequest) -> Result<RowAnswer, Fault> {
    match request {
        RowRequest::Register { node, incarnation } => {
            journal.register(node, incarnation).map(|registration| match registration {
                Registration::Registered => RowAnswer::Registered,
                Registration::Passed { newest } => RowAnswer::Passed { newest },
            })
        }
        RowRequest::Delete { incarnation } => journal.leave(incarnation).map(|()| RowAnswer::Deleted),
        RowRequest::Stands { incarnation } => journal.is_member(incarnation).map(RowAnswer::Stands),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Condvar, Mutex};

    use gundo_coordinator::operation::{Answer, Request};
    use gundo_coordinator::suite::{LEASE_MS, Made, candidate};
    use gundo_coordinator::{Coordinator, LocalCoordinator, LocalSettings};
    use gundo_journal::{Handle, MemoryJournal, NameRow, Pruned, Sink, StreamSummary};
    use gundo_types::{EntityId, NodeId, WorldTime};
    use gundo_wire::journal::EventRecord;

    use super::*;

    gundo_coordinator::conformance!(Threaded::new);

    /// Which calls of a journal block.
    #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
    enum Stalls {
        #[default]
        Nothing,
        Writes,
        All,
    }

    /// A journal in memory that blocks on request.
    #[derive(Default)]
    struct Stalling {
        journal: MemoryJournal,
        stalls: Mutex<Stalls>,
        goes_on: Condvar,
    }

    impl Stalling {
        fn stall(&self, stalls: Stalls) {
            *self.stalls.lock().expect("no test panics with it") = stalls;
            self.goes_on.notify_all();
        }

        fn pass(&self, from: Stalls) -> &MemoryJournal {
            let stalls = self.stalls.lock().expect("no test panics with it");
            drop(self.goes_on.wait_while(stalls, |stalls| *stalls >= from).expect("no test panics with it"));
            &self.journal
        }
    }

    impl Journal for Stalling {
        fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
            self.pass(Stalls::Writes).register(node, incarnation)
        }

        fn leave(&self, incarnation: u64) -> Result<(), Fault> {
            self.pass(Stalls::Writes).leave(incarnation)
        }

        fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
            self.pass(Stalls::All).is_member(incarnation)
        }

        fn generation(&self) -> Result<u64, Fault> {
            self.journal.generation()
        }

        fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault> {
            self.journal.begin_generation(wall_ms)
        }

        fn handle(&self, node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
            self.journal.handle(node, incarnation, sink)
        }

        fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
            self.journal.meta(key)
        }

        fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
            self.journal.set_meta(key, value)
        }

        fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
            self.journal.settle(key, value)
        }

        fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
            self.journal.name(space, name)
        }

        fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
            self.journal.streams(after, max)
        }

        fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
            self.journal.stream(entity, after, max)
        }

        fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault> {
            self.journal.remove(streams)
        }

        fn prune(&self, now: WorldTime) -> Result<Pruned, Fault> {
            self.journal.prune(now)
        }
    }

    struct Threaded {
        journal: Arc<Stalling>,
        coordinator: LocalCoordinator,
        rows: RowThreads,
    }

    impl Threaded {
        fn new() -> Self {
            let journal = Arc::<Stalling>::default();
            let rows = RowThreads::start(&(Arc::clone(&journal) as Arc<dyn Journal>)).expect("threads");
            let coordinator = LocalCoordinator::new(LocalSettings { lease_ms: LEASE_MS }, rows.rows());
            Self { journal, coordinator, rows }
        }
    }

    impl Drop for Threaded {
        fn drop(&mut self) {
            self.journal.stall(Stalls::Nothing);
        }
    }

    impl Made for Threaded {
        fn coordinator(&self) -> &dyn Coordinator {
            &self.coordinator
        }

        fn ask(&self, request: Request) -> Answer {
            match request {
                Request::Store(request) => Answer::Store(self.coordinator.ask_store(request)),
                Request::Row(request) => {
                    let answer = answer(self.journal.as_ref(), request);
                    answer.map_or_else(|fault| Answer::Failed(fault.chain()), Answer::Row)
                }
            }
        }

        fn pass(&self, ms: u64) {
            self.coordinator.pass(ms);
            let (tx, rx) = channel();
            self.coordinator.expire(Box::new(move |expired| drop(tx.send(expired))));
            // A blocked journal answers nothing.
            if *self.journal.stalls.lock().expect("no test panics with it") == Stalls::Nothing {
                rx.recv().expect("answered").expect("every row can be deleted");
            }
        }

        fn outage(&self, ms: u64) {
            self.coordinator.pass(ms);
        }

        fn mute_journal(&self, mute: bool) {
            self.journal.stall(if mute { Stalls::All } else { Stalls::Nothing });
        }
    }

    #[test]
    fn members_renew_while_a_write_waits_for_the_disk() {
        let made = Threaded::new();
        let (tx, rx) = channel();
        made.coordinator
            .join(vec![candidate(1), candidate(2)], Box::new(move |joined| drop(tx.send(joined))));
        let members = rx.recv().expect("answered").expect("they join");
        made.journal.stall(Stalls::Writes);
        let (tx, left) = channel();
        made.coordinator.leave(members[1].incarnation, Box::new(move |gone| drop(tx.send(gone))));
        for _ in 0..10 {
            let (tx, rx) = channel();
            let incarnation = members[0].incarnation;
            made.coordinator.renew(incarnation, Box::new(move |renewed| drop(tx.send(renewed))));
            assert_eq!(rx.recv().expect("answered"), Ok(true));
        }
        assert!(left.try_recv().is_err(), "its row is still there");
        made.journal.stall(Stalls::Nothing);
        assert_eq!(left.recv().expect("answered"), Ok(()));
    }

    #[test]
    fn the_threads_end_although_the_journal_hangs() {
        let made = Threaded::new();
        made.journal.stall(Stalls::All);
        let hangs = RowThreads::start(&(Arc::clone(&made.journal) as Arc<dyn Journal>)).expect("threads");
        hangs.rows().ask(RowRequest::Stands { incarnation: 1 }, Box::new(drop));
        hangs.rows().ask(RowRequest::Delete { incarnation: 1 }, Box::new(drop));
        let (tx, ended) = channel();
        std::thread::spawn(move || {
            drop(hangs);
            tx.send(()).expect("the test waits");
        });
        ended.recv_timeout(std::time::Duration::from_secs(60)).expect("it does not wait for the journal");
    }

    #[test]
    fn more_requests_than_may_wait_fail_at_once() {
        let made = Threaded::new();
        made.journal.stall(Stalls::Writes);
        let (tx, rx) = channel();
        let rows = made.rows.rows();
        let ask = || {
            let tx = tx.clone();
            let delete = RowRequest::Delete { incarnation: 1 };
            rows.ask(delete, Box::new(move |answer| drop(tx.send(answer))));
        };
        // One may be in progress already.
        (0..WAITING_MAX + 2).for_each(|_| ask());
        assert!(rx.recv().expect("answered").is_err(), "one too many");
        made.journal.stall(Stalls::Nothing);
        let done = (0..WAITING_MAX).filter(|_| rx.recv().expect("answered").is_ok()).count();
        assert!(done >= WAITING_MAX - 1, "all others are done: {done}");
    }
}
