//! Which sessions at this edge watch which entities, and what each has seen. Plain values; when they change is in `watch`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{ConnId, EntityId, Time};
use gundo_wire::Message;
use gundo_wire::client::{self, ServerMessage};

use crate::core::Core;
use crate::io::{Output, SendClass};
use crate::peer::{HomeMessage, WatchedState};

/// All entities that sessions of this edge watch.
#[derive(Default)]
pub(super) struct Watches {
    pub(super) entities: BTreeMap<EntityId, Watch>,
    /// Those whose watchers have changed since their registration: registered again at the next flush.
    pub(super) due: BTreeSet<EntityId>,
    /// Number of the last registration.
    last: u64,
}

/// A watched entity.
#[derive(Default)]
pub(super) struct Watch {
    /// Never empty.
    pub(super) watchers: BTreeMap<ConnId, Watcher>,
    pub(super) registered: Time,
    /// The tick of that registration: there is at most one per tick.
    tick: Option<u32>,
    /// Number of the newest state in this view; 0: none has arrived.
    pub(super) seen: u64,
    /// That state, or the last one of an earlier view.
    pub(super) public: Option<Bytes>,
}

/// A session that watches it.
pub(super) struct Watcher {
    pub(super) player: EntityId,
    /// Number of the first registration in this view that names its player; 0: none does yet.
    pub(super) since: u64,
    /// It has received a state: it may see the entity, or could earlier.
    pub(super) shown: bool,
    /// It has received the newest state.
    pub(super) fresh: bool,
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Registers the watchers of `entity` at its home: at once, or at the next flush if this tick has registered it already.
    pub(super) fn register(&mut self, core: &mut Core, entity: EntityId) {
        let Some(watch) = self.entities.get(&entity) else { return };
        if watch.tick == Some(core.tick()) {
            self.due.insert(entity);
        } else {
            self.register_now(core, entity);
        }
    }

    pub(super) fn register_now(&mut self, core: &mut Core, entity: EntityId) {
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
    pub(super) fn remove(&mut self, core: &mut Core, conn: ConnId, entity: EntityId) {
        let Some(watch) = self.entities.get_mut(&entity) else { return };
        watch.watchers.remove(&conn);
        if watch.watchers.is_empty() {
            self.withdraw(core, entity);
        } else {
            self.due.insert(entity);
        }
    }

    /// Nobody here watches the entity any more.
    pub(super) fn withdraw(&mut self, core: &mut Core, entity: EntityId) {
        self.entities.remove(&entity);
        self.due.remove(&entity);
        if let Some(home) = core.home_of(entity) {
            self.last += 1;
            let message = HomeMessage::Watch { entity, number: self.last, players: Vec::new(), seen: 0 };
            core.send_home(home, message);
        }
    }

    /// Asserts the invariants between two inputs. `watches`: whether this session watches that entity.
    pub(super) fn check(&self, core: &Core, watches: impl Fn(ConnId, EntityId) -> bool) {
        let most = core.world().limits.watchers_max;
        for (entity, watch) in &self.entities {
            let all = watch.watchers.keys().all(|conn| watches(*conn, *entity));
            assert!(all && !watch.watchers.is_empty(), "{entity}: its watchers have it listed");
            assert!(watch.watchers.len() <= most, "{entity}: its watchers are bounded");
            let judged = watch.watchers.values().all(|w| w.since <= self.last);
            assert!(judged, "{entity}: its watchers are registered");
        }
        assert!(
            self.due.iter().all(|entity| self.entities.contains_key(entity)),
            "only watched entities are due"
        );
    }

    /// Whether this session is recorded as a watcher of that entity.
    pub(super) fn has(&self, conn: ConnId, entity: EntityId) -> bool {
        self.entities.get(&entity).is_some_and(|watch| watch.watchers.contains_key(&conn))
    }
}

impl Watcher {
    /// Whether a judgement of this registration includes it.
    pub(super) fn is_judged(&self, asked: u64) -> bool {
        (1..=asked).contains(&self.since)
    }
}

impl Watch {
    /// The newest state has arrived: shows it to sessions that have not seen it yet.
    pub(super) fn take(
        &mut self,
        core: &mut Core,
        entity: EntityId,
        asked: u64,
        state: WatchedState,
        is_lagging: impl Fn(ConnId) -> bool,
    ) {
        let changed = state.public != self.public;
        (self.seen, self.public) = (state.number, state.public);
        let mut bytes = None;
        for (conn, watcher) in &mut self.watchers {
            if !watcher.is_judged(asked) {
                // What it saw in an earlier view may be stale; its own judgement brings the newest.
                watcher.fresh &= !changed;
                continue;
            }
            if watcher.fresh && !changed {
                continue;
            }
            (watcher.shown, watcher.fresh) = (true, true);
            // A lagging session gets the newest state when it has caught up.
            if !is_lagging(*conn) {
                let bytes = bytes.get_or_insert_with(|| encoded(entity, self.public.clone())).clone();
                let class = SendClass::Frames;
                core.outputs.push_back(Output::Send { conn: *conn, parts: vec![bytes], class });
            }
        }
    }
}

/// A state as every session gets it.
pub(super) fn encoded(entity: EntityId, public: Option<Bytes>) -> Bytes {
    let watched = client::Watched { entity: Some(entity.into()), public, ..Default::default() };
    ServerMessage { watched: vec![watched], ..Default::default() }.encode_to_vec().into()
}
