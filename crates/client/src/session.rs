//! The client's side of a session, without I/O.
//!
//! One contract: give it one input (`handle_*`, or a wish such as [`Session::command`]), drain [`Session::poll_output`],
//! ask [`Session::poll_timeout`] when to call [`Session::handle_timeout`], wait. The session decides what to send to the
//! edge, which answer belongs to which command, and when and where to reconnect. It ignores frames: give those to a
//! [`Picture`](crate::Picture).
//!
//! This file has the methods for the user. `io` has the values that go in and come out. `connection` connects, notices
//! silence and reconnects; `incoming` handles messages from the edge; `commands` keeps every command until it is answered.

mod commands;
mod connection;
mod incoming;
mod io;
mod line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use gundo_types::{Body, EntityId, Time};
use gundo_wire::client::{Bye, ClientMessage, Closing, Move, Names, StatsWanted};

use crate::address::Address;
use crate::ring::EdgeRing;
use commands::Commands;
use connection::State;
pub use io::{Answer, CommandId, Event, Full, Output, SessionSettings};
use line::Line;

/// The client's side of a session. See the module.
pub struct Session {
    settings: SessionSettings,
    state: State,
    ring: EdgeRing,
    player: Option<EntityId>,
    /// The world behind the edges, as the last Welcome or refusal said.
    world_id: Bytes,
    /// What the name of a new player must be, as the last refusal said.
    names: Option<Names>,
    /// The newest token of each world it has been in.
    keys: BTreeMap<Bytes, Bytes>,
    commands: Commands,
    move_seq: u32,
    /// Corrections on this connection.
    corrections: u32,
    /// The life of the edge that welcomed last; 0: it has not said.
    life: u64,
    /// Where its player was seen last, sealed by the server.
    place: Bytes,
    wants_stats: bool,
    /// Entities it watches, or has asked for: asked for again after every welcome.
    watched: BTreeSet<EntityId>,
    closing: Option<Closing>,
    last_heard: Time,
    next_ping: Time,
    line: Line,
    /// When the connection began to open.
    dialled: Time,
    /// When a ping asked whether the edge is still alive; `None` if something arrived since.
    asked: Option<Time>,
    /// When the newest Welcome arrived.
    welcomed: Time,
    /// World time minus node time, ms, by the newest Welcome or Pong.
    world_offset_ms: i64,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that has not started. It needs at least one edge, and a token, a nonce or a recovery code.
    ///
    /// # Panics
    /// If `settings.edges` is empty, or there is neither a token nor a nonce nor a code.
    pub fn new(mut settings: SessionSettings) -> Self {
        assert!(!settings.edges.is_empty(), "a session needs at least one edge to try");
        let has_key = !settings.token.is_empty() || settings.nonce.is_some() || !settings.recovery.is_empty();
        assert!(has_key, "a new player needs a nonce: SessionSettings::nonce");
        let is_key = !settings.token.is_empty() && !settings.world_id.is_empty();
        let keys = is_key.then(|| (settings.world_id.clone(), settings.token.clone()));
        let place = std::mem::take(&mut settings.place);
        Self {
            state: State::New,
            ring: EdgeRing::new(
                std::mem::take(&mut settings.edges),
                settings.backoff_ms_min,
                settings.backoff_ms_max,
                settings.seed,
            ),
            commands: Commands::new(settings.commands_unanswered_max, settings.commands_waiting_max),
            settings,
            player: None,
            world_id: Bytes::new(),
            names: None,
            keys: keys.into_iter().collect(),
            move_seq: 0,
            corrections: 0,
            life: 0,
            place,
            wants_stats: false,
            watched: BTreeSet::new(),
            closing: None,
            last_heard: Time(0),
            next_ping: Time(0),
            line: Line::default(),
            dialled: Time(0),
            asked: None,
            welcomed: Time(0),
            world_offset_ms: 0,
            outputs: VecDeque::new(),
        }
    }

    // ---- the state ----

    /// Whether the player is in the world and connected.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether the session is over.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The own player, once welcomed.
    pub fn player(&self) -> Option<EntityId> {
        self.player
    }

    /// Which world answered last, 16 bytes; empty before the first answer. Keep tokens by it.
    pub fn world_id(&self) -> &Bytes {
        &self.world_id
    }

    /// The newest resume token; empty before the first Welcome.
    pub fn token(&self) -> &Bytes {
        &self.settings.token
    }

    /// The rules of names, once the server has refused a hello and said them. A client that has no name yet may say hello without
    /// name and nonce to hear them: see docs/protocol.md.
    pub fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// The nonce of a new player whose name was refused: the next name may go with it. `None`: draw another.
    pub fn nonce(&self) -> Option<[u8; 16]> {
        self.settings.nonce.filter(|_| self.settings.token.is_empty())
    }

    /// Where the player was seen last, sealed by the server; empty: it has told nothing. Keep the newest with the token
    /// ([`SessionSettings::place`]): after a crash of all nodes with the player it counts.
    pub fn place(&self) -> &Bytes {
        &self.place
    }

    /// The edges it knows.
    pub fn edges(&self) -> &[Address] {
        self.ring.all()
    }

    /// The edge in use, or the one it tries next.
    pub fn edge(&self) -> &Address {
        self.ring.current()
    }

    /// Entities that are watched, or were asked for, in id order.
    pub fn watched(&self) -> impl Iterator<Item = EntityId> {
        self.watched.iter().copied()
    }

    /// Unanswered commands, including those that wait to be sent.
    pub fn commands_open(&self) -> usize {
        self.commands.open()
    }

    /// Replies that came for a command already answered; the session dropped them.
    pub fn repeats(&self) -> u64 {
        self.commands.repeats()
    }

    /// World time now, ms, estimated from the newest Welcome or Pong; 0 before the first Welcome.
    pub fn world_ms(&self, now: Time) -> u64 {
        ((now.0 / 1_000) as i64).saturating_add(self.world_offset_ms).max(0) as u64
    }

    /// The next thing to do; call until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::New | State::Ended => None,
            State::Connecting { give_up } => Some(give_up),
            State::Greeting { give_up } => Some(give_up.min(self.doubt_due())),
            State::Refused { retry } => retry,
            State::Waiting { until } => Some(until),
            State::Live => Some(self.next_ping.min(self.doubt_due())),
        }
    }

    // ---- wishes ----

    /// Starts connecting.
    pub fn start(&mut self, now: Time) {
        if self.state == State::New {
            self.connect(now);
        }
    }

    /// Queues a command. The session sends it as soon as possible, and again after every resume, until it is answered.
    ///
    /// # Errors
    /// [`Full`]: `commands_waiting_max` commands wait already, or the session is over.
    pub fn command(&mut self, now: Time, payload: Bytes) -> Result<CommandId, Full> {
        if self.is_ended() {
            return Err(Full);
        }
        let id = self.commands.push(now, payload)?;
        self.send_waiting();
        Ok(id)
    }

    /// Asks for the body to be at `body` now. Returns the move's seq, or `None` if there is no connection: the session does
    /// not keep moves, because the position is stale by the time it resumes.
    pub fn walk(&mut self, body: Body) -> Option<u32> {
        if !self.is_live() {
            return None;
        }
        self.move_seq = self.move_seq.wrapping_add(1);
        let wish = Move {
            seq: self.move_seq,
            x: body.at.x,
            y: body.at.y,
            heading: u32::from(body.heading),
            speed: u32::from(body.speed),
            corrections: Some(self.corrections),
        };
        self.send(ClientMessage { r#move: Some(wish), ..Default::default() });
        Some(self.move_seq)
    }

    /// Watches an entity by its id, wherever it is: [`Event::Watched`] tells how it looks now, and after each change. It stays so
    /// across resumes, until the event brings a refusal or [`unwatch`](Self::unwatch) is called. A server lets a session watch 16
    /// at a time.
    pub fn watch(&mut self, entity: EntityId) {
        if self.watched.insert(entity) && self.is_live() {
            self.send(ClientMessage { watch: Some(entity.into()), ..Default::default() });
        }
    }

    /// Watches an entity no more. What is under way may still come.
    pub fn unwatch(&mut self, entity: EntityId) {
        if self.watched.remove(&entity) && self.is_live() {
            self.send(ClientMessage { unwatch: Some(entity.into()), ..Default::default() });
        }
    }

    /// Turns the edge's [`Event::Stats`] on or off; it stays so across resumes.
    pub fn want_stats(&mut self, on: bool) {
        self.wants_stats = on;
        if self.is_live() {
            self.send(ClientMessage { stats_wanted: Some(StatsWanted { on }), ..Default::default() });
        }
    }

    /// After [`Event::Refused`]: says hello as a new player called `name`. If only the name was refused, the nonce should be that of
    /// [`nonce`](Self::nonce); otherwise a new one (see [`SessionSettings::nonce`]). The session answers the commands of a player it
    /// cannot resume with `session_lost`.
    pub fn introduce(&mut self, now: Time, name: impl Into<String>, nonce: [u8; 16]) {
        self.settings.name = name.into();
        (self.settings.token, self.place) = (Bytes::new(), Bytes::new());
        self.settings.world_id = self.world_id.clone();
        self.settings.nonce = Some(nonce);
        self.lose_commands(now);
        self.commands.begin_at_zero();
        if let State::Refused { .. } = self.state {
            self.greet(now);
        }
    }

    /// After [`Event::Refused`]: says hello with a recovery code that a person has written down (`Welcome.recovery`). If it is refused
    /// (`bad_code`), another may be tried.
    pub fn recover(&mut self, now: Time, code: impl Into<String>) {
        self.settings.recovery = code.into();
        (self.settings.token, self.place) = (Bytes::new(), Bytes::new());
        self.lose_commands(now);
        self.commands.begin_at_zero();
        if let State::Refused { .. } = self.state {
            self.greet(now);
        }
    }

    /// After [`Event::Refused`] with `invitation_needed` or `bad_invitation`: says the same hello with an invitation that a person has
    /// been given.
    pub fn show_invitation(&mut self, now: Time, invitation: impl Into<String>) {
        self.settings.invitation = invitation.into();
        if let State::Refused { .. } = self.state {
            self.greet(now);
        }
    }

    /// Goes to `edge` at once, even if it was not on the list, and plays on there. `through_the_door`: the player leaves
    /// the world and comes back in; otherwise it stays. For tests and load generators: normal clients go where the server
    /// sends them.
    pub fn go_to(&mut self, now: Time, edge: &Address, through_the_door: bool) {
        self.note_held(now);
        match self.state {
            State::New | State::Ended | State::Refused { .. } => return,
            State::Live if through_the_door => {
                self.send(ClientMessage { bye: Some(Bye {}), ..Default::default() });
                self.outputs.push_back(Output::Disconnect);
            }
            State::Live | State::Connecting { .. } | State::Greeting { .. } => {
                self.outputs.push_back(Output::Disconnect);
            }
            State::Waiting { .. } => {}
        }
        self.ring.go_to(edge);
        self.connect(now);
    }

    /// Logs out on purpose. The session answers its unanswered commands with `session_lost`.
    pub fn leave(&mut self, now: Time) {
        match self.state {
            State::Ended => return,
            State::Live => {
                self.send(ClientMessage { bye: Some(Bye {}), ..Default::default() });
                self.outputs.push_back(Output::Disconnect);
            }
            State::Connecting { .. } | State::Greeting { .. } | State::Refused { .. } => {
                self.outputs.push_back(Output::Disconnect);
            }
            State::New | State::Waiting { .. } => {}
        }
        self.end(now, None);
    }

    // ---- shared by all parts ----

    fn end(&mut self, now: Time, closing: Option<Closing>) {
        self.state = State::Ended;
        self.lose_commands(now);
        self.event(Event::Ended(closing));
    }

    fn lose_commands(&mut self, now: Time) {
        self.outputs.extend(self.commands.lose_all(now).map(|answer| Output::Event(Event::Answered(answer))));
    }

    fn send_waiting(&mut self) {
        if self.is_live() {
            self.commands.send_waiting(&mut self.outputs);
        }
    }

    fn send(&mut self, message: ClientMessage) {
        self.outputs.push_back(Output::Send(message));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
