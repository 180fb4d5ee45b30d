//! What only players have: the answers they remember, the line of their session, a body that moves, a place in the
//! world.
//!
//! Answers, token digests and the last place are durable: they are rebuilt from the causes of events and kept in
//! snapshots. Line, refusals and moves are not.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Planted, Point, Time};
use gundo_wire::journal::{Answer, Cause, EventType, Place, Session, SnapshotParts};
use gundo_wire::{DecodeError, Kept, fingerprint};
use rand_core::Rng;
use sha2::{Digest, Sha256};

use crate::Node;
use crate::append::{Effect, Entry, Record};
use crate::core::Timer;
use crate::game::Refusal;
use crate::host::{Phase, context, game_error, guard};
use crate::peer::{Key, Line, Opened, Peer, Resumed, ToEdge, ToPlayer};
use crate::storage::Room;
use crate::work::{Command, Work};

/// Answers kept in durable state: as many as a session may have unanswered.
const ANSWERS_MAX: usize = 32;
/// A body must be this far outside its chunk before the sight moves along: walking on a border stirs nothing.
const CENTER_SLACK_MM: i32 = 3_000;
/// A walk beyond this distance from the last durable place is worth a new record, mm.
const PLACE_MM: u32 = 10_000;

/// The engine's part of a player.
#[derive(Default)]
pub(crate) struct Player {
    /// Those to the highest numbers, ascending.
    answers: VecDeque<Kept<Answer>>,
    /// Refusals given since the load, so that a repeat gets the same answer.
    pub(crate) refusals: VecDeque<(u64, u64, Refusal)>,
    pub(crate) session: Kept<Session>,
    place: Option<Kept<Place>>,
    /// Highest seq decided.
    pub(crate) last_seq: u64,
    pub(crate) line: Option<Line>,
    /// Whether it stands in the world for others to see.
    pub(crate) present: bool,
    /// Without a line: when it leaves the world.
    pub(crate) leave_at: Option<Time>,
    pub(crate) placed_at: Time,
    /// Distance it may still go at once, mm; grows with time.
    pub(crate) credit_mm: u64,
    pub(crate) moved_at: Time,
    /// The chunk its sight is centred on.
    pub(crate) center: Option<ChunkId>,
    /// Where its surroundings live, if that is another node, and since when.
    pub(crate) away: Option<(NodeId, Time)>,
    /// It is not handed to another node before that.
    pub(crate) stays_until: Time,
}

/// What is known of a command.
pub(crate) enum Known {
    /// It has been answered, or may not be.
    Answer(Result<Bytes, Refusal>),
    /// It is to be decided.
    New,
}

impl Player {
    pub(crate) fn forget_records(&mut self) {
        self.answers.clear();
        self.session = Kept::default();
        self.place = None;
    }

    pub(crate) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    pub(crate) fn restore(&mut self, snapshot: SnapshotParts) -> Result<(), DecodeError> {
        self.answers = snapshot.answers.into_iter().map(Kept::decode).collect::<Result<_, _>>()?;
        self.answers.make_contiguous().sort_by_key(|a| a.known.seq);
        self.session = Kept::decode(snapshot.session.unwrap_or_default())?;
        self.place = snapshot.place.map(Kept::decode).transpose()?;
        self.last_seq = self.answers.back().map_or(0, |a| a.known.seq).max(self.last_seq);
        Ok(())
    }

    pub(crate) fn add_later_fields(&mut self, tag: u32, value: u64) {
        self.session.add_unknown(tag, value);
        self.answers.iter_mut().for_each(|a| a.add_unknown(tag, value));
    }

    pub(crate) fn drop_later_fields(&mut self) {
        self.session = std::mem::take(&mut self.session.known).into();
        self.answers.iter_mut().for_each(|a| *a = std::mem::take(&mut a.known).into());
    }

    pub(crate) fn snapshot_into(&self, snapshot: &mut SnapshotParts) {
        snapshot.answers = self.answers.iter().map(Kept::encode).collect();
        snapshot.session = Some(self.session.encode());
        snapshot.place = self.place.as_ref().map(Kept::encode);
    }

    pub(crate) fn apply(
        &mut self,
        event_type: EventType,
        payload: &[u8],
        cause: &Cause,
    ) -> Result<(), DecodeError> {
        if event_type == EventType::Session {
            self.session = Kept::decode(payload.to_vec())?;
        }
        if cause.seq > 0 {
            // By number and not by when they had their effect: of two commands the later may be the one that was refused
            // at first and said again. So whatever is above the lowest kept and not kept never had an effect.
            let (seq, fingerprint, reply) = (cause.seq, cause.fingerprint, cause.reply.clone());
            let at = self.answers.partition_point(|a| a.known.seq < seq);
            self.answers.insert(at, Answer { seq, fingerprint, reply }.into());
            if self.answers.len() > ANSWERS_MAX {
                self.answers.pop_front();
            }
            self.last_seq = self.last_seq.max(seq);
        }
        // A place is a whole: the next one has nothing of the last.
        if let Some(place) = cause.place {
            self.place = Some(place.into());
        }
        Ok(())
    }

    /// What is known of the command `seq` with this fingerprint. `window`: answers a client may count on.
    pub(crate) fn known(&self, seq: u64, fingerprint: u64, window: usize) -> Known {
        let not_the_same = || {
            let text = "This number was used for another command already.";
            Known::Answer(Err(Refusal::new("not_the_same", text)))
        };
        if let Some(answer) = self.answers.iter().map(|a| &a.known).find(|a| a.seq == seq) {
            let same = answer.fingerprint == fingerprint;
            return if same { Known::Answer(Ok(answer.reply.clone())) } else { not_the_same() };
        }
        if let Some((_, print, refusal)) = self.refusals.iter().find(|(s, ..)| *s == seq) {
            let same = *print == fingerprint;
            return if same { Known::Answer(Err(refusal.clone())) } else { not_the_same() };
        }
        // What is not in a full window is older than it: it may have had its effect long ago.
        let full = self.answers.len() >= window.min(ANSWERS_MAX);
        let oldest = self.answers.front().map_or(0, |a| a.known.seq);
        if seq == 0 || (full && seq < oldest) {
            return Known::Answer(Err(Refusal::new("too_old", "This command was answered long ago.")));
        }
        Known::New
    }

    /// Around which chunk it needs its surroundings.
    pub(crate) fn stands_around(&self) -> Option<ChunkId> {
        self.center.filter(|_| self.present)
    }

    /// Its connection is gone, and it waits for no other.
    pub(crate) fn leave_now(&mut self, now: Time) {
        self.leave_at = Some(now);
    }

    /// Whether its grace time is over.
    pub(crate) fn is_due_to_leave(&self, now: Time) -> bool {
        self.line.is_none() && self.present && self.leave_at.is_some_and(|at| at <= now)
    }

    /// An adoption came to nothing: the line before it, unless that is gone by now, holds again.
    pub(crate) fn give_line_back(&mut self, before: Option<Line>, leaves_at: Time) {
        self.line = before;
        self.leave_at = if before.is_some() { None } else { self.leave_at.or(Some(leaves_at)) };
    }

    pub(crate) fn remember_refusal(&mut self, seq: u64, payload: &[u8], refusal: &Refusal, window: usize) {
        if self.refusals.len() >= window {
            self.refusals.pop_front();
        }
        self.refusals.push_back((seq, fingerprint(payload), refusal.clone()));
    }

    /// These pieces of work are done again: what was answered to them before was never told.
    pub(crate) fn forget_refusals<'a>(&mut self, work: impl Iterator<Item = &'a Work>) {
        for item in work {
            if let Work::Command(c) = item {
                self.refusals.retain(|(seq, ..)| *seq != c.seq);
            }
        }
    }

    fn knows(&self, key: &Key) -> bool {
        let digest = Sha256::digest(key.secret());
        let same = |known: &[u8]| !known.is_empty() && known == digest.as_slice();
        let session = &self.session.known;
        same(&session.token) || same(&session.token_before) || session.tokens_given.iter().any(|t| same(t))
    }

    /// The session after a resume with `key`, and the token its client gets.
    ///
    /// The token is derived from the key and a salt of the session, so the same key gets the same token until that is used: hellos
    /// arrive late, out of order and from several devices, and nobody knows which welcome was heard.
    fn session_after(&self, key: &Key, salt: [u8; 16]) -> (Kept<Session>, [u8; 16]) {
        let before = Bytes::copy_from_slice(&Sha256::digest(key.secret()));
        let session = &self.session.known;
        let again = before == session.token_before;
        let kept = again && !session.salt.is_empty();
        let salt = if kept { session.salt.clone() } else { Bytes::copy_from_slice(&salt) };
        let derived = Sha256::new().chain_update(&salt).chain_update(key.secret()).finalize();
        let token = *derived.first_chunk().expect("a digest has 32 bytes");
        let digest = Bytes::copy_from_slice(&Sha256::digest(token));
        let mut given = if again { session.tokens_given.clone() } else { Vec::new() };
        if again && digest != session.token {
            given.push(session.token.clone());
        }
        given.drain(..given.len().saturating_sub(TOKENS_GIVEN_MAX));
        let session = Session {
            session: 1,
            token: digest,
            token_before: before,
            adoption: session.adoption + 1,
            tokens_given: given,
            salt,
        };
        (self.session.with(session), token)
    }
}

/// Tokens that versions which draw them by chance gave for the same key, and that are good besides ours.
const TOKENS_GIVEN_MAX: usize = 3;

impl Node {
    /// A message from the edge of a session.
    pub(crate) fn handle_player(&mut self, id: EntityId, line: Line, message: ToPlayer) {
        if !self.hosts.reals.contains_key(&id) {
            // It is about to be: what is said to it waits.
            if self.handoffs.is_arriving(id) {
                return self.wait_for_arrival(id, line, message);
            }
            if !matches!(message, ToPlayer::Gone { .. }) {
                self.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
            }
            return;
        }
        let since = self.core.now.time;
        match message {
            ToPlayer::Open { key, name } => self.submit(id, Work::Open { line, key, name, since }),
            ToPlayer::Resume { adoption, body } => self.submit(id, Work::Resume { line, adoption, body }),
            ToPlayer::Command { seq, payload, question } => {
                let command = Command { line, seq, payload, since, question, tries: 0, losses: 0, age: None };
                self.submit(id, Work::Command(command));
            }
            ToPlayer::Move { seq, body } => self.walk(id, line, seq, body),
            ToPlayer::Gone { leave } => self.on_line_gone(id, line, leave),
        }
    }

    // ---- sessions --------------------------------------------------------------------------------------

    /// Adopts a session into a line: a new player's, or one whose key fits.
    pub(crate) fn open_session(&mut self, id: EntityId, line: Line, key: Key, name: String, since: Time) {
        let work = Work::Open { line, key, name: name.clone(), since };
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        let fresh = player.session.known.adoption == 0;
        // With a nonce comes a new player, or one whose first welcome was lost: its name is the first one's then.
        let known = if fresh { matches!(key, Key::Nonce(_)) } else { player.knows(&key) };
        let known = known || !fresh && self.core.planted(Planted::TokenUnchecked);
        if !known || self.core.stopping {
            let refusal = if self.core.stopping {
                Refusal::new("not_ready", "The world is closing for a moment. Try again soon.")
            } else {
                Refusal::new("bad_token", "This key to your player is not valid here (any more).")
            };
            self.emit(id, Some(work), vec![Effect::OpenRefused { line, refusal }]);
            return self.unload_if_gone(id);
        }
        let state = real.state.as_ref().expect("a live entity has a state");
        let mut body = real.body.or_else(|| player.place.as_ref().map(|p| body_of(&p.known)));
        let mut events = Vec::new();
        let (mut names, mut signals) = (Vec::new(), Vec::new());
        if fresh {
            let mut cx = context(&mut self.core, &self.interest, (id, body, real.last_at), None);
            let decided = guard(|| state.create(&name, &mut cx));
            match self.judge(id, "create", decided) {
                Ok(decision) => {
                    events.extend(decision.events.into_iter().map(|e| (EventType::Game, e)));
                    (names, signals) = (decision.names, decision.signals);
                    body = decision.body.or(body);
                }
                Err(refusal) => {
                    self.emit(id, Some(work), vec![Effect::OpenRefused { line, refusal }]);
                    return self.unload_if_gone(id);
                }
            }
        }
        if self.hold_back(id, &work, fresh) {
            return;
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if body.is_none() {
            let state = real.state.as_ref().expect("a live entity has a state");
            let mut cx = context(&mut self.core, &self.interest, (id, None, real.last_at), None);
            let spawned = guard(|| state.spawn(&mut cx));
            if spawned.is_err() {
                self.on_game_panic(id, "spawn");
                let refusal = game_error();
                self.emit(id, Some(work), vec![Effect::OpenRefused { line, refusal }]);
                return self.unload_if_gone(id);
            }
            body = spawned.ok();
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        let body = Body { speed: 0, ..body.unwrap_or_default() };
        real.body = Some(body);
        let mut salt = [0; 16];
        self.core.rng.fill_bytes(&mut salt);
        let (session, token) = player.session_after(&key, salt);
        events.push((EventType::Session, session.encode()));
        let before = player.line.replace(line);
        player.leave_at = None;
        let center = *player.center.get_or_insert(body.chunk());
        let opened = Opened {
            token,
            // The highest number there is has no next: who used it has used its session up.
            next_seq: player.last_seq.saturating_add(1),
            adoption: session.known.adoption,
            body,
            center,
            own: Bytes::new(),
        };
        let mut effects: Vec<_> = signals.into_iter().map(Effect::Signal).collect();
        effects.insert(0, Effect::Opened { line, before, opened: Box::new(opened) });
        let entry = Entry { work: Some(work), effects };
        self.record(id, Record { events, cause: Cause::default(), names, tx: None, entry });
    }

    /// Its node is another now, its edge is not: the session goes on in the same line. Nothing is recorded, for nothing has
    /// changed.
    pub(crate) fn resume_session(&mut self, id: EntityId, line: Line, adoption: u64, body: Body) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        if player.session.known.adoption != adoption && !self.core.planted(Planted::AdoptionIgnored) {
            let work = Work::Resume { line, adoption, body };
            self.emit(id, Some(work), vec![Effect::Superseded { line }]);
            return self.unload_if_gone(id);
        }
        player.line = Some(line);
        player.leave_at = None;
        let stood = real.body.is_some();
        if !stood {
            // It was lost with its node, and what its edge heard of it last is all there is.
            real.body = Some(body);
            player.credit_mm = u64::from(u32::MAX);
        }
        let at = *real.body.get_or_insert(body);
        let center = *player.center.get_or_insert(at.chunk());
        self.enter_world(id);
        if stood {
            // It came with its body, and its client has walked on meanwhile. Where it may not go the edge hears from the answer.
            let _ = self.step(id, body);
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let state = real.state.as_ref().expect("a live entity has a state");
        let own = guard(|| state.private());
        let failed = own.is_err();
        let own = own.unwrap_or_default();
        let resumed = Box::new(Resumed { body: real.body.unwrap_or(at), center, own });
        let work = Work::Resume { line, adoption, body };
        self.emit(id, Some(work), vec![Effect::Resumed { line, resumed }]);
        if failed {
            self.on_game_panic(id, "private");
        }
    }

    /// The session is durable: the player stands in the world.
    pub(crate) fn enter_world(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        if !player.present {
            player.present = true;
            player.placed_at = self.core.now.time;
            player.moved_at = self.core.now.time;
            if let Some(center) = player.center {
                self.interest.set_player(center, true);
            }
        }
        self.show(id);
    }

    /// Where the body stands and the sight is centred.
    pub(crate) fn whereabouts(&self, id: EntityId) -> Option<(Body, ChunkId)> {
        let real = self.hosts.reals.get(&id)?;
        Some((real.body?, real.player.as_ref()?.center?))
    }

    fn on_line_gone(&mut self, id: EntityId, line: Line, leave: bool) {
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.pending.iter_mut().for_each(|p| p.forget_line(line));
        self.handoffs.line_gone(id, line, leave);
        // A session that is still being adopted by that line is adopted all the same; then the line is found gone again.
        let Some(player) = real.player.as_mut().filter(|p| p.line == Some(line)) else { return };
        player.line = None;
        if self.core.planted(Planted::PlayerStays) {
            return;
        }
        let at_once = leave || self.core.planted(Planted::NoGrace);
        let grace_ms = if at_once { 0 } else { self.core.settings.world.grace_ms };
        player.leave_at = Some(now.plus_ms(grace_ms));
        if let Some(body) = real.body.filter(|b| b.speed != 0) {
            let body = Body { speed: 0, ..body };
            real.body = Some(body);
            self.publisher.move_to(id, Some(body));
        }
        self.core.after_ms(grace_ms, Timer::Grace(id));
    }

    /// Nodes are gone, and with them connections of players that are real here: they stay for their grace time.
    pub(crate) fn lose_lines(&mut self, gone: &[NodeId]) {
        let line = |r: &crate::host::Real| r.player.as_ref()?.line.filter(|l| gone.contains(&l.edge));
        let lost: Vec<_> = self.hosts.reals.values().filter_map(|r| Some((r.id, line(r)?))).collect();
        for (id, line) in lost {
            self.on_line_gone(id, line, false);
        }
    }

    /// The grace period is over, unless somebody came back.
    pub(crate) fn on_grace(&mut self, id: EntityId) {
        let now = self.core.now.time;
        let player = self.hosts.reals.get(&id).and_then(|r| r.player.as_ref());
        if player.is_some_and(|p| p.line.is_none() && p.leave_at.is_some_and(|at| at <= now)) {
            self.leave(id);
        }
    }

    /// Records where the player stands and takes it out of the world.
    pub(crate) fn leave(&mut self, id: EntityId) {
        self.record_place(id, vec![Effect::Left]);
        self.unload_if_gone(id);
    }

    fn record_place(&mut self, id: EntityId, effects: Vec<Effect>) {
        if self.room() == Room::Busy && !self.core.stopping {
            // Where somebody walks is recorded some seconds later; who leaves leaves as soon as there is room.
            if !effects.is_empty() {
                self.storage.leave_later(id);
            }
            return;
        }
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        if real.phase != Phase::Live || !player.present {
            return;
        }
        player.placed_at = now;
        let entry = Entry { work: None, effects };
        let events = vec![(EventType::Placed, Bytes::new())];
        self.record(id, Record { events, cause: Cause::default(), names: Vec::new(), tx: None, entry });
    }

    pub(crate) fn leave_world(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = real.player.as_mut().filter(|p| p.line.is_none() && p.present) else { return };
        player.present = false;
        if let Some(center) = player.center {
            self.interest.set_player(center, false);
        }
        self.show(id);
    }

    /// A player without a line that is not in the world and has nothing on its way need not be here.
    pub(crate) fn unload_if_gone(&mut self, id: EntityId) {
        let Some(real) = self.hosts.reals.get(&id) else { return };
        let Some(player) = &real.player else { return };
        if player.line.is_none() && !player.present && real.is_settled() {
            self.unload(id);
        }
    }

    /// Once per second: those who left during a reload leave now; places of those who walked far become durable.
    pub(crate) fn rest_players(&mut self) {
        let (now, every) = (self.core.now.time, self.core.world().place_every_ms * 1_000);
        let (mut leaving, mut walked) = (Vec::new(), Vec::new());
        for (id, real) in &self.hosts.reals {
            let Some(player) = &real.player else { continue };
            if !real.is_quiet() || real.phase == Phase::Suspended {
                continue;
            }
            let gone = player.leave_at.is_some_and(|at| at <= now);
            if player.line.is_none() && (gone || !player.present) {
                // Of one that cannot be read no place can be recorded.
                leaving.push((*id, player.present && real.phase == Phase::Live));
            } else if player.present && now.since(player.placed_at) >= every {
                let last = player.place.as_ref().map(|p| body_of(&p.known));
                let far = |b: Body| last.is_none_or(|l| !l.at.within(b.at, PLACE_MM));
                if real.body.is_some_and(far) {
                    walked.push(*id);
                }
            }
        }
        for (id, present) in leaving {
            if present { self.leave(id) } else { self.unload(id) }
        }
        for id in walked {
            self.record_place(id, Vec::new());
        }
    }

    // ---- moving ----------------------------------------------------------------------------------------

    /// A client's wish where its body be. Volatile: nothing is recorded.
    pub(crate) fn walk(&mut self, id: EntityId, line: Line, seq: u32, wish: Body) {
        if self.core.planted(Planted::MotionWaits) && self.room() == Room::Busy {
            return;
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let Some(player) = &mut real.player else { return };
        if player.line != Some(line) && !self.core.planted(Planted::OldLineObeyed) {
            return self.turn_line_away(id, line, None);
        }
        if real.phase == Phase::Frozen {
            return self.handoffs.walked(id, line, seq, wish);
        }
        if let Err((body, refusal)) = self.step(id, wish) {
            let code = refusal.code.into_owned();
            self.core.send_edge(line.edge, line.conn, id, ToEdge::Correction { seq, body, code });
        }
    }

    /// Something came by a line that does not have the session: a newer one has it, and once that is durable the older one is
    /// told; or none has, for its edge was taken for lost, and asks to go on. What comes without `work` is not kept until then.
    pub(crate) fn turn_line_away(&mut self, id: EntityId, line: Line, work: Option<Work>) {
        let Some(real) = self.hosts.reals.get(&id) else { return };
        if real.player.as_ref().is_some_and(|p| p.line.is_none()) {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        } else if work.is_some() || real.pending.is_empty() {
            self.emit(id, work, vec![Effect::Superseded { line }]);
        }
    }

    /// Moves the body to where it is wished, or says where it stays and why. Nothing happens before it stands in the world.
    fn step(&mut self, id: EntityId, wish: Body) -> Result<(), (Body, Refusal)> {
        let now = self.core.now.time;
        let Some(real) = self.hosts.reals.get_mut(&id) else { return Ok(()) };
        let Some(player) = &mut real.player else { return Ok(()) };
        let (Some(state), Some(from)) = (real.state.as_ref().filter(|_| player.present), real.body) else {
            return Ok(());
        };
        if real.phase == Phase::Loading {
            return Ok(());
        }
        if real.phase == Phase::Suspended {
            return Err((from, Refusal::new("suspended", "Your player rests.")));
        }
        let wish =
            Body { island: from.island, heading: wish.heading & 127, speed: wish.speed.min(127), ..wish };
        let mut failed = None;
        let speed_max = guard(|| state.speed_max()).map_err(|_| failed = Some("speed_max"));
        let speed_max = u64::from(speed_max.unwrap_or(0));
        // Up to a second's way is saved up: packets come in bursts, feet do not.
        let gained = now.since(player.moved_at).saturating_mul(speed_max) / 1_000_000;
        player.credit_mm = (player.credit_mm + gained).min(speed_max);
        player.moved_at = now;
        let distance = from.at.distance(wish.at);
        let verdict = if distance > player.credit_mm {
            Err(Refusal::new("too_fast", "Nobody runs that fast."))
        } else {
            let mut cx = context(&mut self.core, &self.interest, (id, Some(from), real.last_at), None);
            guard(|| state.walk(&from, &wish, &mut cx)).unwrap_or_else(|_| {
                failed = Some("walk");
                Err(game_error())
            })
        };
        if verdict.is_ok() {
            player.credit_mm -= distance;
            let before = real.body.replace(wish);
            self.core.counters.moves += 1;
            self.publisher.move_to(id, Some(wish));
            if before.is_none_or(|b| b.chunk() != wish.chunk()) {
                self.publisher.announce(&mut self.core, id);
            }
            self.follow(id, wish);
        } else {
            self.core.counters.corrections += 1;
        }
        if let Some(doing) = failed {
            self.on_game_panic(id, doing);
        }
        verdict.map_err(|refusal| (from, refusal))
    }

    /// Puts the body elsewhere, as a durable event said.
    pub(crate) fn put_body(&mut self, id: EntityId, body: Body) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.body = Some(body);
        let line = real.player.as_ref().and_then(|p| p.line);
        self.show(id);
        self.follow(id, body);
        if let Some(line) = line {
            let code = "moved".to_owned();
            self.core.send_edge(line.edge, line.conn, id, ToEdge::Correction { seq: 0, body, code });
        }
    }

    /// Lets the sight follow a body that has left its chunk.
    fn follow(&mut self, id: EntityId, body: Body) {
        let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) else { return };
        let (Some(center), true) = (player.center, player.present) else { return };
        if center.island == body.island && is_about(center, body.at) {
            return;
        }
        let next = body.chunk();
        player.center = Some(next);
        let line = player.line;
        self.interest.set_player(center, false);
        self.interest.set_player(next, true);
        if let Some(line) = line {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::Center(next));
        }
    }

    /// Everything leaves at once: the node stops.
    pub(crate) fn dismiss_players(&mut self) {
        let now = self.core.now.time;
        let ids: Vec<_> = self.hosts.roaming().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) {
                player.line = None;
                player.leave_at = Some(now);
            }
            self.leave(id);
        }
    }
}

/// Whether `at` is in `center` or hardly outside it.
fn is_about(center: ChunkId, at: Point) -> bool {
    let corner = center.corner();
    let range = -CENTER_SLACK_MM..gundo_types::CHUNK_MM + CENTER_SLACK_MM;
    range.contains(&at.x.saturating_sub(corner.x)) && range.contains(&at.y.saturating_sub(corner.y))
}

fn body_of(place: &Place) -> Body {
    Body {
        island: place.island as u16,
        at: Point::new(place.x, place.y),
        heading: (place.heading & 127) as u8,
        speed: 0,
    }
}

/// The message that brings a player's word to its real.
pub(crate) fn to_player(player: EntityId, line: Line, message: ToPlayer) -> Peer {
    Peer::ToPlayer { player, line, message }
}
