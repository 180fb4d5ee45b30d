//! Players who ask players: gifts of pebbles between those in the world and those who are not, with every node alive, and with a
//! node or a message lost at each arrow.

mod support;

use std::collections::BTreeSet;

use gundo_kernel::{Peer, TxMessage};
use gundo_types::NodeId;
use gundo_wire::Message;
use gundo_wire::journal::Cause;
use support::cluster::{Cluster, Fate, Fault, Strike};
use support::game::{self, PANICS, PlayerCommand};
use support::gift::{GiftWish, Round, bag, bring, wish};

/// Players who are in the world, each on a node of its own, with ten pebbles each.
fn with_players(nodes: u16, seed: u64, names: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(nodes, seed);
    bring(&mut cluster, names);
    cluster
}

/// The answer to the newest command: how many receivers were in the world, or the code of the refusal.
fn answer(cluster: &Cluster, client: usize) -> Result<i32, String> {
    let answer = cluster.clients[client].answers.last().expect("an answer");
    match &answer.result {
        Ok(reply) => Ok(game::LandReply::decode(reply.as_ref()).expect("a reply").taken),
        Err(refusal) => Err(refusal.code.clone()),
    }
}

fn settle(cluster: &mut Cluster, what: &str) {
    assert!(cluster.run_until(30_000, Cluster::is_settled), "{what}: it does not settle");
    cluster.run_ms(1_500);
    cluster.check_pictures();
    cluster.check_pebbles();
}

#[test]
fn a_gift_to_a_player_on_another_node() {
    let mut cluster = with_players(3, 1, &["ann", "bob"]);
    let bob = cluster.player(1);
    let before = cluster.disk.store.stream(bob, 0, usize::MAX).len();
    let sent = cluster.clients[1].session.commands_open();
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], 3));
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Ok(1));
    assert_eq!((bag(&cluster, cluster.player(0)), bag(&cluster, bob)), (7, 13));
    // His own client hears of it, others see it, and none of his recorded answers has changed.
    let own = game::PlayerState::decode(cluster.clients[1].own.as_ref()).expect("own state");
    assert_eq!((own.bag, cluster.clients[1].session.commands_open()), (13, sent));
    let events = cluster.disk.store.stream(bob, 0, usize::MAX);
    let (_, event) = events.last().expect("an event");
    let cause = Cause::decode(event.cause.as_ref()).expect("a cause");
    assert_eq!((events.len(), cause.seq), (before + 1, 0));
    assert!(cause.place.is_some(), "each event of a player in the world says where it stands");
    settle(&mut cluster, "a gift");
}

#[test]
fn a_gift_to_a_player_who_is_away() {
    let mut cluster = with_players(3, 1, &["ann", "bob", "cyd"]);
    let bob = cluster.player(1);
    let token = cluster.clients[1].session.token().clone();
    cluster.leave(1);
    cluster.run_ms(2_500);
    assert_eq!(cluster.owners(bob), [], "he has left");
    let left = cluster.clients[2].seen_leaving.len();
    wish(&mut cluster, 0, GiftWish { jump: 500, ..GiftWish::to(&[bob.id], 3) });
    assert!(cluster.run_until(500, |c| !c.owners(bob).is_empty()), "he is loaded");
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Ok(0), "he is nowhere");
    let shown = cluster.nodes.values().any(|n| n.reals().any(|r| r.id == bob && r.shown.is_some()));
    assert!(!shown && cluster.clients[2].picture.entity(bob).is_none(), "nobody sees him");
    assert_eq!(cluster.clients[2].seen_leaving.len(), left);
    cluster.run_ms(2_000);
    assert_eq!(cluster.owners(bob), [], "he is unloaded");
    let back = cluster.connect_with("bob", 3, token);
    cluster.run_ms(600);
    let own = game::PlayerState::decode(cluster.clients[back].own.as_ref()).expect("own state");
    assert_eq!((own.bag, cluster.clients[back].body.at.x), (13, 500));
    settle(&mut cluster, "a gift to somebody away");
}

/// Bob comes in while he is locked, on another node than his home.
#[test]
fn a_login_in_the_middle_of_a_gift() {
    for fault in [None, Some(Fault::UnknownLanded), Some(Fault::UnknownLost), Some(Fault::Rejected)] {
        let mut cluster = with_players(3, 2, &["ann", "bob"]);
        let bob = cluster.player(1);
        let token = cluster.clients[1].session.token().clone();
        cluster.leave(1);
        cluster.run_ms(2_500);
        cluster.stuck = true;
        cluster.faults.extend(fault);
        wish(&mut cluster, 0, GiftWish::to(&[bob.id], 3));
        cluster.run_ms(200);
        let back = cluster.connect_with("bob", 3, token);
        cluster.run_ms(200);
        assert_eq!(cluster.clients[back].welcomes, 0, "he waits for the outcome");
        cluster.stuck = false;
        cluster.run_ms(1_500);
        assert!(cluster.clients[back].session.is_live(), "{fault:?}");
        cluster.take(back, Default::default(), 1);
        cluster.run_ms(500);
        let landed = answer(&cluster, 0).is_ok();
        assert_eq!(landed, fault != Some(Fault::Rejected), "{fault:?}");
        assert_eq!(bag(&cluster, bob), if landed { 14 } else { 11 }, "{fault:?}");
        settle(&mut cluster, "a login in mid-gift");
    }
}

/// Each locks itself for its own gift and is asked for the other's.
#[test]
fn gifts_in_a_circle_all_succeed() {
    for names in [&["ann", "bob"][..], &["ann", "bob", "cyd"], &["ann", "bob", "cyd", "dot", "eve"]] {
        for seed in 1..3 {
            let mut cluster = with_players(3, seed, names);
            let players: Vec<_> = (0..names.len()).map(|client| cluster.player(client)).collect();
            for _ in 0..3 {
                for client in 0..names.len() {
                    let next = players[(client + 1) % names.len()];
                    wish(&mut cluster, client, GiftWish::to(&[next.id], 2));
                }
            }
            cluster.run_ms(3_500);
            for (client, player) in players.iter().enumerate() {
                assert_eq!(
                    answer(&cluster, client),
                    Ok(1),
                    "{} of {}, seed {seed}",
                    names[client],
                    names.len()
                );
                assert_eq!(bag(&cluster, *player), 10, "seed {seed}");
            }
            settle(&mut cluster, "a circle");
        }
    }
}

#[test]
fn what_cannot_be_asked_is_refused_and_nobody_stays_locked() {
    let mut cluster = with_players(3, 1, &["ann", "bob", "cyd"]);
    let [ann, bob, cyd] = [0, 1, 2].map(|client| cluster.player(client).id);
    let rounds = |rounds: &[&[u64]]| GiftWish {
        by_mail: None,
        rounds: rounds.iter().map(|to| Round { to: to.to_vec() }).collect(),
        n: 1,
        jump: 0,
    };
    let crowd: Vec<_> = (1..=17).collect();
    let refusals: [(GiftWish, &str); 9] = [
        (GiftWish::to(&[ann], 1), "game_error"),
        (GiftWish::to(&[bob, bob], 1), "game_error"),
        (GiftWish { n: 0, ..GiftWish::to(&crowd, 0) }, "game_error"),
        (GiftWish::to(&[4_711], 1), "no_such_entity"),
        (GiftWish::to(&[bob, 4_711], 1), "no_such_entity"),
        // Bob is locked when this is found out.
        (rounds(&[&[bob], &[cyd, bob]]), "game_error"),
        (rounds(&[&[bob], &[ann]]), "game_error"),
        (rounds(&[&[bob], &[cyd], &[4_711], &[4_712]]), "no_such_entity"),
        (rounds(&[&[bob], &[4_711]]), "no_such_entity"),
    ];
    for (gift, code) in refusals {
        wish(&mut cluster, 0, gift.clone());
        cluster.run_ms(300);
        assert_eq!(answer(&cluster, 0), Err(code.to_owned()), "{gift:?}");
        wish(&mut cluster, 1, GiftWish { n: 0, ..GiftWish::to(&[cyd], 0) });
        cluster.run_ms(100);
        assert_eq!(answer(&cluster, 1), Ok(1), "{gift:?}: they are free");
    }
    assert_eq!([0, 1, 2].map(|client| bag(&cluster, cluster.player(client))), [10; 3]);
    cluster.run_ms(2_000);
    let reals: usize =
        cluster.nodes.values().map(|n| n.reals().filter(|r| r.id.kind == game::PLAYER).count()).sum();
    assert_eq!(reals, 3, "nobody who does not exist stays loaded");
    settle(&mut cluster, "refusals");
}

#[test]
fn asking_on_takes_effect_in_all_rounds_or_in_none() {
    let names = ["ann", "bob", "cyd", "dot"];
    let mut cluster = with_players(3, 1, &names);
    let ids = [0, 1, 2, 3].map(|client| cluster.player(client).id);
    let chain = |n| GiftWish {
        rounds: ids[1..].iter().map(|id| Round { to: vec![*id] }).collect(),
        n,
        jump: 0,
        by_mail: None,
    };
    wish(&mut cluster, 0, chain(2));
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Ok(3));
    let bags = |cluster: &Cluster| [0, 1, 2, 3].map(|client| bag(cluster, cluster.player(client)));
    assert_eq!(bags(&cluster), [4, 12, 12, 12]);
    // The last round refuses.
    let mut long = chain(0);
    long.rounds[2].to = vec![4_711];
    wish(&mut cluster, 0, GiftWish { n: 1, ..long });
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Err("no_such_entity".to_owned()));
    // A fourth round.
    let mut long = chain(1);
    long.rounds.push(Round { to: vec![4_712] });
    wish(&mut cluster, 0, long);
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Err("game_error".to_owned()));
    assert_eq!(bags(&cluster), [4, 12, 12, 12]);
    // Somebody of the last round is busy for a while: the transaction begins again.
    cluster.stuck = true;
    cluster.take(3, Default::default(), 1);
    cluster.run_ms(100);
    wish(&mut cluster, 0, chain(1));
    wish(&mut cluster, 2, GiftWish::to(&[ids[3]], 1));
    cluster.run_ms(300);
    cluster.stuck = false;
    cluster.run_ms(1_500);
    assert_eq!((answer(&cluster, 0), answer(&cluster, 2)), (Ok(3), Ok(1)));
    assert_eq!(bags(&cluster), [1, 13, 12, 15]);
    settle(&mut cluster, "asking on");
}

#[test]
fn a_player_whose_code_fails_refuses() {
    let mut cluster = with_players(3, 1, &["ann", "bob"]);
    let bob = cluster.player(1);
    for _ in 0..5 {
        wish(&mut cluster, 0, GiftWish::to(&[bob.id], PANICS.unsigned_abs()));
        cluster.run_ms(300);
        assert_eq!(answer(&cluster, 0), Err("game_error".to_owned()));
    }
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], 1));
    cluster.run_ms(300);
    assert_eq!(answer(&cluster, 0), Err("suspended".to_owned()));
    cluster.check_pebbles();
}

/// A rule of a player that takes nodes down is given up after two.
#[test]
fn a_deadly_gift_takes_two_nodes() {
    let mut cluster = with_players(5, 1, &["ann", "bob"]);
    let bob = cluster.player(1);
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], game::KILLS.unsigned_abs()));
    for second in 0..20 {
        cluster.run_ms(1_000);
        if let Some(dead) = cluster.killed.get(second).copied() {
            cluster.bury(dead);
        }
    }
    assert_eq!(cluster.killed.len(), 2, "{:?}", cluster.killed);
    settle(&mut cluster, "a deadly gift");
}

/// The home of a player changes while it is asked: the question is asked again.
#[test]
fn a_home_that_moves_while_it_is_asked() {
    for away in [false, true] {
        for at_ms in [0, 1, 3, 8] {
            let mut cluster = with_players(4, 3, &["ann", "bob"]);
            let bob = cluster.player(1);
            let home = cluster.nodes[&NodeId(1)].home(bob).expect("members");
            if away {
                cluster.leave(1);
                cluster.run_ms(2_500);
            }
            wish(&mut cluster, 0, GiftWish::to(&[bob.id], 3));
            cluster.run_ms(at_ms);
            cluster.drain(home.0, true);
            cluster.run_ms(300);
            cluster.drain(home.0, false);
            cluster.run_ms(3_000);
            if home != NodeId(1) {
                assert_eq!(answer(&cluster, 0), Ok(i32::from(!away)), "away: {away}, after {at_ms} ms");
            }
            settle(&mut cluster, "a home that moves");
        }
    }
}

/// Bob is to be handed over while he is locked: he goes after the transaction, with the gift.
#[test]
fn a_locked_player_is_handed_off_after_its_transaction() {
    let mut cluster = Cluster::following(3, 1, 500);
    cluster.connect("ann", 2);
    cluster.connect("bob", 1);
    cluster.run_ms(600);
    cluster.take(0, Default::default(), 5);
    cluster.run_ms(300);
    let bob = cluster.player(1);
    let home = cluster.nodes[&NodeId(1)].home(bob).expect("members");
    let (far, new) = cluster.far_place(&[NodeId(1), home]).expect("there are forty tracts");
    let jump = i32::from(far.x) * gundo_types::CHUNK_MM;
    cluster.command(1, &PlayerCommand { jump, ..Default::default() });
    cluster.run_ms(200);
    for round in 0..8 {
        cluster.stuck = true;
        wish(&mut cluster, 0, GiftWish::to(&[bob.id], 1));
        cluster.run_ms(500);
        assert_eq!(cluster.owners(bob).len(), 1, "{round}");
        cluster.stuck = false;
        cluster.run_ms(60);
        if cluster.owners(bob) == [new] {
            break;
        }
    }
    cluster.run_ms(4_000);
    assert_eq!(cluster.owners(bob), [new], "he has followed");
    assert_eq!(answer(&cluster, 0), Ok(1));
    settle(&mut cluster, "a handoff");
}

/// Nothing of a gift is seen before it has landed, however long that takes: after a while he finds out by himself.
#[test]
fn a_gift_that_takes_long_to_land() {
    let mut cluster = with_players(3, 1, &["ann", "bob"]);
    let bob = cluster.player(1);
    let own = |cluster: &Cluster| {
        game::PlayerState::decode(cluster.clients[1].own.as_ref()).expect("own state").bag
    };
    cluster.stuck = true;
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], 3));
    cluster.run_ms(500);
    assert_eq!(own(&cluster), 10, "it has not landed");
    cluster.run_ms(11_000);
    cluster.stuck = false;
    cluster.run_ms(500);
    assert_eq!((answer(&cluster, 0), own(&cluster)), (Ok(1), 13));
    settle(&mut cluster, "a slow gift");
}

/// Bob's answer to a gift waits for what he has appended before; the giver's node dies meanwhile. Nobody is to hear the answer any
/// more, and he goes on as soon as the journal does.
#[test]
fn an_answer_that_waits_is_not_for_the_dead() {
    let mut cluster = with_players(3, 1, &["ann", "bob", "cyd"]);
    let bob = cluster.player(1);
    cluster.stuck = true;
    cluster.take(1, Default::default(), 1);
    cluster.run_ms(200);
    wish(&mut cluster, 2, GiftWish::to(&[bob.id], 1));
    cluster.run_ms(200);
    let giver = NodeId(3);
    cluster.die(giver.0);
    cluster.run_ms(500);
    cluster.bury(giver.0);
    cluster.run_ms(300);
    cluster.stuck = false;
    cluster.run_ms(600);
    let fences: u64 = cluster.nodes.values().map(|node| node.counters().fences).sum();
    assert_eq!(fences, 0, "there is nothing to find out: nobody has his answer");
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], 1));
    cluster.run_ms(600);
    assert_eq!(answer(&cluster, 0), Ok(1));
    settle(&mut cluster, "a dead giver");
}

/// Each of these stories fails with the mistake that it is about.
#[cfg(feature = "planted")]
#[test]
fn mistakes_are_seen() {
    use gundo_types::Planted;
    support::cluster::each_is_seen(&[
        (Planted::PrepareOutlives, an_answer_that_waits_is_not_for_the_dead),
        (Planted::PrepareUnlocked, a_gift_to_a_player_on_another_node),
        (Planted::LockLeftBehind, a_locked_player_is_handed_off_after_its_transaction),
        (Planted::LockUnfenced, a_gift_that_takes_long_to_land),
        (Planted::CommitEarly, a_gift_that_takes_long_to_land),
        (Planted::GiftTwice, a_login_in_the_middle_of_a_gift),
    ]);
}

/// An arrow of a gift: its name, and which messages it is, by sender, receiver and whether it was passed on.
type Arrow = (&'static str, fn(NodeId, NodeId, &Peer) -> bool);

const ARROWS: [Arrow; 4] = [
    ("prepare, coordinator to home", |from, _, m| prepare_of(m) == Some(from)),
    ("prepare, home to owner", |from, _, m| prepare_of(m).is_some_and(|by| by != from)),
    ("prepared, owner to coordinator", |_, _, m| is(m, |m| matches!(m, TxMessage::Prepared(_)))),
    ("commit, coordinator to owner", |_, _, m| is(m, |m| matches!(m, TxMessage::Commit))),
];

fn is(message: &Peer, what: fn(&TxMessage) -> bool) -> bool {
    matches!(message, Peer::Transaction { message, .. } if what(message))
}

fn prepare_of(message: &Peer) -> Option<NodeId> {
    match message {
        Peer::Transaction { tx, message: TxMessage::Prepare { .. }, .. } => Some(tx.node),
        _ => None,
    }
}

/// At each arrow a message is lost with its link, or a node dies: the gift takes effect in both or in neither, once, and everybody
/// goes on.
#[test]
fn a_node_or_a_message_lost_at_each_arrow() {
    assert_eq!(strike_all(false).len(), ARROWS.len(), "an arrow never happened");
}

/// The same with somebody who is away: his home has loaded him, so it passes nothing on.
#[test]
fn a_node_or_a_message_lost_at_each_arrow_to_somebody_away() {
    assert_eq!(strike_all(true).len(), ARROWS.len() - 1, "an arrow never happened");
}

/// The arrows at which somebody was struck.
fn strike_all(away: bool) -> BTreeSet<&'static str> {
    let mut struck = BTreeSet::new();
    for (name, at) in ARROWS {
        for fate in [Fate::Lost, Fate::SenderDies, Fate::SentByTheDead, Fate::ReceiverDies] {
            for seed in 1..=2 {
                let what = format!("{name}, {fate:?}, away: {away}, seed {seed}");
                if one_strike(away, at, fate, seed, &what) {
                    struck.insert(name);
                }
            }
        }
    }
    struck
}

fn one_strike(away: bool, at: fn(NodeId, NodeId, &Peer) -> bool, fate: Fate, seed: u64, what: &str) -> bool {
    let mut cluster = with_players(5, seed, &["ann", "bob", "cyd"]);
    let (ann, bob) = (cluster.player(0), cluster.player(1));
    if away {
        cluster.leave(1);
        cluster.run_ms(2_500);
    }
    cluster.strike = Some(Strike { at: Box::new(at), fate, struck: None });
    wish(&mut cluster, 0, GiftWish::to(&[bob.id], 3));
    cluster.run_ms(400);
    let Some(dead) = cluster.strike.take().and_then(|strike| strike.struck) else { return false };
    if fate == Fate::Lost {
        // Nothing that must arrive is lost alone.
        let (a, b) = (dead, NodeId(1));
        for (node, peer) in [(a, b), (b, a)].into_iter().filter(|(a, b)| a != b) {
            cluster.lose_link(node, peer);
        }
    } else {
        cluster.run_ms(500);
        cluster.bury(dead.0);
    }
    cluster.run_ms(3_500);
    assert!(cluster.run_until(30_000, Cluster::is_settled), "{what}: it does not settle");
    cluster.check_pebbles();
    let given = bag(&cluster, bob) - 10;
    assert_eq!(bag(&cluster, ann), 10 - given, "{what}");
    assert!([0, 3].contains(&given), "{what}: {given} were given");
    let answers: Vec<_> = cluster.clients[0].answers.iter().map(|answer| answer.result.is_ok()).collect();
    assert_eq!(answers.len(), 3, "{what}: each command has an answer");
    assert_eq!(answers[2], given == 3, "{what}");
    // Everybody goes on.
    wish(&mut cluster, 2, GiftWish::to(&[bob.id], 1));
    cluster.run_ms(3_500);
    assert!(answer(&cluster, 2).is_ok(), "{what}: {:?}", answer(&cluster, 2));
    true
}
