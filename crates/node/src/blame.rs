//! Entities whose code took nodes down: counted, and noted in the journal, so that the next process knows them too, and in a cluster all
//! others while they run.
//!
//! The note has an entry for each, `kind/id points at_ms`, with the id hexadecimal and the time in ms since 1970. A thread of its own
//! writes it; a node that was lost starts again only once it is written. In a cluster each process writes a note of its own, so none
//! overwrites what another has found, and what counts is the sum. A pardon is part of an entry there: points of before, whoever counted
//! them, are void. A number grows after each note; the processes look at that once per second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_journal::{Fault, Journal};
use gundo_kernel::BLAMED_MAX;
use gundo_kernel::game::{BLAME_LIMIT, Rule};
use gundo_types::{EntityId, Kind, NodeId};

use crate::clock::wall_ms;
use crate::end;
use crate::nodes::{NODES_MAX, WorldFault, system};

/// Key of the note; in a cluster the number of the node follows.
const KEY: &str = "blamed";
/// Key of the number that grows after each note of a cluster.
const NUMBER: &str = "blamed_number";
/// A pardon is remembered for so long, ms: a process that was away meanwhile hears of it.
const PARDON_MS: u64 = 30 * 24 * 3_600_000;
/// Points below the limit are forgotten after so long without new ones, ms: what happened once may have had another cause.
const FORGET_MS: u64 = 3_600_000;
/// Between two tries to write the note.
const AGAIN: Duration = Duration::from_secs(1);

/// The blame of one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Blame {
    points: u8,
    at_ms: u64,
    /// When an operator last pardoned it here; 0: never.
    pardoned_ms: u64,
}

type Note = BTreeMap<EntityId, Blame>;

/// What this process has counted, and what the others have.
#[derive(Debug, Default)]
struct Notes {
    own: Note,
    others: Vec<Note>,
}

impl Notes {
    fn of(&self, entity: EntityId) -> impl Iterator<Item = &Blame> {
        std::iter::once(&self.own).chain(&self.others).filter_map(move |note| note.get(&entity))
    }

    fn pardoned_ms(&self, entity: EntityId) -> u64 {
        self.of(entity).map(|blame| blame.pardoned_ms).max().unwrap_or(0)
    }

    fn points(&self, entity: EntityId) -> u8 {
        let since = self.pardoned_ms(entity);
        let counts = self.of(entity).filter(|blame| blame.at_ms > since);
        counts.fold(0, |sum, blame| sum.saturating_add(blame.points))
    }

    fn all(&self) -> BTreeMap<EntityId, u8> {
        let entities = std::iter::once(&self.own).chain(&self.others).flat_map(BTreeMap::keys);
        entities.map(|entity| (*entity, self.points(*entity))).filter(|(_, points)| *points > 0).collect()
    }

    /// A node was lost over it. Returns its points.
    fn add(&mut self, entity: EntityId, rule: Rule, now_ms: u64) -> u8 {
        forget(&mut self.own, now_ms);
        let since = self.pardoned_ms(entity);
        if self.own.get(&entity).is_some_and(|own| own.at_ms <= since) {
            self.own.remove(&entity);
        }
        // Later than its pardon, also in the same moment.
        add(&mut self.own, entity, rule, now_ms.max(since + 1));
        let points = self.points(entity);
        if points >= BLAME_LIMIT {
            // Little blame of others is forgotten after a while; that it was too much together is not.
            self.own.entry(entity).and_modify(|own| own.points = points);
        }
        points
    }
}

/// The entities that nodes were lost over.
#[derive(Debug)]
pub(crate) struct Blames {
    /// In a cluster: this process' node.
    node: Option<NodeId>,
    blamed: Mutex<Notes>,
    /// `None`: it ends.
    notes: Option<Sender<(u64, String)>>,
    thread: Option<JoinHandle<()>>,
    /// Number of the newest note, and of the newest that is written.
    last: AtomicU64,
    written: Arc<AtomicU64>,
    /// The number in the journal when the others' notes were read.
    seen: AtomicU64,
}

impl Blames {
    /// Reads the notes, and adds what `aborted` in the last process. `node`: this process' one, in a cluster.
    pub(crate) fn open(
        journal: &Arc<dyn Journal>,
        aborted: &[(EntityId, Rule)],
        node: Option<NodeId>,
    ) -> Result<Self, WorldFault> {
        let now_ms = wall_ms();
        let key = key_of(node);
        let seen = number(journal.as_ref(), node)?;
        let mut blamed =
            Notes { own: read(journal.as_ref(), &key)?, others: read_others(journal.as_ref(), node)? };
        forget(&mut blamed.own, now_ms);
        for (entity, rule) in aborted {
            let points = blamed.add(*entity, *rule, now_ms);
            warn(*entity, *rule, points, "the last process aborted in a rule");
        }
        if !aborted.is_empty() {
            write(journal.as_ref(), node, &text(&blamed.own))?;
        }
        let (notes, rx) = channel();
        let written = Arc::new(AtomicU64::new(0));
        let (theirs, journal) = (Arc::clone(&written), Arc::clone(journal));
        let keep = move || keep(&rx, journal.as_ref(), node, &theirs);
        let thread = Some(Builder::new().name("gundo-blame".into()).spawn(keep).map_err(system)?);
        let (last, seen) = (AtomicU64::new(0), AtomicU64::new(seen));
        let (blamed, notes) = (Mutex::new(blamed), Some(notes));
        Ok(Self { node, blamed, notes, thread, last, written, seen })
    }

    /// Every blamed entity and its points.
    pub(crate) fn list(&self) -> Vec<(EntityId, u8)> {
        self.blamed().all().into_iter().collect()
    }

    /// A node was lost while it ran this rule. Returns the entity's points.
    pub(crate) fn add(&self, entity: EntityId, rule: Rule) -> u8 {
        let mut blamed = self.blamed();
        let points = blamed.add(entity, rule, wall_ms());
        warn(entity, rule, points, "a node hung in a rule");
        self.note(&blamed.own);
        points
    }

    /// Forgets the blame of `entity`. False: it has none.
    pub(crate) fn pardon(&self, entity: EntityId) -> bool {
        let mut blamed = self.blamed();
        let known = blamed.points(entity) > 0;
        if known {
            let newest = blamed.of(entity).map(|blame| blame.at_ms).max().unwrap_or(0);
            blamed.own.remove(&entity);
            if self.node.is_some() {
                // Also what a process counted whose clock is ahead.
                let pardoned_ms = wall_ms().max(newest);
                blamed.own.insert(entity, Blame { pardoned_ms, ..Blame::default() });
            }
            self.note(&blamed.own);
        }
        known
    }

    /// Whether everything is in the journal.
    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire) == self.last.load(Ordering::Acquire)
    }

    /// Looks at what the other processes have noted. Returns the entities whose points have changed, and those.
    pub(crate) fn look(&self, journal: &dyn Journal) -> Result<Vec<(EntityId, u8)>, Fault> {
        let number = number(journal, self.node)?;
        if number == self.seen.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        let others = read_others(journal, self.node)?;
        let mut blamed = self.blamed();
        // Whoever finds this number finds the notes too.
        self.seen.store(number, Ordering::Release);
        let before = blamed.all();
        blamed.others = others;
        let after = blamed.all();
        let entities: BTreeSet<EntityId> = before.keys().chain(after.keys()).copied().collect();
        let points = |of: &BTreeMap<EntityId, u8>, entity| of.get(&entity).copied().unwrap_or(0);
        let changed =
            entities.into_iter().filter(|entity| points(&before, *entity) != points(&after, *entity));
        Ok(changed.map(|entity| (entity, points(&after, entity))).collect())
    }

    fn note(&self, own: &Note) {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        // The thread lives as long as this sender.
        let _ = self.notes.as_ref().map(|notes| notes.send((number, text(own))));
    }

    fn blamed(&self) -> MutexGuard<'_, Notes> {
        self.blamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Blames {
    fn drop(&mut self) {
        self.notes = None;
        // It has the journal: what opens that next must not find it in use.
        self.thread.take().into_iter().for_each(|thread| end::wait_for(thread, end::PATIENCE));
    }
}

fn key_of(node: Option<NodeId>) -> String {
    node.map_or_else(|| KEY.to_owned(), |node| format!("{KEY}-{}", node.0))
}

fn read(journal: &dyn Journal, key: &str) -> Result<Note, Fault> {
    Ok(parse(journal.meta(key)?.as_deref().unwrap_or_default()))
}

/// What all other nodes have noted, also those that are away; and what a build did that had one note for all.
fn read_others(journal: &dyn Journal, node: Option<NodeId>) -> Result<Vec<Note>, Fault> {
    let Some(me) = node else { return Ok(Vec::new()) };
    let others = (1..=NODES_MAX).filter(|number| *number != me.0).map(|number| Some(NodeId(number)));
    others.chain([None]).map(|node| read(journal, &key_of(node))).collect()
}

fn number(journal: &dyn Journal, node: Option<NodeId>) -> Result<u64, Fault> {
    match node {
        None => Ok(0),
        Some(_) => Ok(journal.meta(NUMBER)?.and_then(|found| found.parse().ok()).unwrap_or(0)),
    }
}

/// The number is read after the note is written: whoever sees it grow finds the note.
fn write(journal: &dyn Journal, node: Option<NodeId>, text: &str) -> Result<(), Fault> {
    journal.set_meta(&key_of(node), text)?;
    if node.is_some() {
        journal.raise(NUMBER, number(journal, node)? + 1)?;
    }
    Ok(())
}

fn warn(entity: EntityId, rule: Rule, points: u8, what: &str) {
    let rule = rule.name();
    if points >= BLAME_LIMIT {
        let then = "the entity is not loaded any more; repair the rule, then `pardon` it";
        tracing::error!(%entity, rule, points, "{what}; {then}");
    } else {
        tracing::warn!(%entity, rule, points, "{what}");
    }
}

fn add(blamed: &mut Note, entity: EntityId, rule: Rule, now_ms: u64) {
    if blamed.len() >= BLAMED_MAX && !blamed.contains_key(&entity) {
        // The one with the oldest blame makes room.
        let oldest = blamed.iter().min_by_key(|(_, blame)| blame.at_ms).map(|(entity, _)| *entity);
        oldest.and_then(|oldest| blamed.remove(&oldest));
    }
    let blame = blamed.entry(entity).or_default();
    blame.points = blame.points.saturating_add(rule.blame());
    blame.at_ms = now_ms;
}

fn forget(blamed: &mut Note, now_ms: u64) {
    let stays = |blame: &Blame| {
        let is_recent = now_ms.abs_diff(blame.at_ms) < FORGET_MS
            || blame.pardoned_ms > 0 && now_ms.abs_diff(blame.pardoned_ms) < PARDON_MS;
        blame.points >= BLAME_LIMIT || is_recent
    };
    blamed.retain(|_, blame| stays(blame));
}

fn text(blamed: &Note) -> String {
    let mut text = String::new();
    for (entity, Blame { points, at_ms, pardoned_ms }) in blamed {
        // A string takes everything.
        let _ = match pardoned_ms {
            0 => writeln!(text, "{entity} {points} {at_ms}"),
            pardoned_ms => writeln!(text, "{entity} {points} {at_ms} {pardoned_ms}"),
        };
    }
    text
}

/// Entries that cannot be read are left out.
fn parse(text: &str) -> Note {
    let entry = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ([entity, points, at_ms, pardoned_ms], true) = (match words[..] {
            [entity, points, at_ms] => ([entity, points, at_ms, "0"], true),
            [entity, points, at_ms, pardoned_ms] => ([entity, points, at_ms, pardoned_ms], true),
            _ => ([""; 4], false),
        }) else {
            return None;
        };
        let blame = Blame {
            points: points.parse().ok()?,
            at_ms: at_ms.parse().ok()?,
            pardoned_ms: pardoned_ms.parse().ok()?,
        };
        Some((parse_entity(entity)?, blame))
    };
    text.lines().filter_map(entry).take(BLAMED_MAX).collect()
}

/// The entity that logs and lists show as `text`: its kind, a slash, and its id in hexadecimal. `None`: it is none.
pub fn parse_entity(text: &str) -> Option<EntityId> {
    let (kind, id) = text.split_once('/')?;
    Some(EntityId::new(Kind(kind.parse().ok()?), u64::from_str_radix(id, 16).ok()?))
}

/// Writes notes, the newest first of all, until the sender is gone.
fn keep(notes: &Receiver<(u64, String)>, journal: &dyn Journal, node: Option<NodeId>, written: &AtomicU64) {
    let mut waiting: Option<(u64, String)> = None;
    loop {
        let next = match &waiting {
            None => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => notes.recv_timeout(AGAIN),
        };
        match next {
            Ok(note) => waiting = Some(note),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(newer) = notes.try_recv() {
            waiting = Some(newer);
        }
        let Some((number, text)) = &waiting else { continue };
        match write(journal, node, text) {
            Ok(()) => {
                written.store(*number, Ordering::Release);
                waiting = None;
            }
            Err(fault) => {
                tracing::warn!(fault = fault.chain(), "cannot note which entities are blamed; trying again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo_journal::MemoryJournal;

    use super::*;

    const ANN: EntityId = EntityId::new(Kind(1), 0x2f);
    const LAND: EntityId = EntityId::new(Kind(2), u64::MAX);

    #[test]
    fn the_next_process_knows_them() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let blames = Blames::open(&journal, &[(ANN, Rule::Walk)], None).expect("it opens");
        assert_eq!(blames.list(), [(ANN, 2)]);
        assert_eq!(blames.add(LAND, Rule::Answer), 1);
        assert_eq!(blames.add(ANN, Rule::Public), 4);
        // It is written by another thread.
        while !blames.is_written() {
            std::thread::yield_now();
        }
        drop(blames);
        let blames = Blames::open(&journal, &[], None).expect("it opens");
        assert_eq!(blames.list(), [(ANN, 4), (LAND, 1)]);
        assert!(blames.pardon(ANN) && !blames.pardon(ANN));
        assert_eq!(blames.list(), [(LAND, 1)]);
    }

    #[test]
    fn little_blame_is_forgotten_and_much_is_not() {
        let mut blamed = parse("1/2f 4 0\n2/ffffffffffffffff 3 0\n");
        assert_eq!(blamed.len(), 2);
        forget(&mut blamed, FORGET_MS);
        assert_eq!(blamed.keys().copied().collect::<Vec<_>>(), [ANN]);
        assert_eq!(text(&blamed), "1/2f 4 0\n");
    }

    #[test]
    fn nonsense_in_the_note_is_left_out() {
        assert_eq!(parse("1/2f\nx/1 2 3\n1/xyz 2 3\n1/2f 300 1\n\n1/2f 1 2 3 4").len(), 0);
    }

    /// Two processes of one cluster.
    fn two() -> (Arc<dyn Journal>, [Blames; 2]) {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let open = |node| Blames::open(&journal, &[], Some(NodeId(node))).expect("it opens");
        let both = [open(1), open(2)];
        (journal, both)
    }

    fn noted(blames: &Blames) {
        while !blames.is_written() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn processes_that_run_hear_of_each_other() {
        let (journal, [one, two]) = two();
        assert_eq!(one.add(ANN, Rule::Walk), 2);
        noted(&one);
        assert_eq!(two.look(journal.as_ref()).expect("in memory"), [(ANN, 2)]);
        assert_eq!(two.look(journal.as_ref()).expect("in memory"), [], "once");
        assert_eq!(two.add(ANN, Rule::Walk), 4, "the second node that was lost over it");
        assert_eq!(two.add(LAND, Rule::Answer), 1);
        noted(&two);
        assert_eq!(one.list(), [(ANN, 2)]);
        let heard = one.look(journal.as_ref()).expect("in memory");
        assert!(heard.iter().any(|(entity, points)| *entity == ANN && *points >= BLAME_LIMIT), "{heard:?}");
        assert!(heard.contains(&(LAND, 1)));
        // None has overwritten what the other has found: a third process finds all of it.
        let three = Blames::open(&journal, &[], Some(NodeId(3))).expect("it opens");
        assert!(three.list().iter().any(|(entity, points)| *entity == ANN && *points >= BLAME_LIMIT));
    }

    #[test]
    fn a_pardon_holds_for_all_and_what_comes_after_it_counts() {
        let (journal, [one, two]) = two();
        one.add(ANN, Rule::Walk);
        noted(&one);
        two.look(journal.as_ref()).expect("in memory");
        two.add(ANN, Rule::Walk);
        noted(&two);
        one.look(journal.as_ref()).expect("in memory");
        let three = Blames::open(&journal, &[], Some(NodeId(3))).expect("it opens");
        assert!(three.pardon(ANN) && !three.pardon(ANN), "by a process that has counted nothing");
        noted(&three);
        for other in [&one, &two] {
            assert_eq!(other.look(journal.as_ref()).expect("in memory"), [(ANN, 0)]);
            assert_eq!(other.list(), []);
        }
        let late = Blames::open(&journal, &[(ANN, Rule::Walk)], Some(NodeId(1))).expect("it opens");
        assert_eq!(late.list(), [(ANN, 2)], "after the pardon it begins from nothing");
    }
}
