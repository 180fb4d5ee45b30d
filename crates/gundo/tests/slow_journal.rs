//! A journal that takes its time over rows keeps neither members nor operators waiting.

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gundo::testing::{NodeState, WorldStatus};
use gundo::{EntityId, NodeId};
use gundo_journal::{
    Fault, Handle, Journal, MemoryJournal, NameRow, Pruned, Registration, Sink, StreamSummary,
};
use gundo_node::{Control, LocalNodes, SoloSettings};
use gundo_types::WorldTime;
use gundo_wire::journal::EventRecord;
use support::rules;

/// A journal in memory whose table of members takes no change while it is told so.
#[derive(Default)]
struct Stalling {
    journal: MemoryJournal,
    stalls: Mutex<bool>,
    goes_on: Condvar,
}

impl Stalling {
    fn stall(&self, stalls: bool) {
        *self.stalls.lock().expect("nobody panics with it") = stalls;
        self.goes_on.notify_all();
    }

    fn pass(&self) -> &MemoryJournal {
        let stalls = self.stalls.lock().expect("nobody panics with it");
        drop(self.goes_on.wait_while(stalls, |stalls| *stalls).expect("nobody panics with it"));
        &self.journal
    }
}

impl Journal for Stalling {
    fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
        self.pass().register(node, incarnation)
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        self.pass().leave(incarnation)
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
        self.journal.handle(node, incarnation, sink)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        self.journal.meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.journal.set_meta(key, value)
    }

    fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
        self.journal.settle(key, value)
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

fn until(control: &Control, what: impl Fn(&WorldStatus) -> bool) -> WorldStatus {
    loop {
        let status = control.nodes().expect("it runs");
        if what(&status) {
            return status;
        }
        // What is awaited happens in its own time, and nobody tells.
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn all_up(status: &WorldStatus) -> bool {
    status.nodes.iter().all(|n| n.state == NodeState::Up && n.member)
}

#[test]
fn a_journal_that_stands_still_keeps_no_member_and_no_operator_waiting() {
    let journal = Arc::<Stalling>::default();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SoloSettings { nodes: 2, listen, ..SoloSettings::default() };
    let nodes =
        LocalNodes::start(&settings, Arc::clone(&journal) as Arc<dyn Journal>, rules).expect("a world");
    let control = nodes.control();
    let before = until(&control, all_up);
    journal.stall(true);
    let asked = control.clone();
    let adding = std::thread::spawn(move || asked.add());
    // The supervisor answers others meanwhile, and members renew.
    let mut answered = 0;
    while !adding.is_finished() {
        assert!(all_up(&control.nodes().expect("it runs")), "nobody is lost");
        answered += 1;
        // As often as an operator could ask, and the supervisor has time for its own.
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(answered > 10, "{answered}");
    let refused = adding.join().expect("no panic").expect_err("the journal did not take it");
    assert_eq!(refused.code, "storage");
    journal.stall(false);
    assert_eq!(control.add().expect("started"), NodeId(3), "the same again goes on from there");
    let after = until(&control, |status| status.nodes.len() == 3 && all_up(status));
    let lives = |status: &WorldStatus| status.nodes.iter().map(|n| n.incarnation).collect::<Vec<_>>();
    assert_eq!(lives(&after)[..2], lives(&before), "the others never stopped");
    nodes.stop().expect("everything is saved");
}
