//! Messages between two living nodes that are lost: once, with whatever was in flight, or for good.
//!
//! Ann and Bob play on a cluster of three nodes; their players, their connections and the land around them are on different
//! nodes. Whatever is lost, each command has one answer and one effect, nobody stays who has left, and all pictures are right.

mod support;

use gundo_kernel::{Alive, HomeMessage, Input, Label, Output, Peer, ToEdge, ToPlayer, TxMessage, View};
use gundo_rig::member;
use gundo_types::{ConnId, EntityId, Epoch, Kind, NodeId, Now, Time, WorldTime};
use support::cluster::{Cluster, Fate, Strike, new_node};
use support::game::PlayerCommand;

/// A kind of message: its name, and which messages it is.
type Arrow = (&'static str, fn(&Peer) -> bool);

macro_rules! home {
    ($arrow:pat) => {
        |m| matches!(m, Peer::Home { message: $arrow, .. })
    };
}

const ARROWS: [Arrow; 16] = [
    ("announce", home!(HomeMessage::Announce { .. })),
    ("subscribe", home!(HomeMessage::Subscribe(_))),
    ("publish", home!(HomeMessage::Publish { .. })),
    ("subscribers", home!(HomeMessage::Subscribers { .. })),
    ("locate", home!(HomeMessage::Locate { .. })),
    ("granted", home!(HomeMessage::Granted { .. })),
    ("open", |m| matches!(m, Peer::ToPlayer { message: ToPlayer::Open { .. }, .. })),
    ("opened", |m| matches!(m, Peer::ToEdge { message: ToEdge::Opened(_), .. })),
    ("command", |m| matches!(m, Peer::ToPlayer { message: ToPlayer::Command { .. }, .. })),
    ("move", |m| matches!(m, Peer::ToPlayer { message: ToPlayer::Move { .. }, .. })),
    ("reply", |m| matches!(m, Peer::ToEdge { message: ToEdge::Reply { .. }, .. })),
    ("own", |m| matches!(m, Peer::ToEdge { message: ToEdge::Own(_), .. })),
    ("prepare", |m| matches!(m, Peer::Transaction { message: TxMessage::Prepare { .. }, .. })),
    ("prepared", |m| matches!(m, Peer::Transaction { message: TxMessage::Prepared(_), .. })),
    ("commit", |m| matches!(m, Peer::Transaction { message: TxMessage::Commit, .. })),
    ("gone", |m| matches!(m, Peer::ToPlayer { message: ToPlayer::Gone { .. }, .. })),
];

struct Story {
    cluster: Cluster,
    /// Their first and their present connections.
    ann: [usize; 2],
    bob: usize,
    player: EntityId,
}

impl Story {
    /// Ann's connection moves to another node than her player's; a new view comes, they take things from land elsewhere and walk.
    fn play(seed: u64, strike: Option<Strike>, mut disturb: impl FnMut(&mut Cluster, u64)) -> Self {
        let mut cluster = Cluster::new(3, seed);
        cluster.strike = strike;
        // Long enough that something is in flight.
        let nodes = [1, 2, 3].map(NodeId);
        let links = nodes.into_iter().flat_map(|a| nodes.map(|b| ((a, b), 20_000)));
        cluster.slow_links.extend(links);
        let first = cluster.connect("ann", 2);
        let bob = cluster.connect("bob", 1);
        cluster.run_until(10_000, |c| [first, bob].iter().all(|k| c.clients[*k].session.is_live()));
        let player = cluster.player(first);
        let token = cluster.clients[first].session.token().clone();
        let ann = cluster.connect_with("ann", 3, token);
        cluster.run_until(10_000, |c| c.clients[ann].session.is_live());
        cluster.next_view();
        for step in 0..40 {
            for (client, node) in [(ann, 1), (bob, 3)] {
                let chunk = cluster.chunk_where_home_is(node);
                cluster.take(client, chunk, if step % 4 < 2 { 1 } else { -1 });
                let say = format!("step {step}");
                cluster.command(client, &PlayerCommand { say, ..Default::default() });
                let mut body = cluster.clients[client].body;
                body.at.x += if step % 20 < 10 { 200 } else { -200 };
                cluster.clients[client].body = body;
                cluster.move_to(client, body);
            }
            cluster.run_ms(15);
            disturb(&mut cluster, step);
            cluster.run_ms(85);
        }
        Self { cluster, ann: [first, ann], bob, player }
    }

    fn check(&mut self, what: &str) {
        let cluster = &mut self.cluster;
        assert!(cluster.run_until(10_000, Cluster::is_settled), "{what}: it does not settle");
        cluster.run_ms(1_500);
        for client in [self.ann[1], self.bob] {
            let client = &cluster.clients[client];
            let (live, corrected) = (client.session.is_live(), &client.corrections);
            assert!(live && corrected.is_empty(), "{what}: {:?} {corrected:?}", client.ended);
            assert_eq!(client.heard.len(), client.sent.len(), "{what}: every command has an answer");
        }
        cluster.check_pictures();
        cluster.check_pebbles();
        cluster.leave(self.ann[1]);
        let player = self.player;
        let left = cluster.run_until(4_000, |c| c.owners(player).is_empty());
        assert!(left, "{what}: she has left the world");
        cluster.run_ms(1_500);
        cluster.check_pictures();
    }
}

/// Everything that nodes say to each other in the story, lost once.
#[test]
fn each_message_that_is_lost_arrives() {
    for (name, is) in ARROWS {
        let at = Box::new(move |_: NodeId, _: NodeId, message: &Peer| is(message));
        let strike = Strike { at, fate: Fate::Lost, struck: None };
        let mut story = Story::play(5, Some(strike), |_, _| {});
        story.check(name);
        let strike = story.cluster.strike.as_ref().expect("it is there");
        assert!(strike.struck.is_some(), "{name} is part of the story");
    }
}

/// Connections between nodes break again and again, with whatever is in flight.
#[test]
fn what_was_in_flight_when_a_connection_broke_arrives() {
    for seed in 1..=3 {
        let mut story = Story::play(seed, None, |cluster, step| {
            let (a, b) = (NodeId(1 + (step % 3) as u16), NodeId(1 + ((step + 1) % 3) as u16));
            cluster.break_link(a, b);
        });
        assert!(story.cluster.cut_off > 20, "{} messages were lost", story.cluster.cut_off);
        story.check(&format!("seed {seed}"));
        let resets: u64 = story.cluster.nodes.values().map(|node| node.counters().link_resets).sum();
        assert_eq!(resets, 0, "nothing was lost for good");
    }
}

/// A driver loses messages for good: the two nodes begin again.
#[test]
fn what_is_lost_for_good_is_announced_again() {
    for seed in 1..=3 {
        let mut story = Story::play(seed, None, |cluster, step| {
            if step % 12 == 5 {
                let (a, b) = (NodeId(1 + (step % 3) as u16), NodeId(1 + ((step + 1) % 3) as u16));
                cluster.break_link(a, b);
                cluster.lose_link(a, b);
            }
        });
        story.check(&format!("seed {seed}"));
        let resets: u64 = story.cluster.nodes.values().map(|node| node.counters().link_resets).sum();
        assert!(resets >= 2 * 3, "both ends react to each: {resets}");
    }
}

// ---- two nodes, message by message ---------------------------------------------------------------------

/// One node, and a peer that exists only in its messages.
struct Pair {
    node: gundo_kernel::Node,
    ms: u64,
}

const PEER: NodeId = NodeId(2);

impl Pair {
    fn new(link_bytes_max: usize) -> Self {
        let world = std::sync::Arc::new(gundo_kernel::WorldSettings { link_bytes_max, ..Default::default() });
        let (me, other) = (member(1, 11), member(2, 12));
        let mut pair = Self { node: new_node(&me, &world, 1), ms: 0 };
        pair.give(Input::View(View { epoch: Epoch(5), members: vec![me, other] }));
        pair.hears(Label::default(), Peer::Alive { epoch: Epoch(5), alive: alive() });
        pair
    }

    /// What the node sends to its peer, without heartbeats.
    fn give(&mut self, input: Input) -> Vec<(Label, Peer)> {
        let now = Now { time: Time(self.ms * 1_000), world: WorldTime(self.ms) };
        self.node.handle(now, input);
        let outputs = std::iter::from_fn(|| self.node.poll_output());
        let said = outputs.filter_map(|output| match output {
            Output::Peer { to: PEER, label, message } => Some((label, message)),
            _ => None,
        });
        let said = said.filter(|(_, m)| !matches!(m, Peer::Alive { .. } | Peer::Frames { .. })).collect();
        self.node.check();
        said
    }

    fn hears(&mut self, label: Label, message: Peer) -> Vec<(Label, Peer)> {
        self.give(Input::Peer { from: PEER, label: Label { from: 12, to: 11, ..label }, message })
    }

    /// The peer asks about a player that is not here, which the node answers with one message.
    fn asks(&mut self, number: u64, received: u64) -> Vec<(Label, Peer)> {
        let player = EntityId::new(Kind(1), number);
        let line = gundo_kernel::Line { edge: PEER, conn: ConnId(number) };
        let message = ToPlayer::Command { seq: 1, payload: Default::default(), question: false };
        self.hears(Label { number, received, ..Label::default() }, Peer::ToPlayer { player, line, message })
    }
}

/// A heartbeat of a peer that hears the node.
fn alive() -> Alive {
    Alive { confirmed_ms: 0, unreachable: vec![], unheard: false, world: None, sent_us: 0, echo_us: None }
}

fn numbers(said: &[(Label, Peer)]) -> Vec<u64> {
    said.iter().map(|(label, _)| label.number).collect()
}

#[test]
fn what_must_arrive_is_numbered_taken_once_and_in_order() {
    let mut pair = Pair::new(32 << 20);
    let announced = pair.node.counters().link_bytes;
    assert!(announced > 0, "its announcement is kept until it is acknowledged");
    assert_eq!(numbers(&pair.asks(1, 1)), [2], "the announcement was number 1");
    assert_eq!(numbers(&pair.asks(1, 1)), [0u64; 0], "taken once");
    let said = pair.asks(3, 2);
    assert!(matches!(said[..], [(Label { received: 1, .. }, Peer::Heard { again: true })]), "{said:?}");
    assert!(pair.asks(4, 2).is_empty(), "it asks once");
    assert_eq!(pair.node.counters().link_bytes, 0, "everything is acknowledged");
    assert_eq!(numbers(&pair.asks(2, 2)), [3]);
    assert_eq!(numbers(&pair.asks(3, 2)), [4]);
    // The peer misses them, and says so; or the driver says that the connection broke.
    let again = pair.hears(Label { received: 2, ..Label::default() }, Peer::Heard { again: true });
    assert_eq!(numbers(&again), [3, 4]);
    assert_eq!(numbers(&pair.give(Input::LinkBroken { peer: PEER, incarnation: 12 })), [3, 4]);
    let silent = pair.hears(Label { received: 4, ..Label::default() }, Peer::Heard { again: false });
    assert!(silent.is_empty() && pair.node.counters().link_bytes == 0);
    assert!(
        pair.give(Input::LinkBroken { peer: PEER, incarnation: 12 }).is_empty(),
        "there is nothing to send again"
    );
    // A heartbeat says how far the other side is.
    let label = Label { after: 4, received: 4, ..Label::default() };
    let alive = Peer::Alive { epoch: Epoch(5), alive: alive() };
    pair.ms = 300;
    let said = pair.hears(label, alive);
    assert!(matches!(said[..], [(Label { received: 3, .. }, Peer::Heard { again: true })]), "{said:?}");
}

#[test]
fn another_incarnation_takes_nothing() {
    let mut pair = Pair::new(32 << 20);
    let player = EntityId::new(Kind(1), 1);
    let line = gundo_kernel::Line { edge: PEER, conn: ConnId(1) };
    let message = || Peer::ToPlayer { player, line, message: ToPlayer::Gone { leave: false } };
    let before = pair.node.counters();
    for label in [
        Label { from: 12, to: 10, number: 1, ..Label::default() },
        Label { from: 12, to: 12, number: 1, ..Label::default() },
        Label { from: 9, to: 11, number: 1, ..Label::default() },
    ] {
        pair.give(Input::Peer { from: PEER, label, message: message() });
    }
    assert_eq!(pair.node.counters().stale, before.stale + 1, "the sender that was removed is told");
    assert_eq!(pair.node.counters().links_repeated, before.links_repeated + 2);
    // And what never was sent cannot have arrived.
    pair.hears(Label { number: 1, received: 99, ..Label::default() }, message());
    assert!(pair.node.counters().link_bytes > 0, "it is not believed");
}

#[test]
fn beyond_the_limit_both_begin_again() {
    let mut pair = Pair::new(2_000);
    let mut sent = Vec::new();
    for number in 1..=40 {
        sent.extend(pair.asks(number, 0));
    }
    let reset = sent.iter().position(|(label, _)| label.resets == 1).expect("it is reset");
    assert!((3..20).contains(&reset), "after {reset} messages");
    let (label, first) = &sent[reset];
    assert_eq!(label.number, 1, "it begins again");
    assert!(matches!(first, Peer::Home { message: HomeMessage::Announce { .. }, .. }), "{first:?}");
    assert_eq!(pair.node.counters().link_resets, 1, "at most once per second, however much is lost");
    assert!(pair.node.counters().link_bytes <= 2_000);
    assert!(!pair.node.is_ready(), "its homes are closed until the peer has announced again");
    // What the peer sent before it heard of that is not taken; then it begins again too.
    assert!(pair.asks(41, 0).is_empty());
    let announce = HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes: vec![], last: true };
    let message = Peer::Home { epoch: Epoch(5), message: announce };
    pair.hears(Label { resets: 1, number: 1, received: 1, ..Label::default() }, message);
    assert!(pair.node.is_ready());
    // The peer resets it: this side does as well.
    let said = pair.hears(Label { resets: 2, ..Label::default() }, Peer::Heard { again: false });
    assert!(matches!(said[0], (Label { resets: 2, number: 1, .. }, Peer::Home { .. })), "{said:?}");
    assert_eq!(pair.node.counters().link_resets, 2);
}

/// Pieces that do not follow each other, or make no message: counted, and both begin again.
#[test]
fn pieces_that_make_no_message_reset_the_link() {
    let piece = |left| Peer::Piece { bytes: vec![0xff; 9].into(), left };
    for (first, second) in
        [(piece(1), piece(0)), (piece(7), piece(5)), (piece(1), Peer::KeyframeWanted(Default::default()))]
    {
        let mut pair = Pair::new(32 << 20);
        pair.hears(Label { number: 1, received: 1, ..Label::default() }, first);
        assert_eq!((pair.node.counters().nonsense, pair.node.counters().link_resets), (0, 0));
        pair.hears(Label { number: 2, received: 1, ..Label::default() }, second);
        pair.give(Input::Timeout);
        assert_eq!((pair.node.counters().nonsense, pair.node.counters().link_resets), (1, 1));
    }
}
