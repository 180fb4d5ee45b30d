//! Looking for bytes in all that is stored: for tools. The journal is read slice by slice, each as of a moment of its own, so that
//! the log can be moved into the file in between, however large the journal is.

use gundo_journal::Fault;
use gundo_journal::find::{Among, Slice};
use gundo_types::{EntityId, Kind};
use gundo_wire::journal::Loaded;
use rusqlite::{OptionalExtension, Row, params};

use crate::Reader;

impl Reader {
    /// Of up to `max` events or snapshots after `after`, in the order of their keys: those whose payload has `bytes` in it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(
        &self,
        among: Among,
        bytes: &[u8],
        after: Option<(EntityId, u64)>,
        max: usize,
    ) -> Result<Slice, Fault> {
        let read = || -> rusqlite::Result<Slice> {
            let table = match among {
                Among::Events => "events",
                Among::Snapshots => "snapshots",
            };
            let sql = format!(
                "SELECT kind, id, seq, instr(payload, ?4) > 0 FROM {table} WHERE (kind, id, seq) > (?1, ?2, ?3)
                 ORDER BY kind, id, seq LIMIT ?5"
            );
            let mut query = self.conn.prepare_cached(&sql)?;
            // Before all: kinds are not negative.
            let (kind, id, seq) = after
                .map_or((-1, 0, 0), |(entity, seq)| (i64::from(entity.kind.0), entity.id as i64, seq as i64));
            let row = |row: &Row<'_>| {
                let entity = EntityId::new(Kind(row.get(0)?), row.get::<_, i64>(1)? as u64);
                Ok(((entity, row.get::<_, i64>(2)? as u64), row.get(3)?))
            };
            let limit = i64::try_from(max).unwrap_or(i64::MAX);
            let (mut slice, mut count) = (Slice::default(), 0);
            for found in query.query_map(params![kind, id, seq, bytes, limit], row)? {
                let (key, has) = found?;
                slice.found.extend(Some(key).filter(|_| has));
                slice.next = Some(key);
                count += 1;
            }
            slice.next = slice.next.filter(|_| count == max);
            Ok(slice)
        };
        read().map_err(|why| Fault::Streams { source: why.into() })
    }

    /// The newest snapshot of an entity that ends before event `before`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn snapshot(&self, entity: EntityId, before: u64) -> Result<Loaded, Fault> {
        let read = || -> rusqlite::Result<Loaded> {
            let sql = "SELECT seq, payload FROM snapshots WHERE kind = ?1 AND id = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT 1";
            let before = i64::try_from(before).unwrap_or(i64::MAX);
            let key = params![entity.kind.0, entity.id as i64, before];
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Vec<u8>>(1)?.into()));
            let snapshot = self.conn.prepare_cached(sql)?.query_row(key, row).optional()?;
            Ok(Loaded { snapshot, ..Loaded::default() })
        };
        read().map_err(|why| Fault::Load { entity, source: why.into() })
    }
}
