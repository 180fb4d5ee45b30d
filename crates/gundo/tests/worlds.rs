//! Whole worlds with real clients: nodes, edges, fabric and journal together.

mod support;

use std::time::Duration;

use gundo::testing::{TestSettings, TestWorld};
use gundo::{Bytes, EntityId, Message};
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
        let id = EntityId::new(<Counter as gundo::Entity>::KIND, player.id);
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
    let mut stream = tokio::net::TcpStream::connect(world.edges()[0]).await.expect("the edge listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    text
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
