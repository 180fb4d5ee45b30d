//! Watched entities at home here: when their watchers get news, and who may watch them.
//!
//! An edge gets its answer as soon as the entity can be shown, and changes at the next tick, at most once per tick. Before each
//! message the entity judges which of the players may watch it ([`Entity::judge_watchers`]). Like every effect, the message is
//! delayed until everything that the judgement depends on is durable. The registrations are in `watchers`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, NodeId, Time};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::pending::{Effect, Judgement};
use super::phase::Phase;
use super::room::Host;
use crate::game::{Rule, guard};
use crate::peer::{HomeMessage, WatchRefused};

impl Entity {
    /// Asks the entity which of its watchers may see it, and tells them once all of that is durable.
    fn judge_watchers(&mut self, cx: &mut Cx<'_>) {
        let state = self.durable.state();
        let (mut refused, mut failed) = (BTreeMap::new(), false);
        for player in cx.desk.watchers.of(self.id).flat_map(|(_, _, players)| players) {
            let may = guard(self.id, Rule::MayWatch, || state.may_watch(*player));
            failed |= may.is_err();
            if !may.unwrap_or(false) {
                refused.insert(*player, WatchRefused::NotAllowed);
            }
        }
        let asked = cx.desk.watchers.of(self.id).map(|(node, number, _)| (node, number)).collect();
        self.emit(cx, None, vec![Effect::Watched(Judgement { asked, refused })]);
        if failed {
            self.on_game_panic(cx, "may_watch");
        }
    }

    /// Sends a judgement: everything it depends on is durable.
    pub(super) fn tell_watchers(&self, cx: &mut Cx<'_>, judgement: &Judgement) {
        cx.desk.watchers.tell(cx.core, self.id, self.public.clone(), judgement);
    }

    /// Whether nothing has happened to it and it is not there without that either.
    fn awaits_creation(&self, cx: &Cx<'_>) -> bool {
        let kind = cx.core.settings.rules.kind_of(self.id.kind);
        self.durable.created == 0 && !kind.is_some_and(|kind| kind.asking_creates())
    }

    /// Answers the edges that wait, if it can be shown or never will be.
    fn answer_watchers(&mut self, cx: &mut Cx<'_>) {
        if !cx.desk.watchers.has(self.id) {
            return;
        }
        match self.phase() {
            // Somebody is about to create it: then they get their answer at the next tick.
            Phase::Live if self.awaits_creation(cx) && !self.is_settled() => cx.desk.watchers.mark(self.id),
            Phase::Live if self.awaits_creation(cx) => {
                cx.desk.watchers.refuse(cx.core, self.id, WatchRefused::NoSuchEntity, true);
                // It was loaded only to find that out.
                self.unload(cx);
            }
            Phase::Live => self.judge_watchers(cx),
            Phase::Broken | Phase::Suspended => {
                cx.desk.watchers.refuse(cx.core, self.id, WatchRefused::NotReady, false);
            }
            // They get their answer when it has loaded.
            _ => {}
        }
    }
}

impl Host {
    /// Players at an edge watch an entity whose home is this node. `by`: the edge, and the number of its registration.
    pub(crate) fn on_watch(
        &mut self,
        rooms: &mut Rooms<'_>,
        by: (NodeId, u64),
        entity: EntityId,
        players: Vec<EntityId>,
        seen: u64,
    ) {
        let (from, asked) = by;
        if rooms.core.home_of(entity) != Some(rooms.core.me()) {
            return rooms.core.note_nonsense();
        }
        if players.is_empty() {
            return self.desk.watchers.forget_node(entity, from);
        }
        let (beyond, why) = if rooms.core.settings.rules.cannot_read(&[entity], 0).is_some() {
            (players, WatchRefused::NoSuchEntity)
        } else {
            let bounds = (rooms.core.now.time, rooms.core.world().limits.watchers_max);
            (self.desk.watchers.register(by, entity, players, seen, bounds), WatchRefused::TooMany)
        };
        if !beyond.is_empty() {
            let refused = beyond.into_iter().map(|player| (player, why)).collect();
            rooms.core.send_home(from, HomeMessage::Watched { entity, asked, refused, state: None });
        }
        if self.desk.watchers.has(entity) {
            self.need_at_home(rooms, entity);
            self.answer_watchers(rooms, entity);
        }
    }

    /// Answers the edges that wait, if that is possible now.
    pub(super) fn answer_watchers(&mut self, rooms: &mut Rooms<'_>, entity: EntityId) {
        if self.desk.watchers.is_owed(entity) {
            self.with(rooms, entity, |entity, cx| entity.answer_watchers(cx));
        }
    }

    /// At a tick: sends what has changed since the last one.
    pub(super) fn tell_watchers(&mut self, rooms: &mut Rooms<'_>) {
        let marked = self.desk.watchers.take_marked();
        self.each(rooms, marked, |entity, cx| {
            if entity.awaits_creation(cx) {
                entity.answer_watchers(cx);
            } else if entity.life.shows() {
                entity.judge_watchers(cx);
            }
        });
    }

    /// Once per second: forgets registrations that were not repeated. A watched entity stays loaded, unless it cannot be read.
    pub(super) fn rest_watched(&mut self, now: Time) {
        self.desk.watchers.expire(now);
        for id in self.desk.watchers.entities() {
            if let Some(entity) = self.entities.get_mut(&id).filter(|e| !e.life.is(Phase::Broken)) {
                entity.needed = now;
            }
        }
    }
}
