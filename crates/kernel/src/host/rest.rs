//! Housekeeping, once per second: what nobody looks at falls asleep, what nobody needs is unloaded, and players that have left go.
//!
//! A round looks at every entity. With many it takes several ticks, so that none of them takes long.

use std::ops::Bound;

use gundo_types::EntityId;

use super::desk::Rooms;
use super::phase::Phase;
use super::room::Host;
use super::session::Rest;

/// Entities that a round looks at in one go, if there are not more than a round can take.
const AT_ONCE: usize = 1_024;
/// A round takes so many ticks at most, and one more for each entity that comes meanwhile.
const TICKS: usize = 20;

/// How many of so many entities a round looks at in one go.
pub(super) fn at_once(all: usize) -> usize {
    AT_ONCE.max(all.div_ceil(TICKS))
}

impl Host {
    /// Begins a round, unless one is running.
    pub(crate) fn rest(&mut self, rooms: &mut Rooms<'_>) {
        self.rest_watched(rooms.core.now.time);
        if self.resting.is_none() {
            self.resting = Some(Bound::Unbounded);
            self.rest_some(rooms);
        }
        // Those with work in flight are tried again once per second.
        self.desk.leaving_homes.append(&mut self.desk.busy_homes);
        self.rest_suspended(rooms);
        self.rest_tails(rooms);
        self.following.get_or_insert(Bound::Unbounded);
    }

    /// Goes on with the round.
    pub(super) fn rest_some(&mut self, rooms: &mut Rooms<'_>) {
        let Some(from) = self.resting.take() else { return };
        let most = at_once(self.entities.len());
        let idle_us = rooms.core.world().idle_ms * 1_000;
        let (now, home) = (rooms.core.now.time, rooms.home);
        let (mut idle, mut players, mut looks, mut last) = (Vec::new(), Vec::new(), 0, None);
        let (entities, mut cx) = self.split(rooms);
        for (id, entity) in entities.range_mut((from, Bound::Unbounded)).take(most) {
            (looks, last) = (looks + 1, Some(*id));
            if entity.chunk.is_some_and(|chunk| home.is_observed(chunk)) && entity.may_be_seen() {
                entity.needed = now;
                continue;
            }
            entity.sleep(&mut cx);
            entity.seal_place(&mut cx);
            let rests = entity.is_quiet() && !entity.life.is(Phase::Suspended) && !entity.stays(cx.core);
            if entity.player.is_none() && rests && now.since(entity.needed) > idle_us {
                idle.push(*id);
            } else if let Some(rest) = entity.rests(cx.core) {
                players.push((*id, rest));
            }
        }
        cx.core.note_walk(looks);
        self.resting = last.filter(|_| looks == most).map(Bound::Excluded);
        self.each(rooms, idle, |entity, cx| entity.unload(cx));
        self.rest_players(rooms, players);
    }

    /// Players that may go, go; the places of those that walked far become durable.
    fn rest_players(&mut self, rooms: &mut Rooms<'_>, players: Vec<(EntityId, Rest)>) {
        for (id, rest) in players {
            self.with(rooms, id, |entity, cx| match rest {
                Rest::Leave => entity.leave(cx),
                Rest::Unload => entity.unload(cx),
                Rest::Place => entity.record_place(cx, Vec::new()),
            });
        }
    }
}
