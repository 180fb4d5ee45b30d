//! Sections 9 and 10 of the page: limits and closings.

use std::time::{Duration, Instant};

use gundo_wire::client::ClientMessage;

use super::World;
use super::visit::{connect, enter, newcomer, refused};
use crate::report::{Case, Check, must};

/// Of the page: messages per second.
const MESSAGES_PER_SECOND: usize = 60;
/// Bytes of a message that every server takes, and of one that no server takes.
const MESSAGE_BYTES: (usize, usize) = (16 << 10, 1 << 20);

pub(super) fn cases() -> Vec<Case<World>> {
    vec![
        Case::new(
            "too-large",
            "A message of 16 KiB is taken; one of 1 MiB is closed with `too_large`.",
            too_large,
        ),
        Case::new(
            "too-many-messages",
            "60 messages at once are taken; a flood is closed with `too_many_messages`.",
            too_many,
        ),
        Case::new(
            "hello-timeout",
            "Without a hello a connection is closed with `hello_timeout`, not before 10 s.",
            hello_timeout,
        ),
        Case::new(
            "refused-stays",
            "After a refused hello a connection stays open for longer than that.",
            refused_stays,
        ),
        Case::new("server-ping", "A client that is silent but answers WebSocket pings stays.", server_ping),
    ]
}

/// A ping, and so many bytes in a field that the server does not know.
fn padded(stamp: u8, bytes: usize) -> Vec<u8> {
    let padding = bytes - 9;
    let mut message = vec![0x22, 0x02, 0x08, stamp, 0xca, 0x3e];
    message.extend([(padding & 127) as u8 | 128, (padding >> 7 & 127) as u8 | 128, (padding >> 14) as u8]);
    message.resize(bytes, 0);
    message
}

fn too_large(world: &World) -> Check {
    let mut guest = enter(world)?;
    guest.line.bytes(padded(3, MESSAGE_BYTES.0));
    let stamp = guest.line.find("pong to 16 KiB", |message| message.pong.as_ref().map(|pong| pong.stamp))?;
    must(stamp == 3, || format!("the pong says {stamp}"))?;
    guest.line.bytes(padded(3, MESSAGE_BYTES.1));
    let closing = guest.line.closing()?;
    must(closing.code == "too_large", || format!("the closing is {closing:?}"))
}

fn too_many(world: &World) -> Check {
    let mut guest = enter(world)?;
    let most = MESSAGES_PER_SECOND as u64;
    (0..most).for_each(|stamp| guest.line.ping(stamp));
    guest
        .line
        .find("pong to each of them", |message| message.pong.filter(|p| p.stamp == most - 1).map(drop))?;
    // However fast they are read: this is the allowance of some minutes.
    let flood = MESSAGES_PER_SECOND * 120;
    for _ in 0..flood {
        guest.line.ask(&ClientMessage { unwatch: Some(Default::default()), ..Default::default() });
    }
    let closing = guest.line.closing()?;
    must(closing.code == "too_many_messages" && closing.retry_ms > 0, || {
        format!("the closing is {closing:?}")
    })
}

fn hello_timeout(world: &World) -> Check {
    let begun = Instant::now();
    let closing = connect(world)?.closing()?;
    let waited = begun.elapsed();
    must(closing.code == "hello_timeout" && closing.retry_ms > 0, || format!("the closing is {closing:?}"))?;
    must(waited > Duration::from_secs(9), || format!("after {waited:?}"))
}

fn refused_stays(world: &World) -> Check {
    let mut line = connect(world)?;
    refused(&mut line, &gundo_wire::client::Hello { protocol: 999, ..newcomer(world) })?;
    let quiet = line.find_within(Duration::from_secs(13), |message| message.closing.clone())?;
    must(quiet.as_ref().is_err_and(|why| why.starts_with("nothing")), || format!("{quiet:?}"))?;
    super::visit::enter_on(line, newcomer(world)).map(drop)
}

fn server_ping(world: &World) -> Check {
    let mut guest = enter(world)?;
    let quiet = guest.line.find_within(Duration::from_secs(6), |message| message.closing.clone())?;
    must(quiet.as_ref().is_err_and(|why| why.starts_with("nothing")), || format!("{quiet:?}"))?;
    guest.line.ping(1);
    guest.line.find("pong", |message| message.pong).map(drop)
}
