//! Inputs to start from, made from our own messages, so that the first run reaches every field.

mod peers;

use bytes::Bytes;
use gundo_types::ChunkId;
use gundo_wire::Message;
use gundo_wire::client::*;
use gundo_wire::journal::{Answer, Cause, Place, Session, Snapshot};
pub use peers::{peer_acts, peer_messages};
use pioneer::schema::{self, PlayerCommand, player_command::Command as Wish};

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// Messages of clients.
pub fn client_messages() -> Seeds {
    let nonce = Bytes::from_static(b"the nonce of Ada");
    let hello =
        Hello { protocol: PROTOCOL, name: "Ada".into(), client: "seed".into(), nonce, ..Default::default() };
    let token = Bytes::from_static(&[7; 32]);
    let resume = Hello { token, name: String::new(), nonce: Bytes::new(), ..hello.clone() };
    let dig = |seq| Command { seq, payload: Bytes::from_static(b"dig"), ..Default::default() };
    let walk = Move { seq: 9, x: -45_123, y: 61_999, heading: 127, speed: 40, corrections: Some(2) };
    let far = Move {
        seq: u32::MAX,
        x: i32::MIN,
        y: i32::MAX,
        heading: u32::MAX,
        speed: u32::MAX,
        corrections: Some(u32::MAX),
    };
    let all = ClientMessage {
        hello: Some(resume.clone()),
        commands: vec![dig(1), dig(2), dig(u64::MAX)],
        r#move: Some(walk),
        ping: Some(Ping { stamp: 123_456 }),
        bye: Some(Bye {}),
        stats_wanted: Some(StatsWanted { on: true }),
        watch: Some(EntityId { kind: 2, id: 7 }),
        unwatch: Some(EntityId { kind: 2, id: 8 }),
    };
    let up = |message: ClientMessage| message.encode_to_vec();
    vec![
        ("hello", up(ClientMessage { hello: Some(hello), ..Default::default() })),
        ("resume", up(ClientMessage { hello: Some(resume), ..Default::default() })),
        ("commands", up(ClientMessage { commands: (1..=32).map(dig).collect(), ..Default::default() })),
        ("move", up(ClientMessage { r#move: Some(walk), ..Default::default() })),
        ("move_far", up(ClientMessage { r#move: Some(far), ..Default::default() })),
        ("everything", up(all)),
        ("empty", Vec::new()),
    ]
}

/// Messages of a server, several per input (see [`messages`](crate::messages)).
pub fn conversations() -> Seeds {
    let welcome = ServerMessage { welcome: Some(welcome()), resync: Some(Resync {}), ..Default::default() };
    let frames = |frames: Vec<Frame>| ServerMessage { frames, ..Default::default() };
    let reply = |seq, refusal| Reply { seq, payload: Bytes::from_static(b"ok"), refusal };
    let no = Refusal { code: "too_far".into(), text: "That is too far away.".into(), ..Default::default() };
    let edges = Edges { edges: vec![edge(1, ""), edge(2, "other.example")] };
    let small_talk = ServerMessage {
        replies: vec![reply(1, None), reply(2, Some(no.clone())), reply(2, None)],
        own: Some(Own { payload: Bytes::from_static(b"bag") }),
        correction: Some(Correction { seq: 3, x: 1, y: -1, code: "too_fast".into() }),
        pong: Some(Pong { stamp: 5, world_ms: 90_000 }),
        stats: Some(Stats {
            node: 1,
            homes: vec![Home { chunk: Some(chunk()), node: 2 }],
            ..Default::default()
        }),
        edges: Some(edges),
        ..Default::default()
    };
    let closing = |code: &str, retry_ms| ServerMessage {
        closing: Some(Closing { code: code.into(), text: "Good bye.".into(), retry_ms }),
        ..Default::default()
    };
    let refused = ServerMessage { refused: Some(no), ..Default::default() };
    let forget = ServerMessage { forget: vec![chunk()], ..Default::default() };
    vec![
        ("welcome", join(&[welcome.clone(), frames(vec![keyframe(1), keyframe(2)])])),
        ("life", join(&[welcome.clone(), frames(vec![keyframe(1), change(2), motion(3), leave(3)]), forget])),
        ("handover", join(&[frames(vec![keyframe(1), enter_elsewhere(), leave(2)])])),
        ("gap", join(&[frames(vec![keyframe(1), leave(4), motion(5), keyframe(6)])])),
        ("small_talk", join(&[welcome.clone(), small_talk])),
        ("closed", join(&[welcome.clone(), closing("stopping", 500), welcome.clone()])),
        ("ended", join(&[welcome, closing("superseded", 0)])),
        ("refused", join(&[refused])),
    ]
}

/// Records of a journal; the first byte is the event's type.
pub fn records() -> Seeds {
    let place = Place { island: 1, x: -5_000, y: 12_345, heading: 64 };
    let session = Session {
        session: 3,
        token: vec![1; 32].into(),
        token_before: vec![2; 32].into(),
        adoption: 9,
        tokens_given: vec![vec![3; 32].into()],
        salt: vec![5; 16].into(),
        newest: 12,
        code_used: 2,
        code_gave: 11,
    };
    let reply = Bytes::from_static(b"ok");
    let cause = Cause {
        session: 3,
        seq: 17,
        fingerprint: 0xfeed,
        reply: reply.clone(),
        place: Some(place),
        generation: 0,
    };
    let answers = (1..=32).map(|seq| Answer { seq, fingerprint: seq << 40, reply: reply.clone() }).collect();
    let snapshot = Snapshot {
        state: Bytes::from_static(b"state"),
        answers,
        session: Some(session.clone()),
        place: Some(place),
        at: 0,
        ..Default::default()
    };
    let typed = |event_type: u8, record: Vec<u8>| [vec![event_type], record].concat();
    vec![
        ("cause", typed(0, cause.encode_to_vec())),
        ("session", typed(2, session.encode_to_vec())),
        ("snapshot", typed(3, snapshot.encode_to_vec())),
        ("unknown_type", typed(250, Vec::new())),
    ]
}

/// Acts of four clients at two nodes; see `world.rs` for the first byte of each message.
pub fn acts() -> Seeds {
    let say = |seq| wish(seq, Wish::Say(schema::Say { text: "hello".into() }));
    let hold = |seq| wish(seq, Wish::Hold(schema::Hold::default()));
    let village = pioneer::Island::generate(1).village();
    let (x, y) = (village.x, village.y);
    let walk = |seq, x| ClientMessage {
        r#move: Some(Move { seq, x, y, heading: 0, speed: 30, ..Move::default() }),
        ..Default::default()
    };
    let chunk = gundo_types::ChunkId::of(0, village);
    let chunk = Some(schema::ChunkRef { cx: i32::from(chunk.x), cy: i32::from(chunk.y) });
    let gather = |seq, thing| wish(seq, Wish::Gather(schema::Gather { chunk, thing }));
    let build = |seq| wish(seq, Wish::Build(schema::Build { what: 1, x, y, rotation: 1 }));
    let bye = ClientMessage { bye: Some(Bye {}), ..Default::default() };
    let nothing = ClientMessage::default();
    let tick = 2 << 5;
    let (ada, bob) = (hello("Ada", b"the nonce of Ada"), hello("Bob", b"the nonce of Bob"));
    let not_ada = hello("Ada", b"some other nonce");
    let resume = resume();
    vec![
        ("two_arrive", row(&[(tick, &ada), (tick | 1, &bob), (tick, &say(1)), (tick | 1, &walk(1, x))])),
        (
            "wishes",
            row(&[
                (tick, &ada),
                (tick, &gather(1, 0)),
                (tick, &gather(2, 1)),
                (tick, &build(3)),
                (tick, &say(3)),
            ]),
        ),
        (
            "comes_back",
            row(&[(tick, &ada), (0, &say(1)), (tick | 3 << 2, &nothing), (tick | 1, &resume), (1, &say(1))]),
        ),
        (
            "superseded",
            row(&[
                (tick, &ada),
                (tick | 1, &resume),
                (tick | 2, &resume),
                (tick | 2, &say(1)),
                (tick, &say(1)),
            ]),
        ),
        (
            "walks",
            row(&[
                (tick, &ada),
                (tick, &walk(1, x + 300)),
                (tick, &walk(2, x + 40_000)),
                (tick | 4 << 2, &nothing),
            ]),
        ),
        ("same_name", row(&[(0, &ada), (1, &not_ada), (tick | 1, &bob), (tick, &bye), (tick | 2, &not_ada)])),
        (
            "first_hello_twice",
            row(&[(0, &ada), (3 << 2, &nothing), (tick | 1, &ada), (tick | 2, &ada), (tick | 2, &say(1))]),
        ),
        (
            "first_hello_in_doubt",
            row(&[(6 << 2, &nothing), (0, &ada), (tick | 1, &ada), (tick | 1, &say(1))]),
        ),
        ("rejected", row(&[(tick, &ada), (5 << 2, &nothing), (tick, &hold(1)), (tick, &hold(2))])),
        ("landed_in_doubt", row(&[(tick, &ada), (6 << 2, &nothing), (tick, &hold(1)), (tick, &hold(1))])),
        ("lost_in_doubt", row(&[(tick, &ada), (7 << 2, &nothing), (tick, &hold(1)), (tick, &hold(1))])),
    ]
}

fn hello(name: &str, nonce: &'static [u8; 16]) -> ClientMessage {
    let nonce = Bytes::from_static(nonce);
    let hello = Hello { protocol: PROTOCOL, name: name.into(), nonce, ..Default::default() };
    ClientMessage { hello: Some(hello), ..Default::default() }
}

fn resume() -> ClientMessage {
    let token = Bytes::from_static(&[7; crate::TOKEN_BYTES]);
    ClientMessage {
        hello: Some(Hello { protocol: PROTOCOL, token, ..Default::default() }),
        stats_wanted: Some(StatsWanted { on: true }),
        watch: Some(EntityId { kind: 2, id: 7 }),
        unwatch: Some(EntityId { kind: 2, id: 8 }),
        ..Default::default()
    }
}

fn wish(seq: u64, command: Wish) -> ClientMessage {
    let payload = PlayerCommand { command: Some(command) }.encode_to_vec().into();
    ClientMessage { commands: vec![Command { seq, payload, ..Default::default() }], ..Default::default() }
}

/// Messages of clients, one after the other, each with its first byte.
fn row(acts: &[(u8, &ClientMessage)]) -> Vec<u8> {
    let act = |(head, said): &(u8, &ClientMessage)| [vec![*head], said.encode_to_vec()].concat();
    crate::mutate::join(&acts.iter().map(act).collect::<Vec<_>>())
}

fn welcome() -> Welcome {
    Welcome {
        player: Some(EntityId { kind: 1, id: 0x0102_0304_0506_0708 }),
        token: Bytes::from_static(&[9; 32]),
        next_seq: 1,
        tick_ms: 100,
        life: 77,
        world_ms: 86_400_000,
        node: 1,
        edges: Some(Edges { edges: vec![edge(1, "")] }),
        world: Bytes::from_static(b"world"),
        island: 0,
        x: 15_000,
        y: 15_000,
        heading: 0,
        own: Bytes::new(),
        chunk_mm: 30_000,
        motion_unit_mm: 10,
        adoption: 1,
        recovery: "AAAA-BBBB".into(),
    }
}

fn edge(node: u32, host: &str) -> Edge {
    Edge { node, host: host.into(), port: 7_599 + node, path: node.to_string(), scheme: String::new() }
}

fn chunk() -> Chunk {
    Chunk { island: 0, x: -2, y: 1 }
}

fn frame(publisher: u32, tick: u32, roster: u32) -> Frame {
    Frame { publisher, island: 0, cx: -2, cy: 1, tick, roster, ..Default::default() }
}

fn enter(slot: u32, id: u64, count: u32) -> Enter {
    Enter {
        slot,
        kind: 1,
        id,
        epoch: 1,
        count,
        public: Bytes::from_static(b"seen"),
        has_body: true,
        x: 1_500,
        y: 2_999,
        heading: 32,
        speed: 14,
    }
}

fn keyframe(publisher: u32) -> Frame {
    let first = 10 * u64::from(publisher);
    let enter =
        vec![enter(1, first, 1), enter(2, first + 1, 1), Enter { has_body: false, ..enter(5, first + 2, 1) }];
    Frame { keyframe: true, enter, ..frame(publisher, 100, 1) }
}

fn change(roster: u32) -> Frame {
    Frame {
        change: vec![Change { slot: 2, public: Bytes::from_static(b"felled") }],
        signal: vec![Signal { slot: 1, payload: Bytes::from_static(b"hi") }],
        ..frame(1, 101, roster)
    }
}

fn motion(tick: u32) -> Frame {
    Frame {
        slot: vec![1, 1],
        x: vec![1_510, 2_999],
        y: vec![0, 3_000],
        heading: vec![0, 127],
        speed: vec![14, 0],
        ..frame(1, 100 + tick, 0)
    }
}

fn leave(roster: u32) -> Frame {
    Frame { leave: vec![Leave { slot: 1, to: Some(Chunk { x: -1, ..chunk() }) }], ..frame(1, 103, roster) }
}

fn enter_elsewhere() -> Frame {
    Frame { cx: -1, keyframe: true, enter: vec![enter(1, 10, 2)], ..frame(2, 102, 1) }
}

fn join(messages: &[ServerMessage]) -> Vec<u8> {
    crate::mutate::join(&messages.iter().map(Message::encode_to_vec).collect::<Vec<_>>())
}

/// A command that needs the land of a chunk.
pub(crate) fn a_command(chunk: ChunkId) -> Bytes {
    let chunk = Some(schema::ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() });
    let gather = Wish::Gather(schema::Gather { chunk, thing: 0 });
    PlayerCommand { command: Some(gather) }.encode_to_vec().into()
}
