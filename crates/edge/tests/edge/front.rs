//! The front: what it serves itself, and which node's edge a client gets.

use super::*;

#[tokio::test]
async fn health_and_metrics_are_served() {
    let world = World::start(|_| {});
    let get = async |path: &str| get(world.address, path).await;
    assert!(get("/ws").await.starts_with("HTTP/1.1 426"));
    assert!(get("/metrics").await.ends_with("gundo_up 1\n"));
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"));
    world.node.sick.store(true, Ordering::Relaxed);
    let sick = get("/healthz").await;
    assert!(sick.starts_with("HTTP/1.1 503") && sick.ends_with("node 1: the journal is being read\n"), "{sick}");
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
