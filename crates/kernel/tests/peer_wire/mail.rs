//! Messages between entities, of any contents.

use gundo_kernel::{MailMessage, Order, OrderEnd, Owes};
use gundo_types::WorldTime;
use proptest::prelude::*;

use super::{entity, node, payload, refusal};

pub(crate) fn mail() -> impl Strategy<Value = MailMessage> {
    let owes = (entity(), any::<u64>(), any::<u64>(), any::<u64>(), node(), payload()).prop_map(
        |(from, number, at, generation, node, message)| {
            let at = WorldTime(at);
            MailMessage::Owes(Box::new(Owes { from, number, at, generation, node, message }))
        },
    );
    let took = (entity(), any::<u64>()).prop_map(|(by, number)| MailMessage::Took { by, number });
    let order = (any::<u64>(), node(), ".{0,20}", payload()).prop_map(|(request, node, by, order)| {
        MailMessage::Order(Box::new(Order { request, node, by, order }))
    });
    let end = prop_oneof![
        payload().prop_map(OrderEnd::Done),
        refusal().prop_map(OrderEnd::Refused),
        refusal().prop_map(OrderEnd::Unsettled),
    ];
    let ordered = (any::<u64>(), end).prop_map(|(request, end)| MailMessage::Ordered { request, end });
    prop_oneof![owes, took, order, ordered]
}
