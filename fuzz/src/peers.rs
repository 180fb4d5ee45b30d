//! A node with a peer that sends anything: bytes as they arrive on a link, from a member, from an earlier incarnation of a
//! member, and from a stranger.
//!
//! An input is several messages in a row, as [`messages`](crate::messages) cuts them. Each is a byte and a `PeerMessage`:
//! the byte says who sends it and what happens besides.

use std::sync::Arc;

use bytes::Bytes;
use gundo_journal::Store;
use gundo_kernel::{Alive, HomeMessage, Input, Label, Node, Output, Peer, Renewal, View, WorldSettings};
use gundo_rig::{Clock, Disk, Queue, Seat, settings};
use gundo_types::{ChunkId, ConnId, EntityId, Epoch, Kind, NodeId, Term};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Command, Hello, PROTOCOL, ServerMessage};
use gundo_wire::journal::Batch;

use crate::mutate::cut;
use crate::seeds::a_command;
use crate::world::rules;

/// Messages taken from one input.
const MESSAGES_MAX: usize = 64;
const WORLD_MS: u64 = 50_000_000;
const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const STRANGER: NodeId = NodeId(9);
const CONN: ConnId = ConnId(1);

/// A bit of the byte before a message: a stranger sends it.
const FROM_STRANGER: u8 = 1 << 2;
/// After the message, Ada sends a command that needs the land.
pub(crate) const THEN_COMMAND: u8 = 1 << 3;
/// After the message, this many times 60 ms pass.
const THEN_WAIT: u8 = 0b11;

/// The bytes of a peer, or of an append, decode to a message that encodes to the same, or to an error.
pub fn peer_message(data: &[u8]) -> bool {
    if let Ok(batch) = Batch::decode(Bytes::copy_from_slice(data)) {
        let again = batch.encode().map(Batch::decode).expect("it came in bytes");
        assert_eq!(again.as_ref(), Ok(&batch), "a batch changed");
    }
    let Ok((label, message)) = Peer::decode(Bytes::copy_from_slice(data)) else { return false };
    let again = message.encode(&label).expect("it came in one message");
    let (carried, back) = Peer::decode(again).expect("what was encoded decodes");
    assert_eq!((carried, format!("{back:?}")), (label, format!("{message:?}")), "a message changed");
    true
}

/// Whatever a peer sends, the node does not panic, its client receives valid messages, and a stranger changes nothing.
/// Returns whether anything in the input was a message.
pub fn peers(data: &[u8]) -> bool {
    let mut world = World::new();
    let understood = world.play(data);
    world.pass(3_000);
    understood
}

/// The entities that seeds mention.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// Ada, who is in the world.
    pub(crate) player: EntityId,
    /// The chunk she is in.
    pub(crate) here: ChunkId,
    /// Land whose home is the node.
    pub(crate) near_land: EntityId,
    /// Land whose home is its peer: she is there and sends commands that need it.
    pub(crate) far_land: EntityId,
}

/// The same in every world.
pub(crate) fn known() -> Known {
    let world = World::new();
    let here = world.here();
    let mut lands = here.around(3).map(land_id);
    let near_land = lands.find(|land| world.node.home(*land) == Some(ME)).expect("homes are spread");
    assert_eq!(world.node.home(land_id(here)), Some(PEER), "it is asked for a part");
    Known { player: world.player, here, near_land, far_land: land_id(here) }
}

fn land_id(chunk: ChunkId) -> EntityId {
    EntityId::new(Kind(2), chunk.to_u64())
}

/// One real node; the other exists only in its messages.
struct World {
    node: Seat,
    disk: Disk<()>,
    now: u64,
    inputs: Queue<Input>,
    player: EntityId,
    incarnation: u64,
    seq: u64,
}

impl World {
    /// Ada is in the world.
    fn new() -> Self {
        let mut disk = Disk::new(Store::new());
        let members = vec![disk.join(ME.0), disk.join(PEER.0)];
        let settings = settings(&members[0], [1; 32], &Arc::new(WorldSettings::default()), &rules());
        let mut world = Self {
            node: Seat::new(Node::new(settings), Clock::right(WORLD_MS)),
            disk,
            now: 0,
            inputs: Queue::new(),
            player: EntityId::default(),
            incarnation: members[1].incarnation,
            seq: 0,
        };
        world.handle(Input::View(View { epoch: Epoch(1), members }));
        let alive = Alive {
            confirmed_ms: 0,
            unreachable: vec![],
            unheard: false,
            world: None,
            sent_us: 0,
            echo_us: None,
        };
        world.says(Peer::Alive { epoch: Epoch(1), alive });
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

    /// Plays an input. Returns whether anything in it was a message.
    fn play(&mut self, data: &[u8]) -> bool {
        let mut understood = false;
        for act in cut(data).take(MESSAGES_MAX) {
            let Some((head, said)) = act.split_first() else { continue };
            if let Ok((label, message)) = Peer::decode(Bytes::copy_from_slice(said)) {
                let from = if head & FROM_STRANGER != 0 { STRANGER } else { PEER };
                self.handle(Input::Peer { from, label, message });
                understood = true;
            }
            if head & THEN_COMMAND != 0 {
                self.command();
            }
            self.pass(u64::from(head & THEN_WAIT) * 60);
        }
        understood
    }

    fn says(&mut self, message: Peer) {
        let label = Label { from: self.incarnation, ..Label::default() };
        self.handle(Input::Peer { from: PEER, label, message });
    }

    fn hears(&mut self, message: ClientMessage) {
        self.handle(Input::Client { conn: CONN, message });
    }

    /// The chunk Ada is in.
    fn here(&self) -> ChunkId {
        let ada = self.node.reals().find(|real| real.id == self.player);
        ada.and_then(|real| real.shown).map(|(chunk, ..)| chunk).unwrap_or_default()
    }

    /// Ada sends a command that needs the land she is on.
    fn command(&mut self) {
        self.seq += 1;
        let command = Command { seq: self.seq, payload: a_command(self.here()), ..Default::default() };
        self.hears(ClientMessage { commands: vec![command], ..Default::default() });
    }

    fn pass(&mut self, ms: u64) {
        self.run_until(self.now + ms * 1_000);
    }

    /// The input arrives at once, and so does everything that follows from it.
    fn handle(&mut self, input: Input) {
        self.inputs.push(self.now, input);
        self.run_until(self.now);
    }

    fn run_until(&mut self, end: u64) {
        while let Some((at, input)) = self.inputs.pop_until(end) {
            self.now = at;
            if matches!(input, Input::Timeout) && !self.node.is_woken(at) {
                continue;
            }
            let step = self.node.take(at, input);
            self.node.check();
            if let Some(due) = step.wake {
                self.inputs.push(due, Input::Timeout);
            }
            for output in step.outputs {
                self.output(output);
            }
        }
        self.now = end;
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { parts, .. } => {
                ServerMessage::decode(parts.concat().as_slice()).expect("a node speaks the protocol");
            }
            Output::Append(batch) => {
                for ended in self.disk.commit(vec![((), batch)], None) {
                    self.inputs.push(self.now, ended.into_input());
                }
            }
            Output::Load { entity, load } => {
                self.inputs.push(self.now, self.disk.load(entity, load));
            }
            Output::Wakes { asked, list } => self.inputs.push(self.now, self.disk.wakes(asked, list)),
            Output::List { kind, ids, max, list } => {
                self.inputs.push(self.now, self.disk.list(kind, ids, max, list));
            }
            Output::Peer {
                message: Peer::Home { message: HomeMessage::Locate { entity, .. }, .. }, ..
            } => self.player = entity,
            Output::Renew { sent } => {
                self.inputs.push(self.now, Input::Renewed { sent, renewal: Renewal::Renewed });
            }
            Output::Fenced => panic!("only the coordinator removes a node"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str) -> World {
        let (_, seed) = crate::seeds::peer_acts().into_iter().find(|(n, _)| *n == name).expect("a seed");
        let mut world = World::new();
        assert!(world.play(&seed), "{name}");
        world
    }

    /// The node does not reject the messages of the seeds at once, so that mutations reach the code behind the checks.
    #[test]
    fn the_seeds_reach_what_they_are_meant_to() {
        for (name, _) in crate::seeds::peer_acts() {
            // No decision in that world reads, so a public part that comes unasked is nonsense.
            let unasked = u64::from(name == "Seen" || name == "everything");
            // The heartbeat complains about nodes that are no members.
            let strangers = u64::from(name == "Alive" || name == "everything");
            // The peer has announced already.
            let again = u64::from(name == "Announce");
            // No kind of Pioneer takes messages.
            let untaken = u64::from(name == "Owes");
            // A piece alone makes no message.
            let pieces = u64::from(name == "Piece");
            let nonsense = after(name).node.counters().nonsense;
            assert_eq!(nonsense, unasked + strangers + again + untaken + pieces, "{name}");
        }
        let ends = |name| {
            let world = after(name);
            let c = world.node.counters();
            (c.commands_done, c.commands_refused, c.ghosts, c.sessions, world.node.holds(world.player))
        };
        assert_eq!(ends("Alive"), (0, 0, 0, 1, true));
        assert_eq!(ends("Frames"), (0, 0, 1, 1, true), "somebody is seen");
        assert_eq!(ends("Prepared"), (1, 0, 0, 1, true), "her command is done");
        assert_eq!(ends("PrepareRefused"), (0, 1, 0, 1, true), "it is refused");
        assert_eq!(ends("Superseded"), (0, 0, 0, 1, true), "a node that does not own her closes nothing");
        assert_eq!(ends("HandedOver"), (0, 0, 0, 1, false), "another node owns her");
    }
}
