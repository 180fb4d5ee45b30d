//! Removes an incarnation, or lets one leave.
//!
//! The operation first writes down that the removal has begun. So if two members propose each other's removal, only one is
//! removed: the second proposal finds that it would remove the last member. A removal that has begun can only be finished.

use std::collections::VecDeque;

use gundo_types::Epoch;

use super::{Answer, Event, Operation, Step, Work, unasked};
use crate::record::Standing;
use crate::{RowAnswer, RowRequest};

/// Removes an incarnation: first its row, then from the view. Its output: whether this ended its membership.
#[derive(Debug)]
pub struct Remove {
    incarnation: u64,
    why: Why,
    /// Its removal is written down, by this operation or another.
    begun: bool,
    /// Rows to delete, the one that was asked for first.
    rows: VecDeque<u64>,
    work: Work<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Others cannot reach it, in the view of this epoch.
    Proposed(Epoch),
    Leaves,
    LeaseOver,
}

impl Remove {
    /// Members of the view of `epoch` propose it. A proposal on a stale view does nothing, and the last member stays.
    pub fn proposed(epoch: Epoch, incarnation: u64) -> Self {
        Self::new(incarnation, Why::Proposed(epoch))
    }

    /// It leaves voluntarily, even as the last member, and even if its join was never completed.
    pub fn leaving(incarnation: u64) -> Self {
        Self::new(incarnation, Why::Leaves)
    }

    /// Its lease is over. The last member stays nevertheless.
    pub fn lease_over(incarnation: u64) -> Self {
        Self::new(incarnation, Why::LeaseOver)
    }

    fn new(incarnation: u64, why: Why) -> Self {
        Self { incarnation, why, begun: false, rows: VecDeque::new(), work: Work::reading() }
    }

    /// Whether the removal may begin.
    fn may_begin(&self) -> bool {
        let record = &self.work.record;
        let is_member = record.standing(self.incarnation) == Standing::Member;
        let is_last = record.is_last(self.incarnation);
        match self.why {
            Why::Proposed(epoch) => record.epoch() == epoch && is_member && !is_last,
            Why::Leaves => true,
            Why::LeaseOver => !(is_member && is_last),
        }
    }

    fn decide(&mut self) {
        let incarnation = self.incarnation;
        match self.work.record.standing(incarnation) {
            Standing::Gone => self.work.end(Ok(self.begun)),
            Standing::Removing | Standing::Ended if self.begun || !self.is_stale() => self.delete_rows(),
            Standing::Member | Standing::Joining if self.may_begin() => {
                self.work.swap(|record| record.begin_removal(incarnation));
            }
            _ => self.work.end(Ok(false)),
        }
    }

    fn is_stale(&self) -> bool {
        matches!(self.why, Why::Proposed(epoch) if epoch != self.work.record.epoch())
    }

    fn delete_rows(&mut self) {
        self.begun = true;
        self.rows = self.work.record.rows_of(self.incarnation).into();
        self.delete_next();
    }

    fn delete_next(&mut self) {
        match self.rows.front().copied() {
            Some(incarnation) => self.work.ask_row(RowRequest::Delete { incarnation }),
            None => {
                let incarnation = self.incarnation;
                self.work.swap(|record| record.drop_incarnation(incarnation));
            }
        }
    }
}

impl Operation for Remove {
    type Output = bool;

    fn next(&self) -> &Step<bool> {
        &self.work.step
    }

    fn on_answer(&mut self, answer: Answer) {
        match self.work.take(answer) {
            Some(Event::Read) => self.decide(),
            Some(Event::Swapped) => match self.work.record.standing(self.incarnation) {
                Standing::Gone => self.work.end(Ok(true)),
                _ => self.delete_rows(),
            },
            Some(Event::Row(RowAnswer::Deleted)) => {
                self.rows.pop_front();
                self.delete_next();
            }
            None => {}
            Some(event) => unasked(event),
        }
    }
}
