//! The tokio client against a small edge on a real socket: Welcome, picture, answers, a lost connection, the resume.

use std::net::{TcpListener, TcpStream};

use gundo_client::{Client, CommandError, Event, Events, SessionSettings};
use gundo_types::{EntityId, Kind};
use gundo_wire::Message as _;
use gundo_wire::client::{
    ClientMessage, Enter, EntityId as WireId, Frame, Refusal, Reply, ServerMessage, Welcome,
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

type Line = WebSocket<TcpStream>;

fn hear(line: &mut Line) -> ClientMessage {
    loop {
        if let Message::Binary(bytes) = line.read().expect("the client is there") {
            return ClientMessage::decode(bytes).expect("a client message");
        }
    }
}

fn say(line: &mut Line, message: &ServerMessage) {
    line.send(Message::Binary(message.encode_to_vec().into())).expect("the client is there");
}

/// Accepts a connection: returns the hello's token, and sends a Welcome with `token` and the own entity in a keyframe.
fn welcome(listener: &TcpListener, token: &'static [u8], next_seq: u64) -> (Line, Vec<u8>) {
    let (stream, _) = listener.accept().expect("a client");
    let mut line = tungstenite::accept(stream).expect("an upgrade");
    let hello = hear(&mut line).hello.expect("hello comes first");
    let welcome = Welcome {
        player: Some(WireId { kind: 1, id: 5 }),
        token: token.into(),
        next_seq,
        ..Default::default()
    };
    let enter = Enter { slot: 1, kind: 1, id: 5, has_body: true, x: 100, ..Default::default() };
    let frames =
        vec![Frame { publisher: 1, keyframe: true, roster: 1, enter: vec![enter], ..Default::default() }];
    say(&mut line, &ServerMessage { welcome: Some(welcome), frames, ..Default::default() });
    (line, hello.token.to_vec())
}

fn answer(line: &mut Line, refusal: Option<&str>) -> u64 {
    let command = hear(line).commands.pop().expect("a command");
    let refusal =
        refusal.map(|code| Refusal { code: code.into(), text: String::new(), ..Default::default() });
    let reply = Reply { seq: command.seq, payload: command.payload, refusal };
    say(line, &ServerMessage { replies: vec![reply], ..Default::default() });
    command.seq
}

async fn until(events: &mut Events, mut wanted: impl FnMut(&Event) -> bool) {
    while let Some((event, _)) = events.recv().await {
        if event.as_ref().is_some_and(&mut wanted) {
            return;
        }
    }
    panic!("the client ended too early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_plays_loses_its_edge_and_resumes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let edge = format!("ws://{}", listener.local_addr().expect("bound"));
    let server = std::thread::spawn(move || {
        let (mut line, token) = welcome(&listener, b"first", 7);
        assert!(token.is_empty(), "a new player has no token");
        assert_eq!(answer(&mut line, None), 7);
        assert_eq!(answer(&mut line, Some("too_far")), 8);
        // The edge receives the third command, and the connection breaks before its answer.
        assert_eq!(hear(&mut line).commands[0].seq, 9);
        drop(line);
        let (mut line, token) = welcome(&listener, b"second", 9);
        assert_eq!(token, b"first");
        assert_eq!(answer(&mut line, None), 9, "sent again with its old seq");
        assert!(hear(&mut line).bye.is_some());
    });

    let settings = SessionSettings::new(vec![edge.parse().expect("an address")], "ann");
    let (client, mut events) = Client::start(settings);
    until(&mut events, |e| matches!(e, Event::Welcomed(_))).await;
    let body = client.picture().entity(EntityId::new(Kind(1), 5)).and_then(|seen| seen.body);
    assert_eq!(body.map(|b| b.at.x), Some(1_000), "the picture is there with the welcome");
    assert_eq!(client.command(&b"a"[..]).await, Ok("a".into()));
    let refused = client.command(&b"b"[..]).await;
    assert!(matches!(refused, Err(CommandError::Refused(r)) if r.code == "too_far"));
    assert_eq!(client.command(&b"c"[..]).await, Ok("c".into()), "across the reconnect");
    client.leave().await;
    until(&mut events, |e| matches!(e, Event::Ended(None))).await;
    assert_eq!(client.command(&b"d"[..]).await, Err(CommandError::Ended));
    server.join().expect("the edge saw what it should");
}
