//! Operators' orders: pebbles that players get or give on by order, while nodes, links and the journal fail.

mod support;

use gundo_kernel::{MailMessage, Order, Peer};
use gundo_types::{EntityId, NodeId, Planted, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, OrderTaken};
use support::cluster::{Cluster, Fate, Fault, Strike};
use support::game::{BAG_MAX, PANICS};
use support::gift::{Gift, bag, bring};
use support::vault::vault;

/// So many orders one entity remembers, and one node has under way.
const MOST: usize = 64;

fn gift(n: u32) -> Gift {
    Gift { n, ..Gift::default() }
}

fn on(n: u32, to: EntityId) -> Gift {
    Gift { n, on: to.id, ..Gift::default() }
}

/// The orders that an entity has taken, by the journal.
fn taken(cluster: &Cluster, entity: EntityId) -> Vec<OrderTaken> {
    let events = cluster.disk.store.stream(entity, 0, usize::MAX).into_iter();
    let orders = events.filter(|(_, event)| event.event_type == EventType::Ordered);
    orders.map(|(_, event)| OrderTaken::decode(event.payload.as_ref()).expect("an event")).collect()
}

/// Ann and Bob with ten pebbles each, on nodes of their own.
fn two(nodes: u16, seed: u64) -> (Cluster, [EntityId; 2]) {
    let mut cluster = Cluster::new(nodes, seed);
    bring(&mut cluster, &["ann", "bob"]);
    let both = [cluster.player(0), cluster.player(1)];
    (cluster, both)
}

#[test]
fn an_order_reaches_a_player_wherever_that_is() {
    let mut cluster = Cluster::new(3, 1);
    bring(&mut cluster, &["ann", "bob", "cyd"]);
    let [ann, bob, cyd] = [0, 1, 2].map(|client| cluster.player(client));
    cluster.leave(2);
    cluster.run_ms(2_500);
    assert_eq!(cluster.owners(cyd), [], "she has left");
    for (who, n) in [(ann, 1), (bob, 2), (cyd, 3)] {
        let request = cluster.order(1, who, gift(n));
        assert_eq!(cluster.wait_for_order(1, request), Ok(10 + n as i32));
        assert_eq!(bag(&cluster, who), 10 + n);
        let notes = taken(&cluster, who);
        assert_eq!((notes.len(), notes[0].request, &*notes[0].by), (1, request, "a test"));
    }
    assert!(cluster.run_until(5_000, |c| c.owners(cyd).is_empty()), "she is unloaded again");
    // One who is asked by the order may be anywhere, too.
    let request = cluster.order(2, ann, on(4, cyd));
    assert_eq!(cluster.wait_for_order(2, request), Ok(7));
    assert_eq!([ann, cyd].map(|who| bag(&cluster, who)), [7, 17]);
}

#[test]
fn a_repeated_request_gets_the_first_answer() {
    let (mut cluster, [ann, bob]) = two(3, 1);
    let done = cluster.order(1, bob, gift(3));
    assert_eq!(cluster.wait_for_order(1, done), Ok(13));
    let refused = cluster.order(1, bob, gift(BAG_MAX));
    assert_eq!(cluster.wait_for_order(1, refused), Err("bag_full".into()));
    let by_another = cluster.order(1, bob, on(BAG_MAX, ann));
    assert_eq!(cluster.wait_for_order(1, by_another), Err("bag_full".into()));
    // He has room now, and many events and a snapshot are between: the first answer stands.
    for n in 1..=9 {
        let request = cluster.order(2, bob, on(1, ann));
        assert_eq!(cluster.wait_for_order(2, request), Ok(13 - n));
    }
    for node in [3, 1] {
        for (request, order, end) in [
            (done, gift(3), Ok(13)),
            (refused, gift(BAG_MAX), Err("bag_full".to_owned())),
            (by_another, on(BAG_MAX, ann), Err("bag_full".to_owned())),
        ] {
            cluster.orders.clear();
            cluster.order_again(node, request, bob, order);
            assert_eq!(cluster.wait_for_order(node, request), end);
        }
        cluster.order_again(node, done, bob, gift(4));
        cluster.run_ms(1_000);
        assert_eq!(cluster.ended(node, done), Some(Err("other_order".into())));
        // Now from the journal.
        let owner = cluster.owners(bob)[0].0;
        if owner == 2 {
            cluster.bury(2);
            cluster.run_ms(1_000);
        }
    }
    assert_eq!((bag(&cluster, bob), taken(&cluster, bob).len()), (4, 12));
}

#[test]
fn what_cannot_be_has_a_code() {
    let (mut cluster, [ann, bob]) = two(3, 1);
    let stranger = EntityId::new(ann.kind, 12_345);
    for (whom, code) in [
        (vault(1), "cannot_be_ordered"),
        (EntityId::new(gundo_types::Kind(77), 1), "cannot_be_ordered"),
        (stranger, "unsettled: no_such_entity"),
    ] {
        let request = cluster.order(1, whom, gift(1));
        assert_eq!(cluster.wait_for_order(1, request), Err(code.into()));
        assert_eq!(taken(&cluster, whom).len(), 0);
    }
    let now = cluster.world().0;
    for (made, code) in [(now + 61_000, "unsettled: bad_request"), (0, "unsettled: order_too_old")] {
        let request = Order::request(WorldTime(made), 5);
        cluster.order_again(1, request, ann, gift(1));
        assert_eq!(cluster.ended(1, request), Some(Err(code.into())));
    }
    // Ask somebody who does not exist: that is an outcome.
    let request = cluster.order(1, ann, on(1, stranger));
    assert_eq!(cluster.wait_for_order(1, request), Err("no_such_entity".into()));
    // A rule that fails leaves no note, and too many failures suspend the player.
    for _ in 0..5 {
        let request = cluster.order(1, bob, gift(PANICS.unsigned_abs()));
        assert_eq!(cluster.wait_for_order(1, request), Err("unsettled: game_error".into()));
        cluster.run_ms(200);
    }
    let request = cluster.order(1, bob, gift(1));
    assert_eq!(cluster.wait_for_order(1, request), Err("unsettled: suspended".into()));
    assert_eq!((bag(&cluster, bob), taken(&cluster, bob).len()), (10, 0));
}

/// Which message is struck.
fn is_order(message: &Peer) -> bool {
    matches!(message, Peer::Mail { message: MailMessage::Order(_), .. })
}

fn is_end(message: &Peer) -> bool {
    matches!(message, Peer::Mail { message: MailMessage::Ordered { .. }, .. })
}

fn is_part(message: &Peer) -> bool {
    matches!(message, Peer::Transaction { .. })
}

/// Each message of an order is lost, or a node dies with it. The operator repeats the order until it is settled: it happens once.
#[test]
fn a_node_dies_at_each_message() {
    type Is = fn(&Peer) -> bool;
    let all: [(&str, Is); 3] = [("order", is_order), ("end", is_end), ("part", is_part)];
    for asks in [false, true] {
        for (name, is) in all {
            for fate in [Fate::Lost, Fate::SenderDies, Fate::SentByTheDead, Fate::ReceiverDies] {
                for nth in 0..3 {
                    let what = format!("{name} {nth} {fate:?}, asks: {asks}");
                    let mut cluster = Cluster::new(4, 7);
                    bring(&mut cluster, &["ann", "bob", "cyd"]);
                    let [_, bob, cyd] = [0, 1, 2].map(|client| cluster.player(client));
                    let seen = std::cell::Cell::new(0);
                    let at = move |_, _, message: &Peer| is(message) && seen.replace(seen.get() + 1) == nth;
                    cluster.strike = Some(Strike { at: Box::new(at), fate, struck: None });
                    let order = if asks { on(3, cyd) } else { gift(3) };
                    let request = cluster.order(4, bob, order);
                    settle(&mut cluster, request, bob, order, &what);
                    let bags = [bob, cyd].map(|who| bag(&cluster, who));
                    assert_eq!(bags, if asks { [7, 13] } else { [13, 10] }, "{what}");
                    assert_eq!(taken(&cluster, bob).len(), 1, "{what}");
                }
            }
        }
    }
}

/// The operator repeats an order, through any node, until it is done; the others bury the dead.
fn settle(cluster: &mut Cluster, request: u64, entity: EntityId, order: Gift, what: &str) {
    for _ in 0..4 {
        for n in 1..=4 {
            let is_member = cluster.view.members.iter().any(|m| m.node == NodeId(n));
            if is_member && !cluster.nodes.contains_key(&NodeId(n)) {
                cluster.bury(n);
            }
        }
        let node = cluster.nodes.keys().next_back().expect("a node").0;
        if cluster.ended(node, request).is_none() {
            cluster.order_again(node, request, entity, order);
        }
        let done = |c: &Cluster| c.ended(node, request).is_some() || !c.nodes.contains_key(&NodeId(node));
        cluster.run_until(6_000, done);
        if let Some(end) = cluster.ended(node, request)
            && !end.as_ref().is_err_and(|code| code.starts_with("unsettled"))
        {
            assert!(end.is_ok(), "{what}: {end:?}");
            cluster.run_ms(2_000);
            return;
        }
    }
    panic!("{what}: it does not settle");
}

/// Every outcome of the append that takes an order.
#[test]
fn the_journal_fails() {
    for fault in [Fault::Rejected, Fault::UnknownLost, Fault::UnknownLanded, Fault::QueueFull] {
        for asks in [false, true] {
            let mut cluster = Cluster::new(4, 3);
            bring(&mut cluster, &["ann", "bob", "cyd"]);
            let [_, bob, cyd] = [0, 1, 2].map(|client| cluster.player(client));
            cluster.faults.extend([fault, fault]);
            let order = if asks { on(3, cyd) } else { gift(3) };
            let request = cluster.order(4, bob, order);
            settle(&mut cluster, request, bob, order, &format!("{fault:?}"));
            assert_eq!((bag(&cluster, bob), taken(&cluster, bob).len()), (if asks { 7 } else { 13 }, 1));
        }
    }
}

/// Nobody hears that an order is done, or refused, before that is durable. While the journal hangs, the node asks again and again.
#[test]
fn an_answer_waits_for_its_append() {
    let (mut cluster, [_, bob]) = two(3, 1);
    cluster.stuck = true;
    let requests = [gift(3), gift(BAG_MAX)].map(|order| cluster.order(1, bob, order));
    cluster.run_ms(15_000);
    assert_eq!(requests.map(|request| cluster.ended(1, request)), [None, None]);
    cluster.run_ms(6_000);
    let codes = requests.map(|request| cluster.ended(1, request).expect("it is given up"));
    assert!(
        codes.iter().all(|end| end.as_ref().is_err_and(|code| code.starts_with("unsettled"))),
        "{codes:?}"
    );
    cluster.stuck = false;
    cluster.run_ms(1_000);
    cluster.orders.clear();
    cluster.order_again(1, requests[0], bob, gift(3));
    assert_eq!(cluster.wait_for_order(1, requests[0]), Ok(13));
    cluster.order_again(3, requests[1], bob, gift(BAG_MAX));
    assert_eq!(cluster.wait_for_order(3, requests[1]), Err("bag_full".into()));
    assert_eq!((bag(&cluster, bob), taken(&cluster, bob).len()), (13, 2));
}

#[test]
fn orders_are_bounded() {
    let (mut cluster, [ann, bob]) = two(2, 1);
    cluster.stuck = true;
    let requests: Vec<u64> = (0..=MOST).map(|_| cluster.order(1, bob, gift(0))).collect();
    let refused = Some(Err("unsettled: too_many_orders".into()));
    assert_eq!(cluster.ended(1, requests[MOST]), refused, "as many are under way");
    cluster.stuck = false;
    cluster.run_ms(22_000);
    assert!(requests[..MOST].iter().all(|request| cluster.ended(1, *request).is_some()));
    // An entity remembers as many, for an hour.
    let mut world = cluster.world().0;
    for n in 0..MOST {
        let request = cluster.order(1, ann, gift(0));
        assert_eq!(cluster.wait_for_order(1, request), Ok(10), "{n}");
        world = cluster.world().0;
    }
    let request = cluster.order(2, ann, gift(1));
    assert_eq!(cluster.wait_for_order(2, request), Err("unsettled: too_many_orders".into()));
    (0..2).for_each(|client| cluster.leave(client));
    cluster.run_ms(3_600_000 + 1_000);
    assert!(cluster.world().0 > world + 3_600_000);
    cluster.order_again(2, request, ann, gift(1));
    assert_eq!(cluster.wait_for_order(2, request), Err("unsettled: order_too_old".into()));
    let request = cluster.order(2, ann, gift(1));
    assert_eq!(cluster.wait_for_order(2, request), Ok(11));
}

/// A copy of an order comes after its end.
fn a_late_copy(order: Gift, room: bool) {
    let (mut cluster, [ann, bob]) = two(3, 1);
    let request = cluster.order(1, bob, order);
    let first = cluster.wait_for_order(1, request);
    if room {
        // What was refused could be done now.
        let request = cluster.order(1, bob, on(10, ann));
        assert_eq!(cluster.wait_for_order(1, request), Ok(0));
    }
    cluster.orders.clear();
    cluster.order_again(3, request, bob, order);
    assert_eq!(cluster.wait_for_order(3, request), first);
}

fn done_once() {
    a_late_copy(gift(3), false);
}

fn refused_for_good() {
    a_late_copy(gift(BAG_MAX), true);
}

/// The node of the entity dies with the append.
fn done_is_durable() {
    let (mut cluster, [_, bob]) = two(3, 1);
    cluster.stuck = true;
    let request = cluster.order(1, bob, gift(3));
    cluster.run_ms(2_000);
    cluster.die(2);
    cluster.stuck = false;
    cluster.bury(2);
    cluster.run_ms(100);
    let done = cluster.ended(1, request);
    assert!(done.is_none() || bag(&cluster, bob) == 13, "it was said to be done");
}

const STORIES: [(Planted, fn()); 3] = [
    (Planted::OrderTwice, done_once),
    (Planted::OrderRefusalForgotten, refused_for_good),
    (Planted::OrderLost, done_is_durable),
];

#[test]
fn stories_go_well() {
    STORIES.iter().for_each(|(_, story)| story());
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_seen() {
    support::cluster::each_is_seen(&STORIES);
}
