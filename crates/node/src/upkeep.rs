//! Everything that is checked once per second: the wall clock, the machine, what the drivers count, the space on the journal's disk,
//! and the bound of world time in the journal ([`crate::bound`]). What asks the journal has a thread of its own: a disk that
//! hangs blocks the thread that asks it, and the metrics must show that.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_types::Figure;

use crate::bound::Bound;
use crate::end;
use crate::figures::Figures;
use crate::indicators::MachineGauges;
use crate::machine::Machine;
use crate::slot::Ground;
use crate::supervisor::Signal;
use crate::unplayed::Walk;

/// Interval between two checks.
const EVERY: Duration = Duration::from_secs(1);

/// Checks until it is dropped. A check that hangs is abandoned.
pub(crate) struct Upkeep {
    /// Dropped to end them.
    ends: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(
        ground: &Ground,
        mut bound: Bound,
        figures: Box<dyn Fn() -> Vec<Figure> + Send>,
    ) -> std::io::Result<Self> {
        let mut upkeep = Self { ends: Vec::new(), threads: Vec::new() };
        let (journal, recorders) = (Arc::clone(&ground.journal), ground.recorders.clone());
        let (machine, mut drivers) = (MachineGauges::new(&recorders), Figures::new(&recorders));
        let (timed, counted) = (Arc::clone(&ground.clock), Arc::clone(&journal));
        upkeep.every_second("gundo-upkeep", move || {
            timed.adjust();
            machine.publish(&Machine::read());
            drivers.publish(counted.figures().into_iter().chain(figures()).collect());
            recorders.upkeep();
        })?;
        let (clock, disk) = (Arc::clone(&ground.clock), Arc::clone(&ground.disk));
        let (blames, tx) = (Arc::clone(&ground.blames), ground.tx.clone());
        let mut walk = Walk::new(ground.rules.player_kind(), ground.world.unplayed_ms);
        upkeep.every_second("gundo-storage", move || {
            bound.look(journal.as_ref(), clock.shown());
            walk.look(journal.as_ref(), clock.shown());
            match blames.look(journal.as_ref()) {
                // A world that has ended drops the news.
                Ok(blamed) => blamed
                    .into_iter()
                    .for_each(|(entity, points)| drop(tx.send(Signal::Blamed { entity, points }))),
                Err(fault) => tracing::debug!(%fault, "cannot read which entities others blame"),
            }
            disk.publish(&journal.room());
            disk.publish_generation(journal.generation());
        })?;
        Ok(upkeep)
    }

    fn every_second(&mut self, name: &str, mut check: impl FnMut() + Send + 'static) -> std::io::Result<()> {
        let (end, ended) = channel();
        let run = move || {
            loop {
                check();
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        self.threads.push(Builder::new().name(name.into()).spawn(run)?);
        self.ends.push(end);
        Ok(())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.ends.clear();
        // A check is short, unless the disk hangs.
        self.threads.drain(..).for_each(|thread| end::wait_for(thread, end::PATIENCE));
    }
}
