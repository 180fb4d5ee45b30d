//! Events of which the game says that memory is enough at first: a group that has nothing else is committed without waiting for the disk.
//!
//! The order of the journal stays: such an event is never lost while a later one of any stream is kept, and what is flushed later flushes it
//! too. What may be lost with the machine or the server is the end of the journal, of the last moment, and only if nothing after it was
//! flushed. The end of a process loses nothing of it.

use std::collections::BTreeSet;

use gundo_types::Kind;
use gundo_wire::journal::{Batch, EventRecord, EventType};

/// The types of events that need not be flushed before others hear of them: of a kind of entity, the numbers of its events, as in the
/// `oneof` that the event is. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFirst(BTreeSet<(Kind, u32)>);

impl MemoryFirst {
    /// These types.
    pub fn new(types: impl IntoIterator<Item = (Kind, u32)>) -> Self {
        Self(types.into_iter().collect())
    }

    /// Whether all of `batches` may be committed without waiting for the disk. Names, sessions, places and answers never are.
    pub fn has_all(&self, batches: &[Batch]) -> bool {
        !self.0.is_empty() && !batches.is_empty() && batches.iter().all(|batch| self.has(batch))
    }

    fn has(&self, batch: &Batch) -> bool {
        let is_of = |kind: Kind, event: &EventRecord| {
            let number = number_of(&event.payload).filter(|_| event.event_type == EventType::Game);
            number.is_some_and(|number| self.0.contains(&(kind, number)))
        };
        let all = |kind, events: &[EventRecord]| events.iter().all(|event| is_of(kind, event));
        batch.names.is_empty() && batch.streams.iter().all(|stream| all(stream.entity.kind, &stream.events))
    }
}

/// The number of the first field of a message: which one of a `oneof` it is.
fn number_of(message: &[u8]) -> Option<u32> {
    let (mut tag, mut shift) = (0_u64, 0);
    for byte in message.iter().take(5) {
        tag |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return u32::try_from(tag >> 3).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use gundo_types::NodeId;
    use gundo_wire::journal::{NameChange, StreamAppend};

    use super::*;
    use crate::suite::{entity, stream};

    fn batch(streams: Vec<StreamAppend>) -> Batch {
        let (prepared_by, names) = (Vec::new(), Vec::new());
        Batch { id: 1, node: NodeId(1), incarnation: 1, generation: 0, prepared_by, streams, names }
    }

    fn event(id: u64, payload: &'static [u8]) -> StreamAppend {
        let mut append = stream(entity(id), 1, 0, 1);
        append.events[0].payload = payload.into();
        append.events[0].event_type = EventType::Game;
        append
    }

    #[test]
    fn a_group_waits_for_the_disk_if_anything_in_it_must() {
        let kind = entity(1).kind;
        let some = MemoryFirst::new([(kind, 3), (kind, 300)]);
        let light = || batch(vec![event(1, &[3 << 3 | 2, 0])]);
        let long = || batch(vec![event(2, &[0xe2, 0x12, 0])]);
        let other = || batch(vec![event(3, &[4 << 3 | 2, 0])]);
        assert!(some.has_all(&[light(), long()]));
        assert!(!MemoryFirst::default().has_all(&[light()]) && !some.has_all(&[]));
        assert!(!some.has_all(&[light(), other()]), "one of the group must be flushed");
        assert!(!some.has_all(&[batch(vec![event(1, &[3 << 3 | 2, 0]), event(2, &[])])]), "a part of it");
        let mut session = light();
        session.streams[0].events[0].event_type = EventType::Session;
        assert!(!some.has_all(&[session]));
        let mut named = light();
        named.names.push(NameChange { space: "a".into(), name: "b".into(), owner: None });
        assert!(!some.has_all(&[named]));
        assert!(!MemoryFirst::new([(Kind(kind.0 + 1), 3)]).has_all(&[light()]), "of another kind");
        assert_eq!((number_of(&[0x80]), number_of(&[0xff; 9])), (None, None));
    }
}
