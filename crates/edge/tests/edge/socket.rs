//! Clients by a Unix socket, as a proxy on the same machine brings them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gundo_edge::{Caller, EdgeFault, Listen};
use tokio::net::UnixStream;

use super::*;

fn start(path: &Path) -> Result<World, EdgeFault> {
    let bound = Front::bind_at(&Listen::Socket(path.to_owned()))?;
    assert_eq!(bound.place().to_string(), format!("unix:{}", path.display()));
    let settings = FrontSettings::new(Arc::new(Page::placeholder("nothing", "1")));
    let caller =
        |caller: axum::Extension<Caller>| async move { format!("{} {}", caller.client, caller.is_local) };
    let routes = axum::Router::new().route("/admin", axum::routing::get(caller));
    let front = Arc::new(Front::start(bound, None, settings, Box::new(String::new), routes));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    Ok(World::behind(front, nowhere, 1, |_| {}))
}

async fn get(path: &Path, head: &str) -> String {
    let mut stream = UnixStream::connect(path).await.expect("it listens");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.expect("open");
    let mut all = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut all)).await.expect("it ends").expect("text");
    all
}

#[tokio::test]
async fn a_proxy_brings_clients_by_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("world.sock");
    let mut world = start(&path).expect("free");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "for its user and its group");
    let stream = UnixStream::connect(&path).await.expect("it listens");
    let mut socket =
        tokio_tungstenite::client_async("ws://play.example.org/ws", stream).await.expect("an upgrade").0;
    socket.send(Message::Binary(hello().encode_to_vec().into())).await.expect("the edge reads");
    let conn = world.hello_seen().await;
    for bytes in [0, 1_000, 100_000] {
        world.send(conn, vec![part(7, bytes)], SendClass::Kept);
        let got = tokio::time::timeout(PATIENCE, socket.next()).await.expect("something").expect("open");
        assert_eq!(got.expect("well-formed"), Message::Binary(part(7, bytes)));
    }
    drop(socket);
    assert!(matches!(world.input().await, (Input::Gone { conn: c }, _) if c == conn));
    // Nobody is local who comes by a proxy, whatever that passes on.
    let alone = get(&path, "GET /admin HTTP/1.1\r\nHost: localhost\r\n").await;
    assert!(alone.ends_with("127.0.0.1 false"), "{alone}");
    let said = get(&path, "GET /admin HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\n").await;
    assert!(said.ends_with("203.0.113.7 false"), "{said}");
}

#[tokio::test]
async fn the_file_of_a_socket_comes_and_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("world.sock");
    let world = start(&path).expect("free");
    let taken = start(&path).err().expect("somebody listens").to_string();
    assert!(taken.contains("another program listens there"), "{taken}");
    world.front.close().await;
    assert!(!path.exists(), "it goes with the front");
    drop(world);
    // What a killed process has left.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("free"));
    assert!(path.exists());
    let world = start(&path).expect("nobody listens there");
    world.front.close().await;
    assert!(!path.exists(), "it has replaced the file, and removed its own");
    std::fs::write(&path, "precious").expect("written");
    let other = start(&path).err().expect("no socket").to_string();
    assert!(other.contains("something else is there"), "{other}");
    assert_eq!(std::fs::read(&path).expect("kept"), b"precious");
}
