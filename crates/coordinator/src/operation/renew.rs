//! A member renews its lease.
//!
//! The store comes first: a member that is heard keeps its lease, also while the journal hangs. The first that is heard after an
//! outage of the store finds that nobody has a lease; then it gets one for each member before its own, or the next one to look would
//! remove all others.

use super::{Answer, Event, Operation, Request, Step, Work, unasked};
use crate::record::Standing;
use crate::{RowAnswer, RowRequest, StoreRequest};

/// Renews a lease, then looks for the row. Its output is false if the incarnation was removed. Usually it does not read the record.
#[derive(Debug)]
pub struct Renew {
    incarnation: u64,
    lease_ms: u64,
    /// Who gets a lease yet, itself last: from the end.
    granting: Vec<u64>,
    work: Work<bool>,
}

impl Renew {
    /// The renewal of `incarnation`. `lease_ms`: length of its lease, if it needs a new one.
    pub fn new(incarnation: u64, lease_ms: u64) -> Self {
        let first = Request::Store(StoreRequest::Renew { lease: incarnation });
        Self { incarnation, lease_ms, granting: Vec::new(), work: Work::starting_with(first) }
    }

    fn grant_next(&mut self) {
        match self.granting.pop() {
            Some(lease) => self.work.ask_store(StoreRequest::Grant { lease, ms: self.lease_ms }),
            None => self.work.ask_row(RowRequest::Stands { incarnation: self.incarnation }),
        }
    }
}

impl Operation for Renew {
    type Output = bool;

    fn next(&self) -> &Step<bool> {
        &self.work.step
    }

    fn on_answer(&mut self, answer: Answer) {
        let lease = self.incarnation;
        match self.work.take(answer) {
            Some(Event::Renewed(true)) => self.work.ask_row(RowRequest::Stands { incarnation: lease }),
            Some(Event::Row(RowAnswer::Stands(stands))) => self.work.end(Ok(stands)),
            // Its lease is over, and nobody has removed it yet.
            Some(Event::Renewed(false)) => self.work.ask_store(StoreRequest::Read),
            Some(Event::Read) => match self.work.record.standing(lease) {
                Standing::Member => self.work.ask_store(StoreRequest::Leases),
                _ => self.work.end(Ok(false)),
            },
            Some(Event::Leases(leases)) => {
                self.granting = self.work.record.after_outage(&leases);
                self.granting.retain(|other| *other != lease);
                self.granting.insert(0, lease);
                self.grant_next();
            }
            Some(Event::Granted) => self.grant_next(),
            None => {}
            Some(event) => unasked(event),
        }
    }
}
