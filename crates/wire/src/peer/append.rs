//! Appends on the wire: a participant's part in `Prepared`, and whole batches.

use bytes::Bytes;
use gundo_types::WorldTime;
use prost::Message;

use super::{BATCH_BYTES_MAX, Batch, Event, Malformed, NameChange, StreamAppend, TooLarge};
use super::{all, maybe, needed, node, within};
use crate::journal;

impl journal::Batch {
    /// Its bytes.
    ///
    /// # Errors
    /// There are more than [`BATCH_BYTES_MAX`].
    pub fn encode(&self) -> Result<Bytes, TooLarge> {
        let batch = Batch::from(self);
        within("Batch", batch.encoded_len(), BATCH_BYTES_MAX)?;
        Ok(batch.encode_to_vec().into())
    }

    /// Reads a batch. Its payloads share `bytes`.
    ///
    /// # Errors
    /// The bytes are not a batch.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        within("Batch", bytes.len(), BATCH_BYTES_MAX)?;
        Batch::decode(bytes)?.try_into()
    }
}

impl From<&journal::Batch> for Batch {
    fn from(batch: &journal::Batch) -> Self {
        let journal::Batch { id, node, incarnation, generation, prepared_by, streams, names } = batch;
        Self {
            id: *id,
            node: node.0.into(),
            incarnation: *incarnation,
            generation: *generation,
            prepared_by: prepared_by.clone(),
            streams: streams.iter().map(Into::into).collect(),
            names: names.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<Batch> for journal::Batch {
    type Error = Malformed;

    fn try_from(batch: Batch) -> Result<Self, Malformed> {
        let Batch { id, node: number, incarnation, generation, prepared_by, streams, names } = batch;
        let (streams, names) = (all(streams)?, all(names)?);
        Ok(Self { id, node: node(number)?, incarnation, generation, prepared_by, streams, names })
    }
}

impl From<&journal::StreamAppend> for StreamAppend {
    fn from(stream: &journal::StreamAppend) -> Self {
        let journal::StreamAppend { entity, load, after, events, snapshot, wake } = stream;
        Self {
            entity: Some((*entity).into()),
            load: *load,
            after: *after,
            events: events.iter().map(Into::into).collect(),
            snapshot: snapshot.clone(),
            wake_ms: wake.map(|at| at.0),
        }
    }
}

impl TryFrom<StreamAppend> for journal::StreamAppend {
    type Error = Malformed;

    fn try_from(stream: StreamAppend) -> Result<Self, Malformed> {
        let StreamAppend { entity, load, after, events, snapshot, wake_ms } = stream;
        let (entity, events, wake) =
            (needed(entity, "a stream's entity")?, all(events)?, wake_ms.map(WorldTime));
        Ok(Self { entity, load, after, events, snapshot, wake })
    }
}

impl From<&journal::EventRecord> for Event {
    fn from(event: &journal::EventRecord) -> Self {
        let journal::EventRecord { at, cause, event_type, payload } = event;
        Self {
            at_ms: at.0,
            cause: cause.clone(),
            r#type: u32::from(*event_type as u8),
            payload: payload.clone(),
        }
    }
}

impl TryFrom<Event> for journal::EventRecord {
    type Error = Malformed;

    fn try_from(event: Event) -> Result<Self, Malformed> {
        let Event { at_ms, cause, r#type, payload } = event;
        let event_type = u8::try_from(r#type).ok().and_then(journal::EventType::from_u8);
        let event_type = event_type.ok_or(Malformed::OutOfRange("an event's type"))?;
        Ok(Self { at: WorldTime(at_ms), cause, event_type, payload })
    }
}

impl From<&journal::NameChange> for NameChange {
    fn from(change: &journal::NameChange) -> Self {
        let journal::NameChange { space, name, owner } = change;
        Self { space: space.clone(), name: name.clone(), owner: owner.map(Into::into) }
    }
}

impl TryFrom<NameChange> for journal::NameChange {
    type Error = Malformed;

    fn try_from(change: NameChange) -> Result<Self, Malformed> {
        let NameChange { space, name, owner } = change;
        Ok(Self { space, name, owner: maybe(owner)? })
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::{EntityId, Kind, NodeId};

    use super::*;
    use crate::journal::EventType;

    fn batch() -> journal::Batch {
        let entity = EntityId::new(Kind(2), 7);
        let event = |event_type, payload: &'static str| journal::EventRecord {
            at: WorldTime(86_400_000),
            cause: Bytes::from_static(b"because"),
            event_type,
            payload: payload.into(),
        };
        let events = vec![event(EventType::Game, "felled"), event(EventType::Placed, "")];
        let snapshot = Some(Bytes::from_static(b"a forest"));
        let stream = journal::StreamAppend {
            entity,
            load: 1 << 33,
            after: 16,
            events,
            snapshot,
            wake: Some(WorldTime(7)),
        };
        let none = journal::StreamAppend { events: Vec::new(), snapshot: None, wake: None, ..stream.clone() };
        let name = |owner| journal::NameChange { space: "player".into(), name: "ada".into(), owner };
        journal::Batch {
            id: 5,
            node: NodeId(3),
            incarnation: 12,
            generation: 1_700_000_000_000,
            prepared_by: vec![11, 12],
            streams: vec![stream, none],
            names: vec![name(Some(entity)), name(None)],
        }
    }

    #[test]
    fn a_batch_is_the_same_on_the_other_side() {
        let bytes = batch().encode().expect("a small one");
        let back = journal::Batch::decode(bytes.clone()).expect("a batch");
        assert_eq!(back, batch());
        // The payloads are where they were.
        let lies_within = bytes.as_ptr_range().contains(&back.streams[0].events[0].payload.as_ptr());
        assert!(lies_within, "a payload was copied");
    }

    #[test]
    fn what_is_no_batch_is_an_error() {
        let mut wire = Batch::from(&batch());
        wire.streams[0].events[0].r#type = 200;
        assert_eq!(journal::Batch::try_from(wire), Err(Malformed::OutOfRange("an event's type")));
        let mut wire = Batch::from(&batch());
        wire.streams[1].entity = None;
        assert_eq!(journal::Batch::try_from(wire), Err(Malformed::Missing("a stream's entity")));
        let huge = Bytes::from(vec![0; BATCH_BYTES_MAX + 1]);
        assert!(matches!(journal::Batch::decode(huge), Err(Malformed::TooLarge(_))));
        let mut large = batch();
        large.streams[0].events[0].payload = vec![0; BATCH_BYTES_MAX].into();
        assert!(large.encode().is_err());
    }
}
