//! Timers: bells of towers and of players that ring at a world time, while nodes, links and the journal fail, and while nobody is there.

mod support;

use gundo_types::{EntityId, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, TimerOver, WakesAsked};
use support::bell::{
    ASKS, BUSY, Bell, BellWish, PANICS, REFUSES, RINGS, RINGS_ON, Ring, TAKES_A_NAME, bells, rings, tower,
};
use support::cluster::{Cluster, Fault};
use support::gift::{bag, bring};

/// A ring may be so late on a healthy cluster, ms: a tick, the reading of the wakes, a load.
const LATE_MS: u64 = 2_500;

fn count(cluster: &Cluster, entity: EntityId, event_type: EventType) -> usize {
    let events = cluster.disk.store.stream(entity, 0, usize::MAX);
    events.iter().filter(|(_, event)| event.event_type == event_type).count()
}

/// How the timers of an entity have ended, as the journal numbers it.
fn ends(cluster: &Cluster, entity: EntityId) -> Vec<u32> {
    let events = cluster.disk.store.stream(entity, 0, usize::MAX).into_iter();
    let over = events.filter(|(_, event)| event.event_type == EventType::TimerOver);
    over.map(|(_, event)| TimerOver::decode(event.payload.as_ref()).expect("an event").how).collect()
}

/// When the journal says that entities have something to do.
fn wakes(cluster: &Cluster) -> Vec<(WorldTime, EntityId)> {
    let asked = WakesAsked { after: None, until: WorldTime(u64::MAX), max: 99 };
    cluster.disk.store.wakes(asked)
}

fn loaded(cluster: &Cluster, entity: EntityId) -> bool {
    cluster.nodes.values().any(|node| node.reals().any(|real| real.id == entity))
}

/// The codes with which Ann's commands were refused.
fn refusals(cluster: &Cluster) -> Vec<String> {
    cluster.clients[0].heard.values().filter_map(|heard| heard.clone().err()).collect()
}

/// Ann, who sets a bell of a tower.
fn ann_sets(cluster: &mut Cluster, wish: BellWish) {
    if cluster.clients.is_empty() {
        cluster.connect("ann", 1);
        cluster.run_ms(600);
    }
    bells(cluster, 0, wish);
    cluster.run_ms(400);
    assert_eq!(refusals(cluster), Vec::<String>::new());
}

fn on_time(ring: &Ring) -> bool {
    (ring.due..=ring.due + LATE_MS).contains(&ring.at)
}

#[test]
fn a_bell_rings_once_at_its_time() {
    let mut cluster = Cluster::new(3, 1);
    ann_sets(&mut cluster, BellWish::set(7, Bell::new(1, RINGS), 3_000));
    assert_eq!(wakes(&cluster).iter().map(|wake| wake.1).collect::<Vec<_>>(), [tower(7)]);
    let due = wakes(&cluster)[0].0.0;
    cluster.run_ms(due - cluster.world().0 - 1);
    assert_eq!(rings(&cluster, 7), [], "it is not due yet");
    cluster.run_ms(250);
    let rung = rings(&cluster, 7);
    assert!(rung.len() == 1 && rung[0].due == due && rung[0].at < due + 200, "{rung:?}");
    cluster.run_ms(20_000);
    assert_eq!((rings(&cluster, 7).len(), wakes(&cluster), ends(&cluster, tower(7))), (1, vec![], vec![1]));
}

/// Nobody is there for minutes, and the journal alone knows of the bell.
#[test]
fn a_bell_rings_though_nobody_needs_its_tower() {
    let mut cluster = Cluster::new(3, 2);
    ann_sets(&mut cluster, BellWish::set(7, Bell::new(1, RINGS), 120_000));
    ann_sets(&mut cluster, BellWish::set(8, Bell::new(1, RINGS_ON), 120_000));
    cluster.leave(0);
    cluster.run_ms(100_000);
    assert!(![7, 8].iter().any(|number| loaded(&cluster, tower(*number))), "they are unloaded");
    cluster.run_ms(30_000);
    assert!(rings(&cluster, 7).len() == 1 && on_time(&rings(&cluster, 7)[0]), "{:?}", rings(&cluster, 7));
    let on = rings(&cluster, 8);
    let dues: Vec<_> = on.iter().map(|ring| ring.due - on[0].due).collect();
    assert!(dues == [0, 1_000, 2_000] && on.iter().all(on_time), "{on:?}");
    cluster.run_ms(30_000);
    assert!(![7, 8].iter().any(|number| loaded(&cluster, tower(*number))), "they are unloaded again");
    assert_eq!((rings(&cluster, 7).len(), rings(&cluster, 8).len(), wakes(&cluster)), (1, 3, vec![]));
}

/// A player who is away asks another one who is away.
#[test]
fn a_bell_of_a_player_who_is_away_begins_a_transaction() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    let bell = Bell { whom: bob.id, ..Bell::new(1, ASKS) };
    bells(&mut cluster, 0, BellWish::set(0, bell, 30_000));
    cluster.run_ms(300);
    (0..2).for_each(|client| cluster.leave(client));
    cluster.run_ms(20_000);
    assert!(!loaded(&cluster, ann) && !loaded(&cluster, bob));
    cluster.run_ms(20_000);
    assert_eq!((bag(&cluster, ann), bag(&cluster, bob), ends(&cluster, ann)), (9, 11, vec![1]));
    assert!(!loaded(&cluster, ann) && !loaded(&cluster, bob), "they are unloaded again");
    cluster.check_pebbles();
}

#[test]
fn what_is_set_last_counts_and_what_is_cancelled_does_not_ring() {
    let mut cluster = Cluster::new(2, 1);
    let [one, two] = [1, 2].map(|number| Bell::new(number, RINGS));
    ann_sets(&mut cluster, BellWish::set(7, one, 2_000));
    ann_sets(&mut cluster, BellWish::set(7, two, 2_000));
    ann_sets(&mut cluster, BellWish::set(7, one, 8_000));
    ann_sets(&mut cluster, BellWish::cancel(7, two));
    ann_sets(&mut cluster, BellWish::cancel(7, Bell::new(9, RINGS)));
    cluster.run_ms(4_000);
    assert_eq!((rings(&cluster, 7), ends(&cluster, tower(7))), (vec![], vec![0]));
    cluster.run_ms(6_000);
    let rung = rings(&cluster, 7);
    assert!(rung.len() == 1 && rung[0].number == 1 && on_time(&rung[0]), "{rung:?}");
}

/// At each moment a node dies: the tower's, that of the tower whom it asks, or another. The bell rings once.
#[test]
fn a_node_dies_at_each_step() {
    for dies in 1..=4 {
        for at_ms in [-30, 1, 5, 12, 20, 105] {
            let mut cluster = Cluster::new(4, 7);
            let bell = Bell { whom: 8, ..Bell::new(1, ASKS) };
            ann_sets(&mut cluster, BellWish::set(7, bell, 3_000));
            let due = wakes(&cluster)[0].0.0;
            let tick = due.next_multiple_of(100);
            cluster.run_ms(tick.saturating_add_signed(at_ms) - cluster.world().0);
            cluster.bury(dies);
            cluster.run_ms(20_000);
            let what = format!("node {dies} dies {at_ms} ms after the tick");
            let asked =
                support::cluster::game_state::<support::bell::Tower>(&cluster.disk.store.load(tower(8)));
            assert_eq!(
                (rings(&cluster, 7).len(), asked.rings.len(), wakes(&cluster)),
                (1, 1, vec![]),
                "{what}"
            );
            assert!(rings(&cluster, 7)[0].at >= due, "{what}");
        }
    }
}

/// Every outcome of the append that sets, and of that which rings.
#[test]
fn the_journal_fails() {
    for fault in [Fault::Rejected, Fault::UnknownLost, Fault::UnknownLanded, Fault::QueueFull] {
        for at_ms in [0, 10, 20, 1_990, 2_005, 2_050, 2_100] {
            let mut cluster = Cluster::new(3, 3);
            cluster.connect("ann", 1);
            cluster.run_ms(600);
            bells(&mut cluster, 0, BellWish::set(7, Bell::new(1, RINGS), 2_000));
            cluster.run_ms(at_ms);
            cluster.faults.extend([fault, fault]);
            cluster.run_ms(20_000);
            let set = count(&cluster, tower(7), EventType::TimerSet);
            assert_eq!(
                (rings(&cluster, 7).len(), wakes(&cluster)),
                (set, vec![]),
                "{fault:?} after {at_ms} ms"
            );
        }
    }
}

/// The whole cluster stands still for an hour and more. Then all bells ring, a few at a time.
#[test]
fn after_a_long_stop_all_ring_and_none_twice() {
    let mut cluster = Cluster::new(3, 5);
    for number in 1..=12 {
        let wish = BellWish { count: 16, ..BellWish::set(number, Bell::new(1, RINGS), 30_000) };
        ann_sets(&mut cluster, wish);
    }
    let world = cluster.world().0;
    let mut cluster = Cluster::with_store(3, 6, cluster.disk.store, world + 5_000_000);
    cluster.run_ms(900);
    let most = 32 * 10 * 3;
    let mut before = 0;
    for _ in 0..12 {
        cluster.run_ms(1_000);
        let rung = (1..=12).map(|number| rings(&cluster, number).len()).sum::<usize>();
        assert!(rung - before <= most, "{} in a second", rung - before);
        before = rung;
    }
    assert_eq!((before, wakes(&cluster)), (12 * 16, vec![]));
}

#[test]
fn a_refusal_is_an_outcome_and_busy_is_not() {
    let mut cluster = Cluster::new(3, 1);
    ann_sets(&mut cluster, BellWish::set(7, Bell::new(1, REFUSES), 1_000));
    ann_sets(&mut cluster, BellWish::set(8, Bell::new(1, BUSY), 1_000));
    ann_sets(&mut cluster, BellWish::set(8, Bell::new(2, RINGS), 5_000));
    cluster.run_ms(30_000);
    assert!(rings(&cluster, 7).iter().map(|ring| ring.refused).eq([true]), "{:?}", rings(&cluster, 7));
    assert_eq!(ends(&cluster, tower(7)), [2]);
    // The one behind it does not wait.
    assert!(rings(&cluster, 8).iter().map(|ring| ring.number).eq([2]), "{:?}", rings(&cluster, 8));
    bells(&mut cluster, 0, BellWish { tower: 8, ..BellWish::default() });
    cluster.run_ms(9_000);
    assert!(rings(&cluster, 8).iter().map(|ring| ring.number).eq([2, 1]), "{:?}", rings(&cluster, 8));
    assert_eq!(wakes(&cluster), []);
}

/// A name that is taken when the append comes to the journal, and rules that fail: the timer is over without effect.
#[test]
fn what_can_never_ring_is_given_up() {
    let mut cluster = Cluster::new(3, 1);
    ann_sets(&mut cluster, BellWish::set(7, Bell::new(1, TAKES_A_NAME), 1_000));
    ann_sets(&mut cluster, BellWish::set(8, Bell::new(1, PANICS), 1_000));
    ann_sets(&mut cluster, BellWish::set(8, Bell::new(2, RINGS), 9_000));
    cluster.run_ms(20_000);
    assert_eq!((rings(&cluster, 7), ends(&cluster, tower(7))), (vec![], vec![2]));
    assert_eq!(ends(&cluster, tower(8)), [3, 1]);
    assert!(rings(&cluster, 8).iter().map(|ring| ring.number).eq([2]));
    let lost: u64 = cluster.nodes.values().map(|node| node.counters().timers_lost).sum();
    assert_eq!((lost, wakes(&cluster)), (2, vec![]));
}

#[test]
fn what_nobody_may_set_is_refused() {
    let mut cluster = Cluster::new(2, 1);
    let wish = |from, count| BellWish { count, ..BellWish::set(0, Bell::new(from, RINGS), 60_000) };
    for from in [0, 16, 32, 48] {
        ann_sets(&mut cluster, wish(from, 16));
    }
    ann_sets(&mut cluster, wish(10, 8));
    let ann = cluster.player(0);
    assert_eq!(wakes(&cluster).len(), 1, "one wake for all bells of an entity");
    bells(&mut cluster, 0, wish(64, 1));
    bells(&mut cluster, 0, wish(0, 17));
    bells(&mut cluster, 0, BellWish::set(0, Bell::new(1, RINGS), WorldTime::MAX.0));
    cluster.run_ms(500);
    assert_eq!(refusals(&cluster), ["too_many_timers", "game_error", "game_error"]);
    // Each of the 64 rings.
    cluster.run_ms(75_000);
    assert_eq!((ends(&cluster, ann).len(), wakes(&cluster)), (64, vec![]));
}

/// The player is handed to another node before the bell rings, and its node goes.
#[test]
fn a_bell_moves_with_its_player() {
    let mut cluster = Cluster::new(3, 4);
    bring(&mut cluster, &["ann", "bob"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    let bell = Bell { whom: bob.id, ..Bell::new(1, ASKS) };
    bells(&mut cluster, 0, BellWish::set(0, bell, 6_000));
    cluster.run_ms(300);
    let before = cluster.owners(ann);
    cluster.drain(before[0].0, true);
    cluster.run_ms(4_000);
    assert_ne!(cluster.owners(ann), before);
    assert_eq!(ends(&cluster, ann), []);
    cluster.run_ms(4_000);
    assert_eq!((bag(&cluster, ann), bag(&cluster, bob), ends(&cluster, ann)), (9, 11, vec![1]));
}

/// The journal goes back to before the bell was set, or before it rang: what it says then is true.
#[test]
fn a_bell_goes_back_with_the_journal() {
    for rung in [false, true] {
        let mut cluster = Cluster::new(3, 4);
        ann_sets(&mut cluster, BellWish::set(7, Bell::new(1, RINGS), if rung { 2_000 } else { 8_000 }));
        cluster.replica = Some(cluster.disk.store.replica());
        if !rung {
            ann_sets(&mut cluster, BellWish::set(7, Bell::new(2, RINGS), 4_000));
        }
        cluster.run_ms(3_000);
        assert_eq!(rings(&cluster, 7).len(), usize::from(rung));
        cluster.fail_over();
        cluster.tell_generation();
        cluster.run_ms(12_000);
        assert!(rings(&cluster, 7).iter().map(|ring| ring.number).eq([1]), "{:?}", rings(&cluster, 7));
        assert_eq!(wakes(&cluster), []);
    }
}
