//! What nodes say to each other. In one process these values travel as they are.
//!
//! Messages between two nodes arrive in the order in which they were sent. Those on which ownership or interest
//! hangs carry the sender's epoch: of an older one they are dropped (the sender has announced itself anew), of a newer
//! one they wait for the view.
//!
//! On a link between two processes they are the messages of `peer.proto`: `codec`.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, NodeId, Term, WorldTime};
use gundo_wire::journal::{NameChange, StreamAppend};

use crate::frame::ChunkFrame;
use crate::game::{Actor, Exists, Refusal};

/// A message between nodes.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A heartbeat.
    Alive {
        /// The sender's epoch.
        epoch: Epoch,
        /// Whether its last renewal succeeded.
        renews: bool,
        /// Members it has not been able to reach for the confirm time.
        unreachable: Vec<NodeId>,
    },
    /// What the receiver says is of a view that is past.
    Stale {
        /// The sender's epoch.
        epoch: Epoch,
    },
    /// To and from homes.
    Home {
        /// The sender's epoch.
        epoch: Epoch,
        /// What is said.
        message: HomeMessage,
    },
    /// A publisher's frames of one tick for one subscriber.
    Frames {
        /// Counts the publisher's bundles for this subscriber without gaps, from 1: a lost one is noticed.
        number: u64,
        /// At most one for each chunk.
        frames: Vec<ChunkFrame>,
    },
    /// What a publisher sent last, once per second: a lost last bundle is noticed too.
    Sent {
        /// Number of the last bundle.
        number: u64,
        /// Last roster numbers.
        rosters: Vec<(ChunkId, u32)>,
    },
    /// A subscriber missed a roster part and asks the publisher for a keyframe.
    KeyframeWanted(ChunkId),
    /// From the edge of a session to its player's real.
    ToPlayer {
        /// The player.
        player: EntityId,
        /// The session's line.
        line: Line,
        /// What is said.
        message: ToPlayer,
    },
    /// From a player's real to the edge of its session.
    ToEdge {
        /// The connection at the edge.
        conn: ConnId,
        /// The player.
        player: EntityId,
        /// What is said.
        message: ToEdge,
    },
    /// Between the owner of a player and the node it is to be handed to.
    Handoff {
        /// The player.
        entity: EntityId,
        /// The owner's term.
        term: Term,
        /// What is said.
        message: HandoffMessage,
    },
    /// Between the coordinator of a transaction and a participant.
    Transaction {
        /// Which transaction.
        tx: TxId,
        /// The participant.
        entity: EntityId,
        /// What is said.
        message: TxMessage,
    },
}

/// Beside the tiers that a node wants of a chunk: something lives on it that belongs to a chunk around, and sees what is near. It is
/// told as players are, and its subscription keeps nothing loaded.
pub(crate) const PLACES: u8 = 1 << 3;

/// Questions to homes, their answers, and what they are told.
#[derive(Clone, Debug)]
pub enum HomeMessage {
    /// After a new view: all that the sender holds, subscribes to and publishes whose home is the receiver.
    Announce {
        /// Roaming entities it holds.
        holds: Vec<(EntityId, Term)>,
        /// Chunks it subscribes to, as in [`Subscribe`](Self::Subscribe).
        subscribes: Vec<(ChunkId, u8)>,
        /// Chunks it publishes.
        publishes: Vec<ChunkId>,
        /// Nothing follows: on a link, a long announcement comes in parts.
        last: bool,
    },
    /// Where is it? If nobody holds it, the sender takes it.
    Locate {
        /// The roaming entity.
        entity: EntityId,
        /// The asker was sent there and did not find it.
        not: Option<(NodeId, Term)>,
    },
    /// It is there.
    Located {
        /// The entity.
        entity: EntityId,
        /// Its holder.
        holder: NodeId,
        /// The holder's term.
        term: Term,
    },
    /// Nobody holds it: the receiver does now.
    Granted {
        /// The entity.
        entity: EntityId,
        /// The new term.
        term: Term,
    },
    /// Somebody did not find it at the receiver, which should hold it: does it? The answer is `Confirmed` or `Released`.
    Disputed {
        /// The entity.
        entity: EntityId,
        /// The term as the home knows it.
        term: Term,
        /// If that was granted on a [`Claim`](Self::Claim): the term claimed.
        from: Option<Term>,
    },
    /// The sender has what it needs to go on with it: if its owner holds it still by this term, the sender takes it. The grant
    /// is the moment of change; after it the owner's copy is nothing.
    Claim {
        /// The roaming entity.
        entity: EntityId,
        /// Its owner, and by which term.
        from: (NodeId, Term),
    },
    /// It is the receiver's now, after a `Claim`.
    Claimed {
        /// The entity.
        entity: EntityId,
        /// The term claimed.
        from: Term,
        /// The new term.
        term: Term,
    },
    /// Its owner does not hold it by this term (any more).
    ClaimRefused {
        /// The entity.
        entity: EntityId,
        /// The term claimed.
        from: Term,
    },
    /// The sender has offered it to another node and hears nothing: is it still the sender's? If so, the home grants it a new
    /// term, by which the other one comes too late.
    Keep {
        /// The roaming entity.
        entity: EntityId,
        /// The term it was offered by.
        term: Term,
    },
    /// It is the receiver's still, after a `Keep`.
    Kept {
        /// The entity.
        entity: EntityId,
        /// The term it was offered by.
        from: Term,
        /// The new term.
        term: Term,
    },
    /// It is not the receiver's any more.
    HandedOver {
        /// The entity.
        entity: EntityId,
        /// The term that has ended.
        from: Term,
        /// Who holds it now, and by which term. `None`: whoever took it has let it go.
        to: Option<(NodeId, Term)>,
    },
    /// The sender holds it.
    Confirmed {
        /// The entity.
        entity: EntityId,
        /// Its term.
        term: Term,
    },
    /// The sender holds it no more.
    Released {
        /// The entity.
        entity: EntityId,
        /// The term that ends.
        term: Term,
    },
    /// Players at the sender's edge watch the entity. Repeated every 3 s: then it changes nothing.
    Watch {
        /// One that lives at its home, the receiver.
        entity: EntityId,
        /// Counts the sender's registrations, from 1.
        number: u64,
        /// All of them, in id order; none: nobody watches it any more.
        players: Vec<EntityId>,
        /// Number of the newest state that came; 0: somebody waits for one.
        seen: u64,
    },
    /// How a watched entity looks, and who does not watch it (any more).
    Watched {
        /// As asked.
        entity: EntityId,
        /// Number of the receiver's registration that was judged: this says nothing of players that later ones added.
        asked: u64,
        /// Players that do not watch it, each once.
        refused: Vec<(EntityId, WatchRefused)>,
        /// `None`: only the refusals are new.
        state: Option<WatchedState>,
    },
    /// To the home of a player: tell it this. May be lost.
    Tell {
        /// Who is told.
        player: EntityId,
        /// The game's message.
        message: Bytes,
    },
    /// From the home of a player to its owner: tell it this. May be lost.
    Deliver {
        /// Who is told.
        player: EntityId,
        /// The game's message.
        message: Bytes,
    },
    /// The sender wants these tiers of these chunks (bits; 8: for what lives on it with a place around; 0: none any more).
    Subscribe(Vec<(ChunkId, u8)>),
    /// The sender publishes the chunk, or stops.
    Publish {
        /// The chunk.
        chunk: ChunkId,
        /// Whether it has real entities there.
        on: bool,
    },
    /// Who subscribes to a chunk: the whole list, for its publishers.
    Subscribers {
        /// The chunk.
        chunk: ChunkId,
        /// Node and tiers (bits), in node order.
        list: Vec<(NodeId, u8)>,
    },
}

/// How a watched entity looks as of its last durable event.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedState {
    /// Counts what its home has shown, from 1: of two states in one view, the lower is stale.
    pub number: u64,
    /// The game's; `None`: there is nothing to see.
    pub public: Option<Bytes>,
}

/// Why a player does not watch an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRefused {
    /// The entity's rules do not let it.
    NotAllowed,
    /// Nothing has ever happened to the entity.
    NoSuchEntity,
    /// As many players as may watch it already.
    TooMany,
    /// Its journal cannot be read, or its code fails.
    NotReady,
}

/// One session's line: the connection at an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The edge's node.
    pub edge: NodeId,
    /// The connection there.
    pub conn: ConnId,
}

/// The secret that proves whose player it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A new player's nonce, which its id is made from. Until a token has been used it is one itself, so that the first
    /// hello can be said again, whatever became of it.
    Nonce([u8; 16]),
    /// The secret half of a resume token.
    Token([u8; 16]),
}

impl Key {
    /// The secret itself.
    pub fn secret(&self) -> &[u8; 16] {
        match self {
            Self::Nonce(secret) | Self::Token(secret) => secret,
        }
    }
}

/// What an edge says to a player's real.
#[derive(Clone, Debug)]
pub enum ToPlayer {
    /// Adopt the session into this line.
    Open {
        /// Whose player it is.
        key: Key,
        /// A new player's wished name.
        name: String,
    },
    /// The node that had the player is gone: the session goes on in this line, if no newer one has adopted it.
    Resume {
        /// As the session's line knows it.
        adoption: u64,
        /// Where the body was last, as far as the edge knows.
        body: Body,
    },
    /// A command of the client.
    Command {
        /// Its number in the session.
        seq: u64,
        /// The game's message.
        payload: Bytes,
        /// Nodes were lost over it: answer it if it has taken effect, and do not decide it any more.
        question: bool,
    },
    /// Where the client wants its body.
    Move {
        /// The client's count.
        seq: u32,
        /// The wish.
        body: Body,
    },
    /// The connection is gone.
    Gone {
        /// The client said that it leaves.
        leave: bool,
    },
}

/// What is said about a handoff between the two nodes. The rest is said to the player's home.
#[derive(Clone, Debug)]
pub enum HandoffMessage {
    /// The owner has stopped and offers all it has.
    Image(Box<Image>),
    /// The receiver does not want it, and has not claimed it.
    Refused,
}

/// A player between two nodes: nothing of it is on its way anywhere else.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its durable state, as a snapshot in the journal has it.
    pub snapshot: Bytes,
    /// Seq of its last event.
    pub seq: u64,
    /// Seq of the last event a snapshot was written of.
    pub snapshot_seq: u64,
    /// When its last event happened.
    pub last_at: WorldTime,
    /// Where it is.
    pub body: Option<Body>,
    /// The chunk its sight is centred on.
    pub center: Option<ChunkId>,
    /// The connection that plays it.
    pub line: Option<Line>,
    /// Whether it stands in the world for others to see.
    pub present: bool,
    /// Without a line: how long it stays, ms.
    pub grace_left_ms: Option<u64>,
    /// Highest seq decided.
    pub last_seq: u64,
    /// Refusals a repeat is given again: seq, fingerprint, answer.
    pub refusals: Vec<(u64, u64, Refusal)>,
    /// Distance it may go at once, mm.
    pub credit_mm: u64,
    /// How long ago it moved, µs.
    pub rested_us: u64,
    /// How long ago its place became durable, µs.
    pub placed_us: u64,
    /// A receiver that has more players than this is too busy for it.
    pub players_max: usize,
}

/// What a player's real says to the edge of its session.
#[derive(Clone, Debug)]
pub enum ToEdge {
    /// The session is this line's now.
    Opened(Box<Opened>),
    /// The session goes on in this line, after [`ToPlayer::Resume`].
    Resumed(Box<Resumed>),
    /// It is not.
    OpenRefused(Refusal),
    /// The real is not here: ask the home again.
    NotHere,
    /// The player is real on another node now: said by both, for either may be gone.
    MovedTo {
        /// That node.
        holder: NodeId,
        /// Its term.
        term: Term,
    },
    /// The answer to a command.
    Reply {
        /// Its number.
        seq: u64,
        /// The game's reply, or a refusal.
        result: Result<Bytes, Refusal>,
    },
    /// The player's private state as of its last durable event.
    Own(Bytes),
    /// The player's sight is centred on this chunk now.
    Center(ChunkId),
    /// A move was not accepted.
    Correction {
        /// The move's count.
        seq: u32,
        /// Where the body is instead.
        body: Body,
        /// Why.
        code: String,
    },
    /// Another line has adopted the session.
    Superseded,
    /// Another node was lost over a part of this command.
    Doubted {
        /// Its number.
        seq: u64,
    },
    /// Something the person should know.
    Notice(Refusal),
    /// The player takes no more part in the world for now.
    Ended(Refusal),
    /// A decision told the player this.
    Told(Bytes),
}

/// An adopted session.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The next resume token's secret half.
    pub token: [u8; 16],
    /// Seq of the next new command.
    pub next_seq: u64,
    /// How many times the session was adopted.
    pub adoption: u64,
    /// Where the body is.
    pub body: Body,
    /// Where the sight is centred.
    pub center: ChunkId,
    /// Private state.
    pub own: Bytes,
}

/// A session that goes on at another node.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// Where the body is.
    pub body: Body,
    /// Where the sight is centred.
    pub center: ChunkId,
    /// Private state.
    pub own: Bytes,
}

/// A transaction: the node that coordinates it and its count there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxId {
    /// The coordinator.
    pub node: NodeId,
    /// Its incarnation's count.
    pub count: u64,
}

/// How old a transaction is: world time of its first try, then node and count. Smaller is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub u64, pub NodeId, pub u64);

/// What the coordinator and the participants of a transaction say.
#[derive(Clone, Debug)]
pub enum TxMessage {
    /// To a participant: decide this, take nothing else, append nothing.
    Prepare {
        /// The transaction's age.
        age: Age,
        /// What it is asked.
        ask: Bytes,
        /// Whether it must exist.
        exists: Exists,
        /// Who asks.
        actor: Actor,
    },
    /// To an entity: show your public part. Nothing is locked.
    Read,
    /// Its public part as of its last durable event.
    Seen {
        /// `None`: it shows nothing, or nobody created it.
        public: Option<Bytes>,
    },
    /// Its decision.
    Prepared(Box<Prepared>),
    /// It refuses.
    Refused(Refusal),
    /// It is locked by another transaction, or promised to an older one.
    Busy,
    /// The append landed.
    Commit,
    /// The append did not land, or was never sent. `reload`: one was sent and failed.
    Abort {
        /// Load the entity anew.
        reload: bool,
    },
    /// The append's outcome is unknown: find out.
    Fence,
}

/// Between two registrations of an entity that is watched, ms: a lost one, or a lost answer, costs so much at most.
pub(crate) const WATCH_EVERY_MS: u64 = 3_000;

/// A command over which so many nodes were lost is not decided any more: it is asked as a question.
pub(crate) const LOSSES_MAX: u8 = 2;

/// The message that brings a player's word to its real.
pub(crate) fn to_player(player: EntityId, line: Line, message: ToPlayer) -> Peer {
    Peer::ToPlayer { player, line, message }
}

impl HomeMessage {
    /// Whether a home says it, rather than hears it.
    pub(crate) fn is_from_home(&self) -> bool {
        match self {
            Self::Located { .. } | Self::Granted { .. } | Self::Disputed { .. } | Self::Claimed { .. } => {
                true
            }
            Self::ClaimRefused { .. } | Self::Kept { .. } | Self::HandedOver { .. } => true,
            Self::Subscribers { .. } | Self::Watched { .. } | Self::Deliver { .. } => true,
            Self::Announce { .. } | Self::Subscribe(_) | Self::Publish { .. } | Self::Locate { .. } => false,
            Self::Claim { .. } | Self::Keep { .. } | Self::Confirmed { .. } | Self::Released { .. } => false,
            Self::Watch { .. } | Self::Tell { .. } => false,
        }
    }
}

impl TxMessage {
    /// Whether it is a participant's word to the coordinator.
    pub(crate) fn is_an_answer(&self) -> bool {
        matches!(self, Self::Prepared(_) | Self::Seen { .. } | Self::Refused(_) | Self::Busy)
    }
}

/// A participant's decision.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its events, to be appended by the coordinator.
    pub stream: StreamAppend,
    /// Names it takes and releases.
    pub names: Vec<NameChange>,
    /// What it answers.
    pub reply: Bytes,
    /// Incarnation of its node.
    pub incarnation: u64,
}
