//! Everything in flight between nodes, clients and the journal, and the faults of single messages.

use std::ops::RangeInclusive;

use gundo_kernel::{Input, Label, Peer};
use gundo_rig::Ended;
use gundo_types::{ConnId, EntityId, Kind, NodeId, Time};
use gundo_wire::client::ClientMessage;
use gundo_wire::journal::WakesAsked;

use super::{Cluster, Fate};

/// How long a peer message, a client message, a commit and a load take, µs.
pub(super) const PEER_US: u64 = 300;
pub(super) const CLIENT_US: u64 = 2_000;
pub(super) const COMMIT_US: u64 = 3_000;
pub(super) const LOAD_US: u64 = 500;

/// Something in flight.
pub(super) enum Flight {
    Peer {
        to: NodeId,
        from: NodeId,
        label: Label,
        message: Peer,
    },
    ToNode {
        node: NodeId,
        conn: ConnId,
        message: ClientMessage,
    },
    ToClient {
        client: usize,
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Closed {
        client: usize,
        conn: ConnId,
    },
    Gone {
        node: NodeId,
        conn: ConnId,
    },
    Opened {
        client: usize,
        conn: ConnId,
    },
    Commit,
    Completed(Ended<NodeId>),
    Loaded {
        node: NodeId,
        entity: EntityId,
        load: u64,
    },
    Woken {
        node: NodeId,
        asked: WakesAsked,
        list: u64,
    },
    Listed {
        node: NodeId,
        kind: Kind,
        ids: RangeInclusive<u64>,
        max: usize,
        list: u64,
    },
    NodeTimer(NodeId),
    ClientTimer(usize),
    /// A node dies of a strike.
    Dies(NodeId),
}

impl Cluster {
    pub(super) fn fly(&mut self, in_us: u64, flight: Flight) {
        self.flights.push(self.now + in_us, flight);
    }

    pub(super) fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Peer { to, from, label, message } => {
                self.input(to, Input::Peer { from, label, message });
            }
            Flight::ToNode { node, conn, message } => self.input(node, Input::Client { conn, message }),
            Flight::ToClient { client, conn, bytes } => self.on_client_bytes(client, conn, &bytes),
            Flight::Opened { client, conn } => {
                if self.clients[client].conn.map(|(_, c)| c) == Some(conn) {
                    let now = Time(self.now);
                    self.clients[client].session.handle_open(now);
                    self.drain_client(client);
                }
            }
            Flight::Closed { client, conn } => {
                if self.clients[client].conn.map(|(_, c)| c) == Some(conn) {
                    let (node, conn) = self.clients[client].conn.take().expect("just seen");
                    self.input(node, Input::Gone { conn });
                    let now = Time(self.now);
                    self.clients[client].session.handle_gone(now);
                    self.drain_client(client);
                }
            }
            Flight::Gone { node, conn } => self.input(node, Input::Gone { conn }),
            Flight::Commit => self.commit(),
            Flight::Completed(ended) => self.input(ended.who, ended.into_input()),
            Flight::Loaded { node, entity, load } => self.load_entity(node, entity, load),
            Flight::Woken { node, asked, list } => self.read_wakes(node, asked, list),
            Flight::Listed { node, kind, ids, max, list } => self.list_entities(node, kind, ids, max, list),
            Flight::NodeTimer(node) => {
                if self.nodes.get_mut(&node).is_some_and(|seat| seat.is_woken(self.now)) {
                    self.input(node, Input::Timeout);
                }
            }
            Flight::Dies(node) => self.die_and_come_back(node.0),
            Flight::ClientTimer(client) => {
                let now = Time(self.now);
                let c = &self.clients[client];
                if c.ended.is_none() && c.session.poll_timeout().is_some_and(|at| at <= now) {
                    self.clients[client].session.handle_timeout(now);
                    self.drain_client(client);
                }
            }
        }
    }

    /// A message between nodes: it may be lost, or be the one that a test picked out.
    pub(super) fn send_peer(&mut self, from: NodeId, to: NodeId, label: Label, message: Peer) {
        if let Some(largest) = &mut self.largest {
            *largest = (*largest).max(gundo_wire::Message::encoded_len(&message.to_message(&label)));
        }
        if let Peer::Frames { frames, .. } = &message {
            // Receivers order the frames of a chunk by their ticks.
            for frame in frames {
                let before = self.ticks.insert((from, to, frame.chunk), frame.tick);
                assert!(before.is_none_or(|b| b < frame.tick), "two frames of one tick: {frame:?}");
            }
            self.keyframes +=
                frames.iter().filter(|f| f.roster.as_ref().is_some_and(|r| r.frame.keyframe)).count();
            self.frames += 1;
            if self.lose_every > 0 && self.frames.is_multiple_of(self.lose_every) {
                return;
            }
        }
        let takes = PEER_US + self.slow_links.get(&(from, to)).copied().unwrap_or(0);
        if self.is_struck(from, to, &message, takes) {
            return;
        }
        self.fly(takes, Flight::Peer { to, from, label, message });
    }

    /// The connection between two nodes breaks, with whatever is in flight. Both notice.
    pub fn break_link(&mut self, a: NodeId, b: NodeId) {
        let between = |x: NodeId, y: NodeId| x == a && y == b || x == b && y == a;
        let is = |flight: &Flight| matches!(flight, Flight::Peer { to, from, .. } if between(*to, *from));
        self.cut_off += self.flights.take(is).len();
        for (node, peer) in [(a, b), (b, a)] {
            let incarnation = self.nodes.get(&peer).map_or(0, |seat| seat.incarnation());
            self.input(node, Input::LinkBroken { peer, incarnation });
        }
    }

    /// A node's driver has lost messages to another node for good.
    pub fn lose_link(&mut self, node: NodeId, peer: NodeId) {
        self.input(node, Input::LinkLost { peer });
    }

    /// Whether the message is lost because a test picked it out. `takes`: after how long it would arrive, µs.
    fn is_struck(&mut self, from: NodeId, to: NodeId, message: &Peer, takes: u64) -> bool {
        let Some(strike) = self.strike.as_mut().filter(|strike| strike.struck.is_none()) else {
            return false;
        };
        if !(strike.at)(from, to, message) {
            return false;
        }
        let fate = strike.fate;
        let (dies, after) = match fate {
            Fate::Lost => (None, 0),
            Fate::SenderDies => (Some(from), 0),
            Fate::SentByTheDead => (Some(from), takes + 1),
            Fate::ReceiverDies => (Some(to), 0),
        };
        strike.struck = Some(dies.unwrap_or(from));
        dies.into_iter().for_each(|dead| self.fly(after, Flight::Dies(dead)));
        fate != Fate::SentByTheDead
    }
}
