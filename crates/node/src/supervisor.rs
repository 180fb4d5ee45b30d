//! The supervisor of a process: starts and ends its nodes, restarts those that ended by themselves, and executes what
//! operators ask for.
//!
//! This file has its loop. The loop waits for nothing but its next signal. Anything that takes time (the coordinator, and
//! through it the journal) is only started here; its result comes as a signal, or the loop looks again. The other rooms: `running` has the nodes that run, `starts` those that will start, `operators` the
//! operators' requests, `rollout` the restart of all nodes, `ending` the end.

mod elsewhere;
mod ending;
mod operators;
mod rollout;
mod running;
mod starts;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use gundo_coordinator::{CallError, Coordinator, Watch};
use gundo_kernel::{Input, Member, View};
use gundo_types::{EntityId, NodeId};

use crate::base::Base;
use crate::bound::Bound;
use crate::control::{Asker, Request};
use crate::driver::Ending;
use crate::indicators::NodeGauges;
use crate::nodes::{After, WorldFault, system};
use crate::orders::Way;
use crate::slot::{Ground, Stage};
use crate::unsaved::Why;
use crate::upkeep::Upkeep;
use elsewhere::Rolling;
use rollout::Rollout;
use running::Running;
use starts::Starts;

/// How often the supervisor looks around.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A signal to the supervisor.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Hand everything over if there is somebody to take it; then save everything and end.
    Stop,
    /// Save everything and end.
    Save,
    /// End at once, as in a crash.
    Kill,
    /// A node has saved everything, or handed everything over.
    Stopped { node: NodeId, incarnation: u64 },
    /// A logic thread has ended.
    Ended { node: NodeId, incarnation: u64, ending: Ending },
    /// A logic thread hangs.
    Stuck { node: NodeId, incarnation: u64, ms: u64 },
    /// Another process has lost a node over this entity, or an operator has pardoned it there.
    Blamed { entity: EntityId, points: u8 },
    /// A new view.
    View(View),
    /// The coordinator has answered the join of a node.
    Joined { node: NodeId, joined: Result<Member, CallError> },
    /// It has answered the drain of a node that an operator asked for, or a rollout.
    Drained { node: NodeId, incarnation: u64, drained: Result<bool, CallError>, asker: Option<Asker> },
    /// It has answered the leave of a node that has handed everything over.
    Left { node: NodeId, incarnation: u64, left: Result<(), CallError> },
    /// An operator gives an order: by which node? Nobody is answered if none is ready.
    Way(Sender<Way>),
    /// An operator's request.
    Control(Request, Asker),
}

/// The nodes of a process, and what they share.
pub(crate) struct Supervisor {
    ground: Ground,
    coordinator: Arc<dyn Coordinator>,
    running: Running,
    starts: Starts,
    rollout: Rollout,
    /// The newest view.
    view: View,
    gauges: NodeGauges,
    _watch: Watch,
    upkeep: Upkeep,
    base: Base,
    /// Nodes of the cluster that a rollout led by this process has yet to restart.
    rolling: Rolling,
    /// An operator wants the whole process to start again.
    renews: bool,
    /// It was told to stop, and hands everything over until then.
    leaves_by: Option<Instant>,
}

impl Supervisor {
    pub(crate) fn new(ground: Ground, base: Base, bound: Bound) -> Result<Self, WorldFault> {
        let coordinator = base.coordinator();
        let tx = ground.tx.clone();
        // A world that has ended drops the news.
        let watch = coordinator.watch(Box::new(move |view| drop(tx.send(Signal::View(view)))));
        let (drivers, front) = (base.figures(), ground.front.figures());
        let figures = move || drivers().into_iter().chain(front()).collect();
        let upkeep = Upkeep::start(&ground, bound, Box::new(figures));
        Ok(Self {
            gauges: NodeGauges::new(&ground.recorders),
            running: Running::new(Arc::clone(&ground.mesh)),
            starts: Starts::default(),
            rollout: Rollout::default(),
            view: View::default(),
            _watch: watch,
            upkeep: upkeep.map_err(system)?,
            ground,
            coordinator,
            base,
            rolling: Rolling::default(),
            renews: false,
            leaves_by: None,
        })
    }

    /// Runs the nodes until a signal ends the world.
    pub(crate) fn run(mut self, rx: &Receiver<Signal>) -> Result<After, WorldFault> {
        let mut next = Instant::now();
        let polite = loop {
            match rx.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stop) if self.begins_to_leave() => {}
                Ok(Signal::Stop | Signal::Save) => break true,
                Ok(Signal::Kill) | Err(RecvTimeoutError::Disconnected) => break false,
                Ok(signal) => self.on_signal(signal),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Also when signals arrive without a pause.
            if Instant::now() >= next {
                self.look_around();
                next = Instant::now() + LOOK_AROUND;
            }
            if self.has_left() {
                break true;
            }
        };
        let saved = if polite { self.stop_nodes(rx) } else { Ok(()) };
        let after = if self.renews { After::Again } else { After::Over };
        self.end(polite && saved.as_ref().err().is_none_or(|unsaved| unsaved.why == Why::Refused));
        saved.map(|()| after).map_err(WorldFault::Unsaved)
    }

    fn look_around(&mut self) {
        self.running.reap();
        self.start_what_is_due();
        self.go_on_rolling();
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Stop | Signal::Save | Signal::Kill => unreachable!("the loop ends by these"),
            Signal::Stopped { node, incarnation } => self.on_stopped(node, incarnation),
            Signal::Ended { node, incarnation, ending } => self.on_ended(node, incarnation, ending),
            Signal::Stuck { node, incarnation, ms } => self.on_stuck(node, incarnation, ms),
            Signal::Blamed { entity, points } => self.running.give_all(|| Input::Blamed { entity, points }),
            Signal::View(view) => self.on_view(view),
            Signal::Joined { node, joined } => self.on_joined(node, joined),
            Signal::Drained { node, incarnation, drained, asker } => {
                self.on_drained(node, incarnation, drained, asker);
            }
            Signal::Left { node, incarnation, left } => self.on_left(node, incarnation, left),
            Signal::Way(asker) => self.show_way(&asker),
            Signal::Control(request, asker) => self.control(request, asker),
        }
    }

    fn on_view(&mut self, view: View) {
        self.gauges.publish(&view);
        for member in view.members.iter().filter(|m| m.draining) {
            // This also covers a drain whose answer was lost.
            if let Some(slot) = self.running.life(member.node, member.incarnation)
                && slot.stage() == Stage::Running
            {
                slot.turn_to(Stage::Draining);
            }
        }
        self.view = view;
    }

    /// A node has handed everything over: it leaves the view, and ends once it has left.
    fn on_stopped(&mut self, node: NodeId, incarnation: u64) {
        let Some(slot) = self.running.life(node, incarnation) else { return };
        slot.turn_to(Stage::Leaving);
        let tx = self.ground.tx.clone();
        // A world that has ended drops the news.
        let reply = move |left| drop(tx.send(Signal::Left { node, incarnation, left }));
        self.coordinator.leave(incarnation, Box::new(reply));
    }

    fn on_left(&mut self, node: NodeId, incarnation: u64, left: Result<(), CallError>) {
        if let Err(error) = left {
            tracing::warn!(%error, node = node.0, "an empty node could not leave; the others remove it");
        }
        if self.running.life(node, incarnation).is_some() {
            self.end_empty(node);
        }
    }

    fn end_empty(&mut self, node: NodeId) {
        tracing::info!(node = node.0, "the node is empty and ends");
        self.running.end(node);
        self.renew(node);
    }

    /// A logic thread has ended by itself.
    fn on_ended(&mut self, node: NodeId, incarnation: u64, ending: Ending) {
        let Some(slot) = self.running.life(node, incarnation) else { return };
        let leaves = slot.stage() == Stage::Leaving;
        match ending {
            Ending::Told => return,
            // It saw the view without itself before the supervisor heard that it had left.
            Ending::Fenced if leaves => {}
            Ending::Fenced => {
                tracing::warn!(
                    node = node.0,
                    "the node was removed from the view: it starts as another incarnation"
                );
            }
            Ending::Panicked(what) => {
                tracing::error!(
                    node = node.0,
                    what,
                    "the node ended by a bug in the engine. Nothing acknowledged is lost; please report it"
                );
            }
        }
        if leaves { self.end_empty(node) } else { self.lose(node) }
    }

    /// A logic thread hangs: the supervisor abandons it, and nothing it does has an effect any more.
    fn on_stuck(&mut self, node: NodeId, incarnation: u64, ms: u64) {
        let Some(slot) = self.running.life(node, incarnation) else { return };
        let leaves = slot.stage() == Stage::Leaving;
        tracing::error!(node = node.0, ms, "the node hangs; it ends as after a crash");
        // The others hear of it before they take over.
        if let Some((entity, rule)) = self.ground.marks.of(incarnation) {
            let points = self.ground.blames.add(entity, rule);
            self.running.give_all(|| Input::Blamed { entity, points });
        }
        self.abort_if_alone();
        if leaves { self.end_empty(node) } else { self.lose(node) }
    }

    /// Ends a node as a crash would. It starts again later.
    fn lose(&mut self, node: NodeId) {
        self.running.end(node);
        self.starts.restart(node, Instant::now());
    }
}
