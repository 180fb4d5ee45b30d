//! The node as one deterministic state machine.
//!
//! Plain data: no I/O, no clock, no threads, no async, no global state, no unseeded randomness.
//!
//! One contract: [`Node::handle`] one input, drain [`Node::poll_output`] until it is `None`, ask
//! [`Node::poll_timeout`] when to call again at the latest, wait. Start reading at [`Node`].

mod codec;
mod core;
mod crowd;
mod edge;
mod frame;
pub mod game;
mod home;
mod host;
mod io;
mod membership;
mod overload;
mod peer;
mod planted;
mod view;

use std::collections::VecDeque;

pub use frame::{ChunkFrame, Encoded, Motion, News};
pub use io::{
    Counters, Gauges, Input, Member, NodeSettings, Output, Parts, RealState, Renewal, SendClass, View,
    WorldSettings,
};
pub use peer::{
    Age, HandoffMessage, HomeMessage, Image, Key, Line, Opened, Peer, Prepared, Resumed, ToEdge, ToPlayer,
    TxId, TxMessage, WatchRefused, WatchedState,
};

use bytes::Bytes;
use gundo_types::{ChunkId, EntityId, NodeId, Now, Term, Time};

use crate::core::{Core, Timer};
use crate::crowd::Crowd;
use crate::edge::Edge;
use crate::home::Home;
use crate::host::Host;
use crate::membership::Membership;
use crate::overload::Overload;

/// Peer messages of an epoch that this node has not reached yet. More are dropped: their senders announce themselves again.
const EARLY_MAX: usize = 100_000;
/// Peer messages that wait for this node's homes to open. More are dropped: their senders ask again.
const WAITING_FOR_HOME_MAX: usize = 100_000;
/// Housekeeping, ms.
const SECOND_MS: u64 = 1_000;

/// A node of the cluster: edge, world and home in one.
///
/// * **Give it input**: [`handle`](Self::handle), one at a time, each with the current time.
/// * **Take its output**: [`poll_output`](Self::poll_output) until `None`, after every input.
/// * **Wake it**: [`poll_timeout`](Self::poll_timeout) says when to give [`Input::Timeout`].
/// * **Look at it**: [`counters`](Self::counters).
///
/// It only routes. The work is in its rooms, each with a state of its own: `edge` (sessions of clients), `host` (entities
/// that are real here), `home` (where entities are, and who looks at which chunk), `crowd` (who sees what); beside them `view`,
/// `membership` and `overload`. A room reaches only those below it: edge and host the crowd, host the home, all the core.
/// To other nodes, and to rooms above it, a room sends [`Peer`] messages, also on the same node.
pub struct Node {
    core: Core,
    crowd: Crowd,
    home: Home,
    host: Host,
    edge: Edge,
    membership: Membership,
    overload: Overload,
    /// Messages of epochs that this node has not reached yet, with their senders' incarnations.
    early: VecDeque<(NodeId, u64, Peer)>,
    /// Messages that wait for this node's homes to open.
    waiting_for_home: VecDeque<(NodeId, Peer)>,
    /// Number of the last tick.
    last_tick: Option<u32>,
    /// The node stops, and it has dismissed all players.
    dismissed: bool,
    /// [`Output::Stopped`] has been given.
    stopped: bool,
    mistakes: planted::Mistakes,
}

impl Node {
    /// A node that waits for its first view.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            mistakes: planted::Mistakes::new(settings.planted),
            core: Core::new(settings),
            crowd: Crowd::default(),
            home: Home::default(),
            host: Host::default(),
            edge: Edge::default(),
            membership: Membership::default(),
            overload: Overload::default(),
            early: VecDeque::new(),
            waiting_for_home: VecDeque::new(),
            last_tick: None,
            dismissed: false,
            stopped: false,
        }
    }

    /// Takes one input. Does bounded work and never blocks. `now` must not run backwards.
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
        assert!(self.core.local.is_empty(), "the previous input left no message to the node itself");
        if let Some(input) = self.mistakes.input(input) {
            self.take(input);
        }
        if !self.membership.is_fenced() {
            self.handle_timers();
        }
        if !self.membership.is_fenced() {
            self.settle();
        }
    }

    /// The next thing to do; call until `None` after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            let output = self.core.outputs.pop_front()?;
            if let Some(output) = self.mistakes.output(output) {
                return Some(output);
            }
        }
    }

    /// When [`Input::Timeout`] is due at the latest; `None` before the first view.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.timers.first().map(|(at, _)| *at)
    }

    // ---- looking at it ---------------------------------------------------------------------------------

    /// Whether it takes no more input, whatever views come: it has given [`Output::Fenced`], or it has given [`Output::Stopped`]
    /// after a drain rather than after [`Input::Stop`].
    pub fn is_over(&self) -> bool {
        self.membership.is_fenced() || self.stopped && !self.core.stopping
    }

    /// Its incarnation, as its settings say.
    pub fn incarnation(&self) -> u64 {
        self.core.settings.incarnation
    }

    /// Counters and gauges as of now.
    pub fn counters(&self) -> Counters {
        let (chunks, ghosts) = self.crowd.interest.size();
        let mut counters = Counters {
            overload_level: u64::from(self.overload.level()),
            ghosts: ghosts as u64,
            sessions: self.edge.len() as u64,
            watches: self.edge.watches() as u64,
            chunks: chunks as u64,
            ..self.core.counters.clone()
        };
        self.host.count(&self.core, &mut counters);
        counters
    }

    /// Whether clients may come: the node has a view, its homes are open, and it neither stops nor drains.
    pub fn is_ready(&self) -> bool {
        let closes = self.core.stopping || self.core.is_draining() || self.membership.is_fenced();
        self.home.is_open() && !closes
    }

    /// Every entity that is real here, in id order: for checkers, which compare it with what clients see.
    pub fn reals(&self) -> impl Iterator<Item = RealState<'_>> {
        self.host.states(&self.core, &self.crowd)
    }

    /// The state of an entity that is real here, as a snapshot would record it, durable or not: for checkers, which compare it
    /// with the journal.
    pub fn state_of(&self, id: EntityId) -> Option<Bytes> {
        self.host.state_of(id)
    }

    /// Whether `entity` is real here.
    pub fn holds(&self, entity: EntityId) -> bool {
        self.host.holds(entity)
    }

    /// From now on it acts as the next version: it adds fields to its durable state that this version does not know. For
    /// checkers: an older node that takes over must not lose them.
    pub fn act_newer(&mut self) {
        self.core.acts_newer = true;
    }

    /// Whether `kind` is a kind of the game's entities, rather than of volatile children.
    pub fn has_kind(&self, kind: gundo_types::Kind) -> bool {
        self.core.settings.rules.kind_of(kind).is_some()
    }

    /// The node that is home of `entity` in the present view.
    pub fn home(&self, entity: EntityId) -> Option<NodeId> {
        self.core.home_of(entity)
    }

    /// Asserts the invariants between two inputs, everywhere in the node. Costs a walk over everything: for checkers.
    ///
    /// # Panics
    /// An invariant is broken: a bug of the kernel.
    pub fn check(&mut self) {
        if self.is_over() {
            return;
        }
        assert!(self.core.local.is_empty(), "no message to the node itself is left");
        let draining = self.core.is_draining();
        assert!(!self.stopped || self.core.stopping || draining, "only a stop or a drain ends a node");
        self.with_host(|host, rooms| host.check(rooms));
        self.home.check();
        self.crowd.check(&self.core);
        self.edge.check(&self.core);
    }

    // ---- the way to a room -----------------------------------------------------------------------------

    fn with_host<R>(&mut self, act: impl FnOnce(&mut Host, &mut host::Rooms<'_>) -> R) -> R {
        let mut rooms = host::Rooms { core: &mut self.core, crowd: &mut self.crowd, home: &self.home };
        act(&mut self.host, &mut rooms)
    }

    fn with_edge<R>(&mut self, act: impl FnOnce(&mut Edge, &mut edge::Rooms<'_>) -> R) -> R {
        let mut rooms =
            edge::Rooms { core: &mut self.core, crowd: &mut self.crowd, overload: &self.overload };
        act(&mut self.edge, &mut rooms)
    }

    // ---- input -----------------------------------------------------------------------------------------

    fn take(&mut self, input: Input) {
        match input {
            Input::View(view) => self.handle_view(view),
            Input::Client { conn, message } => {
                self.with_edge(|edge, rooms| edge.handle_client(rooms, conn, message));
            }
            Input::Gone { conn } => self.with_edge(|edge, rooms| edge.handle_gone(rooms, conn)),
            Input::Lagging { conn } => self.with_edge(|edge, rooms| edge.handle_lagging(rooms, conn)),
            Input::Drained { conn } => self.with_edge(|edge, rooms| edge.handle_drained(rooms, conn)),
            Input::Peer { from, incarnation, message } => self.take_peer(from, incarnation, message),
            Input::LinkBroken { peer } => self.membership.on_link_broken(&mut self.core, peer),
            Input::Renewed { sent, renewal } => self.membership.on_renewed(&mut self.core, sent, renewal),
            Input::Appended { batch, outcome } => {
                self.with_host(|host, rooms| host.handle_appended(rooms, batch, outcome));
            }
            Input::Loaded { entity, load, result } => {
                self.with_host(|host, rooms| host.on_loaded(rooms, entity, load, result));
            }
            Input::Listed { list, result, .. } => {
                self.with_host(|host, rooms| host.on_listed(rooms, list, result));
            }
            Input::Timeout => {}
            Input::Gauges(gauges) => {
                self.edge.set_gauges(gauges);
                self.with_host(|host, rooms| host.set_storage_full(rooms, gauges.storage_full));
                self.overload.on_gauges(&mut self.core, gauges);
            }
            Input::Hold(hold) => self.host.set_hold(hold),
            Input::Stop => self.handle_stop(),
        }
    }

    fn handle_view(&mut self, view: View) {
        if view.epoch <= self.core.view.epoch {
            return;
        }
        let first = self.core.view.members.is_empty();
        let me = (self.core.me(), self.core.settings.incarnation);
        if !first && !view.members.iter().any(|m| (m.node, m.incarnation) == me) {
            return self.membership.fence_off(&mut self.core);
        }
        let in_order = view.members.windows(2).all(|pair| pair[0].node < pair[1].node);
        assert!(in_order, "a view lists each node once, in order");
        let before = std::mem::replace(&mut self.core.view, view);
        // A member that came back with a new incarnation does not stay.
        let stays = |m: &Member| {
            self.core.view.members.iter().any(|n| (n.node, n.incarnation) == (m.node, m.incarnation))
        };
        let gone: Vec<_> = before.members.iter().filter(|m| !stays(m)).map(|m| m.node).collect();
        assert!(first || !gone.contains(&me.0), "a node that is removed has stopped");
        // While the pictures of the lost are still there: they show where players stood.
        let heard = self.membership.heard(&gone);
        self.with_edge(|edge, rooms| edge.lose_holders(rooms, &heard));
        self.membership.set(&self.core, &self.core.view.members, first);
        self.home.reset();
        assert!(!self.home.is_open(), "a home is closed until all have announced");
        self.crowd.interest.forget_publishers(&mut self.core, &gone);
        self.crowd.publisher.forget_subscribers(&gone);
        self.with_host(|host, rooms| host.on_nodes_gone(rooms, &gone));
        self.with_host(|host, rooms| {
            host.leave_homes(rooms);
            host.leave_places(rooms);
        });
        self.announce();
        self.with_edge(|edge, rooms| edge.ask_homes_again(rooms));
        self.with_host(|host, rooms| host.resume_handoffs(rooms, &gone));
        self.edge.tell_edges(&mut self.core);
        if first {
            self.schedule_tick();
            self.core.after_ms(SECOND_MS, Timer::Second);
            self.membership.on_beat(&mut self.core);
        }
        for (from, incarnation, message) in std::mem::take(&mut self.early) {
            self.take_peer(from, incarnation, message);
        }
    }

    /// Announces to every home of the new view what this node owns, subscribes to and publishes.
    fn announce(&mut self) {
        let holds = self.host.announced(&self.core);
        let subscribes: Vec<_> = self.crowd.interest.subscribed().collect();
        let publishes: Vec<_> = self.crowd.publisher.published().collect();
        home::announce(&mut self.core, &holds, &subscribes, &publishes);
    }

    fn handle_stop(&mut self) {
        if !self.core.stopping {
            self.core.stopping = true;
            self.with_host(|host, rooms| host.end_handoffs(rooms));
            self.with_edge(|edge, rooms| edge.close_all(rooms));
        }
    }

    // ---- peers -----------------------------------------------------------------------------------------

    /// A peer's message, accepted from members only. A message from a node that has just joined waits for the view.
    fn take_peer(&mut self, from: NodeId, incarnation: u64, message: Peer) {
        let later = match self.membership.admits(&self.core, from, incarnation) {
            Ok(()) => {
                self.membership.hear(from, self.core.now.time);
                matches!(&message, Peer::Home { epoch, .. } if *epoch > self.core.view.epoch)
            }
            // The sender is ahead, or this node was removed: the next view says which.
            Err(_) if matches!(message, Peer::Stale { .. }) => false,
            Err(true) => true,
            Err(false) => return self.membership.tell_stale(&mut self.core, from),
        };
        if !later {
            self.handle_peer(from, message);
        } else if self.early.len() < EARLY_MAX {
            self.early.push_back((from, incarnation, message));
        } else {
            self.core.note_early();
        }
    }

    fn handle_peer(&mut self, from: NodeId, message: Peer) {
        match message {
            // Its sender has announced itself in the new view, or will.
            Peer::Home { epoch, .. } if epoch != self.core.view.epoch => self.core.note_stale(),
            Peer::Home { message, .. } => self.handle_home(from, message),
            Peer::Alive { epoch, renews, unreachable } => {
                self.membership.on_alive(&mut self.core, from, epoch, renews, unreachable);
            }
            Peer::Stale { epoch } => self.membership.on_stale(&mut self.core, epoch),
            Peer::Frames { number, frames } => {
                self.crowd.interest.take_frames(&mut self.core, from, number, frames);
            }
            Peer::Sent { number, rosters } => {
                self.crowd.interest.compare_sent(&mut self.core, from, number, &rosters);
            }
            Peer::KeyframeWanted(chunk) => self.crowd.publisher.owe_keyframe(from, chunk),
            Peer::ToPlayer { player, line, message } => {
                self.with_host(|host, rooms| host.hear_edge(rooms, from, player, line, message));
            }
            Peer::ToEdge { conn, player, message } => {
                self.with_edge(|edge, rooms| edge.handle_real(rooms, from, conn, player, message));
            }
            Peer::Handoff { entity, term, message } => {
                self.with_host(|host, rooms| host.handle_handoff(rooms, from, entity, term, message));
            }
            Peer::Transaction { tx, entity, message } => self.handle_tx(from, tx, entity, message),
        }
    }

    fn handle_tx(&mut self, from: NodeId, tx: TxId, entity: EntityId, message: TxMessage) {
        let answers = message.is_an_answer();
        // The coordinator's node sends its words, and receives those of participants: in one and the same life.
        let coordinator = if answers { self.core.me() } else { from };
        let Some(tx) = tx.of(coordinator, self.core.incarnation_of(coordinator)) else {
            return if tx.node == coordinator { self.core.note_stale() } else { self.core.note_nonsense() };
        };
        if answers {
            self.with_host(|host, rooms| host.on_participant(rooms, from, tx, entity, message));
        } else if matches!(message, TxMessage::Prepare { .. }) && !self.home.is_open() {
            if self.waiting_for_home.len() < WAITING_FOR_HOME_MAX {
                self.waiting_for_home.push_back((from, Peer::Transaction { tx, entity, message }));
            } else {
                self.core.note_early();
            }
        } else {
            self.with_host(|host, rooms| host.on_coordinator(rooms, from, tx, entity, message));
        }
    }

    // ---- homes -----------------------------------------------------------------------------------------

    /// A message to this node as a home, or from a home. The epoch has been checked.
    fn handle_home(&mut self, from: NodeId, message: HomeMessage) {
        match message {
            HomeMessage::Announce { holds, subscribes, publishes, last } => {
                let chunks = self.home.on_announced(&self.core, from, holds, subscribes, publishes, last);
                self.open_home(chunks);
            }
            answer if answer.is_from_home() => self.handle_home_answer(from, answer),
            question => {
                if let Some(question) = self.home.admit(&mut self.core, from, question) {
                    self.handle_home_question(from, question);
                }
            }
        }
    }

    /// A question to this node as an open home.
    fn handle_home_question(&mut self, from: NodeId, question: HomeMessage) {
        match question {
            HomeMessage::Subscribe(list) => {
                for (chunk, tiers) in list {
                    self.home.subscribe(&mut self.core, from, chunk, tiers);
                    self.with_host(|host, rooms| host.on_observed(rooms, chunk));
                }
            }
            HomeMessage::Publish { chunk, on } => self.home.publish(&mut self.core, from, chunk, on),
            HomeMessage::Watch { entity, number, players, seen } => {
                self.with_host(|host, rooms| host.on_watch(rooms, (from, number), entity, players, seen));
            }
            about_entity => {
                if let Some(entity) = self.home.on_entity(&mut self.core, from, about_entity) {
                    self.with_host(|host, rooms| host.on_released(rooms, entity));
                }
            }
        }
    }

    /// An answer from a home to this node as an edge, a host or a publisher.
    fn handle_home_answer(&mut self, from: NodeId, answer: HomeMessage) {
        match answer {
            HomeMessage::Located { entity, holder, term } => {
                self.with_edge(|edge, rooms| edge.on_located(rooms, entity, holder, term));
            }
            HomeMessage::Granted { entity, term } => self.on_granted(entity, term),
            HomeMessage::Subscribers { chunk, list } => {
                let told = self.last_tick.filter(|tick| *tick == self.core.tick());
                self.crowd.publisher.set_subscribers(&mut self.core, chunk, &list, told);
            }
            HomeMessage::Watched { entity, asked, refused, state } => {
                self.with_edge(|edge, rooms| edge.on_watched(rooms, from, entity, asked, refused, state));
            }
            HomeMessage::Deliver { player, message } => {
                self.with_host(|host, rooms| host.deliver(rooms, player, message));
            }
            about_handoff => self.with_host(|host, rooms| host.handle_home(rooms, from, about_handoff)),
        }
    }

    /// A home grants a player to this node, which asked where it is.
    fn on_granted(&mut self, player: EntityId, term: Term) {
        if !self.edge.looks_for(player) && !self.host.holds(player) {
            if let Some(home) = self.core.home_of(player) {
                self.core.send_home(home, HomeMessage::Released { entity: player, term });
            }
            return;
        }
        self.with_host(|host, rooms| host.take_roaming(rooms, player, term));
        let me = self.core.me();
        self.with_edge(|edge, rooms| edge.on_located(rooms, player, me, term));
    }

    /// Handles what waited for this node's homes to open, if they have. `chunks`: those that somebody publishes or sees.
    fn open_home(&mut self, chunks: Vec<ChunkId>) {
        if !self.home.is_open() {
            return;
        }
        for chunk in chunks {
            self.home.tell_publishers(&mut self.core, chunk);
            self.with_host(|host, rooms| host.on_observed(rooms, chunk));
        }
        for (from, question) in self.home.take_waiting() {
            self.handle_home(from, question);
        }
        for (from, message) in std::mem::take(&mut self.waiting_for_home) {
            self.handle_peer(from, message);
        }
    }

    // ---- time ------------------------------------------------------------------------------------------

    fn handle_timers(&mut self) {
        let now = self.core.now.time;
        while let Some((at, timer)) = self.core.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.core.timers.remove(&(at, timer));
            match timer {
                Timer::Tick => self.on_tick(),
                Timer::Flush => self.on_flush(),
                Timer::Second => self.on_second(),
                Timer::Beat => self.membership.on_beat(&mut self.core),
                Timer::Confirm(peer) => self.membership.on_confirm(&mut self.core, peer),
                Timer::PassOn(conn) => self.with_edge(|edge, rooms| edge.pass_on(rooms, conn)),
                of_entity => self.with_host(|host, rooms| host.on_timer(rooms, of_entity)),
            }
        }
    }

    /// Handles the node's messages to itself until none is left.
    fn settle(&mut self) {
        loop {
            while let Some(message) = self.core.local.pop_front() {
                if let Some(message) = self.mistakes.peer(message) {
                    self.handle_peer(self.core.me(), message);
                }
            }
            self.crowd.interest.settle(&mut self.core);
            if self.core.local.is_empty() {
                break;
            }
        }
        assert!(self.core.local.is_empty() && self.early.len() <= EARLY_MAX);
        if self.core.stopping && !self.stopped && self.host.is_quiet(&mut self.core) {
            // Only once: if the journal does not take a player's last place, the world must stop all the same.
            if !std::mem::replace(&mut self.dismissed, true) {
                self.with_host(|host, rooms| host.dismiss_players(rooms));
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

    /// Whether the drain is complete, and every member knows that this node takes nothing.
    fn is_empty(&self) -> bool {
        self.home.is_open() && self.host.is_empty() && self.edge.is_empty() && !self.crowd.publisher.lingers()
    }

    /// Ticks are aligned on world time, so that all nodes tick together.
    fn schedule_tick(&mut self) {
        let tick_us = u64::from(self.core.world().tick_ms) * 1_000;
        let into_us = (self.core.now.world.0 * 1_000) % tick_us;
        assert!(into_us < tick_us, "the next tick is within a tick");
        self.core.at(Time(self.core.now.time.0 + tick_us - into_us), Timer::Tick);
    }

    fn on_tick(&mut self) {
        // When world time runs slower than node time, or stands still, this runs twice in one tick. Receivers order frames by
        // the tick number, so each number is published once.
        let tick = self.core.tick();
        if self.last_tick == Some(tick) {
            return self.schedule_tick();
        }
        let newer = self.last_tick.is_none_or(|last| tick.wrapping_sub(last) < u32::MAX / 2);
        assert!(newer, "world time does not run backwards, so tick numbers grow");
        self.last_tick = Some(tick);
        // Frames from other nodes are passed on in every tick.
        if !self.overload.skips(tick) {
            self.with_host(|host, rooms| host.tick(rooms));
            self.crowd.publisher.tick(&mut self.core, &self.overload);
        }
        self.with_host(|host, rooms| {
            host.freeze_all(rooms);
            host.move_on(rooms);
        });
        let flush_ms = u64::from(self.core.world().flush_after_ms);
        self.core.after_ms(flush_ms, Timer::Flush);
        self.schedule_tick();
    }

    fn on_flush(&mut self) {
        self.crowd.interest.flush(&mut self.core);
        self.with_edge(|edge, rooms| edge.register_due(rooms));
        // A draining node sends clients away right after their frames: a client that goes now is back before the next tick.
        if self.core.is_draining() && !self.core.stopping {
            // First, or these clients would look for their players here once more.
            self.with_host(|host, rooms| host.let_the_idle_go(rooms));
            self.with_edge(|edge, rooms| edge.send_some_away(rooms));
        }
    }

    fn on_second(&mut self) {
        self.with_host(|host, rooms| host.rest(rooms));
        let reals = self.host.len();
        self.with_edge(|edge, rooms| edge.rest(rooms, reals));
        self.crowd.publisher.sent().into_iter().for_each(|(node, message)| self.core.send(node, message));
        self.core.after_ms(SECOND_MS, Timer::Second);
    }
}
