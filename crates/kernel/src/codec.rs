//! The messages between nodes as bytes: converts [`Peer`] to the messages of `peer.proto` and back.
//!
//! Every value can be encoded unless it is too large. Decoding accepts only values within the schema's ranges. Neither panics.
//! The codec does not check what the numbers mean: the rooms that take the messages do. Start with [`Peer::encode`] and
//! [`Peer::decode`]; `alive`, `home`, `session`, `frames` and `handover` have the arrows.

mod alive;
pub(crate) mod frames;
mod handover;
mod home;
mod session;
mod watch;

use bytes::Bytes;
use gundo_types::{EntityId, Epoch};
use gundo_wire::Message;
use gundo_wire::peer::peer_message::Arrow;
use gundo_wire::peer::{self as wire, Malformed, PART_BYTES_MAX, PeerMessage, TooLarge};
use gundo_wire::peer::{all, needed};

use crate::game::Refusal;
use crate::peer::Peer;

impl Peer {
    /// Its bytes, as a node of `incarnation` sends it. Several messages, to send in this order, if it is cut into parts:
    /// [`HomeMessage::Subscribe`](crate::HomeMessage::Subscribe), [`HomeMessage::Announce`](crate::HomeMessage::Announce) and
    /// [`Peer::Sent`]. Each of them is a `Peer` by itself.
    ///
    /// # Errors
    /// It is larger than its arrow may be, and cannot be cut into parts.
    pub fn encode(&self, incarnation: u64) -> Result<Vec<Bytes>, TooLarge> {
        let message = self.to_message(incarnation);
        match message.write() {
            Ok(bytes) => Ok(vec![bytes]),
            Err(_) => parts(message).iter().map(PeerMessage::write).collect(),
        }
    }

    /// Reads a message: its sender's incarnation, and its contents. Payloads and frames share `bytes`.
    ///
    /// # Errors
    /// The bytes are no valid message. After [`Malformed::Unknown`] the link is sound; after any other error distrust the sender.
    pub fn decode(bytes: Bytes) -> Result<(u64, Self), Malformed> {
        let message = PeerMessage::read(bytes)?;
        Ok((message.incarnation, message.try_into()?))
    }

    /// Converts it to a message of the schema, of any size, from a node of `incarnation`. Cheap: payloads and frames are shared.
    pub fn to_message(&self, incarnation: u64) -> PeerMessage {
        let epoch = match self {
            Self::Alive { epoch, .. } | Self::Stale { epoch } | Self::Home { epoch, .. } => epoch.0,
            Self::Frames { .. } | Self::Sent { .. } | Self::KeyframeWanted(_) => 0,
            Self::ToPlayer { .. } | Self::ToEdge { .. } | Self::Handoff { .. } | Self::Transaction { .. } => {
                0
            }
        };
        PeerMessage { incarnation, epoch, arrow: Some(arrow(self)) }
    }

    /// The entity it is about, if it is about one.
    pub fn entity(&self) -> Option<EntityId> {
        match self {
            Self::Alive { .. } | Self::Stale { .. } => None,
            Self::Frames { .. } | Self::Sent { .. } | Self::KeyframeWanted(_) => None,
            Self::Home { message, .. } => home::entity(message),
            Self::ToPlayer { player, .. } | Self::ToEdge { player, .. } => Some(*player),
            Self::Handoff { entity, .. } | Self::Transaction { entity, .. } => Some(*entity),
        }
    }
}

fn arrow(peer: &Peer) -> Arrow {
    match peer {
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
        Peer::Transaction { tx, entity, message } => Arrow::Transaction(wire::Transaction {
            tx: is(*tx),
            entity: is(*entity),
            arrow: Some(message.into()),
        }),
    }
}

impl TryFrom<PeerMessage> for Peer {
    type Error = Malformed;

    fn try_from(message: PeerMessage) -> Result<Self, Malformed> {
        let epoch = Epoch(message.epoch);
        Ok(match message.arrow.ok_or(Malformed::Unknown)? {
            Arrow::Alive(said) => Self::Alive { epoch, alive: said.try_into()? },
            Arrow::Stale(wire::Stale {}) => Self::Stale { epoch },
            Arrow::Home(said) => Self::Home { epoch, message: said.try_into()? },
            Arrow::Frames(wire::Frames { number, frames }) => Self::Frames { number, frames: all(frames)? },
            Arrow::Sent(wire::Sent { number, rosters }) => Self::Sent { number, rosters: all(rosters)? },
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

/// Cuts a message that is too large in halves until each part is small enough. Returns them in sending order.
fn parts(mut first: PeerMessage) -> Vec<PeerMessage> {
    if first.encoded_len() <= PART_BYTES_MAX {
        return vec![first];
    }
    let rest = match &mut first.arrow {
        Some(Arrow::Sent(said)) => {
            let rosters = back_half(&mut said.rosters);
            Arrow::Sent(wire::Sent { number: said.number, rosters })
        }
        Some(Arrow::Home(wire::Home { arrow: Some(said) })) => match home::back_half(said) {
            Some(rest) => Arrow::Home(wire::Home { arrow: Some(rest) }),
            None => return vec![first],
        },
        _ => return vec![first],
    };
    let rest = PeerMessage { arrow: Some(rest), ..first };
    [parts(first), parts(rest)].concat()
}

/// Takes the back half of a list. Entries are small: a list that makes a part too large has hundreds.
fn back_half<T>(list: &mut Vec<T>) -> Vec<T> {
    list.split_off(list.len() / 2)
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self { code: refusal.code.clone().into_owned(), text: refusal.text.clone().into_owned() }
    }
}

impl From<wire::Refusal> for Refusal {
    fn from(refusal: wire::Refusal) -> Self {
        Self::new(refusal.code, refusal.text)
    }
}
