//! Watching an entity by its id, wherever it is.

mod support;

use gundo_kernel::{HomeMessage, Peer};
use gundo_types::{ChunkId, EntityId, NodeId};
use support::board::{BoardWish, board};
use support::cluster::{Cluster, Fate, Fault, Strike};
use support::game::{GROWS_MS, PlayerCommand, STOCK, land};
use support::vault::{CREATE, VaultWish, vault};

/// Nobody is near it.
const FAR: ChunkId = ChunkId { island: 0, x: 300, y: -200 };

/// The states of an entity that a client got, in order: the number on it, or the refusal.
fn shown(cluster: &Cluster, client: usize, entity: EntityId) -> Vec<Result<Option<u8>, &str>> {
    let number = |public: &Option<bytes::Bytes>| public.as_ref().map(|bytes| bytes[1]); // the value of field 1
    let all = cluster.clients[client].watched.iter().filter(|(of, _)| *of == entity);
    all.map(|(_, shown)| shown.as_ref().map(number).map_err(String::as_str)).collect()
}

fn last(cluster: &Cluster, client: usize, entity: EntityId) -> Option<Result<Option<u8>, &str>> {
    shown(cluster, client, entity).pop()
}

fn wish(cluster: &mut Cluster, client: usize, wish: BoardWish) {
    cluster.command(client, &PlayerCommand { board: Some(wish), ..Default::default() });
}

fn post(cluster: &mut Cluster, client: usize, on: EntityId) {
    wish(cluster, client, BoardWish { board: on.id, posts: 1, ..Default::default() });
}

/// A board whose home is this node.
fn board_at(cluster: &Cluster, node: u16) -> EntityId {
    let node = NodeId(node);
    (1..).map(board).find(|board| cluster.nodes[&node].home(*board) == Some(node)).expect("homes are spread")
}

/// A vault whose home is this node, and that nobody has created.
fn new_vault(cluster: &Cluster, node: u16) -> EntityId {
    let node = NodeId(node);
    let mut ids = (1..).map(vault).filter(|id| cluster.nodes[&node].home(*id) == Some(node));
    ids.find(|id| cluster.disk.store.load(*id).events.is_empty()).expect("homes are spread")
}

fn create(cluster: &mut Cluster, client: usize, vault: EntityId) {
    let create = VaultWish { what: CREATE, vault: vault.id, n: 1 };
    cluster.command(client, &PlayerCommand { vault: Some(create), ..Default::default() });
}

/// Ann at node 1, Bob at node 2, and a board at node 3 that Ann has written on.
fn board_of_ann() -> (Cluster, usize, usize, EntityId) {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    let on = board_at(&cluster, 3);
    post(&mut cluster, ann, on);
    cluster.run_ms(300);
    (cluster, ann, bob, on)
}

fn sum(cluster: &Cluster, of: impl Fn(&gundo_kernel::Counters) -> u64) -> u64 {
    cluster.nodes.values().map(|node| of(&node.counters())).sum()
}

#[test]
fn a_board_is_watched_over_nodes() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    // At once, not with the next tick.
    cluster.run_ms(10);
    assert_eq!(shown(&cluster, bob, on), [Ok(Some(1))]);
    cluster.watch(ann, on);
    for _ in 0..3 {
        post(&mut cluster, ann, on);
        cluster.run_ms(300);
    }
    assert_eq!(shown(&cluster, bob, on), [1, 2, 3, 4].map(|n| Ok(Some(n))));
    assert_eq!(shown(&cluster, ann, on), [1, 2, 3, 4].map(|n| Ok(Some(n))));
    assert_eq!((sum(&cluster, |c| c.watches), sum(&cluster, |c| c.watched)), (2, 1));
    cluster.unwatch(bob, on);
    post(&mut cluster, ann, on);
    cluster.run_ms(300);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(4))));
    assert_eq!(last(&cluster, ann, on), Some(Ok(Some(5))));
    cluster.leave(ann);
    cluster.run_ms(300);
    assert_eq!((sum(&cluster, |c| c.watches), sum(&cluster, |c| c.watched)), (0, 0));
}

#[test]
fn changes_by_time_alone_are_shown_too() {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    let there = land(FAR);
    cluster.watch(bob, there);
    cluster.run_ms(300);
    assert_eq!(last(&cluster, bob, there), Some(Ok(Some(STOCK as u8))), "untouched land is there");
    assert!(cluster.disk.store.load(there).events.is_empty(), "and has no stream");
    cluster.take(ann, FAR, 2);
    // A watched entity stays loaded, however long.
    cluster.run_ms(3 * GROWS_MS + 12_000);
    let stock = STOCK as u8;
    assert_eq!(shown(&cluster, bob, there), [stock, stock - 2, stock - 1, stock].map(|n| Ok(Some(n))));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    let bobs = cluster.player(bob).id;
    let member = cluster.player(ann).id;
    wish(&mut cluster, ann, BoardWish { board: on.id, member, ..Default::default() });
    cluster.run_ms(300);
    let nobody = EntityId::new(gundo_types::Kind(99), 1);
    let no_chunk = EntityId::new(support::game::LAND, u64::MAX);
    let never = new_vault(&cluster, 1);
    for entity in [on, nobody, no_chunk, never, cluster.player(ann)] {
        cluster.watch(bob, entity);
    }
    cluster.run_ms(300);
    assert_eq!(shown(&cluster, bob, on), [Err("not_allowed")]);
    assert_eq!(shown(&cluster, bob, nobody), [Err("no_such_kind")]);
    assert_eq!(shown(&cluster, bob, no_chunk), [Err("no_such_entity")]);
    assert_eq!(shown(&cluster, bob, never), [Err("no_such_entity")]);
    assert_eq!(shown(&cluster, bob, cluster.player(ann)), [Err("not_allowed")]);
    assert!(!cluster.nodes.values().any(|node| node.holds(never)), "nothing stays of what never was");
    assert_eq!(cluster.clients[bob].session.watched().count(), 0);
    // It is shown once Bob may see the one, and the other exists.
    wish(&mut cluster, ann, BoardWish { board: on.id, member: bobs, ..Default::default() });
    create(&mut cluster, ann, never);
    cluster.run_ms(300);
    cluster.watch(bob, on);
    cluster.watch(bob, never);
    cluster.run_ms(300);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(1))));
    assert_eq!(last(&cluster, bob, never), Some(Ok(Some(1))));
    // Bob loses the right.
    wish(&mut cluster, ann, BoardWish { board: on.id, member: bobs, posts: 1, ..Default::default() });
    post(&mut cluster, ann, on);
    cluster.run_ms(300);
    assert_eq!(shown(&cluster, bob, on), [Err("not_allowed"), Ok(Some(1)), Err("not_allowed")]);
}

#[test]
fn nothing_is_shown_before_it_is_durable() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    cluster.stuck = true;
    post(&mut cluster, ann, on);
    cluster.run_ms(500);
    assert_eq!(shown(&cluster, bob, on), [Ok(Some(1))]);
    // Nor is it shown to a client that begins to watch meanwhile.
    cluster.watch(ann, on);
    cluster.run_ms(500);
    assert_eq!(shown(&cluster, ann, on), [Ok(Some(1))]);
    cluster.stuck = false;
    cluster.run_ms(300);
    assert_eq!(shown(&cluster, bob, on), [1, 2].map(|n| Ok(Some(n))));
    // What does not land is never shown.
    cluster.faults.push_back(Fault::Rejected);
    post(&mut cluster, ann, on);
    cluster.run_ms(500);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(2))));
}

#[test]
fn a_tick_shows_one_state_at_most() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    let before = shown(&cluster, bob, on).len();
    for _ in 0..20 {
        post(&mut cluster, ann, on);
        cluster.run_ms(20);
    }
    cluster.run_ms(300);
    let all = shown(&cluster, bob, on);
    assert_eq!(all.last(), Some(&Ok(Some(21))));
    assert!(all.len() - before <= 6, "{all:?}");
    assert!(all.is_sorted());
}

#[test]
fn a_new_home_goes_on() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    let mut posts = 1;
    let mut goes_on = |cluster: &mut Cluster, what: &str| {
        posts += 1;
        cluster.run_ms(1_000);
        post(cluster, ann, on);
        cluster.run_ms(1_500);
        assert_eq!(last(cluster, bob, on), Some(Ok(Some(posts))), "{what}");
        assert!(shown(cluster, bob, on).is_sorted(), "{what}: an older state after a newer one");
    };
    goes_on(&mut cluster, "at its first home");
    cluster.next_view();
    goes_on(&mut cluster, "in a new view");
    cluster.die(3);
    cluster.bury(3);
    goes_on(&mut cluster, "when its home has died");
    cluster.rise(3);
    goes_on(&mut cluster, "when its home is back");
    cluster.drain(3, true);
    goes_on(&mut cluster, "when its home is emptied");
    let homes = cluster.nodes.values().filter(|node| node.holds(on)).count();
    assert_eq!(homes, 1);
}

#[test]
fn a_client_asks_again_by_itself() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    cluster.cut(bob);
    post(&mut cluster, ann, on);
    cluster.run_ms(2_000);
    assert_eq!(cluster.clients[bob].welcomes, 2);
    assert_eq!(shown(&cluster, bob, on), [1, 2].map(|n| Ok(Some(n))));
    cluster.die_and_come_back(2);
    cluster.bury(2);
    post(&mut cluster, ann, on);
    cluster.run_ms(3_000);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(3))));
}

#[test]
fn watchers_are_bounded() {
    // Here four players may watch one entity, and one player sixteen entities.
    let (mut cluster, ann, bob, on) = board_of_ann();
    let mut all = vec![ann, bob];
    for (i, name) in ["cid", "dan", "eve"].into_iter().enumerate() {
        all.push(cluster.connect(name, 1 + i as u16));
    }
    cluster.run_ms(600);
    for client in &all {
        cluster.watch(*client, on);
        cluster.run_ms(300);
    }
    let codes = |cluster: &Cluster| {
        all.iter().map(|c| last(cluster, *c, on) == Some(Ok(Some(1)))).collect::<Vec<_>>()
    };
    assert_eq!(codes(&cluster), [true, true, true, true, false]);
    assert_eq!(shown(&cluster, all[4], on), [Err("too_many")]);
    cluster.unwatch(bob, on);
    cluster.run_ms(300);
    cluster.watch(all[4], on);
    cluster.run_ms(300);
    assert_eq!(last(&cluster, all[4], on), Some(Ok(Some(1))));
    let lands = (0..17).map(|x| land(ChunkId { x, ..FAR })).collect::<Vec<_>>();
    for there in &lands {
        cluster.watch(bob, *there);
    }
    cluster.run_ms(300);
    let refused = lands.iter().filter(|there| last(&cluster, bob, **there) == Some(Err("too_many")));
    assert_eq!(refused.collect::<Vec<_>>(), [&lands[16]]);
}

#[test]
fn what_is_lost_between_nodes_is_sent_again() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    let lose = |cluster: &mut Cluster, at: fn(&HomeMessage) -> bool| {
        let at = move |_, _, peer: &Peer| matches!(peer, Peer::Home { message, .. } if at(message));
        cluster.strike = Some(Strike { at: Box::new(at), fate: Fate::Lost, struck: None });
    };
    // The answer is lost.
    lose(&mut cluster, |m| matches!(m, HomeMessage::Watched { .. }));
    cluster.watch(bob, on);
    cluster.run_ms(600);
    assert_eq!(shown(&cluster, bob, on), [Ok(Some(1))], "long before its edge registers again");
    // The news of a change is lost.
    lose(&mut cluster, |m| matches!(m, HomeMessage::Watched { .. }));
    post(&mut cluster, ann, on);
    cluster.run_ms(600);
    assert_eq!(shown(&cluster, bob, on), [1, 2].map(|n| Ok(Some(n))));
    // The message that nobody watches any more is lost.
    lose(&mut cluster, |m| matches!(m, HomeMessage::Watch { players, .. } if players.is_empty()));
    cluster.unwatch(bob, on);
    cluster.run_ms(1_000);
    assert_eq!((sum(&cluster, |c| c.watches), sum(&cluster, |c| c.watched)), (0, 0));
    cluster.run_ms(12_000);
    assert!(!cluster.nodes.values().any(|node| node.holds(on)), "and it need not be there any more");
}

#[test]
fn a_slow_client_gets_the_newest_when_it_has_caught_up() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    cluster.lag(bob, true);
    for _ in 0..3 {
        post(&mut cluster, ann, on);
        cluster.run_ms(300);
    }
    assert_eq!(shown(&cluster, bob, on), [Ok(Some(1))]);
    cluster.lag(bob, false);
    cluster.run_ms(300);
    assert_eq!(shown(&cluster, bob, on), [1, 4].map(|n| Ok(Some(n))));
}

#[test]
fn nothing_is_shown_before_the_right_to_it_is_known() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    let eve = cluster.connect("eve", 2);
    cluster.run_ms(600);
    let member = cluster.player(bob).id;
    wish(&mut cluster, ann, BoardWish { board: on.id, member, ..Default::default() });
    cluster.watch(bob, on);
    cluster.run_ms(300);
    // Eve's edge gets the board's states all the time, for Bob.
    cluster.slow_links.insert((NodeId(2), NodeId(3)), 500_000);
    cluster.watch(eve, on);
    for _ in 0..3 {
        post(&mut cluster, ann, on);
        cluster.run_ms(100);
    }
    cluster.run_ms(120);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(4))));
    assert_eq!(shown(&cluster, eve, on), []);
    cluster.run_ms(1_000);
    assert_eq!(shown(&cluster, eve, on), [Err("not_allowed")]);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(4))));
}

#[test]
fn an_older_state_never_comes_after_a_newer_one() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    cluster.slow_links.insert((NodeId(3), NodeId(2)), 600_000);
    post(&mut cluster, ann, on);
    cluster.run_ms(300);
    cluster.slow_links.clear();
    post(&mut cluster, ann, on);
    cluster.run_ms(1_000);
    assert_eq!(shown(&cluster, bob, on), [1, 2, 3].map(|n| Ok(Some(n))), "the link keeps the order");
}

#[test]
fn a_new_home_shows_it_once_the_old_one_has_unloaded_it() {
    let (mut cluster, ann, bob, on) = board_of_ann();
    cluster.watch(bob, on);
    cluster.run_ms(300);
    // An append is in flight at its home when that starts to drain.
    cluster.stuck = true;
    post(&mut cluster, ann, on);
    cluster.run_ms(200);
    cluster.drain(3, true);
    cluster.run_ms(200);
    assert!(cluster.nodes[&NodeId(3)].holds(on));
    assert_eq!(shown(&cluster, bob, on), [Ok(Some(1))]);
    cluster.stuck = false;
    // Sooner than its edge registers again.
    cluster.run_ms(1_500);
    assert!(!cluster.nodes[&NodeId(3)].holds(on));
    assert_eq!(shown(&cluster, bob, on), [1, 2].map(|n| Ok(Some(n))));
}

/// Who created it has the answer while its home does not know yet how the transaction ended: the home does not say no meanwhile.
#[test]
fn what_was_just_created_is_there_for_everybody() {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 3));
    cluster.run_ms(600);
    let new = new_vault(&cluster, 3);
    // What the coordinator says to the home takes long, and what it hears from there does not.
    cluster.slow_links.insert((NodeId(1), NodeId(3)), 1_500_000);
    create(&mut cluster, ann, new);
    cluster.run_until(2_500, |cluster| !cluster.clients[ann].answers.is_empty());
    assert_eq!(cluster.clients[ann].answers.len(), 1, "it is created");
    cluster.watch(bob, new);
    cluster.run_ms(1_000);
    assert_eq!(shown(&cluster, bob, new), []);
    cluster.run_ms(1_500);
    assert_eq!(last(&cluster, bob, new), Some(Ok(Some(1))));
    assert!(shown(&cluster, bob, new).iter().all(Result::is_ok));
}

/// A kind that asking creates shows its first state to those who watch it before anybody has asked.
#[test]
fn what_asking_creates_is_there_from_the_beginning() {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    let on = board_at(&cluster, 3);
    cluster.watch(bob, on);
    cluster.run_ms(300);
    // An empty message has no bytes.
    assert_eq!(shown(&cluster, bob, on), [Ok(None)]);
    assert!(cluster.disk.store.load(on).events.is_empty(), "and has no stream");
    post(&mut cluster, ann, on);
    cluster.run_ms(300);
    assert_eq!(last(&cluster, bob, on), Some(Ok(Some(1))));
}
