//! Reading entities, and which there are: a few threads with a connection each, beside the writer (in WAL mode neither waits for the other).

use std::ops::RangeInclusive;
use std::time::Instant;

use bytes::Bytes;
use gundo_journal::queue::{ReadRequest, SharedQueues};
use gundo_journal::{Fault, Why};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{EventRecord, EventType, Loaded, Wake, WakesAsked};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::damage::Damage;
use crate::schema;
use crate::stats::Counters;

const SNAPSHOT: &str =
    "SELECT seq, payload FROM snapshots WHERE kind = ?1 AND id = ?2 ORDER BY seq DESC LIMIT 1";
pub(crate) const EVENTS: &str = "SELECT seq, at, cause, type, payload FROM events WHERE kind = ?1 AND id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
/// The first id of a kind between two, both as the file has them: one step through the key, whatever lies under the id.
pub(crate) const FIRST_ID: &str =
    "SELECT id FROM events WHERE kind = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id LIMIT 1";

/// What a reader thread runs.
pub(crate) fn serve<J: Send + 'static>(
    queues: &SharedQueues<J>,
    conn: &Connection,
    counters: &Counters,
    damage: &Damage,
) {
    let note = |fault: &Fault| damage.judge(fault);
    while let Some(request) = queues.next_read() {
        let began = Instant::now();
        match request {
            ReadRequest::Load(request) => {
                let result = load_entity(conn, request.entity()).inspect_err(note);
                counters.common.on_load(began.elapsed());
                request.answer(result);
            }
            ReadRequest::List(request) => {
                let result = list_ids(conn, request.kind(), request.ids(), request.max()).inspect_err(note);
                counters.common.on_load(began.elapsed());
                request.answer(result);
            }
            ReadRequest::Wakes(request) => {
                let result = list_wakes(conn, request.asked()).inspect_err(note);
                counters.common.on_load(began.elapsed());
                request.answer(result);
            }
        }
    }
}

/// The wakes that are due, as of one moment.
fn list_wakes(conn: &Connection, asked: WakesAsked) -> Result<Vec<Wake>, Fault> {
    let (at, entity) = asked.after.unwrap_or((WorldTime(0), EntityId::new(Kind(0), 0)));
    // Before all: times are not negative.
    let at = if asked.after.is_some() { time(at) } else { -1 };
    let key = params![at, entity.kind.0, entity.id as i64, time(asked.until), rows_max(asked.max)];
    let row = |row: &Row<'_>| {
        let entity = EntityId::new(Kind(row.get(1)?), row.get::<_, i64>(2)? as u64);
        Ok((WorldTime(row.get::<_, i64>(0)? as u64), entity))
    };
    let read = || conn.prepare_cached(schema::WAKES)?.query_map(key, row)?.collect();
    in_one_moment(conn, read).map_err(|why| Fault::Wakes { source: why.into() })
}

fn time(at: WorldTime) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn rows_max(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// The lowest `max` ids among `ids` that have an event, as of one moment: hops from id to id through the key.
pub(crate) fn list_ids(
    conn: &Connection,
    kind: Kind,
    ids: RangeInclusive<u64>,
    max: usize,
) -> Result<Vec<u64>, Fault> {
    let read = || {
        let (mut found, mut query) = (Vec::new(), conn.prepare_cached(FIRST_ID)?);
        for (low, high) in halves(ids) {
            let mut from = Some(low);
            while let Some(low) = from.filter(|low| found.len() < max && *low <= high) {
                let key = params![kind.0, low, high];
                let id = query.query_row(key, |row| row.get::<_, i64>(0)).optional()?;
                found.extend(id.map(|id| id as u64));
                from = id.and_then(|id| id.checked_add(1));
            }
        }
        Ok(found)
    };
    in_one_moment(conn, read).map_err(|why| Fault::List { kind, source: why.into() })
}

/// A range of ids as the file has them, in the ids' order: those from 2^63 on are negative there.
fn halves(ids: RangeInclusive<u64>) -> impl Iterator<Item = (i64, i64)> {
    const LOW_LAST: u64 = i64::MAX as u64;
    let (first, last) = ids.into_inner();
    let halves = [(first, last.min(LOW_LAST)), (first.max(LOW_LAST + 1), last)];
    halves.into_iter().filter(|(first, last)| first <= last).map(|(first, last)| (first as i64, last as i64))
}

/// A gap in a stream.
#[derive(Debug, thiserror::Error)]
#[error("event {seq} is missing: the journal is damaged; `journal verify` tells more")]
pub(crate) struct Missing {
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
    Ok(Loaded { snapshot, events, generation: schema::generation(conn)? })
}

/// Runs `read` on the journal as of one moment, whatever is committed or pruned meanwhile.
pub(crate) fn in_one_moment<T>(
    conn: &Connection,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let result = read();
    // Nothing was written. Whatever a damaged page made of the transaction, the next one must be able to begin.
    let ended = conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if ended.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
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
