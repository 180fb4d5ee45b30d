//! Which message each machine of a node has had in which state: for the simulator, which prints the pairs that no run has reached.
//!
//! Compiled in only with the feature `planted`. It looks at a message before the room that handles it does, and changes nothing.

use gundo_types::NodeId;
use gundo_wire::client::ClientMessage;
use gundo_wire::journal::Outcome;

use super::Node;
use crate::edge::Edge;
use crate::home::Home;
use crate::host::Host;
use crate::io::{Input, Renewal};
use crate::peer::{HandoffMessage, HomeMessage, Label, Peer, ToEdge, ToPlayer, TxMessage};

/// A machine: its states, and the messages it gets.
#[derive(Debug)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// Its states.
    pub states: &'static [&'static str],
    /// The messages.
    pub messages: &'static [&'static str],
}

/// An entity at its host.
pub const ENTITY: usize = 0;
/// A client's session at its edge.
pub const SESSION: usize = 1;
/// A node as a home.
pub const HOME: usize = 2;
/// An entity in a home's directory.
pub const DIRECTORY: usize = 3;
/// A member.
pub const MEMBER: usize = 4;
/// A link's receiving end.
pub const LINK: usize = 5;
/// A participant of a transaction.
pub const PARTICIPANT: usize = 6;
/// A transaction at its coordinator.
pub const COORDINATOR: usize = 7;

/// All machines.
pub const MACHINES: [Machine; 8] = [
    Machine {
        name: "entity",
        states: &[
            "absent",
            "arriving",
            "loading",
            "live",
            "settling",
            "fencing",
            "broken",
            "suspended",
            "freezing",
            "frozen",
        ],
        messages: &[
            "open",
            "resume",
            "command",
            "move",
            "gone",
            "loaded",
            "load failed",
            "append done",
            "append conflict",
            "append taken",
            "append rejected",
            "append unknown",
            "append outdated",
            "fence done",
            "fence conflict",
            "fence failed",
            "fence outdated",
            "offer",
            "offer refused",
            "granted",
            "disputed",
            "claimed",
            "claim refused",
            "kept",
            "handed over",
            "deliver",
            "watch",
        ],
    },
    Machine {
        name: "session",
        states: &["none", "closed", "greeting", "locating", "opening", "playing", "moving"],
        messages: &[
            "hello with a nonce",
            "hello with a token",
            "command",
            "move",
            "ping",
            "watch",
            "bye",
            "disconnected",
            "located",
            "opened",
            "resumed",
            "open refused",
            "not here",
            "moved to",
            "reply",
            "own",
            "center",
            "correction",
            "superseded",
            "doubted",
            "notice",
            "ended",
            "told",
            "seal",
        ],
    },
    Machine {
        name: "home",
        states: &["closed", "open"],
        messages: &["announce", "subscribe", "publish", "watch"],
    },
    Machine {
        name: "directory",
        states: &["closed", "nobody's", "owned", "disputed"],
        messages: &["locate", "claim", "keep", "tell", "confirmed", "released"],
    },
    Machine {
        name: "member",
        states: &["no view", "connecting", "connected", "unconfirmed"],
        messages: &[
            "view",
            "alive",
            "stale",
            "link broken",
            "link lost",
            "renewed",
            "removed",
            "renewal failed",
            "row stands",
            "row missing",
        ],
    },
    Machine {
        name: "link",
        states: &["stranger", "newcomer", "member", "broken"],
        messages: &[
            "next",
            "known",
            "gap",
            "unnumbered",
            "unnumbered after a gap",
            "of an earlier life",
            "before a reset",
            "after a reset",
        ],
    },
    Machine {
        name: "participant",
        states: &["absent", "not live", "free", "locked", "locked for another"],
        messages: &["prepare", "read", "commit", "abort", "fence", "conclude"],
    },
    Machine {
        name: "coordinator",
        states: &["unknown", "preparing", "backing off", "appending"],
        messages: &["prepared", "seen", "refused", "busy", "concluded"],
    },
];

/// How many messages a machine has at most.
const MESSAGES_MAX: usize = 32;
/// How many states.
const STATES_MAX: usize = 16;

/// The pairs that have happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// For each machine and state a bit for each message.
    seen: [[u32; STATES_MAX]; MACHINES.len()],
}

/// Notes an input, before it is handled.
pub(super) fn note_input(node: &mut Node, input: &Input) {
    let mut coverage = std::mem::take(&mut node.coverage);
    coverage.input(node, input);
    node.coverage = coverage;
}

/// Notes a peer's message that the links have passed, or one to the node itself, before it is handled.
pub(super) fn note_peer(node: &mut Node, message: &Peer) {
    let mut coverage = std::mem::take(&mut node.coverage);
    coverage.peer(node, message);
    node.coverage = coverage;
}

impl Coverage {
    /// What a peer's message would be if a node handled it now.
    pub fn of(node: &Node, message: &Peer) -> Self {
        let mut coverage = Self::default();
        coverage.peer(node, message);
        coverage
    }

    /// Whether this message was had in this state, both by their place in [`MACHINES`].
    pub fn has(&self, machine: usize, state: usize, message: usize) -> bool {
        self.seen[machine][state] >> message & 1 == 1
    }

    /// Whether it has all that another has.
    pub fn has_all(&self, other: &Self) -> bool {
        self.seen.iter().flatten().zip(other.seen.iter().flatten()).all(|(mine, theirs)| theirs & !mine == 0)
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.seen.iter_mut().flatten().zip(other.seen.iter().flatten()) {
            *mine |= theirs;
        }
    }

    fn note(&mut self, machine: usize, state: &str, message: &str) {
        let Machine { states, messages, .. } = &MACHINES[machine];
        assert!(states.len() <= STATES_MAX && messages.len() <= MESSAGES_MAX, "the table has room");
        let state = states.iter().position(|s| *s == state).expect("a state of this machine");
        let message = messages.iter().position(|m| *m == message).expect("a message of this machine");
        self.seen[machine][state] |= 1 << message;
    }

    fn input(&mut self, node: &Node, input: &Input) {
        let Node { core, host, edge, membership, .. } = node;
        let mut member = |message| self.note(MEMBER, membership.doing(core), message);
        match input {
            Input::View(_) => member("view"),
            Input::LinkBroken { .. } => member("link broken"),
            Input::LinkLost { .. } => member("link lost"),
            Input::Renewed { renewal: Renewal::Renewed, .. } => member("renewed"),
            Input::Renewed { renewal: Renewal::Removed, .. } => member("removed"),
            Input::Renewed { renewal: Renewal::Failed, .. } => member("renewal failed"),
            Input::Row { stands: true, .. } => member("row stands"),
            Input::Row { stands: false, .. } => member("row missing"),
            Input::Client { conn, message } => {
                let state = edge.doing(*conn);
                client_words(message).for_each(|word| self.note(SESSION, state, word));
            }
            Input::Gone { conn } => self.note(SESSION, edge.doing(*conn), "disconnected"),
            Input::Peer { from, label, .. } => self.link(node, *from, label),
            Input::Appended { batch, outcome } => {
                if let Some((id, fence)) = host.append_of(*batch) {
                    self.note(ENTITY, host.doing(id), outcome_word(outcome, fence));
                }
            }
            Input::Loaded { entity, result, .. } => {
                let word = if result.is_ok() { "loaded" } else { "load failed" };
                self.note(ENTITY, host.doing(*entity), word);
            }
            _ => {}
        }
    }

    fn link(&mut self, node: &Node, from: NodeId, label: &Label) {
        let Node { core, membership, links, .. } = node;
        let (state, word) = match membership.admits(core, from, label.from) {
            Err(false) => ("stranger", if label.number > 0 { "next" } else { "unnumbered" }),
            admitted => links.reading(core, admitted.is_err(), from, label),
        };
        self.note(LINK, state, word);
    }

    fn peer(&mut self, node: &Node, message: &Peer) {
        let Node { core, host, edge, home, membership, .. } = node;
        match message {
            Peer::Home { epoch, .. } if *epoch != core.view.epoch => {}
            Peer::Home { message, .. } => self.home(host, edge, home, message),
            Peer::Alive { .. } => self.note(MEMBER, membership.doing(core), "alive"),
            Peer::Stale { .. } => self.note(MEMBER, membership.doing(core), "stale"),
            Peer::ToPlayer { player, message, .. } => {
                self.note(ENTITY, host.doing(*player), player_word(message));
            }
            Peer::ToEdge { conn, message, .. } => self.note(SESSION, edge.doing(*conn), edge_word(message)),
            Peer::Handoff { entity, message, .. } => {
                let word = match message {
                    HandoffMessage::Image(_) => "offer",
                    HandoffMessage::Refused => "offer refused",
                };
                self.note(ENTITY, host.doing(*entity), word);
            }
            Peer::Transaction { tx, entity, message } => {
                let mut part = |word| self.note(PARTICIPANT, host.part_in(*tx, *entity), word);
                match message {
                    TxMessage::Prepare { .. } => part("prepare"),
                    TxMessage::Read => part("read"),
                    TxMessage::Commit => part("commit"),
                    TxMessage::Abort { .. } => part("abort"),
                    TxMessage::Fence => part("fence"),
                    TxMessage::Conclude(_) => part("conclude"),
                    TxMessage::Concluded(_) => self.note(COORDINATOR, host.coordinates(*tx), "concluded"),
                    TxMessage::Prepared(_) => self.note(COORDINATOR, host.coordinates(*tx), "prepared"),
                    TxMessage::Seen { .. } => self.note(COORDINATOR, host.coordinates(*tx), "seen"),
                    TxMessage::Refused(_) => self.note(COORDINATOR, host.coordinates(*tx), "refused"),
                    TxMessage::Busy => self.note(COORDINATOR, host.coordinates(*tx), "busy"),
                }
            }
            _ => {}
        }
    }

    fn home(&mut self, host: &Host, edge: &Edge, home: &Home, message: &HomeMessage) {
        use HomeMessage as M;
        let (machine, state, word) = match message {
            M::Announce { .. } => (HOME, home.doing(), "announce"),
            M::Subscribe(_) => (HOME, home.doing(), "subscribe"),
            M::Publish { .. } => (HOME, home.doing(), "publish"),
            M::Watch { entity, .. } if home.is_open() => (ENTITY, host.doing(*entity), "watch"),
            M::Watch { .. } => (HOME, home.doing(), "watch"),
            M::Locate { entity, .. } => (DIRECTORY, home.knows(*entity), "locate"),
            M::Claim { entity, .. } => (DIRECTORY, home.knows(*entity), "claim"),
            M::Keep { entity, .. } => (DIRECTORY, home.knows(*entity), "keep"),
            M::Tell { player, .. } => (DIRECTORY, home.knows(*player), "tell"),
            M::Confirmed { entity, .. } => (DIRECTORY, home.knows(*entity), "confirmed"),
            M::Released { entity, .. } => (DIRECTORY, home.knows(*entity), "released"),
            M::Located { entity, .. } => {
                edge.doing_for(*entity).for_each(|state| self.note(SESSION, state, "located"));
                return;
            }
            M::Granted { entity, .. } => {
                edge.doing_for(*entity).for_each(|state| self.note(SESSION, state, "located"));
                (ENTITY, host.doing(*entity), "granted")
            }
            M::Disputed { entity, .. } => (ENTITY, host.doing(*entity), "disputed"),
            M::Claimed { entity, .. } => (ENTITY, host.doing(*entity), "claimed"),
            M::ClaimRefused { entity, .. } => (ENTITY, host.doing(*entity), "claim refused"),
            M::Kept { entity, .. } => (ENTITY, host.doing(*entity), "kept"),
            M::HandedOver { entity, .. } => (ENTITY, host.doing(*entity), "handed over"),
            M::Deliver { player, .. } => (ENTITY, host.doing(*player), "deliver"),
            M::Subscribers { .. } | M::Watched { .. } => return,
        };
        self.note(machine, state, word);
        if matches!(message, M::Watch { .. }) && home.is_open() {
            self.note(HOME, home.doing(), "watch");
        }
    }
}

fn client_words(message: &ClientMessage) -> impl Iterator<Item = &'static str> {
    let hello = message.hello.as_ref().map(|hello| match hello.token.is_empty() {
        true => "hello with a nonce",
        false => "hello with a token",
    });
    let words = [
        hello,
        (!message.commands.is_empty()).then_some("command"),
        message.r#move.is_some().then_some("move"),
        message.ping.is_some().then_some("ping"),
        message.watch.is_some().then_some("watch"),
        message.bye.is_some().then_some("bye"),
    ];
    words.into_iter().flatten()
}

fn player_word(message: &ToPlayer) -> &'static str {
    match message {
        ToPlayer::Open { .. } => "open",
        ToPlayer::Resume { .. } => "resume",
        ToPlayer::Command { .. } => "command",
        ToPlayer::Move { .. } => "move",
        ToPlayer::Gone { .. } => "gone",
    }
}

fn edge_word(message: &ToEdge) -> &'static str {
    match message {
        ToEdge::Opened(_) => "opened",
        ToEdge::Resumed(_) => "resumed",
        ToEdge::OpenRefused(_) => "open refused",
        ToEdge::NotHere => "not here",
        ToEdge::MovedTo { .. } => "moved to",
        ToEdge::Reply { .. } => "reply",
        ToEdge::Own(_) => "own",
        ToEdge::Center(_) => "center",
        ToEdge::Correction { .. } => "correction",
        ToEdge::Superseded => "superseded",
        ToEdge::Doubted { .. } => "doubted",
        ToEdge::Notice(_) => "notice",
        ToEdge::Ended(_) => "ended",
        ToEdge::Told(_) => "told",
        ToEdge::Seal(_) => "seal",
    }
}

fn outcome_word(outcome: &Outcome, fence: bool) -> &'static str {
    match (outcome, fence) {
        (Outcome::Done, false) => "append done",
        (Outcome::Conflict, false) => "append conflict",
        (Outcome::Taken, false) => "append taken",
        (Outcome::Rejected(_), false) => "append rejected",
        (Outcome::Unknown, false) => "append unknown",
        (Outcome::Done, true) => "fence done",
        (Outcome::Conflict, true) => "fence conflict",
        (Outcome::Taken | Outcome::Rejected(_) | Outcome::Unknown, true) => "fence failed",
        (Outcome::Generation(_), false) => "append outdated",
        (Outcome::Generation(_), true) => "fence outdated",
    }
}
