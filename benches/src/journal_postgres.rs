//! `journal-postgres`: durable batches per second through the journal on a private PostgreSQL, from handle to outcome, compared with raw
//! multi-row inserts of the same records in groups of the same mean size on as many connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use gundo_engines::postgres::Postgres;
use gundo_journal::suite::join;
use gundo_journal::{Completion, Journal};
use gundo_journal_postgres::raw::{self, RawSettings};
use gundo_journal_postgres::{Password, PostgresJournal, PostgresSettings, open};
use gundo_types::{EntityId, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, EventType, Outcome, StreamAppend};

use crate::Failure;
use crate::sheet::Sheet;
use crate::stage::Stage;

/// What an ordinary command of Pioneer leaves: its cause with the reply, and its event.
const CAUSE_BYTES: usize = 40;
const PAYLOAD_BYTES: usize = 24;
const NODES: u16 = 3;

/// One stream with one batch under way, then many.
pub(crate) fn journal_postgres(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("journal-postgres", stage.quick);
    let dir = tempfile::tempdir()?;
    let server = Postgres::start(dir.path())?;
    let secret = dir.path().join("secret");
    std::fs::write(&secret, Postgres::PASSWORD)?;
    let mut least = f64::INFINITY;
    for (index, streams) in [1, 100, 1_000, 5_000].into_iter().enumerate() {
        let settings = PostgresSettings {
            server: server.connection(),
            password: Password::File(secret.clone()),
            schema: format!("world_{index}"),
            ..PostgresSettings::default()
        };
        let journal = open(settings.clone())?;
        let nodes = if streams == 1 { 1 } else { NODES };
        let run = run(&journal, nodes, streams, stage.seconds())?;
        drop(journal);
        let raw = raw_like(settings, streams, run.group_mean, stage.seconds())?;
        let share = run.batches_per_second / raw.records_per_second;
        sheet.row(&[
            ("streams", streams.into()),
            ("nodes", nodes.into()),
            ("batches_per_s", run.batches_per_second.into()),
            ("raw_records_per_s", raw.records_per_second.into()),
            ("share", share.into()),
            ("group_mean", run.group_mean.into()),
            ("batch_p50_ms", run.ms(0.5).into()),
            ("batch_p99_ms", run.ms(0.99).into()),
            ("raw_commit_p50_ms", (raw.commit_us_p50 as f64 / 1e3).into()),
            ("raw_commit_p99_ms", (raw.commit_us_p99 as f64 / 1e3).into()),
        ])?;
        if streams == 1 {
            let over = run.ms(0.5) - raw.commit_us_p50 as f64 / 1e3;
            sheet.at_most("one batch's p50 above one raw commit, ms", over, 3.0);
        } else {
            least = least.min(share);
        }
    }
    sheet.at_least("batches per second against raw PostgreSQL, least of all loads", least, 0.5);
    sheet.finish(&stage.out)
}

struct Run {
    batches_per_second: f64,
    group_mean: f64,
    /// Ascending, from handing over to outcome.
    times: Vec<Duration>,
}

impl Run {
    fn ms(&self, part: f64) -> f64 {
        self.times[((self.times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
    }
}

fn run(journal: &PostgresJournal, nodes: u16, streams: u64, seconds: f64) -> Result<Run, Failure> {
    let stop = AtomicBool::new(false);
    let each = streams / u64::from(nodes);
    let (before, began) = (journal.stats(), Instant::now());
    let times: Result<Vec<Vec<Duration>>, String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=nodes)
            .map(|node| (node, join(journal, node)))
            .map(|(node, incarnation)| {
                let stop = &stop;
                scope.spawn(move || drive(journal, node, incarnation, each.max(1), stop))
            })
            .collect();
        // The window in which is counted.
        std::thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let after = journal.stats();
    let mut times = times?.concat();
    times.sort_unstable();
    let batches = (after.batches - before.batches) as f64;
    Ok(Run {
        batches_per_second: times.len() as f64 / seconds,
        group_mean: batches / (after.groups - before.groups).max(1) as f64,
        times,
    })
}

/// A node with one batch under way for each of its streams.
fn drive(
    journal: &PostgresJournal,
    node: u16,
    incarnation: u64,
    streams: u64,
    stop: &AtomicBool,
) -> Result<Vec<Duration>, String> {
    let (tx, completions) = channel();
    let mut handle = journal.handle(NodeId(node), incarnation, Box::new(move |done| drop(tx.send(done))));
    let batch = |stream: u64, after: u64| {
        let event = EventRecord {
            at: WorldTime(after),
            cause: vec![0xc5; CAUSE_BYTES].into(),
            event_type: EventType::Game,
            payload: vec![0xb7; PAYLOAD_BYTES].into(),
        };
        let entity = EntityId::new(Kind(1), u64::from(node) << 32 | stream);
        let streams =
            vec![StreamAppend { entity, load: 1, after, events: vec![event], snapshot: None, wake: None }];
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id: stream, node: NodeId(node), incarnation, generation: 0, prepared_by, streams, names }
    };
    let mut sent = vec![(0, Instant::now()); streams as usize];
    (0..streams).for_each(|stream| handle.append(batch(stream, 0)));
    let (mut times, mut under_way) = (Vec::new(), streams);
    while under_way > 0 {
        match completions.recv().map_err(|_| "the journal has ended".to_owned())? {
            Completion::Appended { batch: stream, outcome: Outcome::Done } => {
                let (after, since) = &mut sent[stream as usize];
                times.push(since.elapsed());
                under_way -= 1;
                if !stop.load(Ordering::Relaxed) {
                    (*after, *since) = (*after + 1, Instant::now());
                    handle.append(batch(stream, *after));
                    under_way += 1;
                }
            }
            other => return Err(format!("{other:?}")),
        }
    }
    Ok(times)
}

fn raw_like(
    postgres: PostgresSettings,
    streams: u64,
    group_mean: f64,
    seconds: f64,
) -> Result<raw::RawReport, Failure> {
    let writers = if streams == 1 { 1 } else { postgres.writers };
    let settings = RawSettings {
        postgres: PostgresSettings { writers, ..postgres },
        cause_bytes: CAUSE_BYTES,
        payload_bytes: PAYLOAD_BYTES,
        streams,
        group_mean,
        for_ms: (seconds * 500.0) as u64,
    };
    // The speed of disks varies, so the better of two measurements is the limit.
    let (one, two) = (raw::measure(&settings)?, raw::measure(&settings)?);
    Ok(if one.records_per_second > two.records_per_second { one } else { two })
}
