//! Orders, at the entity that gets them. An operator gives one through any node: see `operator`.
//!
//! | step | who | what |
//! | --- | --- | --- |
//! | 1 | the node that the operator asked | sends the order to the entity's home, again and again until it is settled |
//! | 2 | entity | was it taken before? Then it says how it ended. If not, its rule `order` decides, perhaps in a transaction |
//! | 3 | entity | one append has the note how it ended, and what follows; also of a refusal, so that no late copy is done |
//! | 4 | entity | once that is durable, it says so |
//!
//! What is for now (somebody is busy, the journal is slow, the entity is suspended, its rule has failed) leaves no note: the order is
//! *unsettled*. The operator may repeat it with its number. What is durable is in `orders`.

use bytes::Bytes;
use gundo_types::{EntityId, Planted};
use gundo_wire::Message;
use gundo_wire::journal::EventType;

use super::desk::{Cx, Rooms, context};
use super::entity::Entity;
use super::orders::{self, Orders, Seen, cannot_be_ordered, is_for_a_moment, too_old};
use super::pending::Effect;
use super::phase::Phase;
use super::queue::{Command, Ordering, Work};
use super::room::Host;
use super::storage::Room;
use super::trouble::suspended;
use super::vicinity::Vicinity;
use crate::game::{Exists, RawDecision, RawDone, Refusal, Rule, guard};
use crate::peer::{MailMessage, Order, OrderEnd, Peer, Prepared, TxId};

/// Bytes of an answer to an operator. With more, the order is refused with `game_error`.
const ANSWER_BYTES_MAX: usize = 1_024;

/// Whether a refusal leaves no note, so that a later copy of the order may be done.
fn leaves_no_note(refusal: &Refusal) -> bool {
    is_for_a_moment(refusal) || matches!(&*refusal.code, "suspended" | "game_error")
}

impl Entity {
    /// An order has come.
    fn receive_order(&mut self, cx: &mut Cx<'_>, order: Order) {
        let Order { request, node, by, order } = order;
        if !self.queue.has_order(request) {
            let since = cx.core.now.time;
            let command = Command::order(Ordering { request, node, by }, order, since);
            self.submit(cx, Work::Command(command));
        }
    }

    /// Takes an order, if it has not done so before.
    pub(super) fn take_order(&mut self, cx: &mut Cx<'_>, command: Command) {
        let Some(ordering) = command.ordering() else { return };
        let now = cx.core.world_time_from(self.durable.last_at);
        let seen = match &self.durable.orders {
            Some(orders) => orders.see(ordering.request, &command.payload, now),
            None => Orders::default().see(ordering.request, &command.payload, now),
        };
        let twice = cx.core.planted(Planted::OrderTwice);
        let why_not = match seen {
            Seen::New => self.why_no_order(cx),
            Seen::Before(_) if twice => self.why_no_order(cx),
            Seen::Before(end) => {
                let effects = vec![Effect::Ordered { ordering: Box::new(ordering.clone()), end }];
                return self.emit(cx, None, effects);
            }
            Seen::Other => {
                let text = "Another order has that number. Ask for a new one.";
                let end = OrderEnd::Refused(Refusal::new("other_order", text));
                return self.say_ordered(cx, ordering, end);
            }
            Seen::TooOld => Some(too_old()),
            Seen::Full => {
                let text = "It has taken as many orders as it can remember. Try again later.";
                Some(Refusal::new("too_many_orders", text))
            }
        };
        if let Some(refusal) = why_not {
            return self.say_ordered(cx, ordering, OrderEnd::Unsettled(refusal));
        }
        let (order, body) = (command.payload.clone(), self.body.filter(|_| self.is_in_the_world()));
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, (self.id, body, self.durable.last_at), None);
        let decided = guard(self.id, Rule::Order, || self.durable.state().order(&order, &mut rules));
        match self.judge(cx, "order", decided) {
            Err(refusal) => self.refuse(cx, command, refusal),
            Ok(RawDecision::Ask(ask)) => self.begin(cx, command, ask),
            Ok(RawDecision::Done(done)) => self.record_command(cx, command, done, None),
        }
    }

    /// Why it decides no order now.
    fn why_no_order(&self, cx: &Cx<'_>) -> Option<Refusal> {
        if !self.life.is(Phase::Live) {
            return Some(suspended(self.player.is_some()));
        }
        self.refuses_ask(cx, Exists::Yes).or_else(|| no_room(cx.room()))
    }

    /// An order was refused, by its rule or by somebody whom it asked.
    pub(super) fn refuse_order(&mut self, cx: &mut Cx<'_>, command: Command, refusal: Refusal) {
        let Some(ordering) = command.ordering() else { return };
        if leaves_no_note(&refusal) {
            return self.say_ordered(cx, ordering, OrderEnd::Unsettled(refusal));
        }
        if cx.core.planted(Planted::OrderRefusalForgotten) {
            let ordering = Box::new(ordering.clone());
            return self.emit(cx, None, vec![Effect::Ordered { ordering, end: OrderEnd::Refused(refusal) }]);
        }
        if let Some(why) = no_room(cx.room()) {
            return self.say_ordered(cx, ordering, OrderEnd::Unsettled(why));
        }
        if !self.life.is(Phase::Live) {
            // It is sent again.
            return cx.core.note_early();
        }
        self.note_order(cx, command, Err(refusal), RawDone::default(), None);
    }

    /// Makes durable what follows from an order, with the note how it ended.
    pub(super) fn record_order(
        &mut self,
        cx: &mut Cx<'_>,
        command: Command,
        mut done: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let answer = std::mem::take(&mut done.reply);
        if answer.len() > ANSWER_BYTES_MAX {
            if let Some((tx, _)) = tx {
                cx.abort(tx);
            }
            let why = format!("its answer has {} bytes: {ANSWER_BYTES_MAX} at most", answer.len());
            let refusal = cx.core.game_fault(self.id, "order", why);
            return self.refuse_order(cx, command, refusal);
        }
        self.note_order(cx, command, Ok(answer), done, tx);
    }

    fn note_order(
        &mut self,
        cx: &mut Cx<'_>,
        command: Command,
        end: Result<Bytes, Refusal>,
        done: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let Some(ordering) = command.ordering() else { return };
        let now = cx.core.world_time_from(self.durable.last_at);
        let taken = orders::taken(ordering, &command.payload, &end, now);
        let note = (EventType::Ordered, Bytes::from(taken.encode_to_vec()));
        // As every copy gets it.
        let end = orders::end_of(taken);
        let mut then = Some(Effect::Ordered { ordering: Box::new(ordering.clone()), end });
        cx.core.counters.orders_taken += 1;
        if cx.core.planted(Planted::OrderLost) {
            self.release(cx, then.take().into_iter().collect());
        }
        self.record_noted(cx, note, command, done, tx, then);
    }

    /// Says how an order has ended to the node that the operator asked.
    pub(super) fn say_ordered(&self, cx: &mut Cx<'_>, ordering: &Ordering, end: OrderEnd) {
        let message = MailMessage::Ordered { request: ordering.request, end };
        cx.core.send(ordering.node, Peer::Mail { entity: self.id, message });
    }
}

impl Host {
    /// An order for an entity that should be here.
    pub(super) fn on_order(&mut self, rooms: &mut Rooms<'_>, entity: EntityId, order: Order) {
        let (node, request) = (order.node, order.request);
        let unsettled = |refusal| {
            let message = MailMessage::Ordered { request, end: OrderEnd::Unsettled(refusal) };
            Peer::Mail { entity, message }
        };
        if rooms.core.settings.rules.cannot_be_ordered(entity).is_some() {
            return rooms.core.send(node, unsettled(cannot_be_ordered()));
        }
        let roams = entity.kind == rooms.core.settings.rules.player_kind();
        if !roams && rooms.core.home_of(entity) == Some(rooms.core.me()) {
            self.need_at_home(rooms, entity);
        }
        if self.with(rooms, entity, |e, cx| e.receive_order(cx, order)).is_none() {
            let text = "It is on its way to another node. Try again in a moment.";
            rooms.core.send(node, unsettled(Refusal::new("away", text)));
        }
    }
}

/// Why nothing can be recorded now.
fn no_room(room: Room) -> Option<Refusal> {
    match room {
        Room::Open => None,
        Room::Busy => Some(Refusal::new("storage_busy", "The world is slow to save just now.")),
        Room::Full => Some(Refusal::new("storage_full", "The world has no room to save more just now.")),
    }
}
