//! Marks a member as draining; and reads the present view.

use gundo_kernel::View;

use super::{Answer, Event, Operation, Step, Work, unasked};

/// Marks a member as draining. Its output: whether it is a member.
#[derive(Debug)]
pub struct Drain {
    incarnation: u64,
    work: Work<bool>,
}

impl Drain {
    /// The drain of `incarnation`.
    pub fn new(incarnation: u64) -> Self {
        Self { incarnation, work: Work::reading() }
    }
}

impl Operation for Drain {
    type Output = bool;

    fn next(&self) -> &Step<bool> {
        &self.work.step
    }

    fn on_answer(&mut self, answer: Answer) {
        let incarnation = self.incarnation;
        match self.work.take(answer) {
            Some(Event::Read) => match self.work.record.draining(incarnation) {
                Some(false) => self.work.swap(|record| record.drain(incarnation)),
                Some(true) => self.work.end(Ok(true)),
                None => self.work.end(Ok(false)),
            },
            Some(Event::Swapped) => self.work.end(Ok(true)),
            None => {}
            Some(event) => unasked(event),
        }
    }
}

/// Reads the present view.
#[derive(Debug)]
pub struct Look(Work<View>);

impl Look {
    /// A look.
    pub fn new() -> Self {
        Self(Work::reading())
    }
}

impl Default for Look {
    fn default() -> Self {
        Self::new()
    }
}

impl Operation for Look {
    type Output = View;

    fn next(&self) -> &Step<View> {
        &self.0.step
    }

    fn on_answer(&mut self, answer: Answer) {
        match self.0.take(answer) {
            Some(Event::Read) => {
                let view = self.0.record.view();
                self.0.end(Ok(view));
            }
            None => {}
            Some(event) => unasked(event),
        }
    }
}
