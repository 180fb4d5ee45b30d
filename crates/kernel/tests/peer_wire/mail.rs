//! Messages between entities, of any contents.

use gundo_kernel::{MailMessage, Owes};
use gundo_types::WorldTime;
use proptest::prelude::*;

use super::{entity, node, payload};

pub(crate) fn mail() -> impl Strategy<Value = MailMessage> {
    let owes = (entity(), any::<u64>(), any::<u64>(), any::<u64>(), node(), payload()).prop_map(
        |(from, number, at, generation, node, message)| {
            let at = WorldTime(at);
            MailMessage::Owes(Box::new(Owes { from, number, at, generation, node, message }))
        },
    );
    let took = (entity(), any::<u64>()).prop_map(|(by, number)| MailMessage::Took { by, number });
    prop_oneof![owes, took]
}
