//! Removes whole streams: see [`Journal::remove`](gundo_journal::Journal::remove).

use gundo_types::EntityId;
use rusqlite::params;

use crate::writer::{Writer, last_seq};

/// Without it each removal reads all names. The first removal makes it: older builds use the file as before.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS names_of_owner ON names (kind, id)";

const DELETES: [&str; 4] = [
    "DELETE FROM events WHERE kind = ?1 AND id = ?2",
    "DELETE FROM snapshots WHERE kind = ?1 AND id = ?2",
    "DELETE FROM names WHERE kind = ?1 AND id = ?2",
    crate::schema::DELETE_WAKE,
];

impl Writer {
    /// Removes those that still end in the given seq, in one transaction.
    pub(crate) fn remove(&mut self, streams: &[(EntityId, u64)]) -> rusqlite::Result<usize> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let removed = self.delete(streams).inspect_err(|_| self.roll_back())?;
        let end = if removed.is_empty() { "ROLLBACK" } else { "COMMIT" };
        // What is remembered of them is wrong in either case, if the outcome is unknown.
        self.forget(&removed);
        self.conn.execute_batch(end).inspect_err(|_| self.roll_back())?;
        Ok(removed.len())
    }

    fn delete(&self, streams: &[(EntityId, u64)]) -> rusqlite::Result<Vec<EntityId>> {
        self.conn.execute_batch(INDEX)?;
        let mut removed = Vec::new();
        for (entity, last) in streams {
            if *last == 0 || last_seq(&self.conn, *entity)? != *last {
                continue;
            }
            for delete in DELETES {
                let key = params![entity.kind.0, entity.id as i64];
                self.conn.prepare_cached(delete)?.execute(key)?;
            }
            removed.push(*entity);
        }
        Ok(removed)
    }
}
