//! One entity that is real here, as a state machine: loading, what it shows, and unloading.
//!
//! An [`Entity`] loads from the journal, takes work in order, and delays every effect until the events behind it are
//! durable. Its methods take a context ([`Cx`]) with everything outside it that they may reach. Each concern has a file of its
//! own: `work` (taking work), `append` (how that becomes durable), `storage` (waiting for the journal), `isolation`
//! (failing game code), `player`, `session` and `walk` (what only players have), `tx` (transactions) and `handoff`.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Term, Time, WorldTime};
use gundo_wire::journal::{Loaded, Outcome};

use super::desk::{Cx, Desk, context};
use super::durable::Durable;
use super::pending::Pending;
use super::phase::{Life, Phase};
use super::player::Player;
use super::post::Mail;
use super::queue::{Letter, Queue, Work};
use super::timers::Alarm;
use super::trouble::Trouble;
use super::tx::Lock;
use super::vicinity::Vicinity;
use crate::core::Timer;
use crate::game::{Child, Role, Rule, Ticked, guard};
use crate::io::Output;
use crate::peer::{HomeMessage, Line, ToEdge};
use crate::retry;

/// Asks that one tick may give to its own entity. Further ones are dropped, and counted as refused commands.
const OWN_ASKS_MAX: usize = 4;

/// An entity that is real here.
pub(crate) struct Entity {
    pub(super) id: EntityId,
    pub(super) role: Role,
    /// The chunk that it permanently belongs to.
    pub(super) chunk: Option<ChunkId>,
    pub(super) term: Term,
    pub(super) life: Life,
    /// The load that its state comes from. Appends name it.
    pub(super) load: u64,
    pub(super) durable: Durable,
    /// Appends in flight, oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// Consecutive appends that met other events in the journal, or whose node had no row in `members`.
    pub(super) conflicts: u8,
    /// Consecutive loads whose state the game's code could not read.
    pub(super) breakdowns: u8,
    /// Consecutive loads that failed and fences whose outcome is unknown.
    pub(super) outages: u8,
    pub(super) lock: Option<Lock>,
    /// When a locked participant finds out by itself how its transaction ended.
    pub(super) locked_until: Time,
    pub(super) queue: Queue,
    pub(super) body: Option<Body>,
    /// What others see: as of the last durable event.
    pub(super) public: Option<Bytes>,
    /// When that next changes with time alone.
    next_change: Option<WorldTime>,
    /// Its state puts it outside its chunk: a bug of the game, which has been logged.
    misplaced: bool,
    pub(super) player: Option<Box<Player>>,
    /// Volatile children that are shown.
    children: BTreeSet<EntityId>,
    /// When somebody last needed it.
    pub(super) needed: Time,
    /// It is on the list of those that take no work here.
    pub(super) idle: bool,
    pub(super) trouble: Trouble,
    /// What it remembers of messages that it owes.
    pub(super) mail: Option<Box<Mail>>,
    /// A message that its rules failed over, and how often.
    pub(super) failing: Option<Box<(Letter, u8)>>,
    /// What it remembers of its timers.
    pub(super) alarm: Option<Box<Alarm>>,
}

impl Entity {
    /// An entity that is about to be loaded.
    pub(super) fn new(id: EntityId, role: Role, term: Term, now: Time) -> Self {
        Self {
            id,
            role,
            chunk: role.chunk_of(id),
            term,
            life: Life::new(),
            load: 0,
            durable: Durable::default(),
            pending: VecDeque::new(),
            conflicts: 0,
            outages: 0,
            breakdowns: 0,
            lock: None,
            locked_until: now,
            queue: Queue::default(),
            body: None,
            public: None,
            next_change: None,
            misplaced: false,
            player: (role == Role::Player).then(Box::default),
            children: BTreeSet::new(),
            needed: now,
            idle: false,
            trouble: Trouble::default(),
            mail: None,
            failing: None,
            alarm: None,
        }
    }

    // ---- what it is ------------------------------------------------------------------------------------

    pub(super) fn phase(&self) -> Phase {
        self.life.phase()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.life.is(Phase::Gone)
    }

    /// Whether it may take up the next piece of work.
    pub(super) fn takes_work(&self) -> bool {
        self.life.is(Phase::Live) && self.lock.is_none() && !self.queue.is_held()
    }

    /// Whether nothing of it is in flight.
    pub(super) fn is_settled(&self) -> bool {
        let idle = self.pending.is_empty() && self.lock.is_none() && self.queue.is_empty();
        self.life.is(Phase::Live) && idle
    }

    /// Whether it may be unloaded: nothing of it is in flight, or it takes no work at all.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_settled() || matches!(self.phase(), Phase::Broken | Phase::Suspended)
    }

    /// Whether it is a player in the world.
    pub(super) fn is_present(&self) -> bool {
        self.player.as_ref().is_some_and(|player| player.present)
    }

    /// Whether there is, or may be, something to see of it. An entity with a place exists from its first event.
    pub(super) fn may_be_seen(&self) -> bool {
        self.role != Role::Placed || self.durable.created > 0 || self.life.is(Phase::Loading)
    }

    /// The connection that its session uses.
    pub(super) fn line(&self) -> Option<Line> {
        self.player.as_ref()?.line
    }

    /// What decisions see of the entity itself.
    pub(super) fn place(&self) -> (EntityId, Option<Body>, WorldTime) {
        (self.id, self.body, self.durable.last_at)
    }

    /// The chunk at the centre of what it sees.
    pub(super) fn sees_around(&self, desk: &Desk) -> Option<ChunkId> {
        match self.role {
            Role::Player => self.player.as_ref()?.stands_around(),
            Role::Land | Role::Placed => self.chunk.filter(|chunk| desk.places.is_open(*chunk)),
            Role::Home => None,
        }
    }

    // ---- loading ---------------------------------------------------------------------------------------

    /// Loads it (again) from the journal. Its body stays.
    pub(super) fn start_load(&mut self, cx: &mut Cx<'_>) {
        // Events that are not durable, or depend on a lock, would be lost silently.
        assert!(self.pending.is_empty(), "{}: appends in flight end before a load", self.id);
        assert!(self.lock.is_none(), "{}: a transaction ends before a load", self.id);
        self.life.load();
        self.load = cx.core.next_load();
        cx.core.outputs.push_back(Output::Load { entity: self.id, load: self.load });
    }

    /// Loads it when `ms` have passed.
    pub(super) fn load_after_ms(&mut self, cx: &mut Cx<'_>, ms: u64) {
        self.life.load();
        self.load = cx.core.next_load();
        cx.core.after_ms(ms, Timer::LoadRetry(self.id));
    }

    /// The journal did not do its part: `retry` is due after a back-off.
    pub(super) fn after_outage(&mut self, cx: &mut Cx<'_>, retry: Timer) {
        let wait_ms = cx.core.retry_ms(retry::JOURNAL, self.outages);
        self.outages = self.outages.saturating_add(1);
        cx.core.after_ms(wait_ms, retry);
    }

    pub(super) fn on_load_retry(&mut self, cx: &mut Cx<'_>) {
        let is_broken = self.life.is(Phase::Broken) && !self.is_blamed(cx);
        if self.life.is(Phase::Loading) || is_broken {
            self.start_load(cx);
        }
    }

    /// It is loaded and cannot be used: it refuses everything.
    fn break_down(&mut self, cx: &mut Cx<'_>) {
        self.life.break_down();
        self.refuse_all(cx);
    }

    pub(super) fn on_loaded(&mut self, cx: &mut Cx<'_>, load: u64, result: Result<Loaded, String>) {
        if self.load != load || !self.life.is(Phase::Loading) {
            return cx.core.note_stale();
        }
        // An older generation: somebody has read a copy that stayed behind.
        let present = cx.core.generation.unwrap_or(0);
        let Some(loaded) = result.ok().filter(|loaded| loaded.generation >= present) else {
            self.answer_late(cx);
            return self.after_outage(cx, Timer::LoadRetry(self.id));
        };
        self.outages = 0;
        let is_cut = cx.desk.tails.compare(self.id, &loaded);
        let session = self.player.as_ref().filter(|_| is_cut).map(|player| player.session.clone());
        if self.is_blamed(cx) {
            return self.break_down(cx);
        }
        let rules = cx.core.settings.rules.clone();
        let (id, durable, player) = (self.id, &mut self.durable, &mut self.player);
        let restored =
            guard(id, Rule::Restore, || durable.restore(id, &rules, player.as_deref_mut(), &loaded));
        if cx.core.acts_newer {
            self.durable.add_later_fields(id, self.player.as_deref_mut());
        }
        if !matches!(restored, Ok(Ok(()))) {
            cx.core.counters.broken += 1;
            self.break_down(cx);
            if restored.is_err() {
                self.on_game_panic(cx, "restore");
            }
            let wait_ms = cx.core.retry_ms(retry::BROKEN, self.breakdowns);
            self.breakdowns = self.breakdowns.saturating_add(1);
            return cx.core.after_ms(wait_ms, Timer::LoadRetry(self.id));
        }
        self.breakdowns = 0;
        if self.trouble.is_suspended() {
            self.life.suspend();
            return self.refuse_suspended(cx);
        }
        self.life.loaded();
        self.mail = None;
        self.forget_owed(cx);
        self.forget_timers(cx.core);
        self.list_alarm(cx);
        self.refresh(cx);
        self.send_mail(cx);
        self.tell_own(cx);
        if let Some(session) = session {
            self.mend_session(cx, session);
        }
        self.run(cx);
        self.unload_if_gone(cx);
    }

    /// After a reload an append of unknown outcome may have landed without the player hearing of it; or it took part in another's
    /// transaction.
    pub(super) fn tell_own(&mut self, cx: &mut Cx<'_>) {
        let Some(line) = self.line() else { return };
        match guard(self.id, Rule::Private, || self.durable.state().private()) {
            Ok(own) => cx.core.send_edge(line.edge, line.conn, self.id, ToEdge::Own(own)),
            Err(_) => self.on_game_panic(cx, "private"),
        }
    }

    // ---- what others see -------------------------------------------------------------------------------

    /// Computes the public part as of now and shows it. Call it only when everything applied is durable.
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>) {
        if !self.life.shows() || !self.pending.is_empty() {
            return;
        }
        let at = cx.core.now.world.max(self.durable.last_at);
        let state = self.durable.state();
        let Ok((public, next)) = guard(self.id, Rule::Public, || (state.public(at), state.next_change(at)))
        else {
            return self.on_game_panic(cx, "public");
        };
        if self.role == Role::Placed {
            let Ok(place) = guard(self.id, Rule::Place, || state.place()) else {
                return self.on_game_panic(cx, "place");
            };
            self.stand(cx, place.filter(|_| self.may_be_seen()));
        }
        self.public = public;
        self.forget_change(cx);
        // A change that is not in the future would repeat within this tick forever.
        self.next_change = next.filter(|t| *t > at);
        if let Some(next) = self.next_change {
            cx.desk.changes.insert((next, self.id));
        }
        self.show(cx);
    }

    /// Its next change is due.
    pub(super) fn on_change_due(&mut self, cx: &mut Cx<'_>) {
        self.next_change = None;
        self.refresh(cx);
    }

    fn forget_change(&mut self, cx: &mut Cx<'_>) {
        if let Some(before) = self.next_change.take() {
            let was = cx.desk.changes.remove(&(before, self.id));
            assert!(was, "{}: a change to come is listed", self.id);
        }
    }

    /// Puts an entity with a place there, unless the game puts it outside its chunk.
    fn stand(&mut self, cx: &mut Cx<'_>, place: Option<Body>) {
        let stands = place.filter(|body| self.chunk.is_some_and(|chunk| chunk.has(body)));
        let misplaced = place.is_some() && stands.is_none();
        if misplaced && !self.misplaced {
            cx.core.counters.misplaced += 1;
            cx.core.outputs.push_back(Output::Panicked { entity: self.id, doing: "place", suspended: false });
        }
        self.misplaced = misplaced;
        self.body = stands.map(|body| Body { heading: body.heading & 127, speed: 0, ..body });
    }

    /// Shows it as of its last durable event, if it is land, a present player, or an entity at its place; and marks it, if it is
    /// watched, for the next tick.
    pub(super) fn show(&self, cx: &mut Cx<'_>) {
        cx.desk.watchers.mark(self.id);
        let present = self.player.as_ref().is_some_and(|player| player.present);
        let chunk = match self.role {
            Role::Player => self.body.filter(|_| present).map(|body| body.chunk()),
            Role::Land => self.chunk,
            Role::Placed => self.chunk.filter(|_| self.body.is_some()),
            Role::Home => None,
        };
        match (chunk, &self.public) {
            (Some(chunk), Some(public)) => {
                cx.crowd.publisher.show(self.id, self.term, chunk, public.clone(), self.body);
            }
            _ => cx.crowd.publisher.hide(self.id),
        }
    }

    /// Its volatile behaviour, for one tick.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        if !self.life.is(Phase::Live) || !self.may_be_seen() {
            return;
        }
        let tick_ms = cx.core.world().tick_ms;
        let (place, center) = (self.place(), self.sees_around(cx.desk));
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, center);
        let state = self.durable.state_mut().expect("a live entity has a state");
        let mut ticked = Ticked::default();
        let mut rules = context(cx.core, &eyes, place, None);
        if guard(self.id, Rule::Tick, || state.tick(tick_ms, &mut rules, &mut ticked)).is_err() {
            ticked = Ticked::default();
            self.on_game_panic(cx, "tick");
        }
        let Ticked { children, asks } = ticked;
        self.show_children(cx, children);
        cx.core.counters.commands_refused += asks.len().saturating_sub(OWN_ASKS_MAX) as u64;
        for ask in asks.into_iter().take(OWN_ASKS_MAX) {
            self.submit(cx, Work::Own(ask));
        }
    }

    fn show_children(&mut self, cx: &mut Cx<'_>, children: Vec<Child>) {
        if children.is_empty() && self.children.is_empty() {
            return;
        }
        let id = self.id;
        let child_id = |c: &Child| EntityId::new(c.kind, id.id << 8 | u64::from(c.index));
        let ids = children.iter().map(child_id).collect();
        for gone in self.children.difference(&ids) {
            cx.crowd.publisher.hide(*gone);
        }
        self.children = ids;
        for child in children {
            let (id, chunk) = (child_id(&child), child.body.chunk());
            cx.crowd.publisher.show(id, self.term, chunk, child.public, Some(child.body));
        }
    }

    /// Nobody looks at it: its volatile part ends.
    pub(super) fn sleep(&mut self, cx: &mut Cx<'_>) {
        for child in std::mem::take(&mut self.children) {
            cx.crowd.publisher.hide(child);
            self.durable.state_mut().map(|state| guard(self.id, Rule::Tick, || state.sleep()));
        }
    }

    // ---- unloading -------------------------------------------------------------------------------------

    /// It is not real here any more. Its published look stays.
    pub(super) fn forget(&mut self, cx: &mut Cx<'_>) {
        cx.desk.tails.leave(self.id, self.known());
        if let Some(center) = self.player.as_ref().and_then(|p| p.stands_around()) {
            cx.crowd.interest.set_player(center, false);
        }
        self.forget_change(cx);
        self.unlist_alarm(cx);
        cx.desk.awake.remove(&self.id);
        cx.desk.suspended.remove(&self.id);
        cx.desk.departures.remove(self.id);
        if let Some(Lock::Coordinating(tx)) = self.lock.take() {
            cx.abort(tx);
        }
        // Their outcomes do not matter here any more: the next load reads the result from the journal.
        for pending in std::mem::take(&mut self.pending) {
            cx.desk.appends.forget(pending.batch);
            self.end_joint(cx, pending.joint, &Outcome::Unknown);
        }
        self.life.leave();
    }

    /// Unloads it: everything of it is durable.
    pub(super) fn unload(&mut self, cx: &mut Cx<'_>) {
        self.let_go(cx);
        cx.crowd.publisher.hide(self.id);
    }

    /// Unloads it except for its published look, and tells its home.
    pub(super) fn let_go(&mut self, cx: &mut Cx<'_>) {
        self.forget(cx);
        self.children.iter().for_each(|child| cx.crowd.publisher.hide(*child));
        let home = cx.core.home_of(self.id).filter(|home| self.player.is_some() || *home != cx.core.me());
        if let Some(home) = home {
            cx.core.send_home(home, HomeMessage::Released { entity: self.id, term: self.term });
        }
    }

    /// Asserts its invariants between two inputs.
    pub(super) fn check(&self, cx: &Cx<'_>) {
        let id = self.id;
        assert!(!self.is_gone(), "{id}: an unloaded entity is forgotten at once");
        assert!(self.durable.snapshot_seq <= self.durable.seq, "{id}: a snapshot covers applied events only");
        assert!(
            self.pending.iter().all(|p| cx.desk.appends.is_of(p.batch, id)),
            "{id}: its appends in flight are on the list"
        );
        assert!(
            self.pending.iter().zip(self.pending.iter().skip(1)).all(|(a, b)| a.after < b.after),
            "{id}: appends follow each other"
        );
        assert!(!matches!(self.phase(), Phase::Loading | Phase::Frozen) || self.pending.is_empty());
        assert!(!matches!(self.phase(), Phase::Loading | Phase::Frozen) || self.lock.is_none());
        let handed_over = matches!(self.phase(), Phase::Freezing | Phase::Frozen);
        assert!(!handed_over || cx.desk.departures.get(id).is_some(), "{id}: a handoff is on the list");
        assert!(self.player.is_some() || self.line().is_none());
        assert_eq!(
            self.player.is_some(),
            self.role == Role::Player,
            "{id}: only players have a player's part"
        );
        assert!(!self.queue.is_held() || !self.queue.is_empty(), "{id}: only work waits for the journal");
        if let Some(next) = self.next_change {
            assert!(cx.desk.changes.contains(&(next, id)), "{id}: a change to come is listed");
        }
        if let Some(at) = self.alarm.as_ref().and_then(|alarm| alarm.listed) {
            assert!(cx.desk.alarms.contains(&(at, id)), "{id}: its alarm is listed");
        }
        assert_eq!(
            cx.desk.suspended.contains(&id),
            self.trouble.is_suspended(),
            "{id}: suspension is listed"
        );
        if let Some(Lock::Coordinating(tx)) = &self.lock {
            assert!(cx.desk.txs.is_of(*tx, id), "{id}: the transaction it coordinates is on the list");
        }
    }
}
