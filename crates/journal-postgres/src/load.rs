//! Reading entities, and which there are: a few threads with a connection each, beside the writers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gundo_journal::queue::{ReadRequest, SharedQueues};
use gundo_journal::{Fault, StreamSummary, Why};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{EventRecord, EventType, Loaded, Wake, WakesAsked};
use tokio_postgres::{Row, ToStatement};

use crate::link::{Link, Live, Statements, Trouble};
use crate::schema;
use crate::stats::Counters;
use crate::tables::key;
use crate::writer::{entity, no_statements};

/// What a reader's thread runs.
pub(crate) fn serve<J: Send + 'static>(queues: &SharedQueues<J>, mut link: Link, counters: &Arc<Counters>) {
    while let Some(request) = queues.next_read() {
        let began = Instant::now();
        let (until, limit) = (link.patience(), Some(link.settings().answer()));
        match request {
            ReadRequest::Load(request) => {
                let entity = request.entity();
                let loaded = link.repeat(until, limit, async |live: &mut Live| load(live, entity).await);
                counters.common.on_load(began.elapsed());
                request.answer(
                    loaded
                        .map_err(Why::from)
                        .and_then(|loaded| check(loaded).map_err(Why::from))
                        .map_err(|source| Fault::Load { entity, source }),
                );
            }
            ReadRequest::List(request) => {
                let (kind, ids, max) = (request.kind(), request.ids(), request.max());
                let listed = link
                    .repeat(until, limit, async |live: &mut Live| list(live, kind, ids.clone(), max).await);
                counters.common.on_load(began.elapsed());
                request.answer(listed.map_err(|why| Fault::List { kind, source: why.into() }));
            }
            ReadRequest::Wakes(request) => {
                let asked = request.asked();
                let due = link.repeat(until, limit, async |live: &mut Live| wakes(live, asked).await);
                counters.common.on_load(began.elapsed());
                request.answer(due.map_err(|why| Fault::Wakes { source: why.into() }));
            }
        }
    }
}

/// A stream that is not whole.
#[derive(Debug, thiserror::Error)]
#[error("{what}: the journal is damaged")]
struct Damaged {
    what: String,
}

/// An entity as the server has it, and the seq its newest event must have.
pub(crate) struct Found {
    loaded: Loaded,
    last: u64,
    /// Seq of the newest snapshot by the stream's row; it may be missing.
    next: u64,
}

async fn load(live: &Live, entity: EntityId) -> Result<Found, Trouble> {
    let Statements::Read { load, .. } = &live.statements else { return Err(no_statements()) };
    load_by(live, load, entity).await
}

/// For tools, which prepare nothing.
pub(crate) async fn look(live: &Live, entity: EntityId) -> Result<Found, Trouble> {
    load_by(live, schema::LOAD, entity).await
}

/// As [`check`].
pub(crate) fn check_found(found: Found) -> Result<Loaded, Why> {
    Ok(check(found)?)
}

async fn load_by<S: ToStatement + ?Sized>(live: &Live, load: &S, entity: EntityId) -> Result<Found, Trouble> {
    let (kind, id) = key(entity);
    let mut found = Found { loaded: Loaded::default(), last: 0, next: 1 };
    for row in live.client.query(load, &[&kind, &id]).await? {
        let seq = row.try_get::<_, i64>(1)?;
        match row.try_get::<_, i32>(0)? {
            0 => {
                found.loaded.generation = live.generation(seq);
                found.last = row.try_get::<_, i64>(2)? as u64;
            }
            1 => {
                found.loaded.snapshot = Some((seq as u64, bytes(&row, 5)?));
                found.next = seq as u64 + 1;
            }
            _ if found.loaded.events.last().is_some_and(|(before, _)| *before == seq as u64) => {}
            _ => found.loaded.events.push(event(&row, 1)?),
        }
    }
    Ok(found)
}

/// No event is missing, neither between two nor at the end: one that is missing is no smaller loss than a server that is away.
fn check(found: Found) -> Result<Loaded, Damaged> {
    let mut next = found.next;
    for (seq, _) in &found.loaded.events {
        if *seq != next {
            return Err(Damaged { what: format!("event {next} is missing") });
        }
        next += 1;
    }
    if next != found.last + 1 {
        return Err(Damaged { what: format!("events from {next} to {} are missing", found.last) });
    }
    Ok(found.loaded)
}

fn bytes(row: &Row, index: usize) -> Result<Bytes, Trouble> {
    Ok(Bytes::copy_from_slice(row.try_get(index)?))
}

/// An event from column `at` on: seq, time, type, cause, payload.
fn event(row: &Row, at: usize) -> Result<(u64, EventRecord), Trouble> {
    let number = row.try_get::<_, i16>(at + 2)?;
    let event_type = u8::try_from(number).ok().and_then(EventType::from_u8).ok_or_else(|| {
        Trouble::Strange(format!("event type {number} is not known: a newer Gundo wrote it"))
    })?;
    let time = WorldTime(row.try_get::<_, i64>(at + 1)? as u64);
    let record =
        EventRecord { at: time, cause: bytes(row, at + 3)?, event_type, payload: bytes(row, at + 4)? };
    Ok((row.try_get::<_, i64>(at)? as u64, record))
}

/// The lowest `max` ids among `ids`.
async fn list(live: &Live, kind: Kind, ids: RangeInclusive<u64>, max: usize) -> Result<Vec<u64>, Trouble> {
    let Statements::Read { list, .. } = &live.statements else { return Err(no_statements()) };
    let mut found = Vec::new();
    for (low, high) in halves(ids) {
        let left = rows_max(max - found.len());
        let rows = live.client.query(list, &[&i32::from(kind.0), &low, &high, &left]).await?;
        for row in rows {
            found.push(row.try_get::<_, i64>(0)? as u64);
        }
    }
    Ok(found)
}

/// The wakes that are due.
async fn wakes(live: &Live, asked: WakesAsked) -> Result<Vec<Wake>, Trouble> {
    let Statements::Read { wakes, .. } = &live.statements else { return Err(no_statements()) };
    let time = |at: WorldTime| i64::try_from(at.0).unwrap_or(i64::MAX);
    // Before all: times are not negative.
    let (at, (kind, id)) = asked.after.map_or((-1, (0, 0)), |(at, entity)| (time(at), key(entity)));
    let rows = live.client.query(wakes, &[&at, &kind, &id, &time(asked.until), &rows_max(asked.max)]).await?;
    let wake = |row: &Row| {
        let at = WorldTime(row.try_get::<_, i64>(0)? as u64);
        Ok((at, entity(row.try_get(1)?, row.try_get(2)?)))
    };
    rows.iter().map(wake).collect()
}

fn rows_max(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// A range of ids as the tables have them, in the ids' order: those from 2^63 on are negative there.
fn halves(ids: RangeInclusive<u64>) -> impl Iterator<Item = (i64, i64)> {
    const LOW_LAST: u64 = i64::MAX as u64;
    let (first, last) = ids.into_inner();
    let halves = [(first, last.min(LOW_LAST)), (first.max(LOW_LAST + 1), last)];
    halves.into_iter().filter(|(first, last)| first <= last).map(|(first, last)| (first as i64, last as i64))
}

/// Up to `max` events of a stream, those after `after`.
pub(crate) async fn stream(
    live: &Live,
    entity: EntityId,
    after: u64,
    max: usize,
) -> Result<Vec<(u64, EventRecord)>, Trouble> {
    let (kind, id) = key(entity);
    let rows = live.client.query(schema::STREAM, &[&kind, &id, &(after as i64), &rows_max(max)]).await?;
    rows.iter().map(|row| event(row, 0)).collect()
}

/// Up to `max` streams in entity order, those after `after`: kind by kind, and in each the ids of one sign first.
pub(crate) async fn streams(
    live: &Live,
    after: Option<EntityId>,
    max: usize,
) -> Result<Vec<StreamSummary>, Trouble> {
    let mut found = Vec::new();
    let mut kind = after.map_or(-1, |after| i32::from(after.kind.0));
    let mut from = after.and_then(|after| after.id.checked_add(1));
    while found.len() < max {
        if let Some(first) = from {
            for (low, high) in halves(first..=u64::MAX) {
                let left = rows_max(max - found.len());
                for row in live.client.query(schema::SUMMARIES, &[&kind, &low, &high, &left]).await? {
                    found.push(summary(kind, &row)?);
                }
            }
        }
        let next: Option<i32> = live.client.query_one(schema::NEXT_KIND, &[&kind]).await?.try_get(0)?;
        let Some(next) = next else { break };
        (kind, from) = (next, Some(0));
    }
    Ok(found)
}

fn summary(kind: i32, row: &Row) -> Result<StreamSummary, Trouble> {
    let number = |index: usize| row.try_get::<_, i64>(index).map(|number| number as u64);
    let snapshot = row.try_get::<_, Option<i64>>(3)?.map(|seq| seq as u64);
    Ok(StreamSummary { entity: entity(kind, row.try_get(0)?), first: number(1)?, last: number(2)?, snapshot })
}
