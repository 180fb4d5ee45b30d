//! Looking for bytes in all that is stored: for tools. The server looks, slice by slice, each in a statement of its own: it keeps no old
//! rows alive for long, and takes no lock that an append waits for.

use bytes::Bytes;
use gundo_journal::Fault;
use gundo_journal::NameRow;
use gundo_journal::find::{Among, Slice};
use gundo_types::EntityId;
use gundo_wire::journal::Loaded;

use crate::link::{Live, Trouble};
use crate::tables::key;
use crate::writer::entity;
use crate::{PostgresReader, load};

/// Of one slice: the rows that have the bytes, the last row, and how many rows there were.
fn select(among: Among) -> String {
    let table = match among {
        Among::Events => "events",
        Among::Snapshots => "snapshots",
    };
    format!(
        "WITH slice AS MATERIALIZED (
            SELECT kind, id, seq, position($4::bytea IN payload) > 0 AS has FROM {table}
            WHERE (kind, id, seq) > ($1::int4, $2::int8, $3::int8) ORDER BY kind, id, seq LIMIT $5
        ), last AS (SELECT kind, id, seq FROM slice ORDER BY kind DESC, id DESC, seq DESC LIMIT 1)
        SELECT s.kind, s.id, s.seq, s.has, (SELECT count(*) FROM slice) FROM slice AS s, last AS l
        WHERE s.has OR (s.kind, s.id, s.seq) = (l.kind, l.id, l.seq) ORDER BY s.kind, s.id, s.seq"
    )
}

impl PostgresReader {
    /// Of up to `max` events or snapshots after `after`, in the order of their keys: those whose payload has `bytes` in it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn find(
        &mut self,
        among: Among,
        bytes: &[u8],
        after: Option<(EntityId, u64)>,
        max: usize,
    ) -> Result<Slice, Fault> {
        // Before all: kinds are not negative.
        let ((kind, id), seq) = after.map_or(((-1, 0), 0), |(entity, seq)| (key(entity), seq as i64));
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let found = self.ask(async |live: &mut Live| {
            let rows = live.client.query(&select(among), &[&kind, &id, &seq, &bytes, &limit]).await?;
            let (mut slice, mut count) = (Slice::default(), 0);
            for row in &rows {
                let found = (entity(row.try_get(0)?, row.try_get(1)?), row.try_get::<_, i64>(2)? as u64);
                // While events are moved from one partition to another there are two rows of each.
                if row.try_get(3)? && slice.found.last() != Some(&found) {
                    slice.found.push(found);
                }
                slice.next = Some(found);
                count = row.try_get::<_, i64>(4)?;
            }
            slice.next = slice.next.filter(|_| count == limit);
            Ok(slice)
        });
        found.map_err(|source| Fault::Streams { source })
    }

    /// The newest snapshot of an entity that ends before event `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&mut self, entity: EntityId, before: u64) -> Result<Loaded, Fault> {
        const SELECT: &str = "SELECT seq, payload FROM snapshots WHERE kind = $1 AND id = $2 AND seq < $3
            ORDER BY seq DESC LIMIT 1";
        let ((kind, id), before) = (key(entity), i64::try_from(before).unwrap_or(i64::MAX));
        let snapshot = self.ask(async |live: &mut Live| {
            let row = live.client.query_opt(SELECT, &[&kind, &id, &before]).await?;
            let snapshot = row.map(|row| {
                let payload = Bytes::copy_from_slice(row.try_get(1)?);
                Ok::<_, Trouble>((row.try_get::<_, i64>(0)? as u64, payload))
            });
            snapshot.transpose()
        });
        let snapshot = snapshot.map_err(|source| Fault::Load { entity, source })?;
        Ok(Loaded { snapshot, ..Loaded::default() })
    }

    /// An entity as a node would load it.
    ///
    /// # Errors
    /// The database cannot be read, or an event is missing.
    pub fn load(&mut self, entity: EntityId) -> Result<Loaded, Fault> {
        let loaded = self.ask(async |live: &mut Live| load::look(live, entity).await);
        loaded.and_then(load::check_found).map_err(|source| Fault::Load { entity, source })
    }

    /// The newest row of a name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn name(&mut self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        let row = self.ask(async |live: &mut Live| crate::journal::name_of(live, space, name).await);
        row.map_err(|source| Fault::Name { space: space.to_owned(), name: name.to_owned(), source })
    }
}
