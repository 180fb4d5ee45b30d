//! Which batches of a group land: the rules every storage shares, over a small [`View`] of it.
//!
//! [`Fences::plan`] judges a group. [`Fences::settle`] gives the outcomes, once the storage has said whether the batches that
//! should land did so. Judging only reads, so a conflicting batch is isolated without a savepoint.
//!
//! Not here: what waits ([`queue`](crate::queue)), and how a real storage's transaction ends ([`commit`](crate::commit)).

use std::collections::{BTreeMap, HashMap};

use gundo_types::{EntityId, Planted, WorldTime};
use gundo_wire::journal::{Batch, EventType, NameChange, Outcome, StreamAppend};

/// What the rules read from the storage, as of the start of the group.
pub trait View {
    /// Why the storage could not be read.
    type Error;
    /// The present generation: see [`Journal::generation`](crate::Journal::generation).
    ///
    /// # Errors
    /// The storage cannot be read.
    fn generation(&mut self) -> Result<u64, Self::Error>;
    /// Whether the row of an incarnation is there.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn is_member(&mut self, incarnation: u64) -> Result<bool, Self::Error>;
    /// Seq of the newest event of a stream, 0 if it has none. Pruning always spares the newest event.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn last_seq(&mut self, entity: EntityId) -> Result<u64, Self::Error>;
    /// The newest row of a name.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn name(&mut self, space: &str, name: &str) -> Result<Option<NameRow>, Self::Error>;
    /// Whether there is no event at this seq, perhaps because it was pruned. Only a planted bug asks.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn is_free(&mut self, _entity: EntityId, _seq: u64) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

/// The newest row of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRow {
    /// Grows by one with each take and release.
    pub n: u64,
    /// The owner of the name; `None`: it is free again.
    pub owner: Option<EntityId>,
}

/// The verdict of the rules on one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lands, if the storage's transaction does.
    Lands,
    /// [`Outcome::Conflict`].
    Conflict,
    /// [`Outcome::Taken`].
    Taken,
    /// [`Outcome::Generation`].
    Outdated,
}

/// A judged group.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each batch, in order.
    pub verdicts: Vec<Verdict>,
    /// The newest seq of each stream that a landing batch touches. For lookups and caches; the order means nothing.
    pub last_seqs: HashMap<EntityId, u64>,
    /// The newest row of each name that a landing batch changes.
    pub names: BTreeMap<(String, String), NameRow>,
    /// The generation of the journal.
    pub generation: u64,
}

impl Plan {
    /// The batches of the judged group that land, in order.
    pub fn landing<'a>(&'a self, batches: &'a [Batch]) -> impl Iterator<Item = &'a Batch> {
        let lands = batches.iter().zip(&self.verdicts).filter(|(_, verdict)| **verdict == Verdict::Lands);
        lands.map(|(batch, _)| batch)
    }
}

/// Asserts that a batch is well-formed: at least one stream, each once and with events.
///
/// # Panics
/// It is not: a bug of the node that sent it. Call it on the node's own thread.
pub fn assert_well_formed(batch: &Batch) {
    assert!(!batch.streams.is_empty(), "batch {} has no stream", batch.id);
    for (index, stream) in batch.streams.iter().enumerate() {
        assert!(!stream.events.is_empty(), "batch {}: {} without events", batch.id, stream.entity);
        let twice = batch.streams[..index].iter().any(|other| other.entity == stream.entity);
        assert!(!twice, "batch {}: {} twice", batch.id, stream.entity);
    }
}

/// Seq of the event from which a stream must be kept: that of the newest snapshot that has a newer one beside it and was
/// written at least `keep_ms` before `now`. Everything below may go, events and snapshots; the event itself stays.
///
/// `snapshots`: seq and time of the event each ends in, ascending.
pub fn prune_line(snapshots: &[(u64, WorldTime)], now: WorldTime, keep_ms: u64) -> Option<u64> {
    let (_newest, older) = snapshots.split_last()?;
    older.iter().rev().find(|(_, at)| *at + keep_ms <= now).map(|(seq, _)| *seq)
}

/// The number of the generation that follows `present` and begins at `wall_ms` of the wall clock, ms since 1970.
pub fn next_generation(present: u64, wall_ms: u64) -> u64 {
    wall_ms.max(present.saturating_add(1))
}

/// Streams that accept no batch until their entity has been loaded again, per sender and per incarnation that loads them: load
/// numbers of two incarnations say nothing about each other.
///
/// The seqs alone are not enough: if another node wrote the seq that a failed batch wanted, the next batch of the same incarnation
/// would find its predecessor there, although it was decided on a state that never existed.
#[derive(Clone, Debug)]
pub struct Fences {
    barred: BTreeMap<Key, Bar>,
    by_age: BTreeMap<u64, Key>,
    next_age: u64,
    barred_max: usize,
    planted: Option<Planted>,
}

/// The sender's incarnation, the one that loads the entity, and the entity.
type Key = (u64, u64, EntityId);

#[derive(Clone, Copy, Debug)]
struct Bar {
    load: u64,
    age: u64,
}

impl Default for Fences {
    fn default() -> Self {
        Self::new(Self::BARRED_MAX)
    }
}

impl Fences {
    /// Streams remembered as barred. One more drops the oldest: its node takes outcomes and sends batches in one order and
    /// cannot have this many batches in flight, so by then it has received the failure.
    pub const BARRED_MAX: usize = 262_144;

    /// No stream barred, and at most `barred_max` remembered.
    pub fn new(barred_max: usize) -> Self {
        Self { barred: BTreeMap::new(), by_age: BTreeMap::new(), next_age: 0, barred_max, planted: None }
    }

    /// Plants a bug; ignored without the feature `planted`.
    pub(crate) fn plant(&mut self, mistake: Option<Planted>) {
        self.planted = mistake;
    }

    /// Whether this bug was planted; never without the feature.
    pub(crate) fn planted(&self, mistake: Planted) -> bool {
        cfg!(feature = "planted") && self.planted == Some(mistake)
    }

    /// Judges `batches` in order, each as if those before it that land had landed. Those that do not land bar their streams.
    ///
    /// # Errors
    /// The storage cannot be read. Nothing was decided then: the caller fails the whole group.
    pub fn plan<V: View>(&mut self, batches: &[Batch], view: &mut V) -> Result<Plan, V::Error> {
        let generation = view.generation()?;
        let mut plan = Plan { verdicts: Vec::with_capacity(batches.len()), generation, ..Plan::default() };
        for batch in batches {
            let verdict = self.judge(batch, view, &mut plan)?;
            match verdict {
                Verdict::Lands => self.unbar(batch),
                Verdict::Conflict | Verdict::Taken | Verdict::Outdated => self.fail(batch),
            }
            plan.verdicts.push(verdict);
        }
        Ok(plan)
    }

    /// The outcome of each batch of a judged group, in order; the batches that should land ended as `landed`. Unless that is
    /// `Done`, their streams are barred.
    ///
    /// If a name was taken only by a batch that did not land, the outcome is `Conflict`, not `Taken`: the command is decided
    /// again.
    pub fn settle(&mut self, batches: &[Batch], plan: &Plan, landed: &Outcome) -> Vec<Outcome> {
        if *landed != Outcome::Done {
            plan.landing(batches).for_each(|batch| self.fail(batch));
        }
        let outcome = |verdict: &Verdict| match (verdict, landed) {
            (Verdict::Lands, outcome) => outcome.clone(),
            (Verdict::Outdated, _) => Outcome::Generation(plan.generation),
            (Verdict::Taken, Outcome::Done) => Outcome::Taken,
            (Verdict::Taken | Verdict::Conflict, _) => Outcome::Conflict,
        };
        plan.verdicts.iter().map(outcome).collect()
    }

    /// Bars the streams of a batch that did not land, or may not have.
    pub fn fail(&mut self, batch: &Batch) {
        for (loaded_by, stream) in batch.loads() {
            self.bar(batch.incarnation, loaded_by, stream.entity, stream.load);
        }
    }

    /// Bars one stream for batches of `incarnation` decided on `load` of `loaded_by`, or on an earlier one.
    pub fn bar(&mut self, incarnation: u64, loaded_by: u64, entity: EntityId, load: u64) {
        let key = self.key(incarnation, loaded_by, entity);
        let age = self.next_age;
        self.next_age += 1;
        let before = self.barred.insert(key, Bar { load, age });
        self.by_age.insert(age, key);
        if let Some(before) = before {
            self.by_age.remove(&before.age);
            if before.load > load {
                self.barred.insert(key, Bar { load: before.load, age });
            }
        }
        while self.barred.len() > self.barred_max {
            let (_, oldest) = self.by_age.pop_first().expect("every bar has an age");
            self.barred.remove(&oldest);
        }
    }

    /// Forgets everything about an incarnation whose row was deleted: nothing it sends lands anyway.
    pub fn forget(&mut self, incarnation: u64) {
        let least = (incarnation, 0, EntityId::default());
        while let Some((&key, bar)) = self.barred.range(least..).next() {
            if key.0 != incarnation {
                break;
            }
            self.by_age.remove(&bar.age);
            self.barred.remove(&key);
        }
    }

    fn key(&self, incarnation: u64, loaded_by: u64, entity: EntityId) -> Key {
        let loaded_by = if self.planted(Planted::BarsOfOthers) { 0 } else { loaded_by };
        (incarnation, loaded_by, entity)
    }

    fn judge<V: View>(&self, batch: &Batch, view: &mut V, plan: &mut Plan) -> Result<Verdict, V::Error> {
        // Whatever its seqs are: they count events of another history.
        if batch.generation != plan.generation {
            return Ok(Verdict::Outdated);
        }
        for incarnation in std::iter::once(&batch.incarnation).chain(&batch.prepared_by) {
            if !view.is_member(*incarnation)?
                && !self.planted(Planted::LeaversWrite)
                && !self.falls_into_pruned(batch, view)?
            {
                return Ok(Verdict::Conflict);
            }
        }
        let barred = self.is_barred(batch);
        // This planted bug must also ignore the gap that the failed batch leaves.
        let overlooked = barred && self.planted(Planted::LaterBatchLands);
        if barred && !overlooked && !self.planted(Planted::GapAccepted) {
            return Ok(Verdict::Conflict);
        }
        for stream in &batch.streams {
            let last = match plan.last_seqs.get(&stream.entity) {
                Some(last) => *last,
                None => view.last_seq(stream.entity)?,
            };
            if last != stream.after && !overlooked && !self.overlooks(stream, last, view)? {
                return Ok(Verdict::Conflict);
            }
        }
        // Only the rows of this batch, until all its names have turned out to be free.
        let mut rows = BTreeMap::new();
        for change in &batch.names {
            let key = (change.space.clone(), change.name.clone());
            let row = match rows.get(&key).or_else(|| plan.names.get(&key)) {
                Some(row) => Some(*row),
                None => view.name(&change.space, &change.name)?,
            };
            match next_row(batch, change, row) {
                Ok(Some(next)) => drop(rows.insert(key, next)),
                Ok(None) => {}
                Err(Taken) if self.planted(Planted::NameTakenTwice) => {}
                Err(Taken) => return Ok(Verdict::Taken),
            }
        }
        plan.names.append(&mut rows);
        for stream in &batch.streams {
            plan.last_seqs.insert(stream.entity, stream.after + stream.events.len() as u64);
        }
        Ok(Verdict::Lands)
    }

    /// Whether a planted bug lets a stream pass that does not begin after `last`.
    fn overlooks<V: View>(&self, stream: &StreamAppend, last: u64, view: &mut V) -> Result<bool, V::Error> {
        Ok(if last < stream.after {
            self.planted(Planted::GapAccepted)
        } else {
            self.planted(Planted::SeqUnchecked)
                || self.planted(Planted::StaleAppend) && view.is_free(stream.entity, stream.after + 1)?
        })
    }

    /// Whether a planted bug lets a stale batch land because the events at its seqs were pruned.
    fn falls_into_pruned<V: View>(&self, batch: &Batch, view: &mut V) -> Result<bool, V::Error> {
        if !self.planted(Planted::StaleAppend) {
            return Ok(false);
        }
        for stream in &batch.streams {
            let last = view.last_seq(stream.entity)?;
            if last <= stream.after || !view.is_free(stream.entity, stream.after + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_barred(&self, batch: &Batch) -> bool {
        if self.barred.is_empty() || is_fence(batch) {
            return false;
        }
        batch.loads().any(|(loaded_by, stream)| {
            let bar = self.barred.get(&self.key(batch.incarnation, loaded_by, stream.entity));
            bar.is_some_and(|bar| stream.load <= bar.load)
        })
    }

    fn unbar(&mut self, batch: &Batch) {
        if self.barred.is_empty() {
            return;
        }
        for (loaded_by, stream) in batch.loads() {
            let key = self.key(batch.incarnation, loaded_by, stream.entity);
            if let Some(bar) = self.barred.get(&key).copied()
                && stream.load > bar.load
            {
                self.barred.remove(&key);
                self.by_age.remove(&bar.age);
            }
        }
    }
}

/// Whether a batch has no effect except to settle the outcome of another one.
fn is_fence(batch: &Batch) -> bool {
    batch.streams.iter().flat_map(|s| &s.events).all(|e| e.event_type == EventType::Fenced)
}

struct Taken;

/// The row that a change adds; `None` if it changes nothing.
fn next_row(batch: &Batch, change: &NameChange, row: Option<NameRow>) -> Result<Option<NameRow>, Taken> {
    let n = row.map_or(1, |row| row.n + 1);
    let current = row.and_then(|row| row.owner);
    match (current, change.owner) {
        (None, Some(owner)) => Ok(Some(NameRow { n, owner: Some(owner) })),
        (Some(current), Some(owner)) if current == owner => Ok(None),
        (Some(_), Some(_)) => Err(Taken),
        (None, None) => Ok(None),
        // Only the owner can release a name: a bug in a game must not free the name of another entity.
        (Some(current), None) if batch.streams.iter().any(|s| s.entity == current) => {
            Ok(Some(NameRow { n, owner: None }))
        }
        (Some(_), None) => Err(Taken),
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    #[test]
    fn the_oldest_bars_are_forgotten_first_and_a_bar_never_sinks() {
        let mut fences = Fences::new(2);
        let id = |n| EntityId::new(Kind(1), n);
        fences.bar(1, 1, id(1), 5);
        fences.bar(1, 1, id(2), 5);
        fences.bar(1, 1, id(1), 3);
        fences.bar(1, 2, id(3), 5);
        let keys: Vec<_> = fences.barred.iter().map(|((.., e), bar)| (e.id, bar.load)).collect();
        assert_eq!(keys, [(1, 5), (3, 5)]);
        assert_eq!(fences.by_age.len(), 2);
        fences.bar(2, 2, id(9), 1);
        fences.forget(1);
        assert_eq!(fences.barred.len(), 1);
        assert_eq!(fences.by_age.len(), 1);
    }

    #[test]
    fn the_prune_line_stays_a_snapshot_and_the_keep_time_behind() {
        let at = |seq: u64, ms: u64| (seq, WorldTime(ms));
        assert_eq!(prune_line(&[], WorldTime(9_000), 10), None);
        assert_eq!(prune_line(&[at(300, 0)], WorldTime(9_000), 10), None);
        let three = [at(300, 1_000), at(600, 2_000), at(900, 3_000)];
        assert_eq!(prune_line(&three, WorldTime(9_000), 10), Some(600));
        assert_eq!(prune_line(&three, WorldTime(2_009), 10), Some(300));
        assert_eq!(prune_line(&three, WorldTime(2_010), 10), Some(600));
        assert_eq!(prune_line(&three, WorldTime(1_009), 10), None);
    }
}
