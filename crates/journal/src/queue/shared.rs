//! [`Queues`] between threads: nodes push, the journal's writer takes groups, its readers take loads and lists.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gundo_types::{EntityId, Kind};
use gundo_wire::journal::{Batch, Outcome, WakesAsked};

use super::loads::{Loads, ReadRequest};
use super::outlet::Outlet;
use super::{Group, QueueFault, QueueId, QueueLimits, Queues};
use crate::group::assert_well_formed;
use crate::{Completion, Handle, Sink};

/// What the writer is to do next. `J`: a call that runs on the writer's thread between two groups.
pub enum Work<J> {
    /// Run these calls, then commit this group (it may be empty), then give the replies.
    Do(VecDeque<J>, Group, Replies),
    /// The given time has come.
    Due,
    /// Everything is done, and nothing more will come.
    Stop,
}

/// The handles that wait for the outcomes of a group.
#[derive(Default)]
pub struct Replies(Vec<(u64, Arc<Outlet>)>);

/// The handle that waits for the outcome of one batch.
pub struct Reply(u64, Arc<Outlet>);

impl Reply {
    /// Gives the node the outcome.
    pub fn give(self, outcome: Outcome) {
        self.1.complete(Completion::Appended { batch: self.0, outcome });
    }
}

impl Replies {
    /// The reply to each batch, in the order of the group: for a journal that commits them apart.
    pub fn split(self) -> impl Iterator<Item = Reply> {
        self.0.into_iter().map(|(batch, outlet)| Reply(batch, outlet))
    }

    /// Gives each node the outcomes of its batches, which are in the order of the group.
    ///
    /// # Panics
    /// There are not as many outcomes as batches.
    pub fn give(self, outcomes: Vec<Outcome>) {
        assert_eq!(self.0.len(), outcomes.len(), "every batch has one outcome");
        self.split().zip(outcomes).for_each(|(reply, outcome)| reply.give(outcome));
    }
}

/// The queues of a journal that has a thread which writes and threads which read.
///
/// Nodes: [`handle`](Self::handle). The writer: [`next`](Self::next), until it says stop. Readers: [`next_read`](Self::next_read),
/// until there is none. The journal itself: [`call`](Self::call), [`stop`](Self::stop), and [`close`](Self::close) when the
/// writer has ended.
pub struct SharedQueues<J> {
    state: Mutex<State<J>>,
    wake: Condvar,
    loads: Loads,
    loads_max: usize,
    refused: AtomicU64,
}

struct State<J> {
    queues: Queues,
    outlets: BTreeMap<QueueId, Arc<Outlet>>,
    calls: VecDeque<J>,
    /// Whether the writer sleeps: waking it costs a system call.
    idle: bool,
    stopping: bool,
}

impl<J: Send + 'static> SharedQueues<J> {
    /// No handles yet.
    pub fn new(limits: QueueLimits) -> Arc<Self> {
        let loads_max = limits.loads_max;
        let state = State {
            queues: Queues::new(limits),
            outlets: BTreeMap::new(),
            calls: VecDeque::new(),
            idle: false,
            stopping: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            loads: Loads::default(),
            loads_max,
            refused: AtomicU64::new(0),
        })
    }

    /// Opens a handle: see [`Journal::handle`](crate::Journal::handle).
    pub fn handle(self: &Arc<Self>, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
        let outlet = Outlet::new(sink);
        let id = {
            let mut state = self.state();
            let id = state.queues.add();
            state.outlets.insert(id, Arc::clone(&outlet));
            id
        };
        Box::new(QueuedHandle { id, incarnation, outlet, shared: Arc::clone(self) })
    }

    /// Batches that were refused before they came into a group: their queue was full, or the journal closed.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Queues a call. One that still waits when the journal closes is dropped.
    ///
    /// # Errors
    /// The journal is closed, or stops.
    pub fn call(&self, call: J) -> Result<(), QueueFault> {
        let mut state = self.state();
        if state.queues.is_closed() || state.stopping {
            return Err(QueueFault::Closed);
        }
        state.calls.push_back(call);
        self.wake(&mut state);
        Ok(())
    }

    /// Lets the threads finish what waits, and then stop.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        state.idle = false;
        self.wake.notify_one();
        drop(state);
        self.loads.stop();
    }

    /// Refuses all batches and calls, those that wait and later ones, for the reason `why`.
    pub fn close(&self, why: &str) {
        let mut state = self.state();
        state.calls.clear();
        let waited = state.queues.close(why);
        let outlet = |(id, batch)| (Arc::clone(&state.outlets[&id]), batch);
        let refused: Vec<_> = waited.into_iter().map(outlet).collect();
        drop(state);
        for (outlet, batch) in refused {
            outlet.complete(Completion::Appended { batch, outcome: Outcome::Rejected(why.to_owned()) });
        }
    }

    /// Waits for something to write, until `due` at most.
    pub fn next(&self, due: Instant) -> Work<J> {
        let mut state = self.state();
        loop {
            if !state.queues.is_empty() || !state.calls.is_empty() {
                let calls = std::mem::take(&mut state.calls);
                let group = state.queues.take_group();
                let reply = |(batch, id): (&Batch, &QueueId)| (batch.id, Arc::clone(&state.outlets[id]));
                let replies = group.batches.iter().zip(&group.from).map(reply).collect();
                return Work::Do(calls, group, Replies(replies));
            }
            if state.stopping {
                return Work::Stop;
            }
            let now = Instant::now();
            if now >= due {
                return Work::Due;
            }
            state.idle = true;
            state = self.wake.wait_timeout(state, due - now).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = false;
        }
    }

    /// Waits for something to read; `None`: no more will come.
    pub fn next_read(&self) -> Option<ReadRequest> {
        self.loads.next()
    }

    fn push(&self, id: QueueId, batch: Batch) -> Result<(), Outcome> {
        let mut state = self.state();
        state.queues.push(id, batch)?;
        self.wake(&mut state);
        Ok(())
    }

    fn remove(&self, id: QueueId) {
        let mut state = self.state();
        let removed = (state.queues.remove(id), state.outlets.remove(&id));
        // Dropped without the lock.
        drop(state);
        drop(removed);
    }

    fn wake(&self, state: &mut State<J>) {
        if std::mem::take(&mut state.idle) {
            self.wake.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // Only the lookup of a closed handle panics under the lock, and it changes nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of a node.
struct QueuedHandle<J: Send + 'static> {
    id: QueueId,
    incarnation: u64,
    outlet: Arc<Outlet>,
    shared: Arc<SharedQueues<J>>,
}

impl<J: Send + 'static> Handle for QueuedHandle<J> {
    fn append(&mut self, batch: Batch) {
        assert_eq!(batch.incarnation, self.incarnation, "batch {} came by another's handle", batch.id);
        assert_well_formed(&batch);
        let id = batch.id;
        if let Err(outcome) = self.shared.push(self.id, batch) {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            self.outlet.complete(Completion::Appended { batch: id, outcome });
        }
    }

    fn load(&mut self, entity: EntityId, load: u64) {
        let request = ReadRequest::load(&self.outlet, entity, load);
        self.shared.loads.push(request, self.shared.loads_max);
    }

    fn list(&mut self, kind: Kind, ids: RangeInclusive<u64>, max: usize, list: u64) {
        let request = ReadRequest::list(&self.outlet, kind, ids, max, list);
        self.shared.loads.push(request, self.shared.loads_max);
    }

    fn wakes(&mut self, asked: WakesAsked, list: u64) {
        let request = ReadRequest::wakes(&self.outlet, asked, list);
        self.shared.loads.push(request, self.shared.loads_max);
    }
}

impl<J: Send + 'static> Drop for QueuedHandle<J> {
    fn drop(&mut self) {
        self.outlet.close();
        self.shared.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use gundo_types::NodeId;

    use super::*;
    use crate::suite::{entity, stream};

    fn shared(limits: QueueLimits) -> Arc<SharedQueues<&'static str>> {
        SharedQueues::new(limits)
    }

    fn handle(shared: &Arc<SharedQueues<&'static str>>) -> (Box<dyn Handle>, Receiver<Completion>) {
        let (tx, rx) = channel();
        (shared.handle(1, Box::new(move |completion| drop(tx.send(completion)))), rx)
    }

    fn batch(id: u64) -> Batch {
        let streams = vec![stream(entity(1), id, id, 1)];
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id, node: NodeId(1), incarnation: 1, generation: 0, prepared_by, streams, names }
    }

    /// The calls and batches of the next work, with the replies to them.
    fn take(shared: &SharedQueues<&'static str>) -> (Vec<&'static str>, Vec<u64>, Replies) {
        match shared.next(Instant::now()) {
            Work::Do(calls, group, replies) => {
                (calls.into(), group.batches.iter().map(|batch| batch.id).collect(), replies)
            }
            Work::Due | Work::Stop => (Vec::new(), Vec::new(), Replies::default()),
        }
    }

    fn outcomes(rx: &Receiver<Completion>) -> Vec<(u64, Outcome)> {
        let outcome = |completion| match completion {
            Completion::Appended { batch, outcome } => (batch, outcome),
            Completion::Loaded { .. } | Completion::Listed { .. } | Completion::Woken { .. } => {
                panic!("nobody asked to read")
            }
        };
        rx.try_iter().map(outcome).collect()
    }

    #[test]
    fn each_node_hears_of_its_own_batches() {
        let shared = shared(QueueLimits::default());
        let ((mut a, to_a), (mut b, to_b)) = (handle(&shared), handle(&shared));
        a.append(batch(1));
        b.append(batch(2));
        shared.call("look").expect("it is open");
        let (calls, ids, replies) = take(&shared);
        assert_eq!((calls, ids), (vec!["look"], vec![2, 1]));
        replies.give(vec![Outcome::Conflict, Outcome::Done]);
        assert_eq!(outcomes(&to_a), [(1, Outcome::Done)]);
        assert_eq!(outcomes(&to_b), [(2, Outcome::Conflict)]);
        assert!(matches!(shared.next(Instant::now()), Work::Due));
    }

    #[test]
    fn a_line_that_is_gone_takes_its_queue_along_and_hears_nothing_more() {
        let shared = shared(QueueLimits::default());
        let ((mut gone, to_gone), (mut stays, _)) = (handle(&shared), handle(&shared));
        gone.append(batch(1));
        let (_, _, replies) = take(&shared);
        gone.append(batch(2));
        gone.load(entity(1), 1);
        stays.append(batch(3));
        drop(gone);
        replies.give(vec![Outcome::Done]);
        assert_eq!(take(&shared).1, [3]);
        shared.stop();
        assert!(shared.next_read().is_none(), "nobody waits for that load");
        assert_eq!(outcomes(&to_gone), []);
    }

    #[test]
    fn a_sink_that_panics_costs_its_own_line_only() {
        let shared = shared(QueueLimits::default());
        let called = Arc::new(AtomicU64::new(0));
        let calls = Arc::clone(&called);
        let sink = move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            panic!("a bug in the node");
        };
        let mut bad = shared.handle(1, Box::new(sink));
        let (mut good, to_good) = handle(&shared);
        for round in 0..2 {
            bad.append(batch(round));
            good.append(batch(round));
            let (_, ids, replies) = take(&shared);
            replies.give(vec![Outcome::Done; ids.len()]);
            assert_eq!(outcomes(&to_good), [(round, Outcome::Done)]);
        }
        assert_eq!(called.load(Ordering::Relaxed), 1, "its handle was closed");
    }

    #[test]
    fn a_full_queue_and_a_closed_journal_refuse_at_once() {
        let shared = shared(QueueLimits { batches_max: 1, loads_max: 1, ..QueueLimits::default() });
        let (mut handle, completions) = handle(&shared);
        handle.append(batch(1));
        handle.append(batch(2));
        assert!(matches!(&outcomes(&completions)[..], [(2, Outcome::Rejected(why))] if why.contains("full")));
        shared.close("it is over");
        handle.append(batch(3));
        let over = Outcome::Rejected("it is over".into());
        assert_eq!(outcomes(&completions), [(1, over.clone()), (3, over)]);
        assert_eq!(shared.refused(), 2);
        assert_eq!(shared.call("too late"), Err(QueueFault::Closed));
        handle.load(entity(1), 1);
        assert!(completions.try_iter().next().is_none(), "the first load waits");
        handle.load(entity(1), 2);
        assert!(matches!(completions.try_recv(), Ok(Completion::Loaded { load: 2, result: Err(_), .. })));
        handle.list(Kind(7), 0..=9, 5, 3);
        assert!(matches!(completions.try_recv(), Ok(Completion::Listed { list: 3, result: Err(_), .. })));
    }

    #[test]
    fn what_waits_at_a_stop_is_still_done() {
        let shared = shared(QueueLimits::default());
        let (mut handle, completions) = handle(&shared);
        handle.append(batch(1));
        handle.load(entity(1), 5);
        handle.list(Kind(7), 3..=9, 2, 6);
        shared.stop();
        assert_eq!(shared.call("too late"), Err(QueueFault::Closed));
        assert_eq!(take(&shared).1, [1]);
        assert!(matches!(shared.next(Instant::now()), Work::Stop));
        let Some(ReadRequest::Load(request)) = shared.next_read() else { panic!("it came before the stop") };
        assert_eq!(request.entity(), entity(1));
        request.answer(Ok(gundo_wire::journal::Loaded::default()));
        assert!(matches!(completions.try_recv(), Ok(Completion::Loaded { load: 5, result: Ok(_), .. })));
        let Some(ReadRequest::List(request)) = shared.next_read() else { panic!("it came before the stop") };
        assert_eq!((request.kind(), request.ids(), request.max()), (Kind(7), 3..=9, 2));
        request.answer(Ok(vec![4]));
        let listed = completions.try_recv();
        assert!(matches!(listed, Ok(Completion::Listed { list: 6, result: Ok(ids), .. }) if ids == [4]));
        assert!(shared.next_read().is_none());
        handle.load(entity(1), 7);
        assert!(matches!(completions.try_recv(), Ok(Completion::Loaded { load: 7, result: Err(_), .. })));
    }
}
