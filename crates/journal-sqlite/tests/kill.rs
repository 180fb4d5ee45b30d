//! SIGKILL in the middle of heavy writing, again and again on one directory: every acknowledged event is there with its content,
//! and no stream has a gap.
//!
//! The writer is this same test program, started with [`DIR`] in its environment. It prints a line for each event as soon as its
//! outcome is `Done`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gundo_journal::suite::join;
use gundo_journal::{Completion, Handle, Journal};
use gundo_journal_sqlite::{Reader, Settings, open, verify};
use gundo_types::{EntityId, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, EventType, Outcome, StreamAppend};

const DIR: &str = "GUNDO_KILL_TEST_DIR";
const ROUNDS: u64 = 10;
const HANDLES: u64 = 3;
const STREAMS_PER_HANDLE: u64 = 12;
const SNAPSHOT_EVERY: u64 = 25;
/// Batches of one handle in flight.
const AHEAD: usize = 40;

/// Prunes all the time, so that the kill hits pruning too.
fn settings() -> Settings {
    Settings { keep_ms: 0, prune_every_ms: 5, checkpoint_pages: 200, ..Settings::default() }
}

fn stream_id(handle: u64, index: u64) -> EntityId {
    EntityId::new(Kind(3), handle << 56 | index)
}

/// The content of an event: entity and seq determine its length and bytes.
fn payload(entity: EntityId, seq: u64) -> Bytes {
    let length = 20 + (entity.id % 7 * 31 + seq * 13) % 300;
    Bytes::from_iter((0..length).map(|i| (entity.id ^ entity.id >> 56 ^ seq.wrapping_mul(31) ^ i) as u8))
}

fn append(entity: EntityId, after: u64, count: u64) -> StreamAppend {
    let event = |seq| EventRecord {
        at: WorldTime(1),
        cause: Bytes::new(),
        event_type: EventType::Game,
        payload: payload(entity, seq),
    };
    let last = after + count;
    let snapshot = (last / SNAPSHOT_EVERY != after / SNAPSHOT_EVERY).then(Bytes::new);
    let events = (after + 1..=last).map(event).collect();
    StreamAppend { entity, load: 1, after, events, snapshot, wake: None }
}

/// A node with one handle: reads the newest seqs of its streams, then keeps [`AHEAD`] batches in flight until told to stop.
fn write_heavily(
    journal: &dyn Journal,
    (handle, incarnation): (u64, u64),
    stop: &AtomicBool,
    acknowledge: &(dyn Fn(&Batch) + Sync),
) {
    let (tx, completions) = channel();
    let sink = Box::new(move |completion| drop(tx.send(completion)));
    let mut node = journal.handle(NodeId(handle as u16), incarnation, sink);
    let mut lasts: Vec<u64> = (0..STREAMS_PER_HANDLE)
        .map(|index| loaded_last(node.as_mut(), &completions, stream_id(handle, index)))
        .collect();
    let mut on_the_way = BTreeMap::new();
    let mut id = 0;
    while !stop.load(Ordering::Relaxed) || !on_the_way.is_empty() {
        while on_the_way.len() < AHEAD && !stop.load(Ordering::Relaxed) {
            id += 1;
            // Some batches are over two streams, with several events each.
            let count = 1 + id % 3;
            let mut streams = Vec::new();
            for index in [id % STREAMS_PER_HANDLE, (id * 5 + 1) % STREAMS_PER_HANDLE]
                .into_iter()
                .take(1 + (id % 2) as usize)
            {
                if streams.iter().all(|s: &StreamAppend| s.entity != stream_id(handle, index)) {
                    streams.push(append(stream_id(handle, index), lasts[index as usize], count));
                    lasts[index as usize] += count;
                }
            }
            let prepared_by = Vec::new();
            let batch = Batch {
                id,
                node: NodeId(handle as u16),
                incarnation,
                generation: 0,
                prepared_by,
                streams,
                names: Vec::new(),
            };
            on_the_way.insert(id, batch.clone());
            node.append(batch);
        }
        match completions.recv().expect("the journal answers") {
            Completion::Appended { batch, outcome: Outcome::Done } => {
                acknowledge(&on_the_way.remove(&batch).expect("it was sent"));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn loaded_last(node: &mut dyn Handle, completions: &Receiver<Completion>, entity: EntityId) -> u64 {
    node.load(entity, 1);
    match completions.recv().expect("the journal answers") {
        Completion::Loaded { result: Ok(loaded), .. } => {
            let snapshot = loaded.snapshot.map_or(0, |(seq, _)| seq);
            loaded.events.last().map_or(snapshot, |(seq, _)| *seq)
        }
        other => panic!("{other:?}"),
    }
}

fn run_writers(dir: &Path, stop: &AtomicBool, acknowledge: &(dyn Fn(&Batch) + Sync)) {
    let journal = open(dir, settings()).expect("opens after every kill");
    std::thread::scope(|scope| {
        for handle in 1..=HANDLES {
            let journal = &journal;
            let incarnation = join(journal, handle as u16);
            scope.spawn(move || write_heavily(journal, (handle, incarnation), stop, acknowledge));
        }
    });
}

/// In the child process: writes until it is killed. Run by itself: the same writing, stopped normally, must leave everything
/// behind.
#[test]
fn heavy_writer() {
    let stop = AtomicBool::new(false);
    if let Some(dir) = std::env::var_os(DIR) {
        let print = |batch: &Batch| {
            let lines: String = batch
                .streams
                .iter()
                .map(|s| format!("\nack {} {} {} ", s.entity.id, s.after, s.events.len()))
                .collect();
            // One write: a line is complete or not there. A dead parent does not matter.
            drop(std::io::stdout().lock().write_all(format!("{lines}\n").as_bytes()));
        };
        return run_writers(Path::new(&dir), &stop, &print);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let acknowledged = std::sync::Mutex::new((BTreeMap::new(), 0));
    run_writers(dir.path(), &stop, &|batch| {
        let (lasts, batches) = &mut *acknowledged.lock().expect("no panic");
        for s in &batch.streams {
            lasts.insert(s.entity, s.after + s.events.len() as u64);
        }
        *batches += 1;
        stop.fetch_or(*batches > 3_000, Ordering::Relaxed);
    });
    let (lasts, _) = acknowledged.into_inner().expect("no panic");
    check(dir.path(), &lasts);
}

/// Everything up to the acknowledged seq of each stream is there, or was pruned; all content is right; the check finds no problem.
fn check(dir: &Path, acknowledged: &BTreeMap<EntityId, u64>) {
    let report = verify(dir).expect("readable");
    assert!(report.is_sound(), "{report}");
    let reader = Reader::open(dir).expect("readable");
    for (entity, last) in acknowledged {
        let events = reader.stream(*entity, 0, usize::MAX).expect("readable");
        let (first, newest) = (events[0].0, events[events.len() - 1].0);
        assert!(newest >= *last, "{entity}: {last} was acknowledged, {newest} is the newest");
        let snapshot = reader.load(*entity).expect("loads").snapshot.map_or(0, |(seq, _)| seq);
        assert!(first == 1 || first < snapshot, "{entity}: pruned up to {first}, newest snapshot {snapshot}");
        for (seq, event) in events {
            assert_eq!(event.payload, payload(*entity, seq), "{entity} #{seq}");
        }
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = BTreeMap::new();
    let mut total = 0_u64;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "heavy_writer", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        // The kill hits a different point of the writing each time; the delay only picks the point.
        let life = Duration::from_millis(30 + round * 67 % 250);
        let (mut killed, mut first_ack) = (false, None::<Instant>);
        let mut line = String::new();
        while lines.read_line(&mut line).expect("readable") > 0 {
            if let Some((entity, last)) = line.ends_with('\n').then(|| parse(&line)).flatten() {
                let before = acknowledged.insert(entity, last);
                assert!(before.is_none_or(|before| before < last), "{entity}: {last} after {before:?}");
                total += 1;
                let since = first_ack.get_or_insert_with(Instant::now);
                if !killed && since.elapsed() >= life {
                    child.kill().expect("it runs");
                    killed = true;
                }
            }
            line.clear();
        }
        assert!(killed, "round {round}: the child ended by itself");
        child.wait().expect("it is dead");
        check(dir.path(), &acknowledged);
    }
    assert!(total > ROUNDS * 50, "only {total} appends were acknowledged");
    assert_eq!(acknowledged.len() as u64, HANDLES * STREAMS_PER_HANDLE);
}

fn parse(line: &str) -> Option<(EntityId, u64)> {
    let mut words = line.strip_prefix("ack ")?.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (id, after, count) = (number()?, number()?, number()?);
    Some((EntityId::new(Kind(3), id), after + count))
}
