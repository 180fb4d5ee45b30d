//! Big things between nodes: a game whose entities, commands and looks have megabytes. No message has more than 1 MiB.

mod support;

use gundo_types::NodeId;
use gundo_wire::peer::MESSAGE_BYTES_MAX;
use support::cluster::Cluster;
use support::game::PlayerCommand;

const MIB: usize = 1 << 20;

/// Four nodes. Ann's and Bob's players have names of 1.5 MiB, and so do their states, looks and snapshots.
fn with_long_names(seed: u64) -> (Cluster, [usize; 2]) {
    let mut cluster = Cluster::tuned(4, seed, |world| {
        world.follow_after_ms = 500;
        world.limits.command_bytes_max = 4 * MIB;
        world.limits.public_bytes_max = 4 * MIB;
    });
    cluster.largest = Some(0);
    let players = [cluster.connect("ann", 1), cluster.connect("bob", 2)];
    assert!(cluster.run_until(10_000, |c| players.iter().all(|k| c.clients[*k].session.is_live())));
    for (client, letter) in players.into_iter().zip(["a", "b"]) {
        let rename = letter.repeat(MIB + MIB / 2);
        cluster.command(client, &PlayerCommand { rename, ..Default::default() });
        cluster.run_ms(300);
    }
    (cluster, players)
}

/// They take from land everywhere, and walk until they have been handed over.
fn play(cluster: &mut Cluster, players: [usize; 2]) {
    for step in 0..30 {
        for client in players {
            let chunk = cluster.chunk_where_home_is(1 + (step % 4) as u16);
            cluster.take(client, chunk, if step % 4 < 2 { 1 } else { -1 });
            if step == 5 {
                cluster.command(client, &PlayerCommand { jump: 240_000, ..Default::default() });
            }
        }
        cluster.run_ms(100);
    }
    assert!(cluster.run_until(20_000, Cluster::is_settled), "it settles");
    cluster.run_ms(3_000);
}

fn check(cluster: &mut Cluster, players: [usize; 2]) {
    for client in players {
        let client = &cluster.clients[client];
        assert!(client.session.is_live(), "{:?}", client.ended);
        assert_eq!(client.heard.len(), client.sent.len(), "every command has an answer");
    }
    cluster.check_pictures();
    cluster.check_pebbles();
    let largest = cluster.largest.expect("it is measured");
    assert!(largest <= MESSAGE_BYTES_MAX, "a message between nodes has {largest} bytes");
    let handoffs: u64 = cluster.nodes.values().map(|node| node.counters().handoffs).sum();
    assert!(handoffs >= 1, "nobody has been handed over");
}

#[test]
fn what_is_big_travels_in_parts() {
    let (mut cluster, players) = with_long_names(3);
    play(&mut cluster, players);
    check(&mut cluster, players);
    let lost: u64 = cluster.nodes.values().map(|n| n.counters().link_resets + n.counters().too_large).sum();
    assert_eq!(lost, 0, "nothing was lost");
}

/// Connections break again and again, in the middle of what comes in pieces.
#[test]
fn pieces_arrive_over_breaking_connections() {
    let (mut cluster, players) = with_long_names(4);
    for step in 0..12_u16 {
        let (a, b) = (NodeId(1 + step % 4), NodeId(1 + (step + 1 + step % 2) % 4));
        let chunk = cluster.chunk_where_home_is(b.0);
        cluster.take(players[usize::from(step % 2)], chunk, 1);
        cluster.run_ms(2);
        cluster.break_link(a, b);
        cluster.run_ms(120);
    }
    assert!(cluster.cut_off > 4, "{} messages were lost", cluster.cut_off);
    play(&mut cluster, players);
    check(&mut cluster, players);
}
