//! Deletes what no load needs any more, one slice at a time. [`gundo_journal::group::prune_line`] says which events those are.

use std::time::{Duration, Instant};

use gundo_journal::{Pruned, group};
use gundo_types::WorldTime;
use rusqlite::{Connection, OptionalExtension, params};

use crate::schema;
use crate::writer::Writer;

/// Limit of rows read, and of rows deleted, per slice: 2–5 ms of the writer's time.
const LOOK_MAX: usize = 256;
const DELETE_MAX: i64 = 1_000;
/// Pause between two slices of a sweep: at least three quarters of the writer's time is left for appends.
const BETWEEN_SLICES: Duration = Duration::from_millis(20);

/// A walk over all snapshots, in key order.
pub(crate) struct Sweep {
    every: Duration,
    next: Instant,
    /// The last stream it has looked at.
    cursor: Option<(i64, i64)>,
}

impl Sweep {
    pub(crate) fn new(every_ms: u64) -> Self {
        let every = Duration::from_millis(every_ms);
        Self { every, next: Instant::now() + every, cursor: None }
    }

    /// When the next slice is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }
}

/// What a slice deleted, and where the sweep continues.
struct Slice {
    pruned: Pruned,
    cursor: Option<(i64, i64)>,
}

impl Writer {
    /// Prunes one slice of the running sweep, or the first of the next.
    pub(crate) fn prune_slice(&mut self, now: WorldTime) {
        match self.slice(self.sweep.cursor, now) {
            Ok(slice) => {
                self.counters.common.on_pruned(slice.pruned.events);
                self.sweep.cursor = slice.cursor;
                let pause = if slice.cursor.is_some() { BETWEEN_SLICES } else { self.sweep.every };
                self.sweep.next = Instant::now() + pause;
            }
            Err(why) => {
                tracing::warn!(%why, "cannot prune now");
                self.sweep.cursor = None;
                self.sweep.next = Instant::now() + self.sweep.every.max(Duration::from_secs(1));
            }
        }
    }

    /// Prunes everything that can be pruned.
    pub(crate) fn prune_all(&self, now: WorldTime) -> rusqlite::Result<Pruned> {
        let (mut pruned, mut cursor) = (Pruned::default(), None);
        loop {
            let slice = self.slice(cursor, now)?;
            pruned.events += slice.pruned.events;
            pruned.snapshots += slice.pruned.snapshots;
            cursor = slice.cursor;
            if cursor.is_none() {
                self.counters.common.on_pruned(pruned.events);
                return Ok(pruned);
            }
        }
    }

    /// One slice is one transaction, and so one sync of the disk.
    fn slice(&self, cursor: Option<(i64, i64)>, now: WorldTime) -> rusqlite::Result<Slice> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let slice = self.delete_slice(cursor, now).inspect_err(|_| self.roll_back())?;
        let end = if slice.pruned == Pruned::default() { "ROLLBACK" } else { "COMMIT" };
        self.conn.execute_batch(end).inspect_err(|_| self.roll_back())?;
        Ok(slice)
    }

    fn delete_slice(&self, cursor: Option<(i64, i64)>, now: WorldTime) -> rusqlite::Result<Slice> {
        let found = look(&self.conn, cursor)?;
        let more = found.len() == LOOK_MAX;
        let mut streams: Vec<_> = found.chunk_by(|a, b| a.0 == b.0).collect();
        // The last stream may have more snapshots than this slice read: the next slice begins with it again.
        if more && streams.len() > 1 {
            streams.pop();
        }
        let mut slice = Slice { pruned: Pruned::default(), cursor: None };
        let mut left = DELETE_MAX;
        for stream in streams {
            let ((kind, id), _) = stream[0];
            let seqs: Vec<i64> = stream.iter().map(|(_, seq)| *seq).collect();
            if let Some(line) = self.line(kind, id, &seqs, now)? {
                let done = self.prune_stream(kind, id, line, left, &mut slice.pruned)?;
                left = DELETE_MAX - slice.pruned.events as i64;
                if !done || left <= 0 {
                    slice.cursor =
                        if done { Some((kind, id)) } else { slice.cursor.or(cursor).or(Some(BEFORE_ALL)) };
                    return Ok(slice);
                }
            }
            slice.cursor = Some((kind, id));
        }
        if !more {
            slice.cursor = None;
        }
        Ok(slice)
    }

    fn line(&self, kind: i64, id: i64, seqs: &[i64], now: WorldTime) -> rusqlite::Result<Option<i64>> {
        if seqs.len() < 2 {
            return Ok(None);
        }
        let mut query =
            self.conn.prepare_cached("SELECT at FROM events WHERE kind = ?1 AND id = ?2 AND seq = ?3")?;
        let mut snapshots = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let at: i64 = query.query_row(params![kind, id, seq], |row| row.get(0))?;
            snapshots.push((*seq as u64, WorldTime(at as u64)));
        }
        Ok(group::prune_line(&snapshots, now, self.settings.keep_ms).map(|line| line as i64))
    }

    /// Deletes up to `max` events below `line`; returns whether none is left. Deletes all snapshots below at once, so that the
    /// last event of each remaining snapshot is there.
    fn prune_stream(
        &self,
        kind: i64,
        id: i64,
        line: i64,
        max: i64,
        pruned: &mut Pruned,
    ) -> rusqlite::Result<bool> {
        let mut first = self.conn.prepare_cached(
            "SELECT seq FROM events WHERE kind = ?1 AND id = ?2 AND seq < ?3 ORDER BY seq LIMIT 1",
        )?;
        let first: Option<i64> = first.query_row(params![kind, id, line], |row| row.get(0)).optional()?;
        let Some(first) = first else {
            return Ok(true);
        };
        let until = line.min(first.saturating_add(max));
        let delete = |table: &str, until: i64| {
            let sql = format!("DELETE FROM {table} WHERE kind = ?1 AND id = ?2 AND seq < ?3");
            self.conn.prepare_cached(&sql)?.execute(params![kind, id, until])
        };
        let (snapshots, events) = (delete("snapshots", line)?, delete("events", until)?);
        pruned.snapshots += snapshots as u64;
        pruned.events += events as u64;
        Ok(until == line)
    }
}

/// A key below every stream.
const BEFORE_ALL: (i64, i64) = (-1, 0);

/// The next snapshots after the stream `cursor`, by stream and seq. Reads only the index.
fn look(conn: &Connection, cursor: Option<(i64, i64)>) -> rusqlite::Result<Vec<((i64, i64), i64)>> {
    let (kind, id) = cursor.unwrap_or(BEFORE_ALL);
    let mut query = conn.prepare_cached(
        "SELECT kind, id, seq FROM snapshots WHERE (kind, id) > (?1, ?2) ORDER BY kind, id, seq LIMIT ?3",
    )?;
    let row = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    query.query_map(params![kind, id, LOOK_MAX as i64], row)?.collect()
}

/// World time of a journal created at `created_ms` when the wall clock shows `wall_ms`.
pub(crate) fn world_time(created_ms: u64, wall_ms: u64) -> WorldTime {
    WorldTime(wall_ms.saturating_sub(created_ms))
}

/// Key of the note that says when the world began.
pub(crate) fn created_ms(conn: &Connection) -> rusqlite::Result<u64> {
    let text = conn.query_row(schema::META, ["created_ms"], |row| row.get::<_, String>(0)).optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
