//! All sessions at this edge, and how one ends.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{ConnId, EdgeAddress, EntityId, Planted};
use gundo_wire::client::{Closing, Edge as Address, Edges};

use super::newcomers::Newcomers;
use super::oldtokens::OldTokens;
use super::seats::Seats;
use super::session::Session;
use super::watches::Watches;
use crate::core::Core;
use crate::crowd::Crowd;
use crate::io::{Gauges, Member, Output};
use crate::overload::Overload;
use crate::peer::{Line, ToPlayer, to_player};

/// How long clients are to wait before they reconnect, ms: a random time for each, because many lose their connection at once.
const RETRY_MS: std::ops::RangeInclusive<u32> = 500..=1_500;
/// The same for clients of a draining node, which reconnect at another edge at once.
const RETRY_MOVING_MS: std::ops::RangeInclusive<u32> = 1..=20;

/// All sessions at this edge.
#[derive(Default)]
pub(crate) struct Edge {
    pub(super) sessions: BTreeMap<ConnId, Session>,
    /// Connections that this node is closing: messages that still come from them are too late.
    pub(super) closed: BTreeSet<ConnId>,
    pub(super) seats: Seats,
    /// Sessions that are locating their player.
    pub(super) locating: BTreeMap<EntityId, BTreeSet<ConnId>>,
    /// Sessions with commands over which an edge may have been lost.
    pub(super) doubting: BTreeSet<ConnId>,
    /// The entities that they watch.
    pub(super) watches: Watches,
    pub(super) old_tokens: OldTokens,
    /// Recovery codes of those of whom nobody says where they come from.
    pub(super) codes: OldTokens,
    pub(super) newcomers: Newcomers,
    /// The driver's last gauges.
    pub(super) gauges: Gauges,
}

/// The rooms that an edge reaches: those below it.
pub(crate) struct Rooms<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) crowd: &'a mut Crowd,
    pub(crate) overload: &'a Overload,
}

#[cfg(feature = "planted")]
impl Edge {
    /// What a session is doing, as the table of coverage names it.
    pub(crate) fn doing(&self, conn: ConnId) -> &'static str {
        let none = if self.closed.contains(&conn) { "closed" } else { "none" };
        self.sessions.get(&conn).map_or(none, Session::doing)
    }

    /// What the sessions that look for this player are doing.
    pub(crate) fn doing_for(&self, player: EntityId) -> impl Iterator<Item = &'static str> {
        self.locating.get(&player).into_iter().flatten().map(|conn| self.doing(*conn))
    }
}

impl Edge {
    pub(super) fn close(&mut self, cx: &mut Rooms<'_>, conn: ConnId, code: &str, text: &str, retry_ms: u32) {
        self.give_back(cx.core, conn);
        self.end_session(cx, conn, false);
        let first = self.closed.insert(conn);
        assert!(first, "a connection is closed once");
        let closing = Some(Closing { code: code.into(), text: text.into(), retry_ms });
        cx.core.outputs.push_back(Output::Close { conn, closing });
    }

    /// The hello of this connection has made no new player.
    pub(super) fn give_back(&mut self, core: &Core, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        let counted = std::mem::take(&mut session.is_counted);
        if let Some(from) = session.from.filter(|_| counted) {
            self.newcomers.give_back(from, &core.world().limits);
        }
    }

    /// Closes a connection for a temporary reason: the client reconnects by itself.
    pub(super) fn close_for_now(&mut self, cx: &mut Rooms<'_>, conn: ConnId, code: &str, text: &str) {
        let retry_ms = cx.core.spread(RETRY_MS);
        self.close(cx, conn, code, text, retry_ms);
    }

    /// Sends the client to another edge: nothing else changes for it.
    pub(super) fn send_away(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let retry_ms = cx.core.spread(RETRY_MOVING_MS);
        let text = "This server is being renewed. You are taken to another one.";
        self.close(cx, conn, "moving", text, retry_ms);
    }

    pub(super) fn end_session(&mut self, cx: &mut Rooms<'_>, conn: ConnId, leave: bool) {
        let Some(mut session) = self.sessions.remove(&conn) else { return };
        self.look_no_more(session.player, conn);
        self.doubting.remove(&conn);
        if session.is_seated {
            self.seats.leave(session.player);
        }
        self.unwatch_all(cx.core, conn, std::mem::take(&mut session.watched));
        if session.has_holder() {
            let line = Line { edge: cx.core.me(), conn };
            let gone = to_player(session.player, line, ToPlayer::Gone { leave });
            cx.core.send(session.holder, gone);
        }
        leave_chunks(cx, conn);
    }

    /// A session stops locating this player.
    pub(super) fn look_no_more(&mut self, player: EntityId, conn: ConnId) {
        if let Some(waiting) = self.locating.get_mut(&player) {
            waiting.remove(&conn);
            assert!(!waiting.contains(&conn));
            if waiting.is_empty() {
                self.locating.remove(&player);
            }
        }
    }

    /// The connections of sessions for which `is` is true, in order.
    pub(super) fn those(&self, is: impl Fn(&Session) -> bool) -> Vec<ConnId> {
        self.sessions.iter().filter(|(_, s)| is(s)).map(|(conn, _)| *conn).collect()
    }
}

/// A session has ended: it looks at nothing any more.
fn leave_chunks(cx: &mut Rooms<'_>, conn: ConnId) {
    if cx.core.planted(Planted::SightLeaked) {
        // A planted mistake: its looks stay. Nothing is sent to the closed connection.
        return cx.crowd.interest.set_lagging(conn);
    }
    cx.crowd.interest.leave_all(cx.core, conn);
}

/// The edges that clients may use: those of members that do not drain, unless all do.
pub(super) fn edges(core: &Core) -> Edges {
    let members = &core.view.members;
    let stays = members.iter().any(|m| !m.draining);
    let edge = |m: &Member| {
        let EdgeAddress { scheme, host, port, path } = m.address.clone();
        Address { node: u32::from(m.node.0), host, port: u32::from(port), path, scheme }
    };
    Edges { edges: members.iter().filter(|m| !(stays && m.draining)).map(edge).collect() }
}
