//! The client's side of a session, without I/O.
//!
//! One contract: give it one input (`handle_*`, or a wish such as [`Session::command`]), drain
//! [`Session::poll_output`], ask [`Session::poll_timeout`] when to call [`Session::handle_timeout`], wait. It decides
//! what is said to the edge, which answer belongs to which command, and when and where to connect again. It does not
//! look at frames: give those to a [`Picture`](crate::Picture).

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, EntityId, Kind, Time};
use gundo_wire::Message;
use gundo_wire::client::{
    Bye, ClientMessage, Closing, Command, Correction, Edges, Hello, Move, Notice, PROTOCOL, Ping, Refusal,
    Reply, ServerMessage, Stats, Watch, Welcome,
};

use crate::address::Address;
use crate::ring::EdgeRing;

/// A connection that is lost sooner after its welcome has not held: an edge that lets everybody in and drops them again would
/// otherwise be tried without end.
const HELD_MS: u64 = 1_000;

/// What a session needs to know before it starts.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Edges to try, in this order; later the list the edge sends. At least one.
    pub edges: Vec<Address>,
    /// Name of a new player; not used while there is a token.
    pub name: String,
    /// Resume token kept from an earlier run; empty: a new player.
    pub token: Bytes,
    /// What makes a new player the same however often its first Hello is said: whoever knows it has the player, so it must
    /// be drawn from the operating system's chance ([`draw_nonce`](crate::draw_nonce)), once for each new player.
    /// Only tests and simulations take it from elsewhere. Default: none; needed without a token.
    pub nonce: Option<[u8; 16]>,
    /// What operators see: program and version, at most 64 bytes.
    pub client: String,
    /// Seed of the chance in waits.
    pub seed: u64,
    /// How long an edge that is there may take to answer Hello, ms (default 10,000). Then another is tried.
    pub hello_wait_ms: u64,
    /// A ping goes out this often, ms (default 5,000).
    pub ping_every_ms: u64,
    /// A connection on which nothing came for this long is given up, ms (default 2,000): half of it into a silence a ping asks
    /// whether the edge is still there. Also how long opening a connection may take, doubled with each round over all
    /// edges, up to `hello_wait_ms`.
    pub silence_ms: u64,
    /// Wait after the first round over all edges that failed, at most, ms (default 200). It doubles with each. Within a round
    /// the next edge is tried within 50 ms.
    pub backoff_ms_min: u64,
    /// Longest wait between two rounds, ms (default 10,000).
    pub backoff_ms_max: u64,
    /// Commands without an answer that the server accepts (default 32); more wait here.
    pub commands_unanswered_max: usize,
    /// Commands that may wait here (default 1,024); then [`Full`].
    pub commands_waiting_max: usize,
}

impl SessionSettings {
    /// A new player called `name` at `edges`, all else as by default.
    pub fn new(edges: Vec<Address>, name: impl Into<String>) -> Self {
        Self {
            edges,
            name: name.into(),
            token: Bytes::new(),
            nonce: None,
            client: concat!("gundo-client ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: 0,
            hello_wait_ms: 10_000,
            ping_every_ms: 5_000,
            silence_ms: 2_000,
            backoff_ms_min: 200,
            backoff_ms_max: 10_000,
            commands_unanswered_max: 32,
            commands_waiting_max: 1_024,
        }
    }
}

/// A command of this client, whatever its seq on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Too many commands wait for an answer: slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many commands wait for an answer")]
pub struct Full;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which command.
    pub id: CommandId,
    /// Success with the game's reply, or a refusal without effect. The code `session_lost` is this client's own: the session
    /// ended before an answer came, and whether the command took effect is not known.
    pub result: Result<Bytes, Refusal>,
    /// From the wish to the answer, µs.
    pub waited_us: u64,
    /// How often it was sent.
    pub sends: u32,
}

/// What a session tells its user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// In the world, anew or again. Keep the token. A [`Picture`](crate::Picture) begins anew by itself.
    Welcomed(Box<Welcome>),
    /// A command was answered.
    Answered(Answer),
    /// The player's private state.
    Own(Bytes),
    /// The body is elsewhere than the last moves asked.
    Corrected(Correction),
    /// Something the person should know, before it has consequences.
    Notice(Notice),
    /// The round trip of a ping, µs.
    RoundTrip(u64),
    /// What the edge measures, once per second while watched.
    Stats(Stats),
    /// The hello was refused. Call [`Session::introduce`] with another name, or leave.
    Refused(Refusal),
    /// The connection is gone; the next attempt comes in this many ms.
    Lost {
        /// Wait before the next attempt, ms.
        again_in_ms: u64,
        /// What the edge said before it closed, if it said anything.
        closing: Option<Closing>,
    },
    /// The session is over and does not connect again by itself.
    Ended(Option<Closing>),
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a connection; answer with [`Session::handle_open`] or [`Session::handle_gone`].
    Connect(Address),
    /// Send this on the open connection.
    Send(ClientMessage),
    /// Close the connection (or give up opening it). [`Session::handle_gone`] is not expected any more.
    Disconnect,
    /// News for the user.
    Event(Event),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not yet started.
    New,
    /// A connection is being opened.
    Connecting { give_up: Time },
    /// Hello is sent.
    Greeting { give_up: Time },
    /// The hello was refused: the user or, for `not_ready`, the timer says what next.
    Refused { retry: Option<Time> },
    /// In the world.
    Live,
    /// No connection; the next attempt is due then.
    Waiting { until: Time },
    /// Over.
    Ended,
}

struct Pending {
    id: CommandId,
    seq: u64,
    payload: Bytes,
    asked: Time,
    sends: u32,
    /// Connections that were lost while an edge may have had it decided.
    lost: u32,
}

/// A session: what its module says, as one value.
pub struct Session {
    settings: SessionSettings,
    state: State,
    ring: EdgeRing,
    player: Option<EntityId>,
    next_id: u64,
    next_seq: u64,
    move_seq: u32,
    /// Sent (or to be sent again after a resume), by ascending seq.
    unanswered: VecDeque<Pending>,
    /// Not yet given a seq.
    waiting: VecDeque<(CommandId, Bytes, Time)>,
    watch: bool,
    closing: Option<Closing>,
    last_heard: Time,
    next_ping: Time,
    /// When a ping asked whether the edge is still there, if nothing came since.
    asked: Option<Time>,
    /// When the newest welcome came.
    welcomed: Time,
    /// World time minus node time, ms, by the newest Welcome or Pong.
    world_offset_ms: i64,
    /// Answers to a seq that had been answered before, dropped.
    repeats: u64,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that has not been started. `settings.edges` must not be empty, and there must be a token or a nonce.
    ///
    /// # Panics
    /// If `settings.edges` is empty, or there is neither a token nor a nonce.
    pub fn new(mut settings: SessionSettings) -> Self {
        assert!(!settings.edges.is_empty(), "a session needs at least one edge to try");
        let has_key = !settings.token.is_empty() || settings.nonce.is_some();
        assert!(has_key, "a new player needs a nonce: SessionSettings::nonce");
        Self {
            state: State::New,
            ring: EdgeRing::new(
                std::mem::take(&mut settings.edges),
                settings.backoff_ms_min,
                settings.backoff_ms_max,
                settings.seed,
            ),
            settings,
            player: None,
            next_id: 1,
            next_seq: 0,
            move_seq: 0,
            unanswered: VecDeque::new(),
            waiting: VecDeque::new(),
            watch: false,
            closing: None,
            last_heard: Time(0),
            next_ping: Time(0),
            asked: None,
            welcomed: Time(0),
            world_offset_ms: 0,
            repeats: 0,
            outputs: VecDeque::new(),
        }
    }

    // ---- what is known ----

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

    /// The newest resume token; empty before the first Welcome.
    pub fn token(&self) -> &Bytes {
        &self.settings.token
    }

    /// The edges known.
    pub fn edges(&self) -> &[Address] {
        self.ring.all()
    }

    /// The edge in use, or tried next.
    pub fn edge(&self) -> &Address {
        self.ring.current()
    }

    /// Commands that have no answer yet, waiting ones included.
    pub fn commands_open(&self) -> usize {
        self.unanswered.len() + self.waiting.len()
    }

    /// Answers that came for a seq already answered; they were dropped.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// World time now, ms, as well as it is known; 0 before the first Welcome.
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

    /// Asks for a command. It is sent as soon as may be, and again after a resume, until it is answered.
    ///
    /// # Errors
    /// [`Full`]: `commands_waiting_max` wait already, or the session is over.
    pub fn command(&mut self, now: Time, payload: Bytes) -> Result<CommandId, Full> {
        if self.waiting.len() >= self.settings.commands_waiting_max || self.is_ended() {
            return Err(Full);
        }
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back((id, payload, now));
        if self.is_live() {
            self.send_waiting();
        }
        Ok(id)
    }

    /// Asks for the body to be at `body` now. Returns the move's seq, or `None` if there is no connection: moves are not kept,
    /// because the position is old when the session resumes.
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
        };
        self.send(ClientMessage { r#move: Some(wish), ..Default::default() });
        Some(self.move_seq)
    }

    /// Turns the edge's [`Event::Stats`] on or off; it stays so across resumes.
    pub fn watch(&mut self, stats: bool) {
        self.watch = stats;
        if self.is_live() {
            self.send(ClientMessage { watch: Some(Watch { stats }), ..Default::default() });
        }
    }

    /// After [`Event::Refused`]: says hello as a new player called `name`, with a nonce of its own (see
    /// [`SessionSettings::nonce`]). Commands of a session that cannot be resumed are answered with `session_lost`.
    pub fn introduce(&mut self, now: Time, name: impl Into<String>, nonce: [u8; 16]) {
        self.settings.name = name.into();
        self.settings.token = Bytes::new();
        self.settings.nonce = Some(nonce);
        self.lose_commands(now);
        self.next_seq = 0;
        if let State::Refused { .. } = self.state {
            self.greet(now);
        }
    }

    /// Goes to `edge` at once, known or not, and plays on there. `through_the_door`: the player leaves the world and comes back
    /// in; otherwise it stays. For tests and load generators: clients that play go where the server sends them.
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

    /// Leaves the world on purpose. Commands without an answer are answered with `session_lost`.
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

    // ---- inputs ----

    /// The connection asked for is open.
    pub fn handle_open(&mut self, now: Time) {
        if let State::Connecting { .. } = self.state {
            self.on_heard(now);
            self.greet(now);
        }
    }

    /// The connection could not be opened, or is gone.
    pub fn handle_gone(&mut self, now: Time) {
        match self.state {
            State::Connecting { .. } | State::Greeting { .. } | State::Refused { .. } | State::Live => {
                self.on_lost(now);
            }
            State::New | State::Waiting { .. } | State::Ended => {}
        }
    }

    /// A message of the edge. Its frames are not looked at.
    pub fn handle_message(&mut self, now: Time, message: ServerMessage) {
        if !matches!(self.state, State::Greeting { .. } | State::Refused { .. } | State::Live) {
            return;
        }
        self.on_heard(now);
        if let Some(welcome) = message.welcome {
            self.on_welcome(now, welcome);
        }
        if let Some(edges) = message.edges {
            self.on_edges(edges);
        }
        for reply in message.replies {
            self.on_reply(now, reply);
        }
        if let Some(own) = message.own {
            self.event(Event::Own(own.payload));
        }
        if let Some(correction) = message.correction {
            self.event(Event::Corrected(correction));
        }
        if let Some(notice) = message.notice {
            self.on_notice(notice);
        }
        if let Some(pong) = message.pong {
            self.set_world(now, pong.world_ms);
            self.event(Event::RoundTrip(now.0.saturating_sub(pong.stamp)));
        }
        if let Some(stats) = message.stats {
            self.event(Event::Stats(stats));
        }
        if let Some(refusal) = message.refused {
            self.on_refused(now, refusal);
        }
        if let Some(closing) = message.closing {
            self.on_closing(now, closing);
        }
        self.send_waiting();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.state {
            State::New | State::Ended => {}
            State::Connecting { give_up } | State::Greeting { give_up } if now >= give_up => {
                self.give_up(now)
            }
            State::Refused { retry: Some(at) } if now >= at => self.greet(now),
            State::Waiting { until } if now >= until => self.connect(now),
            State::Greeting { .. } | State::Live if now >= self.doubt_due() => match self.asked {
                Some(_) => self.give_up(now),
                None => {
                    self.asked = Some(now);
                    self.ping(now);
                }
            },
            State::Live if now >= self.next_ping => self.ping(now),
            State::Connecting { .. }
            | State::Greeting { .. }
            | State::Refused { .. }
            | State::Waiting { .. }
            | State::Live => {}
        }
    }

    // ---- reactions ----

    fn connect(&mut self, now: Time) {
        let SessionSettings { silence_ms, hello_wait_ms, .. } = self.settings;
        let wait_ms = silence_ms.saturating_mul(1 << self.ring.rounds()).min(hello_wait_ms);
        self.state = State::Connecting { give_up: now.plus_ms(wait_ms) };
        self.outputs.push_back(Output::Connect(self.ring.current().clone()));
    }

    fn on_heard(&mut self, now: Time) {
        self.last_heard = now;
        self.asked = None;
    }

    /// When a silent edge is asked whether it is still there; if it was asked, when it is given up. Counted from when it was
    /// really asked: a program that slept for a while must not take its own silence for the edge's.
    fn doubt_due(&self) -> Time {
        let silence_ms = self.settings.silence_ms;
        match self.asked {
            None => self.last_heard.plus_ms(silence_ms / 2),
            Some(asked) => asked.plus_ms(silence_ms - silence_ms / 2),
        }
    }

    fn ping(&mut self, now: Time) {
        self.next_ping = now.plus_ms(self.settings.ping_every_ms);
        self.send(ClientMessage { ping: Some(Ping { stamp: now.0 }), ..Default::default() });
    }

    fn give_up(&mut self, now: Time) {
        self.outputs.push_back(Output::Disconnect);
        self.on_lost(now);
    }

    fn greet(&mut self, now: Time) {
        self.state = State::Greeting { give_up: now.plus_ms(self.settings.hello_wait_ms) };
        let nonce = self.settings.nonce.filter(|_| self.settings.token.is_empty());
        let hello = Hello {
            protocol: PROTOCOL,
            name: self.settings.name.clone(),
            token: self.settings.token.clone(),
            client: self.settings.client.clone(),
            nonce: nonce.map(|n| Bytes::copy_from_slice(&n)).unwrap_or_default(),
        };
        self.send(ClientMessage { hello: Some(hello), ..Default::default() });
    }

    fn on_welcome(&mut self, now: Time, welcome: Welcome) {
        self.state = State::Live;
        self.welcomed = now;
        self.closing = None;
        self.next_ping = now.plus_ms(self.settings.ping_every_ms);
        self.player = welcome.player.map(|p| EntityId::new(Kind(p.kind as u16), p.id));
        self.settings.token = welcome.token.clone();
        self.next_seq = self.next_seq.max(welcome.next_seq);
        self.set_world(now, welcome.world_ms);
        if let Some(edges) = welcome.edges.clone() {
            self.on_edges(edges);
        }
        self.event(Event::Welcomed(Box::new(welcome)));
        if self.watch {
            self.watch(true);
        }
        self.send_again();
    }

    fn on_edges(&mut self, edges: Edges) {
        let here = self.ring.current().clone();
        let list = edges
            .edges
            .into_iter()
            .filter_map(|edge| {
                let host = if edge.host.is_empty() { here.host.clone() } else { edge.host };
                let port = u16::try_from(edge.port).ok().filter(|p| *p != 0)?;
                Some(Address { host, port, path: here.path.clone() })
            })
            .collect();
        self.ring.replace(list);
    }

    fn on_notice(&mut self, notice: Notice) {
        for pending in self.unanswered.iter_mut().filter(|p| notice.suspects.contains(&p.seq)) {
            pending.lost = pending.lost.saturating_add(1);
        }
        if !notice.text.is_empty() {
            self.event(Event::Notice(notice));
        }
    }

    fn on_reply(&mut self, now: Time, reply: Reply) {
        let Ok(at) = self.unanswered.binary_search_by_key(&reply.seq, |p| p.seq) else {
            self.repeats += 1;
            return;
        };
        let pending = self.unanswered.remove(at).expect("binary_search gave an index within");
        let result = match reply.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(reply.payload),
        };
        let waited_us = now.since(pending.asked);
        self.event(Event::Answered(Answer { id: pending.id, result, waited_us, sends: pending.sends }));
    }

    fn on_refused(&mut self, now: Time, refusal: Refusal) {
        if self.is_live() {
            return; // Only a hello can be refused, and there is none under way.
        }
        let retry = (refusal.code == "not_ready").then(|| now.plus_ms(self.ring.on_not_ready().max(50)));
        self.state = State::Refused { retry };
        if retry.is_none() {
            self.event(Event::Refused(refusal));
        }
    }

    fn on_closing(&mut self, now: Time, closing: Closing) {
        self.outputs.push_back(Output::Disconnect);
        if closing.retry_ms == 0 {
            self.end(now, Some(closing));
        } else {
            self.closing = Some(closing);
            self.on_lost(now);
        }
    }

    /// The connection ends: if it has held, failures before it count no more.
    fn note_held(&mut self, now: Time) {
        if self.is_live() && now.since(self.welcomed) >= HELD_MS * 1_000 {
            self.ring.on_held();
        }
    }

    fn on_lost(&mut self, now: Time) {
        self.note_held(now);
        let closing = self.closing.take();
        if closing.is_none() && self.is_live() {
            self.count_loss();
        }
        let wait = self.ring.on_lost(closing.as_ref().map(|c| c.retry_ms.into()));
        self.state = State::Waiting { until: now.plus_ms(wait) };
        self.event(Event::Lost { again_in_ms: wait, closing });
    }

    /// The connection went without a word, perhaps with its node, and perhaps by one of these commands. The edge passes them on
    /// in order; one that is suspected already goes alone.
    fn count_loss(&mut self) {
        let first = self.unanswered.iter().position(|p| p.lost > 0).unwrap_or(self.unanswered.len());
        for pending in self.unanswered.iter_mut().take(first.max(1)) {
            pending.lost = pending.lost.saturating_add(1);
        }
    }

    fn end(&mut self, now: Time, closing: Option<Closing>) {
        self.state = State::Ended;
        self.lose_commands(now);
        self.event(Event::Ended(closing));
    }

    fn lose_commands(&mut self, now: Time) {
        let sent = std::mem::take(&mut self.unanswered).into_iter().map(|p| (p.id, p.asked, p.sends));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(id, _, asked)| (id, asked, 0));
        for (id, asked, sends) in sent.chain(waiting) {
            let refusal = Refusal {
                code: "session_lost".to_owned(),
                text: "The session ended before an answer came.".to_owned(),
            };
            let waited_us = now.since(asked);
            let answer = Answer { id, result: Err(refusal), waited_us, sends };
            self.outputs.push_back(Output::Event(Event::Answered(answer)));
        }
    }

    // ---- sending ----

    fn send_again(&mut self) {
        let mut batch = Batch::default();
        for pending in &mut self.unanswered {
            pending.sends += 1;
            batch.push(pending.seq, &pending.payload, pending.lost, &mut self.outputs);
        }
        batch.flush(&mut self.outputs);
    }

    fn send_waiting(&mut self) {
        if !self.is_live() || self.waiting.is_empty() {
            return;
        }
        let mut batch = Batch::default();
        while self.unanswered.len() < self.settings.commands_unanswered_max {
            let Some((id, payload, asked)) = self.waiting.pop_front() else { break };
            let seq = self.next_seq;
            // At the end of all numbers, which no honest edge reaches, they stand still.
            self.next_seq = self.next_seq.saturating_add(1);
            batch.push(seq, &payload, 0, &mut self.outputs);
            self.unanswered.push_back(Pending { id, seq, payload, asked, sends: 1, lost: 0 });
        }
        batch.flush(&mut self.outputs);
    }

    fn send(&mut self, message: ClientMessage) {
        self.outputs.push_back(Output::Send(message));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn set_world(&mut self, now: Time, world_ms: u64) {
        // Whatever the edge claims: far beyond any world's age it only has to stay a number.
        let world_ms = i64::try_from(world_ms).unwrap_or(i64::MAX);
        self.world_offset_ms = world_ms.saturating_sub((now.0 / 1_000) as i64);
    }
}

/// Commands gathered into messages that stay below the server's limit of 16 KiB.
#[derive(Default)]
struct Batch {
    commands: Vec<Command>,
    bytes: usize,
}

impl Batch {
    /// Three quarters of `Limits::client_message_bytes_max`: a command of the largest size still fits behind.
    const BYTES_MAX: usize = 12 * 1024;

    fn push(&mut self, seq: u64, payload: &Bytes, lost: u32, outputs: &mut VecDeque<Output>) {
        let command = Command { seq, payload: payload.clone(), lost };
        let bytes = command.encoded_len() + 4;
        if self.bytes + bytes > Self::BYTES_MAX {
            self.flush(outputs);
        }
        self.bytes += bytes;
        self.commands.push(command);
    }

    fn flush(&mut self, outputs: &mut VecDeque<Output>) {
        if !self.commands.is_empty() {
            let commands = std::mem::take(&mut self.commands);
            outputs.push_back(Output::Send(ClientMessage { commands, ..Default::default() }));
        }
        self.bytes = 0;
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
