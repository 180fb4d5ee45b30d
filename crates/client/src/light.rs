//! A stand-in for [`Picture`](crate::Picture), for load generators, that costs almost nothing.
//!
//! A thousand bots in one crowd receive ten million entity updates per second. Building a thousand pictures of them would
//! measure the bots, not the server. `Light` walks over the bytes once, counts the motion entries, and decodes only what
//! concerns the own entity. It decodes all messages other than frames in full.

use gundo_types::{Body, ChunkId, EntityId, Kind, Term};
use gundo_wire::client::{Enter, Frame, ServerMessage};
use gundo_wire::{DecodeError, Message};

use crate::others::Others;

/// Bytes that are not a server message.
#[derive(Debug, thiserror::Error)]
pub enum Garbled {
    /// The outer shape is broken.
    #[error("a field is cut short or has an unknown wire type")]
    Shape,
    /// A field that is decoded in full is broken.
    #[error("a field does not decode")]
    Field(#[from] DecodeError),
}

/// The content of one message.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Everything but the frames.
    pub rest: ServerMessage,
    /// The own body, if a frame contained it.
    pub own: Option<Body>,
    /// Motion entries in the frames.
    pub updates: u32,
    /// Frames.
    pub frames: u32,
    /// Others of the own kind who left the world and whom no publisher lists any more. Empty unless [`Light::watch_others`]
    /// was called.
    pub left: Vec<Left>,
}

/// Somebody left the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its id.
    pub id: u64,
    /// The node that published it.
    pub publisher: u32,
}

/// The newest entry of the own entity.
#[derive(Clone, Copy, Debug)]
struct Place {
    publisher: u32,
    chunk: ChunkId,
    slot: u32,
    term: Term,
    tick: u32,
    /// Number of the roster part it came with.
    roster: u32,
}

/// Follows one entity through the frames.
#[derive(Clone, Debug, Default)]
pub struct Light {
    own: Option<EntityId>,
    place: Option<Place>,
    others: Option<Others>,
}

/// The parts of a frame as they appear in the message.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) publisher: u32,
    island: u32,
    cx: i32,
    cy: i32,
    tick: u32,
    pub(crate) roster: u32,
    pub(crate) keyframe: bool,
    pub(crate) enters: bool,
    pub(crate) leaves: bool,
    /// It has a roster part, with anything in it.
    pub(crate) news: bool,
    columns: [&'a [u8]; 5],
    /// A column came in several pieces or unpacked: legal, but no publisher writes that. Decode in full.
    odd: bool,
}

impl Light {
    /// Follows `own` from now on and forgets where it stood. A Welcome does the same.
    pub fn follow(&mut self, own: EntityId) {
        self.own = Some(own);
        self.place = None;
    }

    /// From now on also notices others who leave the world: see [`Scanned::left`]. Costs a little for each roster part.
    pub fn watch_others(&mut self) {
        self.others.get_or_insert_default();
    }

    /// The node that published the own entity last: where its real is.
    pub fn publisher(&self) -> Option<u32> {
        self.place.map(|place| place.publisher)
    }

    /// Walks over one message.
    ///
    /// # Errors
    /// The bytes are not a server message.
    pub fn scan(&mut self, mut bytes: &[u8]) -> Result<Scanned, Garbled> {
        let mut scanned = Scanned::default();
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let before = bytes;
            let (number, value) = field(&mut bytes)?;
            match (number, value) {
                (1, Value::Bytes(frame)) => frames.push(frame),
                _ => scanned.rest.merge(&before[..before.len() - bytes.len()])?,
            }
        }
        if let Some(player) = scanned.rest.welcome.as_ref().and_then(|w| w.player)
            && let Ok(kind) = u16::try_from(player.kind)
        {
            self.follow(EntityId::new(Kind(kind), player.id));
        }
        if scanned.rest.resync.is_some() {
            self.place = None;
        }
        if let Some(others) = &mut self.others {
            if scanned.rest.welcome.is_some() || scanned.rest.resync.is_some() {
                others.forget_all();
            }
            scanned.rest.forget.iter().filter_map(|c| c.id()).for_each(|chunk| others.forget(chunk));
        }
        for chunk in &scanned.rest.forget {
            if self.place.is_some_and(|p| chunk.id() == Some(p.chunk)) {
                self.place = None;
            }
        }
        for frame in frames {
            self.on_frame(frame, &mut scanned)?;
        }
        if let Some(others) = &mut self.others {
            scanned.left = others.take_leavers();
        }
        Ok(scanned)
    }

    fn on_frame(&mut self, bytes: &[u8], scanned: &mut Scanned) -> Result<(), Garbled> {
        scanned.frames += 1;
        let parts = Parts::of(bytes)?;
        if parts.odd {
            let frame = Frame::decode(bytes)?;
            let plain = frame.encode_to_vec();
            let again = Parts::of(&plain)?;
            return self.on_parts(&plain, &again, scanned);
        }
        self.on_parts(bytes, &parts, scanned)
    }

    fn on_parts(&mut self, bytes: &[u8], parts: &Parts<'_>, scanned: &mut Scanned) -> Result<(), Garbled> {
        scanned.updates += count(parts.columns[0]) as u32;
        let Some(own) = self.own else { return Ok(()) };
        let Some(chunk) = parts.chunk() else { return Ok(()) };
        if let Some(others) = &mut self.others
            && (parts.keyframe || parts.news)
        {
            others.on_frame(own, bytes, parts, chunk)?;
        }
        let here = |p: &Place| p.publisher == parts.publisher && p.chunk == chunk;
        // A keyframe lists everything the publisher has here: if the own entity is not in it, it is gone.
        let before = self.place;
        if parts.keyframe && self.place.as_ref().is_some_and(here) {
            self.place = None;
        }
        // A part that comes after a keyframe that already includes it changes nothing.
        if parts.leaves
            && let Some(place) = self.place.filter(here).filter(|p| p.roster < parts.roster)
            && leaves(bytes, place.slot)?
        {
            self.place = None;
        }
        if parts.enters
            && let Some(enter) = own_enter(bytes, own)?
        {
            let term = Term { epoch: enter.epoch, count: enter.count };
            let newer = before.is_none_or(|p| (p.term, p.tick) <= (term, parts.tick));
            if newer {
                let Parts { publisher, tick, roster, .. } = *parts;
                self.place = Some(Place { publisher, chunk, slot: enter.slot, term, tick, roster });
                scanned.own = enter.body(chunk).or(scanned.own);
            } else if let Some(place) = before.filter(here) {
                // This keyframe is older than the newest motion: keep the position, and take the new slot.
                self.place = Some(Place { slot: enter.slot, roster: parts.roster, ..place });
            }
        }
        if let Some(place) = self.place.filter(here)
            && let Some(at) = position(parts.columns[0], place.slot)
            && place.tick <= parts.tick
        {
            let value =
                |column: usize| nth(parts.columns[column], at).map(|v| vec![v as u32]).unwrap_or_default();
            let row = Frame {
                publisher: parts.publisher,
                island: parts.island,
                cx: parts.cx,
                cy: parts.cy,
                slot: vec![place.slot],
                x: value(1),
                y: value(2),
                heading: value(3),
                speed: value(4),
                ..Default::default()
            };
            if let Some((_, body)) = row.motion().next() {
                scanned.own = Some(body);
            }
            self.place = Some(Place { tick: parts.tick, ..place });
        }
        Ok(())
    }
}

impl<'a> Parts<'a> {
    fn of(mut bytes: &'a [u8]) -> Result<Self, Garbled> {
        let mut parts = Self::default();
        while !bytes.is_empty() {
            match field(&mut bytes)? {
                (1, Value::Number(v)) => parts.publisher = v as u32,
                (2, Value::Number(v)) => parts.island = v as u32,
                (3, Value::Number(v)) => parts.cx = zigzag(v),
                (4, Value::Number(v)) => parts.cy = zigzag(v),
                (5, Value::Number(v)) => parts.tick = v as u32,
                (6, Value::Number(v)) => parts.roster = v as u32,
                (7, Value::Number(v)) => parts.keyframe = v != 0,
                (8, Value::Bytes(_)) => (parts.enters, parts.news) = (true, true),
                (10, Value::Bytes(_)) => (parts.leaves, parts.news) = (true, true),
                (9 | 11, Value::Bytes(_)) => parts.news = true,
                (n @ 12..=16, Value::Bytes(column)) => {
                    let known = &mut parts.columns[n as usize - 12];
                    parts.odd |= !known.is_empty();
                    *known = column;
                }
                (12..=16, Value::Number(_)) => parts.odd = true,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn chunk(&self) -> Option<ChunkId> {
        Frame { island: self.island, cx: self.cx, cy: self.cy, ..Default::default() }.chunk()
    }
}

/// The own entity's entry among the frame's enters.
fn own_enter(mut bytes: &[u8], own: EntityId) -> Result<Option<Enter>, Garbled> {
    let mut found = None;
    while !bytes.is_empty() {
        if let (8, Value::Bytes(enter)) = field(&mut bytes)? {
            let (mut rest, mut kind, mut id) = (enter, 0, 0);
            while !rest.is_empty() {
                match field(&mut rest)? {
                    (2, Value::Number(v)) => kind = v,
                    (3, Value::Fixed(v)) => id = v,
                    _ => {}
                }
            }
            if id == own.id && kind == u64::from(own.kind.0) {
                found = Some(Enter::decode(enter)?);
            }
        }
    }
    Ok(found)
}

/// Whether the frame has a leave for `slot`.
fn leaves(mut bytes: &[u8], slot: u32) -> Result<bool, Garbled> {
    while !bytes.is_empty() {
        if let (10, Value::Bytes(mut leave)) = field(&mut bytes)? {
            let mut which = 0;
            while !leave.is_empty() {
                if let (1, Value::Number(v)) = field(&mut leave)? {
                    which = v as u32;
                }
            }
            if which == slot {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

// ---- the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) ----

pub(crate) enum Value<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Takes one field off the front.
pub(crate) fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Value<'a>), Garbled> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).map_err(|_| Garbled::Shape)?;
    let value = match key & 7 {
        0 => Value::Number(varint(bytes)?),
        1 => Value::Fixed(u64::from_le_bytes(take(bytes, 8)?.try_into().map_err(|_| Garbled::Shape)?)),
        2 => {
            let len = usize::try_from(varint(bytes)?).map_err(|_| Garbled::Shape)?;
            Value::Bytes(take(bytes, len)?)
        }
        5 => Value::Bytes(take(bytes, 4)?),
        _ => return Err(Garbled::Shape),
    };
    Ok((number, value))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Garbled> {
    let (head, tail) = bytes.split_at_checked(len).ok_or(Garbled::Shape)?;
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Garbled> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(value);
        }
    }
    Err(Garbled::Shape)
}

fn zigzag(v: u64) -> i32 {
    let v = v as u32;
    (v >> 1) as i32 ^ -((v & 1) as i32)
}

/// How many varints a packed column holds: one for each byte without the continuation bit.
fn count(column: &[u8]) -> usize {
    column.iter().filter(|b| **b < 0x80).count()
}

/// The row of `slot` in the column of slot differences.
fn position(mut column: &[u8], slot: u32) -> Option<usize> {
    let (mut at, mut sum) = (0, 0u32);
    while let Some((first, rest)) = column.split_first() {
        let step = if *first < 0x80 {
            column = rest;
            u32::from(*first)
        } else {
            varint(&mut column).ok()? as u32
        };
        sum = sum.wrapping_add(step);
        if sum == slot {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The value in row `at` of a packed column.
fn nth(column: &[u8], at: usize) -> Option<u64> {
    let mut ends = column.iter().enumerate().filter(|(_, b)| **b < 0x80).map(|(i, _)| i + 1);
    let start = if at == 0 { 0 } else { ends.nth(at - 1)? };
    varint(&mut column.get(start..)?).ok()
}

#[cfg(test)]
#[path = "light_tests.rs"]
mod tests;
