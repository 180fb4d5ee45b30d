//! What checkers see of a kernel.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Term, Time};

use crate::peer::Line;

/// An entity that is real on a node, as checkers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RealState<'a> {
    /// Which.
    pub id: EntityId,
    /// Its term.
    pub term: Term,
    /// It is offered to another node, and takes no work until its home has decided who owns it.
    pub frozen: bool,
    /// It loads its state, and obeys nobody until it has.
    pub loading: bool,
    /// Seq of its last event, durable or not.
    pub seq: u64,
    /// Whether nothing of it is in flight: no append, no lock, no waiting work.
    pub settled: bool,
    /// Sessions and parts of others' commands that wait: `waiting_per_entity_max` at most.
    pub waiting: usize,
    /// How long its oldest work has been waiting for room in the journal, ms: less than `append_wait_ms`.
    pub held_ms: u64,
    /// Of a player: the connection that has its session.
    pub line: Option<Line>,
    /// Of a player: when its session last went on here with the connection that it had; zero: not since it came.
    pub resumed_at: Time,
    /// A transaction has locked it whose coordinator is lost, and nothing keeps it from finding out how that ended.
    pub abandoned: bool,
    /// Chunk, public part and body as others see them; `None`: others do not see it.
    pub shown: Option<(ChunkId, &'a Bytes, Option<Body>)>,
    /// Its public part as of its last durable event, published or not; `None`: there is nothing to see.
    pub public: Option<&'a Bytes>,
}

/// How full a list with a limit is: the fullest, if there are several of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What it is, and in what it is counted: `early bytes`.
    pub what: &'static str,
    /// How full it is.
    pub used: usize,
    /// How full it may be.
    pub most: usize,
}
