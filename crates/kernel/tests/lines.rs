//! Bad lines: what was lost over a command, and whose place at a full edge is held.

mod support;

use gundo_types::NodeId;
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Command};
use support::cluster::Cluster;
use support::game::PlayerCommand;

/// Ann says something, over which her client has lost connections to these lives.
fn says(cluster: &mut Cluster, ann: usize, seq: u64, lost_at: &[u64]) {
    let said = PlayerCommand { say: "here".into(), ..Default::default() };
    let payload = said.encode_to_vec().into();
    let command = Command { seq, payload, lost_at: lost_at.to_vec(), ..Default::default() };
    cluster.say_raw(ann, ClientMessage { commands: vec![command], ..Default::default() });
}

/// What she heard of it: nothing yet, success, or a code.
fn heard(cluster: &Cluster, ann: usize, seq: u64) -> Option<Result<(), &str>> {
    let heard = cluster.clients[ann].heard.get(&seq)?;
    Some(heard.as_ref().map(|_| ()).map_err(String::as_str))
}

fn life(cluster: &Cluster, node: u16) -> u64 {
    cluster.nodes[&NodeId(node)].incarnation()
}

fn with_ann() -> (Cluster, usize) {
    let mut cluster = Cluster::new(4, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    (cluster, ann)
}

#[test]
fn connections_that_broke_at_nodes_that_live_are_no_suspicion() {
    let (mut cluster, ann) = with_ann();
    let lives = [1, 2, 3].map(|node| life(&cluster, node));
    says(&mut cluster, ann, 1, &lives[..1]);
    cluster.run_ms(100);
    assert_eq!(heard(&cluster, ann, 1), Some(Ok(())), "this edge itself");
    says(&mut cluster, ann, 2, &lives[1..2]);
    cluster.run_ms(100);
    assert_eq!(heard(&cluster, ann, 2), Some(Ok(())), "one loss is no proof, and nobody waits for it");
    says(&mut cluster, ann, 3, &lives);
    says(&mut cluster, ann, 4, &[]);
    cluster.run_ms(100);
    assert_eq!(heard(&cluster, ann, 3), None, "two others: the edge waits for their heartbeats");
    assert_eq!(heard(&cluster, ann, 4), None, "in order");
    cluster.run_ms(1_000);
    assert_eq!(heard(&cluster, ann, 3), Some(Ok(())));
    assert_eq!(heard(&cluster, ann, 4), Some(Ok(())));
}

#[test]
fn nodes_that_are_gone_count() {
    let (mut cluster, ann) = with_ann();
    let lives = [2, 3].map(|node| life(&cluster, node));
    cluster.die(2);
    cluster.die(3);
    says(&mut cluster, ann, 1, &lives);
    cluster.run_ms(1_500);
    assert_eq!(heard(&cluster, ann, 1), None, "they are members, and silent");
    cluster.bury(2);
    cluster.run_ms(200);
    assert_eq!(heard(&cluster, ann, 1), None);
    cluster.bury(3);
    cluster.run_ms(1_000);
    assert_eq!(heard(&cluster, ann, 1), Some(Err("gave_up")));
    says(&mut cluster, ann, 2, &[lives[0], 99]);
    cluster.run_ms(500);
    assert_eq!(
        heard(&cluster, ann, 2),
        Some(Err("gave_up")),
        "of lives that are no members the edge knows at once"
    );
}

#[test]
fn a_member_that_is_silent_for_long_counts() {
    let (mut cluster, ann) = with_ann();
    let lives = [2, 3].map(|node| life(&cluster, node));
    cluster.die(2);
    says(&mut cluster, ann, 1, &[lives[0], 99]);
    says(&mut cluster, ann, 2, &lives);
    cluster.run_ms(4_000);
    assert_eq!(heard(&cluster, ann, 1), None);
    cluster.run_ms(3_000);
    assert_eq!(heard(&cluster, ann, 1), Some(Err("gave_up")));
    assert_eq!(heard(&cluster, ann, 2), Some(Ok(())), "one of its two lives on");
}

/// A client that was away for long does not want a command done any more, if it was not.
#[test]
fn what_is_only_asked_about_is_not_done() {
    let (mut cluster, ann) = with_ann();
    let asks = |seq, text: &str| {
        let said = PlayerCommand { say: text.into(), ..Default::default() };
        let payload = said.encode_to_vec().into();
        ClientMessage {
            commands: vec![Command { seq, payload, asks: true, ..Default::default() }],
            ..Default::default()
        }
    };
    says(&mut cluster, ann, 1, &[]);
    cluster.run_ms(100);
    cluster.say_raw(ann, asks(1, "here"));
    cluster.say_raw(ann, asks(2, "there"));
    cluster.run_ms(100);
    assert_eq!(heard(&cluster, ann, 1), Some(Ok(())));
    assert_eq!(heard(&cluster, ann, 2), Some(Err("expired")));
}

#[test]
fn the_place_of_a_lost_connection_is_held_for_its_player() {
    let mut cluster = Cluster::tuned(1, 1, |world| world.limits.connections_max = 3);
    let inside = ["ann", "bob", "cat"].map(|name| cluster.connect(name, 1));
    cluster.run_ms(600);
    let closed = |cluster: &Cluster, client: usize| cluster.clients[client].session.is_live();
    assert!(inside.iter().all(|client| closed(&cluster, *client)));
    let token = |cluster: &Cluster, client: usize| cluster.clients[client].session.token().clone();
    let (ann, bob) = (token(&cluster, inside[0]), token(&cluster, inside[1]));
    cluster.vanish(inside[0]);
    cluster.vanish(inside[1]);
    cluster.run_ms(100);
    let newcomers = ["dan", "eve"].map(|name| cluster.connect(name, 1));
    cluster.run_ms(500);
    assert!(newcomers.iter().all(|client| !cluster.clients[*client].session.is_live()), "full");
    let back = cluster.connect_with("ann", 1, ann);
    cluster.run_ms(500);
    assert!(cluster.clients[back].session.is_live(), "her place was held");
    // Bob's grace is over: it was held for him until then, and is free.
    cluster.run_ms(8_000);
    let came: Vec<_> =
        newcomers.iter().filter(|client| cluster.clients[**client].session.is_live()).collect();
    assert_eq!(came.len(), 1);
    let late = cluster.connect_with("bob", 1, bob);
    cluster.run_ms(500);
    assert!(!cluster.clients[late].session.is_live(), "full again");
    cluster.leave(back);
    cluster.run_ms(3_000);
    assert!(cluster.clients[late].session.is_live(), "he has a key and comes again sooner than the newcomer");
}

/// Ann's new connection has adopted her session, and the append of that is refused just after messages with its edge were lost. Nobody
/// has the session then: her connection is not superseded, and comes in again.
#[test]
fn a_line_whose_edge_was_lost_is_not_superseded() {
    let (mut cluster, ann) = with_ann();
    let token = cluster.clients[ann].session.token().clone();
    cluster.stuck = true;
    let again = cluster.connect_with("ann", 2, token);
    assert!(cluster.run_until(500, |cluster| !cluster.disk.is_idle()), "she is adopted");
    cluster.full = true;
    cluster.lose_link(NodeId(1), NodeId(2));
    cluster.commit_one();
    (cluster.full, cluster.stuck) = (false, false);
    cluster.run_ms(3_000);
    assert_eq!(cluster.clients[again].ended, None);
    assert!(cluster.clients[again].session.is_live(), "she is in the world");
}

/// Ann's edge asks for her twice, because messages between it and her node were lost. Her connection is adopted once: when it goes on
/// later, nobody has taken over from it.
#[test]
fn a_line_that_is_asked_for_twice_goes_on() {
    let (mut cluster, ann) = with_ann();
    let token = cluster.clients[ann].session.token().clone();
    cluster.stuck = true;
    let again = cluster.connect_with("ann", 2, token);
    assert!(cluster.run_until(500, |cluster| !cluster.disk.is_idle()), "she is adopted");
    let lose = |cluster: &mut Cluster| {
        cluster.lose_link(NodeId(1), NodeId(2));
        cluster.lose_link(NodeId(2), NodeId(1));
        cluster.run_ms(300);
    };
    lose(&mut cluster);
    cluster.commit_one();
    cluster.run_ms(50);
    assert!(cluster.clients[again].session.is_live(), "she is in the world");
    lose(&mut cluster);
    cluster.stuck = false;
    cluster.run_ms(1_000);
    assert_eq!(cluster.clients[again].ended, None);
    cluster.die(1);
    cluster.run_ms(300);
    cluster.bury(1);
    cluster.run_ms(3_000);
    assert_eq!(cluster.clients[again].ended, None);
    assert!(cluster.clients[again].session.is_live(), "she plays on");
}
