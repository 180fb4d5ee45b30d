//! The nodes: their inputs and outputs, how they die and come back, and the members of the view.

use gundo_kernel::{Gauges, Input, Output, SendClass};
use gundo_rig::{Clock, Seat};
use gundo_types::{ConnId, NodeId};
use gundo_wire::Message;
use gundo_wire::client::ServerMessage;

use super::super::game;
use super::network::{CLIENT_US, Flight, LOAD_US};
use super::{Client, Cluster, PLANTED, new_node};

impl Cluster {
    // ---- inputs and outputs ----------------------------------------------------------------------------

    pub fn input(&mut self, node: NodeId, input: Input) {
        let ahead = self.clocks.get(&node).copied().unwrap_or(0);
        if self.traced {
            let text = format!("{} {node} {input:?}", self.now);
            self.trace = self.trace.rotate_left(5) ^ gundo_wire::fingerprint(text.as_bytes());
        }
        let Some(seat) = self.nodes.get_mut(&node) else { return };
        seat.clock.ahead_ms = ahead as i64;
        // About once per timer: a check walks over everything.
        let checks = matches!(input, Input::Timeout) && PLANTED.get().is_none();
        let step = seat.take(self.now, input);
        if game::DEADLY.take() {
            return self.die_of_a_rule(node);
        }
        if checks {
            seat.check();
        }
        if let Some(at) = step.wake {
            self.flights.push(at, Flight::NodeTimer(node));
        }
        for output in step.outputs {
            self.output(node, output);
        }
    }

    fn output(&mut self, node: NodeId, output: Output) {
        match output {
            Output::Send { conn, parts, class } => {
                if let Some(client) = self.client_of(conn) {
                    let bytes = parts.concat();
                    assert!(class == SendClass::Frames || !bytes.is_empty(), "an empty message");
                    self.fly(CLIENT_US, Flight::ToClient { client, conn, bytes });
                }
            }
            Output::Close { conn, closing } => {
                if let Some(client) = self.client_of(conn) {
                    if closing.is_some() {
                        let bytes = ServerMessage { closing, ..Default::default() }.encode_to_vec();
                        self.fly(CLIENT_US, Flight::ToClient { client, conn, bytes });
                    }
                    self.fly(CLIENT_US + 1, Flight::Closed { client, conn });
                }
            }
            Output::Peer { to, label, message } => self.send_peer(node, to, label, message),
            Output::Append(batch) => {
                self.disk.push(node, batch);
                self.schedule_commit();
            }
            Output::Load { entity, load } => {
                self.loads += 1;
                self.fly(LOAD_US, Flight::Loaded { node, entity, load });
            }
            Output::List { kind, ids, max, list } => {
                self.fly(LOAD_US, Flight::Listed { node, kind, ids, max, list });
            }
            Output::Wakes { asked, list } => self.fly(LOAD_US, Flight::Woken { node, asked, list }),
            // Nobody answers: the coordinator is down, and the script decides the view.
            Output::Renew { .. } | Output::AskRow { .. } | Output::Remove { .. } | Output::ViewWanted => {}
            Output::Fenced => drop(self.nodes.remove(&node)),
            Output::Panicked { .. } | Output::GameFault { .. } => {}
            Output::TailsLost { lost, more, .. } => {
                assert_eq!(more, 0, "few are lost here");
                self.alarms.extend(lost.into_iter().map(|lost| (node, lost)));
            }
            Output::Ordered { request, end } => self.orders.push((node, request, end)),
            Output::Stopped => self.on_stopped(node),
        }
    }

    fn on_stopped(&mut self, node: NodeId) {
        // A client that is still connected would be cut off before it reads its last message.
        let here = |c: &Client| c.conn.is_some_and(|(n, _)| n == node);
        let drained = self.view.members.iter().any(|m| m.node == node && m.draining);
        assert!(!drained || !self.clients.iter().any(here), "a client is still at the emptied {node:?}");
        self.stopped.push(node);
    }

    fn client_of(&self, conn: ConnId) -> Option<usize> {
        self.clients.iter().position(|c| c.conn.is_some_and(|(_, k)| k == conn))
    }

    // ---- what tests do to them -------------------------------------------------------------------------

    /// A node dies: everything in flight to it, from it and in its memory is lost; its clients notice.
    pub fn die(&mut self, n: u16) {
        self.lose(n);
        for client in 0..self.clients.len() {
            if self.clients[client].conn.is_some_and(|(node, _)| node == NodeId(n)) {
                self.vanish(client);
            }
        }
        self.flights.retain(|flight| !matches!(flight, Flight::Gone { node, .. } if *node == NodeId(n)));
    }

    /// The node's own rules took it down; its clients notice, and look for another edge.
    fn die_of_a_rule(&mut self, node: NodeId) {
        self.lose(node.0);
        self.killed.push(node.0);
        for client in 0..self.clients.len() {
            if self.clients[client].conn.is_some_and(|(n, _)| n == node) {
                self.cut(client);
            }
        }
    }

    fn lose(&mut self, n: u16) {
        let dead = NodeId(n);
        self.nodes.remove(&dead).expect("the node is there");
        self.disk.take_from(|node| *node == dead);
        self.flights.retain(|flight| match flight {
            Flight::Peer { to, from, .. } => ![*to, *from].contains(&dead),
            Flight::ToNode { node, .. } | Flight::Gone { node, .. } => *node != dead,
            Flight::Completed(ended) => ended.who != dead,
            Flight::Loaded { node, .. } | Flight::Listed { node, .. } | Flight::Woken { node, .. } => {
                *node != dead
            }
            Flight::NodeTimer(node) => *node != dead,
            _ => true,
        });
    }

    /// The others decide that the node is dead: its row is deleted, and then it is removed from the view.
    pub fn bury(&mut self, n: u16) {
        let at = self.view.members.iter().position(|m| m.node == NodeId(n)).expect("a member");
        self.disk.store.leave(self.view.members.remove(at).incarnation);
        self.next_view();
    }

    /// The node restarts, as a new incarnation.
    pub fn rise(&mut self, n: u16) {
        let member = self.disk.join(n);
        let node = new_node(&member, &self.settings, self.now | 1);
        self.nodes.insert(NodeId(n), Seat::new(node, Clock::right(self.world_offset)));
        self.view.members.push(member);
        self.view.members.sort_by_key(|m| m.node);
        self.next_view();
    }

    /// The same members in a new epoch: homes forget everything, and every member announces again.
    pub fn next_view(&mut self) {
        self.view.epoch.0 += 1;
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::View(self.view.clone()));
        }
    }

    pub fn stop(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Stop);
        }
    }

    /// Drivers find the disk nearly full, or with room again.
    pub fn disk(&mut self, storage_full: bool) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Gauges(Gauges { storage_full, ..Gauges::default() }));
        }
    }

    /// Drivers have asked the journal for its generation.
    pub fn tell_generation(&mut self) {
        let generation = Some(self.disk.store.generation());
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Gauges(Gauges { generation, ..Gauges::default() }));
        }
    }

    /// The journal goes back to what its replica has, in a new generation.
    pub fn fail_over(&mut self) {
        let replica = self.replica.take().expect("there is a replica");
        self.disk.store.fail_over(replica, self.now / 1_000 + 1);
    }

    /// Creatures stand still.
    pub fn hold(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Hold(true));
        }
    }

    /// A driver reports this load of its thread, for so many seconds.
    pub fn load(&mut self, node: u16, load_permille: u32, seconds: u32) {
        for _ in 0..seconds {
            self.input(NodeId(node), Input::Gauges(Gauges { load_permille, ..Gauges::default() }));
        }
    }
}
