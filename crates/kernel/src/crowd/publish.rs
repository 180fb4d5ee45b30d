//! The node as a publisher: it sends the look of its real entities, chunk by chunk, to the nodes that subscribe.
//!
//! Each chunk with something to show is a [`Publication`]: slots (short names), a roster numbered without gaps, and for
//! each tier the slots that moved since its last motion frame. Each tick encodes each publication once per tier, and the same
//! bytes go to all subscribers. Cost: O(entities), never O(entities × subscribers).
//!
//! Each change looks an entity up by its id once; from there handles lead to its publication and its slot. A tick walks only the
//! list of publications with news.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Term};
use gundo_wire::client::Row;

use super::index::{ChunkIndex, rank};
use super::pace::Pace;
use super::publication::{CHANGED, Publication, Shown, Subscriber};
use super::slab::{Handle, Slab};
use crate::codec::frames::bundles;
use crate::core::Core;
use crate::frame::tiers_in;
use crate::frame::{ChunkFrame, Motion, Pen};
use crate::overload::Overload;
use crate::peer::{HomeMessage, PART_ENTRIES_MAX, Peer};

/// Ticks for which an empty publication is kept: an entity that comes back soon then causes no announcement.
const EMPTY_TICKS_MAX: u32 = 50;
/// Ticks of which a publisher remembers which bundles it sent. A subscriber that misses an older one gets keyframes of everything.
const TICKS_KNOWN: usize = 64;
/// Publications that a report looks at in one tick, if there are not more than it can take.
const REPORTED_AT_ONCE: usize = 1_024;
/// A report takes so many ticks at most.
const REPORT_TICKS: usize = 10;
/// Ticks for which this node still shows an entity after its handoff: by then the new owner's frames have reached everybody.
const LINGER_TICKS: u32 = 8;

/// Everything that this node publishes.
#[derive(Default)]
pub(crate) struct Publisher {
    by_id: BTreeMap<EntityId, Handle>,
    entities: Slab<Shown>,
    by_chunk: ChunkIndex,
    publications: Slab<Publication>,
    /// Publications to visit in the next tick and their ranks, each once. Those that the last tick listed come first, in order.
    dirty: Vec<(u64, Handle)>,
    /// Entities that are real on other nodes now, and until when they are shown from here: nobody sees a gap.
    lingering: BTreeMap<EntityId, u32>,
    outboxes: Slab<Outbox>,
    by_node: BTreeMap<NodeId, Handle>,
    pace: Pace,
    /// Signals that were too many in their chunk, since the last tick.
    signals_dropped: u64,
    /// Where the report of what was sent last goes on, if it is not complete.
    reporting: Option<Handle>,
    pen: Pen,
    /// What has moved, tier by tier: empty between two publications, kept to reuse its memory.
    rows: [Vec<Row>; 3],
}

/// What goes to one subscriber in this tick.
#[derive(Default)]
struct Outbox {
    /// Number of the last bundle.
    number: u64,
    frames: Vec<ChunkFrame>,
    /// The ticks in which something was sent, with the number of each one's first bundle: the last ones.
    ticks: VecDeque<(u64, u32)>,
}

/// The tick that is being published.
#[derive(Clone, Copy)]
struct Turn {
    tick: u32,
    /// Ticks since the last one that was published.
    ticks_told: u32,
    /// Ticks between motion frames in each tier.
    periods: [u32; 3],
}

impl Turn {
    /// Tiers (bits) whose motion is due. Chunks are staggered, so that their slow tiers do not all fall on the same tick.
    fn due(&self, chunk: ChunkId) -> u8 {
        let phase = self.tick.wrapping_add(chunk.x as u32).wrapping_add(chunk.y as u32);
        let is_due = |period: u32| phase % period.max(1) < self.ticks_told;
        (0..3).fold(0, |tiers, tier| tiers | u8::from(is_due(self.periods[tier])) << tier)
    }
}

impl Publisher {
    // ---- what is shown ---------------------------------------------------------------------------------

    /// Shows `entity` in `chunk`, or changes how it looks.
    pub(crate) fn show(
        &mut self,
        entity: EntityId,
        term: Term,
        chunk: ChunkId,
        public: Bytes,
        body: Option<Body>,
    ) {
        let body = body.map(Body::rounded);
        self.lingering.remove(&entity);
        let Some(at) = self.by_id.get(&entity).copied() else {
            return self.enter(entity, term, chunk, public, body);
        };
        let shown = &mut self.entities[at];
        let publication = &mut self.publications[shown.publication];
        if publication.chunk != chunk || shown.term != term {
            return self.change_place(entity, term, chunk, public, body);
        }
        if shown.public != public {
            shown.public = public;
            publication.mark(shown.slot, CHANGED);
            let publication = shown.publication;
            self.make_dirty(publication);
        }
        self.move_at(at, body);
    }

    /// A new body for `entity`, possibly in another chunk. Does nothing if it is not shown.
    pub(crate) fn move_to(&mut self, entity: EntityId, body: Option<Body>) {
        if let Some(at) = self.by_id.get(&entity).copied() {
            self.move_at(at, body.map(Body::rounded));
        }
    }

    fn move_at(&mut self, at: Handle, body: Option<Body>) {
        let shown = &self.entities[at];
        let publication = &mut self.publications[shown.publication];
        if publication.body(shown.slot) == body {
            return;
        }
        let chunk = body.map_or(publication.chunk, |b| b.chunk());
        if chunk == publication.chunk {
            publication.move_to(shown.slot, body);
            let publication = shown.publication;
            return self.make_dirty(publication);
        }
        let (entity, term, public) = (shown.id, shown.term, shown.public.clone());
        self.change_place(entity, term, chunk, public, body);
    }

    /// Its signals that have not been published yet go with it.
    fn change_place(
        &mut self,
        entity: EntityId,
        term: Term,
        chunk: ChunkId,
        public: Bytes,
        body: Option<Body>,
    ) {
        let said = self.hide_towards(entity, Some(chunk));
        self.enter(entity, term, chunk, public, body);
        said.into_iter().for_each(|payload| self.signal(entity, payload));
    }

    /// Shows `payload` once, as a signal of `entity`.
    pub(crate) fn signal(&mut self, entity: EntityId, payload: Bytes) {
        if let Some(at) = self.by_id.get(&entity) {
            let (publication, slot) = self.place(*at);
            let shown = self.publications[publication].signal(slot, payload);
            self.signals_dropped += u64::from(!shown);
            self.make_dirty(publication);
        }
    }

    /// Whether `entity` has a signal that has not been published yet.
    pub(crate) fn has_signal(&self, entity: EntityId) -> bool {
        self.by_id.get(&entity).is_some_and(|at| {
            let (publication, slot) = self.place(*at);
            self.publications[publication].has_signal(slot)
        })
    }

    /// Stops showing `entity`. A lingering one stays for its time: it may have been handed over and come back without having
    /// entered the world yet.
    pub(crate) fn hide(&mut self, entity: EntityId) {
        if !self.lingering.contains_key(&entity) {
            self.hide_towards(entity, None);
        }
    }

    /// `entity` is real on another node from now on, in the same chunk; it is shown from here a little longer.
    pub(crate) fn linger(&mut self, entity: EntityId, tick: u32) {
        self.lingering.insert(entity, tick.wrapping_add(LINGER_TICKS));
    }

    /// Whether any entity is shown that is real on another node by now.
    pub(crate) fn lingers(&self) -> bool {
        !self.lingering.is_empty()
    }

    /// Asks at once which nodes subscribe to the chunk of a new entity, so that the next tick can publish it.
    pub(crate) fn announce(&mut self, core: &mut Core, entity: EntityId) {
        if let Some(at) = self.by_id.get(&entity) {
            let (publication, _) = self.place(*at);
            self.publications[publication].announce(core);
        }
    }

    /// The entity's public part, as shown now.
    pub(crate) fn public_of(&self, entity: EntityId) -> Option<Bytes> {
        self.by_id.get(&entity).map(|at| self.entities[*at].public.clone())
    }

    /// How the entity is shown now.
    pub(crate) fn shown(&self, entity: EntityId) -> Option<(ChunkId, &Bytes, Option<Body>)> {
        let shown = &self.entities[*self.by_id.get(&entity)?];
        let publication = &self.publications[shown.publication];
        Some((publication.chunk, &shown.public, publication.body(shown.slot)))
    }

    fn place(&self, at: Handle) -> (Handle, u32) {
        let shown = &self.entities[at];
        (shown.publication, shown.slot)
    }

    fn enter(&mut self, entity: EntityId, term: Term, chunk: ChunkId, public: Bytes, body: Option<Body>) {
        let publication = self.by_chunk.get(chunk).unwrap_or_else(|| {
            let at = self.publications.insert(Publication::new(chunk));
            self.by_chunk.insert(chunk, at);
            at
        });
        // Taking a slot needs the entity's handle, so the slot is filled in afterwards.
        let at = self.entities.insert(Shown { id: entity, publication, slot: 0, term, public });
        self.entities[at].slot = self.publications[publication].enter(at, body);
        let before = self.by_id.insert(entity, at);
        assert!(before.is_none(), "{entity} is shown twice");
        self.make_dirty(publication);
    }

    /// Returns its signals that have not been published yet.
    fn hide_towards(&mut self, entity: EntityId, to: Option<ChunkId>) -> Vec<Bytes> {
        let Some(at) = self.by_id.remove(&entity) else { return Vec::new() };
        let shown = self.entities.remove(at);
        let said = self.publications[shown.publication].leave(shown.slot, to);
        self.make_dirty(shown.publication);
        said
    }

    fn make_dirty(&mut self, at: Handle) {
        let publication = &mut self.publications[at];
        if !std::mem::replace(&mut publication.dirty, true) {
            self.dirty.push((rank(publication.chunk), at));
        }
    }

    // ---- who subscribes --------------------------------------------------------------------------------

    /// The home says which nodes subscribe to `chunk`. `told`: the tick that the other subscribers have got, if it is not over.
    pub(crate) fn set_subscribers(
        &mut self,
        core: &mut Core,
        chunk: ChunkId,
        list: &[(NodeId, u8)],
        told: Option<u32>,
    ) {
        let Some(at) = self.by_chunk.get(chunk) else { return };
        // A correct home lists each node once, in node order; a faulty peer may send anything.
        let list: BTreeMap<NodeId, u8> = list.iter().copied().collect();
        let list = list.into_iter().map(|(node, tiers)| self.subscriber(node, tiers)).collect();
        let publication = &mut self.publications[at];
        let was_unseen = publication.subscribers().is_empty();
        if publication.set_subscribers(list) {
            self.make_dirty(at);
        }
        // An entity came here right before the tick, which had no subscribers yet; edges have not flushed that tick yet.
        let publication = &mut self.publications[at];
        let untold = was_unseen && publication.told != told && !publication.has_roster();
        if let Some(tick) = told.filter(|_| untold && publication.is_owed()) {
            publication.told = Some(tick);
            let frame = publication.keyframe(core.me(), tick, &self.entities);
            core.counters.frames += 1;
            let frame = ChunkFrame::new(chunk, tick, Some(self.pen.roster(frame)), Default::default());
            let mut owed = Vec::new();
            publication.pay(tick, |s| {
                owed.extend(s.owed.then_some(s));
                s.owed
            });
            for s in owed {
                self.outboxes[s.outbox].send(core, s.node, tick, vec![frame.clone()]);
            }
        }
    }

    fn subscriber(&mut self, node: NodeId, tiers: u8) -> Subscriber {
        let fresh = || self.outboxes.insert(Outbox::default());
        let outbox = *self.by_node.entry(node).or_insert_with(fresh);
        Subscriber { node, outbox, tiers, owed: false, told: None }
    }

    /// Removed nodes look at nothing. One that comes back is a new incarnation.
    pub(crate) fn forget_subscribers(&mut self, gone: &[NodeId]) {
        if gone.is_empty() {
            return;
        }
        self.publications.iter_mut().for_each(|publication| publication.forget_subscribers(gone));
        for at in gone.iter().filter_map(|node| self.by_node.remove(node)) {
            self.outboxes.remove(at);
        }
    }

    /// `node` missed a roster part of `chunk`.
    pub(crate) fn owe_keyframe(&mut self, node: NodeId, chunk: ChunkId) {
        if let Some(at) = self.by_chunk.get(chunk).filter(|at| self.publications[*at].owe(node)) {
            self.make_dirty(at);
        }
    }

    /// `node` missed the bundle `first`, and perhaps later ones: it is owed keyframes of the chunks with news for it since.
    pub(crate) fn owe_since(&mut self, node: NodeId, first: u64) {
        let Some(outbox) = self.by_node.get(&node).map(|at| &self.outboxes[*at]) else { return };
        if first == 0 || first > outbox.number {
            return;
        }
        let tick = outbox.tick_of(first);
        let all: Vec<_> = self.publications.iter().map(|(at, _)| at).collect();
        for at in all {
            if self.publications[at].owe_since(node, tick) {
                self.make_dirty(at);
            }
        }
    }

    /// Every chunk this node has announced as published.
    pub(crate) fn published(&self) -> impl Iterator<Item = ChunkId> {
        self.in_order().into_iter().filter(|p| p.announced).map(|p| p.chunk)
    }

    /// Begins to report to each subscriber what was sent last, unless a report is on its way.
    pub(crate) fn begin_report(&mut self) {
        self.reporting.get_or_insert(0);
    }

    /// The next part of the report: of so many publications that no tick takes long.
    pub(crate) fn report(&mut self, core: &mut Core) {
        let Some(from) = self.reporting.take() else { return };
        let most = REPORTED_AT_ONCE.max(self.publications.len().div_ceil(REPORT_TICKS));
        let places = self.publications.places();
        let end = from.saturating_add(most as Handle).min(places);
        self.reporting = (end < places).then_some(end);
        core.note_walk((end - from) as usize);
        for (node, message) in self.sent(from..end) {
            core.send(node, message);
        }
    }

    /// The report to each subscriber of what was sent last of these publications.
    fn sent(&self, places: std::ops::Range<Handle>) -> Vec<(NodeId, Peer)> {
        let mut rosters: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        let here = places.filter(|at| self.publications.has(*at)).map(|at| &self.publications[at]);
        let mut all: Vec<_> = here.collect();
        all.sort_unstable_by_key(|publication| rank(publication.chunk));
        for publication in all {
            for subscriber in publication.subscribers().iter().filter(|s| !s.owed) {
                rosters.entry(subscriber.node).or_default().push((publication.chunk, publication.roster));
            }
        }
        let number = |node: &NodeId| self.by_node.get(node).map_or(0, |at| self.outboxes[*at].number);
        let report = |(node, rosters): (NodeId, Vec<(ChunkId, u32)>)| {
            let number = number(&node);
            let part = move |part: &[_]| (node, Peer::Sent { number, rosters: part.to_vec() });
            rosters.chunks(PART_ENTRIES_MAX).map(part).collect::<Vec<_>>()
        };
        rosters.into_iter().flat_map(report).collect()
    }

    /// In chunk order.
    fn in_order(&self) -> Vec<&Publication> {
        let mut all: Vec<_> = self.publications.iter().map(|(_, publication)| publication).collect();
        all.sort_unstable_by_key(|publication| rank(publication.chunk));
        all
    }

    // ---- the tick --------------------------------------------------------------------------------------

    /// Encodes what happened since the last tick and sends it to the subscribers; announces new publications and withdraws
    /// empty ones.
    pub(crate) fn tick(&mut self, core: &mut Core, overload: &Overload) {
        let tick = core.tick();
        core.counters.signals_dropped += std::mem::take(&mut self.signals_dropped);
        self.end_lingering(tick);
        let turn = Turn {
            tick,
            ticks_told: overload.ticks_told(),
            periods: overload.tier_ticks(core.world().tier_ticks),
        };
        let mut dirty = std::mem::take(&mut self.dirty);
        // Mostly those of the last tick, which are in order already.
        dirty.sort_by_key(|(rank, _)| *rank);
        dirty.retain(|(_, at)| self.publish(core, &turn, *at));
        assert!(self.dirty.is_empty(), "news came during the tick");
        self.dirty = dirty;
        for (node, at) in &self.by_node {
            let outbox = &mut self.outboxes[*at];
            if !outbox.frames.is_empty() {
                // The next tick will send about as much.
                let next = Vec::with_capacity(outbox.frames.len());
                let frames = std::mem::replace(&mut outbox.frames, next);
                outbox.send(core, *node, tick, frames);
            }
        }
        self.pace.end_tick();
    }

    fn end_lingering(&mut self, tick: u32) {
        if self.lingering.is_empty() {
            return;
        }
        let gone: Vec<_> = self.lingering.iter().filter(|(_, at)| **at <= tick).map(|(id, _)| *id).collect();
        for entity in gone {
            self.lingering.remove(&entity);
            let chunk = self.shown(entity).map(|(chunk, ..)| chunk);
            self.hide_towards(entity, chunk);
        }
    }

    /// Publishes one chunk. Returns whether the next tick must visit it again.
    fn publish(&mut self, core: &mut Core, turn: &Turn, at: Handle) -> bool {
        let publication = &mut self.publications[at];
        assert!(publication.dirty, "without news");
        if !publication.is_empty() {
            publication.announce(core);
        }
        self.tell(core, turn, at);
        let publication = &mut self.publications[at];
        publication.dirty = publication.is_empty() || publication.waits() || publication.is_owed();
        if publication.empty_for(turn.tick) <= EMPTY_TICKS_MAX {
            return publication.dirty;
        }
        let publication = self.publications.remove(at);
        self.by_chunk.remove(publication.chunk);
        if publication.announced
            && let Some(home) = core.home_of_chunk(publication.chunk)
        {
            core.send_home(home, HomeMessage::Publish { chunk: publication.chunk, on: false });
        }
        false
    }

    fn tell(&mut self, core: &mut Core, turn: &Turn, at: Handle) {
        let (me, tick) = (core.me(), turn.tick);
        let publication = &mut self.publications[at];
        let chunk = publication.chunk;
        if core.planted(Planted::GhostStays) {
            publication.forget_leaves();
        }
        let roster = publication.has_roster().then(|| {
            core.counters.frames += 1;
            self.pen.roster(publication.take_roster(me, tick, &self.entities))
        });
        let due = turn.due(chunk) & publication.moved();
        let mut motion: [Option<Motion>; 3] = Default::default();
        if due != 0 {
            publication.take_moved(due, &mut self.rows);
            for tier in tiers_in(due & publication.tiers()) {
                core.counters.frames += 1;
                let rows = &self.rows[tier];
                // Often everything that moved since the far tier's last frame also moved since the near one's: share the bytes.
                let alike = motion.iter().flatten().find(|m| *m.rows == rows[..]).cloned();
                motion[tier] = Some(alike.unwrap_or_else(|| self.pen.motion(me, chunk, tick, rows)));
            }
        }
        if publication.subscribers().is_empty() {
            return;
        }
        let keyframe = (publication.is_owed() && self.pace.allows(rank(chunk))).then(|| {
            core.counters.frames += 1;
            let frame = self.pen.roster(publication.keyframe(me, tick, &self.entities));
            self.pace.spend(frame.bytes.len() * publication.subscribers().iter().filter(|s| s.owed).count());
            ChunkFrame::new(chunk, tick, Some(frame), Default::default())
        });
        let has_news = roster.is_some() || motion.iter().any(Option::is_some);
        let news = has_news.then(|| ChunkFrame::new(chunk, tick, roster, motion));
        let mut told = publication.told;
        publication.pay(tick, |subscriber| {
            // News without the keyframe that it waits for would mean nothing to it.
            let frame = match &keyframe {
                keyframe if subscriber.owed => keyframe.clone(),
                _ => news.as_ref().and_then(|news| news.for_tiers(subscriber.tiers)),
            };
            let Some(frame) = frame else { return false };
            told = Some(tick);
            self.outboxes[subscriber.outbox].frames.push(frame);
            true
        });
        publication.told = told;
    }
}

impl Outbox {
    fn send(&mut self, core: &mut Core, node: NodeId, tick: u32, frames: Vec<ChunkFrame>) {
        if self.ticks.len() == TICKS_KNOWN {
            self.ticks.pop_front();
        }
        self.ticks.push_back((self.number + 1, tick));
        for frames in bundles(frames, core.world().piece_bytes_max) {
            self.number += 1;
            core.send(node, Peer::Frames { number: self.number, frames });
        }
    }

    /// The tick in which a bundle was sent; `None`: too long ago.
    fn tick_of(&self, number: u64) -> Option<u32> {
        let after = self.ticks.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).map(|at| self.ticks[at].1)
    }
}

impl Publisher {
    /// Asserts the invariants between two inputs: expensive, for checkers.
    pub(crate) fn check(&self) {
        assert_eq!(self.by_id.len(), self.entities.len(), "an entity without its id, or the reverse");
        for (id, at) in &self.by_id {
            assert_eq!(self.entities[*at].id, *id, "an id leads to another entity");
        }
        assert_eq!(self.by_chunk.len(), self.publications.len(), "a publication without its chunk");
        let mut slots = 0;
        for (at, publication) in self.publications.iter() {
            assert_eq!(
                self.by_chunk.get(publication.chunk),
                Some(at),
                "a chunk leads to another publication"
            );
            publication.check(at, &self.entities);
            slots += publication.taken();
            for subscriber in publication.subscribers() {
                assert_eq!(self.by_node.get(&subscriber.node), Some(&subscriber.outbox), "another's outbox");
            }
        }
        assert_eq!(slots, self.entities.len(), "an entity without a slot");
        assert_eq!(self.by_node.len(), self.outboxes.len(), "an outbox without its node");
        assert!(self.outboxes.iter().all(|(_, outbox)| outbox.frames.is_empty()), "frames were not sent");
        let dirty = self.publications.iter().filter(|(_, publication)| publication.dirty).count();
        assert_eq!(dirty, self.dirty.len(), "dirty publications are miscounted");
        for (rank_of, at) in &self.dirty {
            let publication = &self.publications[*at];
            assert!(
                publication.dirty && rank(publication.chunk) == *rank_of,
                "a clean publication is listed"
            );
        }
    }
}
