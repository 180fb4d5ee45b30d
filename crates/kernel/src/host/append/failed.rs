//! Appends that did not land, or whose outcome is unknown: the entity reloads from the journal and does its work again.
//!
//! | outcome | what the entity does |
//! | --- | --- |
//! | Conflict | reloads and decides its work again; after three consecutive conflicts it backs off |
//! | Taken, Rejected | reloads, refuses the command, decides the rest again |
//! | Generation | reloads, as after a conflict; see `generation` |
//! | Unknown | writes a fence: an event without effect at the seq the batch wanted. Its outcome decides |

use bytes::Bytes;
use gundo_types::{NodeId, Planted};
use gundo_wire::Message;
use gundo_wire::journal::{Cause, EventRecord, EventType, Outcome, StreamAppend};

use crate::core::Timer;
use crate::game::Refusal;
use crate::host::desk::Cx;
use crate::host::entity::Entity;
use crate::host::pending::{Entry, Joint, Pending, Why};
use crate::host::phase::Phase;
use crate::host::queue::Work;
use crate::host::tx::Lock;
use crate::peer::{Age, Line, ToEdge};
use crate::retry;

/// Consecutive conflicts after which an entity still reloads at once: a takeover causes only one.
const CONFLICTS_AT_ONCE: u8 = 3;

/// What is left of appends that were given up.
struct GivenUp {
    /// Seq of the event before the first of them.
    after: u64,
    /// Work to do again, in order.
    work: Vec<Work>,
    /// The first piece of it belongs to the failed append.
    has_work: bool,
    /// The transactions they were for, in order.
    joints: Vec<Joint>,
    /// The first of these belongs to the failed append.
    first_is_joint: bool,
    /// If they adopted a session: the connection that had it before.
    before: Option<Option<Line>>,
}

impl Entity {
    /// The append did not land, or its outcome is unknown. The entity gives up everything decided on top of it, and does the work
    /// again on the journal's state, except that it refuses a Taken or Rejected command.
    pub(super) fn on_append_failed(&mut self, cx: &mut Cx<'_>, batch: u64, outcome: Outcome) {
        let at = self.pending.iter().position(|p| p.batch == batch).expect("an append in flight is listed");
        // A full queue rejects at once, while earlier appends of the stream are still in flight: those stand.
        let early = at > 0;
        assert!(!early || matches!(outcome, Outcome::Rejected(_)), "appends of one stream end in order");
        let mut given_up = self.give_up_from(cx, at);
        assert!(given_up.after < self.durable.seq, "appends that are given up were applied");
        assert_eq!(self.pending.len(), at, "earlier appends stand");
        if let Some(before) = given_up.before {
            self.give_line_back(cx, before);
        }
        for item in &mut given_up.work {
            if let Work::Command(c) = item {
                c.tries = c.tries.saturating_add(1);
            }
        }
        // A transaction that was still preparing depends on what is given up: it begins again with its command.
        if let Some(Lock::Coordinating(tx)) = self.lock.take() {
            given_up.work.extend(cx.abort(tx).map(Work::Command));
        }
        let refusal = refusal_of(&outcome);
        let refused = (refusal.is_some() && given_up.has_work).then(|| given_up.work.remove(0));
        if let Some(player) = &mut self.player {
            player.forget_answers(given_up.work.iter().chain(&refused));
        }
        for item in given_up.work.into_iter().rev() {
            self.queue.put_back(item);
        }
        self.keep_to_the_limit(cx);
        let unknown = outcome == Outcome::Unknown;
        let others = if unknown { Outcome::Unknown } else { Outcome::Conflict };
        for (n, joint) in given_up.joints.into_iter().enumerate() {
            let its_own = n == 0 && given_up.first_is_joint;
            self.end_joint(cx, Some(joint), if its_own { &outcome } else { &others });
        }
        if let (Some(work), Some(refusal)) = (refused, refusal) {
            self.note_refused_append(&work, &refusal);
            self.refuse_work(cx, &work, refusal);
        }
        if unknown {
            self.fence(cx, given_up.after);
        } else if early {
            self.life.settle();
        } else if cx.core.planted(Planted::RefusedStays) && matches!(outcome, Outcome::Rejected(_)) {
            self.load = cx.core.next_load();
            self.durable.seq = given_up.after;
            self.durable.snapshot_seq = self.durable.snapshot_seq.min(given_up.after);
            self.run(cx);
        } else {
            self.load_after_failure(cx, &outcome);
        }
    }

    /// Many parts of transactions may have been answered behind one append. If more wait again than may wait, the youngest hear *Busy*.
    fn keep_to_the_limit(&mut self, cx: &mut Cx<'_>) {
        let max = cx.core.world().limits.waiting_per_entity_max;
        let oldest = Age(0, NodeId(0), 0);
        while self.queue.bounded() > max
            && let Some(youngest) = self.queue.give_up_younger(oldest)
        {
            self.say_busy(cx, youngest.tx);
        }
    }

    /// Everything in flight, from this append on, is of an earlier generation of the journal.
    pub(in crate::host) fn on_outdated(&mut self, cx: &mut Cx<'_>, first: u64) {
        self.on_append_failed(cx, first, Outcome::Conflict);
    }

    /// Gives up the appends in flight from the one at `at` on.
    fn give_up_from(&mut self, cx: &mut Cx<'_>, at: usize) -> GivenUp {
        let line = self.line();
        let pending = self.pending.split_off(at);
        // Of the connections that adopted the session only the present one does so again. If another has it, the others are
        // superseded. If none has it, they are closed, or messages with their edge were lost: then the edge asks again.
        let outdone = |e: &Entry| match &e.work {
            Some(Work::Open { line: l, .. }) if e.adopts().is_some() && line != Some(*l) => Some(*l),
            _ => None,
        };
        let own = |p: &Pending| p.entries.first().is_some_and(|e| e.work.is_some() && outdone(e).is_none());
        let mut given_up = GivenUp {
            after: pending.front().map_or(0, |p| p.after),
            work: Vec::new(),
            has_work: pending.front().is_some_and(own),
            first_is_joint: pending.front().is_some_and(|p| p.joint.is_some()),
            joints: Vec::new(),
            before: pending.iter().flat_map(|p| &p.entries).find_map(Entry::adopts),
        };
        for p in pending {
            cx.desk.appends.forget(p.batch);
            given_up.joints.extend(p.joint);
            for entry in p.entries {
                match outdone(&entry) {
                    Some(l) if line.is_some() => self.tell_edge(cx, l, ToEdge::Superseded),
                    Some(l) => self.tell_edge(cx, l, ToEdge::NotHere),
                    None => given_up.work.extend(entry.work),
                }
            }
        }
        given_up
    }

    /// Reloads it, with a back-off for consecutive conflicts: no append of a removed node lands, and such a node must not keep
    /// the journal and its clients busy until it learns that it was removed.
    fn load_after_failure(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) {
        let conflicts = matches!(outcome, Outcome::Conflict | Outcome::Generation(_));
        self.conflicts = if conflicts { self.conflicts.saturating_add(1) } else { 0 };
        match self.conflicts.checked_sub(CONFLICTS_AT_ONCE + 1) {
            None => self.start_load(cx),
            Some(beyond) => {
                let wait_ms = cx.core.retry_ms(retry::CONFLICT, beyond);
                self.load_after_ms(cx, wait_ms);
            }
        }
    }

    /// Finds out whether an append of unknown outcome landed: an event without effect takes the seq it wanted.
    pub(in crate::host) fn fence(&mut self, cx: &mut Cx<'_>, after: u64) {
        assert!(self.pending.is_empty(), "{}: nothing is in flight beside a fence", self.id);
        assert!(after <= self.durable.seq, "{}: a fence comes after an applied event", self.id);
        self.life.begin_fence(after);
        self.load = cx.core.next_load();
        let event = EventRecord {
            at: cx.core.world_time_from(self.durable.last_at),
            cause: bare_cause(cx.core.generation.unwrap_or(0)),
            event_type: EventType::Fenced,
            payload: Bytes::new(),
        };
        let load = self.load;
        let stream =
            StreamAppend { entity: self.id, load, after, events: vec![event], snapshot: None, wake: None };
        self.send_batch(cx, Why::Fence { load }, Vec::new(), vec![stream], Vec::new());
        cx.core.counters.fences += 1;
    }

    /// Either way the doubt is settled: the journal now has the answer. `load`: which doubt that was.
    pub(in crate::host) fn on_fenced(&mut self, cx: &mut Cx<'_>, load: u64, outcome: &Outcome) {
        if self.load != load || self.life.fence().is_none() {
            return cx.core.note_stale();
        }
        match outcome {
            Outcome::Done | Outcome::Conflict => self.start_load(cx),
            // A generation has begun meanwhile: the load says what is true in it.
            Outcome::Generation(_) => self.start_load(cx),
            Outcome::Unknown | Outcome::Rejected(_) | Outcome::Taken => {
                self.after_outage(cx, Timer::FenceRetry(self.id));
            }
        }
    }

    pub(in crate::host) fn on_fence_retry(&mut self, cx: &mut Cx<'_>) {
        if let Phase::Fencing { after } = self.phase() {
            self.fence(cx, after);
        }
    }
}

/// The cause of an event that has none: only the generation in which it was decided.
fn bare_cause(generation: u64) -> Bytes {
    Cause { generation, ..Cause::default() }.encode_to_vec().into()
}

/// The refusal of a command whose append the journal refused for a permanent reason.
fn refusal_of(outcome: &Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Taken => Some(Refusal::new("name_taken", "Somebody else has that name already.")),
        Outcome::Rejected(_) => {
            let text = "The world cannot save anything right now. Try again in a moment.";
            Some(Refusal::new("storage", text))
        }
        Outcome::Done | Outcome::Conflict | Outcome::Unknown | Outcome::Generation(_) => None,
    }
}
