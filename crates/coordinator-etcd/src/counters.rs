//! What a coordinator counts.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gundo_coordinator::CallError;
use gundo_types::Figure;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Counters {
    done: AtomicU64,
    unanswered: AtomicU64,
    failed: AtomicU64,
    contended: AtomicU64,
    /// Watches that were begun again.
    pub(crate) watches: AtomicU64,
    /// Views that etcd had compacted before they were read.
    pub(crate) missed: AtomicU64,
    /// When the last call was done.
    last_done: Mutex<Instant>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            done: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            contended: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            last_done: Mutex::new(Instant::now()),
        }
    }

    /// A call has ended. A refusal by the rules is an answer too.
    pub(crate) fn on_call<T>(&self, result: &Result<T, CallError>) {
        match result {
            Ok(_) | Err(CallError::Superseded | CallError::Full) => {
                self.done.fetch_add(1, Relaxed);
                *self.last_done.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            Err(CallError::Unanswered) => drop(self.unanswered.fetch_add(1, Relaxed)),
            Err(CallError::Failed { .. }) => drop(self.failed.fetch_add(1, Relaxed)),
            Err(CallError::Contended) => drop(self.contended.fetch_add(1, Relaxed)),
        }
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let silent = self.last_done.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f64();
        let call = |result: &str, n: &AtomicU64| {
            let text = "Calls to the coordinator, by how they ended";
            Figure::total("gundo_coordinator_calls_total", text, n.load(Relaxed)).of("result", result)
        };
        vec![
            call("done", &self.done),
            call("unanswered", &self.unanswered),
            call("failed", &self.failed),
            call("contended", &self.contended),
            Figure::now(
                "gundo_coordinator_silent_seconds",
                "Time since a call to the coordinator was answered; members call every second",
                silent,
            ),
            Figure::total(
                "gundo_etcd_watches_total",
                "Times the watch on the members in etcd began again",
                self.watches.load(Relaxed),
            ),
            Figure::total(
                "gundo_etcd_views_missed_total",
                "Views that etcd had compacted before they were read",
                self.missed.load(Relaxed),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_call_is_counted_once() {
        let counters = Counters::new();
        counters.on_call(&Ok(()));
        counters.on_call::<()>(&Err(CallError::Full));
        counters.on_call::<()>(&Err(CallError::Unanswered));
        counters.on_call::<()>(&Err(CallError::Failed { what: "it fails".into() }));
        counters.on_call::<()>(&Err(CallError::Contended));
        let counts = [&counters.done, &counters.unanswered, &counters.failed, &counters.contended];
        assert_eq!(counts.map(|count| count.load(Relaxed)), [2, 1, 1, 1]);
        assert_eq!(counters.figures().len(), 7);
    }
}
