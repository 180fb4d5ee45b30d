//! Checks a whole journal: what must hold for every stream, snapshot and name.

use std::path::Path;

use gundo_journal::verify::{self, EventRow, Events, Report};
use gundo_types::{EntityId, Kind};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::load::in_one_moment;
use crate::open::{JournalFile, OpenError};
use crate::read::Reader;

/// Checks the journal in `dir`, as of one moment, even while a server runs on it: the file itself; every stream without gaps from
/// where pruning left off, in order of time, with readable causes; every snapshot readable, and its last event there; one row for
/// each name.
///
/// # Errors
/// There is no journal, or it cannot be opened or read at all. Damage that leaves it readable is in the report.
pub fn verify(dir: impl AsRef<Path>) -> Result<Report, OpenError> {
    let file = JournalFile::new(dir.as_ref());
    let reader = Reader::visiting(&file)?;
    let looked = in_one_moment(&reader.conn, || {
        let mut report = Report::default();
        let parts: [(&str, Part); 4] =
            [("the file", integrity), ("events", streams), ("snapshots", snapshots), ("names", names)];
        for (what, part) in parts {
            match part(&reader.conn, &mut report) {
                Err(why) if why.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                    report.problem(format_args!("{what}: not readable to the end: {why}"));
                }
                other => other?,
            }
        }
        Ok(report)
    });
    looked.map_err(|source| file.error("looking it over", source))
}

/// Checks one part of a journal.
type Part = fn(&Connection, &mut Report) -> rusqlite::Result<()>;

fn integrity(conn: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut query = conn.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.problem(format_args!("the file: {line}"));
        }
    }
    Ok(())
}

fn streams(conn: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut query =
        conn.prepare("SELECT kind, id, seq, at, cause, type FROM events ORDER BY kind, id, seq")?;
    let mut rows = query.query([])?;
    let mut events = Events::default();
    while let Some(row) = rows.next()? {
        let (entity, seq) = (entity(row)?, row.get::<_, i64>(2)? as u64);
        let (at, cause) = (row.get::<_, i64>(3)? as u64, row.get_ref(4)?.as_blob()?);
        let event = EventRow { entity, seq, at, event_type: row.get(5)?, cause };
        if events.take(report, &event) && seq != 1 && !has_snapshot(conn, entity)? {
            report.problem(format_args!("{entity}: begins with event {seq}, without a snapshot"));
        }
    }
    Ok(())
}

fn has_snapshot(conn: &Connection, entity: EntityId) -> rusqlite::Result<bool> {
    let mut query = conn.prepare_cached("SELECT 1 FROM snapshots WHERE kind = ?1 AND id = ?2")?;
    query.exists(params![entity.kind.0, entity.id as i64])
}

fn snapshots(conn: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut query = conn.prepare("SELECT kind, id, seq, payload FROM snapshots ORDER BY kind, id, seq")?;
    let mut event = conn.prepare("SELECT 1 FROM events WHERE kind = ?1 AND id = ?2 AND seq = ?3")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (entity, seq) = (entity(row)?, row.get::<_, i64>(2)?);
        let has_event = event.exists(params![entity.kind.0, entity.id as i64, seq])?;
        verify::snapshot(report, entity, seq as u64, row.get_ref(3)?.as_blob()?, has_event);
    }
    Ok(())
}

fn names(conn: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let sql =
        "SELECT space, name, count(*), sum(kind IS NOT NULL), sum((kind IS NULL) <> (id IS NULL)), min(n)
               FROM names GROUP BY space, name";
    let mut query = conn.prepare(sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (space, name): (String, String) = (row.get(0)?, row.get(1)?);
        let (count, owned, half, n): (i64, i64, i64, i64) =
            (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        report.names += owned as u64;
        if count != 1 || half != 0 || n < 1 {
            report.problem(format_args!(
                "the name {name:?} in {space:?} has {count} rows, {half} with half an owner"
            ));
        }
    }
    let began = conn.query_row("SELECT 1 FROM meta WHERE key = 'created_ms'", [], |_| Ok(())).optional()?;
    if began.is_none() {
        report.problem("the note of when the world began is missing");
    }
    Ok(())
}

fn entity(row: &rusqlite::Row<'_>) -> rusqlite::Result<EntityId> {
    Ok(EntityId::new(Kind(row.get(0)?), row.get::<_, i64>(1)? as u64))
}
