//! A chunk as this node publishes it: slots (short names of entities), what is new in them, and who subscribes.
//!
//! News is a set of marks on each slot, with a count of each mark: one walk over the slots makes the frames, in slot order. The
//! [`Publisher`](super::publish::Publisher) records which entity is in a slot and how it looks.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Term};
use gundo_wire::client::{Change, Frame, Leave, Row, Signal};

use super::slab::{Handle, NONE, Slab};
use crate::core::Core;
use crate::frame::tiers_in;
use crate::frame::{blank_frame, enter};
use crate::peer::HomeMessage;

/// Marks of a slot: its entity has moved since the last motion frame of tier 0, 1, 2…
const MOVED: u8 = 0b111;
/// …the slot was taken since the last roster part…
pub(super) const ENTERED: u8 = 1 << 3;
/// …or the entity's look has changed.
pub(super) const CHANGED: u8 = 1 << 4;
/// News for the roster part.
const ROSTER: u8 = ENTERED | CHANGED;
/// Number of marks.
const MARKS: usize = 5;

/// Signals of a chunk in one tick: further ones are dropped and counted, because everybody near gets each of them.
const SIGNALS_MAX: usize = 64;
/// Of one entity, so that one alone does not take the place of others.
const SIGNALS_OF_ONE_MAX: usize = 8;
/// Their bytes. The first one goes in any case.
const SIGNAL_BYTES_MAX: usize = 64 << 10;

/// One entity as others see it. Its body is with its slot.
pub(super) struct Shown {
    pub(super) id: EntityId,
    pub(super) publication: Handle,
    pub(super) slot: u32,
    pub(super) term: Term,
    pub(super) public: Bytes,
}

pub(super) struct Publication {
    pub(super) chunk: ChunkId,
    /// Number of the last roster part.
    pub(super) roster: u32,
    slots: Vec<Slot>,
    /// Slots without an entity, the lowest last: that one is taken next.
    free: Vec<u32>,
    /// How many slots have each mark.
    marked: [u32; MARKS],
    leave: Vec<Leave>,
    signal: Vec<Signal>,
    /// In node order.
    subscribers: Vec<Subscriber>,
    /// The tiers of all subscribers.
    tiers: u8,
    /// This node has told the home that it publishes here.
    pub(super) announced: bool,
    /// The next tick visits it.
    pub(super) dirty: bool,
    /// Since which tick it has been empty; 0: it is not empty.
    empty_since: u32,
    /// The last tick with a frame for any subscriber.
    pub(super) told: Option<u32>,
}

struct Slot {
    /// [`NONE`]: it is free.
    entity: Handle,
    marks: u8,
    body: Option<Body>,
}

#[derive(Clone, Copy)]
pub(super) struct Subscriber {
    pub(super) node: NodeId,
    /// The outbox that collects its frames.
    pub(super) outbox: Handle,
    /// Tiers (bits) that it wants.
    pub(super) tiers: u8,
    /// It is owed a keyframe.
    pub(super) owed: bool,
    /// The tick of the last frame for it.
    pub(super) told: Option<u32>,
}

impl Publication {
    /// A new publication owes every subscriber a keyframe, which replaces what the subscriber has of an earlier one.
    pub(super) fn new(chunk: ChunkId) -> Self {
        Self {
            chunk,
            roster: 0,
            slots: Vec::new(),
            free: Vec::new(),
            marked: [0; MARKS],
            leave: Vec::new(),
            signal: Vec::new(),
            subscribers: Vec::new(),
            tiers: 0,
            announced: false,
            dirty: false,
            empty_since: 0,
            told: None,
        }
    }

    pub(super) fn announce(&mut self, core: &mut Core) {
        if !std::mem::replace(&mut self.announced, true)
            && let Some(home) = core.home_of_chunk(self.chunk)
        {
            core.send_home(home, HomeMessage::Publish { chunk: self.chunk, on: true });
        }
    }

    /// Takes the lowest free slot.
    pub(super) fn enter(&mut self, entity: Handle, body: Option<Body>) -> u32 {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        let taken = Slot { entity, marks: 0, body };
        match self.slots.get_mut(slot as usize) {
            Some(free) => {
                assert!(free.entity == NONE && free.marks == 0, "a free slot has an entity or news");
                *free = taken;
            }
            None => self.slots.push(taken),
        }
        self.mark(slot, ENTERED);
        slot
    }

    /// Frees a slot; its entity goes `to` another chunk or leaves the world. Returns its signals that have not been published
    /// yet.
    pub(super) fn leave(&mut self, slot: u32, to: Option<ChunkId>) -> Vec<Bytes> {
        let marks = self.slots[slot as usize].marks;
        self.unmark(slot, marks);
        self.slots[slot as usize] = Slot { entity: NONE, marks: 0, body: None };
        // An entity that came and went within a tick was never published, and needs no leave entry.
        if marks & ENTERED == 0 {
            self.leave.push(Leave { slot, to: to.map(Into::into) });
        }
        let at = self.free.partition_point(|s| *s > slot);
        self.free.insert(at, slot);
        self.signal.extract_if(.., |signal| signal.slot == slot).map(|signal| signal.payload).collect()
    }

    pub(super) fn body(&self, slot: u32) -> Option<Body> {
        self.slots[slot as usize].body
    }

    /// The entity has a new body, still in this chunk.
    pub(super) fn move_to(&mut self, slot: u32, body: Option<Body>) {
        self.slots[slot as usize].body = body;
        self.mark(slot, MOVED);
    }

    pub(super) fn mark(&mut self, slot: u32, marks: u8) {
        let taken = &mut self.slots[slot as usize];
        assert!(taken.entity != NONE, "news of a free slot");
        let new = marks & !taken.marks;
        if new == 0 {
            return;
        }
        taken.marks |= new;
        self.marked.iter_mut().enumerate().for_each(|(mark, count)| *count += u32::from(new >> mark & 1));
    }

    fn unmark(&mut self, slot: u32, marks: u8) {
        let taken = &mut self.slots[slot as usize];
        let old = marks & taken.marks;
        taken.marks &= !marks;
        self.marked.iter_mut().enumerate().for_each(|(mark, count)| *count -= u32::from(old >> mark & 1));
    }

    /// Shows a signal in the next roster part. False: there are too many already, and it is dropped.
    pub(super) fn signal(&mut self, slot: u32, payload: Bytes) -> bool {
        let of_one = self.signal.iter().filter(|s| s.slot == slot).count();
        let bytes = self.signal.iter().map(|s| s.payload.len()).sum::<usize>() + payload.len();
        let fits = self.signal.is_empty()
            || self.signal.len() < SIGNALS_MAX && of_one < SIGNALS_OF_ONE_MAX && bytes <= SIGNAL_BYTES_MAX;
        if fits {
            self.signal.push(Signal { slot, payload });
        }
        fits
    }

    pub(super) fn has_signal(&self, slot: u32) -> bool {
        self.signal.iter().any(|s| s.slot == slot)
    }

    /// Number of entities that it shows.
    pub(super) fn taken(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A planted mistake: subscribers do not hear that an entity has left.
    pub(super) fn forget_leaves(&mut self) {
        self.leave.clear();
    }

    /// Whether it shows nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.taken() == 0
    }

    /// How long it has shown nothing, ticks.
    pub(super) fn empty_for(&mut self, tick: u32) -> u32 {
        if !self.is_empty() {
            self.empty_since = 0;
            return 0;
        }
        if self.empty_since == 0 {
            self.empty_since = tick.max(1);
        }
        tick.wrapping_sub(self.empty_since)
    }

    /// Whether a roster part is due.
    pub(super) fn has_roster(&self) -> bool {
        self.marked[3..].iter().any(|count| *count > 0) || !(self.leave.is_empty() && self.signal.is_empty())
    }

    /// Whether motion waits until its tier is due.
    pub(super) fn waits(&self) -> bool {
        !self.subscribers.is_empty() && self.marked[..3].iter().any(|count| *count > 0)
    }

    /// Tiers (bits) in which something has moved.
    pub(super) fn moved(&self) -> u8 {
        (0..3).fold(0, |tiers, t| tiers | u8::from(self.marked[t] > 0) << t)
    }

    /// Takes what has moved in `tiers` (bits), tier by tier, in slot order, and clears its marks. Tiers without subscribers get
    /// nothing.
    pub(super) fn take_moved(&mut self, tiers: u8, rows: &mut [Vec<Row>; 3]) {
        rows.iter_mut().for_each(Vec::clear);
        let wanted = tiers & self.tiers;
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.marks & wanted != 0) {
            let Some(body) = &slot.body else { continue };
            let row = Row::new(index as u32, body);
            tiers_in(slot.marks & wanted).for_each(|tier| rows[tier].push(row));
        }
        self.forget_moved(tiers);
    }

    fn forget_moved(&mut self, tiers: u8) {
        if self.moved() & tiers != 0 {
            self.slots.iter_mut().for_each(|slot| slot.marks &= !(tiers & MOVED));
            tiers_in(tiers).for_each(|tier| self.marked[tier] = 0);
        }
    }

    /// Takes the next roster part, and clears its marks.
    pub(super) fn take_roster(&mut self, me: NodeId, tick: u32, entities: &Slab<Shown>) -> Frame {
        self.roster += 1;
        let (mut entered, mut changed) = (Vec::new(), Vec::new());
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, s)| s.marks & ROSTER != 0) {
            let (index, shown) = (index as u32, &entities[slot.entity]);
            if slot.marks & ENTERED != 0 {
                entered.push(enter(index, shown.id, shown.term, shown.public.clone(), slot.body));
            } else {
                changed.push(Change { slot: index, public: shown.public.clone() });
            }
            slot.marks &= !ROSTER;
        }
        self.marked[3..].fill(0);
        Frame {
            roster: self.roster,
            enter: entered,
            change: changed,
            leave: std::mem::take(&mut self.leave),
            signal: std::mem::take(&mut self.signal),
            ..blank_frame(me, self.chunk, tick)
        }
    }

    /// Everything that it shows.
    pub(super) fn keyframe(&self, me: NodeId, tick: u32, entities: &Slab<Shown>) -> Frame {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.entity != NONE);
        let enter = taken
            .map(|(index, slot)| {
                let shown = &entities[slot.entity];
                enter(index as u32, shown.id, shown.term, shown.public.clone(), slot.body)
            })
            .collect();
        Frame { roster: self.roster, keyframe: true, enter, ..blank_frame(me, self.chunk, tick) }
    }

    // ---- subscribers -----------------------------------------------------------------------------------

    pub(super) fn subscribers(&self) -> &[Subscriber] {
        &self.subscribers
    }

    /// Of all subscribers, as bits.
    pub(super) fn tiers(&self) -> u8 {
        self.tiers
    }

    pub(super) fn is_owed(&self) -> bool {
        self.subscribers.iter().any(|s| s.owed)
    }

    /// Owes the node a keyframe, if it subscribes.
    pub(super) fn owe(&mut self, node: NodeId) -> bool {
        let found = self.subscribers.binary_search_by_key(&node, |s| s.node);
        found.map(|at| self.subscribers[at].owed = true).is_ok()
    }

    /// Owes the node a keyframe if it got a frame in this tick or later. Without a tick: if it subscribes.
    pub(super) fn owe_since(&mut self, node: NodeId, tick: Option<u32>) -> bool {
        let Ok(at) = self.subscribers.binary_search_by_key(&node, |s| s.node) else { return false };
        let subscriber = &mut self.subscribers[at];
        let since = |tick: u32| subscriber.told.is_some_and(|told| told.wrapping_sub(tick) < u32::MAX / 2);
        let owes = tick.is_none_or(since);
        subscriber.owed |= owes;
        owes
    }

    /// Visits every subscriber. If it got a frame (true) in this tick, notes that; a frame pays its debt.
    pub(super) fn pay(&mut self, tick: u32, mut each: impl FnMut(Subscriber) -> bool) {
        for subscriber in &mut self.subscribers {
            if each(*subscriber) {
                (subscriber.told, subscriber.owed) = (Some(tick), false);
            }
        }
    }

    /// Sets the subscribers, in node order. One that wants a new tier is owed a keyframe; returns whether there is one.
    pub(super) fn set_subscribers(&mut self, mut list: Vec<Subscriber>) -> bool {
        assert!(list.is_sorted_by(|a, b| a.node < b.node), "subscribers out of order");
        let mut new_debt = false;
        for new in &mut list {
            let found = self.subscribers.binary_search_by_key(&new.node, |s| s.node);
            let before = found.map_or((0, false, None), |at| {
                let Subscriber { tiers, owed, told, .. } = self.subscribers[at];
                (tiers, owed, told)
            });
            // A tier without subscribers was not tracked: it starts with a keyframe, as for a new subscriber.
            let wants_more = new.tiers & !before.0 != 0;
            (new.owed, new.told) = (before.1 || wants_more, before.2);
            new_debt |= wants_more;
        }
        self.subscribers = list;
        self.tiers = union(&self.subscribers);
        self.forget_moved(MOVED & !self.tiers);
        new_debt
    }

    pub(super) fn forget_subscribers(&mut self, gone: &[NodeId]) {
        self.subscribers.retain(|s| !gone.contains(&s.node));
        self.tiers = union(&self.subscribers);
    }

    // ---- checks ----------------------------------------------------------------------------------------

    /// Asserts the invariants. `at`: its own handle; `entities`: the publisher's records.
    pub(super) fn check(&self, at: Handle, entities: &Slab<Shown>) {
        let taken = self.slots.iter().filter(|slot| slot.entity != NONE).count();
        assert_eq!(taken + self.free.len(), self.slots.len(), "a slot is neither taken nor free");
        assert!(self.free.is_sorted_by(|a, b| a > b), "free slots out of order");
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.entity == NONE {
                assert!(slot.marks == 0 && self.free.contains(&(index as u32)), "a free slot has news");
            } else {
                let shown = &entities[slot.entity];
                assert_eq!(
                    (shown.publication, shown.slot),
                    (at, index as u32),
                    "a slot's entity is elsewhere"
                );
            }
        }
        for (mark, count) in self.marked.iter().enumerate() {
            let marked = self.slots.iter().filter(|slot| slot.marks >> mark & 1 == 1).count();
            assert_eq!(marked, *count as usize, "slots with mark {mark} are miscounted");
        }
        assert!(self.signal.iter().all(|s| self.slots[s.slot as usize].entity != NONE), "a signal of nobody");
        assert!(self.subscribers.is_sorted_by(|a, b| a.node < b.node), "subscribers out of order");
        assert_eq!(self.tiers, union(&self.subscribers), "tiers nobody wants");
        let has_news = self.has_roster() || self.is_owed() || self.waits() && self.tiers != 0;
        assert!(self.dirty || !has_news, "the news of {:?} is not listed", self.chunk);
    }
}

fn union(subscribers: &[Subscriber]) -> u8 {
    subscribers.iter().fold(0, |all, s| all | s.tiers)
}

#[cfg(test)]
mod tests {
    use gundo_types::{Kind, Point};

    use super::*;

    const ME: NodeId = NodeId(1);

    /// A publication and its entities, as in their publisher.
    struct Bench {
        publication: Publication,
        entities: Slab<Shown>,
        tick: u32,
    }

    impl Bench {
        fn new() -> Self {
            Self { publication: Publication::new(ChunkId::default()), entities: Slab::default(), tick: 10 }
        }

        fn enter(&mut self, id: u64) -> u32 {
            let id = EntityId::new(Kind(1), id);
            let shown = Shown { id, publication: 0, slot: 0, term: Term::default(), public: Bytes::new() };
            let at = self.entities.insert(shown);
            let slot = self.publication.enter(at, Some(body(0)));
            self.entities[at].slot = slot;
            slot
        }

        fn subscribe(&mut self, node: u16, tiers: u8) -> bool {
            let mut list = self.publication.subscribers().to_vec();
            list.retain(|s| s.node != NodeId(node));
            list.push(Subscriber { node: NodeId(node), outbox: 0, tiers, owed: false, told: None });
            list.sort_by_key(|s| s.node);
            self.publication.set_subscribers(list)
        }

        fn roster(&mut self) -> Option<Frame> {
            self.tick += 1;
            self.check();
            let due = self.publication.has_roster();
            due.then(|| self.publication.take_roster(ME, self.tick, &self.entities))
        }

        fn moved(&mut self, tiers: u8) -> [Vec<u32>; 3] {
            let mut rows = <[Vec<Row>; 3]>::default();
            self.publication.take_moved(tiers, &mut rows);
            self.check();
            rows.map(|rows| rows.iter().map(|row| row.slot).collect())
        }

        fn check(&mut self) {
            self.publication.dirty = true;
            self.publication.check(0, &self.entities);
        }
    }

    fn body(x: i32) -> Body {
        Body { at: Point::new(x, 0), ..Body::default() }
    }

    #[test]
    fn the_lowest_free_slot_is_taken() {
        let mut bench = Bench::new();
        assert_eq!([1, 2, 3, 4].map(|id| bench.enter(id)), [0, 1, 2, 3]);
        bench.publication.leave(0, None);
        bench.publication.leave(2, None);
        bench.check();
        assert_eq!([5, 6, 7].map(|id| bench.enter(id)), [0, 2, 4]);
        bench.check();
    }

    #[test]
    fn what_came_and_went_within_a_tick_is_not_told() {
        let mut bench = Bench::new();
        let slot = bench.enter(1);
        bench.publication.mark(slot, CHANGED);
        bench.publication.signal(slot, Bytes::from_static(b"hello"));
        assert_eq!(bench.publication.leave(slot, None), ["hello"], "the signal goes along");
        assert_eq!(bench.roster(), None);

        let slot = bench.enter(2);
        let frame = bench.roster().expect("it has entered");
        assert_eq!((frame.roster, frame.enter.len()), (1, 1));
        bench.publication.mark(slot, CHANGED);
        bench.publication.leave(slot, None);
        let frame = bench.roster().expect("it has left");
        assert_eq!((frame.roster, frame.enter.len(), frame.change.len(), frame.leave.len()), (2, 0, 0, 1));
        assert_eq!(bench.roster(), None);
        assert!(bench.publication.is_empty());
    }

    #[test]
    fn motion_waits_for_the_turn_of_its_tier() {
        let mut bench = Bench::new();
        let slots = [1, 2, 3].map(|id| bench.enter(id));
        assert!(bench.subscribe(5, 0b101));
        bench.publication.move_to(slots[2], Some(body(10)));
        bench.publication.move_to(slots[0], Some(body(20)));
        assert_eq!(bench.publication.moved(), 0b111);
        assert_eq!(bench.moved(0b011), [vec![0, 2], vec![], vec![]], "nobody wants the middle tier");
        bench.publication.move_to(slots[1], None);
        assert_eq!(bench.moved(0b001), [vec![], vec![], vec![]], "there is no body");
        assert!(bench.publication.waits());
        assert_eq!(bench.moved(0b110), [vec![], vec![], vec![0, 2]]);
        assert!(!bench.publication.waits());
    }

    #[test]
    fn who_wants_more_is_owed_a_keyframe() {
        let mut bench = Bench::new();
        bench.enter(1);
        assert!(bench.subscribe(2, 0b001));
        assert!(bench.subscribe(3, 0b100));
        let mut paid = Vec::new();
        bench.publication.pay(9, |s| {
            paid.push((s.node.0, s.owed));
            true
        });
        assert_eq!(paid, [(2, true), (3, true)]);
        assert!(!bench.subscribe(3, 0b100) && !bench.publication.is_owed());
        assert!(bench.subscribe(3, 0b110));
        assert!(bench.publication.owe(NodeId(2)) && !bench.publication.owe(NodeId(4)));
        assert!(
            bench.publication.owe_since(NodeId(3), Some(9))
                && !bench.publication.owe_since(NodeId(3), Some(10))
        );
        assert!(bench.publication.owe_since(NodeId(3), None));
        bench.publication.forget_subscribers(&[NodeId(3)]);
        bench.check();
        assert_eq!((bench.publication.tiers(), bench.publication.is_owed()), (0b001, true));
        let slots: Vec<_> =
            bench.publication.keyframe(ME, 9, &bench.entities).enter.iter().map(|e| e.slot).collect();
        assert_eq!(slots, [0]);
    }
}
