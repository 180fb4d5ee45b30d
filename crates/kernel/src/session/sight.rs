//! What a session sees: where its sight is centred, and what its client hears of that. Who looks where, and what each gets, is
//! known to [`Interest`](crate::crowd::interest::Interest).

use gundo_types::{ChunkId, ConnId, Planted};
use gundo_wire::client::ServerMessage;

use crate::Node;
use crate::io::SendClass;

impl Node {
    /// Centres a session's sight: chunks are joined, left, or change their tier.
    pub(super) fn look_from(&mut self, conn: ConnId, center: ChunkId) {
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.center = Some(center);
        let left = self.interest.look_from(&self.core, conn, center);
        if !left.is_empty() {
            let forget = left.into_iter().map(Into::into).collect();
            let message = ServerMessage { forget, ..Default::default() };
            self.core.send_client(conn, &message, SendClass::Kept);
        }
    }

    /// Hands every session its frames since the last flush, as one message, and the keyframes it is owed.
    pub(crate) fn flush(&mut self) {
        self.interest.flush(&mut self.core);
    }

    /// A session has ended: it looks at nothing any more.
    pub(super) fn leave_chunks(&mut self, conn: ConnId) {
        if self.core.planted(Planted::SightLeaked) {
            // What it looked at stays, but nothing is sent to a connection that is gone.
            return self.interest.set_lagging(conn);
        }
        self.interest.leave_all(&self.core, conn);
    }
}
