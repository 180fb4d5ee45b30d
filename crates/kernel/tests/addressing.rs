//! Who may say what to whom: an edge hears only the owner of a player, and a player only the edge of a connection.

mod support;

use bytes::Bytes;
use gundo_kernel::{Input, Label, Line, Output, Peer, ToEdge, ToPlayer};
use gundo_types::{Body, ConnId, EntityId, NodeId, Point, Term};
use gundo_wire::Message;
use support::cluster::Cluster;
use support::game::PlayerCommand;

const ANNS: NodeId = NodeId(1);
const STRANGER: NodeId = NodeId(2);

/// Ann plays by node 1, where her player is real, and Bob watches her.
fn begin() -> (Cluster, usize, EntityId, ConnId) {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", ANNS.0);
    cluster.connect("bob", 3);
    cluster.run_ms(600);
    let (player, conn) = (cluster.player(ann), cluster.clients[ann].conn.expect("she is connected").1);
    assert_eq!(cluster.owners(player), [ANNS]);
    (cluster, ann, player, conn)
}

/// A member that does not own Ann's player says this to node 1. What that node does about it at once is lost.
fn hear(cluster: &mut Cluster, message: Peer) -> Vec<Output> {
    let incarnation = cluster.nodes[&STRANGER].incarnation();
    let now = cluster.now;
    let seat = cluster.nodes.get_mut(&ANNS).expect("it is there");
    let label = Label { from: incarnation, ..Label::default() };
    seat.take(now, Input::Peer { from: STRANGER, label, message }).outputs
}

fn plays_on(cluster: &mut Cluster, ann: usize) {
    let before = cluster.clients[ann].answers.len();
    cluster.command(ann, &PlayerCommand { say: "here".into(), ..Default::default() });
    cluster.run_ms(3_000);
    let client = &cluster.clients[ann];
    assert_eq!(client.ended, None);
    assert!(client.answers[before..].iter().all(|answer| answer.result.is_ok()));
    assert_eq!(client.answers.len(), before + 1);
    cluster.check_pictures();
}

fn an_edge_hears_only_the_owner_of_a_player() {
    let (mut cluster, ann, player, conn) = begin();
    let said = [
        ToEdge::Superseded,
        ToEdge::NotHere,
        ToEdge::Own(Bytes::from_static(b"lies")),
        ToEdge::Told(Bytes::from_static(b"lies")),
        ToEdge::MovedTo { holder: NodeId(3), term: Term { epoch: 1_000, count: 1 } },
        ToEdge::Correction { seq: 1, body: Body::default(), code: "lies".into() },
    ];
    for message in said {
        let what = format!("{message:?}");
        for output in hear(&mut cluster, Peer::ToEdge { conn, player, message }) {
            let to_client = matches!(output, Output::Send { .. } | Output::Close { .. });
            let to_third =
                matches!(output, Output::Peer { to: NodeId(3), message: Peer::ToPlayer { .. }, .. });
            assert!(!to_client && !to_third, "{what}: {output:?}");
        }
        plays_on(&mut cluster, ann);
    }
    assert_eq!(cluster.clients[ann].corrections, [""; 0]);
}

fn a_player_hears_only_the_edge_of_its_connection() {
    let (mut cluster, ann, player, conn) = begin();
    let far = Body { at: Point::new(15_200, 15_000), ..Body::default() };
    let payload = Bytes::from(PlayerCommand { say: "lies".into(), ..Default::default() }.encode_to_vec());
    let said = [
        ToPlayer::Move { seq: 1, body: far, late_ms: 0 },
        ToPlayer::Command { seq: 77, payload, question: false },
        ToPlayer::Resume { adoption: 1, body: far, seen: None, waited_ms: 0 },
    ];
    let nonsense = cluster.nodes[&ANNS].counters().nonsense;
    for message in said {
        hear(&mut cluster, Peer::ToPlayer { player, line: Line { edge: ANNS, conn }, message });
        plays_on(&mut cluster, ann);
    }
    assert_eq!(cluster.nodes[&ANNS].counters().nonsense, nonsense + 3);
    let at = cluster.nodes[&ANNS].reals().find(|real| real.id == player).and_then(|real| real.shown?.2);
    assert_eq!(at.map(|body| body.at), Some(Point::new(15_000, 15_000)));
    assert!(cluster.clients[1].signals.iter().all(|(_, said)| !said.ends_with(b"lies")));
}

#[test]
fn only_the_owner_and_the_edge_are_heard() {
    an_edge_hears_only_the_owner_of_a_player();
    a_player_hears_only_the_edge_of_its_connection();
}

/// A connection that has ended, at a node that has come back: what is still said to it reaches nobody.
#[test]
fn a_number_of_an_earlier_life_reaches_nobody() {
    let (mut cluster, ann, player, conn) = begin();
    let other = ConnId(conn.0 ^ 1 << 40);
    let outputs = hear(&mut cluster, Peer::ToEdge { conn: other, player, message: ToEdge::Superseded });
    assert!(outputs.is_empty(), "{outputs:?}");
    plays_on(&mut cluster, ann);
}

#[cfg(feature = "planted")]
#[test]
fn a_mistake_is_seen() {
    use gundo_types::Planted;
    for story in [an_edge_hears_only_the_owner_of_a_player, a_player_hears_only_the_edge_of_its_connection] {
        support::cluster::PLANTED.set(Some(Planted::AnybodySpeaks));
        assert!(std::panic::catch_unwind(story).is_err());
    }
}
