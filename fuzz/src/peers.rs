//! A node under a peer that says anything: every message between nodes, with ids that are somebody's and numbers that make no
//! sense, from a member, from what a member was before, and from a stranger.
//!
//! Between nodes travel values and not yet bytes, so an input is a tape that values are made from.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use gundo_journal::Store;
use gundo_kernel::game::{Actor, Refusal};
use gundo_kernel::{
    Age, ChunkFrame, Encoded, HandoffMessage, HomeMessage, Image, Input, Key, Line, Member, Node,
    NodeSettings, Opened, Output, Peer, Prepared, Renewal, Resumed, ToEdge, ToPlayer, TxId, TxMessage, View,
    WorldSettings,
};
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, Kind, NodeId, Now, Point, Term, Time, WorldTime};
use gundo_wire::Message;
use gundo_wire::client::{
    Change, ClientMessage, Command, Enter, Frame, Hello, Leave, PROTOCOL, ServerMessage, Signal,
};
use gundo_wire::journal::{EventRecord, EventType, NameChange, StreamAppend};

use crate::mutate::EDGES;
use crate::world::rules;

/// Messages made from one input.
const MESSAGES_MAX: usize = 64;
const WORLD_MS: u64 = 50_000_000;
const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const CONN: ConnId = ConnId(1);

/// Whatever a peer says, the node does not panic, its client hears messages of the protocol, and a stranger changes nothing.
/// Says whether anything was made of the input.
pub fn peers(data: &[u8]) -> bool {
    let mut world = World::new();
    let mut tape = Tape(data.iter().copied().collect());
    let mut count = 0;
    while !tape.0.is_empty() && count < MESSAGES_MAX {
        let (from, incarnation) = match tape.byte() % 16 {
            0 => (NodeId(9), 9),
            1 => (PEER, 0),
            2 => (PEER, 99),
            _ => (PEER, world.incarnation),
        };
        let message = tape.peer(world.player);
        world.handle(Input::Peer { from, incarnation, message });
        if tape.one_in(8) {
            world.command();
        }
        world.pass(u64::from(tape.byte() % 4) * 60);
        count += 1;
    }
    world.pass(3_000);
    count > 0
}

/// Values made from bytes; at its end it gives zeros.
struct Tape(VecDeque<u8>);

impl Tape {
    fn byte(&mut self) -> u8 {
        self.0.pop_front().unwrap_or(0)
    }

    /// True once in `n`.
    fn one_in(&mut self, n: u8) -> bool {
        self.byte().is_multiple_of(n)
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..128 => u64::from(small % 16),
            edge @ 128..192 => EDGES[usize::from(edge) % EDGES.len()],
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn list<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 4).map(|_| make(self)).collect()
    }

    fn bytes(&mut self) -> Bytes {
        let length = if self.one_in(32) { 20_000 } else { usize::from(self.byte() % 16) };
        (0..length).map(|_| self.byte()).collect()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn refusal(&mut self) -> Refusal {
        Refusal::new(self.text(), self.text())
    }

    fn node(&mut self) -> NodeId {
        [ME, PEER, NodeId(3), NodeId(self.number() as u16)][usize::from(self.byte() % 4)]
    }

    fn conn(&mut self) -> ConnId {
        if self.one_in(4) { ConnId(self.number()) } else { CONN }
    }

    fn chunk(&mut self) -> ChunkId {
        match self.byte() % 4 {
            0 => ChunkId::from_u64(self.number()),
            _ => ChunkId { x: i16::from(self.byte() % 5) - 2, y: i16::from(self.byte() % 5) - 2, island: 0 },
        }
    }

    fn entity(&mut self, player: EntityId) -> EntityId {
        match self.byte() % 4 {
            0 => EntityId::new(Kind(self.number() as u16), self.number()),
            1 => EntityId::new(Kind(2), self.chunk().to_u64()),
            _ => player,
        }
    }

    fn term(&mut self) -> Term {
        Term { epoch: self.number(), count: self.number() as u32 }
    }

    fn body(&mut self) -> Body {
        Body {
            island: self.number() as u16,
            at: Point::new(self.number() as i32, self.number() as i32),
            heading: self.byte(),
            speed: self.byte(),
        }
    }

    fn line(&mut self) -> Line {
        Line { edge: self.node(), conn: self.conn() }
    }

    fn frame(&mut self) -> Encoded {
        let numbers = |tape: &mut Self| tape.list(|t| t.number() as u32);
        let message = ServerMessage {
            frames: vec![Frame {
                publisher: self.number() as u32,
                island: self.number() as u32,
                cx: self.number() as i32,
                cy: self.number() as i32,
                tick: self.number() as u32,
                roster: self.number() as u32,
                keyframe: self.one_in(2),
                enter: self.list(|t| Enter {
                    slot: t.number() as u32,
                    kind: t.number() as u32,
                    id: t.number(),
                    epoch: t.number(),
                    count: t.number() as u32,
                    public: t.bytes(),
                    has_body: t.one_in(2),
                    x: t.number() as u32,
                    y: t.number() as u32,
                    heading: t.number() as u32,
                    speed: t.number() as u32,
                }),
                change: self.list(|t| Change { slot: t.number() as u32, public: t.bytes() }),
                leave: self.list(|t| Leave { slot: t.number() as u32, to: None }),
                signal: self.list(|t| Signal { slot: t.number() as u32, payload: t.bytes() }),
                slot: numbers(self),
                x: numbers(self),
                y: numbers(self),
                heading: numbers(self),
                speed: numbers(self),
            }],
            ..Default::default()
        };
        let bytes = message.encode_to_vec().into();
        Encoded { frame: Arc::new(message.frames.into_iter().next().expect("one was put in")), bytes }
    }

    fn chunk_frame(&mut self) -> ChunkFrame {
        let maybe = |tape: &mut Self| (tape.one_in(2)).then(|| tape.frame());
        let (roster, motion) = (maybe(self), [maybe(self), maybe(self), None]);
        ChunkFrame { chunk: self.chunk(), tick: self.number() as u32, roster, motion }
    }

    fn peer(&mut self, player: EntityId) -> Peer {
        match self.byte() % 10 {
            0 | 1 => {
                let epoch = if self.one_in(8) { Epoch(self.number()) } else { Epoch(1) };
                Peer::Home { epoch, message: self.home(player) }
            }
            2 => Peer::Alive {
                epoch: Epoch(self.number()),
                renews: self.one_in(2),
                unreachable: self.list(Self::node),
            },
            3 if self.one_in(2) => Peer::Stale { epoch: Epoch(self.number()) },
            3 => Peer::Sent { number: self.number(), rosters: self.list(|t| (t.chunk(), t.number() as u32)) },
            4 => Peer::Frames { number: self.number(), frames: self.list(Self::chunk_frame) },
            5 => Peer::KeyframeWanted(self.chunk()),
            6 => {
                Peer::ToPlayer { player: self.entity(player), line: self.line(), message: self.for_player() }
            }
            7 => Peer::ToEdge { conn: self.conn(), player: self.entity(player), message: self.for_edge() },
            8 => Peer::Handoff { entity: self.entity(player), term: self.term(), message: self.handoff() },
            _ => Peer::Transaction {
                tx: self.tx(),
                entity: self.entity(player),
                message: self.transaction(player),
            },
        }
    }

    fn home(&mut self, player: EntityId) -> HomeMessage {
        let entity = self.entity(player);
        match self.byte() % 16 {
            0 => HomeMessage::Announce {
                holds: self.list(|t| (t.entity(player), t.term())),
                subscribes: self.list(|t| (t.chunk(), t.byte())),
                publishes: self.list(Self::chunk),
                last: self.one_in(2),
            },
            1 => {
                let not = (self.one_in(2)).then(|| (self.node(), self.term()));
                HomeMessage::Locate { entity, not }
            }
            2 => HomeMessage::Located { entity, holder: self.node(), term: self.term() },
            3 => HomeMessage::Granted { entity, term: self.term() },
            4 => {
                let from = (self.one_in(2)).then(|| self.term());
                HomeMessage::Disputed { entity, term: self.term(), from }
            }
            10 => HomeMessage::Claim { entity, from: (self.node(), self.term()) },
            11 => HomeMessage::Claimed { entity, from: self.term(), term: self.term() },
            12 => HomeMessage::ClaimRefused { entity, from: self.term() },
            13 => HomeMessage::Keep { entity, term: self.term() },
            14 => HomeMessage::Kept { entity, from: self.term(), term: self.term() },
            15 => {
                let to = (self.one_in(2)).then(|| (self.node(), self.term()));
                HomeMessage::HandedOver { entity, from: self.term(), to }
            }
            5 => HomeMessage::Confirmed { entity, term: self.term() },
            6 => HomeMessage::Released { entity, term: self.term() },
            7 => HomeMessage::Subscribe(self.list(|t| (t.chunk(), t.byte()))),
            8 => HomeMessage::Publish { chunk: self.chunk(), on: self.one_in(2) },
            _ => HomeMessage::Subscribers { chunk: self.chunk(), list: self.list(|t| (t.node(), t.byte())) },
        }
    }

    fn handoff(&mut self) -> HandoffMessage {
        if self.one_in(4) {
            return HandoffMessage::Refused;
        }
        HandoffMessage::Image(Box::new(Image {
            snapshot: self.bytes(),
            seq: self.number(),
            snapshot_seq: self.number(),
            last_at: gundo_types::WorldTime(self.number()),
            body: (self.one_in(2)).then(|| self.body()),
            center: (self.one_in(2)).then(|| self.chunk()),
            line: (self.one_in(2)).then(|| self.line()),
            present: self.one_in(2),
            grace_left_ms: (self.one_in(2)).then(|| self.number()),
            last_seq: self.number(),
            refusals: self.list(|t| (t.number(), t.number(), t.refusal())),
            credit_mm: self.number(),
            rested_us: self.number(),
            placed_us: self.number(),
            players_max: self.number() as usize,
        }))
    }

    fn for_player(&mut self) -> ToPlayer {
        let secret = |tape: &mut Self| std::array::from_fn(|_| tape.byte());
        match self.byte() % 6 {
            0 => ToPlayer::Open { key: Key::Token(secret(self)), name: self.text() },
            1 => ToPlayer::Open { key: Key::Nonce(secret(self)), name: self.text() },
            2 => ToPlayer::Resume { adoption: self.number(), body: self.body() },
            3 => ToPlayer::Command { seq: self.number(), payload: self.bytes(), question: self.one_in(2) },
            4 => ToPlayer::Move { seq: self.number() as u32, body: self.body() },
            _ => ToPlayer::Gone { leave: self.one_in(2) },
        }
    }

    fn for_edge(&mut self) -> ToEdge {
        match self.byte() % 13 {
            12 => ToEdge::MovedTo { holder: self.node(), term: self.term() },
            0 => ToEdge::Opened(Box::new(Opened {
                token: [7; 16],
                next_seq: self.number(),
                adoption: self.number(),
                body: self.body(),
                center: self.chunk(),
                own: self.bytes(),
            })),
            1 => ToEdge::Resumed(Box::new(Resumed {
                body: self.body(),
                center: self.chunk(),
                own: self.bytes(),
            })),
            2 => ToEdge::OpenRefused(self.refusal()),
            3 => ToEdge::NotHere,
            4 => ToEdge::Reply { seq: self.number(), result: Ok(self.bytes()) },
            5 => ToEdge::Reply { seq: self.number(), result: Err(self.refusal()) },
            6 => ToEdge::Own(self.bytes()),
            7 => ToEdge::Center(self.chunk()),
            8 => ToEdge::Correction { seq: self.number() as u32, body: self.body(), code: self.text() },
            9 => ToEdge::Doubted { seq: self.number() },
            10 => ToEdge::Notice(self.refusal()),
            _ if self.one_in(2) => ToEdge::Superseded,
            _ => ToEdge::Ended(self.refusal()),
        }
    }

    fn tx(&mut self) -> TxId {
        TxId { node: self.node(), count: self.number() }
    }

    fn transaction(&mut self, player: EntityId) -> TxMessage {
        match self.byte() % 8 {
            0 | 1 => TxMessage::Prepare {
                age: Age(self.number(), self.node(), self.number()),
                command: self.bytes(),
                actor: Actor {
                    id: self.entity(player),
                    public: self.bytes(),
                    body: (self.one_in(2)).then(|| self.body()),
                },
            },
            2 | 3 => {
                let record = |tape: &mut Self| EventRecord {
                    at: WorldTime(tape.number()),
                    cause: tape.bytes(),
                    event_type: EventType::Game,
                    payload: tape.bytes(),
                };
                let stream = StreamAppend {
                    entity: self.entity(player),
                    load: self.number(),
                    after: self.number(),
                    events: self.list(record),
                    snapshot: (self.one_in(2)).then(|| self.bytes()),
                };
                let name = |tape: &mut Self| NameChange {
                    space: "player".into(),
                    name: tape.text(),
                    owner: Some(tape.entity(player)),
                };
                TxMessage::Prepared(Box::new(Prepared {
                    stream,
                    names: self.list(name),
                    reply: self.bytes(),
                    incarnation: self.number(),
                }))
            }
            4 => TxMessage::Refused(self.refusal()),
            5 if self.one_in(2) => TxMessage::Busy,
            5 => TxMessage::Fence,
            6 => TxMessage::Commit,
            _ => TxMessage::Abort { reload: self.one_in(2) },
        }
    }
}

/// One real node; of the other only what the tape says.
struct World {
    node: Node,
    store: Store,
    now: Time,
    player: EntityId,
    incarnation: u64,
    seq: u64,
}

impl World {
    /// Ada is in the world.
    fn new() -> Self {
        let mut store = Store::new();
        let incarnations = [store.join(), store.join()];
        let node = Node::new(NodeSettings {
            node: ME,
            incarnation: incarnations[0],
            seed: [1; 32],
            world: Arc::new(WorldSettings::default()),
            rules: rules(),
            planted: None,
        });
        let player = EntityId::default();
        let mut world = Self { node, store, now: Time(0), player, incarnation: incarnations[1], seq: 0 };
        let member = |(node, incarnation): (NodeId, u64)| Member {
            node,
            incarnation,
            host: String::new(),
            port: 1,
            weight: 1,
            draining: false,
        };
        let members = [ME, PEER].into_iter().zip(incarnations).map(member).collect();
        world.handle(Input::View(View { epoch: Epoch(1), members }));
        let announce =
            HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes: vec![], last: true };
        world.says(Peer::Home { epoch: Epoch(1), message: announce });
        let hello = Hello {
            protocol: PROTOCOL,
            name: "Ada".into(),
            nonce: Bytes::from_static(&[3; 16]),
            ..Default::default()
        };
        world.hears(ClientMessage { hello: Some(hello), ..Default::default() });
        if world.player == EntityId::default() {
            world.player = world.node.reals().next().expect("the only one who is here").id;
        } else {
            // The other node is her home, and lets her in.
            let granted = HomeMessage::Granted { entity: world.player, term: Term { epoch: 1, count: 1 } };
            world.says(Peer::Home { epoch: Epoch(1), message: granted });
        }
        assert!(world.node.reals().any(|r| r.id == world.player && r.shown.is_some()), "Ada is here");
        world
    }

    fn says(&mut self, message: Peer) {
        self.handle(Input::Peer { from: PEER, incarnation: self.incarnation, message });
    }

    fn hears(&mut self, message: ClientMessage) {
        self.handle(Input::Client { conn: CONN, message });
    }

    /// Ada wants something of the land.
    fn command(&mut self) {
        self.seq += 1;
        let command = Command { seq: self.seq, payload: crate::seeds::a_command(), ..Default::default() };
        self.hears(ClientMessage { commands: vec![command], ..Default::default() });
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(due) = self.node.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.handle(Input::Timeout);
        }
        self.now = end;
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Now { time: self.now, world: WorldTime(WORLD_MS + self.now.0 / 1_000) };
            self.node.handle(now, input);
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Send { parts, .. } => {
                        ServerMessage::decode(parts.concat().as_slice()).expect("a node speaks the protocol");
                    }
                    Output::Append(batch) => {
                        let id = batch.id;
                        let outcomes = self.store.commit_group(vec![batch]);
                        let outcome = outcomes.into_iter().next().expect("one batch, one outcome");
                        inputs.push_back(Input::Appended { batch: id, outcome });
                    }
                    Output::Load { entity, load } => {
                        let result = Ok(self.store.load(entity));
                        inputs.push_back(Input::Loaded { entity, load, result });
                    }
                    Output::Peer {
                        message: Peer::Home { message: HomeMessage::Locate { entity, .. }, .. },
                        ..
                    } => self.player = entity,
                    Output::Renew { sent } => {
                        inputs.push_back(Input::Renewed { sent, renewal: Renewal::Renewed });
                    }
                    Output::Fenced => panic!("only the coordinator removes a node"),
                    _ => {}
                }
            }
        }
    }
}
