//! All entities that are real here, and access to each.

use std::collections::BTreeMap;
use std::ops::Bound;

use gundo_types::EntityId;

use super::arriving::Arrivals;
use super::desk::{Cx, Desk, Rooms};
use super::entity::Entity;
use super::phase::Phase;
use crate::core::Core;
#[cfg(feature = "planted")]
use crate::peer::TxId;

/// The entities that are real here, and what they share.
#[derive(Default)]
pub(crate) struct Host {
    pub(super) entities: BTreeMap<EntityId, Box<Entity>>,
    pub(super) desk: Desk,
    /// Players that arrive by a handoff.
    pub(super) arrivals: Arrivals,
    /// Where this round of housekeeping goes on, if it is not complete.
    pub(super) resting: Option<Bound<EntityId>>,
    /// Where the host goes on to check which players should follow their surroundings: right after a tick.
    pub(super) following: Option<Bound<EntityId>>,
    /// The player that a drain looked at last: it goes on behind that one.
    pub(super) drained: Option<EntityId>,
    /// An entity that was not quiet when the host last looked.
    pub(super) busy: Option<EntityId>,
}

impl Host {
    pub(crate) fn holds(&self, id: EntityId) -> bool {
        self.entities.contains_key(&id)
    }

    /// What an entity is doing, as the table of coverage names it.
    #[cfg(feature = "planted")]
    pub(crate) fn doing(&self, id: EntityId) -> &'static str {
        let absent = if self.arrivals.has(id) { "arriving" } else { "absent" };
        self.phase_of(id).map_or(absent, Phase::name)
    }

    /// Whose append that is, and whether it is a fence.
    #[cfg(feature = "planted")]
    pub(crate) fn append_of(&self, batch: u64) -> Option<(EntityId, bool)> {
        self.desk.appends.of(batch)
    }

    /// What a participant of a transaction is doing.
    #[cfg(feature = "planted")]
    pub(crate) fn part_in(&self, tx: TxId, id: EntityId) -> &'static str {
        let Some(entity) = self.entities.get(&id) else { return "absent" };
        let free = if entity.life.is(Phase::Live) { "free" } else { "not live" };
        entity.lock.as_ref().map_or(free, |lock| lock.doing(tx))
    }

    /// What a transaction coordinated here is doing.
    #[cfg(feature = "planted")]
    pub(crate) fn coordinates(&self, tx: TxId) -> &'static str {
        self.desk.txs.doing(tx)
    }

    pub(super) fn phase_of(&self, id: EntityId) -> Option<Phase> {
        self.entities.get(&id).map(|entity| entity.phase())
    }

    pub(super) fn split<'a>(
        &'a mut self,
        rooms: &'a mut Rooms<'_>,
    ) -> (&'a mut BTreeMap<EntityId, Box<Entity>>, Cx<'a>) {
        let cx = Cx { core: rooms.core, crowd: rooms.crowd, desk: &mut self.desk };
        (&mut self.entities, cx)
    }

    /// Has an entity do something, and forgets it if that unloads it. `None`: it is not here.
    pub(super) fn with<R>(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        act: impl FnOnce(&mut Entity, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let (entities, mut cx) = self.split(rooms);
        let entity = entities.get_mut(&id)?;
        assert!(entity.id == id && !entity.is_gone(), "{id}: only entities that are here are found");
        let done = act(entity, &mut cx);
        if matches!(entity.phase(), Phase::Broken | Phase::Suspended) != entity.idle {
            entity.idle = !entity.idle;
            if entity.idle {
                cx.desk.idle.insert(id)
            } else {
                cx.desk.idle.remove(&id)
            };
        }
        if entity.is_gone() {
            assert!(entity.player.is_none() || cx.desk.players > 0, "a player here was counted");
            cx.desk.players -= usize::from(entity.player.is_some());
            cx.desk.idle.remove(&id);
            entities.remove(&id);
        }
        Some(done)
    }

    /// The same for a message. It is stale if the entity was unloaded after it was sent.
    pub(super) fn tell(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        act: impl FnOnce(&mut Entity, &mut Cx<'_>),
    ) {
        if self.with(rooms, id, act).is_none() {
            rooms.core.note_stale();
        }
    }

    /// The same for each of `ids`, in order, if it is still here then.
    pub(super) fn each(
        &mut self,
        rooms: &mut Rooms<'_>,
        ids: impl IntoIterator<Item = EntityId>,
        mut act: impl FnMut(&mut Entity, &mut Cx<'_>),
    ) {
        for id in ids {
            self.with(rooms, id, &mut act);
        }
    }

    pub(super) fn insert(&mut self, entity: Box<Entity>) {
        self.desk.players += usize::from(entity.player.is_some());
        let before = self.entities.insert(entity.id, entity);
        assert!(before.is_none(), "an entity is real once");
    }

    /// The entities for which `is` is true, in id order. It looks at all of them.
    pub(super) fn those(&self, core: &mut Core, is: impl Fn(&Core, &Entity) -> bool) -> Vec<EntityId> {
        core.note_walk(self.entities.len());
        self.entities.values().filter(|e| is(core, e)).map(|e| e.id).collect()
    }
}
