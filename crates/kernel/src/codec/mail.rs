//! Messages between entities.

use gundo_types::WorldTime;
use gundo_wire::peer::{self as wire, Malformed, mail, needed, node};

use super::is;
use crate::peer::{MailMessage, Owes};

impl From<&MailMessage> for mail::Arrow {
    fn from(message: &MailMessage) -> Self {
        match message {
            MailMessage::Owes(owes) => {
                let Owes { from, number, at, generation, node, message } = &**owes;
                Self::Owes(wire::Owes {
                    sender: is(*from),
                    number: *number,
                    at_ms: at.0,
                    generation: *generation,
                    node: node.0.into(),
                    message: message.clone(),
                })
            }
            MailMessage::Took { by, number } => Self::Took(wire::Took { receiver: is(*by), number: *number }),
        }
    }
}

impl TryFrom<mail::Arrow> for MailMessage {
    type Error = Malformed;

    fn try_from(arrow: mail::Arrow) -> Result<Self, Malformed> {
        Ok(match arrow {
            mail::Arrow::Owes(said) => Self::Owes(Box::new(Owes {
                from: needed(said.sender, "a sender")?,
                number: said.number,
                at: WorldTime(said.at_ms),
                generation: said.generation,
                node: node(said.node)?,
                message: said.message,
            })),
            mail::Arrow::Took(said) => {
                Self::Took { by: needed(said.receiver, "a receiver")?, number: said.number }
            }
        })
    }
}
