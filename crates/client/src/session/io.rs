//! The values that go into a session and come out of it: settings, commands and their answers, events, outputs. The machine
//! that handles them is [`Session`].

use bytes::Bytes;
use gundo_types::EntityId;
use gundo_wire::client::{ClientMessage, Closing, Correction, Notice, Refusal, Stats, Welcome};

#[cfg(doc)]
use super::Session;
use crate::address::Address;

/// What a session needs to know before it starts.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Edges to try, in this order; later the list the edge sends. At least one.
    pub edges: Vec<Address>,
    /// Name of a new player; not used while there is a token.
    pub name: String,
    /// Resume token kept from an earlier run; empty: a new player.
    pub token: Bytes,
    /// Names a new player, so that its first Hello makes one player however often it is sent. It is a secret, because it
    /// gives the player to every client that knows it: draw it from the operating system's chance
    /// ([`draw_nonce`](crate::draw_nonce)), once for each new player. Only tests and simulations take it from elsewhere.
    /// Default: none; needed without a token.
    pub nonce: Option<[u8; 16]>,
    /// What operators see: program and version, at most 64 bytes.
    pub client: String,
    /// Seed of the chance in waits.
    pub seed: u64,
    /// How long an edge that is there may take to answer Hello, ms (default 10,000). Then another is tried.
    pub hello_wait_ms: u64,
    /// A ping goes out this often, ms (default 5,000).
    pub ping_every_ms: u64,
    /// A connection on which nothing came for this long is given up, ms (default 2,000): half of it into a silence a ping asks
    /// whether the edge is still there. Also how long opening a connection may take, doubled with each round over all
    /// edges, up to `hello_wait_ms`.
    pub silence_ms: u64,
    /// Wait after the first round over all edges that failed, at most, ms (default 200). It doubles with each. Within a round
    /// the next edge is tried within 50 ms.
    pub backoff_ms_min: u64,
    /// Longest wait between two rounds, ms (default 10,000).
    pub backoff_ms_max: u64,
    /// Commands without an answer that the server accepts (default 32); more wait here.
    pub commands_unanswered_max: usize,
    /// Commands that may wait here (default 1,024); then [`Full`].
    pub commands_waiting_max: usize,
}

impl SessionSettings {
    /// A new player called `name` at `edges`, all else as by default.
    pub fn new(edges: Vec<Address>, name: impl Into<String>) -> Self {
        Self {
            edges,
            name: name.into(),
            token: Bytes::new(),
            nonce: None,
            client: concat!("gundo-client ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: 0,
            hello_wait_ms: 10_000,
            ping_every_ms: 5_000,
            silence_ms: 2_000,
            backoff_ms_min: 200,
            backoff_ms_max: 10_000,
            commands_unanswered_max: 32,
            commands_waiting_max: 1_024,
        }
    }
}

/// A command of this client, whatever its seq on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Too many commands wait for an answer: slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many commands wait for an answer")]
pub struct Full;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which command.
    pub id: CommandId,
    /// Success with the game's reply, or a refusal without effect. The code `session_lost` is this client's own: the session
    /// ended before an answer came, and whether the command took effect is not known.
    pub result: Result<Bytes, Refusal>,
    /// From the wish to the answer, µs.
    pub waited_us: u64,
    /// How often it was sent.
    pub sends: u32,
}

/// What a session tells its user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// In the world, for the first time or again. Keep the token. A [`Picture`](crate::Picture) starts over by itself.
    Welcomed(Box<Welcome>),
    /// A command was answered.
    Answered(Answer),
    /// The player's private state.
    Own(Bytes),
    /// The body is elsewhere than the last moves asked.
    Corrected(Correction),
    /// Something the person should know, before it has consequences.
    Notice(Notice),
    /// The round trip of a ping, µs.
    RoundTrip(u64),
    /// How a watched entity looks now, or why it is not watched: see [`Session::watch`].
    Watched {
        /// Which one.
        entity: EntityId,
        /// The game's public state after its last durable change; `None`: there is nothing to see, or it is not watched.
        public: Option<Bytes>,
        /// It is not watched (any more): `not_allowed`, `no_such_kind`, `no_such_entity`, `too_many` or `not_ready`.
        refusal: Option<Refusal>,
        /// With a refusal: it was shown before. Forget it.
        gone: bool,
    },
    /// A message of the game to this player only. It may have been lost.
    Told(Bytes),
    /// What the edge measures, once per second while wanted.
    Stats(Stats),
    /// The hello was refused. Call [`Session::introduce`] with another name, or leave.
    Refused(Refusal),
    /// The connection is gone; the next attempt comes in this many ms.
    Lost {
        /// Wait before the next attempt, ms.
        again_in_ms: u64,
        /// What the edge said before it closed, if it said anything.
        closing: Option<Closing>,
    },
    /// The session is over and does not connect again by itself.
    Ended(Option<Closing>),
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a connection; answer with [`Session::handle_open`] or [`Session::handle_gone`].
    Connect(Address),
    /// Send this on the open connection.
    Send(ClientMessage),
    /// Close the connection (or give up opening it). [`Session::handle_gone`] is not expected any more.
    Disconnect,
    /// News for the user.
    Event(Event),
}
