//! A world whose journal fails ends all the same, soon, and says what is not saved.

#[path = "support/events.rs"]
mod events;
mod support;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gundo::{Bytes, EntityId, Kind, Message, NodeId};
use gundo_client::{Client, Event, Events, SessionSettings};
use gundo_journal::{
    Completion, Fault, Handle, Journal, MemoryJournal, NameRow, Pruned, Registration, Sink, StreamSummary,
};
use gundo_node::{LocalNodes, SoloSettings};
use gundo_types::WorldTime;
use gundo_wire::journal::{Batch, EventRecord, Outcome, WakesAsked};

use events::until;
use support::{Count, rules};

/// How the journal takes appends.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Good,
    /// Nobody learns what became of them.
    Fails,
    /// It refuses them.
    Refuses,
    /// It does not answer.
    Silent,
    /// It does not answer, and does not close either: its disk hangs.
    Hangs,
}

/// A journal in memory that fails when it is told to.
#[derive(Clone)]
struct Failing {
    journal: MemoryJournal,
    state: Arc<State>,
}

#[derive(Default)]
struct State(AtomicU8);

impl State {
    fn is(&self, mood: Mood) -> bool {
        self.0.load(Ordering::SeqCst) == mood as u8
    }
}

impl Drop for State {
    fn drop(&mut self) {
        while self.is(Mood::Hangs) {
            std::thread::park();
        }
    }
}

impl Failing {
    fn new() -> Self {
        Self { journal: MemoryJournal::new(), state: Arc::default() }
    }

    fn turns(&self, mood: Mood) {
        self.state.0.store(mood as u8, Ordering::SeqCst);
    }
}

struct FailingHandle {
    inner: Box<dyn Handle>,
    failing: Failing,
    sink: Arc<Sink>,
}

impl Handle for FailingHandle {
    fn append(&mut self, batch: Batch) {
        let outcome = match () {
            () if self.failing.state.is(Mood::Fails) => Outcome::Unknown,
            () if self.failing.state.is(Mood::Refuses) => {
                Outcome::Rejected("the disk is not in the mood".to_owned())
            }
            () if self.failing.state.is(Mood::Silent) || self.failing.state.is(Mood::Hangs) => return,
            () => return self.inner.append(batch),
        };
        (self.sink)(Completion::Appended { batch: batch.id, outcome });
    }

    fn load(&mut self, entity: EntityId, load: u64) {
        self.inner.load(entity, load);
    }

    fn list(&mut self, kind: Kind, ids: RangeInclusive<u64>, max: usize, list: u64) {
        self.inner.list(kind, ids, max, list);
    }

    fn wakes(&mut self, asked: WakesAsked, list: u64) {
        self.inner.wakes(asked, list);
    }
}

impl Journal for Failing {
    fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
        self.journal.register(node, incarnation)
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        self.journal.leave(incarnation)
    }

    fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
        self.journal.is_member(incarnation)
    }

    fn generation(&self) -> Result<u64, Fault> {
        self.journal.generation()
    }

    fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault> {
        self.journal.begin_generation(wall_ms)
    }

    fn handle(&self, node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
        let sink = Arc::new(sink);
        let shared = Arc::clone(&sink);
        let inner = self.journal.handle(node, incarnation, Box::new(move |completion| shared(completion)));
        Box::new(FailingHandle { inner, failing: self.clone(), sink })
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        self.journal.meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.journal.set_meta(key, value)
    }

    fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        self.journal.name(space, name)
    }

    fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        self.journal.streams(after, max)
    }

    fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
        self.journal.stream(entity, after, max)
    }

    fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault> {
        self.journal.remove(streams)
    }

    fn prune(&self, now: WorldTime) -> Result<Pruned, Fault> {
        self.journal.prune(now)
    }
}

async fn enter(nodes: &LocalNodes, name: &str) -> (Client, Events) {
    let address = format!("ws://{}/", nodes.address()).parse().expect("an address");
    let (client, mut events) = Client::start(SessionSettings::new(vec![address], name));
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    (client, events)
}

/// Two players are in the world, and the journal turns bad. One of them has a command under way. Then the world is stopped.
fn stop_in(mood: Mood) -> Result<(), String> {
    let journal = Failing::new();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SoloSettings { nodes: 2, listen, watchdog_ms: 600_000, ..SoloSettings::default() };
    // The world has the last handle, when the journal is to close.
    let shared: Arc<dyn Journal> = Arc::new(journal.clone());
    let nodes = LocalNodes::start(&settings, shared, rules).expect("a world");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let players = runtime.block_on(async {
        let (ada, ben) = (enter(&nodes, "Ada").await, enter(&nodes, "Ben").await);
        ada.0.command(Bytes::from(Count { n: 1 }.encode_to_vec())).await.expect("durable");
        journal.turns(mood);
        (ada, ben)
    });
    drop(journal);
    let stopped = nodes.stop().map_err(|fault| fault.to_string());
    drop(players);
    stopped
}

#[test]
fn a_good_journal_saves_everything() {
    assert_eq!(stop_in(Mood::Good), Ok(()));
}

#[test]
fn a_journal_that_fails_or_says_nothing_keeps_no_world_from_ending() {
    let moods = [Mood::Fails, Mood::Silent, Mood::Hangs];
    let stops = moods.map(|mood| std::thread::spawn(move || stop_in(mood)));
    for stop in stops {
        let said = stop.join().expect("no panic").expect_err("not everything is saved");
        assert!(said.contains("the journal has taken nothing for 3 s"), "{said}");
        assert!(said.contains("not saved: where 2 players were last"), "{said}");
        assert!(said.ends_with("what players were told is saved"), "{said}");
    }
}

#[test]
fn a_journal_that_refuses_is_not_one_that_saves() {
    let said = stop_in(Mood::Refuses).expect_err("not everything is saved");
    assert!(said.contains("the journal has refused"), "{said}");
    assert!(said.contains("not saved: where 2 players were last"), "{said}");
}
