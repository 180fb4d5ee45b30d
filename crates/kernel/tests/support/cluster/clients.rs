//! Clients: their actions, and what happens to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_client::{
    Address, Event as ClientEvent, Light, Output as ClientOutput, Picture, PictureEvent, Session,
    SessionSettings,
};
use gundo_kernel::Input;
use gundo_types::{Body, ChunkId, ConnId, EntityId, NodeId, Point, Time};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, ServerMessage};

use super::super::game;
use super::network::{CLIENT_US, Flight};
use super::{Client, Cluster};

impl Cluster {
    pub fn connect(&mut self, name: &str, node: u16) -> usize {
        self.connect_with(name, node, Bytes::new())
    }

    pub fn connect_with(&mut self, name: &str, node: u16, token: Bytes) -> usize {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.chance(u64::MAX).to_le_bytes());
        nonce[8..].copy_from_slice(&(self.clients.len() as u64).to_le_bytes());
        self.nonces.insert(name.into(), nonce);
        self.connect_as(name, node, token, nonce)
    }

    /// With a token, and the place that was sealed for it.
    pub fn come_back(&mut self, name: &str, node: u16, token: Bytes, place: Bytes) -> usize {
        self.start(name, node, |settings| (settings.token, settings.place) = (token, place))
    }

    /// With a recovery code, and nothing else.
    pub fn recover(&mut self, name: &str, node: u16, code: &str) -> usize {
        self.start(name, node, |settings| settings.recovery = code.into())
    }

    /// A new player with this nonce and an invitation.
    pub fn connect_invited(&mut self, name: &str, node: u16, nonce: [u8; 16], invitation: &str) -> usize {
        self.start(name, node, |settings| {
            (settings.nonce, settings.invitation) = (Some(nonce), invitation.into());
        })
    }

    pub fn connect_as(&mut self, name: &str, node: u16, token: Bytes, nonce: [u8; 16]) -> usize {
        self.start(name, node, |settings| (settings.token, settings.nonce) = (token, Some(nonce)))
    }

    fn start(&mut self, name: &str, node: u16, tune: impl FnOnce(&mut SessionSettings)) -> usize {
        let address = Address { host: format!("n{node}"), port: 1, path: "/ws".into(), tls: false };
        let mut settings = SessionSettings::new(vec![address], name);
        tune(&mut settings);
        settings.seed = self.clients.len() as u64;
        let client = self.clients.len();
        let mut light = Light::default();
        light.watch_others();
        self.clients.push(Client {
            name: name.into(),
            session: Session::new(settings),
            picture: Picture::new(),
            light,
            seen_leaving: Vec::new(),
            conn: None,
            body: Body::default(),
            answers: Vec::new(),
            refused: Vec::new(),
            own: Bytes::new(),
            signals: Vec::new(),
            watched: Vec::new(),
            told: Vec::new(),
            ended: None,
            corrections: Vec::new(),
            notices: Vec::new(),
            welcomes: 0,
            recovery: String::new(),
            sent: BTreeMap::new(),
            heard: BTreeMap::new(),
        });
        let now = Time(self.now);
        self.clients[client].session.start(now);
        self.drain_client(client);
        client
    }

    /// Clients of the dead node's edge find another edge by themselves.
    pub fn die_and_come_back(&mut self, n: u16) {
        let there: Vec<_> = (0..self.clients.len())
            .filter(|c| self.clients[*c].conn.is_some_and(|(node, _)| node == NodeId(n)))
            .collect();
        self.die(n);
        let now = Time(self.now);
        for client in there {
            self.clients[client].ended = None;
            self.clients[client].session.handle_gone(now);
            self.drain_client(client);
        }
    }

    /// A view drains a node, or stops draining it.
    pub fn drain(&mut self, n: u16, draining: bool) {
        let member = self.view.members.iter_mut().find(|m| m.node == NodeId(n)).expect("a member");
        member.draining = draining;
        self.next_view();
    }

    pub fn player(&self, client: usize) -> EntityId {
        self.clients[client].session.player().expect("the client has been welcomed")
    }

    pub fn command(&mut self, client: usize, command: &game::PlayerCommand) {
        let now = Time(self.now);
        let payload = command.encode_to_vec().into();
        self.clients[client].session.command(now, payload).expect("the client's queue has room");
        self.drain_client(client);
    }

    pub fn take(&mut self, client: usize, chunk: ChunkId, take: i32) {
        self.command(client, &game::PlayerCommand { chunk: chunk.to_u64(), take, ..Default::default() });
    }

    pub fn watch(&mut self, client: usize, entity: EntityId) {
        self.clients[client].session.watch(entity);
        self.drain_client(client);
    }

    pub fn unwatch(&mut self, client: usize, entity: EntityId) {
        self.clients[client].session.unwatch(entity);
        self.drain_client(client);
    }

    /// Walks to a point, one step per tick, until it arrives or is corrected.
    pub fn walk(&mut self, client: usize, to: Point) {
        let corrected = self.clients[client].corrections.len();
        for _ in 0..10_000 {
            let from = self.clients[client].body.at;
            if from == to || self.clients[client].corrections.len() > corrected {
                break;
            }
            let step = |a: i32, b: i32| a + (b - a).clamp(-300, 300);
            let at = Point::new(step(from.x, to.x), step(from.y, to.y));
            let body = Body { at, speed: if at == to { 0 } else { 40 }, ..self.clients[client].body };
            self.clients[client].body = body;
            self.clients[client].session.walk(body);
            self.drain_client(client);
            self.run_ms(100);
        }
        self.run_ms(100);
    }

    /// Walks to the south-east, almost as fast as it may, and does not mind corrections meanwhile.
    pub fn stroll(&mut self, client: usize, steps: i32) {
        for _ in 0..steps {
            let from = self.clients[client].body;
            let body = Body { at: Point::new(from.at.x + 330, from.at.y + 330), speed: 47, ..from };
            self.clients[client].body = body;
            self.move_to(client, body);
            self.run_ms(100);
        }
        let body = Body { speed: 0, ..self.clients[client].body };
        self.clients[client].body = body;
        self.move_to(client, body);
    }

    /// Sends one move, and nothing more.
    pub fn move_to(&mut self, client: usize, body: Body) {
        self.clients[client].session.walk(body);
        self.drain_client(client);
    }

    /// The client's connection breaks; it reconnects only if it notices.
    pub fn cut(&mut self, client: usize) {
        if let Some((node, conn)) = self.clients[client].conn.take() {
            self.fly(CLIENT_US, Flight::Gone { node, conn });
            let now = Time(self.now);
            self.clients[client].session.handle_gone(now);
            self.drain_client(client);
        }
    }

    /// The client leaves on purpose.
    pub fn leave(&mut self, client: usize) {
        let now = Time(self.now);
        self.clients[client].session.leave(now);
        self.drain_client(client);
    }

    /// The client sends something that no well-behaved one would.
    pub fn say_raw(&mut self, client: usize, message: ClientMessage) {
        if let Some((node, conn)) = self.clients[client].conn {
            self.fly(CLIENT_US, Flight::ToNode { node, conn, message });
        }
    }

    /// The client vanishes permanently.
    pub fn vanish(&mut self, client: usize) {
        if let Some((node, conn)) = self.clients[client].conn.take() {
            self.fly(CLIENT_US, Flight::Gone { node, conn });
        }
        self.clients[client].ended = Some("vanished".into());
    }

    /// The edge tells the kernel that the client lags, or has caught up.
    pub fn lag(&mut self, client: usize, lagging: bool) {
        if let Some((node, conn)) = self.clients[client].conn {
            let input = if lagging { Input::Lagging { conn } } else { Input::Drained { conn } };
            self.input(node, input);
        }
    }

    pub(super) fn drain_client(&mut self, client: usize) {
        while let Some(output) = self.clients[client].session.poll_output() {
            match output {
                ClientOutput::Connect(address) => {
                    self.next_conn += 1;
                    let conn = ConnId(self.next_conn);
                    let node =
                        address.host.trim_start_matches('n').parse().expect("hosts are called n1, n2, …");
                    self.clients[client].conn = Some((NodeId(node), conn));
                    self.fly(CLIENT_US, Flight::Opened { client, conn });
                }
                ClientOutput::Send(message) => {
                    let sent = message.commands.iter();
                    let sent = sent.map(|c| (c.seq, gundo_wire::fingerprint(&c.payload)));
                    self.clients[client].sent.extend(sent);
                    if let Some((node, conn)) = self.clients[client].conn {
                        // Through bytes, as over a socket.
                        let bytes = message.encode_to_vec();
                        let message = ClientMessage::decode(bytes.as_slice()).expect("just encoded");
                        let stalled = self.stalled.get(&client).map_or(0, |at| at.saturating_sub(self.now));
                        self.fly(CLIENT_US.max(stalled), Flight::ToNode { node, conn, message });
                    }
                }
                ClientOutput::Disconnect => {
                    if let Some((node, conn)) = self.clients[client].conn.take() {
                        self.fly(CLIENT_US, Flight::Gone { node, conn });
                    }
                }
                ClientOutput::Event(event) => self.on_client_event(client, event),
            }
        }
        if let Some(at) = self.clients[client].session.poll_timeout() {
            self.fly(at.0.saturating_sub(self.now), Flight::ClientTimer(client));
        }
    }

    fn on_client_event(&mut self, client: usize, event: ClientEvent) {
        let c = &mut self.clients[client];
        match event {
            ClientEvent::Welcomed(welcome) => {
                c.picture.clear();
                c.welcomes += 1;
                c.own = welcome.own.clone();
                c.recovery = welcome.recovery.clone();
                c.body.at = Point::new(welcome.x, welcome.y);
            }
            ClientEvent::Answered(answer) => c.answers.push(answer),
            ClientEvent::Own(own) => c.own = own,
            ClientEvent::Corrected(correction) => {
                c.body.at = Point::new(correction.x, correction.y);
                c.corrections.push(correction.code);
            }
            ClientEvent::Watched { entity, public, refusal, .. } => {
                c.watched.push((entity, refusal.map_or(Ok(public), |refusal| Err(refusal.code))));
            }
            ClientEvent::Told(message) => c.told.push(message),
            ClientEvent::Notice(notice) => c.notices.push(notice.code),
            ClientEvent::Refused(refusal) => c.refused.push(refusal.code),
            ClientEvent::Ended(closing) => {
                c.ended = Some(closing.map_or_else(|| "left".into(), |c| c.code));
            }
            _ => {}
        }
    }

    pub(super) fn on_client_bytes(&mut self, client: usize, conn: ConnId, bytes: &[u8]) {
        if self.clients[client].conn.map(|(_, c)| c) != Some(conn) {
            return;
        }
        let message = ServerMessage::decode(bytes).expect("a server speaks the protocol");
        let mut events = Vec::new();
        let now = Time(self.now);
        for reply in &message.replies {
            let result = match &reply.refusal {
                None => Ok(reply.payload.clone()),
                Some(refusal) => Err(refusal.code.clone()),
            };
            self.clients[client].heard.entry(reply.seq).or_insert(result);
        }
        // The session clears what is old before the picture takes the frames of the same message.
        let c = &mut self.clients[client];
        c.picture.handle_message(&message, &mut events);
        let left = c.light.scan(bytes).expect("it has just been read").left;
        c.seen_leaving.extend(left.iter().map(|left| EntityId::new(game::PLAYER, left.id)));
        for event in events {
            if let PictureEvent::Signal(id, payload) = event {
                c.signals.push((id, payload));
            }
        }
        c.session.handle_message(now, message);
        self.drain_client(client);
    }
}
