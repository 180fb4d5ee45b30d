//! Reads that wait for the threads that read, first come, first served: loads and lists.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gundo_types::{EntityId, Kind};
use gundo_wire::journal::{Loaded, Wake, WakesAsked};

use super::QueueFault;
use super::outlet::Outlet;
use crate::{Completion, Fault};

/// Something that a node waits for.
pub enum ReadRequest {
    /// An entity.
    Load(LoadRequest),
    /// Which entities there are.
    List(ListRequest),
    /// Which of them have something to do.
    Wakes(WakesRequest),
}

/// A load that a node waits for.
pub struct LoadRequest {
    outlet: Arc<Outlet>,
    entity: EntityId,
    load: u64,
}

/// A list that a node waits for.
pub struct ListRequest {
    outlet: Arc<Outlet>,
    kind: Kind,
    ids: RangeInclusive<u64>,
    max: usize,
    list: u64,
}

/// A read of wakes that a node waits for.
pub struct WakesRequest {
    outlet: Arc<Outlet>,
    asked: WakesAsked,
    list: u64,
}

impl ReadRequest {
    pub(super) fn load(outlet: &Arc<Outlet>, entity: EntityId, load: u64) -> Self {
        Self::Load(LoadRequest { outlet: Arc::clone(outlet), entity, load })
    }

    pub(super) fn list(
        outlet: &Arc<Outlet>,
        kind: Kind,
        ids: RangeInclusive<u64>,
        max: usize,
        list: u64,
    ) -> Self {
        Self::List(ListRequest { outlet: Arc::clone(outlet), kind, ids, max, list })
    }

    pub(super) fn wakes(outlet: &Arc<Outlet>, asked: WakesAsked, list: u64) -> Self {
        Self::Wakes(WakesRequest { outlet: Arc::clone(outlet), asked, list })
    }

    fn outlet(&self) -> &Arc<Outlet> {
        match self {
            Self::Load(request) => &request.outlet,
            Self::List(request) => &request.outlet,
            Self::Wakes(request) => &request.outlet,
        }
    }

    fn refuse(self, why: QueueFault) {
        match self {
            Self::Load(request) => {
                let entity = request.entity;
                request.answer(Err(Fault::Load { entity, source: why.into() }));
            }
            Self::List(request) => {
                let kind = request.kind;
                request.answer(Err(Fault::List { kind, source: why.into() }));
            }
            Self::Wakes(request) => request.answer(Err(Fault::Wakes { source: why.into() })),
        }
    }
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
}

impl ListRequest {
    /// The kind whose entities are listed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The ids among which they are looked for.
    pub fn ids(&self) -> RangeInclusive<u64> {
        self.ids.clone()
    }

    /// How many ids are wanted at most.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Gives the node the ids, or why they cannot be read.
    pub fn answer(self, result: Result<Vec<u64>, Fault>) {
        self.outlet.complete(Completion::Listed { kind: self.kind, list: self.list, result });
    }
}

impl WakesRequest {
    /// Which are wanted.
    pub fn asked(&self) -> WakesAsked {
        self.asked
    }

    /// Gives the node the wakes, or why they cannot be read.
    pub fn answer(self, result: Result<Vec<Wake>, Fault>) {
        self.outlet.complete(Completion::Woken { list: self.list, result });
    }
}

#[derive(Default)]
struct State {
    requests: VecDeque<ReadRequest>,
    stopping: bool,
}

#[derive(Default)]
pub(super) struct Loads {
    state: Mutex<State>,
    wake: Condvar,
}

impl Loads {
    /// Queues a read of a handle that has at most `max` waiting. One that cannot be queued is answered at once.
    pub(super) fn push(&self, request: ReadRequest, max: usize) {
        if !request.outlet().begin_load(max) {
            return request.refuse(QueueFault::LoadsFull);
        }
        let mut state = self.state();
        if state.stopping {
            drop(state);
            request.outlet().end_load();
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

    /// Waits for a read that a node still waits for; `None`: no more will come.
    pub(super) fn next(&self) -> Option<ReadRequest> {
        let mut state = self.state();
        loop {
            while let Some(request) = state.requests.pop_front() {
                request.outlet().end_load();
                if request.outlet().is_open() {
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
