//! The file: its tables, its mark, and how a connection is set up.
//!
//! `events` is clustered by its key: the events of one entity are adjacent, so a load reads few pages and pruning frees whole
//! pages. Unsigned 64-bit numbers are stored as SQLite's signed ones, bit for bit.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use crate::Synchronous;

/// `PRAGMA application_id` of our files: "Gndo".
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Gndo");
/// The layout this build reads and writes; in `meta` under `format`.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const CREATE: &str = "
    CREATE TABLE events (
        kind INTEGER NOT NULL, id INTEGER NOT NULL, seq INTEGER NOT NULL,
        at INTEGER NOT NULL, cause BLOB NOT NULL, type INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (kind, id, seq)
    ) WITHOUT ROWID;
    CREATE TABLE snapshots (
        kind INTEGER NOT NULL, id INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (kind, id, seq)
    );
    CREATE TABLE names (
        space TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, kind INTEGER, id INTEGER,
        PRIMARY KEY (space, name, n)
    ) WITHOUT ROWID;
    CREATE TABLE members (
        incarnation INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, joined_ms INTEGER NOT NULL
    );
    CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// A table that earlier versions of this format did not have. They leave it alone, and cannot load the entities in it.
pub(crate) const CREATE_WAKES: &str = "
    CREATE TABLE IF NOT EXISTS wakes (
        kind INTEGER NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS wakes_due ON wakes (at, kind, id);
";
pub(crate) const SET_WAKE: &str = "INSERT INTO wakes VALUES (?1, ?2, ?3)
    ON CONFLICT (kind, id) DO UPDATE SET at = excluded.at";
pub(crate) const DELETE_WAKE: &str = "DELETE FROM wakes WHERE kind = ?1 AND id = ?2";
pub(crate) const WAKES: &str = "SELECT at, kind, id FROM wakes WHERE (at, kind, id) > (?1, ?2, ?3) AND at <= ?4 ORDER BY at, kind, id LIMIT ?5";

pub(crate) const LAST_SEQ: &str =
    "SELECT seq FROM events WHERE kind = ?1 AND id = ?2 ORDER BY seq DESC LIMIT 1";
pub(crate) const INSERT_EVENT: &str = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
pub(crate) const INSERT_SNAPSHOT: &str = "INSERT INTO snapshots VALUES (?1, ?2, ?3, ?4)";
pub(crate) const NAME: &str =
    "SELECT n, kind, id FROM names WHERE space = ?1 AND name = ?2 ORDER BY n DESC LIMIT 1";
pub(crate) const INSERT_NAME: &str = "INSERT INTO names VALUES (?1, ?2, ?3, ?4, ?5)";
/// Only the newest row of a name is ever read; its history is in the events.
pub(crate) const DELETE_OLDER_NAMES: &str = "DELETE FROM names WHERE space = ?1 AND name = ?2 AND n < ?3";
pub(crate) const INSERT_MEMBER: &str =
    "INSERT INTO members (incarnation, node, joined_ms) VALUES (?1, ?2, ?3)";
/// SQLite remembers the highest key that an AUTOINCREMENT table ever had, even after its row was deleted.
pub(crate) const NEWEST_MEMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'members'";
pub(crate) const META: &str = "SELECT value FROM meta WHERE key = ?1";
pub(crate) const SET_META: &str = "INSERT INTO meta VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
pub(crate) const SETTLE_META: &str = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
/// The key in `meta` that is `1` in the file itself while a process writes the journal, and `0` once all of its log is in the file.
pub(crate) const IN_USE: &str = "in_use";
/// Key in `meta` of a world time that all events are earlier than by adding [`NEWEST_AT_MS`]. Missing: an earlier version wrote the
/// file, or there is no event.
pub(crate) const NEWEST_AT: &str = "newest_at";
/// How often it is noted, ms of world time: each note costs the group that it goes with a page.
pub(crate) const NEWEST_AT_MS: u64 = 1_000;
/// Key of the generation in `meta`; missing: the first one, 0.
pub(crate) const GENERATION: &str = "generation";
/// Counts the commits that were made to settle the outcome of a failed one.
pub(crate) const SETTLE: &str = "INSERT INTO meta VALUES ('settled', '1')
    ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";

/// How long a connection waits for another process (an operator's `sqlite3` shell) before it gives up.
const BUSY: Duration = Duration::from_secs(2);

/// What is noted of the newest event's time.
pub(crate) fn newest_at(conn: &Connection) -> rusqlite::Result<Option<u64>> {
    let text = conn.query_row(META, [NEWEST_AT], |row| row.get::<_, String>(0)).optional()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Begins the next generation in a file that nobody writes.
pub(crate) fn begin_generation(conn: &Connection, wall_ms: u64) -> rusqlite::Result<()> {
    let next = gundo_journal::group::next_generation(generation(conn)?, wall_ms);
    conn.execute(SET_META, [GENERATION, &next.to_string()]).map(drop)
}

/// The generation of the journal.
pub(crate) fn generation(conn: &Connection) -> rusqlite::Result<u64> {
    let mut query = conn.prepare_cached(META)?;
    let value: Option<String> = query.query_row([GENERATION], |row| row.get(0)).optional()?;
    let Some(value) = value else { return Ok(0) };
    let failed = |why| {
        let text = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, text, Box::new(why))
    };
    value.parse().map_err(|why: std::num::ParseIntError| failed(why))
}

/// Sets up the one connection that writes.
pub(crate) fn set_up_writer(conn: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Off => "OFF",
    };
    conn.pragma_update(None, "synchronous", level)?;
    // 32 MiB of pages: the working set of some ten thousand active streams.
    conn.pragma_update(None, "cache_size", -32_768)?;
    // The journal itself decides when to checkpoint: after it has given the outcomes, not before.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Sets up a connection of a tool: what a killed server left is not moved from the log into the file when it closes.
pub(crate) fn set_up_visitor(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    set_up_reader(conn)
}

/// Sets up a connection that only reads.
pub(crate) fn set_up_reader(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;

    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -4_096)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}
