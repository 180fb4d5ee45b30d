//! What a client sees: every entity in sight, from the frames of all publishers.
//!
//! Frames of one publisher come in order; frames of different publishers do not. An entity that wanders from node to
//! node is told of by both for a moment, so of its entries the highest (term, tick) wins, and a leave removes only what
//! the same publisher entered in the same chunk. No clock, no interpolation.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, NodeId, Term};
use gundo_wire::client::{Enter, Frame, ServerMessage};

/// An entity in sight.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The node it is real on, as far as is known.
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

/// What changed in a picture. Motion is not told one by one: read [`Seen::body`].
#[derive(Clone, Debug, PartialEq)]
pub enum PictureEvent {
    /// It came into sight (or is told of by another node from now on).
    Entered(EntityId),
    /// Its public state changed.
    Changed(EntityId),
    /// It left the sight or the world.
    Left(EntityId),
    /// It said or did something that is not kept.
    Signal(EntityId, Bytes),
}

/// What one publisher has told of one chunk.
#[derive(Clone, Debug, Default)]
struct Roster {
    /// Number of the last roster part taken.
    number: u32,
    /// A roster part was missed: nothing of this publisher counts here before its next keyframe.
    broken: bool,
    slots: BTreeMap<u32, (EntityId, Term)>,
}

/// The picture. Give it every [`ServerMessage`].
#[derive(Clone, Debug, Default)]
pub struct Picture {
    entities: BTreeMap<EntityId, Seen>,
    rosters: BTreeMap<(ChunkId, NodeId), Roster>,
    updates: u64,
    gaps: u64,
}

impl Picture {
    /// An empty picture.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything in sight, in id order.
    pub fn entities(&self) -> impl Iterator<Item = (EntityId, &Seen)> {
        self.entities.iter().map(|(id, seen)| (*id, seen))
    }

    /// The entity `id`, if it is in sight.
    pub fn entity(&self, id: EntityId) -> Option<&Seen> {
        self.entities.get(&id)
    }

    /// How many entities are in sight.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether nothing is in sight.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Motion entries received so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// How often a roster part was missed. Each is mended by the keyframe that follows.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entities.clear();
        self.rosters.clear();
    }

    /// Takes what a message says of the sight and adds what changed to `events`: first welcome and resync, which empty it, then forgotten chunks, then
    /// frames in order.
    pub fn handle_message(&mut self, message: &ServerMessage, events: &mut Vec<PictureEvent>) {
        if message.resync.is_some() || message.welcome.is_some() {
            events.extend(self.entities.keys().map(|id| PictureEvent::Left(*id)));
            self.clear();
        }
        for chunk in message.forget.iter().filter_map(|c| c.id()) {
            self.on_forget(chunk, events);
        }
        for frame in &message.frames {
            self.handle_frame(frame, events);
        }
    }

    /// Takes one frame.
    pub fn handle_frame(&mut self, frame: &Frame, events: &mut Vec<PictureEvent>) {
        let (Some(chunk), Ok(publisher)) = (frame.chunk(), u16::try_from(frame.publisher)) else {
            return; // No such chunk or node: a newer server, or garbage. Neither may harm the picture.
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
            for (id, _) in roster.slots.into_values() {
                self.drop_entity(key, id, events);
            }
        }
    }

    fn on_keyframe(&mut self, key: (ChunkId, NodeId), frame: &Frame, events: &mut Vec<PictureEvent>) {
        let before = self.rosters.insert(key, Roster { number: frame.roster, ..Default::default() });
        for enter in &frame.enter {
            self.on_enter(key, frame.tick, enter, events);
        }
        let listed: std::collections::BTreeSet<EntityId> =
            self.rosters.get(&key).into_iter().flat_map(|r| r.slots.values().map(|(id, _)| *id)).collect();
        for (id, _) in before.unwrap_or_default().slots.into_values() {
            if !listed.contains(&id) {
                self.drop_entity(key, id, events);
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
        // A number without a part is the reminder that every publisher repeats each second.
        let expected = if news { roster.number.wrapping_add(1) } else { roster.number };
        if roster.broken || frame.roster < expected {
            return;
        }
        if frame.roster > expected {
            roster.broken = true;
            self.gaps += 1;
            return;
        }
        roster.number = frame.roster;
        // Leaves first: a slot may be given to another entity in the same part.
        for leave in &frame.leave {
            let gone = self.rosters.get_mut(&key).and_then(|r| r.slots.remove(&leave.slot));
            if let Some((id, _)) = gone {
                self.drop_entity(key, id, events);
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
        self.rosters.entry(key).or_default().slots.insert(enter.slot, (id, term));
        let seen =
            Seen { publisher, chunk, term, tick, public: enter.public.clone(), body: enter.body(chunk) };
        match self.entities.get_mut(&id) {
            Some(known) if (known.term, known.tick) > (term, tick) => {}
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
    }

    fn on_changes_and_signals(
        &mut self,
        key: (ChunkId, NodeId),
        frame: &Frame,
        events: &mut Vec<PictureEvent>,
    ) {
        let Some(roster) = self.rosters.get(&key) else { return };
        for change in &frame.change {
            let Some((id, term)) = roster.slots.get(&change.slot) else { continue };
            let Some(seen) = self.entities.get_mut(id) else { continue };
            if (seen.term, seen.tick) <= (*term, frame.tick) {
                seen.public = change.public.clone();
                seen.tick = frame.tick;
                events.push(PictureEvent::Changed(*id));
            }
        }
        for signal in &frame.signal {
            if let Some((id, _)) = roster.slots.get(&signal.slot) {
                events.push(PictureEvent::Signal(*id, signal.payload.clone()));
            }
        }
    }

    fn on_motion(&mut self, key: (ChunkId, NodeId), frame: &Frame) {
        self.updates += frame.slot.len() as u64;
        let Some(roster) = self.rosters.get(&key).filter(|r| !r.broken) else { return };
        for (slot, body) in frame.motion() {
            let Some((id, term)) = roster.slots.get(&slot) else { continue };
            let Some(seen) = self.entities.get_mut(id) else { continue };
            // A publisher that lost the entity to another may still move it for a moment: only the newest enterer counts.
            let ours = (seen.chunk, seen.publisher) == key;
            if ours && (seen.term, seen.tick) <= (*term, frame.tick) {
                seen.body = Some(body);
                seen.tick = frame.tick;
            }
        }
    }

    /// Removes `id` if `key` is who entered it last.
    fn drop_entity(&mut self, key: (ChunkId, NodeId), id: EntityId, events: &mut Vec<PictureEvent>) {
        if self.entities.get(&id).is_some_and(|seen| (seen.chunk, seen.publisher) == key) {
            self.entities.remove(&id);
            events.push(PictureEvent::Left(id));
        }
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
