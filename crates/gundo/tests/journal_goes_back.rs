//! A journal that fails over to a replica without the newest events: a world of real nodes reloads, and says what is lost.

#[path = "support/events.rs"]
mod events;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use gundo::{Bytes, Message};
use gundo_client::{Client, CommandError, Event, Events, SessionSettings};
use gundo_journal::{Journal, MemoryJournal};
use gundo_node::{LocalNodes, SoloSettings};

use events::{PATIENCE, until};
use support::{Count, rules};

async fn enter(nodes: &LocalNodes, name: &str) -> (Client, Events) {
    let address = format!("ws://{}/", nodes.address()).parse().expect("an address");
    let (client, mut events) = Client::start(SessionSettings::new(vec![address], name));
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    (client, events)
}

async fn count(client: &Client, n: u64) -> u64 {
    let answer = client.command(Bytes::from(Count { n }.encode_to_vec()));
    match tokio::time::timeout(PATIENCE, answer).await.expect("an answer") {
        Ok(reply) => Count::decode(reply).expect("a reply of the game").n,
        Err(CommandError::Refused(refusal)) => panic!("refused: {}", refusal.code),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_lost_is_named_in_a_black_box_and_players_go_on_from_what_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let boxes = dir.path().join("blackbox");
    let journal = MemoryJournal::new();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings =
        SoloSettings { nodes: 2, listen, black_box: Some(boxes.clone()), ..SoloSettings::default() };
    let shared: Arc<dyn Journal> = Arc::new(journal.clone());
    let nodes = LocalNodes::start(&settings, shared, rules).expect("a world");
    let (ada, mut events) = enter(&nodes, "Ada").await;
    assert_eq!(count(&ada, 3).await, 3);
    let replica = journal.replica();
    assert_eq!(count(&ada, 4).await, 7);
    journal.fail_over(replica, 1_700_000_000_000);
    // Nobody does anything: the nodes ask.
    let own = |event: &Event| matches!(event, Event::Own(own) if Count::decode(own.clone()).is_ok_and(|own| own.n == 3));
    until(&mut events, own).await;
    assert_eq!(count(&ada, 1).await, 4, "three are left");
    let written = async {
        loop {
            let files = std::fs::read_dir(&boxes).into_iter().flatten().filter_map(|f| Some(f.ok()?.path()));
            let lost = files.into_iter().find(|f| f.to_string_lossy().ends_with("-lost.txt"));
            if let Some(lost) = lost {
                return std::fs::read_to_string(lost).expect("readable");
            }
            tokio::task::yield_now().await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, written).await.expect("it is written");
    assert!(text.contains("generation 1700000000000"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("1/") && line.ends_with(" 4 3")), "{text}");
    assert!(text.contains("journal_generations: 1") && text.contains("tails_lost: 1"), "{text}");
    drop(ada);
    nodes.stop().expect("it stops");
}
