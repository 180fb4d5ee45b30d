//! The rows of a world in memory, which can be told not to answer.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gundo_coordinator::{RowAnswer, RowReply, RowRequest, Rows};

/// Rows in memory, by the rules of a journal: a row that was deleted never comes back.
#[derive(Default)]
pub(crate) struct MemoryRows {
    rows: Mutex<(BTreeSet<u64>, u64)>,
    is_mute: AtomicBool,
    /// Replies that were not sent.
    kept: Mutex<Vec<RowReply>>,
}

impl MemoryRows {
    /// Does a request.
    pub(crate) fn answer(&self, request: RowRequest) -> RowAnswer {
        let mut rows = self.rows.lock().expect("no test panics with it");
        let (stand, newest) = &mut *rows;
        match request {
            RowRequest::Register { incarnation, .. } if stand.contains(&incarnation) => RowAnswer::Registered,
            RowRequest::Register { incarnation, .. } if incarnation <= *newest => {
                RowAnswer::Passed { newest: *newest }
            }
            RowRequest::Register { incarnation, .. } => {
                stand.insert(incarnation);
                *newest = incarnation;
                RowAnswer::Registered
            }
            RowRequest::Delete { incarnation } => {
                stand.remove(&incarnation);
                RowAnswer::Deleted
            }
            RowRequest::Stands { incarnation } => RowAnswer::Stands(stand.contains(&incarnation)),
        }
    }

    /// From now on requests are done and not answered; or they are answered again.
    pub(crate) fn mute(&self, mute: bool) {
        self.is_mute.store(mute, Ordering::Relaxed);
    }

    /// Whether it is mute.
    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute.load(Ordering::Relaxed)
    }
}

impl Rows for MemoryRows {
    fn ask(&self, request: RowRequest, reply: RowReply) {
        let answer = self.answer(request);
        if self.is_mute() {
            self.kept.lock().expect("no test panics with it").push(reply);
        } else {
            reply(Ok(answer));
        }
    }
}
