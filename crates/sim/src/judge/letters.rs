//! Letters: what an event tells another player. Each reaches its player once at most, and only when its event is durable.
//!
//! If the journal goes back, the events of some letters are lost. Such a letter may still be on its way, once, and its number is
//! given again.

use std::collections::HashMap;

use gundo_types::EntityId;

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};
use crate::game::Letter;

/// By sender and number.
type Key = (EntityId, u64);

/// A letter whose event has landed.
struct Sent {
    letter: Letter,
    got: bool,
}

/// The letters of all events that have landed.
#[derive(Default)]
pub(super) struct Letters {
    sent: HashMap<Key, Sent>,
    /// Those whose events the journal has lost.
    past: HashMap<Key, Vec<Sent>>,
}

impl Letters {
    /// The journal has gone back, and what it still has has landed again. `before` is what there was.
    pub(super) fn go_back(&mut self, before: Self) {
        self.past = before.past;
        for (key, sent) in before.sent {
            match self.sent.get_mut(&key) {
                Some(kept) => kept.got = sent.got,
                None => self.past.entry(key).or_default().push(sent),
            }
        }
    }

    /// A letter is delivered. Says how often it was sent, and whether one of these was not delivered yet.
    fn deliver(&mut self, letter: &Letter) -> (usize, bool) {
        let key = (letter.from, letter.number);
        let past = self.past.get_mut(&key).into_iter().flatten();
        let mut count = 0;
        for sent in self.sent.get_mut(&key).into_iter().chain(past).filter(|sent| sent.letter == *letter) {
            count += 1;
            if !std::mem::replace(&mut sent.got, true) {
                return (count, true);
            }
        }
        (count, false)
    }
}

impl Judge {
    /// A game event has landed: perhaps it sends a letter.
    pub(super) fn take_letter(&mut self, from: EntityId, event: &[u8]) {
        if let Some(letter) = self.game.letter_in(from, event) {
            self.letters.sent.insert((letter.from, letter.number), Sent { letter, got: false });
        }
    }

    /// A node tells a player something.
    pub(super) fn told(&mut self, to: EntityId, message: &[u8]) -> Verdict {
        let Some(letter) = self.game.letter_of(to, message) else { return Ok(()) };
        let (who, whose, number) = (self.name(to), self.name(letter.from), letter.number);
        match self.letters.deliver(&letter) {
            (_, true) => Ok(()),
            (0, false) => {
                let text = format!("{who} gets letter {number} of {whose}, which no durable event sends");
                violated(Guarantee::G7, text)
            }
            (_, false) => {
                let text = format!("{who} gets letter {number} of {whose} a second time");
                violated(Guarantee::G5, text)
            }
        }
    }
}
