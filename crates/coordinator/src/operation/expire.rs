//! Ends what nobody renews: members whose lease is over, and removals that were left half done.

use std::collections::BTreeSet;

use super::{Answer, Event, Operation, Remove, Step, Work, unasked};
use crate::StoreRequest;

/// Removes every incarnation whose lease is over, and finishes removals that have begun. Run it now and then, or whenever a lease
/// ends. Its output: the removed members.
///
/// On a store that may be out of reach, ask a [`Patience`](crate::Patience) first. If no member has a lease, nobody could renew: each gets another one, and is removed when that is over too.
#[derive(Debug)]
pub struct Expire {
    lease_ms: u64,
    /// Members that get another lease: from the end.
    granting: Vec<u64>,
    /// They have got it: once is enough.
    granted: bool,
    /// The present removal.
    removal: Option<(u64, Remove)>,
    /// Incarnations that were already looked at.
    seen: BTreeSet<u64>,
    removed: Vec<u64>,
    work: Work<Vec<u64>>,
}

impl Expire {
    /// A look at all leases. `lease_ms`: length of a lease.
    pub fn new(lease_ms: u64) -> Self {
        Self {
            lease_ms,
            granting: Vec::new(),
            granted: false,
            removal: None,
            seen: BTreeSet::new(),
            removed: Vec::new(),
            work: Work::reading(),
        }
    }

    fn take_leases(&mut self, leases: &[u64]) {
        if !std::mem::replace(&mut self.granted, true) {
            self.granting = self.work.record.after_outage(leases);
        }
        if self.granting.is_empty() { self.next_removal(leases) } else { self.grant_next() }
    }

    fn grant_next(&mut self) {
        match self.granting.pop() {
            Some(lease) => self.work.ask_store(StoreRequest::Grant { lease, ms: self.lease_ms }),
            None => self.work.ask_store(StoreRequest::Read),
        }
    }

    fn next_removal(&mut self, leases: &[u64]) {
        let overdue = self.work.record.overdue(leases);
        match overdue.into_iter().find(|incarnation| !self.seen.contains(incarnation)) {
            Some(incarnation) => {
                self.seen.insert(incarnation);
                let removal = Remove::lease_over(incarnation);
                self.go_on(incarnation, removal);
            }
            None => {
                let removed = std::mem::take(&mut self.removed);
                self.work.end(Ok(removed));
            }
        }
    }

    fn go_on(&mut self, incarnation: u64, removal: Remove) {
        match removal.next() {
            Step::Ask(request) => {
                self.work.ask(request.clone());
                self.removal = Some((incarnation, removal));
            }
            Step::Done(Ok(is_gone)) => {
                let was_member = self.work.record.draining(incarnation).is_some();
                if *is_gone && was_member {
                    self.removed.push(incarnation);
                }
                self.work.ask_store(StoreRequest::Read);
            }
            Step::Done(Err(error)) => self.work.end(Err(error.clone())),
        }
    }
}

impl Operation for Expire {
    type Output = Vec<u64>;

    fn next(&self) -> &Step<Vec<u64>> {
        &self.work.step
    }

    fn on_answer(&mut self, answer: Answer) {
        if let Some((incarnation, mut removal)) = self.removal.take() {
            removal.on_answer(answer);
            return self.go_on(incarnation, removal);
        }
        match self.work.take(answer) {
            Some(Event::Read) => self.work.ask_store(StoreRequest::Leases),
            Some(Event::Leases(leases)) => self.take_leases(&leases),
            Some(Event::Granted) => self.grant_next(),
            None => {}
            Some(event) => unasked(event),
        }
    }
}
