//! The room of the entities that are real here: how they are loaded and unloaded, and how messages reach them.
//!
//! An [`Entity`](entity::Entity) is a state machine. The [`Host`] owns them all, looks up the one that a message is for, and
//! forgets those that are unloaded. The [`Desk`](desk::Desk) is what entities share. Start reading at `room`, then `entity`, then
//! `work`.
//!
//! Not here: who sees what (`crowd`), where else an entity may be (`home`), and who the clients are (`edge`).

mod append;
mod arriving;
mod desk;
mod drain;
mod durable;
mod entity;
mod generation;
mod handoff;
mod isolation;
mod leaving;
mod mail;
mod observe;
mod operator;
mod ordered;
mod orders;
mod pending;
mod phase;
mod places;
mod player;
mod post;
mod queue;
mod rest;
mod ringing;
mod room;
mod session;
mod showing;
mod storage;
mod tails;
mod telling;
mod timers;
mod trouble;
mod tx;
mod underway;
mod vicinity;
mod waiting;
mod walk;
mod watchers;
mod watching;
mod work;

pub(crate) use desk::Rooms;
pub(crate) use room::Host;

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Planted, Term, Time, WorldTime};
use gundo_wire::journal::{Loaded, Outcome};

use self::entity::Entity;
use self::pending::Why;
use self::phase::Phase;
use self::queue::{Resume, Work};
use self::watchers::Watchers;
use crate::core::{Core, Timer};
use crate::crowd::Crowd;
use crate::game::{AnyKind, BLAME_LIMIT, Role};
use crate::io::{BLAMED_MAX, Counters, RealState, Size};
use crate::peer::{Line, ToEdge, ToPlayer};

/// At-home entities that leave for their new homes at once, and in each tick after that: a view that moves more takes several
/// ticks, so that none of them takes long. Until then they are announced to their new homes.
const HOMES_LEFT_MAX: usize = 256;

impl Host {
    // ---- who is here -----------------------------------------------------------------------------------

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// What homes must hear of in a new view, with its terms: entities that roam, and those that live at their homes, have a new
    /// one, and are not unloaded yet.
    pub(crate) fn announced(&self, core: &Core) -> Vec<(EntityId, Term)> {
        let kind = core.settings.rules.player_kind();
        let players = self.entities.range(EntityId::new(kind, 0)..=EntityId::new(kind, u64::MAX));
        let leaving = self.desk.leaving_homes.iter().chain(&self.desk.busy_homes);
        let leaving = leaving.filter_map(|id| self.entities.get_key_value(id));
        players.chain(leaving).map(|(id, entity)| (*id, entity.term)).collect()
    }

    /// Every entity as checkers see it, in id order.
    pub(crate) fn states<'a>(
        &'a self,
        core: &'a Core,
        crowd: &'a Crowd,
    ) -> impl Iterator<Item = RealState<'a>> {
        self.entities.values().map(move |e| RealState {
            id: e.id,
            term: e.term,
            frozen: e.life.is(Phase::Frozen),
            loading: e.life.is(Phase::Loading),
            seq: e.durable.seq,
            settled: (e.is_settled() && !e.owes() && !e.rings_within(core, 0)) || e.life.is(Phase::Suspended),
            waiting: e.queue.bounded(),
            held_ms: e.queue.held_since().map_or(0, |at| core.now.time.since(at) / 1_000),
            line: e.line(),
            resumed_at: e.player.as_ref().map_or(Time(0), |player| player.resumed_at),
            abandoned: e.is_abandoned(core),
            shown: crowd.publisher.shown(e.id),
            public: e.public.as_ref(),
        })
    }

    /// The game's state of an entity, as a snapshot would record it.
    pub(crate) fn state_of(&self, id: EntityId) -> Option<Bytes> {
        self.entities.get(&id)?.durable.loaded().map(|state| state.snapshot())
    }

    /// Whether nothing of any entity is in flight. It is asked after every input of a node that stops: mostly one entity tells.
    pub(crate) fn is_quiet(&mut self, core: &mut Core) -> bool {
        let is_busy = |id: EntityId| self.entities.get(&id).is_some_and(|entity| !entity.is_quiet());
        if !self.desk.appends.is_empty() || self.busy.is_some_and(is_busy) {
            return false;
        }
        core.note_walk(self.entities.len());
        self.busy = self.entities.values().find(|entity| !entity.is_quiet()).map(|entity| entity.id);
        self.busy.is_none()
    }

    /// How full its lists are.
    pub(crate) fn sizes(&self, core: &Core, sizes: &mut Vec<Size>) {
        let (world, limits) = (core.world(), &core.world().limits);
        // A player may also have the hellos that it was answering, when they must be done again.
        let others = self.entities.values().filter(|e| e.player.is_none());
        let waiting = others.map(|e| e.queue.bounded()).max().unwrap_or(0);
        let most = limits.waiting_per_entity_max;
        sizes.push(Size { what: "work that waits for one entity", used: waiting, most });
        // Fences come on top, one per entity.
        let most = world.appends_waiting_max + self.entities.len();
        sizes.push(Size { what: "appends in flight", used: self.desk.storage.waiting(), most });
        let most = limits.watchers_max;
        sizes.push(Size { what: "watchers of one entity", used: self.desk.watchers.most(), most });
        self.arrivals.sizes(sizes);
        self.desk.operator.sizes(sizes);
        sizes.push(Size { what: "blamed entities", used: self.desk.blamed.len(), most: BLAMED_MAX });
    }

    /// Fills in the gauges.
    pub(crate) fn count(&self, core: &Core, counters: &mut Counters) {
        counters.appends_waiting = self.desk.storage.waiting() as u64;
        counters.journal_slow = u64::from(self.desk.storage.is_slow(core.now.time, core.world()));
        counters.storage_full = u64::from(self.desk.storage.is_full());
        let is_held = |id: &EntityId| self.entities.get(id).is_some_and(|entity| entity.queue.is_held());
        counters.held = self.desk.storage.all_held().filter(is_held).count() as u64;
        if core.stopping {
            let here = self.entities.values().filter(|entity| entity.is_present());
            counters.places_unsaved = here.count() as u64;
            let busy = self.entities.values().filter(|entity| !entity.is_quiet());
            counters.unsettled = busy.count() as u64;
        }
        counters.reals = self.entities.len() as u64;
        counters.handing_over = (self.desk.departures.len() + self.arrivals.len()) as u64;
        counters.suspended = self.desk.suspended.len() as u64;
        counters.blamed = self.desk.blamed.values().filter(|points| **points >= BLAME_LIMIT).count() as u64;
        counters.watched = self.desk.watchers.len() as u64;
    }

    /// Asserts the invariants between two inputs. Costs a walk over everything: for the simulator and tests.
    pub(crate) fn check(&mut self, rooms: &mut Rooms<'_>) {
        if rooms.home.is_open() {
            let (me, home) = (Some(rooms.core.me()), rooms.home);
            let lives_here = |chunk| rooms.core.home_of_chunk(chunk) == me;
            self.desk.places.check(|chunk| lives_here(chunk) && home.is_observed(chunk));
        }
        let (entities, cx) = self.split(rooms);
        entities.values().for_each(|entity| entity.check(&cx));
        let players = entities.values().filter(|e| e.player.is_some()).count();
        assert_eq!(players, cx.desk.players, "players are counted as they come and go");
        let here = |id: &EntityId| entities.contains_key(id);
        assert!(cx.desk.changes.iter().all(|(_, id)| here(id)), "an entity with a change to come is here");
        assert!(cx.desk.alarms.iter().all(|(_, id)| here(id)), "an entity with an alarm is here");
        assert!(cx.desk.awake.iter().all(here), "only what is here is awake");
        assert!(cx.desk.suspended.iter().all(here), "a suspended entity is here");
        cx.desk.departures.check(here);
        cx.desk.txs.check(here);
        cx.desk.storage.check();
        cx.desk.tails.check(|id| here(&id));
        cx.desk.watchers.check(cx.core);
        self.arrivals.check(|id| self.entities.contains_key(id));
    }

    // ---- coming ----------------------------------------------------------------------------------------

    /// Loads an at-home entity whose home is this node, unless it is here already. While somebody looks at its chunk it is awake.
    pub(super) fn need_at_home(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        let now = rooms.core.now.time;
        if let Some(entity) = self.entities.get_mut(&id) {
            entity.needed = now;
        } else if rooms.home.is_held_elsewhere(id, rooms.core.me()) {
            // Another node was its home before and has not unloaded it yet.
            return;
        } else {
            let term = Term { epoch: rooms.core.view.epoch.0, count: 0 };
            let role = rooms.core.settings.rules.kind_of(id.kind).map_or(Role::Home, AnyKind::role);
            self.insert(Box::new(Entity::new(id, role, term, now)));
            self.with(rooms, id, |entity, cx| entity.start_load(cx));
        }
        let chunk = rooms.core.settings.rules.chunk_of(id);
        if chunk.is_some_and(|chunk| self.desk.places.is_open(chunk)) && self.holds(id) {
            self.desk.awake.insert(id);
        }
    }

    /// Takes a roaming entity that its home granted.
    pub(crate) fn take_roaming(&mut self, rooms: &mut Rooms<'_>, id: EntityId, term: Term) {
        // An offer that was not claimed in time is no longer needed: the journal has what counts.
        self.arrivals.forget(rooms.core, id);
        if !self.holds(id) {
            self.insert(Box::new(Entity::new(id, Role::Player, term, rooms.core.now.time)));
            self.with(rooms, id, |entity, cx| entity.start_load(cx));
            return;
        }
        self.with(rooms, id, |entity, cx| {
            entity.term = entity.term.max(term);
            // It was offered to another node, and no node owns it now.
            if entity.life.is(Phase::Frozen) {
                entity.doubt_copy(cx);
            }
        });
    }

    pub(crate) fn on_loaded(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        load: u64,
        result: Result<Loaded, String>,
    ) {
        if self.takes_load(rooms, id, load, &result) {
            self.tell(rooms, id, |entity, cx| entity.on_loaded(cx, load, result));
            self.raise_alarm(rooms, self.desk.tails.is_sure());
            self.answer_watchers(rooms, id);
        }
    }

    // ---- messages --------------------------------------------------------------------------------------

    /// A message from the edge of a session. Only the edge itself speaks for its connections; that one has closed may also come
    /// from the player's last owner, unless the edge has spoken here since: then it is older, or was a guess.
    pub(crate) fn hear_edge(
        &mut self,
        rooms: &mut Rooms<'_>,
        from: NodeId,
        id: EntityId,
        line: Line,
        message: ToPlayer,
    ) {
        let passed_on = matches!(message, ToPlayer::Gone { .. });
        if line.edge == from || rooms.core.planted(Planted::AnybodySpeaks) {
            self.handle_player(rooms, id, line, message);
        } else if passed_on && self.has_heard(id, line) && !rooms.core.planted(Planted::OldGoneBelieved) {
            rooms.core.note_stale();
        } else if passed_on {
            self.handle_player(rooms, id, line, message);
        } else {
            rooms.core.note_nonsense();
        }
    }

    pub(super) fn handle_player(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        line: Line,
        message: ToPlayer,
    ) {
        if !self.holds(id) {
            // It is about to arrive: messages to it wait.
            if self.arrivals.has(id) {
                return self.arrivals.wait(rooms.core, id, line, message);
            }
            if matches!(message, ToPlayer::Gone { .. }) {
                return rooms.core.note_stale();
            }
            return rooms.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        }
        let since = rooms.core.now.time;
        self.with(rooms, id, |entity, cx| match message {
            ToPlayer::Open { key, name, place } => {
                entity.submit(cx, Work::Open { line, key, name, place, since });
            }
            ToPlayer::Resume { adoption, body: wish, seen, waited_ms } => {
                let since = WorldTime(cx.core.now.world.0.saturating_sub(waited_ms));
                entity.hear(line);
                entity
                    .submit(cx, Work::Resume(Resume { line, adoption, wish, seen, since, leaves_at: None }));
            }
            ToPlayer::Command { seq, payload, question } => {
                entity.submit(cx, Work::command(line, seq, payload, question, since));
            }
            ToPlayer::Move { seq, body, late_ms } => entity.walk(cx, line, seq, (body, late_ms)),
            ToPlayer::Gone { leave } => entity.on_line_gone(cx, line, leave),
        });
    }

    /// An append ended.
    pub(crate) fn handle_appended(&mut self, rooms: &mut Rooms<'_>, batch: u64, outcome: Outcome) {
        self.desk.storage.on_ended(batch);
        if let Outcome::Generation(present) = outcome {
            self.on_generation(rooms, present);
        }
        match self.desk.appends.end(batch) {
            Some((id, Why::Fence { load })) => {
                self.tell(rooms, id, |entity, cx| entity.on_fenced(cx, load, &outcome));
            }
            Some((id, Why::Events)) => {
                self.tell(rooms, id, |entity, cx| entity.on_appended(cx, batch, outcome));
            }
            // Its entity was unloaded meanwhile: the next load reads the result from the journal.
            None => rooms.core.note_stale(),
        }
        self.let_in(rooms);
    }

    /// A timer of an entity. Timers are not cancelled: a stale one does nothing.
    pub(crate) fn on_timer(&mut self, rooms: &mut Rooms<'_>, timer: Timer) {
        match timer {
            Timer::Grace(id) => self.each(rooms, [id], |entity, cx| entity.on_grace(cx)),
            Timer::LoadRetry(id) => self.each(rooms, [id], |entity, cx| entity.on_load_retry(cx)),
            Timer::ListRetry(kind, chunk) => self.on_list_retry(rooms, kind, chunk),
            Timer::FenceRetry(id) => self.each(rooms, [id], |entity, cx| entity.on_fence_retry(cx)),
            Timer::Lock(id) => self.each(rooms, [id], |entity, cx| entity.on_lock_timer(cx)),
            Timer::Held(id) => self.each(rooms, [id], |entity, cx| entity.on_held_timer(cx)),
            Timer::Suspended(id) => self.on_suspended(rooms, id),
            Timer::Transaction(tx) => self.on_tx_timer(rooms, tx),
            Timer::Handoff(id) => self.on_handoff_timer(rooms, id),
            Timer::Mail(id) => self.each(rooms, [id], |entity, cx| entity.on_mail_timer(cx)),
            Timer::Order(request) => self.on_order_timer(rooms.core, request),
            other => unreachable!("{other:?} is no timer of an entity"),
        }
    }

    /// Nodes were lost, with the transactions that they coordinated or took part in, and the connections of players here.
    pub(crate) fn on_nodes_gone(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        self.lose_partners(rooms, gone, true);
        self.desk.watchers = Watchers::default();
        self.lose_lines(rooms, gone);
    }

    /// Messages between this node and another were lost: of transactions, about connections there, and about handoffs to it.
    pub(crate) fn on_link_reset(&mut self, rooms: &mut Rooms<'_>, peer: NodeId) {
        self.lose_partners(rooms, &[peer], false);
        self.lose_lines(rooms, &[peer]);
        self.resume_handoffs(rooms, &[peer]);
    }

    // ---- time ------------------------------------------------------------------------------------------

    /// Creatures stand still, or move again.
    pub(crate) fn set_hold(&mut self, hold: bool) {
        self.desk.hold = hold;
    }

    /// A tick: public parts that change with time, and the volatile behaviour of entities in chunks that somebody looks at.
    pub(crate) fn tick(&mut self, rooms: &mut Rooms<'_>) {
        let now = rooms.core.now.world;
        while let Some((_, id)) = self.desk.changes.first().copied().filter(|(at, _)| *at <= now) {
            let next = self.desk.changes.pop_first();
            assert!(next.is_some_and(|(at, _)| at <= now), "the change is due");
            self.with(rooms, id, |entity, cx| entity.on_change_due(cx));
        }
        self.ring_due(rooms);
        self.tell_watchers(rooms);
        if !self.desk.hold {
            let awake: Vec<_> = self.desk.awake.iter().copied().collect();
            self.each(rooms, awake, |entity, cx| entity.tick(cx));
        }
    }

    /// A new view: at-home entities whose home is another node now leave, some at once and more with each tick.
    pub(crate) fn leave_homes(&mut self, rooms: &mut Rooms<'_>) {
        let (me, kind) = (Some(rooms.core.me()), rooms.core.settings.rules.player_kind());
        rooms.core.note_walk(self.entities.len());
        // By their ids alone: looking at each entity would take long.
        let lives_here = self.entities.keys().filter(|id| id.kind != kind);
        self.desk.leaving_homes = lives_here.filter(|id| rooms.core.home_of(**id) != me).copied().collect();
        self.desk.busy_homes.clear();
        self.leave_some_homes(rooms);
    }

    /// Unloads some entities whose home is another node, unless something of theirs is in flight.
    pub(crate) fn leave_some_homes(&mut self, rooms: &mut Rooms<'_>) {
        for _ in 0..HOMES_LEFT_MAX {
            let Some(id) = self.desk.leaving_homes.pop_first() else { return };
            self.with(rooms, id, |entity, cx| {
                if entity.is_quiet() {
                    entity.unload(cx);
                } else {
                    cx.desk.busy_homes.insert(entity.id);
                    entity.busy_to_the_rest(cx);
                }
            });
        }
    }

    /// Whether a draining node has nothing left here.
    pub(crate) fn is_empty(&self) -> bool {
        self.entities.is_empty()
            && self.desk.places.next_leaving().is_none()
            && self.desk.appends.is_empty()
            && self.desk.storage.waiting() == 0
            && self.desk.departures.len() + self.arrivals.len() == 0
    }
}
