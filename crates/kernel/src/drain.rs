//! When a player changes its node, and to which: its real follows its surroundings, and a node that is being emptied gives
//! everything away. How it does so: `handoff.rs`.

use gundo_types::{ChunkId, EntityId, NodeId};

use crate::Node;
use crate::host::{Phase, Real};
use crate::peer::ToEdge;

/// Players on their way from one node at the same time. The others wait.
const LEAVING_MAX: usize = 64;
/// Of the nine chunks around a player, how many must have the same home before it follows them there.
const MOST_OF_NINE: usize = 5;
/// Part of its clients that a node which is being emptied sends away per tick, and how many at least.
const SENT_AWAY: (usize, usize) = (32, 4);

impl Node {
    /// Once per second: players whose surroundings have lived on another node for long go there too.
    pub(crate) fn follow_surroundings(&mut self) {
        let after_us = self.core.world().follow_after_ms * 1_000;
        if after_us == 0 || self.core.stopping || self.core.is_draining() {
            return;
        }
        let (me, now) = (self.core.me(), self.core.now.time);
        let mut away = Vec::new();
        for (id, real) in &mut self.hosts.reals {
            let Some(player) = &mut real.player else { continue };
            let Some(center) = player.stands_around() else { continue };
            let there = self.core.home_of_chunk(center).filter(|home| *home != me);
            let since = player.away.filter(|(node, _)| Some(*node) == there).map_or(now, |(_, since)| since);
            player.away = there.map(|node| (node, since));
            if let Some(there) = there
                && real.phase == Phase::Live
                && now.since(since) >= after_us
                && player.stays_until <= now
            {
                away.push((*id, there, center));
            }
        }
        for (id, there, center) in away {
            if self.handoffs.leaving() < LEAVING_MAX && self.is_surrounded_by(center, there) {
                self.hand_off(id, there);
            }
        }
    }

    fn is_surrounded_by(&self, center: ChunkId, node: NodeId) -> bool {
        let there = center.around(1).filter(|c| self.home_of_chunk(*c) == Some(node));
        there.count() >= MOST_OF_NINE
    }

    /// Each tick on a node that is being emptied: players go to where their surroundings live.
    pub(crate) fn drain(&mut self) {
        if !self.core.is_draining() || self.core.stopping {
            return;
        }
        let now = self.core.now.time;
        self.let_the_idle_go();
        let goes = |(id, real): (&EntityId, &Real)| {
            let player = real.player.as_ref()?;
            let may = real.phase == Phase::Live && player.stays_until <= now;
            Some((*id, player.center.filter(|_| may)?))
        };
        let room = LEAVING_MAX.saturating_sub(self.handoffs.leaving());
        let going: Vec<_> = self.hosts.reals.iter().filter_map(goes).take(room).collect();
        for (id, center) in going {
            if let Some(to) = self.home_of_chunk(center) {
                self.hand_off(id, to);
            }
        }
    }

    /// Each tick on a node that is being emptied, once clients have what it tells: who goes now is back before the next, and
    /// misses none.
    pub(crate) fn drain_clients(&mut self) {
        if self.core.is_draining() && !self.core.stopping {
            // Else they would ask for their players here once more.
            self.let_the_idle_go();
            let (part, least) = SENT_AWAY;
            self.send_clients_away((self.sessions.len() / part).max(least));
        }
    }

    /// Players that take no work here, for what the journal holds or what their code does: others may do better with them.
    fn let_the_idle_go(&mut self) {
        let idle = |r: &&Real| r.player.is_some() && matches!(r.phase, Phase::Broken | Phase::Suspended);
        let idle = self.hosts.reals.values().filter(idle);
        let idle: Vec<_> = idle.map(|r| (r.id, r.player.as_ref().and_then(|p| p.line))).collect();
        for (id, line) in idle {
            // Its client brings it back elsewhere: nobody is to see it leave.
            self.publisher.linger(id, self.core.tick());
            self.let_go(id);
            line.into_iter().for_each(|l| self.core.send_edge(l.edge, l.conn, id, ToEdge::NotHere));
        }
    }

    /// Whether nothing is left of a node that was to be emptied, and everybody knows that it takes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.homes.is_open()
            && self.hosts.reals.is_empty()
            && self.hosts.batches.is_empty()
            && self.hosts.fences.is_empty()
            && self.handoffs.len() == 0
            && self.sessions.are_gone()
            && !self.publisher.lingers()
    }
}
