//! The small messages that all arrows are made of, and our own types for them.
//!
//! Every value converts to the schema; only values within their ranges convert back.

use gundo_types as types;
use gundo_types::{ChunkId, HEADINGS, NodeId};

use super::{Body, Chunk, EntityId, Hold, Holder, LastRoster, Look, Malformed, Subscriber, Term};

/// Speeds end here, 0.1 m/s.
const SPEED_MAX: u8 = 127;
/// Tiers are three bits.
const TIERS_MAX: u8 = 7;
/// With them goes a bit for a node that wants the chunk for what has its place near, and does not look.
const LOOK_MAX: u8 = 15;

/// A required part.
///
/// # Errors
/// It is absent, or out of its range.
pub fn needed<T, W>(part: Option<W>, what: &'static str) -> Result<T, Malformed>
where
    T: TryFrom<W, Error: Into<Malformed>>,
{
    maybe(part)?.ok_or(Malformed::Missing(what))
}

/// An optional part.
///
/// # Errors
/// It is out of its range.
pub fn maybe<T, W>(part: Option<W>) -> Result<Option<T>, Malformed>
where
    T: TryFrom<W, Error: Into<Malformed>>,
{
    part.map(T::try_from).transpose().map_err(Into::into)
}

/// Any number of parts.
///
/// # Errors
/// One of them is out of its range.
pub fn all<T, W>(parts: Vec<W>) -> Result<Vec<T>, Malformed>
where
    T: TryFrom<W, Error: Into<Malformed>>,
{
    parts.into_iter().map(|part| T::try_from(part).map_err(Into::into)).collect()
}

/// The number of a node.
///
/// # Errors
/// It is out of range.
pub fn node(number: u32) -> Result<NodeId, Malformed> {
    number.try_into().map(NodeId).map_err(|_| Malformed::OutOfRange("a node"))
}

fn small(number: u32, max: u8, what: &'static str) -> Result<u8, Malformed> {
    u8::try_from(number).ok().filter(|number| *number <= max).ok_or(Malformed::OutOfRange(what))
}

fn island(number: u32) -> Result<u16, Malformed> {
    number.try_into().map_err(|_| Malformed::OutOfRange("an island"))
}

impl From<types::EntityId> for EntityId {
    fn from(entity: types::EntityId) -> Self {
        Self { kind: entity.kind.0.into(), id: entity.id }
    }
}

impl TryFrom<EntityId> for types::EntityId {
    type Error = Malformed;

    fn try_from(entity: EntityId) -> Result<Self, Malformed> {
        let kind = u16::try_from(entity.kind).ok().filter(|kind| *kind > 0);
        Ok(Self { kind: types::Kind(kind.ok_or(Malformed::OutOfRange("a kind"))?), id: entity.id })
    }
}

impl From<types::Term> for Term {
    fn from(term: types::Term) -> Self {
        Self { epoch: term.epoch, count: term.count }
    }
}

impl From<Term> for types::Term {
    fn from(term: Term) -> Self {
        Self { epoch: term.epoch, count: term.count }
    }
}

impl From<ChunkId> for Chunk {
    fn from(chunk: ChunkId) -> Self {
        Self { island: chunk.island.into(), x: chunk.x.into(), y: chunk.y.into() }
    }
}

impl TryFrom<Chunk> for ChunkId {
    type Error = Malformed;

    fn try_from(chunk: Chunk) -> Result<Self, Malformed> {
        let along = |at: i32| i16::try_from(at).map_err(|_| Malformed::OutOfRange("a chunk"));
        Ok(Self { island: island(chunk.island)?, x: along(chunk.x)?, y: along(chunk.y)? })
    }
}

impl From<types::Body> for Body {
    fn from(body: types::Body) -> Self {
        let types::Body { island, at, heading, speed } = body;
        Self { island: island.into(), x: at.x, y: at.y, heading: heading.into(), speed: speed.into() }
    }
}

impl TryFrom<Body> for types::Body {
    type Error = Malformed;

    fn try_from(body: Body) -> Result<Self, Malformed> {
        Ok(Self {
            island: island(body.island)?,
            at: types::Point::new(body.x, body.y),
            heading: small(body.heading, HEADINGS - 1, "a heading")?,
            speed: small(body.speed, SPEED_MAX, "a speed")?,
        })
    }
}

impl From<(NodeId, types::Term)> for Holder {
    fn from((node, term): (NodeId, types::Term)) -> Self {
        Self { node: node.0.into(), term: Some(term.into()) }
    }
}

impl TryFrom<Holder> for (NodeId, types::Term) {
    type Error = Malformed;

    fn try_from(holder: Holder) -> Result<Self, Malformed> {
        Ok((node(holder.node)?, needed(holder.term, "a holder's term")?))
    }
}

impl From<(types::EntityId, types::Term)> for Hold {
    fn from((entity, term): (types::EntityId, types::Term)) -> Self {
        Self { entity: Some(entity.into()), term: Some(term.into()) }
    }
}

impl TryFrom<Hold> for (types::EntityId, types::Term) {
    type Error = Malformed;

    fn try_from(hold: Hold) -> Result<Self, Malformed> {
        Ok((needed(hold.entity, "an entity")?, needed(hold.term, "a term")?))
    }
}

impl From<(ChunkId, u8)> for Look {
    fn from((chunk, tiers): (ChunkId, u8)) -> Self {
        Self { chunk: Some(chunk.into()), tiers: tiers.into() }
    }
}

impl TryFrom<Look> for (ChunkId, u8) {
    type Error = Malformed;

    fn try_from(look: Look) -> Result<Self, Malformed> {
        Ok((needed(look.chunk, "a chunk")?, small(look.tiers, LOOK_MAX, "a set of tiers")?))
    }
}

impl From<(NodeId, u8)> for Subscriber {
    fn from((node, tiers): (NodeId, u8)) -> Self {
        Self { node: node.0.into(), tiers: tiers.into() }
    }
}

impl TryFrom<Subscriber> for (NodeId, u8) {
    type Error = Malformed;

    fn try_from(subscriber: Subscriber) -> Result<Self, Malformed> {
        let tiers = small(subscriber.tiers, TIERS_MAX, "a set of tiers")?;
        if tiers == 0 {
            return Err(Malformed::OutOfRange("a subscriber's tiers"));
        }
        Ok((node(subscriber.node)?, tiers))
    }
}

impl From<(ChunkId, u32)> for LastRoster {
    fn from((chunk, number): (ChunkId, u32)) -> Self {
        Self { chunk: Some(chunk.into()), number }
    }
}

impl TryFrom<LastRoster> for (ChunkId, u32) {
    type Error = Malformed;

    fn try_from(last: LastRoster) -> Result<Self, Malformed> {
        Ok((needed(last.chunk, "a chunk")?, last.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_errors() {
        let out = |what| Err(Malformed::OutOfRange(what));
        for kind in [0, 0x1_0000, u32::MAX] {
            assert_eq!(types::EntityId::try_from(EntityId { kind, id: 1 }).map(|_| ()), out("a kind"));
        }
        assert_eq!(node(0x1_0000).map(|_| ()), out("a node"));
        assert_eq!(node(0xffff), Ok(NodeId(0xffff)));
        let body = Body { island: 1, x: i32::MIN, y: i32::MAX, heading: 127, speed: 127 };
        assert_eq!(types::Body::try_from(body).map(Body::from), Ok(body));
        assert_eq!(types::Body::try_from(Body { heading: 128, ..body }).map(|_| ()), out("a heading"));
        assert_eq!(types::Body::try_from(Body { speed: 256, ..body }).map(|_| ()), out("a speed"));
        assert_eq!(types::Body::try_from(Body { island: 1 << 16, ..body }).map(|_| ()), out("an island"));
        let chunk = Chunk { island: 0xffff, x: -32_768, y: 32_767 };
        assert_eq!(ChunkId::try_from(chunk).map(Chunk::from), Ok(chunk));
        assert_eq!(ChunkId::try_from(Chunk { x: 32_768, ..chunk }).map(|_| ()), out("a chunk"));
        assert_eq!(ChunkId::try_from(Chunk { y: -32_769, ..chunk }).map(|_| ()), out("a chunk"));
        let look = Look { chunk: Some(chunk), tiers: 16 };
        assert_eq!(<(ChunkId, u8)>::try_from(look).map(|_| ()), out("a set of tiers"));
        let subscriber = Subscriber { node: 1, tiers: 0 };
        assert_eq!(<(NodeId, u8)>::try_from(subscriber).map(|_| ()), out("a subscriber's tiers"));
    }

    #[test]
    fn what_must_be_there_is_asked_for() {
        let hold = Hold { entity: None, term: Some(Term::default()) };
        let read = <(types::EntityId, types::Term)>::try_from(hold);
        assert_eq!(read, Err(Malformed::Missing("an entity")));
        assert_eq!(maybe::<types::Term, _>(None::<Term>), Ok(None));
    }
}
