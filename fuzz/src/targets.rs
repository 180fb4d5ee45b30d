//! The targets: decoders are total, what they accept survives a round trip, and the client's state machines keep their
//! invariants whatever a server sends.
//!
//! Each returns whether the input was understood at all: understood inputs make better parents.

use std::collections::BTreeSet;

use bytes::Bytes;
use gundo_client::{Output, Picture, PictureEvent, Session, SessionSettings};
use gundo_types::{CHUNK_MM, ChunkId, EntityId, Point, Time};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, ServerMessage};
use gundo_wire::journal::{Cause, EventType, Session as SessionRecord, Snapshot};

use crate::mutate::cut;

/// A client's message decodes or is an error, and a decoded message encodes to an equal one.
pub fn client_message(data: &[u8]) -> bool {
    let Some(message) = survives::<ClientMessage>(data) else { return false };
    // A move never takes the kernel off the plane.
    if let Some(wish) = message.r#move {
        let chunk = ChunkId::of(0, Point::new(wish.x, wish.y));
        assert_eq!(ChunkId::from_u64(chunk.to_u64()), chunk);
    }
    true
}

/// A picture keeps its invariants whatever frames arrive, and reports every change.
pub fn picture(data: &[u8]) -> bool {
    let mut entered = false;
    let mut picture = Picture::new();
    let mut told: BTreeSet<EntityId> = BTreeSet::new();
    for message in messages(data) {
        let mut events = Vec::new();
        picture.handle_message(&message, &mut events);
        for event in events {
            match event {
                PictureEvent::Entered(id) => drop(told.insert(id)),
                PictureEvent::Left(id) | PictureEvent::Gone(id) => {
                    assert!(told.remove(&id), "{id} left, but was not there")
                }
                PictureEvent::Changed(id) => assert!(told.contains(&id), "{id} changed, but was not there"),
                // Its entity may have left by a later part of the same message.
                PictureEvent::Signal(..) => {}
            }
        }
        entered |= !picture.is_empty();
        let there: BTreeSet<EntityId> = picture.entities().map(|(id, _)| id).collect();
        assert_eq!(there, told, "the picture differs from its events");
        assert_eq!(there.len(), picture.len());
        for (id, seen) in picture.entities() {
            assert_eq!(picture.entity(id), Some(seen));
            if let Some(body) = seen.body {
                let corner = seen.chunk.corner();
                let east = i64::from(body.at.x) - i64::from(corner.x);
                let south = i64::from(body.at.y) - i64::from(corner.y);
                let within = 0..=i64::from(CHUNK_MM);
                assert!(within.contains(&east) && within.contains(&south), "{id} stands outside its chunk");
            }
        }
    }
    picture.clear();
    assert!(picture.is_empty());
    entered
}

/// A session continues or ends whatever an edge sends, and answers each command at most once.
pub fn session(data: &[u8]) -> bool {
    let mut welcomed = false;
    let edge = "ws://127.0.0.1:1".parse().expect("an address");
    let mut settings = SessionSettings::new(vec![edge], "Fuzz");
    settings.nonce = Some(*b"the nonce of one");
    let mut session = Session::new(settings);
    let mut now = Time(0);
    let mut asked = BTreeSet::new();
    let mut answered = BTreeSet::new();
    session.start(now);
    session.handle_open(now);
    for message in messages(data) {
        now = now.plus_ms(100);
        if let Ok(id) = session.command(now, Bytes::from_static(b"dig")) {
            asked.insert(id);
        }
        session.handle_message(now, message);
        let mut is_connecting = false;
        while let Some(output) = session.poll_output() {
            match output {
                Output::Connect(_) => is_connecting = true,
                Output::Event(gundo_client::Event::Answered(answer)) => {
                    assert!(asked.contains(&answer.id), "{:?} was never asked", answer.id);
                    assert!(answered.insert(answer.id), "{:?} was answered twice", answer.id);
                }
                Output::Event(gundo_client::Event::Welcomed(_)) => welcomed = true,
                Output::Send(_) | Output::Disconnect | Output::Event(_) => {}
            }
        }
        if is_connecting {
            session.handle_open(now);
        }
        if let Some(due) = session.poll_timeout() {
            // An edge may ask for a long wait; here it passes at once.
            now = now.max(due);
            session.handle_timeout(now);
        }
    }
    session.leave(now);
    while let Some(output) = session.poll_output() {
        if let Output::Event(gundo_client::Event::Answered(answer)) = output {
            assert!(answered.insert(answer.id), "{:?} was answered twice", answer.id);
        }
    }
    assert_eq!(asked, answered, "a command was left without an answer at the end");
    welcomed
}

/// The journal's records decode or are an error, whatever is in the file.
pub fn journal_records(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else { return false };
    if let Some(event_type) = EventType::from_u8(*first) {
        assert_eq!(event_type as u8, *first);
    }
    let cause = survives::<Cause>(rest).is_some();
    let session = survives::<SessionRecord>(rest).is_some();
    let snapshot = survives::<Snapshot>(rest).is_some();
    cause || session || snapshot
}

/// The messages of an input that decode, in order. The others are skipped, as a client's driver does.
pub fn messages(data: &[u8]) -> impl Iterator<Item = ServerMessage> + '_ {
    cut(data).filter_map(|bytes| ServerMessage::decode(bytes).ok())
}

fn survives<M: Message + Default + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<M> {
    let message = M::decode(data).ok()?;
    let bytes = message.encode_to_vec();
    assert_eq!(bytes.len(), message.encoded_len());
    let again = M::decode(bytes.as_slice()).expect("what was encoded decodes");
    assert!(again == message, "a message changed in a round trip: {message:?} became {again:?}");
    Some(message)
}
