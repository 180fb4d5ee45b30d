//! The node as a subscriber: which chunks its sessions and players look at, and the pictures that it gets.
//!
//! Sessions join a chunk at a tier. Players that are real here need their surroundings as well, and so do entities at home here
//! that belong to a chunk. The node subscribes once to the union, keeps one [`Picture`](super::picture::Picture) for each chunk,
//! and passes every frame to the sessions that look there.
//!
//! A frame's chunk is looked up once, when it arrives. A flush walks the chunks with new frames, and adds these to the messages
//! of the sessions that look there: it builds and sorts no list of looks.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, ConnId, EntityId, NodeId, Planted, Point};
use gundo_wire::client::Frame;

use super::arrivals::Arrivals;
use super::index::{ChunkIndex, rank};
use super::picture::{Seen, Taken};
use super::slab::{Handle, Slab};
use super::subscription::{Look, Subscription};
use super::viewers::Viewers;
use crate::core::Core;
use crate::frame::{ChunkFrame, Pen, blank_frame};
use crate::game::{NEAR_CHUNKS, Neighbour, Surroundings};
use crate::peer::{HomeMessage, PART_ENTRIES_MAX, Peer};

/// Everything that this node looks at.
#[derive(Default)]
pub(crate) struct Interest {
    by_chunk: ChunkIndex,
    chunks: Slab<Subscription>,
    /// Chunks whose wanted tiers may have changed, and their ranks, each once.
    changed: Vec<(u64, Handle)>,
    /// Chunks with frames for the next flush, and their ranks, each once.
    fresh: Vec<(u64, Handle)>,
    /// Their frames.
    arrivals: Arrivals,
    /// Number of the last bundle from each publisher.
    bundles: BTreeMap<NodeId, u64>,
    viewers: Viewers,
    /// Old tiers that run out: when, whose, where. In that order, because each takes equally long.
    fading: VecDeque<(u32, Handle, ChunkId)>,
    /// Entities in the pictures that other nodes publish.
    ghosts: usize,
    pen: Pen,
}

/// The tiers of a sight.
#[derive(Clone, Copy)]
struct Reach([u32; 3]);

impl Reach {
    /// The tier in which a session centred on `center` sees `chunk`.
    fn tier(self, center: ChunkId, chunk: ChunkId) -> Option<u8> {
        let steps = center.steps_to(chunk)?;
        self.0.iter().position(|reach| steps <= *reach).map(|tier| tier as u8)
    }

    fn around(self, center: ChunkId) -> impl Iterator<Item = ChunkId> {
        center.around(self.0.into_iter().max().unwrap_or(0))
    }
}

// ---- who looks where -----------------------------------------------------------------------------------

impl Interest {
    /// Centres a session's sight: it joins chunks, leaves chunks, or changes their tiers. Returns those that it left.
    pub(crate) fn look_from(&mut self, core: &Core, conn: ConnId, center: ChunkId) -> Vec<ChunkId> {
        let reach = Reach(core.world().sight_chunks);
        // An old tier goes on until a frame of the new one has certainly arrived, also from an overloaded publisher: there is no
        // gap between the two.
        let fades = core.tick() + 4 * core.world().tier_ticks.into_iter().max().unwrap_or(1);
        let viewer = self.viewers.find_or_add(conn);
        let before = self.viewers.get_mut(viewer).center.replace(center);
        let mut left = Vec::new();
        for chunk in before.into_iter().flat_map(|b| reach.around(b)) {
            if reach.tier(center, chunk).is_none() {
                self.leave(viewer, chunk);
                left.push(chunk);
            }
        }
        for chunk in reach.around(center) {
            let Some(tier) = reach.tier(center, chunk) else { continue };
            match before.and_then(|b| reach.tier(b, chunk)) {
                Some(old) if old == tier => {}
                Some(_) => {
                    let at = self.changing(chunk);
                    let sub = &mut self.chunks[at];
                    let tiers = sub.look_mut(viewer).expect("it is in sight").tiers;
                    sub.set_tiers(viewer, tiers | 1 << tier, fades);
                    self.fading.push_back((fades, viewer, chunk));
                }
                None => {
                    let at = self.changing(chunk);
                    self.chunks[at].join(Look { viewer, fades: 0, tiers: 1 << tier, owed: true });
                    self.viewers.owe(viewer, chunk);
                }
            }
        }
        left
    }

    /// A session has ended.
    pub(crate) fn leave_all(&mut self, core: &Core, conn: ConnId) {
        let Some(viewer) = self.viewers.find(conn) else { return };
        let center = self.viewers.get(viewer).center;
        for chunk in center.into_iter().flat_map(|c| Reach(core.world().sight_chunks).around(c)) {
            self.leave(viewer, chunk);
        }
        self.viewers.remove(conn);
    }

    fn leave(&mut self, viewer: Handle, chunk: ChunkId) {
        let at = self.changing(chunk);
        if self.chunks[at].leave(viewer).is_some_and(|look| look.owed) {
            self.viewers.release(viewer, chunk);
        }
    }

    /// Whether the session's send queue is full: no frames until it is empty.
    /// An encoded message for a session that goes with its next frames, in place of one that still waits.
    pub(crate) fn ride(&mut self, conn: ConnId, message: Bytes) {
        if let Some(viewer) = self.viewers.find(conn) {
            self.viewers.get_mut(viewer).rider = Some(Box::new(message));
        }
    }

    pub(crate) fn set_lagging(&mut self, conn: ConnId) {
        let viewer = self.viewers.find_or_add(conn);
        self.viewers.get_mut(viewer).lagging = true;
    }

    pub(crate) fn is_lagging(&self, conn: ConnId) -> bool {
        self.viewers.find(conn).is_some_and(|viewer| self.viewers.get(viewer).lagging)
    }

    /// The session's send queue is empty again: owes it a keyframe of every chunk in sight.
    pub(crate) fn catch_up(&mut self, core: &Core, conn: ConnId) {
        let Some(viewer) = self.viewers.find(conn) else { return };
        self.viewers.get_mut(viewer).lagging = false;
        let center = self.viewers.get(viewer).center;
        for chunk in center.into_iter().flat_map(|c| Reach(core.world().sight_chunks).around(c)) {
            let at = self.by_chunk.get(chunk).expect("a chunk in sight is subscribed");
            let look = self.chunks[at].look_mut(viewer).expect("it is in sight");
            if !std::mem::replace(&mut look.owed, true) {
                self.viewers.owe(viewer, chunk);
            }
        }
        self.viewers.list(viewer);
    }

    /// A player that is real here begins or stops needing the chunks around `center`.
    pub(crate) fn set_player(&mut self, center: ChunkId, needed: bool) {
        for chunk in center.around(NEAR_CHUNKS) {
            let at = self.changing(chunk);
            let players = &mut self.chunks[at].players;
            *players = if needed { *players + 1 } else { players.saturating_sub(1) };
        }
    }

    /// The entities of the chunk `center`, which is at home here, begin or stop needing the chunks around it.
    pub(crate) fn set_place(&mut self, center: ChunkId, needed: bool) {
        for chunk in center.around(NEAR_CHUNKS) {
            let at = self.changing(chunk);
            let places = &mut self.chunks[at].places;
            *places = if needed { *places + 1 } else { places.saturating_sub(1) };
        }
    }

    /// The chunk's subscription, whose wanted tiers may change.
    fn changing(&mut self, chunk: ChunkId) -> Handle {
        let at = self.by_chunk.get(chunk).unwrap_or_else(|| {
            let at = self.chunks.insert(Subscription::new(chunk));
            self.by_chunk.insert(chunk, at);
            at
        });
        if !std::mem::replace(&mut self.chunks[at].changed, true) {
            self.changed.push((rank(chunk), at));
        }
        at
    }

    fn fade_tiers(&mut self, core: &Core) {
        let tick = core.tick();
        // A viewer that has ended looks nowhere, and a later one with the same handle has its own ends.
        while let Some((due, viewer, chunk)) = self.fading.front().copied().filter(|(due, ..)| *due <= tick) {
            self.fading.pop_front();
            let look = self.by_chunk.get(chunk).and_then(|at| self.chunks[at].look_mut(viewer));
            if look.is_none_or(|look| look.fades != due) {
                continue;
            }
            let center = self.viewers.get(viewer).center;
            let tier = center.and_then(|c| Reach(core.world().sight_chunks).tier(c, chunk));
            let at = self.changing(chunk);
            self.chunks[at].set_tiers(viewer, 1 << tier.expect("it is in sight"), 0);
        }
    }

    /// Tells homes what this node wants now; forgets what nobody looks at.
    pub(crate) fn settle(&mut self, core: &mut Core) {
        if self.changed.is_empty() {
            return;
        }
        let mut messages: BTreeMap<NodeId, Vec<(ChunkId, u8)>> = BTreeMap::new();
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        let mut forgot_fresh = false;
        for (_, at) in changed.drain(..) {
            let sub = &mut self.chunks[at];
            sub.changed = false;
            let (chunk, wanted) = (sub.chunk, sub.wanted());
            if wanted != sub.told {
                sub.told = wanted;
                if let Some(home) = core.home_of_chunk(chunk) {
                    messages.entry(home).or_default().push((chunk, wanted));
                }
            }
            if wanted == 0 {
                forgot_fresh |= self.forget(core.me(), at);
            }
        }
        self.changed = changed;
        if forgot_fresh {
            core.note_walk(self.fresh.len());
            self.fresh.retain(|(_, at)| self.chunks.has(*at));
        }
        for (home, mut list) in messages {
            while list.len() > PART_ENTRIES_MAX {
                let rest = list.split_off(PART_ENTRIES_MAX);
                core.send_home(home, HomeMessage::Subscribe(std::mem::replace(&mut list, rest)));
            }
            core.send_home(home, HomeMessage::Subscribe(list));
        }
    }

    /// Returns whether frames had come for it: then it is still on that list.
    fn forget(&mut self, me: NodeId, at: Handle) -> bool {
        let sub = self.chunks.remove(at);
        assert!(sub.wanted() == 0, "somebody looks at {:?}", sub.chunk);
        self.by_chunk.remove(sub.chunk);
        self.ghosts -= sub.picture.ghosts(me);
        !sub.arrived.is_empty()
    }

    /// Chunks subscribed to, with tiers as bits.
    pub(crate) fn subscribed(&self) -> impl Iterator<Item = (ChunkId, u8)> {
        let told = |at: Handle| (self.chunks[at].chunk, self.chunks[at].told);
        self.in_order().into_iter().map(told).filter(|(_, tiers)| *tiers != 0)
    }

    /// In chunk order.
    fn in_order(&self) -> Vec<Handle> {
        let mut all: Vec<_> = self.chunks.iter().map(|(at, sub)| (rank(sub.chunk), at)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, at)| at).collect()
    }

    /// Number of chunks looked at, and of ghosts in them.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.chunks.len(), self.ghosts)
    }
}

// ---- what comes back -----------------------------------------------------------------------------------

impl Interest {
    /// A publisher's frames.
    pub(crate) fn take_frames(
        &mut self,
        core: &mut Core,
        from: NodeId,
        number: u64,
        frames: Vec<ChunkFrame>,
    ) {
        let before = self.bundles.get(&from).copied().unwrap_or(0);
        if number <= before && !core.planted(Planted::LinkTakesTwice) {
            return core.note_stale();
        }
        self.bundles.insert(from, number);
        let unnoticed = core.planted(Planted::RosterGapUnnoticed);
        if number != before.wrapping_add(1) && !core.planted(Planted::BundleGapIgnored) && !unnoticed {
            core.send(from, Peer::Missed { first: before + 1 });
        }
        for frame in frames {
            if !is_sound(&frame) {
                core.counters.nonsense += 1;
                continue;
            }
            let Some(at) = self.by_chunk.get(frame.chunk) else { continue };
            let picture = &mut self.chunks[at].picture;
            let is_ghosts = frame.roster.is_some() && from != core.me();
            let before = if is_ghosts { picture.count(from) } else { 0 };
            let taken = picture.take(from, &frame, unnoticed);
            if is_ghosts {
                self.ghosts = self.ghosts + picture.count(from) - before;
            }
            match taken {
                Taken::Fits => self.arrive(at, frame),
                Taken::Gap => core.send(from, Peer::KeyframeWanted(frame.chunk)),
                Taken::Waits => {}
            }
        }
    }

    fn arrive(&mut self, at: Handle, frame: ChunkFrame) {
        let sub = &mut self.chunks[at];
        if sub.arrived.is_empty() {
            self.fresh.push((rank(sub.chunk), at));
        }
        self.arrivals.push(&mut sub.arrived, frame);
    }

    /// Compares a publisher's report of what it sent last with what has arrived.
    pub(crate) fn compare_sent(
        &mut self,
        core: &mut Core,
        from: NodeId,
        number: u64,
        rosters: &[(ChunkId, u32)],
    ) {
        if core.planted(Planted::RosterGapUnnoticed) {
            return;
        }
        let before = self.bundles.get(&from).copied().unwrap_or(0);
        if number < before {
            // Newer frames have overtaken it.
            return core.note_stale();
        }
        self.bundles.insert(from, number);
        if number != before {
            core.send(from, Peer::Missed { first: before + 1 });
        }
        for (chunk, roster) in rosters {
            let Some(at) = self.by_chunk.get(*chunk) else { continue };
            if self.chunks[at].picture.misses(from, *roster) {
                core.send(from, Peer::KeyframeWanted(*chunk));
            }
        }
    }

    /// Messages between this node and a publisher were lost, perhaps requests for keyframes: asks for every picture of that
    /// publisher again.
    pub(crate) fn ask_again(&mut self, core: &mut Core, from: NodeId) {
        for at in self.in_order() {
            let sub = &mut self.chunks[at];
            if sub.picture.doubt(from) {
                core.send(from, Peer::KeyframeWanted(sub.chunk));
            }
        }
    }

    /// Removes what removed members published, and tells sessions that nothing of it is left.
    pub(crate) fn forget_publishers(&mut self, core: &mut Core, gone: &[NodeId]) {
        if gone.is_empty() {
            return;
        }
        for at in self.in_order() {
            for node in gone {
                let sub = &mut self.chunks[at];
                let (chunk, count) = (sub.chunk, sub.picture.count(*node));
                let Some(tick) = sub.picture.forget(*node) else { continue };
                self.ghosts -= if *node == core.me() { 0 } else { count };
                if core.planted(Planted::GhostsOfTheDead) {
                    continue;
                }
                core.counters.frames += 1;
                let nothing = Frame { keyframe: true, ..blank_frame(*node, chunk, tick) };
                let roster = Some(self.pen.roster(nothing));
                self.arrive(at, ChunkFrame::new(chunk, tick, roster, Default::default()));
            }
        }
        self.bundles.retain(|n, _| !gone.contains(n));
    }

    /// Passes every session its frames since the last flush, as one message, and the keyframes it is owed.
    pub(crate) fn flush(&mut self, core: &mut Core) {
        self.fade_tiers(core);
        // Each publisher's frames came in chunk order, so sorting merges a few runs.
        self.fresh.sort_by_key(|(rank, _)| *rank);
        for (_, at) in self.fresh.drain(..) {
            core.counters.updates += self.chunks[at].hand_out(&self.arrivals, &mut self.viewers);
        }
        self.arrivals.clear();
        // Each keyframe is encoded once for all sessions that are owed it.
        let mut cut: BTreeMap<ChunkId, Option<Bytes>> = BTreeMap::new();
        for (viewer, joins) in self.viewers.take_joins() {
            for chunk in joins {
                let at = self.by_chunk.get(chunk).expect("a chunk in sight is subscribed");
                let sub = &mut self.chunks[at];
                sub.look_mut(viewer).expect("it is in sight").owed = false;
                let keyframe = cut.entry(chunk).or_insert_with(|| sub.picture.keyframe(chunk));
                if let Some(keyframe) = keyframe {
                    self.viewers.parts(viewer).expect("it does not lag").push(keyframe.clone());
                    core.counters.keyframes += 1;
                }
            }
        }
        self.viewers.send(core);
    }
}

/// Slots of a publication: its publisher fills free ones before it opens a new one, so a higher number is a mistake, and room
/// for it could take gigabytes.
const SLOTS_MAX: u32 = 1 << 16;

/// Whether a frame is plausible.
fn is_sound(frame: &ChunkFrame) -> bool {
    let entered = frame.roster.iter().flat_map(|r| &r.frame.enter);
    entered.map(|e| e.slot).all(|slot| slot < SLOTS_MAX)
}

// ---- what game code sees -------------------------------------------------------------------------------

/// Of two entries of an entity, the one that is its ghost.
fn newer<'a>(a: &'a Seen, b: &'a Seen) -> &'a Seen {
    if (a.term, a.tick) < (b.term, b.tick) { b } else { a }
}

impl Interest {
    /// Chunks from `low` to `high` that are subscribed to, in chunk order.
    fn between(&self, low: ChunkId, high: ChunkId) -> Vec<Handle> {
        let side = |from: i16, to: i16| to.abs_diff(from) as usize + 1;
        let (columns, rows) = (low.x..=high.x, low.y..=high.y);
        if side(low.x, high.x) * side(low.y, high.y) > self.chunks.len() {
            let mut all = self.in_order();
            all.retain(|at| {
                let ChunkId { island, x, y } = self.chunks[*at].chunk;
                island == low.island && columns.contains(&x) && rows.contains(&y)
            });
            return all;
        }
        let chunk = |(x, y)| ChunkId { island: low.island, x, y };
        let all = columns.flat_map(|x| rows.clone().map(move |y| (x, y))).map(chunk);
        all.filter_map(|chunk| self.by_chunk.get(chunk)).collect()
    }
}

impl Interest {
    /// Where an entity stands, as the pictures of the chunk `around` and those next to it show it.
    pub(crate) fn body_of(&self, around: ChunkId, id: EntityId) -> Option<Body> {
        let pictures = around.around(1).filter_map(|chunk| self.by_chunk.get(chunk));
        let entries = pictures.flat_map(|at| self.chunks[at].picture.seen()).map(|(_, seen)| seen);
        entries.filter(|seen| seen.id == id).reduce(newer)?.body
    }
}

impl Surroundings for Interest {
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        let reach = radius_mm.min(1_000_000) as i32;
        let low =
            ChunkId::of(island, Point::new(point.x.saturating_sub(reach), point.y.saturating_sub(reach)));
        let high =
            ChunkId::of(island, Point::new(point.x.saturating_add(reach), point.y.saturating_add(reach)));
        let mut newest: BTreeMap<EntityId, &Seen> = BTreeMap::new();
        for at in self.between(low, high) {
            for (_, seen) in self.chunks[at].picture.seen() {
                if !seen.body.is_some_and(|b| b.at.within(point, radius_mm)) {
                    continue;
                }
                let kept = newest.entry(seen.id).or_insert(seen);
                *kept = newer(kept, seen);
            }
        }
        let neighbour = |s: &Seen| Neighbour { id: s.id, public: s.public.clone(), body: s.body };
        newest.into_values().map(neighbour).collect()
    }

    fn look(&self, chunk: ChunkId, id: EntityId) -> Option<Bytes> {
        let picture = &self.chunks[self.by_chunk.get(chunk)?].picture;
        let entries = picture.seen().map(|(_, seen)| seen).filter(|seen| seen.id == id);
        Some(entries.reduce(newer)?.public.clone())
    }
}

impl Interest {
    /// Asserts the invariants between two inputs: expensive, for checkers.
    pub(crate) fn check(&self, core: &Core) {
        assert_eq!(self.by_chunk.len(), self.chunks.len(), "a subscription without its chunk");
        let (mut ghosts, mut looks) = (0, 0);
        for (at, sub) in self.chunks.iter() {
            assert_eq!(self.by_chunk.get(sub.chunk), Some(at), "a chunk leads to another subscription");
            sub.check(&self.viewers);
            sub.picture.check();
            ghosts += sub.picture.ghosts(core.me());
            looks += sub.looks().len();
        }
        assert_eq!(ghosts, self.ghosts, "ghosts are miscounted");
        let changed = self.chunks.iter().filter(|(_, sub)| sub.changed).count();
        assert_eq!(changed, self.changed.len(), "chunks that have changed are miscounted");
        let fresh = self.chunks.iter().filter(|(_, sub)| !sub.arrived.is_empty()).count();
        assert_eq!(fresh, self.fresh.len(), "chunks that frames have come for are miscounted");
        assert!(fresh == 0 || !self.arrivals.is_empty(), "frames that have arrived were lost");
        for (rank_of, at) in self.changed.iter().chain(&self.fresh) {
            assert_eq!(rank(self.chunks[*at].chunk), *rank_of, "another chunk is listed");
        }
        self.viewers.check();
        let reach = Reach(core.world().sight_chunks);
        let centers = self.viewers.iter().filter_map(|(_, viewer)| viewer.center);
        assert_eq!(
            looks,
            centers.map(|c| reach.around(c).count()).sum::<usize>(),
            "a look too many or too few"
        );
        assert!(self.fading.iter().is_sorted_by_key(|(due, ..)| *due), "tiers run out in disorder");
    }
}
