//! Players, and their clients: logging in, playing, sending and receiving.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use gundo_client::{
    Address, Answer, Event as ClientEvent, Output as ClientOutput, Picture, PictureEvent, Session,
    SessionSettings,
};
use gundo_kernel::SendClass;
use gundo_types::{Body, ConnId, Point, Time};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Closing, ServerMessage};

use super::decoded::Part;
use super::tell::tell_server;
use super::versions::later_field;
use super::{Flight, Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::people::Client;
use crate::story::{About, roster};

impl World {
    /// A player logs in, for the first time or again.
    pub(super) fn arrive(&mut self, person: usize) {
        if self.people[person].current.is_some() || self.people[person].quits || self.closing {
            return;
        }
        self.people[person].wants_in = true;
        self.open_client(person);
    }

    pub(super) fn open_client(&mut self, person: usize) {
        let node = 1 + self.life.below(u64::from(self.plan.nodes)) as u16;
        self.open_client_at(person, node, self.plan.nodes);
    }

    /// A client begins at `node`, and tries as many nodes as `edges` says.
    pub(super) fn open_client_at(&mut self, person: usize, node: u16, edges: u16) {
        let edges = (0..edges).map(|i| (node - 1 + i) % self.plan.nodes + 1);
        let edges = edges
            .map(|n| Address { host: format!("n{n}"), port: 1, path: "/ws".into(), tls: false })
            .collect();
        let who = &mut self.people[person];
        let mut settings = SessionSettings::new(edges, who.name.clone());
        settings.nonce = Some(who.nonce);
        settings.token = who.tokens.last().cloned().unwrap_or_default();
        settings.place = who.place.clone();
        settings.seed = self.life.next_u64();
        // Impatient, so that clients notice everything within the run.
        (settings.ping_every_ms, settings.silence_ms, settings.hello_wait_ms) = (2_000, 6_000, 4_000);
        settings.backoff_ms_max = 2_000;
        let token_used = settings.token.clone();
        let client = self.clients.len();
        let mut picture = Picture::new();
        picture.plant(self.planted);
        self.clients.push(Client {
            person,
            session: Session::new(settings),
            picture,
            conn: None,
            own: Bytes::new(),
            watched: BTreeMap::new(),
            sneaked: Vec::new(),
            tags: VecDeque::new(),
            said: VecDeque::new(),
            distance_us: 500 + self.life.below(30_000),
            up_at: 0,
            down_at: 0,
            lagging: false,
            caught_up: 0,
            timer: None,
            token_used,
        });
        self.people[person].current = Some(client);
        let now = Time(self.now);
        self.clients[client].session.start(now);
        self.drain_client(client);
    }

    pub(super) fn leave(&mut self, person: usize) {
        self.people[person].wants_in = false;
        self.people[person].absence.leaves(self.now);
        if let Some(client) = self.people[person].current.take() {
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }

    /// All players log out.
    pub(crate) fn leave_all(&mut self) {
        self.closing = true;
        for person in 0..self.people.len() {
            self.leave(person);
        }
        // Also older clients whose player a newer one took over, and that took it back.
        let now = Time(self.now);
        for client in 0..self.clients.len() {
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }

    /// Players stop one after the other, so that a player's last step is followed by steps of others.
    fn plays(&self, person: usize) -> bool {
        const APART_US: u64 = 70_000;
        let early = (person as u64 * APART_US) % 2_500_000;
        self.playing && self.now < self.ends_at.saturating_sub(early)
    }

    pub(super) fn step(&mut self, person: usize) {
        let step_us = 1_000_000 / u64::from(self.plan.steps_per_second);
        self.fly(step_us, Flight::Step(person));
        let Some(client) = self.people[person].current.filter(|_| self.plays(person)) else { return };
        if !self.clients[client].session.is_live() {
            return;
        }
        let open = self.clients[client].session.commands_open();
        let (crowd, speed, now) = (self.crowd_at, self.speed, self.now);
        let who = &mut self.people[person];
        who.wishes.now = Time(now);
        who.wishes.step_ms = ((now - who.last_step) / 1_000).min(250) as u32;
        who.last_step = now;
        let (walk, commands) = who.think(open, &self.clients[client].picture, crowd, speed);
        for (tag, payload) in commands {
            if let Ok(id) = self.clients[client].session.command(Time(now), payload.clone()) {
                self.asks(client, id, &payload);
                self.clients[client].tags.push_back((id, tag));
            }
        }
        if let Some(body) = walk
            && self.clients[client].session.walk(body).is_some()
        {
            self.people[person].wishes.body = body;
        }
        self.cheat(person, client);
        self.watch_something(client);
        self.write_something(client);
        self.drain_client(client);
    }

    /// When the next message to a client arrives.
    pub(super) fn down(&mut self, client: usize) -> u64 {
        let jitter = self.net.below(3_000);
        let c = &mut self.clients[client];
        c.down_at = (self.now + c.distance_us + jitter).max(c.down_at);
        c.down_at
    }

    pub(super) fn say(&mut self, client: usize, mut message: ClientMessage) {
        if let Some(hello) = &mut message.hello {
            self.lie_about_the_last_place(client, hello);
        }
        let jitter = self.net.below(3_000);
        let c = &mut self.clients[client];
        let Some((node, conn)) = c.conn else { return };
        for command in &message.commands {
            self.judge.said(conn, command.seq, &command.payload);
            c.remember(command);
        }
        c.up_at = (self.now + c.distance_us + jitter).max(c.up_at);
        let at = c.up_at;
        // A broken connection carries nothing any more.
        if self.conns.contains_key(&conn) {
            self.queue.push(at, Flight::ToNode { node, conn, message });
        }
    }

    pub(super) fn send_client(&mut self, key: Key, conn: ConnId, mut parts: Vec<Bytes>, class: SendClass) {
        self.counts.client_messages += 1;
        if self.nodes.get(&key).is_some_and(|node| node.newer) {
            parts.extend(later_field(self.counts.client_messages));
        }
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        self.counts.client_bytes += bytes as u64;
        self.story.mix(conn.0 << 32 ^ bytes as u64);
        if class != SendClass::Frames {
            self.scratch.clear();
            parts.iter().for_each(|part| self.scratch.extend_from_slice(part));
            let Ok(message) = ServerMessage::decode(self.scratch.as_slice()) else {
                let text = format!("n{} sends bytes that are not a server message", key.node);
                return self.rule(violated(Guarantee::G9, text));
            };
            if self.story.tell.is_some() {
                let mut about = About::node(key.node);
                about.player = self.conns.get(&conn).map(|c| self.clients[*c].person);
                about.fine = message.pong.is_some();
                let text = format!("n{} says on connection {}: {}", key.node, conn.0, tell_server(&message));
                self.story.tell(self.now, about, || text);
            }
            if message.welcome.is_some() {
                self.open.insert(conn, BTreeSet::new());
            }
            if let Some(open) = self.open.get_mut(&conn) {
                open.retain(|seq| message.replies.iter().all(|reply| reply.seq != *seq));
            }
            if let Some(closing) = &message.closing {
                *self.counts.closings.entry(closing.code.clone()).or_insert(0) += 1;
            }
            let verdict = self.judge.sent(conn, &message);
            self.rule(verdict);
        }
        // What a player is told waits behind frames: it may be dropped like them.
        if let (SendClass::Frames, [part]) = (class, parts.as_slice())
            && let Some(Part { message, .. }) =
                self.decoded.get(part).filter(|part| !part.message.told.is_empty())
        {
            let verdict = self.judge.sent(conn, &message);
            self.rule(verdict);
        }
        let Some(client) = self.conns.get(&conn).copied() else { return };
        if self.open.contains_key(&conn) {
            let grace_us = self.plan.world.grace_ms * 1_000;
            let person = self.clients[client].person;
            self.people[person].absence.told(self.now, grace_us);
        }
        if class == SendClass::Frames && self.clients[client].lagging {
            return;
        }
        let at = self.down(client);
        self.queue.push(at, Flight::ToClient { client, conn, parts });
    }

    /// Sends a client the reason why its node closes the connection.
    pub(super) fn send_closing(&mut self, key: Key, conn: ConnId, closing: Closing) {
        let last = ServerMessage { closing: Some(closing), ..Default::default() }.encode_to_vec();
        self.send_client(key, conn, vec![last.into()], SendClass::Kept);
    }

    pub(super) fn drain_client(&mut self, client: usize) {
        while let Some(output) = self.clients[client].session.poll_output() {
            match output {
                ClientOutput::Connect(address) => {
                    let node = address.host.trim_start_matches('n').parse().unwrap_or(1);
                    self.next_conn += 1;
                    let conn = ConnId(self.next_conn);
                    let key = self.key(node);
                    let c = &mut self.clients[client];
                    (c.conn, c.lagging) = (Some((key, conn)), false);
                    self.conns.insert(conn, client);
                    let takes = 2 * self.clients[client].distance_us;
                    self.fly(takes, Flight::Opened { client, conn });
                }
                ClientOutput::Send(message) => self.say(client, message),
                ClientOutput::Disconnect => self.hang_up(client),
                ClientOutput::Event(event) => self.on_client_event(client, event),
            }
        }
        if let Some(at) = self.clients[client].session.poll_timeout()
            && self.clients[client].timer.is_none_or(|t| at.0 < t)
        {
            self.clients[client].timer = Some(at.0);
            self.queue.push(at.0.max(self.now), Flight::ClientTimer(client));
        }
    }

    pub(super) fn hang_up(&mut self, client: usize) {
        if let Some((node, conn)) = self.clients[client].conn.take() {
            // It arrives after everything sent before.
            let at = self.clients[client].up_at.max(self.now) + 1;
            self.queue.push(at, Flight::Gone { node, conn });
        }
    }

    pub(super) fn is_conn(&self, client: usize, conn: ConnId) -> bool {
        self.clients[client].conn.is_some_and(|(_, c)| c == conn)
    }

    pub(super) fn on_opened(&mut self, client: usize, conn: ConnId) {
        if !self.is_conn(client, conn) {
            return;
        }
        let there = self.clients[client].conn.is_some_and(|(key, _)| self.nodes.contains_key(&key));
        let now = Time(self.now);
        if there && self.conns.contains_key(&conn) {
            self.clients[client].session.handle_open(now);
        } else {
            self.clients[client].conn = None;
            self.conns.remove(&conn);
            self.clients[client].session.handle_gone(now);
        }
        self.drain_client(client);
    }

    pub(super) fn on_broken(&mut self, client: usize, conn: ConnId) {
        if !self.is_conn(client, conn) {
            return;
        }
        self.clients[client].conn = None;
        self.conns.remove(&conn);
        self.clients[client].session.handle_gone(Time(self.now));
        self.drain_client(client);
    }

    pub(super) fn on_client_timer(&mut self, client: usize) {
        let now = Time(self.now);
        let c = &mut self.clients[client];
        if c.timer.is_some_and(|at| at <= now.0) {
            c.timer = None;
            if c.session.poll_timeout().is_some_and(|at| at <= now) {
                c.session.handle_timeout(now);
            }
            self.drain_client(client);
        }
    }

    pub(super) fn on_client_bytes(&mut self, client: usize, conn: ConnId, parts: &[Bytes]) {
        if !self.is_conn(client, conn) {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let at = self.world_time();
        let mut rest = ServerMessage::default();
        for part in parts {
            let Some(Part { message, is_frames }) = self.decoded.get(part) else {
                return self
                    .rule(violated(Guarantee::G9, "a client got something that is not a server message"));
            };
            self.clients[client].picture.handle_message(&message, &mut events);
            if self.story.tell.is_some() {
                self.tell_frames(client, conn, &message);
            }
            if !is_frames {
                // Parts are concatenated: repeated fields append.
                if rest.merge(part.as_ref()).is_err() {
                    return self.rule(violated(
                        Guarantee::G9,
                        "a client got something that is not a server message",
                    ));
                }
            }
        }
        let c = &mut self.clients[client];
        let mut verdict: Verdict = Ok(());
        for event in events.drain(..) {
            if let PictureEvent::Gone(id) = event
                && c.picture.entity(id).is_none()
                && verdict.is_ok()
                && !self.game.panics()
                && let Some(who) = self.by_id.get(&id).map(|p| &self.people[*p]).filter(|p| p.id == Some(id))
                && !who.absence.is_possible(self.now, self.plan.world.grace_ms * 1_000)
            {
                let text =
                    format!("{} hears that {} left, but it has not", self.people[c.person].name, who.name);
                verdict = violated(Guarantee::G8, text);
            }
            if let PictureEvent::Left(id) | PictureEvent::Gone(id) = event {
                let about = About { fine: true, entity: Some(id), ..About::player(c.person) };
                self.story
                    .tell(self.now, about, || format!("connection {} sees {:x} no more", conn.0, id.id));
            }
            if let PictureEvent::Entered(id) | PictureEvent::Changed(id) = event
                && let Some(seen) = c.picture.entity(id)
                && verdict.is_ok()
            {
                verdict = self.judge.seen(id, &seen.public, at);
            }
        }
        self.events = events;
        c.session.handle_message(Time(self.now), rest);
        self.people[c.person].place = c.session.place().clone();
        self.rule(verdict);
        self.drain_client(client);
    }

    fn tell_frames(&mut self, client: usize, conn: ConnId, message: &ServerMessage) {
        for frame in message.frames.iter().filter(|f| f.roster > 0 || f.keyframe) {
            let about = About { fine: true, ..About::player(self.clients[client].person) };
            let text = || format!("connection {} is told: {}", conn.0, roster(frame));
            self.story.tell(self.now, about, text);
        }
    }

    pub(super) fn on_client_event(&mut self, client: usize, event: ClientEvent) {
        let person = self.clients[client].person;
        let current = self.people[person].current == Some(client);
        match event {
            ClientEvent::Welcomed(welcome) => {
                self.clients[client].own = welcome.own.clone();
                self.clients[client].caught_up = self.now;
                self.clients[client].watched.clear();
                let who = &mut self.people[person];
                who.id = self.clients[client].session.player();
                if let Some(id) = who.id {
                    self.by_id.entry(id).or_insert(person);
                }
                who.tokens.push(welcome.token.clone());
                let at = Point::new(welcome.x, welcome.y);
                self.crowd_at.get_or_insert(at);
                if current {
                    let who = &mut self.people[person];
                    who.wishes.body = Body {
                        island: welcome.island as u16,
                        at,
                        heading: (welcome.heading & 127) as u8,
                        speed: 0,
                    };
                    who.last_step = self.now;
                    who.mind.handle_welcome(&welcome);
                    who.mind.handle_own(&welcome.own);
                }
            }
            ClientEvent::Answered(answer) => self.on_answered(client, &answer),
            ClientEvent::Own(own) => {
                if current {
                    self.people[person].mind.handle_own(&own);
                }
                self.clients[client].own = own;
            }
            ClientEvent::Corrected(correction) => {
                if current {
                    let who = &mut self.people[person];
                    who.wishes.body.at = Point::new(correction.x, correction.y);
                    who.goal = None;
                    who.mind.handle_correction(&correction);
                    self.on_errand_corrected(person, &correction.code);
                }
            }
            ClientEvent::Watched { entity, public, refusal, .. } => {
                self.on_watched(client, entity, public, refusal);
            }
            ClientEvent::Refused(refusal) => self.on_refused(client, &refusal.code),
            ClientEvent::Ended(closing) => {
                let why = closing.map_or_else(|| "left".to_owned(), |c| c.code);
                self.story.tell(self.now, About::player(person), || {
                    format!("player {person}'s session ends: {why}")
                });
                self.hang_up(client);
                if current {
                    self.people[person].current = None;
                    if self.people[person].wants_in {
                        let after = 100_000 + self.life.below(1_000_000);
                        self.fly(after, Flight::Arrive(person));
                    }
                }
            }
            ClientEvent::Told(message) => self.on_told(client, &message),
            ClientEvent::Lost { .. }
            | ClientEvent::RoundTrip(_)
            | ClientEvent::Stats(_)
            | ClientEvent::SlowLine(_)
            | ClientEvent::Notice(_) => {}
        }
    }

    fn on_answered(&mut self, client: usize, answer: &Answer) {
        self.on_errand_answered(client, answer);
        let verdict = self.check_fair(client, answer);
        self.rule(verdict);
        let tags = &mut self.clients[client].tags;
        let at = tags.iter().position(|(id, _)| *id == answer.id);
        let tag = at.and_then(|at| tags.remove(at)).map_or(0, |(_, tag)| tag);
        if let Err(refusal) = &answer.result {
            *self.counts.refusals.entry(refusal.code.clone()).or_insert(0) += 1;
        }
        let person = self.clients[client].person;
        if self.people[person].current == Some(client) {
            self.people[person].mind.handle_answer(tag, &answer.result);
        }
    }

    /// A hello was refused for good. With its newest key the player must be let in; older keys may have expired.
    pub(super) fn on_refused(&mut self, client: usize, code: &str) {
        let person = self.clients[client].person;
        let name = self.people[person].name.clone();
        *self.counts.refusals.entry(format!("hello: {code}")).or_insert(0) += 1;
        self.story
            .tell(self.now, About::player(person), || format!("player {person}'s hello is refused: {code}"));
        if code == "name_taken" && self.people[person].tokens.is_empty() {
            /// Names to try before a player counts as locked out: at most two players want each name.
            const NAMES_MAX: u32 = 3;
            let who = &mut self.people[person];
            who.names_tried += 1;
            if who.names_tried <= NAMES_MAX {
                who.name = who.mind.name(&format!("sim{person}x{}", who.names_tried));
                let (name, nonce, now) = (who.name.clone(), who.nonce, Time(self.now));
                self.clients[client].session.introduce(now, name, nonce);
                return self.drain_client(client);
            }
        }
        let used = self.clients[client].token_used.clone();
        let newest = self.clients[client].session.token().clone();
        let rests = self.poison.refuses(code);
        let who = &mut self.people[person];
        // When the journal has lost the adoption that gave the newest key, the one before it is good again.
        let is_cut = who.id.is_some_and(|id| self.judge.past_adoption(id) > 0);
        who.tokens.retain(|token| rests || *token != newest && (is_cut || *token != used));
        // It has to come in as it did first.
        let unbegun = matches!(code, "bad_token" | "no_player" | "lost")
            && who.id.is_some_and(|id| self.judge.has_unbegun(id));
        let locked_out = !rests && !unbegun && (code != "bad_token" || who.tokens.is_empty());
        if self.people[person].current == Some(client) {
            self.people[person].current = None;
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
            if locked_out {
                return self.rule(violated(Guarantee::G10, format!("{name} is locked out: {code}")));
            }
            let after = 50_000 + self.life.below(500_000);
            self.fly(after, Flight::Arrive(person));
        } else {
            let now = Time(self.now);
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }
}
