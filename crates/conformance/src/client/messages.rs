//! Sections 1 and 11 of the page: messages, their parts, and what a client does not know.

use bytes::Bytes;
use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Correction, Notice, Own, Reply, ServerMessage, Told};

use super::Command;
use super::commands::commands;
use crate::report::{Case, Check, must};
use crate::stage::{Stage, hex, welcome};

pub(super) fn cases() -> Vec<Case<Command>> {
    vec![
        Case::new("unknown-fields", "It ignores fields that it does not know.", unknown_fields),
        Case::new("parts", "Parts of one message append; of a singular field the last one wins.", parts),
        Case::new("pieces", "A WebSocket message may come in pieces, with pings between them.", pieces),
        Case::new("big", "It takes a message of 2 MiB.", big),
        Case::new("pong", "It answers WebSocket pings with their bytes.", pong),
        Case::new("told", "What the player is told, a correction and a notice reach the game.", told),
    ]
}

fn payload(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

fn unknown_fields(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    // Fields 1,000 (a number), 1,001 (bytes), 1,002 (fixed64) and 1,003 (fixed32).
    let strange = [
        &[0xc0, 0x3e, 0x07][..],
        &[0xca, 0x3e, 0x02, 0xff, 0xff],
        &[0xd1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xdd, 0x3e, 1, 2, 3, 4],
    ]
    .concat();
    line.bytes([&strange[..], &welcome("t1", 1).encode_to_vec(), &strange].concat());
    stage.event("welcome")?;
    line.bytes(strange);
    stage.settle(&mut line).map(drop)
}

fn parts(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("command 01");
    stage.wish("command 02");
    commands(&mut line, 2)?;
    let answer = |seq, bytes| {
        let replies = vec![Reply { seq, payload: payload(bytes), refusal: None }];
        let own = Some(Own { payload: payload(bytes) });
        ServerMessage { replies, own, ..Default::default() }.encode_to_vec()
    };
    line.bytes([answer(1, b"one"), answer(2, b"two")].concat());
    let (first, second) = (stage.event("reply")?, stage.event("reply")?);
    must(first["payload"] == hex(b"one") && second["payload"] == hex(b"two"), || {
        format!("two parts with a reply each, and the client says {first} and {second}")
    })?;
    let own = stage.event("own")?;
    let events = stage.settle(&mut line)?;
    let last = events.iter().rev().find(|e| e["event"] == "own").unwrap_or(&own);
    must(last["payload"] == hex(b"two"), || format!("the last private state is `two`: {last}"))
}

fn pieces(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    line.pieces(&welcome("t1", 1).encode_to_vec(), 5);
    stage.event("welcome")?;
    line.pieces(&told_of(vec![0xab; 70_000]).encode_to_vec(), 3);
    let told = stage.event("told")?;
    must(told["payload"] == hex(&[0xab; 70_000]), || {
        "70,000 bytes in three pieces are not the same".to_owned()
    })
}

fn told_of(bytes: Vec<u8>) -> ServerMessage {
    ServerMessage { told: vec![Told { payload: bytes.into() }], ..Default::default() }
}

fn big(client: &Command) -> Check {
    const BYTES: usize = 2 << 20;
    let stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    line.say(&told_of(vec![1; BYTES]));
    let told = stage.event("told")?;
    let digits = told["payload"].as_str().map_or(0, str::len);
    must(digits == 2 * BYTES, || format!("{digits} digits of {}", 2 * BYTES))
}

fn pong(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    line.ping_socket::<ClientMessage>(b"")?;
    line.ping_socket::<ClientMessage>(&[9; 125])
}

fn told(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    line.say(&told_of(vec![1, 2, 3]));
    let told = stage.event("told")?;
    must(told["payload"] == "010203", || format!("told 010203, and the client says {told}"))?;
    let correction = Correction { seq: 3, x: -5, y: 70_000, code: "from_the_future".to_owned() };
    line.say(&ServerMessage { correction: Some(correction), ..Default::default() });
    let event = stage.event("corrected")?;
    let is_it = event["seq"] == 3 && event["x"] == -5 && event["y"] == 70_000;
    must(is_it && event["code"] == "from_the_future", || format!("a correction became {event}"))?;
    let notice = Notice { code: "new".to_owned(), text: "A sentence.".to_owned(), suspects: Vec::new() };
    line.say(&ServerMessage { notice: Some(notice), ..Default::default() });
    let event = stage.event("notice")?;
    must(event["text"] == "A sentence.", || format!("a notice became {event}"))
}
