//! Orders that operators give through this node: it sends each to its entity until it is settled, and tells the driver how it ended.
//!
//! Nothing of this is durable. If this node is lost, the operator repeats the order through another one, with its number: then the
//! entity takes it once all the same. See `ordered`.

use gundo_types::EntityId;

use super::desk::Rooms;
use super::orders::{cut, is_for_a_moment};
use super::room::Host;
use super::underway::{BY_BYTES_MAX, PATIENCE_MS, Running};
use crate::core::{Core, Timer};
use crate::game::Refusal;
use crate::io::Output;
use crate::peer::{Order, OrderEnd};
use crate::retry;

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
        order.by = cut(&order.by, BY_BYTES_MAX);
        let until = rooms.core.now.time.plus_ms(PATIENCE_MS);
        let running = Running { entity, order, until, failures: 0, why: None };
        self.desk.operator.running.insert(request, running);
        self.desk.operator.send(rooms.core, request);
        self.wait_for_order(rooms.core, request);
    }

    fn wait_for_order(&mut self, core: &mut Core, request: u64) {
        let Some(running) = self.desk.operator.running.get_mut(&request) else { return };
        // Rounded up: a timer that rings before the end of the patience would be set for the same moment again, for ever.
        let left_ms = running.until.since(core.now.time).div_ceil(1_000);
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
