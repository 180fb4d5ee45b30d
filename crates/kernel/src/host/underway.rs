//! The orders that operators have given through this node and that have not ended: plain values. Who sends them is in `operator`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, Time, WorldTime};

use super::orders::{cannot_be_ordered, forgets, too_old};
use crate::core::Core;
use crate::game::Refusal;
use crate::io::Size;
use crate::peer::{MailMessage, Order, OrderEnd, Peer};

/// Orders that may be under way from one node. Further ones are not sent.
const UNDER_WAY_MAX: usize = 64;
/// How long a node tries to settle an order, ms. Then it is unsettled.
pub(super) const PATIENCE_MS: u64 = 20_000;
/// Bytes of the name of who gives an order. More is cut off.
pub(super) const BY_BYTES_MAX: usize = 64;
/// How far the clock of the node that made a request's number may be ahead, ms.
const AHEAD_MS: u64 = 60_000;

/// All of them.
#[derive(Default)]
pub(super) struct Operator {
    pub(super) running: BTreeMap<u64, Running>,
}

/// One of them.
pub(super) struct Running {
    pub(super) entity: EntityId,
    pub(super) order: Order,
    pub(super) until: Time,
    /// How often it was sent again.
    pub(super) failures: u8,
    /// Why it was not taken so far.
    pub(super) why: Option<Refusal>,
}

impl Operator {
    /// How full it is.
    pub(super) fn sizes(&self, sizes: &mut Vec<Size>) {
        sizes.push(Size { what: "orders under way", used: self.running.len(), most: UNDER_WAY_MAX });
    }

    /// Sends an order to the home of its entity.
    pub(super) fn send(&self, core: &mut Core, request: u64) {
        let Some(Running { entity, order, .. }) = self.running.get(&request) else { return };
        if let Some(home) = core.home_of(*entity) {
            let message = MailMessage::Order(Box::new(order.clone()));
            core.send(home, Peer::Mail { entity: *entity, message });
        }
    }

    /// Why an order is not sent, if so.
    pub(super) fn why_not(&self, core: &Core, entity: EntityId, order: &Order) -> Option<OrderEnd> {
        let (made, now) = (Order::made_at(order.request), core.now.world);
        let refused = |code, text| Some(OrderEnd::Refused(Refusal::new(code, text)));
        let unsettled = |code, text| Some(OrderEnd::Unsettled(Refusal::new(code, text)));
        if let Some(why) = core.settings.rules.cannot_be_ordered(entity) {
            let Refusal { code, .. } = cannot_be_ordered();
            return Some(OrderEnd::Refused(Refusal::new(code, why)));
        }
        if order.order.len() > core.world().limits.public_bytes_max {
            return refused("bad_order", "That order is too long.");
        }
        if made > WorldTime(now.0 + AHEAD_MS) {
            // Or the clock of this node is behind, and the order was done by way of another one.
            return unsettled("bad_request", "No node of this world can have given out that number yet.");
        }
        if made <= forgets(now) {
            return Some(OrderEnd::Unsettled(too_old()));
        }
        if core.stopping || core.is_draining() {
            return unsettled("stopping", "This node is about to end. Try again through another one.");
        }
        if self.running.len() >= UNDER_WAY_MAX {
            return unsettled("too_many_orders", "Too many orders are under way. Try again in a moment.");
        }
        None
    }
}
