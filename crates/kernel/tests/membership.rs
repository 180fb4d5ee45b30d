//! Whose messages count as a sign of life, and when all members have announced.

mod support;

use std::sync::Arc;

use gundo_kernel::{Alive, HomeMessage, Input, Label, Output, Peer, View};
use gundo_rig::member;
use gundo_types::{ChunkId, Epoch, NodeId, Now, Time, WorldTime};
use support::cluster::{Cluster, new_node};
use support::game::PlayerCommand;

/// When the node proposes to remove the other member of its view, ms. `speaks` says every 100 ms which incarnation sends
/// something, if any does.
fn removal_ms(speaks: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let world = Arc::default();
    let (me, other) = (member(1, 11), member(2, 12));
    let mut node = new_node(&me, &world, 1);
    let view = View { epoch: Epoch(5), members: vec![me, other] };
    let mut first = Some(Input::View(view));
    for ms in (0..8_000).step_by(100) {
        let now = Now { time: Time(ms * 1_000), world: WorldTime(ms) };
        let said = speaks(ms).map(|incarnation| Input::Peer {
            from: NodeId(2),
            label: Label { from: incarnation, ..Label::default() },
            message: Peer::Stale { epoch: Epoch(4) },
        });
        for input in first.take().into_iter().chain(said).chain([Input::Timeout]) {
            node.handle(now, input);
            while let Some(output) = node.poll_output() {
                if matches!(output, Output::Remove { node: NodeId(2), incarnation: 12, .. }) {
                    return Some(ms);
                }
            }
        }
    }
    None
}

#[test]
fn a_member_is_heard_only_by_what_it_says_itself() {
    let silent = removal_ms(|_| None).expect("it is proposed");
    assert_eq!(removal_ms(|_| Some(12)), None, "it speaks");
    assert_eq!(removal_ms(|_| Some(10)), Some(silent), "the one before it, which was removed, does");
    assert_eq!(removal_ms(|_| Some(13)), Some(silent), "one that is in no view yet does");
}

/// An announcement that comes in parts: the home opens with the last of them.
#[test]
fn a_home_opens_with_the_last_part_of_the_last_member() {
    let world = Arc::default();
    let (me, other) = (member(1, 11), member(2, 12));
    let mut node = new_node(&me, &world, 1);
    node.handle(Now::default(), Input::View(View { epoch: Epoch(5), members: vec![me, other] }));
    for last in [false, false, true] {
        assert!(!node.is_ready(), "something is still to come");
        let publishes = vec![ChunkId::default()];
        let message = HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes, last };
        let message = Peer::Home { epoch: Epoch(5), message };
        let label = Label { from: 12, ..Label::default() };
        node.handle(Now::default(), Input::Peer { from: NodeId(2), label, message });
    }
    assert!(!node.is_ready(), "it does not know yet that the other hears it");
    let alive = Alive {
        confirmed_ms: 0,
        unreachable: vec![],
        unheard: false,
        world: None,
        sent_us: 0,
        echo_us: None,
    };
    let message = Peer::Alive { epoch: Epoch(5), alive };
    node.handle(
        Now::default(),
        Input::Peer { from: NodeId(2), label: Label { from: 12, ..Label::default() }, message },
    );
    assert!(node.is_ready());
}

/// The clock of the other runs faster: what it echoes of this node's time has not come yet. It is fresh all the same.
#[test]
fn a_faster_clock_keeps_nobody_out() {
    let world = Arc::default();
    let (me, other) = (member(2, 12), member(1, 11));
    let mut node = new_node(&me, &world, 1);
    let now = Now { time: Time(1_000_000), world: WorldTime(1_000) };
    node.handle(now, Input::View(View { epoch: Epoch(5), members: vec![other, me] }));
    let label = || Label { from: 11, ..Label::default() };
    let announce = HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes: vec![], last: true };
    let message = Peer::Home { epoch: Epoch(5), message: announce };
    node.handle(now, Input::Peer { from: NodeId(1), label: label(), message });
    let alive = Alive {
        confirmed_ms: 0,
        unreachable: vec![],
        unheard: false,
        world: Some(WorldTime(1_010)),
        sent_us: 900_000,
        echo_us: Some(1_020_000),
    };
    node.handle(
        now,
        Input::Peer { from: NodeId(1), label: label(), message: Peer::Alive { epoch: Epoch(5), alive } },
    );
    assert!(node.is_ready());
}

/// A newcomer's first word has waited for seconds, and nobody can tell. It is no proof that others were confirmed long after this node.
#[test]
fn a_word_of_unknown_age_ends_nobody() {
    let world = Arc::default();
    let (me, other) = (member(1, 11), member(2, 12));
    let mut node = new_node(&me, &world, 1);
    let mut first = Some(Input::View(View { epoch: Epoch(5), members: vec![me, other] }));
    for ms in (0..8_000_u64).step_by(100) {
        let alive = |sent_ms: u64, echo_us| Alive {
            confirmed_ms: sent_ms as u32 - 500,
            unreachable: vec![],
            unheard: false,
            world: None,
            sent_us: sent_ms * 1_000,
            echo_us,
        };
        // It was confirmed half a second after this node joined. What it sent half a second later comes after four.
        let message = match ms {
            ..4_900 => Peer::Stale { epoch: Epoch(4) },
            4_900 => Peer::Alive { epoch: Epoch(5), alive: alive(1_000, None) },
            _ => Peer::Alive { epoch: Epoch(5), alive: alive(ms, Some(ms * 1_000 - 20_000)) },
        };
        let said = Input::Peer { from: NodeId(2), label: Label { from: 12, ..Label::default() }, message };
        for input in first.take().into_iter().chain([said, Input::Timeout]) {
            node.handle(Now { time: Time(ms * 1_000), world: WorldTime(ms) }, input);
            while let Some(output) = node.poll_output() {
                assert!(!matches!(output, Output::Fenced), "it ends at {ms} ms");
            }
        }
    }
}

/// A node has lost its row without having heard so yet: none of its appends lands. It keeps trying, but backs off.
#[test]
fn a_node_that_was_removed_does_not_keep_the_journal_busy() {
    let mut cluster = Cluster::new(2, 1);
    let ann = cluster.connect("ann", 2);
    cluster.run_ms(600);
    let incarnation = cluster.nodes[&NodeId(2)].incarnation();
    cluster.disk.store.leave(incarnation);
    cluster.take(ann, ChunkId::default(), 1);
    cluster.command(ann, &PlayerCommand { say: "anybody?".into(), ..Default::default() });
    let token = cluster.clients[ann].session.token().clone();
    cluster.connect_with("ann", 2, token);
    cluster.run_ms(4_000);
    let counters = cluster.nodes[&NodeId(2)].counters();
    assert!((5..30).contains(&counters.appends_failed), "{} appends", counters.appends_failed);
}
