//! What this node knows to be durable, for the day on which the journal goes back to an earlier state: a plain book.
//!
//! Entities that are here know their newest durable event themselves; the book keeps that of entities that were unloaded. When the
//! generation of the journal changes, all of these are **doubted** until a load shows where they end now. Those that end earlier
//! are **lost**: they go into the alarm.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::EntityId;
use gundo_wire::journal::{Cause, Loaded, SnapshotParts};
use gundo_wire::{Kept, Message};

use crate::core::Core;
use crate::io::{Output, TailLost};

/// Unloaded entities that are remembered. Beyond, the one that was unloaded first is forgotten: what it loses is not named.
const LEFT_MAX: usize = 16_384;
/// Entities that one alarm names. Beyond, they are counted only.
const NAMED_MAX: usize = 1_000;
/// Loads in flight of doubted entities that are not here: the loads of those that are here go first.
const LOOKS_MAX: usize = 64;

/// The newest event of an entity that was durable, and the generation of the journal in which it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) seq: u64,
    pub(super) generation: u64,
}

/// The book.
#[derive(Default)]
pub(super) struct Tails {
    left: BTreeMap<EntityId, (Known, u64)>,
    /// The same by age, oldest first.
    by_age: BTreeMap<u64, EntityId>,
    next_age: u64,
    /// Their next load shows whether something is lost.
    doubted: BTreeMap<EntityId, Known>,
    /// Those of them that are not here: nobody else may load them for long.
    to_look: VecDeque<EntityId>,
    /// Loads of these in flight, and their numbers.
    looking: BTreeMap<EntityId, u64>,
    /// What the next alarm says.
    lost: Vec<TailLost>,
    /// Lost beyond that.
    more: u64,
}

impl Tails {
    /// An entity is unloaded, or goes to another node.
    pub(super) fn leave(&mut self, id: EntityId, known: Known) {
        if self.doubted.contains_key(&id) {
            self.to_look.push_back(id);
        }
        if known.seq == 0 {
            return;
        }
        let age = self.next_age;
        self.next_age += 1;
        self.by_age.insert(age, id);
        if let Some((_, before)) = self.left.insert(id, (known, age)) {
            self.by_age.remove(&before);
        }
        if self.left.len() > LEFT_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.left.remove(&oldest);
        }
        assert!(self.left.len() <= LEFT_MAX && self.left.len() == self.by_age.len(), "the book is bounded");
    }

    /// The journal may have lost the end of this stream.
    pub(super) fn doubt(&mut self, id: EntityId, known: Known) {
        if known.seq == 0 {
            return;
        }
        // Of two doubts the older one may have been about more.
        let doubted = self.doubted.entry(id).or_insert(known);
        if known.seq > doubted.seq {
            *doubted = known;
        }
    }

    /// Doubts everything that was unloaded here. `is_here`: it is loaded again, and speaks for itself.
    pub(super) fn doubt_left(&mut self, is_here: impl Fn(EntityId) -> bool) {
        self.by_age.clear();
        for (id, (known, _)) in std::mem::take(&mut self.left) {
            self.doubt(id, known);
            if !is_here(id) {
                self.to_look.push_back(id);
            }
        }
        // What is on its way may come from before.
        self.to_look.extend(std::mem::take(&mut self.looking).into_keys());
    }

    /// Loads some of those that are doubted and not here.
    pub(super) fn look(&mut self, core: &mut Core) {
        while self.looking.len() < LOOKS_MAX
            && let Some(entity) = self.to_look.pop_front()
        {
            if self.doubted.contains_key(&entity) && !self.looking.contains_key(&entity) {
                let load = core.next_load();
                self.looking.insert(entity, load);
                core.outputs.push_back(Output::Load { entity, load });
            }
        }
    }

    /// Whether this is such a load; it has ended.
    pub(super) fn end_look(&mut self, id: EntityId, load: u64) -> bool {
        let is_it = self.looking.get(&id) == Some(&load);
        if is_it {
            self.looking.remove(&id);
        }
        is_it
    }

    /// It could not be read: it is tried again within a second.
    pub(super) fn look_later(&mut self, id: EntityId) {
        self.to_look.push_back(id);
    }

    /// A load of the present generation shows where the stream ends. Returns whether something of it is lost.
    pub(super) fn compare(&mut self, id: EntityId, loaded: &Loaded) -> bool {
        let Some(known) = self.doubted.remove(&id) else { return false };
        let found = tail_of(loaded, known.generation);
        let is_lost = found < known.seq;
        if is_lost && self.lost.len() < NAMED_MAX {
            self.lost.push(TailLost { entity: id, known: known.seq, found });
        } else if is_lost {
            self.more += 1;
        }
        is_lost
    }

    /// The alarm, if there is something to say.
    pub(super) fn take_lost(&mut self) -> Option<(Vec<TailLost>, u64)> {
        let lost = std::mem::take(&mut self.lost);
        (!lost.is_empty()).then(|| (lost, std::mem::take(&mut self.more)))
    }

    /// Whether nothing is doubted: then the alarm need not wait for more.
    pub(super) fn is_sure(&self) -> bool {
        self.doubted.is_empty()
    }

    pub(super) fn check(&self, is_here: impl Fn(EntityId) -> bool) {
        let waiting: BTreeSet<_> = self.to_look.iter().chain(self.looking.keys()).collect();
        let is_seen = |id: &EntityId| is_here(*id) || waiting.contains(id);
        assert!(self.doubted.keys().all(is_seen), "whatever is doubted is loaded some day");
    }
}

/// Where a stream ends as far as it was written in `generation` or before. Events of later ones are no part of that history,
/// whatever their seqs are. Of a snapshot only the newest generation is known.
fn tail_of(loaded: &Loaded, generation: u64) -> u64 {
    if let Some((_, bytes)) = &loaded.snapshot
        && let Ok(parts) = Kept::<SnapshotParts>::decode(bytes.clone())
        && parts.known.generation > generation
    {
        return parts.known.generation_after;
    }
    let later = loaded.events.iter().find(|(_, event)| generation_of(&event.cause) > generation);
    later.map_or(loaded.last_seq(), |(seq, _)| seq - 1)
}

/// The generation in which an event was decided.
pub(super) fn generation_of(cause: &[u8]) -> u64 {
    // Most events have no cause, and all of the first generation say nothing.
    if cause.is_empty() { 0 } else { Cause::decode(cause).map_or(0, |cause| cause.generation) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gundo_types::{Kind, WorldTime};
    use gundo_wire::journal::{EventRecord, EventType};

    use super::*;

    const GENERATION: u64 = 1_700;

    fn id(n: u64) -> EntityId {
        EntityId::new(Kind(1), n)
    }

    fn event(seq: u64, generation: u64) -> (u64, EventRecord) {
        let cause = Cause { generation, ..Cause::default() }.encode_to_vec().into();
        (seq, EventRecord { at: WorldTime(0), cause, event_type: EventType::Game, payload: Bytes::new() })
    }

    fn known(seq: u64) -> Known {
        Known { seq, generation: 0 }
    }

    /// Ten events of the first generation; the rest is of the next one.
    fn loaded(last: u64) -> Loaded {
        let of = |seq| event(seq, if seq > 10 { GENERATION } else { 0 });
        Loaded { events: (1..=last).map(of).collect(), snapshot: None, generation: GENERATION }
    }

    #[test]
    fn events_of_a_later_generation_replace_none_that_are_lost() {
        for (last, seq, lost) in [(10, 10, false), (10, 12, true), (12, 12, true), (30, 10, false)] {
            let mut tails = Tails::default();
            tails.doubt(id(1), known(seq));
            assert_eq!(tails.compare(id(1), &loaded(last)), lost, "{seq} known, {last} found");
            let named = TailLost { entity: id(1), known: seq, found: 10 };
            assert_eq!(tails.take_lost(), lost.then(|| (vec![named], 0)));
        }
        let parts = SnapshotParts { generation: GENERATION, generation_after: 10, ..Default::default() };
        let snapshot = Some((20, parts.encode_to_vec().into()));
        let mut tails = Tails::default();
        tails.doubt(id(1), known(12));
        let beyond = Loaded { snapshot, events: vec![event(21, GENERATION)], generation: GENERATION };
        assert!(tails.compare(id(1), &beyond), "its snapshot remembers where the generation began");
        assert!(!tails.compare(id(1), &beyond), "it is named once");
    }

    #[test]
    fn the_book_and_the_alarm_are_bounded() {
        let mut tails = Tails::default();
        (0..=LEFT_MAX as u64).for_each(|n| tails.leave(id(n), known(3)));
        tails.leave(id(5), known(4));
        assert_eq!(tails.left.len(), LEFT_MAX);
        assert!(!tails.left.contains_key(&id(0)), "the first is forgotten");
        tails.doubt_left(|_| false);
        assert!(!tails.is_sure());
        for n in 1..=LEFT_MAX as u64 {
            assert!(tails.compare(id(n), &Loaded::default()));
        }
        let (lost, more) = tails.take_lost().expect("an alarm");
        assert_eq!((lost.len(), more), (NAMED_MAX, (LEFT_MAX - NAMED_MAX) as u64));
        assert!(tails.is_sure() && tails.take_lost().is_none());
    }
}
