//! Runs the rules on etcd and the journal's rows, one task per call, each within its time.

use std::sync::Arc;
use std::time::Duration;

use gundo_coordinator::operation::{Answer, Operation, Request, Step};
use gundo_coordinator::{ANSWER_MS, CallError, RowAnswer, RowRequest, Rows, StoreAnswer, StoreRequest};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::counters::Counters;
use crate::fault::Fault;
use crate::store::Store;
use crate::views::Views;
use crate::watching::view_of;

/// What is left of [`ANSWER_MS`] after the last request, ms: first for the views that the call made, then for the answer.
const VIEWS_MS: u64 = 100;
const REPLY_MS: u64 = 50;

/// What every call needs.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) views: Views,
    pub(crate) counters: Counters,
    /// Calls that wait for a row now.
    #[cfg(test)]
    pub(crate) at_rows: std::sync::atomic::AtomicUsize,
}

impl Core {
    pub(crate) fn new(store: Store, rows: Arc<dyn Rows>, views: Views) -> Self {
        Self {
            store,
            rows,
            views,
            counters: Counters::new(),
            #[cfg(test)]
            at_rows: Default::default(),
        }
    }

    /// Runs an operation to its end, or until its time is over. A view that it made has been told when this returns.
    pub(crate) async fn run<O: Operation>(&self, mut operation: O) -> Result<O::Output, CallError> {
        let begun = Instant::now();
        let at = |before_end: u64| begun + Duration::from_millis(ANSWER_MS - before_end);
        let deadline = at(REPLY_MS + VIEWS_MS);
        let mut made = None;
        let result = loop {
            let request = match operation.next() {
                Step::Ask(request) => request.clone(),
                Step::Done(result) => break result.clone(),
            };
            let answer = match &request {
                Request::Store(request) => self.store.ask(request, deadline).await.map(Answer::Store),
                Request::Row(request) => {
                    #[cfg(test)]
                    self.at_rows.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
                    let answer = self.row(*request, deadline).await;
                    #[cfg(test)]
                    self.at_rows.fetch_sub(1, std::sync::atomic::Ordering::AcqRel);
                    answer
                }
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(Fault::Unanswered) => break Err(CallError::Unanswered),
                Err(fault) => Answer::Failed(fault.text()),
            };
            if let (
                Request::Store(StoreRequest::Swap { value, .. }),
                Answer::Store(StoreAnswer::Swapped(_)),
            ) = (request, &answer)
            {
                made = view_of(&value);
            }
            operation.on_answer(answer);
        };
        if let Some(view) = made {
            self.views.reach(view, at(REPLY_MS)).await;
        }
        self.counters.on_call(&result);
        result
    }

    async fn row(&self, request: RowRequest, deadline: Instant) -> Result<Answer, Fault> {
        let (tx, answer) = oneshot::channel();
        // The call may have stopped waiting.
        self.rows.ask(request, Box::new(move |answer: Result<RowAnswer, String>| drop(tx.send(answer))));
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer.map_or_else(Answer::Failed, Answer::Row)),
            // The journal dropped the question: it will not be answered.
            Ok(Err(_)) => Err(Fault::Unanswered),
            Err(_) => Err(Fault::Unanswered),
        }
    }
}
