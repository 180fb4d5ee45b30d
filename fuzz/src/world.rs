//! A small world with strangers: two nodes, Pioneer's rules, the journal in memory, and clients that send anything.
//!
//! Each message of an input begins with one byte that says who does what (see [`Act`]); the rest is a `ClientMessage`.
//! Everything happens in one thread and in one order, so an input gives one history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gundo_client::Picture;
use gundo_journal::Store;
use gundo_kernel::game::Rules;
use gundo_kernel::{Input, Member, Node, Output, View, WorldSettings};
use gundo_rig::{Clock, Disk, GroupFault, Queue, Seat, settings};
use gundo_types::{ConnId, EntityId, Epoch, Kind, NodeId};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Command, ServerMessage};
use gundo_wire::journal::Cause;
use pioneer::schema::{PlayerCommand, player_command};

use crate::mutate::cut;

/// A `Hello.token` of this length stands for the newest token that any client received.
pub const TOKEN_BYTES: usize = 32;

const NODES: usize = 2;
const CLIENTS: usize = 4;
/// Messages of an input beyond this number are skipped: each costs a tick of a whole world.
const ACTS_MAX: usize = 32;
/// World time at the start: some hours, so that everything has grown.
const WORLD_MS: u64 = 50_000_000;
const SETTLE_MS: u64 = 3_000;

/// The first byte of a message: bits 0 and 1 select the client, bits 2 to 4 the act, bits 5 to 7 the time that passes after
/// it, in half ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The client sends the rest of the message.
    Say,
    /// Its connection is lost; it reconnects.
    Gone,
    /// It reads too slowly, and then catches up.
    Lag,
    /// The journal's next group fails.
    Fail(GroupFault),
}

impl Act {
    fn of(byte: u8) -> Self {
        match byte >> 2 & 7 {
            0..=2 => Self::Say,
            3 => Self::Gone,
            4 => Self::Lag,
            5 => Self::Fail(GroupFault::Rejected),
            6 => Self::Fail(GroupFault::UnknownLanded),
            _ => Self::Fail(GroupFault::UnknownLost),
        }
    }
}

/// Whatever clients send and however appends end, nothing panics, every message decodes, no frame is missing, a command has
/// one answer, and every success is in the journal. Returns whether anybody got in.
pub fn world(data: &[u8]) -> bool {
    !play(data).latest_token.is_empty()
}

fn play(data: &[u8]) -> World {
    let mut world = World::new();
    for act in cut(data).filter(|message| !message.is_empty()).take(ACTS_MAX) {
        let (head, said) = act.split_first().expect("the empty are left out");
        world.act(*head, said);
        world.pass(u64::from(head >> 5) * 50);
    }
    world.fault = None;
    world.pass(SETTLE_MS);
    world.check_journal();
    world
}

struct World {
    nodes: Vec<Seat>,
    disk: Disk<usize>,
    now: u64,
    /// Inputs in flight, and their nodes.
    letters: Queue<(usize, Input)>,
    fault: Option<GroupFault>,
    clients: Vec<Client>,
    last_conn: u64,
    latest_token: Bytes,
    /// Successes by player and command.
    successes: BTreeMap<(EntityId, u64), Bytes>,
    /// Numbers of commands that said something.
    sayings: BTreeSet<u64>,
}

fn is_saying(command: &Command) -> bool {
    let wish = PlayerCommand::decode(command.payload.clone()).ok().and_then(|wish| wish.command);
    matches!(wish, Some(player_command::Command::Say(_)))
}

struct Client {
    conn: ConnId,
    player: Option<EntityId>,
    picture: Picture,
}

impl World {
    fn new() -> Self {
        let mut disk = Disk::new(Store::new());
        let members: Vec<_> = (1..=NODES).map(|n| disk.join(n as u16)).collect();
        let world = Arc::new(WorldSettings::default());
        let seat = |(at, member): (usize, &Member)| {
            let settings = settings(member, [at as u8; 32], &world, &rules());
            Seat::new(Node::new(settings), Clock::right(WORLD_MS))
        };
        let nodes = members.iter().enumerate().map(seat).collect();
        let client = |at| Client { conn: ConnId(at as u64), player: None, picture: Picture::new() };
        let mut world = Self {
            nodes,
            disk,
            now: 0,
            letters: Queue::new(),
            fault: None,
            clients: (0..CLIENTS).map(client).collect(),
            last_conn: CLIENTS as u64,
            latest_token: Bytes::new(),
            successes: BTreeMap::new(),
            sayings: BTreeSet::new(),
        };
        let view = View { epoch: Epoch(1), members };
        for at in 0..NODES {
            world.send(at, Input::View(view.clone()));
        }
        world.settle();
        world
    }

    fn act(&mut self, head: u8, said: &[u8]) {
        let at = usize::from(head & 3);
        let (node, conn) = (at % NODES, self.clients[at].conn);
        match Act::of(head) {
            Act::Say => {
                let Ok(mut message) = ClientMessage::decode(said) else { return };
                if let Some(hello) = message.hello.as_mut().filter(|hello| hello.token.len() == TOKEN_BYTES) {
                    hello.token = self.latest_token.clone();
                }
                self.sayings.extend(message.commands.iter().filter(|c| is_saying(c)).map(|c| c.seq));
                self.send(node, Input::Client { conn, message });
            }
            Act::Gone => self.hang_up(at),
            Act::Lag => {
                self.send(node, Input::Lagging { conn });
                self.settle();
                self.send(node, Input::Drained { conn });
            }
            Act::Fail(fault) => self.fault = Some(fault),
        }
        self.settle();
    }

    fn hang_up(&mut self, at: usize) {
        self.last_conn += 1;
        let client = Client { conn: ConnId(self.last_conn), player: None, picture: Picture::new() };
        let before = std::mem::replace(&mut self.clients[at], client);
        self.send(at % NODES, Input::Gone { conn: before.conn });
    }

    /// Sends an input. It arrives at once, after everything sent before.
    fn send(&mut self, to: usize, input: Input) {
        self.letters.push(self.now, (to, input));
    }

    /// Lets `ms` milliseconds pass.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while let Some((at, (node, input))) = self.letters.pop_until(end) {
            self.now = at;
            self.input(node, input);
            self.settle();
        }
        self.now = end;
    }

    /// Delivers inputs and commits groups until nothing is in flight.
    fn settle(&mut self) {
        loop {
            while let Some((_, (node, input))) = self.letters.pop_until(self.now) {
                self.input(node, input);
            }
            if self.disk.is_idle() {
                return;
            }
            self.commit();
        }
    }

    fn input(&mut self, at: usize, input: Input) {
        let node = &mut self.nodes[at];
        if matches!(input, Input::Timeout) && !node.is_woken(self.now) {
            return;
        }
        let step = node.take(self.now, input);
        node.check();
        assert_eq!(node.counters().game_panics, 0, "the game panicked");
        if let Some(due) = step.wake {
            self.letters.push(due, (at, Input::Timeout));
        }
        for output in step.outputs {
            self.take(at, output);
        }
    }

    fn commit(&mut self) {
        let group = self.disk.next_group(usize::MAX);
        for ended in self.disk.commit(group, self.fault.take()) {
            self.send(ended.who, ended.into_input());
        }
    }

    fn take(&mut self, at: usize, output: Output) {
        match output {
            Output::Send { conn, parts, .. } => self.hear(conn, &parts),
            Output::Close { conn, closing } => {
                if closing.is_some() {
                    let last = ServerMessage { closing, ..Default::default() }.encode_to_vec();
                    self.hear(conn, &[last.into()]);
                }
                if let Some(client) = self.clients.iter().position(|client| client.conn == conn) {
                    self.hang_up(client);
                }
            }
            Output::Peer { to, label, message } => {
                let from = NodeId(at as u16 + 1);
                self.send(usize::from(to.0) - 1, Input::Peer { from, label, message });
            }
            Output::Append(batch) => self.disk.push(at, batch),
            Output::Load { entity, load } => {
                let input = self.disk.load(entity, load);
                self.send(at, input);
            }
            Output::Wakes { asked, list } => {
                let input = self.disk.wakes(asked, list);
                self.send(at, input);
            }
            Output::List { kind, ids, max, list } => {
                let input = self.disk.list(kind, ids, max, list);
                self.send(at, input);
            }
            // There is no coordinator, and both nodes carry on.
            Output::Renew { .. } | Output::AskRow { .. } | Output::Remove { .. } | Output::ViewWanted => {}
            Output::Fenced => panic!("nobody removed the node"),
            Output::GameFault { .. } | Output::Ordered { .. } => {}
            Output::Panicked { .. } => panic!("the game panicked"),
            Output::Stopped => panic!("nobody asked the node to stop"),
            Output::TailsLost { .. } => panic!("the journal never goes back"),
        }
    }

    fn hear(&mut self, conn: ConnId, parts: &[Bytes]) {
        let message = ServerMessage::decode(parts.concat().as_slice()).expect("a node speaks the protocol");
        // A node may still send to a lost connection until it hears of the loss.
        let Some(client) = self.clients.iter_mut().find(|client| client.conn == conn) else { return };
        if let Some(welcome) = &message.welcome {
            let player = welcome.player.expect("a welcome names the player");
            let kind = u16::try_from(player.kind).expect("kinds are small");
            client.player = Some(EntityId::new(Kind(kind), player.id));
            client.picture.clear();
            assert_eq!(welcome.token.len(), TOKEN_BYTES);
            self.latest_token = welcome.token.clone();
        }
        client.picture.handle_message(&message, &mut Vec::new());
        assert_eq!(client.picture.gaps(), 0, "a roster part was missed on one ordered connection");
        for reply in message.replies.into_iter().filter(|reply| reply.refusal.is_none()) {
            let player = client.player.expect("replies come after the welcome");
            let before = self.successes.entry((player, reply.seq)).or_insert_with(|| reply.payload.clone());
            assert_eq!(*before, reply.payload, "command {} of {player} was answered in two ways", reply.seq);
        }
    }

    fn check_journal(&self) {
        for ((player, seq), payload) in &self.successes {
            // A saying leaves no row.
            if self.sayings.contains(seq) {
                continue;
            }
            let events = self.disk.store.stream(*player, 0, usize::MAX);
            let causes =
                events.iter().map(|(_, event)| Cause::decode(event.cause.as_ref()).expect("causes decode"));
            let of_it: Vec<Bytes> =
                causes.filter(|cause| cause.seq == *seq).map(|cause| cause.reply).collect();
            assert!(
                of_it.contains(payload),
                "the success of command {seq} of {player} is not in the journal"
            );
        }
    }
}

/// One island for all inputs: it never changes.
pub(crate) fn rules() -> Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    Arc::clone(RULES.get_or_init(|| Arc::new(pioneer::rules(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the seed `name`. Returns how many players got in and which commands succeeded.
    fn played(name: &str) -> (usize, Vec<u64>) {
        let (_, seed) =
            crate::seeds::acts().into_iter().find(|(other, _)| *other == name).expect("the seed is there");
        let world = play(&seed);
        let players = world.clients.iter().filter(|client| client.player.is_some()).count();
        (players, world.successes.into_keys().map(|(_, seq)| seq).collect())
    }

    #[test]
    fn the_seeds_reach_what_they_are_meant_to() {
        assert_eq!(played("two_arrive"), (2, vec![1]));
        assert_eq!(played("comes_back"), (1, vec![1]));
        assert_eq!(played("same_name").0, 1, "Bob: Ada has left, and her name stays hers");
        assert_eq!(played("first_hello_twice"), (1, vec![1]), "Ada has no name to fight herself for");
        assert_eq!(played("first_hello_in_doubt"), (1, vec![1]));
        assert_eq!(played("rejected"), (1, vec![2]));
        assert_eq!(played("landed_in_doubt"), (1, vec![1]));
        assert_eq!(played("lost_in_doubt"), (1, vec![1]));
    }
}
