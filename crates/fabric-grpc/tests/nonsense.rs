//! Any bytes at any time: the connection is closed with a reason and counted, and nothing panics.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use common::rude::{PATH, Rude, framed, hello, messages, parcel_of};
use common::{Process, settings, until};
use gundo_fabric::suite::must;
use gundo_fabric_grpc::PeerAddress;
use gundo_kernel::Input;
use gundo_types::NodeId;
use gundo_wire::fabric::Hello;
use prost::Message;

fn sound(number: u64) -> Vec<u8> {
    let (label, message) = must(12, 11, number);
    message.encode(&label).expect("it is small").to_vec()
}

/// What comes after a sound beginning and is none, each with its name.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let alive = {
        use gundo_wire::peer::{Alive, PeerMessage, peer_message::Arrow};
        let arrow = Some(Arrow::Alive(Alive { unreachable: vec![1 << 20], ..Alive::default() }));
        PeerMessage { incarnation: 12, arrow, ..PeerMessage::default() }.encode_to_vec()
    };
    vec![
        ("a message that is no protobuf", messages(vec![sound(1), vec![0xff; 40]])),
        ("a message out of range", messages(vec![alive])),
        ("a parcel that is no protobuf", framed(&[0xff; 40])),
        ("a second hello", parcel_of(hello(1))),
        ("too many messages", messages(vec![Vec::new(); 5_000])),
        ("a message that is too large", messages(vec![vec![0; (1 << 20) + 1]])),
        ("a parcel that is too large", messages(vec![vec![0; 1 << 20]; 3])),
        ("a compressed parcel", vec![1, 0, 0, 0, 1, 7]),
        ("another flag", vec![9, 0, 0, 0, 1, 7]),
    ]
}

#[test]
fn nonsense_after_the_hello_ends_the_link() {
    let (one, _of_one) = Process::start(settings(1, None), 11);
    for (count, (what, bytes)) in nonsense().into_iter().enumerate() {
        for lane in [0, 1] {
            let mut rude = Rude::new();
            rude.link(&one);
            rude.lanes[lane].send(messages(vec![sound(7)])).expect("it is open");
            let mut heard = Vec::new();
            until("what is sound arrives", || {
                heard.append(&mut one.heard.take());
                !heard.is_empty()
            });
            rude.lanes[lane].send(bytes.clone()).expect("it is open");
            heard.clear();
            until(what, || {
                heard.append(&mut one.heard.take());
                !heard.is_empty()
            });
            let broken = [Input::LinkBroken { peer: NodeId(2), incarnation: 12 }];
            assert_eq!(format!("{heard:?}"), format!("{broken:?}"), "{what}: nothing of its parcel is taken");
            assert_eq!(one.fabric.counts().malformed, 2 * count as u64 + lane as u64 + 1, "{what}");
        }
    }
}

#[test]
fn what_is_no_hello_is_refused() {
    let (one, _of_one) = Process::start(settings(1, None), 11);
    let firsts = [
        messages(vec![sound(1)]),
        framed(&[0xff; 9]),
        framed(&[]),
        parcel_of(hello(9)),
        parcel_of(Hello { node: 0, ..hello(1) }),
        parcel_of(Hello { node: 70_000, ..hello(1) }),
        parcel_of(Hello { incarnation: 0, ..hello(1) }),
        parcel_of(Hello { incarnation: 3, ..hello(1) }),
        parcel_of(Hello { to_incarnation: 10, ..hello(1) }),
        parcel_of(Hello { world: "\u{0}\u{1b}[2J".repeat(1_000), ..hello(1) }),
    ];
    let mut rude = Rude::new();
    for first in firsts {
        rude.call(one.fabric.address(), PATH, first);
    }
    rude.call(one.fabric.address(), "http://gundo/another", parcel_of(hello(1)));
    until("they are refused", || one.fabric.counts().refused >= 8);
    // The same lane twice.
    rude.call(one.fabric.address(), PATH, parcel_of(hello(1)));
    rude.call(one.fabric.address(), PATH, parcel_of(hello(1)));
    until("the second is refused", || one.fabric.counts().refused >= 9);
    assert!(!one.is_up(2) && one.heard.take().is_empty());
    // It still serves others.
    Rude::new().link(&one);
}

/// No HTTP/2 at all, from the side that dials.
#[test]
fn bytes_of_any_kind_are_survived_by_the_listener() {
    let (one, _of_one) = Process::start(settings(1, None), 11);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in
        [&[0xff; 500][..], b"GET / HTTP/1.1\r\n\r\n", &preface[..9], &[preface, &[0xff; 99][..]].concat()]
    {
        let mut stream = TcpStream::connect(one.fabric.address()).expect("it listens");
        stream.write_all(bytes).expect("it is open");
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Rude::new().link(&one);
}

/// And from the side that is dialled.
#[test]
fn bytes_of_any_kind_are_survived_by_the_side_that_dials() {
    let (two, _of_two) = Process::start(settings(2, None), 12);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    two.fabric.set_peers(&[PeerAddress { node: NodeId(1), incarnation: 11, address }]);
    // SETTINGS, and an answer that is none.
    let http2 = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    for answer in [
        &[0xff; 500][..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &http2,
        &[&http2[..], &[0xff; 90]].concat(),
        b"",
    ] {
        let before = two.fabric.counts().dials_failed;
        let (mut stream, _) = listener.accept().expect("it dials");
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Both);
        until("the attempt has failed", || two.fabric.counts().dials_failed > before);
    }
    assert!(two.heard.take().is_empty() && !two.trouble(1).is_empty());
}
