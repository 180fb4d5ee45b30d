//! The suite of all coordinators, on a real etcd.
//!
//! Its cases let hundreds of leases end. Here etcd grants leases of an hour, and the clock of a case says when one is over: then it
//! is revoked, which is what etcd itself does to a lease that ends. Leases that etcd ends by itself are in `tests/leases.rs`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc::channel};
use std::time::Duration;

use etcd_client::Client;
use gundo_coordinator::operation::{Answer, Expire, Request};
use gundo_coordinator::suite::{LEASE_MS, Made, candidate};
use gundo_coordinator::{Coordinator, StoreAnswer, StoreRequest};
use gundo_engines::etcd::{Etcd, EtcdOptions};
use gundo_kernel::View;
use gundo_types::Epoch;
use tokio::time::Instant;

use crate::keys::Keys;
use crate::store::Store;
use crate::views::Views;
use crate::{EtcdCoordinator, EtcdSettings, watching};
use rows::MemoryRows;

#[path = "../tests/common/rows.rs"]
mod rows;

mod one_member {
    gundo_coordinator::conformance!(super::worlds(1));
}

/// Cases in which calls meet each other at every step are the same on one member, and take minutes on three.
mod three_members {
    gundo_coordinator::conformance!(@ super::worlds(3);
        nodes_join_in_one_view, a_node_that_joins_again_is_another_incarnation, a_removal_needs_the_present_view,
        a_member_that_does_not_renew_is_removed,
        a_watch_sees_every_epoch_in_order, what_stops_ends_by_itself);
}

/// Longer than any case takes, ms.
const REAL_LEASE_MS: u64 = 3_600_000;

/// Makes worlds that share one etcd, each with a prefix of its own.
fn worlds(members: usize) -> impl Fn() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = Etcd::start(folder.path(), members, EtcdOptions::default()).expect("etcd starts");
    let engine = Arc::new((etcd, folder));
    let count = AtomicU64::new(0);
    move || World::new(Arc::clone(&engine), count.fetch_add(1, Ordering::Relaxed))
}

struct World {
    coordinator: EtcdCoordinator,
    rows: Arc<MemoryRows>,
    clock: Arc<Mutex<Clock>>,
    client: Client,
    _engine: Arc<(Etcd, tempfile::TempDir)>,
}

/// The time of a case, ms.
#[derive(Default)]
struct Clock {
    now: u64,
    /// Leases: how long each lasts without a renewal, and until when.
    leases: BTreeMap<u64, (u64, u64)>,
}

impl Clock {
    fn observe(&mut self, request: &StoreRequest, answer: &StoreAnswer) {
        match (request, answer) {
            (StoreRequest::Grant { lease, ms }, StoreAnswer::Granted) => {
                self.leases.insert(*lease, (*ms, self.now + ms));
            }
            (StoreRequest::Renew { lease }, StoreAnswer::Renewed(true)) => {
                let now = self.now;
                // It may have been revoked between etcd's answer and this.
                if let Some((ms, until)) = self.leases.get_mut(lease) {
                    *until = now + *ms;
                }
            }
            _ => {}
        }
    }

    /// Lets time pass: the leases that are over.
    fn pass(&mut self, ms: u64) -> Vec<u64> {
        self.now += ms;
        let now = self.now;
        let over = self.leases.iter().filter(|(_, (_, until))| *until <= now).map(|(lease, _)| *lease);
        let over: Vec<u64> = over.collect();
        self.leases.retain(|lease, _| !over.contains(lease));
        over
    }
}

impl World {
    fn new(engine: Arc<(Etcd, tempfile::TempDir)>, number: u64) -> Self {
        let mut settings = EtcdSettings::new(engine.0.endpoints(), &format!("w{number}"));
        settings.lease_ms = REAL_LEASE_MS;
        let clock = Arc::<Mutex<Clock>>::default();
        let observed = Arc::clone(&clock);
        let mut store = Store::new(&settings);
        store.observer = Some(Arc::new(move |request, answer| {
            observed.lock().expect("no test panics with it").observe(request, answer);
        }));
        let rows = Arc::<MemoryRows>::default();
        let started = EtcdCoordinator::start(settings, store, Arc::clone(&rows) as _);
        let (mut coordinator, from) = started.expect("etcd is there");
        Arc::get_mut(&mut coordinator.0).expect("nobody has it yet").lease_ms = LEASE_MS;
        let core = Arc::clone(&coordinator.0.core);
        coordinator.spawn(async move { watching::run(&core.store, &core.views, &core.counters, from).await });
        let client = coordinator.0.runtime.as_ref().expect("it runs");
        let client = client.block_on(Client::connect(engine.0.endpoints(), None)).expect("etcd is there");
        Self { coordinator, rows, clock, client, _engine: engine }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().expect("no test panics with it")
    }

    fn client(&self) -> Client {
        self.client.clone()
    }

    fn keys(&self) -> &Keys {
        &self.coordinator.0.core.store.keys
    }

    fn at_rows(&self) -> usize {
        self.coordinator.0.core.at_rows.load(Ordering::Acquire)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.coordinator.0.runtime.as_ref().expect("it runs").block_on(work)
    }
}

impl Made for World {
    fn coordinator(&self) -> &dyn Coordinator {
        &self.coordinator
    }

    fn ask(&self, request: Request) -> Answer {
        match request {
            Request::Store(request) => {
                let store = &self.coordinator.0.core.store;
                let late = Instant::now() + Duration::from_secs(60);
                Answer::Store(self.wait(store.ask(&request, late)).expect("etcd answers"))
            }
            Request::Row(request) => Answer::Row(self.rows.answer(request)),
        }
    }

    fn pass(&self, ms: u64) {
        self.outage(ms);
        let (tx, looked) = channel();
        self.coordinator.call(Expire::new(LEASE_MS), Box::new(move |removed| drop(tx.send(removed))));
        if self.rows.is_mute() {
            // Every call has asked etcd what it had to ask, and waits for a row, or has its answer.
            let is_busy = || self.coordinator.0.waiting.load(Ordering::Acquire) > self.at_rows();
            while is_busy() {
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            looked.recv().expect("answered").expect("etcd and the rows answer");
        }
    }

    fn outage(&self, ms: u64) {
        let over = self.clock().pass(ms);
        for lease in over {
            let id = self.keys().lease_id(lease);
            self.wait(self.client().lease_revoke(id)).expect("it was there");
        }
    }

    fn mute_journal(&self, mute: bool) {
        self.rows.mute(mute);
    }
}

/// A caller dies between the grant of a lease and its key: the next renewal of the lease puts the key back.
#[test]
fn a_lease_without_its_key_gets_it_back() {
    let world = worlds(1)();
    let (key, renew) = (world.keys().lease(7), Request::Store(StoreRequest::Renew { lease: 7 }));
    let leases = |there: &[u64]| {
        let listed = world.ask(Request::Store(StoreRequest::Leases));
        assert_eq!(listed, Answer::Store(StoreAnswer::Leases(there.to_vec())));
    };
    world.ask(Request::Store(StoreRequest::Grant { lease: 7, ms: LEASE_MS }));
    leases(&[7]);
    world.wait(world.client().delete(key, None)).expect("it answers");
    leases(&[]);
    assert_eq!(world.ask(renew.clone()), Answer::Store(StoreAnswer::Renewed(true)));
    leases(&[7]);
    world.pass(LEASE_MS);
    leases(&[]);
    assert_eq!(world.ask(renew), Answer::Store(StoreAnswer::Renewed(false)));
}

/// Two callers grant the same incarnation a lease, after an outage: it is one lease, and lasts as long as the later grant says.
#[test]
fn a_lease_is_granted_twice_as_one() {
    let world = worlds(1)();
    let grant = || Request::Store(StoreRequest::Grant { lease: 7, ms: LEASE_MS });
    let left = || {
        let id = world.keys().lease_id(7);
        world.wait(world.client().lease_time_to_live(id, None)).expect("it answers").ttl()
    };
    assert_eq!(world.ask(grant()), Answer::Store(StoreAnswer::Granted));
    world.pass(LEASE_MS - 1);
    while left() > REAL_LEASE_MS as i64 / 1_000 - 3 {
        // Another look soon: etcd counts the seconds by itself.
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = left();
    assert_eq!(world.ask(grant()), Answer::Store(StoreAnswer::Granted));
    assert!(left() > before, "it begins again");
    let granted = world.wait(world.client().leases()).expect("it answers");
    assert_eq!(
        granted.leases().iter().map(|lease| lease.id()).collect::<Vec<_>>(),
        [world.keys().lease_id(7)]
    );
    world.pass(LEASE_MS - 1);
    let listed = world.ask(Request::Store(StoreRequest::Leases));
    assert_eq!(listed, Answer::Store(StoreAnswer::Leases(vec![7])));
}

/// etcd has compacted the revision from which a watch wants to go on: it goes on with the present view.
#[test]
fn a_watch_from_a_compacted_revision_reads_the_present_view() {
    let world = worlds(1)();
    let (tx, joined) = channel();
    for node in 1..=4 {
        let tx = tx.clone();
        world.coordinator.join(vec![candidate(node)], Box::new(move |members| drop(tx.send(members))));
        joined.recv().expect("answered").expect("it joins");
    }
    let last = world.wait(world.coordinator.0.core.store.read(Instant::now() + Duration::from_secs(60)));
    let revision = last.expect("it answers").revision;
    world.wait(world.client().compact(revision, None)).expect("it compacts");
    let core = Arc::clone(&world.coordinator.0.core);
    let views = world.wait(async { Views::start(View::default()) });
    let (tx, seen) = channel();
    let _watch = views.watch(Box::new(move |view| tx.send(view.epoch).expect("the test waits")));
    world.coordinator.spawn(async move { watching::run(&core.store, &views, &core.counters, 1).await });
    let next = || seen.recv_timeout(Duration::from_secs(60)).expect("the watch goes on");
    assert_eq!([next(), next()], [Epoch(0), Epoch(4)]);
    let (tx, joined) = channel();
    world.coordinator.join(vec![candidate(5)], Box::new(move |members| drop(tx.send(members))));
    joined.recv().expect("answered").expect("it joins");
    assert_eq!(next(), Epoch(5), "and from there on");
}

/// A process that did not reach etcd for half a lease removes nobody for one lease after that, and then does so again.
#[test]
fn a_process_that_was_cut_off_is_patient() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut etcd = Etcd::start(folder.path(), 1, EtcdOptions::default()).expect("etcd starts");
    let mut settings = EtcdSettings::new(etcd.endpoints(), "w1");
    settings.lease_ms = 2_000;
    let store = Store::new(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let read = |ms| {
        let late = Duration::from_millis(ms);
        runtime.block_on(async { store.ask(&StoreRequest::Read, Instant::now() + late).await.is_ok() })
    };
    etcd.stop(0).expect("it runs");
    // Longer than half a lease.
    assert!(!read(1_500) && !store.may_expire(), "nobody answers");
    etcd.go_on(0).expect("it runs");
    assert!(read(60_000));
    assert!(!store.may_expire(), "the others may not have renewed yet");
    while !store.may_expire() {
        assert!(read(60_000));
    }
}

/// A view has reached the watches of this process before the call that made it is answered.
#[test]
fn a_view_is_told_before_its_call_is_answered() {
    let world = worlds(1)();
    let told = Arc::<AtomicU64>::default();
    let last = Arc::clone(&told);
    let _watch = world.coordinator.watch(Box::new(move |view| last.store(view.epoch.0, Ordering::Release)));
    for epoch in 1..=50 {
        let (tx, joined) = channel();
        let told = Arc::clone(&told);
        let reply = move |members: Result<_, _>| drop(tx.send((members, told.load(Ordering::Acquire))));
        world.coordinator.join(vec![candidate(epoch as u16)], Box::new(reply));
        let (members, told) = joined.recv().expect("answered");
        assert_eq!((members.map(|m| m.len()), told), (Ok(1), epoch));
    }
}
