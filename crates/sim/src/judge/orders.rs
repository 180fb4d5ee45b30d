//! Operators' orders: one that an operator heard to be done has happened exactly once, one that was refused not at all, and any other at
//! most once. Every repetition gets the first answer.

use std::collections::HashMap;

use gundo_kernel::OrderEnd;
use gundo_types::EntityId;
use gundo_wire::Message;
use gundo_wire::journal::{EventType, OrderTaken};

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};

/// An order, by its entity and the number of its request.
type Key = (EntityId, u64);

/// All orders, as the landed events tell of them, and as operators have heard of them.
#[derive(Default)]
pub(super) struct Orders {
    landed: HashMap<Key, OrderTaken>,
    /// Those whose events the journal has lost.
    past: HashMap<Key, OrderTaken>,
    /// The first end that an operator heard.
    heard: HashMap<Key, OrderEnd>,
    /// Orders that entities have taken.
    pub(super) taken: u64,
}

impl Orders {
    /// The journal has gone back, and what it still has has landed again. `before` is what there was.
    pub(super) fn go_back(&mut self, before: Self) {
        (self.past, self.heard, self.taken) = (before.past, before.heard, before.taken);
        let gone = before.landed.into_iter().filter(|(key, _)| !self.landed.contains_key(key));
        for (key, note) in gone {
            // What an operator hears of it from now on may be another end.
            self.heard.remove(&key);
            self.past.insert(key, note);
        }
    }
}

impl Judge {
    /// An event of orders has landed; others say nothing about them.
    pub(super) fn take_order(&mut self, id: EntityId, event_type: EventType, payload: &[u8]) -> Verdict {
        if event_type != EventType::Ordered {
            return Ok(());
        }
        let Ok(note) = OrderTaken::decode(payload) else {
            return violated(Guarantee::G3, "an event of orders does not decode".to_owned());
        };
        let (key, who) = ((id, note.request), self.name(id));
        if self.orders.landed.contains_key(&key) {
            let text = format!("{who} takes order {:x} a second time", note.request);
            return violated(Guarantee::G5, text);
        }
        if let (Some(OrderEnd::Refused(refusal)), true) = (self.orders.heard.get(&key), note.code.is_empty())
            && !self.lost.replaying
        {
            let text = format!("{who} does order {:x}, which was refused ({})", note.request, refusal.code);
            return violated(Guarantee::G5, text);
        }
        self.orders.taken += 1;
        self.orders.landed.insert(key, note);
        Ok(())
    }

    /// An operator hears how an order has ended.
    pub(crate) fn heard_of_order(&mut self, id: EntityId, request: u64, end: &OrderEnd) -> Verdict {
        let (key, who) = ((id, request), self.name(id));
        let same = |note: &OrderTaken| match end {
            OrderEnd::Done(answer) => note.code.is_empty() && note.answer == *answer,
            OrderEnd::Refused(refusal) => note.code == refusal.code,
            OrderEnd::Unsettled(_) => true,
        };
        let is_past = self.orders.past.get(&key).is_some_and(same);
        let landed = self.orders.landed.get(&key);
        match end {
            OrderEnd::Unsettled(_) => return Ok(()),
            _ if is_past => return Ok(()),
            OrderEnd::Done(_) if !landed.is_some_and(same) => {
                let text =
                    format!("order {request:x} for {who} is said to be done, and no durable event says so");
                return violated(Guarantee::G7, text);
            }
            OrderEnd::Refused(refusal) if landed.is_some_and(|note| note.code.is_empty()) => {
                let text = format!("order {request:x} for {who} is done, and refused ({})", refusal.code);
                return violated(Guarantee::G5, text);
            }
            OrderEnd::Done(_) | OrderEnd::Refused(_) => {}
        }
        let first = self.orders.heard.entry(key).or_insert_with(|| end.clone());
        if first != end {
            let text = format!("order {request:x} for {who} has ended in two ways: {first:?}, {end:?}");
            return violated(Guarantee::G5, text);
        }
        Ok(())
    }

    /// Orders that entities have taken.
    pub(crate) fn orders_taken(&self) -> u64 {
        self.orders.taken
    }
}
