//! What players are told by others: the judge looks at each when it leaves its node, this file when it arrives.

use bytes::Bytes;
use gundo_types::Time;

use super::World;
use crate::game::Errand;
use crate::story::About;

/// Of so many steps of a mind, its player tells another something in one.
const STEPS: u64 = 40;

impl World {
    /// Now and then a player tells another something, wherever that one is, if the game has that.
    pub(super) fn write_something(&mut self, client: usize) {
        if self.watching.below(STEPS) != 0 {
            return;
        }
        let to = self.watching.below(self.people.len() as u64) as usize;
        let (person, own) = (self.clients[client].person, self.clients[client].own.clone());
        let Some(to) = self.people[to].id else { return };
        let body = self.people[person].wishes.body;
        if let Some(payload) = self.game.errand(self.plan.seed, Errand::Tell(to), &body, &own) {
            // A client with too much open says nothing.
            let _ = self.clients[client].session.command(Time(self.now), payload);
        }
    }

    /// A client shows its player a message of another.
    pub(super) fn on_told(&mut self, client: usize, message: &Bytes) {
        let person = self.clients[client].person;
        let letter = self.people[person].id.and_then(|to| self.game.letter_of(to, message));
        let Some(letter) = letter else { return };
        self.counts.letters += 1;
        let text = || format!("player {person} gets letter {} of {}", letter.number, letter.from);
        self.story.tell(self.now, About::player(person), text);
        self.on_errand_told(letter.from, letter.to);
    }
}
