//! What a client may send: all that the page of the protocol tells it to, and no flood.

use super::*;

#[tokio::test]
async fn a_flood_is_stopped() {
    let mut world = World::start(|s| s.limits.client_messages_per_second_max = 10);
    let (mut socket, _) = world.greet().await;
    for seq in 0..200 {
        socket.feed(Message::Binary(walk(seq).encode_to_vec().into())).await.expect("open");
    }
    socket.flush().await.expect("open");
    assert_eq!(world.closed(&mut socket, "too_many_messages").await.retry_ms, 5_000);
    let mut given = 0;
    while matches!(world.input().await.0, Input::Client { .. }) {
        given += 1;
    }
    assert!((20..=101).contains(&given), "ten seconds' worth at most, not {given}");

    let (mut socket, _) = world.greet().await;
    send(&mut socket, ClientMessage { commands: commands(0, 101, 0), ..Default::default() }).await;
    world.closed(&mut socket, "too_many_messages").await;
}

/// So many commands from this number on, each with so many bytes.
fn commands(from: u64, count: u64, bytes: usize) -> Vec<Command> {
    let payload = Bytes::from(vec![7; bytes]);
    (from..from + count).map(|seq| Command { seq, payload: payload.clone(), ..Default::default() }).collect()
}

/// What the page of the protocol tells a client to do: it sends all that is unanswered in one message, with the largest payloads and
/// all that was lost over them; and it sends the next command whenever one is answered.
#[tokio::test]
async fn a_client_that_does_as_it_is_told_is_heard() {
    let mut world = World::start(|_| {});
    let (mut socket, _) = world.greet().await;
    let limits = Limits::default();
    let mut all = commands(u64::MAX - 32, limits.commands_unanswered_max as u64, limits.command_bytes_max);
    all.iter_mut().for_each(|c| (c.lost, c.lost_at, c.asks) = (u32::MAX, vec![u64::MAX; 8], true));
    send(&mut socket, ClientMessage { commands: all, ..walk(1) }).await;
    assert!(matches!(world.input().await.0, Input::Client { message, .. } if message.commands.len() == 32));
    // More than it may send per second and in a burst: they come later, all and in order.
    let mut next_seq = 0;
    for _ in 0..10 {
        send(&mut socket, ClientMessage { commands: commands(next_seq, 32, 9), ..Default::default() }).await;
        next_seq += 32;
    }
    let mut heard = Vec::new();
    while heard.len() < 320 {
        let (Input::Client { message, .. }, _) = world.input().await else { panic!("it is closed") };
        heard.extend(message.commands.iter().map(|c| c.seq));
    }
    assert!(heard.iter().copied().eq(0..320));
}
