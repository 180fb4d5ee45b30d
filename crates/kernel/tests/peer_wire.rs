//! Messages between nodes, encoded and decoded again: every arrow with random contents; and random bytes.

#[path = "peer_wire/mail.rs"]
mod mail;
#[path = "peer_wire/transaction.rs"]
mod transaction;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use gundo_kernel::game::{Paces, Refusal};
use gundo_kernel::{
    Alive, ChunkFrame, Encoded, HandoffMessage, HomeMessage, Image, Key, Label, Line, Motion, Opened, Peer,
    Placed, Resumed, ToEdge, ToPlayer, Token, TxId, Unrecorded, WatchRefused, WatchedState,
};
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, Kind, NodeId, Point, Term, WorldTime};
use gundo_wire::Message;
use gundo_wire::client::{Change, Enter, Frame, Leave, ServerMessage, Signal};
use gundo_wire::peer::{ARROWS, MESSAGE_BYTES_MAX, Malformed, PART_BYTES_MAX, PeerMessage};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_the_same_on_the_other_side(label in label(), peer in peer()) {
        let bytes = peer.encode(&label).expect("small ones");
        let (carried, back) = Peer::decode(bytes.clone()).expect("it was encoded");
        prop_assert_eq!(carried, label);
        prop_assert_eq!(text(&back), text(&peer));
        prop_assert_eq!(&back.encode(&label).expect("a small one"), &bytes);
        prop_assert_eq!(back.entity(), peer.entity());
    }

    /// Bytes with a few of them changed are an error, or another message.
    #[test]
    fn damaged_bytes_are_a_message_or_an_error(peer in peer(), wounds in vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut bytes = bytes_of(&peer).to_vec();
        for (at, byte) in wounds {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        check_total(bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        check_total(bytes);
    }
}

/// A message decoded from random bytes is a message like any other.
fn check_total(bytes: Vec<u8>) {
    let Ok((label, peer)) = Peer::decode(bytes.into()) else { return };
    let again = peer.encode(&label).expect("it came in one");
    let (carried, back) = Peer::decode(again).expect("it was encoded");
    assert_eq!((carried, text(&back)), (label, text(&peer)));
}

/// The random values above cover every arrow of the schema.
#[test]
fn every_arrow_is_tried() {
    let mut runner = TestRunner::deterministic();
    let names: BTreeSet<_> = (0..2_000)
        .map(|_| peer().new_tree(&mut runner).expect("a value").current())
        .map(|peer| peer.to_message(&Label::default()).about().expect("an arrow").name)
        .collect();
    assert_eq!(names, ARROWS.iter().map(|about| about.name).collect());
}

/// A part of a list has so few entries that it fits, however large they are.
#[test]
fn a_part_of_the_largest_entries_is_small_enough() {
    const ENTRIES: usize = 1_000;
    let entity = EntityId::new(Kind(u16::MAX), u64::MAX);
    let term = Term { epoch: u64::MAX, count: u32::MAX };
    let chunk = ChunkId { island: u16::MAX, x: i16::MIN, y: i16::MIN };
    let home = |message| Peer::Home { epoch: Epoch(u64::MAX), message };
    let holds = vec![(entity, term); ENTRIES];
    let announce = HomeMessage::Announce { holds, subscribes: vec![], publishes: vec![], last: true };
    let subscribe = HomeMessage::Subscribe(vec![(chunk, 15); ENTRIES]);
    let sent = Peer::Sent { number: u64::MAX, rosters: vec![(chunk, u32::MAX); ENTRIES] };
    for peer in [home(announce), home(subscribe), sent] {
        let bytes = peer.encode(&full()).expect("it fits").len();
        assert!((10 * ENTRIES..=PART_BYTES_MAX).contains(&bytes), "{bytes} bytes");
    }
}

/// The largest label.
fn full() -> Label {
    let most = u64::MAX;
    Label { from: most, to: most, resets: u32::MAX, number: most, after: most, received: most }
}

fn bytes_of(peer: &Peer) -> Bytes {
    peer.encode(&Label { from: 1, ..Label::default() }).expect("a small one")
}

#[test]
fn what_is_too_large_is_an_error() {
    let own = |bytes: usize| Peer::ToEdge {
        conn: ConnId(1),
        player: EntityId::new(Kind(1), 1),
        message: ToEdge::Own(vec![0; bytes].into()),
    };
    let error = own(MESSAGE_BYTES_MAX).encode(&full()).expect_err("too large");
    assert_eq!((error.name, error.bytes_max), ("Own", MESSAGE_BYTES_MAX));
    assert!(own(MESSAGE_BYTES_MAX - 100).encode(&full()).is_ok(), "just small enough");
    let huge = own(MESSAGE_BYTES_MAX).to_message(&full()).encode_to_vec();
    assert!(matches!(Peer::decode(huge.into()), Err(Malformed::TooLarge(_))));
}

/// Bytes of frames are not copied; what is decoded from them does not keep the message alive.
#[test]
fn frames_pass_through_without_a_copy() {
    let mut frame = Frame { publisher: 2, island: 1, cx: 4, cy: 5, tick: 9, roster: 1, ..Default::default() };
    let public = Bytes::from(vec![3; 1_000]);
    frame.enter.push(Enter { slot: 0, kind: 1, id: 7, public, ..Default::default() });
    let roster = encoded(frame);
    let chunk = ChunkId { island: 1, x: 4, y: 5 };
    let frame = ChunkFrame::new(chunk, 9, Some(roster.clone()), [None, None, None]);
    let bytes = bytes_of(&Peer::Frames { number: 1, frames: vec![frame] });
    let (_, Peer::Frames { frames, .. }) = Peer::decode(bytes.clone()).expect("a bundle") else {
        panic!("it is one");
    };
    let there = frames[0].roster.as_ref().expect("it was put in");
    assert_eq!(there.bytes, roster.bytes);
    let message = bytes.as_ptr_range();
    assert!(message.contains(&there.bytes.as_ptr()), "the bytes were copied");
    assert!(!message.contains(&there.frame.enter[0].public.as_ptr()), "a look holds the whole bundle");
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let announce = |tiers| {
        let subscribes = vec![(ChunkId::default(), tiers)];
        let message = HomeMessage::Announce { holds: vec![], subscribes, publishes: vec![], last: true };
        Peer::decode(bytes_of(&Peer::Home { epoch: Epoch(1), message }))
    };
    assert!(announce(1).is_ok());
    assert_eq!(announce(0).map(|_| ()), Err(Malformed::OutOfRange("an announced set of tiers")));
    // An entity is required, and a secret has a fixed length.
    for (peer, wrong) in [
        (
            Peer::Home {
                epoch: Epoch(1),
                message: HomeMessage::Locate { entity: EntityId::default(), not: None },
            },
            "a kind",
        ),
        (
            Peer::Frames {
                number: 1,
                frames: vec![ChunkFrame::new(
                    ChunkId::default(),
                    3,
                    Some(encoded(Frame { tick: 3, cx: 1, ..Default::default() })),
                    [None, None, None],
                )],
            },
            "a frame's chunk",
        ),
        // Nodes ignore a roster there, and clients would trust it.
        (
            Peer::Frames {
                number: 1,
                frames: vec![ChunkFrame::new(
                    ChunkId::default(),
                    3,
                    None,
                    [Some(moved(Frame { tick: 3, keyframe: true, ..Default::default() })), None, None],
                )],
            },
            "a roster in a motion part",
        ),
    ] {
        let read = Peer::decode(bytes_of(&peer));
        assert_eq!(read.map(|_| ()), Err(Malformed::OutOfRange(wrong)));
    }
    let empty = ChunkFrame::new(ChunkId::default(), 3, None, [None, None, None]);
    let bundle = bytes_of(&Peer::Frames { number: 1, frames: vec![empty] });
    assert_eq!(Peer::decode(bundle).map(|_| ()), Err(Malformed::Missing("a frame")));
    // An arrow of a later version is none of these: it has its number, and the next message comes after it.
    let later = PeerMessage { incarnation: 7, number: 3, ..PeerMessage::default() };
    let read = Peer::decode(later.encode_to_vec().into());
    let label = Label { from: 7, number: 3, ..Label::default() };
    assert!(matches!(read, Ok((read, Peer::Later)) if read == label));
}

fn text(peer: &Peer) -> String {
    format!("{peer:?}")
}

// ---- random messages -------------------------------------------------------------------------

/// A random message; all arrows of a kind are equally likely.
fn peer() -> impl Strategy<Value = Peer> {
    let home =
        (any::<u64>(), home()).prop_map(|(epoch, message)| Peer::Home { epoch: Epoch(epoch), message });
    let to_player = (entity(), line(), to_player()).prop_map(|(player, line, message)| Peer::ToPlayer {
        player,
        line,
        message,
    });
    let to_edge = (any::<u64>(), entity(), to_edge()).prop_map(|(conn, player, message)| Peer::ToEdge {
        conn: ConnId(conn),
        player,
        message,
    });
    let handoff = (entity(), term(), handoff()).prop_map(|(entity, term, message)| Peer::Handoff {
        entity,
        term,
        message,
    });
    let transaction = (tx(), entity(), transaction::transaction())
        .prop_map(|(tx, entity, message)| Peer::Transaction { tx, entity, message });
    let mail = (entity(), mail::mail()).prop_map(|(entity, message)| Peer::Mail { entity, message });
    prop_oneof![
        1 => mail,
        1 => (any::<u64>(), alive()).prop_map(|(epoch, alive)| Peer::Alive { epoch: Epoch(epoch), alive }),
        1 => any::<u64>().prop_map(|epoch| Peer::Stale { epoch: Epoch(epoch) }),
        1 => (any::<u64>(), vec(chunk_frame(), 0..4)).prop_map(|(number, frames)| Peer::Frames { number, frames }),
        1 => (any::<u64>(), vec((chunk(), any::<u32>()), 0..4))
            .prop_map(|(number, rosters)| Peer::Sent { number, rosters }),
        1 => chunk().prop_map(Peer::KeyframeWanted),
        1 => any::<u64>().prop_map(|first| Peer::Missed { first }),
        1 => any::<bool>().prop_map(|again| Peer::Heard { again }),
        1 => (payload(), any::<u32>()).prop_map(|(bytes, left)| Peer::Piece { bytes, left }),
        4 => home,
        2 => to_player,
        4 => to_edge,
        2 => handoff,
        2 => transaction,
    ]
}

fn label() -> impl Strategy<Value = Label> {
    any::<(u64, u64, u32, u64, u64, u64)>().prop_map(|(from, to, resets, number, after, received)| Label {
        from,
        to,
        resets,
        number,
        after,
        received,
    })
}

fn alive() -> impl Strategy<Value = Alive> {
    let world = prop::option::of((0..=WorldTime::MAX.0).prop_map(WorldTime));
    (any::<u32>(), vec(node(), 0..4), any::<bool>(), world, any::<(u64, Option<u64>)>()).prop_map(
        |(confirmed_ms, unreachable, unheard, world, (sent_us, echo_us))| Alive {
            confirmed_ms,
            unreachable,
            unheard,
            world,
            sent_us,
            echo_us,
        },
    )
}

fn home() -> impl Strategy<Value = HomeMessage> {
    let looks = |least| vec((chunk(), least..8_u8), 0..4);
    let of = || (entity(), term());
    prop_oneof![
        (vec(of(), 0..4), looks(1), vec(chunk(), 0..4), any::<bool>()).prop_map(
            |(holds, subscribes, publishes, last)| HomeMessage::Announce {
                holds,
                subscribes,
                publishes,
                last
            }
        ),
        (entity(), prop::option::of((node(), term())))
            .prop_map(|(entity, not)| HomeMessage::Locate { entity, not }),
        (entity(), node(), term()).prop_map(|(entity, holder, term)| HomeMessage::Located {
            entity,
            holder,
            term
        }),
        of().prop_map(|(entity, term)| HomeMessage::Granted { entity, term }),
        (entity(), term(), prop::option::of(term())).prop_map(|(entity, term, from)| HomeMessage::Disputed {
            entity,
            term,
            from
        }),
        (entity(), node(), term())
            .prop_map(|(entity, node, term)| HomeMessage::Claim { entity, from: (node, term) }),
        (entity(), term(), term()).prop_map(|(entity, from, term)| HomeMessage::Claimed {
            entity,
            from,
            term
        }),
        of().prop_map(|(entity, from)| HomeMessage::ClaimRefused { entity, from }),
        of().prop_map(|(entity, term)| HomeMessage::Keep { entity, term }),
        (entity(), term(), term()).prop_map(|(entity, from, term)| HomeMessage::Kept { entity, from, term }),
        (entity(), term(), prop::option::of((node(), term())))
            .prop_map(|(entity, from, to)| HomeMessage::HandedOver { entity, from, to }),
        of().prop_map(|(entity, term)| HomeMessage::Confirmed { entity, term }),
        of().prop_map(|(entity, term)| HomeMessage::Released { entity, term }),
        (entity(), any::<(u64, u64)>(), vec(entity(), 0..4)).prop_map(|(entity, (number, seen), players)| {
            HomeMessage::Watch { entity, number, players, seen }
        }),
        watched(),
        (entity(), payload()).prop_map(|(player, message)| HomeMessage::Tell { player, message }),
        (entity(), payload()).prop_map(|(player, message)| HomeMessage::Deliver { player, message }),
        looks(0).prop_map(HomeMessage::Subscribe),
        (chunk(), any::<bool>()).prop_map(|(chunk, on)| HomeMessage::Publish { chunk, on }),
        (chunk(), vec((node(), 1..8_u8), 0..4))
            .prop_map(|(chunk, list)| HomeMessage::Subscribers { chunk, list }),
    ]
}

fn watched() -> impl Strategy<Value = HomeMessage> {
    const WHY: &[WatchRefused] = &[
        WatchRefused::NotAllowed,
        WatchRefused::NoSuchEntity,
        WatchRefused::TooMany,
        WatchRefused::NotReady,
    ];
    let refused = vec((entity(), prop::sample::select(WHY)), 0..4);
    let state = (any::<u64>(), prop::option::of(payload()))
        .prop_map(|(number, public)| WatchedState { number, public });
    (entity(), any::<u64>(), refused, prop::option::of(state))
        .prop_map(|(entity, asked, refused, state)| HomeMessage::Watched { entity, asked, refused, state })
}

fn token() -> impl Strategy<Value = Token> {
    (any::<u64>(), any::<[u8; 16]>()).prop_map(|(number, mac)| Token { number, mac })
}

fn to_player() -> impl Strategy<Value = ToPlayer> {
    let key = prop_oneof![
        token().prop_map(Key::Token),
        any::<[u8; 16]>().prop_map(Key::Old),
        any::<[u8; 16]>().prop_map(Key::Nonce),
        any::<u16>().prop_map(Key::Code),
    ];
    prop_oneof![
        (key, ".*", prop::option::of((any::<u64>(), body()))).prop_map(|(key, name, place)| {
            let place = place.map(|(at, body)| Placed { at: WorldTime(at), body });
            ToPlayer::Open { key, name, place }
        }),
        (any::<u64>(), body(), prop::option::of(body()), any::<u64>()).prop_map(
            |(adoption, body, seen, waited_ms)| ToPlayer::Resume { adoption, body, seen, waited_ms }
        ),
        (any::<u64>(), payload(), any::<bool>()).prop_map(|(seq, payload, question)| ToPlayer::Command {
            seq,
            payload,
            question
        }),
        (any::<u32>(), body(), 0..=4_000u64).prop_map(|(seq, body, late_ms)| ToPlayer::Move {
            seq,
            body,
            late_ms
        }),
        any::<bool>().prop_map(|leave| ToPlayer::Gone { leave }),
    ]
}

fn to_edge() -> impl Strategy<Value = ToEdge> {
    let token = prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 24)].prop_map(Bytes::from);
    let opened = (token, any::<(u64, u64)>(), body(), chunk(), payload());
    prop_oneof![
        opened.prop_map(|(token, (next_seq, adoption), body, center, own)| {
            let code = next_seq as u16;
            ToEdge::Opened(Box::new(Opened { token, next_seq, adoption, body, center, own, code }))
        }),
        (body(), chunk(), payload()).prop_map(|(body, center, own)| ToEdge::Resumed(Box::new(Resumed {
            body,
            center,
            own
        }))),
        refusal().prop_map(ToEdge::OpenRefused),
        Just(ToEdge::NotHere),
        (node(), term()).prop_map(|(holder, term)| ToEdge::MovedTo { holder, term }),
        (any::<u64>(), prop::result::maybe_ok(payload(), refusal()))
            .prop_map(|(seq, result)| ToEdge::Reply { seq, result }),
        payload().prop_map(ToEdge::Own),
        chunk().prop_map(ToEdge::Center),
        (any::<u32>(), body(), ".*").prop_map(|(seq, body, code)| ToEdge::Correction { seq, body, code }),
        Just(ToEdge::Superseded),
        any::<u64>().prop_map(|seq| ToEdge::Doubted { seq }),
        refusal().prop_map(ToEdge::Notice),
        refusal().prop_map(ToEdge::Ended),
        payload().prop_map(ToEdge::Told),
        payload().prop_map(ToEdge::Seal),
    ]
}

fn handoff() -> impl Strategy<Value = HandoffMessage> {
    prop_oneof![
        image().prop_map(|image| HandoffMessage::Image(Box::new(image))),
        Just(HandoffMessage::Refused),
    ]
}

fn image() -> impl Strategy<Value = Image> {
    use prop::option::of;
    let place = (of(body()), of(chunk()), of(line()), any::<bool>(), of(any::<u64>()));
    let refusals = vec((any::<u64>(), any::<u64>(), refusal().prop_map(Err)), 0..3);
    let answers = vec((any::<u64>(), any::<u64>(), payload().prop_map(Ok)), 0..3);
    let paces = vec((any::<u64>(), any::<u64>()), 0..3).prop_map(Paces::of);
    let counted = (refusals, answers, paces);
    (payload(), any::<[u64; 7]>(), any::<usize>(), place, counted).prop_map(
        |(snapshot, numbers, players_max, (body, center, line, present, grace_left_ms), counted)| {
            let (mut unrecorded, answers, paces): (Vec<Unrecorded>, Vec<_>, _) = counted;
            unrecorded.extend(answers);
            let [seq, snapshot_seq, last_at, last_seq, credit_mm, rested_us, placed_us] = numbers;
            Image {
                snapshot,
                seq,
                snapshot_seq,
                last_at: WorldTime(last_at),
                body,
                center,
                line,
                present,
                grace_left_ms,
                last_seq,
                unrecorded,
                paces,
                credit_mm,
                rested_us,
                placed_us,
                players_max,
            }
        },
    )
}

fn moved(frame: Frame) -> Motion {
    let Encoded { frame, bytes } = encoded(frame);
    Motion::new(&frame, bytes)
}

fn chunk_frame() -> impl Strategy<Value = ChunkFrame> {
    let part = || prop::option::of((roster(), motion()));
    (chunk(), any::<u32>(), part(), (part(), part(), part()), (roster(), motion())).prop_map(
        |(chunk, tick, roster, (near, middle, far), else_this)| {
            let (cx, cy) = (chunk.x.into(), chunk.y.into());
            let placed = |frame: Frame| Frame { island: chunk.island.into(), cx, cy, tick, ..frame };
            let part = |(roster, _): (Frame, Frame)| encoded(placed(roster));
            let motion = |(_, motion): (Frame, Frame)| moved(placed(motion));
            let motion = [near.map(motion), middle.map(motion), far.map(motion)];
            // There is at least one part.
            let roster = roster.or(motion.iter().all(Option::is_none).then_some(else_this)).map(part);
            ChunkFrame::new(chunk, tick, roster, motion)
        },
    )
}

fn roster() -> impl Strategy<Value = Frame> {
    let body = (0..3_000_u32, 0..3_000_u32, 0..128_u32, 0..128_u32);
    let enter = (any::<u32>(), 1..=0xffff_u32, any::<(u64, u64, u32)>(), payload(), any::<bool>(), body)
        .prop_map(|(slot, kind, (id, epoch, count), public, has_body, (x, y, heading, speed))| Enter {
            slot,
            kind,
            id,
            epoch,
            count,
            public,
            has_body,
            x,
            y,
            heading,
            speed,
        });
    let change = (any::<u32>(), payload()).prop_map(|(slot, public)| Change { slot, public });
    let leave = (any::<u32>(), prop::option::of(chunk()))
        .prop_map(|(slot, to)| Leave { slot, to: to.map(Into::into) });
    let signal = (any::<u32>(), payload()).prop_map(|(slot, payload)| Signal { slot, payload });
    let lists = (vec(enter, 0..3), vec(change, 0..3), vec(leave, 0..3), vec(signal, 0..3));
    (any::<u16>(), any::<u32>(), any::<bool>(), lists).prop_map(
        |(publisher, roster, keyframe, (enter, change, leave, signal))| Frame {
            publisher: publisher.into(),
            roster,
            keyframe,
            enter,
            change,
            leave,
            signal,
            ..Default::default()
        },
    )
}

fn motion() -> impl Strategy<Value = Frame> {
    vec((0..1_000_u32, 0..3_000_u32, 0..3_000_u32, 0..128_u32, 0..128_u32), 0..4).prop_map(|rows| {
        let mut frame = Frame::default();
        for (slot, x, y, heading, speed) in rows {
            frame.slot.push(slot);
            frame.x.push(x);
            frame.y.push(y);
            frame.heading.push(heading);
            frame.speed.push(speed);
        }
        frame
    })
}

fn encoded(frame: Frame) -> Encoded {
    let bytes = ServerMessage { frames: vec![frame.clone()], ..Default::default() }.encode_to_vec().into();
    Encoded { frame: Arc::new(frame), bytes }
}

fn entity() -> impl Strategy<Value = EntityId> {
    (1..=u16::MAX, any::<u64>()).prop_map(|(kind, id)| EntityId::new(Kind(kind), id))
}

fn term() -> impl Strategy<Value = Term> {
    any::<(u64, u32)>().prop_map(|(epoch, count)| Term { epoch, count })
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u16>().prop_map(NodeId)
}

fn chunk() -> impl Strategy<Value = ChunkId> {
    any::<(u16, i16, i16)>().prop_map(|(island, x, y)| ChunkId { island, x, y })
}

fn line() -> impl Strategy<Value = Line> {
    (node(), any::<u64>()).prop_map(|(edge, conn)| Line { edge, conn: ConnId(conn) })
}

fn tx() -> impl Strategy<Value = TxId> {
    (node(), any::<u64>(), any::<u64>()).prop_map(|(node, incarnation, count)| TxId {
        node,
        incarnation,
        count,
    })
}

fn body() -> impl Strategy<Value = Body> {
    (any::<u16>(), any::<(i32, i32)>(), 0..128_u8, 0..128_u8)
        .prop_map(|(island, (x, y), heading, speed)| Body { island, at: Point::new(x, y), heading, speed })
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (".*", ".*", any::<u32>()).prop_map(|(code, text, ms)| Refusal::new(code, text).retry_ms(ms))
}
