//! The values that go into a session and come out of it: settings, commands and their answers, events, outputs. [`Session`]
//! handles them.

use bytes::Bytes;
use gundo_types::EntityId;
use gundo_wire::client::{ClientMessage, Closing, Correction, Notice, Refusal, Stats, Welcome};

#[cfg(doc)]
use super::Session;
use crate::address::Address;

/// The settings of a session.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Edges to try, in this order; the edge's own list replaces them later. At least one.
    pub edges: Vec<Address>,
    /// Name of a new player; ignored if there is a token.
    pub name: String,
    /// Resume token stored by an earlier run; empty: a new player.
    pub token: Bytes,
    /// The world that gave the token ([`Session::world_id`] of that run); empty: any. Another world refuses it with `unknown_world`:
    /// keep the token, it is good in its own.
    pub world_id: Bytes,
    /// The sealed place that belongs to the token ([`Session::place`] of an earlier run); empty: none.
    pub place: Bytes,
    /// Identifies a new player, so that its first Hello makes one player no matter how often it is sent. It is a secret,
    /// because every client that knows it gets the player. Draw it from the operating system's random generator
    /// ([`draw_nonce`](crate::draw_nonce)), once for each new player; only tests and simulations may do otherwise. Default:
    /// none; required without a token.
    pub nonce: Option<[u8; 16]>,
    /// A recovery code (`Welcome.recovery`) as a person has typed it: until the Welcome it is said instead of token, name and nonce.
    /// Default: empty.
    pub recovery: String,
    /// A new player's invitation as a person has typed it, where the world wants one. Default: empty.
    pub invitation: String,
    /// What operators see: program and version, at most 64 bytes.
    pub client: String,
    /// Seed of the random waits.
    pub seed: u64,
    /// How long a live edge may take to answer Hello, ms (default 10,000). Then the session tries another.
    pub hello_wait_ms: u64,
    /// The session sends a ping this often, ms (default 5,000).
    pub ping_every_ms: u64,
    /// The session gives up a connection on which nothing arrived for this long, ms (default 2,000). After half of that
    /// time a ping asks whether the edge is still alive. On a slow line the answer may take twice the round trip, at most 8 s.
    /// It is also the time a connection may take to open, longer on a slow line, and doubled with each round over all edges,
    /// or each attempt while the round trip is not known, up to twice `hello_wait_ms`. With one edge alone it begins at that.
    pub silence_ms: u64,
    /// Longest wait after the first failed round over all edges, ms (default 200). It doubles with each round. Within a
    /// round the session tries the next edge within 50 ms.
    pub backoff_ms_min: u64,
    /// Longest wait between two rounds, ms (default 10,000).
    pub backoff_ms_max: u64,
    /// Unanswered commands that the server accepts (default 32); more wait here.
    pub commands_unanswered_max: usize,
    /// A command that is older than this when the session goes on after a loss is not begun any more, ms (default 10,000): it is
    /// answered with `expired`, unless it has taken effect. Ask whether it is still wanted, and give it again.
    pub command_age_ms_max: u64,
    /// Commands that may wait here (default 1,024); beyond that [`Full`].
    pub commands_waiting_max: usize,
}

impl SessionSettings {
    /// A new player called `name` at `edges`, with defaults for everything else.
    pub fn new(edges: Vec<Address>, name: impl Into<String>) -> Self {
        Self {
            edges,
            name: name.into(),
            token: Bytes::new(),
            world_id: Bytes::new(),
            place: Bytes::new(),
            nonce: None,
            recovery: String::new(),
            invitation: String::new(),
            client: concat!("gundo-client ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: 0,
            hello_wait_ms: 10_000,
            ping_every_ms: 5_000,
            silence_ms: 2_000,
            backoff_ms_min: 200,
            backoff_ms_max: 10_000,
            commands_unanswered_max: 32,
            command_age_ms_max: 10_000,
            commands_waiting_max: 1_024,
        }
    }
}

/// A command of this client, independent of its seq on the wire.
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
    /// Success with the game's reply, or a refusal without effect. The code `expired`: the line was lost meanwhile for longer than
    /// [`SessionSettings::command_age_ms_max`], and it was not done. The code `session_lost` comes from this client: the
    /// session ended before an answer arrived, so it is unknown whether the command took effect.
    pub result: Result<Bytes, Refusal>,
    /// From the call to the answer, µs.
    pub waited_us: u64,
    /// How often it was sent.
    pub sends: u32,
}

/// An event of a session, for its user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// In the world, for the first time or again. Store the token. A [`Picture`](crate::Picture) starts over by itself.
    Welcomed(Box<Welcome>),
    /// A command was answered.
    Answered(Answer),
    /// The player's private state.
    Own(Bytes),
    /// The server put the body elsewhere than the last moves asked for.
    Corrected(Correction),
    /// Something the person should know, before it has consequences.
    Notice(Notice),
    /// The round trip of a ping, µs.
    RoundTrip(u64),
    /// The line has become slow (a round trip of a second and more), or quick again: everything takes longer, and goes on.
    SlowLine(bool),
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
    /// The node's statistics, once per second while wanted.
    Stats(Stats),
    /// The server refused the hello. Call [`Session::introduce`] with another name, or leave.
    Refused(Refusal),
    /// The connection is lost; the session tries again after this wait.
    Lost {
        /// Wait before the next attempt, ms.
        again_in_ms: u64,
        /// The edge's reason, if it gave one.
        closing: Option<Closing>,
    },
    /// The session is over and does not reconnect by itself.
    Ended(Option<Closing>),
}

/// A request of the session to its driver.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "messages are the most frequent: a box for each would be an allocation"
)]
pub enum Output {
    /// Open a connection; then call [`Session::handle_open`] or [`Session::handle_gone`].
    Connect(Address),
    /// Send this on the open connection.
    Send(ClientMessage),
    /// Close the connection (or stop opening it). Do not call [`Session::handle_gone`] for it.
    Disconnect,
    /// An event for the user.
    Event(Event),
}
