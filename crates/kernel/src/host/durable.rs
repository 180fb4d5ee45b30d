//! The durable part of an entity: the game's state and its position in the stream.
//!
//! [`Durable::apply`] is the one way in which an event changes it, live, at restore and at replay. It also applies events that
//! are not durable yet; `append` decides what others may see of them.

use bytes::Bytes;
use gundo_types::{EntityId, WorldTime};
use gundo_wire::journal::{Cause, EventRecord, EventType, Loaded, NEVER, Place, SnapshotParts};
use gundo_wire::{DecodeError, Kept, Message};

use super::orders::Orders;
use super::player::Player;
use super::post::Post;
use super::timers::Timers;
use crate::game::{AnyEntity, AnyKind, Rules};

/// The field that a simulated next version adds: see [`crate::Node::act_newer`].
const LATER_FIELD: u32 = 1_000;

/// The game's state of an entity and its place in the stream.
#[derive(Default)]
pub(super) struct Durable {
    /// `None` before the first load ends.
    state: Option<Box<dyn AnyEntity>>,
    /// Seq of the last event applied.
    pub(super) seq: u64,
    /// Seq of the first event that is more than a fence; 0: there is none. From that one on the entity exists.
    pub(super) created: u64,
    /// Seq of the last event that a written snapshot covers: never above `seq`.
    pub(super) snapshot_seq: u64,
    /// Seq of the last event that is known to be durable.
    pub(super) known: u64,
    /// World time of the last event applied.
    pub(super) last_at: WorldTime,
    /// The generation of the journal that it was read from.
    pub(super) generation: u64,
    /// The newest generation of the events applied, and the seq of the event before its first.
    began: (u64, u64),
    /// Fields of its snapshot that a newer version wrote, and nothing else.
    kept: Kept<SnapshotParts>,
    /// Messages that it owes and has taken; `None`: it never had any.
    pub(super) post: Option<Box<Post>>,
    /// Its timers; `None`: none is set.
    pub(super) timers: Option<Box<Timers>>,
    /// Operators' orders that it has taken; `None`: it never took any.
    pub(super) orders: Option<Box<Orders>>,
}

/// What an entity owes and has taken, and its timers.
type Duties = (Option<Box<Post>>, Option<Box<Timers>>);

/// Whether an event is about messages between entities.
pub(super) fn is_mail(event_type: EventType) -> bool {
    matches!(event_type, EventType::Sent | EventType::Taken | EventType::Delivered)
}

/// Whether an event is about timers.
fn is_timer(event_type: EventType) -> bool {
    matches!(event_type, EventType::TimerSet | EventType::TimerOver)
}

/// Whether an event changes from when on its entity has something to do.
fn changes_wake(event: &EventRecord) -> bool {
    is_timer(event.event_type) || matches!(event.event_type, EventType::Sent | EventType::Delivered)
}

/// From when on an entity with these has something to do.
fn wake(post: Option<&Post>, timers: Option<&Timers>) -> WorldTime {
    post.map_or(NEVER, Post::wake).min(timers.map_or(NEVER, Timers::wake))
}

impl Durable {
    /// The state that the first load gave.
    ///
    /// # Panics
    /// Nothing has been loaded yet: a bug of the caller, for such an entity takes no work.
    pub(super) fn state(&self) -> &dyn AnyEntity {
        self.state.as_deref().expect("a live entity has a state")
    }

    pub(super) fn state_mut(&mut self) -> Option<&mut Box<dyn AnyEntity>> {
        self.state.as_mut()
    }

    pub(super) fn loaded(&self) -> Option<&dyn AnyEntity> {
        self.state.as_deref()
    }

    /// Rebuilds everything from the journal.
    pub(super) fn restore(
        &mut self,
        id: EntityId,
        rules: &Rules,
        mut player: Option<&mut Player>,
        loaded: &Loaded,
    ) -> Result<(), String> {
        let kind = rules.kind_of(id.kind).ok_or("the game has no such kind")?;
        let fault = |e: DecodeError| e.to_string();
        if let Some(player) = player.as_deref_mut() {
            player.forget_records();
        }
        (self.seq, self.snapshot_seq, self.created) = (0, 0, 0);
        (self.generation, self.began) = (loaded.generation, (0, 0));
        self.kept = Kept::default();
        (self.post, self.timers, self.orders) = (None, None, None);
        match &loaded.snapshot {
            None => self.state = Some(kind.create(id.id)),
            Some((seq, payload)) => {
                (self.seq, self.snapshot_seq) = (*seq, *seq);
                self.restore_snapshot(id, kind, player.as_deref_mut(), payload).map_err(fault)?;
            }
        }
        for (seq, record) in &loaded.events {
            if *seq != self.seq + 1 {
                return Err(format!("event {} is missing", self.seq + 1));
            }
            let cause = Cause::decode(record.cause.as_ref()).map_err(fault)?;
            self.apply(player.as_deref_mut(), record.event_type, &record.payload, &cause).map_err(fault)?;
            self.last_at = self.last_at.max(record.at);
        }
        self.known = self.seq;
        Ok(())
    }

    /// Takes over the contents of a snapshot.
    pub(super) fn restore_snapshot(
        &mut self,
        id: EntityId,
        kind: &dyn AnyKind,
        player: Option<&mut Player>,
        payload: &Bytes,
    ) -> Result<(), DecodeError> {
        let snapshot = Kept::<SnapshotParts>::decode(payload.clone())?;
        self.kept = snapshot.with(SnapshotParts::default());
        self.created = 1;
        let snapshot = snapshot.known;
        self.generation = self.generation.max(snapshot.known);
        self.last_at = self.last_at.max(WorldTime(snapshot.at));
        self.began = (snapshot.generation, snapshot.generation_after);
        self.state = Some(kind.restore(id.id, &snapshot.state)?);
        self.post = snapshot.post.as_deref().map(Post::restore).transpose()?.map(Box::new);
        self.timers = snapshot.timers.as_deref().map(Timers::restore).transpose()?.map(Box::new);
        self.orders = snapshot.orders.as_deref().map(Orders::restore).transpose()?.map(Box::new);
        match player {
            Some(player) => player.restore(snapshot),
            None => Ok(()),
        }
    }

    /// The one way in which an event changes an entity: live, at restore and at replay.
    pub(super) fn apply(
        &mut self,
        player: Option<&mut Player>,
        event_type: EventType,
        payload: &[u8],
        cause: &Cause,
    ) -> Result<(), DecodeError> {
        if event_type == EventType::Game {
            self.state.as_mut().expect("a loaded entity has a state").apply(payload)?;
        }
        if let Some(player) = player {
            player.apply(event_type, payload, cause)?;
        }
        if is_mail(event_type) {
            self.post.get_or_insert_default().apply(event_type, payload, self.seq + 1)?;
        }
        if is_timer(event_type) {
            Timers::apply(&mut self.timers, event_type, payload)?;
        }
        Orders::apply(&mut self.orders, event_type, payload)?;
        if cause.generation > self.began.0 {
            self.began = (cause.generation, self.seq);
        }
        self.seq += 1;
        if self.created == 0 && event_type != EventType::Fenced {
            self.created = self.seq;
        }
        assert!(self.seq > self.snapshot_seq, "events follow the snapshot");
        Ok(())
    }

    /// Adds fields as a later version would.
    pub(super) fn add_later_fields(&mut self, id: EntityId, player: Option<&mut Player>) {
        self.kept.add_unknown(LATER_FIELD, id.id);
        if let Some(player) = player {
            player.add_later_fields(LATER_FIELD, id.id);
        }
    }

    /// From when on the entity has something to do once these events are there; `None`: they change nothing about that.
    pub(super) fn wake_after(&self, events: &[EventRecord]) -> Option<WorldTime> {
        let changed = events.iter().any(changes_wake);
        changed.then(|| wake(self.post.as_deref(), self.timers.as_deref()))
    }

    /// The same for events that are not applied yet.
    pub(super) fn wake_with(&self, events: &[EventRecord]) -> Option<WorldTime> {
        events.iter().any(changes_wake).then(|| {
            let (post, timers) = self.duties_after(events);
            wake(post.as_deref(), timers.as_deref())
        })
    }

    /// What it has to do once these events are there as well.
    pub(super) fn duties_after(&self, events: &[EventRecord]) -> Duties {
        let (mut post, mut timers) = (self.post.clone(), self.timers.clone());
        for event in events {
            // They have just been encoded.
            if is_mail(event.event_type) {
                let _ = post.get_or_insert_default().apply(event.event_type, &event.payload, self.seq);
            }
            let _ = Timers::apply(&mut timers, event.event_type, &event.payload);
        }
        (post, timers)
    }

    /// Whether a snapshot is due once `more` events have been applied.
    pub(super) fn snapshot_is_due(&self, more: u64, every: u64) -> bool {
        assert!(self.snapshot_seq <= self.seq, "a snapshot covers applied events only");
        self.seq + more - self.snapshot_seq >= every
    }

    /// The whole durable state: the game's and the engine's.
    pub(super) fn snapshot(&self, player: Option<&Player>) -> Bytes {
        let player = player.map(|player| (player, None));
        let duties = (self.post.as_deref(), self.timers.as_deref());
        self.snapshot_of(self.state().snapshot(), self.last_at, player, duties)
    }

    /// The whole durable state, for another node: it says of which generation of the journal it is.
    pub(super) fn image(&self, player: &Player) -> Bytes {
        let mut parts = self.parts(self.state().snapshot(), self.last_at, Some(player));
        parts.known = self.generation;
        self.kept.with(parts).encode()
    }

    /// A snapshot with this game state, and of a player with this place, if it is not the recorded one.
    pub(super) fn snapshot_of(
        &self,
        state: Bytes,
        at: WorldTime,
        player: Option<(&Player, Option<Place>)>,
        (post, timers): (Option<&Post>, Option<&Timers>),
    ) -> Bytes {
        let mut parts = self.parts(state, at, player.map(|(player, _)| player));
        (parts.post, parts.timers) = (post.map(Post::store), timers.map(Timers::store));
        if let Some(place) = player.and_then(|(_, place)| place) {
            parts.place = Some(Kept::from(place).encode());
        }
        let bytes = self.kept.with(parts).encode();
        assert!(self.seq == 0 || self.state.is_some(), "an entity with events has a state");
        bytes
    }

    fn parts(&self, state: Bytes, at: WorldTime, player: Option<&Player>) -> SnapshotParts {
        let (generation, generation_after) = self.began;
        let mut snapshot =
            SnapshotParts { state, at: at.0, generation, generation_after, ..Default::default() };
        snapshot.post = self.post.as_ref().map(|post| post.store());
        snapshot.timers = self.timers.as_ref().map(|timers| timers.store());
        snapshot.orders = self.orders.as_ref().map(|orders| orders.store());
        if let Some(player) = player {
            player.snapshot_into(&mut snapshot);
        }
        snapshot
    }
}
