//! New players are counted by where they come from; those who have a player already are not.

mod support;

use std::net::IpAddr;

use bytes::Bytes;
use gundo_kernel::Input;
use gundo_types::{ConnId, NodeId, Origin};
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL};
use support::cluster::Cluster;
use support::game::PLAYER;

const NODE: NodeId = NodeId(1);

/// A client from this address says hello as a new player.
fn come(cluster: &mut Cluster, from: &str, number: u64, name: &str) {
    come_by(cluster, ConnId(1 << 40 | number), from, number, name);
}

/// The same, by this connection.
fn come_by(cluster: &mut Cluster, conn: ConnId, from: &str, number: u64, name: &str) {
    let from = match from.parse().expect("an address") {
        IpAddr::V4(v4) => Origin::v4(v4.to_bits()),
        IpAddr::V6(v6) => Origin::v6(v6.to_bits()),
    };
    cluster.input(NODE, Input::From { conn, from });
    let nonce = Bytes::copy_from_slice(&[number.to_be_bytes(), [7; 8]].concat());
    let hello = Hello { protocol: PROTOCOL, name: name.into(), nonce, ..Hello::default() };
    let message = ClientMessage { hello: Some(hello), ..Default::default() };
    cluster.input(NODE, Input::Client { conn, message });
}

fn players(cluster: &Cluster) -> usize {
    cluster.disk.store.streams(None, usize::MAX).iter().filter(|s| s.entity.kind == PLAYER).count()
}

fn refused(cluster: &Cluster) -> u64 {
    cluster.nodes[&NODE].counters().refused_too_many_new
}

#[test]
fn a_flood_of_new_players_from_one_address_ends_soon() {
    let mut cluster = Cluster::new(3, 1);
    cluster.run_ms(300);
    for number in 0..2_194 {
        come(&mut cluster, "192.0.2.7", number, &format!("n{number}"));
        cluster.run_ms(if number % 2 == 0 { 5 } else { 4 });
    }
    cluster.run_ms(1_000);
    assert_eq!((players(&cluster), refused(&cluster)), (60, 2_134));
    // Others are not concerned.
    come(&mut cluster, "192.0.2.8", 9_000, "bob");
    cluster.run_ms(600);
    assert_eq!(players(&cluster), 61);
    // A minute later others may come from there too.
    cluster.run_ms(65_000);
    for number in 0..5 {
        come(&mut cluster, "192.0.2.7", 9_100 + number, &format!("late{number}"));
    }
    cluster.run_ms(600);
    assert_eq!(players(&cluster), 63, "one every 30 s");
}

#[test]
fn what_makes_no_player_is_not_counted() {
    let mut cluster = Cluster::tuned(3, 1, |world| world.limits.newcomers_at_once_max = 2);
    cluster.run_ms(300);
    for number in 0..20 {
        // This game accepts no empty name; and with one nonce there is one player, however often its welcome is lost.
        come(&mut cluster, "2001:db8::1", 100 + number, "");
        cluster.run_ms(100);
    }
    for time in 0..9 {
        let conn = ConnId(1 << 41 | time);
        come_by(&mut cluster, conn, "2001:db8::2", 7, "ann");
        cluster.run_ms(400);
        cluster.input(NODE, Input::Gone { conn });
        cluster.run_ms(100);
    }
    assert_eq!((players(&cluster), refused(&cluster)), (1, 0));
    come(&mut cluster, "2001:db8::3", 8, "bob");
    cluster.run_ms(400);
    come(&mut cluster, "2001:db8::4", 9, "cid");
    cluster.run_ms(400);
    assert_eq!((players(&cluster), refused(&cluster)), (2, 1), "they share 64 bits");
    come(&mut cluster, "2001:db8:0:1::4", 10, "dan");
    cluster.run_ms(400);
    assert_eq!(players(&cluster), 3);
}
