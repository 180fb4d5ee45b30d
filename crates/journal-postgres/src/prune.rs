//! Deletes what no load needs any more, by partitions. [`gundo_journal::group::prune_line`] says which events those are.
//!
//! Events go into the newest partition. A **sweep** begins a new one from time to time, and looks at the older ones, oldest first. Of an
//! entity that is busy, everything in an old partition is dead: it has had newer snapshots since. Of one that idles, the last
//! events may live there for ever. So dropping alone cannot do it: what lives is copied into partition 0, which stays, and then the
//! partition is detached and dropped. Readers see one copy or two, never none, and nothing waits: see [`schema::LOAD`]. A
//! partition is emptied in this way when at most a quarter of it lives, or when there are too many; so an event is copied once in its
//! life at most. In partition 0 rows are deleted one by one.
//!
//! One process sweeps at a time, held by a lock of its session. A sweep that was cut short is taken up by the next.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use gundo_journal::Pruned;
use gundo_types::WorldTime;
use tokio_postgres::error::SqlState;

use crate::link::{Link, Live, Trouble};
use crate::migrate::lock_key;
use crate::stats::Counters;
use crate::{schema, wall_ms};

/// A partition is emptied if one in so many of its events lives, or fewer.
const LIVES_ONE_IN: i64 = 4;

/// Prune now.
pub(crate) struct Request {
    pub(crate) now: WorldTime,
    /// Also what lies in partitions that are not worth dropping, row by row.
    pub(crate) all: bool,
    pub(crate) reply: SyncSender<Result<Pruned, Trouble>>,
}

pub(crate) struct Pruner {
    link: Link,
    created_ms: u64,
    counters: Arc<Counters>,
}

/// Of each stream the seq from which it must be kept: see [`gundo_journal::group::prune_line`]. $1: snapshots up to this world time
/// are old enough.
const LINES: &str = "
    WITH line AS (
        SELECT n.kind, n.id, max(n.seq) AS seq FROM snapshots AS n JOIN streams AS s ON s.kind = n.kind AND s.id = n.id
        WHERE n.at <= $1 AND n.seq < s.snapshot GROUP BY n.kind, n.id
    )";

impl Pruner {
    pub(crate) fn new(link: Link, created_ms: u64, counters: &Arc<Counters>) -> Self {
        Self { link, created_ms, counters: Arc::clone(counters) }
    }

    /// What the pruning thread runs, until the journal closes.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        let every = Duration::from_millis(self.link.settings().prune_every_ms.max(1_000));
        let mut next = Instant::now() + every;
        loop {
            match requests.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Request { now, all, reply }) => {
                    // Who asked may have gone.
                    drop(reply.send(self.sweep(now, all)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = WorldTime(wall_ms().saturating_sub(self.created_ms));
                    if let Err(why) = self.sweep(now, false) {
                        tracing::warn!(%why, "cannot prune now");
                    }
                    next = Instant::now() + every;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sweep(&mut self, now: WorldTime, all: bool) -> Result<Pruned, Trouble> {
        let settings = self.link.settings().clone();
        let (patience, key) = (self.link.patience(), lock_key(&settings, "prune"));
        let counters = Arc::clone(&self.counters);
        self.link.run(patience, None, async |live: &mut Live| {
            let turn =
                if all { "SELECT pg_advisory_lock($1), true" } else { "SELECT 1, pg_try_advisory_lock($1)" };
            live.client.batch_execute("SET lock_timeout = 0").await?;
            let ours: bool = live.client.query_one(turn, &[&key]).await?.try_get(1)?;
            if !ours {
                return Ok(Pruned::default());
            }
            live.client.batch_execute(&format!("SET lock_timeout = {}", settings.lock_timeout_ms)).await?;
            let sweep = Sweep {
                before: now.0.saturating_sub(settings.keep_ms) as i64,
                is_early: now.0 < settings.keep_ms,
            };
            let pruned = sweep.run(live, &settings, &counters, all).await;
            live.client.execute("SELECT pg_advisory_unlock($1)", &[&key]).await?;
            let pruned = pruned?;
            counters.common.on_pruned(pruned.events);
            Ok(pruned)
        })
    }
}

struct Sweep {
    /// Snapshots up to this world time are old enough.
    before: i64,
    /// The world is younger than what is kept.
    is_early: bool,
}

impl Sweep {
    async fn run(
        &self,
        live: &mut Live,
        settings: &crate::PostgresSettings,
        counters: &Counters,
        all: bool,
    ) -> Result<Pruned, Trouble> {
        let mut pruned = Pruned::default();
        let current = rotate(live, settings.part_ms).await?;
        tidy(live).await?;
        if self.is_early {
            return Ok(pruned);
        }
        let parts =
            live.client.query("SELECT part FROM parts WHERE part < $1 ORDER BY part", &[&current]).await?;
        let parts: Vec<i32> = parts.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let too_many = (parts.len() + 1).saturating_sub(settings.parts_max.max(2));
        for (index, part) in parts.into_iter().enumerate() {
            // One that is not whole was emptied by a sweep that was cut short.
            let is_whole = is_whole(live, part).await?;
            if !is_whole || index < too_many || self.is_worth_it(live, part).await? {
                if is_whole {
                    self.empty(live, part, &mut pruned).await?;
                }
                drop_part(live, part).await?;
                counters.dropped_parts.fetch_add(1, Relaxed);
            }
        }
        let table = if all { "" } else { "_0" };
        self.delete(live, table, &mut pruned).await?;
        Ok(pruned)
    }

    /// Whether most of a partition is dead.
    async fn is_worth_it(&self, live: &Live, part: i32) -> Result<bool, Trouble> {
        let count = format!(
            "{LINES} SELECT count(*), count(*) FILTER (WHERE line.seq IS NULL OR e.seq >= line.seq)
             FROM events_{part} AS e LEFT JOIN line ON line.kind = e.kind AND line.id = e.id"
        );
        let row = live.client.query_one(&count, &[&self.before]).await?;
        let (rows, live_rows): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(live_rows * LIVES_ONE_IN <= rows)
    }

    /// Copies what lives in a partition into partition 0. What is there already, from a sweep that was cut short, is the same.
    async fn empty(&self, live: &mut Live, part: i32, pruned: &mut Pruned) -> Result<(), Trouble> {
        let tx = live.client.transaction().await?;
        for (table, columns, count) in [
            ("snapshots", "kind, id, seq, at, payload", &mut pruned.snapshots),
            ("events", "kind, id, seq, at, type, cause, payload", &mut pruned.events),
        ] {
            let copy = format!(
                "{LINES} INSERT INTO {table}_0 (part, {columns})
                 SELECT 0, {} FROM {table}_{part} AS e LEFT JOIN line ON line.kind = e.kind AND line.id = e.id
                 WHERE line.seq IS NULL OR e.seq >= line.seq ON CONFLICT DO NOTHING",
                columns.split(", ").map(|column| format!("e.{column}")).collect::<Vec<_>>().join(", ")
            );
            let dead = format!(
                "{LINES} SELECT count(*) FROM {table}_{part} AS e JOIN line ON line.kind = e.kind AND line.id = e.id
                 WHERE e.seq < line.seq"
            );
            tx.execute(&copy, &[&self.before]).await?;
            *count += tx.query_one(&dead, &[&self.before]).await?.try_get::<_, i64>(0)? as u64;
        }
        Ok(tx.commit().await?)
    }

    /// Deletes dead rows one by one: those of a partition, or of all. Lines are worked out once, before the snapshots go that they
    /// come from.
    async fn delete(&self, live: &Live, part: &str, pruned: &mut Pruned) -> Result<(), Trouble> {
        let delete = format!(
            "{LINES}, gone AS (
                DELETE FROM events{part} AS e USING line WHERE e.kind = line.kind AND e.id = line.id AND e.seq < line.seq RETURNING 1
            ), old AS (
                DELETE FROM snapshots{part} AS e USING line WHERE e.kind = line.kind AND e.id = line.id AND e.seq < line.seq
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM old)"
        );
        let row = live.client.query_one(&delete, &[&self.before]).await?;
        pruned.events += row.try_get::<_, i64>(0)? as u64;
        pruned.snapshots += row.try_get::<_, i64>(1)? as u64;
        Ok(())
    }
}

/// Begins a new partition if the newest one has been filled for long enough. Returns the newest.
async fn rotate(live: &mut Live, part_ms: u64) -> Result<i32, Trouble> {
    let newest = "SELECT p.part, p.begun_ms, w.part FROM parts AS p, world AS w WHERE w.slot = 0 ORDER BY p.part DESC LIMIT 1";
    let row = live.client.query_one(newest, &[]).await?;
    let (part, begun, used): (i32, i64, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if used != part {
        // A sweep was cut short between its two steps.
        live.client.execute("UPDATE world SET part = $1", &[&part]).await?;
    }
    let now = wall_ms() as i64;
    if now - begun < part_ms as i64 {
        return Ok(part);
    }
    let next = part + 1;
    let tx = live.client.transaction().await?;
    tx.batch_execute(&schema::make_part(next)).await?;
    tx.execute("INSERT INTO parts VALUES ($1, $2)", &[&next, &now]).await?;
    tx.commit().await?;
    // By itself, so that who waits for a row finds the partition. Appends hold theirs until they end: from here on nothing more comes
    // into the older partitions.
    live.client.execute("UPDATE world SET part = $1", &[&next]).await?;
    Ok(next)
}

/// Whether both tables still have the partition.
async fn is_whole(live: &Live, part: i32) -> Result<bool, Trouble> {
    let there = format!(
        "SELECT to_regclass('events_{part}') IS NOT NULL AND to_regclass('snapshots_{part}') IS NOT NULL"
    );
    Ok(live.client.query_one(&there, &[]).await?.try_get(0)?)
}

/// Takes a partition, which was emptied, out of its table, and drops it. Appends and loads go on meanwhile.
async fn drop_part(live: &Live, part: i32) -> Result<(), Trouble> {
    for table in ["events", "snapshots"] {
        detach(live, table, part).await?;
    }
    live.client.execute("DELETE FROM parts WHERE part = $1", &[&part]).await?;
    Ok(())
}

async fn detach(live: &Live, table: &str, part: i32) -> Result<(), Trouble> {
    let detach = format!("ALTER TABLE {table} DETACH PARTITION {table}_{part}");
    match live.client.batch_execute(&format!("{detach} CONCURRENTLY")).await {
        Ok(()) => {}
        // A sweep was cut short between the two steps of it.
        Err(why) if why.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => {
            live.client.batch_execute(&format!("{detach} FINALIZE")).await?;
        }
        // It was detached before, or is gone.
        Err(why) if why.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
        Err(why) => return Err(why.into()),
    }
    Ok(live.client.batch_execute(&format!("DROP TABLE IF EXISTS {table}_{part}")).await?)
}

/// Finishes what a sweep that was cut short has left: partitions that are detached, or half of it, were emptied before.
async fn tidy(live: &Live) -> Result<(), Trouble> {
    let pending = "SELECT p.relname::text, c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        JOIN pg_class AS p ON p.oid = i.inhparent
        WHERE i.inhdetachpending AND p.oid IN ('events'::regclass, 'snapshots'::regclass)";
    for row in live.client.query(pending, &[]).await? {
        let (table, part): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        live.client.batch_execute(&format!("ALTER TABLE {table} DETACH PARTITION {part} FINALIZE")).await?;
    }
    let loose = "SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events'::regclass) AND c.relkind = 'r'
            AND c.relname ~ '^(events|snapshots)_[0-9]+$' AND NOT c.relispartition";
    for row in live.client.query(loose, &[]).await? {
        let table: String = row.try_get(0)?;
        live.client.batch_execute(&format!("DROP TABLE {table}")).await?;
    }
    Ok(())
}
