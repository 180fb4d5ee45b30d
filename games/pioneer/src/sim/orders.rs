//! What the operators of simulated worlds order.

use gundo::Payload;

use crate::schema::{Item, OrderEndTrade, OrderGive, Stack, player_order::Order};

/// An order for a player.
pub(super) fn order(chance: u64) -> Vec<u8> {
    let order = if chance.is_multiple_of(4) {
        Order::EndTrade(OrderEndTrade { alone: chance.is_multiple_of(8) })
    } else {
        let stack =
            Some(Stack { item: Item::Wood.into(), count: 1 + (chance >> 8) as u32 % 3, ..Stack::default() });
        Order::Give(OrderGive { stack, reason: "an outage".to_owned() })
    };
    order.to_bytes().into()
}
