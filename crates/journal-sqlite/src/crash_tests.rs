//! Power cuts at every point during writing, on a disk that forgets what was not synced.
//!
//! No threads and no clock: a test commits each group itself, so every run is the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gundo_journal::suite::{entity, event, stream};
use gundo_types::{EntityId, NodeId, WorldTime};
use gundo_wire::journal::{Batch, Outcome, StreamAppend};

use crate::lossy::Disk;
use crate::open::JournalFile;
use crate::read::Reader;
use crate::stats::Counters;
use crate::writer::Writer;
use crate::{Settings, Synchronous};

const STREAMS: u64 = 6;
const GROUPS: u64 = 24;

fn file(disk: &Disk) -> JournalFile {
    JournalFile { layer: Some(disk.layer), ..JournalFile::new(Path::new("/world")) }
}

fn settings(synchronous: Synchronous) -> Settings {
    // There is no real directory, so its disk cannot be asked for free bytes.
    Settings { synchronous, disk_free_min: 0, keep_ms: 0, ..Settings::default() }
}

/// What a run was told, and must find after a power cut.
#[derive(Default)]
struct Run {
    /// Newest acknowledged seq of each stream.
    done: BTreeMap<EntityId, u64>,
    /// Newest seq that may be there: acknowledged, or its outcome unknown.
    possible: BTreeMap<EntityId, u64>,
    loads: u64,
}

impl Run {
    /// Opens the journal, reads the newest seqs, and writes groups until it is done or the disk dies.
    fn write(&mut self, disk: &Disk, synchronous: Synchronous) {
        let Ok(mut writer) = Writer::open(&file(disk), settings(synchronous), Arc::new(Counters::default()))
        else {
            return;
        };
        self.loads += 1;
        let incarnation = self.loads;
        if writer.register(NodeId(1), incarnation).is_err() {
            return;
        }
        for group in 0..GROUPS {
            let batches: Vec<Batch> = (0..4).map(|n| self.batch(group * 4 + n, incarnation)).collect();
            // Two batches of a group never touch the same stream here: each is independent.
            let outcomes = writer.commit_group(&batches);
            for (batch, outcome) in batches.iter().zip(&outcomes) {
                self.on_outcome(batch, outcome);
            }
            if outcomes.iter().any(|outcome| *outcome != Outcome::Done) {
                // Closing would clean up: cut the power first.
                disk.die_at(0);
                return;
            }
            if group % 5 == 4 {
                drop(writer.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
            }
            if group % 8 == 7 {
                drop(writer.prune_all(WorldTime(u64::MAX)));
            }
        }
    }

    fn batch(&self, n: u64, incarnation: u64) -> Batch {
        let first = n % 4;
        let mut streams = vec![self.next(entity(first), 1 + n % 3)];
        if first >= 2 {
            streams.push(self.next(entity(first + 2), 2));
        }
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id: n, node: NodeId(1), incarnation, generation: 0, prepared_by, streams, names }
    }

    fn next(&self, entity: EntityId, count: u64) -> StreamAppend {
        let after = self.done.get(&entity).copied().unwrap_or(0);
        let mut append = stream(entity, self.loads, after, count);
        append.snapshot = (after + count).is_multiple_of(4).then(Bytes::new);
        append
    }

    fn on_outcome(&mut self, batch: &Batch, outcome: &Outcome) {
        for s in &batch.streams {
            let last = s.after + s.events.len() as u64;
            match outcome {
                Outcome::Done => {
                    self.done.insert(s.entity, last);
                    self.possible.insert(s.entity, last);
                }
                Outcome::Unknown => drop(self.possible.insert(s.entity, last)),
                Outcome::Conflict | Outcome::Taken | Outcome::Rejected(_) | Outcome::Generation(_) => {}
            }
        }
    }

    /// The first problem found after a power cut; continues from the events that are there.
    fn lost(&mut self, disk: &Disk) -> Option<String> {
        let reader = match Reader::of(&file(disk)) {
            Ok(reader) => reader,
            Err(why) if self.done.is_empty() => return drop_none(why),
            Err(why) => return Some(why.to_string()),
        };
        let check: String = reader
            .conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap_or_else(|e| e.to_string());
        if check != "ok" {
            return Some(check);
        }
        for e in (0..STREAMS).map(entity) {
            let events = match reader.load(e).and_then(|_| reader.stream(e, 0, usize::MAX)) {
                Ok(events) => events,
                Err(why) => return Some(why.chain()),
            };
            let newest = events.last().map_or(0, |(seq, _)| *seq);
            let of = |map: &BTreeMap<EntityId, u64>| map.get(&e).copied().unwrap_or(0);
            if newest < of(&self.done) {
                return Some(format!("{e}: {} was acknowledged, {newest} is there", of(&self.done)));
            }
            if newest != of(&self.done) && newest != of(&self.possible) {
                return Some(format!("{e}: {newest} is there, which was refused or is half a batch"));
            }
            if let Some((seq, _)) = events.iter().find(|(seq, found)| *found != event(e, *seq)) {
                return Some(format!("{e}: event {seq} is another"));
            }
            self.done.insert(e, newest);
            self.possible.insert(e, newest);
        }
        None
    }
}

/// The power was cut before the journal was created: there is nothing to lose.
fn drop_none(_why: crate::OpenError) -> Option<String> {
    None
}

/// Cuts the power at every operation of a run (or every few); each unsynced sector survives with probability `survive` in 8. Then
/// writes on and checks again. Returns the first loss.
fn cut_everywhere(layer: &'static str, synchronous: Synchronous, survive: u64) -> Option<String> {
    let disk = Disk::new(layer);
    Run::default().write(disk, synchronous);
    let operations = disk.operations();
    assert!(operations > 100, "a run is only {operations} operations");
    let mut chance = 0x2545_f491_4f6c_dd1d_u64 ^ survive;
    let mut next = move || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance >> 32
    };
    let mut cut = 1;
    while cut <= operations {
        disk.power_cut(|| false);
        disk.forget_everything();
        let mut run = Run::default();
        // Cut, check, write on over what is left, cut again somewhere.
        for at in [cut, 1 + next() % operations] {
            disk.die_at(disk.operations() + at);
            run.write(disk, synchronous);
            disk.power_cut(|| next() % 8 < survive);
            if let Some(loss) = run.lost(disk) {
                return Some(format!("cut at {cut} of {operations}, then {at}: {loss}"));
            }
        }
        cut += 1 + cut / 97;
    }
    None
}

#[test]
fn full_survives_a_power_cut_at_any_write() {
    for (layer, survive) in [("none survive", 0), ("few survive", 2), ("most survive", 7)] {
        assert_eq!(cut_everywhere(layer, Synchronous::Full, survive), None, "{layer}");
    }
}

/// The disk does forget: without syncs a power cut loses acknowledged appends, and the test sees it.
#[test]
fn without_syncs_the_loss_is_seen() {
    let disk = Disk::new("off");
    let mut run = Run::default();
    run.write(disk, Synchronous::Full);
    run.write(disk, Synchronous::Off);
    disk.power_cut(|| false);
    let loss = run.lost(disk).expect("something was lost");
    assert!(loss.contains("was acknowledged"), "{loss}");
    assert!(cut_everywhere("off, cut everywhere", Synchronous::Off, 2).is_some());
}

/// Whichever sync fails, the outcomes are true after a power cut: `Done` is there, `Rejected` is not, whatever the disk kept.
#[test]
fn a_failed_sync_is_told_as_it_is() {
    let disk = Disk::new("failing syncs");
    Run::default().write(disk, Synchronous::Full);
    let syncs = disk.syncs();
    assert!(syncs > GROUPS);
    let mut rejected = 0;
    for failing in 1..=syncs {
        for keep in [false, true] {
            disk.power_cut(|| false);
            disk.forget_everything();
            let mut run = Run::default();
            disk.fail_sync(disk.syncs() + failing);
            run.write(disk, Synchronous::Full);
            rejected += u64::from(run.done.values().sum::<u64>() > 0 && run.done == run.possible);
            disk.power_cut(|| keep);
            assert_eq!(run.lost(disk), None, "sync {failing} failed, the disk kept the rest: {keep}");
            run.write(disk, Synchronous::Full);
            disk.power_cut(|| false);
            assert_eq!(run.lost(disk), None, "after going on");
        }
    }
    assert!(rejected > 0, "a failed commit was always settled");
}

/// Memory is enough at first for some events: a power cut may take the newest of them, in order, and never one that a flushed event follows.
#[test]
fn what_is_in_memory_first_is_flushed_by_what_is_flushed_after_it() {
    let disk = Disk::new("memory first");
    let payload = |light: bool| if light { &[3 << 3 | 2, 0][..] } else { &[4 << 3 | 2, 0][..] };
    let (mut lost, id) = (0, entity(1));
    for ends_light in 0..4_u64 {
        disk.power_cut(|| false);
        disk.forget_everything();
        let synchronous = settings(Synchronous::Full);
        let mut writer =
            Writer::open(&file(disk), synchronous, Arc::new(Counters::default())).expect("an empty disk");
        writer.memory_first = gundo_journal::MemoryFirst::new([(id.kind, 3)]);
        writer.register(NodeId(1), 1).expect("writable");
        // Flushed and not by turns; then so many at the end that are not.
        for n in 0..8 + ends_light {
            let mut append = stream(id, 1, n, 1);
            append.events[0].event_type = gundo_wire::journal::EventType::Game;
            append.events[0].payload = payload(n % 2 == 0 || n >= 8).to_vec().into();
            let (prepared_by, names) = (Vec::new(), Vec::new());
            let batch = Batch {
                id: n,
                node: NodeId(1),
                incarnation: 1,
                generation: 0,
                prepared_by,
                streams: vec![append],
                names,
            };
            assert_eq!(writer.commit_group(&[batch]), [Outcome::Done]);
        }
        assert_eq!(writer.counters.common.read().groups_memory_first, 4 + ends_light);
        // What is noted is flushed, whatever came before it.
        let syncs = disk.syncs();
        writer.conn.execute(crate::schema::SET_META, ["note", "1"]).expect("writable");
        assert!(disk.syncs() > syncs || ends_light > 0, "a note waits for the disk");
        disk.die_at(0);
        drop(writer);
        disk.power_cut(|| false);
        let reader = Reader::of(&file(disk)).expect("the file is whole");
        let newest = reader.stream(id, 0, 100).expect("readable").last().map_or(0, |(seq, _)| *seq);
        assert!(newest >= 8, "{newest} of {} are there, and event 8 was flushed", 8 + ends_light);
        lost += 8 + ends_light - newest;
    }
    assert_eq!(lost, 0, "the note has flushed all of them");
}

/// Without anything after it, what is in memory first is lost with the machine's power: that is the price.
#[test]
fn what_is_in_memory_first_is_lost_if_nothing_follows() {
    let disk = Disk::new("memory first, and last");
    let id = entity(1);
    let mut writer = Writer::open(&file(disk), settings(Synchronous::Full), Arc::new(Counters::default()))
        .expect("an empty disk");
    writer.memory_first = gundo_journal::MemoryFirst::new([(id.kind, 3)]);
    writer.register(NodeId(1), 1).expect("writable");
    let syncs = disk.syncs();
    let mut append = stream(id, 1, 0, 1);
    append.events[0].event_type = gundo_wire::journal::EventType::Game;
    append.events[0].payload = [3 << 3 | 2, 0].to_vec().into();
    let (prepared_by, names) = (Vec::new(), Vec::new());
    let streams = vec![append];
    let batch = Batch { id: 1, node: NodeId(1), incarnation: 1, generation: 0, prepared_by, streams, names };
    assert_eq!(writer.commit_group(&[batch]), [Outcome::Done]);
    assert_eq!(disk.syncs(), syncs, "nobody waits for the disk");
    disk.die_at(0);
    drop(writer);
    disk.power_cut(|| false);
    let reader = Reader::of(&file(disk)).expect("the file is whole");
    assert_eq!(reader.stream(id, 0, 100).expect("readable").len(), 0);
}
