//! What only shows: it leaves no row in the journal, is answered once, and comes in a bounded number.

mod support;

use gundo_wire::Message;
use support::cluster::{Cluster, Fault};
use support::game::{PlayerCommand, Said};

/// Ann at node 1, Bob at node 2: they see each other.
fn ann_and_bob() -> (Cluster, usize, usize) {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    (cluster, ann, bob)
}

fn say(cluster: &mut Cluster, client: usize, text: &str) {
    cluster.command(client, &PlayerCommand { show: text.into(), ..Default::default() });
}

fn heard(cluster: &Cluster, client: usize) -> Vec<String> {
    let text = |(_, signal): &(_, bytes::Bytes)| Said::decode(signal.as_ref()).expect("a saying").text;
    cluster.clients[client].signals.iter().map(text).collect()
}

/// Rows and bytes that the journal has of a player.
fn rows(cluster: &Cluster, client: usize) -> (usize, usize) {
    let events = cluster.disk.store.stream(cluster.player(client), 0, usize::MAX);
    (events.len(), events.iter().map(|(_, event)| event.payload.len() + event.cause.len()).sum())
}

/// Says something every 18 ms for 10 s.
fn shout(cluster: &mut Cluster, client: usize, text: &str) {
    for _ in 0..550 {
        say(cluster, client, text);
        cluster.run_ms(18);
    }
    cluster.run_ms(1_000);
}

#[test]
fn who_says_550_things_in_10_s_is_heard_now_and_then() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let before = rows(&cluster, ann);
    shout(&mut cluster, ann, "paced: hear me");
    let after = rows(&cluster, ann);
    let shown = heard(&cluster, bob).len();
    let answers = cluster.clients[ann].answers.len();
    println!("rows {before:?} to {after:?}, {shown} shown to another, {answers} answers");
    assert_eq!(answers, 550, "each is answered once");
    assert_eq!(after, before, "sayings leave nothing in the journal");
    assert!((15..=19).contains(&shown), "three at once, and then one every 667 ms: {shown}");
}

#[test]
fn what_comes_too_soon_is_refused_with_the_time_to_wait() {
    let (mut cluster, ann, bob) = ann_and_bob();
    for text in ["paced: 1", "paced: 2", "paced: 3", "paced: 4", "other"] {
        say(&mut cluster, ann, text);
    }
    cluster.run_ms(300);
    assert_eq!(heard(&cluster, bob), ["paced: 1", "paced: 2", "paced: 3", "other"]);
    let no = cluster.clients[ann].answers[3].result.clone().expect_err("it came too soon");
    assert_eq!(no.code, "too_often");
    assert!((500..=667).contains(&no.retry_ms), "{no:?}");
    cluster.run_ms(no.retry_ms.into());
    say(&mut cluster, ann, "paced: 5");
    cluster.run_ms(300);
    assert_eq!(heard(&cluster, bob).last().map(String::as_str), Some("paced: 5"));
    let counted: u64 = cluster.nodes.values().map(|node| node.counters().refused_too_often).sum();
    assert_eq!(counted, 1);
}

#[test]
fn one_alone_shows_so_much_in_a_tick() {
    let (mut cluster, ann, bob) = ann_and_bob();
    for number in 0..30 {
        say(&mut cluster, ann, &format!("{number}"));
    }
    cluster.run_ms(300);
    let shown = heard(&cluster, bob);
    assert_eq!(shown, (0..8).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(cluster.clients[ann].answers.len(), 30);
    let dropped: u64 = cluster.nodes.values().map(|node| node.counters().signals_dropped).sum();
    assert_eq!(dropped, 22);
}

#[test]
fn a_repeat_gets_the_answer_again_and_shows_nothing() {
    let (mut cluster, ann, bob) = ann_and_bob();
    // The answers are lost with the connection: the client sends everything again.
    say(&mut cluster, ann, "once");
    say(&mut cluster, ann, "and this");
    cluster.cut(ann);
    cluster.run_ms(3_000);
    assert_eq!(heard(&cluster, bob), ["once", "and this"]);
    assert_eq!(cluster.clients[ann].answers.len(), 2);
}

#[test]
fn what_is_said_after_something_that_lasts_waits_for_that() {
    let (mut cluster, ann, bob) = ann_and_bob();
    let rename = |to: &str| PlayerCommand { rename: to.into(), ..Default::default() };
    cluster.stuck = true;
    cluster.command(ann, &rename("anna"));
    say(&mut cluster, ann, "call me anna");
    cluster.run_ms(500);
    assert_eq!(heard(&cluster, bob), [""; 0], "she is not anna yet");
    cluster.stuck = false;
    cluster.run_ms(500);
    assert_eq!(heard(&cluster, bob), ["call me anna"]);
    // The name does not land at first: both are done again, once.
    cluster.faults.push_back(Fault::UnknownLost);
    cluster.command(ann, &rename("annie"));
    say(&mut cluster, ann, "now annie");
    cluster.run_ms(2_000);
    assert_eq!(heard(&cluster, bob), ["call me anna", "now annie"]);
    assert!(cluster.clients[ann].answers.iter().all(|answer| answer.result.is_ok()));
    assert_eq!(cluster.clients[ann].answers.len(), 4);
}
