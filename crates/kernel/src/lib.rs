//! The node as one deterministic state machine.
//!
//! Plain data: no I/O, no clock, no threads, no async, no global state, no unseeded chance.
//!
//! One contract: [`Node::handle`] one input, drain [`Node::poll_output`] until it is `None`, ask
//! [`Node::poll_timeout`] when to call again at the latest, wait. Start reading at [`Node`].

mod append;
mod core;
mod crowd;
mod drain;
pub mod game;
mod handoff;
mod homes;
mod host;
mod io;
mod isolation;
mod membership;
mod overload;
mod peer;
mod player;
mod session;
mod storage;
mod transaction;
mod view;
mod work;

use std::collections::VecDeque;

pub use crowd::frame::{ChunkFrame, Encoded, Motion, News};
pub use io::{
    Counters, Gauges, Input, Member, NodeSettings, Output, Parts, Renewal, SendClass, View, WorldSettings,
};
pub use peer::{
    Age, HandoffMessage, HomeMessage, Image, Key, Line, Opened, Peer, Prepared, Resumed, ToEdge, ToPlayer,
    TxId, TxMessage,
};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Now, Planted, Term, Time};

use crate::core::{Core, Timer};
use crate::crowd::interest::Interest;
use crate::crowd::publish::Publisher;
use crate::handoff::Handoffs;
use crate::homes::Homes;
use crate::host::Hosts;
use crate::membership::Membership;
use crate::overload::Overload;
use crate::session::Sessions;
use crate::storage::Storage;

/// Peer messages of an epoch that has not come here yet. Beyond, they are dropped: their senders announce anew.
const EARLY_MAX: usize = 100_000;
/// Peer messages that wait for this node's homes to open. Beyond, they are dropped: their senders ask again.
const WAITING_FOR_HOME_MAX: usize = 100_000;
/// Housekeeping, ms.
const SECOND_MS: u64 = 1_000;

/// An entity that is real on a node, as checkers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RealState<'a> {
    /// Which.
    pub id: EntityId,
    /// Its term.
    pub term: Term,
    /// It is offered to another node, and takes no work until it is known whose it is.
    pub frozen: bool,
    /// Seq of its last event, durable or not.
    pub seq: u64,
    /// Whether nothing of it is on its way: no append, no lock, no waiting work.
    pub settled: bool,
    /// Sessions and parts of others' commands that wait: `waiting_per_entity_max` at most.
    pub waiting: usize,
    /// How long the oldest work has been waiting that the journal has no room for, ms: less than `append_wait_ms`.
    pub held_ms: u64,
    /// Chunk, public part and body as shown to others; `None`: it is not shown.
    pub shown: Option<(ChunkId, &'a Bytes, Option<Body>)>,
}

/// A node of the cluster: edge, world and home in one.
///
/// * **Give it input**: [`handle`](Self::handle), one at a time, each with the present.
/// * **Take its output**: [`poll_output`](Self::poll_output) until `None`, after every input.
/// * **Wake it**: [`poll_timeout`](Self::poll_timeout) says when to give [`Input::Timeout`].
/// * **Look at it**: [`counters`](Self::counters).
///
/// The machines inside, each in a file of its own: sessions of clients (`session`), entities and their work (`host`,
/// `work`, `append`, `storage`, `player`), their failures (`isolation`), transactions (`transaction`), players that change their
/// node (`handoff`, `drain`), homes (`homes`), what is told to others (`publish`) and what is seen of them (`interest`,
/// `picture`). They talk through [`Peer`] messages also on the same node.
pub struct Node {
    core: Core,
    handoffs: Handoffs,
    homes: Homes,
    hosts: Hosts,
    interest: Interest,
    publisher: Publisher,
    sessions: Sessions,
    membership: Membership,
    storage: Storage,
    overload: Overload,
    /// Messages of epochs that have not come here yet, with their senders' incarnations.
    early: VecDeque<(NodeId, u64, Peer)>,
    /// Messages that wait for this node's homes to open.
    waiting_for_home: VecDeque<(NodeId, Peer)>,
    /// Number of the last tick.
    last_tick: Option<u32>,
    /// The node stops, and all players have been sent away.
    dismissed: bool,
    /// [`Output::Stopped`] has been given.
    stopped: bool,
}

impl Node {
    /// A node that waits for its first view.
    pub fn new(settings: NodeSettings) -> Self {
        let core = Core::new(settings);
        Self {
            handoffs: Handoffs::default(),
            homes: Homes::default(),
            hosts: Hosts::default(),
            interest: Interest::default(),
            core,
            publisher: Publisher::default(),
            sessions: Sessions::default(),
            membership: Membership::default(),
            storage: Storage::default(),
            overload: Overload::default(),
            early: VecDeque::new(),
            waiting_for_home: VecDeque::new(),
            last_tick: None,
            dismissed: false,
            stopped: false,
        }
    }

    /// Takes one input. Bounded work, never blocks. `now` must not run backwards.
    ///
    /// # Panics
    /// On a bug of the kernel, or a driver that breaks the contract (outcomes out of order). Nothing a client or a peer
    /// sends can cause one.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.is_over() {
            return;
        }
        // A clock that steps back stands still.
        self.core.now =
            Now { time: now.time.max(self.core.now.time), world: now.world.max(self.core.now.world) };
        match input {
            Input::View(view) => self.handle_view(view),
            Input::Client { conn, message } => self.handle_client(conn, message),
            Input::Gone { conn } => self.handle_gone(conn),
            Input::Lagging { conn } => self.handle_lagging(conn),
            Input::Drained { conn } => self.handle_drained(conn),
            Input::Peer { from, incarnation, message } => self.take_peer(from, incarnation, message),
            Input::LinkBroken { peer } => self.on_link_broken(peer),
            Input::Renewed { sent, renewal } => self.on_renewed(sent, renewal),
            Input::Appended { batch, outcome } => self.handle_appended(batch, outcome),
            Input::Loaded { entity, load, result } => self.on_loaded(entity, load, result),
            Input::Timeout => {}
            Input::Gauges(gauges) => self.on_gauges(gauges),
            Input::Hold(hold) => self.hosts.held = hold,
            Input::Stop => self.handle_stop(),
        }
        if !self.membership.fenced {
            self.handle_timers();
        }
        if !self.membership.fenced {
            self.settle();
        }
    }

    /// The next thing to do; call until `None` after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due at the latest; `None` before the first view.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.timers.first().map(|(at, _)| *at)
    }

    /// Whether it takes nothing more, whatever views come: it has given [`Output::Fenced`], or [`Output::Stopped`] because it
    /// was emptied, not told to stop.
    pub fn is_over(&self) -> bool {
        self.membership.fenced || self.stopped && !self.core.stopping
    }

    /// Its incarnation, as its settings say.
    pub fn incarnation(&self) -> u64 {
        self.core.settings.incarnation
    }

    /// Counters and gauges as of now.
    pub fn counters(&self) -> Counters {
        let (chunks, ghosts) = self.interest.size();
        Counters {
            appends_waiting: self.storage.waiting() as u64,
            overload_level: u64::from(self.overload.level()),
            journal_slow: u64::from(self.storage.is_slow(self.core.now.time, self.core.world())),
            storage_full: u64::from(self.storage.is_full()),
            held: self.hosts.reals.values().filter(|r| r.held).count() as u64,
            reals: self.hosts.reals.len() as u64,
            ghosts: ghosts as u64,
            sessions: self.sessions.len() as u64,
            handing_over: self.handoffs.len() as u64,
            chunks: chunks as u64,
            suspended: self.hosts.suspended.len() as u64,
            ..self.core.counters.clone()
        }
    }

    /// Whether the node has a view, its homes are open and nobody empties it: clients may come.
    pub fn is_ready(&self) -> bool {
        let closes = self.core.stopping || self.core.is_draining() || self.membership.fenced;
        self.homes.is_open() && !closes
    }

    /// Every entity that is real here, in id order: for checkers, which compare it with what clients see.
    pub fn reals(&self) -> impl Iterator<Item = RealState<'_>> {
        self.hosts.reals.values().map(|r| RealState {
            id: r.id,
            term: r.term,
            frozen: r.phase == host::Phase::Frozen,
            seq: r.seq,
            settled: r.is_settled() || r.phase == host::Phase::Suspended,
            waiting: r.waiting.iter().filter(|w| w.is_bounded()).count(),
            held_ms: r.held_since().map_or(0, |at| self.core.now.time.since(at) / 1_000),
            shown: self.publisher.shown(r.id),
        })
    }

    /// The state of an entity that is real here as its snapshot would have it, durable or not: for checkers, which compare it
    /// with what the journal gives.
    pub fn state_of(&self, id: EntityId) -> Option<Bytes> {
        self.hosts.reals.get(&id)?.state.as_ref().map(|state| state.snapshot())
    }

    /// Whether `entity` is real here.
    pub fn holds(&self, entity: EntityId) -> bool {
        self.hosts.reals.contains_key(&entity)
    }

    /// From now on it is of the next version: to what it keeps durable it adds fields that this one does not know. For checkers:
    /// an older node that takes over must not lose them.
    pub fn act_newer(&mut self) {
        self.core.acts_newer = true;
    }

    /// Whether entities of `kind` are entities of the game, rather than volatile children of one.
    pub fn has_kind(&self, kind: gundo_types::Kind) -> bool {
        self.core.settings.rules.kind_of(kind).is_some()
    }

    /// The node that is home of `entity` in the present view.
    pub fn home(&self, entity: EntityId) -> Option<NodeId> {
        self.home_of(entity)
    }

    fn handle_view(&mut self, view: View) {
        if view.epoch <= self.core.view.epoch {
            return;
        }
        let first = self.core.view.members.is_empty();
        let me = (self.core.me(), self.core.settings.incarnation);
        if !first && !view.members.iter().any(|m| (m.node, m.incarnation) == me) {
            return self.fence_off();
        }
        let before = std::mem::replace(&mut self.core.view, view);
        // Also one that has come back as another.
        let stays = |m: &Member| {
            self.core.view.members.iter().any(|n| (n.node, n.incarnation) == (m.node, m.incarnation))
        };
        let gone: Vec<_> = before.members.iter().filter(|m| !stays(m)).map(|m| m.node).collect();
        self.membership.set(&self.core, &self.core.view.members, first);
        self.homes.reset();
        self.interest.forget_publishers(&mut self.core, &gone);
        self.publisher.forget_subscribers(&gone);
        self.lose_partners(&gone);
        self.lose_lines(&gone);
        self.lose_holders(&gone);
        self.leave_homes();
        self.announce();
        self.locate_again();
        self.resume_handoffs(&gone);
        self.tell_edges();
        if first {
            self.schedule_tick();
            self.core.after_ms(SECOND_MS, Timer::Second);
            self.on_beat();
        }
        for (from, incarnation, message) in std::mem::take(&mut self.early) {
            self.take_peer(from, incarnation, message);
        }
    }

    /// A peer's message: of members only. What comes from one who has joined since waits for the view.
    fn take_peer(&mut self, from: NodeId, incarnation: u64, message: Peer) {
        let later = match self.membership.admits(&self.core, from, incarnation) {
            Ok(()) => {
                self.membership.hear(from, self.core.now.time);
                matches!(&message, Peer::Home { epoch, .. } if *epoch > self.core.view.epoch)
            }
            // Whoever says so is ahead, or was removed: the view will tell.
            Err(_) if matches!(message, Peer::Stale { .. }) => false,
            Err(true) => true,
            Err(false) => return self.tell_stale(from),
        };
        if !later {
            self.handle_peer(from, message);
        } else if self.early.len() < EARLY_MAX {
            self.early.push_back((from, incarnation, message));
        }
    }

    fn handle_peer(&mut self, from: NodeId, message: Peer) {
        match message {
            // Its sender has announced itself anew since, or will.
            Peer::Home { epoch, .. } if epoch != self.core.view.epoch => self.core.counters.stale += 1,
            Peer::Home { message, .. } => self.handle_home(from, message),
            Peer::Alive { epoch, renews, unreachable } => self.on_alive(from, epoch, renews, unreachable),
            Peer::Stale { epoch } => self.on_stale(epoch),
            Peer::Frames { number, frames } => {
                self.interest.take_frames(&mut self.core, from, number, frames);
            }
            Peer::Sent { number, rosters } => {
                self.interest.compare_sent(&mut self.core, from, number, &rosters);
            }
            Peer::KeyframeWanted(_) if self.core.planted(Planted::KeyframeIgnored) => {}
            Peer::KeyframeWanted(chunk) => self.publisher.owe_keyframe(from, chunk),
            Peer::ToPlayer { player, line, message } => self.handle_player(player, line, message),
            Peer::ToEdge { conn, player, message } => self.handle_edge(from, conn, player, message),
            // A coordinator's word comes from its node, a participant's goes to it.
            Peer::Transaction { tx, message, .. }
                if tx.node != if message.is_an_answer() { self.core.me() } else { from } =>
            {
                self.core.counters.nonsense += 1;
            }
            Peer::Handoff { entity, term, message } => self.handle_handoff(from, entity, term, message),
            Peer::Transaction { tx, entity, message } => match message {
                TxMessage::Prepared(_) | TxMessage::Refused(_) | TxMessage::Busy => {
                    self.on_participant(from, tx, entity, message);
                }
                TxMessage::Prepare { .. } if !self.homes.is_open() => {
                    if self.waiting_for_home.len() < WAITING_FOR_HOME_MAX {
                        self.waiting_for_home.push_back((from, Peer::Transaction { tx, entity, message }));
                    }
                }
                _ => self.on_coordinator(from, tx, entity, message),
            },
        }
    }

    fn handle_stop(&mut self) {
        if !self.core.stopping {
            self.core.stopping = true;
            self.end_handoffs();
            self.close_all();
        }
    }

    fn handle_timers(&mut self) {
        let now = self.core.now.time;
        while let Some((at, timer)) = self.core.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.core.timers.remove(&(at, timer));
            match timer {
                Timer::Tick => self.on_tick(),
                Timer::Flush => {
                    self.flush();
                    self.drain_clients();
                }
                Timer::Second => self.on_second(),
                Timer::Beat => self.on_beat(),
                Timer::Confirm(peer) => self.on_confirm(peer),
                Timer::Grace(id) => self.on_grace(id),
                Timer::LoadRetry(id) => self.on_load_retry(id),
                Timer::FenceRetry(id) => self.on_fence_retry(id),
                Timer::Lock(id) => self.on_lock_timer(id),
                Timer::Held(id) => self.on_held_timer(id),
                Timer::Transaction(tx) => self.on_tx_timer(tx),
                Timer::PassOn(conn) => self.pass_on(conn),
                Timer::Suspended(id) => self.on_suspended(id),
                Timer::Handoff(id) => self.on_handoff_timer(id),
            }
        }
    }

    /// Handles what the node told itself, until nothing is left to do.
    fn settle(&mut self) {
        loop {
            while let Some(message) = self.core.local.pop_front() {
                self.handle_peer(self.core.me(), message);
            }
            self.interest.settle(&mut self.core);
            if self.core.local.is_empty() {
                break;
            }
        }
        if self.core.stopping && !self.stopped && self.hosts.reals.values().all(host::Real::is_quiet) {
            // Once: a place the journal does not take is not worth a world that never stops.
            if !std::mem::replace(&mut self.dismissed, true) {
                self.dismiss_players();
                return self.settle();
            }
            self.stopped = true;
            self.core.outputs.push_back(Output::Stopped);
        }
        if self.core.is_draining() && !self.stopped && self.is_empty() {
            self.stopped = true;
            self.core.timers.clear();
            self.core.outputs.push_back(Output::Stopped);
        }
    }

    /// Ticks are aligned on world time, so that all nodes tick together.
    fn schedule_tick(&mut self) {
        let tick_us = u64::from(self.core.world().tick_ms) * 1_000;
        let into_us = (self.core.now.world.0 * 1_000) % tick_us;
        self.core.timers.insert((Time(self.core.now.time.0 + tick_us - into_us), Timer::Tick));
    }

    fn on_tick(&mut self) {
        // World time that runs slower than node time, or stands still, comes here twice in one tick: its number orders what
        // is told, so it is told once.
        let tick = self.core.tick();
        if self.last_tick == Some(tick) {
            return self.schedule_tick();
        }
        self.last_tick = Some(tick);
        // What other nodes tell is handed on all the same.
        if !self.overload.skips(tick) {
            self.tick_entities();
            self.publisher.tick(&mut self.core, &self.overload);
        }
        self.freeze_all();
        self.drain();
        // Right after a tick: who goes now is there before the next, and misses none.
        if std::mem::take(&mut self.handoffs.follow_due) {
            self.follow_surroundings();
        }
        let flush_ms = u64::from(self.core.world().flush_after_ms);
        self.core.after_ms(flush_ms, Timer::Flush);
        self.schedule_tick();
    }

    fn on_second(&mut self) {
        self.rest_entities();
        self.rest_players();
        self.rest_suspended();
        self.rest_sessions();
        self.handoffs.follow_due = true;
        for (node, message) in self.publisher.sent() {
            self.core.send(node, message);
        }
        self.core.after_ms(SECOND_MS, Timer::Second);
    }
}
