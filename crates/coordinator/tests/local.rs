//! The coordinator of a single process keeps every promise of the suite.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc::channel};

use gundo_coordinator::operation::{Answer, Request};
use gundo_coordinator::suite::{LEASE_MS, Made, candidate};
use gundo_coordinator::{
    CallError, Coordinator, LocalCoordinator, LocalSettings, MEMBERS_MAX, RowAnswer, RowReply, RowRequest,
    Rows,
};
use gundo_journal::{Journal, MemoryJournal, Registration};

gundo_coordinator::conformance!(Local::new);

/// The rows of a journal in memory, which can be told not to answer.
#[derive(Default)]
struct MemoryRows {
    journal: MemoryJournal,
    is_mute: AtomicBool,
    /// Replies that were not sent.
    kept: Mutex<Vec<RowReply>>,
}

impl MemoryRows {
    fn answer(&self, request: RowRequest) -> Result<RowAnswer, String> {
        let answer = match request {
            RowRequest::Register { node, incarnation } => {
                self.journal.register(node, incarnation).map(|registration| match registration {
                    Registration::Registered => RowAnswer::Registered,
                    Registration::Passed { newest } => RowAnswer::Passed { newest },
                })
            }
            RowRequest::Delete { incarnation } => {
                self.journal.leave(incarnation).map(|()| RowAnswer::Deleted)
            }
            RowRequest::Stands { incarnation } => self.journal.is_member(incarnation).map(RowAnswer::Stands),
        };
        answer.map_err(|fault| fault.to_string())
    }
}

impl Rows for MemoryRows {
    fn ask(&self, request: RowRequest, reply: RowReply) {
        let answer = self.answer(request);
        if self.is_mute.load(Ordering::Relaxed) {
            self.kept.lock().expect("no test panics with it").push(reply);
        } else {
            reply(answer);
        }
    }
}

struct Local {
    rows: Arc<MemoryRows>,
    coordinator: LocalCoordinator,
}

impl Local {
    fn new() -> Self {
        let rows = Arc::<MemoryRows>::default();
        let settings = LocalSettings { lease_ms: LEASE_MS };
        let coordinator = LocalCoordinator::new(settings, Arc::clone(&rows) as Arc<dyn Rows>);
        Self { rows, coordinator }
    }
}

impl Made for Local {
    fn coordinator(&self) -> &dyn Coordinator {
        &self.coordinator
    }

    fn ask(&self, request: Request) -> Answer {
        match request {
            Request::Store(request) => Answer::Store(self.coordinator.ask_store(request)),
            Request::Row(request) => self.rows.answer(request).map_or_else(Answer::Failed, Answer::Row),
        }
    }

    fn pass(&self, ms: u64) {
        self.coordinator.pass(ms);
        self.coordinator.expire(Box::new(drop));
    }

    fn outage(&self, ms: u64) {
        self.coordinator.pass(ms);
    }

    fn mute_journal(&self, mute: bool) {
        self.rows.is_mute.store(mute, Ordering::Relaxed);
    }
}

#[test]
fn a_full_world_takes_no_other_node() {
    let made = Local::new();
    let join = |nodes: std::ops::RangeInclusive<u16>| {
        let (tx, rx) = channel();
        let candidates = nodes.map(candidate).collect();
        made.coordinator.join(candidates, Box::new(move |joined| drop(tx.send(joined))));
        rx.recv().expect("answered").map(|members| members.len())
    };
    let most = MEMBERS_MAX as u16;
    assert_eq!(join(1..=most + 1), Err(CallError::Full));
    assert_eq!(join(1..=most), Ok(MEMBERS_MAX));
    assert_eq!(join(most + 1..=most + 1), Err(CallError::Full));
    assert_eq!(join(7..=7), Ok(1), "one that is there already may come again");
}

#[test]
fn more_calls_than_may_wait_fail_at_once() {
    let made = Local::new();
    made.coordinator.join(vec![candidate(1)], Box::new(|joined| drop(joined.expect("it joins"))));
    made.mute_journal(true);
    let (tx, rx) = channel();
    let renew = || {
        let tx = tx.clone();
        made.coordinator.renew(1, Box::new(move |renewed| drop(tx.send(renewed))));
    };
    (0..1_024).for_each(|_| renew());
    assert!(rx.try_recv().is_err(), "all of them wait");
    renew();
    assert!(matches!(rx.try_recv(), Ok(Err(CallError::Failed { .. }))));
    (0..4).for_each(|_| made.pass(500));
    assert_eq!(rx.try_iter().filter(|renewed| *renewed == Err(CallError::Unanswered)).count(), 1_024);
    made.mute_journal(false);
    renew();
    assert_eq!(rx.try_recv(), Ok(Ok(true)), "there is room again");
}
