//! The coordinator of a solo world: the rules of `gundo_coordinator` on a store in memory, with the journal's rows and a
//! clock.
//!
//! It lives as long as the process, and so do its members. Nodes and the supervisor call it through its handle; no call
//! blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_coordinator::{CallError, Coordinator, LocalCoordinator, LocalSettings, Rows};
use gundo_journal::Journal;

use crate::rows::RowThreads;

/// Interval between two looks at the leases, ms.
const LOOK_MS: u64 = 100;

/// The coordinator of a solo world. Dropping it ends it; after that, handles get no answers.
pub(crate) struct SoloCoordinator {
    coordinator: LocalCoordinator,
    /// Dropped to end the clock.
    end: Option<Sender<()>>,
    clock: Option<JoinHandle<()>>,
    rows: RowThreads,
}

impl SoloCoordinator {
    /// `lease_ms`: see [`LocalSettings::lease_ms`].
    pub(crate) fn start(journal: &Arc<dyn Journal>, lease_ms: u64) -> std::io::Result<Self> {
        let rows = RowThreads::start(journal)?;
        let coordinator = LocalCoordinator::new(LocalSettings { lease_ms }, rows.rows());
        let (end, ended) = channel();
        let ticking = coordinator.clone();
        let clock = Builder::new().name("gundo-leases".into()).spawn(move || tick(&ticking, &ended))?;
        Ok(Self { coordinator, end: Some(end), clock: Some(clock), rows })
    }

    /// A handle for a node, or for the supervisor.
    pub(crate) fn handle(&self) -> Arc<dyn Coordinator> {
        Arc::new(self.coordinator.clone())
    }

    /// The journal's rows, which answer although the coordinator does not.
    pub(crate) fn rows(&self) -> Arc<dyn Rows> {
        self.rows.rows()
    }
}

impl Drop for SoloCoordinator {
    fn drop(&mut self) {
        drop(self.end.take());
        // The thread waits for nothing else.
        let _ = self.clock.take().map(JoinHandle::join);
    }
}

/// Advances the coordinator's time until the world ends. It counts its own looks and trusts no clock: while the whole
/// process was stopped, nobody could renew, so no lease may run out because of that.
fn tick(coordinator: &LocalCoordinator, ended: &Receiver<()>) {
    let (looks, fails) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    while ended.recv_timeout(Duration::from_millis(LOOK_MS)) == Err(RecvTimeoutError::Timeout) {
        coordinator.pass(LOOK_MS);
        if looks.swap(true, Ordering::AcqRel) {
            continue;
        }
        let (looks, fails) = (Arc::clone(&looks), Arc::clone(&fails));
        coordinator.expire(Box::new(move |expired| {
            tell(&expired, &fails);
            looks.store(false, Ordering::Release);
        }));
    }
}

/// Logs the result of a look at the leases: a failure when it begins, not with every look.
fn tell(expired: &Result<Vec<u64>, CallError>, fails: &AtomicBool) {
    let failed = fails.swap(expired.is_err(), Ordering::Relaxed);
    match expired {
        Ok(removed) => {
            for incarnation in removed {
                tracing::warn!(
                    incarnation,
                    "a node did not renew its lease and was removed; the others take over"
                );
            }
        }
        Err(error) if !failed => {
            tracing::warn!(%error, "cannot remove a node whose lease has ended; trying again");
        }
        Err(_) => {}
    }
}
