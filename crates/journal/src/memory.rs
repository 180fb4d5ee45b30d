//! The journal in memory: [`Store`] is all of it as one plain value that acts only when it is called; [`MemoryJournal`] implements
//! the [`Journal`] trait with it. No threads, no clock, no hash order: the same calls give the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gundo_types::{EntityId, Kind, NodeId, Planted, WorldTime};
use gundo_wire::journal::{Batch, EventRecord, Loaded, NEVER, Outcome, Wake, WakesAsked};

use crate::group::{self, Fences, NameRow, Verdict};
use crate::unplayed;
use crate::{Completion, Fault, Handle, Journal, KEEP_MS, Pruned, Registration, Sink, StreamSummary};

/// A journal as a plain value.
#[derive(Clone, Debug, Default)]
pub struct Store {
    rows: Rows,
    fences: Fences,
    last_incarnation: u64,
    meta: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    streams: BTreeMap<EntityId, Stream>,
    names: BTreeMap<(String, String), NameRow>,
    wakes: BTreeMap<EntityId, WorldTime>,
    members: BTreeSet<u64>,
    generation: u64,
}

/// What a replica of a journal has: its events, snapshots and names as of some moment.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    streams: BTreeMap<EntityId, Stream>,
    wakes: BTreeMap<EntityId, WorldTime>,
    names: BTreeMap<(String, String), NameRow>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    events: BTreeMap<u64, EventRecord>,
    snapshots: BTreeMap<u64, Bytes>,
}

impl group::View for Rows {
    type Error = std::convert::Infallible;

    fn generation(&mut self) -> Result<u64, Self::Error> {
        Ok(self.generation)
    }

    fn is_member(&mut self, incarnation: u64) -> Result<bool, Self::Error> {
        Ok(self.members.contains(&incarnation))
    }

    fn last_seq(&mut self, entity: EntityId) -> Result<u64, Self::Error> {
        let last = self.streams.get(&entity).and_then(|s| s.events.last_key_value());
        Ok(last.map_or(0, |(seq, _)| *seq))
    }

    fn name(&mut self, space: &str, name: &str) -> Result<Option<NameRow>, Self::Error> {
        Ok(self.names.get(&(space.to_owned(), name.to_owned())).copied())
    }

    fn is_free(&mut self, entity: EntityId, seq: u64) -> Result<bool, Self::Error> {
        Ok(self.streams.get(&entity).is_none_or(|s| !s.events.contains_key(&seq)))
    }
}

impl Store {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plants a bug, for the simulator; without the feature `planted` it is ignored.
    pub fn plant(&mut self, mistake: Option<Planted>) {
        self.fences.plant(mistake);
    }

    /// See [`Journal::register`].
    pub fn register(&mut self, incarnation: u64) -> Registration {
        if incarnation > self.last_incarnation {
            self.last_incarnation = incarnation;
            self.rows.members.insert(incarnation);
        }
        match self.is_member(incarnation) {
            true => Registration::Registered,
            false => Registration::Passed { newest: self.last_incarnation },
        }
    }

    /// Registers the next incarnation, for callers without a coordinator.
    pub fn join(&mut self) -> u64 {
        let incarnation = self.last_incarnation + 1;
        self.register(incarnation);
        incarnation
    }

    /// See [`Journal::leave`].
    pub fn leave(&mut self, incarnation: u64) {
        self.rows.members.remove(&incarnation);
        self.fences.forget(incarnation);
    }

    /// See [`Journal::is_member`].
    pub fn is_member(&self, incarnation: u64) -> bool {
        self.rows.members.contains(&incarnation)
    }

    /// See [`Journal::generation`].
    pub fn generation(&self) -> u64 {
        self.rows.generation
    }

    /// See [`Journal::begin_generation`].
    pub fn begin_generation(&mut self, wall_ms: u64) -> u64 {
        self.rows.generation = group::next_generation(self.rows.generation, wall_ms);
        self.rows.generation
    }

    /// What a replica has that got everything until now, and gets nothing from now on.
    pub fn replica(&self) -> Replica {
        Replica {
            streams: self.rows.streams.clone(),
            wakes: self.rows.wakes.clone(),
            names: self.rows.names.clone(),
        }
    }

    /// A replica takes the journal's place, in a new generation. Members and notes stay: those the replica has had at once.
    pub fn fail_over(&mut self, to: Replica, wall_ms: u64) -> u64 {
        (self.rows.streams, self.rows.names) = (to.streams, to.names);
        self.rows.wakes = to.wakes;
        self.begin_generation(wall_ms)
    }

    /// Commits what waits as one group and says how each batch ended: `Done`, `Conflict` or `Taken`.
    ///
    /// # Panics
    /// A batch is malformed: see [`group::assert_well_formed`].
    pub fn commit_group(&mut self, batches: Vec<Batch>) -> Vec<Outcome> {
        batches.iter().for_each(group::assert_well_formed);
        self.end_group(batches, &Outcome::Done, true)
    }

    /// Fails what waits as one group: a storage fault as the nodes see it. `outcome` is `Rejected` or `Unknown`, or `Conflict` for
    /// a key that is there although it should not be. With `landed`,
    /// everything that can land does land: the other half of `Unknown`.
    ///
    /// # Panics
    /// A batch is malformed, or `outcome` is not one of the three.
    pub fn fail_group(&mut self, batches: Vec<Batch>, outcome: &Outcome, landed: bool) -> Vec<Outcome> {
        let is_fault = matches!(outcome, Outcome::Rejected(_) | Outcome::Unknown | Outcome::Conflict);
        assert!(is_fault, "not a fault: {outcome:?}");
        assert!(!landed || *outcome == Outcome::Unknown, "nothing lands of a group that was rejected");
        batches.iter().for_each(group::assert_well_formed);
        self.end_group(batches, outcome, landed)
    }

    /// The batches that should land end as `outcome`, and land or not.
    fn end_group(&mut self, batches: Vec<Batch>, outcome: &Outcome, landed: bool) -> Vec<Outcome> {
        let Ok(plan) = self.fences.plan(&batches, &mut self.rows);
        let outcomes = self.fences.settle(&batches, &plan, outcome);
        for (batch, verdict) in batches.into_iter().zip(&plan.verdicts) {
            if landed && *verdict == Verdict::Lands {
                self.write(batch);
            } else {
                self.drop_batch(batch);
            }
        }
        if landed {
            self.rows.names.extend(plan.names);
        }
        outcomes
    }

    fn write(&mut self, mut batch: Batch) {
        if self.fences.planted(Planted::TornAppend) {
            batch.streams.truncate(1);
        }
        self.rows.write(batch, self.fences.planted(Planted::SeqUnchecked));
    }

    /// None of it lands.
    fn drop_batch(&mut self, batch: Batch) {
        if self.fences.planted(Planted::SnapshotUnfenced) {
            self.rows.write_snapshots(batch);
        }
    }

    /// See [`Handle::load`].
    pub fn load(&self, entity: EntityId) -> Loaded {
        let generation = self.rows.generation;
        let Some(stream) = self.rows.streams.get(&entity) else {
            return Loaded { generation, ..Loaded::default() };
        };
        let snapshot = stream.snapshots.last_key_value().map(|(seq, bytes)| (*seq, bytes.clone()));
        let after = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let events = stream.events.range((Excluded(after), Unbounded));
        if snapshot.is_some() && self.fences.planted(Planted::TailLost) {
            return Loaded { snapshot, events: Vec::new(), generation };
        }
        let events = events.map(|(seq, event)| (*seq, event.clone())).collect();
        Loaded { snapshot, events, generation }
    }

    /// See [`Handle::list`].
    pub fn list(&self, kind: Kind, ids: RangeInclusive<u64>, max: usize) -> Vec<u64> {
        if ids.is_empty() {
            return Vec::new();
        }
        let (first, last) = (EntityId::new(kind, *ids.start()), EntityId::new(kind, *ids.end()));
        let streams = self.rows.streams.range(first..=last);
        // A planted mistake writes snapshots without events.
        let begun = streams.filter(|(_, stream)| !stream.events.is_empty());
        begun.map(|(entity, _)| entity.id).take(max).collect()
    }

    /// See [`Handle::wakes`].
    pub fn wakes(&self, asked: WakesAsked) -> Vec<Wake> {
        let WakesAsked { after, until, max } = asked;
        let all = self.rows.wakes.iter().map(|(entity, at)| (*at, *entity));
        let mut due: Vec<Wake> =
            all.filter(|wake| wake.0 <= until && after.is_none_or(|a| *wake > a)).collect();
        due.sort_unstable();
        due.truncate(max);
        due
    }

    /// See [`Journal::name`].
    pub fn name(&self, space: &str, name: &str) -> Option<NameRow> {
        self.rows.names.get(&(space.to_owned(), name.to_owned())).copied()
    }

    /// All names of a space that somebody has.
    pub fn names<'a>(&'a self, space: &'a str) -> impl Iterator<Item = (&'a str, EntityId)> {
        let rows = self.rows.names.iter().filter(move |((of, _), _)| of == space);
        rows.filter_map(|((_, name), row)| Some((name.as_str(), row.owner?)))
    }

    /// See [`Journal::streams`].
    pub fn streams(&self, after: Option<EntityId>, max: usize) -> Vec<StreamSummary> {
        let from = after.map_or(Unbounded, Excluded);
        let summary = |(entity, stream): (&EntityId, &Stream)| StreamSummary {
            entity: *entity,
            first: stream.events.first_key_value().map_or(0, |(seq, _)| *seq),
            last: stream.events.last_key_value().map_or(0, |(seq, _)| *seq),
            snapshot: stream.snapshots.last_key_value().map(|(seq, _)| *seq),
        };
        self.rows.streams.range((from, Unbounded)).take(max).map(summary).collect()
    }

    /// See [`Journal::stream`].
    pub fn stream(&self, entity: EntityId, after: u64, max: usize) -> Vec<(u64, EventRecord)> {
        let events = self.rows.streams.get(&entity).map(|s| s.events.range((Excluded(after), Unbounded)));
        events.into_iter().flatten().take(max).map(|(seq, event)| (*seq, event.clone())).collect()
    }

    /// See [`Journal::remove`].
    pub fn remove(&mut self, entity: EntityId, last: u64) -> bool {
        let stream = self.rows.streams.get(&entity);
        let ends = stream.and_then(|stream| stream.events.last_key_value()).map(|(seq, _)| *seq);
        if ends != Some(last) {
            return false;
        }
        self.rows.streams.remove(&entity);
        self.rows.wakes.remove(&entity);
        self.rows.names.retain(|_, row| row.owner != Some(entity));
        true
    }

    /// Removes the streams of `kind` that [`unplayed`] says nobody will miss, `max` at most: those that ended before `before`.
    pub fn remove_unplayed(&mut self, kind: Kind, before: WorldTime, max: usize) -> Vec<EntityId> {
        let all = EntityId::new(kind, 0)..=EntityId::new(kind, u64::MAX);
        let ids: Vec<_> = self.rows.streams.range(all).map(|(id, _)| *id).collect();
        let careless = self.fences.planted(Planted::RemovesPlayed);
        let is_due = |id: &EntityId| {
            let events = self.stream(*id, 0, unplayed::EVENTS_MAX + 1);
            match careless {
                true => unplayed::is_over(&events, before),
                false => self.has_no_snapshot(*id) && unplayed::is_unplayed(&events, before),
            }
        };
        let due: Vec<_> = ids.into_iter().filter(is_due).take(max).collect();
        for id in &due {
            let last = self.rows.streams[id].events.last_key_value().map_or(0, |(seq, _)| *seq);
            assert!(self.remove(*id, last), "nobody appends meanwhile");
        }
        due
    }

    fn has_no_snapshot(&self, entity: EntityId) -> bool {
        let stream = &self.rows.streams[&entity];
        stream.snapshots.is_empty() && stream.events.len() <= unplayed::EVENTS_MAX
    }

    /// See [`Journal::prune`].
    pub fn prune(&mut self, now: WorldTime) -> Pruned {
        let mut pruned = Pruned::default();
        for stream in self.rows.streams.values_mut() {
            let snapshots: Vec<_> =
                stream.snapshots.keys().map(|seq| (*seq, stream.events[seq].at)).collect();
            if let Some(line) = group::prune_line(&snapshots, now, KEEP_MS) {
                let kept = stream.events.split_off(&line);
                pruned.events += std::mem::replace(&mut stream.events, kept).len() as u64;
                let kept = stream.snapshots.split_off(&line);
                pruned.snapshots += std::mem::replace(&mut stream.snapshots, kept).len() as u64;
            }
        }
        pruned
    }
}

impl Rows {
    /// `over`: a planted bug lets it overwrite what is there.
    fn write(&mut self, batch: Batch, over: bool) {
        for append in batch.streams {
            match append.wake {
                None => {}
                Some(NEVER) => drop(self.wakes.remove(&append.entity)),
                Some(at) => drop(self.wakes.insert(append.entity, at)),
            }
            let stream = self.streams.entry(append.entity).or_default();
            let mut seq = append.after;
            for event in append.events {
                seq += 1;
                let before = stream.events.insert(seq, event);
                assert!(over || before.is_none(), "{} has two events {seq}", append.entity);
            }
            if let Some(snapshot) = append.snapshot {
                stream.snapshots.insert(seq, snapshot);
            }
        }
    }

    fn write_snapshots(&mut self, batch: Batch) {
        for append in batch.streams {
            let (stream, seq) =
                (self.streams.entry(append.entity).or_default(), append.after + append.events.len() as u64);
            stream.snapshots.extend(append.snapshot.map(|snapshot| (seq, snapshot)));
        }
    }
}

/// The journal in memory. Every call is complete when it returns, so a handle's queue never fills; outcomes reach the sink inside
/// the call.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    store: Arc<Mutex<Store>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Store::replica`].
    pub fn replica(&self) -> Replica {
        self.store().replica()
    }

    /// See [`Store::fail_over`].
    pub fn fail_over(&self, to: Replica, wall_ms: u64) -> u64 {
        self.store().fail_over(to, wall_ms)
    }

    /// See [`Store::plant`].
    pub fn plant(&self, mistake: Option<Planted>) {
        self.store().plant(mistake);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // The store asserts before it changes anything, so it is intact after a caller's panic.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn register(&self, _node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
        Ok(self.store().register(incarnation))
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        self.store().leave(incarnation);
        Ok(())
    }

    fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
        Ok(self.store().is_member(incarnation))
    }

    fn generation(&self) -> Result<u64, Fault> {
        Ok(self.store().generation())
    }

    fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault> {
        Ok(self.store().begin_generation(wall_ms))
    }

    fn handle(&self, _node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
        Box::new(MemoryHandle { journal: self.clone(), incarnation, sink })
    }

    fn newest_at(&self) -> Result<Option<WorldTime>, Fault> {
        let store = self.store();
        let events = store.rows.streams.values().flat_map(|stream| stream.events.values());
        Ok(events.map(|event| event.at).max())
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        Ok(self.store().meta.get(key).cloned())
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.store().meta.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
        Ok(self.store().meta.entry(key.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }

    fn raise(&self, key: &str, value: u64) -> Result<u64, Fault> {
        let mut store = self.store();
        let found = store.meta.get(key).and_then(|found| found.parse().ok()).unwrap_or(0);
        store.meta.insert(key.to_owned(), value.max(found).to_string());
        Ok(value.max(found))
    }

    fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        Ok(self.store().name(space, name))
    }

    fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        Ok(self.store().streams(after, max))
    }

    fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
        Ok(self.store().stream(entity, after, max))
    }

    fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault> {
        let mut store = self.store();
        Ok(streams.iter().filter(|(entity, last)| store.remove(*entity, *last)).count())
    }

    fn prune(&self, now: WorldTime) -> Result<Pruned, Fault> {
        Ok(self.store().prune(now))
    }
}

struct MemoryHandle {
    journal: MemoryJournal,
    incarnation: u64,
    sink: Sink,
}

impl Handle for MemoryHandle {
    fn append(&mut self, batch: Batch) {
        assert_eq!(batch.incarnation, self.incarnation, "batch {} came by another's handle", batch.id);
        let id = batch.id;
        let outcome = self.journal.store().commit_group(vec![batch]).pop();
        (self.sink)(Completion::Appended { batch: id, outcome: outcome.expect("one batch, one outcome") });
    }

    fn load(&mut self, entity: EntityId, load: u64) {
        let result = Ok(self.journal.store().load(entity));
        (self.sink)(Completion::Loaded { entity, load, result });
    }

    fn list(&mut self, kind: Kind, ids: RangeInclusive<u64>, max: usize, list: u64) {
        let result = Ok(self.journal.store().list(kind, ids, max));
        (self.sink)(Completion::Listed { kind, list, result });
    }

    fn wakes(&mut self, asked: WakesAsked, list: u64) {
        let result = Ok(self.journal.store().wakes(asked));
        (self.sink)(Completion::Woken { list, result });
    }
}
