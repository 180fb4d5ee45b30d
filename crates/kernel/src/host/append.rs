//! How decisions become durable: appends, and the effects that wait for them.
//!
//! Events are applied in memory at once, and the entity goes on deciding. Every effect of its work is delayed until the last
//! event it depends on is durable. When an append does not end as Done, the entity reloads and does its work again: only the
//! journal decides what is true. That case is in `failed`.

mod failed;

use bytes::Bytes;
use gundo_types::{Planted, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{
    Batch, Cause, EventRecord, EventType, NameChange, Outcome, SnapshotParts, StreamAppend,
};

use super::desk::Cx;
use super::entity::Entity;
use super::pending::{Effect, Entry, Joint, Pending, Record, Why, place};
use super::phase::Phase;
use super::queue::Work;
use crate::game::{Rule, game_error, guard};
use crate::peer::{Line, Peer, ToEdge, TxMessage};

/// The news for others once an append has landed.
struct Looks {
    public: Option<Bytes>,
    own: Option<Bytes>,
    snapshot: Option<Bytes>,
    /// The rule that panicked meanwhile, if any: its part keeps its old look, and the event stands.
    failed: Option<&'static str>,
}

impl Entity {
    /// Applies events and sends them to the journal, with the parts of others if they belong to a transaction.
    pub(super) fn record(&mut self, cx: &mut Cx<'_>, record: Record) {
        let Record { events, mut cause, names, joint, entry } = record;
        let lives = matches!(self.phase(), Phase::Live | Phase::Freezing);
        let may = lives || cx.core.planted(Planted::SuspendedDecides);
        assert!(may, "{}: only a live entity records, not a {:?} one", self.id, self.phase());
        let (joint, parts) = joint.map_or((None, Vec::new()), |(joint, parts)| (Some(joint), parts));
        let there = match joint {
            Some(Joint::Coordinated(tx)) => cx.desk.txs.appender_of(tx),
            Some(Joint::Concluded(_)) | None => None,
        };
        let (after, at) = (self.durable.seq, cx.core.world_time_from(self.durable.last_at));
        let stands = self.player.is_some().then_some(self.body).flatten().map(place);
        cause.place = cause.place.or(stands);
        let Some(events) = self.apply_all(events, cause, at) else {
            return self.on_apply_failed(cx, entry, joint);
        };
        self.durable.last_at = at;
        let last = self.durable.seq;
        let looks = self.looks(cx, at, there.is_none());
        let wake = self.durable.wake_after(&events);
        let load = self.load;
        let mut streams =
            vec![StreamAppend { entity: self.id, load, after, events, snapshot: looks.snapshot, wake }];
        let (mut names, mut prepared_by) = (names, Vec::new());
        for part in parts {
            streams.push(part.stream);
            names.extend(part.names);
            prepared_by.push(part.incarnation);
        }
        assert_eq!(
            after + streams[0].events.len() as u64,
            self.durable.seq,
            "events are numbered without gaps"
        );
        assert_eq!(streams.len(), prepared_by.len() + 1, "each part has a node that prepared it");
        let batch = match there {
            Some(there) => self.conclude_elsewhere(cx, there, streams, names, prepared_by),
            None => self.send_batch(cx, Why::Events, prepared_by, streams, names),
        };
        cx.core.counters.appends += 1;
        // Mostly one append is in flight at a time, and there are many entities: reserve no more room than that.
        if self.pending.capacity() == 0 {
            self.pending.reserve_exact(1);
        }
        self.pending.push_back(Pending {
            batch,
            after,
            last,
            entries: vec![entry],
            public: looks.public,
            own: looks.own,
            joint,
        });
        if cx.core.planted(Planted::EarlyFrame) {
            self.public = self.pending.back().and_then(|p| p.public.clone());
            self.show(cx);
        }
        if cx.core.planted(Planted::MailEarly) {
            self.send_mail(cx);
        }
        self.list_alarm(cx);
        if let Some(doing) = looks.failed {
            self.on_game_panic(cx, doing);
        }
    }

    /// Applies events in memory. `None`: the game's code failed, and nothing is written.
    fn apply_all(
        &mut self,
        events: Vec<(EventType, Bytes)>,
        mut cause: Cause,
        at: WorldTime,
    ) -> Option<Vec<EventRecord>> {
        let count = events.len();
        let mut records = Vec::with_capacity(count);
        let generation = self.durable.generation;
        cause.generation = generation;
        let (durable, player) = (&mut self.durable, &mut self.player);
        let applied = guard(self.id, Rule::Apply, || {
            for (i, (event_type, payload)) in events.into_iter().enumerate() {
                let is_last = i + 1 == count;
                let bare = || Cause { generation, ..Cause::default() };
                let cause = if is_last { std::mem::take(&mut cause) } else { bare() };
                durable.apply(player.as_deref_mut(), event_type, &payload, &cause)?;
                let cause = cause.encode_to_vec().into();
                records.push(EventRecord { at, cause, event_type, payload });
            }
            Ok::<_, gundo_wire::DecodeError>(())
        });
        matches!(applied, Ok(Ok(()))).then_some(records)
    }

    /// How it looks after its newest event. `keeps`: with a snapshot if one is due.
    fn looks(&mut self, cx: &Cx<'_>, at: WorldTime, keeps: bool) -> Looks {
        let mut failed = None;
        let state = self.durable.state();
        let public = guard(self.id, Rule::Public, || state.public(at)).unwrap_or_else(|_| {
            failed = Some("public");
            self.public.clone()
        });
        let has_line = self.line().is_some();
        let own = has_line.then(|| {
            guard(self.id, Rule::Private, || state.private()).map_err(|_| failed = Some("private")).ok()
        });
        let due = keeps && self.durable.snapshot_is_due(0, cx.core.world().snapshot_every);
        let player = self.player.as_deref();
        let snapshot = due
            .then(|| {
                guard(self.id, Rule::Snapshot, || self.durable.snapshot(player))
                    .map_err(|_| failed = Some("snapshot"))
                    .ok()
            })
            .flatten();
        let snapshot = snapshot.map(|bytes| planted_prune(cx, bytes));
        if snapshot.is_some() {
            self.durable.snapshot_seq = self.durable.seq;
        }
        Looks { public, own: own.flatten(), snapshot, failed }
    }

    fn send_batch(
        &self,
        cx: &mut Cx<'_>,
        why: Why,
        prepared_by: Vec<u64>,
        streams: Vec<StreamAppend>,
        names: Vec<NameChange>,
    ) -> u64 {
        assert!(streams.iter().all(|s| !s.events.is_empty()), "{}: a stream in a batch has events", self.id);
        let id = cx.core.next_batch();
        let (node, incarnation) = (cx.core.me(), cx.core.settings.incarnation);
        // A fence belongs to no state: it asks what the journal has now.
        let generation = match why {
            Why::Events => self.durable.generation,
            Why::Fence { .. } => cx.core.generation.unwrap_or(0),
        };
        cx.desk.appends.begin(id, self.id, why);
        cx.append(Batch { id, node, incarnation, generation, prepared_by, streams, names });
        id
    }

    /// An event could not be applied: nothing was written.
    fn on_apply_failed(&mut self, cx: &mut Cx<'_>, entry: Entry, joint: Option<Joint>) {
        match joint {
            Some(Joint::Coordinated(tx)) => drop(cx.abort(tx)),
            Some(Joint::Concluded(tx)) => self.say_concluded(cx, tx, Outcome::Conflict),
            None => {}
        }
        if let Some(before) = entry.adopts() {
            self.give_line_back(cx, before);
        }
        match entry.work {
            Some(Work::Command(command)) => self.refuse(cx, command, game_error()),
            Some(Work::Open { line, .. }) => {
                self.emit(cx, None, vec![Effect::OpenRefused { line, refusal: game_error() }]);
            }
            Some(Work::Prepare(_) | Work::Read(_) | Work::Own(_) | Work::Resume(_) | Work::Delivered)
            | None => {}
        }
        self.on_game_panic(cx, "apply");
    }

    fn give_line_back(&mut self, cx: &Cx<'_>, before: Option<Line>) {
        let leaves_at = cx.core.now.time.plus_ms(cx.core.world().grace_ms);
        if let Some(player) = &mut self.player {
            player.give_line_back(before, leaves_at);
        }
    }

    /// Releases effects now, or when everything they depend on is durable.
    pub(super) fn emit(&mut self, cx: &mut Cx<'_>, work: Option<Work>, effects: Vec<Effect>) {
        match self.pending.back_mut() {
            Some(pending) => pending.entries.push(Entry { work, effects }),
            None => self.release(cx, effects),
        }
    }

    /// Releases effects now.
    pub(super) fn release(&mut self, cx: &mut Cx<'_>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { line, seq, result } => {
                    match &result {
                        Ok(_) => cx.core.counters.commands_done += 1,
                        Err(_) => cx.core.counters.commands_refused += 1,
                    }
                    self.tell_edge(cx, line, ToEdge::Reply { seq, result });
                }
                Effect::Opened { line, before, mut opened } => {
                    if let Some(before) = before.filter(|b| *b != line) {
                        self.tell_edge(cx, before, ToEdge::Superseded);
                    }
                    self.enter_world(cx);
                    // An event that became durable earlier may have put the body elsewhere.
                    if let Some((body, center)) = self.whereabouts() {
                        (opened.body, opened.center) = (body, center);
                    }
                    self.tell_edge(cx, line, ToEdge::Opened(opened));
                }
                Effect::OpenRefused { line, refusal } => {
                    self.tell_edge(cx, line, ToEdge::OpenRefused(refusal));
                }
                Effect::Resumed { line, mut resumed } => {
                    if let Some((body, center)) = self.whereabouts() {
                        (resumed.body, resumed.center) = (body, center);
                    }
                    self.tell_edge(cx, line, ToEdge::Resumed(resumed));
                }
                Effect::Superseded { line } => self.tell_edge(cx, line, ToEdge::Superseded),
                Effect::Transaction { tx, message } => {
                    cx.core.send(tx.node, Peer::Transaction { tx, entity: self.id, message });
                }
                Effect::Signal(payload) => cx.crowd.publisher.signal(self.id, payload),
                Effect::Body(body) => self.put_body(cx, body),
                Effect::Tell(tell) => self.send_tell(cx, tell),
                Effect::Took { letter } => self.say_took(cx, letter),
                Effect::Ordered { ordering, end } => self.say_ordered(cx, &ordering, end),
                Effect::Watched(judgement) => self.tell_watchers(cx, &judgement),
                Effect::Left => self.leave_world(cx),
            }
        }
    }

    /// Sends a message to the edge of a connection.
    pub(super) fn tell_edge(&self, cx: &mut Cx<'_>, line: Line, message: ToEdge) {
        cx.core.send_edge(line.edge, line.conn, self.id, message);
    }

    /// An append of its events ended.
    pub(super) fn on_appended(&mut self, cx: &mut Cx<'_>, batch: u64, outcome: Outcome) {
        if outcome != Outcome::Done {
            cx.core.counters.appends_failed += 1;
            return self.on_append_failed(cx, batch, outcome);
        }
        let front = self.pending.pop_front().expect("an append in flight is listed");
        assert_eq!(front.batch, batch, "appends of one stream end in order");
        assert!(front.after < self.durable.seq, "an append that landed was applied");
        self.durable.known = front.last;
        let line = self.line();
        self.conflicts = 0;
        self.public = front.public;
        self.show(cx);
        self.end_joint(cx, front.joint, &Outcome::Done);
        let waited = front
            .joint
            .is_some_and(|joint| matches!(joint, Joint::Coordinated(tx) if self.has_concluded(tx)));
        for mut entry in front.entries {
            for effect in &mut entry.effects {
                if let (Effect::Opened { opened, .. }, Some(own)) = (effect, &front.own) {
                    opened.own = own.clone();
                }
            }
            self.release(cx, entry.effects);
        }
        if let (Some(line), Some(own)) = (line, front.own) {
            self.tell_edge(cx, line, ToEdge::Own(own));
        }
        self.send_mail(cx);
        if let Some(next) = self.pending.front() {
            assert!(next.after > front.after, "appends follow each other");
            return;
        }
        if self.life.is(Phase::Settling) {
            return self.load_if_settled(cx);
        }
        self.refresh(cx);
        self.unload_if_gone(cx);
        self.freeze(cx);
        if waited && !self.is_gone() {
            self.run(cx);
        }
    }

    /// The append of a transaction has ended: tells its participants, or its coordinator.
    pub(super) fn end_joint(&self, cx: &mut Cx<'_>, joint: Option<Joint>, outcome: &Outcome) {
        let ends = match outcome {
            Outcome::Done => TxMessage::Commit,
            Outcome::Unknown => TxMessage::Fence,
            _ => TxMessage::Abort { reload: true },
        };
        match joint {
            Some(Joint::Coordinated(tx)) => drop(cx.end_tx(tx, &ends)),
            Some(Joint::Concluded(tx)) => self.say_concluded(cx, tx, outcome.clone()),
            None => {}
        }
    }
}

/// Planted mistakes: the snapshot lacks what is owed, or the timers.
fn planted_prune(cx: &Cx<'_>, snapshot: Bytes) -> Bytes {
    let [owed, timers] = [Planted::OwedPruned, Planted::TimerPruned].map(|mistake| cx.core.planted(mistake));
    if !owed && !timers {
        return snapshot;
    }
    match SnapshotParts::decode(snapshot.clone()) {
        Ok(parts) if owed => SnapshotParts { post: None, ..parts }.encode_to_vec().into(),
        Ok(parts) => SnapshotParts { timers: None, ..parts }.encode_to_vec().into(),
        Err(_) => snapshot,
    }
}
