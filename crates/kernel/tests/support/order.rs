//! Orders to players: the test game's way for operators to give pebbles out of nothing, or to have a player give some on.

use bytes::Bytes;
use gundo_kernel::game::{Ask, Context, Decision, Done, Ordered, Refusal};
use gundo_kernel::{Input, Order, OrderEnd};
use gundo_types::{EntityId, NodeId};
use gundo_wire::Message;

use super::cluster::Cluster;
use super::game::{BAG_MAX, DEADLY, KILLS, LandReply, PANICS, Player, PlayerEvent};
use super::gift::Gift;

impl Ordered for Player {
    fn read_order(words: &str) -> Result<Gift, String> {
        let n = words.parse().map_err(|_| format!("how many pebbles is a number, not {words:?}"))?;
        Ok(Gift { n, ..Gift::default() })
    }

    fn order(&self, gift: Gift, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        assert_ne!(gift.n, PANICS.unsigned_abs(), "a planted panic in order");
        if gift.n == KILLS.unsigned_abs() {
            DEADLY.set(true);
        }
        if gift.on > 0 {
            let n = gift.n as i32;
            let (event, taken) = (PlayerEvent { gained: -n, ..Default::default() }, self.0.bag as i32 - n);
            let ask = Ask::of::<Self>(gift.on, &Gift { on: 0, ..gift });
            return Ok(ask.then(move |_: &Self, _, _| {
                Ok(Done::new().event(&event).answer_order(&LandReply { taken, near: None }))
            }));
        }
        if self.0.bag + gift.n > BAG_MAX {
            return Err(Refusal::new("bag_full", "That bag is full."));
        }
        let event = PlayerEvent { gained: gift.n as i32, ..Default::default() };
        let answer = LandReply { taken: (self.0.bag + gift.n) as i32, near: None };
        Ok(Done::new().event(&event).answer_order(&answer).into())
    }
}

impl Cluster {
    /// An operator gives a player an order through a node; the number of the request.
    pub fn order(&mut self, node: u16, entity: EntityId, gift: Gift) -> u64 {
        let chance = self.chance(1 << 20);
        let request = Order::request(self.world(), chance);
        self.order_again(node, request, entity, gift);
        request
    }

    /// The same with the number of a request before.
    pub fn order_again(&mut self, node: u16, request: u64, entity: EntityId, gift: Gift) {
        let (by, order) = ("a test".to_owned(), Bytes::from(gift.encode_to_vec()));
        let order = Box::new(Order { request, node: NodeId(0), by, order });
        self.input(NodeId(node), Input::Order { entity, order });
    }

    /// How an order has ended at a node: what its last word was, and its code if it was not done.
    pub fn ended(&self, node: u16, request: u64) -> Option<Result<i32, String>> {
        let all = self.orders.iter().rev();
        all.filter(|(at, of, _)| (*at, *of) == (NodeId(node), request)).map(|(.., end)| words(end)).next()
    }

    /// Waits until an order has ended.
    pub fn wait_for_order(&mut self, node: u16, request: u64) -> Result<i32, String> {
        assert!(self.run_until(25_000, |c| c.ended(node, request).is_some()), "nobody says how it ended");
        self.ended(node, request).expect("it has")
    }
}

fn words(end: &OrderEnd) -> Result<i32, String> {
    match end {
        OrderEnd::Done(answer) => Ok(LandReply::decode(answer.as_ref()).expect("an answer").taken),
        OrderEnd::Refused(refusal) => Err(refusal.code.to_string()),
        OrderEnd::Unsettled(refusal) => Err(format!("unsettled: {}", refusal.code)),
    }
}
