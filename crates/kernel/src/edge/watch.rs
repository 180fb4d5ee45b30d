//! What clients watch: entities by their ids, wherever they are.
//!
//! The edge records which session watches what, and registers each entity at its home: one registration for all its sessions,
//! repeated every few seconds, because the home keeps it as soft state. The home says how the entity looks, and which players may
//! not watch it. The edge shows a session nothing before the home has judged a registration that names its player. Clients ask
//! again for what they watched at another edge, or before their last welcome.
//!
//! The records are in `watches`. Not here: who may watch what, and when a state is durable (`host::watching`).

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{ConnId, EntityId, Kind, NodeId, Planted};
use gundo_wire::client::{self, ServerMessage};

use super::hello::wire_refusal;
use super::room::{Edge, Rooms};
use super::session::Session;
use super::watches::{Watch, Watcher, encoded};
use crate::core::Core;
use crate::game::Refusal;
use crate::io::{Output, SendClass};
use crate::peer::{WATCH_EVERY_MS, WatchRefused, WatchedState};

impl Edge {
    // ---- what clients ask for --------------------------------------------------------------------------

    /// A client wants to watch an entity.
    pub(super) fn watch(&mut self, cx: &mut Rooms<'_>, conn: ConnId, wanted: client::EntityId) {
        let Some(session) = self.sessions.get(&conn) else { return };
        let entity = match self.may_begin(cx.core, session, wanted) {
            Ok(entity) => entity,
            Err(refusal) => return refuse(cx.core, conn, wanted, refusal, false),
        };
        if session.watched.contains(&entity) {
            return self.show(cx, conn, entity, SendClass::Frames);
        }
        let player = session.player;
        let watcher = Watcher { player, since: 0, shown: false, fresh: false };
        self.watches.entities.entry(entity).or_default().watchers.insert(conn, watcher);
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.watched.insert(entity);
        }
        self.watches.register(cx.core, entity);
    }

    /// The entity to watch, if the checks at the edge allow this session to watch it.
    fn may_begin(
        &self,
        core: &Core,
        session: &Session,
        wanted: client::EntityId,
    ) -> Result<EntityId, Refusal> {
        let (rules, limits) = (&core.settings.rules, &core.world().limits);
        let kind = u16::try_from(wanted.kind).map(Kind).ok().filter(|kind| rules.kind_of(*kind).is_some());
        let Some(kind) = kind else {
            return Err(Refusal::new("no_such_kind", "There is nothing of that kind in this world."));
        };
        if kind == rules.player_kind() {
            return Err(Refusal::new("not_allowed", "Players are seen where they are, and nowhere else."));
        }
        let entity = EntityId::new(kind, wanted.id);
        if session.watched.contains(&entity) {
            return Ok(entity);
        }
        let watchers = self.watches.entities.get(&entity).map_or(0, |watch| watch.watchers.len());
        if session.watched.len() >= limits.watches_max || watchers >= limits.watchers_max {
            return Err(why(WatchRefused::TooMany));
        }
        Ok(entity)
    }

    /// A client wants to stop watching an entity.
    pub(super) fn unwatch(&mut self, cx: &mut Rooms<'_>, conn: ConnId, entity: client::EntityId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        let Ok(kind) = u16::try_from(entity.kind) else { return };
        let entity = EntityId::new(Kind(kind), entity.id);
        if session.watched.remove(&entity) {
            self.watches.remove(cx.core, conn, entity);
        }
    }

    /// A session has ended.
    pub(super) fn unwatch_all(&mut self, core: &mut Core, conn: ConnId, watched: BTreeSet<EntityId>) {
        watched.into_iter().for_each(|entity| self.watches.remove(core, conn, entity));
    }

    // ---- what homes say --------------------------------------------------------------------------------

    /// How a watched entity looks, and which players do not watch it any more.
    pub(crate) fn on_watched(
        &mut self,
        cx: &mut Rooms<'_>,
        from: NodeId,
        entity: EntityId,
        asked: u64,
        refused: Vec<(EntityId, WatchRefused)>,
        state: Option<WatchedState>,
    ) {
        if cx.core.home_of(entity) != Some(from) {
            return cx.core.note_nonsense();
        }
        let Some(watch) = self.watches.entities.get_mut(&entity) else { return cx.core.note_stale() };
        let refused: BTreeMap<_, _> = refused.into_iter().collect();
        let mut turned_away = Vec::new();
        for (conn, watcher) in watch.watchers.iter().filter(|(_, w)| w.is_judged(asked)) {
            if let Some(refused) = refused.get(&watcher.player) {
                turned_away.push((*conn, *refused, watcher.shown));
            }
        }
        for (conn, refused, gone) in turned_away {
            watch.watchers.remove(&conn);
            if let Some(session) = self.sessions.get_mut(&conn) {
                session.watched.remove(&entity);
            }
            refuse(cx.core, conn, entity.into(), why(refused), gone);
        }
        match state {
            Some(state) if state.number < watch.seen => cx.core.note_stale(),
            Some(state) => {
                watch.take(cx.core, entity, asked, state, |conn| cx.crowd.interest.is_lagging(conn))
            }
            None => {}
        }
        if watch.watchers.is_empty() {
            self.watches.withdraw(cx.core, entity);
        }
    }

    /// Shows a session the newest state of an entity that it watches, if it may see it.
    fn show(&self, cx: &mut Rooms<'_>, conn: ConnId, entity: EntityId, class: SendClass) {
        let watch = self.watches.entities.get(&entity);
        if let Some(watch) = watch.filter(|w| w.watchers.get(&conn).is_some_and(|w| w.fresh)) {
            let parts = vec![encoded(entity, watch.public.clone())];
            cx.core.outputs.push_back(Output::Send { conn, parts, class });
        }
    }

    /// The send queue of a session that missed states is empty again.
    pub(super) fn show_all(&self, cx: &mut Rooms<'_>, conn: ConnId) {
        let watched = self.sessions.get(&conn).map(|session| &session.watched);
        for entity in watched.into_iter().flatten() {
            self.show(cx, conn, *entity, SendClass::Kept);
        }
    }

    // ---- soft state ------------------------------------------------------------------------------------

    /// Number of watched entities.
    pub(crate) fn watches(&self) -> usize {
        self.watches.len()
    }

    /// A new view: homes have forgotten everything, and may be other nodes.
    pub(super) fn register_again(&mut self, core: &mut Core, only: Option<NodeId>) {
        if core.planted(Planted::WatchNotRenewed) {
            return;
        }
        let is = |entity: &EntityId| only.is_none_or(|node| core.home_of(*entity) == Some(node));
        let those: Vec<_> = self.watches.entities.keys().copied().filter(is).collect();
        for entity in those {
            if let Some(watch) = self.watches.entities.get_mut(&entity) {
                watch.seen = 0;
                watch.watchers.values_mut().for_each(|watcher| watcher.since = 0);
            }
            self.watches.register_now(core, entity);
            self.watches.due.remove(&entity);
        }
    }

    /// Once per tick: registers entities whose watchers have changed since.
    pub(crate) fn register_due(&mut self, cx: &mut Rooms<'_>) {
        for entity in std::mem::take(&mut self.watches.due) {
            self.watches.register_now(cx.core, entity);
        }
    }

    /// Once per second: repeats registrations that are some seconds old.
    pub(super) fn repeat_registrations(&mut self, core: &mut Core) {
        if core.planted(Planted::WatchNotRenewed) {
            return;
        }
        let now = core.now.time;
        let old = |watch: &Watch| now.since(watch.registered) >= WATCH_EVERY_MS * 1_000;
        let old: Vec<_> = self.watches.entities.iter().filter(|(_, w)| old(w)).map(|(e, _)| *e).collect();
        old.into_iter().for_each(|entity| self.watches.register_now(core, entity));
    }
}

/// Tells a client that it does not watch an entity. `gone`: any more.
fn refuse(core: &mut Core, conn: ConnId, entity: client::EntityId, refusal: Refusal, gone: bool) {
    let refusal = Some(wire_refusal(refusal));
    let watched = client::Watched { entity: Some(entity), refusal, gone, ..Default::default() };
    let message = ServerMessage { watched: vec![watched], ..Default::default() };
    core.send_client(conn, &message, SendClass::Kept);
}

fn why(refused: WatchRefused) -> Refusal {
    match refused {
        WatchRefused::NotAllowed => Refusal::new("not_allowed", "You may not look at that."),
        WatchRefused::NoSuchEntity => Refusal::new("no_such_entity", "There is no such thing."),
        WatchRefused::TooMany => Refusal::new("too_many", "Too much is watched already."),
        WatchRefused::NotReady => {
            Refusal::new("not_ready", "That cannot be looked at just now. Try again later.")
        }
    }
}
