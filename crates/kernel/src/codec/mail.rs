//! Messages between entities.

use gundo_types::WorldTime;
use gundo_wire::peer::{self as wire, Malformed, mail, needed, node, ordered};

use super::is;
use crate::game::Refusal;
use crate::peer::{MailMessage, Order, OrderEnd, Owes};

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
            MailMessage::Order(said) => {
                let Order { request, node, by, order } = &**said;
                let (request, node, by) = (*request, node.0.into(), by.clone());
                Self::Order(wire::Order { request, node, by, order: order.clone() })
            }
            MailMessage::Ordered { request, end } => {
                Self::Ordered(wire::Ordered { request: *request, end: Some(end.into()) })
            }
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
            mail::Arrow::Order(said) => {
                let wire::Order { request, node: number, by, order } = said;
                Self::Order(Box::new(Order { request, node: node(number)?, by, order }))
            }
            mail::Arrow::Ordered(said) => {
                let end = said.end.ok_or(Malformed::Unknown)?.into();
                Self::Ordered { request: said.request, end }
            }
        })
    }
}

impl From<&OrderEnd> for ordered::End {
    fn from(end: &OrderEnd) -> Self {
        match end {
            OrderEnd::Done(answer) => Self::Done(answer.clone()),
            OrderEnd::Refused(refusal) => Self::Refused(refusal.into()),
            OrderEnd::Unsettled(refusal) => Self::Unsettled(refusal.into()),
        }
    }
}

impl From<ordered::End> for OrderEnd {
    fn from(end: ordered::End) -> Self {
        match end {
            ordered::End::Done(answer) => Self::Done(answer),
            ordered::End::Refused(refusal) => Self::Refused(Refusal::from(refusal)),
            ordered::End::Unsettled(refusal) => Self::Unsettled(Refusal::from(refusal)),
        }
    }
}
