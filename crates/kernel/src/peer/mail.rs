//! Messages between entities, on their way between the nodes of the two.

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, WorldTime};

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
