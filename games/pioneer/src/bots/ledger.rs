//! What the bots of one run give each other: the other half of each one's books.
//!
//! Who gives something, or confirms a trade as the second, hears so in the answer, which comes once and whatever crashes. The one who
//! gets it hears at most a piece of news. So the giver writes both sides down, and the books of all agree with the journal at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Amounts, book};
use crate::schema::Stack;

/// Shared by the minds of a run.
#[derive(Default)]
pub(super) struct Ledger {
    /// The players of the run's bots: they deal with each other only, because nobody else writes into this ledger.
    bots: BTreeSet<u64>,
    got: BTreeMap<u64, Amounts>,
}

impl Ledger {
    pub(super) fn comes(&mut self, bot: u64) {
        self.bots.insert(bot);
    }

    pub(super) fn is_bot(&self, player: u64) -> bool {
        self.bots.contains(&player)
    }

    /// Another one's decision has put `gained` into its bag and taken `spent` out.
    pub(super) fn changes(&mut self, bot: u64, gained: &[Stack], spent: &[Stack]) {
        let amounts = self.got.entry(bot).or_default();
        book(amounts, gained, 1);
        book(amounts, spent, -1);
    }

    /// What others have given it in all.
    pub(super) fn got(&self, bot: u64) -> Amounts {
        self.got.get(&bot).cloned().unwrap_or_default()
    }
}
