//! Reads a journal: for tools, and for what a journal answers off its hot path.

use std::path::Path;

use gundo_journal::{Fault, NameRow, StreamSummary};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{EventRecord, Loaded};
use rusqlite::{Connection, OptionalExtension, params};

use crate::load::{EVENTS, FIRST_ID, event_row, in_one_moment, load_entity};
use crate::open::{JournalFile, OpenError};
use crate::schema;
use crate::writer::name_row;

/// A journal opened for reading, even while a server runs on it. Takes no lock and changes nothing.
#[derive(Debug)]
pub struct Reader {
    pub(crate) conn: Connection,
}

impl Reader {
    /// Opens the journal in the data directory `dir` for reading.
    ///
    /// # Errors
    /// There is no journal, or it cannot be used; the message says what to do.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::visiting(&JournalFile::new(dir.as_ref()))
    }

    pub(crate) fn visiting(file: &JournalFile) -> Result<Self, OpenError> {
        Ok(Self { conn: file.visitor()? })
    }

    pub(crate) fn of(file: &JournalFile) -> Result<Self, OpenError> {
        Ok(Self { conn: file.reader()? })
    }

    /// The note under `key`; the engine writes `created_ms`, the wall clock (ms since 1970) at the start of world time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        let value = self.conn.query_row(schema::META, [key], |row| row.get(0)).optional();
        value.map_err(|why| Fault::Meta { key: key.to_owned(), source: why.into() })
    }

    /// The generation of the journal: see [`Journal::generation`](gundo_journal::Journal::generation).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn generation(&self) -> Result<u64, Fault> {
        schema::generation(&self.conn).map_err(|why| Fault::Generation { source: why.into() })
    }

    /// See [`Journal::newest_at`](gundo_journal::Journal::newest_at).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_at(&self) -> Result<Option<WorldTime>, Fault> {
        let noted = schema::newest_at(&self.conn);
        let noted =
            noted.map_err(|why| Fault::Meta { key: schema::NEWEST_AT.to_owned(), source: why.into() })?;
        Ok(noted.map(|at| WorldTime(at.saturating_add(schema::NEWEST_AT_MS - 1))))
    }

    /// The newest row of a name.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        let fault = |why: rusqlite::Error| {
            let (space, name) = (space.to_owned(), name.to_owned());
            Fault::Name { space, name, source: why.into() }
        };
        name_row(&self.conn, space, name).map_err(fault)
    }

    /// Whether the row of an incarnation is there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
        let query = self.conn.prepare_cached("SELECT 1 FROM members WHERE incarnation = ?1");
        let exists = query.and_then(|mut query| query.exists([incarnation as i64]));
        exists.map_err(|why| Fault::IsMember { incarnation, source: why.into() })
    }

    /// An entity as a node would load it.
    ///
    /// # Errors
    /// The file cannot be read, or an event is missing.
    pub fn load(&self, entity: EntityId) -> Result<Loaded, Fault> {
        load_entity(&self.conn, entity)
    }

    /// Up to `max` events of a stream with a seq above `after`, ascending; what was pruned is not there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
        let read = || -> rusqlite::Result<_> {
            let mut query = self.conn.prepare_cached(EVENTS)?;
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            let rows =
                query.query_map(params![entity.kind.0, entity.id as i64, after as i64, max], event_row)?;
            rows.collect()
        };
        read().map_err(|why| Fault::Stream { entity, source: why.into() })
    }

    /// Up to `max` streams in entity order, those after `after`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        let read = || {
            let (mut found, mut last) = (Vec::new(), after);
            while found.len() < max
                && let Some(entity) = self.next_stream(last)?
            {
                found.push(self.summary(entity)?);
                last = Some(entity);
            }
            Ok(found)
        };
        in_one_moment(&self.conn, read).map_err(|why| Fault::Streams { source: why.into() })
    }

    /// Jumps from stream to stream through the key, without reading their events. Ids above 2^63 are negative in the file.
    fn next_stream(&self, after: Option<EntityId>) -> rusqlite::Result<Option<EntityId>> {
        let mut kind = after.map_or(-1, |after| i64::from(after.kind.0));
        let mut from = after.map(|after| after.id as i64);
        loop {
            let ranges = match from {
                Some(id) if id >= 0 => [(id.checked_add(1), i64::MAX), (Some(i64::MIN), -1)],
                Some(id) => [(id.checked_add(1), -1), (None, 0)],
                None => [(None, 0), (None, 0)],
            };
            for (low, high) in ranges {
                let Some(low) = low else { continue };
                let mut query = self.conn.prepare_cached(FIRST_ID)?;
                let id = query.query_row(params![kind, low, high], |row| row.get::<_, i64>(0)).optional()?;
                if let Some(id) = id {
                    return Ok(Some(EntityId::new(Kind(kind as u16), id as u64)));
                }
            }
            let sql = "SELECT kind FROM events WHERE kind > ?1 ORDER BY kind LIMIT 1";
            let next = self.conn.prepare_cached(sql)?.query_row([kind], |row| row.get(0)).optional()?;
            let Some(next) = next else {
                return Ok(None);
            };
            (kind, from) = (next, None);
            if let Some(id) = self.first_of(kind)? {
                return Ok(Some(EntityId::new(Kind(kind as u16), id as u64)));
            }
        }
    }

    fn first_of(&self, kind: i64) -> rusqlite::Result<Option<i64>> {
        for (low, high) in [(0, i64::MAX), (i64::MIN, -1)] {
            let mut query = self.conn.prepare_cached(FIRST_ID)?;
            if let Some(id) = query.query_row(params![kind, low, high], |row| row.get(0)).optional()? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn summary(&self, entity: EntityId) -> rusqlite::Result<StreamSummary> {
        let key = params![entity.kind.0, entity.id as i64];
        let seq = |sql: &str| -> rusqlite::Result<Option<u64>> {
            let found =
                self.conn.prepare_cached(sql)?.query_row(key, |row| row.get::<_, i64>(0)).optional()?;
            Ok(found.map(|seq| seq as u64))
        };
        let first = seq("SELECT seq FROM events WHERE kind = ?1 AND id = ?2 ORDER BY seq LIMIT 1")?;
        let last = seq(schema::LAST_SEQ)?;
        let snapshot =
            seq("SELECT seq FROM snapshots WHERE kind = ?1 AND id = ?2 ORDER BY seq DESC LIMIT 1")?;
        Ok(StreamSummary { entity, first: first.unwrap_or(0), last: last.unwrap_or(0), snapshot })
    }
}
