//! Everything that is checked once per second: the wall clock, the machine, the space on the journal's disk; and now and then
//! it notes the world time in the journal, so that a wall clock that was set back does not set the world back (with the newest event's
//! time, which the journal knows). It has its own
//! thread, because a disk that hangs blocks the thread that asks it.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_journal::Journal;
use gundo_types::WorldTime;

use crate::clock::Clock;
use crate::end;
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
    /// Dropped to end it.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(
        clock: Arc<Clock>,
        journal: Arc<dyn Journal>,
        recorders: Recorders,
        disk: Arc<DiskGauge>,
    ) -> std::io::Result<Self> {
        let machine = MachineGauges::new(&recorders);
        let (end, ended) = channel();
        let mut count = 0_u32;
        let run = move || loop {
            clock.adjust();
            if count.is_multiple_of(NOTE_EVERY) {
                note(journal.as_ref(), clock.now().world);
            }
            count = count.wrapping_add(1);
            machine.publish(&Machine::read());
            recorders.upkeep();
            disk.publish(&journal.room());
            disk.publish_generation(journal.generation());
            if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                return note(journal.as_ref(), clock.now().world);
            }
        };
        let thread = Builder::new().name("gundo-upkeep".into()).spawn(run)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
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
        drop(self.end.take());
        // A check is short, unless the disk hangs.
        self.thread.take().into_iter().for_each(|thread| end::wait_for(thread, end::PATIENCE));
    }
}
