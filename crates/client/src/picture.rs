//! What a client sees: every entity in sight, from the frames of all publishers.
//!
//! Frames of one publisher arrive in order; frames of different publishers do not. While an entity moves from node to node,
//! both publish it for a moment. So the entry with the highest (term, tick) wins, and a leave removes only an entity that
//! the same publisher entered last, in the same chunk. No clock, no interpolation.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, NodeId, Planted, Term};
use gundo_wire::client::{Enter, Frame, ServerMessage};

/// An entity in sight. What motion reads and writes comes first: it fits into one cache line.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct Seen {
    /// The term of the real.
    pub term: Term,
    /// Tick of the newest entry.
    pub tick: u32,
    /// The node it is real on, as far as the client knows.
    pub publisher: NodeId,
    /// The chunk it was entered in.
    pub chunk: ChunkId,
    /// Where it is; `None` for entities without a body, such as land.
    pub body: Option<Body>,
    /// The game's public state.
    pub public: Bytes,
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

/// Who publishes, and about which chunk: chunk by chunk, and of each chunk in the order of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source(u64);

impl Source {
    fn new(chunk: ChunkId, NodeId(node): NodeId) -> Self {
        let ChunkId { island, x, y } = chunk;
        let [x, y] = [x, y].map(|v| u64::from(v as u16));
        Self(u64::from(island) << 48 | x << 32 | y << 16 | u64::from(node))
    }
}

/// What one publisher has published about one chunk.
#[derive(Clone, Debug, Default)]
struct Roster {
    line: Line,
    /// In slot order, like motion.
    slots: Vec<Slot>,
    /// Whose slots these are, in the same order. Motion does not read it.
    ids: Vec<EntityId>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    slot: u32,
    /// The entity's place when this slot entered it, and its stamp: motion finds it there without a search.
    place: u32,
    stamp: u32,
    term: Term,
}

impl Roster {
    fn find(&self, slot: u32) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&slot, |s| s.slot)
    }

    fn slot(&self, slot: u32) -> Option<(EntityId, Term)> {
        self.find(slot).ok().map(|at| (self.ids[at], self.slots[at].term))
    }

    fn insert(&mut self, id: EntityId, slot: Slot) {
        match self.find(slot.slot) {
            Ok(at) => (self.slots[at], self.ids[at]) = (slot, id),
            Err(at) => {
                self.slots.insert(at, slot);
                self.ids.insert(at, id);
            }
        }
    }

    fn remove(&mut self, slot: u32) -> Option<EntityId> {
        let at = self.find(slot).ok()?;
        self.slots.remove(at);
        Some(self.ids.remove(at))
    }
}

/// Where an entity in sight is kept, until it leaves.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Place {
    /// No two entities that were ever here have the same. 0: nobody is here.
    stamp: u32,
    seen: Seen,
}

/// The entities in sight. Each keeps its place until it leaves.
#[derive(Clone, Debug, Default)]
struct Sight {
    places: Vec<Place>,
    free: Vec<u32>,
    by_id: BTreeMap<EntityId, u32>,
    last_stamp: u32,
}

impl Sight {
    fn get(&self, id: EntityId) -> Option<&Seen> {
        self.by_id.get(&id).map(|place| &self.places[*place as usize].seen)
    }

    fn get_mut(&mut self, id: EntityId) -> Option<&mut Seen> {
        self.by_id.get(&id).map(|place| &mut self.places[*place as usize].seen)
    }

    /// The entry of a slot, if the entity that it entered is still there.
    fn at_mut(&mut self, slot: &Slot) -> Option<&mut Seen> {
        self.places.get_mut(slot.place as usize).filter(|p| p.stamp == slot.stamp).map(|p| &mut p.seen)
    }

    /// The place of an entity that is in sight, and its stamp.
    fn place(&self, id: EntityId) -> (u32, u32) {
        let place = self.by_id[&id];
        (place, self.places[place as usize].stamp)
    }

    fn insert(&mut self, id: EntityId, seen: Seen) {
        self.last_stamp = self.last_stamp.checked_add(1).unwrap_or(1);
        let kept = Place { stamp: self.last_stamp, seen };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = kept;
                place
            }
            None => {
                self.places.push(kept);
                self.places.len() as u32 - 1
            }
        };
        self.by_id.insert(id, place);
    }

    fn remove(&mut self, id: EntityId) {
        if let Some(place) = self.by_id.remove(&id) {
            let left = &mut self.places[place as usize];
            left.stamp = 0;
            left.seen.public = Bytes::new();
            self.free.push(place);
        }
    }
}

/// The picture. Pass it every [`ServerMessage`].
#[derive(Clone, Debug, Default)]
pub struct Picture {
    entities: Sight,
    rosters: BTreeMap<Source, Roster>,
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
        sight.by_id.iter().map(|(id, place)| (*id, &sight.places[*place as usize].seen))
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
        let [first, last] = [0, u16::MAX].map(|node| Source::new(chunk, NodeId(node)));
        let sources: Vec<_> = self.rosters.range(first..=last).map(|(source, _)| *source).collect();
        for source in sources {
            let roster = self.rosters.remove(&source).unwrap_or_default();
            for id in roster.ids {
                self.drop_entity((chunk, NodeId(source.0 as u16)), id, events);
            }
        }
    }

    fn on_keyframe(&mut self, key: (ChunkId, NodeId), frame: &Frame, events: &mut Vec<PictureEvent>) {
        let source = Source::new(key.0, key.1);
        let before =
            self.rosters.insert(source, Roster { line: Line::at(frame.roster), ..Default::default() });
        for enter in &frame.enter {
            self.on_enter(key, frame.tick, enter, events);
        }
        let listed: std::collections::BTreeSet<EntityId> =
            self.rosters.get(&source).into_iter().flat_map(|r| r.ids.iter().copied()).collect();
        for id in before.unwrap_or_default().ids {
            if !listed.contains(&id) {
                self.drop_entity(key, id, events);
            }
        }
        self.on_changes_and_signals(key, frame, events);
    }

    fn on_roster(&mut self, key: (ChunkId, NodeId), frame: &Frame, events: &mut Vec<PictureEvent>) {
        let source = Source::new(key.0, key.1);
        let roster = self.rosters.entry(source).or_default();
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
            let gone = self.rosters.get_mut(&source).and_then(|r| r.remove(leave.slot));
            if let Some(id) = gone
                && self.remove(key, id)
            {
                let event = if leave.to.is_none() { PictureEvent::Gone } else { PictureEvent::Left };
                events.push(event(id));
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
        let (place, stamp) = self.entities.place(id);
        let slot = Slot { slot: enter.slot, place, stamp, term };
        self.rosters.entry(Source::new(chunk, publisher)).or_default().insert(id, slot);
    }

    fn on_changes_and_signals(
        &mut self,
        key: (ChunkId, NodeId),
        frame: &Frame,
        events: &mut Vec<PictureEvent>,
    ) {
        if frame.change.is_empty() && frame.signal.is_empty() {
            return;
        }
        let Some(roster) = self.rosters.get(&Source::new(key.0, key.1)) else { return };
        for change in &frame.change {
            let Some((id, term)) = roster.slot(change.slot) else { continue };
            let Some(seen) = self.entities.get_mut(id) else { continue };
            if (seen.term, seen.tick) <= (term, frame.tick) {
                seen.public = change.public.clone();
                seen.tick = frame.tick;
                events.push(PictureEvent::Changed(id));
            }
        }
        for signal in &frame.signal {
            if let Some((id, _)) = roster.slot(signal.slot) {
                events.push(PictureEvent::Signal(id, signal.payload.clone()));
            }
        }
    }

    fn on_motion(&mut self, key: (ChunkId, NodeId), frame: &Frame) {
        if frame.slot.is_empty() {
            return;
        }
        self.updates += frame.slot.len() as u64;
        let roster = self.rosters.get(&Source::new(key.0, key.1));
        let Some(roster) = roster.filter(|r| !r.line.broken) else { return };
        // Both are in slot order: one walk over the two.
        let mut slots = roster.slots.iter().peekable();
        for (slot, body) in frame.motion() {
            while slots.next_if(|s| s.slot < slot).is_some() {}
            let Some(known) = slots.peek().filter(|s| s.slot == slot) else { continue };
            let Some(seen) = self.entities.at_mut(known) else { continue };
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
