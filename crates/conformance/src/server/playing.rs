//! Sections 4 and 5 of the page: commands and moves.

use std::time::Duration;

use bytes::Bytes;
use gundo_wire::client::{ClientMessage, Command, Move, Ping};

use super::World;
use super::visit::{Guest, come_back, enter, payload};
use crate::line::PATIENCE;
use crate::report::{Case, Check, broken, must};

pub(super) fn cases() -> Vec<Case<World>> {
    vec![
        Case::new("reply", "Commands are answered in the order of their seqs.", reply),
        Case::new(
            "repeat",
            "A repeat gets the answer that the command got, on whichever connection.",
            repeat,
        ),
        Case::new(
            "next-seq",
            "After a resume `next_seq` is one more than the last command that took effect.",
            next_seq,
        ),
        Case::new(
            "command-refusals",
            "`not_the_same`, `too_old`, `too_large` and `bad_command` refuse a command only.",
            refusals,
        ),
        Case::new("together", "One message may carry ping, commands and move.", together),
        Case::new("walk", "A move that is allowed has no answer and shows in the frames.", walk),
        Case::new(
            "too-fast",
            "A move that is too far is corrected, by its seq, to where the body is.",
            too_fast,
        ),
        Case::new("move-seq", "The server only repeats a move's seq: it may start again, or jump.", move_seq),
    ]
}

fn reply(world: &World) -> Check {
    let payload = payload(world)?;
    let mut guest = enter(world)?;
    let first = guest.welcome.next_seq;
    let commands = (first..first + 3)
        .map(|seq| Command { seq, payload: payload.clone(), ..Command::default() })
        .collect();
    guest.line.ask(&ClientMessage { commands, ..Default::default() });
    let mut seqs = Vec::new();
    guest.line.find("three replies", |message| {
        seqs.extend(message.replies.iter().map(|reply| (reply.seq, reply.refusal.is_some())));
        (seqs.len() >= 3).then_some(())
    })?;
    let wanted: Vec<_> = (first..first + 3).map(|seq| (seq, false)).collect();
    must(seqs == wanted, || format!("the replies (seq, refused) are {seqs:?}"))
}

fn repeat(world: &World) -> Check {
    let payload = payload(world)?;
    let mut guest = enter(world)?;
    let seq = guest.welcome.next_seq;
    guest.command(seq, &payload);
    let first = guest.reply(seq)?;
    must(first.refusal.is_none(), || format!("the command was refused: {first:?}"))?;
    guest.command(seq, &payload);
    let second = guest.reply(seq)?;
    must(second == first, || format!("first {first:?}, then {second:?}"))?;
    let mut back = come_back(world, &guest)?;
    back.command(seq, &payload);
    let third = back.reply(seq)?;
    must(third == first, || format!("first {first:?}, after a resume {third:?}"))
}

fn next_seq(world: &World) -> Check {
    let payload = payload(world)?;
    let mut guest = enter(world)?;
    let first = guest.welcome.next_seq;
    for seq in first..first + 2 {
        guest.command(seq, &payload);
        guest.reply(seq)?;
    }
    let back = come_back(world, &guest)?;
    let next = back.welcome.next_seq;
    must(next == first + 2, || format!("the first was {first}, two took effect, and the next is {next}"))
}

fn refusals(world: &World) -> Check {
    let payload = payload(world)?;
    let mut guest = enter(world)?;
    let seq = guest.welcome.next_seq;
    guest.command(seq, &payload);
    guest.reply(seq)?;
    let table = [
        (seq, Bytes::from_static(b"\xff\xff\xff another payload"), "not_the_same"),
        (0, payload.clone(), "too_old"),
        (seq + 1, Bytes::from(vec![0; 4_097]), "too_large"),
        (seq + 2, Bytes::from_static(b"\xff\xff\xff\xff"), "bad_command"),
    ];
    for (seq, payload, wanted) in table {
        guest.command(seq, &payload);
        let code = guest.refusal(seq)?;
        must(code == wanted, || format!("{code} instead of {wanted}"))?;
    }
    guest.command(seq + 3, &payload);
    let last = guest.reply(seq + 3)?;
    must(last.refusal.is_none(), || format!("after refusals: {last:?}"))
}

fn together(world: &World) -> Check {
    let payload = payload(world)?;
    let mut guest = enter(world)?;
    let seq = guest.welcome.next_seq;
    let message = ClientMessage {
        ping: Some(Ping { stamp: 4 }),
        commands: vec![Command { seq, payload, ..Command::default() }],
        r#move: Some(at(&guest, 1, 0)),
        ..Default::default()
    };
    guest.line.ask(&message);
    let (mut pong, mut reply) = (false, false);
    guest.line.find("pong and reply", |message| {
        pong |= message.pong.is_some();
        reply |= message.replies.iter().any(|r| r.seq == seq);
        (pong && reply).then_some(())
    })
}

/// A move so far east of where the player came in.
fn at(guest: &Guest, seq: u32, east_mm: i32) -> Move {
    Move { seq, x: guest.welcome.x + east_mm, y: guest.welcome.y, heading: 0, speed: 10, ..Move::default() }
}

fn walks(guest: &mut Guest, seq: u32, east_mm: i32) {
    let wish = Some(at(guest, seq, east_mm));
    guest.line.ask(&ClientMessage { r#move: wish, ..Default::default() });
}

/// Where motion and enters show the own body, by its slot.
fn walk(world: &World) -> Check {
    let mut guest = enter(world)?;
    let me = guest.welcome.player;
    let (mut slot, mut corrected) = (None, None);
    guest.line.find("own entity in a keyframe", |message| {
        for frame in &message.frames {
            let own = frame
                .enter
                .iter()
                .find(|e| me == Some(gundo_wire::client::EntityId { kind: e.kind, id: e.id }));
            slot = own.map(|enter| (frame.publisher, frame.cx, frame.cy, enter.slot)).or(slot);
        }
        slot
    })?;
    // Somebody who has just come in has saved up no way yet: 10 cm take some time.
    let _ =
        guest.line.find_within(Duration::from_millis(500), |message| message.closing.as_ref().map(drop))?;
    let wanted = guest.welcome.x + 100;
    walks(&mut guest, 1, 100);
    let unit = guest.welcome.motion_unit_mm as i32;
    let seen = guest.line.find_within(PATIENCE, |message| {
        corrected = message.correction.clone().or(corrected.take());
        let moved = message
            .frames
            .iter()
            .flat_map(|frame| frame.motion().map(move |(slot, body)| (frame, slot, body)));
        let own = moved.filter(|(f, s, _)| slot == Some((f.publisher, f.cx, f.cy, *s))).last();
        // It may have been entered again in the next chunk.
        let entered = message.frames.iter().flat_map(|frame| {
            let own =
                |e: &&gundo_wire::client::Enter| me.is_some_and(|me| me.kind == e.kind && me.id == e.id);
            frame.enter.iter().filter(own).filter_map(|e| e.body(frame.chunk()?))
        });
        let bodies = own.map(|(.., body)| body).into_iter().chain(entered);
        bodies.map(|body| body.at.x).find(|x| (x - wanted).abs() < unit).or(corrected.as_ref().map(|c| c.x))
    })?;
    must(corrected.is_none(), || format!("a step of 10 cm is corrected: {corrected:?}"))?;
    match seen {
        Ok(_) => Ok(()),
        Err(why) => broken(format!("the frames do not show the step: {why}")),
    }
}

fn correction(guest: &mut Guest, seq: u32) -> Check {
    let (x, y) = (guest.welcome.x, guest.welcome.y);
    let correction = guest.line.find("correction", |message| message.correction.clone())?;
    let is_it = correction.seq == seq && correction.code == "too_fast";
    let is_near = (correction.x - x).abs() < 2_000 && (correction.y - y).abs() < 2_000;
    must(is_it && is_near, || format!("from {x}, {y} with the move {seq}: {correction:?}"))
}

fn too_fast(world: &World) -> Check {
    let mut guest = enter(world)?;
    walks(&mut guest, 9, 1_000_000);
    correction(&mut guest, 9)
}

fn move_seq(world: &World) -> Check {
    let mut guest = enter(world)?;
    for seq in [9, 1, u32::MAX, 0] {
        walks(&mut guest, seq, 1_000_000);
        correction(&mut guest, seq)?;
    }
    Ok(())
}
