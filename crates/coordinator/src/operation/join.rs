//! Nodes join.
//!
//! Each gets the next incarnation, and a lease before the record names it, so that nothing in the record lasts forever by itself.
//! The swap that adds them to the view only takes incarnations above all that ever were in one: a join that was overtaken by
//! another gets new ones.
//! The journal registers the new row before the rows of earlier incarnations are deleted. From then on it refuses every earlier
//! incarnation, so a late request of a caller that gave up cannot bring such a row back.

use std::collections::VecDeque;

use gundo_kernel::Member;

use super::{Answer, Event, Operation, Request, Step, Work, unasked};
use crate::record::Standing;
use crate::{CallError, Candidate, MEMBERS_MAX, RowAnswer, RowRequest, StoreRequest};

/// Adds nodes, all in one view. Its output: the members, in the order of the candidates.
#[derive(Debug)]
pub struct Join {
    candidates: Vec<Candidate>,
    lease_ms: u64,
    phase: Phase,
    /// Their incarnations, once they are chosen.
    mine: Vec<u64>,
    /// The journal accepts only incarnations above this one.
    above: u64,
    /// Requests left in this phase, without the present one.
    left: VecDeque<Request>,
    work: Work<Vec<Member>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Leases are granted, then the record names the new incarnations.
    Allocating,
    /// The journal registers their rows.
    Registering,
    /// The journal deletes the rows of earlier incarnations.
    Clearing,
    /// They take their place in the view.
    Admitting,
    /// Another join of one of the nodes has begun: the rows are deleted.
    GivingUp,
}

impl Join {
    /// The join of `candidates`. `lease_ms`: length of a lease.
    ///
    /// # Panics
    /// A node is among them twice.
    pub fn new(candidates: Vec<Candidate>, lease_ms: u64) -> Self {
        let twice = |(at, c): (usize, &Candidate)| candidates[..at].iter().any(|other| other.node == c.node);
        assert!(!candidates.iter().enumerate().any(twice), "a node joins once: {candidates:?}");
        Self {
            candidates,
            lease_ms,
            phase: Phase::Allocating,
            mine: Vec::new(),
            above: 0,
            left: VecDeque::new(),
            work: Work::reading(),
        }
    }

    fn members(&self) -> Vec<Member> {
        let member = |(candidate, incarnation): (&Candidate, &u64)| Member {
            node: candidate.node,
            incarnation: *incarnation,
            address: candidate.address.clone(),
            site: candidate.site.clone(),
            weight: 1,
            draining: false,
        };
        self.candidates.iter().zip(&self.mine).map(member).collect()
    }

    fn choose(&mut self) {
        let record = &self.work.record;
        if record.count_with(&self.candidates) > MEMBERS_MAX {
            return self.work.end(Err(CallError::Full));
        }
        self.mine = record.next_incarnations(&self.candidates, self.above);
        let ms = self.lease_ms;
        self.left =
            self.mine.iter().map(|lease| Request::Store(StoreRequest::Grant { lease: *lease, ms })).collect();
        self.go_on();
    }

    /// Sends the next request of this phase, or begins the next phase.
    fn go_on(&mut self) {
        if let Some(request) = self.left.pop_front() {
            return self.work.ask(request);
        }
        match self.phase {
            Phase::Allocating => {
                self.work.swap(|record| record.begin_join(&self.candidates, &self.mine));
            }
            Phase::Registering => {
                self.phase = Phase::Clearing;
                let record = &self.work.record;
                let earlier = self.mine.iter().flat_map(|incarnation| record.earlier_than(*incarnation));
                self.left = earlier.map(|incarnation| delete(*incarnation)).collect();
                self.go_on();
            }
            Phase::Clearing => {
                self.phase = Phase::Admitting;
                self.admit();
            }
            Phase::Admitting => unreachable!("it is one swap"),
            Phase::GivingUp => self.work.end(Err(CallError::Superseded)),
        }
    }

    fn register(&mut self) {
        self.phase = Phase::Registering;
        let register = |(candidate, incarnation): (&Candidate, &u64)| {
            Request::Row(RowRequest::Register { node: candidate.node, incarnation: *incarnation })
        };
        self.left = self.candidates.iter().zip(&self.mine).map(register).collect();
        self.go_on();
    }

    fn admit(&mut self) {
        if !self.work.record.may_admit(&self.mine) {
            // Another join was faster. The rows of these incarnations are earlier ones now.
            self.phase = Phase::Allocating;
            return self.choose();
        }
        let members = self.members();
        self.work.swap(|record| record.admit(&members));
    }

    /// The record has changed before they took their place.
    fn decide(&mut self) {
        let stand_all = |standing| self.mine.iter().all(|i| self.work.record.standing(*i) == standing);
        if stand_all(Standing::Joining) {
            self.admit();
        } else if stand_all(Standing::Member) {
            // The swap took effect, and its answer was lost.
            self.work.end(Ok(self.members()));
        } else {
            self.phase = Phase::GivingUp;
            self.left = self.mine.iter().map(|incarnation| delete(*incarnation)).collect();
            self.go_on();
        }
    }
}

fn delete(incarnation: u64) -> Request {
    Request::Row(RowRequest::Delete { incarnation })
}

impl Operation for Join {
    type Output = Vec<Member>;

    fn next(&self) -> &Step<Vec<Member>> {
        &self.work.step
    }

    fn on_answer(&mut self, answer: Answer) {
        let Some(event) = self.work.take(answer) else { return };
        match (self.phase, event) {
            (Phase::Allocating, Event::Read) => self.choose(),
            (Phase::Allocating, Event::Granted) => self.go_on(),
            (Phase::Allocating, Event::Swapped) => self.register(),
            (Phase::Registering, Event::Row(RowAnswer::Registered)) => self.go_on(),
            (Phase::Registering, Event::Row(RowAnswer::Passed { newest })) => {
                // The store is younger than the journal, or another node was faster.
                self.above = newest;
                self.phase = Phase::Allocating;
                self.work.decide_again();
            }
            (Phase::Clearing | Phase::GivingUp, Event::Row(RowAnswer::Deleted)) => self.go_on(),
            (Phase::Admitting, Event::Read) => self.decide(),
            (Phase::Admitting, Event::Swapped) => {
                let members = self.members();
                self.work.end(Ok(members));
            }
            (_, event) => unasked(event),
        }
    }
}
