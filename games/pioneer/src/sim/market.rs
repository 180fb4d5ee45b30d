//! Letters and stalls in the simulator: what is in them, where it comes from and where it goes.

use std::collections::BTreeSet;

use gundo::sim::{Facts, Flows, Holdings};
use gundo::{Message, State};

use super::{give, hold, take};
use crate::mailbox::LETTERS_MAX;
use crate::schema::{MailboxState, Stack, StallState, mailbox_event, stall_event};
use crate::{Mailbox, OFFERS_MAX, Stall};

pub(super) fn mailbox_flows(event: Option<mailbox_event::Event>, flows: &mut Flows) {
    use mailbox_event::Event;
    match event {
        Some(Event::Came(letter)) => take(flows, &letter.stacks),
        Some(Event::Taken(taken)) => give(flows, &taken.stacks),
        Some(Event::Gone(gone)) => give(flows, &gone.stacks),
        Some(Event::Read(_) | Event::Kept(_)) | None => {}
    }
}

pub(super) fn stall_flows(event: Option<stall_event::Event>, flows: &mut Flows) {
    use stall_event::Event;
    match event {
        Some(Event::PutUp(offer)) => {
            let goods = offer.lot.map(|lot| Stack { count: lot.count * offer.left, ..lot });
            take(flows, goods.as_slice());
        }
        Some(Event::Withdrawn(withdrawn)) => give(flows, withdrawn.goods.as_slice()),
        Some(Event::Sold(sold)) => {
            give(flows, sold.goods.as_slice());
            take(flows, sold.price.as_slice());
        }
        Some(Event::ProceedsTaken(taken)) => give(flows, &[taken]),
        Some(Event::Opened(_) | Event::Closed(_) | Event::Repriced(_)) | None => {}
    }
}

pub(super) fn mailbox_holdings(snapshot: &[u8], holdings: &mut Holdings) {
    for letter in MailboxState::decode(snapshot).unwrap_or_default().letters {
        letter.stacks.iter().for_each(|stack| hold(holdings, stack));
    }
}

pub(super) fn stall_holdings(snapshot: &[u8], holdings: &mut Holdings) {
    let seen = StallState::decode(snapshot).unwrap_or_default().seen.unwrap_or_default();
    for (lot, left) in seen.offers.iter().filter_map(|offer| Some((offer.lot?, offer.left))) {
        // A unique thing is one lot.
        if left > 0 {
            hold(holdings, &Stack { count: lot.count * left, ..lot });
        }
    }
    seen.proceeds.iter().for_each(|stack| hold(holdings, stack));
}

/// Mailboxes and stalls keep to their limits, and no number is there twice.
pub(super) fn check(facts: &Facts<'_>) -> Result<(), String> {
    for (id, state) in facts.states(Mailbox::KIND) {
        let letters = MailboxState::decode(state).map_err(|e| e.to_string())?.letters;
        let numbers: BTreeSet<u32> = letters.iter().map(|letter| letter.number).collect();
        if letters.len() > LETTERS_MAX || numbers.len() < letters.len() {
            return Err(format!("{id} has {} letters with {} numbers", letters.len(), numbers.len()));
        }
    }
    for (id, state) in facts.states(Stall::KIND) {
        let offers = StallState::decode(state).map_err(|e| e.to_string())?.seen.unwrap_or_default().offers;
        let numbers: BTreeSet<u32> = offers.iter().map(|offer| offer.number).collect();
        if offers.len() > OFFERS_MAX || numbers.len() < offers.len() {
            return Err(format!("{id} has {} offers with {} numbers", offers.len(), numbers.len()));
        }
    }
    Ok(())
}
