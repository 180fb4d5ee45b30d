//! Messages of transactions, of any contents.

use gundo_kernel::game::{Actor, Exists};
use gundo_kernel::{Age, Prepared, TxMessage};
use gundo_types::WorldTime;
use gundo_wire::journal::{EventRecord, EventType, NameChange, Outcome, StreamAppend};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{body, entity, node, payload, refusal};

pub(crate) fn transaction() -> impl Strategy<Value = TxMessage> {
    let age = (any::<u64>(), node(), any::<u64>()).prop_map(|(at, node, count)| Age(at, node, count));
    let actor = (entity(), payload(), prop::option::of(body())).prop_map(|(id, public, body)| Actor {
        id,
        public,
        body,
    });
    prop_oneof![
        (age, payload(), actor, any::<bool>(), any::<bool>()).prop_map(
            |(age, ask, actor, creates, alone)| {
                let exists = if creates { Exists::No } else { Exists::Yes };
                TxMessage::Prepare { age, ask, exists, actor, alone }
            }
        ),
        Just(TxMessage::Read),
        proptest::option::of(payload()).prop_map(|public| TxMessage::Seen { public }),
        prepared().prop_map(|prepared| TxMessage::Prepared(Box::new(prepared))),
        refusal().prop_map(TxMessage::Refused),
        Just(TxMessage::Busy),
        Just(TxMessage::Commit),
        any::<bool>().prop_map(|reload| TxMessage::Abort { reload }),
        Just(TxMessage::Fence),
        vec(prepared(), 0..3).prop_map(TxMessage::Conclude),
        prop::sample::select(vec![Outcome::Done, Outcome::Conflict, Outcome::Taken, Outcome::Unknown])
            .prop_map(TxMessage::Concluded),
    ]
}

fn prepared() -> impl Strategy<Value = Prepared> {
    const TYPES: &[EventType] =
        &[EventType::Game, EventType::Fenced, EventType::Session, EventType::Answered, EventType::Placed];
    let event = (any::<u64>(), payload(), prop::sample::select(TYPES), payload()).prop_map(
        |(at, cause, event_type, payload)| EventRecord { at: WorldTime(at), cause, event_type, payload },
    );
    let wake = prop::option::of(any::<u64>().prop_map(WorldTime));
    let stream = (entity(), any::<u64>(), any::<u64>(), vec(event, 0..4), prop::option::of(payload()), wake);
    let stream = stream.prop_map(|(entity, load, after, events, snapshot, wake)| StreamAppend {
        entity,
        load,
        after,
        events,
        snapshot,
        wake,
    });
    let change = (".*", ".*", prop::option::of(entity())).prop_map(|(space, name, owner)| NameChange {
        space,
        name,
        owner,
    });
    (stream, vec(change, 0..3), payload(), any::<u64>(), any::<bool>()).prop_map(
        |(stream, names, reply, incarnation, appends)| Prepared {
            stream,
            names,
            reply,
            incarnation,
            appends,
        },
    )
}
