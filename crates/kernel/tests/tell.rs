//! Messages to single players.

mod support;

use gundo_kernel::Counters;
use gundo_types::EntityId;
use gundo_wire::Message;
use support::board::BoardWish;
use support::cluster::{Cluster, Fault};
use support::game::{PlayerCommand, Said};

/// Ann at node 1, Bob at node 2.
fn ann_and_bob() -> (Cluster, usize, usize) {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    (cluster, ann, bob)
}

/// Ann sends messages to these players: by herself, or by a board.
fn tell(cluster: &mut Cluster, ann: usize, board: u64, tells: &[EntityId], text: &str) {
    let tells = tells.iter().map(|player| player.id).collect();
    let wish = BoardWish { board, tells, text: text.into(), ..Default::default() };
    cluster.command(ann, &PlayerCommand { board: Some(wish), ..Default::default() });
}

fn told(cluster: &Cluster, client: usize) -> Vec<String> {
    let text = |message: &bytes::Bytes| Said::decode(message.as_ref()).expect("what was told").text;
    cluster.clients[client].told.iter().map(text).collect()
}

fn sum(cluster: &Cluster, of: impl Fn(&Counters) -> u64) -> u64 {
    cluster.nodes.values().map(|node| of(&node.counters())).sum()
}

fn codes(cluster: &Cluster, client: usize) -> Vec<Option<&str>> {
    let code =
        |answer: &gundo_client::Answer| answer.result.as_ref().err().map(|refusal| refusal.code.clone());
    let answers = cluster.clients[client].answers.iter();
    answers.map(|a| code(a).map(|c| if c == "game_error" { "game_error" } else { "another" })).collect()
}

#[test]
fn it_reaches_one_player_wherever_that_is() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let cid = cluster.connect("cid", 3);
    cluster.run_ms(600);
    let (anns, bobs) = (cluster.player(ann), cluster.player(bob));
    tell(&mut cluster, ann, 0, &[bobs], "by ann");
    cluster.run_ms(300);
    for board in 1..=3 {
        tell(&mut cluster, ann, board, &[bobs, anns], "by a board");
        cluster.run_ms(300);
    }
    assert_eq!(told(&cluster, bob), ["by ann", "by a board", "by a board", "by a board"]);
    assert_eq!(told(&cluster, ann), ["by a board", "by a board", "by a board"]);
    assert_eq!(told(&cluster, cid), [""; 0]);
    assert_eq!((sum(&cluster, |c| c.tells), sum(&cluster, |c| c.tells_lost)), (7, 0));
}

#[test]
fn it_is_told_when_it_is_durable_and_once() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let bobs = cluster.player(bob);
    for board in [0, 1] {
        cluster.clients[bob].told.clear();
        cluster.stuck = true;
        tell(&mut cluster, ann, board, &[bobs], "waits");
        cluster.run_ms(500);
        assert_eq!(told(&cluster, bob), [""; 0], "before it is durable");
        cluster.stuck = false;
        cluster.run_ms(500);
        assert_eq!(told(&cluster, bob), ["waits"]);
        // It does not land: decided again, it is sent once.
        cluster.faults.push_back(Fault::UnknownLost);
        tell(&mut cluster, ann, board, &[bobs], "again");
        cluster.run_ms(2_000);
        assert_eq!(told(&cluster, bob), ["waits", "again"]);
        // It lands with an unknown outcome: its answer is recorded, but its message is lost.
        cluster.faults.push_back(Fault::UnknownLanded);
        tell(&mut cluster, ann, board, &[bobs], "lost");
        cluster.run_ms(2_000);
        assert_eq!(told(&cluster, bob), ["waits", "again"]);
        // A refused command sends nothing.
        cluster.faults.push_back(Fault::Rejected);
        tell(&mut cluster, ann, board, &[bobs], "refused");
        cluster.run_ms(500);
        assert_eq!(told(&cluster, bob), ["waits", "again"]);
    }
}

#[test]
fn who_is_away_is_not_told() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let (bobs, token) = (cluster.player(bob), cluster.clients[bob].session.token().clone());
    let nobody = EntityId::new(bobs.kind, 4);
    // Without a connection, and then not even in the world.
    cluster.vanish(bob);
    cluster.run_ms(300);
    tell(&mut cluster, ann, 0, &[bobs, nobody], "by ann");
    cluster.run_ms(300);
    assert_eq!(sum(&cluster, |c| c.tells_lost), 2);
    cluster.run_ms(40_000);
    assert_eq!(cluster.owners(bobs), []);
    tell(&mut cluster, ann, 1, &[bobs], "by a board");
    cluster.run_ms(300);
    assert_eq!(sum(&cluster, |c| c.tells_lost), 3);
    assert!(codes(&cluster, ann).iter().all(Option::is_none), "nobody is refused for it");
    let back = cluster.connect_with("bob", 3, token);
    cluster.run_ms(600);
    assert_eq!(told(&cluster, back), [""; 0]);
    tell(&mut cluster, ann, 0, &[bobs], "welcome back");
    cluster.run_ms(300);
    assert_eq!(told(&cluster, back), ["welcome back"]);
}

#[test]
fn a_decision_tells_so_much_at_most() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let bobs = cluster.player(bob);
    for board in [0, 1] {
        tell(&mut cluster, ann, board, &[bobs; 17], "often");
        cluster.run_ms(300);
        let long = BoardWish { board, tells: vec![bobs.id], letters: 16 * 1_024, ..Default::default() };
        cluster.command(ann, &PlayerCommand { board: Some(long), ..Default::default() });
        cluster.run_ms(300);
    }
    assert_eq!(told(&cluster, bob), [""; 0]);
    for board in [0, 1] {
        tell(&mut cluster, ann, board, &[bobs; 16], "often");
        cluster.run_ms(300);
    }
    assert_eq!(told(&cluster, bob).len(), 32);
    let refused = Some("game_error");
    assert_eq!(codes(&cluster, ann), [refused, refused, refused, refused, None, None]);
}
