//! `Light` must report the same own entity and the same counts as the full decoder and the picture.

use bytes::Bytes;
use gundo_wire::client::{Change, Chunk, EntityId as WireId, Leave, Reply, Resync, Welcome};
use proptest::prelude::*;

use super::*;
use crate::picture::Picture;

fn arb_frame() -> impl Strategy<Value = Frame> {
    let enter = (1u32..6, 1u32..3, 1u64..4, 0u32..3, any::<bool>(), 0u32..3_000).prop_map(
        |(slot, kind, id, count, has_body, x)| Enter {
            slot,
            kind,
            id,
            epoch: 1,
            count,
            public: Bytes::from_static(b"p"),
            has_body,
            x,
            ..Default::default()
        },
    );
    let rows = prop::collection::btree_map(1u32..400, (0u32..3_000, 0u32..128), 0..6);
    let rows = prop_oneof![rows, prop::collection::btree_map(1u32..6, (0u32..3_000, 0u32..128), 0..6)];
    let lists = (prop::collection::vec(enter, 0..3), prop::collection::vec(1u32..6, 0..2), rows);
    (1u32..3, -1i32..2, any::<bool>(), lists).prop_map(|(publisher, cx, keyframe, (enter, leave, rows))| {
        let mut frame = Frame { publisher, cx, keyframe, enter, ..Default::default() };
        frame.roster = 1;
        if !keyframe {
            frame.leave = leave.into_iter().map(|slot| Leave { slot, to: None }).collect();
        }
        let mut before = 0;
        for (slot, (x, heading)) in rows {
            frame.slot.push(slot - before);
            before = slot;
            frame.x.push(x);
            frame.y.push(x / 2);
            frame.heading.push(heading);
            frame.speed.push(1);
        }
        frame
    })
}

const OWN: EntityId = EntityId::new(Kind(1), 2);

proptest! {
    /// The own body that `Light` reports is where the picture has it.
    #[test]
    fn light_agrees_with_the_picture(
        script in prop::collection::vec((prop::collection::vec(arb_frame(), 0..4), 0u8..12), 1..30),
    ) {
        let (mut light, mut picture) = (Light::default(), Picture::new());
        light.follow(OWN);
        let mut numbers = std::collections::BTreeMap::new();
        let mut tick = 1;
        for (mut frames, what) in script {
            tick += 1;
            // After a forget the publisher starts again with the first part.
            if what == 0 {
                numbers.clear();
            }
            if what == 1 {
                numbers.retain(|(_, cx), _| *cx != 0);
            }
            for f in &mut frames {
                // Publishers' clocks differ by a little, but each counts upwards, and terms grow with time.
                f.tick = tick;
                f.enter.iter_mut().for_each(|e| e.count = tick);
                f.enter.sort_by_key(|e| e.slot);
                let news = f.keyframe || !(f.enter.is_empty() && f.leave.is_empty());
                let number = numbers.entry((f.publisher, f.cx)).or_insert(0);
                *number += u32::from(news);
                f.roster = if news { *number } else { 0 };
                // A publisher gives a slot to one entity at a time.
                f.enter.iter_mut().for_each(|e| e.slot = (e.kind - 1) * 3 + e.id as u32);
                // Two entries for one slot or one entity in one part are not what publishers write.
                let mut slots = std::collections::BTreeSet::new();
                let mut ids = std::collections::BTreeSet::new();
                f.enter.retain(|e| slots.insert(e.slot) && ids.insert((e.kind, e.id)));
            }
            let message = ServerMessage {
                resync: (what == 0).then_some(Resync {}),
                forget: if what == 1 { vec![Chunk { island: 0, x: 0, y: 0 }] } else { vec![] },
                replies: vec![Reply { seq: 4, ..Default::default() }],
                frames,
                ..Default::default()
            };
            let before = picture.updates();
            picture.handle_message(&message, &mut Vec::new());
            let scanned = light.scan(&message.encode_to_vec()).expect("well formed");
            prop_assert_eq!(u64::from(scanned.updates), picture.updates() - before);
            prop_assert_eq!(scanned.frames as usize, message.frames.len());
            prop_assert_eq!(&scanned.rest.replies, &message.replies);
            if let (Some(body), Some(_)) = (picture.entity(OWN).and_then(|s| s.body), scanned.own) {
                prop_assert_eq!(scanned.own, Some(body));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), own in 0u64..4) {
        let mut light = Light::default();
        light.follow(EntityId::new(Kind(1), own));
        let _ = light.scan(&bytes);
    }

    /// A frame that is cut short or corrupted is an error or another frame, never a panic.
    #[test]
    fn bent_frames_do_not_make_it_panic(frame in arb_frame(), at in 0usize..400, to in any::<u8>()) {
        let mut light = Light::default();
        light.follow(OWN);
        let mut bytes = ServerMessage { frames: vec![frame], ..Default::default() }.encode_to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = light.scan(&bytes);
        let _ = light.scan(&bytes[..at]);
    }
}

#[test]
fn it_follows_the_own_entity_across_publishers() {
    let mut light = Light::default();
    light.follow(OWN);
    let enter =
        |slot, count| Enter { slot, kind: 1, id: 2, count, has_body: true, x: 1, ..Default::default() };
    let row = |publisher, tick, slot: u32, x| Frame {
        publisher,
        tick,
        slot: vec![slot],
        x: vec![x],
        y: vec![0],
        heading: vec![0],
        speed: vec![0],
        ..Default::default()
    };
    let mut scan = |frame: Frame| {
        let message = ServerMessage { frames: vec![frame], ..Default::default() };
        light.scan(&message.encode_to_vec()).expect("well formed").own.map(|b| b.at.x)
    };
    let first = Frame { publisher: 1, tick: 1, roster: 1, enter: vec![enter(300, 1)], ..Default::default() };
    assert_eq!(scan(first), Some(10));
    assert_eq!(scan(row(1, 2, 300, 250)), Some(2_500));
    assert_eq!(scan(row(1, 2, 299, 100)), None, "another entity");
    let change = Change { slot: 300, public: Bytes::new() };
    assert_eq!(
        scan(Frame { publisher: 1, tick: 3, roster: 2, change: vec![change], ..Default::default() }),
        None
    );
    let taken = Frame { publisher: 2, tick: 3, roster: 1, enter: vec![enter(4, 2)], ..Default::default() };
    assert_eq!(scan(taken), Some(10));
    assert_eq!(scan(row(1, 4, 300, 260)), None, "the old owner's word counts no more");
    assert_eq!(scan(row(2, 4, 4, 270)), Some(2_700));
    let gone = Frame {
        publisher: 2,
        tick: 5,
        roster: 2,
        leave: vec![Leave { slot: 4, to: None }],
        ..Default::default()
    };
    assert_eq!(scan(gone), None);
    assert_eq!(scan(row(2, 6, 4, 280)), None);
}

#[test]
fn a_welcome_says_whom_to_follow_and_what_comes_with_it_counts() {
    let mut light = Light::default();
    let welcome = Welcome { player: Some(WireId { kind: 1, id: 2 }), ..Default::default() };
    let enter = Enter { slot: 1, kind: 1, id: 2, has_body: true, x: 3, ..Default::default() };
    let frames = vec![Frame { publisher: 1, roster: 1, enter: vec![enter], ..Default::default() }];
    // Fields of a message may come in any order.
    let mut bytes = ServerMessage { frames, ..Default::default() }.encode_to_vec();
    bytes.extend(ServerMessage { welcome: Some(welcome), ..Default::default() }.encode_to_vec());
    assert_eq!(light.scan(&bytes).expect("well formed").own.map(|b| b.at.x), Some(30));
}

#[test]
fn unpacked_and_split_columns_are_read_too() {
    let mut light = Light::default();
    light.follow(OWN);
    let enter = Enter { slot: 1, kind: 1, id: 2, has_body: true, ..Default::default() };
    let frame = Frame { publisher: 1, roster: 1, enter: vec![enter], ..Default::default() };
    let message = ServerMessage { frames: vec![frame], ..Default::default() };
    light.scan(&message.encode_to_vec()).expect("well formed");
    // publisher 1, slot 1 (packed) then slot 1 (unpacked), x 7 and 9, y 0 0, heading 0 0, speed 0 0.
    let odd = [8, 1, 98, 1, 1, 96, 1, 104, 7, 104, 9, 114, 2, 0, 0, 122, 2, 0, 0, 130, 1, 2, 0, 0];
    let mut bytes = vec![10, odd.len() as u8];
    bytes.extend(odd);
    let scanned = light.scan(&bytes).expect("legal");
    assert_eq!((scanned.updates, scanned.own.map(|b| b.at.x)), (2, Some(70)));
}

#[test]
fn it_notices_who_is_seen_leaving() {
    let welcome = Welcome { player: Some(WireId { kind: 1, id: 2 }), ..Default::default() };
    let welcome = ServerMessage { welcome: Some(welcome), ..Default::default() };
    let enter = |slot, kind, id| Enter { slot, kind, id, ..Default::default() };
    let mut numbers = [0; 3];
    let mut frame = |publisher: u32, enter: Vec<Enter>, leave: Vec<Leave>| {
        let number = &mut numbers[publisher as usize];
        *number += 1;
        let frames = vec![Frame { publisher, roster: *number, enter, leave, ..Default::default() }];
        ServerMessage { frames, ..Default::default() }
    };
    let leave = |slot, to: Option<Chunk>| Leave { slot, to };
    let mut light = Light::default();
    light.watch_others();
    let mut left = |message: &ServerMessage| {
        let left = light.scan(&message.encode_to_vec()).expect("a message").left;
        left.iter().map(|left| (left.id, left.publisher)).collect::<Vec<_>>()
    };
    assert_eq!(left(&welcome), []);
    let all =
        [enter(1, 1, 2), enter(2, 1, 3), enter(3, 1, 4), enter(4, 1, 5), enter(5, 9, 6), enter(6, 1, 7)];
    left(&frame(1, all.to_vec(), vec![]));
    // One goes to another chunk, one is of another kind, one is the own: `Light` reports none of them as left.
    let to = Some(Chunk::default());
    assert_eq!(left(&frame(1, vec![], vec![leave(2, to), leave(5, None), leave(1, None)])), []);
    assert_eq!(left(&frame(1, vec![], vec![leave(3, None)])), [(4, 1)]);
    // Another node lists it, already or in the same message.
    left(&frame(2, vec![enter(1, 1, 5)], vec![]));
    assert_eq!(left(&frame(1, vec![], vec![leave(4, None)])), []);
    let mut both = frame(1, vec![], vec![leave(6, None)]);
    both.frames.extend(frame(2, vec![enter(2, 1, 7)], vec![]).frames);
    assert_eq!(left(&both), []);
    assert_eq!(left(&frame(2, vec![], vec![leave(1, None), leave(2, None)])), [(5, 2), (7, 2)]);
    // A forgotten entity does not leave.
    left(&frame(2, vec![enter(1, 1, 8)], vec![]));
    left(&ServerMessage { resync: Some(Resync {}), ..Default::default() });
    assert_eq!(left(&frame(2, vec![], vec![leave(1, None)])), []);
}

/// A keyframe may overtake parts that it already includes: they change nothing, and a slot may have had another name in
/// them.
#[test]
fn a_part_older_than_the_keyframe_takes_nobody_away() {
    let me = WireId { kind: 1, id: 2 };
    let welcome = ServerMessage {
        welcome: Some(Welcome { player: Some(me), ..Default::default() }),
        ..Default::default()
    };
    let part = |roster, keyframe, enter: Vec<Enter>, leave: Vec<Leave>| ServerMessage {
        frames: vec![Frame { publisher: 1, roster, keyframe, enter, leave, ..Default::default() }],
        ..Default::default()
    };
    let enter = |slot, id| Enter { slot, kind: 1, id, ..Default::default() };
    let leave = |slot| Leave { slot, to: None };
    let mut light = Light::default();
    light.watch_others();
    let mut scan = |message: &ServerMessage| {
        let left = light.scan(&message.encode_to_vec()).expect("a message").left;
        (left.iter().map(|left| left.id).collect::<Vec<_>>(), light.publisher())
    };
    scan(&welcome);
    assert_eq!(scan(&part(9, true, vec![enter(1, 2), enter(3, 7)], vec![])), (vec![], Some(1)));
    assert_eq!(scan(&part(8, false, vec![], vec![leave(1), leave(3)])), (vec![], Some(1)));
    assert_eq!(scan(&part(10, false, vec![], vec![leave(1), leave(3)])), (vec![7], None));
}
