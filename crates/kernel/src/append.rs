//! How decisions become durable: appends, what is held behind them, and what follows each outcome.
//!
//! Events are applied in memory at once, and the entity goes on deciding; every effect of its work waits behind its last
//! undurable event. When an append does not end as Done, the entity is loaded anew and its work done again: what the
//! journal has decides, nothing else does.

use bytes::Bytes;
use gundo_types::{Body, EntityId, Planted};
use gundo_wire::Message;
use gundo_wire::journal::{Batch, Cause, EventRecord, EventType, NameChange, Outcome, Place, StreamAppend};

use crate::Node;
use crate::core::Timer;
use crate::game::Refusal;
use crate::host::{Phase, game_error, guard};
use crate::peer::{Line, Opened, Peer, Prepared, Resumed, ToEdge, TxId, TxMessage};
use crate::transaction::Lock;
use crate::work::Work;

/// Between two tries to write a fence, ms.
const FENCE_RETRY_MS: u64 = 200;
/// Conflicts in turn after which an entity is loaded anew at once: that of a takeover is over with the first.
const CONFLICTS_AT_ONCE: u8 = 3;
/// Wait before the load after the next, ms; it doubles with each …
const CONFLICT_RETRY_MS: u64 = 10;
/// … so many times.
const CONFLICT_DOUBLINGS: u8 = 5;

/// Something others notice. It waits until what it rests on is durable.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Reply { line: Line, seq: u64, result: Result<Bytes, Refusal> },
    Opened { line: Line, before: Option<Line>, opened: Box<Opened> },
    OpenRefused { line: Line, refusal: Refusal },
    Resumed { line: Line, resumed: Box<Resumed> },
    Superseded { line: Line },
    Transaction { tx: TxId, message: TxMessage },
    Signal(Bytes),
    Body(Body),
    Left,
}

/// A piece of work and its effects, held behind an append.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) work: Option<Work>,
    pub(crate) effects: Vec<Effect>,
}

impl Entry {
    /// If it adopts a session: the line that had it before.
    fn adopts(&self) -> Option<Option<Line>> {
        self.effects.iter().find_map(|e| match e {
            Effect::Opened { before, .. } => Some(*before),
            _ => None,
        })
    }
}

/// An append on its way, as its entity remembers it.
#[derive(Debug)]
pub(crate) struct Pending {
    batch: u64,
    /// Seq of the event before its first.
    after: u64,
    /// Its own work first, then whatever was answered meanwhile.
    entries: Vec<Entry>,
    public: Option<Bytes>,
    own: Option<Bytes>,
    tx: Option<TxId>,
}

impl Pending {
    /// Commands whose effects are in it.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &crate::work::Command> {
        self.entries.iter().filter_map(|e| match &e.work {
            Some(Work::Command(command)) => Some(command),
            _ => None,
        })
    }

    /// A line is gone that an adoption under way has replaced: it does not come back if that fails.
    pub(crate) fn forget_line(&mut self, line: Line) {
        for effect in self.entries.iter_mut().flat_map(|e| &mut e.effects) {
            if let Effect::Opened { before, .. } = effect {
                *before = before.filter(|b| *b != line);
            }
        }
    }
}

/// Something to be made durable.
pub(crate) struct Record {
    pub(crate) events: Vec<(EventType, Bytes)>,
    /// For the last of the events.
    pub(crate) cause: Cause,
    pub(crate) names: Vec<NameChange>,
    pub(crate) tx: Option<(TxId, Vec<Prepared>)>,
    pub(crate) entry: Entry,
}

impl Node {
    /// Applies events and sends them to the journal, with the parts of others if they belong to a transaction.
    pub(crate) fn record(&mut self, id: EntityId, record: Record) {
        let Record { events, mut cause, names, tx, entry } = record;
        let tx_id = tx.as_ref().map(|(tx, _)| *tx);
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let (after, at) = (real.seq, self.core.world_time_from(real.last_at));
        let stands = real.player.is_some().then_some(real.body).flatten().map(place);
        cause.place = cause.place.or(stands);
        let mut records = Vec::with_capacity(events.len());
        let count = events.len();
        let applied = guard(|| {
            for (i, (event_type, payload)) in events.into_iter().enumerate() {
                let cause = if i + 1 == count { std::mem::take(&mut cause) } else { Cause::default() };
                real.apply(event_type, &payload, &cause)?;
                let cause = cause.encode_to_vec().into();
                records.push(EventRecord { at, cause, event_type, payload });
            }
            Ok::<_, gundo_wire::DecodeError>(())
        });
        if !matches!(applied, Ok(Ok(()))) {
            return self.on_apply_failed(id, entry, tx_id);
        }
        real.last_at = at;
        let state = real.state.as_ref().expect("a live entity has a state");
        // A look that fails shows what was seen before; the event stands.
        let mut failed = None;
        let public = guard(|| state.public(at)).unwrap_or_else(|_| {
            failed = Some("public");
            real.public.clone()
        });
        let has_line = real.player.as_ref().is_some_and(|p| p.line.is_some());
        let own = has_line.then(|| guard(|| state.private()).map_err(|_| failed = Some("private")).ok());
        let due = real.seq - real.snapshot_seq >= self.core.settings.world.snapshot_every;
        let snapshot = due.then(|| guard(|| real.snapshot()).map_err(|_| failed = Some("snapshot")).ok());
        let (own, snapshot) = (own.flatten(), snapshot.flatten());
        if snapshot.is_some() {
            real.snapshot_seq = real.seq;
        }
        let load = real.load;
        let mut streams = vec![StreamAppend { entity: id, load, after, events: records, snapshot }];
        let (mut names, mut prepared_by) = (names, Vec::new());
        let left_out = usize::from(self.core.planted(Planted::PartLeftOut));
        for part in tx.into_iter().flat_map(|(_, parts)| parts).skip(left_out) {
            streams.push(part.stream);
            names.extend(part.names);
            prepared_by.push(part.incarnation);
        }
        let batch = self.core.next_batch();
        real.pending.push_back(Pending { batch, after, entries: vec![entry], public, own, tx: tx_id });
        self.hosts.batches.insert(batch, id);
        self.core.counters.appends += 1;
        let (node, incarnation) = (self.core.me(), self.core.settings.incarnation);
        self.append(Batch { id: batch, node, incarnation, prepared_by, streams, names });
        if self.core.planted(Planted::EarlyFrame) {
            let real = self.hosts.reals.get_mut(&id).expect("just decided");
            real.public = real.pending.back().and_then(|p| p.public.clone());
            self.show(id);
        }
        if let Some(doing) = failed {
            self.on_game_panic(id, doing);
        }
    }

    /// An event could not be applied: nothing of it was written.
    fn on_apply_failed(&mut self, id: EntityId, entry: Entry, tx: Option<TxId>) {
        if let Some(tx) = tx {
            self.abort(tx, false);
        }
        if let Some(before) = entry.adopts() {
            self.give_line_back(id, before);
        }
        match entry.work {
            Some(Work::Command(command)) => self.refuse(id, command, game_error()),
            Some(Work::Open { line, .. }) => {
                self.emit(id, None, vec![Effect::OpenRefused { line, refusal: game_error() }]);
            }
            Some(Work::Prepare(_) | Work::Resume { .. }) | None => {}
        }
        self.on_game_panic(id, "apply");
    }

    fn give_line_back(&mut self, id: EntityId, before: Option<Line>) {
        let leaves_at = self.core.now.time.plus_ms(self.core.settings.world.grace_ms);
        if let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) {
            player.give_line_back(before, leaves_at);
        }
    }

    /// Lets effects out: now, or when all they rest on is durable.
    pub(crate) fn emit(&mut self, id: EntityId, work: Option<Work>, effects: Vec<Effect>) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        match real.pending.back_mut() {
            Some(pending) => pending.entries.push(Entry { work, effects }),
            None => self.release(id, effects),
        }
    }

    /// Lets effects out now.
    pub(crate) fn release(&mut self, id: EntityId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { line, seq, result } => {
                    match &result {
                        Ok(_) => self.core.counters.commands_done += 1,
                        Err(_) => self.core.counters.commands_refused += 1,
                    }
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::Reply { seq, result });
                }
                Effect::Opened { line, before, mut opened } => {
                    let untold = self.core.planted(Planted::OldLineNotTold)
                        || self.core.planted(Planted::OldLineObeyed);
                    if let Some(before) = before.filter(|b| *b != line && !untold) {
                        self.core.send_edge(before.edge, before.conn, id, ToEdge::Superseded);
                    }
                    self.enter_world(id);
                    // The body may have been put elsewhere by an event that was durable first.
                    if let Some((body, center)) = self.whereabouts(id) {
                        (opened.body, opened.center) = (body, center);
                    }
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::Opened(opened));
                }
                Effect::OpenRefused { line, refusal } => {
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::OpenRefused(refusal));
                }
                Effect::Resumed { line, mut resumed } => {
                    if let Some((body, center)) = self.whereabouts(id) {
                        (resumed.body, resumed.center) = (body, center);
                    }
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::Resumed(resumed));
                }
                Effect::Superseded { line } => {
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::Superseded);
                }
                Effect::Transaction { tx, message } => {
                    self.core.send(tx.node, Peer::Transaction { tx, entity: id, message });
                }
                Effect::Signal(payload) => self.publisher.signal(id, payload),
                Effect::Body(body) => self.put_body(id, body),
                Effect::Left => self.leave_world(id),
            }
        }
    }

    /// An append ended.
    pub(crate) fn handle_appended(&mut self, batch: u64, outcome: Outcome) {
        self.on_append_ended(batch);
        self.on_appended(batch, outcome);
        self.let_in();
    }

    fn on_appended(&mut self, batch: u64, outcome: Outcome) {
        if let Some(id) = self.hosts.fences.remove(&batch) {
            return self.on_fenced(id, &outcome);
        }
        // Appends of an entity that has been given up meanwhile: what they did is read from the journal.
        let Some(id) = self.hosts.batches.remove(&batch) else { return };
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let outcome = self.core.mistake(outcome);
        if outcome != Outcome::Done {
            self.core.counters.appends_failed += 1;
            return self.on_append_failed(id, batch, outcome);
        }
        let front = real.pending.pop_front().expect("an awaited append is remembered");
        assert_eq!(front.batch, batch, "appends of one stream end in order");
        let line = real.player.as_ref().and_then(|p| p.line);
        real.conflicts = 0;
        real.public = front.public;
        self.show(id);
        if let Some(tx) = front.tx {
            self.commit(tx);
        }
        for mut entry in front.entries {
            for effect in &mut entry.effects {
                if let Effect::Opened { opened, .. } = effect {
                    opened.own = front.own.clone().unwrap_or_default();
                }
            }
            self.release(id, entry.effects);
        }
        if let (Some(line), Some(own)) = (line, front.own) {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::Own(own));
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if real.pending.is_empty() {
            if real.phase == Phase::Settling {
                return self.start_load(id);
            }
            self.refresh(id);
            self.unload_if_gone(id);
            self.freeze(id);
        }
    }

    /// Nothing of the append landed, or nobody knows. Everything decided on top of it is given up; the work is done again
    /// on what the journal has, except that a Taken or Rejected command is refused.
    fn on_append_failed(&mut self, id: EntityId, batch: u64, outcome: Outcome) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let line = real.player.as_ref().and_then(|p| p.line);
        let at = real.pending.iter().position(|p| p.batch == batch).expect("an awaited append is remembered");
        // A full queue rejects at once, while earlier appends of the stream are still on their way: they stand.
        let early = at > 0;
        assert!(!early || matches!(outcome, Outcome::Rejected(_)), "appends of one stream end in order");
        let pending = real.pending.split_off(at);
        let after = pending.front().map_or(0, |p| p.after);
        let tx_ends =
            if outcome == Outcome::Unknown { TxMessage::Fence } else { TxMessage::Abort { reload: true } };
        let mut work = Vec::new();
        let mut txs = Vec::new();
        // Of the lines that adopted the session only the present one does it again: the others are gone or superseded.
        let outdone = |e: &Entry| match &e.work {
            Some(Work::Open { line: l, .. }) if e.adopts().is_some() && line != Some(*l) => Some(*l),
            _ => None,
        };
        let has_work =
            |p: &Pending| p.entries.first().is_some_and(|e| e.work.is_some() && outdone(e).is_none());
        let has_work = pending.front().is_some_and(has_work);
        let before = pending.iter().flat_map(|p| &p.entries).find_map(Entry::adopts);
        for p in pending {
            self.hosts.batches.remove(&p.batch);
            txs.extend(p.tx);
            for entry in p.entries {
                match outdone(&entry) {
                    Some(l) => self.core.send_edge(l.edge, l.conn, id, ToEdge::Superseded),
                    None => work.extend(entry.work),
                }
            }
        }
        if let Some(before) = before {
            self.give_line_back(id, before);
        }
        let refusal = match &outcome {
            Outcome::Taken => Some(Refusal::new("name_taken", "Somebody else has that name already.")),
            Outcome::Rejected(_) => Some(Refusal::new(
                "storage",
                "The world cannot save anything right now. Try again in a moment.",
            )),
            _ => None,
        };
        for item in &mut work {
            if let Work::Command(c) = item {
                c.tries = c.tries.saturating_add(1);
            }
        }
        // A transaction that was still being prepared rests on what is given up: it is begun anew with its command.
        if let Some(Lock::Coordinating(tx)) = self.hosts.reals.get_mut(&id).and_then(|r| r.lock.take()) {
            work.extend(self.abort(tx, false).map(Work::Command));
        }
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        let refused = (refusal.is_some() && has_work).then(|| work.remove(0));
        if let Some(player) = &mut real.player {
            player.forget_refusals(work.iter().chain(&refused));
        }
        for item in work.into_iter().rev() {
            real.waiting.push_front(item);
        }
        // What waited for room waits behind it.
        real.held = false;
        for tx in txs {
            self.end_tx(tx, tx_ends.clone());
        }
        if let (Some(work), Some(refusal)) = (refused, refusal) {
            self.refuse_work(id, &work, refusal);
        }
        if outcome == Outcome::Unknown {
            self.fence(id, after);
        } else if early {
            if let Some(real) = self.hosts.reals.get_mut(&id) {
                real.phase = Phase::Settling;
            }
        } else if self.core.planted(Planted::RefusedStays) && matches!(outcome, Outcome::Rejected(_)) {
            let load = self.core.next_load();
            let real = self.hosts.reals.get_mut(&id).expect("its append has just failed");
            (real.load, real.seq, real.snapshot_seq) = (load, after, real.snapshot_seq.min(after));
            self.run(id);
        } else {
            self.load_after(id, &outcome);
        }
    }

    /// Loads the entity anew; later with each conflict in turn: of a node that was removed no append lands, and it must not keep
    /// the journal and its clients busy until it hears of that.
    fn load_after(&mut self, id: EntityId, outcome: &Outcome) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.conflicts = if *outcome == Outcome::Conflict { real.conflicts.saturating_add(1) } else { 0 };
        let Some(beyond) = real.conflicts.checked_sub(CONFLICTS_AT_ONCE + 1) else {
            return self.start_load(id);
        };
        real.phase = Phase::Loading;
        real.load = self.core.next_load();
        self.core.after_ms(CONFLICT_RETRY_MS << beyond.min(CONFLICT_DOUBLINGS), Timer::LoadRetry(id));
    }

    /// Finds out whether an append of unknown outcome landed: an event without effect takes the seq it wanted.
    pub(crate) fn fence(&mut self, id: EntityId, after: u64) {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        real.phase = Phase::Fencing { after };
        real.load = self.core.next_load();
        let event = EventRecord {
            at: self.core.world_time_from(real.last_at),
            cause: Bytes::new(),
            event_type: EventType::Fenced,
            payload: Bytes::new(),
        };
        let stream = StreamAppend { entity: id, load: real.load, after, events: vec![event], snapshot: None };
        let batch = Batch {
            id: self.core.next_batch(),
            node: self.core.me(),
            incarnation: self.core.settings.incarnation,
            prepared_by: Vec::new(),
            streams: vec![stream],
            names: Vec::new(),
        };
        self.hosts.fences.insert(batch.id, id);
        self.core.counters.fences += 1;
        self.append(batch);
    }

    /// Either way the question is settled: the journal now says what is.
    fn on_fenced(&mut self, id: EntityId, outcome: &Outcome) {
        match outcome {
            Outcome::Done | Outcome::Conflict => self.start_load(id),
            Outcome::Unknown | Outcome::Rejected(_) | Outcome::Taken => {
                self.core.after_ms(FENCE_RETRY_MS, Timer::FenceRetry(id));
            }
        }
    }

    pub(crate) fn on_fence_retry(&mut self, id: EntityId) {
        if let Some(Phase::Fencing { after }) = self.hosts.reals.get(&id).map(|r| r.phase) {
            self.fence(id, after);
        }
    }
}

pub(crate) fn place(body: Body) -> Place {
    Place { island: u32::from(body.island), x: body.at.x, y: body.at.y, heading: u32::from(body.heading) }
}
