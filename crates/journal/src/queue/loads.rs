//! Loads that wait for the threads that read, first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gundo_types::EntityId;
use gundo_wire::journal::Loaded;

use super::QueueFault;
use super::outlet::Outlet;
use crate::{Completion, Fault};

/// A load that a node waits for.
pub struct LoadRequest {
    outlet: Arc<Outlet>,
    entity: EntityId,
    load: u64,
}

impl LoadRequest {
    /// The entity to read.
    pub fn entity(&self) -> EntityId {
        self.entity
    }

    /// Gives the node the entity, or why it cannot be read.
    pub fn answer(self, result: Result<Loaded, Fault>) {
        self.outlet.complete(Completion::Loaded { entity: self.entity, load: self.load, result });
    }

    fn refuse(self, why: QueueFault) {
        let entity = self.entity;
        self.answer(Err(Fault::Load { entity, source: why.into() }));
    }
}

#[derive(Default)]
struct State {
    requests: VecDeque<LoadRequest>,
    stopping: bool,
}

#[derive(Default)]
pub(super) struct Loads {
    state: Mutex<State>,
    wake: Condvar,
}

impl Loads {
    /// Queues a load of a line that may have at most `max` waiting. A load that cannot be queued is answered at once.
    pub(super) fn push(&self, outlet: &Arc<Outlet>, entity: EntityId, load: u64, max: usize) {
        let request = LoadRequest { outlet: Arc::clone(outlet), entity, load };
        if !outlet.begin_load(max) {
            return request.refuse(QueueFault::LoadsFull);
        }
        let mut state = self.state();
        if state.stopping {
            drop(state);
            outlet.end_load();
            return request.refuse(QueueFault::Closed);
        }
        state.requests.push_back(request);
        drop(state);
        self.wake.notify_one();
    }

    /// Lets the threads finish what waits, and then stop.
    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.wake.notify_all();
    }

    /// Waits for the next load whose line is still open; `None`: there will be no more.
    pub(super) fn next(&self) -> Option<LoadRequest> {
        let mut state = self.state();
        loop {
            while let Some(request) = state.requests.pop_front() {
                request.outlet.end_load();
                if request.outlet.is_open() {
                    return Some(request);
                }
            }
            if state.stopping {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
