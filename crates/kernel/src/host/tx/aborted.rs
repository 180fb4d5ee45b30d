//! Aborts that came before their prepares: a prepare may wait on its way, and its abort overtakes it. Plain values.

use std::collections::{BTreeSet, VecDeque};

use gundo_types::EntityId;

use crate::peer::TxId;

/// Aborts that are remembered. At the limit the oldest is forgotten: if its prepare comes after all, the entity is locked until
/// the coordinator answers that the transaction is over.
const ABORTED_MAX: usize = 1_024;

/// The newest aborts of transactions that the entity did not know.
#[derive(Default)]
pub(crate) struct Aborted {
    known: BTreeSet<(TxId, EntityId)>,
    /// The same, oldest first.
    by_age: VecDeque<(TxId, EntityId)>,
}

impl Aborted {
    /// An abort has come for a transaction that the entity does not know: it has answered, or the prepare comes later.
    pub(crate) fn note(&mut self, tx: TxId, entity: EntityId) {
        if !self.known.insert((tx, entity)) {
            return;
        }
        self.by_age.push_back((tx, entity));
        if self.by_age.len() > ABORTED_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.known.remove(&oldest);
        }
        assert!(self.known.len() <= ABORTED_MAX, "aborts that are remembered are bounded");
    }

    /// Whether the transaction has ended.
    pub(crate) fn has(&self, tx: TxId, entity: EntityId) -> bool {
        self.known.contains(&(tx, entity))
    }
}
