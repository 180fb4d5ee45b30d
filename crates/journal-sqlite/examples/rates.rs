//! Compares the journal with what SQLite itself can do on a disk. Run:
//! `cargo run --release -p gundo-journal-sqlite --example rates DIR`, with an empty directory on the disk to measure.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Instant;

use bytes::Bytes;
use gundo_journal::suite::join;
use gundo_journal::{Completion, Journal};
use gundo_journal_sqlite::raw::{self, Layout, RawSettings};
use gundo_journal_sqlite::{Settings, open};
use gundo_types::{EntityId, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, EventType, Outcome, StreamAppend};

const STREAMS: u64 = 1_000;
const CAUSE: usize = 40;
const PAYLOAD: usize = 24;

/// Events per second with `ahead` batches in flight, mean group, mean µs per group.
fn journal(dir: &Path, ahead: usize, batches: u64) -> (f64, f64, f64) {
    let journal = open(dir, Settings::default()).expect("writable");
    let incarnation = join(&journal, 1);
    let (tx, completions) = channel();
    let mut handle =
        journal.handle(NodeId(1), incarnation, Box::new(move |completion| drop(tx.send(completion))));
    let (cause, payload) = (Bytes::from(vec![0; CAUSE]), Bytes::from(vec![1; PAYLOAD]));
    let mut seqs = vec![0; STREAMS as usize];
    let (mut sent, mut done, mut chance) = (0, 0, 0x9e37_79b9_7f4a_7c15_u64);
    let start = Instant::now();
    while done < batches {
        while sent < batches && sent - done < ahead as u64 {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let id = chance % STREAMS;
            let (at, event_type) = (WorldTime(1), EventType::Game);
            let event = EventRecord { at, cause: cause.clone(), event_type, payload: payload.clone() };
            let (entity, after) = (EntityId::new(Kind(1), id), seqs[id as usize]);
            seqs[id as usize] += 1;
            let stream =
                StreamAppend { entity, load: 1, after, events: vec![event], snapshot: None, wake: None };
            let streams = vec![stream];
            let (node, prepared_by, names) = (NodeId(1), Vec::new(), Vec::new());
            handle.append(Batch { id: sent, node, incarnation, generation: 0, prepared_by, streams, names });
            sent += 1;
        }
        match completions.recv().expect("the journal answers") {
            Completion::Appended { outcome: Outcome::Done, .. } => done += 1,
            other => panic!("{other:?}"),
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let stats = journal.stats();
    let group = stats.batches as f64 / stats.groups as f64;
    (batches as f64 / seconds, group, stats.commit_us_sum as f64 / stats.groups as f64)
}

fn main() {
    let base = std::env::args().nth(1).expect("an empty directory on the disk to measure");
    let fresh = |name: String| {
        let dir = Path::new(&base).join(name);
        std::fs::create_dir_all(&dir).expect("writable");
        dir
    };
    for (ahead, batches) in [(1, 4_000), (20, 40_000), (100, 100_000), (1_000, 300_000)] {
        let (rate, group, us) = journal(&fresh(format!("journal-{ahead}")), ahead, batches);
        println!("journal, {ahead} in flight: {rate:.0} events/s in groups of {group:.1}, {us:.0} µs each");
        for layout in [Layout::Clustered, Layout::Heap] {
            let groups = (batches as f64 / group) as u64;
            let dir = fresh(format!("raw-{layout:?}-{ahead}"));
            let (cause_bytes, payload_bytes, streams) = (CAUSE, PAYLOAD, STREAMS);
            let settings =
                RawSettings { dir, cause_bytes, payload_bytes, streams, layout, ..RawSettings::default() };
            let raw =
                raw::measure(&RawSettings { group_mean: group, groups, ..settings }).expect("measurable");
            println!(
                "  raw {layout:?}: {:.0} events/s, group p50 {} µs, p99 {} µs; the journal reaches {:.0} %",
                raw.records_per_second,
                raw.commit_us_p50,
                raw.commit_us_p99,
                100.0 * rate / raw.records_per_second
            );
        }
    }
}
