//! What every fabric promises, as tests: [`conformance!`](crate::conformance) makes one test per function here for a fabric of yours.
//!
//! A case makes its own [`Site`], a network without nodes. It uses nodes only through [`Fabric`] and what has come for them. It
//! waits for what must come, with a limit that no working fabric reaches, and never for what must not come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gundo_kernel::{Input, Label, Peer};
use gundo_types::{ChunkId, NodeId};
use gundo_wire::Message;
use gundo_wire::client::{Enter, Frame, ServerMessage};
use gundo_wire::peer::{self as wire, PeerMessage, peer_message::Arrow};

use crate::Fabric;

/// A network of nodes of one world.
pub trait Site {
    /// Starts a node.
    fn start(&mut self, node: NodeId, incarnation: u64) -> Box<dyn Fabric>;

    /// Ends a node, as a crash would.
    fn end(&mut self, node: NodeId, fabric: Box<dyn Fabric>);

    /// What has come for a node since the last call. While it is not called, the node takes nothing.
    fn take(&mut self, node: NodeId) -> Vec<Input>;

    /// A new view: all nodes that run hear of it. Returns when all of its members that run reach each other.
    fn set_view(&mut self, members: &[(NodeId, u64)]);

    /// Breaks the connections between two nodes, which live on. False: this network cannot.
    fn cut(&mut self, one: NodeId, other: NodeId) -> bool;

    /// Bytes of frames that may wait between two nodes, wherever they wait.
    fn frames_bytes_max(&self) -> usize;
}

/// Makes one `#[test]` per case of the suite. The argument is an expression that gives a fresh [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance!(@ $make;
            what_must_arrive_comes_in_order, frames_come_in_order, a_message_to_nobody_is_lost,
            an_end_is_reported_once_with_its_incarnation, of_an_earlier_life_nothing_comes,
            frames_are_bounded_and_what_must_arrive_is_kept, a_peer_that_takes_nothing_delays_no_other,
            a_connection_that_broke_comes_back
        );
    };
    (@ $make:expr; $($case:ident),*) => { $(
        #[test]
        fn $case() {
            $crate::suite::$case($make);
        }
    )* };
}

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
const THREE: NodeId = NodeId(3);
/// The members of the view that most cases begin with.
const MEMBERS: [(NodeId, u64); 3] = [(ONE, 11), (TWO, 12), (THREE, 13)];
/// No working fabric needs so long.
const LONG: Duration = Duration::from_secs(60);

/// A message that must arrive, with a number.
pub fn must(from: u64, to: u64, number: u64) -> (Label, Peer) {
    let label = Label { from, to, number, ..Label::default() };
    (label, Peer::KeyframeWanted(ChunkId { island: 0, x: (number % 1_000) as i16, y: 0 }))
}

/// A bundle of frames of about so many bytes.
pub fn frames(from: u64, to: u64, number: u64, bytes: usize) -> (Label, Peer) {
    let enter = Enter { kind: 1, id: number, public: vec![7; bytes].into(), ..Enter::default() };
    let frame =
        Frame { publisher: 1, tick: number as u32, enter: vec![enter], keyframe: true, ..Frame::default() };
    let roster = ServerMessage { frames: vec![frame], ..ServerMessage::default() }.encode_to_vec().into();
    let chunk = Some(wire::Chunk { island: 0, x: 0, y: 0 });
    let frames = vec![wire::ChunkFrame { chunk, roster, ..wire::ChunkFrame::default() }];
    let arrow = Some(Arrow::Frames(wire::Frames { number, frames }));
    let message = PeerMessage { incarnation: from, to, arrow, ..PeerMessage::default() };
    Peer::decode(Bytes::from(message.encode_to_vec())).expect("a bundle")
}

/// Nodes 1 to 3, which reach each other.
fn three<S: Site>(site: &mut S) -> [Box<dyn Fabric>; 3] {
    let fabrics = MEMBERS.map(|(node, incarnation)| site.start(node, incarnation));
    site.set_view(&MEMBERS);
    fabrics
}

/// Takes what comes for a node until it is enough.
fn until<S: Site>(site: &mut S, node: NodeId, got: &mut Vec<Input>, enough: impl Fn(&[Input]) -> bool) {
    let end = Instant::now() + LONG;
    loop {
        got.append(&mut site.take(node));
        if enough(got) {
            return;
        }
        assert!(Instant::now() < end, "{node} waits for what does not come; it got {} inputs", got.len());
        // It looks again, until the end of all patience.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The numbers of what must arrive, from an incarnation.
fn numbers(got: &[Input], incarnation: u64) -> Vec<u64> {
    let labels = got.iter().filter_map(|input| match input {
        Input::Peer { label, .. } if label.from == incarnation && label.number > 0 => Some(label.number),
        _ => None,
    });
    labels.collect()
}

/// The numbers of the bundles.
fn bundles(got: &[Input]) -> Vec<u64> {
    let numbers = got.iter().filter_map(|input| match input {
        Input::Peer { message: Peer::Frames { number, .. }, .. } => Some(*number),
        _ => None,
    });
    numbers.collect()
}

/// The broken connections that a node heard of.
fn broken(got: &[Input]) -> Vec<(NodeId, u64)> {
    let all = got.iter().filter_map(|input| match input {
        Input::LinkBroken { peer, incarnation } => Some((*peer, *incarnation)),
        _ => None,
    });
    all.collect()
}

fn send(fabric: &mut dyn Fabric, to: NodeId, messages: impl IntoIterator<Item = (Label, Peer)>) {
    for (label, message) in messages {
        fabric.push(to, label, message);
    }
    fabric.flush();
}

/// Messages that must arrive, of many turns and in both directions at once.
pub fn what_must_arrive_comes_in_order(mut site: impl Site) {
    let [mut one, mut two, _three] = three(&mut site);
    for turn in 0..200 {
        let of_turn = |from, to| (1..=50).map(move |i| must(from, to, turn * 50 + i));
        send(&mut *one, TWO, of_turn(11, 12));
        send(&mut *two, ONE, of_turn(12, 11));
    }
    for (node, from) in [(TWO, 11), (ONE, 12)] {
        let mut got = Vec::new();
        until(&mut site, node, &mut got, |got| numbers(got, from).len() >= 10_000);
        assert!(numbers(&got, from).into_iter().eq(1..=10_000), "{node}: in order, each once");
        assert_eq!(broken(&got), []);
    }
}

/// Frames of a moderate size come in order, and all of them, with their contents.
pub fn frames_come_in_order(mut site: impl Site) {
    let [mut one, _two, _three] = three(&mut site);
    let mut got = Vec::new();
    for number in 1..=200 {
        send(&mut *one, TWO, [frames(11, 12, number, 5_000)]);
        got.append(&mut site.take(TWO));
    }
    until(&mut site, TWO, &mut got, |got| bundles(got).len() >= 200);
    assert!(bundles(&got).into_iter().eq(1..=200));
    for input in &got {
        let Input::Peer { from, label, message: Peer::Frames { frames, .. } } = input else { continue };
        assert_eq!((*from, label.from, label.to), (ONE, 11, 12));
        let bytes = frames[0].roster.as_ref().map(|part| part.bytes.clone()).expect("a roster");
        let frame = &ServerMessage::decode(bytes).expect("what clients get").frames[0];
        assert_eq!(frame.enter[0].public.len(), 5_000);
    }
}

/// Nobody is there: nothing happens. A node that comes later gets what is sent then.
pub fn a_message_to_nobody_is_lost(mut site: impl Site) {
    let mut one = site.start(ONE, 11);
    site.set_view(&[(ONE, 11)]);
    send(&mut *one, TWO, (1..=10).map(|number| must(11, 12, number)));
    let _two = site.start(TWO, 12);
    site.set_view(&[(ONE, 11), (TWO, 12)]);
    send(&mut *one, TWO, [must(11, 12, 11)]);
    let mut got = Vec::new();
    until(&mut site, TWO, &mut got, |got| !numbers(got, 11).is_empty());
    assert_eq!(numbers(&got, 11), [11]);
    assert_eq!(broken(&site.take(ONE)), []);
}

/// All peers of a node that ends hear of it, once.
pub fn an_end_is_reported_once_with_its_incarnation(mut site: impl Site) {
    let [mut one, two, mut three] = three(&mut site);
    site.end(TWO, two);
    let mut got = [Vec::new(), Vec::new()];
    for (node, got) in [ONE, THREE].into_iter().zip(&mut got) {
        until(&mut site, node, got, |got| !broken(got).is_empty());
    }
    // They still reach each other, and what they send to the dead node is lost or waits.
    send(&mut *one, TWO, [must(11, 12, 1)]);
    send(&mut *one, THREE, [must(11, 13, 1)]);
    send(&mut *three, ONE, [must(13, 11, 1)]);
    let [of_one, of_three] = &mut got;
    until(&mut site, ONE, of_one, |got| !numbers(got, 13).is_empty());
    until(&mut site, THREE, of_three, |got| !numbers(got, 11).is_empty());
    assert_eq!((broken(of_one), broken(of_three)), (vec![(TWO, 12)], vec![(TWO, 12)]));
}

/// A node comes back as another incarnation: what its peers sent to the earlier one, or got from it, is over.
pub fn of_an_earlier_life_nothing_comes(mut site: impl Site) {
    let [mut one, mut two, mut three] = three(&mut site);
    send(&mut *two, ONE, (1..=100).map(|number| must(12, 11, number)));
    site.end(TWO, two);
    let mut got = Vec::new();
    until(&mut site, ONE, &mut got, |got| broken(got) == [(TWO, 12)]);
    let before = numbers(&got, 12);
    assert!(before.iter().copied().eq(1..=before.len() as u64), "a beginning of what it sent");
    let mut again = site.start(TWO, 19);
    site.set_view(&[(ONE, 11), (TWO, 19), (THREE, 13)]);
    send(&mut *again, ONE, [must(19, 11, 1)]);
    send(&mut *one, TWO, [must(11, 19, 1)]);
    send(&mut *three, TWO, [must(13, 19, 1)]);
    until(&mut site, ONE, &mut got, |got| numbers(got, 19) == [1]);
    assert_eq!(numbers(&got, 12), before, "nothing of the earlier life came after its end");
    assert_eq!(broken(&got), [(TWO, 12)]);
    let mut its = Vec::new();
    let both = |got: &[Input]| numbers(got, 11).len() + numbers(got, 13).len() == 2;
    until(&mut site, TWO, &mut its, both);
    assert_eq!(broken(&its), []);
}

/// A peer that takes nothing gets fewer frames, the newest, and everything else.
pub fn frames_are_bounded_and_what_must_arrive_is_kept(mut site: impl Site) {
    const BYTES: usize = 60_000;
    let [mut one, _two, _three] = three(&mut site);
    let most = site.frames_bytes_max() / BYTES;
    let sent = 2 * most as u64 + 50;
    for number in 1..=sent {
        send(&mut *one, TWO, [frames(11, 12, number, BYTES), must(11, 12, number)]);
    }
    let mut got = Vec::new();
    // What must arrive comes also past the frames.
    until(&mut site, TWO, &mut got, |got| numbers(got, 11).len() as u64 == sent);
    assert!(numbers(&got, 11).into_iter().eq(1..=sent));
    let end = Instant::now() + LONG;
    // Frames go on, once it takes what comes.
    let mut number = sent;
    while bundles(&got).last() <= Some(&sent) {
        number += 1;
        send(&mut *one, TWO, [frames(11, 12, number, 10)]);
        got.append(&mut site.take(TWO));
        assert!(Instant::now() < end, "new frames come again");
        // It looks again, until the end of all patience.
        std::thread::sleep(Duration::from_millis(1));
    }
    let came = bundles(&got);
    let waited = came.iter().filter(|number| **number <= sent).count();
    assert!(came.is_sorted(), "in order: {came:?}");
    assert!((1..=most).contains(&waited), "{waited} of {sent} bundles waited; {most} may");
    assert_eq!(broken(&got), []);
}

/// A node that takes nothing for a while is no reason for another one to wait.
pub fn a_peer_that_takes_nothing_delays_no_other(mut site: impl Site) {
    let [mut one, _two, _three] = three(&mut site);
    let bytes = site.frames_bytes_max();
    let mut got = Vec::new();
    for number in 1..=100 {
        send(&mut *one, TWO, [frames(11, 12, number, (bytes / 40).min(200_000)), must(11, 12, number)]);
        send(&mut *one, THREE, [must(11, 13, number), frames(11, 13, number, 100)]);
        until(&mut site, THREE, &mut got, |got| numbers(got, 11).len() as u64 == number);
    }
    until(&mut site, THREE, &mut got, |got| bundles(got).len() == 100);
}

/// Both ends hear of a break, and then go on by another connection.
pub fn a_connection_that_broke_comes_back(mut site: impl Site) {
    let [mut one, mut two, _three] = three(&mut site);
    for round in 1..=5 {
        if !site.cut(ONE, TWO) {
            return;
        }
        let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
        until(&mut site, ONE, &mut of_one, |got| broken(got) == [(TWO, 12)]);
        until(&mut site, TWO, &mut of_two, |got| broken(got) == [(ONE, 11)]);
        // What is sent before the next connection is there waits for it.
        send(&mut *one, TWO, [must(11, 12, round)]);
        send(&mut *two, ONE, [must(12, 11, round)]);
        until(&mut site, ONE, &mut of_one, |got| numbers(got, 12) == [round]);
        until(&mut site, TWO, &mut of_two, |got| numbers(got, 11) == [round]);
        assert_eq!(broken(&of_one).len() + broken(&of_two).len(), 2, "each break is told once");
        assert_eq!(broken(&site.take(THREE)), [], "nobody else hears of it");
    }
}
