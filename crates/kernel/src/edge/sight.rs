//! What a session sees: where its sight is centred, and what its client hears of that. The crowd
//! ([`Interest`](crate::crowd::Interest)) records which sessions look where, and what each gets.

use gundo_types::{ChunkId, ConnId};
use gundo_wire::client::{Resync, ServerMessage};

use super::room::{Edge, Rooms};
use crate::io::SendClass;

impl Edge {
    pub(crate) fn handle_lagging(&self, cx: &mut Rooms<'_>, conn: ConnId) {
        if self.sessions.contains_key(&conn) {
            cx.crowd.interest.set_lagging(conn);
        } else {
            cx.core.note_stale();
        }
    }

    /// The send queue is empty again: the client forgets everything and gets a keyframe of every chunk in sight.
    pub(crate) fn handle_drained(&self, cx: &mut Rooms<'_>, conn: ConnId) {
        if !self.sessions.contains_key(&conn) || !cx.crowd.interest.is_lagging(conn) {
            return cx.core.note_stale();
        }
        cx.crowd.interest.catch_up(cx.core, conn);
        let resync = ServerMessage { resync: Some(Resync {}), ..Default::default() };
        cx.core.send_client(conn, &resync, SendClass::Kept);
        self.show_all(cx, conn);
    }

    /// Centres a session's sight: it joins chunks, leaves chunks, or changes their tiers.
    pub(super) fn look_from(&mut self, cx: &mut Rooms<'_>, conn: ConnId, center: ChunkId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.center = Some(center);
        let left = cx.crowd.interest.look_from(cx.core, conn, center);
        if !left.is_empty() {
            let forget = left.into_iter().map(Into::into).collect();
            let message = ServerMessage { forget, ..Default::default() };
            cx.core.send_client(conn, &message, SendClass::Kept);
        }
    }
}
