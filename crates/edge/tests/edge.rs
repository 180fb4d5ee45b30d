//! The edge on real sockets, with a test in the place of the node.

#[path = "edge/front.rs"]
mod front;
#[path = "edge/limits.rs"]
mod limits;
#[path = "edge/secure.rs"]
mod secure;
#[path = "edge/socket.rs"]
mod socket;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gundo_edge::{Delivery, Edge, EdgeSettings, Front, FrontSettings, NodeLink, Page, Urgency};
use gundo_kernel::{Input, SendClass};
use gundo_types::{ConnId, Limits, NodeId, Origin};
use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Closing, Command, Correction, Hello, Move, Ping, ServerMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

/// Nothing here takes long: a test that waits longer than this waits forever.
const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<TcpStream>;

/// The node's side: the test reads the inbox and answers as it wants.
struct Fake {
    inbox: mpsc::UnboundedSender<(Input, Urgency)>,
    full: AtomicBool,
    sick: AtomicBool,
}

impl NodeLink for Fake {
    fn give(&self, inputs: &mut Vec<Input>, urgency: Urgency) {
        for input in inputs.drain(..) {
            // The test may have ended already.
            let _ = self.inbox.send((input, urgency));
        }
    }
    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
    fn health(&self) -> Result<(), String> {
        if self.sick.load(Ordering::Relaxed) { Err("the journal is being read".into()) } else { Ok(()) }
    }
}

/// A recorder that remembers only the reasons for which connections were closed.
#[derive(Default)]
struct Reasons(Arc<Mutex<Vec<String>>>);

impl metrics::Recorder for Reasons {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        if key.name() == "gundo_closed_total" {
            let reason = key.labels().find(|l| l.key() == "reason").expect("every closing has a reason");
            self.0.lock().expect("no test panics with it").push(reason.value().to_owned());
        }
        metrics::Counter::noop()
    }
    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }
    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

struct World {
    front: Arc<Front>,
    edge: Edge,
    address: SocketAddr,
    node: Arc<Fake>,
    inbox: mpsc::UnboundedReceiver<(Input, Urgency)>,
    reasons: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn start(change: impl FnOnce(&mut EdgeSettings)) -> Self {
        let bound = Front::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = bound.address();
        let settings = FrontSettings::new(Arc::new(Page::placeholder("nothing", "1")));
        let metrics = Box::new(|| "gundo_up 1\n".to_owned());
        let front = Arc::new(Front::start(bound, None, settings, metrics, axum::Router::new()));
        Self::behind(front, address, 1, change)
    }

    /// One more node behind the same front.
    fn another(&self, node: u16) -> Self {
        Self::behind(Arc::clone(&self.front), self.address, node, |_| {})
    }

    fn behind(
        front: Arc<Front>,
        address: SocketAddr,
        node: u16,
        change: impl FnOnce(&mut EdgeSettings),
    ) -> Self {
        let mut settings = EdgeSettings::new(NodeId(node), 1, Limits::default());
        change(&mut settings);
        let (sender, inbox) = mpsc::unbounded_channel();
        let node =
            Arc::new(Fake { inbox: sender, full: AtomicBool::new(false), sick: AtomicBool::new(false) });
        let recorder = Reasons::default();
        let reasons = Arc::clone(&recorder.0);
        let link = Arc::clone(&node) as Arc<dyn NodeLink>;
        let edge = Edge::start(&front, settings, link, Arc::new(recorder)).expect("threads");
        Self { front, edge, address, node, inbox, reasons }
    }

    async fn connect(&self) -> Socket {
        let stream = TcpStream::connect(self.address).await.expect("the edge listens");
        self.upgrade(stream).await
    }

    async fn upgrade(&self, stream: TcpStream) -> Socket {
        let url = format!("ws://{}/ws", self.address);
        tokio_tungstenite::client_async(url, stream).await.expect("an upgrade").0
    }

    /// A connection whose Hello the node has seen.
    async fn greet(&mut self) -> (Socket, ConnId) {
        let mut socket = self.connect().await;
        send(&mut socket, hello()).await;
        let conn = self.hello_seen().await;
        (socket, conn)
    }

    async fn hello_seen(&mut self) -> ConnId {
        match self.input().await {
            (Input::Client { conn, message }, Urgency::Now) if message.hello.is_some() => conn,
            other => panic!("not a Hello: {other:?}"),
        }
    }

    async fn input(&mut self) -> (Input, Urgency) {
        tokio::time::timeout(PATIENCE, self.inbox.recv()).await.expect("an input").expect("the edge lives")
    }

    /// Returns when the edge has no connection left. The node hears `Gone` first, and the count falls after it.
    async fn emptied(&self) {
        let empty = async {
            while self.edge.connections() > 0 {
                // Nothing signals a change of the count; the wait is bounded below.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty).await.expect("no connection is kept");
    }

    fn send(&self, conn: ConnId, parts: Vec<Bytes>, class: SendClass) {
        self.edge.deliver(&mut vec![Delivery::Send { conn, parts, class }]);
    }

    /// Returns when the edge has taken everything it was given so far: once this client reads, it has received the last
    /// message.
    async fn taken(&self, (socket, conn): &mut (Socket, ConnId)) {
        self.send(*conn, vec![part(0, 0)], SendClass::Kept);
        while !matches!(next(socket).await, Some(Message::Binary(_))) {}
    }

    /// Expects the edge to close `socket` with `code`, both in our protocol and in WebSocket.
    async fn closed(&self, socket: &mut Socket, code: &str) -> Closing {
        let mut closing = None;
        loop {
            match next(socket).await {
                Some(Message::Binary(bytes)) => {
                    let message = ServerMessage::decode(bytes).expect("a server message");
                    closing = message.closing.or(closing);
                }
                Some(Message::Close(Some(CloseFrame { reason, .. }))) => {
                    assert_eq!(reason.as_str(), code);
                    break;
                }
                Some(Message::Ping(_)) => {}
                other => panic!("neither a closing nor a close frame: {other:?}"),
            }
        }
        let closing = closing.expect("the reason comes before the close frame");
        assert_eq!(closing.code, code);
        assert!(!closing.text.is_empty());
        assert!(self.reasons.lock().expect("no test panics with it").contains(&code.to_owned()));
        closing
    }
}

fn hello() -> ClientMessage {
    let hello = Hello { protocol: 1, name: "Ada".into(), ..Default::default() };
    ClientMessage { hello: Some(hello), ..Default::default() }
}

fn walk(seq: u32) -> ClientMessage {
    ClientMessage {
        r#move: Some(Move { seq, x: 1, y: 2, heading: 3, speed: 4, corrections: None }),
        ..Default::default()
    }
}

async fn send(socket: &mut Socket, message: ClientMessage) {
    socket.send(Message::Binary(message.encode_to_vec().into())).await.expect("the edge reads");
}

async fn next(socket: &mut Socket) -> Option<Message> {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("something from the edge");
    message.map(|m| m.expect("a well-formed message"))
}

/// A part that is a whole server message; `seq` identifies it, `padding` makes it long.
fn part(seq: u32, padding: usize) -> Bytes {
    let correction = Correction { seq, code: "x".repeat(padding), ..Default::default() };
    ServerMessage { correction: Some(correction), ..Default::default() }.encode_to_vec().into()
}

#[tokio::test]
async fn messages_reach_the_node_in_order_and_parts_come_back_as_one_message() {
    let mut world = World::start(|_| {});
    let (mut socket, conn) = world.greet().await;
    send(&mut socket, walk(1)).await;
    assert!(
        matches!(world.input().await, (Input::Client { message, .. }, Urgency::Tick) if message == walk(1))
    );
    let command = Command { seq: 7, payload: Bytes::from_static(b"chop"), ..Default::default() };
    send(&mut socket, ClientMessage { commands: vec![command], ..Default::default() }).await;
    send(&mut socket, ClientMessage { ping: Some(Ping { stamp: 9 }), ..Default::default() }).await;
    let (Input::Client { message, .. }, Urgency::Now) = world.input().await else { panic!("a command") };
    assert_eq!(message.commands[0].payload, "chop");
    assert!(matches!(world.input().await, (Input::Client { .. }, Urgency::Now)));

    let parts: Vec<_> = (0..200).map(|i| part(i, 0)).chain([Bytes::new(), part(999, 5_000)]).collect();
    let flat = parts.concat();
    world.send(conn, parts, SendClass::Frames);
    world.send(ConnId(12_345), vec![part(0, 0)], SendClass::Kept);
    assert_eq!(next(&mut socket).await, Some(Message::Binary(flat.into())));

    socket.close(None).await.expect("open");
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
    while next(&mut socket).await.is_some() {}
}

#[tokio::test]
async fn messages_in_pieces_and_pings_in_between_are_understood() {
    let mut world = World::start(|_| {});
    let (mut socket, _) = world.greet().await;
    let bytes = walk(5).encode_to_vec();
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, coding};
    let piece = |bytes: &[u8], op, last| {
        Message::Frame(Frame::message(bytes.to_vec(), coding::OpCode::Data(op), last))
    };
    socket.send(piece(&bytes[..2], coding::Data::Binary, false)).await.expect("open");
    socket.send(Message::Ping(Bytes::from_static(b"still there?"))).await.expect("open");
    socket.send(piece(&bytes[2..], coding::Data::Continue, true)).await.expect("open");
    assert!(matches!(world.input().await, (Input::Client { message, .. }, _) if message == walk(5)));
    loop {
        match next(&mut socket).await {
            Some(Message::Pong(payload)) => break assert_eq!(payload, "still there?"),
            Some(Message::Ping(_)) => {}
            other => panic!("not a pong: {other:?}"),
        }
    }
}

#[tokio::test]
async fn connections_on_several_threads_get_each_their_own() {
    let mut world = World::start(|s| (s.io_threads, s.thread_fill) = (3, 1));
    let mut clients = Vec::new();
    for _ in 0..7 {
        clients.push(world.greet().await);
    }
    let mut batch: Vec<_> = clients
        .iter()
        .map(|(_, conn)| Delivery::Send {
            conn: *conn,
            parts: vec![part(conn.0 as u32, 0)],
            class: SendClass::Kept,
        })
        .collect();
    world.edge.deliver(&mut batch);
    for (socket, conn) in &mut clients {
        assert_eq!(next(socket).await, Some(Message::Binary(part(conn.0 as u32, 0))));
    }
    let stop = world.edge.stop();
    let told = async {
        for (socket, _) in &mut clients {
            while next(socket).await.is_some() {}
        }
    };
    tokio::join!(stop, told);
    world.emptied().await;
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_told_why() {
    let mut world = World::start(|_| {});
    let unknown = Bytes::from_static(&[0x9a, 0x06, 0x00]);
    let cases: Vec<(Message, &str)> = vec![
        (Message::Text("hello".into()), "bad_message"),
        (Message::Binary(Bytes::from_static(&[0xff; 9])), "bad_message"),
        (Message::Binary(hello().encode_to_vec()[..5].to_vec().into()), "bad_message"),
        (Message::Binary(unknown), "bad_message"),
        (Message::Binary(Bytes::new()), "bad_message"),
        (Message::Binary(walk(1).encode_to_vec().into()), "bad_message"),
        (Message::Binary(vec![0; 160 * 1024].into()), "too_large"),
    ];
    for (bad, code) in cases {
        let mut socket = world.connect().await;
        socket.send(bad).await.expect("the edge reads");
        let closing = world.closed(&mut socket, code).await;
        let again_ms = if code == "too_large" { 5_000 } else { 0 };
        assert_eq!(closing.retry_ms, again_ms, "{code}: whoever breaks the protocol would only do it again");
    }
    // None of them reached the node: the first input it sees is from a good client.
    let (mut socket, conn) = world.greet().await;
    socket.send(Message::Text("bye".into())).await.expect("the edge reads");
    world.closed(&mut socket, "bad_message").await;
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
}

#[tokio::test]
async fn raw_rubbish_after_the_upgrade_closes_the_connection() {
    let world = World::start(|s| s.close_ms = 50);
    let mut stream = TcpStream::connect(world.address).await.expect("the edge listens");
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // One write with an unmasked frame right behind the request: the edge must not lose the early bytes.
    stream.write_all(request.as_bytes()).await.expect("open");
    stream.write_all(&[0x82, 0x03, 1, 2, 3]).await.expect("open");
    let mut all = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it ends").expect("cleanly");
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("HTTP/1.1 101"), "{text}");
    assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the accept key of RFC 6455: {text}");
    assert!(text.contains("bad_message"), "{text}");
}

#[tokio::test]
async fn the_silent_and_the_late_are_closed_and_the_living_are_not() {
    let mut world = World::start(|s| (s.hello_ms, s.idle_ms, s.ping_ms) = (300, 900, 100));
    let mut late = world.connect().await;
    world.closed(&mut late, "hello_timeout").await;

    // It sends nothing itself, but answers pings while it is polled: alive.
    let (mut alive, alive_conn) = world.greet().await;
    let (silent, silent_conn) = world.greet().await;
    let polled = tokio::spawn(async move {
        while let Some(message) = next(&mut alive).await {
            if matches!(message, Message::Binary(_)) {
                return alive;
            }
        }
        panic!("closed though alive");
    });
    assert!(matches!(world.input().await, (Input::Gone { conn }, _) if conn == silent_conn));
    drop(silent);
    world.send(alive_conn, vec![part(1, 0)], SendClass::Kept);
    polled.await.expect("it lives");
}

/// A player's real may still speak to a connection of the node's life before.
#[tokio::test(flavor = "multi_thread")]
async fn no_incarnation_gives_the_number_of_another_ones_connection_again() {
    let mut seen = std::collections::BTreeSet::new();
    for incarnation in [1, 2, 1 << 20] {
        for io_threads in [1, 3] {
            let mut world = World::start(|settings| {
                (settings.incarnation, settings.io_threads, settings.thread_fill) =
                    (incarnation, io_threads, 1);
            });
            let mut open = Vec::new();
            for _ in 0..3 {
                let mut greeted = world.greet().await;
                seen.insert((io_threads, greeted.1));
                // It is found again by its number.
                world.taken(&mut greeted).await;
                open.push(greeted);
            }
        }
    }
    assert_eq!(seen.len(), 3 * 2 * 3);
}

/// A client that reads nothing, with small socket buffers so that the queue fills soon.
async fn deaf(world: &mut World) -> (Socket, ConnId) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    let stream = socket.connect(world.address).await.expect("the edge listens");
    let mut socket = world.upgrade(stream).await;
    send(&mut socket, hello()).await;
    let conn = world.hello_seen().await;
    (socket, conn)
}

#[tokio::test]
async fn a_slow_client_loses_frames_and_gets_keyframes() {
    let mut world = World::start(|s| s.limits.send_queue_bytes_max = 64 * 1024);
    let mut witness = world.greet().await;
    let (mut socket, conn) = deaf(&mut world).await;
    // Send frames until the system's buffers and the queue are full and the node hears of it.
    let mut seq = 0;
    loop {
        world.send(conn, vec![part(seq, 30_000)], SendClass::Frames);
        seq += 1;
        world.taken(&mut witness).await;
        match world.inbox.try_recv() {
            Ok((Input::Lagging { conn: c }, Urgency::Tick)) => break assert_eq!(c, conn),
            Ok(other) => panic!("not Lagging: {other:?}"),
            Err(_) => assert!(seq < 10_000, "the queue has a limit"),
        }
    }
    // Replies still go out.
    world.send(conn, vec![part(1_000_000, 0)], SendClass::Reply);
    let mut seen = Vec::new();
    let mut read = async |socket: &mut Socket, until| loop {
        if let Some(Message::Binary(bytes)) = next(socket).await {
            let message = ServerMessage::decode(bytes).expect("whole messages only");
            let got = message.correction.expect("a correction").seq;
            seen.push(got);
            if got == until {
                break;
            }
        }
    };
    read(&mut socket, 1_000_000).await;
    assert!(matches!(world.input().await, (Input::Drained { conn: c }, Urgency::Tick) if c == conn));
    // The node decided on this before it heard of the drain: dropped. After that: sent.
    world.send(conn, vec![part(2_000_000, 0)], SendClass::Frames);
    world.edge.deliver(&mut vec![
        Delivery::Resume { conn },
        Delivery::Send { conn, parts: vec![part(3_000_000, 0)], class: SendClass::Kept },
        Delivery::Send { conn, parts: vec![part(3_000_001, 0)], class: SendClass::Frames },
    ]);
    read(&mut socket, 3_000_001).await;
    let frames = seen.iter().take_while(|s| **s < 1_000_000).count();
    assert!(frames < seq as usize, "some were dropped");
    assert_eq!(seen[..frames], (0..frames as u32).collect::<Vec<_>>()[..], "a gap only at the end");
    assert_eq!(seen[frames..], [1_000_000, 3_000_000, 3_000_001]);
    assert!(world.inbox.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn whoever_does_not_take_its_replies_is_closed() {
    let mut world = World::start(|s| {
        s.limits.replies_waiting_max = 16;
        s.limits.send_queue_bytes_max = 16 * 1024 * 1024;
    });
    let mut witness = world.greet().await;
    let (mut socket, conn) = deaf(&mut world).await;
    let mut sent = 0;
    while world.reasons.lock().expect("no test panics with it").is_empty() {
        world.send(conn, vec![part(sent, 30_000)], SendClass::Reply);
        sent += 1;
        assert!(sent < 10_000, "the queue has a limit");
        world.taken(&mut witness).await;
    }
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
    assert_eq!(world.closed(&mut socket, "too_slow").await.retry_ms, 1_000);
}

#[tokio::test]
async fn a_client_that_never_reads_why_is_cut() {
    let mut world = World::start(|s| {
        s.limits.send_queue_bytes_max = 64 * 1024;
        s.close_ms = 50;
    });
    let mut witness = world.greet().await;
    let (socket, conn) = deaf(&mut world).await;
    while world.reasons.lock().expect("no test panics with it").is_empty() {
        world.send(conn, vec![part(1, 30_000)], SendClass::Kept);
        world.taken(&mut witness).await;
    }
    drop(witness);
    world.emptied().await;
    drop(socket);
}

#[tokio::test]
async fn a_full_node_says_so() {
    let mut world = World::start(|s| (s.limits.connections_max, s.greeting_max) = (1, 0));
    let (first, _) = world.greet().await;
    let mut second = world.connect().await;
    assert_eq!(world.closed(&mut second, "full").await.retry_ms, 5_000);
    drop((first, second));
    assert!(matches!(world.input().await, (Input::Gone { .. }, _)));
}

#[tokio::test]
async fn the_node_closes_with_its_own_reason_after_what_it_said() {
    let mut world = World::start(|_| {});
    let (mut socket, conn) = world.greet().await;
    let closing = Closing { code: "superseded".into(), text: "You came in elsewhere.".into(), retry_ms: 0 };
    world.edge.deliver(&mut vec![
        Delivery::Send { conn, parts: vec![part(1, 100_000)], class: SendClass::Reply },
        Delivery::Close { conn, closing: Some(closing) },
        Delivery::Send { conn, parts: vec![part(2, 0)], class: SendClass::Kept },
    ]);
    let Some(Message::Binary(first)) = next(&mut socket).await else { panic!("the reply first") };
    assert!(first.len() > 100_000);
    world.closed(&mut socket, "superseded").await;
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
}

#[tokio::test]
async fn a_full_inbox_stops_the_reading() {
    let mut world = World::start(|_| {});
    let (mut socket, _) = world.greet().await;
    world.node.full.store(true, Ordering::Relaxed);
    send(&mut socket, walk(1)).await;
    let waited = tokio::time::timeout(Duration::from_millis(100), world.inbox.recv()).await;
    assert!(waited.is_err(), "nothing is read while the inbox is full");
    world.node.full.store(false, Ordering::Relaxed);
    assert!(matches!(world.input().await, (Input::Client { message, .. }, _) if message == walk(1)));
}

#[tokio::test]
async fn stopping_tells_everyone() {
    let mut world = World::start(|_| {});
    let (mut a, _) = world.greet().await;
    let mut b = world.connect().await;
    let edge = world.edge.clone();
    let stop = tokio::spawn(async move { edge.stop().await });
    assert_eq!(world.closed(&mut a, "stopping").await.retry_ms, 1_000);
    world.closed(&mut b, "stopping").await;
    while next(&mut a).await.is_some() {}
    while next(&mut b).await.is_some() {}
    tokio::time::timeout(PATIENCE, stop).await.expect("it ends").expect("without a panic");
    world.emptied().await;
    let answer = get(world.address, "/ws").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    world.front.close().await;
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody listens any more");
}

async fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the edge listens");
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut all = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it ends").expect("cleanly");
    String::from_utf8(all).expect("text")
}

async fn get(address: SocketAddr, path: &str) -> String {
    http(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_reset_is_an_end_like_any_other() {
    let mut world = World::start(|_| {});
    let (socket, conn) = world.greet().await;
    // With this option the system sends a reset on drop, not a FIN.
    socket.get_ref().set_zero_linger().expect("a socket option");
    drop(socket);
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
}
