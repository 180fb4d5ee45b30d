//! Messages between entities: gifts of pebbles that players send each other without waiting, while nodes, links and the journal fail.

mod support;

use gundo_types::{EntityId, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, WakesAsked};
use support::cluster::{Cluster, Fault};
use support::game::{self, PANICS};
use support::gift::{GiftWish, bag, bring, wish};

/// How many events of a type an entity has.
fn count(cluster: &Cluster, entity: EntityId, event_type: EventType) -> usize {
    let events = cluster.disk.store.stream(entity, 0, usize::MAX);
    events.iter().filter(|(_, event)| event.event_type == event_type).count()
}

/// Entities that the journal says have something to do.
fn wakes(cluster: &Cluster) -> usize {
    let asked = WakesAsked { after: None, until: WorldTime(u64::MAX), max: 9 };
    cluster.disk.store.wakes(asked).len()
}

/// All messages are taken, and their senders know it.
fn settle(cluster: &mut Cluster, what: &str) {
    let quiet = |c: &Cluster| c.is_settled() && wakes(c) == 0;
    assert!(cluster.run_until(40_000, quiet), "{what}: it does not settle");
    cluster.run_ms(1_500);
    cluster.check_pebbles();
}

fn lost(cluster: &Cluster) -> u64 {
    cluster.nodes.values().map(|node| node.counters().mail_lost).sum()
}

#[test]
fn a_message_to_a_player_on_another_node_and_to_one_who_is_away() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob", "cyd"]);
    let (bob, cyd) = (cluster.player(1), cluster.player(2));
    cluster.leave(2);
    cluster.run_ms(2_500);
    assert_eq!(cluster.owners(cyd), [], "she has left");
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id, cyd.id], 3, 0));
    settle(&mut cluster, "two messages");
    assert_eq!([bag(&cluster, cluster.player(0)), bag(&cluster, bob), bag(&cluster, cyd)], [4, 13, 13]);
    let own = game::PlayerState::decode(cluster.clients[1].own.as_ref()).expect("own state");
    assert_eq!(own.bag, 13, "his client hears of it");
    assert!(cluster.run_until(5_000, |c| c.owners(cyd).is_empty()), "she is unloaded again");
}

/// An entity that takes a message may coordinate a transaction: nobody waits for its answer.
#[test]
fn a_message_starts_a_transaction() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob", "cyd"]);
    let (bob, cyd) = (cluster.player(1), cluster.player(2));
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 3, cyd.id));
    settle(&mut cluster, "a transaction of a message");
    assert_eq!([bag(&cluster, cluster.player(0)), bag(&cluster, bob), bag(&cluster, cyd)], [7, 10, 13]);
    // Refused by the one that is asked, and so it goes back.
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 3, 77));
    settle(&mut cluster, "a refused transaction of a message");
    assert_eq!([bag(&cluster, cluster.player(0)), bag(&cluster, bob), bag(&cluster, cyd)], [7, 10, 13]);
}

/// At each moment a node dies: that of the sender, that of the receiver, or that of the player whom the message asks. Each message has
/// its effect once.
#[test]
fn a_node_dies_at_each_step() {
    for on in [false, true] {
        for dies in 1..=3 {
            for at_ms in [1, 5, 12, 20] {
                let mut cluster = Cluster::new(4, 7);
                bring(&mut cluster, &["ann", "bob", "cyd"]);
                let (ann, bob, cyd) = (cluster.player(0), cluster.player(1), cluster.player(2));
                let gift = GiftWish::mail(&[bob.id], 3, if on { cyd.id } else { 0 });
                wish(&mut cluster, 0, gift);
                cluster.run_ms(at_ms);
                cluster.bury(dies);
                settle(&mut cluster, &format!("node {dies} dies after {at_ms} ms"));
                let sent = count(&cluster, ann, EventType::Sent) as u32;
                let (to, rest) = if on { (cyd, bob) } else { (bob, cyd) };
                let bags = [bag(&cluster, ann), bag(&cluster, to), bag(&cluster, rest)];
                assert_eq!(bags, [10 - 3 * sent, 10 + 3 * sent, 10], "node {dies} dies after {at_ms} ms");
                assert_eq!(count(&cluster, bob, EventType::Taken) as u32, sent);
            }
        }
    }
}

/// The sender's client is gone, and so is its node: its home loads it, because the journal knows that it owes something.
#[test]
fn a_sender_whom_nobody_needs_is_loaded_to_send() {
    let mut cluster = Cluster::new(3, 2);
    bring(&mut cluster, &["ann", "bob", "cyd"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    // Bob's journal cannot be read while the message waits.
    cluster.leave(1);
    cluster.run_ms(2_500);
    cluster.unreadable = true;
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 3, 0));
    cluster.run_ms(300);
    assert_eq!((count(&cluster, ann, EventType::Sent), wakes(&cluster)), (1, 1));
    cluster.leave(0);
    cluster.run_ms(300);
    cluster.bury(1);
    cluster.run_ms(1_000);
    assert_eq!(cluster.owners(ann), []);
    cluster.unreadable = false;
    settle(&mut cluster, "a sender that nobody needs");
    assert_eq!((bag(&cluster, ann), bag(&cluster, bob)), (7, 13));
    assert!(cluster.run_until(5_000, |c| c.owners(ann).is_empty()), "she is unloaded again");
}

/// Every outcome of the append that sends, and of that which takes.
#[test]
fn the_journal_fails() {
    for fault in [Fault::Rejected, Fault::UnknownLost, Fault::UnknownLanded, Fault::QueueFull] {
        for at_ms in [0, 10, 20, 30] {
            let mut cluster = Cluster::new(3, 3);
            bring(&mut cluster, &["ann", "bob"]);
            let (ann, bob) = (cluster.player(0), cluster.player(1));
            wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 3, 0));
            cluster.run_ms(at_ms);
            cluster.faults.extend([fault, fault]);
            settle(&mut cluster, &format!("{fault:?} after {at_ms} ms"));
            let sent = count(&cluster, ann, EventType::Sent) as u32;
            assert_eq!((bag(&cluster, ann), bag(&cluster, bob)), (10 - 3 * sent, 10 + 3 * sent));
        }
    }
}

/// Nothing is sent before the append that sends it has landed.
#[test]
fn a_message_waits_for_its_append() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob"]);
    let bob = cluster.player(1);
    cluster.stuck = true;
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 3, 0));
    cluster.run_ms(1_000);
    cluster.die(1);
    cluster.stuck = false;
    cluster.next_view();
    settle(&mut cluster, "a message whose append may be lost");
    assert_eq!(bag(&cluster, bob), 10 + 3 * count(&cluster, cluster.player(0), EventType::Sent) as u32);
}

/// A receiver that nobody has created does not hold up the others, and after an hour the message to it is given up.
#[test]
fn what_cannot_be_taken_ends() {
    let mut cluster = Cluster::new(2, 1);
    bring(&mut cluster, &["ann", "bob"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    wish(&mut cluster, 0, GiftWish { n: 0, ..GiftWish::mail(&[12_345], 0, 0) });
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 1, 0));
    cluster.run_ms(1_000);
    assert_eq!((bag(&cluster, bob), wakes(&cluster)), (11, 1), "the other receiver does not wait");
    assert_eq!(count(&cluster, EntityId::new(bob.kind, 12_345), EventType::Taken), 0);
    // With nobody in the world an hour passes quickly.
    (0..2).for_each(|client| cluster.leave(client));
    cluster.run_ms(3_590_000);
    assert_eq!((lost(&cluster), wakes(&cluster)), (0, 1));
    cluster.run_ms(20_000);
    assert_eq!((lost(&cluster), wakes(&cluster), count(&cluster, ann, EventType::Delivered)), (1, 0, 2));
}

#[test]
fn a_message_whose_rules_fail_is_given_up() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    let before = bag(&cluster, ann);
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], PANICS.unsigned_abs(), 0));
    wish(&mut cluster, 0, GiftWish::mail(&[bob.id], 1, 0));
    settle(&mut cluster, "a message that panics");
    assert_eq!((lost(&cluster), bag(&cluster, ann), bag(&cluster, bob)), (1, before - 1, 11));
    assert_eq!(count(&cluster, bob, EventType::Taken), 2);
}
