//! What the tests on a real etcd share.

// Not every test uses all of it.
#![allow(dead_code)]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gundo_coordinator::suite::candidate;
use gundo_coordinator::{CallError, Coordinator, Reply, Watch};
use gundo_coordinator_etcd::{EtcdCoordinator, EtcdSettings};
use gundo_engines::etcd::{Etcd, EtcdOptions};
use gundo_kernel::View;

pub(crate) mod proxy;
pub(crate) mod rows;

pub(crate) use rows::MemoryRows;

/// Nothing takes this long, s: a test that waits longer has failed.
const NEVER_S: u64 = 120;

/// A lease that a loaded machine renews in time, ms.
pub(crate) const LEASE_MS: u64 = 4_000;

/// An etcd with the rows of one world.
pub(crate) struct Engine {
    pub(crate) etcd: Etcd,
    pub(crate) rows: Arc<MemoryRows>,
    pub(crate) folder: tempfile::TempDir,
}

impl Engine {
    pub(crate) fn start(members: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let etcd = Etcd::start(folder.path(), members, EtcdOptions::default()).expect("etcd starts");
        Self { etcd, rows: Arc::default(), folder }
    }

    /// A coordinator of the world that asks all members.
    pub(crate) fn connect(&self) -> Caller {
        self.connect_to(self.etcd.endpoints())
    }

    pub(crate) fn connect_to(&self, endpoints: Vec<String>) -> Caller {
        let mut settings = EtcdSettings::new(endpoints, "w1");
        settings.lease_ms = LEASE_MS;
        Caller(EtcdCoordinator::connect(settings, Arc::clone(&self.rows) as _).expect("etcd is there"))
    }
}

/// A coordinator whose calls wait for their answers.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) EtcdCoordinator);

impl Caller {
    pub(crate) fn try_join(&self, nodes: &[u16]) -> Result<Vec<u64>, CallError> {
        let candidates = nodes.iter().map(|node| candidate(*node)).collect();
        let joined = call(|reply| self.0.join(candidates, reply))?;
        Ok(joined.iter().map(|member| member.incarnation).collect())
    }

    pub(crate) fn try_renew(&self, incarnation: u64) -> Result<bool, CallError> {
        call(|reply| self.0.renew(incarnation, reply))
    }

    pub(crate) fn try_view(&self) -> Result<View, CallError> {
        call(|reply| self.0.view(reply))
    }

    /// Joins nodes, again until it succeeds.
    pub(crate) fn join(&self, nodes: &[u16]) -> Vec<u64> {
        until("they join", || self.try_join(nodes).ok())
    }

    pub(crate) fn drain(&self, incarnation: u64) -> bool {
        until("it drains", || call(|reply| self.0.drain(incarnation, reply)).ok())
    }

    pub(crate) fn leave(&self, incarnation: u64) {
        until("it leaves", || call(|reply| self.0.leave(incarnation, reply)).ok());
    }

    pub(crate) fn view(&self) -> View {
        until("there is a view", || self.try_view().ok())
    }

    pub(crate) fn incarnations(&self) -> Vec<u64> {
        incarnations(&self.view())
    }

    /// All views from now on.
    pub(crate) fn watch(&self) -> Seen {
        let views = Arc::<Mutex<Vec<View>>>::default();
        let all = Arc::clone(&views);
        let watch =
            self.0.watch(Box::new(move |view| all.lock().expect("no test panics with it").push(view)));
        Seen { views, _watch: watch }
    }

    /// Renews an incarnation as a node does, on a thread of its own, until the value is dropped.
    pub(crate) fn keep(&self, incarnation: u64) -> Keeping {
        let (end, ended) = channel::<()>();
        let this = self.clone();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(200))
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                if this.try_renew(incarnation) == Ok(false) {
                    return false;
                }
            }
            true
        });
        Keeping { end: Some(end), thread: Some(thread) }
    }
}

/// Renewals of an incarnation.
pub(crate) struct Keeping {
    end: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<bool>>,
}

impl Keeping {
    /// Ends them: whether the incarnation always belonged.
    pub(crate) fn end(mut self) -> bool {
        drop(self.end.take());
        self.thread.take().expect("it runs").join().expect("it does not panic")
    }
}

/// What a watch has seen.
pub(crate) struct Seen {
    views: Arc<Mutex<Vec<View>>>,
    _watch: Watch,
}

impl Seen {
    pub(crate) fn epochs(&self) -> Vec<u64> {
        self.views.lock().expect("no test panics with it").iter().map(|view| view.epoch.0).collect()
    }

    /// Waits for an epoch; then all before it came too, once and in order.
    pub(crate) fn every_epoch_until(&self, last: u64) {
        until(&format!("epoch {last} is seen"), || {
            (self.epochs().last().copied() >= Some(last)).then_some(())
        });
        let epochs = self.epochs();
        let all: Vec<u64> = (epochs[0]..=last).collect();
        assert_eq!(epochs[..all.len()], all);
    }
}

pub(crate) fn incarnations(view: &View) -> Vec<u64> {
    view.members.iter().map(|member| member.incarnation).collect()
}

/// Makes a call and waits for the answer.
pub(crate) fn call<T: Send + 'static>(ask: impl FnOnce(Reply<T>)) -> Result<T, CallError> {
    answer(&start(ask))
}

pub(crate) fn start<T: Send + 'static>(ask: impl FnOnce(Reply<T>)) -> Receiver<Result<T, CallError>> {
    let (tx, rx) = channel();
    ask(Box::new(move |answer| drop(tx.send(answer))));
    rx
}

pub(crate) fn answer<T>(call: &Receiver<Result<T, CallError>>) -> Result<T, CallError> {
    call.recv_timeout(Duration::from_secs(NEVER_S)).expect("every call is answered")
}

/// Tries until there is something.
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let late = Instant::now() + Duration::from_secs(NEVER_S);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < late, "never: {what}");
        // Another look soon.
        std::thread::sleep(Duration::from_millis(20));
    }
}
