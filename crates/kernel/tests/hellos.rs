//! Floods of hellos with invented tokens: answered without the journal, while those who have a token of the world's get in.

mod support;

use bytes::Bytes;
use gundo_types::ConnId;
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL};
use support::cluster::Cluster;

/// Says hello with this token on a connection of its own.
fn say_hello(cluster: &mut Cluster, conn: u64, token: Vec<u8>) {
    say(cluster, conn, Hello { token: token.into(), ..Hello::default() });
}

fn say(cluster: &mut Cluster, conn: u64, hello: Hello) {
    let hello = Hello { protocol: PROTOCOL, ..hello };
    let message = ClientMessage { hello: Some(hello), ..Default::default() };
    let node = *cluster.nodes.keys().next().expect("a node");
    cluster.input(node, gundo_kernel::Input::Client { conn: ConnId(1 << 40 | conn), message });
}

/// Ann's player is not loaded: she left some time ago.
fn ann_has_left() -> (Cluster, Bytes, u64) {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let (token, player) = (cluster.clients[ann].session.token().clone(), cluster.player(ann).id);
    cluster.leave(ann);
    cluster.run_ms(3_000);
    (cluster, token, player)
}

/// Random bytes that begin with this id.
fn invented(cluster: &mut Cluster, id: u64, len: usize) -> Vec<u8> {
    let mut token = id.to_be_bytes().to_vec();
    while token.len() < len {
        token.extend(cluster.chance(u64::MAX).to_le_bytes());
    }
    token.truncate(len);
    token
}

#[test]
fn invented_tokens_do_not_reach_the_journal() {
    let (mut cluster, token, player) = ann_has_left();
    let (len, before) = (token.len(), cluster.loads);
    for k in 0..2_000 {
        // Of players that exist and of those that do not.
        let id = if k % 2 == 0 { player } else { cluster.chance(u64::MAX) };
        let token = invented(&mut cluster, id, len);
        say_hello(&mut cluster, k, token);
    }
    cluster.run_ms(600);
    assert_eq!(cluster.loads - before, 0, "nothing is loaded for an invented token");
    let refused = cluster.nodes.values().map(|node| node.counters().refused_unknown_world).sum::<u64>();
    assert_eq!(refused, 2_000);
    let ann = cluster.connect_with("ann", 1, token);
    cluster.run_ms(600);
    assert_eq!(cluster.clients[ann].welcomes, 1, "a player who has a token gets in");
}

/// Tokens of earlier versions have nothing that a node could check: only the player's stream says whether they are good.
#[test]
fn old_tokens_reach_the_journal_some_at_a_time() {
    let (mut cluster, token, player) = ann_has_left();
    let before = cluster.loads;
    for k in 0..2_000 {
        let id = if k % 2 == 0 { player } else { cluster.chance(u64::MAX) };
        let old = invented(&mut cluster, id, 24);
        say_hello(&mut cluster, k, old);
        cluster.run_ms(1);
    }
    // 40 at once, and 10 in each of two seconds.
    assert!((30..=61).contains(&(cluster.loads - before)), "{} loads", cluster.loads - before);
    let ann = cluster.connect_with("ann", 1, token);
    cluster.run_ms(600);
    assert_eq!(cluster.clients[ann].welcomes, 1, "a player who has a token of this version gets in");
}

/// A world that was restored from a backup knows players who have reconnected since, and those who said hello only since.
#[test]
fn a_backup_locks_nobody_out() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let first = cluster.clients[ann].session.token().clone();
    let (backup, world_ms) = (cluster.disk.store.clone(), cluster.world().0);
    let mut newest = first.clone();
    for node in [2, 3, 1, 2] {
        let ann = cluster.connect_with("ann", node, newest.clone());
        cluster.run_ms(600);
        assert_ne!(*cluster.clients[ann].session.token(), newest);
        newest = cluster.clients[ann].session.token().clone();
    }
    let bob = cluster.connect("bob", 1);
    cluster.run_ms(600);
    let nonce = cluster.nonces["bob"];
    assert_eq!(cluster.clients[bob].welcomes, 1);

    let mut restored = Cluster::with_store(3, 2, backup, world_ms);
    let ann = restored.connect_with("ann", 2, newest);
    let bob = restored.connect_as("bob", 3, Bytes::new(), nonce);
    restored.run_ms(600);
    assert_eq!([ann, bob].map(|c| restored.clients[c].welcomes), [1, 1]);
    // What was used before the backup is used up now.
    let late = restored.connect_with("ann", 1, first);
    restored.run_ms(600);
    assert_eq!(restored.clients[late].refused, ["bad_token"]);
}

/// A server that was started on another data directory must not make clients throw their keys away.
#[test]
fn another_world_says_that_it_is_another() {
    let (mut cluster, token, _) = ann_has_left();
    let ann = cluster.connect_with("ann", 1, token);
    cluster.run_ms(600);
    let session = &cluster.clients[ann].session;
    let (ours, token) = (session.world_id().clone(), session.token().clone());
    assert_eq!(ours.len(), 16);
    let refused = |cluster: &Cluster| {
        cluster.nodes.values().map(|node| node.counters().refused_unknown_world).sum::<u64>()
    };
    // Who names a world wants that one and no other, with a good key and without one.
    for (k, token) in [(1, token.clone()), (2, Bytes::new())] {
        let (world_id, nonce) = (Bytes::from_static(&[9; 16]), Bytes::from_static(&[3; 16]));
        say(&mut cluster, k, Hello { token, world_id, nonce, name: "bob".into(), ..Hello::default() });
        cluster.run_ms(600);
        assert_eq!(refused(&cluster), k);
        assert!(cluster.clients[ann].session.is_live(), "nobody took the session over");
    }
    say(&mut cluster, 3, Hello { token, world_id: ours, ..Hello::default() });
    cluster.run_ms(600);
    assert_eq!(refused(&cluster), 2);
    assert!(!cluster.clients[ann].session.is_live(), "this one did");
}

/// A player who never did anything is removed when it has been away for long. Its token is one of this world, so its client hears that the
/// player is not there, and comes in as a new one.
#[test]
fn the_token_of_a_player_who_was_removed_is_refused_with_its_own_code() {
    let (mut cluster, token, player) = ann_has_left();
    let streams = cluster.disk.store.streams(None, 100);
    let kind = streams.iter().find(|stream| stream.entity.id == player).expect("ann").entity.kind;
    let now = cluster.world();
    let removed = cluster.disk.store.remove_unplayed(kind, now, 10);
    assert_eq!(removed.iter().map(|id| id.id).collect::<Vec<_>>(), [player]);
    let ann = cluster.connect_with("ann", 2, token);
    cluster.run_ms(600);
    assert_eq!(
        (cluster.clients[ann].refused.clone(), cluster.clients[ann].welcomes),
        (vec!["no_player".to_owned()], 0)
    );
    let again = cluster.connect("ann", 3);
    cluster.run_ms(600);
    assert_eq!(cluster.clients[again].welcomes, 1, "the name is free");
    assert_ne!(cluster.player(again).id, player);
}

/// A player in the world is recorded now and then, although it does nothing: it has not been away.
#[test]
fn who_stands_in_the_world_is_not_taken_for_gone() {
    let mut cluster = Cluster::tuned(3, 1, |world| {
        (world.unplayed_ms, world.snapshot_every) = (60_000, 300);
        world.place_every_ms = 1_000;
    });
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(200_000);
    let before = gundo_types::WorldTime(cluster.world().0 - 60_000);
    let player = cluster.player(ann);
    assert_eq!(cluster.disk.store.remove_unplayed(player.kind, before, 10), []);
    assert!(cluster.disk.store.stream(player, 0, 100).len() <= 10, "a few times a minute at most");
    cluster.leave(ann);
    cluster.run_ms(70_000);
    let before = gundo_types::WorldTime(cluster.world().0 - 60_000);
    assert_eq!(cluster.disk.store.remove_unplayed(player.kind, before, 10), [player]);
}
