//! Entities as they are or were, rebuilt from a snapshot and the events after it, as a node does when it loads one.

use gundo_kernel::game::{AnyEntity, Rules};
use gundo_types::{EntityId, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, Loaded, Snapshot};

use super::place::Reading;
use crate::app::Failure;

/// Events read at a time.
const PAGE: usize = 500;

/// An entity at a moment.
pub(super) struct Past {
    /// Its durable state, encoded.
    pub(super) state: Vec<u8>,
    /// The newest of its events until then.
    pub(super) seq: u64,
    /// The world time of that event.
    pub(super) at: WorldTime,
}

/// What the journal says of an entity at a moment.
pub(super) enum Found {
    /// Its state then.
    State(Past),
    /// It did not exist yet: its first event is of this time. `None`: it has never existed.
    NotYet(Option<WorldTime>),
    /// What came before this time was pruned.
    Pruned(WorldTime),
}

/// The entity as it is in the journal now. `None`: it has no event.
pub(super) fn now(reading: &mut Reading, rules: &Rules, entity: EntityId) -> Result<Option<Past>, Failure> {
    let loaded = reading.load(entity)?;
    let Some(Begun { mut then, mut past }) = begin(rules, entity, &loaded)? else { return Ok(None) };
    for (seq, event) in &loaded.events {
        if event.event_type == EventType::Game {
            then.apply(&event.payload)?;
        }
        (past.seq, past.at) = (*seq, event.at);
    }
    past.state = then.snapshot().to_vec();
    Ok(Some(past).filter(|past| past.seq > 0))
}

/// The entity as it was at world time `at`, all events of that moment included.
pub(super) fn at(
    reading: &mut Reading,
    rules: &Rules,
    entity: EntityId,
    at: WorldTime,
) -> Result<Found, Failure> {
    let (mut before, mut oldest) = (u64::MAX, None);
    let loaded = loop {
        let loaded = reading.snapshot(entity, before)?;
        let Some((seq, payload)) = &loaded.snapshot else { break loaded };
        let made = WorldTime(Snapshot::decode(payload.as_ref())?.at);
        if made <= at {
            break loaded;
        }
        (before, oldest) = (*seq, Some(made));
    };
    let first = reading.stream(entity, 0, 1)?;
    if loaded.snapshot.is_none() {
        match first.first() {
            None => return Ok(Found::NotYet(None)),
            Some((1, event)) if event.at > at => return Ok(Found::NotYet(Some(event.at))),
            Some((1, _)) => {}
            Some((_, event)) => return Ok(Found::Pruned(oldest.unwrap_or(event.at))),
        }
    }
    let Some(Begun { mut then, mut past }) = begin(rules, entity, &loaded)? else {
        return Ok(Found::NotYet(None));
    };
    loop {
        let page = reading.stream(entity, past.seq, PAGE)?;
        let full = page.len() == PAGE;
        for (seq, event) in page {
            if event.at > at {
                past.state = then.snapshot().to_vec();
                return Ok(Found::State(past));
            }
            if seq != past.seq + 1 {
                return Err("events were pruned while they were read: try again".into());
            }
            if event.event_type == EventType::Game {
                then.apply(&event.payload)?;
            }
            (past.seq, past.at) = (seq, event.at);
        }
        if !full {
            past.state = then.snapshot().to_vec();
            return Ok(Found::State(past));
        }
    }
}

/// An entity before the events that are to be applied to it.
struct Begun {
    then: Box<dyn AnyEntity>,
    past: Past,
}

/// The entity as of the snapshot, or before its first event. `None`: the game has no such kind.
fn begin(rules: &Rules, entity: EntityId, loaded: &Loaded) -> Result<Option<Begun>, Failure> {
    let Some(kind) = rules.kind_of(entity.kind) else { return Ok(None) };
    let past = Past { state: Vec::new(), seq: 0, at: WorldTime(0) };
    let Some((seq, payload)) = &loaded.snapshot else {
        return Ok(Some(Begun { then: kind.create(entity.id), past }));
    };
    let snapshot = Snapshot::decode(payload.as_ref())?;
    let past = Past { seq: *seq, at: WorldTime(snapshot.at), ..past };
    Ok(Some(Begun { then: kind.restore(entity.id, &snapshot.state)?, past }))
}
