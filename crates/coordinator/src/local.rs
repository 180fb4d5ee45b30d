//! The coordinator of a single process: the rules on a store in memory. It lives as long as the process, and so do its
//! members.
//!
//! It has no threads and no clock. [`LocalCoordinator::pass`] hands in time, [`Rows`] answers questions about rows, and everything
//! else happens inside the calls. Replies and views leave through one queue that one thread at a time empties, without a lock: so
//! views arrive in order, and a sink may call the coordinator.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gundo_kernel::{Member, View};
use gundo_types::{Epoch, Time};

use crate::operation::{Answer, Drain, Expire, Join, Look, Operation, Remove, Renew, Request, Step};
use crate::{
    ANSWER_MS, CallError, Candidate, Coordinator, MemoryStore, Record, Reply, RowAnswer, RowRequest, Rows,
    StoreAnswer, StoreRequest, ViewSink, Watch,
};

/// Calls that may wait for the journal: more than all nodes of a process make during one answer. Beyond, a call fails.
const CALLS_MAX: usize = 1_024;

/// Settings of a [`LocalCoordinator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalSettings {
    /// A member that does not renew for this long is removed, ms
    /// ([`WorldSettings::membership_ms`](gundo_kernel::WorldSettings::membership_ms)).
    pub lease_ms: u64,
}

/// A coordinator for the nodes of one process. Clones are handles to the same one.
#[derive(Clone)]
pub struct LocalCoordinator(Arc<Shared>);

struct Shared {
    settings: LocalSettings,
    rows: Arc<dyn Rows>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: MemoryStore,
    now: Time,
    /// Calls that wait for the journal.
    calls: BTreeMap<u64, Waiting>,
    /// Number of calls so far.
    count: u64,
    sinks: BTreeMap<u64, Arc<ViewSink>>,
    told: Epoch,
    effects: VecDeque<Effect>,
    /// A thread is emptying `effects`.
    carrying_out: bool,
}

struct Waiting {
    until: Time,
    call: Box<dyn Call>,
}

/// Something to do without the lock.
enum Effect {
    Ask { call: u64, request: RowRequest },
    Tell { sink: Arc<ViewSink>, view: View },
    Reply(Box<dyn FnOnce() + Send>),
}

/// An operation, and the reply that waits for it.
trait Call: Send {
    fn next(&self) -> Option<Request>;
    fn on_answer(&mut self, answer: Answer);
    /// Gives the reply the result; `None`: there was none in time.
    fn end(self: Box<Self>, error: Option<CallError>) -> Effect;
}

struct Of<O: Operation> {
    operation: O,
    reply: Reply<O::Output>,
}

impl<O: Operation + Send + 'static> Call for Of<O>
where
    O::Output: Send,
{
    fn next(&self) -> Option<Request> {
        match self.operation.next() {
            Step::Ask(request) => Some(request.clone()),
            Step::Done(_) => None,
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        self.operation.on_answer(answer);
    }

    fn end(self: Box<Self>, error: Option<CallError>) -> Effect {
        let result = match (error, self.operation.next()) {
            (Some(error), _) => Err(error),
            (None, Step::Done(result)) => result.clone(),
            (None, Step::Ask(_)) => Err(CallError::Unanswered),
        };
        let reply = self.reply;
        Effect::Reply(Box::new(move || reply(result)))
    }
}

impl LocalCoordinator {
    /// A coordinator without members. Incarnations continue from those in `rows`.
    pub fn new(settings: LocalSettings, rows: Arc<dyn Rows>) -> Self {
        Self(Arc::new(Shared { settings, rows, state: Mutex::default() }))
    }

    /// This much time has passed, ms: call it every 100 ms or so. Answers calls that have waited too long. If the whole process
    /// stood still, do not count that time: nobody could renew.
    pub fn pass(&self, ms: u64) {
        let mut state = self.0.state();
        state.now = state.now.plus_ms(ms);
        let now = state.now;
        state.store.advance(now);
        let over: Vec<_> = state.calls.iter().filter(|(_, c)| c.until <= now).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(waiting) = state.calls.remove(&id) {
                let effect = waiting.call.end(Some(CallError::Unanswered));
                state.effects.push_back(effect);
            }
        }
        self.0.carry_out(state);
    }

    /// Removes members whose lease is over, and finishes removals that have begun; replies with the removed members. Call it after
    /// [`pass`](Self::pass), once the call before has been answered.
    pub fn expire(&self, reply: Reply<Vec<u64>>) {
        self.0.call(Expire::new(self.0.settings.lease_ms), reply);
    }

    /// Does one request of an operation that another caller runs on the same store and rows, as another process would on a shared
    /// store. For tests of a caller that dies between two steps.
    pub fn ask_store(&self, request: StoreRequest) -> StoreAnswer {
        let mut state = self.0.state();
        let answer = state.ask_store(request);
        self.0.carry_out(state);
        answer
    }
}

impl Coordinator for LocalCoordinator {
    fn join(&self, candidates: Vec<Candidate>, reply: Reply<Vec<Member>>) {
        self.0.call(Join::new(candidates, self.0.settings.lease_ms), reply);
    }

    fn renew(&self, incarnation: u64, reply: Reply<bool>) {
        self.0.call(Renew::new(incarnation, self.0.settings.lease_ms), reply);
    }

    fn remove(&self, epoch: Epoch, incarnation: u64, reply: Reply<bool>) {
        self.0.call(Remove::proposed(epoch, incarnation), reply);
    }

    fn leave(&self, incarnation: u64, reply: Reply<()>) {
        self.0.call(Remove::leaving(incarnation), Box::new(|result| reply(result.map(drop))));
    }

    fn drain(&self, incarnation: u64, reply: Reply<bool>) {
        self.0.call(Drain::new(incarnation), reply);
    }

    fn view(&self, reply: Reply<View>) {
        self.0.call(Look::new(), reply);
    }

    fn watch(&self, sink: ViewSink) -> Watch {
        let mut state = self.0.state();
        state.count += 1;
        let (id, sink) = (state.count, Arc::new(sink));
        state.sinks.insert(id, Arc::clone(&sink));
        let view = state.view();
        state.effects.push_back(Effect::Tell { sink, view });
        self.0.carry_out(state);
        let shared = Arc::downgrade(&self.0);
        Watch::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.state().sinks.remove(&id);
            }
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // All changes are complete before any foreign code runs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<O: Operation + Send + 'static>(self: &Arc<Self>, operation: O, reply: Reply<O::Output>)
    where
        O::Output: Send,
    {
        let mut state = self.state();
        let call: Box<dyn Call> = Box::new(Of { operation, reply });
        if state.calls.len() >= CALLS_MAX {
            let what = format!("{CALLS_MAX} calls wait for the journal already");
            let effect = call.end(Some(CallError::Failed { what }));
            state.effects.push_back(effect);
        } else {
            state.count += 1;
            let (id, until) = (state.count, state.now.plus_ms(ANSWER_MS));
            state.calls.insert(id, Waiting { until, call });
            state.advance(id);
        }
        self.carry_out(state);
    }

    /// The journal has answered a call; it may not wait any more.
    fn on_row(self: &Arc<Self>, id: u64, answer: Result<RowAnswer, String>) {
        let mut state = self.state();
        if let Some(waiting) = state.calls.get_mut(&id) {
            waiting.call.on_answer(answer.map_or_else(Answer::Failed, Answer::Row));
            state.advance(id);
        }
        self.carry_out(state);
    }

    /// Does what waits to be done without the lock, unless another thread is doing so.
    fn carry_out<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if std::mem::replace(&mut state.carrying_out, true) {
            return;
        }
        while let Some(effect) = state.effects.pop_front() {
            drop(state);
            match effect {
                Effect::Ask { call, request } => {
                    let shared = Arc::downgrade(self);
                    let reply = move |answer| {
                        if let Some(shared) = shared.upgrade() {
                            shared.on_row(call, answer);
                        }
                    };
                    self.rows.ask(request, Box::new(reply));
                }
                Effect::Tell { sink, view } => sink(view),
                Effect::Reply(reply) => reply(),
            }
            state = self.state();
        }
        state.carrying_out = false;
    }
}

impl State {
    /// Runs a call as far as the store's answers take it.
    fn advance(&mut self, id: u64) {
        let Some(mut waiting) = self.calls.remove(&id) else { return };
        loop {
            match waiting.call.next() {
                Some(Request::Store(request)) => {
                    let answer = self.ask_store(request);
                    waiting.call.on_answer(Answer::Store(answer));
                }
                Some(Request::Row(request)) => {
                    self.effects.push_back(Effect::Ask { call: id, request });
                    self.calls.insert(id, waiting);
                    return;
                }
                None => return self.effects.push_back(waiting.call.end(None)),
            }
        }
    }

    fn ask_store(&mut self, request: StoreRequest) -> StoreAnswer {
        let answer = self.store.ask(request);
        if matches!(answer, StoreAnswer::Swapped(_)) {
            let view = self.view();
            if view.epoch > self.told {
                self.told = view.epoch;
                let sinks = self.sinks.values().cloned();
                self.effects.extend(sinks.map(|sink| Effect::Tell { sink, view: view.clone() }));
            }
        }
        answer
    }

    fn view(&self) -> View {
        let record = self.store.record().map(Record::decode);
        record.map_or_else(View::default, |record| record.expect("it was encoded here").view())
    }
}
