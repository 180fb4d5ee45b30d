//! The socket against a correct WebSocket server, and against bytes no server should send.

use std::net::TcpListener;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use tungstenite::Message;

use super::*;

/// Connects to a server run by `serve` on a thread of its own; collects messages until the connection ends.
fn talk(
    serve: impl FnOnce(std::net::TcpStream) + Send + 'static,
    mut on: impl FnMut(&mut Vec<Vec<u8>>, &mut Socket),
) -> (Vec<Vec<u8>>, Broken) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || serve(listener.accept().expect("a client").0));
    let mut poll = Poll::new().expect("an event queue");
    let mut socket = Socket::connect(to, "test:1", "/ws", Chance::new(1)).expect("begins");
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(socket.stream(), Token(0), both).expect("registers");
    let mut events = Events::with_capacity(8);
    let mut scratch = vec![0; 1 << 10];
    let (mut messages, mut opened) = (Vec::new(), false);
    let end = 'talk: loop {
        poll.poll(&mut events, Some(Duration::from_secs(20))).expect("polls");
        assert!(!events.is_empty(), "nothing happens any more");
        for event in &events {
            if event.is_writable()
                && let Err(broken) = socket.handle_writable()
            {
                break 'talk broken;
            }
            let mut open_now = false;
            let read = socket.read(&mut scratch, event.is_read_closed(), &mut |incoming| match incoming {
                Incoming::Open => open_now = true,
                Incoming::Message(m) => messages.push(m.to_vec()),
            });
            if open_now {
                assert!(!std::mem::replace(&mut opened, true));
                on(&mut messages, &mut socket);
            }
            if let Err(broken) = read {
                break 'talk broken;
            }
        }
    };
    // Some servers wait until the client closes.
    drop(socket);
    server.join().expect("the server is content");
    (messages, end)
}

#[test]
fn messages_of_all_sizes_go_both_ways() {
    let sizes = [0usize, 1, 125, 126, 65_535, 65_536, 300_000];
    let bytes = |n: usize| (0..n).map(|i| (i * 7 + n) as u8).collect::<Vec<_>>();
    let (messages, end) = talk(
        move |stream| {
            let mut ws = tungstenite::accept(stream).expect("an upgrade");
            for n in sizes {
                let heard = loop {
                    match ws.read().expect("a message") {
                        Message::Pong(stamp) => assert_eq!(stamp, [1u8, 2, 3][..]),
                        heard => break heard,
                    }
                };
                assert_eq!(heard, Message::Binary(bytes(n).into()));
                ws.send(Message::Ping(vec![1, 2, 3].into())).expect("sends");
                ws.send(heard).expect("sends");
            }
            assert_eq!(ws.read().expect("a pong"), Message::Pong(vec![1, 2, 3].into()));
            ws.close(None).expect("closes");
            while ws.read().is_ok() {}
        },
        move |_, socket| {
            for n in sizes {
                socket.send(&bytes(n)).expect("open");
            }
        },
    );
    assert!(matches!(end, Broken::Closed), "{end}");
    assert_eq!(messages, sizes.map(bytes));
}

#[test]
fn fragments_are_joined_whatever_their_timing() {
    let frames: &[&[u8]] = &[&[0x02, 3, 1, 2, 3], &[0x89, 0], &[0x00, 2, 4, 5], &[0x80, 1, 6], &[0x82, 1, 9]];
    let wire: Vec<u8> = frames.concat();
    let (messages, end) = talk(
        move |stream| {
            let mut ws = tungstenite::accept(stream).expect("an upgrade");
            for byte in wire {
                ws.get_mut().write_all(&[byte]).expect("sends");
                ws.get_mut().flush().expect("sends");
            }
            // Closing a socket with an unread pong in it would discard what the client has not read yet.
            ws.get_mut().read_exact(&mut [0; 6]).expect("the pong: two bytes of head, four of mask");
        },
        |_, _| {},
    );
    // The server closed without a close frame, with or without having read the pong.
    assert!(matches!(end, Broken::Closed | Broken::Io(_)), "{end}");
    assert_eq!(messages, [vec![1, 2, 3, 4, 5, 6], vec![9]]);
}

#[test]
fn what_is_no_websocket_is_told_apart() {
    let answer = |text: &'static str| {
        move |mut stream: std::net::TcpStream| {
            let mut head = [0; 1_024];
            let _ = stream.read(&mut head).expect("a request");
            stream.write_all(text.as_bytes()).expect("sends");
        }
    };
    let (_, end) = talk(answer("HTTP/1.1 404 Not Found\r\n\r\n"), |_, _| {});
    assert!(matches!(&end, Broken::Upgrade(line) if line.contains("404")), "{end}");
    let (_, end) = talk(answer("HTTP/1.1 101 Ok\r\nSec-WebSocket-Accept: wrong\r\n\r\n"), |_, _| {});
    assert!(matches!(end, Broken::Protocol(_)), "{end}");
}

#[test]
fn frames_no_server_may_send_break_the_connection() {
    let cases: [&[u8]; 5] = [
        &[0xc2, 0],                           // a reserved bit
        &[0x82, 0x80, 0, 0, 0, 0],            // masked
        &[0x81, 1, b'x'],                     // text
        &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], // 4 GiB
        &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
    ];
    for bytes in cases {
        let (messages, end) = talk(
            move |stream| {
                let mut ws = tungstenite::accept(stream).expect("an upgrade");
                ws.get_mut().write_all(bytes).expect("sends");
                // Wait until the client has closed.
                let _ = ws.get_mut().read(&mut [0; 64]);
            },
            |_, _| {},
        );
        assert!(matches!(end, Broken::Protocol(_)), "{bytes:?}: {end}");
        assert!(messages.is_empty());
    }
}
