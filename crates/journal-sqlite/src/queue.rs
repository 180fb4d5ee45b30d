//! What waits for the writer: a bounded queue for each line, served in turn, and the few calls that are not appends.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gundo_journal::{Completion, Sink};
use gundo_types::EntityId;
use gundo_wire::journal::{Batch, Outcome};

use crate::Settings;
use crate::writer::{Writer, batch_bytes};

/// A call that runs on the writer's thread between two groups.
pub(crate) type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// What a line and the journal's threads share.
pub(crate) struct LineShared {
    sink: Sink,
    open: AtomicBool,
    pub(crate) loads_waiting: AtomicUsize,
}

impl LineShared {
    pub(crate) fn new(sink: Sink) -> Arc<Self> {
        Arc::new(Self { sink, open: AtomicBool::new(true), loads_waiting: AtomicUsize::new(0) })
    }

    /// Gives a completion to the node, if its line is still there. A node whose sink panics loses its line, not the journal.
    pub(crate) fn complete(&self, completion: Completion) {
        if self.is_open() && catch_unwind(AssertUnwindSafe(|| (self.sink)(completion))).is_err() {
            self.close();
            tracing::error!("a node's sink panicked; its line to the journal is closed");
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}

enum Item {
    Batch(Batch),
    /// Batches refused because the queue was full stood here: what follows on these streams must not land.
    Refused(u64, BTreeMap<EntityId, u64>),
}

struct LineQueue {
    shared: Arc<LineShared>,
    items: VecDeque<Item>,
    batches: usize,
    bytes: usize,
}

#[derive(Default)]
struct State {
    lines: BTreeMap<u64, LineQueue>,
    next_line: u64,
    /// The line that was served last.
    turn: u64,
    jobs: VecDeque<Job>,
    /// Whether the writer sleeps: waking it costs a system call.
    idle: bool,
    stopping: bool,
    /// Why nothing is taken any more.
    closed: Option<String>,
}

/// A group on its way: the batches, and whose each is.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) batches: Vec<Batch>,
    pub(crate) lines: Vec<Arc<LineShared>>,
    /// Streams to bar before the group is judged.
    pub(crate) refused: Vec<(u64, EntityId, u64)>,
    /// Batches that wait beyond it.
    pub(crate) waiting: usize,
}

/// What the writer is to do next.
pub(crate) enum Work {
    /// These calls, then this group (may be empty).
    Do(VecDeque<Job>, Group),
    /// The given time has come.
    Due,
    /// All is done and no more will come.
    Stop,
}

pub(crate) struct Queues {
    state: Mutex<State>,
    wake: Condvar,
    settings: Settings,
}

impl Queues {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), settings }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_line(&self, shared: Arc<LineShared>) -> u64 {
        let mut state = self.state();
        let id = state.next_line;
        state.next_line += 1;
        state.lines.insert(id, LineQueue { shared, items: VecDeque::new(), batches: 0, bytes: 0 });
        id
    }

    /// Takes a line away with all that waits in it.
    pub(crate) fn remove_line(&self, id: u64) {
        let removed = self.state().lines.remove(&id);
        // Dropped only now, without the lock.
        drop(removed);
    }

    /// Queues a batch, or says why not.
    pub(crate) fn push(&self, line: u64, batch: Batch) -> Result<(), Outcome> {
        let mut state = self.state();
        if let Some(why) = &state.closed {
            return Err(Outcome::Rejected(why.clone()));
        }
        let queue = state.lines.get_mut(&line).expect("a line is there until it is dropped");
        let bytes = batch_bytes(&batch);
        let max = (self.settings.queue_batches_max, self.settings.queue_bytes_max);
        // An empty queue takes a batch of any size: it would never fit else.
        if queue.batches >= max.0 || (queue.batches > 0 && queue.bytes + bytes > max.1) {
            queue.refuse(&batch);
            return Err(Outcome::Rejected("the queue to the journal is full".to_owned()));
        }
        queue.batches += 1;
        queue.bytes += bytes;
        queue.items.push_back(Item::Batch(batch));
        self.wake(&mut state);
        Ok(())
    }

    /// Queues a call; `false`: the journal is closed.
    pub(crate) fn call(&self, job: Job) -> bool {
        let mut state = self.state();
        if state.closed.is_some() || state.stopping {
            return false;
        }
        state.jobs.push_back(job);
        self.wake(&mut state);
        true
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.idle) {
            self.wake.notify_one();
        }
    }

    /// Lets the writer finish what waits, and then stop.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        state.idle = false;
        self.wake.notify_one();
    }

    /// Refuses everything from now on, and what waits, for the reason `why`.
    pub(crate) fn close(&self, why: &str) {
        let mut refused = Vec::new();
        let mut state = self.state();
        state.closed = Some(why.to_owned());
        state.jobs.clear();
        for queue in state.lines.values_mut() {
            for item in queue.items.drain(..) {
                if let Item::Batch(batch) = item {
                    refused.push((Arc::clone(&queue.shared), batch.id));
                }
            }
        }
        drop(state);
        for (line, batch) in refused {
            line.complete(Completion::Appended { batch, outcome: Outcome::Rejected(why.to_owned()) });
        }
    }

    /// Waits for something to do, until `due` at most.
    pub(crate) fn next(&self, due: Instant) -> Work {
        let mut state = self.state();
        loop {
            let has_items = state.lines.values().any(|queue| !queue.items.is_empty());
            if has_items || !state.jobs.is_empty() {
                let jobs = std::mem::take(&mut state.jobs);
                return Work::Do(jobs, self.take_group(&mut state));
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

    /// One batch of each line in turn, beginning after the line that was served last, until nothing waits or the group is full.
    fn take_group(&self, state: &mut State) -> Group {
        let mut group = Group::default();
        let after = state.lines.range(state.turn + 1..).map(|(id, _)| *id);
        let mut turn: VecDeque<u64> =
            after.chain(state.lines.range(..=state.turn).map(|(id, _)| *id)).collect();
        let (mut bytes, mut contributed) = (0, Vec::new());
        while let Some(id) = turn.pop_front() {
            if group.batches.len() >= self.settings.group_batches_max
                || bytes >= self.settings.group_bytes_max
            {
                break;
            }
            let queue = state.lines.get_mut(&id).expect("it was listed");
            let has_contributed = contributed.contains(&id);
            if let Some((batch, size)) = queue.pop(has_contributed, &mut group.refused) {
                bytes += size;
                group.batches.push(batch);
                group.lines.push(Arc::clone(&queue.shared));
                if !has_contributed {
                    contributed.push(id);
                }
                state.turn = id;
                turn.push_back(id);
            }
        }
        group.waiting = state.lines.values().map(|queue| queue.batches).sum();
        group
    }
}

impl LineQueue {
    fn refuse(&mut self, batch: &Batch) {
        if !matches!(self.items.back(), Some(Item::Refused(..))) {
            self.items.push_back(Item::Refused(batch.incarnation, BTreeMap::new()));
        }
        if let Some(Item::Refused(_, streams)) = self.items.back_mut() {
            for stream in &batch.streams {
                let load = streams.entry(stream.entity).or_default();
                *load = stream.load.max(*load);
            }
        }
    }

    /// The next batch and its size. Bars are set before a group is judged, so none may be behind a batch of the same group.
    fn pop(
        &mut self,
        has_contributed: bool,
        refused: &mut Vec<(u64, EntityId, u64)>,
    ) -> Option<(Batch, usize)> {
        loop {
            match self.items.front()? {
                Item::Refused(..) if has_contributed => return None,
                _ => {}
            }
            match self.items.pop_front()? {
                Item::Refused(incarnation, streams) => {
                    refused.extend(streams.into_iter().map(|(entity, load)| (incarnation, entity, load)));
                }
                Item::Batch(batch) => {
                    let bytes = batch_bytes(&batch);
                    self.batches -= 1;
                    self.bytes -= bytes;
                    return Some((batch, bytes));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo_journal::suite::{entity, stream};
    use gundo_types::NodeId;

    use super::*;

    fn batch(incarnation: u64, id: u64) -> Batch {
        let streams = vec![stream(entity(incarnation), id, id, 1)];
        Batch { id, node: NodeId(1), incarnation, prepared_by: Vec::new(), streams, names: Vec::new() }
    }

    fn ids(queues: &Queues) -> (Vec<(u64, u64)>, Vec<u64>) {
        match queues.next(Instant::now()) {
            Work::Do(_, group) => {
                let ids = group.batches.iter().map(|batch| (batch.incarnation, batch.id)).collect();
                (ids, group.refused.iter().map(|(_, _, load)| *load).collect())
            }
            Work::Due | Work::Stop => (Vec::new(), Vec::new()),
        }
    }

    fn lines(settings: Settings, count: usize) -> (Queues, Vec<u64>) {
        let queues = Queues::new(settings);
        let lines = (0..count).map(|_| queues.add_line(LineShared::new(Box::new(|_| {})))).collect();
        (queues, lines)
    }

    #[test]
    fn lines_are_served_in_turn_and_a_flood_waits_for_the_next_group() {
        let (queues, lines) = lines(Settings { group_batches_max: 5, ..Settings::default() }, 3);
        for id in 1..=6 {
            queues.push(lines[0], batch(0, id)).expect("room");
        }
        for (line, id) in [(1, 1), (2, 1), (2, 2)] {
            queues.push(lines[line], batch(line as u64, id)).expect("room");
        }
        assert_eq!(ids(&queues).0, [(1, 1), (2, 1), (0, 1), (2, 2), (0, 2)]);
        queues.push(lines[1], batch(1, 2)).expect("room");
        assert_eq!(ids(&queues).0, [(1, 2), (0, 3), (0, 4), (0, 5), (0, 6)]);
        queues.push(lines[1], batch(1, 3)).expect("room");
        queues.push(lines[2], batch(2, 3)).expect("room");
        queues.remove_line(lines[1]);
        assert_eq!(ids(&queues).0, [(2, 3)]);
        assert!(ids(&queues).0.is_empty());
    }

    #[test]
    fn what_a_full_queue_refused_bars_only_what_came_later() {
        let (queues, lines) = lines(Settings { queue_batches_max: 2, ..Settings::default() }, 1);
        queues.push(lines[0], batch(1, 1)).expect("room");
        queues.push(lines[0], batch(1, 2)).expect("room");
        for id in [4, 3] {
            assert!(matches!(queues.push(lines[0], batch(1, id)), Err(Outcome::Rejected(_))));
        }
        assert_eq!(ids(&queues), (vec![(1, 1), (1, 2)], vec![]), "these were decided before");
        queues.push(lines[0], batch(1, 5)).expect("room");
        assert_eq!(ids(&queues), (vec![(1, 5)], vec![4]), "and this one is judged behind the bar");
        let settings = Settings { queue_bytes_max: 1, ..Settings::default() };
        let (queues, lines) = self::lines(settings, 1);
        queues.push(lines[0], batch(1, 1)).expect("an empty queue takes any size");
        assert!(queues.push(lines[0], batch(1, 2)).is_err());
    }
}
