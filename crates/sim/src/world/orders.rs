//! Operators: they give entities orders through any node, and repeat them with their numbers: when nobody has answered, when an order is
//! not settled, and now and then although it is. The judge compares what they hear with what lands.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_kernel::{Input, Order, OrderEnd};
use gundo_types::EntityId;

use super::{Flight, Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::story::{About, short};

/// An operator repeats an order after at most this time, µs: mostly before the node has lost patience.
const REPEATS_US: u64 = 9_000_000;
/// A settled order is repeated once more with this chance, of ten.
const REPEATED: u64 = 4;

/// What operators have ordered, by the numbers of the requests.
pub(super) type Orders = BTreeMap<u64, Ordered>;

/// An order.
pub(super) struct Ordered {
    entity: EntityId,
    order: Bytes,
    /// Nodes that were asked and have not answered.
    waits: Vec<Key>,
    settled: bool,
    repeats: bool,
    tries: u32,
    /// Why it is not settled.
    why: String,
}

impl World {
    /// An operator gives somebody an order. False: the game has none for that one.
    pub(super) fn order_something(&mut self) -> bool {
        let (people, others) = (self.people.len() as u64, self.judge.known() as u64);
        let which = self.wrong.below(people + others.min(people)) as usize;
        let entity = match which.checked_sub(self.people.len()) {
            None => self.people[which].id,
            Some(_) => self.judge.nth_known(self.wrong.below(others) as usize),
        };
        let Some(entity) = entity else { return false };
        let Some(order) = self.game.order(entity, self.wrong.next_u64()) else { return false };
        let request = Order::request(self.world_time(), self.wrong.next_u64());
        let repeats = self.wrong.below(10) < REPEATED;
        let (waits, why) = (Vec::new(), "nobody has answered".to_owned());
        let ordered = Ordered { entity, order, waits, settled: false, repeats, tries: 0, why };
        self.orders.insert(request, ordered);
        self.give_order(request);
        true
    }

    /// Gives an order, or repeats it, through some node, unless that has it under way.
    pub(super) fn give_order(&mut self, request: u64) {
        let key = self.some_node();
        let Some(ordered) = self.orders.get_mut(&request) else { return };
        if ordered.settled && !std::mem::take(&mut ordered.repeats) {
            return;
        }
        let (entity, order) = (ordered.entity, ordered.order.clone());
        let gives = self.nodes.contains_key(&key) && !ordered.waits.contains(&key);
        if gives {
            ordered.waits.push(key);
            ordered.tries += 1;
        }
        let after = 1 + self.wrong.below(REPEATS_US);
        self.fly(after, Flight::OrderAgain(request));
        if gives {
            let name = self.judge.name(entity);
            self.story.tell(self.now, About::node(key.node), || {
                format!("n{}: order {request:x} for {name}", key.node)
            });
            let order =
                Order { request, node: gundo_types::NodeId(key.node), by: "an operator".to_owned(), order };
            self.input(key, Input::Order { entity, order: Box::new(order) });
        }
    }

    /// A node says how an order has ended.
    pub(super) fn on_ordered(&mut self, key: Key, request: u64, end: &OrderEnd) {
        let name = || format!("n{}: order {request:x} has ended: {}", key.node, short(end));
        self.story.tell(self.now, About::node(key.node), name);
        let Some(ordered) = self.orders.get_mut(&request) else {
            let text = format!("n{} says how order {request:x} has ended, which nobody has given", key.node);
            return self.rule(violated(Guarantee::G5, text));
        };
        ordered.waits.retain(|asked| *asked != key);
        match end {
            OrderEnd::Done(_) | OrderEnd::Refused(_) => ordered.settled = true,
            OrderEnd::Unsettled(why) => ordered.why = why.code.to_string(),
        }
        let verdict = self.judge.heard_of_order(ordered.entity, request, end);
        self.rule(verdict);
    }

    /// Once everything has healed, every order is settled, unless the one that it is for does not work.
    pub(crate) fn check_orders(&self) -> Verdict {
        let open = |(_, ordered): &(&u64, &Ordered)| {
            !ordered.settled
                && !matches!(&*ordered.why, "suspended" | "no_such_entity" | "game_error" | "too_many_orders")
        };
        match self.orders.iter().find(open) {
            None => Ok(()),
            Some((request, ordered)) => {
                let name = self.judge.name(ordered.entity);
                let text = format!(
                    "order {request:x} for {name} is not settled after {} tries: {}",
                    ordered.tries, ordered.why
                );
                violated(Guarantee::G10, text)
            }
        }
    }
}
