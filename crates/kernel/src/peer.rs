//! The messages between nodes. In one process these values travel as they are.
//!
//! Messages between two nodes arrive in the order in which they were sent. Those that ownership or interest depends on carry
//! the sender's epoch. If it is older than the receiver's, the message is dropped: the sender announces itself again in the new
//! view. If it is newer, the message waits for the view.
//!
//! On a link between two processes they travel as the messages of `peer.proto`: see `codec`. What must arrive has a number: see
//! `link`.

mod key;
mod label;
mod mail;
mod recovery;
mod seal;
mod tx;
mod weight;

pub use key::{Key, Token, WorldSecret};
pub use label::Label;
pub use mail::{MailMessage, Order, OrderEnd, Owes};
pub(crate) use recovery::{Code, NoCode};
pub use seal::Placed;
pub use tx::{Age, Prepared, TxId, TxMessage};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, ConnId, EntityId, Epoch, NodeId, Term, WorldTime};

use crate::frame::ChunkFrame;
use crate::game::{Paces, Refusal};

/// An answer to a player's command that the journal does not have: its seq, the fingerprint of its payload, and the answer.
pub type Unrecorded = (u64, u64, Result<Bytes, Refusal>);

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// How long ago the coordinator or the journal last confirmed that the sender belongs, ms.
    pub confirmed_ms: u32,
    /// Members that the sender has not been able to reach for the confirm time.
    pub unreachable: Vec<NodeId>,
    /// The sender has not heard anything from the receiver yet.
    pub unheard: bool,
    /// World time at the sender; `None`: it does not say.
    pub world: Option<WorldTime>,
    /// Node time at the sender, µs.
    pub sent_us: u64,
    /// `sent_us` of the last heartbeat that the sender got from the receiver, plus the time that has passed since; `None`: it got none.
    /// So the receiver knows how old this heartbeat is at most.
    pub echo_us: Option<u64>,
}

/// A message between nodes.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A heartbeat.
    Alive {
        /// The sender's epoch.
        epoch: Epoch,
        /// What it says.
        alive: Alive,
    },
    /// The receiver's view is stale.
    Stale {
        /// The sender's epoch.
        epoch: Epoch,
    },
    /// The sender's link says which messages have arrived (in the [`Label`]). `again`: one is missing, so it takes none that come
    /// after: send all from there again.
    Heard {
        /// Something is missing.
        again: bool,
    },
    /// A piece of a message that is too long for one: see `link::pieces`.
    Piece {
        /// Never none. All pieces end to end are the encoded message.
        bytes: Bytes,
        /// How many follow.
        left: u32,
    },
    /// An arrow of a later version, which this one does not know: ignored.
    Later,
    /// To and from homes.
    Home {
        /// The sender's epoch.
        epoch: Epoch,
        /// The message.
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
    /// A subscriber missed bundles, from this number on: it asks the publisher for keyframes of the chunks with news since.
    Missed {
        /// Number of the first.
        first: u64,
    },
    /// A subscriber missed a roster part and asks the publisher for a keyframe.
    KeyframeWanted(ChunkId),
    /// From the edge of a session to its player's real.
    ToPlayer {
        /// The player.
        player: EntityId,
        /// The session's connection.
        line: Line,
        /// The message.
        message: ToPlayer,
    },
    /// From a player's real to the edge of its session.
    ToEdge {
        /// The connection at the edge.
        conn: ConnId,
        /// The player.
        player: EntityId,
        /// The message.
        message: ToEdge,
    },
    /// Between the owner of a player and the node it is to be handed to.
    Handoff {
        /// The player.
        entity: EntityId,
        /// The owner's term.
        term: Term,
        /// The message.
        message: HandoffMessage,
    },
    /// Between the coordinator of a transaction and a participant.
    Transaction {
        /// Which transaction.
        tx: TxId,
        /// The participant.
        entity: EntityId,
        /// The message.
        message: TxMessage,
    },
    /// Between two entities, of which one owes the other a message.
    Mail {
        /// Whom it is for.
        entity: EntityId,
        /// The message.
        message: MailMessage,
    },
}

/// A bit beside the tiers that a node wants of a chunk: the node has entities with a place in a nearby chunk, which see this
/// one. It gets the frames that players get, but this subscription keeps nothing loaded.
pub(crate) const PLACES: u8 = 1 << 3;

/// Entries of one message with a list that may be long: what has more comes in several messages. The largest entry has less than
/// 64 bytes on a link.
pub(crate) const PART_ENTRIES_MAX: usize = 1_000;

/// Questions and news for homes, and their answers.
#[derive(Clone, Debug)]
pub enum HomeMessage {
    /// After a new view: everything at home at the receiver that the sender owns, subscribes to or publishes.
    Announce {
        /// Entities that it owns: all roaming ones, and at-home ones that it has not unloaded yet.
        holds: Vec<(EntityId, Term)>,
        /// Chunks it subscribes to, as in [`Subscribe`](Self::Subscribe).
        subscribes: Vec<(ChunkId, u8)>,
        /// Chunks it publishes.
        publishes: Vec<ChunkId>,
        /// The last part: a long announcement comes in parts.
        last: bool,
    },
    /// Where is it? If nobody owns it, the sender takes it.
    Locate {
        /// The roaming entity.
        entity: EntityId,
        /// The sender looked there and did not find it.
        not: Option<(NodeId, Term)>,
    },
    /// It is there.
    Located {
        /// The entity.
        entity: EntityId,
        /// Its owner.
        holder: NodeId,
        /// The owner's term.
        term: Term,
    },
    /// Nobody owned it: the receiver does now.
    Granted {
        /// The entity.
        entity: EntityId,
        /// The new term.
        term: Term,
    },
    /// Another node did not find it at the receiver, its recorded owner: does the receiver own it? The answer is `Confirmed` or
    /// `Released`.
    Disputed {
        /// The entity.
        entity: EntityId,
        /// The term that the home has recorded.
        term: Term,
        /// If the home granted that term on a [`Claim`](Self::Claim): the term claimed.
        from: Option<Term>,
    },
    /// The sender has all it needs to go on with it: if the owner still has this term, the sender takes over. The grant is the
    /// moment of change: from then on the old owner's copy is void.
    Claim {
        /// The roaming entity.
        entity: EntityId,
        /// Its owner, and the owner's term.
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
    /// Its owner does not have this term (any more).
    ClaimRefused {
        /// The entity.
        entity: EntityId,
        /// The term claimed.
        from: Term,
    },
    /// The sender has offered it to another node and got no answer: does the sender still own it? If so, the home grants a new
    /// term, and a claim of the old term fails.
    Keep {
        /// The roaming entity.
        entity: EntityId,
        /// The term it was offered by.
        term: Term,
    },
    /// The receiver still owns it, after a `Keep`.
    Kept {
        /// The entity.
        entity: EntityId,
        /// The term it was offered by.
        from: Term,
        /// The new term.
        term: Term,
    },
    /// The receiver does not own it any more.
    HandedOver {
        /// The entity.
        entity: EntityId,
        /// The term that has ended.
        from: Term,
        /// Who owns it now, and the term. `None`: the new owner has already unloaded it.
        to: Option<(NodeId, Term)>,
    },
    /// The sender owns it.
    Confirmed {
        /// The entity.
        entity: EntityId,
        /// Its term.
        term: Term,
    },
    /// The sender does not own it any more.
    Released {
        /// The entity.
        entity: EntityId,
        /// The term that ends.
        term: Term,
    },
    /// Players at the sender's edge watch the entity. Repeated every 3 s: then it changes nothing.
    Watch {
        /// An at-home entity; the receiver is its home.
        entity: EntityId,
        /// Counts the sender's registrations, from 1.
        number: u64,
        /// All of them, in id order; empty: nobody watches it any more.
        players: Vec<EntityId>,
        /// Number of the newest state that has arrived; 0: somebody waits for one.
        seen: u64,
    },
    /// How a watched entity looks, and which players do not watch it (any more).
    Watched {
        /// The entity of the registration.
        entity: EntityId,
        /// Number of the registration that this judges: it says nothing about players that later registrations added.
        asked: u64,
        /// Players that do not watch it, each once.
        refused: Vec<(EntityId, WatchRefused)>,
        /// `None`: only the refusals changed.
        state: Option<WatchedState>,
    },
    /// To the home of a player: a message for it. May be lost.
    Tell {
        /// The player who gets it.
        player: EntityId,
        /// The game's message.
        message: Bytes,
    },
    /// From the home of a player to its owner: a message for the player. May be lost.
    Deliver {
        /// The player who gets it.
        player: EntityId,
        /// The game's message.
        message: Bytes,
    },
    /// The sender wants these tiers of these chunks (bits; 8: for its entities with a place nearby; 0: nothing any more).
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
    /// Counts the states that its home has shown, from 1: of two states in one view, the lower is stale.
    pub number: u64,
    /// The game's; `None`: there is nothing to see.
    pub public: Option<Bytes>,
}

/// Why a player does not watch an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRefused {
    /// The entity's rules do not allow it.
    NotAllowed,
    /// The entity has no events.
    NoSuchEntity,
    /// The maximum number of players watch it already.
    TooMany,
    /// Its journal cannot be read, or its code fails.
    NotReady,
}

/// The connection that a session uses: an edge, and a connection there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The edge's node.
    pub edge: NodeId,
    /// The connection there.
    pub conn: ConnId,
}

/// A silence of a client's line counts for so long at most, ms: a cheat who is silent on purpose gains a leap of that way, and the
/// second that everybody saves up.
pub(crate) const LATE_MS_MAX: u64 = 4_000;

/// Messages from an edge to a player's real.
#[derive(Clone, Debug)]
pub enum ToPlayer {
    /// Adopt the session for this connection.
    Open {
        /// Whose player it is.
        key: Key,
        /// The name that a new player wishes for.
        name: String,
        /// Where its owner saw it last, as its client has kept it sealed.
        place: Option<Placed>,
    },
    /// The player's node was lost: the session goes on with this connection, unless a newer one has adopted it.
    Resume {
        /// The adoption that the edge has recorded.
        adoption: u64,
        /// Where the client wants its body.
        body: Body,
        /// Where the edge last saw it, as its last owner showed it.
        seen: Option<Body>,
        /// For how long no owner has checked the client's moves, ms.
        waited_ms: u64,
    },
    /// A command of the client.
    Command {
        /// Its number in the session.
        seq: u64,
        /// The game's message.
        payload: Bytes,
        /// Nodes were lost over it: answer it if it has taken effect, but do not decide it again.
        question: bool,
    },
    /// Where the client wants its body.
    Move {
        /// The client's count.
        seq: u32,
        /// The wish.
        body: Body,
        /// For so long the client's line was silent before, ms: the move may have been made at any time since. At most
        /// `LATE_MS_MAX`.
        late_ms: u64,
    },
    /// The connection has closed.
    Gone {
        /// The client logged out.
        leave: bool,
    },
}

/// Messages about a handoff between the two nodes. The others go to and from the player's home.
#[derive(Clone, Debug)]
pub enum HandoffMessage {
    /// The owner has stopped and offers all it has.
    Image(Box<Image>),
    /// The receiver does not want it, and has not claimed it.
    Refused,
}

/// A player between two nodes. Nothing else of it is in flight.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its durable state, encoded as a snapshot in the journal.
    pub snapshot: Bytes,
    /// Seq of its last event.
    pub seq: u64,
    /// Seq of the last event that a written snapshot covers.
    pub snapshot_seq: u64,
    /// When its last event happened.
    pub last_at: WorldTime,
    /// Where it is.
    pub body: Option<Body>,
    /// The chunk its sight is centred on.
    pub center: Option<ChunkId>,
    /// The connection that its session uses.
    pub line: Option<Line>,
    /// Whether it stands in the world for others to see.
    pub present: bool,
    /// Without a connection: how long it stays, ms.
    pub grace_left_ms: Option<u64>,
    /// Highest seq decided.
    pub last_seq: u64,
    /// Answers that repeats get again and the journal does not have.
    pub unrecorded: Vec<Unrecorded>,
    /// What it has used up of its paces.
    pub paces: Paces,
    /// Distance it may go at once, mm.
    pub credit_mm: u64,
    /// How long ago it moved, µs.
    pub rested_us: u64,
    /// How long ago its place became durable, µs.
    pub placed_us: u64,
    /// A receiver with more players than this refuses the offer.
    pub players_max: usize,
}

/// Messages from a player's real to the edge of its session.
#[derive(Clone, Debug)]
pub enum ToEdge {
    /// This connection has adopted the session.
    Opened(Box<Opened>),
    /// The session goes on with this connection, after [`ToPlayer::Resume`].
    Resumed(Box<Resumed>),
    /// It has not.
    OpenRefused(Refusal),
    /// The real is not here: ask the home again.
    NotHere,
    /// The player is real on another node now. The old owner and the new one both send this, since either may be lost.
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
    /// Another connection has adopted the session.
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
    /// A decision's message to the player.
    Told(Bytes),
    /// Where the player walks, sealed for its client.
    Seal(Bytes),
}

/// An adopted session.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What follows the player's id in the next resume token: a [`Token`], or 16 bytes from a node of an earlier version.
    pub token: Bytes,
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
    /// The number of its next recovery code; 0: there is none.
    pub code: u16,
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

/// Between two registrations of a watched entity, ms: the longest delay that a lost registration or answer costs.
pub(crate) const WATCH_EVERY_MS: u64 = 3_000;

/// After so many nodes were lost over a command, the edge resends it only as a question.
pub(crate) const LOSSES_MAX: u8 = 2;

/// Wraps an edge's message to a player's real.
pub(crate) fn to_player(player: EntityId, line: Line, message: ToPlayer) -> Peer {
    Peer::ToPlayer { player, line, message }
}

impl HomeMessage {
    /// Whether a home sends it, rather than receives it.
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
