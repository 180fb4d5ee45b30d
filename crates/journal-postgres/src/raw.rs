//! Measures what PostgreSQL itself can do: the limit that the journal is compared with.
//!
//! One table with the key and columns of the events, one statement per group, nothing around it: multi-row inserts from arrays, on as
//! many connections as the journal has writers. No predecessor check, no members, no queue, no outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gundo_journal::Fault;

use crate::link::{Link, Live, Role, Trouble};
use crate::{PostgresSettings, migrate};

/// What to write.
#[derive(Clone, Debug)]
pub struct RawSettings {
    /// Where. The table is made in its schema, and dropped at the end; `writers` connections write.
    pub postgres: PostgresSettings,
    /// Bytes of each record's cause (reply included).
    pub cause_bytes: usize,
    /// Bytes of each record's payload.
    pub payload_bytes: usize,
    /// Streams to write to, in turn.
    pub streams: u64,
    /// Records in a group, on average; group sizes are the two integers around it.
    pub group_mean: f64,
    /// For how long, ms.
    pub for_ms: u64,
}

/// The result.
#[derive(Clone, Copy, Debug)]
pub struct RawReport {
    /// Records per second, over all connections.
    pub records_per_second: f64,
    /// Time of one statement, its commit included, µs: the median.
    pub commit_us_p50: u64,
    /// The same, 99th percentile.
    pub commit_us_p99: u64,
}

/// Writes groups of records as fast as PostgreSQL takes them.
///
/// # Errors
/// The database cannot be used.
pub fn measure(settings: &RawSettings) -> Result<RawReport, Fault> {
    let postgres = Arc::new(settings.postgres.clone());
    let run = || -> Result<RawReport, Box<dyn std::error::Error + Send + Sync>> {
        let mut desk = Link::new(&postgres, Role::Desk)?;
        migrate::migrate(&mut desk, &postgres)?;
        desk.block(async |live: &mut Live| live.client.batch_execute(MAKE).await)?;
        let report = write(settings, &postgres);
        desk.block(async |live: &mut Live| live.client.batch_execute("DROP TABLE raw").await)?;
        report
    };
    run().map_err(|source| Fault::Open { source })
}

const MAKE: &str = "DROP TABLE IF EXISTS raw;
    CREATE TABLE raw (
        kind int4 NOT NULL, id int8 NOT NULL, seq int8 NOT NULL, at int8 NOT NULL, type int2 NOT NULL, cause bytea NOT NULL,
        payload bytea NOT NULL, PRIMARY KEY (kind, id, seq)
    )";
const INSERT: &str = "INSERT INTO raw SELECT 1, t.id, t.seq, 0, 0, t.cause, t.payload
    FROM unnest($1::int8[], $2::int8[], $3::bytea[], $4::bytea[]) AS t(id, seq, cause, payload)";

fn write(
    settings: &RawSettings,
    postgres: &Arc<PostgresSettings>,
) -> Result<RawReport, Box<dyn std::error::Error + Send + Sync>> {
    let (stop, next) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut links = Vec::new();
    for _ in 0..postgres.writers.max(1) {
        let mut link = Link::new(postgres, Role::Desk)?;
        link.connect()?;
        links.push(link);
    }
    let began = Instant::now();
    let times = std::thread::scope(|scope| {
        let start = |mut link: Link| {
            let (stop, next) = (&stop, &next);
            scope.spawn(move || link.block(async |live: &mut Live| insert(live, settings, stop, next).await))
        };
        let threads: Vec<_> = links.into_iter().map(start).collect();
        // The window in which is counted.
        std::thread::sleep(Duration::from_millis(settings.for_ms));
        stop.store(true, Relaxed);
        let times: Result<Vec<_>, _> =
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        times
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let mut times = times.concat();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_micros() as u64;
    Ok(RawReport {
        records_per_second: next.load(Relaxed) as f64 / seconds,
        commit_us_p50: at(0.5),
        commit_us_p99: at(0.99),
    })
}

/// Writes groups until told to stop. The time of each.
async fn insert(
    live: &Live,
    settings: &RawSettings,
    stop: &AtomicBool,
    next: &AtomicU64,
) -> Result<Vec<Duration>, Trouble> {
    let (cause, payload) = (vec![0xc5_u8; settings.cause_bytes], vec![0xb7_u8; settings.payload_bytes]);
    let insert = live.client.prepare(INSERT).await?;
    let (mut times, mut owed) = (Vec::new(), 0.0);
    while !stop.load(Relaxed) || times.is_empty() {
        owed += settings.group_mean.max(1.0);
        let size = owed as u64;
        owed -= size as f64;
        let first = next.fetch_add(size, Relaxed);
        let mut keys: Vec<(i64, i64)> = (first..first + size)
            .map(|n| ((n % settings.streams.max(1)) as i64, (n / settings.streams.max(1)) as i64))
            .collect();
        keys.sort_unstable();
        let (ids, seqs): (Vec<i64>, Vec<i64>) = keys.into_iter().unzip();
        let (causes, payloads) = (vec![&cause[..]; ids.len()], vec![&payload[..]; ids.len()]);
        let began = Instant::now();
        live.client.execute(&insert, &[&ids, &seqs, &causes, &payloads]).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}
