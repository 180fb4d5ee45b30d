//! Measures what SQLite itself can do on this disk: the limit that the journal is compared with.
//!
//! The same table, records and durability, with one thread and one connection and nothing around it: multi-row inserts in groups.
//! No predecessor check, no queue, no outcomes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ToSql};

use crate::Synchronous;
use crate::schema;

/// What to write.
#[derive(Clone, Debug)]
pub struct RawSettings {
    /// An empty directory on the disk to measure. A file is left behind in it.
    pub dir: PathBuf,
    /// Bytes of each record's cause (reply included).
    pub cause_bytes: usize,
    /// Bytes of each record's payload.
    pub payload_bytes: usize,
    /// Streams to write to, in random order: each group touches many different ones, as players do.
    pub streams: u64,
    /// Records in a group, on average; group sizes are the two integers around it.
    pub group_mean: f64,
    /// Groups to write.
    pub groups: u64,
    /// As the journal's setting.
    pub synchronous: Synchronous,
    /// How the table is laid out.
    pub layout: Layout,
}

impl Default for RawSettings {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            cause_bytes: 40,
            payload_bytes: 24,
            streams: 1_000,
            group_mean: 1.0,
            groups: 1_000,
            synchronous: Synchronous::Full,
            layout: Layout::Clustered,
        }
    }
}

/// How the events table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By its key, as the journal has it.
    Clustered,
    /// In order of arrival, with an index over the key beside it.
    Heap,
}

/// The result.
#[derive(Clone, Copy, Debug)]
pub struct RawReport {
    /// Records written.
    pub records: u64,
    /// Records per second, checkpoints included.
    pub records_per_second: f64,
    /// Groups per second.
    pub groups_per_second: f64,
    /// Time from the start of a group to the end of its commit, µs: the median.
    pub commit_us_p50: u64,
    /// The same, 99th percentile.
    pub commit_us_p99: u64,
}

/// SQLite could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure SQLite in {}: give an empty directory that is writable", dir.display())]
pub struct RawFault {
    /// [`RawSettings::dir`].
    pub dir: PathBuf,
    /// Why.
    pub source: rusqlite::Error,
}

/// Writes groups of records as fast as SQLite takes them.
///
/// # Errors
/// The directory cannot be written.
pub fn measure(settings: &RawSettings) -> Result<RawReport, RawFault> {
    run(settings).map_err(|source| RawFault { dir: settings.dir.clone(), source })
}

/// Writes `commits` single records, each in its own commit: the cost of the fastest durable answer.
///
/// # Errors
/// The directory cannot be written.
pub fn single_commits(settings: &RawSettings, commits: u64) -> Result<RawReport, RawFault> {
    measure(&RawSettings { group_mean: 1.0, groups: commits, ..settings.clone() })
}

struct Record {
    id: i64,
    seq: i64,
}

fn run(settings: &RawSettings) -> rusqlite::Result<RawReport> {
    let conn = Connection::open(settings.dir.join("raw.sqlite"))?;
    schema::set_up_writer(&conn, settings.synchronous)?;
    match settings.layout {
        Layout::Clustered => conn.execute_batch(schema::CREATE)?,
        Layout::Heap => conn.execute_batch(&schema::CREATE.replacen("WITHOUT ROWID", "", 1))?,
    }
    let (cause, payload) = (vec![0xc5; settings.cause_bytes], vec![0xb7; settings.payload_bytes]);
    let mut seqs = vec![0_i64; settings.streams.max(1) as usize];
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut times = Vec::with_capacity(settings.groups as usize);
    let (mut records, mut owed, mut group) = (0_u64, 0.0, Vec::new());
    let start = Instant::now();
    for _ in 0..settings.groups {
        owed += settings.group_mean.max(1.0);
        group.clear();
        while owed >= 1.0 {
            owed -= 1.0;
            // xorshift: any spread over the streams will do.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let id = (chance % settings.streams.max(1)) as usize;
            seqs[id] += 1;
            group.push(Record { id: id as i64, seq: seqs[id] });
        }
        let began = Instant::now();
        conn.execute_batch("BEGIN IMMEDIATE")?;
        insert(&conn, &group, &cause, &payload)?;
        conn.execute_batch("COMMIT")?;
        times.push(began.elapsed());
        records += group.len() as u64;
        checkpoint_when_due(&conn, records, group.len() as u64)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let us = |time: Duration| time.as_micros() as u64;
    Ok(RawReport {
        records,
        records_per_second: records as f64 / seconds,
        groups_per_second: settings.groups as f64 / seconds,
        commit_us_p50: us(at(0.5)),
        commit_us_p99: us(at(0.99)),
    })
}

/// Some rows per statement: fewer calls per row, a bounded number of statements to prepare.
fn insert(conn: &Connection, group: &[Record], cause: &[u8], payload: &[u8]) -> rusqlite::Result<()> {
    let mut rest = group;
    while !rest.is_empty() {
        let count = [64, 8, 1].into_iter().find(|count| *count <= rest.len()).expect("1 is never too many");
        let (rows, after) = rest.split_at(count);
        rest = after;
        let sql = format!("INSERT INTO events VALUES {}", vec!["(1,?,?,0,?,0,?)"; count].join(","));
        let mut values: Vec<&dyn ToSql> = Vec::with_capacity(count * 4);
        for row in rows {
            values.extend_from_slice(&[&row.id, &row.seq, &cause, &payload]);
        }
        conn.prepare_cached(&sql)?.execute(&values[..])?;
    }
    Ok(())
}

/// About as often as the journal does it: see [`Settings::checkpoint_pages`](crate::Settings::checkpoint_pages).
fn checkpoint_when_due(conn: &Connection, records: u64, added: u64) -> rusqlite::Result<()> {
    const RECORDS: u64 = 4_000;
    if records / RECORDS != (records - added) / RECORDS {
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}
