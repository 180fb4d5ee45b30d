//! Messages between entities: each is taken once, in the order in which its sender sent them to its receiver, and only when the event
//! that sends it is durable. In the end none is owed.

use std::collections::{BTreeMap, HashMap};

use gundo_types::{EntityId, Kind};
use gundo_wire::Message;
use gundo_wire::journal::{Delivered, EventType, Post, Sent, Taken};

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};

/// A message that was sent by an event that has landed.
struct Letter {
    to: EntityId,
    at: u64,
    taken: bool,
}

/// All messages, as the landed events tell of them.
#[derive(Default)]
pub(super) struct Mail {
    /// By sender, those that it owes, by number.
    owed: HashMap<EntityId, BTreeMap<u64, Letter>>,
    /// By sender: how many it has sent.
    sent: HashMap<EntityId, u64>,
    /// Messages that were taken.
    pub(super) taken: u64,
}

impl Judge {
    /// An event of messages has landed; others say nothing about them.
    pub(super) fn take_mail(&mut self, id: EntityId, event_type: EventType, payload: &[u8]) -> Verdict {
        let undecoded = || violated(Guarantee::G3, "an event of messages does not decode".to_owned());
        match event_type {
            EventType::Sent => {
                let Ok(Sent { kind, id: to, at, message: _ }) = Sent::decode(payload) else {
                    return undecoded();
                };
                let number = self.mail.sent.entry(id).or_default();
                *number += 1;
                let letter = Letter { to: EntityId::new(Kind(kind as u16), to), at, taken: false };
                self.mail.owed.entry(id).or_default().insert(*number, letter);
                Ok(())
            }
            EventType::Taken => {
                let Ok(taken) = Taken::decode(payload) else { return undecoded() };
                self.taken(id, &taken)
            }
            EventType::Delivered => {
                let Ok(Delivered { numbers }) = Delivered::decode(payload) else { return undecoded() };
                numbers.into_iter().try_for_each(|number| self.delivered(id, number))
            }
            _ => Ok(()),
        }
    }

    fn taken(&mut self, by: EntityId, taken: &Taken) -> Verdict {
        let from = EntityId::new(Kind(taken.kind as u16), taken.id);
        let (who, whose, number) = (self.name(by), self.name(from), taken.number);
        let sent = self.mail.sent.get(&from).copied().unwrap_or(0);
        let owed = self.mail.owed.entry(from).or_default();
        let first =
            owed.iter().find(|(_, letter)| letter.to == by && !letter.taken).map(|(number, _)| *number);
        let Some(letter) = owed.get_mut(&number).filter(|letter| !letter.taken) else {
            let (guarantee, why) = match number > sent {
                true => (Guarantee::G7, "which no durable event sends"),
                false => (Guarantee::G5, "a second time"),
            };
            return violated(guarantee, format!("{who} takes message {number} of {whose}, {why}"));
        };
        if letter.to != by || letter.at != taken.at {
            return violated(Guarantee::G5, format!("{who} takes message {number} of {whose} to another"));
        }
        if first != Some(number) {
            let text = format!("{who} takes message {number} of {whose} before {first:?}");
            return violated(Guarantee::G5, text);
        }
        letter.taken = true;
        self.mail.taken += 1;
        Ok(())
    }

    fn delivered(&mut self, id: EntityId, number: u64) -> Verdict {
        let letter = self.mail.owed.get_mut(&id).and_then(|owed| owed.remove(&number));
        match letter {
            Some(Letter { taken: true, .. }) => Ok(()),
            Some(_) | None => {
                let text =
                    format!("{} does not owe message {number} any more, and nobody has it", self.name(id));
                violated(Guarantee::G1, text)
            }
        }
    }

    /// A snapshot must say what is owed.
    pub(super) fn compare_post(&self, id: EntityId, seq: u64, post: Option<&Post>) -> Verdict {
        let owed = self.mail.owed.get(&id).into_iter().flat_map(BTreeMap::keys);
        let kept = post.into_iter().flat_map(|post| &post.owed).map(|owed| &owed.number);
        let sent = self.mail.sent.get(&id).copied().unwrap_or(0);
        if !owed.eq(kept) || post.map_or(0, |post| post.sent) != sent {
            let text =
                format!("{}: the snapshot at {seq} has forgotten messages that it owes", self.name(id));
            return violated(Guarantee::G1, text);
        }
        Ok(())
    }

    /// When all is quiet, every message has been taken, and its sender knows.
    pub(crate) fn check_mail(&self) -> Verdict {
        let owes = self
            .mail
            .owed
            .iter()
            .filter_map(|(id, owed)| owed.iter().next().map(|(n, l)| (*id, *n, l.to, l.taken)));
        // Which of several does not depend on hash order.
        match owes.min() {
            None => Ok(()),
            Some((id, number, to, taken)) => {
                let (who, whom) = (self.name(id), self.name(to));
                let text = match taken {
                    true => format!("{who} still owes {whom} message {number}, which that has taken"),
                    false => format!("{who} still owes {whom} message {number}"),
                };
                violated(Guarantee::G10, text)
            }
        }
    }

    /// Messages that entities have taken.
    pub(crate) fn mail_taken(&self) -> u64 {
        self.mail.taken
    }
}
