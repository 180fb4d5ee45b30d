//! A node's logic thread: inbox → kernel → edge, fabric and journal line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gundo_edge::{Delivery, Edge, NodeLink, Urgency};
use gundo_journal::{Completion, Line, Sink};
use gundo_kernel::{Gauges, Input, Node, Output};
use gundo_types::{NodeId, Now};

use crate::clock::Clock;
use crate::fabric::{Fabric, Lost};
use crate::inbox::Inbox;
use crate::indicators::{Logic, Recorders};

/// Inputs handled before the clocks are read again.
const INPUTS_PER_NOW: usize = 32;
/// The thread looks around at least this often.
const LOOK_AROUND: Duration = Duration::from_millis(500);
/// A logic thread that has not looked around for this long is not well, ms.
const STUCK_MS: u64 = 2_000;

/// What others see of a node: the edge's link to it.
pub(crate) struct Link {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) recorders: Recorders,
    pub(crate) clock: Arc<Clock>,
    /// Node time at which the logic thread looked around last, ms; 0: not yet.
    alive_ms: AtomicU64,
    ready: AtomicBool,
}

impl Link {
    pub(crate) fn new(inbox: Arc<Inbox>, recorders: Recorders, clock: Arc<Clock>) -> Self {
        Self { inbox, recorders, clock, alive_ms: AtomicU64::new(0), ready: AtomicBool::new(false) }
    }

    /// Where the node's journal line gives its completions.
    pub(crate) fn sink(&self) -> Sink {
        let inbox = Arc::clone(&self.inbox);
        Box::new(move |completion| {
            let input = match completion {
                Completion::Appended { batch, outcome } => Input::Appended { batch, outcome },
                Completion::Loaded { entity, load, result } => {
                    Input::Loaded { entity, load, result: result.map_err(|fault| fault.what) }
                }
            };
            inbox.give(input, Urgency::Now);
        })
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
        match self.ready.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("the node is starting or stopping".to_owned()),
        }
    }

    fn indicators(&self) -> String {
        self.recorders.render()
    }
}

/// Everything a logic thread works with.
pub(crate) struct Driver {
    node: Node,
    link: Arc<Link>,
    edge: Edge,
    fabric: Fabric,
    line: Box<dyn Line>,
    logic: Logic,
    deliveries: Vec<Delivery>,
    stopped: bool,
    tick_us_max: u32,
    published: Instant,
}

impl Driver {
    pub(crate) fn new(
        me: NodeId,
        node: Node,
        link: Arc<Link>,
        edge: Edge,
        fabric: Fabric,
        line: Box<dyn Line>,
    ) -> Self {
        let logic = Logic::new(&link.recorders, me);
        let deliveries = Vec::new();
        let published = Instant::now();
        Self { node, link, edge, fabric, line, logic, deliveries, stopped: false, tick_us_max: 0, published }
    }

    /// Runs until the inbox is closed. `on_stopped` is called when the kernel has saved everything.
    ///
    /// # Errors
    /// A peer takes nothing any more.
    pub(crate) fn run(mut self, mut on_stopped: impl FnMut()) -> Result<(), Lost> {
        let mut inputs = Vec::new();
        let mut told = false;
        let mut busy = false;
        loop {
            let around = Instant::now() + LOOK_AROUND;
            let due = self.node.poll_timeout().map(|at| self.link.clock.instant(at));
            let open = self.link.inbox.take(&mut inputs, due.unwrap_or(around).min(around), busy);
            busy = !inputs.is_empty();
            self.turn(&mut inputs)?;
            if self.stopped && !told {
                told = true;
                on_stopped();
            }
            if !open {
                return Ok(());
            }
        }
    }

    /// Handles everything that came, then the time that passed, then carries out what came of it.
    fn turn(&mut self, inputs: &mut Vec<Input>) -> Result<(), Lost> {
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
        self.edge.deliver(&mut self.deliveries);
        self.link.alive_ms.store(now.time.0 / 1_000, Ordering::Relaxed);
        self.link.ready.store(self.node.is_ready(), Ordering::Relaxed);
        self.fabric.flush()
    }

    fn handle(&mut self, now: Now, input: Input) {
        // The kernel looks at its timers with every input: whichever comes first when a tick is due pays for it.
        let tick = self.node.poll_timeout().is_some_and(|at| at <= now.time).then(Instant::now);
        self.node.handle(now, input);
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Send { conn, parts, class } => {
                    self.deliveries.push(Delivery::Send { conn, parts, class });
                }
                Output::Close { conn } => self.deliveries.push(Delivery::Close { conn }),
                Output::Peer { to, message } => self.fabric.push(to, message),
                Output::Append(batch) => self.line.append(batch),
                Output::Load { entity, load } => self.line.load(entity, load),
                Output::Stopped => self.stopped = true,
            }
        }
        if let Some(began) = tick {
            let took = began.elapsed();
            self.logic.tick.record(took.as_secs_f64());
            self.tick_us_max = self.tick_us_max.max(took.as_micros() as u32);
        }
    }

    fn publish(&mut self, now: Now) {
        self.published = Instant::now();
        let inbox = self.link.inbox.len();
        self.logic.publish(&self.node.counters(), inbox, self.fabric.dropped);
        let gauges = Gauges { tick_us: std::mem::take(&mut self.tick_us_max), inbox: inbox as u32 };
        self.handle(now, Input::Gauges(gauges));
    }
}
