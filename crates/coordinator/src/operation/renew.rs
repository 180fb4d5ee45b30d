//! A member renews its lease.

use super::{Answer, Event, Operation, Request, Step, Work, unasked};
use crate::record::Standing;
use crate::{RowAnswer, RowRequest, StoreRequest};

/// Renews a lease. Its output is false if the incarnation was removed. Usually it does not read the record.
#[derive(Debug)]
pub struct Renew {
    incarnation: u64,
    lease_ms: u64,
    work: Work<bool>,
}

impl Renew {
    /// The renewal of `incarnation`. `lease_ms`: length of its lease, if it needs a new one.
    pub fn new(incarnation: u64, lease_ms: u64) -> Self {
        let first = Request::Row(RowRequest::Stands { incarnation });
        Self { incarnation, lease_ms, work: Work::starting_with(first) }
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
            Some(Event::Row(RowAnswer::Stands(true))) => self.work.ask_store(StoreRequest::Renew { lease }),
            Some(Event::Row(RowAnswer::Stands(false))) => self.work.end(Ok(false)),
            Some(Event::Renewed(true) | Event::Granted) => self.work.end(Ok(true)),
            // Its lease is over, and nobody has removed it yet.
            Some(Event::Renewed(false)) => self.work.ask_store(StoreRequest::Read),
            Some(Event::Read) => match self.work.record.standing(lease) {
                Standing::Member => self.work.ask_store(StoreRequest::Grant { lease, ms: self.lease_ms }),
                _ => self.work.end(Ok(false)),
            },
            None => {}
            Some(event) => unasked(event),
        }
    }
}
