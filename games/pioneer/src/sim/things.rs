//! What the simulator checks of unique things: each id is in one place, and is one kind of thing. That none appears or is lost is
//! checked event by event, as for other goods: each id is a sort of goods of its own (`goods` in `sim`).

use std::collections::BTreeMap;

use gundo::sim::Facts;
use gundo::{EntityId, Message, State};

use crate::schema::{GuildState, MailboxState, PlayerState, Stack, StallState};
use crate::{Guild, Mailbox, Player, Stall};

/// Each id is in one bag, offer, letter, chest or stall.
pub(super) fn check(facts: &Facts<'_>) -> Result<(), String> {
    let mut places = BTreeMap::new();
    for (id, state) in facts.states(Player::KIND) {
        each_once(id, held_by_player(state), &mut places)?;
    }
    for (id, state) in facts.states(Mailbox::KIND) {
        let letters = MailboxState::decode(state).unwrap_or_default().letters;
        each_once(id, letters.into_iter().flat_map(|letter| letter.stacks), &mut places)?;
    }
    for (id, state) in facts.states(Guild::KIND) {
        each_once(id, GuildState::decode(state).unwrap_or_default().chest, &mut places)?;
    }
    for (id, state) in facts.states(Stall::KIND) {
        let offers = StallState::decode(state).unwrap_or_default().seen.unwrap_or_default().offers;
        let unsold = offers.into_iter().filter(|offer| offer.left > 0);
        each_once(id, unsold.filter_map(|offer| offer.lot), &mut places)?;
    }
    Ok(())
}

fn held_by_player(state: &[u8]) -> impl Iterator<Item = Stack> {
    let state = PlayerState::decode(state).unwrap_or_default();
    state.items.into_iter().chain(state.trade.unwrap_or_default().mine)
}

fn each_once(
    holder: EntityId,
    stacks: impl IntoIterator<Item = Stack>,
    places: &mut BTreeMap<u64, (EntityId, i32)>,
) -> Result<(), String> {
    for Stack { item, count, id, .. } in stacks.into_iter().filter(|stack| stack.id != 0) {
        if count != 1 {
            return Err(format!("{holder} has {count} of the thing {id:016x}, which is unique"));
        }
        if let Some((other, what)) = places.insert(id, (holder, item)) {
            return Err(format!("the thing {id:016x} is at {other} as {what} and at {holder} as {item}"));
        }
    }
    Ok(())
}
