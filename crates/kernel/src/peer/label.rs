//! What a message says about its link.

/// What a message says about its link. A link is what two incarnations have between them, whatever connections carry it.
///
/// The kernel writes it and reads it (room `link`); drivers only carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The sender's incarnation.
    pub from: u64,
    /// The receiver's; 0: whichever it is. Another incarnation takes nothing of it.
    pub to: u64,
    /// How many times the link was reset: after each, both sides begin again.
    pub resets: u32,
    /// The message's number, without gaps from 1; 0: it may be lost.
    pub number: u64,
    /// Of a message without a number: the last number before it, so that the receiver notices what is missing.
    pub after: u64,
    /// Number of the last message from the receiver that has arrived, and all before it.
    pub received: u64,
}
