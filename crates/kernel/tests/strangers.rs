//! What nobody should say: every message there is, from strangers, from and to earlier lives, and in states it does not fit.
//!
//! The messages are the golden ones of the peer protocol. From those who do not belong, a node takes none, says at most that they are
//! stale, and counts it. From a member it takes each in any state without harm to itself.

mod support;

use std::path::Path;

use bytes::Bytes;
use gundo_kernel::{HomeMessage, Input, Label, Output, Peer, View};
use gundo_rig::{Clock, Seat, member};
use gundo_types::{Epoch, NodeId};
use support::cluster::{Cluster, new_node};

/// All kinds of messages, by name.
fn arrows() -> Vec<(String, Peer)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/golden/peer");
    let mut arrows = Vec::new();
    for file in std::fs::read_dir(here).expect("they are there") {
        let file = file.expect("the folder can be read");
        let bytes = Bytes::from(std::fs::read(file.path()).expect("it can be read"));
        let (_, message) = Peer::decode(bytes).expect("it is golden");
        arrows.push((file.file_name().to_string_lossy().into_owned(), message));
    }
    arrows.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(arrows.len() > 50, "all kinds are there");
    arrows
}

fn hear(cluster: &mut Cluster, from: NodeId, label: Label, message: Peer) -> Vec<Output> {
    let now = cluster.now;
    let seat = cluster.nodes.get_mut(&NodeId(1)).expect("it is there");
    let outputs = seat.take(now, Input::Peer { from, label, message }).outputs;
    seat.check();
    outputs
}

#[test]
fn nobody_hears_those_who_do_not_belong() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.connect("bob", 2);
    cluster.run_ms(600);
    let mine = cluster.nodes[&NodeId(1)].incarnation();
    let theirs = cluster.nodes[&NodeId(2)].incarnation();
    let strangers = [
        ("a stranger", NodeId(9), Label { from: 1, to: mine, number: 1, ..Label::default() }),
        ("an earlier life", NodeId(2), Label { from: theirs - 1, to: mine, number: 1, ..Label::default() }),
        (
            "to an earlier life",
            NodeId(2),
            Label { from: theirs, to: mine + 77, number: 1, ..Label::default() },
        ),
    ];
    for (who, from, label) in strangers {
        for (name, message) in arrows() {
            let (is_stale, beats) =
                (matches!(message, Peer::Stale { .. }), matches!(message, Peer::Alive { .. }));
            let counted = |c: &Cluster| {
                let counters = c.nodes[&NodeId(1)].counters();
                counters.stale + counters.early + counters.links_repeated
            };
            let before = counted(&cluster);
            for output in hear(&mut cluster, from, label, message) {
                let told = matches!(output, Output::Peer { message: Peer::Stale { .. }, .. });
                let asks = is_stale && matches!(output, Output::ViewWanted);
                assert!(told || asks || beats, "{name} of {who}: {output:?}");
            }
            // A heartbeat, and the word that this node is stale, are heard whichever life they are for.
            assert!(is_stale || beats || counted(&cluster) == before + 1, "{name} of {who} is counted");
        }
    }
    cluster.run_ms(1_000);
    assert!(cluster.clients[ann].session.is_live());
    cluster.check_pictures();
}

#[test]
fn a_member_may_say_anything_in_any_state() {
    let world = std::sync::Arc::new(gundo_kernel::WorldSettings::default());
    let (me, peer) = (member(1, 11), member(2, 12));
    let view = |epoch: u64, draining: bool| View {
        epoch: Epoch(epoch),
        members: vec![gundo_kernel::Member { draining, ..me.clone() }, peer.clone()],
    };
    // What it is told before, and again between two messages.
    type State = (&'static str, fn(u64) -> Vec<Input>);
    let states: [State; 3] = [
        ("before its first view", |_| Vec::new()),
        ("a member", |_| vec![Input::Timeout]),
        ("stopping", |_| vec![Input::Stop]),
    ];
    for (name, also) in states {
        for draining in [false, true] {
            for with_epoch in [1, 5] {
                let mut seat = Seat::new(new_node(&me, &world, 1), Clock::right(1_000_000));
                if name != "before its first view" {
                    seat.take(0, Input::View(view(with_epoch, draining)));
                }
                let mut number = 0;
                for _ in 0..3 {
                    for (_, message) in arrows() {
                        number += 1;
                        let at = number * 20_000;
                        let label = Label { from: 12, to: 11, number, ..Label::default() };
                        also(at).into_iter().for_each(|input| drop(seat.take(at, input)));
                        if seat.is_over() {
                            break;
                        }
                        seat.take(at, Input::Peer { from: NodeId(2), label, message });
                        seat.check();
                    }
                }
            }
        }
    }
}

/// A member announces once to an open home. What it says twice would take away chunks that somebody looks at.
#[test]
fn who_has_announced_does_not_again() {
    let mut cluster = Cluster::new(3, 1);
    cluster.connect("ann", 2);
    cluster.connect("bob", 2);
    cluster.run_ms(600);
    let (before, incarnation) =
        (cluster.nodes[&NodeId(1)].counters(), cluster.nodes[&NodeId(2)].incarnation());
    let label = Label { from: incarnation, to: cluster.nodes[&NodeId(1)].incarnation(), ..Label::default() };
    for node in [1, 2, 3] {
        let chunk = cluster.chunk_where_home_is(node);
        let announce = HomeMessage::Announce {
            holds: vec![],
            subscribes: vec![(chunk, 0)],
            publishes: vec![],
            last: true,
        };
        let epoch = cluster.view.epoch;
        hear(&mut cluster, NodeId(2), label, Peer::Home { epoch, message: announce });
    }
    assert_eq!(cluster.nodes[&NodeId(1)].counters().nonsense, before.nonsense + 3);
    cluster.run_ms(600);
    cluster.check_pictures();
}
