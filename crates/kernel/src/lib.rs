//! The node as one deterministic state machine.
//! Plain data: no I/O, no clock, no threads, no async, no global state, no unseeded randomness.
//!
//! One contract: [`Node::handle`] one input, drain [`Node::poll_output`] until it is `None`, ask
//! [`Node::poll_timeout`] when to call again at the latest, wait. Start reading at [`Node`].

mod changeover;
mod clock;
mod codec;
mod core;
#[cfg(feature = "planted")]
pub mod coverage;
mod crowd;
mod edge;
mod frame;
pub mod game;
mod home;
mod host;
mod inside;
mod io;
mod link;
mod membership;
mod overload;
mod peer;
mod planted;
mod retry;
mod view;
mod waking;

pub use frame::{ChunkFrame, Encoded, Motion, News};
pub use inside::Inside;
pub use io::{
    BLAMED_MAX, Counters, Gauges, Input, Member, NodeSettings, Output, Parts, RealState, Renewal, SendClass,
    Size, TailLost, View, WorldSettings,
};
pub use peer::{
    Age, Alive, HandoffMessage, HomeMessage, Image, Key, Label, Line, MailMessage, Opened, Order, OrderEnd,
    Owes, Peer, Placed, Prepared, Resumed, ToEdge, ToPlayer, Token, TxId, TxMessage, Unrecorded,
    WatchRefused, WatchedState, WorldSecret,
};

use gundo_types::{EntityId, NodeId, Now, Term, Time};

use crate::core::{Core, SECOND_MS, Timer};
use crate::crowd::Crowd;
use crate::edge::Edge;
use crate::home::{Found, Home};
use crate::host::Host;
use crate::link::{Incoming, Links};
use crate::membership::Membership;
use crate::overload::Overload;

/// A node of the cluster: edge, world and home in one.
///
/// * **Give it input**: [`handle`](Self::handle), one at a time, each with the current time.
/// * **Take its output**: [`poll_output`](Self::poll_output) until `None`, after every input.
/// * **Wake it**: [`poll_timeout`](Self::poll_timeout) says when to give [`Input::Timeout`]. **Look at it**: `counters`.
///
/// It only routes. The work is in its rooms, each with a state of its own. A room reaches only those below it: edge and host the
/// crowd, host the home, all the core. To other nodes, and to rooms above it, a room sends [`Peer`] messages.
pub struct Node {
    core: Core,
    crowd: Crowd,
    home: Home,
    host: Host,
    edge: Edge,
    membership: Membership,
    links: Links,
    overload: Overload,
    /// Number of the last tick.
    last_tick: Option<u32>,
    /// The node stops, and it has dismissed all players.
    dismissed: bool,
    /// [`Output::Stopped`] has been given.
    stopped: bool,
    mistakes: planted::Mistakes,
    /// What its machines have had: for checkers.
    #[cfg(feature = "planted")]
    pub coverage: coverage::Coverage,
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
            links: Links::default(),
            last_tick: None,
            dismissed: false,
            stopped: false,
            #[cfg(feature = "planted")]
            coverage: coverage::Coverage::default(),
        }
    }

    /// Takes one input. Does bounded work and never blocks. `now` must not run backwards.
    ///
    /// # Panics
    /// On a bug of the kernel, or of a driver that gives outcomes out of order. Nothing a client or a peer sends can cause one.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.is_over() {
            return;
        }
        self.core.set_now(now);
        self.membership.note_pause(&self.core);
        assert!(self.core.local.is_empty(), "the previous input left no message to the node itself");
        while let Some(peer) = self.links.next_reset(&mut self.core) {
            self.with_all(|rooms| rooms.on_link_reset(peer));
        }
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
        let again = if self.membership.is_fenced() { None } else { self.links.poll_again(&self.core) };
        if again.is_some() {
            return again;
        }
        loop {
            if let Some(piece) = self.links.poll_piece(&self.core) {
                return Some(piece);
            }
            let output = self.core.outputs.pop_front()?;
            let said =
                self.mistakes.output(output).and_then(|output| self.links.label(&mut self.core, output));
            if said.is_some() {
                return said;
            }
        }
    }

    /// When [`Input::Timeout`] is due at the latest; `None` before the first view.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.timers.first().map(|(at, _)| *at)
    }

    /// Whether it takes no more input: it has given [`Output::Fenced`], or [`Output::Stopped`] after a drain.
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
            clock_off_ms: self.core.clock.off_ms(),
            world_ms: self.core.now.world.0,
            ghosts: ghosts as u64,
            sessions: self.edge.len() as u64,
            watches: self.edge.watches() as u64,
            chunks: chunks as u64,
            link_bytes: self.links.bytes() as u64,
            ..self.core.counters.clone()
        };
        self.host.count(&self.core, &mut counters);
        counters
    }

    /// Whether clients may come: the node has been connected with all members of a view, its homes are open, it neither stops nor
    /// drains, and its world time is that of the others.
    pub fn is_ready(&self) -> bool {
        let closes = self.core.stopping || self.core.is_draining() || self.membership.is_fenced();
        self.home.is_open() && !closes && !self.core.is_off()
    }

    /// Every entity that is real here, in id order: for checkers.
    pub fn reals(&self) -> impl Iterator<Item = RealState<'_>> {
        self.host.states(&self.core, &self.crowd)
    }

    /// Whether `entity` is real here.
    pub fn holds(&self, entity: EntityId) -> bool {
        self.host.holds(entity)
    }

    /// From now on it acts as the next version, which adds fields to its durable state: for checkers.
    pub fn act_newer(&mut self) {
        self.core.acts_newer = true;
    }

    /// A look into its rooms: for checkers.
    pub fn inside(&self) -> Inside<'_> {
        let Self { core, home, links, host, edge, .. } = self;
        Inside { core, home, links, host, edge }
    }

    /// The node that is home of `entity` in the present view.
    pub fn home(&self, entity: EntityId) -> Option<NodeId> {
        self.core.home_of(entity)
    }

    /// Asserts the invariants between two inputs. Costs a walk over everything: for checkers.
    ///
    /// # Panics
    /// An invariant is broken: a bug of the kernel.
    pub fn check(&mut self) {
        if self.is_over() {
            return;
        }
        assert!(self.core.local.is_empty(), "no message to the node itself is left");
        assert!(!self.stopped || self.core.stopping || self.core.is_draining(), "only these end a node");
        self.with_host(|host, rooms| host.check(rooms));
        self.home.check();
        self.links.check(&self.core);
        self.crowd.check(&self.core);
        self.edge.check(&self.core);
    }

    fn with_host<R>(&mut self, act: impl FnOnce(&mut Host, &mut host::Rooms<'_>) -> R) -> R {
        let mut rooms = host::Rooms { core: &mut self.core, crowd: &mut self.crowd, home: &self.home };
        act(&mut self.host, &mut rooms)
    }

    fn with_edge<R>(&mut self, act: impl FnOnce(&mut Edge, &mut edge::Rooms<'_>) -> R) -> R {
        let mut rooms =
            edge::Rooms { core: &mut self.core, crowd: &mut self.crowd, overload: &self.overload };
        act(&mut self.edge, &mut rooms)
    }

    fn with_all<R>(&mut self, act: impl FnOnce(&mut changeover::Rooms<'_>) -> R) -> R {
        act(&mut changeover::Rooms {
            core: &mut self.core,
            crowd: &mut self.crowd,
            home: &mut self.home,
            host: &mut self.host,
            edge: &mut self.edge,
            membership: &mut self.membership,
            links: &mut self.links,
            overload: &self.overload,
        })
    }

    // ---- input -----------------------------------------------------------------------------------------

    fn take(&mut self, input: Input) {
        #[cfg(feature = "planted")]
        coverage::note_input(self, &input);
        match input {
            Input::View(view) => self.handle_view(view),
            Input::From { conn, from } => {
                self.with_edge(|edge, rooms| edge.handle_from(rooms, conn, from));
            }
            Input::Client { conn, message } => {
                self.with_edge(|edge, rooms| edge.handle_client(rooms, conn, message));
            }
            Input::Gone { conn } => self.with_edge(|edge, rooms| edge.handle_gone(rooms, conn)),
            Input::Lagging { conn } => self.with_edge(|edge, rooms| edge.handle_lagging(rooms, conn)),
            Input::Drained { conn } => self.with_edge(|edge, rooms| edge.handle_drained(rooms, conn)),
            Input::Peer { from, label, message } => self.take_peer(from, label, message),
            Input::LinkBroken { peer, incarnation: of } => {
                self.membership.on_link_broken(&mut self.core, peer, of);
                self.links.on_broken(&self.core, peer);
            }
            Input::LinkLost { peer } => self.links.on_lost(peer),
            Input::Renewed { sent, renewal } => self.membership.on_renewed(&mut self.core, sent, renewal),
            Input::Row { sent, stands } => self.membership.on_row(&mut self.core, sent, stands),
            Input::Appended { batch, outcome } => self.with_host(|h, r| h.handle_appended(r, batch, outcome)),
            Input::Loaded { entity, load, result } => {
                self.with_host(|host, rooms| host.on_loaded(rooms, entity, load, result));
            }
            Input::Listed { list, result, .. } => self.with_host(|h, r| h.on_listed(r, list, result)),
            Input::Woken { list, result } => self.with_all(|all| all.take_wakes(list, result)),
            Input::Blamed { entity, points } => self.with_host(|h, rooms| h.on_blamed(rooms, entity, points)),
            Input::Timeout => {}
            Input::Order { entity, order } => self.with_host(|h, rooms| h.on_operator(rooms, entity, *order)),
            Input::Gauges(gauges) => self.take_gauges(gauges),
            Input::Hold(hold) => self.host.set_hold(hold),
            Input::Stop => self.handle_stop(),
        }
    }

    fn handle_view(&mut self, view: View) {
        if self.with_all(|rooms| rooms.take_view(view)) {
            self.take_early();
        }
    }

    fn take_early(&mut self) {
        for (from, incarnation, message) in self.links.take_early() {
            let (core, members) = (&mut self.core, &mut self.membership);
            if let Some(message) = self.links.admit_taken(core, members, from, incarnation, message) {
                self.handle_peer(from, message);
            }
        }
    }

    fn take_gauges(&mut self, gauges: Gauges) {
        self.edge.set_gauges(gauges);
        self.with_host(|host, rooms| host.on_gauges(rooms, gauges));
        self.overload.on_gauges(&mut self.core, gauges);
    }

    fn handle_stop(&mut self) {
        if !self.core.stopping {
            self.core.stopping = true;
            self.with_host(|host, rooms| host.end_handoffs(rooms));
            self.with_edge(|edge, rooms| edge.close_all(rooms));
        }
    }

    /// A peer's message, as its link gives it: accepted from members only.
    fn take_peer(&mut self, from: NodeId, label: Label, message: Peer) {
        let (core, members) = (&mut self.core, &mut self.membership);
        let Incoming { reset, message } = self.links.admit(core, members, from, label, message);
        if reset {
            self.with_all(|rooms| rooms.on_link_reset(from));
        }
        if let Some(message) = message {
            self.handle_peer(from, message);
        }
    }

    fn handle_peer(&mut self, from: NodeId, message: Peer) {
        #[cfg(feature = "planted")]
        coverage::note_peer(self, &message);
        match message {
            // Its sender has announced itself in the new view, or will.
            Peer::Home { epoch, .. } if epoch != self.core.view.epoch => self.core.note_stale(),
            Peer::Home { message, .. } => self.handle_home(from, message),
            // The link has read its label. It puts pieces together.
            Peer::Heard { .. } | Peer::Piece { .. } | Peer::Later => {}
            Peer::Alive { epoch, alive } => {
                if self.membership.on_alive(&mut self.core, from, epoch, alive) {
                    self.last_tick = None;
                    self.take_early();
                }
                self.with_edge(|edge, rooms| edge.on_beat(rooms, from));
            }
            Peer::Stale { epoch } => self.membership.on_stale(&mut self.core, epoch),
            Peer::Frames { number, frames } => {
                self.crowd.interest.take_frames(&mut self.core, from, number, frames);
            }
            Peer::Sent { number, rosters } => {
                self.crowd.interest.compare_sent(&mut self.core, from, number, &rosters);
            }
            Peer::Missed { first } => self.crowd.publisher.owe_since(from, first),
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
            Peer::Mail { entity, message } => self.with_all(|all| all.on_mail(from, entity, message)),
        }
    }

    fn handle_tx(&mut self, from: NodeId, tx: TxId, entity: EntityId, message: TxMessage) {
        let answers = message.is_an_answer();
        // The coordinator's node sends its words, and receives those of participants: in one and the same life.
        // A player's home passes a question on.
        let roams = entity.kind == self.core.settings.rules.player_kind();
        let passed_on = roams && matches!(message, TxMessage::Prepare { .. });
        let coordinator = if answers {
            self.core.me()
        } else if passed_on {
            tx.node
        } else {
            from
        };
        let Some(tx) = tx.of(coordinator, self.core.incarnation_of(coordinator)) else {
            return if tx.node == coordinator { self.core.note_stale() } else { self.core.note_nonsense() };
        };
        if answers {
            self.with_host(|host, rooms| host.on_participant(rooms, from, tx, entity, message));
        } else if roams && !self.host.holds(entity) && passed_on {
            self.find_player(from, tx, entity, message);
        } else if matches!(message, TxMessage::Prepare { .. }) && !roams && !self.home.is_open() {
            self.home.admit(&mut self.core, from, Peer::Transaction { tx, entity, message });
        } else {
            self.with_host(|host, rooms| host.on_coordinator(rooms, tx, entity, message));
        }
    }

    /// A transaction asks a player that is not here. Its home passes the question on to the owner, once, or loads the player.
    fn find_player(&mut self, from: NodeId, tx: TxId, player: EntityId, message: TxMessage) {
        if self.core.home_of(player) == Some(self.core.me()) {
            if !self.home.is_open() {
                self.home.admit(&mut self.core, from, Peer::Transaction { tx, entity: player, message });
                return;
            }
            match self.home.find(&self.core, player) {
                Found::At(owner) if owner != self.core.me() && from == tx.node => {
                    return self.core.send(owner, Peer::Transaction { tx, entity: player, message });
                }
                Found::At(_) => {}
                Found::Here(term) => self.with_host(|host, rooms| host.take_roaming(rooms, player, term)),
            }
        }
        self.with_host(|host, rooms| host.on_coordinator(rooms, tx, player, message));
    }

    /// A message to this node as a home, or from a home. The epoch has been checked.
    fn handle_home(&mut self, from: NodeId, message: HomeMessage) {
        match message {
            HomeMessage::Announce { holds, subscribes, publishes, last } => {
                if self.home.on_announced(&mut self.core, from, holds, subscribes, publishes, last) {
                    self.open_some();
                }
            }
            answer if answer.is_from_home() => self.handle_home_answer(from, answer),
            question => {
                let question = Peer::Home { epoch: self.core.view.epoch, message: question };
                if let Some(Peer::Home { message, .. }) = self.home.admit(&mut self.core, from, question) {
                    self.handle_home_question(from, message);
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

    /// This node's homes are open: goes on to tell publishers and hosts of the chunks that somebody publishes or sees, and handles
    /// what waited.
    fn open_some(&mut self) {
        for chunk in self.home.opening(&mut self.core) {
            self.home.tell_publishers(&mut self.core, chunk);
            self.with_host(|host, rooms| host.on_observed(rooms, chunk));
        }
        for (from, question) in self.home.take_waiting() {
            self.handle_peer(from, question);
        }
    }

    fn handle_timers(&mut self) {
        let now = self.core.now.time;
        while let Some((at, timer)) = self.core.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.core.timers.remove(&(at, timer));
            match timer {
                Timer::Tick => self.on_tick(),
                Timer::Flush => self.on_flush(),
                Timer::Wakes => self.with_all(|all| all.read_wakes()),
                Timer::Second => self.on_second(),
                Timer::Announce => self.home.say_some(&mut self.core),
                Timer::OpenHome => self.open_some(),
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
        assert!(self.core.local.is_empty(), "the node has heard what it said to itself");
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

    fn on_tick(&mut self) {
        // When world time runs slower than node time, or stands still, this runs twice in one tick. Receivers order frames by
        // the tick number, so each number is published once.
        let tick = self.core.tick();
        if self.last_tick == Some(tick) {
            return self.core.schedule_tick();
        }
        assert!(self.last_tick.is_none_or(|last| tick.wrapping_sub(last) < u32::MAX / 2), "ticks grow");
        self.last_tick = Some(tick);
        // Frames from other nodes are passed on in every tick.
        if !self.overload.skips(tick) {
            self.with_host(|host, rooms| host.tick(rooms));
            self.crowd.publisher.tick(&mut self.core, &self.overload);
        }
        self.crowd.publisher.report(&mut self.core);
        self.with_host(Host::freeze_all);
        self.with_host(Host::move_on);
        let flush_ms = u64::from(self.core.world().flush_after_ms);
        self.core.after_ms(flush_ms, Timer::Flush);
        self.core.schedule_tick();
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
        self.with_all(|all| all.read_wakes());
        self.with_host(|host, rooms| host.rest(rooms));
        let reals = self.host.len();
        self.with_edge(|edge, rooms| edge.rest(rooms, reals));
        self.crowd.publisher.begin_report();
        self.crowd.publisher.report(&mut self.core);
        self.core.after_ms(SECOND_MS, Timer::Second);
    }
}
