//! Messages between entities, on their way between the nodes of the two.

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, WorldTime};

use crate::game::Refusal;

/// What the two entities say to each other.
#[derive(Clone, Debug)]
pub enum MailMessage {
    /// To the receiver: a message that the sender's journal has.
    Owes(Box<Owes>),
    /// To the sender: the receiver's journal has it.
    Took {
        /// The receiver.
        by: EntityId,
        /// The sender's number of the message.
        number: u64,
    },
    /// To the receiver: an operator's order.
    Order(Box<Order>),
    /// To the node that the operator asked: how it has ended. The entity is the one that got the order.
    Ordered {
        /// The request's number.
        request: u64,
        /// How.
        end: OrderEnd,
    },
}

/// An operator's order for an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The request's number: see [`Order::request`].
    pub request: u64,
    /// The node that the operator asked.
    pub node: NodeId,
    /// Who gives it.
    pub by: String,
    /// The game's.
    pub order: Bytes,
}

/// How an order has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderEnd {
    /// It is done, durably: the game's answer.
    Done(Bytes),
    /// It was refused, durably: it had no effect, and never will.
    Refused(Refusal),
    /// It is not known to be taken, for this reason. A copy of it may still be: once. So it may be repeated with its number.
    Unsettled(Refusal),
}

/// The bits of chance in a request's number.
const CHANCE_BITS: u32 = 20;

impl Order {
    /// The number of a request that is made now. `chance`: any random number, so that two requests of one moment differ.
    pub fn request(now: WorldTime, chance: u64) -> u64 {
        now.0 << CHANCE_BITS | chance & ((1 << CHANCE_BITS) - 1)
    }

    /// When the request with this number was made.
    pub fn made_at(request: u64) -> WorldTime {
        WorldTime(request >> CHANCE_BITS)
    }
}

/// A message that is owed.
#[derive(Clone, Debug, PartialEq)]
pub struct Owes {
    /// The sender.
    pub from: EntityId,
    /// The sender's number: each message has a higher one than those before it.
    pub number: u64,
    /// World time of its append.
    pub at: WorldTime,
    /// Of the journal that the sender was read from.
    pub generation: u64,
    /// Where the sender is real.
    pub node: NodeId,
    /// The game's message.
    pub message: Bytes,
}
