//! Operators' orders: from the request to the node that sends the order, and back with the answer. Who waits for which order at a node,
//! and the last orders for the black box.
//!
//! `POST /admin/orders` gives out a number for a request; it changes nothing. `POST /admin/order/NUMBER/KIND/ID` with the words of the order
//! as its body gives the order. A request that was not answered, or is *unsettled*, can be repeated with its number, at any node: the
//! entity takes it once.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use gundo_edge::{Certified, Role, Urgency};
use gundo_kernel::game::Rules;
use gundo_kernel::{Input, Order, OrderEnd};
use gundo_types::{EntityId, Kind};
use serde::{Deserialize, Serialize};

use crate::admin::{answer, ask, refuse};
use crate::blame::parse_entity;
use crate::clock::wall_ms;
use crate::control::{Control, Refused};
use crate::driver::Link;
use crate::supervisor::Signal;

/// Bytes of an order's words.
const WORDS_BYTES_MAX: usize = 16 << 10;
/// Orders that a black box tells of: the last ones.
const LAST_MAX: usize = 16;
/// Characters of an order in the log and in the black box.
const SHORT: usize = 120;

/// An order that an operator gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAsked {
    /// The number of the request, as [`Control::order_number`] gave it.
    pub request: u64,
    /// The kind of the entity: its name or its number.
    pub kind: String,
    /// The id of the entity, in hexadecimal digits.
    pub id: String,
    /// Who gives the order, in a few words. The entity's journal keeps it.
    pub by: String,
    /// The order, as the game reads it.
    pub words: String,
}

/// How an order has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEnded {
    /// It is done, durably. The game's answer in words.
    Done(String),
    /// It is not known to be done or refused. It can be repeated with its number.
    Unsettled(Refused),
}

/// The answer to `POST /admin/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRequest {
    /// The number, in hexadecimal digits.
    pub request: String,
}

/// The answer to an order that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminOrdered {
    /// The game's answer in words.
    pub answer: String,
}

/// A way for orders: a node of this process that runs.
pub(crate) struct Way {
    pub(crate) link: Arc<Link>,
    pub(crate) rules: Arc<Rules>,
}

impl Control {
    /// A number for a request. Nothing happens yet.
    ///
    /// # Errors
    /// `not_ready`: no node of this process runs; `no_chance`, `stopped`.
    pub fn order_number(&self) -> Result<u64, Refused> {
        let chance = getrandom::u64().map_err(|error| Refused::new("no_chance", error.to_string()))?;
        Ok(Order::request(self.way()?.link.clock.now().world, chance))
    }

    /// Gives an entity an order, and waits until it is settled, or the node has lost patience (20 s).
    ///
    /// # Errors
    /// It was refused, by the game or before it was sent, and has no effect: the game's own codes, `unknown_kind`, `bad_entity`,
    /// `cannot_be_ordered`, `bad_order`, `bad_request`, `other_order`, `under_way`, `not_ready`, `stopped`.
    pub fn order(&self, asked: &OrderAsked) -> Result<OrderEnded, Refused> {
        let way = self.way()?;
        let entity = entity_of(&way.rules, &asked.kind, &asked.id)?;
        let order = read(&way.rules, entity, &asked.words)?;
        let (node, request, by) = (way.link.me.0, asked.request, asked.by.clone());
        let what: String = asked.words.chars().filter(|c| !c.is_control()).take(SHORT).collect();
        let (tx, rx) = channel();
        let line = format!("{} ms: {by}, request {request:x}, to {entity}: {what}", wall_ms());
        if !way.link.orders.begin(request, tx, line) {
            let text = "an order with that number is under way at this node: repeat it in a moment";
            return Err(Refused::new("under_way", text));
        }
        tracing::warn!(node = node.0, %entity, request = %format_args!("{request:x}"), by, what, "an operator gives an order");
        let order = Box::new(Order { request, node, by, order });
        way.link.inbox.give(Input::Order { entity, order }, Urgency::Now);
        let lost = || {
            OrderEnd::Unsettled(gundo_kernel::game::Refusal::new(
                "node_lost",
                "The node that sent it has ended.",
            ))
        };
        let end = rx.recv().unwrap_or_else(|_| lost());
        let ended = words_of(&way.rules, entity, end);
        let end = match &ended {
            Ok(OrderEnded::Done(words)) => format!("done: {words}"),
            Ok(OrderEnded::Unsettled(why)) => format!("unsettled: {} ({})", why.text, why.code),
            Err(refused) => format!("refused: {} ({})", refused.text, refused.code),
        };
        tracing::warn!(node = node.0, %entity, request = %format_args!("{request:x}"), end, "an order has ended");
        ended
    }

    fn way(&self) -> Result<Way, Refused> {
        let (tx, rx) = channel();
        let stopped = || Refused::new("stopped", "this world has ended");
        self.0.send(Signal::Way(tx)).map_err(|_| stopped())?;
        rx.recv().map_err(|_| {
            Refused::new("not_ready", "no node of this process takes orders now: try another one")
        })
    }
}

/// The entity that an operator names.
fn entity_of(rules: &Rules, kind: &str, id: &str) -> Result<EntityId, Refused> {
    let number = kind.parse().ok().map(Kind);
    let found = rules.kinds().find(|(known, any)| any.name() == kind || number == Some(*known));
    let Some((kind, _)) = found else {
        let known: Vec<_> = rules.kinds().map(|(_, any)| any.name()).collect();
        let text = format!("this game has no kind {kind:?}; it has {}", known.join(", "));
        return Err(Refused::new("unknown_kind", text));
    };
    parse_entity(&format!("{}/{id}", kind.0)).ok_or_else(|| {
        Refused::new("bad_entity", format!("an entity is its id in hexadecimal, such as 1f, not {id:?}"))
    })
}

/// The order as bytes. The game reads it, here and not on a logic thread.
fn read(rules: &Rules, entity: EntityId, words: &str) -> Result<body::Bytes, Refused> {
    let cannot = |why: String| Refused::new("cannot_be_ordered", why);
    if let Some(why) = rules.cannot_be_ordered(entity) {
        return Err(cannot(why));
    }
    let kind = rules.kind_of(entity.kind).ok_or_else(|| cannot("there is no such kind".to_owned()))?;
    let read = catch_unwind(AssertUnwindSafe(|| kind.read_order(words)));
    let read = read.map_err(|_| Refused::new("game_error", "the game failed when it read that order"))?;
    read.ok_or_else(|| cannot("this kind takes no orders".to_owned()))?
        .map_err(|text| Refused::new("bad_order", text))
}

/// How an order has ended, in the game's words.
fn words_of(rules: &Rules, entity: EntityId, end: OrderEnd) -> Result<OrderEnded, Refused> {
    match end {
        OrderEnd::Done(answer) => {
            let kind = rules.kind_of(entity.kind);
            let read = catch_unwind(AssertUnwindSafe(|| kind.and_then(|kind| kind.order_answer(&answer))));
            let text = read.ok().flatten();
            Ok(OrderEnded::Done(text.unwrap_or_else(|| format!("(an answer of {} bytes)", answer.len()))))
        }
        OrderEnd::Refused(refusal) => Err(Refused::new(refusal.code, refusal.text)),
        OrderEnd::Unsettled(why) => Ok(OrderEnded::Unsettled(Refused::new(why.code, why.text))),
    }
}

/// The orders of one node.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Here>);

#[derive(Default)]
struct Here {
    /// Who waits for which, by the numbers of the requests.
    waiting: BTreeMap<u64, Sender<OrderEnd>>,
    /// The last orders: when, who, what, and how it ended.
    last: VecDeque<(u64, String)>,
    /// The node has ended.
    over: bool,
}

impl Orders {
    /// An order is about to be given. False: one with this number is under way.
    fn begin(&self, request: u64, waits: Sender<OrderEnd>, line: String) -> bool {
        let mut here = self.here();
        if here.waiting.contains_key(&request) {
            return false;
        }
        // A node that has ended answers nobody: the sender is dropped.
        if !here.over {
            here.waiting.insert(request, waits);
        }
        if here.last.len() == LAST_MAX {
            here.last.pop_front();
        }
        here.last.push_back((request, line));
        true
    }

    /// The node says how an order has ended.
    pub(crate) fn end(&self, request: u64, end: OrderEnd) {
        let mut here = self.here();
        let how = match &end {
            OrderEnd::Done(_) => "done".to_owned(),
            OrderEnd::Refused(refusal) => format!("refused: {}", refusal.code),
            OrderEnd::Unsettled(why) => format!("unsettled: {}", why.code),
        };
        if let Some((_, line)) = here.last.iter_mut().rev().find(|(of, _)| *of == request) {
            *line = format!("{line}: {how}");
        }
        if let Some(waits) = here.waiting.remove(&request) {
            // The operator may be gone.
            let _ = waits.send(end);
        }
    }

    /// The node has ended: nobody waits any more.
    pub(crate) fn close(&self) {
        let mut here = self.here();
        here.over = true;
        here.waiting.clear();
    }

    /// The last orders, oldest first, one in a line.
    pub(crate) fn last(&self) -> Vec<String> {
        self.here().last.iter().map(|(_, line)| line.clone()).collect()
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- HTTP ----------------------------------------------------------------------------------------------

pub(crate) async fn number(State(control): State<Control>) -> Response {
    answer(ask(control, |c| c.order_number()).await, |request| {
        Json(AdminRequest { request: format!("{request:x}") }).into_response()
    })
}

pub(crate) async fn order(
    State(control): State<Control>,
    Path((request, kind, id)): Path<(String, String, String)>,
    asked: Request,
) -> Response {
    let bad = |code: &'static str, text: &str| refuse(StatusCode::NOT_FOUND, &Refused::new(code, text));
    let Ok(request) = u64::from_str_radix(&request, 16) else {
        return bad(
            "bad_request",
            "a request's number has hexadecimal digits: POST /admin/orders gives one out",
        );
    };
    let by = match asked.extensions().get::<Certified>().and_then(|certified| certified.0.clone()) {
        Some(Role::Operator(name)) => format!("the operator {name}"),
        _ => "the admin token".to_owned(),
    };
    let Ok(words) = body::to_bytes(asked.into_body(), WORDS_BYTES_MAX).await else {
        return bad("bad_order", "an order has 16 KiB at most");
    };
    let Ok(words) = String::from_utf8(words.into()) else { return bad("bad_order", "an order is text") };
    let asked = OrderAsked { request, kind, id, by, words };
    answer(ask(control, move |c| c.order(&asked)).await, |ended| match ended {
        OrderEnded::Done(answer) => Json(AdminOrdered { answer }).into_response(),
        OrderEnded::Unsettled(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_one_who_waits() {
        let orders = Orders::default();
        let (tx, rx) = channel();
        assert!(orders.begin(7, tx.clone(), "ada, to 1/7".to_owned()));
        assert!(!orders.begin(7, tx.clone(), "bob".to_owned()), "it is under way");
        orders.end(7, OrderEnd::Done(body::Bytes::new()));
        assert!(rx.try_recv().is_ok());
        assert_eq!(orders.last(), ["ada, to 1/7: done"]);
        for request in 0..40 {
            assert!(orders.begin(request, tx.clone(), format!("order {request}")));
        }
        assert_eq!(orders.last().len(), LAST_MAX);
        drop(tx);
        orders.close();
        assert!(rx.recv().is_err(), "the node has ended, and nobody waits for ever");
        let (tx, rx) = channel();
        assert!(orders.begin(50, tx, "late".to_owned()) && rx.recv().is_err());
    }
}
