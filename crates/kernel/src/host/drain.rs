//! When a player moves to another node, and to which: its real follows its surroundings, and a draining node gives everything
//! away. How it moves: `handoff`.

use std::ops::Bound;

use gundo_types::{ChunkId, EntityId, NodeId};

use super::desk::Rooms;
use super::entity::Entity;
use super::phase::Phase;
use super::rest::at_once;
use super::room::Host;
use crate::core::Core;
use crate::peer::ToEdge;

/// Handoffs from one node at the same time. Other players wait.
const LEAVING_MAX: usize = 64;
/// Players that a draining node looks at in one tick, to find those that may be handed over. It looks at others in the next.
const LOOKS_MAX: usize = 512;
/// How many of the nine chunks around a player must have the same home before it follows them there.
const MOST_OF_NINE: usize = 5;

impl Host {
    /// Right after a tick: starts handoffs to where players should be real. A player that moves now arrives before the next tick
    /// and misses none.
    pub(crate) fn move_on(&mut self, rooms: &mut Rooms<'_>) {
        self.rest_some(rooms);
        self.leave_some_homes(rooms);
        self.leave_some_places(rooms);
        self.drain(rooms);
        self.follow_surroundings(rooms);
    }

    /// Hands over players whose surroundings have long had another node as home. It looks at each once per second, or less often if
    /// there are many.
    fn follow_surroundings(&mut self, rooms: &mut Rooms<'_>) {
        let Some(from) = self.following.take() else { return };
        let after_us = rooms.core.world().follow_after_ms * 1_000;
        if after_us == 0 || rooms.core.stopping || rooms.core.is_draining() {
            return;
        }
        let kind = rooms.core.settings.rules.player_kind();
        let (most, end) = (at_once(self.desk.players), Bound::Included(EntityId::new(kind, u64::MAX)));
        let from = if from == Bound::Unbounded { Bound::Included(EntityId::new(kind, 0)) } else { from };
        let (mut looks, mut last, mut away) = (0, None, Vec::new());
        for (id, entity) in self.entities.range_mut((from, end)).take(most) {
            (looks, last) = (looks + 1, Some(*id));
            away.extend(entity.wants_away(rooms.core, after_us));
        }
        rooms.core.note_walk(looks);
        self.following = last.filter(|_| looks == most).map(Bound::Excluded);
        for (id, there, center) in away {
            if self.desk.departures.len() < LEAVING_MAX && is_surrounded_by(rooms.core, center, there) {
                self.with(rooms, id, |entity, cx| entity.hand_off(cx, there));
            }
        }
    }

    /// Each tick on a draining node: hands players to the homes of their surroundings.
    fn drain(&mut self, rooms: &mut Rooms<'_>) {
        if !rooms.core.is_draining() || rooms.core.stopping {
            return;
        }
        self.let_the_idle_go(rooms);
        let room = LEAVING_MAX.saturating_sub(self.desk.departures.len());
        for (id, center) in self.next_to_go(rooms, room) {
            if let Some(to) = rooms.core.home_of_chunk(center) {
                self.with(rooms, id, |entity, cx| entity.hand_off(cx, to));
            }
        }
    }

    /// The next players that may be handed over, and the chunks at the centres of their surroundings: at most `room`. It looks at
    /// a bounded number of players, from where it stopped last.
    fn next_to_go(&mut self, rooms: &mut Rooms<'_>, room: usize) -> Vec<(EntityId, ChunkId)> {
        let (kind, now) = (rooms.core.settings.rules.player_kind(), rooms.core.now.time);
        let (first, last) = (EntityId::new(kind, 0), EntityId::new(kind, u64::MAX));
        let from = self.drained.unwrap_or(last);
        let after = self.entities.range((Bound::Excluded(from), Bound::Included(last.max(from))));
        let all = after.chain(self.entities.range(first..=from.max(first)));
        let mut going = Vec::new();
        for (id, entity) in all.take(LOOKS_MAX) {
            if going.len() == room {
                break;
            }
            self.drained = Some(*id);
            rooms.core.note_walk(1);
            let player = entity.player.as_ref().filter(|p| p.stays_until <= now);
            if let Some(center) = player.and_then(|p| p.center).filter(|_| entity.life.is(Phase::Live)) {
                going.push((*id, center));
            }
        }
        going
    }

    /// Unloads players that take no work here because their journal is unreadable or their code fails: another node may succeed.
    pub(crate) fn let_the_idle_go(&mut self, rooms: &mut Rooms<'_>) {
        let kind = rooms.core.settings.rules.player_kind();
        let idle: Vec<_> = self.desk.idle.iter().copied().filter(|id| id.kind == kind).collect();
        rooms.core.note_walk(idle.len());
        self.each(rooms, idle, |entity, cx| {
            let line = entity.line();
            // Its client brings it back on another node: nobody is to see it disappear.
            cx.crowd.publisher.linger(entity.id, cx.core.tick());
            entity.let_go(cx);
            if let Some(line) = line {
                entity.tell_edge(cx, line, ToEdge::NotHere);
            }
        });
    }
}

impl Entity {
    /// Where it should follow its surroundings, if another node has long been their home; and the chunk at their centre.
    fn wants_away(&mut self, core: &Core, after_us: u64) -> Option<(EntityId, NodeId, ChunkId)> {
        let (me, now) = (core.me(), core.now.time);
        let player = self.player.as_mut()?;
        let center = player.stands_around()?;
        let there = core.home_of_chunk(center).filter(|home| *home != me);
        let since = player.away.filter(|(node, _)| Some(*node) == there).map_or(now, |(_, since)| since);
        player.away = there.map(|node| (node, since));
        let long = now.since(since) >= after_us;
        let goes = self.life.is(Phase::Live) && long && player.stays_until <= now;
        Some((self.id, there.filter(|_| goes)?, center))
    }
}

fn is_surrounded_by(core: &Core, center: ChunkId, node: NodeId) -> bool {
    let there = center.around(1).filter(|c| core.home_of_chunk(*c) == Some(node));
    there.count() >= MOST_OF_NINE
}
