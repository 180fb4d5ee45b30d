//! How a group ends: turns the verdicts of the rules and the end of the storage's transaction into one outcome per batch.
//!
//! Start with [`Committer::commit`]; a real journal implements [`Storage`]. [`group`](crate::group) decides which batch lands.
//!
//! Several writers may share the bars of failed streams, each with a committer of its own ([`Committer::sharing`]): as long as no
//! two of them have batches of one stream at a time.
//!
//! Not here: transactions and rows. A storage handles those, and handles no outcomes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gundo_wire::journal::{Batch, Outcome};

use crate::group::{Fences, Plan, Verdict};
use crate::queue::RefusedStream;

/// What writes groups: begins a transaction with [`plan`](Self::plan), and ends it with [`write`](Self::write) or
/// [`roll_back`](Self::roll_back).
pub trait Storage {
    /// Reads what the plan of `batches` needs, where that takes long: other writers plan meanwhile. By default it reads nothing.
    ///
    /// # Errors
    /// Why nothing can be written.
    fn look(&mut self, _batches: &[Batch]) -> Result<(), Unplanned> {
        Ok(())
    }

    /// Begins a transaction and has `fences` judge `batches` as of its start ([`Fences::plan`]).
    ///
    /// # Errors
    /// Why nothing can be written.
    fn plan(&mut self, batches: &[Batch], fences: &mut Fences) -> Result<Plan, Unplanned>;

    /// Writes every batch that lands, and all changes of names, and commits.
    fn write(&mut self, batches: &[Batch], plan: &Plan) -> Written;

    /// Rolls the transaction back, if there is one.
    fn roll_back(&mut self);
}

/// Why a group cannot even be planned, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplanned {
    /// The storage takes nothing.
    Refused(String),
    /// What the plan needs to know of one of the streams cannot be read.
    Damaged(String),
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is durable.
    Landed,
    /// Nothing of it is there, and nothing ever will be. Why, for operators.
    Nothing(String),
    /// Nothing of it is there: a key existed although the newest seq says otherwise, or a page is unreadable. The storage is damaged in
    /// one place.
    Collided(String),
    /// Nothing of it is there: another process has changed what the plan was made on. Plan again.
    Moved(String),
    /// Unknown: it may be there.
    Unknown(String),
}

/// Commits groups, one after another.
#[derive(Debug, Default)]
pub struct Committer {
    fences: Arc<Mutex<Fences>>,
    /// The last group could not be written: a fault is logged when it begins, not with every group.
    failing: bool,
}

/// So often a group is planned again because others were faster; then each of its batches goes alone.
const MOVED_MAX: u32 = 4;

impl Committer {
    /// A committer for another writer of the same journal: what failed with one bars what comes to the other.
    pub fn sharing(&self) -> Self {
        Self { fences: Arc::clone(&self.fences), failing: false }
    }

    /// Bars streams whose batches a full queue refused: call it before the group that came with them ([`Fences::bar`]).
    pub fn bar(&mut self, refused: &[RefusedStream]) {
        let mut fences = self.fences();
        for RefusedStream { incarnation, loaded_by, entity, load } in refused {
            fences.bar(*incarnation, *loaded_by, *entity, *load);
        }
    }

    /// Forgets an incarnation whose row was deleted ([`Fences::forget`]).
    pub fn forget(&mut self, incarnation: u64) {
        self.fences().forget(incarnation);
    }

    /// Commits `batches` as one group. One outcome for each, in order.
    pub fn commit(&mut self, batches: &[Batch], storage: &mut impl Storage) -> Vec<Outcome> {
        self.attempt(batches, storage, 0)
    }

    fn attempt(&mut self, batches: &[Batch], storage: &mut impl Storage, moved: u32) -> Vec<Outcome> {
        let plan = storage.look(batches).and_then(|()| storage.plan(batches, &mut self.fences()));
        let plan = match plan {
            Ok(plan) => plan,
            Err(Unplanned::Damaged(_)) if batches.len() > 1 => {
                storage.roll_back();
                let alone = |batch| self.commit(std::slice::from_ref(batch), storage).swap_remove(0);
                return batches.iter().map(alone).collect();
            }
            Err(Unplanned::Refused(why) | Unplanned::Damaged(why)) => {
                storage.roll_back();
                return self.reject(batches, why);
            }
        };
        let landing = plan.landing(batches).count();
        if landing == 0 {
            storage.roll_back();
            return self.fences().settle(batches, &plan, &Outcome::Done);
        }
        let outcome = match storage.write(batches, &plan) {
            Written::Landed => {
                self.failing = false;
                Outcome::Done
            }
            Written::Nothing(why) => {
                self.log_fault(&why, "the journal refuses to write");
                Outcome::Rejected(why)
            }
            Written::Unknown(why) => {
                self.log_fault(&why, "whether a group landed is not known");
                Outcome::Unknown
            }
            Written::Moved(_) if moved < MOVED_MAX => {
                return self.commit_again(batches, &plan, storage, moved + 1);
            }
            Written::Collided(_) | Written::Moved(_) if landing > 1 => {
                return self.commit_each(batches, &plan, storage);
            }
            // Others write there without pause.
            Written::Moved(_) => Outcome::Conflict,
            Written::Collided(why) => {
                self.log_fault(&why, "a stream is damaged; `journal verify` tells more");
                Outcome::Conflict
            }
        };
        self.fences().settle(batches, &plan, &outcome)
    }

    /// Plans the batches that should land once more, as a group. The others stay as they were judged.
    fn commit_again(
        &mut self,
        batches: &[Batch],
        plan: &Plan,
        storage: &mut impl Storage,
        moved: u32,
    ) -> Vec<Outcome> {
        let landing: Vec<Batch> = plan.landing(batches).cloned().collect();
        let mut again = self.attempt(&landing, storage, moved).into_iter();
        let outcome = |verdict: &Verdict| {
            failed(*verdict, plan)
                .unwrap_or_else(|| again.next().expect("one outcome for each that should land"))
        };
        plan.verdicts.iter().map(outcome).collect()
    }

    /// One damaged stream must not fail the others: retries the batches that should land one by one, in order.
    fn commit_each(&mut self, batches: &[Batch], plan: &Plan, storage: &mut impl Storage) -> Vec<Outcome> {
        let outcome = |(batch, verdict): (&Batch, &Verdict)| {
            let alone = || self.attempt(std::slice::from_ref(batch), storage, 0).swap_remove(0);
            failed(*verdict, plan).unwrap_or_else(alone)
        };
        batches.iter().zip(&plan.verdicts).map(outcome).collect()
    }

    fn reject(&mut self, batches: &[Batch], why: String) -> Vec<Outcome> {
        self.log_fault(&why, "the journal refuses to write");
        let mut fences = self.fences();
        batches.iter().for_each(|batch| fences.fail(batch));
        drop(fences);
        vec![Outcome::Rejected(why); batches.len()]
    }

    fn log_fault(&mut self, why: &str, what: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(why, "{what}");
        }
    }

    fn fences(&self) -> MutexGuard<'_, Fences> {
        // The rules assert nothing after they have begun to change something.
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a batch that does not land, whatever becomes of the others.
fn failed(verdict: Verdict, plan: &Plan) -> Option<Outcome> {
    match verdict {
        Verdict::Lands => None,
        Verdict::Conflict | Verdict::Taken => Some(Outcome::Conflict),
        Verdict::Outdated => Some(Outcome::Generation(plan.generation)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};
    use std::convert::Infallible;

    use gundo_types::{EntityId, NodeId};
    use gundo_wire::journal::{NameChange, StreamAppend};

    use super::*;
    use crate::group::{NameRow, View};
    use crate::suite::{entity, stream};

    /// A storage that fails as its test wants, and otherwise writes.
    #[derive(Default)]
    struct Told {
        last_seqs: BTreeMap<EntityId, u64>,
        /// Why the next groups cannot even be planned.
        sick: VecDeque<String>,
        /// How the next transactions end; later ones land.
        ends: VecDeque<Written>,
        /// A stream with an event where none should be.
        damaged: Option<EntityId>,
        open: bool,
        transactions: usize,
    }

    impl View for Told {
        type Error = Infallible;

        fn generation(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }

        fn is_member(&mut self, _: u64) -> Result<bool, Infallible> {
            Ok(true)
        }

        fn last_seq(&mut self, entity: EntityId) -> Result<u64, Infallible> {
            Ok(self.last_seqs.get(&entity).copied().unwrap_or(0))
        }

        fn name(&mut self, _: &str, _: &str) -> Result<Option<NameRow>, Infallible> {
            Ok(None)
        }
    }

    impl Storage for Told {
        fn plan(&mut self, batches: &[Batch], fences: &mut Fences) -> Result<Plan, Unplanned> {
            assert!(!std::mem::replace(&mut self.open, true), "the transaction before was not ended");
            self.transactions += 1;
            if let Some(why) = self.sick.pop_front() {
                return Err(Unplanned::Refused(why));
            }
            let Ok(plan) = fences.plan(batches, self);
            Ok(plan)
        }

        fn write(&mut self, batches: &[Batch], plan: &Plan) -> Written {
            self.open = false;
            let hits_damage = |batch: &Batch| batch.streams.iter().any(|s| Some(s.entity) == self.damaged);
            if plan.landing(batches).any(hits_damage) {
                return Written::Collided("a key is there".into());
            }
            let end = self.ends.pop_front().unwrap_or(Written::Landed);
            if end == Written::Landed {
                self.last_seqs.extend(&plan.last_seqs);
            }
            end
        }

        fn roll_back(&mut self) {
            self.open = false;
        }
    }

    fn batch(id: u64, streams: Vec<StreamAppend>) -> Batch {
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id, node: NodeId(1), incarnation: 1, generation: 0, prepared_by, streams, names }
    }

    /// One event of entity `e` after `after`, decided on load `load`.
    fn one(e: u64, load: u64, after: u64) -> Batch {
        batch(e, vec![stream(entity(e), load, after, 1)])
    }

    fn rejected(why: &str) -> Outcome {
        Outcome::Rejected(why.into())
    }

    #[test]
    fn what_lands_is_done_and_a_conflict_is_alone() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        let outcomes = committer.commit(&[one(1, 1, 0), one(2, 1, 9), one(3, 1, 0)], &mut storage);
        assert_eq!(outcomes, [Outcome::Done, Outcome::Conflict, Outcome::Done]);
        assert_eq!(committer.commit(&[one(2, 1, 9)], &mut storage), [Outcome::Conflict]);
        assert!(!storage.open, "a group without effect leaves no transaction behind");
    }

    #[test]
    fn after_a_transaction_that_failed_its_streams_are_barred_until_they_are_loaded() {
        for (end, outcome) in [
            (Written::Nothing("full".into()), rejected("full")),
            (Written::Unknown("who knows".into()), Outcome::Unknown),
        ] {
            let (mut committer, mut storage) = (Committer::default(), Told::default());
            storage.ends.push_back(end);
            let group = [one(1, 1, 0), one(2, 1, 9)];
            assert_eq!(committer.commit(&group, &mut storage), [outcome, Outcome::Conflict]);
            assert_eq!(committer.commit(&[one(1, 1, 0)], &mut storage), [Outcome::Conflict]);
            assert_eq!(committer.commit(&[one(1, 2, 0)], &mut storage), [Outcome::Done], "loaded since");
        }
    }

    #[test]
    fn a_storage_that_cannot_begin_rejects_all_and_bars_all() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        storage.sick.push_back("read-only".into());
        let group = [one(1, 1, 0), one(2, 1, 9)];
        assert_eq!(committer.commit(&group, &mut storage), [rejected("read-only"), rejected("read-only")]);
        assert_eq!(committer.commit(&[one(1, 1, 0)], &mut storage), [Outcome::Conflict]);
    }

    #[test]
    fn a_damaged_stream_drags_no_other_down() {
        let mut storage = Told { damaged: Some(entity(2)), ..Told::default() };
        let mut committer = Committer::default();
        let group = [one(1, 1, 0), one(2, 1, 0), one(4, 1, 9), one(3, 1, 0), one(1, 1, 1)];
        let outcomes = committer.commit(&group, &mut storage);
        let (done, conflict) = (Outcome::Done, Outcome::Conflict);
        assert_eq!(outcomes, [done.clone(), conflict.clone(), conflict, done.clone(), done]);
        assert_eq!(storage.transactions, 1 + 4, "together, then each that should land");
        assert_eq!(storage.last_seqs[&entity(1)], 2);
    }

    #[test]
    fn a_group_whose_ground_has_moved_is_planned_again_without_those_that_failed() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        storage.last_seqs.insert(entity(2), 1);
        storage.ends.push_back(Written::Moved("another was faster".into()));
        // A load 4 that fails, and a load 5 that lands: the first must not land when the second is planned again.
        let group = [one(1, 1, 0), one(2, 4, 9), one(2, 4, 1), one(2, 5, 1), one(3, 1, 0)];
        let (done, conflict) = (Outcome::Done, Outcome::Conflict);
        let expected = [done.clone(), conflict.clone(), conflict, done.clone(), done];
        assert_eq!(committer.commit(&group, &mut storage), expected);
        assert_eq!((storage.transactions, storage.last_seqs[&entity(2)]), (2, 2));
    }

    #[test]
    fn others_that_write_without_pause_cost_their_own_stream_only() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        let moved = || Written::Moved("another was faster".into());
        storage.ends.extend((0..=MOVED_MAX).map(|_| moved()));
        assert_eq!(
            committer.commit(&[one(1, 1, 0), one(2, 1, 0)], &mut storage),
            [Outcome::Done, Outcome::Done]
        );
        assert_eq!(storage.transactions as u32, MOVED_MAX + 1 + 2, "together, then each alone");
        storage.ends.extend((0..=MOVED_MAX).map(|_| moved()));
        assert_eq!(committer.commit(&[one(1, 1, 1)], &mut storage), [Outcome::Conflict]);
    }

    #[test]
    fn what_failed_with_one_writer_bars_what_comes_to_another() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        let mut other = committer.sharing();
        assert_eq!(committer.commit(&[one(1, 3, 9)], &mut storage), [Outcome::Conflict]);
        assert_eq!(other.commit(&[one(1, 3, 0)], &mut storage), [Outcome::Conflict]);
        assert_eq!(other.commit(&[one(1, 4, 0)], &mut storage), [Outcome::Done]);
    }

    #[test]
    fn a_name_is_taken_only_by_what_landed() {
        let take = |e| NameChange { space: "p".into(), name: "ann".into(), owner: Some(entity(e)) };
        let group = || [1, 2].map(|e| Batch { names: vec![take(e)], ..one(e, 1, 0) });
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        assert_eq!(committer.commit(&group(), &mut storage), [Outcome::Done, Outcome::Taken]);
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        storage.ends.push_back(Written::Nothing("full".into()));
        assert_eq!(committer.commit(&group(), &mut storage), [rejected("full"), Outcome::Conflict]);
    }

    #[test]
    fn what_a_queue_refused_bars_its_streams_until_their_node_is_gone() {
        let (mut committer, mut storage) = (Committer::default(), Told::default());
        committer.bar(&[RefusedStream { incarnation: 1, loaded_by: 1, entity: entity(1), load: 3 }]);
        assert_eq!(committer.commit(&[one(1, 3, 0)], &mut storage), [Outcome::Conflict]);
        committer.forget(1);
        assert_eq!(committer.commit(&[one(1, 3, 0)], &mut storage), [Outcome::Done]);
    }
}
