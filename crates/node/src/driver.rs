//! A node's logic thread: inbox → kernel → edge, fabric and journal.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gundo_edge::{Delivery, Edge, NodeLink, Urgency};
use gundo_fabric::Fabric;
use gundo_journal::{Completion, Handle, Sink};
use gundo_kernel::{Counters, Gauges, Input, Node, Output, TailLost};
use gundo_types::{EntityId, NodeId, Now, WorldTime};

use crate::blackbox::{self, BlackBox, Reason};
use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::indicators::{Logic, Recorders};
use crate::member::Membership;
use crate::orders::Orders;
use crate::ring::{Event, Ring};
use crate::storage::Found;

/// Inputs handled before the clocks are read again.
const INPUTS_PER_NOW: usize = 32;
/// The thread looks around at least this often.
const LOOK_AROUND: Duration = Duration::from_millis(500);
/// The kernel takes no players while its world time is this far from that of the others, ms.
const OFF_MS: u64 = 1_000;
/// A logic thread that has not looked around for this long is unhealthy, ms.
const STUCK_MS: u64 = 2_000;
/// Entities with lost events that one alarm logs one by one. The black box has up to a thousand.
const LOST_LOGGED_MAX: usize = 100;

/// How a logic thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The supervisor ended it.
    Told,
    /// The node was removed from the view.
    Fenced,
    /// A bug, with the panic's message.
    Panicked(String),
}

/// Flags that a logic thread checks between two turns.
#[derive(Default)]
struct Gate {
    ended: bool,
    paused: bool,
}

/// A node as other threads see it, and the edge's link to it.
pub(crate) struct Link {
    /// Node and incarnation.
    pub(crate) me: (NodeId, u64),
    /// Its newest view.
    pub(crate) epoch: AtomicU64,
    pub(crate) ring: Ring,
    /// Twice the turns it has begun, minus one while it is in a turn.
    turns: AtomicU64,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) recorders: Recorders,
    pub(crate) clock: Arc<Clock>,
    /// Node time at which the logic thread last looked around, ms; 0: not yet.
    alive_ms: AtomicU64,
    ready: AtomicBool,
    gate: Mutex<Gate>,
    opened: Condvar,
    /// As of the last second.
    counters: Mutex<Counters>,
    /// What the last look at the journal has found.
    journal: Arc<Found>,
    /// Operators' orders that are given through it.
    pub(crate) orders: Orders,
}

impl Link {
    pub(crate) fn new(
        me: (NodeId, u64),
        inbox: Arc<Inbox>,
        recorders: Recorders,
        clock: Arc<Clock>,
        journal: Arc<Found>,
    ) -> Self {
        Self {
            me,
            epoch: AtomicU64::new(0),
            ring: Ring::default(),
            turns: AtomicU64::new(0),
            inbox,
            recorders,
            clock,
            alive_ms: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            gate: Mutex::default(),
            opened: Condvar::new(),
            counters: Mutex::default(),
            journal,
            orders: Orders::default(),
        }
    }

    /// The turn the logic thread is in; `None`: it is idle.
    pub(crate) fn turn(&self) -> Option<u64> {
        Some(self.turns.load(Ordering::Relaxed)).filter(|turns| turns % 2 == 1)
    }

    /// Runs `act` as a turn, which must come to an end.
    fn turning<T>(&self, act: impl FnOnce() -> T) -> T {
        let _turn = Turn::begin(&self.turns);
        act()
    }

    /// From now on the node sends nothing.
    pub(crate) fn end(&self) {
        self.gate().ended = true;
        self.orders.close();
        self.opened.notify_one();
    }

    /// Pauses the node, or lets it run again.
    pub(crate) fn pause(&self, paused: bool) {
        self.gate().paused = paused;
        self.opened.notify_one();
    }

    /// Waits while the node is paused. An ended node must send nothing, so hold the guard while it sends.
    fn pass(&self) -> Option<MutexGuard<'_, Gate>> {
        let mut gate = self.gate();
        while gate.paused && !gate.ended {
            gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        (!gate.ended).then_some(gate)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// The kernel's counters as of the last second.
    pub(crate) fn counters(&self) -> Counters {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the kernel's counters; returns the earlier ones.
    fn note(&self, counters: Counters) -> Counters {
        let mut last = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, counters)
    }

    /// Receives the completions of the node's journal.
    pub(crate) fn sink(&self) -> Sink {
        let (node, inbox) = (self.me.0.0, Arc::clone(&self.inbox));
        // Log a fault when it begins, not for every load that the kernel tries again.
        let failing = AtomicBool::new(false);
        Box::new(move |completion| {
            let input = match completion {
                Completion::Appended { batch, outcome } => Input::Appended { batch, outcome },
                Completion::Loaded { entity, load, result } => {
                    let result = result.map_err(|fault| fault.chain());
                    let failed = failing.swap(result.is_err(), Ordering::Relaxed);
                    if let (false, Err(fault)) = (failed, &result) {
                        tracing::warn!(node, fault, "cannot load an entity; trying again");
                    }
                    Input::Loaded { entity, load, result }
                }
                Completion::Listed { kind, list, result } => {
                    let result = result.map_err(|fault| fault.chain());
                    let failed = failing.swap(result.is_err(), Ordering::Relaxed);
                    if let (false, Err(fault)) = (failed, &result) {
                        tracing::warn!(node, fault, "entities cannot be listed; they are listed again");
                    }
                    Input::Listed { kind, list, result }
                }
                Completion::Woken { list, result } => {
                    Input::Woken { list, result: result.map_err(|fault| fault.chain()) }
                }
            };
            inbox.give(input, Urgency::Now);
        })
    }
}

/// A turn of a logic thread. It also ends by a panic.
struct Turn<'a>(&'a AtomicU64);

impl<'a> Turn<'a> {
    fn begin(turns: &'a AtomicU64) -> Self {
        turns.fetch_add(1, Ordering::Relaxed);
        Self(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl NodeLink for Link {
    fn give(&self, inputs: &mut Vec<Input>, urgency: Urgency) {
        self.inbox.give_all(inputs, urgency);
    }

    fn is_full(&self) -> bool {
        self.inbox.is_full()
    }

    fn health(&self) -> Result<(), String> {
        let silent_ms =
            (self.clock.now().time.0 / 1_000).saturating_sub(self.alive_ms.load(Ordering::Relaxed));
        if silent_ms > STUCK_MS {
            return Err(format!("the logic thread has been busy for {silent_ms} ms"));
        }
        match self.is_ready() {
            true => Ok(()),
            false => Err("the node is starting or stopping".to_owned()),
        }
    }
}

/// Everything that belongs to a logic thread.
pub(crate) struct Driver {
    node: Node,
    link: Arc<Link>,
    edge: Edge,
    fabric: Box<dyn Fabric>,
    handle: Box<dyn Handle>,
    membership: Membership,
    black_box: Arc<BlackBox>,
    logic: Logic,
    deliveries: Vec<Delivery>,
    fenced: bool,
    tick_us_max: u32,
    /// Working time since the last publication.
    worked: Duration,
    published: Instant,
}

impl Driver {
    pub(crate) fn new(
        node: Node,
        link: Arc<Link>,
        edge: Edge,
        fabric: Box<dyn Fabric>,
        handle: Box<dyn Handle>,
        membership: Membership,
        black_box: Arc<BlackBox>,
    ) -> Self {
        let logic = Logic::new(&link.recorders, link.me.0);
        Self {
            node,
            link,
            edge,
            fabric,
            handle,
            membership,
            black_box,
            logic,
            deliveries: Vec::new(),
            fenced: false,
            tick_us_max: 0,
            worked: Duration::ZERO,
            published: Instant::now(),
        }
    }

    /// Runs until the inbox is closed, or the node is removed.
    pub(crate) fn run(mut self) -> Ending {
        let mut inputs = Vec::new();
        let mut busy = false;
        loop {
            let around = Instant::now() + LOOK_AROUND;
            let due = self.node.poll_timeout().map(|at| self.link.clock.instant(at));
            let open = self.link.inbox.take(&mut inputs, due.unwrap_or(around).min(around), busy);
            busy = !inputs.is_empty();
            let link = Arc::clone(&self.link);
            if link.pass().is_none() {
                return Ending::Told;
            }
            let began = Instant::now();
            link.turning(|| self.think(&mut inputs));
            self.worked += began.elapsed();
            // A node that has ended meanwhile sends nothing more.
            let Some(_gate) = link.pass() else { return Ending::Told };
            let began = Instant::now();
            link.turning(|| self.carry_out());
            self.worked += began.elapsed();
            if self.fenced {
                return Ending::Fenced;
            }
            if !open {
                return Ending::Told;
            }
        }
    }

    /// Handles all inputs, then the time that has passed.
    fn think(&mut self, inputs: &mut Vec<Input>) {
        let mut now = self.link.clock.now();
        for (count, input) in inputs.drain(..).enumerate() {
            if count % INPUTS_PER_NOW == INPUTS_PER_NOW - 1 {
                now = self.link.clock.now();
            }
            if let Input::Drained { conn } = input {
                self.deliveries.push(Delivery::Resume { conn });
            }
            self.handle(now, input);
        }
        let now = self.link.clock.now();
        if self.node.poll_timeout().is_some_and(|at| at <= now.time) {
            self.handle(now, Input::Timeout);
        }
        if self.published.elapsed() >= Duration::from_secs(1) {
            self.publish(now);
        }
        self.link.alive_ms.store(now.time.0 / 1_000, Ordering::Relaxed);
        self.link.ready.store(self.node.is_ready(), Ordering::Relaxed);
    }

    /// Passes the results to clients and peers.
    fn carry_out(&mut self) {
        self.edge.deliver(&mut self.deliveries);
        self.fabric.flush();
    }

    fn handle(&mut self, now: Now, input: Input) {
        // The kernel checks its timers with every input, so the first input after a tick is due pays for the tick.
        let tick = self.node.poll_timeout().is_some_and(|at| at <= now.time).then(Instant::now);
        if let Input::View(view) = &input {
            self.link.epoch.store(view.epoch.0, Ordering::Relaxed);
        }
        self.link.ring.note(now.time, Event::of_input(&input));
        self.node.handle(now, input);
        while let Some(output) = self.node.poll_output() {
            self.link.ring.note(now.time, Event::of_output(&output));
            match output {
                Output::Send { conn, parts, class } => {
                    self.deliveries.push(Delivery::Send { conn, parts, class });
                }
                Output::Close { conn, closing } => self.deliveries.push(Delivery::Close { conn, closing }),
                Output::Peer { to, label, message } => self.fabric.push(to, label, message),
                Output::Append(batch) => self.handle.append(batch),
                Output::Load { entity, load } => self.handle.load(entity, load),
                Output::List { kind, ids, max, list } => self.handle.list(kind, ids, max, list),
                Output::Wakes { asked, list } => self.handle.wakes(asked, list),
                Output::Renew { sent } => self.membership.renew(sent),
                Output::AskRow { sent } => self.membership.ask_row(sent),
                Output::Remove { epoch, node, incarnation } => {
                    self.membership.propose_removal(epoch, node, incarnation);
                }
                Output::Panicked { entity, doing, suspended } => self.on_panicked(entity, doing, suspended),
                Output::GameFault { entity, rule, why } => {
                    tracing::warn!(node = self.link.me.0.0, %entity, rule, "the game wants what cannot be: {why}");
                }
                Output::TailsLost { generation, lost, more } => self.on_tails_lost(generation, lost, more),
                Output::Ordered { request, end } => self.link.orders.end(request, end),
                Output::ViewWanted => self.membership.look(),
                Output::Fenced => self.fenced = true,
                Output::Stopped => {
                    // What is saved and what is not, before the supervisor asks.
                    self.link.note(self.node.counters());
                    self.membership.stopped();
                }
            }
        }
        if let Some(began) = tick {
            let took = began.elapsed();
            self.logic.tick.record(took.as_secs_f64());
            self.tick_us_max = self.tick_us_max.max(took.as_micros() as u32);
        }
    }

    /// Game code panicked. The kernel has handled it; this reports it to operators.
    fn on_panicked(&self, entity: EntityId, doing: &'static str, suspended: bool) {
        let caught = blackbox::take_caught();
        let unsaid = match doing {
            "place" => "it puts the entity outside its chunk, so nobody sees it",
            _ => "an event it applied does not decode",
        };
        let words = caught.as_ref().map_or(unsaid, |c| c.words.as_str());
        tracing::warn!(node = self.link.me.0.0, %entity, doing, suspended, words, "game code failed");
        let reason = Reason::Game { entity, doing, suspended };
        self.black_box.report(&self.link, reason, caught, self.node.counters());
    }

    /// The journal has gone back to an earlier state, and events that were durable are gone.
    fn on_tails_lost(&self, generation: u64, lost: Vec<TailLost>, more: u64) {
        let (node, entities) = (self.link.me.0.0, lost.len() as u64 + more);
        tracing::error!(
            node,
            generation,
            entities,
            "the journal has lost events that were durable, and players may have seen: the black box names them"
        );
        for TailLost { entity, known, found } in lost.iter().take(LOST_LOGGED_MAX) {
            tracing::error!(node, generation, %entity, known, found, "its newest events are lost");
        }
        self.black_box.report_lost(&self.link, generation, (lost, more), self.node.counters());
    }

    fn publish(&mut self, now: Now) {
        let passed = self.published.elapsed();
        self.published = Instant::now();
        let inbox = self.link.inbox.len();
        let load = self.worked.as_secs_f64() / passed.as_secs_f64().max(1e-3);
        self.worked = Duration::ZERO;
        self.logic.load.set(load);
        let gauges = Gauges {
            tick_us: std::mem::take(&mut self.tick_us_max),
            inbox: inbox as u32,
            storage_full: self.link.journal.low.load(Ordering::Relaxed),
            load_permille: (load * 1_000.0) as u32,
            generation: self.link.journal.generation(),
        };
        self.handle(now, Input::Gauges(gauges));
        let counters = self.node.counters();
        if self.node.is_ready() {
            self.link.clock.show(WorldTime(counters.world_ms));
        }
        self.logic.publish(&counters, inbox, self.fabric.dropped());
        let (level, off_ms) = (counters.overload_level, counters.clock_off_ms);
        let before = self.link.note(counters);
        let was_off = before.clock_off_ms > OFF_MS;
        if (off_ms > OFF_MS) != was_off {
            let node = self.link.me.0.0;
            tracing::warn!(
                node,
                off_ms,
                "the node's world time differs from that of the others: over a second, it takes no players"
            );
        }
        let before = before.overload_level;
        if level != before {
            tracing::warn!(
                node = self.link.me.0.0,
                level,
                before,
                load,
                inbox,
                "the overload level has changed"
            );
        }
    }
}
