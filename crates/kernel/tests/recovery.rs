//! A player comes back with the code that it has written down, and nothing else.

mod support;

use std::net::IpAddr;

use bytes::Bytes;
use gundo_kernel::Input;
use gundo_types::{ConnId, NodeId, Origin};
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL};
use support::cluster::Cluster;

/// Ann has been here, and has left with this code.
fn ann_has_a_code() -> (Cluster, usize, String) {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let code = cluster.clients[ann].recovery.clone();
    assert_eq!(code.len(), 41, "{code}");
    (cluster, ann, code)
}

fn refused(cluster: &Cluster, client: usize) -> Vec<&str> {
    cluster.clients[client].refused.iter().map(String::as_str).collect()
}

#[test]
fn it_brings_the_player_back_once() {
    let (mut cluster, ann, code) = ann_has_a_code();
    let token = cluster.clients[ann].session.token().clone();
    cluster.leave(ann);
    cluster.run_ms(3_000);
    let back = cluster.recover("back", 2, &code.to_lowercase());
    cluster.run_ms(600);
    assert_eq!((cluster.clients[back].welcomes, cluster.player(back)), (1, cluster.player(ann)));
    // Who has found the old key does not come in.
    let thief = cluster.connect_with("thief", 3, token);
    cluster.run_ms(600);
    assert_eq!(refused(&cluster, thief), ["bad_token"]);
    assert_eq!(cluster.clients[back].ended, None, "and does not push her out");
    // It has a new code, and the old one is used up.
    let next = cluster.clients[back].recovery.clone();
    assert_ne!(next, code);
    let token = cluster.clients[back].session.token().clone();
    let on = cluster.connect_with("on", 1, token);
    cluster.run_ms(600);
    assert_eq!((cluster.clients[on].welcomes, &cluster.clients[on].recovery), (1, &next));
    let late = cluster.recover("late", 3, &code);
    cluster.run_ms(600);
    assert_eq!(refused(&cluster, late), ["bad_code"]);
    let again = cluster.recover("again", 3, &next);
    cluster.run_ms(600);
    assert_eq!(cluster.player(again), cluster.player(ann));
}

/// Its welcome is lost: nobody is locked out.
#[test]
fn it_may_be_said_again_until_its_token_is_used() {
    let (mut cluster, ann, code) = ann_has_a_code();
    for node in [1, 2, 3] {
        let back = cluster.recover("back", node, &code);
        cluster.run_ms(600);
        assert_eq!(
            (cluster.clients[back].welcomes, cluster.player(back)),
            (1, cluster.player(ann)),
            "{node}"
        );
        cluster.vanish(back);
        cluster.run_ms(300);
    }
}

#[test]
fn a_world_restored_from_a_backup_knows_later_codes() {
    let (mut cluster, ann, first) = ann_has_a_code();
    let (backup, world_ms) = (cluster.disk.store.clone(), cluster.world().0);
    let back = cluster.recover("back", 2, &first);
    cluster.run_ms(600);
    let (player, code) = (cluster.player(ann), cluster.clients[back].recovery.clone());
    let bob = cluster.connect("bob", 1);
    cluster.run_ms(600);
    let bobs = cluster.clients[bob].recovery.clone();

    let mut restored = Cluster::with_store(3, 2, backup, world_ms);
    let ann = restored.recover("ann", 1, &code);
    let bob = restored.recover("bob", 2, &bobs);
    restored.run_ms(600);
    assert_eq!((restored.clients[ann].welcomes, restored.player(ann)), (1, player));
    assert_eq!(refused(&restored, bob), ["bad_code"], "he came after the backup");
}

#[test]
fn guesses_do_not_reach_the_journal_and_end_soon() {
    let (mut cluster, ann, code) = ann_has_a_code();
    cluster.leave(ann);
    cluster.run_ms(3_000);
    let before = cluster.loads;
    let say = |cluster: &mut Cluster, from: &str, number: u64, recovery: String| {
        let (node, conn) = (NodeId(1), ConnId(1 << 40 | number));
        let from = match from.parse().expect("an address") {
            IpAddr::V4(v4) => Origin::v4(v4.to_bits()),
            IpAddr::V6(v6) => Origin::v6(v6.to_bits()),
        };
        cluster.input(node, Input::From { conn, from });
        let hello = Hello { protocol: PROTOCOL, recovery, nonce: Bytes::new(), ..Hello::default() };
        cluster.input(
            node,
            Input::Client { conn, message: ClientMessage { hello: Some(hello), ..Default::default() } },
        );
    };
    for number in 0..500 {
        // Another letter at one place: most are mistyped codes, and all are guesses.
        let mut guess = code.clone().into_bytes();
        let at = (number as usize) % 5;
        let letter = b"23456789"[(number as usize / 5) % 8];
        guess[at] = if guess[at] == letter { b'X' } else { letter };
        say(&mut cluster, "192.0.2.7", number, String::from_utf8(guess).expect("letters"));
    }
    cluster.run_ms(300);
    assert_eq!(cluster.loads, before);
    assert!(cluster.nodes[&NodeId(1)].counters().refused_too_many_new >= 400);
    say(&mut cluster, "192.0.2.8", 999, code);
    cluster.run_ms(600);
    assert_eq!(cluster.loads, before + 1, "she herself comes in");
}
