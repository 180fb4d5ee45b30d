//! The end of a process' nodes: they save everything, or it is like a crash.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use gundo_coordinator::ANSWER_MS;
use gundo_kernel::{Counters, Input};
use gundo_types::NodeId;

use super::{LOOK_AROUND, Signal, Supervisor};
use crate::bound;
use crate::control::Refused;
use crate::end;
use crate::slot::{Slot, Stage};
use crate::unsaved::{Unsaved, Why};

/// How long nodes may take to save everything at a stop: a journal on a slow disk needs a while. Beyond that the world ends
/// as after a crash: acknowledged data is safe.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// A journal that takes nothing for so long will not take the rest either: it has failed, or its disk hangs.
const STUCK_PATIENCE: Duration = Duration::from_secs(3);
/// How long the coordinator may take to let the nodes leave: a little longer than it has for an answer.
const LEAVE_PATIENCE: Duration = Duration::from_millis(ANSWER_MS + 500);
/// How long the journal may take to close: its files are whole at any time.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a note of what a node was lost over may take, before the process aborts without it.
const BLAME_PATIENCE: Duration = Duration::from_secs(1);
/// How long logic threads may take to end.
const THREAD_PATIENCE: Duration = Duration::from_secs(2);

// The end of a node in a cluster.
impl Supervisor {
    /// In a cluster, a node that is to stop hands everything to the others first. False: nobody could take it, or this is no cluster.
    pub(super) fn begins_to_leave(&mut self) -> bool {
        let Some(cluster) = self.base.as_cluster() else { return false };
        let (node, patience) = (cluster.node, Duration::from_millis(cluster.drain_ms));
        if self.leaves_by.is_some() {
            return true;
        }
        let begins = match self.running.get(node).map(Slot::stage) {
            Some(Stage::Draining | Stage::Leaving) => true,
            Some(Stage::Running) => self.drain(node, None),
            Some(Stage::Paused) | None => false,
        };
        if begins {
            tracing::info!(node = node.0, "stopping: the node hands everything to the others first");
            self.leaves_by = Some(Instant::now() + patience);
        }
        begins
    }

    /// In a cluster: its node has handed everything over and ended, or takes too long. A node that an operator drained has no more to do
    /// either.
    pub(super) fn has_left(&self) -> bool {
        let Some(cluster) = self.base.as_cluster() else { return false };
        let rests = self.running.get(cluster.node).is_none() && !self.starts.is_planned(cluster.node);
        rests && self.starts.knows(cluster.node)
            || self.leaves_by.is_some_and(|by| by <= Instant::now() || !self.is_draining(cluster.node))
    }

    fn is_draining(&self, node: NodeId) -> bool {
        let stage = self.running.get(node).map(Slot::stage);
        matches!(stage, Some(Stage::Draining | Stage::Leaving))
    }

    /// A process with one node has nothing to keep when that hangs: it aborts, and its supervisor outside starts it again. What it was
    /// doing is in the black box and in its marks.
    pub(super) fn abort_if_alone(&self) {
        if self.base.as_cluster().is_some() {
            self.ground.black_box.flush();
            // The other processes must know what it was before they take over and run it themselves.
            let give_up = Instant::now() + BLAME_PATIENCE;
            while !self.ground.blames.is_written() && Instant::now() < give_up {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::process::abort();
        }
    }
}

impl Supervisor {
    /// Has every node save everything and tell its clients. Nodes keep answering each other until all have saved. Returns what is not
    /// saved.
    pub(super) fn stop_nodes(&self, rx: &Receiver<Signal>) -> Result<(), Unsaved> {
        let deadline = Instant::now() + STOP_PATIENCE;
        let mut progress = Progress::new();
        // Nodes in stage Leaving have saved everything.
        let saving = self.running.iter().filter(|(_, slot)| slot.stage() != Stage::Leaving);
        let mut saving: Vec<NodeId> = saving
            .map(|(node, slot)| {
                slot.link.pause(false);
                slot.give(Input::Stop);
                node
            })
            .collect();
        while !saving.is_empty() {
            progress.look(self.counters());
            if let Some(why) = progress.verdict(deadline) {
                return Err(self.unsaved(why));
            }
            match rx.recv_timeout(LOOK_AROUND) {
                // If a node crashes meanwhile, the other nodes or the journal have what it owned.
                Ok(
                    Signal::Stopped { node, .. } | Signal::Ended { node, .. } | Signal::Stuck { node, .. },
                ) => saving.retain(|n| *n != node),
                Ok(Signal::Control(_, asker) | Signal::Drained { asker: Some(asker), .. }) => {
                    asker.refuse(Refused::new("stopped", "this world is stopping"));
                }
                // Its lease ends with the process; the next one that opens the journal deletes its row.
                Ok(Signal::Joined { .. } | Signal::Left { .. } | Signal::Drained { .. }) => {}
                // Nobody takes an order any more.
                Ok(Signal::Way(_)) => {}
                Ok(Signal::View(_) | Signal::Blamed { .. } | Signal::Stop | Signal::Save)
                | Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::Kill) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.unsaved(Why::Told));
                }
            }
        }
        let unsaved = self.unsaved(Why::Refused);
        if unsaved.is_something() { Err(unsaved) } else { Ok(()) }
    }

    fn counters(&self) -> impl Iterator<Item = Counters> {
        self.running.iter().map(|(_, slot)| slot.link.counters())
    }

    fn unsaved(&self, why: Why) -> Unsaved {
        Unsaved::new(why, self.counters(), self.ground.disk.gone())
    }

    /// Ends all nodes. `polite`: tells clients, and deletes the rows.
    pub(crate) fn end(self, polite: bool) {
        let Self { ground, running, coordinator, base, upkeep, _watch, .. } = self;
        if polite {
            ground.runtime.block_on(async {
                ground.front.close().await;
                for (_, slot) in running.iter() {
                    slot.edge.stop().await;
                }
            });
        }
        // Also when it is like a crash, nobody comes in while the nodes end.
        drop(ground.front);
        let (mut incarnations, mut threads) = (Vec::new(), Vec::new());
        for slot in running.into_slots() {
            incarnations.push(slot.member.incarnation);
            threads.push(slot.kill(&ground.mesh));
        }
        // A thread that is stuck in the game's code never ends: it is abandoned, with everything it owns.
        let give_up = Instant::now() + THREAD_PATIENCE;
        while threads.iter().any(|t| !t.is_finished()) && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(1));
        }
        if polite {
            let (tx, rx) = channel();
            for incarnation in incarnations {
                let tx = tx.clone();
                coordinator.leave(incarnation, Box::new(move |left| drop(tx.send(left))));
            }
            drop(tx);
            let give_up = Instant::now() + LEAVE_PATIENCE;
            let next = || rx.recv_timeout(give_up.saturating_duration_since(Instant::now()));
            while let Ok(left) = next() {
                if let Err(error) = left {
                    tracing::warn!(%error, "cannot delete a row of the journal's members; it does no harm");
                }
            }
        }
        ground.runtime.shutdown_background();
        // Threads that use the journal, and the journal, which closes with the last of these.
        let is_exact = polite && base.as_cluster().is_none() && threads.iter().all(|t| t.is_finished());
        let (clock, journal) = (ground.clock, ground.journal);
        let close = move || {
            drop(upkeep);
            if is_exact {
                bound::settle(journal.as_ref(), clock.now().world.max(clock.shown()));
            }
            drop((base, coordinator, _watch, ground.blames, journal));
        };
        match Builder::new().name("gundo-closing".into()).spawn(close) {
            Ok(closing) => end::wait_for(closing, CLOSE_PATIENCE),
            // They were dropped with the closure.
            Err(error) => tracing::warn!(%error, "cannot start a thread for the end"),
        }
    }
}

/// Whether the journal still takes anything.
struct Progress {
    landed: u64,
    since: Instant,
}

impl Progress {
    fn new() -> Self {
        Self { landed: 0, since: Instant::now() }
    }

    /// Looks at the counters of all nodes, which are a second old at most.
    fn look(&mut self, counters: impl Iterator<Item = Counters>) {
        let of = |c: Counters| c.appends.saturating_sub(c.appends_failed + c.appends_waiting);
        let landed = counters.map(of).sum();
        if landed != self.landed {
            *self = Self { landed, since: Instant::now() };
        }
    }

    /// Why there is no more to wait for, if so.
    fn verdict(&self, deadline: Instant) -> Option<Why> {
        match () {
            () if self.since.elapsed() >= STUCK_PATIENCE => Some(Why::Stuck { s: STUCK_PATIENCE.as_secs() }),
            () if Instant::now() >= deadline => Some(Why::Slow { s: STOP_PATIENCE.as_secs() }),
            () => None,
        }
    }
}
