//! The edge's clock: once in a while every connection is asked whether it is too late, too silent or due a ping. One task
//! instead of timers for each connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Shared, locked};

/// Sweeps until the edge is dropped.
pub(crate) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let s = &shared.settings;
    // Times are kept within a quarter of the shortest one.
    let shortest = s.hello_ms.min(s.idle_ms).min(s.ping_ms).min(s.close_ms);
    let mut every = interval(Duration::from_millis((shortest / 4).clamp(5, 250)));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            gone = stopped.wait_for(|_| false) => if gone.is_err() { return },
        }
        let conns: Vec<_> = locked(&shared.conns).values().cloned().collect();
        let now_ms = shared.now_ms();
        let queued = conns.iter().map(|conn| conn.sweep(now_ms)).sum();
        shared.indicators.publish(shared.open.load(Ordering::Relaxed), queued);
    }
}
