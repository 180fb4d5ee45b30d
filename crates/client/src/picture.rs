//! What a client sees: every entity in sight, from the frames of all publishers.
//!
//! Frames of one publisher arrive in order; frames of different publishers do not. While an entity moves from node to node,
//! both publish it for a moment. So the entry with the highest (term, tick) wins, and a leave removes only an entity that
//! the same publisher entered last, in the same chunk. No clock, no interpolation.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, NodeId, Planted, Term};
use gundo_wire::client::{Enter, Frame, ServerMessage};

/// An entity in sight.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The node it is real on, as far as the client knows.
    pub publisher: NodeId,
    /// The chunk it was entered in.
    pub chunk: ChunkId,
    /// The term of the real.
    pub term: Term,
    /// Tick of the newest entry.
    pub tick: u32,
    /// The game's public state.
    pub public: Bytes,
    /// Where it is; `None` for entities without a body, such as land.
    pub body: Option<Body>,
}

/// A change of the picture. There are no events for motion: read [`Seen::body`].
#[derive(Clone, Debug, PartialEq)]
pub enum PictureEvent {
    /// It came into sight, or another node publishes it from now on.
    Entered(EntityId),
    /// Its public state changed.
    Changed(EntityId),
    /// It left the sight: no publisher says where it is now.
    Left(EntityId),
    /// It left the world.
    Gone(EntityId),
    /// It said or did something that leaves no trace in its state.
    Signal(EntityId, Bytes),
}

/// How far a reader has come in the roster parts of one publisher and chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Number of the last part applied.
    number: u32,
    /// A part is missing: everything of this publisher is ignored here until its next keyframe.
    broken: bool,
}

/// What a reader does with a roster part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Apply it.
    Next,
    /// Ignore it: it is old, or comes after a missing one.
    Old,
    /// Ignore it: one before it is missing.
    Gap,
}

impl Line {
    /// Starts with a keyframe of this number.
    pub(crate) fn at(number: u32) -> Self {
        Self { number, broken: false }
    }

    /// A part of this number arrived. A number without `news` is the reminder that every publisher repeats once per second.
    pub(crate) fn take(&mut self, number: u32, news: bool) -> Part {
        let expected = if news { self.number.wrapping_add(1) } else { self.number };
        if self.broken || number < expected {
            return Part::Old;
        }
        if number > expected {
            self.broken = true;
            return Part::Gap;
        }
        self.number = number;
        Part::Next
    }
}

/// What one publisher has published about one chunk.
#[derive(Clone, Debug, Default)]
struct Roster {
    line: Line,
    /// In slot order, like motion.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    slot: u32,
    id: EntityId,
    term: Term,
    /// The entity's place when this slot entered it: motion finds it there without a search.
    place: usize,
}

impl Roster {
    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.binary_search_by_key(&slot, |s| s.slot).ok().map(|at| &self.slots[at])
    }

    fn insert(&mut self, slot: Slot) {
        match self.slots.binary_search_by_key(&slot.slot, |s| s.slot) {
            Ok(at) => self.slots[at] = slot,
            Err(at) => self.slots.insert(at, slot),
        }
    }

    fn remove(&mut self, slot: u32) -> Option<Slot> {
        let at = self.slots.binary_search_by_key(&slot, |s| s.slot).ok()?;
        Some(self.slots.remove(at))
    }
}

/// The entities in sight. Each keeps its place until it leaves.
#[derive(Clone, Debug, Default)]
struct Sight {
    places: Vec<Option<(EntityId, Seen)>>,
    free: Vec<usize>,
    by_id: BTreeMap<EntityId, usize>,
}

impl Sight {
    fn get(&self, id: EntityId) -> Option<&Seen> {
        self.places[*self.by_id.get(&id)?].as_ref().map(|(_, seen)| seen)
    }

    fn get_mut(&mut self, id: EntityId) -> Option<&mut Seen> {
        self.places[*self.by_id.get(&id)?].as_mut().map(|(_, seen)| seen)
    }

    /// The entry at `place`, if it is that of `id`.
    fn at_mut(&mut self, place: usize, id: EntityId) -> Option<&mut Seen> {
        self.places[place].as_mut().filter(|(lies, _)| *lies == id).map(|(_, seen)| seen)
    }

    fn insert(&mut self, id: EntityId, seen: Seen) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some((id, seen));
        self.by_id.insert(id, place);
    }

    fn remove(&mut self, id: EntityId) {
        if let Some(place) = self.by_id.remove(&id) {
            self.places[place] = None;
            self.free.push(place);
        }
    }
}

/// The picture. Pass it every [`ServerMessage`].
#[derive(Clone, Debug, Default)]
pub struct Picture {
    entities: Sight,
    rosters: BTreeMap<(ChunkId, NodeId), Roster>,
    updates: u64,
    gaps: u64,
    planted: Option<Planted>,
}

impl Picture {
    /// An empty picture.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plants a mistake; ignored without the feature `planted`.
    pub fn plant(&mut self, mistake: Option<Planted>) {
        self.planted = mistake;
    }

    /// Everything in sight, in id order.
    pub fn entities(&self) -> impl Iterator<Item = (EntityId, &Seen)> {
        let sight = &self.entities;
        sight
            .by_id
            .iter()
            .filter_map(|(id, place)| sight.places[*place].as_ref().map(|(_, seen)| (*id, seen)))
    }

    /// The entity `id`, if it is in sight.
    pub fn entity(&self, id: EntityId) -> Option<&Seen> {
        self.entities.get(id)
    }

    /// How many entities are in sight.
    pub fn len(&self) -> usize {
        self.entities.by_id.len()
    }

    /// Whether nothing is in sight.
    pub fn is_empty(&self) -> bool {
        self.entities.by_id.is_empty()
    }

    /// Motion entries received so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// How often a roster part was missing. The keyframe that follows repairs each gap.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entities = Sight::default();
        self.rosters.clear();
    }

    /// Applies a message and adds the changes to `events`: first Welcome and Resync, which empty the picture, then
    /// forgotten chunks, then frames in order.
    pub fn handle_message(&mut self, message: &ServerMessage, events: &mut Vec<PictureEvent>) {
        if message.resync.is_some() || message.welcome.is_some() {
            events.extend(self.entities.by_id.keys().map(|id| PictureEvent::Left(*id)));
            self.clear();
        }
        for chunk in message.forget.iter().filter_map(|c| c.id()) {
            self.on_forget(chunk, events);
        }
        for frame in &message.frames {
            self.handle_frame(frame, events);
        }
    }

    /// Applies one frame.
    pub fn handle_frame(&mut self, frame: &Frame, events: &mut Vec<PictureEvent>) {
        let (Some(chunk), Ok(publisher)) = (frame.chunk(), u16::try_from(frame.publisher)) else {
            return; // No such chunk or node: a newer server, or garbage. Neither may damage the picture.
        };
        let key = (chunk, NodeId(publisher));
        if frame.keyframe {
            self.on_keyframe(key, frame, events);
        } else if frame.roster != 0 {
            self.on_roster(key, frame, events);
        }
        self.on_motion(key, frame);
    }

    fn on_forget(&mut self, chunk: ChunkId, events: &mut Vec<PictureEvent>) {
        let first = (chunk, NodeId(0));
        let last = (chunk, NodeId(u16::MAX));
        let keys: Vec<_> = self.rosters.range(first..=last).map(|(key, _)| *key).collect();
        for key in keys {
            let roster = self.rosters.remove(&key).unwrap_or_default();
            for slot in roster.slots {
                self.drop_entity(key, slot.id, events);
            }
        }
    }

    fn on_keyframe(&mut self, key: (ChunkId, NodeId), frame: &Frame, events: &mut Vec<PictureEvent>) {
        let before = self.rosters.insert(key, Roster { line: Line::at(frame.roster), ..Default::default() });
        for enter in &frame.enter {
            self.on_enter(key, frame.tick, enter, events);
        }
        let listed: std::collections::BTreeSet<EntityId> =
            self.rosters.get(&key).into_iter().flat_map(|r| r.slots.iter().map(|s| s.id)).collect();
        for slot in before.unwrap_or_default().slots {
            if !listed.contains(&slot.id) {
                self.drop_entity(key, slot.id, events);
            }
        }
        self.on_changes_and_signals(key, frame, events);
    }

    fn on_roster(&mut self, key: (ChunkId, NodeId), frame: &Frame, events: &mut Vec<PictureEvent>) {
        let roster = self.rosters.entry(key).or_default();
        let news = !(frame.enter.is_empty()
            && frame.change.is_empty()
            && frame.leave.is_empty()
            && frame.signal.is_empty());
        let part = roster.line.take(frame.roster, news);
        self.gaps += u64::from(part == Part::Gap);
        if part != Part::Next {
            return;
        }
        // Leaves first: the same part may give the slot to another entity.
        for leave in &frame.leave {
            let gone = self.rosters.get_mut(&key).and_then(|r| r.remove(leave.slot));
            if let Some(slot) = gone
                && self.remove(key, slot.id)
            {
                let event = if leave.to.is_none() { PictureEvent::Gone } else { PictureEvent::Left };
                events.push(event(slot.id));
            }
        }
        for enter in &frame.enter {
            self.on_enter(key, frame.tick, enter, events);
        }
        self.on_changes_and_signals(key, frame, events);
    }

    fn on_enter(&mut self, key: (ChunkId, NodeId), tick: u32, enter: &Enter, events: &mut Vec<PictureEvent>) {
        let Ok(kind) = u16::try_from(enter.kind) else { return };
        let id = EntityId::new(Kind(kind), enter.id);
        let term = Term { epoch: enter.epoch, count: enter.count };
        let (chunk, publisher) = key;
        let seen =
            Seen { publisher, chunk, term, tick, public: enter.public.clone(), body: enter.body(chunk) };
        let stale = cfg!(feature = "planted") && self.planted == Some(Planted::StaleFrame);
        match self.entities.get_mut(id) {
            Some(known) if (known.term, known.tick) > (term, tick) && !stale => {}
            Some(known) => {
                let moved = (known.chunk, known.publisher) != key;
                let changed = known.public != seen.public;
                *known = seen;
                if moved {
                    events.push(PictureEvent::Entered(id));
                } else if changed {
                    events.push(PictureEvent::Changed(id));
                }
            }
            None => {
                self.entities.insert(id, seen);
                events.push(PictureEvent::Entered(id));
            }
        }
        let place = self.entities.by_id[&id];
        self.rosters.entry(key).or_default().insert(Slot { slot: enter.slot, id, term, place });
    }

    fn on_changes_and_signals(
        &mut self,
        key: (ChunkId, NodeId),
        frame: &Frame,
        events: &mut Vec<PictureEvent>,
    ) {
        let Some(roster) = self.rosters.get(&key) else { return };
        for change in &frame.change {
            let Some(slot) = roster.slot(change.slot) else { continue };
            let Some(seen) = self.entities.get_mut(slot.id) else { continue };
            if (seen.term, seen.tick) <= (slot.term, frame.tick) {
                seen.public = change.public.clone();
                seen.tick = frame.tick;
                events.push(PictureEvent::Changed(slot.id));
            }
        }
        for signal in &frame.signal {
            if let Some(slot) = roster.slot(signal.slot) {
                events.push(PictureEvent::Signal(slot.id, signal.payload.clone()));
            }
        }
    }

    fn on_motion(&mut self, key: (ChunkId, NodeId), frame: &Frame) {
        self.updates += frame.slot.len() as u64;
        let Some(roster) = self.rosters.get(&key).filter(|r| !r.line.broken) else { return };
        // Both are in slot order: one walk over the two.
        let mut slots = roster.slots.iter().peekable();
        for (slot, body) in frame.motion() {
            while slots.next_if(|s| s.slot < slot).is_some() {}
            let Some(known) = slots.peek().filter(|s| s.slot == slot) else { continue };
            let Some(seen) = self.entities.at_mut(known.place, known.id) else { continue };
            // A publisher that lost the entity to another may still move it for a moment: only the last to enter it counts.
            let ours = (seen.chunk, seen.publisher) == key;
            if ours && (seen.term, seen.tick) <= (known.term, frame.tick) {
                seen.body = Some(body);
                seen.tick = frame.tick;
            }
        }
    }

    /// Removes `id` if `key` was the last to enter it.
    fn drop_entity(&mut self, key: (ChunkId, NodeId), id: EntityId, events: &mut Vec<PictureEvent>) {
        if self.remove(key, id) {
            events.push(PictureEvent::Left(id));
        }
    }

    fn remove(&mut self, key: (ChunkId, NodeId), id: EntityId) -> bool {
        let ours = self.entities.get(id).is_some_and(|seen| (seen.chunk, seen.publisher) == key);
        if ours {
            self.entities.remove(id);
        }
        ours
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
