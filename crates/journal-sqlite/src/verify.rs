//! Checks a whole journal: what must hold for every stream, snapshot and name.

use std::fmt;
use std::path::Path;

use gundo_types::{EntityId, Kind};
use gundo_wire::journal::{Cause, EventType, Snapshot};
use prost::Message;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::load::in_one_moment;
use crate::open::{JournalFile, OpenError};
use crate::read::Reader;

/// Problems reported one by one; further ones are only counted.
const PROBLEMS_MAX: usize = 100;

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Streams.
    pub streams: u64,
    /// Events.
    pub events: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Names with an owner.
    pub names: u64,
    /// The first hundred problems, in words. Empty: the journal is sound.
    pub problems: Vec<String>,
    /// Problems in all.
    pub problem_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, what: impl fmt::Display) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what.to_string());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, events, snapshots, names, .. } = self;
        writeln!(f, "{streams} streams, {events} events, {snapshots} snapshots, {names} names")?;
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        match self.problem_count {
            0 => write!(f, "sound"),
            count => write!(f, "{count} problems"),
        }
    }
}

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
    let mut before: Option<(EntityId, u64, u64)> = None;
    while let Some(row) = rows.next()? {
        let entity = entity(row)?;
        let (seq, at) = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
        report.events += 1;
        match before {
            Some((same, last, last_at)) if same == entity => {
                if seq != last + 1 {
                    report.problem(format_args!("{entity}: event {seq} follows {last}"));
                }
                if at < last_at {
                    report.problem(format_args!("{entity}: event {seq} is older than the one before"));
                }
            }
            _ => {
                report.streams += 1;
                if seq != 1 && !has_snapshot(conn, entity)? {
                    report.problem(format_args!("{entity}: begins with event {seq}, without a snapshot"));
                }
            }
        }
        before = Some((entity, seq, at));
        if Cause::decode(row.get_ref(4)?.as_blob()?).is_err() {
            report.problem(format_args!("{entity}: the cause of event {seq} cannot be read"));
        }
        let number: i64 = row.get(5)?;
        if u8::try_from(number).ok().and_then(EventType::from_u8).is_none() {
            report.problem(format_args!("{entity}: event {seq} has the unknown type {number}"));
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
        report.snapshots += 1;
        if !event.exists(params![entity.kind.0, entity.id as i64, seq])? {
            report.problem(format_args!("{entity}: the snapshot at {seq} ends in no event"));
        }
        if Snapshot::decode(row.get_ref(3)?.as_blob()?).is_err() {
            report.problem(format_args!("{entity}: the snapshot at {seq} cannot be read"));
        }
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
