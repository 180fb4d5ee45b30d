//! What clients watch: entities by their ids, wherever they live.
//!
//! The edge keeps which session watches what, and registers each entity at its home: one registration for all its sessions,
//! repeated every few seconds, for a home keeps it as soft state. The home says how the entity looks, and who may not watch it. A
//! session is shown nothing before a registration that names its player was judged. What a client watched at another edge, or
//! before its last welcome, it asks for again by itself.
//!
//! Not here: who may watch what, and when a state is durable (`host::watching`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{ConnId, EntityId, Kind, NodeId, Planted, Time};
use gundo_wire::Message;
use gundo_wire::client::{self, ServerMessage};

use super::hello::wire_refusal;
use super::room::{Edge, Rooms};
use super::session::Session;
use crate::core::Core;
use crate::game::Refusal;
use crate::io::{Output, SendClass};
use crate::peer::{HomeMessage, WATCH_EVERY_MS, WatchRefused, WatchedState};

/// All that is watched from this edge.
#[derive(Default)]
pub(super) struct Watches {
    entities: BTreeMap<EntityId, Watch>,
    /// Those whose watchers have changed since they were registered: registered at the next flush.
    due: BTreeSet<EntityId>,
    /// Number of the last registration.
    last: u64,
}

/// An entity that is watched.
#[derive(Default)]
struct Watch {
    /// Never empty.
    watchers: BTreeMap<ConnId, Watcher>,
    registered: Time,
    /// The tick of that: more than once per tick it is not registered.
    tick: Option<u32>,
    /// Number of the newest state in this view; 0: none has come.
    seen: u64,
    /// That state, or the last one of an earlier view.
    public: Option<Bytes>,
}

/// A session that watches it.
struct Watcher {
    player: EntityId,
    /// Number of the first registration in this view that names its player; 0: none has yet.
    since: u64,
    /// It has been shown a state, so it may see the entity, or might once.
    shown: bool,
    /// That was the newest one.
    fresh: bool,
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Tells the home of `entity` who watches it: at once, or at the next flush if this tick has told it already.
    fn register(&mut self, core: &mut Core, entity: EntityId) {
        let Some(watch) = self.entities.get(&entity) else { return };
        if watch.tick == Some(core.tick()) {
            self.due.insert(entity);
        } else {
            self.register_now(core, entity);
        }
    }

    fn register_now(&mut self, core: &mut Core, entity: EntityId) {
        let (Some(watch), Some(home)) = (self.entities.get_mut(&entity), core.home_of(entity)) else {
            return;
        };
        self.last += 1;
        (watch.registered, watch.tick) = (core.now.time, Some(core.tick()));
        let mut players = BTreeSet::new();
        for watcher in watch.watchers.values_mut() {
            players.insert(watcher.player);
            if watcher.since == 0 {
                watcher.since = self.last;
            }
        }
        let waits = watch.watchers.values().any(|watcher| !watcher.fresh);
        let seen = if waits { 0 } else { watch.seen };
        let players = players.into_iter().collect();
        core.send_home(home, HomeMessage::Watch { entity, number: self.last, players, seen });
    }

    /// A session does not watch the entity any more.
    fn remove(&mut self, core: &mut Core, conn: ConnId, entity: EntityId) {
        let Some(watch) = self.entities.get_mut(&entity) else { return };
        watch.watchers.remove(&conn);
        if watch.watchers.is_empty() {
            self.withdraw(core, entity);
        } else {
            self.due.insert(entity);
        }
    }

    /// Nobody here watches the entity any more.
    fn withdraw(&mut self, core: &mut Core, entity: EntityId) {
        self.entities.remove(&entity);
        self.due.remove(&entity);
        if let Some(home) = core.home_of(entity) {
            self.last += 1;
            let message = HomeMessage::Watch { entity, number: self.last, players: Vec::new(), seen: 0 };
            core.send_home(home, message);
        }
    }

    /// What must hold between two inputs. `watches`: whether this session watches that entity.
    pub(super) fn check(&self, core: &Core, watches: impl Fn(ConnId, EntityId) -> bool) {
        let most = core.world().limits.watchers_max;
        for (entity, watch) in &self.entities {
            let all = watch.watchers.keys().all(|conn| watches(*conn, *entity));
            assert!(all && !watch.watchers.is_empty(), "{entity}: sessions watch it, and they know");
            assert!(watch.watchers.len() <= most, "{entity}: its watchers are bounded");
            let judged = watch.watchers.values().all(|w| w.since <= self.last);
            assert!(judged, "{entity}: who watches it was registered in the past");
        }
        assert!(
            self.due.iter().all(|entity| self.entities.contains_key(entity)),
            "only what is watched is due"
        );
    }

    /// Whether this session is known to watch that entity.
    pub(super) fn has(&self, conn: ConnId, entity: EntityId) -> bool {
        self.entities.get(&entity).is_some_and(|watch| watch.watchers.contains_key(&conn))
    }
}

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

    /// The entity that is meant, if as much as the edge knows of it lets this session watch it.
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

    /// A client does not want to watch an entity any more.
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

    /// How a watched entity looks, and who does not watch it any more.
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
            Some(state) => watch.take(cx, entity, asked, state),
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

    /// Entities that are watched.
    pub(crate) fn watches(&self) -> usize {
        self.watches.len()
    }

    /// A new view: homes have forgotten everything, and may be others.
    pub(super) fn register_again(&mut self, core: &mut Core) {
        if core.planted(Planted::WatchNotRenewed) {
            return;
        }
        for watch in self.watches.entities.values_mut() {
            watch.seen = 0;
            watch.watchers.values_mut().for_each(|watcher| watcher.since = 0);
        }
        let all: Vec<_> = self.watches.entities.keys().copied().collect();
        all.into_iter().for_each(|entity| self.watches.register_now(core, entity));
        self.watches.due.clear();
    }

    /// Once per tick: registers what others have begun or ceased to watch since.
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

impl Watcher {
    /// Whether a judgement of this registration says something of it.
    fn is_judged(&self, asked: u64) -> bool {
        (1..=asked).contains(&self.since)
    }
}

impl Watch {
    /// The newest state has come: sessions that have not been shown as much are.
    fn take(&mut self, cx: &mut Rooms<'_>, entity: EntityId, asked: u64, state: WatchedState) {
        let changed = state.public != self.public;
        (self.seen, self.public) = (state.number, state.public);
        let mut bytes = None;
        for (conn, watcher) in &mut self.watchers {
            if !watcher.is_judged(asked) {
                // What it was shown in an earlier view may be old now; its own judgement brings it the newest.
                watcher.fresh &= !changed;
                continue;
            }
            if watcher.fresh && !changed {
                continue;
            }
            (watcher.shown, watcher.fresh) = (true, true);
            // One that reads too slowly gets the newest when it has caught up.
            if !cx.crowd.interest.is_lagging(*conn) {
                let bytes = bytes.get_or_insert_with(|| encoded(entity, self.public.clone())).clone();
                let class = SendClass::Frames;
                cx.core.outputs.push_back(Output::Send { conn: *conn, parts: vec![bytes], class });
            }
        }
    }
}

/// A state as every session gets it.
fn encoded(entity: EntityId, public: Option<Bytes>) -> Bytes {
    let watched = client::Watched { entity: Some(entity.into()), public, ..Default::default() };
    ServerMessage { watched: vec![watched], ..Default::default() }.encode_to_vec().into()
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
