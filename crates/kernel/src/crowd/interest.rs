//! The node as a subscriber: which chunks its sessions and players look at, and the pictures that come back.
//!
//! Sessions join a chunk at a tier; players that are real here need their surroundings as well. The node subscribes
//! once to the union, keeps one [`Picture`] for each chunk, and hands every frame to the sessions that look there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{ChunkId, ConnId, EntityId, NodeId, Planted, Point};
use gundo_wire::client::Frame;

use super::picture::{Picture, Seen, Taken};
use super::publish::{blank_frame, encode};
use crate::core::Core;
use crate::game::{Neighbour, Surroundings};
use crate::peer::{ChunkFrame, HomeMessage, Peer};

/// All that this node looks at.
#[derive(Default)]
pub(crate) struct Interest {
    chunks: BTreeMap<ChunkId, Subscription>,
    /// Chunks whose wanted tiers may have changed.
    changed: BTreeSet<ChunkId>,
    /// Frames for the next flush.
    arrived: BTreeMap<ChunkId, Vec<ChunkFrame>>,
    /// Number of the last bundle from each publisher.
    bundles: BTreeMap<NodeId, u64>,
}

#[derive(Default)]
pub(crate) struct Subscription {
    /// Sessions that look here, in order, and their tiers (bits; two while a session changes tier).
    sessions: Vec<(ConnId, u8)>,
    tier_counts: [u32; 3],
    /// Real players around.
    players: u32,
    /// Tiers the home has been told.
    told: u8,
    picture: Picture,
}

/// Frames of one flush, and who gets which.
#[derive(Default)]
pub(crate) struct Flush {
    /// Chunk by chunk.
    pub(crate) chunks: Vec<(ChunkId, Vec<ChunkFrame>)>,
    /// A session, an index in `chunks`, its tiers there; session by session.
    pub(crate) looks: Vec<(ConnId, u32, u8)>,
}

impl Subscription {
    /// Sets a session's tiers; returns those before.
    fn set(&mut self, conn: ConnId, tiers: u8) -> u8 {
        match (self.sessions.binary_search_by_key(&conn, |(c, _)| *c), tiers) {
            (Ok(at), 0) => self.sessions.remove(at).1,
            (Ok(at), _) => std::mem::replace(&mut self.sessions[at].1, tiers),
            (Err(_), 0) => 0,
            (Err(at), _) => {
                self.sessions.insert(at, (conn, tiers));
                0
            }
        }
    }

    fn tiers_of(&self, conn: ConnId) -> u8 {
        self.sessions.binary_search_by_key(&conn, |(c, _)| *c).map_or(0, |at| self.sessions[at].1)
    }

    fn wanted(&self) -> u8 {
        let tiers = (0..3).filter(|t| self.tier_counts[*t] > 0).fold(0, |bits, t| bits | 1 << t);
        tiers | u8::from(self.players > 0)
    }
}

impl Interest {
    /// A session looks at `chunk` with these tiers (bits); 0: not any more.
    pub(crate) fn set_session(&mut self, conn: ConnId, chunk: ChunkId, tiers: u8) {
        let sub = self.chunks.entry(chunk).or_default();
        let before = sub.set(conn, tiers);
        for tier in 0..3 {
            let bit = |set: u8| u32::from(set >> tier & 1);
            sub.tier_counts[tier] = sub.tier_counts[tier] + bit(tiers) - bit(before);
        }
        self.changed.insert(chunk);
    }

    /// A session looks at `chunk` with this tier as well.
    pub(crate) fn add_tier(&mut self, conn: ConnId, chunk: ChunkId, tier: u8) {
        let before = self.chunks.get(&chunk).map_or(0, |s| s.tiers_of(conn));
        self.set_session(conn, chunk, before | 1 << tier);
    }

    /// A player that is real here begins or ceases to need the chunks around `center`.
    pub(crate) fn set_player(&mut self, center: ChunkId, needed: bool) {
        for chunk in center.around(1) {
            let sub = self.chunks.entry(chunk).or_default();
            sub.players = if needed { sub.players + 1 } else { sub.players.saturating_sub(1) };
            self.changed.insert(chunk);
        }
    }

    /// Tells homes what is wanted now; forgets what nobody looks at.
    pub(crate) fn settle(&mut self, core: &mut Core) {
        if self.changed.is_empty() {
            return;
        }
        let mut messages: BTreeMap<NodeId, Vec<(ChunkId, u8)>> = BTreeMap::new();
        for chunk in std::mem::take(&mut self.changed) {
            let Some(sub) = self.chunks.get_mut(&chunk) else { continue };
            let wanted = sub.wanted();
            if wanted != sub.told && (wanted != 0 || !core.planted(Planted::SubscriptionKept)) {
                sub.told = wanted;
                if let Some(home) = core.home_of_chunk(chunk) {
                    messages.entry(home).or_default().push((chunk, wanted));
                }
            }
            if wanted == 0 {
                self.chunks.remove(&chunk);
                self.arrived.remove(&chunk);
            }
        }
        for (home, list) in messages {
            core.send_home(home, HomeMessage::Subscribe(list));
        }
    }

    /// Chunks subscribed to, with tiers as bits.
    pub(crate) fn subscribed(&self) -> impl Iterator<Item = (ChunkId, u8)> {
        self.chunks.iter().filter(|(_, s)| s.told != 0).map(|(c, s)| (*c, s.told))
    }

    /// A publisher's frames.
    pub(crate) fn take_frames(
        &mut self,
        core: &mut Core,
        from: NodeId,
        number: u64,
        frames: Vec<ChunkFrame>,
    ) {
        let before = self.bundles.insert(from, number).unwrap_or(0);
        let unnoticed = core.planted(Planted::RosterGapUnnoticed);
        if number != before.wrapping_add(1) && !core.planted(Planted::BundleGapIgnored) && !unnoticed {
            self.ask_for_all(core, from);
        }
        for frame in frames {
            if !is_sound(&frame) {
                core.counters.nonsense += 1;
                continue;
            }
            let chunk = frame.chunk;
            let Some(sub) = self.chunks.get_mut(&chunk) else { continue };
            match sub.picture.take(from, &frame, unnoticed) {
                Taken::Fits => {
                    self.arrived.entry(chunk).or_default().push(frame);
                }
                Taken::Gap => core.send(from, Peer::KeyframeWanted(chunk)),
                Taken::Waits => {}
            }
        }
    }

    /// What a publisher says that it sent last.
    pub(crate) fn compare_sent(
        &mut self,
        core: &mut Core,
        from: NodeId,
        number: u64,
        rosters: &[(ChunkId, u32)],
    ) {
        if core.planted(Planted::SentNotCompared) || core.planted(Planted::RosterGapUnnoticed) {
            return;
        }
        if self.bundles.insert(from, number).unwrap_or(0) != number {
            self.ask_for_all(core, from);
        }
        for (chunk, roster) in rosters {
            if self.chunks.get_mut(chunk).is_some_and(|s| s.picture.misses(from, *roster)) {
                core.send(from, Peer::KeyframeWanted(*chunk));
            }
        }
    }

    /// A bundle was lost, and nobody knows what was in it: every picture of that publisher is asked for anew. Motion
    /// that was lost would otherwise be missed for ever if the entity stands still now.
    fn ask_for_all(&mut self, core: &mut Core, from: NodeId) {
        for (chunk, sub) in &mut self.chunks {
            if sub.picture.doubt(from) {
                core.send(from, Peer::KeyframeWanted(*chunk));
            }
        }
    }

    /// Removes what nodes told that are members no more; sessions are told that nothing of it is left.
    pub(crate) fn forget_publishers(&mut self, core: &mut Core, gone: &[NodeId]) {
        for (chunk, sub) in &mut self.chunks {
            for node in gone {
                let Some(tick) = sub.picture.forget(*node) else { continue };
                if core.planted(Planted::GhostsOfTheDead) {
                    continue;
                }
                let nothing = Frame { keyframe: true, ..blank_frame(*node, *chunk, tick) };
                let roster = Some(encode(core, nothing));
                let frame = ChunkFrame { chunk: *chunk, tick, roster, motion: Default::default() };
                self.arrived.entry(*chunk).or_default().push(frame);
            }
        }
        self.bundles.retain(|n, _| !gone.contains(n));
    }

    /// Takes the frames since the last flush. One list of who looks where, sorted once, costs less than a look at each
    /// session for each chunk.
    pub(crate) fn flush(&mut self) -> Flush {
        let mut flush = Flush::default();
        for (chunk, frames) in std::mem::take(&mut self.arrived) {
            let Some(sub) = self.chunks.get(&chunk).filter(|sub| !sub.sessions.is_empty()) else { continue };
            let index = flush.chunks.len() as u32;
            flush.looks.extend(sub.sessions.iter().map(|(conn, tiers)| (*conn, index, *tiers)));
            flush.chunks.push((chunk, frames));
        }
        flush.looks.sort_unstable();
        flush
    }

    /// The chunk's keyframe as of now; `cut` keeps it for the others who are owed one.
    pub(crate) fn keyframe(
        &self,
        chunk: ChunkId,
        cut: &mut BTreeMap<ChunkId, Option<Bytes>>,
    ) -> Option<Bytes> {
        let picture = &self.chunks.get(&chunk)?.picture;
        cut.entry(chunk).or_insert_with(|| picture.keyframe(chunk)).clone()
    }

    /// Number of chunks looked at, and of ghosts in them.
    pub(crate) fn size(&self, me: NodeId) -> (usize, usize) {
        (self.chunks.len(), self.chunks.values().map(|s| s.picture.ghosts(me)).sum())
    }
}

/// Slots of a publication: its publisher fills those that are free before it opens a new one, so a number beyond this is a
/// mistake, and room for it would be gigabytes.
const SLOTS_MAX: u32 = 1 << 16;

/// Whether a frame may be one.
fn is_sound(frame: &ChunkFrame) -> bool {
    let entered = frame.roster.iter().flat_map(|r| &r.frame.enter);
    entered.map(|e| e.slot).all(|slot| slot < SLOTS_MAX)
}

/// Of two entries of an entity, the one that is its ghost.
fn newer<'a>(a: &'a Seen, b: &'a Seen) -> &'a Seen {
    if (a.term, a.tick) < (b.term, b.tick) { b } else { a }
}

impl Surroundings for Interest {
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        let reach = radius_mm.min(1_000_000) as i32;
        let low =
            ChunkId::of(island, Point::new(point.x.saturating_sub(reach), point.y.saturating_sub(reach)));
        let high =
            ChunkId::of(island, Point::new(point.x.saturating_add(reach), point.y.saturating_add(reach)));
        let mut newest: BTreeMap<EntityId, &Seen> = BTreeMap::new();
        for x in low.x..=high.x {
            let row = ChunkId { island, x, y: low.y }..=ChunkId { island, x, y: high.y };
            for (_, sub) in self.chunks.range(row) {
                for (_, seen) in sub.picture.seen() {
                    if !seen.body.is_some_and(|b| b.at.within(point, radius_mm)) {
                        continue;
                    }
                    let kept = newest.entry(seen.id).or_insert(seen);
                    *kept = newer(kept, seen);
                }
            }
        }
        let neighbour = |s: &Seen| Neighbour { id: s.id, public: s.public.clone(), body: s.body };
        newest.into_values().map(neighbour).collect()
    }

    fn look(&self, chunk: ChunkId, id: EntityId) -> Option<Bytes> {
        let picture = &self.chunks.get(&chunk)?.picture;
        let entries = picture.seen().map(|(_, seen)| seen).filter(|seen| seen.id == id);
        Some(entries.reduce(newer)?.public.clone())
    }
}
