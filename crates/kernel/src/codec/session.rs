//! The messages between an edge and a player's real.

use bytes::Bytes;
use gundo_types::{ConnId, WorldTime};
use gundo_wire::peer::{self as wire, Malformed, maybe, needed, node, open, reply, to_edge, to_player};

use super::is;
use crate::game::Refusal;
use crate::peer::{Key, LATE_MS_MAX, Line, Opened, Placed, Resumed, ToEdge, ToPlayer, Token};

/// Bytes of what follows the id in a token of an earlier version.
const OLD_BYTES: usize = 16;

impl From<Line> for wire::Line {
    fn from(line: Line) -> Self {
        Self { edge: line.edge.0.into(), conn: line.conn.0 }
    }
}

impl TryFrom<wire::Line> for Line {
    type Error = Malformed;

    fn try_from(line: wire::Line) -> Result<Self, Malformed> {
        Ok(Self { edge: node(line.edge)?, conn: ConnId(line.conn) })
    }
}

impl From<Placed> for wire::Placed {
    fn from(placed: Placed) -> Self {
        Self { at: placed.at.0, body: is(placed.body) }
    }
}

impl TryFrom<wire::Placed> for Placed {
    type Error = Malformed;

    fn try_from(said: wire::Placed) -> Result<Self, Malformed> {
        Ok(Self { at: WorldTime(said.at), body: needed(said.body, "a body")? })
    }
}

impl From<&ToPlayer> for to_player::Arrow {
    fn from(message: &ToPlayer) -> Self {
        match message {
            ToPlayer::Open { key, name, place } => {
                let key = match key {
                    Key::Nonce(secret) => open::Key::Nonce(Bytes::copy_from_slice(secret)),
                    Key::Token(token) => open::Key::Token(Bytes::copy_from_slice(&token.to_bytes())),
                    Key::Old(secret) => open::Key::Token(Bytes::copy_from_slice(secret)),
                    Key::Code(number) => open::Key::Code((*number).into()),
                };
                Self::Open(wire::Open { key: Some(key), name: name.clone(), place: place.map(Into::into) })
            }
            ToPlayer::Resume { adoption, body, seen, waited_ms } => Self::Resume(wire::Resume {
                adoption: *adoption,
                body: is(*body),
                seen: seen.map(Into::into),
                waited_ms: *waited_ms,
            }),
            ToPlayer::Command { seq, payload, question } => {
                Self::Command(wire::Command { seq: *seq, payload: payload.clone(), question: *question })
            }
            ToPlayer::Move { seq, body, late_ms } => {
                Self::Move(wire::Move { seq: *seq, body: is(*body), late_ms: *late_ms })
            }
            ToPlayer::Gone { leave } => Self::Gone(wire::Gone { leave: *leave }),
        }
    }
}

impl TryFrom<to_player::Arrow> for ToPlayer {
    type Error = Malformed;

    fn try_from(arrow: to_player::Arrow) -> Result<Self, Malformed> {
        Ok(match arrow {
            to_player::Arrow::Open(wire::Open { key, name, place }) => {
                let key = match key.ok_or(Malformed::Missing("a key"))? {
                    open::Key::Nonce(key) => Key::Nonce(secret(&key)?),
                    open::Key::Token(key) if key.len() == OLD_BYTES => Key::Old(secret(&key)?),
                    open::Key::Token(key) => Key::Token(token(&key)?),
                    open::Key::Code(number) => Key::Code(code(number)?),
                };
                Self::Open { key, name, place: maybe(place)? }
            }
            to_player::Arrow::Resume(said) => Self::Resume {
                adoption: said.adoption,
                body: needed(said.body, "a body")?,
                seen: maybe(said.seen)?,
                waited_ms: said.waited_ms,
            },
            to_player::Arrow::Command(wire::Command { seq, payload, question }) => {
                Self::Command { seq, payload, question }
            }
            to_player::Arrow::Move(said) => {
                let (seq, body) = (said.seq, needed(said.body, "a body")?);
                Self::Move { seq, body, late_ms: said.late_ms.min(LATE_MS_MAX) }
            }
            to_player::Arrow::Gone(wire::Gone { leave }) => Self::Gone { leave },
        })
    }
}

impl From<&ToEdge> for to_edge::Arrow {
    fn from(message: &ToEdge) -> Self {
        let why = |refusal: &Refusal| is(refusal);
        match message {
            ToEdge::Opened(opened) => {
                let Opened { token, next_seq, adoption, body, center, own, code } = &**opened;
                Self::Opened(wire::Opened {
                    token: token.clone(),
                    next_seq: *next_seq,
                    adoption: *adoption,
                    body: is(*body),
                    center: is(*center),
                    own: own.clone(),
                    code: (*code).into(),
                })
            }
            ToEdge::Resumed(resumed) => {
                let Resumed { body, center, own } = &**resumed;
                Self::Resumed(wire::Resumed { body: is(*body), center: is(*center), own: own.clone() })
            }
            ToEdge::OpenRefused(refusal) => Self::OpenRefused(wire::OpenRefused { refusal: why(refusal) }),
            ToEdge::NotHere => Self::NotHere(wire::NotHere {}),
            ToEdge::MovedTo { holder, term } => Self::MovedTo(wire::MovedTo { holder: is((*holder, *term)) }),
            ToEdge::Reply { seq, result } => {
                let result = match result {
                    Ok(payload) => reply::Result::Payload(payload.clone()),
                    Err(refusal) => reply::Result::Refusal(refusal.into()),
                };
                Self::Reply(wire::Reply { seq: *seq, result: Some(result) })
            }
            ToEdge::Own(payload) => Self::Own(wire::Own { payload: payload.clone() }),
            ToEdge::Center(chunk) => Self::Center(wire::Center { chunk: is(*chunk) }),
            ToEdge::Correction { seq, body, code } => {
                Self::Correction(wire::Correction { seq: *seq, body: is(*body), code: code.clone() })
            }
            ToEdge::Superseded => Self::Superseded(wire::Superseded {}),
            ToEdge::Doubted { seq } => Self::Doubted(wire::Doubted { seq: *seq }),
            ToEdge::Notice(refusal) => Self::Notice(wire::Notice { refusal: why(refusal) }),
            ToEdge::Ended(refusal) => Self::Ended(wire::Ended { refusal: why(refusal) }),
            ToEdge::Told(message) => Self::Told(wire::Told { message: message.clone() }),
            ToEdge::Seal(place) => Self::Seal(wire::Seal { place: place.clone() }),
        }
    }
}

impl TryFrom<to_edge::Arrow> for ToEdge {
    type Error = Malformed;

    fn try_from(arrow: to_edge::Arrow) -> Result<Self, Malformed> {
        use to_edge::Arrow;
        let why = |refusal| needed::<Refusal, wire::Refusal>(refusal, "a refusal");
        Ok(match arrow {
            Arrow::Opened(said) => Self::Opened(Box::new(Opened {
                token: next_token(said.token)?,
                next_seq: said.next_seq,
                adoption: said.adoption,
                body: needed(said.body, "a body")?,
                center: needed(said.center, "a centre")?,
                own: said.own,
                code: code(said.code)?,
            })),
            Arrow::Resumed(said) => Self::Resumed(Box::new(Resumed {
                body: needed(said.body, "a body")?,
                center: needed(said.center, "a centre")?,
                own: said.own,
            })),
            Arrow::OpenRefused(said) => Self::OpenRefused(why(said.refusal)?),
            Arrow::NotHere(wire::NotHere {}) => Self::NotHere,
            Arrow::MovedTo(said) => {
                let (holder, term) = needed(said.holder, "a holder")?;
                Self::MovedTo { holder, term }
            }
            Arrow::Reply(wire::Reply { seq, result }) => {
                let result = match result.ok_or(Malformed::Missing("a result"))? {
                    reply::Result::Payload(payload) => Ok(payload),
                    reply::Result::Refusal(refusal) => Err(refusal.into()),
                };
                Self::Reply { seq, result }
            }
            Arrow::Own(wire::Own { payload }) => Self::Own(payload),
            Arrow::Center(said) => Self::Center(needed(said.chunk, "a chunk")?),
            Arrow::Correction(said) => {
                Self::Correction { seq: said.seq, body: needed(said.body, "a body")?, code: said.code }
            }
            Arrow::Superseded(wire::Superseded {}) => Self::Superseded,
            Arrow::Doubted(wire::Doubted { seq }) => Self::Doubted { seq },
            Arrow::Notice(said) => Self::Notice(why(said.refusal)?),
            Arrow::Ended(said) => Self::Ended(why(said.refusal)?),
            Arrow::Told(said) => Self::Told(said.message),
            Arrow::Seal(said) => Self::Seal(said.place),
        })
    }
}

/// A node of an earlier version still gives old ones.
fn next_token(bytes: Bytes) -> Result<Bytes, Malformed> {
    if bytes.len() != OLD_BYTES {
        token(&bytes)?;
    }
    Ok(bytes)
}

fn token(bytes: &Bytes) -> Result<Token, Malformed> {
    Token::from_bytes(bytes).ok_or(Malformed::OutOfRange("a token's length"))
}

fn code(number: u32) -> Result<u16, Malformed> {
    u16::try_from(number).map_err(|_| Malformed::OutOfRange("a recovery code's number"))
}

fn secret(bytes: &Bytes) -> Result<[u8; 16], Malformed> {
    bytes[..].try_into().map_err(|_| Malformed::OutOfRange("a secret's length"))
}
