//! The rules, as state machines without I/O.
//!
//! A driver asks an [`Operation`] for its [next](Operation::next) request and gives it the [answer](Operation::on_answer), until
//! it is done. A driver that loses an answer, or dies, simply drops the operation. Every request may be repeated, and the record
//! says what has begun, so the same operation, run again by anyone, finishes what is left.
//!
//! | operation | its steps |
//! | --- | --- |
//! | [`Join`] | read; grant leases; *swap: the join has begun*; register rows; delete earlier rows; *swap: they belong* |
//! | [`Remove`] | read; *swap: the removal has begun*; delete the row; *swap: it does not belong any more* |
//! | [`Renew`] | renew the lease; only if that has ended: read, grant another; check the row |
//! | [`Drain`] | read; *swap* |
//! | [`Expire`] | read; list leases; then `Remove` for each incarnation whose lease is over, or that was left half removed |
//! | [`Look`] | read |
//!
//! A swap that finds another version reads the record again and decides again.

mod drain;
mod expire;
mod join;
mod remove;
mod renew;

use std::fmt;

pub use drain::{Drain, Look};
pub use expire::Expire;
pub use join::Join;
pub use remove::Remove;
pub use renew::Renew;

use crate::{CallError, Record, RowAnswer, RowRequest, StoreAnswer, StoreRequest, Version};

/// After this many swaps that found another version, an operation gives up: [`CallError::Contended`].
const CONFLICTS_MAX: u32 = 32;

/// One operation on the membership.
pub trait Operation {
    /// Its result.
    type Output: Clone;

    /// Its next step; the same one until it is answered.
    fn next(&self) -> &Step<Self::Output>;

    /// Takes the answer to its request.
    ///
    /// # Panics
    /// It is done, or the answer is to another request: a bug of the driver.
    fn on_answer(&mut self, answer: Answer);
}

/// The next step of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It needs an answer.
    Ask(Request),
    /// It is done.
    Done(Result<T, CallError>),
}

/// A request of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To the store.
    Store(StoreRequest),
    /// To the journal.
    Row(RowRequest),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// From the store.
    Store(StoreAnswer),
    /// From the journal.
    Row(RowAnswer),
    /// The request failed, though it may have been done: what was tried and why it failed. The operation ends.
    Failed(String),
}

/// Runs an operation to its end where every request is answered at once.
///
/// # Errors
/// How the operation ended.
pub fn run<O: Operation>(
    mut operation: O,
    mut ask: impl FnMut(Request) -> Answer,
) -> Result<O::Output, CallError> {
    loop {
        match operation.next() {
            Step::Ask(request) => {
                let answer = ask(request.clone());
                operation.on_answer(answer);
            }
            Step::Done(result) => return result.clone(),
        }
    }
}

/// What all operations share: the step, the record as last read or swapped in, and the handling of conflicts.
#[derive(Debug)]
struct Work<T> {
    step: Step<T>,
    record: Record,
    version: Option<Version>,
    conflicts: u32,
}

/// What an answer means to an operation.
#[derive(Debug)]
enum Event {
    /// The record is fresh.
    Read,
    /// The changed record is in force.
    Swapped,
    Granted,
    Renewed(bool),
    Leases(Vec<u64>),
    Row(RowAnswer),
}

impl<T> Work<T> {
    fn starting_with(request: Request) -> Self {
        Self { step: Step::Ask(request), record: Record::default(), version: None, conflicts: 0 }
    }

    fn reading() -> Self {
        Self::starting_with(Request::Store(StoreRequest::Read))
    }

    fn ask(&mut self, request: Request) {
        self.step = Step::Ask(request);
    }

    fn ask_store(&mut self, request: StoreRequest) {
        self.ask(Request::Store(request));
    }

    fn ask_row(&mut self, request: RowRequest) {
        self.ask(Request::Row(request));
    }

    /// Changes the record: [`Event::Swapped`] comes next, or [`Event::Read`] if another caller changed it meanwhile.
    fn swap(&mut self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record);
        let value = self.record.encode();
        self.ask_store(StoreRequest::Swap { expected: self.version, value });
    }

    /// Another caller was faster: reads the record again, unless that has happened too often.
    fn decide_again(&mut self) {
        self.conflicts += 1;
        if self.conflicts > CONFLICTS_MAX {
            return self.end(Err(CallError::Contended));
        }
        self.ask_store(StoreRequest::Read);
    }

    fn end(&mut self, result: Result<T, CallError>) {
        self.step = Step::Done(result);
    }

    /// What the answer means; `None`: the next step is already set.
    fn take(&mut self, answer: Answer) -> Option<Event> {
        assert!(matches!(self.step, Step::Ask(_)), "an operation that is done takes no answer");
        match answer {
            Answer::Store(StoreAnswer::Record(found)) => match decode(found) {
                Ok((version, record)) => {
                    (self.version, self.record) = (version, record);
                    Some(Event::Read)
                }
                Err(error) => {
                    self.end(Err(error));
                    None
                }
            },
            Answer::Store(StoreAnswer::Swapped(version)) => {
                self.version = Some(version);
                Some(Event::Swapped)
            }
            Answer::Store(StoreAnswer::Conflict) => {
                self.decide_again();
                None
            }
            Answer::Store(StoreAnswer::Granted) => Some(Event::Granted),
            Answer::Store(StoreAnswer::Renewed(was_there)) => Some(Event::Renewed(was_there)),
            Answer::Store(StoreAnswer::Leases(leases)) => Some(Event::Leases(leases)),
            Answer::Row(answer) => Some(Event::Row(answer)),
            Answer::Failed(what) => {
                self.end(Err(CallError::Failed { what }));
                None
            }
        }
    }
}

fn decode(found: Option<(Version, bytes::Bytes)>) -> Result<(Option<Version>, Record), CallError> {
    let Some((version, value)) = found else { return Ok((None, Record::default())) };
    let failed = |error| CallError::Failed { what: format!("reading the membership: {error}") };
    Ok((Some(version), Record::decode(&value).map_err(failed)?))
}

/// An answer without its request.
fn unasked(event: impl fmt::Debug) -> ! {
    unreachable!("{event:?} answers nothing that was asked")
}
