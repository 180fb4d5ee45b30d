//! Clients over TLS, on real sockets.

use std::path::Path;

use gundo_edge::{Caller, KeyFiles, ServerTls};
use gundo_tls::{Trust, client_config, server_name};
use tokio_rustls::client::TlsStream;

use super::*;

type Secure = WebSocketStream<TlsStream<TcpStream>>;

/// A certificate for `localhost` that signs itself.
fn make(directory: &Path) -> KeyFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let files = KeyFiles { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    files
}

struct Guarded {
    world: World,
    files: KeyFiles,
    directory: tempfile::TempDir,
}

impl Guarded {
    fn start(change: impl FnOnce(&mut FrontSettings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let files = make(directory.path());
        let bound = Front::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = bound.address();
        let mut settings = FrontSettings::new(Arc::new(Page::placeholder("nothing", "1")));
        settings.tls = Some(Arc::new(ServerTls::load(files.clone()).expect("good")));
        settings.tls_look_ms = 10;
        change(&mut settings);
        let metrics = Box::new(|| "gundo_up 1\n".to_owned());
        let caller = |caller: axum::Extension<Caller>| async move { format!("local: {}\n", caller.is_local) };
        let routes = axum::Router::new().route("/admin", axum::routing::get(caller));
        let front = Arc::new(Front::start(bound, None, settings, metrics, routes));
        Self { world: World::behind(front, address, 1, |_| {}), files, directory }
    }

    /// A connection after its handshake, with a server that has the certificate of these files.
    async fn shake(&self, trusting: &Path) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.world.address).await.expect("the front listens");
        self.shake_by(socket, trusting).await
    }

    async fn shake_by(&self, socket: TcpStream, trusting: &Path) -> std::io::Result<TlsStream<TcpStream>> {
        let config = client_config(&Trust::Authority(trusting.to_owned())).expect("a certificate");
        tokio_rustls::TlsConnector::from(config)
            .connect(server_name("localhost").expect("a name"), socket)
            .await
    }

    async fn connect(&self) -> Secure {
        let socket = TcpStream::connect(self.world.address).await.expect("the front listens");
        self.connect_by(socket).await
    }

    async fn connect_by(&self, socket: TcpStream) -> Secure {
        let stream = self.shake_by(socket, &self.files.certificate).await.expect("a handshake");
        let url = format!("wss://localhost:{}/ws", self.world.address.port());
        tokio_tungstenite::client_async(url, stream).await.expect("an upgrade").0
    }
}

async fn say(socket: &mut Secure, message: ClientMessage) {
    socket.send(Message::Binary(message.encode_to_vec().into())).await.expect("the edge reads");
}

async fn hear(socket: &mut Secure) -> Option<Message> {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("something from the edge");
    message.map(|m| m.expect("a well-formed message"))
}

/// What is answered to a request without TLS.
async fn bare(world: &World, head: &str) -> String {
    let mut stream = TcpStream::connect(world.address).await.expect("the front listens");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.expect("open");
    let mut all = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut all)).await.expect("it ends").expect("text");
    all
}

#[tokio::test]
async fn messages_of_every_size_go_both_ways() {
    let mut guarded = Guarded::start(|_| {});
    let mut socket = guarded.connect().await;
    say(&mut socket, hello()).await;
    let conn = guarded.world.hello_seen().await;
    for bytes in [0, 1, 1_000, 15_000] {
        let command = Command { seq: 7, payload: vec![5; bytes].into(), ..Default::default() };
        say(&mut socket, ClientMessage { commands: vec![command], ..Default::default() }).await;
        let (Input::Client { message, .. }, _) = guarded.world.input().await else { panic!("a command") };
        assert_eq!(message.commands[0].payload.len(), bytes);
    }
    for bytes in [0, 1, 16_380, 16_400, 100_000] {
        guarded.world.send(conn, vec![part(bytes as u32, bytes)], SendClass::Kept);
        assert_eq!(hear(&mut socket).await, Some(Message::Binary(part(bytes as u32, bytes))));
    }
    socket.close(None).await.expect("open");
    assert!(matches!(guarded.world.input().await, (Input::Gone { conn: c }, _) if c == conn));
    while hear(&mut socket).await.is_some() {}
    guarded.world.emptied().await;
}

/// More than any socket holds waits here; all of it comes when the client reads again, although nothing new is sent.
#[tokio::test]
async fn what_a_full_socket_did_not_take_follows_later() {
    let mut guarded = Guarded::start(|_| {});
    let small = TcpSocket::new_v4().expect("a socket");
    small.set_recv_buffer_size(4_096).expect("a small buffer");
    let small = small.connect(guarded.world.address).await.expect("the front listens");
    let mut socket = guarded.connect_by(small).await;
    say(&mut socket, hello()).await;
    let conn = guarded.world.hello_seen().await;
    let limits = Limits::default();
    let count = limits.send_queue_bytes_max * 4 / 50_100;
    for seq in 0..count {
        guarded.world.send(conn, vec![part(seq as u32, 50_000)], SendClass::Kept);
    }
    // The node hears of later messages only after the thread has tried to write.
    say(&mut socket, walk(1)).await;
    guarded.world.input().await;
    for seq in 0..count {
        assert_eq!(hear(&mut socket).await, Some(Message::Binary(part(seq as u32, 50_000))), "{seq}");
    }
}

/// One write has the request and the first message: neither the HTTP's part nor that of TLS may keep it.
#[tokio::test]
async fn what_comes_right_behind_the_upgrade_is_not_lost() {
    let mut guarded = Guarded::start(|_| {});
    let mut open = Vec::new();
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let payload = hello().encode_to_vec();
    let frame = [&[0x82, 0x80 | payload.len() as u8, 0, 0, 0, 0][..], &payload].concat();
    for early in [request.len() + frame.len(), request.len(), request.len() + 3] {
        let all = [request.as_bytes(), &frame].concat();
        let mut stream = guarded.shake(&guarded.files.certificate).await.expect("a handshake");
        stream.write_all(&all[..early]).await.expect("open");
        stream.flush().await.expect("open");
        stream.write_all(&all[early..]).await.expect("open");
        stream.flush().await.expect("open");
        guarded.world.hello_seen().await;
        open.push(stream);
    }
}

#[tokio::test]
async fn who_comes_without_tls_is_told_what_to_do() {
    let guarded = Guarded::start(|front| front.access.hosts = vec!["play.example.org".to_owned()]);
    let world = &guarded.world;
    let page = bare(world, "GET /a?b=c HTTP/1.1\r\nHost: play.example.org:7600\r\n").await;
    assert!(page.starts_with("HTTP/1.1 307"), "{page}");
    assert!(page.contains("location: https://play.example.org:7600/a?b=c\r\n"), "{page}");
    assert!(page.ends_with("this world speaks TLS: use https://play.example.org:7600/a?b=c\n"), "{page}");
    let socket = bare(world, "GET /ws/2 HTTP/1.1\r\nHost: play.example.org\r\nUpgrade: websocket\r\n").await;
    assert!(socket.starts_with("HTTP/1.1 400"), "{socket}");
    assert!(socket.ends_with("use wss://play.example.org/ws/2\n"), "{socket}");
    for head in [
        "GET /admin HTTP/1.1\r\nHost: play.example.org\r\n",
        "GET /metrics HTTP/1.1\r\nHost: play.example.org\r\n",
    ] {
        assert!(bare(world, head).await.starts_with("HTTP/1.1 307"), "operators elsewhere use TLS too");
    }
    let foreign = bare(world, "GET / HTTP/1.1\r\nHost: evil.example\r\n").await;
    assert!(
        foreign.starts_with("HTTP/1.1 403"),
        "nobody is sent to a name that is not the world's: {foreign}"
    );
    let odd = bare(world, "GET / HTTP/1.0\r\n").await;
    assert!(odd.starts_with("HTTP/1.0 400") && odd.ends_with("use https:// or wss://\n"), "{odd}");
}

#[tokio::test]
async fn health_and_operators_on_this_machine_need_no_tls() {
    let guarded = Guarded::start(|_| {});
    let world = &guarded.world;
    let at = format!("HTTP/1.1\r\nHost: {}\r\n", world.address);
    assert!(bare(world, &format!("GET /healthz {at}")).await.ends_with("ready\n"));
    assert!(bare(world, "GET /healthz HTTP/1.1\r\nHost: x\r\n").await.ends_with("ready\n"));
    assert!(bare(world, &format!("GET /admin {at}")).await.ends_with("local: true\n"));
    assert!(bare(world, &format!("GET /metrics {at}")).await.ends_with("gundo_up 1\n"));
    assert!(
        bare(world, &format!("GET / {at}")).await.starts_with("HTTP/1.1 307"),
        "players use TLS here too"
    );
    // Over TLS all is as without.
    let mut stream = guarded.shake(&guarded.files.certificate).await.expect("a handshake");
    let request = format!("GET /admin HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.address);
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut all = String::new();
    // The end of HTTP's part need not be an end of TLS.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut all)).await.expect("it ends");
    assert!(all.ends_with("local: true\n"), "{all}");
}

#[tokio::test]
async fn handshakes_are_bounded_in_time_and_number() {
    let guarded = Guarded::start(|front| (front.handshake_ms, front.http_max) = (200, 2));
    let mut idle = Vec::new();
    for said in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x00\x05hello"] {
        let mut stream = TcpStream::connect(guarded.world.address).await.expect("the front listens");
        stream.write_all(said).await.expect("open");
        idle.push(stream);
    }
    // It waits for a place until one of them has had its time.
    let mut socket = guarded.connect().await;
    say(&mut socket, hello()).await;
    for stream in &mut idle {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let mut guarded = Guarded::start(|_| {});
    let mut before = guarded.connect().await;
    say(&mut before, hello()).await;
    let conn = guarded.world.hello_seen().await;
    let old = guarded.directory.path().join("old.pem");
    std::fs::copy(&guarded.files.certificate, &old).expect("copied");
    make(guarded.directory.path());
    let renewed = async {
        while guarded.shake(&guarded.files.certificate).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the files are looked at");
    assert!(guarded.shake(&old).await.is_err(), "the old one is not shown any more");
    guarded.world.send(conn, vec![part(1, 0)], SendClass::Kept);
    assert_eq!(hear(&mut before).await, Some(Message::Binary(part(1, 0))), "who is in stays");
}

/// Bytes that are no TLS cost their connection, and nobody else's.
#[tokio::test]
async fn rubbish_in_the_middle_ends_the_connection() {
    let mut guarded = Guarded::start(|_| {});
    let mut good = guarded.connect().await;
    let stream = guarded.shake(&guarded.files.certificate).await.expect("a handshake");
    let url = format!("wss://localhost:{}/ws", guarded.world.address.port());
    let mut socket = tokio_tungstenite::client_async(url, stream).await.expect("an upgrade").0;
    say(&mut socket, hello()).await;
    let conn = guarded.world.hello_seen().await;
    let (raw, _) = socket.get_mut().get_mut();
    raw.write_all(b"\x17\x03\x03\x00\x20this was never encrypted by anyone").await.expect("open");
    assert!(matches!(guarded.world.input().await, (Input::Gone { conn: c }, _) if c == conn));
    say(&mut good, hello()).await;
    guarded.world.hello_seen().await;
}
