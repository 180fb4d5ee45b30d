//! `names`: what a world with ten million unique names costs to start, in memory, and for each name that somebody takes.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use gundo_journal::suite::join;
use gundo_journal::{Completion, Journal};
use gundo_journal_sqlite::{JOURNAL_FILE, Settings, SqliteJournal, open};
use gundo_types::{EntityId, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, EventType, NameChange, Outcome, StreamAppend};
use rusqlite::{Connection, params};

use crate::Failure;
use crate::proc::rss_bytes;
use crate::sheet::Sheet;
use crate::stage::Stage;

const SPACE: &str = "player";
/// Names that are being taken at any time, each for a player of its own.
const UNDER_WAY: u64 = 100;

/// A journal with few names and one with many.
pub(crate) fn names(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("names", stage.quick);
    let many: u64 = if stage.quick { 100_000 } else { 10_000_000 };
    let takes: u64 = if stage.quick { 2_000 } else { 50_000 };
    let mut first = None;
    for count in [0, many] {
        let dir = tempfile::tempdir()?;
        drop(open(dir.path(), Settings::default())?);
        fill(dir.path(), count)?;
        let before = rss_bytes(std::process::id())?;
        let begun = Instant::now();
        let journal = open(dir.path(), Settings::default())?;
        let opened = begun.elapsed();
        let free = Drive::new(&journal, takes, |n| format!("free {}", scattered(n)))?;
        let taken =
            (count > 0).then(|| Drive::new(&journal, takes, |n| name(scattered(n) % count))).transpose()?;
        let grown = rss_bytes(std::process::id())?.saturating_sub(before) as f64 / f64::from(1 << 20);
        if free.taken > 0 || taken.as_ref().is_some_and(|run| run.taken < takes) {
            return Err("a free name was refused, or a taken one was not".into());
        }
        let refusals = taken.as_ref().map_or(f64::NAN, |run| run.per_second);
        sheet.row(&[
            ("names", count.into()),
            ("file_mib", (std::fs::metadata(dir.path().join(JOURNAL_FILE))?.len() >> 20).into()),
            ("open_ms", (opened.as_secs_f64() * 1e3).into()),
            ("rss_grown_mib", grown.into()),
            ("taken_per_s", free.per_second.into()),
            ("take_p50_ms", free.ms(0.5).into()),
            ("take_p99_ms", free.ms(0.99).into()),
            ("refused_per_s", refusals.into()),
        ])?;
        let few = *first.get_or_insert(free.per_second);
        if count > 0 {
            sheet.at_most("opening a journal with all these names, s", opened.as_secs_f64(), 2.0);
            sheet.at_most("memory for them, MiB", grown, 128.0);
            sheet.at_least(
                "names taken per second against a journal without names",
                free.per_second / few,
                0.5,
            );
        }
    }
    sheet.finish(&stage.out)
}

/// One of the names that are there.
fn name(n: u64) -> String {
    format!("somebody {n:08}")
}

/// Numbers all over the range, each once.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// Writes so many names, each of a player of its own.
fn fill(dir: &Path, count: u64) -> Result<(), Failure> {
    let mut conn = Connection::open(dir.join(JOURNAL_FILE))?;
    conn.pragma_update(None, "synchronous", "off")?;
    let tx = conn.transaction()?;
    {
        let mut insert =
            tx.prepare("INSERT INTO names (space, name, n, kind, id) VALUES (?1, ?2, 1, 1, ?3)")?;
        for n in 0..count {
            insert.execute(params![SPACE, name(n), n as i64])?;
        }
    }
    tx.commit()?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Players who take names.
struct Drive {
    per_second: f64,
    taken: u64,
    /// Ascending, from handing over to outcome.
    times: Vec<Duration>,
}

impl Drive {
    fn new(journal: &SqliteJournal, takes: u64, name: impl Fn(u64) -> String) -> Result<Self, Failure> {
        let node = NodeId(1);
        let incarnation = join(journal, node.0);
        let (tx, completions) = channel();
        let mut handle = journal.handle(node, incarnation, Box::new(move |done| drop(tx.send(done))));
        let take = |n: u64| {
            let entity = EntityId::new(Kind(1), incarnation << 40 | n);
            let (cause, payload) = (Vec::new().into(), name(n).into_bytes().into());
            let event = EventRecord { at: WorldTime(1), cause, event_type: EventType::Game, payload };
            let names = vec![NameChange { space: SPACE.into(), name: name(n), owner: Some(entity) }];
            let streams = vec![StreamAppend {
                entity,
                load: 1,
                after: 0,
                events: vec![event],
                snapshot: None,
                wake: None,
            }];
            Batch { id: n, node, incarnation, generation: 0, prepared_by: Vec::new(), streams, names }
        };
        let begun = Instant::now();
        let mut sent = vec![begun; takes as usize];
        let (mut next, mut taken, mut times) = (0, 0, Vec::with_capacity(takes as usize));
        let mut send = |sent: &mut Vec<Instant>| {
            if next < takes {
                sent[next as usize] = Instant::now();
                handle.append(take(next));
                next += 1;
            }
        };
        (0..UNDER_WAY).for_each(|_| send(&mut sent));
        while (times.len() as u64) < takes {
            match completions.recv()? {
                Completion::Appended { batch, outcome: outcome @ (Outcome::Done | Outcome::Taken) } => {
                    times.push(sent[batch as usize].elapsed());
                    taken += u64::from(outcome == Outcome::Taken);
                    send(&mut sent);
                }
                other => return Err(format!("{other:?}").into()),
            }
        }
        let per_second = takes as f64 / begun.elapsed().as_secs_f64();
        times.sort_unstable();
        Ok(Self { per_second, taken, times })
    }

    fn ms(&self, part: f64) -> f64 {
        self.times[((self.times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
    }
}
