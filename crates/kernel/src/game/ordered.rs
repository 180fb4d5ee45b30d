//! Orders: an operator gives an entity a command of its own, and gets an answer.

use super::context::Context;
use super::decision::{Decision, Done};
use super::entity::Entity;
use super::payload::Payload;
use super::refusal::Refusal;

#[diagnostic::on_unimplemented(
    message = "a `{Self}` takes no orders",
    note = "say `order = …` in its `#[state]` and implement `Ordered`"
)]
/// An entity that operators can give orders (`order KIND ID WORDS` at the command line). Needs `order = …` in `#[state]`.
pub trait Ordered: Entity {
    /// Reads an order that an operator has typed. It only reads: what the entity thinks of it is up to [`order`](Self::order).
    ///
    /// # Errors
    /// One sentence for the operator: what can be said here.
    fn read_order(words: &str) -> Result<Self::Order, String>;

    /// Decides what an order does: it is done, or it asks others first, as a player's command may. It changes nothing itself, and may
    /// run again for the same order, so an event must record every random number it drew. What it decides takes effect together with
    /// the note that the order was taken, so it takes effect once, also if the operator repeats it after a time-out. The answer
    /// ([`Done::answer_order`]) is part of that note.
    ///
    /// A player need not be in the world: then `cx.body` is `None`, and it sees nothing near.
    ///
    /// # Errors
    /// A refusal, of this rule or of an entity that it asks. One with the code `busy` is for now: the order is tried again for a
    /// while. Any other is noted like an answer: the order never has an effect.
    fn order(&self, order: Self::Order, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal>;

    /// The answer as the operator reads it.
    fn answer_words(answer: &Self::OrderAnswer) -> String {
        format!("{answer:?}")
    }
}

impl<E: Ordered> Done<E> {
    /// The answer to the operator whose order this decides. At most 1,024 bytes: with more, the order is refused with `game_error`.
    pub fn answer_order(mut self, answer: &E::OrderAnswer) -> Self {
        self.raw.reply = answer.to_bytes();
        self
    }
}
