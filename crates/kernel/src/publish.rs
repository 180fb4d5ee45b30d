//! The node as a publisher: what its real entities look like, told chunk by chunk to whoever subscribes.
//!
//! Each chunk with something to show is a [`Publication`]: slots (short names), a roster numbered without gaps, and for
//! each tier the slots that moved since its last motion frame. Once per tick each is encoded once per tier, and the same
//! bytes go to all. Cost: O(entities), never O(entities × subscribers).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Term};
use gundo_wire::Message;
use gundo_wire::client::{Change, Enter, Frame, Leave, ServerMessage, Signal, motion_units};

use crate::core::Core;
use crate::overload::Overload;
use crate::peer::{ChunkFrame, Encoded, HomeMessage, Peer, bundles};

/// Ticks a publication without entities is kept: whoever comes back soon causes no announcement.
const EMPTY_TICKS_MAX: u32 = 50;
/// Ticks for which an entity that was handed to another node is shown from here still: by then the other's word has come to all.
const LINGER_TICKS: u32 = 8;

/// All that this node shows.
#[derive(Default)]
pub(crate) struct Publisher {
    entities: BTreeMap<EntityId, Shown>,
    chunks: BTreeMap<ChunkId, Publication>,
    dirty: BTreeSet<ChunkId>,
    /// Entities that are real elsewhere now, and when they leave: nobody sees a hole.
    lingering: BTreeMap<EntityId, u32>,
    /// Number of the last bundle for each subscriber.
    sent: BTreeMap<NodeId, u64>,
}

/// One entity as others see it.
struct Shown {
    chunk: ChunkId,
    slot: u32,
    term: Term,
    public: Bytes,
    body: Option<Body>,
    /// Tiers (bits) in whose `moved` list the slot stands.
    moved: u8,
}

struct Publication {
    roster: u32,
    slots: BTreeMap<u32, EntityId>,
    free: BTreeSet<u32>,
    subscribers: BTreeMap<NodeId, u8>,
    /// Subscribers that are owed a keyframe.
    owed: BTreeSet<NodeId>,
    enter: BTreeSet<u32>,
    change: BTreeSet<u32>,
    leave: Vec<Leave>,
    signal: Vec<Signal>,
    moved: [Vec<u32>; 3],
    announced: bool,
    empty_since: u32,
    /// The last tick that anybody was told of.
    told: Option<u32>,
}

impl Publication {
    /// A new publication owes every subscriber a keyframe, which replaces what it remembers of an earlier one.
    fn new() -> Self {
        Self {
            roster: 0,
            slots: BTreeMap::new(),
            free: BTreeSet::new(),
            subscribers: BTreeMap::new(),
            owed: BTreeSet::new(),
            enter: BTreeSet::new(),
            change: BTreeSet::new(),
            leave: Vec::new(),
            signal: Vec::new(),
            moved: Default::default(),
            announced: false,
            empty_since: 0,
            told: None,
        }
    }

    fn announce(&mut self, core: &mut Core, chunk: ChunkId) {
        if !std::mem::replace(&mut self.announced, true)
            && let Some(home) = core.home_of_chunk(chunk)
        {
            core.send_home(home, HomeMessage::Publish { chunk, on: true });
        }
    }

    fn tiers(&self) -> u8 {
        self.subscribers.values().fold(0, |all, t| all | t)
    }

    fn has_roster(&self) -> bool {
        !(self.enter.is_empty() && self.change.is_empty() && self.leave.is_empty() && self.signal.is_empty())
    }
}

impl Publisher {
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
        match self.entities.get_mut(&entity) {
            Some(shown) if shown.chunk == chunk && shown.term == term => {
                let moved = shown.body != body;
                if shown.public != public {
                    shown.public = public;
                    self.chunks.entry(chunk).or_insert_with(Publication::new).change.insert(shown.slot);
                    self.dirty.insert(chunk);
                }
                if moved {
                    self.move_to(entity, body);
                }
            }
            _ => {
                let said = self.hide_towards(entity, Some(chunk));
                self.enter(entity, term, chunk, public, body);
                said.into_iter().for_each(|payload| self.signal(entity, payload));
            }
        }
    }

    /// A new body for `entity`, possibly in another chunk. Does nothing if it is not shown.
    pub(crate) fn move_to(&mut self, entity: EntityId, body: Option<Body>) {
        let body = body.map(Body::rounded);
        let Some(shown) = self.entities.get_mut(&entity) else { return };
        if shown.body == body {
            return;
        }
        let chunk = body.map_or(shown.chunk, |b| b.chunk());
        if chunk != shown.chunk {
            let (term, public) = (shown.term, shown.public.clone());
            let said = self.hide_towards(entity, Some(chunk));
            self.enter(entity, term, chunk, public, body);
            said.into_iter().for_each(|payload| self.signal(entity, payload));
            return;
        }
        shown.body = body;
        let publication = self.chunks.get_mut(&chunk).expect("a shown entity's chunk is published");
        for tier in 0..3 {
            if shown.moved & (1 << tier) == 0 {
                shown.moved |= 1 << tier;
                publication.moved[tier].push(shown.slot);
            }
        }
        self.dirty.insert(chunk);
    }

    /// Shows `payload` once, as said or done by `entity`.
    pub(crate) fn signal(&mut self, entity: EntityId, payload: Bytes) {
        if let Some(shown) = self.entities.get(&entity) {
            let publication = self.chunks.get_mut(&shown.chunk).expect("a shown entity's chunk is published");
            publication.signal.push(Signal { slot: shown.slot, payload });
            self.dirty.insert(shown.chunk);
        }
    }

    /// Whether something that `entity` said has not been told yet.
    pub(crate) fn has_signal(&self, entity: EntityId) -> bool {
        let Some(shown) = self.entities.get(&entity) else { return false };
        let publication = self.chunks.get(&shown.chunk);
        publication.is_some_and(|p| p.signal.iter().any(|s| s.slot == shown.slot))
    }

    /// Shows `entity` no more. What is shown for a little longer stays for that time: it may be that it was given away and comes
    /// back, and does not stand in the world yet.
    pub(crate) fn hide(&mut self, entity: EntityId) {
        if !self.lingering.contains_key(&entity) {
            self.hide_towards(entity, None);
        }
    }

    /// `entity` is real on another node from now on, in the same chunk, and leaves a little later.
    pub(crate) fn linger(&mut self, entity: EntityId, tick: u32) {
        self.lingering.insert(entity, tick.wrapping_add(LINGER_TICKS));
    }

    /// Whether any entity is shown that is real elsewhere by now.
    pub(crate) fn lingers(&self) -> bool {
        !self.lingering.is_empty()
    }

    /// Asks at once who subscribes to the chunk of an entity that has come: so the next tick tells of it.
    pub(crate) fn announce(&mut self, core: &mut Core, entity: EntityId) {
        let Some(chunk) = self.entities.get(&entity).map(|s| s.chunk) else { return };
        if let Some(publication) = self.chunks.get_mut(&chunk) {
            publication.announce(core, chunk);
        }
    }

    /// The entity's public part, as shown now.
    pub(crate) fn public_of(&self, entity: EntityId) -> Option<Bytes> {
        self.entities.get(&entity).map(|s| s.public.clone())
    }

    /// How the entity is shown now.
    pub(crate) fn shown(&self, entity: EntityId) -> Option<(ChunkId, &Bytes, Option<Body>)> {
        self.entities.get(&entity).map(|s| (s.chunk, &s.public, s.body))
    }

    fn enter(&mut self, entity: EntityId, term: Term, chunk: ChunkId, public: Bytes, body: Option<Body>) {
        let publication = self.chunks.entry(chunk).or_insert_with(Publication::new);
        let slot = publication.free.pop_first().unwrap_or(publication.slots.len() as u32);
        publication.slots.insert(slot, entity);
        publication.enter.insert(slot);
        self.entities.insert(entity, Shown { chunk, slot, term, public, body, moved: 0 });
        self.dirty.insert(chunk);
    }

    /// What it said and nobody has been told of yet is left over.
    fn hide_towards(&mut self, entity: EntityId, to: Option<ChunkId>) -> Vec<Bytes> {
        let Some(shown) = self.entities.remove(&entity) else { return Vec::new() };
        let publication = self.chunks.get_mut(&shown.chunk).expect("a shown entity's chunk is published");
        let slot = shown.slot;
        publication.slots.remove(&slot);
        publication.change.remove(&slot);
        let (said, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut publication.signal).into_iter().partition(|s| s.slot == slot);
        publication.signal = others;
        publication.moved.iter_mut().for_each(|m| m.retain(|s| *s != slot));
        // An entity that came and went within a tick was never told of, and need not be taken back.
        if !publication.enter.remove(&slot) {
            publication.leave.push(Leave { slot, to: to.map(Into::into) });
        }
        publication.free.insert(slot);
        self.dirty.insert(shown.chunk);
        said.into_iter().map(|s| s.payload).collect()
    }

    /// The home's word on who subscribes to `chunk`. `told`: the tick that the others have been told of, if it is still going on.
    pub(crate) fn set_subscribers(
        &mut self,
        core: &mut Core,
        chunk: ChunkId,
        list: &[(NodeId, u8)],
        told: Option<u32>,
    ) {
        let Some(publication) = self.chunks.get_mut(&chunk) else { return };
        let before = std::mem::replace(&mut publication.subscribers, list.iter().copied().collect());
        let tiers = publication.tiers();
        for tier in (0..3).filter(|t| tiers & (1 << t) == 0) {
            for slot in std::mem::take(&mut publication.moved[tier]) {
                let entity = publication.slots.get(&slot);
                if let Some(shown) = entity.and_then(|e| self.entities.get_mut(e)) {
                    shown.moved &= !(1 << tier);
                }
            }
        }
        for (node, tiers) in list {
            // A tier nobody had was not tracked: it starts from a keyframe like a new subscriber.
            if tiers & !before.get(node).copied().unwrap_or(0) != 0 {
                publication.owed.insert(*node);
                self.dirty.insert(chunk);
            }
        }
        publication.owed.retain(|n| publication.subscribers.contains_key(n));
        // Somebody came here right before the tick, and nobody could be told: edges have not handed it on yet.
        let untold = before.is_empty() && publication.told != told && !publication.has_roster();
        if let Some(tick) = told.filter(|_| untold && !publication.owed.is_empty()) {
            publication.told = Some(tick);
            let frame = encode(core, keyframe(core.me(), chunk, tick, publication, &self.entities));
            for node in std::mem::take(&mut publication.owed) {
                let frame =
                    ChunkFrame { chunk, tick, roster: Some(frame.clone()), motion: Default::default() };
                self.send(core, node, vec![frame]);
            }
        }
    }

    fn send(&mut self, core: &mut Core, node: NodeId, frames: Vec<ChunkFrame>) {
        let number = self.sent.entry(node).or_default();
        for frames in bundles(frames) {
            *number += 1;
            core.send(node, Peer::Frames { number: *number, frames });
        }
    }

    /// Nodes that are gone look at nothing. One that comes back is another.
    pub(crate) fn forget_subscribers(&mut self, gone: &[NodeId]) {
        for publication in self.chunks.values_mut() {
            publication.subscribers.retain(|n, _| !gone.contains(n));
            publication.owed.retain(|n| !gone.contains(n));
        }
        self.sent.retain(|n, _| !gone.contains(n));
    }

    /// `node` missed a roster part of `chunk`.
    pub(crate) fn owe_keyframe(&mut self, node: NodeId, chunk: ChunkId) {
        let publication = self.chunks.get_mut(&chunk);
        if let Some(publication) = publication.filter(|p| p.subscribers.contains_key(&node)) {
            publication.owed.insert(node);
            self.dirty.insert(chunk);
        }
    }

    /// Every chunk this node has announced as published.
    pub(crate) fn published(&self) -> impl Iterator<Item = ChunkId> {
        self.chunks.iter().filter(|(_, p)| p.announced).map(|(c, _)| *c)
    }

    /// What was sent last to each subscriber.
    pub(crate) fn sent(&self) -> Vec<(NodeId, Peer)> {
        let mut rosters: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for (chunk, publication) in &self.chunks {
            for node in publication.subscribers.keys().filter(|n| !publication.owed.contains(n)) {
                rosters.entry(*node).or_default().push((*chunk, publication.roster));
            }
        }
        let number = |node: &NodeId| self.sent.get(node).copied().unwrap_or(0);
        rosters
            .into_iter()
            .map(|(node, rosters)| (node, Peer::Sent { number: number(&node), rosters }))
            .collect()
    }

    /// Encodes what happened since the last tick and hands it to the subscribers; announces new publications and takes
    /// back empty ones.
    pub(crate) fn tick(&mut self, core: &mut Core, overload: &Overload) {
        let tick = core.tick();
        let gone: Vec<_> = self.lingering.iter().filter(|(_, at)| **at <= tick).map(|(id, _)| *id).collect();
        for entity in gone {
            self.lingering.remove(&entity);
            let chunk = self.entities.get(&entity).map(|s| s.chunk);
            self.hide_towards(entity, chunk);
        }
        let periods = overload.tier_ticks(core.world().tier_ticks);
        let mut outbox: BTreeMap<NodeId, Vec<ChunkFrame>> = BTreeMap::new();
        let dirty = std::mem::take(&mut self.dirty);
        for chunk in dirty {
            let Some(publication) = self.chunks.get_mut(&chunk) else { continue };
            if !publication.slots.is_empty() {
                publication.announce(core, chunk);
            }
            publish_chunk(
                core,
                chunk,
                (tick, overload.ticks_told()),
                periods,
                publication,
                &mut self.entities,
                &mut outbox,
            );
            let waits =
                publication.moved.iter().any(|m| !m.is_empty()) && !publication.subscribers.is_empty();
            if publication.slots.is_empty() {
                if publication.empty_since == 0 {
                    publication.empty_since = tick.max(1);
                }
                if tick.wrapping_sub(publication.empty_since) > EMPTY_TICKS_MAX {
                    if publication.announced
                        && let Some(home) = core.home_of_chunk(chunk)
                    {
                        core.send_home(home, HomeMessage::Publish { chunk, on: false });
                    }
                    self.chunks.remove(&chunk);
                } else {
                    self.dirty.insert(chunk);
                }
            } else {
                publication.empty_since = 0;
                if waits {
                    self.dirty.insert(chunk);
                }
            }
        }
        for (node, frames) in outbox {
            self.send(core, node, frames);
        }
    }
}

fn publish_chunk(
    core: &mut Core,
    chunk: ChunkId,
    (tick, ticks_told): (u32, u32),
    periods: [u32; 3],
    publication: &mut Publication,
    entities: &mut BTreeMap<EntityId, Shown>,
    outbox: &mut BTreeMap<NodeId, Vec<ChunkFrame>>,
) {
    let me = core.me();
    let tiers = publication.tiers();
    if core.planted(Planted::GhostStays) {
        publication.leave.clear();
    }
    let roster = publication.has_roster().then(|| {
        publication.roster += 1;
        encode(core, roster_frame(me, chunk, tick, publication, entities))
    });
    let mut motion: [Option<Encoded>; 3] = Default::default();
    for tier in 0..3 {
        // Chunks take turns, so that the slow tiers do not all fall on the same tick.
        let phase = tick.wrapping_add(chunk.x as u32).wrapping_add(chunk.y as u32);
        let period = periods[tier].max(1);
        let due = phase % period < ticks_told;
        if !due || publication.moved[tier].is_empty() {
            continue;
        }
        let mut slots = std::mem::take(&mut publication.moved[tier]);
        slots.sort_unstable();
        for slot in &slots {
            if let Some(shown) = publication.slots.get(slot).and_then(|e| entities.get_mut(e)) {
                shown.moved &= !(1 << tier);
            }
        }
        if tiers & (1 << tier) != 0 {
            motion[tier] = Some(encode(core, motion_frame(me, chunk, tick, &slots, publication, entities)));
        }
    }
    if publication.subscribers.is_empty() {
        return;
    }
    let keyframe = (!publication.owed.is_empty())
        .then(|| encode(core, keyframe(me, chunk, tick, publication, entities)));
    for (node, tiers) in &publication.subscribers {
        let frame = if publication.owed.contains(node) {
            ChunkFrame { chunk, tick, roster: keyframe.clone(), motion: Default::default() }
        } else {
            let of_tier = |t: usize| if tiers & (1 << t) != 0 { motion[t].clone() } else { None };
            let motion = [of_tier(0), of_tier(1), of_tier(2)];
            ChunkFrame { chunk, tick, roster: roster.clone(), motion }
        };
        if frame.roster.is_some() || frame.motion.iter().any(Option::is_some) {
            publication.told = Some(tick);
            outbox.entry(*node).or_default().push(frame);
        }
    }
    publication.owed.clear();
}

pub(crate) fn encode(core: &mut Core, frame: Frame) -> Encoded {
    core.counters.frames += 1;
    // The frame stands in a message of its own: messages laid end to end are one message with all their frames.
    let mut message = ServerMessage { frames: vec![frame], ..Default::default() };
    let bytes = Bytes::from(message.encode_to_vec());
    let frame = message.frames.pop().expect("one frame was put in");
    Encoded { frame: Arc::new(frame), bytes }
}

pub(crate) fn blank_frame(publisher: NodeId, chunk: ChunkId, tick: u32) -> Frame {
    Frame {
        publisher: u32::from(publisher.0),
        island: u32::from(chunk.island),
        cx: i32::from(chunk.x),
        cy: i32::from(chunk.y),
        tick,
        ..Default::default()
    }
}

fn enter_of(slot: u32, entity: EntityId, shown: &Shown) -> Enter {
    enter(slot, entity, shown.term, shown.public.clone(), shown.body)
}

/// A roster entry.
pub(crate) fn enter(slot: u32, entity: EntityId, term: Term, public: Bytes, body: Option<Body>) -> Enter {
    let (x, y) = body.as_ref().map_or((0, 0), motion_units);
    Enter {
        slot,
        kind: u32::from(entity.kind.0),
        id: entity.id,
        epoch: term.epoch,
        count: term.count,
        public,
        has_body: body.is_some(),
        x,
        y,
        heading: body.map_or(0, |b| u32::from(b.heading)),
        speed: body.map_or(0, |b| u32::from(b.speed)),
    }
}

fn roster_frame(
    me: NodeId,
    chunk: ChunkId,
    tick: u32,
    publication: &mut Publication,
    entities: &BTreeMap<EntityId, Shown>,
) -> Frame {
    let shown = |slot: &u32| {
        let entity = publication.slots.get(slot)?;
        Some((*entity, entities.get(entity)?))
    };
    let enter: Vec<_> = publication
        .enter
        .iter()
        .filter_map(|slot| shown(slot).map(|(entity, shown)| enter_of(*slot, entity, shown)))
        .collect();
    let change = publication
        .change
        .iter()
        .filter(|slot| !publication.enter.contains(slot))
        .filter_map(|slot| shown(slot).map(|(_, s)| Change { slot: *slot, public: s.public.clone() }))
        .collect();
    publication.enter.clear();
    publication.change.clear();
    Frame {
        roster: publication.roster,
        enter,
        change,
        leave: std::mem::take(&mut publication.leave),
        signal: std::mem::take(&mut publication.signal),
        ..blank_frame(me, chunk, tick)
    }
}

fn keyframe(
    me: NodeId,
    chunk: ChunkId,
    tick: u32,
    publication: &Publication,
    entities: &BTreeMap<EntityId, Shown>,
) -> Frame {
    let enter = publication
        .slots
        .iter()
        .filter_map(|(slot, e)| Some(enter_of(*slot, *e, entities.get(e)?)))
        .collect();
    Frame { roster: publication.roster, keyframe: true, enter, ..blank_frame(me, chunk, tick) }
}

fn motion_frame(
    me: NodeId,
    chunk: ChunkId,
    tick: u32,
    slots: &[u32],
    publication: &Publication,
    entities: &BTreeMap<EntityId, Shown>,
) -> Frame {
    let mut frame = blank_frame(me, chunk, tick);
    let mut last = 0;
    for slot in slots {
        let shown = publication.slots.get(slot).and_then(|e| entities.get(e));
        let Some(body) = shown.and_then(|s| s.body) else { continue };
        let (x, y) = motion_units(&body);
        frame.slot.push(slot - last);
        frame.x.push(x);
        frame.y.push(y);
        frame.heading.push(u32::from(body.heading));
        frame.speed.push(u32::from(body.speed));
        last = *slot;
    }
    frame
}
