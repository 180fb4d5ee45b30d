//! A participant of a transaction: it decides its part, locks itself, and receives or finds out the outcome.
//!
//! | participant | on | goes to |
//! | --- | --- | --- |
//! | free | prepare | locked: decides, answers when all earlier events are durable |
//! | locked | prepare of a younger one | stays: the prepare waits, and the oldest of those comes next |
//! | locked | prepare of an older one | stays: the prepare waits, and the holder's coordinator hears *Busy*: it begins again later, unless its append is sent |
//! | coordinates | prepare of an older one | gives up its own, locked for the older; begins its own again later |
//! | coordinates | prepare of a younger one | stays: the prepare waits |
//! | freezing, frozen | prepare | stays: *Busy* |
//! | locked | commit | free: applies |
//! | locked | abort | free |
//! | locked, and its node appends | conclude | free: applies and appends at once |
//! | locked, and its node appends | fence, or nothing for long | free |
//! | locked | fence, or nothing for long | writes a `Fenced` event at its next seq |

use bytes::Bytes;
use gundo_types::{EntityId, Planted};
use gundo_wire::Message;
use gundo_wire::journal::{Cause, EventRecord, EventType, StreamAppend};

use super::{Deed, Lock};
use crate::core::{Core, Timer};
use crate::game::{Actor, Exists, RawDone, Refusal, Role, Rule, game_error, guard};
use crate::host::desk::{Cx, Rooms, context};
use crate::host::entity::Entity;
use crate::host::pending::{Effect, Entry, Record, place};
use crate::host::phase::Phase;
use crate::host::queue::{Prepare, Work};
use crate::host::room::Host;
use crate::host::storage::Room;
use crate::host::vicinity::Vicinity;
use crate::peer::{Age, Peer, Prepared, TxId, TxMessage};

/// How long a locked participant waits for the outcome before it writes a fence, ms. No append takes this long while the
/// coordinator lives.
const LOCK_MS: u64 = 10_000;
/// How often a participant that must find out checks whether its own appends have ended, ms.
const OWN_APPENDS_MS: u64 = 200;

impl Host {
    /// A coordinator's message.
    pub(crate) fn on_coordinator(
        &mut self,
        rooms: &mut Rooms<'_>,
        tx: TxId,
        entity: EntityId,
        message: TxMessage,
    ) {
        match message {
            TxMessage::Prepare { .. }
                if self.desk.aborted.has(tx, entity) && !rooms.core.planted(Planted::AbortOvertaken) =>
            {
                rooms.core.note_stale();
            }
            TxMessage::Prepare { age, ask, exists, actor, alone } => {
                let impossible = rooms.core.settings.rules.cannot_answer(entity).is_some();
                if self.has_participant(rooms, tx, entity, impossible) {
                    let prepare = Prepare { tx, age, ask, exists, actor, alone };
                    self.tell(rooms, entity, |e, cx| e.ask(cx, prepare));
                }
            }
            TxMessage::Read => {
                let impossible = rooms.core.settings.rules.cannot_read(&[entity], 0).is_some();
                if self.has_participant(rooms, tx, entity, impossible) {
                    self.tell(rooms, entity, |e, cx| e.look(cx, tx));
                }
            }
            TxMessage::Commit => self.tell(rooms, entity, |e, cx| e.on_commit(cx, tx)),
            TxMessage::Abort { reload } => {
                if self.with(rooms, entity, |e, cx| e.on_abort(cx, tx, reload)) != Some(true) {
                    self.desk.aborted.note(tx, entity);
                    rooms.core.note_stale();
                }
            }
            TxMessage::Fence => self.tell(rooms, entity, |e, cx| e.on_told_to_fence(cx, tx)),
            TxMessage::Conclude(parts) => self.conclude_here(rooms, tx, entity, parts),
            TxMessage::Prepared(_)
            | TxMessage::Seen { .. }
            | TxMessage::Refused(_)
            | TxMessage::Busy
            | TxMessage::Concluded(_) => {
                rooms.core.note_nonsense();
            }
        }
    }

    /// Whether an asked entity is here, loaded or loading. If not, the coordinator gets the reason.
    fn has_participant(
        &mut self,
        rooms: &mut Rooms<'_>,
        tx: TxId,
        entity: EntityId,
        impossible: bool,
    ) -> bool {
        let say = |message| Peer::Transaction { tx, entity, message };
        if impossible {
            rooms.core.note_nonsense();
            rooms.core.send(tx.node, say(TxMessage::Refused(game_error())));
            return false;
        }
        let roams = entity.kind == rooms.core.settings.rules.player_kind();
        let at_home = !roams && rooms.core.home_of(entity) == Some(rooms.core.me());
        if at_home {
            self.need_at_home(rooms, entity);
        }
        // Another node is its home, or its last owner has not unloaded it yet. Or a player has moved on meanwhile.
        let here = (roams || at_home) && self.holds(entity);
        if !here {
            rooms.core.send(tx.node, say(TxMessage::Busy));
        }
        here
    }
}

impl Entity {
    /// Shows it to another entity's decision.
    fn look(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        if self.life.shows() {
            self.needed = cx.core.now.time;
            return self.show_to(cx, tx);
        }
        self.submit(cx, Work::Read(tx));
    }

    /// Sends its public part as of its last durable event, or nothing if it has not been created.
    pub(in crate::host) fn show_to(&self, cx: &mut Cx<'_>, tx: TxId) {
        let first = self.durable.created;
        let created = first > 0 && self.pending.front().is_none_or(|pending| pending.after >= first);
        let exists = created || self.role == Role::Land;
        let public = self.public.clone().filter(|_| exists);
        let message = TxMessage::Seen { public };
        cx.core.send(tx.node, Peer::Transaction { tx, entity: self.id, message });
    }

    /// Why an ask does not reach the rules, if so: it needs the entity to exist, or not to exist.
    pub(in crate::host) fn refuses_ask(&self, cx: &Cx<'_>, exists: Exists) -> Option<Refusal> {
        let creates = cx.core.settings.rules.kind_of(self.id.kind).is_some_and(|kind| kind.asking_creates());
        if let Some(player) = &self.player {
            // It exists from its first session on.
            return exists.refusal(player.session.known.adoption > 0, true, false);
        }
        let place = || guard(self.id, Rule::Place, || self.durable.state().place());
        // Only a creation asks for it.
        let stands = exists == Exists::Yes || self.role != Role::Placed || !matches!(place(), Ok(None));
        exists.refusal(self.durable.created > 0, stands, creates)
    }

    fn ask(&mut self, cx: &mut Cx<'_>, prepare: Prepare) {
        if prepare.tx.node != cx.core.me() && cx.core.planted(Planted::FavoursItsOwn) {
            return self.say_busy(cx, prepare.tx);
        }
        // Nobody waits for a handoff, which may take long.
        if matches!(self.phase(), Phase::Freezing | Phase::Frozen) {
            return self.say_busy(cx, prepare.tx);
        }
        if self.gives_way(cx, prepare.age) {
            // Before its own command, which waits in front.
            self.queue.put_back(Work::Prepare(prepare));
            return self.run(cx);
        }
        let full = self.queue.len() >= cx.core.world().limits.waiting_per_entity_max;
        if full && !cx.core.planted(Planted::UnboundedWaiting) {
            // The oldest of all always gets a place.
            match self.queue.give_up_younger(prepare.age) {
                Some(younger) => self.say_busy(cx, younger.tx),
                None => return self.say_busy(cx, prepare.tx),
            }
        }
        self.wound(cx, prepare.age);
        self.submit(cx, Work::Prepare(prepare));
    }

    pub(in crate::host) fn say_busy(&self, cx: &mut Cx<'_>, tx: TxId) {
        cx.core.send(tx.node, Peer::Transaction { tx, entity: self.id, message: TxMessage::Busy });
    }

    /// An older transaction waits here for the one that holds the lock: that gives up, unless its append is sent. Only the younger
    /// waits for the older for as long as that takes, so nobody waits in a circle.
    fn wound(&mut self, cx: &mut Cx<'_>, older: Age) {
        let Some(Lock::Participant { tx, age, wounded, .. }) = &mut self.lock else { return };
        if older < *age && !std::mem::replace(wounded, true) && !cx.core.planted(Planted::NobodyWounded) {
            let tx = *tx;
            self.say_busy(cx, tx);
        }
    }

    /// Decides a part and locks the entity, or refuses.
    pub(in crate::host) fn prepare(&mut self, cx: &mut Cx<'_>, prepare: Prepare) {
        assert!(self.lock.is_none(), "{}: a locked entity takes no work", self.id);
        let alive = cx.core.incarnation_of(prepare.tx.node) == Some(prepare.tx.incarnation);
        if !alive && !cx.core.planted(Planted::PrepareOutlives) {
            // It has waited here while its coordinator was lost: nobody would end it.
            return cx.core.note_stale();
        }
        if let Some(refusal) = self.refuses_ask(cx, prepare.exists) {
            return self.refuse_part(cx, prepare, refusal);
        }
        let (tx, id) = (prepare.tx, self.id);
        let mut done = match self.answer(cx, &prepare.ask, &prepare.actor) {
            Ok(done) => done,
            Err(refusal) => return self.refuse_part(cx, prepare, refusal),
        };
        if self.appends(cx, &prepare) {
            return self.prepare_here(cx, &prepare, done);
        }
        let events = self.part_of(cx, &mut done);
        let RawDone { reply, names, signals, body, tells, .. } = done;
        let Ok(snapshot) = self.snapshot_after(cx, &events) else {
            self.on_game_panic(cx, "snapshot");
            return self.refuse_part(cx, prepare, game_error());
        };
        assert!(!events.is_empty(), "{id}: a participant records its part");
        let (load, after) = (self.load, self.durable.seq);
        let wake = self.durable.wake_with(&events);
        let stream = StreamAppend { entity: id, load, after, events: events.clone(), snapshot, wake };
        self.lock_for(cx, &prepare, Deed::There { events, signals, body, tells });
        let incarnation = cx.core.settings.incarnation;
        let prepared = Prepared { stream, names, reply, incarnation, appends: false };
        let effects = vec![Effect::Transaction { tx, message: TxMessage::Prepared(Box::new(prepared)) }];
        self.emit(cx, Some(Work::Prepare(prepare)), effects);
    }

    /// Takes no other work until the transaction has ended.
    pub(super) fn lock_for(&mut self, cx: &mut Cx<'_>, prepare: &Prepare, deed: Deed) {
        if !cx.core.planted(Planted::PrepareUnlocked) {
            let (tx, age) = (prepare.tx, prepare.age);
            self.lock = Some(Lock::Participant { tx, age, wounded: false, deed });
        }
        self.locked_until = cx.core.now.time.plus_ms(LOCK_MS);
        cx.core.after_ms(LOCK_MS, Timer::Lock(self.id));
    }

    /// Its rules' answer to an ask.
    fn answer(&mut self, cx: &mut Cx<'_>, ask: &[u8], actor: &Actor) -> Result<RawDone, Refusal> {
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let (id, body, last_at) = self.place();
        let body = body.filter(|_| self.is_in_the_world());
        let mut rules = context(cx.core, &eyes, (id, body, last_at), None);
        let answered = guard(self.id, Rule::Answer, || self.durable.state().answer(ask, actor, &mut rules));
        let done = self.judge(cx, "answer", answered)?;
        self.check_sizes(cx, "answer", &done)?;
        Ok(done)
    }

    /// An ask to itself from a tick. Nobody gets the answer, and a crash loses what is not durable.
    pub(in crate::host) fn ask_itself(&mut self, cx: &mut Cx<'_>, ask: &[u8]) {
        if cx.room() != Room::Open {
            cx.core.counters.commands_refused += 1;
            return;
        }
        let actor = Actor { id: self.id, public: self.public.clone().unwrap_or_default(), body: self.body };
        match self.answer(cx, ask, &actor) {
            Err(_) => cx.core.counters.commands_refused += 1,
            Ok(done) if done.events.is_empty() && done.sends.is_empty() && done.timers.is_empty() => {}
            Ok(mut done) => {
                let events = self.events_of(cx.core, &mut done, None);
                done.body = None;
                let entry = Entry { work: None, effects: Effect::of(&mut done) };
                self.record(cx, Record { events, names: done.names, entry, ..Record::default() });
            }
        }
    }

    fn refuse_part(&mut self, cx: &mut Cx<'_>, prepare: Prepare, refusal: Refusal) {
        let tx = prepare.tx;
        let effects = vec![Effect::Transaction { tx, message: TxMessage::Refused(refusal) }];
        self.emit(cx, Some(Work::Prepare(prepare)), effects);
    }

    /// The events of its part. A part without events gets one all the same: the append must fail if the stream has moved. Those of a
    /// player say where it stands, as all of its events do.
    fn part_of(&self, cx: &Cx<'_>, done: &mut RawDone) -> Vec<EventRecord> {
        let at = cx.core.world_time_from(self.durable.last_at);
        let generation = self.durable.generation;
        let stands = self.body.filter(|_| self.is_in_the_world());
        let place = done.body.or(stands).filter(|_| self.player.is_some()).map(place);
        let cause = Bytes::from(Cause { generation, place, ..Cause::default() }.encode_to_vec());
        let record = |(event_type, payload)| EventRecord { at, cause: cause.clone(), event_type, payload };
        self.events_or_answered(cx.core, done).into_iter().map(record).collect()
    }

    /// Whether it is anything but a player who is not in the world.
    pub(in crate::host) fn is_in_the_world(&self) -> bool {
        self.player.as_ref().is_none_or(|player| player.present)
    }

    /// The snapshot that goes with a participant's events, when one is due. It is made from a copy, because the state itself
    /// changes only when the append has landed.
    fn snapshot_after(&self, cx: &Cx<'_>, events: &[EventRecord]) -> Result<Option<Bytes>, Refusal> {
        let rules = cx.core.settings.rules.clone();
        if !self.durable.snapshot_is_due(events.len() as u64, cx.core.world().snapshot_every) {
            return Ok(None);
        }
        let Some(kind) = rules.kind_of(self.id.kind) else { return Ok(None) };
        guard(self.id, Rule::Snapshot, || {
            let mut copy = kind.restore(self.id.id, &self.durable.state().snapshot()).ok()?;
            let misses = cx.core.planted(Planted::StaleSnapshot);
            for event in events.iter().filter(|e| e.event_type == EventType::Game && !misses) {
                copy.apply(&event.payload).ok()?;
            }
            let last = events.last()?;
            let stands = Cause::decode(last.cause.as_ref()).ok()?.place;
            let player = self.player.as_deref().map(|player| (player, stands));
            let (post, timers) = self.durable.duties_after(events);
            let duties = (post.as_deref(), timers.as_deref());
            Some(self.durable.snapshot_of(copy.snapshot(), last.at, player, duties))
        })
    }

    /// It goes elsewhere: answers Busy to the prepares that wait. Their coordinators back off.
    pub(in crate::host) fn busy_to_the_rest(&mut self, cx: &mut Cx<'_>) {
        for prepare in self.queue.take_prepares() {
            self.say_busy(cx, prepare.tx);
        }
    }

    /// Whether this transaction has locked it.
    fn is_locked_by(&self, tx: TxId) -> bool {
        matches!(&self.lock, Some(Lock::Participant { tx: t, .. }) if *t == tx)
    }

    fn on_commit(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        if !self.is_locked_by(tx) {
            return cx.core.note_stale();
        }
        let Some(Lock::Participant { deed: Deed::There { events, signals, body, tells }, .. }) =
            self.lock.take()
        else {
            // This node would have appended it.
            cx.core.note_nonsense();
            return self.run(cx);
        };
        if !self.pending.is_empty() {
            // Its answer depends on these appends and was never sent, so the transaction cannot have landed.
            cx.core.note_nonsense();
            return self.settle(cx);
        }
        if self.life.is(Phase::Settling) {
            // Its state may be wrong; the journal has what landed.
            return self.start_load(cx);
        }
        let due = self.durable.snapshot_is_due(events.len() as u64, cx.core.world().snapshot_every);
        let twice = cx.core.planted(Planted::GiftTwice) && !self.is_in_the_world();
        let (durable, player) = (&mut self.durable, &mut self.player);
        let applied = guard(self.id, Rule::Apply, || {
            for event in &events {
                let cause = Cause::decode(event.cause.as_ref())?;
                if twice && event.event_type == EventType::Game {
                    durable.state_mut().map(|state| state.apply(&event.payload));
                }
                durable.apply(player.as_deref_mut(), event.event_type, &event.payload, &cause)?;
                durable.last_at = durable.last_at.max(event.at);
            }
            Ok::<_, gundo_wire::DecodeError>(())
        });
        if !matches!(applied, Ok(Ok(()))) {
            return self.on_game_panic(cx, "apply");
        }
        assert!(self.lock.is_none() && self.pending.is_empty(), "{}: it is free again", self.id);
        self.durable.known = self.durable.seq;
        self.send_mail(cx);
        self.list_alarm(cx);
        if due {
            self.durable.snapshot_seq = self.durable.seq;
        }
        self.refresh(cx);
        for signal in signals {
            cx.crowd.publisher.signal(self.id, signal);
        }
        for tell in tells {
            self.send_tell(cx, tell);
        }
        if let Some(body) = body {
            let absent = self.player.as_mut().filter(|player| !player.present);
            // One that is not in the world stands there when it comes.
            absent.into_iter().for_each(|player| player.center = None);
            self.put_body(cx, body);
        }
        self.tell_own(cx);
        self.run(cx);
    }

    /// Returns whether it knew the transaction.
    fn on_abort(&mut self, cx: &mut Cx<'_>, tx: TxId, reload: bool) -> bool {
        let waited = self.queue.forget_prepare(tx);
        // If an append ahead of its answer fails, it is not decided again.
        self.pending.iter_mut().for_each(|pending| pending.forget_prepare(tx));
        if !self.release_lock(cx, tx) {
            return waited;
        }
        if reload || self.life.is(Phase::Settling) {
            self.settle(cx)
        } else {
            self.run(cx)
        }
        true
    }

    fn on_told_to_fence(&mut self, cx: &mut Cx<'_>, tx: TxId) {
        if !self.is_locked_by(tx) {
            return cx.core.note_stale();
        }
        self.locked_until = cx.core.now.time;
        self.on_lock_timer(cx);
    }

    /// Reloads once nothing is in flight: at once, unless a peer sent an impossible message.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.phase(), Phase::Live | Phase::Freezing | Phase::Settling) {
            return cx.core.note_nonsense();
        }
        self.life.settle();
        self.load_if_settled(cx);
    }

    /// Ends a participant's lock; false: this transaction has not locked it.
    fn release_lock(&mut self, cx: &Cx<'_>, tx: TxId) -> bool {
        let released = self.is_locked_by(tx) && !cx.core.planted(Planted::LockKept);
        if released {
            self.lock = None;
        }
        released
    }

    /// Whether the coordinator whose transaction has locked it is lost, and it could find out the outcome now.
    pub(in crate::host) fn is_abandoned(&self, core: &Core) -> bool {
        let Some(Lock::Participant { tx, .. }) = &self.lock else { return false };
        let lost = core.incarnation_of(tx.node) != Some(tx.incarnation);
        lost && self.pending.is_empty() && matches!(self.phase(), Phase::Live)
    }

    /// A participant has waited long: unless the lock is a newer one, it finds out the outcome itself.
    pub(in crate::host) fn on_lock_timer(&mut self, cx: &mut Cx<'_>) {
        let Some(Lock::Participant { tx, deed, .. }) = &self.lock else { return };
        let (tx, appends) = (*tx, matches!(deed, Deed::Here(_)));
        let decides = matches!(self.phase(), Phase::Live | Phase::Settling | Phase::Freezing);
        if self.locked_until > cx.core.now.time || !decides {
            return;
        }
        let lost = cx.core.incarnation_of(tx.node) != Some(tx.incarnation);
        if lost && !self.pending.is_empty() && !cx.core.planted(Planted::PrepareOutlives) {
            // Its answer waits for these appends: nobody has it, and nobody will.
            self.pending.iter_mut().for_each(|pending| pending.forget_prepare(tx));
            self.release_lock(cx, tx);
            return self.run(cx);
        }
        // Its answer waits for these appends, so the transaction cannot have ended yet.
        if !self.pending.is_empty() && !appends {
            return cx.core.after_ms(OWN_APPENDS_MS, Timer::Lock(self.id));
        }
        if !self.release_lock(cx, tx) {
            return;
        }
        if appends || cx.core.planted(Planted::LockUnfenced) {
            // Nobody else could have appended it.
            return self.run(cx);
        }
        self.fence(cx, self.durable.seq);
    }
}
