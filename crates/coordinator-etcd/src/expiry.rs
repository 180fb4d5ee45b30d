//! Removes members whose lease is over. Every process does so, in its own time: one that lives is enough.
//!
//! All processes together look about once per [`LOOK_MS`] while they are few, and at most once per [`TOGETHER_MS`] when they are
//! many. A process that did not hear from etcd for a while only looks until it may judge again
//! ([`Patience`](gundo_coordinator::Patience)).

use std::sync::Arc;

use gundo_coordinator::CallError;
use gundo_coordinator::operation::{Expire, Look};
use tokio::time::sleep;

use crate::calls::Core;
use crate::chance::jittered;

/// Mean interval between two looks at the leases by one process of few, ms.
const LOOK_MS: u64 = 500;

/// Mean interval between two looks by any process, ms: the cost for etcd is bounded, however many there are.
const TOGETHER_MS: u64 = 50;

pub(crate) async fn run(core: Arc<Core>, lease_ms: u64) {
    let mut failed = false;
    loop {
        sleep(jittered(LOOK_MS.max(core.views.members() as u64 * TOGETHER_MS))).await;
        let looked = if core.store.may_expire() {
            core.run(Expire::new(lease_ms)).await
        } else {
            core.run(Look::new()).await.map(|_| Vec::new())
        };
        tell(looked, &mut failed);
    }
}

/// Logs the result of a look: a failure when it begins, not with every look.
fn tell(looked: Result<Vec<u64>, CallError>, failed: &mut bool) {
    match looked {
        Ok(removed) => {
            for incarnation in removed {
                tracing::warn!(
                    incarnation,
                    "a node was removed: its lease is over, or it had begun to leave; the others take over"
                );
            }
            if std::mem::take(failed) {
                tracing::info!("etcd and the journal answer again: nodes can join and be removed");
            }
        }
        Err(error) => {
            if !std::mem::replace(failed, true) {
                tracing::warn!(
                    %error,
                    "cannot look after the members' leases; play goes on, but no node joins or is removed meanwhile; trying again"
                );
            }
        }
    }
}
