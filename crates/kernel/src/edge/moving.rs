//! A session whose player is, or may be, on another node now: the edge locates the player and continues the session there.

use std::collections::BTreeMap;

use gundo_types::{Body, ConnId, EntityId, NodeId, Planted, Term, Time};
use gundo_wire::client::{Notice, ServerMessage};

use super::room::{Edge, Rooms};
use super::session::{Phase, Session};
use crate::core::Core;
use crate::io::SendClass;
use crate::peer::{Line, Resumed, ToEdge, ToPlayer, to_player};

impl Edge {
    /// Nodes were lost, with players of sessions here: asks the players' homes which nodes own them now. `gone`: and when this
    /// node last heard from each. Their pictures are still there.
    pub(crate) fn lose_holders(&mut self, cx: &mut Rooms<'_>, gone: &BTreeMap<NodeId, Time>) {
        let now = cx.core.now.time;
        let mut doubted = Vec::new();
        for (conn, session) in &mut self.sessions {
            let Some(heard) = gone.get(&session.holder) else { continue };
            if session.is(Phase::Playing) {
                session.since = now;
            }
            if session.plays() {
                session.begin_move(seen(cx, session), *heard);
            } else if session.is(Phase::Opening) {
                session.locate();
            } else {
                continue;
            }
            self.locating.entry(session.player).or_default().insert(*conn);
            let mut suspects = Vec::new();
            for (seq, command) in session.unanswered.iter_mut().filter(|(_, c)| c.passed) {
                command.losses = command.losses.saturating_add(1);
                command.passed = false;
                suspects.push(*seq);
            }
            doubted.push((*conn, suspects));
        }
        // At once: one of these commands may take this very node down next.
        doubted.into_iter().for_each(|(conn, suspects)| tell_suspects(cx.core, conn, suspects));
        self.settle_doubts(cx);
    }

    /// Messages between this edge and a node were lost: sessions of players there go on by a new request, and what was unanswered
    /// is sent again. No node was lost, so no command is a suspect.
    pub(crate) fn on_link_reset(&mut self, cx: &mut Rooms<'_>, peer: NodeId) {
        for conn in self.those(|s| s.has_holder() && s.holder == peer) {
            let Some(session) = self.sessions.get_mut(&conn) else { continue };
            if session.plays() {
                session.begin_move(seen(cx, session), cx.core.now.time);
                session.take_back_commands();
                self.ask_to_resume(cx, conn);
            } else {
                session.locate();
                let player = session.player;
                self.locate(cx, player, conn, None);
            }
        }
        self.ask_homes_again(cx, Some(peer));
    }

    /// The player is on another node now.
    pub(super) fn on_moved(&mut self, cx: &mut Rooms<'_>, conn: ConnId, holder: NodeId, term: Term) {
        let session = self.sessions.get_mut(&conn).filter(|s| s.plays() && term > s.term);
        let Some(session) = session else { return cx.core.note_stale() };
        session.begin_move(seen(cx, session), cx.core.now.time);
        session.take_back_commands();
        (session.holder, session.term) = (holder, term);
        self.ask_to_resume(cx, conn);
    }

    /// Asks the node that owns the player to continue the session with this connection.
    pub(super) fn ask_to_resume(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        assert!(session.is(Phase::Moving), "only a moving session asks to resume");
        session.since = cx.core.now.time;
        session.said.0 = session.body;
        let (seen, since) = session.unchecked.unwrap_or((None, session.since));
        let (adoption, waited_ms) = (session.adoption, session.since.since(since) / 1_000);
        let message = ToPlayer::Resume { adoption, body: session.body, seen, waited_ms };
        let line = Line { edge: cx.core.me(), conn };
        cx.core.send(session.holder, to_player(session.player, line, message));
    }

    /// The player is not where it should be: asks its home, with at most one question in flight.
    pub(super) fn look_for_player(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        if session.plays() {
            session.begin_move(seen(cx, session), cx.core.now.time);
            session.take_back_commands();
            session.since = cx.core.now.time;
        } else {
            session.locate();
        }
        let (player, not) = (session.player, (session.holder, session.term));
        if !self.locating.get(&player).is_some_and(|waiting| waiting.contains(&conn)) {
            self.locate(cx, player, conn, Some(not));
        }
    }

    /// Asks again after a long silence: the answer of the player's home, or of its node, was lost.
    pub(super) fn ask_home_again(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let Some(player) = self.sessions.get(&conn).map(|s| s.player) else { return };
        self.look_no_more(player, conn);
        self.look_for_player(cx, conn);
    }

    /// The player is real again: resends unanswered commands.
    pub(super) fn on_resumed(&mut self, cx: &mut Rooms<'_>, conn: ConnId, from: NodeId, resumed: Resumed) {
        let session = self.sessions.get_mut(&conn).filter(|s| s.is(Phase::Moving));
        let Some(session) = session else { return cx.core.note_stale() };
        session.end_move();
        let (player, line) = (session.player, Line { edge: cx.core.me(), conn });
        let (said, move_seq) = session.said;
        let moved = said.at != resumed.body.at;
        // Its client has walked on since the request.
        let walked = (!moved && session.body != said).then_some(session.body);
        if moved {
            session.body = resumed.body;
        }
        if cx.core.planted(Planted::UnansweredLost) {
            session.unanswered.values_mut().for_each(|c| c.passed = true);
        }
        self.pass_on(cx, conn);
        if let Some(body) = walked {
            cx.core.send(from, to_player(player, line, ToPlayer::Move { seq: move_seq, body, late_ms: 0 }));
        }
        self.handle_real(cx, from, conn, player, ToEdge::Own(resumed.own));
        self.handle_real(cx, from, conn, player, ToEdge::Center(resumed.center));
        if moved {
            let code = "moved".to_owned();
            let correction = ToEdge::Correction { seq: 0, body: resumed.body, code };
            self.handle_real(cx, from, conn, player, correction);
        }
    }

    /// A node was lost over a part of this command elsewhere.
    pub(super) fn on_doubted(&mut self, cx: &mut Rooms<'_>, conn: ConnId, seq: u64) {
        let command = self.sessions.get_mut(&conn).and_then(|s| s.unanswered.get_mut(&seq));
        let Some(command) = command else { return cx.core.note_stale() };
        command.losses = command.losses.saturating_add(1);
        tell_suspects(cx.core, conn, vec![seq]);
    }

    /// A message for a session that has ended: its client disconnected while the session was being adopted, or during its
    /// player's handoff.
    pub(super) fn tell_gone(
        &self,
        cx: &mut Rooms<'_>,
        from: NodeId,
        conn: ConnId,
        player: EntityId,
        message: &ToEdge,
    ) {
        let holder = match message {
            ToEdge::Opened(_) | ToEdge::Resumed(_) => from,
            ToEdge::MovedTo { holder, .. } => *holder,
            _ => return cx.core.note_stale(),
        };
        let line = Line { edge: cx.core.me(), conn };
        cx.core.send(holder, to_player(player, line, ToPlayer::Gone { leave: false }));
    }
}

/// Where the last owner of a session's player showed its body.
fn seen(cx: &Rooms<'_>, session: &Session) -> Option<Body> {
    cx.crowd.interest.body_of(session.center?, session.player)
}

/// A node was lost over these commands, and this node may be the next: the client must remember that.
fn tell_suspects(core: &mut Core, conn: ConnId, suspects: Vec<u64>) {
    if !suspects.is_empty() {
        let notice = Notice { code: "taken_over".to_owned(), text: String::new(), suspects };
        let message = ServerMessage { notice: Some(notice), ..Default::default() };
        core.send_client(conn, &message, SendClass::Kept);
    }
}
