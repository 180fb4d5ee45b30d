//! A group as columns: what the one statement of an append takes, sorted by key.

use std::collections::BTreeMap;

use gundo_journal::group::{NameRow, Plan};
use gundo_types::{EntityId, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, NEVER};

/// A stream's key as the tables have it.
pub(crate) type Key = (i32, i64);

pub(crate) fn key(entity: EntityId) -> Key {
    (i32::from(entity.kind.0), entity.id as i64)
}

#[derive(Default)]
pub(crate) struct StreamRows {
    pub(crate) kinds: Vec<i32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) lasts: Vec<i64>,
    pub(crate) priors: Vec<i64>,
    pub(crate) snapshots: Vec<Option<i64>>,
}

#[derive(Default)]
pub(crate) struct NameRows<'a> {
    pub(crate) spaces: Vec<&'a [u8]>,
    pub(crate) names: Vec<&'a [u8]>,
    pub(crate) numbers: Vec<i64>,
    pub(crate) priors: Vec<i64>,
    pub(crate) kinds: Vec<Option<i32>>,
    pub(crate) ids: Vec<Option<i64>>,
}

#[derive(Default)]
pub(crate) struct EventRows<'a> {
    pub(crate) kinds: Vec<i32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) types: Vec<i16>,
    pub(crate) causes: Vec<&'a [u8]>,
    pub(crate) payloads: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(crate) struct SnapshotRows<'a> {
    pub(crate) kinds: Vec<i32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) payloads: Vec<&'a [u8]>,
}

/// Entities that have something to do, and those that have nothing to do any more.
#[derive(Default)]
pub(crate) struct WakeRows {
    pub(crate) kinds: Vec<i32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) resting_kinds: Vec<i32>,
    pub(crate) resting_ids: Vec<i64>,
}

/// Everything of a group that lands.
pub(crate) struct Rows<'a> {
    pub(crate) incarnations: Vec<i64>,
    pub(crate) streams: StreamRows,
    pub(crate) names: NameRows<'a>,
    pub(crate) events: EventRows<'a>,
    pub(crate) snapshots: SnapshotRows<'a>,
    pub(crate) wakes: WakeRows,
}

impl<'a> Rows<'a> {
    /// `names`: the rows of names that the plan was made on.
    pub(crate) fn new(
        batches: &'a [Batch],
        plan: &'a Plan,
        names: &BTreeMap<(String, String), NameRow>,
    ) -> Self {
        let landing = || plan.landing(batches);
        let members =
            landing().flat_map(|b| std::iter::once(b.incarnation).chain(b.prepared_by.iter().copied()));
        let mut incarnations: Vec<i64> = members.map(|incarnation| incarnation as i64).collect();
        incarnations.sort_unstable();
        incarnations.dedup();
        let mut streams = BTreeMap::<Key, (i64, i64, Option<i64>)>::new();
        let mut events: Vec<(Key, i64, &EventRecord)> = Vec::with_capacity(batches.len());
        let mut snapshots: Vec<(Key, i64, i64, &[u8])> = Vec::new();
        let mut wakes = BTreeMap::<Key, WorldTime>::new();
        for stream in landing().flat_map(|batch| &batch.streams) {
            let (key, after) = (key(stream.entity), stream.after as i64);
            let last = after + stream.events.len() as i64;
            wakes.extend(stream.wake.map(|at| (key, at)));
            let row = streams.entry(key).or_insert((last, after, None));
            row.0 = last;
            events.extend((after + 1..).zip(&stream.events).map(|(seq, event)| (key, seq, event)));
            if let (Some(snapshot), Some(event)) = (&stream.snapshot, stream.events.last()) {
                row.2 = Some(last);
                snapshots.push((key, last, event.at.0 as i64, &snapshot[..]));
            }
        }
        events.sort_unstable_by_key(|(key, seq, _)| (*key, *seq));
        snapshots.sort_unstable_by_key(|(key, seq, ..)| (*key, *seq));
        Self {
            incarnations,
            streams: stream_rows(&streams),
            names: name_rows(plan, names),
            events: event_rows(&events),
            snapshots: snapshot_rows(&snapshots),
            wakes: wake_rows(&wakes),
        }
    }
}

fn stream_rows(streams: &BTreeMap<Key, (i64, i64, Option<i64>)>) -> StreamRows {
    let mut rows = StreamRows::default();
    for ((kind, id), (last, prior, snapshot)) in streams {
        rows.kinds.push(*kind);
        rows.ids.push(*id);
        rows.lasts.push(*last);
        rows.priors.push(*prior);
        rows.snapshots.push(*snapshot);
    }
    rows
}

fn name_rows<'a>(plan: &'a Plan, before: &BTreeMap<(String, String), NameRow>) -> NameRows<'a> {
    let mut rows = NameRows::default();
    for (key, row) in &plan.names {
        rows.spaces.push(key.0.as_bytes());
        rows.names.push(key.1.as_bytes());
        rows.numbers.push(row.n as i64);
        rows.priors.push(before.get(key).map_or(0, |row| row.n as i64));
        rows.kinds.push(row.owner.map(|owner| i32::from(owner.kind.0)));
        rows.ids.push(row.owner.map(|owner| owner.id as i64));
    }
    rows
}

fn wake_rows(wakes: &BTreeMap<Key, WorldTime>) -> WakeRows {
    let mut rows = WakeRows::default();
    for ((kind, id), at) in wakes {
        if *at == NEVER {
            rows.resting_kinds.push(*kind);
            rows.resting_ids.push(*id);
        } else {
            rows.kinds.push(*kind);
            rows.ids.push(*id);
            rows.times.push(at.0 as i64);
        }
    }
    rows
}

fn event_rows<'a>(events: &[(Key, i64, &'a EventRecord)]) -> EventRows<'a> {
    let mut rows = EventRows::default();
    for ((kind, id), seq, event) in events {
        rows.kinds.push(*kind);
        rows.ids.push(*id);
        rows.seqs.push(*seq);
        rows.times.push(event.at.0 as i64);
        rows.types.push(event.event_type as i16);
        rows.causes.push(&event.cause);
        rows.payloads.push(&event.payload);
    }
    rows
}

fn snapshot_rows<'a>(snapshots: &[(Key, i64, i64, &'a [u8])]) -> SnapshotRows<'a> {
    let mut rows = SnapshotRows::default();
    for ((kind, id), seq, at, payload) in snapshots {
        rows.kinds.push(*kind);
        rows.ids.push(*id);
        rows.seqs.push(*seq);
        rows.times.push(*at);
        rows.payloads.push(payload);
    }
    rows
}
