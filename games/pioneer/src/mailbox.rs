//! Mailboxes: one for each player, with the letters that have come and what is in them.
//!
//! A mailbox is an entity of its own. So a letter comes to somebody who is away without locking more than the mailbox for long, and the
//! letters are not sent with the bag each time that changes: a client watches its own mailbox, which shows no texts.
//!
//! **Where things are.** What is in a letter is in the mailbox that has the letter (escrow), and nowhere else. Every move of a letter
//! or of its goods is one transaction of those who lose and gain: see `mail` for the players' side.
//!
//! **How long.** A letter has its time ([`Island::letter_life_ms`]), and a timer for it. Then one with goods goes back to its sender, and one
//! without is thrown away. If the sender's mailbox is full, the letter stays for a day more, and its owner can still take what is in it.
//! What has come back stays until its owner takes it.
//!
//! Limits: [`LETTERS_MAX`], [`LETTERS_OF_ONE_MAX`]. A letter beyond them is not taken, and the sender's own mailbox gets it back.

use gundo::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, EntityId, Refusal, State, Stored, Timed,
    WorldTime,
};

use crate::island::Island;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Letter, LetterDue, LetterGone, LetterKept, LetterRead, LetterTaken, MailboxAnswer, MailboxPublic,
    MailboxState, News, PlayerTold, mailbox_ask::Ask as Wish, mailbox_event::Event,
};

/// Letters in one mailbox.
pub const LETTERS_MAX: usize = 32;
/// After so long a letter that could not go back tries again, ms of world time.
const AGAIN_MS: u64 = 24 * 3_600_000;
/// Letters of one sender in one mailbox: nobody fills another one's.
pub const LETTERS_OF_ONE_MAX: usize = 8;

/// A mailbox. Its id is the player's.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 60, name = "mailbox", asking_creates, world = Island, durable = MailboxState)]
#[state(event = Event, public = MailboxPublic, ask = Wish, answer = MailboxAnswer, timer = LetterDue)]
pub struct Mailbox {
    /// Whose it is: the player's id.
    owner: u64,
    /// The highest number of a letter so far.
    numbers: u32,
    /// By number.
    letters: Vec<Letter>,
}

impl Mailbox {
    fn letter(&self, number: u32) -> Result<&Letter, No> {
        self.letters.iter().find(|letter| letter.number == number).ok_or(No::NoLetter)
    }

    /// Takes a letter, if there is room. `news`: what the player hears of it.
    fn receive(&self, letter: Letter, news: News) -> (Done<Self>, MailboxAnswer) {
        let of_one = |other: &&Letter| !other.back && other.from == letter.from;
        let flooded = !letter.back && self.letters.iter().filter(of_one).count() >= LETTERS_OF_ONE_MAX;
        let Some(number) =
            self.numbers.checked_add(1).filter(|_| self.letters.len() < LETTERS_MAX && !flooded)
        else {
            return (Done::new(), MailboxAnswer { full: true, ..MailboxAnswer::default() });
        };
        let other = if letter.back { &letter.to } else { &letter.from };
        let other = other.clone().unwrap_or_default();
        let told =
            PlayerTold { from: other.id, name: other.name, news: news.into(), ..PlayerTold::default() };
        let until = letter.until;
        let came = Event::Came(Letter { number, read: false, ..letter });
        let done = Done::new().event(&came).tell::<Player>(self.owner, &told);
        let due = LetterDue { letter: number };
        let done = if until == 0 { done } else { done.timer(&due, WorldTime(until)) };
        (done, MailboxAnswer::default())
    }

    fn read(&self, number: u32) -> Answered<Self> {
        let letter = self.letter(number)?;
        let read = Event::Read(LetterRead { letter: number });
        let done = if letter.read { Done::new() } else { Done::new().event(&read) };
        Ok((done, answer(letter)))
    }

    fn take(&self, number: u32, cx: &Context<'_, Self>) -> Answered<Self> {
        let letter = self.letter(number)?;
        if letter.stacks.is_empty() {
            return Err(No::NothingInside.into());
        }
        let taken = Event::Taken(LetterTaken { letter: number, stacks: letter.stacks.clone() });
        let stays = cx.world.planted(Mistake::AttachmentTakenTwice);
        Ok((if stays { Done::new() } else { Done::new().event(&taken) }, answer(letter)))
    }

    fn delete(&self, number: u32) -> Answered<Self> {
        let letter = self.letter(number)?;
        if !letter.stacks.is_empty() {
            return Err(No::SomethingInside.into());
        }
        Ok((goes(letter), MailboxAnswer::default()))
    }

    fn send_back(&self, number: u32, cx: &Context<'_, Self>) -> Answered<Self> {
        let letter = self.letter(number)?;
        if letter.back {
            return Err(No::CameBack.into());
        }
        if letter.from.as_ref().is_none_or(|from| from.id == 0) {
            return Err(No::NoSender.into());
        }
        let stays = cx.world.planted(Mistake::LetterReturnedTwice);
        Ok((if stays { Done::new() } else { goes(letter) }, answer(letter)))
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Letter)) {
        if let Some(letter) = self.letters.iter_mut().find(|letter| letter.number == number) {
            change(letter);
        }
    }
}

/// The letter as it was.
fn answer(letter: &Letter) -> MailboxAnswer {
    MailboxAnswer { letter: Some(letter.clone()), ..MailboxAnswer::default() }
}

/// It is not here any more, and its timer is over.
fn goes(letter: &Letter) -> Done<Mailbox> {
    let number = letter.number;
    let gone = Event::Gone(LetterGone { letter: number, stacks: letter.stacks.clone() });
    Done::new().event(&gone).no_timer(&LetterDue { letter: number })
}

/// A letter as it comes back to who wrote it.
pub(crate) fn returned(letter: Letter) -> Letter {
    Letter { number: 0, back: true, until: 0, ..letter }
}

impl Stored for Mailbox {
    fn load(id: u64, _world: &Island, state: MailboxState) -> Self {
        let MailboxState { numbers, letters } = state;
        Self { owner: id, numbers, letters }
    }

    fn save(&self) -> MailboxState {
        let Self { numbers, letters, .. } = self.clone();
        MailboxState { numbers, letters }
    }
}

impl Asked for Mailbox {
    fn answer(&self, ask: Wish, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        // Rules ask for nothing else; this holds even if one is wrong.
        let is_owner = by.id == EntityId::new(Player::KIND, self.owner);
        match ask {
            Wish::Deliver(letter) => Ok(self.receive(letter, News::Letter)),
            Wish::GiveBack(letter) => Ok(self.receive(returned(letter), News::LetterBack)),
            _ if !is_owner => Err(No::NotOwner.into()),
            Wish::Read(ask) => self.read(ask.letter),
            Wish::Take(ask) => self.take(ask.letter, cx),
            Wish::Delete(ask) => self.delete(ask.letter),
            Wish::SendBack(ask) => self.send_back(ask.letter, cx),
        }
    }
}

impl Timed for Mailbox {
    /// The time of a letter is over.
    fn on_timer(
        &self,
        due: LetterDue,
        _: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let number = due.letter;
        // It is gone: then there is nothing to do.
        let Ok(letter) = self.letter(number) else { return Ok(Done::new().into()) };
        let Some(from) = letter.from.as_ref().filter(|_| !letter.stacks.is_empty()) else {
            return Ok(goes(letter).into());
        };
        let stays = cx.world.planted(Mistake::LetterReturnedTwice);
        let ask = Ask::of::<Self>(from.id, &Wish::GiveBack(letter.clone()));
        Ok(ask.then(move |me: &Self, answer: MailboxAnswer, cx| {
            if answer.full {
                return Ok(keeps(due, cx.now));
            }
            Ok(if stays { Done::new() } else { goes(me.letter(number)?) })
        }))
    }

    /// The sender's mailbox could not be asked: nothing has moved.
    fn on_timer_refused(
        &self,
        due: LetterDue,
        _: WorldTime,
        _: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        if self.letter(due.letter).is_ok() { keeps(due, cx.now) } else { Done::new() }
    }
}

/// A letter that cannot go back yet.
fn keeps(due: LetterDue, now: WorldTime) -> Done<Mailbox> {
    let until = now + AGAIN_MS;
    let kept = Event::Kept(LetterKept { letter: due.letter, until: until.0 });
    Done::new().event(&kept).timer(&due, until)
}

impl Entity for Mailbox {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Came(letter) => {
                self.numbers = letter.number;
                self.letters.push(letter.clone());
            }
            Event::Read(fact) => self.change(fact.letter, |letter| letter.read = true),
            Event::Taken(fact) => self.change(fact.letter, |letter| letter.stacks.clear()),
            Event::Gone(fact) => self.letters.retain(|letter| letter.number != fact.letter),
            Event::Kept(fact) => self.change(fact.letter, |letter| letter.until = fact.until),
        }
    }

    fn public(&self, _at: WorldTime) -> Option<MailboxPublic> {
        let without_text = |letter: &Letter| Letter { text: String::new(), ..letter.clone() };
        Some(MailboxPublic { letters: self.letters.iter().map(without_text).collect() })
    }

    fn may_watch(&self, who: EntityId) -> bool {
        who == EntityId::new(Player::KIND, self.owner)
    }
}
