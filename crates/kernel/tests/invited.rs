//! A world for people with an invitation, and one that takes nobody new.

mod support;

use gundo_kernel::WorldSecret;
use gundo_types::{Admission, EntityId};
use support::cluster::Cluster;
use support::game::PLAYER;

/// The secret of all clusters in tests (`gundo_rig::settings`).
const SECRET: [u8; 32] = [7; 32];
const DAY_MS: u64 = 86_400_000;

fn world_for(admission: Admission) -> Cluster {
    let mut cluster = Cluster::tuned(3, 1, |world| world.newcomers = admission);
    cluster.run_ms(300);
    cluster
}

/// As an operator's node makes it.
fn invitation(id: u64, until: u16) -> String {
    let secret = WorldSecret::new(SECRET);
    secret.invitation(EntityId::new(PLAYER, id), until)
}

fn refused(cluster: &Cluster, client: usize) -> Vec<&str> {
    cluster.clients[client].refused.iter().map(String::as_str).collect()
}

/// What became of somebody who came with this invitation.
fn come(cluster: &mut Cluster, name: &str, nonce: u8, invitation: &str) -> Result<EntityId, String> {
    let client = cluster.connect_invited(name, u16::from(nonce % 3) + 1, [nonce; 16], invitation);
    cluster.run_ms(600);
    match cluster.clients[client].refused.first() {
        Some(code) => Err(code.clone()),
        None => Ok(cluster.player(client)),
    }
}

fn no(code: &str) -> Result<EntityId, String> {
    Err(code.to_owned())
}

fn loads(cluster: &Cluster) -> u64 {
    cluster.nodes.values().map(|node| node.counters().refused_not_invited).sum()
}

#[test]
fn an_invitation_lets_in_one() {
    let mut cluster = world_for(Admission::Invited);
    let (good, other) = (invitation(71, 0), invitation(72, 0));
    assert_eq!(come(&mut cluster, "ann", 1, ""), no("invitation_needed"));
    let ann = come(&mut cluster, "ann", 1, &good.to_lowercase()).expect("she is invited");
    assert_eq!(ann, EntityId::new(PLAYER, 71));
    assert_eq!(come(&mut cluster, "bob", 2, &good), no("bad_invitation"), "it is used");
    assert_eq!(come(&mut cluster, "bob", 2, &other), Ok(EntityId::new(PLAYER, 72)));
    assert_eq!(loads(&cluster), 2);
}

#[test]
fn her_first_welcome_is_lost_and_she_says_it_again() {
    let mut cluster = world_for(Admission::Invited);
    let good = invitation(71, 0);
    for node in [1, 2, 3] {
        let ann = cluster.connect_invited("ann", node, [1; 16], &good);
        cluster.run_ms(600);
        assert_eq!((cluster.clients[ann].welcomes, cluster.player(ann).id), (1, 71), "{node}");
        cluster.vanish(ann);
        cluster.run_ms(300);
    }
    assert_eq!(come(&mut cluster, "bob", 2, &good), no("bad_invitation"), "nobody else by it");
}

/// Two come at once by one invitation, at different edges.
#[test]
fn two_who_come_at_once_are_one() {
    let mut cluster = world_for(Admission::Invited);
    let good = invitation(71, 0);
    let all: Vec<_> =
        (1..=3).map(|n| cluster.connect_invited(&format!("n{n}"), n, [n as u8; 16], &good)).collect();
    cluster.run_ms(1_500);
    let inside = all.iter().filter(|client| cluster.clients[**client].welcomes > 0).count();
    let sent_away = all.iter().filter(|client| refused(&cluster, **client) == ["bad_invitation"]).count();
    assert_eq!((inside, sent_away), (1, 2));
}

#[test]
fn a_name_that_is_taken_leaves_the_invitation_good() {
    let mut cluster = world_for(Admission::Invited);
    let (first, second) = (invitation(71, 0), invitation(72, 0));
    come(&mut cluster, "ann", 1, &first).expect("she is invited");
    assert_eq!(come(&mut cluster, "ann", 2, &second), no("name_taken"));
    assert_eq!(come(&mut cluster, "bob", 2, &second), Ok(EntityId::new(PLAYER, 72)));
}

#[test]
fn it_becomes_too_old() {
    let mut cluster = world_for(Admission::Invited);
    let today = cluster.world().0 / DAY_MS;
    let (past, future) = (invitation(71, today as u16), invitation(72, today as u16 + 1));
    if today > 0 {
        assert_eq!(come(&mut cluster, "ann", 1, &past), no("bad_invitation"));
    }
    assert_eq!(come(&mut cluster, "bob", 2, &future), Ok(EntityId::new(PLAYER, 72)));
    let mut later = {
        let store = cluster.disk.store.clone();
        Cluster::with_tuned_store(3, 2, store, (today + 1) * DAY_MS, |world| {
            world.newcomers = Admission::Invited;
        })
    };
    later.run_ms(300);
    let again = invitation(73, today as u16 + 1);
    assert_eq!(come(&mut later, "cleo", 3, &again), no("bad_invitation"));
}

#[test]
fn what_was_not_made_here_is_refused_from_memory() {
    let mut cluster = world_for(Admission::Invited);
    let good = invitation(71, 0);
    let foreign = WorldSecret::new([9; 32]).invitation(EntityId::new(PLAYER, 71), 0);
    let ben = come(&mut cluster, "ben", 4, &good).expect("invited");
    let client = cluster.clients.iter().position(|c| c.name == "ben").expect("he is there");
    let code = cluster.clients[client].recovery.clone();
    let mut mistyped = good.clone();
    mistyped.replace_range(0..1, if good.starts_with('7') { "8" } else { "7" });
    let before = cluster.disk.store.streams(None, usize::MAX).len();
    for (n, text) in [foreign.as_str(), &mistyped, "hello", &"0".repeat(4_000), &code].into_iter().enumerate()
    {
        assert_eq!(come(&mut cluster, &format!("m{n}"), 10 + n as u8, text), no("bad_invitation"), "{text}");
    }
    assert_eq!(cluster.disk.store.streams(None, usize::MAX).len(), before);
    // Nor does an invitation bring its player back.
    let thief = cluster.recover("thief", 2, &good);
    cluster.run_ms(600);
    assert_eq!(refused(&cluster, thief), ["bad_code"]);
    assert_eq!(cluster.player(client), ben);
}

#[test]
fn who_has_a_player_comes_back_wherever_nobody_may_be_new() {
    for admission in [Admission::Invited, Admission::Closed] {
        let mut open = world_for(Admission::Open);
        let ann = open.connect("ann", 1);
        open.run_ms(600);
        let token = open.clients[ann].session.token().clone();
        let (store, world_ms) = (open.disk.store.clone(), open.world().0);
        let mut cluster =
            Cluster::with_tuned_store(3, 2, store, world_ms, |world| world.newcomers = admission);
        let back = cluster.connect_with("ann", 2, token);
        cluster.run_ms(600);
        assert_eq!((cluster.clients[back].welcomes, cluster.player(back)), (1, open.player(ann)));
    }
}

#[test]
fn nobody_is_new_in_a_closed_world_and_an_open_one_asks_for_nothing() {
    let mut closed = world_for(Admission::Closed);
    let good = invitation(71, 0);
    assert_eq!(come(&mut closed, "ann", 1, &good), no("no_newcomers"));
    assert_eq!(come(&mut closed, "ann", 1, ""), no("no_newcomers"));
    let mut open = world_for(Admission::Open);
    let ann = come(&mut open, "ann", 1, "not even a code").expect("everybody may come");
    assert_ne!(ann.id, 71);
    let good = invitation(71, 0);
    assert_eq!(come(&mut open, "bob", 2, &good), Ok(EntityId::new(PLAYER, 71)));
}
