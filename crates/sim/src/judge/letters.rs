//! Letters: what an event tells another player. Each reaches its player once at most, and only when its event is durable.

use std::collections::{HashMap, HashSet};

use gundo_types::EntityId;

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};
use crate::game::Letter;

/// The letters of all events that have landed, and those that were delivered.
#[derive(Default)]
pub(super) struct Letters {
    sent: HashMap<(EntityId, u64), Letter>,
    got: HashSet<(EntityId, u64)>,
}

impl Judge {
    /// A game event has landed: perhaps it sends a letter.
    pub(super) fn take_letter(&mut self, from: EntityId, event: &[u8]) {
        if let Some(letter) = self.game.letter_in(from, event) {
            self.letters.sent.insert((letter.from, letter.number), letter);
        }
    }

    /// A node tells a player something.
    pub(super) fn told(&mut self, to: EntityId, message: &[u8]) -> Verdict {
        let Some(letter) = self.game.letter_of(to, message) else { return Ok(()) };
        let key = (letter.from, letter.number);
        let (who, whose) = (self.name(to), self.name(letter.from));
        if self.letters.sent.get(&key) != Some(&letter) {
            let text =
                format!("{who} gets letter {} of {whose}, which no durable event sends", letter.number);
            return violated(Guarantee::G7, text);
        }
        if !self.letters.got.insert(key) {
            let text = format!("{who} gets letter {} of {whose} a second time", letter.number);
            return violated(Guarantee::G5, text);
        }
        Ok(())
    }
}
