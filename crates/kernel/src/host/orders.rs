//! The operators' orders that an entity has taken: the durable part. Plain values; who takes them is in `ordered`.
//!
//! A request has a number, which says when it was made. The entity notes how each ended, and answers a copy from the note. It forgets
//! notes whose requests are as old as [`KEPT_MS`], and takes no request that was made before the newest of those: so what it has
//! forgotten it does not take again, whatever clocks and networks do.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::WorldTime;
use gundo_wire::journal::{self as stored, EventType, OrderTaken};
use gundo_wire::{DecodeError, Message};

use super::queue::Ordering;
use crate::game::Refusal;
use crate::peer::{Order, OrderEnd};

/// Orders that an entity has taken and must remember. At the limit it takes none until it may forget one.
pub(super) const ORDERS_MAX: usize = 64;
/// How long a request can be repeated, ms of world time since it was made.
pub(super) const KEPT_MS: u64 = 3_600_000;
/// Bytes of a refusal that are noted. More is cut off.
const WORDS_BYTES_MAX: usize = 512;

/// What it has taken. An entity that never takes an order has none of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Orders {
    taken: BTreeMap<u64, OrderTaken>,
    forgotten: WorldTime,
}

/// What an order is to the entity that gets it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// It is to be taken.
    New,
    /// It has been taken.
    Before(OrderEnd),
    /// Another order has its number.
    Other,
    /// Its request is too old.
    TooOld,
    /// Too many are remembered.
    Full,
}

impl Orders {
    /// What an order is to it now.
    pub(super) fn see(&self, request: u64, order: &[u8], now: WorldTime) -> Seen {
        let made = Order::made_at(request);
        match self.taken.get(&request) {
            Some(note) if note.fingerprint != gundo_wire::fingerprint(order) => Seen::Other,
            Some(note) => Seen::Before(end_of(note.clone())),
            None if made <= self.forgotten.max(forgets(now)) => Seen::TooOld,
            None => {
                let stay = self.taken.keys().filter(|taken| Order::made_at(**taken) > forgets(now)).count();
                if stay < ORDERS_MAX { Seen::New } else { Seen::Full }
            }
        }
    }

    /// Applies an engine event of orders; others do nothing.
    pub(super) fn apply(
        part: &mut Option<Box<Self>>,
        event_type: EventType,
        payload: &[u8],
    ) -> Result<(), DecodeError> {
        if event_type == EventType::Ordered {
            let taken = OrderTaken::decode(payload)?;
            let orders = part.get_or_insert_default();
            orders.forgotten = orders.forgotten.max(WorldTime(taken.forgets));
            let forgotten = orders.forgotten;
            orders.taken.retain(|request, _| Order::made_at(*request) > forgotten);
            orders.taken.insert(taken.request, taken);
        }
        Ok(())
    }

    /// As part of a snapshot.
    pub(super) fn store(&self) -> Bytes {
        let taken = self.taken.values().cloned().collect();
        stored::Orders { taken, forgotten: self.forgotten.0 }.encode_to_vec().into()
    }

    /// From a snapshot.
    pub(super) fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let stored::Orders { taken, forgotten } = stored::Orders::decode(bytes)?;
        let taken = taken.into_iter().map(|taken| (taken.request, taken)).collect();
        Ok(Self { taken, forgotten: WorldTime(forgotten) })
    }
}

/// Requests that were made until then may be forgotten.
pub(super) fn forgets(now: WorldTime) -> WorldTime {
    WorldTime(now.0.saturating_sub(KEPT_MS))
}

/// The payload of an `Ordered` event.
pub(super) fn taken(
    ordering: &Ordering,
    order: &[u8],
    end: &Result<Bytes, Refusal>,
    now: WorldTime,
) -> OrderTaken {
    let (code, text) = match end {
        Ok(_) => (String::new(), String::new()),
        Err(refusal) => (cut(&refusal.code, WORDS_BYTES_MAX), cut(&refusal.text, WORDS_BYTES_MAX)),
    };
    OrderTaken {
        request: ordering.request,
        fingerprint: gundo_wire::fingerprint(order),
        by: ordering.by.clone(),
        code,
        text,
        answer: end.as_ref().cloned().unwrap_or_default(),
        forgets: forgets(now).0,
    }
}

/// The first characters of some words, in at most so many bytes.
pub(super) fn cut(words: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(words.len())).rev().find(|at| words.is_char_boundary(*at));
    words[..end.unwrap_or(0)].to_owned()
}

/// How the order of a note has ended.
pub(super) fn end_of(note: OrderTaken) -> OrderEnd {
    let OrderTaken { code, text, answer, .. } = note;
    if code.is_empty() { OrderEnd::Done(answer) } else { OrderEnd::Refused(Refusal::new(code, text)) }
}

/// Whether an order is tried again by itself after this: it is for a moment.
pub(super) fn is_for_a_moment(refusal: &Refusal) -> bool {
    matches!(&*refusal.code, "busy" | "storage" | "storage_busy" | "storage_full" | "away")
}

/// Nobody can give it orders.
pub(super) fn cannot_be_ordered() -> Refusal {
    Refusal::new("cannot_be_ordered", "Nobody can give that orders.")
}

/// The request is too old.
pub(super) fn too_old() -> Refusal {
    let text = "That request is more than an hour old. See whether it was done, and ask for a new number.";
    Refusal::new("order_too_old", text)
}

#[cfg(test)]
mod tests {
    use gundo_types::NodeId;

    use super::*;

    const HOUR: u64 = KEPT_MS;

    fn take(part: &mut Option<Box<Orders>>, made: u64, chance: u64, now: u64, end: &Result<Bytes, Refusal>) {
        let request = Order::request(WorldTime(made), chance);
        let ordering = Ordering { request, node: NodeId(1), by: "a token".into() };
        let event = taken(&ordering, b"give", end, WorldTime(now)).encode_to_vec();
        Orders::apply(part, EventType::Ordered, &event).expect("an event");
    }

    #[test]
    fn a_copy_gets_the_first_answer() {
        let mut part = None;
        let (done, refused) = (Ok(Bytes::from_static(b"given")), Err(Refusal::new("bag_full", "Full.")));
        take(&mut part, HOUR, 5, HOUR, &done);
        take(&mut part, HOUR, 6, HOUR, &refused);
        let orders = part.expect("it has taken two");
        let see = |chance: u64, order: &[u8]| {
            orders.see(Order::request(WorldTime(HOUR), chance), order, WorldTime(HOUR + 1))
        };
        assert_eq!(see(5, b"give"), Seen::Before(OrderEnd::Done(Bytes::from_static(b"given"))));
        assert_eq!(see(6, b"give"), Seen::Before(OrderEnd::Refused(Refusal::new("bag_full", "Full."))));
        assert_eq!((see(5, b"take"), see(7, b"give")), (Seen::Other, Seen::New));
        assert_eq!(Orders::restore(&orders.store()).expect("a snapshot"), *orders);
    }

    #[test]
    fn what_is_forgotten_is_not_taken_again() {
        let (mut part, done) = (None, Ok(Bytes::new()));
        take(&mut part, HOUR, 5, HOUR, &done);
        take(&mut part, 3 * HOUR, 5, 3 * HOUR, &done);
        let orders = part.expect("it has taken two");
        assert_eq!(orders.taken.len(), 1);
        let old = Order::request(WorldTime(HOUR), 5);
        // Also if the clock was set back.
        assert_eq!(orders.see(old, b"give", WorldTime(HOUR)), Seen::TooOld);
        assert_eq!(Orders::default().see(old, b"give", WorldTime(2 * HOUR)), Seen::TooOld, "to everybody");
        assert_eq!(Orders::default().see(old, b"give", WorldTime(2 * HOUR - 1)), Seen::New);
    }

    #[test]
    fn orders_that_are_remembered_are_bounded() {
        let (mut part, done) = (None, Ok(Bytes::new()));
        (0..ORDERS_MAX as u64).for_each(|chance| take(&mut part, HOUR + chance, chance, HOUR + 99, &done));
        let orders = part.clone().expect("it has taken many");
        let see = |now: u64| orders.see(Order::request(WorldTime(now), 77), b"give", WorldTime(now));
        assert_eq!((see(HOUR + 100), see(2 * HOUR)), (Seen::Full, Seen::New), "one is old by then");
        take(&mut part, 2 * HOUR, 77, 2 * HOUR, &done);
        assert_eq!(part.expect("it has").taken.len(), ORDERS_MAX);
    }
}
