//! What players are told by others: the judge looks at each when it leaves its node, this file when it arrives.

use bytes::Bytes;

use super::World;
use crate::story::About;

impl World {
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
