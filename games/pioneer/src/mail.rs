//! Mail: players send letters with goods to players who may be away, read them, take what is in them, and send them back.
//!
//! Every step is one transaction, so the goods of a letter are in one place at any time: in the sender's bag, in the letter in one of
//! the two mailboxes, or in a bag again.
//!
//! **Sending** asks the receiver whether it takes letters of the sender, and its mailbox whether it has room. If either says no, the
//! letter comes back at once as mail: the sender's own mailbox gets it, in the same transaction. So a block does not tell: who is
//! blocked meets a full mailbox. Only if that mailbox has no room either is the command refused.
//!
//! | first | then | what happens |
//! | --- | --- | --- |
//! | A takes what is in a letter | A takes it again, from another tab | `nothing_inside` |
//! | A takes what is in a letter | A sends it back | it goes back empty |
//! | A sends a letter back | A takes what is in it | `no_letter` |
//! | the letter's time is over | A takes what is in it | until it has gone back, A gets it; then `no_letter` |
//! | a node dies before the append | | nothing has happened; the client sends its command again |
//! | a node dies after the append | | everything has happened; the repeated command gets its recorded answer |

use gundo::{Answered, Ask, Context, Decision, Done, Refusal};

use crate::inventory::{all_shown, is_twice};
use crate::mailbox::Mailbox;
use crate::mistakes::Mistake;
use crate::names;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    DeleteLetter, Item, Letter, LetterEmptied, LetterSent, MailboxAnswer, Person, PlayerAnswer, PlayerReply,
    ReadLetter, ReturnLetter, SendLetter, Stack, TakeFromLetter, mailbox_ask::Ask as Wish, player_ask,
    player_event::Event,
};

/// Longest letter, characters.
pub const LETTER_CHARS_MAX: usize = 280;
/// Longest letter, bytes.
pub const LETTER_BYTES_MAX: usize = 1_200;
/// Entries of what is in one letter.
pub const LETTER_STACKS_MAX: usize = 6;

impl Player {
    pub(crate) fn send_letter(
        &self,
        letter: SendLetter,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let SendLetter { to, name, text, stacks } = letter;
        let text = names::accept_letter(&text, LETTER_CHARS_MAX, LETTER_BYTES_MAX)?;
        if !are_goods(&stacks, LETTER_STACKS_MAX) {
            return Err(No::Unclear.into());
        }
        if text.is_empty() && stacks.is_empty() {
            return Err(No::LetterEmpty.into());
        }
        let (to, called) = match (to.as_slice(), name.is_empty()) {
            ([one], true) => (*one, String::new()),
            ([], false) => Self::find(&name, cx)?,
            _ => return Err(No::OneReceiver.into()),
        };
        if to == cx.id.id {
            return Err(No::Yourself.into());
        }
        if self.circle.has_blocked(to) {
            return Err(No::YouBlocked.into());
        }
        let spent = self.items.named(&stacks, || cx.random())?;
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems.into());
        }
        let stacks = all_shown(&spent);
        let until = cx.now.0 + cx.world.letter_life_ms();
        let from = Some(Person { id: cx.id.id, name: self.name.clone() });
        let letter = Letter { from, text, stacks, at: cx.now.0, until, ..Letter::default() };
        let ask = Ask::of::<Self>(to, &player_ask::Ask::Letter(crate::schema::AskLetter { called }));
        Ok(ask.then(move |_: &Self, answer: PlayerAnswer, _| {
            let to_whom = Some(Person { id: to, name: answer.name });
            let letter = Letter { to: to_whom, ..letter.clone() };
            if !answer.both {
                return Ok(Self::comes_back(letter, spent.clone()));
            }
            let spent = spent.clone();
            let ask = Ask::of::<Mailbox>(to, &Wish::Deliver(letter.clone()));
            Ok(ask.then(move |me: &Self, answer: MailboxAnswer, _| {
                if answer.full {
                    return Ok(Self::comes_back(letter.clone(), spent.clone()));
                }
                Ok(me.sent(&letter, &spent, false)?.into())
            }))
        }))
    }

    /// Whether this player takes letters of another one, who learns its name. Not whom it has blocked: the answer is the same as of a
    /// full mailbox. `called`: the name by which the other one has found it; it may be another's by now.
    pub(crate) fn answer_letter(&self, from: u64, called: &str) -> Answered<Self> {
        if !called.is_empty() && !self.is_called(called) {
            return Err(No::NobodyCalled.into());
        }
        let both = !self.circle.has_blocked(from);
        Ok((Done::new(), PlayerAnswer { both, ..self.answer_named() }))
    }

    /// A letter that the receiver does not take.
    fn comes_back(letter: Letter, spent: Vec<Stack>) -> Decision<Self> {
        let from = letter.from.as_ref().map_or(0, |from| from.id);
        let ask = Ask::of::<Mailbox>(from, &Wish::GiveBack(letter.clone()));
        ask.then(
            move |me: &Self, answer: MailboxAnswer, _| {
                if answer.full { Err(No::MailboxFull.into()) } else { Ok(me.sent(&letter, &spent, true)?) }
            },
        )
    }

    fn sent(&self, letter: &Letter, spent: &[Stack], back: bool) -> Result<Done<Self>, No> {
        if !self.items.can_spend(spent) {
            return Err(No::MissingItems);
        }
        let sent = LetterSent { to: letter.to.clone(), stacks: spent.to_vec(), back };
        let name = letter.to.as_ref().map(|to| to.name.clone()).unwrap_or_default();
        let reply = PlayerReply { spent: letter.stacks.clone(), name, ..PlayerReply::default() };
        Ok(Done::new().event(&Event::LetterSent(sent)).reply(&reply))
    }

    pub(crate) fn read_letter(read: ReadLetter, cx: &Context<'_, Self>) -> Decision<Self> {
        let ask = Ask::of::<Mailbox>(cx.id.id, &Wish::Read(read));
        ask.then(|_: &Self, answer: MailboxAnswer, _| {
            let text = answer.letter.ok_or(No::NoLetter)?.text;
            Ok(Done::new().reply(&PlayerReply { text, ..PlayerReply::default() }))
        })
    }

    /// All that is in it, or nothing.
    pub(crate) fn take_from_letter(take: TakeFromLetter, cx: &Context<'_, Self>) -> Decision<Self> {
        let ask = Ask::of::<Mailbox>(cx.id.id, &Wish::Take(take));
        ask.then(|me: &Self, answer: MailboxAnswer, cx| {
            let Letter { from, stacks: mut gained, .. } = answer.letter.ok_or(No::NoLetter)?;
            if cx.world.planted(Mistake::IdChanged) {
                gained.iter_mut().filter(|stack| stack.id != 0).for_each(|stack| stack.id = cx.random());
            }
            if !me.has_room(&[], &gained) {
                return Err(No::InventoryFull.into());
            }
            let reply = PlayerReply { gained: gained.clone(), ..PlayerReply::default() };
            Ok(Done::new().event(&Event::LetterEmptied(LetterEmptied { from, gained })).reply(&reply))
        })
    }

    pub(crate) fn delete_letter(delete: DeleteLetter, cx: &Context<'_, Self>) -> Decision<Self> {
        Ask::of::<Mailbox>(cx.id.id, &Wish::Delete(delete))
            .then(|_: &Self, _: MailboxAnswer, _| Ok(Done::new()))
    }

    /// Its sender's mailbox takes it back with all that is in it, or everything stays as it is.
    pub(crate) fn return_letter(give_back: ReturnLetter, cx: &Context<'_, Self>) -> Decision<Self> {
        let ask = Ask::of::<Mailbox>(cx.id.id, &Wish::SendBack(give_back));
        ask.then(|_: &Self, answer: MailboxAnswer, _| {
            let letter = answer.letter.ok_or(No::NoLetter)?;
            let from = letter.from.as_ref().ok_or(No::NoLetter)?.id;
            let ask = Ask::of::<Mailbox>(from, &Wish::GiveBack(letter));
            Ok(ask.then(
                |_: &Self, answer: MailboxAnswer, _| {
                    if answer.full { Err(No::TheirMailboxFull.into()) } else { Ok(Done::new()) }
                },
            ))
        })
    }
}

/// Whether these are so many different goods at most, and some of each.
pub(crate) fn are_goods(stacks: &[Stack], stacks_max: usize) -> bool {
    stacks.len() <= stacks_max && stacks.iter().all(is_goods) && !is_twice(stacks)
}

/// Whether this is some of an item.
pub(crate) fn is_goods(stack: &Stack) -> bool {
    stack.count > 0 && stack.item() != Item::None
}
