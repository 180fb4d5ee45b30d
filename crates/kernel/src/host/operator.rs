//! Orders that operators give through this node: it sends each to its entity until it is settled, and tells the driver how it ended.
//!
//! Nothing of this is durable. If this node is lost, the operator repeats the order through another one, with its number: then the
//! entity takes it once all the same. See `ordered`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, Time, WorldTime};

use super::desk::Rooms;
use super::ordered::{cannot_be_ordered, is_for_a_moment, too_old};
use super::orders::forgets;
use super::room::Host;
use crate::core::{Core, Timer};
use crate::game::Refusal;
use crate::io::{Output, Size};
use crate::peer::{MailMessage, Order, OrderEnd, Peer};
use crate::retry;

/// Orders that may be under way from one node. Further ones are not sent.
const UNDER_WAY_MAX: usize = 64;
/// How long a node tries to settle an order, ms. Then it is unsettled.
const PATIENCE_MS: u64 = 20_000;
/// Bytes of the name of who gives an order. More is cut off.
const BY_BYTES_MAX: usize = 64;
/// How far the clock of the node that made a request's number may be ahead, ms.
const AHEAD_MS: u64 = 60_000;

/// Orders that are under way from here.
#[derive(Default)]
pub(super) struct Operator {
    running: BTreeMap<u64, Running>,
}

struct Running {
    entity: EntityId,
    order: Order,
    until: Time,
    /// How often it was sent again.
    failures: u8,
    /// Why it was not taken so far.
    why: Option<Refusal>,
}

impl Operator {
    pub(super) fn sizes(&self, sizes: &mut Vec<Size>) {
        sizes.push(Size { what: "orders under way", used: self.running.len(), most: UNDER_WAY_MAX });
    }

    fn send(&self, core: &mut Core, request: u64) {
        let Some(Running { entity, order, .. }) = self.running.get(&request) else { return };
        if let Some(home) = core.home_of(*entity) {
            let message = MailMessage::Order(Box::new(order.clone()));
            core.send(home, Peer::Mail { entity: *entity, message });
        }
    }

    /// Why an order is not sent, if so.
    fn why_not(&self, core: &Core, entity: EntityId, order: &Order) -> Option<OrderEnd> {
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
            return refused("bad_request", "No node of this world has given out that number.");
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

impl Host {
    /// An operator gives an entity an order through this node. While one with this number is under way, the driver gives no other.
    pub(crate) fn on_operator(&mut self, rooms: &mut Rooms<'_>, entity: EntityId, mut order: Order) {
        let request = order.request;
        if self.desk.operator.running.contains_key(&request) {
            return rooms.core.note_nonsense();
        }
        if let Some(end) = self.desk.operator.why_not(rooms.core, entity, &order) {
            return rooms.core.outputs.push_back(Output::Ordered { request, end });
        }
        order.node = rooms.core.me();
        order.by.truncate(order.by.floor_char_boundary(BY_BYTES_MAX));
        let until = rooms.core.now.time.plus_ms(PATIENCE_MS);
        let running = Running { entity, order, until, failures: 0, why: None };
        self.desk.operator.running.insert(request, running);
        self.desk.operator.send(rooms.core, request);
        self.wait_for_order(rooms.core, request);
    }

    fn wait_for_order(&mut self, core: &mut Core, request: u64) {
        let Some(running) = self.desk.operator.running.get_mut(&request) else { return };
        let left_ms = running.until.since(core.now.time) / 1_000;
        let wait_ms = core.retry_ms(retry::ORDER, running.failures).min(left_ms);
        running.failures = running.failures.saturating_add(1);
        core.after_ms(wait_ms, Timer::Order(request));
    }

    /// It has waited: sends the order again, or gives it up.
    pub(super) fn on_order_timer(&mut self, core: &mut Core, request: u64) {
        let Some(running) = self.desk.operator.running.get(&request) else { return };
        if running.until > core.now.time {
            self.desk.operator.send(core, request);
            return self.wait_for_order(core, request);
        }
        let no_answer = || Refusal::new("no_answer", "Nobody has answered for it.");
        let why = running.why.clone().unwrap_or_else(no_answer);
        self.end_order(core, request, OrderEnd::Unsettled(why));
    }

    /// A node says how an order has ended.
    pub(super) fn on_order_end(&mut self, core: &mut Core, entity: EntityId, request: u64, end: OrderEnd) {
        match (self.desk.operator.running.get_mut(&request), end) {
            (Some(running), _) if running.entity != entity => core.note_nonsense(),
            (Some(running), OrderEnd::Unsettled(why)) if is_for_a_moment(&why) => running.why = Some(why),
            (Some(_), end) => self.end_order(core, request, end),
            (None, _) => core.note_stale(),
        }
    }

    fn end_order(&mut self, core: &mut Core, request: u64, end: OrderEnd) {
        self.desk.operator.running.remove(&request);
        core.outputs.push_back(Output::Ordered { request, end });
    }
}
