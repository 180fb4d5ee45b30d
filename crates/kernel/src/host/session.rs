//! A player's session: a connection adopts it, continues it and gives it up; and how the player enters and leaves the world.

use std::collections::BTreeSet;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Time};
use gundo_wire::Kept;
use gundo_wire::journal::{EventType, NameChange, Session};

use super::desk::{Cx, Rooms, context};
use super::entity::Entity;
use super::pending::{Effect, Entry, Pending, Record};
use super::phase::Phase;
use super::player::Player;
use super::queue::{Resume, Work};
use super::room::Host;
use super::storage::Room;
use super::tx::Lock;
use super::vicinity::Vicinity;

use crate::core::{Core, Timer};
use crate::game::{RawDone, Refusal, Rule, Tell, game_error, guard};
use crate::peer::{Key, Line, Opened, Resumed, ToEdge};

/// How far from its last durable place a player must be for a new record, mm.
const PLACE_MM: u32 = 10_000;

/// How long a player stays at least whose lost connection has been heard of, ms.
const COMES_BACK_MS: u64 = 2_000;

/// What a new player's first decision adds to the adoption.
#[derive(Default)]
struct Created {
    events: Vec<(EventType, Bytes)>,
    names: Vec<NameChange>,
    signals: Vec<Bytes>,
    tells: Vec<Tell>,
    body: Option<Body>,
}

impl Entity {
    /// Adopts a session for a connection: a new player's, or one whose key is valid.
    pub(super) fn open_session(&mut self, cx: &mut Cx<'_>, work: Work) {
        let Work::Open { line, key, name, place, .. } = &work else { return };
        let (line, key, place) = (*line, *key, *place);
        let Some(player) = &self.player else { return cx.core.note_nonsense() };
        let fresh = player.session.known.adoption == 0;
        // A nonce comes from a new player, or from one whose first welcome was lost: then the first hello's name counts.
        let known = if fresh { matches!(key, Key::Nonce(_)) } else { player.knows(&key) };
        let known = known || !fresh && cx.core.planted(Planted::TokenUnchecked);
        if cx.core.stopping {
            let text = "The world is closing for a moment. Try again soon.";
            return self.refuse_open(cx, work, line, Refusal::new("not_ready", text));
        }
        if !known && matches!(key, Key::Code(_)) {
            let text = "This code has been used already, or its player is not in this world (any more).";
            return self.refuse_open(cx, work, line, Refusal::new("bad_code", text));
        }
        if !known && fresh && matches!(key, Key::Token(_)) {
            let text = "This player is not in this world (any more): it had done nothing here, or the world has gone back to before it came. \
                        Come in as a new one.";
            return self.refuse_open(cx, work, line, Refusal::new("no_player", text));
        }
        if !known {
            let text = "This key to your player is not valid here (any more).";
            return self.refuse_open(cx, work, line, Refusal::new("bad_token", text));
        }
        if !fresh && player.adopter == Some((player.session.known.adoption, line)) {
            return self.open_again(cx, work, line);
        }
        let mut created = Created::default();
        if fresh {
            match self.create(cx, name) {
                Ok(first) => created = first,
                Err(refusal) => return self.refuse_open(cx, work, line, refusal),
            }
        }
        if self.hold_back(cx, &work, fresh) {
            return;
        }
        let kept = created.body.is_none().then(|| self.stood_last(cx, place)).flatten();
        let stood = created.body.or(kept).or_else(|| self.player.as_ref().and_then(|p| p.placed()));
        let body = match stood.map_or_else(|| self.spawn(cx), Ok) {
            Ok(body) => Body { speed: 0, ..body },
            Err(refusal) => return self.refuse_open(cx, work, line, refusal),
        };
        self.adopt(cx, work, (line, key), body, created);
    }

    /// Its edge asks again for a connection that has the session already: messages between the two were lost. It gets the same
    /// answer. A second adoption would be another one's, as far as the edge knows.
    fn open_again(&mut self, cx: &mut Cx<'_>, work: Work, line: Line) {
        let (Some(player), Some(body)) = (&mut self.player, self.body) else {
            return cx.core.note_nonsense();
        };
        player.line = Some(line);
        player.leave_at = None;
        let center = *player.center.get_or_insert(body.chunk());
        let opened = opened(cx.core, (self.id, player.last_seq), &player.session.known, (body, center));
        self.emit_with_own(cx, work, |own| {
            let opened = Box::new(Opened { own, ..opened });
            Effect::Opened { line, before: Some(line), opened }
        });
    }

    /// Releases an effect that has the player's own state in it, when everything it depends on is durable.
    fn emit_with_own(&mut self, cx: &mut Cx<'_>, work: Work, effect: impl FnOnce(Bytes) -> Effect) {
        let own = guard(self.id, Rule::Private, || self.durable.state().private());
        let failed = own.is_err();
        self.emit(cx, Some(work), vec![effect(own.unwrap_or_default())]);
        if failed {
            self.on_game_panic(cx, "private");
        }
    }

    /// Records that a connection has the session.
    fn adopt(&mut self, cx: &mut Cx<'_>, work: Work, (line, key): (Line, Key), body: Body, created: Created) {
        assert!(self.life.is(Phase::Live) && self.lock.is_none(), "{}: only a live entity adopts", self.id);
        self.body = Some(body);
        let player = self.player.as_mut().expect("it has a session");
        let session = player.session_after(&key);
        player.adopter = Some((session.known.adoption, line));
        let Created { mut events, names, signals, tells, .. } = created;
        events.push((EventType::Session, session.encode()));
        let before = player.line.replace(line);
        player.leave_at = None;
        let center = *player.center.get_or_insert(body.chunk());
        let opened = opened(cx.core, (self.id, player.last_seq), &session.known, (body, center));
        let mut effects = vec![Effect::Opened { line, before, opened: Box::new(opened) }];
        effects.extend(signals.into_iter().map(Effect::Signal));
        effects.extend(tells.into_iter().map(Effect::Tell));
        let entry = Entry { work: Some(work), effects };
        self.record(cx, Record { events, names, entry, ..Record::default() });
    }

    /// The first decision of a new player.
    fn create(&mut self, cx: &mut Cx<'_>, name: &str) -> Result<Created, Refusal> {
        let place = self.player.as_ref().and_then(|p| p.placed());
        let place = (self.id, self.body.or(place), self.durable.last_at);
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, place, None);
        let decided = guard(self.id, Rule::Create, || self.durable.state().create(name, &mut rules));
        let mut decision = self.judge(cx, "create", decided)?;
        self.check_sizes(cx, "create", &decision)?;
        let events = self.events_of(cx.core, &mut decision, None);
        let RawDone { names, signals, tells, body, .. } = decision;
        Ok(Created { events, names, signals, tells, body })
    }

    /// The place of a player without a recorded one.
    pub(super) fn spawn(&mut self, cx: &mut Cx<'_>) -> Result<Body, Refusal> {
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, (self.id, None, self.durable.last_at), None);
        let spawned = guard(self.id, Rule::Spawn, || self.durable.state().spawn(&mut rules));
        if spawned.is_err() {
            self.on_game_panic(cx, "spawn");
        }
        spawned.map_err(|_| game_error())
    }

    /// Records the session as it is: nobody adopts it.
    pub(super) fn record_session(&mut self, cx: &mut Cx<'_>, session: &Kept<Session>) {
        let events = vec![(EventType::Session, session.encode())];
        self.record(cx, Record { events, ..Record::default() });
    }

    fn refuse_open(&mut self, cx: &mut Cx<'_>, work: Work, line: Line, refusal: Refusal) {
        self.emit(cx, Some(work), vec![Effect::OpenRefused { line, refusal }]);
        self.unload_if_gone(cx);
    }

    /// The player's node changed but its edge did not: the session goes on with the same connection. Nothing durable changes, so
    /// nothing is recorded.
    pub(super) fn resume_session(&mut self, cx: &mut Cx<'_>, resume: Resume) {
        let work = Work::Resume(resume);
        let Resume { line, adoption, wish, .. } = resume;
        let Some(player) = &self.player else { return cx.core.note_nonsense() };
        let newest = player.session.known.adoption;
        if newest == 0 && !cx.core.planted(Planted::AdoptionIgnored) {
            // The journal has gone back to a time before it came.
            return self.refuse_open(cx, work, line, unbegun());
        }
        if adoption < newest && !cx.core.planted(Planted::AdoptionIgnored) {
            self.emit(cx, Some(work), vec![Effect::Superseded { line }]);
            return self.unload_if_gone(cx);
        }
        let stands = self.stand_again(cx, &resume);
        let Some(player) = &mut self.player else { return };
        let (at, saved_us) = match stands {
            Ok(stands) => stands,
            Err(refusal) => return self.refuse_work(cx, &work, refusal),
        };
        // If its connection has closed meanwhile, the player is back for its grace time.
        player.line = resume.leaves_at.is_none().then_some(line);
        player.leave_at = resume.leaves_at;
        player.resumed_at = cx.core.now.time;
        let center = *player.center.get_or_insert(at.chunk());
        self.enter_world(cx);
        // Its client has walked on. If it may not go there, the answer tells the edge.
        let _ = self.step(cx, wish, saved_us);
        if adoption > newest {
            // The journal has lost that adoption. The next one must not have its number again.
            let Some(player) = &self.player else { return };
            let before = &player.session;
            let session = before.with(Session { adoption, ..before.known.clone() });
            self.record_session(cx, &session);
        }
        if let Some(leaves_at) = resume.leaves_at {
            return cx.core.at(leaves_at, Timer::Grace(self.id));
        }
        let body = self.body.unwrap_or(at);
        self.emit_with_own(cx, work, |own| Effect::Resumed {
            line,
            resumed: Box::new(Resumed { body, center, own }),
        });
    }

    /// Answers a connection that does not have the session. Either a newer one has it: once that is durable, this one learns that
    /// it is superseded. Or none has, because its edge counted as lost: the edge then asks to continue. Without `work` nothing is
    /// kept until then.
    pub(super) fn turn_line_away(&mut self, cx: &mut Cx<'_>, line: Line, work: Option<Work>) {
        if self.line().is_none() && self.player.is_some() {
            self.expect_back(cx);
            self.tell_edge(cx, line, ToEdge::NotHere);
        } else if work.is_some() || self.pending.is_empty() {
            self.emit(cx, work, vec![Effect::Superseded { line }]);
        }
    }

    /// A connection that was lost is there after all, and will ask to continue: its player does not leave before that, however long the
    /// journal has kept it from asking.
    fn expect_back(&mut self, cx: &Cx<'_>) {
        let grace_ms = cx.core.world().grace_ms.min(COMES_BACK_MS);
        let at = cx.core.now.time.plus_ms(grace_ms);
        if let Some(player) = &mut self.player {
            player.leave_at = player.leave_at.map(|leaves| leaves.max(at));
        }
    }

    // ---- in the world ----------------------------------------------------------------------------------

    /// The session is durable: the player stands in the world.
    pub(super) fn enter_world(&mut self, cx: &mut Cx<'_>) {
        let now = cx.core.now.time;
        let Some(player) = &mut self.player else { return };
        if !player.present {
            assert!(self.body.is_some() && player.center.is_some(), "a player in the world has a place");
            player.present = true;
            player.placed_at = now;
            player.moved_at = now;
            if let Some(center) = player.center {
                cx.crowd.interest.set_player(center, true);
            }
        }
        self.show(cx);
    }

    /// Where the body stands and the sight is centred.
    pub(super) fn whereabouts(&self) -> Option<(Body, ChunkId)> {
        Some((self.body?, self.player.as_ref()?.center?))
    }

    pub(super) fn on_line_gone(&mut self, cx: &mut Cx<'_>, line: Line, leave: bool) {
        self.pending.iter_mut().for_each(|p| p.forget_line(line));
        let grace_ms = if leave { 0 } else { cx.core.world().grace_ms };
        let leaves_at = cx.core.now.time.plus_ms(grace_ms);
        self.forget_requests(cx, line, (!leave).then_some(leaves_at));
        cx.desk.departures.line_gone(self.id, line, leave);
        // An adoption for that connection that is in flight goes on; when it has landed, the closed connection is found again.
        let Some(player) = self.player.as_mut().filter(|p| p.line == Some(line)) else {
            return cx.core.note_stale();
        };
        player.line = None;
        player.leave_at = Some(leaves_at);
        if let Some(body) = self.body.filter(|b| b.speed != 0) {
            let body = Body { speed: 0, ..body };
            self.body = Some(body);
            cx.crowd.publisher.move_to(self.id, Some(body));
        }
        cx.core.after_ms(grace_ms, Timer::Grace(self.id));
    }

    /// The edge of its connection continues it here.
    pub(super) fn hear(&mut self, line: Line) {
        if let Some(player) = &mut self.player {
            player.heard = Some(line);
        }
    }

    /// What a closed connection has asked for and what still waits is not done: nobody would have the session then, and the
    /// connection before it would have lost it.
    fn forget_requests(&mut self, cx: &mut Cx<'_>, line: Line, leaves_at: Option<Time>) {
        let held = self.queue.is_held() && self.queue.first_line() == Some(line);
        if cx.core.planted(Planted::GhostAdopted) || !self.queue.forget_line(line, leaves_at) {
            return;
        }
        if held {
            cx.desk.storage.let_go(self.id);
            self.run(cx);
        }
        self.unload_if_gone(cx);
    }

    /// Connections of these nodes that this player has, had or is to have.
    fn lines_of(&self, gone: &[NodeId]) -> BTreeSet<Line> {
        let pending = self.pending.iter().flat_map(Pending::lines);
        let all = self.line().into_iter().chain(self.queue.lines()).chain(pending);
        all.filter(|line| gone.contains(&line.edge)).collect()
    }

    /// The grace time is over, unless a connection has adopted the session again.
    pub(super) fn on_grace(&mut self, cx: &mut Cx<'_>) {
        let now = cx.core.now.time;
        let over = |leave_at: Option<Time>| leave_at.is_some_and(|at| at <= now);
        if self.player.as_ref().is_some_and(|p| p.line.is_none() && over(p.leave_at)) {
            self.leave(cx);
        }
    }

    /// Records where the player stands and takes it out of the world.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>) {
        self.record_place(cx, vec![Effect::Left]);
        self.unload_if_gone(cx);
    }

    pub(super) fn record_place(&mut self, cx: &mut Cx<'_>, effects: Vec<Effect>) {
        // Its next event is another's to append: it leaves within a second of that.
        if matches!(self.lock, Some(Lock::Participant { .. } | Lock::Elsewhere(_))) {
            return;
        }
        if cx.room() == Room::Busy && !cx.core.stopping {
            // Without room a walker's place is recorded some seconds later; a player that leaves waits until there is room.
            if !effects.is_empty() {
                cx.desk.storage.leave_later(self.id);
            }
            return;
        }
        let live = self.life.is(Phase::Live);
        let Some(player) = self.player.as_mut().filter(|p| live && p.present) else { return };
        player.placed_at = cx.core.now.time;
        let entry = Entry { work: None, effects };
        let events = vec![(EventType::Placed, Bytes::new())];
        self.record(cx, Record { events, entry, ..Record::default() });
    }

    pub(super) fn leave_world(&mut self, cx: &mut Cx<'_>) {
        let Some(player) = self.player.as_mut().filter(|p| p.line.is_none() && p.present) else { return };
        assert!(player.line.is_none(), "a player with a connection stays");
        player.present = false;
        player.quiet_since = None;
        if let Some(center) = player.center {
            cx.crowd.interest.set_player(center, false);
        }
        self.show(cx);
    }

    /// Unloads a player without a connection that is not in the world and has nothing in flight.
    pub(super) fn unload_if_gone(&mut self, cx: &mut Cx<'_>) {
        let is_gone = self.player.as_ref().is_some_and(|p| p.line.is_none() && !p.present);
        if is_gone && self.is_settled() && !self.stays(cx.core) {
            self.unload(cx);
        }
    }

    /// What is due for a player this second: it leaves, or its place becomes durable.
    pub(super) fn rests(&self, core: &Core) -> Option<Rest> {
        let (now, every_us) = (core.now.time, core.world().place_every_ms * 1_000);
        let player = self.player.as_ref()?;
        if !self.is_quiet() || self.life.is(Phase::Suspended) || !player.present && self.stays(core) {
            return None;
        }
        let gone = player.leave_at.is_some_and(|at| at <= now);
        if player.line.is_none() && (gone || !player.present) {
            // A player whose journal cannot be read cannot record its place.
            let places = player.present && self.life.is(Phase::Live);
            return Some(if places { Rest::Leave } else { Rest::Unload });
        }
        if !player.present || now.since(player.placed_at) < every_us {
            return None;
        }
        // A player who is here is not long gone, whatever it has done here.
        let keep_ms = core.world().unplayed_ms;
        if keep_ms > 0 && core.now.world.0.saturating_sub(self.durable.last_at.0) >= keep_ms / 2 {
            return Some(Rest::Place);
        }
        let last = player.placed();
        let far = |b: Body| last.is_none_or(|l| !l.at.within(b.at, PLACE_MM));
        self.body.is_some_and(far).then_some(Rest::Place)
    }
}

/// What a connection hears that has the session; its own state comes later.
fn opened(
    core: &Core,
    (id, last_seq): (EntityId, u64),
    session: &Session,
    (body, center): (Body, ChunkId),
) -> Opened {
    let token = core.settings.secret.token(id, session.newest);
    Opened {
        token: Bytes::copy_from_slice(&token.to_bytes()),
        // The highest number has no successor: a client that used it can send no more commands in this session.
        next_seq: last_seq.saturating_add(1),
        adoption: session.adoption,
        body,
        center,
        own: Bytes::new(),
        code: Player::next_code(session),
    }
}

/// The journal has lost a player from its first event on.
pub(super) fn unbegun() -> Refusal {
    Refusal::new("lost", "The world has gone back to a time before you came. Come in again.")
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Leave,
    Unload,
    Place,
}

impl Host {
    /// Edges were lost: the players whose connections those had stay for their grace time.
    pub(super) fn lose_lines(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        if gone.is_empty() {
            return;
        }
        self.arrivals.lose_lines(rooms.core, gone);
        let kind = rooms.core.settings.rules.player_kind();
        let players = self.entities.range(EntityId::new(kind, 0)..=EntityId::new(kind, u64::MAX));
        let lost: Vec<_> = players.map(|(id, player)| (*id, player.lines_of(gone))).collect();
        rooms.core.note_walk(lost.len());
        for (id, line) in lost.into_iter().flat_map(|(id, lines)| lines.into_iter().map(move |l| (id, l))) {
            self.with(rooms, id, |entity, cx| entity.on_line_gone(cx, line, false));
        }
    }

    /// Whether this connection's edge has continued the player here.
    pub(super) fn has_heard(&self, id: EntityId, line: Line) -> bool {
        let player = self.entities.get(&id).and_then(|entity| entity.player.as_ref());
        player.map_or_else(|| self.arrivals.has_heard(id, line), |player| player.heard == Some(line))
    }

    /// The node stops: all players leave the world at once.
    pub(crate) fn dismiss_players(&mut self, rooms: &mut Rooms<'_>) {
        let now = rooms.core.now.time;
        let players = self.those(rooms.core, |_, e| e.player.is_some());
        self.each(rooms, players, |entity, cx| {
            if let Some(player) = &mut entity.player {
                player.line = None;
                player.leave_at = Some(now);
            }
            entity.leave(cx);
        });
    }
}
