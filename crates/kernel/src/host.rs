//! The node as a host: the entities that are real here, how they come and go.
//!
//! A [`Real`] is loaded from the journal, takes work in order, and holds every effect of it until what it rests on is
//! durable. What the work is: `work.rs`; how it becomes durable: `append.rs`; what only players have: `player.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Term, Time, WorldTime};
use gundo_wire::journal::{Cause, EventType, Loaded, SnapshotParts};
use gundo_wire::{Kept, Message};

use crate::Node;
use crate::append::Pending;
use crate::core::{Core, Timer};
use crate::game::{Actor, AnyEntity, AnyKind, Child, RawContext, Refusal, Rules, Surroundings};
use crate::io::Output;
use crate::isolation::Trouble;
use crate::peer::{HomeMessage, ToEdge, TxId};
use crate::player::Player;
use crate::transaction::{Lock, Promise, Tx};
use crate::work::Work;

/// Between two tries to load an entity the journal could not read, ms.
const LOAD_RETRY_MS: u64 = 250;

/// The field that nodes of the next version add, when they are played: see [`Node::act_newer`].
const LATER_FIELD: u32 = 1_000;

/// Everything hosted here.
#[derive(Default)]
pub(crate) struct Hosts {
    pub(crate) reals: BTreeMap<EntityId, Real>,
    /// Appends whose outcome is awaited, and whose they are.
    pub(crate) batches: BTreeMap<u64, EntityId>,
    /// Fences whose outcome is awaited.
    pub(crate) fences: BTreeMap<u64, EntityId>,
    /// Transactions coordinated here.
    pub(crate) txs: BTreeMap<TxId, Tx>,
    pub(crate) last_tx: u64,
    /// Public parts that change by time alone.
    changes: BTreeSet<(WorldTime, EntityId)>,
    /// Land that ticks, that is, is loaded and observed.
    pub(crate) awake: BTreeSet<EntityId>,
    /// It does not tick now.
    pub(crate) held: bool,
    /// Something that lives elsewhere in the present view is held still.
    leaving: bool,
    /// Entities whose code has panicked too often.
    pub(crate) suspended: BTreeSet<EntityId>,
}

impl Hosts {
    /// Entities that live at their homes, held here.
    pub(crate) fn at_home(&self) -> impl Iterator<Item = (EntityId, Term)> {
        self.reals.values().filter(|r| r.player.is_none()).map(|r| (r.id, r.term))
    }

    /// Roaming entities held here.
    pub(crate) fn roaming(&self) -> impl Iterator<Item = (EntityId, Term)> {
        self.reals.values().filter(|r| r.player.is_some()).map(|r| (r.id, r.term))
    }
}

/// What an entity is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A load is on its way.
    Loading,
    /// It takes work.
    Live,
    /// It takes no work until its appends, or the transaction it takes part in, have ended; then it is loaded anew.
    Settling,
    /// An append's outcome is unknown: a fence at this seq decides.
    Fencing {
        /// Seq of the last event known to be durable.
        after: u64,
    },
    /// What the journal holds of it cannot be read: everything is refused.
    Broken,
    /// Its code has panicked too often: everything is refused that it has not answered before.
    Suspended,
    /// It is to be handed to another node: it takes no work, and what it has begun ends.
    Freezing,
    /// It has been offered to another node: nothing changes it until it is known whose it is.
    Frozen,
}

/// An entity that is real here.
pub(crate) struct Real {
    pub(crate) id: EntityId,
    pub(crate) term: Term,
    /// Which load its state comes from.
    pub(crate) load: u64,
    pub(crate) phase: Phase,
    /// Durable and not yet durable events alike are in it. `None` before the first load ends.
    pub(crate) state: Option<Box<dyn AnyEntity>>,
    /// Seq of the last event applied.
    pub(crate) seq: u64,
    pub(crate) snapshot_seq: u64,
    pub(crate) last_at: WorldTime,
    /// Fields of its snapshot that a newer version wrote, and nothing else.
    kept: Kept<SnapshotParts>,
    /// Appends on their way, oldest first.
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) lock: Option<Lock>,
    /// When a locked participant finds out by itself how its transaction ended.
    pub(crate) locked_until: Time,
    pub(crate) promise: Option<Promise>,
    pub(crate) waiting: VecDeque<Work>,
    /// The first of them waits for room in the journal.
    pub(crate) held: bool,
    /// Appends in turn that met another line of events in the journal, or had no member's row.
    pub(crate) conflicts: u8,
    pub(crate) body: Option<Body>,
    /// What others see: as of the last durable event.
    pub(crate) public: Option<Bytes>,
    next_change: Option<WorldTime>,
    pub(crate) player: Option<Box<Player>>,
    children: BTreeSet<EntityId>,
    /// When somebody last needed it.
    pub(crate) needed: Time,
    pub(crate) trouble: Trouble,
}

impl Real {
    pub(crate) fn new(id: EntityId, term: Term, player: bool, now: Time) -> Self {
        Self {
            id,
            term,
            load: 0,
            phase: Phase::Loading,
            state: None,
            seq: 0,
            snapshot_seq: 0,
            last_at: WorldTime(0),
            kept: Kept::default(),
            pending: VecDeque::new(),
            lock: None,
            locked_until: now,
            promise: None,
            waiting: VecDeque::new(),
            held: false,
            conflicts: 0,
            body: None,
            public: None,
            next_change: None,
            player: player.then(Box::default),
            children: BTreeSet::new(),
            needed: now,
            trouble: Trouble::default(),
        }
    }

    /// Whether the next piece of work may be taken up.
    pub(crate) fn takes_work(&self) -> bool {
        self.phase == Phase::Live && self.lock.is_none() && !self.held
    }

    /// Since when the first of the work waits that the journal has no room for.
    pub(crate) fn held_since(&self) -> Option<Time> {
        self.waiting.front().filter(|_| self.held).map(Work::since)
    }

    /// Commands that are on their way to the journal.
    pub(crate) fn sent_commands(&self) -> impl Iterator<Item = &crate::work::Command> {
        self.pending.iter().flat_map(Pending::commands)
    }

    /// Whether nothing of it is on its way anywhere.
    pub(crate) fn is_settled(&self) -> bool {
        self.phase == Phase::Live && self.pending.is_empty() && self.lock.is_none() && self.waiting.is_empty()
    }

    /// Whether it may be let go: nothing of it is on its way, or it takes no work anyway.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_settled() || matches!(self.phase, Phase::Broken | Phase::Suspended)
    }

    /// Rebuilds the state from what the journal has.
    fn restore(&mut self, rules: &Rules, loaded: &Loaded) -> Result<(), String> {
        let kind = rules.kind_of(self.id.kind).ok_or("the game has no such kind")?;
        let fault = |e: gundo_wire::DecodeError| e.to_string();
        if let Some(player) = &mut self.player {
            player.forget_records();
        }
        (self.seq, self.snapshot_seq) = (0, 0);
        self.kept = Kept::default();
        self.state = Some(match &loaded.snapshot {
            None => kind.create(self.id.id),
            Some((seq, payload)) => {
                (self.seq, self.snapshot_seq) = (*seq, *seq);
                self.restore_snapshot(kind, payload).map_err(fault)?
            }
        });
        for (seq, record) in &loaded.events {
            if *seq != self.seq + 1 {
                return Err(format!("event {} is missing", self.seq + 1));
            }
            let cause = Cause::decode(record.cause.as_ref()).map_err(fault)?;
            self.apply(record.event_type, &record.payload, &cause).map_err(fault)?;
            self.last_at = self.last_at.max(record.at);
        }
        Ok(())
    }

    /// Takes over what a snapshot holds; what it holds of the game is returned.
    pub(crate) fn restore_snapshot(
        &mut self,
        kind: &dyn AnyKind,
        payload: &Bytes,
    ) -> Result<Box<dyn AnyEntity>, gundo_wire::DecodeError> {
        let snapshot = Kept::<SnapshotParts>::decode(payload.clone())?;
        self.kept = snapshot.with(SnapshotParts::default());
        let snapshot = snapshot.known;
        self.last_at = self.last_at.max(WorldTime(snapshot.at));
        let state = kind.restore(self.id.id, &snapshot.state)?;
        if let Some(player) = &mut self.player {
            player.restore(snapshot)?;
        }
        Ok(state)
    }

    /// The one way in which an event changes an entity: live, at restore and at replay.
    pub(crate) fn apply(
        &mut self,
        event_type: EventType,
        payload: &[u8],
        cause: &Cause,
    ) -> Result<(), gundo_wire::DecodeError> {
        if event_type == EventType::Game {
            self.state.as_mut().expect("a loaded entity has a state").apply(payload)?;
        }
        if let Some(player) = &mut self.player {
            player.apply(event_type, payload, cause)?;
        }
        self.seq += 1;
        Ok(())
    }

    /// As a later version would that has more to remember.
    fn add_later_fields(&mut self) {
        self.kept.add_unknown(LATER_FIELD, self.id.id);
        if let Some(player) = &mut self.player {
            player.add_later_fields(LATER_FIELD, self.id.id);
        }
    }

    fn drop_later_fields(&mut self) {
        self.kept = Kept::default();
        if let Some(player) = &mut self.player {
            player.drop_later_fields();
        }
    }

    /// The whole durable state: the game's and the engine's.
    pub(crate) fn snapshot(&self) -> Bytes {
        let state = self.state.as_ref().expect("a loaded entity has a state").snapshot();
        self.snapshot_of(state, self.last_at)
    }

    /// A snapshot with this state of the game's.
    pub(crate) fn snapshot_of(&self, state: Bytes, at: WorldTime) -> Bytes {
        let mut snapshot = SnapshotParts { state, at: at.0, ..Default::default() };
        if let Some(player) = &self.player {
            player.snapshot_into(&mut snapshot);
        }
        self.kept.with(snapshot).encode()
    }
}

/// What a decision may look at. `real` is the deciding entity's id, body and last event's time.
pub(crate) fn context<'a>(
    core: &'a mut Core,
    surroundings: &'a dyn Surroundings,
    real: (EntityId, Option<Body>, WorldTime),
    actor: Option<&'a Actor>,
) -> RawContext<'a> {
    let now = core.world_time_from(real.2);
    RawContext { now, id: real.0, body: real.1, actor, surroundings, rng: &mut core.rng }
}

/// Runs game code; a panic in it is a refusal.
pub(crate) fn guard<T>(game: impl FnOnce() -> T) -> Result<T, Refusal> {
    RUNNING.set(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(game)).map_err(|_| game_error());
    RUNNING.set(false);
    done
}

thread_local! {
    /// For panic hooks only; nothing is decided by it.
    pub(crate) static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

pub(crate) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}

impl Node {
    pub(crate) fn home_of_chunk(&self, chunk: ChunkId) -> Option<NodeId> {
        self.core.home_of_chunk(chunk)
    }

    pub(crate) fn home_of(&self, entity: EntityId) -> Option<NodeId> {
        self.core.home_of(entity)
    }

    /// The home has somebody who looks at `chunk`: its land must be here.
    pub(crate) fn need_land(&mut self, chunk: ChunkId) {
        let Some(kind) = self.core.settings.rules.land_kind() else { return };
        let land = EntityId::new(kind, chunk.to_u64());
        if !self.homes.is_observed(chunk) {
            self.hosts.awake.remove(&land);
            return;
        }
        if self.home_of_chunk(chunk) == Some(self.core.me()) {
            self.need_at_home(land);
            self.hosts.awake.insert(land);
        }
    }

    /// Loads an entity that lives at its home, which is this node, if it is not here yet.
    pub(crate) fn need_at_home(&mut self, id: EntityId) {
        let now = self.core.now.time;
        if let Some(real) = self.hosts.reals.get_mut(&id) {
            real.needed = now;
            return;
        }
        // Its home was elsewhere before, and something of it is on its way there.
        if self.homes.is_held_elsewhere(id, self.core.me()) {
            return;
        }
        let term = Term { epoch: self.core.view.epoch.0, count: 0 };
        self.hosts.reals.insert(id, Real::new(id, term, false, now));
        self.start_load(id);
    }

    /// Takes a roaming entity that its home granted.
    pub(crate) fn take_roaming(&mut self, id: EntityId, term: Term) {
        let now = self.core.now.time;
        if let Some(real) = self.hosts.reals.get_mut(&id) {
            real.term = real.term.max(term);
            // It had been offered to somebody, and nobody holds it now: who knows what happened to it meanwhile.
            if real.phase == Phase::Frozen {
                self.handoff_failed(id);
                self.start_load(id);
            }
            return;
        }
        self.hosts.reals.insert(id, Real::new(id, term, true, now));
        self.start_load(id);
    }

    /// Loads an entity (again) from the journal. Its body stays.
    pub(crate) fn start_load(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.phase = Phase::Loading;
        real.load = self.core.next_load();
        self.core.outputs.push_back(Output::Load { entity: id, load: real.load });
    }

    pub(crate) fn on_loaded(&mut self, id: EntityId, load: u64, result: Result<Loaded, String>) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if real.load != load || real.phase != Phase::Loading {
            return;
        }
        let Ok(loaded) = result else {
            if !self.core.planted(Planted::LoadNotRetried) {
                self.core.after_ms(LOAD_RETRY_MS, Timer::LoadRetry(id));
            }
            return;
        };
        let rules = self.core.settings.rules.clone();
        let restored = guard(|| real.restore(&rules, &loaded));
        if let Some(player) = &mut real.player
            && loaded.snapshot.is_some()
            && self.core.planted(Planted::AnswersForgotten)
        {
            player.forget_answers();
        }
        if self.core.acts_newer {
            real.add_later_fields();
        } else if self.core.planted(Planted::LaterFieldsLost) {
            real.drop_later_fields();
        }
        real.phase = match restored {
            Ok(Ok(())) if real.trouble.is_suspended() => Phase::Suspended,
            Ok(Ok(())) => Phase::Live,
            _ => Phase::Broken,
        };
        if real.phase == Phase::Broken {
            if restored.is_err() {
                self.on_game_panic(id, "restore");
            }
            self.core.counters.broken += 1;
            self.refuse_all(id);
            return;
        }
        if real.phase == Phase::Suspended {
            return self.refuse_suspended(id);
        }
        self.refresh(id);
        self.tell_own(id);
        self.run(id);
        self.unload_if_gone(id);
    }

    /// After a reload: an append of unknown outcome may have landed, and nobody told the player.
    fn tell_own(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get(&id) else { return };
        let (Some(state), Some(line)) = (&real.state, real.player.as_ref().and_then(|p| p.line)) else {
            return;
        };
        match guard(|| state.private()) {
            Ok(own) => self.core.send_edge(line.edge, line.conn, id, ToEdge::Own(own)),
            Err(_) => self.on_game_panic(id, "private"),
        }
    }

    pub(crate) fn on_load_retry(&mut self, id: EntityId) {
        if self.hosts.reals.get(&id).is_some_and(|r| r.phase == Phase::Loading) {
            self.start_load(id);
        }
    }

    /// Computes the public part as of now and shows it. Only where everything applied is durable.
    pub(crate) fn refresh(&mut self, id: EntityId) {
        let now = self.core.now.world;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let holds = matches!(real.phase, Phase::Live | Phase::Freezing | Phase::Frozen);
        if !holds || !real.pending.is_empty() {
            return;
        }
        let Some(state) = &real.state else { return };
        let at = now.max(real.last_at);
        let Ok((public, next)) = guard(|| (state.public(at), state.next_change(at))) else {
            return self.on_game_panic(id, "public");
        };
        real.public = public;
        if let Some(before) = real.next_change.take() {
            self.hosts.changes.remove(&(before, id));
        }
        // A change that is not in the future would come again and again in this very tick.
        real.next_change = next.filter(|t| *t > at);
        if let Some(next) = real.next_change {
            self.hosts.changes.insert((next, id));
        }
        self.show(id);
    }

    /// Shows an entity as of its last durable event: players that are present, and land.
    pub(crate) fn show(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get(&id) else { return };
        let chunk = match (&real.player, real.body) {
            (Some(player), Some(body)) if player.present => Some(body.chunk()),
            (None, _) if Some(id.kind) == self.core.settings.rules.land_kind() => {
                Some(ChunkId::from_u64(id.id))
            }
            _ => None,
        };
        match (chunk, &real.public) {
            (Some(chunk), Some(public)) => {
                self.publisher.show(id, real.term, chunk, public.clone(), real.body);
            }
            _ => self.publisher.hide(id),
        }
    }

    /// Time has passed: public parts that change by it, and the volatile behaviour of land that somebody looks at.
    pub(crate) fn tick_entities(&mut self) {
        let now = self.core.now.world;
        while let Some((at, id)) = self.hosts.changes.first().copied().filter(|(at, _)| *at <= now) {
            self.hosts.changes.remove(&(at, id));
            if let Some(real) = self.hosts.reals.get_mut(&id) {
                real.next_change = None;
            }
            self.refresh(id);
        }
        if self.hosts.held {
            return;
        }
        let awake: Vec<_> = self.hosts.awake.iter().copied().collect();
        for id in awake {
            self.tick_entity(id);
        }
    }

    fn tick_entity(&mut self, id: EntityId) {
        let tick_ms = self.core.world().tick_ms;
        let Some(real) = self.hosts.reals.get_mut(&id).filter(|r| r.phase == Phase::Live) else { return };
        let Some(state) = &mut real.state else { return };
        let mut children: Vec<Child> = Vec::new();
        let mut cx = context(&mut self.core, &self.interest, (id, real.body, real.last_at), None);
        if guard(|| state.tick(tick_ms, &mut cx, &mut children)).is_err() {
            children.clear();
            self.on_game_panic(id, "tick");
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if children.is_empty() && real.children.is_empty() {
            return;
        }
        let ids = children.iter().map(|c| EntityId::new(c.kind, id.id << 8 | u64::from(c.index))).collect();
        for gone in real.children.difference(&ids) {
            self.publisher.hide(*gone);
        }
        real.children = ids;
        for child in children {
            let child_id = EntityId::new(child.kind, id.id << 8 | u64::from(child.index));
            self.publisher.show(child_id, real.term, child.body.chunk(), child.public, Some(child.body));
        }
    }

    /// Once per second: land nobody looks at falls asleep, and what nobody needs is let go.
    pub(crate) fn rest_entities(&mut self) {
        let idle_ms = self.core.world().idle_ms;
        let (now, land) = (self.core.now.time, self.core.settings.rules.land_kind());
        let mut idle = Vec::new();
        for (id, real) in &mut self.hosts.reals {
            if Some(id.kind) == land && self.homes.is_observed(ChunkId::from_u64(id.id)) {
                real.needed = now;
                continue;
            }
            for child in std::mem::take(&mut real.children) {
                self.publisher.hide(child);
                real.state.as_mut().map(|s| guard(|| s.sleep()));
            }
            let rests = real.is_quiet() && real.phase != Phase::Suspended;
            if real.player.is_none() && rests && now.since(real.needed) > idle_ms * 1_000 {
                idle.push(*id);
            }
        }
        for id in idle {
            self.unload(id);
        }
        if self.hosts.leaving {
            self.leave_homes();
        }
    }

    /// Lets go what lives elsewhere in the present view, unless something of it is on its way.
    pub(crate) fn leave_homes(&mut self) {
        let me = self.core.me();
        let here = |id: EntityId| self.home_of(id) == Some(me);
        let away: Vec<_> = self.hosts.at_home().map(|(id, _)| id).filter(|id| !here(*id)).collect();
        self.hosts.leaving = false;
        for id in away {
            if self.hosts.reals.get(&id).is_some_and(Real::is_quiet) {
                self.unload(id);
            } else {
                self.hosts.leaving = true;
                self.busy_to_the_rest(id);
            }
        }
    }

    /// Forgets an entity, all but how it is shown.
    pub(crate) fn remove_real(&mut self, id: EntityId) -> Option<Real> {
        let real = self.hosts.reals.remove(&id)?;
        if let Some(center) = real.player.as_ref().and_then(|p| p.stands_around()) {
            self.interest.set_player(center, false);
        }
        if let Some(next) = real.next_change {
            self.hosts.changes.remove(&(next, id));
        }
        self.hosts.awake.remove(&id);
        self.hosts.suspended.remove(&id);
        Some(real)
    }

    /// Lets an entity go. It is durable as it is.
    pub(crate) fn unload(&mut self, id: EntityId) {
        if self.let_go(id) {
            self.publisher.hide(id);
        }
    }

    /// Lets an entity go, all but how it is shown; `false`: it is not here.
    pub(crate) fn let_go(&mut self, id: EntityId) -> bool {
        let Some(real) = self.remove_real(id) else { return false };
        real.children.iter().for_each(|c| self.publisher.hide(*c));
        if let Some(home) = self.home_of(id).filter(|home| real.player.is_some() || *home != self.core.me()) {
            self.core.send_home(home, HomeMessage::Released { entity: id, term: real.term });
        }
        true
    }
}
