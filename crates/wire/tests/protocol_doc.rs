//! Keeps `docs/protocol.md` true: its dump of a frame comes from real bytes, its limits are the real ones, and its codes are those
//! of the tables. `GUNDO_WRITE=1` rewrites the page's generated parts.

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use gundo_types::Limits;
use gundo_wire::Message;
use gundo_wire::client::{Chunk, Enter, Frame, Leave, ServerMessage};

#[test]
fn the_dump_is_of_real_bytes() {
    let message = ServerMessage { frames: vec![example()], ..Default::default() };
    let mut dump = String::from("```\n");
    explain(&message.encode_to_vec(), MESSAGE, 0, &mut dump);
    dump.push_str("```\n");
    check("dump", &dump);
}

#[test]
fn the_positions_are_as_the_page_says() {
    let moved: Vec<_> = example().motion().collect();
    assert_eq!(moved.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [4, 7]);
    let (_, body) = moved[1];
    assert_eq!((body.at.x, body.at.y), (-30_010, 30_070));
}

#[test]
fn the_limits_are_the_real_ones() {
    let message_bytes_max = Limits::default().message_bytes_max();
    // Destructured, so that a new limit cannot be missing from the page.
    let Limits {
        client_message_bytes_max: _,
        client_messages_per_second_max,
        commands_unanswered_max,
        answers_kept,
        command_bytes_max,
        public_bytes_max,
        send_queue_bytes_max,
        replies_waiting_max,
        waiting_per_entity_max,
        connections_max,
        watches_max,
        watchers_max,
        newcomers_at_once_max,
        newcomers_per_hour_max,
    } = Limits::default();
    let messages_per_second = client_messages_per_second_max as usize;
    let rows: &[(&str, usize, &str)] = &[
        ("bytes of a message from a client", message_bytes_max, "closed: `too_large`"),
        (
            "messages from a client per second (on average; bursts of twice that)",
            messages_per_second,
            "read later; eight seconds' worth ahead: closed, `too_many_messages`",
        ),
        ("commands without an answer", commands_unanswered_max, "refused: `too_many_commands`"),
        ("answers kept for repeats", answers_kept, "refused: `too_old`"),
        ("bytes of a command's payload", command_bytes_max, "refused: `too_large`"),
        ("bytes of a public state or a reply", public_bytes_max, "refused: `game_error`"),
        ("bytes waiting to be sent to a client", send_queue_bytes_max, "frames are dropped, then keyframes"),
        ("replies waiting to be sent to a client", replies_waiting_max, "closed: `too_slow`"),
        ("others' commands waiting at one entity", waiting_per_entity_max, "refused: `busy`"),
        ("players at one node, those it holds a place for included", connections_max, "closed: `full`"),
        ("entities that a session watches", watches_max, "refused: `too_many`"),
        ("players that watch one entity", watchers_max, "refused: `too_many`"),
        (
            "new players from one address at one node, at once",
            newcomers_at_once_max as usize,
            "closed: `too_many_new`",
        ),
        (
            "new players from one address at one node, per hour",
            newcomers_per_hour_max as usize,
            "closed: `too_many_new`",
        ),
    ];
    let mut table = String::from("| limit | value | beyond |\n| --- | --- | --- |\n");
    for (what, value, beyond) in rows {
        writeln!(table, "| {what} | {value} | {beyond} |").expect("a string takes it");
    }
    check("limits", &table);
}

/// Compares a generated part of the page, or writes it.
fn check(name: &str, part: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md"));
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (begin, end) = (format!("<!-- {name} begin -->\n"), format!("<!-- {name} end -->\n"));
    let (before, rest) = page.split_once(&begin).expect("the page marks the part's begin");
    let (there, after) = rest.split_once(&end).expect("the page marks the part's end");
    if std::env::var_os("GUNDO_WRITE").is_some() {
        std::fs::write(&path, [before, &begin, part, &end, after].concat()).expect("the page can be written");
    } else {
        assert!(
            there == part,
            "docs/protocol.md is out of date; run this test with GUNDO_WRITE=1. It should say:\n{part}"
        );
    }
}

fn example() -> Frame {
    Frame {
        publisher: 2,
        island: 0,
        cx: -2,
        cy: 1,
        tick: 864_000,
        roster: 17,
        enter: vec![Enter {
            slot: 5,
            kind: 1,
            id: 0x0123_4567_89ab_cdef,
            epoch: 1,
            count: 42,
            public: Bytes::from_static(b"Ada"),
            has_body: true,
            x: 1_500,
            y: 0,
            heading: 32,
            speed: 14,
        }],
        leave: vec![Leave { slot: 3, to: Some(Chunk { island: 0, x: -1, y: 1 }) }],
        slot: vec![4, 3],
        x: vec![120, 2_999],
        y: vec![300, 7],
        heading: vec![0, 96],
        speed: vec![14, 0],
        ..Default::default()
    }
}

/// How a field is read, and what it is called.
enum Read {
    Number,
    Signed,
    Fixed,
    Packed,
    Text,
    Message(Fields),
}

type Fields = &'static [(u64, &'static str, Read)];

const MESSAGE: Fields = &[(1, "frames", Read::Message(FRAME))];
const FRAME: Fields = &[
    (1, "publisher", Read::Number),
    (3, "cx", Read::Signed),
    (4, "cy", Read::Signed),
    (5, "tick", Read::Number),
    (6, "roster", Read::Number),
    (8, "enter", Read::Message(ENTER)),
    (10, "leave", Read::Message(LEAVE)),
    (12, "slot", Read::Packed),
    (13, "x", Read::Packed),
    (14, "y", Read::Packed),
    (15, "heading", Read::Packed),
    (16, "speed", Read::Packed),
];
const ENTER: Fields = &[
    (1, "slot", Read::Number),
    (2, "kind", Read::Number),
    (3, "id", Read::Fixed),
    (4, "epoch", Read::Number),
    (5, "count", Read::Number),
    (6, "public", Read::Text),
    (7, "has_body", Read::Number),
    (8, "x", Read::Number),
    (10, "heading", Read::Number),
    (11, "speed", Read::Number),
];
const LEAVE: Fields = &[(1, "slot", Read::Number), (2, "to", Read::Message(CHUNK))];
const CHUNK: Fields = &[(2, "x", Read::Signed), (3, "y", Read::Signed)];

/// Writes one line for each field: its bytes, then its meaning.
fn explain(mut bytes: &[u8], fields: Fields, depth: usize, out: &mut String) {
    while !bytes.is_empty() {
        let start = bytes;
        let tag = varint(&mut bytes);
        let (_, name, read) =
            fields.iter().find(|(number, ..)| *number == tag >> 3).expect("every field is described");
        let mut inner = None;
        let meaning = match read {
            Read::Number => varint(&mut bytes).to_string(),
            Read::Signed => {
                let raw = varint(&mut bytes);
                format!("{} (zigzag)", (raw >> 1) as i64 ^ -((raw & 1) as i64))
            }
            Read::Fixed => {
                let (value, rest) = bytes.split_first_chunk::<8>().expect("eight bytes");
                bytes = rest;
                format!("{:#018x} (little-endian)", u64::from_le_bytes(*value))
            }
            Read::Text => format!("{:?}", String::from_utf8_lossy(take(&mut bytes))),
            Read::Packed => {
                let mut packed = take(&mut bytes);
                let mut values = Vec::new();
                while !packed.is_empty() {
                    values.push(varint(&mut packed));
                }
                format!("{values:?}")
            }
            Read::Message(fields) => {
                let mut after = bytes;
                let length = varint(&mut after);
                let (body, rest) = after.split_at(length as usize);
                inner = Some((body, *fields));
                bytes = rest;
                format!("{length} bytes:")
            }
        };
        let own = inner.map_or(bytes.len(), |(body, _)| bytes.len() + body.len());
        let hex: Vec<String> = start[..start.len() - own].iter().map(|byte| format!("{byte:02x}")).collect();
        let indent = "  ".repeat(depth);
        writeln!(out, "{:<36}{name}: {meaning}", format!("{indent}{}", hex.join(" ")))
            .expect("a string takes it");
        if let Some((body, fields)) = inner {
            explain(body, fields, depth + 1, out);
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = varint(bytes) as usize;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a varint ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}
