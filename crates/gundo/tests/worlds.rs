//! Whole worlds with real clients: nodes, edges, fabric and journal together.

mod support;

use std::time::{Duration, Instant};

use gundo::testing::{ADMIN_TOKEN, NodeState, Page, Refused, TestSettings, TestWorld, WorldStatus};
use gundo::{Bytes, EntityId, Message, NodeId};
use gundo_client::{Client, CommandError, Event, Events, SessionSettings};
use support::{Count, Counter, rules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Nothing here takes long; whoever waits longer than this waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

struct Player {
    client: Client,
    events: Events,
    id: EntityId,
    token: Bytes,
}

impl Player {
    async fn enter(world: &TestWorld, node: u16, name: &str, token: Bytes) -> Self {
        let address = world.url(node).parse().expect("an address");
        let mut settings = SessionSettings::new(vec![address], name);
        settings.token = token;
        Self::enter_with(settings).await
    }

    async fn enter_with(settings: SessionSettings) -> Self {
        let (client, mut events) = Client::start(settings);
        let welcome = loop {
            match next(&mut events).await {
                Some(Event::Welcomed(welcome)) => break welcome,
                Some(Event::Refused(refusal)) => panic!("refused: {refusal:?}"),
                _ => {}
            }
        };
        let player = welcome.player.expect("a player");
        let id = EntityId::new(<Counter as gundo::State>::KIND, player.id);
        Self { client, events, id, token: welcome.token }
    }

    async fn count(&self, n: u64) -> Result<u64, CommandError> {
        let answer = self.client.command(Count { n }.encode_to_vec()).await?;
        Ok(Count::decode(answer).expect("a reply of the game").n)
    }

    /// Waits until it sees `who` with a counter of `n`.
    async fn sees(&mut self, who: EntityId, n: u64) {
        loop {
            let seen = self.client.picture().entity(who).map(|seen| seen.public.clone());
            if seen.is_some_and(|public| Count::decode(public).expect("public state").n == n) {
                return;
            }
            next(&mut self.events).await;
        }
    }
}

async fn next(events: &mut Events) -> Option<Event> {
    tokio::time::timeout(PATIENCE, events.recv())
        .await
        .expect("something happens")
        .expect("the client lives")
        .0
}

#[tokio::test]
async fn players_on_different_nodes_meet_and_a_crash_loses_nothing() {
    let settings = TestSettings::default();
    let world = TestWorld::start(&settings, rules);
    let ada = Player::enter(&world, 1, "Ada", Bytes::new()).await;
    let mut bob = Player::enter(&world, 2, "Bob", Bytes::new()).await;
    let mut cy = Player::enter(&world, 3, "Cy", Bytes::new()).await;
    assert_eq!(ada.count(3).await, Ok(3));
    assert_eq!(ada.count(4).await, Ok(7));
    assert!(matches!(ada.count(11).await, Err(CommandError::Refused(r)) if r.code == "too_much"));
    bob.sees(ada.id, 7).await;
    cy.sees(ada.id, 7).await;
    cy.sees(bob.id, 0).await;

    let (token, id) = (ada.token.clone(), ada.id);
    let world = world.crash_and_restart(&settings, rules);
    let ada = Player::enter(&world, 2, "", token).await;
    assert_eq!(ada.id, id);
    assert_eq!(ada.count(1).await, Ok(8), "what was acknowledged is there");
    world.stop().expect("everything is saved");
}

#[tokio::test]
async fn a_first_hello_is_said_again_at_another_node_and_after_a_crash() {
    let settings = TestSettings::default();
    let first_hello = |world: &TestWorld, node| {
        let mut hello = SessionSettings::new(vec![world.url(node).parse().expect("an address")], "Ada");
        hello.nonce = Some(*b"drawn by a test.");
        hello
    };
    let world = TestWorld::start(&settings, rules);
    let ada = Player::enter_with(first_hello(&world, 1)).await;
    let again = Player::enter_with(first_hello(&world, 2)).await;
    assert_eq!(again.id, ada.id);
    let world = world.crash_and_restart(&settings, rules);
    let again = Player::enter_with(first_hello(&world, 3)).await;
    assert_eq!(again.id, ada.id);
    // Another new player's nonce is drawn by its client.
    let bob = Player::enter(&world, 3, "Bob", Bytes::new()).await;
    assert_ne!(bob.id, ada.id);
    world.stop().expect("everything is saved");
}

#[tokio::test]
async fn a_stop_tells_clients_and_keeps_everything() {
    let settings = TestSettings { nodes: 2, ..TestSettings::default() };
    let world = TestWorld::start(&settings, rules);
    let mut ada = Player::enter(&world, 2, "Ada", Bytes::new()).await;
    assert_eq!(ada.count(5).await, Ok(5));
    let stopped = tokio::task::spawn_blocking(|| {
        let dir = world.data().to_owned();
        world.stop().map(|()| dir)
    });
    let closing = loop {
        if let Some(Event::Lost { closing, .. }) = next(&mut ada.events).await {
            break closing.expect("a reason");
        }
    };
    assert_eq!(closing.code, "stopping");
    assert!(closing.retry_ms > 0, "clients come back by themselves");
    stopped.await.expect("no panic").expect("everything is saved");
}

async fn get(world: &TestWorld, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(world.address()).await.expect("the edge listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    text
}

#[tokio::test]
async fn a_world_serves_the_page_of_its_game_or_says_that_there_is_none() {
    let world = TestWorld::start(&TestSettings { seed: 4711, ..TestSettings::default() }, rules);
    let text = get(&world, "/").await;
    assert!(text.contains("counting") && text.contains("4711"), "{text}");
    let page = Page::embedded(&[("index.html", b"count!")]);
    let world = TestWorld::start(&TestSettings { page: Some(page.into()), ..TestSettings::default() }, rules);
    assert!(get(&world, "/").await.ends_with("count!"));
    assert!(get(&world, "/admin/nodes").await.contains("no_token"), "operators are served before the page");
    assert!(get(&world, "/admin/node").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn health_and_the_three_families_of_indicators() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    let ada = Player::enter(&world, 1, "Ada", Bytes::new()).await;
    assert_eq!(ada.count(1).await, Ok(1));
    assert!(get(&world, "/healthz").await.starts_with("HTTP/1.1 200"), "a world that answers is ready");
    // They are published once per second.
    let text = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = get(&world, "/metrics").await;
            let done = text.lines().any(|line| {
                line.starts_with("gundo_commands_total{") && line.contains("done") && line.ends_with(" 1")
            });
            if done && text.contains("process_resident_memory_bytes ") {
                break text;
            }
            tokio::task::yield_now().await;
        }
    });
    let text = text.await.expect("the command is counted");
    let names = [
        "process_cpu_seconds_total ",
        "machine_network_bytes_total{direction=\"out\"} ",
        "gundo_inbox{node=\"3\"} ",
        "gundo_tick_seconds_bucket{node=\"2\",le=\"0.001\"} ",
        "gundo_appends_waiting{node=\"1\"} ",
        "gundo_connections{node=\"1\"} ",
        "gundo_send_queue_bytes{node=\"1\"} ",
    ];
    for name in names {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{text}");
    }
}

/// Waits until the world's nodes are as wanted.
fn until(world: &TestWorld, wanted: impl Fn(&WorldStatus) -> bool) -> WorldStatus {
    let began = Instant::now();
    loop {
        let status = world.control().nodes().expect("the world runs");
        if wanted(&status) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "{status:?}");
        // What is awaited happens in its own time, and nobody tells.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn states(status: &WorldStatus) -> Vec<NodeState> {
    status.nodes.iter().map(|n| n.state).collect()
}

fn all_up(status: &WorldStatus) -> bool {
    status.nodes.iter().all(|n| n.state == NodeState::Up && n.member)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_taken_over_and_comes_back() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    let before = until(&world, all_up);
    // Bob's player is real on node 2, and he plays by node 1.
    let bob = Player::enter(&world, 2, "Bob", Bytes::new()).await;
    let mut bob = Player::enter(&world, 1, "Bob", bob.token.clone()).await;
    assert_eq!(bob.count(3).await, Ok(3));
    let control = world.control();
    control.kill(NodeId(2)).expect("killed");
    assert_eq!(bob.count(4).await, Ok(7), "another node has him");
    let status = until(&world, |s| !s.nodes[1].member);
    assert_eq!(states(&status), [NodeState::Up, NodeState::Down, NodeState::Up]);
    assert_eq!(control.kill(NodeId(2)).expect_err("it is down").code, "node_down");
    assert_eq!(control.add().expect("started"), NodeId(2));
    let after = until(&world, all_up);
    assert_eq!(after.nodes[1].address, before.nodes[1].address);
    assert!(after.nodes[1].incarnation > before.nodes[1].incarnation);
    let mut ada = Player::enter(&world, 2, "Ada", Bytes::new()).await;
    ada.sees(bob.id, 7).await;
    bob.sees(ada.id, 0).await;
    let lost = std::iter::from_fn(|| bob.events.try_recv().ok())
        .find(|(e, _)| matches!(e, Some(Event::Lost { .. })));
    assert_eq!(lost, None, "he was never cut off");
    world.stop().expect("everything is saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_removed_and_finds_out() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    let before = until(&world, all_up);
    let bob = Player::enter(&world, 2, "Bob", Bytes::new()).await;
    let bob = Player::enter(&world, 1, "Bob", bob.token.clone()).await;
    assert_eq!(bob.count(3).await, Ok(3));
    let control = world.control();
    control.pause(NodeId(2)).expect("paused");
    assert_eq!(control.pause(NodeId(2)).expect_err("it is").code, "paused");
    assert_eq!(control.drain(NodeId(2)).expect_err("it cannot").code, "paused");
    assert_eq!(control.rollout().expect_err("not now").code, "not_whole");
    assert_eq!(bob.count(4).await, Ok(7), "another node has him");
    let status = until(&world, |s| !s.nodes[1].member);
    assert_eq!(status.nodes[1].state, NodeState::Paused);
    control.resume(NodeId(2)).expect("it goes on");
    let status = until(&world, |s| s.nodes[1].incarnation > before.nodes[1].incarnation && all_up(s));
    assert_eq!(status.nodes.len(), 3, "as a new incarnation");
    assert_eq!(bob.count(1).await, Ok(8));
}

#[test]
fn what_would_leave_nobody_is_refused() {
    let world = TestWorld::start(&TestSettings { nodes: 1, ..TestSettings::default() }, rules);
    let control = world.control();
    until(&world, all_up);
    let code = |asked: Result<(), Refused>| asked.expect_err("refused").code;
    assert_eq!(code(control.kill(NodeId(1))), "last_node");
    assert_eq!(code(control.drain(NodeId(1))), "last_node");
    assert_eq!(code(control.rollout()), "last_node");
    assert_eq!(code(control.kill(NodeId(7))), "unknown_node");
    assert_eq!(code(control.resume(NodeId(1))), "not_paused");
    assert!(all_up(&control.nodes().expect("it runs")), "nothing has changed");
    assert_eq!(control.add().expect("started"), NodeId(2));
    until(&world, all_up);
    control.kill(NodeId(1)).expect("there is another now");
    world.stop().expect("everything is saved");
    assert_eq!(control.nodes().expect_err("it has ended").code, "stopped");
}

/// The status line and body of an HTTP request to node 1.
async fn http(world: &TestWorld, request: &str) -> (u16, String) {
    let mut socket = tokio::net::TcpStream::connect(world.address()).await.expect("it listens");
    let text = format!("{request}Host: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    socket.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_need_the_token_and_get_clear_answers() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    until(&world, all_up);
    let kill = |token: &str| format!("POST /admin/nodes/2/kill HTTP/1.1\r\n{token}");
    let (status, body) = http(&world, &kill("")).await;
    assert!(status == 401 && body.contains("no_token"), "{status} {body}");
    let (status, body) = http(&world, &kill("Authorization: Bearer guess\r\n")).await;
    assert!(status == 401 && body.contains("bad_token"), "{status} {body}");
    assert!(all_up(&world.control().nodes().expect("it runs")), "nothing has changed");
    let bearer = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
    let ask = async |line: &str| http(&world, &format!("{line} HTTP/1.1\r\n{bearer}")).await;
    for (line, wanted, code) in [
        ("POST /admin/nodes/9/kill", 404, "unknown_node"),
        ("POST /admin/nodes/two/kill", 404, "unknown_node"),
        ("POST /admin/nodes/2/tickle", 404, "unknown_action"),
        ("POST /admin/nodes/2/resume", 409, "not_paused"),
    ] {
        let (status, body) = ask(line).await;
        assert!(status == wanted && body.contains(code), "{line}: {status} {body}");
    }
    // A proxy on this machine makes nobody a program on this machine, token or not.
    for head in
        ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1"]
    {
        let request = format!("POST /admin/nodes/2/kill HTTP/1.1\r\n{head}\r\n{bearer}");
        let (status, body) = http(&world, &request).await;
        assert!(status == 403 && body.contains("not_local"), "{head}: {status} {body}");
    }
    let (status, body) = ask("GET /admin/nodes").await;
    assert!(status == 200 && body.contains(r#""state":"up""#), "{status} {body}");
    let (status, _) = ask("POST /admin/nodes/2/kill").await;
    assert_eq!(status, 200);
    until(&world, |s| s.nodes[1].state == NodeState::Down);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_gives_everything_away_and_a_rollout_renews_all() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    let before = until(&world, all_up);
    let edges: Vec<_> = (1..=3).map(|n| world.url(n).parse().expect("an address")).collect();
    let enter = async |name: &str, first: usize| {
        let mut edges = edges.clone();
        edges.rotate_left(first);
        Player::enter_with(SessionSettings::new(edges, name)).await
    };
    let (mut ada, bob) = (enter("Ada", 0).await, enter("Bob", 1).await);
    assert_eq!(ada.count(3).await, Ok(3));
    assert_eq!(bob.count(4).await, Ok(4));
    let control = world.control();
    control.drain(NodeId(2)).expect("it empties");
    // It may have ended already.
    let again = control.drain(NodeId(2)).expect_err("once is enough").code;
    assert!(["draining", "node_down"].contains(&&*again), "{again}");
    assert_eq!(bob.count(1).await, Ok(5), "he plays on");
    until(&world, |s| s.nodes[1].state == NodeState::Down && !s.nodes[1].member);
    assert_eq!(bob.count(1).await, Ok(6), "by another edge");
    ada.sees(bob.id, 6).await;
    control.add().expect("started");
    until(&world, all_up);
    control.rollout().expect("it begins");
    assert_eq!(control.rollout().expect_err("once is enough").code, "rollout");
    assert_eq!(control.drain(NodeId(3)).expect_err("not now").code, "rollout");
    assert_eq!(bob.count(1).await, Ok(7));
    let after = until(&world, |s| s.rollout.is_empty() && all_up(s));
    let newest = before.nodes.iter().map(|n| n.incarnation).max();
    assert!(after.nodes.iter().all(|n| Some(n.incarnation) > newest), "{after:?}");
    assert_eq!(ada.count(1).await, Ok(4));
    ada.sees(bob.id, 7).await;
    world.stop().expect("everything is saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_when_its_node_is_killed_and_ends_when_the_next_cannot_be_drained() {
    let world = TestWorld::start(&TestSettings::default(), rules);
    let before = until(&world, all_up);
    let control = world.control();
    control.rollout().expect("it begins");
    // Whether it is still being drained or has just ended: it is renewed all the same.
    let _ = control.kill(NodeId(1));
    let after = until(&world, |s| s.rollout.is_empty() && all_up(s));
    let renewed = |n: usize| after.nodes[n].incarnation > before.nodes[2].incarnation;
    assert!((0..3).all(renewed), "{after:?}");
    control.pause(NodeId(3)).expect("it stands still");
    assert_eq!(control.rollout().expect_err("not whole").code, "not_whole");
}
