//! Entities whose code took nodes down: counted, and noted in the journal, so that the next process knows them too.
//!
//! The note has an entry for each, `kind/id points at_ms`, with the id hexadecimal and the time in ms since 1970. A thread of its own
//! writes it; a node that was lost starts again only once it is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use gundo_journal::Journal;
use gundo_kernel::BLAMED_MAX;
use gundo_kernel::game::{BLAME_LIMIT, Rule};
use gundo_types::{EntityId, Kind};

use crate::clock::wall_ms;
use crate::nodes::{WorldFault, system};

/// Key of the note.
const KEY: &str = "blamed";
/// Points below the limit are forgotten after so long without new ones, ms: what happened once may have had another cause.
const FORGET_MS: u64 = 3_600_000;
/// Between two tries to write the note.
const AGAIN: Duration = Duration::from_secs(1);

/// The blame of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blame {
    points: u8,
    at_ms: u64,
}

/// The entities that nodes were lost over.
#[derive(Debug)]
pub(crate) struct Blames {
    blamed: Mutex<BTreeMap<EntityId, Blame>>,
    notes: Sender<(u64, String)>,
    /// Number of the newest note, and of the newest that is written.
    last: AtomicU64,
    written: Arc<AtomicU64>,
}

impl Blames {
    /// Reads the note, and adds what `aborted` in the last process.
    pub(crate) fn open(journal: &Arc<dyn Journal>, aborted: &[(EntityId, Rule)]) -> Result<Self, WorldFault> {
        let now_ms = wall_ms();
        let mut blamed = parse(journal.meta(KEY)?.as_deref().unwrap_or_default());
        forget(&mut blamed, now_ms);
        for (entity, rule) in aborted {
            let points = add(&mut blamed, *entity, *rule, now_ms);
            warn(*entity, *rule, points, "the last process aborted in a rule");
        }
        if !aborted.is_empty() {
            journal.set_meta(KEY, &text(&blamed))?;
        }
        let (notes, rx) = channel();
        let written = Arc::new(AtomicU64::new(0));
        let (theirs, journal) = (Arc::clone(&written), Arc::clone(journal));
        let keep = move || keep(&rx, journal.as_ref(), &theirs);
        Builder::new().name("gundo-blame".into()).spawn(keep).map_err(system)?;
        Ok(Self { blamed: Mutex::new(blamed), notes, last: AtomicU64::new(0), written })
    }

    /// Every blamed entity and its points.
    pub(crate) fn list(&self) -> Vec<(EntityId, u8)> {
        self.blamed().iter().map(|(entity, blame)| (*entity, blame.points)).collect()
    }

    /// A node was lost while it ran this rule. Returns the entity's points.
    pub(crate) fn add(&self, entity: EntityId, rule: Rule) -> u8 {
        let (mut blamed, now_ms) = (self.blamed(), wall_ms());
        forget(&mut blamed, now_ms);
        let points = add(&mut blamed, entity, rule, now_ms);
        warn(entity, rule, points, "a node hung in a rule");
        self.note(&blamed);
        points
    }

    /// Forgets the blame of `entity`. False: it has none.
    pub(crate) fn pardon(&self, entity: EntityId) -> bool {
        let mut blamed = self.blamed();
        let known = blamed.remove(&entity).is_some();
        if known {
            self.note(&blamed);
        }
        known
    }

    /// Whether everything is in the journal.
    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire) == self.last.load(Ordering::Acquire)
    }

    fn note(&self, blamed: &BTreeMap<EntityId, Blame>) {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        // The thread lives as long as this sender.
        let _ = self.notes.send((number, text(blamed)));
    }

    fn blamed(&self) -> MutexGuard<'_, BTreeMap<EntityId, Blame>> {
        self.blamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn add(blamed: &mut BTreeMap<EntityId, Blame>, entity: EntityId, rule: Rule, now_ms: u64) -> u8 {
    if blamed.len() >= BLAMED_MAX && !blamed.contains_key(&entity) {
        // The one with the oldest blame makes room.
        let oldest = blamed.iter().min_by_key(|(_, blame)| blame.at_ms).map(|(entity, _)| *entity);
        oldest.and_then(|oldest| blamed.remove(&oldest));
    }
    let blame = blamed.entry(entity).or_insert(Blame { points: 0, at_ms: now_ms });
    blame.points = blame.points.saturating_add(rule.blame());
    blame.at_ms = now_ms;
    blame.points
}

fn forget(blamed: &mut BTreeMap<EntityId, Blame>, now_ms: u64) {
    let stays = |blame: &Blame| blame.points >= BLAME_LIMIT || now_ms.abs_diff(blame.at_ms) < FORGET_MS;
    blamed.retain(|_, blame| stays(blame));
}

fn text(blamed: &BTreeMap<EntityId, Blame>) -> String {
    let mut text = String::new();
    for (entity, Blame { points, at_ms }) in blamed {
        // A string takes everything.
        let _ = writeln!(text, "{entity} {points} {at_ms}");
    }
    text
}

/// Entries that cannot be read are left out.
fn parse(text: &str) -> BTreeMap<EntityId, Blame> {
    let entry = |line: &str| {
        let [entity, points, at_ms] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let blame = Blame { points: points.parse().ok()?, at_ms: at_ms.parse().ok()? };
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
fn keep(notes: &Receiver<(u64, String)>, journal: &dyn Journal, written: &AtomicU64) {
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
        match journal.set_meta(KEY, text) {
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
        let blames = Blames::open(&journal, &[(ANN, Rule::Walk)]).expect("it opens");
        assert_eq!(blames.list(), [(ANN, 2)]);
        assert_eq!(blames.add(LAND, Rule::Answer), 1);
        assert_eq!(blames.add(ANN, Rule::Public), 4);
        // It is written by another thread.
        while !blames.is_written() {
            std::thread::yield_now();
        }
        drop(blames);
        let blames = Blames::open(&journal, &[]).expect("it opens");
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
        assert_eq!(parse("1/2f\nx/1 2 3\n1/xyz 2 3\n1/2f 300 1\n\n1/2f 1 2 3").len(), 0);
    }
}
