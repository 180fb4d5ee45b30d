//! What goes wrong between two processes: strangers, holes in the network, peers that take nothing.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Process, Proxy, identity, pair, settings, until};
use gundo_fabric::Sink;
use gundo_fabric::suite::{frames, must};
use gundo_fabric_grpc::{DialFault, GrpcFabric, Identity, Settings};
use gundo_kernel::{Input, Peer};
use gundo_types::NodeId;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
/// More small parcels than fill a window.
const MANY: u64 = 30_000;

/// Waits until a node has heard that a connection broke, and returns everything it has heard until then.
fn until_broken(process: &Process) -> Vec<Input> {
    let mut heard = Vec::new();
    until("a break is reported", || {
        heard.append(&mut process.heard.take());
        heard.iter().any(|input| matches!(input, Input::LinkBroken { .. }))
    });
    heard
}

fn both_up([one, two]: &[Process; 2]) {
    until("the link is up", || one.is_up(2) && two.is_up(1));
}

/// The code with which node 1 refuses a node 2 that differs in one thing.
fn refused(change: impl FnOnce(&mut Identity)) -> String {
    let mut other = settings(2, None);
    change(&mut other.identity);
    let ([one, two], [_of_one, mut of_two]) = pair((settings(1, None), other), |address| address);
    until("node 2 is refused", || two.fabric.counts().refused_by_peer > 1);
    of_two.push(ONE, must(12, 11, 1).0, must(12, 11, 1).1);
    of_two.flush();
    let asked = two.fabric.ask(ONE, &one.fabric.address().to_string());
    let Err(DialFault::Refused(refused)) = asked else { panic!("it only asks: {asked:?}") };
    assert!(two.trouble(1).contains(&refused.code), "{}", two.trouble(1));
    assert!(!one.is_up(2) && !two.is_up(1) && one.fabric.counts().refused > 1);
    assert!(one.heard.take().is_empty() && two.heard.take().is_empty(), "nothing is delivered");
    refused.code
}

#[test]
fn what_differs_is_refused_on_both_sides() {
    assert_eq!(refused(|it| it.world = "another".into()), "other_world");
    assert_eq!(refused(|it| it.cell = 7), "other_cell");
    assert_eq!(refused(|it| it.game = "meadow".into()), "other_game");
    assert_eq!(refused(|it| it.settings[0].value += 1), "other_settings");
    assert_eq!(refused(|it| it.protocol = (0, 0)), "too_old");
    assert_eq!(refused(|it| it.protocol = (7, 9)), "too_new");
}

#[test]
fn a_node_that_would_be_taken_hears_so_before_it_joins() {
    let (one, _of_one) = Process::start(settings(1, None), 11);
    let two = GrpcFabric::start(settings(2, None)).expect("it listens");
    let address = one.fabric.address().to_string();
    two.ask(ONE, &address).expect("it would be taken");
    two.ask(NodeId(0), &address).expect("whoever it is");
    let Err(DialFault::Refused(refused)) = two.ask(NodeId(3), &address) else {
        panic!("node 3 is not there")
    };
    assert_eq!(refused.code, "not_here");
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert!(matches!(two.ask(ONE, &nobody.to_string()), Err(DialFault::Unreachable(_))));
}

#[test]
fn each_node_number_has_one_process() {
    let (one, _of_one) = Process::start(settings(1, None), 11);
    let (two, _of_two) = Process::start(settings(2, None), 19);
    let view = [one.at(1, one.fabric.address()), two.at(2, two.fabric.address())];
    [&one, &two].iter().for_each(|process| process.fabric.set_peers(&view));
    until("the link is up", || one.is_up(2) && two.is_up(1));
    // An earlier incarnation of node 2, and another node 1.
    let (earlier, _of_earlier) = Process::start(settings(2, None), 15);
    earlier.fabric.set_peers(&view);
    until("it is refused", || earlier.trouble(1).contains("superseded"));
    let mut same = settings(1, None);
    same.identity = identity(1);
    let (same, _of_same) = Process::start(same, 30);
    let mut of_two = two.at(2, one.fabric.address());
    same.fabric.set_peers(std::slice::from_ref(&of_two));
    until("it is refused", || same.trouble(2).contains("node_twice"));
    // A wrong address: another node is there.
    of_two.address = two.fabric.address().to_string();
    let (three, _of_three) = Process::start(settings(3, None), 40);
    three.fabric.set_peers(&[one.at(1, two.fabric.address())]);
    until("it is refused", || three.trouble(1).contains("not_here"));
    assert!(one.is_up(2) && two.is_up(1) && one.heard.take().is_empty() && two.heard.take().is_empty());
}

#[test]
fn a_node_that_has_not_joined_yet_is_reached_later() {
    let late = GrpcFabric::start(settings(1, None)).expect("it listens");
    let (two, _of_two) = Process::start(settings(2, None), 12);
    let at =
        gundo_fabric_grpc::PeerAddress { node: ONE, incarnation: 11, address: late.address().to_string() };
    two.fabric.set_peers(&[at]);
    until("it is refused", || two.trouble(1).contains("not_joined"));
    let heard = Arc::new(common::Heard::default());
    // No view has come yet: the newcomer's link comes up anyway.
    let _handle = late.join(11, heard as Arc<dyn Sink>);
    until("the link is up", || two.is_up(1) && late.peers().iter().any(|peer| peer.up && !peer.member));
}

/// Nothing is closed, and nothing travels.
fn hole(tear: impl FnOnce(&Proxy), mend: impl FnOnce(&Proxy)) {
    let mut proxy = None;
    let way = |address| proxy.insert(Proxy::start(address)).address;
    let (processes, [_of_one, mut of_two]) = pair((settings(1, None), settings(2, None)), way);
    let proxy = proxy.expect("it is there");
    both_up(&processes);
    tear(&proxy);
    for (process, peer) in processes.iter().zip([(TWO, 12), (ONE, 11)]) {
        let heard = until_broken(process);
        let [Input::LinkBroken { peer: node, incarnation }] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!((*node, *incarnation), peer);
        assert_eq!(process.fabric.counts().malformed, 0);
    }
    mend(&proxy);
    both_up(&processes);
    of_two.push(ONE, must(12, 11, 1).0, must(12, 11, 1).1);
    of_two.flush();
    until("messages travel again", || !processes[0].heard.take().is_empty());
}

#[test]
fn a_black_hole_is_noticed_by_both() {
    hole(|proxy| proxy.black_hole(true), |proxy| proxy.black_hole(false));
}

#[test]
fn a_half_open_connection_is_noticed_by_both() {
    hole(Proxy::cut_half, |proxy| proxy.black_hole(false));
}

/// A peer takes nothing: what waits is bounded, the oldest frames go, and what must arrive ends the link.
#[test]
fn a_slow_reader_fills_no_memory() {
    let small = |node| {
        let mut settings = settings(node, None);
        settings.limits.messages_bytes_max = 4 << 20;
        settings
    };
    let (processes, [mut of_one, _of_two]) = pair((small(1), small(2)), |address| address);
    both_up(&processes);
    let [one, two] = &processes;
    two.heard.full.store(true, Ordering::Release);
    let waiting = || one.fabric.peers()[0].waiting_bytes;
    for number in 1..=200 {
        let (label, message) = frames(11, 12, number, 200_000);
        of_one.push(TWO, label, message);
        of_one.flush();
        assert!(waiting()[1] <= small(1).limits.frames_bytes_max);
    }
    assert!(of_one.dropped() > 100, "{} bundles of 200 were dropped", of_one.dropped());
    let mut broken = Vec::new();
    for number in 1..1_000_000 {
        let (label, message) = must(11, 12, number);
        of_one.push(TWO, label, message);
        of_one.flush();
        assert!(waiting()[0] <= 4 << 20);
        broken.append(&mut one.heard.take());
        if !broken.is_empty() {
            break;
        }
    }
    assert!(
        matches!(broken[..], [Input::LinkBroken { peer: TWO, incarnation: 12 }]),
        "{} / {}",
        one.trouble(2),
        two.trouble(1)
    );
    assert_eq!(
        one.fabric.counts().links_full,
        1,
        "{} {} {:?}",
        one.trouble(2),
        two.trouble(1),
        one.fabric.counts()
    );
    // The other end is told by its connections, although its inbox is full.
    assert!(matches!(until_broken(two).last(), Some(Input::LinkBroken { peer: ONE, incarnation: 11 })));
    two.heard.full.store(false, Ordering::Release);
    both_up(&processes);
}

/// A node that is busy for a moment reads nothing. Its peer sends many small parcels meanwhile: they wait, and nothing breaks.
#[test]
fn small_parcels_wait_for_a_slow_reader() {
    let (processes, [mut of_one, _of_two]) = pair((settings(1, None), settings(2, None)), |address| address);
    both_up(&processes);
    let [one, two] = &processes;
    two.heard.full.store(true, Ordering::Release);
    for number in 1..=MANY {
        let (label, message) = must(11, 12, number);
        of_one.push(TWO, label, message);
        of_one.flush();
        let before = one.fabric.counts().parcels_out;
        // Each message its own parcel, until the window is full.
        for _ in 0..1_000 {
            if one.fabric.counts().parcels_out > before || one.fabric.peers()[0].waiting_bytes[0] == 0 {
                break;
            }
            std::thread::yield_now();
        }
    }
    assert!(one.fabric.counts().parcels_out > 4_000, "{:?}", one.fabric.counts());
    two.heard.full.store(false, Ordering::Release);
    let mut arrived = 0;
    until("everything arrives", || {
        let heard = two.heard.take();
        assert!(heard.iter().all(|input| matches!(input, Input::Peer { .. })), "{}", two.trouble(1));
        arrived += heard.len() as u64;
        arrived == MANY
    });
    assert_eq!(one.fabric.counts().links_broken, 0, "{}", one.trouble(2));
}

#[test]
fn what_has_no_room_without_a_link_is_lost_for_good() {
    let mut small = settings(1, None);
    small.limits.messages_bytes_max = 100_000;
    let (one, mut of_one) = Process::start(small, 11);
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let at = gundo_fabric_grpc::PeerAddress { node: TWO, incarnation: 5, address: nobody.to_string() };
    one.fabric.set_peers(&[at]);
    for number in 1..=10_000 {
        of_one.push(TWO, must(11, 5, number).0, must(11, 5, number).1);
        of_one.flush();
    }
    let heard = one.heard.take();
    assert!(!heard.is_empty() && heard.iter().all(|input| matches!(input, Input::LinkLost { peer: TWO })));
    assert!(one.fabric.peers()[0].waiting_bytes[0] <= 100_000);
    until("a failed attempt is told", || !one.trouble(2).is_empty());
}

/// A message that its arrow does not allow is not sent, and the kernel hears that it is lost.
#[test]
fn what_is_too_large_is_lost_and_the_rest_arrives() {
    let (processes, [mut of_one, _of_two]) = pair((settings(1, None), settings(2, None)), |address| address);
    both_up(&processes);
    let [one, two] = &processes;
    let (label, _) = must(11, 12, 1);
    of_one.push(TWO, label, Peer::Piece { bytes: vec![7; 2 << 20].into(), left: 0 });
    of_one.push(TWO, must(11, 12, 2).0, must(11, 12, 2).1);
    of_one.flush();
    let mut came = Vec::new();
    until("the next one arrives", || {
        came.append(&mut two.heard.take());
        !came.is_empty()
    });
    assert!(matches!(&came[..], [Input::Peer { label, .. }] if label.number == 2), "{came:?}");
    assert!(matches!(one.heard.take()[..], [Input::LinkLost { peer: TWO }]));
    assert!(one.is_up(2) && one.fabric.counts().too_large == 1);
}

#[test]
fn who_was_removed_hears_of_it_and_is_not_dialled_again() {
    let (processes, [mut of_one, of_two]) = pair((settings(1, None), settings(2, None)), |address| address);
    both_up(&processes);
    let [one, two] = processes;
    one.fabric.set_peers(&[one.at(1, one.fabric.address())]);
    let (label, _) = must(11, 0, 0);
    of_one.push(TWO, label, Peer::Stale { epoch: gundo_types::Epoch(9) });
    of_one.flush();
    let mut came = Vec::new();
    until("it hears that it is stale", || {
        came.append(&mut two.heard.take());
        !came.is_empty()
    });
    assert!(matches!(came[0], Input::Peer { message: Peer::Stale { .. }, .. }));
    drop((two, of_two));
    until_broken(&one);
    assert_eq!(one.fabric.peers(), [], "it is forgotten");
}

/// Nodes whose handshake does not end hold no connection for long.
#[test]
fn who_says_nothing_is_sent_away() {
    use std::io::Read;
    let mut impatient = settings(1, None);
    impatient.limits.handshake_timeout = Duration::from_millis(50);
    let (one, _of_one) = Process::start(impatient, 11);
    let mut silent = std::net::TcpStream::connect(one.fabric.address()).expect("it listens");
    // Its end comes after what HTTP/2 says first.
    let mut said = Vec::new();
    silent.set_read_timeout(Some(common::LONG)).expect("a limit");
    let _ = silent.read_to_end(&mut said);
    let settings: Settings = settings(2, None);
    let (two, _of_two) = Process::start(settings, 12);
    two.fabric.set_peers(&[one.at(1, one.fabric.address())]);
    until("others are served", || two.is_up(1));
}

/// Frames may come before what was sent before them, so they do not say what that was: it would be asked for.
#[test]
fn labels_of_frames_do_not_say_what_was_before_them() {
    let (processes, [mut of_one, _of_two]) = pair((settings(1, None), settings(2, None)), |address| address);
    both_up(&processes);
    let (mut label, bundle) = frames(11, 12, 1, 10);
    label.after = 7;
    of_one.push(TWO, label, bundle);
    of_one.push(TWO, label, Peer::Sent { number: 1, rosters: Vec::new() });
    of_one.push(TWO, label, Peer::Heard { again: false });
    of_one.flush();
    let mut came = Vec::new();
    until("all three arrive", || {
        came.append(&mut processes[1].heard.take());
        came.len() == 3
    });
    for input in came {
        let Input::Peer { label, message, .. } = input else { panic!("{input:?}") };
        let after = if matches!(message, Peer::Heard { .. }) { 7 } else { 0 };
        assert_eq!((label.from, label.to, label.after), (11, 12, after), "{message:?}");
    }
}
