//! Section 6 of the page: what a client sees, frame by frame.

use bytes::Bytes;
use gundo_wire::client::{Change, Chunk, Enter, Frame, Leave, Resync, ServerMessage, Signal};
use serde_json::{Value, json};

use super::Command;
use crate::line::Line;
use crate::report::{Case, Check, must};
use crate::stage::{Stage, hex, welcome};

pub(super) fn cases() -> Vec<Case<Command>> {
    vec![
        Case::new("keyframe", "A keyframe replaces everything of its publisher and chunk.", keyframe),
        Case::new(
            "roster",
            "Leaves come first, then enters, changes and signals: a slot is used again.",
            roster,
        ),
        Case::new("first-part", "Without a keyframe the first part has the number 1.", first_part),
        Case::new("gap", "After a missing part it ignores publisher and chunk until the next keyframe.", gap),
        Case::new(
            "reminder",
            "An empty part repeats the newest number; a larger one shows that a part is missing.",
            reminder,
        ),
        Case::new("old-part", "A part with an older number is ignored.", old_part),
        Case::new(
            "motion",
            "Motion: slots as differences, places from the chunk's corner, short columns.",
            motion,
        ),
        Case::new("winner", "Of two entries the one with the highest (epoch, count, tick) is shown.", winner),
        Case::new("loser", "A loser's change, motion and leave change nothing that is shown.", loser),
        Case::new("loser-signal", "A loser's signal is shown.", loser_signal),
        Case::new(
            "forget",
            "`forget` drops chunks of all publishers, before the frames of its message.",
            forget,
        ),
        Case::new("resync", "`resync` drops everything, before anything else in its message.", resync),
        Case::new("welcome-drops", "A welcome drops everything.", welcome_drops),
        Case::new("lost-node", "An empty keyframe removes what its publisher showed.", lost_node),
    ]
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A frame of chunk (-1, 2).
fn frame(publisher: u32, tick: u32, roster: u32) -> Frame {
    Frame { publisher, island: 0, cx: -1, cy: 2, tick, roster, ..Default::default() }
}

fn key(publisher: u32, tick: u32, roster: u32, enter: Vec<Enter>) -> Frame {
    Frame { keyframe: true, enter, ..frame(publisher, tick, roster) }
}

/// Entity `1/id` with a body 1 m east of the chunk's corner.
fn enter(slot: u32, id: u64, count: u32, public: &str) -> Enter {
    let public = bytes(public);
    Enter {
        slot,
        kind: 1,
        id,
        epoch: 1,
        count,
        public,
        has_body: true,
        x: 100,
        heading: 5,
        speed: 7,
        ..Default::default()
    }
}

fn change(slot: u32, public: &str) -> Change {
    Change { slot, public: bytes(public) }
}

fn show(line: &mut Line, frames: Vec<Frame>) {
    line.say(&ServerMessage { frames, ..Default::default() });
}

fn begin(client: &Command) -> Check<(Stage, Line)> {
    let stage = Stage::start(client)?;
    let line = stage.welcomed("t1", 1)?;
    Ok((stage, line))
}

/// The client sees exactly these: id and public state.
fn sees(stage: &mut Stage, line: &mut Line, wanted: &[(u64, &str)], after: &str) -> Check {
    let picture = stage.picture(line)?;
    let seen: Vec<_> = picture.iter().map(|e| (e["id"].clone(), e["public"].clone())).collect();
    let wanted: Vec<(Value, Value)> =
        wanted.iter().map(|(id, public)| (json!(format!("1/{id}")), json!(hex(public.as_bytes())))).collect();
    must(seen == wanted, || format!("after {after} it sees {seen:?} instead of {wanted:?}"))
}

/// Where the client sees entity `1/id`.
fn at(stage: &mut Stage, line: &mut Line, id: u64) -> Check<Value> {
    let picture = stage.picture(line)?;
    let seen = picture.iter().find(|e| e["id"] == format!("1/{id}"));
    Ok(seen.map_or(Value::Null, |e| json!([e["x"], e["y"], e["heading"], e["speed"]])))
}

fn keyframe(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 1, "a"), enter(1, 11, 1, "b")])]);
    sees(&mut stage, &mut line, &[(10, "a"), (11, "b")], "a keyframe")?;
    let place = at(&mut stage, &mut line, 10)?;
    must(place == json!([-29_000, 60_000, 5, 7]), || format!("its body is {place}"))?;
    // Of another publisher: both stay.
    show(&mut line, vec![key(3, 100, 9, vec![enter(0, 12, 1, "c")])]);
    show(&mut line, vec![key(2, 101, 6, vec![enter(1, 10, 1, "a2")])]);
    sees(&mut stage, &mut line, &[(10, "a2"), (12, "c")], "a second keyframe")?;
    show(&mut line, vec![Frame { change: vec![change(1, "a3")], ..frame(2, 102, 7) }]);
    sees(&mut stage, &mut line, &[(10, "a3"), (12, "c")], "the part behind the keyframe")
}

fn roster(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 1, "a"), enter(5, 11, 1, "b")])]);
    let part = Frame {
        enter: vec![enter(0, 12, 1, "c")],
        leave: vec![Leave { slot: 0, to: None }, Leave { slot: 99, to: None }],
        change: vec![change(0, "c2"), change(5, "b2"), change(98, "nobody")],
        signal: vec![
            Signal { slot: 0, payload: bytes("hello") },
            Signal { slot: 97, payload: bytes("nobody") },
        ],
        ..frame(2, 101, 5)
    };
    show(&mut line, vec![part]);
    let events = stage.settle(&mut line)?;
    let signals: Vec<_> = events.iter().filter(|event| event["event"] == "signal").collect();
    let is_one = signals.len() == 1 && signals[0]["id"] == "1/12" && signals[0]["payload"] == hex(b"hello");
    must(is_one, || format!("one signal of 1/12; the client says {signals:?}"))?;
    sees(&mut stage, &mut line, &[(11, "b2"), (12, "c2")], "a part that uses a slot again")
}

fn first_part(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![Frame { enter: vec![enter(0, 10, 1, "a")], ..frame(2, 100, 1) }]);
    show(&mut line, vec![Frame { enter: vec![enter(0, 11, 1, "b")], ..frame(3, 100, 2) }]);
    sees(&mut stage, &mut line, &[(10, "a")], "part 1 of one publisher and part 2 of another")
}

fn gap(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 1, "a")])]);
    show(&mut line, vec![Frame { change: vec![change(0, "late")], ..frame(2, 102, 6) }]);
    show(&mut line, vec![Frame { change: vec![change(0, "too late")], ..frame(2, 103, 7) }]);
    show(&mut line, vec![Frame { change: vec![change(0, "the missing one")], ..frame(2, 101, 5) }]);
    show(
        &mut line,
        vec![Frame {
            slot: vec![0],
            x: vec![9],
            y: vec![9],
            heading: vec![9],
            speed: vec![9],
            ..frame(2, 103, 0)
        }],
    );
    sees(&mut stage, &mut line, &[(10, "a")], "a gap")?;
    let place = at(&mut stage, &mut line, 10)?;
    must(place == json!([-29_000, 60_000, 5, 7]), || format!("motion behind a gap: {place}"))?;
    show(&mut line, vec![key(2, 104, 8, vec![enter(0, 10, 1, "mended")])]);
    show(&mut line, vec![Frame { change: vec![change(0, "goes on")], ..frame(2, 105, 9) }]);
    sees(&mut stage, &mut line, &[(10, "goes on")], "the keyframe behind a gap")
}

fn reminder(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 1, "a")])]);
    show(&mut line, vec![frame(2, 101, 4), frame(2, 101, 3)]);
    show(&mut line, vec![Frame { change: vec![change(0, "b")], ..frame(2, 102, 5) }]);
    sees(&mut stage, &mut line, &[(10, "b")], "a reminder of the newest part")?;
    // Part 6 was lost; the reminder is all that is left of it.
    show(&mut line, vec![frame(2, 103, 6)]);
    show(&mut line, vec![Frame { change: vec![change(0, "c")], ..frame(2, 104, 7) }]);
    sees(&mut stage, &mut line, &[(10, "b")], "a reminder of a part that never came")?;
    show(&mut line, vec![key(2, 105, 7, vec![enter(0, 10, 1, "d")])]);
    sees(&mut stage, &mut line, &[(10, "d")], "the keyframe after it")
}

fn old_part(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 1, "a")])]);
    show(&mut line, vec![Frame { leave: vec![Leave { slot: 0, to: None }], ..frame(2, 101, 4) }]);
    show(&mut line, vec![Frame { change: vec![change(0, "b")], ..frame(2, 102, 5) }]);
    sees(&mut stage, &mut line, &[(10, "b")], "a part that came before")
}

fn motion(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(
        &mut line,
        vec![key(2, 100, 4, vec![enter(4, 10, 1, "a"), enter(7, 11, 1, "b"), enter(9, 12, 1, "c")])],
    );
    // Slots 4, 5 (nobody), 7 and 9; the last one has no speed.
    let moved = Frame {
        slot: vec![4, 1, 2, 2],
        x: vec![120, 1, 2_999, 3],
        y: vec![300, 1, 7, 3],
        heading: vec![0, 1, 96, 3],
        speed: vec![14, 1, 127],
        ..frame(2, 101, 0)
    };
    show(&mut line, vec![moved]);
    let places = [10, 11, 12].map(|id| at(&mut stage, &mut line, id));
    let [a, b, c] = places;
    let (a, b, c) = (a?, b?, c?);
    must(a == json!([-28_800, 63_000, 0, 14]), || format!("slot 4 is at {a}"))?;
    must(b == json!([-10, 60_070, 96, 127]), || format!("slot 7 is at {b}"))?;
    must(c == json!([-29_000, 60_000, 5, 7]), || format!("slot 9, whose column is short, is at {c}"))
}

fn winner(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 5, "old")])]);
    show(&mut line, vec![key(3, 90, 4, vec![enter(0, 10, 6, "new")])]);
    sees(&mut stage, &mut line, &[(10, "new")], "a higher count with a lower tick")?;
    show(&mut line, vec![key(4, 200, 4, vec![enter(0, 10, 4, "older still")])]);
    sees(&mut stage, &mut line, &[(10, "new")], "a lower count with a higher tick")?;
    let epoch = Enter { epoch: 2, ..enter(0, 10, 1, "another epoch") };
    show(&mut line, vec![key(5, 80, 4, vec![epoch.clone()])]);
    sees(&mut stage, &mut line, &[(10, "another epoch")], "a higher epoch")?;
    // The same owner in the next chunk.
    let next = Frame { cx: 0, ..key(5, 81, 7, vec![Enter { public: bytes("next chunk"), ..epoch }]) };
    show(&mut line, vec![next]);
    sees(&mut stage, &mut line, &[(10, "next chunk")], "the same term with a higher tick")?;
    show(
        &mut line,
        vec![Frame { leave: vec![Leave { slot: 0, to: Some(Chunk::default()) }], ..frame(5, 81, 5) }],
    );
    sees(&mut stage, &mut line, &[(10, "next chunk")], "the leave of the chunk it came from")
}

fn loser(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 5, "old")])]);
    show(&mut line, vec![key(3, 100, 4, vec![enter(0, 10, 6, "new")])]);
    let late = Frame {
        change: vec![change(0, "late")],
        slot: vec![0],
        x: vec![9],
        y: vec![9],
        heading: vec![9],
        speed: vec![9],
        ..frame(2, 110, 5)
    };
    show(&mut line, vec![late]);
    sees(&mut stage, &mut line, &[(10, "new")], "a loser's change")?;
    let place = at(&mut stage, &mut line, 10)?;
    must(place == json!([-29_000, 60_000, 5, 7]), || format!("after a loser's motion it is at {place}"))?;
    show(&mut line, vec![Frame { leave: vec![Leave { slot: 0, to: None }], ..frame(2, 111, 6) }]);
    sees(&mut stage, &mut line, &[(10, "new")], "a loser's leave")?;
    show(&mut line, vec![Frame { leave: vec![Leave { slot: 0, to: None }], ..frame(3, 112, 5) }]);
    sees(&mut stage, &mut line, &[], "the winner's leave")
}

fn loser_signal(client: &Command) -> Check {
    let (stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 5, "old")])]);
    show(&mut line, vec![key(3, 100, 4, vec![enter(0, 10, 6, "new")])]);
    show(
        &mut line,
        vec![Frame { signal: vec![Signal { slot: 0, payload: bytes("said") }], ..frame(2, 101, 5) }],
    );
    let events = stage.settle(&mut line)?;
    let said = events.iter().filter(|e| e["event"] == "signal" && e["payload"] == hex(b"said")).count();
    must(said == 1, || format!("the signal was shown {said} times"))
}

fn forget(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    let elsewhere = Frame { cx: 5, ..key(2, 100, 1, vec![enter(0, 12, 1, "c")]) };
    show(
        &mut line,
        vec![
            key(2, 100, 4, vec![enter(0, 10, 1, "a")]),
            key(3, 100, 4, vec![enter(0, 11, 1, "b")]),
            elsewhere,
        ],
    );
    let forget = vec![Chunk { island: 0, x: -1, y: 2 }];
    let frames = vec![key(3, 101, 5, vec![enter(0, 13, 1, "d")])];
    line.say(&ServerMessage { forget, frames, ..Default::default() });
    sees(&mut stage, &mut line, &[(12, "c"), (13, "d")], "forgetting one of two chunks")?;
    show(&mut line, vec![Frame { enter: vec![enter(0, 14, 1, "e")], ..frame(2, 102, 5) }]);
    sees(&mut stage, &mut line, &[(12, "c"), (13, "d")], "a part of what was forgotten")
}

fn resync(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 9, "a"), enter(1, 11, 1, "b")])]);
    // What was seen before does not win against what comes after: a restarted world may count from the start.
    let frames = vec![key(3, 5, 1, vec![enter(0, 10, 1, "again")])];
    line.say(&ServerMessage { resync: Some(Resync {}), frames, ..Default::default() });
    sees(&mut stage, &mut line, &[(10, "again")], "a resync")
}

fn welcome_drops(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(&mut line, vec![key(2, 100, 4, vec![enter(0, 10, 9, "a"), enter(1, 11, 1, "b")])]);
    sees(&mut stage, &mut line, &[(10, "a"), (11, "b")], "a keyframe")?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    stage.event("welcome")?;
    show(&mut line, vec![key(2, 5, 1, vec![enter(0, 10, 1, "again")])]);
    sees(&mut stage, &mut line, &[(10, "again")], "a welcome")
}

fn lost_node(client: &Command) -> Check {
    let (mut stage, mut line) = begin(client)?;
    show(
        &mut line,
        vec![key(2, 100, 4, vec![enter(0, 10, 1, "a")]), key(3, 100, 4, vec![enter(0, 11, 1, "b")])],
    );
    show(&mut line, vec![key(2, 101, 0, Vec::new())]);
    sees(&mut stage, &mut line, &[(11, "b")], "the empty keyframe of a lost node")?;
    show(&mut line, vec![Frame { enter: vec![enter(3, 10, 2, "a2")], ..frame(3, 102, 5) }]);
    sees(&mut stage, &mut line, &[(10, "a2"), (11, "b")], "the takeover")
}
