//! The operations on the nodes of a running world, and their answers.

use std::borrow::Cow;
use std::sync::mpsc::{Sender, channel};

use gundo_types::{EntityId, NodeId};

use crate::supervisor::Signal;

/// A handle to the nodes of a running world. Cheap to clone; it may outlive the world.
#[derive(Clone, Debug)]
pub struct Control(pub(crate) Sender<Signal>);

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It runs, and does not accept clients yet.
    Starting,
    /// It runs and accepts clients.
    Up,
    /// Its logic thread is frozen.
    Paused,
    /// It hands over what it has, and then ends.
    Draining,
    /// It ended by itself and will start again.
    Restarting,
    /// It does not run.
    Down,
    /// It runs in another process, which does not answer.
    Silent,
}

impl NodeState {
    /// The state that [`word`](Self::word) names.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Starting,
            Self::Up,
            Self::Paused,
            Self::Draining,
            Self::Restarting,
            Self::Down,
            Self::Silent,
        ];
        all.into_iter().find(|state| state.word() == word)
    }

    /// One word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Restarting => "restarting",
            Self::Down => "down",
            Self::Silent => "silent",
        }
    }
}

/// The status of a node. Counts are as of the last second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// Its incarnation; 0: it does not run.
    pub incarnation: u64,
    /// Where clients of this machine find its edge: the address that the process listens on, and the node's path.
    pub address: String,
    /// Its state.
    pub state: NodeState,
    /// Whether the current view lists it.
    pub member: bool,
    /// Clients of its edge.
    pub sessions: u64,
    /// Entities real there.
    pub reals: u64,
    /// Entities seen there and real elsewhere.
    pub ghosts: u64,
    /// Chunks it subscribes to, for its clients' sight and around players that are real there.
    pub chunks: u64,
}

/// The status of all nodes of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorldStatus {
    /// Number of the current view.
    pub epoch: u64,
    /// Every node that runs or has run, in order.
    pub nodes: Vec<NodeStatus>,
    /// Nodes that a rollout has yet to restart, starting with the current one; empty: no rollout is under way.
    pub rollout: Vec<NodeId>,
}

/// An operation was refused: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// Stable code.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do, for people.
    pub text: String,
}

impl Refused {
    /// A refusal with this code.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }

    pub(crate) fn draining(node: NodeId) -> Self {
        Self::new("draining", format!("node {} is being drained", node.0))
    }

    pub(crate) fn rollout() -> Self {
        Self::new("rollout", "a rollout is under way: wait for its end")
    }
}

/// The caller that waits for an operation. Dropping it without an answer means that the world has ended.
#[derive(Debug)]
pub(crate) struct Asker(Sender<Result<Answer, Refused>>);

impl Asker {
    pub(crate) fn new(tx: Sender<Result<Answer, Refused>>) -> Self {
        Self(tx)
    }

    pub(crate) fn answer(self, answer: Answer) {
        // The caller may be gone.
        let _ = self.0.send(Ok(answer));
    }

    pub(crate) fn refuse(self, refused: Refused) {
        let _ = self.0.send(Err(refused));
    }
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Nodes,
    Kill(NodeId),
    Pause(NodeId),
    Resume(NodeId),
    Drain(NodeId),
    Add,
    Rollout,
    Renew(NodeId),
    Blamed,
    Here,
    Pardon(EntityId),
    /// So many invitations, for so many days.
    Invite(u16, u16),
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    World(WorldStatus),
    Node(NodeId),
    Blamed(Vec<(EntityId, u8)>),
    Pardoned,
    Invitations(Vec<String>),
}

impl Control {
    /// The status of every node.
    ///
    /// # Errors
    /// `stopped`: the world has ended.
    pub fn nodes(&self) -> Result<WorldStatus, Refused> {
        match self.ask(Request::Nodes)? {
            Answer::World(status) => Ok(status),
            _ => unreachable!("a question about the world is answered with the world"),
        }
    }

    /// Ends a node as a crash would: no goodbye. It stays down until [`add`](Self::add).
    ///
    /// # Errors
    /// `unknown_node`, `node_down`, `last_node` (nobody could take over), `stopped`.
    pub fn kill(&self, node: NodeId) -> Result<(), Refused> {
        self.ask(Request::Kill(node)).map(drop)
    }

    /// Freezes a node's logic thread, as if its machine hung.
    ///
    /// # Errors
    /// `unknown_node`, `node_down`, `paused` (it is already), `draining`, `stopped`.
    pub fn pause(&self, node: NodeId) -> Result<(), Refused> {
        self.ask(Request::Pause(node)).map(drop)
    }

    /// Unfreezes a paused node. If the others have removed it, it finds out, ends, and starts as another incarnation.
    ///
    /// # Errors
    /// `unknown_node`, `node_down`, `not_paused`, `stopped`.
    pub fn resume(&self, node: NodeId) -> Result<(), Refused> {
        self.ask(Request::Resume(node)).map(drop)
    }

    /// Drains a node in the background: it hands over what it has, sends its clients to other edges, and ends.
    ///
    /// # Errors
    /// `unknown_node`, `node_down`, `last_node`, `draining` (it is already), `paused`, `rollout` (one is under way), `storage`,
    /// `stopped`.
    pub fn drain(&self, node: NodeId) -> Result<(), Refused> {
        self.ask(Request::Drain(node)).map(drop)
    }

    /// Starts a node: the lowest number that does not run.
    ///
    /// # Errors
    /// `too_many_nodes`, `storage`, `stopped`.
    pub fn add(&self) -> Result<NodeId, Refused> {
        match self.ask(Request::Add)? {
            Answer::Node(node) => Ok(node),
            _ => unreachable!("an added node is answered with its number"),
        }
    }

    /// Restarts every node in the background, one after another: drain, start again, wait until it is up. The rollout
    /// continues even if the caller is gone.
    ///
    /// # Errors
    /// `last_node` (a world of one node cannot restart without a pause), `rollout` (one is under way), `not_whole` (a node
    /// is paused or draining), `storage`, `stopped`.
    pub fn rollout(&self) -> Result<(), Refused> {
        self.ask(Request::Rollout).map(drop)
    }

    /// Restarts a node in the background: it hands over what it has, and starts again. In a cluster its whole process starts again,
    /// from the program's file as it is then.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub fn renew(&self, node: NodeId) -> Result<(), Refused> {
        self.ask(Request::Renew(node)).map(drop)
    }

    /// The status of the nodes of this process only.
    ///
    /// # Errors
    /// `stopped`: the world has ended.
    pub fn here(&self) -> Result<WorldStatus, Refused> {
        match self.ask(Request::Here)? {
            Answer::World(status) => Ok(status),
            _ => unreachable!("a question about nodes is answered with them"),
        }
    }

    /// The entities whose code took nodes down, each with its points. From [`BLAME_LIMIT`](gundo_kernel::game::BLAME_LIMIT) points
    /// on an entity is not loaded, and answers `suspended`.
    ///
    /// # Errors
    /// `stopped`.
    pub fn blamed(&self) -> Result<Vec<(EntityId, u8)>, Refused> {
        match self.ask(Request::Blamed)? {
            Answer::Blamed(blamed) => Ok(blamed),
            _ => unreachable!("a question about the blamed is answered with them"),
        }
    }

    /// Forgets that nodes were lost over `entity`: it is loaded again.
    ///
    /// # Errors
    /// `not_blamed`, `stopped`.
    pub fn pardon(&self, entity: EntityId) -> Result<(), Refused> {
        self.ask(Request::Pardon(entity)).map(drop)
    }

    /// Makes invitations, each for one new player. `days`: how long they are good, from the end of this day of the world on; 0: for ever.
    /// Nothing is written down: the world knows its own.
    ///
    /// # Errors
    /// `bad_count`, `stopped`.
    pub fn invite(&self, count: u16, days: u16) -> Result<Vec<String>, Refused> {
        match self.ask(Request::Invite(count, days))? {
            Answer::Invitations(all) => Ok(all),
            _ => unreachable!("a wish for invitations is answered with them"),
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, Refused> {
        let stopped = || Refused::new("stopped", "this world has ended");
        let (tx, rx) = channel();
        self.0.send(Signal::Control(request, Asker(tx))).map_err(|_| stopped())?;
        rx.recv().map_err(|_| stopped())?
    }
}
