//! A player changes its node while both live: a handoff.
//!
//! The old owner lets what is begun end (*freezing*), stops and offers all it has (*frozen*). The new one makes it ready and
//! claims it at the player's home, and the home's grant is the moment of change: from then on the old copy is nothing,
//! whatever becomes of the new one. In doubt the old owner asks the home as well, and either gives the copy up or gets
//! a new term, by which a late claim fails. What clients say meanwhile is not carried along: their edges keep it, and
//! say it again to the new owner. When to do that and to whom: `drain.rs`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, Epoch, NodeId, Planted, Term, Time};

use crate::Node;
use crate::core::Timer;
use crate::game::Rules;
use crate::host::{Phase, Real, guard};
use crate::peer::{HandoffMessage, HomeMessage, Image, Line, Peer, ToEdge, ToPlayer};
use crate::player::to_player;
use crate::work::Work;

/// How long what is begun may take to end, ms. Beyond, the player stays.
const FREEZING_MS: u64 = 2_000;
/// How long the old owner waits before it asks the home whose the player is, and between two questions, ms.
const DOUBT_MS: u64 = 300;
/// Between two claims, ms.
const CLAIM_EVERY_MS: u64 = 200;
/// How long an offer is kept whose claim is not answered, ms. Beyond, the player is loaded from the journal when its edge asks.
const ARRIVING_MS: u64 = 5_000;
/// Players that may be on their way to this node. Beyond, offers are refused.
const ARRIVING_MAX: usize = 1_024;
/// Messages that wait for one of them. Beyond, their senders are told to ask again.
const WAITING_MAX: usize = 8;
/// How long a player stays after a handoff that failed, ms.
const STAYS_MS: u64 = 10_000;
/// The same on a node that is being emptied, ms.
const STAYS_DRAINING_MS: u64 = 500;

/// Players that change their node, away from this one or to it.
#[derive(Default)]
pub(crate) struct Handoffs {
    leaving: BTreeMap<EntityId, Leaving>,
    arriving: BTreeMap<EntityId, Arriving>,
    /// After the next tick it is looked who follows its surroundings.
    pub(crate) follow_due: bool,
}

/// A player that is to be real on another node.
pub(crate) struct Leaving {
    to: NodeId,
    /// The term it was offered by.
    term: Term,
    /// The view it was offered in.
    epoch: Epoch,
    /// When something must have happened.
    due: Time,
    /// The newest wish of its client since.
    walked: Option<(Line, u32, gundo_types::Body)>,
    /// Its line, gone since.
    gone: Option<(Line, bool)>,
}

/// A player that is real here as soon as its home says so.
struct Arriving {
    from: (NodeId, Term),
    real: Box<Real>,
    /// When it is claimed again.
    due: Time,
    until: Time,
    waiting: Vec<(Line, ToPlayer)>,
}

impl Handoffs {
    pub(crate) fn len(&self) -> usize {
        self.leaving.len() + self.arriving.len()
    }

    /// Players on their way from here.
    pub(crate) fn leaving(&self) -> usize {
        self.leaving.len()
    }

    pub(crate) fn is_arriving(&self, id: EntityId) -> bool {
        self.arriving.contains_key(&id)
    }

    /// A client's wish to a frozen player: the newest is fulfilled if it stays.
    pub(crate) fn walked(&mut self, id: EntityId, line: Line, seq: u32, wish: gundo_types::Body) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.walked = Some((line, seq, wish));
        }
    }

    /// A line is gone while its player changes its node: the new owner must hear of it.
    pub(crate) fn line_gone(&mut self, id: EntityId, line: Line, leave: bool) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.gone = Some((line, leave));
        }
    }
}

impl Node {
    // ---- the old owner ---------------------------------------------------------------------------------

    /// Begins to hand a player to another node.
    pub(crate) fn hand_off(&mut self, id: EntityId, to: NodeId) {
        let Some(real) = self.hosts.reals.get_mut(&id).filter(|r| r.phase == Phase::Live) else { return };
        real.phase = Phase::Freezing;
        let due = self.core.now.time.plus_ms(FREEZING_MS);
        let epoch = self.core.view.epoch;
        let leaving = Leaving { to, term: real.term, epoch, due, walked: None, gone: None };
        self.handoffs.leaving.insert(id, leaving);
        self.core.after_ms(FREEZING_MS, Timer::Handoff(id));
        self.freeze(id);
    }

    /// Offers a freezing player once nothing of it is on its way: no append, no transaction, nothing said that nobody has been
    /// told of.
    pub(crate) fn freeze(&mut self, id: EntityId) {
        if self.hosts.reals.get(&id).is_none_or(|r| r.phase != Phase::Freezing) {
            return;
        }
        let mine = self.hosts.roaming().count();
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if !real.pending.is_empty() || real.lock.is_some() || self.publisher.has_signal(id) {
            return;
        }
        let Ok(snapshot) = guard(|| real.snapshot()) else {
            self.thaw(id);
            return self.on_game_panic(id, "snapshot");
        };
        let (now, term) = (self.core.now.time, real.term);
        let Some(leaving) = self.handoffs.leaving.get_mut(&id) else { return };
        let Some(player) = &real.player else { return };
        let image = Image {
            snapshot,
            seq: real.seq,
            snapshot_seq: real.snapshot_seq,
            last_at: real.last_at,
            body: real.body,
            center: player.center,
            line: player.line,
            present: player.present,
            grace_left_ms: player.leave_at.map(|at| at.since(now) / 1_000),
            last_seq: player.last_seq,
            refusals: player.refusals.iter().cloned().collect(),
            credit_mm: player.credit_mm,
            rested_us: now.since(player.moved_at),
            placed_us: now.since(player.placed_at),
            players_max: if self.core.is_draining() { usize::MAX } else { mine + mine / 2 + PLAYERS_MORE },
        };
        (leaving.term, leaving.epoch, leaving.due) = (term, self.core.view.epoch, now.plus_ms(DOUBT_MS));
        let to = leaving.to;
        self.hosts.reals.get_mut(&id).expect("just seen").phase = Phase::Frozen;
        let message = HandoffMessage::Image(Box::new(image));
        self.core.send(to, Peer::Handoff { entity: id, term, message });
        self.core.after_ms(DOUBT_MS, Timer::Handoff(id));
    }

    /// What was said has been told: players that waited for that are offered.
    pub(crate) fn freeze_all(&mut self) {
        let ids: Vec<_> = self.handoffs.leaving.keys().copied().collect();
        ids.into_iter().for_each(|id| self.freeze(id));
    }

    /// It stays, and goes on.
    fn thaw(&mut self, id: EntityId) {
        let leaving = self.handoff_failed(id);
        let Some(real) = self.hosts.reals.get_mut(&id) else { return };
        if !matches!(real.phase, Phase::Freezing | Phase::Frozen) {
            return;
        }
        real.phase = Phase::Live;
        self.refresh(id);
        if let Some((line, seq, wish)) = leaving.and_then(|l| l.walked) {
            self.walk(id, line, seq, wish);
        }
        self.run(id);
        self.unload_if_gone(id);
    }

    /// A handoff has come to nothing: not again soon.
    pub(crate) fn handoff_failed(&mut self, id: EntityId) -> Option<Leaving> {
        let leaving = self.handoffs.leaving.remove(&id)?;
        self.core.counters.handoffs_failed += 1;
        let stays_ms = if self.core.is_draining() { STAYS_DRAINING_MS } else { STAYS_MS };
        if let Some(player) = self.hosts.reals.get_mut(&id).and_then(|r| r.player.as_mut()) {
            player.stays_until = self.core.now.time.plus_ms(stays_ms);
        }
        Some(leaving)
    }

    /// Whose is it? The answer is `Kept`, `HandedOver`, or, if the home gave it to this node anew, `Granted`.
    fn doubt(&mut self, id: EntityId) {
        let due = self.core.now.time.plus_ms(DOUBT_MS);
        let Some(leaving) = self.handoffs.leaving.get_mut(&id) else { return };
        leaving.due = due;
        let term = leaving.term;
        self.core.after_ms(DOUBT_MS, Timer::Handoff(id));
        if let Some(home) = self.home_of(id) {
            self.core.send_home(home, HomeMessage::Keep { entity: id, term });
        }
    }

    /// It is this node's still, by a new term. False: nothing is known of it here.
    pub(crate) fn on_kept(&mut self, id: EntityId, offered: Term, term: Term) -> bool {
        let Some(real) = self.hosts.reals.get_mut(&id) else { return false };
        real.term = real.term.max(term);
        let leaving = self.handoffs.leaving.get(&id).filter(|l| l.term == offered);
        if let (Phase::Frozen, Some(leaving)) = (real.phase, leaving) {
            if leaving.epoch == self.core.view.epoch || self.core.planted(Planted::ThawsAfterGrant) {
                self.thaw(id);
            } else {
                // An earlier home may have granted it to somebody who is gone by now: the journal knows what became of it.
                self.handoff_failed(id);
                self.start_load(id);
            }
        }
        true
    }

    /// It is somebody else's now: the copy here is given up, and whoever speaks to it is told.
    pub(crate) fn on_handed_over(&mut self, id: EntityId, offered: Term, to: Option<(NodeId, Term)>) {
        let newer = |real: &Real| to.map_or(real.term == offered, |(_, term)| real.term < term);
        if !self.hosts.reals.get(&id).is_some_and(newer) {
            return;
        }
        if self.core.planted(Planted::ThawsAfterGrant) {
            return self.thaw(id);
        }
        let leaving = self.handoffs.leaving.remove(&id);
        let Some(real) = self.remove_real(id) else { return };
        let line = real.player.as_ref().and_then(|p| p.line);
        let Some((holder, term)) = to else {
            match line {
                // Its client brings it back: nobody is to see it leave.
                Some(line) => {
                    self.publisher.linger(id, self.core.tick());
                    self.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
                }
                None => self.publisher.hide(id),
            }
            return self.send_work_away(id, real.waiting, line);
        };
        self.core.counters.handoffs += 1;
        self.publisher.linger(id, self.core.tick());
        if let Some((line, leave)) = leaving.and_then(|l| l.gone) {
            self.core.send(holder, to_player(id, line, ToPlayer::Gone { leave }));
        }
        if let Some(line) = line {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::MovedTo { holder, term });
        }
        self.send_work_away(id, real.waiting, line);
    }

    /// Work that waited for a player that is gone. The edge of its line keeps what it said; others ask again.
    fn send_work_away(&mut self, id: EntityId, waiting: impl IntoIterator<Item = Work>, line: Option<Line>) {
        for work in waiting {
            let from = match work {
                Work::Open { line, .. } | Work::Resume { line, .. } => line,
                Work::Command(command) => command.line,
                Work::Prepare(prepare) => {
                    self.say_busy(id, &prepare);
                    continue;
                }
            };
            if Some(from) != line {
                self.core.send_edge(from.edge, from.conn, id, ToEdge::NotHere);
            }
        }
    }

    // ---- the new owner ---------------------------------------------------------------------------------

    /// What the other node of a handoff says.
    pub(crate) fn handle_handoff(&mut self, from: NodeId, id: EntityId, term: Term, message: HandoffMessage) {
        match message {
            HandoffMessage::Image(image) => self.on_image(id, (from, term), *image),
            HandoffMessage::Refused => {
                let offered = self.handoffs.leaving.get(&id);
                let frozen = self.hosts.reals.get(&id).is_some_and(|r| r.phase == Phase::Frozen);
                if frozen && offered.is_some_and(|l| (l.to, l.term) == (from, term)) {
                    self.thaw(id);
                }
            }
        }
    }

    fn on_image(&mut self, id: EntityId, from: (NodeId, Term), image: Image) {
        let now = self.core.now.time;
        let players = self.hosts.roaming().count() + self.handoffs.arriving.len();
        let older = self.handoffs.arriving.get(&id).is_some_and(|a| a.from.1 <= from.1);
        let before = if older { self.handoffs.arriving.remove(&id) } else { None };
        let full = self.handoffs.arriving.len() >= ARRIVING_MAX || players > image.players_max;
        let closes = self.core.stopping || self.core.is_draining();
        let rules = self.core.settings.rules.clone();
        let known = self.hosts.reals.contains_key(&id) || self.handoffs.is_arriving(id);
        let player = id.kind == self.core.settings.rules.player_kind();
        let real = if full || closes || known || !player || !is_sound(&image) {
            None
        } else {
            unpack(&rules, id, image, now)
        };
        let waiting = before.map(|b| b.waiting).unwrap_or_default();
        let Some(real) = real else {
            self.not_here(id, waiting);
            let message = HandoffMessage::Refused;
            return self.core.send(from.0, Peer::Handoff { entity: id, term: from.1, message });
        };
        let until = now.plus_ms(ARRIVING_MS);
        self.handoffs.arriving.insert(id, Arriving { from, real: Box::new(real), due: now, until, waiting });
        self.claim(id);
    }

    fn claim(&mut self, id: EntityId) {
        let due = self.core.now.time.plus_ms(CLAIM_EVERY_MS);
        let Some(arriving) = self.handoffs.arriving.get_mut(&id) else { return };
        arriving.due = due;
        let from = arriving.from;
        self.core.after_ms(CLAIM_EVERY_MS, Timer::Handoff(id));
        if let Some(home) = self.home_of(id) {
            self.core.send_home(home, HomeMessage::Claim { entity: id, from });
        }
    }

    /// The home has granted it: it is real here. False: nothing is known of it here (any more).
    pub(crate) fn on_claimed(&mut self, id: EntityId, claimed: Term, term: Term) -> bool {
        if let Some(real) = self.hosts.reals.get_mut(&id) {
            real.term = real.term.max(term);
            return true;
        }
        if self.handoffs.arriving.get(&id).is_none_or(|a| a.from.1 != claimed) {
            return false;
        }
        let Arriving { mut real, waiting, .. } = self.handoffs.arriving.remove(&id).expect("just seen");
        real.term = term;
        // A load of its own: what an earlier one has failed here does not bar this one's appends.
        real.load = self.core.next_load();
        let chunk = real.player.as_ref().and_then(|p| p.stands_around());
        let (line, leave_at) = real.player.as_ref().map_or((None, None), |p| (p.line, p.leave_at));
        self.hosts.reals.insert(id, *real);
        if let Some(center) = chunk {
            self.interest.set_player(center, true);
        }
        self.refresh(id);
        self.publisher.announce(&mut self.core, id);
        let edge_lives = |l: &Line| self.core.view.members.iter().any(|m| m.node == l.edge);
        match (line, leave_at) {
            (Some(line), _) if edge_lives(&line) => {
                let holder = self.core.me();
                self.core.send_edge(line.edge, line.conn, id, ToEdge::MovedTo { holder, term });
            }
            (Some(line), _) => self.handle_player(id, line, ToPlayer::Gone { leave: false }),
            (None, Some(at)) => drop(self.core.timers.insert((at, Timer::Grace(id)))),
            (None, None) => {}
        }
        waiting.into_iter().for_each(|(line, message)| self.handle_player(id, line, message));
        true
    }

    /// Its owner does not hold it by that term any more.
    pub(crate) fn on_claim_refused(&mut self, id: EntityId, claimed: Term) {
        if self.handoffs.arriving.get(&id).is_some_and(|a| a.from.1 == claimed) {
            self.forget_arrival(id);
        }
    }

    fn forget_arrival(&mut self, id: EntityId) {
        let waiting = self.handoffs.arriving.remove(&id).map(|a| a.waiting).unwrap_or_default();
        self.not_here(id, waiting);
    }

    fn not_here(&mut self, id: EntityId, waiting: Vec<(Line, ToPlayer)>) {
        for (line, _) in waiting {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        }
    }

    /// Somebody speaks to a player that is about to be here: its edge has heard of the grant sooner than this node.
    pub(crate) fn wait_for_arrival(&mut self, id: EntityId, line: Line, message: ToPlayer) {
        let Some(arriving) = self.handoffs.arriving.get_mut(&id) else { return };
        // The edge keeps where its client walks, and will say it.
        if matches!(message, ToPlayer::Move { .. }) {
            return;
        }
        if arriving.waiting.len() < WAITING_MAX {
            arriving.waiting.push((line, message));
        } else if !matches!(message, ToPlayer::Gone { .. }) {
            self.core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        }
    }

    // ---- both ------------------------------------------------------------------------------------------

    pub(crate) fn on_handoff_timer(&mut self, id: EntityId) {
        let now = self.core.now.time;
        if self.handoffs.leaving.get(&id).is_some_and(|l| l.due <= now) {
            match self.hosts.reals.get(&id).map(|r| r.phase) {
                Some(Phase::Frozen) => self.doubt(id),
                // It does not come to rest, or is loaded anew.
                _ => self.thaw(id),
            }
        }
        if let Some(arriving) = self.handoffs.arriving.get(&id).filter(|a| a.due <= now) {
            if arriving.until <= now {
                self.forget_arrival(id);
            } else {
                self.claim(id);
            }
        }
    }

    /// A new view: homes know nothing of grants that were on their way, and some nodes are gone.
    pub(crate) fn resume_handoffs(&mut self, gone: &[NodeId]) {
        let is_lost = |to: NodeId| {
            let stays = self.core.view.members.iter().any(|m| m.node == to && !m.draining);
            !stays || gone.contains(&to)
        };
        let lost = self.handoffs.leaving.iter().filter(|(_, l)| is_lost(l.to)).map(|(id, _)| *id);
        for id in lost.collect::<Vec<_>>() {
            match self.hosts.reals.get(&id).map(|r| r.phase) {
                Some(Phase::Frozen) => self.doubt(id),
                _ => self.thaw(id),
            }
        }
        let arriving: Vec<_> = self.handoffs.arriving.keys().copied().collect();
        arriving.into_iter().for_each(|id| self.claim(id));
    }

    /// The node stops: nobody may be left to answer. What is offered is saved here, and the journal takes one of two.
    pub(crate) fn end_handoffs(&mut self) {
        let leaving: Vec<_> = self.handoffs.leaving.keys().copied().collect();
        leaving.into_iter().for_each(|id| self.thaw(id));
        let arriving: Vec<_> = self.handoffs.arriving.keys().copied().collect();
        arriving.into_iter().for_each(|id| self.forget_arrival(id));
    }
}

/// A receiver may have half as many players again as the sender and this many more: a crowd does not gather on one node because
/// its square has one home.
const PLAYERS_MORE: usize = 32;

/// Whether a player may be so: what is counted on from it stays within numbers.
fn is_sound(image: &Image) -> bool {
    image.snapshot_seq <= image.seq
        && image.seq <= SEQ_MAX
        && image.refusals.len() <= REFUSALS_MAX
        && image.grace_left_ms.is_none_or(|ms| ms <= GRACE_LEFT_MS_MAX)
        && image.body.is_none_or(|b| b.heading < 128 && b.speed < 128)
}

/// No line of events is as long.
const SEQ_MAX: u64 = 1 << 62;
/// More than any window of answers.
const REFUSALS_MAX: usize = 1_024;
/// More than any grace time, ms: a week.
const GRACE_LEFT_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// The player as it was at its old owner. `None`: it cannot be read here.
fn unpack(rules: &Rules, id: EntityId, image: Image, now: Time) -> Option<Real> {
    let ago = |us: u64| Time(now.0.saturating_sub(us));
    let mut real = Real::new(id, Term::default(), true, now);
    let kind = rules.kind_of(id.kind)?;
    real.state = Some(guard(|| real.restore_snapshot(kind, &image.snapshot)).ok()?.ok()?);
    real.phase = Phase::Live;
    (real.seq, real.snapshot_seq, real.last_at) = (image.seq, image.snapshot_seq, image.last_at);
    real.body = image.body;
    let player = real.player.as_mut()?;
    (player.line, player.present, player.center) = (image.line, image.present, image.center);
    player.leave_at = image.grace_left_ms.map(|ms| now.plus_ms(ms));
    player.last_seq = image.last_seq;
    player.refusals = image.refusals.into();
    player.credit_mm = image.credit_mm;
    (player.moved_at, player.placed_at) = (ago(image.rested_us), ago(image.placed_us));
    Some(real)
}
