//! The old owner of a handoff: it freezes and offers the player, then gives the copy up or goes on with it.

use gundo_types::{NodeId, Planted, Term};

use crate::core::Timer;
use crate::game::{Rule, guard};
use crate::host::desk::{Cx, Rooms};
use crate::host::entity::Entity;
use crate::host::leaving::{DOUBT_MS, Leaving};
use crate::host::phase::Phase;
use crate::host::queue::{Resume, Work};
use crate::host::room::Host;
use crate::host::tx::Lock;
use crate::peer::{HandoffMessage, Image, Line, Peer, ToEdge, ToPlayer, to_player};

/// How long the work in flight may take to end, ms. After that the player stays.
const FREEZING_MS: u64 = 2_000;
/// How long a player stays after a handoff that failed, ms.
const STAYS_MS: u64 = 10_000;
/// The same on a draining node, ms.
const STAYS_DRAINING_MS: u64 = 500;
/// A receiver may have one and a half times the sender's players plus this many: a crowd must not gather on one node only because
/// its square has one home.
const PLAYERS_MORE: usize = 32;

impl Entity {
    /// Begins to hand the player to another node.
    pub(in crate::host) fn hand_off(&mut self, cx: &mut Cx<'_>, to: NodeId) {
        if !self.life.is(Phase::Live) {
            return;
        }
        assert!(self.player.is_some(), "{}: only players are handed off", self.id);
        assert!(to != cx.core.me(), "{}: it goes to another node", self.id);
        self.life.freeze();
        let due = cx.core.now.time.plus_ms(FREEZING_MS);
        let epoch = cx.core.view.epoch;
        let leaving = Leaving { to, term: self.term, epoch, due, walked: None, gone: None };
        cx.desk.departures.insert(self.id, leaving);
        cx.core.after_ms(FREEZING_MS, Timer::Handoff(self.id));
        self.busy_to_the_rest(cx);
        self.freeze(cx);
    }

    /// Offers a freezing player once nothing of it is in flight: no append, no transaction, and no signal that is still to be
    /// published.
    pub(in crate::host) fn freeze(&mut self, cx: &mut Cx<'_>) {
        if !self.life.is(Phase::Freezing) {
            return;
        }
        if cx.core.planted(Planted::LockLeftBehind) {
            self.lock.take_if(|lock| matches!(lock, Lock::Participant { .. }));
        }
        if !self.pending.is_empty() || self.lock.is_some() || cx.crowd.publisher.has_signal(self.id) {
            return;
        }
        let Ok(image) = guard(self.id, Rule::Snapshot, || self.image(cx)) else {
            self.thaw(cx);
            return self.on_game_panic(cx, "snapshot");
        };
        let (now, term, epoch) = (cx.core.now.time, self.term, cx.core.view.epoch);
        let message = HandoffMessage::Image(Box::new(image));
        let offer = Peer::Handoff { entity: self.id, term, message };
        if offer.weight() > cx.core.world().whole_bytes_max() {
            // It is too large to travel: the player stays.
            cx.core.counters.too_large += 1;
            return self.thaw(cx);
        }
        let leaving = cx.desk.departures.get_mut(self.id).expect("a freezing player is on the list");
        (leaving.term, leaving.epoch, leaving.due) = (term, epoch, now.plus_ms(DOUBT_MS));
        let to = leaving.to;
        self.life.offer();
        cx.core.send(to, offer);
        cx.core.after_ms(DOUBT_MS, Timer::Handoff(self.id));
    }

    /// All its state, for its new owner. Runs the game's `snapshot`.
    fn image(&self, cx: &Cx<'_>) -> Image {
        assert!(self.pending.is_empty() && self.lock.is_none(), "{}: all of it is durable", self.id);
        let now = cx.core.now.time;
        let mine = cx.desk.players;
        let player = self.player.as_ref().expect("only players are handed off");
        Image {
            snapshot: self.durable.image(player),
            seq: self.durable.seq,
            snapshot_seq: self.durable.snapshot_seq,
            last_at: self.durable.last_at,
            body: self.body,
            center: player.center,
            line: player.line,
            present: player.present,
            grace_left_ms: player.leave_at.map(|at| at.since(now) / 1_000),
            last_seq: player.last_seq,
            unrecorded: player.unrecorded.iter().cloned().collect(),
            paces: player.paces.clone(),
            credit_mm: player.credit_mm,
            rested_us: now.since(player.moved_at),
            placed_us: now.since(player.placed_at),
            players_max: if cx.core.is_draining() { usize::MAX } else { mine + mine / 2 + PLAYERS_MORE },
        }
    }

    /// It stays and goes on here.
    pub(in crate::host) fn thaw(&mut self, cx: &mut Cx<'_>) {
        let leaving = self.handoff_failed(cx);
        if !matches!(self.phase(), Phase::Freezing | Phase::Frozen) {
            return;
        }
        self.life.thaw();
        if self.is_outdated(cx) {
            return self.load_again(cx);
        }
        self.list_alarm(cx);
        self.refresh(cx);
        if let Some((line, seq, wish)) = leaving.and_then(|l| l.walked) {
            self.walk(cx, line, seq, (wish, 0));
        }
        self.run(cx);
        self.unload_if_gone(cx);
    }

    /// A handoff failed: the next one must wait.
    pub(in crate::host) fn handoff_failed(&mut self, cx: &mut Cx<'_>) -> Option<Leaving> {
        let leaving = cx.desk.departures.remove(self.id)?;
        cx.core.counters.handoffs_failed += 1;
        let stays_ms = if cx.core.is_draining() { STAYS_DRAINING_MS } else { STAYS_MS };
        if let Some(player) = &mut self.player {
            player.stays_until = cx.core.now.time.plus_ms(stays_ms);
        }
        Some(leaving)
    }

    /// Another node may have had it since it was offered, and has it no more: the journal says what happened, and where that node
    /// showed its body last says more than the copy here.
    pub(in crate::host) fn doubt_copy(&mut self, cx: &mut Cx<'_>) {
        self.handoff_failed(cx);
        if let Some(player) = &mut self.player {
            player.outdated = true;
        }
        self.start_load(cx);
    }

    /// The receiver does not want it, and has not claimed it.
    pub(super) fn on_offer_refused(&mut self, cx: &mut Cx<'_>, by: (NodeId, Term)) {
        let offered = cx.desk.departures.get(self.id).is_some_and(|l| (l.to, l.term) == by);
        if offered && self.life.is(Phase::Frozen) { self.thaw(cx) } else { cx.core.note_stale() }
    }

    /// This node still owns it, by a new term.
    pub(super) fn on_kept(&mut self, cx: &mut Cx<'_>, offered: Term, term: Term) {
        self.term = self.term.max(term);
        let leaving = cx.desk.departures.get(self.id).filter(|l| l.term == offered);
        let (Phase::Frozen, Some(leaving)) = (self.phase(), leaving) else { return cx.core.note_stale() };
        if leaving.epoch == cx.core.view.epoch || cx.core.planted(Planted::ThawsAfterGrant) {
            self.thaw(cx);
        } else {
            // An earlier home may have granted it to a node that was lost since.
            self.doubt_copy(cx);
        }
    }

    /// Another node owns it now: gives up the copy here, and tells the edges that send to it.
    pub(super) fn on_handed_over(&mut self, cx: &mut Cx<'_>, offered: Term, to: Option<(NodeId, Term)>) {
        let newer = to.map_or(self.term == offered, |(_, term)| self.term < term);
        if !newer {
            return cx.core.note_stale();
        }
        if cx.core.planted(Planted::ThawsAfterGrant) {
            return self.thaw(cx);
        }
        let leaving = cx.desk.departures.remove(self.id);
        let line = self.line();
        self.forget(cx);
        let tick = cx.core.tick();
        match (to, line) {
            (Some((holder, term)), _) => {
                cx.core.counters.handoffs += 1;
                cx.crowd.publisher.linger(self.id, tick);
                if let Some((line, leave)) = leaving.and_then(|l| l.gone) {
                    cx.core.send(holder, to_player(self.id, line, ToPlayer::Gone { leave }));
                }
                if let Some(line) = line {
                    self.tell_edge(cx, line, ToEdge::MovedTo { holder, term });
                }
            }
            // Its client brings it back: nobody is to see it disappear.
            (None, Some(line)) => {
                cx.crowd.publisher.linger(self.id, tick);
                self.tell_edge(cx, line, ToEdge::NotHere);
            }
            (None, None) => cx.crowd.publisher.hide(self.id),
        }
        self.send_work_away(cx, line);
    }

    /// Gives up the work that waited for a player that has moved. Its session's edge keeps a copy; other senders ask again.
    fn send_work_away(&mut self, cx: &mut Cx<'_>, line: Option<Line>) {
        for work in self.queue.take_all() {
            let from = match work {
                Work::Open { line, .. } | Work::Resume(Resume { line, .. }) => line,
                Work::Command(command) if command.origin.is_some() => continue,
                Work::Command(command) => command.line,
                Work::Prepare(prepare) => {
                    self.say_busy(cx, prepare.tx);
                    continue;
                }
                Work::Read(tx) => {
                    self.say_busy(cx, tx);
                    continue;
                }
                Work::Own(_) | Work::Delivered => continue,
            };
            if Some(from) != line {
                self.tell_edge(cx, from, ToEdge::NotHere);
            }
        }
    }
}

impl Host {
    /// All signals are published: offers the players that waited for that.
    pub(crate) fn freeze_all(&mut self, rooms: &mut Rooms<'_>) {
        let leaving = self.desk.departures.ids();
        self.each(rooms, leaving, |entity, cx| entity.freeze(cx));
    }
}
