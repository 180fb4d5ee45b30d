//! The rules of the picture one by one, and the property behind them (G8): in whatever order the frames of different
//! publishers arrive, the picture ends equal to the truth.

use std::collections::VecDeque;

use gundo_wire::client::{Change, Chunk, Leave, Resync, Signal};
use proptest::prelude::*;

use super::*;

const A: ChunkId = ChunkId { island: 0, x: 0, y: 0 };
const B: ChunkId = ChunkId { island: 0, x: 1, y: 0 };

fn id(n: u64) -> EntityId {
    EntityId::new(Kind(1), n)
}

fn frame(publisher: u32, chunk: ChunkId, tick: u32, roster: u32) -> Frame {
    let (cx, cy) = (i32::from(chunk.x), i32::from(chunk.y));
    Frame { publisher, island: u32::from(chunk.island), cx, cy, tick, roster, ..Default::default() }
}

fn enter(slot: u32, n: u64, count: u32, public: &str) -> Enter {
    let public = Bytes::copy_from_slice(public.as_bytes());
    Enter { slot, kind: 1, id: n, epoch: 1, count, public, has_body: true, x: 5, y: 5, ..Default::default() }
}

fn motion(mut frame: Frame, rows: &[(u32, u32)]) -> Frame {
    let mut before = 0;
    for (slot, x) in rows {
        frame.slot.push(slot - before);
        before = *slot;
        frame.x.push(*x);
        frame.y.push(0);
        frame.heading.push(3);
        frame.speed.push(14);
    }
    frame
}

fn take(picture: &mut Picture, frame: Frame) -> Vec<PictureEvent> {
    let mut events = Vec::new();
    picture.handle_frame(&frame, &mut events);
    events
}

fn x_of(picture: &Picture, n: u64) -> i32 {
    picture.entity(id(n)).and_then(|s| s.body).expect("in sight").at.x
}

#[test]
fn entities_enter_move_change_speak_and_leave() {
    let mut p = Picture::new();
    let key = Frame {
        keyframe: true,
        enter: vec![enter(3, 30, 1, "a"), enter(9, 90, 1, "b")],
        ..frame(1, B, 10, 7)
    };
    assert_eq!(take(&mut p, key), [PictureEvent::Entered(id(30)), PictureEvent::Entered(id(90))]);
    assert_eq!(x_of(&p, 90), 30_050);
    take(&mut p, motion(frame(1, B, 11, 0), &[(3, 100), (9, 200)]));
    assert_eq!((x_of(&p, 30), x_of(&p, 90)), (31_000, 32_000));
    let said = Bytes::from_static(b"hi");
    let news = Frame {
        change: vec![Change { slot: 3, public: Bytes::from_static(b"c") }],
        signal: vec![Signal { slot: 9, payload: said.clone() }],
        ..frame(1, B, 12, 8)
    };
    assert_eq!(take(&mut p, news), [PictureEvent::Changed(id(30)), PictureEvent::Signal(id(90), said)]);
    let gone = Frame { leave: vec![Leave { slot: 3, to: None }], ..frame(1, B, 13, 9) };
    assert_eq!(take(&mut p, gone), [PictureEvent::Gone(id(30))]);
    let elsewhere = Frame { leave: vec![Leave { slot: 9, to: Some(Chunk::from(A)) }], ..frame(1, B, 14, 10) };
    assert_eq!(take(&mut p, elsewhere), [PictureEvent::Left(id(90))]);
    assert_eq!((p.len(), p.updates(), p.gaps()), (0, 2, 0));
}

#[test]
fn a_leave_removes_only_what_the_same_publisher_entered_in_the_same_chunk() {
    let mut p = Picture::new();
    take(&mut p, Frame { enter: vec![enter(1, 5, 1, "")], ..frame(1, A, 1, 1) });
    take(&mut p, Frame { enter: vec![enter(1, 5, 2, "")], ..frame(2, A, 2, 1) });
    assert_eq!(take(&mut p, Frame { leave: vec![Leave { slot: 1, to: None }], ..frame(1, A, 2, 2) }), []);
    assert_eq!(p.entity(id(5)).expect("still there").publisher, NodeId(2));
    take(&mut p, Frame { enter: vec![enter(4, 5, 2, "")], ..frame(2, B, 3, 1) });
    assert_eq!(take(&mut p, Frame { leave: vec![Leave { slot: 1, to: None }], ..frame(2, A, 3, 2) }), []);
    assert_eq!(p.entity(id(5)).expect("still there").chunk, B);
}

#[test]
fn the_highest_term_and_tick_win() {
    let mut p = Picture::new();
    take(&mut p, Frame { enter: vec![enter(1, 5, 2, "new")], ..frame(2, A, 5, 1) });
    take(&mut p, Frame { enter: vec![enter(1, 5, 1, "old")], ..frame(1, A, 9, 1) });
    assert_eq!(p.entity(id(5)).expect("seen").public, "new");
    take(&mut p, motion(frame(1, A, 10, 0), &[(1, 999)]));
    assert_eq!(x_of(&p, 5), 50, "the old owner moves it no more");
    take(&mut p, motion(frame(2, A, 4, 0), &[(1, 777)]));
    assert_eq!(x_of(&p, 5), 50, "an older tick comes too late");
    take(&mut p, motion(frame(2, A, 6, 0), &[(1, 777)]));
    assert_eq!(x_of(&p, 5), 7_770);
}

#[test]
fn a_missed_part_is_noticed_and_the_keyframe_mends_it() {
    for reminder in [false, true] {
        let mut p = Picture::new();
        take(&mut p, Frame { enter: vec![enter(1, 5, 1, "")], ..frame(1, A, 1, 1) });
        // Part 2 (5 leaves, 6 gets its slot) is lost.
        let next = if reminder { vec![] } else { vec![enter(2, 7, 1, "")] };
        take(&mut p, Frame { enter: next, ..frame(1, A, 3, if reminder { 2 } else { 3 }) });
        assert_eq!((p.gaps(), p.len()), (1, 1));
        take(&mut p, motion(frame(1, A, 4, 0), &[(1, 500)]));
        assert_eq!(x_of(&p, 5), 50, "a slot may have another meaning by now");
        let listed = vec![enter(1, 6, 1, ""), enter(2, 7, 1, "")];
        let events = take(&mut p, Frame { keyframe: true, enter: listed, ..frame(1, A, 5, 3) });
        assert!(events.contains(&PictureEvent::Left(id(5))));
        assert_eq!(p.entities().map(|(id, _)| id.id).collect::<Vec<_>>(), [6, 7]);
        take(&mut p, Frame { leave: vec![Leave { slot: 1, to: None }], ..frame(1, A, 6, 4) });
        assert_eq!(p.len(), 1);
    }
}

#[test]
fn reminders_and_repeats_do_nothing() {
    let mut p = Picture::new();
    take(&mut p, Frame { enter: vec![enter(1, 5, 1, "")], ..frame(1, A, 1, 1) });
    assert_eq!(take(&mut p, frame(1, A, 2, 1)), []);
    assert_eq!(take(&mut p, Frame { leave: vec![Leave { slot: 1, to: None }], ..frame(1, A, 1, 1) }), []);
    assert_eq!((p.len(), p.gaps()), (1, 0));
}

#[test]
fn forget_and_resync_empty_the_picture() {
    let mut p = Picture::new();
    for (publisher, chunk, n) in [(1, A, 1), (2, A, 2), (1, B, 3)] {
        take(&mut p, Frame { enter: vec![enter(1, n, 1, "")], ..frame(publisher, chunk, 1, 1) });
    }
    let mut events = Vec::new();
    let forget = ServerMessage { forget: vec![Chunk::from(A)], ..Default::default() };
    p.handle_message(&forget, &mut events);
    assert_eq!(events, [PictureEvent::Left(id(1)), PictureEvent::Left(id(2))]);
    // Frames behind a resync in the same message belong to the new picture.
    let frames = vec![Frame { keyframe: true, enter: vec![enter(1, 4, 1, "")], ..frame(1, A, 2, 5) }];
    p.handle_message(&ServerMessage { resync: Some(Resync {}), frames, ..Default::default() }, &mut events);
    assert_eq!(p.entities().map(|(id, _)| id.id).collect::<Vec<_>>(), [4]);
}

#[test]
fn frames_of_impossible_places_are_ignored() {
    let mut p = Picture::new();
    let enters = vec![enter(1, 1, 1, "")];
    take(&mut p, Frame { cx: 70_000, enter: enters.clone(), ..frame(1, A, 1, 1) });
    take(&mut p, Frame { publisher: 70_000, enter: enters.clone(), ..frame(1, A, 1, 1) });
    take(&mut p, Frame { enter: vec![Enter { kind: 70_000, ..enter(1, 1, 1, "") }], ..frame(1, A, 1, 1) });
    take(&mut p, Frame { x: vec![1, 2, 3], slot: vec![1], ..frame(1, A, 2, 0) });
    assert!(p.is_empty());
}

/// The truth: nodes that own wandering entities, and the frames each publishes.
struct World {
    tick: u32,
    /// Per entity: owner, chunk, term count, x in motion units.
    entities: BTreeMap<u64, (u32, ChunkId, u32, u32)>,
    rosters: BTreeMap<(u32, ChunkId), (u32, BTreeMap<u64, u32>)>,
    /// For each publisher, the frames it sent that the client has not received.
    lines: BTreeMap<u32, VecDeque<Frame>>,
}

impl World {
    fn part(&mut self, node: u32, chunk: ChunkId, fill: impl FnOnce(&mut BTreeMap<u64, u32>, &mut Frame)) {
        let (number, slots) = self.rosters.entry((node, chunk)).or_default();
        *number += 1;
        let mut f = frame(node, chunk, self.tick, *number);
        fill(slots, &mut f);
        self.lines.entry(node).or_default().push_back(f);
    }

    fn leave(&mut self, n: u64) {
        let Some((node, chunk, ..)) = self.entities.get(&n).copied() else { return };
        self.part(node, chunk, |slots, f| {
            let slot = slots.remove(&n).expect("listed");
            f.leave.push(Leave { slot, to: None });
        });
    }

    fn enter(&mut self, n: u64) {
        let (node, chunk, term, x) = self.entities[&n];
        self.part(node, chunk, |slots, f| {
            // The lowest free slot, so that slots are used again soon.
            let slot = (1..).find(|s| !slots.values().any(|v| v == s)).expect("endless");
            slots.insert(n, slot);
            f.enter.push(Enter { x, ..enter(slot, n, term, &format!("{n}.{term}")) });
        });
    }

    fn step(&mut self, n: u64, what: u8) {
        self.tick += 1;
        let known = self.entities.get(&n).copied();
        match (what, known) {
            (0, Some(_)) => {
                self.leave(n);
                self.entities.remove(&n);
            }
            (_, None) => {
                // Terms are never reused: a new life begins above every earlier one.
                self.entities.insert(n, (1 + what as u32 % 3, A, self.tick, 1));
                self.enter(n);
            }
            (1, Some((node, chunk, term, x))) => {
                self.leave(n);
                let to = if chunk == A { B } else { A };
                self.entities.insert(n, (node, to, term, x));
                self.enter(n);
            }
            (2 | 3, Some((node, chunk, _, x))) => {
                self.leave(n);
                self.entities.insert(n, (node % 3 + 1, chunk, self.tick, x));
                self.enter(n);
            }
            (_, Some((node, chunk, term, x))) => {
                self.entities.insert(n, (node, chunk, term, x + 1));
                let slot = self.rosters[&(node, chunk)].1[&n];
                let f = motion(frame(node, chunk, self.tick, 0), &[(slot, x + 1)]);
                self.lines.entry(node).or_default().push_back(f);
            }
        }
    }

    /// A slow client: the next frames of this publisher are dropped, and a keyframe of each of its chunks follows.
    fn lag(&mut self, node: u32, n: usize) {
        let line = self.lines.entry(node).or_default();
        let keep = line.len().saturating_sub(n);
        line.truncate(keep);
        for ((_, chunk), (number, slots)) in self.rosters.iter().filter(|((p, _), _)| *p == node) {
            let entries = slots.iter().map(|(n, slot)| {
                let (_, _, term, x) = self.entities[n];
                Enter { x, ..enter(*slot, *n, term, &format!("{n}.{term}")) }
            });
            let key =
                Frame { keyframe: true, enter: entries.collect(), ..frame(node, *chunk, self.tick, *number) };
            line.push_back(key);
        }
    }
}

proptest! {
    #[test]
    fn pictures_converge(
        steps in prop::collection::vec((0u64..4, 0u8..8, 0u32..5, 0u8..20), 1..150),
    ) {
        let mut world = World { tick: 0, entities: BTreeMap::new(), rosters: BTreeMap::new(), lines: BTreeMap::new() };
        let mut picture = Picture::new();
        let mut events = Vec::new();
        for (n, what, hear, lag) in steps {
            world.step(n, what);
            if lag < 2 {
                world.lag(u32::from(lag) + 1, 3);
            }
            if let Some(f) = world.lines.get_mut(&hear).and_then(VecDeque::pop_front) {
                picture.handle_frame(&f, &mut events);
            }
        }
        for f in world.lines.values_mut().flat_map(std::mem::take) {
            picture.handle_frame(&f, &mut events);
        }
        let seen: BTreeMap<u64, (u32, ChunkId, u32, i32)> = picture
            .entities()
            .map(|(id, s)| {
                let x = s.body.expect("all have bodies").at.x - s.chunk.corner().x;
                (id.id, (u32::from(s.publisher.0), s.chunk, s.term.count, x / 10))
            })
            .collect();
        let truth = world.entities.iter().map(|(n, (p, c, t, x))| (*n, (*p, *c, *t, *x as i32))).collect();
        prop_assert_eq!(seen, truth);
    }
}
