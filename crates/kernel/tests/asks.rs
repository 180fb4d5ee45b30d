//! Asks of entities that must exist, or must not; public parts that decisions read from elsewhere; what land asks itself; and rules that
//! want what cannot be.

mod support;

use gundo_types::{EntityId, NodeId};
use gundo_wire::Message;
use support::cluster::{Cluster, Fault};
use support::game::{self, LandReply, PlayerCommand};
use support::vault::{CREATE, FIRST, PUT, READ, STRANGE, TWICE, VaultWish, vault};

/// Ann at node 1, Bob at node 2, and the id of a vault at home at node 3.
fn two_players() -> (Cluster, usize, usize, EntityId) {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    let node = NodeId(3);
    let mut vaults = (1..).map(vault);
    let id = vaults.find(|id| cluster.nodes[&node].home(*id) == Some(node)).expect("homes are spread");
    (cluster, ann, bob, id)
}

/// What a player hears: a number, or the code of a refusal.
fn wish(cluster: &mut Cluster, client: usize, what: u32, of: EntityId, n: u32) -> Result<i32, String> {
    let before = cluster.clients[client].answers.len();
    let vault = Some(VaultWish { what, vault: of.id, n });
    cluster.command(client, &PlayerCommand { vault, ..Default::default() });
    cluster.run_ms(400);
    let answers = &cluster.clients[client].answers[before..];
    assert_eq!(answers.len(), 1, "each command is answered once");
    match &answers[0].result {
        Ok(reply) => Ok(LandReply::decode(reply.as_ref()).expect("a reply").taken),
        Err(refusal) => Err(format!("{}: {}", refusal.code, refusal.text)),
    }
}

fn code(heard: Result<i32, String>) -> String {
    heard.map_or_else(|text| text.split(':').next().unwrap_or_default().to_owned(), |n| format!("done {n}"))
}

#[test]
fn what_nobody_created_cannot_be_asked_and_is_created_once() {
    let (mut cluster, ann, bob, id) = two_players();
    assert_eq!(code(wish(&mut cluster, bob, PUT, id, 5)), "no_such_entity");
    assert!(cluster.disk.store.load(id).events.is_empty(), "a refusal creates nothing");
    assert_eq!(code(wish(&mut cluster, ann, CREATE, id, 2)), "done 0");
    assert_eq!(code(wish(&mut cluster, bob, CREATE, id, 2)), "already_exists");
    assert_eq!(code(wish(&mut cluster, bob, PUT, id, 5)), "done 0");
    assert_eq!(cluster.disk.store.load(id).events.len(), 2);
    assert_eq!(code(wish(&mut cluster, ann, READ, id, 0)), "done 7");
}

/// Nobody knows whether a creation landed: a fence is the first event of the stream, and the creation is tried again.
#[test]
fn what_a_fence_kept_from_being_created_can_be_created() {
    for fault in [Fault::UnknownLost, Fault::UnknownLanded] {
        let (mut cluster, ann, bob, id) = two_players();
        cluster.faults.push_back(fault);
        assert_eq!(code(wish(&mut cluster, ann, CREATE, id, 2)), "done 0", "{fault:?}");
        assert_eq!(code(wish(&mut cluster, bob, READ, id, 0)), "done 2", "{fault:?}");
        assert_eq!(code(wish(&mut cluster, bob, CREATE, id, 2)), "already_exists", "{fault:?}");
    }
}

#[test]
fn a_decision_reads_what_is_elsewhere() {
    let (mut cluster, ann, bob, id) = two_players();
    assert_eq!(code(wish(&mut cluster, bob, READ, id, 0)), "done -1", "nobody has created it");
    wish(&mut cluster, ann, CREATE, id, 3).expect("it is new");
    // It, and the next four, which nobody has created.
    assert_eq!(code(wish(&mut cluster, bob, READ, id, 4)), "done -1");
    let events = cluster.disk.store.load(id).events.len();
    assert_eq!(events, 1, "who is read records nothing");
    assert_eq!(
        code(wish(&mut cluster, bob, FIRST, id, 1)),
        "not_first",
        "a read can be the reason of a refusal"
    );
    assert_eq!(code(wish(&mut cluster, bob, READ, id, 9)), "game_error", "ten are too many");
    assert!(cluster.is_settled());
}

#[test]
fn nothing_is_read_before_it_is_durable() {
    let (mut cluster, ann, bob, id) = two_players();
    wish(&mut cluster, ann, CREATE, id, 3).expect("it is new");
    cluster.stuck = true;
    let put = Some(VaultWish { what: PUT, vault: id.id, n: 4 });
    cluster.command(ann, &PlayerCommand { vault: put, ..Default::default() });
    cluster.run_ms(200);
    let before = cluster.clients[bob].answers.len();
    let read = Some(VaultWish { what: READ, vault: id.id, n: 0 });
    cluster.command(bob, &PlayerCommand { vault: read, ..Default::default() });
    cluster.run_ms(400);
    let reply = cluster.clients[bob].answers[before]
        .result
        .as_ref()
        .expect("who reads records nothing, and waits for nothing");
    assert_eq!(LandReply::decode(reply.as_ref()).expect("a reply").taken, 3, "as it was when it was read");
    cluster.stuck = false;
    cluster.run_ms(400);
    // What does not land is never read.
    cluster.faults.push_back(Fault::Rejected);
    assert_eq!(code(wish(&mut cluster, ann, PUT, id, 8)), "storage");
    assert_eq!(code(wish(&mut cluster, bob, READ, id, 0)), "done 7");
}

#[test]
fn a_read_survives_the_node_that_has_the_answer() {
    let (mut cluster, ann, bob, id) = two_players();
    wish(&mut cluster, ann, CREATE, id, 3).expect("it is new");
    let before = cluster.clients[bob].answers.len();
    cluster.die(3);
    let read = Some(VaultWish { what: READ, vault: id.id, n: 0 });
    cluster.command(bob, &PlayerCommand { vault: read, ..Default::default() });
    cluster.run_ms(100);
    cluster.bury(3);
    cluster.next_view();
    cluster.run_ms(3_000);
    let reply = cluster.clients[bob].answers[before].result.as_ref().expect("the next home is read");
    assert_eq!(LandReply::decode(reply.as_ref()).expect("a reply").taken, 3);
}

#[test]
fn rules_that_want_what_cannot_be_are_told_why() {
    let (mut cluster, ann, _, id) = two_players();
    wish(&mut cluster, ann, CREATE, id, 1).expect("it is new");
    let twice = wish(&mut cluster, ann, TWICE, id, 1).expect_err("it is asked twice");
    assert!(twice.starts_with("game_error") && twice.contains("asked twice"), "{twice}");
    let strange = wish(&mut cluster, ann, STRANGE, id, 1).expect_err("there is no such kind");
    assert!(strange.contains("no kind 7") && strange.contains("Rules::with"), "{strange}");
    let faults: u64 = cluster.nodes.values().map(|node| node.counters().game_faults).sum();
    assert_eq!(faults, 2);
    assert_eq!(cluster.disk.store.load(id).events.len(), 1, "nothing happened");
    assert!(cluster.is_settled());
}

#[test]
fn land_asks_itself_and_that_lasts() {
    let (mut cluster, _ann, _, _) = two_players();
    game::HUNGRY.set(true);
    cluster.run_ms(2_000);
    game::HUNGRY.set(false);
    cluster.run_ms(500);
    let eaten: Vec<_> = gundo_types::ChunkId::default().around(1).map(game::land).collect();
    let events: usize = eaten.iter().map(|land| cluster.disk.store.load(*land).events.len()).sum();
    assert!(events > 0, "what a beetle ate is in the journal");
    assert!(cluster.is_settled());
    cluster.check_pictures();
}
