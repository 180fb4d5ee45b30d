//! One bot: a session, a light view of the frames, a mind, and the measurements it takes while it plays.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use gundo_client::{
    Address, Answer, CommandId, Event, Light, Output, Picture, Session, SessionSettings, draw_nonce,
};
use gundo_tls::rustls::ClientConfig;
use gundo_tls::{Channel, server_name};
use gundo_types::{Body, EntityId, Point, Time};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Correction, ServerMessage, Welcome};
use mio::{Interest, Registry, Token};

use crate::behaviour::{Behaviour, Chance, Wishes};
use crate::socket::{Broken, Incoming, Socket};
use crate::tally::{Tally, record};
use crate::window::{BotWindow, Log};

/// Moves remembered until a frame shows them: 6 s at 10 Hz.
const MOVES_MAX: usize = 64;
/// Names tried before a bot gives up.
const NAMES_MAX: u32 = 5;

/// One client. See [`Bot::handle_ready`] and [`Bot::step`].
pub(crate) struct Bot {
    token: Token,
    session: Session,
    light: Light,
    /// Of a mind that looks around.
    sight: Option<Picture>,
    mind: Box<dyn Behaviour>,
    wishes: Wishes,
    socket: Option<Socket>,
    name: String,
    names_tried: u32,
    begun: Time,
    last_step: Time,
    welcomes: u32,
    /// In the world, on a connection that was not lost since.
    connected: bool,
    /// An answer has arrived since the last turn.
    answered: bool,
    /// It is back in the world, and has taken no step since.
    back: bool,
    tick_ms: u32,
    /// Unanswered commands, with the mind's tags.
    tags: VecDeque<(CommandId, u64)>,
    /// Moves that no frame has shown yet: the position as frames show it, and when the move was sent.
    moves: VecDeque<(Point, Time)>,
    /// When a frame last showed the own body at a new place, and where.
    shown: Option<(Time, Point)>,
    /// Node of the edge that welcomed it last.
    edge: u32,
    /// Why the connection broke, until the session reports the loss.
    broke: Option<String>,
    log: Log,
}

/// What a bot borrows from its worker.
pub(crate) struct Desk<'a> {
    pub(crate) now: Time,
    pub(crate) registry: &'a Registry,
    pub(crate) resolve: &'a mut dyn FnMut(&Address) -> Option<SocketAddr>,
    /// For servers that speak TLS.
    pub(crate) tls: Option<&'a Arc<ClientConfig>>,
    pub(crate) tally: &'a mut Tally,
    pub(crate) scratch: &'a mut [u8],
    /// Whether bots send commands and moves now, or only wait for answers.
    pub(crate) plays: bool,
}

impl Bot {
    pub(crate) fn new(
        token: Token,
        edges: Vec<Address>,
        name: String,
        seed: u64,
        mind: Box<dyn Behaviour>,
    ) -> Self {
        let mut mind = mind;
        let mut settings = SessionSettings::new(edges, mind.name(&name));
        settings.seed = seed;
        settings.nonce = Some(draw_nonce());
        settings.client = concat!("gundo-bots ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            token,
            session: Session::new(settings),
            light: Light::default(),
            sight: mind.looks().then(Picture::new),
            mind,
            wishes: Wishes::new(Chance::new(seed)),
            socket: None,
            name,
            names_tried: 1,
            begun: Time(0),
            last_step: Time(0),
            welcomes: 0,
            connected: false,
            answered: false,
            back: false,
            tick_ms: 100,
            tags: VecDeque::new(),
            moves: VecDeque::new(),
            shown: None,
            edge: 0,
            broke: None,
            log: Log::default(),
        }
    }

    /// From now on notices other players who leave the world.
    pub(crate) fn watch_others(&mut self) {
        self.light.watch_others();
    }

    /// Ends its window and starts the next.
    pub(crate) fn mark(&mut self, now: Time, bot: usize) -> BotWindow {
        let Self { log, session, edge, .. } = self;
        let open = session.commands_open();
        log.mark(now, |window| {
            window.bot = bot;
            window.player = session.player().map_or(0, |player| player.id);
            window.live = session.is_live();
            window.edge_after = *edge;
            window.open = open;
        })
    }

    /// Goes to `edge` and plays on there; see [`Session::go_to`].
    pub(crate) fn go_to(&mut self, desk: &mut Desk<'_>, edge: &Address, through_the_door: bool) {
        if self.session.edge() != edge || through_the_door {
            self.connected = false;
            self.session.go_to(desk.now, edge, through_the_door);
            self.drain(desk);
        }
    }

    /// When to handle its session if that cannot wait for its turn: while the bot is entering the world.
    pub(crate) fn due(&self) -> Option<Time> {
        self.session.poll_timeout().filter(|_| !self.session.is_live())
    }

    /// Its session is due.
    pub(crate) fn wake(&mut self, desk: &mut Desk<'_>) {
        if self.session.poll_timeout().is_some_and(|due| desk.now >= due) {
            self.session.handle_timeout(desk.now);
            self.drain(desk);
        }
    }

    /// Its player, if it was ever welcomed, and its mind.
    pub(crate) fn into_mind(self) -> (Option<EntityId>, Box<dyn Behaviour>) {
        (self.session.player(), self.mind)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.session.is_live()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.session.is_ended()
    }

    /// Whether it has ever been in the world.
    pub(crate) fn has_played(&self) -> bool {
        self.welcomes > 0
    }

    pub(crate) fn commands_open(&self) -> usize {
        self.session.commands_open()
    }

    pub(crate) fn edges(&self) -> &[Address] {
        self.session.edges()
    }

    pub(crate) fn start(&mut self, desk: &mut Desk<'_>) {
        self.begun = desk.now;
        self.session.start(desk.now);
        self.drain(desk);
    }

    /// Its turn: session timers, and a step of the mind.
    pub(crate) fn step(&mut self, desk: &mut Desk<'_>) {
        self.wake(desk);
        if desk.plays && self.session.is_live() {
            self.play(desk);
        } else if !desk.plays {
            self.log.on_rest();
        }
    }

    fn play(&mut self, desk: &mut Desk<'_>) {
        self.wishes.now = desk.now;
        self.wishes.step_ms = (desk.now.since(self.last_step) / 1_000).min(250) as u32;
        self.wishes.open = self.session.commands_open();
        self.last_step = desk.now;
        if let Some(sight) = &self.sight {
            self.mind.handle_sight(sight);
        }
        self.mind.step(&mut self.wishes);
        for (tag, payload) in std::mem::take(&mut self.wishes.commands) {
            desk.tally.asked += 1;
            match self.session.command(desk.now, payload) {
                Ok(id) => {
                    self.tags.push_back((id, tag));
                    self.log.window.asked += 1;
                }
                Err(_) => {
                    desk.tally.asked -= 1;
                    desk.tally.error("bot_asks_too_much");
                }
            }
        }
        for (entity, on) in std::mem::take(&mut self.wishes.watches) {
            if on { self.session.watch(entity) } else { self.session.unwatch(entity) }
        }
        match self.wishes.walk.take() {
            Some(body) => {
                self.log.on_wish(desk.now);
                self.walk(desk, body);
            }
            // Frames have yet to show earlier moves.
            None if self.moves.is_empty() => self.log.on_rest(),
            None => {}
        }
        self.drain(desk);
    }

    fn walk(&mut self, desk: &mut Desk<'_>, body: Body) {
        if self.session.walk(body).is_none() {
            return;
        }
        self.wishes.body = body;
        if desk.tally.measuring {
            desk.tally.moves += 1;
        }
        if self.moves.len() == MOVES_MAX {
            self.moves.pop_front();
            if desk.tally.measuring {
                desk.tally.error("move_never_shown");
            }
        }
        self.moves.push_back((body.rounded().at, desk.now));
    }

    /// Its socket is ready.
    pub(crate) fn handle_ready(&mut self, desk: &mut Desk<'_>, readable: bool, writable: bool, ended: bool) {
        let Some(mut socket) = self.socket.take() else { return };
        let mut result = Ok(());
        if writable {
            result = socket.handle_writable();
        }
        if result.is_ok() && readable {
            let before = socket.bytes_in();
            let Desk { now, tally, scratch, .. } = desk;
            let mut garbled = false;
            result = socket.read(scratch, ended, &mut |incoming| match incoming {
                Incoming::Open => self.session.handle_open(*now),
                Incoming::Message(bytes) => garbled |= !self.on_message(*now, bytes, tally),
            });
            if tally.measuring {
                tally.bytes += socket.bytes_in() - before;
            }
            if garbled {
                result = Err(Broken::Protocol("a message does not decode"));
            }
        }
        match result {
            Ok(()) => self.socket = Some(socket),
            Err(broken) => {
                if !self.session.is_ended() {
                    desk.tally.error(&broken_code(&broken));
                    self.broke = Some(broken_code(&broken));
                }
                // Dropping the stream closes it and removes it from the poll.
                drop(socket);
                self.session.handle_gone(desk.now);
            }
        }
        self.drain(desk);
        // A player who holds a key down walks on as soon as the connection is back.
        let eager = std::mem::take(&mut self.answered) && self.mind.is_eager();
        if (std::mem::take(&mut self.back) || eager) && desk.plays && self.session.is_live() {
            self.play(desk);
        }
    }

    /// Handles a message; `false` if it does not decode.
    fn on_message(&mut self, now: Time, bytes: &[u8], tally: &mut Tally) -> bool {
        let Ok(scanned) = self.light.scan(bytes) else { return false };
        if tally.measuring {
            tally.messages += 1;
            tally.frames += u64::from(scanned.frames);
            tally.updates += u64::from(scanned.updates);
        }
        self.log.on_left(now, &scanned.left);
        if let Some(holder) = self.light.publisher() {
            self.log.on_told_by(now, holder);
        }
        if let Some(body) = scanned.own {
            self.on_shown(now, body.at, tally);
        }
        if let Some(sight) = &mut self.sight {
            let Ok(message) = ServerMessage::decode(bytes) else { return false };
            sight.handle_message(&message, &mut Vec::new());
        }
        self.session.handle_message(now, scanned.rest);
        true
    }

    /// A frame shows the own body at `at`.
    fn on_shown(&mut self, now: Time, at: Point, tally: &mut Tally) {
        let before = self.shown;
        if before.is_some_and(|(_, known)| known == at) {
            return;
        }
        self.shown = Some((now, at));
        let Some(newest) = self.moves.iter().rposition(|(p, _)| *p == at) else { return };
        self.log.on_walked(now);
        let walking_since = self.moves.front().map_or(now, |(_, sent)| *sent);
        for (_, sent) in self.moves.drain(..=newest) {
            if tally.measuring {
                record(&mut tally.shown, now.since(sent));
            }
        }
        // A gap counts while the bot walks: from the last frame that showed a step, or from the first step not shown since.
        if let Some((last, _)) = before.filter(|_| tally.measuring) {
            let gap = now.since(last.max(walking_since));
            record(&mut tally.gap, gap);
            // Frames leave at ticks, and their time on the network varies a little: gaps are whole ticks.
            let tick_us = u64::from(self.tick_ms) * 1_000;
            tally.gaps_long += u64::from((gap + tick_us / 2) / tick_us > 2);
        }
    }

    fn drain(&mut self, desk: &mut Desk<'_>) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(address) => self.connect(desk, &address),
                Output::Send(message) => self.send(desk, &message),
                Output::Disconnect => self.socket = None,
                Output::Event(event) => self.on_event(desk, event),
            }
        }
    }

    fn connect(&mut self, desk: &mut Desk<'_>, address: &Address) {
        let chance = Chance::new(self.wishes.chance.next_u64());
        let opened =
            (desk.resolve)(address).ok_or_else(|| std::io::Error::other("unknown host")).and_then(|to| {
                let mut socket = Socket::connect(to, &address.authority(), &address.path, chance)?;
                if address.tls {
                    let config = desk.tls.ok_or_else(|| std::io::Error::other("no authorities were read"))?;
                    socket.secure(Channel::client(Arc::clone(config), server_name(&address.host)?)?);
                }
                let interest = Interest::READABLE | Interest::WRITABLE;
                desk.registry.register(socket.stream(), self.token, interest)?;
                Ok(socket)
            });
        match opened {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => {
                desk.tally.error(&broken_code(&Broken::Io(error)));
                self.session.handle_gone(desk.now);
            }
        }
    }

    fn send(&mut self, desk: &mut Desk<'_>, message: &ClientMessage) {
        let Some(socket) = &mut self.socket else { return };
        if let Err(broken) = socket.send(&message.encode_to_vec()) {
            self.socket = None;
            desk.tally.error(&broken_code(&broken));
            self.broke = Some(broken_code(&broken));
            self.session.handle_gone(desk.now);
        }
    }

    fn on_event(&mut self, desk: &mut Desk<'_>, event: Event) {
        match event {
            Event::Welcomed(welcome) => self.on_welcome(desk, &welcome),
            Event::Answered(answer) => self.on_answer(desk.tally, answer),
            Event::Own(own) => self.mind.handle_own(&own),
            Event::Corrected(correction) => self.on_correction(desk.tally, &correction),
            Event::Refused(refusal) => {
                desk.tally.error(&format!("hello_{}", refusal.code));
                self.names_tried += 1;
                if self.names_tried <= NAMES_MAX {
                    let name = format!("{}x{}", self.name, self.names_tried);
                    let name = self.mind.name(&name);
                    self.session.introduce(desk.now, name, draw_nonce());
                } else {
                    self.session.leave(desk.now);
                }
            }
            Event::Lost { closing, .. } => {
                // Failed attempts while the server is away are errors, not lost connections.
                let broke = self.broke.take();
                if std::mem::take(&mut self.connected) {
                    desk.tally.reconnects += 1;
                    let code = closing.as_ref().map(|c| c.code.clone()).or(broke);
                    self.log.on_lost(desk.now, code.unwrap_or_else(|| "silent".to_owned()), self.edge);
                }
                if let Some(closing) = closing {
                    desk.tally.error(&format!("closed_{}", closing.code));
                }
                self.moves.clear();
                self.shown = None;
            }
            Event::Ended(Some(closing)) => desk.tally.error(&format!("closed_{}", closing.code)),
            Event::Notice(notice) => desk.tally.error(&format!("notice_{}", notice.code)),
            Event::Ended(None) | Event::RoundTrip(_) | Event::Stats(_) => {}
            Event::Watched { entity, public, .. } => self.mind.handle_watched(entity, public.as_ref()),
            Event::Told(_) | Event::SlowLine(_) => {}
        }
    }

    fn on_welcome(&mut self, desk: &mut Desk<'_>, welcome: &Welcome) {
        if self.welcomes == 0 {
            record(&mut desk.tally.playable, desk.now.since(self.begun));
        }
        self.welcomes += 1;
        self.connected = true;
        self.broke = None;
        self.edge = welcome.node;
        self.log.on_welcome(desk.now);
        self.tick_ms = welcome.tick_ms.max(1);
        self.wishes.body = Body {
            island: welcome.island as u16,
            at: Point::new(welcome.x, welcome.y),
            heading: (welcome.heading & 127) as u8,
            speed: 0,
        };
        self.back = self.welcomes > 1;
        // On a resume, the time of one step has passed: take it at once.
        let step_us = if self.back { u64::from(self.tick_ms) * 1_000 } else { 0 };
        self.last_step = Time(desk.now.0.saturating_sub(step_us));
        self.moves.clear();
        self.shown = None;
        self.mind.handle_welcome(welcome);
        self.mind.handle_own(&welcome.own);
    }

    fn on_answer(&mut self, tally: &mut Tally, answer: Answer) {
        let at = self.tags.iter().position(|(id, _)| *id == answer.id);
        let tag = at.and_then(|at| self.tags.remove(at)).map_or(0, |(_, tag)| tag);
        if let Err(refusal) = &answer.result
            && refusal.code == "session_lost"
        {
            tally.lost += 1;
            self.log.window.lost += 1;
            return;
        }
        tally.answered += 1;
        self.log.on_answer(answer.waited_us);
        self.answered = true;
        if tally.measuring {
            tally.window_answered += 1;
            record(&mut tally.command, answer.waited_us);
        }
        if let Err(refusal) = &answer.result {
            let own = self.mind.is_own_refusal(&refusal.code);
            if !own {
                self.log.window.refused.push(refusal.code.clone());
            }
            *(if own { &mut tally.refused_by_game } else { &mut tally.refused_otherwise }) += 1;
            tally.error(&format!("refused_{}", refusal.code));
        }
        self.mind.handle_answer(tag, &answer.result);
    }

    fn on_correction(&mut self, tally: &mut Tally, correction: &Correction) {
        tally.corrections += 1;
        self.log.window.corrections += 1;
        tally.error(&format!("corrected_{}", correction.code));
        self.wishes.body.at = Point::new(correction.x, correction.y);
        // No frame will show earlier moves.
        self.moves.clear();
        self.shown = None;
        self.mind.handle_correction(correction);
    }

    /// Logs out and adds the numbers that are final only now.
    pub(crate) fn finish(&mut self, desk: &mut Desk<'_>) {
        self.session.leave(desk.now);
        self.drain(desk);
        desk.tally.doubled += self.mind.doubled();
        for (deed, n) in self.mind.deeds() {
            *desk.tally.deeds.entry(deed).or_insert(0) += n;
        }
        desk.tally.repeats += self.session.repeats();
    }
}

/// A stable code for the report.
fn broken_code(broken: &Broken) -> String {
    match broken {
        Broken::Closed => "connection_closed".to_owned(),
        Broken::Io(e) => match kind_word(e) {
            word if word.starts_with("connection") => word,
            word => format!("connection_{word}"),
        },
        Broken::Upgrade(_) => "no_websocket".to_owned(),
        Broken::Protocol(_) => "garbled".to_owned(),
    }
}

fn kind_word(e: &std::io::Error) -> String {
    let words = format!("{:?}", e.kind());
    let mut out = String::new();
    for (i, c) in words.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
