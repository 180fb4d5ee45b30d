//! The messages between nodes as bytes: converts [`Peer`] to the messages of `peer.proto` and back.
//!
//! Every value can be encoded unless it is too large. Decoding accepts only values within the schema's ranges. Neither panics.
//! The codec does not check what the numbers mean: the rooms that take the messages do. Start with [`Peer::encode`] and
//! [`Peer::decode`]; `alive`, `home`, `session`, `frames` and `handover` have the arrows.

mod alive;
pub(crate) mod frames;
mod handover;
mod home;
mod mail;
mod session;
mod watch;

use bytes::Bytes;
use gundo_types::{EntityId, Epoch};
use gundo_wire::Message;
use gundo_wire::peer::peer_message::Arrow;
use gundo_wire::peer::{self as wire, Malformed, PeerMessage, TooLarge};
use gundo_wire::peer::{all, needed};

use crate::game::Refusal;
use crate::peer::{Label, Peer};

impl Peer {
    /// Its bytes, with this label.
    ///
    /// # Errors
    /// It is larger than its arrow may be.
    pub fn encode(&self, label: &Label) -> Result<Bytes, TooLarge> {
        self.to_message(label).write()
    }

    /// Reads a message: its label, and its contents. Payloads and frames share `bytes`. An arrow that this version does not know is
    /// [`Peer::Later`].
    ///
    /// # Errors
    /// The bytes are no valid message: distrust the sender.
    pub fn decode(bytes: Bytes) -> Result<(Label, Self), Malformed> {
        let message = PeerMessage::read(bytes)?;
        let PeerMessage { incarnation: from, to, resets, number, after, received, .. } = message;
        let label = Label { from, to, resets, number, after, received };
        match message.try_into() {
            Err(Malformed::Unknown) => Ok((label, Self::Later)),
            contents => Ok((label, contents?)),
        }
    }

    /// All its bytes, of any size and without a label: what [`Peer::Piece`]s carry.
    pub(crate) fn encode_whole(&self) -> Bytes {
        self.to_message(&Label::default()).encode_to_vec().into()
    }

    /// Reads a message that came in pieces.
    ///
    /// # Errors
    /// The bytes are no message that may come in pieces.
    pub(crate) fn decode_whole(bytes: Bytes) -> Result<Self, Malformed> {
        let message = match PeerMessage::decode(bytes)?.try_into() {
            Err(Malformed::Unknown) => Self::Later,
            message => message?,
        };
        if message.may_be_cut() { Ok(message) } else { Err(Malformed::OutOfRange("a message in pieces")) }
    }

    /// Whether it may travel in pieces: everything whose size grows with the world. Heartbeats and the link's own messages are short,
    /// and must be understood before there is a link.
    pub(crate) fn may_be_cut(&self) -> bool {
        match self {
            Self::Piece { .. } => false,
            Self::Frames { .. } | Self::Sent { .. } => true,
            message => message.must_arrive(),
        }
    }

    /// Converts it to a message of the schema, of any size, with this label. Cheap: payloads and frames are shared.
    pub fn to_message(&self, label: &Label) -> PeerMessage {
        let epoch = match self {
            Self::Alive { epoch, .. } | Self::Stale { epoch } | Self::Home { epoch, .. } => epoch.0,
            _ => 0,
        };
        let Label { from: incarnation, to, resets, number, after, received } = *label;
        PeerMessage { incarnation, epoch, to, resets, number, after, received, arrow: arrow(self) }
    }

    /// The entity it is about, if it is about one.
    pub fn entity(&self) -> Option<EntityId> {
        match self {
            Self::Alive { .. } | Self::Stale { .. } | Self::Heard { .. } | Self::Later => None,
            Self::Frames { .. } | Self::Sent { .. } | Self::Piece { .. } => None,
            Self::Missed { .. } | Self::KeyframeWanted(_) => None,
            Self::Home { message, .. } => home::entity(message),
            Self::ToPlayer { player, .. } | Self::ToEdge { player, .. } => Some(*player),
            Self::Handoff { entity, .. } | Self::Transaction { entity, .. } => Some(*entity),
            Self::Mail { entity, .. } => Some(*entity),
        }
    }
}

fn arrow(peer: &Peer) -> Option<Arrow> {
    Some(match peer {
        Peer::Later => return None,
        Peer::Heard { again } => Arrow::Heard(wire::Heard { again: *again }),
        Peer::Piece { bytes, left } => Arrow::Piece(wire::Piece { bytes: bytes.clone(), left: *left }),
        Peer::Alive { alive, .. } => Arrow::Alive(alive.into()),
        Peer::Stale { .. } => Arrow::Stale(wire::Stale {}),
        Peer::Home { message, .. } => Arrow::Home(message.into()),
        Peer::Frames { number, frames } => {
            let frames = frames.iter().map(Into::into).collect();
            Arrow::Frames(wire::Frames { number: *number, frames })
        }
        Peer::Sent { number, rosters } => {
            let rosters = rosters.iter().map(|last| (*last).into()).collect();
            Arrow::Sent(wire::Sent { number: *number, rosters })
        }
        Peer::Missed { first } => Arrow::Missed(wire::Missed { first: *first }),
        Peer::KeyframeWanted(chunk) => Arrow::KeyframeWanted(wire::KeyframeWanted { chunk: is(*chunk) }),
        Peer::ToPlayer { player, line, message } => Arrow::ToPlayer(wire::ToPlayer {
            player: is(*player),
            line: is(*line),
            arrow: Some(message.into()),
        }),
        Peer::ToEdge { conn, player, message } => {
            Arrow::ToEdge(wire::ToEdge { conn: conn.0, player: is(*player), arrow: Some(message.into()) })
        }
        Peer::Handoff { entity, term, message } => Arrow::Handoff(wire::Handoff {
            entity: is(*entity),
            term: is(*term),
            arrow: Some(message.into()),
        }),
        Peer::Mail { entity, message } => {
            Arrow::Mail(wire::Mail { entity: is(*entity), arrow: Some(message.into()) })
        }
        Peer::Transaction { tx, entity, message } => Arrow::Transaction(wire::Transaction {
            tx: is(*tx),
            entity: is(*entity),
            arrow: Some(message.into()),
        }),
    })
}

impl TryFrom<PeerMessage> for Peer {
    type Error = Malformed;

    fn try_from(message: PeerMessage) -> Result<Self, Malformed> {
        let epoch = Epoch(message.epoch);
        Ok(match message.arrow.ok_or(Malformed::Unknown)? {
            Arrow::Alive(said) => Self::Alive { epoch, alive: said.try_into()? },
            Arrow::Stale(wire::Stale {}) => Self::Stale { epoch },
            Arrow::Heard(wire::Heard { again }) => Self::Heard { again },
            Arrow::Piece(wire::Piece { bytes, left }) => Self::Piece { bytes, left },
            Arrow::Home(said) => Self::Home { epoch, message: said.try_into()? },
            Arrow::Frames(wire::Frames { number, frames }) => Self::Frames { number, frames: all(frames)? },
            Arrow::Sent(wire::Sent { number, rosters }) => Self::Sent { number, rosters: all(rosters)? },
            Arrow::Missed(wire::Missed { first }) => Self::Missed { first },
            Arrow::KeyframeWanted(said) => Self::KeyframeWanted(needed(said.chunk, "a chunk")?),
            Arrow::ToPlayer(said) => Self::ToPlayer {
                player: needed(said.player, "a player")?,
                line: needed(said.line, "a line")?,
                message: said.arrow.ok_or(Malformed::Unknown)?.try_into()?,
            },
            Arrow::ToEdge(said) => Self::ToEdge {
                conn: gundo_types::ConnId(said.conn),
                player: needed(said.player, "a player")?,
                message: said.arrow.ok_or(Malformed::Unknown)?.try_into()?,
            },
            Arrow::Handoff(said) => Self::Handoff {
                entity: needed(said.entity, "an entity")?,
                term: needed(said.term, "a term")?,
                message: said.arrow.ok_or(Malformed::Unknown)?.try_into()?,
            },
            Arrow::Mail(said) => Self::Mail {
                entity: needed(said.entity, "an entity")?,
                message: said.arrow.ok_or(Malformed::Unknown)?.try_into()?,
            },
            Arrow::Transaction(said) => Self::Transaction {
                tx: needed(said.tx, "a transaction's id")?,
                entity: needed(said.entity, "an entity")?,
                message: said.arrow.ok_or(Malformed::Unknown)?.try_into()?,
            },
        })
    }
}

/// A part that is present.
fn is<T: Into<W>, W>(part: T) -> Option<W> {
    Some(part.into())
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.clone().into_owned(),
            text: refusal.text.clone().into_owned(),
            retry_ms: refusal.retry_ms,
        }
    }
}

impl From<wire::Refusal> for Refusal {
    fn from(refusal: wire::Refusal) -> Self {
        Self::new(refusal.code, refusal.text).retry_ms(refusal.retry_ms)
    }
}
