//! What a session sees: its sight, the tiers in it, and the frames and keyframes of each flush.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{ChunkId, ConnId};
use gundo_wire::client::{Resync, ServerMessage};

use super::room::{Edge, Rooms};
use crate::core::Core;
use crate::io::{Output, SendClass};
use crate::peer::ChunkFrame;

/// The tier in which a session centred on `center` sees `chunk`.
fn tier_of(core: &Core, center: ChunkId, chunk: ChunkId) -> Option<u8> {
    let steps = center.steps_to(chunk)?;
    core.world().sight_chunks.iter().position(|reach| steps <= *reach).map(|t| t as u8)
}

impl Edge {
    pub(crate) fn handle_lagging(&mut self, core: &mut Core, conn: ConnId) {
        match self.sessions.get_mut(&conn) {
            Some(session) => session.lagging = true,
            None => core.note_stale(),
        }
    }

    /// The send queue is empty again: the client forgets all and gets a keyframe of every chunk in sight.
    pub(crate) fn handle_drained(&mut self, core: &mut Core, conn: ConnId) {
        let session = self.sessions.get_mut(&conn).filter(|s| s.lagging);
        let Some(session) = session else { return core.note_stale() };
        session.lagging = false;
        if let Some(center) = session.center {
            let reach = core.world().sight_chunks.into_iter().max().unwrap_or(0);
            session.joins = center.around(reach).collect();
            self.owed.insert(conn);
        }
        let resync = ServerMessage { resync: Some(Resync {}), ..Default::default() };
        core.send_client(conn, &resync, SendClass::Kept);
    }

    /// Centres a session's sight: chunks are joined, left, or change their tier.
    pub(super) fn look_from(&mut self, cx: &mut Rooms<'_>, conn: ConnId, center: ChunkId) {
        let settings = cx.core.settings.world.clone();
        let reach = settings.sight_chunks.into_iter().max().unwrap_or(0);
        // An old tier goes on until a frame of the new one has surely come, also from a publisher that is slower just now: nothing
        // falls between the two.
        let fades = cx.core.tick() + 4 * settings.tier_ticks.into_iter().max().unwrap_or(1);
        let Some(before) = self.sessions.get_mut(&conn).map(|s| s.center.replace(center)) else {
            return;
        };
        let mut forget = Vec::new();
        for chunk in before.into_iter().flat_map(|b| b.around(reach)) {
            if tier_of(cx.core, center, chunk).is_none() {
                cx.crowd.interest.set_session(conn, chunk, 0);
                forget.push(chunk);
            }
        }
        for chunk in center.around(reach) {
            let Some(tier) = tier_of(cx.core, center, chunk) else { continue };
            match before.and_then(|b| tier_of(cx.core, b, chunk)) {
                Some(old) if old == tier => {}
                Some(_) => {
                    cx.crowd.interest.add_tier(conn, chunk, tier);
                    self.fading.insert((fades, conn, chunk));
                    let Some(session) = self.sessions.get_mut(&conn) else { return };
                    session.fading.insert(chunk, fades);
                }
                None => {
                    cx.crowd.interest.set_session(conn, chunk, 1 << tier);
                    let Some(session) = self.sessions.get_mut(&conn) else { return };
                    session.joins.insert(chunk);
                    self.owed.insert(conn);
                }
            }
        }
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        for chunk in &forget {
            session.joins.remove(chunk);
            session.fading.remove(chunk);
        }
        if !forget.is_empty() {
            let forget = forget.into_iter().map(Into::into).collect();
            let message = ServerMessage { forget, ..Default::default() };
            cx.core.send_client(conn, &message, SendClass::Kept);
        }
    }

    fn fade_tiers(&mut self, cx: &mut Rooms<'_>) {
        let tick = cx.core.tick();
        while let Some((due, conn, chunk)) = self.fading.first().copied().filter(|(t, ..)| *t <= tick) {
            self.fading.remove(&(due, conn, chunk));
            let Some(session) = self.sessions.get_mut(&conn) else { continue };
            // A later change of tier has its own end.
            if session.fading.get(&chunk) != Some(&due) {
                continue;
            }
            session.fading.remove(&chunk);
            if let Some(tier) = session.center.and_then(|c| tier_of(cx.core, c, chunk)) {
                cx.crowd.interest.set_session(conn, chunk, 1 << tier);
            }
        }
    }

    /// Hands every session its frames since the last flush, as one message, and the keyframes it is owed.
    pub(crate) fn flush(&mut self, cx: &mut Rooms<'_>) {
        self.fade_tiers(cx);
        let flush = cx.crowd.interest.flush();
        let owed = std::mem::take(&mut self.owed);
        let mut owed = owed.into_iter().peekable();
        let mut cut = BTreeMap::new();
        for looks in flush.looks.chunk_by(|a, b| a.0 == b.0) {
            let conn = looks[0].0;
            while let Some(other) = owed.next_if(|o| *o < conn) {
                self.flush_session(cx, other, &[], &flush.chunks, &mut cut);
            }
            owed.next_if_eq(&conn);
            self.flush_session(cx, conn, looks, &flush.chunks, &mut cut);
        }
        for conn in owed {
            self.flush_session(cx, conn, &[], &flush.chunks, &mut cut);
        }
    }

    fn flush_session(
        &mut self,
        cx: &mut Rooms<'_>,
        conn: ConnId,
        looks: &[(ConnId, u32, u8)],
        chunks: &[(ChunkId, Vec<ChunkFrame>)],
        cut: &mut BTreeMap<ChunkId, Option<Bytes>>,
    ) {
        let Some(session) = self.sessions.get_mut(&conn).filter(|s| !s.lagging) else { return };
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
                        cx.core.counters.updates += motion.frame.slot.len() as u64;
                    }
                }
            }
        }
        let mut joins: Vec<_> = std::mem::take(&mut session.joins).into_iter().collect();
        // Nearest first: what the player stands in is there before what is far away.
        let center = session.center.unwrap_or_default();
        joins.sort_by_key(|c| (c.steps_to(center), *c));
        for chunk in joins {
            if let Some(keyframe) = cx.crowd.interest.keyframe(chunk, cut) {
                parts.push(keyframe);
                cx.core.counters.keyframes += 1;
            }
        }
        if !parts.is_empty() {
            cx.core.outputs.push_back(Output::Send { conn, parts, class: SendClass::Frames });
        }
    }
}
