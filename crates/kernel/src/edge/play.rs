//! A client that plays: its commands and moves go to its player's real, and the real's messages come back.

use bytes::Bytes;
use gundo_types::{Body, ConnId, EntityId, NodeId, Planted, Point};
use gundo_wire::Message;
use gundo_wire::client::{Command, Correction, Move, Notice, Own, Reply, ServerMessage, Told};

use super::hello::wire_refusal;
use super::room::{Edge, Rooms};
use super::session::{Phase, Session, Unanswered};
use crate::core::Timer;
use crate::game::Refusal;
use crate::io::SendClass;
use crate::peer::{LOSSES_MAX, Line, ToEdge, ToPlayer, to_player};

/// Wait between an answer and the next command that nodes were lost over, ms: the edge writes at least every 4 ms.
const PASS_ON_MS: u64 = 10;

/// Temporary refusals: the client does not ask the person but comes back in a moment.
const PASSING: [&str; 5] = ["storage", "storage_busy", "storage_full", "busy", "not_ready"];

impl Edge {
    // ---- up --------------------------------------------------------------------------------------------

    pub(super) fn pass_command(&mut self, cx: &mut Rooms<'_>, conn: ConnId, command: Command) {
        let limits = cx.core.world().limits;
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        // Repeated on the same connection: its answer is in flight, and another must not overtake it.
        if session.unanswered.contains_key(&command.seq) {
            return;
        }
        if command.payload.len() > limits.command_bytes_max {
            let text = format!("A command may have {} bytes at most.", limits.command_bytes_max);
            return reply(cx, conn, command.seq, Err(Refusal::new("too_large", text)));
        }
        let full = session.unanswered.len() >= limits.commands_unanswered_max;
        if full && !cx.core.planted(Planted::UnboundedCommands) {
            let text = "Too many commands are waiting for an answer. One moment.";
            return reply(cx, conn, command.seq, Err(Refusal::new("too_many_commands", text)));
        }
        assert!(command.payload.len() <= limits.command_bytes_max, "a long command was refused");
        let seq = command.seq;
        let unanswered = Unanswered::new(cx.core, command);
        if !unanswered.doubts.is_empty() {
            self.doubting.insert(conn);
        }
        session.unanswered.insert(seq, unanswered);
        self.pass_on(cx, conn);
    }

    /// Passes on the commands that may go, in order. A command that was at a node when that was lost may have taken it down: it
    /// goes alone, so that a second loss proves that it was this command. After that it goes only as a question.
    pub(crate) fn pass_on(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let line = Line { edge: cx.core.me(), conn };
        let Some(session) = self.sessions.get_mut(&conn).filter(|s| s.is(Phase::Playing)) else { return };
        let mut alone = !session.unanswered.values().any(|c| c.passed);
        for (seq, command) in &mut session.unanswered {
            let at_most = command.losses_at_most();
            let suspect = at_most > 0;
            // Whether it was lost for the second time is still open.
            let open = command.losses < LOSSES_MAX && at_most >= usize::from(LOSSES_MAX);
            if !command.passed {
                if open || suspect && !alone {
                    return;
                }
                (command.passed, alone) = (true, false);
                let question = command.losses >= LOSSES_MAX || command.asks;
                let payload = command.payload.clone();
                let message = ToPlayer::Command { seq: *seq, payload, question };
                cx.core.send(session.holder, to_player(session.player, line, message));
            }
            if suspect {
                return;
            }
        }
    }

    pub(super) fn pass_move(&mut self, cx: &mut Rooms<'_>, conn: ConnId, wish: Move) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        // Made before the client knew that its body is elsewhere: it would be judged from a place where its client is not.
        session.known = wish.corrections;
        if session.known.is_some_and(|known| known < session.corrections) {
            return cx.core.note_stale();
        }
        let late_ms = session.take_late_ms(cx.core.now.time);
        let body = Body {
            island: session.center.map_or(0, |c| c.island),
            at: Point::new(wish.x, wish.y),
            heading: (wish.heading & 127) as u8,
            speed: wish.speed.min(127) as u8,
        };
        session.body = body;
        session.said.1 = wish.seq;
        if session.is(Phase::Moving) {
            return;
        }
        let message = ToPlayer::Move { seq: wish.seq, body, late_ms };
        let line = Line { edge: cx.core.me(), conn };
        cx.core.send(session.holder, to_player(session.player, line, message));
    }

    // ---- down ------------------------------------------------------------------------------------------

    /// A message from a player's real to the edge of its session.
    pub(crate) fn handle_real(
        &mut self,
        cx: &mut Rooms<'_>,
        from: NodeId,
        conn: ConnId,
        player: EntityId,
        message: ToEdge,
    ) {
        let Some(session) = self.sessions.get_mut(&conn).filter(|s| s.player == player) else {
            return self.tell_gone(cx, from, conn, player, &message);
        };
        let (plays, moves) = (session.plays(), session.is(Phase::Moving));
        let believed = from == session.holder || cx.core.planted(Planted::AnybodySpeaks);
        match message {
            ToEdge::MovedTo { holder, term } if believed || from == holder => {
                self.on_moved(cx, conn, holder, term);
            }
            // It may own the player already. That one's home knows, and the owner says whether this connection has the session.
            ToEdge::Superseded if !believed && plays => self.look_for_player(cx, conn),
            // A node that does not own the player any more: the new owner says it, or will.
            _ if !believed => cx.core.note_stale(),
            ToEdge::MovedTo { .. } => {}
            ToEdge::Told(payload) => self.on_told(cx, conn, payload),
            ToEdge::Seal(place) => self.on_seal(cx, conn, place),
            // Before the welcome: the client forgets earlier state, and the welcome has the newest.
            ToEdge::Own(_) | ToEdge::Center(_) | ToEdge::Correction { .. } if moves || !plays => {
                cx.core.note_early();
            }
            // Its client was welcomed already: a second welcome would make it forget all it sees.
            ToEdge::Opened(opened) if plays => session.adoption = session.adoption.max(opened.adoption),
            ToEdge::Opened(opened) => self.welcome(cx, conn, from, *opened),
            ToEdge::Resumed(resumed) => self.on_resumed(cx, conn, from, *resumed),
            ToEdge::OpenRefused(refusal) => self.on_open_refused(cx, conn, moves, refusal),
            ToEdge::NotHere => self.look_for_player(cx, conn),
            ToEdge::Reply { seq, result } => self.on_reply(cx, conn, seq, result),
            ToEdge::Own(payload) => {
                let own = ServerMessage { own: Some(Own { payload }), ..Default::default() };
                cx.core.send_client(conn, &own, SendClass::Kept);
            }
            ToEdge::Center(center) => self.look_from(cx, conn, center),
            ToEdge::Correction { seq, body, code } => {
                // Its client hears of this place already, and the moves that it makes until then are void.
                if session.is_told(body.at) {
                    return cx.core.note_stale();
                }
                session.body = body;
                session.told = body.at;
                session.corrections += 1;
                let correction = Correction { seq, x: body.at.x, y: body.at.y, code };
                let message = ServerMessage { correction: Some(correction), ..Default::default() };
                cx.core.send_client(conn, &message, SendClass::Kept);
            }
            ToEdge::Superseded => {
                let text = "You have come in from somewhere else. This connection is closed.";
                self.close(cx, conn, "superseded", text, 0);
            }
            ToEdge::Doubted { seq } => self.on_doubted(cx, conn, seq),
            ToEdge::Notice(Refusal { code, text, .. }) => {
                let notice =
                    Notice { code: code.into_owned(), text: text.into_owned(), suspects: Vec::new() };
                let message = ServerMessage { notice: Some(notice), ..Default::default() };
                cx.core.send_client(conn, &message, SendClass::Kept);
            }
            ToEdge::Ended(Refusal { code, text, .. }) => self.close(cx, conn, &code, &text, 0),
        }
    }

    /// The player's real does not adopt the session, or does not continue it.
    fn on_open_refused(&mut self, cx: &mut Rooms<'_>, conn: ConnId, moves: bool, refusal: Refusal) {
        match &*refusal.code {
            // The edge asks again in a moment.
            "busy" if moves => {}
            "suspended" if moves => self.close(cx, conn, &refusal.code, &refusal.text, 0),
            code if moves || PASSING.contains(&code) => {
                self.close_for_now(cx, conn, &refusal.code, &refusal.text);
            }
            _ if self.sessions.get(&conn).is_some_and(|s| s.plays()) => cx.core.note_stale(),
            _ => self.refuse_hello(cx, conn, refusal),
        }
    }

    /// A message to this player only. It is dropped if the client reads too slowly, since it would only slow it down more.
    fn on_told(&self, cx: &mut Rooms<'_>, conn: ConnId, payload: Bytes) {
        let plays = self.sessions.get(&conn).is_some_and(|s| s.is(Phase::Playing));
        if !plays || cx.crowd.interest.is_lagging(conn) {
            cx.core.counters.tells_lost += 1;
            return;
        }
        let message = ServerMessage { told: vec![Told { payload }], ..Default::default() };
        cx.core.send_client(conn, &message, SendClass::Frames);
    }

    /// Where the player walks, for its client to keep: the next one comes in a second. It goes with the next frames, because a message
    /// of its own would cost more than what is in it.
    fn on_seal(&self, cx: &mut Rooms<'_>, conn: ConnId, place: Bytes) {
        let plays = self.sessions.get(&conn).is_some_and(Session::plays);
        if plays && !cx.crowd.interest.is_lagging(conn) {
            let message = ServerMessage { place, ..Default::default() };
            cx.crowd.interest.ride(conn, message.encode_to_vec().into());
        }
    }

    fn on_reply(&mut self, cx: &mut Rooms<'_>, conn: ConnId, seq: u64, result: Result<Bytes, Refusal>) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        // Two nodes that got the command both answer, with the same answer: once is enough.
        let Some(command) = session.unanswered.remove(&seq) else { return cx.core.note_stale() };
        let result = result.map_err(|refusal| match &*refusal.code {
            "gave_up" if command.asks => Refusal::new("expired", "It was too old, and was not done."),
            _ => refusal,
        });
        // The commands that wait for this answer may take the node down: first the answer must be sent.
        if session.unanswered.values().any(|c| !c.passed) {
            cx.core.after_ms(PASS_ON_MS, Timer::PassOn(conn));
        }
        reply(cx, conn, seq, result);
    }
}

fn reply(cx: &mut Rooms<'_>, conn: ConnId, seq: u64, result: Result<Bytes, Refusal>) {
    let (payload, refusal) = match result {
        Ok(payload) => (payload, None),
        Err(refusal) => (Bytes::new(), Some(wire_refusal(refusal))),
    };
    let replies = vec![Reply { seq, payload, refusal }];
    let message = ServerMessage { replies, ..Default::default() };
    cx.core.send_client(conn, &message, SendClass::Reply);
}
