//! Everything that is checked once per second: the wall clock, the machine, what the drivers count, the space on the journal's disk;
//! and now and then, and at the end, it notes the world time in the journal, so that a wall clock that was set back does not set the
//! world back (with the newest event's time, which the journal knows). What asks the journal has a thread of its own: a disk that
//! hangs blocks the thread that asks it, and the metrics must show that.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_journal::Journal;
use gundo_types::{Figure, WorldTime};

use crate::clock::Clock;
use crate::end;
use crate::figures::Figures;
use crate::indicators::{MachineGauges, Recorders};
use crate::machine::Machine;
use crate::storage::DiskGauge;

/// Interval between two checks.
const EVERY: Duration = Duration::from_secs(1);

/// Checks between two notes of the world time.
const NOTE_EVERY: u32 = 10;
/// The key of that note in the journal: ms.
pub(crate) const WORLD_MS: &str = "world_ms";

/// Checks until it is dropped. A check that hangs is abandoned.
pub(crate) struct Upkeep {
    /// Dropped to end them.
    ends: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(
        clock: Arc<Clock>,
        journal: Arc<dyn Journal>,
        recorders: Recorders,
        disk: Arc<DiskGauge>,
        figures: Box<dyn Fn() -> Vec<Figure> + Send>,
    ) -> std::io::Result<Self> {
        let mut upkeep = Self { ends: Vec::new(), threads: Vec::new() };
        let (machine, mut drivers) = (MachineGauges::new(&recorders), Figures::new(&recorders));
        let (timed, counted) = (Arc::clone(&clock), Arc::clone(&journal));
        let check = move || {
            timed.adjust();
            machine.publish(&Machine::read());
            drivers.publish(counted.figures().into_iter().chain(figures()).collect());
            recorders.upkeep();
        };
        upkeep.every_second("gundo-upkeep", check, || {})?;
        let mut count = 0_u32;
        let (last_journal, last_clock) = (Arc::clone(&journal), Arc::clone(&clock));
        let check = move || {
            if count.is_multiple_of(NOTE_EVERY) {
                note(journal.as_ref(), clock.now().world);
            }
            count = count.wrapping_add(1);
            disk.publish(&journal.room());
            disk.publish_generation(journal.generation());
        };
        upkeep.every_second("gundo-storage", check, move || {
            note(last_journal.as_ref(), last_clock.now().world);
        })?;
        Ok(upkeep)
    }

    fn every_second(
        &mut self,
        name: &str,
        mut check: impl FnMut() + Send + 'static,
        at_the_end: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let (end, ended) = channel();
        let run = move || {
            loop {
                check();
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return at_the_end();
                }
            }
        };
        self.threads.push(Builder::new().name(name.into()).spawn(run)?);
        self.ends.push(end);
        Ok(())
    }
}

/// Without a note nothing is lost but this safeguard.
fn note(journal: &dyn Journal, world: WorldTime) {
    if let Err(fault) = journal.set_meta(WORLD_MS, &world.0.to_string()) {
        tracing::debug!(%fault, "cannot note the world time");
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.ends.clear();
        // A check is short, unless the disk hangs.
        self.threads.drain(..).for_each(|thread| end::wait_for(thread, end::PATIENCE));
    }
}
