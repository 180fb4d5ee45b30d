//! The node as an edge: sessions of the clients connected here.
//!
//! States of a session: greeting (no Hello yet, or it was refused) → locating (where is the player?) → opening (its real
//! is asked to adopt the line) → playing ⇄ moving (its player is, or may be, on another node now). The edge holds nothing that
//! cannot be rebuilt. Clients' commands are passed on to the player's real; what a client sees is in `sight`.

mod sight;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, ConnId, EntityId, NodeId, Planted, Point, Term, Time};
use gundo_wire::client::{
    ClientMessage, Closing, Command, Correction, Edge, Edges, Hello, Home, Move, Notice, Own, PROTOCOL, Pong,
    Reply, Resync, ServerMessage, Stats, Welcome,
};
use sha2::{Digest, Sha256};

use crate::Node;
use crate::core::Timer;
use crate::game::Refusal;
use crate::io::{Gauges, Output, SendClass};
use crate::isolation::LOSSES_MAX;
use crate::peer::{HomeMessage, Key, Line, Opened, Resumed, ToEdge, ToPlayer};
use crate::player::to_player;

/// How long a Hello may take before it is refused with `not_ready`, ms.
const OPENING_MS: u64 = 5_000;
/// How long clients shall wait before they come back by themselves, ms: each another time, for many lose the same at once.
const RETRY_MS: std::ops::RangeInclusive<u32> = 500..=1_500;
/// The same for clients of a node that is being emptied, which come back at another edge at once.
const RETRY_MOVING_MS: std::ops::RangeInclusive<u32> = 1..=20;
/// How long a session waits for the node that has its player now before it asks the home again, ms.
const MOVING_MS: u64 = 1_000;
/// The same for new players while nobody new is let in.
const CLOSED_RETRY_MS: u32 = 5_000;

/// Between an answer and the next command that nodes were lost over, ms: the edge writes at least every 4 ms.
const PASS_ON_MS: u64 = 10;

/// All sessions at this edge.
#[derive(Default)]
pub(crate) struct Sessions {
    by_conn: BTreeMap<ConnId, Session>,
    /// Connections that were closed from here and are not gone yet: what still comes from them is too late.
    closed: BTreeSet<ConnId>,
    /// Sessions that wait to hear where their player is.
    locating: BTreeMap<EntityId, BTreeSet<ConnId>>,
    pub(crate) gauges: Gauges,
}

struct Session {
    phase: Phase,
    player: EntityId,
    holder: NodeId,
    term: Term,
    /// What came with its Hello.
    key: Key,
    name: String,
    since: Time,
    /// Commands not answered yet: what is said again when the player's node is lost.
    unanswered: BTreeMap<u64, Unanswered>,
    /// How many times the session had been adopted when this line adopted it.
    adoption: u64,
    /// Where its body was last, as far as was heard here.
    body: Body,
    /// Where it was when the node that has its player now was told, and the count of the newest move.
    said: (Body, u32),
    center: Option<ChunkId>,
    watches: bool,
}

/// A command that waits for its answer.
struct Unanswered {
    payload: Bytes,
    /// Nodes that were lost while they had it, here or, as the client says, at edges before.
    losses: u8,
    /// The player's node has it.
    passed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Locating,
    Opening,
    Playing,
    /// The player is on another node now, or its node is gone: the one that has it is asked to go on. The client notices
    /// nothing but a pause.
    Moving,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.by_conn.len()
    }

    /// Whether no client is connected any more, and those that were sent away have read so and hung up.
    pub(crate) fn are_gone(&self) -> bool {
        self.by_conn.is_empty() && self.closed.is_empty()
    }
}

impl Node {
    // ---- clients ---------------------------------------------------------------------------------------

    pub(crate) fn handle_client(&mut self, conn: ConnId, message: ClientMessage) {
        if self.core.stopping || self.sessions.closed.contains(&conn) {
            return;
        }
        let since = self.core.now.time;
        let session = self.sessions.by_conn.entry(conn).or_insert_with(|| Session {
            phase: Phase::Greeting,
            player: EntityId::default(),
            holder: NodeId::default(),
            term: Term::default(),
            key: Key::Token([0; 16]),
            name: String::new(),
            since,
            unanswered: BTreeMap::new(),
            adoption: 0,
            body: Body::default(),
            said: (Body::default(), 0),
            center: None,
            watches: false,
        });
        if let Some(ping) = message.ping {
            let pong = Pong { stamp: ping.stamp, world_ms: self.core.now.world.0 };
            let reply = ServerMessage { pong: Some(pong), ..Default::default() };
            self.core.send_client(conn, &reply, SendClass::Kept);
        }
        let greeting = session.phase == Phase::Greeting;
        match message.hello {
            Some(hello) if greeting => return self.greet(conn, hello),
            Some(_) => return self.close(conn, "bad_message", "Hello may be said only once.", 0),
            None if greeting && (message.r#move.is_some() || !message.commands.is_empty()) => {
                return self.close(conn, "bad_message", "Say hello first.", 0);
            }
            None => {}
        }
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        if let Some(watch) = message.watch {
            session.watches = watch.stats;
        }
        if matches!(session.phase, Phase::Playing | Phase::Moving) {
            for command in message.commands {
                self.pass_command(conn, command);
            }
            if let Some(wish) = message.r#move {
                self.pass_move(conn, wish);
            }
        }
        if message.bye.is_some() {
            self.end_session(conn, true);
            self.sessions.closed.insert(conn);
            self.core.outputs.push_back(Output::Close { conn });
        }
    }

    pub(crate) fn handle_gone(&mut self, conn: ConnId) {
        self.sessions.closed.remove(&conn);
        self.end_session(conn, false);
    }

    pub(crate) fn handle_lagging(&mut self, conn: ConnId) {
        if self.sessions.by_conn.contains_key(&conn) {
            self.interest.set_lagging(conn);
        }
    }

    /// The send queue is empty again: the client forgets all and gets a keyframe of every chunk in sight.
    pub(crate) fn handle_drained(&mut self, conn: ConnId) {
        if !self.sessions.by_conn.contains_key(&conn) || !self.interest.is_lagging(conn) {
            return;
        }
        self.interest.catch_up(&self.core, conn);
        let resync = ServerMessage { resync: Some(Resync {}), ..Default::default() };
        self.core.send_client(conn, &resync, SendClass::Kept);
    }

    fn greet(&mut self, conn: ConnId, hello: Hello) {
        if self.core.is_draining() {
            return self.send_away(conn);
        }
        if hello.protocol != PROTOCOL {
            let text = format!("This server speaks protocol {PROTOCOL}. Please update your client.");
            return self.refuse_hello(conn, Refusal::new("bad_protocol", text));
        }
        if hello.token.is_empty() && self.overload.is_closed() {
            self.core.counters.refused_busy_world += 1;
            let text =
                "So much is going on here that nobody new can come in just now. Try again in a moment.";
            return self.close(conn, "busy_world", text, CLOSED_RETRY_MS);
        }
        let kind = self.core.settings.rules.player_kind();
        let (id, key) = match key_of(&hello) {
            Ok(key) => key,
            Err(_) if self.core.planted(Planted::DamagedTokenPanics) => panic!("a token has 24 bytes"),
            Err(refusal) => return self.refuse_hello(conn, refusal),
        };
        let now = self.core.now.time;
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.phase = Phase::Locating;
        session.player = EntityId::new(kind, id);
        (session.key, session.name, session.since) = (key, hello.name, now);
        let player = session.player;
        self.locate(player, conn, None);
    }

    fn locate(&mut self, player: EntityId, conn: ConnId, not: Option<(NodeId, Term)>) {
        self.sessions.locating.entry(player).or_default().insert(conn);
        if let Some(home) = self.home_of(player) {
            self.core.send_home(home, HomeMessage::Locate { entity: player, not });
        }
    }

    /// A new view: homes may have changed, questions are asked again.
    pub(crate) fn locate_again(&mut self) {
        let players: Vec<_> = self.sessions.locating.keys().copied().collect();
        for player in players {
            if let Some(home) = self.home_of(player) {
                self.core.send_home(home, HomeMessage::Locate { entity: player, not: None });
            }
        }
    }

    pub(crate) fn on_granted(&mut self, player: EntityId, term: Term) {
        if !self.sessions.locating.contains_key(&player) && !self.hosts.reals.contains_key(&player) {
            if let Some(home) = self.home_of(player) {
                self.core.send_home(home, HomeMessage::Released { entity: player, term });
            }
            return;
        }
        self.take_roaming(player, term);
        self.on_located(player, self.core.me(), term);
    }

    pub(crate) fn on_located(&mut self, player: EntityId, holder: NodeId, term: Term) {
        let me = self.core.me();
        for conn in self.sessions.locating.remove(&player).unwrap_or_default() {
            let Some(session) = self.sessions.by_conn.get_mut(&conn) else { continue };
            // Its player has been found meanwhile: the answer is to a question asked once too often.
            if matches!(session.phase, Phase::Playing | Phase::Greeting) {
                continue;
            }
            (session.holder, session.term) = (holder, term);
            if session.phase == Phase::Moving {
                self.ask_to_resume(conn);
                continue;
            }
            session.phase = Phase::Opening;
            let message = ToPlayer::Open { key: session.key, name: session.name.clone() };
            self.core.send(holder, to_player(player, Line { edge: me, conn }, message));
        }
    }

    /// Nodes are gone, and with them players of sessions here: their homes are asked who takes them.
    pub(crate) fn lose_holders(&mut self, gone: &[NodeId]) {
        let now = self.core.now.time;
        let Sessions { by_conn, locating, .. } = &mut self.sessions;
        let mut doubted = Vec::new();
        for (conn, session) in by_conn.iter_mut().filter(|(_, s)| gone.contains(&s.holder)) {
            if session.phase == Phase::Playing {
                session.since = now;
            }
            session.phase = match session.phase {
                Phase::Opening => Phase::Locating,
                Phase::Playing | Phase::Moving => Phase::Moving,
                Phase::Greeting | Phase::Locating => continue,
            };
            locating.entry(session.player).or_default().insert(*conn);
            let mut suspects = Vec::new();
            for (seq, command) in session.unanswered.iter_mut().filter(|(_, c)| c.passed) {
                command.losses = command.losses.saturating_add(1);
                command.passed = false;
                suspects.push(*seq);
            }
            doubted.push((*conn, suspects));
        }
        // At once: this very node may be the next that one of them takes down.
        doubted.into_iter().for_each(|(conn, suspects)| self.tell_suspects(conn, suspects));
    }

    /// The player is on another node now.
    fn on_moved(&mut self, conn: ConnId, holder: NodeId, term: Term) {
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        if !matches!(session.phase, Phase::Playing | Phase::Moving) || term <= session.term {
            return;
        }
        session.phase = Phase::Moving;
        session.unanswered.values_mut().for_each(|c| c.passed = false);
        (session.holder, session.term) = (holder, term);
        self.ask_to_resume(conn);
    }

    /// Asks the node that has the player to go on in this line.
    fn ask_to_resume(&mut self, conn: ConnId) {
        let (me, now) = (self.core.me(), self.core.now.time);
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.since = now;
        session.said.0 = session.body;
        let message = ToPlayer::Resume { adoption: session.adoption, body: session.body };
        self.core.send(session.holder, to_player(session.player, Line { edge: me, conn }, message));
    }

    /// The player is not where it should be: its home is asked, at most once at a time.
    fn look_for_player(&mut self, conn: ConnId) {
        let now = self.core.now.time;
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.phase = match session.phase {
            Phase::Playing | Phase::Moving => Phase::Moving,
            _ => Phase::Locating,
        };
        let (player, not) = (session.player, (session.holder, session.term));
        if session.phase == Phase::Moving {
            session.unanswered.values_mut().for_each(|c| c.passed = false);
            session.since = now;
        }
        if !self.sessions.locating.get(&player).is_some_and(|waiting| waiting.contains(&conn)) {
            self.locate(player, conn, Some(not));
        }
    }

    /// Nothing has been heard of the player for long: the answer of its home, or of its node, was lost.
    fn ask_home_again(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.by_conn.get(&conn) else { return };
        let player = session.player;
        if let Some(waiting) = self.sessions.locating.get_mut(&player) {
            waiting.remove(&conn);
        }
        self.look_for_player(conn);
    }

    /// The player is real again: what is unanswered is said again.
    fn on_resumed(&mut self, conn: ConnId, from: NodeId, resumed: Resumed) {
        let Some(session) = self.sessions.by_conn.get_mut(&conn).filter(|s| s.phase == Phase::Moving) else {
            return;
        };
        session.phase = Phase::Playing;
        let (player, line) = (session.player, Line { edge: self.core.me(), conn });
        let (said, move_seq) = session.said;
        let moved = said.at != resumed.body.at;
        // Its client has walked on since the question.
        let walked = (!moved && session.body != said).then_some(session.body);
        if moved {
            session.body = resumed.body;
        }
        if self.core.planted(Planted::UnansweredLost) {
            session.unanswered.values_mut().for_each(|c| c.passed = true);
        }
        self.pass_on(conn);
        if let Some(body) = walked {
            self.core.send(from, to_player(player, line, ToPlayer::Move { seq: move_seq, body }));
        }
        self.handle_edge(from, conn, player, ToEdge::Own(resumed.own));
        self.handle_edge(from, conn, player, ToEdge::Center(resumed.center));
        if moved {
            let code = "moved".to_owned();
            self.handle_edge(from, conn, player, ToEdge::Correction { seq: 0, body: resumed.body, code });
        }
    }

    fn refuse_hello(&mut self, conn: ConnId, refusal: Refusal) {
        if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
            session.phase = Phase::Greeting;
        }
        let reply = ServerMessage { refused: Some(wire_refusal(refusal)), ..Default::default() };
        self.core.send_client(conn, &reply, SendClass::Kept);
    }

    fn close(&mut self, conn: ConnId, code: &str, text: &str, retry_ms: u32) {
        let closing = Closing { code: code.into(), text: text.into(), retry_ms };
        let message = ServerMessage { closing: Some(closing), ..Default::default() };
        self.core.send_client(conn, &message, SendClass::Kept);
        self.end_session(conn, false);
        self.sessions.closed.insert(conn);
        self.core.outputs.push_back(Output::Close { conn });
    }

    /// The client is to play on by another edge: nothing else changes for it.
    fn send_away(&mut self, conn: ConnId) {
        let retry_ms = self.core.spread(RETRY_MOVING_MS);
        let text = "This server is being renewed. You are taken to another one.";
        self.close(conn, "moving", text, retry_ms);
    }

    /// Sends `count` clients to other edges.
    pub(crate) fn send_clients_away(&mut self, count: usize) {
        let conns: Vec<_> = self.sessions.by_conn.keys().copied().take(count).collect();
        conns.into_iter().for_each(|conn| self.send_away(conn));
    }

    /// Closes a connection for something that passes: the client comes back by itself.
    fn close_for_now(&mut self, conn: ConnId, code: &str, text: &str) {
        let retry_ms = self.core.spread(RETRY_MS);
        self.close(conn, code, text, retry_ms);
    }

    fn end_session(&mut self, conn: ConnId, leave: bool) {
        let Some(session) = self.sessions.by_conn.remove(&conn) else { return };
        let (player, me) = (session.player, self.core.me());
        if let Some(waiting) = self.sessions.locating.get_mut(&player) {
            waiting.remove(&conn);
            if waiting.is_empty() {
                self.sessions.locating.remove(&player);
            }
        }
        if matches!(session.phase, Phase::Opening | Phase::Playing | Phase::Moving) {
            let gone = to_player(player, Line { edge: me, conn }, ToPlayer::Gone { leave });
            self.core.send(session.holder, gone);
        }
        self.leave_chunks(conn);
    }
    fn pass_command(&mut self, conn: ConnId, command: Command) {
        let limits = self.core.settings.world.limits;
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        // Said again on the same connection: one answer is under way, and there must not be another before it.
        if session.unanswered.contains_key(&command.seq) {
            return;
        }
        if command.payload.len() > limits.command_bytes_max {
            let text = format!("A command may have {} bytes at most.", limits.command_bytes_max);
            return self.reply(conn, command.seq, Err(Refusal::new("too_large", text)));
        }
        let full = session.unanswered.len() >= limits.commands_unanswered_max;
        if full && !self.core.planted(Planted::UnboundedCommands) {
            let text = "Too many commands are waiting for an answer. One moment.";
            return self.reply(conn, command.seq, Err(Refusal::new("too_many_commands", text)));
        }
        let losses = u8::try_from(command.lost).unwrap_or(u8::MAX);
        let unanswered = Unanswered { payload: command.payload, losses, passed: false };
        session.unanswered.insert(command.seq, unanswered);
        self.pass_on(conn);
    }

    /// Passes on the commands that may be, in order. One that was with a node when that was lost may be what took it down: it
    /// goes alone, so that if it happens again, it is known which it was; and then it goes as a question.
    pub(crate) fn pass_on(&mut self, conn: ConnId) {
        let me = self.core.me();
        let asks = !self.core.planted(Planted::PoisonDecidedAgain);
        let Some(session) = self.sessions.by_conn.get_mut(&conn).filter(|s| s.phase == Phase::Playing) else {
            return;
        };
        let mut alone = !session.unanswered.values().any(|c| c.passed);
        for (seq, command) in &mut session.unanswered {
            let suspect = command.losses > 0;
            if !command.passed {
                if suspect && !alone {
                    return;
                }
                (command.passed, alone) = (true, false);
                let (payload, question) = (command.payload.clone(), asks && command.losses >= LOSSES_MAX);
                let message = ToPlayer::Command { seq: *seq, payload, question };
                let line = Line { edge: me, conn };
                self.core.send(session.holder, to_player(session.player, line, message));
            }
            if suspect {
                return;
            }
        }
    }

    /// A node was lost over these commands, and the next one may be this one: the client is to remember it.
    fn tell_suspects(&mut self, conn: ConnId, suspects: Vec<u64>) {
        if !suspects.is_empty() {
            let notice = Notice { code: "taken_over".to_owned(), text: String::new(), suspects };
            let message = ServerMessage { notice: Some(notice), ..Default::default() };
            self.core.send_client(conn, &message, SendClass::Kept);
        }
    }

    fn pass_move(&mut self, conn: ConnId, wish: Move) {
        let me = self.core.me();
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        let body = Body {
            island: session.center.map_or(0, |c| c.island),
            at: Point::new(wish.x, wish.y),
            heading: (wish.heading & 127) as u8,
            speed: wish.speed.min(127) as u8,
        };
        session.body = body;
        session.said.1 = wish.seq;
        if session.phase == Phase::Moving {
            return;
        }
        let message = ToPlayer::Move { seq: wish.seq, body };
        self.core.send(session.holder, to_player(session.player, Line { edge: me, conn }, message));
    }

    fn reply(&mut self, conn: ConnId, seq: u64, result: Result<Bytes, Refusal>) {
        let (payload, refusal) = match result {
            Ok(payload) => (payload, None),
            Err(refusal) => (Bytes::new(), Some(wire_refusal(refusal))),
        };
        let replies = vec![Reply { seq, payload, refusal }];
        let message = ServerMessage { replies, ..Default::default() };
        self.core.send_client(conn, &message, SendClass::Reply);
    }

    // ---- the player's real -----------------------------------------------------------------------------

    pub(crate) fn handle_edge(&mut self, from: NodeId, conn: ConnId, player: EntityId, message: ToEdge) {
        let me = self.core.me();
        let Some(session) = self.sessions.by_conn.get_mut(&conn).filter(|s| s.player == player) else {
            // The client went while its session was being adopted, or while its player changed its node.
            if matches!(message, ToEdge::Opened(_) | ToEdge::Resumed(_) | ToEdge::MovedTo { .. }) {
                let from = if let ToEdge::MovedTo { holder, .. } = message { holder } else { from };
                let gone = to_player(player, Line { edge: me, conn }, ToPlayer::Gone { leave: false });
                self.core.send(from, gone);
            }
            return;
        };
        match message {
            ToEdge::MovedTo { holder, term } => self.on_moved(conn, holder, term),
            // What a node says that has the player no more: another says it by now, or will.
            other if from != session.holder && !matches!(other, ToEdge::Superseded) => {}
            // What moves before the welcome, the welcome tells; the client forgets what it was told before.
            ToEdge::Own(_) | ToEdge::Center(_) | ToEdge::Correction { .. }
                if session.phase != Phase::Playing => {}
            // Its client has been welcomed, and would forget all it sees.
            ToEdge::Opened(opened) if matches!(session.phase, Phase::Playing | Phase::Moving) => {
                session.adoption = session.adoption.max(opened.adoption);
            }
            ToEdge::Opened(opened) => self.welcome(conn, from, *opened),
            ToEdge::Resumed(resumed) => self.on_resumed(conn, from, *resumed),
            // It is asked again in a moment.
            ToEdge::OpenRefused(refusal) if session.phase == Phase::Moving && refusal.code == "busy" => {}
            ToEdge::OpenRefused(refusal) if session.phase == Phase::Moving => {
                if refusal.code == "suspended" {
                    return self.close(conn, &refusal.code, &refusal.text, 0);
                }
                self.close_for_now(conn, &refusal.code, &refusal.text);
            }
            // What passes by itself is no question to the player: the client comes back in a moment.
            ToEdge::OpenRefused(refusal)
                if matches!(
                    &*refusal.code,
                    "storage" | "storage_busy" | "storage_full" | "busy" | "not_ready"
                ) =>
            {
                self.close_for_now(conn, &refusal.code, &refusal.text);
            }
            ToEdge::OpenRefused(refusal) => self.refuse_hello(conn, refusal),
            ToEdge::NotHere => self.look_for_player(conn),
            ToEdge::Reply { seq, result } => {
                // Said to two nodes, it is answered by both: alike, and once is enough.
                if session.unanswered.remove(&seq).is_none() {
                    return;
                }
                // What waits for this answer may take the node down: first the answer must be out of the door.
                if session.unanswered.values().any(|c| !c.passed) {
                    self.core.after_ms(PASS_ON_MS, Timer::PassOn(conn));
                }
                self.reply(conn, seq, result);
            }
            ToEdge::Own(payload) => {
                let own = ServerMessage { own: Some(Own { payload }), ..Default::default() };
                self.core.send_client(conn, &own, SendClass::Kept);
            }
            ToEdge::Center(center) => self.look_from(conn, center),
            ToEdge::Correction { seq, body, code } => {
                session.body = body;
                let correction = Correction { seq, x: body.at.x, y: body.at.y, code };
                let message = ServerMessage { correction: Some(correction), ..Default::default() };
                self.core.send_client(conn, &message, SendClass::Kept);
            }
            ToEdge::Superseded => {
                let text = "You have come in from somewhere else. This connection is closed.";
                self.close(conn, "superseded", text, 0);
            }
            ToEdge::Doubted { seq } => {
                if let Some(command) = session.unanswered.get_mut(&seq) {
                    command.losses = command.losses.saturating_add(1);
                    self.tell_suspects(conn, vec![seq]);
                }
            }
            ToEdge::Notice(Refusal { code, text }) => {
                let notice =
                    Notice { code: code.into_owned(), text: text.into_owned(), suspects: Vec::new() };
                let message = ServerMessage { notice: Some(notice), ..Default::default() };
                self.core.send_client(conn, &message, SendClass::Kept);
            }
            ToEdge::Ended(Refusal { code, text }) => self.close(conn, &code, &text, 0),
        }
    }

    fn welcome(&mut self, conn: ConnId, from: NodeId, opened: Opened) {
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.phase = Phase::Playing;
        session.holder = from;
        (session.adoption, session.body) = (opened.adoption, opened.body);
        let player = session.player;
        let mut token = player.id.to_be_bytes().to_vec();
        token.extend(opened.token);
        let edges = self.edges();
        let welcome = Welcome {
            player: Some(player.into()),
            token: token.into(),
            next_seq: opened.next_seq,
            tick_ms: self.core.world().tick_ms,
            world_ms: self.core.now.world.0,
            node: u32::from(self.core.me().0),
            edges: Some(edges),
            world: self.core.settings.rules.welcome_bytes(),
            island: u32::from(opened.body.island),
            x: opened.body.at.x,
            y: opened.body.at.y,
            heading: u32::from(opened.body.heading),
            own: opened.own,
            chunk_mm: gundo_types::CHUNK_MM as u32,
            motion_unit_mm: gundo_types::MOTION_UNIT_MM as u32,
            adoption: opened.adoption as u32,
        };
        let message = ServerMessage { welcome: Some(welcome), ..Default::default() };
        self.core.send_client(conn, &message, SendClass::Kept);
        self.look_from(conn, opened.center);
    }

    /// Where clients may come: not to members that are being emptied, unless all are.
    fn edges(&self) -> Edges {
        let members = &self.core.view.members;
        let stays = members.iter().any(|m| !m.draining);
        let edge = |m: &crate::io::Member| Edge {
            node: u32::from(m.node.0),
            host: m.host.clone(),
            port: u32::from(m.port),
        };
        Edges { edges: members.iter().filter(|m| !(stays && m.draining)).map(edge).collect() }
    }

    /// A new view: clients learn where else they may come.
    pub(crate) fn tell_edges(&mut self) {
        let message = ServerMessage { edges: Some(self.edges()), ..Default::default() };
        let welcomed = |s: &Session| matches!(s.phase, Phase::Playing | Phase::Moving);
        let conns = self.sessions.by_conn.iter().filter(|(_, s)| welcomed(s)).map(|(conn, _)| *conn);
        for conn in conns.collect::<Vec<_>>() {
            self.core.send_client(conn, &message, SendClass::Kept);
        }
    }

    // ---- housekeeping ----------------------------------------------------------------------------------

    /// Once per second: Hellos that take too long, players that are still looked for, and what watching clients are told.
    pub(crate) fn rest_sessions(&mut self) {
        let now = self.core.now.time;
        let waits = |s: &Session| matches!(s.phase, Phase::Locating | Phase::Opening);
        let late = |s: &Session| waits(s) && now.since(s.since) > OPENING_MS * 1_000;
        let slow: Vec<_> = self.sessions.by_conn.iter().filter(|(_, s)| late(s)).map(|(c, _)| *c).collect();
        for conn in slow {
            let text = "The world is not ready to let you in. Try again in a moment.";
            self.close_for_now(conn, "not_ready", text);
        }
        let lost = |s: &Session| s.phase == Phase::Moving && now.since(s.since) >= MOVING_MS * 1_000;
        let lost: Vec<_> = self.sessions.by_conn.iter().filter(|(_, s)| lost(s)).map(|(c, _)| *c).collect();
        for conn in lost {
            self.ask_home_again(conn);
        }
        let watching: Vec<_> =
            self.sessions.by_conn.iter().filter(|(_, s)| s.watches).map(|(c, s)| (*c, s.center)).collect();
        let size = self.interest.size();
        for (conn, center) in watching {
            let message = ServerMessage { stats: Some(self.stats(center, size)), ..Default::default() };
            self.core.send_client(conn, &message, SendClass::Frames);
        }
    }

    fn stats(&self, center: Option<ChunkId>, (chunks, ghosts): (usize, usize)) -> Stats {
        let reach = self.core.world().sight_chunks.into_iter().max().unwrap_or(0);
        let home = |chunk: ChunkId| {
            let node = self.home_of_chunk(chunk)?;
            Some(Home { chunk: Some(chunk.into()), node: u32::from(node.0) })
        };
        Stats {
            node: u32::from(self.core.me().0),
            tick_us: self.sessions.gauges.tick_us,
            inbox: self.sessions.gauges.inbox,
            reals: self.hosts.reals.len() as u32,
            ghosts: ghosts as u32,
            sessions: self.sessions.by_conn.len() as u32,
            chunks: chunks as u32,
            overload: u32::from(self.overload.level()),
            homes: center.into_iter().flat_map(|c| c.around(reach)).filter_map(home).collect(),
        }
    }

    /// The node stops: every client is told, and when to come back.
    pub(crate) fn close_all(&mut self) {
        let conns: Vec<_> = self.sessions.by_conn.keys().copied().collect();
        for conn in conns {
            self.close_for_now(conn, "stopping", "The server restarts. You will be back in a moment.");
        }
    }
}

/// Whose player a Hello means, and what it proves that with.
fn key_of(hello: &Hello) -> Result<(u64, Key), Refusal> {
    if hello.token.is_empty() {
        let nonce = <[u8; 16]>::try_from(hello.nonce.as_ref()).map_err(|_| {
            let text = "A new player says hello with a nonce of 16 random bytes. Please update your client.";
            Refusal::new("bad_nonce", text)
        })?;
        // 63 random bits: no node has to ask another whether the id is free. And the same bits wherever the hello is
        // said again.
        let digest: [u8; 32] = Sha256::digest(nonce).into();
        let id = digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head)) & (u64::MAX >> 1);
        return Ok((id, Key::Nonce(nonce)));
    }
    let key = hello.token.split_first_chunk().and_then(|(id, secret)| {
        Some((u64::from_be_bytes(*id), Key::Token(<[u8; 16]>::try_from(secret).ok()?)))
    });
    key.ok_or_else(|| Refusal::new("bad_token", "This key to your player is damaged."))
}

fn wire_refusal(refusal: Refusal) -> gundo_wire::client::Refusal {
    gundo_wire::client::Refusal { code: refusal.code.into_owned(), text: refusal.text.into_owned() }
}
