//! Reading entities: a few threads with a connection each, beside the writer (in WAL mode neither waits for the other).

use std::time::Instant;

use bytes::Bytes;
use gundo_journal::queue::SharedQueues;
use gundo_journal::{Fault, Why};
use gundo_types::{EntityId, WorldTime};
use gundo_wire::journal::{EventRecord, EventType, Loaded};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::stats::Counters;

const SNAPSHOT: &str =
    "SELECT seq, payload FROM snapshots WHERE kind = ?1 AND id = ?2 ORDER BY seq DESC LIMIT 1";
pub(crate) const EVENTS: &str = "SELECT seq, at, cause, type, payload FROM events WHERE kind = ?1 AND id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";

/// What a reader thread runs.
pub(crate) fn serve<J: Send + 'static>(queues: &SharedQueues<J>, conn: &Connection, counters: &Counters) {
    while let Some(request) = queues.next_load() {
        let began = Instant::now();
        let result = load_entity(conn, request.entity());
        counters.on_load(began.elapsed());
        request.answer(result);
    }
}

/// A gap in a stream.
#[derive(Debug, thiserror::Error)]
#[error("event {seq} is missing: the journal is damaged; `journal verify` tells more")]
struct Missing {
    seq: u64,
}

/// The newest snapshot of an entity and all events after it, as of one moment.
pub(crate) fn load_entity(conn: &Connection, entity: EntityId) -> Result<Loaded, Fault> {
    let fault = |source: Why| Fault::Load { entity, source };
    let loaded = in_one_moment(conn, || read(conn, entity)).map_err(|why| fault(why.into()))?;
    let first = loaded.snapshot.as_ref().map_or(1, |(seq, _)| seq + 1);
    for (expected, (seq, _)) in (first..).zip(&loaded.events) {
        if *seq != expected {
            return Err(fault(Missing { seq: expected }.into()));
        }
    }
    Ok(loaded)
}

fn read(conn: &Connection, entity: EntityId) -> rusqlite::Result<Loaded> {
    let (kind, id) = (entity.kind.0, entity.id as i64);
    let mut query = conn.prepare_cached(SNAPSHOT)?;
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, bytes(row, 1)?));
    let snapshot = query.query_row(params![kind, id], row).optional()?;
    let after = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let mut query = conn.prepare_cached(EVENTS)?;
    let events =
        query.query_map(params![kind, id, after as i64, -1], event_row)?.collect::<Result<_, _>>()?;
    Ok(Loaded { snapshot, events })
}

/// Runs `read` on the journal as of one moment, whatever is committed or pruned meanwhile.
pub(crate) fn in_one_moment<T>(
    conn: &Connection,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let result = read();
    conn.prepare_cached("COMMIT")?.execute([])?;
    result
}

fn bytes(row: &Row<'_>, index: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(index)?.as_blob()?))
}

/// A row of [`EVENTS`].
pub(crate) fn event_row(row: &Row<'_>) -> rusqlite::Result<(u64, EventRecord)> {
    let number: u8 = row.get(3)?;
    let event_type = EventType::from_u8(number).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            3,
            rusqlite::types::Type::Integer,
            format!("event type {number} is not known: a newer Gundo wrote it").into(),
        )
    })?;
    let at = WorldTime(row.get::<_, i64>(1)? as u64);
    let record = EventRecord { at, cause: bytes(row, 2)?, event_type, payload: bytes(row, 4)? };
    Ok((row.get::<_, i64>(0)? as u64, record))
}
