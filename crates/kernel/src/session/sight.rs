//! What a session sees: its sight, the tiers in it, and the frames and keyframes of each flush.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{ChunkId, ConnId, Planted};
use gundo_wire::client::ServerMessage;

use crate::Node;
use crate::io::{Output, SendClass};
use crate::peer::ChunkFrame;

impl Node {
    /// The tier in which a session centred on `center` sees `chunk`.
    fn tier(&self, center: ChunkId, chunk: ChunkId) -> Option<u8> {
        let steps = center.steps_to(chunk)?;
        self.core.world().sight_chunks.iter().position(|reach| steps <= *reach).map(|t| t as u8)
    }

    /// Centres a session's sight: chunks are joined, left, or change their tier.
    pub(super) fn look_from(&mut self, conn: ConnId, center: ChunkId) {
        let settings = self.core.settings.world.clone();
        let reach = settings.sight_chunks.into_iter().max().unwrap_or(0);
        // An old tier goes on until a frame of the new one has surely come, also from a publisher that is slower just now: nothing
        // falls between the two.
        let fades = self.core.tick() + 4 * settings.tier_ticks.into_iter().max().unwrap_or(1);
        let Some(before) = self.sessions.by_conn.get_mut(&conn).map(|s| s.center.replace(center)) else {
            return;
        };
        let mut forget = Vec::new();
        for chunk in before.into_iter().flat_map(|b| b.around(reach)) {
            if self.tier(center, chunk).is_none() {
                self.interest.set_session(conn, chunk, 0);
                forget.push(chunk);
            }
        }
        for chunk in center.around(reach) {
            let Some(tier) = self.tier(center, chunk) else { continue };
            match before.and_then(|b| self.tier(b, chunk)) {
                Some(old) if old == tier => {}
                Some(_) => {
                    self.interest.add_tier(conn, chunk, tier);
                    self.sessions.fading.insert((fades, conn, chunk));
                    let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
                    session.fading.insert(chunk, fades);
                }
                None => {
                    self.interest.set_session(conn, chunk, 1 << tier);
                    let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
                    session.joins.insert(chunk);
                    self.sessions.owed.insert(conn);
                }
            }
        }
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        for chunk in &forget {
            session.joins.remove(chunk);
            session.fading.remove(chunk);
        }
        if !forget.is_empty() {
            let forget = forget.into_iter().map(Into::into).collect();
            let message = ServerMessage { forget, ..Default::default() };
            self.core.send_client(conn, &message, SendClass::Kept);
        }
    }

    fn fade_tiers(&mut self) {
        let tick = self.core.tick();
        while let Some((due, conn, chunk)) =
            self.sessions.fading.first().copied().filter(|(t, ..)| *t <= tick)
        {
            self.sessions.fading.remove(&(due, conn, chunk));
            let Some(session) = self.sessions.by_conn.get_mut(&conn) else { continue };
            // A later change of tier has its own end.
            if session.fading.get(&chunk) != Some(&due) {
                continue;
            }
            session.fading.remove(&chunk);
            if let Some(tier) = session.center.and_then(|c| self.tier(c, chunk)) {
                self.interest.set_session(conn, chunk, 1 << tier);
            }
        }
    }

    /// Hands every session its frames since the last flush, as one message, and the keyframes it is owed.
    pub(crate) fn flush(&mut self) {
        self.fade_tiers();
        let flush = self.interest.flush();
        let owed = std::mem::take(&mut self.sessions.owed);
        let mut owed = owed.into_iter().peekable();
        let mut cut = BTreeMap::new();
        for looks in flush.looks.chunk_by(|a, b| a.0 == b.0) {
            let conn = looks[0].0;
            while let Some(other) = owed.next_if(|o| *o < conn) {
                self.flush_session(other, &[], &flush.chunks, &mut cut);
            }
            owed.next_if_eq(&conn);
            self.flush_session(conn, looks, &flush.chunks, &mut cut);
        }
        for conn in owed {
            self.flush_session(conn, &[], &flush.chunks, &mut cut);
        }
    }

    fn flush_session(
        &mut self,
        conn: ConnId,
        looks: &[(ConnId, u32, u8)],
        chunks: &[(ChunkId, Vec<ChunkFrame>)],
        cut: &mut BTreeMap<ChunkId, Option<Bytes>>,
    ) {
        let Some(session) = self.sessions.by_conn.get_mut(&conn).filter(|s| !s.lagging) else { return };
        let mut parts = Vec::with_capacity(looks.len());
        for (_, index, tiers) in looks {
            let (chunk, frames) = &chunks[*index as usize];
            // Who is owed a keyframe of the chunk gets that instead.
            if session.joins.contains(chunk) {
                continue;
            }
            for frame in frames {
                parts.extend(frame.roster.as_ref().map(|r| r.bytes.clone()));
                for tier in (0..3).filter(|t| tiers >> t & 1 == 1) {
                    if let Some(motion) = &frame.motion[tier] {
                        parts.push(motion.bytes.clone());
                        self.core.counters.updates += motion.frame.slot.len() as u64;
                    }
                }
            }
        }
        let mut joins: Vec<_> = std::mem::take(&mut session.joins).into_iter().collect();
        // Nearest first: what the player stands in is there before what is far away.
        let center = session.center.unwrap_or_default();
        joins.sort_by_key(|c| (c.steps_to(center), *c));
        for chunk in joins {
            if let Some(keyframe) = self.interest.keyframe(chunk, cut) {
                parts.push(keyframe);
                self.core.counters.keyframes += 1;
            }
        }
        if !parts.is_empty() {
            self.core.outputs.push_back(Output::Send { conn, parts, class: SendClass::Frames });
        }
    }

    pub(super) fn leave_chunks(&mut self, conn: ConnId, center: Option<ChunkId>) {
        let Some(center) = center.filter(|_| !self.core.planted(Planted::SightLeaked)) else { return };
        let reach = self.core.settings.world.sight_chunks.into_iter().max().unwrap_or(0);
        for chunk in center.around(reach) {
            self.interest.set_session(conn, chunk, 0);
        }
    }
}
