//! What every journal promises, as tests: [`conformance!`](crate::conformance) makes one test per function here for a journal
//! of yours.
//!
//! Each case gets an empty journal, and uses it only through [`Journal`] and [`Handle`], as a node does. The cases do not control
//! how batches share a group; another test compares that exactly (a group of a real journal against [`Store`](crate::Store)).

mod cases;
mod generations;
mod lazy;
mod newest;
mod removal;
mod wakes;

use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use gundo_types::{EntityId, Kind, NodeId, WorldTime};
use gundo_wire::journal::{Batch, Cause, EventRecord, EventType, Loaded, NameChange, Outcome, StreamAppend};
use prost::Message;

pub use cases::CASES;
pub use generations::generations_only_grow;
pub use lazy::what_is_in_memory_first_lands_as_all_else;
pub use newest::{a_raised_note_never_falls, the_newest_time_is_known};
pub use removal::{a_removed_stream_leaves_no_snapshot, a_removed_stream_leaves_nothing};
pub use wakes::wakes_are_what_the_last_append_said;

use crate::{Completion, Handle, Journal, KEEP_MS, Registration};

/// What a factory returns: a journal, perhaps with something that must outlive it.
pub trait Made {
    /// The journal.
    fn journal(&self) -> &dyn Journal;
}

impl<J: Journal> Made for J {
    fn journal(&self) -> &dyn Journal {
        self
    }
}

impl<J: Journal, T> Made for (J, T) {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }
}

/// Registers a node under an unused incarnation, without a coordinator to choose it. One caller at a time.
///
/// # Panics
/// The journal cannot be written.
pub fn join(journal: &dyn Journal, node: u16) -> u64 {
    let mut incarnation = 1;
    loop {
        if journal.is_member(incarnation).expect("readable") {
            incarnation += 1;
            continue;
        }
        match journal.register(NodeId(node), incarnation).expect("the journal takes a new member") {
            Registration::Registered => return incarnation,
            Registration::Passed { newest } => incarnation = newest + 1,
        }
    }
}

/// A handle that waits for its outcomes: the tests' node.
pub struct Probe {
    handle: Box<dyn Handle>,
    completions: Receiver<Completion>,
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The generation that its batches name.
    pub generation: u64,
    next_id: u64,
}

impl Probe {
    /// Joins as `node` and opens a handle.
    ///
    /// # Panics
    /// The journal cannot be written.
    pub fn join(journal: &dyn Journal, node: u16) -> Self {
        let incarnation = join(journal, node);
        Self::open(journal, node, incarnation)
    }

    /// Opens a handle of an incarnation that has joined.
    pub fn open(journal: &dyn Journal, node: u16, incarnation: u64) -> Self {
        let (tx, completions) = channel();
        // A probe that was dropped ignores late outcomes.
        let sink = Box::new(move |completion| drop(tx.send(completion)));
        let handle = journal.handle(NodeId(node), incarnation, sink);
        let generation = journal.generation().expect("readable");
        Self { handle, completions, node: NodeId(node), incarnation, generation, next_id: 1 }
    }

    /// A batch over `streams`.
    pub fn batch(&mut self, streams: Vec<StreamAppend>) -> Batch {
        let id = self.next_id;
        self.next_id += 1;
        let (node, incarnation, generation) = (self.node, self.incarnation, self.generation);
        Batch { id, node, incarnation, generation, prepared_by: Vec::new(), streams, names: Vec::new() }
    }

    /// Hands `batches` over without waiting in between, and returns their outcomes in the order of `batches`.
    ///
    /// # Panics
    /// An outcome does not come.
    pub fn append_all(&mut self, batches: Vec<Batch>) -> Vec<Outcome> {
        let ids: Vec<u64> = batches.iter().map(|batch| batch.id).collect();
        for batch in batches {
            self.handle.append(batch);
        }
        let mut outcomes = Vec::new();
        for _ in &ids {
            match self.next() {
                Completion::Appended { batch, outcome } => outcomes.push((batch, outcome)),
                Completion::Loaded { entity, .. } => panic!("nobody asked for {entity}"),
                Completion::Listed { kind, .. } => panic!("nobody asked for kind {}", kind.0),
                Completion::Woken { .. } => panic!("nobody asked for wakes"),
            }
        }
        let of =
            |id: &u64| outcomes.iter().find(|(batch, _)| batch == id).map(|(_, outcome)| outcome.clone());
        ids.iter().map(|id| of(id).expect("every batch has an outcome")).collect()
    }

    /// Appends one batch over `streams` and waits.
    ///
    /// # Panics
    /// The outcome does not come.
    pub fn append(&mut self, streams: Vec<StreamAppend>) -> Outcome {
        let batch = self.batch(streams);
        self.append_all(vec![batch]).pop().expect("one batch, one outcome")
    }

    /// Appends one event of a stream with changes of names.
    ///
    /// # Panics
    /// The outcome does not come.
    pub fn append_names(&mut self, stream: StreamAppend, names: Vec<NameChange>) -> Outcome {
        let batch = Batch { names, ..self.batch(vec![stream]) };
        self.append_all(vec![batch]).pop().expect("one batch, one outcome")
    }

    /// Loads an entity and waits.
    ///
    /// # Panics
    /// It cannot be read, or the answer is for another load.
    pub fn load(&mut self, entity: EntityId) -> Loaded {
        self.handle.load(entity, 77);
        match self.next() {
            Completion::Loaded { entity: of, load, result } => {
                assert_eq!((of, load), (entity, 77));
                result.expect("the entity can be read")
            }
            other => panic!("nobody waits for {other:?}"),
        }
    }

    /// Lists entities of a test's kind and waits.
    ///
    /// # Panics
    /// They cannot be read, or the answer is another's.
    pub fn list(&mut self, kind: Kind, ids: RangeInclusive<u64>, max: usize) -> Vec<u64> {
        self.handle.list(kind, ids, max, 78);
        match self.next() {
            Completion::Listed { kind: of, list, result } => {
                assert_eq!((of, list), (kind, 78));
                result.expect("the ids can be read")
            }
            other => panic!("nobody waits for {other:?}"),
        }
    }

    /// The seqs of the events that a load returns, and that of the snapshot (0: none).
    ///
    /// # Panics
    /// As [`load`](Self::load).
    pub fn seqs(&mut self, entity: EntityId) -> (u64, Vec<u64>) {
        let loaded = self.load(entity);
        let seqs = loaded.events.iter().map(|(seq, _)| *seq).collect();
        (loaded.snapshot.map_or(0, |(seq, _)| seq), seqs)
    }

    fn next(&self) -> Completion {
        // This does not pace the test: it only limits how long a broken journal may be silent.
        self.completions.recv_timeout(Duration::from_secs(60)).expect("the journal answers")
    }
}

/// A test's entity.
pub fn entity(id: u64) -> EntityId {
    EntityId::new(Kind(7), id)
}

/// An event that can be identified by its content and time.
pub fn event(entity: EntityId, seq: u64) -> EventRecord {
    let payload = Bytes::from(format!("{entity}#{seq}"));
    let cause = Cause { session: entity.id, seq, reply: payload.clone(), ..Cause::default() };
    let cause = Bytes::from(cause.encode_to_vec());
    EventRecord { at: WorldTime(seq), cause, event_type: EventType::Game, payload }
}

/// `count` events of `entity` after `after`, decided on load `load`.
pub fn stream(entity: EntityId, load: u64, after: u64, count: u64) -> StreamAppend {
    let events = (after + 1..=after + count).map(|seq| event(entity, seq)).collect();
    StreamAppend { entity, load, after, events, snapshot: None, wake: None }
}

/// Gaps and duplicates are refused, in an empty stream and in one with events; what landed reads back unchanged.
pub fn the_predecessor_decides(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let e = entity(u64::MAX);
    assert_eq!(a.load(e), Loaded::default());
    assert_eq!(a.append(vec![stream(e, 1, 1, 1)]), Outcome::Conflict, "a gap at the start");
    assert_eq!(a.append(vec![stream(e, 2, 0, 2)]), Outcome::Done);
    assert_eq!(a.append(vec![stream(e, 3, 0, 1)]), Outcome::Conflict, "a double");
    assert_eq!(a.append(vec![stream(e, 4, 1, 2)]), Outcome::Conflict, "half a double");
    assert_eq!(a.append(vec![stream(e, 5, 3, 1)]), Outcome::Conflict, "a gap");
    assert_eq!(a.append(vec![stream(e, 6, 2, 1)]), Outcome::Done);
    let loaded = a.load(e);
    assert_eq!(loaded.snapshot, None);
    assert_eq!(loaded.events, (1..=3).map(|seq| (seq, event(e, seq))).collect::<Vec<_>>());
}

/// Below the pruned events no key is left that could collide: only the predecessor rule refuses.
pub fn a_stale_append_below_the_pruning_line_is_refused(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let e = entity(1);
    snapshots(&mut a, e, 3);
    journal.prune(WorldTime(KEEP_MS + 100)).expect("pruning works");
    assert_eq!(journal.stream(e, 0, 1).expect("readable")[0].0, 20);
    assert_eq!(a.append(vec![stream(e, 8, 0, 5)]), Outcome::Conflict);
    assert_eq!(a.append(vec![stream(e, 9, 3, 2)]), Outcome::Conflict);
    assert_eq!(a.append(vec![stream(e, 10, 30, 2)]), Outcome::Done);
}

/// One stream's conflict keeps the whole batch out.
pub fn all_streams_or_none(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let (x, y, z) = (entity(1), entity(2), entity(3));
    assert_eq!(a.append(vec![stream(y, 1, 0, 1)]), Outcome::Done);
    let bad = vec![stream(x, 1, 0, 1), stream(y, 1, 0, 1), stream(z, 1, 0, 1)];
    assert_eq!(a.append(bad), Outcome::Conflict);
    assert_eq!((a.seqs(x), a.seqs(y), a.seqs(z)), ((0, vec![]), (0, vec![1]), (0, vec![])));
    let good = vec![stream(x, 2, 0, 1), stream(y, 2, 1, 2), stream(z, 2, 0, 1)];
    assert_eq!(a.append(good), Outcome::Done);
    assert_eq!((a.seqs(x), a.seqs(y), a.seqs(z)), ((0, vec![1]), (0, vec![1, 2, 3]), (0, vec![1])));
}

/// Other batches in the same part of the queue land beside a batch that conflicts.
pub fn a_conflict_is_isolated(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let mut batches = Vec::new();
    for id in 1..=50 {
        batches.push(a.batch(vec![stream(entity(id), 1, u64::from(id % 10 == 0), 2)]));
    }
    for (id, outcome) in (1..=50).zip(a.append_all(batches)) {
        let expected = if id % 10 == 0 { Outcome::Conflict } else { Outcome::Done };
        assert_eq!(outcome, expected, "batch {id}");
    }
    assert_eq!(journal.streams(None, 100).expect("readable").len(), 45);
}

/// A batch fails if it touches a stream of a failed one, and so on, until its load number says that the entity was loaded again.
/// Other batches are not delayed.
pub fn what_depends_on_a_failure_fails_with_it(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let [w, x, y, z] = [1, 2, 3, 4].map(entity);
    let batches = vec![
        a.batch(vec![stream(x, 4, 5, 1)]),                     // fails: a gap
        a.batch(vec![stream(x, 4, 0, 1), stream(y, 2, 0, 1)]), // good by its seqs, but x failed
        a.batch(vec![stream(y, 2, 0, 1), stream(z, 9, 0, 1)]), // and so y did
        a.batch(vec![stream(z, 9, 0, 1)]),                     // and z
        a.batch(vec![stream(w, 1, 0, 1)]),                     // has nothing to do with it
        a.batch(vec![stream(x, 5, 0, 1), stream(y, 2, 0, 1)]), // x was loaded again, y was not
        a.batch(vec![stream(x, 5, 0, 1)]),                     // which failed the new x as well
        a.batch(vec![stream(x, 6, 0, 1), stream(y, 3, 0, 1), stream(z, 10, 0, 1)]),
        a.batch(vec![stream(x, 6, 1, 1)]),
    ];
    use Outcome::{Conflict, Done};
    let expected = [Conflict, Conflict, Conflict, Conflict, Done, Conflict, Conflict, Done, Done];
    assert_eq!(a.append_all(batches), expected);
    assert_eq!((a.seqs(x), a.seqs(y), a.seqs(z)), ((0, vec![1, 2]), (0, vec![1]), (0, vec![1])));
}

/// Another node's event at the seq that a failed batch wanted must not let the next batch of the failed node land.
pub fn a_foreign_event_does_not_heal_a_failed_line(journal: &dyn Journal) {
    let (mut a, mut b) = (Probe::join(journal, 1), Probe::join(journal, 2));
    let e = entity(1);
    assert_eq!(a.append(vec![stream(e, 1, 0, 1)]), Outcome::Done);
    assert_eq!(b.append(vec![stream(e, 1, 1, 1)]), Outcome::Done);
    let batches = vec![a.batch(vec![stream(e, 1, 1, 1)]), a.batch(vec![stream(e, 1, 2, 1)])];
    assert_eq!(a.append_all(batches), [Outcome::Conflict, Outcome::Conflict]);
    assert_eq!(b.append(vec![stream(e, 1, 2, 1)]), Outcome::Done, "the bar is of one handle only");
    assert_eq!(a.append(vec![stream(e, 2, 3, 1)]), Outcome::Done);
}

/// What bars a stream is the load of the node that failed, and not the same number, or a higher one, of another node.
pub fn a_failed_load_bars_no_load_of_another_node(journal: &dyn Journal) {
    let [mut a, older, newer] = [1, 2, 3].map(|n| Probe::join(journal, n));
    let (mine, land) = (entity(1), entity(2));
    let prepared = |a: &mut Probe, by: &Probe, my_load: u64, load: u64, after: u64| {
        let streams = vec![stream(mine, my_load, 0, 1), stream(land, load, after, 1)];
        Batch { prepared_by: vec![by.incarnation], ..a.batch(streams) }
    };
    let failed = prepared(&mut a, &newer, 1, 9, 5);
    let by_another = prepared(&mut a, &older, 2, 4, 0);
    assert_eq!(a.append_all(vec![failed, by_another]), [Outcome::Conflict, Outcome::Done]);
    let mut again = prepared(&mut a, &newer, 3, 9, 1);
    again.streams[0].after = 1;
    assert_eq!(a.append_all(vec![again]), [Outcome::Conflict], "that load stays barred");
}

/// A `Fenced` event lands where its seq is free, whatever failed before, and lets no stale batch through.
pub fn a_fence_is_judged_by_seqs_alone(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let e = entity(1);
    let fence = |after: u64| {
        let mut stream = stream(e, 1, after, 1);
        stream.events[0].event_type = EventType::Fenced;
        stream
    };
    assert_eq!(a.append(vec![stream(e, 1, 0, 1)]), Outcome::Done);
    assert_eq!(a.append(vec![stream(e, 1, 9, 1)]), Outcome::Conflict);
    assert_eq!(a.append(vec![fence(0)]), Outcome::Conflict, "there is an event already");
    assert_eq!(a.append(vec![fence(1)]), Outcome::Done);
    assert_eq!(a.append(vec![stream(e, 1, 2, 1)]), Outcome::Conflict, "decided before the fence");
    assert_eq!(a.append(vec![stream(e, 2, 2, 1)]), Outcome::Done);
}

/// The journal accepts nothing from an incarnation without a row, and nothing that such an incarnation prepared.
pub fn members_fence_writers(journal: &dyn Journal) {
    let (mut a, mut b) = (Probe::join(journal, 1), Probe::join(journal, 2));
    assert!(b.incarnation > a.incarnation);
    let prepared = Batch { prepared_by: vec![b.incarnation], ..a.batch(vec![stream(entity(1), 1, 0, 1)]) };
    assert_eq!(a.append_all(vec![prepared]), [Outcome::Done]);
    assert!(journal.is_member(b.incarnation).expect("readable"));
    journal.leave(b.incarnation).expect("writable");
    assert!(!journal.is_member(b.incarnation).expect("readable"));
    assert_eq!(b.append(vec![stream(entity(2), 1, 0, 1)]), Outcome::Conflict);
    let prepared = Batch { prepared_by: vec![b.incarnation], ..a.batch(vec![stream(entity(1), 1, 1, 1)]) };
    assert_eq!(a.append_all(vec![prepared]), [Outcome::Conflict]);
    assert_eq!(a.append(vec![stream(entity(1), 2, 1, 1)]), Outcome::Done);
    journal.leave(b.incarnation).expect("leaving twice is leaving");
    let again = Probe::join(journal, 2);
    assert!(again.incarnation > b.incarnation, "an incarnation is never used twice");
    assert_eq!(b.append(vec![stream(entity(2), 2, 0, 1)]), Outcome::Conflict);
}

/// A registration may be repeated while its row is there. A row that was deleted, or passed over by a later one, never comes back.
pub fn incarnations_only_grow(journal: &dyn Journal) {
    let register = |incarnation| journal.register(NodeId(1), incarnation).expect("writable");
    let stands = |incarnation| journal.is_member(incarnation).expect("readable");
    assert_eq!(register(4), Registration::Registered, "a coordinator may leave numbers out");
    assert_eq!(register(4), Registration::Registered, "it is there already");
    assert_eq!(register(3), Registration::Passed { newest: 4 });
    assert_eq!(register(9), Registration::Registered);
    assert_eq!(register(4), Registration::Registered, "a later one does not end it");
    journal.leave(4).expect("writable");
    assert_eq!(register(4), Registration::Passed { newest: 9 }, "it has left");
    journal.leave(9).expect("writable");
    assert_eq!(register(9), Registration::Passed { newest: 9 }, "also if it was the newest");
    assert!(![3, 4, 9].into_iter().any(stands));
    assert_eq!(register(10), Registration::Registered);
    assert!(stands(10));
}

/// A name has one owner, in the same append as the event; release frees it under the next number.
pub fn names_are_unique(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let (x, y) = (entity(1), entity(2));
    let change = |name: &str, owner| NameChange { space: "player".into(), name: name.into(), owner };
    let row = |name: &str| journal.name("player", name).expect("readable").map(|row| (row.n, row.owner));
    assert_eq!(row("ann"), None);
    assert_eq!(a.append_names(stream(x, 1, 0, 1), vec![change("ann", Some(x))]), Outcome::Done);
    assert_eq!(row("ann"), Some((1, Some(x))));
    assert_eq!(journal.name("guild", "ann").expect("readable"), None, "another space");
    assert_eq!(a.append_names(stream(y, 1, 0, 1), vec![change("ann", Some(y))]), Outcome::Taken);
    assert_eq!(a.seqs(y), (0, vec![]), "nothing of a Taken batch landed");
    let both = vec![change("bob", Some(y)), change("ann", Some(y))];
    assert_eq!(a.append_names(stream(y, 2, 0, 1), both), Outcome::Taken);
    assert_eq!(row("bob"), None, "nor the names before the taken one");
    assert_eq!(
        a.append_names(stream(y, 3, 0, 1), vec![change("ann", None)]),
        Outcome::Taken,
        "not its owner"
    );
    assert_eq!(
        a.append_names(stream(x, 1, 1, 1), vec![change("ann", Some(x))]),
        Outcome::Done,
        "has it already"
    );
    assert_eq!(row("ann"), Some((1, Some(x))));
    let swap = vec![change("ann", None), change("eve", Some(x))];
    assert_eq!(a.append_names(stream(x, 1, 2, 1), swap), Outcome::Done);
    assert_eq!((row("ann"), row("eve")), (Some((2, None)), Some((1, Some(x)))));
    assert_eq!(a.append_names(stream(y, 4, 0, 1), vec![change("ann", Some(y))]), Outcome::Done);
    assert_eq!(row("ann"), Some((3, Some(y))));
    assert_eq!(a.append_names(stream(y, 4, 1, 1), vec![change("nobody", None)]), Outcome::Done);
    assert_eq!(row("nobody"), None);
}

/// A load returns the newest snapshot and the events after it; a batch that did not land left no snapshot either.
pub fn a_snapshot_comes_with_its_event(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let e = entity(1);
    let with = |mut stream: StreamAppend, snapshot: &'static str| {
        stream.snapshot = Some(Bytes::from_static(snapshot.as_bytes()));
        stream
    };
    assert_eq!(a.append(vec![with(stream(e, 1, 0, 3), "three")]), Outcome::Done);
    assert_eq!(a.append(vec![with(stream(e, 1, 5, 1), "never")]), Outcome::Conflict);
    assert_eq!(a.load(e).snapshot, Some((3, Bytes::from_static(b"three"))));
    assert_eq!(a.append(vec![stream(e, 2, 3, 2)]), Outcome::Done);
    assert_eq!(a.seqs(e), (3, vec![4, 5]));
    assert_eq!(a.append(vec![with(stream(e, 2, 5, 1), "")]), Outcome::Done);
    assert_eq!(a.append(vec![stream(e, 2, 6, 1)]), Outcome::Done);
    assert_eq!(a.load(e).snapshot, Some((6, Bytes::new())), "an empty snapshot is one");
    assert_eq!(a.seqs(e), (6, vec![7]));
}

fn snapshots(a: &mut Probe, e: EntityId, count: u64) {
    for index in 0..count {
        let mut ten = stream(e, 1, index * 10, 10);
        ten.snapshot = Some(Bytes::from(format!("as of {}", (index + 1) * 10)));
        assert_eq!(a.append(vec![ten]), Outcome::Done);
    }
}

/// Pruning spares the event a snapshot ends in, the newest snapshot but one, and the last hour; it changes no load.
pub fn pruning_keeps_what_loads_need(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let (e, alone, bare) = (entity(1), entity(2), entity(3));
    snapshots(&mut a, e, 4);
    snapshots(&mut a, alone, 1);
    assert_eq!(a.append(vec![stream(e, 1, 40, 2), stream(bare, 1, 0, 3)]), Outcome::Done);
    let before = a.load(e);
    let first = |e| journal.stream(e, 0, 1).expect("readable")[0].0;
    let prune = |ms| journal.prune(WorldTime(ms)).expect("writable");
    assert_eq!(prune(KEEP_MS + 9), crate::Pruned::default(), "all of it is within the hour");
    let pruned = prune(KEEP_MS + 29);
    assert_eq!((pruned.events, pruned.snapshots), (19, 1), "up to the snapshot at 20, which is an hour old");
    assert_eq!(first(e), 20);
    let pruned = prune(10 * KEEP_MS);
    assert_eq!((pruned.events, pruned.snapshots), (10, 1), "up to the newest but one");
    assert_eq!((first(e), first(alone), first(bare)), (30, 1, 1));
    assert_eq!(prune(10 * KEEP_MS), crate::Pruned::default());
    assert_eq!(a.load(e), before);
    assert_eq!(a.append(vec![stream(e, 1, 42, 1)]), Outcome::Done);
}

/// Notes about the world.
pub fn meta_is_kept(journal: &dyn Journal) {
    let meta = |key| journal.meta(key).expect("readable");
    assert_eq!(meta("game"), None);
    journal.set_meta("game", "pioneer").expect("writable");
    journal.set_meta("seed", "").expect("writable");
    assert_eq!((meta("game").as_deref(), meta("seed").as_deref()), (Some("pioneer"), Some("")));
    journal.set_meta("game", "other").expect("writable");
    assert_eq!(meta("game").as_deref(), Some("other"));
}

/// Who settles a note gets the one that is there, also if others settle it at the same time.
pub fn a_note_is_settled_once(journal: &dyn Journal) {
    let settle = |key: &str, value: &str| journal.settle(key, value).expect("writable");
    assert_eq!((settle("seed", "7"), settle("seed", "8")), ("7".to_owned(), "7".to_owned()));
    assert_eq!(journal.meta("seed").expect("readable").as_deref(), Some("7"));
    journal.set_meta("game", "").expect("writable");
    assert_eq!(settle("game", "pioneer"), "", "an empty note is one");
    let mut settled: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|n: u8| scope.spawn(move || settle("secret", &n.to_string()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    settled.extend(journal.meta("secret").expect("readable"));
    assert_eq!(settled.len(), 5);
    settled.dedup();
    assert_eq!(settled.len(), 1, "all have the same");
}

/// Streams and events in pages, whatever the ids.
pub fn tools_see_every_stream(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let ids = [EntityId::new(Kind(2), 5), EntityId::new(Kind(7), 0), entity(1), entity(u64::MAX)];
    for e in ids {
        assert_eq!(a.append(vec![stream(e, 1, 0, 5)]), Outcome::Done);
    }
    snapshots(&mut a, EntityId::new(Kind(u16::MAX), 3), 1);
    let mut seen = Vec::new();
    loop {
        let page =
            journal.streams(seen.last().map(|s: &crate::StreamSummary| s.entity), 2).expect("readable");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|s| s.entity).collect::<Vec<_>>()[..4], ids);
    let last = seen[4];
    assert_eq!((last.first, last.last, last.snapshot), (1, 10, Some(10)));
    assert_eq!((seen[0].first, seen[0].last, seen[0].snapshot), (1, 5, None));
    let page: Vec<u64> =
        journal.stream(ids[3], 2, 2).expect("readable").iter().map(|(seq, _)| *seq).collect();
    assert_eq!(page, [3, 4]);
}

/// Several handles at once: each gets its own outcomes, and a dropped handle does not affect the others.
pub fn lines_do_not_mix(journal: &dyn Journal) {
    let mut probes: Vec<Probe> = (1..=4).map(|node| Probe::join(journal, node)).collect();
    let gone = Probe::join(journal, 5);
    std::thread::scope(|scope| {
        for probe in &mut probes {
            scope.spawn(move || {
                let e = entity(u64::from(probe.node.0));
                let batches = (0..200).map(|n| probe.batch(vec![stream(e, 1, n, 1)])).collect();
                assert!(probe.append_all(batches).iter().all(|outcome| *outcome == Outcome::Done));
            });
        }
        drop(gone);
    });
    for mut probe in probes {
        let e = entity(u64::from(probe.node.0));
        assert_eq!(probe.seqs(e), (0, (1..=200).collect()));
    }
}

/// A list gives ids of one kind within a range, ascending whatever the ids, and no more than asked for. Entities without an event
/// are not in it; pruning takes none out.
pub fn a_list_says_which_entities_have_begun(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let kind = Kind(7);
    assert_eq!(a.list(kind, 0..=u64::MAX, 10), [], "nothing has begun");
    let (middle, high) = (1 << 63, u64::MAX);
    let ids = [0, 1, 5, 9, middle - 1, middle, middle + 3, high];
    for id in ids {
        assert_eq!(a.append(vec![stream(entity(id), 1, 0, 3)]), Outcome::Done);
    }
    for (kind, id) in [(Kind(6), 5), (Kind(8), 5), (Kind(8), 6)] {
        assert_eq!(a.append(vec![stream(EntityId::new(kind, id), 1, 0, 1)]), Outcome::Done);
    }
    assert_eq!(a.append(vec![stream(entity(6), 1, 4, 1)]), Outcome::Conflict, "it never landed");
    assert_eq!(a.list(kind, 0..=high, 100), ids);
    assert_eq!(a.list(kind, 0..=high, 6), ids[..6], "the lowest come first");
    assert_eq!(a.list(kind, 0..=high, 0), []);
    assert_eq!(a.list(kind, 1..=9, 100), [1, 5, 9], "both ends are within");
    assert_eq!(a.list(kind, 2..=8, 100), [5]);
    assert_eq!(a.list(kind, 6..=8, 100), []);
    assert_eq!(a.list(kind, middle - 1..=middle, 100), [middle - 1, middle]);
    assert_eq!(a.list(kind, middle + 1..=high, 100), [middle + 3, high]);
    assert_eq!(a.list(kind, high..=high, 100), [high]);
    assert_eq!(a.list(Kind(8), 0..=high, 100), [5, 6]);
    #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake")]
    let none = 9..=1;
    assert_eq!(a.list(kind, none, 100), []);
    snapshots(&mut a, entity(7), 3);
    journal.prune(WorldTime(10 * KEEP_MS)).expect("pruning works");
    assert_eq!(a.list(kind, 1..=9, 100), [1, 5, 7, 9]);
}

/// A batch that was decided in another generation does not land, whatever its seqs are; nor does anything that depends on it. A
/// load says which generation it has read.
pub fn a_batch_of_another_generation_is_refused(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let (e, f) = (entity(1), entity(2));
    assert_eq!(a.append(vec![stream(e, 1, 0, 2)]), Outcome::Done);
    assert_eq!(a.load(e).generation, 0);
    let begun = journal.begin_generation(1_700).expect("it begins");
    assert!(begun >= 1_700 && journal.generation().expect("readable") == begun);
    assert_eq!(a.load(e).generation, begun);
    assert_eq!(a.load(f), Loaded { generation: begun, ..Loaded::default() });
    let fence = StreamAppend {
        events: vec![EventRecord { event_type: EventType::Fenced, ..event(e, 3) }],
        ..stream(e, 1, 2, 1)
    };
    let batches = vec![a.batch(vec![stream(e, 1, 2, 1)]), a.batch(vec![fence])];
    assert_eq!(a.append_all(batches), [Outcome::Generation(begun), Outcome::Generation(begun)]);
    a.generation = begun;
    let on_what_failed = a.append(vec![stream(e, 1, 2, 1)]);
    assert_eq!(on_what_failed, Outcome::Conflict, "it was decided on the load that failed");
    assert_eq!(a.append(vec![stream(e, 2, 2, 1), stream(f, 1, 0, 1)]), Outcome::Done);
    a.generation = begun + 1;
    assert_eq!(a.append(vec![stream(f, 1, 1, 1)]), Outcome::Generation(begun), "nor one of a later one");
    assert_eq!((a.seqs(e), a.seqs(f)), ((0, vec![1, 2, 3]), (0, vec![1])));
}
