//! The front: what it serves itself, and which node's edge a client gets.

use gundo_edge::Caller;

use super::*;

#[tokio::test]
async fn health_and_metrics_are_served() {
    let world = World::start(|_| {});
    let get = async |path: &str| get(world.address, path).await;
    assert!(get("/ws").await.starts_with("HTTP/1.1 426"));
    assert!(get("/metrics").await.ends_with("gundo_up 1\n"));
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"));
    world.node.sick.store(true, Ordering::Relaxed);
    assert!(
        get("/livez").await.starts_with("HTTP/1.1 200"),
        "a process that is not ready must not be killed"
    );
    assert!(get("/startupz").await.starts_with("HTTP/1.1 200"), "it was ready before");
    assert!(get("/readyz").await.starts_with("HTTP/1.1 503"));
    let sick = get("/healthz").await;
    assert!(
        sick.starts_with("HTTP/1.1 503") && sick.ends_with("node 1: the journal is being read\n"),
        "{sick}"
    );
    let other = world.another(2);
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"), "clients can play");
    drop(other);
    assert!(http(world.address, "HELLO\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_port_in_use_says_what_to_do() {
    let world = World::start(|_| {});
    let error = Front::bind(world.address).err().expect("somebody listens there");
    assert!(error.to_string().contains("in use by another program"), "{error}");
}

/// Upgrades at `path`.
async fn come_by(world: &World, path: &str) -> Result<Socket, String> {
    let stream = TcpStream::connect(world.address).await.expect("the front listens");
    let url = format!("ws://{}{path}", world.address);
    let upgraded = tokio_tungstenite::client_async(url, stream).await;
    upgraded.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

#[tokio::test]
async fn each_node_has_its_path_and_the_path_of_any_leads_to_one_that_takes_clients() {
    let mut one = World::start(|_| {});
    let (mut two, mut three) = (one.another(2), one.another(3));
    let mut at = async |path: &str| {
        let mut socket = come_by(&one, path).await.expect("an upgrade");
        send(&mut socket, hello()).await;
        let node = tokio::select! {
            _ = one.hello_seen() => 1,
            _ = two.hello_seen() => 2,
            _ = three.hello_seen() => 3,
        };
        (node, socket)
    };
    let mut open = Vec::new();
    for (path, wanted) in [("/ws/2", 2), ("/ws/3", 3), ("/ws/2", 2), ("/ws", 1), ("/ws", 1), ("/ws", 3)] {
        let (node, socket) = at(path).await;
        assert_eq!(node, wanted, "{path} after {} others", open.len());
        open.push(socket);
    }
    // Each has two. Node 1 drains, and node 2 is not ready.
    one.edge.offer(false);
    two.node.sick.store(true, Ordering::Relaxed);
    let mut at = async |path: &str| {
        let mut socket = come_by(&one, path).await.expect("an upgrade");
        send(&mut socket, hello()).await;
        let node = tokio::select! {
            _ = one.inbox.recv() => 1,
            _ = two.inbox.recv() => 2,
            _ = three.inbox.recv() => 3,
        };
        open.push(socket);
        node
    };
    assert_eq!((at("/ws").await, at("/ws").await), (3, 3), "although the others have fewer");
    assert_eq!((at("/ws/1").await, at("/ws/2").await), (1, 2), "who names a node gets it");
    three.node.sick.store(true, Ordering::Relaxed);
    assert_eq!(at("/ws").await, 1, "one that drains is better than one that is not ready");
}

#[tokio::test]
async fn a_killed_node_cuts_its_own_clients_only_and_its_path_says_so() {
    let mut one = World::start(|_| {});
    let mut two = one.another(2);
    let mut its_own = come_by(&one, "/ws/2").await.expect("an upgrade");
    let mut another = come_by(&one, "/ws/1").await.expect("an upgrade");
    send(&mut its_own, hello()).await;
    two.hello_seen().await;
    send(&mut another, hello()).await;
    let conn = one.hello_seen().await;
    two.edge.kill();
    let cut = tokio::time::timeout(PATIENCE, its_own.next()).await.expect("it is cut");
    assert!(!matches!(cut, Some(Ok(Message::Binary(_)))), "without a goodbye: {cut:?}");
    let answer = get(one.address, "/ws/2").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("node 2 does not run"), "{answer}");
    assert!(come_by(&one, "/ws/2").await.expect_err("nobody there").contains("503"));
    assert!(get(one.address, "/ws/two").await.starts_with("HTTP/1.1 404"));
    assert!(get(one.address, "/").await.starts_with("HTTP/1.1 200"), "the page stays");
    one.send(conn, vec![part(1, 0)], SendClass::Kept);
    assert_eq!(next(&mut another).await, Some(Message::Binary(part(1, 0))));
    // Its next life takes the same path, and the end of an earlier one does not close it.
    let again = one.another(2);
    two.edge.kill();
    drop(two);
    assert!(come_by(&one, "/ws/2").await.is_ok());
    drop(again);
    assert!(come_by(&one, "/ws/2").await.is_err());
}

/// The status of an upgrade at `/ws` with these lines in its head.
async fn upgrade_with(address: SocketAddr, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the front listens");
    let request = format!(
        "GET /ws HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut answer = [0; 512];
    let n =
        tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer").expect("cleanly");
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[tokio::test]
async fn a_page_connects_to_the_world_it_comes_from_and_to_no_other() {
    let world = World::start(|_| {});
    let host = "Host: play.example.org:7600\r\n";
    for origin in ["", "Origin: http://play.example.org:7600\r\n", "Origin: http://localhost:3000\r\n"] {
        let answer = upgrade_with(world.address, &format!("{host}{origin}")).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{origin}: {answer}");
    }
    let answer = upgrade_with(world.address, &format!("{host}Origin: https://evil.example\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("pages of https://evil.example"),
        "{answer}"
    );
}

#[tokio::test]
async fn operators_may_have_an_address_of_their_own() {
    let bind = || Front::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let (open, private) = (bind(), bind());
    let (players, operators) = (open.address(), private.address());
    let mut settings = FrontSettings::new(Arc::new(Page::placeholder("nothing", "1")));
    settings.access.hosts.push("play.example.org".into());
    let routes = axum::Router::new().route(
        "/admin/nodes",
        axum::routing::get(async |axum::Extension(caller): axum::Extension<Caller>| format!("{caller:?}")),
    );
    let metrics = Box::new(|| "gundo_up 1\n".to_owned());
    let front = Front::start(open, Some(private), settings, metrics, routes);
    let ask = async |address, path: &str, host: &str| {
        http(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    };
    for path in ["/metrics", "/admin/nodes"] {
        assert!(ask(players, path, "localhost").await.starts_with("HTTP/1.1 404"), "{path}");
        let answer = ask(operators, path, "localhost").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    assert!(ask(operators, "/admin/nodes", "10.0.0.5:7700").await.contains("is_private: true"));
    assert!(ask(operators, "/", "localhost").await.starts_with("HTTP/1.1 404"), "players have their own");
    let answer = ask(players, "/", "evil.example").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("the name evil.example"), "{answer}");
    assert!(ask(players, "/", "play.example.org").await.starts_with("HTTP/1.1 200"));
    assert!(
        ask(players, "/healthz", "192.0.2.1").await.starts_with("HTTP/1.1 503"),
        "no node runs: told to all"
    );
    front.close().await;
    assert!(TcpStream::connect(operators).await.is_err() && TcpStream::connect(players).await.is_err());
}

/// The node hears where a client comes from before its hello, if that is not this machine: what a trusted proxy says.
#[tokio::test]
async fn the_node_hears_where_a_client_comes_from() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    let (v4, v6) = (Origin::v4(0xcb00_7107), Origin::v6(0x2001_0db8 << 96 | 7));
    for (trusted, said, heard) in [
        (true, Some("203.0.113.7"), Some(v4)),
        (true, Some("198.51.100.1, 2001:db8::7"), Some(v6)),
        (true, None, None),
        // Anybody can say so.
        (false, Some("203.0.113.7"), None),
    ] {
        let bound = Front::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = bound.address();
        let mut settings = FrontSettings::new(Arc::new(Page::placeholder("nothing", "1")));
        if trusted {
            settings.access.trusted_proxies.push("127.0.0.0/8".parse().expect("a network"));
        }
        let front = Front::start(bound, None, settings, Box::new(String::new), axum::Router::new());
        let mut world = World::behind(Arc::new(front), address, 1, |_| {});
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        if let Some(said) = said {
            request.headers_mut().insert("x-forwarded-for", said.parse().expect("a value"));
        }
        let stream = TcpStream::connect(address).await.expect("the front listens");
        let mut socket = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade").0;
        send(&mut socket, hello()).await;
        if let Some(heard) = heard {
            assert!(
                matches!(world.input().await, (Input::From { from, .. }, _) if from == heard),
                "{said:?}"
            );
        }
        world.hello_seen().await;
    }
}
