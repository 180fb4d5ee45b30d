//! The machine's clock is set, while the world runs and while it does not.

#[path = "support/events.rs"]
mod events;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gundo_client::{Client, Event, SessionSettings};
use gundo_journal::{Journal, MemoryJournal};
use gundo_node::{LocalNodes, SoloSettings, Wall};

use events::until;
use support::rules;

const HOUR_MS: i64 = 3_600_000;
/// Less than any step here, and more than a test takes.
const SOON_MS: i64 = HOUR_MS / 2;

/// A world and its machine's clock.
struct Machine {
    journal: MemoryJournal,
    /// How far the clock is from the right time, ms.
    off_ms: Arc<AtomicI64>,
}

impl Machine {
    fn new() -> Self {
        Self { journal: MemoryJournal::new(), off_ms: Arc::default() }
    }

    fn set(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::SeqCst);
    }

    fn start(&self, clock_forward_max_ms: i64) -> LocalNodes {
        let off_ms = Arc::clone(&self.off_ms);
        let right = SoloSettings::default().wall;
        let wall = Wall::new(move || right.us() + off_ms.load(Ordering::SeqCst) * 1_000);
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let clock_forward_max_ms = clock_forward_max_ms as u64;
        let settings =
            SoloSettings { nodes: 2, listen, wall, clock_forward_max_ms, ..SoloSettings::default() };
        LocalNodes::start(&settings, Arc::new(self.journal.clone()), rules).expect("a world")
    }

    /// When the first event of a new player is, by world time, ms. No earlier event has a say in it.
    fn first_event_of(&self, nodes: &LocalNodes, name: &str) -> i64 {
        let known: Vec<_> = self.all().into_iter().map(|(entity, _)| entity).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let address = format!("ws://{}/", nodes.address()).parse().expect("an address");
            let (client, mut events) = Client::start(SessionSettings::new(vec![address], name));
            until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
            drop(client);
        });
        let new = self.all().into_iter().find(|(entity, _)| !known.contains(entity));
        new.expect("its player has begun").1
    }

    /// The entities, and when the first event of each is.
    fn all(&self) -> Vec<(gundo::EntityId, i64)> {
        let streams = self.journal.streams(None, 100).expect("in memory");
        let first = |entity| self.journal.stream(entity, 0, 1).expect("in memory")[0].1.at.0 as i64;
        streams.into_iter().map(|found| (found.entity, first(found.entity))).collect()
    }
}

#[test]
fn world_time_never_goes_back_and_goes_forward_by_a_bound_only() {
    let machine = Machine::new();
    let week_ms = 7 * 24 * HOUR_MS;
    let nodes = machine.start(week_ms);
    assert!(machine.first_event_of(&nodes, "Ada") < SOON_MS, "the world has just begun");
    nodes.stop().expect("everything is saved");

    machine.set(5 * HOUR_MS);
    let nodes = machine.start(week_ms);
    let before = machine.first_event_of(&nodes, "Ben");
    assert!((5 * HOUR_MS..5 * HOUR_MS + SOON_MS).contains(&before), "five hours have passed: {before}");

    machine.set(10 * HOUR_MS);
    let running = machine.first_event_of(&nodes, "Cid");
    assert!((before..before + SOON_MS).contains(&running), "a clock that is set changes nothing: {running}");
    // As in a crash: nothing is noted at the end.
    drop(nodes);

    machine.set(4 * HOUR_MS);
    let nodes = machine.start(week_ms);
    let behind = machine.first_event_of(&nodes, "Dora");
    assert!(
        (running..running + SOON_MS).contains(&behind),
        "an hour behind at a restart: {behind} after {running}"
    );
    drop(nodes);

    machine.set(5 * week_ms);
    let nodes = machine.start(week_ms);
    let held = machine.first_event_of(&nodes, "Emil");
    assert!((behind..behind + SOON_MS).contains(&held), "five weeks are more than a machine may say: {held}");
    nodes.stop().expect("everything is saved");

    let nodes = machine.start(6 * week_ms);
    let told = machine.first_event_of(&nodes, "Fay");
    assert!((5 * week_ms..5 * week_ms + SOON_MS).contains(&told), "an operator has said so: {told}");
}

/// Between two notes of the world time only events say how late it was.
#[test]
fn the_newest_event_counts_although_nothing_was_noted() {
    let machine = Machine::new();
    let nodes = machine.start(HOUR_MS);
    machine.first_event_of(&nodes, "Ada");
    drop(nodes);
    // As if the notes had been lost: the newest event alone is known.
    let newest = machine.journal.newest_at().expect("in memory").expect("Ada is there");
    machine.journal.set_meta("world_bound_ms", "0").expect("in memory");
    machine.set(-10 * HOUR_MS);
    let nodes = machine.start(HOUR_MS);
    assert!(machine.first_event_of(&nodes, "Ben") >= newest.0 as i64);
}

/// A journal may know its notes only, and a kill leaves nobody the time to write one.
#[test]
fn after_a_kill_the_world_goes_on_at_a_bound_that_it_has_not_passed() {
    let machine = Machine::new();
    let nodes = machine.start(HOUR_MS);
    let shown = machine.first_event_of(&nodes, "Ada");
    drop(nodes);
    let noted = |key| machine.journal.meta(key).expect("in memory");
    let bound: i64 = noted("world_bound_ms").and_then(|found| found.parse().ok()).expect("it is noted");
    assert!((shown..shown + SOON_MS).contains(&bound), "{bound} after {shown}");
    assert_eq!(noted("world_ms"), None, "nobody has ended in peace");
    machine.set(-10 * HOUR_MS);
    let nodes = machine.start(HOUR_MS);
    let after = machine.first_event_of(&nodes, "Ben");
    assert!((bound..bound + SOON_MS).contains(&after), "{after} with the bound {bound}");
    nodes.stop().expect("everything is saved");
    assert_eq!(noted("world_bound_ms"), noted("world_ms"), "who ends in peace leaves the time as it is");
}
