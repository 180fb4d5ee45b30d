//! The messages between nodes: one file for each arrow, and one for a batch.
//!
//! The kernel reads them too (`crates/kernel/tests/peer_golden.rs`), and the fuzz targets begin with them.

use bytes::Bytes;
use gundo_wire::Message;
use gundo_wire::client::{Enter, Frame, ServerMessage};
use gundo_wire::peer::peer_message::Arrow;
use gundo_wire::peer::*;

use super::{Nested, holds, text};

const TERM: Nested = Nested(2, &[]);
/// An entity and a term.
const OF: &[Nested] = &[Nested(1, &[]), TERM];
/// An entity and two terms.
const TWO_TERMS: &[Nested] = &[Nested(1, &[]), TERM, Nested(3, &[])];
const HOLDER: &[Nested] = &[TERM];
const ONE: &[Nested] = &[Nested(1, &[])];
const STREAM: &[Nested] = &[Nested(1, &[]), Nested(4, &[])];
const NAME: &[Nested] = &[Nested(3, &[])];
const HOME: &[Nested] = &[
    Nested(1, &[Nested(1, ONE)]),
    Nested(2, ONE),
    Nested(3, &[Nested(1, &[]), Nested(2, &[])]),
    Nested(4, &[Nested(1, OF), Nested(2, ONE), Nested(3, &[])]),
    Nested(5, &[Nested(1, &[]), Nested(2, HOLDER)]),
    Nested(6, &[Nested(1, &[]), Nested(2, HOLDER)]),
    Nested(7, OF),
    Nested(8, TWO_TERMS),
    Nested(9, OF),
    Nested(10, OF),
    Nested(11, &[Nested(1, &[]), Nested(2, HOLDER)]),
    Nested(12, TWO_TERMS),
    Nested(13, OF),
    Nested(14, OF),
    Nested(15, TWO_TERMS),
    Nested(16, &[Nested(1, &[]), TERM, Nested(3, HOLDER)]),
    Nested(17, &[Nested(1, &[]), Nested(3, &[])]),
    Nested(18, &[Nested(1, &[]), Nested(3, ONE), Nested(4, &[])]),
    Nested(19, ONE),
    Nested(20, ONE),
];
const TO_PLAYER: &[Nested] = &[
    Nested(1, &[]),
    Nested(2, &[]),
    Nested(3, &[]),
    Nested(4, &[Nested(2, &[])]),
    Nested(5, &[]),
    Nested(6, &[Nested(2, &[])]),
    Nested(7, &[]),
];
const TO_EDGE: &[Nested] = &[
    Nested(2, &[]),
    Nested(3, &[Nested(4, &[]), Nested(5, &[])]),
    Nested(4, &[Nested(1, &[]), Nested(2, &[])]),
    Nested(5, ONE),
    Nested(6, &[]),
    Nested(7, &[Nested(1, HOLDER)]),
    Nested(8, &[Nested(3, &[])]),
    Nested(9, &[]),
    Nested(10, ONE),
    Nested(11, &[Nested(2, &[])]),
    Nested(12, &[]),
    Nested(13, &[]),
    Nested(14, ONE),
    Nested(15, ONE),
    Nested(16, &[]),
];
const OFFER: &[Nested] = &[
    Nested(5, &[]),
    Nested(6, &[]),
    Nested(7, &[]),
    Nested(11, &[Nested(3, &[])]),
    Nested(16, &[]),
    Nested(17, &[]),
];
const HANDOFF: &[Nested] = &[Nested(1, &[]), TERM, Nested(3, OFFER), Nested(4, &[])];
const TRANSACTION: &[Nested] = &[
    Nested(1, &[]),
    Nested(2, &[]),
    Nested(3, &[Nested(1, &[]), Nested(3, &[Nested(1, &[]), Nested(3, &[])])]),
    Nested(4, &[Nested(1, STREAM), Nested(2, NAME)]),
    Nested(5, ONE),
    Nested(6, &[]),
    Nested(7, &[]),
    Nested(8, &[]),
    Nested(9, &[]),
];
const PEER: &[Nested] = &[
    Nested(3, &[]),
    Nested(4, &[]),
    Nested(5, HOME),
    Nested(6, &[Nested(2, ONE)]),
    Nested(7, &[Nested(2, ONE)]),
    Nested(8, ONE),
    Nested(9, TO_PLAYER),
    Nested(10, TO_EDGE),
    Nested(11, HANDOFF),
    Nested(12, TRANSACTION),
    Nested(18, &[]),
    Nested(19, &[]),
];

#[test]
fn what_nodes_say_to_each_other() {
    let mut names = Vec::new();
    for arrow in arrows() {
        let in_epoch = matches!(arrow, Arrow::Alive(_) | Arrow::Stale(_) | Arrow::Home(_));
        let message =
            PeerMessage { incarnation: 2, epoch: in_epoch.into(), arrow: Some(arrow), ..Default::default() };
        let name = message.about().expect("an arrow of ours").name;
        holds(&format!("peer/{name}.bin"), PEER, &message);
        names.push(name);
    }
    names.sort_unstable();
    let mut all: Vec<_> = ARROWS.iter().map(|about| about.name).collect();
    all.sort_unstable();
    assert_eq!(names, all, "each arrow has its file");
}

/// The other choice, where an arrow has two.
#[test]
fn what_is_said_otherwise() {
    let other = |name: &str, arrow| {
        let message = PeerMessage { incarnation: 2, arrow: Some(arrow), ..Default::default() };
        holds(&format!("peer/{name}.bin"), PEER, &message);
    };
    let open = Open { key: Some(open::Key::Nonce(secret())), name: "Ada".into(), place: None };
    let arrow = Some(to_player::Arrow::Open(open));
    other("Open.nonce", Arrow::ToPlayer(ToPlayer { player: player(), line: line(), arrow }));
    let place = Some(Placed { at: 86_400_000, body: body() });
    let open = Open { key: Some(open::Key::Token(secret())), name: String::new(), place };
    let arrow = Some(to_player::Arrow::Open(open));
    other("Open.place", Arrow::ToPlayer(ToPlayer { player: player(), line: line(), arrow }));
    let open = Open { key: Some(open::Key::Code(3)), name: String::new(), place: None };
    let arrow = Some(to_player::Arrow::Open(open));
    other("Open.code", Arrow::ToPlayer(ToPlayer { player: player(), line: line(), arrow }));
    let late = Move { seq: 9, body: body(), late_ms: 4_000 };
    let arrow = Some(to_player::Arrow::Move(late));
    other("Move.late", Arrow::ToPlayer(ToPlayer { player: player(), line: line(), arrow }));
    let watched = Watched {
        entity: land(),
        asked: 9,
        state: Some(WatchedState { number: 4, public: None }),
        ..Default::default()
    };
    let arrow = Some(home::Arrow::Watched(watched));
    let arrow = Some(Arrow::Home(Home { arrow }));
    let unseen = PeerMessage { incarnation: 2, epoch: 1, arrow, ..Default::default() };
    holds("peer/Watched.unseen.bin", PEER, &unseen);
    let answers = vec![GivenAnswer { seq: 31, fingerprint: 0xfeed_face_cafe_bee0, reply: text("done") }];
    let paces = vec![Pace { name: 0xfeed_face_cafe_bee1, rests_us: 86_400_000_000 }];
    let arrow = Some(handoff::Arrow::Offer(Offer { answers, paces, ..offer() }));
    other("Offer.counted", Arrow::Handoff(Handoff { entity: player(), term: term(1), arrow }));
    let too_often = Refusal { code: "too_often".into(), text: "Not so fast.".into(), retry_ms: 667 };
    let result = Some(reply::Result::Refusal(too_often));
    let arrow = Some(to_edge::Arrow::Reply(Reply { seq: 8, result }));
    other("Reply.retry", Arrow::ToEdge(ToEdge { conn: 1, player: player(), arrow }));
    let result = refusal().map(reply::Result::Refusal);
    let arrow = Some(to_edge::Arrow::Reply(Reply { seq: 7, result }));
    other("Reply.refusal", Arrow::ToEdge(ToEdge { conn: 1, player: player(), arrow }));
}

/// A message that must arrive, and one without a number, after the link was reset.
#[test]
fn what_the_envelope_says() {
    let arrow = Some(Arrow::Heard(Heard { again: false }));
    let plain = PeerMessage { incarnation: 2, arrow, to: 9, received: 700, ..Default::default() };
    let numbered = PeerMessage { number: 800, ..plain.clone() };
    holds("peer/Heard.numbered.bin", PEER, &numbered);
    holds("peer/Heard.after.bin", PEER, &PeerMessage { after: 800, resets: 3, ..plain });
}

#[test]
fn what_the_journal_is_asked() {
    let batch = Batch {
        id: 5,
        node: 3,
        incarnation: 12,
        prepared_by: vec![11, 12],
        streams: vec![stream()],
        names: names(),
        generation: 0,
    };
    holds("batch.bin", &[Nested(5, STREAM), Nested(6, NAME)], &batch);
    // Since messages between entities a stream may say when its entity has something to do.
    let mut waking = batch;
    waking.streams[0].wake_ms = Some(86_400_000);
    holds("batch.wake.bin", &[Nested(5, STREAM), Nested(6, NAME)], &waking);
}

fn arrows() -> Vec<Arrow> {
    let alone = [
        Arrow::Alive(Alive {
            renews: true,
            unreachable: vec![3, 65_535],
            confirmed_ms: Some(700),
            unheard: true,
            world_ms: Some(1_000_000),
            sent_us: 7_000_000,
            echo_us: Some(6_500_000),
        }),
        Arrow::Heard(Heard { again: true }),
        Arrow::Piece(Piece { bytes: Bytes::from_static(b"the last piece of a message"), left: 0 }),
        Arrow::Stale(Stale {}),
        Arrow::Frames(Frames { number: 300, frames: vec![chunk_frame()] }),
        Arrow::Sent(Sent { number: 300, rosters: vec![LastRoster { chunk: chunk(), number: 17 }] }),
        Arrow::KeyframeWanted(KeyframeWanted { chunk: chunk() }),
        Arrow::Missed(Missed { first: 40 }),
    ];
    let home = home().into_iter().map(|arrow| Arrow::Home(Home { arrow: Some(arrow) }));
    let line = line();
    let to_player = to_player()
        .into_iter()
        .map(|arrow| Arrow::ToPlayer(ToPlayer { player: player(), line, arrow: Some(arrow) }));
    let to_edge = to_edge()
        .into_iter()
        .map(|arrow| Arrow::ToEdge(ToEdge { conn: 1, player: player(), arrow: Some(arrow) }));
    let handoff = [handoff::Arrow::Offer(offer()), handoff::Arrow::OfferRefused(OfferRefused {})]
        .into_iter()
        .map(|arrow| Arrow::Handoff(Handoff { entity: player(), term: term(1), arrow: Some(arrow) }));
    let transaction = transaction().into_iter().map(|arrow| {
        let tx = Some(TxId { node: 2, count: 40, incarnation: 0 });
        Arrow::Transaction(Transaction { tx, entity: land(), arrow: Some(arrow) })
    });
    let owes = Owes {
        sender: player(),
        number: 7,
        at_ms: 86_400_000,
        generation: 0,
        node: 2,
        message: text("three wood"),
    };
    let order = Order { request: 86_400_000 << 20, node: 3, by: "ada".into(), order: text("give 5 wood") };
    let end = |end| mail::Arrow::Ordered(Ordered { request: 86_400_000 << 20, end: Some(end) });
    let mail = [mail::Arrow::Owes(owes), mail::Arrow::Took(Took { receiver: land(), number: 7 })]
        .into_iter()
        .chain([mail::Arrow::Order(order), end(ordered::End::Refused(refusal().expect("one")))])
        .map(|arrow| Arrow::Mail(Mail { entity: land(), arrow: Some(arrow) }));
    alone
        .into_iter()
        .chain(home)
        .chain(to_player)
        .chain(to_edge)
        .chain(handoff)
        .chain(transaction)
        .chain(mail)
        .collect()
}

fn home() -> Vec<home::Arrow> {
    use home::Arrow;
    let (entity, from) = (player(), term(1));
    let of = |id| EntityId { kind: 1, id };
    let look = |tiers| Look { chunk: chunk(), tiers };
    vec![
        Arrow::Subscribe(Subscribe { looks: vec![look(7), look(0)] }),
        Arrow::Publish(Publish { chunk: chunk(), on: true }),
        Arrow::Subscribers(Subscribers {
            chunk: chunk(),
            list: vec![Subscriber { node: 1, tiers: 1 }, Subscriber { node: 2, tiers: 6 }],
        }),
        Arrow::Announce(Announce {
            holds: vec![Hold { entity, term: from }],
            subscribes: vec![look(3)],
            publishes: chunk().into_iter().collect(),
            last: true,
        }),
        Arrow::Locate(Locate { entity, not_at: holder(1) }),
        Arrow::Located(Located { entity, holder: holder(2) }),
        Arrow::Granted(Granted { entity, term: term(2) }),
        Arrow::Disputed(Disputed { entity, term: term(2), from }),
        Arrow::Confirmed(Confirmed { entity, term: term(2) }),
        Arrow::Released(Released { entity, term: term(2) }),
        Arrow::Claim(Claim { entity, from: holder(1) }),
        Arrow::Claimed(Claimed { entity, from, term: term(2) }),
        Arrow::ClaimRefused(ClaimRefused { entity, from }),
        Arrow::Keep(Keep { entity, term: from }),
        Arrow::Kept(Kept { entity, from, term: term(2) }),
        Arrow::HandedOver(HandedOver { entity, from, to: holder(2) }),
        Arrow::Watch(Watch { entity: land(), number: 9, players: vec![of(1), of(PLAYER)], seen: 3 }),
        Arrow::Watched(Watched {
            entity: land(),
            asked: 9,
            refused: vec![WatchRefusal { player: Some(of(1)), why: 1 }],
            state: Some(WatchedState { number: 4, public: Some(text("3 trees")) }),
        }),
        Arrow::Tell(Tell { player: entity, message: text("you have sold it") }),
        Arrow::Deliver(Deliver { player: entity, message: text("you have sold it") }),
    ]
}

fn to_player() -> Vec<to_player::Arrow> {
    use to_player::Arrow;
    let key = Some(open::Key::Token(secret()));
    vec![
        Arrow::Open(Open { key, name: "Ada".into(), place: None }),
        Arrow::Resume(Resume { adoption: 4, body: body(), ..Resume::default() }),
        Arrow::Command(Command { seq: 7, payload: text("chop"), question: true }),
        Arrow::Move(Move { seq: 9, body: body(), late_ms: 0 }),
        Arrow::Gone(Gone { leave: true }),
    ]
}

fn to_edge() -> Vec<to_edge::Arrow> {
    use to_edge::Arrow;
    let (body, own) = (body(), text("2 axes"));
    let center = chunk();
    vec![
        Arrow::Opened(Opened {
            token: secret(),
            next_seq: 8,
            adoption: 4,
            body,
            center,
            own: own.clone(),
            code: 0,
        }),
        Arrow::Resumed(Resumed { body, center, own: own.clone() }),
        Arrow::OpenRefused(OpenRefused { refusal: refusal() }),
        Arrow::NotHere(NotHere {}),
        Arrow::MovedTo(MovedTo { holder: holder(2) }),
        Arrow::Reply(Reply { seq: 7, result: Some(reply::Result::Payload(text("done"))) }),
        Arrow::Own(Own { payload: own }),
        Arrow::Center(Center { chunk: Some(Chunk { island: 1, x: -32_768, y: 32_767 }) }),
        Arrow::Correction(Correction { seq: 9, body, code: "too_fast".into() }),
        Arrow::Superseded(Superseded {}),
        Arrow::Doubted(Doubted { seq: 7 }),
        Arrow::Notice(Notice { refusal: refusal() }),
        Arrow::Ended(Ended { refusal: refusal() }),
        Arrow::Told(Told { message: text("you have sold it") }),
        Arrow::Seal(Seal { place: text("a place") }),
    ]
}

fn offer() -> Offer {
    Offer {
        snapshot: text("an encoded snapshot"),
        seq: 1_200,
        snapshot_seq: 1_000,
        last_at_ms: 86_400_000,
        body: body(),
        center: chunk(),
        line: line(),
        present: true,
        grace_left_ms: Some(0),
        last_seq: 33,
        refusals: vec![GivenRefusal { seq: 32, fingerprint: 0xfeed_face_cafe_beef, refusal: refusal() }],
        credit_mm: 1_500,
        rested_us: 40_000,
        placed_us: 5_000_000,
        players_max: u64::MAX,
        answers: Vec::new(),
        paces: Vec::new(),
    }
}

fn transaction() -> Vec<transaction::Arrow> {
    use transaction::Arrow;
    let age = Some(Age { at_ms: 86_400_000, node: 2, count: 39 });
    let actor = Some(Actor { id: player(), public: text("Ada"), body: body() });
    let prepared =
        |appends, reply| Prepared { stream: Some(stream()), names: names(), reply, incarnation: 12, appends };
    vec![
        Arrow::Prepare(Prepare { age, ask: text("fell 3"), actor, creates: true, alone: false }),
        Arrow::Prepared(prepared(false, text("3 wood"))),
        Arrow::PrepareRefused(PrepareRefused { refusal: refusal() }),
        Arrow::Busy(Busy {}),
        Arrow::Read(Read {}),
        Arrow::Seen(Seen { public: Some(text("3 wood")) }),
        Arrow::Commit(Commit {}),
        Arrow::Abort(Abort { reload: true }),
        Arrow::Fence(Fence {}),
        Arrow::Conclude(Conclude { parts: vec![prepared(false, Bytes::new())] }),
        Arrow::Concluded(Concluded { outcome: concluded::Outcome::Taken.into() }),
    ]
}

fn stream() -> StreamAppend {
    let event =
        |r#type, payload| Event { at_ms: 86_400_000, cause: text("an encoded cause"), r#type, payload };
    StreamAppend {
        entity: land(),
        load: (2 << 32) + 1,
        after: 16,
        events: vec![event(0, text("felled 3")), event(4, Bytes::new())],
        snapshot: Some(text("an encoded snapshot")),
        wake_ms: None,
    }
}

fn names() -> Vec<NameChange> {
    let name = |owner| NameChange { space: "player".into(), name: "ada".into(), owner };
    vec![name(player()), name(None)]
}

fn chunk_frame() -> ChunkFrame {
    let frame = Frame { publisher: 2, cx: -1, cy: 2, tick: 864_000, ..Default::default() };
    let enter = Enter {
        slot: 5,
        kind: 1,
        id: PLAYER,
        epoch: 1,
        count: 42,
        public: text("Ada"),
        has_body: true,
        x: 1_500,
        y: 2_999,
        heading: 32,
        speed: 14,
    };
    let roster = Frame { roster: 17, keyframe: true, enter: vec![enter], ..frame.clone() };
    let motion = |slot, x| Frame {
        slot: vec![slot],
        x: vec![x],
        y: vec![7],
        heading: vec![127],
        speed: vec![40],
        ..frame.clone()
    };
    let encoded = |frame| ServerMessage { frames: vec![frame], ..Default::default() }.encode_to_vec().into();
    ChunkFrame {
        chunk: chunk(),
        roster: encoded(roster),
        near: encoded(motion(5, 10)),
        middle: encoded(motion(6, 2_999)),
        far: encoded(motion(7, 0)),
    }
}

/// The fuzz targets put the player of their world in its place.
const PLAYER: u64 = 0x0123_4567_89ab_cdef;

fn player() -> Option<EntityId> {
    Some(EntityId { kind: 1, id: PLAYER })
}

fn land() -> Option<EntityId> {
    Some(EntityId { kind: 2, id: 0xffff_0002 })
}

fn term(count: u32) -> Option<Term> {
    Some(Term { epoch: 1, count })
}

fn holder(node: u32) -> Option<Holder> {
    Some(Holder { node, term: term(node) })
}

fn chunk() -> Option<Chunk> {
    Some(Chunk { island: 0, x: -1, y: 2 })
}

fn line() -> Option<Line> {
    Some(Line { edge: 1, conn: 1 })
}

fn body() -> Option<Body> {
    Some(Body { island: 0, x: -15_000, y: 75_000, heading: 127, speed: 40 })
}

fn secret() -> Bytes {
    Bytes::from_static(b"sixteen letters!")
}

fn refusal() -> Option<Refusal> {
    Some(Refusal {
        code: "name_taken".into(),
        text: "Somebody else has that name already.".into(),
        retry_ms: 0,
    })
}
