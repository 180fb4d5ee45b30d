//! What an entity owes to others and has taken from them: the durable part of messages between entities. Plain values; who sends and
//! takes them is in `mail`.
//!
//! The sender numbers its messages. It owes each until a `Delivered` event names it. The receiver notes for each sender the number of
//! the last message that it has taken; it takes those of one sender in order, so a number up to that one has been taken. It forgets
//! notes as old as [`OWED_MS`], and takes nothing that was sent before the newest of those: so what it has forgotten it does not
//! take again, whatever clocks and networks do.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{self as stored, Delivered, EventType, NEVER, Sent, Taken, TakenFrom};
use gundo_wire::{DecodeError, Message};

/// Messages that an entity may owe. A decision that would owe more is refused with `busy`.
pub(super) const OWED_MAX: usize = 64;
/// Senders whose messages an entity has taken and must remember. At the limit it takes none of others until it may forget one.
pub(super) const SENDERS_MAX: usize = 1_024;
/// How long a message is sent again, ms of world time. Then it is given up: counted, and named in the log.
pub(super) const OWED_MS: u64 = 3_600_000;

/// What it owes and has taken. An entity that never sends or takes a message has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Post {
    sent: u64,
    owed: BTreeMap<u64, Owed>,
    taken: BTreeMap<EntityId, Note>,
    forgotten: WorldTime,
}

/// A message that is owed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owed {
    pub(super) to: EntityId,
    pub(super) at: WorldTime,
    pub(super) message: Bytes,
    /// Seq of its event: it is sent once that is durable.
    pub(super) seq: u64,
}

/// What a sender remembers of messages that it owes. A reload forgets it.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// On their way: which message, by receiver.
    pub(super) sent: BTreeMap<EntityId, u64>,
    /// Answered or given up, and still owed by the journal.
    pub(super) over: BTreeSet<u64>,
    /// Waits in a row without an answer.
    pub(super) failures: u8,
    /// A timer runs.
    pub(super) waits: bool,
}

/// The last message taken of a sender.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Note {
    number: u64,
    at: WorldTime,
}

/// What a message is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is to be taken.
    New,
    /// It has been taken.
    Before,
    /// It cannot be taken: it is too old, or its receiver has no room for another sender. Its sender sends it again, or gives it up.
    NotNow,
}

impl Post {
    /// Messages that it owes.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Owed> {
        self.owed.get(&number)
    }

    /// The first message to each receiver, except for those in `over`.
    pub(super) fn firsts(&self, over: &BTreeSet<u64>) -> BTreeMap<EntityId, u64> {
        let mut firsts = BTreeMap::new();
        for (number, owed) in self.owed.iter().filter(|(number, _)| !over.contains(number)) {
            firsts.entry(owed.to).or_insert(*number);
        }
        firsts
    }

    /// The messages that were sent so long ago that they are given up.
    pub(super) fn given_up(&self, now: WorldTime) -> Vec<u64> {
        let old = |owed: &Owed| owed.at.0.saturating_add(OWED_MS) <= now.0;
        self.owed.iter().filter(|(_, owed)| old(owed)).map(|(number, _)| *number).collect()
    }

    /// From when on its entity must be loaded.
    pub(super) fn wake(&self) -> WorldTime {
        self.owed.values().map(|owed| owed.at).min().unwrap_or(NEVER)
    }

    /// What a message is to it now.
    pub(super) fn see(&self, from: EntityId, number: u64, at: WorldTime, now: WorldTime) -> Seen {
        match self.taken.get(&from) {
            Some(note) if number <= note.number => Seen::Before,
            Some(_) => Seen::New,
            None if at <= self.forgotten => Seen::NotNow,
            None => {
                let stay = self.taken.values().filter(|note| note.at > forgets(now)).count();
                if stay < SENDERS_MAX { Seen::New } else { Seen::NotNow }
            }
        }
    }

    /// Applies an engine event of messages; others do nothing. `seq`: the event's.
    pub(super) fn apply(
        &mut self,
        event_type: EventType,
        payload: &[u8],
        seq: u64,
    ) -> Result<(), DecodeError> {
        match event_type {
            EventType::Sent => {
                self.sent += 1;
                self.owed.insert(self.sent, owed(Sent::decode(payload)?, seq));
            }
            EventType::Taken => {
                let Taken { kind, id, number, at, forgets } = Taken::decode(payload)?;
                self.forgotten = self.forgotten.max(WorldTime(forgets));
                let forgotten = self.forgotten;
                self.taken.retain(|_, note| note.at > forgotten);
                self.taken.insert(entity(kind, id), Note { number, at: WorldTime(at) });
            }
            EventType::Delivered => {
                for number in Delivered::decode(payload)?.numbers {
                    self.owed.remove(&number);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// As part of a snapshot.
    pub(super) fn store(&self) -> Bytes {
        let owed = self.owed.iter().map(|(number, owed)| {
            let sent = sent(owed.to, owed.at, owed.message.clone());
            stored::Owed { number: *number, sent: Some(sent) }
        });
        let note = |(from, note): (&EntityId, &Note)| TakenFrom {
            kind: from.kind.0.into(),
            id: from.id,
            number: note.number,
            at: note.at.0,
        };
        let taken = self.taken.iter().map(note).collect();
        let post = stored::Post { sent: self.sent, owed: owed.collect(), taken, forgotten: self.forgotten.0 };
        post.encode_to_vec().into()
    }

    /// From a snapshot.
    pub(super) fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let stored::Post { sent, owed: all, taken, forgotten } = stored::Post::decode(bytes)?;
        let owed = all.into_iter().filter_map(|o| Some((o.number, owed(o.sent?, 0)))).collect();
        let note = |t: TakenFrom| (entity(t.kind, t.id), Note { number: t.number, at: WorldTime(t.at) });
        let taken = taken.into_iter().map(note).collect();
        Ok(Self { sent, owed, taken, forgotten: WorldTime(forgotten) })
    }

    /// Forgets what it owes: a planted mistake.
    pub(super) fn forget_owed(&mut self) {
        self.owed.clear();
    }
}

/// What was sent until then may be forgotten.
pub(super) fn forgets(now: WorldTime) -> WorldTime {
    WorldTime(now.0.saturating_sub(OWED_MS))
}

/// The payload of a `Sent` event.
pub(super) fn sent(to: EntityId, at: WorldTime, message: Bytes) -> Sent {
    Sent { kind: to.kind.0.into(), id: to.id, at: at.0, message }
}

fn owed(sent: Sent, seq: u64) -> Owed {
    Owed { to: entity(sent.kind, sent.id), at: WorldTime(sent.at), message: sent.message, seq }
}

fn entity(kind: u32, id: u64) -> EntityId {
    EntityId::new(Kind(u16::try_from(kind).unwrap_or(0)), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: u64) -> EntityId {
        EntityId::new(Kind(3), id)
    }

    fn take(post: &mut Post, from: u64, number: u64, at: u64, now: u64) {
        let forgets = forgets(WorldTime(now)).0;
        let taken = Taken { kind: 3, id: from, number, at, forgets };
        post.apply(EventType::Taken, &taken.encode_to_vec(), 1).expect("an event");
    }

    fn send(post: &mut Post, to: u64, at: u64, seq: u64) {
        let sent = sent(of(to), WorldTime(at), Bytes::from_static(b"hello"));
        post.apply(EventType::Sent, &sent.encode_to_vec(), seq).expect("an event");
    }

    #[test]
    fn what_is_owed_leaves_in_order_for_each_receiver() {
        let mut post = Post::default();
        [7, 8, 7].into_iter().for_each(|to| send(&mut post, to, 50, 3));
        assert_eq!(post.firsts(&BTreeSet::new()), [(of(7), 1), (of(8), 2)].into());
        assert_eq!(post.firsts(&[1].into()), [(of(7), 3), (of(8), 2)].into());
        let delivered = Delivered { numbers: vec![1, 2] };
        post.apply(EventType::Delivered, &delivered.encode_to_vec(), 9).expect("an event");
        assert_eq!((post.owed(), post.wake()), (1, WorldTime(50)));
        assert_eq!(
            (post.given_up(WorldTime(OWED_MS + 49)), post.given_up(WorldTime(OWED_MS + 50))),
            (vec![], vec![3])
        );
        let again = Post::restore(&post.store()).expect("a snapshot");
        assert_eq!((again.sent, again.owed(), again.get(3).map(|owed| owed.seq)), (3, 1, Some(0)));
    }

    #[test]
    fn what_is_forgotten_is_not_taken_again() {
        let (mut post, late) = (Post::default(), OWED_MS + 100);
        take(&mut post, 1, 5, 100, 100);
        assert_eq!(post.see(of(1), 5, WorldTime(100), WorldTime(200)), Seen::Before);
        assert_eq!(post.see(of(1), 6, WorldTime(100), WorldTime(200)), Seen::New);
        take(&mut post, 2, 1, late, late);
        assert_eq!(post.taken.len(), 1, "the note about the first sender is as old as that");
        assert_eq!(
            post.see(of(1), 5, WorldTime(100), WorldTime(200)),
            Seen::NotNow,
            "also if the clock was set back"
        );
        assert_eq!(post.see(of(1), 6, WorldTime(101), WorldTime(late)), Seen::New);
        assert_eq!(Post::restore(&post.store()).expect("a snapshot"), post);
    }

    #[test]
    fn senders_that_are_remembered_are_bounded() {
        let mut post = Post::default();
        (0..SENDERS_MAX as u64).for_each(|from| take(&mut post, from, 1, 50 + from, 50 + from));
        let (another, at) = (of(1 << 20), WorldTime(9_000));
        assert_eq!(post.see(another, 1, at, at), Seen::NotNow);
        assert_eq!(post.see(of(3), 2, at, at), Seen::New, "a sender that it remembers");
        let later = WorldTime(OWED_MS + 60);
        assert_eq!(post.see(another, 1, later, later), Seen::New);
        take(&mut post, another.id, 1, later.0, later.0);
        assert!(post.taken.len() <= SENDERS_MAX);
    }
}
