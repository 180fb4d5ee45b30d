//! Section 6 of the page: frames, watching, statistics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, EntityId, Frame, ServerMessage, StatsWanted};

use super::World;
use super::visit::{Guest, come_back, enter};
use crate::report::{Case, Check, broken, must};

/// Messages with frames that the rule about them looks at, and how long it waits for so many: little may happen in a world.
const MESSAGES: usize = 40;
const TIME: Duration = Duration::from_secs(8);
/// What a client must be able to take in one message, as the page says.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

pub(super) fn cases() -> Vec<Case<World>> {
    vec![
        Case::new(
            "frames",
            "Of each publisher and chunk a keyframe comes first; roster parts have no gaps.",
            frames,
        ),
        Case::new("own-entity", "The own entity is in the frames like every other.", own_entity),
        Case::new("ping", "A ping is answered with its stamp and the world time, which goes on.", ping),
        Case::new("stats", "Statistics come while they are wanted, for this connection only.", stats),
        Case::new("watch", "What may not be watched is refused: `no_such_kind`, `not_allowed`.", watch),
    ]
}

/// Everything a client keeps of one publisher and chunk.
#[derive(Default)]
struct Board {
    roster: u32,
    slots: BTreeSet<u32>,
}

/// Checks frame after frame against the rules.
#[derive(Default)]
struct Reader {
    boards: BTreeMap<(u32, u32, i32, i32), Board>,
}

impl Reader {
    fn read(&mut self, message: &ServerMessage) -> Check {
        must(message.encoded_len() <= MESSAGE_BYTES_MAX, || format!("{} bytes", message.encoded_len()))?;
        for chunk in &message.forget {
            self.boards.retain(|(_, island, x, y), _| (*island, *x, *y) != (chunk.island, chunk.x, chunk.y));
        }
        if message.resync.is_some() {
            self.boards.clear();
        }
        message.frames.iter().try_for_each(|frame| self.take(frame))
    }

    fn take(&mut self, frame: &Frame) -> Check {
        let key = (frame.publisher, frame.island, frame.cx, frame.cy);
        let is_new = !self.boards.contains_key(&key);
        let board = self.boards.entry(key).or_default();
        let lists = [frame.enter.len(), frame.change.len(), frame.leave.len(), frame.signal.len()];
        let has_news = lists.iter().any(|len| *len > 0);
        if frame.keyframe {
            *board = Board { roster: frame.roster, slots: BTreeSet::new() };
        } else if frame.roster > 0 {
            let expected = board.roster + u32::from(has_news);
            must(frame.roster == expected, || {
                let first = if is_new { ", and there was no keyframe" } else { "" };
                format!("{key:?}: part {} instead of {expected}{first}", frame.roster)
            })?;
            board.roster = frame.roster;
        } else {
            must(!has_news, || format!("{key:?}: a roster part without a number"))?;
        }
        let known = frame.leave.iter().all(|leave| board.slots.remove(&leave.slot));
        must(known, || format!("{key:?}: a leave of a free slot"))?;
        let free = frame.enter.iter().all(|enter| board.slots.insert(enter.slot));
        must(free, || format!("{key:?}: an enter in a slot that is taken"))?;
        let mut named = frame.change.iter().map(|c| c.slot).chain(frame.signal.iter().map(|s| s.slot));
        must(named.all(|slot| board.slots.contains(&slot)), || format!("{key:?}: news of a free slot"))?;
        let columns = [&frame.x, &frame.y, &frame.heading, &frame.speed];
        must(columns.iter().all(|c| c.len() == frame.slot.len()), || format!("{key:?}: columns differ"))?;
        must(frame.heading.iter().chain(&frame.speed).all(|v| *v < 128), || format!("{key:?}: beyond 127"))
    }
}

fn frames(world: &World) -> Check {
    let mut guest = enter(world)?;
    let (mut reader, mut messages, mut verdict) = (Reader::default(), 0, Ok(()));
    let until = Instant::now() + TIME;
    while messages < MESSAGES && Instant::now() < until {
        let looked = guest.line.find_within(until - Instant::now(), |message| {
            messages += usize::from(!message.frames.is_empty());
            if verdict.is_ok() {
                verdict = reader.read(message);
            }
            (messages >= MESSAGES).then_some(())
        })?;
        must(looked.is_ok() || Instant::now() >= until, || format!("no frames: {looked:?}"))?;
    }
    verdict?;
    must(!reader.boards.is_empty(), || "no frames at all".to_owned())
}

fn own_entity(world: &World) -> Check {
    let mut guest = enter(world)?;
    let me = guest.welcome.player.unwrap_or_default();
    guest.line.find("own entity", |message| {
        let mut entered = message.frames.iter().flat_map(|frame| &frame.enter);
        entered.find(|enter| (enter.kind, enter.id) == (me.kind, me.id)).map(drop)
    })
}

fn ping(world: &World) -> Check {
    let mut guest = enter(world)?;
    let mut world_ms = guest.welcome.world_ms;
    for stamp in [0, 1, u64::MAX] {
        guest.line.ping(stamp);
        let pong = guest.line.find("pong", |message| message.pong)?;
        must(pong.stamp == stamp, || format!("the stamp {stamp} came back as {}", pong.stamp))?;
        must(pong.world_ms >= world_ms, || {
            format!("world time went back from {world_ms} to {}", pong.world_ms)
        })?;
        world_ms = pong.world_ms;
    }
    Ok(())
}

fn want_stats(guest: &mut Guest, on: bool) {
    guest.line.ask(&ClientMessage { stats_wanted: Some(StatsWanted { on }), ..Default::default() });
}

fn stats(world: &World) -> Check {
    let mut guest = enter(world)?;
    want_stats(&mut guest, true);
    for _ in 0..2 {
        let node = guest.line.find("statistics", |message| message.stats.as_ref().map(|stats| stats.node))?;
        must(node == guest.welcome.node, || format!("of node {node}"))?;
    }
    let mut back = come_back(world, &guest)?;
    match back.line.find_within(crate::stage::WATCH * 2, |message| message.stats.clone())? {
        Ok(_) => broken("after a resume they come without being asked for"),
        Err(_) => Ok(()),
    }
}

fn watch(world: &World) -> Check {
    let mut guest = enter(world)?;
    let me = guest.welcome.player.unwrap_or_default();
    for (entity, wanted) in [(EntityId { kind: 65_000, id: 1 }, "no_such_kind"), (me, "not_allowed")] {
        guest.line.ask(&ClientMessage { watch: Some(entity), ..Default::default() });
        let watched = guest.line.find("answer to a watch", |message| message.watched.first().cloned())?;
        let code = watched.refusal.map(|refusal| refusal.code).unwrap_or_default();
        must(watched.entity == Some(entity) && code == wanted, || format!("{code} instead of {wanted}"))?;
    }
    Ok(())
}
