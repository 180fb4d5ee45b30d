//! This version reads what an earlier one wrote, byte for byte, and ignores or keeps what a later one will add.
//!
//! `golden/` has messages as the version named in its README encoded them. They are never rewritten: a change that breaks them
//! breaks existing clients and journals. A new message gets a new file (`GUNDO_WRITE=1` writes those that are missing).

#[path = "golden/peer.rs"]
mod peer;

use std::path::PathBuf;

use bytes::Bytes;
use gundo_wire::client::{
    Bye, Change, Chunk, ClientMessage, Closing, Command, Correction, Edge, Edges, Enter, EntityId, Frame,
    Hello, Home, Leave, Move, Names, Own, Ping, Pong, Refusal, Reply, Resync, ServerMessage, Signal, Stats,
    StatsWanted, Told, Watched, Welcome,
};
use gundo_wire::journal::{
    Answer, Cause, OrderTaken, Orders, Place, Session, Snapshot, SnapshotParts, TimerOver, TimerSet, Timers,
};
use gundo_wire::{Kept, Message};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden(name: &str, written: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && std::env::var_os("GUNDO_WRITE").is_some() {
        std::fs::write(&path, written()).expect("the folder can be written");
    }
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The earlier bytes decode to `value`, `value` encodes to the same bytes, and fields of a later version change nothing, wherever
/// they stand.
fn holds<M: Message + Default + PartialEq + std::fmt::Debug>(name: &str, nested: &[Nested], value: &M) {
    let bytes = golden(name, || value.encode_to_vec());
    assert_eq!(&M::decode(bytes.as_slice()).expect(name), value, "{name} is read otherwise");
    assert_eq!(value.encode_to_vec(), bytes, "{name} is written otherwise: an older version may not read it");
    let newer = with_later_fields(&bytes, nested);
    assert!(newer.len() > bytes.len() + 20, "{name}: nothing was added");
    assert_eq!(
        &M::decode(newer.as_slice()).expect(name),
        value,
        "{name}: a later version's fields are not ignored"
    );
}

/// A field that contains a message, and those fields of that message which do.
struct Nested(u32, &'static [Nested]);

/// The same message as a later version might write it: unknown fields of every type, before, between and behind the known ones, and
/// likewise in inner messages.
fn with_later_fields(bytes: &[u8], nested: &[Nested]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut number = 1_000;
    later(&mut number, &mut out);
    while !rest.is_empty() {
        let (tag, field, payload) = field(&mut rest);
        match nested.iter().find(|n| n.0 == tag) {
            Some(Nested(_, within)) => {
                let payload = with_later_fields(payload, within);
                varint(u64::from(tag) << 3 | 2, &mut out);
                varint(payload.len() as u64, &mut out);
                out.extend(payload);
            }
            None => out.extend(field),
        }
        later(&mut number, &mut out);
    }
    out
}

/// Takes one field off the front: its number, all its bytes, and its payload if it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> (u32, &'a [u8], &'a [u8]) {
    let all = *rest;
    let key = read_varint(rest);
    let len = match key & 7 {
        0 => {
            read_varint(rest);
            0
        }
        1 => 8,
        2 => read_varint(rest) as usize,
        5 => 4,
        other => panic!("wire type {other}"),
    };
    let payload = &rest[..len];
    *rest = &rest[len..];
    ((key >> 3) as u32, &all[..all.len() - rest.len()], payload)
}

fn read_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of the next type with an unused number.
fn later(number: &mut u64, out: &mut Vec<u8>) {
    *number += 1;
    let wire_type = [0, 1, 2, 5][(*number % 4) as usize];
    varint(*number << 3 | wire_type, out);
    match wire_type {
        0 => varint(*number, out),
        1 => out.extend([0xff; 8]),
        2 => out.extend([3, b'n', b'e', b'w']),
        _ => out.extend([0; 4]),
    }
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn refusal() -> Refusal {
    Refusal {
        code: "name_taken".into(),
        text: "Somebody else has that name already.".into(),
        ..Default::default()
    }
}

const FRAME: &[Nested] = &[Nested(8, &[]), Nested(9, &[]), Nested(10, &[Nested(2, &[])]), Nested(11, &[])];
const EDGES: &[Nested] = &[Nested(1, &[])];
const SERVER: &[Nested] = &[
    Nested(1, FRAME),
    Nested(2, &[Nested(1, &[]), Nested(7, EDGES)]),
    Nested(3, &[Nested(3, &[])]),
    Nested(4, &[]),
    Nested(5, &[]),
    Nested(6, &[]),
    Nested(7, &[]),
    Nested(8, &[]),
    Nested(9, &[Nested(8, &[Nested(1, &[])])]),
    Nested(10, &[]),
    Nested(11, EDGES),
    Nested(12, &[]),
    Nested(14, &[Nested(1, &[]), Nested(3, &[])]),
    Nested(15, &[]),
];

#[test]
fn what_clients_say() {
    let nested = [1, 2, 3, 4, 5, 6, 7, 8].map(|tag| Nested(tag, &[]));
    let new = Hello {
        protocol: 1,
        name: "Ada".into(),
        client: "web 0.1".into(),
        nonce: Bytes::from_static(&[0xa5; 16]),
        ..Default::default()
    };
    let new = ClientMessage { hello: Some(new), ..Default::default() };
    holds("client_new.bin", &nested, &new);
    let back = Hello { protocol: 1, token: Bytes::from_static(&[7; 24]), ..Default::default() };
    let back = ClientMessage {
        hello: Some(back),
        commands: vec![
            Command { seq: 1, payload: text("chop"), ..Default::default() },
            Command { seq: 1 << 40, payload: Bytes::new(), ..Default::default() },
        ],
        r#move: Some(Move { seq: 9, x: -15_000, y: 2_000_000, heading: 127, speed: 40, corrections: None }),
        ping: Some(Ping { stamp: u64::MAX }),
        bye: Some(Bye {}),
        stats_wanted: Some(StatsWanted { on: true }),
        ..Default::default()
    };
    holds("client_all.bin", &nested, &back);
    let entity = |id| Some(EntityId { kind: 2, id });
    let watch = ClientMessage { watch: entity(u64::MAX), unwatch: entity(7), ..Default::default() };
    holds("client_watch.bin", &nested, &watch);
}

/// What a client says about its line, and what it has kept for the time after a crash.
#[test]
fn what_clients_know_of_their_lines() {
    let nested = [1, 2, 3, 4, 5, 6, 7, 8].map(|tag| Nested(tag, &[]));
    let place = Bytes::from_static(&[5; 35]);
    let hello = Hello { protocol: 1, token: Bytes::from_static(&[7; 24]), place, ..Default::default() };
    let said = ClientMessage {
        hello: Some(hello),
        commands: vec![Command {
            seq: 1,
            payload: text("chop"),
            lost: 1,
            lost_at: vec![3, 1 << 40],
            asks: true,
        }],
        r#move: Some(Move { seq: 9, corrections: Some(0), ..Default::default() }),
        ..Default::default()
    };
    holds("client_line.bin", &nested, &said);
    let told = ServerMessage {
        welcome: Some(Welcome { life: 1 << 40, ..Default::default() }),
        place: Bytes::from_static(&[5; 35]),
        ..Default::default()
    };
    holds("server_line.bin", SERVER, &told);
}

/// A person comes back with a code, and what comes too soon is told when to come again.
#[test]
fn what_people_have_written_down() {
    let recovery = "K7Q2M-9XW4T-00000-00000-00000-00000-00ABC".to_owned();
    let hello = Hello { protocol: 1, recovery: recovery.clone(), ..Default::default() };
    let said = ClientMessage { hello: Some(hello), ..Default::default() };
    holds("client_recovery.bin", &[Nested(1, &[])], &said);
    let refusal = Refusal { retry_ms: 667, ..refusal() };
    let told = ServerMessage {
        welcome: Some(Welcome { recovery, ..Default::default() }),
        replies: vec![Reply { seq: 3, refusal: Some(refusal), ..Default::default() }],
        ..Default::default()
    };
    holds("server_recovery.bin", SERVER, &told);
    holds("session_code.bin", &[], &Session { newest: 11, code_used: 3, code_gave: 11, ..session() });
}

#[test]
fn who_was_invited() {
    let invitation = "K7Q2M-9XW4T-00000-00000-00000-00000-00ABC".to_owned();
    let nonce = Bytes::from_static(&[5; 16]);
    let hello = Hello { protocol: 1, name: "Ada".into(), nonce, invitation, ..Default::default() };
    let said = ClientMessage { hello: Some(hello), ..Default::default() };
    holds("client_invited.bin", &[Nested(1, &[])], &said);
    let told = ServerMessage { refused: Some(refusal()), newcomers: 1, ..Default::default() };
    holds("server_invited.bin", SERVER, &told);
}

fn welcome(edges: Edges) -> Welcome {
    Welcome {
        player: Some(EntityId { kind: 1, id: 0x0123_4567_89ab_cdef }),
        token: Bytes::from_static(&[9; 24]),
        next_seq: 3,
        tick_ms: 100,
        world_ms: 86_400_000,
        node: 2,
        edges: Some(edges),
        world: text("island"),
        island: 1,
        x: -1,
        y: 30_000,
        heading: 64,
        own: text("axe"),
        chunk_mm: 30_000,
        motion_unit_mm: 10,
        adoption: 4,
        ..Default::default()
    }
}

fn frame(chunk: Chunk) -> Frame {
    Frame {
        publisher: 2,
        island: 1,
        cx: -2,
        cy: 3,
        tick: 864_000,
        roster: 17,
        keyframe: true,
        enter: vec![Enter {
            slot: 5,
            kind: 1,
            id: u64::MAX,
            epoch: 1 << 33,
            count: 42,
            public: text("Ada"),
            has_body: true,
            x: 1_500,
            y: 2_999,
            heading: 32,
            speed: 14,
        }],
        change: vec![Change { slot: 6, public: text("Bob") }],
        leave: vec![Leave { slot: 3, to: Some(chunk) }, Leave { slot: 4, to: None }],
        signal: vec![Signal { slot: 5, payload: text("hello") }],
        slot: vec![4, 3],
        x: vec![120, 2_999],
        y: vec![300, 7],
        heading: vec![0, 96],
        speed: vec![14, 0],
    }
}

#[test]
fn what_clients_are_told() {
    let edges = Edges {
        edges: vec![
            Edge { node: 1, port: 7_600, ..Default::default() },
            Edge { node: 2, host: "b.example".into(), port: 443, ..Default::default() },
        ],
    };
    let chunk = Chunk { island: 1, x: -2, y: 3 };
    let all = ServerMessage {
        frames: vec![frame(chunk)],
        welcome: Some(welcome(edges.clone())),
        replies: vec![
            Reply { seq: 1, payload: text("done"), refusal: None },
            Reply { seq: 2, payload: Bytes::new(), refusal: Some(refusal()) },
        ],
        own: Some(Own { payload: text("2 axes") }),
        correction: Some(Correction { seq: 8, x: -7, y: 7, code: "too_fast".into() }),
        pong: Some(Pong { stamp: 5, world_ms: 6 }),
        closing: Some(Closing { code: "stopping".into(), text: "Back soon.".into(), retry_ms: 1_000 }),
        forget: vec![chunk],
        stats: Some(Stats {
            node: 2,
            tick_us: 1_200,
            inbox: 3,
            reals: 4,
            ghosts: 5,
            sessions: 6,
            chunks: 7,
            homes: vec![Home { chunk: Some(chunk), node: 3 }],
            ..Default::default()
        }),
        refused: Some(refusal()),
        edges: Some(edges),
        resync: Some(Resync {}),
        ..Default::default()
    };
    holds("server_all.bin", SERVER, &all);
    let entity = Some(EntityId { kind: 2, id: 0xffff_0002 });
    let shown = |public| Watched { entity, public, ..Default::default() };
    let watched = ServerMessage {
        watched: vec![
            shown(Some(text("3 trees"))),
            shown(Some(Bytes::new())),
            shown(None),
            Watched { refusal: Some(refusal()), gone: true, ..shown(None) },
        ],
        told: vec![Told { payload: text("you have sold it") }, Told::default()],
        ..Default::default()
    };
    holds("server_watched.bin", SERVER, &watched);
    let names = Names { characters_min: 2, characters_max: 16, text: "Letters, please.".into() };
    let refused = ServerMessage { refused: Some(refusal()), names: Some(names), ..Default::default() };
    holds("server_names.bin", SERVER, &refused);
}

fn answer() -> Answer {
    Answer { seq: 6, fingerprint: 0xfeed_face_cafe_beef, reply: text("6 done") }
}

fn session() -> Session {
    Session {
        session: 1,
        token: Bytes::from_static(&[1; 32]),
        token_before: Bytes::from_static(&[2; 32]),
        adoption: 5,
        tokens_given: vec![Bytes::from_static(&[3; 32]), Bytes::from_static(&[4; 32])],
        ..Default::default()
    }
}

fn place() -> Place {
    Place { island: 1, x: -30_010, y: 30_070, heading: 96 }
}

fn snapshot() -> Snapshot {
    Snapshot {
        state: text("the game's"),
        answers: vec![answer(), Answer { seq: 7, ..Default::default() }],
        session: Some(session()),
        place: Some(place()),
        at: 86_400_000,
        ..Default::default()
    }
}

const SNAPSHOT: &[Nested] = &[Nested(2, &[]), Nested(3, &[]), Nested(4, &[])];

#[test]
fn what_lies_in_journals() {
    let cause = Cause {
        session: 1,
        seq: 6,
        fingerprint: 0xfeed_face,
        reply: text("6 done"),
        place: Some(place()),
        generation: 0,
    };
    holds("cause.bin", &[Nested(5, &[])], &cause);
    holds("session.bin", &[], &session());
    holds("snapshot.bin", SNAPSHOT, &snapshot());
}

/// What the journal says about timers.
#[test]
fn timers_of_entities() {
    let set = |timer: &'static str, at| TimerSet { timer: text(timer), at };
    holds("timer_set.bin", &[], &set("mail 7 expires", 1 << 45));
    holds("timer_over.bin", &[], &TimerOver { timer: text("mail 7 expires"), at: 1 << 45, how: 3 });
    let timers = Timers { set: vec![set("an estate lapses", 86_400_000), set("mail 7 expires", 1 << 45)] };
    let with_timers = Snapshot { timers: Some(timers), ..snapshot() };
    let nested: Vec<_> = SNAPSHOT.iter().map(|n| Nested(n.0, n.1)).chain([Nested(10, TIMERS)]).collect();
    holds("snapshot_timers.bin", &nested, &with_timers);
}

/// What the journal says about orders.
#[test]
fn orders_of_operators() {
    let done = OrderTaken {
        request: 86_400_000 << 20,
        fingerprint: 1 << 60,
        by: "ada".into(),
        answer: text("8 wood"),
        forgets: 82_800_000,
        ..OrderTaken::default()
    };
    let (code, full) = ("no_room".to_owned(), "Their bags are full.".to_owned());
    let refused =
        OrderTaken { request: 86_400_001 << 20, code, text: full, answer: text(""), ..done.clone() };
    holds("order_taken.bin", &[], &done);
    let orders = Orders { taken: vec![done, refused], forgotten: 82_800_000 };
    let with_orders = Snapshot { orders: Some(orders), ..snapshot() };
    let nested: Vec<_> = SNAPSHOT.iter().map(|n| Nested(n.0, n.1)).chain([Nested(11, ORDERS)]).collect();
    holds("snapshot_orders.bin", &nested, &with_orders);
}

const ORDERS: &[Nested] = &[Nested(1, &[])];
const TIMERS: &[Nested] = &[Nested(1, &[])];

/// A newer version's snapshot that an older one reads and writes back is unchanged, in every message of it.
#[test]
fn a_later_versions_snapshot_survives_this_one() {
    let newer =
        Bytes::from(with_later_fields(&golden("snapshot.bin", || snapshot().encode_to_vec()), SNAPSHOT));
    let read = Kept::<SnapshotParts>::decode(newer.clone()).expect("a snapshot");
    let answers = read.known.answers.iter().map(|a| Kept::<Answer>::decode(a.clone()).expect("an answer"));
    let session =
        Kept::<Session>::decode(read.known.session.clone().expect("it has one")).expect("a session");
    let place = Kept::<Place>::decode(read.known.place.clone().expect("it has one")).expect("a place");
    let parts = SnapshotParts {
        answers: answers.map(|a| a.encode()).collect(),
        session: Some(session.encode()),
        place: Some(place.encode()),
        ..read.known.clone()
    };
    let written = read.with(parts).encode();
    assert_eq!(Snapshot::decode(written.clone()).expect("a snapshot"), snapshot());
    assert_eq!(sorted(&written, SNAPSHOT), sorted(&newer, SNAPSHOT), "a field is lost");
    // Without keeping, it would be changed.
    let dropped = Snapshot::decode(newer.clone()).expect("a snapshot").encode_to_vec();
    assert_ne!(sorted(&dropped, SNAPSHOT), sorted(&newer, SNAPSHOT));
}

/// The fields of a message in the order of their numbers, at every depth: their position does not matter.
fn sorted(bytes: &[u8], nested: &[Nested]) -> Vec<(u32, Vec<u8>)> {
    let mut rest = bytes;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (tag, all, payload) = field(&mut rest);
        match nested.iter().find(|n| n.0 == tag) {
            Some(Nested(_, within)) => {
                let within = sorted(payload, within).into_iter().flat_map(|(_, bytes)| bytes);
                fields.push((tag, within.collect()));
            }
            None => fields.push((tag, all.to_vec())),
        }
    }
    fields.sort_by_key(|(tag, _)| *tag);
    fields
}

#[test]
fn where_the_edges_are() {
    let edges = vec![
        Edge { node: 1, path: "1".into(), ..Default::default() },
        Edge { node: 2, host: "b.example".into(), port: 443, path: "/ws/2".into(), scheme: "wss".into() },
    ];
    let all = ServerMessage { edges: Some(Edges { edges }), ..Default::default() };
    holds("server_edges.bin", &[Nested(11, &[Nested(1, &[])])], &all);
}
